package bind

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// The elements of FROM in this file are short for queries, and are bound as those.

// pivot is t PIVOT (f(x) FOR c IN (v AS n) GROUP BY g), which is
//
//	SELECT g, f(x) FILTER (WHERE c = v) AS n FROM t GROUP BY g
//
// Without GROUP BY, the groups are those of all columns that neither f nor c names.
func (b *binder) pivot(t *ast.Pivot) *relation {
	s := &ast.Select{Place: t.Place, From: []ast.TableExpr{t.Input}, GroupBy: &ast.GroupBy{Place: t.Place, All: true}}
	if len(t.GroupBy) == 0 {
		star := &ast.Star{Place: t.Place}
		seen := map[string]bool{}
		for _, x := range t.For {
			star.Exclude = appendColumns(star.Exclude, seen, x)
		}
		for _, a := range t.Aggs {
			star.Exclude = appendColumns(star.Exclude, seen, a.Expr)
		}
		s.Items = append(s.Items, ast.SelectItem{Place: t.Place, Expr: star})
	}
	for _, g := range t.GroupBy {
		s.Items = append(s.Items, ast.SelectItem{Place: ast.At(g.Pos()), Expr: g})
	}
	if len(t.In)*len(t.Aggs) > maxColumns {
		b.fail(pgerr.New(pgerr.TooManyColumns, "target lists can have at most %d entries", maxColumns), t.Pos())
		return &relation{node: &plan.Values{}}
	}
	for _, in := range t.In {
		values := []ast.Expr{in.Expr}
		if row, ok := in.Expr.(*ast.Row); ok {
			values = row.Elems
		}
		if len(values) != len(t.For) {
			b.fail(pgerr.New(pgerr.SyntaxError, "PIVOT needs %d values here, for as many columns", len(t.For)), in.Expr.Pos())
			break
		}
		name := ""
		var conds []ast.Expr
		for i, v := range values {
			text, ok := constantText(v)
			if !ok && in.Alias == nil {
				b.fail(pgerr.New(pgerr.ColumnsNotConstant, "a value of PIVOT is no constant, so its column has no name").
					WithHint("Write a literal, or name the column: IN (expression AS name)."), v.Pos())
			}
			if i > 0 {
				name += "_"
			}
			name += text
			conds = append(conds, &ast.IsDistinct{Place: ast.At(v.Pos()), Left: t.For[i], Right: v, Not: true})
		}
		if in.Alias != nil {
			name = in.Alias.Name
		}
		for _, a := range t.Aggs {
			call, ok := a.Expr.(*ast.Call)
			if !ok || !agg.IsAggregate(call.Func()) || call.Over != nil {
				b.fail(pgerr.New(pgerr.SyntaxError, "PIVOT takes calls of aggregates"), a.Expr.Pos())
				break
			}
			c := *call
			all := conds
			if c.Filter != nil {
				all = append(all[:len(all):len(all)], c.Filter)
			}
			c.Filter = all[0]
			if len(all) > 1 {
				c.Filter = &ast.Logic{Place: c.Place, Args: all}
			}
			full := name
			switch {
			case a.Alias != nil:
				full += "_" + a.Alias.Name
			case len(t.Aggs) > 1:
				full += "_" + call.Func()
			}
			s.Items = append(s.Items, ast.SelectItem{Place: a.Place, Expr: &c, Alias: &ast.Ident{Place: in.Place, Name: full}})
		}
	}
	if b.err != nil {
		return &relation{node: &plan.Values{}}
	}
	return b.derived(b.queryIn(s, b.outer), "pivot", t.Alias)
}

// appendColumns adds the columns that an expression names, each once.
func appendColumns(list []ast.Ident, seen map[string]bool, e ast.Expr) []ast.Ident {
	ast.Walk(e, func(n ast.Node) bool {
		if name, ok := n.(*ast.Name); ok {
			last := name.Parts[len(name.Parts)-1]
			if !seen[last.Name] {
				seen[last.Name] = true
				list = append(list, last)
			}
		}
		return true
	})
	return list
}

// constantText is a literal as the name of a column.
func constantText(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.String:
		return e.Value, true
	case *ast.Number:
		return e.Text, true
	case *ast.Bool:
		return strconv.FormatBool(e.Value), true
	case *ast.Null:
		return "NULL", true
	case *ast.Typed:
		return e.Value, true
	case *ast.Cast:
		return constantText(e.X)
	case *ast.Unary:
		text, ok := constantText(e.X)
		return e.Op + text, ok && e.Op == "-"
	}
	return "", false
}

