package segment

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
)

func sum(dst, covered []byte) {
	binary.LittleEndian.PutUint32(dst, crc32.Checksum(covered, encoding.Table))
}

// resign makes all checksums of a damaged file right again, as far as what they cover can
// still be found: behind them, readers must not trust a byte either.
func resign(raw []byte) {
	if len(raw) < footerTail {
		return
	}
	tail := raw[len(raw)-footerTail:]
	if start := binary.LittleEndian.Uint64(tail); start < uint64(len(raw)-footerTail) {
		sum(tail[8:], raw[start:len(raw)-8])
	}
	d, err := readDirectory(raw)
	if err != nil {
		return
	}
	at := func(s section) []byte { return raw[s.off : s.off+s.size] }
	for sec := range d.fixed {
		switch sec {
		case secPersonBitmap:
			resignBlob(at(d.fixed[sec]))
		case secIDs, secSessions:
			resignStrings(at(d.fixed[sec]))
		case secCreated, secSessionStart, secSessionEnd:
			resignWide(at(d.fixed[sec]))
		default:
			resignColumn(at(d.fixed[sec]))
		}
	}
	for i := range d.ranges {
		e := &d.ranges[i]
		resignColumn(at(e.ordinals))
		resignColumn(at(e.starts))
		resignColumn(at(e.masks))
		resignBlob(at(e.bitmaps))
	}
	for i := range d.groups {
		for j := range d.groups[i].columns {
			c := &d.groups[i].columns[j]
			resignColumn(at(c.codes))
			for k := range event.JSON + 1 {
				if k < event.Number {
					resignWide(at(c.values[k]))
				} else {
					resignStrings(at(c.values[k]))
				}
			}
		}
	}
	resignUUIDs(at(d.uuids), d)
}

func resignUUIDs(b []byte, d *directory) {
	if d.version < 3 {
		data := b[len(b)-16*d.rows:]
		for i := 0; 4*i < len(b)-len(data); i++ {
			lo := 16 * encoding.BlockRows * i
			sum(b[4*i:], data[lo:min(lo+16*encoding.BlockRows, len(data))])
		}
		return
	}
	head := b[:uuidsHead(d.rows)]
	data, before := b[len(head):], 0
	for at := 4; at < len(head); at += 8 {
		if end := int(binary.LittleEndian.Uint32(head[at:])); end >= before && end <= len(data) {
			resignBlock(data[before:end])
			sum(head[at+4:], data[before:end])
			before = end
		}
	}
	sum(head, head[4:])
}

// resignBlock is for a block of uuids.
func resignBlock(b []byte) {
	if len(b) > 5 && b[0] == uuidsV7 {
		if size := binary.LittleEndian.Uint32(b[1:]); int64(size) <= int64(len(b)-5) {
			resignWide(b[5 : 5+size])
		}
	}
}

func resignBlob(b []byte) {
	if len(b) >= 4 {
		sum(b, b[4:])
	}
}

func resignColumn(b []byte) {
	if len(b) < 8 {
		return
	}
	blocks := (int(binary.LittleEndian.Uint32(b[4:])) + encoding.BlockRows - 1) / encoding.BlockRows
	if len(b) < 8+8*blocks {
		return
	}
	data, before := b[8+8*blocks:], 0
	for i := range blocks {
		if end := int(binary.LittleEndian.Uint32(b[8+8*i:])); end >= before && end <= len(data) {
			sum(b[12+8*i:], data[before:end])
			before = end
		}
	}
	sum(b, b[4:8+8*blocks])
}

func resignWide(b []byte) {
	if len(b) < 16 {
		return
	}
	sum(b, b[4:16])
	if size := int(binary.LittleEndian.Uint32(b[12:])); size <= len(b)-16 {
		resignColumn(b[16 : 16+size])
		resignColumn(b[16+size:])
	}
}

func resignStrings(b []byte) {
	if len(b) < textHead+4 {
		return
	}
	sum(b, b[4:textHead])
	if size := int(binary.LittleEndian.Uint32(b[9:])); size <= len(b)-textHead-4 {
		resignColumn(b[textHead : textHead+size])
		if b[4] == formStarts {
			resignBlock(b[textHead+size+4:])
		}
		sum(b[textHead+size:], b[textHead+size+4:])
	}
}

// readAndUse does all that a foreign file is used for. Any answer but a panic will do.
func readAndUse(raw []byte) {
	r, err := OpenBytes(raw)
	if err != nil {
		return
	}
	_ = r.Verify()
	_ = readAll(r)
	_ = Dump(&bytes.Buffer{}, r)
	_, _ = Merge(partsOf(r), nil, r.FirstDay(), max(r.Days(), 1))
}

func TestForgedFilesDoNotPanic(t *testing.T) {
	rng := newRand(t, 1)
	var files [][]byte
	for _, n := range []int{3, 60, 300} {
		rows := randomRows(rng, n, 1000)
		files = append(files, mustBuild(t, inputs(rng, rows), Options{}))
		giveForms(rng, rows, []byte{4, 7}[n%2])
		files = append(files, mustBuild(t, inputs(rng, rows), Options{}))
	}
	for range 1000 {
		raw := bytes.Clone(files[rng.IntN(len(files))])
		directory := int(binary.LittleEndian.Uint64(raw[len(raw)-footerTail:]))
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(raw))
			if rng.IntN(2) == 0 {
				at = directory + rng.IntN(len(raw)-directory-8)
			}
			switch rng.IntN(3) {
			case 0:
				raw[at] ^= 1 << rng.IntN(8)
			case 1:
				raw[at] = byte(rng.Uint32())
			default:
				raw[at] += byte(rng.IntN(3)) - 1
			}
		}
		resign(raw)
		readAndUse(raw)
	}
}

func FuzzOpen(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 9} {
		rows := randomRows(rng, n, 1000)
		f.Add(mustBuild(f, inputs(rng, rows), Options{}))
		giveForms(rng, rows, 7)
		f.Add(mustBuild(f, inputs(rng, rows), Options{}))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = bytes.Clone(raw)
		resign(raw)
		readAndUse(raw)
	})
}
