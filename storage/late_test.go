package storage

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// madeAt is a uuid of a version whose first 48 bits are a time in µs, as those of version 7 are.
func madeAt(at int64, version, n byte) vec.UUIDValue {
	var u vec.UUIDValue
	binary.BigEndian.PutUint64(u[:], uint64(at/1000)<<16)
	u[6], u[8], u[15] = version<<4, 0x80, n
	return u
}

// lateBatch is an event for each uuid, and a property for each that is not empty.
func lateBatch(at int64, uuids []vec.UUIDValue, marks ...string) *event.Batch {
	b := event.NewBuilder()
	for i, u := range uuids {
		b.Begin(u, at)
		b.SetName([]byte("e"))
		b.SetDistinctID([]byte("ann"))
		b.Property([]byte("n"), event.Int, []byte{'0' + byte(i)})
		if i < len(marks) && marks[i] != "" {
			b.Property([]byte(LateProperty), event.Text, []byte(marks[i]))
		}
		b.End()
	}
	out := b.Finish()
	out.CreatedAt = at
	return out
}

// properties are those of all rows of project 1, in the order of the property n.
func propertiesOf(t *testing.T, s *Store) (out []string) {
	t.Helper()
	sn, err := s.Snapshot(1)
	must(t, err)
	defer sn.Release()
	for _, seg := range sn.Segments() {
		for _, g := range seg.Ranges() {
			v, err := g.Properties(g.Lo, g.Hi)
			must(t, err)
			for i := range g.Hi - g.Lo {
				out = append(out, v.Str.Str(i))
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestLateEventsAreMarked(t *testing.T) {
	const now = 1_000_000 * hourMicros
	const edge = now - 48*hourMicros
	uuids := []vec.UUIDValue{madeAt(now, 7, 0), madeAt(edge, 7, 1), madeAt(edge-1000, 7, 2), madeAt(edge-1000, 4, 3), madeAt(0, 7, 4), madeAt(0, 7, 5), madeAt(now, 7, 6)}
	uuids = append(uuids, madeAt(0, 7, 7))
	uuids[7][8] = 0 // of another variant
	marked := []string{
		`{"n": 0}`, `{"n": 1}`, `{"n": 2, "$late": true}`, `{"n": 3}`, `{"n": 4, "$late": true}`, `{"n": 5, "$late": true}`, `{"n": 6, "$late": "mine"}`, `{"n": 7}`,
	}
	batch := func() *event.Batch { return lateBatch(now, uuids, "", "", "", "", "", "theirs", "mine") }
	asWritten := batch()
	asWritten.AsWritten = true
	for name, c := range map[string]struct {
		batch *event.Batch
		want  []string
	}{
		"marked":     {batch(), marked},
		"as written": {asWritten, []string{`{"n": 0}`, `{"n": 1}`, `{"n": 2}`, `{"n": 3}`, `{"n": 4}`, `{"n": 5, "$late": "theirs"}`, `{"n": 6, "$late": "mine"}`, `{"n": 7}`}},
	} {
		s := openAt(t, vfs.NewMem())
		createAs(t, s, 1, "a")
		applyAt(t, s, now, 1, c.batch)
		for _, where := range []string{"memtable", "segment"} {
			if got := propertiesOf(t, s); !slices.Equal(got, c.want) {
				t.Errorf("%s, in the %s: %q, want %q", name, where, got, c.want)
			}
			flushNow(t, s)
		}
		must(t, s.Close())
	}
}

// An event that comes again when its uuid is forgotten is stored, and marked; the merge of the
// two keeps the first.
func TestMergeDropsLateRepeats(t *testing.T) {
	const first, again = 1_000_000 * hourMicros, 1_000_060 * hourMicros
	uuids := []vec.UUIDValue{madeAt(first, 7, 0), madeAt(first, 7, 1)}
	s := openAt(t, vfs.NewMem())
	defer s.Close()
	createAs(t, s, 1, "a")
	applyAt(t, s, first, 1, lateBatch(first, uuids))
	flushNow(t, s)
	if got := applyAt(t, s, again, 1, lateBatch(first, uuids[:1])); got != 1 {
		t.Fatalf("%d rows stored, want 1", got)
	}
	flushNow(t, s)
	version := func() uint64 {
		sn, err := s.Snapshot(1)
		must(t, err)
		defer sn.Release()
		return sn.Version()
	}
	before := version()
	if got, want := propertiesOf(t, s), []string{`{"n": 0, "$late": true}`, `{"n": 0}`, `{"n": 1}`}; !slices.Equal(got, want) {
		t.Errorf("before the merge: %q, want %q", got, want)
	}
	mergeAll(t, s, s.AppliedIndex()+1, s.PlanMergeAll)
	if got, want := propertiesOf(t, s), []string{`{"n": 0}`, `{"n": 1}`}; !slices.Equal(got, want) {
		t.Errorf("after it: %q, want %q", got, want)
	}
	if version() == before {
		t.Error("answers changed, and the snapshot has the same version")
	}
	if got := s.Stats().Events; got != 2 {
		t.Errorf("Stats().Events = %d, want 2", got)
	}
}
