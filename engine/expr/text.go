package expr

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/storage/vec"
)

// AppendText adds PostgreSQL's text form of a value. The value is not null. ctx gives the
// zone in which timestamptz is shown; nil or no zone means UTC.
func AppendText(dst []byte, v *vec.Vector, row int, ctx *Context) []byte {
	z := zoneOf(ctx)
	return appendText(dst, v, row, &z)
}

func appendText(dst []byte, v *vec.Vector, row int, z *zone) []byte {
	t := v.Type
	v, row = v.At(row)
	switch t.Payload() {
	case vec.PayloadBools:
		if v.Bools[row] {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case vec.PayloadI64:
		return appendInt(dst, t.Kind, v.I64[row], z)
	case vec.PayloadF64:
		if z.style.FewerDigits > 0 {
			return appendRoundFloat(dst, v.F64[row], t.Kind, z.style.FewerDigits-1)
		}
		return appendFloat(dst, v.F64[row], t.Kind)
	case vec.PayloadDec:
		return v.Decimal(row).Append(dst)
	case vec.PayloadIvl:
		if z.style.ISOIntervals {
			return appendISOInterval(dst, v.Ivl[row])
		}
		return AppendInterval(dst, v.Ivl[row])
	case vec.PayloadUUIDs:
		return AppendUUID(dst, v.UUIDs[row])
	case vec.PayloadStr:
		switch t.Kind {
		case vec.Bytea:
			if z.style.EscapedBytes {
				return appendEscaped(dst, v.Str.At(row))
			}
			dst = append(dst, `\x`...)
			return hex.AppendEncode(dst, v.Str.At(row))
		case vec.IntSet:
			return appendIntSet(dst, v.Str.At(row))
		}
		return append(dst, v.Str.At(row)...)
	case vec.PayloadList:
		return appendArray(dst, v, row, z)
	}
	return dst
}

func appendInt(dst []byte, k vec.Kind, x int64, z *zone) []byte {
	switch k {
	case vec.Date:
		if isInfinite(x) {
			return appendInfinite(dst, x)
		}
		dst, bc := appendDate(dst, x)
		if bc {
			dst = append(dst, " BC"...)
		}
		return dst
	case vec.Time:
		return appendClock(dst, x)
	case vec.Timestamp:
		return AppendTimestamp(dst, x)
	case vec.TimestampTZ:
		return z.append(dst, x)
	}
	if k.Unnamed() != k {
		return appendObject(dst, k, x, z.objects)
	}
	return strconv.AppendInt(dst, x, 10)
}

// appendFloat writes the shortest digits that read back as f, with an exponent where
// PostgreSQL writes one.
func appendFloat(dst []byte, f float64, k vec.Kind) []byte {
	switch {
	case f != f:
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	size, last := 64, 15
	if k == vec.Float4 {
		size, last = 32, 6
	}
	abs := math.Abs(f)
	if abs != 0 && (abs < 1e-4 || abs >= math.Pow10(last)) {
		dst = strconv.AppendFloat(dst, f, 'e', -1, size)
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, size)
}

// appendRoundFloat writes as many digits as are certain, or fewer by so many.
func appendRoundFloat(dst []byte, f float64, k vec.Kind, fewer int) []byte {
	digits, size := 15, 64
	if k == vec.Float4 {
		digits, size = 6, 32
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendFloat(dst, f, k)
	}
	digits = max(digits-fewer, 1)
	if exponent := exponentOf(f, digits); exponent < -4 || exponent >= digits {
		text := strconv.FormatFloat(f, 'e', digits-1, size)
		mantissa, power, _ := strings.Cut(text, "e")
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return append(append(append(dst, mantissa...), 'e'), power...)
	} else if text := strconv.FormatFloat(f, 'f', max(digits-1-exponent, 0), size); strings.Contains(text, ".") {
		return append(dst, strings.TrimRight(strings.TrimRight(text, "0"), ".")...)
	} else {
		return append(dst, text...)
	}
}

// exponentOf is the power of ten that a float has when it is written with so many digits.
func exponentOf(f float64, digits int) int {
	_, power, _ := strings.Cut(strconv.FormatFloat(f, 'e', digits-1, 64), "e")
	n, err := strconv.Atoi(power)
	if err != nil {
		return 0 // it always is a number
	}
	return n
}

// appendEscaped writes bytes as bytea_output = escape has them.
func appendEscaped(dst, raw []byte) []byte {
	for _, c := range raw {
		switch {
		case c == '\\':
			dst = append(dst, `\\`...)
		case c < ' ' || c > '~':
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendUUID writes a uuid with its dashes.
func AppendUUID(dst []byte, u vec.UUIDValue) []byte {
	dst = hex.AppendEncode(dst, u[:4])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, u[4:6])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, u[6:8])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, u[8:10])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, u[10:])
}

// appendArray writes {a,NULL,"b c"}.
func appendArray(dst []byte, v *vec.Vector, row int, z *zone) []byte {
	if v.Type.IsVector() {
		for j := v.Offs[row]; j < v.Offs[row+1]; j++ {
			if j > v.Offs[row] {
				dst = append(dst, ' ')
			}
			dst = appendText(dst, v.Elem, int(j), z)
		}
		return dst
	}
	dst = append(dst, '{')
	for j := v.Offs[row]; j < v.Offs[row+1]; j++ {
		if j > v.Offs[row] {
			dst = append(dst, ',')
		}
		if v.Elem.IsNull(int(j)) {
			dst = append(dst, "NULL"...)
			continue
		}
		start := len(dst)
		dst = appendText(dst, v.Elem, int(j), z)
		if quoteElement(dst[start:]) {
			text := string(dst[start:])
			dst = append(dst[:start], '"')
			for k := 0; k < len(text); k++ {
				if text[k] == '"' || text[k] == '\\' {
					dst = append(dst, '\\')
				}
				dst = append(dst, text[k])
			}
			dst = append(dst, '"')
		}
	}
	return append(dst, '}')
}

func quoteElement(s []byte) bool {
	if len(s) == 0 || len(s) == 4 && lower(string(s)) == "null" {
		return true
	}
	for _, c := range s {
		switch c {
		case '"', '\\', '{', '}', ',', ' ', '\t', '\n', '\r', '\v', '\f':
			return true
		}
	}
	return false
}
