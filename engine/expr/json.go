package expr

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
)

// maxJSONDepth bounds the nesting of JSON input, which is read by recursion.
const maxJSONDepth = 512

// A jsonReader reads JSON text and writes it in canonical form: keys by length, then bytes,
// the last of equal keys, one blank after colon and comma.
type jsonReader struct {
	s     []byte
	i     int
	depth int
	want  string       // what was wanted where it ended too early
	bad   *pgerr.Error // what is wrong inside a string
	end   int          // how far that string was read then
}

type jsonMember struct{ key, value []byte }

// CanonicalJSON is jsonb's text for a JSON text, appended to dst.
func CanonicalJSON(dst, s []byte) ([]byte, error) {
	r := jsonReader{s: s}
	dst, ok := r.value(dst)
	if ok {
		r.blanks()
		ok, r.want = r.i == len(s), "end of input"
	}
	switch {
	case ok:
		return dst, nil
	case r.depth > maxJSONDepth:
		return dst, pgerr.New(pgerr.StatementTooComplex, "json value is nested deeper than %d levels", maxJSONDepth)
	}
	return dst, r.problem()
}

func (r *jsonReader) blanks() {
	for r.i < len(r.s) && (r.s[r.i] == ' ' || r.s[r.i] == '\n' || r.s[r.i] == '\t' || r.s[r.i] == '\r') {
		r.i++
	}
}

func (r *jsonReader) take(c byte) bool {
	r.blanks()
	if r.i < len(r.s) && r.s[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *jsonReader) value(dst []byte) ([]byte, bool) {
	r.blanks()
	r.want = "JSON value"
	if r.i >= len(r.s) {
		return dst, false
	}
	switch c := r.s[r.i]; {
	case c == '{':
		return r.object(dst)
	case c == '[':
		return r.array(dst)
	case c == '"':
		return r.text(dst)
	case c == '-' || c >= '0' && c <= '9':
		start := r.i
		dst, ok := r.number(dst)
		if !ok {
			r.i = start
		}
		return dst, ok
	}
	for _, w := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(r.s[r.i:], []byte(w)) && (r.i+len(w) == len(r.s) || !isNameByte(r.s[r.i+len(w)])) {
			r.i += len(w)
			return append(dst, w...), true
		}
	}
	return dst, false
}

func (r *jsonReader) enter() bool {
	r.depth++
	return r.depth <= maxJSONDepth
}

func (r *jsonReader) object(dst []byte) ([]byte, bool) {
	if !r.enter() {
		return dst, false
	}
	r.i++
	var members []jsonMember
	if !r.take('}') {
		for r.want = `string or "}"`; ; r.want = "string" {
			r.blanks()
			if r.i >= len(r.s) || r.s[r.i] != '"' {
				return dst, false
			}
			key, ok := r.text(nil)
			if r.want = `":"`; !ok || !r.take(':') {
				return dst, false
			}
			value, ok := r.value(nil)
			if !ok {
				return dst, false
			}
			members = append(members, jsonMember{key, value})
			if r.take('}') {
				break
			}
			if r.want = `"," or "}"`; !r.take(',') {
				return dst, false
			}
		}
	}
	r.depth--
	return appendMembers(dst, members), true
}

// plainKey is a key without its quotes.
func plainKey(k []byte) []byte {
	if bytes.IndexByte(k, '\\') >= 0 {
		return jsonText(nil, k)
	}
	return k[1 : len(k)-1]
}

