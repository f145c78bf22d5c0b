package exec

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// csr is the rows of an interval of actors that satisfy one condition: those of actor i
// are off[i] to off[i+1], by time and then by the tie-break.
type csr struct {
	off   []uint32
	times []int64
	// vals holds the breakdown value of each row, if the operator has a breakdown.
	vals []uint32
	// nums holds the number of each row that the operator asks for, as numberOf gives it.
	nums []int64
	// refs tells rows apart and orders rows of one time, if the operator asks for it.
	refs []rowRef
}

// rowRef identifies a row: which list it is from, and its position there.
type rowRef struct {
	list uint32
	row  uint32
}

func (c *csr) of(i int) []int64       { return c.times[c.off[i]:c.off[i+1]] }
func (c *csr) valsOf(i int) []uint32  { return c.vals[c.off[i]:c.off[i+1]] }
func (c *csr) numsOf(i int) []int64   { return c.nums[c.off[i]:c.off[i+1]] }
func (c *csr) refsOf(i int) []rowRef  { return c.refs[c.off[i]:c.off[i+1]] }
func (c *csr) countOf(i int) int      { return int(c.off[i+1] - c.off[i]) }
func (c *csr) reset(actors, rows int) { c.off = grow(c.off, actors+1); clear(c.off) }

// block is an interval of actors, with the rows of each condition.
type block struct {
	base  uint32 // actor of position 0
	count int
	conds []csr
	alone int64 // actors without rows here who have done one step, and can do no other: need.alone
}

// actors is what a native operator reads, made ready: rows by actor and time.
type actors interface {
	// blocks calls f with every interval of actors, on several goroutines; worker says
	// which. A block may be used until f returns.
	blocks(ctx context.Context, f func(ctx context.Context, worker int, b *block) error) error
	// divide makes ready what block needs, and says how many blocks there are.
	divide(ctx context.Context) (int, error)
	// block is one of them, in the memory of the filler, so until its next call with that filler.
	block(ctx context.Context, fl *filler, i int) (*block, error)
	// disjoint says whether no row can be in the lists of two conditions.
	disjoint() bool
	// before orders two rows of equal time: -1, 0 for the same row, or 1.
	before(a, b rowRef) (int, error)
	// marked appends the rows of actor i of a block with from <= time < to, with the lists
	// they are in besides need.whole. If they may be sparse it leaves out those that are in
	// none, where the rows before and after are in none either and have the same value and
	// other times. It says false if it cannot: need.whole was not asked for.
	marked(dst []actorRow, b *block, i int, from, to int64, sparse bool) ([]actorRow, bool)
	// bounds is the time of the first and the last row that may be in a list.
	bounds() (int64, int64)
	// vector is a column of the given actors.
	vector(ids []uint32) *vec.Vector
	// breakdown is the values that csr.vals number, one column per expression.
	breakdown() *values32
}

// values32 numbers breakdown values. Number 0 is the null value.
type values32 struct {
	mu     sync.Mutex
	groups *grouper
}

func newValues32(exprs []expr.Expr) *values32 {
	if len(exprs) == 0 {
		return nil
	}
	types := make([]vec.Type, len(exprs))
	nulls := make([]*vec.Vector, len(exprs))
	for i, e := range exprs {
		types[i] = e.Type()
		nulls[i] = vec.NullConst(types[i])
	}
	v := &values32{groups: newGrouper(types)}
	// The first group is the one whose values are all null, so that it has number 0.
	v.groups.assign(make([]uint32, 1), nulls, []uint32{0})
	return v
}

// assign writes the number of each row's value to dst.
func (v *values32) assign(dst []uint32, cols []*vec.Vector, rows []uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.groups.assign(dst, cols, rows)
}

