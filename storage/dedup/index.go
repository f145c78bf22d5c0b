package dedup

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

const (
	// Horizon is how long a uuid is remembered at least, by the times of log entries.
	Horizon = 48 * time.Hour

	periodMicros = int64(6 * time.Hour / time.Microsecond)
	// periods is how many periods a key lives after its own.
	periods = int64(Horizon/time.Microsecond) / periodMicros

	// fanIn is how many runs are merged into one, so how many there are is logarithmic.
	fanIn = 8
	// mostKeys is the largest run that a merge makes: a gigabyte.
	mostKeys = 1 << 26
)

// periodOf is the period of an entry time.
func periodOf(at int64) int64 {
	p := at / periodMicros
	if at%periodMicros < 0 {
		p--
	}
	return p
}

// alive says whether keys of a period are remembered at a time.
func alive(period, now int64) bool { return periodOf(now)-period <= periods }

// Index is all keys that are remembered. One goroutine follows the entries of the log with
// Find and Add; the other methods may run beside it. What Find began is seen in full by
// Add, whatever is sealed and published in between.
type Index struct {
	query Query

	mu     sync.Mutex
	now    int64    // the highest entry time
	active []*Table // of periods that are alive, the newest last
	sealed []*Sealed
	runs   []*Run
	// slots is how large the sets of the last sealed tables were, by project: new ones begin
	// so large.
	slots map[uint32]int
}

// Sealed is the tables that one flush writes, and the runs that it made of them.
type Sealed struct {
	Time   int64 // the highest entry time when they were sealed
	tables []*Table
	runs   []*Run
}

// Query is a batch on its way through Find and Add.
type Query struct {
	// Seen says of each row whether its event is stored already, or, after Add, comes
	// twice in the batch.
	Seen    []bool
	project uint32
	keys    []hashed
	places  []uint64 // hashes for tables
	times   []int64  // inside the uuids
	made    madeRange
	// Scratch: rows that still count, and what a filter has for them.
	rows  []uint32
	words []uint64
}

// OpenIndex opens the runs that a manifest names.
func OpenIndex(fs vfs.FS, dir string, m *manifest.Manifest) (*Index, error) {
	x := &Index{now: m.Time}
	for _, meta := range m.Runs {
		r, err := Open(fs, dir, meta)
		if err != nil {
			x.Close() // only read
			return nil, err
		}
		x.runs = append(x.runs, r)
	}
	slices.SortFunc(x.runs, byNumber)
	return x, nil
}

func byNumber(a, b *Run) int { return cmp.Compare(a.Number, b.Number) }

// Close closes the runs. Nobody may use the index any more.
func (x *Index) Close() error {
	var err error
	for _, s := range x.sealed {
		x.runs = append(x.runs, s.runs...)
	}
	for _, r := range x.runs {
		err = errors.Join(err, r.release())
	}
	x.runs, x.sealed = nil, nil
	return err
}

// Find begins a batch of an entry: it says which uuids are remembered. It may read files.
// The query and what is in it are lent until the next Find. After an error nothing is known
// of the batch, and no uuid was added.
func (x *Index) Find(project uint32, at int64, uuids []vec.UUIDValue) (*Query, error) {
	x.mu.Lock()
	x.now = max(x.now, at)
	x.active = slices.DeleteFunc(x.active, func(t *Table) bool { return !alive(t.period, x.now) })
	tables := slices.Clone(x.active)
	for _, s := range x.sealed {
		for _, t := range s.tables {
			if alive(t.period, x.now) {
				tables = append(tables, t)
			}
		}
	}
	var runs []*Run
	for _, r := range x.runs {
		if alive(r.period, x.now) {
			r.hold()
			runs = append(runs, r)
		}
	}
	x.mu.Unlock()
	q := &x.query
	q.reset(project, uuids)
	for _, t := range tables {
		t.mark(q)
	}
	var err error
	for _, r := range runs {
		if err == nil {
			err = r.mark(q)
		}
		r.release() //nolint:errcheck // only read
	}
	return q, err
}

// Add ends what Find began: it remembers the rows that are not seen.
func (x *Index) Add(q *Query) {
	if slices.Index(q.Seen, false) < 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	period := periodOf(x.now)
	var t *Table
	if n := len(x.active); n > 0 && x.active[n-1].period == period {
		t = x.active[n-1]
	} else {
		t = newTable(period, x.now)
		x.active = append(x.active, t)
	}
	t.last = x.now
	set := t.set(q.project, x.slots[q.project])
	for i := range q.keys {
		if !q.Seen[i] {
			q.Seen[i] = !set.add(q.keys[i].key, q.places[i])
		}
	}
}

