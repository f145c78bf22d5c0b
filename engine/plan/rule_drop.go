package plan

import "github.com/prickledb/prickle/engine/expr"

// dropFilters removes filters that let everything pass.
func dropFilters(n Node) Node {
	return everywhere(n, func(n Node) Node {
		if f, ok := n.(*Filter); ok {
			if c, ok := f.Cond.(*expr.Const); ok && !c.Value.IsNull(0) && c.Value.Bools[0] {
				return f.Input
			}
		}
		return n
	})
}
