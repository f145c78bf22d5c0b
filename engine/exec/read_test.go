package exec

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/vec"
)

// openBelow counts the open files of this process that lie in a directory.
func openBelow(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not say which files are open")
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir+"/") {
			n++
		}
	}
	return n
}

// A file is closed when its rows are read, however many there are behind it, and nothing stays
// open or held when a Read ends early.
func TestReadClosesFiles(t *testing.T) {
	const files = 150
	schema := vec.Schema{{Name: "n", Type: vec.T(vec.Int8)}}
	for _, kind := range []format.Kind{format.CSV, format.Parquet} {
		for _, rows := range []int{files, 10} {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			options := format.Defaults(kind)
			for i := range files {
				var raw bytes.Buffer
				w, err := format.NewWriter(&raw, options, schema, testEnv(0).Expr)
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Rows(&vec.Batch{Rows: 1, Cols: []*vec.Vector{{Type: schema[0].Type, I64: []int64{int64(i)}}}}, 0, 1); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(fmt.Sprintf("%s/%03d", dir, i), raw.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			env := testEnv(0)
			if env.Files, err = outside.Open([]string{dir}, blob.S3Options{}); err != nil {
				t.Fatal(err)
			}
			node := &plan.Read{File: "*", Title: "read", Options: options, Columns: []format.Column{{Name: "n", Type: schema[0].Type}}, Named: kind == format.Parquet}
			op, err := newRead(node, env)
			if err != nil {
				t.Fatal(err)
			}
			most := 0
			for i := range rows {
				b, err := op.Next(t.Context())
				if err != nil || b == nil || b.Cols[0].I64[0] != int64(i) {
					t.Fatalf("%s: row %d is %v, %v", kind, i, b, err)
				}
				most = max(most, openBelow(t, dir))
			}
			if rows == files {
				if b, err := op.Next(t.Context()); b != nil || err != nil {
					t.Errorf("%s: after the last row %v, %v", kind, b, err)
				}
			}
			if err := op.Close(); err != nil {
				t.Error(err)
			}
			if most > 20 {
				t.Errorf("%s: %d files were open at once", kind, most)
			}
			if n, held := openBelow(t, dir), env.statement().held.Load(); n > 0 || held != 0 {
				t.Errorf("%s: after %d rows %d files stay open and %d bytes held", kind, rows, n, held)
			}
			if err := env.Files.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
