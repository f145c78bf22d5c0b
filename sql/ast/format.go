package ast

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format prints n as canonical SQL on one line: keywords in capitals, aliases
// with AS, parentheses only where the tree needs them. Parsing the text gives an
// equal tree. n is a Stmt, an Expr, a TableExpr, a CohortSet or a *TypeName.
func Format(n Node) string {
	var p printer
	switch n := n.(type) {
	case Stmt:
		p.stmt(n)
	case Expr:
		p.expr(n, 0)
	case TableExpr:
		p.table(n)
	case CohortSet:
		p.cohort(n, 0)
	case *TypeName:
		p.typeName(n)
	}
	return p.b.String()
}

// FormatFull is Format of an expression as catalogs show it to programs: each operator with its
// operands is in parentheses.
func FormatFull(x Expr) string {
	p := printer{full: true}
	p.expr(x, 0)
	return p.b.String()
}

// FormatName prints a dotted name with the quotes it needs.
func FormatName(parts []Ident) string {
	var p printer
	p.name(parts)
	return p.b.String()
}

// QuoteIdent gives name as an identifier, in quotes when it needs them.
func QuoteIdent(name string) string {
	if !plainName(name) || ReservedWord(name) {
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return name
}

// MaxNameBytes is where PostgreSQL cuts identifiers.
const MaxNameBytes = 63

// QuoteString gives s as a string literal.
func QuoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// plainName says whether an unquoted name folds to itself.
func plainName(s string) bool {
	for i, r := range s {
		switch {
		case r == '_' || r >= 'a' && r <= 'z':
		case i > 0 && (r >= '0' && r <= '9' || r == '$'):
		case r >= utf8.RuneSelf && !unicode.IsSpace(r) && !unicode.IsControl(r):
		default:
			return false
		}
	}
	return s != ""
}

// ReservedWord says whether name must be quoted to be a column or table name.
// The parser has the same list.
func ReservedWord(name string) bool { return reserved[name] }

var reserved = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`all analyse analyze and any array as asc asymmetric both case cast
		check collate column constraint create current_catalog current_date current_role current_time
		current_timestamp current_user default deferrable desc distinct do else end except false fetch
		for foreign from grant group having in initially intersect into lateral leading limit localtime
		localtimestamp not null offset on only or order placing primary references returning select
		session_user some symmetric table then to trailing true union unique user using variadic when
		where window with
		authorization binary collation concurrently cross current_schema freeze full ilike inner is
		isnull join left like natural notnull outer overlaps right similar tablesample verbose`) {
		m[w] = true
	}
	return m
}()

// Precedences of the grammar, loosest first; the parser has the same ladder.
const (
	precOr = iota + 1
	precAnd
	precNot
	precIs
	precCompare
	precLike
	precOther
	precAdd
	precMul
	precPower
	precZone
	precCollate
	precSign
	precPostfix
	precPrimary
)

type printer struct {
	b    strings.Builder
	full bool // as FormatFull prints
}

func (p *printer) s(parts ...string) {
	for _, x := range parts {
		p.b.WriteString(x)
	}
}

func (p *printer) n(n int) { p.b.WriteString(strconv.Itoa(n)) }

func (p *printer) ident(id Ident) {
	if id.Quoted && id.Name != "" {
		p.s(`"`, strings.ReplaceAll(id.Name, `"`, `""`), `"`)
		return
	}
	p.s(QuoteIdent(id.Name))
}

// name prints a dotted name. After a point a name may begin with $.
func (p *printer) name(parts []Ident) {
	for i, id := range parts {
		if i > 0 {
			p.s(".")
			if !id.Quoted && strings.HasPrefix(id.Name, "$") && plainName(id.Name[1:]) {
				p.s(id.Name)
				continue
			}
		}
		p.ident(id)
	}
}

