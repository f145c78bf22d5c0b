package expr

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// A timeError says why a text is not a time.
type timeError uint8

const (
	timeOK           timeError = iota
	timeSyntax                 // 22007
	timeField                  // 22008, a field is out of range
	timeDate                   // 22008, and so is a month or a day, which may be each other
	timeOver                   // 22008, no field is out of range, but the time is
	timeZone                   // 22023, there is no zone of that name
	timeRange                  // 22008, an interval is out of range
	timeDisplacement           // 22009, the offset of a zone is out of range
)

func (e timeError) of(kind, text string) error {
	switch e {
	case timeOK:
		return nil
	case timeField:
		return pgerr.New(pgerr.DatetimeOverflow, "date/time field value out of range: \"%s\"", text)
	case timeDate:
		return timeField.of(kind, text).(*pgerr.Error).WithHint("Perhaps you need a different \"datestyle\" setting.")
	case timeOver:
		short, _, _ := strings.Cut(kind, " ")
		return pgerr.New(pgerr.DatetimeOverflow, "%s out of range: \"%s\"", short, text)
	case timeDisplacement:
		return pgerr.New(pgerr.BadDisplacement, "time zone displacement out of range: \"%s\"", text)
	case timeRange:
		return pgerr.New(pgerr.DatetimeOverflow, "%s out of range", kind)
	}
	return pgerr.New(pgerr.InvalidDatetimeFormat, "invalid input syntax for type %s: \"%s\"", kind, text)
}

// moment is what a date or time text says.
type moment struct {
	infinite int // 1, -1
	special  string
	day      int64
	hasDate  bool
	clock    int64
	hasClock bool
	hasZone  bool
	offset   int64 // µs east
	loc      *time.Location
	unknown  string // the name of a zone, if there is none of that name
}

// problem is the error of a text that the moment was read from.
func (m *moment) problem(e timeError, kind, text string) error {
	if e == timeZone {
		return unknownZone(m.unknown)
	}
	return e.of(kind, text)
}

// monthNames are compared by their first three letters.
var monthNames = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
var dayNames = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// nameIndex finds a name or its short form, from 1; 0 if there is none.
func nameIndex(names []string, word string) int {
	if len(word) < 3 {
		return 0
	}
	for i, n := range names {
		if strings.HasPrefix(n, word) && (len(word) == 3 || len(word) == len(n) || word == "sept" || word == "tues" || word == "thur" || word == "thurs") {
			return i + 1
		}
	}
	return 0
}

// digitsAt reads up to max digits.
func digitsAt(s string, i, max int) (n int64, end int) {
	end = i
	for end < len(s) && end-i < max && s[end] >= '0' && s[end] <= '9' {
		n = n*10 + int64(s[end]-'0')
		end++
	}
	return n, end
}

