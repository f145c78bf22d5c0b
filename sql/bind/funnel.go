package bind

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
)

// maxSteps is how many steps a funnel may have, and how many exclusions: one bit of a word
// each, with one to spare.
const (
	maxSteps      = 64
	maxExclusions = 63
)

// funnelBinder binds one FUNNEL.
type funnelBinder struct {
	*binder
	f  *ast.Funnel
	n  *plan.Funnel
	sc *scope
}

func (b *binder) funnel(f *ast.Funnel) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&f.Common, "FUNNEL", f.Pos(), true)
	if b.err != nil {
		return empty
	}
	if len(f.Steps) == 0 {
		b.operatorError(f.Pos(), "Write, for example, FUNNEL(STEPS (a: event = 'x', b: event = 'y')).", "FUNNEL needs STEPS")
		return empty
	}
	if len(f.Steps) > maxSteps {
		b.fail(pgerr.New(pgerr.TooManySteps, "a funnel can have at most %d steps, not %d", maxSteps, len(f.Steps)), f.Steps[maxSteps].Pos())
		return empty
	}
	fb := &funnelBinder{binder: b, f: f, n: &plan.Funnel{Source: src}, sc: sc}
	for i := range f.Steps {
		fb.step(&f.Steps[i])
	}
	fb.mode()
	fb.exclusions()
	fb.output()
	fb.attribution()
	if f.Compatible {
		fb.compatible()
	} else {
		fb.plain()
	}
	if b.err != nil {
		return empty
	}
	return fb.n
}

func (b *funnelBinder) step(st *ast.Step) {
	n := b.n
	for _, before := range n.Steps {
		if before.Name == st.Name.Name {
			b.operatorError(st.Pos(), "", `two steps have the name "%s"`, st.Name.Name)
		}
	}
	out := plan.Step{Name: st.Name.Name, Optional: st.Optional}
	out.Cond = b.stepCondition(st.Cond, "STEPS")
	if st.First {
		if out.First = out.Cond; st.FirstOf != nil {
			out.First = b.stepCondition(st.FirstOf, "FIRST EVER OF")
		}
		if i := b.sc.rel.find("person_id"); i >= 0 && n.Person == nil {
			n.Person = b.settle(b.column(b.sc.rel, i, st.Pos()))
		}
	}
	if st.Within != nil && !b.f.Compatible {
		w := b.span(st.Within, "WITHIN")
		out.Within = &w
	}
	if st.Optional && len(n.Steps) == 0 && b.f.Mode != ast.ModeUnordered {
		b.operatorError(st.Pos(), "An attempt begins with the first step.", "the first step of a funnel cannot be OPTIONAL")
	}
	n.Steps = append(n.Steps, out)
}

func (b *funnelBinder) stepCondition(e ast.Expr, clause string) expr.Expr {
	return b.condition(b.expr(e, b.sc.in(clause, nil)), clause, e.Pos())
}

// mode binds WITHIN, MODE and ENTRY.
func (b *funnelBinder) mode() {
	f, n := b.f, b.n
	if f.Within != nil {
		w := b.span(f.Within, "WITHIN")
		n.Within = &w
	}
	switch f.Mode {
	case ast.ModeStrict:
		n.Mode = plan.Strict
	case ast.ModeUnordered:
		n.Mode = plan.Unordered
	}
	switch f.Entry {
	case ast.EntryFirst:
		n.Entry = plan.EntryFirst
	case ast.EntryEvery:
		n.Entry = plan.EntryEvery
	case ast.EntryEach:
		n.Entry = plan.EntryEach
	}
	for _, h := range f.Holding {
		e := b.value(h, b.sc.in("HOLDING", nil))
		n.Holding = append(n.Holding, b.coerce(e, firstKnown(e.Type()), h.Pos()))
	}
}

func (b *funnelBinder) exclusions() {
	if len(b.f.Exclude) > maxExclusions {
		b.fail(pgerr.New(pgerr.TooManySteps, "a funnel can have at most %d exclusions, not %d", maxExclusions, len(b.f.Exclude)), b.f.Exclude[maxExclusions].Pos())
		return
	}
	for i := range b.f.Exclude {
		x := &b.f.Exclude[i]
		out := plan.Exclusion{Cond: b.stepCondition(x.Cond, "EXCLUDE"), Before: -1, Drop: x.As == ast.ExcludeDrop}
		if b.f.Compatible {
			out.Before = len(b.n.Steps) - 1
		}
		if x.After != nil {
			out.After = b.stepNamed(x.After)
		}
		if x.Before != nil {
			out.Before = b.stepNamed(x.Before)
		}
		if b.err == nil && out.Before >= 0 && out.After >= out.Before {
			b.operatorError(x.Pos(), "AFTER names the earlier step.", "the exclusion ends before it begins")
		}
		b.n.Exclude = append(b.n.Exclude, out)
	}
}

