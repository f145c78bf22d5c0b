package bind

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// aggregates are the aggregate calls of one SELECT.
type aggregates struct {
	calls []plan.AggCall
	inner bool // inside an aggregate's argument
	base  int  // where the numbers of those begin that stand in subqueries; 0 if there are none
}

// aggRef stands for an aggregate's result until the Aggregate node is made.
type aggRef struct {
	index int
	t     vec.Type
	text  string
}

// Type implements expr.Expr.
func (a *aggRef) Type() vec.Type { return a.t }

// Eval is never called: the reference is replaced by a column.
func (a *aggRef) Eval(*expr.Context, *vec.Batch) (*vec.Vector, error) {
	return nil, pgerr.New(pgerr.Internal, "aggregate %s stands outside of its node", a.text)
}

// String is for EXPLAIN, and tells aggregates apart.
func (a *aggRef) String() string { return a.text }

// Reference implements expr.Reference.
func (a *aggRef) Reference() int { return -1 - a.index }

// windowOnly are functions that exist only with OVER.
var windowOnly = map[string]bool{
	"row_number": true, "ntile": true, "lag": true, "lead": true, "first_value": true, "last_value": true, "nth_value": true,
	"session_start": true,
}

// withinGroup are the aggregates that are written with WITHIN GROUP.
var withinGroup = map[string]bool{
	"percentile_cont": true, "percentile_disc": true, "mode": true,
	"rank": true, "dense_rank": true, "percent_rank": true, "cume_dist": true,
}

func (b *binder) callOf(e *ast.Call, sc *scope) expr.Expr {
	name := e.Func()
	if len(e.Name) > 1 && e.Name[len(e.Name)-2].Name != "pg_catalog" && name != "_pg_expandarray" {
		return b.fail(pgerr.New(pgerr.UndefinedSchema, `schema "%s" does not exist`, e.Name[len(e.Name)-2].Name), e.Pos())
	}
	switch {
	case e.Over != nil:
		return b.window(e, sc)
	case windowOnly[name]:
		return b.fail(pgerr.New(pgerr.WrongObjectType, "window function %s requires an OVER clause", name), e.Pos())
	case e.IgnoreNulls:
		return b.fail(pgerr.New(pgerr.WindowingError, "IGNORE NULLS requires an OVER clause"), e.Pos())
	}
	if e = b.positional(e); b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	if n := len(e.Args); n > 0 && e.Args[n-1].Variadic {
		return b.spread(name, e, sc)
	}
	e = b.rowToJSON(e, sc)
	name = e.Func()
	if agg.IsAggregate(name) {
		return b.aggregate(e, sc)
	}
	if isSet(name) {
		return b.setOfItem(e, sc)
	}
	switch {
	case name == "grouping":
		return b.grouping(e, sc)
	}
	word := ""
	switch {
	case e.Star:
		word = "(*)"
	case e.Distinct:
		word = "DISTINCT"
	case len(e.OrderBy) > 0:
		word = "ORDER BY"
	case len(e.WithinGroup) > 0:
		word = "WITHIN GROUP"
	case e.Filter != nil:
		word = "FILTER"
	}
	if word != "" && expr.IsFunction(name) {
		return b.fail(pgerr.New(pgerr.WrongObjectType, "%s specified, but %s is not an aggregate function", word, name), e.Pos())
	}
	if name == "row_to_json" && len(e.Args) == 1 {
		if _, ok := e.Args[0].Value.(*ast.Null); ok {
			return null(vec.T(vec.JSON))
		}
	}
	args := make([]expr.Expr, len(e.Args))
	for i, a := range e.Args {
		if name == "nextval" || name == "currval" {
			a.Value = sequenceText(a.Value)
		}
		if n, ok := a.Value.(*ast.Name); ok && name == "normalize" && i == 1 && len(n.Parts) == 1 {
			args[i] = textConst(n.Parts[0].Name, vec.T(vec.Text)) // NFC and its like are words, not columns
			continue
		}
		args[i] = b.expr(a.Value, sc)
	}
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	if name == "overlaps" && len(args) == 4 { // a period may be a time and how long
		for i := 0; i < 4; i += 2 {
			if args[i+1].Type() == vec.T(vec.Interval) {
				args[i+1] = b.operator("+", args[i], args[i+1], e.Pos())
			}
		}
	}
	if len(args) == 1 && isRow(args[0]) && slices.Contains(jsonOfRows, name) {
		object := b.jsonOfRow(args[0], e.Pos())
		if name == "to_jsonb" && b.err == nil {
			object = b.cast(object, vec.T(vec.JSONB), e.Pos(), true, false)
		}
		return object
	}
	if every := jsonValues[name]; every > 0 {
		for i := every - 1; i < len(args); i += every {
			if isRow(args[i]) {
				if args[i] = b.jsonOfRow(args[i], e.Pos()); !strings.HasPrefix(name, "row_to_json") {
					args[i] = b.cast(args[i], vec.T(vec.JSONB), e.Pos(), true, false)
				}
			}
		}
	}
	switch name {
	case "coalesce", "ifnull", "nvl", "greatest", "least", "nullif", "if":
		return b.conditional(name, args, e)
	}
	return b.function(name, args, e)
}

