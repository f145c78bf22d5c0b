package parse

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// queryAt says whether the token n ahead begins a query without parentheses.
func (p *parser) queryAt(n int) bool {
	t := p.ahead(n)
	if t.kind != tokIdent {
		return false
	}
	switch t.text {
	case "select", "with", "table", "from":
		return true
	case "values":
		return p.ahead(n + 1).is("(")
	}
	return false
}

// queryContinues says whether t can follow a query in parentheses as a part of
// a larger query.
func queryContinues(t token) bool {
	if t.kind != tokIdent {
		return false
	}
	switch t.text {
	case "union", "intersect", "except", "order", "limit", "offset", "fetch", "for":
		return true
	}
	return false
}

// query reads a whole query: WITH, body, ORDER BY, LIMIT.
func (p *parser) query() ast.Query {
	if !p.enter() {
		return &ast.Select{}
	}
	defer func() { p.depth-- }()
	needAs := p.needAs
	p.needAs = false
	defer func() { p.needAs = needAs }()
	if p.kw("with") {
		with := p.with()
		q := p.tail(p.setOps(p.queryTerm(), 0))
		if q.Tail().With != nil {
			// WITH a … (WITH b … SELECT): the inner one keeps its own scope.
			q = wrap(q)
		}
		q.Tail().With = with
		return q
	}
	return p.tail(p.setOps(p.queryTerm(), 0))
}

// wrap makes SELECT * FROM (q), for the clauses that q already has.
func wrap(q ast.Query) ast.Query {
	at := ast.At(q.Pos())
	return &ast.Select{
		Place: at,
		Items: []ast.SelectItem{{Place: at, Expr: &ast.Star{Place: at}}},
		From:  []ast.TableExpr{&ast.Derived{Place: at, Query: q}},
	}
}

// queryFrom continues a query whose first, parenthesised, part is read.
func (p *parser) queryFrom(left ast.Query) ast.Query {
	return p.tail(p.setOps(left, 0))
}

// queryTerm reads SELECT, VALUES, TABLE, FROM or a query in parentheses.
func (p *parser) queryTerm() ast.Query {
	t := p.tok()
	switch {
	case t.is("("):
		if !p.enter() {
			return &ast.Select{}
		}
		defer func() { p.depth-- }()
		p.i++
		var q ast.Query
		if p.tok().is("(") {
			q = p.queryFrom(p.queryTerm())
		} else {
			q = p.query()
		}
		p.expect(")")
		return q
	case t.kw("select"):
		return p.selectBlock()
	case t.kw("from"):
		return p.selectBlock()
	case t.kw("values"):
		return p.values()
	case t.kw("table"):
		p.i++
		at := p.tok()
		only := p.acceptKw("only")
		return &ast.Select{
			Place: t.at(),
			Items: []ast.SelectItem{{Place: t.at(), Expr: &ast.Star{Place: t.at()}}},
			From:  []ast.TableExpr{&ast.TableName{Place: at.at(), Only: only, Name: p.name()}},
		}
	}
	p.unexpected()
	return &ast.Select{}
}

// setOps reads set operations; INTERSECT binds tighter than the others.
func (p *parser) setOps(left ast.Query, min int) ast.Query {
	for links := 0; ; links++ {
		p.link(links)
		t := p.tok()
		op, prec := ast.Union, 1
		switch {
		case t.kw("union"):
		case t.kw("except"):
			op = ast.Except
		case t.kw("intersect"):
			op, prec = ast.Intersect, 2
		default:
			return left
		}
		if prec <= min {
			return left
		}
		p.i++
		s := &ast.SetOp{Place: t.at(), Op: op, Left: left}
		if p.acceptKw("all") {
			s.All = true
		} else {
			p.acceptKw("distinct")
		}
		if op == ast.Union && p.acceptKw("by", "name") {
			s.ByName = true
		}
		s.Right = p.setOps(p.queryTerm(), prec)
		left = s
	}
}

