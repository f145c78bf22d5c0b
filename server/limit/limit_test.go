package limit

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 28, 12, 30, 0, 0, time.UTC)} }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func exceeded(err error) (e *Exceeded) {
	errors.As(err, &e)
	return e
}

func project1(l storage.Limits) storage.Project { return storage.Project{ID: 1, Limits: l} }

// Ten seconds' worth may come at once; afterwards as much as the rate gives.
func TestEventRate(t *testing.T) {
	c := newClock()
	l := &Limiter{Now: c.now}
	p := project1(storage.Limits{EventsPerSecond: 10})
	for i := range 10 {
		if err := l.Events(p, 10); err != nil {
			t.Fatalf("batch %d of the burst: %v", i, err)
		}
	}
	e := exceeded(l.Events(p, 10))
	if e == nil || e.Reason != EventRate || e.Quota() || e.RetryAfter != time.Second {
		t.Fatalf("beyond the burst: %+v", e)
	}
	c.advance(time.Second)
	if err := l.Events(p, 10); err != nil {
		t.Errorf("a second later: %v", err)
	}
	c.advance(time.Minute)
	if err := l.Events(p, 500); err != nil { // five times the bucket
		t.Errorf("a large batch: %v", err)
	}
	if e := exceeded(l.Events(p, 1)); e == nil || e.RetryAfter != 41*time.Second {
		t.Errorf("after a large batch: %+v, want to wait 41 s", e)
	}
	if err := l.Events(storage.Project{ID: 2}, 1<<30); err != nil {
		t.Errorf("a project without limits: %v", err)
	}
}

func TestQuotas(t *testing.T) {
	c := newClock()
	used, asked := storage.Usage{}, 0
	l := &Limiter{Now: c.now, Usage: func(uint32, time.Time) storage.Usage { asked++; return used }}
	p := project1(storage.Limits{EventsPerMonth: 100, StoredBytes: 1000})
	for range 10 {
		if err := l.Events(p, 10); err != nil {
			t.Fatal(err)
		}
	}
	if e := exceeded(l.Events(p, 1)); e == nil || e.Reason != MonthEvents || !e.Quota() || e.RetryAfter != 0 {
		t.Errorf("the 101st event of a month: %+v", e)
	}
	if asked != 1 {
		t.Errorf("Usage was asked %d times in a second", asked)
	}
	c.advance(2 * time.Second) // they were duplicates
	if err := l.Events(p, 1); err != nil {
		t.Error(err)
	}
	used.Bytes = 1000
	c.advance(2 * time.Second)
	if e := exceeded(l.Events(p, 1)); e == nil || e.Reason != StoredBytes || !e.Quota() {
		t.Errorf("with as many bytes as allowed: %+v", e)
	}
}

// Questions beyond the number wait, first come first served; beyond the queue they are
// refused.
func TestQueries(t *testing.T) {
	l := &Limiter{Queries: 2, Queue: 2, QueueWait: time.Hour}
	p := project1(storage.Limits{})
	var releases []func(time.Duration)
	for range 2 {
		r, err := l.Query(t.Context(), p, "a", true)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, r)
	}
	type answer struct {
		name    string
		release func(time.Duration)
	}
	got := make(chan answer)
	waitFor := func(n int) {
		for {
			l.mu.Lock()
			now := len(l.projects[1].waiting)
			l.mu.Unlock()
			if now == n {
				return
			}
			runtime.Gosched() // the goroutine is on its way into the queue
		}
	}
	for i, name := range []string{"first", "second"} {
		go func() {
			r, err := l.Query(t.Context(), p, "a", true)
			if err != nil {
				t.Error(err)
			}
			got <- answer{name, r}
		}()
		waitFor(i + 1)
	}
	if e := exceeded(func() error { _, err := l.Query(t.Context(), p, "a", true); return err }()); e == nil || e.Reason != QueryQueue {
		t.Errorf("with a full queue: %+v", e)
	}
	if !l.Busy(p, "a") || l.Busy(storage.Project{ID: 2}, "a") {
		t.Error("the project whose places are taken is not busy, or another is")
	}
	if r, err := l.Query(t.Context(), storage.Project{ID: 2}, "a", true); err != nil {
		t.Errorf("another project: %v", err)
	} else {
		r(0)
	}
	releases[0](0)
	a := <-got
	if a.name != "first" {
		t.Errorf("%s got the place", a.name)
	}
	a.release(0)
	if a = <-got; a.name != "second" {
		t.Errorf("%s got the place", a.name)
	}
}

