package ast

import "strings"

func (p *printer) table(t TableExpr) {
	switch t := t.(type) {
	case *TableName:
		p.flag(t.Only, "ONLY ")
		p.name(t.Name)
		p.alias(t.Alias)
		if t.Sample != nil {
			p.s(" TABLESAMPLE ", QuoteIdent(t.Sample.Method), " (")
			p.expr(t.Sample.Percent, 0)
			p.s(")")
			if t.Sample.Seed != nil {
				p.s(" REPEATABLE (")
				p.expr(t.Sample.Seed, 0)
				p.s(")")
			}
		}
	case *Derived:
		p.flag(t.Lateral, "LATERAL ")
		p.paren("", t.Query)
		p.alias(t.Alias)
	case *Join:
		if t.Alias != nil {
			p.s("(")
			p.join(t)
			p.s(")")
			p.alias(t.Alias)
			return
		}
		p.join(t)
	case *FuncTable:
		p.funcTable(t)
	case *Pivot:
		p.pivotInput(t.Input)
		p.s(" PIVOT (")
		p.items(t.Aggs)
		p.s(" FOR ")
		if len(t.For) == 1 {
			p.expr(t.For[0], precLike+1)
		} else {
			p.s("(")
			p.exprs(t.For)
			p.s(")")
		}
		p.s(" IN (")
		p.items(t.In)
		p.s(")")
		if len(t.GroupBy) > 0 {
			p.s(" GROUP BY ")
			p.exprs(t.GroupBy)
		}
		p.s(")")
		p.alias(t.Alias)
	case *Unpivot:
		p.pivotInput(t.Input)
		p.s(" UNPIVOT ")
		p.flag(t.IncludeNulls, "INCLUDE NULLS ")
		p.s("(")
		p.ident(t.Value)
		p.s(" FOR ")
		p.ident(t.Name)
		p.s(" IN (")
		p.items(t.Columns)
		p.s("))")
		p.alias(t.Alias)
	case *CohortTable:
		p.s("COHORT ")
		p.cohort(&t.Cohort, 0)
		p.alias(t.Alias)
	default:
		p.native(t)
	}
}

func (p *printer) pivotInput(t TableExpr) {
	if j, ok := t.(*Join); ok && j.Alias == nil {
		p.s("(")
		p.table(t)
		p.s(")")
		return
	}
	p.table(t)
}

func (p *printer) alias(a *Alias) {
	if a == nil {
		return
	}
	p.s(" AS ")
	if a.Name.Name != "" {
		p.ident(a.Name)
	}
	p.columns(a.Columns)
}

func (p *printer) columns(defs []ColumnDef) {
	if len(defs) == 0 {
		return
	}
	p.s(" (")
	p.list(len(defs), func(i int) {
		p.ident(defs[i].Name)
		if defs[i].Type != nil {
			p.s(" ")
			p.typeName(defs[i].Type)
		}
	})
	p.s(")")
}

var joinWords = []string{"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "SEMI JOIN",
	"ANTI JOIN", "ASOF JOIN", "ASOF LEFT JOIN"}

func (p *printer) join(j *Join) {
	p.table(j.Left)
	p.s(" ")
	p.flag(j.Natural, "NATURAL ")
	p.s(joinWords[j.Kind], " ")
	if r, ok := j.Right.(*Join); ok && r.Alias == nil {
		p.s("(")
		p.table(r)
		p.s(")")
	} else {
		p.table(j.Right)
	}
	if j.On != nil {
		p.s(" ON ")
		p.expr(j.On, 0)
	}
	if len(j.Using) > 0 {
		p.s(" USING (")
		p.idents(j.Using)
		p.s(")")
		if j.UsingAlias != nil {
			p.s(" AS ")
			p.ident(*j.UsingAlias)
		}
	}
}

