package insighttest

import (
	"fmt"
	"time"
)

// span is a resolved date range.
type span struct {
	interval string
	from, to time.Time
	exact    bool // the range is taken as it stands
	explicit bool // explicitDate

	fromMissing, fromAll, fromRelative bool
	fromUnit                           string
	fromNumber                         int
	toMissing, toRelative              bool
}

// resolve reads the dateRange of a query. first is when the data of the query begin, for "all".
func (m *model) resolve(query object, interval string, exact bool, first func() time.Time) span {
	s := span{interval: interval, exact: exact, explicit: isTrue(query, "dateRange", "explicitDate")}
	from, given := get(query, "dateRange", "date_from").(string)
	switch {
	case !given || from == "":
		s.fromMissing = true
		s.from = m.back(m.now, 7, "d")
		if !exact && !s.explicit {
			s.from = m.startOf("day", s.from)
		}
	case from == "all":
		s.fromAll = true
		if s.from = first(); s.from.After(m.now) {
			unsupported("all time that begins in the future")
		}
	default:
		r := m.readDate(from)
		s.from, s.fromRelative, s.fromUnit, s.fromNumber = r.at, r.relative, r.unit, r.number
		if r.relative && interval != "minute" && interval != "second" && !exact {
			if r.unit == "h" {
				s.from = sharp(s.from)
			} else {
				s.from = m.startOf("day", s.from)
			}
		}
	}
	to, given := get(query, "dateRange", "date_to").(string)
	if !given || to == "" {
		s.toMissing = true
		s.to = m.now
	} else {
		r := m.readDate(to)
		s.to, s.toRelative = r.at, r.relative
	}
	if !s.explicit && !(exact && s.toMissing) {
		switch floating := s.toMissing || s.toRelative; {
		case interval == "hour" && floating:
			s.to = sharp(s.to).Add(time.Hour - time.Microsecond)
		case interval == "minute" && floating:
			s.to = m.startOf("minute", s.to).Add(time.Minute - time.Microsecond)
		case interval == "day", interval == "week", interval == "month":
			s.to = m.endOfDay(s.to)
		}
	}
	return s
}

// seconds cuts both bounds to whole seconds.
func (s span) seconds() span {
	s.from, s.to = s.from.Truncate(time.Second), s.to.Truncate(time.Second)
	return s
}

// scanFrom is where the events of the range begin.
func (m *model) scanFrom(s span) time.Time {
	switch {
	case s.exact, s.explicit,
		s.fromRelative && (s.interval == "hour" || s.interval == "minute" || s.interval == "second"),
		s.fromRelative && s.fromUnit == "h" && s.interval == "day":
		return s.from
	case s.interval == "week":
		return m.startOf("day", s.from)
	default:
		return m.startOf(s.interval, s.from)
	}
}

// axis is the starts of the intervals of a range.
func (m *model) axis(s span) []time.Time {
	var out []time.Time
	last := m.startOf(s.interval, s.to)
	for t := m.startOf(s.interval, s.from); !t.After(last); t = m.step(s.interval, t, 1) {
		out = append(out, t)
	}
	return out
}

// previous is the range before, by the compareFilter of the query; interval is the query's own.
func (m *model) previous(query object, current span, interval string) span {
	p := current
	p.interval = interval
	from, to := naive(current.from), naive(current.to)
	length := to.Sub(from)
	clockOf := func(day, clock time.Time) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), time.UTC)
	}
	var before, until time.Time
	if by, ok := get(query, "compareFilter", "compare_to").(string); ok && by != "" {
		r := relativeText.FindStringSubmatch(by)
		if r == nil {
			unsupported("compare_to %q", by)
		}
		before = naive(m.relative(current.from, r).at)
		until = before.Add(length)
	} else {
		switch interval {
		case "hour":
			before = clockOf(from.Add(-length), from)
			until = before.Add(length)
			until = time.Date(until.Year(), until.Month(), until.Day(), until.Hour(), to.Minute(), to.Second(), to.Nanosecond(), time.UTC)
		case "minute", "second":
			before, until = from.Add(-length), from
		default:
			before = clockOf(from.Add(-length), from)
			days := current.fromMissing || current.fromRelative && current.fromUnit == "d" && current.fromNumber > 0 && current.fromNumber%7 == 0
			if interval == "day" && days && !current.toRelative {
				before = before.AddDate(0, 0, 1)
			}
			until = clockOf(before.Add(length), to)
		}
	}
	p.from, p.to = m.aware(before), m.aware(until)
	return p
}

// day is how an instant of the axis is written among days.
func day(interval string, t time.Time) string {
	if interval == "hour" || interval == "minute" || interval == "second" {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("2006-01-02")
}

func days(interval string, axis []time.Time) []string {
	out := []string{}
	for _, t := range axis {
		out = append(out, day(interval, t))
	}
	return out
}

// labels are the readable names of the intervals; current is the range that clips weeks.
func (m *model) labels(interval string, axis []time.Time, current span) []string {
	out := []string{}
	for _, t := range axis {
		switch interval {
		case "hour", "minute", "second":
			out = append(out, t.Format("2-Jan 15:04"))
		case "month":
			out = append(out, t.Format("Jan 2006"))
		case "week":
			out = append(out, m.week(t, current))
		default:
			out = append(out, t.Format("2-Jan-2006"))
		}
	}
	return out
}

func (m *model) week(start time.Time, current span) string {
	from, to := naive(m.startOf("day", start)), naive(m.step("day", start, 6))
	if first := naive(m.startOf("day", current.from)); from.Before(first) {
		from = first
	}
	if last := naive(m.startOf("day", current.to)); to.After(last) {
		to = last
	}
	if to.Before(from) {
		to = from
	}
	switch {
	case from.Equal(to):
		return from.Format("2-Jan-2006")
	case from.Year() != to.Year():
		return from.Format("2-Jan-2006") + " – " + to.Format("2-Jan-2006")
	case from.Month() != to.Month():
		return from.Format("2-Jan") + " – " + to.Format("2-Jan")
	default:
		return fmt.Sprintf("%d–%d %s", from.Day(), to.Day(), to.Format("Jan"))
	}
}
