package exec

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/memory"
)

func mustAdmit(t *testing.T, a *Admission) (context.Context, *Account) {
	t.Helper()
	ctx, acc, err := a.Admit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ctx, acc
}

// A query that was ended and whose client does not take the error keeps its memory: then
// the next one has to end.
func TestAQueryThatDoesNotEndIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(memory.NewBudget(20 << 20)) // 7 MB for queries
		idle, large := mustAdmit(t, a)
		_, small := mustAdmit(t, a)
		if err := large.grow(idle, 4<<20); err != nil {
			t.Fatal(err)
		}
		if err := small.grow(t.Context(), 2<<20); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := small.grow(t.Context(), 5<<20)
		if err == nil || pgerr.Code(err) != pgerr.OutOfMemory || time.Since(start) != endTimeout {
			t.Errorf("after %v the small query got %v, want %s after %v", time.Since(start), err, pgerr.OutOfMemory, endTimeout)
		}
		if cause := context.Cause(idle); cause == nil || pgerr.Code(cause) != pgerr.OutOfMemory {
			t.Errorf("the large query was ended with %v, want %s", cause, pgerr.OutOfMemory)
		}
		large.Close()
		if err := small.grow(t.Context(), 5<<20); err != nil {
			t.Errorf("with the large one gone: %v", err)
		}
		small.Close()
		if used := a.pool.Used(); used != 0 {
			t.Errorf("%d bytes are still reserved", used)
		}
	})
}

func TestTheQueueHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := memory.NewBudget(100 << 20)
		budget.Observe(99 << 20)
		a := NewAdmission(budget)
		_, first := mustAdmit(t, a)
		defer first.Close()
		start := time.Now()
		_, _, err := a.Admit(t.Context())
		if err == nil || !strings.Contains(err.Error(), "waited 10 seconds") || time.Since(start) != queueTimeout {
			t.Errorf("after %v a waiting query got %v, want an error after %v", time.Since(start), err, queueTimeout)
		}
	})
}

// What an account gives back, others can take at once.
func TestAccountsGiveBack(t *testing.T) {
	a := NewAdmission(memory.NewBudget(20 << 20))
	ctx, acc := mustAdmit(t, a)
	env := &Env{Account: acc}
	if err := env.hold(ctx, 6<<20); err != nil {
		t.Fatal(err)
	}
	if used := a.pool.Used(); used < 6<<20 {
		t.Fatalf("%d bytes are reserved, 6 MB are held", used)
	}
	env.release(5 << 20)
	if used := a.pool.Used(); used > 1<<20+2*accountStep {
		t.Errorf("%d bytes are reserved, 1 MB is held", used)
	}
	acc.Close()
	env.release(1 << 20) // late, as of an operator that is closed after its query
	if used := a.pool.Used(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
}
