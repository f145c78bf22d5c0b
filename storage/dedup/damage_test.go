package dedup

import (
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

var golden = flag.Bool("golden", false, "write the file that is kept")

// smallRun is a run of two projects, one with a filter, and what is in it.
func smallRun(t testing.TB) (*vfs.Mem, manifest.Run, []vec.UUIDValue) {
	r := rand.New(rand.NewPCG(1, 1))
	d := newDisk(t)
	uuids := append(randomUUIDs(r, filterLeast, 1_750_000_000_000), vec.UUIDValue{})
	d.apply(request{1, 10, uuids})
	d.apply(request{2, 20, uuids[:3]})
	d.flush()
	meta := d.x.runs[0].Run
	if err := d.x.Close(); err != nil {
		t.Fatal(err)
	}
	return d.fs, meta, uuids
}

// ask opens a run and says what it answers: an error, or whether all answers are right.
func ask(fs vfs.FS, meta manifest.Run, uuids []vec.UUIDValue) (right bool, err error) {
	x, err := OpenIndex(fs, "d", &manifest.Manifest{Runs: map[uint64]manifest.Run{meta.Number: meta}})
	if err != nil {
		return false, err
	}
	defer x.Close()
	right = true
	r := rand.New(rand.NewPCG(9, 9))
	for project, stored := range map[uint32]int{1: len(uuids), 2: 3, 3: 0} {
		q, err := x.Find(project, 30, append(slices.Clone(uuids), randomUUIDs(r, 20, 1_750_000_000_000)...))
		if err != nil {
			return false, err
		}
		for i, seen := range q.Seen {
			right = right && seen == (i < stored)
		}
	}
	return right, nil
}

// A flipped bit anywhere in a run is found, or does no harm.
func TestDamage(t *testing.T) {
	fs, meta, uuids := smallRun(t)
	name := "d/" + Dir + "/" + Name(meta.Number)
	whole, err := vfs.ReadFile(fs, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if right, err := ask(fs, meta, uuids); !right || err != nil {
		t.Fatalf("undamaged: right %v, %v", right, err)
	}
	harmless := 0
	damaged := slices.Clone(whole)
	for i := range whole {
		damaged[i] ^= 1 << (i % 8)
		if err := vfs.WriteSynced(fs, name, damaged); err != nil {
			t.Fatal(err)
		}
		right, err := ask(fs, meta, uuids)
		var corrupt *CorruptError
		switch {
		case err == nil && !right:
			t.Fatalf("byte %d flipped: a wrong answer", i)
		case err == nil:
			harmless++
		case !errors.As(err, &corrupt) || corrupt.File != name || !strings.Contains(err.Error(), name):
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		damaged[i] = whole[i]
	}
	// Of the project without a filter all bytes are asked for here, so none is.
	if harmless > 0 {
		t.Errorf("%d of %d flipped bytes went unnoticed", harmless, len(whole))
	}
	for _, size := range []int{0, 7, len(whole) / 2, len(whole) - 1} {
		if err := vfs.WriteSynced(fs, name, whole[:size]); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(fs, meta, uuids); !errors.As(err, new(*CorruptError)) {
			t.Errorf("cut to %d bytes: %v", size, err)
		}
	}
	if err := fs.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(fs, meta, uuids); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("file gone: %v", err)
	}
}

// A file that shrinks while it is open is an error, not the end of the process.
func TestCutShortWhileOpen(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	fs, dir := vfs.OS(), t.TempDir()
	if err := fs.MkdirAll(dir + "/" + Dir); err != nil {
		t.Fatal(err)
	}
	x, err := OpenIndex(fs, dir, &manifest.Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	uuids := randomUUIDs(r, 5000, notV7)
	addAll(t, x, 1, 0, uuids)
	s := x.Seal()
	if _, err := s.Write(fs, dir, counter()); err != nil {
		t.Fatal(err)
	}
	x.Publish(s)
	if err := os.Truncate(dir+"/"+Dir+"/"+Name(1), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Find(1, 0, uuids); !errors.As(err, new(*CorruptError)) {
		t.Errorf("Find: %v", err)
	}
	if err := x.runs[0].Verify(); !errors.As(err, new(*CorruptError)) {
		t.Errorf("Verify: %v", err)
	}
}

// Foreign bytes give an error or answers, never a panic. The checksums of the footer are
// made right, so that what is behind them is reached.
func FuzzRun(f *testing.F) {
	fs, meta, uuids := smallRun(f)
	raw, err := vfs.ReadFile(fs, "d/"+Dir+"/"+Name(meta.Number), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = resum(slices.Clone(raw))
		r := &Run{name: "fuzz", data: raw}
		if err := r.readFooter(); err != nil {
			return
		}
		var q Query
		for i := range r.sections {
			q.reset(r.sections[i].project, uuids)
			r.mark(&q) //nolint:errcheck // only that it returns
		}
		r.Verify() //nolint:errcheck // only that it returns
	})
}

// resum makes the checksum of a footer that of its bytes.
func resum(raw []byte) []byte {
	n := len(raw)
	if n < len(runMagic)+footerSize {
		return raw
	}
	start := binary.LittleEndian.Uint64(raw[n-footerSize:])
	if start <= uint64(n-footerSize) {
		binary.LittleEndian.PutUint32(raw[n-8:], sum(raw[start:n-8]))
	}
	return raw
}

func sum(raw []byte) uint32 { return crc32.Checksum(raw, encoding.Table) }

// The form of a run does not change by accident: what is written has the bytes of the file
// that is kept, and that file can be read.
func TestFormatIsKept(t *testing.T) {
	fs, meta, uuids := smallRun(t)
	raw, err := vfs.ReadFile(fs, "d/"+Dir+"/"+Name(meta.Number), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	kept := "testdata/v1.dup"
	if *golden {
		if err := os.WriteFile(kept, raw, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(raw, want) {
		t.Errorf("a run has other bytes than %s: a new form needs a new magic", kept)
	}
	if err := vfs.WriteSynced(fs, "d/"+Dir+"/"+Name(meta.Number), want); err != nil {
		t.Fatal(err)
	}
	if right, err := ask(fs, meta, uuids); !right || err != nil {
		t.Errorf("%s: right %v, %v", kept, right, err)
	}
	var text strings.Builder
	if err := Dump(&text, want); err != nil || !strings.Contains(text.String(), "132 keys") ||
		!strings.Contains(text.String(), "project 1: 129 keys in 1 parts, 1 with a fuse filter; version 7 from 2025-06-15 15:06:40 to 2025-06-15 15:06:40; other versions") {
		t.Errorf("Dump: %v\n%s", err, &text)
	}
	if err := Dump(&text, want[1:]); err == nil {
		t.Error("Dump of another file gave no error")
	}
}
