package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// logged is an entry as a replica meets it: applied to a store, from its bytes or, by the
// one who proposed it, from the batch that was never encoded.
type logged func(t *testing.T, s *Store, local bool)

// scriptLog is a random log over two projects with seals and merges. Merges are planned
// and built by a store of its own, as a leader does; its files come with the log.
func scriptLog(t *testing.T, seed int64) ([]logged, map[string]string) {
	s := newScript(seed)
	fs := vfs.NewMem()
	leader := openStore(t, fs, Options{SealRows: 400})
	defer leader.Close()
	var log []logged
	add := func(e logged) {
		log = append(log, e)
		e(t, leader, true)
	}
	for id := range 2 {
		add(func(t *testing.T, st *Store, _ bool) {
			spec := ProjectSpec{Name: fmt.Sprint("p", id), Token: fmt.Sprint("phc_", id)}
			if _, err := st.ApplyProject(uint64(id+1), 1, ProjectEdit{Create: &spec}); err != nil {
				t.Fatal(err)
			}
		})
	}
	for range 80 {
		index := uint64(len(log) + 1)
		switch n := s.r.Intn(16); {
		case n < 9:
			b := s.batch()
			raw, project := event.Append(nil, b), uint32(1+s.r.Intn(2))
			add(func(t *testing.T, st *Store, local bool) {
				batch, err := event.Decode(raw)
				if local && b != nil {
					batch, b = b, nil // a store keeps what it is given
				}
				if err == nil {
					_, err = st.ApplyEvents(index, int64(index)*1_000_000, project, batch)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
		case n < 10:
			add(func(t *testing.T, st *Store, _ bool) {
				if err := st.ApplySeal(index, int64(index)*1_000_000, Seal{}, nil); err != nil {
					t.Fatal(err)
				}
			})
		case n >= 12:
			change := objectChange(s.r)
			add(func(t *testing.T, st *Store, _ bool) { change(t, st, index) })
		default:
			if err := leader.WaitDurable(t.Context()); err != nil {
				t.Fatal(err)
			}
			plan, ok := leader.PlanMergeAll()
			if !ok {
				continue
			}
			add(func(t *testing.T, st *Store, _ bool) {
				if err := st.ApplyMergePlan(index, int64(index)*1_000_000, plan); err != nil {
					t.Fatal(err)
				}
			})
			done, err := leader.BuildMerge(t.Context(), index)
			if err != nil {
				t.Fatal(err)
			}
			add(func(t *testing.T, st *Store, _ bool) {
				if st != leader && st.AppliedIndex() == index && st.DurableIndex() < index {
					if got, err := st.BuildMerge(t.Context(), index); err != nil || got != done {
						t.Fatalf("BuildMerge(%d) = %+v, %v, want %+v", index, got, err, done)
					}
				}
				if err := st.ApplyMergeDone(index+1, int64(index+1)*1_000_000, done); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	last := uint64(len(log) + 1)
	add(func(t *testing.T, st *Store, _ bool) {
		if err := st.ApplySeal(last, int64(last)*1_000_000, Seal{}, nil); err != nil {
			t.Fatal(err)
		}
	})
	if err := leader.WaitDurable(t.Context()); err != nil {
		t.Fatal(err)
	}
	return log, files(t, fs, leader)
}

// objectChange is a random entry about groups, objects or static cohorts, or about tables too.
func objectChange(r *rand.Rand) func(t *testing.T, st *Store, index uint64) {
	project := uint32(1 + r.Intn(2))
	at := func(index uint64) int64 { return int64(index) * 1_000_000 }
	name := func() string { return fmt.Sprint("u", r.Intn(40)) }
	switch r.Intn(4) {
	case 0:
		edit := GroupEdit{Names: []string{fmt.Sprint("type", r.Intn(7))}}
		for range r.Intn(4) {
			edit.Groups = append(edit.Groups, group.Edit{Index: r.Intn(group.Types), Key: name(), Properties: fmt.Appendf(nil, `{"n":%d}`, r.Intn(9))})
		}
		return func(t *testing.T, st *Store, index uint64) {
			if _, err := st.ApplyGroups(index, at(index), project, edit); err != nil {
				t.Fatal(err)
			}
		}
	case 1:
		schema := &table.Schema{Name: name(), Version: 1}
		schema.Add(table.Column{Name: "n", Type: vec.T(vec.Int8)})
		c := Commit{Tables: &table.WriteSet{Ops: []table.Op{{Kind: table.OpCreate, Table: table.Fresh, Schema: schema}}},
			Objects: []object.Edit{{Kind: object.Cohort, ID: 1 + r.Int63n(9), Body: []byte("1")}},
			Members: []MemberEdit{{Cohort: 1 + r.Int63n(5), DistinctIDs: []string{name()}}}}
		return func(t *testing.T, st *Store, index uint64) {
			raw, err := AppendCommit(nil, &c)
			if err != nil {
				t.Fatal(err)
			}
			own, err := DecodeCommit(raw) // a store keeps what it is given
			if err != nil {
				t.Fatal(err)
			}
			_, err = st.ApplyCommit(index, at(index), project, own)
			if err != nil && !errors.As(err, new(*object.ConflictError)) && !errors.As(err, new(*table.ConflictError)) { // names and numbers are taken
				t.Fatal(err)
			}
		}
	case 2:
		var edits []object.Edit
		for range 1 + r.Intn(3) {
			edits = append(edits, object.Edit{Kind: []string{"action", object.Cohort}[r.Intn(2)], ID: 1 + r.Int63n(5), Version: object.Any,
				Body: fmt.Appendf(nil, "%d", r.Intn(99)), Delete: r.Intn(4) == 0})
		}
		return func(t *testing.T, st *Store, index uint64) {
			var conflict *object.ConflictError // what is to be deleted may not be there
			if _, err := st.ApplyObjects(index, at(index), project, edits); err != nil && !errors.As(err, &conflict) {
				t.Fatal(err)
			}
		}
	}
	edit := MemberEdit{Cohort: 1 + r.Int63n(5), DistinctIDs: []string{name(), name(), name()}, Replace: r.Intn(4) == 0, Remove: r.Intn(4) == 0}
	return func(t *testing.T, st *Store, index uint64) {
		if _, err := st.ApplyMembers(index, at(index), project, edit); err != nil {
			t.Fatal(err)
		}
	}
}

// files is what the manifest of a closed store names, with the bytes.
func files(t *testing.T, fs vfs.FS, s *Store) map[string]string {
	t.Helper()
	m := s.log.Manifest()
	out := map[string]string{"applied": fmt.Sprint(m.Applied, m.StateHash)}
	for _, d := range []string{segmentDir, stateDir} {
		names, err := fs.List(path.Join("data", d))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if _, live := m.Segments[fileID(n)]; d == segmentDir && !live {
				continue
			}
			if d == stateDir && !slices.Contains(m.States, n) {
				continue
			}
			raw, err := vfs.ReadFile(fs, path.Join("data", d, n), 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			out[path.Join(d, n)] = string(raw)
		}
	}
	return out
}

// One log gives the same files, byte for byte, and the same hash of the state: on one core
// or several, flushed at once or late, with restarts in between, by who proposed and by
// who read the log.
func TestSameLogSameBytes(t *testing.T) {
	for seed := range int64(6) {
		log, want := scriptLog(t, seed)
		for replica, c := range []struct {
			procs, restart int
			wait           bool
		}{
			{1, 0, false}, {4, 0, true}, {2, 7, false}, {3, 23, true},
		} {
			before := runtime.GOMAXPROCS(c.procs)
			fs := vfs.NewMem()
			opt := Options{SealRows: 400}
			st := openStore(t, fs, opt)
			for i := 0; i < len(log); i++ {
				log[i](t, st, false)
				if c.wait {
					if err := st.WaitDurable(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if c.restart > 0 && i%c.restart == c.restart-1 {
					if err := st.Close(); err != nil {
						t.Fatal(err)
					}
					st = openStore(t, fs, opt)
					for j := range i + 1 {
						log[j](t, st, false)
					}
				}
			}
			if err := st.WaitDurable(context.Background()); err != nil {
				t.Fatal(err)
			}
			got := files(t, fs, st)
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			runtime.GOMAXPROCS(before)
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("seed %d: %s of replica %d differs: %d bytes, want %d", seed, name, replica, len(got[name]), len(want[name]))
				}
			}
			for name := range got {
				if _, ok := want[name]; !ok && !strings.HasPrefix(name, "applied") {
					t.Errorf("seed %d: replica %d has %s too", seed, replica, name)
				}
			}
		}
	}
}

// When state files are replaced by one of everything does not depend on how far flushes are.
func TestStateFilesOfLateFlushes(t *testing.T) {
	run := func(late bool) map[string]string {
		fs := vfs.NewMem()
		var held sync.RWMutex
		fs.Hook = func(_, name string) error {
			if strings.Contains(name, "/"+stateDir+"/") {
				held.RLock()
				defer held.RUnlock()
			}
			return nil
		}
		st := openStore(t, fs, Options{})
		defer st.Close()
		createAs(t, st, 1, "a")
		for i := range uint64(2*maxStates + 2) {
			first := i%2 == 0
			if late && first {
				held.Lock()
			}
			if _, err := st.ApplyEvents(2*i+2, 1, 1, smallBatch(int(i), 1)); err != nil {
				t.Fatal(err)
			}
			if err := st.ApplySeal(2*i+3, 1, Seal{}, nil); err != nil {
				t.Fatal(err)
			}
			if late && first {
				continue // the next one is sealed before this one is written
			}
			if late {
				held.Unlock()
			}
			if err := st.WaitDurable(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return files(t, fs, st)
	}
	want, got := run(false), run(true)
	if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(g, w) {
		t.Fatalf("late flushes leave %q, want %q", g, w)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: %d bytes, want %d", name, len(got[name]), len(want[name]))
		}
	}
}
