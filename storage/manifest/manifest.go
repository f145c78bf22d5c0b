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
	// Drop names projects whose segments all go.
	Drop []uint32 `json:"drop,omitempty"`
}

// Manifest is the files of a store. It is immutable.
type Manifest struct {
	Applied uint64
	// StateHash is of the effects of all entries up to Applied.
	StateHash uint64
	Segments  map[uint64]Segment
	States    []string // in the order in which they are read
}

// apply is the manifest after an edit.
func (m *Manifest) apply(e *Edit) (*Manifest, error) {
	out := &Manifest{Applied: m.Applied, StateHash: m.StateHash, Segments: maps.Clone(m.Segments), States: m.States}
	if e.Applied > m.Applied {
		out.Applied, out.StateHash = e.Applied, e.StateHash
	}
	if out.Segments == nil {
		out.Segments = map[uint64]Segment{}
	}
	for _, id := range e.Remove {
		if _, ok := out.Segments[id]; !ok {
			return nil, fmt.Errorf("edit removes segment %d, which is not there", id)
		}
		delete(out.Segments, id)
	}
	for _, project := range e.Drop {
		maps.DeleteFunc(out.Segments, func(_ uint64, s Segment) bool { return s.Project == project })
	}
	for _, s := range e.Add {
		if _, ok := out.Segments[s.ID]; ok {
			return nil, fmt.Errorf("edit adds segment %d, which is there", s.ID)
		}
		out.Segments[s.ID] = s
	}
	if e.State != "" {
		if e.Full {
			out.States = nil
		}
		out.States = append(slices.Clone(out.States), e.State)
	}
	return out, nil
}

// whole is the edit that makes m out of nothing. State files are added one by one.
func (m *Manifest) whole() []Edit {
	first := Edit{Applied: m.Applied, StateHash: m.StateHash}
	for _, id := range slices.Sorted(maps.Keys(m.Segments)) {
		first.Add = append(first.Add, m.Segments[id])
	}
	out := []Edit{first}
	for _, s := range m.States {
		out = append(out, Edit{State: s})
	}
	return out
}
