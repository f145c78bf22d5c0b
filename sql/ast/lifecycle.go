package ast

// Lifecycle is LIFECYCLE(…).
type Lifecycle struct {
	Place
	Common
	Created Expr // when the actor came into being; nil when not given
	Every   Expr
	Output  Output // OutputDefault or OutputActors
}

// StickinessSeries is one named condition of STICKINESS.
type StickinessSeries struct {
	Place
	Name Ident
	Cond Expr
}

// Bound says how the number before TIMES bounds the rows that a bucket needs.
type Bound uint8

// BoundMinimum is MINIMUM n TIMES, and so on.
const (
	BoundMinimum Bound = iota
	BoundMaximum
	BoundExactly
)

// Stickiness is STICKINESS(…).
type Stickiness struct {
	Place
	Common
	Series  []StickinessSeries
	Every   Expr
	AlignTo Expr // the instant that buckets are counted back from; nil when not given
	Rule    Rule // RuleOn or RuleOnOrMore
	Bound   Bound
	Times   int    // of MINIMUM, MAXIMUM or EXACTLY n TIMES; 0 when not given
	Output  Output // OutputDefault or OutputActors
}