// parseMoment reads a date, a time of day, a zone, in PostgreSQL's usual forms.
func parseMoment(text string, order DateOrder) (m moment, e timeError) {
	s := strings.Trim(text, " \t\r\n\f\v")
	if len(s) > 128 {
		return m, timeSyntax
	}
	s = lower(s)
	switch s {
	case "":
		return m, timeSyntax
	case "infinity", "+infinity", "inf":
		m.infinite = 1
		return m, timeOK
	case "-infinity", "-inf":
		m.infinite = -1
		return m, timeOK
	case "epoch":
		m.hasDate, m.hasZone = true, true
		return m, timeOK
	case "now", "today", "tomorrow", "yesterday":
		m.special = s
		return m, timeOK
	}
	var year, month, dom int64 = -1, 0, 0
	short := false // the year has two digits
	bc := false
	meridiem := 0
	i := 0
	for i < len(s) {
		c := s[i]
		switch {
		case c == ' ' || c == ',' || c == '\t':
			i++
		case c >= '0' && c <= '9':
			n, end := digitsAt(s, i, 19)
			size := end - i
			next := byte(0)
			if end < len(s) {
				next = s[end]
			}
			switch {
			case next == ':':
				if m.hasClock || size > 2 {
					return m, timeSyntax
				}
				var err timeError
				if m.clock, i, err = parseClock(s, i); err != timeOK {
					return m, err
				}
				m.hasClock = true
			case year < 0 && dom == 0 && month == 0 && size == 4 && (next == '.' || next == '-') && isDayOfYear(s[end+1:]):
				doy, after := digitsAt(s, end+1, 3)
				if doy < 1 || doy > 366 { // one more than there are is of the next year
					return m, timeField
				}
				var mon, d int
				year, mon, d = civil(dayOf(n, 1, 1) + doy - 1)
				month, dom, i = int64(mon), int64(d), after
			case year < 0 && dom == 0 && month == 0 && (next == '-' || next == '/' || next == '.' && !m.hasClock):
				var err timeError
				if year, month, dom, short, i, err = parseDate(s, i, order); err != timeOK {
					return m, err
				}
				if i < len(s) && s[i] == 't' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
					i++
					if j := i; true {
						if _, end := digitsAt(s, j, 7); end-j == 6 || end-j == 4 {
							if m.clock, i, err = parseCompactClock(s, j); err != timeOK {
								return m, err
							}
							m.hasClock = true
						}
					}
				}
			case month > 0 && year < 0 && dom > 0 && size <= 6:
				year, i, short = n, end, size == 2
			case month > 0 && dom == 0 && size <= 2:
				dom, i = n, end
			case (size == 8 || size == 6) && year < 0 && month == 0:
				if size == 8 {
					year, month, dom = n/10000, n/100%100, n%100
				} else {
					year, month, dom, short = n/10000, n/100%100, n%100, true
				}
				i = end
				if next == 't' {
					i++
					var err timeError
					if _, e2 := digitsAt(s, i, 7); e2-i == 6 || e2-i == 4 {
						if m.clock, i, err = parseCompactClock(s, i); err != timeOK {
							return m, err
						}
						m.hasClock = true
					}
				}
			case year >= 0 && !m.hasClock && (size == 6 || size == 4):
				var err timeError
				if m.clock, i, err = parseCompactClock(s, i); err != timeOK {
					return m, err
				}
				m.hasClock = true
			case month == 0 && size <= 2 && dom == 0: // 8 January 1999
				if n == 0 {
					return m, timeField
				}
				dom, i = n, end
				if next == '-' {
					i++
				}
			case month == 0 && size == 4 && year < 0:
				year, i = n, end
			default:
				return m, timeSyntax
			}
		case c == '+' || c == '-':
			if c == '-' && month > 0 && !m.hasClock && (year < 0 || dom == 0) { // jan-08-1999
				i++
				continue
			}
			if m.hasZone {
				return m, timeSyntax
			}
			end := i + 1
			for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == ':') {
				end++
			}
			off, ok := parseOffset(s[i:end])
			if !ok && end > i+1 && s[i+1] != ':' && s[end-1] != ':' {
				return m, timeDisplacement
			}
			if !ok {
				return m, timeSyntax
			}
			m.hasZone, m.offset, i = true, int64(off)*microsSecond, end
		case year < 0 && month == 0 && dom == 0 && julianDay(s[i:]) > 0:
			n, end := digitsAt(s, i+julianDay(s[i:]), 10)
			if n > maxDay-minDay {
				return m, timeField
			}
			var mon, d int
			year, mon, d = civil(n + minDay)
			if month, dom, i = int64(mon), int64(d), end; year <= 0 {
				year, bc = 1-year, true
			}
			if end < len(s) && s[end] == '.' {
				_, i = digitsAt(s, end+1, 18)
				part, err := strconv.ParseFloat("0"+s[end:i], 64)
				if err != nil || m.hasClock {
					return m, timeSyntax
				}
				m.clock, m.hasClock = int64(math.RoundToEven(part*float64(microsDay))), true
			}
		case c >= 'a' && c <= 'z':
			end := i
			for end < len(s) && (s[end] >= 'a' && s[end] <= 'z' || s[end] == '_' || s[end] == '/' || end > i && s[end] == '-' && strings.Contains(s[i:end], "/")) {
				end++
			}
			word := s[i:end]
			switch {
			case word == "t" && end < len(s) && !m.hasClock:
			case word == "bc":
				bc = true
			case word == "ad", word == "j": // which says nothing behind a date
			case word == "am":
				meridiem = 1
			case word == "pm":
				meridiem = 2
			case word == "allballs" && !m.hasClock && !m.hasZone:
				m.hasClock, m.hasZone = true, true
			case nameIndex(monthNames[:], word) > 0 && month == 0:
				month = int64(nameIndex(monthNames[:], word))
			case nameIndex(dayNames[:], word) > 0:
			default:
				if m.hasZone {
					return m, timeSyntax
				}
				posix := (month > 0 && dom > 0 || m.hasClock) && end < len(s) && strings.IndexByte("+-0123456789", s[end]) >= 0
				for posix && end < len(s) && (isNameByte(s[end]) || strings.IndexByte("+-/.:", s[end]) >= 0) {
					end++
				}
				word = s[i:end]
				if off, ok := zoneAbbreviations[word]; ok {
					m.hasZone, m.offset = true, int64(off)*microsMinute
				} else if posix || strings.Contains(word, "/") || word == "utc" {
					loc, err := LoadZone(text[strings.Index(lower(text), word):][:len(word)])
					if err != nil {
						m.unknown = word
						return m, timeZone
					}
					m.hasZone, m.loc = true, loc
				} else {
					return m, timeSyntax
				}
			}
			i = end
		case c > ' ' && c < 0x7f: // other punctuation parts words, and says nothing
			i++
		default:
			return m, timeSyntax
		}
	}
	switch {
	case year >= 0 && month > 0 && dom > 0:
		if short && !bc {
			year = century(year)
		}
		if bc {
			if year == 0 {
				return m, timeField
			}
			year = 1 - year
		} else if year == 0 {
			return m, timeField
		}
		switch {
		case month > 12 || dom > 31:
			return m, timeDate
		case int(dom) > monthDays(year, int(month)):
			return m, timeField
		}
		m.day, m.hasDate = dayOf(year, int(month), int(dom)), true
		if m.day < minDay || m.day > maxDay {
			return m, timeOver
		}
	case year >= 0 || month > 0 || dom > 0:
		if year >= 0 && month >= 0 && (month == 0 || dom == 0) && strings.ContainsAny(s, "-/") {
			return m, timeField
		}
		return m, timeSyntax
	}
	if meridiem != 0 {
		if !m.hasClock || m.clock >= 13*microsHour || m.clock < microsHour && meridiem == 2 && m.clock < 0 {
			return m, timeField
		}
		h := m.clock / microsHour
		if h == 12 {
			m.clock -= 12 * microsHour
		}
		if meridiem == 2 {
			m.clock += 12 * microsHour
		}
	}
	if !m.hasDate && !m.hasClock {
		return m, timeSyntax
	}
	return m, timeOK
}

