package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Native is a native operator: FUNNEL, RETENTION, TRENDS and what else sees events as
// actors' rows in time.
type Native interface {
	Node
	// Kind is the operator's name in lower case, as lists of running queries show it.
	Kind() string
	// mapExprs is the operator with other expressions.
	mapExprs(mapper) Node
	// withSource is the operator with its source changed.
	withSource(func(Source) Source) Node
	// hints is what rows the operator can need.
	hints() hints
	// time is the source's time.
	time() expr.Expr
	// Guess is how many rows come out of so many.
	Guess(rows float64) float64
}

// Source is what every native operator reads: rows of actors in time. All expressions
// are over the schema of Input. Rows whose actor or time is null do not count.
type Source struct {
	Input Node
	Actor expr.Expr
	Time  expr.Expr // timestamptz
	// Tie orders rows of one actor with equal times; nil means in order of arrival.
	Tie   expr.Expr
	Where expr.Expr // or nil
	// From and To are DURING, half open, constant timestamptz; nil means open.
	From, To expr.Expr
	// Zone is the IANA name in which calendar units are cut; empty: the session's.
	Zone string
	// Sunday is true if weeks start on Sunday.
	Sunday bool
	// Compatible is true for the rules of the insight queries. Rows whose actor is the
	// empty text do not count then either, but in TRENDS they are those of one actor.
	Compatible bool
	Breakdown  *Breakdown // or nil
}

// Breakdown splits an operator's answer by values.
type Breakdown struct {
	Exprs     []expr.Expr
	Names     []string
	Bins      []int // per expression: how many bins its numbers fall into, 0 for none; or nil
	Attribute Attribute
	Step      int // for AttributeStep: position in Steps
	Top       int // 0: all
	WithOther bool
}

// Attribute says which event gives a funnel attempt its breakdown value.
type Attribute uint8

// The rules of ATTRIBUTE.
const (
	AttributeFirst Attribute = iota
	AttributeLast
	AttributeEach
	AttributeStep
)

// Output is what rows a native operator yields.
type Output uint8

// The outputs. OutputDefault is STEPS, MATRIX, WIDE or EDGES.
const (
	OutputDefault Output = iota
	OutputActors
	OutputTrend
	OutputCurve
	OutputLong
	OutputTransitions
)

func (s *Source) breakdownFields() vec.Schema {
	var out vec.Schema
	if s.Breakdown == nil {
		return nil
	}
	for i, e := range s.Breakdown.Exprs {
		out = append(out, vec.Field{Name: s.Breakdown.Names[i], Type: e.Type()})
	}
	if s.Breakdown.WithOther {
		out = append(out, vec.Field{Name: "is_other", Type: vec.T(vec.Bool)})
	}
	return out
}

func (s *Source) time() expr.Expr { return s.Time }

// Guess implements Native: operators with few rows need not say so.
func (s *Source) Guess(rows float64) float64 { return min(rows, 100) }