func (p *printer) funcTable(t *FuncTable) {
	p.flag(t.Lateral, "LATERAL ")
	if t.RowsFrom {
		p.s("ROWS FROM (")
		p.list(len(t.Calls), func(i int) {
			p.expr(t.Calls[i].Call, 0)
			if len(t.Calls[i].Columns) > 0 {
				p.s(" AS")
				p.columns(t.Calls[i].Columns)
			}
		})
		p.s(")")
	} else {
		p.expr(t.Calls[0].Call, 0)
	}
	p.flag(t.Ordinality, " WITH ORDINALITY")
	if t.Alias != nil && t.Alias.Name.Name == "" {
		p.s(" AS")
		p.columns(t.Alias.Columns)
		return
	}
	p.alias(t.Alias)
}

// clause prints the text before an expression that may be absent.
func (p *printer) clause(word string, x Expr) {
	if x != nil {
		p.s(" ", word, " ")
		p.expr(x, 0)
	}
}

func (p *printer) number(word string, n int, after string) {
	if n > 0 {
		p.s(" ", word, " ")
		p.n(n)
		p.s(after)
	}
}

// native prints an operator: the source, its own clauses, then the common ones.
func (p *printer) native(t TableExpr) {
	var c *Common
	outer := p
	p = &printer{}
	switch t := t.(type) {
	case *Funnel:
		outer.s("FUNNEL(")
		c = &t.Common
		p.common(c)
		p.funnel(t)
	case *Retention:
		outer.s("RETENTION(")
		c = &t.Common
		p.common(c)
		p.retention(t)
	case *Trends:
		outer.s("TRENDS(")
		c = &t.Common
		p.common(c)
		p.trends(t)
	case *Paths:
		outer.s("PATHS(")
		c = &t.Common
		p.common(c)
		p.paths(t)
	case *Lifecycle:
		outer.s("LIFECYCLE(")
		c = &t.Common
		p.common(c)
		p.clause("CREATED", t.Created)
		p.clause("EVERY", t.Every)
		p.output(t.Output)
	case *Stickiness:
		outer.s("STICKINESS(")
		c = &t.Common
		p.common(c)
		p.stickiness(t)
	default:
		return
	}
	p.after(c)
	outer.s(strings.TrimPrefix(p.b.String(), " "), ")")
	outer.alias(c.Alias)
}

// common prints the clauses that say which rows are read.
func (p *printer) common(c *Common) {
	if c.Source != nil {
		p.s(" FROM ")
		p.table(c.Source)
	}
	p.clause("WHERE", c.Where)
	p.clause("ACTOR", c.Actor)
	p.clause("EVENT TIME", c.Time)
}

// after prints the common clauses that come last.
func (p *printer) after(c *Common) {
	if b := c.Breakdown; b != nil {
		p.s(" BREAKDOWN BY ")
		p.list(len(b.Items), func(i int) {
			p.items(b.Items[i : i+1])
			if i < len(b.Bins) {
				p.number("BINS", b.Bins[i], "")
			}
		})
		p.s([]string{"", " ATTRIBUTE FIRST", " ATTRIBUTE LAST", " ATTRIBUTE EACH", " ATTRIBUTE STEP "}[b.Attribute])
		if b.Attribute == AttributeStep {
			p.ident(b.Step)
		}
		p.number("TOP", b.Top, "")
		p.flag(b.Top > 0 && b.Other, " WITH OTHER")
	}
	if c.During != nil {
		p.s(" DURING (")
		p.expr(c.During.From, 0)
		p.s(", ")
		p.expr(c.During.To, 0)
		p.s(")")
	}
	p.clause("TIME ZONE", c.Zone)
	if c.WeekStart != "" {
		p.s(" WEEK STARTS ON ", strings.ToUpper(c.WeekStart))
	}
	p.flag(c.Compatible, " COMPATIBLE")
}

func (p *printer) output(o Output) {
	if o != OutputDefault {
		p.s(" OUTPUT ", []string{"", "STEPS", "ACTORS", "TREND", "MATRIX", "CURVE", "WIDE", "LONG", "EDGES", "TRANSITIONS"}[o])
	}
}

