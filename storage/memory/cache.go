package memory

import (
	"sync"
	"sync/atomic"
)

// Cache bounds values that can be made again. It does not hold them: whoever made a value
// keeps it at the place where it is looked up, and is told to let go of it. A look-up is
// then a load of a pointer, without hashing and without a lock, and whoever has the value
// in hand may go on reading it.
//
// Values go in the order of a clock: the hand passes over those that were used since it
// last came by.
type Cache struct {
	pool *Pool

	mu   sync.Mutex
	ring []*Entry
	hand int
}

// Entry is one value in a cache.
type Entry struct {
	owner any
	bytes int64
	drop  func()
	used  atomic.Bool
}

// NewCache is a cache that fills a pool.
func NewCache(pool *Pool) *Cache { return &Cache{pool: pool} }

// Size is how many bytes there is room for; 0 if nothing says.
func (c *Cache) Size() int64 {
	if c == nil {
		return 0
	}
	return c.pool.Size()
}

// Add counts a value of an owner; e lies beside it and was not added before. Drop is
// called, once at most, when the value has to go; it must be quick and not call the cache.
// Others may have to go now.
func (c *Cache) Add(e *Entry, owner any, bytes int64, drop func()) {
	if c == nil {
		return
	}
	e.owner, e.bytes, e.drop = owner, bytes, drop
	e.used.Store(true)
	c.mu.Lock()
	c.ring = append(c.ring, e)
	c.mu.Unlock()
	c.pool.Add(bytes)
	c.Trim()
}

// Borrow counts memory that making a value takes, until the caller gives it back with the
// function. Values may have to go for it.
func (c *Cache) Borrow(bytes int64) (giveBack func()) {
	if c == nil {
		return func() {}
	}
	c.pool.Add(bytes)
	c.Trim()
	return func() { c.pool.Release(bytes) }
}

// Touch notes that the value is used.
func (e *Entry) Touch() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}

// Trim drops values until the cache fits its pool, or half of it while the budget asks
// for that.
func (c *Cache) Trim() {
	if c == nil || c.pool == nil {
		return
	}
	size := c.pool.Size()
	if c.pool.budget.Level() >= Shrink {
		size /= 2
	}
	over := c.pool.Used() - size
	if over <= 0 {
		return
	}
	c.pool.Release(c.drop(over))
}

// drop lets go of at least so many bytes, or of everything, and says how many those were.
func (c *Cache) drop(bytes int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	dropped := int64(0)
	for dropped < bytes && len(c.ring) > 0 {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e.used.Swap(false) {
			c.hand++
			continue
		}
		last := len(c.ring) - 1
		c.ring[c.hand], c.ring[last] = c.ring[last], nil
		c.ring = c.ring[:last]
		e.drop()
		dropped += e.bytes
	}
	return dropped
}

// Forget takes all values of an owner out, without telling anybody: the owner goes.
func (c *Cache) Forget(owner any) {
	if c == nil {
		return
	}
	c.mu.Lock()
	kept := c.ring[:0]
	bytes := int64(0)
	for _, e := range c.ring {
		if e.owner == owner {
			bytes += e.bytes
		} else {
			kept = append(kept, e)
		}
	}
	clear(c.ring[len(kept):])
	c.ring = kept
	c.mu.Unlock()
	c.pool.Release(bytes)
}
