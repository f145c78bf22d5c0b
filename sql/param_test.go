package sql_test

import (
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/vec"
)

// A path beside a parameter is read as the type that the client declared for it.
func TestParametersBesidePaths(t *testing.T) {
	for _, c := range []struct {
		text     string
		declared vec.Kind
		path     string
		param    vec.Kind
	}{
		{"SELECT event FROM events WHERE properties.price > $1", vec.Float8, "properties.price::double precision", vec.Float8},
		{"SELECT event FROM events WHERE properties.price > $1", vec.Int4, "properties.price::double precision", vec.Int4},
		{"SELECT event FROM events WHERE properties.price = $1", vec.Bool, "properties.price::boolean", vec.Bool},
		{"SELECT event FROM events WHERE $1 <= properties.due", vec.TimestampTZ, "properties.due::timestamp with time zone", vec.TimestampTZ},
		{"SELECT event FROM events WHERE properties.price = $1", vec.Unknown, "properties.price", vec.Text},
		{"SELECT event FROM events WHERE properties.price IN ($1, $1)", vec.Int8, "properties.price::double precision", vec.Int8},
	} {
		stmts, err := parse.Statements(c.text)
		if err != nil {
			t.Fatal(err)
		}
		st, err := sql.Compile(testContext(t, []vec.Type{vec.T(c.declared)}), stmts[0].Stmt, c.text)
		if err != nil {
			t.Errorf("%s with %v: %v", c.text, vec.T(c.declared), err)
			continue
		}
		text := strings.Join(plan.Explain(st.Plan), "\n")
		if !strings.HasSuffix(text, "Columns: "+c.path+", event") {
			t.Errorf("%s with %v: no %s in\n%s", c.text, vec.T(c.declared), c.path, text)
		}
		if st.Params[0] != vec.T(c.param) {
			t.Errorf("%s with %v: parameter is %v, want %v", c.text, vec.T(c.declared), st.Params[0], vec.T(c.param))
		}
	}
}
