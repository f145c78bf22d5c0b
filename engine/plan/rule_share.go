package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
)

// maxShared is how many groups are kept at most to be read again: they stay in memory.
const maxShared = 1 << 17

// maxKey is how long the text may be that says which plan computes groups that are shared, in bytes.
const maxKey = 64 << 10

// ShareGroups has groups that a plan computes several times, as a query of WITH that is named twice
// does, computed once, before the plan that reads them: where they seem to be few, and are not
// narrowed by what they are joined with. The result gives the same rows. Like Arrange it is for
// the snapshot that is read.
func ShareGroups(n Node, s Statistics) Node {
	top, ok := n.(*Setup)
	if !ok {
		top = &Setup{Input: n}
	}
	if _, ok := top.Input.(*Modify); ok || slices.ContainsFunc(top.Subs, func(sub Sub) bool { return sub.Kind == WriteSub }) {
		return n // who writes the rows knows the subqueries by their places
	}
	var sh sharing
	for _, sub := range top.Subs {
		sh.collect(sub.Node, s)
	}
	for i := range sh.repeated {
		sh.repeated[i].times = min(1, sh.repeated[i].times) // an error there may count for nothing, so the plan must read them, too
	}
	sh.collect(top.Input, s)
	sh.repeated = slices.DeleteFunc(sh.repeated, func(r repeated) bool { return r.times < 2 })
	if len(sh.repeated) == 0 {
		return n
	}
	in := top.Inputs()
	for i := range in {
		in[i] = sh.replace(in[i])
	}
	out := top.WithInputs(in).(*Setup)
	subs := make([]Sub, len(sh.repeated), len(sh.repeated)+len(out.Subs))
	for i, r := range sh.repeated {
		subs[i] = Sub{r.groups, TableSub}
	}
	out.Subs = append(subs, out.Subs...)
	return out
}

// repeated is groups, and how often they are computed.
type repeated struct {
	groups *Aggregate
	key    string
	times  int
	rows   float64 // that they seem to be; 0: not asked yet
}

// few says whether the groups are few enough to be kept. It is asked of those alone that come twice,
// since to guess at groups costs something.
func (r *repeated) few(s Statistics) bool {
	if r.rows == 0 {
		r.rows = max(1, s.Rows(r.groups))
	}
	return r.rows <= maxShared && 2*r.rows <= s.Rows(r.groups.Input)
}

type sharing struct{ repeated []repeated }

// find is which of the repeated groups a node computes; -1 for none.
func (sh *sharing) find(key string) int {
	return slices.IndexFunc(sh.repeated, func(r repeated) bool { return r.key == key })
}

// collect notes the groups that a plan computes and that may be shared.
func (sh *sharing) collect(n Node, s Statistics) {
	if a, ok := n.(*Aggregate); ok && len(a.Keys) > 0 {
		if key, ok := planKey(a); ok {
			i := sh.find(key)
			switch {
			case i < 0:
				sh.repeated = append(sh.repeated, repeated{groups: a, key: key, times: 1})
			case sh.repeated[i].few(s):
				sh.repeated[i].times++
				return
			}
		}
	}
	if j, ok := n.(*Join); ok && j.Narrows != NarrowsNone {
		_, by, _, _ := j.sides(j.Narrows)
		sh.collect(by, s)
		return
	}
	for _, in := range n.Inputs() {
		sh.collect(in, s)
	}
}

// planKey is a text that plans have in common only if they give the same rows, wherever they stand
// in a statement; false for a plan that may not.
func planKey(n Node) (string, bool) {
	var key strings.Builder
	alone := true
	var add func(n Node)
	add = func(n Node) {
		if alone = alone && key.Len() <= maxKey; !alone {
			return // it may be very deep, and each part of it be asked about
		}
		switch n := n.(type) {
		case *Scan:
			fmt.Fprintf(&key, "%q %q", n.Table.Namespace(), n.Table.Name)
			for _, c := range n.Columns {
				fmt.Fprintf(&key, " %q %q %d %d %v", c.Column, c.Path, c.Type.Kind, c.Type.Mod, c.Digits)
			}
			fmt.Fprintf(&key, " %v %q", n.Events == nil, n.Events)
			for _, r := range n.Ranges {
				fmt.Fprintf(&key, " %q %v %v", r.Column, r.Low == nil, r.High == nil)
			}
			fmt.Fprintf(&key, " %v %v %v", n.From == nil, n.To == nil, n.Whose == nil)
		case *Join:
			fmt.Fprintf(&key, "%d %v %d", n.Kind, n.NullSafe, len(n.LeftKeys))
		case *Aggregate:
			fmt.Fprintf(&key, "%d", len(n.Keys))
			for _, a := range n.Aggs {
				fmt.Fprintf(&key, " %s", a.String())
			}
		case *Filter, *Project:
		default:
			alone = false
		}
		eachExpr(n, func(e expr.Expr) { alone = alone && addExpr(&key, e) })
		for _, in := range n.Inputs() {
			key.WriteString("(")
			add(in)
			key.WriteString(")")
		}
	}
	add(n)
	if !alone || Volatile(n) {
		return "", false
	}
	return key.String(), true
}

// addExpr adds an expression to a key: its words, with numbers for columns, and the types of its
// parts, by which functions of one name differ. False if it reads what was computed before.
func addExpr(key *strings.Builder, e expr.Expr) bool {
	alone := true
	expr.Walk(e, func(x expr.Expr) bool {
		switch x.(type) {
		case *expr.Slot, *expr.InSet:
			alone = false
		}
		t := x.Type()
		fmt.Fprintf(key, " %T %d %v %d", x, t.Kind, t.Array, t.Mod)
		return alone
	})
	numbered := expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok {
			return &expr.Column{Index: c.Index, T: c.T, Name: fmt.Sprintf("#%d", c.Index)}
		}
		return x
	})
	fmt.Fprintf(key, " %q", expr.String(numbered))
	return alone
}

// replace puts what reads the shared groups in their places, and moves the slots of the subqueries
// behind those of the groups.
func (sh *sharing) replace(n Node) Node {
	if a, ok := n.(*Aggregate); ok {
		if key, ok := planKey(a); ok {
			if i := sh.find(key); i >= 0 {
				return &Spool{Slot: i, Name: fmt.Sprintf("groups %d", i+1), Columns: a.Schema(), Guess: sh.repeated[i].rows}
			}
		}
	}
	by := len(sh.repeated)
	switch x := n.(type) {
	case *Spool:
		if x.Slot >= 0 {
			c := *x
			c.Slot += by
			return &c
		}
	case *Cohort:
		c := *x
		c.Slot += by
		return &c
	}
	n = overInputs(n, sh.replace)
	return mapExprs(n, func(e expr.Expr) expr.Expr {
		return expr.Map(e, func(x expr.Expr) expr.Expr {
			switch x := x.(type) {
			case *expr.Slot:
				return &expr.Slot{Index: x.Index + by, T: x.T}
			case *expr.InSet:
				return &expr.InSet{E: x.E, Slot: x.Slot + by, Not: x.Not}
			}
			return x
		})
	})
}
