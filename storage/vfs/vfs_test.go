package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path"
	"slices"
	"syscall"
	"testing"
)

// Every file system does the same with the same calls.
func TestFileSystems(t *testing.T) {
	for name, fs := range map[string]FS{
		"os": OS(), "mem": NewMem(), "fault over os": NewFault(OS(), 1), "fault over mem": NewFault(NewMem(), 1),
	} {
		t.Run(name, func(t *testing.T) {
			dir := path.Join(t.TempDir(), "a/b")
			if err := fs.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
			for sub, test := range map[string]func(*testing.T, FS, string){
				"names": testNames, "content": testContent, "pieces": testPieces, "maps": testMaps, "handles": testHandles, "locks": testLocks,
			} {
				t.Run(sub, func(t *testing.T) {
					own := path.Join(dir, sub)
					if err := fs.MkdirAll(own); err != nil {
						t.Fatal(err)
					}
					test(t, fs, own)
				})
			}
		})
	}
}

func testNames(t *testing.T, fs FS, dir string) {
	x, y, missing := dir+"/x", dir+"/y", dir+"/none/x"
	must(t, WriteFile(fs, x, []byte("hello")))
	must(t, fs.MkdirAll(dir+"/sub/sub"))
	must(t, fs.MkdirAll(dir+"/sub/sub"))
	wantNames(t, fs, dir, "sub", "x")
	wantFile(t, fs, x, "hello")
	if _, err := ReadFile(fs, x, 4); err == nil {
		t.Errorf("ReadFile beyond the limit: no error")
	}
	must(t, WriteFile(fs, y, []byte("other")))
	must(t, fs.Rename(x, y))
	must(t, fs.Rename(y, y))
	wantNames(t, fs, dir, "sub", "y")
	wantFile(t, fs, y, "hello")

	f, err := fs.ReuseForWrite(y, x)
	must(t, err)
	_, err = f.WriteAt([]byte("J"), 0)
	must(t, err)
	must(t, f.Close())
	wantFile(t, fs, x, "Jello")
	f, err = fs.ReuseForWrite(x, x)
	must(t, err)
	must(t, f.Close())
	wantFile(t, fs, x, "Jello")
	f, err = fs.Create(x)
	must(t, err)
	must(t, f.Close())
	wantFile(t, fs, x, "")
	must(t, fs.SyncDir(dir))
	must(t, fs.Remove(x))
	wantNames(t, fs, dir, "sub")
	if free, err := fs.Free(dir); err != nil || free == 0 {
		t.Errorf("Free = %d, %v", free, err)
	}

	for what, call := range map[string]func() error{
		"Open":                   func() error { _, err := fs.Open(x); return err },
		"Create in no directory": func() error { _, err := fs.Create(missing); return err },
		"ReuseForWrite":          func() error { _, err := fs.ReuseForWrite(x, y); return err },
		"Rename":                 func() error { return fs.Rename(x, y) },
		"Remove":                 func() error { return fs.Remove(x) },
		"List":                   func() error { _, err := fs.List(missing); return err },
		"SyncDir":                func() error { return fs.SyncDir(missing) },
		"Free":                   func() error { _, err := fs.Free(missing); return err },
		"Lock in no directory":   func() error { _, err := fs.Lock(missing); return err },
	} {
		if err := call(); !errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("%s of what is missing: %v, want fs.ErrNotExist", what, err)
		}
	}
	must(t, WriteFile(fs, x, nil))
	if err := fs.Rename(x, missing); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("Rename into no directory: %v, want fs.ErrNotExist", err)
	}
	if _, err := fs.Create(dir + "/sub"); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("Create of a directory: %v, want EISDIR", err)
	}
	if err := fs.MkdirAll(x + "/z"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("MkdirAll below a file: %v, want ENOTDIR", err)
	}
	if err := fs.MkdirAll(x); err == nil {
		t.Errorf("MkdirAll of a file: no error")
	}
	if _, err := fs.List(x); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("List of a file: %v, want ENOTDIR", err)
	}
}

