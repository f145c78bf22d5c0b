package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
	"github.com/prickledb/prickle/storage/wire"
)

// Reader is an open segment. It may be used by many goroutines.
type Reader struct {
	name    string // of the file; empty for one in memory
	data    io.ReaderAt
	close   io.Closer
	size    int64
	version int           // of the format
	cache   *memory.Cache // bounds what is decoded; nil: nothing is kept
	rows    int
	first   uint32
	last    uint32
	blocks  []int // rows of each
	columns []columnInfo
	byID    map[uint32]*columnInfo
}

// columnInfo is where the blocks of a column lie.
type columnInfo struct {
	id     uint32
	typ    vec.Type
	blocks []blockInfo
	// decoded is the blocks that are kept, small those as bytes, and sampled the values of a Sample.
	decoded []atomic.Pointer[decodedBlock]
	small   []atomic.Pointer[smallBlock]
	sampled atomic.Pointer[decodedBlock]
}

// decodedBlock is a block that is kept in a cache.
type decodedBlock struct {
	values *vec.Vector
	entry  memory.Entry
}

type blockInfo struct {
	offset int64
	size   int
	zone   *vec.Vector // least and greatest value; nil if nothing is known
}

// Open opens a segment's file and reads its footer.
func Open(fs vfs.FS, name string) (*Reader, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	r := &Reader{name: name, data: f, close: f, size: size}
	if err == nil {
		err = r.readFooter()
	}
	if err != nil {
		f.Close() // err says what matters
		return nil, err
	}
	return r, nil
}

// OpenBytes opens a segment in memory.
func OpenBytes(raw []byte) (*Reader, error) {
	r := &Reader{data: bytes.NewReader(raw), close: io.NopCloser(nil), size: int64(len(raw))}
	return r, r.readFooter()
}

// IsSegment says whether a file that begins so is a segment of a table.
func IsSegment(head []byte) bool { return bytes.HasPrefix(head, []byte(segmentMagic[:7])) }

// Share makes the reader keep the blocks that queries read in a cache, beside other readers. It
// comes before any other call.
func (r *Reader) Share(c *memory.Cache) { r.cache = c }

// Close closes the file.
func (r *Reader) Close() error {
	r.cache.Forget(r)
	return r.close.Close()
}

// Rows is how many rows the segment has.
func (r *Reader) Rows() int { return r.rows }

// First is the least number of a row, Last the greatest.
func (r *Reader) First() uint32 { return r.first }

// Last is the greatest number of a row.
func (r *Reader) Last() uint32 { return r.last }

// Size is the size of the file in bytes.
func (r *Reader) Size() int64 { return r.size }

// Blocks is how many blocks each column has.
func (r *Reader) Blocks() int { return len(r.blocks) }

func (r *Reader) blockRows(block int) int { return r.blocks[block] }

// corrupt says where in the file bytes are wrong.
func (r *Reader) corrupt(what string, offset int64, err error) error {
	out := &segment.CorruptError{File: r.name, Section: what, Offset: offset, Err: err}
	var damage *encoding.DamageError
	if errors.As(err, &damage) {
		out.Want, out.Got, out.Err = damage.Want, damage.Got, nil
	}
	return out
}

// read reads bytes of the file.
func (r *Reader) read(what string, offset int64, size int) ([]byte, error) {
	raw := make([]byte, size)
	n, err := r.data.ReadAt(raw, offset)
	if n < size {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, r.corrupt(what, offset, err)
	}
	return raw, nil
}

func (r *Reader) readFooter() error {
	const what = "footer"
	if r.size < int64(len(segmentMagic)+segmentFooter) {
		return r.corrupt(what, 0, fmt.Errorf("file of %d bytes", r.size))
	}
	head, err := r.read("head", 0, len(segmentMagic))
	if err != nil {
		return err
	}
	if r.version = slices.Index([]string{segmentMagic1, segmentMagic, segmentMagic3}, string(head)) + 1; r.version == 0 {
		return r.corrupt("head", 0, fmt.Errorf("%q is not a segment of a table, or one of a newer version", head))
	}
	at := r.size - segmentFooter
	tail, err := r.read(what, at, segmentFooter)
	if err != nil {
		return err
	}
	if string(tail[8:]) != segmentTail {
		return r.corrupt(what, at+8, fmt.Errorf("ends in %q, want %q", tail[8:], segmentTail))
	}
	size := int64(binary.LittleEndian.Uint32(tail))
	if size > at-int64(len(segmentMagic)) {
		return r.corrupt(what, at, fmt.Errorf("directory of %d bytes in a file of %d", size, r.size))
	}
	dir, err := r.read(what, at-size, int(size))
	if err != nil {
		return err
	}
	sum := crc32.Update(crc32.Checksum(dir, encoding.Table), encoding.Table, tail[:4])
	if want := binary.LittleEndian.Uint32(tail[4:]); sum != want {
		return r.corrupt(what, at-size, &encoding.DamageError{Block: -1, Want: want, Got: sum})
	}
	if err := r.decodeDirectory(dir, at-size); err != nil {
		return r.corrupt("directory", at-size, err)
	}
	return nil
}

