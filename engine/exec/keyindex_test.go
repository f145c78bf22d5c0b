package exec

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// indexKind is keys of a join that are found in one of the ways that there are.
type indexKind struct {
	name   string
	types  []vec.Type
	values func(rnd *rand.Rand, rows int) int64 // of a key of integers, or the number in one of text
	nulls  bool
	safe   []bool
	is     func(x *keyIndex) bool
}

func isDense(x *keyIndex) bool    { return x.dense != nil }
func isHashed(x *keyIndex) bool   { return x.hashed != nil }
func isNumbered(x *keyIndex) bool { return x.dense == nil && x.hashed == nil }

func indexKinds() []indexKind {
	int8s, text := vec.T(vec.Int8), vec.T(vec.Text)
	few := func(rnd *rand.Rand, rows int) int64 { return rnd.Int64N(int64(rows)/3 + 1) }
	one := func(*rand.Rand, int) int64 { return 7 }
	some := func(rnd *rand.Rand, _ int) int64 { return rnd.Int64N(denseFew) - denseFew/2 }
	far := func(rnd *rand.Rand, rows int) int64 { return rnd.Int64N(int64(rows))*1e12 - 1e15 }
	ends := func(rnd *rand.Rand, rows int) int64 {
		return []int64{math.MinInt64, math.MaxInt64, 0, -1}[rnd.IntN(4)]
	}
	return []indexKind{
		{name: "close together", types: []vec.Type{int8s}, values: few, is: isDense},
		{name: "close together, with NULL", types: []vec.Type{int8s}, values: few, nulls: true, is: isDense},
		{name: "one for all rows", types: []vec.Type{int8s}, values: one, is: isDense},
		{name: "some of a million", types: []vec.Type{int8s}, values: some, is: isDense},
		{name: "far apart", types: []vec.Type{int8s}, values: far, is: isHashed},
		{name: "far apart, with NULL", types: []vec.Type{int8s}, values: far, nulls: true, is: isHashed},
		{name: "at the ends", types: []vec.Type{int8s}, values: ends, is: isHashed},
		{name: "two in a word", types: []vec.Type{vec.T(vec.Int4), vec.T(vec.Int4)}, values: few, nulls: true, is: isHashed},
		{name: "two words", types: []vec.Type{int8s, int8s}, values: few, is: isHashed},
		{name: "one for all rows, in two words", types: []vec.Type{int8s, int8s}, values: one, is: isHashed},
		{name: "text", types: []vec.Type{text}, values: few, nulls: true, is: isNumbered},
		{name: "text and a number", types: []vec.Type{text, int8s}, values: few, is: isNumbered},
		{name: "NULL is a value", types: []vec.Type{int8s, int8s}, values: few, nulls: true, safe: []bool{true, false}, is: isNumbered},
	}
}

// keyValues is random keys, of which one in nine is NULL if there are such.
func (k *indexKind) keyValues(rnd *rand.Rand, rows, of int) []*vec.Vector {
	var out []*vec.Vector
	for _, t := range k.types {
		b := vec.NewBuilder(t)
		for range rows {
			x := k.values(rnd, of)
			switch {
			case k.nulls && rnd.IntN(9) == 0:
				b.AppendNull()
			case t.Payload() == vec.PayloadStr:
				b.V.Str.AppendString(fmt.Sprint(x))
			default:
				b.V.I64 = append(b.V.I64, x)
			}
		}
		if b.V.Nulls != nil {
			b.V.Nulls = b.V.Nulls.Grow(rows)
		}
		out = append(out, b.V)
	}
	return out
}

// keyText is the same for keys that are equal; it says false if the row has no match at all.
func keyText(keys []*vec.Vector, row int, safe []bool) (string, bool) {
	out := ""
	for i, k := range keys {
		switch {
		case !k.IsNull(row):
			x, at := k.At(row)
			if k.Type.Payload() == vec.PayloadStr {
				out += x.Str.Str(at) + " "
			} else {
				out += fmt.Sprint(x.I64[at], " ")
			}
		case safe == nil || !safe[i]:
			return "", false
		default:
			out += "NULL "
		}
	}
	return out, true
}

// joining is a join with such keys, whose right side is looked up.
func (k *indexKind) joining(kind plan.JoinKind, env *Env) *joining {
	side := &plan.Values{}
	n := &plan.Join{Left: side, Right: side, Kind: kind, NullSafe: k.safe}
	for i, t := range k.types {
		side.Columns = append(side.Columns, vec.Field{Name: fmt.Sprint("k", i), Type: t})
		n.LeftKeys, n.RightKeys = append(n.LeftKeys, &expr.Column{Index: i, T: t}), append(n.RightKeys, &expr.Column{Index: i, T: t})
	}
	return newJoining(n, env, slices.Repeat(columnSet{true}, len(n.Schema())))
}

