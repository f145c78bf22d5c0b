package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// foldConstants evaluates what is the same for every run of the statement. What depends
// on the session or the time, such as now(), stays: a prepared statement runs later.
func foldConstants(n Node) Node {
	return everywhere(n, func(n Node) Node {
		return mapExprs(n, func(e expr.Expr) expr.Expr { return expr.Map(e, foldOne) })
	})
}

// unfolded are functions that should wait for the run.
var unfolded = map[string]bool{
	"age": true, // depends on the zone
	// These make large values out of small ones, which only a run may spend memory on.
	"repeat": true, "lpad": true, "rpad": true, "array_fill": true, "factorial": true,
}

func foldOne(e expr.Expr) expr.Expr {
	switch e := e.(type) {
	case *expr.And:
		return foldLogic(e, e.Args, false)
	case *expr.Or:
		return foldLogic(e, e.Args, true)
	case *expr.Case:
		return foldCase(e)
	case *expr.Call:
		if unfolded[e.Overload.Fn.Name] || e.Overload.Fn.Volatile || e.Overload.Fn.Session {
			return e
		}
		// It is NULL when an argument is, whatever the others are and even if they would fail.
		if e.Overload.Fn.Strict() {
			for _, a := range e.Args {
				if c, ok := a.(*expr.Const); ok && c.Value.IsNull(0) {
					return &expr.Const{Value: vec.NullConst(e.Type())}
				}
			}
		}
	}
	p, ok := e.(expr.Parent)
	if !ok || zoned(e.Type()) {
		return e
	}
	children := p.Children()
	if len(children) == 0 {
		if _, call := e.(*expr.Call); !call {
			return e
		}
	}
	// Values of one type are compared the same way in all zones.
	alike := e.Type().Kind == vec.Bool && !slices.ContainsFunc(children, func(c expr.Expr) bool { return c.Type() != children[0].Type() })
	if _, cast := e.(*expr.Cast); cast {
		alike = false
	}
	for _, c := range children {
		if _, ok := c.(*expr.Const); !ok || zoned(c.Type()) && !alike || styled(c.Type(), e.Type()) {
			return e
		}
	}
	f, err := expr.Fold(&expr.Context{}, e)
	if err != nil {
		return e // it may stand where it is never evaluated
	}
	return f
}

// zoned says whether conversions of the type look at the session's zone, style or catalog.
func zoned(t vec.Type) bool {
	return t.IsTime() || t.Kind == vec.Time || t.Elem().IsReg()
}

// styled says whether what becomes of a value in another type may look at how the session wants values
// shown: intervalstyle, extra_float_digits, bytea_output and the zone.
func styled(from, to vec.Type) bool {
	if from.Kind == to.Kind || (vec.Type{Kind: to.Kind}).Payload() != vec.PayloadStr {
		return false
	}
	switch from.Kind {
	case vec.Interval, vec.Float4, vec.Float8, vec.Bytea, vec.Record, vec.Date, vec.Time, vec.Timestamp, vec.TimestampTZ:
		return true
	}
	return false
}

// foldCase drops the branches of CASE that are never taken.
func foldCase(e *expr.Case) expr.Expr {
	out := &expr.Case{Else: e.Else, T: e.T}
	for _, w := range e.Whens {
		c, ok := w.Cond.(*expr.Const)
		if !ok {
			out.Whens = append(out.Whens, w)
			continue
		}
		if !c.Value.IsNull(0) && c.Value.Bools[0] {
			out.Else = w.Result
			break
		}
	}
	switch {
	case len(out.Whens) > 0:
		return out
	case out.Else == nil:
		return &expr.Const{Value: vec.NullConst(e.T)}
	case out.Else.Type() != e.T:
		return e
	}
	return out.Else
}

// foldLogic drops arguments of AND and OR that decide nothing, and the rest if one
// decides all.
func foldLogic(e expr.Expr, args []expr.Expr, or bool) expr.Expr {
	var rest []expr.Expr
	for _, a := range args {
		switch a := a.(type) {
		case *expr.Const:
			if !a.Value.IsNull(0) {
				if a.Value.Bools[0] == or {
					return a
				}
				continue
			}
		case *expr.And: // chains of one kind become flat
			if !or {
				rest = append(rest, a.Args...)
				continue
			}
		case *expr.Or:
			if or {
				rest = append(rest, a.Args...)
				continue
			}
		}
		rest = append(rest, a)
	}
	switch {
	case len(rest) == 0:
		return args[0]
	case len(rest) == 1:
		return rest[0]
	case or:
		return &expr.Or{Args: rest}
	}
	return &expr.And{Args: rest}
}
