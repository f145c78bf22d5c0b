package exec

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/memory"
)

// hold accounts for bytes that an operator keeps, before it goes on. It fails when the
// statement would hold more than it may, and waits while another one has to give memory
// back first. What a failed call asked for counts as held, as after any other.
func (env *Env) hold(ctx context.Context, bytes int64) error {
	held := env.statement().held.Add(bytes)
	env.Progress.hold(held)
	if bytes <= 0 {
		env.Account.shrink(held)
		return nil
	}
	if env.Memory > 0 && held > env.Memory {
		return pgerr.New(pgerr.OutOfMemory, "out of memory: the query needs more than %s", sizeText(env.Memory)).
			WithHint("Narrow the time range, group by fewer values, or raise work_mem.")
	}
	return env.Account.grow(ctx, held)
}

// hold notes that the statement holds so many bytes.
func (p *Progress) hold(held int64) {
	if p == nil {
		return
	}
	for most := p.Memory.Load(); held > most && !p.Memory.CompareAndSwap(most, held); most = p.Memory.Load() {
	}
}

// release gives back bytes that hold accounted for.
func (env *Env) release(bytes int64) { env.Account.shrink(env.statement().held.Add(-bytes)) }

// share is how many bytes the query has to itself while others run; 0 means no limit.
func (env *Env) share() int64 {
	share := env.Memory
	if n := env.Account.share(); n > 0 && (share == 0 || n < share) {
		share = n
	}
	return share
}

// A query begins to spill at half of its share: sorting what it holds, or writing it, takes
// memory as well. An operator that holds next to nothing of it keeps that: tiny pieces
// would not help. What has its size from the beginning, and stays, goes to files if it is half of that.
const (
	spillShare = 2
	spillLeast = 32
	largeShare = 2
)

// crowded says whether an operator that holds so many bytes should spill them.
func (env *Env) crowded(own int64) bool { return env.crowdedBy(own, 0) }

// crowdedBy is crowded with so many bytes of these that are not accounted for yet.
func (env *Env) crowdedBy(own, more int64) bool {
	limit := env.spillLimit()
	return limit > 0 && env.statement().held.Load()+more > limit && own > limit/spillLeast
}

// spillLimit is how many bytes the query may hold before operators spill; 0 means that they do not.
func (env *Env) spillLimit() int64 {
	switch {
	case env.Spill == nil:
		return 0
	case env.SpillAt > 0:
		return env.SpillAt
	}
	limit := env.share() / spillShare
	if env.Account.tense() {
		limit /= 2 // to spill earlier is better than to end
	}
	return limit
}

// large says whether so many bytes of one kind leave little room for others before the query spills.
func (env *Env) large(bytes int64) bool {
	limit := env.spillLimit()
	return limit > 0 && bytes > limit/largeShare
}

// room says whether the query may hold so many bytes more and stay well below its share, or
// cannot do otherwise.
func (env *Env) room(bytes int64) bool {
	share := env.share()
	return env.Spill == nil || share == 0 || env.statement().held.Load()+bytes <= share-share/4
}

// ample says whether the query holds so little that it may take more memory than it needs.
func (env *Env) ample() bool {
	share := env.share()
	return share == 0 || env.statement().held.Load() <= share/8
}

const (
	// accountStep is in what pieces an account takes memory from the pool: so large that a
	// query asks rarely, so small that many can run.
	accountStep = 1 << 20
	// maxQueued is how many queries wait for memory, and queueTimeout for how long: a
	// client that waits longer has given up.
	maxQueued    = 32
	queueTimeout = 10 * time.Second
	// queueTick is how often a waiting query looks again: the level also falls without a
	// release of queries.
	queueTick = 50 * time.Millisecond
	// endTimeout is how long a query that was ended has to give its memory back, before
	// another one has to end: its client may not be there to take the error.
	endTimeout = time.Second
	// relieveAfter is how many calls of Relieve must find memory used up.
	relieveAfter = 4
	// relieveLeast is the part of the budget that a query must hold to be worth ending.
	relieveLeast = 32
)

// Admission decides which queries start, and which one ends when memory is used up. A nil
// one lets everything run. It may be used by many goroutines.
type Admission struct {
	budget  *memory.Budget
	pool    *memory.Pool
	queued  atomic.Int64
	running atomic.Int64 // open accounts
	tense   int          // calls of Relieve in a row that found memory used up
	onWait  func()

	mu   sync.Mutex
	open map[*Account]struct{}
}

// NewAdmission shares a budget's pool for queries.
func NewAdmission(b *memory.Budget) *Admission {
	return &Admission{budget: b, pool: b.Pool(memory.Queries), open: map[*Account]struct{}{}}
}

// OnWait has f called for each query that has to wait. It is set before there are queries.
func (a *Admission) OnWait(f func()) {
	if a != nil {
		a.onWait = f
	}
}

// Account is what one query holds of the memory of all. Its goroutines may use it at the
// same time. A nil one counts nothing.
type Account struct {
	of       *Admission
	cancel   context.CancelCauseFunc
	ended    atomic.Bool
	reserved atomic.Int64 // of the pool

	mu     sync.Mutex // held to change reserved
	closed bool
}

