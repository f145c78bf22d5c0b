package bind

import (
	"maps"
	"slices"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// maxBins bounds the bins of a breakdown: nobody reads more of them.
const maxBins = 10000

// maxSmooth bounds the buckets that a mean is taken of, each time anew.
const maxSmooth = 10000

func (b *binder) trends(written *ast.Trends) plan.Node {
	t, parts := computedLast(written)
	empty := &plan.Values{}
	tie := false
	for i := range t.Series {
		tie = tie || t.Series[i].Measure.Kind == ast.MeasureNewActors && t.Breakdown != nil
	}
	src, sc := b.source(&t.Common, "TRENDS", t.Pos(), tie)
	if b.err != nil {
		return empty
	}
	n := &plan.Trends{Source: src, Cumulative: t.Cumulative, Smooth: t.Smooth}
	if len(t.Series) == 0 {
		b.operatorError(t.Pos(), "Write, for example, TRENDS(SERIES (n: count(*)) EVERY INTERVAL '1 day').", "TRENDS needs SERIES")
	}
	if t.Compatible {
		b.compatibleTrends(t)
	}
	for i := range t.Series {
		if b.err != nil {
			return empty
		}
		s := b.series(&t.Series[i], sc)
		b.namesSeries(written, &t.Series[i])
		if t.Compatible {
			b.double(&s, t.Series[i].Measure.Pos())
		}
		for _, before := range n.Series {
			if before.Name == s.Name {
				b.operatorError(t.Series[i].Pos(), "", `two series have the name "%s"`, s.Name)
			}
		}
		n.Series = append(n.Series, s)
	}
	if t.Every != nil {
		v := b.unit(t.Every, "EVERY")
		n.Every = &v
	}
	if b.err == nil && !t.Compatible {
		b.made(t, n, parts)
	}
	switch t.Output {
	case ast.OutputDefault, ast.OutputWide:
	case ast.OutputLong:
		n.Output = plan.OutputLong
	default:
		b.operatorError(t.Pos(), "TRENDS has OUTPUT WIDE and OUTPUT LONG.", "TRENDS has no such OUTPUT")
	}
	b.noSteps(t.Breakdown)
	if t.Breakdown != nil && b.err == nil {
		b.trendsValues(t, n.Breakdown)
	}
	if b.err != nil {
		return empty
	}
	return b.asWritten(n, written, parts)
}

// computedLast makes formulas of the series that are computed from those before them. Aggregates that such a series has
// of its own are series that nobody sees, the last ones: it gives their names.
func computedLast(t *ast.Trends) (*ast.Trends, map[*ast.Call]string) {
	out := *t
	out.Series, out.Formulas = nil, nil
	var last []ast.Series
	parts := map[*ast.Call]string{}
	for i, s := range t.Series {
		aggs, ok := readsBefore(s.Measure.Agg, t.Series, i)
		if t.Compatible || s.Measure.Kind != ast.MeasureAggregate || !ok || s.Where != nil && aggs == nil {
			out.Series = append(out.Series, s)
			continue
		}
		out.Formulas = append(out.Formulas, ast.Formula{Place: s.Place, Name: s.Name, Expr: s.Measure.Agg})
		for _, a := range aggs {
			part := ast.Series{Place: s.Place, Name: ast.Ident{Place: s.Name.Place, Name: ast.Format(a) + " of " + s.Name.Name}, Where: s.Where}
			part.Measure = ast.Measure{Place: a.Place, Kind: ast.MeasureAggregate, Agg: a}
			called := func(x ast.Series) bool { return x.Name.Name == part.Name.Name }
			for slices.ContainsFunc(t.Series, called) || slices.ContainsFunc(last, called) {
				part.Name.Name += "'"
			}
			parts[a], last = part.Name.Name, append(last, part)
		}
	}
	out.Series, out.Formulas = append(out.Series, last...), append(out.Formulas, t.Formulas...)
	return &out, parts
}

// readsBefore says whether an expression names series before the i-th, and none from there on. It gives the aggregates beside
// these names.
func readsBefore(e ast.Expr, series []ast.Series, i int) (aggs []*ast.Call, ok bool) {
	before, other := false, false
	ast.Walk(e, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.Name:
			at := slices.IndexFunc(series, func(s ast.Series) bool { return len(x.Parts) == 1 && s.Name.Name == x.Parts[0].Name })
			before, other = before || at >= 0 && at < i, other || at >= i
		case *ast.Call:
			if agg.IsAggregate(x.Func()) {
				aggs = append(aggs, x)
				return false
			}
		}
		return true
	})
	return aggs, before && !other
}

