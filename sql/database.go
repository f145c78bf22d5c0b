package sql

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// DatabaseSpec is a statement about a database, which is a project.
type DatabaseSpec struct {
	Drop     bool
	Name     string
	Position int // of the name in the statement, in characters from 1
	IfExists bool
	Force    bool // sessions in it end
}

// sameDatabase is what an option of CREATE DATABASE may say, in lower case: what every database is.
var sameDatabase = map[string][]string{
	"TEMPLATE": {"template0", "template1"}, "ENCODING": {"utf8", "utf-8", "unicode", "6"}, "TABLESPACE": {"pg_default"},
	"LOCALE": {"c", "posix"}, "LC_COLLATE": {"c", "posix"}, "LC_CTYPE": {"c", "posix"}, "LOCALE_PROVIDER": {"libc"},
	"CONNECTION LIMIT": {"-1"}, "ALLOW_CONNECTIONS": {"true", "on", "1"}, "IS_TEMPLATE": {"false", "off", "0"},
	"OWNER": {"current_user", "current_role", "session_user"},
}

func (c *CompileContext) createDatabase(s *ast.CreateDatabase, text string) (*Statement, error) {
	for i := range s.Options {
		o := &s.Options[i]
		same, ok := sameDatabase[o.Name]
		if !ok && o.Name != "STRATEGY" && o.Name != "OID" {
			return nil, placed(pgerr.New(pgerr.SyntaxError, `database option "%s" not recognized`, strings.ToLower(o.Name)), text, o)
		}
		if o.Value == "" || slices.Contains(same, strings.ToLower(o.Value)) || o.Name == "OWNER" && o.Value == c.Catalog.Role {
			continue
		}
		return nil, placed(pgerr.Unsupported(o.Name+" "+o.Value+" of a database"), text, o)
	}
	return &Statement{Kind: ChangeDatabase, Tag: "CREATE DATABASE",
		Database: &DatabaseSpec{Name: s.Name.Name, Position: ast.CharPosition(text, s.Name.Pos())}}, nil
}

func dropDatabase(s *ast.DropDatabase, text string) *Statement {
	return &Statement{Kind: ChangeDatabase, Tag: "DROP DATABASE", Database: &DatabaseSpec{Drop: true, Name: s.Name.Name,
		Position: ast.CharPosition(text, s.Name.Pos()), IfExists: s.IfExists, Force: s.Force}}
}