// unpivot is t UNPIVOT (value FOR name IN (a, b)), which is
//
//	SELECT t.* EXCLUDE (a, b), u.* FROM t CROSS JOIN LATERAL (VALUES ('a', t.a), ('b', t.b)) AS u(name, value)
//
// without the rows whose value is NULL, unless they are asked for.
func (b *binder) unpivot(t *ast.Unpivot) *relation {
	const input, pairs = "unpivot input", "unpivot pairs"
	ident := func(name string) ast.Ident { return ast.Ident{Place: t.Place, Name: name} }
	values := &ast.Values{Place: t.Place}
	star := &ast.Star{Place: t.Place, Table: []ast.Ident{ident(input)}}
	seen := map[string]bool{}
	for _, c := range t.Columns {
		name, ok := c.Expr.(*ast.Name)
		if !ok {
			b.fail(pgerr.New(pgerr.SyntaxError, "UNPIVOT takes names of columns"), c.Expr.Pos())
			return &relation{node: &plan.Values{}}
		}
		last := name.Parts[len(name.Parts)-1]
		star.Exclude = appendColumns(star.Exclude, seen, name)
		label := last.Name
		if c.Alias != nil {
			label = c.Alias.Name
		}
		values.Rows = append(values.Rows, []ast.Expr{&ast.String{Place: name.Place, Value: label},
			&ast.Name{Place: name.Place, Parts: []ast.Ident{ident(input), last}}})
	}
	all := &ast.Select{Place: t.Place, From: []ast.TableExpr{t.Input}, Items: []ast.SelectItem{{Place: t.Place, Expr: &ast.Star{Place: t.Place}}}}
	name := func(parts ...string) *ast.Name {
		n := &ast.Name{Place: t.Place}
		for _, p := range parts {
			n.Parts = append(n.Parts, ident(p))
		}
		return n
	}
	s := &ast.Select{Place: t.Place,
		Items: []ast.SelectItem{{Place: t.Place, Expr: star}, {Place: t.Place, Expr: name(pairs, t.Name.Name)}, {Place: t.Place, Expr: name(pairs, t.Value.Name)}},
		From: []ast.TableExpr{&ast.Join{Place: t.Place, Kind: ast.JoinCross,
			Left: &ast.Derived{Place: t.Place, Query: all, Alias: &ast.Alias{Place: t.Place, Name: ident(input)}},
			Right: &ast.Derived{Place: t.Place, Lateral: true, Query: values, Alias: &ast.Alias{Place: t.Place, Name: ident(pairs),
				Columns: []ast.ColumnDef{{Place: t.Place, Name: t.Name}, {Place: t.Place, Name: t.Value}}}}}}}
	if !t.IncludeNulls {
		s.Where = &ast.Is{Place: t.Place, X: name(pairs, t.Value.Name), Kind: ast.IsNull, Not: true}
	}
	return b.derived(b.queryIn(s, b.outer), "unpivot", t.Alias)
}

