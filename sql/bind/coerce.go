package bind

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// coerce converts e to a type that its context wants, implicitly.
func (b *binder) coerce(e expr.Expr, to vec.Type, pos ast.Pos) expr.Expr {
	return b.coerceTo(e, to, pos, false)
}

func (b *binder) coerceTo(e expr.Expr, to vec.Type, pos ast.Pos, explicit bool) expr.Expr {
	if b.err != nil {
		return null(to)
	}
	if p, ok := e.(*pathRef); ok {
		return b.resolve(p, to)
	}
	if e.Type() == to {
		return e
	}
	if x, ok := e.(*expr.Param); ok && x.T.Kind == vec.Unknown {
		b.setParam(x, to)
		if x.T == to {
			return x
		}
	}
	if c, ok := e.(*expr.Const); ok && c.Type().Kind == vec.Unknown {
		return b.literal(c, to, pos)
	}
	return b.cast(e, to, pos, explicit, false)
}

// literal reads an untyped literal as a type. The literal is read now, so that a bad one
// is an error with its place.
func (b *binder) literal(c *expr.Const, to vec.Type, pos ast.Pos) expr.Expr {
	if c.Value.IsNull(0) {
		return null(to)
	}
	if to.Kind == vec.Unknown {
		return c
	}
	if c.Place > 0 {
		pos = ast.Pos(c.Place - 1)
	}
	if to == vec.T(vec.Text) {
		return textConst(strings.Clone(c.Value.Str.Str(0)), to)
	}
	e := b.cast(c, to, pos, true, false)
	if b.err != nil {
		return e
	}
	v, err := e.Eval(b.env.Expr, &vec.Batch{Rows: 1})
	if err != nil {
		return b.failErr(err, pos)
	}
	return constant(v, to)
}

// constant is the first value of v as a constant.
func constant(v *vec.Vector, t vec.Type) *expr.Const {
	nb := vec.NewBuilder(t)
	nb.AppendFrom(v, 0)
	nb.V.Form = vec.Const
	return &expr.Const{Value: nb.V}
}

func (b *binder) cast(e expr.Expr, to vec.Type, pos ast.Pos, explicit, try bool) expr.Expr {
	if b.err != nil {
		return null(to)
	}
	if e.Type() == to && to.Kind != vec.Unknown {
		return e
	}
	x, err := expr.NewCast(e, to, explicit, try)
	if err != nil {
		return b.failErr(err, pos)
	}
	return x
}

// beside is the type that a path takes next to a value of another type under an operator.
func beside(op string, other vec.Type) vec.Type {
	switch op {
	case "->", "->>", "#>", "#>>", "@>", "<@", "?", "?|", "?&", "@?", "@@", "#-":
		return vec.T(vec.JSONB)
	case "||", "like", "ilike", "~", "~*", "!~", "!~*":
		return vec.T(vec.Text)
	}
	arithmetic := len(op) == 1 && strings.Contains("+-*/%^", op)
	switch {
	case other.Array:
		return vec.T(vec.Text)
	case other.IsNumber():
		return vec.T(vec.Float8)
	case other.Kind == vec.Bool:
		return vec.T(vec.Bool)
	case other.IsTime(), other.Kind == vec.Interval && arithmetic && op != "*":
		return vec.T(vec.TimestampTZ)
	case other.Kind == vec.Unknown || other.IsText():
		if arithmetic {
			return vec.T(vec.Float8)
		}
		return vec.T(vec.Text)
	case arithmetic:
		return vec.T(vec.Float8)
	}
	return other
}

// settlePair gives paths among two operands their types.
func (b *binder) settlePair(op string, l, r expr.Expr) (expr.Expr, expr.Expr) {
	lp, lok := l.(*pathRef)
	rp, rok := r.(*pathRef)
	switch {
	case lok && rok:
		t := beside(op, vec.T(vec.Unknown))
		return b.resolve(lp, t), b.resolve(rp, t)
	case lok:
		return b.resolve(lp, beside(op, r.Type())), r
	case rok:
		t := beside(op, l.Type())
		if op == "->" || op == "->>" || op == "?" { // the right side is a key
			t = vec.T(vec.Text)
		}
		return l, b.resolve(rp, t)
	}
	return l, r
}

