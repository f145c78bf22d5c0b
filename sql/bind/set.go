package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// setRef stands for a column of a function that gives rows, in a select list.
type setRef struct {
	index int // in the calls of the selection
	t     vec.Type
	text  string
}

// Type implements expr.Expr.
func (r *setRef) Type() vec.Type { return r.t }

// Eval is never called: the reference is replaced by a column.
func (r *setRef) Eval(*expr.Context, *vec.Batch) (*vec.Vector, error) {
	return nil, pgerr.New(pgerr.Internal, "function %s stands outside of its node", r.text)
}

// String is for EXPLAIN.
func (r *setRef) String() string { return r.text }

// Reference implements expr.Reference.
func (r *setRef) Reference() int { return -(1 << 41) - r.index }

// sets are the functions that give rows of one select list.
type sets struct {
	calls []plan.SetCall
	pos   []ast.Pos
	// below says of each call whether it gives rows before they are grouped, since a key is made of it.
	below []bool
}

// add is a reference to a call. One outside of the select list means the call there that is the same.
func (s *sets) add(c plan.SetCall, e *ast.Call, clause string) *setRef {
	at := -1
	if clause != "SELECT" {
		at = slices.IndexFunc(s.calls, func(o plan.SetCall) bool {
			return o.Function.Name == c.Function.Name && slices.Equal(o.Function.Out, c.Function.Out) && slices.EqualFunc(o.Args, c.Args, expr.Same)
		})
	}
	if at < 0 {
		at = len(s.calls)
		s.calls, s.pos, s.below = append(s.calls, c), append(s.pos, e.Pos()), append(s.below, false)
	}
	return &setRef{at, c.Function.Out[0].Type, columnName(e)}
}

// madeOf are functions that give the elements of an array that another function makes.
var madeOf = map[string]string{"string_to_table": "string_to_array", "regexp_split_to_table": "regexp_split_to_array"}

// isSet says whether a function gives rows.
func isSet(name string) bool {
	return expr.IsTableFunction(name) || madeOf[name] != "" || name == "generate_subscripts"
}

// setCall binds a call of a function that gives rows.
func (b *binder) setCall(e *ast.Call, sc *scope) (plan.SetCall, bool) {
	name := e.Func()
	if e = b.positional(e); b.err != nil {
		return plan.SetCall{}, false
	}
	args := make([]expr.Expr, len(e.Args))
	for i, a := range e.Args {
		if a.Variadic {
			b.unsupported("a VARIADIC argument", a.Pos())
			return plan.SetCall{}, false
		}
		args[i] = b.expr(a.Value, sc)
	}
	if b.err != nil {
		return plan.SetCall{}, false
	}
	shown := name
	if of := madeOf[name]; of != "" {
		for i := range args {
			args[i] = b.settle(args[i])
		}
		args, name = []expr.Expr{b.call(of, args, e.Pos())}, "unnest"
	} else if name == "generate_subscripts" && len(args) == 2 {
		last := b.call("array_upper", []expr.Expr{b.settle(args[0]), args[1]}, e.Pos())
		first := b.call("array_lower", []expr.Expr{b.settle(args[0]), args[1]}, e.Pos())
		args, name = []expr.Expr{first, last}, "generate_series"
	}
	types := make([]vec.Type, len(args))
	for i, a := range args {
		if p, ok := a.(*pathRef); ok {
			want := vec.T(vec.JSONB)
			if name == "generate_series" {
				want = vec.T(vec.Float8)
			}
			args[i] = b.resolve(p, want)
		}
		types[i] = args[i].Type()
	}
	if b.err != nil {
		return plan.SetCall{}, false
	}
	set, err := expr.ResolveTable(name, types)
	if err != nil {
		b.failErr(err, e.Pos())
		return plan.SetCall{}, false
	}
	for i, t := range set.Args {
		args[i] = b.coerce(args[i], t, e.Pos())
	}
	if shown != name {
		set.Name = shown
		set.Out = append(vec.Schema(nil), set.Out...)
		set.Out[0].Name = shown
	}
	return plan.SetCall{Function: set, Args: args}, b.err == nil
}

// setOfItem binds a function that gives rows where a select list has it.
func (b *binder) setOfItem(e *ast.Call, sc *scope) expr.Expr { return b.setColumn(e, sc, "") }

