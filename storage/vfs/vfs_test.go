package vfs

import (
	"errors"
	iofs "io/fs"
	"path"
	"testing"
)

func TestFileSystems(t *testing.T) {
	for name, fs := range map[string]FS{"os": OS(), "mem": NewMem()} {
		t.Run(name, func(t *testing.T) {
			dir := path.Join(t.TempDir(), "a/b")
			if err := fs.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := WriteFile(fs, dir+"/x", []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if names, err := fs.List(dir); err != nil || len(names) != 1 || names[0] != "x" {
				t.Errorf("List = %v, %v, want [x]", names, err)
			}
			if raw, err := ReadFile(fs, dir+"/x", 100); err != nil || string(raw) != "hello" {
				t.Errorf("ReadFile = %q, %v", raw, err)
			}
			if _, err := ReadFile(fs, dir+"/x", 4); err == nil {
				t.Errorf("ReadFile beyond the limit: no error")
			}
			f, err := fs.Open(dir + "/x")
			if err != nil {
				t.Fatal(err)
			}
			if m, err := f.Map(); err != nil || string(m) != "hello" {
				t.Errorf("Map = %q, %v", m, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			lock, err := fs.Lock(dir + "/lock")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fs.Lock(dir + "/lock"); err == nil {
				t.Errorf("second Lock: no error")
			}
			lock.Close()
			if err := fs.Remove(dir + "/x"); err != nil {
				t.Error(err)
			}
			if _, err := fs.Open(dir + "/x"); !errors.Is(err, iofs.ErrNotExist) {
				t.Errorf("Open of a removed file: %v", err)
			}
		})
	}
}

// What was not synced is gone after a crash; what was is there.
func TestCrash(t *testing.T) {
	m := NewMem()
	m.MkdirAll("d")
	f, _ := m.Create("d/a")
	f.WriteAt([]byte("one"), 0)
	f.SyncData()
	if _, err := m.Crash(nil).Open("d/a"); err == nil {
		t.Errorf("a name survived without SyncDir")
	}
	m.SyncDir("d")
	f.WriteAt([]byte("two"), 3)
	m.Rename("d/a", "d/b")
	c := m.Crash(nil)
	if raw, err := ReadFile(c, "d/a", 100); err != nil || string(raw) != "one" {
		t.Errorf("after a crash: %q, %v, want one", raw, err)
	}
	f.SyncData()
	m.SyncDir("d")
	c = m.Crash(nil)
	if raw, err := ReadFile(c, "d/b", 100); err != nil || string(raw) != "onetwo" {
		t.Errorf("after sync and a crash: %q, %v, want onetwo", raw, err)
	}
}
