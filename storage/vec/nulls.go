package vec

import "math/bits"

// Bitmap is a set of row positions, one bit a row. As Vector.Nulls a set bit is a
// null, and an empty bitmap means that there are none.
type Bitmap []uint64

// NewBitmap holds n bits, all clear.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+63)/64) }

// Get says whether bit i is set; bits beyond the end are clear.
func (b Bitmap) Get(i int) bool {
	w := i >> 6
	return w < len(b) && b[w]>>(uint(i)&63)&1 != 0
}

// Set sets bit i, which must lie inside the bitmap.
func (b Bitmap) Set(i int) { b[i>>6] |= 1 << (uint(i) & 63) }

// Clear clears bit i, which must lie inside the bitmap.
func (b Bitmap) Clear(i int) { b[i>>6] &^= 1 << (uint(i) & 63) }

// Count is the number of set bits.
func (b Bitmap) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Any says whether a bit is set.
func (b Bitmap) Any() bool {
	for _, w := range b {
		if w != 0 {
			return true
		}
	}
	return false
}

// Grow extends b to hold n bits.
func (b Bitmap) Grow(n int) Bitmap {
	for len(b) < (n+63)/64 {
		b = append(b, 0)
	}
	return b
}

// slice is bits [lo, hi); bits beyond the end are clear.
func (b Bitmap) slice(lo, hi int) Bitmap {
	out := NewBitmap(hi - lo)
	for i := range out {
		w, shift := (lo>>6)+i, uint(lo)&63
		if w < len(b) {
			out[i] = b[w] >> shift
		}
		if shift > 0 && w+1 < len(b) {
			out[i] |= b[w+1] << (64 - shift)
		}
	}
	if tail := uint(hi-lo) & 63; tail > 0 {
		out[len(out)-1] &= 1<<tail - 1
	}
	return out
}