// julianDay is where the number of a Julian day begins behind its J, 0 if there is none.
func julianDay(s string) int {
	if s[0] != 'j' {
		return 0
	}
	at := 1
	for at < len(s) && s[at] == ' ' {
		at++
	}
	if at < len(s) && s[at] >= '0' && s[at] <= '9' {
		return at
	}
	return 0
}

func century(n int64) int64 {
	if n < 70 {
		return 2000 + n
	}
	return 1900 + n
}

// isDayOfYear says whether three digits begin s, and no more.
func isDayOfYear(s string) bool {
	_, end := digitsAt(s, 0, 4)
	return end == 3 && (len(s) == 3 || s[3] != '.' && s[3] != '-')
}

// A DateOrder says which of several numbers are the day and the month of a date.
type DateOrder uint8

// The orders: month, day, year, and so on.
const (
	MDY DateOrder = iota
	DMY
	YMD
)

// parseDate reads a date with separators: year first if it has three digits or more,
// else by the order that the session has chosen. A short year has two digits.
func parseDate(s string, i int, order DateOrder) (y, m, d int64, short bool, end int, e timeError) {
	var n [3]int64
	var size [3]int
	sep := byte(0)
	for k := range 3 {
		if k > 0 {
			if i >= len(s) || s[i] != '-' && s[i] != '/' && s[i] != '.' || sep != 0 && s[i] != sep {
				return 0, 0, 0, false, i, timeSyntax
			}
			sep = s[i]
			i++
		}
		if k == 1 && i < len(s) && s[i] >= 'a' && s[i] <= 'z' { // 08-jan-1999
			end := i
			for end < len(s) && s[end] >= 'a' && s[end] <= 'z' {
				end++
			}
			month := nameIndex(monthNames[:], s[i:end])
			if month == 0 {
				return 0, 0, 0, false, i, timeSyntax
			}
			n[1], size[1], i = int64(month), -1, end
			continue
		}
		start := i
		n[k], i = digitsAt(s, i, 10)
		if size[k] = i - start; size[k] == 0 {
			return 0, 0, 0, false, i, timeSyntax
		}
	}
	switch {
	case size[0] >= 3:
		y, m, d = n[0], n[1], n[2]
	case size[1] == -1:
		d, m, y, short = n[0], n[1], n[2], size[2] == 2
	case order == DMY:
		d, m, y, short = n[0], n[1], n[2], size[2] == 2
	case order == YMD:
		y, m, d, short = n[0], n[1], n[2], size[0] == 2
	default:
		m, d, y, short = n[0], n[1], n[2], size[2] == 2
	}
	if m < 1 || m > 12 || d < 1 || d > 31 {
		return y, m, d, short, i, timeDate
	}
	return y, m, d, short, i, timeOK
}

