package exec

import (
	"context"
	"fmt"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// aggregate groups rows: each copy of the pipeline below fills states of its own, which
// are merged at the end.
type aggregate struct {
	node *plan.Aggregate
	pipe *pipeline
	env  *Env
	out  *grouping
	row  int // next group to hand out
	cols []*vec.Vector
}

// grouping is groups and the states of their aggregates.
type grouping struct {
	node   *plan.Aggregate
	env    *Env
	groups *grouper
	states []agg.State
	held   int64

	ids  []uint32 // scratch: group of each live row
	rows []uint32 // scratch: live rows
}

func newAggregate(n *plan.Aggregate, env *Env) (Operator, error) {
	pipe, err := newPipeline(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &aggregate{node: n, pipe: pipe, env: env}, nil
}

func newGrouping(n *plan.Aggregate, env *Env) (*grouping, error) {
	types := make([]vec.Type, len(n.Keys))
	for i, k := range n.Keys {
		types[i] = k.Type()
	}
	g := &grouping{node: n, env: env, groups: newGrouper(types)}
	for i := range n.Aggs {
		st, err := newState(&n.Aggs[i])
		if err != nil {
			return nil, err
		}
		g.states = append(g.states, st)
	}
	return g, nil
}

// newState makes the state of one aggregate call.
func newState(call *plan.AggCall) (agg.State, error) {
	types := make([]vec.Type, len(call.Args))
	for i, a := range call.Args {
		types[i] = a.Type()
	}
	spec, err := agg.Resolve(call.Name, types)
	if err != nil {
		return nil, err
	}
	keys := make([]agg.OrderKey, len(call.OrderBy))
	for i, k := range call.OrderBy {
		keys[i] = agg.OrderKey{Type: k.Expr.Type(), Desc: k.Desc, NullsFirst: k.NullsFirst}
	}
	return spec.New(call.Distinct, keys), nil
}

// add takes in the rows of a batch that count.
func (g *grouping) add(b *vec.Batch) error {
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&g.rows, b.Rows)
	}
	if len(rows) == 0 {
		return nil
	}
	keys, err := evalAll(g.env.Expr, g.node.Keys, b)
	if err != nil {
		return err
	}
	if cap(g.ids) < len(rows) {
		g.ids = make([]uint32, max(len(rows), vec.BatchRows))
	}
	ids := g.ids[:len(rows)]
	g.groups.assign(ids, keys, rows)
	held := g.groups.bytes()
	for i := range g.states {
		call := &g.node.Aggs[i]
		if err := g.update(call, g.states[i], b, ids, rows); err != nil {
			return err
		}
		held += g.states[i].Bytes()
	}
	err = g.env.hold(held - g.held)
	g.held = held
	return err
}

func (g *grouping) update(call *plan.AggCall, st agg.State, b *vec.Batch, ids, rows []uint32) error {
	st.Grow(g.groups.groups)
	if call.Filter != nil {
		kept, err := keepTrue(g.env.Expr, call.Filter, &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols})
		if err != nil {
			return err
		}
		ids = subsetIDs(ids, rows, kept.Sel)
		rows = kept.Sel
		if len(rows) == 0 {
			return nil
		}
	}
	live := &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols}
	args, err := evalAll(g.env.Expr, call.Args, live)
	if err != nil {
		return err
	}
	for _, k := range call.OrderBy {
		v, err := k.Expr.Eval(g.env.Expr, live)
		if err != nil {
			return err
		}
		args = append(args, v)
	}
	return st.Update(g.env.Expr, ids, args, rows)
}

// subsetIDs is the groups of the rows kept, out of those of all rows.
func subsetIDs(ids, rows, kept []uint32) []uint32 {
	if len(kept) == len(rows) {
		return ids
	}
	out := make([]uint32, len(kept))
	i := 0
	for j, r := range kept {
		for rows[i] != r {
			i++
		}
		out[j] = ids[i]
	}
	return out
}

// merge takes in what another grouping has gathered.
func (g *grouping) merge(from *grouping) error {
	n := from.groups.groups
	if n == 0 {
		return nil
	}
	to := make([]uint32, n)
	var scratch []uint32
	g.groups.assign(to, from.groups.values(), firstRows(&scratch, n))
	for i, st := range g.states {
		st.Grow(g.groups.groups)
		if err := st.Merge(from.states[i], to); err != nil {
			return err
		}
	}
	return nil
}

