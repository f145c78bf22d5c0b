package event

import (
	"math"
	"slices"
)

// Codes is a code for each row, in one, two or four bytes as the largest one needs: most
// properties have few values, and the codes are most of what rows take in memory. Where few rows
// have a code other than 0, only theirs are kept. The zero value has no rows.
type Codes struct {
	narrow []uint8 // one of the three is in use
	middle []uint16
	wide   []uint32

	// some are the rows whose codes these are, ascending; nil: all.
	some []uint32
	rows int // how many there are, if some is not nil
}

// fewShare is how many rows there must be for each that has a code for only these to be kept: then
// they take less, with the numbers of their rows, than a byte for every row.
const fewShare = 8

// areFew says whether only the codes of n of so many rows are kept, the others being 0.
func areFew(n, rows int) bool { return n > 0 && n <= rows/fewShare }

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
func (c *Codes) Len() int {
	if c.some != nil {
		return c.rows
	}
	return c.Kept()
}

// Kept is how many codes are kept: Len, or fewer.
func (c *Codes) Kept() int { return len(c.narrow) + len(c.middle) + len(c.wide) }

// Some are the rows that have another code than 0, ascending, if only their codes are kept; ok is
// false if all are. The slice is the codes' own.
func (c *Codes) Some() (rows []uint32, ok bool) { return c.some, c.some != nil }

// At is the code of a row.
func (c *Codes) At(row int) uint32 {
	if c.some == nil {
		return c.kept(row)
	}
	if at, found := slices.BinarySearch(c.some, uint32(row)); found {
		return c.kept(at)
	}
	return 0
}

// Next is At for rows that ascend from call to call; from is 0 before the first.
func (c *Codes) Next(row int, from *int) uint32 {
	if c.some == nil {
		return c.kept(row)
	}
	for *from < len(c.some) && c.some[*from] < uint32(row) {
		*from++
	}
	if *from < len(c.some) && c.some[*from] == uint32(row) {
		return c.kept(*from)
	}
	return 0
}

// kept is the i-th code that is kept.
func (c *Codes) kept(i int) uint32 {
	switch {
	case c.narrow != nil:
		return uint32(c.narrow[i])
	case c.middle != nil:
		return uint32(c.middle[i])
	}
	return c.wide[i]
}

// Set changes the code of a row.
func (c *Codes) Set(row int, code uint32) {
	switch size := CodeBytes(code); {
	case c.some != nil: // from now on all are kept
		c.remake(code)
		c.Set(row, code)
	case c.narrow != nil && size == 1:
		c.narrow[row] = uint8(code)
	case c.middle != nil && size <= 2:
		c.middle[row] = uint16(code)
	case c.wide != nil:
		c.wide[row] = code
	default:
		c.remake(code)
		c.Set(row, code)
	}
}

// remake keeps the codes of all rows, with room for codes up to most.
func (c *Codes) remake(most uint32) {
	for i := range c.Kept() {
		most = max(most, c.kept(i))
	}
	all := NewCodes(c.Len(), most)
	for i := range c.Kept() {
		row := i
		if c.some != nil {
			row = int(c.some[i])
		}
		all.Set(row, c.kept(i))
	}
	*c = all
}

// Wide is the codes, in memory of the batch, if there are four bytes for each row.
func (c *Codes) Wide() ([]uint32, bool) { return c.wide, c.wide != nil && c.some == nil }

// Read gives the codes of the first rows.
func (c *Codes) Read(dst []uint32) {
	if c.some == nil {
		c.ReadKept(dst)
		return
	}
	clear(dst)
	for i, row := range c.some {
		if int(row) >= len(dst) {
			return
		}
		dst[row] = c.kept(i)
	}
}

// ReadKept gives the first codes that are kept.
func (c *Codes) ReadKept(dst []uint32) {
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
	case c.some != nil:
		for i, r := range rows {
			dst[i] = c.At(int(r))
		}
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