// parseClock reads hh:mm[:ss[.ffffff]].
func parseClock(s string, i int) (clock int64, end int, e timeError) {
	h, i := digitsAt(s, i, 2)
	if i >= len(s) || s[i] != ':' {
		return 0, i, timeSyntax
	}
	start := i + 1
	m, i := digitsAt(s, start, 2)
	if i == start {
		return 0, i, timeSyntax
	}
	var sec, frac int64
	if i < len(s) && s[i] == ':' {
		start = i + 1
		if sec, i = digitsAt(s, start, 2); i == start {
			return 0, i, timeSyntax
		}
		frac, i = fraction(s, i)
	}
	return clockOf(h, m, sec, frac, i)
}

// fraction reads .ffffff as microseconds, rounding further digits.
func fraction(s string, i int) (int64, int) {
	if i >= len(s) || s[i] != '.' && s[i] != ',' || i+1 >= len(s) || s[i+1] < '0' || s[i+1] > '9' {
		return 0, i
	}
	start := i + 1
	frac, scale := int64(0), int64(100000)
	for i = start; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		frac += int64(s[i]-'0') * scale
		scale /= 10
	}
	if i > start+6 {
		x, _ := strconv.ParseFloat("0."+s[start:i], 64)
		frac = int64(math.RoundToEven(x * 1e6))
	}
	return frac, i
}

func parseCompactClock(s string, i int) (int64, int, timeError) {
	h, i := digitsAt(s, i, 2)
	m, i := digitsAt(s, i, 2)
	sec, i := digitsAt(s, i, 2)
	frac, i := fraction(s, i)
	return clockOf(h, m, sec, frac, i)
}

func clockOf(h, m, sec, frac int64, end int) (int64, int, timeError) {
	if h > 24 || m > 59 || sec > 60 || h == 24 && (m > 0 || sec > 0 || frac > 0) {
		return 0, end, timeField
	}
	return h*microsHour + m*microsMinute + sec*microsSecond + frac, end, timeOK
}

// parseOffset reads +hh, +hhmm, +hh:mm or +hh:mm:ss as seconds east of UTC.
func parseOffset(s string) (int, bool) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	h, i := digitsAt(s, 1, 2)
	var m, sec int64
	if i < len(s) && s[i] == ':' {
		i++
	}
	if i < len(s) {
		start := i
		if m, i = digitsAt(s, i, 2); i != start+2 {
			return 0, false
		}
	}
	if i < len(s) && s[i] == ':' {
		sec, i = digitsAt(s, i+1, 2)
	}
	if i != len(s) || h > 15 || m > 59 || sec > 59 {
		return 0, false
	}
	off := int(h*3600 + m*60 + sec)
	if s[0] == '-' {
		off = -off
	}
	return off, true
}