// Admit waits until there is memory for one more query, and opens its account; a query
// that is alone need not wait. The query runs in the context returned, which is cancelled
// if it has to make room for others: the cause is the error that its client sees. The
// caller closes the account.
func (a *Admission) Admit(ctx context.Context) (context.Context, *Account, error) {
	if a == nil {
		return ctx, nil, nil
	}
	if running, acc := a.admit(ctx); acc != nil {
		return running, acc, nil
	}
	defer a.queued.Add(-1)
	if a.queued.Add(1) > maxQueued {
		return nil, nil, pgerr.New(pgerr.OutOfMemory, "out of memory: %d queries wait for memory already", maxQueued).
			WithHint("Try again when fewer queries run.")
	}
	if a.onWait != nil {
		a.onWait()
	}
	late := time.NewTimer(queueTimeout)
	defer late.Stop()
	tick := time.NewTicker(queueTick)
	defer tick.Stop()
	for {
		changed := a.pool.Changed()
		if running, acc := a.admit(ctx); acc != nil {
			return running, acc, nil
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-late.C:
			return nil, nil, pgerr.New(pgerr.OutOfMemory, "out of memory: the query waited %d seconds for others to end", queueTimeout/time.Second).
				WithHint("Try again when fewer queries run.")
		}
	}
}

// admit opens an account if there is memory for it.
func (a *Admission) admit(ctx context.Context) (context.Context, *Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) > 0 && a.budget.Level() >= memory.Queue {
		return nil, nil
	}
	first := min(accountStep, a.pool.Size()/maxQueued)
	if !a.pool.TryReserve(first) {
		return nil, nil
	}
	acc := &Account{of: a}
	ctx, acc.cancel = context.WithCancelCause(ctx)
	acc.reserved.Store(first)
	a.open[acc] = struct{}{}
	a.running.Add(1)
	return ctx, acc
}

// Queued is how many queries wait to start.
func (a *Admission) Queued() int64 {
	if a == nil {
		return 0
	}
	return a.queued.Load()
}

// Relieve ends the query that holds most if memory stays nearly used up, by other things
// than what is counted, so that no query would notice. It is to be called on a clock, by
// one goroutine.
func (a *Admission) Relieve() {
	if a == nil {
		return
	}
	if a.budget.Level() < memory.Kill {
		a.tense = 0
		return
	}
	if a.tense++; a.tense < relieveAfter {
		return // until then, caches shrink and queries spill
	}
	a.tense = 0
	// Ending a small query would not help.
	if acc := a.largest(true); acc != nil && acc.reserved.Load() >= a.budget.Total()/relieveLeast {
		acc.end()
	}
}

// largest is the query that holds most; nil if one was ended and still holds something,
// unless such queries are passed over.
func (a *Admission) largest(passOver bool) *Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	var most *Account
	for acc := range a.open {
		if acc.ended.Load() {
			if passOver {
				continue
			}
			return nil
		}
		if most == nil || acc.reserved.Load() > most.reserved.Load() {
			most = acc
		}
	}
	return most
}

// end makes the query give its memory back.
func (acc *Account) end() {
	if !acc.ended.Swap(true) {
		acc.cancel(acc.tooMuch())
	}
}

// tooMuch is what the client of the query that held most is told.
func (acc *Account) tooMuch() error {
	return pgerr.New(pgerr.OutOfMemory, "out of memory: the query held %s, more than any other, when memory was used up", sizeText(acc.reserved.Load())).
		WithHint("Narrow the time range, group by fewer values, run fewer queries at once, or raise the setting memory.")
}

// grow reserves what is missing to held bytes. If the pool is used up, the query that holds
// most has to end; this one waits for what that gives back, or fails if it is the one.
func (acc *Account) grow(ctx context.Context, held int64) error {
	if acc == nil || held <= acc.reserved.Load() {
		return nil
	}
	lock(ctx, &acc.mu)
	defer acc.mu.Unlock()
	passOver := false
	for {
		missing := held - acc.reserved.Load()
		if missing <= 0 {
			return nil
		}
		changed := acc.of.pool.Changed()
		for _, want := range []int64{(missing + accountStep - 1) / accountStep * accountStep, missing} {
			if acc.of.pool.TryReserve(want) {
				acc.reserved.Add(want)
				return nil
			}
		}
		switch most := acc.of.largest(passOver); most {
		case nil:
		case acc:
			return acc.tooMuch()
		default:
			most.end()
		}
		back := away(ctx)
		select {
		case <-changed:
			passOver = false
		case <-time.After(endTimeout):
			passOver = true
		case <-ctx.Done():
		}
		back()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// shrink gives back what is reserved beyond held bytes, unless that is little.
func (acc *Account) shrink(held int64) {
	if acc == nil || acc.reserved.Load()-held < 2*accountStep {
		return
	}
	acc.mu.Lock()
	defer acc.mu.Unlock()
	if back := acc.reserved.Load() - held - accountStep; back > 0 && !acc.closed {
		acc.reserved.Add(-back)
		acc.of.pool.Release(back)
	}
}

// tense says whether memory is short, here or elsewhere.
func (acc *Account) tense() bool { return acc != nil && acc.of.budget.Level() >= memory.Queue }

// share is an equal part of the pool for all that run.
func (acc *Account) share() int64 {
	if acc == nil {
		return 0
	}
	return acc.of.pool.Size() / max(1, acc.of.running.Load())
}

// Close gives everything back. The query's operators are closed already.
func (acc *Account) Close() {
	if acc == nil {
		return
	}
	acc.of.mu.Lock()
	delete(acc.of.open, acc)
	acc.of.mu.Unlock()
	acc.of.running.Add(-1)
	acc.cancel(context.Canceled)
	acc.mu.Lock()
	defer acc.mu.Unlock()
	acc.closed = true
	acc.of.pool.Release(acc.reserved.Swap(0))
}

// sizeText is a size as a person reads it.
func sizeText(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d kB", bytes>>10)
	}
	return fmt.Sprintf("%d MB", bytes>>20)
}
