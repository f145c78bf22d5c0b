//go:build goexperiment.simd && amd64

package encoding

import (
	"encoding/binary"
	"simd/archsimd"
)

// haveAVX512 and haveAVX2 are asked once a group: a binary built with the kernels also runs on
// processors that lack the instructions.
var haveAVX512, haveAVX2 = archsimd.X86.AVX512(), archsimd.X86.AVX2()

// unpack fills dst with values of a width and adds base to each. The width is at most
// 32, and src holds at least 64 bytes a bit of it.
func unpack(dst *[GroupRows]uint32, src []byte, base uint32, width uint) {
	switch {
	case width > 0 && haveAVX512:
		unpackAVX512(dst, src, base, width)
	case width > 0 && haveAVX2:
		unpackAVX2(dst, src, base, width)
	default:
		unpackPortable(dst, src, base, width)
	}
}

// unpackSums fills dst with first and the sums from there on of the differences that
// src holds less least. The first packed difference is not used.
func unpackSums(dst *[GroupRows]uint32, src []byte, first, least uint32, width uint) {
	switch {
	case width > 0 && haveAVX512:
		unpackSumsAVX512(dst, src, first, least, width)
	case width > 0 && haveAVX2:
		unpackSumsAVX2(dst, src, first, least, width)
	default:
		unpackSumsPortable(dst, src, first, least, width)
	}
}

// expandRuns makes values of runs.
func expandRuns(dst, values, lengths []uint32, rows, lo int) bool {
	var ok bool
	switch {
	case haveAVX512:
		ok = expandRunsAVX512(dst, values, lengths, rows, lo)
	case haveAVX2:
		ok = expandRunsAVX2(dst, values, lengths, rows, lo)
	default:
		return expandRunsPortable(dst, values, lengths, rows, lo)
	}
	archsimd.ClearAVXUpperBits()
	return ok
}

// expandRunsAVX512 writes 16 values at once, as long as there is room for them: what is too much
// of a run, those to come overwrite.
func expandRunsAVX512(dst, values, lengths []uint32, rows, lo int) bool {
	at := -lo // where the run begins in dst
	for i, v := range values {
		length := int(lengths[i]) + 1
		if length > rows-lo-at {
			return false
		}
		from := max(at, 0)
		if at += length; at <= 0 {
			continue
		}
		wide, end := archsimd.BroadcastUint32x16(v), min(at, len(dst))
		for ; from < end && from+lanes <= len(dst); from += lanes {
			wide.Store((*[lanes]uint32)(dst[from:]))
		}
		for ; from < end; from++ {
			dst[from] = v
		}
		if at >= len(dst) {
			return true
		}
	}
	return false
}

// expandRunsAVX2 is expandRunsAVX512 with half as many values at once.
func expandRunsAVX2(dst, values, lengths []uint32, rows, lo int) bool {
	at := -lo
	for i, v := range values {
		length := int(lengths[i]) + 1
		if length > rows-lo-at {
			return false
		}
		from := max(at, 0)
		if at += length; at <= 0 {
			continue
		}
		wide, end := archsimd.BroadcastUint32x8(v), min(at, len(dst))
		for ; from < end && from+lanes/2 <= len(dst); from += lanes / 2 {
			wide.Store((*[lanes / 2]uint32)(dst[from:]))
		}
		for ; from < end; from++ {
			dst[from] = v
		}
		if at >= len(dst) {
			return true
		}
	}
	return false
}

// unpackAVX512 takes a value of all 16 lanes at each step, from the word it starts in and
// the one after. It does not ask whether a value reaches into the second word: bits beyond
// the width are masked away, and a shift by 32 leaves none. The width is not 0.
func unpackAVX512(dst *[GroupRows]uint32, src []byte, base uint32, width uint) {
	bases := archsimd.BroadcastUint32x16(base)
	mask := archsimd.BroadcastUint32x16(uint32(1<<width - 1))
	step := archsimd.BroadcastUint32x16(uint32(width))
	low5, full := archsimd.BroadcastUint32x16(31), archsimd.BroadcastUint32x16(32)
	bits := archsimd.BroadcastUint32x16(0)
	last := width - 1 // the word that the last value ends in
	for r := uint(0); r < GroupRows/lanes; r++ {
		word := r * width >> 5
		p := archsimd.LoadUint8x64((*[64]byte)(src[word<<6:])).AsUint32x16()
		q := archsimd.LoadUint8x64((*[64]byte)(src[min(word+1, last)<<6:])).AsUint32x16()
		shift := bits.And(low5)
		bits = bits.Add(step)
		v := p.ShiftRight(shift).Or(q.ShiftLeft(full.Sub(shift))).And(mask).Add(bases)
		v.Store((*[lanes]uint32)(dst[r*lanes:]))
	}
	archsimd.ClearAVXUpperBits()
}

