package exec

import (
	"context"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// windowing computes functions over the rows around each row. Its input comes by partition, in
// order. Whole partitions are taken in, as many as make a batch, and computed together. Many
// rows with PARTITION BY are divided instead ([dividing]).
type windowing struct {
	node  *plan.Window
	input Operator
	env   *Env

	batch *vec.Batch // of the input, compact, from which rows are left
	at    int        // the next of them
	now   *windowRows
	row   int // of now, the next one to hand out
	held  int64
}

// windowRows is whole partitions.
type windowRows struct {
	count   int
	columns []columnStore
	cols    []*vec.Vector // the columns, with a row of NULL behind the last one; then the calls
	starts  []int32       // where each partition begins, and one more
	part    []int32       // the partition of each row

	// Peers are rows of a partition that are equal in order.
	peer   []int32 // the number of each row's peers, counted from the first rows on
	peerAt []int32 // where the rows of each number begin, and one more
}

func newWindowAgg(n *plan.Window, env *Env) (Operator, error) {
	numbers, err := newRowNumbers(n, env, slices.Repeat(columnSet{true}, len(n.Schema())), nil)
	if err != nil {
		return nil, err
	}
	if numbers != nil {
		p := &pipeline{node: n, leaf: n, shared: numbers, env: env}
		return p.operator()
	}
	if divided(n, env) {
		d, err := newDividing(n, env, nil)
		if err != nil {
			return nil, err
		}
		return &dividedWindow{dividing: d, alone: true}, nil
	}
	in := n.Input
	if keys := windowKeys(n); len(keys) > 0 {
		in = &plan.Sort{Input: in, Keys: keys}
	}
	input, err := Build(in, env)
	if err != nil {
		return nil, err
	}
	return &windowing{node: n, input: input, env: env}, nil
}

func (w *windowing) Next(ctx context.Context) (*vec.Batch, error) {
	for w.now == nil || w.row == w.now.count {
		more, err := w.gather(ctx)
		if !more || err != nil {
			return nil, err
		}
		for i := range w.now.columns {
			w.now.cols = append(w.now.cols, w.now.columns[i].finish())
		}
		if err := w.now.compute(ctx, w.node, w.env); err != nil {
			return nil, err
		}
	}
	b := w.now.slice(w.row)
	w.row += b.Rows
	return b, nil
}

// slice is a batch of rows from one on.
func (r *windowRows) slice(row int) *vec.Batch {
	b := &vec.Batch{Rows: min(vec.BatchRows, r.count-row)}
	for _, c := range r.cols {
		b.Cols = append(b.Cols, c.Slice(row, row+b.Rows))
	}
	return b
}

// gather takes in whole partitions, about as many as make a batch. It says whether there
// are any.
func (w *windowing) gather(ctx context.Context) (bool, error) {
	r := &windowRows{starts: []int32{0}}
	for _, f := range w.node.Input.Schema() {
		r.columns = append(r.columns, columnStore{typ: f.Type})
	}
	w.now, w.row = r, 0
	var scratch []uint32
	for {
		if err := yield(ctx); err != nil {
			return false, err
		}
		if w.batch == nil || w.at == w.batch.Rows {
			b, err := w.input.Next(ctx)
			if err != nil {
				return false, err
			}
			if b == nil {
				break
			}
			w.batch, w.at = b.Compact(), 0
			continue
		}
		end := w.batch.Rows
		full := false
		for i := w.at; i < end; i++ {
			if first := r.count == 0 && i == w.at; first || w.together(r, i) {
				continue
			}
			if r.count+i-w.at >= vec.BatchRows {
				end, full = i, true
				break
			}
			r.starts = append(r.starts, int32(r.count+i-w.at))
		}
		rows := firstRows(&scratch, end)[w.at:]
		for i := range r.columns {
			if err := r.columns[i].add(w.batch.Cols[i], rows); err != nil {
				return false, err
			}
		}
		r.count += len(rows)
		w.at = end
		if err := w.hold(ctx); err != nil {
			return false, err
		}
		if full {
			break
		}
	}
	r.starts = append(r.starts, int32(r.count))
	return r.count > 0, nil
}

// together says whether row i of the batch is in the partition of the row before it.
func (w *windowing) together(r *windowRows, i int) bool {
	for _, e := range w.node.Partition {
		c := e.(*expr.Column).Index
		before, at := w.batch.Cols[c], i-1
		if i == w.at {
			before, at = r.columns[c].v, r.count-1
		}
		if !samePlaces(before, at, w.batch.Cols[c], i) {
			return false
		}
	}
	return true
}

// samePlaces says whether two vectors have the same value at two places, NULL being the same as
// NULL.
func samePlaces(v *vec.Vector, i int, w *vec.Vector, j int) bool {
	if hasNone(v) && hasNone(w) {
		v, i = v.At(i)
		w, j = w.At(j)
		switch v.Type.Payload() {
		case vec.PayloadI64:
			return v.I64[i] == w.I64[j]
		case vec.PayloadUUIDs:
			return v.UUIDs[i] == w.UUIDs[j]
		}
	}
	return comparePlaces(v, i, w, j, false, false) == 0
}

// hasNone says whether no value of a vector can be NULL.
func hasNone(v *vec.Vector) bool {
	return len(v.Nulls) == 0 && (v.Form != vec.Dict || len(v.Dict.Nulls) == 0)
}

// hold accounts for the rows taken in.
func (w *windowing) hold(ctx context.Context) error {
	held := int64(4 * len(w.now.starts))
	for i := range w.now.columns {
		held += w.now.columns[i].bytes()
	}
	// What is computed of a row takes about as much as three columns of numbers.
	held += int64(w.now.count) * 24
	grown := held - w.held
	w.held = held
	return w.env.hold(ctx, grown)
}

// compute computes the calls of a window.
func (r *windowRows) compute(ctx context.Context, n *plan.Window, env *Env) error {
	r.part = make([]int32, r.count)
	for p := range r.starts[1:] {
		for i := r.starts[p]; i < r.starts[p+1]; i++ {
			r.part[i] = int32(p)
		}
	}
	if slices.ContainsFunc(n.Calls, seesPeers) {
		r.findPeers(n.Order)
	}
	var calls []*vec.Vector
	for i := range n.Calls {
		if err := yield(ctx); err != nil {
			return err
		}
		c := &windowCall{env: env, call: &n.Calls[i], rows: r}
		if len(n.Order) > 0 {
			c.order = n.Order[0]
		}
		v, err := c.values(ctx)
		if err != nil {
			return err
		}
		calls = append(calls, v)
	}
	r.cols = append(r.cols, calls...)
	return nil
}

// seesPeers says whether the answer of a call may depend on which rows are equal in order.
func seesPeers(c plan.WindowCall) bool {
	switch c.Name {
	case "row_number", "lag", "lead", "ntile", "session_start":
		return false
	}
	return true
}

// findPeers numbers rows that are equal in order.
func (r *windowRows) findPeers(order []plan.SortKey) {
	r.peer = make([]int32, r.count)
	for p := range r.starts[1:] {
		for i := r.starts[p]; i < r.starts[p+1]; i++ {
			same := i > r.starts[p]
			for _, k := range order {
				v := r.cols[k.Expr.(*expr.Column).Index]
				same = same && samePlaces(v, int(i)-1, v, int(i))
			}
			if !same {
				r.peerAt = append(r.peerAt, i)
			}
			r.peer[i] = int32(len(r.peerAt) - 1)
		}
	}
	r.peerAt = append(r.peerAt, int32(r.count))
}

func (w *windowing) Close() error {
	w.env.release(w.held)
	w.held = 0
	return w.input.Close()
}
