package capture

import (
	"fmt"
	"strings"
	"testing"
)

func TestImportSaved(t *testing.T) {
	m := &memory{}
	lines := []string{
		`{"type":"person","distinct_ids":["a","b"],"properties":{}}`,
		`{"type":"person","distinct_ids":["c"],"properties":{},"created_at":"2020-01-01T00:00:00Z"}`,
		`{"type":"person","distinct_ids":["d"],"properties":{}}`,
		`{"type":"group","group_type_index":0,"key":"g1","properties":{"size":10}}`,
		`{"type":"group","group_type_index":4,"key":7,"properties":{},"created_at":"1970-01-01T00:00:01Z"}`,
		`{"type":"action","id":3,"name":"A","steps":[{"event":"e","url":"x<y","url_matching":"contains"}]}`,
		`{"type":"property_definition","definition":{"name":"size","type":"group","group_type_index":0,"property_type":"String"}}`,
		`{"type":"event","event":"e","distinct_id":"a","timestamp":"1970-01-01T00:00:05Z","properties":{},"elements":[{"tag_name":"a"}]}`,
		`{"type":"event","event":"e","distinct_id":"b","timestamp":"1970-01-01T00:00:03Z","properties":{}}`,
		`{"type":"event","event":"e","distinct_id":"c","timestamp":"1970-01-01T00:00:01Z","properties":{}}`,
		`{"type":"cohort","id":1,"name":"all","filters":{"properties":{"type":"OR","values":[{"type":"person","key":"x","value":1}]}}}`,
		`{"type":"cohort","id":2,"name":"some","is_static":true,"members":["b","d"]}`,
	}
	w := post(m, "application/x-ndjson", strings.Join(lines, "\n"))
	if want := `{"events":3,"persons":3,"stored":3,"duplicates":0,"groups":2,"objects":4}`; w.Code != 200 || w.Body.String() != want {
		t.Fatalf("import = %d %s, want %s", w.Code, w.Body, want)
	}
	var got []string
	for _, p := range m.persons {
		got = append(got, fmt.Sprintf("person %s %v %d", strings.Join(p.DistinctIDs, ","), p.HasCreatedAt, p.CreatedAt))
	}
	for _, g := range m.groups {
		got = append(got, fmt.Sprintf("group %d %s %s %d", g.Index, g.Key, g.Properties, g.CreatedAt))
	}
	for _, o := range m.objects {
		got = append(got, fmt.Sprintf("%s %d %q %d %s", o.Kind, o.ID, o.Key, o.Version, o.Body))
	}
	for _, e := range m.members {
		got = append(got, fmt.Sprintf("members %d %s %v", e.Cohort, strings.Join(e.DistinctIDs, ","), e.Replace))
	}
	want := []string{
		"person a,b true 3000000", "person c true 1577836800000000", "person d false 0",
		`group 0 g1 {"size":10} 0`, "group 4 7 {} 1000000",
		`action 3 "" -1 {"name":"A","steps":[{"event":"e","url":"x<y","url_matching":"contains"}]}`,
		`property_definition 0 "group/0/size" -1 {"group_type_index":0,"name":"size","property_type":"String","type":"group"}`,
		`cohort 1 "" -1 {"filters":{"properties":{"type":"OR","values":[{"type":"person","key":"x","value":1}]}},"name":"all"}`,
		`cohort 2 "" -1 {"is_static":true,"name":"some"}`, "members 2 b,d true",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("stored\n%s\nwant\n%s", g, w)
	}
	if !strings.Contains(show(m.batches[0], false), `$elements_chain text "a"`) {
		t.Error("the elements of an event are lost")
	}
}

func TestImportSavedRefused(t *testing.T) {
	for line, want := range map[string]string{
		`{"type":"group","key":"g"}`:                                                                                                `"group_type_index" is missing`,
		`{"type":"group","group_type_index":5,"key":"g"}`:                                                                           `not 0 to 4`,
		`{"type":"group","group_type_index":1,"key":""}`:                                                                            `there is no "key"`,
		`{"type":"group","group_type_index":1}`:                                                                                     `there is no "key"`,
		`{"type":"group","group_type_index":1,"key":"g","properties":[1]}`:                                                          `"properties" is not an object`,
		`{"type":"group","group_type_index":1,"key":"g","created_at":"soon"}`:                                                       `cannot be read as a time`,
		`{"type":"group","group_type_index":1,"key":"g","x":1}`:                                                                     `unknown field "x"`,
		`{"type":"action","name":"a","steps":[]}`:                                                                                   `"id" is missing`,
		`{"type":"action","id":0,"name":"a"}`:                                                                                       `"id" is missing, or not a number from 1 on`,
		`{"type":"action","id":1,"steps":[]}`:                                                                                       "name is missing or empty",
		`{"type":"action","id":1,"name":"a","steps":[{"url":"(","url_matching":"regex"}]}`:                                          "steps.0.url is no regular expression",
		`{"type":"action","id":1,"name":"a","steps":[{"url":"(","url_matching":"like"}]}`:                                           `steps.0.url_matching is "like"; it may be exact, contains, regex`,
		`{"type":"action","id":1,"name":"a","steps":[{"event":1}]}`:                                                                 "steps.0.event is a text",
		`{"type":"action","id":1,"name":"a","steps":[null]}`:                                                                        "steps.0 is an object",
		`{"type":"action","id":1,"name":"a","steps":[{"properties":3}]}`:                                                            "steps.0.properties is a list of property filters",
		`{"type":"cohort","id":1,"name":"c"}`:                                                                                       "needs filters.properties",
		`{"type":"cohort","id":1,"name":"c","members":[],"filters":{"properties":{}}}`:                                              `only a cohort with "is_static" has "members"`,
		`{"type":"cohort","id":1,"name":"c","is_static":true,"members":[1]}`:                                                        `"members" is a list of distinct ids`,
		`{"type":"cohort","id":1,"name":"c","filters":{"properties":{"values":[{"type":"x"}]}}}`:                                    `filters.properties.values.0.type is "x"`,
		`{"type":"cohort","id":1,"name":"c","filters":{"properties":{"values":[{"type":"behavioral","key":"e","value":"slept"}]}}}`: `value is "slept"`,
		`{"type":"property_definition","definition":{"name":"a","property_type":"Blob"}}`:                                           `property_type is "Blob"`,
		`{"type":"property_definition","definition":{"name":"a","type":"group"}}`:                                                   "needs group_type_index",
		`{"type":"property_definition","name":"a"}`:                                                                                 `"definition" is not an object`,
		`{"type":"survey"}`: `unknown type "survey"`,
	} {
		m := &memory{}
		w := post(m, "application/x-ndjson", `{"type":"person","distinct_ids":["a"]}`+"\n"+line)
		text := strings.ReplaceAll(w.Body.String(), `\"`, `"`)
		if w.Code != 400 || !strings.Contains(text, want) || !strings.Contains(text, "line 2: ") || len(m.persons)+len(m.objects)+len(m.groups) > 0 {
			t.Errorf("%s: %d %s, want %s", line, w.Code, text, want)
		}
	}
}
