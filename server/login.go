package server

import (
	"context"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/server/pgwire"
	"github.com/prickledb/prickle/server/scram"
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
	// is no such user, it has no password, or it may not log in.
	Verifier(p storage.Project, user string) (verifier string, ok bool)
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
	roles := s.config.Roles
	if roles == nil || known && !roles.Any(p) {
		if !here {
			return pgwire.Proof{}, fatal(pgerr.New(pgerr.InvalidAuthorization, "no entry for host %q, user %q, database %q", l.Remote, l.User, l.Database).
				WithHint("This server has no accounts yet, so it answers only its own machine."))
		}
		return pgwire.Proof{Trusted: true}, nil
	}
	if !known { // what databases there are is told to nobody who has not proved anything
		return pgwire.Proof{}, nil
	}
	text, ok := roles.Verifier(p, l.User)
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
		return s.open(ctx, opening{project: p, user: l.User, settings: l.Settings, remote: l.Remote, tls: l.TLS})
	}
	return nil, fatal(pgerr.New(pgerr.UndefinedDatabase, "database %q does not exist", l.Database))
}