func (b *funnelBinder) output() {
	f, n := b.f, b.n
	switch f.Output {
	case ast.OutputDefault, ast.OutputSteps:
	case ast.OutputActors:
		n.Output = plan.OutputActors
	case ast.OutputTrend:
		n.Output = plan.OutputTrend
		n.Trend = &plan.Trend{Every: b.unit(f.TrendBucket, "TREND BY"), Actors: f.TrendActors, To: -1}
		if f.Compatible {
			n.Trend.To = len(n.Steps) - 1
		}
		if f.TrendFrom != nil && f.TrendTo != nil {
			n.Trend.From, n.Trend.To = b.stepNamed(f.TrendFrom), b.stepNamed(f.TrendTo)
			if b.err == nil && n.Trend.From >= n.Trend.To {
				b.operatorError(f.TrendFrom.Pos(), "FROM names the earlier step.", "the trend ends before it begins")
			}
		}
	default:
		b.operatorError(f.Pos(), "A funnel has OUTPUT STEPS, ACTORS and TREND.", "FUNNEL has no such OUTPUT")
	}
}

// attribution binds the step of ATTRIBUTE STEP.
func (b *funnelBinder) attribution() {
	if br := b.f.Breakdown; br != nil && br.Attribute == ast.AttributeStep {
		b.n.Breakdown.Step = b.stepNamed(&br.Step)
	}
}

// stepNamed is the position of a step.
func (b *funnelBinder) stepNamed(id *ast.Ident) int {
	var names []string
	for i := range b.n.Steps {
		if b.n.Steps[i].Name == id.Name {
			return i
		}
		names = append(names, b.n.Steps[i].Name)
	}
	hint := ""
	if near := nearest(id.Name, names); near != "" {
		hint = `Perhaps you meant "` + near + `".`
	}
	b.operatorError(id.Pos(), hint, `there is no step "%s"`, id.Name)
	return 0
}

// compatible checks what the rules of the insight queries do not allow.
func (b *funnelBinder) compatible() {
	f, n := b.f, b.n
	refuse := func(pos ast.Pos, what string) {
		b.operatorError(pos, "The rules of the insight queries know no such clause.", "%s cannot be used with COMPATIBLE", what)
	}
	for i := range f.Steps {
		st := &f.Steps[i]
		if st.Within != nil {
			refuse(st.Within.Pos(), "WITHIN of a single step")
		}
		if st.Optional && n.Mode == plan.Unordered {
			refuse(st.Pos(), "OPTIONAL in MODE UNORDERED")
		}
		if st.Optional && n.Output == plan.OutputTrend {
			refuse(st.Pos(), "OPTIONAL in OUTPUT TREND")
		}
	}
	if n.Within != nil && n.Within.Months != 0 {
		b.operatorError(f.Within.Pos(), "Write a month as 31 days.", "WITHIN must have a fixed length with COMPATIBLE")
	}
	if f.Entry != ast.EntryDefault {
		refuse(f.Pos(), "ENTRY")
	}
	if len(f.Holding) > 0 {
		refuse(f.Holding[0].Pos(), "HOLDING")
	}
	for i := range f.Exclude {
		if x := &f.Exclude[i]; x.As != ast.ExcludeDefault {
			refuse(x.Pos(), "AS DISCARD and AS DROP")
		} else if y := n.Exclude[i]; n.Mode == plan.Unordered && (y.After > 0 || y.Before < len(n.Steps)-1) {
			refuse(x.Pos(), "an exclusion between some steps in MODE UNORDERED")
		}
	}
	if by := n.Breakdown; by != nil && by.Attribute == plan.AttributeStep && by.Step > 0 && n.Mode == plan.Unordered {
		refuse(f.Breakdown.Pos(), "ATTRIBUTE STEP with another than the first step in MODE UNORDERED")
	}
}

// plain checks what the plain meaning does not allow.
func (b *funnelBinder) plain() {
	f, n := b.f, b.n
	for i := range f.Steps {
		st := &f.Steps[i]
		if st.First {
			b.operatorError(st.Pos(), "", "FIRST EVER can only be used with COMPATIBLE")
		}
		if st.Within != nil && i == 0 {
			b.operatorError(st.Within.Pos(), "WITHIN after a step is the time since the step before.", "the first step of a funnel cannot have a WITHIN of its own")
		}
	}
	if n.Required() == 0 {
		b.operatorError(f.Steps[0].Pos(), "An attempt converts when it has done all steps that are not OPTIONAL.", "the steps of a funnel cannot all be OPTIONAL")
	}
	if n.Mode != plan.Unordered {
		return
	}
	refuse := func(pos ast.Pos, what string) {
		b.operatorError(pos, "Its steps come in any order, so that none is before another.", "%s cannot be used in MODE UNORDERED", what)
	}
	for i := range f.Steps {
		if w := f.Steps[i].Within; w != nil {
			refuse(w.Pos(), "WITHIN of a single step")
		}
	}
	for i := range f.Exclude {
		if x := &f.Exclude[i]; x.After != nil {
			refuse(x.After.Pos(), "AFTER")
		} else if x.Before != nil {
			refuse(x.Before.Pos(), "BEFORE")
		}
	}
	if f.TrendFrom != nil {
		refuse(f.TrendFrom.Pos(), "FROM a step TO a step")
	}
}
