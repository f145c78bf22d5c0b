package saved

import (
	"bytes"
	"encoding/json"
)

// Filter is a query with the filters of a dashboard: its date range in the place of the
// query's own, its properties beside them, and its breakdown where the kind of query has
// one. Queries in SQL stay as they are.
func Filter(query json.RawMessage, filters Body) json.RawMessage {
	var q Body
	if json.Unmarshal(query, &q) != nil || q == nil {
		return query // it is refused when it is asked
	}
	switch q.Text("kind") {
	case "InsightVizNode", "DataTableNode", "DataVisualizationNode":
		if q.Has("source") {
			q["source"] = Filter(q["source"], filters)
		}
		return q.JSON()
	case "SQLQuery", "HogQLQuery":
		return query
	case "EventsQuery":
		for from, to := range map[string]string{"date_from": "after", "date_to": "before"} {
			if filters.Has(from) {
				q[to] = filters[from]
			}
		}
	default:
		q.filterDates(filters)
	}
	q.filterProperties(filters["properties"])
	switch q.Text("kind") {
	case "TrendsQuery", "FunnelsQuery", "RetentionQuery":
		if filters.Has("breakdown_filter") {
			q["breakdownFilter"] = filters["breakdown_filter"]
		}
	}
	return q.JSON()
}

// filterDates puts a date range in the place of the query's.
func (b Body) filterDates(filters Body) {
	if !filters.Has("date_from") && !filters.Has("date_to") {
		return
	}
	var dates Body
	_ = json.Unmarshal(b["dateRange"], &dates) // none then
	if dates == nil {
		dates = Body{}
	}
	for _, name := range []string{"date_from", "date_to", "explicitDate"} {
		delete(dates, name)
		if filters.Has(name) {
			dates[name] = filters[name]
		}
	}
	b["dateRange"] = dates.JSON()
}

// filterProperties adds filters to those of the query.
func (b Body) filterProperties(more json.RawMessage) {
	all := append(filterList(b["properties"]), filterList(more)...)
	if len(all) == 0 {
		return
	}
	b["properties"] = append(append([]byte{'['}, bytes.Join(all, []byte{','})...), ']')
}

// filterList is filters as a list, of which a group is one.
func filterList(raw json.RawMessage) [][]byte {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		if len(raw) == 0 || raw[0] != '{' {
			return nil
		}
		list = []json.RawMessage{raw}
	}
	out := make([][]byte, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}
