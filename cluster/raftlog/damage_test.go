package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vfs"
)

// long is a log of several files: entries 1 to 40 in rounds of one.
func long(t *testing.T) map[string][]byte {
	t.Helper()
	fs := vfs.NewMem()
	l := open(t, small(fs))
	for i := uint64(1); i <= 40; i++ {
		must(t, l.Group(0).StoreLog(entry(i, 900)))
	}
	must(t, l.Group(0).SetUint64([]byte("term"), 9))
	must(t, l.Close())
	return readFiles(t, fs)
}

// Damage is reported with its place. If the loss is accepted, all before it stays, the log goes
// on from there, and nothing of what was behind comes back.
func TestDamage(t *testing.T) {
	flip := func(name string, at int) func(map[string][]byte) {
		return func(files map[string][]byte) { files[name][at] ^= 8 }
	}
	files := long(t)
	where := func(index uint64) (name string, at int) {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if at := bytes.Index(files[name], bytes.Repeat([]byte{byte(index)}, 900)); at >= 0 {
				return name, at
			}
		}
		t.Fatalf("entry %d is nowhere", index)
		return "", 0
	}
	name20, at20 := where(20)
	nameLast, atLast := where(40)
	for name, c := range map[string]struct {
		change func(files map[string][]byte)
		file   string
		last   uint64 // that is left
		reason string
	}{
		"entry":          {flip(name20, at20), name20, 19, "checksum"},
		"last entry":     {flip(nameLast, atLast), nameLast, 39, "checksum"},
		"first mark":     {flip("00000001.rl", sectorBytes), "00000001.rl", 0, "record of"},
		"header":         {flip("00000003.rl", 20), "00000003.rl", 8, "header: checksum"},
		"missing file":   {func(files map[string][]byte) { delete(files, "00000003.rl") }, "00000003.rl", 8, "missing"},
		"missing last":   {func(files map[string][]byte) { delete(files, nameLast) }, nameLast, 36, "missing"},
		"header of last": {flip(nameLast, 8), nameLast, 36, "header"},
		"first file":     {func(files map[string][]byte) { delete(files, "00000001.rl") }, "00000002.rl", 40, "files before this one are missing"},
		"first header":   {flip("00000001.rl", 1), "00000001.rl", 40, "no header"},
		"cut short":      {func(files map[string][]byte) { files[name20] = files[name20][:at20] }, name20, 19, "bytes"},
		"every header": {func(files map[string][]byte) {
			for name := range files {
				files[name][0]++
			}
		}, "00000001.rl", 0, "no header"},
	} {
		t.Run(name, func(t *testing.T) {
			files := long(t)
			c.change(files)
			fs := writeFiles(t, files)
			_, err := Open(small(fs))
			var damage *DamageError
			if !errors.As(err, &damage) || path.Base(damage.File) != c.file || !strings.Contains(damage.Reason, c.reason) {
				t.Fatalf("Open: %v, want damage of %s: %s", err, c.file, c.reason)
			}
			wantFrom := c.last + 1
			if c.last == 40 {
				wantFrom = 1
			}
			if damage.From != wantFrom || damage.LastGood != wantFrom-1 || wantFrom > 1 != !damage.LastAt.IsZero() {
				t.Errorf("%+v, want entries from %d on", damage, wantFrom)
			}
			if !equalFiles(readFiles(t, fs), files) {
				t.Errorf("Open changed something")
			}
			if err := Scan(fs, "raft/log", func(Item) error { return nil }); !errors.As(err, &damage) {
				t.Errorf("Scan: %v", err)
			}
			opts := small(fs)
			opts.AcceptLoss = true
			l := open(t, opts)
			if got := l.Dropped(); got == nil || got.From != wantFrom {
				t.Errorf("Dropped() = %+v", got)
			}
			check := func(last uint64) {
				t.Helper()
				g := l.Group(0)
				got, _ := g.LastIndex()
				first, _ := g.FirstIndex()
				if got != last {
					t.Fatalf("entries up to %d are left, want %d", got, last)
				}
				for i := first; i > 0 && i <= last; i++ {
					var e raft.Log
					if err := g.GetLog(i, &e); err != nil || !same(&e, entry(i, len(e.Data))) {
						t.Fatalf("GetLog(%d) = %+v, %v", i, e, err)
					}
				}
			}
			check(c.last)
			for i := range uint64(12) { // what was behind had 900 bytes at other places
				must(t, l.Close())
				l = open(t, small(fs))
				check(c.last + i)
				must(t, l.Group(0).StoreLog(entry(c.last+i+1, 300)))
			}
		})
	}
}

