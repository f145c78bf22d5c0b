package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

const (
	// inFlightBytes bounds the memory of what is proposed and not yet applied: entries, and
	// the batches that they were made of. That is 32 MB of entries or so, as many as keep
	// log and apply busy; more only makes callers wait longer.
	inFlightBytes = 192 << 20
	// trailingLogs are kept behind a Raft snapshot: about 32 MB of them.
	trailingLogs = 128
	// exitFailStop is the exit code after a failed write of the log.
	exitFailStop = 74
)

// Config says where a node lives. FS, Dir and nothing else is needed.
type Config struct {
	FS      vfs.FS
	Dir     string
	Version string // of this program, for those who meet the directory later
	Logger  *slog.Logger
	Store   storage.Options
	// Exit ends the process after a failed write of the log or the manifest; it does not return. Nil
	// writes the reason to standard error and exits with code 74.
	Exit func(reason error)
	// Clock is time.Now where it is nil. Entries carry its time, made monotone.
	Clock func() time.Time
	// InFlightBytes replaces the built-in bound where it is not 0.
	InFlightBytes int
	// AdmitWait is how long Ingest waits for room in the log; 0 means a second.
	AdmitWait time.Duration
	// WatchDisk refuses writes before the disk is full (disk.go), and ends the process when
	// the disk does not answer (stall.go). Ballast is the size in bytes of the file that is
	// kept to be deleted then: 0 is 1 % of the disk, negative none.
	WatchDisk bool
	Ballast   int64
	// Replay, if not nil, tells how far Open has come.
	Replay *Replay
	// NoMerger leaves merging to MergeAll, and retention and erasure to their methods.
	NoMerger bool
	// EraseWithin is when nothing of a deleted person is in any file any more; 0 means a
	// day.
	EraseWithin time.Duration
	// LogFileBytes replaces the size of the log's files where it is not 0.
	LogFileBytes int64

	// Archive, if set, is where the log goes piece by piece, every ArchiveEvery (10 s) or
	// 16 MB, and a backup every BackupEvery (24 h).
	Archive                   blob.Store
	ArchiveEvery, BackupEvery time.Duration
	// OpenBlob reaches the store that a lazy restore was made from; without, a directory of
	// which segments are still there does not open.
	OpenBlob func(source string) (blob.Store, error)
}

// Receipt is the outcome of a write: the index of its entry, and what became of its rows.
type Receipt struct {
	Index              uint64
	Stored, Duplicates int
	// First is the first of the numbers that a write set took of a sequence, from 1 on; 0 if it
	// took none, or if it was answered before a restart.
	First int64
}

// ErrOverloaded is returned by a write that found no room in the log in time. Nothing of it
// is stored; it is to be sent again later.
var ErrOverloaded = errors.New("overloaded")

// ErrClosed is returned by calls on a node that is closing or closed.
var ErrClosed = errors.New("node is closed")

// ErrOutcomeUnknown is wrapped by the error of a write whose caller left before it was
// answered: it may be stored. Sending the same uuids again is safe.
var ErrOutcomeUnknown = errors.New("outcome unknown")

// Node is this process in the cluster: for now a Raft group of one voter over one store.
// All methods may be called concurrently.
type Node struct {
	cfg       Config
	store     *storage.Store
	wal       *raftlog.Log
	log       *raftlog.Group // of wal
	snapshots *snapshotStore
	fsm       *fsm
	raft      *raft.Raft
	opened    []io.Closer // by openState, in this order
	identity  Identity
	damage    *damagedDir // nil unless it is read-only
	rest      *remainder  // nil unless it was restored lazily

	backing    chan struct{} // holds one token: who has it makes a backup
	lastBackup atomic.Pointer[LastBackup]
	archiver   *archiver // nil without an archive

	numbers   *numbers
	disk      *disk      // nil without Config.WatchDisk
	calls     *diskCalls // likewise
	reads     readRounds
	ticks     ticks
	budget    *budget
	proposals chan *proposal
	flights   chan flight
	lastTime  int64 // of the last proposal; the proposer's own

	mu     sync.Mutex
	closed bool
	active sync.WaitGroup // proposals begun

	adopting chan struct{} // holds one token: who has it restores a project into the node

	merging chan struct{} // holds one token: who has it plans and proposes merges
	stop    context.CancelFunc
	loops   sync.WaitGroup // proposer, completer
	keepers sync.WaitGroup // who proposes by itself: keeper, merger, tender, archiver
}

// Open starts a node on its directory and returns when everything that was ever
// acknowledged is applied.
func Open(ctx context.Context, cfg Config) (*Node, error) { return open(ctx, cfg, nil) }

