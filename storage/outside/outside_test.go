package outside

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/blob/blobtest"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(p *Places, name string) (string, error) {
	f, err := p.Open(context.Background(), name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	return string(raw), err
}

// Only what lies in the directory is reached, by whatever name.
func TestOnlyBelow(t *testing.T) {
	top := t.TempDir()
	dir := top + "/in"
	write(t, top+"/secret", "secret")
	write(t, dir+"/a.csv", "a")
	write(t, dir+"/sub/b.csv", "b")
	for link, to := range map[string]string{"out": "../secret", "alias.csv": "a.csv", "dir": "..", "abs": top + "/secret"} {
		if err := os.Symlink(to, dir+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Open([]string{dir}, blob.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for name, want := range map[string]string{"a.csv": "a", dir + "/a.csv": "a", "sub/b.csv": "b", "sub/../a.csv": "a", dir + "/sub/../../in/a.csv": "a"} {
		if text, err := read(p, name); text != want || err != nil {
			t.Errorf("Open(%s) = %q, %v, want %q", name, text, err, want)
		}
	}
	for _, name := range []string{"../secret", dir + "/../secret", top + "/secret", "sub/../../secret", "out", "alias.csv", "dir/secret", "dir/in/a.csv", "abs",
		"", ".", "/", "s3://bucket/a", "a\x00b", dir + "x/a.csv"} {
		if _, err := read(p, name); !errors.Is(err, ErrRefused) {
			t.Errorf("Open(%q) = %v, want ErrRefused", name, err)
		}
		if w, err := p.Create(t.Context(), name); !errors.Is(err, ErrRefused) {
			t.Errorf("Create(%q) = %v, want ErrRefused", name, err)
			if err == nil {
				w.Abort()
			}
		}
	}
	if _, err := read(p, "none.csv"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Open of no file = %v", err)
	}
	if _, err := read(p, "sub"); err == nil {
		t.Error("a directory was opened as a file")
	}
	if _, err := read(nil, "a.csv"); !errors.Is(err, ErrNoPlaces) {
		t.Errorf("Open without places = %v", err)
	}
	if text, _ := os.ReadFile(top + "/secret"); string(text) != "secret" {
		t.Errorf("the file outside holds %q", text)
	}
}

func TestMatch(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a1.csv", "a2.csv", "b.txt", "2026/01/x.csv", "2026/02/y.csv", "2026/z.csv"} {
		write(t, dir+"/"+name, name)
	}
	if err := os.Symlink("a1.csv", dir+"/a3.csv"); err != nil {
		t.Fatal(err)
	}
	p, err := Open([]string{dir}, blob.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for pattern, want := range map[string]string{"*.csv": "a1.csv a2.csv", "a?.csv": "a1.csv a2.csv", "a[2-9].csv": "a2.csv", "2026/*/*.csv": "2026/01/x.csv 2026/02/y.csv",
		"**/*.csv": "2026/01/x.csv 2026/02/y.csv 2026/z.csv a1.csv a2.csv", "2026/**": "2026/01/x.csv 2026/02/y.csv 2026/z.csv", "20*/0[12]/?.csv": "2026/01/x.csv 2026/02/y.csv"} {
		names, err := p.Match(t.Context(), pattern)
		for i := range names {
			names[i] = strings.TrimPrefix(names[i], dir+"/")
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("Match(%s) = %q, %v, want %s", pattern, names, err, want)
		}
	}
	if names, err := p.Match(t.Context(), "b.txt"); !slices.Equal(names, []string{"b.txt"}) || err != nil {
		t.Errorf("Match of a name = %q, %v", names, err)
	}
	if _, err := p.Match(t.Context(), "none/*.csv"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Match of nothing = %v", err)
	}
	if _, err := p.Match(t.Context(), "../*"); !errors.Is(err, ErrRefused) {
		t.Errorf("Match above the directory = %v", err)
	}
}

// Directories may be given by relative paths; what a pattern finds can be opened.
func TestRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "first/a.csv", "a")
	write(t, "second/b.csv", "b")
	p, err := Open([]string{"first", "second"}, blob.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	second, err := filepath.Abs("second")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{"*.csv": "a", second + "/*.csv": "b"} {
		names, err := p.Match(t.Context(), pattern)
		if err != nil || len(names) != 1 {
			t.Fatalf("Match(%s) = %q, %v", pattern, names, err)
		}
		if text, err := read(p, names[0]); text != want || err != nil {
			t.Errorf("Open(%s) = %q, %v, want %q", names[0], text, err, want)
		}
	}
}

// A file appears whole or not at all.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/old", "old")
	p, err := Open([]string{dir}, blob.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, name := range []string{"old", "new"} {
		w, err := p.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Fatal(err)
		}
		w.Abort()
	}
	if text, err := read(p, "old"); text != "old" || err != nil {
		t.Errorf("after Abort the file is %q, %v", text, err)
	}
	w, err := p.Create(t.Context(), dir+"/old")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "whole")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if text, err := read(p, "old"); text != "whole" || err != nil {
		t.Errorf("after Commit the file is %q, %v", text, err)
	}
	if names, err := p.Match(t.Context(), "*"); len(names) != 1 || err != nil {
		t.Errorf("%q are left, %v", names, err)
	}
	if _, err := p.Create(t.Context(), "none/x"); err == nil {
		t.Error("a file in no directory was made")
	}
}

// A bucket is a place like a directory.
func TestBucket(t *testing.T) {
	s3 := blob.S3Options{Endpoint: blobtest.S3(t), Region: "eu-1", AccessKey: "key", SecretKey: "secret"}
	p, err := Open([]string{"s3://bucket/in"}, s3)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	long := strings.Repeat("0123456789abcdef", 20<<20/16) // more than one part
	for name, text := range map[string]string{"s3://bucket/in/a.csv": "a", "s3://bucket/in/sub/b.csv": "b", "s3://bucket/in/sub": "beside what is below it", "s3://bucket/in/long": long} {
		w, err := p.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if got, err := read(p, name); got != text || err != nil {
			t.Errorf("%s has %d bytes, %v, want %d", name, len(got), err, len(text))
		}
	}
	w, err := p.Create(t.Context(), "s3://bucket/in/half")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "half")
	w.Abort()
	if _, err := read(p, "s3://bucket/in/half"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an object that was given up = %v", err)
	}
	names, err := p.Match(t.Context(), "s3://bucket/in/**/*.csv")
	if err != nil || strings.Join(names, " ") != "s3://bucket/in/a.csv s3://bucket/in/sub/b.csv" {
		t.Errorf("Match = %q, %v", names, err)
	}
	if names, err = p.Match(t.Context(), "s3://bucket/in/s*"); err != nil || strings.Join(names, " ") != "s3://bucket/in/sub" {
		t.Errorf("Match of an object that is a folder too = %q, %v", names, err)
	}
	for _, name := range []string{"s3://bucket/out/a.csv", "s3://bucket/in/../out/a.csv", "s3://other/in/a.csv", "s3://bucket/inside", "/etc/passwd", "a.csv"} {
		if _, err := p.Open(t.Context(), name); !errors.Is(err, ErrRefused) {
			t.Errorf("Open(%s) = %v, want ErrRefused", name, err)
		}
	}
}
