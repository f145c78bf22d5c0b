package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// What was not synced is gone after a crash without luck; what was is there.
func TestCrash(t *testing.T) {
	m := NewMem()
	m.MkdirAll("d")
	f, _ := m.Create("d/a")
	f.WriteAt([]byte("one"), 0)
	f.SyncData()
	if _, err := m.Crash(nil).Open("d/a"); err == nil {
		t.Errorf("a name survived without SyncDir")
	}
	m.SyncDir("d")
	f.WriteAt([]byte("two"), 3)
	m.Rename("d/a", "d/b")
	wantFile(t, m.Crash(nil), "d/a", "one")
	f.SyncData()
	m.SyncDir("d")
	wantFile(t, m.Crash(nil), "d/b", "onetwo")
	g, _ := m.Create("d/b")
	g.WriteAt([]byte("new"), 0)
	wantFile(t, m, "d/b", "new")
	wantFile(t, m.Crash(nil), "d/b", "onetwo")
	g.SyncData()
	wantFile(t, m.Crash(nil), "d/b", "new")
}

// The states of names that crashes can leave are exactly those that a disk can.
func TestCrashNames(t *testing.T) {
	for _, c := range []struct {
		what  string
		steps string
		want  string // states, separated by |
	}{
		{"created", "create a", "|a=a"},
		{"two created", "create a, create b", "|a=a|b=b|a=a b=b"},
		{"renamed", "create a, sync d, rename a b", "a=a|b=a"},
		{"created and renamed", "create a, rename a b", "|a=a|b=a"},
		{"removed", "create a, sync d, remove a", "|a=a"},
		{"removed and created", "create a, sync d, remove a, create a", "|a=a|a=a2"},
		{"replaced", "create a, create b, sync d, rename a b", "a=a b=b|b=a"},
		{"renamed twice", "create a, sync d, rename a b, rename b c", "a=a|b=a|c=a"},
		{"swapped in", "create a, create b, sync d, rename a c, rename b a", "a=a b=b|b=b c=a|a=b c=a"},
		{"two directories", "create a, sync d, rename a e/a", "a=a|e/a=a"},
		{"the new directory is synced", "create a, rename a e/a, sync e", "e/a=a"},
		{"the old directory is synced", "create a, sync d, rename a e/a, sync d", "a=a|e/a=a"},
		{"what follows a rename is synced", "create a, sync d, rename a e/a, create a, sync d", "a=a2 e/a=a"},
	} {
		m := NewMem()
		m.MkdirAll("d/e")
		full := func(name string) string { return path.Join("d", name) }
		made := map[string]int{}
		for _, step := range strings.Split(c.steps, ", ") {
			w := strings.Fields(step)
			switch w[0] {
			case "create":
				content := w[1]
				if made[content]++; made[content] > 1 {
					content += fmt.Sprint(made[content])
				}
				must(t, WriteSynced(m, full(w[1]), []byte(content)))
			case "rename":
				must(t, m.Rename(full(w[1]), full(w[2])))
			case "remove":
				must(t, m.Remove(full(w[1])))
			case "sync":
				must(t, m.SyncDir(map[string]string{"d": "d", "e": "d/e"}[w[1]]))
			}
		}
		got := map[string]bool{}
		for seed := range uint64(300) {
			crashed := m.Crash(newRand(seed))
			var state []string
			for _, dir := range []string{"d", "d/e"} {
				names, _ := crashed.List(dir)
				for _, n := range names {
					if raw, err := ReadFile(crashed, dir+"/"+n, 10); err == nil {
						state = append(state, strings.TrimPrefix(dir+"/"+n, "d/")+"="+string(raw))
					}
				}
			}
			got[strings.Join(state, " ")] = true
		}
		want := strings.Split(c.want, "|")
		slices.Sort(want)
		if states := slices.Sorted(maps.Keys(got)); !slices.Equal(states, want) {
			t.Errorf("%s (%s): crashes leave %q, want %q", c.what, c.steps, states, want)
		}
	}
}

