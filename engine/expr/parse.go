package expr

import (
	"encoding/hex"
	"errors"
	"math"

	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// badText is the error for text that is not a value of a type.
func badText(kind, s string) error {
	return pgerr.New(pgerr.InvalidText, "invalid input syntax for type %s: \"%s\"", kind, s)
}

const blanks = event.Blanks

func parseInt(s string, t vec.Type) (int64, error) {
	lo, hi := intRange(t.Kind)
	i, n := 0, len(s)
	for i < n && strings.IndexByte(blanks, s[i]) >= 0 {
		i++
	}
	for n > i && strings.IndexByte(blanks, s[n-1]) >= 0 {
		n--
	}
	neg := false
	if i < n && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	if i == n {
		return 0, badText(t.String(), s)
	}
	var x uint64
	over := false
	for ; i < n; i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, badText(t.String(), s)
		}
		if x > (math.MaxUint64-9)/10 {
			over = true
			continue
		}
		x = x*10 + uint64(c)
	}
	v := int64(x)
	if neg {
		over = over || x > 1<<63
		v = -v
	} else {
		over = over || x > math.MaxInt64
	}
	if over || v < lo || v > hi {
		return 0, pgerr.New(pgerr.NumericOutOfRange, "value \"%s\" is out of range for type %s", s, t)
	}
	return v, nil
}

func parseFloat64(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func parseFloat(s string, t vec.Type) (float64, error) {
	size := 64
	if t.Kind == vec.Float4 {
		size = 32
	}
	f, err := event.ParseFloat(s, size)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, pgerr.New(pgerr.NumericOutOfRange, "\"%s\" is out of range for type %s", strings.Trim(s, blanks), t)
	case err != nil:
		return 0, badText(t.String(), s)
	}
	return f, nil
}

func parseNumeric(s string) (vec.Decimal, error) {
	x := strings.Trim(s, blanks)
	d, err := vec.ParseDecimal([]byte(x))
	if errors.Is(err, vec.ErrDecimalSyntax) {
		return d, badText("numeric", s)
	}
	return d, decimalError(err)
}

func parseBool(s string) (bool, error) {
	x := lower(strings.Trim(s, blanks))
	if x != "" {
		for _, w := range [...]string{"true", "yes", "on", "1"} {
			if strings.HasPrefix(w, x) && x != "o" {
				return true, nil
			}
		}
		for _, w := range [...]string{"false", "no", "off", "0"} {
			if strings.HasPrefix(w, x) && x != "o" {
				return false, nil
			}
		}
	}
	return false, badText("boolean", s)
}

func parseUUID(s string) (u vec.UUIDValue, err error) {
	x := s
	if len(x) >= 2 && x[0] == '{' && x[len(x)-1] == '}' {
		x = x[1 : len(x)-1]
	}
	var digits [32]byte
	n := 0
	for i := 0; i < len(x); i++ {
		if x[i] == '-' {
			if n == 0 || n%4 != 0 || i > 0 && x[i-1] == '-' {
				return u, badText("uuid", s)
			}
			continue
		}
		if n == 32 {
			return u, badText("uuid", s)
		}
		digits[n] = x[i]
		n++
	}
	if n != 32 || x[len(x)-1] == '-' {
		return u, badText("uuid", s)
	}
	if _, err := hex.Decode(u[:], digits[:]); err != nil {
		return u, badText("uuid", s)
	}
	return u, nil
}

func parseBytea(dst []byte, s string) ([]byte, error) {
	if strings.HasPrefix(s, `\x`) {
		text := strings.Map(func(r rune) rune {
			if r < 128 && strings.IndexByte(blanks, byte(r)) >= 0 {
				return -1
			}
			return r
		}, s[2:])
		out, err := hex.AppendDecode(dst, []byte(text))
		if err != nil {
			if errors.Is(err, hex.ErrLength) {
				return dst, pgerr.New(pgerr.InvalidText, "invalid hexadecimal data: odd number of digits")
			}
			return dst, pgerr.New(pgerr.InvalidParameterValue, "invalid hexadecimal digit in \"%s\"", s)
		}
		return out, nil
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\\' {
			dst = append(dst, '\\')
			i++
			continue
		}
		if i+3 >= len(s) || s[i+1] > '3' {
			return dst, badText("bytea", s)
		}
		x := 0
		for _, c := range []byte(s[i+1 : i+4]) {
			if c < '0' || c > '7' {
				return dst, badText("bytea", s)
			}
			x = x*8 + int(c-'0')
		}
		dst = append(dst, byte(x))
		i += 3
	}
	return dst, nil
}

// splitArray cuts an array literal into its elements; null tells NULL from "NULL".
func splitArray(s string) (elems []string, null []bool, err error) {
	bad := func(detail string) ([]string, []bool, error) {
		return nil, nil, pgerr.New(pgerr.InvalidText, "malformed array literal: \"%s\"", s).WithDetail("%s", detail)
	}
	x := strings.Trim(s, blanks)
	if len(x) < 2 || x[0] != '{' {
		return bad("Array value must start with \"{\" or dimension information.")
	}
	if x[len(x)-1] != '}' {
		return bad("Unexpected end of input.")
	}
	x = x[1 : len(x)-1]
	if strings.Trim(x, blanks) == "" {
		return nil, nil, nil
	}
	for i := 0; ; {
		for i < len(x) && strings.IndexByte(blanks, x[i]) >= 0 {
			i++
		}
		var sb []byte
		quoted := false
		switch {
		case i < len(x) && x[i] == '{':
			return nil, nil, pgerr.Unsupported("an array of more than one dimension")
		case i < len(x) && x[i] == '"':
			quoted = true
			for i++; ; i++ {
				if i >= len(x) {
					return bad("Unexpected end of input.")
				}
				if x[i] == '"' {
					i++
					break
				}
				if x[i] == '\\' {
					if i++; i >= len(x) {
						return bad("Unexpected end of input.")
					}
				}
				sb = append(sb, x[i])
			}
			for i < len(x) && strings.IndexByte(blanks, x[i]) >= 0 {
				i++
			}
		default:
			for i < len(x) && x[i] != ',' {
				switch x[i] {
				case '"', '{', '}':
					return bad("Incorrectly quoted array element.")
				case '\\':
					if i++; i >= len(x) {
						return bad("Unexpected end of input.")
					}
				}
				sb = append(sb, x[i])
				i++
			}
			sb = []byte(strings.TrimRight(string(sb), blanks))
			if len(sb) == 0 {
				return bad("Unexpected \",\" character.")
			}
		}
		elems = append(elems, string(sb))
		null = append(null, !quoted && lower(string(sb)) == "null")
		if i >= len(x) {
			return elems, null, nil
		}
		if x[i] != ',' {
			return bad("Unexpected array element.")
		}
		if i++; i >= len(x) {
			return bad("Unexpected \"}\" character.")
		}
	}
}
