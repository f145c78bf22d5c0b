package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
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

// generators make up data, and depend on nothing that they are used to test.
var generators = []string{"bench/gen", "bench/tpch", "bench/hits"}

// source is one Go file of ours: its path from the root, what it imports, and its text.
type source struct {
	path    string
	imports []string
	file    *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(rel), file: f}
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
			case test && slices.Contains(generators, rest): // made-up data serves every test
			default:
				t.Errorf("%s imports %s: %s does not lie below %s", s.path, rest, to, from)
			}
			if slices.Contains(generators, path.Dir(s.path)) && !test && rest != "storage/vec" && to != "bench" {
				t.Errorf("%s imports %s: the generator may use storage/vec at most", s.path, rest)
			}
		}
	}
}

// TestDataFilesGoThroughVFS finds packages that talk to the operating system's files by
// themselves. The commands may: they read and write the files of users.
func TestDataFilesGoThroughVFS(t *testing.T) {
	allowed := []string{"storage/vfs/", "cmd/", "bench/"}
	used := map[string]bool{}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || slices.ContainsFunc(allowed, func(p string) bool { return strings.HasPrefix(s.path, p) }) {
			continue
		}
		calls := fileCalls(s.file)
		used[s.path] = len(calls) > 0
		if len(calls) > 0 && !mayUseFiles[s.path] {
			t.Errorf("%s uses %s: files belong to storage/vfs", s.path, strings.Join(calls, ", "))
		}
	}
	for name := range mayUseFiles {
		if !used[name] {
			t.Errorf("%s may use files and does not", name)
		}
	}
}

// mayUseFiles are the files whose files are not data, and why.
var mayUseFiles = map[string]bool{
	"server/listen.go":      true, // finds out in /proc who holds a port
	"server/certificate.go": true, // certificates are the user's, and change while the server runs
}

// reachFiles are the packages with which one gets at files, and what of them may be used
// nevertheless: the process, errors and names.
var reachFiles = map[string]*regexp.Regexp{
	"os":            regexp.MustCompile(`^(Exit|Stdin|Stdout|Stderr|Getpid|Getenv|LookupEnv|Environ|Hostname|Signal|Interrupt|Err[A-Z].*)$`),
	"syscall":       regexp.MustCompile(`^(E[A-Z0-9]+|Errno|Kill|Signal|SIG[A-Z0-9]+|Getrusage|Rusage|RUSAGE_SELF)$`),
	"path/filepath": regexp.MustCompile(`^(Base|Clean|Dir|Ext|FromSlash|IsAbs|IsLocal|Join|Match|Rel|Split|ToSlash|VolumeName|Separator)$`),

	"golang.org/x/sys/unix":                regexp.MustCompile(`^(E[A-Z0-9]+|SIG[A-Z0-9]+)$`),
	"github.com/hashicorp/raft":            regexp.MustCompile(`^([^N]|N[^e]|New[^F])`), // its FileSnapshotStore is one
	"io/ioutil":                            nil,
	"os/exec":                              nil,
	"go.etcd.io/bbolt":                     nil,
	"github.com/hashicorp/raft-wal":        nil,
	"github.com/hashicorp/raft-wal/metadb": nil,
}

// fileCalls lists what a file uses of the operating system's files.
func fileCalls(f *ast.File) (calls []string) {
	packages := map[string]string{} // by the name they have in the file
	for _, i := range f.Imports {
		full, _ := strconv.Unquote(i.Path.Value) // it was parsed
		harmless, known := reachFiles[full]
		name := path.Base(full)
		if i.Name != nil {
			name = i.Name.Name
		}
		switch {
		case !known:
		case harmless == nil, name == ".":
			calls = append(calls, full)
		default:
			packages[name] = full
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := s.X.(*ast.Ident); ok {
			if full := packages[of.Name]; full != "" && !reachFiles[full].MatchString(s.Sel.Name) {
				calls = append(calls, full+"."+s.Sel.Name)
			}
		}
		return true
	})
	return calls
}

// TestFileCalls holds the finder against what it must find and must not.
func TestFileCalls(t *testing.T) {
	for _, c := range []struct{ imports, code, want string }{
		{`"os"`, `os.Exit(1); os.Stderr.Write(nil); use(os.ErrNotExist)`, ``},
		{`"os"`, `os.ReadFile("x")`, `os.ReadFile`},
		{`"os"`, `open := os.OpenFile; open("x", 0, 0)`, `os.OpenFile`},
		{`sys "os"`, `sys.Remove("x")`, `os.Remove`},
		{`. "os"`, `Remove("x")`, `os`},
		{`"syscall"`, `use(syscall.ENOSPC); syscall.Kill(1, syscall.SIGKILL)`, ``},
		{`"syscall"`, `syscall.Open("x", 0, 0); syscall.Fsync(1)`, `syscall.Open syscall.Fsync`},
		{`"golang.org/x/sys/unix"`, `unix.Pwrite(1, nil, 0); use(unix.EINTR)`, `golang.org/x/sys/unix.Pwrite`},
		{`"path/filepath"`, `filepath.Join("a"); filepath.WalkDir("x", nil)`, `path/filepath.WalkDir`},
		{`"io/ioutil"`, `ioutil.ReadFile("x")`, `io/ioutil`},
		{`"go.etcd.io/bbolt"`, `bbolt.Open("x", 0, nil)`, `go.etcd.io/bbolt`},
		{`"github.com/hashicorp/raft"`, `raft.NewRaft(); raft.NewInmemStore(); raft.Config{}`, ``},
		{`"github.com/hashicorp/raft"`, `raft.NewFileSnapshotStore("x", 1, nil)`, `github.com/hashicorp/raft.NewFileSnapshotStore`},
		{`"io/fs"`, `use(fs.ErrNotExist)`, ``},
	} {
		text := fmt.Sprintf("package p\nimport %s\nfunc f() { %s }", c.imports, c.code)
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(fileCalls(f), " "); got != c.want {
			t.Errorf("%s: %s: finds %q, want %q", c.imports, c.code, got, c.want)
		}
	}
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
