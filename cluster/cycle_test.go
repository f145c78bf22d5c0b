package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// A cycle opens a node's state, writes, loses power at some operation of the file system,
// and opens what is left, which is checked. The Raft library is left out, as an election
// takes longer than all the rest: the rig appends to the log, applies and takes Raft
// snapshots in the order in which the library does it for one voter.
//
// PRICKLE_CYCLES sets how many cycles are run (300), PRICKLE_SEED the seed of the first
// history; a history is 25 cycles on one disk.
const (
	envCycles   = "PRICKLE_CYCLES"
	envSeed     = "PRICKLE_SEED"
	cyclesADisk = 25
)

// sized is how large a suite is run, by an environment variable of its own, and the first
// seed.
func sized(t testing.TB, env string, usual int) (count int, seed uint64) {
	seed = 1
	count = usual
	var err error
	if v := os.Getenv(env); v != "" {
		if count, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	if v := os.Getenv(envSeed); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return count, seed
}

// watch ends the process if a trial takes a minute: where it hangs matters.
func watch(name string) (done func() bool) {
	return time.AfterFunc(time.Minute, func() {
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 2) // the process ends
		panic(name + ": hangs")
	}).Stop
}

// rig drives the state of a node on one disk, over crashes.
type rig struct {
	t    *testing.T
	name string // of the history, for failures
	rng  *rand.Rand
	disk *vfs.Mem
	node *Node
	time int64
	// fault, if set, lies between the node and the disk. What fails then may be its doing,
	// and the node may end itself.
	fault *vfs.Fault
	// sealRows and logFileBytes are options of the node.
	sealRows, logFileBytes int64
	lies                   bool // a sync of before kept nothing: what came after it may be gone

	mu     sync.Mutex
	chance *rand.Rand // what a crash takes with it; the flusher may meet the crash, so it is not rng
	ops    int        // of the file system since the start
	limit  int        // power is lost before this one; 0: not
	left   *vfs.Mem   // what the disk holds after that
	exited bool       // by Exit
	failed error      // of an entry, through a fault

	next   int                // sequence number of the next event
	sent   map[int]*sentBatch // by the first sequence number
	hashes map[uint64]uint64  // state hash by index, as first applied
	acked  uint64             // highest index that was acknowledged
}

// sentBatch is a batch of events, or of rows of a user table, with the sequence numbers
// first … first+count-1.
type sentBatch struct {
	project      uint32 // with inTable for rows
	first, count int
	acked        uint64 // index of an entry that was acknowledged; 0: none
	gone         bool   // its project was deleted
}

const inTable = 1 << 31

func newRig(t *testing.T, seed uint64) *rig {
	return &rig{t: t, name: fmt.Sprintf("%s=%d", envSeed, seed), rng: rand.New(rand.NewPCG(seed, 7)), chance: rand.New(rand.NewPCG(seed, 8)), disk: vfs.NewMem(),
		sealRows: 60, logFileBytes: 32 << 10, sent: map[int]*sentBatch{}, hashes: map[uint64]uint64{}}
}

func (r *rig) fatal(format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("%s: %s", r.name, fmt.Sprintf(format, args...))
}

// hook counts operations and takes the power away.
func (r *rig) hook(string, string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops++
	if r.limit == 0 || r.ops < r.limit {
		return nil
	}
	if r.left == nil {
		r.left = r.disk.Crash(r.chance)
	}
	return syscall.ENODEV
}

// count is how many operations of the file system there were since the start.
func (r *rig) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ops
}

// lost says that the node runs no more: power was lost, or a fault made it end itself.
func (r *rig) lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left != nil || r.fault != nil && r.exited
}

func (r *rig) exit(error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exited = true
}

func (r *rig) config() Config {
	cfg := Config{FS: r.disk, Dir: "d", Store: storage.Options{SealRows: r.sealRows, FlushRetry: time.Millisecond}, LogFileBytes: r.logFileBytes, Exit: r.exit}
	if r.fault != nil {
		cfg.FS = r.fault
	}
	return cfg
}

