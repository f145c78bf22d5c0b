package bind

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// value binds an expression and settles a path as text.
func (b *binder) value(e ast.Expr, sc *scope) expr.Expr { return b.settle(b.expr(e, sc)) }

// expr binds an expression. The result may be a *pathRef, which waits for its context.
func (b *binder) expr(e ast.Expr, sc *scope) expr.Expr {
	if b.err != nil || !b.deeper(&b.exprs, maxExprDepth, e.Pos()) {
		return null(vec.T(vec.Unknown))
	}
	defer func() { b.exprs-- }()
	switch e.(type) {
	case *ast.Number, *ast.String, *ast.Null, *ast.Bool: // long lists of these are ordinary
	default:
		if b.spend(1, e.Pos()); b.err != nil {
			return null(vec.T(vec.Unknown))
		}
	}
	switch e := e.(type) {
	case *ast.Name:
		return b.name(e, sc)
	case *ast.Number:
		return b.number(e)
	case *ast.String:
		c := textConst(e.Value, vec.T(vec.Unknown))
		c.Place = int32(e.Pos()) + 1
		return c
	case *ast.Bytes:
		return textConst(e.Value, vec.T(vec.Bytea))
	case *ast.Null:
		return null(vec.T(vec.Unknown))
	case *ast.Bool:
		return boolConst(e.Value)
	case *ast.Param:
		return b.param(e)
	case *ast.Typed:
		return b.typed(e)
	case *ast.Unary:
		return b.unary(e, sc)
	case *ast.Binary:
		return b.binary(e, sc)
	case *ast.Not:
		return &expr.Not{E: b.condition(b.expr(e.X, sc), "NOT", e.X.Pos())}
	case *ast.Logic:
		return b.logic(e, sc)
	case *ast.Is:
		return b.is(e, sc)
	case *ast.IsDistinct:
		if l, r, ok := rowPair(e.Left, e.Right); ok {
			return b.rowsDistinct(e, l, r, sc)
		}
		l, r := b.settlePair("=", b.expr(e.Left, sc), b.expr(e.Right, sc))
		if b.err == nil && isRow(l) && isRow(r) {
			same := b.rowsAsValues("=", l, r, e.Pos())
			same = &expr.Coalesce{Args: []expr.Expr{same, &expr.And{Args: []expr.Expr{&expr.IsNull{E: l}, &expr.IsNull{E: r}}}}, T: vec.T(vec.Bool)}
			return negate(same, !e.Not)
		}
		both, _ := b.comparable(l, r, e.Pos())
		return &expr.IsDistinct{Left: both[0], Right: both[1], Not: e.Not}
	case *ast.Between:
		return b.between(e, sc)
	case *ast.In:
		return b.inList(e, sc)
	case *ast.Like:
		return b.like(e, sc)
	case *ast.Quantified:
		return b.quantified(e, sc)
	case *ast.Case:
		return b.caseOf(e, sc)
	case *ast.Cast:
		return b.castOf(e, sc)
	case *ast.Call:
		return b.callOf(e, sc)
	case *ast.Keyword:
		return b.keyword(e)
	case *ast.Index:
		return b.index(e, sc)
	case *ast.Slice:
		return b.slice(e, sc)
	case *ast.Field:
		return b.field(e, sc)
	case *ast.Array:
		return b.array(e, sc)
	case *ast.AtTimeZone:
		x := b.expr(e.X, sc)
		if p, ok := x.(*pathRef); ok {
			x = b.resolve(p, vec.T(vec.TimestampTZ))
		}
		return b.call("timezone", []expr.Expr{b.value(e.Zone, sc), x}, e.Pos())
	case *ast.Collate:
		if !bytewise[e.Collation()] {
			return b.unsupported("the collation \""+e.Collation()+"\" in other places than behind an item of ORDER BY", e.Pos())
		}
		return b.expr(e.X, sc)
	case *ast.Extract:
		return b.extract(e, sc)
	case *ast.Star:
		if len(e.Table) > 0 && e.Exclude == nil && e.Replace == nil {
			if rel := b.starred(e, sc); rel != nil {
				return b.wholeRow(rel, e.Pos())
			}
		}
		return b.fail(pgerr.New(pgerr.SyntaxError, "* is not allowed here"), e.Pos())
	case *ast.Columns:
		return b.fail(pgerr.New(pgerr.SyntaxError, "COLUMNS is only allowed in a select list"), e.Pos())
	case *ast.Default:
		return b.fail(pgerr.New(pgerr.SyntaxError, "DEFAULT is not allowed in this context"), e.Pos())
	case *ast.Row:
		var fields []expr.Expr
		for _, x := range e.Elems {
			f := b.value(x, sc)
			if _, ok := x.(*ast.Star); ok && b.err == nil {
				fields = append(fields, b.fields(f, x.Pos())...)
				continue
			}
			fields = append(fields, f)
		}
		shape := make(vec.Schema, len(fields))
		for i, f := range fields {
			shape[i] = vec.Field{Name: "f" + strconv.Itoa(i+1), Type: firstKnown(f.Type())}
		}
		return b.rowOf(fields, shape, e.Pos())
	case *ast.InCohort:
		return b.inCohort(e, sc)
	case *ast.Exists:
		node := b.queryIn(e.Query, sc)
		if b.depends(node) {
			return b.existsValue(node, sc, e.Pos())
		}
		return b.exists(node)
	case *ast.Subquery:
		return b.subqueryValue(e, sc)
	case *ast.ArrayQuery:
		node := b.queryIn(e.Query, sc)
		if b.depends(node) {
			return b.arrayValue(node, sc, e.Pos())
		}
		return b.arrayQuery(node, e.Query.Pos(), "")
	}
	return b.unsupported("this expression", e.Pos())
}

