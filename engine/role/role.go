package role

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/role/scram"
	"github.com/prickledb/prickle/storage/object"
)

// Public is the role that everybody is a member of.
const Public = "public"

// Unlimited is the connection limit of a role that has none.
const Unlimited = -1

// Role is one role. It is immutable once it is in a Set.
type Role struct {
	ID         int64  `json:"-"` // of its object
	Version    int64  `json:"-"`
	Name       string `json:"name"`
	Login      bool   `json:"login,omitempty"`
	Superuser  bool   `json:"superuser,omitempty"`
	CreateRole bool   `json:"create_role,omitempty"`
	CreateDB   bool   `json:"create_db,omitempty"`
	// NoInherit: it has the rights of the roles it is a member of after SET ROLE alone.
	NoInherit   bool `json:"no_inherit,omitempty"`
	Replication bool `json:"replication,omitempty"`
	BypassRLS   bool `json:"bypass_rls,omitempty"`
	// Connections is how many there may be at a time; Unlimited is any number.
	Connections int `json:"connections"`
	// Verifier is the password, as Verifier makes it; empty: none fits.
	Verifier   string       `json:"verifier,omitempty"`
	ValidUntil *int64       `json:"valid_until,omitempty"` // of the password, µs since 1970 UTC
	Member     []Membership `json:"member,omitempty"`      // by name
	Grants     []Grant      `json:"grants,omitempty"`      // by class and number
}

// Membership is one role that another is a member of.
type Membership struct {
	Role  string `json:"role"`
	Admin bool   `json:"admin,omitempty"` // it may make others members
}

// Class is a kind of things that rights are about.
type Class string

// The classes.
const (
	Table    Class = "table"
	Schema   Class = "schema"
	Database Class = "database"
)

// Grant is what a role may do with one thing, by the number that clients know that by.
type Grant struct {
	On     Class    `json:"on"`
	OID    uint32   `json:"oid"`
	Rights []string `json:"rights"`           // in the order of RightsOn
	Option []string `json:"option,omitempty"` // those of them that it may grant to others
}

// RightsOn lists the rights that there are, in the order in which they are shown.
func RightsOn(c Class) []string {
	switch c {
	case Table:
		return []string{"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}
	case Schema:
		return []string{"USAGE", "CREATE"}
	}
	return []string{"CREATE", "TEMPORARY", "CONNECT"}
}

// PublicSchema is the number of the schema public.
const PublicSchema = 2200

// Set is the roles of a project in one state. A nil one has none.
type Set struct {
	roles  []*Role // by number, without Public
	byName map[string]*Role
}

// Read reads the roles among the objects of a project; nil if there are none.
func Read(t *object.Table) (*Set, error) {
	list := t.List(object.Role)
	if len(list) == 0 {
		return nil, nil
	}
	s := &Set{byName: map[string]*Role{}}
	for _, o := range list {
		r := &Role{ID: o.ID, Version: o.Version}
		if err := json.Unmarshal(o.Body, r); err != nil {
			return nil, fmt.Errorf("role %q: %w", o.Key, err)
		}
		s.byName[r.Name] = r
		if r.Name != Public {
			s.roles = append(s.roles, r)
		}
	}
	return s, nil
}

// Roles lists the roles, without Public.
func (s *Set) Roles() []*Role {
	if s == nil {
		return nil
	}
	return s.roles
}

// Find finds a role, or answers nil.
func (s *Set) Find(name string) *Role {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// Super says whether a name may do everything.
func (s *Set) Super(name string) bool {
	r := s.Find(name)
	return r == nil && name != Public || r != nil && r.Superuser
}

// Member says whether a name is that of a role or of one of its members, of whatever depth. If
// inherits, only members count that have the role's rights at once.
func (s *Set) Member(name, of string, inherits bool) bool {
	found := false
	s.each(name, inherits, func(r string) { found = found || r == of })
	return found
}

// Each visits a role and those whose rights it has by being a member.
func (s *Set) Each(name string, visit func(*Role)) {
	s.each(name, true, func(r string) {
		if found := s.Find(r); found != nil {
			visit(found)
		}
	})
}

// each visits a name and the roles that it is a member of.
func (s *Set) each(name string, inherits bool, visit func(string)) {
	seen := map[string]bool{name: true}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		visit(todo[0])
		r := s.Find(todo[0])
		if r == nil || inherits && r.NoInherit {
			continue
		}
		for _, m := range r.Member {
			if !seen[m.Role] {
				seen[m.Role] = true
				todo = append(todo[:len(todo):len(todo)], m.Role)
			}
		}
	}
}

// May says whether a name has a right on a thing that belongs to owner, empty for nobody; with
// option, whether it may grant the right.
func (s *Set) May(name, right string, on Class, oid uint32, owner string, option bool) bool {
	if s.Super(name) {
		return true
	}
	may := on == Schema && oid == PublicSchema && right == "USAGE" && !option || on == Database && right != "CREATE" && !option
	s.each(name, true, func(r string) {
		may = may || owner != "" && r == owner || s.granted(r, right, on, oid, option)
	})
	return may || s.granted(Public, right, on, oid, option)
}

func (s *Set) granted(role, right string, on Class, oid uint32, option bool) bool {
	r := s.Find(role)
	if r == nil {
		return false
	}
	g := r.grant(on, oid)
	if g == nil {
		return false
	}
	if option {
		return slices.Contains(g.Option, right)
	}
	return slices.Contains(g.Rights, right)
}

// grant is what the role was granted on a thing, or nil.
func (r *Role) grant(on Class, oid uint32) *Grant {
	for i := range r.Grants {
		if r.Grants[i].On == on && r.Grants[i].OID == oid {
			return &r.Grants[i]
		}
	}
	return nil
}

// Grants lists who was granted what on a thing, by role; Public comes first.
func (s *Set) Grants(on Class, oid uint32) (roles []string, grants []Grant) {
	if s == nil {
		return nil, nil
	}
	list := s.roles
	if p := s.byName[Public]; p != nil {
		list = append([]*Role{p}, list...)
	}
	for _, r := range list {
		if g := r.grant(on, oid); g != nil {
			roles, grants = append(roles, r.Name), append(grants, *g)
		}
	}
	return roles, grants
}

// letters are the rights in access control lists.
var letters = map[string]string{"SELECT": "r", "INSERT": "a", "UPDATE": "w", "DELETE": "d", "TRUNCATE": "D", "REFERENCES": "x", "TRIGGER": "t",
	"USAGE": "U", "CREATE": "C", "CONNECT": "c", "TEMPORARY": "T"}

// ACL is a grant as an access control list has it: rights, each with a star if it may be granted.
func (g *Grant) ACL() string {
	var out strings.Builder
	for _, right := range g.Rights {
		out.WriteString(letters[right])
		if slices.Contains(g.Option, right) {
			out.WriteByte('*')
		}
	}
	return out.String()
}

// Verifier is the stored password of a role; false if there is no such role, or no password, or
// one that has expired at a time in µs since 1970 UTC.
func (s *Set) Verifier(name string, at int64) (string, bool) {
	r := s.Find(name)
	if r == nil || r.Verifier == "" || r.ValidUntil != nil && *r.ValidUntil <= at {
		return "", false
	}
	return r.Verifier, true
}

// Verifier is what is stored of a password, as package scram writes it. One that is such a text
// already, as \password of psql sends it, stays as it is.
func Verifier(password string) (string, error) {
	if _, err := scram.Parse(password); err == nil {
		return password, nil
	}
	v, err := scram.New(password)
	if err != nil {
		return "", fmt.Errorf("hash of a password: %w", err)
	}
	return v.String(), nil
}
