package session

import (
	"context"

	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
)

// Databases are the projects, by the names that clients know their databases by.
type Databases interface {
	// Find is the number of a project, false if there is none. It is guarded if its roles prove
	// who they are: then nobody of another project may end it.
	Find(name string) (project uint32, guarded, ok bool)
	// List is all of them.
	List() []pgcatalog.Database
	// Create makes a project, and gives the name of its database, which is another one where a
	// project of this name was made meanwhile.
	Create(ctx context.Context, name string) (project uint32, database string, err error)
	// Drop ends a project, with all that is in it.
	Drop(ctx context.Context, project uint32) error
}

// changeDatabase carries out a statement about a database. It is no part of a transaction.
func (p *Portal) changeDatabase(st *sql.Statement, roles *role.Set) error {
	s, d := p.session, st.Database
	all := s.config.Databases
	if all == nil {
		return pgerr.Unsupported(st.Tag)
	}
	if err := p.alone(st.Tag, st.Tag); err != nil {
		return err
	}
	project, guarded, exists := all.Find(d.Name)
	var err error
	if d.Drop {
		err = s.dropDatabase(p.ctx, d, roles, project, guarded, exists)
	} else {
		err = s.createDatabase(p.ctx, d, roles, exists)
	}
	if err != nil {
		return clusterError(err)
	}
	p.tag, p.done = st.Tag, true
	return nil
}

func (s *Session) createDatabase(ctx context.Context, d *sql.DatabaseSpec, roles *role.Set, exists bool) error {
	taken := pgerr.New(pgerr.DuplicateDatabase, `database "%s" already exists`, d.Name).At(d.Position)
	switch r := roles.Find(s.role()); {
	case !roles.Super(s.role()) && (r == nil || !r.CreateDB):
		return pgerr.New(pgerr.InsufficientPrivilege, "permission denied to create database")
	case exists:
		return taken
	case storage.DatabaseName(d.Name) != d.Name:
		return pgerr.Unsupported("a database of the name "+d.Name).At(d.Position).
			WithHint("Names are of small letters, digits and single underscores between them, and at most %d long.", storage.MaxDatabaseName)
	}
	project, name, err := s.config.Databases.Create(ctx, d.Name)
	if err != nil || name == d.Name {
		return err
	}
	if err := s.config.Databases.Drop(ctx, project); err != nil {
		return err
	}
	return taken
}

func (s *Session) dropDatabase(ctx context.Context, d *sql.DatabaseSpec, roles *role.Set, project uint32, guarded, exists bool) error {
	switch {
	case !exists && d.IfExists:
		s.notice(pgerr.New("00000", `database "%s" does not exist, skipping`, d.Name))
		return nil
	case !exists:
		return pgerr.New(pgerr.UndefinedDatabase, `database "%s" does not exist`, d.Name).At(d.Position)
	case !roles.Super(s.role()) || guarded:
		return pgerr.New(pgerr.InsufficientPrivilege, "must be owner of database %s", d.Name).At(d.Position)
	case project == s.config.Project:
		return pgerr.New(pgerr.ObjectInUse, "cannot drop the currently open database").At(d.Position)
	}
	others := s.config.Sessions.of(project)
	if len(others) > 0 && !d.Force {
		return pgerr.New(pgerr.ObjectInUse, `database "%s" is being accessed by other users`, d.Name).At(d.Position).
			WithDetail("There are %d other sessions using the database.", len(others)).WithHint("WITH (FORCE) ends them.")
	}
	for _, other := range others {
		other.close(ErrShutdown)
	}
	return s.config.Databases.Drop(ctx, project)
}
