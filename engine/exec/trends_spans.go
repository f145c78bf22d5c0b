package exec

import (
	"slices"
	"sort"
	"time"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// spans says in which buckets a row counts: time is cut into units, and all rows of a unit
// count in the same neighbouring buckets.
type spans struct {
	line *timeline
	// first and last are the buckets of each unit; none if first is beyond last.
	first, last []int32
	// from and to bound the rows that count.
	from, to int64
	// own is true if units are buckets, and rows count in their own one only.
	own bool
	// onward is true if rows count in all later buckets, too. Each count then has those
	// before in it.
	onward bool
	// known is the units of the last segment that was asked for: unitsOf.
	known struct {
		seg *storage.Segment
		of  []int32
	}
}

// settle takes out of the counts of all buckets what they should not have.
func (s *spans) settle(counts []int64) []int64 {
	if s.onward {
		for b := len(counts) - 1; b > 0; b-- {
			counts[b] -= counts[b-1]
		}
	}
	return counts
}

// of is the buckets in which a row counts; the first is beyond the last if none.
func (s *spans) of(us int64) (int, int) {
	if us < s.from || us >= s.to {
		return 0, -1
	}
	u := s.line.bucket(us)
	if u < 0 {
		return 0, -1
	}
	return int(s.first[u]), int(s.last[u])
}

// fill sets the buckets of every unit, from an instant of it.
func (s *spans) fill(of func(us int64) (int, int)) {
	n := s.line.count()
	s.first, s.last = make([]int32, n), make([]int32, n)
	for u := range n {
		first, last := of(s.line.starts[u])
		s.first[u], s.last[u] = int32(first), int32(last)
	}
}

// cutTimeline is a timeline with the given starts, in any order, the last of which is its
// end.
func cutTimeline(starts []int64) *timeline {
	slices.Sort(starts)
	t := &timeline{starts: slices.Compact(starts)}
	t.index()
	return t
}

// spans is in which buckets rows count in a series over actors.
func (t *trends) spans(s *plan.Series) (*spans, error) {
	switch {
	case s.Measure != plan.MeasureRolling || t.node.Compatible && t.shortWindow(s.Rolling):
		sp := t.ownSpans()
		if t.node.Cumulative && t.line.count() > 1 {
			// Actors are counted once, in their first bucket.
			sp.own, sp.onward = false, true
			for u := range sp.last {
				sp.last[u] = int32(len(sp.last) - 1)
			}
		}
		return sp, nil
	case !t.node.Compatible:
		return t.rollingSpans(s.Rolling), nil
	case t.node.Every == nil:
		sp := t.ownSpans()
		sp.from = addInterval(time.UnixMicro(t.last-1).In(t.loc), negative(s.Rolling)).UnixMicro()
		sp.line = &timeline{starts: []int64{sp.from, max(sp.to, sp.from+1)}}
		sp.own = false
		return sp, nil
	}
	return t.windowSpans(s.Rolling)
}

// ownSpans lets rows count in their own bucket.
func (t *trends) ownSpans() *spans {
	sp := &spans{line: t.line, from: t.from, to: t.to, own: true}
	sp.fill(func(us int64) (int, int) {
		b := t.line.bucket(us)
		return b, b
	})
	return sp
}

// rollingSpans lets rows count in the buckets whose interval, which ends with the bucket,
// holds them.
func (t *trends) rollingSpans(by vec.IntervalValue) *spans {
	starts := t.line.starts
	n := t.line.count()
	begins := allBack(starts[1:], by, t.loc)
	sp := &spans{line: cutTimeline(slices.Concat(starts, begins)), from: begins[0], to: t.to}
	sp.fill(func(us int64) (int, int) {
		first := 0
		if us >= starts[0] {
			if first = t.line.bucket(us); first < 0 {
				return 0, -1
			}
		}
		return first, sort.Search(n, func(b int) bool { return begins[b] > us }) - 1
	})
	return sp
}

// windowSpans is the rule of the insights: a row's time is cut to the day, or to the hour
// or minute where buckets are that short, and counts in the buckets whose start is less
// than the window after it.
func (t *trends) windowSpans(by vec.IntervalValue) (*spans, error) {
	starts := t.line.starts
	n := t.line.count()
	unit := vec.IntervalValue{Days: 1}
	if every := t.node.Every; every.Months == 0 && every.Days == 0 {
		unit = *every
	}
	back := make([]int64, n)
	for b := range back {
		back[b] = t.before(starts[b], by, unit)
	}
	sp := &spans{from: t.before(t.first, by, vec.IntervalValue{Days: 1}), to: t.to}
	var err error
	if sp.line, err = newTimeline(sp.from, max(sp.to, sp.from+1), unit, t.loc, false); err != nil {
		return nil, err
	}
	sp.fill(func(us int64) (int, int) {
		first := sort.Search(n, func(b int) bool { return starts[b] >= us })
		return first, sort.Search(n, func(b int) bool { return back[b] >= us }) - 1
	})
	return sp, nil
}

// before is a window earlier than an instant: by the calendar in units of days, else in
// elapsed time.
func (t *trends) before(us int64, by, unit vec.IntervalValue) int64 {
	if unit.Days == 0 {
		return us - elapsed(by)
	}
	return addInterval(time.UnixMicro(us).In(t.loc), negative(by)).UnixMicro()
}

// shortWindow says whether a window is no longer than a bucket. The insights count the
// actors of the bucket then.
func (t *trends) shortWindow(by vec.IntervalValue) bool {
	return t.node.Every != nil && (t.node.Every.Days > 0 || t.node.Every.Months > 0) && elapsed(by) <= elapsed(*t.node.Every)
}

func negative(by vec.IntervalValue) vec.IntervalValue {
	return vec.IntervalValue{Months: -by.Months, Days: -by.Days, Micros: -by.Micros}
}

// elapsed is an interval in µs, where a day has 24 hours and a month 30 days.
func elapsed(by vec.IntervalValue) int64 {
	return (int64(by.Months)*30+int64(by.Days))*day + by.Micros
}
