package role

import (
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/role/scram"
	"github.com/prickledb/prickle/storage/object"
)

// edited is a set after a change.
func edited(t *testing.T, s *object.State, change func(*Draft)) *Set {
	t.Helper()
	set, err := Read(s.Publish())
	if err != nil {
		t.Fatal(err)
	}
	d := set.Change()
	change(d)
	if _, err := s.Apply(d.Edits(func(_ Class, oid uint32) bool { return oid != 99 }), 1); err != nil {
		t.Fatal(err)
	}
	if set, err = Read(s.Publish()); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestRights(t *testing.T) {
	var state object.State
	set := edited(t, &state, func(d *Draft) {
		d.Add("ann").Login = true
		d.Add("bob").NoInherit = true
		d.Add("root").Superuser = true
		d.Add("readers").Grant(Table, 7, []string{"SELECT"}, false)
		d.Add("writers").Join("readers", false)
		d.Role("writers").Grant(Table, 7, []string{"DELETE", "INSERT"}, true)
		d.Role("writers").Grant(Table, 99, []string{"SELECT"}, false)
		d.Role("ann").Join("writers", false)
		d.Role("bob").Join("writers", true)
		d.Role(Public).Grant(Table, 8, []string{"SELECT"}, false)
	})
	for _, c := range []struct {
		name, right string
		on          Class
		oid         uint32
		owner       string
		option      bool
		want        bool
	}{
		{"ann", "SELECT", Table, 7, "", false, true},
		{"ann", "INSERT", Table, 7, "", true, true},
		{"ann", "SELECT", Table, 7, "", true, false},
		{"ann", "UPDATE", Table, 7, "", false, false},
		{"ann", "UPDATE", Table, 7, "readers", true, true}, // by membership it owns the table
		{"ann", "SELECT", Table, 8, "", false, true},
		{"ann", "SELECT", Table, 9, "", false, false},
		{"ann", "USAGE", Schema, PublicSchema, "", false, true},
		{"ann", "CREATE", Schema, PublicSchema, "", false, false},
		{"ann", "CONNECT", Database, 1, "", false, true},
		{"bob", "SELECT", Table, 7, "", false, false},
		{"writers", "SELECT", Table, 7, "", false, true},
		{"root", "TRUNCATE", Table, 9, "", true, true},
		{"stranger", "TRUNCATE", Table, 9, "", true, true},
		{Public, "SELECT", Table, 8, "", false, true},
		{Public, "SELECT", Table, 7, "", false, false},
	} {
		if got := set.May(c.name, c.right, c.on, c.oid, c.owner, c.option); got != c.want {
			t.Errorf("May%+v = %v", c, got)
		}
	}
	if !set.Member("bob", "readers", false) || set.Member("bob", "readers", true) || set.Member("readers", "ann", false) {
		t.Error("members are wrong")
	}
	roles, grants := set.Grants(Table, 7)
	if !slices.Equal(roles, []string{"readers", "writers"}) || grants[1].ACL() != "a*d*" {
		t.Errorf("Grants = %v %+v", roles, grants)
	}
	if roles, _ := set.Grants(Table, 99); roles != nil {
		t.Errorf("a table that is gone is in the grants of %v", roles)
	}
	set = edited(t, &state, func(d *Draft) {
		d.Role("writers").Revoke(Table, 7, []string{"INSERT"}, true)
		d.Role("writers").Revoke(Table, 7, []string{"DELETE"}, false)
		d.Drop("readers")
	})
	if set.May("ann", "SELECT", Table, 7, "", false) || set.May("ann", "INSERT", Table, 7, "", true) || !set.May("ann", "INSERT", Table, 7, "", false) ||
		set.Find("readers") != nil || len(set.Find("writers").Member) != 0 {
		t.Errorf("after REVOKE and DROP: %+v", set.Find("writers"))
	}
	var none *Set
	if !none.May("anybody", "SELECT", Table, 1, "", true) || none.Find("x") != nil || none.Roles() != nil {
		t.Error("without roles, everybody may do everything")
	}
}

// The verifier of RFC 7677's example, whose keys follow from the exchange that it shows.
func TestVerifier(t *testing.T) {
	const known = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if same, err := Verifier(known); err != nil || same != known {
		t.Errorf("a verifier becomes %s, %v", same, err)
	}
	a, _ := Verifier("pencil")
	b, _ := Verifier("pencil")
	if v, err := scram.Parse(a); a == b || err != nil || !v.Matches("pencil") || v.Matches("pen") {
		t.Errorf("verifiers %s and %s, %v", a, b, err)
	}
	until := int64(5)
	set := &Set{byName: map[string]*Role{"a": {Verifier: a}, "b": {Login: true}, "c": {Verifier: a, ValidUntil: &until}}}
	for name, at := range map[string]int64{"a": 9, "c": 4} {
		if v, ok := set.Verifier(name, at); !ok || v != a {
			t.Errorf("no verifier of %s at %d", name, at)
		}
	}
	for name, at := range map[string]int64{"b": 0, "c": 5, "d": 0} {
		if _, ok := set.Verifier(name, at); ok {
			t.Errorf("a verifier of %s at %d", name, at)
		}
	}
}
