package logictest

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/plan"
)

// choosy runs every statement once more without one of the optimiser's rules.
type choosy struct {
	*database
	rule string
}

// Run implements Database.
func (c *choosy) Run(t *testing.T, text string) (*Result, error) {
	want, err := c.database.Run(t, text)
	if err != nil || strings.Contains(text, "EXPLAIN") || strings.Contains(strings.ToLower(text), "random") {
		return want, err
	}
	if _, err := c.settings.Set("disabled_rules", c.rule, false); err != nil {
		t.Fatal(err)
	}
	got, err := c.database.Run(t, text)
	if _, err := c.settings.Set("disabled_rules", "", false); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Errorf("%s\nwithout %s: %v", text, c.rule, err)
		return want, nil
	}
	if a, b := sorted(want), sorted(got); !slices.Equal(a, b) {
		t.Errorf("%s\nwithout %s: %q\nwith it: %q", text, c.rule, b, a)
	}
	return want, nil
}

// sorted is the rows of an answer in an order of their own, each as one text.
func sorted(r *Result) []string {
	var out []string
	for _, row := range r.Rows {
		var line strings.Builder
		for _, v := range row {
			if v == nil {
				line.WriteString("NULL|")
				continue
			}
			line.WriteString(*v + "|")
		}
		out = append(out, line.String())
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// TestRulesAreOptional runs the text cases with and without each rule.
func TestRulesAreOptional(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs every case many times")
	}
	for _, rule := range plan.Rules() {
		t.Run(rule, func(t *testing.T) {
			Run(t, "testdata", func(t *testing.T) Database {
				d := open(t, true)
				d.threads = 2
				return &choosy{d, rule}
			})
		})
	}
}
