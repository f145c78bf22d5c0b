package event

import (
	"encoding/binary"
	"math/bits"
)

// PlainEnd is the position of the first byte from p on that is not plain text inside a
// JSON string: a quote, a backslash or a control character.
func PlainEnd(src []byte, p int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
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

// AppendJSONString adds text as jsonb prints a string: quoted, and escaped no more than it
// must be.
func AppendJSONString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for {
		n := PlainEnd(text, 0)
		dst = append(dst, text[:n]...)
		if n == len(text) {
			return append(dst, '"')
		}
		switch c := text[n]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
		text = text[n+1:]
	}
}

// AppendJSON adds a value of a batch as canonical JSON.
func AppendJSON(dst []byte, kind Kind, value []byte) []byte {
	switch kind {
	case Null:
		return append(dst, "null"...)
	case Text:
		return AppendJSONString(dst, value)
	}
	return append(dst, value...)
}