// Each sector that was written to suffers by itself, and only the bytes written to.
func TestCrashSectors(t *testing.T) {
	m := NewMem()
	m.MkdirAll("d")
	f, _ := m.Create("d/a")
	f.WriteAt(bytes.Repeat([]byte("o"), 1500), 0)
	f.SyncData()
	m.SyncDir("d")
	f.WriteAt(bytes.Repeat([]byte("n"), 1000), 100)
	f.WriteAt(bytes.Repeat([]byte("n"), 10), 1200)
	fates := map[string]int{}
	for seed := range uint64(2000) {
		raw, err := ReadFile(m.Crash(newRand(seed)), "d/a", 1500)
		if err != nil || len(raw) != 1500 {
			t.Fatalf("seed %d: %d bytes, %v", seed, len(raw), err)
		}
		for i, b := range raw {
			if written := i >= 100 && i < 1100 || i >= 1200 && i < 1210; !written && b != 'o' {
				t.Fatalf("seed %d: byte %d was not written and is %q", seed, i, b)
			}
		}
		key := ""
		for _, part := range [][]byte{raw[100:512], raw[512:1024], raw[1024:1100]} {
			switch same := bytes.Count(part, part[:1]) == len(part); {
			case same && part[0] == 'o', same && part[0] == 'n':
				key += string(part[0])
			case same && part[0] == 0:
				key += "0"
			default:
				key += "?"
			}
		}
		fates[key]++
	}
	if len(fates) != 64 {
		t.Errorf("%d combinations of fates of three sectors, want 4*4*4: %v", len(fates), fates)
	}
}

// A file that grew has the old size, the new one or one between; what of the growth was
// not written is zero.
func TestCrashSize(t *testing.T) {
	m := NewMem()
	m.MkdirAll("d")
	f, _ := m.Create("d/a")
	f.WriteAt([]byte("0123456789"), 0)
	f.SyncData()
	m.SyncDir("d")
	f.WriteAt([]byte("end"), 5000)
	sizes := map[int]int{}
	for seed := range uint64(500) {
		c := m.Crash(newRand(seed))
		raw, err := ReadFile(c, "d/a", 10_000)
		if err != nil || len(raw) < 10 || len(raw) > 5003 || string(raw[:10]) != "0123456789" {
			t.Fatalf("seed %d: %d bytes, %v", seed, len(raw), err)
		}
		sizes[len(raw)]++
		if len(bytes.Trim(raw[10:min(len(raw), 5000)], "\x00")) > 0 {
			t.Fatalf("seed %d: a hole is not zero", seed)
		}
		// What was cut off does not come back.
		g, _ := c.ReuseForWrite("d/a", "d/a")
		g.WriteAt([]byte("x"), 6000)
		tail := make([]byte, 6000-len(raw))
		if g.ReadAt(tail, int64(len(raw))); len(bytes.Trim(tail, "\x00")) > 0 {
			t.Fatalf("seed %d: bytes beyond the size %d come back", seed, len(raw))
		}
	}
	if sizes[10] == 0 || sizes[5003] == 0 || len(sizes) < 10 {
		t.Errorf("sizes %v, want the old one, the new one and some between", sizes)
	}
}

