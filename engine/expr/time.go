package expr

import (
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on the machine

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

const (
	microsSecond = int64(1000000)
	microsMinute = 60 * microsSecond
	microsHour   = 60 * microsMinute
	microsDay    = 24 * microsHour
)

// The first and the last day of dates, and the first and last second of timestamps. 4714-11-24 BC is
// day 0 of the Julian count; dates end with the year 5874897, as PostgreSQL's do, and timestamps with
// what microseconds since 1970 hold.
const (
	minDay  = int64(-2440588)
	maxDay  = int64(2145042905)
	minTime = minDay * microsDay
	maxTime = int64(math.MaxInt64) - microsDay
)

func isInfinite(t int64) bool { return t == vec.InfinityTime || t == vec.NegInfinityTime }

// civil is the date of a day counted from 1970-01-01. Years count 0 for 1 BC.
func civil(day int64) (year int64, month, dom int) {
	z := day + 719468 // from 0000-03-01, so that leap days end a year
	era := vec.FloorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	dom = int(doy - (153*mp+2)/5 + 1)
	month = int(mp) + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, dom
}

// dayOf is the day of a date, counted from 1970-01-01.
func dayOf(year int64, month, dom int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := vec.FloorDiv(year, 400)
	yoe := year - era*400
	doy := int64((153*(month-3)+2)/5 + dom - 1)
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

func floorMod(a, b int64) int64 { return a - vec.FloorDiv(a, b)*b }

func monthDays(year int64, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// zone looks up offsets of a location, and remembers the span in which the last one holds.
type zone struct {
	loc    *time.Location
	lo, hi int64 // seconds since 1970, half open
	off    int64 // µs east of UTC
	// objects names what object ids are of; nil leaves them numbers.
	objects Objects
	style   Style
}

func zoneOf(ctx *Context) zone {
	if ctx == nil {
		return zone{loc: time.UTC}
	}
	z := zone{loc: ctx.Location, objects: ctx.Objects, style: ctx.Style}
	if z.loc == nil {
		z.loc = time.UTC
	}
	return z
}

// offset is how many µs local time is ahead of UTC at a moment.
func (z *zone) offset(t int64) int64 {
	sec := vec.FloorDiv(t, microsSecond)
	if z.lo < z.hi && sec >= z.lo && sec < z.hi {
		return z.off
	}
	at := time.Unix(sec, 0).In(z.loc)
	_, off := at.Zone()
	z.off = int64(off) * microsSecond
	z.lo, z.hi = math.MinInt64, math.MaxInt64
	if start, end := at.ZoneBounds(); !start.IsZero() || !end.IsZero() {
		if !start.IsZero() {
			z.lo = start.Unix()
		}
		if !end.IsZero() {
			z.hi = end.Unix()
		}
	}
	return z.off
}

// local is the wall clock at a moment.
func (z *zone) local(t int64) int64 {
	if isInfinite(t) {
		return t
	}
	return t + z.offset(t)
}

// utc is the moment of a wall clock. Times in a gap move forward; of two, the later counts,
// which is standard time.
func (z *zone) utc(local int64) int64 {
	if isInfinite(local) {
		return local
	}
	before, after := z.offset(local-microsDay), z.offset(local+microsDay)
	if before == after {
		if mid := z.offset(local - before); mid == before {
			return local - before
		}
	}
	a, b := local-before, local-after
	switch {
	case z.offset(b) == after:
		return b
	case z.offset(a) == before:
		return a
	}
	return a
}

// AtClock is when clocks of a zone show a time of a day: the instant of the change if they
// leave that time out, the first if they show it twice.
func AtClock(y int, m time.Month, d int, clock time.Duration, loc *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, int(clock), loc)
	want := time.Date(y, m, d, 0, 0, 0, int(clock), time.UTC)
	start, end := t.ZoneBounds()
	_, offset := t.Zone()
	switch off := t.Unix() + int64(offset) - want.Unix(); { // on either side of a gap, which may be a whole day
	case off < 0:
		return end
	case off > 0:
		return start
	}
	if start.IsZero() {
		return t
	}
	_, before := start.Add(-1).Zone()
	if first := t.Add(time.Duration(offset-before) * time.Second); before > offset && first.Before(start) {
		return first
	}
	return t
}

// LoadZone finds a zone by name, abbreviation or offset as PostgreSQL takes them.
func LoadZone(name string) (*time.Location, error) {
	if off, ok := zoneAbbreviations[lower(name)]; ok {
		return time.FixedZone(name, off*60), nil
	}
	if name != "" && lower(name) != "local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	if loc := zoneByFold(name); loc != nil {
		return loc, nil
	}
	if loc, _ := PosixZone(name); loc != nil {
		return loc, nil
	}
	return nil, unknownZone(name)
}

func unknownZone(name string) error {
	return pgerr.New(pgerr.InvalidParameterValue, "time zone \"%s\" not recognized", name)
}

// zoneByFold tries the usual capitals of a zone's name: europe/berlin.
func zoneByFold(name string) *time.Location {
	b := []byte(lower(name))
	up := true
	for i, c := range b {
		if up && c >= 'a' && c <= 'z' {
			b[i] = c - 32
		}
		up = c == '/' || c == '_' || c == '-'
	}
	if loc, err := time.LoadLocation(string(b)); err == nil && len(b) > 0 && string(b) != "Local" {
		return loc
	}
	return nil
}

// zoneAbbreviations are minutes east of UTC.
var zoneAbbreviations = map[string]int{
	"utc": 0, "gmt": 0, "z": 0, "zulu": 0, "ut": 0, "wet": 0, "west": 60, "bst": 60,
	"cet": 60, "cest": 120, "met": 60, "mest": 120, "eet": 120, "eest": 180, "msk": 180,
	"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360,
	"pst": -480, "pdt": -420, "akst": -540, "akdt": -480, "hst": -600, "jst": 540, "kst": 540,
	"ist": 120, "aest": 600, "aedt": 660, "acst": 570, "awst": 480, "nzst": 720, "nzdt": 780,
}

func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 32
				}
			}
			return string(b)
		}
	}
	return s
}