// open is Open, of a directory that is damaged if damage is not nil.
func open(ctx context.Context, cfg Config, damage *damagedDir) (*Node, error) {
	n, err := openState(cfg, damage)
	if err != nil {
		return nil, err
	}
	if err := n.startRaft(ctx); err != nil {
		n.closeState() // err says what matters
		return nil, err
	}
	n.store.EndReplay()
	n.lastTime = n.fsm.lastTime
	n.fsm.applied.raise(n.raft.CommitIndex()) // the barrier of startRaft has passed
	n.fsm.fresh.raise(uint64(n.fsm.lastTime))
	loops, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.loops.Go(n.propose)
	n.loops.Go(n.complete)
	n.keepers.Go(func() { n.keep(loops) })
	n.keepers.Go(func() { n.followLeader(loops) })
	n.keepers.Go(func() { n.tick(loops) })
	if cfg.WatchDisk {
		n.disk = &disk{fs: n.cfg.FS, dir: cfg.Dir, logger: n.cfg.Logger, ballast: cfg.Ballast}
		n.disk.check()
		n.keepers.Go(func() { n.disk.watch(loops) })
		n.keepers.Go(func() { n.calls.watch(loops) })
	}
	if n.rest != nil {
		n.keepers.Go(func() { n.rest.run(loops) })
	}
	if !cfg.NoMerger {
		n.keepers.Go(func() { n.merge(loops) })
		n.keepers.Go(func() { n.tend(loops) })
	}
	if err := n.begun(ctx); err != nil {
		n.Close(ctx) // err says what matters
		return nil, err
	}
	if cfg.Archive != nil {
		n.archiver = newArchiver(n, cfg.Archive)
		n.keepers.Go(func() { n.archiver.run(loops) })
	}
	return n, nil
}

// withDefaults fills what a configuration leaves open.
func (cfg Config) withDefaults() Config {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.InFlightBytes == 0 {
		cfg.InFlightBytes = inFlightBytes
	}
	if cfg.AdmitWait == 0 {
		cfg.AdmitWait = time.Second
	}
	if cfg.EraseWithin == 0 {
		cfg.EraseWithin = 24 * time.Hour
	}
	if cfg.ArchiveEvery == 0 {
		cfg.ArchiveEvery = archiveEvery
	}
	if cfg.BackupEvery == 0 {
		cfg.BackupEvery = backupEvery
	}
	if cfg.Exit == nil {
		cfg.Exit = func(reason error) {
			fmt.Fprintf(os.Stderr, "prickle: stopped, because going on could lose data: %v\n", reason)
			os.Exit(exitFailStop)
		}
	}
	if cfg.Store.Logger == nil {
		cfg.Store.Logger = cfg.Logger
	}
	if cfg.Store.Fatal == nil {
		cfg.Store.Fatal = cfg.Exit
	}
	return cfg
}

