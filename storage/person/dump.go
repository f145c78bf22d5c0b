package person

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"
)

// Dump prints a delta as text: who is new, who was merged into whom, and the profiles that
// changed.
func Dump(w io.Writer, delta []byte) error {
	out := bufio.NewWriter(w)
	d := decoder{src: delta}
	from, to := d.uvarint(), d.uvarint()
	if to < from || to-from > uint64(len(d.src))/16 {
		return fmt.Errorf("ordinals %d to %d in %d bytes", from, to, len(delta))
	}
	fmt.Fprintf(out, "ordinals %d to %d are new\n", from, to)
	for o := from; o < to && d.err == nil; o++ {
		fmt.Fprintf(out, "  person %d uuid %x\n", o, d.bytes(16))
	}
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		id, o := d.bytes(d.length()), d.ordinal(to)
		fmt.Fprintf(out, "  distinct id %q is person %d\n", id, o)
	}
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		old, root := d.ordinal(to), d.ordinal(to)
		fmt.Fprintf(out, "  person %d is merged into %d\n", old, root)
	}
	for n := d.count(4); n > 0 && d.err == nil; n-- {
		o, flags, at := d.ordinal(to), d.bytes(1)[0], d.varint()
		fmt.Fprintf(out, "  profile of %d, flags %02x, created %s: %s\n", o, flags, time.UnixMicro(at).UTC().Format(time.RFC3339Nano), d.bytes(d.length()))
	}
	if d.err == nil && len(d.src) > 0 {
		d.err = fmt.Errorf("%d bytes after the end", len(d.src))
	}
	return errors.Join(d.err, out.Flush())
}
