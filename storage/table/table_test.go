package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// everyType is a column of each type that a table may have, with so many rows, some null.
func everyType(rows int) (*Schema, *vec.Batch) {
	s := &Schema{Table: 1, Version: 1, Name: "t"}
	b := &vec.Batch{Rows: rows}
	add := func(t vec.Type, value func(v *vec.Vector, i int)) {
		s.Add(Column{Name: fmt.Sprintf("c%d", len(s.Columns)), Type: t})
		v := vec.NewBuilder(t)
		for i := range rows {
			if i%5 == 3 {
				v.AppendNull()
				continue
			}
			value(v.V, i)
		}
		b.Cols = append(b.Cols, v.V)
	}
	ints := func(v *vec.Vector, i int) {
		v.I64 = append(v.I64, []int64{int64(i), -7, math.MaxInt32, math.MinInt32}[i%4])
	}
	text := func(v *vec.Vector, i int) { v.Str.AppendString(fmt.Sprintf("%d: some text of a row", i*i%1000)) }
	few := func(v *vec.Vector, i int) { v.Str.AppendString([]string{"", "a", "b"}[i%3]) }
	add(vec.T(vec.Bool), func(v *vec.Vector, i int) { v.Bools = append(v.Bools, i%3 == 0) })
	for _, k := range []vec.Kind{vec.Int2, vec.Int4, vec.Int8, vec.Date, vec.Time, vec.Timestamp, vec.TimestampTZ, vec.OID} {
		add(vec.T(k), ints)
	}
	add(vec.T(vec.Int8), func(v *vec.Vector, i int) { v.I64 = append(v.I64, []int64{math.MaxInt64, math.MinInt64}[i%2]) })
	for _, k := range []vec.Kind{vec.Float4, vec.Float8} {
		add(vec.T(k), func(v *vec.Vector, i int) {
			v.F64 = append(v.F64, []float64{1.5, math.NaN(), math.Inf(-1), -0.25, float64(i)}[i%5])
		})
	}
	add(vec.Type{Kind: vec.Numeric, Mod: 655366}, func(v *vec.Vector, i int) {
		v.Dec = append(v.Dec, vec.Decimal{Hi: int64(i%3) - 1, Lo: uint64(i) << 33, Scale: uint8(i % 7)})
	})
	for _, k := range []vec.Kind{vec.Text, vec.Bpchar, vec.Name, vec.Char, vec.Bytea, vec.JSONB} {
		add(vec.T(k), text)
	}
	add(vec.Type{Kind: vec.Varchar, Mod: 20}, few)
	add(vec.T(vec.Interval), func(v *vec.Vector, i int) {
		v.Ivl = append(v.Ivl, vec.IntervalValue{Months: int32(-i), Days: int32(i % 3), Micros: int64(i) * -1e9})
	})
	add(vec.T(vec.UUID), func(v *vec.Vector, i int) { v.UUIDs = append(v.UUIDs, vec.UUIDValue{byte(i), 15: byte(i >> 8)}) })
	for _, k := range []vec.Kind{vec.Int4, vec.Text} {
		list := func(v *vec.Vector, i int) {
			if v.Elem == nil {
				v.Elem = &vec.Vector{Type: v.Type.Elem()}
			}
			if len(v.Offs) == 0 {
				v.Offs = append(v.Offs, 0)
			}
			e := vec.Builder{V: v.Elem}
			for j := range i % 4 {
				if j == 2 {
					e.AppendNull()
				} else if v.Type.Kind == vec.Text {
					text(v.Elem, i+j)
				} else {
					ints(v.Elem, i+j)
				}
			}
			v.Offs = append(v.Offs, uint32(v.Elem.Len()))
		}
		add(vec.ArrayOf(k), list)
	}
	return s, b
}

func allColumns(s *Schema) []uint32 {
	var ids []uint32
	for _, c := range s.Columns {
		ids = append(ids, c.ID)
	}
	return ids
}

