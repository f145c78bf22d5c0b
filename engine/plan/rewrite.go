package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
)

// rules are the rewrites, in order. Filters are merged and moved down before scans look
// for hints in the filter above them; columns are pruned last, since every rule before
// may have made some unnecessary; what is left is read late where few rows are wanted.
var rules = []struct {
	name  string
	apply func(Node) Node
}{
	{"fold_constants", foldConstants},
	{"dates_as_days", datesAsDays},
	{"factor_conditions", factorConditions},
	{"push_filters", pushFilters},
	{"imply_conditions", implyConditions},
	{"plain_keys", plainKeys},
	{"order_joins", orderJoins},
	{"merge_projects", mergeProjects},
	{"drop_filters", dropFilters},
	{"dependent_keys", dependentKeys},
	{"sums_of_shifts", sumsOfShifts},
	{"averages_of_sums", averagesOfSums},
	{"group_distinct", groupDistinct},
	{"read_properties", readProperties},
	{"top_n", topN},
	{"hint_scans", hintScans},
	{"prune_columns", pruneColumns},
	{"read_late", readLate},
}

// The names of what is decided when a plan runs: where semi joins stand, by [PushSemiJoins], the
// order of joins, by [Arrange], which groups need not be computed, by [NarrowGroups], or not twice, by
// [ShareGroups], whether scans drop rows whose keys are not in the other
// side of a join, whether rows and persons are counted from run indexes, whether the rows of persons are
// numbered by them, whether of a partition of a window only the first rows are kept that a condition on
// row_number() lets pass, whether attempts are grouped by actor as they come, whether rows of
// rare events are read together, and whether of groups that are sorted only those are finished that may be among
// the first.
const (
	PushedSemiJoins = "push_semi_joins"
	ArrangeJoins    = "arrange_joins"
	NarrowedGroups  = "narrow_groups"
	SharedGroups    = "share_groups"
	JoinFilters     = "join_filters"
	CountRuns       = "count_runs"
	ActorGroups     = "actor_groups"
	NumberRuns      = "number_runs"
	FirstRows       = "first_rows"
	JoinedRanges    = "join_ranges"
	FirstGroups     = "first_groups"
)

// Rules lists the names of the rules. A plan gives the same rows without any of them.
func Rules() []string {
	var names []string
	for i := range rules {
		names = append(names, rules[i].name)
	}
	return append(names, PushedSemiJoins, ArrangeJoins, NarrowedGroups, SharedGroups, JoinFilters, CountRuns, ActorGroups, NumberRuns, FirstRows, JoinedRanges, FirstGroups)
}

// Rewrite improves a plan by all rules but those that are named. The result gives the same
// rows. Nothing in it depends on the session, on parameters or on the time, so a prepared
// statement is rewritten once.
func Rewrite(n Node, without ...string) Node {
	for i := range rules {
		if !slices.Contains(without, rules[i].name) {
			n = rules[i].apply(n)
		}
	}
	return n
}

// everywhere applies f to every node, inputs first.
func everywhere(n Node, f func(Node) Node) Node {
	return f(overInputs(n, func(in Node) Node { return everywhere(in, f) }))
}

// overInputs applies f to the inputs of a node. It is n itself if that changes none.
func overInputs(n Node, f func(Node) Node) Node {
	old := n.Inputs()
	changed := false
	in := make([]Node, len(old))
	for i, x := range old {
		in[i] = f(x)
		changed = changed || in[i] != x
	}
	if changed {
		return n.WithInputs(in)
	}
	return n
}

// mapExprs is the node with f applied to each of its expressions.
func mapExprs(n Node, f func(expr.Expr) expr.Expr) Node {
	m := mapper(f)
	switch n := n.(type) {
	case *Scan:
		c := *n
		c.From, c.To = m.one(n.From), m.one(n.To)
		c.Ranges = nil
		for _, r := range n.Ranges {
			c.Ranges = append(c.Ranges, Range{r.Column, m.one(r.Low), m.one(r.High)})
		}
		if n.Whose != nil {
			c.Whose = &Whose{n.Whose.Column, m.list(n.Whose.Values)}
		}
		return &c
	case *Filter:
		return &Filter{n.Input, m.one(n.Cond)}
	case *Project:
		return &Project{n.Input, m.list(n.Exprs), n.Names}
	case *Aggregate:
		c := *n
		c.Keys = m.list(n.Keys)
		c.Aggs = nil
		for _, a := range n.Aggs {
			c.Aggs = append(c.Aggs, m.call(a))
		}
		return &c
	case *Join:
		c := *n
		c.LeftKeys, c.RightKeys, c.On = m.list(n.LeftKeys), m.list(n.RightKeys), m.one(n.On)
		return &c
	case *Repeat:
		return &Repeat{n.Input, m.one(n.Times)}
	case *Window:
		return n.mapExprs(m)
	case *Expand:
		return n.mapExprs(m)
	case *Sort:
		return &Sort{n.Input, m.keys(n.Keys)}
	case *TopN:
		return &TopN{n.Input, m.keys(n.Keys), m.one(n.Limit), m.one(n.Offset)}
	case *Limit:
		return &Limit{n.Input, m.one(n.Limit), m.one(n.Offset)}
	case *Values:
		c := *n
		c.Rows = nil
		for _, row := range n.Rows {
			c.Rows = append(c.Rows, m.list(row))
		}
		return &c
	case Native:
		return n.mapExprs(m)
	}
	return n
}

// mapper applies a function to what expressions are held in; nil stays nil.
type mapper func(expr.Expr) expr.Expr

func (m mapper) one(e expr.Expr) expr.Expr {
	if e == nil {
		return nil
	}
	return m(e)
}

func (m mapper) list(in []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(in))
	for i, e := range in {
		out[i] = m.one(e)
	}
	return out
}

func (m mapper) keys(in []SortKey) []SortKey {
	var out []SortKey
	for _, k := range in {
		k.Expr = m.one(k.Expr)
		out = append(out, k)
	}
	return out
}

func (m mapper) call(a AggCall) AggCall {
	a.Args, a.Filter, a.OrderBy = m.list(a.Args), m.one(a.Filter), m.keys(a.OrderBy)
	return a
}

func (m mapper) source(s Source) Source {
	s.Actor, s.Time, s.Tie, s.Where, s.From, s.To = m.one(s.Actor), m.one(s.Time), m.one(s.Tie), m.one(s.Where), m.one(s.From), m.one(s.To)
	if s.Breakdown != nil {
		b := *s.Breakdown
		b.Exprs = m.list(b.Exprs)
		s.Breakdown = &b
	}
	return s
}

// Fresh is a plan that nothing of an execution stays in: its expressions are others, which keep what they
// learn of dictionaries to themselves. Who keeps a plan runs a fresh one each time.
func Fresh(n Node) Node {
	return everywhere(n, func(n Node) Node { return mapExprs(n, expr.Fresh) })
}

// eachExpr visits the expressions of a node.
func eachExpr(n Node, visit func(expr.Expr)) {
	mapExprs(n, func(e expr.Expr) expr.Expr { visit(e); return e })
}

// Volatile says whether a plan may give other rows when it runs again in one statement.
func Volatile(n Node) bool {
	found := false
	eachExpr(n, func(e expr.Expr) { found = found || expr.Volatile(e) })
	for _, in := range n.Inputs() {
		found = found || Volatile(in)
	}
	return found
}
