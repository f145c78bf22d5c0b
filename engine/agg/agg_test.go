package agg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// shape turns a flat vector into one of the forms; a constant only if all rows agree.
func shape(r *rand.Rand, v *vec.Vector, dict *vec.Vector, codes []uint32) *vec.Vector {
	if dict != nil && r.IntN(2) == 0 {
		return &vec.Vector{Type: v.Type, Form: vec.Dict, Dict: dict, Codes: codes, Nulls: v.Nulls}
	}
	return v
}

// randomColumn is n values out of few, some null, with the dictionary that it was made of.
func randomColumn(r *rand.Rand, t vec.Type, n int, dict *vec.Vector) (v *vec.Vector, codes []uint32) {
	b := vec.NewBuilder(t)
	for range n {
		if r.IntN(8) == 0 {
			b.AppendNull()
			codes = append(codes, 0)
			continue
		}
		c := r.IntN(dict.Len())
		codes = append(codes, uint32(c))
		b.AppendFrom(dict, c)
	}
	return b.V, codes
}

func dictionary(t vec.Type, n int) *vec.Vector {
	b := vec.NewBuilder(t)
	for i := range n {
		switch t.Payload() {
		case vec.PayloadI64:
			b.V.I64 = append(b.V.I64, int64(i*37%n)-3)
		case vec.PayloadF64:
			b.V.F64 = append(b.V.F64, float64(i)/4)
		case vec.PayloadBools:
			b.V.Bools = append(b.V.Bools, i%2 == 0)
		case vec.PayloadDec:
			b.V.Dec = append(b.V.Dec, vec.Decimal{Lo: uint64(i * 7), Scale: uint8(i % 2)})
		case vec.PayloadStr:
			b.V.Str.AppendString(fmt.Sprintf("v%02d", i*7%n))
		case vec.PayloadUUIDs:
			b.V.UUIDs = append(b.V.UUIDs, vec.UUIDValue{byte(i), 9})
		case vec.PayloadIvl:
			b.V.Ivl = append(b.V.Ivl, vec.IntervalValue{Days: int32(i)})
		}
	}
	return b.V
}

// text is a value as text; floats are rounded, since partial sums may differ in the last bits.
func text(v *vec.Vector, row int) string {
	if v.IsNull(row) {
		return "NULL"
	}
	if v.Type.Payload() == vec.PayloadF64 {
		return fmt.Sprintf("%.9g", v.F64[row])
	}
	return string(expr.AppendText(nil, v, row, nil))
}

// model computes an aggregate over the values of one group, by loops over slices.
func model(name string, distinct bool, v *vec.Vector, rows []int) string {
	var kept []int
	seen := map[string]bool{}
	for _, r := range rows {
		key := string(vec.AppendKey(nil, v, r))
		if v.IsNull(r) && name != "array_agg" || distinct && seen[key] {
			continue
		}
		seen[key] = true
		kept = append(kept, r)
	}
	if name == "count" {
		return fmt.Sprint(len(kept))
	}
	if len(kept) == 0 {
		return "NULL"
	}
	number := func(r int) float64 {
		switch v.Type.Payload() {
		case vec.PayloadI64:
			return float64(v.I64[r])
		case vec.PayloadF64:
			return v.F64[r]
		}
		return v.Dec[r].Float64()
	}
	sum, sum2 := 0.0, 0.0
	for _, r := range kept {
		sum += number0(v, r, number)
		sum2 += number0(v, r, number) * number0(v, r, number)
	}
	n := float64(len(kept))
	sorted := slices.Clone(kept)
	slices.SortStableFunc(sorted, func(a, b int) int { return vec.Compare(v, a, v, b) })
	switch name {
	case "sum":
		return fmt.Sprintf("%.9g", sum)
	case "avg":
		return fmt.Sprintf("%.9g", sum/n)
	case "min":
		return text(v, sorted[0])
	case "max":
		return text(v, sorted[len(sorted)-1])
	case "var_pop":
		return fmt.Sprintf("%.6f", max((sum2-sum*sum/n)/n, 0))
	case "median":
		pos := (n - 1) / 2
		lo, hi := number(sorted[int(math.Floor(pos))]), number(sorted[int(math.Ceil(pos))])
		return fmt.Sprintf("%.9g", (lo+hi)/2)
	case "bitmap_agg":
		var members []string
		for _, r := range sorted {
			members = append(members, text(v, r))
		}
		return "{" + strings.Join(slices.Compact(members), ",") + "}"
	case "bool_and", "bool_or":
		result := name == "bool_and"
		for _, r := range kept {
			if v.Bools[r] != result {
				return map[bool]string{true: "t", false: "f"}[!result]
			}
		}
		return map[bool]string{true: "t", false: "f"}[result]
	}
	panic(name)
}

