package parse

import (
	"strconv"

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
		case n > 1 && p.tempAhead(1) == n-1 && p.ahead(n).kw("sequence"):
			return p.createSequence()
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
		d.Cascade = p.cascade()
		return d
	}
	if t := p.tok(); p.acceptKw("drop", "sequence") {
		d := &ast.DropSequence{Place: t.at(), IfExists: p.acceptKw("if", "exists"), Names: p.names()}
		p.cascade()
		return d
	}
	if p.kw("alter", "sequence") {
		return p.alterSequence()
	}
	return p.schemaStatement()
}

// alterSequence reads ALTER SEQUENCE.
func (p *parser) alterSequence() ast.Stmt {
	start := p.i
	s := &ast.AlterSequence{Place: p.next().at()}
	p.i++
	s.IfExists = p.acceptKw("if", "exists")
	s.Name = p.name()
	s.Numbers.Place = p.tok().at()
	for first := true; first || p.tok().kind == tokIdent; first = false {
		switch {
		case p.restart(&s.Numbers):
		case p.kw("owned", "by") && !p.kw("owned", "by", "none"):
			p.i += 2
			s.OwnedBy = p.name()
		case p.kw("owner"), p.kw("rename"), p.kw("set"), p.kw("sequence"), p.kw("owned"):
			return p.refuse(start, "ALTER SEQUENCE … "+p.feature())
		default:
			if what := p.sequenceOption(&s.Numbers); what != "" {
				return p.refuse(start, what)
			}
		}
	}
	return s
}

// restart reads RESTART of a sequence, if it is there.
func (p *parser) restart(x *ast.Identity) bool {
	if !p.acceptKw("restart") {
		return false
	}
	x.Restart = true
	if p.acceptKw("with") || p.tok().kind == tokNumber || p.tok().is("-") {
		n := p.signed(64)
		x.With = &n
	}
	return true
}

// createSequence reads CREATE TEMP SEQUENCE.
func (p *parser) createSequence() ast.Stmt {
	start := p.i
	s := &ast.CreateSequence{Place: p.next().at(), Start: 1}
	p.temp()
	p.i++
	s.IfNotExists = p.acceptKw("if", "not", "exists")
	s.Name = p.name()
	for p.tok().kind == tokIdent {
		option := p.feature()
		first, ok := p.plainOption()
		switch {
		case !ok:
			return p.refuse(start, option+" of a sequence")
		case first != nil:
			s.Start = *first
		}
	}
	return s
}