// number gives an integer literal the smallest of integer, bigint and numeric that holds
// it; one with a point or exponent is numeric.
func (b *binder) number(e *ast.Number) expr.Expr {
	if e.Integer() {
		if n, err := strconv.ParseInt(e.Text, 10, 64); err == nil {
			if n <= 1<<31-1 {
				return intConst(n, vec.T(vec.Int4))
			}
			return intConst(n, vec.T(vec.Int8))
		}
	}
	return b.decimal(e.Text, e.Pos())
}

// decimal is a literal with a point or an exponent, or beyond the integers: numeric, or double precision
// if it has an exponent by which that comes closer to it.
func (b *binder) decimal(text string, pos ast.Pos) expr.Expr {
	t := vec.T(vec.Numeric)
	if strings.ContainsAny(text, "eE") {
		if _, ok := expr.NumericOf(text); !ok {
			t = vec.T(vec.Float8)
		}
	} else if _, err := vec.ParseDecimal([]byte(text)); err != nil {
		return b.fail(pgerr.New(pgerr.NumericOutOfRange, "a numeric has at most 38 digits").
			WithHint("Write it with an exponent to have it as double precision."), pos)
	}
	return b.literal(textConst(text, vec.T(vec.Unknown)), t, pos)
}

func (b *binder) typed(e *ast.Typed) expr.Expr {
	t := b.typeOf(&e.Type)
	return b.literal(textConst(e.Value, vec.T(vec.Unknown)), t, e.At.Pos())
}

func (b *binder) unary(e *ast.Unary, sc *scope) expr.Expr {
	if n, ok := e.X.(*ast.Number); ok && e.Op == "-" {
		// The sign belongs to the literal, so that the smallest integer can be written.
		m := *n
		m.Text = "-" + n.Text
		if i, err := strconv.ParseInt(m.Text, 10, 64); err == nil {
			if i >= -1<<31 && i <= 1<<31-1 {
				return intConst(i, vec.T(vec.Int4))
			}
			return intConst(i, vec.T(vec.Int8))
		}
		return b.decimal(m.Text, n.Pos())
	}
	x := b.expr(e.X, sc)
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, vec.T(vec.Float8))
	}
	return b.call(e.Op, []expr.Expr{x}, e.Pos())
}