// tail reads ORDER BY, LIMIT, OFFSET, FETCH and FOR and gives them to q.
func (p *parser) tail(q ast.Query) ast.Query {
	tail := q.Tail()
	if p.kw("order") {
		t := p.next()
		p.expectKw("by")
		if tail.OrderBy != nil {
			p.fail(t, pgerr.SyntaxError, "multiple ORDER BY clauses not allowed")
			return q
		}
		tail.OrderBy = p.orderItems()
	}
	hadLimit, hadOffset := tail.Limit != nil, tail.Offset != nil
	seenLimit := false
	for p.err == nil {
		t := p.tok()
		switch {
		case p.acceptKw("limit"):
			if hadLimit || seenLimit {
				p.fail(t, pgerr.SyntaxError, "multiple LIMIT clauses not allowed")
				return q
			}
			seenLimit = true
			if !p.acceptKw("all") {
				tail.Limit = p.expr()
			}
			if p.tok().is(",") {
				p.fail(p.tok(), pgerr.SyntaxError, "LIMIT #,# syntax is not supported").
					WithHint("Use separate LIMIT and OFFSET clauses.")
			}
		case p.acceptKw("offset"):
			if hadOffset {
				p.fail(t, pgerr.SyntaxError, "multiple OFFSET clauses not allowed")
				return q
			}
			hadOffset = true
			tail.Offset = p.expr()
			if !p.acceptKw("rows") {
				p.acceptKw("row")
			}
		case p.acceptKw("fetch"):
			if hadLimit || seenLimit {
				p.fail(t, pgerr.SyntaxError, "multiple LIMIT clauses not allowed")
				return q
			}
			seenLimit = true
			p.oneOf("first", "next")
			if p.kw("row") || p.kw("rows") {
				tail.Limit = &ast.Number{Place: p.tok().at(), Text: "1"}
			} else {
				tail.Limit = p.binary(precAdd)
			}
			p.oneOf("row", "rows")
			if p.acceptKw("with", "ties") {
				tail.WithTies = true
				if tail.OrderBy == nil {
					p.fail(t, pgerr.SyntaxError, "WITH TIES cannot be specified without ORDER BY clause")
				}
			} else {
				p.expectKw("only")
			}
		case p.kw("for") && (p.ahead(1).kw("update") || p.ahead(1).kw("share") || p.ahead(1).kw("no") || p.ahead(1).kw("key")):
			p.locking(tail)
		default:
			return q
		}
	}
	return q
}

// locking reads FOR UPDATE [OF t] [NOWAIT | SKIP LOCKED].
func (p *parser) locking(tail *ast.QueryTail) {
	t := p.next()
	l := &ast.Locking{Place: t.at()}
	switch {
	case p.acceptKw("update"):
		l.Strength = "UPDATE"
	case p.acceptKw("share"):
		l.Strength = "SHARE"
	case p.acceptKw("no", "key", "update"):
		l.Strength = "NO KEY UPDATE"
	default:
		p.expectKw("key", "share")
		l.Strength = "KEY SHARE"
	}
	if p.acceptKw("of") {
		p.list(func() { p.name() }, nil)
	}
	if !p.acceptKw("nowait") {
		p.acceptKw("skip", "locked")
	}
	if tail.Locking == nil {
		tail.Locking = l
	}
}

