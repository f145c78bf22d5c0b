package bind

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// table binds one element of FROM. After an error the relation is empty but not nil.
func (b *binder) table(t ast.TableExpr) *relation {
	empty := &relation{node: &plan.Values{}}
	if b.err != nil || !b.enter(t.Pos()) {
		return empty
	}
	defer b.leave()
	switch t := t.(type) {
	case *ast.TableName:
		if t.Sample != nil {
			return b.sampled(t)
		}
		rel := b.tableName(t, "SELECT")
		if rel == nil {
			return empty
		}
		b.rename(rel, t.Alias)
		return rel
	case *ast.Derived:
		var node plan.Node
		if t.Lateral && b.before != nil {
			node = b.queryIn(t.Query, b.before)
		} else {
			node = b.queryIn(t.Query, b.outer)
		}
		return b.derived(node, "", t.Alias)
	case *ast.Funnel:
		node := b.funnel(t)
		b.readsAround(t, "FUNNEL")
		return b.derived(node, "funnel", t.Alias)
	case *ast.Retention:
		node := b.retention(t)
		b.readsAround(t, "RETENTION")
		return b.derived(node, "retention", t.Alias)
	case *ast.Trends:
		node := b.trends(t)
		b.readsAround(t, "TRENDS")
		return b.derived(node, "trends", t.Alias)
	case *ast.Paths:
		node := b.paths(t)
		b.readsAround(t, "PATHS")
		return b.derived(node, "paths", t.Alias)
	case *ast.Lifecycle:
		node := b.lifecycle(t)
		b.readsAround(t, "LIFECYCLE")
		return b.derived(node, "lifecycle", t.Alias)
	case *ast.Stickiness:
		node := b.stickiness(t)
		b.readsAround(t, "STICKINESS")
		return b.derived(node, "stickiness", t.Alias)
	case *ast.Join:
		return b.joinOf(t)
	case *ast.FuncTable:
		if d := b.queriedArgs(t); d != nil {
			return b.table(d)
		}
		if d := b.recordset(t); d != nil {
			return b.table(d)
		}
		return b.functions(t)
	case *ast.Pivot:
		return b.pivot(t)
	case *ast.Unpivot:
		return b.unpivot(t)
	case *ast.CohortTable:
		return b.cohortTable(t)
	default:
		b.unsupported("this table expression", t.Pos())
	}
	return empty
}

// tableName finds a table to which the statement may do what a right says.
func (b *binder) tableName(t *ast.TableName, right string) *relation {
	var words []string
	for _, p := range t.Name {
		words = append(words, p.Name)
	}
	full, name := strings.Join(words, "."), words[len(words)-1]
	if len(words) == 1 {
		if rel := b.cteNamed(name, t.Pos()); rel != nil {
			return rel
		}
	}
	if len(words) == 3 && words[0] != b.env.Catalog.Database {
		b.fail(pgerr.New(pgerr.FeatureNotSupported, `cross-database references are not implemented: "%s"`, full), t.Pos())
		return nil
	}
	schema := ""
	if len(words) > 1 {
		schema = words[len(words)-2]
	}
	if schema != "" && b.env.Catalog.SchemaOID(schema) != 0 && !b.mayUse(schema, t.Pos()) {
		return nil
	}
	table := b.lookUp(schema, name)
	if table == nil {
		if of, c := b.sequenceNamed(schema, name); of != nil {
			return b.sequenceTable(t, of, c, right)
		}
		e := pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, full)
		names := pgcatalog.Names(schema)
		for _, t := range b.env.Catalog.Tables {
			names = append(names, t.Name)
		}
		if near := nearest(name, names); near != "" {
			e.WithHint(`Perhaps you meant the table "%s".`, near)
		}
		b.fail(e, t.Pos())
		return nil
	}
	if !b.may(right, table, t.Pos()) {
		return nil
	}
	if b.reads != nil {
		*b.reads = append(*b.reads, read{t, table})
	}
	if table.View() != "" {
		return b.viewTable(t, table)
	}
	if table.IsCohorts() && right == "SELECT" {
		return b.derived(b.cohortList(t.Pos()), table.Name, nil)
	}
	scan := &plan.Scan{Table: table}
	rel := &relation{alias: table.Name, node: scan, scan: scan, table: table}
	for _, c := range table.Columns {
		rel.fields = append(rel.fields, vec.Field{Name: c.Name, Type: c.Type})
	}
	return rel
}

