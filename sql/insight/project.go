package insight

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// PropertyType is how the values of a property are seen.
type PropertyType uint8

// The property types. Untyped is decided by the values that are stored.
const (
	Untyped PropertyType = iota
	String
	Numeric
	Boolean
	DateTime
)

// Scope is whose property it is.
type Scope uint8

// The scopes.
const (
	EventScope Scope = iota
	PersonScope
	GroupScope
)

// Action is a saved event definition.
type Action struct {
	ID    int64
	Name  string
	Steps json.RawMessage // a list of steps
}

// Cohort is a saved set of persons.
type Cohort struct {
	ID      int64
	Name    string
	Static  bool // its members are in the table cohort_members
	Filters json.RawMessage
	Groups  json.RawMessage // the old form
	Query   json.RawMessage // an insight query whose actors it has
	SQL     string          // a query in SQL whose persons it has
}

// Project is what queries depend on besides the events.
type Project interface {
	Zone() *time.Location
	// Monday is true if weeks start on Monday.
	Monday() bool
	// Hidden says whether a user has made a table of the name of one that every project
	// has, so that the name alone means the user's.
	Hidden(table string) bool
	// TestAccounts is the list of filters that filterTestAccounts adds, as JSON.
	TestAccounts() json.RawMessage
	// PathCleaning is the list of {"regex", "alias"}, as JSON.
	PathCleaning() json.RawMessage
	Action(id int64) (*Action, bool)
	Cohort(id int64) (*Cohort, bool)
	// PropertyType is the defined type of a property, or else what its values are.
	PropertyType(s Scope, group int, name string) PropertyType
	// PropertyNames are the properties of an event, or of all persons, or of all groups of
	// a type.
	PropertyNames(s Scope, group int, event string) []string
}

// Rows is the answer to a statement.
type Rows struct {
	Schema vec.Schema
	Cols   []*vec.Vector // flat
	N      int
}

// Runner runs statements, all of one question on one state of the data.
type Runner interface {
	Run(ctx context.Context, q ast.Query) (*Rows, error)
	// Persons finds what is known of persons, in their order.
	Persons(ctx context.Context, ids []vec.UUIDValue) ([]Person, error)
	// Groups is the same for groups of one type.
	Groups(ctx context.Context, index int, keys []string) ([]Group, error)
}

// Person is a person as lists of actors show it.
type Person struct {
	ID          vec.UUIDValue
	DistinctIDs []string
	Properties  json.RawMessage // an object
	CreatedAt   time.Time
	Identified  bool
}

// Group is a group as lists of actors show it.
type Group struct {
	Key        string
	Properties json.RawMessage
	CreatedAt  time.Time
}
