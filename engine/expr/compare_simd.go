//go:build goexperiment.simd && amd64

package expr

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"simd/archsimd"
	"unsafe"

	"github.com/prickledb/prickle/storage/vec"
)

// haveAVX512 and haveAVX2 are asked once a call: a binary built with the kernels also runs on processors
// that lack the instructions.
var haveAVX512, haveAVX2 = archsimd.X86.AVX512(), archsimd.X86.AVX2()

// truths are the eight bits of each byte as bytes of 0 or 1, the lowest first.
var truths = func() (out [256]uint64) {
	for m := range out {
		for bit := range 8 {
			out[m] |= uint64(m>>bit&1) << (8 * bit)
		}
	}
	return out
}()

// compareConst compares numbers with one, eight or four at a time: half of the time of the portable loop, or less.
func compareConst(dst []bool, a []int64, x int64, op comparison) {
	n := 0
	switch {
	case haveAVX512:
		n = compareConstAVX512(dst, a, x, op)
	case haveAVX2:
		n = compareConstAVX2(dst, a, x, op)
	}
	compareConstPortable(dst[n:], a[n:], x, op)
}

// compareConstAVX512 gives how many it has compared.
func compareConstAVX512(dst []bool, a []int64, x int64, op comparison) int {
	n := len(dst) &^ 7
	if n == 0 {
		return 0
	}
	out := unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), n)
	by := archsimd.BroadcastInt64x8(x)
	switch op {
	case eq:
		for i := 0; i < n; i += 8 {
			m := archsimd.LoadInt64x8((*[8]int64)(a[i:])).Equal(by).ToBits()
			binary.LittleEndian.PutUint64(out[i:], truths[m])
		}
	case ne:
		for i := 0; i < n; i += 8 {
			m := archsimd.LoadInt64x8((*[8]int64)(a[i:])).NotEqual(by).ToBits()
			binary.LittleEndian.PutUint64(out[i:], truths[m])
		}
	case lt:
		for i := 0; i < n; i += 8 {
			m := archsimd.LoadInt64x8((*[8]int64)(a[i:])).Less(by).ToBits()
			binary.LittleEndian.PutUint64(out[i:], truths[m])
		}
	case le:
		for i := 0; i < n; i += 8 {
			m := archsimd.LoadInt64x8((*[8]int64)(a[i:])).LessEqual(by).ToBits()
			binary.LittleEndian.PutUint64(out[i:], truths[m])
		}
	case gt:
		for i := 0; i < n; i += 8 {
			m := archsimd.LoadInt64x8((*[8]int64)(a[i:])).Greater(by).ToBits()
			binary.LittleEndian.PutUint64(out[i:], truths[m])
		}
	case ge:
		for i := 0; i < n; i += 8 {
			m := archsimd.LoadInt64x8((*[8]int64)(a[i:])).GreaterEqual(by).ToBits()
			binary.LittleEndian.PutUint64(out[i:], truths[m])
		}
	}
	archsimd.ClearAVXUpperBits()
	return n
}

// compareConstAVX2 is compareConstAVX512 with four at a time. Instructions compare for equal and for greater;
// what is left is the opposite of one of them.
func compareConstAVX2(dst []bool, a []int64, x int64, op comparison) int {
	n := len(dst) &^ 3
	if n == 0 {
		return 0
	}
	out := unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), n)
	by, opposite := archsimd.BroadcastInt64x4(x), uint8(0)
	if op == ne || op == le || op == ge {
		opposite = 0xf
	}
	switch op {
	case eq, ne:
		for i := 0; i < n; i += 4 {
			m := archsimd.LoadInt64x4((*[4]int64)(a[i:])).Equal(by).ToBits() ^ opposite
			binary.LittleEndian.PutUint32(out[i:], uint32(truths[m]))
		}
	case lt, ge:
		for i := 0; i < n; i += 4 {
			m := by.Greater(archsimd.LoadInt64x4((*[4]int64)(a[i:]))).ToBits() ^ opposite
			binary.LittleEndian.PutUint32(out[i:], uint32(truths[m]))
		}
	case gt, le:
		for i := 0; i < n; i += 4 {
			m := archsimd.LoadInt64x4((*[4]int64)(a[i:])).Greater(by).ToBits() ^ opposite
			binary.LittleEndian.PutUint32(out[i:], uint32(truths[m]))
		}
	}
	archsimd.ClearAVXUpperBits()
	return n
}

// maskBytes compares 64 bytes at a time.
func maskBytes(mask vec.Bitmap, values []uint8, x uint8, equal bool) {
	words := len(values) / 64
	switch {
	case haveAVX512:
		maskBytesAVX512(mask[:words], values, x, equal)
	case haveAVX2:
		maskBytesAVX2(mask[:words], values, x, equal)
	default:
		words = 0
	}
	maskPortable(mask[words:], values[64*words:], x, equal)
}

func maskBytesAVX512(mask vec.Bitmap, values []uint8, x uint8, equal bool) {
	by := archsimd.BroadcastUint8x64(x)
	if equal {
		for i := range mask {
			mask[i] = archsimd.LoadUint8x64((*[64]uint8)(values[64*i:])).Equal(by).ToBits()
		}
	} else {
		for i := range mask {
			mask[i] = archsimd.LoadUint8x64((*[64]uint8)(values[64*i:])).LessEqual(by).ToBits()
		}
	}
	archsimd.ClearAVXUpperBits()
}

