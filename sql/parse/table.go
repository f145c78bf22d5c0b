package parse

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// tableRef reads a table expression with its joins.
func (p *parser) tableRef() ast.TableExpr {
	if !p.enter() {
		return &ast.TableName{}
	}
	defer func() { p.depth-- }()
	return p.joins(p.tablePrimary())
}

// joins reads the joins after left.
func (p *parser) joins(left ast.TableExpr) ast.TableExpr {
	for links := 0; p.err == nil; links++ {
		p.link(links)
		t := p.tok()
		j := &ast.Join{Place: t.at(), Left: left}
		j.Natural = p.acceptKw("natural")
		switch {
		case p.acceptKw("cross", "join"):
			j.Kind = ast.JoinCross
		case p.acceptKw("inner", "join"), p.acceptKw("join"):
		case p.acceptKw("semi", "join"):
			j.Kind = ast.JoinSemi
		case p.acceptKw("anti", "join"):
			j.Kind = ast.JoinAnti
		case p.acceptKw("asof", "join"), p.acceptKw("asof", "inner", "join"):
			j.Kind = ast.JoinAsof
		case p.acceptKw("asof", "left", "join"), p.acceptKw("asof", "left", "outer", "join"):
			j.Kind = ast.JoinAsofLeft
		case p.outer("left"):
			j.Kind = ast.JoinLeft
		case p.outer("right"):
			j.Kind = ast.JoinRight
		case p.outer("full"):
			j.Kind = ast.JoinFull
		default:
			if j.Natural {
				p.unexpected()
			}
			return left
		}
		if j.Natural || j.Kind == ast.JoinCross {
			if j.Natural && j.Kind == ast.JoinCross {
				p.unexpectedAt(t)
			}
			j.Right = p.tablePrimary()
			left = j
			continue
		}
		// a JOIN b JOIN c ON … ON …: the right side takes joins of its own until
		// an ON is left for this one.
		j.Right = p.tablePrimary()
		if !p.kw("on") && !p.kw("using") {
			if !p.enter() {
				return left
			}
			j.Right = p.joins(j.Right)
			p.depth--
		}
		switch {
		case p.acceptKw("on"):
			j.On = p.expr()
		case p.acceptKw("using"):
			j.Using = p.identList()
			if p.kw("as") {
				p.i++
				id := p.ident()
				j.UsingAlias = &id
			}
		default:
			p.unexpected()
		}
		left = j
	}
	return left
}

func (p *parser) outer(side string) bool {
	return p.acceptKw(side, "join") || p.acceptKw(side, "outer", "join")
}

// tablePrimary reads one table expression and what may be appended to it.
func (p *parser) tablePrimary() ast.TableExpr {
	return p.pivots(p.tableAtom())
}

func (p *parser) tableAtom() ast.TableExpr {
	t := p.tok()
	if t.is("(") {
		return p.tableParen()
	}
	if p.acceptKw("lateral") {
		if p.tok().is("(") {
			d, ok := p.tableParen().(*ast.Derived)
			if !ok {
				p.unexpectedAt(t)
				return &ast.TableName{}
			}
			d.Lateral = true
			return d
		}
		switch f := p.tableAtom().(type) {
		case *ast.FuncTable:
			if !f.Lateral {
				f.Lateral = true
				return f
			}
		case *ast.Funnel, *ast.Retention, *ast.Trends, *ast.Paths, *ast.Lifecycle, *ast.Stickiness:
			return f // the word says nothing: they read no columns from outside
		}
		p.unexpectedAt(t)
		return &ast.TableName{}
	}
	if t.kind == tokIdent && p.ahead(1).is("(") {
		if n := p.native(); n != nil {
			return n
		}
	}
	if p.kw("rows", "from") && p.ahead(2).is("(") {
		return p.rowsFrom()
	}
	if t.kw("cohort") && p.cohortTableAhead() {
		p.i++
		return &ast.CohortTable{Place: t.at(), Cohort: p.cohortName(), Alias: p.alias(false)}
	}
	if t.kind == tokString {
		// FROM 'file.parquet', as DuckDB has it.
		p.fail(t, pgerr.FeatureNotSupported, "a file name as a table is not supported").
			WithHint("Use read_csv('…') or read_parquet('…').")
		return &ast.TableName{}
	}
	if t.kind == tokIdent && (t.text == "current_schema" || t.text == "current_user" || t.text == "current_date" ||
		t.text == "current_timestamp" || t.text == "session_user" || t.text == "user" || t.text == "current_catalog") {
		f := &ast.FuncTable{Place: t.at(), Calls: []ast.FuncCall{{Call: p.word()}}}
		return p.funcTail(f)
	}
	only := p.acceptKw("only")
	onlyParen := only && p.accept("(")
	if p.tok().kind == tokIdent && typeFunc[p.tok().text] && p.ahead(1).is("(") {
		f := &ast.FuncTable{Place: t.at(), Calls: []ast.FuncCall{{Call: p.call([]ast.Ident{p.label()})}}}
		return p.funcTail(f)
	}
	name := p.name()
	if onlyParen {
		p.expect(")")
	}
	if p.tok().is("(") && !only {
		f := &ast.FuncTable{Place: t.at(), Calls: []ast.FuncCall{{Call: p.call(name)}}}
		return p.funcTail(f)
	}
	if len(name) > 3 && p.err == nil {
		p.fail(t, pgerr.SyntaxError, "improper qualified name (too many dotted names): %s", shown(p.sql[t.pos:p.toks[p.i-1].end]))
	}
	if !only && p.tok().is("*") {
		p.i++ // t *: with its children, of which there are none
	}
	tn := &ast.TableName{Place: t.at(), Name: name, Only: only}
	tn.Alias = p.alias(false)
	if p.kw("tablesample") {
		tn.Sample = p.sample()
	}
	return tn
}

