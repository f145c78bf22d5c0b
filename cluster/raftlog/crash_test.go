package raftlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage/vfs"
)

var errCrash = errors.New("crash")

// What was acknowledged is there after a crash, whatever became of what was not synced; what
// was under way is there or not, each entry whole. PRICKLE_CYCLES is how many crashes,
// ten to a seed.
func TestCrash(t *testing.T) {
	from, to := seeds(t, 2000)
	for seed := from; seed < from+(to-from+9)/10; seed++ {
		if err := crash(seed); err != nil {
			t.Fatalf("PRICKLE_SEED=%d: %v", seed, err)
		}
	}
}

// groupModel is what one group must hold.
type groupModel struct {
	first, last uint64
	oldest      uint64               // since the log began anew
	entries     map[uint64]*raft.Log // also deleted ones
	stable      map[string]string
	durable     uint64
	staged      uint64
	hint        uint64 // that was read
}

// step is one change of one group.
type step struct {
	logs []*raft.Log
	low  uint64 // DeleteRange
	high uint64
	key  string // Set
	text string
}

func (s step) String() string {
	switch {
	case s.logs != nil:
		return fmt.Sprintf("StoreLogs %d to %d", s.logs[0].Index, s.logs[len(s.logs)-1].Index)
	case s.low > 0:
		return fmt.Sprintf("DeleteRange(%d, %d)", s.low, s.high)
	}
	return fmt.Sprintf("Set(%q, %q)", s.key, s.text)
}

// request is what the log is asked for.
func (s step) request(g *Group) (*request, error) {
	switch {
	case s.logs != nil:
		return g.entries(s.logs)
	case s.low > 0:
		r, err := g.deletion(s.low, s.high)
		return g.change(r), err
	}
	return g.change(Record{Type: TypeStable, Extensions: []byte(s.key), Data: []byte(s.text)}), nil
}

// apply does the first n records of a step.
func (m *groupModel) apply(s step, n int) {
	switch {
	case s.logs != nil:
		for _, e := range s.logs[:n] {
			if e.Index != m.last+1 {
				m.first, m.oldest = e.Index, e.Index
				clear(m.entries)
			}
			m.last = e.Index
			m.entries[e.Index] = e
		}
	case n == 0:
	case s.low > 0 && s.low <= m.first:
		m.first = s.high + 1
	case s.low > 0:
		for i := s.low; i <= m.last; i++ {
			delete(m.entries, i)
		}
		m.last = s.low - 1
	default:
		m.stable[s.key] = s.text
	}
}

func (m *groupModel) clone() *groupModel {
	c := *m
	c.entries, c.stable = map[uint64]*raft.Log{}, map[string]string{}
	for k, v := range m.entries {
		c.entries[k] = v
	}
	for k, v := range m.stable {
		c.stable[k] = v
	}
	return &c
}

// next chooses a step.
func (m *groupModel) next(rng *rand.Rand) step {
	empty := m.first > m.last
	switch k := rng.IntN(12); {
	case k < 2:
		return step{key: string(rune('a' + rng.IntN(2))), text: fmt.Sprint(rng.IntN(1000))}
	case k < 3 && !empty:
		return step{low: m.first, high: m.first + rng.Uint64N(m.last-m.first+1)}
	case k < 4 && !empty && m.last > max(m.first, m.staged):
		low := max(m.first, m.staged) + 1
		return step{low: low + rng.Uint64N(m.last-low+1), high: m.last}
	}
	s := step{}
	index := m.last + 1
	if empty && rng.IntN(3) == 0 {
		index += 1 + rng.Uint64N(5)
	}
	for range 1 + rng.IntN(3) {
		data := make([]byte, rng.IntN(1+rng.IntN(800)))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		s.logs = append(s.logs, &raft.Log{Index: index, Term: rng.Uint64N(9), Data: data})
		index++
	}
	return s
}

