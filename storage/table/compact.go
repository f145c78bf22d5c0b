package table

import "github.com/RoaringBitmap/roaring/v2"

// deadShare is which part of a segment's rows must be dead for it to be written anew: one
// over it.
const deadShare = 3

// Merge is segments that become one: [From, To) in the list that was planned for. The one
// that takes the rows of a flush has To at the end of the list.
type Merge struct{ From, To int }

// Plan says which of a table's segments, ascending, to write anew while so many new rows
// become a segment behind them. Segments that are small beside what follows them join it,
// so a row is written a logarithmic number of times and a table has a logarithmic number
// of small segments; segments with many dead rows are rewritten alone. The first merge of
// the result is the one with the new rows; it may be empty.
func Plan(segments []*Reader, rows int, dead *roaring.Bitmap) []Merge {
	from := len(segments)
	size := int64(0)
	for from > 0 && rows > 0 {
		s := segments[from-1]
		live := s.Rows() - int(deadIn(dead, s))
		if live > 2*rows || rows+live > maxSegmentRows || size+s.Size() > maxMergeBytes {
			break
		}
		rows, size = rows+live, size+s.Size()
		from--
	}
	out := []Merge{{from, len(segments)}}
	for i, s := range segments[:from] {
		if deadIn(dead, s)*deadShare > int64(s.Rows()) {
			out = append(out, Merge{i, i + 1})
		}
	}
	return out
}
