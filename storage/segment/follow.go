package segment

import (
	"cmp"
	"slices"

	"github.com/prickledb/prickle/storage/encoding"
)

// Some properties are functions of others: a path of its URL, a country of its city. The codes
// of such a column are not stored for each row. It follows its leader: for each code of the
// leader, its own code is stored. Which column that is, is found out from the codes alone.

const (
	// followGain is how many bits a row following must save: reading a column that follows is
	// reading its leader and one look-up a row.
	followGain = 1
	// followShare is how large a part of the codes what is stored in their place may be.
	followShare = 4
	// followSamples and sampleRows say which rows are looked at before all of a column are:
	// so many, at so many places.
	followSamples, sampleRows = 3, 1024
)

// space is how many codes a column has.
func (c *columnEntry) space() int {
	n := 0
	for _, k := range c.counts {
		n += k
	}
	if c.nullable {
		n++
	}
	return n
}

// follow has columns of a group of so many rows follow others. Columns with more codes lead,
// and a leader follows nobody.
func follow(columns []columnOut, rows int) error {
	var order []int // columns with a dictionary, those with the most codes first
	for i := range columns {
		if !columns[i].entry.plain {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(columns[y].entry.space(), columns[x].entry.space()) })
	worth := func(c *columnEntry) bool { return c.codes.size*8 > followGain*rows }
	if len(order) < 2 || !slices.ContainsFunc(order, func(i int) bool { return worth(&columns[i].entry) }) {
		return nil
	}
	// A pair whose codes do not go together in some rows will not in all of them.
	samples := make([][]uint32, len(columns))
	before := make([][]uint32, len(columns)) // of a sample: an earlier row with the same code, or the row itself
	open := make([]*encoding.Column, len(columns))
	for _, i := range order {
		var err error
		if open[i], err = encoding.OpenColumn(columns[i].data[:columns[i].entry.codes.size], rows); err != nil {
			return err
		}
		if samples[i], err = sampleOf(open[i], rows); err != nil {
			return err
		}
	}
	var leaders []int
	for _, i := range order {
		c := &columns[i]
		if worth(&c.entry) {
			// The leader with the fewest codes takes the least room.
			for _, l := range slices.Backward(leaders) {
				lead := &columns[l].entry
				if lead.space() > rows/2 {
					continue // about as many codes as rows
				}
				if before[l] == nil {
					before[l] = earlier(samples[l], lead.space())
				}
				if !goTogether(samples[i], before[l]) {
					continue
				}
				of, ok, err := codesBy(open[l], open[i], lead.space(), rows)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				packed := encoding.AppendColumn(nil, of)
				old := c.entry.codes.size
				if len(packed)*followShare > old || (old-len(packed))*8 < followGain*rows {
					continue
				}
				c.entry.leader, c.entry.codes.size = l, len(packed)
				c.data = append(packed, c.data[old:]...)
				break
			}
		}
		if c.entry.leader == noLeader {
			leaders = append(leaders, i)
		}
	}
	return nil
}

// sampleOf is rows from all over a column.
func sampleOf(c *encoding.Column, rows int) ([]uint32, error) {
	out := make([]uint32, 0, followSamples*sampleRows)
	for k := range followSamples {
		lo := k * rows / followSamples
		n := min(sampleRows, (k+1)*rows/followSamples-lo)
		if err := c.Read(out[len(out):len(out)+n], lo); err != nil {
			return nil, err
		}
		out = out[:len(out)+n]
	}
	return out, nil
}

// earlier is, for each position, the one before it with the same code, or itself.
func earlier(codes []uint32, space int) []uint32 {
	seen := make([]uint32, space) // one more than the last position
	out := make([]uint32, len(codes))
	for i, c := range codes {
		if out[i] = uint32(i); seen[c] != 0 {
			out[i] = seen[c] - 1
		}
		seen[c] = uint32(i) + 1
	}
	return out
}

// goTogether says whether codes are the same wherever those of a leader are.
func goTogether(codes, before []uint32) bool {
	for i, b := range before {
		if codes[i] != codes[b] {
			return false
		}
	}
	return true
}

// codesBy is the codes of a column by the codes of its leader, unless it does not follow.
func codesBy(leader, c *encoding.Column, space, rows int) (of []uint32, ok bool, err error) {
	of = make([]uint32, space) // one more than the code
	from, to := encoding.GetScratch(), encoding.GetScratch()
	defer from.Put()
	defer to.Put()
	for lo := 0; lo < rows; lo += encoding.BlockRows {
		n := min(encoding.BlockRows, rows-lo)
		if err := leader.Read(from[:n], lo); err != nil {
			return nil, false, err
		}
		if err := c.Read(to[:n], lo); err != nil {
			return nil, false, err
		}
		for i, l := range from[:n] {
			switch of[l] {
			case 0:
				of[l] = to[i] + 1
			case to[i] + 1:
			default:
				return nil, false, nil
			}
		}
	}
	for l := range of {
		if of[l] == 0 { // no row has it
			return nil, false, nil
		}
		of[l]--
	}
	return of, true, nil
}

// following is the codes of a column that follows, by the codes of its leader.
func (c *column) following() ([]uint32, error) {
	of, err := c.follows.get(c.r, func() (*[]uint32, error) {
		col, err := c.r.openColumn(c.name("codes"), c.entry.codes, c.leader.entry.space())
		if err != nil {
			return nil, err
		}
		of := make([]uint32, col.Len())
		if err := c.r.touch(func() error { return col.Read(of, 0) }); err != nil {
			return nil, c.r.corrupt(c.name("codes"), c.entry.codes, err)
		}
		return &of, c.check(of)
	})
	if err != nil {
		return nil, err
	}
	return *of, nil
}

// lead turns codes of the leader of a column into the column's own.
func lead(codes, of []uint32) {
	for i, l := range codes {
		codes[i] = of[l]
	}
}
