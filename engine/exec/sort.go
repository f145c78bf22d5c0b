package exec

import (
	"context"
	"math"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// sorter orders all rows of its input, or keeps the first of them.
type sorter struct {
	input Operator
	keys  []plan.SortKey
	env   *Env
	// keep is how many rows in sorted order are wanted; all of them are MaxInt64.
	keep, skip int64

	started bool
	rows    []*vec.Builder // columns of the input, then the sort keys
	held    int64
	cols    []*vec.Vector
	count   int
	at      int
}

func newSort(n *plan.Sort, env *Env) (Operator, error) {
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &sorter{input: input, keys: n.Keys, env: env, keep: math.MaxInt64}, nil
}

func newTopN(n *plan.TopN, env *Env) (Operator, error) {
	keep, err := rowCount(n.Limit, env, "LIMIT", math.MaxInt64)
	if err != nil {
		return nil, err
	}
	skip, err := rowCount(n.Offset, env, "OFFSET", 0)
	if err != nil {
		return nil, err
	}
	if keep < math.MaxInt64-skip {
		keep += skip
	}
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &sorter{input: input, keys: n.Keys, env: env, keep: keep, skip: skip}, nil
}

func (s *sorter) run(ctx context.Context) error {
	s.started = true
	// Rows pile up to a few times what is wanted, and are then cut back.
	limit := int64(math.MaxInt64)
	if s.keep < math.MaxInt64/8 {
		limit = max(4*s.keep, 4*vec.BatchRows)
	}
	err := drain(ctx, s.input, func(b *vec.Batch) error {
		keys := make([]*vec.Vector, len(s.keys))
		for i, k := range s.keys {
			v, err := k.Expr.Eval(s.env.Expr, b)
			if err != nil {
				return err
			}
			keys[i] = v
		}
		before := s.count
		s.append(append(append([]*vec.Vector{}, b.Cols...), keys...), b)
		if err := s.env.hold(int64(s.count-before) * int64(len(s.rows)) * 24); err != nil {
			return err
		}
		s.held += int64(s.count-before) * int64(len(s.rows)) * 24
		if int64(s.count) >= limit {
			s.cut()
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.cut()
	if s.rows != nil {
		width := len(s.rows) - len(s.keys)
		for _, r := range s.rows[:width] {
			s.cols = append(s.cols, r.V)
		}
	}
	s.at = int(min(s.skip, int64(s.count)))
	return nil
}

func (s *sorter) append(cols []*vec.Vector, b *vec.Batch) {
	if s.rows == nil {
		for _, c := range cols {
			s.rows = append(s.rows, vec.NewBuilder(c.Type))
		}
	}
	for i, c := range cols {
		if b.Sel != nil {
			for _, r := range b.Sel {
				s.rows[i].AppendFrom(c, int(r))
			}
		} else {
			for r := range b.Rows {
				s.rows[i].AppendFrom(c, r)
			}
		}
	}
	s.count += b.Live()
}

// cut sorts what has been gathered and drops what cannot be wanted any more.
func (s *sorter) cut() {
	if s.count == 0 {
		return
	}
	order := make([]uint32, s.count)
	for i := range order {
		order[i] = uint32(i)
	}
	keys := s.rows[len(s.rows)-len(s.keys):]
	sort.SliceStable(order, func(i, j int) bool {
		a, b := int(order[i]), int(order[j])
		for k, key := range s.keys {
			if c := compareKey(keys[k].V, a, b, key.Desc, key.NullsFirst); c != 0 {
				return c < 0
			}
		}
		return false
	})
	if int64(len(order)) > s.keep {
		order = order[:s.keep]
	}
	for _, r := range s.rows {
		r.V = r.V.Take(order)
	}
	s.count = len(order)
}

// compareKey orders two rows of a sort key.
func compareKey(v *vec.Vector, a, b int, desc, nullsFirst bool) int {
	an, bn := v.Nulls.Get(a), v.Nulls.Get(b)
	if an || bn {
		switch {
		case an && bn:
			return 0
		case an == nullsFirst:
			return -1
		}
		return 1
	}
	c := vec.Compare(v, a, v, b)
	if desc {
		return -c
	}
	return c
}

func (s *sorter) Next(ctx context.Context) (*vec.Batch, error) {
	if !s.started {
		if err := s.run(ctx); err != nil {
			return nil, err
		}
	}
	return slice(s.cols, s.count, &s.at), nil
}

func (s *sorter) Close() error {
	s.env.release(s.held)
	return s.input.Close()
}
