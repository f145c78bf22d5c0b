package exec

import (
	"testing"
	"unsafe"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// Whoever looks at the memory of a batch that is gone sees it.
func init() { vec.SpoilArenas = true }

// A scan that lends makes its batches of the same memory, and one that does not of other memory each time.
func TestLend(t *testing.T) {
	sn, _ := storeOfNames(t, 300)
	for _, lends := range []bool{false, true} {
		sc := eventsScan()
		env := testEnv(0)
		env.Snapshot, env.Threads, env.Disabled = sn, 1, []string{plan.JoinedRanges}
		source, err := newScanSource(sc, env)
		if err != nil {
			t.Fatal(err)
		}
		op := &filter{input: newScan(source, nil), cond: scanColumn(colTime), env: env}
		if lends {
			lend(op)
		}
		batches, places := 0, map[*int64]bool{}
		for {
			b, err := op.input.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			batches++
			places[unsafe.SliceData(b.Cols[colTime].I64)] = true
		}
		if batches < 100 || lends && len(places) > batches/10 || !lends && len(places) != batches {
			t.Errorf("lends: %v; %d batches have their times in %d places", lends, batches, len(places))
		}
	}
}
