package manifest

import (
	"fmt"
	"maps"
	"slices"
)

// Segment is one segment file.
type Segment struct {
	ID       uint64 `json:"id"`
	Project  uint32 `json:"project"`
	Table    uint32 `json:"table,omitempty"` // 0: events; days and times are of events alone
	FirstDay int32  `json:"first_day"`       // days since 1970 UTC
	Days     int    `json:"days"`
	Rows     int64  `json:"rows"`
	MinTime  int64  `json:"min_time"` // µs since 1970 UTC
	MaxTime  int64  `json:"max_time"`
	Size     int64  `json:"size"` // bytes
	Hash     string `json:"hash"` // xxh3-128 of the file, hex
}

// Run is one file of the uuids of events, for finding duplicates.
type Run struct {
	Number  uint64 `json:"number"`
	Level   int    `json:"level,omitempty"` // how often its keys were merged
	Keys    int64  `json:"keys"`
	MinTime int64  `json:"min_time"` // of the entries that brought them, µs since 1970 UTC
	MaxTime int64  `json:"max_time"`
	Size    int64  `json:"size"` // bytes
}

// Edit is one change of a manifest. Zero fields change nothing.
type Edit struct {
	Applied uint64 `json:"applied,omitempty"` // log index that segments and states cover
	// StateHash is of the effects of all entries up to Applied.
	StateHash uint64    `json:"state_hash,omitempty"`
	Add       []Segment `json:"add,omitempty"`
	Remove    []uint64  `json:"remove,omitempty"`
	// State is a state file that follows those there are, or, with Full, replaces them.
	State string `json:"state,omitempty"`
	Full  bool   `json:"full,omitempty"`
	// States is the state files there are from now on.
	States []string `json:"states,omitempty"`
	// Drop names projects whose segments all go.
	Drop []uint32 `json:"drop,omitempty"`
	// Time is the highest time of an entry up to Applied by which uuids were forgotten.
	Time       int64    `json:"time,omitempty"` // µs since 1970 UTC
	AddRuns    []Run    `json:"add_runs,omitempty"`
	RemoveRuns []uint64 `json:"remove_runs,omitempty"`
}

// Manifest is the files of a store. It is immutable.
type Manifest struct {
	Applied uint64
	// StateHash is of the effects of all entries up to Applied.
	StateHash uint64
	Segments  map[uint64]Segment
	States    []string // in the order in which they are read
	Time      int64
	Runs      map[uint64]Run // by number
}

// apply is the manifest after an edit.
func (m *Manifest) apply(e *Edit) (*Manifest, error) {
	out := *m
	out.Segments, out.Runs, out.States = maps.Clone(m.Segments), maps.Clone(m.Runs), slices.Clone(m.States)
	return &out, out.edit(e)
}

// edit makes an edit in a manifest that nobody else has yet. After an error it is of no use.
func (m *Manifest) edit(e *Edit) error {
	m.Time = max(m.Time, e.Time)
	if e.Applied > m.Applied {
		m.Applied, m.StateHash = e.Applied, e.StateHash
	}
	if m.Segments == nil {
		m.Segments = map[uint64]Segment{}
	}
	for _, id := range e.Remove {
		if _, ok := m.Segments[id]; !ok {
			return fmt.Errorf("edit removes segment %d, which is not there", id)
		}
		delete(m.Segments, id)
	}
	for _, project := range e.Drop {
		maps.DeleteFunc(m.Segments, func(_ uint64, s Segment) bool { return s.Project == project })
	}
	for _, s := range e.Add {
		if _, ok := m.Segments[s.ID]; ok {
			return fmt.Errorf("edit adds segment %d, which is there", s.ID)
		}
		m.Segments[s.ID] = s
	}
	if e.State != "" {
		if e.Full {
			m.States = nil
		}
		m.States = append(m.States, e.State)
	}
	if len(e.States) > 0 {
		m.States = e.States
	}
	if len(e.AddRuns) > 0 && m.Runs == nil {
		m.Runs = map[uint64]Run{}
	}
	for _, n := range e.RemoveRuns {
		if _, ok := m.Runs[n]; !ok {
			return fmt.Errorf("edit removes dedup run %d, which is not there", n)
		}
		delete(m.Runs, n)
	}
	for _, r := range e.AddRuns {
		if _, ok := m.Runs[r.Number]; ok {
			return fmt.Errorf("edit adds dedup run %d, which is there", r.Number)
		}
		m.Runs[r.Number] = r
	}
	return nil
}

// Without is the manifest without some of its segments, state files and dedup runs.
func (m *Manifest) Without(segments []uint64, states []string, runs []uint64) *Manifest {
	out := *m
	out.Segments, out.Runs, out.States = maps.Clone(m.Segments), maps.Clone(m.Runs), nil
	for _, id := range segments {
		delete(out.Segments, id)
	}
	for _, n := range runs {
		delete(out.Runs, n)
	}
	for _, s := range m.States {
		if !slices.Contains(states, s) {
			out.States = append(out.States, s)
		}
	}
	return &out
}

// whole is the edit that makes m out of nothing. It is one, so that what is lost of it is
// all of it: half a manifest could pass for a whole one.
func (m *Manifest) whole() Edit {
	e := Edit{Applied: m.Applied, StateHash: m.StateHash, Time: m.Time, States: m.States}
	for _, id := range slices.Sorted(maps.Keys(m.Segments)) {
		e.Add = append(e.Add, m.Segments[id])
	}
	for _, n := range slices.Sorted(maps.Keys(m.Runs)) {
		e.AddRuns = append(e.AddRuns, m.Runs[n])
	}
	return e
}
