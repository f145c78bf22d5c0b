package plan

import "github.com/prickledb/prickle/engine/expr"

// dependentKeys groups by fewer keys: one that is computed from columns that are keys
// themselves, or is constant, divides no group further, and is computed of each group instead.
func dependentKeys(n Node) Node {
	return everywhere(n, func(n Node) Node {
		a, ok := n.(*Aggregate)
		if !ok || len(a.Keys) < 2 {
			return n
		}
		place := map[int]int{} // column of the input → its place among the keys that stay
		stays := make([]bool, len(a.Keys))
		count := 0
		for i, k := range a.Keys {
			if c, ok := k.(*expr.Column); ok {
				if _, twice := place[c.Index]; !twice {
					place[c.Index] = count
					stays[i] = true
					count++
				}
			}
		}
		dropped := false
		for i, k := range a.Keys {
			if !stays[i] && (count == 0 || !computable(k, place)) {
				stays[i] = true
				count++
			}
			dropped = dropped || !stays[i]
		}
		if !dropped {
			return n
		}
		// Keys keep their order, so places are counted again.
		clear(place)
		out := &Aggregate{Input: a.Input, Aggs: a.Aggs}
		for i, k := range a.Keys {
			if stays[i] {
				if c, ok := k.(*expr.Column); ok {
					place[c.Index] = len(out.Keys)
				}
				out.Keys, out.Names = append(out.Keys, k), append(out.Names, a.Names[i])
			}
		}
		out.Names = append(out.Names, a.Names[len(a.Keys):]...)
		back := &Project{Input: out, Names: a.Names}
		schema, at := out.Schema(), 0
		for i, k := range a.Keys {
			if !stays[i] {
				back.Exprs = append(back.Exprs, expr.Map(k, func(x expr.Expr) expr.Expr {
					if c, ok := x.(*expr.Column); ok {
						return &expr.Column{Index: place[c.Index], T: c.T, Name: c.Name}
					}
					return x
				}))
				continue
			}
			back.Exprs = append(back.Exprs, &expr.Column{Index: at, T: schema[at].Type, Name: schema[at].Name})
			at++
		}
		for ; at < len(schema); at++ {
			back.Exprs = append(back.Exprs, &expr.Column{Index: at, T: schema[at].Type, Name: schema[at].Name})
		}
		return back
	})
}

// computable says whether a key can be computed from columns that are keys.
func computable(k expr.Expr, keys map[int]int) bool {
	if expr.Volatile(k) {
		return false
	}
	yes := true
	expr.Walk(k, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Column); ok {
			_, is := keys[c.Index]
			yes = yes && is
		}
		return yes
	})
	return yes
}
