package ast

// CreateDatabase is CREATE DATABASE.
type CreateDatabase struct {
	Place
	Name    Ident
	Options []DatabaseOption
}

// DatabaseOption is one option of CREATE DATABASE. Name is in upper case; Value is empty for
// DEFAULT.
type DatabaseOption struct {
	Place
	Name, Value string
}

// DropDatabase is DROP DATABASE.
type DropDatabase struct {
	Place
	IfExists bool
	Name     Ident
	Force    bool
}

func (*CreateDatabase) stmt() {}
func (*DropDatabase) stmt()   {}

// databaseStmt prints the statements about databases.
func (p *printer) databaseStmt(s Stmt) {
	switch s := s.(type) {
	case *CreateDatabase:
		p.s("CREATE DATABASE ")
		p.ident(s.Name)
		for i := range s.Options {
			o := &s.Options[i]
			p.s(" ", o.Name, " = ")
			if o.Value == "" {
				p.s("DEFAULT")
			} else {
				p.s(QuoteString(o.Value))
			}
		}
	case *DropDatabase:
		p.s("DROP DATABASE ")
		p.flag(s.IfExists, "IF EXISTS ")
		p.ident(s.Name)
		p.flag(s.Force, " WITH (FORCE)")
	}
}
