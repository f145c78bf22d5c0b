package table

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// A segment is rows in the order of their numbers, in blocks of 8,192:
//
//	+-------------+-------------+-------------+-----+-----------+--------------+--------+---------+
//	| prktabl1(8) | block 0 of  | block 1 of  | ... | directory | dir size(u32)| crc(4) | ptab(4) |
//	|             | each column | each column |     |           |              |        |         |
//	+-------------+-------------+-------------+-----+-----------+--------------+--------+---------+
//	                                                |<------ footer ------------------->|
//
// The footer's checksum covers the directory and its size; each block has its own. The first
// column is the numbers of the rows, as bigint with column number 0; the others follow by
// number. The directory is varints: rows, first and last row number, columns; of each
// column: number, kind(1), array(1), modifier (zigzag); then of each block, of each column: size
// of the block, size of the zone, zone. A zone is a block of two values, the least and the
// greatest of those that are not null; it is empty if there is none, or if one of the two
// takes more than 64 bytes.
const (
	segmentMagic  = "prktabl1"
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
)

// rowNumbers is the column that holds the numbers of rows.
var rowNumbers = Column{Type: vec.T(vec.Int8)}

// Build makes a segment of the rows of segments and batches that are not dead, which
// ascend. It is nil if there are none. Rows without a column of the schema get what the
// column says that they have.
func Build(schema *Schema, segments []*Reader, batches []*Rows, dead *roaring.Bitmap) ([]byte, error) {
	b := newBuilder(schema)
	v := &Version{Schema: schema, Segments: segments, Batches: batches, Dead: dead, Hidden: roaring.New()}
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

func newBuilder(schema *Schema) *builder {
	b := &builder{out: []byte(segmentMagic), columns: append([]Column{rowNumbers}, schema.Columns...)}
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
	n := len(ids)
	if live != nil {
		n = len(live)
	}
	for k := range n {
		row := k
		if live != nil {
			row = int(live[k])
		}
		id := ids[row]
		if b.rows > 0 && id <= b.last {
			return fmt.Errorf("row %d follows row %d", id, b.last)
		}
		if b.rows == 0 {
			b.first = id
		}
		b.last = id
		b.rows++
		b.values[0].V.I64 = append(b.values[0].V.I64, int64(id))
		for i := 1; i < len(columns); i++ {
			b.values[i].AppendFrom(columns[i], row)
		}
		if b.rows%vec.BatchRows == 0 {
			b.block()
		}
	}
	return nil
}

// block writes the rows gathered as a block of each column.
func (b *builder) block() {
	for i := range b.values {
		v := b.values[i].V
		start := len(b.out)
		b.out = appendBlock(b.out, v)
		b.dir = binary.AppendUvarint(b.dir, uint64(len(b.out)-start))
		zone := appendZone(nil, v)
		b.dir = binary.AppendUvarint(b.dir, uint64(len(zone)))
		b.dir = append(b.dir, zone...)
	}
	b.begin()
}

func (b *builder) finish() ([]byte, error) {
	if b.rows == 0 {
		return nil, nil
	}
	if b.rows%vec.BatchRows != 0 {
		b.block()
	}
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
	return append(out, segmentTail...), nil
}

// appendZone adds the zone of a flat vector.
func appendZone(dst []byte, v *vec.Vector) []byte {
	least, most := -1, -1
	for i := range v.Len() {
		if v.Nulls.Get(i) {
			continue
		}
		if least < 0 {
			least, most = i, i
		}
		if vec.Compare(v, i, v, least) < 0 {
			least = i
		}
		if vec.Compare(v, i, v, most) > 0 {
			most = i
		}
	}
	if least < 0 || v.Type.Array || v.Type.Kind == vec.JSONB {
		return dst
	}
	if v.Type.Payload() == vec.PayloadStr && max(len(v.Str.At(least)), len(v.Str.At(most))) > maxZoneValue {
		return dst
	}
	return appendBlock(dst, v.Take([]uint32{uint32(least), uint32(most)}))
}
