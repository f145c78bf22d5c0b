package exec

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// tableSessions is what the columns of the table sessions are called as names beside events.
var tableSessions = map[string]string{
	"duration": "$session_duration", "start_timestamp": "$start_timestamp", "end_timestamp": "$end_timestamp",
	"entry_url": "$entry_current_url", "end_url": "$end_current_url",
	"entry_pathname": "$entry_pathname", "end_pathname": "$end_pathname",
	"pageview_count": "$pageview_count", "autocapture_count": "$autocapture_count", "screen_count": "$screen_count",
	"num_uniq_urls": "$num_uniq_urls",
}

// sessionTable reads the table sessions: a segment's sessions after another's, each of them
// with one segment that it has events in.
type sessionTable struct {
	env     *Env
	columns []*sessionNames // nil for those that only the table has
	named   []string        // columns
	pieces  []sessionPiece
}

// sessionPiece is rows [lo, hi) of those that are listed with a segment, as far as there are
// so many.
type sessionPiece struct {
	of     *listedSessions
	lo, hi int
}

// listedSessions is the sessions that are listed with a segment.
type listedSessions struct {
	segment *storage.Segment

	mu      sync.Mutex // held while they are found
	found   bool
	numbers []uint32
}

func newSessionTable(columns []plan.ScanColumn, env *Env) (*sessionTable, error) {
	t := &sessionTable{env: env}
	for _, c := range columns {
		var names *sessionNames
		switch c.Column {
		case "session_id", "distinct_id", "person_id":
		default:
			var err error
			if names, err = newSessionNames(tableSessions[c.Column], env); err != nil {
				return nil, fmt.Errorf("table sessions: column %q: %w", c.Column, err)
			}
		}
		t.columns, t.named = append(t.columns, names), append(t.named, c.Column)
	}
	for _, s := range env.Snapshot.Segments() {
		of := &listedSessions{segment: s}
		most := s.Rows() // where the segment does not say how many there are
		if s.HasSessions() {
			most = s.SessionCount()
		}
		for lo := 0; lo < most; lo += vec.BatchRows {
			t.pieces = append(t.pieces, sessionPiece{of, lo, min(most, lo+vec.BatchRows)})
		}
	}
	return t, nil
}

// read gives the rows of a piece; nil if there are none.
func (t *sessionTable) read(ctx context.Context, i int) (*vec.Batch, error) {
	x, err := t.env.sessions(ctx)
	if err != nil {
		return nil, err
	}
	p := &t.pieces[i]
	numbers, err := p.of.list(ctx, x, t.env)
	if err != nil || p.lo >= len(numbers) {
		return nil, err
	}
	numbers = numbers[p.lo:min(p.hi, len(numbers))]
	b := &vec.Batch{Rows: len(numbers)}
	for i, name := range t.named {
		v, err := t.column(ctx, x, p.of.segment, numbers, i)
		if err != nil {
			return nil, fmt.Errorf("table sessions: column %q: %w", name, err)
		}
		b.Cols = append(b.Cols, v)
	}
	return b, nil
}

func (t *sessionTable) column(ctx context.Context, x *storage.Sessions, s *storage.Segment, numbers []uint32, i int) (*vec.Vector, error) {
	switch t.named[i] {
	case "session_id":
		dict, err := x.IDs(s)
		return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Dict: dict, Codes: slices.Clone(numbers)}, err
	case "distinct_id":
		ids, _, err := x.Owners(ctx, s, numbers)
		return ids, err
	case "person_id":
		_, ordinals, err := x.Owners(ctx, s, numbers)
		if err != nil {
			return nil, err
		}
		identity := t.env.Snapshot.Identity()
		for i, o := range ordinals {
			ordinals[i] = identity.Root(o)
		}
		return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: t.env.Snapshot.Persons().UUIDVector(), Codes: ordinals}, nil
	}
	v, err := t.columns[i].of(ctx, x, s, slices.Clone(numbers))
	if err != nil || v.Type.Payload() == vec.PayloadStr {
		return v, err
	}
	v = v.Dict.Take(v.Codes) // each number is there once
	if !v.Nulls.Any() {
		v.Nulls = nil
	}
	return v, nil
}

func (l *listedSessions) list(ctx context.Context, x *storage.Sessions, env *Env) ([]uint32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found {
		return l.numbers, nil
	}
	if err := env.hold(ctx, 4*int64(x.Len(l.segment))); err != nil {
		return nil, err
	}
	var err error
	l.numbers, err = x.List(ctx, l.segment)
	l.found = err == nil
	return l.numbers, err
}
