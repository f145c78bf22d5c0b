package dedup

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

var seedFlag = flag.Uint64("seed", 0, "run this seed alone")

// seeds calls test with each of n seeds.
func seeds(t *testing.T, n uint64, test func(t *testing.T, r *rand.Rand)) {
	for seed := uint64(1); seed <= n; seed++ {
		if *seedFlag > 0 {
			seed = *seedFlag
		}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { test(t, rand.New(rand.NewPCG(seed, 0))) })
		if *seedFlag > 0 {
			return
		}
	}
}

// disk is an index and what a store does around it: the manifest, and what comes again
// from the log after a restart.
type disk struct {
	t    testing.TB
	fs   *vfs.Mem
	x    *Index
	m    manifest.Manifest
	next func() uint64
	tail []request // since the last flush that is durable
	// sealed is a flush on its way, and how much of the tail it makes durable.
	sealed  *Sealed
	covered int
}

type request struct {
	project uint32
	at      int64
	uuids   []vec.UUIDValue
}

func newDisk(t testing.TB) *disk {
	d := &disk{t: t, fs: vfs.NewMem(), m: manifest.Manifest{Runs: map[uint64]manifest.Run{}}, next: counter()}
	if err := d.fs.MkdirAll("d/" + Dir); err != nil {
		t.Fatal(err)
	}
	d.open()
	return d
}

func (d *disk) open() {
	var err error
	if d.x, err = OpenIndex(d.fs, "d", &d.m); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) apply(q request) []bool {
	d.tail = append(d.tail, q)
	return slices.Clone(addAll(d.t, d.x, q.project, q.at, q.uuids))
}

// flush writes what is there; in two steps, between which more may come.
func (d *disk) flush() {
	d.seal()
	d.publish()
}

func (d *disk) seal() {
	d.publish()
	d.sealed, d.covered = d.x.Seal(), len(d.tail)
}

func (d *disk) publish() {
	if d.sealed == nil {
		return
	}
	runs, err := d.sealed.Write(d.fs, "d", d.next)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range runs {
		d.m.Runs[r.Number] = r
	}
	d.m.Time = max(d.m.Time, d.sealed.Time)
	d.x.Publish(d.sealed)
	d.tail, d.sealed = d.tail[d.covered:], nil
}

func (d *disk) restart() {
	if err := d.x.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.open()
	d.sealed = nil
	for _, q := range d.tail {
		addAll(d.t, d.x, q.project, q.at, q.uuids)
	}
}

// merge does one thing of those that wait, and says whether there was one.
func (d *disk) merge() bool {
	in := d.x.Expired(d.m.Time)
	var out *Run
	if len(in) == 0 {
		var level int
		if in, level = d.x.PlanMerge(d.m.Time); len(in) == 0 {
			return false
		}
		var err error
		if out, err = Merge(d.t.Context(), d.fs, "d", d.next(), level, in); err != nil {
			d.t.Fatal(err)
		}
		d.m.Runs[out.Number] = out.Run
	}
	for _, r := range in {
		delete(d.m.Runs, r.Number)
	}
	d.x.Exchange(in, out)
	return true
}

// modelKey and the map are the index as it is meant: when a key came.
type modelKey struct {
	project uint32
	uuid    vec.UUIDValue
}

type model map[modelKey]int64

func (m model) apply(q request) []bool {
	out := make([]bool, len(q.uuids))
	for i, u := range q.uuids {
		k := modelKey{q.project, u}
		at, ok := m[k]
		if out[i] = ok && periodOf(q.at)-periodOf(at) <= periods; !out[i] {
			m[k] = q.at
		}
	}
	return out
}

// script is random requests: entry times only grow, sometimes by days.
type script struct {
	r    *rand.Rand
	at   int64
	sent []vec.UUIDValue
}

