package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// bucketExpr is the number of the bucket that a time falls into; null outside.
type bucketExpr struct {
	time     expr.Expr
	line     *timeline
	from, to int64
}

// Type implements expr.Expr.
func (e *bucketExpr) Type() vec.Type { return vec.T(vec.Int4) }

// Children implements expr.Parent.
func (e *bucketExpr) Children() []expr.Expr { return []expr.Expr{e.time} }

// WithChildren implements expr.Parent.
func (e *bucketExpr) WithChildren(c []expr.Expr) expr.Expr {
	return &bucketExpr{c[0], e.line, e.from, e.to}
}

// String tells the expression apart in plans.
func (e *bucketExpr) String() string { return "bucket(" + expr.String(e.time) + ")" }

// Eval implements expr.Expr.
func (e *bucketExpr) Eval(ctx *expr.Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.time.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	v = v.Flatten(b.Rows)
	out := &vec.Vector{Type: e.Type(), I64: make([]int64, b.Rows), Nulls: vec.NewBitmap(b.Rows)}
	for i := range b.Rows {
		bucket := -1
		if us := v.I64[i]; !v.Nulls.Get(i) && us >= e.from && us < e.to {
			bucket = e.line.bucket(us)
		}
		if bucket < 0 {
			out.Nulls.Set(i)
			bucket = 0
		}
		out.I64[i] = int64(bucket)
	}
	return out, nil
}

// rows is the rows of a series between two times, which is all that its plans begin with.
// Null actors are left out if actors matter.
func (t *trends) rows(s *plan.Series, from, to int64, actors bool) (plan.Node, error) {
	n := t.node
	conds := []expr.Expr{n.Where, s.Where}
	if actors {
		conds = append(conds, &expr.IsNull{E: n.Actor, Not: true})
	}
	within, err := t.within(from, to)
	if err != nil {
		return nil, err
	}
	return filtered(n.Input, append(conds, within...)...), nil
}

// within is the conditions that the source's time lies in [from, to).
func (t *trends) within(from, to int64) ([]expr.Expr, error) {
	var out []expr.Expr
	for _, b := range []struct {
		op   string
		at   int64
		open int64
	}{{">=", from, vec.NegInfinityTime}, {"<", to, vec.InfinityTime}} {
		if b.at == b.open {
			continue
		}
		c, err := expr.NewOperator(b.op, t.node.Time, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.TimestampTZ), Form: vec.Const, I64: []int64{b.at}}})
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// filtered is the rows for which all conditions are true; nil ones are none.
func filtered(in plan.Node, conds ...expr.Expr) plan.Node {
	var and []expr.Expr
	for _, c := range conds {
		if c != nil {
			and = append(and, c)
		}
	}
	switch len(and) {
	case 0:
		return in
	case 1:
		return &plan.Filter{Input: in, Cond: and[0]}
	}
	return &plan.Filter{Input: in, Cond: &expr.And{Args: and}}
}

// by is the expressions of the breakdown, if there is one.
func (t *trends) by() []expr.Expr {
	if t.node.Breakdown == nil {
		return nil
	}
	return t.node.Breakdown.Exprs
}

// groupBy is an aggregation whose columns need no names.
func groupBy(in plan.Node, keys []expr.Expr, aggs []plan.AggCall) *plan.Aggregate {
	return &plan.Aggregate{Input: in, Keys: keys, Aggs: aggs, Names: make([]string, len(keys)+len(aggs))}
}

// columnsOf are the first columns of a node.
func columnsOf(in plan.Node, n int) []expr.Expr {
	out := make([]expr.Expr, n)
	for i, f := range in.Schema()[:n] {
		out[i] = &expr.Column{Index: i, T: f.Type, Name: f.Name}
	}
	return out
}

// computed puts a value above the aggregation that gives its aggregates: the keys, and
// then the value.
func computed(a *plan.Aggregate, c *plan.Computed) plan.Node {
	keys := len(a.Keys)
	value := expr.Map(c.Value, func(x expr.Expr) expr.Expr {
		if col, ok := x.(*expr.Column); ok {
			return &expr.Column{Index: keys + col.Index, T: col.T, Name: col.Name}
		}
		return x
	})
	return &plan.Project{Input: a, Exprs: append(columnsOf(a, keys), value), Names: make([]string, keys+1)}
}

var countAll = plan.AggCall{Name: "count", T: vec.T(vec.Int8)}

