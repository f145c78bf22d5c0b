package raftlog

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage/vfs"
)

// Item is a record and where it is.
type Item struct {
	Record
	File   string
	Offset int64
}

// Scan shows visit all records of a directory that count, in the order of the files, and
// changes nothing. A record's bytes are valid during the call. If something is damaged,
// visit sees what comes before, and the error is a DamageError.
func Scan(fs vfs.FS, dir string, visit func(Item) error) error {
	opts := Options{FS: fs, Dir: dir}
	if err := opts.fill(); err != nil {
		return err
	}
	found, err := newLog(opts).load(func(f *file, p *place) error {
		return visit(Item{p.Record, f.name, p.offset})
	})
	if err == nil && found.damage != nil {
		err = found.damage
	}
	return err
}

// View opens the log of a directory for reading, and changes nothing: its groups can be
// read, and nothing can be written. Of a log that is damaged it shows what comes before;
// the damage is what the error of Open would be. It must be closed.
func View(fs vfs.FS, dir string) (*Log, *DamageError, error) {
	opts := Options{FS: fs, Dir: dir}
	if err := opts.fill(); err != nil {
		return nil, nil, err
	}
	l := newLog(opts)
	l.closed, l.done = true, sync.OnceValue(l.closeFiles)
	found, err := l.load(nil)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range found.files {
		if f.handle, err = fs.Open(f.name); err != nil {
			l.closeFiles() // err says what matters
			return nil, nil, err
		}
		l.files[f.number] = f
	}
	return l, found.damage, nil
}

// Beyond shows visit the records behind a damage that still sum, in the order of the files: what
// they were can be told, and they cannot be used, since what is before them is missing. A
// record's bytes are valid during the call. Files that cannot be read are passed over.
func Beyond(fs vfs.FS, dir string, damage *DamageError, visit func(*Record)) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	first := fileNumber(path.Base(damage.File))
	var raw []byte
	for _, name := range names {
		number := fileNumber(name)
		if number == 0 || number < first {
			continue
		}
		if raw, err = readAll(fs, path.Join(dir, name), raw); err != nil {
			continue // it is one more damage
		}
		at := int64(sectorBytes)
		if number == first {
			at = max(at, align(damage.Offset+1, sectorBytes))
		}
		for at < int64(len(raw)) {
			at = beyondRound(raw, at, number, visit)
		}
	}
	return nil
}

// beyondRound shows visit the records of the round at a place, if one of the file begins
// there, and gives the next place where one may begin.
func beyondRound(raw []byte, at int64, number uint64, visit func(*Record)) int64 {
	var mark Record
	if mark.parse(raw[at:]) != nil || mark.Type != TypeMark || !mine(mark.Epoch, number) {
		return at + sectorBytes
	}
	end := at + min(int64(mark.CommitHint), int64(len(raw))-at)
	for at += recordBytes; at < end; {
		var r Record
		if r.parse(raw[at:end]) != nil || r.Epoch != mark.Epoch {
			break
		}
		visit(&r)
		at += r.bytes()
	}
	return align(max(at, 1), sectorBytes)
}

// DumpFile prints one file as text: its header, its rounds, and why the last one is the last.
// Spares are printed as what they were.
func DumpFile(w io.Writer, raw []byte) error {
	if len(raw) >= sectorBytes && bytes.Equal(raw[:sectorBytes], zeros[:sectorBytes]) {
		_, err := fmt.Fprintln(w, "raft log file, never used")
		return err
	}
	h, err := parseHeader(raw)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "raft log file %d, epoch %x", h.number, h.epoch)
	if h.prevEpoch != 0 {
		fmt.Fprintf(w, ", after file %d of epoch %x with %d bytes", h.number-1, h.prevEpoch, h.prevEnd)
	}
	fmt.Fprintln(w)
	end, err := walkFile(h, raw, 0, func(round []place) error {
		for i := range round {
			if _, err := fmt.Fprintf(w, "%10d  %v\n", round[i].offset, &round[i].Record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if end.ended {
		return nil
	}
	if end.covered(h, raw) {
		return fmt.Errorf("byte %d: %w, but a later mark says that it was synced", end.bad, end.reason)
	}
	for i := range end.whole {
		fmt.Fprintf(w, "%10d  cut off: %v\n", end.whole[i].offset, &end.whole[i].Record)
	}
	_, err = fmt.Fprintf(w, "%10d  nothing: %v\n", end.bad, end.reason)
	return err
}

// String is a record in one line.
func (r *Record) String() string {
	text := ""
	switch r.Type {
	case TypeEntry:
		text = fmt.Sprintf("group %d  entry %d  term %d  %v  %d bytes", r.Group, r.Index, r.Term, r.Kind, len(r.Data))
		if len(r.Extensions) > 0 {
			text += fmt.Sprintf(" and %d of extensions", len(r.Extensions))
		}
		if r.CommitHint > 0 {
			text += fmt.Sprintf("  committed %d", r.CommitHint)
		}
	case TypeTruncate:
		text = fmt.Sprintf("group %d  truncate from %d", r.Group, r.Index)
	case TypeCompact:
		text = fmt.Sprintf("group %d  compact to %d, last %d", r.Group, r.Index, r.Term)
	case TypeStable:
		text = fmt.Sprintf("group %d  stable %q = %x", r.Group, r.Extensions, r.Data)
	case TypeMark:
		text = fmt.Sprintf("mark  epoch %x  synced to byte %d of file %d  round of %d bytes", r.Epoch, r.Term, r.Index, r.CommitHint)
	case TypeEnd:
		text = fmt.Sprintf("end of file, the next is %d", r.Index)
	default:
		text = r.Type.String()
	}
	for _, flag := range []struct {
		bit  uint8
		name string
	}{{flagHead, "head"}, {flagStart, "start"}, {flagResume, "resume"}, {flagReset, "reset"}} {
		if r.Flags&flag.bit != 0 {
			text += "  " + flag.name
		}
	}
	if r.AppendedAt != 0 {
		text += "  " + time.Unix(0, r.AppendedAt).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return text
}