func (p *parser) with() *ast.With {
	w := &ast.With{Place: p.next().at()}
	w.Recursive = p.acceptKw("recursive")
	p.list(func() {
		c := ast.CTE{Place: p.tok().at(), Name: p.ident()}
		if p.tok().is("(") {
			c.Columns = p.identList()
		}
		p.expectKw("as")
		if p.acceptKw("materialized") {
			c.Materialized = ast.MaterializedAlways
		} else if p.acceptKw("not", "materialized") {
			c.Materialized = ast.MaterializedNever
		}
		t := p.tok()
		p.expect("(")
		switch {
		case p.tok().is("("):
			c.Query = p.queryFrom(p.queryTerm())
		case p.kw("insert"), p.kw("update"), p.kw("delete"), p.dataAfterWith():
			c.Change = p.changeInWith()
		case p.queryAt(0):
			c.Query = p.query()
		default:
			if p.kw("merge") {
				p.fail(p.tok(), pgerr.FeatureNotSupported, "MERGE is not supported")
			}
			p.unexpected()
			c.Query = &ast.Select{Place: t.at()}
		}
		p.expect(")")
		if t := p.tok(); p.kw("search", "breadth") || p.kw("search", "depth") {
			c.SearchCycle = unsupported(t, "SEARCH")
			p.fail(t, pgerr.FeatureNotSupported, "SEARCH is not supported")
		} else if p.kw("cycle") {
			p.fail(t, pgerr.FeatureNotSupported, "CYCLE is not supported")
		}
		w.CTEs = append(w.CTEs, c)
	}, p.withEnd)
	return w
}

// withEnd allows a trailing comma before the query that WITH belongs to.
func (p *parser) withEnd() bool { return p.kw("select") || p.kw("from") }

func (p *parser) values() ast.Query {
	v := &ast.Values{Place: p.next().at()}
	p.list(func() {
		var row []ast.Expr
		var first token
		p.paren(func() {
			if row == nil {
				first = p.tok()
			}
			row = append(row, p.expr())
		})
		if len(v.Rows) > 0 && len(row) != len(v.Rows[0]) && p.err == nil {
			p.fail(first, pgerr.SyntaxError, "VALUES lists must all be the same length")
		}
		v.Rows = append(v.Rows, row)
	}, nil)
	return v
}

// clauseEnd says whether a list of a SELECT ends here, after a trailing comma.
func (p *parser) clauseEnd() bool {
	t := p.tok()
	if t.kind == tokEOF || t.is(")") || t.is(";") || t.is("]") {
		return true
	}
	if t.kind != tokIdent {
		return false
	}
	switch t.text {
	case "from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for",
		"union", "intersect", "except", "into", "with":
		return true
	case "qualify":
		return p.qualifyAhead()
	}
	return false
}

// qualifyAhead says whether QUALIFY begins the clause here, and is not an alias.
func (p *parser) qualifyAhead() bool {
	if !p.kw("qualify") {
		return false
	}
	n := p.ahead(1)
	switch n.kind {
	case tokEOF:
		return false
	case tokPunct:
		return n.text == "("
	case tokOp:
		return true // an alias is not followed by an operator, so this is a sign
	case tokIdent:
		return !ast.ReservedWord(n.text) || operandWord[n.text] || typeFunc[n.text] && p.ahead(2).is("(")
	}
	return true
}

// operandWord are the reserved words that begin an expression.
var operandWord = words("not", "case", "true", "false", "null", "cast", "array", "current_catalog",
	"current_date", "current_role", "current_time", "current_timestamp", "current_user",
	"current_schema", "session_user", "user", "localtime", "localtimestamp")

// selectBlock reads SELECT … up to WINDOW, or FROM … SELECT-less.
func (p *parser) selectBlock() ast.Query {
	t := p.tok()
	s := &ast.Select{Place: t.at()}
	if p.acceptKw("select") {
		p.distinct(s)
		s.Items = p.selectList()
		if p.kw("into") {
			p.into(s)
		}
	} else {
		s.Items = []ast.SelectItem{{Place: t.at(), Expr: &ast.Star{Place: t.at()}}}
	}
	if p.acceptKw("from") {
		p.list(func() { s.From = append(s.From, p.tableRef()) }, p.clauseEnd)
	}
	if p.acceptKw("where") {
		s.Where = p.expr()
	}
	if p.kw("group") {
		s.GroupBy = p.groupBy()
	}
	if p.acceptKw("having") {
		s.Having = p.expr()
	}
	if p.qualifyAhead() {
		p.i++
		s.Qualify = p.expr()
	}
	if p.acceptKw("window") {
		p.list(func() {
			w := ast.NamedWindow{Place: p.tok().at(), Name: p.ident()}
			p.expectKw("as")
			w.Spec = p.windowSpec()
			s.Windows = append(s.Windows, w)
		}, nil)
	}
	if s.Qualify == nil && p.qualifyAhead() {
		p.i++
		s.Qualify = p.expr()
	}
	return s
}

