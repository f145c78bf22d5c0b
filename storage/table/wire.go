package table

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/wire"
)

// A write set on the wire, uncompressed and without a checksum: the log adds both. Numbers are
// varints if nothing else is said.
//
//	version (1 byte) | stage (1 byte) | transaction (16 bytes; not with stage 0) | operations | each
//
//	operation: kind (1 byte) | table | version of its schema | what it needs
//	  create, alter: length | schema, as JSON | condition (1 byte): 1 if the table must be empty; 2 if nobody else may have
//	                 inserted rows from a number on, which follows; else 0
//	  drop:          nothing
//	  truncate:      first own row that stays | first other row that stays | set of rows before it that stay
//	  insert:        columns | number of each | length | batch, see vec.AppendBatch
//	  delete:        set of rows | set of own rows
//	  advance:       column | count
//	  load:          columns | number of each | rows | of each column: length, block; length, zone (segment.go)
//
// A set is how many runs | of each: numbers left out since the last | numbers in the run less 1.
const wireVersion = 1

const (
	// maxOps bounds the operations of a write set: each takes at least three bytes of an
	// entry of the log.
	maxOps = 1 << 24
	// maxSchemaBytes bounds a schema as JSON: 1,600 columns with defaults and values.
	maxSchemaBytes = 64 << 20
)

// AppendWriteSet adds the wire form of a write set.
func AppendWriteSet(dst []byte, ws *WriteSet) []byte {
	dst = slices.Grow(dst, int(ws.encodedBytes()))
	dst = append(dst, wireVersion, byte(ws.Stage))
	if ws.Stage != Whole {
		dst = append(dst, ws.Txn[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(ws.Ops)))
	for i := range ws.Ops {
		o := &ws.Ops[i]
		dst = append(dst, byte(o.Kind))
		dst = binary.AppendUvarint(dst, uint64(o.Table))
		dst = binary.AppendUvarint(dst, uint64(o.Version))
		switch o.Kind {
		case OpCreate, OpAlter:
			dst = append(appendSchema(dst, o.Schema), 0)
			switch {
			case o.IfEmpty:
				dst[len(dst)-1] = 1
			case o.IfSame:
				dst[len(dst)-1] = 2
				dst = binary.AppendUvarint(dst, uint64(o.Until))
			}
		case OpTruncate:
			dst = binary.AppendUvarint(dst, uint64(o.OwnFrom))
			dst = binary.AppendUvarint(dst, uint64(o.Until))
			dst = appendSet(dst, o.Rows)
		case OpInsert:
			dst = binary.AppendUvarint(dst, uint64(len(o.Columns)))
			for _, id := range o.Columns {
				dst = binary.AppendUvarint(dst, uint64(id))
			}
			batch := vec.AppendBatch(nil, o.Batch)
			dst = binary.AppendUvarint(dst, uint64(len(batch)))
			dst = append(dst, batch...)
		case OpLoad:
			dst = o.Encoded.append(dst, o.Columns)
		case OpDelete:
			dst = appendSet(appendSet(dst, o.Rows), o.Own)
		case OpAdvance:
			dst = binary.AppendUvarint(dst, uint64(o.Column))
			dst = binary.AppendUvarint(dst, uint64(o.Count))
		case OpRestart:
			dst = binary.AppendUvarint(dst, uint64(o.Column))
			dst = binary.AppendUvarint(dst, uint64(o.Next))
		}
	}
	return dst
}

// encodedBytes is about how long the encoded rows are on the wire, which are most of what is.
func (ws *WriteSet) encodedBytes() (n int64) {
	for i := range ws.Ops {
		if o := &ws.Ops[i]; o.Kind == OpLoad {
			n += o.Encoded.Bytes()
		}
	}
	return n
}

func appendSchema(dst []byte, s *Schema) []byte {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, bytes and numbers always have a JSON form
	}
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	return append(dst, raw...)
}

// appendSet adds a set of numbers; nil is the empty one.
func appendSet(dst []byte, set *roaring.Bitmap) []byte {
	if set == nil {
		return append(dst, 0)
	}
	var runs []byte
	count, end := uint64(0), uint64(0)
	for lo, hi := range set.Ranges() {
		runs = binary.AppendUvarint(runs, uint64(lo)-end)
		runs = binary.AppendUvarint(runs, hi-uint64(lo)-1)
		count, end = count+1, hi
	}
	dst = binary.AppendUvarint(dst, count)
	return append(dst, runs...)
}