// namesSeries says why a series may not name another, if a column that does not exist is one.
func (b *binder) namesSeries(t *ast.Trends, s *ast.Series) {
	if b.err == nil || b.err.Code != pgerr.UndefinedColumn {
		return
	}
	at := func(name string) int {
		return slices.IndexFunc(t.Series, func(s ast.Series) bool { return s.Name.Name == name })
	}
	unknown := *b.err
	ast.Walk(s.Measure.Agg, func(n ast.Node) bool {
		x, ok := n.(*ast.Name)
		if !ok || len(x.Parts) != 1 || unknown.Position != ast.CharPosition(b.env.Text, x.Pos()) {
			return true
		}
		name, other := s.Name.Name, x.Parts[0].Name
		switch i := at(other); {
		case i < 0:
			return true
		case i >= at(name):
			b.err = nil
			b.operatorError(x.Pos(), "A series sees those before it.", `series "%s" names series "%s", which does not come before it`, name, other)
		default:
			b.err = nil
			b.operatorError(x.Pos(), "Give the aggregate a series of its own, and compute a third from both.",
				`series "%s" names series "%s" beside an aggregate or a condition`, name, other)
		}
		return false
	})
}

// asWritten puts the columns of series into the order in which they were written, without the parts of
// others.
func (b *binder) asWritten(n *plan.Trends, t *ast.Trends, parts map[*ast.Call]string) plan.Node {
	if n.Output == plan.OutputLong {
		return b.withoutParts(n, parts)
	}
	schema, values := n.Schema(), n.Values()
	p := &plan.Project{Input: n}
	add := func(i int) {
		p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: i, T: schema[i].Type, Name: schema[i].Name}), append(p.Names, schema[i].Name)
	}
	first := len(schema) - len(values)
	if n.Compare != nil {
		first -= len(values)
	}
	for i := range first {
		add(i)
	}
	for from := first; from < len(schema); from += len(values) {
		for _, s := range t.Series {
			add(from + slices.IndexFunc(values, func(f vec.Field) bool { return f.Name == s.Name.Name }))
		}
		for i := range t.Formulas {
			add(from + len(values) - len(t.Formulas) + i)
		}
	}
	return unlessPassed(p)
}

// withoutParts leaves out the rows of series that are parts of others.
func (b *binder) withoutParts(n *plan.Trends, parts map[*ast.Call]string) plan.Node {
	var out plan.Node = n
	at := slices.IndexFunc(n.Schema(), func(f vec.Field) bool { return f.Name == "series" })
	for _, name := range slices.Sorted(maps.Values(parts)) {
		series := &expr.Column{Index: at, T: vec.T(vec.Text), Name: "series"}
		cond, err := expr.NewOperator("<>", series, textConst(name, vec.T(vec.Text)))
		if err != nil {
			b.failErr(err, ast.NoPos)
			return n
		}
		out = &plan.Filter{Input: out, Cond: cond}
	}
	return out
}

// compatibleTrends refuses what has no meaning under the insights' rules.
func (b *binder) compatibleTrends(t *ast.Trends) {
	switch {
	case len(t.Series) > 1:
		b.operatorError(t.Series[1].Pos(), "Write one TRENDS for each series.", "TRENDS with COMPATIBLE has one series")
	case t.During == nil:
		b.operatorError(t.Pos(), "Say from when to when with DURING (a, b).", "TRENDS with COMPATIBLE needs DURING")
	case len(t.Formulas) > 0:
		b.operatorError(t.Formulas[0].Pos(), "Compute it from the rows of several TRENDS.", "TRENDS with COMPATIBLE has no FORMULA")
	case t.Compare != ast.CompareNone:
		b.operatorError(t.Pos(), "Write one TRENDS for each period.", "TRENDS with COMPATIBLE has no COMPARE TO")
	case t.Fill != nil:
		b.operatorError(t.Fill.Pos(), "Empty buckets are 0.", "TRENDS with COMPATIBLE has no FILL")
	case t.Output == ast.OutputLong:
		b.operatorError(t.Pos(), "", "TRENDS with COMPATIBLE has no OUTPUT LONG")
	}
}