// laterDay moves a day by months; it is cut to the month's last.
func laterDay(day, months int64) int64 {
	y, m, d := civil(day)
	total := y*12 + int64(m-1) + months
	y, m = vec.FloorDiv(total, 12), int(floorMod(total, 12))+1
	return dayOf(y, m, min(d, monthDays(y, m)))
}

// addInterval moves a local time; false if it leaves the range.
func addInterval(local int64, iv vec.IntervalValue) (int64, bool) {
	if isInfinite(local) {
		return local, true
	}
	day := vec.FloorDiv(local, microsDay)
	if iv.Months != 0 {
		day = laterDay(day, int64(iv.Months))
	}
	day += int64(iv.Days)
	if day < minDay-1 || day > maxTime/microsDay {
		return 0, false
	}
	local = day*microsDay + floorMod(local, microsDay)
	return addMicros(local, iv.Micros)
}

func addMicros(t, d int64) (int64, bool) {
	r := t + d
	if (t^r)&(d^r) < 0 || r < minTime || r > maxTime {
		return 0, false
	}
	return r, true
}

// addIntervalTz moves a moment: months and days on the wall clock, the rest in time.
func addIntervalTz(z *zone, t int64, iv vec.IntervalValue) (int64, bool) {
	if isInfinite(t) {
		return t, true
	}
	if iv.Months != 0 || iv.Days != 0 {
		local, ok := addInterval(z.local(t), vec.IntervalValue{Months: iv.Months, Days: iv.Days})
		if !ok {
			return 0, false
		}
		t = z.utc(local)
	}
	return addMicros(t, iv.Micros)
}

// truncLocal cuts a local time to a unit; false if the unit is unknown.
func truncLocal(unit string, t int64) (int64, bool) {
	switch unit {
	case "microsecond", "microseconds", "us":
		return t, true
	case "millisecond", "milliseconds", "ms":
		return vec.FloorDiv(t, 1000) * 1000, true
	case "second", "seconds", "sec", "s":
		return vec.FloorDiv(t, microsSecond) * microsSecond, true
	case "minute", "minutes", "min", "m":
		return vec.FloorDiv(t, microsMinute) * microsMinute, true
	case "hour", "hours", "h":
		return vec.FloorDiv(t, microsHour) * microsHour, true
	}
	day := vec.FloorDiv(t, microsDay)
	switch unit {
	case "day", "days", "d":
		return day * microsDay, true
	case "week", "weeks", "w":
		return (day - floorMod(day+3, 7)) * microsDay, true // day 0 is a Thursday
	}
	y, m, _ := civil(day)
	switch unit {
	case "month", "months", "mon", "mons":
	case "quarter", "quarters":
		m -= (m - 1) % 3
	case "year", "years", "y":
		m = 1
	case "decade", "decades":
		y, m = vec.FloorDiv(y, 10)*10, 1
	case "century", "centuries":
		y, m = vec.FloorDiv(y-1, 100)*100+1, 1
	case "millennium", "millennia":
		y, m = vec.FloorDiv(y-1, 1000)*1000+1, 1
	default:
		return 0, false
	}
	return dayOf(y, m, 1) * microsDay, true
}

// isoWeek is the ISO year and week of a day.
func isoWeek(day int64) (year int64, week int) {
	thursday := day - floorMod(day+3, 7) + 3
	year, _, _ = civil(thursday)
	return year, int(thursday-dayOf(year, 1, 1))/7 + 1
}

