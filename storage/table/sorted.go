package table

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// A segment of a table with an order has its rows by the period of time, if the table is cut into
// such, then by the columns of the order, ascending, nulls last, then by their numbers. Such rows
// are not copied but encoded again, a column at a time.

// sorted says whether the rows lie in another order than that of their numbers.
func (s *Schema) sorted() bool { return len(s.OrderBy) > 0 || s.period() != nil }

// place is a row of one of several pieces.
type place struct{ piece, row uint32 }

// sorter is pieces whose rows become one segment.
type sorter struct {
	schema *Schema
	pieces []Piece
	live   []int   // how many rows of each piece are there
	rows   []place // those that are there; in the order of the segment at last
	ids    []uint64
}

// buildSorted is Build where rows do not lie in the order of their numbers. The segment has about size bytes.
func buildSorted(schema *Schema, pieces []Piece, size int) ([]byte, error) {
	s := &sorter{schema: schema, pieces: pieces, live: make([]int, len(pieces))}
	if err := s.gather(); err != nil || len(s.rows) == 0 {
		return nil, err
	}
	if err := s.sort(); err != nil {
		return nil, err
	}
	b := newBuilder(schema, segmentMagic3, size)
	b.rows, b.first, b.last = len(s.rows), uint32(slices.Min(s.ids)), uint32(slices.Max(s.ids))
	blocks := make([]columnBlocks, len(b.columns))
	errs := make([]error, len(b.columns))
	for at := 0; at < len(b.columns); {
		// As many columns are encoded together as there are processors.
		end := min(at+runtime.GOMAXPROCS(0), len(b.columns))
		var wg sync.WaitGroup
		for i := at; i < end; i++ {
			wg.Go(func() { blocks[i], errs[i] = s.column(&b.columns[i]) })
		}
		wg.Wait()
		for ; at < end; at++ {
			if errs[at] != nil {
				return nil, errs[at]
			}
			b.out = append(b.out, blocks[at].bytes...)
			blocks[at].bytes = nil
		}
	}
	for block := range blocks[0].ends {
		b.dir = binary.AppendUvarint(b.dir, uint64(min(vec.BatchRows, len(s.rows)-block*vec.BatchRows)))
		for i := range blocks {
			b.dir = blocks[i].appendTo(b.dir, block)
		}
	}
	return b.footer(), nil
}

// gather finds the rows that are there.
func (s *sorter) gather() error {
	for i := range s.pieces {
		p := &s.pieces[i]
		live, err := p.Live()
		if err != nil {
			return err
		}
		ids, err := p.IDs()
		if err != nil {
			return err
		}
		for lo, hi := range runs(live, len(ids)) {
			s.live[i] += hi - lo
			for row := lo; row < hi; row++ {
				s.rows = append(s.rows, place{uint32(i), uint32(row)})
				s.ids = append(s.ids, uint64(ids[row]))
			}
		}
	}
	return nil
}

// sort puts the rows into the order of the segment.
func (s *sorter) sort() error {
	order, spare := make([]uint32, len(s.rows)), make([]uint32, len(s.rows))
	for i := range order {
		order[i] = uint32(i)
	}
	order, spare = sortBy(order, spare, s.ids)
	for _, id := range slices.Backward(s.schema.OrderBy) {
		keys, err := s.keys(s.schema.ByID(id))
		if err != nil {
			return err
		}
		order, spare = keys.sort(order, spare)
	}
	if period := s.schema.period(); period != nil {
		keys, err := s.periods(period)
		if err != nil {
			return err
		}
		order, _ = keys.sort(order, spare)
	}
	rows, ids := make([]place, len(order)), make([]uint64, len(order))
	for i, at := range order {
		rows[i], ids[i] = s.rows[at], s.ids[at]
	}
	s.rows, s.ids = rows, ids
	return nil
}

// sortKeys has a number for each row, which compare as its values do, and says which are null.
type sortKeys struct {
	keys  []uint64
	nulls vec.Bitmap
}

// sort is sortBy with nulls last.
func (k *sortKeys) sort(order, spare []uint32) (sorted, rest []uint32) {
	if !k.nulls.Any() {
		return sortBy(order, spare, k.keys)
	}
	out := spare[:0]
	valued := 0
	for _, null := range [...]bool{false, true} {
		for _, row := range order {
			if k.nulls.Get(int(row)) == null {
				out = append(out, row)
			}
		}
		if !null {
			valued = len(out)
		}
	}
	copy(order[valued:], out[valued:])
	sorted, rest = sortBy(out[:valued], order[:valued], k.keys)
	return sorted[:len(order)], rest[:len(order)]
}

