package person

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// The list of the specification: who may be merged with whom.
func TestAliceAndBob(t *testing.T) {
	s := NewState(1, nil)
	do := func(kind event.OpKind, other, target string, want Warning) {
		t.Helper()
		if got := s.Merge(kind, other, target, 1); got != want {
			t.Errorf("merge of %s into %s: %q, want %q", other, target, got, want)
		}
		s.Touch(s.Ordinal([]byte(target)), 1)
	}
	do(event.OpIdentify, "a1", "Alice", WarnNone)
	do(event.OpIdentify, "a2", "Alice", WarnNone)
	do(event.OpIdentify, "b1", "Bob", WarnNone)
	do(event.OpIdentify, "b1", "Alice", WarnIdentified)
	do(event.OpAlias, "Bob", "Alice", WarnIdentified)
	do(event.OpMergeDangerously, "Bob", "Alice", WarnNone)
	do(event.OpIdentify, "null", "Alice", WarnIllegal)
	do(event.OpIdentify, "'Guest'", "Alice", WarnIllegal)
	m, _ := s.Publish()
	alice, _ := s.Seen("Alice")
	for _, id := range []string{"a1", "a2", "b1", "Bob"} {
		if o, _ := s.Seen(id); m.Root(o) != m.Root(alice) {
			t.Errorf("%s is not Alice", id)
		}
	}
}

// An import that joins two persons keeps what was known of both.
func TestImportJoins(t *testing.T) {
	s := NewState(1, nil)
	s.Import(&Edit{DistinctIDs: []string{"x"}, Properties: []byte(`{"p":1,"q":1}`), Identified: true}, 5)
	s.Import(&Edit{DistinctIDs: []string{"y", "x"}, Properties: []byte(`{"q":2}`)}, 9)
	m, table := s.Publish()
	x, _ := s.Seen("x")
	root := m.Root(x)
	if p := string(table.Properties(root)); p != `{"p": 1, "q": 2}` || !table.IsIdentified(root) {
		t.Errorf("properties %s, identified %v", p, table.IsIdentified(root))
	}
}

// modelPerson and model are the rules without cleverness: a person is a pointer, and all
// its ids point to it.
type modelPerson struct {
	name                string // distinct id that the uuid is of
	profile, identified bool
	created             int64
}

type model struct{ ids map[string]*modelPerson }

func (m *model) see(id string) *modelPerson {
	if m.ids[id] == nil {
		m.ids[id] = &modelPerson{name: id}
	}
	return m.ids[id]
}

func (m *model) merge(source, target string, dangerously bool, at int64) {
	if source == target || illegal(source) || illegal(target) {
		return
	}
	s, t := m.ids[source], m.ids[target]
	sHas, tHas := s != nil && s.profile, t != nil && t.profile
	var into *modelPerson
	switch {
	case !sHas && !tHas:
		if s != nil && t == nil {
			into = s
		} else {
			into = m.see(target)
		}
	case sHas && tHas:
		if s != t && s.identified && !dangerously {
			return
		}
		into = t
		into.created = min(s.created, t.created)
	case sHas:
		into = s
	default:
		into = t
	}
	for _, p := range []*modelPerson{s, t} {
		for id, q := range m.ids {
			if p != nil && q == p {
				m.ids[id] = into
			}
		}
	}
	m.ids[source], m.ids[target] = into, into
	if !into.profile {
		into.profile, into.created = true, at
	}
	into.identified = true
}