func number0(v *vec.Vector, r int, number func(int) float64) float64 {
	switch v.Type.Payload() {
	case vec.PayloadI64, vec.PayloadF64, vec.PayloadDec:
		return number(r)
	}
	return 0
}

// TestModel runs aggregates over random rows in every form, with selections, in several
// partial states that are merged, against loops over slices.
func TestModel(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 1))
	cases := map[string][]vec.Kind{
		"bitmap_agg": {vec.Int8},
		"count":      {vec.Int4, vec.Int8, vec.Text, vec.UUID, vec.Float8, vec.Numeric, vec.Bool},
		"sum":        {vec.Int2, vec.Int4, vec.Int8, vec.Float8, vec.Numeric},
		"avg":        {vec.Int4, vec.Int8, vec.Float8, vec.Numeric},
		"min":        {vec.Int8, vec.Float8, vec.Text, vec.UUID, vec.Numeric, vec.Interval, vec.Date},
		"max":        {vec.Int8, vec.Float8, vec.Text, vec.UUID, vec.Numeric, vec.Interval, vec.Date},
		"var_pop":    {vec.Int4, vec.Float8, vec.Numeric},
		"median":     {vec.Float8},
		"bool_and":   {vec.Bool},
		"bool_or":    {vec.Bool},
	}
	names := make([]string, 0, len(cases))
	for name := range cases {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, k := range cases[name] {
			for _, distinct := range []bool{false, true} {
				for range 6 {
					checkModel(t, r, name, vec.T(k), distinct)
				}
			}
		}
	}
}

func checkModel(t *testing.T, r *rand.Rand, name string, typ vec.Type, distinct bool) {
	t.Helper()
	spec, err := Resolve(name, []vec.Type{typ})
	if err != nil {
		t.Fatal(err)
	}
	groups := []int{1, 3, 40}[r.IntN(3)]
	shared := dictionary(typ, 20)
	all := vec.NewBuilder(typ)
	rowsOf := make([][]int, groups)
	var states []State
	var maps [][]uint32
	for range 1 + r.IntN(3) {
		st := spec.New(distinct, nil)
		// Each state numbers groups by itself.
		to := make([]uint32, groups)
		for g, p := range r.Perm(groups) {
			to[g] = uint32(p)
		}
		st.Grow(groups)
		for range 1 + r.IntN(3) {
			dict := shared
			if r.IntN(3) == 0 {
				dict = dictionary(typ, 20)
			}
			n := 1 + r.IntN(60)
			flat, codes := randomColumn(r, typ, n, dict)
			v := shape(r, flat, dict, codes)
			var ids, rows []uint32
			for i := range n {
				if r.IntN(4) == 0 {
					continue
				}
				g := uint32(r.IntN(groups))
				ids, rows = append(ids, g), append(rows, uint32(i))
				rowsOf[to[g]] = append(rowsOf[to[g]], all.V.Len())
				all.AppendFrom(flat, i)
			}
			if len(rows) == 0 {
				continue
			}
			var args []*vec.Vector
			cast, err := expr.NewCast(&expr.Column{T: typ}, spec.Args[0], false, false)
			if err != nil {
				t.Fatal(err)
			}
			w, err := cast.Eval(&expr.Context{}, &vec.Batch{Rows: n, Cols: []*vec.Vector{v}})
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, w)
			if err := st.Update(&expr.Context{}, ids, args, rows); err != nil {
				t.Fatal(err)
			}
		}
		states, maps = append(states, st), append(maps, to)
	}
	final := spec.New(distinct, nil)
	final.Grow(groups)
	for i, st := range states {
		if r.IntN(2) == 0 {
			travel(t, final, st, maps[i])
		} else if err := final.Merge(st, maps[i]); err != nil {
			t.Fatal(err)
		}
	}
	_ = final.Bytes()
	out, err := final.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if out.Len() != groups || out.Type.Kind != spec.Result.Kind {
		t.Fatalf("%s(%s): %d values of %s, want %d of %s", name, typ, out.Len(), out.Type, groups, spec.Result)
	}
	for g := range groups {
		want := model(name, distinct, all.V, rowsOf[g])
		got := text(out, g)
		if out.Type.IsNumber() && got != "NULL" && name != "count" && name != "min" && name != "max" {
			var f float64
			fmt.Sscan(got, &f)
			format := "%.9g"
			if name == "var_pop" {
				format = "%.6f"
			}
			got = fmt.Sprintf(format, f)
		}
		if got != want {
			t.Fatalf("%s(%s), distinct %v, group %d of %d: %s, want %s", name, typ, distinct, g, groups, got, want)
		}
	}
}

