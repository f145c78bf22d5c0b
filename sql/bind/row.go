package bind

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// rowNamed is the relation whose whole row a name means; nil if it means anything else.
func (b *binder) rowNamed(n *ast.Name, sc *scope) *relation {
	if len(n.Parts) != 1 || sc.rel.find(n.Parts[0].Name) != -1 || sc.aliases[n.Parts[0].Name] != nil {
		return nil
	}
	if rel := sc.rel.named(n.Parts[0].Name); rel != nil && !rel.value {
		return rel
	}
	return nil
}

// starred is the relation of t.* outside of a select list; nil after an error.
func (b *binder) starred(e *ast.Star, sc *scope) *relation {
	name := e.Table[len(e.Table)-1].Name
	for ; sc != nil; sc = sc.outer {
		if rel := sc.rel.named(name); rel != nil {
			return rel
		}
	}
	b.fail(pgerr.New(pgerr.UndefinedTable, `missing FROM-clause entry for table "%s"`, name), e.Pos())
	return nil
}

// wholeRow is a relation's row as one value.
func (b *binder) wholeRow(rel *relation, pos ast.Pos) expr.Expr {
	if rel.value {
		return b.column(rel, 0, pos)
	}
	fields := make([]expr.Expr, len(rel.fields))
	for i := range rel.fields {
		fields[i] = b.column(rel, i, pos)
	}
	row := b.rowOf(fields, rel.fields, pos)
	if !rel.extended || b.err != nil {
		return row
	}
	return &expr.Case{Whens: []expr.When{{Cond: b.absent(rel, fields, pos), Result: null(row.Type())}}, Else: row, T: row.Type()}
}

// absent says whether an outer join had no row of the relation: a row of a table has the number of
// the table, and of any other some column that is not NULL.
func (b *binder) absent(rel *relation, fields []expr.Expr, pos ast.Pos) expr.Expr {
	if table := b.tableOID(rel, plan.TableOID, pos); table != nil && rel.oid == 0 {
		return &expr.IsNull{E: table}
	}
	nulls := make([]expr.Expr, len(fields))
	for i, f := range fields {
		nulls[i] = &expr.IsNull{E: f}
	}
	return allOf(nulls)
}

// rowOf is a row of fields, whose shape its type tells by its modifier.
func (b *binder) rowOf(fields []expr.Expr, shape vec.Schema, pos ast.Pos) expr.Expr {
	e := b.call("row", fields, pos)
	if c, ok := e.(*expr.Call); ok {
		o := *c.Overload
		o.Result = b.shape(shape)
		return expr.NewCall(&o, c.Args)
	}
	return e
}

// shape is the type of rows with certain columns.
func (b *binder) shape(columns vec.Schema) vec.Type {
	for i, s := range b.shapes {
		if slices.Equal(s, columns) {
			return vec.Type{Kind: vec.Record, Mod: int32(i + 1)}
		}
	}
	b.shapes = append(b.shapes, columns)
	return vec.Type{Kind: vec.Record, Mod: int32(len(b.shapes))}
}

// isRow says whether the value of an expression is a row of which the columns are known.
func isRow(e expr.Expr) bool {
	t := e.Type()
	return t.Kind == vec.Record && !t.Array && t.Mod > 0
}

// rowCall is a row that is made where it stands: its fields are there, and it is not null. It is
// false for any other expression.
func rowCall(e expr.Expr) ([]expr.Expr, bool) {
	c, ok := e.(*expr.Call)
	if !ok || c.Overload.Fn.Name != "row" {
		return nil, false
	}
	return c.Args, true
}

// fields are the columns of a row, each as a value.
func (b *binder) fields(row expr.Expr, pos ast.Pos) []expr.Expr {
	if list, ok := rowCall(row); ok {
		return list
	}
	columns := b.shapes[row.Type().Mod-1]
	out := make([]expr.Expr, len(columns))
	b.copied(row, len(columns), pos)
	for i, c := range columns {
		out[i] = b.fieldAt(row, i, c.Type, pos)
	}
	return out
}

