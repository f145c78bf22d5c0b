package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// plain is the state as the model keeps it: rows in a slice, persons as sets of ids.
type plain struct {
	rows  []plainRow
	uuids map[vec.UUIDValue]bool
	owner map[string]*plainPerson
}

type plainRow struct {
	uuid  vec.UUIDValue
	event string
	id    string
	time  int64
	value string // "" is none
}

type plainPerson struct {
	ids        []string
	profile    bool
	identified bool
}

// script is a random log: the same seed gives the same entries.
type script struct {
	r     *rand.Rand
	model plain
	index uint64
	next  uint64
}

func newScript(seed int64) *script {
	return &script{r: rand.New(rand.NewSource(seed)), model: plain{uuids: map[vec.UUIDValue]bool{}, owner: map[string]*plainPerson{}}}
}

// batch makes a batch and tells the model. Some rows repeat uuids, in the batch or of
// batches before it.
func (s *script) batch() *event.Batch {
	b := event.NewBuilder()
	for range 1 + s.r.Intn(60) {
		row := plainRow{event: []string{"open", "view", "pay"}[s.r.Intn(3)], id: fmt.Sprint("u", s.r.Intn(30)),
			time: (int64(s.r.Intn(70))*24 + int64(s.r.Intn(24))) * 3_600_000_000}
		if s.r.Intn(3) > 0 {
			row.value = fmt.Sprint("v", s.r.Intn(5))
		}
		if s.r.Intn(6) > 0 || s.next == 0 {
			s.next++
			binary.BigEndian.PutUint64(row.uuid[8:], s.next)
		} else {
			binary.BigEndian.PutUint64(row.uuid[8:], 1+uint64(s.r.Int63n(int64(s.next))))
		}
		b.Begin(row.uuid, row.time)
		b.SetName([]byte(row.event))
		b.SetDistinctID([]byte(row.id))
		if row.value != "" {
			b.Property([]byte("plan"), event.Text, []byte(row.value))
		}
		other := ""
		if s.r.Intn(12) == 0 {
			other = fmt.Sprint("u", s.r.Intn(40))
			b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: other})
		}
		b.End()
		s.model.add(row, other)
	}
	return b.Finish()
}

func (m *plain) add(row plainRow, other string) {
	if m.uuids[row.uuid] {
		return
	}
	m.uuids[row.uuid] = true
	m.rows = append(m.rows, row)
	if other != "" && other != row.id {
		m.unite(other, row.id)
	}
	m.person(row.id).profile = true
}

func (m *plain) person(id string) *plainPerson {
	if m.owner[id] == nil {
		m.owner[id] = &plainPerson{ids: []string{id}}
	}
	return m.owner[id]
}

func (m *plain) unite(a, b string) {
	from, to := m.person(a), m.person(b)
	to.profile, to.identified = true, true
	if from == to {
		return
	}
	for _, id := range from.ids {
		m.owner[id] = to
	}
	to.ids = append(to.ids, from.ids...)
}

// TestStoreModel applies a random log, with flushes, merges and restarts in between, and
// compares every row and every person with the model.
func TestStoreModel(t *testing.T) {
	seeds := int64(25)
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		s := newScript(seed)
		fs := vfs.NewMem()
		budget := memory.NewBudget(64 << 10) // so that nothing decoded stays for long
		opt := Options{SealRows: 200 + s.r.Int63n(800), Memory: budget}
		st := openStore(t, fs, opt)
		type entry struct {
			index uint64
			batch func() *event.Batch
		}
		var tail []entry // entries that may not be durable yet
		apply := func(e entry) {
			if _, err := st.ApplyEvents(e.index, int64(e.index), 1, e.batch()); err != nil {
				t.Fatal(err)
			}
		}
		s.index = 1
		create := func() {
			if _, err := st.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "prickle", Token: "phc_a", Timezone: "UTC"}}); err != nil {
				t.Fatal(err)
			}
		}
		create()
		for step := range 120 {
			switch n := s.r.Intn(20); {
			case n < 13:
				s.index++
				raw := event.Append(nil, s.batch())
				e := entry{s.index, func() *event.Batch {
					b, err := event.Decode(raw)
					if err != nil {
						t.Fatal(err)
					}
					return b
				}}
				tail = append(tail, e)
				apply(e)
			case n < 15:
				if err := st.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
			case n < 17:
				plan, ok := st.PlanMergeAll()
				if !ok {
					continue
				}
				s.index += 2
				if err := st.Merge(context.Background(), s.index-1, int64(s.index), plan); err != nil {
					t.Fatal(err)
				}
			case n < 18: // restart: what is not durable comes again from the log
				if err := st.Close(); err != nil {
					t.Fatal(err)
				}
				st = openStore(t, fs, opt)
				durable := st.DurableIndex()
				if durable == 0 {
					create()
				}
				for _, e := range tail {
					apply(e)
				}
				tail = slices.DeleteFunc(tail, func(e entry) bool { return e.index <= durable })
			default:
				check(t, fmt.Sprintf("seed %d step %d", seed, step), st, &s.model)
			}
		}
		check(t, fmt.Sprintf("seed %d end", seed), st, &s.model)
		st.TrimCache()
		if p := budget.Pool(memory.Decoded); p.Used() > p.Size() {
			t.Errorf("seed %d: %d bytes are cached, the pool has %d", seed, p.Used(), p.Size())
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		for _, u := range []memory.Use{memory.Memtables, memory.Decoded} {
			if p := budget.Pool(u); p.Used() != 0 || p.Peak() == 0 {
				t.Errorf("seed %d: %d bytes of %s after the end, %d at most; want 0 and more", seed, p.Used(), u, p.Peak())
			}
		}
	}
}

