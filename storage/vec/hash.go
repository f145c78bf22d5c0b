package vec

import (
	"bytes"

	"github.com/zeebo/xxh3"
)

// nullHash is the hash of a null of any type.
const nullHash = 0x9ae16a3b2f90404f

// Mix turns an integer into a hash: every bit of x moves every bit of the result.
func Mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

func combine(h, x uint64) uint64 { return Mix(h*0x9e3779b97f4a7c15 + x) }

// HashRow is the hash of one value: equal values, as Equal has it, have equal hashes. It
// is stable between releases, and the same for all integer types.
func HashRow(v *Vector, row int) uint64 {
	if v.IsNull(row) {
		return nullHash
	}
	t := v.Type
	v, row = v.At(row)
	switch t.Payload() {
	case PayloadBools:
		if v.Bools[row] {
			return Mix(1)
		}
		return Mix(0)
	case PayloadI64:
		return Mix(uint64(v.I64[row]))
	case PayloadF64:
		return Mix(floatBits(v.F64[row]))
	case PayloadDec:
		d := v.Decimal(row).Trim()
		return combine(combine(Mix(d.Lo), uint64(d.Hi)), uint64(d.Scale))
	case PayloadStr:
		s := v.Str.At(row)
		switch t.Kind {
		case Bpchar:
			s = bytes.TrimRight(s, " ")
		case JSONB:
			s = appendJSONKey(nil, s)
		}
		return xxh3.Hash(s)
	case PayloadIvl:
		d, m := spanOf(v.Ivl[row])
		return combine(Mix(uint64(d)), uint64(m))
	case PayloadUUIDs:
		return xxh3.Hash(v.UUIDs[row][:])
	case PayloadList:
		h := uint64(0)
		for j := v.Offs[row]; j < v.Offs[row+1]; j++ {
			h = combine(h, HashRow(v.Elem, int(j)))
		}
		return h
	}
	return 0
}

// HashRows sets dst[i] to the hash of row rows[i] over the columns.
func HashRows(dst []uint64, cols []*Vector, rows []uint32) {
	dst = dst[:len(rows)]
	for c, v := range cols {
		switch {
		case c == 0 && v.Form == Flat && len(v.Nulls) == 0 && v.Type.Payload() == PayloadI64:
			for i, r := range rows {
				dst[i] = Mix(uint64(v.I64[r]))
			}
		case c == 0:
			for i, r := range rows {
				dst[i] = HashRow(v, int(r))
			}
		default:
			for i, r := range rows {
				dst[i] = combine(dst[i], HashRow(v, int(r)))
			}
		}
	}
	if len(cols) == 0 {
		clear(dst)
	}
}