// made binds what is made of the series: running totals, means, formulas and comparisons.
func (b *binder) made(t *ast.Trends, n *plan.Trends, parts map[*ast.Call]string) {
	if t.Smooth > maxSmooth {
		b.operatorError(t.Pos(), "", "SMOOTH must be at most %d", maxSmooth)
	}
	for i := range n.Series {
		s, pos := &n.Series[i], t.Series[i].Measure.Pos()
		switch number := s.Type().IsNumber(); {
		case number:
		case t.Cumulative:
			b.operatorError(pos, "", "CUMULATIVE adds numbers, not %s", s.Type())
		case t.Smooth > 0:
			b.operatorError(pos, "", "SMOOTH takes means of numbers, not %s", s.Type())
		}
	}
	if t.Fill != nil {
		b.fill(t, n)
	}
	b.formulas(t, n, parts)
	b.comparison(t, n)
	if t.Output == ast.OutputLong && b.err == nil {
		for i, f := range n.Values() {
			pos := t.Pos()
			if i < len(t.Series) {
				pos = t.Series[i].Pos()
			} else {
				pos = t.Formulas[i-len(t.Series)].Pos()
			}
			if !f.Type.IsNumber() {
				b.operatorError(pos, "Its column value is double precision.", "OUTPUT LONG shows numbers, not %s", f.Type)
			}
		}
	}
}

// fill binds FILL, which every series shows in its own type.
func (b *binder) fill(t *ast.Trends, n *plan.Trends) {
	pos := t.Fill.Pos()
	e := b.stable(t.Fill, "FILL")
	for i := range n.Series {
		if b.err != nil {
			return
		}
		to := n.Filled(&n.Series[i])
		x := b.coerce(e, to, pos)
		if b.err != nil && b.err.Code == pgerr.CannotCoerce {
			b.err = nil
			b.operatorError(pos, "Cast one to the type of the other.", `FILL is %s, but the series "%s" is %s`, e.Type(), n.Series[i].Name, to)
		}
		n.Fill = append(n.Fill, b.fold(x))
	}
	if b.err == nil && !isStable(e) {
		b.operatorError(pos, "", "FILL must be constant")
	}
}

// formulas binds FORMULA, where the names of series and of earlier formulas are columns, and so are aggregates that are
// series.
func (b *binder) formulas(t *ast.Trends, n *plan.Trends, parts map[*ast.Call]string) {
	for i := range t.Formulas {
		f := &t.Formulas[i]
		fields := n.Values()
		for _, before := range fields {
			if before.Name == f.Name.Name {
				b.operatorError(f.Pos(), "", `the formula "%s" has the name of a series or formula before it`, f.Name.Name)
			}
		}
		sc := &scope{rel: &relation{node: &plan.Values{}, fields: fields}, computed: parts}
		e := b.value(f.Expr, sc.in("FORMULA", nil))
		e = b.coerce(e, firstKnown(e.Type()), f.Expr.Pos())
		if b.err != nil {
			return
		}
		n.Formulas = append(n.Formulas, plan.Formula{Name: f.Name.Name, Value: e})
	}
}

// comparison binds COMPARE TO.
func (b *binder) comparison(t *ast.Trends, n *plan.Trends) {
	switch t.Compare {
	case ast.CompareNone:
		return
	case ast.ComparePrevious:
		if b.unbounded(n.From) || b.unbounded(n.To) {
			b.operatorError(t.CompareAt.Pos(), "Say from when to when with DURING (a, b), or how much earlier with COMPARE TO INTERVAL '1 week' EARLIER.",
				"COMPARE TO PREVIOUS needs DURING with two ends")
		}
		n.Compare = &vec.IntervalValue{}
	case ast.CompareEarlier:
		by := b.span(t.CompareBy, "COMPARE TO")
		n.Compare = &by
	}
	taken := map[string]bool{}
	for _, f := range n.Values() {
		taken[f.Name] = true
	}
	for _, f := range n.Values() {
		if name := plan.PreviousName(f.Name); taken[name] && t.Output != ast.OutputLong {
			b.operatorError(t.CompareAt.Pos(), "Give it another name.", `COMPARE TO adds a column "%s", which is the name of a series or formula`, name)
		}
	}
}

// unbounded says whether an end of DURING is known to be open.
func (b *binder) unbounded(e expr.Expr) bool {
	if e == nil {
		return true
	}
	c, ok := b.fold(e).(*expr.Const)
	return ok && !c.Value.IsNull(0) && (c.Value.I64[0] == vec.InfinityTime || c.Value.I64[0] == vec.NegInfinityTime)
}

// trendsValues makes the values of a breakdown what the rules at hand compare: under those
// of the insights an empty text is no value, and what has bins is a number.
func (b *binder) trendsValues(t *ast.Trends, by *plan.Breakdown) {
	for i, n := range t.Breakdown.Bins {
		pos := t.Breakdown.Items[i].Pos()
		switch {
		case n == 0:
			continue
		case !t.Compatible:
			b.operatorError(pos, "Write width_bucket(…) for bins of your own.", "BINS needs COMPATIBLE")
			return
		case n > maxBins:
			b.operatorError(pos, "", "BINS must be at most %d", maxBins)
			return
		}
		if by.Bins == nil {
			by.Bins = make([]int, len(by.Exprs))
		}
		by.Bins[i] = n
		if e := by.Exprs[i]; !e.Type().IsNumber() && !e.Type().IsText() {
			b.operatorError(pos, "", "BINS must cut numbers, not %s", e.Type())
			return
		}
		by.Exprs[i] = b.cast(by.Exprs[i], vec.T(vec.Float8), pos, true, true)
	}
	if !t.Compatible {
		return
	}
	for i, e := range by.Exprs {
		if e.Type().IsText() {
			by.Exprs[i] = b.noEmpty(e, t.Breakdown.Items[i].Pos())
		}
	}
}