// aggregate is a series of aggregates: values, bucket, result.
func (t *trends) aggregate(s *plan.Series) (plan.Node, error) {
	in, err := t.rows(s, t.from, t.to, !t.node.Compatible)
	if err != nil {
		return nil, err
	}
	keys := append(t.by()[:len(t.by()):len(t.by())], &bucketExpr{t.node.Time, t.line, t.from, t.to})
	return computed(groupBy(in, keys, s.Of.Aggs), &s.Of), nil
}

// perActor is a series of aggregates over those of each actor.
func (t *trends) perActor(s *plan.Series) (plan.Node, error) {
	in, err := t.rows(s, t.from, t.to, true)
	if err != nil {
		return nil, err
	}
	n := len(t.by()) + 1
	keys := append(t.by()[:n-1:n-1], &bucketExpr{t.node.Time, t.line, t.from, t.to}, t.node.Actor)
	each := computed(groupBy(in, keys, s.Of.Aggs), &s.Of)
	cols := columnsOf(each, n+2)
	aggs := make([]plan.AggCall, len(s.Outer.Aggs))
	for i, a := range s.Outer.Aggs {
		aggs[i] = mapCall(a, func(expr.Expr) expr.Expr { return cols[n+1] })
	}
	return computed(groupBy(each, cols[:n], aggs), &s.Outer), nil
}

// mapCall is an aggregate over other columns.
func mapCall(a plan.AggCall, f func(expr.Expr) expr.Expr) plan.AggCall {
	column := func(e expr.Expr) expr.Expr {
		return expr.Map(e, func(x expr.Expr) expr.Expr {
			if _, ok := x.(*expr.Column); ok {
				return f(x)
			}
			return x
		})
	}
	args := make([]expr.Expr, len(a.Args))
	for i, e := range a.Args {
		args[i] = column(e)
	}
	order := append([]plan.SortKey(nil), a.OrderBy...)
	for i := range order {
		order[i].Expr = column(order[i].Expr)
	}
	a.Args, a.OrderBy = args, order
	if a.Filter != nil {
		a.Filter = column(a.Filter)
	}
	return a
}

// newActors is a series of those whose first row ever is also the first that counts.
func (t *trends) newActors(s *plan.Series) (plan.Node, error) {
	n := t.node
	inRange, err := t.within(t.from, vec.InfinityTime)
	if err != nil {
		return nil, err
	}
	untilEnd, err := t.within(vec.NegInfinityTime, t.to)
	if err != nil {
		return nil, err
	}
	counts := conjunction(append([]expr.Expr{n.Where, s.Where}, inRange...)...)
	ever := conjunction(n.Where, s.Where)
	rows := ever
	if s.First != nil {
		ever = s.First
		if rows = nil; counts != nil {
			rows = &expr.Or{Args: []expr.Expr{ever, counts}}
		}
	}
	valued := counts
	if s.Valued != nil {
		if valued = s.Valued; rows != nil {
			rows = &expr.Or{Args: []expr.Expr{rows, valued}}
		}
	}
	in := filtered(n.Input, append(untilEnd, rows, &expr.IsNull{E: n.Actor, Not: true})...)
	first := func(filter expr.Expr) plan.AggCall {
		return plan.AggCall{Name: "min", Args: []expr.Expr{n.Time}, Filter: filter, T: vec.T(vec.TimestampTZ)}
	}
	aggs := []plan.AggCall{first(ever), first(counts)}
	order := []plan.SortKey{{Expr: n.Time}}
	if n.Tie != nil {
		order = append(order, plan.SortKey{Expr: n.Tie})
	}
	for _, e := range t.by() {
		aggs = append(aggs, plan.AggCall{Name: "first", Args: []expr.Expr{e}, Filter: valued, OrderBy: order, T: e.Type()})
	}
	each := groupBy(in, []expr.Expr{n.Actor}, aggs)
	cols := columnsOf(each, 1+len(aggs))
	same, err := expr.NewOperator("=", cols[1], cols[2])
	if err != nil {
		return nil, err
	}
	keys := append(cols[3:len(cols):len(cols)], &bucketExpr{cols[2], t.line, t.from, t.to})
	return groupBy(filtered(each, same), keys, []plan.AggCall{countAll}), nil
}

// conjunction is the conditions joined by AND; nil if there are none.
func conjunction(conds ...expr.Expr) expr.Expr {
	if f, ok := filtered(nil, conds...).(*plan.Filter); ok {
		return f.Cond
	}
	return nil
}

