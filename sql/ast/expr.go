package ast

// Expr is one expression. All types of it are pointers.
type Expr interface {
	Node
	expr()
}

// Name is a possibly dotted name: a column, an alias, table.column, or a path
// into a JSON column. At least one part.
type Name struct {
	Place
	Parts []Ident
}

// Star is *, t.*, with the changes of EXCLUDE and REPLACE.
type Star struct {
	Place
	Table   []Ident
	Exclude []Ident
	Replace []SelectItem // every item has an alias
}

// Columns is COLUMNS('regex').
type Columns struct {
	Place
	Regex string
}

// Number is a numeric literal. Text is decimal: digits, perhaps a point, perhaps
// an exponent. Hexadecimal, octal and binary integers are already converted.
type Number struct {
	Place
	Text string
}

// Integer says whether the literal has neither point nor exponent.
func (n *Number) Integer() bool {
	for i := 0; i < len(n.Text); i++ {
		if n.Text[i] < '0' || n.Text[i] > '9' {
			return false
		}
	}
	return true
}

// String is a text literal without a type of its own.
type String struct {
	Place
	Value string
}

// Bytes is X'…', a bytea.
type Bytes struct {
	Place
	Value string
}

// Null is NULL.
type Null struct{ Place }

// Bool is TRUE or FALSE.
type Bool struct {
	Place
	Value bool
}

// Param is $Index, from 1.
type Param struct {
	Place
	Index int
}

// Default is DEFAULT in VALUES.
type Default struct{ Place }

// Typed is a type name before a string: DATE '2026-01-01', INTERVAL '1' DAY.
type Typed struct {
	Place
	Type  TypeName
	Value string
	At    Place // of Value
}

// TypeName is a type as written. Words are put together into one name: "double
// precision", "timestamptz", "varchar". The binder knows the aliases.
type TypeName struct {
	Place
	Schema string // usually empty
	Name   string
	Quoted bool   // "char" in quotes is another type than char
	Mods   []int  // varchar(20), numeric(10, 2), timestamp(3)
	Fields string // of an interval: "day", "day to second"; empty for none
	Array  int    // dimensions: text[] has one
}

// Unary is a prefix operator: + - ~ @ |/ ||/ and others.
type Unary struct {
	Place
	Op string
	X  Expr
}

// Binary is an infix operator, without AND and OR. != is written <>.
type Binary struct {
	Place
	Op          string
	Left, Right Expr
}

// Not is NOT X.
type Not struct {
	Place
	X Expr
}

// Logic is a chain of ANDs, or of ORs: two or more arguments.
type Logic struct {
	Place
	Or   bool
	Args []Expr
}

// IsKind is what an Is tests for.
type IsKind uint8

// The tests of IS.
const (
	IsNull IsKind = iota
	IsTrue
	IsFalse
	IsUnknown
)

// Is is X IS [NOT] NULL, TRUE, FALSE or UNKNOWN.
type Is struct {
	Place
	X    Expr
	Kind IsKind
	Not  bool
}

// IsDistinct is Left IS [NOT] DISTINCT FROM Right.
type IsDistinct struct {
	Place
	Left, Right Expr
	Not         bool
}

// Between is X [NOT] BETWEEN [SYMMETRIC] Low AND High.
type Between struct {
	Place
	X, Low, High Expr
	Not          bool
	Symmetric    bool
}

// In is X [NOT] IN (list) or (query). X is a Row for row comparison.
type In struct {
	Place
	X     Expr
	Not   bool
	List  []Expr
	Query Query // not nil: the query form
}

// InCohort is X [NOT] IN COHORT set.
type InCohort struct {
	Place
	X   Expr
	Not bool
	Set CohortSet
}

// CohortSet is the right side of IN COHORT: *CohortName, *CohortQuery or *CohortOp.
type CohortSet interface {
	Node
	cohortSet()
}

// CohortName names a cohort: by name, by number or by parameter. Exactly one is set.
type CohortName struct {
	Place
	Name  string // also the string form
	ID    int    // from 1
	Param *Param // nil for none
}

