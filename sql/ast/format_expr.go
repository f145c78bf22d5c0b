package ast

import (
	"encoding/hex"
	"strings"
)

// exprPrec is how tightly the outermost operator of x binds.
func exprPrec(x Expr) int {
	switch x := x.(type) {
	case *Logic:
		if x.Or {
			return precOr
		}
		return precAnd
	case *Not:
		return precNot
	case *Is, *IsDistinct:
		return precIs
	case *Between, *In, *InCohort, *Like:
		return precLike
	case *Binary:
		return opPrec(x.Op)
	case *Quantified:
		return opPrec(x.Op)
	case *Unary:
		if x.Op == "-" || x.Op == "+" {
			return precSign
		}
		return precOther
	case *AtTimeZone:
		return precZone
	case *Collate:
		return precCollate
	case *Cast, *Index, *Slice, *Field:
		return precPostfix
	}
	return precPrimary
}

func opPrec(op string) int {
	switch op {
	case "<", ">", "=", "<=", ">=", "<>":
		return precCompare
	case "+", "-":
		return precAdd
	case "*", "/", "%":
		return precMul
	case "^":
		return precPower
	}
	return precOther
}

// expr prints x, in parentheses when it binds less tightly than min, or when all operators are to
// have some.
func (p *printer) expr(x Expr, min int) {
	prec := exprPrec(x)
	if prec < min || p.full && prec < precPostfix {
		p.s("(")
		p.bare(x)
		p.s(")")
		return
	}
	p.bare(x)
}

// word prints a word that catalogs show in small letters.
func (p *printer) word(s string) {
	if p.full {
		s = strings.ToLower(s)
	}
	p.s(s)
}

// not is the word before IN, LIKE and BETWEEN.
func not(on bool) string {
	if on {
		return " NOT"
	}
	return ""
}

