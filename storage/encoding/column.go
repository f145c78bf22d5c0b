package encoding

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
)

// Table is the polynomial of every checksum: CRC32C, which processors compute.
var Table = crc32.MakeTable(crc32.Castagnoli)

// A column is its blocks behind a head that says where each ends and what it sums to:
//
//	+-------------+----------+-------------------+-----+---------+---------+-----+
//	| crc of head | count(4) | end(4) crc(4)     | ... | block 0 | block 1 | ... |
//	|     (4)     |          | of block 0        |     |         |         |     |
//	+-------------+----------+-------------------+-----+---------+---------+-----+
//	              |<------------- head -------------->|
//
// Ends count from the end of the head. A column may hold any number of values.

// AppendColumn adds a column of the values to dst.
func AppendColumn(dst []byte, v []uint32) []byte {
	return appendColumn(dst, len(v), func(dst []byte, lo, hi int) []byte { return AppendBlock(dst, v[lo:hi]) })
}

// AppendRunsColumn adds the same column as AppendColumn does for the values that runs are: no two
// neighbours are equal, and ends, behind each, ascend. It takes as long as there are runs, not values.
func AppendRunsColumn(dst []byte, values, ends []uint32) []byte {
	if len(ends) == 0 {
		return AppendColumn(dst, nil)
	}
	inside := make([]uint32, 0, min(len(ends), BlockRows))
	at := 0
	return appendColumn(dst, int(ends[len(ends)-1]), func(dst []byte, lo, hi int) []byte {
		from := at
		for inside = inside[:0]; int(ends[at]) < hi; at++ {
			inside = append(inside, ends[at]-uint32(lo))
		}
		inside = append(inside, uint32(hi-lo))
		runs := values[from : at+1]
		if int(ends[at]) == hi {
			at++
		}
		return appendBlockOfRuns(dst, runs, inside, hi-lo)
	})
}

// appendColumn adds a column of n values, whose blocks block adds.
func appendColumn(dst []byte, n int, block func(dst []byte, lo, hi int) []byte) []byte {
	blocks := (n + BlockRows - 1) / BlockRows
	start := len(dst)
	dst = slices.Grow(dst, 8+8*blocks)[:start+8+8*blocks]
	data := len(dst)
	for b := range blocks {
		at := len(dst)
		dst = block(dst, b*BlockRows, min((b+1)*BlockRows, n))
		entry := dst[start+8+8*b:]
		binary.LittleEndian.PutUint32(entry, uint32(len(dst)-data))
		binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(dst[at:], Table))
	}
	head := dst[start:data]
	binary.LittleEndian.PutUint32(head[4:], uint32(n))
	binary.LittleEndian.PutUint32(head, crc32.Checksum(head[4:], Table))
	return dst
}

// DamageError is returned when bytes do not sum to what was written beside them.
type DamageError struct {
	Block     int // -1 is the head
	Offset    int // from the start of the column
	Want, Got uint32
}

func (e *DamageError) Error() string {
	if e.Block < 0 {
		return fmt.Sprintf("head at byte %d: checksum %08x, want %08x", e.Offset, e.Got, e.Want)
	}
	return fmt.Sprintf("block %d at byte %d: checksum %08x, want %08x", e.Block, e.Offset, e.Got, e.Want)
}

// Column reads a column. It may be used by several goroutines.
type Column struct {
	count   int
	head    []byte // ends and checksums
	data    []byte
	offset  int // of data, from the start of the column
	checked []atomic.Uint32
}

// OpenColumn checks the head of a column that takes up all of src and must hold count values.
func OpenColumn(src []byte, count int) (*Column, error) {
	if len(src) < 8 {
		return nil, fmt.Errorf("column of %d bytes: %w", len(src), ErrBlock)
	}
	if stored := binary.LittleEndian.Uint32(src[4:]); int(stored) != count {
		// A wrong count also means that the head cannot be found, so its checksum
		// is not what tells.
		return nil, fmt.Errorf("column of %d values, want %d: %w", stored, count, ErrBlock)
	}
	blocks := (count + BlockRows - 1) / BlockRows
	if len(src) < 8+8*blocks {
		return nil, fmt.Errorf("column of %d bytes for %d values: %w", len(src), count, ErrBlock)
	}
	head := src[:8+8*blocks]
	if want, got := binary.LittleEndian.Uint32(head), crc32.Checksum(head[4:], Table); want != got {
		return nil, &DamageError{Block: -1, Want: want, Got: got}
	}
	c := &Column{
		count:   count,
		head:    head[8:],
		data:    src[8+8*blocks:],
		offset:  8 + 8*blocks,
		checked: make([]atomic.Uint32, (blocks+31)/32),
	}
	before := uint32(0)
	for b := range blocks {
		end := binary.LittleEndian.Uint32(c.head[8*b:])
		if end < before || int(end) > len(c.data) {
			return nil, fmt.Errorf("block %d ends at %d of %d: %w", b, end, len(c.data), ErrBlock)
		}
		before = end
	}
	if int(before) != len(c.data) {
		return nil, fmt.Errorf("blocks of %d bytes in %d: %w", before, len(c.data), ErrBlock)
	}
	return c, nil
}