// maskBytesAVX2 finds what is at most x as what is the lesser of itself and x, in two vectors for each word.
func maskBytesAVX2(mask vec.Bitmap, values []uint8, x uint8, equal bool) {
	by := archsimd.BroadcastUint8x32(x)
	for i := range mask {
		lo, hi := archsimd.LoadUint8x32((*[32]uint8)(values[64*i:])), archsimd.LoadUint8x32((*[32]uint8)(values[64*i+32:]))
		least, most := by, by
		if !equal {
			least, most = lo.Min(by), hi.Min(by)
		}
		mask[i] = uint64(lo.Equal(least).ToBits()) | uint64(hi.Equal(most).ToBits())<<32
	}
	archsimd.ClearAVXUpperBits()
}

// maskWords compares 64 words of 16 bits at a time.
func maskWords(mask vec.Bitmap, values []uint16, x uint16, equal bool) {
	words := len(values) / 64
	switch {
	case haveAVX512:
		maskWordsAVX512(mask[:words], values, x, equal)
	case haveAVX2:
		maskWordsAVX2(mask[:words], values, x, equal)
	default:
		words = 0
	}
	maskPortable(mask[words:], values[64*words:], x, equal)
}

func maskWordsAVX512(mask vec.Bitmap, values []uint16, x uint16, equal bool) {
	by := archsimd.BroadcastUint16x32(x)
	if equal {
		for i := range mask {
			lo := archsimd.LoadUint16x32((*[32]uint16)(values[64*i:])).Equal(by).ToBits()
			hi := archsimd.LoadUint16x32((*[32]uint16)(values[64*i+32:])).Equal(by).ToBits()
			mask[i] = uint64(lo) | uint64(hi)<<32
		}
	} else {
		for i := range mask {
			lo := archsimd.LoadUint16x32((*[32]uint16)(values[64*i:])).LessEqual(by).ToBits()
			hi := archsimd.LoadUint16x32((*[32]uint16)(values[64*i+32:])).LessEqual(by).ToBits()
			mask[i] = uint64(lo) | uint64(hi)<<32
		}
	}
	archsimd.ClearAVXUpperBits()
}

// oddBytes is the second of each two bytes.
var oddBytes = func() (out [32]int8) {
	for i := 1; i < len(out); i += 2 {
		out[i] = -1
	}
	return out
}()

// maskWordsAVX2 has 16 words of 0 or all ones of each comparison. Of two of them it takes the first bytes of the one
// and the second bytes of the other, and parts their bits at the end.
func maskWordsAVX2(mask vec.Bitmap, values []uint16, x uint16, equal bool) {
	by, odd, zero := archsimd.BroadcastUint16x16(x), archsimd.LoadInt8x32(&oddBytes), archsimd.Int8x32{}
	for i := range mask {
		of := values[64*i : 64*i+64]
		var both [2]uint64 // of words 0 to 15 and 32 to 47, and of 16 to 31 and 48 to 63
		for k := range both {
			lo, hi := archsimd.LoadUint16x16((*[16]uint16)(of[16*k:])), archsimd.LoadUint16x16((*[16]uint16)(of[16*k+32:]))
			least, most := by, by
			if !equal {
				least, most = lo.Min(by), hi.Min(by)
			}
			first, second := lo.Equal(least).ToInt16x16().AsInt8x32(), hi.Equal(most).ToInt16x16().AsInt8x32()
			both[k] = uint64(first.AndNot(odd).Or(second.And(odd)).Less(zero).ToBits())
		}
		mask[i] = partBits(both[0] | both[1]<<32)
	}
	archsimd.ClearAVXUpperBits()
}

// partBits is the even bits of a word, then the odd ones: Hacker's Delight, 7-2.
func partBits(x uint64) uint64 {
	x = swapBits(x, 1, 0x2222222222222222)
	x = swapBits(x, 2, 0x0c0c0c0c0c0c0c0c)
	x = swapBits(x, 4, 0x00f000f000f000f0)
	x = swapBits(x, 8, 0x0000ff000000ff00)
	return swapBits(x, 16, 0x00000000ffff0000)
}

// swapBits swaps the bits of a mask with those that are so many places higher.
func swapBits(x uint64, places uint, mask uint64) uint64 {
	t := (x ^ x>>places) & mask
	return x ^ t ^ t<<places
}

// indexOf is where a word, which is not empty, begins first in a text; -1 if it does not. It looks at 64 places at
// once, or 32, for its first and last bytes, in half of the time of bytes.Index, or less where the first is a common
// one.
func indexOf(text []byte, word string) int {
	at, last := 0, len(word)-1
	switch {
	case haveAVX512:
		first, end := archsimd.BroadcastUint8x64(word[0]), archsimd.BroadcastUint8x64(word[last])
		for ; at+64+last <= len(text); at += 64 {
			m := archsimd.LoadUint8x64((*[64]uint8)(text[at:])).Equal(first).ToBits() &
				archsimd.LoadUint8x64((*[64]uint8)(text[at+last:])).Equal(end).ToBits()
			for ; m != 0; m &= m - 1 {
				if i := at + bits.TrailingZeros64(m); string(text[i:i+len(word)]) == word {
					return i
				}
			}
		}
	case haveAVX2:
		first, end := archsimd.BroadcastUint8x32(word[0]), archsimd.BroadcastUint8x32(word[last])
		for ; at+32+last <= len(text); at += 32 {
			m := archsimd.LoadUint8x32((*[32]uint8)(text[at:])).Equal(first).ToBits() &
				archsimd.LoadUint8x32((*[32]uint8)(text[at+last:])).Equal(end).ToBits()
			for ; m != 0; m &= m - 1 {
				if i := at + bits.TrailingZeros32(m); string(text[i:i+len(word)]) == word {
					return i
				}
			}
		}
	}
	if i := bytes.Index(text[at:], []byte(word)); i >= 0 {
		return at + i
	}
	return -1
}