func appendPadded(dst []byte, x int64, width int) []byte {
	var buf [20]byte
	s := strconv.AppendInt(buf[:0], x, 10)
	for n := len(s); n < width; n++ {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}

func appendDate(dst []byte, day int64) ([]byte, bool) {
	y, m, d := civil(day)
	bc := y <= 0
	if bc {
		y = 1 - y
	}
	dst = appendPadded(dst, y, 4)
	dst = append(dst, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
	return dst, bc
}

// appendClock writes hours, minutes and seconds with as many decimals as there are.
func appendClock(dst []byte, t int64) []byte {
	dst = appendPadded(dst, t/microsHour, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, t/microsMinute%60, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, t/microsSecond%60, 2)
	if frac := t % microsSecond; frac != 0 {
		dst = append(dst, '.')
		dst = appendPadded(dst, frac, 6)
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst
}

func appendInfinite(dst []byte, t int64) []byte {
	if t > 0 {
		return append(dst, "infinity"...)
	}
	return append(dst, "-infinity"...)
}

// AppendTimestamp writes a local time: 2026-01-31 13:00:00.5.
func AppendTimestamp(dst []byte, t int64) []byte {
	if isInfinite(t) {
		return appendInfinite(dst, t)
	}
	day := vec.FloorDiv(t, microsDay)
	dst, bc := appendDate(dst, day)
	dst = append(dst, ' ')
	dst = appendClock(dst, t-day*microsDay)
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

func (z *zone) append(dst []byte, t int64) []byte {
	if isInfinite(t) {
		return appendInfinite(dst, t)
	}
	off := z.offset(t)
	local := t + off
	day := vec.FloorDiv(local, microsDay)
	dst, bc := appendDate(dst, day)
	dst = append(dst, ' ')
	dst = appendClock(dst, local-day*microsDay)
	dst = appendOffset(dst, off/microsSecond)
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

func appendOffset(dst []byte, sec int64) []byte {
	if sec < 0 {
		dst = append(dst, '-')
		sec = -sec
	} else {
		dst = append(dst, '+')
	}
	dst = appendPadded(dst, sec/3600, 2)
	if sec%3600 != 0 {
		dst = append(dst, ':')
		dst = appendPadded(dst, sec/60%60, 2)
		if sec%60 != 0 {
			dst = append(dst, ':')
			dst = appendPadded(dst, sec%60, 2)
		}
	}
	return dst
}

// appendISOInterval writes an interval in the style of ISO 8601: P1Y2M3DT4H5M6S.
func appendISOInterval(dst []byte, v vec.IntervalValue) []byte {
	if v == (vec.IntervalValue{}) {
		return append(dst, "PT0S"...)
	}
	part := func(x int64, unit byte) {
		if x != 0 {
			dst = append(strconv.AppendInt(dst, x, 10), unit)
		}
	}
	dst = append(dst, 'P')
	part(int64(v.Months/12), 'Y')
	part(int64(v.Months%12), 'M')
	part(int64(v.Days), 'D')
	if v.Micros == 0 {
		return dst
	}
	dst = append(dst, 'T')
	part(v.Micros/microsHour, 'H')
	part(v.Micros%microsHour/microsMinute, 'M')
	if rest := v.Micros % microsMinute; rest != 0 {
		if rest < 0 {
			dst, rest = append(dst, '-'), -rest
		}
		dst = strconv.AppendInt(dst, rest/microsSecond, 10)
		if frac := rest % microsSecond; frac != 0 {
			dst = append(dst, '.')
			digits := strconv.FormatInt(microsSecond+frac, 10)[1:]
			dst = append(dst, strings.TrimRight(digits, "0")...)
		}
		dst = append(dst, 'S')
	}
	return dst
}

// AppendInterval writes an interval in PostgreSQL's style: 1 year 2 mons 3 days 04:05:06.
func AppendInterval(dst []byte, v vec.IntervalValue) []byte {
	start := len(dst)
	negative := false
	part := func(x int64, unit string) {
		if x == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
			if negative && x > 0 {
				dst = append(dst, '+')
			}
		}
		negative = x < 0
		dst = strconv.AppendInt(dst, x, 10)
		dst = append(dst, ' ')
		dst = append(dst, unit...)
		if x != 1 {
			dst = append(dst, 's')
		}
	}
	part(int64(v.Months/12), "year")
	part(int64(v.Months%12), "mon")
	part(int64(v.Days), "day")
	if v.Micros != 0 || len(dst) == start {
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		t := v.Micros
		if t < 0 {
			dst = append(dst, '-')
			if t == math.MinInt64 {
				t++
			}
			t = -t
		} else if negative {
			dst = append(dst, '+')
		}
		dst = appendClock(dst, t)
	}
	return dst
}
