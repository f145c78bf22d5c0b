package vec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/big"
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

func compareNumbers(a, b []byte) int {
	x, err1 := ParseDecimal(a)
	y, err2 := ParseDecimal(b)
	if err1 == nil && err2 == nil {
		return x.Cmp(y)
	}
	p, ok1 := new(big.Rat).SetString(string(a))
	q, ok2 := new(big.Rat).SetString(string(b))
	if ok1 && ok2 {
		return p.Cmp(q)
	}
	return bytes.Compare(a, b)
}

// appendJSONKey adds text that is the same for jsonb values that are equal: numbers lose the
// zeroes at their end.
func appendJSONKey(dst, s []byte) []byte {
	for c := (jsonCursor{s: s}); c.i < len(s); {
		switch b := s[c.i]; {
		case b == '"':
			dst = append(dst, c.scalar()...)
		case b == '-' || b >= '0' && b <= '9':
			x := c.scalar()
			if bytes.IndexByte(x, '.') >= 0 {
				x = bytes.TrimSuffix(bytes.TrimRight(x, "0"), []byte("."))
			}
			if string(x) == "-0" {
				x = x[1:]
			}
			dst = append(dst, x...)
		default:
			dst = append(dst, b)
			c.i++
		}
	}
	return dst
}
