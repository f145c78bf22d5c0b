package encoding

import (
	"encoding/binary"
	"math/bits"
)

// GroupRows is how many values share a base and a width.
//
// A whole group is packed vertically. Value i belongs to lane i%16; each lane packs its
// 32 values of w bits, lowest bits first, into w words of 32 bits, and word k of all lanes
// lie side by side:
//
//	+-----------------+-----------------+-----+-------------------+
//	| word 0 of lanes | word 1 of lanes | ... | word w-1 of lanes |   64 bytes each
//	|  0 1 2 ...  15  |  0 1 2 ...  15  |     |                   |
//	+-----------------+-----------------+-----+-------------------+
//
// So all lanes shift alike at every step, and one loop serves all widths. A group that is
// not whole is packed horizontally: n values of w bits without gaps, to the next whole byte.
const GroupRows = 512

const lanes = 16

// packedSize is the bytes that n values of a width take.
func packedSize(n int, width uint) int { return (n*int(width) + 7) / 8 }

// appendPacked adds the values less base, each of which fits the width.
func appendPacked(dst []byte, v []uint32, base uint32, width uint) []byte {
	if width == 0 {
		return dst
	}
	if len(v) != GroupRows {
		return appendHorizontal(dst, v, base, width)
	}
	at := len(dst)
	dst = append(dst, make([]byte, 64*int(width))...)
	pack(dst[at:], (*[GroupRows]uint32)(v), base, width)
	return dst
}

func pack(dst []byte, v *[GroupRows]uint32, base uint32, width uint) {
	var acc [lanes]uint64 // bits of each lane not yet written
	filled := uint(0)
	for r := 0; r < GroupRows; r += lanes {
		row := (*[lanes]uint32)(v[r:])
		for l := range row {
			acc[l] |= uint64(row[l]-base) << (filled & 63)
		}
		filled += width
		if filled >= 32 {
			word := (*[64]byte)(dst)
			for l := range acc {
				binary.LittleEndian.PutUint32(word[4*l:], uint32(acc[l]))
				acc[l] >>= 32
			}
			dst = dst[64:]
			filled -= 32
		}
	}
}

// fewValues is how many values of a group are read one by one rather than with all of it.
const fewValues = 16

// unpackFew fills dst with values of a whole group from position lo on.
func unpackFew(dst []uint32, src []byte, lo int, base uint32, width uint) {
	mask := uint32(1<<width - 1)
	for i := range dst {
		row, lane := uint(lo+i)/lanes, (lo+i)%lanes
		shift := row * width & 31
		words := src[row*width>>5<<6+uint(4*lane):]
		x := binary.LittleEndian.Uint32(words) >> shift
		if shift+width > 32 {
			x |= binary.LittleEndian.Uint32(words[4*lanes:]) << (32 - shift)
		}
		dst[i] = x&mask + base
	}
}

func appendHorizontal(dst []byte, v []uint32, base uint32, width uint) []byte {
	var acc uint64
	filled := uint(0)
	for _, x := range v {
		acc |= uint64(x-base) << (filled & 63)
		for filled += width; filled >= 8; filled -= 8 {
			dst = append(dst, byte(acc))
			acc >>= 8
		}
	}
	if filled > 0 {
		dst = append(dst, byte(acc))
	}
	return dst
}

