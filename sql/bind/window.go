package bind

import (
	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
	"math"
)

// windows are the window calls of one SELECT.
type windows struct {
	named []ast.NamedWindow
	calls []windowCall
	inner bool // inside a call
}

// windowCall is a call over the input, or over the groups, of a SELECT.
type windowCall struct {
	call      plan.WindowCall
	partition []expr.Expr
	order     []plan.SortKey
	pos       ast.Pos
	text      string
}

// windowRef stands for a call's result until the Window nodes are made.
type windowRef struct {
	index int
	t     vec.Type
	text  string
}

// Type implements expr.Expr.
func (w *windowRef) Type() vec.Type { return w.t }

// Eval is never called: the reference is replaced by a column.
func (w *windowRef) Eval(*expr.Context, *vec.Batch) (*vec.Vector, error) {
	return nil, pgerr.New(pgerr.Internal, "window function %s stands outside of its node", w.text)
}

// String is for EXPLAIN.
func (w *windowRef) String() string { return w.text }

// Reference implements expr.Reference.
func (w *windowRef) Reference() int { return -(1 << 40) - w.index }

// windowArgs are the functions that exist only with OVER, and how many arguments they take.
var windowArgs = map[string][2]int{
	"row_number": {}, "rank": {}, "dense_rank": {}, "percent_rank": {}, "cume_dist": {},
	"ntile": {1, 1}, "lag": {1, 3}, "lead": {1, 3}, "first_value": {1, 1}, "last_value": {1, 1}, "nth_value": {2, 2},
	"session_start": {2, 2},
}

// skipsNulls are the functions that IGNORE NULLS can be said of.
var skipsNulls = map[string]bool{"lag": true, "lead": true, "first_value": true, "last_value": true, "nth_value": true}

// window binds a call with OVER to a placeholder.
func (b *binder) window(e *ast.Call, sc *scope) expr.Expr {
	ws := sc.windows
	switch {
	case ws == nil:
		return b.fail(pgerr.New(pgerr.WindowingError, "window functions are not allowed in %s", sc.clause), e.Pos())
	case ws.inner:
		return b.fail(pgerr.New(pgerr.WindowingError, "window function calls cannot be nested"), e.Pos())
	case sc.aggs != nil && sc.aggs.inner:
		return b.fail(pgerr.New(pgerr.GroupingError, "aggregate function calls cannot contain window function calls"), e.Pos())
	}
	spec := b.windowSpec(e.Over, ws)
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	ws.inner = true
	defer func() { ws.inner = false }()
	w := windowCall{pos: e.Pos()}
	if _, ok := windowArgs[e.Func()]; ok {
		w.call = b.windowFunction(e, sc)
	} else if agg.IsAggregate(e.Func()) {
		w.call = b.windowAggregate(e, sc)
	} else {
		for _, a := range e.Args {
			b.expr(a.Value, sc)
		}
		if b.err == nil && expr.IsFunction(e.Func()) {
			return b.fail(pgerr.New(pgerr.WrongObjectType, "OVER specified, but %s is not a window function nor an aggregate function", e.Func()), e.Pos())
		}
		return b.fail(pgerr.New(pgerr.UndefinedFunction, "function %s does not exist", e.Func()), e.Pos())
	}
	if e.IgnoreNulls && !skipsNulls[e.Func()] && b.err == nil {
		return b.unsupported("IGNORE NULLS of "+e.Func(), e.Pos())
	}
	w.call.IgnoreNulls = e.IgnoreNulls
	for _, p := range spec.Partition {
		x := b.value(p, sc)
		w.partition = append(w.partition, b.coerce(x, firstKnown(x.Type()), p.Pos()))
	}
	for i := range spec.OrderBy {
		o := &spec.OrderBy[i]
		if o.All {
			return b.unsupported("ORDER BY ALL in a window", o.Pos())
		}
		x := b.sortedBy(o.Expr, sc)
		w.order = append(w.order, sortKey(b.coerce(x, firstKnown(x.Type()), o.Expr.Pos()), o))
	}
	w.call.Frame = b.frame(spec, &w, sc)
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	w.text = w.call.String() + " OVER (" + windowText(&w, spec) + ")"
	for i := range ws.calls {
		if ws.calls[i].same(&w) {
			return &windowRef{i, w.call.T, w.text}
		}
	}
	ws.calls = append(ws.calls, w)
	return &windowRef{len(ws.calls) - 1, w.call.T, w.text}
}

// windowText tells windows apart.
func windowText(w *windowCall, spec *ast.WindowSpec) string {
	text := ""
	for _, p := range w.partition {
		text += expr.String(p) + ","
	}
	text += " ORDER "
	for _, k := range w.order {
		text += expr.String(k.Expr)
		if k.Desc {
			text += " DESC"
		}
		text += ","
	}
	return text
}

