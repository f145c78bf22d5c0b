package saved

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/object"
)

func body(t *testing.T, text string) Body {
	t.Helper()
	var b Body
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUses(t *testing.T) {
	for text, want := range map[string]string{
		`{"kind":"TrendsQuery","series":[{"kind":"ActionsNode","id":3},{"kind":"EventsNode","event":"e"},{"kind":"ActionsNode","id":"4"}]}`:              "[action 3 action 4]",
		`{"properties":{"type":"AND","values":[{"type":"AND","values":[{"type":"cohort","key":"id","value":5}]},{"type":"static-cohort","value":"6"}]}}`: "[cohort 5 cohort 6]",
		`{"breakdownFilter":{"breakdown_type":"cohort","breakdown":[7,"all",8]}}`:                                                                        "[cohort 7 cohort 8]",
		`{"breakdownFilter":{"breakdowns":[{"type":"cohort","property":9}]}}`:                                                                            "[cohort 9]",
		`{"breakdownFilter":{"breakdown_type":"event","breakdown":7}}`:                                                                                   "[]",
		`{"retentionFilter":{"targetEntity":{"id":1,"type":"actions"},"returningEntity":{"id":"x","type":"events"}}}`:                                    "[action 1]",
		`{"type":"behavioral","value":"performed_event_sequence","event_type":"actions","key":2,"seq_event_type":"actions","seq_event":3}`:               "[action 2 action 3]",
		`{"type":"behavioral","event_type":"events","key":"2","event_filters":[{"type":"cohort","value":4}]}`:                                            "[cohort 4]",
		`{"funnelsFilter":{"exclusions":[{"kind":"ActionsNode","id":12}]},"tiles":[{"insight":1}]}`:                                                      "[action 12]",
		`{"type":"person","value":1}`: "[]",
		`no JSON`:                     "[]",
	} {
		got := Uses(json.RawMessage(text))
		slices.SortFunc(got, func(a, b Ref) int { return strings.Compare(a.String(), b.String()) })
		if fmt.Sprint(got) != want {
			t.Errorf("%s uses %v, want %s", text, got, want)
		}
	}
}

func TestCycle(t *testing.T) {
	of := func(ids ...int64) json.RawMessage {
		out := `{"filters":[`
		for i, id := range ids {
			out += strings.Repeat(",", min(i, 1)) + fmt.Sprintf(`{"type":"cohort","value":%d}`, id)
		}
		return json.RawMessage(out + "]}")
	}
	var s object.State
	for i, b := range []json.RawMessage{of(2, 3), of(3), of(), of(1, 9)} {
		if _, err := s.Apply([]object.Edit{{Kind: object.Cohort, ID: int64(i + 1), Body: b}}, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		id   int64
		body json.RawMessage
		want string
	}{
		{3, of(), ""},
		{3, of(5), ""},
		{3, of(1), "cohort 3 → cohort 1 → cohort 2 → cohort 3"},
		{3, of(3), "cohort 3 → cohort 3"},
		{0, of(1, 4), ""},
		{9, of(4), "cohort 9 → cohort 4 → cohort 9"},
	} {
		err := Cycle(s.Publish(), map[Ref]json.RawMessage{{object.Cohort, c.id}: c.body})
		var p *Problem
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &p) || !strings.HasSuffix(p.Detail, ": "+c.want)) {
			t.Errorf("cohort %d of %s: %v, want %q", c.id, c.body, err, c.want)
		}
	}
}