func (s *script) request() request {
	switch s.r.IntN(12) {
	case 0:
		s.at += periodMicros / 2
	case 1:
		s.at += s.r.Int64N(4) * periodMicros
	default:
		s.at += s.r.Int64N(60e6)
	}
	q := request{project: 1 + s.r.Uint32N(3), at: s.at, uuids: make([]vec.UUIDValue, s.r.IntN(300))}
	for i := range q.uuids {
		u := &q.uuids[i]
		switch n := s.r.IntN(10); {
		case n < 2 && len(s.sent) > 0:
			*u = s.sent[s.r.IntN(len(s.sent))]
		case n < 4 && len(s.sent) > 0:
			*u = s.sent[len(s.sent)-1-s.r.IntN(min(len(s.sent), 500))]
		case n < 5: // as a bad generator makes them, the zero one among them
			binary.BigEndian.PutUint64(u[8:], s.r.Uint64N(3000))
		case n < 8:
			*u = randomUUID(s.r, 1_700_000_000_000+s.at/1000-s.r.Int64N(3e6))
		default:
			*u = randomUUID(s.r, notV7)
		}
		s.sent = append(s.sent, *u)
	}
	return q
}

// Whatever is flushed, merged, dropped and opened again in between, exactly those events
// are seen that came within the horizon.
func TestModel(t *testing.T) {
	n := uint64(12)
	if testing.Short() {
		n = 4
	}
	seeds(t, n, func(t *testing.T, r *rand.Rand) {
		s, m, d := &script{r: r}, model{}, newDisk(t)
		merges := 0
		for step := range 250 {
			switch n := r.IntN(10); {
			case n < 6:
				q := s.request()
				want, got := m.apply(q), d.apply(q)
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("step %d: seen(project %d, %x at %d) = %v, want %v", step, q.project, q.uuids[i], q.at, got[i], want[i])
					}
				}
			case n < 7:
				d.seal()
			case n < 8:
				d.publish()
			case n < 9:
				if d.merge() {
					merges++
				}
			default:
				d.restart()
			}
		}
		if merges == 0 {
			t.Error("no merges")
		}
		for _, r := range d.x.runs {
			if err := r.Verify(); err != nil {
				t.Error(err)
			}
		}
		if d.flush(); len(d.x.active)+len(d.x.sealed) > 0 {
			t.Errorf("%d tables in memory when all is flushed", len(d.x.active)+len(d.x.sealed))
		}
		names, err := d.fs.List("d/" + Dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) != len(d.m.Runs) {
			t.Errorf("files %q, the manifest names %d", names, len(d.m.Runs))
		}
		if err := d.x.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Two replicas that flush, merge and restart at different moments decide alike, also of
// events older than the horizon.
func TestReplicasDecideAlike(t *testing.T) {
	seeds(t, 4, func(t *testing.T, r *rand.Rand) {
		s := &script{r: r}
		eager, lazy := newDisk(t), newDisk(t)
		for step := range 150 {
			q := s.request()
			a, b := eager.apply(q), lazy.apply(q)
			if !slices.Equal(a, b) {
				t.Fatalf("step %d: %v and %v", step, a, b)
			}
			if eager.flush(); r.IntN(3) == 0 {
				for eager.merge() {
				}
			}
			if r.IntN(15) == 0 {
				lazy.flush()
			}
			if r.IntN(10) == 0 {
				eager.restart()
			}
		}
		for eager.merge() {
		}
		if n := len(eager.x.runs); n > 9*fanIn {
			t.Errorf("%d runs after all merges", n)
		}
	})
}

// Flushes of one period leave a logarithmic number of runs, and one when it is over.
func TestMergesKeepRunsFew(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	d := newDisk(t)
	for i := range 200 {
		d.apply(request{1, int64(i), randomUUIDs(r, 5, notV7)})
		d.flush()
		for d.merge() {
		}
		if n := len(d.x.runs); n > 3*(fanIn-1) {
			t.Fatalf("%d runs after %d flushes", n, i+1)
		}
	}
	d.apply(request{1, periodMicros, randomUUIDs(r, 5, notV7)})
	d.flush()
	for d.merge() {
	}
	if n := len(d.x.runs); n != 2 {
		t.Errorf("%d runs in two periods of which one is over, want 2", n)
	}
	d.apply(request{1, periodMicros * (periods + 2), randomUUIDs(r, 5, notV7)})
	d.flush()
	for d.merge() {
	}
	if n := len(d.x.runs); n != 1 {
		t.Errorf("%d runs when all others are older than the horizon, want 1", n)
	}
}

// Equal keys in other groupings give equal bytes: a merge writes what a flush would have.
func TestBytesAreAFunctionOfKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	one, many := newDisk(t), newDisk(t)
	for i := range int64(8) {
		q := request{7, i, randomUUIDs(r, 700, notV7)}
		one.apply(q)
		many.apply(q)
		many.flush()
	}
	one.flush()
	many.merge()
	a, b := one.x.runs[0], many.x.runs[0]
	if !slices.Equal(a.data, b.data) {
		t.Errorf("a flush of all has %d bytes, a merge of parts %d, and they differ", len(a.data), len(b.data))
	}
}