// Len is how many values the column holds.
func (c *Column) Len() int { return c.count }

// Read fills dst with the values from position lo on.
func (c *Column) Read(dst []uint32, lo int) error {
	return c.each(lo, lo+len(dst), func(block []byte, rows, from, to, at int) error {
		return DecodeBlock(dst[at:at+to-from], block, rows, from)
	})
}

// Count counts the values in positions [lo, hi): counts has a place for each value that there
// may be.
func (c *Column) Count(counts []uint32, lo, hi int) error {
	return c.each(lo, hi, func(block []byte, rows, from, to, _ int) error {
		return CountBlock(counts, block, rows, from, to)
	})
}

// AppendRuns adds the values in positions [lo, hi) to values as runs, and to ends the position behind
// each, counted from lo. Runs that follow each other may have the same value. It says false if a
// block is not kept as runs.
func (c *Column) AppendRuns(values, ends []uint32, lo, hi int) (v, e []uint32, ok bool, err error) {
	ok = true
	err = c.each(lo, hi, func(block []byte, rows, from, to, at int) (err error) {
		if ok {
			values, ends, ok, err = AppendBlockRuns(values, ends, block, rows, from, to, uint32(at))
		}
		return err
	})
	return values, ends, ok, err
}

// each visits the blocks of positions [lo, hi): of a block of rows values, those in positions
// [from, to), before which there were at.
func (c *Column) each(lo, hi int, visit func(block []byte, rows, from, to, at int) error) error {
	if lo < 0 || hi > c.count {
		return fmt.Errorf("values %d to %d of a column of %d", lo, hi, c.count)
	}
	for at := 0; lo < hi; {
		b := lo / BlockRows
		rows := min(BlockRows, c.count-b*BlockRows)
		from := lo - b*BlockRows
		n := min(hi-lo, rows-from)
		block, err := c.block(b)
		if err != nil {
			return err
		}
		if err := visit(block, rows, from, from+n, at); err != nil {
			return fmt.Errorf("block %d: %w", b, err)
		}
		at += n
		lo += n
	}
	return nil
}

// Constant is the value of a column of one block that has no other; ok is false if it has, or
// may have.
func (c *Column) Constant() (v uint32, ok bool, err error) {
	if c.count == 0 || c.count > BlockRows {
		return 0, false, nil
	}
	block, err := c.block(0)
	if err != nil || len(block) != 5 || block[0] != formConstant {
		return 0, false, err
	}
	return binary.LittleEndian.Uint32(block[1:]), true, nil
}

// block is the bytes of a block, whose checksum is verified the first time.
func (c *Column) block(b int) ([]byte, error) {
	start := uint32(0)
	if b > 0 {
		start = binary.LittleEndian.Uint32(c.head[8*b-8:])
	}
	block := c.data[start:binary.LittleEndian.Uint32(c.head[8*b:])]
	if word, bit := &c.checked[b/32], uint32(1)<<(b%32); word.Load()&bit == 0 {
		want := binary.LittleEndian.Uint32(c.head[8*b+4:])
		if got := crc32.Checksum(block, Table); got != want {
			return nil, &DamageError{Block: b, Offset: c.offset + int(start), Want: want, Got: got}
		}
		word.Or(bit)
	}
	return block, nil
}

// Verify checks every block.
func (c *Column) Verify() error {
	var space [BlockRows]uint32
	for lo := 0; lo < c.count; lo += BlockRows {
		if err := c.Read(space[:min(BlockRows, c.count-lo)], lo); err != nil {
			return err
		}
	}
	return nil
}

// Scratch is room for a block of values. It is taken from a pool and given back.
type Scratch [BlockRows]uint32

var scratches = sync.Pool{New: func() any { return new(Scratch) }}

// GetScratch takes room whose contents are anything.
func GetScratch() *Scratch { return scratches.Get().(*Scratch) }

// Put gives the room back.
func (s *Scratch) Put() { scratches.Put(s) }