// check says how a group differs from the model.
func (m *groupModel) check(g *Group) error {
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	if m.first > m.last && (first != 0 || last != 0) || m.first <= m.last && (first != m.first || last != m.last) {
		return fmt.Errorf("entries %d to %d, want %d to %d", first, last, m.first, m.last)
	}
	from := g.Oldest()
	if from == 0 {
		from = m.last + 1
	}
	if most := max(m.oldest, min(m.first, m.durable+1)); from > most {
		return fmt.Errorf("oldest entry %d, want %d at most", from, most)
	}
	err := g.ReadRange(context.Background(), max(from, m.oldest), m.last, func(l *raft.Log) error {
		if want := m.entries[l.Index]; want == nil || !same(l, want) {
			return fmt.Errorf("entry %d is not what was stored", l.Index)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range []string{"a", "b"} {
		if got, _ := g.Get([]byte(key)); string(got) != m.stable[key] {
			return fmt.Errorf("stable %s is %q, want %q", key, got, m.stable[key])
		}
	}
	return nil
}

// find takes over what of the steps that were under way is there.
func (m *groupModel) find(g *Group, underWay []step) (*groupModel, error) {
	want := m.check(g)
	if want == nil {
		return m, nil
	}
	if len(underWay) == 0 {
		return nil, want
	}
	s := underWay[0]
	for n := 1; n <= max(1, len(s.logs)); n++ {
		c := m.clone()
		c.apply(s, n)
		if c.check(g) == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w; %v was under way", want, s)
}

func crash(seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 2))
	fs := vfs.NewMem()
	const groups = 3
	var models [groups]*groupModel
	for i := range models {
		models[i] = &groupModel{first: 1, oldest: 1, entries: map[uint64]*raft.Log{}, stable: map[string]string{}}
	}
	opts := small(fs)
	opts.inline = true
	opts.FileBytes = 4096 << rng.IntN(2)
	opts.GroupCommitBytes = 256 << rng.IntN(4)
	var underWay [groups][]step
	for cycle := range 10 {
		// After so many changes the process ends, or the machine loses power.
		left := 1 + rng.IntN(60)
		if cycle == 0 {
			left += 20
		}
		fs.Hook = func(op, name string) error {
			if left--; left < 0 {
				return errCrash
			}
			return nil
		}
		opts.FS = fs
		l, err := Open(opts)
		if err != nil && !errors.Is(err, errCrash) {
			return fmt.Errorf("crash %d: %w", cycle, err)
		}
		for id := range models {
			if err != nil {
				break
			}
			g := l.Group(uint32(id))
			found, err := models[id].find(g, underWay[id])
			if err != nil {
				return fmt.Errorf("crash %d: group %d: %w", cycle, id, err)
			}
			found.staged = min(found.staged, found.last)
			models[id], underWay[id] = found, nil
			if hint, _ := g.GetCommitIndex(); found.first <= found.last && (hint < min(found.hint, found.last) || hint > found.staged) {
				return fmt.Errorf("crash %d: group %d: commit index %d, was %d, staged %d", cycle, id, hint, found.hint, found.staged)
			}
		}
		for op := 0; err == nil; op++ {
			var chosen [groups]step
			taking := 1 + rng.IntN(groups)
			for id, m := range models {
				g := l.Group(uint32(id))
				if rng.IntN(2) == 0 && m.first <= m.last {
					m.staged = max(m.staged, m.first+rng.Uint64N(m.last-m.first+1))
					g.StageCommitIndex(m.staged)
				}
				if rng.IntN(4) == 0 && m.last > 0 {
					m.durable = max(m.durable, rng.Uint64N(m.last+1))
					g.SetDurable(m.durable)
				}
				chosen[id] = m.next(rng)
				if n := len(chosen[id].logs); n > 0 && id < taking && rng.IntN(4) == 0 {
					m.staged = chosen[id].logs[n-1].Index // as a follower does
					g.StageCommitIndex(m.staged)
				}
			}
			errs := together(l, chosen[:taking])
			for id := range errs {
				if errs[id] == nil {
					models[id].apply(chosen[id], max(1, len(chosen[id].logs)))
				} else if underWay[id] = []step{chosen[id]}; !errors.Is(errs[id], errCrash) {
					return fmt.Errorf("crash %d: operation %d: group %d: %v: %w", cycle, op, id, chosen[id], errs[id])
				}
				models[id].hint, _ = l.Group(uint32(id)).GetCommitIndex()
			}
			err = errors.Join(errs...)
			if err == nil && rng.IntN(2) == 0 {
				err = l.tidy(context.Background())
			}
			if err == nil && rng.IntN(20) == 0 {
				err = l.EraseSpares(context.Background())
			}
			if err == nil && rng.IntN(30) == 0 {
				if err = l.Close(); err == nil {
					l, err = Open(opts)
				}
			}
			if err != nil && !errors.Is(err, errCrash) {
				return fmt.Errorf("crash %d: operation %d: %w", cycle, op, err)
			}
		}
		if l != nil {
			l.Close() // the error is the crash
		}
		if rng.IntN(4) > 0 { // otherwise only the process ended
			fs = fs.Crash(rng)
		}
	}
	return nil
}

// together has the steps of several groups written in one round, if they fit.
func together(l *Log, steps []step) []error {
	errs := make([]error, len(steps))
	reqs := make([]*request, len(steps))
	for id, s := range steps {
		if reqs[id], errs[id] = s.request(l.Group(uint32(id))); errs[id] == nil {
			errs[id] = l.submit(reqs[id])
		}
	}
	for id := range steps {
		if errs[id] == nil {
			errs[id] = l.wait(reqs[id])
		}
	}
	return errs
}

// filled is a small log with records of every type, in several files, one of them used
// for the second time.
func filled(t testing.TB) (map[string][]byte, []*groupModel) {
	fs := vfs.NewMem()
	opts := small(fs)
	opts.FileBytes = 4096
	l := open(t, opts)
	models := []*groupModel{
		{first: 1, oldest: 1, entries: map[uint64]*raft.Log{}, stable: map[string]string{}},
		{first: 1, oldest: 1, entries: map[uint64]*raft.Log{}, stable: map[string]string{}},
	}
	do := func(id int, s step) {
		req, err := s.request(l.Group(uint32(id)))
		must(t, err)
		must(t, l.do(req))
		models[id].apply(s, max(1, len(s.logs)))
	}
	store := func(id int, from, to uint64, size int) {
		s := step{}
		for i := from; i <= to; i++ {
			s.logs = append(s.logs, &raft.Log{Index: i, Term: 1, Data: bytes.Repeat([]byte{byte(i)}, size), Extensions: []byte("ext")[:i%4]})
		}
		do(id, s)
	}
	store(0, 1, 4, 20)
	store(0, 5, 5, 200)
	store(0, 6, 9, 15)
	store(1, 1, 3, 10)
	do(0, step{key: "a", text: "1"})
	do(1, step{low: 3, high: 3})
	do(0, step{low: 1, high: 9})
	do(1, step{low: 1, high: 2})
	for id, m := range models {
		l.Group(uint32(id)).SetDurable(9)
		m.durable = 9
	}
	must(t, l.tidy(context.Background()))
	if l.oldest != 2 {
		t.Fatalf("the first file is number %d, want 2", l.oldest)
	}
	store(0, 10, 11, 20)
	store(1, 7, 8, 20)
	must(t, l.Close())
	l = open(t, opts)
	must(t, l.Group(0).StageCommitIndex(11))
	store(0, 12, 13, 25)
	store(0, 14, 14, 10)
	files := readFiles(t, fs) // the last round is not marked
	must(t, l.Close())
	return files, models
}

// verdict is what became of a damaged directory.
func verdict(t *testing.T, files map[string][]byte, models []*groupModel, lastRound map[uint64]bool) string {
	t.Helper()
	fs := writeFiles(t, files)
	opts := small(fs)
	opts.FileBytes = 4096
	l, err := Open(opts)
	var damage *DamageError
	if errors.As(err, &damage) {
		if now := readFiles(t, fs); !equalFiles(now, files) {
			t.Fatalf("Open changed something: %v", damage)
		}
		return "damage"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	whole := true
	for id, m := range models {
		g := l.Group(uint32(id))
		if m.check(g) == nil {
			continue
		}
		whole = false
		c := m.clone()
		for i := m.last; lastRound[i] && id == 0; i-- {
			delete(c.entries, i)
			c.last = i - 1
		}
		if err := c.check(g); err != nil {
			t.Fatalf("group %d: %v", id, err)
		}
	}
	if whole {
		return "whole"
	}
	return "torn"
}

func equalFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// No flipped bit gives a wrong entry: it is in space that does not count, or in the last
// round, which no mark calls synced, or Open reports damage.
func TestEveryBit(t *testing.T) {
	files, models := filled(t)
	last := map[uint64]bool{14: true}
	if got := verdict(t, files, models, last); got != "whole" {
		t.Fatalf("untouched: %s", got)
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	counts := map[string]int{}
	used := usedBytes(t, files)
	for _, name := range names {
		raw := files[name]
		for i := range raw {
			bits := []int{0, 1, 2, 3, 4, 5, 6, 7}
			if !used[name][i] && i%16 > 0 {
				continue // of space that does not count, a bit in 16 bytes is enough
			} else if !used[name][i] {
				bits = []int{i / 16 % 8}
			}
			for _, bit := range bits {
				raw[i] ^= 1 << bit
				got := verdict(t, files, models, last)
				raw[i] ^= 1 << bit
				counts[got]++
				if used[name][i] == (got == "whole") {
					t.Fatalf("%s bit %d of byte %d, used: %v: %s", name, bit, i, used[name][i], got)
				}
			}
		}
	}
	if counts["damage"] < 10_000 || counts["torn"] != 8*(recordBytes+10+2)+8*recordBytes {
		t.Errorf("%v: only the bits of the last round may count as torn", counts)
	}
}

// usedBytes marks the bytes of headers and records that count. The round of the end-of-file
// record does not: it is for a next file that is missing.
func usedBytes(t *testing.T, files map[string][]byte) map[string][]bool {
	t.Helper()
	out := map[string][]bool{}
	for name, raw := range files {
		out[name] = make([]bool, len(raw))
		h, err := parseHeader(raw)
		if err != nil || h.number != fileNumber(name) {
			continue
		}
		for i := range 64 {
			out[name][i] = true
		}
		walkFile(h, raw, 0, func(round []place) error {
			for _, p := range round {
				if round[len(round)-1].Type == TypeEnd {
					break
				}
				for i := range recordBytes + len(p.Extensions) + len(p.Data) {
					out[name][int(p.offset)+i] = true
				}
			}
			return nil
		})
	}
	return out
}

// A file with records that is cut short anywhere, or missing, is damage. One without is not missed.
func TestTruncated(t *testing.T) {
	files, models := filled(t)
	last := map[uint64]bool{14: true}
	for name, raw := range files {
		live := false
		for _, u := range usedBytes(t, files)[name] {
			live = live || u
		}
		for n := range raw {
			if n > 600 && n%8 > 0 && !testing.Verbose() {
				continue
			}
			files[name] = raw[:n]
			if got := verdict(t, files, models, last); live != (got == "damage") {
				t.Fatalf("%s cut to %d bytes: %s", name, n, got)
			}
		}
		delete(files, name)
		if got := verdict(t, files, models, last); live != (got == "damage") {
			t.Errorf("without %s: %s", name, got)
		}
		files[name] = raw
	}
}
