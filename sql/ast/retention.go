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

// StartPeriod is the words after MEASURE: whether the return events of the start's own
// period count.
type StartPeriod uint8

// StartPeriodDefault means WITH if START and RETURN are different conditions.
const (
	StartPeriodDefault StartPeriod = iota
	WithStartPeriod
	WithoutStartPeriod
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
	Own      StartPeriod // of MEASURE
	Output   Output      // OutputMatrix, OutputCurve or OutputActors
}