// Blocks that are kept are read again as they were, also when there is no room for all of them, and
// nothing is counted for a reader that is closed.
func TestCachedBlocks(t *testing.T) {
	const rows = 3 * vec.BatchRows
	s, b := everyType(rows)
	raw, err := Build(s, nil, []*Rows{{First: 0, Columns: allColumns(s), Batch: b}}, roaring.New())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{1 << 20, 1 << 30} {
		pool := memory.NewBudget(size).Pool(memory.Decoded)
		r, err := OpenBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		r.Share(memory.NewCache(pool))
		v := &Version{Schema: s, Segments: []*Reader{r}, Next: rows, Dead: roaring.New(), Hidden: roaring.New()}
		kept := map[*vec.Vector]bool{}
		again := 0
		for range 2 {
			for n, p := range v.Pieces() {
				for i := range s.Columns {
					got, err := p.Column(&s.Columns[i])
					if err != nil {
						t.Fatal(err)
					}
					if kept[got] {
						again++
					}
					kept[got] = true
					for k := 0; k < p.Rows(); k += 97 {
						if !vec.Equal(got, k, b.Cols[i], n*vec.BatchRows+k) {
							t.Fatalf("%d bytes: column %d: row %d of block %d differs", size, i, k, n)
						}
					}
				}
			}
			if used := pool.Used(); used == 0 || used > pool.Size() {
				t.Fatalf("%d bytes: %d of %d are used", size, used, pool.Size())
			}
		}
		if all := 3 * len(s.Columns); (again == all) != (size == 1<<30) {
			t.Errorf("%d bytes: %d of %d blocks were kept", size, again, all)
		}
		if err := r.Close(); err != nil || pool.Used() != 0 {
			t.Errorf("%d bytes: %d are used after the reader is closed: %v", size, pool.Used(), err)
		}
	}
}

// Integers that lie close together are kept as bytes, unless one is NULL.
func TestSmall(t *testing.T) {
	const rows = vec.BatchRows + 20
	s, b := &Schema{Table: 1, Version: 1, Name: "t"}, &vec.Batch{Rows: rows}
	add := func(typ vec.Type, value func(i int) int64, null bool) {
		s.Add(Column{Name: fmt.Sprint("c", len(s.Columns)), Type: typ})
		v := vec.NewBuilder(typ)
		for i := range rows {
			if null && i == 7 {
				v.AppendNull()
			} else {
				v.V.I64 = append(v.V.I64, value(i))
			}
		}
		b.Cols = append(b.Cols, v.V)
	}
	add(vec.T(vec.Int4), func(i int) int64 { return int64(i%256) - 100 }, false)
	add(vec.T(vec.Int8), func(i int) int64 { return math.MinInt64 + int64(i%256) }, false)
	add(vec.T(vec.Int4), func(i int) int64 { return int64(i%257) * 13 }, false)
	add(vec.T(vec.Int8), func(i int) int64 { return int64(i%2) << 16 }, false)
	add(vec.T(vec.Int8), func(i int) int64 { return []int64{math.MinInt64, math.MaxInt64}[i%2] }, false)
	add(vec.T(vec.Date), func(i int) int64 { return int64(i % 3) }, true)
	add(vec.T(vec.Numeric), func(i int) int64 { return int64(i%200) - 10 }, false)
	b.Cols[6].Scale = 2
	raw, err := Build(s, nil, []*Rows{{First: 0, Columns: allColumns(s), Batch: b}}, roaring.New())
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := memory.NewBudget(1 << 30).Pool(memory.Decoded)
	r.Share(memory.NewCache(pool))
	v := &Version{Schema: s, Segments: []*Reader{r}, Next: rows, Dead: roaring.New(), Hidden: roaring.New()}
	for _, whole := range []bool{false, true} {
		for n, p := range v.Pieces() {
			for i := range s.Columns {
				c := &s.Columns[i]
				small, err := p.Small(c)
				if err != nil {
					t.Fatal(err)
				}
				again, err := p.Small(c)
				if err != nil || again != small {
					t.Errorf("column %d: %p, then %p, %v", i, small, again, err)
				}
				// The last block has few rows: in it, the third column has bytes and the last has no NULL.
				want := []int{1, 1, 2 - n, 0, 0, n, 1}[i]
				if size := sizeOf(small); size != want {
					t.Fatalf("column %d of block %d has %d bytes each, want %d", i, n, size, want)
				}
				if small != nil && (small.Scaled != (i == 6) || small.Scale != b.Cols[i].Scale) {
					t.Fatalf("column %d has numerics: %v, with %d decimals", i, small.Scaled, small.Scale)
				}
				for k := 0; small != nil && k < p.Rows(); k++ {
					if got, want := small.At(k), b.Cols[i].I64[n*vec.BatchRows+k]; got != want {
						t.Fatalf("column %d, row %d of block %d = %d, want %d", i, k, n, got, want)
					}
				}
				changed := *c
				changed.Type = vec.T(vec.TimestampTZ)
				if small, err := p.Small(&changed); small != nil || err != nil {
					t.Errorf("column %d with another type: %v, %v", i, small, err)
				}
				if !whole {
					continue
				}
				if _, err := p.Column(c); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !whole && pool.Used() > 7*vec.BatchRows {
			t.Errorf("%d bytes are used", pool.Used())
		}
	}
	if err := r.Close(); err != nil || pool.Used() != 0 {
		t.Errorf("%d bytes are used after the reader is closed: %v", pool.Used(), err)
	}
}

func sizeOf(s *Small) int {
	if s == nil {
		return 0
	}
	return s.Size()
}

// sameRows gives the numbers of the rows of a piece, which are those of a batch from the number first on.
func sameRows(t *testing.T, s *Schema, p *Piece, b *vec.Batch, first uint32) []uint32 {
	t.Helper()
	ids, err := p.IDs()
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		got, err := p.Column(c)
		if err != nil {
			t.Fatal(err)
		}
		for k, id := range ids {
			if !vec.Equal(got, k, b.Cols[i], int(id-first)) || got.Type != c.Type {
				t.Fatalf("column %s of %v: row %d is not what was written", c.Name, c.Type, id)
			}
		}
	}
	return ids
}

// What was built is read, of every type, over several blocks; deleted rows are not in it.
func TestSegmentRoundTrip(t *testing.T) {
	for _, rows := range []int{1, 5, vec.BatchRows, 2*vec.BatchRows + 17} {
		s, b := everyType(rows)
		dead := roaring.New()
		for i := range uint32(rows) {
			if i%11 == 4 {
				dead.Add(100 + i)
			}
		}
		raw, err := Build(s, nil, []*Rows{{First: 100, Columns: allColumns(s), Batch: b}}, dead)
		if err != nil {
			t.Fatal(err)
		}
		r, err := OpenBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		if want := rows - int(dead.GetCardinality()); r.Rows() != want {
			t.Fatalf("%d rows: the segment has %d, want %d", rows, r.Rows(), want)
		}
		v := &Version{Schema: s, Segments: []*Reader{r}, Next: 100 + uint32(rows), Dead: dead, Hidden: roaring.New()}
		seen := 0
		for _, p := range v.Pieces() {
			ids := sameRows(t, s, &p, b, 100)
			if live, err := p.Live(); live != nil && len(live) != len(ids) || err != nil {
				t.Fatalf("%d rows: %d of %d are live: %v", rows, len(live), len(ids), err)
			}
			seen += len(ids)
		}
		if seen != r.Rows() {
			t.Fatalf("%d rows: %d were read, want %d", rows, seen, r.Rows())
		}
		// The bytes are a function of the rows: from the segment, they are the same again.
		again, err := Build(s, []*Reader{r}, nil, roaring.New())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, again) {
			t.Errorf("%d rows: built from itself, the segment has other bytes", rows)
		}
	}
}

