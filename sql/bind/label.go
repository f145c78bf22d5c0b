package bind

import (
	"strings"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// noName is PostgreSQL's name of a column that has none.
const noName = "?column?"

// columnName is the name that PostgreSQL gives to the column of an expression.
func columnName(e ast.Expr) string {
	name, _ := nameOf(e)
	if name == "" {
		return noName
	}
	return name
}

// nameOf is a name and how good it is: 2 from a column or function, 1 from a type, which
// a better one replaces, 0 for none.
func nameOf(e ast.Expr) (string, int) {
	switch e := e.(type) {
	case *ast.Name:
		return e.Parts[len(e.Parts)-1].Name, 2
	case *ast.Call:
		return strings.ToLower(e.Func()), 2
	case *ast.Keyword:
		return e.Name, 2
	case *ast.Extract:
		return "extract", 2
	case *ast.AtTimeZone:
		return "timezone", 2
	case *ast.Subquery:
		if s, ok := e.Query.(*ast.Select); ok && len(s.Items) == 1 {
			if a := s.Items[0].Alias; a != nil {
				return a.Name, 2
			}
			return nameOf(s.Items[0].Expr)
		}
	case *ast.Array, *ast.ArrayQuery:
		return "array", 2
	case *ast.Row:
		return "row", 2
	case *ast.Exists:
		return "exists", 2
	case *ast.Field:
		if !e.Star {
			return e.Name.Name, 2
		}
	case *ast.Index:
		return nameOf(e.X)
	case *ast.Slice:
		return nameOf(e.X)
	case *ast.Collate:
		return nameOf(e.X)
	case *ast.Cast:
		if name, good := nameOf(e.X); good > 1 {
			return name, good
		}
		return typeLabel(&e.Type), 1
	case *ast.Typed:
		return typeLabel(&e.Type), 1
	case *ast.Case:
		if e.Else != nil {
			if name, good := nameOf(e.Else); good > 1 {
				return name, good
			}
		}
		return "case", 1
	}
	return "", 0
}

func typeLabel(n *ast.TypeName) string {
	if k, ok := typeNames[n.Name]; ok && !n.Quoted {
		if n.Name == "json" {
			return "json"
		}
		return catalogName(vec.T(k))
	}
	return n.Name
}