// cohortTableAhead says whether COHORT is followed by what names a cohort, so
// that a table may be called cohort all the same.
func (p *parser) cohortTableAhead() bool {
	n := p.ahead(1)
	switch n.kind {
	case tokString, tokNumber, tokParam, tokQuoted:
		return true
	case tokIdent:
		if ast.ReservedWord(n.text) || p.notTableAlias(1) || p.needAs && p.ahead(2).is("(") {
			return false
		}
		// FROM cohort c WHERE …: the table cohort with an alias would read the
		// same as the cohort c. The operator wins; AS tells them apart.
		return true
	}
	return false
}

// tableParen reads ( query ) or ( joined tables ), deciding as parenthesised does.
func (p *parser) tableParen() ast.TableExpr {
	t := p.tok()
	q, table := p.tableGroup()
	if q != nil {
		return &ast.Derived{Place: t.at(), Query: q, Alias: p.alias(false)}
	}
	j, ok := table.(*ast.Join)
	if !ok {
		// (t) or ((a JOIN b) AS x): the parentheses mean nothing.
		return table
	}
	if j.Alias == nil {
		j.Alias = p.alias(false)
	}
	return table
}

func (p *parser) tableGroup() (ast.Query, ast.TableExpr) {
	if !p.enter() {
		return nil, &ast.TableName{}
	}
	defer func() { p.depth-- }()
	needAs := p.needAs
	p.needAs = false
	defer func() { p.needAs = needAs }()
	p.expect("(")
	if p.queryAt(0) {
		q := p.query()
		p.expect(")")
		return q, nil
	}
	if !p.tok().is("(") {
		table := p.tableRef()
		p.expect(")")
		return nil, table
	}
	at := p.tok()
	q, table := p.tableGroup()
	if q != nil {
		if p.tok().is(")") || queryContinues(p.tok()) {
			q = p.queryFrom(q)
			p.expect(")")
			return q, nil
		}
		table = &ast.Derived{Place: at.at(), Query: q, Alias: p.alias(false)}
	} else if j, ok := table.(*ast.Join); ok && j.Alias == nil {
		j.Alias = p.alias(false)
	}
	table = p.joins(p.pivots(table))
	p.expect(")")
	return nil, table
}

// notTableAlias says whether the word n ahead continues the FROM clause and so
// cannot be an alias without AS.
func (p *parser) notTableAlias(n int) bool {
	t, after := p.ahead(n), p.ahead(n+1)
	if t.kind != tokIdent {
		return false
	}
	switch t.text {
	case "qualify":
		i := p.i
		p.i += n
		defer func() { p.i = i }()
		return p.qualifyAhead()
	case "pivot":
		return after.is("(")
	case "unpivot":
		return after.is("(") || after.kw("include") || after.kw("exclude")
	case "asof":
		return after.kw("join") || after.kw("left") || after.kw("inner")
	case "semi", "anti":
		return after.kw("join")
	}
	return false
}