// noEmpty is a text, or null where it is empty.
func (b *binder) noEmpty(e expr.Expr, pos ast.Pos) expr.Expr {
	empty := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf("")}}
	b.copied(e, 1, pos)
	equal, err := expr.NewOperator("=", e, empty)
	if err != nil {
		return b.failErr(err, pos)
	}
	return &expr.NullIf{Left: e, Equal: equal}
}

func (b *binder) series(s *ast.Series, sc *scope) plan.Series {
	out := plan.Series{Name: s.Name.Name}
	m := &s.Measure
	switch m.Kind {
	case ast.MeasureActors:
		out.Measure = plan.MeasureActors
	case ast.MeasureRollingActors:
		out.Measure = plan.MeasureRolling
		out.Rolling = b.span(m.Window, "ROLLING_ACTORS")
	case ast.MeasureNewActors:
		out.Measure = plan.MeasureNew
		if m.First != nil {
			out.First = b.condition(b.expr(m.First, sc.in("NEW_ACTORS", nil)), "NEW_ACTORS", m.First.Pos())
		}
		if m.Valued != nil {
			out.Valued = b.condition(b.expr(m.Valued, sc.in("NEW_ACTORS", nil)), "NEW_ACTORS", m.Valued.Pos())
		}
	case ast.MeasurePerActor:
		out.Measure = plan.MeasurePerActor
		out.Of = b.computed(m.Inner, sc, "PER_ACTOR")
		if b.err != nil {
			return out
		}
		each := &relation{node: &plan.Values{}, fields: vec.Schema{{Name: "_", Type: out.Of.Type()}}}
		out.Outer = b.computed(m.Agg, &scope{rel: each}, "PER_ACTOR")
	default:
		out.Of = b.computed(m.Agg, sc, "SERIES")
	}
	if s.Where != nil {
		out.Where = b.condition(b.expr(s.Where, sc.in("WHERE", nil)), "WHERE", s.Where.Pos())
	}
	return out
}

// computed binds an expression over aggregates.
func (b *binder) computed(e ast.Expr, sc *scope, clause string) plan.Computed {
	aggs := &aggregates{}
	x := b.value(e, sc.in(clause, aggs))
	x = b.coerce(x, firstKnown(x.Type()), e.Pos())
	if b.err != nil {
		return plan.Computed{}
	}
	if len(aggs.calls) == 0 {
		b.operatorError(e.Pos(), "Measures are aggregates such as count(*), or ACTORS().", "a series must be made of aggregates")
		return plan.Computed{}
	}
	x = b.aboveAggregates(x, e.Pos())
	return plan.Computed{Aggs: aggs.calls, Value: x}
}

// aboveAggregates is an expression that reads aggregates from columns.
func (b *binder) aboveAggregates(e expr.Expr, pos ast.Pos) expr.Expr {
	if b.err != nil || e == nil {
		return e
	}
	switch e := e.(type) {
	case *aggRef:
		return &expr.Column{Index: e.index, T: e.t, Name: e.text}
	case *expr.Column:
		name := b.places[e].name
		if name == "" {
			name = e.Name
		}
		return b.fail(pgerr.New(pgerr.GroupingError, `column "%s" must be used in an aggregate function`, name), b.places[e].pos)
	case expr.Parent:
		old := e.Children()
		if len(old) == 0 {
			return e
		}
		changed := make([]expr.Expr, len(old))
		for i, c := range old {
			changed[i] = b.aboveAggregates(c, pos)
		}
		return e.WithChildren(changed)
	}
	return e
}

// double makes the values of a series doubles.
func (b *binder) double(s *plan.Series, pos ast.Pos) {
	c := &s.Of
	switch s.Measure {
	case plan.MeasureAggregate:
	case plan.MeasurePerActor:
		c = &s.Outer
	default:
		return
	}
	if b.err != nil {
		return
	}
	if t := c.Type(); !t.IsNumber() {
		b.operatorError(pos, "", "a series must be a number, not %s", t)
		return
	}
	c.Value = b.cast(c.Value, vec.T(vec.Float8), pos, true, false)
}
