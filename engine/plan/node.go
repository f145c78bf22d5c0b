package plan

import (
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Node is one step of a plan. Nodes are data: immutable, and free of state.
type Node interface {
	Schema() vec.Schema
	Inputs() []Node
	// WithInputs is the node over other inputs, which have the same schemas.
	WithInputs([]Node) Node
	// Describe prints the node's line of EXPLAIN, and details below it.
	Describe(*Printer)
}

// ScanColumn is one column that a scan produces: a column of the table or, with a Path,
// a value inside one of its jsonb columns, read as Type:
// Text with numbers as floats are written or, with Digits, as ->> gives it, Float8, Bool and
// TimestampTZ with NULL where the value is not one, JSONB as -> gives it. Float8 with Digits is what
// a cast makes of the text, or NULL.
//
// A scan of events has columns beside those of the table: what is known of the row's person,
// groups and session. Their names have a dot, which no column's has: person.properties,
// person.created_at, person.is_identified.
type ScanColumn struct {
	Column string
	Path   []string
	Type   vec.Type
	Digits bool
	Name   string // in the schema
}

// Scan reads a table. Its schema is Columns, in order.
type Scan struct {
	Table   *catalog.Table
	Columns []ScanColumn
	// What follows are hints that a rewrite found in a filter above; the filter stays.
	// Events, if not nil, are the only event names that can pass, in ascending order. From and To bound the
	// timestamp, half open, as constant timestamptz expressions; nil means open.
	Events   []string
	From, To expr.Expr
	// Ranges bound columns of a user table: rows outside one of them cannot pass.
	Ranges []Range
	// Whose says whose rows of the events, or of the tables of persons, can pass; nil: anybody's.
	Whose *Whose
}

// Whose is persons by a column, their uuid or a distinct id: those with one of some values, which are
// constants of its type, or arrays of such.
type Whose struct {
	Column string
	Values []expr.Expr
}

// Range is the values that a column may have, ends included: constants of its type, nil for
// no end.
type Range struct {
	Column    string
	Low, High expr.Expr
}

// Filter keeps the rows for which Cond is true.
type Filter struct {
	Input Node
	Cond  expr.Expr
}

// Project computes one column per expression.
type Project struct {
	Input Node
	Exprs []expr.Expr
	Names []string
}

// AggCall is one aggregate of an Aggregate node.
type AggCall struct {
	Name     string // of the aggregate, as agg.Resolve knows it
	Args     []expr.Expr
	Distinct bool
	Filter   expr.Expr // or nil
	OrderBy  []SortKey
	T        vec.Type // result
}

// Aggregate groups by Keys, all rows in one group if there are none. Its schema is the
// keys, then the aggregates. Without keys it yields one row even for empty input.
type Aggregate struct {
	Input Node
	Keys  []expr.Expr
	Aggs  []AggCall
	Names []string // of keys and aggregates
}

// SortKey is one item of ORDER BY.
type SortKey struct {
	Expr       expr.Expr
	Desc       bool
	NullsFirst bool
}

// Sort orders rows.
type Sort struct {
	Input Node
	Keys  []SortKey
}

// TopN is Sort and then Limit, in memory for Limit+Offset rows.
type TopN struct {
	Input         Node
	Keys          []SortKey
	Limit, Offset expr.Expr // constant bigint; Offset may be nil
}

// Limit passes on Limit rows after skipping Offset. Either may be nil.
type Limit struct {
	Input         Node
	Limit, Offset expr.Expr // constant bigint
}

// Fetch reads more columns of rows that a Scan below has found. Its schema is the input's,
// then Columns.
type Fetch struct {
	Input   Node
	Table   *catalog.Table
	Row     int // the input's column that is the Scan's RowPlace
	Columns []ScanColumn
}

// RowNumber is the name of the column by which a Scan of a user table gives the numbers of
// rows. No column of a user has it.
const RowNumber = "ctid"

// TableOID is the name of the column by which a Scan gives the object id of its table. No
// column of a user has it.
const TableOID = "tableoid"

// RowPlace is the name of the column by which a Fetch finds a row again. Only a rewrite
// asks a Scan for it.
const RowPlace = "row"

// Distinct drops repeated rows; with On, rows that repeat the first On columns.
type Distinct struct {
	Input Node
	On    int // 0: all columns
}

// Modify writes the rows of its input. It stands above a plan for EXPLAIN; who runs a
// statement runs its input and does the writing.
type Modify struct {
	Input Node
	What  string // Insert, Update, Delete
	Table string
	// Returns says that there is a RETURNING.
	Returns bool
}

// Values is literal rows. No rows and no columns is the input of SELECT without FROM: it
// has one row if Rows holds one empty row.
type Values struct {
	Columns vec.Schema
	Rows    [][]expr.Expr
}

// Schema implements Node.
func (n *Scan) Schema() vec.Schema {
	s := make(vec.Schema, len(n.Columns))
	for i, c := range n.Columns {
		s[i] = vec.Field{Name: c.Name, Type: c.Type}
	}
	return s
}

// Schema implements Node.
func (n *Filter) Schema() vec.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Project) Schema() vec.Schema {
	s := make(vec.Schema, len(n.Exprs))
	for i, e := range n.Exprs {
		s[i] = vec.Field{Name: n.Names[i], Type: e.Type()}
	}
	return s
}

// Schema implements Node.
func (n *Aggregate) Schema() vec.Schema {
	s := make(vec.Schema, 0, len(n.Names))
	for i, e := range n.Keys {
		s = append(s, vec.Field{Name: n.Names[i], Type: e.Type()})
	}
	for i, a := range n.Aggs {
		s = append(s, vec.Field{Name: n.Names[len(n.Keys)+i], Type: a.T})
	}
	return s
}

// Schema implements Node.
func (n *Sort) Schema() vec.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *TopN) Schema() vec.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Limit) Schema() vec.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Fetch) Schema() vec.Schema {
	s := append(vec.Schema(nil), n.Input.Schema()...)
	for _, c := range n.Columns {
		s = append(s, vec.Field{Name: c.Name, Type: c.Type})
	}
	return s
}

// Schema implements Node.
func (n *Distinct) Schema() vec.Schema { return n.Input.Schema() }

// Schema implements Node.
func (n *Modify) Schema() vec.Schema { return nil }

// Schema implements Node.
func (n *Values) Schema() vec.Schema { return n.Columns }

// Inputs implements Node.
func (n *Scan) Inputs() []Node { return nil }

// Inputs implements Node.
func (n *Filter) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Project) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Aggregate) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Sort) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *TopN) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Limit) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Fetch) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Distinct) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Modify) Inputs() []Node { return []Node{n.Input} }

// Inputs implements Node.
func (n *Values) Inputs() []Node { return nil }

// WithInputs implements Node.
func (n *Scan) WithInputs([]Node) Node { return n }

// WithInputs implements Node.
func (n *Filter) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Project) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Aggregate) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Sort) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *TopN) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Limit) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Fetch) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Distinct) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Modify) WithInputs(in []Node) Node { c := *n; c.Input = in[0]; return &c }

// WithInputs implements Node.
func (n *Values) WithInputs([]Node) Node { return n }