// start opens the state and applies the rest of the log, as Raft does. It says false if
// power was lost meanwhile.
func (r *rig) start(limit int) bool {
	r.mu.Lock()
	r.ops, r.limit, r.left, r.exited, r.failed = 0, limit, nil, false, nil
	r.mu.Unlock()
	r.disk.Hook = r.hook
	err := r.open()
	if r.lost() || err != nil && r.fault != nil {
		return false
	}
	if err != nil {
		r.fatal("start: %v", err)
	}
	return true
}

func (r *rig) open() error {
	node, err := openState(r.config(), nil)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.node = node
	r.mu.Unlock()
	return r.replay()
}

// begun does what a node does first.
func (r *rig) begun() bool {
	if len(r.node.store.Projects()) == 0 {
		spec := storage.ProjectSpec{Name: "prickle", Token: "phc_1"}
		if _, ok := r.submit(r.json(kindMeta, header{}, storage.ProjectEdit{Create: &spec})); !ok {
			return false
		}
	}
	for _, id := range r.node.store.PendingMerges() {
		if _, ok := r.submit(r.json(kindMerged, header{}, storage.MergeDone{Plan: id, Failed: true})); !ok {
			return false
		}
	}
	err := r.node.store.RemoveUnused()
	if err != nil && !r.lost() && r.fault == nil {
		r.fatal("removal of outputs of merges: %v", err)
	}
	return err == nil
}

// unapplied is the first and the last entry that Raft would apply at a start.
func unapplied(n *Node) (first, last uint64, err error) {
	metas, err := n.snapshots.List()
	if err != nil {
		return 0, 0, err
	}
	first = 1
	if len(metas) > 0 {
		first = metas[0].Index + 1
	}
	last, err = n.log.LastIndex()
	return first, last, err
}

func (r *rig) replay() error {
	n := r.node
	from, last, err := unapplied(n)
	if err != nil {
		return err
	}
	for i := from; i <= last; i++ {
		var l raft.Log
		if err := n.log.GetLog(i, &l); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		n.fsm.ApplyBatch([]*raft.Log{&l})
		if err := n.fsm.err(); err != nil {
			return err
		}
		r.noteHash()
	}
	n.store.EndReplay()
	r.time = max(n.fsm.lastTime, 1_700_000_000_000_000)
	if last < r.acked && r.lies {
		r.acked = last
	}
	if last < r.acked {
		return fmt.Errorf("the log ends at entry %d, acknowledged was %d", last, r.acked)
	}
	return nil
}

// noteHash compares the state with the one that had the same entries before.
func (r *rig) noteHash() {
	index, hash := r.node.store.StateHash()
	if want, ok := r.hashes[index]; ok && hash != want {
		r.fatal("state hash after entry %d is %x, was %x", index, hash, want)
	}
	r.hashes[index] = hash
}

// stop ends the run; a process that was killed closes nothing, but its goroutines must
// end.
func (r *rig) stop() {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == nil {
		r.left = r.disk.Crash(r.chance)
	}
	r.disk = r.left
}

// end closes the node, and the disk goes on.
func (r *rig) end() {
	if r.node != nil {
		r.node.closeState() //nolint:errcheck // power may be lost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.node = nil; r.failed != nil && !r.exited {
		r.fatal("an entry was not applied, and the node goes on: %v", r.failed)
	}
}

// submit appends entries as one write, applies them and gives their outcomes. ok is false
// if they are not acknowledged.
func (r *rig) submit(raws ...[]byte) (outcomes []applyResult, ok bool) {
	last, err := r.node.log.LastIndex()
	if err != nil {
		return nil, false
	}
	logs := make([]*raft.Log, len(raws))
	for i, raw := range raws {
		r.time += 1 + r.rng.Int64N(5_000_000)
		seal(raw, r.time)
		logs[i] = &raft.Log{Index: last + 1 + uint64(i), Term: 1, Type: raft.LogCommand, Data: raw}
	}
	// What an entry of a former run with this index did, may not have survived.
	for i := range logs {
		delete(r.hashes, logs[i].Index)
	}
	if err := r.node.log.StoreLogs(logs); err != nil || r.lost() {
		return nil, false
	}
	r.acked = last + uint64(len(logs))
	for _, l := range logs {
		result := r.node.fsm.ApplyBatch([]*raft.Log{l})[0].(applyResult)
		if err := r.node.fsm.err(); err != nil || r.lost() {
			return nil, false
		}
		if err := result.err; r.fault != nil && err != nil && !errors.Is(err, storage.ErrMergeVoid) {
			r.failed = err // the store has failed, and Exit is called, or is about to be
			return nil, false
		}
		r.noteHash()
		outcomes = append(outcomes, result)
	}
	return outcomes, true
}

