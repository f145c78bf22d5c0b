package insight

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSavedLinks translates real links of old.
func TestSavedLinks(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "saved-links.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]string{
		"Quality signups":                      `{"dateRange":{"date_from":"-90d"},"filterTestAccounts":true,"interval":"week","kind":"TrendsQuery","properties":[{"key":"is_organization_first_user","type":"event","value":["true"],"operator":"exact"},{"key":"hubspot_score","type":"person","value":"70","operator":"gt"}],"series":[{"id":"12308","kind":"ActionsNode","math":"dau","name":"High quality sign ups"}],"trendsFilter":{"display":"ActionsLineGraph"}}`,
		"Conversion to paid":                   `{"dateRange":{"date_from":"-30d"},"filterTestAccounts":true,"funnelsFilter":{"funnelFromStep":0,"funnelToStep":1,"funnelVizType":"trends","funnelWindowInterval":12,"funnelWindowIntervalUnit":"month"},"interval":"week","kind":"FunnelsQuery","properties":[],"series":[{"id":"12308","kind":"ActionsNode","name":"High quality sign ups","properties":[{"key":"is_organization_first_user","operator":"exact","type":"event","value":["true"]},{"key":"realm","operator":"exact","type":"event","value":["cloud"]}]},{"id":"12299","kind":"ActionsNode","name":"User paid on cloud or self hosted"}]}`,
		"scale of instances":                   `{"dateRange":{"date_from":"-90d"},"interval":"day","kind":"TrendsQuery","properties":[],"series":[{"event":"instance status report","kind":"EventsNode","math":"unique_group","math_group_type_index":1,"name":"instance status report","properties":[{"group_type_index":1,"key":"events_count_total","operator":"gt","type":"group","value":"100000000"}]}],"trendsFilter":{"display":"ActionsBarValue"}}`,
		"Discoveries":                          `{"dateRange":{"date_from":"-90d"},"filterTestAccounts":true,"interval":"week","kind":"TrendsQuery","properties":[],"series":[{"id":"10784","kind":"ActionsNode","math":"total","name":"Discoveries"}],"trendsFilter":{"display":"ActionsLineGraph"}}`,
		"Insight viewed":                       `{"dateRange":{"date_from":"-90d"},"interval":"week","kind":"TrendsQuery","properties":[],"series":[{"event":"insight viewed","kind":"EventsNode","name":"insight viewed"}],"trendsFilter":{"display":"ActionsLineGraph"}}`,
		"products used across users":           `{"dateRange":{"date_from":"-90d"},"filterTestAccounts":true,"funnelsFilter":{"funnelOrderType":"unordered","funnelVizType":"steps","funnelWindowInterval":12,"funnelWindowIntervalUnit":"month"},"interval":"day","kind":"FunnelsQuery","properties":[],"series":[{"event":"insight loaded","kind":"EventsNode","math":"unique_group","math_group_type_index":0,"name":"insight loaded"},{"id":"4959","kind":"ActionsNode","name":"KFA - Feature flags"},{"id":"3091","kind":"ActionsNode","name":"KFA - Session recordings"},{"id":"6868","kind":"ActionsNode","name":"Tried Plugins"}]}`,
		"avg active users per organization":    `{"dateRange":{"date_from":"-90d"},"interval":"week","kind":"TrendsQuery","properties":[],"series":[{"event":"$pageview","kind":"EventsNode","math":"unique_group","math_group_type_index":0,"name":"$pageview"},{"id":"5043","kind":"ActionsNode","math":"dau","name":"App Pageview - Logged in"}],"trendsFilter":{"display":"ActionsLineGraph","formula":"B/A"}}`,
		"rate from insight viewed to analyzed": `{"dateRange":{"date_from":"-90d"},"interval":"week","kind":"TrendsQuery","properties":[],"series":[{"event":"insight viewed","kind":"EventsNode","name":"insight viewed"},{"event":"insight analyzed","kind":"EventsNode","name":"insight analyzed"}],"trendsFilter":{"display":"ActionsLineGraph","formula":"B/A"}}`,
	}
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); n++ {
		var link struct {
			Name  string `json:"name"`
			Query string `json:"query_string"`
		}
		if err := json.Unmarshal(sc.Bytes(), &link); err != nil {
			t.Fatal(err)
		}
		values, err := url.ParseQuery(link.Query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Link(values)
		if err != nil {
			t.Errorf("%s: %v", link.Name, err)
		} else if string(got) != want[link.Name] {
			t.Errorf("%s:\n got %s\nwant %s", link.Name, got, want[link.Name])
		}
	}
	if n != len(want) {
		t.Errorf("%d links, want %d", n, len(want))
	}
}

func TestBadLinks(t *testing.T) {
	for query, want := range map[string]string{
		"insight=NEW":                  "unknown kind of insight",
		"insight=TRENDS&events=%5B":    "the parameter events of the link is not valid JSON",
		"insight=TRENDS&events=%7B%7D": "the parameter events of the link is no list",
		"insight=FUNNELS&funnel_to_step=two&funnel_viz_type=trends": "funnel_to_step of the link is no whole number",
		"insight=TRENDS&sampling_factor=x":                          "sampling_factor of the link is no number",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Link(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}
