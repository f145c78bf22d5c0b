package table

import (
	"math"
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
	// Start is the number that the sequence began with, 0 for 1. Identity is as pg_attribute has it: a for
	// a column that is given its numbers always, d by default; empty for one that has them from its Default.
	Start    int64  `json:"start,omitempty"`
	Identity string `json:"identity,omitempty"`
	Comment  string `json:"comment,omitempty"`
	// SequenceComment is the comment on the sequence.
	SequenceComment string `json:"sequence_comment,omitempty"`
}

// Kind is what a Schema describes. The numbers are part of the format of the log and of state
// files.
type Kind uint8

// The kinds. A namespace is what SQL calls a schema: a space of names, which tables and views are
// in. A note keeps the comments of what every project has, a table, the schema public or the
// database itself: its name says which.
const (
	Relation  Kind = 0 // a table or a view
	Namespace Kind = 1
	Note      Kind = 2
	// Sequence is a temporary sequence, by itself: its one column has it. It is in no log and no file.
	Sequence Kind = 3
)

func (k Kind) String() string {
	switch k {
	case Namespace:
		return "schema"
	case Note:
		return "note"
	case Sequence:
		return "sequence"
	}
	return "table"
}

// Schema is what a table or a view looks like, or a namespace, a note or a sequence, which have no rows. It
// is immutable.
type Schema struct {
	Kind    Kind     `json:"kind,omitempty"`
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
	// Checks are conditions that each row fulfils; whoever inserts rows sees to it. Foreign are
	// the columns of REFERENCES, which nothing enforces.
	Checks  []Check      `json:"checks,omitempty"`
	Foreign []ForeignKey `json:"foreign,omitempty"`
	// In is the number of the namespace that a table is in; 0 is the schema public.
	In      uint32 `json:"in,omitempty"`
	Comment string `json:"comment,omitempty"`
	// Actor, Time and Event are the columns that operators use by default, by number; 0 is none.
	Actor uint32 `json:"actor,omitempty"`
	Time  uint32 `json:"time,omitempty"`
	Event uint32 `json:"event,omitempty"`
	// OrderBy are the columns, by number, and PartitionBy the unit of the column of time, by which the
	// rows of a segment lie, the unit first. What a query answers does not depend on them.
	OrderBy     []uint32 `json:"order_by,omitempty"`
	PartitionBy string   `json:"partition_by,omitempty"`
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
	Name    string   `json:"name,omitempty"` // empty for one that was not given any; it follows from the columns
	// When it was said to be looked at; nothing ever does.
	Deferrable bool `json:"deferrable,omitempty"`
	Deferred   bool `json:"deferred,omitempty"`
}

// Check is a condition on rows. Each row fulfils it, or it is null for the row.
type Check struct {
	Name    string   `json:"name"`
	Expr    string   `json:"expr"` // as SQL
	Columns []uint32 `json:"columns,omitempty"`
}

// ForeignKey is columns of which it was said that their values stand in columns of a table.
type ForeignKey struct {
	Name     string   `json:"name"`
	Columns  []uint32 `json:"columns"`
	Table    uint32   `json:"table"`
	Of       []uint32 `json:"of"`                  // columns of Table
	OnUpdate string   `json:"on_update,omitempty"` // as pg_constraint has it; empty is no action
	OnDelete string   `json:"on_delete,omitempty"`
	// When it was said to be looked at; nothing ever does.
	Deferrable bool `json:"deferrable,omitempty"`
	Deferred   bool `json:"deferred,omitempty"`
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

// LastNumber is the greatest number that a sequence of a type gives.
func LastNumber(t vec.Type) int64 {
	switch t.Kind {
	case vec.Int2:
		return math.MaxInt16
	case vec.Int4:
		return math.MaxInt32
	}
	return math.MaxInt64
}

// First is the number that the column's sequence began with.
func (c *Column) First() int64 { return max(c.Start, 1) }

// ByID finds a column by number, or answers nil.
func (s *Schema) ByID(id uint32) *Column {
	for i := range s.Columns {
		if s.Columns[i].ID == id {
			return &s.Columns[i]
		}
	}
	return nil
}

// NameOf is the name of a column by its number, empty for none.
func (s *Schema) NameOf(id uint32) string {
	if c := s.ByID(id); c != nil {
		return c.Name
	}
	return ""
}

// Clone is a schema that may be changed.
func (s *Schema) Clone() *Schema {
	c := *s
	c.Columns, c.Keys = slices.Clone(s.Columns), slices.Clone(s.Keys)
	c.Checks, c.Foreign = slices.Clone(s.Checks), slices.Clone(s.Foreign)
	return &c
}

// Add adds a column and gives its number.
func (s *Schema) Add(c Column) uint32 {
	c.ID = max(s.NextColumn, 1)
	s.NextColumn = c.ID + 1
	s.Columns = append(s.Columns, c)
	return c.ID
}

// Drop removes a column, and the constraints that it is part of.
func (s *Schema) Drop(id uint32) {
	has := func(columns []uint32) bool { return slices.Contains(columns, id) }
	s.Columns = slices.DeleteFunc(s.Columns, func(c Column) bool { return c.ID == id })
	s.Keys = slices.DeleteFunc(s.Keys, func(k Key) bool { return has(k.Columns) })
	s.Checks = slices.DeleteFunc(s.Checks, func(k Check) bool { return has(k.Columns) })
	s.Foreign = slices.DeleteFunc(s.Foreign, func(k ForeignKey) bool { return has(k.Columns) })
	for _, of := range []*uint32{&s.Actor, &s.Time, &s.Event} {
		if *of == id {
			*of = 0
		}
	}
	if has(s.OrderBy) {
		s.OrderBy = nil
	}
}