func (r *rig) json(k kind, h header, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		r.fatal("%v", err)
	}
	h.proposal = newProposalID()
	return encodeEntry(k, h, text)
}

// batch makes the events of sequence numbers first … first+count-1, as they always are.
func (r *rig) batch(first, count int) *event.Batch {
	b := event.NewBuilder()
	for seq := first; seq < first+count; seq++ {
		rng := rand.New(rand.NewPCG(uint64(seq), 3))
		b.Begin(sequenceID(seq), int64(1_700_000_000_000_000)+rng.Int64N(4)*10*86_400_000_000+rng.Int64N(3_600_000_000)) // four days of two months
		b.SetName(fmt.Appendf(nil, "e%d", rng.IntN(3)))
		b.SetDistinctID(fmt.Appendf(nil, "u%d", rng.IntN(30)))
		b.Property([]byte("n"), event.Int, strconv.AppendInt(nil, int64(seq), 10))
		if rng.IntN(4) == 0 {
			b.Op(event.PersonOp{Kind: event.OpIdentify, Other: fmt.Sprintf("u%d", rng.IntN(30)), Set: []byte(`{"a":1}`)})
		}
		b.End()
	}
	return b.Finish()
}

// sequenceID is the uuid of an event; every third says that it was made in 1970.
func sequenceID(seq int) vec.UUIDValue {
	id := vec.UUIDValue{0: 7, 12: byte(seq >> 24), 13: byte(seq >> 16), 14: byte(seq >> 8), 15: byte(seq)}
	if isLate(seq) {
		id[0], id[6], id[8] = 0, 0x70, 0x80
	}
	return id
}

func isLate(seq int) bool { return seq%3 == 0 }

// step does one thing at random.
func (r *rig) step() bool {
	switch n := r.rng.IntN(20); {
	case n < 10:
		return r.ingest()
	case n < 12: // the same again: a retry that an SDK makes
		return r.repeat()
	case n < 13:
		edits := []person.Edit{{DistinctIDs: []string{fmt.Sprintf("u%d", r.rng.IntN(40)), fmt.Sprintf("u%d", r.rng.IntN(40))}, Properties: []byte(`{"b":2}`)}}
		_, ok := r.submit(encodeEntry(kindPersons, header{proposal: newProposalID(), project: 1, rows: 1}, storage.AppendPersonEdits(nil, edits)))
		return ok
	case n < 15:
		return r.seal()
	case n < 17:
		return r.merge()
	case n < 18:
		if r.rng.IntN(4) == 0 {
			_, ok := r.submit(encodeEntry(kindTick, header{proposal: newProposalID()}, nil))
			return ok
		}
		return r.snapshot()
	case n < 19:
		return r.table()
	default:
		return r.projects()
	}
}

func (r *rig) ingest() bool {
	var raws [][]byte
	var batches []*sentBatch
	for range 1 + r.rng.IntN(3) {
		b := &sentBatch{project: r.anyProject(), first: r.next, count: 1 + r.rng.IntN(25)}
		r.next += b.count
		r.sent[b.first] = b
		raw, _, err := encodeEvents(newProposalID(), b.project, r.batch(b.first, b.count), nil)
		if err != nil {
			r.fatal("%v", err)
		}
		raws, batches = append(raws, raw), append(batches, b)
	}
	outcomes, ok := r.submit(raws...)
	for i := range outcomes {
		batches[i].acked = r.acked
		if got := outcomes[i].receipt; outcomes[i].err != nil || got.Stored != batches[i].count {
			r.fatal("batch of %d new events: %+v, %v", batches[i].count, got, outcomes[i].err)
		}
	}
	return ok
}

