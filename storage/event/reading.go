package event

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// Reading is what the value of a property is read as. What is not one is null.
type Reading uint8

// The readings.
const (
	ReadText   Reading = iota // Text: numbers as AppendPlain writes them
	ReadDigits                // Text: numbers as they were written, which is what ->> gives
	ReadFloat                 // Float8: numbers, and text that is one
	ReadCast                  // Float8: what a cast of the text to double precision gives
	ReadBool                  // Bool: booleans, and the texts true and false
	ReadTime                  // TimestampTZ: text that is an instant
	ReadJSON                  // JSONB: any value
	Readings                  // how many there are
)

// ReadingOf is how to read a property as a type. Digits asks for numbers in a text as they
// were written, and for those that a cast of such a text gives.
func ReadingOf(t vec.Type, digits bool) (Reading, bool) {
	if !t.Array {
		switch t.Kind {
		case vec.Text:
			if digits {
				return ReadDigits, true
			}
			return ReadText, true
		case vec.Float8:
			if digits {
				return ReadCast, true
			}
			return ReadFloat, true
		case vec.Bool:
			return ReadBool, true
		case vec.TimestampTZ:
			return ReadTime, true
		case vec.JSONB:
			return ReadJSON, true
		}
	}
	return 0, false
}

// Type is the SQL type that the reading gives.
func (as Reading) Type() vec.Type {
	return vec.T([Readings]vec.Kind{vec.Text, vec.Text, vec.Float8, vec.Float8, vec.Bool, vec.TimestampTZ, vec.JSONB}[as])
}

// Reader makes a flat vector of values that are read one after the other.
type Reader struct {
	V    *vec.Vector
	as   Reading
	zone *time.Location
}

// NewReader reads about n values. A time without an offset is by the clocks of zone; nil is
// UTC.
func NewReader(as Reading, zone *time.Location, n int) *Reader {
	v := &vec.Vector{Type: as.Type()}
	switch v.Type.Payload() {
	case vec.PayloadStr:
		v.Str = vec.MakeStrings(n, 0)
	case vec.PayloadF64:
		v.F64 = make([]float64, 0, n)
	case vec.PayloadBools:
		v.Bools = make([]bool, 0, n)
	case vec.PayloadI64:
		v.I64 = make([]int64, 0, n)
	}
	return &Reader{v, as, zone}
}

// Fork is a reader that goes on after what was read, and leaves V of the other as it is. The
// other must not be used any more.
func (r *Reader) Fork() *Reader {
	v := *r.V
	v.Nulls = slices.Clone(v.Nulls) // whose last word is not full
	return &Reader{&v, r.as, r.zone}
}

// Null adds a null.
func (r *Reader) Null() {
	b := vec.Builder{V: r.V}
	b.AppendNull()
}

// endText ends a text that was added to the bytes of all.
func (r *Reader) endText(all []byte) {
	r.V.Str.Bytes = all
	r.V.Str.Offs = append(r.V.Str.Offs, uint32(len(all)))
}

// Bool adds a value of kind Bool.
func (r *Reader) Bool(x bool) {
	switch r.as {
	case ReadBool:
		r.V.Bools = append(r.V.Bools, x)
	case ReadText, ReadDigits, ReadJSON:
		r.endText(strconv.AppendBool(r.V.Str.Bytes, x))
	default:
		r.Null()
	}
}

// Int adds a value of kind Int.
func (r *Reader) Int(x int64) {
	switch r.as {
	case ReadFloat, ReadCast:
		r.V.F64 = append(r.V.F64, float64(x))
	case ReadText, ReadDigits, ReadJSON:
		r.endText(strconv.AppendInt(r.V.Str.Bytes, x, 10))
	default:
		r.Null()
	}
}

// Float adds a value of kind Float.
func (r *Reader) Float(x float64) {
	switch r.as {
	case ReadFloat, ReadCast:
		r.V.F64 = append(r.V.F64, x)
	case ReadText:
		r.endText(AppendPlain(r.V.Str.Bytes, x))
	case ReadDigits, ReadJSON:
		r.endText(AppendFloat(r.V.Str.Bytes, x))
	default:
		r.Null()
	}
}