func (p *printer) named(name Ident) {
	p.ident(name)
	p.s(": ")
}

func (p *printer) funnel(f *Funnel) {
	if len(f.Steps) > 0 {
		p.s(" STEPS (")
		p.list(len(f.Steps), func(i int) {
			s := &f.Steps[i]
			p.named(s.Name)
			p.expr(s.Cond, 0)
			p.flag(s.First, " FIRST EVER")
			p.clause("OF", s.FirstOf)
			p.flag(s.Optional, " OPTIONAL")
			p.clause("WITHIN", s.Within)
		})
		p.s(")")
	}
	p.s([]string{"", " MODE ORDERED", " MODE STRICT", " MODE UNORDERED"}[f.Mode])
	p.clause("WITHIN", f.Within)
	p.s([]string{"", " ENTRY BEST", " ENTRY FIRST", " ENTRY EVERY", " ENTRY EACH"}[f.Entry])
	if len(f.Holding) > 0 {
		p.s(" HOLDING (")
		p.exprs(f.Holding)
		p.s(")")
	}
	if len(f.Exclude) > 0 {
		p.s(" EXCLUDE (")
		p.list(len(f.Exclude), func(i int) {
			x := &f.Exclude[i]
			p.expr(x.Cond, 0)
			if x.After != nil {
				p.s(" AFTER ")
				p.ident(*x.After)
			}
			if x.Before != nil {
				p.s(" BEFORE ")
				p.ident(*x.Before)
			}
			p.s([]string{"", " AS DISCARD", " AS DROP"}[x.As])
		})
		p.s(")")
	}
	p.output(f.Output)
	if f.Output == OutputTrend && f.TrendBucket != nil {
		p.flag(f.TrendActors, " ACTORS")
		p.s(" BY ")
		p.expr(f.TrendBucket, 0)
		if f.TrendFrom != nil && f.TrendTo != nil {
			p.s(" FROM ")
			p.ident(*f.TrendFrom)
			p.s(" TO ")
			p.ident(*f.TrendTo)
		}
	}
}

func (p *printer) retention(r *Retention) {
	p.clause("START", r.Start)
	if r.Start != nil {
		p.s([]string{"", " FIRST IN RANGE", " FIRST EVER", " EVERY TIME"}[r.First])
		p.clause("OF", r.FirstOf)
	}
	p.clause("RETURN", r.Return)
	if r.Return != nil {
		p.number("MINIMUM", r.Minimum, " TIMES")
	}
	p.clause("EVERY", r.Every)
	if r.Every != nil {
		p.number("FOR", r.Periods, " PERIODS")
	}
	if len(r.Brackets) > 0 {
		p.s(" BRACKETS (")
		p.list(len(r.Brackets), func(i int) { p.n(r.Brackets[i]) })
		p.s(")")
	}
	p.s([]string{"", " RULE ON", " RULE ON OR AFTER", " RULE ON OR MORE"}[r.Rule])
	p.s([]string{"", " ALIGN CALENDAR", " ALIGN ACTOR"}[r.Align])
	if r.Measure != nil {
		p.s(" MEASURE ")
		p.items([]SelectItem{*r.Measure})
		p.s([]string{"", " WITH START PERIOD", " WITHOUT START PERIOD"}[r.Own])
	}
	p.output(r.Output)
}

func (p *printer) trends(t *Trends) {
	if len(t.Series) > 0 {
		p.s(" SERIES (")
		p.list(len(t.Series), func(i int) {
			p.named(t.Series[i].Name)
			p.measure(&t.Series[i].Measure)
			p.clause("WHERE", t.Series[i].Where)
		})
		p.s(")")
	}
	if len(t.Formulas) > 0 {
		p.s(" FORMULA (")
		p.list(len(t.Formulas), func(i int) {
			p.named(t.Formulas[i].Name)
			p.expr(t.Formulas[i].Expr, 0)
		})
		p.s(")")
	}
	p.clause("EVERY", t.Every)
	switch t.Compare {
	case ComparePrevious:
		p.s(" COMPARE TO PREVIOUS")
	case CompareEarlier:
		p.clause("COMPARE TO", t.CompareBy)
		p.s(" EARLIER")
	}
	p.flag(t.Cumulative, " CUMULATIVE")
	p.number("SMOOTH", t.Smooth, "")
	p.clause("FILL", t.Fill)
	p.output(t.Output)
}