func TestFilter(t *testing.T) {
	const all = `{"date_from":"-30d","properties":[{"key":"b"}],"breakdown_filter":{"breakdown":"x"}}`
	for _, c := range []struct{ query, filters, want string }{
		{`{"kind":"TrendsQuery"}`, `{}`, `{"kind":"TrendsQuery"}`},
		{`{"kind":"TrendsQuery","dateRange":{"date_from":"-7d","date_to":"-1d","other":1},"properties":[{"key":"a"}],"breakdownFilter":{"breakdown":"y"}}`, all,
			`{"breakdownFilter":{"breakdown":"x"},"dateRange":{"date_from":"-30d","other":1},"kind":"TrendsQuery","properties":[{"key":"a"},{"key":"b"}]}`},
		{`{"kind":"InsightVizNode","source":{"kind":"LifecycleQuery","properties":{"type":"OR","values":[]}}}`, all,
			`{"kind":"InsightVizNode","source":{"dateRange":{"date_from":"-30d"},"kind":"LifecycleQuery","properties":[{"type":"OR","values":[]},{"key":"b"}]}}`},
		{`{"kind":"FunnelsQuery"}`, `{"properties":{"type":"AND","values":[1]},"date_to":"2026-01-01","explicitDate":true}`,
			`{"dateRange":{"date_to":"2026-01-01","explicitDate":true},"kind":"FunnelsQuery","properties":[{"type":"AND","values":[1]}]}`},
		{`{"kind":"EventsQuery"}`, all, `{"after":"-30d","kind":"EventsQuery","properties":[{"key":"b"}]}`},
		{`{"kind":"SQLQuery","query":"select 1"}`, all, `{"kind":"SQLQuery","query":"select 1"}`},
		{`[]`, all, `[]`},
		{`{"kind":"DataTableNode"}`, all, `{"kind":"DataTableNode"}`},
	} {
		if got := string(Filter(json.RawMessage(c.query), body(t, c.filters))); got != c.want {
			t.Errorf("%s with %s\n= %s\nwant %s", c.query, c.filters, got, c.want)
		}
	}
}

func TestReadIDs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      `[]`,
		"a\nb\na\n\n":                           `["a" "b"]`,
		"Distinct_ID\na\n":                      `["a"]`,
		"\ufeffemail;x\n":                       `["email;x"]`,
		"\ufeffdistinct_id,n\r\na,1\r\nb,2\r\n": `["a" "b"]`,
		"name,distinct_id\nA,\"a,1\"\nB\n":      `["a,1"]`,
		"a,ignored\nb\n":                        `["a" "b"]`,
		" a \n\"b\"c\n":                         `["a" "b\"c"]`,
	} {
		got, err := ReadIDs(strings.NewReader(text))
		if err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%q = %q %v, want %s", text, got, err, want)
		}
	}
}

func TestPatchTiles(t *testing.T) {
	has := func(id int64) bool { return id < 10 }
	tiles := []Tile{{ID: 1, Insight: 1}, {ID: 4, Text: &Text{"x"}}}
	for in, want := range map[string]string{
		`[]`: `[{"id":1,"insight":1},{"id":4,"text":{"body":"x"}}]`,
		`[{"id":1,"deleted":true},{"insight":{"id":2,"name":"whole"}},{"insight_id":3}]`:             `[{"id":4,"text":{"body":"x"}},{"id":5,"insight":2},{"id":6,"insight":3}]`,
		`[{"id":4,"insight":5},{"id":1,"text":{"body":"y"},"color":"red","layouts":{"xs":{"x":1}}}]`: `[{"id":1,"text":{"body":"y"},"layouts":{"xs":{"x":1}},"color":"red"},{"id":4,"insight":5}]`,
		`1`:                       "tiles is a list of objects",
		`[null]`:                  "tiles.0 is an object",
		`[{"insight":10}]`:        "there is no insight 10",
		`[{"id":2}]`:              "the dashboard has no tile 2",
		`[{"color":"x"}]`:         "a tile needs an insight, which is its number, or a text",
		`[{"text":3}]`:            `tiles.0.text is a text, or {"body": …}`,
		`[{"id":1,"layouts":[]}]`: `tiles.0.layouts is an object such as {"sm": {"x": 0, "y": 0, "w": 6, "h": 5}}`,
	} {
		out, err := PatchTiles(slices.Clone(tiles), json.RawMessage(in), has)
		got, _ := json.Marshal(out)
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%s\n= %s\nwant %s", in, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	b := body(t, `{"name":"n","steps":[],"junk":1,"description":null}`)
	kept := Body{"description": json.RawMessage(`"old"`)}
	Actions.Patch(kept, b)
	if got := string(kept.JSON()); got != `{"name":"n","steps":[]}` {
		t.Errorf("patched: %s", got)
	}
	if got := string(Actions.Show(kept).JSON()); got != `{"deleted":false,"description":"","name":"n","steps":[],"tags":[]}` {
		t.Errorf("shown: %s", got)
	}
}