// TestJoinTable reads random keys in one to three shares, and looks up others with one and two
// goroutines at work. Every row is found from the first one with its key, and no other.
func TestJoinTable(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, k := range indexKinds() {
		for _, count := range []int{0, 1, 100, 1000, 2*manyRows + 77} {
			for threads := 1; threads <= 2; threads++ {
				if testing.Short() && count > 1000 && (threads == 1 || rnd.IntN(2) == 0) {
					continue
				}
				env := &Env{Expr: &expr.Context{}, Threads: threads}
				kind := []plan.JoinKind{plan.InnerJoin, plan.FullJoin, plan.SemiJoin}[rnd.IntN(3)]
				s := k.joining(kind, env)
				where := fmt.Sprintf("seed %d: keys %s, join of kind %d, %d rows, %d threads", seed, k.name, kind, count, threads)
				all := k.keyValues(rnd, count, count+1)
				shares := make([]*joinShare, 1+rnd.IntN(3))
				for i := range shares {
					shares[i] = newJoinShare(s)
				}
				for lo := 0; lo < count; {
					hi := min(count, lo+1+rnd.IntN(2*vec.BatchRows))
					b := &vec.Batch{Rows: hi - lo}
					for _, v := range all {
						b.Cols = append(b.Cols, v.Slice(lo, hi))
					}
					if err := shares[rnd.IntN(len(shares))].add(t.Context(), b.Cols, b); err != nil {
						t.Fatal(err)
					}
					lo = hi
				}
				table, err := newJoinTable(t.Context(), s, shares)
				if err != nil {
					t.Fatal(err)
				}
				if count > 1 && !k.is(table.index) {
					t.Errorf("%s: the index is of another kind", where)
				}
				if held := env.statement().held.Load(); held != table.held {
					t.Errorf("%s: %d bytes are held, the table has %d", where, held, table.held)
				}
				want := map[string]int{}
				for r := range count {
					if key, ok := keyText(all, r, k.safe); ok {
						want[key]++
					}
				}
				asked := k.keyValues(rnd, vec.BatchRows, count+1)
				found, rows := make([]uint32, vec.BatchRows), firstRows(new([]uint32), vec.BatchRows)
				table.find(found, &finder{}, asked, rows)
				var there []uint32
				seen := map[uint32]bool{}
				for i, r := range found {
					key, ok := keyText(asked, i, k.safe)
					if !ok || want[key] == 0 {
						if r != noGroup {
							t.Fatalf("%s: key %q is found, and is not there", where, key)
						}
						continue
					}
					if r == noGroup {
						t.Fatalf("%s: key %q is not found", where, key)
					}
					there = append(there, uint32(i))
					if seen[r] || !s.keepsRows() {
						continue
					}
					seen[r] = true
					n := 0
					for at := r; at != noGroup; at = table.after(at) {
						if got, _ := keyText(table.out, int(at), k.safe); got != key {
							t.Fatalf("%s: row %d has key %q, want %q", where, at, got, key)
						}
						if n++; n > want[key] {
							break
						}
					}
					if n != want[key] {
						t.Fatalf("%s: key %q has %d rows, want %d", where, key, n, want[key])
					}
				}
				if len(asked) == 1 {
					kept := make([]uint32, len(rows))
					kept = kept[:table.keys[0].keep(kept, &finder{}, asked[0], rows)]
					if !slices.Equal(kept, there) {
						t.Errorf("%s: %d rows are kept, want %d", where, len(kept), len(there))
					}
				}
			}
		}
	}
}

// A table that is being made ends when its statement does, and holds nothing then.
func TestJoinTableCancelled(t *testing.T) {
	for _, k := range indexKinds() {
		env := &Env{Expr: &expr.Context{}, Threads: 2}
		s := k.joining(plan.InnerJoin, env)
		share := newJoinShare(s)
		b := &vec.Batch{Rows: 100, Cols: k.keyValues(rand.New(rand.NewPCG(1, 1)), 100, 100)}
		if err := share.add(t.Context(), b.Cols, b); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newJoinTable(ctx, s, []*joinShare{share})
		if held := env.statement().held.Load(); !errors.Is(err, context.Canceled) || held != 0 {
			t.Errorf("keys %s: newJoinTable gives error %v and holds %d bytes, want context canceled and 0", k.name, err, held)
		}
	}
}

