package expr

import (
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
)

// What is wrong with a text that is no JSON, and where, is said as PostgreSQL says it.
func TestJSONErrors(t *testing.T) {
	for _, c := range []struct{ text, detail, where string }{
		{``, `The input string ended unexpectedly.`, `line 1: `},
		{`{"a":1`, `The input string ended unexpectedly.`, `line 1: {"a":1`},
		{`{"a":1,}`, `Expected string, but found "}".`, `line 1: {"a":1,}`},
		{`{"a" 1}`, `Expected ":", but found "1".`, `line 1: {"a" 1...`},
		{`{1:2}`, `Expected string or "}", but found "1".`, `line 1: {1...`},
		{`{"a":1 "b":2}`, `Expected "," or "}", but found ""b"".`, `line 1: {"a":1 "b"...`},
		{`[1 2]`, `Expected "," or "]", but found "2".`, `line 1: [1 2...`},
		{`[1,]`, `Expected JSON value, but found "]".`, `line 1: [1,]`},
		{`{} {}`, `Expected end of input, but found "{".`, `line 1: {} {...`},
		{`{"a": nul}`, `Token "nul" is invalid.`, `line 1: {"a": nul...`},
		{`{"a": @}`, `Token "@" is invalid.`, `line 1: {"a": @...`},
		{`[01]`, `Token "01" is invalid.`, `line 1: [01...`},
		{`1.`, `Token "1." is invalid.`, `line 1: 1.`},
		{`{"a" -x}`, `Token "-x" is invalid.`, `line 1: {"a" -x...`},
		{`"abc`, `Token ""abc" is invalid.`, `line 1: "abc`},
		{`"a\u12`, `Token ""a\u12" is invalid.`, `line 1: "a\u12`},
		{`"a\x"`, `Escape sequence "\x" is invalid.`, `line 1: "a\x...`},
		{`"a\u12"`, `"\u" must be followed by four hexadecimal digits.`, `line 1: "a\u12"`},
		{`"\ud800"`, `Unicode low surrogate must follow a high surrogate.`, `line 1: "\ud800"`},
		{`"\udc00"`, `Unicode low surrogate must follow a high surrogate.`, `line 1: "\udc00...`},
		{`"\ud800\ud800"`, `Unicode high surrogate must not follow a high surrogate.`, `line 1: "\ud800\ud800...`},
		{`"\u0000"`, `\u0000 cannot be converted to text.`, `line 1: "\u0000...`},
		{"\"a\nb\"", `Character with value 0x0a must be escaped.`, `line 1: "a`},
		{"{\"a\":1,\n\"c\" 3}", `Expected ":", but found "3".`, `line 2: "c" 3...`},
		{"[1,\n2,\n\n  x\n]", `Token "x" is invalid.`, `line 4:   x`},
		{`{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": 1, "äääääääääääääääääääääääääääääääääääääääää" x, "c": 5}`, `Token "x" is invalid.`, `line 1: ...äääääääääääääääääääääää" x...`},
	} {
		_, err := CanonicalJSON(nil, []byte(c.text))
		if err == nil {
			t.Errorf("CanonicalJSON(%q) is read", c.text)
			continue
		}
		if e := pgerr.From(err); e.Detail != c.detail || e.Where != "JSON data, "+c.where {
			t.Errorf("CanonicalJSON(%q): %s [%s], want %s [JSON data, %s]", c.text, e.Detail, e.Where, c.detail, c.where)
		}
	}
}
