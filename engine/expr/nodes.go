package expr

import (
	"slices"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Parent is an expression with operands. Expressions of other packages implement it so
// that Walk and Map reach into them.
type Parent interface {
	Expr
	Children() []Expr
	// WithChildren is the expression over other operands of the same types.
	WithChildren([]Expr) Expr
}

// And is true when all of Args are. Later ones are evaluated only for rows that the earlier
// ones left open.
type And struct{ Args []Expr }

// Or is true when one of Args is.
type Or struct{ Args []Expr }

// Not is NOT E.
type Not struct{ E Expr }

// IsNull is E IS [NOT] NULL.
type IsNull struct {
	E   Expr
	Not bool
}

// Truth is what IsTruth tests for.
type Truth uint8

// The truth values.
const (
	True Truth = iota
	False
	Maybe // UNKNOWN
)

// IsTruth is E IS [NOT] TRUE, FALSE or UNKNOWN.
type IsTruth struct {
	E    Expr
	Want Truth
	Not  bool
}

// IsDistinct is Left IS [NOT] DISTINCT FROM Right; both have the same type.
type IsDistinct struct {
	Left, Right Expr
	Not         bool
}

// When is one branch of a Case.
type When struct{ Cond, Result Expr }

// Case is the searched CASE. All results have type T; Else may be nil.
type Case struct {
	Whens []When
	Else  Expr
	T     vec.Type
}

// Coalesce is its first argument that is not null. All have type T.
type Coalesce struct {
	Args []Expr
	T    vec.Type
}

// NullIf is Left, or null where Equal, a condition over both, is true.
type NullIf struct {
	Left, Equal Expr
}

// OneRow is E, a value of as many rows as Count, a bigint, says: more than one are an error.
type OneRow struct {
	E, Count Expr
}

// Greatest is the greatest or least of Args, skipping nulls. All have type T.
type Greatest struct {
	Args  []Expr
	T     vec.Type
	Least bool
}

// InList is E [NOT] IN (List). All have the same type.
type InList struct {
	E    Expr
	List []Expr
	Not  bool

	set listCache
}

// Cast converts E to To. Try gives NULL where the conversion fails.
type Cast struct {
	E   Expr
	To  vec.Type
	Try bool

	fn     *Function
	static bool
	cache  dictCache
}

// Call applies a function or operator.
type Call struct {
	Overload *Overload
	Args     []Expr

	static bool // at most one argument varies within a statement
	cache  dictCache
}

// Quantified is X op ANY|ALL (Array): Test is the comparison of columns 0 and 1 of a batch.
type Quantified struct {
	X, Array Expr
	Op       string
	Test     Expr
	All      bool
}

// ArrayOf is ARRAY[…]. All elements have the type of T's elements.
type ArrayOf struct {
	Elems []Expr
	T     vec.Type
}

// Type implements Expr.
func (*And) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (*Or) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (*Not) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (*IsNull) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (*IsTruth) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (*IsDistinct) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (e *Case) Type() vec.Type { return e.T }

// Type implements Expr.
func (e *Coalesce) Type() vec.Type { return e.T }

// Type implements Expr.
func (e *OneRow) Type() vec.Type { return e.E.Type() }

// Type implements Expr.
func (e *NullIf) Type() vec.Type { return e.Left.Type() }

// Type implements Expr.
func (e *Greatest) Type() vec.Type { return e.T }

// Type implements Expr.
func (*InList) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (e *Cast) Type() vec.Type { return e.To }

// Type implements Expr.
func (e *Call) Type() vec.Type { return e.Overload.Result }

// Type implements Expr.
func (*Quantified) Type() vec.Type { return vec.T(vec.Bool) }

// Type implements Expr.
func (e *ArrayOf) Type() vec.Type { return e.T }

// Children implements Parent.
func (e *And) Children() []Expr { return e.Args }

// Children implements Parent.
func (e *Or) Children() []Expr { return e.Args }

// Children implements Parent.
func (e *Not) Children() []Expr { return []Expr{e.E} }

// Children implements Parent.
func (e *IsNull) Children() []Expr { return []Expr{e.E} }

// Children implements Parent.
func (e *IsTruth) Children() []Expr { return []Expr{e.E} }

// Children implements Parent.
func (e *IsDistinct) Children() []Expr { return []Expr{e.Left, e.Right} }

// Children implements Parent: condition, result, condition, result, …, else.
func (e *Case) Children() []Expr {
	var out []Expr
	for _, w := range e.Whens {
		out = append(out, w.Cond, w.Result)
	}
	if e.Else != nil {
		out = append(out, e.Else)
	}
	return out
}

// Children implements Parent.
func (e *Coalesce) Children() []Expr { return e.Args }

// Children implements Parent.
func (e *OneRow) Children() []Expr { return []Expr{e.E, e.Count} }

// Children implements Parent.
func (e *NullIf) Children() []Expr { return []Expr{e.Left, e.Equal} }

// Children implements Parent.
func (e *Greatest) Children() []Expr { return e.Args }

// Children implements Parent: the value, then the list.
func (e *InList) Children() []Expr { return append([]Expr{e.E}, e.List...) }

// Children implements Parent.
func (e *Cast) Children() []Expr { return []Expr{e.E} }

// Children implements Parent.
func (e *Call) Children() []Expr { return e.Args }

// Children implements Parent.
func (e *Quantified) Children() []Expr { return []Expr{e.X, e.Array} }

// Children implements Parent.
func (e *ArrayOf) Children() []Expr { return e.Elems }

// WithChildren implements Parent.
func (*And) WithChildren(c []Expr) Expr { return &And{Args: c} }

// WithChildren implements Parent.
func (*Or) WithChildren(c []Expr) Expr { return &Or{Args: c} }

// WithChildren implements Parent.
func (*Not) WithChildren(c []Expr) Expr { return &Not{E: c[0]} }

// WithChildren implements Parent.
func (e *IsNull) WithChildren(c []Expr) Expr { return &IsNull{E: c[0], Not: e.Not} }

// WithChildren implements Parent.
func (e *IsTruth) WithChildren(c []Expr) Expr {
	return &IsTruth{E: c[0], Want: e.Want, Not: e.Not}
}

// WithChildren implements Parent.
func (e *IsDistinct) WithChildren(c []Expr) Expr {
	return &IsDistinct{Left: c[0], Right: c[1], Not: e.Not}
}

// WithChildren implements Parent.
func (e *Case) WithChildren(c []Expr) Expr {
	out := &Case{T: e.T}
	for i := range e.Whens {
		out.Whens = append(out.Whens, When{Cond: c[2*i], Result: c[2*i+1]})
	}
	if e.Else != nil {
		out.Else = c[2*len(e.Whens)]
	}
	return out
}

// WithChildren implements Parent.
func (e *Coalesce) WithChildren(c []Expr) Expr { return &Coalesce{Args: c, T: e.T} }

// WithChildren implements Parent.
func (e *OneRow) WithChildren(c []Expr) Expr { return &OneRow{c[0], c[1]} }

// WithChildren implements Parent.
func (e *NullIf) WithChildren(c []Expr) Expr { return &NullIf{Left: c[0], Equal: c[1]} }

// WithChildren implements Parent.
func (e *Greatest) WithChildren(c []Expr) Expr {
	return &Greatest{Args: c, T: e.T, Least: e.Least}
}

// WithChildren implements Parent.
func (e *InList) WithChildren(c []Expr) Expr {
	return &InList{E: c[0], List: c[1:], Not: e.Not}
}

// WithChildren implements Parent.
func (e *Cast) WithChildren(c []Expr) Expr {
	return &Cast{E: c[0], To: e.To, Try: e.Try, fn: e.fn, static: isColumn(c[0])}
}

// WithChildren implements Parent.
func (e *Call) WithChildren(c []Expr) Expr { return NewCall(e.Overload, c) }

// WithChildren implements Parent.
func (e *Quantified) WithChildren(c []Expr) Expr {
	return &Quantified{X: c[0], Array: c[1], Op: e.Op, Test: e.Test, All: e.All}
}

// WithChildren implements Parent.
func (e *ArrayOf) WithChildren(c []Expr) Expr { return &ArrayOf{Elems: c, T: e.T} }

// Walk visits e and then, if visit answers true, its operands.
func Walk(e Expr, visit func(Expr) bool) {
	if e == nil || !visit(e) {
		return
	}
	if p, ok := e.(Parent); ok {
		for _, c := range p.Children() {
			Walk(c, visit)
		}
	}
}

// Map rebuilds e from the leaves up: every node is replaced by f of it. What f returns
// must have the node's type. Nodes whose operands stay the same are kept.
func Map(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	p, ok := e.(Parent)
	if !ok {
		return f(e)
	}
	old := p.Children()
	var changed []Expr
	for i, c := range old {
		n := Map(c, f)
		if n != c && changed == nil {
			changed = append([]Expr{}, old...)
		}
		if changed != nil {
			changed[i] = n
		}
	}
	if changed != nil {
		return f(p.WithChildren(changed))
	}
	return f(e)
}

// Fresh is e without what its nodes keep while a statement runs.
func Fresh(e Expr) Expr {
	p, ok := e.(Parent)
	if !ok {
		return e
	}
	children := slices.Clone(p.Children())
	for i, c := range children {
		children[i] = Fresh(c)
	}
	return p.WithChildren(children)
}

// IsConstant says whether e has one value for the whole statement: it reads no column, and
// no function in it is volatile.
func IsConstant(e Expr) bool {
	constant := true
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *Const, *Param, *Slot:
		case *Call:
			constant = constant && !e.Overload.Fn.Volatile
		case Parent:
			switch e.(type) {
			case *And, *Or, *Not, *IsNull, *IsTruth, *IsDistinct, *Case, *Coalesce, *NullIf, *Greatest, *InList, *Cast, *Quantified, *ArrayOf:
			default:
				constant = false
			}
		default:
			constant = false
		}
		return constant
	})
	return constant
}

