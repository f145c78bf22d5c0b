package memory

import (
	"sync"
	"sync/atomic"
)

// Use is what memory is for.
type Use int

// The uses.
const (
	Memtables Use = iota // rows that no segment holds yet, and the images that queries read
	Decoded              // decoded parts of segments
	Queries              // what running queries hold
	Traffic              // log cache, requests and answers on their way
	Uses                 // how many there are
)

// shares is each use's part of the budget, in percent.
var shares = [Uses]int64{Memtables: 30, Decoded: 25, Queries: 35, Traffic: 10}

// String is the name of the use in metrics.
func (u Use) String() string {
	return [Uses]string{"memtables", "decoded", "queries", "traffic"}[u]
}

// Level says which measures a budget asks for. Each includes those before it.
type Level int

// The levels.
const (
	Calm Level = iota
	Shrink
	Queue
	Kill
	Refuse
)

// thresholds is from which part of the budget on a level holds, in percent. Above the last
// there is what garbage collection needs to keep up.
var thresholds = [...]int64{Shrink: 80, Queue: 88, Kill: 93, Refuse: 97}

// Budget is the memory of a process, in bytes, divided into pools. It may be used by many
// goroutines.
type Budget struct {
	total int64
	pools [Uses]Pool
	used  atomic.Int64 // of all pools
	heap  atomic.Int64 // as observed; 0: never
}

// NewBudget divides total bytes.
func NewBudget(total int64) *Budget {
	b := &Budget{total: total}
	for u := range Uses {
		b.pools[u].budget, b.pools[u].size = b, total*shares[u]/100
	}
	return b
}

// Pool is a use's part.
func (b *Budget) Pool(u Use) *Pool {
	if b == nil {
		return nil
	}
	return &b.pools[u]
}

// Total is the bytes of the budget.
func (b *Budget) Total() int64 {
	if b == nil {
		return 0
	}
	return b.total
}

// Observe says how many bytes of the heap are in use. The level follows the heap where
// that is more than what was counted.
func (b *Budget) Observe(heap int64) {
	if b != nil {
		b.heap.Store(heap)
	}
}

// Level is how full the budget is now.
func (b *Budget) Level() Level {
	if b == nil {
		return Calm
	}
	used := max(b.used.Load(), b.heap.Load())
	level := Calm
	for l := Shrink; l <= Refuse; l++ {
		if used >= b.total/100*thresholds[l] {
			level = l
		}
	}
	return level
}

// Pool is the memory of one use. It may be used by many goroutines.
type Pool struct {
	budget *Budget
	size   int64

	mu      sync.Mutex
	used    int64
	peak    int64
	changed chan struct{} // closed at the next release; nil while nobody waits
}

// Size is the bytes of the pool; 0 of a nil one.
func (p *Pool) Size() int64 {
	if p == nil {
		return 0
	}
	return p.size
}

// Used is how many bytes are taken.
func (p *Pool) Used() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Peak is the most bytes that were ever taken at once.
func (p *Pool) Peak() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// TryReserve takes bytes if there are as many.
func (p *Pool) TryReserve(bytes int64) bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used+bytes > p.size {
		return false
	}
	p.take(bytes)
	return true
}

// Changed is closed when bytes are released from now on.
func (p *Pool) Changed() <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// Add takes bytes that are there already, even beyond the pool. A negative number gives
// them back.
func (p *Pool) Add(bytes int64) {
	if p == nil || bytes == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take(bytes)
	if bytes < 0 && p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// take counts. The caller holds mu.
func (p *Pool) take(bytes int64) {
	p.used += bytes
	p.peak = max(p.peak, p.used)
	p.budget.used.Add(bytes)
}

// Release gives bytes back.
func (p *Pool) Release(bytes int64) { p.Add(-bytes) }
