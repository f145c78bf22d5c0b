package vec

import (
	"fmt"
	"testing"
)

// A slice has the rows that it was cut from, whatever the form, and takes no more memory.
func TestSlice(t *testing.T) {
	const rows = 200
	types := []Type{T(Bool), T(Int8), T(Float8), T(Numeric), T(Interval), T(UUID), T(Text), ArrayOf(Text)}
	for _, typ := range types {
		b := NewBuilder(typ)
		for i := range rows {
			if i%7 == 3 {
				b.AppendNull()
				continue
			}
			one := NewBuilder(typ)
			one.V.appendZero()
			switch typ.Payload() {
			case PayloadI64:
				one.V.I64[0] = int64(i)
			case PayloadStr:
				one.V.Str = StringsOf(fmt.Sprint("text ", i))
			case PayloadList:
				one.V.Elem.Str, one.V.Offs[1] = StringsOf("a", fmt.Sprint(i)), 2
			}
			b.AppendFrom(one.V, 0)
		}
		codes := make([]uint32, rows)
		for i := range codes {
			codes[i] = uint32(rows - 1 - i)
		}
		for _, v := range []*Vector{b.V, {Type: typ, Form: Dict, Codes: codes, Dict: b.V}} {
			for _, cut := range [][2]int{{0, rows}, {0, 0}, {64, 128}, {3, 100}, {199, 200}, {70, 71}} {
				s := v.Slice(cut[0], cut[1])
				if s.Len() != cut[1]-cut[0] || s.Bytes() > v.Bytes()+64 {
					t.Fatalf("%v: rows %v are %d in %d bytes", typ, cut, s.Len(), s.Bytes())
				}
				for i := range s.Len() {
					if !Equal(s, i, v, cut[0]+i) {
						t.Fatalf("%v: row %d of rows %v differs", typ, i, cut)
					}
				}
			}
		}
	}
	if c := NullConst(T(Int8)); c.Slice(5, 9) != c {
		t.Error("a constant does not stay one")
	}
}
