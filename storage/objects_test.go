package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// objectsText is the objects, groups and static cohorts of a project in words.
func objectsText(t *testing.T, s *Store, project uint32) string {
	t.Helper()
	sn, err := s.Snapshot(project)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	var out []string
	for _, kind := range []string{"action", object.Cohort} {
		for _, o := range sn.Objects().List(kind) {
			out = append(out, fmt.Sprintf("%s %d v%d %s", kind, o.ID, o.Version, o.Body))
		}
	}
	g := sn.Groups()
	for i := range group.Types {
		for o := range uint32(g.Len(i)) {
			out = append(out, fmt.Sprintf("group %d %s %d %s", i, g.Key(i, o), g.CreatedAt(i, o), g.Properties(i, o)))
		}
	}
	out = append(out, "types "+strings.Join(g.Names(), ","))
	for id := range int64(3) {
		if m := sn.StaticMembers(id); m != nil {
			var names []string
			for id, o := range sn.Persons().DistinctIDs() {
				if m.Contains(sn.Identity().Root(o)) {
					names = append(names, id)
				}
			}
			out = append(out, fmt.Sprintf("cohort %d: %s", id, strings.Join(names, ",")))
		}
	}
	return strings.Join(out, "\n")
}

// groupBatch is an event that says something of a group.
func groupBatch(n byte, ops ...event.GroupOp) *event.Batch {
	b := event.NewBuilder()
	b.Begin(vec.UUIDValue{9, 15: n}, 1000*int64(n))
	b.SetName([]byte("$groupidentify"))
	b.SetDistinctID([]byte("g"))
	b.Personless()
	for _, op := range ops {
		b.Group(op)
	}
	b.End()
	return b.Finish()
}

func TestObjectsLast(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	createAs(t, s, 1, "a")
	createAs(t, s, 2, "b")
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.ApplyEvents(3, 1, 1, smallBatch(0, 10)))
	must(s.ApplyObjects(4, 40, 1, []object.Edit{{Kind: "action", ID: 7, Body: []byte(`{"name":"x"}`)}, {Kind: object.Cohort, Body: []byte(`1`)}, {Kind: object.Cohort, Body: []byte(`2`)}}))
	must(s.ApplyGroups(5, 50, 1, GroupEdit{Groups: []group.Edit{{Index: 1, Key: "old", Properties: []byte(`{"size":10}`), CreatedAt: 77}}}))
	sn, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for range 2 { // the second time it is known already
		must(s.ApplyEvents(s.AppliedIndex()+1, 60, 1, groupBatch(1, event.GroupOp{Type: "company", Key: "acme", Set: []byte(`{"seats":3}`)},
			event.GroupOp{Type: "company", Key: "acme", Set: []byte(`{"plan":"pro"}`), SetOnce: []byte(`{"seats":9}`)})))
		must(s.ApplyGroups(s.AppliedIndex()+1, 60, 1, GroupEdit{Groups: []group.Edit{{Index: 0, Key: "acme", Properties: []byte(`{"plan":"free"}`), CreatedAt: 5}}}))
	}
	found, err := s.ApplyMembers(s.AppliedIndex()+1, 70, 1, MemberEdit{Cohort: 1, DistinctIDs: []string{"u1", "u2", "nobody", "g"}})
	if err != nil || found.Members != 2 || !slices.Equal(found.Unknown, []string{"nobody", "g"}) {
		t.Errorf("ApplyMembers = %+v, %v", found, err)
	}
	if found, err := s.ApplyMembers(s.AppliedIndex()+1, 70, 1, MemberEdit{Cohort: 2, Persons: []vec.UUIDValue{sn.Persons().UUID(3), {1}}}); err != nil || found.Members != 1 || len(found.Unknown) != 1 {
		t.Errorf("ApplyMembers by uuid = %+v, %v", found, err)
	}
	want := strings.Join([]string{`action 7 v1 {"name":"x"}`, `cohort 1 v1 1`, `cohort 2 v1 2`, `group 0 acme 5 {"plan": "free", "seats": 3}`,
		`group 1 old 77 {"size": 10}`, "types company", "cohort 1: u1,u2", "cohort 2: u3"}, "\n")
	step := func(what string) {
		t.Helper()
		if got := objectsText(t, s, 1); got != want {
			t.Fatalf("%s:\n%s\nwant\n%s", what, got, want)
		}
		index, hash := s.StateHash()
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openAt(t, fs)
		if got := objectsText(t, s, 1); got != want {
			t.Fatalf("%s, after a restart:\n%s\nwant\n%s", what, got, want)
		}
		if i, h := s.StateHash(); i != index || h != hash {
			t.Fatalf("%s: the hash is %x at %d, want %x at %d", what, h, i, hash, index)
		}
	}
	step("at first")
	// u1 and u2 become one person; one member goes with its person, a cohort with its object.
	must(s.ApplyEvents(s.AppliedIndex()+1, 80, 1, smallBatch(100, 3, event.PersonOp{Row: 1, Kind: event.OpMergeDangerously, Other: "u2"})))
	must(s.ApplyObjects(s.AppliedIndex()+1, 80, 1, []object.Edit{{Kind: object.Cohort, ID: 2, Version: 1, Delete: true}, {Kind: "action", ID: 7, Version: 1, Body: []byte(`8`)}}))
	want = strings.Join([]string{`action 7 v2 8`, `cohort 1 v1 1`, `group 0 acme 5 {"plan": "free", "seats": 3}`,
		`group 1 old 77 {"size": 10}`, "types company", "cohort 1: u1,u2"}, "\n")
	step("changed")
	must(nil, s.ApplySeal(s.AppliedIndex()+1, 90, Seal{All: true}, nil))
	step("written anew")
	if _, err := s.ApplyObjects(s.AppliedIndex()+1, 90, 1, []object.Edit{{Kind: "action", ID: 7, Version: 1, Body: []byte(`9`)}}); !errors.As(err, new(*object.ConflictError)) {
		t.Errorf("a change of an old version: %v", err)
	}
	if found, err := s.ApplyMembers(s.AppliedIndex()+1, 90, 1, MemberEdit{Cohort: 1, DistinctIDs: []string{"u2"}, Remove: true}); err != nil || found.Members != 0 {
		t.Errorf("after u2, who is u1, was taken out: %+v, %v", found, err)
	}
	if got := objectsText(t, s, 2); got != "types " {
		t.Errorf("the other project has %s", got)
	}
	for _, bad := range []GroupEdit{{Groups: []group.Edit{{Index: 5, Key: "k"}}}, {Groups: []group.Edit{{Index: -1, Key: "k"}}}, {Groups: []group.Edit{{Index: 1}}}} {
		if _, err := s.ApplyGroups(s.AppliedIndex()+1, 90, 1, bad); !errors.Is(err, ErrInvalidEdit) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := s.ApplyMembers(s.AppliedIndex()+1, 90, 1, MemberEdit{}); !errors.Is(err, ErrInvalidEdit) {
		t.Errorf("members of no cohort: %v", err)
	}
	if _, err := s.ApplyObjects(s.AppliedIndex()+1, 90, 9, nil); !errors.Is(err, ErrNoProject) {
		t.Errorf("objects of no project: %v", err)
	}
	must(s.ApplyProject(s.AppliedIndex()+1, 99, ProjectEdit{Delete: 1}))
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openAt(t, fs)
	defer s.Close()
	if s.Objects(1).Len() != 0 || s.Groups(1).Len(0) != 0 || s.GroupTypes(1) != nil {
		t.Error("something is left of a deleted project")
	}
}

