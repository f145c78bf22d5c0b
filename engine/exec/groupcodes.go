package exec

import (
	"math"

	"github.com/prickledb/prickle/engine/intern"
	"github.com/prickledb/prickle/storage/vec"
)

// combination is what a grouper knows of rows whose keys are all in small dictionaries: for each
// combination of codes the group plus one, 0 if no row had it. One look-up finds the group of a
// row, whatever the types of its keys.
type combination struct {
	dicts  []*vec.Vector // of each key
	sizes  []int         // of the dictionaries, with a code more for NULL
	groups []uint32
}

// maxCombined is how many combinations of codes there may be: as many as the first-level cache
// holds.
const maxCombined = 1 << 13

// combinationOf is what is known of rows with such keys; nil if these are other than small
// dictionaries.
func (g *grouper) combinationOf(cols []*vec.Vector, rows int) *combination {
	size := 1
	for _, v := range cols {
		if v.Form != vec.Dict {
			return nil
		}
		if size *= v.Dict.Len() + 1; size > maxCombined {
			return nil
		}
	}
	for i := range g.combined {
		if c := &g.combined[i]; c.of(cols) {
			return c
		}
	}
	if size > 4*rows {
		return nil // to make room for all costs more than to look up some
	}
	if len(g.combined) < intern.MaxDicts {
		g.combined = append(g.combined, combination{})
	}
	c := &g.combined[g.next%len(g.combined)]
	g.next++
	c.dicts, c.sizes = nil, nil
	for _, v := range cols {
		c.dicts, c.sizes = append(c.dicts, v.Dict), append(c.sizes, v.Dict.Len()+1)
	}
	c.groups = grow(c.groups, size)
	clear(c.groups)
	return c
}

// forgetCodes forgets dictionaries: what follows has other ones, if any.
func (g *grouper) forgetCodes() { g.combined, g.next = nil, 0 }

// of says whether it is of the dictionaries of the keys, as long as they are now.
func (c *combination) of(cols []*vec.Vector) bool {
	for k, v := range cols {
		if c.dicts[k] != v.Dict || c.sizes[k] != v.Dict.Len()+1 {
			return false
		}
	}
	return true
}

// assignCodes is assign for rows whose keys are in small dictionaries.
func (g *grouper) assignCodes(dst []uint32, c *combination, cols []*vec.Vector, rows []uint32) {
	g.codes = grow(g.codes, len(rows))
	for k, v := range cols {
		addCodes(g.codes, v, rows, uint32(c.sizes[k]), k == 0)
	}
	g.fresh, g.freshRows = g.fresh[:0], g.freshRows[:0]
	for i, code := range g.codes {
		n := c.groups[code]
		if n == 0 {
			n = notFound // no other row of the batch need be looked up
			c.groups[code] = n
			g.fresh, g.freshRows = append(g.fresh, code), append(g.freshRows, rows[i])
		}
		dst[i] = n - 1
	}
	if len(g.fresh) == 0 {
		return
	}
	g.freshIDs = grow(g.freshIDs, len(g.fresh))
	g.assignKeys(g.freshIDs, cols, g.freshRows)
	for j, code := range g.fresh {
		c.groups[code] = g.freshIDs[j] + 1
	}
	for i, code := range g.codes {
		dst[i] = c.groups[code] - 1
	}
}

// notFound stands for a group that is being looked up.
const notFound = math.MaxUint32

// addCodes adds the codes of a key to combined ones.
func addCodes(codes []uint32, v *vec.Vector, rows []uint32, size uint32, first bool) {
	own := v.Codes
	switch {
	case len(v.Nulls) > 0:
		for i, r := range rows {
			code := own[r]
			if v.Nulls.Get(int(r)) {
				code = size - 1
			}
			if !first {
				code += codes[i] * size
			}
			codes[i] = code
		}
	case first:
		for i, r := range rows {
			codes[i] = own[r]
		}
	default:
		for i, r := range rows {
			codes[i] = codes[i]*size + own[r]
		}
	}
}
