package exec

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// dividing is a window with PARTITION BY over many rows: the copies of the pipeline below read
// them and divide them by the hash of the keys, and the copies of the pipeline above take one
// part after the other. Partitions come out in no order. What does not fit into memory is written
// as sorted runs, and one copy takes all of them.
type dividing struct {
	node *plan.Window
	pipe *pipeline
	env  *Env
	most int // rows of a partition, the first in order, that are wanted

	mu      sync.Mutex // held to read the input, and to change what follows
	begun   bool       // the input is read, or reading it failed with err
	err     error
	columns []*vec.Vector // of all rows, with a row of NULL behind the last one
	keys    []*vec.Vector // PARTITION BY: values, or codes that are as different
	order   []uint32      // rows, by part
	ends    [fanOut]int   // where each part ends in order
	held    int64
	next    int        // part to take
	onDisk  *windowing // nil: rows are in memory, or a copy has it
	spills  spills
}

// windowShare is the rows that one copy has read.
type windowShare struct {
	of      *dividing
	columns []columnStore
	count   int
	parts   []uint8 // of each row
	divider divider
	scratch []uint32
	held    int64
	written *sorted // runs on disk; nil: there are none
}

// manyWindowRows is from how many rows on a window is divided: fewer come out in the order of
// their keys.
const manyWindowRows = 16 << 10

// divided says whether a window is worth dividing.
func divided(n *plan.Window, env *Env) bool {
	return len(n.Partition) > 0 && env.Threads > 1 && largeWindow(n, env)
}

// largeWindow says whether a window is over so many rows that partitions come out in no order.
func largeWindow(n *plan.Window, env *Env) bool {
	many := manyWindowRows
	if env.GroupsAt > 0 {
		many = env.GroupsAt
	}
	return env.statistics().Rows(n.Input) >= float64(many)
}

// newDividing divides a window, above which there is a filter, or nil.
func newDividing(n *plan.Window, env *Env, above *plan.Filter) (*dividing, error) {
	pipe, err := newPipeline(n.Input, env, nil)
	if err != nil {
		return nil, err
	}
	most, err := mostWanted(n, env, above)
	if err != nil {
		return nil, err
	}
	return &dividing{node: n, pipe: pipe, env: env, most: most, spills: spills{env: env, node: n}}, nil
}

// mostWanted is how many rows of each partition, the first in order, a filter above a window lets pass
// at most.
func mostWanted(n *plan.Window, env *Env, above *plan.Filter) (int, error) {
	if above == nil || slices.Contains(env.Disabled, plan.FirstRows) || !numbersOnly(n) {
		return math.MaxInt, nil
	}
	numbers := bounds{1, math.MaxInt64}
	_, err := takeBounds(above.Cond, env, func(column int) *bounds {
		if column < len(n.Input.Schema()) {
			return nil
		}
		return &numbers
	})
	return int(max(numbers.last, 0)), err
}

// numbersOnly says whether a window computes nothing but row_number().
func numbersOnly(n *plan.Window) bool {
	return !slices.ContainsFunc(n.Calls, func(c plan.WindowCall) bool { return c.Name != "row_number" })
}

// read reads the input, unless another copy has done so.
func (d *dividing) read(ctx context.Context) error {
	lock(ctx, &d.mu)
	defer d.mu.Unlock()
	if !d.begun {
		d.begun = true
		d.err = d.readInput(ctx)
	}
	return d.err
}

func (d *dividing) readInput(ctx context.Context) error {
	shares := make([]windowShare, d.pipe.copies())
	err := d.pipe.drain(ctx, nil, func(ctx context.Context, w int) (func(*vec.Batch) error, error) {
		shares[w].of = d
		return func(b *vec.Batch) error { return shares[w].add(ctx, b) }, nil
	}, func(context.Context, int) error { return nil })
	var all *windowShare
	var runs []*spillFile
	for i := range shares {
		s := &shares[i]
		d.held += s.held
		if s.written != nil {
			runs = append(runs, s.written.runs...)
		}
		if all == nil || s.count > all.count {
			all = s
		}
	}
	if err != nil || all.count == 0 && runs == nil {
		return err
	}
	more := d.held + int64(all.count)*8 // at most, since the largest share is not copied
	if len(runs) > 0 || !d.env.room(2*more) {
		return d.divideOnDisk(ctx, shares, runs)
	}
	d.held += more
	if err := d.env.hold(ctx, more); err != nil {
		return err
	}
	var scratch []uint32
	for i := range shares {
		if s := &shares[i]; s != all && s.count > 0 {
			if err := all.append(s.batch().Cols, firstRows(&scratch, s.count)); err != nil {
				return err
			}
			all.parts = append(all.parts, s.parts...)
			s.columns, s.parts = nil, nil
		}
	}
	d.order, d.ends = inOrderOfParts(all.parts)
	for _, e := range d.node.Partition {
		k := all.columns[e.(*expr.Column).Index].v
		if k.Form == vec.Dict && k.Type.Kind == vec.UUID && len(k.Dict.Nulls) == 0 { // which has each of them once
			k = &vec.Vector{Type: vec.T(vec.Int8), Nulls: k.Nulls, I64: widen(k.Codes)}
		}
		d.keys = append(d.keys, k)
	}
	for i := range all.columns {
		d.columns = append(d.columns, all.columns[i].finish())
	}
	held := bytesOf(d.columns) + 12*int64(all.count)
	grown := held - d.held
	d.held = held
	return d.env.hold(ctx, grown)
}

