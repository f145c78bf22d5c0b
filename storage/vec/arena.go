package vec

// Arena is the slices that the vectors of a batch are made of, for those of the next batch to be made of them
// again: one that reads batch by batch gives them out, and takes all of them back by Reset when nobody looks
// at the last batch any more. It is used by one goroutine. The zero value is usable; a nil Arena gives
// slices that are nobody else's.
type Arena struct {
	words   room[uint32]
	numbers room[int64]
	floats  room[float64]
}

// Uint32s is n values, which may be anything.
func (a *Arena) Uint32s(n int) []uint32 {
	if a == nil {
		return make([]uint32, n)
	}
	return a.words.take(n)
}

// Int64s is n values, which may be anything.
func (a *Arena) Int64s(n int) []int64 {
	if a == nil {
		return make([]int64, n)
	}
	return a.numbers.take(n)
}

// Float64s is n values, which may be anything.
func (a *Arena) Float64s(n int) []float64 {
	if a == nil {
		return make([]float64, n)
	}
	return a.floats.take(n)
}

// SpoilArenas has Reset write over what it takes back: for tests, which find out who looks at it all the
// same.
var SpoilArenas bool

// Reset takes back all slices.
func (a *Arena) Reset() {
	if a == nil {
		return
	}
	if SpoilArenas {
		spoil(&a.words, 0xdeadbeef)
		spoil(&a.numbers, -0x2152411021524111)
		spoil(&a.floats, -6.259853398707798e+18)
	}
	a.words.used, a.numbers.used, a.floats.used = 0, 0, 0
}

func spoil[T any](r *room[T], with T) {
	for _, s := range r.slices[:r.used] {
		for i := range s {
			s[i] = with
		}
	}
}

// room is slices, of which the first so many are given out.
type room[T any] struct {
	slices [][]T
	used   int
}

func (r *room[T]) take(n int) []T {
	if r.used == len(r.slices) {
		r.slices = append(r.slices, nil)
	}
	s := &r.slices[r.used]
	r.used++
	if *s == nil || cap(*s) < n { // none is nil, which would be all rows as a selection
		*s = make([]T, n, max(n, min(2*n, BatchRows)))
	}
	*s = (*s)[:n]
	return *s
}
