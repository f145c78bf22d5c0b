package pgcatalog

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
)

// bootstrap is the name of the role that what belongs to nobody is shown to belong to: whoever
// looks, if no role is known under that name, since such a one may do everything.
func (r *Reader) bootstrap() string {
	if r.catalog.Roles.Find(r.session.User) == nil {
		return r.session.User
	}
	return "prickle"
}

// current is the role whose rights count.
func (r *Reader) current() string {
	if r.session.Role != "" {
		return r.session.Role
	}
	return r.session.User
}

// ownerName is the role that is shown to own a table.
func (r *Reader) ownerName(t *catalog.Table) string { return r.ownedBy(t.Owner()) }

// ownedBy is the role that is shown to own what belongs to a role, empty for nobody.
func (r *Reader) ownedBy(name string) string {
	if name != "" {
		return name
	}
	return r.bootstrap()
}

func (r *Reader) ownerOID(t *catalog.Table) uint32 { return r.roleNumber(t.Owner()) }

// roleNumber is the object id of a role, that of the bootstrap role for others.
func (r *Reader) roleNumber(name string) uint32 {
	if x := r.catalog.Roles.Find(name); x != nil {
		return roleOID(x.ID)
	}
	return owner
}

// eachRole visits the roles, the bootstrap role first.
func (r *Reader) eachRole(do func(oid uint32, x *role.Role)) {
	do(owner, &role.Role{Name: r.bootstrap(), Superuser: true, CreateRole: true, CreateDB: true, Login: true, BypassRLS: true, Connections: role.Unlimited})
	for _, x := range r.catalog.Roles.Roles() {
		do(roleOID(x.ID), x)
	}
}

// findRole finds a role by its name.
func (r *Reader) findRole(name string) (uint32, bool) {
	if name == r.bootstrap() {
		return owner, true
	}
	x := r.catalog.Roles.Find(name)
	if x == nil || name == role.Public {
		return 0, false
	}
	return roleOID(x.ID), true
}

// roleName is the name of a role by its object id.
func (r *Reader) roleName(oid uint32) (name string, ok bool) {
	r.eachRole(func(o uint32, x *role.Role) {
		if o == oid {
			name, ok = x.Name, true
		}
	})
	return name, ok
}

// acl is the access control list of a thing that belongs to a role; nil if nothing was granted.
func (r *Reader) acl(on role.Class, oid uint32, belongs string) any {
	roles, grants := r.catalog.Roles.Grants(on, oid)
	if roles == nil {
		return nil
	}
	all := role.Grant{On: on, Rights: role.RightsOn(on)}
	out := []string{belongs + "=" + all.ACL() + "/" + belongs}
	for i, name := range roles {
		if name == role.Public {
			name = ""
		}
		out = append(out, name+"="+grants[i].ACL()+"/"+belongs)
	}
	return out
}

// roles fills the tables about roles.
func roles() {
	valid := func(x *role.Role) any {
		if x.ValidUntil == nil {
			return nil
		}
		return *x.ValidUntil
	}
	for name, password := range map[string]func(*Reader, *role.Role) any{
		"pg_roles": func(*Reader, *role.Role) any { return "********" },
		"pg_authid": func(r *Reader, x *role.Role) any {
			if !r.catalog.Roles.Super(r.current()) {
				return nil
			}
			return orNull(x.Verifier)
		},
	} {
		dynamics["pg_catalog."+name] = func(r *Reader, t *table) {
			r.eachRole(func(oid uint32, x *role.Role) {
				t.add("oid", oid, "rolname", x.Name, "rolsuper", x.Superuser, "rolinherit", !x.NoInherit, "rolcreaterole", x.CreateRole, "rolcreatedb", x.CreateDB,
					"rolcanlogin", x.Login, "rolreplication", x.Replication, "rolbypassrls", x.BypassRLS, "rolconnlimit", x.Connections,
					"rolpassword", password(r, x), "rolvaliduntil", valid(x))
			})
		}
	}
	for name, password := range map[string]any{"pg_user": "********", "pg_shadow": nil} {
		dynamics["pg_catalog."+name] = func(r *Reader, t *table) {
			r.eachRole(func(oid uint32, x *role.Role) {
				if x.Login {
					t.add("usename", x.Name, "usesysid", oid, "usecreatedb", x.CreateDB, "usesuper", x.Superuser, "userepl", x.Replication,
						"usebypassrls", x.BypassRLS, "passwd", password, "valuntil", valid(x))
				}
			})
		}
	}
	dynamics["pg_catalog.pg_group"] = func(r *Reader, t *table) {
		for _, g := range r.catalog.Roles.Roles() {
			if g.Login {
				continue
			}
			members := []uint32{}
			for _, x := range r.catalog.Roles.Roles() {
				if slices.ContainsFunc(x.Member, func(m role.Membership) bool { return m.Role == g.Name }) {
					members = append(members, roleOID(x.ID))
				}
			}
			t.add("groname", g.Name, "grosysid", roleOID(g.ID), "grolist", members)
		}
	}
	dynamics["pg_catalog.pg_auth_members"] = func(r *Reader, t *table) {
		for _, x := range r.catalog.Roles.Roles() {
			for _, m := range x.Member {
				t.add("roleid", r.roleNumber(m.Role), "member", roleOID(x.ID), "grantor", owner, "admin_option", m.Admin)
			}
		}
	}
	for _, name := range []string{"enabled_roles", "applicable_roles"} {
		dynamics["information_schema."+name] = func(r *Reader, t *table) {
			if name == "enabled_roles" {
				t.add("role_name", r.current())
			}
			r.catalog.Roles.Each(r.current(), func(x *role.Role) {
				switch {
				case name == "applicable_roles":
					for _, m := range x.Member {
						t.add("grantee", x.Name, "role_name", m.Role, "is_grantable", yesNo(m.Admin))
					}
				case x.Name != r.current():
					t.add("role_name", x.Name)
				}
			})
		}
	}
}

