package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// join reads one side, the build side, into a table by its keys, and looks up the rows of
// the other, the probe side, as they come. Without keys every row meets every other.
type join struct {
	node    *plan.Join
	env     *Env
	swapped bool // the build side is the left one
	probe   Operator
	build   Operator
	keys    []expr.Expr // of the probe side

	table    *joinTable
	finders  []finder
	now      probing
	rest     int  // next row of the build side to look at, once the probe side has ended
	probed   bool // the probe side has ended
	scratch  []uint32
	probeOut vec.Schema // for rows that are filled up with NULL
}

// noGroup is the group of a key that the build side does not have.
const noGroup = ^uint32(0)

// probing is a batch of the probe side and how far its pairs are handed out.
type probing struct {
	batch  *vec.Batch
	rows   []uint32 // that count
	groups []uint32 // of each of rows
	hit    []bool   // whether each of rows has had a match
	at     int      // in rows
	offset uint32   // in the list of the group of rows[at]
	// what is missing at the end: rows without a match
	ended bool
}

func newJoin(n *plan.Join, env *Env) (Operator, error) {
	j := &join{node: n, env: env}
	if !n.Kind.LeftOnly() {
		left, err := estimate(n.Left, env)
		if err != nil {
			return nil, err
		}
		right, err := estimate(n.Right, env)
		if err != nil {
			return nil, err
		}
		j.swapped = left < right
	}
	probe, build := n.Left, n.Right
	probeKeys, buildKeys := n.LeftKeys, n.RightKeys
	if j.swapped {
		probe, build = build, probe
		probeKeys, buildKeys = buildKeys, probeKeys
	}
	j.keys, j.probeOut = probeKeys, probe.Schema()
	j.finders = make([]finder, len(probeKeys))
	j.table = newJoinTable(n, build.Schema(), buildKeys, j.swapped, env)
	var err error
	if j.probe, err = Build(probe, env); err != nil {
		return nil, err
	}
	if j.build, err = Build(build, env); err != nil {
		j.probe.Close() // the first error is the one that matters
		return nil, err
	}
	return j, nil
}

// fillsProbe says whether rows of the probe side without a match come out, too.
func (j *join) fillsProbe() bool {
	k := j.node.Kind
	return k == plan.FullJoin || k == plan.LeftJoin && !j.swapped || k == plan.RightJoin && j.swapped
}

func (j *join) Next(ctx context.Context) (*vec.Batch, error) {
	if j.build != nil {
		if err := j.table.read(ctx, j.build); err != nil {
			return nil, err
		}
		err := j.build.Close()
		j.build = nil
		if err != nil {
			return nil, err
		}
	}
	for !j.probed {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if j.now.batch == nil {
			if j.hopeless() {
				j.probed = true
				break
			}
			b, err := j.probe.Next(ctx)
			if err != nil {
				return nil, err
			}
			if b == nil {
				j.probed = true
				break
			}
			if err := j.begin(b); err != nil {
				return nil, err
			}
		}
		out, err := j.some()
		if err != nil {
			return nil, err
		}
		if out != nil && out.Live() > 0 {
			return out, nil
		}
	}
	return j.unmatched(), nil
}

// hopeless says whether no row of the probe side can come out.
func (j *join) hopeless() bool {
	switch j.node.Kind {
	case plan.InnerJoin, plan.SemiJoin:
		return j.table.rows == 0
	case plan.LeftJoin, plan.RightJoin:
		return j.table.rows == 0 && !j.fillsProbe()
	case plan.NotInJoin:
		return j.table.nullKeys
	}
	return false
}

// begin looks up the keys of a batch of the probe side.
func (j *join) begin(b *vec.Batch) error {
	p := &j.now
	*p = probing{batch: b, rows: b.Sel, groups: p.groups, hit: p.hit}
	if p.rows == nil {
		p.rows = firstRows(&j.scratch, b.Rows)
	}
	keys, err := evalAll(j.env.Expr, j.keys, b)
	if err != nil {
		return err
	}
	if cap(p.groups) < len(p.rows) {
		p.groups = make([]uint32, max(len(p.rows), vec.BatchRows))
		p.hit = make([]bool, len(p.groups))
	}
	p.groups, p.hit = p.groups[:len(p.rows)], p.hit[:len(p.rows)]
	clear(p.hit)
	j.table.find(p.groups, j.finders, keys, p.rows)
	if j.node.Kind == plan.NotInJoin && j.table.rows > 0 {
		for i, r := range p.rows {
			p.hit[i] = keys[0].IsNull(int(r)) // in doubt
		}
	}
	return nil
}