// before1 to before8 name, for each lane, the lane that many before it. Where there is
// none they name the first lane of a second vector, which is zero.
var (
	before1 = [lanes]uint32{16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}
	before2 = [lanes]uint32{16, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	before4 = [lanes]uint32{16, 16, 16, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	before8 = [lanes]uint32{16, 16, 16, 16, 16, 16, 16, 16, 0, 1, 2, 3, 4, 5, 6, 7}
)

// unpackSumsAVX512 sums within each step by doubling the reach of every lane four times.
// Only the carry, the last lane of the step before, waits for that step.
func unpackSumsAVX512(dst *[GroupRows]uint32, src []byte, first, least uint32, width uint) {
	bases := archsimd.BroadcastUint32x16(least)
	mask := archsimd.BroadcastUint32x16(uint32(1<<width - 1))
	step := archsimd.BroadcastUint32x16(uint32(width))
	low5, full := archsimd.BroadcastUint32x16(31), archsimd.BroadcastUint32x16(32)
	zero, lane15 := archsimd.BroadcastUint32x16(0), archsimd.BroadcastUint32x16(lanes-1)
	by1, by2 := archsimd.LoadUint32x16(&before1), archsimd.LoadUint32x16(&before2)
	by4, by8 := archsimd.LoadUint32x16(&before4), archsimd.LoadUint32x16(&before8)
	bits := zero
	// Less the packed difference that is not used, so that the first sum is first.
	carry := archsimd.BroadcastUint32x16(first - least - binary.LittleEndian.Uint32(src)&uint32(1<<width-1))
	last := width - 1
	for r := uint(0); r < GroupRows/lanes; r++ {
		word := r * width >> 5
		p := archsimd.LoadUint8x64((*[64]byte)(src[word<<6:])).AsUint32x16()
		q := archsimd.LoadUint8x64((*[64]byte)(src[min(word+1, last)<<6:])).AsUint32x16()
		shift := bits.And(low5)
		bits = bits.Add(step)
		v := p.ShiftRight(shift).Or(q.ShiftLeft(full.Sub(shift))).And(mask).Add(bases)
		v = v.Add(v.ConcatPermute(zero, by1))
		v = v.Add(v.ConcatPermute(zero, by2))
		v = v.Add(v.ConcatPermute(zero, by4))
		v = v.Add(v.ConcatPermute(zero, by8))
		v.Add(carry).Store((*[lanes]uint32)(dst[r*lanes:]))
		carry = carry.Add(v.Permute(lane15))
	}
	archsimd.ClearAVXUpperBits()
}

// unpackAVX2 is unpackAVX512 with two vectors for the lanes of a step.
func unpackAVX2(dst *[GroupRows]uint32, src []byte, base uint32, width uint) {
	bases := archsimd.BroadcastUint32x8(base)
	mask := archsimd.BroadcastUint32x8(uint32(1<<width - 1))
	last := width - 1
	for r := uint(0); r < GroupRows/lanes; r++ {
		bit := r * width
		word := bit >> 5
		p, q := (*[64]byte)(src[word<<6:]), (*[64]byte)(src[min(word+1, last)<<6:])
		right, left := archsimd.BroadcastUint32x8(uint32(bit&31)), archsimd.BroadcastUint32x8(uint32(32-bit&31))
		low := archsimd.LoadUint8x32((*[32]byte)(p[:32])).AsUint32x8().ShiftRight(right).Or(archsimd.LoadUint8x32((*[32]byte)(q[:32])).AsUint32x8().ShiftLeft(left))
		high := archsimd.LoadUint8x32((*[32]byte)(p[32:])).AsUint32x8().ShiftRight(right).Or(archsimd.LoadUint8x32((*[32]byte)(q[32:])).AsUint32x8().ShiftLeft(left))
		out := (*[lanes]uint32)(dst[r*lanes:])
		low.And(mask).Add(bases).Store((*[8]uint32)(out[:8]))
		high.And(mask).Add(bases).Store((*[8]uint32)(out[8:]))
	}
	archsimd.ClearAVXUpperBits()
}

// back1 to back4 name, for each of 8 lanes, the lane that many before it; kept1 to kept4 are zero where
// there is none.
var (
	back1 = [8]uint32{0, 0, 1, 2, 3, 4, 5, 6}
	back2 = [8]uint32{0, 0, 0, 1, 2, 3, 4, 5}
	back4 = [8]uint32{0, 0, 0, 0, 0, 1, 2, 3}
	kept1 = [8]uint32{0, ones, ones, ones, ones, ones, ones, ones}
	kept2 = [8]uint32{0, 0, ones, ones, ones, ones, ones, ones}
	kept4 = [8]uint32{0, 0, 0, 0, ones, ones, ones, ones}
)

const ones = 1<<32 - 1

// unpackSumsAVX2 is unpackSumsAVX512 over what unpackAVX2 gives, which is in the nearest cache.
func unpackSumsAVX2(dst *[GroupRows]uint32, src []byte, first, least uint32, width uint) {
	unpackAVX2(dst, src, least, width)
	by1, by2, by4 := archsimd.LoadUint32x8(&back1), archsimd.LoadUint32x8(&back2), archsimd.LoadUint32x8(&back4)
	keep1, keep2, keep4 := archsimd.LoadUint32x8(&kept1), archsimd.LoadUint32x8(&kept2), archsimd.LoadUint32x8(&kept4)
	lane7 := archsimd.BroadcastUint32x8(7)
	carry := archsimd.BroadcastUint32x8(first - dst[0])
	for at := 0; at < GroupRows; at += 8 {
		out := (*[8]uint32)(dst[at:])
		v := archsimd.LoadUint32x8(out)
		v = v.Add(v.Permute(by1).And(keep1))
		v = v.Add(v.Permute(by2).And(keep2))
		v = v.Add(v.Permute(by4).And(keep4))
		v.Add(carry).Store(out)
		carry = carry.Add(v.Permute(lane7))
	}
	archsimd.ClearAVXUpperBits()
}
