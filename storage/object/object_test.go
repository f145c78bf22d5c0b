package object

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// text is a table in words.
func text(t *Table, kinds ...string) string {
	var out []string
	for _, kind := range kinds {
		for _, o := range t.List(kind) {
			out = append(out, fmt.Sprintf("%s %d %q v%d %d..%d %s", o.Kind, o.ID, o.Key, o.Version, o.Created, o.Updated, o.Body))
		}
	}
	return strings.Join(out, "\n")
}

func apply(t *testing.T, s *State, at int64, edits ...Edit) []*Object {
	t.Helper()
	out, err := s.Apply(edits, at)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestApply(t *testing.T) {
	var s State
	made := apply(t, &s, 10, Edit{Kind: "action", Body: []byte(`{"name":"a"}`)}, Edit{Kind: "action", ID: 7, Body: []byte(`7`)},
		Edit{Kind: "action", Body: []byte(`8`)}, Edit{Kind: "insight", Key: "k", Body: []byte(`1`)})
	if got := []int64{made[0].ID, made[1].ID, made[2].ID, made[3].ID}; !slices.Equal(got, []int64{1, 7, 8, 1}) {
		t.Fatalf("numbers %v", got)
	}
	before := s.Publish()
	apply(t, &s, 20, Edit{Kind: "action", ID: 7, Version: 1, Key: "seven", Body: []byte(`77`)}, Edit{Kind: "action", ID: 1, Version: Any, Delete: true},
		Edit{Kind: "insight", Key: "k", Version: Any, Body: []byte(`2`)}, Edit{Kind: "insight", Key: "j", Version: Any, Body: []byte(`3`)})
	want := strings.Join([]string{`action 7 "seven" v2 10..20 77`, `action 8 "" v1 10..10 8`, `insight 1 "k" v2 10..20 2`, `insight 2 "j" v1 20..20 3`}, "\n")
	if got := text(s.Publish(), "action", "insight"); got != want {
		t.Errorf("objects are\n%s\nwant\n%s", got, want)
	}
	if got, want := text(before, "action", "insight"), "action 1 \"\" v1 10..10 {\"name\":\"a\"}\naction 7 \"\" v1 10..10 7\naction 8 \"\" v1 10..10 8\ninsight 1 \"k\" v1 10..10 1"; got != want {
		t.Errorf("what was read before has changed: %s", got)
	}
	if o := s.Publish().Find("action", "seven"); o == nil || o.ID != 7 || s.Publish().Find("action", "eight") != nil || s.Publish().Find("x", "y") != nil {
		t.Errorf("Find = %+v", o)
	}
	// Numbers are not given out again.
	apply(t, &s, 30, Edit{Kind: "action", ID: 8, Version: Any, Delete: true})
	if o := apply(t, &s, 30, Edit{Kind: "action", Body: []byte(`9`)})[0]; o.ID != 9 {
		t.Errorf("the next number is %d, want 9", o.ID)
	}
}

func TestRefused(t *testing.T) {
	var s State
	apply(t, &s, 1, Edit{Kind: "a", Key: "k", Body: []byte(`1`)}, Edit{Kind: "a", Key: "j", Body: []byte(`1`)})
	want := text(s.Publish(), "a")
	for _, c := range []struct {
		edit Edit
		err  string
	}{
		{Edit{Kind: "a", ID: 1, Version: 2, Body: []byte(`2`)}, "a 1 has changed meanwhile: it is at version 1, not 2; read it again"},
		{Edit{Kind: "a", ID: 1, Body: []byte(`2`)}, "there is a a 1 already"},
		{Edit{Kind: "a", ID: 33, Version: 1, Body: []byte(`2`)}, "a 33 is not there any more"},
		{Edit{Kind: "a", ID: 33, Version: Any, Delete: true}, "a 33 is not there any more"},
		{Edit{Kind: "a", Key: "k", Body: []byte(`2`)}, `there is another a with the key "k"`},
		{Edit{Kind: "a", ID: 2, Version: 1, Key: "k", Body: []byte(`2`)}, `there is another a with the key "k"`},
		{Edit{Kind: "a", Body: []byte(`{`)}, "invalid edit: the body of a 0 is not JSON"},
		{Edit{Body: []byte(`1`)}, "invalid edit: the kind has 0 bytes, it may have 1 to 40"},
		{Edit{Kind: "a", ID: -1, Body: []byte(`1`)}, "invalid edit: a: the id is -1, it may be 1 to 9007199254740992"},
		{Edit{Kind: "a", Delete: true}, "invalid edit: it deletes no a in particular"},
		{Edit{Kind: "a", Key: strings.Repeat("k", MaxKey+1), Body: []byte(`1`)}, "the key of a a has 401 bytes: at most 400 are possible"},
		{Edit{Kind: "a", Body: make([]byte, MaxBody+1)}, "a a of 1048577 bytes: at most 1048576 are possible"},
	} {
		// Whatever goes before it is not done either.
		_, err := s.Apply([]Edit{{Kind: "a", Body: []byte(`5`)}, {Kind: "a", ID: 2, Version: Any, Delete: true}, {Kind: "a", ID: 2, Key: "j", Body: []byte(`1`)}, c.edit}, 2)
		if err == nil || err.Error() != c.err {
			t.Errorf("%+v: %v, want %s", c.edit, err, c.err)
		}
		if got := text(s.Publish(), "a"); got != want {
			t.Fatalf("a refused edit has left %s", got)
		}
	}
	if o := apply(t, &s, 2, Edit{Kind: "a", Body: []byte(`5`)})[0]; o.ID != 3 {
		t.Errorf("refused edits took numbers: the next is %d", o.ID)
	}
	for _, full := range []Table{{bytes: maxBytes - 50}, {count: maxObjects}} {
		s := State{table: &full}
		var limit *LimitError
		if _, err := s.Apply([]Edit{{Kind: "b", Body: []byte(`1`)}}, 3); !errors.As(err, &limit) {
			t.Errorf("one object more than there may be: %v", err)
		}
	}
}

// TestRandom compares the state with a map, and what is read from deltas with the state.
func TestRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s, copied State
	model := map[string]string{}
	for step := range 500 {
		var edits []Edit
		next := map[string]string{}
		for k, v := range model {
			next[k] = v
		}
		for range 1 + r.IntN(3) {
			kind := string(rune('a' + r.IntN(3)))
			id := 1 + r.Int64N(20)
			name := fmt.Sprint(kind, id)
			if next[name] != "" && r.IntN(3) == 0 {
				edits = append(edits, Edit{Kind: kind, ID: id, Version: Any, Delete: true})
				delete(next, name)
				continue
			}
			body := fmt.Sprint(step)
			edits = append(edits, Edit{Kind: kind, ID: id, Version: Any, Key: fmt.Sprint("key ", id), Body: []byte(body)})
			next[name] = body
		}
		apply(t, &s, int64(step), edits...)
		model = next
		if step%7 == 0 {
			if err := copied.Load(s.Delta(nil, false)); err != nil {
				t.Fatal(err)
			}
			if step%70 == 0 {
				copied = State{}
				if err := copied.Load(s.Delta(nil, true)); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := text(copied.Publish(), "a", "b", "c"), text(s.Publish(), "a", "b", "c"); got != want {
				t.Fatalf("step %d: read from deltas\n%s\nwant\n%s", step, got, want)
			}
			if c, w := copied.Publish(), s.Publish(); c.count != w.count || c.bytes != w.bytes {
				t.Fatalf("step %d: %d objects of %d bytes, want %d of %d", step, c.count, c.bytes, w.count, w.bytes)
			}
		}
		got := map[string]string{}
		for _, kind := range []string{"a", "b", "c"} {
			for _, o := range s.Publish().List(kind) {
				got[fmt.Sprint(kind, o.ID)] = string(o.Body)
				if s.Publish().Get(kind, o.ID) != o || s.Publish().Find(kind, o.Key) != o {
					t.Fatalf("step %d: %s %d is not found", step, kind, o.ID)
				}
			}
		}
		if !reflect.DeepEqual(got, model) || s.Publish().Len() != len(model) {
			t.Fatalf("step %d: %v, want %v", step, got, model)
		}
	}
}

func FuzzLoad(f *testing.F) {
	var s State
	if _, err := s.Apply([]Edit{{Kind: "a", Key: "k", Body: []byte(`{}`)}, {Kind: "b", ID: 5, Body: []byte(`[1]`)}}, 99); err != nil {
		f.Fatal(err)
	}
	f.Add(s.Delta(nil, true))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s State
		if s.Load(raw) != nil {
			return
		}
		var again State
		if err := again.Load(s.Delta(nil, true)); err != nil {
			t.Error(err)
		}
	})
}