func (b *binder) binary(e *ast.Binary, sc *scope) expr.Expr {
	if e.Op == "->" || e.Op == "->>" {
		if p := b.jsonPath(e, sc); p != nil {
			if e.Op == "->" {
				return b.resolve(p, vec.T(vec.JSONB))
			}
			p.digits = true
			return b.resolve(p, vec.T(vec.Text))
		}
	}
	if l, r, ok := rowPair(e.Left, e.Right); ok {
		return b.rows(e.Op, l, r, sc, e.Pos())
	}
	if row, ok := e.Left.(*ast.Row); ok {
		if q, ok := e.Right.(*ast.Subquery); ok {
			return b.rowsOfQuery(e.Op, row, q, false, sc, e.Pos())
		}
	}
	if row, ok := e.Right.(*ast.Row); ok {
		if q, ok := e.Left.(*ast.Subquery); ok {
			return b.rowsOfQuery(e.Op, row, q, true, sc, e.Pos())
		}
	}
	l := b.expr(e.Left, sc)
	return b.operator(e.Op, l, b.expr(e.Right, sc), e.Pos())
}

// jsonPath is a chain of -> and ->> with literal text keys, or of subscripts, that
// begins at a jsonb column of a scan; nil for anything else.
func (b *binder) jsonPath(e ast.Expr, sc *scope) *pathRef {
	switch e := e.(type) {
	case *ast.Name:
		rel, last := sc.rel, e.Parts[len(e.Parts)-1].Name
		if p := b.besideProperties(rel, e); p != nil {
			return p
		}
		switch len(e.Parts) {
		case 1:
		case 2:
			rel = rel.named(e.Parts[0].Name)
		default:
			return nil
		}
		if i := rel.find(last); i >= 0 && isJSON(rel.fields[i].Type) {
			if p := b.jsonColumn(rel, i, e.Pos()); p.rel != nil {
				return p
			}
		}
	case *ast.Binary:
		// Only the last arrow may be ->>, and that is the caller's.
		key, ok := e.Right.(*ast.String)
		if !ok || e.Op != "->" && e.Op != "->>" {
			return nil
		}
		if left, ok := e.Left.(*ast.Binary); ok && left.Op != "->" {
			return nil
		}
		if p := b.jsonPath(e.Left, sc); p != nil {
			return p.key(key.Value)
		}
	}
	return nil
}

// rowPair is two rows that are compared.
func rowPair(left, right ast.Expr) (l, r *ast.Row, ok bool) {
	l, lok := left.(*ast.Row)
	r, rok := right.(*ast.Row)
	return l, r, lok && rok
}

// rowsDistinct is ROW(…) IS [NOT] DISTINCT FROM ROW(…).
func (b *binder) rowsDistinct(e *ast.IsDistinct, l, r *ast.Row, sc *scope) expr.Expr {
	if len(l.Elems) != len(r.Elems) {
		return b.fail(pgerr.New(pgerr.SyntaxError, "unequal number of entries in row expressions"), e.Pos())
	}
	var parts []expr.Expr
	for i := range l.Elems {
		parts = append(parts, b.expr(&ast.IsDistinct{Place: e.Place, Left: l.Elems[i], Right: r.Elems[i], Not: e.Not}, sc))
	}
	switch {
	case len(parts) == 0:
		return boolConst(e.Not)
	case e.Not:
		return allOf(parts)
	}
	return anyOf(parts)
}

func (b *binder) rows(op string, l, r *ast.Row, sc *scope, pos ast.Pos) expr.Expr {
	if len(l.Elems) != len(r.Elems) {
		return b.fail(pgerr.New(pgerr.SyntaxError, "unequal number of entries in row expressions"), pos)
	}
	n := len(l.Elems)
	switch op {
	case "=", "<>", "<", "<=", ">", ">=":
		if n == 0 {
			return b.fail(pgerr.New(pgerr.FeatureNotSupported, "cannot compare rows of zero length"), pos)
		}
	default:
		return b.fail(pgerr.New(pgerr.FeatureNotSupported, "could not determine interpretation of row comparison operator %s", op), pos)
	}
	left, right := make([]expr.Expr, n), make([]expr.Expr, n)
	for i := range n {
		left[i], right[i] = b.expr(l.Elems[i], sc), b.expr(r.Elems[i], sc)
	}
	return b.ordered(op, left, right, pos)
}

