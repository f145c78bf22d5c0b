package vfs

import (
	"math/rand/v2"
	"slices"
)

// memData is the content of a file: as it is seen, and what of it is durable. Bytes at and
// beyond size are zero.
type memData struct {
	chunks   []memChunk
	size     int64
	synced   int64   // the size after a crash
	reserved int64   // bytes with blocks, whether written or not
	blocks   int64   // chunks that take room
	dirty    []int64 // chunks written to since the last sync, each once
}

const (
	sectorBytes = 512
	chunkBytes  = 4096
	// maxMemFile bounds the list of chunks that one write far out can ask for.
	maxMemFile = 16 << 30
)

// memChunk is 4 KiB of a file; without bytes it is zeros. Only an owned one may be written
// to: others belong to a map or to a crashed file system too.
type memChunk struct {
	bytes    []byte
	owned    bool
	unsynced *memUnsynced // nil: durable as it is
}

// memUnsynced is what writes since the last sync did to a chunk.
type memUnsynced struct {
	old     []byte                  // durable; nil is zeros
	touched [chunkBytes / 64]uint64 // a bit for each byte that was written
}

// share gives the bytes of chunks to another holder; after that neither writes to them.
func share(chunks []memChunk) []memChunk {
	out := make([]memChunk, len(chunks))
	for i := range chunks {
		chunks[i].owned = false
		out[i].bytes = chunks[i].bytes
	}
	return out
}

func (d *memData) read(p []byte, off int64) int {
	if off >= d.size {
		return 0
	}
	p = p[:min(int64(len(p)), d.size-off)]
	for n := 0; n < len(p); {
		c, at := (off+int64(n))/chunkBytes, (off+int64(n))%chunkBytes
		part := p[n:min(len(p), n+int(chunkBytes-at))]
		if b := d.at(c); b != nil {
			copy(part, b[at:])
		} else {
			clear(part)
		}
		n += len(part)
	}
	return len(p)
}

// at is a chunk to read; nil is zeros.
func (d *memData) at(chunk int64) []byte {
	if chunk >= int64(len(d.chunks)) {
		return nil
	}
	return d.chunks[chunk].bytes
}

// writable is a chunk to write to.
func (d *memData) writable(chunk int64) *memChunk {
	if need := chunk + 1 - int64(len(d.chunks)); need > 0 {
		d.chunks = append(d.chunks, make([]memChunk, need)...)
	}
	c := &d.chunks[chunk]
	if !c.owned {
		b := make([]byte, chunkBytes)
		copy(b, c.bytes)
		c.bytes, c.owned = b, true
	}
	return c
}

// fits says how many of n bytes at off can be written when so many chunks are free, and
// how many of those it takes.
func (d *memData) fits(n int, off, free int64) (fit int, taken int64) {
	end := off + int64(n)
	for c := off / chunkBytes; c*chunkBytes < end; c++ {
		if c*chunkBytes < d.reserved || d.at(c) != nil {
			continue
		}
		if taken == free {
			return int(max(0, c*chunkBytes-off)), taken
		}
		taken++
	}
	return n, taken
}

func (d *memData) write(p []byte, off int64) {
	d.size = max(d.size, off+int64(len(p)))
	for len(p) > 0 {
		i, at := off/chunkBytes, int(off%chunkBytes)
		n := min(len(p), chunkBytes-at)
		c := d.writable(i)
		if c.unsynced == nil {
			c.unsynced = &memUnsynced{}
			if i*chunkBytes < d.synced {
				c.unsynced.old = slices.Clone(c.bytes)
			}
			d.dirty = append(d.dirty, i)
		}
		c.unsynced.touch(at, at+n)
		copy(c.bytes[at:], p[:n])
		p, off = p[n:], off+int64(n)
	}
}

