package exec

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// rowNumbers is a window with row_number() alone, over the rows of each person by time. Run indexes
// have the rows of a person in that order, so no row is moved: the events are read where they lie,
// and their numbers are one more column of the scan. Bounds that a filter above puts on the numbers
// select its rows.
type rowNumbers struct {
	node   *plan.Window
	scan   *plan.Scan
	filter *plan.Filter // below; or nil
	source *scanSource
	env    *Env
	desc   bool
	// between are the numbers that the filter above lets pass, and conds its other conditions.
	between bounds
	conds   []expr.Expr

	mu    sync.Mutex // held to number the rows
	begun bool       // they are numbered, or numbering them failed with err
	err   error
	of    map[*segment.Range][]uint32 // by row of the range; 0: it is none of the window's
	held  int64
}

// newRowNumbers is a window as rowNumbers; nil if it computes something else, or is not worth it. Such
// columns of it are read, and by the filter above it, if there is one.
func newRowNumbers(n *plan.Window, env *Env, read columnSet, above *plan.Filter) (*rowNumbers, error) {
	r := &rowNumbers{node: n, env: env, between: bounds{1, math.MaxInt64}}
	if slices.Contains(env.Disabled, plan.NumberRuns) || !r.fits() || !largeWindow(n, env) {
		return nil, nil
	}
	from, to, err := timeBounds(r.scan.From, r.scan.To, env)
	if err != nil {
		return nil, err
	}
	rows := 0
	eventRanges(r.scan, env, from, to, func(_ *storage.Segment, rng *segment.Range) { rows += rng.Hi - rng.Lo })
	if rows < env.Snapshot.Persons().Len()/personShare || !env.room(4*int64(rows)) {
		return nil, nil
	}
	for _, seg := range env.Snapshot.Segments() {
		if moved, err := seg.Moved(); moved != nil || err != nil { // runs do not tell whose rows are
			return nil, err
		}
	}
	if above != nil {
		r.conds, err = takeBounds(above.Cond, env, func(column int) *bounds {
			if column < len(r.scan.Columns) {
				return nil
			}
			return &r.between
		})
		if err != nil {
			return nil, err
		}
		read = read.and(r.conds...)
	}
	return r, r.makeScan(read)
}

// fits says whether the window is one of these, and finds what it reads.
func (r *rowNumbers) fits() bool {
	n := r.node
	in := n.Input
	if f, ok := in.(*plan.Filter); ok {
		r.filter, in = f, f.Input
	}
	sc, ok := in.(*plan.Scan)
	if !ok || !sc.Table.IsEvents() || r.filter != nil && expr.Volatile(r.filter.Cond) {
		return false
	}
	if _, oids := withoutOID(sc); len(oids) > 0 {
		return false
	}
	r.scan = sc
	if len(n.Partition) != 1 || !isColumn(n.Partition[0], sc, "person_id") || len(n.Order) == 0 || len(n.Order) > 2 {
		return false
	}
	r.desc = n.Order[0].Desc
	for i, k := range n.Order {
		if k.Desc != r.desc || !isColumn(k.Expr, sc, []string{"timestamp", "uuid"}[i]) {
			return false
		}
	}
	return numbersOnly(n)
}

// makeScan makes the scan, of which such columns are read.
func (r *rowNumbers) makeScan(read columnSet) (err error) {
	if r.source, err = newScanSource(r.scan, r.env); err != nil {
		return err
	}
	whole := *r.scan
	whole.Columns = slices.Clip(whole.Columns)
	for i, c := range r.node.Calls {
		whole.Columns = append(whole.Columns, plan.ScanColumn{Column: c.Name, Type: c.T, Name: r.node.Names[i]})
		r.source.columns = append(r.source.columns, r.column)
	}
	for i, c := range whole.Columns {
		if !read[i] {
			null := vec.NullConst(c.Type)
			r.source.columns[i] = func(*vec.Arena, morsel, int, int) (*vec.Vector, error) { return null, nil }
		}
	}
	r.source.node, r.source.numbers, r.source.stats = &whole, r, r.env.Stats.Node(r.node)
	return nil
}

// number numbers the rows, unless another copy has done so.
func (r *rowNumbers) number(ctx context.Context) error {
	lock(ctx, &r.mu)
	defer r.mu.Unlock()
	if !r.begun {
		r.begun = true
		r.err = r.numberRows(ctx)
	}
	return r.err
}

