package storage

import (
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/session"
)

// derived is what was computed from the rows of a segment or an image that count. It lies
// beside the open segment, and goes when the cache of decoded parts has no room for it.
type derived struct {
	ids         derivation[*session.IDs]
	times       derivation[*session.Times]
	counts      derivation[*session.Counts]
	urls, paths derivation[*session.Edges]
	owners      derivation[*session.Owners]
	distinct    derivation[*session.Distinct]
}

// derivation is one thing that was computed, under the rules that the rows counted by.
type derivation[T interface{ Bytes() int64 }] struct {
	made atomic.Pointer[made[T]]

	mu sync.Mutex // held while it is made
}

type made[T any] struct {
	under *liveness
	value T
	entry memory.Entry
}

// get gives the part of a segment under some rules, making it if need be. An error is not
// kept.
func (p *derivation[T]) get(s *Segment, under *liveness, make func() (T, error)) (T, error) {
	if m := p.made.Load(); m != nil && m.under == under {
		m.entry.Touch()
		return m.value, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.made.Load(); m != nil && m.under == under {
		return m.value, nil
	}
	v, err := make()
	if err != nil {
		return v, err
	}
	m := &made[T]{under: under, value: v}
	p.made.Store(m)
	s.memory.Add(&m.entry, s.Reader.Owner(), v.Bytes(), func() { p.made.CompareAndSwap(m, nil) })
	return v, nil
}
