package exec

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// Where a table of groups would be larger than the caches and most rows miss them, rows wait for their groups: their keys
// are packed, what the calls read of them is copied as it is, and both go to partitions by the hash of the keys. A
// partition has a small table, so its rows find their groups soon, and no state is made, moved or
// merged before. It pays where all of that is numbers.

// argColumns is what the calls of an aggregate read, each once.
type argColumns struct {
	exprs []expr.Expr
	of    [][]int // by call: which of exprs its arguments are
}

// argColumnsOf is nil where rows of the aggregate cannot wait for their groups.
func argColumnsOf(n *plan.Aggregate) *argColumns {
	for _, k := range n.Keys {
		if !isNumber(k.Type()) {
			return nil
		}
	}
	a := &argColumns{of: make([][]int, len(n.Aggs))}
	for i := range n.Aggs {
		call := &n.Aggs[i]
		if call.Distinct || call.Filter != nil || len(call.OrderBy) > 0 {
			return nil
		}
		for _, x := range call.Args {
			if !isNumber(x.Type()) && x.Type().Payload() != vec.PayloadDec || expr.Volatile(x) {
				return nil
			}
			at := slices.IndexFunc(a.exprs, func(e expr.Expr) bool { return expr.Same(e, x) })
			if at < 0 {
				at, a.exprs = len(a.exprs), append(a.exprs, x)
			}
			a.of[i] = append(a.of[i], at)
		}
	}
	return a
}

// slice is the arguments of a call, out of columns of the exprs, of rows [lo, hi).
func (a *argColumns) slice(cols []*vec.Vector, call, lo, hi int) []*vec.Vector {
	out := make([]*vec.Vector, len(a.of[call]))
	for i, at := range a.of[call] {
		out[i] = cols[at].Slice(lo, hi)
	}
	return out
}

// isNumber says whether a grouper packs values of a type as they are.
func isNumber(t vec.Type) bool {
	switch t.Payload() {
	case vec.PayloadBools, vec.PayloadI64, vec.PayloadF64:
		return true
	}
	return false
}

// waiting is what the calls read of rows that wait for their groups. Row i is of group i of the grouper,
// which makes one of each row.
type waiting struct {
	args   *argColumns
	values []columnStore
}

func newWaiting(args *argColumns) *waiting {
	w := &waiting{args: args}
	for _, x := range args.exprs {
		w.values = append(w.values, columnStore{typ: x.Type()})
	}
	return w
}

// add takes in the given rows of a batch.
func (w *waiting) add(ctx *expr.Context, b *vec.Batch, rows []uint32) error {
	live := &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols}
	for i, x := range w.args.exprs {
		v, err := x.Eval(ctx, live)
		if err != nil {
			return err
		}
		if err := w.values[i].add(v, rows); err != nil {
			return err
		}
	}
	return nil
}

// inOrder is the values of rows in an order.
func (w *waiting) inOrder(order []uint32) []*vec.Vector {
	out := make([]*vec.Vector, len(w.values))
	for i := range w.values {
		out[i] = w.values[i].v.Take(order).Flatten(len(order)) // of a dictionary each part needs few values
	}
	return out
}

// forget forgets all rows and keeps the memory. Nothing that inOrder gave shares it.
func (w *waiting) forget() {
	for i := range w.values {
		w.values[i].empty()
	}
}

func (w *waiting) bytes() int64 {
	if w == nil {
		return 0
	}
	n := int64(0)
	for i := range w.values {
		n += w.values[i].bytes()
	}
	return n
}

// waits says whether rows that come may wait for their groups: weighted ones do not, since each would have to be
// repeated.
func (g *grouping) waits() bool {
	return g.args != nil && !g.weighted && g.env.ample()
}

// wait has rows wait for their groups from now on, or not any more. There are no groups now.
func (g *grouping) wait(yes bool) {
	switch {
	case !yes:
		g.waiting = nil
	case g.waiting == nil:
		g.waiting = newWaiting(g.args)
	}
}
