package exec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// Numbers and texts are found to come before the last row wanted as values of any type are.
func TestBefore(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 11))
	floats := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, 1.5, -3}
	for range 500 {
		n := 1 + rnd.IntN(40)
		v := &vec.Vector{Type: vec.T(vec.Float8)}
		if rnd.IntN(2) == 0 {
			v.Type = vec.T(vec.Int8)
		}
		for i := range n {
			if v.Type.Kind == vec.Int8 {
				v.I64 = append(v.I64, int64(rnd.IntN(5)))
			} else {
				v.F64 = append(v.F64, floats[rnd.IntN(len(floats))])
			}
			if rnd.IntN(100) == 0 {
				v.Nulls = v.Nulls.Grow(n)
				v.Nulls.Set(i)
			}
		}
		b := &vec.Batch{Rows: n}
		if rnd.IntN(2) == 0 {
			b.Sel = []uint32{}
			for i := range n {
				if rnd.IntN(3) > 0 {
					b.Sel = append(b.Sel, uint32(i))
				}
			}
		}
		k := plan.SortKey{Desc: rnd.IntN(2) == 0, NullsFirst: rnd.IntN(2) == 0}
		last, have := rnd.IntN(n), v
		if rnd.IntN(2) == 0 { // texts with a dictionary
			dict := &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("", "a", "ab", "b", "é")}
			dict.Str.Ascending = rnd.IntN(4) > 0
			v = &vec.Vector{Type: dict.Type, Form: vec.Dict, Dict: dict, Nulls: v.Nulls, Codes: make([]uint32, n)}
			for i := range v.Codes {
				if !v.Nulls.Get(i) {
					v.Codes[i] = uint32(rnd.IntN(5))
				}
			}
			if have = v.Flatten(n); rnd.IntN(3) == 0 {
				have = &vec.Vector{Type: dict.Type, Str: vec.StringsOf("aa")} // which the dictionary lacks
				last = 0
			}
		}
		kept, same := before(v, have, last, k, b, nil)
		var wantKept, wantSame []uint32
		for _, r := range appendRows(nil, b) {
			switch c := comparePlaces(v, int(r), have, last, k.Desc, k.NullsFirst); {
			case c < 0:
				wantKept = append(wantKept, r)
			case c == 0:
				wantSame = append(wantSame, r)
			}
		}
		if !slices.Equal(kept, wantKept) || !slices.Equal(same, wantSame) {
			t.Fatalf("seed %d: before row %d of %v, %+v: %v and equal %v, want %v and %v", seed, last, v, k, kept, same, wantKept, wantSame)
		}
	}
}
