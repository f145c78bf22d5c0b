package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/prickledb/prickle/"

// layers says which folders at the top may be imported from which, besides themselves.
var layers = map[string][]string{
	"storage": {},
	"engine":  {"storage"},
	"sql":     {"engine", "storage"},
	"cluster": {"engine", "storage"},
	"server":  {"sql", "cluster", "engine", "storage"},
	"bench":   {"server", "sql", "cluster", "engine", "storage"},
	"cmd":     {"bench", "server", "sql", "cluster", "engine", "storage"},
}

// source is one Go file of ours: its path from the root, and what it imports.
type source struct {
	path    string
	imports []string
}

func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(rel)}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("%d Go files below %s, want the whole project", len(out), root)
	}
	return out
}

// TestImportsPointDown holds every import against the layers.
func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		from, _, _ := strings.Cut(s.path, "/")
		below, known := layers[from]
		if !known {
			t.Errorf("%s: folder %q is not in the layers", s.path, from)
			continue
		}
		test := strings.HasSuffix(s.path, "_test.go")
		for _, name := range s.imports {
			rest, ours := strings.CutPrefix(name, module)
			if !ours {
				continue
			}
			to, _, _ := strings.Cut(rest, "/")
			switch {
			case to == from, slices.Contains(below, to):
			case test && rest == "bench/gen": // made-up events serve every test
			default:
				t.Errorf("%s imports %s: %s does not lie below %s", s.path, rest, to, from)
			}
			if strings.HasPrefix(s.path, "bench/gen/") && !test && rest != "storage/vec" && to != "bench" {
				t.Errorf("%s imports %s: the generator may use storage/vec at most", s.path, rest)
			}
		}
	}
}

// TestDataFilesGoThroughVFS finds packages below the server that talk to the operating
// system's files by themselves.
func TestDataFilesGoThroughVFS(t *testing.T) {
	allowed := []string{"storage/vfs/", "cmd/", "bench/", "server/"}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || slices.ContainsFunc(allowed, func(p string) bool { return strings.HasPrefix(s.path, p) }) {
			continue
		}
		for _, name := range s.imports {
			if name == "os" && !mayUseOS[s.path] {
				t.Errorf("%s imports os: files belong to storage/vfs", s.path)
			}
		}
	}
}

// mayUseOS are the files that need the process, not its files.
var mayUseOS = map[string]bool{
	"cluster/node.go":           true, // ends the process when its log cannot be written
	"engine/expr/funcsystem.go": true, // pg_backend_pid
}

// TestEveryPackageSaysWhatItIsFor wants a doc.go in every folder with Go files.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		seen[filepath.Dir(s.path)] = true
	}
	for dir := range seen {
		if _, err := os.Stat(filepath.Join("..", "..", dir, "doc.go")); err != nil {
			t.Errorf("%s has no doc.go", dir)
		}
	}
}

// TestDependenciesHaveReasons wants a comment on every direct dependency.
func TestDependenciesHaveReasons(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		name, why, _ := strings.Cut(line, "//")
		if !strings.Contains(name, " v") || strings.HasPrefix(strings.TrimSpace(why), "indirect") {
			continue
		}
		if strings.TrimSpace(why) == "" {
			t.Errorf("go.mod: %s has no comment that says why", strings.TrimSpace(name))
		}
	}
}