// fieldAt takes a field out of a row by its place.
func (b *binder) fieldAt(row expr.Expr, at int, t vec.Type, pos ast.Pos) expr.Expr {
	text := b.call("field", []expr.Expr{row, intConst(int64(at), vec.T(vec.Int4))}, pos)
	return b.cast(text, t, pos, true, false)
}

// rowsAsValues compares two rows that are values, by their first fields that differ. Other than in
// ROW(…) = ROW(…), fields that are NULL are equal, and greater than others.
func (b *binder) rowsAsValues(op string, l, r expr.Expr, pos ast.Pos) expr.Expr {
	left, right := b.fields(l, pos), b.fields(r, pos)
	if len(left) != len(right) {
		return b.fail(pgerr.New(pgerr.DatatypeMismatch, "cannot compare record types with different numbers of columns"), pos)
	}
	equal := make([]expr.Expr, len(left))
	for i := range left {
		if lt, rt := firstKnown(left[i].Type()), firstKnown(right[i].Type()); lt.Kind != rt.Kind || lt.Array != rt.Array {
			return b.fail(pgerr.New(pgerr.DatatypeMismatch, "cannot compare dissimilar column types %s and %s at record column %d", lt, rt, i+1), pos)
		}
		equal[i] = b.sameField(left[i], right[i], pos)
	}
	var out expr.Expr
	switch op {
	case "=":
		out = allOf(equal)
	case "<>", "!=":
		out = &expr.Not{E: allOf(equal)}
	default:
		out = boolConst(len(op) > 1) // of rows that are equal
		for i := len(left) - 1; i >= 0; i-- {
			b.copied(left[i], 2, pos)
			b.copied(right[i], 2, pos)
			null := right[i]
			if op[0] == '>' {
				null = left[i]
			}
			before := &expr.Coalesce{Args: []expr.Expr{b.operator(op[:1], left[i], right[i], pos), &expr.IsNull{E: null}}, T: vec.T(vec.Bool)}
			out = &expr.Case{Whens: []expr.When{{Cond: equal[i], Result: out}}, Else: before, T: vec.T(vec.Bool)}
		}
	}
	for _, x := range []expr.Expr{l, r} {
		if _, made := rowCall(x); !made {
			out = &expr.Case{Whens: []expr.When{{Cond: &expr.IsNull{E: x}, Result: null(vec.T(vec.Bool))}}, Else: out, T: vec.T(vec.Bool)}
		}
	}
	return out
}

// sameField says whether two fields of rows are equal, or both NULL.
func (b *binder) sameField(l, r expr.Expr, pos ast.Pos) expr.Expr {
	if isRow(l) && isRow(r) {
		return b.rowsAsValues("=", l, r, pos)
	}
	both, _ := b.comparable(l, r, pos)
	return &expr.IsDistinct{Left: both[0], Right: both[1], Not: true}
}

// rowsOfQuery compares a row with the one row of a query; with flipped, the query stands first.
func (b *binder) rowsOfQuery(op string, row *ast.Row, q *ast.Subquery, flipped bool, sc *scope, pos ast.Pos) expr.Expr {
	xs := make([]expr.Expr, len(row.Elems))
	for i, x := range row.Elems {
		xs[i] = b.expr(x, sc)
	}
	node := b.queryIn(q.Query, sc)
	if b.sameWidth(len(xs), node, q.Pos()); b.err != nil {
		return null(vec.T(vec.Bool))
	}
	columns := make([]expr.Expr, len(xs))
	for i, f := range node.Schema() {
		columns[i] = &expr.Column{Index: i, T: f.Type, Name: f.Name}
	}
	one := b.rowOf(columns, node.Schema(), pos)
	node = &plan.Project{Input: node, Exprs: []expr.Expr{one}, Names: []string{"row"}}
	var value expr.Expr
	if b.depends(node) {
		value = b.scalarValue(node, sc, pos)
	} else {
		value = b.sub(node, plan.ScalarSub, one.Type())
	}
	if b.err != nil {
		return null(vec.T(vec.Bool))
	}
	if fields := b.fields(value, pos); flipped {
		return b.rowsBound(op, fields, xs, pos)
	} else {
		return b.rowsBound(op, xs, fields, pos)
	}
}