// sortBy sorts the numbers of rows by the keys that the rows have, and leaves equal ones as they
// lie: a radix sort from the lowest byte on. It gives them, and what is to spare then.
func sortBy(order, spare []uint32, keys []uint64) (sorted, rest []uint32) {
	if slices.IsSortedFunc(order, func(a, b uint32) int { return cmp.Compare(keys[a], keys[b]) }) {
		return order, spare
	}
	least := keys[order[0]]
	for _, row := range order {
		least = min(least, keys[row])
	}
	var counts [8][256]int
	for _, row := range order {
		k := keys[row] - least
		for digit := range counts {
			counts[digit][byte(k>>(8*digit))]++
		}
	}
	for digit := range counts {
		c := &counts[digit]
		if slices.Max(c[:]) == len(order) {
			continue
		}
		at := 0
		for i, n := range c {
			c[i] = at
			at += n
		}
		for _, row := range order {
			b := byte((keys[row] - least) >> (8 * digit))
			spare[c[b]] = row
			c[b]++
		}
		order, spare = spare, order
	}
	return order, spare
}

// keys gives each row its key of a column.
func (s *sorter) keys(c *Column) (*sortKeys, error) {
	if c.Type.Payload() == vec.PayloadI64 {
		return s.numbers(c, func(x int64) int64 { return x })
	}
	// The values are ranked; those of a dictionary once for the piece, not for each row.
	values := vec.NewBuilder(c.Type)
	met := map[int]uint64{}
	add := func(v *vec.Vector, row int) uint64 {
		values.AppendFrom(v, row)
		return uint64(values.V.Len() - 1)
	}
	keys, err := s.each(c, func() { clear(met) }, func(v *vec.Vector, row int) uint64 {
		if v.Form == vec.Flat {
			return add(v, row)
		}
		of, k := v.At(row)
		n, ok := met[k]
		if !ok {
			n = add(of, k)
			met[k] = n
		}
		return n
	})
	if err != nil || values.V.Len() == 0 {
		return keys, err
	}
	rank := ranks(values.V)
	for i, k := range keys.keys {
		keys.keys[i] = rank[k]
	}
	return keys, nil
}

// each gives each row its key, and calls begin at the first of each piece.
func (s *sorter) each(c *Column, begin func(), key func(v *vec.Vector, row int) uint64) (*sortKeys, error) {
	out := &sortKeys{keys: make([]uint64, len(s.rows))}
	at := 0
	for i := range s.pieces {
		if s.live[i] == 0 {
			continue
		}
		v, err := s.pieces[i].once(c)
		if err != nil {
			return nil, err
		}
		begin()
		for range s.live[i] {
			if row := int(s.rows[at].row); v.IsNull(row) {
				out.nulls = out.nulls.Grow(len(s.rows))
				out.nulls.Set(at)
			} else {
				out.keys[at] = key(v, row)
			}
			at++
		}
	}
	return out, nil
}

// ranks gives each value of a flat vector without nulls how many different ones are less.
func ranks(v *vec.Vector) []uint64 {
	order := make([]int, v.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return vec.Compare(v, a, v, b) })
	out := make([]uint64, len(order))
	for i := 1; i < len(order); i++ {
		out[order[i]] = out[order[i-1]]
		if vec.Compare(v, order[i-1], v, order[i]) != 0 {
			out[order[i]]++
		}
	}
	return out
}

// numbers is keys of a column whose values are integers inside.
func (s *sorter) numbers(c *Column, number func(int64) int64) (*sortKeys, error) {
	return s.each(c, func() {}, func(v *vec.Vector, row int) uint64 {
		of, k := v.At(row)
		return uint64(number(of.I64[k])) ^ 1<<63
	})
}

// period is the column whose periods of time come first in the order of the rows; nil if none is.
func (s *Schema) period() *Column {
	if s.PartitionBy == "" {
		return nil
	}
	return s.ByID(s.Time)
}

// periods gives each row the period of time, in UTC, that it lies in.
func (s *sorter) periods(c *Column) (*sortKeys, error) {
	return s.numbers(c, func(x int64) int64 {
		if x == vec.InfinityTime || x == vec.NegInfinityTime {
			return x
		}
		return periodOf(s.schema.PartitionBy, c.Type.Kind, x)
	})
}

// periodOf is the number of the hour, day, week, month or year of a date or a time.
func periodOf(unit string, kind vec.Kind, x int64) int64 {
	const hour = 3_600_000_000
	hours := x * 24
	if kind != vec.Date {
		hours = vec.FloorDiv(x, hour)
	}
	day := vec.FloorDiv(hours, 24)
	switch unit {
	case "hour":
		return hours
	case "day":
		return day
	case "week":
		return vec.FloorDiv(day+3, 7) // 1970-01-01 was a Thursday
	}
	year, month, _ := time.Unix(day*86_400, 0).UTC().Date()
	if unit == "month" {
		return int64(year)*12 + int64(month)
	}
	return int64(year)
}

