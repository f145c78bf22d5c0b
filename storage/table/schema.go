package table

import (
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// Column is one column of a table.
type Column struct {
	ID      uint32   `json:"id"` // in its table, from 1 on, never used again
	Name    string   `json:"name"`
	Type    vec.Type `json:"type"`
	NotNull bool     `json:"not_null,omitempty"`
	// Default is the expression, as SQL, that an INSERT without a value takes; empty is
	// null.
	Default string `json:"default,omitempty"`
	// Missing is the value of rows that are older than the column, as AppendValue writes
	// it; nil is null.
	Missing []byte `json:"missing,omitempty"`
	// Sequence is the name of the numbers that the column gives by itself, empty for none, and
	// Next the one that comes next, from 1 on. An OpAdvance takes numbers and is no change of the
	// schema: the version stays.
	Sequence string `json:"sequence,omitempty"`
	Next     int64  `json:"next,omitempty"`
}

// Schema is what a table or a view looks like. It is immutable.
type Schema struct {
	Table   uint32   `json:"table"`
	Version uint32   `json:"version"` // from 1 on, one more with each change
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	// NextColumn is the number of the next column to be added.
	NextColumn uint32 `json:"next_column"`
	// Owner is the role that has made the table; empty for nobody's.
	Owner string `json:"owner,omitempty"`
	// View is the query, as SQL, that gives the rows of a view; empty for a table. A view has
	// no rows of its own.
	View string `json:"view,omitempty"`
	// Temp says that the table is one session's, which keeps it itself: it is in no state file
	// and in no log. OnCommit is what becomes of it when a transaction commits.
	Temp     bool     `json:"temp,omitempty"`
	OnCommit OnCommit `json:"on_commit,omitempty"`
	// Keys are the columns of PRIMARY KEY and of each UNIQUE, by number. They are kept for
	// catalogs; nothing enforces them.
	Keys []Key `json:"keys,omitempty"`
}

// OnCommit is what becomes of a temporary table when a transaction commits.
type OnCommit uint8

// What there is.
const (
	PreserveRows OnCommit = iota
	DeleteRows
	DropTable
)

// Key is a PRIMARY KEY or UNIQUE constraint.
type Key struct {
	Primary bool     `json:"primary,omitempty"`
	Columns []uint32 `json:"columns"`
}

// Column finds a column by name, or answers nil.
func (s *Schema) Column(name string) *Column {
	for i := range s.Columns {
		if s.Columns[i].Name == name {
			return &s.Columns[i]
		}
	}
	return nil
}

// byID finds a column by number, or answers nil.
func (s *Schema) byID(id uint32) *Column {
	for i := range s.Columns {
		if s.Columns[i].ID == id {
			return &s.Columns[i]
		}
	}
	return nil
}

// Clone is a schema that may be changed.
func (s *Schema) Clone() *Schema {
	c := *s
	c.Columns, c.Keys = slices.Clone(s.Columns), slices.Clone(s.Keys)
	return &c
}

// Add adds a column and gives its number.
func (s *Schema) Add(c Column) uint32 {
	c.ID = max(s.NextColumn, 1)
	s.NextColumn = c.ID + 1
	s.Columns = append(s.Columns, c)
	return c.ID
}

// Drop removes a column, and the keys that it is part of.
func (s *Schema) Drop(id uint32) {
	s.Columns = slices.DeleteFunc(s.Columns, func(c Column) bool { return c.ID == id })
	s.Keys = slices.DeleteFunc(s.Keys, func(k Key) bool { return slices.Contains(k.Columns, id) })
}