func isColumn(e Expr) bool { _, ok := e.(*Column); return ok }

// Fold evaluates what is constant. Parameters count as constant if ctx has them. An
// expression that fails is left as it is: it may stand where it is never evaluated.
func Fold(ctx *Context, e Expr) (Expr, error) {
	one := &vec.Batch{Rows: 1}
	return Map(e, func(e Expr) Expr {
		switch e := e.(type) {
		case *Const, *Column:
			return e
		case *Param:
			if e.Index >= len(ctx.Params) {
				return e
			}
			return &Const{Value: ctx.Params[e.Index]}
		case *And:
			return foldLogic(e, e.Args, false)
		case *Or:
			return foldLogic(e, e.Args, true)
		}
		p, ok := e.(Parent)
		if !ok || !IsConstant(e) {
			return e
		}
		for _, c := range p.Children() {
			if _, ok := c.(*Const); !ok {
				return e
			}
		}
		v, err := e.Eval(ctx, one)
		if err != nil {
			return e
		}
		return &Const{Value: constOf(v, e.Type(), 0)}
	}), nil
}

// foldLogic drops the arguments of AND or OR that decide nothing, and the whole if one
// decides it.
func foldLogic(e Expr, args []Expr, or bool) Expr {
	var rest []Expr
	for _, a := range args {
		c, ok := a.(*Const)
		if !ok || c.Value.IsNull(0) {
			rest = append(rest, a)
			continue
		}
		if c.Value.Bools[0] == or {
			return a
		}
	}
	switch {
	case len(rest) == 0:
		return args[0]
	case len(rest) == 1:
		return rest[0]
	case len(rest) == len(args):
		return e
	case or:
		return &Or{Args: rest}
	}
	return &And{Args: rest}
}