func (q *Query) reset(project uint32, uuids []vec.UUIDValue) {
	n := len(uuids)
	q.project, q.made = project, emptyRange
	q.Seen = zeroed(q.Seen, n)
	q.keys, q.places, q.times, q.rows = sized(q.keys, n), sized(q.places, n), sized(q.times, n), sized(q.rows, n)
	q.words = sized(q.words, n)
	for i := range uuids {
		k := hash(keyOf(&uuids[i]))
		q.keys[i], q.places[i], q.times[i] = k, tableHash(&uuids[i]), k.made()
		q.made.add(q.times[i])
	}
}

// sized gives n values, in the memory of buf if it suffices.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

// mark says of each row that is not decided yet whether it is in the table.
func (t *Table) mark(q *Query) {
	set := t.sets[q.project]
	if set == nil {
		return
	}
	// The first loop waits for many lines of memory at once, the second finds them near.
	words := q.words
	for i := range words {
		words[i] = set.peek(q.places[i])
	}
	for i := range q.keys {
		if !q.Seen[i] && words[i] != 0 {
			q.Seen[i] = set.has(q.keys[i].key, q.places[i])
		}
	}
}

// Seal ends the tables, so that they can be written, and begins new ones.
func (x *Index) Seal() *Sealed {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := &Sealed{Time: x.now}
	for _, t := range x.active {
		if alive(t.period, x.now) {
			s.tables = append(s.tables, t)
		}
	}
	x.slots = map[uint32]int{}
	for _, t := range x.active {
		for project, set := range t.sets {
			x.slots[project] = len(set.slots)
		}
	}
	x.active = nil
	x.sealed = append(x.sealed, s)
	return s
}

// Write writes a run for each table, under numbers that next gives. After an error none of
// them is left, and it may be called again.
func (s *Sealed) Write(fs vfs.FS, dir string, next func() uint64) ([]manifest.Run, error) {
	var out []manifest.Run
	for _, t := range s.tables {
		r, err := WriteTable(fs, dir, next(), t)
		if err != nil {
			s.Discard()
			return nil, err
		}
		s.runs, out = append(s.runs, r), append(out, r.Run)
	}
	return out, nil
}

// Discard takes back what Write wrote.
func (s *Sealed) Discard() {
	Discard(s.runs)
	s.runs = nil
}

// Discard removes runs that no manifest names.
func Discard(runs []*Run) {
	for _, r := range runs {
		r.dead.Store(true)
		r.release() //nolint:errcheck // what stays is removed at the next start
	}
}

// Publish puts the runs of a flush into the place of its tables.
func (x *Index) Publish(s *Sealed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sealed = slices.DeleteFunc(x.sealed, func(o *Sealed) bool { return o == s })
	x.runs = append(x.runs, s.runs...)
}

// Exchange puts the output of a merge into the place of its inputs; without an output they
// only go. Their files are removed when nobody reads them any more.
func (x *Index) Exchange(in []*Run, out *Run) {
	x.mu.Lock()
	x.runs = slices.DeleteFunc(x.runs, func(r *Run) bool { return slices.Contains(in, r) })
	if out != nil {
		x.runs = append(x.runs, out)
	}
	x.mu.Unlock()
	Discard(in)
}

// Expired is the runs that nobody will ask for, given the time that the manifest has: a
// restart begins with it.
func (x *Index) Expired(durable int64) []*Run {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []*Run
	for _, r := range x.runs {
		if !alive(r.period, durable) {
			out = append(out, r)
		}
	}
	return out
}

// PlanMerge is runs of one period that are worth merging, and the level of their merge;
// nil if there are none. These are eight of one level, or, when the period is over at the
// given time, all there are, up to eight, the smallest first. One goroutine plans and
// exchanges.
func (x *Index) PlanMerge(durable int64) ([]*Run, int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	groups := map[int64][]*Run{}
	var order []int64
	for _, r := range x.runs {
		if groups[r.period] == nil {
			order = append(order, r.period)
		}
		groups[r.period] = append(groups[r.period], r)
	}
	slices.Sort(order)
	for _, period := range order {
		runs := groups[period]
		slices.SortFunc(runs, func(a, b *Run) int {
			return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Keys, b.Keys), byNumber(a, b))
		})
		for lo := range runs {
			var in []*Run
			keys := int64(0)
			for _, r := range runs[lo:min(lo+fanIn, len(runs))] {
				if over := period < periodOf(durable); !over && r.Level != runs[lo].Level || keys+r.Keys > mostKeys {
					break
				}
				in, keys = append(in, r), keys+r.Keys
			}
			if len(in) == fanIn || len(in) > 1 && period < periodOf(durable) {
				return in, in[len(in)-1].Level + 1
			}
		}
	}
	return nil, 0
}
