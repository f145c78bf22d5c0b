package manifest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/vfs"
)

// A crash at any step of any edit, with any part of what was not synced, leaves the
// manifest as it was before that edit or after it.
func TestCrashAtEveryStep(t *testing.T) {
	first := 0
	edits := func(i int) Edit {
		if i < first {
			return Edit{Applied: uint64(i + 1)}
		}
		e := Edit{Applied: uint64(i + 1), Add: []Segment{{ID: uint64(i + 1), Project: 1}}}
		if i%3 == 2 && i > first {
			e.Remove = []uint64{uint64(i)}
		}
		if i%4 == 1 {
			e.State, e.Full = fmt.Sprintf("%d.state", i), i%8 == 1
			e.Time, e.AddRuns = int64(i), []Run{{Number: uint64(i), Keys: 7}}
		}
		if i%4 == 2 && i > first+1 {
			e.RemoveRuns = []uint64{uint64(i - 1)}
		}
		return e
	}
	const count = maxEdits + 4 // over a switch of files
	for _, first = range []int{0, maxEdits - 3} {
		for n := 1; ; n++ {
			fs := vfs.NewMem()
			fs.MkdirAll("d")
			steps, armed := 0, false
			fs.Hook = func(op, name string) error {
				if steps++; armed && steps >= n {
					return errors.New("power")
				}
				return nil
			}
			if first == 0 {
				armed = true
			}
			allowed := []*Manifest{{}}
			l, err := Open(fs, "d")
			for i := 0; err == nil && i < min(count, first+7); i++ {
				if i == first && first > 0 {
					armed, steps = true, 0
				}
				next, _ := l.Manifest().apply(ptr(edits(i)))
				allowed = []*Manifest{l.Manifest(), next}
				err = l.Commit(edits(i))
			}
			if err == nil {
				break
			}
			for seed := range uint64(6) {
				var rng *rand.Rand
				if seed > 0 {
					rng = rand.New(rand.NewPCG(seed, uint64(n)))
				}
				back, err := Open(fs.Crash(rng), "d")
				if err != nil {
					t.Fatalf("from edit %d, step %d, seed %d: Open: %v", first, n, seed, err)
				}
				if !same(back.Manifest(), allowed[0]) && !same(back.Manifest(), allowed[len(allowed)-1]) {
					t.Fatalf("from edit %d, step %d, seed %d: applied %d with %d segments, want that of before or after the edit", first, n, seed,
						back.Manifest().Applied, len(back.Manifest().Segments))
				}
				if err := back.Commit(Edit{Applied: 1 << 40}); err != nil {
					t.Fatalf("from edit %d, step %d, seed %d: Commit: %v", first, n, seed, err)
				}
			}
		}
	}
}

func ptr(e Edit) *Edit { return &e }

func same(a, b *Manifest) bool {
	return a.Applied == b.Applied && a.Time == b.Time && maps.Equal(a.Runs, b.Runs) && len(a.Segments) == len(b.Segments) && len(a.States) == len(b.States) &&
		(len(a.Segments) == 0 || reflect.DeepEqual(a.Segments, b.Segments)) && (len(a.States) == 0 || reflect.DeepEqual(a.States, b.States))
}

// Damage before the last record is an error and names the place.
func TestDamage(t *testing.T) {
	fs := vfs.NewMem()
	fs.MkdirAll("d")
	l, err := Open(fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := l.Commit(Edit{Applied: uint64(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := vfs.ReadFile(fs, "d/MANIFEST-000001", maxFileBytes)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(magic)+recordHeader] ^= 1
	if _, err := Decode(raw, func(Edit) {}); err == nil || !strings.Contains(err.Error(), "record at byte 8") {
		t.Errorf("Decode of a damaged manifest: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	raw, _ := appendRecord([]byte(magic), &Edit{Applied: 3, Add: []Segment{{ID: 1}}})
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) { Decode(raw, func(Edit) {}) })
}

// The last record of a file that was just begun is all of the manifest: damaged, it leaves
// nothing that could pass for one.
func TestRenewedIsOneRecord(t *testing.T) {
	fs := vfs.NewMem()
	fs.MkdirAll("d")
	for i := range 3 {
		l, err := Open(fs, "d")
		if err == nil {
			err = l.Renew()
		}
		if err == nil {
			err = l.Commit(Edit{Applied: uint64(i + 1), State: fmt.Sprintf("%d.state", i), Add: []Segment{{ID: uint64(i + 1)}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	l, err := Open(fs, "d")
	if err == nil {
		err = l.Renew()
	}
	if err != nil || l.Name() != "MANIFEST-000004" || l.Manifest().Applied != 3 || len(l.Manifest().States) != 3 {
		t.Fatalf("%s: %+v, %v", l.Name(), l.Manifest(), err)
	}
	raw, err := vfs.ReadFile(fs, "d/"+l.Name(), maxFileBytes)
	if err != nil {
		t.Fatal(err)
	}
	for at := len(magic); at < len(raw); at++ {
		bad := append([]byte(nil), raw...)
		bad[at] ^= 1
		if m, err := Decode(bad, func(Edit) {}); err == nil && m.Applied+uint64(len(m.States)+len(m.Segments)) > 0 {
			t.Fatalf("byte %d is damaged: %+v", at, m)
		}
	}
}

// What a start found in memory is on disk before it is relied on.
func TestRenewIsDurable(t *testing.T) {
	fs := vfs.NewMem()
	fs.MkdirAll("d")
	l, err := Open(fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	fs.Hook = func(op, _ string) error {
		if op == "sync" {
			return errors.New("the disk")
		}
		return nil
	}
	if err := l.Commit(Edit{Applied: 5}); err == nil {
		t.Fatal("a failed sync gives no error")
	}
	l.Close()
	fs.Hook = nil
	if l, err = Open(fs, "d"); err == nil {
		err = l.Renew()
	}
	if err != nil {
		t.Fatal(err)
	}
	found := l.Manifest().Applied
	l.Close()
	if m, _, err := Read(fs.Crash(nil), "d"); err != nil || m.Applied != found {
		t.Errorf("after a power loss %+v, %v, want entry %d", m, err, found)
	}
}
