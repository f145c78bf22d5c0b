package parse

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

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// TestText runs the cases in testdata: what was parsed is printed, and what was
// printed must parse to an equal tree.
func TestText(t *testing.T) {
	datadriven.Walk(t, "testdata/cases", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "parse", "expand":
				r, err := Text(d.Input)
				if err != nil {
					return describe(err)
				}
				var out strings.Builder
				for _, n := range r.Notices {
					fmt.Fprintf(&out, "%s %s\n", n.Severity, describe(n))
				}
				for _, s := range r.Statements {
					roundTrip(t, s.Stmt)
					if short, ok := s.Stmt.(*ast.Shorthand); ok && d.Cmd == "expand" {
						roundTrip(t, ast.Expand(short))
						fmt.Fprintln(&out, ast.Format(ast.Expand(short)))
						continue
					}
					switch s.Stmt.(type) {
					case *ast.Unsupported, *ast.NoEffect:
						fmt.Fprintf(&out, "%s\n", dumpOpaque(s.Stmt))
					default:
						fmt.Fprintln(&out, ast.Format(s.Stmt))
					}
				}
				return out.String()
			case "expr":
				x, err := Expr(d.Input)
				if err != nil {
					return describe(err)
				}
				text := ast.Format(x)
				y, err := Expr(text)
				if err != nil {
					t.Errorf("%s: printed as %s: %v", d.Input, text, err)
				} else if !equal(x, y) {
					t.Errorf("%s: printed as %s, which is another tree", d.Input, text)
				}
				return text + "\n"
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

func dumpOpaque(s ast.Stmt) string {
	switch s := s.(type) {
	case *ast.Unsupported:
		return "unsupported " + s.What + ": " + s.Text
	case *ast.NoEffect:
		return fmt.Sprintf("no effect %s (warn %v): %s", s.Tag, s.Warn, s.Text)
	}
	return ""
}

func describe(err error) string {
	var e *pgerr.Error
	if !errors.As(err, &e) {
		return "not a client error: " + err.Error()
	}
	out := fmt.Sprintf("%s at %d: %s", e.Code, e.Position, e.Message)
	if e.Hint != "" {
		out += " (hint: " + e.Hint + ")"
	}
	return out + "\n"
}

// roundTrip checks that s prints as text that parses to an equal tree.
func roundTrip(t *testing.T, s ast.Stmt) {
	t.Helper()
	text := ast.Format(s)
	again, err := One(text)
	if err != nil {
		t.Errorf("printed as %s: %v", text, err)
		return
	}
	if !equal(s, again) {
		t.Errorf("printed as %s, which is another tree and prints as %s", text, ast.Format(again))
	}
}

// equal compares trees. Places do not count; nor do quotes, which a reserved
// word after AS gains when it is printed.
func equal(a, b any) bool { return equalValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

var (
	placeType = reflect.TypeOf(ast.Place{})
	identType = reflect.TypeOf(ast.Ident{})
)

func equalValue(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Interface, reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return equalValue(a.Elem(), b.Elem())
	case reflect.Struct:
		if a.Type() == placeType {
			return true
		}
		if a.Type() == identType {
			return a.FieldByName("Name").String() == b.FieldByName("Name").String()
		}
		for i := 0; i < a.NumField(); i++ {
			if !equalValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := 0; i < a.Len(); i++ {
			if !equalValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}

// TestDeep checks that nesting and chains of any kind end in an error and not
// in a full stack.
func TestDeep(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs in one goroutine, and for long under the race detector")
	}
	const n = 100_000
	rep := strings.Repeat
	for _, sql := range []string{
		"SELECT " + rep("(", n) + "1" + rep(")", n),
		"SELECT " + rep("NOT ", n) + "true",
		"SELECT " + rep("- ", n) + "1",
		"SELECT " + rep("@ ", n) + "1",
		"SELECT 1" + rep("+1", n),
		"SELECT 1" + rep("::int", n),
		"SELECT a" + rep("[1]", n),
		"SELECT a" + rep(".b", n),
		"SELECT 1" + rep(" UNION SELECT 1", n),
		"SELECT * FROM " + rep("(", n) + "SELECT 1" + rep(")", n),
		"SELECT * FROM " + rep("(SELECT * FROM ", n) + "t" + rep(")", n),
		rep("(", n) + "SELECT 1" + rep(")", n),
		"SELECT * FROM t" + rep(" JOIN t", n),
		"SELECT * FROM t" + rep(" NATURAL JOIN t", n),
		"SELECT " + rep("CASE WHEN ", n),
		"SELECT " + rep("f(", n),
		"SELECT " + rep("ARRAY[", n),
		"SELECT ARRAY" + rep("[", n),
		"SELECT 1 GROUP BY " + rep("ROLLUP (", n),
		"SELECT a IN COHORT " + rep("(", n) + "b" + rep(")", n),
		"SELECT * FROM " + rep("FUNNEL(FROM ", n),
		rep("EXPLAIN ", n),
		rep("PREPARE a AS ", n),
		rep("WITH a AS (", n),
		"SELECT " + rep("EXTRACT(a FROM ", n),
		"SELECT " + rep("a BETWEEN ", n),
		"SELECT " + rep("a IN (", n),
		"SELECT " + rep("((SELECT ", n),
		"SELECT " + rep("a = ANY (", n),
		"SELECT count(*) OVER (" + rep("ORDER BY count(*) OVER (", n),
		"SELECT * FROM t" + rep(" PIVOT (a FOR b IN (1))", n),
		"SELECT * FROM " + rep("LATERAL ", n),
		"SELECT 1" + rep(" IS NULL", n),
		"SELECT 1" + rep(" COLLATE a", n),
	} {
		_, err := Statements(sql)
		if err == nil {
			t.Errorf("%s…: parsed", sql[:30])
		} else if code := pgerr.Code(err); code != pgerr.StatementTooComplex && code != pgerr.SyntaxError {
			t.Errorf("%s…: %v", sql[:30], err)
		}
	}
	// Long is not deep.
	for _, sql := range []string{
		"SELECT 1" + rep(" AND true", n),
		"SELECT a IN (1" + rep(", 1", n) + ")",
		"VALUES (1)" + rep(", (-1)", n),
		"SELECT 1" + rep("+1", 1000),
		"SELECT " + rep("((SELECT ", 100) + "1" + rep(") + 1)", 100),
		"SELECT " + rep("(", 100) + "1" + rep(")", 100),
	} {
		if _, err := Statements(sql); err != nil {
			t.Errorf("%s…: %v", sql[:20], err)
		}
	}
}

func TestTextRange(t *testing.T) {
	const sql = " SELECT 1 ; ; -- x\n SELECT $2, 'ä', $1;"
	stmts, err := Statements(sql)
	if err != nil || len(stmts) != 2 {
		t.Fatalf("Statements = %v, %v, want two", stmts, err)
	}
	if got := stmts[0].Text(sql); got != "SELECT 1" {
		t.Errorf("first statement is %q", got)
	}
	if got := stmts[1].Text(sql); got != "SELECT $2, 'ä', $1" || stmts[1].Params != 2 {
		t.Errorf("second statement is %q with %d parameters", got, stmts[1].Params)
	}
	last := stmts[1].Stmt.(*ast.Select).Items[2].Expr
	if got := ast.CharPosition(sql, last.Pos()); got != 37 {
		t.Errorf("position of $1 is %d, want 37", got)
	}
}

// TestConformance parses every statement that the records say succeeds.
func TestConformance(t *testing.T) {
	dir := os.Getenv("PRICKLE_CONFORMANCE")
	if dir == "" {
		t.Skip("PRICKLE_CONFORMANCE is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "sql", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		total, good, refused, shown := 0, 0, 0, 0
		in := bufio.NewScanner(f)
		in.Buffer(nil, 64<<20)
		for in.Scan() {
			var r struct {
				Group string
				N     int
				SQL   string `json:"sql"`
				Setup []string
				Error *string `json:"expect_error"`
			}
			if err := json.Unmarshal(in.Bytes(), &r); err != nil || r.SQL == "" {
				continue
			}
			for i, sql := range append(r.Setup, r.SQL) {
				stmts, err := Statements(sql)
				if r.Error != nil && i == len(r.Setup) {
					continue
				}
				total++
				if err != nil {
					if shown++; shown <= 40 {
						t.Logf("%s %d: %s\n\t%s", r.Group, r.N, sql, describe(err))
					}
					continue
				}
				good++
				for _, s := range stmts {
					if _, ok := s.Stmt.(*ast.Unsupported); ok {
						refused++
						continue
					}
					roundTrip(t, s.Stmt)
				}
			}
		}
		f.Close()
		if total > 0 {
			t.Logf("%s: %d of %d parse (%.2f %%), %d of them by name only", filepath.Base(file), good, total,
				100*float64(good)/float64(total), refused)
		}
	}
}
