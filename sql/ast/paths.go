package ast

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
	WeightFrom  int    // of WEIGHT FROM n TO m: the least count of an edge; 0 when not given
	WeightTo    int    // the greatest; 0 when not given
	RepeatsKeep bool   // equal neighbours stay
	Output      Output // OutputEdges, OutputActors or OutputTransitions
}
