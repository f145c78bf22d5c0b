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
	"cumulative", "smooth", "fill", "node", "depth", "edges", "repeats", "minimum")

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

// breakdown reads BY items [ATTRIBUTE …] [TOP n [WITH OTHER]].
func (p *parser) breakdown(w token) *ast.Breakdown {
	b := &ast.Breakdown{Place: w.at()}
	p.expectKw("by")
	p.list(func() { b.Items = append(b.Items, p.item()) }, p.atClose)
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

func (p *parser) funnelClause(f *ast.Funnel, w token) bool {
	switch w.text {
	case "steps":
		p.i++
		p.paren(func() {
			s := ast.Step{Place: p.tok().at(), Name: p.colonName()}
			s.Cond = p.expr()
			s.Optional = p.acceptKw("optional")
			if p.acceptKw("within") {
				s.Within = p.expr()
			}
			f.Steps = append(f.Steps, s)
		})
	case "within":
		p.i++
		f.Within = p.expr()
	case "mode":
		p.i++
		switch p.oneOf("ordered", "strict", "unordered") {
		case "ordered":
			f.Mode = ast.ModeOrdered
		case "strict":
			f.Mode = ast.ModeStrict
		case "unordered":
			f.Mode = ast.ModeUnordered
		}
	case "entry":
		p.i++
		switch p.oneOf("best", "first", "every", "each") {
		case "best":
			f.Entry = ast.EntryBest
		case "first":
			f.Entry = ast.EntryFirst
		case "every":
			f.Entry = ast.EntryEvery
		case "each":
			f.Entry = ast.EntryEach
		}
	case "holding":
		p.i++
		p.paren(func() { f.Holding = append(f.Holding, p.expr()) })
	case "exclude":
		p.i++
		p.paren(func() {
			x := ast.Exclusion{Place: p.tok().at(), Cond: p.expr()}
			if p.acceptKw("after") {
				id := p.label()
				x.After = &id
			}
			if p.acceptKw("before") {
				id := p.label()
				x.Before = &id
			}
			if p.acceptKw("as") {
				x.As = ast.ExcludeDiscard
				if p.oneOf("discard", "drop") == "drop" {
					x.As = ast.ExcludeDrop
				}
			}
			f.Exclude = append(f.Exclude, x)
		})
	case "output":
		p.i++
		switch p.oneOf("steps", "actors", "trend") {
		case "steps":
			f.Output = ast.OutputSteps
		case "actors":
			f.Output = ast.OutputActors
		case "trend":
			p.expectKw("by")
			f.Output = ast.OutputTrend
			f.TrendBucket = p.expr()
		}
	default:
		return false
	}
	return true
}

func (p *parser) retentionClause(r *ast.Retention, w token) bool {
	switch w.text {
	case "start":
		p.i++
		r.Start = p.expr()
		switch {
		case p.acceptKw("first", "ever"):
			r.First = ast.FirstEver
		case p.acceptKw("first", "in", "range"):
			r.First = ast.FirstInRange
		case p.acceptKw("every", "time"):
			r.First = ast.EveryTime
		}
	case "return":
		p.i++
		r.Return = p.expr()
		if p.acceptKw("minimum") {
			r.Minimum = p.positive("MINIMUM")
			p.expectKw("times")
		}
	case "every":
		p.i++
		r.Every = p.expr()
		if p.acceptKw("for") {
			r.Periods = p.positive("FOR")
			p.expectKw("periods")
		}
	case "brackets":
		p.i++
		p.paren(func() { r.Brackets = append(r.Brackets, p.positive("BRACKETS")) })
	case "rule":
		p.i++
		p.expectKw("on")
		r.Rule = ast.RuleOn
		if p.acceptKw("or") {
			p.expectKw("after")
			r.Rule = ast.RuleOnOrAfter
		}
	case "align":
		p.i++
		r.Align = ast.AlignCalendar
		if p.oneOf("calendar", "actor") == "actor" {
			r.Align = ast.AlignActor
		}
	case "measure":
		p.i++
		item := p.item()
		r.Measure = &item
	case "output":
		p.i++
		switch p.oneOf("matrix", "curve", "actors") {
		case "matrix":
			r.Output = ast.OutputMatrix
		case "curve":
			r.Output = ast.OutputCurve
		case "actors":
			r.Output = ast.OutputActors
		}
	default:
		return false
	}
	return true
}

func (p *parser) trendsClause(x *ast.Trends, w token) bool {
	switch w.text {
	case "series":
		p.i++
		p.paren(func() {
			s := ast.Series{Place: p.tok().at(), Name: p.colonName(), Measure: p.measure()}
			if p.acceptKw("where") {
				s.Where = p.expr()
			}
			x.Series = append(x.Series, s)
		})
	case "formula":
		p.i++
		p.paren(func() {
			f := ast.Formula{Place: p.tok().at(), Name: p.colonName(), Expr: p.expr()}
			x.Formulas = append(x.Formulas, f)
		})
	case "every":
		p.i++
		x.Every = p.expr()
	case "compare":
		p.i++
		p.expectKw("to")
		if p.kw("previous") && !p.ahead(1).is("(") && !p.ahead(1).is(".") && p.ahead(1).kind != tokOp {
			p.i++
			x.Compare = ast.ComparePrevious
		} else {
			x.Compare = ast.CompareEarlier
			x.CompareBy = p.expr()
			p.expectKw("earlier")
		}
	case "cumulative":
		p.i++
		x.Cumulative = true
	case "smooth":
		p.i++
		x.Smooth = p.positive("SMOOTH")
	case "fill":
		p.i++
		x.Fill = p.expr()
	case "output":
		p.i++
		x.Output = ast.OutputWide
		if p.oneOf("wide", "long") == "long" {
			x.Output = ast.OutputLong
		}
	default:
		return false
	}
	return true
}

// measure reads an aggregate or one of the measures over actors.
func (p *parser) measure() ast.Measure {
	t := p.tok()
	m := ast.Measure{Place: t.at()}
	if t.kind != tokIdent || !p.ahead(1).is("(") {
		m.Agg = p.expr()
		return m
	}
	switch t.text {
	case "actors", "new_actors":
		p.i += 2
		m.Kind = ast.MeasureActors
		if t.text == "new_actors" {
			m.Kind = ast.MeasureNewActors
		}
	case "rolling_actors":
		p.i += 2
		m.Kind = ast.MeasureRollingActors
		m.Window = p.expr()
	case "per_actor":
		p.i += 2
		m.Kind = ast.MeasurePerActor
		m.Agg = p.expr()
		p.expect(",")
		m.Inner = p.expr()
	default:
		m.Agg = p.expr()
		return m
	}
	p.expect(")")
	return m
}

func (p *parser) pathsClause(x *ast.Paths, w token) bool {
	switch w.text {
	case "node":
		p.i++
		x.Node = p.expr()
	case "start":
		p.i++
		p.expectKw("at")
		x.StartAt = p.expr()
	case "end":
		p.i++
		p.expectKw("at")
		x.EndAt = p.expr()
	case "depth":
		p.i++
		x.Depth = p.positive("DEPTH")
	case "session":
		p.i++
		p.expectKw("gap")
		x.SessionGap = p.expr()
	case "edges":
		p.i++
		p.expectKw("top")
		x.EdgesTop = p.positive("EDGES TOP")
	case "repeats":
		p.i++
		p.expectKw("keep")
		x.RepeatsKeep = true
	case "output":
		p.i++
		switch p.oneOf("edges", "actors", "transitions") {
		case "edges":
			x.Output = ast.OutputEdges
		case "actors":
			x.Output = ast.OutputActors
		case "transitions":
			x.Output = ast.OutputTransitions
		}
	default:
		return false
	}
	return true
}

func (p *parser) lifecycleClause(x *ast.Lifecycle, w token) bool {
	switch w.text {
	case "every":
		p.i++
		x.Every = p.expr()
	case "output":
		p.i++
		p.expectKw("actors")
		x.Output = ast.OutputActors
	default:
		return false
	}
	return true
}

func (p *parser) stickinessClause(x *ast.Stickiness, w token) bool {
	switch w.text {
	case "series":
		p.i++
		p.paren(func() {
			s := ast.StickinessSeries{Place: p.tok().at(), Name: p.colonName(), Cond: p.expr()}
			x.Series = append(x.Series, s)
		})
	case "every":
		p.i++
		x.Every = p.expr()
	case "rule":
		p.i++
		p.expectKw("on")
		x.Rule = ast.RuleOn
		if p.acceptKw("or") {
			p.expectKw("more")
			x.Rule = ast.RuleOnOrMore
		}
	case "minimum":
		p.i++
		x.Minimum = p.positive("MINIMUM")
		p.expectKw("times")
	case "output":
		p.i++
		p.expectKw("actors")
		x.Output = ast.OutputActors
	default:
		return false
	}
	return true
}
