package parse

import (
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// typeName reads a type with its modifiers and array brackets.
func (p *parser) typeName() ast.TypeName {
	t := p.simpleType()
	for {
		if p.tok().is("[") {
			p.i++
			if n := p.tok(); n.kind == tokNumber { // PostgreSQL reads and forgets the size
				if _, err := strconv.ParseInt(n.text, 10, 32); err != nil {
					p.unexpectedAt(n)
				} else {
					p.i++
				}
			}
			p.expect("]")
			t.Array++
		} else if p.acceptKw("array") {
			if p.accept("[") {
				p.integer()
				p.expect("]")
			}
			t.Array++
		} else {
			return t
		}
		if t.Array > 6 {
			p.unexpected()
			return t
		}
	}
}

// needlessly says whether a name is in quotes that it does not need: of a type that can be another one. Names
// that need them are the same type however they are written.
func needlessly(id ast.Ident) bool { return id.Quoted && ast.QuoteIdent(id.Name) == id.Name }

// simpleType reads a type without array brackets.
func (p *parser) simpleType() ast.TypeName {
	first := p.tok()
	t := ast.TypeName{Place: first.at()}
	id := p.ident()
	t.Name, t.Quoted = id.Name, needlessly(id)
	if p.tok().is(".") {
		for p.accept(".") {
			t.Schema = t.Name
			id = p.label()
			t.Name, t.Quoted = id.Name, needlessly(id)
		}
		t.Mods = p.typeMods()
		return t
	}
	if t.Quoted {
		t.Mods = p.typeMods()
		return t
	}
	switch t.Name {
	case "double":
		if p.acceptKw("precision") {
			t.Name = "double precision"
		}
	case "character", "char", "nchar":
		if p.acceptKw("varying") {
			t.Name = "varchar"
		}
		if t.Name == "character" || t.Name == "nchar" {
			t.Name = "char"
		}
	case "national":
		if p.acceptKw("character") || p.acceptKw("char") {
			t.Name = "char"
			if p.acceptKw("varying") {
				t.Name = "varchar"
			}
		}
	case "bit":
		if p.acceptKw("varying") {
			t.Name = "varbit"
		}
	case "timestamp", "time":
		t.Mods = p.typeMods()
		if p.acceptKw("with", "time", "zone") {
			t.Name += "tz"
		} else {
			p.acceptKw("without", "time", "zone")
		}
		return t
	case "interval":
		t.Mods = p.typeMods()
		if t.Mods == nil {
			t.Fields = p.intervalFields(&t)
		}
		return t
	}
	t.Mods = p.typeMods()
	return t
}

var intervalUnit = words("year", "month", "day", "hour", "minute", "second")

// intervalFields reads DAY, DAY TO SECOND(3) and so on.
func (p *parser) intervalFields(t *ast.TypeName) string {
	if p.tok().kind != tokIdent || !intervalUnit[p.tok().text] {
		return ""
	}
	fields := p.next().text
	if p.kw("to") && p.ahead(1).kind == tokIdent && intervalUnit[p.ahead(1).text] {
		p.i++
		fields += " to " + p.next().text
	}
	if len(fields) >= 6 && fields[len(fields)-6:] == "second" {
		t.Mods = p.typeMods()
	}
	return fields
}

// typeMods reads (n, …), nil when there is none.
func (p *parser) typeMods() []int {
	if !p.tok().is("(") || p.ahead(1).kind != tokNumber {
		return nil
	}
	var mods []int
	p.expect("(")
	p.list(func() {
		if len(mods) == 1 && p.tok().is("-") {
			p.fail(p.tok(), pgerr.FeatureNotSupported, "a scale below zero is not supported")
		}
		mods = append(mods, p.integer())
	}, nil)
	p.expect(")")
	if len(mods) > 2 {
		p.unexpected()
	}
	return mods
}