// specialTime is now, today, tomorrow or yesterday as a local time.
func specialTime(ctx *Context, word string) int64 {
	z := zoneOf(ctx)
	now := z.local(ctx.Moment())
	day := vec.FloorDiv(now, microsDay)
	switch word {
	case "today":
		return day * microsDay
	case "tomorrow":
		return (day + 1) * microsDay
	case "yesterday":
		return (day - 1) * microsDay
	}
	return now
}

// localTime is a moment as a local time; the zone is ignored, as PostgreSQL does.
func (m *moment) localTime(ctx *Context) (int64, timeError) {
	switch {
	case m.infinite > 0:
		return vec.InfinityTime, timeOK
	case m.infinite < 0:
		return vec.NegInfinityTime, timeOK
	case m.special != "":
		return specialTime(ctx, m.special), timeOK
	case !m.hasDate:
		return 0, timeSyntax
	case m.day > maxTime/microsDay-1:
		return 0, timeOver
	}
	return m.day*microsDay + m.clock, timeOK
}

func parseTimestamp(ctx *Context, s string) (int64, error) {
	m, e := parseMoment(s, ctx.Style.Order)
	if e == timeOK {
		var t int64
		if t, e = m.localTime(ctx); e == timeOK {
			return t, nil
		}
	}
	return 0, m.problem(e, "timestamp", s)
}

func parseTimestampTZ(ctx *Context, s string) (int64, error) {
	m, e := parseMoment(s, ctx.Style.Order)
	if e != timeOK {
		return 0, m.problem(e, "timestamp with time zone", s)
	}
	t, e := m.localTime(ctx)
	if e != timeOK {
		return 0, m.problem(e, "timestamp with time zone", s)
	}
	switch {
	case m.infinite != 0:
		return t, nil
	case m.special == "now":
		return ctx.Moment(), nil
	case m.loc != nil:
		z := zone{loc: m.loc}
		return z.utc(t), nil
	case m.hasZone:
		return t - m.offset, nil
	}
	z := zoneOf(ctx)
	return z.utc(t), nil
}

func parseDay(ctx *Context, s string) (int64, error) {
	m, e := parseMoment(s, ctx.Style.Order)
	switch {
	case e != timeOK:
	case m.infinite > 0:
		return vec.InfinityTime, nil
	case m.infinite < 0:
		return vec.NegInfinityTime, nil
	case m.special != "":
		return vec.FloorDiv(specialTime(ctx, m.special), microsDay), nil
	case !m.hasDate:
		e = timeSyntax
	default:
		return m.day, nil
	}
	return 0, m.problem(e, "date", s)
}

func parseTimeOfDay(ctx *Context, s string) (int64, error) {
	if t := strings.Trim(s, blanks); len(t) == 4 || len(t) >= 6 { // hhmm, hhmmss
		if _, digits := digitsAt(t, 0, 7); digits == len(t) || digits == 6 && t[6] == '.' {
			if clock, end, e := parseCompactClock(t, 0); end == len(t) {
				return clock, e.of("time", s)
			}
		}
	}
	m, e := parseMoment(s, ctx.Style.Order)
	switch {
	case e != timeOK:
	case m.special == "now":
		return floorMod(specialTime(ctx, "now"), microsDay), nil
	case !m.hasClock:
		e = timeSyntax
	default:
		return m.clock, nil
	}
	return 0, m.problem(e, "time", s)
}

