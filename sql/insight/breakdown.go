package insight

import (
	"encoding/json"
	"fmt"

	"github.com/prickledb/prickle/sql/ast"
)

// The values that stand for no value, and for all those beyond the limit.
const (
	NullValue  = "$$_posthog_breakdown_null_$$"
	OtherValue = "$$_posthog_breakdown_other_$$"
)

// breakdown is what a query is broken down by.
type breakdown struct {
	items    []breakdownItem
	multiple bool // the form of several columns, even if it has just one
	cohorts  []cohortChoice
	isCohort bool
	limit    int
	hide     bool
	kind     string // of the first item
}

// cohortChoice is one element of a breakdown by cohorts: a cohort, or all persons.
type cohortChoice struct {
	all  bool
	id   int64
	name string
	set  ast.CohortSet
}

// breakdown reads breakdownFilter; nil if there is none.
func (c *compiler) breakdown(f *breakdownFilter) (*breakdown, error) {
	if f == nil || isNone(f.Breakdown) && len(f.Breakdowns) == 0 {
		return nil, nil
	}
	b := &breakdown{limit: 25, hide: f.HideOther}
	if f.Limit != nil && *f.Limit > 0 {
		b.limit = *f.Limit
	}
	if len(f.Breakdowns) > 0 {
		if len(f.Breakdowns) > 3 {
			return nil, refuse("breakdownFilter.breakdowns", "a query can be broken down by at most 3 properties, not %d", len(f.Breakdowns))
		}
		b.items, b.multiple = f.Breakdowns, true
		for i := range b.items {
			if b.items[i].Type == "" {
				b.items[i].Type = "event"
			}
			if b.items[i].Type == "cohort" {
				return nil, refuse("breakdownFilter.breakdowns", "cohorts can only be the single breakdown")
			}
		}
		b.kind = b.items[0].Type
		return b, nil
	}
	b.kind = f.Type
	if b.kind == "" {
		b.kind = "event"
	}
	list, isList, err := values(f.Breakdown)
	if err != nil {
		return nil, refuse("breakdownFilter.breakdown", "the breakdown is not valid JSON: %v", err)
	}
	if b.kind == "cohort" {
		b.isCohort = true
		return b, c.cohortChoices(b, list)
	}
	if len(list) == 0 {
		return nil, nil
	}
	b.multiple = isList
	for _, v := range list {
		b.items = append(b.items, breakdownItem{Property: flexText(textOf(v)), Type: b.kind, Group: f.Group, Normalize: f.Normalize, Bins: f.Bins})
	}
	return b, nil
}

func (c *compiler) cohortChoices(b *breakdown, list []any) error {
	for _, v := range list {
		s := textOf(v)
		if s == "all" || s == "0" {
			b.cohorts = append(b.cohorts, cohortChoice{all: true, name: "all users"})
			continue
		}
		set, err := c.cohortByText(s, "breakdownFilter.breakdown")
		if err != nil {
			return err
		}
		n, _ := json.Number(s).Int64() // cohortByText has read it
		k, _ := c.project.Cohort(n)
		b.cohorts = append(b.cohorts, cohortChoice{id: n, name: k.Name, set: set})
	}
	return nil
}

// funnelURLEnds are the characters that funnels cut off the end of a URL.
const funnelURLEnds = `/\?#`

// breakdownValue is the text of one breakdown column; NULL where there is none.
func (c *compiler) breakdownValue(it *breakdownItem, ends, attr string) (ast.Expr, error) {
	if it.Type == "hogql" {
		e, err := c.expression(string(it.Property), attr)
		if err != nil {
			return nil, err
		}
		return &ast.Cast{X: e, Type: ast.TypeName{Name: "text"}}, nil
	}
	left, err := c.shownProperty(it, attr)
	if err != nil {
		return nil, err
	}
	e := left.text()
	if left.kind == DateTime {
		e = left.e
	}
	if it.Normalize {
		if e = call("normalize_url", e); ends != "" {
			e.(*ast.Call).Args = append(e.(*ast.Call).Args, ast.Arg{Value: text(ends)})
		}
	}
	return e, nil
}

// breakdownNumber is the number of a breakdown column that is cut into bins.
func (c *compiler) breakdownNumber(it *breakdownItem, attr string) (ast.Expr, error) {
	left, err := c.shownProperty(it, attr)
	if err != nil {
		return nil, err
	}
	return left.float(), nil
}

// shownProperty is property as a breakdown has it: the duration of a session is shown in
// whole seconds, and compared with its fractions.
func (c *compiler) shownProperty(it *breakdownItem, attr string) (operand, error) {
	left, err := c.property(it.Type, string(it.Property), it.Group, attr)
	if it.Type == "session" && it.Property == "$session_duration" {
		left.e = call("floor", left.e)
	}
	return left, err
}

// columnNames are the names of breakdown columns in statements.
func columnName(i int) string { return fmt.Sprintf("value_%d", i+1) }
