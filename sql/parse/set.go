package parse

import "github.com/prickledb/prickle/sql/ast"

// set reads SET in all its spellings.
func (p *parser) set() ast.Stmt {
	t := p.next()
	if p.kw("constraints") {
		p.rest()
		return &ast.NoEffect{Place: t.at(), Tag: "SET CONSTRAINTS", Text: p.sql[t.pos:p.toks[p.i-1].end]}
	}
	s := &ast.Set{Place: t.at()}
	switch {
	case p.kw("session", "characteristics"):
		p.i += 2
		p.expectKw("as", "transaction")
		return &ast.SetTransaction{Place: t.at(), Session: true, Modes: p.modes(true)}
	case p.kw("transaction") && !p.ahead(1).is("=") && !p.ahead(1).kw("to") && !p.ahead(1).is("."):
		p.i++
		if p.kw("snapshot") {
			return p.skip(t, "SET TRANSACTION SNAPSHOT")
		}
		return &ast.SetTransaction{Place: t.at(), Modes: p.modes(true)}
	case p.kw("local") && !p.ahead(1).is("=") && !p.ahead(1).kw("to"):
		p.i++
		s.Scope = ast.ScopeLocal
		if p.acceptKw("transaction") {
			return &ast.SetTransaction{Place: t.at(), Modes: p.modes(true)}
		}
	case p.kw("session") && !p.kw("session", "authorization") && !p.ahead(1).is("=") && !p.ahead(1).kw("to"):
		p.i++
		s.Scope = ast.ScopeSession
	}
	switch {
	case p.acceptKw("time", "zone"):
		s.Name = "timezone"
		if p.kw("local") || p.kw("default") {
			p.i++
			s.Default = true
			return s
		}
		s.Values = []ast.Expr{p.settingValue()}
		return s
	case p.kw("role") && !p.ahead(1).is("=") && !p.ahead(1).kw("to"):
		p.i++
		s.Name = "role"
		s.Values = []ast.Expr{p.settingValue()}
		return s
	case p.acceptKw("session", "authorization"):
		s.Name = "session_authorization"
		if s.Default = p.acceptKw("default"); !s.Default {
			s.Values = []ast.Expr{p.settingValue()}
		}
		return s
	case p.acceptKw("names"):
		s.Name = "client_encoding"
		if s.Default = p.acceptKw("default"); !s.Default && p.tok().kind == tokString {
			s.Values = []ast.Expr{p.settingValue()}
		} else {
			s.Default = true
		}
		return s
	case p.kw("schema") && p.ahead(1).kind == tokString:
		p.i++
		s.Name = "search_path"
		s.Values = []ast.Expr{p.settingValue()}
		return s
	case p.acceptKw("xml", "option"):
		s.Name = "xmloption"
		s.Values = []ast.Expr{p.settingValue()}
		return s
	}
	s.Name = p.settingName()
	if !p.accept("=") {
		p.expectKw("to")
	}
	if s.Default = p.acceptKw("default"); s.Default {
		return s
	}
	p.list(func() { s.Values = append(s.Values, p.settingValue()) }, nil)
	return s
}

// settingValue reads a string, a number, a word, or an interval.
func (p *parser) settingValue() ast.Expr {
	t := p.tok()
	switch t.kind {
	case tokString:
		p.i++
		return &ast.String{Place: t.at(), Value: t.text}
	case tokNumber:
		p.i++
		return &ast.Number{Place: t.at(), Text: t.text}
	case tokOp:
		if (t.text == "-" || t.text == "+") && p.ahead(1).kind == tokNumber {
			p.i += 2
			n := p.toks[p.i-1]
			if t.text == "+" {
				return &ast.Number{Place: n.at(), Text: n.text}
			}
			return &ast.Unary{Place: t.at(), Op: "-", X: &ast.Number{Place: n.at(), Text: n.text}}
		}
	case tokQuoted:
		p.i++
		return &ast.Name{Place: t.at(), Parts: []ast.Ident{{Place: t.at(), Name: t.text, Quoted: true}}}
	case tokIdent:
		if t.text == "interval" {
			if x := p.typedLiteral(); x != nil {
				return x
			}
		}
		p.i++
		if t.text == "true" || t.text == "false" {
			return &ast.Bool{Place: t.at(), Value: t.text == "true"}
		}
		return &ast.Name{Place: t.at(), Parts: []ast.Ident{{Place: t.at(), Name: t.text}}}
	}
	p.unexpected()
	return &ast.Null{}
}

// transaction reads BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their synonyms.
func (p *parser) transaction() ast.Stmt {
	t := p.next()
	switch t.text {
	case "begin":
		p.work()
		return &ast.Begin{Place: t.at(), Modes: p.modes(false)}
	case "start":
		p.expectKw("transaction")
		return &ast.Begin{Place: t.at(), Start: true, Modes: p.modes(false)}
	case "commit", "end":
		if p.kw("prepared") {
			p.i--
			return p.skip(t, "COMMIT PREPARED")
		}
		p.work()
		return &ast.Commit{Place: t.at(), Chain: p.chained()}
	case "savepoint":
		return &ast.Savepoint{Place: t.at(), Name: p.ident()}
	case "release":
		p.acceptKw("savepoint")
		return &ast.Release{Place: t.at(), Name: p.ident()}
	}
	if p.kw("prepared") {
		p.i--
		return p.skip(t, "ROLLBACK PREPARED")
	}
	p.work()
	if t.text == "rollback" && p.acceptKw("to") {
		p.acceptKw("savepoint")
		return &ast.RollbackTo{Place: t.at(), Name: p.ident()}
	}
	return &ast.Rollback{Place: t.at(), Chain: p.chained()}
}

func (p *parser) work() {
	if !p.acceptKw("work") {
		p.acceptKw("transaction")
	}
}

func (p *parser) chained() bool {
	if !p.acceptKw("and") {
		return false
	}
	if p.acceptKw("no") {
		p.expectKw("chain")
		return false
	}
	p.expectKw("chain")
	return true
}

// modes reads transaction modes; commas between them are optional.
func (p *parser) modes(need bool) ast.TransactionModes {
	var m ast.TransactionModes
	yes, no := true, false
	for n := 0; p.err == nil; n++ {
		switch {
		case p.acceptKw("isolation", "level"):
			switch {
			case p.acceptKw("read", "committed"):
				m.Isolation = "read committed"
			case p.acceptKw("read", "uncommitted"):
				m.Isolation = "read uncommitted"
			case p.acceptKw("repeatable", "read"):
				m.Isolation = "repeatable read"
			default:
				p.expectKw("serializable")
				m.Isolation = "serializable"
			}
		case p.acceptKw("read", "only"):
			m.ReadOnly = &yes
		case p.acceptKw("read", "write"):
			m.ReadOnly = &no
		case p.acceptKw("not", "deferrable"):
			m.Deferrable = &no
		case p.acceptKw("deferrable"):
			m.Deferrable = &yes
		default:
			if n == 0 && need {
				p.unexpected()
			}
			return m
		}
		if p.accept(",") {
			need, n = true, -1
		}
	}
	return m
}
