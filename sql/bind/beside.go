package bind

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// besideTypes is what an expression over the table events may name beside its columns: what is
// known of the row's person, groups and session. The scan reads it as a column, so it costs no join.
var besideTypes = map[string]vec.Type{
	"person.id":            vec.T(vec.UUID),
	"person.properties":    vec.T(vec.JSONB),
	"person.created_at":    vec.T(vec.TimestampTZ),
	"person.is_identified": vec.T(vec.Bool),
	"group_0.properties":   vec.T(vec.JSONB), "group_0.created_at": vec.T(vec.TimestampTZ),
	"group_1.properties": vec.T(vec.JSONB), "group_1.created_at": vec.T(vec.TimestampTZ),
	"group_2.properties": vec.T(vec.JSONB), "group_2.created_at": vec.T(vec.TimestampTZ),
	"group_3.properties": vec.T(vec.JSONB), "group_3.created_at": vec.T(vec.TimestampTZ),
	"group_4.properties": vec.T(vec.JSONB), "group_4.created_at": vec.T(vec.TimestampTZ),
	"session.$session_duration": vec.T(vec.Float8), // seconds
	"session.$start_timestamp":  vec.T(vec.TimestampTZ), "session.$end_timestamp": vec.T(vec.TimestampTZ),
	"session.$entry_current_url": vec.T(vec.Text), "session.$end_current_url": vec.T(vec.Text),
	"session.$entry_pathname": vec.T(vec.Text), "session.$end_pathname": vec.T(vec.Text),
	"session.$pageview_count": vec.T(vec.Int8), "session.$autocapture_count": vec.T(vec.Int8),
	"session.$screen_count": vec.T(vec.Int8), "session.$num_uniq_urls": vec.T(vec.Int8),
}

// beside binds a name of what lies beside the columns of events; nil if it is none. A column
// and a relation of that name go before.
func (b *binder) beside(rel *relation, parts []ast.Ident, n *ast.Name) expr.Expr {
	rel, several := rel.onlyEvents()
	if len(parts) < 2 || rel == nil {
		return nil
	}
	column := parts[0].Name + "." + parts[1].Name
	t, ok := besideTypes[column]
	switch {
	case !ok:
		return b.unknownBeside(parts, n)
	case several:
		return b.ambiguous(column, n.Pos())
	case !b.mayBeside(parts[0].Name, n.Pos()):
		return null(t)
	}
	if isJSON(t) && len(parts) > 2 {
		p := &pathRef{rel: rel, column: column, pos: n.Pos()}
		for _, k := range parts[2:] {
			p = p.key(k.Name)
		}
		return p
	}
	if len(parts) > 2 {
		return b.fail(pgerr.New(pgerr.WrongObjectType,
			"column notation .%s applied to type %s, which is not a composite type", parts[2].Name, t), n.Pos())
	}
	c := &expr.Column{Index: rel.base + rel.scanColumn(plan.ScanColumn{Column: column, Type: t}), T: t, Name: rel.shown(column)}
	b.places[c] = place{n.Pos(), rel.qualified(column)}
	return c
}

// unknownBeside is the error for a name that begins like one of those beside and is none;
// nil for any other name.
func (b *binder) unknownBeside(parts []ast.Ident, n *ast.Name) expr.Expr {
	var known []string
	for name := range besideTypes {
		if strings.HasPrefix(name, parts[0].Name+".") {
			known = append(known, name)
		}
	}
	if known == nil {
		return nil
	}
	column := parts[0].Name + "." + parts[1].Name
	e := pgerr.New(pgerr.UndefinedColumn, "column %s does not exist", column)
	if near := nearest(column, known); near != "" {
		e.WithHint(`Perhaps you meant "%s".`, near)
	} else if _, ok := besideTypes[parts[0].Name+".properties"]; ok {
		e.WithHint(`Properties are named "%s".`, parts[0].Name+".properties."+parts[1].Name)
	}
	return b.fail(e, n.Pos())
}

// ofEvents says whether the relation is a scan of the table events.
func (rel *relation) ofEvents() bool {
	return rel != nil && rel.scan != nil && rel.table != nil && rel.table.IsEvents()
}

// onlyEvents is the scan of the table events among the relations of FROM, and whether there
// are several; nil for none.
func (rel *relation) onlyEvents() (events *relation, several bool) {
	for _, r := range rel.all() {
		if r.ofEvents() {
			several = events != nil
			events = r
		}
	}
	return events, several
}

// besideProperties is the path without keys to the properties of a person, say, for an arrow
// to follow; nil if the name is anything else.
func (b *binder) besideProperties(rel *relation, n *ast.Name) *pathRef {
	parts := n.Parts
	if named := rel.named(parts[0].Name); named != nil {
		rel, parts = named, parts[1:]
	}
	rel, several := rel.onlyEvents()
	if rel == nil || several || len(parts) != 2 || !isJSON(besideTypes[parts[0].Name+"."+parts[1].Name]) {
		return nil
	}
	b.mayBeside(parts[0].Name, n.Pos())
	return &pathRef{rel: rel, column: parts[0].Name + "." + parts[1].Name, pos: n.Pos()}
}
