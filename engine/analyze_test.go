package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/exec/exectest"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// EXPLAIN ANALYZE says which node spilled how much.
func TestAnalyzeSaysWhatWasSpilled(t *testing.T) {
	int8Type := vec.T(vec.Int8)
	b := &vec.Batch{Rows: 3, Cols: []*vec.Vector{{Type: int8Type, I64: []int64{3, 1, 2}}}}
	n := &plan.Sort{Input: exectest.Input([]vec.Type{int8Type}, []*vec.Batch{b}), Keys: []plan.SortKey{{Expr: &expr.Column{T: int8Type}}}}
	for _, spilled := range []bool{false, true} {
		env := &engine.Env{Expr: &expr.Context{Location: time.UTC}, SpillAt: 1}
		if spilled {
			dir, err := engine.OpenSpillDir(vfs.NewMem(), "tmp", 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			env.Spill = dir
		}
		opt, err := engine.Analyze(t.Context(), n, env)
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, d := range opt.Actual(n).Details {
			said = said || d.Label == "Spilled" && strings.HasSuffix(d.Value, " bytes")
		}
		if said != spilled {
			t.Errorf("with spilling %v, the details are %v", spilled, opt.Actual(n).Details)
		}
	}
}
