package expr

import (
	"encoding/hex"
	"math"
	"strconv"

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
		return appendFloat(dst, v.F64[row], t.Kind)
	case vec.PayloadDec:
		return v.Dec[row].Append(dst)
	case vec.PayloadIvl:
		return AppendInterval(dst, v.Ivl[row])
	case vec.PayloadUUIDs:
		return AppendUUID(dst, v.UUIDs[row])
	case vec.PayloadStr:
		switch t.Kind {
		case vec.Bytea:
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
	case vec.RegClass, vec.RegType, vec.RegProc, vec.RegNamespace, vec.RegRole:
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
