package session

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// Cohorts are the saved cohorts of projects.
type Cohorts interface {
	// Definition is the definition of a cohort in a state of the project, as catalog.Catalog
	// wants it.
	Definition(ctx context.Context, pin Pin, at *expr.Context, name string, id int64) (definition string, ok bool, err error)
	// List is the rows of the table cohorts in a state of the project.
	List(ctx context.Context, pin Pin, at *expr.Context) (*vec.Batch, error)
	// Change carries out a statement about a cohort that was compiled in a state of the
	// project. It is durable and visible when Change returns, in the state whose index it
	// gives. A notice is for the client. Positions in errors are the statement's.
	Change(ctx context.Context, pin Pin, project uint32, c *CohortChange) (index uint64, notice *pgerr.Error, err error)
	// Plan is what the statements of a transaction, one after the other, come to in a state of
	// the project: edits of objects and members. If one comes to something else than it did
	// when it was planned first, the error is a Conflict. The notice is that of the last one.
	Plan(pin Pin, changes []*CohortChange) (c *storage.Commit, notice *pgerr.Error, err error)
	// Lock keeps others from changing cohorts until unlock is called.
	Lock() (unlock func())
}

// CohortChange is a statement about a cohort, and what its query found.
type CohortChange struct {
	*sql.CohortSpec
	Size    int64           // how many persons the cohort has
	Members []vec.UUIDValue // these persons, for a static one
	At      int64           // when they were asked for, µs
	Planned CohortPlan
}

// CohortPlan is what a statement about a cohort came to when it was planned first.
type CohortPlan struct {
	Done    bool
	Number  int64 // of the cohort; 0: there was nothing to do
	Version int64 // that the cohort had, 0 for a new one
}

// maxMembers is how many persons a statement may put into a static cohort: they are held in
// memory until it is written.
const maxMembers = maxWriteBytes / 16

// maxKeptMembers is how many persons a statement of a transaction may put into a static cohort: an
// entry of the log has to hold them beside all else that the transaction changes.
const maxKeptMembers = 50_000

// changeCohort carries out a statement about a cohort.
func (p *Portal) changeCohort(scope *Scope, st *sql.Statement, v *view) error {
	s := p.session
	if s.config.Cohorts == nil {
		return pgerr.Unsupported(st.Tag)
	}
	if err := s.mayWrite(st.Tag); err != nil {
		return err
	}
	c := &CohortChange{CohortSpec: st.Cohort, At: scope.Expr.Now}
	if st.Plan != nil {
		if err := p.findMembers(scope, st, v, c); err != nil {
			return err
		}
	}
	if s.keeps() {
		return p.keepCohort(st.Tag, v, c)
	}
	index, notice, err := s.config.Cohorts.Change(p.ctx, v.pin, s.config.Project, c)
	if err != nil {
		return clusterError(err)
	}
	if notice != nil {
		s.notice(notice)
	}
	s.wrote(index)
	p.tag, p.done = st.Tag, true
	return nil
}

// keepCohort keeps a statement about a cohort for the end of the transaction.
func (p *Portal) keepCohort(tag string, v *view, c *CohortChange) error {
	s := p.session
	defer s.settleMemory()
	w := s.writes
	if w == nil {
		w = &writes{}
	}
	changes := append(w.cohorts[:len(w.cohorts):len(w.cohorts)], c)
	_, notice, err := s.config.Cohorts.Plan(v.pin, changes)
	if err != nil {
		return conflict(err)
	}
	bytes := w.bytes + int64(len(c.Query)+len(c.Members)*len(vec.UUIDValue{}))
	if bytes > maxWriteBytes {
		return tooMuch("a transaction")
	}
	if err := s.hold(bytes, 0); err != nil {
		return err
	}
	if notice != nil {
		s.notice(notice)
	}
	w.cohorts, w.bytes, s.writes = changes, bytes, w
	p.tag, p.done = tag, true
	return nil
}

// findMembers runs the query of a statement about a cohort.
func (p *Portal) findMembers(scope *Scope, st *sql.Statement, v *view, c *CohortChange) error {
	rows, err := p.session.config.Engine.Run(p.ctx, scope, st, v.shown)
	if err != nil {
		return err
	}
	defer rows.Close() // Next says what there is to say
	for {
		b, err := rows.Next(p.ctx)
		if b == nil || err != nil {
			return err
		}
		c.Size += int64(b.Live())
		if !c.Static {
			continue
		}
		if p.session.keeps() && c.Size > maxKeptMembers {
			return pgerr.New(pgerr.ProgramLimitExceeded, "a static cohort of more than %d persons is not supported in a transaction block", maxKeptMembers).
				WithHint("Make it outside of the block, or one that is not static.")
		}
		if c.Size > maxMembers {
			return pgerr.New(pgerr.ProgramLimitExceeded, "a static cohort of more than %d persons is not supported", maxMembers).
				WithHint("Make one that is not static: it is asked for anew when it is read.")
		}
		b = b.Compact()
		for i := range b.Rows {
			ids, at := b.Cols[0].At(i)
			c.Members = append(c.Members, ids.UUIDs[at])
		}
	}
}