// NumberCohorts has a query refer to cohorts by the numbers that number knows their names by, 0 for
// none: it goes on to mean the same ones when these have other names. It says whether it changed
// the query.
func NumberCohorts(q Query, number func(name string) int64) (changed bool) {
	EachCohort(q, func(n *CohortName, t *CohortTable) {
		if n.ID > 0 || n.Param != nil {
			return
		}
		if id := number(n.Name); id > 0 {
			if t != nil && t.Alias == nil {
				t.Alias = &Alias{Name: ID(n.Name)}
			}
			n.ID, n.Name, changed = int(id), "", true
		}
	})
	return changed
}

// NameCohorts is the contrary of NumberCohorts, for people: what has no name, which is empty, keeps
// its number.
func NameCohorts(q Query, name func(id int64) string) (changed bool) {
	EachCohort(q, func(n *CohortName, t *CohortTable) {
		if n.ID == 0 {
			return
		}
		if s := name(int64(n.ID)); s != "" {
			if t != nil && t.Alias != nil && t.Alias.Name.Name == s && len(t.Alias.Columns) == 0 {
				t.Alias = nil
			}
			n.ID, n.Name, changed = 0, s, true
		}
	})
	return changed
}

// EachCohort shows the references to cohorts in a query, which may be changed, with the item of FROM
// that one is, or nil.
func EachCohort(q Query, visit func(*CohortName, *CohortTable)) {
	Walk(q, func(n Node) bool {
		switch n := n.(type) {
		case *CohortName:
			visit(n, nil)
		case *CohortTable:
			visit(&n.Cohort, n)
		}
		return true
	})
}

// CohortQuery is an inline cohort.
type CohortQuery struct {
	Place
	Query Query
}

// CohortOp combines two sets.
type CohortOp struct {
	Place
	Op          SetOpKind
	Left, Right CohortSet
}

func (*CohortName) cohortSet()  {}
func (*CohortQuery) cohortSet() {}
func (*CohortOp) cohortSet()    {}

// LikeKind is LIKE, ILIKE or SIMILAR TO.
type LikeKind uint8

// The pattern operators.
const (
	LikeCase LikeKind = iota
	LikeNoCase
	LikeSimilar
)

// Quantifier is ANY or ALL after an operator.
type Quantifier uint8

// The quantifiers. SOME is ANY.
const (
	NoQuantifier Quantifier = iota
	Any
	All
)

// Like is X [NOT] LIKE Pattern [ESCAPE Escape]. With a quantifier, Pattern is an
// array, or a *Subquery.
type Like struct {
	Place
	X, Pattern, Escape Expr // Escape is nil when not given
	Kind               LikeKind
	Not                bool
	Quantifier         Quantifier
}

// Quantified is X op ANY (array) or (query). Exactly one of Array and Query is set.
type Quantified struct {
	Place
	Op         string
	X          Expr
	Quantifier Quantifier
	Array      Expr
	Query      Query
}

// Case is both forms of CASE; Operand is nil in the searched form.
type Case struct {
	Place
	Operand Expr
	Whens   []When
	Else    Expr
}

// When is one branch of a Case.
type When struct {
	Cond, Result Expr
}

// Cast is CAST(X AS Type) or X::Type; Try is TRY_CAST or ::?.
type Cast struct {
	Place
	X    Expr
	Type TypeName
	Try  bool
}

// Call is a function or aggregate call. The special spellings are calls too:
// substring(x FROM a FOR b) is substring(x, a, b), position(a IN b) is
// position(b, a), trim is btrim, ltrim or rtrim, OVERLAPS is overlaps.
type Call struct {
	Place
	Name        []Ident // the last is the function, before it a schema
	Args        []Arg
	Star        bool // count(*)
	Distinct    bool
	OrderBy     []OrderItem // inside the parentheses
	WithinGroup []OrderItem // WITHIN GROUP (ORDER BY …)
	Filter      Expr
	IgnoreNulls bool
	Over        *WindowSpec // not nil for a window call
}

// Func is the unqualified name of the function.
func (c *Call) Func() string { return c.Name[len(c.Name)-1].Name }

// Arg is one argument, perhaps named: f(a => 1).
type Arg struct {
	Place
	Name     *Ident
	Value    Expr
	Variadic bool
}