// openState opens what is on disk, the log, the Raft snapshots and the store, and applies
// the tail of the newest Raft snapshot. Raft applies the rest of the log; after that the
// caller ends the store's replay.
func openState(cfg Config, damage *damagedDir) (_ *Node, err error) {
	cfg = cfg.withDefaults()
	numbers := newNumbers()
	if cfg.Store.Flushed == nil {
		cfg.Store.Flushed = func(took time.Duration) { numbers.flush.Observe(took.Seconds(), "") }
	}
	var calls *diskCalls
	if cfg.WatchDisk {
		calls = &diskCalls{logger: cfg.Logger, exit: cfg.Exit}
		cfg.FS = timedFS{cfg.FS, calls}
	}
	n := &Node{
		cfg:       cfg,
		numbers:   numbers,
		calls:     calls,
		fsm:       &fsm{local: &localBatches{batches: make(map[uuid.UUID]*event.Batch)}, replay: cfg.Replay},
		budget:    newBudget(cfg.InFlightBytes),
		proposals: make(chan *proposal, 64),
		flights:   make(chan flight, 1024),
		ticks:     ticks{wanted: make(chan struct{}, 1)},
		merging:   make(chan struct{}, 1),
		adopting:  make(chan struct{}, 1),
		backing:   make(chan struct{}, 1),
		damage:    damage,
	}
	defer func() {
		if err != nil {
			n.closeState() // err says what matters
			err = dirError(cfg.Dir, err)
		}
	}()
	dirs := struct{ data, log, snapshots string }{
		path.Join(cfg.Dir, storeDir), path.Join(cfg.Dir, logDir), path.Join(cfg.Dir, snapshotDir),
	}
	for _, dir := range []string{cfg.Dir, dirs.data, dirs.log, dirs.snapshots} {
		if err := cfg.FS.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	if damage != nil {
		n.opened = append(n.opened, damage.held)
	} else if lock, err := cfg.FS.Lock(path.Join(cfg.Dir, "lock")); err != nil {
		return nil, err
	} else {
		n.opened = append(n.opened, lock)
	}
	if n.identity, err = identify(cfg.FS, cfg.Dir, cfg.Version, cfg.Clock()); err != nil {
		return nil, err
	}
	if n.rest, err = openRemainder(&cfg); err != nil {
		return nil, err
	}
	if n.rest != nil {
		cfg.FS = lazyFS{cfg.FS, n.rest}
		n.cfg.FS = cfg.FS
	}
	if last, err := ReadLastBackup(cfg.FS, cfg.Dir); err != nil {
		cfg.Logger.Warn("the last backup is not known", "error", err)
	} else if last != nil {
		n.lastBackup.Store(last)
	}
	n.snapshots = &snapshotStore{fs: cfg.FS, dir: dirs.snapshots, logger: cfg.Logger}
	taken, err := n.snapshots.names()
	if err != nil {
		return nil, err
	}
	if n.wal, err = openLog(&cfg, dirs.log, len(taken) > 0); err != nil {
		if errors.As(err, new(*raftlog.DamageError)) {
			err = damaged(err)
		}
		return nil, err
	}
	n.opened = append(n.opened, n.wal)
	n.log = n.wal.Group(0)
	began, err := n.began()
	if err != nil {
		return nil, damaged(err)
	}
	cfg.Store.Covered = max(cfg.Store.Covered, began.covered())
	cfg.Store.Aside = n.fsm.state
	if n.store, err = storage.Open(cfg.FS, dirs.data, cfg.Store); err != nil {
		if m, _, bad := manifest.Read(cfg.FS, dirs.data); bad != nil || m.Applied < cfg.Store.Covered {
			err = damaged(err)
		}
		return nil, err
	}
	n.opened = append(n.opened, n.store)
	n.fsm.store = n.store
	n.store.BeginReplay()
	n.fsm.committed = func(index uint64) { n.log.StageCommitIndex(index) } //nolint:errcheck // it always succeeds
	cfg.Replay.begin(n.store.DurableIndex(), began.last)
	if err := n.catchUp(began); err != nil {
		return nil, damaged(err)
	}
	n.log.SetDurable(n.store.DurableIndex())
	return n, nil
}

// closeState closes what openState opened, in reverse.
func (n *Node) closeState() error {
	if n.rest != nil {
		n.rest.stop()
	}
	var errs []error
	for i := len(n.opened) - 1; i >= 0; i-- {
		errs = append(errs, n.opened[i].Close())
	}
	n.opened = nil
	return errors.Join(errs...)
}

// begun makes the first writes of a start: merges that were under way are ended, and an
// empty store gets a project.
func (n *Node) begun(ctx context.Context) error {
	for _, id := range n.store.PendingMerges() {
		if _, err := n.submitJSON(ctx, kindMerged, storage.MergeDone{Plan: id, Failed: true}); err != nil {
			return fmt.Errorf("end of merge %d, which the last run began: %w", id, err)
		}
	}
	if err := errors.Join(n.store.RemoveUnused(), removeTree(n.cfg.FS, path.Join(n.cfg.Dir, incomingDir))); err != nil {
		return err
	}
	if len(n.store.Projects()) == 0 && n.damage == nil {
		if _, err := n.CreateProject(ctx, ProjectSpec{Name: "prickle", WeekStart: 1}); err != nil {
			return fmt.Errorf("first project: %w", err)
		}
	}
	return nil
}

// The places in a data directory.
const (
	storeDir    = "data"
	logDir      = "raft/log"
	snapshotDir = "raft/snapshots"
)

// dirError words what usually is wrong with a data directory.
func dirError(dir string, err error) error {
	if errors.As(err, new(*NewerError)) {
		return err
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("data directory %s cannot be written to: %w; give this user write permission, or choose another directory", dir, err)
	}
	return fmt.Errorf("data directory %s: %w", dir, err)
}

// beginning is what the Raft log and the Raft snapshots of a directory hold at a start.
type beginning struct {
	first   uint64 // entry of the log as Raft sees it; 0 if it is empty
	oldest  uint64 // the first entry that can be read: Raft's, or one of the tail; last+1 if there is none
	last    uint64 // entry that was written; 0 if there never was one
	index   uint64 // of the newest Raft snapshot that can be read; 0 if there is none
	durable uint64 // what the manifest covered when it was taken
}

// covered is the index that the manifest must cover: what a Raft snapshot says that it
// did, and all entries that are not in the log any more.
func (b *beginning) covered() uint64 {
	if b.oldest == 0 {
		return b.durable
	}
	return max(b.durable, b.oldest-1)
}

// began reads what there is, before the store is opened and anything is changed.
func (n *Node) began() (*beginning, error) {
	b := &beginning{}
	var err error
	if b.first, err = n.log.FirstIndex(); err != nil {
		return nil, fmt.Errorf("raft log: %w", err)
	}
	b.oldest, b.last = n.log.Oldest(), n.log.Newest()
	if b.oldest == 0 && b.last > 0 {
		b.oldest = b.last + 1 // all of it was let go
	}
	metas, damage, err := n.snapshots.list()
	if err != nil {
		return nil, err
	}
	gap := func(newest string) error {
		err := fmt.Errorf("the raft log starts at entry %d, %s: restore the directory as a whole from a backup", b.first, newest)
		if damage != nil {
			err = fmt.Errorf("%w (%w)", err, damage)
		}
		return err
	}
	if len(metas) == 0 {
		if b.first > 1 {
			return nil, gap("and there is no raft snapshot that can be read")
		}
		return b, nil
	}
	b.index = metas[0].Index
	if b.durable, err = n.snapshots.durable(metas[0].ID); err != nil {
		return nil, err
	}
	if b.first > b.index+1 {
		return nil, gap(fmt.Sprintf("the newest raft snapshot that can be read is at %d", b.index))
	}
	return b, nil
}

// catchUp applies the entries that Raft will not: it starts one above its snapshot, while
// the manifest covers less. The rest is the tail of that snapshot.
func (n *Node) catchUp(b *beginning) error {
	durable := n.store.DurableIndex()
	if have := max(durable, b.index); b.last < have {
		return fmt.Errorf("the raft log ends at entry %d, but segments and the raft snapshot cover entry %d: log files are missing; restore the directory as a whole from a backup", b.last, have)
	}
	if err := n.fsm.load(n.store.Aside()); err != nil {
		return err
	}
	if durable >= b.index {
		return nil
	}
	const group = 16
	logs := make([]*raft.Log, 0, group)
	err := n.log.ReadRange(context.Background(), durable+1, b.index, func(l *raft.Log) error {
		if logs = append(logs, l); len(logs) == group || l.Index == b.index {
			n.fsm.ApplyBatch(logs)
			logs = logs[:0]
		}
		return n.fsm.err()
	})
	if err != nil {
		return fmt.Errorf("raft log from entry %d on, the tail of the raft snapshot at entry %d: %w", durable+1, b.index, err)
	}
	return nil
}

// ownID is the name of the one voter.
const ownID = "n1"

// ownConfiguration is the group of one.
func ownConfiguration() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{ID: ownID, Address: ownID}}}
}

