package encoding

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A wide column holds numbers of 64 bits as differences from the least of them, cut in halves:
//
//	+--------+---------+-----------------+-------------+------------------------------+
//	| crc(4) | base(8) | size of low (4) | column: low | column: high, or nothing if  |
//	|        |         |                 |    halves   | all high halves are zero     |
//	+--------+---------+-----------------+-------------+------------------------------+
//	         |<------- head ------------>|
const wideHead = 16

// AppendWide adds a wide column of the values to dst.
func AppendWide(dst []byte, v []int64) []byte {
	base, most := int64(0), int64(0)
	if len(v) > 0 {
		base, most = v[0], v[0]
		for _, x := range v {
			base, most = min(base, x), max(most, x)
		}
	}
	start := len(dst)
	dst = append(dst, make([]byte, wideHead)...)
	half := make([]uint32, len(v))
	for i, x := range v {
		half[i] = uint32(uint64(x) - uint64(base))
	}
	dst = AppendColumn(dst, half)
	head := dst[start:]
	binary.LittleEndian.PutUint64(head[4:], uint64(base))
	binary.LittleEndian.PutUint32(head[12:], uint32(len(head)-wideHead))
	binary.LittleEndian.PutUint32(head, crc32.Checksum(head[4:wideHead], Table))
	if (uint64(most)-uint64(base))>>32 == 0 {
		return dst
	}
	for i, x := range v {
		half[i] = uint32((uint64(x) - uint64(base)) >> 32)
	}
	return AppendColumn(dst, half)
}

// Wide reads a wide column. It may be used by several goroutines.
type Wide struct {
	base      uint64
	low, high *Column // high may be nil
}

// OpenWide checks the head of a wide column that takes up all of src and must hold
// count values.
func OpenWide(src []byte, count int) (*Wide, error) {
	if len(src) < wideHead {
		return nil, fmt.Errorf("wide column of %d bytes: %w", len(src), ErrBlock)
	}
	if want, got := binary.LittleEndian.Uint32(src), crc32.Checksum(src[4:wideHead], Table); want != got {
		return nil, &DamageError{Block: -1, Want: want, Got: got}
	}
	w := &Wide{base: binary.LittleEndian.Uint64(src[4:])}
	size := int(binary.LittleEndian.Uint32(src[12:]))
	rest := src[wideHead:]
	if size > len(rest) {
		return nil, fmt.Errorf("low halves of %d bytes in %d: %w", size, len(rest), ErrBlock)
	}
	var err error
	if w.low, err = OpenColumn(rest[:size], count); err != nil {
		return nil, err
	}
	if len(rest) > size {
		if w.high, err = OpenColumn(rest[size:], count); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Zero says whether the column, of one block, is known to hold nothing but zeroes.
func (w *Wide) Zero() (bool, error) {
	if w.base != 0 || w.high != nil {
		return false, nil
	}
	v, ok, err := w.low.Constant()
	return ok && v == 0, err
}

// Read fills dst with the values from position lo on.
func (w *Wide) Read(dst []int64, lo int) error {
	space := GetScratch()
	defer space.Put()
	for len(dst) > 0 {
		n := min(BlockRows-lo%BlockRows, len(dst))
		part, half := dst[:n], space[:n]
		if err := w.low.Read(half, lo); err != nil {
			return err
		}
		for i := range part {
			part[i] = int64(w.base + uint64(half[i]))
		}
		if w.high != nil {
			if err := w.high.Read(half, lo); err != nil {
				return err
			}
			for i := range part {
				part[i] += int64(uint64(half[i]) << 32)
			}
		}
		dst = dst[n:]
		lo += n
	}
	return nil
}

// Verify checks every block.
func (w *Wide) Verify() error {
	if err := w.low.Verify(); err != nil || w.high == nil {
		return err
	}
	return w.high.Verify()
}
