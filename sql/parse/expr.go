package parse

import (
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// Precedences, loosest first. An operand of an operator of precedence n on the
// left side binds at n+1.
const (
	precOr = iota + 1
	precAnd
	precNot
	precIs
	precCompare
	precLike // BETWEEN, IN, LIKE, SIMILAR
	precOther
	precAdd
	precMul
	precPower
	precZone // AT TIME ZONE
	precCollate
	precSign // unary + and -
	precPostfix
)

// expr reads a whole expression.
func (p *parser) expr() ast.Expr { return p.binary(precOr) }

// exprs reads expressions separated by commas.
func (p *parser) exprs() []ast.Expr {
	var list []ast.Expr
	p.list(func() { list = append(list, p.expr()) }, nil)
	return list
}

// binary reads an expression of operators that bind at least as tightly as min.
func (p *parser) binary(min int) ast.Expr {
	if !p.enter() {
		return &ast.Null{}
	}
	x := p.continued(p.prefix(), min)
	p.depth--
	return x
}

// binaryOp gives the precedence of an operator token, 0 when t is none.
func binaryOp(t token) int {
	if t.kind != tokOp {
		return 0
	}
	switch t.text {
	case "<", ">", "=", "<=", ">=", "<>":
		return precCompare
	case "+", "-":
		return precAdd
	case "*", "/", "%":
		return precMul
	case "^":
		return precPower
	case "=>", ":=", "::", "::?":
		return 0
	}
	return precOther
}

// continued reads the operators after x that bind at least as tightly as min.
func (p *parser) continued(x ast.Expr, min int) ast.Expr {
	nonAssoc := 0 // precedence of the last operator that may not be repeated
	for links := 0; p.err == nil; links++ {
		p.link(links)
		t := p.tok()
		if t.kind == tokOp {
			prec := binaryOp(t)
			if prec == 0 || prec < min {
				return x
			}
			if prec == precCompare && nonAssoc == precCompare {
				p.unexpected()
				return x
			}
			p.i++
			x = p.operator(x, t, t.text, prec)
			nonAssoc = 0
			if prec == precCompare {
				nonAssoc = prec
			}
			continue
		}
		if t.kind != tokIdent {
			return x
		}
		prec := 0
		switch t.text {
		case "or":
			prec = precOr
		case "and":
			prec = precAnd
		case "is", "isnull", "notnull":
			prec = precIs
		case "between", "in", "like", "ilike", "similar", "overlaps":
			prec = precLike
		case "not":
			n := p.ahead(1)
			if n.kw("between") || n.kw("in") || n.kw("like") || n.kw("ilike") || n.kw("similar") {
				prec = precLike
			}
		case "at":
			if p.kw("at", "time", "zone") {
				prec = precZone
			}
		case "collate":
			prec = precCollate
		case "operator":
			if p.ahead(1).is("(") {
				prec = precOther
			}
		}
		if prec == 0 || prec < min {
			return x
		}
		if prec == precLike && nonAssoc == precLike {
			p.unexpected()
			return x
		}
		nonAssoc = 0
		switch prec {
		case precOr, precAnd:
			x = p.logic(x, t, prec)
		case precIs:
			x = p.is(x)
		case precLike:
			x = p.likeLevel(x)
			nonAssoc = precLike
		case precZone:
			p.i += 3
			x = &ast.AtTimeZone{Place: t.at(), X: x, Zone: p.binary(precZone + 1)}
		case precCollate:
			p.i++
			x = &ast.Collate{Place: t.at(), X: x, Name: p.name()}
		case precOther:
			op := p.qualifiedOperator()
			x = p.operator(x, t, op, precOther)
		}
	}
	return x
}

// logic reads the further arguments of a chain of ANDs or ORs.
func (p *parser) logic(x ast.Expr, t token, prec int) ast.Expr {
	word := t.text
	l := &ast.Logic{Place: t.at(), Or: word == "or", Args: []ast.Expr{x}}
	for p.acceptKw(word) {
		l.Args = append(l.Args, p.binary(prec+1))
	}
	return l
}

// qualifiedOperator reads OPERATOR(schema.op); the schema is pg_catalog or nothing.
func (p *parser) qualifiedOperator() string {
	p.expectKw("operator")
	p.expect("(")
	if p.tok().kind != tokOp {
		schema := p.ident()
		if schema.Name != "pg_catalog" {
			p.unexpected()
		}
		p.expect(".")
	}
	t := p.tok()
	if binaryOp(t) == 0 {
		p.unexpected()
	}
	p.next()
	p.expect(")")
	return t.text
}

// operator reads the right side of an infix operator.
func (p *parser) operator(x ast.Expr, t token, op string, prec int) ast.Expr {
	if q, ok := p.quantifier(); ok {
		return p.quantified(x, t, op, q)
	}
	return &ast.Binary{Place: t.at(), Op: op, Left: x, Right: p.binary(prec + 1)}
}

// quantifier takes ANY, SOME or ALL before a parenthesis.
func (p *parser) quantifier() (ast.Quantifier, bool) {
	t := p.tok()
	if !p.ahead(1).is("(") {
		return 0, false
	}
	switch {
	case t.kw("any"), t.kw("some"):
		p.i++
		return ast.Any, true
	case t.kw("all"):
		p.i++
		return ast.All, true
	}
	return 0, false
}

func (p *parser) quantified(x ast.Expr, t token, op string, q ast.Quantifier) ast.Expr {
	out := &ast.Quantified{Place: t.at(), Op: op, X: x, Quantifier: q}
	inner := p.parenthesised()
	if inner.query != nil {
		out.Query = inner.query
	} else {
		out.Array = inner.single(p)
	}
	return out
}

// is reads IS …, ISNULL and NOTNULL.
func (p *parser) is(x ast.Expr) ast.Expr {
	t := p.next()
	switch t.text {
	case "isnull":
		return &ast.Is{Place: t.at(), X: x, Kind: ast.IsNull}
	case "notnull":
		return &ast.Is{Place: t.at(), X: x, Kind: ast.IsNull, Not: true}
	}
	not := p.acceptKw("not")
	switch {
	case p.acceptKw("null"):
		return &ast.Is{Place: t.at(), X: x, Kind: ast.IsNull, Not: not}
	case p.acceptKw("true"):
		return &ast.Is{Place: t.at(), X: x, Kind: ast.IsTrue, Not: not}
	case p.acceptKw("false"):
		return &ast.Is{Place: t.at(), X: x, Kind: ast.IsFalse, Not: not}
	case p.acceptKw("unknown"):
		return &ast.Is{Place: t.at(), X: x, Kind: ast.IsUnknown, Not: not}
	case p.acceptKw("distinct", "from"):
		return &ast.IsDistinct{Place: t.at(), Left: x, Right: p.binary(precIs + 1), Not: not}
	case p.kw("normalized"), normalForm[p.tok().text] && p.ahead(1).kw("normalized"):
		return p.normalized(x, t, not)
	}
	p.unexpected()
	return x
}

// normalForm are the names of the forms that Unicode text may be normalized to.
var normalForm = words("nfc", "nfd", "nfkc", "nfkd")

// normalized is x IS [NOT] [form] NORMALIZED, a call of is_normalized.
func (p *parser) normalized(x ast.Expr, is token, not bool) ast.Expr {
	c := &ast.Call{Place: is.at(), Name: []ast.Ident{{Place: is.at(), Name: "is_normalized"}}, Args: []ast.Arg{{Place: ast.At(x.Pos()), Value: x}}}
	if form := p.tok(); !form.kw("normalized") {
		c.Args = append(c.Args, ast.Arg{Place: form.at(), Value: &ast.String{Place: form.at(), Value: form.text}})
		p.i++
	}
	p.i++
	if not {
		return &ast.Not{Place: is.at(), X: c}
	}
	return c
}

// likeLevel reads [NOT] BETWEEN, IN, LIKE, ILIKE, SIMILAR TO and OVERLAPS.
func (p *parser) likeLevel(x ast.Expr) ast.Expr {
	start := p.tok()
	not := p.acceptKw("not")
	t := p.next()
	switch t.text {
	case "overlaps":
		return p.overlaps(x, t)
	case "between":
		b := &ast.Between{Place: start.at(), X: x, Not: not}
		b.Symmetric = p.acceptKw("symmetric")
		if !b.Symmetric {
			p.acceptKw("asymmetric")
		}
		b.Low = p.binary(precLike + 1)
		p.expectKw("and")
		b.High = p.binary(precLike + 1)
		return b
	case "in":
		return p.in(x, start, not)
	}
	l := &ast.Like{Place: start.at(), X: x, Not: not}
	switch t.text {
	case "ilike":
		l.Kind = ast.LikeNoCase
	case "similar":
		p.expectKw("to")
		l.Kind = ast.LikeSimilar
	}
	if q, ok := p.quantifier(); ok {
		l.Quantifier = q
		inner := p.parenthesised()
		switch {
		case inner.query != nil:
			l.Pattern = &ast.Subquery{Place: inner.place, Query: inner.query}
		case len(inner.exprs) > 1: // LIKE ANY ('a', 'b'), as other engines write it
			l.Pattern = &ast.Array{Place: inner.place, Elems: inner.exprs}
		default:
			l.Pattern = inner.single(p)
		}
		return l
	}
	l.Pattern = p.binary(precLike + 1)
	if p.acceptKw("escape") {
		l.Escape = p.binary(precLike + 1)
	}
	return l
}

func (p *parser) overlaps(x ast.Expr, t token) ast.Expr {
	y := p.binary(precLike + 1)
	left, ok1 := x.(*ast.Row)
	right, ok2 := y.(*ast.Row)
	if !ok1 || !ok2 || len(left.Elems) != 2 || len(right.Elems) != 2 {
		p.fail(t, pgerr.SyntaxError, "wrong number of parameters on a side of OVERLAPS expression")
		return x
	}
	c := &ast.Call{Place: t.at(), Name: []ast.Ident{{Place: t.at(), Name: "overlaps"}}}
	for _, e := range []ast.Expr{left.Elems[0], left.Elems[1], right.Elems[0], right.Elems[1]} {
		c.Args = append(c.Args, ast.Arg{Value: e})
	}
	return c
}

// in reads what follows IN: a cohort, a query or a list.
func (p *parser) in(x ast.Expr, start token, not bool) ast.Expr {
	if p.acceptKw("cohort") {
		return &ast.InCohort{Place: start.at(), X: x, Not: not, Set: p.cohortSet()}
	}
	in := &ast.In{Place: start.at(), X: x, Not: not}
	inner := p.parenthesised()
	in.Query, in.List = inner.query, inner.exprs
	if in.Query == nil && len(in.List) == 0 {
		p.unexpectedAt(p.toks[max(p.i-1, 0)])
	}
	return in
}

// cohortSet reads the right side of IN COHORT.
func (p *parser) cohortSet() ast.CohortSet {
	if !p.tok().is("(") {
		n := p.cohortName()
		return &n
	}
	return p.cohortFactor()
}

// cohortParen reads ( expression ).
func (p *parser) cohortParen() ast.CohortSet {
	p.expect("(")
	s := p.cohortExpr()
	p.expect(")")
	return s
}

func (p *parser) cohortExpr() ast.CohortSet {
	if !p.enter() {
		return &ast.CohortName{}
	}
	defer func() { p.depth-- }()
	s := p.cohortTerm()
	for links := 0; ; links++ {
		p.link(links)
		t := p.tok()
		switch {
		case p.acceptKw("union"):
			s = &ast.CohortOp{Place: t.at(), Op: ast.Union, Left: s, Right: p.cohortTerm()}
		case p.acceptKw("except"):
			s = &ast.CohortOp{Place: t.at(), Op: ast.Except, Left: s, Right: p.cohortTerm()}
		default:
			return s
		}
	}
}

func (p *parser) cohortTerm() ast.CohortSet {
	s := p.cohortFactor()
	for links := 0; ; links++ {
		p.link(links)
		t := p.tok()
		if !p.acceptKw("intersect") {
			return s
		}
		s = &ast.CohortOp{Place: t.at(), Op: ast.Intersect, Left: s, Right: p.cohortFactor()}
	}
}

func (p *parser) cohortFactor() ast.CohortSet {
	t := p.tok()
	if !t.is("(") {
		n := p.cohortName()
		return &n
	}
	if p.queryAt(1) {
		p.i++
		q := &ast.CohortQuery{Place: t.at(), Query: p.query()}
		p.expect(")")
		return q
	}
	return p.cohortParen()
}

func (p *parser) cohortName() ast.CohortName {
	t := p.tok()
	c := ast.CohortName{Place: t.at()}
	switch t.kind {
	case tokString:
		p.i++
		c.Name = t.text
		if c.Name == "" {
			p.unexpectedAt(t)
		}
	case tokNumber:
		c.ID = p.positive("a cohort number")
	case tokParam:
		c.Param = p.param()
	default:
		c.Name = p.ident().Name
	}
	return c
}

// prefix reads an operand with the operators before it.
func (p *parser) prefix() ast.Expr {
	t := p.tok()
	if t.kw("not") {
		p.i++
		return &ast.Not{Place: t.at(), X: p.binary(precNot)}
	}
	if t.kind == tokOp {
		switch t.text {
		case "+", "-":
			p.i++
			return &ast.Unary{Place: t.at(), Op: t.text, X: p.binary(precSign)}
		case "*":
			p.i++
			return p.star(t, nil)
		case "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "=>", ":=", "::", "::?":
			p.unexpected()
			return &ast.Null{}
		}
		p.i++
		return &ast.Unary{Place: t.at(), Op: t.text, X: p.binary(precOther)}
	}
	return p.postfix(p.primary())
}

// postfix reads casts, subscripts and fields after an operand.
func (p *parser) postfix(x ast.Expr) ast.Expr {
	for links := 0; p.err == nil; links++ {
		p.link(links)
		t := p.tok()
		switch {
		case t.is("::"), t.is("::?"):
			p.i++
			x = &ast.Cast{Place: t.at(), X: x, Type: p.typeName(), Try: t.text == "::?"}
		case t.is("["):
			p.i++
			x = p.subscript(x, t)
		case t.is("."):
			p.i++
			if p.accept("*") {
				x = &ast.Field{Place: t.at(), X: x, Star: true}
			} else {
				x = &ast.Field{Place: t.at(), X: x, Name: p.label()}
			}
		default:
			return x
		}
	}
	return x
}

func (p *parser) subscript(x ast.Expr, t token) ast.Expr {
	var low ast.Expr
	if !p.tok().is(":") {
		low = p.expr()
		if p.accept("]") {
			return &ast.Index{Place: t.at(), X: x, I: low}
		}
	}
	s := &ast.Slice{Place: t.at(), X: x, Low: low}
	p.expect(":")
	if !p.tok().is("]") {
		s.High = p.expr()
	}
	p.expect("]")
	return s
}

// primary reads one operand.
func (p *parser) primary() ast.Expr {
	t := p.tok()
	switch t.kind {
	case tokNumber:
		p.i++
		return &ast.Number{Place: t.at(), Text: t.text}
	case tokString:
		p.i++
		return &ast.String{Place: t.at(), Value: t.text}
	case tokBytes:
		p.i++
		return &ast.Bytes{Place: t.at(), Value: t.text}
	case tokParam:
		return p.param()
	case tokQuoted:
		if x := p.plainTyped(); x != nil {
			return x
		}
		return p.nameOrCall()
	case tokPunct:
		if t.text == "(" {
			inner := p.parenthesised()
			return inner.expr(p)
		}
	case tokIdent:
		return p.word()
	}
	p.unexpected()
	return &ast.Null{}
}

func (p *parser) param() *ast.Param {
	t := p.next()
	n, err := strconv.Atoi(t.text)
	if err != nil || n < 1 || n > 65535 {
		p.fail(t, pgerr.UndefinedParameter, "there is no parameter $%s", shown(t.text))
		return &ast.Param{Place: t.at(), Index: 1}
	}
	p.params = max(p.params, n)
	return &ast.Param{Place: t.at(), Index: n}
}

// group is what stood between parentheses: a query or expressions.
type group struct {
	place ast.Place
	query ast.Query
	exprs []ast.Expr
}

// expr makes one expression of the group.
func (g group) expr(p *parser) ast.Expr {
	switch {
	case g.query != nil:
		return &ast.Subquery{Place: g.place, Query: g.query}
	case len(g.exprs) == 1:
		return g.exprs[0]
	case len(g.exprs) == 0:
		p.unexpectedAt(p.toks[max(p.i-1, 0)])
	}
	return &ast.Row{Place: g.place, Elems: g.exprs}
}

// single is the one expression of the group; several are an error.
func (g group) single(p *parser) ast.Expr {
	if len(g.exprs) != 1 {
		p.unexpectedAt(p.toks[max(p.i-1, 0)])
		return &ast.Null{}
	}
	return g.exprs[0]
}

// parenthesised reads ( query ) or ( expressions ). Which of them it is may be
// known only after many opening parentheses, so the inner group is read first
// and then continued as what it turned out to be; nothing is read twice.
func (p *parser) parenthesised() group {
	g := group{place: p.tok().at()}
	if !p.enter() {
		return g
	}
	defer func() { p.depth-- }()
	needAs := p.needAs
	p.needAs = false
	defer func() { p.needAs = needAs }()
	p.expect("(")
	switch {
	case p.accept(")"):
		return g // an empty row
	case p.queryAt(0):
		g.query = p.query()
		p.expect(")")
		return g
	case p.tok().is("("):
		inner := p.parenthesised()
		if inner.query != nil && (p.tok().is(")") || queryContinues(p.tok())) {
			g.query = p.queryFrom(inner.query)
			p.expect(")")
			return g
		}
		x := p.continued(p.postfix(inner.expr(p)), precOr)
		g.exprs = append(g.exprs, x)
	default:
		g.exprs = append(g.exprs, p.expr())
	}
	for p.accept(",") {
		if p.tok().is(")") {
			break
		}
		g.exprs = append(g.exprs, p.expr())
	}
	p.expect(")")
	return g
}

// word reads an operand that begins with an unquoted word.
func (p *parser) word() ast.Expr {
	t := p.tok()
	n := p.ahead(1)
	switch t.text {
	case "null":
		p.i++
		return &ast.Null{Place: t.at()}
	case "true", "false":
		p.i++
		return &ast.Bool{Place: t.at(), Value: t.text == "true"}
	case "default":
		p.i++
		return &ast.Default{Place: t.at()}
	case "case":
		return p.caseExpr()
	case "array":
		if n.is("[") {
			p.i++
			a := p.array()
			a.Place = t.at()
			return a
		}
		if n.is("(") {
			p.i++
			inner := p.parenthesised()
			if inner.query == nil {
				p.unexpectedAt(n)
			}
			return &ast.ArrayQuery{Place: t.at(), Query: inner.query}
		}
	case "current_date", "current_role", "current_user", "session_user", "user", "current_catalog":
		p.i++
		return &ast.Keyword{Place: t.at(), Name: t.text, Precision: -1}
	case "current_schema":
		if !n.is("(") {
			p.i++
			return &ast.Keyword{Place: t.at(), Name: t.text, Precision: -1}
		}
		return p.call([]ast.Ident{p.label()})
	case "current_time", "current_timestamp", "localtime", "localtimestamp":
		p.i++
		k := &ast.Keyword{Place: t.at(), Name: t.text, Precision: -1}
		if p.accept("(") {
			k.Precision = p.integer()
			p.expect(")")
		}
		return k
	case "cast", "try_cast":
		if n.is("(") {
			return p.cast()
		}
	case "exists":
		if n.is("(") {
			p.i++
			inner := p.parenthesised()
			if inner.query == nil {
				p.unexpectedAt(n)
			}
			return &ast.Exists{Place: t.at(), Query: inner.query}
		}
	case "row":
		if n.is("(") {
			p.i++
			inner := p.parenthesised()
			if inner.query != nil {
				inner.exprs = []ast.Expr{&ast.Subquery{Place: inner.place, Query: inner.query}}
			}
			return &ast.Row{Place: t.at(), Elems: inner.exprs, Explicit: true}
		}
	case "extract", "position", "substring", "overlay", "trim":
		if n.is("(") {
			return p.specialCall()
		}
	case "columns":
		if n.is("(") && p.ahead(2).kind == tokString && p.ahead(3).is(")") {
			p.i += 2
			c := &ast.Columns{Place: t.at(), Regex: p.stringLit()}
			p.expect(")")
			return c
		}
	}
	if ast.ReservedWord(t.text) && !(typeFunc[t.text] && n.is("(")) {
		p.unexpected()
		return &ast.Null{}
	}
	if x := p.typedLiteral(); x != nil {
		return x
	}
	return p.nameOrCall()
}

// typedLiteral reads TYPE 'value' when that is what comes next, else nil.
func (p *parser) typedLiteral() ast.Expr {
	t := p.tok()
	switch t.text {
	case "double", "character", "char", "national", "bit", "timestamp", "time", "interval", "varchar", "numeric", "decimal", "nchar", "timestamptz":
		// The type may have several words or a modifier before the string.
		start, params := p.i, p.params
		if p.err != nil || !p.literalAhead() {
			return p.plainTyped()
		}
		p.params = params
		p.i = start
		typ := p.simpleType()
		x := &ast.Typed{Place: t.at(), Type: typ, At: p.tok().at(), Value: p.stringLit()}
		if typ.Name == "interval" && x.Type.Fields == "" {
			mods := x.Type.Mods
			x.Type.Fields = p.intervalFields(&x.Type)
			if x.Type.Mods == nil {
				x.Type.Mods = mods
			}
		}
		return x
	}
	return p.plainTyped()
}

// literalAhead says whether a type of several words and then a string come next.
func (p *parser) literalAhead() bool {
	n := 1
	skip := func(words ...string) bool {
		for i, w := range words {
			if !p.ahead(n + i).kw(w) {
				return false
			}
		}
		n += len(words)
		return true
	}
	first := p.tok().text
	switch first {
	case "double":
		skip("precision")
	case "character", "char", "nchar", "bit":
		skip("varying")
	case "national":
		if skip("character") || skip("char") {
			skip("varying")
		}
	}
	if p.ahead(n).is("(") {
		for n++; p.ahead(n).kind == tokNumber || p.ahead(n).is(","); n++ {
			if n > 8 {
				return false
			}
		}
		if !p.ahead(n).is(")") {
			return false
		}
		n++
	}
	if first == "time" || first == "timestamp" {
		if !skip("with", "time", "zone") {
			skip("without", "time", "zone")
		}
	}
	return p.ahead(n).kind == tokString
}

// plainTyped reads name 'value' for any one-word or qualified type.
func (p *parser) plainTyped() ast.Expr {
	t := p.tok()
	n := 1
	for p.ahead(n).is(".") && (p.ahead(n+1).kind == tokIdent || p.ahead(n+1).kind == tokQuoted) && n < 5 {
		n += 2
	}
	if p.ahead(n).kind != tokString || t.kind == tokIdent && ast.ReservedWord(t.text) {
		return nil
	}
	typ := p.simpleType()
	return &ast.Typed{Place: t.at(), Type: typ, At: p.tok().at(), Value: p.stringLit()}
}

// nameOrCall reads a dotted name, t.*, or a call.
func (p *parser) nameOrCall() ast.Expr {
	t := p.tok()
	parts := []ast.Ident{p.label()}
	for p.tok().is(".") {
		p.i++
		if s := p.tok(); s.is("*") {
			p.i++
			return p.star(t, parts)
		}
		parts = append(parts, p.label())
		p.link(len(parts))
	}
	if p.tok().is("(") {
		return p.call(parts)
	}
	return &ast.Name{Place: t.at(), Parts: parts}
}

// star reads what follows a *: EXCLUDE and REPLACE.
func (p *parser) star(t token, table []ast.Ident) ast.Expr {
	s := &ast.Star{Place: t.at(), Table: table}
	if p.kw("exclude") && (p.ahead(1).is("(") || p.ahead(1).kind == tokIdent && !ast.ReservedWord(p.ahead(1).text) || p.ahead(1).kind == tokQuoted) {
		p.i++
		if p.tok().is("(") {
			s.Exclude = p.identList()
		} else {
			s.Exclude = []ast.Ident{p.ident()}
		}
	}
	if p.kw("replace") && p.ahead(1).is("(") {
		p.i++
		p.paren(func() {
			item := ast.SelectItem{Place: p.tok().at(), Expr: p.expr()}
			p.expectKw("as")
			id := p.label()
			item.Alias = &id
			s.Replace = append(s.Replace, item)
		})
	}
	return s
}

// call reads the arguments of a function and what may follow them.
func (p *parser) call(name []ast.Ident) ast.Expr {
	c := &ast.Call{Place: name[0].Place, Name: name}
	if !p.enter() {
		return c
	}
	defer func() { p.depth-- }()
	p.expect("(")
	p.arguments(c)
	p.expect(")")
	return p.afterCall(c)
}

func (p *parser) arguments(c *ast.Call) {
	if p.tok().is(")") {
		return
	}
	if p.tok().is("*") && p.ahead(1).is(")") {
		p.i++
		c.Star = true
		return
	}
	if p.acceptKw("distinct") {
		c.Distinct = true
	} else {
		p.acceptKw("all")
	}
	p.list(func() {
		a := ast.Arg{Place: p.tok().at()}
		a.Variadic = p.acceptKw("variadic")
		if n := p.ahead(1); (n.is("=>") || n.is(":=")) && (p.tok().kind == tokIdent || p.tok().kind == tokQuoted) {
			id := p.label()
			a.Name = &id
			p.i++
		}
		if p.queryAt(0) && !p.kw("from") {
			// f(SELECT …) without its own parentheses is a common slip.
			p.unexpected()
		}
		a.Value = p.expr()
		c.Args = append(c.Args, a)
	}, p.atClose)
	if p.kw("order", "by") {
		p.i += 2
		c.OrderBy = p.orderItems()
	}
	if p.acceptKw("ignore", "nulls") {
		c.IgnoreNulls = true
	} else {
		p.acceptKw("respect", "nulls")
	}
}

// afterCall reads WITHIN GROUP, FILTER, IGNORE NULLS and OVER.
func (p *parser) afterCall(c *ast.Call) ast.Expr {
	if p.kw("within", "group") {
		p.i += 2
		p.expect("(")
		p.expectKw("order", "by")
		c.WithinGroup = p.orderItems()
		p.expect(")")
	}
	if p.kw("filter") && p.ahead(1).is("(") {
		p.i += 2
		p.expectKw("where")
		c.Filter = p.expr()
		p.expect(")")
	}
	if p.acceptKw("ignore", "nulls") {
		c.IgnoreNulls = true
	} else {
		p.acceptKw("respect", "nulls")
	}
	if p.kw("over") && (p.ahead(1).is("(") || p.ahead(1).kind == tokQuoted || p.ahead(1).kind == tokIdent && !ast.ReservedWord(p.ahead(1).text)) {
		t := p.next()
		if p.tok().is("(") {
			c.Over = p.windowSpec()
		} else {
			id := p.ident()
			c.Over = &ast.WindowSpec{Place: t.at(), Ref: &id}
		}
	}
	return c
}

// windowSpec reads ( [base] [PARTITION BY …] [ORDER BY …] [frame] ).
func (p *parser) windowSpec() *ast.WindowSpec {
	w := &ast.WindowSpec{Place: p.tok().at()}
	p.expect("(")
	t := p.tok()
	if (t.kind == tokQuoted || t.kind == tokIdent && !ast.ReservedWord(t.text)) && !p.kw("partition", "by") && !frameStart(p) {
		id := p.ident()
		w.Base = &id
	}
	if p.acceptKw("partition") {
		p.expectKw("by")
		w.Partition = p.exprs()
	}
	if p.acceptKw("order") {
		p.expectKw("by")
		w.OrderBy = p.orderItems()
	}
	if frameStart(p) {
		w.Frame = p.frame()
	}
	p.expect(")")
	return w
}

func frameStart(p *parser) bool {
	if !p.kw("rows") && !p.kw("range") && !p.kw("groups") {
		return false
	}
	return !p.ahead(1).is(")") && !p.ahead(1).kw("order") && !p.ahead(1).kw("partition")
}

func (p *parser) frame() *ast.Frame {
	t := p.next()
	f := &ast.Frame{Place: t.at()}
	switch t.text {
	case "rows":
		f.Mode = ast.FrameRows
	case "groups":
		f.Mode = ast.FrameGroups
	}
	if p.acceptKw("between") {
		f.Start = p.frameBound()
		p.expectKw("and")
		f.End = p.frameBound()
	} else {
		f.Start = p.frameBound()
		f.End = ast.FrameBound{Kind: ast.CurrentRow}
	}
	switch {
	case f.Start.Kind == ast.UnboundedFollowing:
		p.fail(t, pgerr.WindowingError, "frame start cannot be UNBOUNDED FOLLOWING")
	case f.End.Kind == ast.UnboundedPreceding:
		p.fail(t, pgerr.WindowingError, "frame end cannot be UNBOUNDED PRECEDING")
	case f.Start.Kind == ast.CurrentRow && f.End.Kind == ast.OffsetPreceding:
		p.fail(t, pgerr.WindowingError, "frame starting from current row cannot have preceding rows")
	case f.Start.Kind == ast.OffsetFollowing && f.End.Kind < ast.OffsetFollowing:
		p.fail(t, pgerr.WindowingError, "frame starting from following row cannot end before it")
	}
	if p.acceptKw("exclude") {
		switch {
		case p.acceptKw("current", "row"):
			f.Exclude = ast.ExcludeCurrentRow
		case p.acceptKw("group"):
			f.Exclude = ast.ExcludeGroup
		case p.acceptKw("ties"):
			f.Exclude = ast.ExcludeTies
		default:
			p.expectKw("no", "others")
		}
	}
	return f
}

func (p *parser) frameBound() ast.FrameBound {
	switch {
	case p.acceptKw("unbounded", "preceding"):
		return ast.FrameBound{Kind: ast.UnboundedPreceding}
	case p.acceptKw("unbounded", "following"):
		return ast.FrameBound{Kind: ast.UnboundedFollowing}
	case p.acceptKw("current", "row"):
		return ast.FrameBound{Kind: ast.CurrentRow}
	}
	b := ast.FrameBound{Kind: ast.OffsetPreceding, Offset: p.expr()}
	if p.oneOf("preceding", "following") == "following" {
		b.Kind = ast.OffsetFollowing
	}
	return b
}

func (p *parser) caseExpr() ast.Expr {
	c := &ast.Case{Place: p.next().at()}
	if !p.enter() {
		return c
	}
	defer func() { p.depth-- }()
	if !p.kw("when") {
		c.Operand = p.expr()
	}
	for p.acceptKw("when") {
		w := ast.When{Cond: p.expr()}
		p.expectKw("then")
		w.Result = p.expr()
		c.Whens = append(c.Whens, w)
	}
	if len(c.Whens) == 0 {
		p.unexpected()
	}
	if p.acceptKw("else") {
		c.Else = p.expr()
	}
	p.expectKw("end")
	return c
}

// array reads [ elements ], which may be arrays in brackets themselves.
func (p *parser) array() *ast.Array {
	a := &ast.Array{Place: p.tok().at()}
	if !p.enter() {
		return a
	}
	defer func() { p.depth-- }()
	p.expect("[")
	for !p.tok().is("]") && p.err == nil {
		if p.tok().is("[") {
			a.Elems = append(a.Elems, p.array())
		} else {
			a.Elems = append(a.Elems, p.expr())
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect("]")
	return a
}

func (p *parser) cast() ast.Expr {
	t := p.next()
	c := &ast.Cast{Place: t.at(), Try: t.text == "try_cast"}
	p.expect("(")
	c.X = p.expr()
	p.expectKw("as")
	c.Type = p.typeName()
	p.expect(")")
	return c
}

// specialCall reads the functions whose arguments are separated by words, and
// makes ordinary calls of them.
func (p *parser) specialCall() ast.Expr {
	t := p.next()
	if !p.enter() {
		return &ast.Null{}
	}
	defer func() { p.depth-- }()
	p.expect("(")
	c := &ast.Call{Place: t.at(), Name: []ast.Ident{{Place: t.at(), Name: t.text}}}
	arg := func(x ast.Expr) { c.Args = append(c.Args, ast.Arg{Place: ast.At(x.Pos()), Value: x}) }
	switch t.text {
	case "extract":
		if f := p.tok(); (f.kind == tokIdent || f.kind == tokQuoted || f.kind == tokString) && p.ahead(1).kw("from") {
			p.i += 2
			e := &ast.Extract{Place: t.at(), Field: foldASCII(f.text), X: p.expr()}
			p.expect(")")
			return e
		}
		p.unexpectedAt(p.ahead(1))
	case "position":
		x := p.binary(precLike + 1)
		if p.acceptKw("in") {
			y := p.binary(precLike + 1)
			arg(y)
			arg(x)
		} else {
			x = p.continued(x, precOr)
			arg(x)
			for p.accept(",") {
				arg(p.expr())
			}
		}
	case "trim":
		c.Name[0].Name = "btrim"
		switch {
		case p.acceptKw("leading"):
			c.Name[0].Name = "ltrim"
		case p.acceptKw("trailing"):
			c.Name[0].Name = "rtrim"
		default:
			p.acceptKw("both")
		}
		if p.acceptKw("from") {
			p.list(func() { arg(p.expr()) }, nil)
			break
		}
		x := p.expr()
		if p.acceptKw("from") {
			p.list(func() { arg(p.expr()) }, nil)
			arg(x)
			break
		}
		arg(x)
		for p.accept(",") {
			arg(p.expr())
		}
	case "substring", "overlay":
		if !p.tok().is(")") {
			p.separated(c, arg)
		}
	}
	p.expect(")")
	return p.afterCall(c)
}

// separated reads the arguments of substring and overlay.
func (p *parser) separated(c *ast.Call, arg func(ast.Expr)) {
	// SIMILAR separates here, so the first argument stops before it.
	x := p.binary(precLike + 1)
	if p.kw("similar") && p.ahead(1).kind != tokEOF && !p.ahead(1).kw("to") {
		p.i++
		arg(x)
		arg(p.expr())
		p.expectKw("escape")
		arg(p.expr())
		return
	}
	arg(p.continued(x, precOr))
	one := func() ast.Expr { return &ast.Number{Text: "1"} }
	switch {
	case p.acceptKw("placing"):
		arg(p.expr())
		p.expectKw("from")
		arg(p.expr())
		if p.acceptKw("for") {
			arg(p.expr())
		}
	case p.acceptKw("from"):
		arg(p.expr())
		if p.acceptKw("for") {
			arg(p.expr())
		}
	case p.acceptKw("for"):
		length := p.expr()
		if p.acceptKw("from") {
			arg(p.expr())
		} else {
			arg(one())
		}
		arg(length)
	default:
		for p.accept(",") {
			arg(p.expr())
		}
	}
}
