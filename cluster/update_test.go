package cluster

import (
	"testing"
	"time"

	"github.com/prickledb/prickle/storage"
)

func projectUpdate(id uint32, name string) storage.ProjectUpdate {
	return storage.ProjectUpdate{ID: id, Name: &name}
}

// Settings, limits and what was used in the month are there after a restart, whether they
// lie in the log or in state files, and the project keeps its persons.
func TestUpdateProject(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return at }
	n := openNode(t, Config{Dir: dir, Clock: clock})
	ingest(t, n, 1, 0, 100, Receipt{Stored: 100})
	limits := storage.Limits{EventsPerSecond: 10, EventsPerMonth: 1000}
	update := projectUpdate(1, "Shop")
	update.Limits = &limits
	check := func(when string, events, month int64) {
		t.Helper()
		p, _ := n.Store().Project(1)
		if p.Name != "Shop" || p.Limits != limits || p.Database != "prickle" {
			t.Errorf("%s: project = %+v", when, p)
		}
		if u := n.Store().Usage(1, at); u.Events != events || u.MonthEvents != month {
			t.Errorf("%s: usage = %+v, want %d events, %d in the month", when, u, events, month)
		}
		s, err := n.Store().Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		if s.Project().Limits != limits {
			t.Errorf("%s: a snapshot's limits = %+v", when, s.Project().Limits)
		}
	}
	if p, err := n.UpdateProject(t.Context(), update); err != nil || p.Name != "Shop" {
		t.Fatalf("UpdateProject = %+v, %v", p, err)
	}
	check("at once", 100, 100)
	restart := func() {
		t.Helper()
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		n = openNode(t, Config{Dir: dir, Clock: clock})
	}
	restart()
	check("after a restart", 100, 100)
	ingest(t, n, 1, 90, 20, Receipt{Stored: 10, Duplicates: 10})
	restart()
	check("after another", 110, 110)
	at = at.AddDate(0, 1, 0)
	check("next month", 110, 0)
	ingest(t, n, 1, 200, 5, Receipt{Stored: 5})
	check("and an event", 115, 5)
	if _, err := n.UpdateProject(t.Context(), projectUpdate(9, "x")); err == nil {
		t.Error("a project that is not there was changed")
	}
}
