package session

import (
	"context"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// Engine is what compiles and runs statements. Its methods may be called concurrently.
type Engine interface {
	// Compile turns a statement that reads into a plan. text is what stmt was parsed
	// from, params the types of $1, $2, … as far as known (Kind Unknown where not).
	Compile(scope *Scope, stmt ast.Stmt, text string, params []vec.Type) (*Compiled, error)
	// Pin takes the read point of a statement or a transaction.
	Pin(project uint32) (Pin, error)
	// Run starts a compiled statement. The pin outlives the rows; ctx ends them.
	Run(ctx context.Context, scope *Scope, c *Compiled, pin Pin) (Rows, error)
}

// Pin is a read point. Release may be called once, after all that read from it is closed.
type Pin interface{ Release() }

// Rows is an answer on its way. Next is nil at the end; a batch is valid until the next
// call. Close may be called at any time, once.
type Rows interface {
	Next(context.Context) (*vec.Batch, error)
	Close() error
}

// Compiled is a statement that reads, ready to run once.
type Compiled struct {
	Schema  vec.Schema
	Params  []vec.Type // inferred types of $1, $2, …
	Plan    plan.Node
	Explain *Explain // not nil for EXPLAIN: the plan is described instead of run
}

// Explain is how EXPLAIN describes a plan.
type Explain struct {
	Analyze bool
	Text    string // the plan of EXPLAIN without ANALYZE: its lines
}

// Scope is what a statement sees of its session.
type Scope struct {
	Project        uint32
	Database, User string
	Settings       *sql.Settings
	Expr           *expr.Context
	Progress       *Progress
}

// Progress is what a statement has read so far. It may be read while the statement runs.
type Progress struct{ Rows, Bytes, TotalRows atomic.Int64 }