// same says whether two calls compute the same.
func (w *windowCall) same(o *windowCall) bool {
	if w.text != o.text || w.call.IgnoreNulls != o.call.IgnoreNulls || !sameList(w.call.Args, o.call.Args) || !expr.Same(w.call.Filter, o.call.Filter) {
		return false
	}
	f, g := w.call.Frame, o.call.Frame
	for _, b := range [][2]plan.FrameBound{{f.Start, g.Start}, {f.End, g.End}} {
		if b[0].Unbounded != b[1].Unbounded || b[0].Following != b[1].Following || !expr.Same(b[0].Offset, b[1].Offset) {
			return false
		}
	}
	return f.Unit == g.Unit && f.Exclude == g.Exclude && w.together(o)
}

// together says whether two calls are over the same partitions in the same order.
func (w *windowCall) together(o *windowCall) bool {
	if !sameList(w.partition, o.partition) || len(w.order) != len(o.order) {
		return false
	}
	for i, k := range w.order {
		if l := o.order[i]; k.Desc != l.Desc || k.NullsFirst != l.NullsFirst || !expr.Same(k.Expr, l.Expr) {
			return false
		}
	}
	return true
}

func sameList(a, b []expr.Expr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !expr.Same(a[i], b[i]) {
			return false
		}
	}
	return true
}

// windowSpec is a window with what it takes from those that it names.
func (b *binder) windowSpec(s *ast.WindowSpec, ws *windows) *ast.WindowSpec {
	name := s.Ref
	if name == nil {
		name = s.Base
	}
	if name == nil {
		return s
	}
	at := -1
	for i := range ws.named {
		if ws.named[i].Name.Name == name.Name {
			at = i
		}
	}
	if at < 0 || !b.enter(s.Pos()) {
		b.fail(pgerr.New(pgerr.UndefinedObject, `window "%s" does not exist`, name.Name), name.Pos())
		return s
	}
	defer b.leave()
	// A window may name those that stand before it.
	base := b.windowSpec(ws.named[at].Spec, &windows{named: ws.named[:at]})
	if s.Ref != nil {
		return base
	}
	out := *s
	switch {
	case len(s.Partition) > 0:
		b.fail(pgerr.New(pgerr.WindowingError, `cannot override PARTITION BY clause of window "%s"`, name.Name), name.Pos())
	case len(s.OrderBy) > 0 && len(base.OrderBy) > 0:
		b.fail(pgerr.New(pgerr.WindowingError, `cannot override ORDER BY clause of window "%s"`, name.Name), name.Pos())
	case base.Frame != nil:
		b.fail(pgerr.New(pgerr.WindowingError, `cannot copy window "%s" because it has a frame clause`, name.Name), name.Pos())
	}
	out.Partition = base.Partition
	if len(base.OrderBy) > 0 {
		out.OrderBy = base.OrderBy
	}
	return &out
}

// windowFunction binds a function that exists only with OVER.
func (b *binder) windowFunction(e *ast.Call, sc *scope) plan.WindowCall {
	name := e.Func()
	out := plan.WindowCall{Name: name, T: vec.T(vec.Int8)}
	switch {
	case e.Distinct:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "DISTINCT is not implemented for window functions"), e.Pos())
	case len(e.OrderBy) > 0:
		b.unsupported("ORDER BY in the arguments of a window function", e.Pos())
	case e.Filter != nil:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "FILTER is not implemented for non-aggregate window functions"), e.Pos())
	}
	var types []vec.Type
	for _, a := range e.Args {
		x := b.value(a.Value, sc)
		out.Args, types = append(out.Args, x), append(types, x.Type())
	}
	if b.err != nil {
		return out
	}
	if n, want := len(out.Args), windowArgs[name]; n < want[0] || n > want[1] || e.Star {
		text := name + "("
		for i, t := range types {
			if i > 0 {
				text += ", "
			}
			text += t.String()
		}
		b.fail(pgerr.New(pgerr.UndefinedFunction, "function %s) does not exist", text).
			WithHint("No function matches the given name and argument types. You might need to add explicit type casts."), e.Pos())
		return out
	}
	number := func(i int) {
		if i < len(out.Args) {
			out.Args[i] = b.coerce(out.Args[i], vec.T(vec.Int4), e.Args[i].Value.Pos())
		}
	}
	switch name {
	case "percent_rank", "cume_dist":
		out.T = vec.T(vec.Float8)
	case "ntile":
		out.T = vec.T(vec.Int4)
		number(0)
	case "session_start":
		if t := out.Args[0].Type(); t.Array || t.Kind != vec.Timestamp {
			out.Args[0] = b.coerce(out.Args[0], vec.T(vec.TimestampTZ), e.Args[0].Value.Pos())
		}
		out.Args[1] = b.coerce(out.Args[1], vec.T(vec.Interval), e.Args[1].Value.Pos())
		out.T = vec.T(out.Args[0].Type().Kind)
	case "lag", "lead":
		number(1)
		if len(out.Args) == 3 {
			both, t := b.common(name, []expr.Expr{out.Args[0], out.Args[2]}, []ast.Pos{e.Args[0].Value.Pos(), e.Args[2].Value.Pos()})
			out.Args[0], out.Args[2], out.T = both[0], both[1], t
			out.T.Mod = 0
			break
		}
		fallthrough
	case "first_value", "last_value", "nth_value":
		if name == "nth_value" {
			number(1)
		}
		out.Args[0] = b.coerce(out.Args[0], firstKnown(out.Args[0].Type()), e.Args[0].Value.Pos())
		out.T = out.Args[0].Type()
		out.T.Mod = 0
	}
	return out
}

