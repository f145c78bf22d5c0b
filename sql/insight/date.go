package insight

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/expr"
)

// maxBuckets is how many buckets an answer may have.
const maxBuckets = 10_000

// unit is the length of a bucket.
type unit uint8

// The units, from short to long.
const (
	second unit = iota
	minute
	hour
	day
	week
	month
)

var unitNames = [...]string{"second", "minute", "hour", "day", "week", "month"}

func (u unit) String() string { return unitNames[u] }

func readUnit(s, attr string) (unit, error) {
	for i, n := range unitNames {
		if strings.EqualFold(s, n) {
			return unit(i), nil
		}
	}
	if s == "" {
		return day, nil
	}
	return 0, refuse(attr, "unknown interval %q; there are second, minute, hour, day, week and month", s)
}

// clock is the time zone of a project and when its weeks start.
type clock struct {
	zone   *time.Location
	monday bool
}

// start is the beginning of the bucket that holds t.
func (c clock) start(t time.Time, u unit) time.Time {
	t = t.In(c.zone)
	y, m, d := t.Date()
	switch u {
	case second:
		return t.Truncate(time.Second)
	case minute:
		return c.within(t, time.Minute)
	case hour: // from midnight in elapsed time, also where clocks are changed by half an hour
		midnight := c.midnight(y, m, d)
		return midnight.Add(t.Sub(midnight).Truncate(time.Hour))
	case day:
		return c.midnight(y, m, d)
	case week:
		back := int(t.Weekday())
		if c.monday {
			back = (back + 6) % 7
		}
		return c.midnight(y, m, d-back)
	}
	return c.midnight(y, m, 1)
}

// midnight is the first instant of a day.
func (c clock) midnight(y int, m time.Month, d int) time.Time {
	return expr.AtClock(y, m, d, 0, c.zone)
}

// endOfDay is the last microsecond of the day of t.
func (c clock) endOfDay(t time.Time) time.Time {
	y, m, d := t.In(c.zone).Date()
	return c.midnight(y, m, d+1).Add(-time.Microsecond)
}

// at is when clocks show a time of a day.
func (c clock) at(y int, m time.Month, d, hours, minutes, seconds, nanos int) time.Time {
	return expr.AtClock(y, m, d, time.Duration(hours*3600+minutes*60+seconds)*time.Second+time.Duration(nanos), c.zone)
}

// within cuts the wall clock to whole minutes or hours, in elapsed time, so that the two
// hours of one name at the end of summer time stay apart.
func (c clock) within(t time.Time, d time.Duration) time.Time {
	past := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	if d == time.Minute {
		past -= time.Duration(t.Minute()) * time.Minute
	}
	return t.Add(-past)
}

// add is n buckets later: by the calendar from a day on, in elapsed time below.
func (c clock) add(t time.Time, u unit, n int) time.Time {
	t = t.In(c.zone)
	switch u {
	case second:
		return t.Add(time.Duration(n) * time.Second)
	case minute:
		return t.Add(time.Duration(n) * time.Minute)
	case hour:
		return t.Add(time.Duration(n) * time.Hour)
	case day:
		return c.addDays(t, n)
	case week:
		return c.addDays(t, 7*n)
	}
	return c.addMonths(t, n)
}

// addDays moves by days of the calendar and keeps the time of day.
func (c clock) addDays(t time.Time, n int) time.Time {
	return c.asWall(c.asUTC(t).AddDate(0, 0, n))
}

// addMonths moves by months; a day that the month does not have becomes its last one.
func (c clock) addMonths(t time.Time, n int) time.Time {
	bare := c.asUTC(t)
	first := bare.AddDate(0, n, 1-bare.Day())
	last := first.AddDate(0, 1, -1).Day()
	return c.asWall(first.AddDate(0, 0, min(bare.Day(), last)-1))
}

// moment is what a date text says.
type moment struct {
	t        time.Time
	relative bool
	hours    bool // the text moves by hours
	days     int  // the text moves by so many days; 0 for none
}