// alias reads [AS] name [(columns)]. With columnsOnly, AS (columns) is allowed.
func (p *parser) alias(columnsOnly bool) *ast.Alias {
	t := p.tok()
	a := &ast.Alias{Place: t.at()}
	switch {
	case p.acceptKw("as"):
		if columnsOnly && p.tok().is("(") {
			a.Columns = p.columnDefs()
			return a
		}
		a.Name = p.ident()
	case p.needAs:
		return nil
	case t.kind == tokQuoted, t.kind == tokIdent && !ast.ReservedWord(t.text) && !p.notTableAlias(0):
		a.Name = p.ident()
	default:
		return nil
	}
	if p.tok().is("(") {
		a.Columns = p.columnDefs()
	}
	return a
}

// columnDefs reads ( name [type], … ).
func (p *parser) columnDefs() []ast.ColumnDef {
	var defs []ast.ColumnDef
	p.paren(func() {
		d := ast.ColumnDef{Place: p.tok().at(), Name: p.ident()}
		if !p.tok().is(",") && !p.tok().is(")") {
			t := p.typeName()
			d.Type = &t
			if p.acceptKw("collate") {
				p.name()
			}
		}
		defs = append(defs, d)
	})
	return defs
}

func (p *parser) funcTail(f *ast.FuncTable) ast.TableExpr {
	if p.kw("with", "ordinality") {
		p.i += 2
		f.Ordinality = true
	}
	f.Alias = p.alias(true)
	return f
}

func (p *parser) rowsFrom() ast.TableExpr {
	f := &ast.FuncTable{Place: p.tok().at(), RowsFrom: true}
	p.i += 2
	p.paren(func() {
		t := p.tok()
		name := p.name()
		if !p.tok().is("(") {
			p.unexpectedAt(t)
			return
		}
		c := ast.FuncCall{Call: p.call(name)}
		if p.acceptKw("as") {
			c.Columns = p.columnDefs()
		}
		f.Calls = append(f.Calls, c)
	})
	return p.funcTail(f)
}

func (p *parser) sample() *ast.Sample {
	s := &ast.Sample{Place: p.next().at()}
	s.Method = p.ident().Name
	p.expect("(")
	s.Percent = p.expr()
	p.expect(")")
	if p.acceptKw("repeatable") {
		p.expect("(")
		s.Seed = p.expr()
		p.expect(")")
	}
	return s
}

// pivots reads PIVOT and UNPIVOT after a table.
func (p *parser) pivots(in ast.TableExpr) ast.TableExpr {
	for links := 0; p.err == nil; links++ {
		p.link(links * 8)
		switch {
		case p.kw("pivot") && p.ahead(1).is("("):
			in = p.pivot(in)
		case p.kw("unpivot") && p.notTableAlias(0):
			in = p.unpivot(in)
		default:
			return in
		}
	}
	return in
}

func (p *parser) pivot(in ast.TableExpr) ast.TableExpr {
	v := &ast.Pivot{Place: p.next().at(), Input: in}
	p.expect("(")
	p.list(func() { v.Aggs = append(v.Aggs, p.selectItem()) }, nil)
	p.expectKw("for")
	if p.tok().is("(") {
		inner := p.parenthesised()
		v.For = inner.exprs
	} else {
		// The column stops before IN.
		v.For = []ast.Expr{p.binary(precLike + 1)}
	}
	if len(v.For) == 0 {
		p.unexpected()
	}
	p.expectKw("in")
	p.paren(func() { v.In = append(v.In, p.selectItem()) })
	if p.kw("group") {
		p.i++
		p.expectKw("by")
		p.list(func() { v.GroupBy = append(v.GroupBy, p.expr()) }, p.atClose)
	}
	p.expect(")")
	v.Alias = p.alias(false)
	return v
}

func (p *parser) unpivot(in ast.TableExpr) ast.TableExpr {
	u := &ast.Unpivot{Place: p.next().at(), Input: in}
	if p.acceptKw("include", "nulls") {
		u.IncludeNulls = true
	} else {
		p.acceptKw("exclude", "nulls")
	}
	p.expect("(")
	u.Value = p.ident()
	p.expectKw("for")
	u.Name = p.ident()
	p.expectKw("in")
	p.paren(func() { u.Columns = append(u.Columns, p.selectItem()) })
	p.expect(")")
	u.Alias = p.alias(false)
	return u
}
