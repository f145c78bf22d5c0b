package parse

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// tableStatement reads CREATE, ALTER and DROP of tables and views, nil when it is another
// statement.
func (p *parser) tableStatement() ast.Stmt {
	if p.kw("create") {
		n := 1
		if p.ahead(n).kw("or") && p.ahead(n+1).kw("replace") {
			n += 2
		}
		n += p.tempAhead(n)
		switch {
		case p.ahead(n).kw("table"):
			return p.createTable()
		case p.ahead(n).kw("view"):
			return p.createView()
		}
	}
	switch {
	case p.kw("alter", "table"), p.kw("alter", "view"):
		return p.alterTable()
	case p.kw("drop", "table"), p.kw("drop", "view"):
		t := p.tok()
		d := &ast.DropTable{Place: t.at(), View: p.ahead(1).kw("view")}
		p.i += 2
		d.IfExists = p.acceptKw("if", "exists")
		d.Names = p.names()
		if d.Cascade = p.acceptKw("cascade"); !d.Cascade {
			p.acceptKw("restrict")
		}
		return d
	}
	return nil
}

// tempAhead is how many words say that something is temporary, from the n-th one ahead on.
func (p *parser) tempAhead(n int) int {
	words := 0
	if p.ahead(n).kw("local") || p.ahead(n).kw("global") {
		words++
	}
	if t := p.ahead(n + words); t.kw("temp") || t.kw("temporary") {
		return words + 1
	}
	return 0
}

// temp takes the words that say that something is temporary.
func (p *parser) temp() bool {
	words := p.tempAhead(0)
	p.i += words
	return words > 0
}

// onCommit reads ON COMMIT of a temporary table.
func (p *parser) onCommit(temp bool) ast.OnCommit {
	t := p.tok()
	if !p.acceptKw("on", "commit") {
		return ast.PreserveRows
	}
	if !temp {
		p.fail(t, pgerr.InvalidTableDefinition, "ON COMMIT can only be used on temporary tables")
	}
	switch p.oneOf("preserve", "delete", "drop") {
	case "delete":
		p.expectKw("rows")
		return ast.DeleteRows
	case "drop":
		return ast.DropAll
	}
	p.expectKw("rows")
	return ast.PreserveRows
}

// names reads dotted names separated by commas.
func (p *parser) names() [][]ast.Ident {
	var out [][]ast.Ident
	p.list(func() { out = append(out, p.name()) }, nil)
	return out
}

// refuse makes the statement that began at start one that is not supported, because of
// what stands at the current token.
func (p *parser) refuse(start int, what string) ast.Stmt {
	if p.err != nil {
		return &ast.Unsupported{}
	}
	u := unsupported(p.tok(), what)
	p.i = start
	u.Text = p.rest()
	return u
}

func (p *parser) createTable() ast.Stmt {
	start := p.i
	place := p.next().at()
	temp := p.temp()
	p.expectKw("table")
	ifNot := p.acceptKw("if", "not", "exists")
	name := p.name()
	if p.kw("as") || p.kw("on", "commit") || p.tok().is("(") && p.onlyNames() {
		c := &ast.CreateTableAs{Place: place, Temp: temp, IfNotExists: ifNot, Name: name}
		if p.tok().is("(") {
			c.Columns = p.identList()
		}
		c.OnCommit = p.onCommit(temp)
		p.expectKw("as")
		c.Query = p.bodyQuery()
		if c.NoData = p.acceptKw("with", "no", "data"); !c.NoData {
			p.acceptKw("with", "data")
		}
		return c
	}
	c := &ast.CreateTable{Place: place, Temp: temp, IfNotExists: ifNot, Name: name}
	p.expect("(")
	refused := ""
	if !p.tok().is(")") {
		p.list(func() {
			if refused != "" {
				return
			}
			if k, what := p.tableKey(); k != nil || what != "" {
				if refused = what; k != nil {
					c.Keys = append(c.Keys, *k)
				}
				return
			}
			var spec ast.ColumnSpec
			spec, refused = p.columnSpec()
			c.Columns = append(c.Columns, spec)
		}, p.atClose)
	}
	if refused != "" {
		return p.refuse(start, refused)
	}
	p.expect(")")
	if p.kw("with") || p.kw("inherits") || p.kw("partition") || p.kw("tablespace") {
		return p.refuse(start, upper(p.tok().text)+" of CREATE TABLE")
	}
	c.OnCommit = p.onCommit(temp)
	return c
}