// Text adds a value of kind Null, Number, Text or JSON by its bytes.
func (r *Reader) Text(kind Kind, text []byte) {
	switch r.as {
	case ReadText:
		switch kind {
		case Null:
			r.Null()
		case Number:
			r.endText(AppendPlainNumber(r.V.Str.Bytes, text))
		default:
			r.V.Str.Append(text)
		}
		return
	case ReadDigits:
		if kind == Null {
			break
		}
		r.V.Str.Append(text)
		return
	case ReadJSON:
		switch kind {
		case Null:
			r.V.Str.AppendString("null")
		case Text:
			r.endText(AppendJSONString(r.V.Str.Bytes, text))
		default:
			r.V.Str.Append(text)
		}
		return
	case ReadFloat:
		if kind != Number && kind != Text {
			break
		}
		if f, ok := ParseNumber(text); ok {
			r.V.F64 = append(r.V.F64, f)
			return
		}
	case ReadCast:
		if kind != Number && kind != Text {
			break
		}
		if f, err := ParseFloat(string(text), 64); err == nil {
			r.V.F64 = append(r.V.F64, f)
			return
		}
	case ReadBool:
		if kind != Text {
			break
		}
		if s := string(text); s == "true" || s == "false" {
			r.V.Bools = append(r.V.Bools, s == "true")
			return
		}
	case ReadTime:
		if kind != Text {
			break
		}
		if t, ok := ParseTime(text, r.zone); ok {
			r.V.I64 = append(r.V.I64, t)
			return
		}
	}
	r.Null()
}

// KindOf is the kind of a value given as canonical jsonb text, and its bytes as a batch
// holds them. Every number is one of kind Number.
func KindOf(value []byte) (Kind, []byte) {
	if len(value) == 0 {
		return Null, nil
	}
	switch value[0] {
	case '"':
		return Text, unquote(value)
	case '{', '[':
		return JSON, value
	case 't', 'f':
		return Bool, value
	case 'n':
		return Null, nil
	}
	return Number, value
}

// unquote is the text of a string as AppendJSONString writes it.
func unquote(quoted []byte) []byte {
	if len(quoted) < 2 {
		return nil
	}
	text := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			out = append(out, c)
			continue
		}
		i++
		switch c = text[i]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u': // only control characters are written so
			if u, err := strconv.ParseUint(string(text[min(i+1, len(text)):min(i+5, len(text))]), 16, 8); err == nil {
				c = byte(u)
				i += 4
			}
		}
		out = append(out, c)
	}
	return out
}

// ParseNumber reads a decimal number. Neither hexadecimal digits nor infinities are one.
func ParseNumber(text []byte) (float64, bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return 0, false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// Blanks are the characters that may stand around a value in a text.
const Blanks = " \t\n\r\v\f"

// ParseFloat reads a number of so many bits as a cast does: NaN and infinities are some, and blanks
// around it do not count. The error is strconv.ErrSyntax or strconv.ErrRange.
func ParseFloat(text string, bits int) (float64, error) {
	if !digitsOnly(text) { // few are not
		text = strings.Trim(text, Blanks)
		switch strings.ToLower(text) {
		case "nan":
			return math.NaN(), nil
		case "infinity", "+infinity", "inf", "+inf":
			return math.Inf(1), nil
		case "-infinity", "-inf":
			return math.Inf(-1), nil
		}
		if strings.ContainsAny(text, "_xXpPnN") {
			return 0, strconv.ErrSyntax
		}
	}
	f, err := strconv.ParseFloat(text, bits)
	if err != nil {
		return 0, errors.Unwrap(err)
	}
	return f, nil
}

// digitsOnly says whether a text has nothing but digits and what may stand between them in a
// decimal number.
func digitsOnly(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// AppendFloat is the text of a number of kind Float.
func AppendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// longestWhole is how many digits a whole number has that is written without an exponent.
const longestWhole = 21

// AppendPlain writes a number as text that people compare and group by: the shortest that
// reads back as the same number, a whole number without a fraction, and with an exponent
// only from 1e21 up.
func AppendPlain(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0') // and not -0
	}
	if math.Abs(f) >= 1e21 {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// AppendPlainNumber is AppendPlain for a number in a JSON text. A whole number that is
// written out keeps all of its digits, also where a float has fewer: they may be an id.
func AppendPlainNumber(dst, text []byte) []byte {
	digits := bytes.TrimPrefix(text, []byte("-"))
	whole := len(digits) <= longestWhole
	for _, c := range digits {
		whole = whole && c >= '0' && c <= '9'
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if whole && f != 0 || err != nil { // or beyond what a float holds
		return append(dst, text...)
	}
	return AppendPlain(dst, f)
}
