package table

import "github.com/prickledb/prickle/storage/vec"

// Sample is rows of a segment, or of a batch, that stand for all that it has: runs of neighbours
// at equal distances, so that both how values spread and what lies beside them shows. What is
// dead counts like the rest. What was read of a segment stays in its cache.
type Sample struct {
	Stands float64 // how many rows of the table the sample stands for

	rows  int
	whole Piece   // of a batch
	of    *Reader // nil: it is of a batch
	from  []sampled
}

// sampled is which rows of a block are in a sample.
type sampled struct {
	block int
	rows  []uint32
}

// How much a sample has: blocks that are decoded for it, runs in all, and rows of a run. Of a table
// of many segments and batches, some are looked at.
const (
	sampleBlocks = 16
	sampleRuns   = 256
	// RunRows is how many rows a run has at most.
	RunRows     = 16
	sampleParts = 8
)

// Samples gives samples of a table: of its segments and batches, or of some of them, evenly.
func (v *Version) Samples() []Sample {
	var parts []Sample
	total := 0.0
	for _, s := range v.Segments {
		if live := int64(s.Rows()) - v.dead(s); live > 0 {
			parts = append(parts, Sample{Stands: float64(live), of: s})
			total += float64(live)
		}
	}
	for _, r := range v.Batches {
		if r.Len() > 0 {
			parts = append(parts, Sample{Stands: float64(r.Len()), whole: Piece{version: v, rows: r}})
			total += float64(r.Len())
		}
	}
	if n := len(parts); n > sampleParts {
		kept, stands := make([]Sample, sampleParts), 0.0
		for i := range kept {
			kept[i] = parts[(2*i+1)*n/(2*sampleParts)]
			stands += kept[i].Stands
		}
		for i := range kept {
			kept[i].Stands *= total / stands
		}
		parts = kept
	}
	for i := range parts {
		parts[i].choose()
	}
	return parts
}

// choose chooses the rows.
func (s *Sample) choose() {
	if s.of == nil {
		s.from = []sampled{{rows: s.runs(s.whole.Rows(), sampleRuns)}}
		return
	}
	blocks := min(sampleBlocks, s.of.Blocks())
	for i := range blocks {
		block := (2*i + 1) * s.of.Blocks() / (2 * blocks)
		s.from = append(s.from, sampled{block, s.runs(s.of.blockRows(block), sampleRuns/blocks)})
	}
}

// runs is the rows of so many runs, of n rows; all if they are not more.
func (s *Sample) runs(n, count int) []uint32 {
	var rows []uint32
	if n <= count*RunRows {
		for i := range n {
			rows = append(rows, uint32(i))
		}
	} else {
		for i := range count {
			first := i * (n - RunRows) / max(1, count-1)
			for k := range RunRows {
				rows = append(rows, uint32(first+k))
			}
		}
	}
	s.rows += len(rows)
	return rows
}

// Rows is how many rows the sample has.
func (s *Sample) Rows() int { return s.rows }

// Column gives the values that the rows of the sample have.
func (s *Sample) Column(c *Column) (*vec.Vector, error) {
	if s.of == nil {
		v, err := s.whole.Column(c)
		if err != nil {
			return nil, err
		}
		return v.Take(s.from[0].rows), nil
	}
	info := s.of.byID[c.ID]
	if info == nil || s.of.cache == nil {
		return as(c.Type)(s.read(c))
	}
	return as(c.Type)(keep(&info.sampled, s.of.cache, s.of, nil, func() (*vec.Vector, error) { return s.read(c) }))
}

// read puts the values of the chosen blocks behind each other.
func (s *Sample) read(c *Column) (*vec.Vector, error) {
	var out *vec.Builder
	for _, f := range s.from {
		v, err := s.of.cached(f.block, c, nil)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = vec.NewBuilder(v.Type)
		}
		for _, r := range f.rows {
			out.AppendFrom(v, int(r))
		}
	}
	return out.V, nil
}