// ordered compares rows by their first pair that is not equal.
func (b *binder) ordered(op string, left, right []expr.Expr, pos ast.Pos) expr.Expr {
	last := len(left) - 1
	if op == "=" || op == "<>" {
		parts := make([]expr.Expr, len(left))
		for i := range left {
			parts[i] = b.operator(op, left[i], right[i], pos)
		}
		if op == "=" {
			return allOf(parts)
		}
		return anyOf(parts)
	}
	out := b.operator(op, left[last], right[last], pos)
	for i := last - 1; i >= 0; i-- {
		// What follows a pair that decides, or has a NULL, is not looked at.
		b.copied(left[i], 2, pos)
		b.copied(right[i], 2, pos)
		before := b.operator(op[:1], left[i], right[i], pos)
		out = &expr.Case{Whens: []expr.When{{Cond: before, Result: boolConst(true)},
			{Cond: b.operator("=", left[i], right[i], pos), Result: out}}, Else: before, T: vec.T(vec.Bool)}
	}
	return out
}

func (b *binder) logic(e *ast.Logic, sc *scope) expr.Expr {
	word := "AND"
	if e.Or {
		word = "OR"
	}
	args := make([]expr.Expr, len(e.Args))
	for i, a := range e.Args {
		args[i] = b.condition(b.expr(a, sc), word, a.Pos())
	}
	if e.Or {
		return &expr.Or{Args: args}
	}
	return &expr.And{Args: args}
}

func (b *binder) is(e *ast.Is, sc *scope) expr.Expr {
	if row, ok := e.X.(*ast.Row); ok && e.Kind == ast.IsNull {
		// All of a row are NULL, or all are not: one is no negation of the other.
		parts := make([]expr.Expr, len(row.Elems))
		for i, x := range row.Elems {
			parts[i] = &expr.IsNull{E: b.value(x, sc), Not: e.Not}
		}
		if len(parts) == 0 {
			return boolConst(true)
		}
		return allOf(parts)
	}
	x := b.expr(e.X, sc)
	if e.Kind == ast.IsNull && b.err == nil && isRow(x) {
		parts := b.fields(x, e.Pos())
		for i, f := range parts {
			parts[i] = &expr.IsNull{E: f, Not: e.Not}
		}
		return allOf(parts)
	}
	if e.Kind == ast.IsNull {
		return &expr.IsNull{E: b.settle(x), Not: e.Not}
	}
	word := map[ast.IsKind]string{ast.IsTrue: "IS TRUE", ast.IsFalse: "IS FALSE", ast.IsUnknown: "IS UNKNOWN"}[e.Kind]
	if e.Not {
		word = strings.Replace(word, "IS", "IS NOT", 1)
	}
	want := map[ast.IsKind]expr.Truth{ast.IsTrue: expr.True, ast.IsFalse: expr.False, ast.IsUnknown: expr.Maybe}[e.Kind]
	return &expr.IsTruth{E: b.condition(x, word, e.X.Pos()), Want: want, Not: e.Not}
}

// comparable converts two operands to the types in which = compares them.
func (b *binder) comparable(l, r expr.Expr, pos ast.Pos) ([2]expr.Expr, bool) {
	if b.err != nil {
		return [2]expr.Expr{l, r}, false
	}
	o, err := expr.Resolve("=", []vec.Type{l.Type(), r.Type()})
	if err != nil {
		b.failErr(err, pos)
		return [2]expr.Expr{l, r}, false
	}
	l, r = b.coerce(l, o.Args[0], pos), b.coerce(r, o.Args[1], pos)
	if l.Type() != r.Type() {
		if t, err := expr.CommonType([]vec.Type{l.Type(), r.Type()}); err == nil {
			l, r = b.coerce(l, t, pos), b.coerce(r, t, pos)
		}
	}
	return [2]expr.Expr{l, r}, true
}

func (b *binder) between(e *ast.Between, sc *scope) expr.Expr {
	x, low, high := b.expr(e.X, sc), b.expr(e.Low, sc), b.expr(e.High, sc)
	if p, ok := x.(*pathRef); ok {
		t := low.Type()
		if _, isPath := low.(*pathRef); isPath || t.Kind == vec.Unknown {
			t = high.Type()
		}
		x = b.resolve(p, beside(">=", t))
	}
	copies := 1
	if e.Symmetric {
		copies = 3
		b.copied(low, 1, e.Pos())
		b.copied(high, 1, e.Pos())
	}
	b.copied(x, copies, e.Pos())
	inside := func(low, high expr.Expr) expr.Expr {
		return &expr.And{Args: []expr.Expr{b.operator(">=", x, low, e.Pos()), b.operator("<=", x, high, e.Pos())}}
	}
	out := inside(low, high)
	if e.Symmetric {
		out = &expr.Or{Args: []expr.Expr{out, inside(high, low)}}
	}
	if e.Not {
		return &expr.Not{E: out}
	}
	return out
}