// windowAggregate binds an aggregate with OVER.
func (b *binder) windowAggregate(e *ast.Call, sc *scope) plan.WindowCall {
	switch {
	case e.Distinct:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "DISTINCT is not implemented for window functions"), e.Pos())
	case len(e.OrderBy) > 0:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "aggregate ORDER BY is not implemented for window functions"), e.Pos())
	case len(e.WithinGroup) > 0:
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "OVER is not supported for ordered-set aggregate %s", e.Func()), e.Pos())
	}
	if b.err != nil {
		return plan.WindowCall{}
	}
	call, _ := b.aggCall(e, sc)
	return plan.WindowCall{Name: call.Name, Args: call.Args, Filter: call.Filter, T: call.T}
}

// frame binds the frame of a window.
func (b *binder) frame(spec *ast.WindowSpec, w *windowCall, sc *scope) plan.Frame {
	f := spec.Frame
	if f == nil {
		return plan.Frame{Start: plan.FrameBound{Unbounded: true}}
	}
	out := plan.Frame{
		Unit:    map[ast.FrameMode]plan.FrameUnit{ast.FrameRange: plan.RangeFrame, ast.FrameRows: plan.RowsFrame, ast.FrameGroups: plan.GroupsFrame}[f.Mode],
		Exclude: plan.FrameExclude(f.Exclude),
	}
	if out.Unit == plan.GroupsFrame && len(w.order) == 0 {
		b.fail(pgerr.New(pgerr.WindowingError, "GROUPS mode requires an ORDER BY clause"), f.Pos())
	}
	for _, x := range []struct {
		from *ast.FrameBound
		to   *plan.FrameBound
	}{{&f.Start, &out.Start}, {&f.End, &out.End}} {
		switch x.from.Kind {
		case ast.UnboundedPreceding, ast.UnboundedFollowing:
			x.to.Unbounded = true
		case ast.OffsetPreceding, ast.OffsetFollowing:
			x.to.Following = x.from.Kind == ast.OffsetFollowing
			b.frameOffset(x.from.Offset, x.to, &out, w, sc)
		}
	}
	return out
}

