package exec

import (
	"bytes"
	"context"
	"math"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// sorter orders all rows of its input, or keeps the first of them: each copy of the
// pipeline below sorts what it reads, and the sorted parts are merged. What does not fit
// into memory is written as sorted runs, and merged from there.
type sorter struct {
	pipe *pipeline // nil: others fill the sorted parts
	keys []plan.SortKey
	env  *Env
	// keep is how many rows in sorted order are wanted; all of them are MaxInt64.
	keep, skip int64

	spills spills
	out    *sorted // nil before the input is read
	cols   []*vec.Vector
	at     int
	merge  *runMerge // of spilled runs; nil: cols is the answer
}

func newSort(n *plan.Sort, env *Env) (Operator, error) {
	pipe, err := newPipeline(n.Input, env, nil)
	if err != nil {
		return nil, err
	}
	return &sorter{pipe: pipe, keys: n.Keys, env: env, keep: math.MaxInt64, spills: spills{env: env, node: n}}, nil
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
	} else {
		keep = math.MaxInt64
	}
	pipe, err := newPipeline(n.Input, env, nil)
	if err != nil {
		return nil, err
	}
	pipe.wantFirst(n.Keys, keep)
	first := n.Keys[0]
	if _, column, ok := scanned(n.Input, first.Expr); ok && pipe.source != nil {
		pipe.source.orderBy(column, first.Desc, first.NullsFirst)
	}
	return &sorter{pipe: pipe, keys: n.Keys, env: env, keep: keep, skip: skip, spills: spills{env: env, node: n}}, nil
}

func (s *sorter) run(ctx context.Context) error {
	parts := make([]*sorted, s.pipe.copies())
	err := s.pipe.drain(ctx, nil, func(ctx context.Context, w int) (func(*vec.Batch) error, error) {
		parts[w] = &sorted{keys: s.keys, env: s.env, keep: s.keep, source: s.pipe.source, spills: &s.spills}
		return func(b *vec.Batch) error { return parts[w].add(ctx, b) }, nil
	}, func(ctx context.Context, w int) error { return parts[w].cut(ctx) })
	s.out = parts[0]
	if err != nil {
		return err
	}
	return s.finish(ctx, parts)
}