// set reads a set.
func (d *varints) set() *roaring.Bitmap {
	out := roaring.New()
	at := uint64(0)
	for range d.next(math.MaxUint32) {
		lo := at + d.next(math.MaxUint32)
		hi := lo + d.next(math.MaxUint32) + 1
		if d.Err == nil && hi > math.MaxUint32+1 {
			d.Fail("a set with number %d", hi-1)
		}
		if d.Err != nil {
			return out
		}
		if hi == lo+1 {
			out.Add(uint32(lo))
		} else {
			out.AddRange(lo, hi)
		}
		at = hi
	}
	return out
}

func (d *varints) schema() *Schema {
	raw := d.Take(int(d.next(maxSchemaBytes)))
	s := &Schema{}
	if d.Err != nil {
		return s
	}
	err := json.Unmarshal(raw, s)
	if err == nil {
		err = s.check()
	}
	if err != nil {
		d.Fail("%w", err)
	}
	return s
}

// check says what is wrong with a schema that came from elsewhere.
func (s *Schema) check() error {
	if len(s.Columns) > maxColumns {
		return fmt.Errorf("table %q: %d columns, at most %d are allowed", s.Name, len(s.Columns), maxColumns)
	}
	if s.Kind > Note {
		return fmt.Errorf("table %q: kind %d", s.Name, s.Kind)
	}
	ids, names := map[uint32]bool{}, map[string]bool{}
	for i := range s.Columns {
		c := &s.Columns[i]
		if c.ID == 0 || c.ID >= s.NextColumn || ids[c.ID] || names[c.Name] || !Storable(c.Type) && !(s.View != "" && c.Type == vec.T(vec.Record)) {
			return fmt.Errorf("table %q: column %d %q of type %d", s.Name, c.ID, c.Name, c.Type.Kind)
		}
		ids[c.ID], names[c.Name] = true, true
		if _, err := c.MissingValue(); err != nil {
			return fmt.Errorf("table %q: %w", s.Name, err)
		}
	}
	return nil
}

// DecodeWriteSet reads what AppendWriteSet wrote. Batches share no memory with src.
func DecodeWriteSet(src []byte) (*WriteSet, error) {
	ws, err := decodeWriteSet(src)
	if err != nil {
		return nil, fmt.Errorf("write set: %w", err)
	}
	return ws, nil
}

func decodeWriteSet(src []byte) (*WriteSet, error) {
	d := varints{wire.Reader{Src: src}}
	head := d.Take(2)
	if d.Err != nil {
		return nil, d.Err
	}
	if head[0] != wireVersion || head[1] > byte(Abort) {
		return nil, fmt.Errorf("version %d, stage %d", head[0], head[1])
	}
	ws := &WriteSet{Stage: Stage(head[1])}
	if ws.Stage != Whole {
		copy(ws.Txn[:], d.Take(len(ws.Txn)))
	}
	n := d.next(maxOps)
	for range n {
		if d.Err != nil {
			return nil, d.Err
		}
		ws.Ops = append(ws.Ops, d.op())
	}
	return ws, d.End()
}

func (d *varints) op() Op {
	o := Op{}
	o.Kind = OpKind(d.Byte())
	o.Table, o.Version = uint32(d.next(math.MaxUint32)), uint32(d.next(math.MaxUint32))
	switch o.Kind {
	case OpCreate, OpAlter:
		o.Schema = d.schema()
		switch d.Byte() {
		case 1:
			o.IfEmpty = true
		case 2:
			o.IfSame, o.Until = true, uint32(d.next(math.MaxUint32))
		}
	case OpDrop:
	case OpTruncate:
		o.OwnFrom, o.Until = uint32(d.next(math.MaxUint32)), uint32(d.next(math.MaxUint32))
		o.Rows = d.set()
	case OpInsert:
		for range d.next(maxColumns) {
			o.Columns = append(o.Columns, uint32(d.next(math.MaxUint32)))
		}
		raw := d.Take(int(d.next(math.MaxInt32)))
		if d.Err != nil {
			return o
		}
		b, err := vec.DecodeBatch(raw)
		if err != nil {
			d.Fail("%w", err)
			return o
		}
		if o.Batch = b; len(b.Cols) != len(o.Columns) {
			d.Fail("batch of %d columns, want %d", len(b.Cols), len(o.Columns))
		}
	case OpLoad:
		o.Columns, o.Encoded = d.encoded()
	case OpDelete:
		o.Rows, o.Own = d.set(), d.set()
	case OpAdvance:
		o.Column, o.Count = uint32(d.next(math.MaxUint32)), uint32(d.next(math.MaxUint32))
	case OpRestart:
		o.Column, o.Next = uint32(d.next(math.MaxUint32)), int64(d.next(math.MaxInt64))
	default:
		d.Fail("operation %d", o.Kind)
	}
	return o
}

