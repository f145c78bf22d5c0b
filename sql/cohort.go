package sql

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage/vec"
)

// CohortKind is what a statement does to a cohort.
type CohortKind uint8

// The statements about cohorts.
const (
	CreateCohort CohortKind = iota
	RefreshCohort
	RenameCohort
	DropCohort
)

// CohortSpec is a statement about a cohort. The plan of one that creates or refreshes gives
// the members that have a profile.
type CohortSpec struct {
	Kind     CohortKind
	Name     string
	Position int    // of the name in the statement, in characters from 1
	To       string // the new name
	IfExists bool
	Replace  bool
	Query    string             // of CREATE, as text
	Static   bool               // its members stay as they are
	Every    *vec.IntervalValue // WITH (REFRESH interval); nil when not given
}

// changeCohort is the statement for a spec, with the members of a set of persons if it needs
// them.
func (c *CompileContext) changeCohort(tag string, spec CohortSpec, name *ast.Ident, set ast.CohortSet, text string) (*Statement, error) {
	if err := bind.MayCreate(c.env(text), name.Pos()); err != nil {
		return nil, err
	}
	spec.Name, spec.Position = name.Name, ast.CharPosition(text, name.Pos())
	st := &Statement{Kind: ChangeCohort, Tag: tag, Cohort: &spec}
	if set == nil {
		return st, nil
	}
	// A cohort has the persons that lists of persons show: those with a profile.
	id := &ast.Name{Place: name.Place, Parts: []ast.Ident{ast.ID("id")}}
	persons := &ast.Select{Place: name.Place, Items: []ast.SelectItem{{Expr: id}},
		From:  []ast.TableExpr{&ast.TableName{Place: name.Place, Name: []ast.Ident{ast.ID("prickle"), ast.ID("persons")}}},
		Where: &ast.InCohort{Place: name.Place, X: id, Set: set}}
	q, err := c.query(persons, text)
	if err != nil {
		return nil, err
	}
	st.Plan = q.Plan
	return st, nil
}

func (c *CompileContext) createCohort(s *ast.CreateCohort, text string) (*Statement, error) {
	var param ast.Node
	ast.Walk(s, func(n ast.Node) bool {
		if p, ok := n.(*ast.Param); ok && param == nil {
			param = p
		}
		return true
	})
	if param != nil {
		return nil, placed(pgerr.Unsupported("a parameter in the definition of a cohort").WithHint("Write the value: the definition is kept."), text, param)
	}
	spec := CohortSpec{Kind: CreateCohort, Replace: s.Replace, Static: s.Static, Query: bind.Kept(c.env(text), s.Query)}
	if s.Refresh != nil {
		v, err := bind.Constant(c.env(text), s.Refresh, vec.T(vec.Interval))
		if err != nil {
			return nil, err
		}
		if v.IsNull(0) || !positive(v.Ivl[0]) {
			return nil, placed(pgerr.New(pgerr.InvalidParameterValue, "REFRESH takes an interval of more than nothing"), text, s.Refresh)
		}
		spec.Every = &v.Ivl[0]
	}
	return c.changeCohort("CREATE COHORT", spec, &s.Name, &ast.CohortQuery{Place: ast.At(s.Query.Pos()), Query: s.Query}, text)
}

// positive says whether an interval leads forward, and in none of its parts back.
func positive(i vec.IntervalValue) bool {
	return i.Months >= 0 && i.Days >= 0 && i.Micros >= 0 && i != vec.IntervalValue{}
}
