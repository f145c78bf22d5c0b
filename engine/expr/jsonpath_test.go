package expr

import (
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
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
