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