// rowsBound compares the fields of two rows.
func (b *binder) rowsBound(op string, left, right []expr.Expr, pos ast.Pos) expr.Expr {
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		if b.err != nil || len(left) == 0 {
			return null(vec.T(vec.Bool))
		}
		return b.ordered(strings.Replace(op, "!=", "<>", 1), left, right, pos)
	}
	return b.fail(pgerr.New(pgerr.FeatureNotSupported, "could not determine interpretation of row comparison operator %s", op), pos)
}

// fieldOf takes a field out of a row.
func (b *binder) fieldOf(row expr.Expr, name ast.Ident) expr.Expr {
	columns := b.shapes[row.Type().Mod-1]
	at := columns.Index(name.Name)
	if at < 0 {
		return b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" not found in data type record`, name.Name), name.Pos())
	}
	return b.fieldAt(row, at, columns[at].Type, name.Pos())
}

// jsonOfRows are the functions that make an object of a row.
var jsonOfRows = []string{"row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg"}

// jsonValues are the functions that take values to be made JSON: every argument, or every second.
var jsonValues = map[string]int{
	"json_build_array": 1, "jsonb_build_array": 1, "json_build_object": 2, "jsonb_build_object": 2, "row_to_json": 2, "row_to_json\n": 2,
}

// rowToJSON gives a function that makes an object of a whole row the names of its columns, with
// their values: it knows no rows that have names.
func (b *binder) rowToJSON(e *ast.Call, sc *scope) *ast.Call {
	if !slices.Contains(jsonOfRows, e.Func()) || len(e.Args) == 0 {
		return e
	}
	object := &ast.Call{Place: e.Place, Name: []ast.Ident{{Place: e.Place, Name: "row_to_json"}}}
	switch x := e.Args[0].Value.(type) {
	case *ast.Name:
		var rel *relation
		if sc.rel != nil {
			rel = b.rowNamed(x, sc)
		}
		if rel == nil || rel.extended {
			return e // such a row is a value
		}
		for _, f := range rel.fields {
			column := &ast.Name{Place: x.Place, Parts: []ast.Ident{x.Parts[0], {Place: x.Place, Name: f.Name, Quoted: true}}}
			object.Args = append(object.Args, ast.Arg{Value: &ast.String{Place: x.Place, Value: f.Name}}, ast.Arg{Value: column})
		}
	case *ast.Row:
		for i, f := range x.Elems {
			name := &ast.String{Place: x.Place, Value: "f" + strconv.Itoa(i+1)}
			object.Args = append(object.Args, ast.Arg{Value: name}, ast.Arg{Value: f})
		}
	default:
		return e
	}
	if e.Func() == "row_to_json" && len(e.Args) == 2 {
		// The second argument says whether the members stand in lines of their own.
		pretty, ok := e.Args[1].Value.(*ast.Bool)
		if !ok {
			b.unsupported("row_to_json with a second argument that is not true or false", e.Args[1].Pos())
			return e
		}
		if pretty.Value {
			object.Name[0].Name = "row_to_json\n"
		}
	}
	if e.Func() == "row_to_json" || e.Func() == "to_json" {
		return object
	}
	out := *e
	out.Args = slices.Clone(e.Args)
	// jsonb is kept in an order of its own.
	out.Args[0].Value = &ast.Cast{Place: e.Place, X: object, Type: ast.TypeName{Place: e.Place, Name: "jsonb"}}
	return &out
}

// jsonOfRow is an object of a row that is a value, by the names of its columns; NULL of no row.
func (b *binder) jsonOfRow(row expr.Expr, pos ast.Pos) expr.Expr {
	var args []expr.Expr
	for i, f := range b.fields(row, pos) {
		if isRow(f) {
			f = b.jsonOfRow(f, pos)
		}
		args = append(args, textConst(b.shapes[row.Type().Mod-1][i].Name, vec.T(vec.Text)), f)
	}
	object := b.call("row_to_json", args, pos)
	if _, made := rowCall(row); made {
		return object
	}
	t := object.Type()
	return &expr.Case{Whens: []expr.When{{Cond: &expr.IsNull{E: row}, Result: null(t)}}, Else: object, T: t}
}