// constOf is row i of v as a constant of type t.
func constOf(v *vec.Vector, t vec.Type, i int) *vec.Vector {
	if v.Form == vec.Const && v.Type == t {
		return v
	}
	b := vec.NewBuilder(t)
	b.AppendFrom(v, i)
	b.V.Form = vec.Const
	return b.V
}

// NewConditional makes the calls that evaluate their arguments by need: coalesce, ifnull,
// nvl, nullif, greatest, least, if. The arguments are converted to their common type. It
// answers nil if the name is none of these.
func NewConditional(name string, args []Expr) (Expr, error) {
	switch name {
	case "coalesce", "ifnull", "nvl", "greatest", "least":
		if len(args) == 0 || name == "ifnull" && len(args) != 2 || name == "nvl" && len(args) != 2 {
			return nil, noFunction(name, typesOf(args))
		}
		cast, t, err := castCommon(args)
		if err != nil {
			return nil, err
		}
		if name == "greatest" || name == "least" {
			return &Greatest{Args: cast, T: t, Least: name == "least"}, nil
		}
		return &Coalesce{Args: cast, T: t}, nil
	case "nullif":
		if len(args) != 2 {
			return nil, noFunction(name, typesOf(args))
		}
		eq, err := NewOperator("=", args...)
		if err != nil {
			return nil, err
		}
		left := args[0]
		if left.Type().Kind == vec.Unknown {
			if left, err = NewCast(left, vec.T(vec.Text), false, false); err != nil {
				return nil, err
			}
		}
		return &NullIf{Left: left, Equal: eq}, nil
	case "if":
		if len(args) != 3 {
			return nil, noFunction(name, typesOf(args))
		}
		cond, err := NewCast(args[0], vec.T(vec.Bool), false, false)
		if err != nil {
			return nil, err
		}
		cast, t, err := castCommon(args[1:])
		if err != nil {
			return nil, err
		}
		return &Case{Whens: []When{{Cond: cond, Result: cast[0]}}, Else: cast[1], T: t}, nil
	}
	return nil, nil
}

