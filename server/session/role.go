package session

import (
	"errors"
	"slices"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// roleSet is the roles of a project, read from objects.
type roleSet struct {
	objects *object.Table
	set     *role.Set
	err     error
}

// roles reads the roles of a project; those read last are kept.
func (e *storeEngine) roles(project uint32, objects *object.Table) (*role.Set, error) {
	if r, ok := e.roleSets.Load(project); ok && r.(*roleSet).objects == objects {
		return r.(*roleSet).set, r.(*roleSet).err
	}
	r := &roleSet{objects: objects}
	r.set, r.err = role.Read(objects)
	e.roleSets.Store(project, r)
	return r.set, r.err
}

// role is whose rights count: that of SET ROLE, or the user.
func (s *Session) role() string {
	if r := s.value("role"); r != "none" && r != "" {
		return r
	}
	return s.config.User
}

// checkRole says what is wrong with the roles of a statement. One that is gone must not be taken
// for a name that the server does not know, which may do everything.
func (s *Session) checkRole(c *catalog.Catalog) error { return s.isThere(c, s.role()) }

// isThere says whether a role of the session is still one.
func (s *Session) isThere(c *catalog.Catalog, name string) error {
	if c.RolesErr != nil {
		return c.RolesErr
	}
	if name == s.config.User && !s.known || c.Roles.Find(name) != nil {
		return nil
	}
	return pgerr.New(pgerr.InvalidAuthorization, `role "%s" does not exist any more`, name)
}

// setRole checks that SET ROLE may take a value.
func (s *Session) setRole(name string) error {
	if name == "none" || name == s.config.User { // one may always be oneself
		return nil
	}
	tables := s.config.Engine.Catalog(s.config.Project, s.config.Database, nil)
	if err := s.isThere(tables, s.config.User); err != nil {
		return err
	}
	roles := tables.Roles
	switch {
	case roles.Find(name) == nil || name == role.Public:
		return pgerr.New(pgerr.InvalidParameterValue, `role "%s" does not exist`, name)
	case !roles.Super(s.config.User) && !roles.Member(s.config.User, name, false):
		return pgerr.New(pgerr.InsufficientPrivilege, `permission denied to set role "%s"`, name)
	}
	return nil
}

// mayBecome checks that SET SESSION AUTHORIZATION may take a value: the user stays who it is.
func (s *Session) mayBecome(name string) error {
	if name == "default" || name == s.config.User {
		return nil
	}
	roles := s.config.Engine.Catalog(s.config.Project, s.config.Database, nil).Roles
	switch {
	case roles.Find(name) == nil || name == role.Public:
		return pgerr.New(pgerr.InvalidParameterValue, `role "%s" does not exist`, name)
	case !roles.Super(s.config.User):
		return pgerr.New(pgerr.InsufficientPrivilege, "permission denied to set session authorization")
	}
	return pgerr.Unsupported("SET SESSION AUTHORIZATION to another role").WithHint("Use SET ROLE.")
}

// changeRole carries out a statement about roles. Like changes of persons, it is no part of a
// transaction.
func (p *Portal) changeRole(st *sql.Statement, tables *catalog.Catalog, ctx *expr.Context) error {
	s := p.session
	if err := p.alone(st.Tag, st.Tag); err != nil {
		return err
	}
	c := &roleChange{session: s, catalog: tables, draft: tables.Roles.Change(), spec: st.Role, ctx: ctx}
	if err := c.run(); err != nil {
		return err
	}
	edits := c.draft.Edits(func(on role.Class, oid uint32) bool {
		switch on {
		case role.Table:
			return slices.ContainsFunc(tables.Tables, func(t *catalog.Table) bool { return t.OID == oid })
		case role.Schema:
			return tables.SchemaName(oid) != ""
		}
		return true
	})
	if len(edits) > 0 {
		index, err := s.config.Engine.EditObjects(p.ctx, s.config.Project, edits)
		var conflict *object.ConflictError
		if errors.As(err, &conflict) { // it is tried again
			return &table.ConflictError{Table: "of roles", What: conflict.Error()}
		}
		if err != nil {
			return clusterError(err)
		}
		s.wrote(index)
	}
	p.tag, p.done = st.Tag, true
	return nil
}

// roleChange is a statement about roles being carried out.
type roleChange struct {
	session *Session
	catalog *catalog.Catalog
	draft   *role.Draft
	spec    *sql.RoleSpec
	ctx     *expr.Context
}

func (c *roleChange) fail(e *pgerr.Error, n ast.Node) error {
	return e.At(ast.CharPosition(c.spec.Text, n.Pos()))
}

// called is the name that stands in a statement for a role.
func (c *roleChange) called(id ast.Ident) string {
	switch {
	case id.Quoted:
	case id.Name == "current_user", id.Name == "current_role":
		return c.session.role()
	case id.Name == "session_user":
		return c.session.config.User
	}
	return id.Name
}

// name is the role that a statement names; Public only where it may.
func (c *roleChange) name(id ast.Ident, public bool) (string, error) {
	name := c.called(id)
	if name == role.Public && public {
		return name, nil
	}
	if name == role.Public || c.catalog.Roles.Find(name) == nil {
		e := pgerr.New(pgerr.UndefinedObject, `role "%s" does not exist`, name)
		if name == c.session.config.User && !c.session.known {
			e.WithHint("The server lets this name in without an account. CREATE ROLE makes one.")
		}
		return "", c.fail(e, id)
	}
	return name, nil
}

// grantor checks whom GRANTED BY names: it is the role that grants, or any where that is allowed.
func (c *roleChange) grantor(by ast.Ident, others bool) error {
	who := c.session.role()
	if by.Name == "" || by.Name == who {
		return nil
	}
	name, err := c.name(by, false)
	if !by.Quoted && (by.Name == "current_user" || by.Name == "current_role" || by.Name == "session_user" && c.session.config.User == who) {
		return nil // who may have no record
	}
	switch {
	case err != nil || others || name == who:
		return err
	}
	return c.fail(pgerr.New(pgerr.FeatureNotSupported, "grantor must be current user"), by)
}

// isGuest says whether a name is that of the session, which has no account and so may do everything.
func (c *roleChange) isGuest(name string) bool {
	s := c.session
	return name == s.config.User && name == s.role() && name != role.Public && !s.known && c.catalog.Roles.Find(name) == nil
}

// administers says whether the statement may make, change and drop roles.
func (c *roleChange) administers() bool {
	roles, who := c.catalog.Roles, c.session.role()
	return roles.Super(who) || roles.Find(who).CreateRole
}

// administersRole says whether it may make others members of a role, or change it: one that may do
// everything is the superusers' alone.
func (c *roleChange) administersRole(name string) bool {
	roles := c.catalog.Roles
	return c.administers() && (!roles.Find(name).Superuser || roles.Super(c.session.role()))
}

func (c *roleChange) run() error {
	switch s := c.spec.Stmt.(type) {
	case *ast.RoleStmt:
		if s.Alter {
			return c.alter(s)
		}
		return c.create(s)
	case *ast.DropRole:
		return c.drop(s)
	case *ast.Grant:
		if err := c.grantor(s.By, false); err != nil {
			return err
		}
		for _, id := range s.Roles {
			name, err := c.name(id, true)
			if err != nil {
				return err
			}
			if name == role.Public && s.Option && !s.Revoke {
				return c.fail(pgerr.New(pgerr.InvalidGrant, "grant options can only be granted to roles"), id)
			}
			for _, t := range c.spec.Targets {
				if s.Revoke {
					c.draft.Role(name).Revoke(t.On, t.OID, c.spec.Rights, s.Option)
				} else {
					c.draft.Role(name).Grant(t.On, t.OID, c.spec.Rights, s.Option)
				}
			}
		}
	case *ast.GrantRole:
		return c.memberships(s)
	}
	return nil
}

func (c *roleChange) create(s *ast.RoleStmt) error {
	name := s.Name.Name
	switch {
	case !c.administers():
		return c.fail(pgerr.New(pgerr.InsufficientPrivilege, "permission denied to create role"), s)
	case name == role.Public || name == "none" || len(name) > 3 && name[:3] == "pg_":
		return c.fail(pgerr.New("42939", `role name "%s" is reserved`, name), s.Name)
	case c.catalog.Roles.Find(name) != nil:
		return c.fail(pgerr.New(pgerr.DuplicateObject, `role "%s" already exists`, name), s.Name)
	}
	r := c.draft.Add(name)
	r.Login = s.User
	return c.options(r, s)
}

func (c *roleChange) alter(s *ast.RoleStmt) error {
	if name := c.called(s.Name); c.isGuest(name) && len(s.Options) == 1 && s.Options[0].Name == "password" && s.Options[0].Text != "" {
		// As in PostgreSQL, whoever is there has a name that can be given a password.
		r := c.draft.Add(name)
		r.Superuser, r.Login = true, true
		c.session.notice(pgerr.New("00000", `role "%s" is made, a superuser: the server had let the name in without an account`, name).
			WithHint("Where a database has accounts, every client of it has to log in."))
		return c.options(r, s)
	}
	name, err := c.name(s.Name, false)
	if err != nil {
		return err
	}
	own := name == c.session.role() && !slices.ContainsFunc(s.Options, func(o ast.RoleOption) bool { return o.Name != "password" })
	if s.To.Name != "" {
		return pgerr.Unsupported("ALTER ROLE … RENAME")
	}
	if !own && !c.administersRole(name) {
		return c.fail(pgerr.New(pgerr.InsufficientPrivilege, "permission denied"), s)
	}
	return c.options(c.draft.Role(name), s)
}

// options sets what CREATE ROLE and ALTER ROLE say.
func (c *roleChange) options(r *role.Role, s *ast.RoleStmt) error {
	seen := map[string]bool{}
	for i := range s.Options {
		o := &s.Options[i]
		if seen[o.Name] {
			return c.fail(pgerr.New(pgerr.SyntaxError, "conflicting or redundant options"), o)
		}
		seen[o.Name] = true
		if (o.Name == "superuser" || o.Name == "replication" || o.Name == "bypassrls") && !c.catalog.Roles.Super(c.session.role()) {
			return c.fail(pgerr.New(pgerr.InsufficientPrivilege, "must be superuser to change %s attribute", o.Name), o)
		}
		switch o.Name {
		case "superuser":
			r.Superuser = o.On
		case "createdb":
			r.CreateDB = o.On
		case "createrole":
			r.CreateRole = o.On
		case "inherit":
			r.NoInherit = !o.On
		case "login":
			r.Login = o.On
		case "replication":
			r.Replication = o.On
		case "bypassrls":
			r.BypassRLS = o.On
		case "connections":
			if o.Number < role.Unlimited {
				return c.fail(pgerr.New(pgerr.InvalidParameterValue, "invalid connection limit: %d", o.Number), o)
			}
			r.Connections = o.Number
		case "password":
			if r.Verifier = ""; o.On && o.Text != "" {
				var err error
				if r.Verifier, err = role.Verifier(o.Text); err != nil {
					return err
				}
			} else if o.On {
				c.session.notice(pgerr.New("00000", "empty string is not a valid password, clearing password"))
			}
		case "valid":
			v, err := expr.ParseValue(c.ctx, vec.T(vec.TimestampTZ), []byte(o.Text))
			if err != nil {
				return c.fail(pgerr.From(err), o)
			}
			r.ValidUntil = nil
			if at := v.I64[0]; at != vec.InfinityTime {
				r.ValidUntil = &at
			}
		case "in", "role", "admin":
			if s.Alter {
				return c.fail(pgerr.New(pgerr.SyntaxError, "ALTER ROLE changes no memberships").WithHint("Use GRANT and REVOKE."), o)
			}
			for _, id := range o.Names {
				name, err := c.name(id, false)
				switch {
				case err != nil:
					return err
				case o.Name == "in" && !c.administersRole(name):
					return c.mustAdminister(name, id)
				case o.Name == "in":
					r.Join(name, false)
				default:
					c.draft.Role(name).Join(r.Name, o.Name == "admin")
				}
			}
		}
	}
	return nil
}

func (c *roleChange) drop(s *ast.DropRole) error {
	for _, id := range s.Names {
		name, err := c.name(id, false)
		if err != nil {
			if s.IfExists {
				c.session.notice(pgerr.New("00000", `role "%s" does not exist, skipping`, id.Name))
				continue
			}
			return err
		}
		switch {
		case !c.administersRole(name):
			return c.fail(pgerr.New(pgerr.InsufficientPrivilege, "permission denied to drop role"), id)
		case name == c.session.role(), name == c.session.config.User:
			return c.fail(pgerr.New(pgerr.ObjectInUse, "current user cannot be dropped"), id)
		}
		for _, t := range c.catalog.Tables {
			if t.Owner() == name && !t.Temp() {
				return c.fail(pgerr.New(pgerr.DependentObjects, `role "%s" cannot be dropped because some objects depend on it`, name).
					WithDetail("owner of %s", t.Name), id)
			}
		}
		for _, n := range c.catalog.Namespaces {
			if n.Schema.Owner == name {
				return c.fail(pgerr.New(pgerr.DependentObjects, `role "%s" cannot be dropped because some objects depend on it`, name).
					WithDetail("owner of schema %s", n.Name), id)
			}
		}
		c.draft.Drop(name)
	}
	return nil
}

func (c *roleChange) mustAdminister(group string, at ast.Node) error {
	return c.fail(pgerr.New(pgerr.InsufficientPrivilege, `must have admin option on role "%s"`, group), at)
}

func (c *roleChange) memberships(s *ast.GrantRole) error {
	roles, who := c.catalog.Roles, c.session.role()
	if err := c.grantor(s.By, roles.Super(who)); err != nil {
		return err
	}
	for _, of := range s.Of {
		group, err := c.name(of, false)
		if err != nil {
			return err
		}
		admin := c.administersRole(group)
		roles.Each(who, func(r *role.Role) {
			admin = admin || slices.Contains(r.Member, role.Membership{Role: group, Admin: true})
		})
		if !admin {
			return c.mustAdminister(group, of)
		}
		for _, id := range s.Roles {
			name, err := c.name(id, false)
			switch {
			case err != nil:
				return err
			case s.Revoke && s.Admin:
				if r := c.draft.Role(name); slices.ContainsFunc(r.Member, func(m role.Membership) bool { return m.Role == group }) {
					r.Leave(group)
					r.Join(group, false)
				}
			case s.Revoke:
				c.draft.Role(name).Leave(group)
			case roles.Member(group, name, false):
				return c.fail(pgerr.New(pgerr.InvalidGrant, `role "%s" is a member of role "%s"`, group, name), id)
			default:
				c.draft.Role(name).Join(group, s.Admin)
			}
		}
	}
	return nil
}