// setColumn is setOfItem for (f(x)).column. Without a column, several are a row.
func (b *binder) setColumn(e *ast.Call, sc *scope, column string) expr.Expr {
	s := sc.sets
	switch {
	case s == nil:
		text := "set-returning functions are not allowed in " + sc.clause
		if sc.clause == functionsInFrom {
			text = "set-returning functions must appear at top level of FROM"
		}
		return b.fail(pgerr.New(pgerr.FeatureNotSupported, "%s", text), e.Pos())
	case sc.aggs != nil && sc.aggs.inner:
		return b.inCall("aggregate", e.Pos())
	case sc.windows != nil && sc.windows.inner:
		return b.inCall("window", e.Pos())
	}
	c, ok := b.setCall(e, sc)
	if !ok {
		return null(vec.T(vec.Unknown))
	}
	if len(c.Function.Out) != 1 {
		switch at := c.Function.Out.Index(column); {
		case column == "":
			c.Function = c.Function.Row(b.shape(c.Function.Out))
		case at < 0:
			return b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" not found in data type record`, column), e.Pos())
		default:
			c.Function = c.Function.Column(at)
		}
	}
	return s.add(c, e, sc.clause)
}

// inCall refuses a function that gives rows in an argument of a call of another kind.
func (b *binder) inCall(kind string, pos ast.Pos) expr.Expr {
	return b.fail(pgerr.New(pgerr.FeatureNotSupported, "%s function calls cannot contain set-returning function calls", kind).
		WithHint("You might be able to move the set-returning function into a LATERAL FROM item."), pos)
}

// expanded has the functions of the select list give rows, of which those that are below groups
// have done it. Move gives an expression the columns that the node has.
func (s *selection) expanded(node plan.Node, move func(expr.Expr, ast.Pos) expr.Expr) plan.Node {
	node, column := s.expand(node, false, func(e expr.Expr, pos ast.Pos) expr.Expr { return s.replaced(move(e, pos)) })
	for i := range s.items {
		s.items[i].e = expr.Map(s.items[i].e, column)
	}
	return node
}

// expandKeys has the functions give rows that keys are made of, and returns the keys as values of
// those rows.
func (s *selection) expandKeys(node plan.Node) (plan.Node, []expr.Expr) {
	for _, k := range s.keys {
		s.sets.expandBelow(k)
	}
	node, column := s.expand(node, true, func(e expr.Expr, _ ast.Pos) expr.Expr { return s.placed.one(e) })
	keys := s.placed.list(s.keys)
	for i := range keys {
		keys[i] = expr.Map(keys[i], column)
	}
	return node, keys
}

// expandBelow has the calls that a key is made of give rows below groups, and those in their arguments.
func (s *sets) expandBelow(key expr.Expr) {
	expr.Walk(key, func(e expr.Expr) bool {
		if r, ok := e.(*setRef); ok && !s.below[r.index] {
			s.below[r.index] = true
			for _, a := range s.calls[r.index].Args {
				s.expandBelow(a)
			}
		}
		return true
	})
}

// level is how many calls are in a call's arguments, each in those of the next.
func (s *sets) level(call int) int {
	n := 0
	for _, a := range s.calls[call].Args {
		expr.Walk(a, func(e expr.Expr) bool {
			if r, ok := e.(*setRef); ok {
				n = max(n, 1+s.level(r.index))
			}
			return true
		})
	}
	return n
}

// expand puts the functions that give rows below groups, or the others, over a node: first those without
// such functions in their arguments, over these the others. With it comes what makes references to them columns.
func (s *selection) expand(node plan.Node, below bool, move func(expr.Expr, ast.Pos) expr.Expr) (plan.Node, func(expr.Expr) expr.Expr) {
	at := make([]int, len(s.sets.calls))
	column := func(e expr.Expr) expr.Expr {
		if r, ok := e.(*setRef); ok {
			return &expr.Column{Index: at[r.index], T: r.t, Name: r.text}
		}
		return e
	}
	levels := make([][]int, len(s.sets.calls))
	for i := range s.sets.calls {
		if s.sets.below[i] == below {
			n := s.sets.level(i)
			levels[n] = append(levels[n], i)
		}
	}
	for _, level := range levels {
		x := &plan.Expand{Input: node}
		width := len(node.Schema())
		for _, i := range level {
			c := s.sets.calls[i]
			args := make([]expr.Expr, len(c.Args))
			for k, a := range c.Args {
				args[k] = expr.Map(move(a, s.sets.pos[i]), column)
			}
			x.Calls = append(x.Calls, plan.SetCall{Function: c.Function, Args: args})
		}
		if len(x.Calls) > 0 {
			node = x
		}
		for k, i := range level {
			at[i] = width + k
		}
	}
	return node, column
}

