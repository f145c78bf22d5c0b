package ast

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// dataStmt prints the statements about tables and their rows.
func (p *printer) dataStmt(s Stmt) {
	switch s := s.(type) {
	case *CreateTable:
		p.s("CREATE ")
		p.flag(s.Temp, "TEMP ")
		p.s("TABLE ")
		p.flag(s.IfNotExists, "IF NOT EXISTS ")
		p.name(s.Name)
		p.s(" (")
		p.list(len(s.Columns)+len(s.Constraints), func(i int) {
			if i < len(s.Columns) {
				p.columnSpec(&s.Columns[i])
				return
			}
			p.constraint(&s.Constraints[i-len(s.Columns)])
		})
		p.s(")")
		p.tableOptions(s.Options)
		p.onCommit(s.OnCommit)
	case *CreateTableAs:
		p.s("CREATE ")
		p.flag(s.Temp, "TEMP ")
		p.s("TABLE ")
		p.flag(s.IfNotExists, "IF NOT EXISTS ")
		p.name(s.Name)
		if len(s.Columns) > 0 {
			p.s(" (")
			p.idents(s.Columns)
			p.s(")")
		}
		p.tableOptions(s.Options)
		p.onCommit(s.OnCommit)
		p.s(" AS ")
		p.query(s.Query)
		p.flag(s.NoData, " WITH NO DATA")
	case *CreateView:
		p.s("CREATE ")
		p.flag(s.Replace, "OR REPLACE ")
		p.flag(s.Temp, "TEMP ")
		p.s("VIEW ")
		p.name(s.Name)
		if len(s.Columns) > 0 {
			p.s(" (")
			p.idents(s.Columns)
			p.s(")")
		}
		p.s(" AS ")
		p.query(s.Query)
	case *AlterTable:
		p.s("ALTER ")
		p.s(tableOrView(s.View))
		p.flag(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
		p.s(" ")
		p.list(len(s.Actions), func(i int) { p.alterAction(&s.Actions[i]) })
	case *DropTable:
		p.s("DROP ")
		p.s(tableOrView(s.View))
		p.flag(s.IfExists, "IF EXISTS ")
		p.list(len(s.Names), func(i int) { p.name(s.Names[i]) })
		p.flag(s.Cascade, " CASCADE")
	case *CreateSchema:
		p.s("CREATE SCHEMA")
		p.flag(s.IfNotExists, " IF NOT EXISTS")
		if s.Name != nil {
			p.s(" ")
			p.ident(*s.Name)
		}
		if s.Owner != nil {
			p.s(" AUTHORIZATION ")
			p.role(*s.Owner)
		}
		for _, e := range s.Elements {
			p.s(" ")
			p.dataStmt(e)
		}
	case *CreateSequence:
		p.s("CREATE TEMP SEQUENCE ")
		p.flag(s.IfNotExists, "IF NOT EXISTS ")
		p.name(s.Name)
		p.flag(s.Start != 1, " START "+strconv.FormatInt(s.Start, 10))
	case *AlterSequence:
		p.s("ALTER SEQUENCE ")
		p.flag(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
		p.given(" START ", s.Numbers.Start)
		p.flag(s.Numbers.Restart, " RESTART")
		p.given(" ", s.Numbers.With)
		if s.OwnedBy != nil {
			p.s(" OWNED BY ")
			p.name(s.OwnedBy)
		}
	case *DropSequence:
		p.s("DROP SEQUENCE ")
		p.flag(s.IfExists, "IF EXISTS ")
		p.list(len(s.Names), func(i int) { p.name(s.Names[i]) })
	case *AlterSchema:
		p.s("ALTER SCHEMA ")
		p.ident(s.Name)
		if s.Owner != nil {
			p.s(" OWNER TO ")
			p.role(*s.Owner)
			return
		}
		p.s(" RENAME TO ")
		p.ident(s.To)
	case *DropSchema:
		p.s("DROP SCHEMA ")
		p.flag(s.IfExists, "IF EXISTS ")
		p.idents(s.Names)
		p.flag(s.Cascade, " CASCADE")
	case *Comment:
		p.s("COMMENT ON " + s.What + " ")
		p.name(s.Name)
		p.s(" IS ")
		if s.Text == "" {
			p.s("NULL")
		} else {
			p.expr(&String{Value: s.Text}, 0)
		}
	case *Truncate:
		p.s("TRUNCATE ")
		p.list(len(s.Names), func(i int) { p.name(s.Names[i]) })
		p.flag(s.Restart, " RESTART IDENTITY")
	case *Copy:
		p.copy(s)
	case *Insert:
		p.withBefore(s.With)
		p.s("INSERT INTO ")
		p.target(s.Table)
		if len(s.Columns) > 0 {
			p.s(" (")
			p.idents(s.Columns)
			p.s(")")
		}
		p.s([...]string{"", " OVERRIDING SYSTEM VALUE", " OVERRIDING USER VALUE"}[s.Override])
		if s.Query == nil {
			p.s(" DEFAULT VALUES")
		} else {
			p.s(" ")
			p.query(s.Query)
		}
		p.returning(s.Returning)
	case *Update:
		p.withBefore(s.With)
		p.s("UPDATE ")
		p.target(s.Table)
		p.s(" SET ")
		p.list(len(s.Set), func(i int) {
			p.ident(s.Set[i].Column)
			if f := s.Set[i].Field; f != nil {
				p.s(".")
				p.ident(*f)
			}
			p.s(" = ")
			p.expr(s.Set[i].Value, 0)
		})
		p.tables(" FROM ", s.From)
		p.where(s.Where)
		p.returning(s.Returning)
	case *Delete:
		p.withBefore(s.With)
		p.s("DELETE FROM ")
		p.target(s.Table)
		p.tables(" USING ", s.Using)
		p.where(s.Where)
		p.returning(s.Returning)
	}
}

func (p *printer) withBefore(w *With) {
	if w != nil {
		p.with(w)
	}
}

func (p *printer) onCommit(o OnCommit) {
	p.s([...]string{"", " ON COMMIT DELETE ROWS", " ON COMMIT DROP"}[o])
}

func tableOrView(view bool) string {
	if view {
		return "VIEW "
	}
	return "TABLE "
}

func (p *printer) columnSpec(c *ColumnSpec) {
	p.ident(c.Name)
	p.s(" ")
	p.typeName(&c.Type)
	p.flag(c.NotNull, " NOT NULL")
	if c.Default != nil {
		p.s(" DEFAULT ")
		p.expr(c.Default, precIs+1)
	}
	if c.Identity != nil {
		p.s(" ")
		p.identity(c.Identity)
	}
	for i := range c.Constraints {
		p.s(" ")
		p.constraint(&c.Constraints[i])
	}
}

// identity prints GENERATED … AS IDENTITY.
func (p *printer) identity(x *Identity) {
	p.s("GENERATED ")
	p.s(identityWords[x.Kind])
	p.s(" AS IDENTITY")
	var options []string
	if x.Sequence != nil {
		options = append(options, "SEQUENCE NAME "+QuoteIdent(x.Sequence.Name))
	}
	if x.Start != nil {
		options = append(options, "START "+strconv.FormatInt(*x.Start, 10))
	}
	if options != nil {
		p.s(" (" + strings.Join(options, " ") + ")")
	}
}

// identityWords are the kinds of identity columns as SQL writes them.
var identityWords = map[string]string{"a": "ALWAYS", "d": "BY DEFAULT"}

// given prints a number behind a word, if there is one.
func (p *printer) given(word string, n *int64) {
	if n != nil {
		p.s(word + strconv.FormatInt(*n, 10))
	}
}

// constraint prints a constraint of a table, or, without columns, of the column before it.
func (p *printer) constraint(c *Constraint) {
	if c.Name != nil {
		p.s("CONSTRAINT ")
		p.ident(*c.Name)
		p.s(" ")
	}
	columns := func(list []Ident) {
		if list != nil {
			p.s(" (")
			p.idents(list)
			p.s(")")
		}
	}
	switch c.Kind {
	case PrimaryKey:
		p.s("PRIMARY KEY")
		columns(c.Columns)
	case Unique:
		p.s("UNIQUE")
		columns(c.Columns)
	case Check:
		p.s("CHECK (")
		p.expr(c.Expr, 0)
		p.s(")")
	case References:
		if c.Columns != nil {
			p.s("FOREIGN KEY")
			columns(c.Columns)
			p.s(" ")
		}
		p.s("REFERENCES ")
		p.name(c.Table.Name)
		columns(c.Of)
		p.flag(c.OnUpdate != "", " ON UPDATE "+ReferenceActions[c.OnUpdate])
		p.flag(c.OnDelete != "", " ON DELETE "+ReferenceActions[c.OnDelete])
	}
	p.flag(c.Deferrable, " DEFERRABLE")
	p.flag(c.Deferred, " INITIALLY DEFERRED")
}

// ReferenceActions are the actions of a foreign key as SQL writes them, by what pg_constraint has.
var ReferenceActions = map[string]string{"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

func (p *printer) tableOptions(list []TableOption) {
	if len(list) == 0 {
		return
	}
	p.s(" WITH (")
	p.list(len(list), func(i int) {
		p.ident(ID(list[i].Name))
		p.s(" = ")
		p.expr(&String{Value: list[i].Value}, 0)
	})
	p.s(")")
}

func (p *printer) alterAction(a *AlterAction) {
	switch a.Kind {
	case AddColumn:
		p.s("ADD COLUMN ")
		p.flag(a.Exists, "IF NOT EXISTS ")
		p.columnSpec(a.Column)
	case DropColumn:
		p.s("DROP COLUMN ")
		p.flag(a.Exists, "IF EXISTS ")
		p.ident(a.Name)
		p.flag(a.Cascade, " CASCADE")
	case RenameColumn:
		p.s("RENAME COLUMN ")
		p.ident(a.Name)
		p.s(" TO ")
		p.ident(a.To)
	case RenameTable:
		p.s("RENAME TO ")
		p.ident(a.To)
	case SetSchema:
		p.s("SET SCHEMA ")
		p.ident(a.To)
	case SetOwner:
		p.s("OWNER TO ")
		p.role(a.To)
	case AddConstraint:
		p.s("ADD ")
		p.constraint(a.Constraint)
	case DropConstraint:
		p.s("DROP CONSTRAINT ")
		p.flag(a.Exists, "IF EXISTS ")
		p.ident(a.Name)
		p.flag(a.Cascade, " CASCADE")
	default:
		p.s("ALTER COLUMN ")
		p.ident(a.Name)
		switch a.Kind {
		case SetDefault:
			p.s(" SET DEFAULT ")
			p.expr(a.Default, 0)
		case DropDefault:
			p.s(" DROP DEFAULT")
		case SetNotNull:
			p.s(" SET NOT NULL")
		case DropNotNull:
			p.s(" DROP NOT NULL")
		case SetType:
			p.s(" TYPE ")
			p.typeName(a.Type)
			if a.Using != nil {
				p.s(" USING ")
				p.expr(a.Using, 0)
			}
		case AddIdentity:
			p.s(" ADD ")
			p.identity(a.Identity)
		case SetIdentity:
			p.flag(a.Identity.Kind != "", " SET GENERATED "+identityWords[a.Identity.Kind])
			p.given(" SET START ", a.Identity.Start)
			p.flag(a.Identity.Restart, " RESTART")
			p.given(" ", a.Identity.With)
		case DropIdentity:
			p.s(" DROP IDENTITY")
			p.flag(a.Exists, " IF EXISTS")
		}
	}
}

// target prints the table that a statement changes.
func (p *printer) target(t *TableName) {
	p.name(t.Name)
	if t.Alias != nil {
		p.s(" AS ")
		p.ident(t.Alias.Name)
	}
}

func (p *printer) tables(word string, list []TableExpr) {
	if len(list) > 0 {
		p.s(word)
		p.list(len(list), func(i int) { p.table(list[i]) })
	}
}

func (p *printer) where(x Expr) {
	if x != nil {
		p.s(" WHERE ")
		p.expr(x, 0)
	}
}

func (p *printer) returning(items []SelectItem) {
	if len(items) > 0 {
		p.s(" RETURNING ")
		p.items(items)
	}
}

func (p *printer) copy(s *Copy) {
	p.s("COPY ")
	if s.Table != nil {
		p.target(s.Table)
		if len(s.Columns) > 0 {
			p.s(" (")
			p.idents(s.Columns)
			p.s(")")
		}
	} else {
		p.s("(")
		p.query(s.Query)
		p.s(")")
	}
	side, stream := " TO ", "STDOUT"
	if s.From {
		side, stream = " FROM ", "STDIN"
	}
	p.s(side)
	if s.File != nil {
		p.expr(s.File, 0)
	} else {
		p.s(stream)
	}
	p.copyOptions(s)
	p.where(s.Where)
}

func (p *printer) copyOptions(s *Copy) {
	if len(s.Options) == 0 {
		return
	}
	p.s(" WITH (")
	p.list(len(s.Options), func(i int) {
		o := &s.Options[i]
		name := bare(o.Name)
		if name == o.Name {
			name = strings.ToUpper(name)
		}
		p.s(name)
		switch {
		case o.All:
			p.s(" *")
		case o.Columns != nil:
			p.s(" (")
			p.idents(o.Columns)
			p.s(")")
		case o.Quoted:
			p.s(" ")
			p.expr(&String{Value: o.Value}, 0)
		case o.Value != "":
			p.s(" ")
			if whole, fraction, _ := strings.Cut(o.Value, "."); whole != "" && strings.Trim(whole+fraction, "0123456789") == "" {
				p.s(o.Value)
			} else {
				p.s(bare(o.Value))
			}
		}
	})
	p.s(")")
}

// bare is a word that is reserved nowhere as it is written: in quotes if it is no name in ASCII.
func bare(w string) string {
	if plainName(strings.ToLower(w)) && !strings.ContainsFunc(w, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return w
	}
	return `"` + strings.ReplaceAll(w, `"`, `""`) + `"`
}
