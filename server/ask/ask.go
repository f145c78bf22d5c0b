package ask

import (
	"context"
	"encoding/json"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// maxRows bounds what one statement of an insight may answer, which is held in memory.
const maxRows = 5_000_000

// Asker answers insight queries in a session.
type Asker struct {
	sess     *session.Session
	snapshot *storage.Snapshot

	// Cache keeps rows beyond this answer; nil: none. With Fresh, what it has is not used.
	Cache *Cache
	Fresh bool

	// RowsRead and BytesRead are what all statements have read, and Ran how many of them
	// were run and not found in the cache.
	RowsRead, BytesRead int64
	Ran                 int
}

// New begins a transaction in the session, whose statements all read one state.
func New(ctx context.Context, sess *session.Session) (*Asker, error) {
	pin, err := sess.Hold(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, ok := pin.(*storage.Snapshot)
	if !ok {
		return nil, pgerr.Unsupported("insights without a store")
	}
	return &Asker{sess: sess, snapshot: snapshot}, nil
}

// Ask answers an insight query as of the session's instant.
func (a *Asker) Ask(ctx context.Context, raw json.RawMessage) (*insight.Answer, error) {
	return insight.Ask(ctx, raw, a.now(), a.Project(), a)
}

// Project is what insight queries depend on besides the events.
func (a *Asker) Project() insight.Project {
	return &project{snapshot: a.snapshot, zone: a.sess.Location()}
}

// Run implements insight.Runner.
func (a *Asker) Run(ctx context.Context, q ast.Query) (*insight.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text := ast.Format(q)
	key := a.key(text)
	if key != "" && !a.Fresh {
		if rows, ok := a.Cache.rows.Get(key); ok {
			return rows, nil
		}
	}
	a.Ran++
	p := a.sess.Open(q, text)
	defer p.Close()
	out := &insight.Rows{}
	err := p.Run(func() error {
		builders := make([]*vec.Builder, len(p.Schema))
		for i, f := range p.Schema {
			builders[i] = vec.NewBuilder(f.Type)
		}
		for {
			b, lo, hi, err := p.Take(0)
			if err != nil {
				return err
			}
			if b == nil {
				break
			}
			if out.N += hi - lo; out.N > maxRows {
				return pgerr.New(pgerr.ProgramLimitExceeded, "the answer has more than %d rows", maxRows).
					WithHint("Narrow the time range, or filter the events.")
			}
			for ; lo < hi; lo++ {
				row := lo
				if b.Sel != nil {
					row = int(b.Sel[lo])
				}
				for i, col := range b.Cols {
					builders[i].AppendFrom(col, row)
				}
			}
		}
		out.Schema = p.Schema
		for _, x := range builders {
			out.Cols = append(out.Cols, x.V)
		}
		return nil
	})
	if pr := p.Progress(); pr != nil {
		a.RowsRead += pr.Rows.Load()
		a.BytesRead += pr.Bytes.Load()
	}
	if err == nil && key != "" {
		a.Cache.rows.Set(key, out, cost(key, out))
	}
	return out, err
}