func (r *rig) repeat() bool {
	if r.next == 0 {
		return true
	}
	firsts := make([]int, 0, len(r.sent))
	for first := range r.sent {
		firsts = append(firsts, first)
	}
	slices.Sort(firsts)
	b := r.sent[firsts[r.rng.IntN(len(firsts))]]
	if b.gone || b.project&inTable != 0 {
		return true
	}
	raw, _, err := encodeEvents(newProposalID(), b.project, r.batch(b.first, b.count), nil)
	if err != nil {
		r.fatal("%v", err)
	}
	outcomes, ok := r.submit(raw)
	if ok {
		if got := outcomes[0].receipt; b.acked != 0 && got.Stored != 0 || outcomes[0].err != nil || got.Stored+got.Duplicates != b.count {
			r.fatal("repeat of a batch of %d events, acknowledged at %d: %+v, %v", b.count, b.acked, got, outcomes[0].err)
		}
		b.acked = r.acked
	}
	return ok
}

// seal ends the memtable, which is written to segments beside all that follows.
func (r *rig) seal() bool {
	_, ok := r.submit(encodeEntry(kindSeal, header{proposal: newProposalID()}, []byte("{}")))
	return ok
}

func (r *rig) merge() bool {
	store := r.node.store
	if err := store.WaitDurable(context.Background()); err != nil {
		return !r.lost()
	}
	plan, ok := store.PlanMergeAll()
	if !ok {
		return true
	}
	outcomes, ok := r.submit(r.json(kindPlan, header{}, plan))
	if !ok || r.rng.IntN(5) == 0 { // one that is never ended
		return ok
	}
	if outcomes[0].err != nil {
		r.fatal("plan of a merge: %v", outcomes[0].err)
	}
	id := outcomes[0].receipt.Index
	if r.rng.IntN(3) == 0 && !r.ingest() { // something between plan and end
		return false
	}
	done, err := store.BuildMerge(context.Background(), id)
	if r.lost() {
		return false
	}
	if err != nil {
		if !errors.Is(err, storage.ErrMergeVoid) && r.fault == nil {
			r.fatal("merge: %v", err)
		}
		done = storage.MergeDone{Plan: id, Failed: true}
	}
	_, ok = r.submit(r.json(kindMerged, header{}, done))
	return ok
}

// table adds rows to the user table of the first project, and makes it if there is none.
func (r *rig) table() bool {
	b := &sentBatch{project: 1 | inTable, first: r.next, count: 1 + r.rng.IntN(40)}
	ws := tableInsert(b.first, b.count)
	if r.node.store.Tables(1).Table(1) == nil {
		ws = tableCreate()
	} else {
		r.next += b.count
		r.sent[b.first] = b
	}
	outcomes, ok := r.submit(encodeEntry(kindTable, header{proposal: newProposalID(), project: 1, rows: uint32(ws.Inserted())}, table.AppendWriteSet(nil, ws)))
	if ok && outcomes[0].err != nil {
		r.fatal("rows of a table: %v", outcomes[0].err)
	}
	if ok && r.sent[b.first] == b {
		b.acked = r.acked
	}
	return ok
}

func tableCreate() *table.WriteSet {
	return &table.WriteSet{Ops: []table.Op{{Kind: table.OpCreate, Table: table.Fresh, Schema: &table.Schema{Table: table.Fresh, Version: 1, Name: "t",
		Columns: []table.Column{{ID: 1, Name: "n", Type: vec.T(vec.Int8)}, {ID: 2, Name: "s", Type: vec.T(vec.Text)}}, NextColumn: 3}}}}
}

// tableInsert makes the rows of sequence numbers first … first+count-1.
func tableInsert(first, count int) *table.WriteSet {
	numbers, texts := vec.NewBuilder(vec.T(vec.Int8)), vec.NewBuilder(vec.T(vec.Text))
	for seq := first; seq < first+count; seq++ {
		numbers.V.I64 = append(numbers.V.I64, int64(seq))
		texts.V.Str.Append(fmt.Appendf(nil, "row %d", seq))
	}
	return &table.WriteSet{Ops: []table.Op{{Kind: table.OpInsert, Table: 1, Version: 1, Columns: []uint32{1, 2},
		Batch: &vec.Batch{Rows: count, Cols: []*vec.Vector{numbers.V, texts.V}}}}}
}

