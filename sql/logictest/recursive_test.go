package logictest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
)

// TestRecursiveMemory has rows of a recursive query that do not fit, and many that do: what a
// run has read is given back.
func TestRecursiveMemory(t *testing.T) {
	d := open(t, false)
	d.memory = 1 << 20
	var e *pgerr.Error
	wide := "WITH RECURSIVE t(n, s) AS (SELECT 1, repeat('x', 1000) UNION ALL SELECT n + 1, s || g FROM t, generate_series(1, 2) g WHERE n < 12) SELECT count(*) FROM t"
	if _, err := d.Run(t, wide); !errors.As(err, &e) || e.Code != pgerr.OutOfMemory {
		t.Errorf("4 MB of rows in 1 MB: %v, want %s", err, pgerr.OutOfMemory)
	}
	long := "WITH RECURSIVE t(n, s) AS (SELECT 1, repeat('x', 1000) UNION ALL SELECT n + 1, s FROM t WHERE n < 4000) SELECT count(*) FROM t"
	if r, err := d.Run(t, long); err != nil || *r.Rows[0][0] != "4000" {
		t.Errorf("4 MB of rows, 1 kB of them at a time: %v, %v", r, err)
	}
}

// TestRecursiveCancel ends a recursive query that has no end.
func TestRecursiveCancel(t *testing.T) {
	d := open(t, false)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	d.ctx = ctx
	began := time.Now()
	_, err := d.Run(t, "WITH RECURSIVE t(n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
