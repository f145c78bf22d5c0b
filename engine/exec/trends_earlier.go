package exec

import (
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// earlier is the period that this one is compared with. Every bucket begins and ends as much
// earlier as COMPARE TO says. A bucket may have nothing to compare with, such as the 31st in
// a month of 30 days, and then is empty; every row of the earlier period is in one of them.
func (t *trends) earlier() (*trends, error) {
	by := *t.node.Compare
	if by == (vec.IntervalValue{}) {
		if t.from == vec.NegInfinityTime || t.to == vec.InfinityTime {
			return nil, pgerr.New(pgerr.BadOperatorClause, "COMPARE TO PREVIOUS needs DURING with two ends").
				WithHint("Say how much earlier with COMPARE TO INTERVAL '1 week' EARLIER.")
		}
		by = lengthOf(t.from, t.to, t.node.Every, t.loc)
	}
	p := *t
	p.series, p.held = nil, 0
	p.from, p.to = back(t.from, by, t.loc), back(t.to, by, t.loc)
	p.line = &timeline{starts: allBack(t.line.starts, by, t.loc)}
	p.line.index()
	return &p, nil
}

// lengthOf is the length of [from, to), rounded up to whole steps of a calendar unit: of
// EVERY where buckets are days or longer. Else it is so many whole days, if it is, or the
// time elapsed, in whole EVERY.
func lengthOf(from, to int64, every *vec.IntervalValue, loc *time.Location) vec.IntervalValue {
	a, b := time.UnixMicro(from).In(loc), time.UnixMicro(to).In(loc)
	days := dayNumber(b) - dayNumber(a)
	var length, step vec.IntervalValue
	switch {
	case every != nil && every.Months > 0:
		months := int32((b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month()))
		length.Months, step.Months = months-months%every.Months, every.Months
	case every != nil && every.Days > 0:
		length.Days, step.Days = int32(days)-int32(days)%every.Days, every.Days
	default:
		whole := vec.IntervalValue{Days: int32(days)}
		if days > 0 && clockOf(a) == clockOf(b) && back(to, whole, loc) == from {
			return whole
		}
		length.Micros = to - from
		if every != nil {
			length.Micros += (every.Micros - length.Micros%every.Micros) % every.Micros
		}
		return length
	}
	for back(to, length, loc) > from {
		length.Months, length.Days = length.Months+step.Months, length.Days+step.Days
	}
	return length
}

// allBack is the instants an interval before others, which ascend. So do the answers: where
// clocks show an hour twice, the earlier times stand still until they go on.
func allBack(instants []int64, by vec.IntervalValue, loc *time.Location) []int64 {
	out := make([]int64, len(instants))
	for i, us := range instants {
		out[i] = back(us, by, loc)
		if i > 0 {
			out[i] = max(out[i], out[i-1])
		}
	}
	return out
}

// back is the instant an interval before another, by the calendar of a zone. What the
// calendar does not have then, a day of a month or an hour of a day, is the next that it
// has. Infinity stays what it is.
func back(us int64, by vec.IntervalValue, loc *time.Location) int64 {
	if us == vec.NegInfinityTime || us == vec.InfinityTime {
		return us
	}
	if by.Months == 0 && by.Days == 0 {
		return us - by.Micros
	}
	at := time.UnixMicro(us).In(loc)
	y, m, d := at.Date()
	clock := clockOf(at)
	if by.Months != 0 {
		m -= time.Month(by.Months)
		if last := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day(); d > last {
			m, d, clock = m+1, 1, 0
		}
	}
	return expr.AtClock(y, m, d-int(by.Days), clock, loc).UnixMicro() - by.Micros
}

// clockOf is the time of day that clocks show.
func clockOf(t time.Time) time.Duration {
	hour, minute, sec := t.Clock()
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(sec)*time.Second + time.Duration(t.Nanosecond())
}
