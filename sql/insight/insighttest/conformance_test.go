package insighttest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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
	return missing(c.Expect, answer, "$"), nil
}

// missing says what of want is not in got: objects of got may have more keys.
func missing(want, got any, path string) []string {
	switch w := want.(type) {
	case object:
		g, ok := got.(object)
		if !ok {
			return []string{fmt.Sprintf("%s: got %v, want an object", path, got)}
		}
		var out []string
		for k, v := range w {
			switch k {
			case "results_count":
				if n := len(listOf(g, "results")); float64(n) != v {
					out = append(out, fmt.Sprintf("%s: %d results, want %v", path, n, v))
				}
			case "results_unordered":
				left := slices.Clone(listOf(g, "results"))
				for _, one := range v.([]any) {
					i := slices.IndexFunc(left, func(l any) bool { return len(missing(one, l, "")) == 0 })
					if i < 0 {
						out = append(out, fmt.Sprintf("%s: no result is %v among %v", path, one, left))
						continue
					}
					left = slices.Delete(left, i, i+1)
				}
			default:
				out = append(out, missing(v, g[k], path+"."+k)...)
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s: got %v, want %v", path, got, want)}
		}
		var out []string
		for i := range w {
			out = append(out, missing(w[i], g[i], fmt.Sprintf("%s[%d]", path, i))...)
		}
		return out
	case float64:
		if g, ok := got.(float64); ok && math.Abs(g-w) <= 1e-9*max(math.Abs(g), math.Abs(w)) {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: got %v, want %v", path, got, want)}
}