// bootstrap begins an empty log as raft.BootstrapCluster does, which refuses where there is a term already: a first
// start that died before it wrote the entry has left one. Nothing was acknowledged then, and a node without a
// configuration has voted for nobody.
func (n *Node) bootstrap() error {
	if err := n.log.SetUint64(currentTermKey, 1); err != nil {
		return err
	}
	return n.log.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(ownConfiguration())})
}

// startRaft starts the group of one and waits until it leads and has applied its log.
func (n *Node) startRaft(ctx context.Context) error {
	cfg := raft.DefaultConfig()
	cfg.LocalID = ownID
	cfg.HeartbeatTimeout = 50 * time.Millisecond
	cfg.ElectionTimeout = 50 * time.Millisecond
	cfg.LeaderLeaseTimeout = 50 * time.Millisecond
	cfg.CommitTimeout = 20 * time.Millisecond
	cfg.MaxAppendEntries = 16
	cfg.BatchApplyCh = true
	cfg.TrailingLogs = trailingLogs
	cfg.SnapshotInterval = 24 * time.Hour // never by the library: keep does it
	cfg.SnapshotThreshold = 1 << 62
	cfg.NoSnapshotRestoreOnStart = true
	// RestoreCommittedLogs stays off: the library (1.8.0) then looks for the configuration
	// of the group above the known commit index alone, and a node without a Raft snapshot
	// finds none and never leads; and it hands entries to a state machine that does not run
	// yet, which blocks for good with more than 128 batches of them.
	cfg.NoLegacyTelemetry = true
	cfg.Logger = raftLogger(n.cfg.Logger)
	_, transport := raft.NewInmemTransport(ownID)

	var err error
	if n.log.Newest() == 0 { // no snapshot and no segment either: catchUp has seen to it
		if err := n.bootstrap(); err != nil {
			return fmt.Errorf("raft: first start: %w", err)
		}
	}
	if n.raft, err = raft.NewRaft(cfg, n.fsm, n.log, n.log, n.snapshots, transport); err != nil {
		return fmt.Errorf("raft: %w", err)
	}
	if err = n.waitLeader(ctx); err == nil {
		done := make(chan error, 1)
		go func() { done <- n.raft.Barrier(0).Error() }() // ends when Raft does, at the latest
		select {
		case err = <-done:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if stopped := n.fsm.err(); stopped != nil {
		err = dirError(n.cfg.Dir, damaged(stopped))
	}
	if err != nil {
		n.raft.Shutdown().Error() // err says what matters
		return err
	}
	return nil
}

// waitLeader waits until this node leads.
func (n *Node) waitLeader(ctx context.Context) error {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for n.raft.State() != raft.Leader {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("raft: no leader yet: %w", ctx.Err())
		}
	}
	return nil
}

// Store is what reads are answered from.
func (n *Node) Store() *storage.Store { return n.store }

// Err is nil while the node applies what it logs. An error says why it stopped, as when a
// newer release wrote the log; the node must then not call itself ready.
func (n *Node) Err() error { return n.fsm.err() }

// Leads says whether this node takes writes.
func (n *Node) Leads() bool { return n.raft.State() == raft.Leader }

// InFlight is how many bytes are proposed and not yet applied.
func (n *Node) InFlight() int { return n.budget.used() }

// Ingest stores a batch of events and returns when it is durable and visible. It takes b:
// the caller does not touch it again. Many calls may be under way; if there is no room for
// one more within Config.AdmitWait, it is ErrOverloaded.
func (n *Node) Ingest(ctx context.Context, project uint32, b *event.Batch) (Receipt, error) {
	admission, cancel := context.WithTimeout(ctx, n.cfg.AdmitWait)
	p, err := n.Start(admission, project, b)
	cancel()
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %d MB of writes are under way", ErrOverloaded, n.cfg.InFlightBytes>>20)
		}
		return Receipt{}, err
	}
	return p.Wait(ctx)
}

