package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// sortColumn is n random values of a type with words, of which few differ, or of another.
func sortColumn(rnd *rand.Rand, kind vec.Kind, n int) *vec.Vector {
	b := vec.NewBuilder(vec.T(kind))
	nulls := rnd.IntN(3) * 5
	variety := []int{2, 30, 100_000}[rnd.IntN(3)]
	for range n {
		x := rnd.IntN(variety) - variety/2
		if rnd.IntN(100) < nulls {
			b.AppendNull()
			continue
		}
		one := &vec.Vector{Type: vec.T(kind), Form: vec.Const}
		switch one.Type.Payload() {
		case vec.PayloadBools:
			one.Bools = []bool{x%2 == 0}
		case vec.PayloadI64:
			one.I64 = []int64{[]int64{int64(x), int64(x) << 40, math.MaxInt64, math.MinInt64}[rnd.IntN(8)/2]}
		case vec.PayloadF64:
			one.F64 = []float64{[]float64{float64(x), float64(x) / 7, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), 0, -float64(x)}[rnd.IntN(8)]}
		case vec.PayloadUUIDs:
			id := vec.UUIDValue{0: byte(x), 7: byte(rnd.IntN(2)), 15: byte(x >> 8)}
			one.UUIDs = []vec.UUIDValue{id}
		case vec.PayloadStr:
			text := []string{"", "a", "a\x00", "eight by", "eight by\x00", fmt.Sprint(x), fmt.Sprintf("https://example.com/a/long/path/%d", x), fmt.Sprintf("%08d", x)}[rnd.IntN(8)]
			one.Str = vec.StringsOf(text)
		case vec.PayloadIvl:
			one.Ivl = []vec.IntervalValue{{Days: int32(x)}}
		}
		b.AppendFrom(one, 0)
	}
	return b.V
}

// Rows come in the order in which they come if each is compared with others, equal ones as
// they are, whatever is sorted already.
func TestSortRows(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 3))
	kinds := []vec.Kind{vec.Bool, vec.Int8, vec.Float8, vec.UUID, vec.Text, vec.Bytea, vec.Bpchar, vec.Interval}
	for range tries(150) {
		n := rnd.IntN([]int{3, 300, 3000}[rnd.IntN(3)])
		if rnd.IntN(50) == 0 {
			n += sortRun
		}
		var keys []plan.SortKey
		var cols []*vec.Vector
		for range 1 + rnd.IntN(3) {
			keys = append(keys, plan.SortKey{Desc: rnd.IntN(2) == 0, NullsFirst: rnd.IntN(2) == 0})
			cols = append(cols, sortColumn(rnd, kinds[rnd.IntN(len(kinds))], n))
		}
		o := newRowOrder(keys, cols, n)
		want := make([]uint32, n)
		for i := range want {
			want[i] = uint32(i)
		}
		few, most := slices.Clone(want), rnd.IntN(2*insertionRows)
		slices.SortStableFunc(want, func(a, b uint32) int { return o.compareFrom(0, a, b) })
		o.firstFew(few, most)
		if got, want := few[:min(n, most)], want[:min(n, most)]; !slices.Equal(got, want) {
			t.Fatalf("seed %d: the first %d of %d rows are %v, want %v", seed, most, n, got, want)
		}
		var parts []int
		if n > 0 && rnd.IntN(2) == 0 { // a part is sorted
			end := 1 + rnd.IntN(n)
			first := make([]uint32, end)
			for i := range first {
				first[i] = uint32(i)
			}
			slices.SortStableFunc(first, func(a, b uint32) int { return o.compareFrom(0, a, b) })
			if slices.IsSorted(first) {
				parts = append(parts, end)
			}
		}
		got, err := sortRows(t.Context(), n, parts, o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d rows by %v are in another order", seed, n, keys)
		}
		for range 100 {
			if n > 0 {
				if a, b := uint32(rnd.IntN(n)), uint32(rnd.IntN(n)); o.compare(a, b) != o.compareFrom(0, a, b) {
					t.Fatalf("seed %d: rows %d and %d compare as %d, want %d", seed, a, b, o.compare(a, b), o.compareFrom(0, a, b))
				}
			}
		}
	}
}

func BenchmarkSortRows(b *testing.B) {
	const n = 1 << 16
	rnd := rand.New(rand.NewPCG(1, 1))
	people := make([]vec.UUIDValue, n/8)
	for i := range people {
		for c := range people[i] {
			people[i][c] = byte(rnd.Uint32())
		}
	}
	person, at, name := vec.NewBuilder(vec.T(vec.UUID)), vec.NewBuilder(vec.T(vec.Int8)), vec.NewBuilder(vec.T(vec.Text))
	for range n {
		person.AppendFrom(&vec.Vector{Type: vec.T(vec.UUID), Form: vec.Const, UUIDs: []vec.UUIDValue{people[rnd.IntN(len(people))]}}, 0)
		at.AppendFrom(&vec.Vector{Type: vec.T(vec.Int8), Form: vec.Const, I64: []int64{rnd.Int64N(1 << 43)}}, 0)
		name.AppendFrom(&vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(fmt.Sprintf("/page/%d", rnd.IntN(5000)))}, 0)
	}
	for _, c := range []struct {
		name string
		cols []*vec.Vector
	}{{"number", []*vec.Vector{at.V}}, {"person and time", []*vec.Vector{person.V, at.V}}, {"text and time", []*vec.Vector{name.V, at.V}}} {
		keys := make([]plan.SortKey, len(c.cols))
		b.Run(c.name+"/words", func(b *testing.B) {
			for b.Loop() {
				if _, err := sortRows(b.Context(), n, nil, newRowOrder(keys, c.cols, n)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/compared", func(b *testing.B) {
			for b.Loop() {
				o := &rowOrder{keys: keys, cols: c.cols}
				order := firstRows(new([]uint32), n)
				slices.SortStableFunc(order, func(x, y uint32) int { return o.compareFrom(0, x, y) })
			}
		})
	}
}
