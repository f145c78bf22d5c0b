package session

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql"
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
}

// CohortChange is a statement about a cohort, and what its query found.
type CohortChange struct {
	*sql.CohortSpec
	Size    int64           // how many persons the cohort has
	Members []vec.UUIDValue // these persons, for a static one
	At      int64           // when they were asked for, µs
}

// maxMembers is how many persons a statement may put into a static cohort: they are held in
// memory until it is written.
const maxMembers = maxWriteBytes / 16

// changeCohort carries out a statement about a cohort. Like changes of persons, it is no part
// of a transaction.
func (p *Portal) changeCohort(scope *Scope, st *sql.Statement, v *view) error {
	s := p.session
	if s.config.Cohorts == nil {
		return pgerr.Unsupported(st.Tag)
	}
	if err := p.alone(st.Tag, st.Tag); err != nil {
		return err
	}
	c := &CohortChange{CohortSpec: st.Cohort, At: scope.Expr.Now}
	if st.Plan != nil {
		if err := p.findMembers(scope, st, v, c); err != nil {
			return err
		}
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
