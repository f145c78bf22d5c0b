package expr

import (
	"bytes"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
)

// shownJSON is how many bytes an error shows of the line that it is in.
const shownJSON = 50

func notJSON() *pgerr.Error {
	return pgerr.New(pgerr.InvalidText, "invalid input syntax for type json")
}

// problem is the error of a text that could not be read further than it was, in PostgreSQL's
// words.
func (r *jsonReader) problem() *pgerr.Error {
	start := r.i
	if r.bad == nil && start == len(r.s) {
		return r.context(notJSON().WithDetail("The input string ended unexpectedly."), start, start)
	}
	end, ok := start, false
	if r.bad == nil {
		end, ok = r.token()
	}
	switch {
	case r.bad != nil:
		return r.context(r.bad, start, r.end)
	case !ok:
		return r.context(r.invalid(start, end), start, end)
	}
	e := notJSON().WithDetail(`Expected %s, but found "%s".`, r.want, r.s[start:end])
	return r.context(e, start, end)
}

func (r *jsonReader) invalid(start, end int) *pgerr.Error {
	return notJSON().WithDetail(`Token "%s" is invalid.`, bytes.ToValidUTF8(r.s[start:end], nil))
}

// token gives the end of the token that comes next, and whether it is one of JSON.
func (r *jsonReader) token() (end int, ok bool) {
	word := func(i int) int {
		for i < len(r.s) && (isNameByte(r.s[i]) || r.s[i] >= utf8.RuneSelf) {
			i++
		}
		return i
	}
	start := r.i
	switch c := r.s[start]; {
	case c == '"':
		_, ok = r.unquote(nil)
		return r.i, ok
	case c == '-' || c >= '0' && c <= '9':
		_, ok = r.number(nil)
		return word(r.i), ok
	case bytes.IndexByte([]byte("{}[],:"), c) >= 0:
		return start + 1, true
	}
	end = word(start)
	switch string(r.s[start:end]) {
	case "true", "false", "null":
		return end, true
	}
	return max(end, start+1), false
}

// context shows where an error is: the line of the token between start and end, as far as that.
func (r *jsonReader) context(e *pgerr.Error, start, end int) *pgerr.Error {
	line := bytes.LastIndexByte(r.s[:start], '\n') + 1
	from := line
	for end-from >= shownJSON {
		_, size := utf8.DecodeRune(r.s[from:])
		from += size
	}
	before, after := "...", ""
	if from-line <= len(before) {
		before, from = "", line
	}
	if end < len(r.s) && r.s[end] != '\n' && r.s[end] != '\r' {
		after = "..."
	}
	return e.WithWhere("JSON data, line %d: %s%s%s", bytes.Count(r.s[:start], []byte("\n"))+1, before, bytes.ToValidUTF8(r.s[from:end], nil), after)
}