// unitWords maps the words of interval input to canonical units.
var unitWords = map[string]string{
	"y": "year", "yr": "year", "yrs": "year", "year": "year", "years": "year",
	"mon": "month", "mons": "month", "month": "month", "months": "month",
	"w": "week", "week": "week", "weeks": "week",
	"d": "day", "day": "day", "days": "day",
	"h": "hour", "hr": "hour", "hrs": "hour", "hour": "hour", "hours": "hour",
	"m": "minute", "min": "minute", "mins": "minute", "minute": "minute", "minutes": "minute",
	"s": "second", "sec": "second", "secs": "second", "second": "second", "seconds": "second",
	"ms": "millisecond", "msec": "millisecond", "msecs": "millisecond", "millisecond": "millisecond", "milliseconds": "millisecond",
	"us": "microsecond", "usec": "microsecond", "usecs": "microsecond", "microsecond": "microsecond", "microseconds": "microsecond",
	"decade": "decade", "decades": "decade", "dec": "decade", "c": "century", "cent": "century", "century": "century", "centuries": "century",
	"mil": "millennium", "millennium": "millennium", "millennia": "millennium",
	"q": "quarter", "quarter": "quarter", "quarters": "quarter",
}

// span gathers an interval; its parts are checked at the end.
type span struct {
	months, days float64
	years        float64 // in months, those of years and longer units
	micros       float64
	// clock is what is known in whole microseconds, which a float does not hold.
	clock int64
	over  bool // clock is out of range
}

// whole puts n times so many microseconds in.
func (p *span) whole(n, micros int64) {
	x, ok := mulInt(n, micros)
	sum := p.clock + x
	p.over = p.over || !ok || (p.clock^sum)&(x^sum) < 0
	p.clock = sum
}

// wholeMicros is how long the units of a clock are.
var wholeMicros = map[string]int64{"hour": microsHour, "minute": microsMinute, "second": microsSecond, "millisecond": 1000, "microsecond": 1}

