package server

import (
	"crypto/tls"
	"log/slog"
	"runtime"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/outside"
)

// The bounds of a connection before it has said what it is, and of the server's end.
const (
	firstByteTimeout = 10 * time.Second // from accept to the first byte
	shutdownTimeout  = 10 * time.Second // from the order to stop to the last connection's end
	drainTimeout     = 9 * time.Second  // the part of it in which what runs may end
	headerTimeout    = 10 * time.Second // for an HTTP header
	idleTimeout      = 2 * time.Minute  // between two HTTP requests
	maxHeaderBytes   = 64 << 10
)

// Defaults of Config.
const (
	DefaultListen       = "127.0.0.1:7742"
	DefaultQueryTimeout = time.Minute
	DefaultMaxConns     = 1000
	DefaultSlowQuery    = time.Second
)

// Config is what a server is told. The zero value is usable: every zero is a default.
type Config struct {
	// Hosts are names of this machine, beside localhost, under which local mode answers.
	Hosts []string
	// QueryTimeout ends a statement that runs longer. A session may only shorten it.
	QueryTimeout time.Duration
	// TLS has the certificate for both protocols; nil: both speak in the clear. With
	// RequireTLS, PostgreSQL clients that come over a network must ask for it.
	TLS        *tls.Config
	RequireTLS bool
	// Roles are the users that have passwords; nil: those that CREATE ROLE makes.
	Roles Roles
	// MaxConns is how many PostgreSQL clients there may be at once.
	MaxConns int
	// Processors is how many goroutines of all queries run at once; 0 means GOMAXPROCS.
	Processors int
	// Threads is how many goroutines one query uses; 0 means Processors.
	Threads int
	// QueryMemory is how many bytes one query may hold; 0 means no limit.
	QueryMemory int64
	// Memory is the budget of the process, for metrics and for what sessions hold; Admission shares
	// its part for queries among them. Either may be nil.
	Memory    *memory.Budget
	Admission *engine.Admission
	// Spill takes what queries cannot hold in memory; nil: they fail instead.
	Spill *engine.SpillDir
	// Files is where files of statements may lie; nil: nowhere.
	Files *outside.Places
	// AnswerBytes is how much the cache of insight answers holds; 0 means
	// ask.DefaultCacheBytes.
	AnswerBytes int64
	// ProjectQueries is how many queries of a project run at once, unless the project's
	// limits say otherwise; 0 means half of Processors, and at least 2.
	ProjectQueries int
	// UserQueries is how many of them may be those of one user, likewise; 0 means all.
	UserQueries int
	// MaxRows and MaxBytes end queries that read more; 0 means no limit.
	MaxRows, MaxBytes int64
	// SlowQuery is from which time on a query has a line in the log.
	SlowQuery time.Duration
	// Replay tells how far a node has come that is being opened; it may be nil.
	Replay *cluster.Replay
	// LogDropped counts lines that did not make it into the log; it may be nil.
	LogDropped func() int64
	// MaxMessage is the length limit of a PostgreSQL message in bytes; 0 means 64 MiB.
	MaxMessage int
	// Version is what /healthz and / call this program.
	Version string
	// OpenBlob opens the target of a backup that is asked for over HTTP. Nil: none is made.
	OpenBlob func(url string) (blob.Store, error)
	Logger   *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.QueryTimeout == 0 {
		c.QueryTimeout = DefaultQueryTimeout
	}
	if c.Processors == 0 {
		c.Processors = runtime.GOMAXPROCS(0)
	}
	if c.Threads == 0 {
		c.Threads = c.Processors
	}
	if c.ProjectQueries == 0 {
		c.ProjectQueries = max(2, c.Processors/2)
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.SlowQuery == 0 {
		c.SlowQuery = DefaultSlowQuery
	}
	if c.Version == "" {
		c.Version = "0.1.0"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}
