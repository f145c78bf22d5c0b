package exec

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// fetchGap is how many rows between two that are wanted are read along rather than
// reading twice.
const fetchGap = 8

// fetch reads more columns of rows that are known by their place.
type fetch struct {
	input Operator
	node  *plan.Fetch
	env   *Env
	rows  placedRows
}

// placedRows are the rows of a table, which are found by their places.
type placedRows interface {
	// read appends the columns of the first rows of places, which ascend, as far as they are
	// near each other, and says how many those are.
	read(dst []*vec.Builder, places []int64) (int, error)
}

func newFetch(n *plan.Fetch, env *Env) (Operator, error) {
	rows, err := placedRowsOf(n, env)
	if err != nil {
		return nil, err
	}
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	return &fetch{input: input, node: n, env: env, rows: rows}, nil
}

func placedRowsOf(n *plan.Fetch, env *Env) (placedRows, error) {
	if n.Table.Schema != nil {
		return newPlacedTableRows(n, env)
	}
	e := &placedEvents{segments: env.Snapshot.Segments()}
	for _, c := range n.Columns {
		r, err := eventColumn(c, env)
		if err != nil {
			return nil, err
		}
		e.columns = append(e.columns, r)
	}
	return e, nil
}

// placeReader reads the places of rows: the number of the segment in the snapshot, and
// below it the row in the segment.
func placeReader(env *Env) columnReader {
	numbers := map[*storage.Segment]int64{}
	for i, seg := range env.Snapshot.Segments() {
		numbers[seg] = int64(i)
	}
	return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
		v := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, hi-lo)}
		first := numbers[m.seg]<<32 + int64(lo)
		for i := range v.I64 {
			v.I64[i] = first + int64(i)
		}
		return v, nil
	}
}

func (f *fetch) Next(ctx context.Context) (*vec.Batch, error) {
	b, err := f.input.Next(ctx)
	if b == nil || err != nil {
		return nil, err
	}
	if err := f.env.findSessions(ctx, f.node.Columns); err != nil {
		return nil, err
	}
	b = b.Compact()
	places := b.Cols[f.node.Row].Flatten(b.Rows).I64
	// Rows are read in the order of storage, and then put into that of the input.
	order := make([]uint32, b.Rows)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int { return cmp.Compare(places[x], places[y]) })
	stored := make([]int64, b.Rows)
	back := make([]uint32, b.Rows)
	for i, o := range order {
		stored[i], back[o] = places[o], uint32(i)
	}
	more := make([]*vec.Builder, len(f.node.Columns))
	for i, c := range f.node.Columns {
		more[i] = vec.NewBuilder(c.Type)
	}
	for len(stored) > 0 {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		n, err := f.rows.read(more, stored)
		if err != nil {
			return nil, err
		}
		f.env.Progress.Bytes.Add(int64(n) * int64(len(more)) * 8)
		stored = stored[n:]
	}
	out := &vec.Batch{Rows: b.Rows, Cols: slices.Clone(b.Cols)}
	for _, m := range more {
		out.Cols = append(out.Cols, m.V.Take(back))
	}
	return out, nil
}

func (f *fetch) Close() error { return f.input.Close() }

// placedEvents are the events: a place is the number of a segment of the snapshot, and below
// it the row there.
type placedEvents struct {
	segments []*storage.Segment
	columns  []columnReader
}

func (f *placedEvents) read(dst []*vec.Builder, places []int64) (int, error) {
	number, row := places[0]>>32, int(places[0]&math.MaxUint32)
	if number >= int64(len(f.segments)) {
		return 0, fmt.Errorf("fetch: segment %d of %d", number, len(f.segments))
	}
	seg := f.segments[number]
	ranges := seg.Ranges()
	at := sort.Search(len(ranges), func(i int) bool { return ranges[i].Hi > row })
	if at == len(ranges) {
		return 0, fmt.Errorf("fetch: row %d of a segment of %d", row, seg.Rows())
	}
	m := morselOf(seg, ranges[at])
	n := 1
	for n < len(places) && places[n]-places[n-1] <= fetchGap && places[n] < number<<32+int64(m.rng.Hi) {
		n++
	}
	m.lo, m.hi = row, int(places[n-1]&math.MaxUint32)+1
	for i, read := range f.columns {
		v, err := read(nil, m, m.lo, m.hi)
		if err != nil {
			return 0, err
		}
		for _, p := range places[:n] {
			dst[i].AppendFrom(v, int(p-places[0]))
		}
	}
	return n, nil
}

// placedTableRows are the rows of a user's table: a place is a piece's and a row of it.
type placedTableRows struct {
	pieces  []table.Piece
	columns []pieceColumn
}

func newPlacedTableRows(n *plan.Fetch, env *Env) (*placedTableRows, error) {
	version, err := tableVersion(n.Table, env)
	if err != nil {
		return nil, err
	}
	t := &placedTableRows{pieces: version.Pieces()}
	for _, c := range n.Columns {
		r, err := tableColumn(c, version.Schema, env)
		if err != nil {
			return nil, err
		}
		t.columns = append(t.columns, r)
	}
	return t, nil
}

func (t *placedTableRows) read(dst []*vec.Builder, places []int64) (int, error) {
	end := func(i int) int64 { return t.pieces[i].Place() + int64(t.pieces[i].Rows()) }
	at := sort.Search(len(t.pieces), func(i int) bool { return end(i) > places[0] })
	if at == len(t.pieces) {
		return 0, fmt.Errorf("fetch: the table has no row at %d", places[0])
	}
	p := &t.pieces[at]
	n := 1
	for n < len(places) && places[n] < end(at) {
		n++
	}
	for i, read := range t.columns {
		v, err := read(p)
		if err != nil {
			return 0, err
		}
		for _, place := range places[:n] {
			dst[i].AppendFrom(v, int(place-p.Place()))
		}
	}
	return n, nil
}
