package ast

// Stmt is one statement. All types of it are pointers.
type Stmt interface {
	Node
	stmt()
}

// Query is a statement that gives rows and may stand in parentheses: *Select,
// *SetOp or *Values.
type Query interface {
	Stmt
	// Tail gives the WITH, ORDER BY and LIMIT clauses, which all queries have.
	Tail() *QueryTail
}

// QueryTail is what may surround any query body.
type QueryTail struct {
	With     *With // nil when there is none
	OrderBy  []OrderItem
	Limit    Expr // nil for none and for LIMIT ALL
	WithTies bool // FETCH FIRST n ROWS WITH TIES
	Offset   Expr
	Locking  *Locking // FOR UPDATE and friends
}

// Tail makes the embedding type a Query.
func (t *QueryTail) Tail() *QueryTail { return t }

// Locking is FOR UPDATE, FOR SHARE and so on: Strength is the words after FOR.
type Locking struct {
	Place
	Strength string
}

// With is the list of common table expressions in front of a query.
type With struct {
	Place
	Recursive bool
	CTEs      []CTE
}

// CTE is one WITH element.
type CTE struct {
	Place
	Name         Ident
	Columns      []Ident
	Materialized Materialized
	Query        Query
	Change       Stmt // an Insert, Update or Delete instead of Query; nil for a query
	// SearchCycle is the place of a SEARCH or CYCLE clause, which the binder
	// refuses; nil when there is none.
	SearchCycle *Unsupported
}

// Materialized says whether a CTE may be inlined.
type Materialized uint8

// The three ways to write a CTE.
const (
	MaterializedDefault Materialized = iota
	MaterializedAlways
	MaterializedNever
)

// Select is one SELECT block. `FROM t` alone and `TABLE t` are a Select of *.
type Select struct {
	Place
	QueryTail
	Distinct   bool
	DistinctOn []Expr // DISTINCT ON (…); Distinct is set too
	Items      []SelectItem
	Into       *Into
	From       []TableExpr // a comma list
	Where      Expr
	GroupBy    *GroupBy
	Having     Expr
	Qualify    Expr
	Windows    []NamedWindow
}

// SelectItem is one element of a select list, a breakdown or a REPLACE list.
// Expr may be a *Star or a *Columns.
type SelectItem struct {
	Place
	Expr  Expr
	Alias *Ident // nil when none was given
}

// Into is SELECT … INTO [TEMP] t.
type Into struct {
	Place
	Temp bool
	Name []Ident
}

// GroupBy is the GROUP BY clause.
type GroupBy struct {
	Place
	All      bool // GROUP BY ALL: every non-aggregate item; Items is empty
	Distinct bool // GROUP BY DISTINCT: duplicate grouping sets go
	Items    []GroupItem
}

// GroupKind is what a GroupItem is.
type GroupKind uint8

// The kinds of group items.
const (
	GroupExpr   GroupKind = iota // Expr; a Row stands for its elements, an empty one for ()
	GroupRollup                  // ROLLUP (Items)
	GroupCube                    // CUBE (Items)
	GroupSets                    // GROUPING SETS (Items)
)

// GroupItem is one element of GROUP BY.
type GroupItem struct {
	Place
	Kind  GroupKind
	Expr  Expr
	Items []GroupItem
}

// OrderItem is one sort key.
type OrderItem struct {
	Place
	All   bool // ORDER BY ALL; Expr is nil
	Expr  Expr
	Desc  bool
	Nulls NullsOrder
}

// NullsOrder is where NULLs sort.
type NullsOrder uint8

// NullsDefault means last for ASC and first for DESC.
const (
	NullsDefault NullsOrder = iota
	NullsFirst
	NullsLast
)

// NamedWindow is one element of the WINDOW clause.
type NamedWindow struct {
	Place
	Name Ident
	Spec *WindowSpec
}

// SetOpKind is UNION, INTERSECT or EXCEPT.
type SetOpKind uint8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// SetOp combines two queries. Its place is the operator.
type SetOp struct {
	Place
	QueryTail
	Op     SetOpKind
	All    bool
	ByName bool // UNION [ALL] BY NAME
	Left   Query
	Right  Query
}

// Values is VALUES (…), (…). All rows have the same number of expressions.
type Values struct {
	Place
	QueryTail
	Rows [][]Expr
}

// Explain is EXPLAIN of a statement.
type Explain struct {
	Place
	Analyze bool
	Verbose bool
	Format  string   // text, json, xml or yaml; empty means text
	Options []Option // the others, as written: costs, buffers, timing, summary, …
	Stmt    Stmt
}

// Option is name [value] in an option list. Value is empty when there was none.
type Option struct {
	Place
	Name  string
	Value string
}

// SetScope is how long a SET holds.
type SetScope uint8

// The scopes of SET. No word means SESSION.
const (
	ScopeDefault SetScope = iota
	ScopeSession
	ScopeLocal
)

// Set is SET name = values. The special spellings are the settings they mean:
// timezone, role, session_authorization, client_encoding, search_path.
type Set struct {
	Place
	Scope   SetScope
	Name    string // lower case, may have dots
	Default bool   // SET name TO DEFAULT; Values is empty
	// Values are String, Number, Bool, Name or Typed (an interval for the time zone).
	Values []Expr
}

