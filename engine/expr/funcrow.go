package expr

import (
	"encoding/binary"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// A row as a value is kept as the text that PostgreSQL writes for it: (1,"a b",). Its fields
// cannot be taken out again; where a statement names a field of a row, the binder takes the
// column.
func init() {
	// Several values, a row's.
	choose("row", func(args []vec.Type) *Overload {
		return &Overload{Args: texts(args), Result: vec.T(vec.Record), Fn: &Function{Name: "row", Session: true, lax: true, eval: func(f *frame) error {
			return eachText(f, func(i int, dst []byte) ([]byte, error) { return appendRow(dst, f.args, i, f.ctx), nil })
		}}}
	})
	// A field of a row, by its number from 0, as text.
	define("field", tText, types(vec.T(vec.Record), tInt4), text2(func(_ *Context, dst []byte, row string, n int64) ([]byte, error) {
		null, at := true, int64(0)
		eachField([]byte(row), func(field []byte, isNull bool) {
			if at == n && !isNull {
				dst, null = append(dst, field...), false
			}
			at++
		})
		if null {
			return dst, errNull
		}
		return dst, nil
	}))
	// Names and values by turns: what the binder makes of row_to_json(t).
	jsonOfRow("row_to_json", ",")
	jsonOfRow("row_to_json\n", ",\n ") // with members in lines of their own
}

// jsonOfRow defines a function that makes an object, with something between its members.
func jsonOfRow(name, between string) {
	choose(name, func(args []vec.Type) *Overload {
		if len(args)%2 != 0 || len(args) == 0 {
			return nil
		}
		return &Overload{Args: texts(args), Result: vec.T(vec.JSON), Fn: &Function{Name: "row_to_json", Session: true, lax: true, eval: func(f *frame) error {
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				dst = append(dst, '{')
				for k := 0; k < len(f.args); k += 2 {
					if k > 0 {
						dst = append(dst, between...)
					}
					dst = append(AppendJSON(dst, f.args[k], i, f.ctx), ':')
					dst = AppendJSON(dst, f.args[k+1], i, f.ctx)
				}
				return append(dst, '}'), nil
			})
		}}}
	})
}

// texts are types in which the unknown ones are text.
func texts(args []vec.Type) []vec.Type {
	out := make([]vec.Type, len(args))
	for i, a := range args {
		out[i] = a
		if a.Kind == vec.Unknown {
			out[i] = tText
		}
	}
	return out
}

// appendRow writes a row of values.
func appendRow(dst []byte, fields []*vec.Vector, row int, ctx *Context) []byte {
	var field []byte
	dst = append(dst, '(')
	for k, v := range fields {
		if k > 0 {
			dst = append(dst, ',')
		}
		if !v.IsNull(row) {
			field = AppendText(field[:0], v, row, ctx)
			dst = appendField(dst, field)
		}
	}
	return append(dst, ')')
}

