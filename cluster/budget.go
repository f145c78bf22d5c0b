package cluster

import (
	"context"
	"slices"
	"sync"
)

// budget is a number of bytes shared by writers. While there is not enough for all, the
// projects that wait take turns, each with as many bytes as the others (deficit round
// robin; Shreedhar and Varghese, 1995), so that one with a flood of writes does not hold up
// one with few. Writers of one project are served first come first served.
type budget struct {
	size int

	mu     sync.Mutex
	free   int
	queues map[uint32]*queue // of projects that wait
	turns  []*queue          // the same, in the order of their turns
}

// queue is the writers of one project that wait.
type queue struct {
	project uint32
	credit  int // bytes it may still take in its turn
	waiting []*waiter
}

type waiter struct {
	bytes int
	ready chan struct{}
}

// turnBytes is what a project may take before it is another's turn: an entry of usual size.
const turnBytes = 256 << 10

func newBudget(size int) *budget {
	return &budget{size: size, free: size, queues: map[uint32]*queue{}}
}

// acquire waits for room. A request for more than there is gets all there is.
func (b *budget) acquire(ctx context.Context, project uint32, bytes int) error {
	bytes = min(bytes, b.size)
	b.mu.Lock()
	if len(b.turns) == 0 && b.free >= bytes {
		b.free -= bytes
		b.mu.Unlock()
		return nil
	}
	q := b.queues[project]
	if q == nil {
		q = &queue{project: project}
		b.queues[project] = q
		b.turns = append(b.turns, q)
	}
	w := &waiter{bytes, make(chan struct{})}
	q.waiting = append(q.waiting, w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		if len(q.waiting) == 0 {
			b.leave(q)
		}
		b.wake()
	}
	b.mu.Unlock()
	if i < 0 {
		b.release(bytes) // it was granted in the meantime
	}
	return ctx.Err()
}

func (b *budget) release(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += min(bytes, b.size)
	b.wake()
}

// wake lets writers in, by turns, as far as bytes go. mu is held.
func (b *budget) wake() {
	for len(b.turns) > 0 {
		q := b.turns[0]
		w := q.waiting[0]
		if b.free < w.bytes {
			return // nobody overtakes: a large one would never get in
		}
		if q.credit < w.bytes && len(b.turns) > 1 {
			q.credit += turnBytes
			b.turns = append(b.turns[1:], q)
			continue
		}
		b.free -= w.bytes
		q.credit = max(0, q.credit-w.bytes)
		close(w.ready)
		if q.waiting = q.waiting[1:]; len(q.waiting) == 0 {
			b.leave(q)
		}
	}
}

// leave takes a project without writers out of the turns. mu is held.
func (b *budget) leave(q *queue) {
	delete(b.queues, q.project)
	b.turns = slices.DeleteFunc(b.turns, func(other *queue) bool { return other == q })
}

func (b *budget) used() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size - b.free
}