// travel adds a state to another by the wire, in two pieces.
func travel(t *testing.T, to, from State, groups []uint32) {
	t.Helper()
	of, cols := from.Partial()
	if of == nil {
		of = first(len(groups))
	}
	for _, part := range [][]uint32{first(len(of) / 3), first(len(of))[len(of)/3:]} {
		b := &vec.Batch{Rows: len(of), Sel: part, Cols: cols}
		got, err := vec.DecodeBatch(vec.AppendBatch(nil, b))
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]uint32, len(part))
		for i, r := range part {
			ids[i] = groups[of[r]]
		}
		if err := to.Absorb(&expr.Context{}, ids, got.Cols); err != nil {
			t.Fatal(err)
		}
	}
}

func run(t *testing.T, name string, args []*vec.Vector, distinct bool, order []OrderKey) string {
	t.Helper()
	types := make([]vec.Type, len(args)-len(order))
	for i := range types {
		types[i] = args[i].Type
	}
	spec, err := Resolve(name, types)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range args {
		n = max(n, a.Len())
	}
	for i := range types {
		cast, err := expr.NewCast(&expr.Column{Index: i, T: types[i]}, spec.Args[i], false, false)
		if err != nil {
			t.Fatal(err)
		}
		if args[i], err = cast.Eval(&expr.Context{}, &vec.Batch{Rows: n, Cols: args}); err != nil {
			t.Fatal(err)
		}
	}
	st := spec.New(distinct, order)
	st.Grow(1)
	rows := make([]uint32, n)
	for i := range rows {
		rows[i] = uint32(i)
	}
	if err := st.Update(&expr.Context{}, make([]uint32, n), args, rows); err != nil {
		t.Fatal(err)
	}
	moved := spec.New(distinct, order)
	moved.Grow(1)
	travel(t, moved, st, []uint32{0})
	v, err := moved.Finish()
	if err != nil {
		return err.Error()
	}
	return text(v, 0)
}

