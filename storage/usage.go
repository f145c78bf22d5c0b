package storage

import (
	"encoding/json"
	"time"
)

// Limits are what a project may use. Zero is no limit, or the server's own.
type Limits struct {
	EventsPerSecond     int64 `json:"events_per_second,omitempty"`      // for long; ten times as many at once
	EventsPerMonth      int64 `json:"events_per_month,omitempty"`       // of the calendar, in UTC
	StoredBytes         int64 `json:"stored_bytes,omitempty"`           // of segments
	QuerySecondsPerHour int64 `json:"query_seconds_per_hour,omitempty"` // of processors
	Queries             int64 `json:"queries,omitempty"`                // at once
	UserQueries         int64 `json:"user_queries,omitempty"`           // of one user at once
	QueryWeight         int64 `json:"query_weight,omitempty"`           // beside other projects; 0 is 100
	Properties          int64 `json:"properties,omitempty"`             // different names of event properties
}

// ProjectUpdate changes some settings of a project; nil leaves one as it is.
type ProjectUpdate struct {
	ID        uint32  `json:"id"`
	Name      *string `json:"name,omitempty"`
	Timezone  *string `json:"timezone,omitempty"`
	WeekStart *int    `json:"week_start,omitempty"`
	Retention *int64  `json:"retention,omitempty"` // µs, as in Project
	Limits    *Limits `json:"limits,omitempty"`

	TestAccountFilters *json.RawMessage `json:"test_account_filters,omitempty"`
	PathCleaning       *[]PathCleaning  `json:"path_cleaning_filters,omitempty"`
}

func (u *ProjectUpdate) apply(p *Project) {
	if u.Name != nil {
		p.Name = *u.Name
	}
	if u.Timezone != nil {
		p.Timezone = *u.Timezone
	}
	if u.WeekStart != nil {
		p.WeekStart = *u.WeekStart
	}
	if u.Retention != nil {
		p.Retention = *u.Retention
	}
	if u.Limits != nil {
		p.Limits = *u.Limits
	}
	if u.TestAccountFilters != nil {
		p.TestAccountFilters = *u.TestAccountFilters
	}
	if u.PathCleaning != nil {
		p.PathCleaning = *u.PathCleaning
	}
}

// usage counts the events that a project stored in a month, by the time of their entries.
type usage struct {
	Month  int32 `json:"month"` // months since January of year 0
	Events int64 `json:"events"`
}

func monthNumber(t time.Time) int32 { return int32(t.Year())*12 + int32(t.Month()) - 1 }

// count adds events of an entry with time at, in µs since 1970 UTC.
func (u *usage) count(events int, at int64) {
	if m := monthNumber(time.UnixMicro(at).UTC()); m != u.Month {
		*u = usage{Month: m}
	}
	u.Events += int64(events)
}

// Usage is what a project has used.
type Usage struct {
	Events      int64 // stored
	MonthEvents int64 // stored in the month of the time asked for
	Bytes       int64 // of segments
}

// Usage gives what a project has used; at is the present time.
func (s *Store) Usage(id uint32, at time.Time) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[id]
	if p == nil {
		return Usage{}
	}
	out := Usage{Events: p.events}
	if p.used.Month == monthNumber(at.UTC()) {
		out.MonthEvents = p.used.Events
	}
	for _, f := range s.segments {
		if f.Project == id {
			out.Bytes += f.Size
		}
	}
	return out
}

// HeldBytes is how much memory the snapshot keeps in use that would be free without it,
// once its memtables are flushed.
func (sn *Snapshot) HeldBytes() int64 {
	var n int64
	for _, r := range sn.segments {
		n += r.Size()
	}
	for _, f := range sn.files {
		if f.table == nil {
			n -= f.reader.Size()
		}
	}
	return n
}