var (
	isoDate  = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2})(?::(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?)?\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?$`)
	relative = regexp.MustCompile(`-?(\d*)([sMhdwmqy])(Start|End)?`)
)

// readDate reads a date text; anything else than a date is now.
func (c clock) readDate(text string, now time.Time) moment {
	if t, ok := c.absolute(strings.TrimSpace(text)); ok {
		return moment{t: t}
	}
	now = now.In(c.zone)
	m := relative.FindStringSubmatch(text)
	if m == nil || text == "now" {
		return moment{t: now, relative: true}
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > 1_000_000 {
		n = 0
	}
	t, out := now, moment{relative: true}
	switch m[2] {
	case "s":
		t = c.wall(t, -time.Duration(n)*time.Second)
	case "M":
		t = c.wall(t, -time.Duration(n)*time.Minute)
	case "h":
		t = c.wall(t, -time.Duration(n)*time.Hour)
		out.hours = n > 0
	case "d":
		t = c.addDays(t, -n)
		out.days = n
	case "w":
		t = c.addDays(t, -7*n)
	case "q":
		t = c.addDays(t, -91*n)
	case "m":
		t = c.addMonths(t, -n)
	case "y":
		t = c.addMonths(t, -12*n)
	}
	out.t = c.edge(t, m[2], m[3])
	return out
}

// wall moves the wall clock.
func (c clock) wall(t time.Time, d time.Duration) time.Time {
	return c.asWall(c.asUTC(t).Add(d))
}

// asWall is the instant at which the zone's clock shows what a UTC time shows.
func (c clock) asWall(u time.Time) time.Time {
	y, mo, d := u.Date()
	h, mi, s := u.Clock()
	return c.at(y, mo, d, h, mi, s, u.Nanosecond())
}

// asUTC is the reverse: the wall clock as a UTC time, for arithmetic on it.
func (c clock) asUTC(t time.Time) time.Time {
	t = t.In(c.zone)
	y, mo, d := t.Date()
	h, mi, s := t.Clock()
	return time.Date(y, mo, d, h, mi, s, t.Nanosecond(), time.UTC)
}

// edge moves to the start or the end that a suffix names.
func (c clock) edge(t time.Time, u, suffix string) time.Time {
	if suffix == "" {
		return t
	}
	y, m, d := t.Date()
	h, mi, s := t.Clock()
	ns := t.Nanosecond()
	starts := suffix == "Start"
	switch u {
	case "h":
		if starts {
			return c.within(t, time.Hour)
		}
		return c.within(t, time.Hour).Add(time.Hour - time.Microsecond)
	case "d":
		if starts {
			return c.midnight(y, m, d)
		}
		return c.endOfDay(t)
	case "m":
		if starts {
			return c.at(y, m, 1, h, mi, s, ns)
		}
		return c.at(y, m+1, 0, h, mi, s, ns)
	case "y":
		if starts {
			return c.at(y, 1, 1, h, mi, s, ns)
		}
		return c.at(y, m+1, 0, h, mi, s, ns)
	}
	return t
}

// absolute reads an ISO date, perhaps with a time and an offset.
func (c clock) absolute(s string) (time.Time, bool) {
	m := isoDate.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	num := func(i int) int { n, _ := strconv.Atoi(m[i]); return n } // the pattern says digits or none
	frac := (m[7] + "000000000")[:9]
	ns, _ := strconv.Atoi(frac)
	zone := c.zone
	if z := m[8]; z != "" {
		zone = time.UTC
		if z != "Z" && z != "z" {
			digits := strings.ReplaceAll(z[1:], ":", "") + "00"
			h, _ := strconv.Atoi(digits[:2])
			mi, _ := strconv.Atoi(digits[2:4])
			offset := h*3600 + mi*60
			if z[0] == '-' {
				offset = -offset
			}
			zone = time.FixedZone("", offset)
		}
	}
	t := clock{zone: zone}.at(num(1), time.Month(num(2)), num(3), num(4), num(5), num(6), ns)
	if t.Month() != time.Month(num(2)) && num(4) < 24 || num(2) < 1 || num(2) > 12 || num(3) < 1 || num(4) > 24 || num(5) > 59 || num(6) > 60 {
		return time.Time{}, false
	}
	return t.In(c.zone), true
}

// span is the range of a query in the project's zone.
type span struct {
	clock
	u        unit
	from, to time.Time
	// How from was said, for the start of the scan and the previous period.
	explicit, exact bool
	relative        bool // from is relative, or the default
	hours           bool
	days            int
	missing         bool // from was not given, or "all"
	toRelative      bool // to is relative, or missing
	toText          bool // to was given as a relative text
}

// rangeRules are what a kind of insight does its own way with the range.
type rangeRules struct {
	exact bool // bounds are not rounded
	full  bool // bounds keep their fractions of a second
}

// span resolves a range that has not too many buckets. first is the earliest event for "all".
func (c clock) span(d dateRange, u unit, now time.Time, rules rangeRules, first func() (time.Time, error)) (*span, error) {
	s, err := c.resolve(d, u, now, rules, first)
	if err != nil {
		return nil, err
	}
	return s, s.check()
}

// resolve is span for what has no buckets.
func (c clock) resolve(d dateRange, u unit, now time.Time, rules rangeRules, first func() (time.Time, error)) (*span, error) {
	s := &span{clock: c, u: u, explicit: d.Explicit, exact: rules.exact}
	now = now.In(c.zone)
	switch {
	case d.From == nil || *d.From == "":
		s.missing, s.relative, s.days = true, true, 7
		s.from = c.addDays(c.start(now, day), -7)
		if rules.exact || d.Explicit {
			s.from = c.addDays(now, -7)
		}
	case *d.From == "all":
		s.missing = true
		t, err := first()
		if err != nil {
			return nil, err
		}
		s.from = t.In(c.zone)
	default:
		m := c.readDate(*d.From, now)
		s.from, s.relative, s.hours, s.days = m.t, m.relative, m.hours, m.days
		if m.relative && u > minute && !rules.exact {
			if m.hours {
				s.from = c.within(m.t, time.Hour)
			} else {
				s.from = c.start(m.t, day)
			}
		}
	}
	s.to, s.toRelative = now, true
	if d.To != nil && *d.To != "" {
		m := c.readDate(*d.To, now)
		s.to, s.toRelative, s.toText = m.t, m.relative, m.relative
	}
	given := d.To != nil && *d.To != ""
	if !d.Explicit && (!rules.exact || given) {
		s.to = c.roundUp(s.to, u, s.toRelative)
	}
	if !rules.full {
		s.from, s.to = s.from.Truncate(time.Second), s.to.Truncate(time.Second)
	}
	return s, nil
}

// roundUp moves the end of a range to the end of its day, hour or minute.
func (c clock) roundUp(t time.Time, u unit, isRelative bool) time.Time {
	switch {
	case u >= day:
		return c.endOfDay(t)
	case u == hour && isRelative:
		return c.within(t, time.Hour).Add(time.Hour - time.Microsecond)
	case u == minute && isRelative:
		return c.start(t, minute).Add(time.Minute - time.Microsecond)
	}
	return t
}

// check refuses a range with too many buckets.
func (s *span) check() error {
	least := [...]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour}[s.u]
	if n := int64(s.to.Sub(s.from)/least) + 1; n > maxBuckets || s.to.Year() > 9999 || s.from.Year() < -4000 {
		return refuse("dateRange", "the range from %s to %s has more than %d buckets of a %s; choose a longer interval or a shorter range",
			s.from.Format("2006-01-02"), s.to.Format("2006-01-02"), maxBuckets, s.u)
	}
	return nil
}

// scanFrom is where the scan of the range starts.
func (s *span) scanFrom() time.Time {
	switch {
	case s.exact || s.explicit:
		return s.from
	case s.relative && !s.missing && s.u <= hour:
		return s.from
	case s.relative && !s.missing && s.hours && s.u == day:
		return s.from
	case s.u == week:
		return s.start(s.from, day)
	}
	return s.start(s.from, s.u)
}

// buckets are the starts of the buckets of the range.
func (s *span) buckets() []time.Time {
	var out []time.Time
	last := s.start(s.to, s.u)
	for t := s.start(s.from, s.u); !t.After(last) && len(out) <= maxBuckets; t = s.start(s.add(t, s.u, 1), s.u) {
		out = append(out, t)
	}
	return out
}

// previous is the period that a range is compared with.
func (s *span) previous(to *string, now time.Time) *span {
	p := *s
	length := s.asUTC(s.to).Sub(s.asUTC(s.from))
	if to != nil && *to != "" {
		p.from = s.readDate(*to, s.from).t
		p.to = s.asWall(s.asUTC(p.from).Add(length))
		return &p
	}
	from := s.asUTC(s.from).Add(-length)
	fh, fm, fs := s.from.Clock()
	th, tm, ts := s.to.Clock()
	withClock := func(t time.Time, h, m, sec, ns int) time.Time {
		y, mo, d := t.Date()
		return time.Date(y, mo, d, h, m, sec, ns, time.UTC)
	}
	switch {
	case s.u == minute || s.u == second:
		p.from, p.to = s.asWall(from), s.from
	case s.u == hour:
		b := withClock(from, fh, fm, fs, s.from.Nanosecond())
		e := b.Add(length)
		e = withClock(e, e.Hour(), tm, ts, s.to.Nanosecond())
		p.from, p.to = s.asWall(b), s.asWall(e)
	default:
		b := withClock(from, fh, fm, fs, s.from.Nanosecond())
		if s.u == day && s.relative && s.days > 0 && s.days%7 == 0 && !s.toText {
			b = b.AddDate(0, 0, 1)
		}
		e := withClock(b.Add(length), th, tm, ts, s.to.Nanosecond())
		p.from, p.to = s.asWall(b), s.asWall(e)
	}
	return &p
}

// dayText is a bucket's start as answers hold it.
func (u unit) dayText(t time.Time) string {
	if u <= hour {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("2006-01-02")
}

// label is a bucket's name. Weeks are cut to the range of the current period.
func (s *span) label(t time.Time) string {
	t = t.In(s.zone)
	switch s.u {
	case second:
		return t.Format("2-Jan 15:04:05")
	case minute, hour:
		return t.Format("2-Jan 15:04")
	case day:
		return t.Format("2-Jan-2006")
	case month:
		return t.Format("Jan 2006")
	}
	a, b := t, s.addDays(t, 6)
	if from := s.start(s.from, day); a.Before(from) {
		a = from
	}
	if to := s.start(s.to, day); b.After(to) {
		b = to
	}
	if b.Before(a) {
		b = a
	}
	switch {
	case a.Equal(b):
		return a.Format("2-Jan-2006")
	case a.Year() != b.Year():
		return a.Format("2-Jan-2006") + " – " + b.Format("2-Jan-2006")
	case a.Month() != b.Month():
		return a.Format("2-Jan") + " – " + b.Format("2-Jan")
	}
	return fmt.Sprintf("%d–%s", a.Day(), b.Format("2 Jan"))
}

// lifeDay is dayText with a time of day for hours only.
func (s *span) lifeDay(t interface{ Format(string) string }) string {
	if s.u == hour {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("2006-01-02")
}
