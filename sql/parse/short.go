package parse

import (
	"strings"

	"github.com/prickledb/prickle/sql/ast"
)

// shorthand reads the statements FUNNEL, TRENDS and RETENTION.
func (p *parser) shorthand() ast.Stmt {
	t := p.next()
	s := &ast.Shorthand{Place: t.at()}
	separator := "->"
	switch t.text {
	case "trends":
		s.Kind = ast.ShortTrends
		separator = ","
	case "retention":
		s.Kind = ast.ShortRetention
	}
	for {
		s.Steps = append(s.Steps, p.shortStep())
		if !p.accept(separator) {
			break
		}
	}
	if s.Kind == ast.ShortRetention && len(s.Steps) > 2 && p.err == nil {
		p.badClause(t, "RETENTION takes one or two events: what starts it and what returns")
	}
	for p.err == nil && p.tok().kind != tokEOF && !p.tok().is(";") && !p.tok().is(")") {
		if !p.shortClause(s) {
			p.unexpected()
		}
	}
	return s
}

func (p *parser) shortStep() ast.ShortStep {
	t := p.tok()
	s := ast.ShortStep{Place: t.at()}
	if t.kind == tokString {
		p.i++
		s.Event = t.text
		return s
	}
	if !t.is("(") {
		p.unexpected()
		return s
	}
	s.Cond = p.parenthesised().expr(p)
	return s
}

var everyWord = map[string]string{"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}

func (p *parser) shortClause(s *ast.Shorthand) bool {
	t := p.tok()
	if t.kind != tokIdent {
		return false
	}
	once := func(free bool) {
		if !free {
			p.badClause(t, "%s stands twice", upper(t.text))
		}
	}
	switch t.text {
	case "within":
		if s.Kind != ast.ShortFunnel {
			return false
		}
		once(s.Within == nil)
		s.Within = p.span()
	case "last":
		once(s.Last == nil)
		s.Last = p.span()
	case "for":
		if s.Kind != ast.ShortRetention {
			return false
		}
		once(s.Periods == nil)
		s.Periods = p.span()
	case "persons":
		if s.Kind != ast.ShortTrends {
			return false
		}
		once(!s.Persons)
		p.next()
		s.Persons = true
	case "hourly", "daily", "weekly", "monthly":
		if s.Kind == ast.ShortFunnel {
			return false
		}
		once(s.Every == "")
		p.next()
		s.Every = everyWord[t.text]
	case "where":
		once(s.Where == nil)
		p.next()
		s.Where = p.expr()
	case "by":
		once(s.By == nil)
		p.next()
		p.list(func() { s.By = append(s.By, p.item()) }, p.clauseEnd)
	default:
		return false
	}
	return true
}

// span reads n units after its keyword.
func (p *parser) span() *ast.Span {
	s := &ast.Span{Place: p.next().at()}
	s.N = p.positive("the number of units")
	t := p.tok()
	unit := strings.TrimSuffix(t.text, "s")
	switch unit {
	case "minute", "hour", "day", "week", "month", "year":
		if t.kind == tokIdent {
			p.next()
			s.Unit = unit
			return s
		}
	}
	p.unexpected()
	return s
}