// plainOption reads an option that any sequence may have: START, whose number it gives, or one that says what
// is so anyway.
func (p *parser) plainOption() (start *int64, ok bool) {
	if !p.acceptKw("start") {
		return nil, p.acceptKw("no", "minvalue") || p.acceptKw("no", "maxvalue") || p.acceptKw("no", "cycle") || p.acceptKw("owned", "by", "none")
	}
	p.acceptKw("with")
	n := p.signed(64)
	return &n, true
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

// feature is the next word, which says what a statement wants that there is not. It must have one.
func (p *parser) feature() string {
	t := p.tok()
	if t.kind == tokEOF || t.is(";") {
		p.unexpected()
	}
	return upper(t.text)
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
	if p.kw("as") || p.kw("with") || p.kw("on", "commit") || p.tok().is("(") && p.onlyNames() {
		c := &ast.CreateTableAs{Place: place, Temp: temp, IfNotExists: ifNot, Name: name}
		if p.tok().is("(") {
			c.Columns = p.identList()
		}
		c.Options = p.tableOptions()
		c.OnCommit = p.onCommit(temp)
		p.expectKw("as")
		if p.kw("execute") {
			return p.refuse(start, "CREATE TABLE AS EXECUTE")
		}
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
			if k, what := p.tableConstraint(); k != nil || what != "" {
				if refused = what; k != nil {
					c.Constraints = append(c.Constraints, *k)
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
	if p.kw("inherits") || p.kw("partition") || p.kw("tablespace") {
		return p.refuse(start, p.feature()+" of CREATE TABLE")
	}
	c.Options = p.tableOptions()
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

// tableConstraint reads a constraint of a table, nil if there is none; what names one that is refused.
func (p *parser) tableConstraint() (c *ast.Constraint, what string) {
	t := p.tok()
	var name *ast.Ident
	if p.acceptKw("constraint") {
		id := p.ident()
		name = &id
	}
	c = &ast.Constraint{Place: t.at(), Name: name}
	switch {
	case p.acceptKw("primary", "key"):
		c.Kind, c.Columns = ast.PrimaryKey, p.identList()
	case p.kw("unique") && p.ahead(1).is("("):
		p.i++
		c.Kind, c.Columns = ast.Unique, p.identList()
	case p.kw("check") && p.ahead(1).is("("):
		p.check(c)
	case p.acceptKw("foreign", "key"):
		c.Columns = p.identList()
		p.references(c)
	case p.kw("exclude") && (p.ahead(1).is("(") || p.ahead(1).kw("using")):
		return nil, "EXCLUDE"
	case p.kw("like") && p.ahead(1).kind != tokEOF:
		return nil, "LIKE in CREATE TABLE"
	case name != nil:
		p.unexpected()
		return nil, ""
	default:
		return nil, ""
	}
	p.deferrable(c)
	return c, ""
}

// check reads CHECK (condition).
func (p *parser) check(c *ast.Constraint) {
	p.expectKw("check")
	p.expect("(")
	c.Kind, c.Expr = ast.Check, p.expr()
	p.expect(")")
}

// references reads REFERENCES table (columns) and what is to happen.
func (p *parser) references(c *ast.Constraint) {
	p.expectKw("references")
	c.Kind, c.Table = ast.References, &ast.TableName{Place: p.tok().at(), Name: p.name()}
	if p.tok().is("(") {
		c.Of = p.identList()
	}
	if p.acceptKw("match") {
		p.oneOf("simple", "full")
	}
	for p.kw("on") {
		p.i++
		of := &c.OnDelete
		if p.oneOf("update", "delete") == "update" {
			of = &c.OnUpdate
		}
		switch p.oneOf("no", "restrict", "cascade", "set") {
		case "no":
			p.expectKw("action")
			*of = "a"
		case "restrict":
			*of = "r"
		case "cascade":
			*of = "c"
		case "set":
			*of = "d"
			if p.oneOf("null", "default") == "null" {
				*of = "n"
			}
		}
	}
}

// deferrable reads when a constraint is to be looked at.
func (p *parser) deferrable(c *ast.Constraint) {
	for {
		switch {
		case p.acceptKw("deferrable"):
			c.Deferrable = true
		case p.acceptKw("not", "deferrable"):
		case p.acceptKw("initially", "deferred"):
			c.Deferrable, c.Deferred = true, true
		case p.acceptKw("initially", "immediate"):
		default:
			return
		}
	}
}

// columnSpec reads a column and its constraints; what names one that is refused.
func (p *parser) columnSpec() (c ast.ColumnSpec, what string) {
	c = ast.ColumnSpec{Place: p.tok().at(), Name: p.ident()}
	c.Type = p.typeName()
	for {
		k := ast.Constraint{Place: p.tok().at()}
		if p.acceptKw("constraint") {
			id := p.ident()
			k.Name = &id
		}
		switch {
		case p.acceptKw("not", "null"):
			c.NotNull = true
			continue
		case p.acceptKw("null"):
			continue
		case p.acceptKw("default"):
			c.Default = p.binary(precIs + 1)
			continue
		case p.kw("generated"):
			t := p.tok()
			x, refused := p.identity()
			if refused != "" {
				return c, refused
			}
			if c.Identity != nil && p.err == nil {
				p.fail(t, pgerr.SyntaxError, `multiple identity specifications for column "%s"`, c.Name.Name)
			}
			c.Identity = x
			continue
		case p.acceptKw("primary", "key"):
			k.Kind = ast.PrimaryKey
		case p.acceptKw("unique"):
			k.Kind = ast.Unique
		case p.kw("check"):
			p.check(&k)
		case p.kw("references"):
			p.references(&k)
		case p.kw("collate"):
			return c, p.feature()
		default:
			return c, ""
		}
		p.deferrable(&k)
		c.Constraints = append(c.Constraints, k)
	}
}

// identity reads GENERATED … AS IDENTITY; what names one that is refused.
func (p *parser) identity() (x *ast.Identity, what string) {
	x = &ast.Identity{Place: p.next().at()}
	x.Kind = p.identityKind()
	p.expectKw("as")
	if x.Kind == "a" && p.tok().is("(") {
		return x, "a generated column"
	}
	p.expectKw("identity")
	if p.accept("(") {
		for !p.tok().is(")") && p.err == nil {
			if what = p.sequenceOption(x); what != "" {
				return x, what
			}
		}
		p.expect(")")
	}
	return x, ""
}

// identityKind reads ALWAYS or BY DEFAULT.
func (p *parser) identityKind() string {
	if p.oneOf("always", "by") == "always" {
		return "a"
	}
	p.expectKw("default")
	return "d"
}

// sequenceOption reads an option of the sequence of an identity column; what it gives names one that is
// refused.
func (p *parser) sequenceOption(x *ast.Identity) string {
	at, option := p.tok(), p.feature()
	if start, ok := p.plainOption(); ok {
		if start != nil {
			x.Start = start
		}
		return ""
	}
	switch {
	case p.acceptKw("sequence", "name"):
		name := p.name()
		x.Sequence = &name[len(name)-1]
	case p.acceptKw("increment"):
		p.acceptKw("by")
		switch n := p.signed(64); {
		case n == 0 && p.err == nil:
			p.fail(at, pgerr.InvalidParameterValue, "INCREMENT must not be zero")
		case n != 1:
			return option + " of a sequence"
		}
	case p.acceptKw("minvalue"):
		if p.signed(64) != 1 {
			return option + " of a sequence"
		}
	case p.acceptKw("cache"): // a session takes more than one number at a time anyway
		p.signed(64)
	default:
		return option + " of a sequence"
	}
	return ""
}

// tableOptions reads WITH (…) of CREATE TABLE.
func (p *parser) tableOptions() []ast.TableOption {
	var out []ast.TableOption
	if p.kw("without", "oids") {
		p.i += 2
	}
	if !p.kw("with") || !p.ahead(1).is("(") {
		return nil
	}
	p.i++
	p.paren(func() {
		o := ast.TableOption{Place: p.tok().at(), Name: foldASCII(p.label().Name)}
		for p.accept(".") {
			last := p.tok()
			if o.Name += "." + foldASCII(p.label().Name); len(o.Name) > maxNameBytes { // it could not be written as one name
				p.unexpectedAt(last)
			}
		}
		if p.accept("=") {
			switch t := p.tok(); t.kind {
			case tokString:
				o.Value = p.stringLit()
			case tokIdent, tokQuoted, tokNumber:
				o.Value = p.next().text
			default:
				p.unexpected()
			}
		}
		out = append(out, o)
	})
	return out
}

// schemaStatement reads CREATE, ALTER and DROP SCHEMA, nil when it is another statement.
func (p *parser) schemaStatement() ast.Stmt {
	t, start := p.tok(), p.i
	if !p.ahead(1).kw("schema") {
		return nil
	}
	p.i += 2
	switch {
	case t.kw("create"):
		s := &ast.CreateSchema{Place: t.at(), IfNotExists: p.acceptKw("if", "not", "exists")}
		if !p.kw("authorization") {
			name := p.ident()
			s.Name = &name
		}
		if p.acceptKw("authorization") {
			owner := p.roleName()
			s.Owner = &owner
		}
		for p.kw("create") || p.kw("grant") {
			if !p.kw("create", "table") && !p.kw("create", "view") {
				what := p.feature()
				if next := p.ahead(1); next.kind == tokIdent {
					what += " " + upper(next.text)
				}
				return p.refuse(start, what+" inside CREATE SCHEMA")
			}
			switch e := p.tableStatement().(type) {
			case *ast.CreateTable, *ast.CreateView:
				s.Elements = append(s.Elements, e)
			case *ast.CreateTableAs:
				return p.refuse(start, "CREATE TABLE AS inside CREATE SCHEMA")
			default:
				return e // it is refused
			}
		}
		return s
	case t.kw("drop"):
		d := &ast.DropSchema{Place: t.at(), IfExists: p.acceptKw("if", "exists")}
		p.list(func() { d.Names = append(d.Names, p.ident()) }, nil)
		d.Cascade = p.cascade()
		return d
	}
	a := &ast.AlterSchema{Place: t.at(), Name: p.ident()}
	switch {
	case p.acceptKw("owner", "to"):
		owner := p.roleName()
		a.Owner = &owner
	case p.kw("rename"):
		p.i++
		p.expectKw("to")
		a.To = p.ident()
	default:
		return p.refuse(start, "ALTER SCHEMA … "+p.feature())
	}
	return a
}

// cascade reads CASCADE or RESTRICT, which is also what nothing means.
func (p *parser) cascade() bool {
	if p.acceptKw("cascade") {
		return true
	}
	p.acceptKw("restrict")
	return false
}

// comment reads COMMENT ON.
func (p *parser) comment() ast.Stmt {
	start := p.i
	c := &ast.Comment{Place: p.next().at()}
	p.expectKw("on")
	switch word := p.tok(); {
	case word.kw("table"), word.kw("view"), word.kw("column"), word.kw("schema"), word.kw("database"), word.kw("sequence"):
		c.What = upper(word.text)
	default:
		if word.kind != tokIdent {
			p.unexpected()
		}
		return p.refuse(start, "COMMENT ON "+upper(word.text))
	}
	p.i++
	c.Name = p.name()
	p.expectKw("is")
	if !p.acceptKw("null") {
		c.Text = p.stringLit()
	}
	return c
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
		case p.acceptKw("owner", "to"):
			x.Kind, x.To = ast.SetOwner, p.roleName()
		case a.View && !p.kw("rename") && !p.kw("set", "schema"):
			refused = "ALTER VIEW … " + p.feature()
		case p.kw("add") && (p.kw("add", "constraint") || p.kw("add", "primary") || p.kw("add", "unique") || p.kw("add", "check") || p.kw("add", "foreign")):
			p.i++
			x.Kind = ast.AddConstraint
			if x.Constraint, refused = p.tableConstraint(); x.Constraint == nil && refused == "" {
				p.unexpected()
			}
		case p.acceptKw("add"):
			p.acceptKw("column")
			x.Kind, x.Exists = ast.AddColumn, p.acceptKw("if", "not", "exists")
			var spec ast.ColumnSpec
			spec, refused = p.columnSpec()
			x.Column = &spec
		case p.acceptKw("drop"):
			if x.Kind = ast.DropColumn; p.acceptKw("constraint") {
				x.Kind = ast.DropConstraint
			} else {
				p.acceptKw("column")
			}
			x.Exists = p.acceptKw("if", "exists")
			x.Name = p.ident()
			x.Cascade = p.cascade()
		case p.kw("alter"):
			refused = p.alterColumn(&x)
		case len(a.Actions) == 0 && p.acceptKw("set", "schema"):
			x.Kind, x.To = ast.SetSchema, p.ident()
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
			if refused = "ALTER TABLE … " + p.feature(); p.ahead(1).kind == tokIdent {
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

// alterColumn reads ALTER COLUMN; what it gives names what is refused.
func (p *parser) alterColumn(x *ast.AlterAction) string {
	p.i++
	p.acceptKw("column")
	x.Name = p.ident()
	switch {
	case p.acceptKw("set", "default"):
		x.Kind, x.Default = ast.SetDefault, p.expr()
	case p.acceptKw("drop", "default"):
		x.Kind = ast.DropDefault
	case p.acceptKw("set", "not", "null"):
		x.Kind = ast.SetNotNull
	case p.acceptKw("drop", "not", "null"):
		x.Kind = ast.DropNotNull
	case p.acceptKw("type"), p.acceptKw("set", "data", "type"):
		t := p.typeName()
		x.Kind, x.Type = ast.SetType, &t
		if p.kw("collate") {
			return "ALTER COLUMN … TYPE … " + p.feature()
		}
		if p.acceptKw("using") {
			x.Using = p.expr()
		}
	case p.kw("add", "generated"):
		p.i++
		refused := ""
		x.Kind = ast.AddIdentity
		x.Identity, refused = p.identity()
		return refused
	case p.acceptKw("drop", "identity"):
		x.Kind, x.Exists = ast.DropIdentity, p.acceptKw("if", "exists")
	case p.kw("set", "generated"), p.kw("restart"), p.kw("set", "start"), p.kw("set", "increment"), p.kw("set", "cache"), p.kw("set", "no"), p.kw("set", "minvalue"):
		return p.setIdentity(x)
	default:
		if p.tok().kind != tokIdent {
			p.unexpected()
		}
		return "ALTER TABLE … ALTER COLUMN … " + p.feature()
	}
	return ""
}

// setIdentity reads what ALTER COLUMN changes of an identity column.
func (p *parser) setIdentity(x *ast.AlterAction) string {
	x.Kind, x.Identity = ast.SetIdentity, &ast.Identity{Place: p.tok().at()}
	for {
		switch {
		case p.restart(x.Identity):
		case p.acceptKw("set", "generated"):
			x.Identity.Kind = p.identityKind()
		case p.acceptKw("set"):
			if what := p.sequenceOption(x.Identity); what != "" {
				return what
			}
		default:
			return ""
		}
	}
}

func (p *parser) truncate() ast.Stmt {
	t := &ast.Truncate{Place: p.next().at()}
	p.acceptKw("table")
	p.acceptKw("only")
	t.Names = p.names()
	if t.Restart = p.acceptKw("restart", "identity"); !t.Restart {
		p.acceptKw("continue", "identity")
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
	if p.acceptKw("overriding") {
		if s.Override = ast.OverridingUser; p.oneOf("user", "system") == "system" {
			s.Override = ast.OverridingSystem
		}
		p.expectKw("value")
		s.Query = p.bodyQuery()
	} else if !p.acceptKw("default", "values") {
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
	refused := ""
	p.list(func() {
		switch {
		case refused != "":
		case p.tok().is("("):
			refused = p.assignAll(s)
		default:
			a := ast.Assignment{Place: p.tok().at(), Column: p.ident()}
			if p.accept(".") {
				field := p.ident()
				a.Field = &field
			}
			p.expect("=")
			a.Value = p.expr()
			s.Set = append(s.Set, a)
		}
	}, nil)
	if refused != "" {
		return p.refuse(start, refused)
	}
	if p.acceptKw("from") {
		p.list(func() { s.From = append(s.From, p.tableRef()) }, nil)
	}
	s.Where = p.where()
	s.Returning = p.returning()
	return s
}

// assignAll reads (columns) = (values), or = a query, of which each column gets one column. What it
// gives names what is refused.
func (p *parser) assignAll(s *ast.Update) string {
	place := p.tok().at()
	columns := p.identList()
	p.expect("=")
	t := p.tok()
	if p.queryInParens() {
		from := p.i
		for i := range columns {
			p.i = from // a tree for each
			value := p.columnOf(t, i, len(columns))
			if value == nil {
				return "* in a query for several columns"
			}
			s.Set = append(s.Set, ast.Assignment{Place: place, Column: columns[i], Value: value})
		}
		return ""
	}
	if !p.acceptKw("row") && !t.is("(") {
		p.fail(t, pgerr.FeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
		return ""
	}
	var values []ast.Expr
	p.paren(func() { values = append(values, p.expr()) })
	if len(values) != len(columns) && p.err == nil {
		p.fail(t, pgerr.SyntaxError, "number of columns does not match number of values")
	}
	for i := range values {
		if p.err == nil {
			s.Set = append(s.Set, ast.Assignment{Place: place, Column: columns[i], Value: values[i]})
		}
	}
	return ""
}

// columnOf reads a query in parentheses of n columns, and makes one of its i-th column of it; nil if
// it is not plain how many it has.
func (p *parser) columnOf(t token, i, n int) ast.Expr {
	q := p.queryFrom(p.queryTerm())
	out := &ast.Subquery{Place: t.at(), Query: q}
	if p.err != nil {
		return out
	}
	have := n
	switch x := q.(type) {
	case *ast.Values:
		have = len(x.Rows[0])
	case *ast.Select:
		have = len(x.Items)
		for k := range x.Items {
			switch x.Items[k].Expr.(type) {
			case *ast.Star, *ast.Columns:
				return nil
			}
		}
	}
	if have != n {
		p.fail(t, pgerr.SyntaxError, "number of columns does not match number of values")
		return out
	}
	if x, ok := q.(*ast.Select); ok && !x.Distinct && x.GroupBy == nil && len(x.OrderBy) == 0 && !callsAny(x.Items) {
		x.Items = x.Items[i : i+1]
		return out
	}
	alias := &ast.Alias{Place: t.at(), Name: ast.ID("source")}
	for k := range n {
		alias.Columns = append(alias.Columns, ast.ColumnDef{Place: t.at(), Name: ast.ID("c" + strconv.Itoa(k+1))})
	}
	out.Query = &ast.Select{Place: t.at(), From: []ast.TableExpr{&ast.Derived{Place: t.at(), Query: q, Alias: alias}},
		Items: []ast.SelectItem{{Place: t.at(), Expr: &ast.Name{Place: t.at(), Parts: []ast.Ident{alias.Columns[i].Name}}}}}
	return out
}

// callsAny says whether items call a function, which may be an aggregate or give rows: what the others
// give is another thing without it.
func callsAny(items []ast.SelectItem) bool {
	calls := false
	for _, it := range items {
		ast.Walk(it.Expr, func(n ast.Node) bool {
			_, call := n.(*ast.Call)
			calls = calls || call
			return !calls
		})
	}
	return calls
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
	if p.kw("current", "of") {
		p.fail(p.tok(), pgerr.FeatureNotSupported, "WHERE CURRENT OF is not supported")
	}
	return p.expr()
}
