//go:build goexperiment.simd && amd64

package event

import (
	"math/bits"
	"simd/archsimd"
	"unicode/utf8"
)

// haveAVX2 is asked once a call: a binary built with the kernels also runs on processors that
// lack the instructions.
var haveAVX2 = archsimd.X86.AVX2()

// width is how many bytes are looked at together.
const width = 32

func filled(b byte) (out [width]byte) {
	for i := range out {
		out[i] = b
	}
	return out
}

var quotes, slashes, controls, newlines = filled('"'), filled('\\'), filled(' ' - 1), filled('\n')

func plainEnd(src []byte, p int) int {
	if !haveAVX2 {
		return plainEndPortable(src, p)
	}
	quote, slash, control := archsimd.LoadUint8x32(&quotes), archsimd.LoadUint8x32(&slashes), archsimd.LoadUint8x32(&controls)
	for ; p+width <= len(src); p += width {
		x := archsimd.LoadUint8x32((*[width]byte)(src[p:]))
		if hit := x.Equal(quote).Or(x.Equal(slash)).Or(x.Min(control).Equal(x)).ToBits(); hit != 0 {
			archsimd.ClearAVXUpperBits()
			return p + bits.TrailingZeros32(hit)
		}
	}
	archsimd.ClearAVXUpperBits()
	return plainEndPortable(src, p)
}

// line looks for bytes beyond ASCII on the way to the end.
func line(src []byte) (size int, valid bool) {
	if !haveAVX2 {
		return linePortable(src)
	}
	newline, zero := archsimd.LoadUint8x32(&newlines), archsimd.Int8x32{}
	all := archsimd.Uint8x32{}
	at, end := 0, uint32(0)
	for ; at+width <= len(src); at += width {
		x := archsimd.LoadUint8x32((*[width]byte)(src[at:]))
		if end = x.Equal(newline).ToBits(); end != 0 {
			// Bytes behind the end do not count.
			end = uint32(bits.TrailingZeros32(end))
			beyond := x.AsInt8x32().Less(zero).ToBits() & (1<<end - 1)
			ascii := beyond == 0 && all.AsInt8x32().Less(zero).ToBits() == 0
			archsimd.ClearAVXUpperBits()
			size = at + int(end)
			return size, ascii || utf8.Valid(src[:size])
		}
		all = all.Or(x)
	}
	ascii := all.AsInt8x32().Less(zero).ToBits() == 0
	archsimd.ClearAVXUpperBits()
	rest, valid := linePortable(src[at:])
	size = at + rest
	return size, ascii && valid || utf8.Valid(src[:size])
}

// commonPrefix is how many bytes a and b have in common at their beginnings.
func commonPrefix(a, b []byte) int {
	if !haveAVX2 {
		return commonPrefixPortable(a, b)
	}
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	at := 0
	for ; at+width <= n; at += width {
		x, y := archsimd.LoadUint8x32((*[width]byte)(a[at:])), archsimd.LoadUint8x32((*[width]byte)(b[at:]))
		if same := x.Equal(y).ToBits(); same != 1<<width-1 {
			archsimd.ClearAVXUpperBits()
			return at + bits.TrailingZeros32(^same)
		}
	}
	archsimd.ClearAVXUpperBits()
	return at + commonPrefixPortable(a[at:], b[at:])
}
