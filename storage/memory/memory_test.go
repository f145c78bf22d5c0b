package memory

import (
	"sync"
	"testing"
)

func TestPoolsAddUpToTheBudget(t *testing.T) {
	b := NewBudget(1000)
	sum := int64(0)
	for u := range Uses {
		sum += b.Pool(u).Size()
	}
	if sum != b.Total() || b.Pool(Queries).Size() != 350 {
		t.Fatalf("pools have %d bytes in all, queries %d; want 1000 and 350", sum, b.Pool(Queries).Size())
	}
	p := b.Pool(Traffic)
	if !p.TryReserve(100) || p.TryReserve(1) {
		t.Fatal("a pool of 100 bytes gives 100, and no more")
	}
	p.Add(50) // is there already
	if p.Used() != 150 {
		t.Fatalf("used %d, want 150", p.Used())
	}
	changed := p.Changed()
	p.Release(150)
	select {
	case <-changed:
	default:
		t.Fatal("Release tells nobody that waits")
	}
	if p.Used() != 0 || p.Peak() != 150 {
		t.Fatalf("used %d, peak %d, want 0 and 150", p.Used(), p.Peak())
	}
}

func TestLevelsFollowWhatIsUsedAndTheHeap(t *testing.T) {
	b := NewBudget(1000)
	at := int64(0)
	for _, c := range []struct {
		used int64
		want Level
	}{{0, Calm}, {799, Calm}, {800, Shrink}, {880, Queue}, {930, Kill}, {970, Refuse}, {2000, Refuse}, {100, Calm}} {
		b.Pool(Memtables).Add(c.used - at)
		at = c.used
		if got := b.Level(); got != c.want {
			t.Errorf("with %d of 1000 bytes the level is %d, want %d", c.used, got, c.want)
		}
	}
	b.Observe(900)
	if got := b.Level(); got != Queue {
		t.Errorf("with a heap of 900 of 1000 bytes the level is %d, want %d", got, Queue)
	}
}

func TestCacheDropsWhatWasNotUsed(t *testing.T) {
	b := NewBudget(4000) // 1000 for the cache
	c := NewCache(b.Pool(Decoded))
	dropped := map[string]bool{}
	add := func(owner, name string) *Entry {
		e := &Entry{}
		c.Add(e, owner, 100, func() { dropped[name] = true })
		return e
	}
	first := add("a", "first")
	for range 9 {
		add("a", "old")
	}
	if len(dropped) > 0 {
		t.Fatalf("dropped %v from a cache that has room", dropped)
	}
	add("b", "new") // the hand goes around once and takes one
	first.Touch()
	for range 5 {
		first.Touch()
		add("b", "new")
	}
	if dropped["first"] && !dropped["old"] {
		t.Fatalf("dropped %v: what is used has gone before what is not", dropped)
	}
	if used := c.pool.Used(); used != 1000 {
		t.Fatalf("%d bytes are cached, want 1000", used)
	}
	c.Forget("a")
	if used, want := c.pool.Used(), int64(100*len(c.ring)); used != want {
		t.Fatalf("%d bytes are cached, the entries have %d", used, want)
	}
	for _, e := range c.ring {
		if e.owner != "b" {
			t.Fatal("an entry of an owner that has gone")
		}
	}
	for range 10 {
		add("b", "new")
	}
	back := c.Borrow(400)
	if used := c.pool.Used(); used != 1000 {
		t.Fatalf("%d bytes are used with 400 that are borrowed, want 1000", used)
	}
	back()
	if used := c.pool.Used(); used != 600 {
		t.Fatalf("%d bytes are cached after 400 were given back, want 600", used)
	}
	b.Observe(3500)
	c.Trim()
	if used := c.pool.Used(); used != 500 {
		t.Fatalf("%d bytes are cached under pressure, want 500", used)
	}
}

func TestCacheIsSafeForMany(t *testing.T) {
	c := NewCache(NewBudget(40_000).Pool(Decoded))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for range 1000 {
				var e Entry
				c.Add(&e, w, 10, func() {})
				e.Touch()
			}
			c.Forget(w)
		})
	}
	wg.Wait()
	if used := c.pool.Used(); used != 0 {
		t.Fatalf("%d bytes are left of owners that have gone", used)
	}
}

func TestNilCountsNothing(t *testing.T) {
	var b *Budget
	p := b.Pool(Queries)
	p.Add(1 << 50)
	if !p.TryReserve(1<<50) || b.Level() != Calm || p.Used() != 0 {
		t.Fatal("a budget that is not there has a bound")
	}
	b.Observe(1)
	NewCache(nil).Add(&Entry{}, nil, 1, func() { t.Error("dropped") })
	var c *Cache
	c.Add(&Entry{}, nil, 1, nil)
	c.Trim()
	c.Forget(nil)
	c.Borrow(1)()
}

// A place counts once, by what was there when it was first looked at.
func TestTally(t *testing.T) {
	var none *Tally
	none.Made(1)
	var c Tally
	c.Found(1)
	c.Made(2)
	c.Found(2)
	c.Found(1)
	if found, total := c.Counts(); found != 1 || total != 2 {
		t.Errorf("Counts = %d, %d, want 1, 2", found, total)
	}
}