// sequenceNamed finds a sequence, and the table that it belongs to.
func (b *binder) sequenceNamed(schema, name string) (*catalog.Table, *table.Column) {
	for _, t := range append(b.env.Catalog.SequenceTables(), b.env.Catalog.Tables...) {
		if t.Schema == nil || schema != "" && !t.InSchema(schema) || schema == "" && !t.Temp() && !slices.Contains(b.env.Catalog.Searched(), t.Namespace()) {
			continue
		}
		for i := range t.Schema.Columns {
			if c := &t.Schema.Columns[i]; c.Sequence == name {
				return t, c
			}
		}
	}
	return nil, nil
}

// sequenceTable is a sequence as a relation of one row. How many numbers are in no log is always none.
func (b *binder) sequenceTable(t *ast.TableName, of *catalog.Table, c *table.Column, right string) *relation {
	if right != "SELECT" {
		b.fail(pgerr.New(pgerr.WrongObjectType, `cannot change sequence "%s"`, c.Sequence), ast.NoPos)
		return nil
	}
	if !b.may(right, of, t.Pos()) {
		return nil
	}
	literal := func(text string) string { return ast.Format(&ast.String{Value: text}) }
	var rel *relation
	b.inside(`sequence "`+c.Sequence+`"`, t.Pos(), of.Owner(), of.Temp(), func() {
		q, err := parse.Query("SELECT coalesce(last_value, start_value) AS last_value, 0::bigint AS log_cnt, last_value IS NOT NULL AS is_called FROM pg_catalog.pg_sequences WHERE schemaname = " +
			literal(of.Namespace()) + " AND sequencename = " + literal(c.Sequence))
		if err != nil {
			b.failErr(err, t.Pos())
			return
		}
		rel = b.derived(b.query(q), c.Sequence, nil)
	})
	return rel
}

// lookUp finds a table; without a schema, along search_path.
func (b *binder) lookUp(schema, name string) *catalog.Table {
	return pgcatalog.LookUp(b.env.Catalog, schema, name, !b.lasting)
}

// derived is a relation over a plan with columns of its own.
func (b *binder) derived(node plan.Node, name string, alias *ast.Alias) *relation {
	rel := &relation{alias: name, node: node, fields: append(vec.Schema(nil), node.Schema()...), sources: b.shown[node]}
	b.rename(rel, alias)
	return rel
}

// rename gives the relation and its columns the names of an alias.
func (b *binder) rename(rel *relation, alias *ast.Alias) {
	if alias == nil || b.err != nil {
		return
	}
	if alias.Name.Name != "" {
		rel.alias = alias.Name.Name
		if rel.join != nil {
			rel.parts = nil // the alias hides the names inside
		}
	}
	if len(alias.Columns) > len(rel.fields) {
		b.fail(pgerr.New(pgerr.InvalidColumnReference, `table "%s" has %d columns available but %d columns specified`,
			rel.alias, len(rel.fields), len(alias.Columns)), alias.Pos())
		return
	}
	if len(alias.Columns) == 0 {
		return
	}
	if rel.scan != nil {
		// A scan's columns are read by their own names, so renamed ones are computed above it.
		p := &plan.Project{Input: rel.scan}
		for i, f := range rel.fields {
			p.Exprs = append(p.Exprs, b.column(rel, i, alias.Pos()))
			p.Names = append(p.Names, f.Name)
		}
		rel.node, rel.scan = p, nil
	}
	for i, c := range alias.Columns {
		if c.Type != nil {
			b.unsupported("a column definition list", c.Pos())
			return
		}
		rel.fields[i].Name = c.Name.Name
	}
}
