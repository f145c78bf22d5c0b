package parse

import (
	"github.com/prickledb/prickle/sql/ast"
)

// native reads a native operator, or gives nil when the word ahead is none. The
// caller has seen that a parenthesis follows.
func (p *parser) native() ast.TableExpr {
	t := p.tok()
	var n ast.TableExpr
	var common *ast.Common
	var clause func(word token) bool
	switch t.text {
	case "funnel":
		x := &ast.Funnel{Place: t.at()}
		n, common, clause = x, &x.Common, func(w token) bool { return p.funnelClause(x, w) }
	case "retention":
		x := &ast.Retention{Place: t.at()}
		n, common, clause = x, &x.Common, func(w token) bool { return p.retentionClause(x, w) }
	case "trends":
		x := &ast.Trends{Place: t.at()}
		n, common, clause = x, &x.Common, func(w token) bool { return p.trendsClause(x, w) }
	case "paths":
		x := &ast.Paths{Place: t.at()}
		n, common, clause = x, &x.Common, func(w token) bool { return p.pathsClause(x, w) }
	case "lifecycle":
		x := &ast.Lifecycle{Place: t.at()}
		n, common, clause = x, &x.Common, func(w token) bool { return p.lifecycleClause(x, w) }
	case "stickiness":
		x := &ast.Stickiness{Place: t.at()}
		n, common, clause = x, &x.Common, func(w token) bool { return p.stickinessClause(x, w) }
	default:
		return nil
	}
	if !p.enter() {
		return n
	}
	defer func() { p.depth-- }()
	needAs := p.needAs
	p.i += 2
	if p.acceptKw("from") {
		p.needAs = true
		common.Source = p.tableRef()
	}
	p.needAs = false
	p.clauses(t.text, common, clause)
	p.expect(")")
	p.needAs = needAs
	common.Alias = p.alias(false)
	return n
}

// clauses reads clauses in any order, each at most once, up to the closing
// parenthesis.
func (p *parser) clauses(operator string, common *ast.Common, own func(token) bool) {
	seen := map[string]bool{}
	for p.err == nil && !p.tok().is(")") {
		word := p.tok()
		if word.kind != tokIdent {
			p.unexpected()
			return
		}
		key := word.text
		if key == "time" && p.ahead(1).kw("zone") || key == "event" && p.ahead(1).kw("time") ||
			key == "end" || key == "session" || key == "week" {
			key += " " + p.ahead(1).text
		}
		if seen[key] {
			p.badClause(word, "%s has two %s clauses", upper(operator), upper(key))
			return
		}
		seen[key] = true
		// STICKINESS and RETENTION have words of their own that the common clauses
		// do not use, so the order of asking does not matter.
		if p.commonClause(common, word) || own(word) {
			continue
		}
		if clauseWord[word.text] && p.err == nil {
			p.badClause(word, "%s has no clause %s", upper(operator), upper(word.text))
		}
		p.unexpectedAt(word)
		return
	}
}

// clauseWord are the first words of all clauses, to tell a clause of another
// operator from a slip of the pen.
var clauseWord = words("steps", "within", "mode", "entry", "holding", "exclude", "output", "start",

	"return", "every", "brackets", "rule", "align", "measure", "series", "formula", "compare",
	"cumulative", "smooth", "fill", "node", "depth", "edges", "weight", "repeats", "minimum", "maximum", "exactly", "created")

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

func (p *parser) commonClause(c *ast.Common, w token) bool {
	switch w.text {
	case "where":
		p.i++
		c.Where = p.expr()
	case "actor":
		p.i++
		c.Actor = p.expr()
	case "event":
		p.i++
		p.expectKw("time")
		c.Time = p.expr()
	case "during":
		p.i++
		p.expect("(")
		d := &ast.During{Place: w.at(), From: p.expr()}
		p.expect(",")
		d.To = p.expr()
		p.accept(",")
		p.expect(")")
		c.During = d
	case "time":
		p.i++
		p.expectKw("zone")
		c.Zone = p.expr()
	case "week":
		p.i++
		p.expectKw("starts", "on")
		c.WeekStart = p.oneOf("monday", "sunday")
	case "compatible":
		p.i++
		c.Compatible = true
	case "breakdown":
		p.i++
		c.Breakdown = p.breakdown(w)
	default:
		return false
	}
	return true
}

// breakdown reads BY items, each with [BINS n], [ATTRIBUTE …] [TOP n [WITH OTHER]].
func (p *parser) breakdown(w token) *ast.Breakdown {
	b := &ast.Breakdown{Place: w.at()}
	p.expectKw("by")
	p.list(func() {
		b.Items = append(b.Items, p.item())
		if p.acceptKw("bins") {
			b.Bins = append(b.Bins, make([]int, len(b.Items)-len(b.Bins))...)
			b.Bins[len(b.Items)-1] = p.positive("BINS")
		}
	}, p.atClose)
	if p.acceptKw("attribute") {
		switch p.oneOf("first", "last", "each", "step") {
		case "first":
			b.Attribute = ast.AttributeFirst
		case "last":
			b.Attribute = ast.AttributeLast
		case "each":
			b.Attribute = ast.AttributeEach
		case "step":
			b.Attribute = ast.AttributeStep
			b.Step = p.label()
		}
	}
	if p.acceptKw("top") {
		b.Top = p.positive("TOP")
		if p.acceptKw("with") {
			p.expectKw("other")
			b.Other = true
		}
	}
	return b
}

// item reads expr [AS name].
func (p *parser) item() ast.SelectItem {
	item := ast.SelectItem{Place: p.tok().at(), Expr: p.expr()}
	if p.acceptKw("as") {
		id := p.label()
		item.Alias = &id
	}
	return item
}

// colonName reads name ":", which begins steps, series and formulas.
func (p *parser) colonName() ast.Ident {
	id := p.label()
	p.expect(":")
	return id
}
