package exec

import (
	"math"
	"math/bits"
	"sort"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// quarter is a quarter of an hour in µs: every zone in use today is a whole number of them from UTC.
const quarter = int64(15 * 60 * 1e6)

// maxUnits bounds the look-up table of a timeline.
const maxUnits = 1 << 20

// maxBuckets bounds a timeline: hourly buckets over a century fit.
const maxBuckets = 1 << 20

// timeline cuts time into buckets of calendar units in a zone.
type timeline struct {
	// starts holds the start of every bucket, and then the end of the last: µs UTC.
	starts []int64
	// lut gives the bucket of each unit of time from the first start on, where the distances of all
	// starts are whole numbers of units; nil: look-ups search.
	lut  []int32
	unit uint64 // µs; 0 if there is no lut
	per  uint64 // 2⁶⁴ / unit, for dividing by it
}

// newTimeline covers [from, to) with buckets of the given length. The first bucket
// contains from; weeks start on Monday or Sunday, days and hours at local midnight.
func newTimeline(from, to int64, every vec.IntervalValue, loc *time.Location, sunday bool) (*timeline, error) {
	if every.Months < 0 || every.Days < 0 || every.Micros < 0 || every == (vec.IntervalValue{}) {
		return nil, pgerr.New("PK002", "EVERY must be a positive interval").WithHint("Write, for example, EVERY INTERVAL '1 day'.")
	}
	t := &timeline{}
	at := truncate(time.UnixMicro(from).In(loc), every, sunday)
	for i := 0; ; i++ {
		us := at.UnixMicro()
		if n := len(t.starts); n == 0 || us > t.starts[n-1] {
			t.starts = append(t.starts, us)
		}
		if us >= to && len(t.starts) > 1 {
			break
		}
		if i > maxBuckets {
			return nil, pgerr.New("54000", "more than %d buckets", maxBuckets).WithHint("Use a longer EVERY or a shorter DURING.")
		}
		next := advance(at, every)
		if !next.After(at) { // a local time that a change of the clock repeats
			next = at.Add(15 * time.Minute)
		}
		at = next
	}
	t.index()
	return t, nil
}

// truncate is the start of the bucket that contains at. Where it lies does not depend on
// the data: buckets of several days or months are counted from 1970-01-01, those of weeks
// from the first Monday or Sunday of 1970, and hours and less from local midnight if a day
// is a whole number of them, and else from 1970-01-01 UTC.
func truncate(at time.Time, every vec.IntervalValue, sunday bool) time.Time {
	y, m, d := at.Date()
	loc := at.Location()
	switch {
	case every.Months > 0:
		months := y*12 + int(m) - 1
		months -= floorMod(months-1970*12, int(every.Months))
		return startOfDay(months/12, time.Month(months%12+1), 1, loc)
	case every.Days > 0:
		number := dayNumber(at)
		if every.Days%7 == 0 {
			if number -= 4; sunday { // 1970-01-05 is a Monday
				number++
			}
		}
		return startOfDay(y, m, d-floorMod(number, int(every.Days)), loc)
	}
	if !dividesDay(every) {
		us := at.UnixMicro()
		return time.UnixMicro(us - int64(floorMod(int(us), int(every.Micros)))).In(loc)
	}
	midnight := startOfDay(y, m, d, loc)
	step := time.Duration(every.Micros) * time.Microsecond
	return midnight.Add(at.Sub(midnight) / step * step)
}

// dividesDay says whether a day is a whole number of buckets of hours or less.
func dividesDay(every vec.IntervalValue) bool {
	return every.Months == 0 && every.Days == 0 && day%every.Micros == 0
}

// advance is the start of the bucket after the one that starts at at. Hours begin anew at
// local midnight, so that a change of the clock moves no later bucket.
func advance(at time.Time, every vec.IntervalValue) time.Time {
	y, m, d := at.Date()
	switch {
	case every.Months > 0:
		return startOfDay(y, m+time.Month(every.Months), 1, at.Location())
	case every.Days > 0:
		return startOfDay(y, m, d+int(every.Days), at.Location())
	}
	next := addInterval(at, every)
	if dividesDay(every) {
		if midnight := startOfDay(y, m, d+1, at.Location()); next.After(midnight) {
			return midnight
		}
	}
	return next
}

// startOfDay is the first instant of a day, which is midnight unless clocks are changed
// then.
func startOfDay(y int, m time.Month, d int, loc *time.Location) time.Time {
	return expr.AtClock(y, m, d, 0, loc)
}

// dayNumber is the day of a time by its own calendar, in days since 1970.
func dayNumber(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86_400)
}

