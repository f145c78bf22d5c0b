package insight

import (
	"strings"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
)

// condition compiles a boolean expression that a client wrote; NULL is false.
func (c *compiler) condition(src, attr string) (ast.Expr, error) {
	e, err := c.expression(src, attr)
	if err != nil {
		return nil, err
	}
	if f, ok := e.(*ast.Call); ok && f.Func() == "coalesce" && len(f.Args) > 0 {
		if _, ok := f.Args[len(f.Args)-1].Value.(*ast.Bool); ok { // a comparison, which is never NULL
			return e, nil
		}
	}
	return orElse(e, boolean(false)), nil
}

// expression compiles an expression that a client wrote, in the dialect of the product
// whose insights these are: == for equality, count() for count(*), if() and its like, and
// comparisons that are false of NULL, or true where they are negated.
func (c *compiler) expression(src, attr string) (ast.Expr, error) {
	plain := withoutAlias(singleEquals(src))
	e, err := parse.Expr(plain)
	if err != nil {
		return nil, refuse(attr, "the expression %q is not valid: %v", src, err)
	}
	return c.dialect(e, attr)
}

// singleEquals writes == as =, and count() as count(*), outside of quotes.
func singleEquals(src string) string {
	var b strings.Builder
	for i := 0; i < len(src); i++ {
		ch := src[i]
		if ch == '\'' || ch == '"' {
			end := i + 1
			for end < len(src) && src[end] != ch {
				if src[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(src))
			quoted := src[i:end]
			if ch == '\'' && strings.Contains(quoted, `\`) { // there, a backslash escapes
				quoted = "E" + quoted
			}
			b.WriteString(quoted)
			i = end - 1
			continue
		}
		if ch == '=' && i+1 < len(src) && src[i+1] == '=' {
			i++
		}
		b.WriteByte(ch)
	}
	return b.String()
}

// withoutAlias drops AS name at the end.
func withoutAlias(src string) string {
	words := strings.Fields(src)
	if n := len(words); n > 2 && strings.EqualFold(words[n-2], "as") && !strings.ContainsAny(words[n-1], "()'\"") {
		at := strings.LastIndex(src, words[n-1])
		at = strings.LastIndex(strings.ToLower(src[:at]), "as")
		return src[:at]
	}
	return src
}

// dialect rewrites what differs from our SQL.
func (c *compiler) dialect(e ast.Expr, attr string) (ast.Expr, error) {
	var failed error
	var walk func(ast.Expr) ast.Expr
	list := func(in []ast.Expr) []ast.Expr {
		out := make([]ast.Expr, len(in))
		for i, x := range in {
			out[i] = walk(x)
		}
		return out
	}
	walk = func(e ast.Expr) ast.Expr {
		switch e := e.(type) {
		case nil:
			return nil
		case *ast.Name:
			return c.dialectName(e)
		case *ast.Binary:
			out := *e
			out.Left, out.Right = walk(e.Left), walk(e.Right)
			switch e.Op {
			case "<>":
				return keepsNull(&out)
			case "=", "<", "<=", ">", ">=":
				return orElse(&out, boolean(false))
			}
			if e.Op == "/" || e.Op == "%" { // by zero: NULL
				out.Left, out.Right = asFloat(out.Left), call("nullif", asFloat(out.Right), integer(0))
			}
			return &out
		case *ast.Unary:
			out := *e
			out.X = walk(e.X)
			return &out
		case *ast.Not:
			return &ast.Not{Place: e.Place, X: walk(e.X)}
		case *ast.Logic:
			out := *e
			out.Args = list(e.Args)
			return &out
		case *ast.Is:
			out := *e
			out.X = walk(e.X)
			return &out
		case *ast.Between:
			out := *e
			out.X, out.Low, out.High = walk(e.X), walk(e.Low), walk(e.High)
			if out.Not {
				return keepsNull(&out)
			}
			return orElse(&out, boolean(false))
		case *ast.In:
			if e.Query != nil {
				failed = refuse(attr, "an expression of an insight cannot hold a query")
				return e
			}
			out := *e
			out.X, out.List = walk(e.X), list(e.List)
			if e.Not {
				return keepsNull(&out)
			}
			return orElse(&out, boolean(false))
		case *ast.Like:
			out := *e
			out.X, out.Pattern = walk(e.X), walk(e.Pattern)
			if e.Not {
				return keepsNull(&out)
			}
			return orElse(&out, boolean(false))
		case *ast.Case:
			out := *e
			out.Operand, out.Else = walk(e.Operand), walk(e.Else)
			out.Whens = nil
			for _, w := range e.Whens {
				out.Whens = append(out.Whens, ast.When{Cond: walk(w.Cond), Result: walk(w.Result)})
			}
			return &out
		case *ast.Cast:
			out := *e
			out.X = walk(e.X)
			return &out
		case *ast.Call:
			return c.dialectCall(e, walk, list)
		case *ast.Subquery, *ast.Exists, *ast.ArrayQuery:
			failed = refuse(attr, "an expression of an insight cannot hold a query")
		}
		return e
	}
	out := walk(e)
	return out, failed
}

func asFloat(e ast.Expr) ast.Expr {
	return &ast.Cast{X: e, Type: ast.TypeName{Name: "float8"}, Try: true}
}

// dialectName is a name without the prefix e., and with the alias of events, if there is one.
func (c *compiler) dialectName(n *ast.Name) ast.Expr {
	parts := n.Parts
	if len(parts) > 1 && (parts[0].Name == "e" || parts[0].Name == "events") {
		parts = parts[1:]
	}
	if c.onPersons && len(parts) > 1 && parts[0].Name == "person" {
		parts = parts[1:]
	}
	if c.alias != "" {
		parts = append([]ast.Ident{id(c.alias)}, parts...)
	}
	return &ast.Name{Place: n.Place, Parts: parts}
}

// dialectCall rewrites functions.
func (c *compiler) dialectCall(f *ast.Call, walk func(ast.Expr) ast.Expr, list func([]ast.Expr) []ast.Expr) ast.Expr {
	var args []ast.Expr
	for _, a := range f.Args {
		args = append(args, walk(a.Value))
	}
	out := *f
	out.Filter = walk(f.Filter)
	out.Args = nil
	for i := range args {
		a := f.Args[i]
		a.Value = args[i]
		out.Args = append(out.Args, a)
	}
	name := strings.ToLower(f.Func())
	switch {
	case name == "count" && len(args) == 0:
		out.Star = true
	case name == "uniq" || name == "uniqexact":
		out.Name, out.Distinct = []ast.Ident{id("count")}, true
	case name == "countif" && len(args) == 1:
		out.Name, out.Args, out.Star, out.Filter = []ast.Ident{id("count")}, nil, true, args[0]
	case (name == "sumif" || name == "avgif" || name == "minif" || name == "maxif" || name == "uniqif") && len(args) == 2:
		out.Name, out.Args, out.Filter = []ast.Ident{id(strings.TrimSuffix(name, "if"))}, []ast.Arg{{Value: args[0]}}, args[1]
		if name == "uniqif" {
			out.Name, out.Distinct = []ast.Ident{id("count")}, true
		}
	case name == "if" && len(args) == 3:
		return choose(args[0], args[1], args[2])
	case name == "ifnull":
		out.Name = []ast.Ident{id("coalesce")}
	case name == "tostring" && len(args) == 1:
		return &ast.Cast{X: args[0], Type: ast.TypeName{Name: "text"}}
	case (name == "tofloat" || name == "tofloat64" || name == "tofloatornull") && len(args) == 1:
		return asFloat(args[0])
	case (name == "toint" || name == "toint64" || name == "tointornull") && len(args) == 1:
		return &ast.Cast{X: args[0], Type: ast.TypeName{Name: "int8"}, Try: true}
	case name == "concat" && len(args) > 0: // NULL if any part is
		e := &ast.Cast{X: args[0], Type: ast.TypeName{Name: "text"}}
		var joined ast.Expr = e
		for _, a := range args[1:] {
			joined = binary("||", joined, &ast.Cast{X: a, Type: ast.TypeName{Name: "text"}})
		}
		return joined
	case (name == "sum" || name == "avg" || name == "min" || name == "max") && len(args) == 1 && !f.Distinct:
		out.Args = []ast.Arg{{Value: asFloat(args[0])}} // a property that no event has yet is text
	}
	return &out
}
