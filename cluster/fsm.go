package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
)

// fsm applies entries to the store. What it does depends on its state and the entry
// alone. Raft calls it from one goroutine; only Persist runs beside it.
type fsm struct {
	store *storage.Store
	local *localBatches
	// committed is told the highest index that was applied, which Raft has committed. The
	// log notes it, and so knows at its next start what it must hold.
	committed func(index uint64)

	// stopped is set once, by an entry that cannot be applied: written by a newer
	// release, or damaged. Nothing is applied after it.
	stopped atomic.Pointer[error]
	// bytes counts what was applied since the last Raft snapshot.
	bytes atomic.Int64
	// applying says that something is on its way into the store, and lastApply is when the last was, by
	// this process's clock. What merges themselves propose does not count.
	applying  atomic.Bool
	lastApply atomic.Int64
	// applied is up to where reads see everything, and fresh the time of the newest entry
	// there, in µs.
	applied, fresh watermark
	replay         *Replay // or nil

	lastTime  int64
	proposals proposalWindow
	requests  dedup.Window
}

// applyResult is what an entry gave.
type applyResult struct {
	receipt Receipt
	project storage.Project
	objects []*object.Object
	groups  []string // names of the types of groups
	members storage.MemberResult
	err     error
}

// localBatches holds the batches that this process proposed until they are applied, so
// that the leader does not decode what it has just encoded.
type localBatches struct {
	mu      sync.Mutex
	batches map[uuid.UUID]*event.Batch
}

func (l *localBatches) put(id uuid.UUID, b *event.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches[id] = b
}

// take gives a batch to its one user.
func (l *localBatches) take(id uuid.UUID) *event.Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.batches[id]
	delete(l.batches, id)
	return b
}

// work is an entry on its way into the store.
type work struct {
	index uint64
	size  int
	entry entry
	batch *event.Batch // of kindEvents
	// commit is of kindTable and kindCommit.
	commit *storage.Commit
	err    error
	// covered says that the manifest has it: only what the store does not know is noted.
	covered bool
}

// quiet says whether nothing has been applied for so long before a time. What waits for a flush, as an
// import does that is faster than the disk, is being applied.
func (f *fsm) quiet(now time.Time, long time.Duration) bool {
	return !f.applying.Load() && now.UnixNano()-f.lastApply.Load() >= int64(long)
}

func (f *fsm) err() error {
	if err := f.stopped.Load(); err != nil {
		return *err
	}
	return nil
}

// Apply applies one entry.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries in order. Decoding, which needs no state, is done for all of
// them first, on all cores.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	works := make([]work, len(logs))
	decode := func(i int) {
		if logs[i].Type == raft.LogCommand {
			works[i] = f.decode(logs[i])
		}
	}
	if workers := min(runtime.GOMAXPROCS(0), len(logs)); workers < 2 {
		for i := range logs {
			decode(i)
		}
	} else {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(logs); i = int(next.Add(1)) - 1 {
					decode(i)
				}
			})
		}
		wg.Wait()
	}
	heard := slices.ContainsFunc(works, func(w work) bool {
		return w.entry.kind != kindTick && w.entry.kind != kindPlan && w.entry.kind != kindMerged
	})
	f.applying.Store(heard)
	results := make([]any, len(logs))
	for i := range works {
		if logs[i].Type == raft.LogCommand {
			results[i] = f.apply(&works[i])
		}
	}
	last := logs[len(logs)-1].Index
	if f.committed != nil {
		f.committed(last)
	}
	if heard {
		f.lastApply.Store(time.Now().UnixNano())
		f.applying.Store(false)
	}
	if f.err() == nil {
		f.applied.raise(last)
		f.fresh.raise(uint64(f.lastTime))
		f.replay.reach(last)
	}
	return results
}