// A crash may come before the old file learns that it has ended. The next start tells it, so
// that the new file is missed when it is lost.
func TestEndAfterCrash(t *testing.T) {
	files := long(t)
	h, err := parseHeader(files["00000010.rl"])
	must(t, err)
	clear(files["00000009.rl"][h.prevEnd : h.prevEnd+sectorBytes])
	fs := writeFiles(t, files)
	l := open(t, small(fs))
	must(t, l.Close())
	for name := range readFiles(t, fs) {
		if name > "00000009.rl" {
			must(t, fs.Remove("raft/log/"+name))
		}
	}
	var damage *DamageError
	if _, err := Open(small(fs)); !errors.As(err, &damage) || path.Base(damage.File) != "00000010.rl" {
		t.Errorf("Open without the last file: %v", err)
	}
}

// A commit index that is beyond the last entry says that entries are missing.
func TestCommittedMissing(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	g := l.Group(0)
	must(t, g.StoreLogs([]*raft.Log{entry(1, 1), entry(2, 1), entry(3, 1)}))
	g.mu.Lock()
	g.hint = 7 // as if entries up to 7 had been there and a firmware had lost them
	g.mu.Unlock()
	must(t, g.StoreLog(entry(4, 1)))
	must(t, l.Close())
	opts := small(fs)
	_, err := Open(opts)
	var damage *DamageError
	if !errors.As(err, &damage) || damage.From != 5 || !strings.Contains(damage.Reason, "up to 7 were committed") {
		t.Fatalf("Open: %v", err)
	}
	opts.AcceptLoss = true
	must(t, open(t, opts).Close())
	opts.AcceptLoss = false
	if hint, _ := open(t, opts).Group(0).GetCommitIndex(); hint != 4 {
		t.Errorf("GetCommitIndex() = %d, want 4", hint)
	}
}

// What rots under an open log is noticed when it is read, and by Scrub.
func TestRot(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, small(fs))
	g := l.Group(3)
	for i := uint64(1); i <= 20; i++ {
		must(t, g.StoreLog(entry(i, 900)))
	}
	must(t, l.Scrub(t.Context()))
	files := readFiles(t, fs)
	at := bytes.Index(files["00000001.rl"], bytes.Repeat([]byte{3}, 900))
	f, err := fs.ReuseForWrite("raft/log/00000001.rl", "raft/log/00000001.rl")
	must(t, err)
	if _, err := f.WriteAt([]byte{99}, int64(at)+5); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"GetLog":    g.GetLog(3, new(raft.Log)),
		"ReadRange": g.ReadRange(t.Context(), 1, 20, func(*raft.Log) error { return nil }),
		"Scrub":     l.Scrub(t.Context()),
	} {
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Group != 3 || damage.From != 3 || damage.LastGood != 2 || damage.Offset != int64(at)-recordBytes {
			t.Errorf("%s: %v, want damage of entry 3 of group 3 at byte %d", name, err, at-recordBytes)
		}
	}
}

// Files of a newer release, and of an earlier build, are refused by name.
func TestForeign(t *testing.T) {
	files := long(t)
	raw := files["00000002.rl"]
	binary.LittleEndian.PutUint32(raw[8:], 2)
	binary.LittleEndian.PutUint32(raw[60:], crc32.Checksum(raw[:60], encoding.Table))
	for _, accept := range []bool{false, true} {
		opts := small(writeFiles(t, files))
		opts.AcceptLoss = accept
		if _, err := Open(opts); err == nil || !strings.Contains(err.Error(), "00000002.rl: written by a newer release: version 2") {
			t.Errorf("Open of a newer file: %v", err)
		}
	}
	if _, err := Open(small(writeFiles(t, map[string][]byte{"wal-meta.db": nil}))); err == nil || !strings.Contains(err.Error(), "earlier build") {
		t.Errorf("Open of an earlier log: %v", err)
	}
}

// A file as text, and all records of a directory.
func TestDump(t *testing.T) {
	files, _ := filled(t)
	fs := writeFiles(t, files)
	opts := small(fs)
	opts.FileBytes = 4096
	l := open(t, opts)
	must(t, l.Group(1).SetUint64([]byte("term"), 3))
	files = readFiles(t, fs)
	datadriven.RunTest(t, "testdata/dump", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		must(t, DumpFile(&out, files[d.CmdArgs[0].Key]))
		return out.String()
	})
	var out strings.Builder
	raw := files["00000002.rl"]
	raw[bytes.Index(raw, bytes.Repeat([]byte{11}, 20))] ^= 1
	if err := DumpFile(&out, raw); err == nil || !strings.Contains(err.Error(), "a later mark says that it was synced") {
		t.Errorf("DumpFile of a damaged file: %v", err)
	}
	if err := DumpFile(&out, raw[:10]); err == nil {
		t.Errorf("DumpFile of 10 bytes: no error")
	}
	var seen []uint64
	err := Scan(writeFiles(t, long(t)), "raft/log", func(i Item) error {
		if i.Type == TypeEntry {
			seen = append(seen, i.Index)
		}
		return nil
	})
	if err != nil || len(seen) != 40 || seen[39] != 40 {
		t.Errorf("Scan: %v, %v", seen, err)
	}
	stop := errors.New("stop")
	if err := Scan(writeFiles(t, long(t)), "raft/log", func(Item) error { return stop }); err != stop {
		t.Errorf("Scan with a visitor that ends it: %v", err)
	}
	if err := Scan(vfs.NewMem(), "raft/log", nil); err != nil {
		t.Errorf("Scan of nothing: %v", err)
	}
}