// spread is f(VARIADIC array), whose last argument stands for as many as it has elements.
func (b *binder) spread(name string, e *ast.Call, sc *scope) expr.Expr {
	args := make([]expr.Expr, len(e.Args))
	for i, a := range e.Args {
		args[i] = b.value(a.Value, sc)
	}
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	x, err := expr.NewSpread(name, args)
	if err != nil {
		return b.failErr(err, e.Pos())
	}
	return x
}

// sequenceText is a name that is cast to regclass, as a text: sequences of columns are no relations.
func sequenceText(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.Cast:
		if _, ok := e.X.(*ast.String); ok && e.Type.Name == "regclass" && !e.Try {
			return e.X
		}
	case *ast.Typed:
		if e.Type.Name == "regclass" {
			return &ast.String{Place: e.Place, Value: e.Value}
		}
	}
	return e
}

// parameters are the names of arguments, of functions that have some, and what an argument is
// that is left out; nothing if it must be there.
var parameters = map[string][][2]string{
	"make_interval":    {{"years", "0"}, {"months", "0"}, {"weeks", "0"}, {"days", "0"}, {"hours", "0"}, {"mins", "0"}, {"secs", "0"}},
	"make_date":        {{"year"}, {"month"}, {"day"}},
	"make_time":        {{"hour"}, {"min"}, {"sec"}},
	"make_timestamp":   {{"year"}, {"month"}, {"mday"}, {"hour"}, {"min"}, {"sec"}},
	"make_timestamptz": {{"year"}, {"month"}, {"mday"}, {"hour"}, {"min"}, {"sec"}, {"timezone"}},
	"jsonb_set":        {{"jsonb_in"}, {"path"}, {"replacement"}, {"create_if_missing", "true"}},
	"jsonb_insert":     {{"jsonb_in"}, {"path"}, {"replacement"}, {"insert_after", "false"}},
}

func init() {
	for _, name := range []string{"exists", "match", "query", "query_array", "query_first"} {
		for _, tz := range []string{"", "_tz"} {
			parameters["jsonb_path_"+name+tz] = [][2]string{{"target"}, {"path"}, {"vars", "{}"}, {"silent", "false"}}
		}
	}
}

// positional is a call whose named arguments stand in their places.
func (b *binder) positional(e *ast.Call) *ast.Call {
	first := slices.IndexFunc(e.Args, func(a ast.Arg) bool { return a.Name != nil })
	if first < 0 {
		return e
	}
	names := parameters[e.Func()]
	out := *e
	out.Args = slices.Clone(e.Args[:first])
	given := map[string]ast.Arg{}
	for _, a := range e.Args[first:] {
		if a.Name == nil {
			b.fail(pgerr.New(pgerr.SyntaxError, "positional argument cannot follow named argument"), a.Value.Pos())
			return e
		}
		at := slices.IndexFunc(names, func(n [2]string) bool { return n[0] == a.Name.Name })
		if _, twice := given[a.Name.Name]; twice {
			b.fail(pgerr.New(pgerr.SyntaxError, "argument name \"%s\" used more than once", a.Name.Name), a.Pos())
			return e
		}
		if at < first {
			b.fail(pgerr.New(pgerr.UndefinedFunction, "function %s has no argument with the name %s", e.Func(), a.Name.Name).
				WithHint("No function matches the given name and argument types. You might need to add explicit type casts."), a.Pos())
			return e
		}
		given[a.Name.Name] = a
	}
	for _, n := range names[min(first, len(names)):] {
		a, ok := given[n[0]]
		switch {
		case ok:
			a.Name = nil
			delete(given, n[0])
		case len(given) == 0:
			return &out
		case n[1] == "":
			b.fail(pgerr.New(pgerr.UndefinedFunction, "function %s needs the argument %s", e.Func(), n[0]), e.Pos())
			return e
		default:
			a = ast.Arg{Value: &ast.String{Place: e.Place, Value: n[1]}}
		}
		out.Args = append(out.Args, a)
	}
	return &out
}