func TestKinds(t *testing.T) {
	s := openAt(t, vfs.NewMem())
	defer s.Close()
	createAs(t, s, 1, "a")
	n := byte(0)
	add := func(kind event.Kind, text string) {
		n++
		b := event.NewBuilder()
		b.Begin(vec.UUIDValue{15: n}, 1)
		b.SetName([]byte{'e', 'f' + n%2})
		b.SetDistinctID([]byte{'u', n})
		b.Property([]byte("p"), kind, []byte(text))
		b.Op(event.PersonOp{Set: []byte(`{"q":` + cmp.Or(text, "null") + `}`)})
		b.End()
		if _, err := s.ApplyEvents(s.AppliedIndex()+1, 1, 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want properties.Kinds) {
		t.Helper()
		sn, err := s.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Release()
		if e, p := sn.EventKinds("p"), sn.PersonKinds("q"); e != want || p != want {
			t.Errorf("kinds are %d of events and %d of persons, want %d", e, p, want)
		}
		if all := sn.Persons().AllKinds(); all["q"] != want || all["p"] != 0 || len(sn.Groups().AllKinds(0)) != 0 {
			t.Errorf("kinds of all properties of persons: %v", all)
		}
		if sn.EventKinds("q")|sn.PersonKinds("p")|sn.GroupKinds(0, "p") != 0 {
			t.Error("there are kinds of what is not there")
		}
	}
	check(0)
	add(event.Int, "1")
	add(event.Float, "1.5")
	check(properties.Number)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(properties.Number)
	add(event.Null, "")
	check(properties.Number)
	add(event.Bool, "true")
	check(properties.Number | properties.Bool)
	add(event.JSON, `[1]`)
	check(properties.Number | properties.Bool | properties.JSON)
}
