package parse

import (
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// statement reads one statement, up to its semicolon.
func (p *parser) statement() ast.Stmt {
	t := p.tok()
	if !p.enter() {
		return &ast.Unsupported{Place: t.at()}
	}
	defer func() { p.depth-- }()
	if t.is("(") || p.queryAt(0) {
		return p.queryStatement()
	}
	if t.kind != tokIdent {
		p.unexpected()
		return &ast.Unsupported{Place: t.at()}
	}
	switch t.text {
	case "explain":
		return p.explain()
	case "funnel", "trends", "retention":
		return p.shorthand()
	case "set":
		return p.set()
	case "show":
		p.i++
		s := &ast.Show{Place: t.at()}
		s.Name, s.All = p.settingOrAll()
		return s
	case "reset":
		p.i++
		s := &ast.Reset{Place: t.at()}
		s.Name, s.All = p.settingOrAll()
		return s
	case "discard":
		p.i++
		d := &ast.Discard{Place: t.at()}
		if p.acceptKw("temporary") {
			d.What = "temp"
		} else {
			d.What = p.oneOf("all", "plans", "temp", "sequences")
		}
		return d
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release":
		return p.transaction()
	case "prepare":
		if !p.ahead(1).kw("transaction") {
			return p.prepare()
		}
	case "execute":
		p.i++
		e := &ast.Execute{Place: t.at(), Name: p.ident()}
		if p.tok().is("(") {
			p.paren(func() { e.Args = append(e.Args, p.expr()) })
		}
		return e
	case "deallocate":
		p.i++
		p.acceptKw("prepare")
		d := &ast.Deallocate{Place: t.at()}
		if d.All = p.acceptKw("all"); !d.All {
			d.Name = p.ident()
		}
		return d
	case "create", "refresh", "alter", "drop":
		if s := p.cohortStatement(); s != nil {
			return s
		}
		if s := p.tableStatement(); s != nil {
			return s
		}
		if s := p.roleStatement(); s != nil {
			return s
		}
		if s := p.databaseStatement(); s != nil {
			return s
		}
	case "grant", "revoke":
		return p.grant()
	case "reassign":
		return p.reassign()
	case "copy":
		return p.copy()
	case "declare", "fetch", "move", "close":
		return p.cursorStatement()
	case "comment":
		return p.comment()
	case "truncate":
		return p.truncate()
	case "insert":
		return p.insert()
	case "update":
		return p.update()
	case "delete":
		return p.delete()
	}
	if s := p.noEffect(); s != nil {
		return s
	}
	if s := p.refused(); s != nil {
		return s
	}
	p.unexpected()
	return &ast.Unsupported{Place: t.at()}
}

func (p *parser) queryStatement() ast.Stmt {
	t := p.tok()
	switch {
	case p.bodyAfterWith().kw("merge"):
		return p.skip(t, "MERGE")
	case p.dataAfterWith():
		return p.change()
	}
	if t.is("(") {
		return p.queryFrom(p.queryTerm())
	}
	return p.query()
}

// bodyAfterWith is the token that the body behind a WITH begins with.
func (p *parser) bodyAfterWith() token {
	if !p.kw("with") {
		return token{}
	}
	depth := 0
	for n := 1; ; n++ {
		a := p.ahead(n)
		switch {
		case a.kind == tokEOF || a.is(";") || depth < 0:
			return token{}
		case depth == 0 && p.ahead(n-1).is(")") && !a.is(",") && !a.kw("as") && !a.kw("search") && !a.kw("cycle"):
			return a
		case a.is("("):
			depth++
		case a.is(")"):
			depth--
		}
	}
}

// dataAfterWith says whether a WITH before INSERT, UPDATE or DELETE stands here.
func (p *parser) dataAfterWith() bool {
	body := p.bodyAfterWith()
	return body.kw("insert") || body.kw("update") || body.kw("delete")
}

// changeInWith reads an INSERT, UPDATE or DELETE in WITH.
func (p *parser) changeInWith() ast.Stmt {
	if !p.enter() {
		return &ast.Insert{}
	}
	defer func() { p.depth-- }()
	t := p.tok()
	s := p.change()
	if u, ok := s.(*ast.Unsupported); ok {
		p.fail(t, pgerr.FeatureNotSupported, "%s is not supported", u.What)
	}
	return s
}

// change reads INSERT, UPDATE or DELETE, with a WITH before it.
func (p *parser) change() ast.Stmt {
	var with *ast.With
	if p.kw("with") {
		with = p.with()
	}
	var s ast.Stmt
	switch {
	case p.kw("insert"):
		s = p.insert()
	case p.kw("update"):
		s = p.update()
	case p.kw("delete"):
		s = p.delete()
	default:
		p.unexpected()
	}
	switch s := s.(type) {
	case *ast.Insert:
		s.With = with
	case *ast.Update:
		s.With = with
	case *ast.Delete:
		s.With = with
	case nil:
		return &ast.Unsupported{}
	}
	return s
}

// skip takes the words up to the semicolon and makes an Unsupported of them.
func (p *parser) skip(t token, what string) ast.Stmt {
	u := unsupported(t, what)
	u.Text = p.rest()
	return u
}

// rest takes the words up to the semicolon and gives their text.
func (p *parser) rest() string {
	from := p.tok().pos
	end := from
	for p.tok().kind != tokEOF && !p.tok().is(";") {
		end = p.next().end
	}
	return p.sql[from:end]
}

func (p *parser) explain() ast.Stmt {
	e := &ast.Explain{Place: p.next().at()}
	if p.tok().is("(") && !p.queryInParens() {
		p.paren(func() { p.explainOption(e) })
	} else {
		e.Analyze = p.acceptKw("analyze") || p.acceptKw("analyse")
		e.Verbose = p.acceptKw("verbose")
	}
	if p.kw("explain") {
		p.unexpected()
		return e
	}
	e.Stmt = p.statement()
	return e
}

// queryInParens says whether the parentheses ahead hold a query.
func (p *parser) queryInParens() bool {
	n := 0
	for p.ahead(n).is("(") {
		n++
	}
	return p.queryAt(n)
}

func (p *parser) explainOption(e *ast.Explain) {
	t := p.tok()
	name := p.label().Name
	value := ""
	if v := p.tok(); v.kind == tokIdent || v.kind == tokString || v.kind == tokNumber || v.kind == tokQuoted {
		value = foldASCII(v.text)
		p.next()
	}
	on := func() bool {
		switch value {
		case "", "true", "on", "1":
			return true
		case "false", "off", "0":
			return false
		}
		p.fail(t, pgerr.SyntaxError, "%s requires a Boolean value", name)
		return false
	}
	switch name {
	case "analyze", "analyse":
		e.Analyze = on()
	case "verbose":
		e.Verbose = on()
	case "format":
		switch value {
		case "text":
			e.Format = ""
		case "json", "xml", "yaml":
			e.Format = value
		default:
			p.fail(t, pgerr.InvalidParameterValue, "unrecognized value for EXPLAIN option \"format\": \"%s\"", value)
		}
	case "costs", "buffers", "timing", "summary", "settings", "wal", "generic_plan", "memory", "serialize":
		e.Options = append(e.Options, ast.Option{Place: t.at(), Name: name, Value: value})
	default:
		p.fail(t, pgerr.SyntaxError, "unrecognized EXPLAIN option \"%s\"", name)
	}
}

func (p *parser) prepare() ast.Stmt {
	s := &ast.Prepare{Place: p.next().at(), Name: p.ident()}
	if p.tok().is("(") {
		p.paren(func() { s.Types = append(s.Types, p.typeName()) })
	}
	p.expectKw("as")
	switch {
	case p.kw("explain"), p.kw("prepare"), p.kw("set"), p.kw("begin"), p.kw("execute"):
		p.unexpected()
		s.Stmt = &ast.Unsupported{}
	default:
		s.Stmt = p.statement()
	}
	return s
}

// cohortStatement reads the cohort statements, nil when it is another one.
func (p *parser) cohortStatement() ast.Stmt {
	t := p.tok()
	switch {
	case p.kw("create", "cohort"), p.kw("create", "or", "replace", "cohort"):
		p.i++
		c := &ast.CreateCohort{Place: t.at()}
		c.Replace = p.acceptKw("or", "replace")
		p.i++
		c.Name = p.ident()
		p.expectKw("as")
		if p.tok().is("(") {
			c.Query = p.queryFrom(p.queryTerm())
		} else {
			c.Query = p.query()
		}
		if p.acceptKw("with") {
			p.expect("(")
			if c.Static = p.acceptKw("static"); !c.Static {
				p.expectKw("refresh")
				c.Refresh = p.expr()
			}
			p.expect(")")
		}
		return c
	case p.kw("refresh", "cohort"):
		p.i += 2
		return &ast.RefreshCohort{Place: t.at(), Name: p.ident()}
	case p.kw("alter", "cohort"):
		p.i += 2
		r := &ast.RenameCohort{Place: t.at(), Name: p.ident()}
		p.expectKw("rename", "to")
		r.To = p.ident()
		return r
	case p.kw("drop", "cohort"):
		p.i += 2
		d := &ast.DropCohort{Place: t.at()}
		d.IfExists = p.acceptKw("if", "exists")
		d.Name = p.ident()
		return d
	}
	return nil
}

// noEffect reads the statements that are answered and otherwise ignored.
func (p *parser) noEffect() ast.Stmt {
	t := p.tok()
	s := &ast.NoEffect{Place: t.at()}
	switch t.text {
	case "listen", "unlisten", "notify", "checkpoint":
		s.Tag = upper(t.text)
	case "lock":
		s.Tag = "LOCK TABLE"
	case "security":
		if !p.kw("security", "label") {
			return nil
		}
		s.Tag = "SECURITY LABEL"
	case "vacuum", "cluster", "reindex", "analyze", "analyse":
		s.Tag, s.Warn = upper(t.text), true
		if t.text == "analyse" {
			s.Tag = "ANALYZE"
		}
	case "create":
		if !p.kw("create", "index") && !p.kw("create", "unique", "index") {
			return nil
		}
		s.Tag, s.Warn = "CREATE INDEX", true
	case "drop":
		if !p.kw("drop", "index") {
			return nil
		}
		s.Tag, s.Warn = "DROP INDEX", true
	default:
		return nil
	}
	s.Text = p.rest()
	return s
}

// refused reads a statement that prickle knows by name only.
func (p *parser) refused() ast.Stmt {
	t := p.tok()
	switch t.text {
	case "merge", "call", "do", "load", "import":
		return p.skip(t, upper(t.text))
	case "refresh":
		return p.skip(t, "REFRESH MATERIALIZED VIEW")
	case "prepare":
		return p.skip(t, "PREPARE TRANSACTION")
	case "create", "alter", "drop":
		// CREATE [OR REPLACE] [TEMP] [UNLOGGED] [RECURSIVE] TABLE …: the feature is
		// the verb and the kind of object.
		n, sort := 1, ""
		for {
			switch word := p.ahead(n).text; word {
			case "temp", "temporary", "unlogged", "recursive":
				sort = upper(word) + " "
				n++
				continue
			case "or", "replace", "local", "global", "unique":
				n++
				continue
			}
			break
		}
		object := p.ahead(n)
		if object.kind != tokIdent {
			p.i += n
			p.unexpected()
			return &ast.Unsupported{Place: t.at()}
		}
		what := upper(t.text) + " " + sort + upper(object.text)
		switch object.text {
		case "materialized", "foreign", "event", "text", "default", "access", "user":
			if next := p.ahead(n + 1); next.kind == tokIdent && (object.text != "user" || next.text == "mapping") {
				what += " " + upper(next.text)
			}
		}
		return p.skip(t, what)
	}
	return nil
}

// settingOrAll reads the name after SHOW and RESET.
func (p *parser) settingOrAll() (name string, all bool) {
	switch {
	case p.acceptKw("all"):
		return "", true
	case p.acceptKw("time", "zone"):
		return "timezone", false
	case p.acceptKw("transaction", "isolation", "level"):
		return "transaction_isolation", false
	case p.acceptKw("session", "authorization"):
		return "session_authorization", false
	}
	return p.settingName(), false
}

func (p *parser) settingName() string {
	var parts []string
	for {
		parts = append(parts, foldASCII(p.label().Name))
		if !p.accept(".") {
			return strings.Join(parts, ".")
		}
	}
}
