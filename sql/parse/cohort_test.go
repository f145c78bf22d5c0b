package parse

import (
	"testing"

	"github.com/prickledb/prickle/sql/ast"
)

// TestCohortOfParts prints a cohort whose query begins with a parenthesis, as no text gives
// one: the text must mean the same query again.
func TestCohortOfParts(t *testing.T) {
	query := func(text string) ast.Query {
		q, err := Query(text)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	x := &ast.InCohort{X: &ast.Null{}, Set: &ast.CohortQuery{Query: query("(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3")}}
	const want = "NULL IN COHORT (SELECT * FROM ((SELECT 1 UNION SELECT 2) INTERSECT SELECT 3))"
	text := ast.Format(x)
	if text != want {
		t.Errorf("printed as %s, want %s", text, want)
	}
	again, err := Expr(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := ast.Format(again); got != want {
		t.Errorf("printed again as %s", got)
	}
}
