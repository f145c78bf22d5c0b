package bind

import (
	"strconv"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/sql/ast"
)

// An aggregate in a subquery belongs to the query around if that is where all columns of its
// arguments are. The rows that the subquery is joined with are then groups, which a query below
// has to make:
//
//	SELECT k, (SELECT count(*) FROM u WHERE u.x > max(t.x)) FROM t GROUP BY k
//
// is
//
//	SELECT "key 1" AS k, (SELECT count(*) FROM u WHERE u.x > "aggregate 1")
//	FROM (SELECT k AS "key 1", max(t.x) AS "aggregate 1" FROM t GROUP BY k)
//
// Such an aggregate is known by columns that are named with their table. It has to be known
// before anything is bound.

// groupsTable is the name of the query below.
const groupsTable = "groups of the query"

// overGroups is a query as one over its groups, if an aggregate in one of its subqueries belongs to
// it; else nil.
func (b *binder) overGroups(q *ast.Select) *ast.Select {
	own := tableNames(q.From)
	var lifted []*ast.Call
	for _, x := range aboveGroups(q) {
		lifted = append(lifted, b.liftedCalls(x, own)...)
	}
	if len(lifted) == 0 || q.GroupBy != nil && (q.GroupBy.All || q.GroupBy.Distinct) {
		return nil
	}
	below := &ast.Select{Place: q.Place, From: q.From, Where: q.Where, GroupBy: q.GroupBy}
	column := func(kind string, x ast.Expr) *ast.Name {
		name := ast.Ident{Place: ast.At(x.Pos()), Name: kind + " " + strconv.Itoa(len(below.Items)+1), Quoted: true}
		below.Items = append(below.Items, ast.SelectItem{Place: ast.At(x.Pos()), Expr: x, Alias: &name})
		return &ast.Name{Place: name.Place, Parts: []ast.Ident{{Place: name.Place, Name: groupsTable, Quoted: true}, name}}
	}
	keys := map[string]*ast.Name{}
	if q.GroupBy != nil {
		for _, it := range q.GroupBy.Items {
			n, ok := it.Expr.(*ast.Name)
			if it.Kind != ast.GroupExpr || !ok || len(n.Parts) == 1 && aliasOf(q, n.Parts[0].Name) {
				return nil // numbers, aliases and sets would not mean the same below
			}
			key := column("key", n)
			keys[ast.Format(n)] = key
			if len(own) > 1 {
				continue
			}
			name := n.Parts[len(n.Parts)-1]
			keys[ast.FormatName([]ast.Ident{name})] = key
			for table := range own {
				keys[ast.FormatName([]ast.Ident{{Name: table}, name})] = key
			}
		}
	}
	for _, x := range aboveGroups(q) {
		if ungrouped(x, keys, q) {
			return nil // which is an error, and found as one
		}
	}
	if b.instead == nil {
		b.instead = map[ast.Expr]ast.Expr{}
	}
	aggregates := map[string]*ast.Name{}
	aggregate := func(c *ast.Call) {
		text := ast.Format(c)
		if aggregates[text] == nil {
			moved := *c // itself, it means the column
			aggregates[text] = column("aggregate", &moved)
		}
		b.instead[c] = aggregates[text]
	}
	for _, c := range lifted {
		aggregate(c)
	}
	var replace func(n ast.Node, within bool)
	replace = func(n ast.Node, within bool) {
		ast.Walk(n, func(x ast.Node) bool {
			switch x := x.(type) {
			case *ast.Call:
				switch {
				case b.instead[x] != nil:
					return false
				case !within && x.Over == nil && agg.IsAggregate(x.Func()):
					aggregate(x)
					return false
				}
			case *ast.Name: // in a subquery only one with its table is certain to be of this query
				if key := keys[ast.Format(x)]; key != nil && (!within || len(x.Parts) > 1) {
					b.instead[x] = key
				}
			case ast.Query:
				if !within {
					replace(x, true)
					return false
				}
			}
			return true
		})
	}
	for _, x := range aboveGroups(q) {
		replace(x, false)
	}
	above := *q
	above.From = []ast.TableExpr{&ast.Derived{Place: q.Place, Query: below, Alias: &ast.Alias{Place: q.Place, Name: ast.Ident{Place: q.Place, Name: groupsTable}}}}
	above.Where, above.GroupBy, above.Having = q.Having, nil, nil
	return &above
}