// conditional makes the calls that evaluate arguments by need.
func (b *binder) conditional(name string, args []expr.Expr, e *ast.Call) expr.Expr {
	places := make([]ast.Pos, len(args))
	for i, a := range e.Args {
		places[i] = a.Value.Pos()
	}
	switch {
	case name == "nullif" && len(args) == 2:
		b.copied(args[0], 1, e.Pos())
		args[0], args[1] = b.settlePair("=", args[0], args[1])
		if b.err == nil && isRow(args[0]) && isRow(args[1]) {
			return &expr.NullIf{Left: args[0], Equal: b.rowsAsValues("=", args[0], args[1], e.Pos())}
		}
		o, err := expr.Resolve("=", []vec.Type{args[0].Type(), args[1].Type()})
		if err != nil {
			return b.failErr(err, e.Pos())
		}
		eq := b.apply(o, args, e.Pos())
		t := firstKnown(args[0].Type())
		if t.Kind == vec.Varchar && !t.Array {
			t = vec.T(vec.Text) // = compares varchar as text, and so it comes out
		}
		return &expr.NullIf{Left: b.coerce(args[0], t, places[0]), Equal: eq}
	case name == "if" && len(args) == 3:
		args[0] = b.condition(args[0], "IF", places[0])
		results, t := b.common("IF", args[1:], places[1:])
		return &expr.Case{Whens: []expr.When{{Cond: args[0], Result: results[0]}}, Else: results[1], T: t}
	case len(args) > 0:
		args, _ = b.common(strings.ToUpper(name), args, places)
	}
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	x, err := expr.NewConditional(name, args)
	if err != nil {
		return b.failErr(err, e.Pos())
	}
	return x
}

func firstKnown(t vec.Type) vec.Type {
	if t.Kind == vec.Unknown {
		return vec.T(vec.Text)
	}
	return t
}

func wantsJSON(name string) bool {
	return strings.HasPrefix(name, "jsonb_") || strings.HasPrefix(name, "json_") || name == "to_jsonb" || name == "to_json"
}

// pathTypes are what a path is tried as in a call, in order.
var pathTypes = []vec.Type{vec.T(vec.Text), vec.T(vec.Float8), vec.T(vec.Numeric), vec.T(vec.TimestampTZ), vec.T(vec.Bool), vec.T(vec.JSONB)}

// settleArgs gives the paths among a call's arguments the first type that the function
// takes: text if it can be, so text functions see text; jsonb in jsonb functions.
func (b *binder) settleArgs(name string, args []expr.Expr, resolves func([]vec.Type) bool) []expr.Expr {
	types := make([]vec.Type, len(args))
	paths := false
	for i, a := range args {
		types[i] = a.Type()
		_, ok := a.(*pathRef)
		paths = paths || ok
	}
	if !paths {
		return args
	}
	tries := pathTypes
	if wantsJSON(name) {
		tries = []vec.Type{vec.T(vec.JSONB), vec.T(vec.Text)}
	}
	out := append([]expr.Expr(nil), args...)
	for n, t := range append(tries, tries[0]) {
		for i, a := range args {
			if _, ok := a.(*pathRef); ok {
				types[i] = t
			}
		}
		if n < len(tries) && !resolves(types) {
			continue
		}
		for i, a := range args {
			if p, ok := a.(*pathRef); ok {
				out[i] = b.resolve(p, t)
			}
		}
		break
	}
	return out
}