// grantor is who is shown to have granted rights on a table; nil is one of the catalog.
func (r *Reader) grantor(u *catalog.Table) string {
	if u == nil {
		return r.bootstrap()
	}
	return r.ownerName(u)
}

// eachRight visits who has which right on a table: its owner all of them, others what they were
// granted.
func (r *Reader) eachRight(do func(schema string, u *catalog.Table, name, kind, grantee, right string, option bool, columns []column)) {
	r.eachTable(func(schema, name, kind string, columns []column) {
		belongs := r.bootstrap()
		u := r.catalog.In(schema, name)
		if u != nil {
			belongs = r.ownerName(u)
		}
		for _, right := range role.RightsOn(role.Table) {
			do(schema, u, name, kind, belongs, right, true, columns)
		}
		if u == nil {
			return
		}
		roles, grants := r.catalog.Roles.Grants(role.Table, u.OID)
		for i, grantee := range roles {
			if grantee == role.Public {
				grantee = "PUBLIC"
			}
			for _, right := range grants[i].Rights {
				do(schema, u, name, kind, grantee, right, slices.Contains(grants[i].Option, right), columns)
			}
		}
	})
}

// columnRights are the rights that there are on single columns.
var columnRights = []string{"SELECT", "INSERT", "UPDATE", "REFERENCES"}

// May implements expr.Objects.
func (r *Reader) May(function, who string, oid uint32, rights string) (may, ok bool, err error) {
	if who == "" {
		who = r.current()
	}
	if function == "pg_has_role" {
		name, known := r.roleName(oid)
		if !known {
			return false, false, nil
		}
		inherits := strings.Contains(strings.ToUpper(rights), "USAGE")
		return r.catalog.Roles.Super(who) || r.catalog.Roles.Member(who, name, inherits), true, nil
	}
	on, belongs := role.Table, ""
	switch function {
	case "has_table_privilege", "has_column_privilege", "has_any_column_privilege":
		if _, _, known := r.className(oid); !known {
			return false, false, nil
		}
		t := r.userTable(oid)
		if t == nil || t.Temp() {
			return true, true, nil
		}
		belongs = t.Owner()
	case "has_schema_privilege":
		on = role.Schema
		name := r.catalog.SchemaName(oid)
		if n := r.catalog.Namespace(name); n != nil {
			belongs = n.Schema.Owner
			break
		}
		if name == "" {
			return false, false, nil
		}
		if oid != role.PublicSchema {
			return !strings.Contains(strings.ToUpper(rights), "CREATE") || r.catalog.Roles.Super(who), true, nil
		}
	case "has_database_privilege":
		on, oid = role.Database, r.catalog.OID()
	default:
		return true, true, nil
	}
	for right := range strings.SplitSeq(rights, ",") {
		right = strings.ToUpper(strings.TrimSpace(right))
		right, option := strings.CutSuffix(right, " WITH GRANT OPTION")
		if right == "TEMP" {
			right = "TEMPORARY"
		}
		ofColumn := strings.HasSuffix(function, "column_privilege")
		if !slices.Contains(role.RightsOn(on), right) || ofColumn && !slices.Contains(columnRights, right) {
			return false, false, pgerr.New(pgerr.InvalidParameterValue, `unrecognized privilege type: "%s"`, strings.TrimSpace(rights))
		}
		may = may || r.catalog.Roles.May(who, right, on, oid, belongs, option)
	}
	return may, true, nil
}
