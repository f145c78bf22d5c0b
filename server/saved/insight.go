package saved

import "encoding/json"

// CheckInsight checks the body of an insight.
func CheckInsight(b Body) error {
	if err := checkCommon(b, false); err != nil {
		return err
	}
	if err := b.checkName("derived_name", false); err != nil {
		return err
	}
	if err := b.checkFlag("favorited"); err != nil {
		return err
	}
	var order *int64
	if err := b.read("order", "order", "a whole number", &order); err != nil {
		return err
	}
	return checkQuery(b, true)
}

// checkQuery checks that the member query is a query. What it asks is found out when it is
// answered.
func checkQuery(b Body, needed bool) error {
	if !b.Has("query") {
		if needed {
			return required("query", `an insight needs a query, such as {"kind": "TrendsQuery", …}`)
		}
		return nil
	}
	var q Body
	if err := json.Unmarshal(b["query"], &q); err != nil || q == nil {
		return wrong("query", "query is an object")
	}
	if q.Text("kind") == "" {
		return required("query.kind", `the query needs a "kind"`)
	}
	return nil
}
