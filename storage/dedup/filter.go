package dedup

import (
	"encoding/binary"
	"math/bits"
)

// A filter says of a hash that it is in a set, or that it is not; of those that are not,
// one in 65,536 passes all the same. It is a binary fuse filter of three hashes and 16
// bits, as in Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters",
// ACM Journal of Experimental Algorithmics 27, 2022: an array of numbers, of which three,
// in three neighbouring segments, give the check of a hash when they are xored.
//
// One thing is done differently. The first of the three places follows from the hash
// itself, so that sorted hashes fill the array from left to right and building it stays in
// the cache; only the other two depend on the seed.
type filter struct {
	shape
	seed uint64
	data []byte // 16-bit numbers
}

// shape is the size of a filter: it follows from the number of hashes.
type shape struct {
	segment uint32 // numbers in a segment, a power of two
	first   uint32 // numbers in the segments that a first place may lie in
}

const (
	// filterLeast is how many keys are worth a filter: fewer fit into a page or two.
	filterLeast = 128
	// filterMost bounds the memory of building one. Parts are cut to half of it on
	// average; only uuids that were made for it exceed it, and then go without.
	filterMost = 1 << 19
	// filterTries is how many seeds are tried. One fails in three cases of a hundred, and for
	// a few sizes in four of ten.
	filterTries = 32
)

// segmentFrom is how many hashes make segments of 2^(i+7). Up to the fourth it is the
// paper's 3.33^(i+4.75); those of more hashes are smaller than the paper's, because with
// fewer than thirty segments the last eighth of the room is not enough.
var segmentFrom = [...]int{303, 1010, 3361, 11193, 70_000, 300_000}

// shapeOf is the shape of a filter of n hashes.
func shapeOf(n int) shape {
	log := 6
	for _, from := range segmentFrom {
		if n >= from {
			log++
		}
	}
	// The paper's 0.875 + 0.25 ln 1e6 / ln n, in whole numbers so that every machine
	// writes the same bytes, and at least an eighth above n.
	slots := max(n+n/8, n*7/8+n*5/(bits.Len(uint(n))-1))
	segments := max(1, (slots+1<<log-1)>>log-2)
	return shape{segment: 1 << log, first: uint32(segments) << log}
}

// places counts the numbers.
func (s shape) places() int { return int(s.first + 2*s.segment) }

// bytes is the size of the array.
func (s shape) bytes() int { return 2 * s.places() }

// threePlaces are where the numbers of a hash lie. The hash lies in a part that its first
// bits chose; rest is the hash without them.
func (s shape) threePlaces(rest, mixed uint64) (a, b, c uint32) {
	hi, _ := bits.Mul64(rest, uint64(s.first))
	a = uint32(hi)
	mask := s.segment - 1
	b = a + s.segment ^ uint32(mixed)&mask
	c = a + 2*s.segment ^ uint32(mixed>>16)&mask
	return a, b, c
}

// check is what the three numbers must give.
func check(mixed uint64) uint16 { return uint16(mixed >> 48) }

// mix makes bits of a hash that depend on a seed.
func mix(h, seed uint64) uint64 {
	h += seed
	h = (h ^ h>>32) * 0xD6E8FEB86659FD93
	h = (h ^ h>>29) * 0xA0761D6478BD642F
	return h ^ h>>32
}

// seedOf is the seed of a try.
func seedOf(try int) uint64 { return uint64(try+1) * 0x9E3779B97F4A7C15 }

// has is whether a hash may be in the set.
func (f *filter) has(rest, hash uint64) bool {
	m := mix(hash, f.seed)
	a, b, c := f.threePlaces(rest, m)
	return f.at(a)^f.at(b)^f.at(c) == check(m)
}

func (f *filter) at(i uint32) uint16 { return binary.LittleEndian.Uint16(f.data[2*i:]) }

// one is 1 for true; the compiler makes it an instruction without a branch.
func one(b bool) int {
	n := 0
	if b {
		n = 1
	}
	return n
}

