package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// asof gives each row of the left side the nearest row of the right side. Both sides are
// sorted by their keys and then by the values that are compared, and are read side by side:
// n + m rows after sorts that can spill, and in memory no more than a batch of each.
type asof struct {
	node        *plan.Join
	env         *Env
	nullSafe    []bool
	inclusive   bool
	descending  bool // the nearest one is the least that is not smaller
	filled      bool // rows of the left side without a match come out, too
	left, right asofSide
	begun       bool    // next is known
	next        asofRow // of the right side; none at its end
	// best is the last row of the right side that is not beyond the row of the left side at
	// hand; its key may be a smaller one.
	best asofRow
}

// asofRow is a row of a sorted side; a nil batch is none. The batches of a sort are not written
// again, so that the row may be kept beyond the next call.
type asofRow struct {
	batch *vec.Batch
	row   int
}

// asofSide is one side in order. Its columns are those of the input, the keys, what is
// compared, and, on the left, whether the row may have a match.
type asofSide struct {
	input Operator
	width int // columns of the input
}

func newAsof(n *plan.Join, env *Env) (Operator, error) {
	c, err := n.AsofCondition()
	if err != nil {
		return nil, pgerr.New(pgerr.FeatureNotSupported, "%v", err)
	}
	a := &asof{node: n, env: env, nullSafe: c.NullSafe, inclusive: len(c.Op) == 2, descending: c.Op[0] == '<', filled: n.Kind == plan.AsofLeftJoin}
	left, right := n.Left, n.Right
	if c.OfRight != nil {
		right = &plan.Filter{Input: right, Cond: c.OfRight}
	}
	if c.OfLeft != nil && !a.filled {
		left, c.OfLeft = &plan.Filter{Input: left, Cond: c.OfLeft}, nil
	}
	if a.left, err = a.side(left, c.LeftKeys, c.Left, c.OfLeft); err != nil {
		return nil, err
	}
	if a.right, err = a.side(right, c.RightKeys, c.Right, nil); err != nil {
		a.left.input.Close() //nolint:errcheck // nothing was read
		return nil, err
	}
	return a, nil
}

// side is an input in order.
func (a *asof) side(in plan.Node, keys []expr.Expr, compared, allowed expr.Expr) (asofSide, error) {
	p := &plan.Project{Input: in}
	for i, f := range in.Schema() {
		p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(p.Names, f.Name)
	}
	width := len(p.Exprs)
	s := &plan.Sort{Input: p}
	add := func(e expr.Expr) {
		p.Exprs, p.Names = append(p.Exprs, e), append(p.Names, "")
	}
	for _, e := range append(keys[:len(keys):len(keys)], compared) {
		s.Keys = append(s.Keys, plan.SortKey{Expr: &expr.Column{Index: len(p.Exprs), T: e.Type()}})
		add(e)
	}
	s.Keys[len(keys)].Desc = a.descending
	if allowed != nil {
		add(allowed)
	}
	op, err := newSort(s, a.env)
	return asofSide{input: op, width: width}, err
}

// advance goes on to the right side's next row.
func (a *asof) advance(ctx context.Context) error {
	a.next.row++
	for a.next.batch == nil || a.next.row == a.next.batch.Rows {
		if err := yield(ctx); err != nil {
			return err
		}
		b, err := a.right.input.Next(ctx)
		if b == nil || err != nil {
			a.next = asofRow{}
			return err
		}
		a.next = asofRow{batch: b.Compact()}
	}
	return nil
}

// Next implements Operator: the rows of the left side's next batch.
func (a *asof) Next(ctx context.Context) (*vec.Batch, error) {
	if !a.begun {
		if err := a.advance(ctx); err != nil {
			return nil, err
		}
		a.begun = true
	}
	for {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		b, err := a.left.input.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		b = b.Compact()
		out, err := a.matched(ctx, b)
		if err != nil {
			return nil, err
		}
		if out.Live() > 0 {
			return out, nil
		}
	}
}

// matched is a batch of the left side with the columns of the right one.
func (a *asof) matched(ctx context.Context, b *vec.Batch) (*vec.Batch, error) {
	out := &vec.Batch{Rows: b.Rows, Cols: b.Cols[:a.left.width:a.left.width]}
	var builders []*vec.Builder
	for _, f := range a.node.Right.Schema() {
		builders = append(builders, vec.NewBuilder(f.Type))
		out.Cols = append(out.Cols, builders[len(builders)-1].V)
	}
	for i := range b.Rows {
		l := asofRow{b, i}
		found := a.mayMatch(l)
		if found {
			if err := a.approach(ctx, l); err != nil {
				return nil, err
			}
			found = a.best.batch != nil && a.compareKeys(a.best, l) == 0
		}
		if !found && !a.filled {
			if out.Sel == nil {
				out.Sel = appendRows(make([]uint32, 0, b.Rows), &vec.Batch{Rows: i})
			}
			for _, c := range builders {
				c.AppendNull()
			}
			continue
		}
		if out.Sel != nil {
			out.Sel = append(out.Sel, uint32(i))
		}
		for c, to := range builders {
			if found {
				to.AppendFrom(a.best.batch.Cols[c], a.best.row)
			} else {
				to.AppendNull()
			}
		}
	}
	return out, nil
}

// mayMatch says whether a row of the left side can have a match at all.
func (a *asof) mayMatch(l asofRow) bool {
	cols := l.batch.Cols[a.left.width:]
	keys := len(a.nullSafe)
	for i, v := range cols[:keys+1] {
		if v.IsNull(l.row) && (i == keys || !a.nullSafe[i]) {
			return false
		}
	}
	if len(cols) == keys+1 {
		return true
	}
	allowed, at := cols[keys+1].At(l.row)
	return !cols[keys+1].IsNull(l.row) && allowed.Bools[at]
}

// approach moves best to the last row of the right side that is not beyond one of the left
// side. Of rows that are equal the first one stays.
func (a *asof) approach(ctx context.Context, l asofRow) error {
	for a.next.batch != nil {
		r := a.next
		order := a.compareKeys(r, l)
		if order > 0 {
			return nil
		}
		if order == 0 {
			if d := a.compareLast(r, l, a.left.width); d > 0 || d == 0 && !a.inclusive {
				return nil
			}
			if a.best.batch == nil || a.compareKeys(a.best, l) != 0 || a.compareLast(a.best, r, a.right.width) != 0 {
				a.best = r
			}
		}
		if err := a.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compareKeys orders the keys of a row of the right side and one of the left side.
func (a *asof) compareKeys(r, l asofRow) int {
	for i := range a.nullSafe {
		if c := comparePlaces(r.batch.Cols[a.right.width+i], r.row, l.batch.Cols[a.left.width+i], l.row, false, false); c != 0 {
			return c
		}
	}
	return 0
}

// compareLast orders what is compared of a row of the right side and of another row, whose
// keys begin at a column.
func (a *asof) compareLast(r, other asofRow, at int) int {
	k := len(a.nullSafe)
	return comparePlaces(r.batch.Cols[a.right.width+k], r.row, other.batch.Cols[at+k], other.row, a.descending, false)
}

// Close implements Operator.
func (a *asof) Close() error {
	err := a.left.input.Close()
	if closing := a.right.input.Close(); err == nil {
		err = closing
	}
	return err
}
