package agg

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Sums of numerics are those of large integers, however the values came: scaled or not, in one
// group or in several, in parts that are merged. The scale is the largest of the values'.
func TestScaledSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	spec := resolveSum([]vec.Type{vec.T(vec.Numeric)}, false)
	for range 300 {
		groups := 1 + rng.IntN(3)
		sums, scales, seen := make([]*big.Int, groups), make([]int, groups), make([]bool, groups)
		for g := range sums {
			sums[g] = new(big.Int)
		}
		parts := []State{spec.New(false, nil), spec.New(false, nil)}
		for _, part := range parts {
			part.Grow(groups)
		}
		for range 1 + rng.IntN(5) {
			n := rng.IntN(20)
			v := &vec.Vector{Type: vec.T(vec.Numeric), Scale: 2, Nulls: vec.NewBitmap(n)}
			if rng.IntN(4) == 0 {
				v.Scale = uint8(rng.IntN(4))
			}
			var to, rows []uint32
			for i := range n {
				x, g := rng.Int64()-rng.Int64(), rng.IntN(groups)
				v.I64 = append(v.I64, x)
				if rng.IntN(4) == 0 {
					continue // not a row that counts
				}
				to, rows = append(to, uint32(g)), append(rows, uint32(i))
				if rng.IntN(5) == 0 {
					v.Nulls.Set(i)
					continue
				}
				if up := int(v.Scale) - scales[g]; up > 0 {
					sums[g].Mul(sums[g], new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(up)), nil))
					scales[g] = int(v.Scale)
				}
				seen[g] = true
				sums[g].Add(sums[g], new(big.Int).Mul(big.NewInt(x), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scales[g]-int(v.Scale))), nil)))
			}
			if rng.IntN(3) == 0 {
				v.Dec, v.I64 = v.Decimals(), nil
			}
			if err := parts[rng.IntN(2)].Update(&expr.Context{}, to, []*vec.Vector{v}, rows); err != nil {
				t.Fatal(err)
			}
		}
		same := make([]uint32, groups)
		for g := range same {
			same[g] = uint32(g)
		}
		if err := parts[0].Merge(parts[1], same); err != nil {
			t.Fatal(err)
		}
		out, err := parts[0].Finish()
		if err != nil {
			t.Fatal(err)
		}
		for g := range groups {
			if out.IsNull(g) == seen[g] {
				t.Fatalf("group %d is null: %v", g, out.IsNull(g))
			}
			if d := out.Decimal(g); seen[g] && (d.Big().Cmp(sums[g]) != 0 || int(d.Scale) != scales[g]) {
				t.Fatalf("group %d: %v of scale %d, want %v of scale %d", g, d.Big(), d.Scale, sums[g], scales[g])
			}
		}
	}
}
