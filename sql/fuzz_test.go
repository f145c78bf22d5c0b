package sql_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/parse"
)

// FuzzCompile holds that any text compiles or is refused: no panic, and a plan that can
// be described. The seeds are the statements of testdata.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil || strings.HasPrefix(name, "testdata/fuzz") {
			continue
		}
		for line := range strings.Lines(string(data)) {
			f.Add(strings.TrimSpace(line))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		stmts, err := parse.Statements(text)
		if err != nil {
			return
		}
		for _, s := range stmts {
			start := work(t)
			st, err := sql.Compile(testContext(t, nil), s.Stmt, text)
			if d := work(t) - start; d > 2*time.Second {
				t.Errorf("Compile(%q) took %v", text, d)
			}
			if err != nil {
				if code := pgCode(err); code == "XX000" {
					t.Errorf("Compile(%q) = %v, want an error for the client", text, err)
				}
				continue
			}
			if st.Plan != nil {
				plan.Explain(st.Plan)
				schema := st.Schema
				if st.Copy != nil {
					schema = st.Copy.Schema
				}
				if st.Kind == sql.Query && st.Explain == nil && len(schema) != len(st.Plan.Schema()) {
					t.Errorf("Compile(%q): %d columns promised, plan has %d", text, len(schema), len(st.Plan.Schema()))
				}
			}
		}
	})
}