// divideOnDisk writes what is in memory, and prepares the merge of all runs.
func (d *dividing) divideOnDisk(ctx context.Context, shares []windowShare, runs []*spillFile) error {
	rows := &sorter{pipe: &pipeline{}, keys: windowKeys(d.node), env: d.env}
	rows.out = &sorted{keys: rows.keys, env: d.env, keep: math.MaxInt64, spills: &d.spills, runs: runs}
	d.onDisk = &windowing{node: d.node, input: rows, env: d.env}
	for i := range shares {
		s := &shares[i]
		before := 0
		if s.written != nil {
			before = len(s.written.runs)
		}
		d.held -= s.held
		if err := s.write(ctx); err != nil {
			return err
		}
		if s.written != nil {
			rows.out.runs = append(rows.out.runs, s.written.runs[before:]...)
		}
	}
	return rows.mergeSpilled(ctx)
}

func (s *windowShare) add(ctx context.Context, b *vec.Batch) error {
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&s.scratch, b.Rows)
	}
	if len(rows) == 0 {
		return nil
	}
	keys, err := evalAll(s.of.env.Expr, s.of.node.Partition, b)
	if err != nil {
		return err
	}
	if err := s.append(b.Cols, rows); err != nil {
		return err
	}
	s.parts = s.divider.parts(s.parts, keys, rows, 0)
	held := int64(cap(s.parts) + 8*cap(s.divider.hashes))
	for i := range s.columns {
		held += s.columns[i].bytes()
	}
	grown := held - s.held
	s.held = held
	if err := s.of.env.hold(ctx, grown); err != nil {
		return err
	}
	if s.of.env.crowded(held) {
		return s.write(ctx)
	}
	return nil
}

func (s *windowShare) append(cols []*vec.Vector, rows []uint32) error {
	if s.columns == nil {
		for _, c := range cols {
			s.columns = append(s.columns, columnStore{typ: c.Type})
		}
	}
	for i := range s.columns {
		if err := s.columns[i].add(cols[i], rows); err != nil {
			return err
		}
	}
	s.count += len(rows)
	return nil
}

// batch is the rows in memory.
func (s *windowShare) batch() *vec.Batch {
	b := &vec.Batch{Rows: s.count}
	for i := range s.columns {
		b.Cols = append(b.Cols, s.columns[i].v)
	}
	return b
}

// write writes the rows in memory to disk.
func (s *windowShare) write(ctx context.Context) error {
	if s.count > 0 {
		d := s.of
		if s.written == nil {
			s.written = &sorted{keys: windowKeys(d.node), env: d.env, keep: math.MaxInt64, spills: &d.spills}
		}
		if err := s.written.add(ctx, s.batch()); err != nil {
			return err
		}
		if err := s.written.spill(ctx); err != nil {
			return err
		}
	}
	s.of.env.release(s.held)
	s.columns, s.parts, s.count, s.held = nil, nil, 0, 0
	return nil
}

// windowKeys is the order in which partitions are found in rows.
func windowKeys(n *plan.Window) []plan.SortKey {
	var keys []plan.SortKey
	for _, e := range n.Partition {
		keys = append(keys, plan.SortKey{Expr: e})
	}
	return append(keys, n.Order...)
}

func (d *dividing) copies() int { return min(fanOut, d.pipe.copies()) }

func (d *dividing) open([]*keyFilter) Operator { return &dividedWindow{dividing: d} }

func (d *dividing) close() error {
	d.env.release(d.held)
	d.held = 0
	var err error
	if d.onDisk != nil {
		err = d.onDisk.Close()
	}
	if closing := d.spills.close(); err == nil {
		err = closing
	}
	if closing := d.pipe.close(); err == nil {
		err = closing
	}
	return err
}

// dividedWindow hands out the rows of a divided window. It is one of several copies.
type dividedWindow struct {
	*dividing
	alone bool // there is no other, and the pipeline is its own

	now    *windowRows
	row    int   // of now, the next one to hand out
	held   int64 // of now
	onDisk *windowing
}