// A recycled file shows its old bytes, preallocated space those of a removed file; other
// growth does not.
func TestCrashRecycled(t *testing.T) {
	var old, fresh []byte
	for i := range 400 {
		old = fmt.Appendf(old, "old record %d ", i)
		fresh = fmt.Appendf(fresh, "new record %d ", i)
	}
	count := func(prepare func(m *Mem) File) (stale int) {
		for seed := range uint64(300) {
			m := NewMem()
			m.MkdirAll("d")
			must(t, WriteFile(m, "d/a", old))
			f := prepare(m)
			f.SyncData()
			m.SyncDir("d")
			f.WriteAt(fresh, 0)
			raw, err := ReadFile(m.Crash(newRand(seed)), "d/b", 1<<20)
			must(t, err)
			for at := 0; at+sectorBytes <= len(raw); at += sectorBytes {
				if bytes.Equal(raw[at:at+sectorBytes], old[at:at+sectorBytes]) {
					stale++
				}
				if at > 0 && bytes.Contains(raw[at:at+sectorBytes], old[:sectorBytes/2]) {
					t.Fatalf("seed %d: old bytes at another place", seed)
				}
			}
		}
		return stale
	}
	removed := func(room int64) func(m *Mem) File {
		return func(m *Mem) File {
			must(t, m.Remove("d/a"))
			f, err := m.Create("d/b")
			must(t, err)
			if room > 0 {
				must(t, f.Preallocate(room))
			}
			return f
		}
	}
	if n := count(func(m *Mem) File { f, _ := m.ReuseForWrite("d/a", "d/b"); return f }); n == 0 {
		t.Errorf("a recycled file never shows old bytes")
	}
	if n := count(removed(1 << 20)); n == 0 {
		t.Errorf("preallocated space never shows a removed file")
	}
	if n := count(removed(0)); n > 0 {
		t.Errorf("space that was not preallocated shows a removed file %d times", n)
	}
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.Capacity = 10 * chunkBytes
	m.MkdirAll("d")
	free := func(want int) {
		t.Helper()
		if n, err := m.Free("d"); err != nil || n != uint64(want)*chunkBytes {
			t.Fatalf("Free = %d, %v, want %d chunks", n, err, want)
		}
	}
	full := func(err error) {
		t.Helper()
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%v, want ENOSPC", err)
		}
	}
	f, err := m.Create("d/a")
	must(t, err)
	must(t, f.Preallocate(3*chunkBytes-1))
	free(7)
	full(f.Preallocate(11 * chunkBytes))
	free(7)
	n, err := f.WriteAt(make([]byte, 20*chunkBytes), chunkBytes+100)
	full(err)
	if n != 9*chunkBytes-100 {
		t.Errorf("a short write of %d bytes, want %d", n, 9*chunkBytes-100)
	}
	free(0)
	_, err = f.WriteAt(make([]byte, 9*chunkBytes), 0) // has its blocks
	must(t, err)
	full(f.WriteVecAt([][]byte{make([]byte, 10), make([]byte, chunkBytes)}, 10*chunkBytes-10))
	_, err = m.Create("d/b")
	full(err)
	must(t, f.SyncData())
	must(t, m.SyncDir("d"))
	if n, _ := m.Crash(newRand(1)).Free("d"); n != 0 {
		t.Errorf("Free = %d after a crash, want 0", n)
	}
	must(t, m.Remove("d/a"))
	free(0) // it is still open
	must(t, f.Close())
	free(10)
	must(t, WriteFile(m, "d/b", make([]byte, 10*chunkBytes)))
	free(0)
	f, err = m.Create("d/b")
	must(t, err)
	must(t, f.Close())
	free(10)
	for _, gone := range []func() error{
		func() error { return m.Remove("d/b") },
		func() error { return m.Rename("d/c", "d/b") },
	} {
		must(t, WriteFile(m, "d/b", make([]byte, 4*chunkBytes)))
		must(t, WriteFile(m, "d/c", make([]byte, chunkBytes)))
		free(5)
		must(t, gone())
		free(9)
	}
}

func TestMemConcurrent(t *testing.T) {
	m := NewMem()
	m.MkdirAll("d")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			rng := newRand(uint64(i))
			for range 100 {
				name := fmt.Sprintf("d/%d", i)
				WriteFile(m, name, bytes.Repeat([]byte{byte(i)}, 10_000))
				f, err := m.Open(name)
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := f.Map()
				c := m.Crash(rng)
				g, err := c.ReuseForWrite(name, name)
				if err != nil {
					t.Error(err)
					return
				}
				g.WriteAt([]byte("other"), 5)
				if n := bytes.Count(b, []byte{byte(i)}); n != 10_000 {
					t.Errorf("%d mapped bytes are left", n)
				}
				f.Close()
			}
		})
	}
	wg.Wait()
}

// The model: every byte and every name by itself, nothing shared.
type modelFile struct {
	seen, durable []byte
	touched       []bool       // bytes of seen written since the last sync
	before        []*modelFile // what it can be instead: as it was when Create emptied it
}

type modelChange struct {
	names   []string // the first gets file, the others are gone
	file    *modelFile
	durable bool
}

