package session

import (
	"context"
	"io"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Engine is what runs statements. Its methods may be called concurrently.
type Engine interface {
	// Catalog is the tables that a statement sees at a read point, or, without one, now.
	Catalog(project uint32, database string, pin Pin) *catalog.Catalog
	// Pin takes the read point of a statement or a transaction.
	Pin(project uint32) (Pin, error)
	// Cost is what a query is going to read, as far as that is known without reading.
	Cost(scope *Scope, st *sql.Statement, pin Pin) engine.Cost
	// Run starts a query, or the explanation of one. The pin outlives the rows; ctx ends
	// them.
	Run(ctx context.Context, scope *Scope, st *sql.Statement, pin Pin) (Rows, error)
	// Files is where files of statements may lie; nil: nowhere.
	Files() *outside.Places
	// Tables is the tables that users made, at a read point.
	Tables(pin Pin) *table.Tables
	// Overlay is a read point that also has what a commit changes, and temporary tables if
	// temp is not nil. It lives as long as pin, and is not released.
	Overlay(pin Pin, c *storage.Commit, temp *table.Tables) (Pin, error)
	// Write carries out a commit: it is durable and visible when Write returns, in the
	// state whose index it gives. A *table.ConflictError or *object.ConflictError says that it
	// was computed on what is not there any more.
	Write(ctx context.Context, project uint32, c *storage.Commit) (cluster.Receipt, error)
	// Ingest stores a batch of events that are not stored yet, which it takes.
	Ingest(ctx context.Context, project uint32, b *event.Batch) (cluster.Receipt, error)
	// EditObjects makes, changes and deletes objects, all or none of them, and gives the state
	// in which they are so. An *object.ConflictError says that they were not as expected.
	EditObjects(ctx context.Context, project uint32, edits []object.Edit) (index uint64, err error)
	// Change carries out a change of events or persons, and says how many there were. It is
	// durable and visible when Change returns, in the state whose index it gives.
	Change(ctx context.Context, scope *Scope, st *sql.Statement, project uint32) (n int, index uint64, err error)
}

// Pin is a read point. Release may be called once, after all that read from it is closed.
type Pin interface{ Release() }

// Rows is an answer on its way. Next is nil at the end; a batch is valid until the next
// call. Close may be called at any time, once.
type Rows interface {
	Next(context.Context) (*vec.Batch, error)
	Close() error
}

// Scope is what a statement sees of its session.
type Scope struct {
	Expr     *expr.Context
	Threads  int   // as the session wants it; 0 leaves it to the engine
	Memory   int64 // bytes, likewise
	Progress *engine.Progress
	Input    func() (io.ReadCloser, error)      // what the client sends; nil: nothing
	Write    func(slot int, b *vec.Batch) error // takes what a plan.WriteSub gives; nil: there is none
	Payer    engine.Payer                       // of the processors
	// Analysis is filled in while the plan of a statement that writes runs; nil: nobody asks.
	Analysis *Analysis
}

// Analysis is what the nodes of a plan do while it runs.
type Analysis struct {
	Plan       plan.Node // as it was arranged
	Statistics plan.Statistics
	Measured   plan.TextOptions
}
