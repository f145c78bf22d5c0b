package table

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// A segment is rows in the order of their numbers, or in one that the table says, in blocks of at
// most 8,192:
//
//	+-------------+-------------+-------------+-----+-----------+--------------+--------+---------+
//	| prktabl2(8) | block 0 of  | block 1 of  | ... | directory | dir size(u32)| crc(4) | ptab(4) |
//	|             | each column | each column |     |           |              |        |         |
//	+-------------+-------------+-------------+-----+-----------+--------------+--------+---------+
//	                                                |<------ footer ------------------->|
//
// The footer's checksum covers the directory and its size; each block has its own. The first
// column is the numbers of the rows, as bigint with column number 0; the others follow by
// number. The directory is varints: rows, first and last row number, columns; of each
// column: number, kind(1), array(1), modifier (zigzag); then of each block, until no row is
// left: rows; of each column: size of the block, size of the zone, zone. A zone is a block of two
// values, the least and the greatest of those that are not null; it is empty if there is none, or
// if one of the two takes more than 64 bytes.
//
// A block may have fewer rows than fit, so that one can be copied as it is, from another segment
// or from what a statement has encoded. In version 1 (prktabl1) the directory does not say how
// many: all blocks but the last have 8,192 rows. In version 3 (prktabl3) the rows lie in the order
// that the table says, not in that of their numbers; and all blocks of a column lie behind each other,
// then those of the next one, while the directory is as in version 2.
const (
	segmentMagic  = "prktabl2"
	segmentMagic1 = "prktabl1"
	segmentMagic3 = "prktabl3"
	segmentTail   = "ptab"
	segmentFooter = 12
	maxZoneValue  = 64
)

const (
	// maxSegmentRows is how many rows a merge puts into one segment: it is built in memory.
	maxSegmentRows = 4 << 20
	// maxMergeBytes bounds the files that are merged into one, for the same reason.
	maxMergeBytes = 256 << 20
	// maxColumns is how many columns a table may have, as in PostgreSQL.
	maxColumns = 1600
	// copyLeast is how many rows a block must have to be copied. Smaller ones are put together,
	// which means to encode their rows again; so at most every other block has fewer.
	copyLeast = vec.BatchRows / 2
)

// rowNumbers is the column that holds the numbers of rows.
var rowNumbers = Column{Type: vec.T(vec.Int8)}

// Build makes a segment of the rows of segments and batches that are not dead, which
// ascend. It is nil if there are none. Rows without a column of the schema get what the
// column says that they have. The rows lie in the order of the schema, or else by number.
func Build(schema *Schema, segments []*Reader, batches []*Rows, dead *roaring.Bitmap) ([]byte, error) {
	v := &Version{Schema: schema, Segments: segments, Batches: batches, Dead: dead, Hidden: roaring.New()}
	size := 0
	for _, s := range segments {
		size += int(s.Size())
	}
	for _, r := range batches {
		if r.Encoded != nil {
			size += int(r.Encoded.Bytes())
		}
	}
	if schema.sorted() || slices.ContainsFunc(segments, func(s *Reader) bool { return s.version == 3 }) {
		return buildSorted(schema, v.Pieces(), size)
	}
	b := newBuilder(schema, segmentMagic, size)
	for _, p := range v.Pieces() {
		if err := b.add(&p); err != nil {
			return nil, err
		}
	}
	return b.finish()
}

// builder is a segment being written.
type builder struct {
	columns []Column // rowNumbers first
	out     []byte
	dir     []byte // of the blocks so far
	values  []vec.Builder
	rows    int
	first   uint32
	last    uint32
}

// newBuilder begins a segment of about size bytes.
func newBuilder(schema *Schema, magic string, size int) *builder {
	b := &builder{out: append(make([]byte, 0, size), magic...), columns: append([]Column{rowNumbers}, schema.Columns...)}
	b.begin()
	return b
}

func (b *builder) begin() {
	b.values = make([]vec.Builder, len(b.columns))
	for i := range b.columns {
		b.values[i] = *vec.NewBuilder(b.columns[i].Type)
	}
}