type model struct {
	seen, durable map[string]*modelFile
	pending       []modelChange
}

func (c *modelChange) apply(names map[string]*modelFile) {
	for _, n := range c.names {
		delete(names, n)
	}
	if c.file != nil {
		names[c.names[0]] = c.file
	}
}

func (c *modelChange) shares(other *modelChange) bool {
	return slices.ContainsFunc(c.names, func(n string) bool { return slices.Contains(other.names, n) })
}

func (m *model) change(file *modelFile, names ...string) {
	c := modelChange{names: names, file: file}
	c.apply(m.seen)
	m.pending = append(m.pending, c)
}

func (m *model) syncDir(dir string) {
	for again := true; again; {
		again = false
		for i := range m.pending {
			c := &m.pending[i]
			needed := path.Dir(c.names[0]) == dir
			for j := i + 1; j < len(m.pending); j++ {
				needed = needed || m.pending[j].durable && m.pending[j].shares(c)
			}
			if needed && !c.durable {
				c.durable, again = true, true
			}
		}
	}
	var rest []modelChange
	for _, c := range m.pending {
		if c.durable {
			c.apply(m.durable)
		} else {
			rest = append(rest, c)
		}
	}
	m.pending = rest
}

// states are all the sets of names that a crash can leave.
func (m *model) states() []map[string]*modelFile {
	var out []map[string]*modelFile
choices:
	for chosen := range 1 << len(m.pending) {
		names := maps.Clone(m.durable)
		for i := range m.pending {
			if chosen>>i&1 == 0 {
				continue
			}
			for j := range i {
				if chosen>>j&1 == 0 && m.pending[j].shares(&m.pending[i]) {
					continue choices
				}
			}
			m.pending[i].apply(names)
		}
		out = append(out, names)
	}
	return out
}

// allows says whether a crash can leave raw of the file.
func (f *modelFile) allows(raw []byte) bool {
	for _, b := range f.before {
		if b.allows(raw) {
			return true
		}
	}
	if len(raw) < len(f.durable) || len(raw) > len(f.seen) {
		return false
	}
	for i, b := range raw {
		if !f.touched[i] && b != f.seen[i] {
			return false
		}
	}
	return true
}

func (f *modelFile) clone() *modelFile {
	return &modelFile{slices.Clone(f.seen), slices.Clone(f.durable), slices.Clone(f.touched), f.before}
}

func contents(t *testing.T, m *Mem) map[string]string {
	out := map[string]string{}
	for _, dir := range []string{"d", "e"} {
		names, err := m.List(dir)
		must(t, err)
		for _, n := range names {
			raw, err := ReadFile(m, dir+"/"+n, 1<<20)
			must(t, err)
			out[dir+"/"+n] = string(raw)
		}
	}
	return out
}

func (m *model) explains(found map[string]string) bool {
	return slices.ContainsFunc(m.states(), func(names map[string]*modelFile) bool {
		if len(names) != len(found) {
			return false
		}
		for n, f := range names {
			raw, ok := found[n]
			if !ok || !f.allows([]byte(raw)) {
				return false
			}
		}
		return true
	})
}

