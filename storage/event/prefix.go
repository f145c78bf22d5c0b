package event

import (
	"encoding/binary"
	"math/bits"
)

// commonPrefix is how many bytes a and b have in common at their beginnings.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	at := 0
	for ; at+32 <= n; at += 32 {
		x, y := a[at:at+32], b[at:at+32]
		if differ(x, y)|differ(x[8:], y[8:])|differ(x[16:], y[16:])|differ(x[24:], y[24:]) != 0 {
			break
		}
	}
	for ; at+8 <= n; at += 8 {
		if x := differ(a[at:], b[at:]); x != 0 {
			return at + bits.TrailingZeros64(x)>>3
		}
	}
	for at < n && a[at] == b[at] {
		at++
	}
	return at
}

// differ is the bits in which the first eight bytes of a and b differ.
func differ(a, b []byte) uint64 {
	return binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b)
}