// count is how many values there are, the null value included.
func (v *values32) count() int {
	if v == nil {
		return 1
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.groups.groups
}

// need is what an operator asks of its lists besides their rows' order.
type need struct {
	refs   bool      // csr.refs, even if no row is in two lists
	ties   bool      // rows of one time come in order too, with csr.refs where nothing else sees to it
	rows   bool      // conditions on persons are to be told by stream.match
	late   bool      // breakdown values that are not stretches are read when they are counted: lateValues
	runs   bool      // rows are counted with countRun alone, and have no values
	number expr.Expr // csr.nums: of type timestamptz or double precision; or nil
	spills *spills   // where breakdown values of rows may be, if they are read with blocks alone; or nil
	// whole is the list that has every row of all others, 0 if there is none such or if it is
	// read for itself. Otherwise only its actors who have rows in others too are asked for.
	whole int
	// steps is how many of the first lists are steps that all have to be done, 0 if that is not
	// so. With inOrder an actor can only do a step whose list and those before have a row.
	// Rows of steps that an actor cannot do may be left out, and if it can do one at most also
	// those of lists that are not steps.
	steps   int
	inOrder bool
	all     bool // the rows of actors who cannot do all steps may be left out
	// alone lets block.alone count actors who can do one step at most, for whom from <= time <
	// to then holds at least once. Their rows are left out.
	alone    bool
	from, to int64
}

// noNumber stands for NULL among a csr's numbers.
const noNumber = math.MinInt64

// numberOf is a time in µs, or the bits of a double.
func numberOf(v *vec.Vector, row int) int64 {
	if v.IsNull(row) {
		return noNumber
	}
	v, row = v.At(row)
	if v.Type.Payload() == vec.PayloadF64 {
		return int64(math.Float64bits(v.F64[row]))
	}
	return v.I64[row]
}

// openActors makes the rows of a native operator ready, one list per condition.
func openActors(ctx context.Context, n plan.Node, src *plan.Source, conds []expr.Expr, need need, env *Env) (actors, error) {
	if ix, ok, err := openIndexed(ctx, n, src, conds, need, env); ok || err != nil {
		return ix, err
	}
	return openRowsWith(ctx, n, src, conds, alongside{number: need.number}, env)
}

// during evaluates DURING; missing bounds are open.
func during(src *plan.Source, env *Env) (int64, int64, error) {
	return timeBounds(src.From, src.To, env)
}

// location is the zone in which an operator cuts calendar units.
func location(src *plan.Source, env *Env) (*time.Location, error) {
	if src.Zone == "" {
		if env.Expr.Location == nil {
			return time.UTC, nil
		}
		return env.Expr.Location, nil
	}
	loc, err := time.LoadLocation(src.Zone)
	if err != nil {
		return nil, pgerr.New("22023", "time zone %q not recognized", src.Zone)
	}
	return loc, nil
}

// intervals runs f over [0, total) in steps of size, on the statement's goroutines.
func intervals(ctx context.Context, env *Env, total, size int, f func(ctx context.Context, worker, lo, hi int) error) error {
	var next atomic.Int64
	n := min(env.Threads, (total+size-1)/size)
	return parallel(ctx, n, func(ctx context.Context, w int) error {
		for {
			lo := int(next.Add(int64(size))) - size
			if lo >= total {
				return nil
			}
			if err := yield(ctx); err != nil {
				return err
			}
			if err := f(ctx, w, lo, min(lo+size, total)); err != nil {
				return err
			}
		}
	})
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// bitRange is the words that have the bits [lo, hi), one at least: the first and the last of them, and
// which bits of those are in the range.
func bitRange(lo, hi int) (first, last int, head, tail uint64) {
	first, last = lo>>6, (hi-1)>>6
	head, tail = ^uint64(0)<<(uint(lo)&63), ^uint64(0)>>(63-uint(hi-1)&63)
	if first == last {
		head &= tail
		tail = head
	}
	return first, last, head, tail
}

// countBits is the number of set bits of b in [lo, hi).
func countBits(b vec.Bitmap, lo, hi int) int {
	if lo >= hi {
		return 0
	}
	first, last, head, tail := bitRange(lo, hi)
	n := bits.OnesCount64(b[first] & head)
	if first == last {
		return n
	}
	for _, w := range b[first+1 : last] {
		n += bits.OnesCount64(w)
	}
	return n + bits.OnesCount64(b[last]&tail)
}

// setBits sets the bits of b in [lo, hi).
func setBits(b vec.Bitmap, lo, hi int) {
	if lo >= hi {
		return
	}
	first, last, head, tail := bitRange(lo, hi)
	b[first] |= head
	for i := first + 1; i < last; i++ {
		b[i] = ^uint64(0)
	}
	b[last] |= tail
}

// clearBits clears the bits of b in [lo, hi).
func clearBits(b vec.Bitmap, lo, hi int) {
	if lo >= hi {
		return
	}
	first, last, head, tail := bitRange(lo, hi)
	b[first] &^= head
	if first < last {
		clear(b[first+1 : last])
	}
	b[last] &^= tail
}

// actorSorter puts the rows of actors in order of time and tie-break. It keeps its scratch
// from one actor to the next.
type actorSorter struct {
	before func(a, b rowRef) (int, error)
	keys   []sortRow
	nums   []int64
	vals   []uint32
	refs   []rowRef
}

// sortRow is a row to be sorted, and where it stands.
type sortRow struct {
	time int64
	at   uint32
}

// sort orders the rows of one actor; lists that are nil are not there.
func (s *actorSorter) sort(times []int64, vals []uint32, nums []int64, refs []rowRef) error {
	if vals == nil && nums == nil && refs == nil {
		slices.Sort(times)
		return nil
	}
	s.keys = s.keys[:0]
	for i, t := range times {
		s.keys = append(s.keys, sortRow{t, uint32(i)})
	}
	var failed error
	slices.SortFunc(s.keys, func(a, b sortRow) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		if refs != nil {
			c, err := s.before(refs[a.at], refs[b.at])
			if err != nil {
				failed = err
			}
			if c != 0 {
				return c
			}
		}
		return int(a.at) - int(b.at) // rows that nothing tells apart stay as they are
	})
	for i, k := range s.keys {
		times[i] = k.time
	}
	s.vals = inOrder(vals, s.vals, s.keys)
	s.nums = inOrder(nums, s.nums, s.keys)
	s.refs = inOrder(refs, s.refs, s.keys)
	return failed
}

// inOrder puts a list into the order of keys, and gives the scratch for the next time.
func inOrder[T any](list, scratch []T, keys []sortRow) []T {
	if list == nil {
		return scratch
	}
	scratch = append(scratch[:0], list...)
	for i, k := range keys {
		list[i] = scratch[k.at]
	}
	return scratch
}