func TestMemtablesAreCounted(t *testing.T) {
	s := newScript(1)
	budget := memory.NewBudget(1 << 30)
	st := openStore(t, vfs.NewMem(), Options{Memory: budget})
	if _, err := st.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "prickle", Token: "phc_a", Timezone: "UTC"}}); err != nil {
		t.Fatal(err)
	}
	pool := budget.Pool(memory.Memtables)
	look := func() *Snapshot {
		sn, err := st.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		return sn
	}
	for index := range uint64(5) {
		before := pool.Used()
		if _, err := st.ApplyEvents(index+2, 1, 1, s.batch()); err != nil {
			t.Fatal(err)
		}
		batches := pool.Used()
		look().Release()
		if batches <= before {
			t.Fatalf("%d bytes, and with another batch %d", before, batches)
		}
		if images := pool.Used(); index == 0 && images <= batches {
			t.Fatalf("%d bytes, and with an image %d", batches, images)
		}
	}
	sn := look()
	if err := st.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Flush returns when the segments count; the memtable goes right after.
	for deadline := time.Now().Add(time.Minute); pool.Used() != 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of memtables after a flush", pool.Used())
		}
	}
	sn.Release()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, fs vfs.FS, opt Options) *Store {
	t.Helper()
	st, err := Open(fs, "data", opt)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// check compares the rows and persons of project 1 with the model.
func check(t *testing.T, where string, st *Store, m *plain) {
	t.Helper()
	sn, err := st.Snapshot(1)
	if err != nil {
		t.Fatal(where, err)
	}
	defer sn.Release()
	want := map[string]int{}
	people := map[*plainPerson]string{}
	name := func(p *plainPerson) string {
		if people[p] == "" {
			people[p] = slices.Min(p.ids)
		}
		return people[p]
	}
	for _, r := range m.rows {
		want[fmt.Sprint(r.uuid, r.event, r.id, r.time, r.value, name(m.owner[r.id]))]++
	}
	// The persons of the store, named alike: by the smallest of their distinct ids.
	smallest := map[uint32]string{}
	for id, o := range sn.Persons().DistinctIDs() {
		root := sn.Identity().Root(o)
		if s, ok := smallest[root]; !ok || id < s {
			smallest[root] = strings.Clone(id)
		}
	}
	got := map[string]int{}
	for _, seg := range sn.Segments() {
		for _, g := range seg.Ranges() {
			n := g.Hi - g.Lo
			uuids, ordinals, times := make([]vec.UUIDValue, n), make([]uint32, n), make([]int64, n)
			err := errors.Join(seg.UUIDs(uuids, g.Lo, g.Hi), seg.Ordinals(ordinals, g.Lo, g.Hi), seg.Times(times, g.Lo, g.Hi))
			ids, err2 := seg.DistinctIDs(g.Lo, g.Hi)
			plan, err3 := g.Read("plan", event.ReadDigits, nil, g.Lo, g.Hi)
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(where, err)
			}
			for i := range n {
				value := ""
				if !plan.IsNull(i) {
					v, at := plan.At(i)
					value = string(v.Str.At(at))
				}
				v, at := ids.At(i)
				got[fmt.Sprint(uuids[i], g.Event, string(v.Str.At(at)), times[i], value, smallest[sn.Identity().Root(ordinals[i])])]++
			}
		}
	}
	if !maps.Equal(got, want) {
		for k, n := range want {
			if got[k] != n {
				t.Errorf("%s: row %s: %d times, want %d", where, k, got[k], n)
			}
		}
		t.Fatalf("%s: %d distinct rows, want %d", where, len(got), len(want))
	}
	if n, err := st.PersonCount(1); err != nil || n != int64(len(smallest)) {
		t.Fatalf("%s: PersonCount = %d, %v, want %d", where, n, err, len(smallest))
	}
	profiles := 0
	for o := range uint32(sn.Persons().Len()) {
		if sn.Persons().HasProfile(o) {
			profiles++
			if sn.Identity().Root(o) != o {
				t.Fatalf("%s: ordinal %d has a profile and is merged into another", where, o)
			}
		}
	}
	wantProfiles := map[*plainPerson]bool{}
	for _, p := range m.owner {
		if p.profile {
			wantProfiles[p] = true
		}
	}
	if profiles != len(wantProfiles) {
		t.Fatalf("%s: %d persons with a profile, want %d", where, profiles, len(wantProfiles))
	}
}

