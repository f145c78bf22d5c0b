package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/blob/blobtest"
	"github.com/prickledb/prickle/storage/vfs"
)

// stores are all implementations, empty.
func stores(t *testing.T) map[string]Store {
	s3, err := NewS3("bucket", "some/prefix", S3Options{Endpoint: blobtest.S3(t), Region: "eu-1", AccessKey: "key", SecretKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]Store{
		"file":   NewFile(vfs.OS(), t.TempDir()+"/new/place"),
		"vfs":    NewFile(vfs.NewMem(), "backup"),
		"mem":    NewMem(),
		"s3":     s3,
		"within": Within(NewMem(), "part"),
	}
}

func put(s Store, name, text string, ifAbsent bool) error {
	return s.Put(context.Background(), name, strings.NewReader(text), int64(len(text)), ifAbsent)
}

func TestStores(t *testing.T) {
	for kind, s := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			ctx := t.Context()
			if _, err := s.Stat(ctx, "a/b"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Stat of nothing = %v, want ErrNotFound", err)
			}
			if _, err := s.Get(ctx, "a/b", 0, -1); !errors.Is(err, ErrNotFound) {
				t.Errorf("Get of nothing = %v, want ErrNotFound", err)
			}
			if names, err := s.List(ctx, "a"); err != nil || len(names) > 0 {
				t.Errorf("List of nothing = %v, %v", names, err)
			}
			for name, text := range map[string]string{"a/b": "hello world", "a/c/d": "x", "top": "", "ab/c": "y"} {
				if err := put(s, name, text, true); err != nil {
					t.Fatalf("Put(%s): %v", name, err)
				}
			}
			if err := put(s, "a/b", "other words", true); !errors.Is(err, ErrExists) {
				t.Errorf("Put of what is there = %v, want ErrExists", err)
			}
			if raw, err := ReadAll(ctx, s, "a/b", 100); err != nil || string(raw) != "hello world" {
				t.Errorf("ReadAll = %q, %v", raw, err)
			}
			if err := put(s, "a/b", "hello again", false); err != nil {
				t.Errorf("Put in place: %v", err)
			}
			if _, err := ReadAll(ctx, s, "a/b", 5); err == nil || !strings.Contains(err.Error(), "more than the 5 bytes") {
				t.Errorf("ReadAll over the limit = %v", err)
			}
			for _, c := range []struct {
				off, size int64
				want      string
			}{{0, -1, "hello again"}, {6, -1, "again"}, {0, 5, "hello"}, {6, 2, "ag"}, {3, 0, ""}} {
				r, err := s.Get(ctx, "a/b", c.off, c.size)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(r)
				if err != nil || string(raw) != c.want {
					t.Errorf("Get(%d, %d) = %q, %v, want %q", c.off, c.size, raw, err, c.want)
				}
				r.Close()
			}
			for dir, want := range map[string][]string{"a": {"b", "c"}, "": {"a", "ab", "top"}, "a/c": {"d"}} {
				if names, err := s.List(ctx, dir); err != nil || !slices.Equal(names, want) {
					t.Errorf("List(%q) = %q, %v, want %q", dir, names, err, want)
				}
			}
			if n, err := s.Stat(ctx, "a/b"); n != 11 || err != nil {
				t.Errorf("Stat = %d, %v", n, err)
			}
			for range 2 {
				if err := s.Delete(ctx, "a/b"); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
			if _, err := s.Stat(ctx, "a/b"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Stat of what was deleted = %v", err)
			}
		})
	}
}

// A large object travels in parts, and comes back whole.
func TestLargeObject(t *testing.T) {
	raw := bytes.Repeat([]byte("0123456789abcdef"), 17<<20/16)
	for kind, s := range stores(t) {
		if err := s.Put(t.Context(), "large", bytes.NewReader(raw), int64(len(raw)), true); err != nil {
			t.Fatalf("%s: Put: %v", kind, err)
		}
		back, err := ReadAll(t.Context(), s, "large", 1<<30)
		if err != nil || !bytes.Equal(raw, back) {
			t.Errorf("%s: %d bytes came back, %v", kind, len(back), err)
		}
	}
}

// A source that ends early leaves no object, and a file system that fails leaves none or a
// whole one.
func TestPutFails(t *testing.T) {
	for kind, s := range stores(t) {
		if kind == "s3" {
			continue // its library tries again for seconds
		}
		if err := s.Put(t.Context(), "short", strings.NewReader("abc"), 10, true); err == nil {
			t.Errorf("%s: Put of 3 bytes as 10: no error", kind)
		}
		if _, err := s.Stat(t.Context(), "short"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: Stat = %v, want ErrNotFound", kind, err)
		}
	}
	for k := 0; ; k++ {
		fs := vfs.NewMem()
		n, failed := 0, false
		fs.Hook = func(string, string) error {
			if n++; n == k+1 {
				failed = true
				return errors.New("no")
			}
			return nil
		}
		s := NewFile(fs, "dir")
		err := put(s, "a/b", "hello", false)
		fs.Hook = nil
		if !failed {
			if err != nil {
				t.Fatal(err)
			}
			after := NewFile(fs.Crash(nil), "dir")
			if raw, err := ReadAll(t.Context(), after, "a/b", 10); err != nil || string(raw) != "hello" {
				t.Errorf("after a crash: %q, %v", raw, err)
			}
			break
		}
		if err == nil {
			t.Errorf("call %d failed and Put did not", k)
		}
		if raw, err := ReadAll(t.Context(), s, "a/b", 10); !errors.Is(err, ErrNotFound) && string(raw) != "hello" {
			t.Errorf("call %d failed: %q, %v", k, raw, err)
		}
		if names, _ := s.List(t.Context(), "a"); len(names) > 1 {
			t.Errorf("call %d failed: %q are left", k, names)
		}
	}
}

func TestOpen(t *testing.T) {
	for target, want := range map[string]string{
		"/a/b/":       "file:///a/b",
		"backups":     "backups",
		"file:///x":   "file:///x",
		"s3://b/p/q/": "s3://b/p/q",
		"s3://b":      "s3://b",
		"file://x/y":  "three slashes",
		"s3:///x":     "the bucket is missing",
		"ftp://x":     `"ftp://" is not supported`,
		"":            "not an empty text",
		"s3://%zz/x":  "is not a URL",
	} {
		s, err := Open(target, vfs.NewMem(), S3Options{})
		if err != nil && strings.Contains(err.Error(), want) {
			continue
		}
		if err != nil || s.String() != want {
			t.Errorf("Open(%q) = %v, %v, want %q", target, s, err, want)
		}
	}
}
