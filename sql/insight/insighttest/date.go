package insighttest

import (
	"regexp"
	"strconv"
	"time"
)

var absoluteText = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$`)

// absolute reads an ISO date, which is in zone unless it says.
func absolute(s string, zone *time.Location) (time.Time, bool) {
	p := absoluteText.FindStringSubmatch(s)
	if p == nil {
		return time.Time{}, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(p[i]); return v }
	nanos := 0
	if p[7] != "" {
		f, _ := strconv.ParseFloat("0"+p[7], 64)
		nanos = int(f*1e6+0.5) * 1000
	}
	in := zone
	if p[8] == "Z" {
		in = time.UTC
	} else if p[8] != "" {
		digits := p[8][1:3] + p[8][len(p[8])-2:]
		hm, _ := strconv.Atoi(digits)
		offset := hm/100*3600 + hm%100*60
		if p[8][0] == '-' {
			offset = -offset
		}
		in = time.FixedZone("", offset)
	}
	return aware(time.Date(n(1), time.Month(n(2)), n(3), n(4), n(5), n(6), nanos, time.UTC), in).In(zone), true
}

var relativeText = regexp.MustCompile(`-?(\d*)([sMhdwmqy])(Start|End)?`)

// read is a date text that was read.
type read struct {
	at       time.Time
	relative bool
	number   int
	unit     string // "" if the text has no delta
}

// readDate reads a date text as of the model's now.
func (m *model) readDate(s string) read {
	if t, ok := absolute(s, m.zone); ok {
		return read{at: t}
	}
	p := relativeText.FindStringSubmatch(s)
	if p == nil {
		return read{at: m.now, relative: true}
	}
	return m.relative(m.now, p)
}

func (m *model) relative(from time.Time, p []string) read {
	n, _ := strconv.Atoi(p[1])
	r := read{at: from, relative: true, number: n, unit: p[2]}
	if p[1] != "" {
		r.at = m.back(from, n, p[2])
	}
	t := r.at
	switch p[3] + p[2] {
	case "Starth":
		r.at = sharp(t)
	case "Endh":
		r.at = sharp(t).Add(time.Hour - time.Microsecond)
	case "Startd":
		r.at = m.startOf("day", t)
	case "Endd":
		r.at = m.endOfDay(t)
	case "Startm":
		r.at = m.wall(t.Year(), t.Month(), 1, t)
	case "Endm":
		r.at = m.wall(t.Year(), t.Month(), daysIn(t.Year(), t.Month()), t)
	case "Starty":
		r.at = m.wall(t.Year(), 1, 1, t)
	case "Endy":
		r.at = m.wall(t.Year(), t.Month(), daysIn(t.Year(), t.Month()), t)
	}
	return r
}

// back goes n units back on the wall clock.
func (m *model) back(t time.Time, n int, unit string) time.Time {
	w := naive(t)
	switch unit {
	case "s":
		w = w.Add(-time.Duration(n) * time.Second)
	case "M":
		w = w.Add(-time.Duration(n) * time.Minute)
	case "h":
		w = w.Add(-time.Duration(n) * time.Hour)
	case "d":
		w = w.AddDate(0, 0, -n)
	case "w":
		w = w.AddDate(0, 0, -7*n)
	case "q":
		w = w.AddDate(0, 0, -7*13*n)
	case "m":
		w = addMonths(w, -n)
	case "y":
		w = addMonths(w, -12*n)
	}
	return m.aware(w)
}

// addMonths keeps the day of the month, or takes the last one.
func addMonths(w time.Time, n int) time.Time {
	first := time.Date(w.Year(), w.Month()+time.Month(n), 1, w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), time.UTC)
	return first.AddDate(0, 0, min(w.Day(), daysIn(first.Year(), first.Month()))-1)
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// naive is the wall clock of t, written as an instant of UTC; aware is its inverse.
func naive(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// aware is the first instant whose wall clock reads w, or if clocks leave w out, when they do.
func aware(w time.Time, zone *time.Location) time.Time {
	var changed time.Time
	for _, about := range []time.Duration{-26 * time.Hour, 26 * time.Hour} { // what clocks show before a change and after
		_, offset := w.Add(about).In(zone).Zone()
		t := w.Add(-time.Duration(offset) * time.Second).In(zone)
		if naive(t).Equal(w) {
			return t
		}
		if about < 0 {
			changed, _ = t.ZoneBounds()
		}
	}
	return changed
}

func (m *model) aware(w time.Time) time.Time { return aware(w, m.zone) }

func (m *model) wall(year int, month time.Month, day int, clock time.Time) time.Time {
	return m.aware(time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), time.UTC))
}

// endOfDay is the last microsecond of the day of t.
func (m *model) endOfDay(t time.Time) time.Time {
	return m.midnight(naive(t).AddDate(0, 0, 1)).Add(-time.Microsecond)
}

// midnight is the first instant of the wall clock's day, which need not read 00:00.
func (m *model) midnight(w time.Time) time.Time {
	day := time.Date(w.Year(), w.Month(), w.Day(), 0, 0, 0, 0, time.UTC)
	if t, ok := m.days[day]; ok {
		return t
	}
	t := time.Date(w.Year(), w.Month(), w.Day(), 12, 0, 0, 0, m.zone)
	for {
		earlier := t.Add(-15 * time.Minute)
		if earlier.Day() != w.Day() {
			m.days[day] = t
			return t
		}
		t = earlier
	}
}

// startOf is the start of the interval t lies in.
func (m *model) startOf(interval string, t time.Time) time.Time {
	t = t.In(m.zone)
	switch interval {
	case "second":
		return t.Add(-time.Duration(t.Nanosecond()))
	case "minute":
		return t.Add(-time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	case "hour": // the hours of a day are counted from its midnight, as they elapse
		start := m.midnight(naive(t))
		for !start.Add(time.Hour).After(t) {
			start = start.Add(time.Hour)
		}
		return start
	case "week":
		back := (int(t.Weekday()) - m.weekStart + 7) % 7
		return m.midnight(naive(t).AddDate(0, 0, -back))
	case "month":
		return m.midnight(time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC))
	default:
		return m.midnight(naive(t))
	}
}

// sharp is when the wall clock last read a whole hour. That need not be the start of one.
func sharp(t time.Time) time.Time {
	return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
}

// step goes n intervals on from the start of one.
func (m *model) step(interval string, t time.Time, n int) time.Time {
	switch interval {
	case "second":
		return t.Add(time.Duration(n) * time.Second)
	case "minute":
		return t.Add(time.Duration(n) * time.Minute)
	case "hour":
		if n < 0 {
			return m.startOf("hour", t.Add(-time.Microsecond))
		}
		return m.startOf("hour", t.Add(time.Duration(n)*time.Hour))
	case "week":
		return m.midnight(naive(t).AddDate(0, 0, 7*n))
	case "month":
		return m.midnight(naive(t).AddDate(0, n, 0))
	default:
		return m.midnight(naive(t).AddDate(0, 0, n))
	}
}