// Start is the first half of Ingest: when it returns, the batch has its place in the log,
// before all that is started later. Pending.Wait is the other half. So one goroutine can
// have several batches of a file under way, and they still apply in the order of the file.
func (n *Node) Start(ctx context.Context, project uint32, b *event.Batch) (*Pending, error) {
	if b.Rows == 0 {
		return &Pending{receipt: Receipt{Index: n.store.AppliedIndex()}}, nil
	}
	if err := n.disk.admit(refusedFrom[kindEvents]); err != nil {
		return nil, err
	}
	scratch, _ := wireBuffers.Get().(*[]byte)
	if scratch == nil {
		scratch = new([]byte)
	}
	id := newProposalID()
	raw, wire, err := encodeEvents(id, project, b, *scratch)
	*scratch = wire
	wireBuffers.Put(scratch)
	if err != nil {
		return nil, err
	}
	// A batch takes about twice what its wire form does.
	p := &proposal{id: id, project: project, raw: raw, batch: b, held: 2 * len(wire)}
	if err := n.begin(ctx, p); err != nil {
		return nil, err
	}
	return &Pending{proposal: p}, nil
}

// Pending is a batch on its way through the log.
type Pending struct {
	proposal *proposal // nil for a batch without rows
	receipt  Receipt
}

// Wait returns when the batch is durable and visible.
func (p *Pending) Wait(ctx context.Context) (Receipt, error) {
	if p.proposal == nil {
		return p.receipt, nil
	}
	result, err := p.proposal.wait(ctx)
	return result.receipt, err
}

// wireBuffers holds *[]byte in which batches are encoded before they are compressed.
var wireBuffers sync.Pool

// ProjectSpec is what a new project is made from. Without a token a fresh one is made,
// without a time zone it is UTC.
type ProjectSpec struct {
	Name      string
	Token     string
	Timezone  string
	WeekStart int

	TestAccountFilters json.RawMessage
	PathCleaning       []storage.PathCleaning
}

// CreateProject makes a project. Its number, its database name and, if need be, its token
// are part of the answer.
func (n *Node) CreateProject(ctx context.Context, spec ProjectSpec) (storage.Project, error) {
	if spec.Token == "" {
		spec.Token = newToken()
	}
	if spec.Timezone == "" {
		spec.Timezone = "UTC"
	}
	return n.editProject(ctx, storage.ProjectEdit{
		Create: &storage.ProjectSpec{Name: spec.Name, Token: spec.Token, Timezone: spec.Timezone, WeekStart: spec.WeekStart,
			TestAccountFilters: spec.TestAccountFilters, PathCleaning: spec.PathCleaning},
	})
}

func (n *Node) editProject(ctx context.Context, edit storage.ProjectEdit) (storage.Project, error) {
	if !editFrees(&edit) {
		if err := n.disk.admit(DiskReadOnly); err != nil {
			return storage.Project{}, err
		}
	}
	result, err := n.submitJSON(ctx, kindMeta, edit)
	return result.project, err
}

// UpdateProject changes settings of a project.
func (n *Node) UpdateProject(ctx context.Context, u storage.ProjectUpdate) (storage.Project, error) {
	return n.editProject(ctx, storage.ProjectEdit{Update: &u})
}

// DeleteProject removes a project and all that is in it.
func (n *Node) DeleteProject(ctx context.Context, id uint32) error {
	_, err := n.editProject(ctx, storage.ProjectEdit{Delete: id})
	return err
}