// add puts an amount of a unit in. Fractions go to the next smaller field.
func (p *span) add(x float64, unit string) bool {
	monthsIn := map[string]float64{"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
	microsIn := map[string]float64{"hour": 3.6e9, "minute": 6e7, "second": 1e6, "millisecond": 1e3, "microsecond": 1}
	if k, ok := monthsIn[unit]; ok {
		whole, frac := math.Modf(x * k)
		if unit != "month" { // a part of a year is whole months
			p.years += math.RoundToEven(x * k)
			return true
		}
		p.months += whole
		return frac == 0 || p.addDays(math.Round(frac*30e10)/1e10) // 0.4 of 1.4 is not quite 0.4
	}
	if k, ok := microsIn[unit]; ok {
		p.micros += math.Round(x * k)
		return true
	}
	switch unit {
	case "week":
		return p.addDays(x * 7)
	case "day":
		return p.addDays(x)
	}
	return false
}

func (p *span) addDays(x float64) bool {
	whole, frac := math.Modf(x)
	p.days += whole
	p.micros += math.Round(frac * float64(microsDay))
	return true
}

// finish is the interval: timeField if a part of it is out of range, timeRange if it is only as a
// whole.
func (p *span) finish() (v vec.IntervalValue, e timeError) {
	fits := func(x float64) bool { return x >= math.MinInt32 && x <= math.MaxInt32 }
	if math.Abs(p.micros) > 9.2e18 {
		return v, timeField
	}
	if p.whole(int64(p.micros), 1); p.over || !fits(p.months) || !fits(p.years/12) || !fits(p.days) {
		return v, timeField
	}
	months := p.years + p.months
	if !fits(months) {
		return v, timeRange
	}
	return vec.IntervalValue{Months: int32(months), Days: int32(p.days), Micros: p.clock}, timeOK
}

// parseInterval reads an interval of a type that has the given fields.
func parseInterval(text string, fields int32) (vec.IntervalValue, error) {
	v, e := parseSpan(text, fields)
	if e == timeField {
		return v, pgerr.New(pgerr.IntervalOverflow, "interval field value out of range: \"%s\"", text)
	}
	return v, e.of("interval", text)
}

// spanPart is a part of an interval's text: a number of a unit, which is empty if none is written, or
// what has been put in already, a clock or years and months.
type spanPart struct {
	text, unit string
	neg        bool
}

// The units of parts that are no single number.
const (
	clockPart  = "clock"
	monthsPart = "years and months"
)

// The parts that an interval may have once, by their units. Parts of a second stand for all it has.
var spanBits = map[string]int{
	"microsecond": 1, "millisecond": 2, "second": 4, "minute": 8, "hour": 16, "day": 32, "week": 64, "month": 128, "quarter": 256,
	"year": 512, "decade": 1024, "century": 2048, "millennium": 4096, clockPart: 31, monthsPart: 128,
}

const allSeconds = 1 | 2 | 4

// lastUnit is what a number counts that no unit follows: the last of the fields.
func lastUnit(fields int32) string {
	switch {
	case fields&secondBit != 0:
		return "second"
	case fields&minuteBit != 0:
		return "minute"
	case fields&hourBit != 0:
		return "hour"
	case fields&dayBit != 0:
		return "day"
	case fields&monthBit != 0:
		return "month"
	}
	return "year"
}

// put puts the parts in, from the last to the first: a number without a unit is of the last field,
// or of what comes behind it, and before hours it is days. It is false if a part occurs twice.
func (p *span) put(parts []spanPart, fields int32) bool {
	unit, seen := lastUnit(fields), 0
	for _, part := range slices.Backward(parts) {
		if part.unit != "" {
			unit = part.unit
		}
		x, bits := 0.0, spanBits[unit]
		if part.text != "" {
			var err error
			if x, err = parseFloat64(part.text); err != nil {
				return false
			}
			if unit == "second" && x != math.Trunc(x) {
				bits = allSeconds
			}
			if part.neg {
				x = -x
			}
		}
		if bits == 0 || seen&bits != 0 {
			return false
		}
		seen |= bits
		n, err := strconv.ParseInt(part.text, 10, 64)
		switch k := wholeMicros[unit]; {
		case part.text == "":
		case k != 0 && err == nil:
			if part.neg {
				n = -n
			}
			p.whole(n, k)
		case !p.add(x, unit):
			return false
		}
		switch unit {
		case clockPart, "hour":
			unit = "day"
		case monthsPart:
			unit = "month"
		}
	}
	return seen != 0
}

func parseSpan(text string, fields int32) (v vec.IntervalValue, e timeError) {
	s := lower(strings.TrimSpace(text))
	if s == "" || len(s) > 256 {
		return v, timeSyntax
	}
	var p span
	if s[0] == 'p' {
		if !p.iso(s) {
			return v, timeSyntax
		}
		return p.finish()
	}
	ago := false
	var parts []spanPart
	i := 0
	for i < len(s) {
		c := s[i]
		if c == ' ' || c == ',' || c == '@' || c == '\t' {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], "ago") && len(parts) > 0 {
			ago = true
			i += 3
			continue
		}
		neg := false
		if c == '+' || c == '-' {
			neg = c == '-'
			for i++; i < len(s) && s[i] == ' '; i++ {
			}
		}
		start := i
		for i < len(s) && (s[i] >= '0' && s[i] <= '9') {
			i++
		}
		if i < len(s) && s[i] == ':' {
			sign := int64(1)
			if neg {
				sign = -1
			}
			end, ok := p.spanClock(s, start, sign, fields)
			if c == '+' || c == '-' {
				// What is no time after a sign is looked at as a zone, which it is not either.
				if !ok || p.over {
					return v, timeSyntax
				}
			} else if !ok {
				return v, timeField
			}
			parts = append(parts, spanPart{unit: clockPart})
			i = end
			continue
		}
		if i < len(s) && s[i] == '-' && i > start && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' { // years-months
			y, _ := digitsAt(s, start, 9)
			m, end := digitsAt(s, i+1, 9)
			if neg {
				y, m = -y, -m
			}
			p.years, p.months = p.years+float64(y*12), p.months+float64(m)
			parts = append(parts, spanPart{unit: monthsPart})
			i = end
			continue
		}
		if i < len(s) && s[i] == '.' {
			i++
			for i < len(s) && s[i] >= '0' && s[i] <= '9' {
				i++
			}
		}
		if i == start || i-start > 30 {
			return v, timeSyntax
		}
		part := spanPart{text: s[start:i], neg: neg}
		for i < len(s) && s[i] == ' ' {
			i++
		}
		word := i
		for i < len(s) && s[i] >= 'a' && s[i] <= 'z' {
			i++
		}
		if word < i && s[word:i] != "ago" {
			if part.unit = unitWords[s[word:i]]; part.unit == "" {
				return v, timeSyntax
			}
		} else {
			i = word
		}
		parts = append(parts, part)
	}
	if !p.put(parts, fields) {
		return v, timeSyntax
	}
	if ago {
		p.years, p.months, p.days, p.micros, p.clock = -p.years, -p.months, -p.days, -p.micros, -p.clock
	}
	return p.finish()
}