func (p *parser) distinct(s *ast.Select) {
	if p.acceptKw("all") {
		return
	}
	if !p.acceptKw("distinct") {
		return
	}
	s.Distinct = true
	if p.acceptKw("on") {
		p.paren(func() { s.DistinctOn = append(s.DistinctOn, p.expr()) })
	}
}

func (p *parser) into(s *ast.Select) {
	into := &ast.Into{Place: p.next().at()}
	p.acceptKw("local")
	if p.acceptKw("temp") || p.acceptKw("temporary") {
		into.Temp = true
	}
	p.acceptKw("unlogged")
	p.acceptKw("table")
	into.Name = p.name()
	s.Into = into
}

// selectList reads the list; PostgreSQL allows an empty one.
func (p *parser) selectList() []ast.SelectItem {
	var items []ast.SelectItem
	if p.clauseEnd() {
		return nil
	}
	p.list(func() { items = append(items, p.selectItem()) }, p.clauseEnd)
	return items
}

// selectItem reads an expression with an alias, which may come without AS.
func (p *parser) selectItem() ast.SelectItem {
	item := ast.SelectItem{Place: p.tok().at(), Expr: p.expr()}
	t := p.tok()
	switch {
	case p.acceptKw("as"):
		id := p.label()
		item.Alias = &id
	case t.kind == tokQuoted, t.kind == tokIdent && !notLabel[t.text] && !p.qualifyAhead():
		id := p.label()
		item.Alias = &id
	}
	return item
}

func (p *parser) groupBy() *ast.GroupBy {
	g := &ast.GroupBy{Place: p.next().at()}
	p.expectKw("by")
	if p.kw("all") && func() bool { p.i++; defer func() { p.i-- }(); return p.clauseEnd() }() {
		p.i++
		g.All = true
		return g
	}
	if p.acceptKw("distinct") {
		g.Distinct = true
	} else {
		p.acceptKw("all")
	}
	p.list(func() { g.Items = append(g.Items, p.groupItem()) }, p.clauseEnd)
	return g
}

func (p *parser) groupItem() ast.GroupItem {
	t := p.tok()
	g := ast.GroupItem{Place: t.at()}
	if !p.enter() {
		return g
	}
	defer func() { p.depth-- }()
	switch {
	case t.kw("rollup") && p.ahead(1).is("("):
		g.Kind = ast.GroupRollup
		p.i++
	case t.kw("cube") && p.ahead(1).is("("):
		g.Kind = ast.GroupCube
		p.i++
	case p.kw("grouping", "sets") && p.ahead(2).is("("):
		g.Kind = ast.GroupSets
		p.i += 2
	case t.is("(") && p.ahead(1).is(")"):
		p.i += 2
		g.Expr = &ast.Row{Place: t.at()}
		return g
	default:
		g.Expr = p.expr()
		return g
	}
	p.paren(func() { g.Items = append(g.Items, p.groupItem()) })
	return g
}

func (p *parser) orderItems() []ast.OrderItem {
	var items []ast.OrderItem
	p.list(func() {
		o := ast.OrderItem{Place: p.tok().at()}
		if p.kw("all") {
			p.i++
			o.All = true
		} else {
			o.Expr = p.expr()
		}
		if p.acceptKw("desc") {
			o.Desc = true
		} else if !p.acceptKw("asc") && p.acceptKw("using") {
			t := p.tok()
			switch {
			case p.accept(">"):
				o.Desc = true
			case p.accept("<"):
			default:
				p.unexpectedAt(t)
			}
		}
		if p.kw("nulls", "first") {
			p.i += 2
			o.Nulls = ast.NullsFirst
		} else if p.kw("nulls", "last") {
			p.i += 2
			o.Nulls = ast.NullsLast
		}
		items = append(items, o)
	}, p.clauseEnd)
	return items
}