// rowOfValue is a function that gives one row, of one value.
func (b *binder) rowOfValue(e expr.Expr, name string, pos ast.Pos) (plan.SetCall, bool) {
	if e.Type().Array {
		b.unsupported("an array in ROWS FROM or WITH ORDINALITY", pos)
	}
	if b.err != nil {
		return plan.SetCall{}, false
	}
	list, err := expr.NewArray([]expr.Expr{b.coerce(e, firstKnown(e.Type()), pos)})
	if err != nil {
		b.failErr(err, pos)
		return plan.SetCall{}, false
	}
	set, err := expr.ResolveTable("unnest", []vec.Type{list.Type()})
	if err != nil {
		b.failErr(err, pos)
		return plan.SetCall{}, false
	}
	set.Name, set.Out = name, vec.Schema{{Name: name, Type: set.Out[0].Type}}
	return plan.SetCall{Function: set, Args: []expr.Expr{list}}, true
}

// functionsInFrom is where the arguments of functions in FROM stand.
const functionsInFrom = "functions in FROM"

// functions binds functions in FROM. They may name what stands before them.
func (b *binder) functions(t *ast.FuncTable) *relation {
	empty := &relation{node: &plan.Values{}}
	outer := b.before
	if outer == nil {
		outer = b.outer
	}
	sc := &scope{clause: functionsInFrom, outer: outer}
	var node plan.Node = &plan.Values{Rows: [][]expr.Expr{{}}}
	var sets []plan.SetCall
	named := true
	name := ""
	for i, f := range t.Calls {
		if f.Columns != nil {
			b.unsupported("a column definition list", f.Call.Pos())
			return empty
		}
		call, ok := f.Call.(*ast.Call)
		if ok && isFileFunction(call.Func()) {
			if len(t.Calls) > 1 || t.Ordinality {
				b.unsupported(call.Func()+" in ROWS FROM or WITH ORDINALITY", call.Pos())
				return empty
			}
			return b.fileTable(call, t.Alias)
		}
		if i == 0 {
			name = columnName(f.Call)
		}
		if ok && call.Func() == "unnest" && len(call.Args) > 1 {
			for _, a := range call.Args {
				one := *call
				one.Args = []ast.Arg{a}
				c, ok := b.setCall(&one, sc)
				if !ok {
					return empty
				}
				sets = append(sets, c)
			}
			continue
		}
		if ok && isSet(call.Func()) {
			c, ok := b.setCall(call, sc)
			if !ok {
				return empty
			}
			sets = append(sets, c)
			named = c.Function.Named
			continue
		}
		if ok && agg.IsAggregate(call.Func()) {
			b.fail(pgerr.New(pgerr.GroupingError, "aggregate functions are not allowed in functions in FROM"), f.Call.Pos())
			return empty
		}
		e := b.value(f.Call, sc)
		if len(t.Calls) > 1 || t.Ordinality {
			c, ok := b.rowOfValue(e, columnName(f.Call), f.Call.Pos())
			if !ok {
				return empty
			}
			sets, named = append(sets, c), false
			continue
		}
		node = &plan.Project{Input: node, Exprs: []expr.Expr{b.coerce(e, firstKnown(e.Type()), f.Call.Pos())}, Names: []string{name}}
		named = false
	}
	if len(sets) > 0 {
		node = &plan.Expand{Input: node, Calls: sets, Ordinality: t.Ordinality}
	}
	if b.err != nil {
		return empty
	}
	rel := b.derived(node, name, nil)
	rel.value = len(rel.fields) == 1 && len(t.Calls) == 1
	// A function of one column gives it the alias that it has itself.
	if t.Alias != nil && t.Alias.Name.Name != "" && !named && len(t.Calls) == 1 && len(sets) <= 1 {
		rel.fields[0].Name = t.Alias.Name.Name
	}
	b.rename(rel, t.Alias)
	return rel
}
