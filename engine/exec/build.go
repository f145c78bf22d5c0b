package exec

import (
	"fmt"

	"github.com/prickledb/prickle/engine/plan"
)

// Opener is a plan node that brings its operator: a way for tests to put batches of any
// shape below another.
type Opener interface{ Open() (Operator, error) }

// Build makes the operator of a plan node. Everything it opens is closed by the
// operator's Close.
func Build(n plan.Node, env *Env) (Operator, error) {
	op, err := build(n, env)
	if err != nil {
		return nil, err
	}
	if st := env.Stats.Node(n); st != nil {
		op = &analyzed{op, st, len(n.Schema())}
	}
	return op, nil
}

func build(n plan.Node, env *Env) (Operator, error) {
	switch n := n.(type) {
	case *plan.Scan, *plan.Filter, *plan.Project:
		return buildPipeline(n, env)
	case *plan.Join:
		if n.Kind.Asof() {
			return newAsof(n, env)
		}
		return buildPipeline(n, env)
	case *plan.Aggregate:
		return newAggregate(n, env)
	case *plan.Union:
		return newUnion(n, env)
	case *plan.Window:
		return newWindowAgg(n, env)
	case *plan.Expand:
		return newExpand(n, env)
	case *plan.Repeat:
		return newRepeat(n, env)
	case *plan.Setup:
		return &setup{node: n, env: env}, nil
	case *plan.Recursive:
		return newRecursive(n, env), nil
	case *plan.Spool:
		return newSpool(n, env)
	case *plan.Cohort:
		return newCohort(n, env)
	case *plan.Sort:
		return newSort(n, env)
	case *plan.TopN:
		return newTopN(n, env)
	case *plan.Fetch:
		return newFetch(n, env)
	case *plan.Limit:
		return newLimit(n, env)
	case *plan.Distinct:
		return newDistinct(n, env)
	case *plan.Read:
		return newRead(n, env)
	case *plan.Values:
		return &values{node: n, env: env}, nil
	case *plan.Funnel:
		if handsOut(n) {
			return buildPipeline(n, env)
		}
		return newFunnel(n, env)
	case *plan.Retention:
		return newRetention(n, env)
	case *plan.Paths:
		return newPaths(n, env)
	case *plan.Lifecycle:
		return newLifecycle(n, env)
	case *plan.Stickiness:
		return newStickiness(n, env)
	case *plan.Trends:
		return newTrends(n, env)
	}
	if o, ok := n.(Opener); ok {
		return o.Open()
	}
	return nil, fmt.Errorf("plan node %T has no operator", n)
}