// rowsOf is the sequence numbers of the rows of the user table.
func rowsOf(s *storage.Store) ([]int, error) {
	sn, err := s.Snapshot(1)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	t := sn.Tables().Table(1)
	if t == nil {
		return nil, nil
	}
	var out []int
	for _, p := range t.Pieces() {
		c, err := p.Column(&t.Schema.Columns[0])
		if err != nil {
			return nil, err
		}
		for row := range p.Rows() {
			at, i := c.At(row)
			out = append(out, int(at.I64[i]))
		}
	}
	return out, nil
}

// snapshot does what Raft does: the state machine's snapshot, the file, and then the
// deletion of log up to a few entries before it.
func (r *rig) snapshot() bool {
	last, err := r.node.log.LastIndex()
	if err != nil || last == 0 {
		return err == nil
	}
	snap, err := r.node.fsm.Snapshot()
	if err != nil {
		return false
	}
	sink, err := r.node.snapshots.Create(1, last, 1, raft.Configuration{}, 0, nil)
	if err == nil {
		err = snap.Persist(sink)
	}
	if err != nil {
		return !r.lost()
	}
	first, err := r.node.log.FirstIndex()
	keep := 1 + uint64(r.rng.IntN(10)) // Raft keeps one at least
	if err == nil && first > 0 && last > keep && first <= last-keep {
		err = r.node.log.DeleteRange(first, last-keep)
	}
	return err == nil && !r.lost()
}

// projects makes a project, or deletes one that is not the first.
func (r *rig) projects() bool {
	list := r.node.store.Projects()
	if len(list) < 3 {
		spec := storage.ProjectSpec{Name: "p", Token: fmt.Sprint("phc_", r.rng.Uint64())}
		_, ok := r.submit(r.json(kindMeta, header{}, storage.ProjectEdit{Create: &spec}))
		return ok
	}
	id := list[1+r.rng.IntN(len(list)-1)].ID
	for _, b := range r.sent {
		b.gone = b.gone || b.project == id // perhaps: the entry may not survive
	}
	_, ok := r.submit(r.json(kindMeta, header{}, storage.ProjectEdit{Delete: id}))
	return ok
}

func (r *rig) anyProject() uint32 {
	list := r.node.store.Projects()
	return list[r.rng.IntN(len(list))].ID
}

// check holds what is stored against what was sent.
func (r *rig) check() {
	if err := r.read(); err != nil && !r.lost() && r.fault == nil {
		r.fatal("%v", err)
	}
}

// read is check where the error of a read is an answer.
func (r *rig) read() error {
	stored := map[int]uint32{}
	note := func(seq int, project uint32) {
		if _, twice := stored[seq]; twice {
			r.fatal("event or row %d is stored twice", seq)
		}
		stored[seq] = project
	}
	for _, p := range r.node.store.Projects() {
		ids, err := uuidsOf(r.node.store, p.ID)
		if err != nil {
			return fmt.Errorf("project %d: %w", p.ID, err)
		}
		late := 0
		for _, id := range ids {
			seq := int(id[12])<<24 | int(id[13])<<16 | int(id[14])<<8 | int(id[15])
			note(seq, p.ID)
			if isLate(seq) {
				late++
			}
		}
		marked, err := lateRows(r.node.store, p.ID)
		if err != nil {
			return fmt.Errorf("project %d: %w", p.ID, err)
		}
		if marked != late {
			r.fatal("%d events of project %d are marked as late, %d are", marked, p.ID, late)
		}
		if p.ID == 1 {
			rows, err := rowsOf(r.node.store)
			if err != nil {
				return fmt.Errorf("table: %w", err)
			}
			for _, seq := range rows {
				note(seq, 1|inTable)
			}
		}
	}
	known := 0
	for _, b := range r.sent {
		n := 0
		for seq := b.first; seq < b.first+b.count; seq++ {
			if project, ok := stored[seq]; ok {
				if n++; project != b.project {
					r.fatal("event %d is in project %d, sent to %d", seq, project, b.project)
				}
			}
		}
		known += n
		if n != b.count && (b.acked != 0 && b.acked <= r.acked && !b.gone || n > 0) {
			r.fatal("batch of events %d to %d, acknowledged at %d: %d are stored", b.first, b.first+b.count-1, b.acked, n)
		}
	}
	if known != len(stored) {
		r.fatal("%d events are stored that were never sent", len(stored)-known)
	}
	return nil
}

