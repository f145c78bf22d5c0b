package segment

import (
	"sync"
	"sync/atomic"
)

// lazy is a value that is made when it is first asked for, once, and then kept as long
// as its reader. An error is not kept: the next caller tries again.
type lazy[T any] struct {
	made atomic.Pointer[T]

	mu sync.Mutex
}

// get returns the value, making it if need be.
func (l *lazy[T]) get(make func() (*T, error)) (*T, error) {
	if v := l.made.Load(); v != nil {
		return v, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := l.made.Load(); v != nil {
		return v, nil
	}
	v, err := make()
	if err == nil {
		l.made.Store(v)
	}
	return v, err
}
