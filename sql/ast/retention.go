package ast

// RetentionFirst is the word after START.
type RetentionFirst uint8

// FirstDefault means FIRST IN RANGE.
const (
	FirstDefault RetentionFirst = iota
	FirstInRange
	FirstEver
	EveryTime
)

// Rule is RULE ON, ON OR AFTER (retention) or ON OR MORE (stickiness).
type Rule uint8

// RuleDefault means ON.
const (
	RuleDefault Rule = iota
	RuleOn
	RuleOnOrAfter
	RuleOnOrMore
)

// Align is the ALIGN clause.
type Align uint8

// AlignDefault means CALENDAR.
const (
	AlignDefault Align = iota
	AlignCalendar
	AlignActor
)

// Retention is RETENTION(…).
type Retention struct {
	Place
	Common
	Start    Expr
	First    RetentionFirst
	FirstOf  Expr // of FIRST EVER OF; nil means the START condition
	Return   Expr // nil means the START condition
	Minimum  int  // MINIMUM n TIMES; 0 when not given
	Every    Expr
	Periods  int // FOR n PERIODS; 0 when not given
	Brackets []int
	Rule     Rule
	Align    Align
	Measure  *SelectItem
	Output   Output // OutputMatrix, OutputCurve or OutputActors
}
