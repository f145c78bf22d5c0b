package bind

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// fileFunctions are the functions that read files, by the form of those.
var fileFunctions = map[string]format.Kind{"read_csv": format.CSV, "read_csv_auto": format.CSV, "read_json": format.JSONL,
	"read_json_auto": format.JSONL, "read_ndjson": format.JSONL, "read_parquet": format.Parquet}

func isFileFunction(name string) bool {
	_, ok := fileFunctions[name]
	return ok
}

// fileTable binds read_csv('name', header => true) and its like: rows of files, whose columns
// are found by looking into the first of them.
func (b *binder) fileTable(call *ast.Call, alias *ast.Alias) *relation {
	empty := &relation{node: &plan.Values{}}
	name := call.Func()
	o := format.Defaults(fileFunctions[name])
	file, headerGiven := "", false
	for i, a := range call.Args {
		key, value := "", a.Value
		if a.Name != nil {
			key = a.Name.Name
		} else if eq, ok := value.(*ast.Binary); ok && eq.Op == "=" { // header = true
			if n, ok := eq.Left.(*ast.Name); ok && len(n.Parts) == 1 {
				key, value = n.Parts[0].Name, eq.Right
			}
		}
		v := b.value(value, &scope{clause: "FROM"})
		c, ok := v.(*expr.Const)
		if b.err != nil {
			return empty
		}
		if !ok || c.Value.IsNull(0) {
			b.fail(pgerr.New(pgerr.InvalidParameterValue, "the arguments of %s must be literals", name), value.Pos())
			return empty
		}
		text := string(expr.AppendText(nil, c.Value, 0, b.env.Expr))
		if key == "" && i == 0 {
			file = text
			continue
		}
		single := func(into *byte) {
			if len(text) != 1 {
				b.fail(pgerr.New(pgerr.InvalidParameterValue, "%s of %s must be a single one-byte character", key, name), value.Pos())
				return
			}
			*into = text[0]
		}
		switch csv := o.Kind == format.CSV; {
		case csv && key == "header":
			headerGiven = true
			switch strings.ToLower(text) {
			case "t", "true", "1":
				o.Header = true
			case "f", "false", "0":
			default:
				b.fail(pgerr.New(pgerr.InvalidParameterValue, "header of %s must be true or false", name), value.Pos())
			}
		case csv && (key == "delim" || key == "sep" || key == "delimiter"):
			single(&o.Delimiter)
		case csv && key == "quote":
			same := o.Escape == o.Quote
			if single(&o.Quote); same {
				o.Escape = o.Quote
			}
		case csv && key == "escape":
			single(&o.Escape)
		case csv && (key == "nullstr" || key == "null"):
			o.Null = text
		default:
			if key == "" {
				b.fail(pgerr.New(pgerr.InvalidParameterValue, "%s takes one file; more options are named: header => true", name), value.Pos())
			} else {
				b.fail(pgerr.New(pgerr.InvalidParameterValue, `%s has no option "%s"`, name, key), value.Pos())
			}
		}
		if b.err != nil {
			return empty
		}
	}
	if file == "" {
		b.fail(pgerr.New(pgerr.UndefinedFunction, "%s needs the name of a file", name), call.Pos())
		return empty
	}
	if b.env.Catalog.Files == nil {
		b.unsupported(name, call.Pos())
		return empty
	}
	if !b.mayReadFiles(call.Pos()) {
		return empty
	}
	o, columns, err := b.env.Catalog.Files(file, o, headerGiven)
	if err != nil {
		b.failErr(err, call.Pos())
		return empty
	}
	read := &plan.Read{File: file, Title: name, Options: o, Columns: columns, Named: o.Kind > format.CSV}
	rel := &relation{alias: name, node: read}
	for _, c := range columns {
		rel.fields = append(rel.fields, vec.Field{Name: c.Name, Type: c.Type})
	}
	b.rename(rel, alias)
	return rel
}
