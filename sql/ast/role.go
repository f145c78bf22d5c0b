package ast

import (
	"strconv"
	"strings"
)

// RoleStmt is CREATE ROLE, ALTER ROLE and their like with USER and GROUP.
type RoleStmt struct {
	Place
	Alter   bool
	User    bool // CREATE USER: it may log in
	Name    Ident
	Options []RoleOption
	To      Ident // ALTER ROLE name RENAME TO
}

// RoleOption is one of: superuser, createdb, createrole, inherit, login, replication, bypassrls
// (On says whether there is no NO before it); connections (Number); password and valid (Text,
// or On false for NULL); in, role and admin (Names).
type RoleOption struct {
	Place
	Name   string
	On     bool
	Number int
	Text   string
	Names  []Ident
}

// DropRole is DROP ROLE, USER or GROUP.
type DropRole struct {
	Place
	IfExists bool
	Names    []Ident
}

// Grant is GRANT and REVOKE of rights on things.
type Grant struct {
	Place
	Revoke bool
	Option bool     // WITH GRANT OPTION, or GRANT OPTION FOR
	Rights []string // upper case; empty is ALL
	// On is table, schema, database, or tables: those IN SCHEMA.
	On    string
	Names [][]Ident
	Roles []Ident // whom; public is everybody
	By    Ident   // GRANTED BY; its name is empty where nobody is named
}

// GrantRole is GRANT and REVOKE of memberships.
type GrantRole struct {
	Place
	Revoke bool
	Admin  bool // WITH ADMIN OPTION, or ADMIN OPTION FOR
	Of     []Ident
	Roles  []Ident
	By     Ident // as of Grant
}

// ReassignOwned is REASSIGN OWNED BY roles TO role.
type ReassignOwned struct {
	Place
	From []Ident
	To   Ident
}

func (*ReassignOwned) stmt() {}

func (*RoleStmt) stmt()  {}
func (*DropRole) stmt()  {}
func (*Grant) stmt()     {}
func (*GrantRole) stmt() {}

// roleStmt prints the statements about roles.
func (p *printer) roleStmt(s Stmt) {
	switch s := s.(type) {
	case *RoleStmt:
		p.s(map[bool]string{false: "CREATE ", true: "ALTER "}[s.Alter])
		p.s(map[bool]string{false: "ROLE ", true: "USER "}[s.User])
		p.role(s.Name)
		if s.To.Name != "" {
			p.s(" RENAME TO ")
			p.ident(s.To)
		}
		for i := range s.Options {
			p.roleOption(&s.Options[i])
		}
	case *DropRole:
		p.s("DROP ROLE ")
		p.flag(s.IfExists, "IF EXISTS ")
		p.roles(s.Names)
	case *Grant:
		p.grantHead(s.Revoke, s.Option, "GRANT")
		if len(s.Rights) == 0 {
			p.s("ALL")
		}
		p.list(len(s.Rights), func(i int) { p.s(bare(s.Rights[i])) })
		p.s(map[string]string{"table": " ON ", "schema": " ON SCHEMA ", "database": " ON DATABASE ", "tables": " ON ALL TABLES IN SCHEMA "}[s.On])
		p.list(len(s.Names), func(i int) { p.name(s.Names[i]) })
		p.grantTail(s.Revoke, s.Option, s.Roles, " WITH GRANT OPTION", s.By)
	case *ReassignOwned:
		p.s("REASSIGN OWNED BY ")
		p.roles(s.From)
		p.s(" TO ")
		p.role(s.To)
	case *GrantRole:
		p.grantHead(s.Revoke, s.Admin, "ADMIN")
		p.roles(s.Of)
		p.grantTail(s.Revoke, s.Admin, s.Roles, " WITH ADMIN OPTION", s.By)
	}
}

// role prints the name of a role; CURRENT_USER and its like are none.
func (p *printer) role(id Ident) {
	switch id.Name {
	case "current_user", "current_role", "session_user":
		if !id.Quoted {
			p.s(strings.ToUpper(id.Name))
			return
		}
	}
	p.ident(id)
}

func (p *printer) roles(ids []Ident) { p.list(len(ids), func(i int) { p.role(ids[i]) }) }

func (p *printer) grantHead(revoke, option bool, what string) {
	if !revoke {
		p.s("GRANT ")
		return
	}
	p.s("REVOKE ")
	p.flag(option, what+" OPTION FOR ")
}

func (p *printer) grantTail(revoke, option bool, roles []Ident, with string, by Ident) {
	p.s(map[bool]string{false: " TO ", true: " FROM "}[revoke])
	p.roles(roles)
	p.flag(option && !revoke, with)
	if by.Name != "" {
		p.s(" GRANTED BY ")
		p.role(by)
	}
}

// roleWords are the options that are on or off.
var roleWords = map[string]string{"superuser": "SUPERUSER", "createdb": "CREATEDB", "createrole": "CREATEROLE", "inherit": "INHERIT", "login": "LOGIN",
	"replication": "REPLICATION", "bypassrls": "BYPASSRLS"}

func (p *printer) roleOption(o *RoleOption) {
	p.s(" ")
	if word := roleWords[o.Name]; word != "" {
		p.flag(!o.On, "NO")
		p.s(word)
		return
	}
	switch o.Name {
	case "connections":
		p.s("CONNECTION LIMIT " + strconv.Itoa(o.Number))
	case "password", "valid":
		p.s(map[string]string{"password": "PASSWORD ", "valid": "VALID UNTIL "}[o.Name])
		if !o.On {
			p.s("NULL")
			return
		}
		p.s(QuoteString(o.Text))
	default:
		p.s(map[string]string{"in": "IN ROLE ", "role": "ROLE ", "admin": "ADMIN "}[o.Name])
		p.roles(o.Names)
	}
}