// maxRowList is how many rows the right side of IN may have: they are compared one by one.
const maxRowList = 1000

func (b *binder) inList(e *ast.In, sc *scope) expr.Expr {
	if e.Query != nil {
		return b.inQuery(e, sc)
	}
	if row, ok := e.X.(*ast.Row); ok {
		var or []expr.Expr
		for i, item := range e.List {
			if i >= maxRowList {
				return b.unsupported("a list of more than "+strconv.Itoa(maxRowList)+" rows", item.Pos())
			}
			r, ok := item.(*ast.Row)
			if !ok {
				return b.fail(pgerr.New(pgerr.SyntaxError, "unequal number of entries in row expressions"), item.Pos())
			}
			or = append(or, b.rows("=", row, r, sc, e.Pos()))
		}
		return negate(anyOf(or), e.Not)
	}
	x := b.expr(e.X, sc)
	list := make([]expr.Expr, len(e.List))
	known := vec.T(vec.Unknown)
	for i, item := range e.List {
		list[i] = b.expr(item, sc)
		if _, ok := list[i].(*pathRef); !ok && known.Kind == vec.Unknown {
			known = list[i].Type()
		}
	}
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, beside("=", known))
	}
	all := []expr.Expr{x}
	places := []ast.Pos{e.X.Pos()}
	for i, item := range list {
		if p, ok := item.(*pathRef); ok {
			item = b.resolve(p, beside("=", x.Type()))
		}
		all, places = append(all, item), append(places, e.List[i].Pos())
	}
	if b.err != nil {
		return boolConst(true)
	}
	if isRow(x) {
		var or []expr.Expr
		for i, item := range all[1:] {
			b.copied(x, 1, e.Pos())
			or = append(or, b.operator("=", x, item, places[i+1]))
		}
		return negate(anyOf(or), e.Not)
	}
	types := make([]vec.Type, len(all))
	for i, a := range all {
		types[i] = a.Type()
	}
	t, err := expr.CommonType(types)
	if t == vec.T(vec.Varchar) && slices.ContainsFunc(types, func(t vec.Type) bool { return t.Kind == vec.Bpchar }) {
		t = vec.T(vec.Bpchar) // as = compares them
	}
	if err != nil {
		// Some pair cannot be compared; = words the error as PostgreSQL does. Mixed
		// lists whose members each compare with x become a chain of comparisons.
		var or []expr.Expr
		for i, item := range all[1:] {
			b.copied(x, 1, e.Pos())
			or = append(or, b.operator("=", x, item, places[i+1]))
		}
		return negate(anyOf(or), e.Not)
	}
	if t.Kind == vec.Unknown {
		t = vec.T(vec.Text)
	}
	for i := range all {
		all[i] = b.coerce(all[i], t, places[i])
	}
	return &expr.InList{E: all[0], List: all[1:], Not: e.Not}
}

func anyOf(list []expr.Expr) expr.Expr {
	if len(list) == 1 {
		return list[0]
	}
	return &expr.Or{Args: list}
}

func negate(e expr.Expr, not bool) expr.Expr {
	if not {
		return &expr.Not{E: e}
	}
	return e
}

func (b *binder) like(e *ast.Like, sc *scope) expr.Expr {
	op := [...]string{"like", "ilike", "similar"}[e.Kind]
	if _, ok := e.Pattern.(*ast.Subquery); ok && e.Quantifier != ast.NoQuantifier {
		return b.unsupported("a query of patterns", e.Pattern.Pos())
	}
	x, pattern := b.expr(e.X, sc), b.value(e.Pattern, sc)
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, vec.T(vec.Text))
	}
	if e.Kind == ast.LikeSimilar && !expr.IsFunction(op) {
		return b.unsupported("SIMILAR TO", e.Pos())
	}
	if e.Quantifier != ast.NoQuantifier {
		return b.anyArray(op, x, pattern, e.Quantifier, e.Not, e.Pos())
	}
	args := []expr.Expr{x, pattern}
	if e.Escape != nil {
		args = append(args, b.value(e.Escape, sc))
		if _, err := expr.Resolve(op, []vec.Type{vec.T(vec.Text), vec.T(vec.Text), vec.T(vec.Text)}); err != nil {
			return b.unsupported("ESCAPE", e.Escape.Pos())
		}
	}
	return negate(b.call(op, args, e.Pos()), e.Not)
}