func TestOrdered(t *testing.T) {
	words := func() *vec.Vector { return &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf("b", "a", "c", "a")} }
	nums := func() *vec.Vector { return &vec.Vector{Type: vec.T(vec.Int4), I64: []int64{3, 1, 4, 1}} }
	comma := &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(",")}
	half := &vec.Vector{Type: vec.T(vec.Float8), Form: vec.Const, F64: []float64{0.5}}
	byText := []OrderKey{{Type: vec.T(vec.Text)}}
	down := []OrderKey{{Type: vec.T(vec.Int4), Desc: true}}
	for _, c := range []struct{ got, want string }{
		{run(t, "string_agg", []*vec.Vector{words(), comma}, false, nil), "b,a,c,a"},
		{run(t, "string_agg", []*vec.Vector{words(), comma, words()}, false, byText), "a,a,b,c"},
		{run(t, "string_agg", []*vec.Vector{words(), comma, words()}, true, byText), "a,b,c"},
		{run(t, "array_agg", []*vec.Vector{words(), nums()}, false, down), "{c,b,a,a}"},
		{run(t, "jsonb_agg", []*vec.Vector{nums()}, false, nil), "[3, 1, 4, 1]"},
		{run(t, "first", []*vec.Vector{words(), nums()}, false, down), "c"},
		{run(t, "last", []*vec.Vector{words(), nums()}, false, down), "a"},
		{run(t, "mode", []*vec.Vector{words()}, false, nil), "a"},
		{run(t, "arg_max", []*vec.Vector{words(), nums()}, false, nil), "c"},
		{run(t, "min_by", []*vec.Vector{words(), nums()}, false, nil), "a"},
		{run(t, "percentile_cont", []*vec.Vector{half, nums(), nums()}, false, []OrderKey{{Type: vec.T(vec.Int4)}}), "2"},
		{run(t, "percentile_disc", []*vec.Vector{half, nums(), nums()}, false, down), "3"},
		{run(t, "quantile", []*vec.Vector{nums(), half}, false, nil), "2"},
		{run(t, "stddev", []*vec.Vector{nums()}, false, nil), "1.5000000000000000"},
		{run(t, "variance", []*vec.Vector{nums()}, false, nil), "2.2500000000000000"},
		{run(t, "avg", []*vec.Vector{nums()}, false, nil), "2.2500000000000000"},
		{run(t, "bit_or", []*vec.Vector{nums()}, false, nil), "7"},
		{run(t, "corr", []*vec.Vector{nums(), nums()}, false, nil), "1"},
		{run(t, "sum", []*vec.Vector{{Type: vec.T(vec.Int8), I64: []int64{math.MaxInt64, math.MaxInt64}}}, false, nil), "18446744073709551614"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	n := vec.BatchRows
	ints := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, n)}
	groups, zero, rows := make([]uint32, n), make([]uint32, n), make([]uint32, n)
	dict := dictionary(vec.T(vec.UUID), 200)
	persons := &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: dict, Codes: make([]uint32, n)}
	for i := range n {
		ints.I64[i] = int64(i * 7919 % 5000)
		groups[i] = uint32(i % 100)
		rows[i] = uint32(i)
		persons.Codes[i] = uint32(i * 31 % 200)
	}
	for _, c := range []struct {
		name, agg string
		distinct  bool
		v         *vec.Vector
	}{{"count", "count", false, ints}, {"sum", "sum", false, ints}, {"min", "min", false, ints}, {"distinct/dict", "count", true, persons}, {"distinct/int", "count", true, ints}} {
		for _, g := range []struct {
			name string
			ids  []uint32
			n    int
		}{{"one", zero, 1}, {"hundred", groups, 100}} {
			b.Run(c.name+"/"+g.name, func(b *testing.B) {
				spec, err := Resolve(c.agg, []vec.Type{c.v.Type})
				if err != nil {
					b.Fatal(err)
				}
				st := spec.New(c.distinct, nil)
				st.Grow(g.n)
				args := []*vec.Vector{c.v}
				for b.Loop() {
					if err := st.Update(nil, g.ids, args, rows); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
			})
		}
	}
}

// TestRanks holds the selection of values against sorting them.
func TestRanks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		v := make([]float64, 1+r.IntN(40))
		rows := make([]uint32, len(v))
		for i := range v {
			rows[i] = uint32(i)
			if v[i] = float64(r.IntN(8)); r.IntN(9) == 0 {
				v[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
			}
		}
		desc := r.IntN(2) == 0
		want := slices.Clone(rows)
		slices.SortStableFunc(want, func(a, b uint32) int {
			c := vec.CompareFloat(v[a], v[b])
			if desc {
				return -c
			}
			return c
		})
		ranked, first := newRanks(nil, len(v), desc), firstOf(v, rows, desc)
		ranked.add(v[:len(v)/2])
		ranked.add(v[len(v)/2:])
		if first != int(want[0]) {
			t.Fatalf("row %d comes first of %v, descending %v: not %d", first, v, desc, want[0])
		}
		for range 4 {
			n := r.IntN(len(v))
			if got, of := ranked.nth(n), v[want[n]]; vec.CompareFloat(got, of) != 0 {
				t.Fatalf("value %d of %v, descending %v: %v, not %v", n, v, desc, got, of)
			}
		}
	}
}