// firstRows is 0 … n-1, in memory that is kept for the next call.
func firstRows(scratch *[]uint32, n int) []uint32 {
	for i := len(*scratch); i < n; i++ {
		*scratch = append(*scratch, uint32(i))
	}
	return (*scratch)[:n]
}

func (a *aggregate) run(ctx context.Context) error {
	parts := make([]*grouping, a.pipe.copies())
	err := a.pipe.drain(ctx, func(w int) (func(*vec.Batch) error, error) {
		g, err := newGrouping(a.node, a.env)
		if err != nil {
			return nil, err
		}
		parts[w] = g
		return g.add, nil
	}, func(int) error { return nil })
	if err != nil {
		return err
	}
	a.out = parts[0]
	for _, p := range parts[1:] {
		if err := a.out.merge(p); err != nil {
			return err
		}
	}
	if len(a.node.Keys) == 0 {
		a.out.groups.groups = 1
	}
	a.cols = a.out.groups.values()
	for i, st := range a.out.states {
		st.Grow(a.out.groups.groups)
		v, err := st.Finish()
		if err != nil {
			return err
		}
		if v.Len() != a.out.groups.groups {
			return fmt.Errorf("aggregate %s: %d values for %d groups", a.node.Aggs[i].Name, v.Len(), a.out.groups.groups)
		}
		a.cols = append(a.cols, v)
	}
	return nil
}

// drain gives every batch of op to f.
func drain(ctx context.Context, op Operator, f func(*vec.Batch) error) error {
	for {
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
	}
}

func (a *aggregate) Next(ctx context.Context) (*vec.Batch, error) {
	if a.out == nil {
		if err := a.run(ctx); err != nil {
			return nil, err
		}
	}
	b := slice(a.cols, a.out.groups.groups, &a.row)
	return b, nil
}

func (a *aggregate) Close() error {
	if a.out != nil {
		a.env.release(a.out.held)
	}
	return nil
}

// slice hands out finished columns a batch at a time: rows from *at on, which it moves.
func slice(cols []*vec.Vector, rows int, at *int) *vec.Batch {
	n := min(vec.BatchRows, rows-*at)
	if n <= 0 {
		return nil
	}
	if *at == 0 && n == rows {
		*at = n
		return &vec.Batch{Rows: n, Cols: cols}
	}
	take := make([]uint32, n)
	for i := range take {
		take[i] = uint32(*at + i)
	}
	*at += n
	b := &vec.Batch{Rows: n, Cols: make([]*vec.Vector, len(cols))}
	for i, c := range cols {
		b.Cols[i] = c.Take(take)
	}
	return b
}

// distinct drops repeated rows.
type distinct struct {
	input  Operator
	on     int
	groups *grouper
	env    *Env
	held   int64
	ids    []uint32
	rows   []uint32
}

func newDistinct(n *plan.Distinct, env *Env) (Operator, error) {
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	schema := n.Schema()
	on := n.On
	if on == 0 {
		on = len(schema)
	}
	types := make([]vec.Type, on)
	for i := range types {
		types[i] = schema[i].Type
	}
	return &distinct{input: input, on: on, groups: newGrouper(types), env: env}, nil
}

func (d *distinct) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		b, err := d.input.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		rows := b.Sel
		if rows == nil {
			rows = firstRows(&d.rows, b.Rows)
		}
		seen := uint32(d.groups.groups)
		if cap(d.ids) < len(rows) {
			d.ids = make([]uint32, len(rows))
		}
		ids := d.ids[:len(rows)]
		d.groups.assign(ids, b.Cols[:d.on], rows)
		var kept []uint32
		for i, id := range ids {
			if id >= seen {
				kept = append(kept, rows[i])
				seen = id + 1
			}
		}
		held := d.groups.bytes()
		if err := d.env.hold(held - d.held); err != nil {
			return nil, err
		}
		d.held = held
		if len(kept) > 0 {
			return &vec.Batch{Rows: b.Rows, Sel: kept, Cols: b.Cols}, nil
		}
	}
}

func (d *distinct) Close() error {
	d.env.release(d.held)
	return d.input.Close()
}

// constant evaluates an expression that reads no column.
func constant(e expr.Expr, env *Env) (*vec.Vector, int, error) {
	v, err := e.Eval(env.Expr, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, 0, err
	}
	v, i := v.At(0)
	return v, i, nil
}