func testContent(t *testing.T, fs FS, dir string) {
	f, err := fs.Create(dir + "/x")
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("end"), 10_000) // a hole before it
	must(t, err)
	_, err = f.WriteAt([]byte("begin"), 510)
	must(t, err)
	want := make([]byte, 10_003)
	copy(want[510:], "begin")
	copy(want[10_000:], "end")
	wantFile(t, fs, dir+"/x", string(want))
	if n, err := f.ReadAt(make([]byte, 10), 10_000); n != 3 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v, want 3, EOF", n, err)
	}
	if n, err := f.ReadAt(make([]byte, 10), 20_000); n != 0 || err != io.EOF {
		t.Errorf("ReadAt beyond the end = %d, %v, want 0, EOF", n, err)
	}
	if n, err := f.ReadAt(nil, 20_000); n != 0 || err != nil {
		t.Errorf("ReadAt of nothing = %d, %v", n, err)
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
		t.Errorf("ReadAt before the start: no error")
	}
	if _, err := f.WriteAt([]byte("x"), -1); err == nil {
		t.Errorf("WriteAt before the start: no error")
	}
	must(t, f.Preallocate(1<<20))
	if size, err := f.Size(); size != 10_003 || err != nil {
		t.Errorf("Size after Preallocate = %d, %v, want 10003", size, err)
	}
	if err := f.Preallocate(0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Preallocate(0): %v, want EINVAL", err)
	}
	must(t, f.SyncData())
	must(t, f.Sync())
}

func testPieces(t *testing.T, fs FS, dir string) {
	for _, count := range []int{0, 1, 2, 1023, 1024, 1025, 5000} {
		f, err := fs.Create(dir + "/x")
		must(t, err)
		want := []byte("..")
		_, err = f.WriteAt(want, 0)
		must(t, err)
		bufs := make([][]byte, count)
		for i := range bufs {
			bufs[i] = bytes.Repeat([]byte{byte(i)}, i%5) // some are empty
			want = append(want, bufs[i]...)
		}
		kept := slices.Clone(bufs)
		must(t, f.WriteVecAt(bufs, 2))
		must(t, f.Close())
		wantFile(t, fs, dir+"/x", string(want))
		for i := range bufs {
			if !bytes.Equal(bufs[i], kept[i]) {
				t.Fatalf("WriteVecAt changed piece %d", i)
			}
		}
	}
}

func testMaps(t *testing.T, fs FS, dir string) {
	f, err := fs.Create(dir + "/x")
	must(t, err)
	if m, err := f.Map(); len(m) != 0 || err != nil {
		t.Errorf("Map of an empty file = %d bytes, %v", len(m), err)
	}
	text := bytes.Repeat([]byte("hello"), 2000)
	_, err = f.WriteAt(text, 0)
	must(t, err)
	m, err := f.Map()
	if err != nil || !bytes.Equal(m, text) {
		t.Fatalf("Map = %d bytes, %v", len(m), err)
	}
	_, err = f.WriteAt([]byte("more"), int64(len(text)))
	must(t, err)
	again, err := f.Map()
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("second Map = %d bytes, %v, want what the first gave", len(again), err)
	}
	must(t, fs.Remove(dir+"/x"))
	if !bytes.Equal(m, text) {
		t.Errorf("mapped bytes changed")
	}
	must(t, f.Close())
}

func testHandles(t *testing.T, fs FS, dir string) {
	must(t, WriteFile(fs, dir+"/x", []byte("hello")))
	f, err := fs.Open(dir + "/x")
	must(t, err)
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("WriteAt of a file opened for reading: %v, want EBADF", err)
	}
	if err := f.WriteVecAt([][]byte{[]byte("x")}, 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("WriteVecAt of a file opened for reading: %v, want EBADF", err)
	}
	if err := f.Preallocate(10); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Preallocate of a file opened for reading: %v, want EBADF", err)
	}
	must(t, fs.Remove(dir+"/x"))
	if n, err := f.ReadAt(make([]byte, 5), 0); n != 5 || err != nil {
		t.Errorf("ReadAt of a removed file = %d, %v", n, err)
	}
	must(t, f.Close())
	for what, call := range map[string]func() error{
		"ReadAt":      func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"WriteAt":     func() error { _, err := f.WriteAt([]byte("x"), 0); return err },
		"WriteVecAt":  func() error { return f.WriteVecAt([][]byte{[]byte("x")}, 0) },
		"Preallocate": func() error { return f.Preallocate(10) },
		"SyncData":    f.SyncData,
		"Sync":        f.Sync,
		"Size":        func() error { _, err := f.Size(); return err },
		"Map":         func() error { _, err := f.Map(); return err },
		"Close":       f.Close,
	} {
		if err := call(); !errors.Is(err, iofs.ErrClosed) {
			t.Errorf("%s after Close: %v, want fs.ErrClosed", what, err)
		}
	}
}

