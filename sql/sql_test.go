package sql_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/vec"
)

// The clock of the tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testContext(t testing.TB, params []vec.Type) sql.CompileContext {
	t.Helper()
	settings, err := sql.NewSettings(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sql.CompileContext{
		Catalog: &catalog.Catalog{
			Project: 1, Database: "prickle", Tables: catalog.Builtin(),
			Properties: func() []string { return []string{"$browser", "country", "plan", "price"} },
		},
		Expr:       &expr.Context{Now: now.UnixMicro(), Statement: now.UnixMicro(), Location: time.UTC, Database: "prickle", User: "ann"},
		Settings:   settings,
		ParamTypes: params,
	}
}

func errorText(err error) string {
	e := pgerr.From(err)
	s := e.Code
	if e.Position > 0 {
		s += fmt.Sprintf(" at %d", e.Position)
	}
	s += ": " + e.Message
	if e.Detail != "" {
		s += " (detail: " + e.Detail + ")"
	}
	if e.Hint != "" {
		s += " (hint: " + e.Hint + ")"
	}
	return s + "\n"
}

func schemaText(s vec.Schema) string {
	words := make([]string, len(s))
	for i, f := range s {
		words[i] = f.Name + " " + f.Type.String()
	}
	return strings.Join(words, ", ")
}

func compile(t testing.TB, text string) (*sql.Statement, error) {
	stmt, err := parse.One(text)
	if err != nil {
		return nil, err
	}
	return sql.Compile(testContext(t, nil), stmt, text)
}

// TestCompile runs testdata: "plan" prints columns and plan of a statement, "columns"
// only the columns, "errors" one line for each line of input, "command" the command.
func TestCompile(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			switch d.Cmd {
			case "plan":
				st, err := compile(t, d.Input)
				if err != nil {
					return errorText(err)
				}
				fmt.Fprintf(&out, "%s\n", schemaText(st.Schema))
				if len(st.Params) > 0 {
					fmt.Fprintf(&out, "parameters %v\n", st.Params)
				}
				for _, line := range plan.ExplainText(plan.Describe(st.Plan, nil), plan.TextOptions{}) {
					fmt.Fprintf(&out, "%s\n", line)
				}
			case "columns":
				for line := range strings.Lines(d.Input) {
					st, err := compile(t, strings.TrimSpace(line))
					if err != nil {
						out.WriteString(errorText(err))
						continue
					}
					fmt.Fprintf(&out, "%s\n", schemaText(st.Schema))
				}
			case "errors":
				for line := range strings.Lines(d.Input) {
					st, err := compile(t, strings.TrimRight(line, "\n"))
					if err != nil {
						out.WriteString(errorText(err))
						continue
					}
					fmt.Fprintf(&out, "no error, %s\n", st.Tag)
				}
			case "command":
				for line := range strings.Lines(d.Input) {
					st, err := compile(t, strings.TrimRight(line, "\n"))
					switch {
					case err != nil:
						out.WriteString(errorText(err))
					case st.Command == nil:
						fmt.Fprintf(&out, "%s: a query\n", st.Tag)
					default:
						c := st.Command
						fmt.Fprintf(&out, "%s: kind %d name %q value %q local %v default %v all %v\n", st.Tag, c.Kind, c.Name, c.Value, c.Local, c.Default, c.All)
					}
				}
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			return out.String()
		})
	})
}

func pgCode(err error) string { return pgerr.Code(err) }

// TestCompileIsBounded holds that a short statement cannot ask for a plan without end. What
// is measured is the work of the process, which does not depend on what else the machine does.
func TestCompileIsBounded(t *testing.T) {
	aliases := "SELECT 1 AS a0"
	for i := range 60 {
		aliases += fmt.Sprintf(", a%d + a%d AS a%d", i, i, i+1)
	}
	between, cases, derived := "true", "1", "SELECT 1 + random()::int AS x"
	for range 60 {
		between = "(" + between + " BETWEEN SYMMETRIC true AND false)"
		cases = "CASE " + cases + " WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 4 END"
	}
	for i := range 40 {
		derived = fmt.Sprintf("SELECT x + x AS x FROM (%s) AS t%d WHERE x > 0", derived, i)
	}
	for _, text := range []string{
		aliases, "SELECT " + between, "SELECT " + cases, derived,
		strings.Replace(derived, "1 + random()::int AS x", "length(event) AS x FROM events", 1),
		"SELECT " + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300),
		"SELECT " + strings.Repeat("- ", 5000) + "event FROM events",
		"SELECT 1" + strings.Repeat(" + 1", 20000),
		"SELECT 1 WHERE 1 IN (1" + strings.Repeat(", 1", 100000) + ")",
		"SELECT 1" + strings.Repeat(", 1", 3000),
	} {
		start := work(t)
		_, err := compile(t, text)
		if err != nil && pgCode(err) == "XX000" {
			t.Errorf("Compile(%.40q…) = %v", text, err)
		}
		took := work(t) - start
		if took > 5*time.Second {
			t.Errorf("Compile(%.40q…) took %v", text, took)
		}
		if testing.Verbose() {
			t.Logf("%.40q… %v %v", text, took.Round(time.Millisecond), err)
		}
	}
}

// work is how long processors have worked for this process.
func work(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
