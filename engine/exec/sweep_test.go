package exec

import (
	"context"
	"errors"
	"math/rand"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// The lists of actors are memory of the query: they fail at its bound, and are given back.
func TestListsOfActorsAreAccountedFor(t *testing.T) {
	st := randomStore(t, rand.New(rand.NewSource(4)))
	defer st.Close()
	text := func(s string) *vec.Vector {
		return &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(s)}
	}
	src := plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Tie: scanColumn(colUUID)}
	strict := &plan.Funnel{Source: src, Mode: plan.Strict, Output: plan.OutputActors,
		Steps: []plan.Step{{Name: "a", Cond: equals(t, colEvent, text("a"))}, {Name: "b", Cond: equals(t, colEvent, text("b"))}}}
	paths := &plan.Paths{Source: src, Node: scanColumn(colEvent), Gap: vec.IntervalValue{Days: 1}}
	for _, n := range []plan.Node{strict, paths} {
		run := func(ctx context.Context, memory int64) (*Env, error) {
			sn, err := st.Snapshot(1)
			if err != nil {
				t.Fatal(err)
			}
			defer sn.Release()
			env := testEnv(0)
			env.Snapshot, env.Memory = sn, memory
			op, err := Build(n, env)
			if err != nil {
				t.Fatal(err)
			}
			_, err = op.Next(ctx)
			if err := op.Close(); err != nil {
				t.Fatal(err)
			}
			return env, err
		}
		env, err := run(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if n == plan.Node(strict) && env.held.Load() != 0 {
			t.Errorf("%T: %d bytes are still held", n, env.held.Load())
		}
		if _, err := run(t.Context(), 2000); pgerr.Code(err) != pgerr.OutOfMemory {
			t.Errorf("%T with 2000 bytes: %v, want %s", n, err, pgerr.OutOfMemory)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := run(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%T: %v, want it cancelled", n, err)
		}
	}
}