func testLocks(t *testing.T, fs FS, dir string) {
	lock, err := fs.Lock(dir + "/lock")
	must(t, err)
	if _, err := fs.Lock(dir + "/lock"); err == nil {
		t.Errorf("second Lock: no error")
	}
	wantNames(t, fs, dir, "lock")
	must(t, lock.Close())
	lock, err = fs.Lock(dir + "/lock")
	must(t, err)
	must(t, lock.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, fs FS, name, want string) {
	t.Helper()
	raw, err := ReadFile(fs, name, 1<<20)
	if err != nil || string(raw) != want {
		t.Errorf("%s holds %s, %v, want %s", name, short(string(raw)), err, short(want))
	}
}

func short(s string) string { return fmt.Sprintf("%d bytes %.40q", len(s), s) }

func wantNames(t *testing.T, fs FS, dir string, want ...string) {
	t.Helper()
	if names, err := fs.List(dir); err != nil || !slices.Equal(names, want) {
		t.Errorf("List = %q, %v, want %q", names, err, want)
	}
}

// The files of an overlay are like any others.
func TestOverlayFiles(t *testing.T) {
	for name, below := range map[string]FS{"os": OS(), "mem": NewMem()} {
		scratch := path.Join(t.TempDir(), "scratch")
		must(t, below.MkdirAll(scratch))
		o := NewOverlay(below, scratch)
		for sub, test := range map[string]func(*testing.T, FS, string){"content": testContent, "pieces": testPieces, "maps": testMaps, "handles": testHandles} {
			t.Run(name+"/"+sub, func(t *testing.T) {
				own := path.Join(t.TempDir(), sub)
				must(t, o.MkdirAll(own))
				test(t, o, own)
			})
		}
	}
}

// What is done to an overlay is seen through it alone.
func TestOverlayLeavesWhatIsBelow(t *testing.T) {
	below := NewMem()
	must(t, below.MkdirAll("d/sub"))
	must(t, below.MkdirAll("d/scratch"))
	for _, name := range []string{"a", "b", "c", "e", "sub/x"} {
		must(t, WriteFile(below, "d/"+name, []byte("old "+name)))
	}
	o := NewOverlay(below, "d/scratch")
	wantNames(t, o, "d", "a", "b", "c", "e", "sub")
	f, err := o.ReuseForWrite("d/a", "d/a")
	must(t, err)
	_, err = f.WriteAt([]byte("NEW"), 0)
	must(t, err)
	must(t, f.Close())
	must(t, o.Rename("d/b", "d/sub/b"))
	must(t, o.Remove("d/c"))
	must(t, WriteFile(o, "d/c", []byte("again")))
	must(t, WriteFile(o, "d/e", []byte("other")))
	must(t, o.Remove("d/e"))
	must(t, o.MkdirAll("d/new"))
	must(t, WriteFile(o, "d/new/n", []byte("n")))

	wantNames(t, o, "d", "a", "c", "new", "sub")
	wantNames(t, o, "d/sub", "b", "x")
	wantFile(t, o, "d/a", "NEW a")
	wantFile(t, o, "d/sub/b", "old b")
	wantFile(t, o, "d/c", "again")
	wantNames(t, below, "d", "a", "b", "c", "e", "scratch", "sub")
	for _, name := range []string{"a", "b", "c", "e", "sub/x"} {
		wantFile(t, below, "d/"+name, "old "+name)
	}
}
