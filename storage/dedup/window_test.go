package dedup

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// A window is held against a list of all requests, with snapshots in between.
func TestWindowModel(t *testing.T) {
	seeds(t, 10, func(t *testing.T, r *rand.Rand) {
		type sent struct {
			project uint32
			key     RequestKey
			at      int64
			index   uint64
		}
		var all []sent
		w, other := &Window{}, &Window{}
		at := int64(0)
		for index := range uint64(3000) {
			if at += r.Int64N(60e6); r.IntN(300) == 0 {
				at += 3000e6
			}
			project, key := r.Uint32N(4), RequestKey{byte(r.UintN(200))}
			want, known := uint64(0), false
			for i := len(all) - 1; i >= 0 && at-all[i].at <= WindowSpan.Microseconds(); i-- {
				if all[i].project == project && all[i].key == key {
					want, known = all[i].index, true
				}
			}
			if got, ok := w.Find(project, at, key); ok != known || got != want {
				t.Fatalf("request %d: Find = %d, %v, want %d, %v", index, got, ok, want, known)
			}
			if !known {
				all = append(all, sent{project, key, at, index})
			}
			w.Add(project, at, key, index)
			other.Add(project, at, key, index)
			if r.IntN(100) == 0 {
				raw := w.Append(nil)
				if !bytes.Equal(raw, other.Append(nil)) {
					t.Fatalf("request %d: a window that was read back has other bytes than one that was not", index)
				}
				var err error
				if w, err = DecodeWindow(raw); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A project keeps a number of requests, the newest, and another one does not take its room.
func TestWindowKeepsTheNewest(t *testing.T) {
	w := &Window{}
	key := func(i int) (k RequestKey) {
		binary.LittleEndian.PutUint64(k[:], uint64(i))
		return k
	}
	w.Add(2, 1, key(0), 7)
	for i := range WindowKeys + 10 {
		w.Add(1, 1, key(i), uint64(i))
	}
	for i, want := range map[int]bool{0: false, 9: false, 10: true, WindowKeys + 9: true} {
		if _, got := w.Find(1, 1, key(i)); got != want {
			t.Errorf("request %d is remembered: %v, want %v", i, got, want)
		}
	}
	if index, ok := w.Find(2, 1, key(0)); !ok || index != 7 {
		t.Errorf("the request of another project: %d, %v", index, ok)
	}
	if n := len(w.projects[1].requests); n > 2*WindowKeys+2 {
		t.Errorf("%d requests are held for %d", n, WindowKeys)
	}
	w.Find(1, 2*WindowSpan.Microseconds(), key(0))
	if n := len(w.projects); n > 0 {
		t.Errorf("%d projects are held after two spans of silence", n)
	}
}

// Any flipped byte of a snapshot is found.
func TestWindowDamage(t *testing.T) {
	w := &Window{}
	w.Add(1, 5, RequestKey{1}, 1)
	w.Add(2, 6, RequestKey{2}, 2)
	raw := w.Append(nil)
	for i := range raw {
		raw[i] ^= 4
		if _, err := DecodeWindow(raw); err == nil {
			t.Errorf("byte %d flipped: no error", i)
		}
		raw[i] ^= 4
	}
}

func FuzzDecodeWindow(f *testing.F) {
	w := &Window{}
	w.Add(1, 5, RequestKey{1}, 1)
	f.Add(w.Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 4 { // with a right checksum
			raw = binary.LittleEndian.AppendUint32(raw[:len(raw)-4:len(raw)-4], sum(raw[:len(raw)-4]))
		}
		if w, err := DecodeWindow(raw); err == nil {
			if _, err := DecodeWindow(w.Append(nil)); err != nil {
				t.Errorf("what was read cannot be read again: %v", err)
			}
		}
	})
}
