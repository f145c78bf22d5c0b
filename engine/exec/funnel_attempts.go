package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// handsOut says whether attempts can be handed out as they are found: nothing is asked of them
// together.
func handsOut(n *plan.Funnel) bool {
	return n.Output == plan.OutputActors && !n.Compatible && n.Breakdown == nil && len(n.Steps) <= maxSteps
}

// funnelBlocks is a funnel with OUTPUT ACTORS whose attempts are handed out as they are found.
type funnelBlocks struct{ *funnel }

func (a funnelBlocks) begin(ctx context.Context) (actors, error) {
	err := a.prepare(ctx)
	return a.actors, err
}

func (a funnelBlocks) walks() func(context.Context, *block) ([]uint32, []*vec.Vector, error) {
	w := newWalker(a.funnel, 1, nil)
	return func(ctx context.Context, b *block) ([]uint32, []*vec.Vector, error) {
		found := w.tally(0)
		found.empty()
		err := w.block(ctx, b)
		who, cols := a.actorColumns(found.pieces)
		return who, cols, err
	}
}