func (b *binder) function(name string, args []expr.Expr, e *ast.Call) expr.Expr {
	args = b.settleArgs(name, args, func(t []vec.Type) bool { _, err := expr.Resolve(name, t); return err == nil })
	types := make([]vec.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	o, err := expr.Resolve(name, types)
	if err != nil {
		// PostgreSQL reads float8(x) and its like as casts.
		if k, ok := typeNames[name]; ok && len(args) == 1 && !expr.IsFunction(name) {
			return b.cast(b.settle(args[0]), vec.T(k), e.Pos(), true, false)
		}
		return b.failErr(err, e.Pos())
	}
	out := make([]expr.Expr, len(args))
	for i, a := range args {
		out[i] = b.coerce(a, o.Args[i], e.Args[i].Value.Pos())
	}
	if b.err != nil {
		return null(o.Result)
	}
	return expr.NewCall(o, out)
}

// aggregate binds an aggregate call to a placeholder. One in a subquery belongs to the query around
// if that is where all columns of its arguments are: there it is a column from outside.
func (b *binder) aggregate(e *ast.Call, sc *scope) expr.Expr {
	if name, ok := sc.computed[e]; ok {
		return b.column(sc.rel, slices.IndexFunc(sc.rel.fields, func(f vec.Field) bool { return f.Name == name }), e.Pos())
	}
	nested := sc.aggs != nil && sc.aggs.inner
	if sc.aggs != nil && !nested {
		sc.aggs.inner = true
		defer func() { sc.aggs.inner = false }()
	}
	call, ok := b.aggCall(e, sc)
	if !ok {
		return null(vec.T(vec.Unknown))
	}
	home, inAggregate := b.homeOf(&call, sc)
	switch {
	case home.aggs == nil:
		return b.fail(pgerr.New(pgerr.GroupingError, "aggregate functions are not allowed in %s", home.clause), e.Pos())
	case inAggregate, home == sc && nested, home != sc && home.aggs.inner:
		pos := e.Pos()
		ast.Walk(e, func(x ast.Node) bool {
			c, ok := x.(*ast.Call)
			if ok && inAggregate && c != e && agg.IsAggregate(c.Func()) {
				pos, inAggregate = c.Pos(), false
			}
			return true
		})
		return b.fail(pgerr.New(pgerr.GroupingError, "aggregate function calls cannot be nested"), pos)
	case home != sc && (home.host == nil || home.aggs != &home.host.aggs):
		return b.unsupported("an aggregate of columns outside of the subquery", e.Pos())
	}
	aggs, text := home.aggs, call.String()
	at := slices.IndexFunc(aggs.calls, func(c plan.AggCall) bool { return sameCall(&c, &call) })
	if at < 0 {
		at = len(aggs.calls)
		aggs.calls = append(aggs.calls, call)
	}
	if home == sc {
		return &aggRef{index: at, t: call.T, text: text}
	}
	return aggs.outside(b, at)
}

// outside is an aggregate as a subquery reads it.
func (a *aggregates) outside(b *binder, i int) *expr.Column {
	if a.base == 0 {
		a.base = b.base()
	}
	return &expr.Column{Index: a.base + i, T: a.calls[i].T, Name: a.calls[i].String()}
}

// homeOf is the innermost scope that has a column which an aggregate reads, and whether one of
// them is an aggregate itself.
func (b *binder) homeOf(call *plan.AggCall, sc *scope) (home *scope, inAggregate bool) {
	own := func(o *scope, c *expr.Column) bool {
		return o.rel.owns(c) || o.host != nil && (o.host.attachedOf(c) != nil || o.host.aggs.base != 0 && o.host.aggs.base == baseOf(c.Index))
	}
	var all []*expr.Column
	collect := func(e expr.Expr) {
		if e != nil {
			expr.Walk(e, func(x expr.Expr) bool {
				if c, ok := x.(*expr.Column); ok {
					all = append(all, c)
				}
				return true
			})
		}
	}
	for _, a := range call.Args {
		collect(a)
	}
	collect(call.Filter)
	for _, k := range call.OrderBy {
		collect(k.Expr)
	}
	for o := sc; o != nil && len(all) > 0; o = o.outer {
		for _, c := range all {
			if own(o, c) {
				return o, o.host != nil && o.host.aggs.base != 0 && slices.ContainsFunc(all, func(c *expr.Column) bool { return baseOf(c.Index) == o.host.aggs.base })
			}
		}
	}
	return sc, false
}

func (b *binder) aggCall(e *ast.Call, sc *scope) (plan.AggCall, bool) {
	name := e.Func()
	call := plan.AggCall{Name: name, Distinct: e.Distinct}
	var args []expr.Expr
	var places []ast.Pos
	for _, a := range e.Args {
		args, places = append(args, b.expr(a.Value, sc)), append(places, a.Value.Pos())
	}
	order := e.OrderBy
	if len(e.WithinGroup) > 0 {
		order = e.WithinGroup
		for _, o := range order {
			args, places = append(args, b.expr(o.Expr, sc)), append(places, o.Expr.Pos())
		}
	} else if withinGroup[name] && !e.Star {
		if _, ok := windowArgs[name]; ok && len(e.Args) == 0 {
			b.fail(pgerr.New(pgerr.WrongObjectType, "window function %s requires an OVER clause", name), e.Pos())
			return call, false
		}
		b.fail(pgerr.New(pgerr.WrongObjectType, "WITHIN GROUP is required for ordered-set aggregate %s", name), e.Pos())
		return call, false
	}
	if e.Star && name != "count" {
		b.fail(pgerr.New(pgerr.UndefinedFunction, "function %s() does not exist", name).
			WithHint("No function matches the given name and argument types. You might need to add explicit type casts."), e.Pos())
		return call, false
	}
	if b.err != nil {
		return call, false
	}
	if name == "count" {
		// count counts what is not null, so a path may stay text, and costs no conversion.
		for i := range args {
			args[i] = b.settle(args[i])
		}
	}
	if len(args) > 0 && slices.Contains(jsonOfRows, name) && isRow(args[0]) {
		args[0] = b.cast(b.jsonOfRow(args[0], places[0]), vec.T(vec.JSONB), places[0], true, false)
	}
	args = b.settleArgs(name, args, func(t []vec.Type) bool { _, err := agg.Resolve(name, t); return err == nil })
	types := make([]vec.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	spec, err := agg.Resolve(name, types)
	if err != nil {
		b.failErr(err, e.Pos())
		return call, false
	}
	for i, a := range args {
		to := a.Type()
		if i < len(spec.Args) {
			to = spec.Args[i]
		}
		call.Args = append(call.Args, b.coerce(a, to, places[i]))
	}
	call.T = spec.Result
	for i, o := range order {
		if o.All {
			b.unsupported("ORDER BY ALL in an aggregate", o.Pos())
			return call, false
		}
		var x expr.Expr
		if len(e.WithinGroup) > 0 {
			x = call.Args[len(e.Args)+i]
		} else {
			x = b.sortedBy(o.Expr, sc)
			x = b.coerce(x, firstKnown(x.Type()), o.Expr.Pos())
			if e.Distinct && !anySame(x, call.Args) {
				b.fail(pgerr.New(pgerr.InvalidColumnReference,
					"in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list"), o.Expr.Pos())
				return call, false
			}
		}
		call.OrderBy = append(call.OrderBy, sortKey(x, &o))
	}
	if e.Filter != nil {
		call.Filter = b.condition(b.expr(e.Filter, sc), "FILTER", e.Filter.Pos())
	}
	return call, b.err == nil
}

// bytewise are the collations that order texts by their bytes, as everything does that names none.
var bytewise = map[string]bool{"C": true, "POSIX": true, "default": true, "ucs_basic": true}

// sortedBy binds what an item of ORDER BY is ordered by: with the collation of a language, a key of the text.
func (b *binder) sortedBy(e ast.Expr, sc *scope) expr.Expr {
	c, ok := e.(*ast.Collate)
	if !ok || bytewise[c.Collation()] {
		return b.value(e, sc)
	}
	if _, err := expr.ParseCollation(c.Collation()); err != nil {
		return b.failErr(err, c.Pos())
	}
	x := b.value(c.X, sc)
	if t := x.Type(); b.err == nil && !t.IsText() && t.Kind != vec.Unknown {
		return b.fail(pgerr.New(pgerr.DatatypeMismatch, "collations are not supported by type %s", t), c.Pos())
	}
	return b.call("collation_key", []expr.Expr{x, textConst(c.Collation(), vec.T(vec.Text))}, c.Pos())
}

func sortKey(x expr.Expr, o *ast.OrderItem) plan.SortKey {
	k := plan.SortKey{Expr: x, Desc: o.Desc, NullsFirst: o.Desc}
	switch o.Nulls {
	case ast.NullsFirst:
		k.NullsFirst = true
	case ast.NullsLast:
		k.NullsFirst = false
	}
	return k
}

func anySame(x expr.Expr, list []expr.Expr) bool {
	for _, a := range list {
		if expr.Same(x, a) {
			return true
		}
	}
	return false
}

func sameCall(a, b *plan.AggCall) bool {
	if a.Name != b.Name || a.Distinct != b.Distinct || len(a.Args) != len(b.Args) || len(a.OrderBy) != len(b.OrderBy) || !expr.Same(a.Filter, b.Filter) {
		return false
	}
	for i := range a.Args {
		if !expr.Same(a.Args[i], b.Args[i]) {
			return false
		}
	}
	for i, k := range a.OrderBy {
		o := b.OrderBy[i]
		if k.Desc != o.Desc || k.NullsFirst != o.NullsFirst || !expr.Same(k.Expr, o.Expr) {
			return false
		}
	}
	return true
}