// ImportPersons writes persons as given, all or none of them.
func (n *Node) ImportPersons(ctx context.Context, project uint32, edits []person.Edit) (Receipt, error) {
	payload := storage.AppendPersonEdits(nil, edits)
	result, err := n.submitPayload(ctx, kindPersons, header{project: project, rows: uint32(len(edits))}, payload)
	return result.receipt, err
}

// WriteTables is Commit of tables alone.
func (n *Node) WriteTables(ctx context.Context, project uint32, ws *table.WriteSet) (Receipt, error) {
	return n.Commit(ctx, project, &storage.Commit{Tables: ws})
}

// Commit changes tables, objects and static cohorts of a project: all of the commit is durable and
// visible when it returns, or nothing of it is. A *table.ConflictError or an *object.ConflictError
// says that it was computed on what is not there any more. It takes c. A write set that may be too
// large for an entry is to be cut, see [table.WriteSet.Split].
//
// Once the commit has its place in the log, ctx does not matter any more: a statement that says
// that it was cancelled must not have been carried out.
func (n *Node) Commit(ctx context.Context, project uint32, c *storage.Commit) (Receipt, error) {
	if !commitFrees(c) {
		if err := n.disk.admit(DiskReadOnly); err != nil {
			return Receipt{}, err
		}
	}
	k, payload := kindTable, []byte(nil)
	if len(c.Objects)+len(c.Members) == 0 {
		payload = table.AppendWriteSet(nil, c.Tables)
	} else {
		for i := range c.Objects {
			if err := c.Objects[i].Check(); err != nil {
				return Receipt{}, err
			}
		}
		var err error
		if payload, err = storage.AppendCommit(nil, c); err != nil {
			return Receipt{}, fmt.Errorf("commit: %w", err)
		}
		k = kindCommit
	}
	p, err := newProposal(k, header{project: project, rows: uint32(c.Tables.Inserted())}, payload)
	if err != nil {
		return Receipt{}, err
	}
	if err := n.begin(ctx, p); err != nil {
		return Receipt{}, err
	}
	result, err := p.wait(context.WithoutCancel(ctx))
	return result.receipt, err
}

// MergeAll flushes, and merges segments until every month is one.
func (n *Node) MergeAll(ctx context.Context) error {
	if err := n.Flush(ctx); err != nil {
		return err
	}
	for {
		more, err := n.mergeOnce(ctx, n.store.PlanMergeAll)
		if err != nil || !more {
			return err
		}
	}
}

// Flush writes all that is applied to segments, takes a Raft snapshot and lets go of the
// log before it.
func (n *Node) Flush(ctx context.Context) error {
	return n.seal(ctx, storage.Seal{})
}

func (n *Node) seal(ctx context.Context, seal storage.Seal) error {
	if _, err := n.submitJSON(ctx, kindSeal, seal); err != nil {
		return err
	}
	return n.flushed(ctx)
}

// flushed waits until sealed memtables are in segments, and has Raft know it.
func (n *Node) flushed(ctx context.Context) error {
	if err := n.store.WaitDurable(ctx); err != nil {
		return err
	}
	return n.snapshot()
}

// snapshot has Raft take a snapshot. The log before what the manifest covers may go then.
func (n *Node) snapshot() error {
	n.log.SetDurable(n.store.DurableIndex())
	err := n.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// Close ends the node: it waits for writes under way, flushes and takes a Raft snapshot,
// so that the next start has nothing to replay. If that is not done when ctx ends, the
// start replays the log.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	n.mu.Unlock()
	if n.rest != nil {
		n.rest.stop() // nobody waits for what is elsewhere
	}

	done := make(chan struct{})
	go func() { n.active.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		// Apply may be waiting for a disk that is full. What it has not applied is in the log.
		n.store.Close() // again below, where its error counts
		<-done
	}
	n.stop()
	n.keepers.Wait()
	var errs []error
	sealing := n.fsm.err() == nil && ctx.Err() == nil && n.damage == nil
	if sealing {
		p := &proposal{id: newProposalID(), began: time.Now(), done: make(chan struct{})}
		p.raw = encodeEntry(kindSeal, header{proposal: p.id}, []byte("{}"))
		err := n.budget.acquire(ctx, 0, p.cost())
		if err == nil {
			n.active.Add(1)
			n.proposals <- p
			_, err = p.wait(ctx)
		}
		errs = append(errs, err)
	}
	close(n.proposals)
	n.loops.Wait()
	if sealing && errors.Join(errs...) == nil {
		errs = append(errs, n.flushed(ctx))
	}
	errs = append(errs, n.raft.Shutdown().Error(), n.closeState())
	return errors.Join(errs...)
}