// frameOffset binds by how much a bound is moved.
func (b *binder) frameOffset(e ast.Expr, to *plan.FrameBound, f *plan.Frame, w *windowCall, sc *scope) {
	x := b.expr(e, &scope{clause: "window frame", outer: sc.outer})
	if b.err != nil {
		if n, ok := e.(*ast.Name); ok && b.err.Code == pgerr.UndefinedColumn && len(n.Parts) == 1 && sc.rel.find(n.Parts[0].Name) >= 0 {
			b.err = nil
			word := map[plan.FrameUnit]string{plan.RangeFrame: "RANGE", plan.RowsFrame: "ROWS", plan.GroupsFrame: "GROUPS"}[f.Unit]
			b.fail(pgerr.New(pgerr.InvalidColumnReference, "argument of %s must not contain variables", word), e.Pos())
		}
		return
	}
	if f.Unit != plan.RangeFrame {
		to.Offset = b.coerceTo(x, vec.T(vec.Int8), e.Pos(), true)
		return
	}
	if len(w.order) != 1 {
		b.fail(pgerr.New(pgerr.WindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column"), e.Pos())
		return
	}
	key := w.order[0].Expr
	if isNumber := key.Type().IsNumber(); isNumber {
		// Integers are moved as numeric, so that they cannot overflow.
		t := vec.T(vec.Numeric)
		if k := key.Type().Kind; k == vec.Float4 || k == vec.Float8 {
			t = vec.T(vec.Float8)
		}
		key = b.cast(key, t, e.Pos(), true, false)
		x = b.coerceTo(x, t, e.Pos(), true)
	} else {
		if !key.Type().IsTime() {
			b.fail(pgerr.New(pgerr.FeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s", key.Type()), e.Pos())
			return
		}
		x = b.coerce(x, vec.T(vec.Interval), e.Pos())
	}
	if b.err != nil {
		return
	}
	op := "-"
	if to.Following != w.order[0].Desc {
		op = "+"
	}
	moved, err := expr.NewOperator(op, key, x)
	if err != nil {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and offset type %s",
			w.order[0].Expr.Type(), x.Type()), e.Pos())
		return
	}
	if key.Type() != moved.Type() {
		key = b.cast(key, moved.Type(), e.Pos(), true, false)
	}
	where := "starting"
	if to == &f.End {
		where = "ending"
	}
	to.Key, to.Offset = key, b.notNegative(x, moved, where, e.Pos())
}

// notNegative is a moved key, or an error if it was moved by less than nothing, or by no number.
func (b *binder) notNegative(by, moved expr.Expr, where string, pos ast.Pos) expr.Expr {
	if c, ok := b.fold(by).(*expr.Const); ok {
		if c.Value.IsNull(0) {
			return b.fail(pgerr.New(pgerr.NullNotAllowed, "frame %s offset must not be null", where), pos)
		}
		zero := b.literal(textConst("0", vec.T(vec.Unknown)), by.Type(), pos)
		less, err := expr.NewOperator("<", c, zero)
		if err != nil {
			return b.failErr(err, pos)
		}
		v, err := less.Eval(b.env.Expr, &vec.Batch{Rows: 1})
		nan := false
		switch c.Value.Type.Payload() {
		case vec.PayloadF64:
			nan = math.IsNaN(c.Value.F64[0])
		case vec.PayloadDec:
			nan = len(c.Value.Dec) > 0 && c.Value.Dec[0].IsNaN()
		}
		if nan || err == nil && !v.IsNull(0) && v.Bools[0] {
			return b.fail(pgerr.New(pgerr.InvalidFrameOffset, "invalid preceding or following size in window function"), pos)
		}
	}
	return moved
}

// windowed puts Window nodes on top of a node, one for each window, and rewrites what uses
// their calls. Move gives an expression the columns that the node has.
func (s *selection) windowed(node plan.Node, move func(expr.Expr, ast.Pos) expr.Expr) plan.Node {
	calls := s.windows.calls
	if len(calls) == 0 {
		return node
	}
	below := &plan.Project{Input: node}
	for i, f := range node.Schema() {
		below.Exprs, below.Names = append(below.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(below.Names, f.Name)
	}
	for i := range calls {
		w := &calls[i]
		column := func(e expr.Expr) expr.Expr {
			if e == nil {
				return nil
			}
			e = move(e, w.pos)
			for k, x := range below.Exprs {
				if expr.Same(x, e) {
					return &expr.Column{Index: k, T: e.Type(), Name: below.Names[k]}
				}
			}
			below.Exprs, below.Names = append(below.Exprs, e), append(below.Names, expr.String(e))
			return &expr.Column{Index: len(below.Exprs) - 1, T: e.Type(), Name: expr.String(e)}
		}
		list := func(in []expr.Expr) {
			for i := range in {
				in[i] = column(in[i])
			}
		}
		list(w.call.Args)
		list(w.partition)
		w.call.Filter = column(w.call.Filter)
		for k := range w.order {
			w.order[k].Expr = column(w.order[k].Expr)
		}
		for _, f := range []*plan.FrameBound{&w.call.Frame.Start, &w.call.Frame.End} {
			f.Offset, f.Key = column(f.Offset), column(f.Key)
		}
	}
	var out plan.Node = below
	width := len(below.Exprs)
	at := make([]int, len(calls))
	done := make([]bool, len(calls))
	for i := range calls {
		if done[i] {
			continue
		}
		n := &plan.Window{Input: out, Partition: calls[i].partition, Order: calls[i].order}
		for k := i; k < len(calls); k++ {
			if !done[k] && calls[k].together(&calls[i]) {
				n.Calls, n.Names = append(n.Calls, calls[k].call), append(n.Names, calls[k].call.Name)
				at[k], done[k] = width, true
				width++
			}
		}
		out = n
	}
	s.windowAt = at
	for i := range s.items {
		s.items[i].e = s.replaced(s.items[i].e)
	}
	s.qualify = s.replaced(s.qualify)
	return out
}

// replaced is an expression that reads the columns of window calls.
func (s *selection) replaced(e expr.Expr) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if w, ok := x.(*windowRef); ok {
			return &expr.Column{Index: s.windowAt[w.index], T: w.t, Name: s.windows.calls[w.index].call.Name}
		}
		return x
	})
}