// finish makes the answer of sorted parts, the first of which is out.
func (s *sorter) finish(ctx context.Context, parts []*sorted) error {
	var err error
	for _, p := range parts[1:] {
		if len(s.out.runs)+len(p.runs) == 0 {
			err = s.out.merge(ctx, p)
		} else {
			err = s.out.join(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	if len(s.out.runs) > 0 {
		return s.mergeSpilled(ctx)
	}
	if err := s.out.cut(ctx); err != nil {
		return err
	}
	for _, r := range s.out.rows[:max(0, len(s.out.rows)-len(s.keys))] {
		s.cols = append(s.cols, r.v)
	}
	s.at = int(min(s.skip, int64(s.out.count)))
	return nil
}

func (s *sorter) Next(ctx context.Context) (*vec.Batch, error) {
	if s.out == nil {
		if err := s.run(ctx); err != nil {
			return nil, err
		}
	}
	if s.merge != nil {
		return s.merge.next(ctx)
	}
	return slice(s.cols, s.out.count, &s.at), nil
}

// mergeSpilled prepares the merge of all runs.
func (s *sorter) mergeSpilled(ctx context.Context) error {
	if err := s.out.spill(ctx); err != nil {
		return err
	}
	for len(s.out.runs) > fanIn {
		if err := s.out.fewerRuns(ctx); err != nil {
			return err
		}
	}
	merge, err := s.out.mergeOf(ctx, s.out.runs)
	if err != nil {
		return err
	}
	merge.skip, merge.shown = s.skip, merge.width-len(s.keys)
	s.merge = merge
	return nil
}

func (s *sorter) Close() error {
	if s.out != nil {
		s.env.release(s.out.held)
	}
	if s.merge != nil {
		s.env.release(s.merge.held)
	}
	err := s.spills.close()
	if s.pipe == nil {
		return err
	}
	if closing := s.pipe.close(); err == nil {
		err = closing
	}
	return err
}

// sorted is rows in the order of their keys, as of the last cut, and rows gathered since.
type sorted struct {
	keys []plan.SortKey
	env  *Env
	keep int64
	// source, if it gives its rows in the order of the first key as far as it can, is told
	// what value a row must have to be wanted.
	source *scanSource

	rows  []columnStore // columns of the input, then the sort keys, which are flat
	count int
	parts []int // where sorted stretches end
	held  int64

	scratch []uint32
	spills  *spills
	runs    []*spillFile // rows that came before these, a sorted run each, in order of arrival
}

// pileRows is how many rows pile up beyond those wanted before they are cut back.
const pileRows = vec.BatchRows / 4

// add takes in the rows of b that may be among the first.
func (s *sorted) add(ctx context.Context, b *vec.Batch) error {
	keys := make([]*vec.Vector, len(s.keys))
	if s.full() {
		var err error
		if b, err = s.better(b, keys); err != nil || b.Live() == 0 {
			return err
		}
	}
	for i, k := range s.keys {
		if keys[i] != nil {
			continue
		}
		v, err := k.Expr.Eval(s.env.Expr, b)
		if err != nil {
			return err
		}
		keys[i] = v
	}
	if err := s.append(append(append([]*vec.Vector{}, b.Cols...), keys...), b); err != nil {
		return err
	}
	if err := s.hold(ctx); err != nil {
		return err
	}
	if s.env.crowded(s.held) {
		return s.spill(ctx)
	}
	pile := int64(pileRows)
	if s.ordered() && !s.full() {
		pile = 0 // the sooner it is known what is wanted, the less is read
	}
	if s.keep < math.MaxInt64/4 && int64(s.count) >= 2*s.keep+pile {
		return s.cut(ctx)
	}
	return nil
}

// ordered says whether the source wants to know what rows are wanted.
func (s *sorted) ordered() bool { return s.source != nil && s.source.order != nil }

// full says whether the rows of the last cut are as many as wanted, so that later ones
// must be better than the last of them.
func (s *sorted) full() bool { return len(s.parts) > 0 && int64(s.parts[0]) == s.keep }

// better is b with the rows left that come before the last one wanted. A key is evaluated
// only if rows are equal in all keys before it; what was evaluated is in keys.
func (s *sorted) better(b *vec.Batch, keys []*vec.Vector) (*vec.Batch, error) {
	if s.keep == 0 {
		return &vec.Batch{Rows: b.Rows, Sel: []uint32{}, Cols: b.Cols}, nil
	}
	last := int(s.keep) - 1
	equal := b
	kept := []uint32{} // not nil, which would be all rows
	for i, k := range s.keys {
		v, err := k.Expr.Eval(s.env.Expr, equal)
		if err != nil {
			return nil, err
		}
		if i == 0 { // of all rows, so of those that are kept
			keys[i] = v
		}
		var same []uint32
		kept, same = before(v, s.key(i), last, k, equal, kept)
		if equal = (&vec.Batch{Rows: b.Rows, Sel: same, Cols: b.Cols}); len(same) == 0 {
			break
		}
	}
	slices.Sort(kept)
	return &vec.Batch{Rows: b.Rows, Sel: kept, Cols: b.Cols}, nil
}

// key is the values of the i-th sort key.
func (s *sorted) key(i int) *vec.Vector { return s.rows[len(s.rows)-len(s.keys)+i].v }

// before appends to kept the rows of b whose key v comes before row last of have, and
// lists those where it is the same.
func before(v, have *vec.Vector, last int, k plan.SortKey, b *vec.Batch, kept []uint32) (_, same []uint32) {
	same = []uint32{}
	if v.Form == vec.Const {
		switch c := comparePlaces(v, 0, have, last, k.Desc, k.NullsFirst); {
		case c < 0:
			return appendRows(kept, b), same
		case c == 0:
			return kept, appendRows(same, b)
		}
		return kept, same
	}
	if v.Form == vec.Flat && len(v.Nulls) == 0 && !have.Nulls.Get(last) {
		switch v.Type.Payload() {
		case vec.PayloadI64:
			return beforeNumber(v.I64, have.I64[last], k.Desc, b, kept)
		case vec.PayloadF64:
			if bound := have.F64[last]; bound == bound {
				return beforeNumber(v.F64, bound, k.Desc, b, kept)
			}
		}
	}
	if v.Form == vec.Dict && v.Dict.Str.Ascending && v.Type.EqualBytes() && !v.HasNulls() && !have.Nulls.Get(last) {
		return beforeCode(v, have.Str.At(last), k.Desc, b, kept)
	}
	for i := range b.Live() {
		r := i
		if b.Sel != nil {
			r = int(b.Sel[i])
		}
		switch c := comparePlaces(v, r, have, last, k.Desc, k.NullsFirst); {
		case c < 0:
			kept = append(kept, uint32(r))
		case c == 0:
			same = append(same, uint32(r))
		}
	}
	return kept, same
}

// beforeNumber is before for numbers none of which is NULL, and a bound that is not NaN, which comes after
// all others.
func beforeNumber[T int64 | float64](x []T, bound T, desc bool, b *vec.Batch, kept []uint32) (_, same []uint32) {
	same = []uint32{}
	place := func(r uint32, x T) {
		if x == bound {
			same = append(same, r)
		} else if (x > bound || x != x) == desc {
			kept = append(kept, r)
		}
	}
	if b.Sel != nil {
		for _, r := range b.Sel {
			place(r, x[r])
		}
		return kept, same
	}
	for i, x := range x[:b.Rows] {
		place(uint32(i), x)
	}
	return kept, same
}

// beforeCode is before for texts with a dictionary that ascends: which codes come before the bound is looked up
// once.
func beforeCode(v *vec.Vector, bound []byte, desc bool, b *vec.Batch, kept []uint32) (_, same []uint32) {
	dict := &v.Dict.Str
	first := uint32(sort.Search(dict.Len(), func(i int) bool { return bytes.Compare(dict.At(i), bound) >= 0 }))
	end := first // of the codes that are the bound's: there is one, or none
	if int(first) < dict.Len() && bytes.Equal(dict.At(int(first)), bound) {
		end++
	}
	same = []uint32{}
	place := func(r, code uint32) {
		if code >= first && code < end {
			same = append(same, r)
		} else if (code >= end) == desc {
			kept = append(kept, r)
		}
	}
	if b.Sel != nil {
		for _, r := range b.Sel {
			place(r, v.Codes[r])
		}
		return kept, same
	}
	for i, code := range v.Codes[:b.Rows] {
		place(uint32(i), code)
	}
	return kept, same
}

func appendRows(dst []uint32, b *vec.Batch) []uint32 {
	if b.Sel != nil {
		return append(dst, b.Sel...)
	}
	for i := range b.Rows {
		dst = append(dst, uint32(i))
	}
	return dst
}

func (s *sorted) append(cols []*vec.Vector, b *vec.Batch) error {
	if s.rows == nil {
		for _, c := range cols {
			s.rows = append(s.rows, columnStore{typ: c.Type})
		}
		for i := range s.keys {
			s.rows[len(cols)-1-i].v = &vec.Vector{Type: s.rows[len(cols)-1-i].typ}
		}
	}
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&s.scratch, b.Rows)
	}
	for i, c := range cols {
		if err := s.rows[i].add(c, rows); err != nil {
			return err
		}
	}
	s.count += len(rows)
	return nil
}

func (s *sorted) hold(ctx context.Context) error {
	held := int64(0)
	for i := range s.rows {
		held += s.rows[i].bytes()
	}
	grown := held - s.held
	s.held = held
	return s.env.hold(ctx, grown)
}

// merge takes in the rows of another, which are sorted.
func (s *sorted) merge(ctx context.Context, from *sorted) error {
	if from.count == 0 {
		return nil
	}
	if err := s.append(from.columns(), &vec.Batch{Rows: from.count}); err != nil {
		return err
	}
	s.parts = append(s.parts, s.count)
	s.env.release(from.held)
	return s.hold(ctx)
}

// columns is the rows gathered.
func (s *sorted) columns() []*vec.Vector {
	cols := make([]*vec.Vector, len(s.rows))
	for i, r := range s.rows {
		cols[i] = r.v
	}
	return cols
}

// cut sorts what has been gathered and drops what cannot be wanted any more.
func (s *sorted) cut(ctx context.Context) error {
	if s.count == 0 || len(s.parts) == 1 && s.parts[0] == s.count {
		return nil
	}
	order, err := s.order(ctx)
	if err != nil {
		return err
	}
	for i := range s.rows {
		if err := yield(ctx); err != nil {
			return err
		}
		s.rows[i].keep(order)
	}
	s.count = len(order)
	s.parts = append(s.parts[:0], s.count)
	if s.ordered() && s.full() && s.keep > 0 && !s.key(0).Nulls.Get(int(s.keep-1)) {
		s.source.order.need(s.key(0).I64[s.keep-1])
	}
	return s.hold(ctx)
}

// order is the order of the rows gathered, as far as they can be wanted.
func (s *sorted) order(ctx context.Context) ([]uint32, error) {
	scratch := sortScratch(s.count)
	defer s.env.release(scratch)
	if err := s.env.hold(ctx, scratch); err != nil {
		return nil, err
	}
	keys := make([]*vec.Vector, len(s.keys))
	for i := range keys {
		keys[i] = s.key(i)
	}
	order, err := sortRows(ctx, s.count, s.parts, newRowOrder(s.keys, keys, s.count))
	if err != nil {
		return nil, err
	}
	return order[:min(int64(len(order)), s.keep)], nil
}

// compareKey orders two rows of a sort key.
func compareKey(v *vec.Vector, i, j int, desc, nullsFirst bool) int {
	return comparePlaces(v, i, v, j, desc, nullsFirst)
}

// comparePlaces orders values of a sort key that lie in two vectors.
func comparePlaces(v *vec.Vector, i int, w *vec.Vector, j int, desc, nullsFirst bool) int {
	vn, wn := v.IsNull(i), w.IsNull(j)
	if vn || wn {
		switch {
		case vn && wn:
			return 0
		case vn == nullsFirst:
			return -1
		}
		return 1
	}
	c := vec.Compare(v, i, w, j)
	if desc {
		return -c
	}
	return c
}
