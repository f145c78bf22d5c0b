package expr

// Reference is an expression that stands for a value computed elsewhere, beside Column.
// Different values have different numbers, and those of different types of expressions do
// not overlap; columns have those from 0 on.
type Reference interface {
	Expr
	Reference() int
}

// Same says whether two expressions surely compute the same. Text alone does not tell:
// different columns may have one name. What is volatile is never the same.
func Same(a, b Expr) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if a.Type() != b.Type() || String(a) != String(b) {
		return false
	}
	ra, volatile := references(a)
	rb, _ := references(b)
	if volatile || len(ra) != len(rb) {
		return false
	}
	for i := range ra {
		if ra[i] != rb[i] {
			return false
		}
	}
	return true
}

// Volatile says whether e differs from row to row for equal rows.
func Volatile(e Expr) bool {
	_, volatile := references(e)
	return volatile
}

// references is what an expression reads, in order, and whether it is volatile.
func references(e Expr) (refs []int, volatile bool) {
	Walk(e, func(x Expr) bool {
		switch x := x.(type) {
		case *Column:
			refs = append(refs, x.Index)
		case Reference:
			refs = append(refs, x.Reference())
		case *Call:
			volatile = volatile || x.Overload.Fn.Volatile
		}
		return true
	})
	return refs, volatile
}
