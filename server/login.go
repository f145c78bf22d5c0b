package server

import (
	"context"
	"slices"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/engine/role/scram"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/server/pgwire"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
)

// Roles are the users of a project that can prove who they are. Its methods may be called
// concurrently.
type Roles interface {
	// Any says whether any user of the project has a password. Where none has, clients of this
	// machine are let in under every name, and others not at all.
	Any(p storage.Project) bool
	// Verifier is what is stored of a user's password, as scram.Parse reads it; false if there
	// is no such user, or it has no password.
	Verifier(p storage.Project, user string) (verifier string, ok bool)
	// MayLogIn says whether a user may log in who has proved to be it.
	MayLogIn(p storage.Project, user string) bool
}

// projectRoles are those that CREATE ROLE makes, as they are now. Where they cannot be read,
// nobody can log in.
type projectRoles struct{ server *Server }

func (r projectRoles) of(p storage.Project) (*role.Set, error) {
	c := r.server.engine.Catalog(p.ID, p.Database, nil)
	return c.Roles, c.RolesErr
}

// Any implements Roles.
func (r projectRoles) Any(p storage.Project) bool {
	set, err := r.of(p)
	return err != nil || slices.ContainsFunc(set.Roles(), func(one *role.Role) bool { return one.Login && one.Verifier != "" })
}

// Verifier implements Roles.
func (r projectRoles) Verifier(p storage.Project, user string) (string, bool) {
	set, err := r.of(p)
	if err != nil {
		r.server.config.Logger.Error("the roles of a project cannot be read, so nobody can log in", "database", p.Database, "error", err)
		return "", false
	}
	return set.Verifier(user, time.Now().UnixMicro())
}

// MayLogIn implements Roles. A name without a role may: it got this far where nobody has to
// prove anything.
func (r projectRoles) MayLogIn(p storage.Project, user string) bool {
	set, err := r.of(p)
	one := set.Find(user)
	return err == nil && user != role.Public && (one == nil || one.Login)
}

// guarded says whether clients of a database have to prove who they are. Of one that is not there
// they have to if they have to of any.
func (s *Server) guarded(p storage.Project, known bool) bool {
	if known {
		return s.config.Roles.Any(p)
	}
	return slices.ContainsFunc(s.backend.Projects(), s.config.Roles.Any)
}

// auth says what a PostgreSQL client has to show.
func (s *Server) auth(_ context.Context, l pgwire.Login) (pgwire.Proof, error) {
	if s.handler.Load() == nil {
		return pgwire.Proof{}, fatal(pgerr.New(pgerr.CannotConnectNow, "the database system is starting up"))
	}
	here := api.Loopback(l.Remote.String())
	if s.config.RequireTLS && !l.TLS && !here {
		return pgwire.Proof{}, fatal(pgerr.New(pgerr.InvalidAuthorization, "no entry for host %q, user %q, database %q, no encryption", l.Remote, l.User, l.Database).
			WithHint("This server wants TLS: connect with sslmode=require."))
	}
	p, known := s.backend.ProjectByDatabase(l.Database)
	if !s.guarded(p, known) {
		if !here {
			return pgwire.Proof{}, fatal(pgerr.New(pgerr.InvalidAuthorization, "no entry for host %q, user %q, database %q", l.Remote, l.User, l.Database).
				WithHint("This server has no accounts yet, so it answers only its own machine."))
		}
		return pgwire.Proof{Trusted: true}, nil
	}
	if !known { // what databases there are is told to nobody who has not proved anything
		return pgwire.Proof{}, nil
	}
	text, ok := s.config.Roles.Verifier(p, l.User)
	if !ok {
		return pgwire.Proof{}, nil
	}
	if l.Certified == l.User {
		return pgwire.Proof{Trusted: true}, nil
	}
	v, err := scram.Parse(text)
	if err != nil {
		s.config.Logger.Error("the password of a user cannot be read", "user", l.User, "database", l.Database, "error", err)
		return pgwire.Proof{}, nil
	}
	return pgwire.Proof{Verifier: &v}, nil
}

// login makes the session of a PostgreSQL client.
func (s *Server) login(ctx context.Context, l pgwire.Login) (*session.Session, error) {
	if p, ok := s.backend.ProjectByDatabase(l.Database); ok {
		if !s.config.Roles.MayLogIn(p, l.User) {
			return nil, fatal(pgerr.New(pgerr.InvalidAuthorization, "role %q is not permitted to log in", l.User))
		}
		return s.open(ctx, opening{project: p, user: l.User, settings: l.Settings, remote: l.Remote, local: l.Local, tls: l.TLS})
	}
	return nil, fatal(pgerr.New(pgerr.UndefinedDatabase, "database %q does not exist", l.Database))
}
