package exec

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/prickledb/prickle/engine/plan"
)

// randomLatestFunnel is a funnel of which nothing is asked but how far actors come.
func randomLatestFunnel(t *testing.T, r *rand.Rand) *plan.Funnel {
	n := randomEventFunnel(t, r)
	n.Mode, n.Entry, n.Output, n.Exclude = plan.Ordered, plan.EntryBest, plan.OutputDefault, nil
	if by := n.Breakdown; by != nil {
		by.Attribute = plan.AttributeEach
		by.Top, by.WithOther = r.Intn(4), r.Intn(2) == 0
	}
	n.Unread = nil
	for _, f := range n.Schema() {
		n.Unread = append(n.Unread, f.Name == "median_time" || f.Name == "average_time")
	}
	return n
}

// TestLatestEntries holds what is looked up in the segments against rows.
func TestLatestEntries(t *testing.T) {
	for seed := range tries(8) {
		m := newLiveModel(t, 300+seed)
		for range 30 {
			what := m.step()
			for range 12 {
				m.askLatest(what)
			}
		}
		m.fail(m.st.Close())
	}
}

// TestLatestEntriesOfManyRows has actors with more rows of a step than a block holds, and values that are
// kept by row or by stretches of rows.
func TestLatestEntriesOfManyRows(t *testing.T) {
	for _, steady := range []bool{true, false}[:tries(2)] {
		m := newLiveModel(t, 17)
		m.steady = steady
		for range 2 {
			m.add(60_000, 30_000)
			m.flush()
		}
		for range tries(20) {
			m.askLatest("many rows")
		}
		m.fail(m.st.Close())
	}
}

func (m *liveModel) askLatest(what string) {
	m.t.Helper()
	n := randomLatestFunnel(m.t, m.r)
	want := m.road(n, 1, true)
	if got := m.road(n, 1+m.r.Intn(3), false); !slices.Equal(got, want) {
		m.t.Fatalf("%s: %+v\ngot  %q\nwant %q", what, n, got, want)
	}
}
