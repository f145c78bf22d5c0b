package vec

import (
	"bytes"
	"cmp"
	"math"
)

// Compare orders two values of the same type: -1, 0 or 1. Nulls are equal to each other and
// greater than every value; NaN is greater than every number, infinity included, and equal to itself, and
// -0 equals 0. Text orders by bytes.
func Compare(a *Vector, i int, b *Vector, j int) int {
	an, bn := a.IsNull(i), b.IsNull(j)
	if an || bn {
		switch {
		case an && bn:
			return 0
		case an:
			return 1
		}
		return -1
	}
	t := a.Type // which a dictionary need not have
	a, i = a.At(i)
	b, j = b.At(j)
	switch t.Payload() {
	case PayloadBools:
		return compareBool(a.Bools[i], b.Bools[j])
	case PayloadI64:
		return cmp.Compare(a.I64[i], b.I64[j])
	case PayloadF64:
		return CompareFloat(a.F64[i], b.F64[j])
	case PayloadDec:
		if len(a.I64) > 0 && len(b.I64) > 0 && a.Scale == b.Scale {
			return cmp.Compare(a.I64[i], b.I64[j])
		}
		return a.Decimal(i).Cmp(b.Decimal(j))
	case PayloadStr:
		if t.Kind == Bpchar {
			return bytes.Compare(bytes.TrimRight(a.Str.At(i), " "), bytes.TrimRight(b.Str.At(j), " "))
		}
		if t.Kind == JSONB {
			return compareJSON(a.Str.At(i), b.Str.At(j))
		}
		return bytes.Compare(a.Str.At(i), b.Str.At(j))
	case PayloadIvl:
		return CompareInterval(a.Ivl[i], b.Ivl[j])
	case PayloadUUIDs:
		return bytes.Compare(a.UUIDs[i][:], b.UUIDs[j][:])
	case PayloadList:
		x, xe := int(a.Offs[i]), int(a.Offs[i+1])
		y, ye := int(b.Offs[j]), int(b.Offs[j+1])
		for x < xe && y < ye {
			if c := Compare(a.Elem, x, b.Elem, y); c != 0 {
				return c
			}
			x, y = x+1, y+1
		}
		return cmp.Compare(xe-x, ye-y)
	}
	return 0
}

// Equal says whether two values of the same type are equal; nulls are equal to each other.
func Equal(a *Vector, i int, b *Vector, j int) bool { return Compare(a, i, b, j) == 0 }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// CompareFloat orders floats; NaN is greater than every number and equal to itself.
func CompareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return compareBool(a != a, b != b)
}

// CompareInterval orders intervals by length, a month being 30 days and a day 24 hours.
func CompareInterval(a, b IntervalValue) int {
	ad, am := spanOf(a)
	bd, bm := spanOf(b)
	if ad != bd {
		return cmp.Compare(ad, bd)
	}
	return cmp.Compare(am, bm)
}

const dayMicros = 24 * 60 * 60 * 1000000

// spanOf is an interval's length as whole days and the microseconds beyond, at least 0.
func spanOf(v IntervalValue) (days, micros int64) {
	days = int64(v.Months)*30 + int64(v.Days) + v.Micros/dayMicros
	micros = v.Micros % dayMicros
	if micros < 0 {
		days--
		micros += dayMicros
	}
	return days, micros
}

// AppendKey adds bytes that are equal for two values of one type exactly when Equal
// says so. The bytes of a value are not a prefix of another's, so keys of several columns
// can be put behind each other.
func AppendKey(dst []byte, v *Vector, row int) []byte {
	if v.IsNull(row) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	t := v.Type
	v, row = v.At(row)
	switch t.Payload() {
	case PayloadBools:
		if v.Bools[row] {
			return append(dst, 1)
		}
		return append(dst, 0)
	case PayloadI64:
		return appendUint64(dst, uint64(v.I64[row]))
	case PayloadF64:
		return appendUint64(dst, floatBits(v.F64[row]))
	case PayloadDec:
		d := v.Decimal(row).Trim()
		dst = appendUint64(dst, uint64(d.Hi))
		return append(appendUint64(dst, d.Lo), d.Scale)
	case PayloadStr:
		s := v.Str.At(row)
		switch t.Kind {
		case Bpchar:
			s = bytes.TrimRight(s, " ")
		case JSONB:
			s = appendJSONKey(nil, s)
		}
		n := uint32(len(s))
		dst = append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		return append(dst, s...)
	case PayloadIvl:
		d, m := spanOf(v.Ivl[row])
		return appendUint64(appendUint64(dst, uint64(d)), uint64(m))
	case PayloadUUIDs:
		return append(dst, v.UUIDs[row][:]...)
	case PayloadList:
		lo, hi := v.Offs[row], v.Offs[row+1]
		n := hi - lo
		dst = append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		for ; lo < hi; lo++ {
			dst = AppendKey(dst, v.Elem, int(lo))
		}
	}
	return dst
}

func appendUint64(dst []byte, x uint64) []byte {
	return append(dst, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
}

// floatBits is one bit pattern for all values that are equal: 0 and -0, every NaN.
func floatBits(f float64) uint64 {
	if f == 0 {
		return 0
	}
	if f != f {
		return 0x7ff8000000000001
	}
	return math.Float64bits(f)
}
