package capture

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/prickledb/prickle/storage/event"
)

// maxDepth bounds how deep arrays and objects lie in each other. Real events stay below
// ten; the scanner recurses, so there has to be a bound.
const maxDepth = 256

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Offset int // bytes before the place
	What   string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.What, e.Offset+1) }

// scanner reads one JSON text. Bytes that its methods return are lent: they are part of
// the text, or lie in a buffer until reset. A method that returns false has left
// an error.
type scanner struct {
	src     []byte
	pos     int
	err     *SyntaxError
	lenient bool // NaN and Infinity are null, as old Python clients write them
	arena   []byte
	made    []byte   // canonical text of arrays and objects
	members []member // of the objects being read
	sorted  []byte   // an object's members in order, while they are moved
}

// member is one member of an object whose canonical text is being made.
type member struct {
	key      []byte
	from, to int // of `"key": value` in the text so far
}

// reset starts another text.
func (s *scanner) reset(src []byte) {
	s.src, s.pos, s.err = src, 0, nil
	s.arena, s.made = s.arena[:0], s.made[:0]
	s.members = s.members[:0]
}

// valid refuses a text that is not UTF-8; what is read after it need not check again.
func (s *scanner) valid() bool {
	if utf8.Valid(s.src) {
		return true
	}
	for at := 0; at < len(s.src); {
		r, size := utf8.DecodeRune(s.src[at:])
		if r == utf8.RuneError && size <= 1 {
			s.err = &SyntaxError{at, "not valid UTF-8"}
			return false
		}
		at += size
	}
	return true
}

func (s *scanner) fail(what string) bool {
	if s.err == nil {
		s.err = &SyntaxError{min(s.pos, len(s.src)), what}
	}
	return false
}

// unexpected fails at the byte that is next.
func (s *scanner) unexpected(want string) bool {
	if s.pos >= len(s.src) {
		return s.fail("ends where " + want + " is expected")
	}
	r, _ := utf8.DecodeRune(s.src[s.pos:])
	return s.fail(strconv.QuoteRune(r) + " where " + want + " is expected")
}

// next skips blanks and returns the byte that follows, or 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		s.pos++
	}
	return 0
}

// end says whether only blanks are left.
func (s *scanner) end() bool {
	if s.next(); s.pos < len(s.src) {
		return s.unexpected("the end")
	}
	return true
}

// open enters an object or array and says whether it has members.
func (s *scanner) open(end byte) (more bool) {
	s.pos++
	if s.next() == end {
		s.pos++
		return false
	}
	return true
}

// more steps over what follows a member: a comma, or the end.
func (s *scanner) more(end byte) (more, ok bool) {
	switch s.next() {
	case ',':
		s.pos++
		return true, true
	case end:
		s.pos++
		return false, true
	}
	return false, s.unexpected("',' or '" + string(end) + "'")
}

// key reads a member's name and the colon after it.
func (s *scanner) key() ([]byte, bool) {
	if s.next() != '"' {
		return nil, s.unexpected("a name in quotes")
	}
	key, ok := s.text()
	if !ok {
		return nil, false
	}
	if s.pos < len(s.src) && s.src[s.pos] == ':' { // nearly always
		s.pos++
		return key, true
	}
	if s.next() != ':' {
		return nil, s.unexpected("':'")
	}
	s.pos++
	return key, true
}

// text reads the string that starts here, and unescapes it.
func (s *scanner) text() ([]byte, bool) {
	start := s.pos + 1
	end := event.PlainEnd(s.src, start)
	if end < len(s.src) && s.src[end] == '"' {
		s.pos = end + 1
		return s.src[start:end], true
	}
	return s.escaped(start, end)
}

// escaped reads the rest of a string whose first byte that is not plain is at end.
func (s *scanner) escaped(start, end int) ([]byte, bool) {
	from := len(s.arena)
	out := s.arena
	for {
		out = append(out, s.src[start:end]...)
		s.pos = end
		if end >= len(s.src) {
			return nil, s.fail("ends inside a string")
		}
		switch c := s.src[end]; {
		case c == '"':
			s.pos++
			s.arena = out
			return out[from:len(out):len(out)], true
		case c < ' ':
			return nil, s.fail("control character " + strconv.QuoteRune(rune(c)) + " inside a string")
		}
		if end+1 >= len(s.src) {
			return nil, s.fail("ends inside a string")
		}
		start = end + 2
		switch c := s.src[end+1]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(s.src, end+2)
			if r < 0 {
				return nil, s.fail(`\u without four hexadecimal digits`)
			}
			start = end + 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if start+1 < len(s.src) && s.src[start] == '\\' && s.src[start+1] == 'u' {
					low = hex4(s.src, start+2)
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					start += 6
				}
			}
			if r == 0 { // no text of PostgreSQL can hold it
				r = utf8.RuneError
			}
			out = utf8.AppendRune(out, r)
		default:
			return nil, s.fail("unknown escape \\" + string(rune(c)))
		}
		end = event.PlainEnd(s.src, start)
	}
}