// BenchmarkJoinTable makes a table of a million rows, and looks up four million keys, half of which
// are there, with one goroutine and with two.
func BenchmarkJoinTable(b *testing.B) {
	const count, asked = 1 << 20, 4 << 20
	rnd := rand.New(rand.NewPCG(1, 2))
	order := rnd.Perm(2 * count)
	for _, c := range []struct {
		name  string
		keys  int
		apart int64
	}{{"near", 1, 1}, {"far", 1, 1e9}, {"two", 2, 1}} {
		k := indexKind{types: slices.Repeat([]vec.Type{vec.T(vec.Int8)}, c.keys)}
		column := func(n int) (v []*vec.Vector) {
			for range c.keys {
				one := &vec.Vector{Type: k.types[0]}
				for i := range n {
					one.I64 = append(one.I64, int64(order[i%len(order)])*c.apart)
				}
				v = append(v, one)
			}
			return v
		}
		rows, keys := column(count), column(asked)
		for threads := 1; threads <= 2; threads++ {
			env := &Env{Expr: &expr.Context{}, Threads: threads}
			s := k.joining(plan.InnerJoin, env)
			var table *joinTable
			batches := func(v []*vec.Vector, n, w int, f func(*vec.Batch) error) error {
				for lo := w * vec.BatchRows; lo < n; lo += threads * vec.BatchRows {
					one := &vec.Batch{Rows: vec.BatchRows}
					for _, c := range v {
						one.Cols = append(one.Cols, c.Slice(lo, lo+vec.BatchRows))
					}
					if err := f(one); err != nil {
						return err
					}
				}
				return nil
			}
			b.Run(fmt.Sprintf("build/%s/%d", c.name, threads), func(b *testing.B) {
				b.SetBytes(int64(8 * count * c.keys))
				for b.Loop() {
					shares := make([]*joinShare, threads)
					err := parallel(b.Context(), threads, func(ctx context.Context, w int) error {
						shares[w] = newJoinShare(s)
						return batches(rows, count, w, func(one *vec.Batch) error { return shares[w].add(ctx, one.Cols, one) })
					})
					if err == nil {
						table, err = newJoinTable(b.Context(), s, shares)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("probe/%s/%d", c.name, threads), func(b *testing.B) {
				b.SetBytes(int64(8 * asked * c.keys))
				for b.Loop() {
					found := make([]int, threads)
					err := parallel(b.Context(), threads, func(_ context.Context, w int) error {
						f, dst, places := &finder{}, make([]uint32, vec.BatchRows), firstRows(new([]uint32), vec.BatchRows)
						return batches(keys, asked, w, func(one *vec.Batch) error {
							table.find(dst, f, one.Cols, places)
							for _, r := range dst {
								if r != noGroup {
									found[w]++
								}
							}
							return nil
						})
					})
					if n := found[0] + found[len(found)-1]*(threads-1); err != nil || n != asked/2 {
						b.Fatalf("%d keys are found, want %d, error %v", n, asked/2, err)
					}
				}
			})
		}
	}
}

// Of the build side a join keeps the columns that are read above it or by its condition, and gives
// NULL for others; of the probe side it passes on those.
func TestJoinKeepsWhatIsRead(t *testing.T) {
	int8s := vec.T(vec.Int8)
	side := &plan.Values{Columns: []vec.Field{{Name: "k", Type: int8s}, {Name: "a", Type: int8s}, {Name: "b", Type: int8s}}}
	column := func(i int) expr.Expr { return &expr.Column{Index: i, T: int8s} }
	less, err := expr.Resolve("<", []vec.Type{int8s, int8s})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		read, probe   columnSet
		on            expr.Expr
		stored, keyAt []int
	}{
		{columnSet{false, true, false, false, false, true}, columnSet{false, true, false}, nil, []int{2}, []int{1}},
		{columnSet{true, false, false, true, true, false}, columnSet{true, false, false}, nil, []int{0, 1}, []int{0}},
		{columnSet{false, false, false, false, false, false}, columnSet{false, false, true}, expr.NewCall(less, []expr.Expr{column(2), column(4)}), []int{1}, []int{1}},
	} {
		n := &plan.Join{Left: side, Right: side, LeftKeys: []expr.Expr{column(0)}, RightKeys: []expr.Expr{column(0)}, On: c.on}
		s := newJoining(n, &Env{Expr: &expr.Context{}, Threads: 1}, c.read)
		if !slices.Equal(s.stored, c.stored) || !slices.Equal(s.keyAt, c.keyAt) || !slices.Equal(s.probeRead, c.probe) {
			t.Errorf("read %v: columns %v are stored, keys at %v, and %v of the probe side are passed on, want %v, %v, %v", c.read, s.stored, s.keyAt, s.probeRead, c.stored, c.keyAt, c.probe)
		}
		b := &vec.Batch{Rows: 1}
		for i := range 3 {
			b.Cols = append(b.Cols, &vec.Vector{Type: int8s, I64: []int64{int64(i)}})
		}
		share := newJoinShare(s)
		if err := share.add(t.Context(), b.Cols[:1], s.keep(b)); err != nil {
			t.Fatal(err)
		}
		table, err := newJoinTable(t.Context(), s, []*joinShare{share})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range table.take([]uint32{0}) {
			if kept := slices.Contains(c.stored, i); v.IsNull(0) == kept || kept && v.I64[0] != int64(i) {
				t.Errorf("read %v: column %d of the table is %v", c.read, i, v)
			}
		}
		for i, v := range s.thin(b).Cols {
			if v.IsNull(0) == c.probe[i] {
				t.Errorf("read %v: column %d of the probe side is %v", c.read, i, v)
			}
		}
	}
}