func (p *printer) measure(m *Measure) {
	switch m.Kind {
	case MeasureActors:
		p.s("ACTORS()")
	case MeasureNewActors:
		p.s("NEW_ACTORS(")
		if m.First != nil {
			p.expr(m.First, 0)
		}
		if m.Valued != nil {
			if m.First != nil {
				p.s(" ")
			}
			p.s("BREAKDOWN OF ")
			p.expr(m.Valued, 0)
		}
		p.s(")")
	case MeasureRollingActors:
		p.s("ROLLING_ACTORS(")
		p.expr(m.Window, 0)
		p.s(")")
	case MeasurePerActor:
		p.s("PER_ACTOR(")
		p.expr(m.Agg, 0)
		p.s(", ")
		p.expr(m.Inner, 0)
		p.s(")")
	default:
		p.expr(m.Agg, 0)
	}
}

func (p *printer) paths(x *Paths) {
	p.clause("NODE", x.Node)
	p.clause("START AT", x.StartAt)
	p.clause("END AT", x.EndAt)
	p.number("DEPTH", x.Depth, "")
	p.clause("SESSION GAP", x.SessionGap)
	p.number("EDGES TOP", x.EdgesTop, "")
	p.flag(x.WeightFrom > 0 || x.WeightTo > 0, " WEIGHT")
	p.number("FROM", x.WeightFrom, "")
	p.number("TO", x.WeightTo, "")
	p.flag(x.RepeatsKeep, " REPEATS KEEP")
	p.output(x.Output)
}

func (p *printer) stickiness(x *Stickiness) {
	if len(x.Series) > 0 {
		p.s(" SERIES (")
		p.list(len(x.Series), func(i int) {
			p.named(x.Series[i].Name)
			p.expr(x.Series[i].Cond, 0)
		})
		p.s(")")
	}
	p.clause("EVERY", x.Every)
	p.clause("ALIGN TO", x.AlignTo)
	p.s([]string{"", " RULE ON", " RULE ON OR AFTER", " RULE ON OR MORE"}[x.Rule])
	p.number([]string{"MINIMUM", "MAXIMUM", "EXACTLY"}[x.Bound], x.Times, " TIMES")
	p.output(x.Output)
}

func (p *printer) shorthand(s *Shorthand) {
	p.s([]string{"FUNNEL ", "TRENDS ", "RETENTION "}[s.Kind])
	separator := " -> "
	if s.Kind == ShortTrends {
		separator = ", "
	}
	for i, step := range s.Steps {
		if i > 0 {
			p.s(separator)
		}
		if step.Cond == nil {
			p.s(QuoteString(step.Event))
			continue
		}
		p.s("(")
		p.expr(step.Cond, 0)
		p.s(")")
	}
	p.flag(s.Persons, " PERSONS")
	if s.Every != "" {
		p.s(map[string]string{"hour": " HOURLY", "day": " DAILY", "week": " WEEKLY", "month": " MONTHLY"}[s.Every])
	}
	p.span("WITHIN", s.Within)
	p.span("FOR", s.Periods)
	p.span("LAST", s.Last)
	p.clause("WHERE", s.Where)
	if len(s.By) > 0 {
		p.s(" BY ")
		p.items(s.By)
	}
}

func (p *printer) span(word string, s *Span) {
	if s != nil {
		p.number(word, s.N, " "+strings.ToUpper(s.Unit)+"S")
	}
}