// sampled is t TABLESAMPLE m (p), which is SELECT * FROM t with a condition: random() is less
// than p percent, or a hash is. ACTORS hashes the actor, so that all rows of one are in or out;
// what is REPEATABLE hashes all columns.
func (b *binder) sampled(t *ast.TableName) *relation {
	empty := &relation{node: &plan.Values{}}
	plain := *t
	plain.Sample, plain.Alias = nil, nil
	rel := b.tableName(&plain, "SELECT")
	percent, ok := b.number64(t.Sample.Percent, "TABLESAMPLE")
	if b.err != nil {
		return empty
	}
	pos := t.Sample.Place
	if !ok || !(percent >= 0 && percent <= 100) {
		b.fail(pgerr.New("2202H", "sample percentage must be between 0 and 100"), t.Sample.Percent.Pos())
		return empty
	}
	column := func(name string) ast.Arg {
		return ast.Arg{Place: pos, Value: &ast.Name{Place: pos, Parts: []ast.Ident{{Place: pos, Name: name}}}}
	}
	call := func(name string, args ...ast.Arg) ast.Expr {
		return &ast.Call{Place: pos, Name: []ast.Ident{{Place: pos, Name: name}}, Args: args}
	}
	number := func(text string) ast.Expr { return &ast.Number{Place: pos, Text: text} }
	var args []ast.Arg
	switch method := t.Sample.Method; {
	case method == "actors":
		actor := ""
		if rel.table != nil {
			actor = rel.table.Actor
		}
		if actor == "" && rel.find("person_id") >= 0 {
			actor = "person_id"
		}
		if actor == "" {
			b.fail(pgerr.New(pgerr.UnknownActorOrTime, "TABLESAMPLE ACTORS: the table has no column of actors").
				WithHint("Name one when the table is created: WITH (actor = 'column')."), t.Sample.Pos())
			return empty
		}
		args = []ast.Arg{column(actor)}
	case method != "bernoulli" && method != "system":
		b.fail(pgerr.New(pgerr.UndefinedObject, "tablesample method %s does not exist", method), t.Sample.Pos())
		return empty
	case t.Sample.Seed != nil:
		for _, f := range rel.fields {
			args = append(args, column(f.Name))
		}
	}
	cond := &ast.Binary{Place: pos, Op: "<", Left: call("random"), Right: number(strconv.FormatFloat(percent/100, 'f', -1, 64))}
	if args != nil {
		seed := ast.Expr(number("0"))
		if t.Sample.Seed != nil {
			seed = t.Sample.Seed
		}
		hash := call("hash", append(args, ast.Arg{Place: pos, Value: seed})...)
		// The hash without its sign, as a part of what it can be.
		limit := strconv.FormatFloat(math.Round(percent/100*(1<<63)), 'f', 0, 64)
		cond.Left = &ast.Binary{Place: pos, Op: "&", Left: hash, Right: number(strconv.FormatInt(math.MaxInt64, 10))}
		cond.Right = number(limit)
	}
	alias := t.Alias
	if alias == nil {
		alias = &ast.Alias{Place: t.Place, Name: t.Name[len(t.Name)-1]}
	}
	q := &ast.Select{Place: t.Place, Items: []ast.SelectItem{{Place: t.Place, Expr: &ast.Star{Place: t.Place}}}, From: []ast.TableExpr{&plain}, Where: cond}
	out := b.derived(b.queryIn(q, b.outer), "", alias)
	if rel.table != nil {
		out.oid = rel.table.OID
	}
	return out
}

// number64 is a constant number.
func (b *binder) number64(e ast.Expr, clause string) (float64, bool) {
	x := b.expr(e, &scope{clause: clause})
	if b.err != nil {
		return 0, false
	}
	c, ok := b.fold(b.coerceTo(x, vec.T(vec.Float8), e.Pos(), true)).(*expr.Const)
	if !ok || b.err != nil || c.Value.IsNull(0) {
		return 0, false
	}
	return c.Value.F64[0], true
}

// asof binds the condition of l ASOF [LEFT] JOIN r ON l.k = r.k AND l.t >= r.t.
func (b *binder) asof(rel *relation, t *ast.Join) {
	if t.On == nil {
		b.fail(pgerr.New(pgerr.SyntaxError, "ASOF JOIN needs a condition ON, with one inequality"), t.Pos())
		return
	}
	s := &selection{b: b, sc: &scope{rel: rel, clause: "JOIN/ON", outer: b.outer}}
	s.sc.host = s
	ofSide := func(side *relation) func(int) bool {
		return func(column int) bool { return side.ownsBase(baseOf(column)) }
	}
	var conds []expr.Expr
	ordered := false
	for _, c := range conjuncts(t.On) {
		cond := b.condition(b.expr(c, s.sc), "JOIN/ON", c.Pos())
		if b.err != nil {
			return
		}
		op, _, _, ok := plan.AsofPart(cond, ofSide(rel.join.left), ofSide(rel.join.right))
		inequality := strings.ContainsAny(op, "<>")
		switch {
		case !ok || len(s.attached) > 0:
			b.fail(pgerr.New(pgerr.FeatureNotSupported, "this condition of an ASOF JOIN is not supported").
				WithHint("It takes equalities and one inequality of values of one type, one of each side, and conditions of one side alone."), c.Pos())
			return
		case inequality && ordered:
			b.fail(pgerr.New(pgerr.SyntaxError, "ASOF JOIN takes one inequality, and this is another"), c.Pos())
			return
		}
		ordered = ordered || inequality
		conds = append(conds, cond)
	}
	if !ordered {
		b.fail(pgerr.New(pgerr.SyntaxError, "ASOF JOIN needs an inequality in its condition").
			WithHint("Write, for example, ON l.key = r.key AND l.time >= r.time."), t.On.Pos())
		return
	}
	rel.join.on = allOf(conds)
}

