package segment

import "bytes"

// Stretch is rows [Lo, Hi) of a segment whose properties are in the same columns: those of an event name, or
// of several that follow each other and are rare.
type Stretch struct {
	Lo, Hi int

	r       *Reader
	group   *group
	at      int    // first row in the group
	carried []byte // bit i: some row may carry column i of the group; empty: any may
}

// Join is the rows of ranges, of which there is at least one, as one stretch. They must follow each other,
// and each must share its columns with the first (SharesColumns).
func Join(ranges []*Range) *Stretch {
	joined := ranges[0].Stretch
	joined.Hi = ranges[len(ranges)-1].Hi
	joined.carried = bytes.Clone(joined.carried)
	for _, g := range ranges[1:] {
		if len(g.carried) != len(joined.carried) {
			joined.carried = nil
			break
		}
		for i, bits := range g.carried {
			joined.carried[i] |= bits
		}
	}
	return &joined
}

// SharesColumns says whether the properties of both ranges are in the same columns of one segment.
func (g *Range) SharesColumns(other *Range) bool { return g.group == other.group }

// carries says whether a row may have a value in a column of the group.
func (s *Stretch) carries(column int) bool {
	marks := s.carried
	return len(marks) == 0 || column/8 < len(marks) && marks[column/8]>>(column%8)&1 != 0
}