// compareKeys is the order of quoted keys: by length, then by bytes.
func compareKeys(a, b []byte) int {
	a, b = plainKey(a), plainKey(b)
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// appendMembers writes an object; of equal keys the last counts.
func appendMembers(dst []byte, members []jsonMember) []byte {
	slices.SortStableFunc(members, func(a, b jsonMember) int { return compareKeys(a.key, b.key) })
	dst = append(dst, '{')
	first := true
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(m.key, members[i+1].key) {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(dst, m.key...)
		dst = append(dst, ": "...)
		dst = append(dst, m.value...)
	}
	return append(dst, '}')
}

func (r *jsonReader) array(dst []byte) ([]byte, bool) {
	if !r.enter() {
		return dst, false
	}
	r.i++
	dst = append(dst, '[')
	if !r.take(']') {
		for first := true; ; first = false {
			if !first {
				dst = append(dst, ", "...)
			}
			var ok bool
			if dst, ok = r.value(dst); !ok {
				return dst, false
			}
			if r.take(']') {
				break
			}
			if r.want = `"," or "]"`; !r.take(',') {
				return dst, false
			}
		}
	}
	r.depth--
	return append(dst, ']'), true
}

func (r *jsonReader) number(dst []byte) ([]byte, bool) {
	start := r.i
	if r.s[r.i] == '-' {
		r.i++
	}
	digits := func() bool {
		at := r.i
		for r.i < len(r.s) && r.s[r.i] >= '0' && r.s[r.i] <= '9' {
			r.i++
		}
		return r.i > at
	}
	zero := r.i < len(r.s) && r.s[r.i] == '0'
	first := r.i
	if !digits() || zero && r.i > first+1 {
		return dst, false
	}
	exp := false
	if r.i < len(r.s) && r.s[r.i] == '.' {
		r.i++
		if !digits() {
			return dst, false
		}
	}
	if r.i < len(r.s) && r.s[r.i]|32 == 'e' {
		exp = true
		r.i++
		if r.i < len(r.s) && (r.s[r.i] == '+' || r.s[r.i] == '-') {
			r.i++
		}
		if !digits() {
			return dst, false
		}
	}
	if r.i < len(r.s) && isNameByte(r.s[r.i]) {
		return dst, false
	}
	text := r.s[start:r.i]
	if exp { // jsonb holds numerics, which have no exponent, as far as these go
		if d, ok := NumericOf(string(text)); ok {
			return d.Append(dst), true
		}
	}
	if len(text) == 2 && text[0] == '-' && text[1] == '0' {
		text = text[1:]
	}
	return append(dst, text...), true
}

// text reads a string and writes it with as few escapes as JSON allows.
func (r *jsonReader) text(dst []byte) ([]byte, bool) {
	raw, ok := r.unquote(nil)
	if !ok {
		return dst, false
	}
	return event.AppendJSONString(dst, raw), true
}

// unquote reads a string's bytes.
func (r *jsonReader) unquote(dst []byte) ([]byte, bool) {
	i := r.i + 1
	fail := func(end int, format string, args ...any) ([]byte, bool) {
		r.bad, r.end = notJSON().WithDetail(format, args...), end
		return dst, false
	}
	for i < len(r.s) {
		c := r.s[i]
		switch {
		case c == '"':
			r.i = i + 1
			return dst, true
		case c < ' ':
			return fail(i, "Character with value 0x%02x must be escaped.", c)
		case c != '\\':
			dst = append(dst, c)
			i++
			continue
		}
		if i+1 >= len(r.s) {
			break
		}
		i += 2
		switch c := r.s[i-1]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			u, end := hex4(r.s, i)
			i = end
			switch {
			case end == len(r.s):
				return r.unended(dst)
			case u < 0:
				return fail(end+1, `"\u" must be followed by four hexadecimal digits.`)
			case u == 0:
				r.bad = pgerr.New(pgerr.UntranslatableCharacter, "unsupported Unicode escape sequence").WithDetail(`\u0000 cannot be converted to text.`)
				r.end = i
				return dst, false
			case u >= 0xdc00 && utf16.IsSurrogate(u):
				return fail(i, "Unicode low surrogate must follow a high surrogate.")
			case utf16.IsSurrogate(u):
				low, end := rune(-1), i+1
				if bytes.HasPrefix(r.s[i:], []byte(`\u`)) {
					low, end = hex4(r.s, i+2)
				}
				if low >= 0xd800 && low < 0xdc00 {
					return fail(end, "Unicode high surrogate must not follow a high surrogate.")
				}
				if u = utf16.DecodeRune(u, low); u == utf8.RuneError {
					return fail(min(end, len(r.s)), "Unicode low surrogate must follow a high surrogate.")
				}
				i = end
			}
			dst = utf8.AppendRune(dst, u)
		default:
			_, size := utf8.DecodeRune(r.s[i-1:])
			return fail(i-1+size, `Escape sequence "\%s" is invalid.`, r.s[i-1:i-1+size])
		}
	}
	return r.unended(dst)
}