// byName gives two queries the columns of both, in the order of the left one and then of the
// right one; those that one has not are NULL there.
func byName(left, right plan.Node) (plan.Node, plan.Node) {
	ls, rs := left.Schema(), right.Schema()
	find := func(s vec.Schema, name string) int {
		for i, f := range s {
			if f.Name == name {
				return i
			}
		}
		return -1
	}
	lp, rp := &plan.Project{Input: left}, &plan.Project{Input: right}
	add := func(f vec.Field) {
		for _, p := range []*plan.Project{lp, rp} {
			var e expr.Expr = null(f.Type)
			s := p.Input.Schema()
			if i := find(s, f.Name); i >= 0 {
				e = &expr.Column{Index: i, T: s[i].Type, Name: f.Name}
			}
			p.Exprs, p.Names = append(p.Exprs, e), append(p.Names, f.Name)
		}
	}
	for _, f := range ls {
		add(f)
	}
	for _, f := range rs {
		if find(ls, f.Name) < 0 {
			add(f)
		}
	}
	return lp, rp
}

// recordset is jsonb_to_recordset(x) AS t(a int, b text), which is
//
//	LATERAL (SELECT (e.value ->> 'a')::int AS a, (e.value ->> 'b')::text AS b FROM jsonb_array_elements(x) AS e(value)) AS t
//
// and jsonb_to_record the same of one object. jsonb_populate_recordset(null::table, x) takes the
// columns of the table. It is nil for any other function.
func (b *binder) recordset(t *ast.FuncTable) *ast.Derived {
	if len(t.Calls) != 1 || t.Ordinality {
		return nil
	}
	call, ok := t.Calls[0].Call.(*ast.Call)
	if !ok || slices.ContainsFunc(call.Args, func(a ast.Arg) bool { return a.Name != nil }) {
		return nil
	}
	place := t.Place
	name, args := strings.TrimPrefix(strings.TrimPrefix(call.Func(), "jsonb_"), "json_"), call.Args
	set := strings.HasSuffix(name, "set")
	var columns []ast.ColumnDef
	var alias *ast.Alias
	switch {
	case name == call.Func():
		return nil
	case (name == "to_record" || name == "to_recordset") && len(args) == 1:
		if t.Alias == nil || len(t.Alias.Columns) == 0 || slices.ContainsFunc(t.Alias.Columns, func(c ast.ColumnDef) bool { return c.Type == nil }) {
			b.fail(pgerr.New(pgerr.SyntaxError, `a column definition list is required for functions returning "record"`), place.Pos())
			return nil
		}
		columns, alias = t.Alias.Columns, &ast.Alias{Place: t.Alias.Place, Name: t.Alias.Name}
	case (name == "populate_record" || name == "populate_recordset") && len(args) == 2:
		if columns = b.rowColumns(args[0].Value); columns == nil {
			return nil
		}
		if args, alias = args[1:], t.Alias; alias == nil {
			alias = &ast.Alias{Place: place, Name: ast.Ident{Place: place, Name: call.Func()}}
		}
	default:
		return nil
	}
	ident := func(s string) ast.Ident { return ast.Ident{Place: place, Name: s} }
	value := &ast.Name{Place: place, Parts: []ast.Ident{ident("json value"), ident("value")}}
	from := &ast.Alias{Place: place, Name: ident("json value"), Columns: []ast.ColumnDef{{Place: place, Name: ident("value")}}}
	q := &ast.Select{Place: place}
	if set {
		elements := &ast.Call{Place: place, Name: []ast.Ident{ident("jsonb_array_elements")}, Args: args}
		q.From = []ast.TableExpr{&ast.FuncTable{Place: place, Calls: []ast.FuncCall{{Call: elements}}, Alias: from}}
	} else {
		document := &ast.Cast{Place: place, X: args[0].Value, Type: ast.TypeName{Place: place, Name: "jsonb"}}
		q.From = []ast.TableExpr{&ast.Derived{Place: place, Query: &ast.Values{Place: place, Rows: [][]ast.Expr{{document}}}, Alias: from}}
	}
	for _, c := range columns {
		op := "->>"
		if c.Type.Name == "jsonb" || c.Type.Name == "json" {
			op = "->"
		}
		if c.Type.Array > 0 {
			op = "->"
		}
		var member ast.Expr = &ast.Binary{Place: c.Place, Op: op, Left: value, Right: &ast.String{Place: c.Place, Value: c.Name.Name}}
		if c.Type.Array > 0 {
			member = &ast.Call{Place: c.Place, Name: []ast.Ident{{Place: c.Place, Name: "{}"}}, Args: []ast.Arg{{Place: c.Place, Value: member}}}
		}
		q.Items = append(q.Items, ast.SelectItem{Place: c.Place, Expr: &ast.Cast{Place: c.Place, X: member, Type: *c.Type}, Alias: &c.Name})
	}
	return &ast.Derived{Place: place, Lateral: true, Query: q, Alias: alias}
}