// proposal is one entry on its way through Raft.
type proposal struct {
	id      uuid.UUID
	project uint32 // that waits for room; 0: the node's own
	raw     []byte
	batch   *event.Batch // of events
	held    int          // bytes of memory that batch takes, about
	tries   int
	began   time.Time

	done   chan struct{} // closed when result and err are set
	result applyResult
	err    error
}

// cost is the memory that a proposal takes until it is applied.
func (p *proposal) cost() int { return len(p.raw) + p.held }

// flight is a proposal that Raft has taken.
type flight struct {
	proposal *proposal
	future   raft.ApplyFuture
}

// newToken makes an API token that nobody has.
func newToken() string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := []byte("phc_")
	for len(out) < 4+32 {
		var raw [32]byte
		rand.Read(raw[:]) // never fails
		for _, b := range raw {
			// Bytes beyond the last multiple of 62 would make some digits likelier.
			if b < 62*4 && len(out) < 4+32 {
				out = append(out, digits[b%62])
			}
		}
	}
	return string(out)
}

func (n *Node) submitJSON(ctx context.Context, k kind, payload any) (applyResult, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return applyResult{}, err
	}
	return n.submitPayload(ctx, k, header{}, text)
}

func (n *Node) submitPayload(ctx context.Context, k kind, h header, payload []byte) (applyResult, error) {
	if err := n.disk.admit(refusedFrom[k]); err != nil {
		return applyResult{}, err
	}
	p, err := newProposal(k, h, payload)
	if err != nil {
		return applyResult{}, err
	}
	return n.submit(ctx, p)
}

// newProposal makes the entry of a payload, or says that it is too large.
func newProposal(k kind, h header, payload []byte) (*proposal, error) {
	h.proposal = newProposalID()
	if len(payload) > maxPayloadBytes {
		return nil, fmt.Errorf("%v entry of %d MB: at most %d MB fit in one", k, len(payload)>>20, maxPayloadBytes>>20)
	}
	raw := encodeEntry(k, h, payload)
	if len(raw) > maxEntryBytes {
		return nil, fmt.Errorf("%v entry of %d MB compressed: at most %d MB fit in one", k, len(raw)>>20, maxEntryBytes>>20)
	}
	return &proposal{id: h.proposal, project: h.project, raw: raw}, nil
}

// submit proposes an entry and waits until it is applied.
func (n *Node) submit(ctx context.Context, p *proposal) (applyResult, error) {
	if err := n.begin(ctx, p); err != nil {
		return applyResult{}, err
	}
	return p.wait(ctx)
}

// begin gives an entry its place in the log.
func (n *Node) begin(ctx context.Context, p *proposal) error {
	if err := errors.Join(n.fsm.err(), n.damage.refuses(kind(p.raw[1]))); err != nil {
		return err
	}
	if err := n.budget.acquire(ctx, p.project, p.cost()); err != nil {
		return fmt.Errorf("overloaded: %d MB of writes are under way: %w", n.cfg.InFlightBytes>>20, err)
	}
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		n.budget.release(p.cost())
		return ErrClosed
	}
	n.active.Add(1)
	n.mu.Unlock()

	p.done, p.began = make(chan struct{}), time.Now()
	n.proposals <- p // the proposer runs until no proposal is active
	return nil
}

// wait returns when the entry is applied.
func (p *proposal) wait(ctx context.Context) (applyResult, error) {
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return applyResult{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctx.Err())
	}
}

// propose stamps proposals and hands them to Raft. There is one such goroutine, so times
// grow in the order of the log.
func (n *Node) propose() {
	defer close(n.flights)
	for p := range n.proposals {
		n.lastTime = max(n.lastTime+1, n.cfg.Clock().UnixMicro())
		seal(p.raw, n.lastTime)
		if p.batch != nil {
			n.fsm.local.put(p.id, p.batch)
		}
		n.flights <- flight{p, n.raft.Apply(p.raw, 0)}
	}
}

// complete answers proposals in the order of the log.
func (n *Node) complete() {
	for f := range n.flights {
		p := f.proposal
		n.numbers.awaited.Store(p.began.UnixNano())
		err := f.future.Error()
		n.numbers.awaited.Store(0)
		if p.batch != nil {
			n.fsm.local.take(p.id) // still there if it was not applied
		}
		if retryable(err) && p.tries < maxTries {
			p.tries++
			go n.retry(p) // waited for through active
			continue
		}
		if err != nil {
			p.err = fmt.Errorf("raft: %w", err)
		} else {
			p.result = f.future.Response().(applyResult)
			p.err = p.result.err
		}
		n.finish(p)
	}
}

func (n *Node) finish(p *proposal) {
	n.budget.release(p.cost())
	if p.err == nil {
		n.numbers.answered(p.began)
	}
	close(p.done)
	n.active.Done()
}

const maxTries = 5