// A merge that is cancelled leaves nothing behind.
func TestMergeCancelled(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	d := newDisk(t)
	for i := range int64(8) {
		d.apply(request{7, i, randomUUIDs(r, 10, notV7)})
		d.flush()
	}
	in, level := d.x.PlanMerge(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Merge(ctx, d.fs, "d", 99, level, in); !errors.Is(err, context.Canceled) {
		t.Errorf("Merge: %v", err)
	}
	if names, _ := d.fs.List("d/" + Dir); len(names) != 8 {
		t.Errorf("files after it: %q", names)
	}
}

// Merging takes a part of the output at a time, not the inputs.
func TestMergeMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	d := newDisk(t)
	for i := range int64(8) {
		d.apply(request{7, i, randomUUIDs(r, 40_000, notV7)})
		d.flush()
	}
	in, _ := d.x.PlanMerge(0)
	var w *writer
	_, err := write(discardFS{d.fs}, "d", manifest.Run{}, func(got *writer) error {
		w = got
		return mergeProject(t.Context(), w, 7, in)
	})
	if err != errDiscarded {
		t.Fatal(err)
	}
	held := cap(w.block) + cap(w.words) + cap(w.entries) + 8*cap(w.hashes) + 8*cap(w.fb.sum) + cap(w.fb.count) +
		4*cap(w.fb.queue) + 16*cap(w.fb.order) + cap(w.fb.out)
	// 320,000 keys in two parts: a merge of any size holds no more than twice this.
	if most := 12 << 20; held > most {
		t.Errorf("the writer holds %d bytes, want at most %d", held, most)
	}
}

// discardFS forgets what is written, so that only the writer's memory counts.
type discardFS struct{ vfs.FS }

type discardFile struct{ vfs.File }

var errDiscarded = errors.New("discarded")

func (fs discardFS) Create(name string) (vfs.File, error) {
	f, err := fs.FS.Create(name)
	return discardFile{f}, err
}
func (discardFile) WriteAt(p []byte, off int64) (int, error) { return len(p), nil }
func (discardFile) SyncData() error                          { return errDiscarded }

// A write that fails at any step leaves no file, and can be repeated.
func TestWriteFails(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	uuids := randomUUIDs(r, 300, notV7)
	for n := 1; ; n++ {
		d := newDisk(t)
		d.apply(request{1, 5, uuids[:100]})
		d.apply(request{1, 5 + periodMicros, uuids[100:]})
		s := d.x.Seal()
		steps := 0
		d.fs.Hook = func(op, name string) error {
			if op == "remove" {
				return nil
			}
			if steps++; steps == n {
				return errors.New("full")
			}
			return nil
		}
		runs, err := s.Write(d.fs, "d", d.next)
		if err == nil {
			if len(runs) != 2 {
				t.Errorf("%d runs of two periods", len(runs))
			}
			break
		}
		if names, _ := d.fs.List("d/" + Dir); len(names) > 0 {
			t.Errorf("step %d: files %q are left", n, names)
		}
		d.fs.Hook = nil
		if _, err = s.Write(d.fs, "d", d.next); err != nil {
			t.Fatalf("step %d: again: %v", n, err)
		}
		d.x.Publish(s)
		if seen := d.apply(request{1, 5 + periodMicros, uuids}); slices.Contains(seen, false) {
			t.Errorf("step %d: a key is lost", n)
		}
	}
}

