package session

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"weak"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// storeEngine runs statements over a store.
type storeEngine struct {
	store  *storage.Store
	writer Writer
	limits Limits
	tables []*catalog.Table
	// lists holds, by project, the *tableList that was made last: there is one for each change
	// of a table, and many statements between two.
	lists sync.Map
	// roleSets holds, by project, the *roleSet that was read last.
	roleSets sync.Map
}

// tableList is the tables that a statement sees, made of tables.
type tableList struct {
	tables     *table.Tables
	list       []*catalog.Table
	namespaces []*catalog.Namespace
	notes      map[string]*table.Schema
	sequences  []*table.Schema
}

// catalogState is what a catalog is made of. What it names is not kept alive.
type catalogState struct {
	tables  weak.Pointer[table.Tables]
	objects weak.Pointer[object.Table]
	sunday  bool
}

// list gives the built-in tables and what users made.
func (e *storeEngine) list(project uint32, tables *table.Tables) *tableList {
	if l, ok := e.lists.Load(project); ok && l.(*tableList).tables == tables {
		return l.(*tableList)
	}
	l := &tableList{tables, catalog.With(e.tables, tables), catalog.NamespacesOf(tables), catalog.NotesOf(tables), catalog.SequencesOf(tables)}
	e.lists.Store(project, l)
	return l
}

// Writer is where all that statements write goes: into the log. It takes what it is given.
type Writer interface {
	Commit(ctx context.Context, project uint32, c *storage.Commit) (cluster.Receipt, error)
	Ingest(ctx context.Context, project uint32, b *event.Batch) (cluster.Receipt, error)
	DeleteRows(ctx context.Context, project uint32, find func(*storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error)) (int, error)
	DeletePersons(ctx context.Context, project uint32, persons []vec.UUIDValue, events bool) (int, error)
	UpdatePersons(ctx context.Context, project uint32, updates []person.Update) (int, error)
	EditObjects(ctx context.Context, project uint32, edits []object.Edit) ([]*object.Object, cluster.Receipt, error)
}

// Limits is what statements may use. The zero value is all processors and no bounds.
type Limits struct {
	Threads   int               // goroutines of one statement; 0 means all processors
	Memory    int64             // bytes that one statement may hold; 0 means no limit
	Admission *engine.Admission // shares the memory among all; nil: nobody does
	Scheduler *engine.Scheduler // shares the processors, likewise
	Spill     *engine.SpillDir  // for what does not fit into memory; nil: such statements fail
	Files     *outside.Places   // where files of statements may lie; nil: nowhere
}

// NewEngine runs statements over a store and gives what they write to writer.
func NewEngine(store *storage.Store, writer Writer, limits Limits) Engine {
	if limits.Threads <= 0 {
		limits.Threads = runtime.GOMAXPROCS(0)
	}
	return &storeEngine{store: store, writer: writer, limits: limits, tables: catalog.Builtin()}
}

func (e *storeEngine) Catalog(project uint32, database string, pin Pin) *catalog.Catalog {
	tables := e.store.Tables(project)
	if pin != nil {
		tables = e.Tables(pin)
	}
	all := e.list(project, tables)
	c := &catalog.Catalog{Project: project, Database: database, Tables: all.list, Namespaces: all.namespaces, Notes: all.notes, Sequences: all.sequences, Next: tables.LastID() + 1}
	objects := e.store.Objects(project)
	if sn, ok := pin.(*storage.Snapshot); ok {
		objects = sn.Objects()
	}
	if c.Roles, c.RolesErr = e.roles(project, objects); c.RolesErr != nil {
		c.RolesErr = fmt.Errorf("project %d: %w", project, c.RolesErr)
	}
	if p, ok := e.store.Project(project); ok {
		c.Sunday = p.WeekStart == 0
	}
	c.State = catalogState{weak.Make(tables), weak.Make(objects), c.Sunday}
	c.Properties = func() []string { return e.properties(project) }
	return c
}

// maxHints is how many property names are looked at for a hint.
const maxHints = 10_000

func (e *storeEngine) properties(project uint32) []string { return PropertyNames(e.store, project) }

