package agg

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// hypothetical is rank(x) WITHIN GROUP (ORDER BY y) and its like: where a row of the direct
// arguments would stand among the rows of a group.
type hypothetical struct {
	rows   collected
	keys   int
	order  []OrderKey
	groups int
	result vec.Type
	// answer is of n rows, of which so many come before, in so many distinct values, and
	// so many are equal.
	answer func(n, before, distinct, equal int) float64
}

func (s *hypothetical) Grow(groups int) { s.groups = groups }
func (s *hypothetical) Bytes() int64    { return s.rows.bytes() }

func (s *hypothetical) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	for i, g := range groups {
		s.rows.add(g, args, int(rows[i]))
	}
	return nil
}

func (s *hypothetical) Merge(from State, to []uint32) error {
	o := from.(*hypothetical)
	groups := make([]uint32, len(o.rows.groups))
	for i, g := range o.rows.groups {
		groups[i] = to[g]
	}
	return s.Update(nil, groups, o.rows.vectors(), o.rows.all())
}

func (s *hypothetical) Partial() ([]uint32, []*vec.Vector) { return s.rows.partial() }

func (s *hypothetical) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	return s.Update(ctx, groups, cols, first(len(groups)))
}

// compare orders the values of two rows, in columns that begin at x and y.
func (s *hypothetical) compare(cols []*vec.Vector, x, i, y, j int) int {
	for k := range s.keys {
		if c := s.order[k].compare(cols[x+k], i, cols[y+k], j); c != 0 {
			return c
		}
	}
	return 0
}

func (s *hypothetical) Finish() (*vec.Vector, error) {
	cols := s.rows.vectors()
	own := make([][]int, s.groups)
	for r, g := range s.rows.groups {
		own[g] = append(own[g], r)
	}
	out := vec.NewBuilder(s.result)
	for _, rows := range own {
		before, equal := 0, 0
		seen := map[string]bool{}
		var key []byte
		for _, r := range rows {
			switch c := s.compare(cols, s.keys, r, 0, r); {
			case c == 0:
				equal++
			case c < 0:
				before++
				key = key[:0]
				for k := range s.keys {
					key = vec.AppendKey(key, cols[s.keys+k], r)
				}
				seen[string(key)] = true
			}
		}
		x := s.answer(len(rows), before, len(seen), equal)
		if s.result.Kind == vec.Int8 {
			out.V.I64 = append(out.V.I64, int64(x))
		} else {
			out.V.F64 = append(out.V.F64, x)
		}
	}
	return out.V, nil
}

func init() {
	for _, f := range []struct {
		name   string
		result vec.Kind
		answer func(n, before, distinct, equal int) float64
	}{
		{"rank", vec.Int8, func(_, before, _, _ int) float64 { return float64(before + 1) }},
		{"dense_rank", vec.Int8, func(_, _, distinct, _ int) float64 { return float64(distinct + 1) }},
		{"percent_rank", vec.Float8, func(n, before, _, _ int) float64 { return float64(before) / float64(max(n, 1)) }},
		{"cume_dist", vec.Float8, func(n, before, _, equal int) float64 { return float64(before+equal+1) / float64(n+1) }},
	} {
		registry[f.name] = func(args []vec.Type) *Spec {
			if len(args) == 0 || len(args)%2 != 0 {
				return nil
			}
			n := len(args) / 2
			t := make([]vec.Type, len(args))
			for i := range n {
				common, err := expr.CommonType([]vec.Type{args[n+i], args[i]})
				if err != nil {
					return nil
				}
				t[i], t[n+i] = common, common
			}
			t = known(t)
			return &Spec{Args: t, Result: vec.T(f.result), create: func(order []OrderKey) State {
				return &hypothetical{rows: newCollected(t, order), keys: n, order: order, result: vec.T(f.result), answer: f.answer}
			}}
		}
	}
}