// rowColumns are the columns of the table that null::table is a row of; nil for anything else.
func (b *binder) rowColumns(e ast.Expr) []ast.ColumnDef {
	c, ok := e.(*ast.Cast)
	if !ok || c.Type.Array > 0 {
		return nil
	}
	if _, ok := c.X.(*ast.Null); !ok {
		return nil
	}
	if _, known := typeNames[c.Type.Name]; known && c.Type.Schema == "" {
		return nil
	}
	of := b.lookUp(c.Type.Schema, c.Type.Name)
	if of == nil {
		return nil
	}
	var out []ast.ColumnDef
	for _, f := range of.Columns {
		t := &ast.TypeName{Place: c.Place, Name: catalogName(vec.T(f.Type.Kind))}
		if f.Type.Array {
			t.Array = 1
		}
		switch mod := int(f.Type.Mod) - 4; {
		case mod < 0 || f.Type.Array:
		case f.Type.Kind == vec.Varchar, f.Type.Kind == vec.Bpchar:
			t.Mods = []int{mod}
		case f.Type.Kind == vec.Numeric:
			t.Mods = []int{mod >> 16, mod & 0x7ff}
		}
		out = append(out, ast.ColumnDef{Place: c.Place, Name: ast.Ident{Place: c.Place, Name: f.Name}, Type: t})
	}
	return out
}

// queriedArgs is a function in FROM whose arguments hold subqueries, which may read what is
// around: f((SELECT a)) AS t(x) is
//
//	LATERAL (SELECT t.* FROM (SELECT (SELECT a) AS "argument 1") AS arguments, f(arguments."argument 1") AS t(x)) AS t
//
// It is nil for any other function, and where nothing is around.
func (b *binder) queriedArgs(t *ast.FuncTable) *ast.Derived {
	if b.outer == nil && b.before == nil {
		return nil
	}
	place := t.Place
	ident := func(s string) ast.Ident { return ast.Ident{Place: place, Name: s} }
	const table = "arguments of a function"
	args := &ast.Select{Place: place}
	found := false
	inner := *t
	inner.Calls = slices.Clone(t.Calls)
	for i, f := range t.Calls {
		call, ok := f.Call.(*ast.Call)
		if !ok || isFileFunction(call.Func()) {
			return nil
		}
		moved := *call
		moved.Args = slices.Clone(call.Args)
		for k, a := range call.Args {
			queried := false
			ast.Walk(a.Value, func(x ast.Node) bool {
				if e, ok := x.(ast.Expr); ok {
					_, q := innerQuery(e)
					queried = queried || q != nil
				}
				return !queried
			})
			if !queried {
				continue
			}
			found = true
			name := ident("argument " + strconv.Itoa(len(args.Items)+1))
			args.Items = append(args.Items, ast.SelectItem{Place: place, Expr: a.Value, Alias: &name})
			moved.Args[k].Value = &ast.Name{Place: place, Parts: []ast.Ident{ident(table), name}}
		}
		inner.Calls[i].Call = &moved
	}
	if !found {
		return nil
	}
	alias := ident(columnName(t.Calls[0].Call))
	if t.Alias != nil && t.Alias.Name.Name != "" {
		alias = t.Alias.Name
	}
	from := &ast.Derived{Place: place, Query: args, Alias: &ast.Alias{Place: place, Name: ident(table)}}
	q := &ast.Select{Place: place, From: []ast.TableExpr{from, &inner},
		Items: []ast.SelectItem{{Place: place, Expr: &ast.Star{Place: place, Table: []ast.Ident{alias}}}}}
	return &ast.Derived{Place: place, Lateral: true, Query: q, Alias: &ast.Alias{Place: place, Name: alias}}
}