// decodeDirectory reads the directory, which begins where the blocks must end.
func (r *Reader) decodeDirectory(dir []byte, end int64) error {
	d := varints{wire.Reader{Src: dir}}
	rows, first, last, columns := d.next(math.MaxUint32), d.next(math.MaxUint32), d.next(math.MaxUint32), d.next(maxColumns+1)
	if d.Err != nil {
		return d.Err
	}
	if rows == 0 || last < first || last-first+1 < rows || columns == 0 {
		return fmt.Errorf("%d rows from %d to %d in %d columns", rows, first, last, columns)
	}
	r.rows, r.first, r.last = int(rows), uint32(first), uint32(last)
	r.columns, r.byID = make([]columnInfo, columns), make(map[uint32]*columnInfo, columns)
	for i := range r.columns {
		c := &r.columns[i]
		c.id = uint32(d.next(math.MaxUint32))
		form := d.Take(2)
		mod := d.Varint()
		if d.Err != nil {
			return d.Err
		}
		c.typ = vec.Type{Kind: vec.Kind(form[0]), Array: form[1] == 1, Mod: int32(mod)}
		if !Storable(c.typ) || form[1] > 1 || mod != int64(c.typ.Mod) || r.byID[c.id] != nil {
			return fmt.Errorf("column %d of type %d", c.id, form[0])
		}
		r.byID[c.id] = c
	}
	if c := &r.columns[0]; c.id != rowNumbers.ID || c.typ != rowNumbers.Type {
		return fmt.Errorf("first column %d of type %v", c.id, c.typ)
	}
	at := int64(len(segmentMagic))
	for left := r.rows; left > 0; left -= r.blocks[len(r.blocks)-1] {
		b, n := len(r.blocks), min(vec.BatchRows, left)
		if r.version > 1 {
			if n = int(d.next(uint64(n))); n == 0 {
				d.Fail("block %d has no rows", b)
			}
		}
		r.blocks = append(r.blocks, n)
		for i := range r.columns {
			c := &r.columns[i]
			info := blockInfo{offset: at, size: int(d.next(uint64(end - at)))}
			zone := d.Take(int(d.next(uint64(len(dir)))))
			if d.Err != nil {
				return d.Err
			}
			at += int64(info.size)
			var err error
			if info.zone, err = decodeZone(zone, c.typ); err != nil {
				return fmt.Errorf("zone of block %d of column %d: %w", b, c.id, err)
			}
			c.blocks = append(c.blocks, info)
		}
		z := r.columns[0].blocks[b].zone
		if z == nil || z.I64[0] < int64(first) || z.I64[1] > int64(last) || z.I64[0] > z.I64[1] {
			return fmt.Errorf("block %d has no range of row numbers", b)
		}
	}
	if r.version == 3 {
		next := int64(len(segmentMagic))
		for i := range r.columns {
			for b := range r.columns[i].blocks {
				info := &r.columns[i].blocks[b]
				info.offset = next
				next += int64(info.size)
			}
		}
	}
	for i := range r.columns {
		r.columns[i].decoded = make([]atomic.Pointer[decodedBlock], r.Blocks())
		r.columns[i].small = make([]atomic.Pointer[smallBlock], r.Blocks())
	}
	if len(d.Src) > 0 || at != end {
		return fmt.Errorf("%d bytes too many, blocks end at byte %d, want %d", len(d.Src), at, end)
	}
	return nil
}

// varints takes numbers with limits off its bytes.
type varints struct{ wire.Reader }

func (d *varints) next(limit uint64) uint64 {
	n := d.Uvarint()
	if n > limit {
		d.Fail("a number of %d, at most %d is possible here", n, limit)
		return 0
	}
	return n
}