// retryable says that an entry may or may not have made it into the log. It is proposed
// again under the same id, which applies it once.
func retryable(err error) bool {
	return errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress)
}

func (n *Node) retry(p *proposal) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := n.waitLeader(ctx); err != nil {
		p.err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		n.finish(p)
		return
	}
	p.raw = append([]byte(nil), p.raw...) // Raft may still hold the first copy
	n.proposals <- p
}

// keep takes a Raft snapshot after each flush, so that the log can go.
func (n *Node) keep(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	retryAt := time.Time{}
	known := n.store.DurableIndex()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.relieve(ctx)
		durable := n.store.DurableIndex()
		if durable == known || time.Now().Before(retryAt) || n.fsm.err() != nil {
			continue
		}
		if err := n.snapshot(); err != nil {
			// The log only grows meanwhile: nothing is lost.
			n.cfg.Logger.Error("raft snapshot", "error", err)
			retryAt = time.Now().Add(5 * time.Second)
			continue
		}
		known = durable
	}
}

// relieveBytes is the least memtable that is worth sealing when memory is short.
const relieveBytes = 4 << 20

// relieve seals the memtable before it is full, if memory is short. Where it ends is decided
// by the log all the same.
func (n *Node) relieve(ctx context.Context) {
	budget := n.cfg.Store.Memory
	// One that fills and the one that is written then take half of the pool, and the rest
	// is for images.
	enough := budget.Pool(memory.Memtables).Size() / 4
	if budget.Level() >= memory.Shrink {
		enough = min(enough, relieveBytes)
	}
	if enough == 0 || n.store.Stats().ActiveBytes < enough {
		return
	}
	if _, err := n.submitJSON(ctx, kindSeal, storage.Seal{}); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		n.cfg.Logger.Error("seal", "error", err)
	}
}

const (
	// mergeQuiet is how long nothing must have been applied before merges begin by
	// themselves: they would take the import's cores.
	mergeQuiet = 2 * time.Second
	// quietFlushRows is the memtable that is worth flushing in a quiet moment, so that
	// the end of an import is merged with the rest of it.
	quietFlushRows = 100_000
)

// merge flushes and merges in quiet moments.
func (n *Node) merge(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	retryAt := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if now.Before(retryAt) || !n.fsm.quiet(now, mergeQuiet) || n.fsm.err() != nil {
			continue
		}
		if n.store.Stats().MemtableRows >= quietFlushRows {
			if err := n.Flush(ctx); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Error("flush", "error", err)
				retryAt = time.Now().Add(10 * time.Second)
				continue
			}
		}
		merged := false
		for ctx.Err() == nil && n.fsm.quiet(time.Now(), mergeQuiet) {
			more, err := n.mergeOnce(ctx, n.store.PlanMerge)
			merged = merged || more
			if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
				if !errors.Is(err, ErrDiskFull) { // which is known
					n.cfg.Logger.Error("merge of segments", "error", err)
				}
				retryAt = time.Now().Add(10 * time.Second)
			}
			if err != nil || !more {
				break
			}
		}
		if merged && ctx.Err() == nil { // the inputs stay until the manifest knows
			if err := n.Flush(ctx); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Error("flush", "error", err)
			}
		}
	}
}

// mergeOnce does the next merge: it proposes the plan, builds the new segment beside
// everything else and then proposes the exchange. more is false when none is wanted.
func (n *Node) mergeOnce(ctx context.Context, next func() (storage.MergePlan, bool)) (more bool, err error) {
	select {
	case n.merging <- struct{}{}:
		defer func() { <-n.merging }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	plan, ok := next()
	if !ok {
		return false, nil
	}
	if err := n.disk.fits(n.store.MergeRoom(plan)); err != nil {
		// What frees room may still have some.
		if plan, ok = n.store.PlanErasure(); !ok || n.disk.fits(n.store.MergeRoom(plan)) != nil {
			return false, err
		}
	}
	planned, err := n.submitJSON(ctx, kindPlan, plan)
	if errors.Is(err, storage.ErrMergeVoid) {
		return true, nil // something was faster
	}
	if err != nil {
		return false, err
	}
	began := time.Now()
	done, built := n.store.BuildMerge(ctx, planned.receipt.Index)
	if built == nil {
		n.numbers.merge.Since(began)
		n.numbers.mergeBytes.Observe(float64(done.Size), "")
	} else {
		done = storage.MergeDone{Plan: planned.receipt.Index, Failed: true}
		ctx = context.WithoutCancel(ctx) // the inputs must not stay taken
	}
	_, err = n.submitJSON(ctx, kindMerged, done)
	if errors.Is(err, storage.ErrMergeVoid) {
		err = nil
	}
	if errors.Is(built, storage.ErrMergeVoid) {
		built = nil
	}
	err = errors.Join(built, err)
	return err == nil, err
}
