package ast

// MeasureKind is what a series counts.
type MeasureKind uint8

// The measures.
const (
	MeasureAggregate     MeasureKind = iota // Agg
	MeasureActors                           // ACTORS()
	MeasureNewActors                        // NEW_ACTORS([First] [BREAKDOWN OF Valued])
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
	First  Expr
	Valued Expr
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
	CompareAt  Place
	CompareBy  Expr // of CompareEarlier
	Cumulative bool
	Smooth     int // 0 when not given
	Fill       Expr
	Output     Output // OutputWide or OutputLong
}