// funcName prints the name of a function, which may be a word that is reserved
// elsewhere, but not one that begins an expression of its own.
func (p *printer) funcName(parts []Ident) {
	if len(parts) == 1 && !parts[0].Quoted {
		switch name := parts[0].Name; name {
		case "left", "right", "overlaps", "current_schema":
			p.s(name)
			return
		case "exists", "row", "try_cast", "extract":
			p.s(`"`, name, `"`)
			return
		}
	}
	p.name(parts)
}

func (p *printer) idents(ids []Ident) {
	for i, id := range ids {
		if i > 0 {
			p.s(", ")
		}
		p.ident(id)
	}
}

func (p *printer) exprs(list []Expr) {
	for i, x := range list {
		if i > 0 {
			p.s(", ")
		}
		p.expr(x, 0)
	}
}

// list prints n elements with commas between them.
func (p *printer) list(n int, elem func(i int)) {
	for i := 0; i < n; i++ {
		if i > 0 {
			p.s(", ")
		}
		elem(i)
	}
}

func (p *printer) items(items []SelectItem) {
	p.list(len(items), func(i int) {
		p.expr(items[i].Expr, 0)
		if items[i].Alias != nil {
			p.s(" AS ")
			p.ident(*items[i].Alias)
		}
	})
}

func (p *printer) stmt(s Stmt) {
	switch s := s.(type) {
	case Query:
		p.query(s)
	case *Explain:
		p.explain(s)
	case *Set:
		p.s("SET ")
		p.s([]string{"", "SESSION ", "LOCAL "}[s.Scope])
		p.setting(s.Name)
		p.s(" TO ")
		if s.Default {
			p.s("DEFAULT")
			return
		}
		p.exprs(s.Values)
	case *SetTransaction:
		p.s("SET ")
		if s.Session {
			p.s("SESSION CHARACTERISTICS AS ")
		}
		p.s("TRANSACTION")
		p.modes(s.Modes)
	case *Show:
		p.s("SHOW ")
		p.settingOrAll(s.Name, s.All)
	case *Reset:
		p.s("RESET ")
		p.settingOrAll(s.Name, s.All)
	case *Discard:
		p.s("DISCARD ", strings.ToUpper(s.What))
	case *Begin:
		if s.Start {
			p.s("START TRANSACTION")
		} else {
			p.s("BEGIN")
		}
		p.modes(s.Modes)
	case *Commit:
		p.s("COMMIT")
		p.flag(s.Chain, " AND CHAIN")
	case *Rollback:
		p.s("ROLLBACK")
		p.flag(s.Chain, " AND CHAIN")
	case *Savepoint:
		p.s("SAVEPOINT ")
		p.ident(s.Name)
	case *Release:
		p.s("RELEASE SAVEPOINT ")
		p.ident(s.Name)
	case *RollbackTo:
		p.s("ROLLBACK TO SAVEPOINT ")
		p.ident(s.Name)
	case *Prepare:
		p.s("PREPARE ")
		p.ident(s.Name)
		if len(s.Types) > 0 {
			p.s(" (")
			p.list(len(s.Types), func(i int) { p.typeName(&s.Types[i]) })
			p.s(")")
		}
		p.s(" AS ")
		p.stmt(s.Stmt)
	case *Execute:
		p.s("EXECUTE ")
		p.ident(s.Name)
		if len(s.Args) > 0 {
			p.s(" (")
			p.exprs(s.Args)
			p.s(")")
		}
	case *Deallocate:
		p.s("DEALLOCATE ")
		if s.All {
			p.s("ALL")
			return
		}
		p.ident(s.Name)
	case *CreateCohort:
		p.s("CREATE ")
		p.flag(s.Replace, "OR REPLACE ")
		p.s("COHORT ")
		p.ident(s.Name)
		p.s(" AS ")
		p.query(s.Query)
		p.flag(s.Static, " WITH (STATIC)")
		if s.Refresh != nil {
			p.s(" WITH (REFRESH ")
			p.expr(s.Refresh, 0)
			p.s(")")
		}
	case *RefreshCohort:
		p.s("REFRESH COHORT ")
		p.ident(s.Name)
	case *RenameCohort:
		p.s("ALTER COHORT ")
		p.ident(s.Name)
		p.s(" RENAME TO ")
		p.ident(s.To)
	case *DropCohort:
		p.s("DROP COHORT ")
		p.flag(s.IfExists, "IF EXISTS ")
		p.ident(s.Name)
	case *NoEffect:
		p.s(s.Text)
	case *Unsupported:
		p.s(s.Text)
	case *Shorthand:
		p.shorthand(s)
	case *RoleStmt, *DropRole, *Grant, *GrantRole, *ReassignOwned:
		p.roleStmt(s)
	case *CreateDatabase, *DropDatabase:
		p.databaseStmt(s)
	case *DeclareCursor, *FetchCursor, *CloseCursor:
		p.cursorStmt(s)
	default:
		p.dataStmt(s)
	}
}