// Random operations: what is seen, what a crash leaves without luck and what it can leave
// are those of the model; maps and crashed file systems do not change afterwards.
func TestMemModel(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		if err := runModel(t, seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func runModel(t *testing.T, seed uint64) error {
	rng := newRand(seed)
	fs, m := NewMem(), &model{seen: map[string]*modelFile{}, durable: map[string]*modelFile{}}
	fs.MkdirAll("d")
	fs.MkdirAll("e")
	type kept struct{ got, want []byte }
	type left struct {
		fs   *Mem
		want map[string]string
	}
	var mapped []kept
	var crashed []left
	name := func() string { return []string{"d/a", "d/b", "d/c", "e/a", "e/b"}[rng.IntN(5)] }
	for op := range 120 {
		n := name()
		file := m.seen[n]
		var f File
		if file != nil {
			var err error
			if f, err = fs.ReuseForWrite(n, n); err != nil {
				return err
			}
		}
		kind := rng.IntN(12)
		if len(m.pending) >= 7 {
			kind = 11
		}
		switch {
		case kind < 2:
			g, err := fs.Create(n)
			if err != nil {
				return err
			}
			g.Close()
			if file == nil {
				m.change(&modelFile{}, n)
			} else if len(file.seen) > 0 {
				if file.before == nil {
					file.before = []*modelFile{file.clone()}
				}
				file.seen, file.durable, file.touched = nil, nil, nil
			}
		case kind < 7 && file != nil:
			off, size := rng.IntN(9000), 1+rng.IntN(3000)
			p := make([]byte, size)
			for i := range p {
				p[i] = byte(1 + rng.IntN(255))
			}
			if _, err := f.WriteAt(p, int64(off)); err != nil {
				return err
			}
			if grown := off + size - len(file.seen); grown > 0 {
				file.seen = append(file.seen, make([]byte, grown)...)
				file.touched = append(file.touched, make([]bool, grown)...)
			}
			copy(file.seen[off:], p)
			for i := range p {
				file.touched[off+i] = true
			}
		case kind == 7 && file != nil:
			if err := f.SyncData(); err != nil {
				return err
			}
			file.durable, file.before = slices.Clone(file.seen), nil
			clear(file.touched)
		case kind == 8 && file != nil:
			if to := name(); to != n {
				if err := fs.Rename(n, to); err != nil {
					return err
				}
				m.change(file, to, n)
			}
		case kind == 9 && file != nil:
			if err := fs.Remove(n); err != nil {
				return err
			}
			m.change(nil, n)
		case kind == 10 && file != nil:
			b, err := f.Map()
			if err != nil {
				return err
			}
			mapped = append(mapped, kept{b, slices.Clone(file.seen)})
		case kind == 11:
			dir := path.Dir(n)
			if err := fs.SyncDir(dir); err != nil {
				return err
			}
			m.syncDir(dir)
		}
		if f != nil {
			f.Close()
		}
		found := contents(t, fs)
		if len(found) != len(m.seen) {
			return fmt.Errorf("operation %d: %d files, want %d", op, len(found), len(m.seen))
		}
		for n, f := range m.seen {
			if found[n] != string(f.seen) {
				return fmt.Errorf("operation %d: %s is not what was written", op, n)
			}
		}
		without := contents(t, fs.Crash(nil))
		if len(without) != len(m.durable) {
			return fmt.Errorf("operation %d: %d files are durable, want %d", op, len(without), len(m.durable))
		}
		for n, f := range m.durable {
			want := f.durable
			if f.before != nil {
				want = f.before[0].durable
			}
			if without[n] != string(want) {
				return fmt.Errorf("operation %d: %s is not what was synced", op, n)
			}
		}
		after := fs.Crash(newRand(uint64(op)))
		if found = contents(t, after); !m.explains(found) {
			return fmt.Errorf("operation %d: a crash leaves what it cannot: %q", op, slices.Sorted(maps.Keys(found)))
		}
		if !maps.Equal(found, contents(t, fs.Crash(newRand(uint64(op))))) {
			return fmt.Errorf("operation %d: one seed, two outcomes", op)
		}
		if rng.IntN(8) > 0 {
			continue
		}
		// One of the two goes on; the other must not notice.
		if rng.IntN(2) == 0 {
			crashed = append(crashed, left{after, found})
			continue
		}
		crashed = append(crashed, left{fs, contents(t, fs)})
		fs, m = after, &model{seen: map[string]*modelFile{}, durable: map[string]*modelFile{}}
		for n, raw := range found {
			f := &modelFile{seen: []byte(raw), durable: []byte(raw), touched: make([]bool, len(raw))}
			m.seen[n], m.durable[n] = f, f
		}
	}
	for i, k := range mapped {
		if !bytes.Equal(k.got, k.want) {
			return fmt.Errorf("map %d changed", i)
		}
	}
	for i, c := range crashed {
		if !maps.Equal(contents(t, c.fs), c.want) {
			return fmt.Errorf("file system %d changed after the crash", i)
		}
	}
	return nil
}