func (b *binder) quantified(e *ast.Quantified, sc *scope) expr.Expr {
	if row, ok := e.X.(*ast.Row); ok && e.Query != nil {
		return b.rowAgainst(e.Op, row, b.queryIn(e.Query, sc), e.Quantifier == ast.All, sc, e.Pos())
	}
	if e.Query != nil {
		x := b.expr(e.X, sc)
		node := b.queryIn(e.Query, sc)
		if b.depends(node) {
			return b.anyValue(e.Op, x, node, e.Quantifier == ast.All, sc, e.Pos())
		}
		array := b.arrayQuery(node, e.Query.Pos(), e.Op)
		if p, ok := x.(*pathRef); ok {
			x = b.resolve(p, beside(e.Op, array.Type().Elem()))
		}
		return b.anyArray(e.Op, x, array, e.Quantifier, false, e.Pos())
	}
	x, array := b.expr(e.X, sc), b.value(e.Array, sc)
	if p, ok := x.(*pathRef); ok {
		t := vec.T(vec.Unknown)
		if array.Type().Array {
			t = array.Type().Elem()
		}
		x = b.resolve(p, beside(e.Op, t))
	}
	return b.anyArray(e.Op, x, array, e.Quantifier, false, e.Pos())
}

func (b *binder) anyArray(op string, x, array expr.Expr, q ast.Quantifier, not bool, pos ast.Pos) expr.Expr {
	if b.err != nil {
		return boolConst(true)
	}
	if not {
		// NOT LIKE ANY is "not like one of them", which is not the negation of LIKE ANY.
		q = map[ast.Quantifier]ast.Quantifier{ast.Any: ast.All, ast.All: ast.Any}[q]
	}
	if t := array.Type(); t.Kind == vec.Unknown && !t.Array {
		elem := x.Type().Kind
		if elem == vec.Unknown {
			elem = vec.Text
		}
		array = b.coerce(array, vec.ArrayOf(elem), pos)
	}
	if x.Type().Kind == vec.Unknown && array.Type().Array {
		x = b.coerce(x, array.Type().Elem(), pos)
	}
	if b.err != nil {
		return boolConst(true)
	}
	e, err := expr.NewQuantified(op, x, array, q == ast.All)
	if err != nil {
		return b.failErr(err, pos)
	}
	return negate(e, not)
}

func (b *binder) caseOf(e *ast.Case, sc *scope) expr.Expr {
	var operand expr.Expr
	if e.Operand != nil {
		operand = b.expr(e.Operand, sc)
		b.copied(operand, len(e.Whens)-1, e.Pos())
	}
	out := &expr.Case{}
	var results []expr.Expr
	var places []ast.Pos
	// ELSE comes first when PostgreSQL looks for the common type.
	if e.Else != nil {
		results, places = append(results, b.expr(e.Else, sc)), append(places, e.Else.Pos())
	}
	for _, w := range e.Whens {
		var cond expr.Expr
		if operand != nil {
			cond = b.operator("=", operand, b.expr(w.Cond, sc), w.Cond.Pos())
		} else {
			cond = b.condition(b.expr(w.Cond, sc), "CASE/WHEN", w.Cond.Pos())
		}
		out.Whens = append(out.Whens, expr.When{Cond: cond})
		results, places = append(results, b.expr(w.Result, sc)), append(places, w.Result.Pos())
	}
	results, out.T = b.common("CASE", results, places)
	if e.Else != nil {
		out.Else, results = results[0], results[1:]
	}
	for i := range out.Whens {
		out.Whens[i].Result = results[i]
	}
	return out
}

