package event

import "math"

// Codes is a code for each row, in one, two or four bytes as the largest one needs: most
// properties have few values, and the codes are most of what rows take in memory. The zero
// value has no rows.
type Codes struct {
	narrow []uint8 // one of the three is in use
	middle []uint16
	wide   []uint32
}

// NewCodes is codes that are all 0, with room for codes up to most.
func NewCodes(rows int, most uint32) Codes {
	switch CodeBytes(most) {
	case 1:
		return Codes{narrow: make([]uint8, rows)}
	case 2:
		return Codes{middle: make([]uint16, rows)}
	}
	return Codes{wide: make([]uint32, rows)}
}

// WideCodes is codes in memory that is lent to them.
func WideCodes(codes []uint32) Codes { return Codes{wide: codes} }

// CodeBytes is how many bytes a code up to most takes.
func CodeBytes(most uint32) int {
	switch {
	case most <= math.MaxUint8:
		return 1
	case most <= math.MaxUint16:
		return 2
	}
	return 4
}

// Len is how many rows there are.
func (c *Codes) Len() int { return len(c.narrow) + len(c.middle) + len(c.wide) }

// At is the code of a row.
func (c *Codes) At(row int) uint32 {
	switch {
	case c.narrow != nil:
		return uint32(c.narrow[row])
	case c.middle != nil:
		return uint32(c.middle[row])
	}
	return c.wide[row]
}

// Set changes the code of a row.
func (c *Codes) Set(row int, code uint32) {
	switch size := CodeBytes(code); {
	case c.narrow != nil && size == 1:
		c.narrow[row] = uint8(code)
	case c.middle != nil && size <= 2:
		c.middle[row] = uint16(code)
	case c.wide != nil:
		c.wide[row] = code
	default:
		wider := NewCodes(c.Len(), code)
		for i := range c.Len() {
			wider.Set(i, c.At(i))
		}
		*c = wider
		c.Set(row, code)
	}
}

// Wide is the codes, in memory of the batch, if they have four bytes each.
func (c *Codes) Wide() ([]uint32, bool) { return c.wide, c.wide != nil }

// Read gives the codes of the first rows.
func (c *Codes) Read(dst []uint32) {
	switch {
	case c.narrow != nil:
		convert(dst, c.narrow[:len(dst)])
	case c.middle != nil:
		convert(dst, c.middle[:len(dst)])
	default:
		copy(dst, c.wide[:len(dst)])
	}
}

// Take gives the codes of some rows.
func (c *Codes) Take(dst, rows []uint32) {
	switch {
	case c.narrow != nil:
		gather(dst, c.narrow, rows)
	case c.middle != nil:
		gather(dst, c.middle, rows)
	default:
		gather(dst, c.wide, rows)
	}
}

type code interface{ uint8 | uint16 | uint32 }

func convert[D, S code](dst []D, src []S) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = D(v)
	}
}

func gather[S code](dst []uint32, src []S, rows []uint32) {
	dst = dst[:len(rows)]
	for i, r := range rows {
		dst[i] = uint32(src[r])
	}
}
