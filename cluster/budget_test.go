package cluster

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	b := newBudget(10)
	ctx := t.Context()
	if err := b.acquire(ctx, 1, 8); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	if err := b.acquire(short, 1, 8); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("acquire of 8 of 2: %v, want a deadline", err)
	}
	granted := make(chan error)
	go func() { granted <- b.acquire(ctx, 1, 100) }() // more than there is at all: waits for all
	b.release(8)
	if err := <-granted; err != nil {
		t.Error(err)
	}
	if b.used() != 10 {
		t.Errorf("used() = %d, want 10", b.used())
	}
	b.release(100)
	if b.used() != 0 || len(b.turns) != 0 || len(b.queues) != 0 {
		t.Errorf("used() = %d, %d projects wait, want none", b.used(), len(b.turns))
	}
}

// Two projects have many writers waiting and a third one comes last with one: each gets
// its share of bytes, whatever the sizes and however long the queues of the others are.
func TestBudgetIsFair(t *testing.T) {
	const large, small = turnBytes, turnBytes / 4
	b := newBudget(turnBytes)
	if err := b.acquire(t.Context(), 9, turnBytes); err != nil {
		t.Fatal(err)
	}
	type grant struct {
		project uint32
		bytes   int
	}
	grants := make(chan grant)
	enqueue := func(project uint32, bytes, count int) {
		for range count {
			before := waiters(b)
			go func() {
				if err := b.acquire(t.Context(), project, bytes); err != nil {
					t.Error(err)
				}
				grants <- grant{project, bytes}
			}()
			for waiters(b) == before { // it has its place
				time.Sleep(time.Microsecond)
			}
		}
	}
	enqueue(1, large, 40)
	enqueue(2, small, 160)
	enqueue(3, small, 1)
	b.release(turnBytes)
	got := map[uint32]int{}
	third := -1
	for i := range 201 {
		g := <-grants
		got[g.project] += g.bytes
		if g.project == 3 {
			third = i
		}
		if i == 49 {
			if d := got[1] - got[2]; d < -2*turnBytes || d > 2*turnBytes {
				t.Errorf("after 50 writers: project 1 got %d bytes, project 2 %d", got[1], got[2])
			}
		}
		b.release(g.bytes)
	}
	if third > 20 {
		t.Errorf("the one writer of project 3 was number %d", third)
	}
}

func waiters(b *budget) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, q := range b.turns {
		n += len(q.waiting)
	}
	return n
}