func (b *binder) castOf(e *ast.Cast, sc *scope) expr.Expr {
	t := b.typeOf(&e.Type)
	if a, ok := e.X.(*ast.Array); ok && t.Array && !e.Try {
		return b.typedArray(a, t, sc)
	}
	x := b.expr(e.X, sc)
	if b.err != nil {
		return null(t)
	}
	if p, ok := x.(*pathRef); ok {
		if isJSON(t) {
			return b.resolve(p, t)
		}
		if t == vec.T(vec.Float8) && p.rel != nil && len(p.keys) > 0 {
			return b.scanned(p, t, true)
		}
		return b.cast(b.resolve(p, vec.T(vec.Text)), t, e.Pos(), true, true)
	}
	if x, ok := x.(*expr.Param); ok && x.T.Kind == vec.Unknown {
		b.setParam(x, t)
	}
	if c, ok := x.(*expr.Const); ok && c.Type().Kind == vec.Unknown {
		if !e.Try {
			return b.literal(c, t, e.X.Pos())
		}
		return b.cast(textConst(strings.Clone(constText(c)), vec.T(vec.Text)), t, e.Pos(), true, true)
	}
	return b.cast(x, t, e.Pos(), true, e.Try)
}

// typedArray is ARRAY[…]::t[]: the elements are cast, so there may be none, and they need
// no common type.
func (b *binder) typedArray(a *ast.Array, t vec.Type, sc *scope) expr.Expr {
	out := &expr.ArrayOf{T: t}
	for _, e := range a.Elems {
		x := b.settle(b.expr(e, sc))
		if x.Type().Array {
			return b.unsupported("an array of more than one dimension", e.Pos())
		}
		out.Elems = append(out.Elems, b.coerceTo(x, t.Elem(), e.Pos(), true))
	}
	if len(out.Elems) == 0 {
		return b.literal(textConst("{}", vec.T(vec.Unknown)), t, a.Pos())
	}
	return out
}

func constText(c *expr.Const) string {
	if c.Value.IsNull(0) {
		return ""
	}
	return c.Value.Str.Str(0)
}

// keywordFunctions are the values that are called without parentheses and have a
// function of another name.
var keywordFunctions = map[string]string{
	"current_timestamp": "now", "user": "current_user", "current_role": "current_user", "current_catalog": "current_database",
}

func (b *binder) keyword(e *ast.Keyword) expr.Expr {
	name := e.Name
	if f, ok := keywordFunctions[name]; ok {
		name = f
	}
	if name == "current_time" {
		return b.unsupported("CURRENT_TIME", e.Pos())
	}
	if !expr.IsFunction(name) {
		t := map[string]vec.Kind{"current_date": vec.Date, "localtimestamp": vec.Timestamp, "localtime": vec.Time}[name]
		if t == vec.Unknown {
			return b.unsupported(strings.ToUpper(e.Name), e.Pos())
		}
		return b.cast(b.call("now", nil, e.Pos()), momentType(t, e.Precision), e.Pos(), true, false)
	}
	x := b.call(name, nil, e.Pos())
	if e.Precision >= 0 {
		x = b.cast(x, momentType(x.Type().Kind, e.Precision), e.Pos(), true, false)
	}
	return x
}

// momentType is the type of times with so many decimals; -1 means all.
func momentType(kind vec.Kind, decimals int) vec.Type {
	return vec.Type{Kind: kind, Mod: int32(min(decimals, maxDecimals)) + 1}
}

func (b *binder) extract(e *ast.Extract, sc *scope) expr.Expr {
	x := b.expr(e.X, sc)
	if p, ok := x.(*pathRef); ok {
		x = b.resolve(p, vec.T(vec.TimestampTZ))
	}
	return b.call("extract", []expr.Expr{textConst(e.Field, vec.T(vec.Text)), x}, e.Pos())
}