// some is the next rows that come out of the batch at hand; nil for none.
func (j *join) some() (*vec.Batch, error) {
	p := &j.now
	if j.node.On == nil {
		switch {
		case j.node.Kind.LeftOnly():
			for i, g := range p.groups {
				p.hit[i] = p.hit[i] || g != noGroup
			}
			return j.chosen(), nil
		case j.table.unique && p.at == 0:
			return j.single(), nil
		}
	}
	pairs := j.pairs()
	if len(pairs.build) == 0 {
		switch {
		case j.node.Kind.LeftOnly():
			return j.chosen(), nil
		case j.fillsProbe():
			return j.filled(), nil
		}
		p.batch = nil
		return nil, nil
	}
	out := &vec.Batch{Rows: len(pairs.build), Cols: j.columns(take(p.batch.Cols, pairs.probe).Cols, j.table.take(pairs.build))}
	if j.node.On != nil {
		var err error
		if out, err = keepTrue(j.env.Expr, j.node.On, out); err != nil {
			return nil, err
		}
	}
	note := func(i uint32) {
		p.hit[pairs.place[i]] = true
		if j.table.matched != nil {
			j.table.matched[pairs.build[i]] = true
		}
	}
	if out.Sel == nil {
		for i := range pairs.build {
			note(uint32(i))
		}
	} else {
		for _, i := range out.Sel {
			note(i)
		}
	}
	if j.node.Kind.LeftOnly() {
		return nil, nil
	}
	return out, nil
}

// pairList is rows of both sides with equal keys.
type pairList struct{ probe, build, place []uint32 }

// pairs is the next pairs of the batch at hand, as many as a batch holds.
func (j *join) pairs() pairList {
	p, t := &j.now, j.table
	var out pairList
	for p.at < len(p.rows) && len(out.build) < vec.BatchRows {
		g := p.groups[p.at]
		if g == noGroup {
			p.at++
			continue
		}
		list := t.list[t.starts[g]:t.starts[g+1]]
		n := min(len(list)-int(p.offset), vec.BatchRows-len(out.build))
		for _, r := range list[p.offset : int(p.offset)+n] {
			out.build = append(out.build, r)
			out.probe = append(out.probe, p.rows[p.at])
			out.place = append(out.place, uint32(p.at))
		}
		if p.offset += uint32(n); int(p.offset) == len(list) {
			p.at, p.offset = p.at+1, 0
		}
	}
	return out
}

// single is what comes out of the batch at hand if every key is unique in the build side:
// its own rows, with columns added.
func (j *join) single() *vec.Batch {
	p, t := &j.now, j.table
	b, rows, groups := p.batch, p.rows, p.groups
	p.batch = nil
	fill := j.fillsProbe()
	if len(rows)*4 < b.Rows {
		b = b.Compact()
		rows = firstRows(&j.scratch, b.Rows)
	}
	from := make([]uint32, b.Rows)
	var sel []uint32
	if !fill {
		sel = make([]uint32, 0, len(rows))
	}
	for i, g := range groups {
		switch {
		case g != noGroup:
			r := t.list[g]
			from[rows[i]] = r
			if t.matched != nil {
				t.matched[r] = true
			}
			if !fill {
				sel = append(sel, rows[i])
			}
		case fill:
			from[rows[i]] = uint32(t.rows)
		}
	}
	if fill {
		sel = b.Sel
	} else if len(sel) == b.Rows {
		sel = nil
	}
	if t.rows == 0 && !fill {
		return nil
	}
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: j.columns(b.Cols, t.take(from))}
}

// chosen is the rows of the batch at hand that a semi or anti join passes on.
func (j *join) chosen() *vec.Batch {
	p := &j.now
	want := j.node.Kind == plan.SemiJoin
	sel := make([]uint32, 0, len(p.rows))
	for i, r := range p.rows {
		if p.hit[i] == want {
			sel = append(sel, r)
		}
	}
	b := p.batch
	p.batch = nil
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}
}

// filled is the rows of the batch at hand without a match, filled up with NULL.
func (j *join) filled() *vec.Batch {
	p := &j.now
	sel := make([]uint32, 0, len(p.rows))
	for i, r := range p.rows {
		if !p.hit[i] {
			sel = append(sel, r)
		}
	}
	b := p.batch
	p.batch = nil
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: j.columns(b.Cols, nullColumns(j.table.schema))}
}

func nullColumns(schema vec.Schema) []*vec.Vector {
	cols := make([]*vec.Vector, len(schema))
	for i, f := range schema {
		cols[i] = vec.NullConst(f.Type)
	}
	return cols
}

// unmatched is rows of the build side that had no match, filled up with NULL; nil at the
// end.
func (j *join) unmatched() *vec.Batch {
	t := j.table
	if t.matched == nil {
		return nil
	}
	var rows []uint32
	for ; j.rest < t.rows && len(rows) < vec.BatchRows; j.rest++ {
		if !t.matched[j.rest] {
			rows = append(rows, uint32(j.rest))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return &vec.Batch{Rows: len(rows), Cols: j.columns(nullColumns(j.probeOut), t.take(rows))}
}

// columns puts the columns of both sides in the order of the schema.
func (j *join) columns(probe, build []*vec.Vector) []*vec.Vector {
	if j.swapped {
		probe, build = build, probe
	}
	return append(probe[:len(probe):len(probe)], build...)
}

func (j *join) Close() error {
	j.env.release(j.table.held)
	err := j.probe.Close()
	if j.build != nil {
		if closing := j.build.Close(); err == nil {
			err = closing
		}
	}
	return err
}