// Random operations give what the model gives, also after deltas were written and read at
// random moments; and a map and table that were given out stay as they were.
func TestIdentityModel(t *testing.T) {
	for seed := range int64(60) {
		r := rand.New(rand.NewSource(seed))
		s, m := NewState(1, nil), &model{ids: map[string]*modelPerson{}}
		var deltas [][]byte
		var oldMap *Map
		var oldRoots []uint32
		id := func() string {
			if r.Intn(30) == 0 {
				return "guest"
			}
			return fmt.Sprintf("id%d", r.Intn(40))
		}
		for step := range 250 {
			at := int64(r.Intn(1000))
			switch a, b := id(), id(); r.Intn(10) {
			case 0, 1: // an event, personless or not
				personless := r.Intn(2) == 0
				o := s.Ordinal([]byte(a))
				p := m.see(a)
				if !personless {
					s.Touch(o, at)
					if !p.profile {
						p.profile, p.created = true, at
					}
				}
			case 2, 3:
				s.Merge(event.OpIdentify, a, b, at)
				m.merge(a, b, false, at)
			case 4:
				s.Merge(event.OpMergeDangerously, a, b, at)
				m.merge(a, b, true, at)
			case 5, 6: // a person is deleted, with its events or without
				p := m.ids[a]
				if p == nil {
					break
				}
				root, found := s.Find([]vec.UUIDValue{UUIDOf(1, p.name)})[UUIDOf(1, p.name)]
				if !found {
					t.Fatalf("seed %d step %d: the person of %s is not found", seed, step, a)
				}
				if r.Intn(2) == 0 {
					s.Forget(root)
					p.profile, p.identified = false, false
					break
				}
				var gone []string
				for id, q := range m.ids {
					if q == p {
						gone = append(gone, id)
						delete(m.ids, id)
					}
				}
				got := s.Erase([]uint32{root})[0]
				slices.Sort(got)
				if slices.Sort(gone); !slices.Equal(got, gone) {
					t.Fatalf("seed %d step %d: erased %q, want %q", seed, step, got, gone)
				}
				if at, _ := s.Publish(); !at.Erased().Contains(root) {
					t.Fatalf("seed %d step %d: %d is not among the erased", seed, step, root)
				}
			case 7:
				p := m.ids[a]
				if p == nil {
					break
				}
				root := s.Find([]vec.UUIDValue{UUIDOf(1, p.name)})[UUIDOf(1, p.name)]
				err := s.Split(root, []string{a}, false, at)
				if shared := p.name == a; shared != errors.Is(err, ErrShared) || !shared && err != nil {
					t.Fatalf("seed %d step %d: split of %s from %s: %v", seed, step, a, p.name, err)
				} else if !shared {
					m.ids[a] = &modelPerson{name: a, profile: true, created: at}
				}
			default:
				if full := r.Intn(3) == 0; full {
					deltas = [][]byte{s.Delta(nil, true)}
				} else {
					deltas = append(deltas, s.Delta(nil, false))
				}
				fresh := NewState(1, nil)
				for _, d := range deltas {
					if err := fresh.Load(d); err != nil {
						t.Fatalf("seed %d step %d: Load: %v", seed, step, err)
					}
				}
				s = fresh
			}
			gotMap, table := s.Publish()
			for i, root := range oldRoots {
				if oldMap.Root(uint32(i)) != root {
					t.Fatalf("seed %d step %d: a map that was given out changed", seed, step)
				}
			}
			if step%20 == 0 {
				oldMap, oldRoots = gotMap, nil
				for i := range uint32(table.Len()) {
					oldRoots = append(oldRoots, gotMap.Root(i))
				}
			}
			listed := 0
			for range table.DistinctIDs() {
				listed++
			}
			if listed != len(m.ids) {
				t.Fatalf("seed %d step %d: %d ids are listed, want %d", seed, step, listed, len(m.ids))
			}
			if len(m.ids) != s.table.ids.found {
				t.Fatalf("seed %d step %d: %d ids, want %d", seed, step, s.table.ids.found, len(m.ids))
			}
			for id, o := range table.DistinctIDs() {
				root, want := gotMap.Root(o), m.ids[id]
				if want == nil {
					t.Fatalf("seed %d step %d: %s was not seen", seed, step, id)
				}
				if got := table.UUID(root); got != UUIDOf(1, want.name) {
					t.Fatalf("seed %d step %d: %s has the wrong uuid, want that of %s", seed, step, id, want.name)
				}
				if table.HasProfile(root) != want.profile || table.IsIdentified(root) != want.identified || want.profile && table.CreatedAt(root) != want.created {
					t.Fatalf("seed %d step %d: %s: profile %v identified %v created %d, want %+v", seed, step, id,
						table.HasProfile(root), table.IsIdentified(root), table.CreatedAt(root), *want)
				}
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	s := NewState(1, nil)
	s.Merge(event.OpIdentify, "a", "b", 1)
	s.Ordinal([]byte("c"))
	s.Merge(event.OpAlias, "c", "b", 1)
	f.Add(s.Delta(nil, true))
	if err := s.Split(s.Find([]vec.UUIDValue{UUIDOf(1, "b")})[UUIDOf(1, "b")], []string{"a"}, false, 2); err != nil {
		f.Fatal(err)
	}
	a, _ := s.Seen("a")
	s.Erase([]uint32{a})
	f.Add(s.Delta(nil, false))
	f.Add(s.Delta(nil, true))
	f.Fuzz(func(t *testing.T, raw []byte) {
		NewState(1, nil).Load(raw)
		Walk(raw, &Visitor{})
	})
}
