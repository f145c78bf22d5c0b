package table

import (
	"crypto/rand"
	"errors"
	"fmt"
)

const (
	// EntryBytes is how large the operations of one write set may become, unpacked, so
	// that an entry of the log holds it even if nothing can be compressed.
	EntryBytes = 6 << 20
	// opBytes is about what an operation takes besides its rows.
	opBytes = 64
)

// Bytes is about how long the operation is on the wire.
func (o *Op) Bytes() int64 {
	n := int64(opBytes)
	if o.Batch != nil {
		n += (&Rows{Batch: o.Batch}).Bytes()
	}
	if o.Encoded != nil {
		n += o.Encoded.Bytes()
	}
	if o.Schema != nil {
		for i := range o.Schema.Columns {
			c := &o.Schema.Columns[i]
			n += int64(64 + len(c.Name) + len(c.Default) + 2*len(c.Missing))
		}
	}
	if o.Rows != nil {
		n += int64(o.Rows.GetSerializedSizeInBytes())
	}
	return n
}

// Inserted is how many rows the write set adds.
func (ws *WriteSet) Inserted() int {
	n := 0
	for i := range ws.Ops {
		o := &ws.Ops[i]
		if o.Batch != nil {
			n += o.Batch.Rows
		}
		if o.Encoded != nil {
			n += o.Encoded.Rows
		}
	}
	return n
}

// NewTxn makes a name that no transaction has.
func NewTxn() Txn {
	var id Txn
	rand.Read(id[:]) // never fails
	return id
}

// ErrTooLarge is returned by Split for a write set that it cannot cut.
var ErrTooLarge = errors.New("transaction is too large")

// Split cuts a whole write set into parts that each fit an entry of the log. Its insertions
// come first, then all else in order: deletions say which rows they mean, whenever those
// came. That does not hold for changes of a schema.
func (ws *WriteSet) Split() ([]*WriteSet, error) {
	total := int64(0)
	for i := range ws.Ops {
		total += ws.Ops[i].Bytes()
	}
	if total <= EntryBytes || ws.Stage != Whole {
		return []*WriteSet{ws}, nil
	}
	txn := NewTxn()
	var out []*WriteSet
	part, size := &WriteSet{Stage: Part, Txn: txn}, int64(0)
	last := &WriteSet{Stage: Last, Txn: txn}
	for _, o := range ws.Ops {
		switch o.Kind {
		case OpAlter, OpDrop:
			return nil, fmt.Errorf("%w: it has %d MB, at most %d MB are allowed beside ALTER TABLE and DROP TABLE", ErrTooLarge, total>>20, EntryBytes>>20)
		case OpCreate, OpInsert, OpLoad:
			if n := o.Bytes(); size > 0 && size+n > EntryBytes {
				out = append(out, part)
				part, size = &WriteSet{Stage: Part, Txn: txn}, 0
			}
			size += o.Bytes()
			part.Ops = append(part.Ops, o)
		default:
			last.Ops = append(last.Ops, o)
		}
	}
	if len(part.Ops) > 0 {
		out = append(out, part)
	}
	return append(out, last), nil
}