// Append adds the state of the tables, without their rows. Numbers are varints if nothing
// else is said.
//
//	version (1 byte) | last number of a table | tables | each | transactions | each
//
//	table:       pending (1 byte) | length, schema as JSON | number of the next row | set of dead rows
//	transaction: name (16 bytes) | time of its last entry (zigzag, µs) | tables made | number of each
//	             | tables inserted into | of each: number, ranges; of each: first row, rows
func (t *Tables) Append(dst []byte) []byte {
	dst = append(dst, wireVersion)
	dst = binary.AppendUvarint(dst, uint64(t.lastID))
	all := t.All()
	dst = binary.AppendUvarint(dst, uint64(len(all)))
	for _, v := range all {
		pending := byte(0)
		if v.Pending {
			pending = 1
		}
		dst = appendSchema(append(dst, pending), v.Schema)
		dst = binary.AppendUvarint(dst, uint64(v.Next))
		dst = appendSet(dst, v.Dead)
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.open)))
	for _, id := range sortedTxns(t.open) {
		txn := t.open[id]
		dst = append(dst, id[:]...)
		dst = binary.AppendVarint(dst, txn.last)
		dst = binary.AppendUvarint(dst, uint64(len(txn.fresh)))
		for _, f := range txn.fresh {
			dst = binary.AppendUvarint(dst, uint64(f))
		}
		var into []uint32
		for _, v := range all { // those dropped meanwhile are left out
			if len(txn.own[v.Schema.Table]) > 0 {
				into = append(into, v.Schema.Table)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(len(into)))
		for _, id := range into {
			ranges := txn.own[id]
			dst = binary.AppendUvarint(dst, uint64(id))
			dst = binary.AppendUvarint(dst, uint64(len(ranges)))
			for _, r := range ranges {
				dst = binary.AppendUvarint(dst, uint64(r.first))
				dst = binary.AppendUvarint(dst, uint64(r.n))
			}
		}
	}
	return dst
}

// DecodeTables reads what Append wrote. The tables have no segments yet.
func DecodeTables(src []byte) (*Tables, error) {
	d := varints{wire.Reader{Src: src}}
	if v := d.Byte(); d.Err == nil && v != wireVersion {
		return nil, fmt.Errorf("tables of version %d", v)
	}
	t := (&Tables{lastID: uint32(d.next(math.MaxUint32))}).clone()
	for range d.next(math.MaxUint32) {
		v := &Version{Hidden: roaring.New()}
		v.Pending = d.Byte() == 1
		v.Schema = d.schema()
		v.Next = uint32(d.next(math.MaxUint32))
		v.Dead = d.set()
		if d.Err != nil {
			return nil, d.Err
		}
		t.byID[v.Schema.Table] = v
	}
	for range d.next(math.MaxUint32) {
		var id Txn
		copy(id[:], d.Take(len(id)))
		txn := &openTxn{last: d.Varint(), own: map[uint32][]ownRange{}}
		for range d.next(math.MaxUint32) {
			if txn.fresh = append(txn.fresh, uint32(d.next(math.MaxUint32))); d.Err != nil {
				return nil, d.Err
			}
		}
		for range d.next(math.MaxUint32) {
			table := uint32(d.next(math.MaxUint32))
			for range d.next(math.MaxUint32) {
				r := ownRange{uint32(d.next(math.MaxUint32)), uint32(d.next(math.MaxUint32))}
				if d.Err == nil && uint64(r.first)+uint64(r.n) > maxRow {
					d.Fail("%d rows from number %d", r.n, r.first)
				}
				if d.Err != nil {
					return nil, d.Err
				}
				if v := t.byID[table]; v != nil {
					v.Hidden.AddRange(uint64(r.first), uint64(r.first)+uint64(r.n))
				}
				txn.own[table] = append(txn.own[table], r)
			}
			if d.Err != nil {
				return nil, d.Err
			}
		}
		if d.Err != nil {
			return nil, d.Err
		}
		t.open[id] = txn
	}
	return t, d.End()
}
