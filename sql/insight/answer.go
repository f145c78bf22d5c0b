package insight

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
)

// Answer is the answer to an insight query.
type Answer struct {
	Results any
	HasMore *bool // nil where it has no meaning
	// Fields are what else the kind answers with.
	Fields map[string]any
	// SQL is the statements that were run, in their order.
	SQL []string
}

// Ask answers an insight query at an instant. Errors that are *Refused are the query's.
func Ask(ctx context.Context, raw json.RawMessage, now time.Time, p Project, run Runner) (*Answer, error) {
	raw, kind, err := Unwrap(raw)
	if err != nil {
		return nil, err
	}
	rec := &recorder{Runner: run, hidden: p.Hidden}
	c := newCompiler(ctx, p, rec, now)
	answer, err := c.ask(raw, kind)
	if err != nil {
		return nil, err
	}
	answer.SQL = rec.sql
	return answer, nil
}

// kinds are the kinds of queries that [Ask] answers.
var kinds = []string{"ActorsQuery", "EventsQuery", "FunnelCorrelationQuery", "FunnelsQuery", "LifecycleQuery", "PathsQuery", "RetentionQuery", "StickinessQuery", "TrendsQuery"}

// Known refuses a kind of query that Ask does not answer.
func Known(kind string) error {
	switch {
	case slices.Contains(kinds, kind):
		return nil
	case kind == "InsightActorsQuery" || kind == "FunnelsActorsQuery" || kind == "FunnelCorrelationActorsQuery" || kind == "StickinessActorsQuery":
		return refuse("query.kind", "%s is the source of an ActorsQuery", kind)
	}
	return refuse("query.kind", "unknown kind of query %q; there are SQLQuery, HogQLQuery, %s, and InsightVizNode or DataTableNode around one", kind, strings.Join(kinds, ", "))
}

func (c *compiler) ask(raw json.RawMessage, kind string) (*Answer, error) {
	switch kind {
	case "ActorsQuery":
		return c.actorsQuery(raw)
	case "EventsQuery":
		return c.eventsQuery(raw)
	case "FunnelCorrelationQuery":
		return c.correlation(raw)
	}
	answer, ok := map[string]func(*query) (*Answer, error){"TrendsQuery": c.trends, "StickinessQuery": c.stickiness, "LifecycleQuery": c.lifecycle,
		"FunnelsQuery": c.funnels, "RetentionQuery": c.retention, "PathsQuery": c.paths}[kind]
	if !ok {
		return nil, Known(kind)
	}
	var q query
	if err := decode(raw, &q); err != nil {
		return nil, err
	}
	return answer(&q)
}

// recorder notes the statements that are run.
type recorder struct {
	Runner
	hidden func(table string) bool
	sql    []string
}

// Run implements Runner.
func (r *recorder) Run(ctx context.Context, q ast.Query) (*Rows, error) {
	ast.Walk(q, func(n ast.Node) bool {
		if t, ok := n.(*ast.TableName); ok && len(t.Name) == 1 && r.hidden(t.Name[0].Name) {
			t.Name = []ast.Ident{id("prickle"), t.Name[0]}
		}
		return true
	})
	r.sql = append(r.sql, ast.Format(q))
	return r.Runner.Run(ctx, q)
}

// Statements joins the statements of an answer.
func (a *Answer) Statements() string { return strings.Join(a.SQL, ";\n") }
