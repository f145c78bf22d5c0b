package parse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prickledb/prickle/sql/ast"
)

// FuzzParse checks that nothing makes the parser panic, and that what parses
// prints as text which parses to an equal tree.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/cases/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range strings.Split(string(text), "\n\n") {
			sql, _, _ := strings.Cut(c, "\n----")
			for strings.HasPrefix(sql, "#") {
				_, sql, _ = strings.Cut(sql, "\n")
			}
			if _, sql, ok := strings.Cut(sql, "\n"); ok {
				f.Add(sql)
			}
		}
	}
	f.Fuzz(func(t *testing.T, sql string) {
		stmts, err := Statements(sql)
		if err != nil {
			return
		}
		for _, s := range stmts {
			roundTrip(t, s.Stmt)
			if short, ok := s.Stmt.(*ast.Shorthand); ok {
				roundTrip(t, ast.Expand(short))
			}
		}
	})
}
