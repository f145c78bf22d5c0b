package exec

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
)

// estimate is about how many rows a plan gives, from what the snapshot knows without
// reading: good enough to say which of two inputs is the smaller.
func estimate(n plan.Node, env *Env) (float64, error) {
	rows := 0.0
	for _, in := range n.Inputs() {
		r, err := estimate(in, env)
		if err != nil {
			return 0, err
		}
		if j, ok := n.(*plan.Join); ok {
			switch {
			case rows == 0:
				rows = r
			case j.Kind.LeftOnly():
				rows /= 2
			case len(j.LeftKeys) == 0:
				rows *= r
			default:
				rows = max(rows, r)
			}
			continue
		}
		rows += r
	}
	switch n := n.(type) {
	case *plan.Scan:
		return scanned(n, env)
	case *plan.Filter:
		return rows / 3, nil
	case *plan.Aggregate:
		if len(n.Keys) == 0 {
			return 1, nil
		}
		return rows / 4, nil
	case *plan.Distinct:
		return rows / 4, nil
	case *plan.Values:
		return float64(len(n.Rows)), nil
	case *plan.Limit:
		return fewer(rows, n.Limit), nil
	case *plan.TopN:
		return fewer(rows, n.Limit), nil
	case *plan.Spool:
		for _, b := range env.spooled[n.Slot].batches {
			rows += float64(b.Rows)
		}
		return rows, nil
	}
	if len(n.Inputs()) == 0 {
		return unknownRows, nil
	}
	return rows, nil
}

// unknownRows is assumed of what says nothing.
const unknownRows = 1000

func fewer(rows float64, limit expr.Expr) float64 {
	if c, ok := limit.(*expr.Const); ok && !c.Value.IsNull(0) {
		return min(rows, float64(c.Value.I64[0]))
	}
	return rows
}

// scanned is how many rows a scan reads at most.
func scanned(n *plan.Scan, env *Env) (float64, error) {
	rows := 0
	switch {
	case n.Table.System != "":
		rows = unknownRows
	case n.Table.Schema != nil:
		version := env.Snapshot.Tables().Table(n.Table.Schema.Table)
		if version == nil {
			return 0, nil // opening it says what is wrong
		}
		for _, p := range version.Pieces() {
			rows += p.Rows()
		}
	case n.Table.Name == "events":
		from, to, err := timeBounds(n.From, n.To, env)
		if err != nil {
			return 0, err
		}
		wanted := map[string]bool{}
		for _, e := range n.Events {
			wanted[e] = true
		}
		for _, seg := range env.Snapshot.Segments() {
			if seg.MaxTime() < from || seg.MinTime() >= to {
				continue
			}
			for _, rng := range seg.Ranges() {
				if n.Events == nil || wanted[rng.Event] {
					rows += rng.Hi - rng.Lo
				}
			}
		}
	case n.Table.Name == "sessions":
		rows = env.Snapshot.SessionCount()
	default:
		rows = env.Snapshot.Persons().Len()
	}
	return float64(rows), nil
}
