package insighttest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// caseOf is a case of the insights: data, a question, and a part of the answer.
type caseOf struct {
	Data
	Name   string
	Query  object
	Expect object
}

func readCases(t *testing.T, path string) []caseOf {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []caseOf
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c caseOf
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, c)
	}
	return out
}

// The model by itself gives the answers of the cases.
func TestModelAnswersTheCases(t *testing.T) {
	dir := filepath.Join("..", "testdata")
	if s := os.Getenv("PRICKLE_CONFORMANCE"); s != "" {
		dir = s
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasPrefix(filepath.Base(path), "saved-links") {
			continue
		}
		held, unknown := 0, map[string]int{}
		cases := readCases(t, path)
		for _, c := range cases {
			diffs, err := modelCase(c)
			var beyond Unsupported
			switch {
			case errors.As(err, &beyond):
				unknown[beyond.What]++
			case err != nil:
				t.Errorf("%s: %v", c.Name, err)
			case len(diffs) > 0:
				t.Errorf("%s:\n  %s", c.Name, strings.Join(diffs[:min(3, len(diffs))], "\n  "))
			default:
				held++
			}
		}
		t.Logf("%s: %d of %d hold, beyond the model: %v", filepath.Base(path), held, len(cases), unknown)
		if held*10 < len(cases)*8 {
			t.Errorf("%s: only %d of %d cases hold", path, held, len(cases))
		}
	}
}

func modelCase(c caseOf) ([]string, error) {
	var answer object
	var err error
	if strings.HasSuffix(textOf(c.Query, "kind"), "ActorsQuery") {
		var actors []Actor
		actors, err = Actors(&c.Data, c.Query)
		list := []any{}
		for _, a := range actors {
			if want := listOf(c.Expect, "actors"); len(want) > 0 && reflect.TypeOf(want[0]) == reflect.TypeOf(object{}) {
				appearances := []any{}
				for _, n := range a.Appearances {
					appearances = append(appearances, float64(n))
				}
				list = append(list, object{"actor": a.Name, "appearances": appearances})
			} else {
				list = append(list, a.Name)
			}
		}
		answer = object{"actors": list}
	} else {
		answer, err = Answer(&c.Data, c.Query)
	}
	want, refused := c.Expect["error"]
	var r refusal
	switch {
	case errors.As(err, &r) && refused:
		if s, ok := want.(string); ok && !strings.Contains(r.text, s) {
			return []string{fmt.Sprintf("refused with %q, want %q", r.text, s)}, nil
		}
		return nil, nil
	case err != nil:
		return nil, err
	case refused:
		return []string{fmt.Sprintf("answered, want the refusal %v", want)}, nil
	}
	return Missing(c.Expect, answer, "$"), nil
}