// touch notes that bytes [lo, hi) are written.
func (u *memUnsynced) touch(lo, hi int) {
	for w := lo / 64; w*64 < hi; w++ {
		from, to := max(lo, w*64)-w*64, min(hi, w*64+64)-w*64
		u.touched[w] |= ^uint64(0) >> (64 - (to - from)) << from
	}
}

func (d *memData) sync() {
	d.synced = d.size
	for _, i := range d.dirty {
		d.chunks[i].unsynced = nil
	}
	d.dirty = d.dirty[:0]
}

// whole is the content in one piece that is never written to.
func (d *memData) whole() []byte {
	buf := make([]byte, len(d.chunks)*chunkBytes)
	for i := range d.chunks {
		c := &d.chunks[i]
		if c.bytes != nil {
			piece := buf[i*chunkBytes:][:chunkBytes:chunkBytes]
			copy(piece, c.bytes)
			c.bytes, c.owned = piece, false
		}
	}
	return buf[:d.size:d.size]
}

// The fates of a sector.
const (
	fateNew = iota
	fateOld
	fateZero
	fateGarbage
	fates
)

// crash gives what may be left of d. Stale is what blocks held that were reserved and never
// written.
func (d *memData) crash(rng *rand.Rand, stale []memChunk) memData {
	out := memData{chunks: share(d.chunks), size: d.synced, reserved: d.reserved}
	// A half of all crashes are of one kind for the whole file: of many sectors it would
	// otherwise never be seen that all survive, or none does.
	lowest, kinds := fateOld, 1
	if rng != nil {
		switch rng.IntN(4) {
		case 0:
			lowest = fateNew
		case 1:
		case 2:
			lowest, kinds = fateNew, 2
		case 3:
			lowest, kinds = fateNew, fates
		}
		switch rng.IntN(3) {
		case 0:
			out.size = d.size
		case 1:
			out.size += rng.Int64N(d.size - d.synced + 1)
		}
	}
	for _, i := range d.dirty {
		u, dst := d.chunks[i].unsynced, out.writable(i).bytes
		for lo := 0; lo < chunkBytes; lo += sectorBytes {
			touched := u.touched[lo/64:][:sectorBytes/64]
			if !slices.ContainsFunc(touched, func(w uint64) bool { return w != 0 }) {
				continue
			}
			fate := lowest
			if kinds > 1 {
				fate += rng.IntN(kinds)
			}
			var src []byte // zeros
			switch {
			case fate == fateNew:
				continue
			case fate == fateOld && u.old != nil:
				src = u.old[lo:]
			case fate == fateGarbage:
				src = garbage(rng, stale, i*chunkBytes+int64(lo), d.reserved)
			}
			for b := range sectorBytes {
				if touched[b/64]>>(b%64)&1 == 0 {
					continue
				}
				dst[lo+b] = 0
				if src != nil {
					dst[lo+b] = src[b]
				}
			}
		}
	}
	out.cut()
	out.synced = out.size
	out.blocks = out.reserved / chunkBytes
	for i, c := range out.chunks {
		if c.bytes != nil && int64(i)*chunkBytes >= out.reserved {
			out.blocks++
		}
	}
	return out
}

// garbage is a sector of what a disk may hold at a place of a file: noise, or in reserved
// space also what was there before.
func garbage(rng *rand.Rand, stale []memChunk, at, reserved int64) []byte {
	if old := (&memData{chunks: stale}).at(at / chunkBytes); old != nil && at < reserved && rng.IntN(2) == 0 {
		return old[at%chunkBytes:][:sectorBytes]
	}
	noise := make([]byte, sectorBytes)
	for b := range noise {
		noise[b] = byte(rng.Uint32())
	}
	return noise
}

// cut clears what lies beyond the size.
func (d *memData) cut() {
	keep := (d.size + chunkBytes - 1) / chunkBytes
	if keep < int64(len(d.chunks)) {
		d.chunks = d.chunks[:keep]
	}
	if at := d.size % chunkBytes; at > 0 && d.at(keep-1) != nil {
		clear(d.writable(keep - 1).bytes[at:])
	}
}
