package api

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// appendValue adds a value as JSON: numbers as numbers, times as ISO 8601 in UTC, jsonb
// as it is, everything else as the string that SQL prints.
func appendValue(dst []byte, col *vec.Vector, row int, ctx *expr.Context) []byte {
	if col.IsNull(row) {
		return append(dst, "null"...)
	}
	v, i := col.At(row)
	if v.Type.Array {
		dst = append(dst, '[')
		for j := int(v.Offs[i]); j < int(v.Offs[i+1]); j++ {
			if j > int(v.Offs[i]) {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, v.Elem, j, ctx)
		}
		return append(dst, ']')
	}
	switch v.Type.Kind {
	case vec.Bool:
		return strconv.AppendBool(dst, v.Bools[i])
	case vec.Int2, vec.Int4, vec.Int8, vec.OID:
		return strconv.AppendInt(dst, v.I64[i], 10)
	case vec.Float4, vec.Float8:
		return appendFloat(dst, v.F64[i], v.Type.Kind == vec.Float4)
	case vec.Numeric:
		at := len(dst)
		dst = expr.AppendText(dst, col, row, ctx)
		if c := dst[len(dst)-1]; c < '0' || c > '9' { // NaN
			return appendString(dst[:at], string(dst[at:]))
		}
		return dst
	case vec.Date:
		return appendTime(dst, v.I64[i], "2006-01-02", 86_400_000_000)
	case vec.Timestamp:
		return appendTime(dst, v.I64[i], "2006-01-02T15:04:05.999999", 1)
	case vec.TimestampTZ:
		return appendTime(dst, v.I64[i], "2006-01-02T15:04:05.999999Z", 1)
	case vec.JSONB:
		return append(dst, v.Str.At(i)...)
	case vec.Text, vec.Varchar, vec.Name, vec.Unknown, vec.Char:
		return appendString(dst, v.Str.Str(i))
	case vec.Void:
		return append(dst, "null"...)
	}
	return appendString(dst, string(expr.AppendText(nil, col, row, ctx)))
}

// appendTime adds a time of unit microseconds since 1970.
func appendTime(dst []byte, n int64, layout string, unit int64) []byte {
	switch n {
	case vec.InfinityTime:
		return append(dst, `"infinity"`...)
	case vec.NegInfinityTime:
		return append(dst, `"-infinity"`...)
	}
	t := time.UnixMicro(n)
	if unit > 1 {
		t = time.Unix(n*(unit/1_000_000), 0)
	}
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, layout)
	return append(dst, '"')
}

func appendFloat(dst []byte, f float64, single bool) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	size := 64
	if single {
		size = 32
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, size)
}

// appendString adds a string with JSON's escapes.
func appendString(dst []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	escaped, _ := json.Marshal(s) // strings always marshal
	return append(dst, escaped...)
}
