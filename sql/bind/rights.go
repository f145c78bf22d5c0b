package bind

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql/ast"
)

// asker is the role whose rights count: that of the statement, or, inside a view, its owner; a
// cohort's definition may read whatever it says.
func (b *binder) asker() string {
	if b.as != nil {
		return *b.as
	}
	return b.env.Catalog.Role
}

// may says whether the statement may do something to a table, and fails if not.
func (b *binder) may(right string, t *catalog.Table, pos ast.Pos) bool {
	if t == nil || t.System != "" || t.Temp() || b.env.Catalog.Roles.May(b.asker(), right, role.Table, t.OID, t.Owner(), false) {
		return true
	}
	b.fail(denied(kindOf(t), t.Name), pos)
	return false
}

func denied(kind, name string) *pgerr.Error {
	return pgerr.New(pgerr.InsufficientPrivilege, "permission denied for %s %s", kind, name)
}

// owns says whether the statement may change what a table is, and fails if not.
func (b *binder) owns(t *catalog.Table, pos ast.Pos) bool {
	roles, who := b.env.Catalog.Roles, b.asker()
	if t.Temp() || roles.Super(who) || t.Owner() != "" && roles.Member(who, t.Owner(), true) {
		return true
	}
	b.fail(pgerr.New(pgerr.InsufficientPrivilege, "must be owner of %s %s", kindOf(t), t.Name), pos)
	return false
}

// mayCreate says whether the statement may make something in the schema public, and fails if
// not.
func (b *binder) mayCreate(pos ast.Pos) bool {
	if b.env.Catalog.Roles.May(b.asker(), "CREATE", role.Schema, role.PublicSchema, "", false) {
		return true
	}
	b.fail(denied("schema", catalog.Public), pos)
	return false
}

// mayCreateIn is mayCreate of a schema that a user has made.
func (b *binder) mayCreateIn(n *catalog.Namespace, pos ast.Pos) bool {
	if b.env.Catalog.Roles.May(b.asker(), "CREATE", role.Schema, n.OID, n.Schema.Owner, false) {
		return true
	}
	b.fail(denied("schema", n.Name), pos)
	return false
}

// MayCreate says what is wrong with making, changing or dropping what has no owner: a cohort.
func MayCreate(env Env, pos ast.Pos) error {
	b := newBinder(env)
	if !b.mayCreate(pos) {
		return b.err
	}
	return nil
}

// mayReadFiles says whether the statement may read and write files of the server, and fails if
// not.
func (b *binder) mayReadFiles(pos ast.Pos) bool {
	if b.env.Catalog.Roles.Super(b.asker()) {
		return true
	}
	b.fail(pgerr.New(pgerr.InsufficientPrivilege, "permission denied to read or write a file of the server").
		WithHint("Only superusers may. COPY FROM STDIN and TO STDOUT are for everybody."), pos)
	return false
}

// owner is whom what the statement makes belongs to: nobody, if the role has no record.
func (b *binder) owner() string {
	if who := b.asker(); b.env.Catalog.Roles.Find(who) != nil {
		return who
	}
	return ""
}

// besideTables are the tables whose rows an expression over events reads beside it.
var besideTables = map[string]string{"person": "persons", "session": "sessions"}

// mayBeside is may for what is known of the person, a group or the session of an event.
func (b *binder) mayBeside(word string, pos ast.Pos) bool {
	name := besideTables[word]
	if name == "" {
		name = "groups"
	}
	return b.may("SELECT", b.env.Catalog.In("public", name), pos)
}

// MayChange says what is wrong with changing a built-in table: DELETE from it, say.
func MayChange(env Env, right string, t *ast.TableName) error {
	b := newBinder(env)
	if b.may(right, b.env.Catalog.In("public", t.Name[len(t.Name)-1].Name), t.Pos()); b.err != nil {
		return b.err
	}
	return nil
}

// GrantTarget is a thing that rights are granted on.
type GrantTarget struct {
	On   role.Class
	OID  uint32
	Name string
}

// Grant finds the things and the rights of GRANT and REVOKE, and whether all of them may be
// granted.
func Grant(env Env, s *ast.Grant) (targets []GrantTarget, rights []string, err error) {
	b := newBinder(env)
	on := role.Class(s.On)
	add := func(t GrantTarget, owner string, pos ast.Pos) {
		targets = append(targets, t)
		for _, right := range rights {
			if !b.env.Catalog.Roles.May(b.asker(), right, t.On, t.OID, owner, true) {
				b.fail(denied(string(t.On), t.Name), pos)
				return
			}
		}
	}
	if s.On == "tables" {
		on = role.Table
	}
	rights = b.rights(s, on)
	for _, name := range s.Names {
		if b.err != nil {
			break
		}
		last := name[len(name)-1]
		switch s.On {
		case "table":
			if rel := b.grantTable(name); rel != nil {
				add(GrantTarget{on, rel.OID, rel.Name}, rel.Owner(), name[0].Pos())
			}
		case "database":
			if last.Name != b.env.Catalog.Database {
				b.fail(pgerr.New(pgerr.UndefinedDatabase, `database "%s" does not exist`, last.Name), last.Pos())
				break
			}
			add(GrantTarget{on, b.env.Catalog.OID(), last.Name}, "", last.Pos())
		default:
			n := b.env.Catalog.Namespace(last.Name)
			oid, owner := uint32(role.PublicSchema), ""
			switch {
			case n != nil:
				oid, owner = n.OID, n.Schema.Owner
			case last.Name != catalog.Public:
				b.fail(noSchema(last.Name), last.Pos())
			}
			if s.On == "schema" && b.err == nil {
				add(GrantTarget{on, oid, last.Name}, owner, last.Pos())
				break
			}
			for _, t := range b.env.Catalog.Tables {
				if t.InSchema(last.Name) && b.err == nil {
					add(GrantTarget{on, t.OID, t.Name}, t.Owner(), last.Pos())
				}
			}
		}
	}
	if b.err != nil {
		return nil, nil, b.err
	}
	return targets, rights, nil
}

func (b *binder) grantTable(name []ast.Ident) *catalog.Table {
	t := b.named(name)
	switch {
	case b.err != nil:
		return nil
	case t == nil:
		b.fail(pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, ast.FormatName(name)), name[0].Pos())
	case t.Temp() || t.System != "":
		b.unsupported("GRANT on this table", name[0].Pos())
		return nil
	}
	return t
}

// rights is the rights of GRANT and REVOKE in the order in which they are kept.
func (b *binder) rights(s *ast.Grant, on role.Class) []string {
	all := role.RightsOn(on)
	if len(s.Rights) == 0 {
		return all
	}
	var out []string
	for _, right := range s.Rights {
		if right == "TEMP" {
			right = "TEMPORARY"
		}
		if !slices.Contains(all, right) {
			known := slices.Concat(role.RightsOn(role.Table), role.RightsOn(role.Schema), role.RightsOn(role.Database))
			if slices.Contains(known, right) {
				b.fail(pgerr.New(pgerr.InvalidGrant, "invalid privilege type %s for %s", right, on), s.Pos())
			} else {
				b.fail(pgerr.New(pgerr.SyntaxError, `unrecognized privilege type "%s"`, strings.ToLower(right)), s.Pos())
			}
			return nil
		}
		out = append(out, right)
	}
	return out
}