func (w *dividedWindow) Next(ctx context.Context) (*vec.Batch, error) {
	if err := w.read(ctx); err != nil {
		return nil, err
	}
	for {
		if w.onDisk != nil {
			return w.onDisk.Next(ctx)
		}
		if w.now != nil && w.row < w.now.count {
			b := w.now.slice(w.row)
			w.row += b.Rows
			return b, nil
		}
		w.env.release(w.held)
		w.now, w.row, w.held = nil, 0, 0
		rows := w.take()
		if w.onDisk != nil {
			continue
		}
		if rows == nil {
			return nil, nil
		}
		var err error
		if w.now, err = w.ordered(ctx, rows); err != nil {
			return nil, err
		}
		if err := w.now.compute(ctx, w.node, w.env); err != nil {
			return nil, err
		}
	}
}

// take is the rows of the next part that no copy has; nil after the last one.
func (w *dividedWindow) take() []uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dividing.onDisk != nil {
		w.onDisk, w.dividing.onDisk = w.dividing.onDisk, nil
		return nil
	}
	lo := 0
	for w.next < fanOut {
		if w.next > 0 {
			lo = w.ends[w.next-1]
		}
		w.next++
		if hi := w.ends[w.next-1]; hi > lo {
			return w.order[lo:hi]
		}
	}
	return nil
}

// ordered is rows of a part, by partition and in order there.
func (w *dividedWindow) ordered(ctx context.Context, rows []uint32) (*windowRows, error) {
	r := &windowRows{count: len(rows)}
	// Rows are copied, and what is computed of one takes about as much as three columns of numbers.
	w.held = bytesOf(w.columns)*int64(len(rows))/int64(len(w.order)) + 24*int64(len(rows)) + sortScratch(len(rows))
	if err := w.env.hold(ctx, w.held); err != nil {
		return nil, err
	}
	var err error
	if rows, r.starts, err = partitionsOf(ctx, w.keys, rows); err != nil {
		return nil, err
	}
	if err := w.sort(ctx, rows, r.starts); err != nil {
		return nil, err
	}
	rows = firstOfEach(rows, r.starts, w.most)
	r.count = len(rows)
	rows = append(rows, uint32(len(w.order))) // the row of NULL
	for _, c := range w.columns {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		r.cols = append(r.cols, c.Take(rows))
	}
	return r, nil
}

// sort orders the rows of each partition.
func (w *dividedWindow) sort(ctx context.Context, rows []uint32, starts []int32) error {
	if len(w.node.Order) == 0 {
		return nil
	}
	keys := make([]*vec.Vector, len(w.node.Order))
	for i, k := range w.node.Order {
		keys[i] = w.columns[k.Expr.(*expr.Column).Index].Take(rows).Flatten(len(rows))
	}
	o := newRowOrder(w.node.Order, keys, len(rows))
	sorted := make([]uint32, len(rows))
	for i := range sorted {
		sorted[i] = uint32(i)
	}
	for p, lo := range starts[:len(starts)-1] {
		if p%vec.BatchRows == 0 {
			if err := yield(ctx); err != nil {
				return err
			}
		}
		o.firstFew(sorted[lo:starts[p+1]], w.most)
	}
	for i, at := range sorted {
		sorted[i] = rows[at]
	}
	copy(rows, sorted)
	return nil
}

// firstOfEach is the first rows of each partition, so many at most. It moves where partitions begin.
func firstOfEach(rows []uint32, starts []int32, most int) []uint32 {
	n := 0
	for p := range starts[1:] {
		lo, hi := int(starts[p]), int(starts[p+1])
		starts[p] = int32(n)
		n += copy(rows[n:], rows[lo:lo+min(most, hi-lo)])
	}
	starts[len(starts)-1] = int32(n)
	return rows[:n]
}

// partitionsOf is rows by partition, in memory of its own, and where each begins, and where the
// last one ends. Rows of a partition stay in their order.
func partitionsOf(ctx context.Context, keys []*vec.Vector, rows []uint32) (order []uint32, starts []int32, err error) {
	var types []vec.Type
	for _, k := range keys {
		types = append(types, k.Type)
	}
	g := newGrouper(types)
	ids := make([]uint32, len(rows))
	for lo := 0; lo < len(rows); lo += vec.BatchRows {
		if err := yield(ctx); err != nil {
			return nil, nil, err
		}
		hi := min(lo+vec.BatchRows, len(rows))
		g.assign(ids[lo:hi], keys, rows[lo:hi])
	}
	starts = make([]int32, g.groups+1)
	for _, id := range ids {
		starts[id+1]++
	}
	for i := range g.groups {
		starts[i+1] += starts[i]
	}
	order = make([]uint32, len(rows), len(rows)+1)
	at := slices.Clone(starts)
	for i, id := range ids {
		order[at[id]] = rows[i]
		at[id]++
	}
	return order, starts, nil
}

func widen(codes []uint32) []int64 {
	out := make([]int64, len(codes))
	for i, c := range codes {
		out[i] = int64(c)
	}
	return out
}

func (w *dividedWindow) Close() error {
	w.env.release(w.held)
	w.held = 0
	var err error
	if w.onDisk != nil {
		err = w.onDisk.Close()
		w.onDisk = nil
	}
	if w.alone {
		if closing := w.close(); err == nil {
			err = closing
		}
	}
	return err
}
