package insight

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// maxEvents is how many events one answer may hold.
const maxEvents = 50_000

// eventsQuery is EventsQuery: a list of events.
type eventsQuery struct {
	Select     []string        `json:"select"`
	Event      *string         `json:"event"`
	Action     *int64          `json:"actionId"`
	PersonID   *string         `json:"personId"`
	Properties json.RawMessage `json:"properties"`
	Fixed      json.RawMessage `json:"fixedProperties"`
	Where      []string        `json:"where"`
	OrderBy    []string        `json:"orderBy"`
	After      *string         `json:"after"`
	Before     *string         `json:"before"`
	Limit      *int            `json:"limit"`
	Offset     *int            `json:"offset"`
	TestUsers  bool            `json:"filterTestAccounts"`
}

// wholeEvent are the columns of an event that is shown whole.
var wholeEvent = []string{"uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at", "person_id"}

// eventsQuery answers an EventsQuery: the newest events first, unless it says otherwise.
func (c *compiler) eventsQuery(raw json.RawMessage) (*Answer, error) {
	var q eventsQuery
	if err := decode(raw, &q); err != nil {
		return nil, err
	}
	limit := 100
	if q.Limit != nil {
		limit = *q.Limit
	}
	if limit < 0 || limit > maxEvents || orZero(q.Offset) < 0 {
		return nil, refuse("limit", "limit lies between 0 and %d, and offset is not negative", maxEvents)
	}
	where, err := c.eventsWhere(&q)
	if err != nil {
		return nil, err
	}
	if len(q.Select) == 0 {
		q.Select = []string{"*", "event", "person", "timestamp"}
	}
	sel := &ast.Select{From: []ast.TableExpr{table("events")}, Where: where}
	at := make([]int, len(q.Select)) // where a column begins among the items
	for i, s := range q.Select {
		at[i] = len(sel.Items)
		plain := strings.TrimSpace(withoutAlias(s))
		switch plain {
		case "*":
			for _, name := range wholeEvent {
				sel.Items = append(sel.Items, item(column(name), ""))
			}
			continue
		case "person":
			sel.Items = append(sel.Items, item(column("person_id"), ""), item(column("distinct_id"), ""))
			continue
		}
		e, err := c.expression(s, fmt.Sprintf("select[%d]", i))
		if err != nil {
			return nil, err
		}
		sel.Items = append(sel.Items, item(e, ""))
	}
	if err := c.eventsOrder(&q, sel); err != nil {
		return nil, err
	}
	sel.Limit = integer(limit + 1)
	if n := orZero(q.Offset); n > 0 {
		sel.Offset = integer(n)
	}
	rows, err := c.run.Run(c.ctx, sel)
	if err != nil {
		return nil, err
	}
	n := min(rows.N, limit)
	persons, err := c.rowPersons(&q, rows, at, n)
	if err != nil {
		return nil, err
	}
	results := [][]any{}
	for r := range n {
		row := []any{}
		for i, s := range q.Select {
			switch strings.TrimSpace(withoutAlias(s)) {
			case "*":
				m := map[string]any{}
				for k, name := range wholeEvent {
					m[name] = rows.value(r, at[i]+k)
				}
				row = append(row, m)
			case "person":
				p := persons[r]
				row = append(row, map[string]any{"uuid": uuidText(p.ID), "id": uuidText(p.ID), "distinct_id": rows.Text(r, at[i]+1),
					"distinct_ids": p.DistinctIDs, "properties": p.Properties, "is_identified": p.Identified})
			default:
				row = append(row, rows.value(r, at[i]))
			}
		}
		results = append(results, row)
	}
	more := rows.N > limit
	return &Answer{Results: results, HasMore: &more, Fields: map[string]any{"columns": q.Select, "limit": limit, "offset": orZero(q.Offset)}}, nil
}