func (p *printer) flag(on bool, text string) {
	if on {
		p.s(text)
	}
}

// setting prints the name of a setting, whose parts may be any words.
func (p *printer) setting(name string) {
	for _, part := range strings.Split(name, ".") {
		if !plainName(part) {
			p.s(`"`, strings.ReplaceAll(name, `"`, `""`), `"`)
			return
		}
	}
	p.s(name)
}

func (p *printer) settingOrAll(name string, all bool) {
	switch {
	case all:
		p.s("ALL")
	case name == "all":
		p.s(`"all"`)
	default:
		p.setting(name)
	}
}

func (p *printer) modes(m TransactionModes) {
	if m.Isolation != "" {
		p.s(" ISOLATION LEVEL ", strings.ToUpper(m.Isolation))
	}
	if m.ReadOnly != nil {
		p.flag(*m.ReadOnly, " READ ONLY")
		p.flag(!*m.ReadOnly, " READ WRITE")
	}
	if m.Deferrable != nil {
		p.flag(*m.Deferrable, " DEFERRABLE")
		p.flag(!*m.Deferrable, " NOT DEFERRABLE")
	}
}

func (p *printer) explain(e *Explain) {
	p.s("EXPLAIN ")
	var options []string
	if e.Analyze {
		options = append(options, "ANALYZE")
	}
	if e.Verbose {
		options = append(options, "VERBOSE")
	}
	for _, o := range e.Options {
		text := strings.ToUpper(o.Name)
		if o.Value != "" {
			text += " " + QuoteString(o.Value)
		}
		options = append(options, text)
	}
	if e.Format != "" {
		options = append(options, "FORMAT "+strings.ToUpper(e.Format))
	}
	if options != nil {
		p.s("(", strings.Join(options, ", "), ") ")
	}
	p.stmt(e.Stmt)
}

func (p *printer) query(q Query) {
	tail := q.Tail()
	if tail.With != nil {
		p.with(tail.With)
	}
	switch q := q.(type) {
	case *Select:
		p.selectBlock(q)
	case *Values:
		p.s("VALUES ")
		p.list(len(q.Rows), func(i int) {
			p.s("(")
			p.exprs(q.Rows[i])
			p.s(")")
		})
	case *SetOp:
		p.setOperand(q.Left, setPrec(q.Op), false)
		p.s([]string{" UNION", " INTERSECT", " EXCEPT"}[q.Op])
		p.flag(q.All, " ALL")
		p.flag(q.ByName, " BY NAME")
		p.s(" ")
		p.setOperand(q.Right, setPrec(q.Op), true)
	}
	p.tail(tail)
}

func setPrec(op SetOpKind) int {
	if op == Intersect {
		return 2
	}
	return 1
}

func (p *printer) setOperand(q Query, prec int, right bool) {
	tail := q.Tail()
	paren := tail.With != nil || len(tail.OrderBy) > 0 || tail.Limit != nil || tail.Offset != nil || tail.Locking != nil
	if s, ok := q.(*SetOp); ok {
		inner := setPrec(s.Op)
		paren = paren || inner < prec || right && inner == prec
	}
	if paren {
		p.s("(")
	}
	p.query(q)
	if paren {
		p.s(")")
	}
}

