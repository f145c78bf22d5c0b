package sql

import (
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/bind"
)

// RoleSpec is a statement about roles.
type RoleSpec struct {
	Stmt ast.Stmt // RoleStmt, DropRole, Grant or GrantRole
	// Targets and Rights are those of a Grant.
	Targets []bind.GrantTarget
	Rights  []string
	Text    string // of the statement, for positions
}

// changeRole compiles a statement about roles.
func (c *CompileContext) changeRole(s ast.Stmt, text string) (*Statement, error) {
	st := &Statement{Kind: ChangeRole, Role: &RoleSpec{Stmt: s, Text: text}}
	switch s := s.(type) {
	case *ast.RoleStmt:
		st.Tag = "CREATE ROLE"
		if s.Alter {
			st.Tag = "ALTER ROLE"
		}
	case *ast.DropRole:
		st.Tag = "DROP ROLE"
	case *ast.GrantRole:
		st.Tag = "GRANT ROLE"
		if s.Revoke {
			st.Tag = "REVOKE ROLE"
		}
	case *ast.Grant:
		st.Tag = "GRANT"
		if s.Revoke {
			st.Tag = "REVOKE"
		}
		var err error
		if st.Role.Targets, st.Role.Rights, err = bind.Grant(c.env(text), s); err != nil {
			return nil, err
		}
	}
	return st, nil
}
