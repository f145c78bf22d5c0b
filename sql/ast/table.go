package ast

// TableExpr is what may stand in FROM. All types of it are pointers.
type TableExpr interface {
	Node
	tableExpr()
}

// Alias names a table expression and perhaps its columns.
type Alias struct {
	Place
	Name    Ident // empty when only columns are given: f() AS (a int)
	Columns []ColumnDef
}

// ColumnDef is a column name of an alias; Type is set in AS t(a int).
type ColumnDef struct {
	Place
	Name Ident
	Type *TypeName
}

// TableName is a table, view or CTE by name.
type TableName struct {
	Place
	Name   []Ident // catalog.schema.table: one to three parts
	Only   bool
	Alias  *Alias
	Sample *Sample
}

// Sample is TABLESAMPLE.
type Sample struct {
	Place
	Method  string // lower case: bernoulli, system, actors
	Percent Expr
	Seed    Expr // REPEATABLE (seed), nil when not given
}

// Derived is a query in FROM.
type Derived struct {
	Place
	Lateral bool
	Query   Query
	Alias   *Alias
}

// JoinKind is the kind of a Join.
type JoinKind uint8

// The joins. A comma is not one: it makes a list in Select.From.
const (
	JoinInner JoinKind = iota
	JoinLeft
	JoinRight
	JoinFull
	JoinCross
	JoinSemi
	JoinAnti
	JoinAsof
	JoinAsofLeft
)

// Join is a join of two table expressions. Its place is the JOIN keyword's. On,
// Using and Natural exclude each other; a cross join has none.
type Join struct {
	Place
	Kind        JoinKind
	Natural     bool
	Left, Right TableExpr
	On          Expr
	Using       []Ident
	UsingAlias  *Ident // USING (…) AS x
	Alias       *Alias // of the parenthesised join
}

// FuncTable is one or more table functions: f(x), or ROWS FROM (f(x), g(y)).
type FuncTable struct {
	Place
	Lateral    bool
	Calls      []FuncCall
	RowsFrom   bool
	Ordinality bool
	Alias      *Alias
}

// FuncCall is a function in FROM. Call is a *Call, or a *Keyword.
type FuncCall struct {
	Call    Expr
	Columns []ColumnDef // ROWS FROM (f() AS (a int))
}

// Pivot is Input PIVOT (aggs FOR cols IN (values) GROUP BY cols).
type Pivot struct {
	Place
	Input   TableExpr
	Aggs    []SelectItem
	For     []Expr
	In      []SelectItem // constants, perhaps named; rows when For has several
	GroupBy []Expr
	Alias   *Alias
}

// Unpivot is Input UNPIVOT (Value FOR Name IN (Columns)).
type Unpivot struct {
	Place
	Input        TableExpr
	IncludeNulls bool
	Value, Name  Ident
	Columns      []SelectItem
	Alias        *Alias
}

// CohortTable is COHORT c in FROM: one column, actor.
type CohortTable struct {
	Place
	Cohort CohortName
	Alias  *Alias
}

func (*TableName) tableExpr()   {}
func (*Derived) tableExpr()     {}
func (*Join) tableExpr()        {}
func (*FuncTable) tableExpr()   {}
func (*Pivot) tableExpr()       {}
func (*Unpivot) tableExpr()     {}
func (*CohortTable) tableExpr() {}
func (*Funnel) tableExpr()      {}
func (*Retention) tableExpr()   {}
func (*Trends) tableExpr()      {}
func (*Paths) tableExpr()       {}
func (*Lifecycle) tableExpr()   {}
func (*Stickiness) tableExpr()  {}
