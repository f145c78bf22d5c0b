package vfs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

func TestParseFaults(t *testing.T) {
	datadriven.RunTest(t, "testdata/rules", func(t *testing.T, d *datadriven.TestData) string {
		rules, err := ParseFaults(d.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		var out strings.Builder
		for _, r := range rules {
			fmt.Fprintln(&out, r)
			if back, err := ParseFaults(r.String()); err != nil || len(back) != 1 || back[0].String() != r.String() {
				d.Fatalf(t, "%s is read back as %v, %v", r, back, err)
			}
		}
		return out.String()
	})
}

func FuzzParseFaults(f *testing.F) {
	f.Add("fail(sync|write, path=*.rl, nth=7, err=EIO)\nfull(10)\nstall(any, for=1s)")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseFaults(text)
		if err != nil {
			return
		}
		for _, r := range rules {
			if back, err := ParseFaults(r.String()); err != nil || len(back) != 1 {
				t.Errorf("%s is read back as %v, %v", r, back, err)
			}
		}
	})
}

func TestFaults(t *testing.T) {
	datadriven.RunTest(t, "testdata/faults", func(t *testing.T, d *datadriven.TestData) string {
		var out, trace strings.Builder
		mem := NewMem()
		must(t, mem.MkdirAll("d/d"))
		fs := NewFault(mem, 1)
		fs.Trace = &trace
		fs.Sleep = func(d time.Duration) { fmt.Fprintf(&out, "waits %v\n", d) }
		files := map[string]File{}
		keep := func(name string) func(File, error) error {
			return func(f File, err error) error {
				if err == nil {
					files[name] = f
				}
				return err
			}
		}
		for _, line := range strings.Split(d.Input, "\n") {
			op, args, _ := strings.Cut(line, " ")
			w := append(strings.Fields(args), "", "")
			var err error
			said := ""
			switch f := files[w[0]]; op {
			case "arm":
				rules, err := ParseFaults(args)
				must(t, err)
				fs.Arm(rules...)
			case "nth":
				k, _ := strconv.Atoi(w[0])
				fs.FailNth(k, syscall.EIO)
			case "disarm":
				fs.Disarm()
			case "count":
				said = fmt.Sprint(fs.Count())
			case "trace":
				said = "\n" + strings.TrimSuffix(trace.String(), "\n")
			case "crash":
				mem = mem.Crash(nil)
				fs = NewFault(mem, 1)
				clear(files)
			case "create":
				err = keep(w[0])(fs.Create(w[0]))
			case "open":
				err = keep(w[0])(fs.Open(w[0]))
			case "reuse":
				err = keep(w[1])(fs.ReuseForWrite(w[0], w[1]))
			case "rename":
				err = fs.Rename(w[0], w[1])
			case "remove":
				err = fs.Remove(w[0])
			case "mkdir":
				err = fs.MkdirAll(w[0])
			case "list":
				var names []string
				names, err = fs.List(w[0])
				said = fmt.Sprintf("%q", names)
			case "syncdir":
				err = fs.SyncDir(w[0])
			case "free":
				_, err = fs.Free(w[0])
			case "lock":
				_, err = fs.Lock(w[0])
			case "preallocate":
				err = f.Preallocate(1)
			case "sync":
				err = f.SyncData()
			case "write", "writevec":
				size, _ := f.Size()
				if op == "write" {
					_, err = f.WriteAt([]byte(w[1]), size)
				} else {
					err = f.WriteVecAt([][]byte{[]byte(w[1][:1]), []byte(w[1][1:])}, size)
				}
			case "map":
				var b []byte
				b, err = f.Map()
				said = fmt.Sprintf("%q", b)
			case "read":
				if f == nil {
					f, err = mem.Open(w[0])
					must(t, err)
				}
				size, _ := f.Size()
				b := make([]byte, size)
				_, err = f.ReadAt(b, 0)
				said = fmt.Sprintf("%q", b)
			default:
				d.Fatalf(t, "operation %q is not known", op)
			}
			if err != nil {
				fmt.Fprintln(&out, err)
			} else if said != "" {
				fmt.Fprintf(&out, "%s: %s\n", line, said)
			}
		}
		return out.String()
	})
}

// A workload fails at every operation it has, and says so.
func TestFailEvery(t *testing.T) {
	run := func(k int) (count int, err error) {
		mem := NewMem()
		mem.MkdirAll("d")
		fs := NewFault(mem, 1)
		if k > 0 {
			fs.FailNth(k, syscall.EIO)
		}
		err = WriteFile(fs, "d/a", []byte("new"))
		return fs.Count(), err
	}
	count, err := run(0)
	if err != nil || count != 5 { // create, write, sync, rename, syncdir
		t.Fatalf("%d operations, %v, want 5", count, err)
	}
	for k := 1; k <= count; k++ {
		if _, err := run(k); !errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d failed, WriteFile gave %v", k, err)
		}
	}
}

// Chance is a function of the seed.
func TestFaultSeed(t *testing.T) {
	run := func(seed uint64) string {
		rules, err := ParseFaults("fail(write, p=0.5)")
		must(t, err)
		fs := NewFault(NewMem(), seed)
		fs.Arm(rules...)
		f, err := fs.Create("a")
		must(t, err)
		out := ""
		for range 100 {
			_, err := f.WriteAt([]byte("x"), 0)
			out += fmt.Sprint(err != nil)[:1]
		}
		return out
	}
	a, b := run(1), run(2)
	if a != run(1) || a == b {
		t.Errorf("seed 1 gives %s and %s, seed 2 %s", a, run(1), b)
	}
	if n := strings.Count(a, "t"); n < 30 || n > 70 {
		t.Errorf("%d of 100 writes fail, want about half", n)
	}
}