// rowPersons finds the persons of the rows, if they are shown.
func (c *compiler) rowPersons(q *eventsQuery, rows *Rows, at []int, n int) ([]Person, error) {
	for i, s := range q.Select {
		if strings.TrimSpace(withoutAlias(s)) != "person" {
			continue
		}
		ids := make([]vec.UUIDValue, n)
		for r := range ids {
			v, k := rows.at(r, at[i])
			ids[r] = v.UUIDs[k]
		}
		return c.run.Persons(c.ctx, ids)
	}
	return nil, nil
}

func (c *compiler) eventsWhere(q *eventsQuery) (ast.Expr, error) {
	var conds []ast.Expr
	if given(q.Event) {
		conds = append(conds, equal(column("event"), text(*q.Event)))
	}
	if q.Action != nil {
		n := &node{Kind: "ActionsNode", ID: flexID{Set: true, Num: *q.Action, IsN: true, Text: fmt.Sprint(*q.Action)}}
		e, err := c.entity(n, "actionId")
		if err == nil {
			err = missingAction([]*entity{e})
		}
		if err != nil {
			return nil, err
		}
		conds = append(conds, e.cond)
	}
	if given(q.PersonID) {
		id, err := uuid.Parse(*q.PersonID)
		if err != nil {
			return nil, refuse("personId", "%q is not the id of a person", *q.PersonID)
		}
		conds = append(conds, equal(column("person_id"), &ast.Typed{Type: ast.TypeName{Name: "uuid"}, Value: id.String()}))
	}
	after := "-24h"
	if q.After != nil {
		after = *q.After
	}
	if after != "all" && after != "" {
		conds = append(conds, binary(">", column("timestamp"), instant(c.readDate(after, c.now).t)))
	}
	if given(q.Before) {
		conds = append(conds, binary("<", column("timestamp"), instant(c.readDate(*q.Before, c.now).t)))
	}
	for i, s := range q.Where {
		e, err := c.condition(s, fmt.Sprintf("where[%d]", i))
		if err != nil {
			return nil, err
		}
		conds = append(conds, e)
	}
	for _, raw := range []json.RawMessage{q.Properties, q.Fixed} {
		e, err := c.filters(raw, "properties")
		if err != nil {
			return nil, err
		}
		conds = append(conds, e)
	}
	if q.TestUsers {
		e, err := c.filters(c.project.TestAccounts(), "test_account_filters")
		if err != nil {
			return nil, err
		}
		conds = append(conds, e)
	}
	return and(conds...), nil
}

func (c *compiler) eventsOrder(q *eventsQuery, sel *ast.Select) error {
	order := q.OrderBy
	if len(order) == 0 {
		order = []string{"timestamp DESC"}
	}
	for i, s := range order {
		o := ast.OrderItem{}
		s = strings.TrimSpace(s)
		if upper := strings.ToUpper(s); strings.HasSuffix(upper, " DESC") {
			s, o.Desc = s[:len(s)-5], true
		} else if strings.HasSuffix(upper, " ASC") {
			s = s[:len(s)-4]
		}
		e, err := c.expression(s, fmt.Sprintf("orderBy[%d]", i))
		if err != nil {
			return err
		}
		o.Expr = e
		sel.OrderBy = append(sel.OrderBy, o)
	}
	sel.OrderBy = append(sel.OrderBy, ast.OrderItem{Expr: column("uuid")})
	return nil
}

// value is a value as JSON writes it.
func (r *Rows) value(row, col int) any {
	if r.IsNull(row, col) {
		return nil
	}
	v, i := r.at(row, col)
	switch v.Type.Kind {
	case vec.Bool:
		return v.Bools[i]
	case vec.JSONB:
		return json.RawMessage(v.Str.At(i))
	case vec.Text:
		return string(v.Str.At(i))
	case vec.UUID:
		return uuidText(v.UUIDs[i])
	case vec.TimestampTZ:
		return r.Time(row, col).Format(time.RFC3339Nano)
	case vec.Float8, vec.Float4:
		return finite(v.F64[i])
	case vec.Int2, vec.Int4, vec.Int8:
		return v.I64[i]
	}
	return r.Text(row, col)
}
