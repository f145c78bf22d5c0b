package storage

import (
	"encoding/binary"
	"math/bits"

	"github.com/prickledb/prickle/storage/vec"
)

// uuidSet is the uuids of a project's events: exact, 16 bytes an event and at most half
// again as much for free slots. It is used by one goroutine at a time, except that
// different shards may be filled at once.
type uuidSet struct{ shards [uuidShards]uuidShard }

// uuidShards is how many tables a set has. Each grows by itself, so growing copies a
// 256th of the set and never holds it twice.
const uuidShards = 256

// uuidShard is one open-addressing table with linear probing. The all-zero uuid, which
// marks a free slot, is kept apart.
type uuidShard struct {
	slots []uuidKey
	count int
	zero  bool
}

type uuidKey struct{ hi, lo uint64 }

func keyOf(u *vec.UUIDValue) uuidKey {
	return uuidKey{binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])}
}

// hash spreads a key over 64 bits: uuids of version 7 share their first bytes, and those
// made by a bad generator more than that.
func (k uuidKey) hash() uint64 {
	hi, lo := bits.Mul64(k.hi^0x9E3779B97F4A7C15, k.lo^0xD6E8FEB86659FD93)
	hi, lo = bits.Mul64(hi^lo^k.hi, 0xA0761D6478BD642F^k.lo)
	return hi ^ lo
}

// add puts a uuid into the set, and says whether it was not there.
func (s *uuidSet) add(u *vec.UUIDValue) bool {
	k := keyOf(u)
	h := k.hash()
	return s.shards[h>>56].add(k, h)
}

// addShare adds those uuids that goroutine w of n is responsible for: each shard belongs to
// one of them.
func (s *uuidSet) addShare(list []vec.UUIDValue, w, n int) {
	for i := range list {
		k := keyOf(&list[i])
		h := k.hash()
		if shard := h >> 56; int(shard)%n == w {
			s.shards[shard].add(k, h)
		}
	}
}

// has says whether a uuid is in the set.
func (s *uuidSet) has(u *vec.UUIDValue) bool {
	k := keyOf(u)
	h := k.hash()
	t := &s.shards[h>>56]
	if k == (uuidKey{}) {
		return t.zero
	}
	if len(t.slots) == 0 {
		return false
	}
	for i := t.home(h); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		if t.slots[i] == k {
			return true
		}
		if t.slots[i] == (uuidKey{}) {
			return false
		}
	}
}

// len is how many uuids the set holds.
func (s *uuidSet) len() int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].count
	}
	return n
}

// bytes is the memory that the set takes.
func (s *uuidSet) bytes() int64 {
	n := int64(0)
	for i := range s.shards {
		n += int64(len(s.shards[i].slots)) * 16
	}
	return n
}

func (t *uuidShard) add(k uuidKey, h uint64) bool {
	if k == (uuidKey{}) {
		if t.zero {
			return false
		}
		t.zero = true
		t.count++
		return true
	}
	if t.count*4 >= len(t.slots)*3 {
		t.grow()
	}
	for i := t.home(h); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		switch t.slots[i] {
		case k:
			return false
		case uuidKey{}:
			t.slots[i] = k
			t.count++
			return true
		}
	}
}

// home is the slot where the search for a hash begins: its middle bits, scaled, so that a
// table may have any size. The top bits chose the shard.
func (t *uuidShard) home(h uint64) int {
	hi, _ := bits.Mul64(h<<8, uint64(len(t.slots)))
	return int(hi)
}

// grow makes the table half again as large.
func (t *uuidShard) grow() {
	old := t.slots
	t.slots = make([]uuidKey, max(64, len(old)+len(old)/2))
	for _, k := range old {
		if k == (uuidKey{}) {
			continue
		}
		i := t.home(k.hash())
		for t.slots[i] != (uuidKey{}) {
			if i++; i == len(t.slots) {
				i = 0
			}
		}
		t.slots[i] = k
	}
}
