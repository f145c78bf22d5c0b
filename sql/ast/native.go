package ast

// Common are the clauses that all native operators share. Nil means not given.
type Common struct {
	Source     TableExpr // nil means the table events
	Where      Expr
	Actor      Expr
	Time       Expr // EVENT TIME
	During     *During
	Zone       Expr   // TIME ZONE
	WeekStart  string // "monday", "sunday"; empty when not given
	Compatible bool   // the rules of the insight queries
	Breakdown  *Breakdown
	Alias      *Alias
}

// During is DURING (From, To), half open.
type During struct {
	Place
	From, To Expr
}

// Attribute is the rule that gives an attempt its breakdown value.
type Attribute uint8

// The attribution rules. AttributeDefault means FIRST.
const (
	AttributeDefault Attribute = iota
	AttributeFirst
	AttributeLast
	AttributeEach
	AttributeStep
)

// Breakdown is BREAKDOWN BY.
type Breakdown struct {
	Place
	Items     []SelectItem
	Bins      []int // by item: how many bins its numbers fall into; 0 or missing: none
	Attribute Attribute
	Step      Ident // of ATTRIBUTE STEP
	Top       int   // 0 means all values
	Other     bool  // WITH OTHER
}

// Output is the OUTPUT clause of any operator.
type Output uint8

// The outputs. OutputDefault is the first one that the operator's grammar lists.
const (
	OutputDefault Output = iota
	OutputSteps
	OutputActors
	OutputTrend
	OutputMatrix
	OutputCurve
	OutputWide
	OutputLong
	OutputEdges
	OutputTransitions
)