// add takes the rows of a piece that are there.
func (b *builder) add(p *Piece) error {
	live, err := p.Live()
	if err != nil {
		return err
	}
	if live == nil && p.Rows() >= copyLeast && p.encoded() {
		return b.copy(p)
	}
	ids, err := p.IDs()
	if err != nil {
		return err
	}
	columns := make([]*vec.Vector, len(b.columns))
	for i := 1; i < len(columns); i++ {
		if columns[i], err = p.once(&b.columns[i]); err != nil {
			return err
		}
	}
	for lo, hi := range runs(live, len(ids)) {
		for lo < hi {
			n := min(hi-lo, vec.BatchRows-b.gathered())
			if err := b.number(ids[lo], ids[lo+n-1], n); err != nil {
				return err
			}
			for _, id := range ids[lo : lo+n] {
				b.values[0].V.I64 = append(b.values[0].V.I64, int64(id))
			}
			for i := 1; i < len(columns); i++ {
				b.values[i].AppendRows(columns[i], lo, lo+n)
			}
			if lo += n; b.gathered() == vec.BatchRows {
				b.block()
			}
		}
	}
	return nil
}

// runs gives the rows of live, or all n of them, as stretches [lo, hi).
func runs(live []uint32, n int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		if live == nil {
			yield(0, n)
			return
		}
		for at := 0; at < len(live); {
			end := at + 1
			for end < len(live) && live[end] == live[end-1]+1 {
				end++
			}
			if !yield(int(live[at]), int(live[end-1])+1) {
				return
			}
			at = end
		}
	}
}

// gathered is how many rows are not in a block yet.
func (b *builder) gathered() int { return len(b.values[0].V.I64) }

// number notes that n rows follow.
func (b *builder) number(first, last uint32, n int) error {
	if b.rows > 0 && first <= b.last {
		return fmt.Errorf("row %d follows row %d", first, b.last)
	}
	if b.rows == 0 {
		b.first = first
	}
	b.last = last
	b.rows += n
	return nil
}

// block writes the rows gathered as a block of each column.
func (b *builder) block() {
	b.dir = binary.AppendUvarint(b.dir, uint64(b.gathered()))
	for i := range b.values {
		b.column(b.values[i].V)
	}
	b.begin()
}

// column writes the block of a column.
func (b *builder) column(v *vec.Vector) { b.copied(appendBlock(nil, v), appendZone(nil, v)) }

// copied writes a block that is encoded.
func (b *builder) copied(block, zone []byte) {
	b.out = append(b.out, block...)
	b.dir = binary.AppendUvarint(b.dir, uint64(len(block)))
	b.dir = binary.AppendUvarint(b.dir, uint64(len(zone)))
	b.dir = append(b.dir, zone...)
}

// encoded says whether the piece is as a segment has it.
func (p *Piece) encoded() bool { return p.segment != nil || p.rows.Encoded != nil }

// copy writes a piece of encoded rows that are all there.
func (b *builder) copy(p *Piece) error {
	if b.gathered() > 0 {
		b.block()
	}
	n := p.Rows()
	first, last := p.Span()
	if err := b.number(first, last, n); err != nil {
		return err
	}
	b.dir = binary.AppendUvarint(b.dir, uint64(n))
	ids, err := p.IDs()
	if err != nil {
		return err
	}
	numbers := &vec.Vector{Type: rowNumbers.Type, I64: make([]int64, n)}
	for i, id := range ids {
		numbers.I64[i] = int64(id)
	}
	b.column(numbers)
	for i := 1; i < len(b.columns); i++ {
		c := &b.columns[i]
		block, zone, err := p.raw(c)
		if err != nil {
			return err
		}
		if block == nil {
			v, err := c.MissingValue()
			if err != nil {
				return err
			}
			b.column(v.Flatten(n))
			continue
		}
		b.copied(block, zone)
	}
	return nil
}