func (p *parser) createView() ast.Stmt {
	start := p.i
	v := &ast.CreateView{Place: p.next().at()}
	v.Replace = p.acceptKw("or", "replace")
	v.Temp = p.temp()
	p.expectKw("view")
	v.Name = p.name()
	if p.tok().is("(") {
		v.Columns = p.identList()
	}
	if p.kw("with") {
		return p.refuse(start, "WITH of CREATE VIEW")
	}
	p.expectKw("as")
	v.Query = p.bodyQuery()
	if p.kw("with") {
		return p.refuse(start, "WITH CHECK OPTION")
	}
	return v
}

// onlyNames says whether the parentheses ahead hold names alone: those of CREATE TABLE AS.
func (p *parser) onlyNames() bool {
	for n := 1; ; n += 2 {
		if k := p.ahead(n).kind; k != tokIdent && k != tokQuoted {
			return false
		}
		if p.ahead(n + 1).is(")") {
			return true
		}
		if !p.ahead(n + 1).is(",") {
			return false
		}
	}
}

// bodyQuery reads a query that may stand in parentheses.
func (p *parser) bodyQuery() ast.Query {
	if p.tok().is("(") {
		return p.queryFrom(p.queryTerm())
	}
	return p.query()
}

// tableKey reads PRIMARY KEY (…) and UNIQUE (…); what names a constraint that is refused.
func (p *parser) tableKey() (k *ast.TableKey, what string) {
	t := p.tok()
	if p.kw("constraint") {
		p.i++
		p.ident()
	}
	switch {
	case p.acceptKw("primary", "key"):
		return &ast.TableKey{Place: t.at(), Primary: true, Columns: p.identList()}, ""
	case p.kw("unique") && p.ahead(1).is("("):
		p.i++
		return &ast.TableKey{Place: t.at(), Columns: p.identList()}, ""
	case p.kw("check"):
		return nil, "CHECK"
	case p.kw("foreign", "key"):
		return nil, "FOREIGN KEY"
	case p.kw("exclude") && (p.ahead(1).is("(") || p.ahead(1).kw("using")):
		return nil, "EXCLUDE"
	case p.kw("like") && p.ahead(1).kind != tokEOF:
		return nil, "LIKE in CREATE TABLE"
	}
	return nil, ""
}

// columnSpec reads a column and its constraints; what names one that is refused.
func (p *parser) columnSpec() (c ast.ColumnSpec, what string) {
	c = ast.ColumnSpec{Place: p.tok().at(), Name: p.ident()}
	c.Type = p.typeName()
	for {
		if p.kw("constraint") {
			p.i++
			p.ident()
		}
		switch {
		case p.acceptKw("not", "null"):
			c.NotNull = true
		case p.acceptKw("null"):
		case p.acceptKw("default"):
			c.Default = p.binary(precIs + 1)
		case p.acceptKw("generated", "by", "default", "as", "identity"):
			c.Identity = true
		case p.acceptKw("primary", "key"):
			c.Primary = true
		case p.acceptKw("unique"):
			c.Unique = true
		case p.kw("check"), p.kw("references"), p.kw("generated"), p.kw("collate"):
			return c, upper(p.tok().text)
		default:
			return c, ""
		}
	}
}

