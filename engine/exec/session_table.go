package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/session"
	"github.com/prickledb/prickle/storage/vec"
)

// tableSessions is what the columns of the table sessions are called as names beside events.
var tableSessions = map[string]string{
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

// sessionPiece is the sessions that are listed with a segment, of those with numbers [lo, hi) there,
// as far as there are so many.
type sessionPiece struct {
	segment *storage.Segment
	lo, hi  int
}

func newSessionTable(columns []plan.ScanColumn, env *Env) (*sessionTable, error) {
	t := &sessionTable{env: env}
	for _, c := range columns {
		var names *sessionNames
		switch c.Column {
		case "session_id", "distinct_id", "person_id", "start_timestamp", "end_timestamp", "duration":
		default:
			var err error
			if names, err = newSessionNames(tableSessions[c.Column], env); err != nil {
				return nil, fmt.Errorf("table sessions: column %q: %w", c.Column, err)
			}
		}
		t.columns, t.named = append(t.columns, names), append(t.named, c.Column)
	}
	for _, s := range env.Snapshot.Segments() {
		most := s.Rows() // where the segment does not say how many there are
		if s.HasSessions() {
			most = s.SessionCount()
		}
		for lo := 0; lo < most; lo += vec.BatchRows {
			t.pieces = append(t.pieces, sessionPiece{s, lo, min(most, lo+vec.BatchRows)})
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
	numbers, err := x.List(ctx, p.segment, p.lo, p.hi)
	if err != nil || len(numbers) == 0 {
		return nil, err
	}
	times, err := x.TimesOf(ctx, p.segment, numbers)
	if err != nil {
		return nil, err
	}
	b := &vec.Batch{Rows: len(numbers)}
	for i, name := range t.named {
		v, err := t.column(ctx, x, p.segment, numbers, times, i)
		if err != nil {
			return nil, fmt.Errorf("table sessions: column %q: %w", name, err)
		}
		b.Cols = append(b.Cols, v)
	}
	return b, nil
}

func (t *sessionTable) column(ctx context.Context, x *storage.Sessions, s *storage.Segment, numbers []uint32, times *session.Times, i int) (*vec.Vector, error) {
	switch t.named[i] {
	case "session_id":
		dict, err := x.IDs(s)
		return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Dict: dict, Codes: slices.Clone(numbers)}, err
	case "start_timestamp":
		return &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: times.Start}, nil
	case "end_timestamp":
		return &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: times.End}, nil
	case "duration":
		return &vec.Vector{Type: vec.T(vec.Float8), F64: durations(times)}, nil
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
