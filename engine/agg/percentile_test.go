package agg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// TestFinishJointly finishes percentiles from several states, each with numbers of its own for the
// groups, and holds them against those of one state that has seen all rows.
func TestFinishJointly(t *testing.T) {
	float := vec.T(vec.Float8)
	fractions := &vec.Vector{Type: vec.ArrayOf(vec.Float8), Form: vec.Const, Offs: []uint32{0, 3}, Elem: &vec.Vector{Type: float, F64: []float64{0.25, 1, 0}}}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		name, types, fixed := "median", []vec.Type{float}, []*vec.Vector{}
		var order []OrderKey
		switch r.IntN(3) {
		case 0:
			name, types, fixed = "percentile_cont", []vec.Type{float, float}, []*vec.Vector{{Type: float, Form: vec.Const, F64: []float64{r.Float64()}}}
		case 1:
			name, types, fixed = "percentile_cont", []vec.Type{fractions.Type, float}, []*vec.Vector{fractions}
		}
		if name == "percentile_cont" {
			order = []OrderKey{{Type: float, Desc: r.IntN(2) == 0}}
		}
		spec, err := Resolve(name, types)
		if err != nil {
			t.Fatal(err)
		}
		groups := 1 + r.IntN(6)
		whole := spec.New(false, order)
		whole.Grow(groups)
		var states []State
		var of [][]uint32
		for range 1 + r.IntN(4) {
			s, numbers, count := spec.New(false, order), slices.Repeat([]uint32{NoGroup}, groups), uint32(0)
			for range r.IntN(3) {
				x, n := &vec.Vector{Type: float}, r.IntN(20)
				var own, all []uint32
				for i := range n {
					x.F64 = append(x.F64, float64(r.IntN(8)))
					switch r.IntN(12) {
					case 0:
						x.F64[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
					case 1:
						x.Nulls = x.Nulls.Grow(i + 1)
						x.Nulls.Set(i)
					}
					g := r.IntN(groups)
					if numbers[g] == NoGroup {
						numbers[g] = count
						count++
					}
					own, all = append(own, numbers[g]), append(all, uint32(g))
				}
				args := append(slices.Clone(fixed), x)
				if order != nil {
					args = append(args, x)
				}
				s.Grow(int(count))
				for _, err := range []error{s.Update(&expr.Context{}, own, args, first(n)), whole.Update(&expr.Context{}, all, args, first(n))} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			states, of = append(states, s), append(of, numbers)
		}
		if j := states[0].(Joint); !j.Joins(states[1:]) { // if it has seen no fraction, others may have
			if name == "median" || len(states[0].(*collect).rows.groups) > 0 {
				t.Fatalf("seed %d: %s at one fraction cannot be finished jointly", seed, name)
			}
			continue
		}
		got := ""
		for _, s := range states {
			s.(Joint).Arrange()
		}
		for g := range groups { // in two pieces
			v, err := states[0].(Joint).FinishJointly(states, of, g, g+1)
			if err != nil {
				t.Fatal(err)
			}
			got += shown(v)
		}
		want := ""
		v, err := whole.Finish()
		if err != nil {
			t.Fatal(err)
		}
		for g := range groups {
			want += shown(v.Take([]uint32{uint32(g)}))
		}
		if got != want {
			t.Fatalf("seed %d: %s is %s, want %s", seed, name, got, want)
		}
	}
}

func shown(v *vec.Vector) string {
	if v.IsNull(0) {
		return "- "
	}
	if v.Elem != nil {
		return fmt.Sprint(v.Elem.F64, " ")
	}
	return fmt.Sprint(v.F64, " ")
}

// TestOtherFractionsDoNotJoin has states at different fractions merged.
func TestOtherFractionsDoNotJoin(t *testing.T) {
	float := vec.T(vec.Float8)
	spec, err := Resolve("percentile_cont", []vec.Type{float, float})
	if err != nil {
		t.Fatal(err)
	}
	filled := func(p *vec.Vector) State {
		s := spec.New(false, nil)
		s.Grow(1)
		if err := s.Update(&expr.Context{}, []uint32{0}, []*vec.Vector{p, {Type: float, F64: []float64{1}}}, first(1)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	at := func(p float64, form vec.Form) *vec.Vector {
		return &vec.Vector{Type: float, Form: form, F64: []float64{p}}
	}
	half := filled(at(0.5, vec.Const)).(Joint)
	for i, c := range []struct {
		with State
		want bool
	}{{filled(at(0.5, vec.Const)), true}, {spec.New(false, nil), true}, {filled(at(0.25, vec.Const)), false}, {filled(at(0.5, vec.Flat)), false}} {
		if got := half.Joins([]State{c.with}); got != c.want {
			t.Errorf("case %d: Joins is %v, want %v", i, got, c.want)
		}
	}
}
