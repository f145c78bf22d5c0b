package bind

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Copy is a bound COPY.
type Copy struct {
	From    bool
	File    string // empty: the client
	Options format.Options
	// Write is COPY FROM. Its plan reads the rows.
	Write *Write
	// Plan gives the rows of COPY TO.
	Plan plan.Node
	// Schema is the columns that come or go.
	Schema vec.Schema
}

// NewCopy binds COPY.
func NewCopy(env Env, s *ast.Copy) (*Copy, error) {
	b := newBinder(env)
	c := &Copy{From: s.From, Options: b.copyKind(s.Options)}
	if s.File != nil {
		if c.File = s.File.Value; c.File == "" && b.err == nil {
			b.fail(pgerr.New(pgerr.InvalidParameterValue, "the name of the file is empty"), s.File.Pos())
		}
	}
	if c.File != "" {
		b.mayReadFiles(s.File.Pos())
	}
	if s.From {
		b.copyFrom(c, s)
	} else {
		b.copyTo(c, s)
	}
	if b.err == nil && len(b.params) > 0 {
		b.failErr(NoParameter(s, b.env.Text, 0), s.Pos())
	}
	if b.err != nil {
		return nil, b.err
	}
	if c.Write != nil {
		return c, nil
	}
	c.Plan = b.setup(c.Plan)
	return c, nil
}

func (b *binder) copyFrom(c *Copy, s *ast.Copy) {
	if b.err != nil {
		return
	}
	rel, schema := b.insertTarget(s.Table, s.Columns)
	if b.err != nil {
		return
	}
	given := b.insertColumns(schema, s.Columns)
	if b.err != nil {
		return
	}
	read := &plan.Read{File: c.File, Title: "COPY " + rel.table.Name}
	for _, g := range given {
		read.Columns = append(read.Columns, format.Column{Name: g.Name, Type: g.Type, NotNull: g.NotNull && s.Where == nil, Table: rel.table.Name})
		c.Schema = append(c.Schema, vec.Field{Name: g.Name, Type: g.Type})
	}
	b.copyOptions(c, s)
	read.Options = c.Options
	w := b.inserting(rel, schema, given, read, s.Pos())
	if b.err != nil {
		return
	}
	if rel.table.Schema != nil && c.Options.Kind < format.Parquet && (len(w.Checks) > 0 || missing(schema, given) || s.Where != nil) {
		read.Options.Lines, w.From = true, read.Title
		p := w.Plan.(*plan.Project)
		p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: len(read.Columns), T: vec.T(vec.Int8), Name: "line"}), append(p.Names, "line")
	}
	if s.Where != nil {
		w.Plan = &plan.Filter{Input: w.Plan, Cond: b.ofRow(rel.table.Name, schema, s.Where, "WHERE", "COPY FROM WHERE condition")}
	}
	c.Write = w
}

// missing says whether a column that must have a value is not among those given.
func missing(schema *table.Schema, given []*table.Column) bool {
	for i := range schema.Columns {
		if c := &schema.Columns[i]; c.NotNull && !slices.Contains(given, c) {
			return true
		}
	}
	return false
}

func (b *binder) copyTo(c *Copy, s *ast.Copy) {
	if b.err != nil {
		return
	}
	q := s.Query
	if q != nil && changes(q.Tail().With) {
		b.unsupported("a data-modifying WITH in COPY", q.Tail().With.Pos())
		return
	}
	if q == nil {
		rel := b.tableName(s.Table, "SELECT")
		if rel == nil {
			return
		}
		if rel.table != nil && rel.table.View() != "" {
			b.fail(pgerr.New(pgerr.WrongObjectType, `cannot copy from view "%s"`, rel.table.Name).
				WithHint("Try the COPY (SELECT ...) TO variant."), s.Table.Pos())
			return
		}
		sel := &ast.Select{Place: s.Place, From: []ast.TableExpr{s.Table}}
		if s.Columns == nil {
			sel.Items = []ast.SelectItem{{Place: s.Place, Expr: &ast.Star{Place: s.Place}}}
		} else {
			schema := &table.Schema{Name: rel.table.Name}
			for _, f := range rel.fields {
				schema.Add(table.Column{Name: f.Name, Type: f.Type})
			}
			b.insertColumns(schema, s.Columns)
		}
		for _, id := range s.Columns {
			sel.Items = append(sel.Items, ast.SelectItem{Place: id.Place, Expr: &ast.Name{Place: id.Place, Parts: []ast.Ident{id}}})
		}
		q = sel
	}
	if b.err != nil {
		return
	}
	c.Plan = b.query(q)
	c.Schema = c.Plan.Schema()
	b.copyOptions(c, s)
}

// copyKind finds the form of the rows, which the other options depend on.
func (b *binder) copyKind(options []ast.CopyOption) format.Options {
	for i := range options {
		if o := &options[i]; o.Name == "format" {
			kind, ok := format.KindOf(strings.ToLower(o.Value))
			if !ok {
				b.fail(pgerr.New(pgerr.InvalidParameterValue, `COPY format "%s" not recognized`, o.Value), o.Pos())
			}
			return format.Defaults(kind)
		}
	}
	return format.Defaults(format.Text)
}

