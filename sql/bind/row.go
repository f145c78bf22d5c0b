package bind

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// rowNamed is the relation whose whole row a name means; nil if it means anything else.
func (b *binder) rowNamed(n *ast.Name, sc *scope) *relation {
	if len(n.Parts) != 1 || sc.rel.find(n.Parts[0].Name) != -1 || sc.aliases[n.Parts[0].Name] != nil {
		return nil
	}
	return sc.rel.named(n.Parts[0].Name)
}

// wholeRow is a relation's row as one value.
func (b *binder) wholeRow(rel *relation, pos ast.Pos) expr.Expr {
	fields := make([]expr.Expr, len(rel.fields))
	for i := range rel.fields {
		fields[i] = b.column(rel, i, pos)
	}
	return b.rowOf(fields, rel.fields, pos)
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
	b.shapes = append(b.shapes, columns)
	return vec.Type{Kind: vec.Record, Mod: int32(len(b.shapes))}
}

// fieldOf takes a field out of a row.
func (b *binder) fieldOf(row expr.Expr, name ast.Ident) expr.Expr {
	columns := b.shapes[row.Type().Mod-1]
	at := columns.Index(name.Name)
	if at < 0 {
		return b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" not found in data type record`, name.Name), name.Pos())
	}
	text := b.call("field", []expr.Expr{row, intConst(int64(at), vec.T(vec.Int4))}, name.Pos())
	return b.cast(text, columns[at].Type, name.Pos(), true, false)
}

// jsonOfRows are the functions that make an object of a row.
var jsonOfRows = []string{"row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg"}

// rowToJSON gives a function that makes an object of a whole row the names of its columns, with
// their values: it knows no rows that have names.
func (b *binder) rowToJSON(e *ast.Call, sc *scope) *ast.Call {
	if !slices.Contains(jsonOfRows, e.Func()) || len(e.Args) == 0 || sc.rel == nil {
		return e
	}
	n, ok := e.Args[0].Value.(*ast.Name)
	if !ok {
		return e
	}
	rel := b.rowNamed(n, sc)
	if rel == nil {
		return e
	}
	object := &ast.Call{Place: e.Place, Name: []ast.Ident{{Place: e.Place, Name: "row_to_json"}}}
	for _, f := range rel.fields {
		column := &ast.Name{Place: n.Place, Parts: []ast.Ident{n.Parts[0], {Place: n.Place, Name: f.Name, Quoted: true}}}
		object.Args = append(object.Args, ast.Arg{Value: &ast.String{Place: n.Place, Value: f.Name}}, ast.Arg{Value: column})
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
