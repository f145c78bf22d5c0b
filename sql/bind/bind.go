package bind

import (
	"errors"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// Env is what binding depends on besides the tree.
type Env struct {
	Catalog *catalog.Catalog
	Expr    *expr.Context // evaluates constants; of its Params only those that name cohorts are needed
	Params  []vec.Type    // of $1, $2, … as the client said; Unknown where it did not
	Text    string        // the statement, for positions
}

// Result is a bound query.
type Result struct {
	Plan    plan.Node
	Schema  vec.Schema
	Sources []Source // of the columns of Schema, of plain queries; else nil
	Params  []vec.Type
	Parts   []Part // what it writes on the way
	// Shapes are the columns of rows as values, by the modifier of their type, from 1.
	Shapes []vec.Schema
}

// Source is the column of a table that a column of an answer shows as it is: the object id of
// the table and the column's number. It is zero for what is computed.
type Source struct {
	Table  uint32
	Column int16
}

// Query binds a query. Errors are *pgerr.Error.
func Query(env Env, q ast.Query) (*Result, error) {
	b := newBinder(env)
	b.own = q.Tail().With
	bare := b.query(q)
	node := b.setup(bare)
	b.finishParams()
	if b.err != nil {
		return nil, b.err
	}
	r := &Result{Plan: node, Schema: node.Schema(), Sources: b.shown[bare], Parts: b.parts, Shapes: b.shapes}
	for _, p := range b.params {
		r.Params = append(r.Params, p.t)
	}
	return r, nil
}

// Constant binds an expression that reads no table, converts it as an assignment to a
// type, and evaluates it: an argument of EXECUTE.
func Constant(env Env, e ast.Expr, to vec.Type) (*vec.Vector, error) {
	b := newBinder(env)
	x := b.coerceTo(b.expr(e, &scope{clause: "EXECUTE"}), to, e.Pos(), true)
	if b.err != nil {
		return nil, b.err
	}
	v, err := x.Eval(b.env.Expr, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, b.placed(err, e.Pos())
	}
	return v, nil
}

// Type is the type that a name in a statement means.
func Type(env Env, n *ast.TypeName) (vec.Type, error) {
	b := newBinder(env)
	t := b.typeOf(n)
	if b.err != nil {
		return t, b.err
	}
	return t, nil
}

// maxParams is the largest parameter number, as the wire protocol counts them.
const maxParams = 65535

// maxDepth bounds the nesting of queries and of what they read, and maxExprDepth that of
// expressions, which cost less: a long statement cannot exhaust the stack.
const (
	maxDepth     = 2000
	maxExprDepth = 6000
)

// maxWork bounds how many expressions a statement may bind, counting those that stand
// in several places of the plan: aliases that use aliases twice grow without bound.
const maxWork = 1 << 18

// binder is one statement being bound.
type binder struct {
	env    Env
	params []*param
	err    *pgerr.Error // the first error
	depth  int          // of queries
	exprs  int          // the depth of expressions
	work   int
	// subs are the subqueries that run before the statement.
	subs []plan.Sub
	// leaves counts the inputs of joins, by which their columns are numbered.
	leaves int
	ctes   *cteScope
	// slots counts the recursive queries, downwards: they are the numbers of their rows.
	slots int
	// recursing are the queries of WITH RECURSIVE that are being bound, the innermost last.
	recursing []*cte
	// cohorts are the sets that were asked for, and defining the cohorts and views whose
	// definitions are being bound, from the outermost on.
	cohorts  map[cohortKey]cohortSlot
	defining []definition
	// as is whose rights count inside a view; nil: those of the statement's role.
	as *string
	// lasting says that names mean no temporary tables.
	lasting bool
	// reads collects what names of FROM mean, and stars what stars in select lists do; nil if
	// nobody asks.
	reads *[]read
	stars map[ast.Expr][]ast.SelectItem
	// outer is what is around the query that is being bound; nil for a statement.
	outer *scope
	// before is the elements of FROM before the one that is being bound.
	before *scope
	// places of the columns and paths that were bound, for errors found later
	places map[expr.Expr]place
	// sources of the columns that were bound and are those of a table.
	sources map[*expr.Column]Source
	// shapes are the columns of rows as values: the modifier of such a type is the number of
	// one, from 1.
	shapes []vec.Schema
	// own is the WITH of the statement, where INSERT, UPDATE and DELETE may stand, parts are those
	// that were bound, and changed is what reads their rows that were deleted, by table.
	own     *ast.With
	parts   []Part
	changed map[uint32][]*plan.Spool
	// shown are the sources of the columns of each SELECT that shows columns of tables.
	shown map[plan.Node][]Source
	// open is the SELECT whose parameters without a type take those of other columns, see operand.
	open *ast.Select
}

// place is where an expression stood and how it was called.
type place struct {
	pos  ast.Pos
	name string
}

// param is what is known of one parameter.
type param struct {
	t    vec.Type
	refs []*expr.Param // made while the type was unknown
}

func newBinder(env Env) *binder {
	if env.Catalog == nil {
		env.Catalog = &catalog.Catalog{}
	}
	if env.Expr == nil {
		env.Expr = &expr.Context{}
	}
	b := &binder{env: env, places: map[expr.Expr]place{}, sources: map[*expr.Column]Source{}, shown: map[plan.Node][]Source{}}
	for _, t := range env.Params {
		b.params = append(b.params, &param{t: t})
	}
	return b
}

// fail notes the first error, and gives an expression to go on with.
func (b *binder) fail(e *pgerr.Error, pos ast.Pos) expr.Expr {
	if b.err == nil {
		b.err = b.placed(e, pos)
	}
	return null(vec.T(vec.Unknown))
}

func (b *binder) failErr(err error, pos ast.Pos) expr.Expr {
	if b.err == nil {
		b.err = b.placed(err, pos)
	}
	return null(vec.T(vec.Unknown))
}

// placed is err with a position. It is a copy, since errors may be shared.
func (b *binder) placed(err error, pos ast.Pos) *pgerr.Error {
	var e *pgerr.Error
	if !errors.As(err, &e) {
		return pgerr.From(err)
	}
	c := *e
	if len(b.defining) > 0 {
		b.inDefinition(&c)
	} else if c.Position == 0 {
		c.Position = ast.CharPosition(b.env.Text, pos)
	}
	return &c
}

func (b *binder) unsupported(what string, pos ast.Pos) expr.Expr {
	return b.fail(pgerr.Unsupported(what), pos)
}

// enter counts nesting; the caller calls leave if it answers true.
func (b *binder) enter(pos ast.Pos) bool { return b.deeper(&b.depth, maxDepth, pos) }

func (b *binder) deeper(depth *int, most int, pos ast.Pos) bool {
	if *depth >= most {
		b.fail(pgerr.New(pgerr.StatementTooComplex, "stack depth limit exceeded").
			WithHint("The statement nests deeper than %d levels.", most), pos)
		return false
	}
	*depth++
	return true
}

func (b *binder) leave() { b.depth-- }

// copied counts an expression that will stand in n more places of the plan.
func (b *binder) copied(e expr.Expr, n int, pos ast.Pos) {
	left := maxWork - b.work
	if n <= 0 || b.err != nil {
		return
	}
	size := 0
	expr.Walk(e, func(expr.Expr) bool {
		size++
		return size*n <= left
	})
	b.spend(size*n, pos)
}

func (b *binder) spend(n int, pos ast.Pos) {
	b.work += n
	if b.work > maxWork {
		b.fail(pgerr.New(pgerr.StatementTooComplex, "statement is too complex").
			WithHint("It has more than %d expressions when aliases are written out.", maxWork), pos)
	}
}

func null(t vec.Type) expr.Expr {
	nb := vec.NewBuilder(t)
	nb.AppendNull()
	nb.V.Form = vec.Const
	return &expr.Const{Value: nb.V}
}

func textConst(s string, t vec.Type) *expr.Const {
	v := &vec.Vector{Type: t, Form: vec.Const}
	v.Str.AppendString(s)
	return &expr.Const{Value: v}
}

func boolConst(x bool) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Bool), Form: vec.Const, Bools: []bool{x}}}
}