func floorMod(a, n int) int { return ((a % n) + n) % n }

// addInterval adds an interval by the calendar of the time's zone. A month's day that
// does not exist becomes the month's last.
func addInterval(at time.Time, iv vec.IntervalValue) time.Time {
	if iv.Months != 0 {
		y, m, d := at.Date()
		first := time.Date(y, m+time.Month(iv.Months), 1, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), at.Location())
		last := first.AddDate(0, 1, -1).Day()
		at = first.AddDate(0, 0, min(d, last)-1)
	}
	if iv.Days != 0 {
		at = at.AddDate(0, 0, int(iv.Days))
	}
	return at.Add(time.Duration(iv.Micros) * time.Microsecond)
}

// index builds the look-up table, unless it would be large. Its unit is the greatest that there is: a day for
// days and weeks in a zone that changes no clocks, and an hour, or a half, in others.
func (t *timeline) index() {
	unit := uint64(0)
	for i, start := range t.starts[1:] {
		for x := uint64(start - t.starts[i]); x != 0; { // Euclid
			unit, x = x, unit%x
		}
	}
	n := uint64(t.starts[len(t.starts)-1]-t.starts[0]) / unit
	if n > maxUnits {
		return
	}
	t.unit, t.per = unit, math.MaxUint64/unit
	t.lut = make([]int32, n)
	b := int32(0)
	for i := range t.lut {
		for t.starts[0]+int64(uint64(i)*unit) >= t.starts[b+1] {
			b++
		}
		t.lut[i] = b
	}
}

// inQuarters says whether each bucket is made of whole quarter-hours.
func (t *timeline) inQuarters() bool {
	return t.unit > 0 && t.unit%uint64(quarter) == 0 && t.starts[0]%quarter == 0
}

// count is the number of buckets.
func (t *timeline) count() int { return len(t.starts) - 1 }

// bucket is the bucket of an instant, or -1 if it lies outside.
func (t *timeline) bucket(us int64) int {
	if us < t.starts[0] || us >= t.starts[len(t.starts)-1] {
		return -1
	}
	if t.lut != nil {
		since := uint64(us - t.starts[0])
		i, _ := bits.Mul64(since, t.per) // the quotient, or one less
		if since-i*t.unit >= t.unit {
			i++
		}
		return int(t.lut[i])
	}
	return sort.Search(len(t.starts), func(i int) bool { return t.starts[i] > us }) - 1
}

// window adds an interval to instants; fixed if every day of the zone has 24 hours as far
// as the interval is concerned.
type window struct {
	iv    vec.IntervalValue
	loc   *time.Location
	fixed int64 // µs, if the calendar does not matter; else -1
}

func newWindow(iv vec.IntervalValue, loc *time.Location) window {
	w := window{iv: iv, loc: loc, fixed: -1}
	if iv.Months == 0 && (iv.Days == 0 || loc == time.UTC || loc.String() == "UTC") {
		w.fixed = int64(iv.Days)*86_400_000_000 + iv.Micros
	}
	return w
}

// after is the last instant that is within the window that opens at us.
func (w *window) after(us int64) int64 {
	if w.fixed >= 0 {
		if us > vec.InfinityTime-w.fixed {
			return vec.InfinityTime
		}
		return us + w.fixed
	}
	return addInterval(time.UnixMicro(us).In(w.loc), w.iv).UnixMicro()
}