func (b *binder) index(e *ast.Index, sc *scope) expr.Expr {
	if key, ok := e.I.(*ast.String); ok {
		if p := b.subscripted(e.X, sc); p != nil {
			return p.key(key.Value)
		}
	}
	x := b.expr(e.X, sc)
	i := b.value(e.I, sc)
	if p, ok := x.(*pathRef); ok {
		if i.Type().Kind == vec.Unknown {
			i = b.coerce(i, vec.T(vec.Text), e.I.Pos())
		}
		base := b.resolve(p, vec.T(vec.JSONB))
		return &pathRef{base: base, rest: []expr.Expr{i}, pos: e.Pos()}
	}
	if isJSON(x.Type()) {
		if i.Type().Kind == vec.Unknown {
			i = b.coerce(i, vec.T(vec.Text), e.I.Pos())
		}
		return &pathRef{base: x, rest: []expr.Expr{i}, pos: e.Pos()}
	}
	if !x.Type().Array {
		return b.fail(pgerr.New(pgerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", x.Type()), e.X.Pos())
	}
	return b.call("[]", []expr.Expr{x, b.subscript(i, e.I.Pos())}, e.Pos())
}

// subscript is a place in an array: any number, as if it were assigned to an integer.
func (b *binder) subscript(i expr.Expr, pos ast.Pos) expr.Expr {
	if b.err == nil && i.Type().IsNumber() {
		return b.cast(i, vec.T(vec.Int4), pos, true, false)
	}
	return b.coerce(i, vec.T(vec.Int4), pos)
}

// subscripted is X as the path that a literal key leads deeper into; nil if it is none.
func (b *binder) subscripted(x ast.Expr, sc *scope) *pathRef {
	switch x := x.(type) {
	case *ast.Name:
		if p := b.jsonPath(x, sc); p != nil {
			return p
		}
		if len(x.Parts) > 1 {
			p, _ := b.expr(x, sc).(*pathRef)
			return p
		}
	case *ast.Index:
		p, _ := b.expr(x, sc).(*pathRef)
		return p
	}
	return nil
}

func (b *binder) slice(e *ast.Slice, sc *scope) expr.Expr {
	x := b.value(e.X, sc)
	bound := func(i ast.Expr, missing int64) expr.Expr {
		if i == nil {
			return intConst(missing, vec.T(vec.Int4))
		}
		return b.subscript(b.value(i, sc), i.Pos())
	}
	if !x.Type().Array && b.err == nil {
		return b.fail(pgerr.New(pgerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", x.Type()), e.X.Pos())
	}
	if !expr.IsFunction("[:]") {
		return b.unsupported("a slice of an array", e.Pos())
	}
	return b.call("[:]", []expr.Expr{x, bound(e.Low, 1), bound(e.High, math.MaxInt32)}, e.Pos())
}

// field is (X).name: a member of a jsonb value.
func (b *binder) field(e *ast.Field, sc *scope) expr.Expr {
	if e.Star {
		return b.unsupported("(x).*", e.Pos())
	}
	if c, ok := e.X.(*ast.Call); ok && isSet(c.Func()) {
		return b.setColumn(c, sc, e.Name.Name)
	}
	if n, ok := e.X.(*ast.Name); ok && b.rowNamed(n, sc) != nil {
		return b.expr(&ast.Name{Place: e.Place, Parts: []ast.Ident{n.Parts[0], e.Name}}, sc)
	}
	x := b.expr(e.X, sc)
	if p, ok := x.(*pathRef); ok {
		return p.key(e.Name.Name)
	}
	if x.Type().Kind == vec.Record && !x.Type().Array && x.Type().Mod > 0 {
		return b.fieldOf(x, e.Name)
	}
	if n, ok := e.X.(*ast.Name); ok {
		if p := b.jsonPath(n, sc); p != nil {
			return p.key(e.Name.Name)
		}
	}
	if isJSON(x.Type()) {
		return (&pathRef{base: x, pos: e.Pos()}).key(e.Name.Name)
	}
	return b.fail(pgerr.New(pgerr.WrongObjectType,
		"column notation .%s applied to type %s, which is not a composite type", e.Name.Name, x.Type()), e.Pos())
}

func (b *binder) array(e *ast.Array, sc *scope) expr.Expr {
	list := make([]expr.Expr, len(e.Elems))
	places := make([]ast.Pos, len(e.Elems))
	for i, x := range e.Elems {
		list[i], places[i] = b.expr(x, sc), x.Pos()
	}
	if len(list) > 0 {
		list, _ = b.common("ARRAY", list, places)
	}
	if b.err != nil {
		return null(vec.T(vec.Unknown))
	}
	a, err := expr.NewArray(list)
	if err != nil {
		return b.failErr(err, e.Pos())
	}
	return a
}
