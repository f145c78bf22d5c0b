package exec

import (
	"context"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// joining is what the copies of one join share: the build side, which is read once, by several
// goroutines, into a table by its keys. If it does not fit into memory, the rows of both sides go to
// partitions on disk by the hash of their keys, and the last copy to come to the end of the
// probe side joins these, one after the other.
type joining struct {
	node         *plan.Join
	env          *Env
	swapped      bool // the build side is the left one
	probe, build plan.Node
	keys         []expr.Expr // of the probe side
	buildKeys    []expr.Expr
	stored       []int      // columns of the build side that are kept, since they are read
	keyAt        []int      // where in stored each key is; those that are not come after it
	keyTypes     []vec.Type // in which keys are looked up
	buildRead    columnSet  // columns of the build side that are read, with keys
	probeRead    columnSet  // columns of the probe side that are read, keys apart
	persons      bool       // the only key of both sides is a person, out of the dictionary of all
	// probeNulls and buildNulls are columns of NULL, of rows that are filled up with it, and in the
	// place of columns that are not read.
	probeNulls, buildNulls []*vec.Vector

	mu     sync.Mutex // held to read the build side, and to change what follows
	begun  bool       // the build side is read, or reading it failed with err
	err    error
	table  *joinTable // nil: the rows are in parts, or not read yet
	parts  *joinParts
	active int  // copies that are not at the end of the probe side
	filled bool // the build side has rows
	// nullKeys says that a row of the build side has a key that is NULL.
	nullKeys bool
	matched  []bool // rows of table that had a match, as far as copies have ended
	held     int64  // for matched
	spills   spills
}

// newJoining chooses the side that is looked up. Such columns of the join are read.
func newJoining(n *plan.Join, env *Env, read columnSet) *joining {
	s := &joining{node: n, env: env, spills: spills{env: env, node: n}}
	left, right := env.statistics().Rows(n.Left), env.statistics().Rows(n.Right)
	switch {
	case n.Narrows != plan.NarrowsNone:
		s.swapped = n.Narrows == plan.NarrowsRight
	case n.Kind == plan.NotInJoin:
	case n.Kind == plan.SemiJoin || n.Kind == plan.AntiJoin:
		// Of the right side alone keys are enough.
		s.swapped = 2*left < right
	default:
		s.swapped = left < right
	}
	s.probe, s.build, s.keys, s.buildKeys = n.Left, n.Right, n.LeftKeys, n.RightKeys
	if s.swapped {
		s.probe, s.build, s.keys, s.buildKeys = s.build, s.probe, s.buildKeys, s.keys
	}
	s.persons = len(s.keys) == 1 && isPerson(s.probe, s.keys[0]) && isPerson(s.build, s.buildKeys[0])
	ofLeft := len(n.Left.Schema())
	both := make(columnSet, ofLeft+len(n.Right.Schema())).and(n.On)
	for i, r := range read {
		both[i] = both[i] || r
	}
	s.probeRead, read = both[:ofLeft], both[ofLeft:]
	if s.swapped {
		s.probeRead, read = read, s.probeRead
	}
	s.probeNulls, s.buildNulls = nullColumns(s.probe.Schema()), nullColumns(s.build.Schema())
	for i, r := range read {
		if r && s.keepsRows() {
			s.stored = append(s.stored, i)
		}
	}
	s.buildRead = read.and(s.buildKeys...)
	others := len(s.stored)
	for i, k := range s.buildKeys {
		at := -1
		if c, ok := k.(*expr.Column); ok {
			at = slices.Index(s.stored, c.Index)
		}
		if at < 0 {
			at = others
			others++
		}
		s.keyAt = append(s.keyAt, at)
		t := k.Type()
		if t.Payload() == vec.PayloadI64 && s.keys[i].Type() != t {
			t = vec.T(vec.Int8) // a key that is looked up may be too large for the other side's type
		}
		s.keyTypes = append(s.keyTypes, t)
	}
	return s
}

// keepsRows says whether rows of the build side are kept, and not only keys.
func (s *joining) keepsRows() bool { return !s.node.Kind.LeftOnly() || s.node.On != nil || s.swapped }

// indexing is to make an index of the keys of so many rows.
func (s *joining) indexing(keys []*vec.Vector, count int) *indexing {
	in := newIndexing(s.env, s.keyTypes, keys, s.node.NullSafe, count)
	in.persons = s.persons
	return in
}

// marks says whether rows of the build side come out once it is known which of them have a
// match: a semi or anti join that looks up the rows of the right side.
func (s *joining) marks() bool { return s.swapped && s.node.Kind.LeftOnly() }

// outer says whether rows of the build side come out at the end, by whether they had a match.
func (s *joining) outer() bool {
	k := s.node.Kind
	return s.marks() || k == plan.FullJoin || k == plan.RightJoin && !s.swapped || k == plan.LeftJoin && s.swapped
}

// fillsProbe says whether rows of the probe side without a match come out, too.
func (s *joining) fillsProbe() bool {
	k := s.node.Kind
	return k == plan.FullJoin || k == plan.LeftJoin && !s.swapped || k == plan.RightJoin && s.swapped
}

// read reads the build side, unless another copy has done so.
func (s *joining) read(ctx context.Context) error {
	lock(ctx, &s.mu)
	defer s.mu.Unlock()
	if !s.begun {
		s.begun = true
		s.err = s.readBuild(ctx)
	}
	return s.err
}

func (s *joining) readBuild(ctx context.Context) (err error) {
	pipe, err := newPipeline(s.build, s.env, s.buildRead)
	if err != nil {
		return err
	}
	shares := make([]*joinShare, pipe.copies())
	for w := range shares {
		shares[w] = newJoinShare(s)
	}
	defer func() {
		for _, share := range shares {
			s.env.release(share.held)
		}
		if closing := pipe.close(); err == nil {
			err = closing
		}
	}()
	parts := s.newParts(0)
	err = pipe.drain(ctx, nil, func(ctx context.Context, w int) (func(*vec.Batch) error, error) {
		return func(b *vec.Batch) error {
			keys, err := evalAll(s.env.Expr, s.buildKeys, b)
			if err != nil {
				return err
			}
			if err := shares[w].add(ctx, keys, s.keep(b)); err != nil {
				return err
			}
			return shares[w].relieve(ctx, parts)
		}, nil
	}, func(context.Context, int) error { return nil })
	if err != nil {
		return err
	}
	held := int64(0)
	for _, share := range shares {
		s.filled, s.nullKeys = s.filled || share.filled, s.nullKeys || share.nullKeys
		held += share.held
	}
	// To put shares together takes as much again, at most.
	if !parts.begun() && (len(s.buildKeys) == 0 || len(shares) == 1 || s.env.room(held)) {
		s.table, err = newJoinTable(ctx, s, shares)
		return err
	}
	for _, share := range shares {
		if err := share.spill(ctx, parts); err != nil {
			return err
		}
	}
	s.parts = parts
	return nil
}

// keep is a batch of the build side with those columns that are stored.
func (s *joining) keep(b *vec.Batch) *vec.Batch {
	out := &vec.Batch{Rows: b.Rows, Sel: b.Sel, Cols: make([]*vec.Vector, len(s.stored))}
	for i, at := range s.stored {
		out.Cols[i] = b.Cols[at]
	}
	return out
}

// thin is a batch of the probe side with NULL in the place of columns that are not read.
func (s *joining) thin(b *vec.Batch) *vec.Batch {
	out := &vec.Batch{Rows: b.Rows, Sel: b.Sel, Cols: slices.Clone(s.probeNulls)}
	n := len(out.Cols)
	for i, c := range b.Cols[:n] {
		if s.probeRead[i] {
			out.Cols[i] = c
		}
	}
	out.Cols = append(out.Cols, b.Cols[n:]...) // the weights, if there are any
	return out
}

// leave notes that a copy has come to the end of the probe side, and which rows of the table
// had a match there. It says whether it was the last one.
func (s *joining) leave(matched []bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	if s.matched == nil {
		s.matched = matched
		s.held += int64(cap(matched))
	} else {
		for i, m := range matched {
			if m {
				s.matched[i] = true
			}
		}
		s.env.release(int64(cap(matched)))
	}
	return s.active == 0
}

// close is called when no copy runs any more.
func (s *joining) close() error {
	if s.table != nil {
		s.env.release(s.table.held)
	}
	s.env.release(s.held)
	s.held = 0
	return s.spills.close()
}

// join looks up the rows of the probe side as they come. Without keys every row meets every
// other.
type join struct {
	*joining
	input   Operator // the probe side; nil at its end
	finder  finder
	now     probing
	lookup  *joinTable // nil: none yet, or the last one is done
	file    *spillFile // where rows to look up come from, if not from input
	work    []joinPart
	last    bool   // this is the copy that ended last
	probed  bool   // all rows are looked up
	matched []bool // rows of lookup that had a match
	rest    int    // next row of lookup to see whether it had one
	scratch []uint32
	// pairScratch is memory of pairs, but for the rows of the table, which may come out as codes.
	pairScratch pairList
}

// noGroup is the group of a key that is not there.
const noGroup = ^uint32(0)

// probing is a batch of the probe side and how far its pairs are handed out.
type probing struct {
	batch *vec.Batch
	rows  []uint32 // that count
	found []uint32 // of each of rows, the first row of the table with its key
	hit   []bool   // whether each of rows has had a match
	at    int      // in rows
	next  uint32   // row of the table to go on with for rows[at], plus one; 0 for the first one
}

func (j *join) Next(ctx context.Context) (*vec.Batch, error) {
	if j.lookup == nil && j.input != nil {
		if err := j.read(ctx); err != nil {
			return nil, err
		}
		if j.table != nil {
			if err := j.begin(ctx, j.table); err != nil {
				return nil, err
			}
		} else if err := j.divide(ctx); err != nil {
			return nil, err
		}
	}
	for {
		if j.lookup == nil {
			if more, err := j.nextPart(ctx); !more || err != nil {
				return nil, err
			}
		}
		if !j.probed {
			if b, err := j.look(ctx); b != nil || err != nil {
				return b, err
			}
			if err := j.endProbe(); err != nil {
				return nil, err
			}
		}
		if j.last {
			if b := j.unmatched(); b != nil {
				return b, nil
			}
		}
		if err := j.endLookup(); err != nil {
			return nil, err
		}
	}
}

// begin prepares to look up rows in a table.
func (j *join) begin(ctx context.Context, t *joinTable) error {
	j.lookup, j.probed, j.rest, j.matched = t, false, 0, nil
	j.finder = finder{}
	if !j.outer() {
		return nil
	}
	j.matched = make([]bool, t.rows)
	return j.env.hold(ctx, int64(t.rows))
}

// endProbe is called when all rows are looked up in a table.
func (j *join) endProbe() error {
	j.probed = true
	if j.file != nil {
		err := j.file.done()
		j.file = nil
		return err
	}
	if j.lookup != j.table {
		return nil
	}
	err := j.input.Close()
	j.input = nil
	if j.last = j.leave(j.matched); j.last {
		j.matched = j.joining.matched
	}
	return err
}

// endLookup is called when a table is not wanted any more.
func (j *join) endLookup() error {
	if j.lookup != j.table {
		j.env.release(j.lookup.held + int64(len(j.matched)))
	}
	j.lookup, j.matched = nil, nil
	return nil
}

// look is the next rows that come out of looking up rows in the table.
func (j *join) look(ctx context.Context) (*vec.Batch, error) {
	for {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		if j.now.batch == nil {
			if j.hopeless() {
				return nil, nil
			}
			b, keys, err := j.pull(ctx)
			if b == nil || err != nil {
				return nil, err
			}
			j.find(b, keys)
		}
		out, err := j.some()
		if err != nil {
			return nil, err
		}
		if out != nil && out.Live() > 0 {
			return out, nil
		}
	}
}

// pull is the next rows to look up, and their keys.
func (j *join) pull(ctx context.Context) (*vec.Batch, []*vec.Vector, error) {
	if j.lookup != j.table {
		if j.file == nil {
			return nil, nil, nil
		}
		return readPart(j.file, len(j.keys))
	}
	b, err := j.input.Next(ctx)
	if b == nil || err != nil {
		return nil, nil, err
	}
	keys, err := evalAll(j.env.Expr, j.keys, b)
	return j.thin(b), keys, err
}

// hopeless says whether no row of the probe side can come out.
func (j *join) hopeless() bool {
	switch j.node.Kind {
	case plan.InnerJoin, plan.SemiJoin:
		return j.lookup.rows == 0
	case plan.AntiJoin:
		return j.swapped && j.lookup.rows == 0
	case plan.LeftJoin, plan.RightJoin:
		return j.lookup.rows == 0 && !j.fillsProbe()
	case plan.NotInJoin:
		return j.nullKeys
	}
	return false
}

// find looks up the keys of a batch of the probe side.
func (j *join) find(b *vec.Batch, keys []*vec.Vector) {
	p := &j.now
	*p = probing{batch: b, rows: b.Sel, found: p.found, hit: p.hit}
	if p.rows == nil {
		p.rows = firstRows(&j.scratch, b.Rows)
	}
	if cap(p.found) < len(p.rows) {
		p.found = make([]uint32, max(len(p.rows), vec.BatchRows))
		p.hit = make([]bool, len(p.found))
	}
	p.found, p.hit = p.found[:len(p.rows)], p.hit[:len(p.rows)]
	clear(p.hit)
	j.lookup.find(p.found, &j.finder, keys, p.rows)
	if j.node.Kind == plan.NotInJoin && j.filled {
		for i, r := range p.rows {
			p.hit[i] = keys[0].IsNull(int(r)) // in doubt
		}
	}
}

// some is the next rows that come out of the batch at hand; nil for none.
func (j *join) some() (*vec.Batch, error) {
	p := &j.now
	if j.node.On == nil {
		switch {
		case j.marks():
			j.mark()
			return nil, nil
		case j.node.Kind.LeftOnly():
			for i, r := range p.found {
				p.hit[i] = p.hit[i] || r != noGroup
			}
			return j.chosen(), nil
		case j.lookup.unique():
			return j.single(), nil
		}
	}
	pairs := j.pairs()
	if len(pairs.build) == 0 {
		switch {
		case j.marks():
		case j.node.Kind.LeftOnly():
			return j.chosen(), nil
		case j.fillsProbe():
			return j.filledUp(), nil
		}
		p.batch = nil
		return nil, nil
	}
	out := &vec.Batch{Rows: len(pairs.build), Cols: j.columns(take(p.batch.Cols, pairs.probe).Cols, j.lookup.take(pairs.build))}
	if j.node.On != nil {
		var err error
		if out, err = keepTrue(j.env.Expr, j.node.On, out); err != nil {
			return nil, err
		}
	}
	note := func(i uint32) {
		p.hit[pairs.place[i]] = true
		if j.matched != nil {
			j.matched[pairs.build[i]] = true
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

// mark notes which rows of the table have a match in the batch at hand.
func (j *join) mark() {
	p, t := &j.now, j.lookup
	for _, r := range p.found {
		if r == noGroup || j.matched[r] {
			continue // or all rows with the key have
		}
		for ; r != noGroup; r = t.after(r) {
			j.matched[r] = true
		}
	}
	p.batch = nil
}

// pairList is rows of both sides with equal keys.
type pairList struct{ probe, build, place []uint32 }

// pairs is the next pairs of the batch at hand, as many as a batch holds.
func (j *join) pairs() pairList {
	p, t := &j.now, j.lookup
	out := pairList{probe: j.pairScratch.probe[:0], place: j.pairScratch.place[:0], build: make([]uint32, 0, min(vec.BatchRows, 2*len(p.rows)))}
	for p.at < len(p.rows) && len(out.build) < vec.BatchRows {
		r := p.found[p.at]
		if p.next != 0 {
			r = p.next - 1
		}
		for ; r != noGroup && len(out.build) < vec.BatchRows; r = t.after(r) {
			out.build = append(out.build, r)
			out.probe = append(out.probe, p.rows[p.at])
			out.place = append(out.place, uint32(p.at))
		}
		if p.next = r + 1; r == noGroup {
			p.at++
		}
	}
	j.pairScratch = out
	return out
}

// fewMatches is how many rows a batch has for each that matches when these are copied out of it.
const fewMatches = 4

// single is what comes out of the batch at hand if every key is unique in the build side:
// its own rows, with columns added.
func (j *join) single() *vec.Batch {
	p, t := &j.now, j.lookup
	b, rows, found := p.batch, p.rows, p.found
	p.batch = nil
	fill := j.fillsProbe()
	if j.matched != nil {
		for _, r := range found {
			if r != noGroup {
				j.matched[r] = true
			}
		}
	}
	sel, from := make([]uint32, len(rows)), make([]uint32, len(rows))
	n := 0
	for i, r := range found {
		if r == noGroup {
			if !fill {
				continue
			}
			r = uint32(t.rows) // the row of NULL
		}
		sel[n], from[n] = rows[i], r
		n++
	}
	sel, from = sel[:n], from[:n]
	switch {
	case n == 0:
		return nil
	case n == b.Rows:
		return &vec.Batch{Rows: n, Cols: j.columns(b.Cols, t.take(from))}
	case n*fewMatches < b.Rows:
		return &vec.Batch{Rows: n, Cols: j.columns(take(b.Cols, sel).Cols, t.take(from))}
	}
	all := make([]uint32, b.Rows)
	for i, r := range sel {
		all[r] = from[i]
	}
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: j.columns(b.Cols, t.take(all))}
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

// filledUp is the rows of the batch at hand without a match, filled up with NULL.
func (j *join) filledUp() *vec.Batch {
	p := &j.now
	sel := make([]uint32, 0, len(p.rows))
	for i, r := range p.rows {
		if !p.hit[i] {
			sel = append(sel, r)
		}
	}
	b := p.batch
	p.batch = nil
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: j.columns(b.Cols, j.buildNulls)}
}

func nullColumns(schema vec.Schema) []*vec.Vector {
	cols := make([]*vec.Vector, len(schema))
	for i, f := range schema {
		cols[i] = vec.NullConst(f.Type)
	}
	return cols
}

// unmatched is rows of the build side that had no match, filled up with NULL, or those that
// a semi or anti join passes on; nil at the end.
func (j *join) unmatched() *vec.Batch {
	t := j.lookup
	if j.matched == nil {
		return nil
	}
	var rows []uint32
	want := j.node.Kind == plan.SemiJoin
	for ; j.rest < t.rows && len(rows) < vec.BatchRows; j.rest++ {
		if j.matched[j.rest] == want {
			rows = append(rows, uint32(j.rest))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if j.marks() {
		return &vec.Batch{Rows: len(rows), Cols: t.take(rows)}
	}
	return &vec.Batch{Rows: len(rows), Cols: j.columns(j.probeNulls, t.take(rows))}
}

// columns puts the columns of both sides in the order of the schema, and weights of the probe side
// behind them.
func (j *join) columns(probe, build []*vec.Vector) []*vec.Vector {
	n := len(j.probeNulls)
	left, right := probe[:n], build
	if j.swapped {
		left, right = right, left
	}
	return slices.Concat(left, right, probe[n:])
}

func (j *join) Close() error {
	if j.lookup != nil {
		if j.lookup != j.table {
			j.env.release(j.lookup.held)
		}
		if !j.probed || j.lookup != j.table {
			j.env.release(int64(len(j.matched)))
		}
		j.lookup = nil
	}
	if j.input == nil {
		return nil
	}
	return j.input.Close()
}