// TestSingleFraction changes the fraction of a percentile within the rows, which is kept once
// before, and merges states of which one has a single fraction.
func TestSingleFraction(t *testing.T) {
	half := &vec.Vector{Type: vec.T(vec.Float8), Form: vec.Const, F64: []float64{0.5}}
	two := &vec.Vector{Type: vec.T(vec.Float8), F64: []float64{1, 0}}
	x := &vec.Vector{Type: vec.T(vec.Float8), F64: []float64{3, 1}}
	spec, err := Resolve("percentile_cont", []vec.Type{half.Type, x.Type})
	if err != nil {
		t.Fatal(err)
	}
	filled := func(fractions ...*vec.Vector) State {
		s := spec.New(false, nil)
		s.Grow(1)
		for _, f := range fractions {
			if err := s.Update(nil, []uint32{0, 0}, []*vec.Vector{f, x}, []uint32{0, 1}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	for i, states := range [][]State{{filled(half, half)}, {filled(half, two)}, {filled(two, half)}, {filled(half), filled(half)}, {filled(half), filled(two)}, {filled(two), filled(half)}} {
		for _, o := range states[1:] {
			if err := states[0].Merge(o, []uint32{0}); err != nil {
				t.Fatal(err)
			}
		}
		groups, cols := states[0].Partial()
		s := filled()
		if err := s.Absorb(nil, groups, cols); err != nil {
			t.Fatal(err)
		}
		got, err := s.Finish()
		if err != nil {
			t.Fatal(err)
		}
		// The fraction is that of the first row with the least value.
		if want := []float64{2, 2, 1, 2, 2, 1}[i]; got.F64[0] != want {
			t.Errorf("case %d: %v, want %v", i, got.F64[0], want)
		}
	}
}

// TestReuse uses states again for other groups, and holds their answers against those of new ones.
func TestReuse(t *testing.T) {
	reused := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		name := []string{"percentile_cont", "median", "array_agg"}[r.IntN(3)]
		types := []vec.Type{vec.T(vec.Float8)}
		if name == "percentile_cont" {
			types = append(types, vec.T(vec.Float8))
		}
		spec, err := Resolve(name, types)
		if err != nil {
			t.Fatal(err)
		}
		again := spec.New(false, nil)
		for range 3 {
			groups, n := 1+r.IntN(4), 1+r.IntN(50)
			half := &vec.Vector{Type: vec.T(vec.Float8), Form: vec.Const, F64: []float64{0.5}}
			if r.IntN(3) == 0 {
				half = &vec.Vector{Type: vec.T(vec.Float8), F64: slices.Repeat([]float64{0.25}, n)}
			}
			x, of := &vec.Vector{Type: vec.T(vec.Float8)}, make([]uint32, n)
			for i := range n {
				x.F64 = append(x.F64, float64(r.IntN(100)))
				of[i] = uint32(r.IntN(groups))
			}
			args := []*vec.Vector{half, x}[2-len(types):]
			answer := func(s State) string {
				s.Grow(groups)
				if err := s.Update(&expr.Context{}, of, args, first(n)); err != nil {
					t.Fatal(err)
				}
				v, err := s.Finish()
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Sprint(v.F64, v.Nulls, v.Offs, v.Elem)
			}
			if got, want := answer(again), answer(spec.New(false, nil)); got != want {
				t.Fatalf("seed %d: %s is %s, want %s", seed, name, got, want)
			}
			if s, ok := again.(Reusable); ok && s.Reuse() {
				reused++
			} else {
				again = spec.New(false, nil)
			}
		}
	}
	if reused < 100 {
		t.Errorf("%d states were used again", reused)
	}
}

// TestRenew uses states again after Partial, and holds their answers against those of new ones.
func TestRenew(t *testing.T) {
	for _, name := range []string{"count", "sum", "avg"} {
		for _, k := range []vec.Kind{vec.Int2, vec.Int4, vec.Int8} {
			spec, err := Resolve(name, []vec.Type{vec.T(k)})
			if err != nil {
				t.Fatal(err)
			}
			again, ok := spec.New(false, nil).(Renewable)
			if !ok {
				t.Fatalf("%s(%v) cannot be used again", name, k)
			}
			for round := range 4 {
				groups := []int{5, 3, 9, 2}[round]
				answer := func(s State) string {
					s.Grow(groups)
					x, of := &vec.Vector{Type: vec.T(k)}, []uint32{}
					for i := range 20 * round {
						x.I64, of = append(x.I64, int64(i*i-50)), append(of, uint32(i*7%groups))
					}
					if err := s.Update(&expr.Context{}, of, []*vec.Vector{x}, first(len(of))); err != nil {
						t.Fatal(err)
					}
					text := ""
					_, cols := s.Partial()
					for _, c := range cols {
						text += fmt.Sprint(c.I64)
					}
					return text
				}
				if got, want := answer(again), answer(spec.New(false, nil)); got != want {
					t.Errorf("%s(%v), round %d: %s, want %s", name, k, round, got, want)
				}
				again.Renew()
			}
		}
	}
}
