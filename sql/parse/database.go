package parse

import "github.com/prickledb/prickle/sql/ast"

// databaseStatement reads CREATE and DROP DATABASE, nil when it is another statement.
func (p *parser) databaseStatement() ast.Stmt {
	t := p.tok()
	switch {
	case p.acceptKw("create", "database"):
		s := &ast.CreateDatabase{Place: t.at(), Name: p.ident()}
		p.acceptKw("with")
		for p.tok().kind == tokIdent {
			s.Options = append(s.Options, p.databaseOption())
		}
		return s
	case p.acceptKw("drop", "database"):
		s := &ast.DropDatabase{Place: t.at(), IfExists: p.acceptKw("if", "exists"), Name: p.ident()}
		p.acceptKw("with")
		if p.tok().is("(") {
			p.paren(func() {
				if !p.acceptKw("force") {
					p.unexpected()
				}
				s.Force = true
			})
		}
		return s
	}
	return nil
}

func (p *parser) databaseOption() ast.DatabaseOption {
	t := p.tok()
	o := ast.DatabaseOption{Place: t.at(), Name: upper(t.text)}
	if p.acceptKw("connection", "limit") {
		o.Name = "CONNECTION LIMIT"
	} else {
		p.i++
	}
	p.accept("=")
	switch v := p.tok(); {
	case p.acceptKw("default"):
	case p.accept("-"):
		o.Value = "-" + p.next().text
	case v.kind == tokIdent || v.kind == tokQuoted || v.kind == tokString || v.kind == tokNumber:
		p.i++
		o.Value = v.text
	default:
		p.unexpected()
	}
	return o
}
