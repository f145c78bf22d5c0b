package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// groupDistinct makes groups of rows of which each is wanted once: these are found on all cores.
// Below a LIMIT they are not, since a Distinct hands out rows as they come.
func groupDistinct(n Node) Node { return groupRows(n, false) }

// groupRows is groupDistinct for a node of which some rows may be enough.
func groupRows(n Node, some bool) Node {
	switch x := n.(type) {
	case *Limit:
		some = true
	case *Project, *Filter:
	case *Distinct:
		if !some && x.On == 0 && groupable(x.Schema()) {
			return groupsOf(groupRows(x.Input, false))
		}
		some = false
	default:
		some = false
	}
	return overInputs(n, func(in Node) Node { return groupRows(in, some) })
}

// groupable says whether the keys of groups are the columns as they were: groups have but one 0,
// which rows may have as -0, too.
func groupable(s vec.Schema) bool {
	for _, f := range s {
		if f.Type.Payload() == vec.PayloadF64 {
			return false
		}
	}
	return len(s) > 0
}

func groupsOf(in Node) Node {
	a := &Aggregate{Input: in}
	for i, f := range in.Schema() {
		a.Keys, a.Names = append(a.Keys, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(a.Names, f.Name)
	}
	return a
}