// operator applies an operator to operands of any type.
func (b *binder) operator(op string, l, r expr.Expr, pos ast.Pos) expr.Expr {
	l, r = b.settlePair(op, l, r)
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		if b.err == nil && isRow(l) && isRow(r) {
			return b.rowsAsValues(op, l, r, pos)
		}
	}
	return b.call(op, []expr.Expr{l, r}, pos)
}

// call resolves a function or operator, converts the arguments and makes the call.
// Paths among the arguments must be settled.
func (b *binder) call(name string, args []expr.Expr, pos ast.Pos) expr.Expr {
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	types := make([]vec.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	o, err := expr.Resolve(name, types)
	if err != nil {
		return b.failErr(err, pos)
	}
	return b.apply(o, args, pos)
}

func (b *binder) apply(o *expr.Overload, args []expr.Expr, pos ast.Pos) expr.Expr {
	out := make([]expr.Expr, len(args))
	for i, a := range args {
		out[i] = b.coerce(a, o.Args[i], pos)
	}
	if b.err != nil {
		return null(o.Result)
	}
	return expr.NewCall(o, out)
}

// common converts expressions to their common type. Construct names what they stand in,
// for the error: "CASE", "VALUES".
func (b *binder) common(construct string, list []expr.Expr, places []ast.Pos) ([]expr.Expr, vec.Type) {
	var types []vec.Type
	paths := false
	for _, e := range list {
		if _, ok := e.(*pathRef); ok {
			paths = true
			continue
		}
		types = append(types, e.Type())
	}
	t := vec.T(vec.Text)
	if len(types) > 0 {
		var err error
		if t, err = expr.CommonType(types); err != nil {
			b.failErr(b.mismatch(construct, types, err), mismatchPlace(list, places))
			return list, t
		}
		if paths {
			known := false
			for _, x := range types {
				known = known || x.Kind != vec.Unknown
			}
			if known {
				t = beside("=", t)
			} else {
				t = vec.T(vec.Text)
			}
		}
	}
	if t.Kind == vec.Unknown {
		t = vec.T(vec.Text)
	}
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		out[i] = b.coerce(e, t, places[i])
	}
	return out, t
}

// mismatch words the error as PostgreSQL does, with the construct and the two types.
func (b *binder) mismatch(construct string, types []vec.Type, err error) error {
	var first vec.Type
	for _, t := range types {
		switch {
		case t.Kind == vec.Unknown:
		case first.Kind == vec.Unknown:
			first = t
		default:
			both := []vec.Type{first, t}
			if c, e := expr.CommonType(both); e != nil {
				return pgerr.New(pgerr.DatatypeMismatch, "%s types %s and %s cannot be matched", construct, first, t)
			} else {
				first = c
			}
		}
	}
	return err
}

func mismatchPlace(list []expr.Expr, places []ast.Pos) ast.Pos {
	var first vec.Type
	for i, e := range list {
		t := e.Type()
		if t.Kind == vec.Unknown {
			continue
		}
		if first.Kind == vec.Unknown {
			first = t
			continue
		}
		c, err := expr.CommonType([]vec.Type{first, t})
		if err != nil {
			return places[i]
		}
		first = c
	}
	return places[0]
}

// condition converts e to boolean where a clause or operator wants one.
func (b *binder) condition(e expr.Expr, clause string, pos ast.Pos) expr.Expr {
	if b.err != nil {
		return boolConst(true)
	}
	want := vec.T(vec.Bool)
	_, isPath := e.(*pathRef)
	if t := e.Type(); !isPath && t != want && t.Kind != vec.Unknown {
		return b.fail(pgerr.New(pgerr.DatatypeMismatch, "argument of %s must be type boolean, not type %s", clause, t), pos)
	}
	return b.coerce(e, want, pos)
}

// fold evaluates what is constant in e.
func (b *binder) fold(e expr.Expr) expr.Expr {
	if b.err != nil || e == nil {
		return e
	}
	f, err := expr.Fold(b.env.Expr, e)
	if err != nil {
		return e
	}
	return f
}

// isStable says whether e reads no column, so that it has one value for the statement.
func isStable(e expr.Expr) bool {
	ok := true
	expr.Walk(e, func(x expr.Expr) bool {
		switch x.(type) {
		case *expr.Column, *pathRef, *aggRef:
			ok = false
		}
		return ok
	})
	return ok
}