// raw gives the block of a column of encoded rows, and its zone; none if they are without it.
func (p *Piece) raw(c *Column) (block, zone []byte, err error) {
	if p.segment != nil {
		return p.segment.raw(p.block, c)
	}
	if i := slices.Index(p.rows.Columns, c.ID); i >= 0 && p.rows.types[i].Payload() == c.Type.Payload() {
		return p.rows.Encoded.columns[i].block, p.rows.Encoded.columns[i].zone, nil
	}
	return nil, nil, nil
}

func (b *builder) finish() ([]byte, error) {
	if b.rows == 0 {
		return nil, nil
	}
	if b.gathered() > 0 {
		b.block()
	}
	return b.footer(), nil
}

// footer adds the footer, and gives the segment.
func (b *builder) footer() []byte {
	start := len(b.out)
	out := b.out
	for _, n := range []uint64{uint64(b.rows), uint64(b.first), uint64(b.last), uint64(len(b.columns))} {
		out = binary.AppendUvarint(out, n)
	}
	for i := range b.columns {
		c := &b.columns[i]
		array := byte(0)
		if c.Type.Array {
			array = 1
		}
		out = binary.AppendUvarint(out, uint64(c.ID))
		out = append(out, byte(c.Type.Kind), array)
		out = binary.AppendVarint(out, int64(c.Type.Mod))
	}
	out = append(out, b.dir...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(out)-start))
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(out[start:], encoding.Table))
	return append(out, segmentTail...)
}

// appendZone adds the zone of a flat vector.
func appendZone(dst []byte, v *vec.Vector) []byte {
	if v.Type.Array || v.Type.Kind == vec.JSONB {
		return dst
	}
	least, most := extremes(v)
	if least < 0 {
		return dst
	}
	ends := v.Take([]uint32{uint32(least), uint32(most)}).Flatten(2)
	if v.Type.Payload() == vec.PayloadStr && max(len(ends.Str.At(0)), len(ends.Str.At(1))) > maxZoneValue {
		return dst
	}
	return appendBlock(dst, ends)
}

// extremes gives the rows of the least and the greatest value of a flat vector or one with a
// dictionary, the first if there are several; -1 if all are null.
func extremes(v *vec.Vector) (least, most int) {
	switch {
	case v.Form == vec.Dict:
		return extremesOf(v, v.Dict.Len())
	case v.Type.Payload() == vec.PayloadStr && v.Type.EqualBytes() && !v.Nulls.Any() && v.Len() > 0:
		low := v.Str.Str(0)
		high, last := low, low
		for i := range v.Len() {
			switch x := v.Str.Str(i); {
			case x == last: // values come in runs
			case x < low:
				low, last, least = x, x, i
			case x > high:
				high, last, most = x, x, i
			default:
				last = x
			}
		}
		return least, most
	case !v.Nulls.Any() && len(v.I64) > 0: // integers, or numerics of one scale
		low, high := v.I64[0], v.I64[0]
		for i, x := range v.I64 {
			if x < low {
				low, least = x, i
			}
			if x > high {
				high, most = x, i
			}
		}
		return least, most
	}
	return extremesOf(v, 0)
}

// extremesOf is extremes of any vector, which has a dictionary of so many values.
func extremesOf(v *vec.Vector, values int) (least, most int) {
	least, most = -1, -1
	seen := vec.NewBitmap(values)
	for i := range v.Len() {
		if v.Nulls.Get(i) {
			continue
		}
		if values > 0 {
			if code := int(v.Codes[i]); seen.Get(code) {
				continue
			} else {
				seen.Set(code)
			}
		}
		if least < 0 {
			least, most = i, i
			continue
		}
		if vec.Compare(v, i, v, least) < 0 {
			least = i
		} else if vec.Compare(v, i, v, most) > 0 {
			most = i
		}
	}
	return least, most
}

// decodeZone reads a zone; nil is that nothing is known.
func decodeZone(src []byte, t vec.Type) (*vec.Vector, error) {
	if len(src) == 0 {
		return nil, nil
	}
	v, err := decodeBlock(src, t, 2)
	if err != nil {
		return nil, err
	}
	return v.Flatten(2), nil
}