// PropertyNames is the names of event properties of a project, newest segments first. What
// cannot be read is missing: this is for hints and limits.
func PropertyNames(store *storage.Store, project uint32) []string {
	snapshot, err := store.Snapshot(project)
	if err != nil {
		return nil
	}
	defer snapshot.Release()
	known := map[string]bool{}
	for _, seg := range slices.Backward(snapshot.Segments()) {
		if dead, err := seg.Dead(); dead != nil || err != nil {
			continue // a name may be that of deleted rows alone
		}
		for _, rng := range seg.Ranges() {
			for _, key := range rng.Keys() {
				known[key] = true
			}
		}
		if len(known) > maxHints {
			break
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// Files implements Engine.
func (e *storeEngine) Files() *outside.Places { return e.limits.Files }

func (e *storeEngine) Pin(project uint32) (Pin, error) { return e.store.Snapshot(project) }

func (e *storeEngine) Tables(pin Pin) *table.Tables { return pin.(*storage.Snapshot).Tables() }

func (e *storeEngine) Overlay(pin Pin, c *storage.Commit, temp *table.Tables) (Pin, error) {
	return pin.(*storage.Snapshot).Overlay(c, temp)
}

func (e *storeEngine) Write(ctx context.Context, project uint32, c *storage.Commit) (cluster.Receipt, error) {
	return e.writer.Commit(ctx, project, c)
}

func (e *storeEngine) EditObjects(ctx context.Context, project uint32, edits []object.Edit) (uint64, error) {
	_, receipt, err := e.writer.EditObjects(ctx, project, edits)
	return receipt.Index, err
}

func (e *storeEngine) Ingest(ctx context.Context, project uint32, b *event.Batch) (cluster.Receipt, error) {
	return e.writer.Ingest(ctx, project, b)
}

func (e *storeEngine) Run(ctx context.Context, scope *Scope, st *sql.Statement, pin Pin) (Rows, error) {
	env := &engine.Env{Expr: scope.Expr, Threads: e.limits.Threads, Memory: e.limits.Memory, Spill: e.limits.Spill, Progress: scope.Progress,
		Input: scope.Input, Write: scope.Write, Files: e.limits.Files, Disabled: st.Disabled}
	env.Snapshot, _ = pin.(*storage.Snapshot)
	if n := scope.Threads; n > 0 && n < env.Threads {
		env.Threads = n
	}
	if n := scope.Memory; n > 0 && (env.Memory == 0 || n < env.Memory) {
		env.Memory = n
	}
	ctx, account, err := e.limits.Admission.Admit(ctx)
	if err != nil {
		return nil, err
	}
	env.Account = account
	share := e.limits.Scheduler.Open(scope.Payer, &scope.Progress.CPU)
	env.Share = share
	var rows Rows
	arranged := engine.Arrange(st.Plan, env)
	if a := scope.Analysis; a != nil {
		*a = Analysis{Plan: arranged, Statistics: env.Statistics(), Measured: engine.Measure(arranged, env)}
	}
	if st.Explain != nil && st.Kind == sql.Query {
		rows, err = explainRows(ctx, env, st, arranged)
	} else {
		rows, err = engine.Run(ctx, arranged, env)
	}
	if err != nil {
		err = because(ctx, err)
		share.Close()
		account.Close()
		return nil, err
	}
	return &admittedRows{rows: rows, ctx: ctx, account: account, share: share}, nil
}

// Cost implements Engine.
func (e *storeEngine) Cost(scope *Scope, st *sql.Statement, pin Pin) engine.Cost {
	env := &engine.Env{Expr: scope.Expr}
	env.Snapshot, _ = pin.(*storage.Snapshot)
	return engine.EstimateCost(st.Plan, env)
}

// admittedRows is an answer whose statement has an account of memory, and a share of the
// processors.
type admittedRows struct {
	rows    Rows
	ctx     context.Context // of the statement: it ends if the statement has to make room for others
	account *engine.Account
	share   *engine.Share
}

// Next implements Rows.
func (r *admittedRows) Next(context.Context) (*vec.Batch, error) {
	b, err := r.rows.Next(r.ctx)
	return b, because(r.ctx, err)
}

// Close implements Rows.
func (r *admittedRows) Close() error {
	defer r.account.Close()
	defer r.share.Close()
	return r.rows.Close()
}

// because is why ctx ended, if that is what made a call fail.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// explainRows is the answer of EXPLAIN: one row a line.
func explainRows(ctx context.Context, env *engine.Env, st *sql.Statement, n plan.Node) (Rows, error) {
	var measured plan.TextOptions
	if st.Explain.Analyze {
		var err error
		if measured, err = engine.Analyze(ctx, n, env); err != nil {
			return nil, err
		}
	}
	return explanation(st, n, env.Statistics(), measured)
}

// explanation is the lines of EXPLAIN.
func explanation(st *sql.Statement, n plan.Node, s plan.Statistics, measured plan.TextOptions) (Rows, error) {
	lines, err := st.Explain.Lines(n, s, measured)
	if err != nil {
		return nil, err
	}
	v := &vec.Vector{Type: st.Schema[0].Type, Str: vec.StringsOf(lines...)}
	return &fixedRows{[]*vec.Batch{{Rows: len(lines), Cols: []*vec.Vector{v}}}}, nil
}

// fixedRows is an answer of batches that are there already.
type fixedRows struct{ batches []*vec.Batch }

// Next implements Rows.
func (r *fixedRows) Next(context.Context) (*vec.Batch, error) {
	if len(r.batches) == 0 {
		return nil, nil
	}
	b := r.batches[0]
	r.batches = r.batches[1:]
	return b, nil
}

// Close implements Rows.
func (r *fixedRows) Close() error { return nil }