// A segment of which no row is left is none.
func TestBuildOfNothing(t *testing.T) {
	s, b := everyType(3)
	dead := roaring.BitmapOf(0, 1, 2)
	raw, err := Build(s, nil, []*Rows{{Columns: allColumns(s), Batch: b}}, dead)
	if raw != nil || err != nil {
		t.Errorf("Build = %d bytes, %v, want none", len(raw), err)
	}
}

// A zone says what a block may hold.
func TestZones(t *testing.T) {
	s := &Schema{Version: 1, Name: "t"}
	s.Add(Column{Name: "n", Type: vec.T(vec.Int8)})
	b := &vec.Batch{Rows: 2 * vec.BatchRows, Cols: []*vec.Vector{{Type: vec.T(vec.Int8)}}}
	for i := range b.Rows {
		b.Cols[0].I64 = append(b.Cols[0].I64, int64(i))
	}
	raw, err := Build(s, nil, []*Rows{{Columns: []uint32{1}, Batch: b}}, roaring.New())
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	v := &Version{Schema: s, Segments: []*Reader{r}, Dead: roaring.New(), Hidden: roaring.New()}
	at := func(n int64) *vec.Vector { return &vec.Vector{Type: vec.T(vec.Int8), I64: []int64{n}} }
	for _, c := range []struct {
		low, high *vec.Vector
		want      [2]bool
	}{
		{at(5), at(7), [2]bool{true, false}},
		{at(vec.BatchRows), nil, [2]bool{false, true}},
		{nil, at(vec.BatchRows - 1), [2]bool{true, false}},
		{at(-5), at(-1), [2]bool{false, false}},
		{nil, nil, [2]bool{true, true}},
	} {
		for i, p := range v.Pieces() {
			if got := p.MayHold(&s.Columns[0], c.low, c.high); got != c.want[i] {
				t.Errorf("block %d from %v to %v: MayHold = %v, want %v", i, c.low, c.high, got, c.want[i])
			}
		}
	}
}

