package event

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// PlainEnd is the position of the first byte from p on that is not plain text inside a
// JSON string: a quote, a backslash or a control character.
func PlainEnd(src []byte, p int) int { return plainEnd(src, p) }

// Line is the size of the first line of src, without its end, and whether it is UTF-8.
func Line(src []byte) (size int, valid bool) { return line(src) }

const ones, tops = 0x0101010101010101, 0x8080808080808080

func plainEndPortable(src []byte, p int) int {
	for p+8 <= len(src) {
		x := binary.LittleEndian.Uint64(src[p:])
		quote, slash := x^ones*'"', x^ones*'\\'
		// The top bit of each byte that is zero, or below a blank. A borrow makes
		// false ones, but only above a true one, and the lowest is what counts.
		if hit := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & tops; hit != 0 {
			return p + bits.TrailingZeros64(hit)>>3
		}
		p += 8
	}
	for p < len(src) && src[p] != '"' && src[p] != '\\' && src[p] >= ' ' {
		p++
	}
	return p
}

func linePortable(src []byte) (size int, valid bool) {
	if size = bytes.IndexByte(src, '\n'); size < 0 {
		size = len(src)
	}
	return size, utf8.Valid(src[:size])
}

// commonPrefixPortable is how many bytes a and b have in common at their beginnings.
func commonPrefixPortable(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	at := 0
	for ; at+8 <= n; at += 8 {
		if x := binary.LittleEndian.Uint64(a[at:]) ^ binary.LittleEndian.Uint64(b[at:]); x != 0 {
			return at + bits.TrailingZeros64(x)>>3
		}
	}
	for at < n && a[at] == b[at] {
		at++
	}
	return at
}