// FuzzRecord reads a file of anything: no panic, no allocation beyond it, and what is read sums.
func FuzzRecord(f *testing.F) {
	files, _ := filled(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.Add(files[name], uint16(600))
	}
	f.Fuzz(func(t *testing.T, raw []byte, at uint16) {
		var out bytes.Buffer
		DumpFile(&out, raw) // the error is fine
		if len(raw) >= 64 { // beyond the checksum of the header
			copy(raw, header{number: 1, epoch: 1<<32 | 1, size: int64(len(raw))}.append(nil)[:64])
			// and of a record
			if int(at)+recordBytes <= len(raw) {
				length := binary.LittleEndian.Uint32(raw[at:])
				if length >= recordBytes && int(length) <= len(raw)-int(at) {
					sum := crc32.Checksum(raw[int(at)+recordBytes:int(at)+int(length)], encoding.Table)
					binary.LittleEndian.PutUint32(raw[at+4:], headerSum(sum, raw[at:]))
				}
			}
			DumpFile(&out, raw)
			if fs := writeFiles(t, map[string][]byte{"00000001.rl": raw}); len(raw) < 1<<16 {
				l, err := Open(small(fs))
				if err == nil {
					l.Close()
				}
			}
		}
		var r Record
		if r.parse(raw) == nil {
			if back := append(append(r.appendHeader(nil, r.payloadSum()), r.Extensions...), r.Data...); !bytes.Equal(back[:23], raw[:23]) {
				t.Errorf("%v is written as %x, was %x", &r, back[:23], raw[:23])
			}
		}
	})
}

// A length of foreign bytes allocates nothing.
func TestForeignLength(t *testing.T) {
	raw := make([]byte, 4096)
	copy(raw, header{number: 1, epoch: 1<<32 | 1, size: 4096}.append(nil))
	mark := Record{Type: TypeMark, Epoch: 1<<32 | 1, CommitHint: 1 << 62}
	copy(raw[sectorBytes:], mark.appendHeader(nil, 0))
	binary.LittleEndian.PutUint32(raw[1024:], 1<<31)
	allocs := testing.AllocsPerRun(10, func() {
		h, err := parseHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := walkFile(h, raw, 0, func([]place) error { return nil })
		if w.end != sectorBytes {
			t.Fatalf("a round of 2^62 bytes counts")
		}
	})
	if allocs > 20 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzDirectory opens a directory of files that were changed at some places: four bytes
// say which file, where (two of them), and what is mixed into the byte. A log that
// opens can be read and written to; one that does not says where it is damaged, and is as
// it was.
func FuzzDirectory(f *testing.F) {
	good, _ := filled(f)
	names := slices.Sorted(maps.Keys(good))
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 1, 1, 200, 77, 4})
	f.Fuzz(func(t *testing.T, changes []byte) {
		files := map[string][]byte{}
		for name, raw := range good {
			files[name] = bytes.Clone(raw)
		}
		for ; len(changes) >= 4; changes = changes[4:] {
			raw := files[names[int(changes[0])%len(names)]]
			raw[(int(changes[1])<<8|int(changes[2]))%len(raw)] ^= changes[3]
		}
		fs := writeFiles(t, files)
		opts := small(fs)
		opts.FileBytes = 4096
		l, err := Open(opts)
		if err != nil {
			if after := readFiles(t, fs); !equalFiles(after, files) {
				t.Errorf("Open changed something: %v", err)
			}
			return
		}
		defer l.Close()
		g := l.Group(0)
		first, _ := g.FirstIndex()
		last, _ := g.LastIndex()
		for i := first; i > 0 && i <= last; i++ {
			var e raft.Log
			if err := g.GetLog(i, &e); err != nil {
				t.Errorf("entry %d of a log that opened: %v", i, err)
			}
		}
		if err := g.StoreLog(entry(last+1, 100)); err != nil {
			t.Error(err)
		}
	})
}