// columnBlocks is a column as a segment has it.
type columnBlocks struct {
	bytes []byte
	ends  []int    // of the blocks in bytes
	zones [][]byte // of each block
}

func (c *columnBlocks) add(v *vec.Vector) {
	c.bytes = appendBlock(c.bytes, v)
	c.ends = append(c.ends, len(c.bytes))
	c.zones = append(c.zones, appendZone(nil, v))
}

// appendTo adds what the directory says of a block.
func (c *columnBlocks) appendTo(dir []byte, block int) []byte {
	size := c.ends[block]
	if block > 0 {
		size -= c.ends[block-1]
	}
	dir = binary.AppendUvarint(dir, uint64(size))
	dir = binary.AppendUvarint(dir, uint64(len(c.zones[block])))
	return append(dir, c.zones[block]...)
}

// column encodes a column. Of the rows of a segment that was sorted, a block or two are decoded at
// a time: they are taken in their order.
func (s *sorter) column(c *Column) (columnBlocks, error) {
	var out columnBlocks
	if c.ID == rowNumbers.ID {
		for ids := range slices.Chunk(s.ids, vec.BatchRows) {
			v := &vec.Vector{Type: c.Type, I64: make([]int64, len(ids))}
			for i, id := range ids {
				v.I64[i] = int64(id)
			}
			out.add(v)
		}
		return out, nil
	}
	t := taker{column: c, read: make([]*vec.Vector, len(s.pieces)), left: slices.Clone(s.live), codes: make([][]uint32, len(s.pieces)), next: 1}
	for rows := range slices.Chunk(s.rows, vec.BatchRows) {
		if err := t.decode(s.pieces, rows); err != nil {
			return out, err
		}
		out.add(t.take(rows))
		t.release(rows)
	}
	return out, nil
}

// taker takes values of a column from pieces.
type taker struct {
	column *Column
	read   []*vec.Vector // of each piece, while it is needed
	left   []int         // rows of each piece that were not taken yet
	codes  [][]uint32    // of each piece with a dictionary: the number that a value had last
	next   uint32        // number of the next value
	text   int           // bytes of the values that were taken last
}

// decode reads the pieces that rows are of.
func (t *taker) decode(pieces []Piece, rows []place) error {
	for _, r := range rows {
		if t.read[r.piece] != nil {
			continue
		}
		v, err := pieces[r.piece].once(t.column)
		if err != nil {
			return err
		}
		t.read[r.piece] = v
	}
	return nil
}

// release forgets the pieces of which all rows were taken.
func (t *taker) release(rows []place) {
	for _, r := range rows {
		if t.left[r.piece]--; t.left[r.piece] == 0 {
			t.read[r.piece], t.codes[r.piece] = nil, nil
		}
	}
}

// take gives the values of rows as appendBlock wants them.
func (t *taker) take(rows []place) *vec.Vector {
	switch t.column.Type.Payload() {
	case vec.PayloadI64:
		if v := t.integers(rows); v != nil {
			return v
		}
	case vec.PayloadStr:
		return t.texts(rows)
	}
	b := vec.NewBuilder(t.column.Type)
	for _, r := range rows {
		b.AppendFrom(t.read[r.piece], int(r.row))
	}
	return b.V
}

// integers is take where no piece has a null; nil if one has.
func (t *taker) integers(rows []place) *vec.Vector {
	v := &vec.Vector{Type: t.column.Type, I64: make([]int64, len(rows))}
	for i, r := range rows {
		from := t.read[r.piece]
		if from.Form != vec.Flat || from.Nulls != nil {
			return nil
		}
		v.I64[i] = from.I64[r.row]
	}
	return v
}

// texts is take with a dictionary: what is one value in a piece is one value in it.
func (t *taker) texts(rows []place) *vec.Vector {
	dict := &vec.Vector{Type: t.column.Type, Str: vec.MakeStrings(0, t.text+t.text/8)}
	v := &vec.Vector{Type: t.column.Type, Form: vec.Dict, Codes: make([]uint32, len(rows)), Dict: dict}
	first := t.next
	for i, r := range rows {
		from := t.read[r.piece]
		if from.IsNull(int(r.row)) {
			v.Nulls = v.Nulls.Grow(len(rows))
			v.Nulls.Set(i)
			if t.next == first { // code 0 must be one of the dictionary's
				dict.Str.Append(nil)
				t.next++
			}
			continue
		}
		of, k := from.At(int(r.row))
		if from.Form != vec.Flat {
			codes := t.codes[r.piece]
			if codes == nil {
				codes = make([]uint32, of.Len())
				t.codes[r.piece] = codes
			}
			if codes[k] >= first {
				v.Codes[i] = codes[k] - first
				continue
			}
			codes[k] = t.next
		}
		v.Codes[i] = t.next - first
		dict.Str.Append(of.Str.At(k))
		t.next++
	}
	t.text = len(dict.Str.Bytes)
	return v
}
