package person

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prickledb/prickle/storage/wire"
)

// Visitor is shown what a delta says. What it is shown is valid during the call; a field that
// is nil is not called.
type Visitor struct {
	Ordinals func(from, to uint64)
	Person   func(o uint64, uuid []byte)
	ID       func(id []byte, o uint32)
	Merge    func(old, root uint32)
	Profile  func(o uint32, flags byte, createdAt int64, properties []byte)
	Erased   func(o uint32)
	Move     func(m Move)
}

// Walk shows a delta to a visitor.
func Walk(delta []byte, v *Visitor) error {
	d := decoder{wire.Reader{Src: delta}}
	from, to := d.Uvarint(), d.Uvarint()
	if to < from || to-from > uint64(len(d.Src))/16 {
		return fmt.Errorf("ordinals %d to %d in %d bytes", from, to, len(delta))
	}
	if v.Ordinals != nil {
		v.Ordinals(from, to)
	}
	for o := from; o < to && d.Err == nil; o++ {
		if u := d.Take(16); v.Person != nil && d.Err == nil {
			v.Person(o, u)
		}
	}
	for n := d.count(2); n > 0 && d.Err == nil; n-- {
		if id, o := d.Take(d.length()), d.ordinal(to); v.ID != nil && d.Err == nil {
			v.ID(id, o)
		}
	}
	for n := d.count(2); n > 0 && d.Err == nil; n-- {
		if old, root := d.ordinal(to), d.ordinal(to); v.Merge != nil && d.Err == nil {
			v.Merge(old, root)
		}
	}
	for n := d.count(4); n > 0 && d.Err == nil; n-- {
		o, flags, at := d.ordinal(to), d.Byte(), d.Varint()
		if p := d.Take(d.length()); v.Profile != nil && d.Err == nil {
			v.Profile(o, flags, at, p)
		}
	}
	if d.Err != nil || len(d.Src) == 0 {
		return d.Err
	}
	erased, moves := d.tail(to)
	if d.Err != nil {
		return d.Err
	}
	for _, o := range erased {
		if v.Erased != nil {
			v.Erased(o)
		}
	}
	for _, m := range moves {
		if v.Move != nil {
			v.Move(m)
		}
	}
	return nil
}

// Dump prints a delta as text: who is new, who was merged into whom, the profiles that
// changed, and who was deleted or split off.
func Dump(w io.Writer, delta []byte) error {
	out := bufio.NewWriter(w)
	err := Walk(delta, &Visitor{
		Ordinals: func(from, to uint64) { fmt.Fprintf(out, "ordinals %d to %d are new\n", from, to) },
		Person:   func(o uint64, uuid []byte) { fmt.Fprintf(out, "  person %d uuid %x\n", o, uuid) },
		ID:       func(id []byte, o uint32) { fmt.Fprintf(out, "  distinct id %q is person %d\n", id, o) },
		Merge:    func(old, root uint32) { fmt.Fprintf(out, "  person %d is merged into %d\n", old, root) },
		Profile: func(o uint32, flags byte, at int64, properties []byte) {
			fmt.Fprintf(out, "  profile of %d, flags %02x, created %s: %s\n", o, flags, time.UnixMicro(at).UTC().Format(time.RFC3339Nano), properties)
		},
		Erased: func(o uint32) { fmt.Fprintf(out, "  person %d is erased\n", o) },
		Move: func(m Move) {
			fmt.Fprintf(out, "  distinct id with hash %x is split off %v and is person %d\n", m.ID, m.From.ToArray(), m.To)
		},
	})
	return errors.Join(err, out.Flush())
}
