package dedup

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// Dump prints a run as text: what its directory says. All of it is checked first.
func Dump(w io.Writer, raw []byte) error {
	r := &Run{name: "in memory", data: raw}
	if err := r.readFooter(); err != nil {
		return err
	}
	if err := r.Verify(); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	at := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	fmt.Fprintf(out, "dedup run: %d bytes, %d keys of entries from %s to %s\n", len(raw), r.Keys,
		at(time.UnixMicro(r.MinTime)), at(time.UnixMicro(r.MaxTime)))
	for i := range r.sections {
		s := &r.sections[i]
		filtered := 0
		for j := range s.parts {
			filtered += one(s.parts[j].filter.segment > 0)
		}
		fmt.Fprintf(out, "  project %d: %d keys in %d parts, %d with a fuse filter", s.project, s.keys, len(s.parts), filtered)
		if s.made.most >= 0 {
			fmt.Fprintf(out, "; version 7 from %s to %s", at(time.UnixMilli(s.made.least)), at(time.UnixMilli(s.made.most)))
		}
		if s.made.others {
			fmt.Fprint(out, "; other versions")
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}