// Of questions that hold nothing more may wait, and these do not count for those that hold a state.
func TestQueueOfThoseThatHoldNothing(t *testing.T) {
	l := &Limiter{Queries: 1, Queue: 2, FreeQueue: 5, QueueWait: time.Hour}
	p := project1(storage.Limits{})
	if _, err := l.Query(t.Context(), p, "a", false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	enqueue := func(n int, holds bool) {
		l.mu.Lock()
		want := len(l.projects[1].waiting) + n
		l.mu.Unlock()
		for range n {
			all.Go(func() { l.Query(ctx, p, "a", holds) }) //nolint:errcheck // it is cancelled
		}
		for now := 0; now < want; runtime.Gosched() {
			l.mu.Lock()
			now = len(l.projects[1].waiting)
			l.mu.Unlock()
		}
	}
	full := func(holds bool) bool {
		_, err := l.Query(t.Context(), p, "a", holds)
		return exceeded(err) != nil
	}
	enqueue(4, false)
	enqueue(1, true)
	if !full(false) {
		t.Error("more wait that hold nothing than may")
	}
	enqueue(1, true)
	if !full(true) {
		t.Error("more wait that hold something than may")
	}
	cancel()
	all.Wait()
}

// Questions of a user beyond the number wait, and others overtake them.
func TestUserQueries(t *testing.T) {
	var waits []Reason
	l := &Limiter{Queries: 3, Queue: 1, QueueWait: time.Hour, Waited: func(r Reason) { waits = append(waits, r) }}
	p := project1(storage.Limits{UserQueries: 2})
	ask := func(user string) func(time.Duration) {
		t.Helper()
		r, err := l.Query(t.Context(), p, user, true)
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		return r
	}
	first := ask("a")
	ask("a")
	got := make(chan func(time.Duration))
	go func() { got <- ask("a") }()
	for waiting := 0; waiting == 0; runtime.Gosched() {
		l.mu.Lock()
		waiting = len(l.projects[1].waiting)
		l.mu.Unlock()
	}
	if _, err := l.Query(t.Context(), p, "a", true); exceeded(err) == nil || exceeded(err).Reason != UserQueue || exceeded(err).Detail != "2 queries of the user are running, and 1 of the project are waiting" {
		t.Errorf("with a full queue: %v", err)
	}
	if !l.Busy(p, "a") || l.Busy(p, "b") {
		t.Error("the user with all places is not busy, or another is")
	}
	other := ask("b")
	if _, err := l.Query(t.Context(), p, "b", true); exceeded(err) == nil || exceeded(err).Reason != QueryQueue {
		t.Errorf("of a project with all its places taken: %v", err)
	}
	other(0) // of no use to those of the first user
	select {
	case <-got:
		t.Error("a user has three places of two")
	default:
	}
	first(0)
	(<-got)(0)
	if len(waits) != 1 || waits[0] != UserQueue {
		t.Errorf("waited for %q", waits)
	}
}

func TestQueueGivesUp(t *testing.T) {
	l := &Limiter{Queue: 5, QueueWait: time.Millisecond}
	p := project1(storage.Limits{Queries: 1})
	release, err := l.Query(t.Context(), p, "a", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Query(t.Context(), p, "a", true); exceeded(err) == nil {
		t.Errorf("after the time in the queue: %v", err)
	}
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := l.Query(ctx, p, "a", true); !errors.Is(err, gone) && exceeded(err) == nil {
		t.Errorf("of a client that has gone: %v", err)
	}
	release(0)
	if release, err = l.Query(t.Context(), p, "a", true); err != nil {
		t.Errorf("a place that nobody has any more: %v", err)
	}
	release(0)
}

func TestQuerySeconds(t *testing.T) {
	c := newClock()
	l := &Limiter{Now: c.now}
	p := project1(storage.Limits{QuerySecondsPerHour: 10})
	for range 2 {
		release, err := l.Query(t.Context(), p, "a", true)
		if err != nil {
			t.Fatal(err)
		}
		release(5 * time.Second)
	}
	if _, err := l.Query(t.Context(), p, "a", true); exceeded(err) == nil || exceeded(err).RetryAfter != 30*time.Minute {
		t.Errorf("after 10 s: %+v, want to wait 30 min", exceeded(err))
	}
	c.advance(30 * time.Minute)
	if _, err := l.Query(t.Context(), p, "a", true); err != nil {
		t.Errorf("in the next hour: %v", err)
	}
}