// appendField writes a field of a row, in quotes if it could be read in another way without.
func appendField(dst, field []byte) []byte {
	plain := len(field) > 0
	for _, c := range field {
		switch c {
		case '(', ')', ',', '"', '\\', ' ', '\t', '\n', '\r', '\v', '\f':
			plain = false
		}
	}
	if plain {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for _, c := range field {
		if c == '"' || c == '\\' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// eachField gives the fields of a row as text, without their quotes.
func eachField(record []byte, visit func(field []byte, null bool)) {
	if len(record) <= len("()") {
		return
	}
	var field []byte
	null, quoted := true, false
	for i := 1; i < len(record); i++ { // behind the parenthesis
		c := record[i]
		if !quoted && (c == ',' || c == ')') {
			visit(field, null)
			field, null = field[:0], true
			continue
		}
		null = false
		switch {
		case c == '"' && quoted && i+1 < len(record) && record[i+1] == '"', c == '\\' && i+1 < len(record):
			i++
			field = append(field, record[i])
		case c == '"':
			quoted = !quoted
		default:
			field = append(field, c)
		}
	}
}

// appendRecord adds the binary form of a row as a value. Its fields are of the type text where its
// shape is not known.
func appendRecord(dst, record []byte, t vec.Type, ctx *Context) []byte {
	var shape vec.Schema
	if n := int(t.Mod); n > 0 && ctx != nil && n <= len(ctx.Shapes) {
		shape = ctx.Shapes[n-1]
	}
	be := binary.BigEndian
	at, fields := len(dst), 0
	dst = be.AppendUint32(dst, 0)
	eachField(record, func(field []byte, null bool) {
		of := tText
		if fields < len(shape) {
			of = shape[fields].Type
		}
		fields++
		start := len(dst)
		dst = be.AppendUint32(dst, of.OID())
		if null {
			dst = be.AppendUint32(dst, 1<<32-1)
			return
		}
		dst = be.AppendUint32(dst, 0)
		if of.Kind == vec.Record && !of.Array {
			dst = appendRecord(dst, field, of, ctx)
		} else if v, err := ParseValue(ctx, of, field); err == nil && !v.IsNull(0) {
			dst = AppendBinary(dst, v, 0, ctx)
		} else { // it has no other form
			be.PutUint32(dst[start:], tText.OID())
			dst = append(dst, field...)
		}
		be.PutUint32(dst[start+4:], uint32(len(dst)-start-8))
	})
	be.PutUint32(dst[at:], uint32(fields))
	return dst
}

// catalogRows are the functions that give what a table of the catalog has: that table, and the
// columns with the types that the function gives them.
var catalogRows = map[string]struct {
	table   string
	columns vec.Schema
}{
	"pg_get_keywords": {"pg_catalog.pg_get_keywords", vec.Schema{{Name: "word", Type: tText}, {Name: "catcode", Type: vec.T(vec.Char)},
		{Name: "barelabel", Type: tBool}, {Name: "catdesc", Type: tText}, {Name: "baredesc", Type: tText}}},
	"pg_timezone_names": {"pg_catalog.pg_timezone_names", vec.Schema{{Name: "name", Type: tText}, {Name: "abbrev", Type: tText},
		{Name: "utc_offset", Type: tIvl}, {Name: "is_dst", Type: tBool}}},
	"pg_show_all_settings": {"pg_catalog.pg_settings", vec.Schema{{Name: "name", Type: tText}, {Name: "setting", Type: tText},
		{Name: "unit", Type: tText}, {Name: "category", Type: tText}, {Name: "short_desc", Type: tText}, {Name: "extra_desc", Type: tText},
		{Name: "context", Type: tText}, {Name: "vartype", Type: tText}, {Name: "source", Type: tText}, {Name: "min_val", Type: tText},
		{Name: "max_val", Type: tText}, {Name: "enumvals", Type: tTexts}, {Name: "boot_val", Type: tText}, {Name: "reset_val", Type: tText},
		{Name: "sourcefile", Type: tText}, {Name: "sourceline", Type: tInt4}, {Name: "pending_restart", Type: tBool}}},
	"pg_cursor": {"pg_catalog.pg_cursors", vec.Schema{{Name: "name", Type: tText}, {Name: "statement", Type: tText}, {Name: "is_holdable", Type: tBool},
		{Name: "is_binary", Type: tBool}, {Name: "is_scrollable", Type: tBool}, {Name: "creation_time", Type: tTz}}},
	"pg_prepared_statement": {"pg_catalog.pg_prepared_statements", vec.Schema{{Name: "name", Type: tText}, {Name: "statement", Type: tText},
		{Name: "prepare_time", Type: tTz}, {Name: "parameter_types", Type: vec.ArrayOf(vec.RegType)},
		{Name: "from_sql", Type: tBool}, {Name: "generic_plans", Type: tInt8}, {Name: "custom_plans", Type: tInt8}}},
	"pg_available_extensions": {"pg_catalog.pg_available_extensions", vec.Schema{{Name: "name", Type: tName}, {Name: "default_version", Type: tText},
		{Name: "comment", Type: tText}}},
}

// catalog chooses a function over the catalog.
func (s *TableFunction) catalog(args []vec.Type) bool {
	rows, ok := catalogRows[s.Name]
	switch {
	case ok && len(args) == 0:
		s.Named, s.Out = true, rows.columns
		s.open = func(ctx *Context, _ []*vec.Vector, _ int) (Series, error) {
			return openCatalog(ctx, rows.table, rows.columns)
		}
	case s.Name == "pg_partition_ancestors" && len(args) == 1: // there are no partitions: each table stands alone
		s.Named, s.Args, s.Out = true, types(tReg), vec.Schema{{Name: "relid", Type: tReg}}
		s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
			return &elementSeries{args[0], row, row + 1}, nil
		}
	case s.Name == "_pg_expandarray" && len(args) == 1 && args[0].Array:
		s.Named, s.Args, s.Out = true, args, vec.Schema{{Name: "x", Type: args[0].Elem()}, {Name: "n", Type: tInt4}}
		s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
			elem, lo, hi := elements(args[0], row)
			return &numberedSeries{elementSeries: elementSeries{elem, lo, hi}}, nil
		}
	default:
		return false
	}
	return true
}

// numberedSeries is _pg_expandarray: elements, and their numbers from 1.
type numberedSeries struct {
	elementSeries
	number int64
}

func (s *numberedSeries) Next(out []*vec.Builder, n int) (int, error) {
	n, err := s.elementSeries.Next(out, n)
	for range n {
		s.number++
		out[1].V.I64 = append(out[1].V.I64, s.number)
	}
	return n, err
}

// catalogSeries is the rows of a table of the catalog.
type catalogSeries struct {
	batches []*vec.Batch
	row     int
}

func openCatalog(ctx *Context, table string, columns vec.Schema) (Series, error) {
	if ctx.Objects == nil {
		return nil, pgerr.Unsupported("the catalog here")
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	batches, err := ctx.Objects.Table(table, names)
	return &catalogSeries{batches: batches}, err
}

func (s *catalogSeries) Next(out []*vec.Builder, n int) (int, error) {
	count := 0
	for ; count < n && len(s.batches) > 0; count++ {
		b := s.batches[0]
		for i, c := range b.Cols {
			out[i].AppendFrom(c, s.row)
		}
		if s.row++; s.row == b.Rows {
			s.batches, s.row = s.batches[1:], 0
		}
	}
	return count, nil
}

// Column is the function with one of its columns alone.
func (s *TableFunction) Column(at int) *TableFunction {
	one := *s
	one.Out = s.Out[at : at+1]
	one.open = func(ctx *Context, args []*vec.Vector, row int) (Series, error) {
		all, err := s.open(ctx, args, row)
		if err != nil || all == nil {
			return nil, err
		}
		return &columnSeries{all, s.Out, at}, nil
	}
	return &one
}

// Row is the function with a row of its columns as the only one, of a type of that kind.
func (s *TableFunction) Row(t vec.Type) *TableFunction {
	one := *s
	one.Out = vec.Schema{{Name: s.Name, Type: t}}
	one.open = func(ctx *Context, args []*vec.Vector, row int) (Series, error) {
		all, err := s.open(ctx, args, row)
		if err != nil || all == nil {
			return nil, err
		}
		return &rowSeries{ctx, all, s.Out}, nil
	}
	return &one
}

// rowSeries is the rows of a series, each as one value.
type rowSeries struct {
	ctx *Context
	all Series
	out vec.Schema
}

func (s *rowSeries) Next(out []*vec.Builder, n int) (int, error) {
	all, columns := make([]*vec.Builder, len(s.out)), make([]*vec.Vector, len(s.out))
	for i, f := range s.out {
		all[i] = vec.NewBuilder(f.Type)
	}
	n, err := s.all.Next(all, n)
	for i, b := range all {
		columns[i] = b.V
	}
	for i := range n {
		out[0].V.Str.Append(appendRow(nil, columns, i, s.ctx))
	}
	return n, err
}

// columnSeries is one column of a series.
type columnSeries struct {
	all Series
	out vec.Schema
	at  int
}

func (s *columnSeries) Next(out []*vec.Builder, n int) (int, error) {
	all := make([]*vec.Builder, len(s.out))
	for i, f := range s.out {
		all[i] = vec.NewBuilder(f.Type)
	}
	all[s.at] = out[0]
	return s.all.Next(all, n)
}
