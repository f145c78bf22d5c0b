package exec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/session"
	"github.com/prickledb/prickle/storage/vec"
)

// sessionPrefix begins the names of the columns that a scan of events has of each row's
// session.
const sessionPrefix = "session."

// sessionReader reads something of the session that a row belongs to: what all its events
// say together, whichever of them the query reads. A row without a session has 0 where
// there is a number, and otherwise NULL.
func sessionReader(column string, env *Env) (columnReader, error) {
	n, err := newSessionNames(column, env)
	if err != nil {
		return nil, err
	}
	return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
		sessions, err := env.sessions(context.Background())
		if err != nil {
			return nil, err
		}
		numbers, err := sessions.Numbers(m.seg, m.of, lo, hi)
		if err != nil {
			return nil, err
		}
		return n.of(context.Background(), sessions, m.seg, numbers)
	}, nil
}

// sessions is the sessions of the snapshot.
func (env *Env) sessions(ctx context.Context) (*storage.Sessions, error) {
	return env.Snapshot.Sessions(ctx, env.hold)
}

// findSessions makes the sessions of the snapshot if any of the columns needs them. A reader
// would, but it cannot be cancelled.
func (env *Env) findSessions(ctx context.Context, columns []plan.ScanColumn) error {
	for _, c := range columns {
		if strings.HasPrefix(c.Column, sessionPrefix) {
			_, err := env.sessions(ctx)
			return err
		}
	}
	return nil
}

// sessionValues is a column of the sessions of a segment.
type sessionValues struct {
	dict *vec.Vector
	// codes is the position in dict by the number of a session, with one more for rows
	// without; nil if it is the number.
	codes []uint32
}

// sessionNames keeps a column of sessions for each segment that is read.
type sessionNames struct {
	env  *Env
	read readSessions

	mu        sync.Mutex
	bySegment map[*storage.Segment]*segmentSessions
}

// segmentSessions is the column of one segment.
type segmentSessions struct {
	mu     sync.Mutex // held while it is read
	values *sessionValues
}

func newSessionNames(column string, env *Env) (*sessionNames, error) {
	read, ok := sessionColumns[column]
	if !ok {
		return nil, fmt.Errorf("sessions have no column %q", column)
	}
	return &sessionNames{env: env, read: read, bySegment: map[*storage.Segment]*segmentSessions{}}, nil
}

// of is the column of the sessions with the given numbers. It takes the slice.
func (n *sessionNames) of(ctx context.Context, x *storage.Sessions, s *storage.Segment, numbers []uint32) (*vec.Vector, error) {
	values, err := n.values(ctx, x, s)
	if err != nil {
		return nil, err
	}
	if values.codes != nil {
		for i, number := range numbers {
			numbers[i] = values.codes[number]
		}
	}
	return &vec.Vector{Type: values.dict.Type, Form: vec.Dict, Dict: values.dict, Codes: numbers}, nil
}

func (n *sessionNames) values(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error) {
	n.mu.Lock()
	of := n.bySegment[s]
	if of == nil {
		of = &segmentSessions{}
		n.bySegment[s] = of
	}
	n.mu.Unlock()
	of.mu.Lock()
	defer of.mu.Unlock()
	if of.values != nil {
		return of.values, nil
	}
	v, err := n.read(ctx, x, s)
	if err != nil {
		return nil, err
	}
	of.values = v
	return v, n.env.hold(ctx, v.dict.Bytes()+4*int64(len(v.codes)))
}

// readSessions reads a column of the sessions of a segment.
type readSessions func(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error)

// sessionColumns is how each column of sessions is read.
var sessionColumns = map[string]readSessions{
	"$session_duration": func(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error) {
		t, err := x.Times(ctx, s)
		if err != nil {
			return nil, err
		}
		return &sessionValues{dict: &vec.Vector{Type: vec.T(vec.Float8), F64: append(durations(t), 0)}}, nil
	},
	"$start_timestamp":   sessionTime(func(t *session.Times) []int64 { return t.Start }),
	"$end_timestamp":     sessionTime(func(t *session.Times) []int64 { return t.End }),
	"$pageview_count":    sessionCount(session.Pageviews),
	"$autocapture_count": sessionCount(session.Autocaptures),
	"$screen_count":      sessionCount(session.Screens),
	"$entry_current_url": sessionText((*storage.Sessions).URLs, func(e *storage.SessionEdges) []uint32 { return e.First }),
	"$end_current_url":   sessionText((*storage.Sessions).URLs, func(e *storage.SessionEdges) []uint32 { return e.Last }),
	"$entry_pathname":    sessionText((*storage.Sessions).Pathnames, func(e *storage.SessionEdges) []uint32 { return e.First }),
	"$end_pathname":      sessionText((*storage.Sessions).Pathnames, func(e *storage.SessionEdges) []uint32 { return e.Last }),
	"$num_uniq_urls": func(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error) {
		n, err := x.DistinctURLs(ctx, s)
		if err != nil {
			return nil, err
		}
		return &sessionValues{dict: &vec.Vector{Type: vec.T(vec.Int8), I64: append(n, 0)}}, nil
	},
}

// durations is how long sessions are, in seconds.
func durations(t *session.Times) []float64 {
	out := make([]float64, len(t.Start))
	for i := range out {
		out[i] = float64(t.End[i]-t.Start[i]) / 1e6
	}
	return out
}

func sessionTime(of func(*session.Times) []int64) readSessions {
	return func(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error) {
		t, err := x.Times(ctx, s)
		if err != nil {
			return nil, err
		}
		v := &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: append(slices.Clone(of(t)), 0)}
		v.Nulls = vec.NewBitmap(len(v.I64))
		v.Nulls.Set(len(v.I64) - 1)
		return &sessionValues{dict: v}, nil
	}
}

func sessionCount(what int) readSessions {
	return func(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error) {
		c, err := x.Counts(ctx, s)
		if err != nil {
			return nil, err
		}
		v := &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, len(c[what])+1)}
		for i, n := range c[what] {
			v.I64[i] = int64(n)
		}
		return &sessionValues{dict: v}, nil
	}
}

func sessionText(read func(*storage.Sessions, context.Context, *storage.Segment) (*storage.SessionEdges, error), of func(*storage.SessionEdges) []uint32) readSessions {
	return func(ctx context.Context, x *storage.Sessions, s *storage.Segment) (*sessionValues, error) {
		e, err := read(x, ctx, s)
		if err != nil {
			return nil, err
		}
		return &sessionValues{dict: e.Dict, codes: append(of(e), uint32(e.Dict.Len()-1))}, nil
	}
}
