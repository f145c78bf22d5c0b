package ast

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
	TrendActors bool   // OUTPUT TREND ACTORS: who, instead of how many
	// TrendFrom and TrendTo are FROM step TO step, both or none.
	TrendFrom, TrendTo *Ident
}

// Step is one funnel step.
type Step struct {
	Place
	Name Ident
	Cond Expr
	// First is true for FIRST EVER: only the person's first row that satisfies FirstOf,
	// or Cond if that is nil, can be the step.
	First    bool
	FirstOf  Expr
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