func (f *fsm) decode(l *raft.Log) work {
	w := work{index: l.Index, size: len(l.Data), covered: l.Index <= f.store.DurableIndex()}
	head, packed, flags, err := decodeHeader(l.Data)
	if err != nil {
		w.err = err
		return w
	}
	if w.covered {
		w.entry = head
		return w
	}
	if head.kind == kindEvents {
		if w.batch = f.local.take(head.proposal); w.batch != nil {
			w.entry = head
			return w
		}
	}
	if w.entry, w.err = unpack(head, packed, flags); w.err != nil {
		return w
	}
	switch w.entry.kind {
	case kindEvents:
		w.batch, w.err = event.Decode(w.entry.payload)
	case kindTable:
		w.commit = &storage.Commit{}
		w.commit.Tables, w.err = table.DecodeWriteSet(w.entry.payload)
	case kindCommit:
		w.commit, w.err = storage.DecodeCommit(w.entry.payload)
	}
	return w
}

// apply applies one decoded entry. An error of the result is an answer for who proposed;
// an entry that cannot be understood stops the machine.
func (f *fsm) apply(w *work) applyResult {
	if err := f.err(); err != nil {
		return applyResult{err: err}
	}
	if w.err != nil {
		err := fmt.Errorf("raft log: entry %d: %w", w.index, w.err)
		f.stopped.Store(&err)
		return applyResult{err: err}
	}
	f.bytes.Add(int64(w.size))
	e := &w.entry
	result := applyResult{receipt: Receipt{Index: w.index}}
	if w.covered {
		return result // the state that was read is of a later entry
	}
	if first, seen := f.proposals.get(e.proposal); seen {
		f.lastTime = max(f.lastTime, e.time)
		return applyResult{receipt: first}
	}
	switch e.kind {
	case kindEvents:
		named := e.request != dedup.RequestKey{}
		if first, seen := f.requests.Find(e.project, e.time, e.request); named && seen {
			result.receipt = Receipt{Index: first, Duplicates: w.batch.Rows}
			break
		}
		w.batch.AsWritten = e.asWritten || e.level < lateLevel
		var counts storage.EventsResult
		counts, result.err = f.store.ApplyEvents(w.index, e.time, e.project, w.batch)
		result.receipt.Stored, result.receipt.Duplicates = counts.Stored, counts.Duplicates
		if named && result.err == nil {
			f.requests.Add(e.project, e.time, e.request, w.index)
		}
	case kindPersons:
		edits, err := storage.DecodePersonEdits(e.payload)
		if err != nil {
			w.err = fmt.Errorf("persons: %w", err)
			return f.apply(w)
		}
		if result.err = f.store.ApplyPersons(w.index, e.time, e.project, edits); result.err == nil {
			result.receipt.Stored = len(edits)
		}
	case kindMeta:
		var edit storage.ProjectEdit
		if err := json.Unmarshal(e.payload, &edit); err != nil {
			w.err = fmt.Errorf("project edit: %w", err)
			return f.apply(w)
		}
		result.project, result.err = f.store.ApplyProject(w.index, e.time, edit)
	case kindPlan:
		var plan storage.MergePlan
		if err := json.Unmarshal(e.payload, &plan); err != nil {
			w.err = fmt.Errorf("merge plan: %w", err)
			return f.apply(w)
		}
		result.err = f.store.ApplyMergePlan(w.index, e.time, plan)
	case kindMerged:
		var done storage.MergeDone
		if err := json.Unmarshal(e.payload, &done); err != nil {
			w.err = fmt.Errorf("merge done: %w", err)
			return f.apply(w)
		}
		result.err = f.store.ApplyMergeDone(w.index, e.time, done)
	case kindSeal:
		var seal storage.Seal
		if err := json.Unmarshal(e.payload, &seal); err != nil {
			w.err = fmt.Errorf("seal: %w", err)
			return f.apply(w)
		}
		result.err = f.store.ApplySeal(w.index, e.time, seal, func() { f.note(e, result) }) // the state is kept with it
	case kindAdopt:
		a := &storage.Adoption{}
		if err := json.Unmarshal(e.payload, a); err != nil {
			w.err = fmt.Errorf("adoption: %w", err)
			return f.apply(w)
		}
		result.project, result.err = f.store.ApplyAdopt(w.index, e.time, a)
	case kindTick:
		result.err = f.store.ApplyTick(w.index, e.time)
	case kindTable, kindCommit:
		var change table.Change
		change, result.err = f.store.ApplyCommit(w.index, e.time, e.project, w.commit)
		result.receipt.Stored, result.receipt.First = change.Inserted, change.First
	case kindObjects, kindGroups, kindMembers:
		if err := applyObjects(f.store, w.index, e, &result); err != nil {
			w.err = fmt.Errorf("%v: %w", e.kind, err)
			return f.apply(w)
		}
	default:
		var err error
		if result.receipt.Stored, result.err, err = applyDelete(f.store, w.index, e); err != nil {
			w.err = fmt.Errorf("%v: %w", e.kind, err)
			return f.apply(w)
		}
	}
	if result.err == nil {
		f.note(e, result)
	}
	f.lastTime = max(f.lastTime, e.time)
	return result
}

