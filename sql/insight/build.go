package insight

import (
	"strconv"
	"time"

	"github.com/prickledb/prickle/sql/ast"
)

// The functions of this file make trees; a nil condition is one that every row satisfies.

func id(name string) ast.Ident { return ast.ID(name) }

// ident is a name that is taken as it is, never as a keyword.
func ident(name string) ast.Ident { return ast.Ident{Name: name, Quoted: true} }

// column is a dotted name: properties.$browser.
func column(parts ...string) ast.Expr {
	n := &ast.Name{}
	for i, p := range parts {
		if i == 0 {
			n.Parts = append(n.Parts, id(p))
		} else {
			n.Parts = append(n.Parts, ident(p))
		}
	}
	return n
}

func text(s string) ast.Expr { return &ast.String{Value: s} }

func integer(n int) ast.Expr { return number(float64(n)) }

// number is a literal that reads back to the same double.
func number(f float64) ast.Expr {
	if f < 0 {
		return &ast.Unary{Op: "-", X: number(-f)}
	}
	return &ast.Number{Text: strconv.FormatFloat(f, 'f', -1, 64)}
}

func boolean(b bool) ast.Expr { return &ast.Bool{Value: b} }

func binary(op string, l, r ast.Expr) ast.Expr { return &ast.Binary{Op: op, Left: l, Right: r} }

func equal(l, r ast.Expr) ast.Expr { return binary("=", l, r) }

func call(name string, args ...ast.Expr) ast.Expr {
	c := &ast.Call{Name: []ast.Ident{id(name)}}
	for _, a := range args {
		c.Args = append(c.Args, ast.Arg{Value: a})
	}
	return c
}

func countAll() ast.Expr { return &ast.Call{Name: []ast.Ident{id("count")}, Star: true} }

func countDistinct(e ast.Expr) ast.Expr {
	return &ast.Call{Name: []ast.Ident{id("count")}, Args: []ast.Arg{{Value: e}}, Distinct: true}
}

// cast converts to a type, NULL where that fails.
func cast(e ast.Expr, to string) ast.Expr {
	return &ast.Cast{X: e, Type: ast.TypeName{Name: to}, Try: true}
}

// and joins conditions; nil ones are left out, and so are constants that change nothing.
func and(conds ...ast.Expr) ast.Expr { return logic(false, conds) }

func or(conds ...ast.Expr) ast.Expr { return logic(true, conds) }

func logic(isOr bool, conds []ast.Expr) ast.Expr {
	var args []ast.Expr
	for _, c := range conds {
		if c == nil {
			if isOr {
				return nil
			}
			continue
		}
		if l, ok := c.(*ast.Logic); ok && l.Or == isOr {
			args = append(args, l.Args...)
			continue
		}
		args = append(args, c)
	}
	switch {
	case len(args) == 1:
		return args[0]
	case len(args) > 1:
		return &ast.Logic{Or: isOr, Args: args}
	case isOr && len(conds) == 0:
		return boolean(false)
	}
	return nil
}

// always is a condition where the grammar wants one.
func always(c ast.Expr) ast.Expr {
	if c == nil {
		return boolean(true)
	}
	return c
}

// not is the opposite of a condition that may be NULL: what is not true.
func not(c ast.Expr) ast.Expr {
	if c == nil {
		return boolean(false)
	}
	return &ast.Not{X: orElse(c, boolean(false))}
}

// orElse is c, or other where c is NULL.
func orElse(c, other ast.Expr) ast.Expr { return call("coalesce", c, other) }

// keepsNull is a condition that holds where it would be NULL.
func keepsNull(c ast.Expr) ast.Expr { return orElse(c, boolean(true)) }

func isNull(e ast.Expr) ast.Expr    { return &ast.Is{X: e, Kind: ast.IsNull} }
func isNotNull(e ast.Expr) ast.Expr { return &ast.Is{X: e, Kind: ast.IsNull, Not: true} }

func in(e ast.Expr, list []ast.Expr) ast.Expr {
	if len(list) == 1 {
		return equal(e, list[0])
	}
	return &ast.In{X: e, List: list}
}

// choose is CASE WHEN cond THEN yes ELSE no END.
func choose(cond, yes, no ast.Expr) ast.Expr {
	return &ast.Case{Whens: []ast.When{{Cond: cond, Result: yes}}, Else: no}
}

// interval is n units: INTERVAL '14 days'.
func interval(n int64, unit string) ast.Expr {
	s := strconv.FormatInt(n, 10) + " " + unit
	if n != 1 {
		s += "s"
	}
	return &ast.Typed{Type: ast.TypeName{Name: "interval"}, Value: s}
}

// instant is a timestamptz literal.
func instant(t time.Time) ast.Expr {
	return &ast.Typed{Type: ast.TypeName{Name: "timestamptz"}, Value: t.UTC().Format("2006-01-02 15:04:05.999999+00")}
}

// during is from the first instant up to and including the last one.
func during(first, last time.Time) *ast.During {
	return &ast.During{From: instant(first), To: instant(last.Add(time.Microsecond))}
}

func item(e ast.Expr, name string) ast.SelectItem {
	if name == "" {
		return ast.SelectItem{Expr: e}
	}
	alias := id(name)
	return ast.SelectItem{Expr: e, Alias: &alias}
}

// all is SELECT * FROM t.
func all(t ast.TableExpr) *ast.Select {
	return &ast.Select{Items: []ast.SelectItem{{Expr: &ast.Star{}}}, From: []ast.TableExpr{t}}
}

func table(name string) ast.TableExpr { return &ast.TableName{Name: []ast.Ident{id(name)}} }

// derived is a query in FROM.
func derived(q ast.Query, name string) ast.TableExpr {
	return &ast.Derived{Query: q, Alias: &ast.Alias{Name: id(name)}}
}

// inCohort is whether a person is in a set.
func inCohort(person ast.Expr, set ast.CohortSet) ast.Expr {
	return &ast.InCohort{X: person, Set: set}
}
