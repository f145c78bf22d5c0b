package insight

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
)

// compiler turns the parts of one query into trees.
type compiler struct {
	clock
	ctx     context.Context
	now     time.Time
	project Project
	run     Runner
	// onPersons is set while conditions are about rows of the table persons.
	onPersons bool
	// alias qualifies the columns of events, where they are joined with something.
	alias   string
	cohorts []int64 // that are being compiled, to find cycles
}

func newCompiler(ctx context.Context, p Project, run Runner, now time.Time) *compiler {
	zone := p.Zone()
	return &compiler{clock: clock{zone, p.Monday()}, ctx: ctx, now: now.In(zone), project: p, run: run}
}

// row is a column of the row, or a path into one.
func (c *compiler) row(parts ...string) ast.Expr {
	if c.alias != "" {
		parts = append([]string{c.alias}, parts...)
	}
	return column(parts...)
}

// person is a property of the row's person.
func (c *compiler) person(key string) ast.Expr {
	if c.onPersons {
		return column("properties", key)
	}
	return c.row("person", "properties", key)
}

// personID is the row's person.
func (c *compiler) personID() ast.Expr {
	if c.onPersons {
		return column("id")
	}
	return c.row("person_id")
}

// entity is which events a node names: by name, by action, or all of them.
type entity struct {
	node   *node
	event  *string // nil: an action, or every event
	action *Action
	any    bool
	cond   ast.Expr // of the name or the action alone; nil: every event
	props  ast.Expr // the node's own filters; nil: none
	// gone says that the action does not exist.
	gone bool
}

// full is the entity with its filters.
func (e *entity) full() ast.Expr { return and(e.cond, e.props) }

// name is what answers call the entity; nil for every event.
func (e *entity) name() *string {
	switch {
	case e.action != nil:
		return &e.action.Name
	case e.event != nil:
		return e.event
	}
	return nil
}

// label is its name in labels.
func (e *entity) label() string {
	if n := e.name(); n != nil {
		return *n
	}
	return "All events"
}

// entity compiles a series node.
func (c *compiler) entity(n *node, attr string) (*entity, error) {
	e := &entity{node: n}
	switch n.Kind {
	case "EventsNode", "":
		if n.Event == nil {
			e.any = true
			break
		}
		e.event = n.Event
		e.cond = equal(c.row("event"), text(*n.Event))
	case "ActionsNode":
		a, ok := c.project.Action(n.ID.Num)
		if !n.ID.IsN || !ok {
			e.gone = true
			e.cond = boolean(false)
			break
		}
		e.action = a
		cond, err := c.action(a, attr)
		if err != nil {
			return nil, err
		}
		e.cond = cond
	case "GroupNode", "DataWarehouseNode", "FunnelsDataWarehouseNode", "LifecycleDataWarehouseNode":
		return nil, refuse(attr+".kind", "series of the kind %s are not supported", n.Kind)
	default:
		return nil, refuse(attr+".kind", "unknown kind of series %q; there are EventsNode and ActionsNode", n.Kind)
	}
	var props []ast.Expr
	for _, raw := range []json.RawMessage{n.Properties, n.FixedProps} {
		p, err := c.filters(raw, attr+".properties")
		if err != nil {
			return nil, err
		}
		props = append(props, p)
	}
	e.props = and(props...)
	return e, nil
}

// entities compiles all series.
func (c *compiler) entities(q *query) ([]*entity, error) {
	if len(q.Series) == 0 {
		return nil, &Refused{Code: "required", Detail: "the query needs at least one series", Attr: "series"}
	}
	var out []*entity
	for i := range q.Series {
		e, err := c.entity(&q.Series[i], fmt.Sprintf("series[%d]", i))
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// missingAction is the refusal of a query about actions that do not exist.
func missingAction(list []*entity) error {
	var ids []string
	for _, e := range list {
		if e.gone {
			ids = append(ids, e.node.ID.Text)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if len(ids) == 1 {
		return &Refused{Code: "does_not_exist", Detail: "there is no action " + ids[0], Attr: "series"}
	}
	return &Refused{Code: "does_not_exist", Detail: "there are no actions " + strings.Join(ids, ", "), Attr: "series"}
}

// common is what all events of a query must satisfy: its filters, those of test accounts,
// and the sample.
func (c *compiler) common(q *query) (ast.Expr, error) {
	props, err := c.filters(q.Properties, "properties")
	if err != nil {
		return nil, err
	}
	var test ast.Expr
	if q.TestUsers {
		if test, err = c.filters(c.project.TestAccounts(), "test_account_filters"); err != nil {
			return nil, err
		}
	}
	sample, err := c.sample(q.Sampling)
	if err != nil {
		return nil, err
	}
	return and(props, test, sample), nil
}

// sample keeps the distinct ids whose hash falls under a factor.
func (c *compiler) sample(f *float64) (ast.Expr, error) {
	if f == nil || *f == 1 || *f == 0 {
		return nil, nil
	}
	if *f < 0 || *f > 1 {
		return nil, refuse("samplingFactor", "samplingFactor must lie between 0 and 1")
	}
	return binary("<", call("hash_fraction", c.row("distinct_id")), number(*f)), nil
}

// scale undoes a sample in a count.
func scale(v float64, f *float64) float64 {
	if f == nil || *f == 1 || *f <= 0 {
		return v
	}
	return roundEven(v / *f)
}

// groupKey is the key of an event's group; NULL where there is none.
func (c *compiler) groupKey(index int, attr string) (ast.Expr, error) {
	if index < 0 || index > 4 {
		return nil, refuse(attr, "there are group types 0 to 4, not %d", index)
	}
	return call("nullif", c.row("group_"+strconv.Itoa(index)), text("")), nil
}

// actor is what a query counts: nil is persons.
func (c *compiler) actor(q *query) (ast.Expr, error) {
	if q.Group == nil {
		return nil, nil
	}
	return c.groupKey(*q.Group, "aggregation_group_type_index")
}

func checkRegex(s, attr string) error {
	if _, err := regexp.Compile(s); err != nil {
		return refuse(attr, "%q is not a valid regular expression: %s", s, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// firstEvent is the time of the first event that satisfies a condition, for "all".
func (c *compiler) firstEvent(cond ast.Expr) (time.Time, error) {
	find := func(cond ast.Expr) (time.Time, bool, error) {
		q := &ast.Select{Items: []ast.SelectItem{item(call("min", column("timestamp")), "first")}, From: []ast.TableExpr{table("events")}, Where: cond}
		rows, err := c.run.Run(c.ctx, q)
		if err != nil || rows.N == 0 || rows.IsNull(0, 0) {
			return time.Time{}, false, err
		}
		return rows.Time(0, 0), true, nil
	}
	t, ok, err := find(cond)
	if !ok && err == nil && cond != nil {
		t, ok, err = find(nil)
	}
	if !ok && err == nil {
		t = c.now
	}
	return t, err
}

// anyOf is whether an event is one of several entities, without their filters.
func anyOf(list []*entity) ast.Expr {
	var conds []ast.Expr
	for _, e := range list {
		conds = append(conds, e.cond)
	}
	return or(conds...)
}

// span resolves the range of a query about entities.
func (c *compiler) span(q *query, list []*entity, rules rangeRules) (*span, error) {
	u, err := readUnit(q.Interval, "interval")
	if err != nil {
		return nil, err
	}
	return c.clock.span(q.Date, u, c.now, rules, func() (time.Time, error) { return c.firstEvent(anyOf(list)) })
}
