package insight

import (
	"encoding/json"
	"testing"
)

// The same event with other filters is the same entity; another name or kind is not, even
// if it should match the same rows.
func TestSameEntity(t *testing.T) {
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`{}`, true},
		{`{"returningEntity": {"id": "$pageview"}}`, true},
		{`{"targetEntity": {"id": "$pageview", "type": "events"}, "returningEntity": {"id": "$pageview", "properties": [{"key": "a", "value": "b"}]}}`, true},
		{`{"targetEntity": {"id": "buy"}}`, false},
		{`{"targetEntity": {"id": "buy"}, "returningEntity": {"id": "buy", "type": "events"}}`, true},
		{`{"targetEntity": {"id": null}, "returningEntity": {"id": null, "type": "events"}}`, true},
		{`{"targetEntity": {"id": null}}`, false},
		{`{"targetEntity": {"id": 3, "type": "actions"}, "returningEntity": {"id": "3", "type": "actions"}}`, true},
		{`{"targetEntity": {"id": 3, "type": "actions"}, "returningEntity": {"id": "3", "type": "events"}}`, false},
	} {
		r := &retained{q: &query{}}
		if err := json.Unmarshal([]byte(c.filter), &r.q.Retention); err != nil {
			t.Fatal(err)
		}
		if got := r.sameEntity(); got != c.want {
			t.Errorf("%s: one entity is %v", c.filter, got)
		}
	}
}
