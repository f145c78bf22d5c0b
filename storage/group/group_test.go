package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/properties"
)

// text is a table in words.
func text(t *Table) string {
	var out []string
	for i := range Types {
		for o := range uint32(t.Len(i)) {
			out = append(out, fmt.Sprintf("%d %q %d %s", i, t.Key(i, o), t.CreatedAt(i, o), t.Properties(i, o)))
		}
	}
	return strings.Join(append(out, strings.Join(t.Names(), ",")), "\n")
}

func TestTypes(t *testing.T) {
	s := NewState()
	s.Import(&Edit{Index: 1, Key: "g"})
	for _, c := range []struct {
		name  string
		index int
		ok    bool
	}{{"company", 0, true}, {"team", 2, true}, {"company", 0, true}, {"", 0, false}, {"x", 3, true}, {"y", 4, true}, {"z", 0, false}} {
		if i, ok := s.Name(c.name); i != c.index || ok != c.ok {
			t.Errorf("Name(%q) = %d, %v, want %d, %v", c.name, i, ok, c.index, c.ok)
		}
	}
	if got, want := s.Publish().Names(), []string{"company", "", "team", "x", "y"}; !slices.Equal(got, want) {
		t.Errorf("Names = %q, want %q", got, want)
	}
}

func TestChange(t *testing.T) {
	s := NewState()
	s.Change(0, "acme", 5, &Change{Set: []byte(`{"size":3,"plan":"pro"}`), SetOnce: []byte(`{"first":1}`)})
	old := s.Publish()
	s.Change(0, "acme", 9, &Change{Set: []byte(`{"size":4}`), SetOnce: []byte(`{"first":2}`), Unset: []string{"plan"}})
	s.Change(0, "bmca", 9, &Change{})
	s.Import(&Edit{Index: 3, Key: "k", Properties: []byte(`{"a":"b"}`), CreatedAt: 77})
	now := s.Publish()
	if got, want := text(old), "0 \"acme\" 5 {\"plan\": \"pro\", \"size\": 3, \"first\": 1}\n"; got != want {
		t.Errorf("before: %s, want %s", got, want)
	}
	if got, want := text(now), "0 \"acme\" 5 {\"size\": 4, \"first\": 1}\n0 \"bmca\" 9 \n3 \"k\" 77 {\"a\": \"b\"}\n"; got != want {
		t.Errorf("after: %s, want %s", got, want)
	}
	if _, ok := old.Find(0, []byte("bmca")); ok {
		t.Error("a group is found in a table that is older than it")
	}
	if o, ok := now.Find(0, []byte("bmca")); o != 1 || !ok {
		t.Errorf("Find = %d, %v", o, ok)
	}
	if v, ok := now.Value(0, 0, "size"); string(v) != "4" || !ok {
		t.Errorf("Value = %s, %v", v, ok)
	}
	if a, b := old.Kinds(0, "plan"), now.Kinds(0, "plan"); a != properties.Text || b != 0 {
		t.Errorf("kinds of plan: %d, then %d", a, b)
	}
	if now.Kinds(0, "size") != properties.Number || now.Kinds(3, "a") != properties.Text || now.Kinds(0, "a") != 0 {
		t.Error("kinds of the last table are wrong")
	}
	if s.Publish() != now {
		t.Error("a table is made anew although nothing changed")
	}
	s.Change(0, "acme", 10, &Change{Set: []byte(`{"size":4}`)})
	if s.Publish() != now {
		t.Error("setting what is there makes a new table")
	}
}

// TestDeltas compares what is read from deltas with the state they are of.
func TestDeltas(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s, copied := NewState(), NewState()
	for step := range 100 {
		for range r.IntN(20) {
			index, key := r.IntN(Types), fmt.Sprint("k", r.IntN(300))
			switch r.IntN(8) {
			case 0:
				s.Import(&Edit{Index: index, Key: key, Properties: fmt.Appendf(nil, `{"i":%d}`, step), CreatedAt: int64(step)})
			case 1:
				s.Name(fmt.Sprint("type ", r.IntN(4)))
			default:
				s.Change(index, key, int64(step), &Change{Set: fmt.Appendf(nil, `{"p%d":%d}`, r.IntN(3), step)})
			}
		}
		if r.IntN(3) == 0 {
			s.Publish() // so that chunks are shared
		}
		full := r.IntN(10) == 0
		if !full && r.IntN(2) == 0 {
			continue
		}
		if full {
			copied = NewState()
		}
		if err := copied.Load(s.Delta(nil, full)); err != nil {
			t.Fatal(err)
		}
		if got, want := text(copied.Publish()), text(s.Publish()); got != want {
			t.Fatalf("step %d: read from deltas\n%s\nwant\n%s", step, got, want)
		}
		if s.Changed() || copied.Changed() {
			t.Fatal("something is left after a delta")
		}
	}
}

func TestFew(t *testing.T) {
	s := NewState()
	for i := range 100_000 {
		s.Change(0, fmt.Sprint("group ", i), 1, &Change{Set: []byte(`{"plan":"free","seats":3}`)})
	}
	if n := len(s.Delta(nil, false)); n < 1_000_000 {
		t.Errorf("the first delta has only %d bytes", n)
	}
	s.Change(0, "group 77", 2, &Change{Set: []byte(`{"seats":4}`)})
	if n := len(s.Delta(nil, false)); n > 100 {
		t.Errorf("one change of 100,000 groups takes %d bytes of a state file", n)
	}
}

func FuzzLoad(f *testing.F) {
	s := NewState()
	s.Name("company")
	s.Import(&Edit{Index: 2, Key: "k", Properties: []byte(`{"a":"b"}`), CreatedAt: 77})
	f.Add(s.Delta(nil, true))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := NewState()
		if s.Load(raw) != nil {
			return
		}
		if err := NewState().Load(s.Delta(nil, true)); err != nil {
			t.Error(err)
		}
	})
}