// spanClock puts h:m[:s[.f]] in, or m:s where the fields are those, and answers where it ends.
func (p *span) spanClock(s string, i int, sign int64, fields int32) (end int, ok bool) {
	h, i := digitsAt(s, i, 18)
	start := i + 1
	m, i := digitsAt(s, start, 2)
	if m > 59 {
		return i, false
	}
	var sec, frac int64
	if short := i == len(s) || s[i] != ':'; short && fields == minuteBit|secondBit {
		h, m, sec = 0, h, m
		frac, i = fraction(s, i)
	} else if !short {
		if sec, i = digitsAt(s, i+1, 2); sec > 60 {
			return i, false
		}
		frac, i = fraction(s, i)
	}
	p.whole(sign*h, microsHour)
	p.whole(sign*m, microsMinute)
	p.whole(sign*sec, microsSecond)
	p.whole(sign*frac, 1)
	return i, true
}

// iso reads P1Y2M3DT4H5M6S, or P0001-02-03T04:05:06.
func (p *span) iso(s string) bool {
	date, clock, hasClock := strings.Cut(s[len("p"):], "t")
	if date == "" && !hasClock || hasClock && clock == "" {
		return false
	}
	if date != "" && !p.isoDate(date) && !p.isoFields(date, map[byte]string{'y': "year", 'm': "month", 'w': "week", 'd': "day"}) {
		return false
	}
	return clock == "" || p.isoClock(clock) || p.isoFields(clock, map[byte]string{'h': "hour", 'm': "minute", 's': "second"})
}

// isoFields reads numbers that have a unit each.
func (p *span) isoFields(s string, units map[byte]string) bool {
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' || i == start && (s[i] == '-' || s[i] == '+')) {
			i++
		}
		if i == start || i == len(s) || i-start > 30 {
			return false
		}
		x, err := parseFloat64(s[start:i])
		if err != nil {
			return false
		}
		if unit := units[s[i]]; unit == "" || !p.add(x, unit) {
			return false
		}
		i++
	}
	return true
}

// isoDate reads 0001-02-03, 0001-02, 0001 or 00010203; false, with nothing read, if it is none.
func (p *span) isoDate(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) == 1 && len(s) == 8 {
		parts = []string{s[:4], s[4:6], s[6:]}
	}
	var n [3]int64
	for i, part := range parts {
		end := 0
		if i < len(n) {
			n[i], end = digitsAt(part, 0, 9)
		}
		if end == 0 || end != len(part) {
			return false
		}
	}
	p.years += float64(n[0] * 12)
	p.months += float64(n[1])
	p.days += float64(n[2])
	return true
}

// isoClock reads 04:05:06, 04:05 or 040506; false, with nothing read, if it is none.
func (p *span) isoClock(s string) bool {
	if _, digits := digitsAt(s, 0, 7); digits == 6 && (len(s) == 6 || s[6] == '.') {
		s = s[:2] + ":" + s[2:4] + ":" + s[4:]
	}
	if !strings.Contains(s, ":") {
		return false
	}
	var try span
	if end, ok := try.spanClock(s, 0, 1, allFields); !ok || end != len(s) {
		return false
	}
	p.whole(try.clock, 1)
	return true
}