// TestCycles is the crash test of the whole: log, Raft snapshots, manifest, segments and
// state files together.
func TestCycles(t *testing.T) {
	count, seed := sized(t, envCycles, 300)
	began := time.Now()
	done := 0
	for ; done < count; seed++ {
		r := newRig(t, seed)
		usual := 40 // operations of a run: the crash falls into it, mostly
		for range min(cyclesADisk, count-done) {
			done++
			limit := 1 + r.rng.IntN(2*usual)
			ok := r.start(limit)
			if ok {
				r.check()
				ok = r.begun()
				for range 60 {
					if ok = ok && r.step() && !r.lost(); !ok {
						break
					}
				}
				usual = (usual*3 + r.count()) / 4
			}
			r.stop()
		}
		if !r.start(0) {
			r.fatal("start without a crash failed")
		}
		r.check()
		r.stop()
	}
	t.Logf("%d cycles, seeds up to %d, %.0f a second", done, seed-1, float64(done)/time.Since(began).Seconds())
}

// A seal that comes when the memtable is full ends two of them. The first one is of the
// entries before: a start from there applies the seal again.
func TestSealAfterFull(t *testing.T) {
	r := newRig(t, 1)
	if !r.start(0) || !r.begun() {
		t.Fatal("no start")
	}
	raw, _, err := encodeEvents(newProposalID(), 1, r.batch(0, 60), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.submit(raw); !ok {
		t.Fatal("the batch is not stored")
	}
	r.disk.Hook = func(_, name string) error {
		if strings.Contains(name, "00000000003.state") {
			return syscall.ENODEV
		}
		return nil
	}
	r.seal()
	if err := r.node.store.WaitDurable(t.Context()); err == nil || r.node.store.DurableIndex() != 2 {
		t.Fatalf("WaitDurable: %v, index %d, want an error after 2", err, r.node.store.DurableIndex())
	}
	r.end()
	if !r.start(0) || r.node.store.AppliedIndex() != 3 {
		t.Errorf("entries up to %d are applied after a start, want 3", r.node.store.AppliedIndex())
	}
	r.stop()
}

// The output of a merge that the manifest does not name yet is built again when it is
// damaged: the state stays that of the log.
func TestDamagedMergeIsRepaired(t *testing.T) {
	r := newRig(t, 1)
	ok := r.start(0) && r.begun() && r.ingest() && r.seal() && r.ingest() && r.seal() &&
		r.node.store.WaitDurable(t.Context()) == nil
	plan, wanted := r.node.store.PlanMergeAll()
	if !ok || !wanted {
		t.Fatal("nothing to merge")
	}
	outcomes, _ := r.submit(r.json(kindPlan, header{}, plan))
	done, err := r.node.store.BuildMerge(t.Context(), outcomes[0].receipt.Index)
	if err != nil {
		t.Fatal(err)
	}
	r.submit(r.json(kindMerged, header{}, done))
	r.end()
	name := fmt.Sprintf("d/data/segments/%020d.seg", 1<<62+done.Plan)
	raw, err := vfs.ReadFile(r.disk, name, done.Size)
	if err == nil {
		err = vfs.WriteSynced(r.disk, name, raw[:len(raw)/2])
	}
	if err != nil {
		t.Fatal(err)
	}
	if !r.start(0) { // it compares the state with what it was
		t.Fatal("no start")
	}
	r.check()
	if again, err := vfs.ReadFile(r.disk, name, done.Size); err != nil || string(again) != string(raw) {
		t.Errorf("the file is %d bytes, %v; want the %d that it was", len(again), err, len(raw))
	}
	if got := r.node.store.PendingMerges(); len(got) > 0 {
		t.Errorf("merges %v are not ended", got)
	}
	r.stop()
}