// A duplicate does not renew its key.
func TestDuplicateDoesNotRenew(t *testing.T) {
	d := newDisk(t)
	u := []vec.UUIDValue{{1}}
	for i, want := range []bool{false, true, false, true} {
		at := []int64{0, periodMicros * periods, periodMicros * (periods + 1), periodMicros * (2*periods + 1)}[i]
		if got := d.apply(request{1, at, u})[0]; got != want {
			t.Errorf("at %d: seen = %v, want %v", at, got, want)
		}
	}
}

// Time that goes back changes nothing, with a restart and without, before the run of a
// forgotten key is dropped and after.
func TestTimeThatGoesBack(t *testing.T) {
	for i := range 4 {
		d := newDisk(t)
		u, other := []vec.UUIDValue{{1}}, []vec.UUIDValue{{2}}
		d.apply(request{1, 0, u})
		d.flush()
		d.apply(request{1, periodMicros * (periods + 1), other})
		d.flush()
		if i%2 > 0 {
			for d.merge() {
			}
		}
		if i/2 > 0 {
			d.restart()
		}
		if d.apply(request{1, 1, u})[0] {
			t.Errorf("case %d: a key is remembered that was forgotten", i)
		}
	}
}

// The zero uuid is one like any other.
func TestZeroUUID(t *testing.T) {
	d := newDisk(t)
	for i := range 3 {
		if got := d.apply(request{1, 0, make([]vec.UUIDValue, 1)})[0]; got != (i > 0) {
			t.Errorf("the zero uuid for the %d. time: seen = %v", i+1, got)
		}
		if i == 1 {
			d.flush()
		}
	}
}