// hex4 is the number that four hexadecimal digits write, or -1.
func hex4(src []byte, at int) rune {
	if at+4 > len(src) {
		return -1
	}
	var r rune
	for _, c := range src[at : at+4] {
		d := hexDigit[c]
		if d > 15 {
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}

// hexDigit is the value of a hexadecimal digit; 0xff for any other byte.
var hexDigit = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range 10 {
		table['0'+i] = byte(i)
	}
	for i := range 6 {
		table['a'+i], table['A'+i] = byte(10+i), byte(10+i)
	}
	return table
}()

// number reads the number that starts here.
func (s *scanner) number() (event.Kind, []byte, bool) {
	src, start := s.src, s.pos
	p := start
	if src[p] == '-' {
		p++
	}
	whole := p
	for p < len(src) && src[p]-'0' <= 9 {
		p++
	}
	digits := p - whole
	if digits == 0 {
		s.pos = p
		if s.lenient && s.word("Infinity") {
			return event.Null, nil, true
		}
		return 0, nil, s.unexpected("a digit")
	}
	if src[whole] == '0' && digits > 1 {
		s.pos = whole
		return 0, nil, s.fail("number with a leading zero")
	}
	fraction, exponent := 0, false
	if p < len(src) && src[p] == '.' {
		p++
		first := p
		for p < len(src) && src[p]-'0' <= 9 {
			p++
		}
		if fraction = p - first; fraction == 0 {
			s.pos = p
			return 0, nil, s.unexpected("a digit")
		}
	}
	if p < len(src) && src[p]|0x20 == 'e' {
		exponent = true
		p++
		if p < len(src) && (src[p] == '+' || src[p] == '-') {
			p++
		}
		first := p
		for p < len(src) && src[p]-'0' <= 9 {
			p++
		}
		if p == first {
			s.pos = p
			return 0, nil, s.unexpected("a digit")
		}
	}
	s.pos = p
	text := src[start:p]
	switch {
	case fraction == 0 && !exponent && digits < 19 && (src[whole] != '0' || whole == start):
		return event.Int, text, true
	case fraction > 0 && !exponent && digits+fraction <= 15 && text[len(text)-1] != '0' && (src[whole] != '0' || fraction <= 6):
		// Up to 15 digits come back from a float64 as they went in.
		return event.Float, text, true
	}
	return numberKind(text), text, true
}

// numberKind says how a number is kept: as the shortest kind that gives back its text.
func numberKind(text []byte) event.Kind {
	var space [40]byte
	if v, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		if string(strconv.AppendInt(space[:0], v, 10)) == string(text) {
			return event.Int
		}
		return event.Number
	}
	if len(text) > 32 {
		return event.Number
	}
	if f, err := strconv.ParseFloat(string(text), 64); err == nil && string(event.AppendFloat(space[:0], f)) == string(text) {
		return event.Float
	}
	return event.Number
}

