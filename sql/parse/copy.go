package parse

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// copy reads COPY, with its options in parentheses or as the words that were before those.
func (p *parser) copy() ast.Stmt {
	start := p.i
	s := &ast.Copy{Place: p.next().at()}
	if t := p.tok(); p.kw("binary") && !p.ahead(1).kw("from") && !p.ahead(1).kw("to") && !p.ahead(1).is("(") {
		p.i++
		s.Options = append(s.Options, ast.CopyOption{Place: t.at(), Name: "format", Value: "binary"})
	}
	if p.tok().is("(") {
		p.i++
		if !p.queryAt(0) && !p.tok().is("(") {
			return p.refuse(start, "COPY of a statement that is no query")
		}
		s.Query = p.bodyQuery()
		p.expect(")")
	} else {
		s.Table = &ast.TableName{Place: p.tok().at(), Name: p.name()}
		if p.tok().is("(") {
			s.Columns = p.identList()
		}
	}
	side := p.tok()
	if s.From = p.acceptKw("from"); !s.From {
		p.expectKw("to")
	}
	if s.From && s.Query != nil {
		p.unexpectedAt(side)
	}
	switch {
	case p.kw("program"):
		return p.refuse(start, "COPY … PROGRAM")
	case p.tok().kind == tokString:
		t := p.tok()
		s.File = &ast.String{Place: t.at(), Value: p.stringLit()}
	case !p.acceptKw("stdin") && !p.acceptKw("stdout"):
		p.unexpected()
	}
	if p.acceptKw("using", "delimiters") || p.acceptKw("delimiters") {
		t := p.tok()
		s.Options = append(s.Options, ast.CopyOption{Place: t.at(), Name: "delimiter", Value: p.stringLit(), Quoted: true})
	}
	p.acceptKw("with")
	if p.tok().is("(") {
		p.paren(func() { s.Options = append(s.Options, p.copyOption()) })
	} else {
		for p.err == nil && p.tok().kind == tokIdent && !p.kw("where") {
			s.Options = append(s.Options, p.copyWord())
		}
	}
	if t := p.tok(); t.kw("where") && s.Query == nil {
		if s.Where = p.where(); !s.From && p.err == nil {
			p.fail(t, pgerr.SyntaxError, "WHERE clause not allowed with COPY TO")
		}
	}
	return s
}

// copyOption reads an option in parentheses.
func (p *parser) copyOption() ast.CopyOption {
	o := ast.CopyOption{Place: p.tok().at(), Name: foldASCII(p.label().Name)}
	switch t := p.tok(); {
	case t.is("*"):
		o.All = true
		p.i++
	case t.is("("):
		o.Columns = p.identList()
	case t.kind == tokString:
		o.Value, o.Quoted = p.stringLit(), true
	case t.kind == tokIdent, t.kind == tokNumber, t.kind == tokQuoted:
		o.Value = foldASCII(p.next().text)
	}
	return o
}

// copyWord reads an option in the old spelling.
func (p *parser) copyWord() ast.CopyOption {
	o := ast.CopyOption{Place: p.tok().at()}
	literal := func(name string) {
		p.acceptKw("as")
		o.Name, o.Value, o.Quoted = name, p.stringLit(), true
	}
	columns := func(name string) {
		o.Name = name
		if name == "force_quote" && p.accept("*") {
			o.All = true
			return
		}
		p.list(func() { o.Columns = append(o.Columns, p.ident()) }, nil)
	}
	switch {
	case p.acceptKw("csv"):
		o.Name, o.Value = "format", "csv"
	case p.acceptKw("binary"):
		o.Name, o.Value = "format", "binary"
	case p.acceptKw("header"):
		o.Name = "header"
	case p.acceptKw("freeze"):
		o.Name = "freeze"
	case p.acceptKw("delimiter"):
		literal("delimiter")
	case p.acceptKw("null"):
		literal("null")
	case p.acceptKw("quote"):
		literal("quote")
	case p.acceptKw("escape"):
		literal("escape")
	case p.acceptKw("encoding"):
		literal("encoding")
	case p.acceptKw("force", "quote"):
		columns("force_quote")
	case p.acceptKw("force", "not", "null"):
		columns("force_not_null")
	case p.acceptKw("force", "null"):
		columns("force_null")
	default:
		p.unexpected()
	}
	return o
}
