package logictest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
)

// TestCohortMemory computes a set that does not fit, and one that does.
func TestCohortMemory(t *testing.T) {
	d := open(t, true)
	var lines strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, "person%d open 2026-01-01T10:00:00Z\n", i)
	}
	if err := d.Load(t, lines.String()); err != nil {
		t.Fatal(err)
	}
	const large = "SELECT count(*) FROM events WHERE distinct_id IN COHORT (SELECT distinct_id FROM events)"
	d.memory = 64 << 10
	var e *pgerr.Error
	if _, err := d.Run(t, large); !errors.As(err, &e) || e.Code != pgerr.OutOfMemory {
		t.Errorf("a set of 5000 texts in 64 KiB: %v, want %s", err, pgerr.OutOfMemory)
	}
	// One bit a person does fit, and so does what is put together of such sets.
	for _, set := range []string{"SELECT person_id FROM events", "(SELECT person_id FROM events) INTERSECT (SELECT person_id FROM events WHERE event = 'open')"} {
		r, err := d.Run(t, "SELECT count(*) FROM events WHERE person_id IN COHORT ("+set+")")
		if err != nil {
			t.Errorf("%s: %v", set, err)
		} else if got := *r.Rows[0][0]; got != "5000" {
			t.Errorf("%s: %s events, want 5000", set, got)
		}
	}
	d.memory = 0
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.ctx = ctx
	if _, err := d.Run(t, large); !errors.Is(err, context.Canceled) {
		t.Errorf("after the client has gone: %v", err)
	}
}
