package session

import (
	"context"
	"errors"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
)

// The settings that say which state a statement reads.
const (
	// ConsistencySetting is session, local, bounded or linearizable.
	ConsistencySetting = "prickle.consistency"
	// MaxAgeSetting is how old the state of a bounded read may be.
	MaxAgeSetting = "prickle.max_age"
	// TokenSetting is a token whose state the answer must include.
	TokenSetting = "prickle.token"
	// AtSetting is the token of an earlier answer, whose very state is read again.
	AtSetting = "prickle.at"
)

// Log is where reads wait for what was written: a cluster.Node.
type Log interface {
	Await(context.Context, cluster.Token) error
	ReadIndex(context.Context) (uint64, error)
	ReadBounded(ctx context.Context, maxAge time.Duration) error
}

// Cut is the state that a statement read.
type Cut struct {
	Index uint64
	Taken time.Time
}

// Token is what asks for that state, or for a later one.
func (c Cut) Token() string { return cluster.Token{Index: c.Index}.String() }

// cause is a client error that other edges know by what it wraps.
type cause struct {
	client *pgerr.Error
	of     error
}

func (c *cause) Error() string { return c.client.Error() }

// Caused is an error that clients are told of as client says, and that wraps of.
func Caused(client *pgerr.Error, of error) error { return &cause{client, of} }

// Unwrap implements the errors package's protocol.
func (c *cause) Unwrap() []error { return []error{c.client, c.of} }

// clusterError puts an error about consistency or a full disk into the words of SQL.
func clusterError(err error) error {
	switch {
	case errors.Is(err, cluster.ErrDiskFull):
		return &cause{pgerr.New(pgerr.DiskFull, "%v", err), err}
	case errors.Is(err, cluster.ErrReadOnly):
		return Caused(pgerr.New(pgerr.ReadOnlyTransaction, "%v", err), err)
	case errors.Is(err, cluster.ErrOverloaded):
		return Caused(pgerr.New(pgerr.InsufficientResources, "%v", err).WithHint("Send it again in a moment."), err)
	case errors.Is(err, cluster.ErrBadToken):
		return Caused(pgerr.New(pgerr.InvalidParameterValue, "%v", err).
			WithHint("A token is valid on the server that gave it, and on copies that are not older."), err)
	case errors.Is(err, cluster.ErrBehind):
		return Caused(pgerr.New(pgerr.CannotConnectNow, "%v", err).WithHint("Ask again in a moment."), err)
	case errors.Is(err, ErrCutGone):
		return Caused(pgerr.New(pgerr.ObjectNotInState, "%v", err), err)
	}
	return err
}

// await returns when the state that the session's settings ask for can be read.
func (s *Session) await(ctx context.Context) error {
	if s.config.Log == nil {
		return nil
	}
	if text := s.value(TokenSetting); text != "" && s.value(ConsistencySetting) != "local" {
		token, err := cluster.ParseToken(text)
		if err != nil {
			return err
		}
		if err := s.config.Log.Await(ctx, token); err != nil {
			return err
		}
	}
	switch s.value(ConsistencySetting) {
	case "bounded":
		return s.config.Log.ReadBounded(ctx, s.Settings.Duration(MaxAgeSetting))
	case "linearizable":
		_, err := s.config.Log.ReadIndex(ctx)
		return err
	}
	return nil
}

// take pins what the session's settings ask for.
func (s *Session) take(ctx context.Context) (Pin, error) {
	if text := s.value(AtSetting); text != "" && s.config.Cuts != nil {
		token, err := cluster.ParseToken(text)
		if err != nil {
			return nil, clusterError(err)
		}
		pin, err := s.config.Cuts.Pin(s.config.Project, token.Index)
		if err != nil {
			return nil, clusterError(err)
		}
		s.cut = pin.Cut
		return pin, nil
	}
	if err := s.await(ctx); err != nil {
		return nil, clusterError(err)
	}
	taken := time.Now() // whatever now() is for the statement
	pin, err := s.config.Engine.Pin(s.config.Project)
	if err != nil {
		return nil, err
	}
	if indexed, ok := pin.(interface{ Index() uint64 }); ok {
		s.cut = Cut{indexed.Index(), taken}
		if s.config.Cuts != nil && s.config.Keep {
			pin = s.config.Cuts.Keep(s.config.Project, pin, s.cut)
		}
	}
	return pin, nil
}

// Cut is the state that the last query read; false if there was none.
func (s *Session) Cut() (Cut, bool) { return s.cut, !s.cut.Taken.IsZero() }
