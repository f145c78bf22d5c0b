package vec

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// A vector of numerics is the same whether its values are scaled or not: to builders, in any
// order of what they are given, to Take, Compare, HashRow, keys and on the wire.
func TestScaled(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		rows := 1 + rng.IntN(40)
		plain, mixed := NewBuilder(T(Numeric)), NewBuilder(T(Numeric))
		for plain.V.Len() < rows {
			scale := uint8(2)
			if rng.IntN(60) == 0 {
				scale = uint8(rng.IntN(5))
			}
			part := &Vector{Type: T(Numeric), Scale: scale}
			for range 1 + rng.IntN(6) {
				part.I64 = append(part.I64, []int64{0, 1, -1, 100, -250, math.MaxInt64, math.MinInt64, rng.Int64()}[rng.IntN(8)])
			}
			wide := &Vector{Type: T(Numeric), Dec: part.Decimals()}
			if rng.IntN(30) == 0 {
				wide.Dec[0] = []Decimal{DecimalNaN, DecimalInf, DecimalNegInf, {Hi: 5, Lo: 6, Scale: 2}}[rng.IntN(4)]
				part = wide
			}
			for i, d := range wide.Dec {
				if rng.IntN(8) == 0 {
					plain.AppendNull()
					mixed.AppendNull()
					continue
				}
				plain.V.Dec = append(plain.V.Dec, d)
				switch rng.IntN(3) {
				case 0:
					mixed.AppendRows(part, i, i+1)
				case 1:
					mixed.AppendFrom(part, i)
				default:
					mixed.AppendFrom(&Vector{Type: T(Numeric), Form: Dict, Dict: part, Codes: []uint32{uint32(i)}}, 0)
				}
			}
		}
		rows = plain.V.Len()
		var some []uint32
		for i := range rows {
			if rng.IntN(2) == 0 {
				some = append(some, uint32(i))
			}
		}
		same := func(what string, a, b *Vector) {
			t.Helper()
			if a.Len() != b.Len() {
				t.Fatalf("%s: %d values, want %d", what, a.Len(), b.Len())
			}
			for i := range a.Len() {
				if a.IsNull(i) != b.IsNull(i) || !a.IsNull(i) && a.Decimal(i) != b.Decimal(i) {
					t.Fatalf("%s: value %d is %v, want %v", what, i, a.Decimal(i), b.Decimal(i))
				}
				if HashRow(a, i) != HashRow(b, i) || string(AppendKey(nil, a, i)) != string(AppendKey(nil, b, i)) {
					t.Fatalf("%s: value %d has another hash or key", what, i)
				}
				if j := rng.IntN(b.Len()); Compare(a, i, a, j) != Compare(b, i, b, j) || Compare(a, i, b, j) != Compare(b, i, a, j) {
					t.Fatalf("%s: values %d and %d have another order", what, i, j)
				}
			}
		}
		same("builder", mixed.V, plain.V)
		same("Take", mixed.V.Take(some), plain.V.Take(some))
		lo := rng.IntN(rows)
		same("Slice", mixed.V.Slice(lo, rows), plain.V.Slice(lo, rows))
		raw := AppendBatch(nil, &Batch{Rows: rows, Cols: []*Vector{mixed.V}})
		if want := AppendBatch(nil, &Batch{Rows: rows, Cols: []*Vector{plain.V}}); string(raw) != string(want) {
			t.Fatal("a batch with scaled values has other bytes")
		}
		back, err := DecodeBatch(raw)
		if err != nil {
			t.Fatal(err)
		}
		same("wire", back.Cols[0], plain.V)
	}
}

// Coefficients are multiplied and rescaled as large integers are, as far as 64 bits go.
func TestScaledProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	number := func() int64 { return rng.Int64()>>rng.IntN(63) - rng.Int64()>>rng.IntN(63)>>1 }
	for range 20_000 {
		a, b, by := number(), number(), rng.IntN(20)
		var dst [1]int64
		want := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		if ok := MulScaled(dst[:], []int64{a}, []int64{b}); ok != want.IsInt64() || ok && dst[0] != want.Int64() {
			t.Fatalf("%d × %d = %d, %v, want %v", a, b, dst[0], ok, want)
		}
		want.Mul(big.NewInt(a), bigPow10(by))
		if x, ok := Rescaled(a, by); ok != (want.IsInt64() && by <= 18) || ok && x != want.Int64() {
			t.Fatalf("%d with %d digits more is %d, %v, want %v", a, by, x, ok, want)
		}
	}
}