// block reads a block of a column.
func (r *Reader) block(c *columnInfo, block int) (*vec.Vector, error) {
	info := &c.blocks[block]
	what := fmt.Sprintf("column %d: block %d", c.id, block)
	raw, err := r.read(what, info.offset, info.size)
	if err != nil {
		return nil, err
	}
	v, err := decodeBlock(raw, c.typ, r.blockRows(block))
	if err != nil {
		return nil, r.corrupt(what, info.offset, err)
	}
	return v, nil
}

// raw gives the bytes of a block, which are as they were written, and those of its zone; none if
// the segment is without the column.
func (r *Reader) raw(block int, c *Column) (raw, zone []byte, err error) {
	of := r.byID[c.ID]
	if of == nil || of.typ.Payload() != c.Type.Payload() {
		return nil, nil, nil
	}
	info := &of.blocks[block]
	what := fmt.Sprintf("column %d: block %d", c.ID, block)
	if raw, err = r.read(what, info.offset, info.size); err != nil {
		return nil, nil, err
	}
	if err := checkBlock(raw); err != nil {
		return nil, nil, r.corrupt(what, info.offset, err)
	}
	if info.zone != nil && c.Type.Kind != vec.JSONB {
		zone = appendBlock(nil, info.zone)
	}
	return raw, zone, nil
}

// column reads a block of a column, or gives what rows without it have.
func (r *Reader) column(block int, c *Column) (*vec.Vector, error) {
	info := r.byID[c.ID]
	if info == nil {
		return c.MissingValue()
	}
	return r.block(info, block)
}

// cached is column, and keeps the block.
func (r *Reader) cached(block int, c *Column, t *memory.Tally) (*vec.Vector, error) {
	info := r.byID[c.ID]
	if info == nil || r.cache == nil {
		return r.column(block, c)
	}
	return keep(&info.decoded[block], r.cache, r, t, func() (*vec.Vector, error) { return r.block(info, block) })
}

// keep gives the block that is kept at a place, or decodes it and keeps it there, in a cache, on
// behalf of an owner. The tally, if any, counts which.
func keep(at *atomic.Pointer[decodedBlock], cache *memory.Cache, owner any, t *memory.Tally, decode func() (*vec.Vector, error)) (*vec.Vector, error) {
	if d := at.Load(); d != nil {
		d.entry.Touch()
		if t != nil {
			t.Found(at)
		}
		return d.values, nil
	}
	v, err := decode()
	if err != nil {
		return nil, err
	}
	if t != nil {
		t.Made(at)
	}
	if d := (&decodedBlock{values: v}); at.CompareAndSwap(nil, d) {
		cache.Add(&d.entry, owner, v.Bytes()+v.Dict.Bytes(), func() { at.CompareAndSwap(d, nil) })
	}
	return v, nil
}

func (r *Reader) zone(block int, c *Column) *vec.Vector {
	if info := r.byID[c.ID]; info != nil {
		return info.blocks[block].zone
	}
	return nil
}

// blockRange is the least and the greatest number of a row of a block.
func (r *Reader) blockRange(block int) (lo, hi uint32) {
	z := r.columns[0].blocks[block].zone
	return uint32(z.I64[0]), uint32(z.I64[1])
}

// ids reads the numbers of the rows of a block; in version 3 they do not ascend.
func (r *Reader) ids(block int) ([]uint32, error) {
	v, err := r.block(&r.columns[0], block)
	if err != nil {
		return nil, err
	}
	lo, hi := r.blockRange(block)
	out := make([]uint32, len(v.I64))
	for i, n := range v.I64 {
		out[i] = uint32(n)
		if n < int64(lo) || n > int64(hi) || i > 0 && out[i] <= out[i-1] && r.version < 3 {
			return nil, r.corrupt(fmt.Sprintf("column 0: block %d", block), r.columns[0].blocks[block].offset, fmt.Errorf("row number %d", n))
		}
	}
	return out, nil
}

// Verify reads every block.
func (r *Reader) Verify() error {
	for b := range r.Blocks() {
		if _, err := r.ids(b); err != nil {
			return err
		}
		for i := 1; i < len(r.columns); i++ {
			if _, err := r.block(&r.columns[i], b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Dump prints the segment's directory as text.
func (r *Reader) Dump(w io.Writer) error {
	_, err := fmt.Fprintf(w, "segment of a table: %d rows, numbers %d to %d, %d bytes\n", r.rows, r.first, r.last, r.size)
	for i := range r.columns {
		c := &r.columns[i]
		size := 0
		for _, b := range c.blocks {
			size += b.size
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "  column %d  %v  %d blocks  %d bytes\n", c.id, c.typ, len(c.blocks), size)
		}
	}
	return err
}
