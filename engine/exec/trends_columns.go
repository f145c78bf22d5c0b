package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// columns are the values of a period for all that is shown: those of the series, and then
// of the formulas.
func (t *trends) columns(ctx context.Context, p *trends, s *shown) ([]*vec.Vector, error) {
	n := t.node
	var out []*vec.Vector
	for k := range n.Series {
		fill, err := t.fill(k)
		if err != nil {
			return nil, err
		}
		c, err := t.column(ctx, &p.series[k], n.Filled(&n.Series[k]), fill, s)
		if err != nil {
			return nil, err
		}
		if n.Smooth > 0 {
			if c, err = t.means(ctx, c, s.buckets()); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	for i := range n.Formulas {
		c, err := t.formula(ctx, n.Formulas[i].Value, out, len(s.values)*s.buckets())
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// fill is what FILL gives a series; nil if nothing was said.
func (t *trends) fill(series int) (*vec.Vector, error) {
	if t.node.Fill == nil {
		return nil, nil
	}
	v, err := t.node.Fill[series].Eval(t.env.Expr, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, err
	}
	return v.Flatten(1), nil
}

// column puts the results of a series in their places. Where nothing was counted is what
// FILL says. With CUMULATIVE, every place has what was counted up to it.
func (t *trends) column(ctx context.Context, r *seriesResult, as vec.Type, fill *vec.Vector, s *shown) (*vec.Vector, error) {
	width := s.buckets()
	scratch := int64(len(s.values)*width) * 4
	defer t.env.release(scratch)
	if err := t.env.hold(ctx, scratch); err != nil {
		return nil, err
	}
	rows := make([]int32, len(s.values)*width) // row+1 of each place; 0 is none
	for row, b := range r.buckets {
		if i, ok := s.place[r.values[row]]; ok {
			rows[i*width+int(b)-s.first] = int32(row) + 1
		}
	}
	if fill == nil {
		if fill = vec.NullConst(as); r.zero {
			fill = &vec.Vector{Type: as, Form: vec.Const, I64: []int64{0}}
		}
	}
	out := vec.NewBuilder(as)
	var sum running
	for i, row := range rows {
		if i%width == 0 {
			sum = running{}
			if err := yield(ctx); err != nil {
				return nil, err
			}
		}
		switch {
		case !t.node.Cumulative && row > 0:
			out.AppendFrom(r.vector, int(row)-1)
			continue
		case row > 0:
			if err := sum.add(r.vector, int(row)-1); err != nil {
				return nil, err
			}
		}
		if sum.rows {
			sum.append(out)
		} else {
			out.AppendFrom(fill, 0)
		}
	}
	return out.V, t.hold(ctx, out.V.Bytes())
}

// running is a total so far of numbers of one type.
type running struct {
	rows  bool // there was something to count
	known bool // and something other than null came of it
	i     int64
	f     float64
	d     vec.Decimal
}

func (x *running) add(v *vec.Vector, row int) error {
	x.rows = true
	if v.IsNull(row) {
		return nil
	}
	x.known = true
	v, row = v.At(row)
	switch v.Type.Payload() {
	case vec.PayloadI64:
		sum := x.i + v.I64[row]
		if (sum > x.i) != (v.I64[row] > 0) && v.I64[row] != 0 {
			return pgerr.New(pgerr.NumericOutOfRange, "bigint out of range")
		}
		x.i = sum
	case vec.PayloadF64:
		x.f += v.F64[row]
	case vec.PayloadDec:
		sum, err := x.d.Add(v.Decimal(row))
		if err != nil {
			return pgerr.New(pgerr.NumericOutOfRange, "value overflows numeric format")
		}
		x.d = sum
	}
	return nil
}

func (x *running) append(b *vec.Builder) {
	if !x.known {
		b.AppendNull()
		return
	}
	switch b.V.Type.Payload() {
	case vec.PayloadI64:
		b.V.I64 = append(b.V.I64, x.i)
	case vec.PayloadF64:
		b.V.F64 = append(b.V.F64, x.f)
	case vec.PayloadDec:
		b.V.Dec = append(b.V.Dec, x.d)
	}
}

// means are, for every bucket, the means of what is known in the buckets that end with it,
// as many as SMOOTH says or as there are.
func (t *trends) means(ctx context.Context, v *vec.Vector, width int) (*vec.Vector, error) {
	out := vec.NewBuilder(vec.T(vec.Float8))
	for i := range v.Len() {
		if i%vec.BatchRows == 0 {
			if err := yield(ctx); err != nil {
				return nil, err
			}
		}
		sum, n := 0.0, 0
		for row := max(i-i%width, i-t.node.Smooth+1); row <= i; row++ {
			if !v.IsNull(row) {
				sum += toFloat(v, row)
				n++
			}
		}
		if n == 0 {
			out.AppendNull()
			continue
		}
		out.V.F64 = append(out.V.F64, sum/float64(n))
	}
	return out.V, t.hold(ctx, out.V.Bytes())
}

// formula computes an expression over the columns of so many rows.
func (t *trends) formula(ctx context.Context, e expr.Expr, cols []*vec.Vector, rows int) (*vec.Vector, error) {
	out := vec.NewBuilder(e.Type())
	at := 0
	for b := slice(cols, rows, &at); b != nil; b = slice(cols, rows, &at) {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		v, err := e.Eval(t.env.Expr, b)
		if err != nil {
			return nil, err
		}
		for row := range b.Rows {
			out.AppendFrom(v, row)
		}
	}
	return out.V, t.hold(ctx, out.V.Bytes())
}

// theRest is the number of all breakdown values that are not among the first.
const theRest = ^uint32(0)

// restExpr says whether the breakdown value of a row is not among those kept.
type restExpr struct {
	by     []expr.Expr
	values *values32
	kept   map[uint32]bool
}

// Type implements expr.Expr.
func (e *restExpr) Type() vec.Type { return vec.T(vec.Bool) }

// Children implements expr.Parent.
func (e *restExpr) Children() []expr.Expr { return e.by }

// WithChildren implements expr.Parent.
func (e *restExpr) WithChildren(c []expr.Expr) expr.Expr {
	return &restExpr{c, e.values, e.kept}
}

// String tells the expression apart in plans.
func (e *restExpr) String() string { return "rest()" }

// Eval implements expr.Expr.
func (e *restExpr) Eval(ctx *expr.Context, b *vec.Batch) (*vec.Vector, error) {
	cols := make([]*vec.Vector, len(e.by))
	for i, x := range e.by {
		v, err := x.Eval(ctx, b)
		if err != nil {
			return nil, err
		}
		cols[i] = v.Flatten(b.Rows)
	}
	rows := b.Sel
	if rows == nil {
		var all []uint32
		rows = firstRows(&all, b.Rows)
	}
	ids := make([]uint32, len(rows))
	e.values.assign(ids, cols, rows)
	out := &vec.Vector{Type: e.Type(), Bools: make([]bool, b.Rows)}
	for i, row := range rows {
		out.Bools[row] = !e.kept[ids[i]]
	}
	return out, nil
}

// addRest adds to the results of all series those of theRest, which is all values but the
// ones kept: they are measured once more, as one.
func (t *trends) addRest(ctx context.Context, keep []uint32, lo, hi int64) error {
	kept := make(map[uint32]bool, len(keep))
	for _, v := range keep {
		kept[v] = true
	}
	node := *t.node
	node.Breakdown = nil
	rest := *t
	rest.node, rest.values, rest.held = &node, nil, 0
	for i := range t.series {
		s, r := t.node.Series[i], &t.series[i]
		if addsUp(&s) {
			r.addRest(kept, t.line.count())
			continue
		}
		s.Where = conjunction(s.Where, &restExpr{t.by(), t.values, kept})
		before := t.values.groups.bytes()
		var of seriesResult
		err := t.onBehalf(&rest, func() (err error) {
			of, err = rest.measure(ctx, &s, lo, hi)
			return err
		})
		if err != nil {
			return err
		}
		out := vec.Builder{V: r.vector}
		for row, b := range of.buckets {
			r.values, r.buckets = append(r.values, theRest), append(r.buckets, b)
			out.AppendFrom(of.vector, row)
		}
		if err := t.hold(ctx, t.values.groups.bytes()-before+of.vector.Bytes()+int64(len(of.buckets))*8); err != nil {
			return err
		}
	}
	return nil
}

// addsUp says whether the numbers of several breakdown values add up to the one of all of
// them. An actor is new with one value only.
func addsUp(s *plan.Series) bool {
	if s.Measure == plan.MeasureAggregate && isCount(&s.Of) {
		return !s.Of.Aggs[s.Of.Value.(*expr.Column).Index].Distinct
	}
	return s.Measure == plan.MeasureNew
}

// addRest adds up the numbers of the values that are not kept.
func (r *seriesResult) addRest(kept map[uint32]bool, buckets int) {
	counts, some := make([]int64, buckets), vec.NewBitmap(buckets)
	for row, v := range r.values {
		if !kept[v] {
			counts[r.buckets[row]] += r.vector.I64[row]
			some.Set(int(r.buckets[row]))
		}
	}
	for b, n := range counts {
		if some.Get(b) {
			r.values, r.buckets = append(r.values, theRest), append(r.buckets, int32(b))
			r.vector.I64 = append(r.vector.I64, n)
		}
	}
}