func (r *rowNumbers) numberRows(ctx context.Context) error {
	src := &plan.Source{Input: r.scan}
	if r.filter != nil {
		src.Where = r.filter.Cond
	}
	ix, ok, err := openIndexed(ctx, r.node, src, []expr.Expr{nil}, need{refs: true}, r.env)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("row numbers: the run indexes do not tell whose rows are")
	}
	r.held = 4*ix.rows + int64(ix.total/8)
	if err := r.env.hold(ctx, r.held); err != nil {
		return err
	}
	numbers := make([][]uint32, len(ix.lists))
	r.of = map[*segment.Range][]uint32{}
	for i, s := range ix.lists {
		numbers[i] = make([]uint32, s.rng.Hi-s.rng.Lo)
		r.of[s.rng] = numbers[i]
	}
	if r.filter != nil && r.env.Stats.Node(r.filter) != nil {
		for _, s := range ix.lists {
			r.env.Stats.Node(r.filter).Rows.Add(int64(s.countRows(s.rng.Lo, s.rng.Hi)))
		}
	}
	if ix.inTimeOrder() {
		if err := r.numberRuns(ctx, ix, numbers); err != nil {
			return err
		}
		ix.only = ix.rootsOfMoved()
		if !ix.only.Any() {
			return nil
		}
	}
	return ix.blocks(ctx, func(_ context.Context, _ int, b *block) error {
		c := &b.conds[0]
		for actor := range b.count {
			refs := c.refsOf(actor)
			for i, ref := range refs {
				n := i + 1
				if r.desc {
					n = len(refs) - i
				}
				numbers[ref.list][int(ref.row)-ix.lists[ref.list].rng.Lo] = uint32(n)
			}
		}
		return nil
	})
}

// inTimeOrder says whether all rows of a stream are before those of the next one, so that this is
// true for the rows of each person.
func (ix *indexed) inTimeOrder() bool {
	list := ix.streams[0]
	for i := 1; i < len(list); i++ {
		if list[i-1].seg.MaxTime() >= list[i].seg.MinTime() {
			return false
		}
	}
	return true
}

// rootsOfMoved is the persons to whom others were merged whose rows are here.
func (ix *indexed) rootsOfMoved() vec.Bitmap {
	roots := vec.NewBitmap(ix.total)
	for _, s := range ix.streams[0] {
		for _, m := range s.moved {
			roots.Set(int(m.root))
		}
	}
	return roots
}

// numberRuns numbers the rows of all runs but moved ones. Those of persons who have such are wrong.
func (r *rowNumbers) numberRuns(ctx context.Context, ix *indexed, numbers [][]uint32) error {
	streams := slices.Clone(ix.streams[0])
	if r.desc {
		slices.Reverse(streams)
	}
	counts := make([][]uint32, r.env.Threads) // rows so far, by person of the interval
	return intervals(ctx, r.env, ix.total, ix.intervalSize(), func(_ context.Context, w, lo, hi int) error {
		counts[w] = grow(counts[w], hi-lo)
		count := counts[w]
		clear(count)
		for _, s := range streams {
			of := numbers[s.list]
			sp := span{s: s}
			sp.lo, sp.hi = placesOf(s.runs.Ordinals, uint32(lo), uint32(hi))
			sp.each(func(actor uint32, from, to int) {
				n := &count[int(actor)-lo]
				*n = s.numberRun(of, from-s.rng.Lo, to-s.rng.Lo, *n, r.desc)
			})
		}
		return nil
	})
}

// numberRun numbers the matching rows of a run, n being the number of the one before them, and gives the
// number of the last one.
func (s *stream) numberRun(numbers []uint32, from, to int, n uint32, desc bool) uint32 {
	row, step := from, 1
	if desc {
		row, step = to-1, -1
	}
	for range to - from {
		if s.match == nil || s.match.Get(row) {
			n++
			numbers[row] = n
		}
		row += step
	}
	return n
}

// column reads the numbers.
func (r *rowNumbers) column(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
	v := &vec.Vector{Type: vec.T(vec.Int8), I64: a.Int64s(hi - lo)}
	for i, n := range r.of[m.rng][lo-m.rng.Lo : hi-m.rng.Lo] {
		v.I64[i] = int64(n)
	}
	return v, nil
}

// rows selects the rows in [lo, hi) that are the window's and have numbers that pass, counted from lo;
// nil is all.
func (r *rowNumbers) rows(a *vec.Arena, m morsel, lo, hi int) []uint32 {
	numbers := r.of[m.rng]
	first, span, ok := r.between.span()
	if numbers == nil || !ok {
		return []uint32{}
	}
	numbers = numbers[lo-m.rng.Lo : hi-m.rng.Lo]
	sel, n := a.Uint32s(hi-lo), 0
	for i, x := range numbers { // without a branch that nobody can foresee
		sel[n] = uint32(i)
		pass := 0
		if x-first <= span {
			pass = 1
		}
		n += pass
	}
	if n == hi-lo {
		return nil
	}
	return sel[:n]
}

func (r *rowNumbers) copies() int { return r.source.copies() }

func (r *rowNumbers) open(filters []*keyFilter) Operator { return newScan(r.source, filters) }

// filtered is open with the filter right above: what it asks of the numbers selects rows.
func (r *rowNumbers) filtered(filters []*keyFilter) Operator {
	s := newScan(r.source, filters)
	s.filter, s.conds = true, r.conds
	return s
}

func (r *rowNumbers) close() error {
	r.env.release(r.held)
	r.held = 0
	return nil
}