// copyOptions reads the options.
func (b *binder) copyOptions(c *Copy, s *ast.Copy) {
	o := &c.Options
	seen := map[string]ast.Pos{}
	quoted := false // ESCAPE was given
	for i := range s.Options {
		x := &s.Options[i]
		if b.err != nil {
			return
		}
		if _, twice := seen[x.Name]; twice {
			b.fail(pgerr.New(pgerr.SyntaxError, "conflicting or redundant options"), x.Pos())
			return
		}
		seen[x.Name] = x.Pos()
		switch x.Name {
		case "format", "freeze":
		case "delimiter":
			o.Delimiter = b.copyByte(x)
		case "null":
			o.Null = x.Value
		case "header":
			switch strings.ToLower(x.Value) {
			case "", "true", "on", "1":
				o.Header = true
			case "false", "off", "0":
			case "match":
				o.Header, o.Match = true, true
				if !s.From {
					b.fail(pgerr.New(pgerr.FeatureNotSupported, `cannot use "match" with HEADER in COPY TO`), x.Pos())
				}
			default:
				b.fail(pgerr.New(pgerr.SyntaxError, `header requires a Boolean value or "match"`), x.Pos())
			}
		case "quote":
			if o.Quote = b.copyByte(x); !quoted {
				o.Escape = o.Quote
			}
		case "escape":
			o.Escape, quoted = b.copyByte(x), true
		case "force_quote":
			o.ForceQuote = b.copyColumns(c, x)
		case "force_null":
			o.ForceNull = b.copyColumns(c, x)
		case "force_not_null":
			o.ForceNotNull = b.copyColumns(c, x)
		case "encoding":
			if name := strings.ToLower(strings.ReplaceAll(x.Value, "-", "")); name != "utf8" && name != "unicode" {
				b.fail(pgerr.Unsupported("the encoding "+x.Value).WithHint("Text is always UTF8."), x.Pos())
			}
		case "on_error":
			switch strings.ToLower(x.Value) {
			case "stop":
			case "ignore":
				o.Skip = true
			default:
				b.fail(pgerr.New(pgerr.InvalidParameterValue, `COPY ON_ERROR "%s" not recognized`, x.Value), x.Pos())
			}
		default:
			b.fail(pgerr.New(pgerr.SyntaxError, `option "%s" not recognized`, x.Name), x.Pos())
		}
	}
	if b.err == nil {
		b.checkCopy(c, seen)
	}
}

func (b *binder) copyByte(x *ast.CopyOption) byte {
	if len(x.Value) != 1 {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, "COPY %s must be a single one-byte character", x.Name), x.Pos())
		return 0
	}
	return x.Value[0]
}

func (b *binder) copyColumns(c *Copy, x *ast.CopyOption) []bool {
	out := make([]bool, len(c.Schema))
	for i := range out {
		out[i] = x.All
	}
	for _, id := range x.Columns {
		i := c.Schema.Index(id.Name)
		if i < 0 {
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" named by %s is not among those that are copied`, id.Name, strings.ToUpper(x.Name)), id.Pos())
			return nil
		}
		out[i] = true
	}
	return out
}

// noDelimiter are the bytes that mean something else in the text form.
const noDelimiter = `\.abcdefghijklmnopqrstuvwxyz0123456789`

// checkCopy refuses options that do not go together.
func (b *binder) checkCopy(c *Copy, seen map[string]ast.Pos) {
	o := &c.Options
	refuse := func(name, code, format string, args ...any) {
		if at, ok := seen[name]; ok {
			b.fail(pgerr.New(code, format, args...), at)
		}
	}
	only := map[string]string{"quote": "quote", "escape": "escape", "force_quote": "force quote", "force_null": "force null", "force_not_null": "force not null"}
	switch {
	case o.Kind > format.CSV:
		for _, name := range []string{"delimiter", "null", "header", "quote", "escape", "force_quote", "force_null", "force_not_null"} {
			refuse(name, pgerr.SyntaxError, "cannot specify %s in %s mode", strings.ToUpper(name), strings.ToUpper(o.Kind.String()))
		}
		if o.Kind != format.JSONL {
			refuse("on_error", pgerr.SyntaxError, "cannot specify ON_ERROR in %s mode", strings.ToUpper(o.Kind.String()))
		}
		return
	case o.Kind == format.Text:
		for _, name := range []string{"quote", "escape", "force_quote", "force_null", "force_not_null"} {
			refuse(name, pgerr.FeatureNotSupported, "COPY %s available only in CSV mode", only[name])
		}
		if strings.IndexByte(noDelimiter, o.Delimiter) >= 0 {
			refuse("delimiter", pgerr.InvalidParameterValue, `COPY delimiter cannot be "%c"`, o.Delimiter)
		}
	default:
		if o.Delimiter == o.Quote {
			b.fail(pgerr.New(pgerr.InvalidParameterValue, "COPY delimiter and quote must be different"), ast.NoPos)
		}
		if strings.IndexByte(o.Null, o.Quote) >= 0 {
			refuse("null", pgerr.InvalidParameterValue, "CSV quote character must not appear in the NULL specification")
		}
	}
	if c.From {
		refuse("force_quote", pgerr.FeatureNotSupported, "COPY force quote only available using COPY TO")
	} else {
		refuse("force_null", pgerr.FeatureNotSupported, "COPY force null only available using COPY FROM")
		refuse("force_not_null", pgerr.FeatureNotSupported, "COPY force not null only available using COPY FROM")
		refuse("on_error", pgerr.FeatureNotSupported, "COPY ON_ERROR only available using COPY FROM")
	}
	if o.Delimiter == '\n' || o.Delimiter == '\r' {
		refuse("delimiter", pgerr.InvalidParameterValue, "COPY delimiter cannot be newline or carriage return")
	}
	if strings.ContainsAny(o.Null, "\r\n") {
		refuse("null", pgerr.InvalidParameterValue, "COPY null representation cannot use newline or carriage return")
	}
	if strings.IndexByte(o.Null, o.Delimiter) >= 0 {
		refuse("null", pgerr.InvalidParameterValue, "COPY delimiter character must not appear in the NULL specification")
	}
}