// actorRows counts actors without an index. Where rows count in their own bucket that is an
// aggregation over another; else the units in which each actor has rows come in order.
func (t *trends) actorRows(ctx context.Context, s *plan.Series, sp *spans) (seriesResult, error) {
	in, err := t.rows(s, sp.from, sp.to, true)
	if err != nil {
		return seriesResult{}, err
	}
	n := len(t.by())
	keys := append(t.by()[:n:n], &bucketExpr{t.node.Time, sp.line, sp.from, sp.to}, t.node.Actor)
	each := groupBy(in, keys, nil)
	cols := columnsOf(each, n+2)
	if sp.own {
		return t.grouped(ctx, groupBy(each, cols[:n+1], []plan.AggCall{countAll}), true)
	}
	order := append(cols[:n:n], cols[n+1], cols[n]) // values, actor, unit
	sorted := &plan.Sort{Input: each}
	for _, e := range order {
		sorted.Keys = append(sorted.Keys, plan.SortKey{Expr: e})
	}
	return t.spanned(ctx, sorted, sp)
}

// spanned counts actors from their units, which come by value, actor and unit.
func (t *trends) spanned(ctx context.Context, in plan.Node, sp *spans) (seriesResult, error) {
	n := len(t.by())
	r := seriesResult{zero: true, vector: &vec.Vector{Type: vec.T(vec.Int8)}}
	counts := make([]int64, t.line.count())
	value, counted := uint32(0), -1 // counted is the last bucket counted of the actor
	var last *vec.Vector            // the actors of the batch before
	lastRow := -1
	err := t.each(ctx, in, func(b *vec.Batch) error {
		ids, err := t.number(ctx, b, n)
		if err != nil {
			return err
		}
		actors, units := b.Cols[n+1], b.Cols[n]
		for i := range b.Rows {
			if lastRow >= 0 && ids[i] != value {
				r.add(value, sp.settle(counts))
				clear(counts)
			}
			if lastRow < 0 || ids[i] != value || comparePlaces(last, lastRow, actors, i, false, false) != 0 {
				counted = -1
			}
			value, last, lastRow = ids[i], actors, i
			if units.IsNull(i) {
				continue
			}
			u, at := units.At(i)
			to := int(sp.last[u.I64[at]])
			for k := max(int(sp.first[u.I64[at]]), counted+1); k <= to; k++ {
				counts[k]++
			}
			counted = max(counted, to)
		}
		return nil
	})
	if lastRow >= 0 {
		r.add(value, sp.settle(counts))
	}
	return r, err
}

// number gives the breakdown values in the first n columns of a batch their numbers among
// those of all series.
func (t *trends) number(ctx context.Context, b *vec.Batch, n int) ([]uint32, error) {
	ids := make([]uint32, b.Rows)
	if t.values == nil {
		return ids, nil
	}
	before := t.values.groups.bytes()
	var scratch []uint32
	t.values.assign(ids, b.Cols[:n], firstRows(&scratch, b.Rows))
	return ids, t.hold(ctx, t.values.groups.bytes()-before)
}

// grouped reads a plan of values, bucket and result.
func (t *trends) grouped(ctx context.Context, in plan.Node, zero bool) (seriesResult, error) {
	n := len(t.by())
	out := vec.NewBuilder(in.Schema()[n+1].Type)
	r := seriesResult{zero: zero}
	err := t.each(ctx, in, func(b *vec.Batch) error {
		ids, err := t.number(ctx, b, n)
		if err != nil {
			return err
		}
		before := out.V.Bytes()
		for i := range b.Rows {
			if b.Cols[n].IsNull(i) {
				continue
			}
			v, at := b.Cols[n].At(i)
			out.AppendFrom(b.Cols[n+1], i)
			r.values, r.buckets = append(r.values, ids[i]), append(r.buckets, int32(v.I64[at]))
		}
		return t.hold(ctx, out.V.Bytes()-before+int64(b.Rows)*8)
	})
	r.vector = out.V
	return r, err
}

// each runs a plan of the operator's own and gives its batches to f.
func (t *trends) each(ctx context.Context, n plan.Node, f func(*vec.Batch) error) error {
	stats := t.env.Stats
	n = plan.Rewrite(n)
	t.env.Stats = stats.within(n, t.node.Input) // the nodes are ours, not the statement's
	defer func() { t.env.Stats = stats }()
	op, err := Build(n, t.env)
	if err != nil {
		return err
	}
	defer op.Close() // drain has said what there is to say
	lend(op)
	return drain(ctx, op, func(b *vec.Batch) error { return f(b.Compact()) })
}