// NewOperator resolves a function or operator by its arguments, converts these and makes
// the call.
func NewOperator(name string, args ...Expr) (Expr, error) {
	o, err := Resolve(name, typesOf(args))
	if err != nil {
		return nil, err
	}
	cast := make([]Expr, len(args))
	for i, a := range args {
		if cast[i], err = NewCast(a, o.Args[i], false, false); err != nil {
			return nil, err
		}
	}
	return NewCall(o, cast), nil
}

// NewQuantified makes x op ANY (array), or ALL.
func NewQuantified(op string, x, array Expr, all bool) (Expr, error) {
	if array.Type().Kind == vec.Unknown && !array.Type().Array {
		t := x.Type()
		if t.Kind == vec.Unknown {
			t.Kind = vec.Text
		}
		var err error
		if array, err = NewCast(array, vec.ArrayOf(t.Kind), false, false); err != nil {
			return nil, err
		}
	}
	if !array.Type().Array {
		return nil, pgerr.New(pgerr.WrongObjectType, "op ANY/ALL (array) requires array on right side")
	}
	o, err := Resolve(op, []vec.Type{x.Type(), array.Type().Elem()})
	if err != nil {
		return nil, err
	}
	if x, err = NewCast(x, o.Args[0], false, false); err != nil {
		return nil, err
	}
	if o.Args[1].Kind != array.Type().Kind {
		if array, err = NewCast(array, vec.ArrayOf(o.Args[1].Kind), false, false); err != nil {
			return nil, err
		}
	}
	test := NewCall(o, []Expr{&Column{Index: 0, T: o.Args[0]}, &Column{Index: 1, T: o.Args[1]}})
	return &Quantified{X: x, Array: array, Op: op, Test: test, All: all}, nil
}

// NewArray makes ARRAY[…] of elements of a common type.
func NewArray(elems []Expr) (Expr, error) {
	if len(elems) == 0 {
		return nil, pgerr.New(pgerr.IndeterminateType, "cannot determine type of empty array").WithHint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
	}
	cast, t, err := castCommon(elems)
	if err != nil {
		return nil, err
	}
	if t.Array {
		return nil, pgerr.Unsupported("an array of more than one dimension")
	}
	if !t.HasArray() {
		return nil, pgerr.New(pgerr.UndefinedObject, "could not find array type for data type %s", t)
	}
	return &ArrayOf{Elems: cast, T: vec.ArrayOf(t.Kind)}, nil
}

func typesOf(args []Expr) []vec.Type {
	out := make([]vec.Type, len(args))
	for i, a := range args {
		out[i] = a.Type()
	}
	return out
}

func castCommon(args []Expr) ([]Expr, vec.Type, error) {
	t, err := CommonType(typesOf(args))
	if err != nil {
		return nil, t, err
	}
	out := make([]Expr, len(args))
	for i, a := range args {
		if out[i], err = NewCast(a, t, false, false); err != nil {
			return nil, t, err
		}
	}
	return out, t, nil
}
