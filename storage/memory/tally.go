package memory

import "sync"

// Tally counts what one reader looks up in a cache: each value once, however often it is asked
// for. It was found if it was there when it was first asked for. It may be used by many
// goroutines. A nil *Tally counts nothing.
type Tally struct {
	mu    sync.Mutex
	seen  map[any]struct{}
	found int
}

// Found counts that the value at a place was there.
func (t *Tally) Found(place any) { t.add(place, 1) }

// Made counts that the value at a place had to be made.
func (t *Tally) Made(place any) { t.add(place, 0) }

func (t *Tally) add(place any, found int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.seen[place]; ok {
		return
	}
	if t.seen == nil {
		t.seen = map[any]struct{}{}
	}
	t.seen[place] = struct{}{}
	t.found += found
}

// Counts is how many values there were, and how many of them were found.
func (t *Tally) Counts() (found, total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found, len(t.seen)
}
