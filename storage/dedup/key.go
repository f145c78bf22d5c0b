package dedup

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

const keySize = 16

// key is a uuid as two big-endian numbers.
type key struct{ hi, lo uint64 }

func keyOf(u *vec.UUIDValue) key {
	return key{binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])}
}

func keyAt(b []byte) key {
	return key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// hashed is a key and its hash, by which runs are sorted.
type hashed struct {
	hash uint64
	key
}

func hash(k key) hashed { return hashed{k.hash(), k} }

// hash spreads a key over 64 bits: uuids of version 7 share their first bytes, and those
// made by a bad generator more than that. It is part of the file format.
func (k key) hash() uint64 {
	h := (k.hi ^ k.hi>>32) * 0x9E3779B97F4A7C15
	hi, lo := bits.Mul64(h^k.lo, 0xD6E8FEB86659FD93)
	h = hi ^ lo ^ k.hi
	h = (h ^ h>>29) * 0xBF58476D1CE4E5B9
	return h ^ h>>32
}

// compare orders by hash, then by uuid, so that keys chosen to share a hash are still
// found by halving.
func (a hashed) compare(b hashed) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	if a.hi != b.hi {
		return cmp.Compare(a.hi, b.hi)
	}
	return cmp.Compare(a.lo, b.lo)
}

// sortBits is how many of the first bits of a hash one pass distributes keys by.
const sortBits = 12

// sortHashed sorts keys. Hashes are spread evenly, so one pass by their first bits leaves
// short stretches.
func sortHashed(keys []hashed) []hashed {
	var ends [1<<sortBits + 1]uint32
	for i := range keys {
		ends[keys[i].hash>>(64-sortBits)+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	next := ends
	out := make([]hashed, len(keys))
	for i := range keys {
		at := &next[keys[i].hash>>(64-sortBits)]
		out[*at] = keys[i]
		*at++
	}
	for i := range 1 << sortBits {
		slices.SortFunc(out[ends[i]:ends[i+1]], hashed.compare)
	}
	return out
}

// made is the time inside a uuid of version 7, in ms since 1970 UTC, or notV7.
func (k key) made() int64 {
	if k.hi>>12&0xF != 7 || k.lo>>62 != 2 {
		return notV7
	}
	return int64(k.hi >> 16)
}

const notV7 = -1

// madeRange is what is known of the uuids of a project in a run, or of a batch. The zero
// value is not empty: begin with emptyRange.
type madeRange struct {
	least, most int64 // of version 7, in ms; least > most: there are none
	others      bool  // there are uuids of other versions
}

var emptyRange = madeRange{least: 1 << 62, most: -1}

func (m *madeRange) add(made int64) {
	if made == notV7 {
		m.others = true
		return
	}
	m.least, m.most = min(m.least, made), max(m.most, made)
}

// mayMeet says whether a uuid could be in both.
func (m *madeRange) mayMeet(o *madeRange) bool {
	return m.others && o.others || m.least <= o.most && o.least <= m.most
}

// mayHold says whether a uuid with this time could be inside.
func (m *madeRange) mayHold(made int64) bool {
	if made == notV7 {
		return m.others
	}
	return made >= m.least && made <= m.most
}