func (p *printer) with(w *With) {
	p.s("WITH ")
	p.flag(w.Recursive, "RECURSIVE ")
	p.list(len(w.CTEs), func(i int) {
		c := &w.CTEs[i]
		p.ident(c.Name)
		if len(c.Columns) > 0 {
			p.s(" (")
			p.idents(c.Columns)
			p.s(")")
		}
		p.s(" AS ", []string{"", "MATERIALIZED ", "NOT MATERIALIZED "}[c.Materialized], "(")
		if c.Change != nil {
			p.stmt(c.Change)
		} else {
			p.query(c.Query)
		}
		p.s(")")
	})
	p.s(" ")
}

func (p *printer) tail(t *QueryTail) {
	if len(t.OrderBy) > 0 {
		p.s(" ORDER BY ")
		p.orderItems(t.OrderBy)
	}
	if t.Limit != nil && !t.WithTies {
		p.s(" LIMIT ")
		p.expr(t.Limit, 0)
	}
	if t.Offset != nil {
		p.s(" OFFSET ")
		p.expr(t.Offset, 0)
	}
	if t.Limit != nil && t.WithTies {
		p.s(" FETCH FIRST ")
		p.expr(t.Limit, precAdd)
		p.s(" ROWS WITH TIES")
	}
	if t.Locking != nil {
		p.s(" FOR ", t.Locking.Strength)
	}
}

func (p *printer) orderItems(items []OrderItem) {
	p.list(len(items), func(i int) {
		o := &items[i]
		if o.All {
			p.s("ALL")
		} else {
			p.expr(o.Expr, 0)
		}
		p.flag(o.Desc, " DESC")
		p.s([]string{"", " NULLS FIRST", " NULLS LAST"}[o.Nulls])
	})
}

func (p *printer) selectBlock(s *Select) {
	p.s("SELECT")
	if s.Distinct {
		p.s(" DISTINCT")
		if len(s.DistinctOn) > 0 {
			p.s(" ON (")
			p.exprs(s.DistinctOn)
			p.s(")")
		}
	}
	if len(s.Items) > 0 {
		p.s(" ")
		p.items(s.Items)
	}
	if s.Into != nil {
		p.s(" INTO ")
		p.flag(s.Into.Temp, "TEMP ")
		p.name(s.Into.Name)
	}
	if len(s.From) > 0 {
		p.s(" FROM ")
		p.list(len(s.From), func(i int) { p.table(s.From[i]) })
	}
	if s.Where != nil {
		p.s(" WHERE ")
		p.expr(s.Where, 0)
	}
	if s.GroupBy != nil {
		p.s(" GROUP BY ")
		if s.GroupBy.All {
			p.s("ALL")
		} else {
			p.flag(s.GroupBy.Distinct, "DISTINCT ")
			p.groupItems(s.GroupBy.Items)
		}
	}
	if s.Having != nil {
		p.s(" HAVING ")
		p.expr(s.Having, 0)
	}
	if len(s.Windows) > 0 {
		p.s(" WINDOW ")
		p.list(len(s.Windows), func(i int) {
			p.ident(s.Windows[i].Name)
			p.s(" AS ")
			p.window(s.Windows[i].Spec)
		})
	}
	if s.Qualify != nil {
		p.s(" QUALIFY ")
		p.expr(s.Qualify, 0)
	}
}

func (p *printer) groupItems(items []GroupItem) {
	p.list(len(items), func(i int) {
		g := &items[i]
		if g.Kind == GroupExpr {
			if r, ok := g.Expr.(*Row); ok && len(r.Elems) == 0 {
				p.s("()")
				return
			}
			p.expr(g.Expr, 0)
			return
		}
		p.s([]string{"", "ROLLUP (", "CUBE (", "GROUPING SETS ("}[g.Kind])
		p.groupItems(g.Items)
		p.s(")")
	})
}

func (p *printer) paren(open string, q Query) {
	p.s(open, "(")
	p.query(q)
	p.s(")")
}