// word steps over a word if it is what comes next.
func (s *scanner) word(w string) bool {
	if len(s.src)-s.pos < len(w) || string(s.src[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
}

// name steps over a member's name and the colon after it, if they are written as they mostly are. The name
// has no bytes that need escapes.
func (s *scanner) name(name []byte) bool {
	end := s.pos + 1 + len(name)
	if end+1 >= len(s.src) || s.src[s.pos] != '"' || s.src[end] != '"' || s.src[end+1] != ':' || string(s.src[s.pos+1:end]) != string(name) || len(name) == 0 {
		return false
	}
	s.pos = end + 2
	return true
}

// value reads the value that comes next: its kind, and its bytes as a batch holds them.
func (s *scanner) value() (event.Kind, []byte, bool) {
	switch c := s.next(); {
	case c == '"':
		text, ok := s.text()
		return event.Text, text, ok
	case c-'0' <= 9 || c == '-':
		return s.number()
	case c == '{' || c == '[':
		// Not into the arena: keys are unescaped there meanwhile.
		from := len(s.made)
		out, ok := s.nested(s.made, 1)
		if !ok {
			return 0, nil, false
		}
		s.made = out
		return event.JSON, out[from:len(out):len(out)], true
	default:
		return s.literal(c)
	}
}

func (s *scanner) literal(c byte) (event.Kind, []byte, bool) {
	switch {
	case c == 't' && s.word("true"):
		return event.Bool, trueText, true
	case c == 'f' && s.word("false"):
		return event.Bool, falseText, true
	case c == 'n' && s.word("null"):
		return event.Null, nil, true
	case s.lenient && (c == 'N' && s.word("NaN") || c == 'I' && s.word("Infinity")):
		return event.Null, nil, true
	}
	return 0, nil, s.unexpected("a value")
}

var (
	trueText  = []byte("true")
	falseText = []byte("false")
	nullText  = []byte("null")
)

// nested appends the canonical text of the array or object that starts here, as jsonb
// prints it: keys by length and then bytes, of equal keys the last, one blank after each
// colon and comma.
func (s *scanner) nested(dst []byte, depth int) ([]byte, bool) {
	if depth > maxDepth {
		return nil, s.fail(fmt.Sprintf("more than %d arrays and objects in each other", maxDepth))
	}
	if s.src[s.pos] == '[' {
		dst = append(dst, '[')
		for more := s.open(']'); more; {
			var ok bool
			if dst, ok = s.element(dst, depth); !ok {
				return nil, false
			}
			if more, ok = s.more(']'); !ok {
				return nil, false
			}
			if more {
				dst = append(dst, ", "...)
			}
		}
		return append(dst, ']'), true
	}
	base, start, ordered := len(s.members), len(dst), true
	dst = append(dst, '{')
	for more := s.open('}'); more; {
		key, ok := s.key()
		if !ok {
			return nil, false
		}
		if n := len(s.members); n > base && keyOrder(s.members[n-1].key, key) >= 0 {
			ordered = false
		}
		m := member{key: key, from: len(dst)}
		dst = append(event.AppendJSONString(dst, key), ": "...)
		if dst, ok = s.element(dst, depth); !ok {
			return nil, false
		}
		m.to = len(dst)
		s.members = append(s.members, m)
		if more, ok = s.more('}'); !ok {
			return nil, false
		}
		if more {
			dst = append(dst, ", "...)
		}
	}
	if !ordered {
		dst = s.order(dst, start+1, s.members[base:])
	}
	s.members = s.members[:base]
	return append(dst, '}'), true
}

// order sorts the members of an object whose text starts at start.
func (s *scanner) order(dst []byte, start int, members []member) []byte {
	slices.SortStableFunc(members, func(a, b member) int { return keyOrder(a.key, b.key) })
	out := s.sorted[:0]
	for i, m := range members {
		if i+1 < len(members) && string(m.key) == string(members[i+1].key) {
			continue // a later one with the same key counts
		}
		if len(out) > 0 {
			out = append(out, ", "...)
		}
		out = append(out, dst[m.from:m.to]...)
	}
	s.sorted = out
	return append(dst[:start], out...)
}

// keyOrder is the order of keys in jsonb.
func keyOrder(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

// element appends the canonical text of a value inside an array or object.
func (s *scanner) element(dst []byte, depth int) ([]byte, bool) {
	switch c := s.next(); {
	case c == '"':
		text, ok := s.text()
		return event.AppendJSONString(dst, text), ok
	case c == '{' || c == '[':
		return s.nested(dst, depth+1)
	case c-'0' <= 9 || c == '-':
		kind, text, ok := s.number()
		if kind == event.Null {
			text = nullText
		}
		return append(dst, text...), ok
	default:
		kind, text, ok := s.literal(c)
		if kind == event.Null {
			text = nullText
		}
		return append(dst, text...), ok
	}
}

// skip checks the value that comes next and returns its text.
func (s *scanner) skip(depth int) ([]byte, bool) {
	c := s.next()
	start := s.pos
	switch {
	case c == '"':
		// An escaped string is read like any other: its text is thrown away.
		keep := len(s.arena)
		if _, ok := s.text(); !ok {
			return nil, false
		}
		s.arena = s.arena[:keep]
	case c == '{' || c == '[':
		if depth >= maxDepth {
			return nil, s.fail(fmt.Sprintf("more than %d arrays and objects in each other", maxDepth))
		}
		end := c + 2 // of both, the closing byte is two behind
		for more := s.open(end); more; {
			ok := true
			if c == '{' {
				keep := len(s.arena)
				_, ok = s.key()
				s.arena = s.arena[:keep]
			}
			if ok {
				_, ok = s.skip(depth + 1)
			}
			if ok {
				more, ok = s.more(end)
			}
			if !ok {
				return nil, false
			}
		}
	case c-'0' <= 9 || c == '-':
		if _, _, ok := s.number(); !ok {
			return nil, false
		}
	default:
		if _, _, ok := s.literal(c); !ok {
			return nil, false
		}
	}
	return s.src[start:s.pos], true
}