func (p *printer) bare(x Expr) {
	switch x := x.(type) {
	case *Name:
		p.name(x.Parts)
	case *Star:
		p.star(x)
	case *Columns:
		p.s("COLUMNS(", QuoteString(x.Regex), ")")
	case *Number:
		p.s(x.Text)
	case *String:
		p.s(QuoteString(x.Value))
	case *Bytes:
		p.s("X'", hex.EncodeToString([]byte(x.Value)), "'")
	case *Null:
		p.s("NULL")
	case *Bool:
		p.word(map[bool]string{true: "TRUE", false: "FALSE"}[x.Value])
	case *Param:
		p.s("$")
		p.n(x.Index)
	case *Default:
		p.s("DEFAULT")
	case *Typed:
		p.typed(x)
	case *Unary:
		p.unary(x)
	case *Binary:
		prec := opPrec(x.Op)
		left := prec
		if prec == precCompare {
			left++
		}
		p.expr(x.Left, left)
		p.s(" ", x.Op, " ")
		p.expr(x.Right, prec+1)
	case *Not:
		p.s("NOT ")
		p.expr(x.X, precNot)
	case *Logic:
		prec, word := precAnd, " AND "
		if x.Or {
			prec, word = precOr, " OR "
		}
		for i, a := range x.Args {
			if i > 0 {
				p.s(word)
			}
			p.expr(a, prec+1)
		}
	case *Is:
		p.expr(x.X, precIs+1)
		p.s(" IS", not(x.Not), []string{" NULL", " TRUE", " FALSE", " UNKNOWN"}[x.Kind])
	case *IsDistinct:
		p.expr(x.Left, precIs+1)
		p.s(" IS", not(x.Not), " DISTINCT FROM ")
		p.expr(x.Right, precIs+1)
	case *Between:
		p.expr(x.X, precLike+1)
		p.s(not(x.Not), " BETWEEN ")
		p.flag(x.Symmetric, "SYMMETRIC ")
		p.expr(x.Low, precLike+1)
		p.s(" AND ")
		p.expr(x.High, precLike+1)
	case *In:
		p.in(x)
	case *InCohort:
		p.expr(x.X, precLike+1)
		p.s(not(x.Not), " IN COHORT ")
		if _, op := x.Set.(*CohortOp); op {
			p.s("(")
			p.cohort(x.Set, 0)
			p.s(")")
			return
		}
		p.cohort(x.Set, 0)
	case *Like:
		p.like(x)
	case *Quantified:
		prec := opPrec(x.Op)
		if prec == precCompare {
			prec++
		}
		p.expr(x.X, prec)
		p.s(" ", x.Op, quantifier(x.Quantifier))
		if x.Query != nil {
			p.paren(" ", x.Query)
			return
		}
		p.s(" (")
		p.expr(x.Array, 0)
		p.s(")")
	case *Case:
		p.caseExpr(x)
	case *Cast:
		_, literal := x.X.(*String)
		c, again := x.X.(*Cast)
		switch {
		case p.full && !literal:
			p.s("(")
			p.expr(x.X, 0)
			p.s(")")
		case again:
			p.expr(c, precPostfix)
		default:
			p.operand(x.X)
		}
		p.s("::")
		p.flag(x.Try, "?")
		p.typeName(&x.Type)
	case *Call:
		p.call(x)
	case *Keyword:
		p.s(strings.ToUpper(x.Name))
		if x.Precision >= 0 && strings.Contains(x.Name, "time") {
			p.s("(")
			p.n(x.Precision)
			p.s(")")
		}
	case *Index:
		p.operand(x.X)
		p.s("[")
		p.expr(x.I, 0)
		p.s("]")
	case *Slice:
		p.operand(x.X)
		p.s("[")
		if x.Low != nil {
			p.expr(x.Low, 0)
		}
		p.s(":")
		if x.High != nil {
			p.expr(x.High, 0)
		}
		p.s("]")
	case *Field:
		p.field(x)
	case *Array:
		p.s("ARRAY[")
		p.exprs(x.Elems)
		p.s("]")
	case *ArrayQuery:
		p.paren("ARRAY", x.Query)
	case *Row:
		p.flag(x.Explicit || len(x.Elems) < 2, "ROW")
		p.s("(")
		p.exprs(x.Elems)
		p.s(")")
	case *Exists:
		p.paren("EXISTS ", x.Query)
	case *Subquery:
		p.paren("", x.Query)
	case *AtTimeZone:
		p.expr(x.X, precZone)
		p.s(" AT TIME ZONE ")
		p.expr(x.Zone, precZone+1)
	case *Collate:
		p.expr(x.X, precCollate)
		p.s(" COLLATE ")
		p.name(x.Name)
	case *Extract:
		p.s("EXTRACT(")
		if plainName(x.Field) {
			p.s(x.Field)
		} else {
			p.s(QuoteString(x.Field))
		}
		p.s(" FROM ")
		p.expr(x.X, 0)
		p.s(")")
	}
}

// operand prints what a cast or a subscript is appended to. A cast before a
// bracket would become an array type.
func (p *printer) operand(x Expr) {
	switch x.(type) {
	case *Cast, *Typed, *Star, *Default:
		p.s("(")
		p.bare(x)
		p.s(")")
		return
	}
	p.expr(x, precPostfix)
}

func (p *printer) field(x *Field) {
	switch x.X.(type) {
	case *Index, *Slice, *Field, *Call, *Param:
		p.bare(x.X)
	case *Row, *Subquery:
		p.s("(")
		p.bare(x.X)
		p.s(")")
	default:
		p.s("(")
		p.expr(x.X, 0)
		p.s(")")
	}
	p.s(".")
	if x.Star {
		p.s("*")
		return
	}
	id := x.Name
	if !id.Quoted && strings.HasPrefix(id.Name, "$") && plainName(id.Name[1:]) {
		p.s(id.Name)
		return
	}
	p.ident(id)
}

