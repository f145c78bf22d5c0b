package ast

// Lifecycle is LIFECYCLE(…).
type Lifecycle struct {
	Place
	Common
	Every  Expr
	Output Output // OutputDefault or OutputActors
}

// StickinessSeries is one named condition of STICKINESS.
type StickinessSeries struct {
	Place
	Name Ident
	Cond Expr
}

// Stickiness is STICKINESS(…).
type Stickiness struct {
	Place
	Common
	Series  []StickinessSeries
	Every   Expr
	Rule    Rule   // RuleOn or RuleOnOrMore
	Minimum int    // 0 when not given
	Output  Output // OutputDefault or OutputActors
}