// filterBuilder builds filters one after the other in the same memory: about 25 bytes for
// each hash of the largest.
type filterBuilder struct {
	sum   []uint64 // by place: the hashes that lie there, xored
	count []uint8  // by place: how many
	queue []uint32 // places with one hash left
	order []peeled
	out   []byte
}

// peeled is a hash and the place that was its alone when it was taken away.
type peeled struct {
	hash  uint64
	place uint32
}

// build gives the bytes for ascending hashes that differ, and the try whose seed they have.
// They are valid until the next call. It says false if no seed does. A hash without its
// first shift bits is what the first place follows from.
func (fb *filterBuilder) build(hashes []uint64, s shape, shift uint) (data []byte, try int, ok bool) {
	for try := range filterTries {
		if fb.peel(hashes, s, shift, seedOf(try)) {
			return fb.assign(s, shift, seedOf(try)), try, true
		}
	}
	return nil, 0, false
}

// peel takes away hash after hash that has a place of its own, and says whether none
// remains.
func (fb *filterBuilder) peel(hashes []uint64, s shape, shift uint, seed uint64) bool {
	n := s.places()
	fb.sum, fb.count = zeroed(fb.sum, n), zeroed(fb.count, n)
	fb.queue, fb.order = fb.queue[:0], fb.order[:0]
	sum, count := fb.sum, fb.count
	for _, h := range hashes {
		a, b, c := s.threePlaces(h<<shift, mix(h, seed))
		sum[a] ^= h
		sum[b] ^= h
		sum[c] ^= h
		if count[a]|count[b]|count[c] >= 1<<7 {
			return false
		}
		count[a]++
		count[b]++
		count[c]++
	}
	for start := range n {
		if count[start] != 1 {
			continue
		}
		fb.queue = append(fb.queue, uint32(start))
		for len(fb.queue) > 0 {
			place := fb.queue[len(fb.queue)-1]
			fb.queue = fb.queue[:len(fb.queue)-1]
			if count[place] != 1 {
				continue // it was taken from another place
			}
			h := sum[place]
			fb.order = append(fb.order, peeled{h, place})
			a, b, c := s.threePlaces(h<<shift, mix(h, seed))
			for _, p := range [3]uint32{a, b, c} {
				sum[p] ^= h
				if count[p]--; count[p] == 1 {
					fb.queue = append(fb.queue, p)
				}
			}
		}
	}
	return len(fb.order) == len(hashes)
}

// assign gives each hash its check, the last that was taken first: its own place is not
// read by any that comes later.
func (fb *filterBuilder) assign(s shape, shift uint, seed uint64) []byte {
	fb.out = zeroed(fb.out, s.bytes())
	f := filter{shape: s, seed: seed, data: fb.out}
	for i := len(fb.order) - 1; i >= 0; i-- {
		p := fb.order[i]
		m := mix(p.hash, seed)
		a, b, c := s.threePlaces(p.hash<<shift, m)
		binary.LittleEndian.PutUint16(f.data[2*p.place:], check(m)^f.at(a)^f.at(b)^f.at(c))
	}
	return fb.out
}

// A bloom is a Bloom filter of a whole section: of 8 bits a key, all four bits of a key lie
// in one 64-bit word. It turns away 97 of 100 hashes for the price of one line of cache,
// where the fuse filter takes three.
//
// bloomWords is how many words it has for so many keys.
func bloomWords(keys int) int { return (keys + 7) / 8 }

// bloomWord is which word of so many a hash has its bits in.
func bloomWord(hash uint64, words int) int {
	hi, _ := bits.Mul64(hash, uint64(words))
	return int(hi)
}

// bloomBits are the bits of a hash in its word.
func bloomBits(hash uint64) uint64 {
	return 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63)
}

// zeroed gives n zeros, in the memory of buf if it suffices.
func zeroed[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	clear(buf[:n])
	return buf[:n]
}