// unended is what comes of a string without an end.
func (r *jsonReader) unended(dst []byte) ([]byte, bool) {
	r.bad, r.end = r.invalid(r.i, len(r.s)), len(r.s)
	return dst, false
}

// hex4 reads four hexadecimal digits, -1 if there are fewer, and gives the end of what it read.
func hex4(s []byte, i int) (u rune, end int) {
	for end = i; end < i+4; end++ {
		if end == len(s) {
			return -1, end
		}
		digit, err := strconv.ParseUint(string(s[end]), 16, 8)
		if err != nil {
			return -1, end
		}
		u = u<<4 | rune(digit)
	}
	return u, end
}

// The functions below read canonical text, as jsonb vectors hold it.

// skipJSON is the position after the value that starts at i.
func skipJSON(s []byte, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			i = skipString(s, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

func skipString(s []byte, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

func jsonBlanks(s []byte, i int) int {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	return i
}

// eachMember calls do for the members of an object until it answers false. The key is
// quoted.
func eachMember(s []byte, do func(key, value []byte) bool) {
	if len(s) == 0 || s[0] != '{' {
		return
	}
	i := jsonBlanks(s, 1)
	for i < len(s) && s[i] == '"' {
		end := skipString(s, i)
		key := s[i:end]
		i = jsonBlanks(s, end)
		if i >= len(s) || s[i] != ':' {
			return
		}
		i = jsonBlanks(s, i+1)
		end = skipJSON(s, i)
		if !do(key, s[i:end]) {
			return
		}
		i = jsonBlanks(s, end)
		if i >= len(s) || s[i] != ',' {
			return
		}
		i = jsonBlanks(s, i+1)
	}
}

// eachElement calls do for the elements of an array until it answers false.
func eachElement(s []byte, do func(value []byte) bool) {
	if len(s) == 0 || s[0] != '[' {
		return
	}
	i := jsonBlanks(s, 1)
	for i < len(s) && s[i] != ']' {
		end := skipJSON(s, i)
		if end == i || !do(s[i:end]) {
			return
		}
		i = jsonBlanks(s, end)
		if i >= len(s) || s[i] != ',' {
			return
		}
		i = jsonBlanks(s, i+1)
	}
}

// jsonField is a member of an object, or nil.
func jsonField(s []byte, key string) []byte {
	var out []byte
	eachMember(s, func(k, v []byte) bool {
		if sameKey(k, key) {
			out = v
			return false
		}
		return true
	})
	return out
}

// sameKey says whether a quoted key is the given one.
func sameKey(quoted []byte, key string) bool {
	in := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(in, '\\') < 0 {
		return string(in) == key
	}
	return string(jsonText(nil, quoted)) == key
}

// jsonElement is an element of an array, from the end if negative, or nil.
func jsonElement(s []byte, at int64) []byte {
	if at < 0 {
		at += int64(jsonLength(s))
	}
	if at < 0 {
		return nil
	}
	var out []byte
	eachElement(s, func(v []byte) bool {
		if at == 0 {
			out = v
		}
		at--
		return at >= 0
	})
	return out
}

func jsonLength(s []byte) int {
	n := 0
	eachElement(s, func([]byte) bool { n++; return true })
	return n
}

// jsonPath follows keys and array positions.
func jsonPath(s []byte, path []string) []byte {
	for _, p := range path {
		if len(s) == 0 {
			return nil
		}
		switch s[0] {
		case '{':
			s = jsonField(s, p)
		case '[':
			at, err := strconv.ParseInt(p, 10, 32)
			if err != nil {
				return nil
			}
			s = jsonElement(s, at)
		default:
			return nil
		}
	}
	return s
}

// jsonText is a value as ->> gives it: strings without quotes, the rest as it is.
func jsonText(dst, v []byte) []byte {
	if len(v) == 0 || v[0] != '"' {
		return append(dst, v...)
	}
	if in := v[1 : len(v)-1]; bytes.IndexByte(in, '\\') < 0 {
		return append(dst, in...)
	}
	r := jsonReader{s: v}
	out, _ := r.unquote(dst) // canonical text is always well formed
	return out
}

func jsonType(v []byte) string {
	if len(v) == 0 {
		return "null"
	}
	switch v[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}