// SetTransaction is SET TRANSACTION and SET SESSION CHARACTERISTICS.
type SetTransaction struct {
	Place
	Session bool
	Modes   TransactionModes
}

// TransactionModes are the modes of BEGIN and SET TRANSACTION.
type TransactionModes struct {
	Isolation  string // lower case, e.g. "repeatable read"; empty when not given
	ReadOnly   *bool
	Deferrable *bool
}

// Show is SHOW name; All is SHOW ALL.
type Show struct {
	Place
	Name string
	All  bool
}

// Reset is RESET name; All is RESET ALL.
type Reset struct {
	Place
	Name string
	All  bool
}

// Discard is DISCARD What: "all", "plans", "temp" or "sequences".
type Discard struct {
	Place
	What string
}

// Begin is BEGIN or START TRANSACTION; the command tag differs.
type Begin struct {
	Place
	Start bool // it was START TRANSACTION
	Modes TransactionModes
}

// Commit is COMMIT or END.
type Commit struct {
	Place
	Chain bool
}

// Rollback is ROLLBACK or ABORT.
type Rollback struct {
	Place
	Chain bool
}

// Savepoint is SAVEPOINT name.
type Savepoint struct {
	Place
	Name Ident
}

// Release is RELEASE [SAVEPOINT] name.
type Release struct {
	Place
	Name Ident
}

// RollbackTo is ROLLBACK TO [SAVEPOINT] name.
type RollbackTo struct {
	Place
	Name Ident
}

// Prepare is PREPARE name (types) AS statement.
type Prepare struct {
	Place
	Name  Ident
	Types []TypeName
	Stmt  Stmt
}

// Execute is EXECUTE name (args).
type Execute struct {
	Place
	Name Ident
	Args []Expr
}

// Deallocate is DEALLOCATE name or ALL.
type Deallocate struct {
	Place
	Name Ident
	All  bool
}

// CreateCohort is CREATE COHORT name AS query.
type CreateCohort struct {
	Place
	Replace bool
	Name    Ident
	Query   Query
	Static  bool // WITH (STATIC)
	Refresh Expr // WITH (REFRESH interval), nil when not given
}

// RefreshCohort is REFRESH COHORT name.
type RefreshCohort struct {
	Place
	Name Ident
}

// RenameCohort is ALTER COHORT name RENAME TO name.
type RenameCohort struct {
	Place
	Name Ident
	To   Ident
}

// DropCohort is DROP COHORT [IF EXISTS] name.
type DropCohort struct {
	Place
	IfExists bool
	Name     Ident
}

// NoEffect is a statement that clients send unasked and that does nothing here.
type NoEffect struct {
	Place
	Tag  string // the command tag to answer with: "LISTEN", "VACUUM"
	Warn bool   // tell the client that it did nothing (01000)
	Text string // the whole statement
}

// Unsupported is a statement, or a part of one, that parses only far enough to
// be named. What completes the sentence "… is not supported".
type Unsupported struct {
	Place
	What string
	Text string // the whole statement
}

// ShortKind is which shorthand a Shorthand is.
type ShortKind uint8

// The shorthand statements.
const (
	ShortFunnel ShortKind = iota
	ShortTrends
	ShortRetention
)

// Shorthand is a FUNNEL, TRENDS or RETENTION statement for people at a prompt.
// Expand turns it into a Select over the operator.
type Shorthand struct {
	Place
	Kind    ShortKind
	Steps   []ShortStep
	Persons bool   // TRENDS: count persons, not events
	Every   string // TRENDS, RETENTION: hour, day, week or month; empty for none
	Within  *Span  // FUNNEL
	Periods *Span  // RETENTION: FOR n units
	Last    *Span  // LAST n units
	Where   Expr
	By      []SelectItem
}

// ShortStep is an event name or a condition.
type ShortStep struct {
	Place
	Event string
	Cond  Expr // nil means event = Event
}

// Span is n units; Unit is singular and lower case: minute, hour, day, week, month, year.
type Span struct {
	Place
	N    int
	Unit string
}

func (*Select) stmt()         {}
func (*SetOp) stmt()          {}
func (*Values) stmt()         {}
func (*Explain) stmt()        {}
func (*Set) stmt()            {}
func (*SetTransaction) stmt() {}
func (*Show) stmt()           {}
func (*Reset) stmt()          {}
func (*Discard) stmt()        {}
func (*Begin) stmt()          {}
func (*Commit) stmt()         {}
func (*Rollback) stmt()       {}
func (*Savepoint) stmt()      {}
func (*Release) stmt()        {}
func (*RollbackTo) stmt()     {}
func (*Prepare) stmt()        {}
func (*Execute) stmt()        {}
func (*Deallocate) stmt()     {}
func (*CreateCohort) stmt()   {}
func (*RefreshCohort) stmt()  {}
func (*RenameCohort) stmt()   {}
func (*DropCohort) stmt()     {}
func (*NoEffect) stmt()       {}
func (*Unsupported) stmt()    {}
func (*Shorthand) stmt()      {}