// TestFlushMomentsDoNotMatter applies one log to two stores that flush at different
// moments, and compares what they answer.
func TestFlushMomentsDoNotMatter(t *testing.T) {
	s := newScript(99)
	var log [][]byte
	for range 60 {
		log = append(log, event.Append(nil, s.batch()))
	}
	for _, rows := range []int64{50, 700, 1 << 20} {
		st := openStore(t, vfs.NewMem(), Options{SealRows: rows})
		if _, err := st.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "prickle", Token: "phc_a"}}); err != nil {
			t.Fatal(err)
		}
		for i, raw := range log {
			b, err := event.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.ApplyEvents(uint64(i+2), 5, 1, b); err != nil {
				t.Fatal(err)
			}
		}
		check(t, fmt.Sprint("seal at ", rows), st, &s.model)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenSaysWhatIsWrong damages a store's files one way at a time.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	fs := vfs.NewMem()
	st := openStore(t, fs, Options{})
	s := newScript(1)
	if _, err := st.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "prickle", Token: "phc_a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.ApplyEvents(2, 1, 1, s.batch()); err != nil {
		t.Fatal(err)
	}
	if err := st.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	files := func(dir string) []string {
		names, err := fs.List("data/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	seg, state, run := "data/segments/"+files("segments")[0], "data/state/"+files("state")[0], "data/dedup/"+files("dedup")[0]
	for _, c := range []struct {
		name, file, want string
		change           func(raw []byte) []byte
	}{
		{"a segment is gone", seg, "restore it from a backup", nil},
		{"a segment is cut short", seg, seg, func(raw []byte) []byte { return raw[:len(raw)/2] }},
		{"a state file has a flipped bit", state, "damaged", func(raw []byte) []byte { raw[len(raw)/2] ^= 4; return raw }},
		{"a state file is gone", state, state, nil},
		{"a dedup run is gone", run, run, nil},
		{"a dedup run is cut short", run, run, func(raw []byte) []byte { return raw[:len(raw)-1] }},
		{"a dedup run has a flipped bit in its directory", run, "restore it from a backup", func(raw []byte) []byte { raw[len(raw)-20] ^= 4; return raw }},
		{"CURRENT is damaged", "data/CURRENT", "does not name a manifest", func(raw []byte) []byte { raw[0] ^= 1; return raw }},
		{"CURRENT is gone", "data/CURRENT", "missing beside its manifests", nil},
		{"the manifest is of a newer version", "data/MANIFEST-000001", "newer version", func(raw []byte) []byte { raw[7]++; return raw }},
		{"the manifest is damaged in the middle", "data/MANIFEST-000001", "a whole one follows", func(raw []byte) []byte { raw[17] ^= 1; return raw }},
	} {
		whole, err := vfs.ReadFile(fs, c.file, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if c.change == nil {
			err = fs.Remove(c.file)
		} else {
			err = vfs.WriteFile(fs, c.file, c.change(slices.Clone(whole)))
		}
		if err != nil {
			t.Fatal(err)
		}
		st, err := Open(fs, "data", Options{})
		if err == nil {
			st.Close() // it should not have opened
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Open = %v, want an error with %q", c.name, err, c.want)
		}
		if err := vfs.WriteFile(fs, c.file, whole); err != nil {
			t.Fatal(err)
		}
	}

	// A damaged last record alone looks like a torn write. It is one unless somebody else
	// knows that it was acknowledged.
	manifest := "data/MANIFEST-000001"
	whole, err := vfs.ReadFile(fs, manifest, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fs, manifest, whole[:len(whole)-1]); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fs, "data", Options{Covered: 2}); err == nil || !strings.Contains(err.Error(), manifest+": the manifest covers entry 0 of the log, but entries up to 2") {
		t.Errorf("Open with a lost record = %v", err)
	}
	if len(files("segments")) == 0 || len(files("state")) == 0 {
		t.Errorf("Open with a lost record removed files that it named")
	}
	if err := vfs.WriteFile(fs, manifest, whole); err != nil {
		t.Fatal(err)
	}
	st = openStore(t, fs, Options{})
	check(t, "after all repairs", st, &s.model)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