// Keyword is a value that is called without parentheses: current_date,
// current_timestamp, localtime, current_user, session_user, user, current_role,
// current_catalog, current_schema. Name is lower case.
type Keyword struct {
	Place
	Name      string
	Precision int // of CURRENT_TIMESTAMP(p); -1 when not given
}

// Index is X[I].
type Index struct {
	Place
	X, I Expr
}

// Slice is X[Low:High]; either may be nil.
type Slice struct {
	Place
	X, Low, High Expr
}

// Field is (X).name, or (X).* when Star is set.
type Field struct {
	Place
	X    Expr
	Name Ident
	Star bool
}

// Array is ARRAY[…].
type Array struct {
	Place
	Elems []Expr
}

// ArrayQuery is ARRAY(query).
type ArrayQuery struct {
	Place
	Query Query
}

// Row is (a, b) or ROW(a, b).
type Row struct {
	Place
	Elems    []Expr
	Explicit bool // written with ROW
}

// Exists is EXISTS (query).
type Exists struct {
	Place
	Query Query
}

// Subquery is a query used as a value.
type Subquery struct {
	Place
	Query Query
}

// AtTimeZone is X AT TIME ZONE Zone.
type AtTimeZone struct {
	Place
	X, Zone Expr
}

// Collate is X COLLATE name.
type Collate struct {
	Place
	X    Expr
	Name []Ident
}

// Collation is the name without its schema.
func (c *Collate) Collation() string { return c.Name[len(c.Name)-1].Name }

// Extract is EXTRACT(Field FROM X). Field is lower case.
type Extract struct {
	Place
	Field string
	X     Expr
}

// WindowSpec is what follows OVER, or a WINDOW element.
type WindowSpec struct {
	Place
	Ref       *Ident // OVER w; nothing else is set
	Base      *Ident // (w ORDER BY …)
	Partition []Expr
	OrderBy   []OrderItem
	Frame     *Frame
}

// FrameMode is the unit of a window frame.
type FrameMode uint8

// The frame modes.
const (
	FrameRange FrameMode = iota
	FrameRows
	FrameGroups
)

// FrameExclude is what a frame leaves out.
type FrameExclude uint8

// The exclusions.
const (
	ExcludeNothing FrameExclude = iota
	ExcludeCurrentRow
	ExcludeGroup
	ExcludeTies
)

// Frame is a window frame; the short form has End at the current row.
type Frame struct {
	Place
	Mode       FrameMode
	Start, End FrameBound
	Exclude    FrameExclude
}

// BoundKind is one end of a frame.
type BoundKind uint8

// The bounds.
const (
	UnboundedPreceding BoundKind = iota
	OffsetPreceding
	CurrentRow
	OffsetFollowing
	UnboundedFollowing
)

// FrameBound is one end of a frame; Offset is set for the two Offset kinds.
type FrameBound struct {
	Kind   BoundKind
	Offset Expr
}

func (*Name) expr()       {}
func (*Star) expr()       {}
func (*Columns) expr()    {}
func (*Number) expr()     {}
func (*String) expr()     {}
func (*Bytes) expr()      {}
func (*Null) expr()       {}
func (*Bool) expr()       {}
func (*Param) expr()      {}
func (*Default) expr()    {}
func (*Typed) expr()      {}
func (*Unary) expr()      {}
func (*Binary) expr()     {}
func (*Not) expr()        {}
func (*Logic) expr()      {}
func (*Is) expr()         {}
func (*IsDistinct) expr() {}
func (*Between) expr()    {}
func (*In) expr()         {}
func (*InCohort) expr()   {}
func (*Like) expr()       {}
func (*Quantified) expr() {}
func (*Case) expr()       {}
func (*Cast) expr()       {}
func (*Call) expr()       {}
func (*Keyword) expr()    {}
func (*Index) expr()      {}
func (*Slice) expr()      {}
func (*Field) expr()      {}
func (*Array) expr()      {}
func (*ArrayQuery) expr() {}
func (*Row) expr()        {}
func (*Exists) expr()     {}
func (*Subquery) expr()   {}
func (*AtTimeZone) expr() {}
func (*Collate) expr()    {}
func (*Extract) expr()    {}
