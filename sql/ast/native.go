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

// FunnelMode is the MODE clause.
type FunnelMode uint8

// The funnel modes. ModeDefault means ORDERED.
const (
	ModeDefault FunnelMode = iota
	ModeOrdered
	ModeStrict
	ModeUnordered
)

// FunnelEntry is the ENTRY clause.
type FunnelEntry uint8

// The entries. EntryDefault means BEST.
const (
	EntryDefault FunnelEntry = iota
	EntryBest
	EntryFirst
	EntryEvery
	EntryEach
)

// Funnel is FUNNEL(…).
type Funnel struct {
	Place
	Common
	Steps       []Step
	Within      Expr
	Mode        FunnelMode
	Entry       FunnelEntry
	Holding     []Expr
	Exclude     []Exclusion
	Output      Output // OutputSteps, OutputActors or OutputTrend
	TrendBucket Expr   // the interval of OUTPUT TREND BY
}

// Step is one funnel step.
type Step struct {
	Place
	Name     Ident
	Cond     Expr
	Optional bool
	Within   Expr
}

// ExcludeAs is what an exclusion does to an attempt.
type ExcludeAs uint8

// ExcludeDefault means DISCARD.
const (
	ExcludeDefault ExcludeAs = iota
	ExcludeDiscard
	ExcludeDrop
)

// Exclusion is one element of EXCLUDE.
type Exclusion struct {
	Place
	Cond          Expr
	After, Before *Ident
	As            ExcludeAs
}

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

// MeasureKind is what a series counts.
type MeasureKind uint8

// The measures.
const (
	MeasureAggregate     MeasureKind = iota // Agg
	MeasureActors                           // ACTORS()
	MeasureNewActors                        // NEW_ACTORS()
	MeasureRollingActors                    // ROLLING_ACTORS(Window)
	MeasurePerActor                         // PER_ACTOR(Agg, Inner); Agg's argument is the name _
)

// Measure is what a series of TRENDS computes.
type Measure struct {
	Place
	Kind   MeasureKind
	Agg    Expr
	Inner  Expr
	Window Expr
}

// Series is one named measure of TRENDS.
type Series struct {
	Place
	Name    Ident
	Measure Measure
	Where   Expr
}

// Formula is one named formula over series and earlier formulas.
type Formula struct {
	Place
	Name Ident
	Expr Expr
}

// CompareKind is the COMPARE clause.
type CompareKind uint8

// The comparisons.
const (
	CompareNone CompareKind = iota
	ComparePrevious
	CompareEarlier // by an interval
)

// Trends is TRENDS(…).
type Trends struct {
	Place
	Common
	Series     []Series
	Formulas   []Formula
	Every      Expr // nil: one bucket over the whole of DURING
	Compare    CompareKind
	CompareBy  Expr // of CompareEarlier
	Cumulative bool
	Smooth     int // 0 when not given
	Fill       Expr
	Output     Output // OutputWide or OutputLong
}

// Paths is PATHS(…).
type Paths struct {
	Place
	Common
	Node        Expr
	StartAt     Expr
	EndAt       Expr
	Depth       int // 0 when not given
	SessionGap  Expr
	EdgesTop    int    // 0 when not given
	RepeatsKeep bool   // equal neighbours stay
	Output      Output // OutputEdges, OutputActors or OutputTransitions
}

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