// Uuids chosen so that their hashes begin alike, more than a filter takes, are only slower.
func TestKeysOfOnePart(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("d/" + Dir); err != nil {
		t.Fatal(err)
	}
	// Keys with made-up hashes would not be found by their real ones, so the real ones are
	// sorted into parts of which most stay empty.
	r := rand.New(rand.NewPCG(5, 1))
	var keys []hashed
	for len(keys) < 3*filterLeast {
		u := randomUUID(r, notV7)
		if k := hash(keyOf(&u)); k.hash>>61 == 5 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, hashed.compare)
	run, err := write(fs, "d", manifest.Run{Number: 1}, func(w *writer) error {
		w.begin(3, len(keys))
		w.log = 3
		for _, k := range keys {
			w.add(k)
		}
		w.end()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Verify(); err != nil {
		t.Fatal(err)
	}
	x := &Index{runs: []*Run{run}}
	var uuids []vec.UUIDValue
	for _, k := range keys {
		var u vec.UUIDValue
		k.put(&u)
		uuids = append(uuids, u)
	}
	if seen := addAll(t, x, 3, 0, uuids); slices.Contains(seen, false) {
		t.Error("a key is not found")
	}
	if seen := addAll(t, x, 3, 0, randomUUIDs(r, 1000, notV7)); slices.Contains(seen, true) {
		t.Error("a key is found that is not there")
	}
}

// One in 65,536 keys that are not there passes the fuse filter, and three in a hundred the
// Bloom filter.
func TestFalsePositives(t *testing.T) {
	if testing.Short() {
		t.Skip("it counts, in one goroutine")
	}
	const keys, asked = 300_000, 2_000_000
	r := rand.New(rand.NewPCG(1, 1))
	d := newDisk(t)
	d.apply(request{1, 0, randomUUIDs(r, keys, notV7)})
	d.flush()
	s := &d.x.runs[0].sections[0]
	bloom, fuse := 0, 0
	for range asked {
		u := randomUUID(r, notV7)
		h := hash(keyOf(&u)).hash
		word := binary.LittleEndian.Uint64(s.bloom[8*bloomWord(h, bloomWords(keys)):])
		bloom += one(word&bloomBits(h) == bloomBits(h))
		p := s.part(h)
		if p.filter.data == nil {
			if err := d.x.runs[0].openFilter(p); err != nil || p.filter.data == nil {
				t.Fatal("no filter", err)
			}
		}
		fuse += one(p.filter.has(h<<s.log, h))
	}
	// 30.5 are expected; outside these bounds are a few of a million seeds.
	if fuse < 8 || fuse > 62 {
		t.Errorf("the fuse filter lets %d of %d pass, want about %d", fuse, asked, asked>>16)
	}
	if bloom > asked/25 {
		t.Errorf("the Bloom filter lets %d of %d pass", bloom, asked)
	}
	if perKey := float64(d.x.runs[0].Size) / keys; perKey > 16+1+2.4 {
		t.Errorf("%.2f bytes a key", perKey)
	}
}

// Filters of all sizes can be built, and know their keys.
func TestFilterSizes(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	var fb filterBuilder
	for _, n := range []int{filterLeast, 129, 200, 302, 303, 1000, 1009, 3361, 5000, 11_291, 37_272, 69_999, 70_000, 130_000, 253_034} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = r.Uint64() >> 1
		}
		slices.Sort(hashes)
		data, try, ok := fb.build(slices.Compact(hashes), shapeOf(n), 1)
		if !ok || try > filterTries/2 || len(data) != shapeOf(n).bytes() {
			t.Errorf("filter of %d hashes: %v after %d tries", n, ok, try)
			continue
		}
		f := filter{shape: shapeOf(n), seed: seedOf(try), data: data}
		for _, h := range hashes {
			if !f.has(h<<1, h) {
				t.Fatalf("the filter of %d does not know %x", n, h)
			}
		}
	}
}

// The table is held against a map, with uuids of few distinct values, the zero one among them.
func TestKeySet(t *testing.T) {
	seeds(t, 10, func(t *testing.T, r *rand.Rand) {
		s := newTable(0, 0).set(1, 0)
		model := map[vec.UUIDValue]bool{}
		for range 10_000 {
			var u vec.UUIDValue
			switch r.IntN(3) {
			case 0:
				binary.BigEndian.PutUint64(u[8:], r.Uint64N(5000))
			case 1:
				binary.BigEndian.PutUint64(u[:8], 0x0190_0000_0000_7000)
				binary.BigEndian.PutUint64(u[8:], r.Uint64N(5000)<<40)
			default:
				u = randomUUID(r, notV7)
			}
			k, h := keyOf(&u), tableHash(&u)
			if got := s.has(k, h); got != model[u] {
				t.Fatalf("has(%x) = %v", u, got)
			}
			if got := s.add(k, h); got == model[u] {
				t.Fatalf("add(%x) = %v", u, got)
			}
			model[u] = true
		}
		sorted := s.sorted()
		if len(sorted) != len(model) || !slices.IsSortedFunc(sorted, hashed.compare) {
			t.Errorf("sorted gives %d keys, want %d in order", len(sorted), len(model))
		}
		for u := range maps.Keys(model) {
			if _, found := slices.BinarySearchFunc(sorted, hash(keyOf(&u)), hashed.compare); !found {
				t.Errorf("%x is not among the sorted", u)
			}
		}
	})
}

func (k key) put(u *vec.UUIDValue) {
	binary.BigEndian.PutUint64(u[:8], k.hi)
	binary.BigEndian.PutUint64(u[8:], k.lo)
}
