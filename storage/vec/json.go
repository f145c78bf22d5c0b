package vec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
)

// jsonCursor reads canonical JSON text, as vectors of jsonb hold it: one blank after colons
// and commas, and members by length and bytes of their keys.
type jsonCursor struct {
	s []byte
	i int
}

// The ranks of types in the order of jsonb values.
const (
	jsonNull = iota
	jsonString
	jsonNumber
	jsonBool
	jsonArray
	jsonObject
)

func (c *jsonCursor) rank() int {
	if c.i >= len(c.s) {
		return jsonNull
	}
	switch c.s[c.i] {
	case '{':
		return jsonObject
	case '[':
		return jsonArray
	case '"':
		return jsonString
	case 't', 'f':
		return jsonBool
	case 'n':
		return jsonNull
	}
	return jsonNumber
}

// scalar is the text of a value that holds no others, which is passed.
func (c *jsonCursor) scalar() []byte {
	start := c.i
	if c.i < len(c.s) && c.s[c.i] == '"' {
		for c.i++; c.i < len(c.s) && c.s[c.i] != '"'; c.i++ {
			if c.s[c.i] == '\\' {
				c.i++
			}
		}
		c.i = min(c.i+1, len(c.s))
		return c.s[start:c.i]
	}
	for c.i < len(c.s) && bytes.IndexByte([]byte(",]} "), c.s[c.i]) < 0 {
		c.i++
	}
	return c.s[start:c.i]
}

// count is how many values the array or object has that begins here.
func (c *jsonCursor) count() int {
	depth, n, some := 0, 0, false
	for at := (jsonCursor{c.s, c.i}); at.i < len(at.s); {
		switch at.s[at.i] {
		case '[', '{':
			some = some || depth > 0
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				if some {
					n++
				}
				return n
			}
		case ',':
			if depth == 1 {
				n++
			}
		case '"':
			some = true
			at.scalar()
			continue
		case ' ':
		default:
			some = true
		}
		at.i++
	}
	return n
}

// skip passes brackets, commas, colons and blanks.
func (c *jsonCursor) skip(signs string) {
	for c.i < len(c.s) && bytes.IndexByte([]byte(signs), c.s[c.i]) >= 0 {
		c.i++
	}
}

// compareJSON orders jsonb values: null, strings, numbers, booleans, arrays, objects; of
// arrays and objects the shorter is less, and then the values decide. At the top, an array
// without elements is less than a scalar, as in PostgreSQL.
func compareJSON(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	x, y := &jsonCursor{s: a}, &jsonCursor{s: b}
	rx, ry := x.rank(), y.rank()
	if rx == jsonArray && ry < jsonArray {
		return compareTop(x)
	}
	if ry == jsonArray && rx < jsonArray {
		return -compareTop(y)
	}
	return x.compare(y)
}

// compareTop compares an array with a scalar, which is stored as an array of one.
func compareTop(array *jsonCursor) int {
	if array.count() == 0 {
		return -1
	}
	return 1
}

func (c *jsonCursor) compare(o *jsonCursor) int {
	r := c.rank()
	if d := r - o.rank(); d != 0 {
		return cmp.Compare(d, 0)
	}
	switch r {
	case jsonNull:
		c.scalar()
		o.scalar()
		return 0
	case jsonString:
		return bytes.Compare(unquoteJSON(c.scalar()), unquoteJSON(o.scalar()))
	case jsonBool:
		return -cmp.Compare(len(c.scalar()), len(o.scalar())) // false has more letters
	case jsonNumber:
		return compareNumbers(c.scalar(), o.scalar())
	}
	n, m := c.count(), o.count()
	if n != m {
		return cmp.Compare(n, m)
	}
	c.i, o.i = c.i+1, o.i+1
	for range n {
		c.skip(", ")
		o.skip(", ")
		if r == jsonObject {
			if d := bytes.Compare(unquoteJSON(c.scalar()), unquoteJSON(o.scalar())); d != 0 {
				return d
			}
			c.skip(": ")
			o.skip(": ")
		}
		if d := c.compare(o); d != 0 {
			return d
		}
	}
	c.i, o.i = c.i+1, o.i+1
	return 0
}

// unquoteJSON is the text of a string.
func unquoteJSON(s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 && len(s) >= 2 {
		return s[1 : len(s)-1]
	}
	var out string
	if json.Unmarshal(s, &out) != nil {
		return s
	}
	return []byte(out)
}

// jsonDecimal is a number as its digits, without zeroes at either end, times a power of ten. A
// zero has no digits.
type jsonDecimal struct {
	neg    bool
	digits []byte
	exp    int
}

// maxExponent bounds the powers of ten that are told apart. Numbers beyond what numeric holds are
// kept as they were written, and a few bytes may ask for any power.
const maxExponent = 1 << 60

// readNumber reads a number, whose digits it puts into buf.
func readNumber(s, buf []byte) jsonDecimal {
	var n jsonDecimal
	s, n.neg = bytes.CutPrefix(s, []byte("-"))
	power := 0
	if e := bytes.IndexAny(s, "eE"); e >= 0 {
		power, _ = strconv.Atoi(string(s[e+1:])) // out of range, it is the nearest that is not
		s = s[:e]
	}
	whole, frac, _ := bytes.Cut(s, []byte("."))
	digits := append(append(buf[:0], whole...), frac...)
	n.digits = bytes.TrimRight(digits, "0")
	n.exp = max(min(power, maxExponent), -maxExponent) - len(frac) + len(digits) - len(n.digits)
	if n.digits = bytes.TrimLeft(n.digits, "0"); len(n.digits) == 0 {
		return jsonDecimal{}
	}
	return n
}

func (n *jsonDecimal) sign() int {
	switch {
	case len(n.digits) == 0:
		return 0
	case n.neg:
		return -1
	}
	return 1
}

func compareNumbers(a, b []byte) int {
	var left, right [40]byte
	x, y := readNumber(a, left[:]), readNumber(b, right[:])
	if s := x.sign(); s != y.sign() || s == 0 {
		return cmp.Compare(s, y.sign())
	}
	c := cmp.Compare(len(x.digits)+x.exp, len(y.digits)+y.exp)
	if c == 0 {
		c = bytes.Compare(x.digits, y.digits)
	}
	return c * x.sign()
}

// appendJSONKey adds text that is the same for jsonb values that are equal: of numbers, their
// digits and the power of ten.
func appendJSONKey(dst, s []byte) []byte {
	var buf [40]byte
	for c := (jsonCursor{s: s}); c.i < len(s); {
		switch b := s[c.i]; {
		case b == '"':
			dst = append(dst, c.scalar()...)
		case b == '-' || b >= '0' && b <= '9':
			n := readNumber(c.scalar(), buf[:])
			if n.neg {
				dst = append(dst, '-')
			}
			dst = append(append(dst, n.digits...), 'e')
			dst = strconv.AppendInt(dst, int64(n.exp), 10)
		default:
			dst = append(dst, b)
			c.i++
		}
	}
	return dst
}
