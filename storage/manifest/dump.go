package manifest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Dump prints a manifest file as text: its edits, and what they come to. Of a damaged file
// it prints what is before the damage.
func Dump(w io.Writer, raw []byte) error {
	out := bufio.NewWriter(w)
	m, end, edits, err := decodeEach(raw, func(e Edit) {
		text, err := json.Marshal(e)
		if err != nil {
			panic(err) // strings and numbers always have a JSON form
		}
		fmt.Fprintf(out, "edit %s\n", text)
	})
	if err != nil {
		return errors.Join(err, out.Flush())
	}
	fmt.Fprintf(out, "manifest: %d edits, covers entry %d of the log\n", edits, m.Applied)
	day := func(t int64) string { return time.UnixMicro(t).UTC().Format(time.DateOnly) }
	for _, id := range slices.Sorted(maps.Keys(m.Segments)) {
		s := m.Segments[id]
		if s.Table != 0 {
			fmt.Fprintf(out, "  segment %010d  project %d  table %d  %d rows  %d bytes  xxh3 %s\n", id, s.Project, s.Table, s.Rows, s.Size, s.Hash)
			continue
		}
		fmt.Fprintf(out, "  segment %010d  project %d  %s … %s  %d rows  %d bytes  xxh3 %s\n",
			id, s.Project, day(s.MinTime), day(s.MaxTime), s.Rows, s.Size, s.Hash)
	}
	for _, name := range m.States {
		fmt.Fprintf(out, "  state %s\n", name)
	}
	for _, n := range slices.Sorted(maps.Keys(m.Runs)) {
		r := m.Runs[n]
		at := func(t int64) string { return time.UnixMicro(t).UTC().Format(time.DateTime) }
		fmt.Fprintf(out, "  dedup run %010d  level %d  %s … %s  %d keys  %d bytes\n", n, r.Level, at(r.MinTime), at(r.MaxTime), r.Keys, r.Size)
	}
	if rest := int64(len(raw)) - end; rest > 0 {
		fmt.Fprintf(out, "  %d bytes at byte %d are no record: a torn write, or damage\n", rest, end)
	}
	return out.Flush()
}