func (p *printer) star(x *Star) {
	if len(x.Table) > 0 {
		p.name(x.Table)
		p.s(".")
	}
	p.s("*")
	if len(x.Exclude) > 0 {
		p.s(" EXCLUDE (")
		p.idents(x.Exclude)
		p.s(")")
	}
	if len(x.Replace) > 0 {
		p.s(" REPLACE (")
		p.items(x.Replace)
		p.s(")")
	}
}

func (p *printer) unary(x *Unary) {
	inner := printer{full: p.full}
	prec := precSign
	if x.Op != "-" && x.Op != "+" {
		prec = precOther
	}
	inner.expr(x.X, prec)
	text := inner.b.String()
	p.s(x.Op)
	if x.Op != "-" && x.Op != "+" || strings.IndexByte("+-*/<>=~!@#%^&|?`", text[0]) >= 0 {
		p.s(" ")
	}
	p.s(text)
}

func (p *printer) in(x *In) {
	p.expr(x.X, precLike+1)
	p.s(not(x.Not), " IN ")
	if x.Query != nil {
		p.paren("", x.Query)
		return
	}
	p.s("(")
	p.exprs(x.List)
	if _, query := x.List[0].(*Subquery); query && len(x.List) == 1 {
		p.s(",") // or it would be the query form
	}
	p.s(")")
}

func quantifier(q Quantifier) string { return []string{"", " ANY", " ALL"}[q] }

func (p *printer) like(x *Like) {
	p.expr(x.X, precLike+1)
	p.s(not(x.Not), []string{" LIKE", " ILIKE", " SIMILAR TO"}[x.Kind], quantifier(x.Quantifier), " ")
	if x.Quantifier != NoQuantifier {
		if q, ok := x.Pattern.(*Subquery); ok {
			p.paren("", q.Query)
			return
		}
		p.s("(")
		p.expr(x.Pattern, 0)
		p.s(")")
		return
	}
	p.expr(x.Pattern, precLike+1)
	if x.Escape != nil {
		p.s(" ESCAPE ")
		p.expr(x.Escape, precLike+1)
	}
}

func (p *printer) caseExpr(x *Case) {
	p.s("CASE")
	if x.Operand != nil {
		p.s(" ")
		p.expr(x.Operand, 0)
	}
	for _, w := range x.Whens {
		p.s(" WHEN ")
		p.expr(w.Cond, 0)
		p.s(" THEN ")
		p.expr(w.Result, 0)
	}
	if x.Else != nil {
		p.s(" ELSE ")
		p.expr(x.Else, 0)
	}
	p.s(" END")
}

func (p *printer) call(x *Call) {
	p.funcName(x.Name)
	p.s("(")
	p.flag(x.Star, "*")
	p.flag(x.Distinct, "DISTINCT ")
	// position(a IN b) is another thing than position((a IN b)).
	first := 0
	if len(x.Name) == 1 && x.Name[0].Name == "position" {
		first = precLike + 1
	}
	p.list(len(x.Args), func(i int) {
		a := &x.Args[i]
		p.flag(a.Variadic, "VARIADIC ")
		if a.Name != nil {
			p.ident(*a.Name)
			p.s(" => ")
		}
		if i > 0 {
			first = 0
		}
		p.expr(a.Value, first)
	})
	if len(x.OrderBy) > 0 {
		p.s(" ORDER BY ")
		p.orderItems(x.OrderBy)
	}
	p.s(")")
	if len(x.WithinGroup) > 0 {
		p.s(" WITHIN GROUP (ORDER BY ")
		p.orderItems(x.WithinGroup)
		p.s(")")
	}
	if x.Filter != nil {
		p.s(" FILTER (WHERE ")
		p.expr(x.Filter, 0)
		p.s(")")
	}
	p.flag(x.IgnoreNulls, " IGNORE NULLS")
	if x.Over != nil {
		p.s(" OVER ")
		p.window(x.Over)
	}
}