// unpackPortable is [unpack] without instructions of one processor.
func unpackPortable(dst *[GroupRows]uint32, src []byte, base uint32, width uint) {
	if width == 0 {
		for i := range dst {
			dst[i] = base
		}
		return
	}
	mask := uint32(1<<width - 1)
	for r := uint(0); r < GroupRows/lanes; r++ {
		bit := r * width
		shift := bit & 31
		p := (*[64]byte)(src[bit>>5<<6:])
		d := (*[lanes]uint32)(dst[r*lanes:])
		if shift+width <= 32 {
			d[0] = binary.LittleEndian.Uint32(p[0:4])>>shift&mask + base
			d[1] = binary.LittleEndian.Uint32(p[4:8])>>shift&mask + base
			d[2] = binary.LittleEndian.Uint32(p[8:12])>>shift&mask + base
			d[3] = binary.LittleEndian.Uint32(p[12:16])>>shift&mask + base
			d[4] = binary.LittleEndian.Uint32(p[16:20])>>shift&mask + base
			d[5] = binary.LittleEndian.Uint32(p[20:24])>>shift&mask + base
			d[6] = binary.LittleEndian.Uint32(p[24:28])>>shift&mask + base
			d[7] = binary.LittleEndian.Uint32(p[28:32])>>shift&mask + base
			d[8] = binary.LittleEndian.Uint32(p[32:36])>>shift&mask + base
			d[9] = binary.LittleEndian.Uint32(p[36:40])>>shift&mask + base
			d[10] = binary.LittleEndian.Uint32(p[40:44])>>shift&mask + base
			d[11] = binary.LittleEndian.Uint32(p[44:48])>>shift&mask + base
			d[12] = binary.LittleEndian.Uint32(p[48:52])>>shift&mask + base
			d[13] = binary.LittleEndian.Uint32(p[52:56])>>shift&mask + base
			d[14] = binary.LittleEndian.Uint32(p[56:60])>>shift&mask + base
			d[15] = binary.LittleEndian.Uint32(p[60:64])>>shift&mask + base
			continue
		}
		q := (*[64]byte)(src[bit>>5<<6+64:])
		left := 32 - shift
		d[0] = (binary.LittleEndian.Uint32(p[0:4])>>shift|binary.LittleEndian.Uint32(q[0:4])<<left)&mask + base
		d[1] = (binary.LittleEndian.Uint32(p[4:8])>>shift|binary.LittleEndian.Uint32(q[4:8])<<left)&mask + base
		d[2] = (binary.LittleEndian.Uint32(p[8:12])>>shift|binary.LittleEndian.Uint32(q[8:12])<<left)&mask + base
		d[3] = (binary.LittleEndian.Uint32(p[12:16])>>shift|binary.LittleEndian.Uint32(q[12:16])<<left)&mask + base
		d[4] = (binary.LittleEndian.Uint32(p[16:20])>>shift|binary.LittleEndian.Uint32(q[16:20])<<left)&mask + base
		d[5] = (binary.LittleEndian.Uint32(p[20:24])>>shift|binary.LittleEndian.Uint32(q[20:24])<<left)&mask + base
		d[6] = (binary.LittleEndian.Uint32(p[24:28])>>shift|binary.LittleEndian.Uint32(q[24:28])<<left)&mask + base
		d[7] = (binary.LittleEndian.Uint32(p[28:32])>>shift|binary.LittleEndian.Uint32(q[28:32])<<left)&mask + base
		d[8] = (binary.LittleEndian.Uint32(p[32:36])>>shift|binary.LittleEndian.Uint32(q[32:36])<<left)&mask + base
		d[9] = (binary.LittleEndian.Uint32(p[36:40])>>shift|binary.LittleEndian.Uint32(q[36:40])<<left)&mask + base
		d[10] = (binary.LittleEndian.Uint32(p[40:44])>>shift|binary.LittleEndian.Uint32(q[40:44])<<left)&mask + base
		d[11] = (binary.LittleEndian.Uint32(p[44:48])>>shift|binary.LittleEndian.Uint32(q[44:48])<<left)&mask + base
		d[12] = (binary.LittleEndian.Uint32(p[48:52])>>shift|binary.LittleEndian.Uint32(q[48:52])<<left)&mask + base
		d[13] = (binary.LittleEndian.Uint32(p[52:56])>>shift|binary.LittleEndian.Uint32(q[52:56])<<left)&mask + base
		d[14] = (binary.LittleEndian.Uint32(p[56:60])>>shift|binary.LittleEndian.Uint32(q[56:60])<<left)&mask + base
		d[15] = (binary.LittleEndian.Uint32(p[60:64])>>shift|binary.LittleEndian.Uint32(q[60:64])<<left)&mask + base
	}
}

// unpackSumsPortable is [unpackSums] without instructions of one processor.
func unpackSumsPortable(dst *[GroupRows]uint32, src []byte, first, least uint32, width uint) {
	unpackPortable(dst, src, least, width)
	dst[0] = first
	sumUp(dst[:])
}

// sumUp replaces each value by the sum of all up to it.
func sumUp(v []uint32) {
	sum := uint32(0)
	for i, d := range v {
		sum += d
		v[i] = sum
	}
}

// unpackHorizontal fills dst with values from position lo on. The caller has checked
// that src holds lo+len(dst) values.
func unpackHorizontal(dst []uint32, src []byte, lo int, base uint32, width uint) {
	mask := uint64(1)<<width - 1
	bit := uint(lo) * width
	for i := range dst {
		at := bit >> 3
		var word uint64
		if rest := src[min(at, uint(len(src))):]; len(rest) >= 8 {
			word = binary.LittleEndian.Uint64(rest)
		} else {
			for j, b := range rest {
				word |= uint64(b) << (8 * uint(j))
			}
		}
		dst[i] = uint32(word>>(bit&7)&mask) + base
		bit += width
	}
}

// widthOf is the bits that a value needs.
func widthOf(v uint32) uint { return uint(bits.Len32(v)) }