func intConst(n int64, t vec.Type) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: t, Form: vec.Const, I64: []int64{n}}}
}

// param is $n.
func (b *binder) param(e *ast.Param) expr.Expr {
	if e.Index < 1 || e.Index > maxParams {
		return b.fail(pgerr.New(pgerr.UndefinedParameter, "there is no parameter $%d", e.Index), e.Pos())
	}
	if len(b.defining) > 0 {
		return b.fail(pgerr.New(pgerr.UndefinedParameter, "its definition names the parameter $%d, and has none", e.Index), e.Pos())
	}
	for len(b.params) < e.Index {
		b.params = append(b.params, &param{})
	}
	p := b.params[e.Index-1]
	x := &expr.Param{Index: e.Index - 1, T: p.t}
	if p.t.Kind == vec.Unknown {
		p.refs = append(p.refs, x)
	}
	return x
}

// NoParameter is the error for a statement with more parameters than are given. It stands at the
// first of them.
func NoParameter(stmt ast.Stmt, text string, given int) *pgerr.Error {
	var first *ast.Param
	ast.Walk(stmt, func(n ast.Node) bool {
		if p, ok := n.(*ast.Param); ok && first == nil && p.Index > given {
			first = p
		}
		return first == nil
	})
	if first == nil {
		return pgerr.New(pgerr.UndefinedParameter, "there is no parameter $%d", given+1)
	}
	return pgerr.New(pgerr.UndefinedParameter, "there is no parameter $%d", first.Index).At(ast.CharPosition(text, first.Pos()))
}

// setParam fixes the type of a parameter that had none.
func (b *binder) setParam(x *expr.Param, t vec.Type) {
	p := b.params[x.Index]
	if p.t.Kind == vec.Unknown {
		p.t = vec.Type{Kind: t.Kind, Array: t.Array}
	}
	for _, r := range p.refs {
		r.T = p.t
	}
	p.refs = nil
}

// finishParams makes parameters text that nothing gave a type to. One that does not
// occur at all is an error, since the client would have to guess it.
func (b *binder) finishParams() {
	for i, p := range b.params {
		if p.t.Kind != vec.Unknown {
			continue
		}
		if len(p.refs) == 0 {
			b.fail(pgerr.New(pgerr.IndeterminateType, "could not determine data type of parameter $%d", i+1), ast.NoPos)
			continue
		}
		b.setParam(p.refs[0], vec.T(vec.Text))
	}
}
