package expr

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
)

// Every .** leads to each value of the document, for each of those before it.
func TestPathsLeadToSoManyValues(t *testing.T) {
	doc := []byte(strings.Repeat("[", 100) + strings.Repeat("]", 100))
	for path, want := range map[string]string{
		"$.**":                   "",
		"$.**.**.**.**.**.**.**": pgerr.ProgramLimitExceeded,
	} {
		q, err := parseJSONPath(path, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = (&pathRun{q: q, root: doc}).query()
		got := ""
		if err != nil {
			got = pgerr.From(err).Code
		}
		if got != want {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A path over any text gives JSON, or the error of a client.
func FuzzJSONPath(f *testing.F) {
	for _, seed := range [][2]string{
		{`$.datetime()`, "2026-01-31T13:00:00.5+02:30"}, {`$.datetime("DD-MM-YYYY\"T\"HH24:MI TZH:TZM").type()`, "10-03-2017T12:34 -05:20"},
		{`$ ? (@.datetime() < "10:00:00+01".datetime())`, "09:00:00"}, {`$.datetime("Y,YYY FMMonth HH12 AM")`, "2,020 May 11 pm"}, {`$.datetime("J")`, "2451187"},
		{`{"a": [1.5, {"b": "x", "c": {}}], "d": -1e5}`, ""}, {`$.**.datetime()`, "-4713-01-01"}, {`$.keyvalue().value.keyvalue().id`, "x"},
	} {
		f.Add(seed[0], seed[1])
	}
	z := zoneOf(nil)
	f.Fuzz(func(t *testing.T, path, text string) {
		docs := [][]byte{event.AppendJSONString(nil, []byte(text))}
		if doc, err := CanonicalJSON(nil, []byte(path)); err == nil { // the text of a path may be a document, too
			docs, path = [][]byte{doc}, "$.** ? (@.type() == \"object\").keyvalue()"
		}
		q, err := parseJSONPath(path, "")
		if err != nil {
			return
		}
		for _, doc := range docs {
			list, err := (&pathRun{q: q, root: doc, vars: []byte("{}"), zone: &z}).query()
			if err != nil && pgerr.Code(err) == pgerr.Internal {
				t.Fatalf("%q over %s: %v is not a client error", path, doc, err)
			}
			for _, v := range list {
				if !json.Valid(v) {
					t.Fatalf("%q over %s gives %q", path, doc, v)
				}
			}
		}
	})
}
