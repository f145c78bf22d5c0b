package segment

import (
	"cmp"
	"slices"
)

// entry is a row and what it sorts by.
type entry struct {
	key uint64
	row uint32
}

const (
	// radixBits is the size of a digit. A radix sort clears and sums a table of counts for every
	// digit: fewer entries than radixMany want smaller tables, and fewer than radixLeast none.
	radixBits  = 11
	radixFew   = 8
	radixMany  = 1024
	radixLeast = 128
)

// sortEntries orders by key; equal keys keep their order. Tmp, if it is large enough,
// saves an allocation.
func sortEntries(e, tmp []entry) {
	if len(e) < radixLeast {
		slices.SortStableFunc(e, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
		return
	}
	differ := uint64(0) // bits in which any two keys differ
	sorted := true
	for i := range e {
		differ |= e[i].key ^ e[0].key
		sorted = sorted && (i == 0 || e[i-1].key <= e[i].key)
	}
	if sorted {
		return
	}
	if len(tmp) < len(e) {
		tmp = make([]entry, len(e))
	}
	size := uint(radixBits)
	if len(e) < radixMany {
		size = radixFew
	}
	mask := uint64(1)<<size - 1
	from, to := e, tmp[:len(e)]
	var all [1 << radixBits]uint32
	counts := all[:mask+1]
	for shift := uint(0); shift < 64 && differ>>shift != 0; shift += size {
		if differ>>shift&mask == 0 {
			continue
		}
		clear(counts)
		for i := range from {
			counts[from[i].key>>shift&mask]++
		}
		sum := uint32(0)
		for d := range counts {
			counts[d], sum = sum, sum+counts[d]
		}
		for i := range from {
			d := from[i].key >> shift & mask
			to[counts[d]] = from[i]
			counts[d]++
		}
		from, to = to, from
	}
	if &from[0] != &e[0] {
		copy(e, from)
	}
}
