package parse

import (
	"slices"

	"github.com/prickledb/prickle/sql/ast"
)

// roleStatement reads CREATE, ALTER and DROP of roles, nil when it is another statement.
func (p *parser) roleStatement() ast.Stmt {
	t := p.tok()
	kind := p.ahead(1)
	if !kind.kw("role") && !kind.kw("user") && !kind.kw("group") || kind.kw("user") && p.ahead(2).kw("mapping") {
		return nil
	}
	start := p.i
	p.i += 2
	if t.kw("drop") {
		d := &ast.DropRole{Place: t.at(), IfExists: p.acceptKw("if", "exists")}
		p.list(func() { d.Names = append(d.Names, p.roleName()) }, nil)
		return d
	}
	s := &ast.RoleStmt{Place: t.at(), Alter: t.kw("alter"), User: kind.kw("user") && !t.kw("alter"), Name: p.roleName()}
	switch {
	case s.Alter && p.acceptKw("rename", "to"):
		s.To = p.ident()
		return s
	case s.Alter && (p.kw("set") || p.kw("reset") || p.kw("in", "database") || p.kw("add") || p.kw("drop")):
		return p.refuse(start, upper(t.text)+" "+upper(kind.text)+" … "+p.feature())
	}
	p.acceptKw("with")
	for p.tok().kind == tokIdent {
		s.Options = append(s.Options, p.roleOption())
	}
	return s
}

// roleName takes the name of a role. CURRENT_USER and its like stand for themselves.
func (p *parser) roleName() ast.Ident {
	t := p.tok()
	for _, word := range []string{"current_user", "current_role", "session_user"} {
		if t.kw(word) {
			p.i++
			return ast.Ident{Place: t.at(), Name: word}
		}
	}
	return p.ident()
}

func (p *parser) roleOption() ast.RoleOption {
	t := p.tok()
	o := ast.RoleOption{Place: t.at(), On: true}
	flags := []string{"superuser", "createdb", "createrole", "inherit", "login", "replication", "bypassrls"}
	names := func() {
		p.list(func() { o.Names = append(o.Names, p.roleName()) }, nil)
	}
	switch {
	case slices.Contains(flags, t.text):
		p.i++
		o.Name = t.text
	case len(t.text) > 2 && t.text[:2] == "no" && slices.Contains(flags, t.text[2:]):
		p.i++
		o.Name, o.On = t.text[2:], false
	case p.acceptKw("connection", "limit"):
		o.Name, o.Number = "connections", int(p.signed(32))
	case p.acceptKw("encrypted", "password"), p.acceptKw("password"):
		o.Name = "password"
		if o.On = !p.acceptKw("null"); o.On {
			o.Text = p.stringLit()
		}
	case p.acceptKw("valid", "until"):
		o.Name, o.Text = "valid", p.stringLit()
	case p.acceptKw("in", "role"), p.acceptKw("in", "group"):
		o.Name = "in"
		names()
	case p.acceptKw("role"), p.acceptKw("user"):
		o.Name = "role"
		names()
	case p.acceptKw("admin"):
		o.Name = "admin"
		names()
	default:
		p.unexpected()
	}
	return o
}

// reassign reads REASSIGN OWNED.
func (p *parser) reassign() ast.Stmt {
	s := &ast.ReassignOwned{Place: p.next().at()}
	p.expectKw("owned")
	p.expectKw("by")
	p.list(func() { s.From = append(s.From, p.roleName()) }, nil)
	p.expectKw("to")
	s.To = p.roleName()
	return s
}

// grant reads GRANT and REVOKE.
func (p *parser) grant() ast.Stmt {
	start := p.i
	t := p.next()
	revoke := t.kw("revoke")
	option := revoke && p.acceptKw("grant", "option", "for")
	admin := revoke && p.acceptKw("admin", "option", "for")
	var words []ast.Ident
	refused := ""
	p.list(func() {
		word := p.tok()
		if word.kind != tokIdent && word.kind != tokQuoted {
			p.unexpected()
			return
		}
		p.i++
		words = append(words, ast.Ident{Place: word.at(), Name: word.text, Quoted: word.kind == tokQuoted})
		if p.tok().is("(") && refused == "" {
			refused = "a right on columns"
			p.identList()
		}
		if word.kw("all") {
			p.acceptKw("privileges")
		}
	}, nil)
	roles := func() (out []ast.Ident) {
		p.expectKw(map[bool]string{false: "to", true: "from"}[revoke])
		p.list(func() {
			p.acceptKw("group")
			out = append(out, p.roleName())
		}, nil)
		return out
	}
	if !p.acceptKw("on") {
		g := &ast.GrantRole{Place: t.at(), Revoke: revoke, Admin: admin, Of: words, Roles: roles()}
		if !revoke && p.acceptKw("with", "admin") {
			g.Admin = true
			if !p.acceptKw("option") {
				p.expectKw("true")
			}
		}
		g.By = p.grantEnd(revoke)
		return g
	}
	g := &ast.Grant{Place: t.at(), Revoke: revoke, Option: option, On: "table"}
	for _, w := range words {
		g.Rights = append(g.Rights, upper(w.Name))
	}
	if len(words) == 1 && g.Rights[0] == "ALL" {
		g.Rights = nil
	}
	switch {
	case p.acceptKw("all", "tables", "in", "schema"):
		g.On = "tables"
	case p.acceptKw("all"):
		return p.refuse(start, "GRANT ON ALL "+p.feature())
	case p.acceptKw("schema"):
		g.On = "schema"
	case p.acceptKw("database"):
		g.On = "database"
	case p.ahead(1).kind == tokIdent && slices.Contains([]string{"function", "sequence", "domain", "language", "type", "procedure", "routine", "tablespace", "parameter"}, p.tok().text),
		p.kw("large", "object"), p.kw("foreign"):
		return p.refuse(start, "GRANT ON "+p.feature())
	default:
		p.acceptKw("table")
	}
	g.Names = p.names()
	g.Roles = roles()
	if !revoke && p.acceptKw("with", "grant", "option") {
		g.Option = true
	}
	g.By = p.grantEnd(revoke)
	if refused != "" {
		return p.refuse(start, refused)
	}
	return g
}

// grantEnd reads what may stand at the end: who grants, and CASCADE or RESTRICT, which makes no
// difference.
func (p *parser) grantEnd(revoke bool) (by ast.Ident) {
	if p.acceptKw("granted", "by") {
		by = p.roleName()
	}
	if revoke && !p.acceptKw("cascade") {
		p.acceptKw("restrict")
	}
	return by
}