func (p *parser) alterTable() ast.Stmt {
	start := p.i
	a := &ast.AlterTable{Place: p.tok().at(), View: p.ahead(1).kw("view")}
	p.i += 2
	a.IfExists = p.acceptKw("if", "exists")
	p.acceptKw("only")
	a.Name = p.name()
	refused := ""
	p.list(func() {
		if refused != "" {
			return
		}
		x := ast.AlterAction{Place: p.tok().at()}
		switch {
		case a.View && !p.kw("rename"):
			refused = "ALTER VIEW … " + upper(p.tok().text)
		case p.kw("add") && !p.kw("add", "constraint") && !p.kw("add", "primary") && !p.kw("add", "unique") && !p.kw("add", "check") && !p.kw("add", "foreign"):
			p.i++
			p.acceptKw("column")
			x.Kind, x.Exists = ast.AddColumn, p.acceptKw("if", "not", "exists")
			var spec ast.ColumnSpec
			spec, refused = p.columnSpec()
			x.Column = &spec
		case p.kw("drop") && !p.kw("drop", "constraint"):
			p.i++
			p.acceptKw("column")
			x.Kind, x.Exists = ast.DropColumn, p.acceptKw("if", "exists")
			x.Name = p.ident()
			if x.Cascade = p.acceptKw("cascade"); !x.Cascade {
				p.acceptKw("restrict")
			}
		case len(a.Actions) == 0 && p.acceptKw("rename", "to"):
			x.Kind, x.To = ast.RenameTable, p.ident()
		case len(a.Actions) == 0 && p.kw("rename") && !p.kw("rename", "constraint"):
			p.i++
			p.acceptKw("column")
			x.Kind, x.Name = ast.RenameColumn, p.ident()
			p.expectKw("to")
			x.To = p.ident()
		default:
			if p.tok().kind != tokIdent {
				p.unexpected()
			}
			if refused = "ALTER TABLE … " + upper(p.tok().text); p.ahead(1).kind == tokIdent {
				refused += " " + upper(p.ahead(1).text)
			}
		}
		a.Actions = append(a.Actions, x)
	}, nil)
	if refused != "" {
		return p.refuse(start, refused)
	}
	return a
}

func (p *parser) truncate() ast.Stmt {
	start := p.i
	t := &ast.Truncate{Place: p.next().at()}
	p.acceptKw("table")
	p.acceptKw("only")
	t.Names = p.names()
	if p.kw("restart", "identity") || p.kw("continue", "identity") {
		return p.refuse(start, upper(p.tok().text)+" IDENTITY")
	}
	if !p.acceptKw("restrict") {
		p.acceptKw("cascade")
	}
	return t
}

// target reads the table that a statement changes, with its alias.
func (p *parser) target(mustAs bool) *ast.TableName {
	p.acceptKw("only")
	t := &ast.TableName{Place: p.tok().at(), Name: p.name()}
	at := p.tok()
	if p.acceptKw("as") || !mustAs && (at.kind == tokQuoted || at.kind == tokIdent && !at.kw("set") && !ast.ReservedWord(at.text)) {
		t.Alias = &ast.Alias{Place: at.at(), Name: p.ident()}
	}
	return t
}

func (p *parser) insert() ast.Stmt {
	start := p.i
	s := &ast.Insert{Place: p.next().at()}
	p.expectKw("into")
	s.Table = p.target(true)
	if p.tok().is("(") && !p.queryInParens() {
		s.Columns = p.identList()
	}
	if p.kw("overriding") {
		return p.refuse(start, "OVERRIDING")
	}
	if !p.acceptKw("default", "values") {
		s.Query = p.bodyQuery()
	}
	if p.kw("on", "conflict") {
		return p.refuse(start, "ON CONFLICT")
	}
	s.Returning = p.returning()
	return s
}

func (p *parser) returning() []ast.SelectItem {
	if !p.acceptKw("returning") {
		return nil
	}
	return p.selectList()
}

func (p *parser) update() ast.Stmt {
	start := p.i
	s := &ast.Update{Place: p.next().at(), Table: p.target(false)}
	p.expectKw("set")
	refused := false
	p.list(func() {
		if refused = refused || p.tok().is("("); refused {
			return
		}
		a := ast.Assignment{Place: p.tok().at(), Column: p.ident()}
		p.expect("=")
		a.Value = p.expr()
		s.Set = append(s.Set, a)
	}, nil)
	if refused {
		return p.refuse(start, "SET of several columns at once")
	}
	if p.acceptKw("from") {
		p.list(func() { s.From = append(s.From, p.tableRef()) }, nil)
	}
	s.Where = p.where()
	s.Returning = p.returning()
	return s
}

func (p *parser) delete() ast.Stmt {
	s := &ast.Delete{Place: p.next().at()}
	p.expectKw("from")
	s.Table = p.target(false)
	if p.acceptKw("using") {
		p.list(func() { s.Using = append(s.Using, p.tableRef()) }, nil)
	}
	s.Where = p.where()
	s.Returning = p.returning()
	return s
}

func (p *parser) where() ast.Expr {
	if !p.acceptKw("where") {
		return nil
	}
	return p.expr()
}
