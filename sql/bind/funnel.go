package bind

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
)

// maxSteps is how many steps a funnel may have: one bit of a word each.
const maxSteps = 64

func (b *binder) funnel(f *ast.Funnel) plan.Node {
	empty := &plan.Values{}
	src, sc := b.source(&f.Common, "FUNNEL", f.Pos(), true)
	if b.err != nil {
		return empty
	}
	n := &plan.Funnel{Source: src}
	if len(f.Steps) == 0 {
		b.operatorError(f.Pos(), "Write, for example, FUNNEL(STEPS (a: event = 'x', b: event = 'y')).", "FUNNEL needs STEPS")
		return empty
	}
	if len(f.Steps) > maxSteps {
		b.fail(pgerr.New(pgerr.TooManySteps, "a funnel can have at most %d steps, not %d", maxSteps, len(f.Steps)), f.Steps[maxSteps].Pos())
		return empty
	}
	for i := range f.Steps {
		st := &f.Steps[i]
		for _, before := range n.Steps {
			if before.Name == st.Name.Name {
				b.operatorError(st.Pos(), "", `two steps have the name "%s"`, st.Name.Name)
			}
		}
		if st.Optional {
			b.unsupported("OPTIONAL", st.Pos())
		}
		if st.Within != nil {
			b.unsupported("WITHIN of a single step", st.Within.Pos())
		}
		cond := b.condition(b.expr(st.Cond, sc.in("STEPS", nil)), "STEPS", st.Cond.Pos())
		n.Steps = append(n.Steps, plan.Step{Name: st.Name.Name, Cond: cond})
	}
	if f.Within != nil {
		w := b.span(f.Within, "WITHIN")
		n.Within = &w
	}
	switch f.Mode {
	case ast.ModeStrict:
		b.unsupported("MODE STRICT", f.Pos())
	case ast.ModeUnordered:
		b.unsupported("MODE UNORDERED", f.Pos())
	}
	switch f.Entry {
	case ast.EntryFirst:
		n.Entry = plan.EntryFirst
	case ast.EntryEvery:
		b.unsupported("ENTRY EVERY", f.Pos())
	case ast.EntryEach:
		b.unsupported("ENTRY EACH", f.Pos())
	}
	if len(f.Holding) > 0 {
		b.unsupported("HOLDING", f.Holding[0].Pos())
	}
	if len(f.Exclude) > 0 {
		b.unsupported("EXCLUDE", f.Exclude[0].Pos())
	}
	switch f.Output {
	case ast.OutputDefault, ast.OutputSteps:
	case ast.OutputActors:
		n.Output = plan.OutputActors
	case ast.OutputTrend:
		pos := f.Pos()
		if f.TrendBucket != nil {
			pos = f.TrendBucket.Pos()
		}
		b.unsupported("OUTPUT TREND", pos)
	default:
		b.operatorError(f.Pos(), "A funnel has OUTPUT STEPS and OUTPUT ACTORS.", "FUNNEL has no such OUTPUT")
	}
	if br := f.Breakdown; br != nil && br.Attribute == ast.AttributeStep {
		n.Breakdown.Step = -1
		var names []string
		for i := range n.Steps {
			names = append(names, n.Steps[i].Name)
			if n.Steps[i].Name == br.Step.Name {
				n.Breakdown.Step = i
			}
		}
		if n.Breakdown.Step < 0 {
			hint := ""
			if near := nearest(br.Step.Name, names); near != "" {
				hint = `Perhaps you meant "` + near + `".`
			}
			b.operatorError(br.Step.Pos(), hint, `there is no step "%s"`, br.Step.Name)
		}
	}
	if b.err != nil {
		return empty
	}
	return n
}