// A flipped bit of any byte is an error that names the segment.
func TestDamageOfEveryByte(t *testing.T) {
	s, b := everyType(40)
	raw, err := Build(s, nil, []*Rows{{Columns: allColumns(s), Batch: b}}, roaring.New())
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		r, err := OpenBytes(bad)
		if err == nil {
			err = r.Verify()
		}
		var corrupt *segment.CorruptError
		if !errors.As(err, &corrupt) {
			t.Fatalf("byte %d of %d: error %v, want a CorruptError", i, len(raw), err)
		}
	}
	for i := range raw {
		if _, err := OpenBytes(raw[:i]); err == nil {
			t.Fatalf("cut to %d of %d bytes: no error", i, len(raw))
		}
	}
}

// A write set and the state of tables come back from their wire forms as they were.
func TestWire(t *testing.T) {
	s, b := everyType(7)
	sets := []*WriteSet{
		{Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: s}, {Kind: OpInsert, Table: Fresh, Version: 1, Columns: allColumns(s), Batch: b}}},
		{Ops: []Op{{Kind: OpLoad, Table: 1, Version: 1, Columns: allColumns(s), Encoded: Encode(b)}}},
		{Stage: Part, Txn: Txn{1, 2}, Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: &Schema{Name: "p", Version: 1}},
			{Kind: OpInsert, Table: 1, Version: 1, Columns: allColumns(s), Batch: b}}},
		{Ops: []Op{{Kind: OpDelete, Table: 1, Version: 1, Rows: roaring.BitmapOf(0, 1, 2, 5), Own: roaring.New()}, {Kind: OpTruncate, Table: 1, Version: 1, OwnFrom: 3, Until: 9, Rows: roaring.BitmapOf(4)},
			{Kind: OpAlter, Table: 1, Version: 1, Schema: &Schema{Name: "u"}, IfEmpty: true}}},
	}
	tables := &Tables{}
	for _, ws := range sets {
		raw := AppendWriteSet(nil, ws)
		back, err := DecodeWriteSet(raw)
		if err != nil {
			t.Fatal(err)
		}
		if again := AppendWriteSet(nil, back); !bytes.Equal(raw, again) {
			t.Errorf("write set with %d operations: encoded again it is another one", len(ws.Ops))
		}
		var applied error
		if tables, _, applied = tables.Apply(back, 1, 0); applied != nil && len(ws.Ops) < 3 {
			t.Fatal(applied)
		}
	}
	raw := tables.Append(nil)
	back, err := DecodeTables(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again := back.Append(nil); !bytes.Equal(raw, again) {
		t.Error("tables: encoded again they are others")
	}
	if v := back.All()[0]; v.Hidden.GetCardinality() != 7 {
		t.Errorf("tables: %d hidden rows, want 7", v.Hidden.GetCardinality())
	}
}

// A write set is cut so that each part fits an entry, and together they do the same.
func TestSplit(t *testing.T) {
	ws := &WriteSet{Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: &Schema{Name: "t", Version: 1, NextColumn: 2, Columns: []Column{{ID: 1, Name: "a", Type: vec.T(vec.Text)}}}}}}
	const batches = 20
	for i := range batches {
		v := &vec.Vector{Type: vec.T(vec.Text)}
		v.Str.AppendString(string(bytes.Repeat([]byte{'a' + byte(i)}, 1<<20)))
		ws.Ops = append(ws.Ops, Op{Kind: OpInsert, Table: Fresh, Version: 1, Columns: []uint32{1}, Batch: &vec.Batch{Rows: 1, Cols: []*vec.Vector{v}}},
			Op{Kind: OpDelete, Table: Fresh, Version: 1, Own: roaring.BitmapOf(uint32(i / 2 * 2))})
	}
	// Of two rows that follow each other the first is deleted once.
	for i := 4; i < len(ws.Ops); i += 4 {
		ws.Ops[i].Own = roaring.New()
	}
	parts, err := ws.Split()
	if err != nil || len(parts) < 4 {
		t.Fatalf("Split gave %d parts: %v", len(parts), err)
	}
	tables := &Tables{}
	for i, part := range parts {
		if raw := AppendWriteSet(nil, part); len(raw) > EntryBytes+1<<20 {
			t.Errorf("part %d is %d bytes", i, len(raw))
		}
		if len(tables.List()) > 0 {
			t.Errorf("the table is seen after %d of %d parts", i, len(parts))
		}
		if tables, _, err = tables.Apply(part, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if list := tables.List(); len(list) != 1 || list[0].Live() != batches/2 {
		t.Errorf("%d tables, %d rows, want one with %d", len(list), list[0].Live(), batches/2)
	}
	ws.Ops = append(ws.Ops, Op{Kind: OpDrop, Table: Fresh, Version: 1})
	if _, err := ws.Split(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Split with a dropped table: %v", err)
	}
}

func FuzzOpenBytes(f *testing.F) {
	for _, rows := range []int{1, 40} {
		s, b := everyType(rows)
		raw, err := Build(s, nil, []*Rows{{Columns: allColumns(s), Batch: b}}, roaring.New())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := OpenBytes(raw); err == nil {
			r.Verify()
		}
	})
}