// note remembers what an entry gave.
func (f *fsm) note(e *entry, result applyResult) {
	f.lastTime = max(f.lastTime, e.time)
	f.proposals.add(proposalResult{id: e.proposal, time: e.time, receipt: result.receipt})
}

// Snapshot notes what the machine knows now. The manifest covers less: entries from there
// on stay in the log (the tail), and are applied again at a start.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	f.bytes.Store(0)
	return &fsmSnapshot{f.store}, nil
}

// Restore is for a snapshot that another replica sent. With one voter there is none, and
// at start the state is read before Raft runs.
func (f *fsm) Restore(source io.ReadCloser) error {
	source.Close()
	return fmt.Errorf("raft snapshot: a node with one voter takes none from elsewhere")
}

// state is what the machine knows beside the store, as of the last entry.
func (f *fsm) state() []byte {
	s := fsmState{LastTime: f.lastTime, Proposals: f.proposals.list(), Requests: &f.requests}
	return s.encode()
}

// load takes over what state gave.
func (f *fsm) load(raw []byte) error {
	s, err := decodeFSMState(raw)
	if err != nil {
		return err
	}
	f.lastTime, f.requests = s.LastTime, *s.Requests
	for _, p := range s.Proposals {
		f.proposals.add(p)
	}
	return nil
}

type fsmSnapshot struct{ store *storage.Store }

// Persist writes the state and what the manifest covers: a Raft snapshot never claims what
// the manifest lacks.
func (s *fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(encodeDurable(s.store.DurableIndex())); err != nil {
		return err
	}
	return sink.Close()
}

func (s *fsmSnapshot) Release() {}

const (
	// A proposal is retried within seconds, if at all. Both bounds are part of what
	// applying an entry means, so they are constants.
	proposalWindowTime  = 10 * time.Minute
	proposalWindowCount = 100_000
)

// proposalWindow remembers the outcome of recent proposals, by the time in the entries.
type proposalWindow struct {
	queue  []proposalResult // oldest first, from head on
	head   int
	latest map[uuid.UUID]Receipt
}

func (w *proposalWindow) get(id uuid.UUID) (Receipt, bool) {
	r, ok := w.latest[id]
	return r, ok
}

func (w *proposalWindow) add(p proposalResult) {
	if w.latest == nil {
		w.latest = make(map[uuid.UUID]Receipt)
	}
	if _, known := w.latest[p.id]; known { // replayed
		w.latest[p.id] = p.receipt
		return
	}
	w.latest[p.id] = p.receipt
	w.queue = append(w.queue, p)
	for len(w.queue)-w.head > proposalWindowCount || w.queue[w.head].time < p.time-proposalWindowTime.Microseconds() {
		delete(w.latest, w.queue[w.head].id)
		w.head++
	}
	if w.head > len(w.queue)/2 && w.head > 1024 {
		w.queue = append([]proposalResult(nil), w.queue[w.head:]...)
		w.head = 0
	}
}

// list is a copy of what is remembered, oldest first.
func (w *proposalWindow) list() []proposalResult {
	return append([]proposalResult(nil), w.queue[w.head:]...)
}
