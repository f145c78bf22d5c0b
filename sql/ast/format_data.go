package ast

import "strings"

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
		p.list(len(s.Columns)+len(s.Keys), func(i int) {
			if i < len(s.Columns) {
				p.columnSpec(&s.Columns[i])
				return
			}
			k := &s.Keys[i-len(s.Columns)]
			if k.Primary {
				p.s("PRIMARY KEY (")
			} else {
				p.s("UNIQUE (")
			}
			p.idents(k.Columns)
			p.s(")")
		})
		p.s(")")
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
	case *Truncate:
		p.s("TRUNCATE ")
		p.list(len(s.Names), func(i int) { p.name(s.Names[i]) })
	case *Copy:
		p.copy(s)
	case *Insert:
		p.s("INSERT INTO ")
		p.target(s.Table)
		if len(s.Columns) > 0 {
			p.s(" (")
			p.idents(s.Columns)
			p.s(")")
		}
		if s.Query == nil {
			p.s(" DEFAULT VALUES")
		} else {
			p.s(" ")
			p.query(s.Query)
		}
		p.returning(s.Returning)
	case *Update:
		p.s("UPDATE ")
		p.target(s.Table)
		p.s(" SET ")
		p.list(len(s.Set), func(i int) {
			p.ident(s.Set[i].Column)
			p.s(" = ")
			p.expr(s.Set[i].Value, 0)
		})
		p.tables(" FROM ", s.From)
		p.where(s.Where)
		p.returning(s.Returning)
	case *Delete:
		p.s("DELETE FROM ")
		p.target(s.Table)
		p.tables(" USING ", s.Using)
		p.where(s.Where)
		p.returning(s.Returning)
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
	p.flag(c.Primary, " PRIMARY KEY")
	p.flag(c.Unique, " UNIQUE")
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
	if len(s.Options) == 0 {
		return
	}
	p.s(" WITH (")
	p.list(len(s.Options), func(i int) {
		o := &s.Options[i]
		p.s(strings.ToUpper(o.Name))
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
			p.s(" " + o.Value)
		}
	})
	p.s(")")
}
