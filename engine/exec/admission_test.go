package exec_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/exec/exectest"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// gate is a plan node that says when its first batch was taken, and gives the second when
// it may.
type gate struct {
	plan.Node
	batches []*vec.Batch
	reached chan struct{}
	open    chan struct{}
}

func (g *gate) Open() (exec.Operator, error) { return &gateReader{g: g}, nil }

type gateReader struct {
	g    *gate
	next int
}

func (r *gateReader) Close() error { return nil }

func (r *gateReader) Next(ctx context.Context) (*vec.Batch, error) {
	if r.next == len(r.g.batches)-1 {
		close(r.g.reached)
		select {
		case <-r.g.open:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if r.next == len(r.g.batches) {
		return nil, nil
	}
	r.next++
	return r.g.batches[r.next-1], nil
}

// runAdmitted runs a plan the way the engine's callers do.
func runAdmitted(ctx context.Context, a *exec.Admission, n plan.Node) error {
	running, account, err := a.Admit(ctx)
	if err != nil {
		return err
	}
	defer account.Close()
	_, err = exectest.Rows(running, n, &exec.Env{Expr: utc(), Threads: 1, Account: account})
	if cause := context.Cause(running); err != nil && cause != nil {
		return cause
	}
	return err
}

// A query that asks for more than there is ends the one that holds most, and goes on when
// that has given back what it held.
func TestTheLargestQueryEndsWhenMemoryIsUsedUp(t *testing.T) {
	budget := memory.NewBudget(20 << 20) // 7 MB for queries
	pool := budget.Pool(memory.Queries)
	admission := exec.NewAdmission(budget)
	types, batches := spillRows(rand.New(rand.NewPCG(1, 1)), 30_000)
	sort := func(g *gate) plan.Node {
		return &plan.Sort{Input: g, Keys: []plan.SortKey{{Expr: column(types, 0)}}}
	}
	newGate := func(batches []*vec.Batch) *gate {
		return &gate{exectest.Input(types, nil), batches, make(chan struct{}), make(chan struct{})}
	}
	large, small := newGate(batches), newGate(batches[:len(batches)/4])
	results := make(chan error, 2)
	go func() { results <- runAdmitted(t.Context(), admission, sort(large)) }()
	<-large.reached
	held := pool.Used()
	if held < 3<<20 {
		t.Fatalf("the large query has reserved %d bytes, want some megabytes", held)
	}
	pool.Add(pool.Size() - held - 256<<10) // as others would; the small query does not fit beside that
	small2 := make(chan error, 1)
	close(small.open)
	go func() { small2 <- runAdmitted(t.Context(), admission, sort(small)) }()
	err := <-results
	if err == nil || pgerr.Code(err) != pgerr.OutOfMemory || !strings.Contains(err.Error(), "more than any other") || pgerr.From(err).Hint == "" {
		t.Errorf("the large query ended with %v, want %s and a hint", err, pgerr.OutOfMemory)
	}
	if err := <-small2; err != nil {
		t.Errorf("the small query ended with %v, want its rows", err)
	}
	pool.Release(pool.Size() - held - 256<<10)
	if used := pool.Used(); used != 0 {
		t.Errorf("%d bytes are still reserved after all queries", used)
	}
}

func TestAQueryAloneFailsWhenMemoryIsUsedUp(t *testing.T) {
	budget := memory.NewBudget(6 << 20) // 2 MB for queries
	admission := exec.NewAdmission(budget)
	types, batches := spillRows(rand.New(rand.NewPCG(2, 1)), 30_000)
	n := &plan.Sort{Input: exectest.Input(types, batches), Keys: []plan.SortKey{{Expr: column(types, 0)}}}
	if err := runAdmitted(t.Context(), admission, n); err == nil || pgerr.Code(err) != pgerr.OutOfMemory {
		t.Errorf("a query larger than all memory ended with %v, want %s", err, pgerr.OutOfMemory)
	}
	if used := budget.Pool(memory.Queries).Used(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
}

func TestNewQueriesWaitUnderPressure(t *testing.T) {
	budget := memory.NewBudget(100 << 20)
	admission := exec.NewAdmission(budget)
	var waits atomic.Int64
	admission.OnWait(func() { waits.Add(1) })
	budget.Observe(99 << 20)
	_, first, err := admission.Admit(t.Context())
	if err != nil {
		t.Fatalf("a query that is alone must not wait: %v", err)
	}
	admitted := make(chan *exec.Account)
	go func() {
		_, acc, err := admission.Admit(t.Context())
		if err != nil {
			t.Error(err)
		}
		admitted <- acc
	}()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has gone")
	waited := make(chan error)
	go func() {
		_, _, err := admission.Admit(ctx)
		waited <- err
	}()
	for admission.Queued() < 2 {
		runtime.Gosched()
	}
	cancel(gone)
	if err := <-waited; !errors.Is(err, gone) {
		t.Errorf("a query whose client has gone waits: %v", err)
	}
	select {
	case <-admitted:
		t.Fatal("a second query starts under pressure")
	default:
	}
	budget.Observe(0)
	second := <-admitted
	if n := waits.Load(); n != 2 {
		t.Errorf("%d queries have waited, want 2", n)
	}
	first.Close()
	second.Close()
	if used := budget.Pool(memory.Queries).Used(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	budget := memory.NewBudget(100 << 20)
	admission := exec.NewAdmission(budget)
	budget.Observe(99 << 20)
	_, first, err := admission.Admit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	const queries = 40
	for range queries {
		go func() {
			_, _, err := admission.Admit(ctx)
			done <- err
		}()
	}
	refused := 0
	for range queries - 32 {
		if err := <-done; pgerr.Code(err) == pgerr.OutOfMemory {
			refused++
		}
	}
	if refused != queries-32 {
		t.Errorf("%d of %d queries were refused, want %d", refused, queries, queries-32)
	}
	cancel()
	for range 32 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestRelieveEndsTheLargestQuery(t *testing.T) {
	budget := memory.NewBudget(20 << 20)
	admission := exec.NewAdmission(budget)
	types, batches := spillRows(rand.New(rand.NewPCG(1, 1)), 30_000)
	g := &gate{exectest.Input(types, nil), batches, make(chan struct{}), make(chan struct{})}
	result := make(chan error)
	go func() {
		result <- runAdmitted(t.Context(), admission, &plan.Sort{Input: g, Keys: []plan.SortKey{{Expr: column(types, 0)}}})
	}()
	<-g.reached
	admission.Relieve() // there is no need
	budget.Observe(19 << 20)
	for range 3 {
		admission.Relieve() // that may pass
	}
	budget.Observe(0)
	admission.Relieve()
	budget.Observe(19 << 20)
	for range 3 {
		admission.Relieve()
	}
	select {
	case err := <-result:
		t.Fatalf("the query ended before it had to, with %v", err)
	default:
	}
	admission.Relieve()
	if err := <-result; err == nil || pgerr.Code(err) != pgerr.OutOfMemory {
		t.Errorf("the query ended with %v, want %s", err, pgerr.OutOfMemory)
	}
}