func (p *printer) window(w *WindowSpec) {
	if w.Ref != nil {
		p.ident(*w.Ref)
		return
	}
	p.s("(")
	space := ""
	if w.Base != nil {
		switch w.Base.Name {
		case "rows", "range", "groups", "partition":
			p.s(`"`, w.Base.Name, `"`)
		default:
			p.ident(*w.Base)
		}
		space = " "
	}
	if len(w.Partition) > 0 {
		p.s(space, "PARTITION BY ")
		p.exprs(w.Partition)
		space = " "
	}
	if len(w.OrderBy) > 0 {
		p.s(space, "ORDER BY ")
		p.orderItems(w.OrderBy)
		space = " "
	}
	if f := w.Frame; f != nil {
		p.s(space, []string{"RANGE", "ROWS", "GROUPS"}[f.Mode], " BETWEEN ")
		p.bound(f.Start)
		p.s(" AND ")
		p.bound(f.End)
		p.s([]string{"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"}[f.Exclude])
	}
	p.s(")")
}

func (p *printer) bound(b FrameBound) {
	switch b.Kind {
	case UnboundedPreceding:
		p.s("UNBOUNDED PRECEDING")
	case UnboundedFollowing:
		p.s("UNBOUNDED FOLLOWING")
	case CurrentRow:
		p.s("CURRENT ROW")
	case OffsetPreceding:
		p.expr(b.Offset, precOther)
		p.s(" PRECEDING")
	case OffsetFollowing:
		p.expr(b.Offset, precOther)
		p.s(" FOLLOWING")
	}
}

// typed prints TYPE 'value'. The fields of an interval follow the value.
func (p *printer) typed(x *Typed) {
	t := x.Type
	if t.Fields == "" && p.full {
		p.s(QuoteString(x.Value), "::")
		p.typeName(&t)
		return
	}
	if t.Fields == "" {
		p.typeName(&t)
		p.s(" ", QuoteString(x.Value))
		return
	}
	p.s("INTERVAL ", QuoteString(x.Value), " ", strings.ToUpper(t.Fields))
	p.mods(t.Mods)
}

func (p *printer) typeName(t *TypeName) {
	if t.Schema != "" {
		p.s(QuoteIdent(t.Schema), ".")
	}
	switch {
	case t.Quoted:
		p.s(`"`, strings.ReplaceAll(t.Name, `"`, `""`), `"`)
	case t.Name == "double precision":
		p.s(t.Name)
	case t.Schema == "" && t.Name == "interval":
		p.word("INTERVAL")
		if t.Fields != "" {
			p.s(" ", strings.ToUpper(t.Fields))
		}
	default:
		p.s(QuoteIdent(t.Name))
	}
	p.mods(t.Mods)
	for i := 0; i < t.Array; i++ {
		p.s("[]")
	}
}

func (p *printer) mods(mods []int) {
	if len(mods) == 0 {
		return
	}
	p.s("(")
	p.list(len(mods), func(i int) { p.n(mods[i]) })
	p.s(")")
}

// cohort prints a cohort set; operations that bind less tightly than min stand
// in parentheses.
func (p *printer) cohort(c CohortSet, min int) {
	switch c := c.(type) {
	case *CohortName:
		switch {
		case c.ID > 0:
			p.n(c.ID)
		case c.Param != nil:
			p.s("$")
			p.n(c.Param.Index)
		case len(c.Name) > MaxNameBytes: // a name of a cohort may be longer than one of SQL
			p.s(QuoteString(c.Name))
		default:
			p.s(QuoteIdent(c.Name))
		}
	case *CohortQuery:
		var inner printer
		inner.query(c.Query)
		text := inner.b.String()
		if text[0] == '(' {
			// What begins with two parentheses is sets put together.
			text = "SELECT * FROM (" + text + ")"
		}
		p.s("(", text, ")")
	case *CohortOp:
		prec := setPrec(c.Op)
		if prec < min {
			p.s("(")
		}
		p.cohort(c.Left, prec)
		p.s([]string{" UNION ", " INTERSECT ", " EXCEPT "}[c.Op])
		p.cohort(c.Right, prec+1)
		if prec < min {
			p.s(")")
		}
	}
}
