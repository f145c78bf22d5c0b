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

// haveAVX512 is asked once a call: a binary built with the kernels also runs on processors that
// lack the instructions.
var haveAVX512 = archsimd.X86.AVX512()

// truths are the eight bits of each byte as bytes of 0 or 1, the lowest first.
var truths = func() (out [256]uint64) {
	for m := range out {
		for bit := range 8 {
			out[m] |= uint64(m>>bit&1) << (8 * bit)
		}
	}
	return out
}()

// compareConst compares numbers with one, eight at a time: half of the time of the portable loop, or less.
func compareConst(dst []bool, a []int64, x int64, op comparison) {
	n := len(dst) &^ 7
	if n == 0 || !haveAVX512 {
		compareConstPortable(dst, a, x, op)
		return
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
	compareConstPortable(dst[n:], a[n:], x, op)
}

// maskBytes compares 64 bytes at a time.
func maskBytes(mask vec.Bitmap, values []uint8, x uint8, equal bool) {
	words := len(values) / 64
	if words == 0 || !haveAVX512 {
		maskPortable(mask, values, x, equal)
		return
	}
	by := archsimd.BroadcastUint8x64(x)
	if equal {
		for i := range words {
			mask[i] = archsimd.LoadUint8x64((*[64]uint8)(values[64*i:])).Equal(by).ToBits()
		}
	} else {
		for i := range words {
			mask[i] = archsimd.LoadUint8x64((*[64]uint8)(values[64*i:])).LessEqual(by).ToBits()
		}
	}
	archsimd.ClearAVXUpperBits()
	maskPortable(mask[words:], values[64*words:], x, equal)
}

// maskWords compares 64 words of 16 bits at a time.
func maskWords(mask vec.Bitmap, values []uint16, x uint16, equal bool) {
	words := len(values) / 64
	if words == 0 || !haveAVX512 {
		maskPortable(mask, values, x, equal)
		return
	}
	by := archsimd.BroadcastUint16x32(x)
	if equal {
		for i := range words {
			lo := archsimd.LoadUint16x32((*[32]uint16)(values[64*i:])).Equal(by).ToBits()
			hi := archsimd.LoadUint16x32((*[32]uint16)(values[64*i+32:])).Equal(by).ToBits()
			mask[i] = uint64(lo) | uint64(hi)<<32
		}
	} else {
		for i := range words {
			lo := archsimd.LoadUint16x32((*[32]uint16)(values[64*i:])).LessEqual(by).ToBits()
			hi := archsimd.LoadUint16x32((*[32]uint16)(values[64*i+32:])).LessEqual(by).ToBits()
			mask[i] = uint64(lo) | uint64(hi)<<32
		}
	}
	archsimd.ClearAVXUpperBits()
	maskPortable(mask[words:], values[64*words:], x, equal)
}

// indexOf is where a word, which is not empty, begins first in a text; -1 if it does not. It looks at 64 places at
// once for its first and last bytes, in half of the time of bytes.Index, or less where the first is a common one.
func indexOf(text []byte, word string) int {
	at, last := 0, len(word)-1
	if haveAVX512 {
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
	}
	if i := bytes.Index(text[at:], []byte(word)); i >= 0 {
		return at + i
	}
	return -1
}
