package segment

import (
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// lazy is a value that is made when it is asked for, and kept until its reader's cache
// has no room for it; then it is made again. An error is not kept: the next caller tries
// again.
type lazy[T any] struct {
	made atomic.Pointer[kept[T]]

	mu sync.Mutex
}

type kept[T any] struct {
	value *T
	size  int64 // bytes; 0: it is not in the cache
	entry memory.Entry
}

// get returns the value, making it if need be.
func (l *lazy[T]) get(r *Reader, make func() (*T, error)) (*T, error) {
	if k := l.made.Load(); k != nil {
		return k.found(r, l), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.made.Load(); k != nil {
		return k.found(r, l), nil
	}
	v, err := make()
	if err != nil {
		return nil, err
	}
	size := sizeOf(v)
	k := &kept[T]{value: v, size: size}
	if size > 0 {
		r.tally.Made(l)
	}
	l.made.Store(k)
	if size > 0 {
		r.cached.Add(size)
		r.cache.Add(&k.entry, r.Owner(), size, func() {
			l.made.CompareAndSwap(k, nil)
			r.cached.Add(-size)
		})
	}
	return v, nil
}

// found is the value, for a reader who found it at a place.
func (k *kept[T]) found(r *Reader, at *lazy[T]) *T {
	k.entry.Touch()
	if r.tally != nil && k.size > 0 {
		r.tally.Found(at)
	}
	return k.value
}

// sizeOf is about how many bytes a value takes that is decoded; what refers to the file
// takes none.
func sizeOf(v any) int64 {
	switch v := v.(type) {
	case *[]uint32:
		return 4 * int64(len(*v))
	case *[]int64:
		return 8 * int64(len(*v))
	case *Runs:
		return 4 * int64(len(v.Ordinals)+len(v.Starts))
	case *Order:
		return int64(4*len(v.Starts) + v.owned)
	case *vec.Vector:
		return v.Bytes()
	case *view:
		return v.dict.Bytes() + 4*int64(len(v.remap))
	case *values:
		n := int64(0)
		for k := range v.nums {
			n += 8*int64(len(v.nums[k])) + int64(len(v.texts[k].Bytes)+4*len(v.texts[k].Offs))
		}
		return n
	case *roaring.Bitmap:
		return int64(v.GetSizeInBytes())
	case *[]*roaring.Bitmap:
		n := int64(0)
		for _, set := range *v {
			if set != nil {
				n += int64(set.GetSizeInBytes())
			}
		}
		return n
	}
	return 0
}
