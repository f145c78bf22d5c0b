package sql

import (
	"slices"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage/vec"
)

// ChangeKind is what a statement does to the events and persons that its plan finds.
type ChangeKind uint8

// The changes, with the columns of their plans.
const (
	DeleteEvents  ChangeKind = iota // place of the row, as plan.RowPlace
	DeletePersons                   // uuid: the profile goes, events stay
	UpdatePersons                   // uuid, properties as they are and as they are to be
)

// changed says whether a table is one of those that hold events and persons. They are not
// changed by write sets, as user tables are, but by entries of their own.
func (c *CompileContext) changed(t *ast.TableName) bool {
	name := tableName(t)
	switch name {
	case "events", "persons", "person_distinct_ids", "groups":
	default:
		return false
	}
	found := c.Catalog.Table(name)
	if n := len(t.Name); n > 1 {
		if t.Name[n-2].Name == "prickle" {
			return true
		}
		found = c.Catalog.In(t.Name[n-2].Name, name)
	}
	return found == nil || found.Schema == nil
}

// deletes is DELETE of events or persons: a query for what is to go.
func (c *CompileContext) deletes(s *ast.Delete, text string) (*Statement, error) {
	switch name := tableName(s.Table); {
	case len(s.Using) > 0:
		return nil, pgerr.Unsupported("USING in DELETE of this table").At(ast.CharPosition(text, s.Using[0].Pos()))
	case len(s.Returning) > 0:
		return nil, pgerr.Unsupported("RETURNING of this table").At(ast.CharPosition(text, s.Returning[0].Pos()))
	case name == "events":
		// The place of a row is a column that only this statement knows.
		places := *c
		tables := *c.Catalog
		tables.Tables = slices.Clone(tables.Tables)
		for i, t := range tables.Tables {
			if t.Name == name && t.Schema == nil {
				with := *t
				with.Columns = append(slices.Clone(t.Columns), catalog.Column{Name: plan.RowPlace, Type: vec.T(vec.Int8)})
				tables.Tables[i] = &with
			}
		}
		places.Catalog = &tables
		return places.finds(DeleteEvents, "DELETE", s.With, s.Table, s.Where, text, column(s.Place, plan.RowPlace))
	case name == "persons":
		return c.finds(DeletePersons, "DELETE", s.With, s.Table, s.Where, text, column(s.Place, "id"))
	default:
		return nil, fixed("DELETE FROM", s.Table, name, text)
	}
}

// updates is UPDATE of persons.
func (c *CompileContext) updates(s *ast.Update, text string) (*Statement, error) {
	name := tableName(s.Table)
	if name != "persons" {
		return nil, fixed("UPDATE of", s.Table, name, text)
	}
	switch a := s.Set[0]; {
	case len(s.From) > 0:
		return nil, pgerr.Unsupported("FROM in UPDATE of this table").At(ast.CharPosition(text, s.From[0].Pos()))
	case len(s.Returning) > 0:
		return nil, pgerr.Unsupported("RETURNING of this table").At(ast.CharPosition(text, s.Returning[0].Pos()))
	case len(s.Set) > 1:
		return nil, pgerr.New(pgerr.SyntaxError, "multiple assignments to persons: only properties can be changed").At(ast.CharPosition(text, s.Set[1].Pos()))
	case a.Column.Name != "properties":
		return nil, pgerr.New(pgerr.FeatureNotSupported, `column "%s" of persons cannot be changed`, a.Column.Name).
			WithHint("Only properties can.").At(ast.CharPosition(text, a.Column.Pos()))
	default:
		value := &ast.Cast{Place: a.Place, X: a.Value, Type: ast.TypeName{Place: a.Place, Name: "jsonb"}}
		return c.finds(UpdatePersons, "UPDATE", s.With, s.Table, s.Where, text, column(s.Place, "id"), column(s.Place, "properties"), value)
	}
}

// finds makes a statement of the query for what it changes.
func (c *CompileContext) finds(kind ChangeKind, tag string, with *ast.With, t *ast.TableName, where ast.Expr, text string, items ...ast.Expr) (*Statement, error) {
	q := &ast.Select{Place: t.Place, QueryTail: ast.QueryTail{With: with}, From: []ast.TableExpr{t}, Where: where}
	for _, e := range items {
		q.Items = append(q.Items, ast.SelectItem{Place: t.Place, Expr: e})
	}
	r, err := bind.Query(c.env(text), q)
	if err != nil {
		return nil, err
	}
	if len(r.Parts) > 0 {
		return nil, pgerr.Unsupported(tag + " of this table beside other changes").At(ast.CharPosition(text, with.Pos()))
	}
	return c.planned(&Statement{Kind: Change, Change: kind, Params: r.Params, Tag: tag}, r.Plan), nil
}

// fixed is the error of a table that cannot be changed in this way.
func fixed(what string, t *ast.TableName, name, text string) error {
	e := pgerr.New(pgerr.FeatureNotSupported, "%s %s is not supported", what, name)
	switch name {
	case "events":
		e = e.WithHint("Events are facts: delete them, and send them again under new uuids.")
	case "person_distinct_ids":
		e = e.WithHint("Delete the person, or split the distinct id off.")
	case "groups":
		e = e.WithHint("Groups change with $groupidentify events, and by import.")
	}
	return e.At(ast.CharPosition(text, t.Pos()))
}

func tableName(t *ast.TableName) string { return t.Name[len(t.Name)-1].Name }

func column(at ast.Place, name string) ast.Expr {
	return &ast.Name{Place: at, Parts: []ast.Ident{{Place: at, Name: name, Quoted: true}}}
}