// Numerics that are not finite are kept, and others that no numeric is are refused.
func TestBlockOfInfiniteNumerics(t *testing.T) {
	inf, one := vec.DecimalInf, vec.DecimalFromInt(1)
	for _, values := range [][]vec.Decimal{{inf}, {one, vec.DecimalNegInf, vec.DecimalNaN, one, inf}, {vec.DecimalNaN, vec.DecimalNaN}} {
		v := &vec.Vector{Type: vec.T(vec.Numeric), Dec: values}
		back, err := decodeBlock(appendBlock(nil, v), v.Type, len(values))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range values {
			if got := back.Decimal(i); got != want {
				t.Errorf("%v: value %d is %v", values, i, got)
			}
		}
	}
	for _, bad := range []vec.Decimal{{Hi: 2, Scale: 255}, {Lo: 1, Scale: 255}, {Lo: 1, Scale: 39}} {
		v := &vec.Vector{Type: vec.T(vec.Numeric), Dec: []vec.Decimal{bad}}
		if _, err := decodeBlock(appendBlock(nil, v), v.Type, 1); err == nil {
			t.Errorf("%+v is read", bad)
		}
	}
}

// FuzzBlock mends the checksum, so that the fuzzer gets behind it.
func FuzzBlock(f *testing.F) {
	s, b := everyType(10)
	for i := range s.Columns {
		f.Add(appendBlock(nil, b.Cols[i])[4:], uint8(s.Columns[i].Type.Kind), s.Columns[i].Type.Array, uint16(10))
	}
	f.Fuzz(func(t *testing.T, body []byte, kind uint8, array bool, rows uint16) {
		typ := vec.Type{Kind: vec.Kind(kind), Array: array}
		if !Storable(typ) {
			return
		}
		v, err := decodeBlock(withChecksum(body), typ, int(rows)%vec.BatchRows)
		if err != nil {
			return
		}
		for i := range int(rows) % vec.BatchRows {
			vec.Equal(v, i, v, i)
		}
	})
}

func FuzzDecodeWriteSet(f *testing.F) {
	s, b := everyType(3)
	f.Add(AppendWriteSet(nil, &WriteSet{Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: s}, {Kind: OpInsert, Table: Fresh, Version: 1, Columns: allColumns(s), Batch: b}}}))
	f.Add(AppendWriteSet(nil, &WriteSet{Ops: []Op{{Kind: OpLoad, Table: 1, Version: 1, Columns: allColumns(s), Encoded: Encode(b)}}}))
	f.Add(AppendWriteSet(nil, &WriteSet{Stage: Last, Ops: []Op{{Kind: OpDelete, Table: 1, Version: 1, Rows: roaring.BitmapOf(1, 2, 9), Own: roaring.BitmapOf(3)}}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ws, err := DecodeWriteSet(raw)
		if err != nil {
			return
		}
		base, _, err := (&Tables{}).Apply(&WriteSet{Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: s}}}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		next, _, err := base.Apply(ws, 1, 0)
		if err != nil {
			return
		}
		next.Append(nil)
		for _, v := range next.List() {
			for _, p := range v.Pieces() {
				for i := range v.Schema.Columns {
					_, _ = p.Column(&v.Schema.Columns[i]) // it may be damaged
				}
			}
		}
	})
}

func FuzzDecodeTables(f *testing.F) {
	s, _ := everyType(1)
	tables, _, err := (&Tables{}).Apply(&WriteSet{Stage: Part, Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: s}}}, 0, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tables.Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if back, err := DecodeTables(raw); err == nil {
			back.Append(nil)
		}
	})
}

// withChecksum is a block with the checksum that its body has.
func withChecksum(body []byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, crc32.Checksum(body, encoding.Table))
	return append(out, body...)
}