// ungrouped says whether an expression reads a column that is no key, outside of aggregates and
// subqueries.
func ungrouped(n ast.Node, keys map[string]*ast.Name, q *ast.Select) bool {
	found := false
	ast.Walk(n, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.Call:
			return x.Over != nil || !agg.IsAggregate(x.Func())
		case ast.Query:
			return false
		case *ast.Name:
			alias := len(x.Parts) == 1 && aliasOf(q, x.Parts[0].Name)
			found = found || keys[ast.Format(x)] == nil && !alias
		}
		return !found
	})
	return found
}

// aboveGroups is what of a query is computed of its groups.
func aboveGroups(q *ast.Select) []ast.Node {
	var out []ast.Node
	for _, it := range q.Items {
		out = append(out, it.Expr)
	}
	if q.Having != nil {
		out = append(out, q.Having)
	}
	if q.Qualify != nil {
		out = append(out, q.Qualify)
	}
	for _, o := range q.OrderBy {
		if o.Expr != nil {
			out = append(out, o.Expr)
		}
	}
	return out
}

// aliasOf says whether an item of a query has the alias.
func aliasOf(q *ast.Select, name string) bool {
	for _, it := range q.Items {
		if it.Alias != nil && it.Alias.Name == name {
			return true
		}
	}
	return false
}

// maxLooked bounds how much of a statement is looked through for aggregates of queries around:
// each query looks through the subqueries of its subqueries.
const maxLooked = 4 << 20

// liftedCalls are the aggregates in the subqueries of an expression whose columns are all of the
// tables of the query around.
func (b *binder) liftedCalls(n ast.Node, own map[string]bool) []*ast.Call {
	var out []*ast.Call
	ast.Walk(n, func(x ast.Node) bool {
		q, ok := x.(ast.Query)
		if !ok {
			return true
		}
		hidden := map[string]bool{} // by a table of that name in the subquery
		ast.Walk(q, func(x ast.Node) bool {
			if b.looked++; b.looked > maxLooked {
				return false
			}
			if t, ok := x.(ast.TableExpr); ok {
				for name := range tableNames([]ast.TableExpr{t}) {
					hidden[name] = true
				}
			}
			return true
		})
		if b.looked > maxLooked {
			return false
		}
		ast.Walk(q, func(x ast.Node) bool {
			c, ok := x.(*ast.Call)
			if !ok || c.Over != nil || !agg.IsAggregate(c.Func()) {
				return true
			}
			names, outside := 0, 0
			ast.Walk(c, func(x ast.Node) bool {
				if n, ok := x.(*ast.Name); ok {
					if names++; len(n.Parts) == 2 && own[n.Parts[0].Name] && !hidden[n.Parts[0].Name] {
						outside++
					}
				}
				return true
			})
			if names > 0 && names == outside {
				out = append(out, c)
				return false
			}
			return true
		})
		return false
	})
	return out
}

// tableNames are the names that the elements of FROM are known by.
func tableNames(from []ast.TableExpr) map[string]bool {
	out := map[string]bool{}
	named := func(a *ast.Alias, otherwise string) {
		if a != nil && a.Name.Name != "" {
			otherwise = a.Name.Name
		}
		if otherwise != "" {
			out[otherwise] = true
		}
	}
	for _, t := range from {
		switch t := t.(type) {
		case *ast.TableName:
			named(t.Alias, t.Name[len(t.Name)-1].Name)
		case *ast.Derived:
			named(t.Alias, "")
		case *ast.FuncTable:
			named(t.Alias, columnName(t.Calls[0].Call))
		case *ast.Join:
			named(t.Alias, "")
			for name := range tableNames([]ast.TableExpr{t.Left, t.Right}) {
				out[name] = true
			}
		}
	}
	return out
}
