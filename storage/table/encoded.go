package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// Encoded is rows as a segment has them: a block of each column, and its zone. A statement that
// brings many rows encodes them on all cores: the log has them packed then, apply keeps them as
// they are, and a flush copies them, if the table has no order of its own. It is immutable.
type Encoded struct {
	Rows    int // up to vec.BatchRows
	columns []encodedColumn
	cache   *memory.Cache // bounds what is decoded; nil: nothing is kept
	owner   any           // of what is kept
}

type encodedColumn struct {
	block, zone []byte
	decoded     atomic.Pointer[decodedBlock]
}

// Share keeps the blocks that queries read in a cache, on behalf of an owner, who forgets them. It
// comes before any of them.
func (e *Encoded) Share(c *memory.Cache, owner any) { e.cache, e.owner = c, owner }

// EncodeLeast is from how many rows on it is worth while to encode them.
const EncodeLeast = 1024

// Encode encodes the rows of a batch: all of them, at most vec.BatchRows.
func Encode(b *vec.Batch) *Encoded {
	e := &Encoded{Rows: b.Rows, columns: make([]encodedColumn, len(b.Cols))}
	var buf []byte
	for i, v := range b.Cols {
		v = blockForm(v, b.Rows)
		buf = appendBlock(buf[:0], v)
		e.columns[i].block, e.columns[i].zone = bytes.Clone(buf), appendZone(nil, v)
	}
	return e
}

// blockForm is a vector as appendBlock wants it.
func blockForm(v *vec.Vector, rows int) *vec.Vector {
	switch {
	case v.Form == vec.Dict && v.Type.Payload() == vec.PayloadStr && !v.Dict.Nulls.Any() && v.Len() == rows:
		return v
	case v.Form == vec.Flat && !v.Nulls.Any() && v.Len() == rows && v.Type.Payload() != vec.PayloadList:
		return v
	}
	b := vec.NewBuilder(v.Type) // it leaves zero values under nulls
	b.AppendRows(v, 0, rows)
	return b.V
}

// Bytes is about how much memory the rows take, and how long they are on the wire.
func (e *Encoded) Bytes() int64 {
	n := int64(64)
	for i := range e.columns {
		n += int64(len(e.columns[i].block)+len(e.columns[i].zone)) + 16
	}
	return n
}

// column decodes column i, which is one of a table with a number, and of a type.
func (e *Encoded) column(i int, id uint32, t vec.Type) (*vec.Vector, error) {
	v, err := decodeBlock(e.columns[i].block, t, e.Rows)
	if err != nil {
		return nil, &segment.CorruptError{Section: fmt.Sprintf("rows of the log: column %d", id), Err: err}
	}
	return v, nil
}

// append adds the wire form of the rows, see wireVersion.
func (e *Encoded) append(dst []byte, columns []uint32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(columns)))
	for _, id := range columns {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	dst = binary.AppendUvarint(dst, uint64(e.Rows))
	for i := range e.columns {
		for _, raw := range [...][]byte{e.columns[i].block, e.columns[i].zone} {
			dst = binary.AppendUvarint(dst, uint64(len(raw)))
			dst = append(dst, raw...)
		}
	}
	return dst
}

// encoded reads what Encoded.append wrote. It shares memory with what is read.
func (d *varints) encoded() (columns []uint32, e *Encoded) {
	for range d.next(maxColumns) {
		columns = append(columns, uint32(d.next(math.MaxUint32)))
	}
	e = &Encoded{Rows: int(d.next(vec.BatchRows))}
	if e.Rows == 0 {
		d.Fail("encoded rows: there are none")
	}
	e.columns = make([]encodedColumn, len(columns))
	for i := range e.columns {
		for _, raw := range [...]*[]byte{&e.columns[i].block, &e.columns[i].zone} {
			*raw = d.Take(int(d.next(math.MaxInt32)))
		}
	}
	return columns, e
}
