package segment

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// A file that is cut short under a reader gives errors that name it; the process goes on.
func TestFileCutShort(t *testing.T) {
	rng := newRand(t, 1)
	rows := randomRows(rng, 5000, 1)
	raw := mustBuild(t, inputs(rng, rows), Options{})
	name := filepath.Join(t.TempDir(), "a.seg")
	firstDay, days := mustOpen(t, raw).FirstDay(), mustOpen(t, raw).Days()
	for _, c := range []struct {
		what string
		read func(r *Reader) error
	}{
		{"all", readAll},
		{"Verify", (*Reader).Verify},
		{"PersonBitmap", func(r *Reader) error { _, err := r.PersonBitmap(); return err }},
		{"AllDayMasks", func(r *Reader) error { _, err := r.AllDayMasks(); return err }},
		{"DayBitmap", func(r *Reader) error { _, err := r.Ranges()[0].DayBitmap(1); return err }},
		{"Sessions", func(r *Reader) error { _, err := r.Sessions(); return err }},
		{"UUIDs", func(r *Reader) error { return r.UUIDs(make([]vec.UUIDValue, r.Rows()), 0, r.Rows()) }},
		{"Merge", func(r *Reader) error {
			_, err := Merge(partsOf(mustOpen(t, raw), r), nil, firstDay, days)
			return err
		}},
	} {
		for _, warm := range []bool{false, true} {
			if err := os.WriteFile(name, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Open(vfs.OS(), name)
			if err != nil {
				t.Fatal(err)
			}
			if warm { // sums are checked already
				if err := readAll(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Truncate(name, 0); err != nil {
				t.Fatal(err)
			}
			var corrupt *CorruptError
			err = c.read(r)
			cached := warm && c.what == "DayBitmap"
			if !cached && (!errors.As(err, &corrupt) || corrupt.File != name) {
				t.Errorf("%s of a file cut short, read before %v: %v, want a CorruptError of %s", c.what, warm, err, name)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Other panics are not taken for damage.
func TestGuardPassesPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic is gone")
		}
	}()
	guard(func() error { panic("a bug") })
}
