package role

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/object"
)

// Draft is a set being changed. It gives the edits that make the change.
type Draft struct {
	of      *Set
	changed map[string]*Role
	gone    map[string]*Role
}

// Change begins to change a set, which may be nil.
func (s *Set) Change() *Draft {
	return &Draft{of: s, changed: map[string]*Role{}, gone: map[string]*Role{}}
}

// Role is the role of a name, to be changed; nil if there is none. Public is there always.
func (d *Draft) Role(name string) *Role {
	if r := d.changed[name]; r != nil {
		return r
	}
	old := d.of.Find(name)
	switch {
	case old == nil && name != Public || d.gone[name] != nil:
		return nil
	case old == nil:
		return d.Add(Public)
	}
	c := *old
	c.Member = slices.Clone(c.Member)
	c.Grants = slices.Clone(c.Grants)
	for i := range c.Grants {
		c.Grants[i].Rights, c.Grants[i].Option = slices.Clone(c.Grants[i].Rights), slices.Clone(c.Grants[i].Option)
	}
	d.changed[name] = &c
	return &c
}

// Add makes a role.
func (d *Draft) Add(name string) *Role {
	r := &Role{Name: name, Connections: Unlimited}
	d.changed[name] = r
	return r
}

// Drop takes a role away, and out of the roles that were its members.
func (d *Draft) Drop(name string) {
	r := d.Role(name)
	if r == nil {
		return
	}
	delete(d.changed, name)
	if r.ID != 0 {
		d.gone[name] = r
	}
	for _, other := range d.of.Roles() {
		if d.gone[other.Name] == nil && slices.ContainsFunc(other.Member, func(m Membership) bool { return m.Role == name }) {
			d.Role(other.Name).Leave(name)
		}
	}
}

// Join makes a role a member of another.
func (r *Role) Join(of string, admin bool) {
	for i := range r.Member {
		if r.Member[i].Role == of {
			r.Member[i].Admin = r.Member[i].Admin || admin
			return
		}
	}
	r.Member = append(r.Member, Membership{of, admin})
	slices.SortFunc(r.Member, func(a, b Membership) int { return strings.Compare(a.Role, b.Role) })
}

// Leave ends a membership.
func (r *Role) Leave(of string) {
	r.Member = slices.DeleteFunc(r.Member, func(m Membership) bool { return m.Role == of })
}

// Grant gives a role rights on a thing; with option, also that to grant them.
func (r *Role) Grant(on Class, oid uint32, rights []string, option bool) {
	g := r.grant(on, oid)
	if g == nil {
		r.Grants = append(r.Grants, Grant{On: on, OID: oid})
		g = &r.Grants[len(r.Grants)-1]
	}
	add := func(list []string) []string {
		var out []string
		for _, right := range RightsOn(on) {
			if slices.Contains(list, right) || slices.Contains(rights, right) {
				out = append(out, right)
			}
		}
		return out
	}
	g.Rights = add(g.Rights)
	if option {
		g.Option = add(g.Option)
	}
	slices.SortFunc(r.Grants, func(a, b Grant) int {
		if a.On != b.On {
			return strings.Compare(string(a.On), string(b.On))
		}
		return int(int64(a.OID) - int64(b.OID))
	})
}

// Revoke takes rights from a role, or only that to grant them.
func (r *Role) Revoke(on Class, oid uint32, rights []string, optionOnly bool) {
	g := r.grant(on, oid)
	if g == nil {
		return
	}
	gone := func(right string) bool { return slices.Contains(rights, right) }
	g.Option = slices.DeleteFunc(g.Option, gone)
	if !optionOnly {
		g.Rights = slices.DeleteFunc(g.Rights, gone)
	}
	r.Grants = slices.DeleteFunc(r.Grants, func(g Grant) bool { return len(g.Rights) == 0 })
}

// Edits are the edits of objects that make the change. Grants on tables that are not there any
// more are left out of the roles that change.
func (d *Draft) Edits(there func(Class, uint32) bool) []object.Edit {
	var out []object.Edit
	for _, name := range slices.Sorted(maps.Keys(d.changed)) {
		r := d.changed[name]
		r.Grants = slices.DeleteFunc(r.Grants, func(g Grant) bool { return !there(g.On, g.OID) })
		body, err := json.Marshal(r)
		if err != nil {
			panic(err) // texts and numbers always have a JSON form
		}
		out = append(out, object.Edit{Kind: object.Role, ID: r.ID, Version: r.Version, Key: name, Body: body})
	}
	for _, name := range slices.Sorted(maps.Keys(d.gone)) {
		r := d.gone[name]
		out = append(out, object.Edit{Kind: object.Role, ID: r.ID, Version: r.Version, Delete: true})
	}
	return out
}
