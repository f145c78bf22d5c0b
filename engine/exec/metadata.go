package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// metadata is what an aggregate without keys knows of blocks that it need not read.
type metadata struct {
	rows int64
	// ends are values by aggregate, the least or greatest of a block each; nil for counts.
	ends []*vec.Builder
}

// findMetadata takes the blocks out of a source that all conditions let pass as a whole, and that
// know what the aggregates ask. It is nil if that cannot be.
func findMetadata(n *plan.Aggregate, src *scanSource, env *Env) (*metadata, error) {
	scan, conds, ok := n.Metadata()
	if !ok || src == nil || len(src.oids) > 0 || scan.Table.System != "" {
		return nil, nil
	}
	m := &metadata{ends: make([]*vec.Builder, len(n.Aggs))}
	for i := range n.Aggs {
		if n.Aggs[i].Name != "count" {
			m.ends[i] = vec.NewBuilder(n.Aggs[i].Args[0].Type())
		}
	}
	of := blocks{n, scan, conds, env, m}
	total := src.rows()
	var err error
	if scan.Table.IsEvents() {
		src.morsels = of.events(src.morsels)
	} else {
		src.pieces, err = of.table(src.pieces)
	}
	if m.rows > 0 {
		env.usedIndex(n, fmt.Sprintf("metadata, for %d of %d rows", m.rows, total))
	}
	return m, err
}

// rows is how many rows there are to read, those included that do not count.
func (s *scanSource) rows() (n int64) {
	for _, m := range s.morsels {
		n += int64(m.hi - m.lo)
	}
	for i := range s.pieces {
		n += int64(s.pieces[i].Rows())
	}
	return n
}

// blocks is what is asked of blocks.
type blocks struct {
	node  *plan.Aggregate
	scan  *plan.Scan
	conds []expr.Expr
	env   *Env
	known *metadata
}

// events takes in what is known of events, and gives the morsels that have to be read. A segment
// knows the time of its first and last event, of all names.
func (b *blocks) events(morsels []morsel) (rest []morsel) {
	filter := newRowFilter(b.scan)
	var byTime []expr.Expr
	for _, c := range b.conds {
		if b.scan.ByEvent(c) {
			filter.byName = append(filter.byName, c)
		} else {
			byTime = append(byTime, c)
		}
	}
	timed := slices.ContainsFunc(b.node.Aggs, func(a plan.AggCall) bool {
		return a.Name != "count" && b.scan.Columns[a.Args[0].(*expr.Column).Index].Column == "timestamp"
	})
	for len(morsels) > 0 {
		seg := morsels[0].seg
		n := slices.IndexFunc(morsels, func(m morsel) bool { return m.seg != seg })
		if n < 0 {
			n = len(morsels)
		}
		of, dead := morsels[:n], morsels[0].dead
		morsels = morsels[n:]
		inside := b.hold(byTime, func(*plan.ScanColumn) *vec.Vector { return timesOf(seg) })
		ranges := make([]*segment.Range, len(of))
		for i, m := range of {
			ranges[i] = m.rng
		}
		filter.decideNames(b.env.Expr, ranges)
		var left []morsel
		rows := 0
		for _, m := range of {
			switch _, counts, err := filter.forRange(b.env.Expr, m.rng); {
			case err != nil:
				rest = append(rest, m) // another condition may leave out the rows that fail
			case counts: // else no row of it does
				left, rows = append(left, m), rows+m.hi-m.lo
			}
		}
		whole := inside && (!timed || dead == nil && rows == seg.Rows())
		if !whole {
			rest = append(rest, left...)
			continue
		}
		var first, last *segment.Range // with rows that count; names ascend
		for _, m := range left {
			live := int64(m.hi - m.lo)
			if dead != nil {
				live -= int64(dead.CardinalityInRange(uint64(m.lo), uint64(m.hi)))
			}
			if live == 0 {
				continue
			}
			b.known.rows += live
			if last = m.rng; first == nil {
				first = m.rng
			}
		}
		if first == nil {
			continue
		}
		b.add(func(c *plan.ScanColumn) *vec.Vector {
			if c.Column == "event" {
				return &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(first.Event, last.Event)}
			}
			return timesOf(seg)
		})
	}
	return rest
}

// timesOf is the least and the greatest time of a segment.
func timesOf(seg *storage.Segment) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: []int64{seg.MinTime(), seg.MaxTime()}}
}

// table takes in what is known of a user's table, and gives the pieces that have to be read.
func (b *blocks) table(pieces []table.Piece) (rest []table.Piece, err error) {
	bounds := slices.ContainsFunc(b.known.ends, func(e *vec.Builder) bool { return e != nil })
	for i := range pieces {
		p := &pieces[i]
		zone := func(c *plan.ScanColumn) *vec.Vector { return p.Zone(b.scan.Table.Schema.Column(c.Column)) }
		if !b.hold(b.conds, zone) {
			rest = append(rest, *p)
			continue
		}
		live, err := p.Live()
		if err != nil {
			return nil, err
		}
		if live != nil && bounds || !b.add(zone) {
			rest = append(rest, *p)
			continue
		}
		if live != nil {
			b.known.rows += int64(len(live))
		} else {
			b.known.rows += int64(p.Rows())
		}
	}
	return rest, nil
}

// hold says whether conditions that compare columns hold for the least and the greatest value of
// each, and so for all between them. What fails is for the rows to say.
func (b *blocks) hold(conds []expr.Expr, ends func(*plan.ScanColumn) *vec.Vector) bool {
	for _, e := range conds {
		at := plan.Compared(e).Index
		v := ends(&b.scan.Columns[at])
		if v == nil {
			return false
		}
		row := &vec.Batch{Rows: 2, Cols: make([]*vec.Vector, len(b.scan.Columns))}
		row.Cols[at] = v
		if kept, err := keepTrue(b.env.Expr, e, row); err != nil || kept.Live() < 2 {
			return false
		}
	}
	return true
}

// add takes in the ends of a block that the aggregates ask for, unless one is not known.
func (b *blocks) add(ends func(*plan.ScanColumn) *vec.Vector) bool {
	found := make([]*vec.Vector, len(b.known.ends))
	for i, e := range b.known.ends {
		if e == nil {
			continue
		}
		if found[i] = ends(&b.scan.Columns[b.node.Aggs[i].Args[0].(*expr.Column).Index]); found[i] == nil {
			return false
		}
	}
	for i, v := range found {
		if v == nil {
			continue
		}
		row := 0
		if b.node.Aggs[i].Name == "max" {
			row = 1
		}
		b.known.ends[i].AppendFrom(v, row)
	}
	return true
}

// know takes in the least and greatest values of blocks that are not read.
func (g *grouping) know(ctx context.Context, m *metadata) error {
	if m == nil || m.rows == 0 {
		return nil
	}
	g.groups.assign([]uint32{0}, nil, []uint32{0})
	for i, st := range g.states {
		st.Grow(g.groups.groups)
		if m.ends[i] == nil {
			continue
		}
		v := m.ends[i].V
		var scratch []uint32
		if err := st.Update(g.env.Expr, make([]uint32, v.Len()), []*vec.Vector{v}, firstRows(&scratch, v.Len())); err != nil {
			return err
		}
	}
	return g.hold(ctx)
}
