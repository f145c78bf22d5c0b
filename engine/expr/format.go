package expr

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// stamp is a time taken apart for to_char and strftime.
type stamp struct {
	year            int64
	month, dom      int
	day, clock, off int64
	zone            string
	span            bool // an interval: a number of each, and none of a calendar
}

func stampOf(local, off int64, zone string) stamp {
	s := stamp{day: vec.FloorDiv(local, microsDay), off: off, zone: zone}
	s.clock = local - s.day*microsDay
	s.year, s.month, s.dom = civil(s.day)
	return s
}

// timeWords are the patterns of to_char for times, longest first where one begins another.
var timeWords = []string{
	"HH24", "HH12", "HH", "MI", "MS", "US", "SSSSS", "SSSS", "SS", "FF6", "FF5", "FF4", "FF3", "FF2", "FF1", "AM", "PM", "am", "pm", "A.M.", "P.M.",
	"B.C.", "A.D.", "RM", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "I", "BC", "AD",
	"MONTH", "Month", "month", "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy",
	"DDD", "IDDD", "DD", "ID", "D", "WW", "IW", "W", "CC", "J", "Q", "TZH", "TZM", "TZ", "tz", "OF",
}

// timePattern finds the pattern at the beginning of a format, without regard to case.
func timePattern(format string) string {
	best := ""
	for _, w := range timeWords {
		if len(w) > len(best) && len(format) >= len(w) && strings.EqualFold(format[:len(w)], w) {
			best = format[:len(w)]
		}
	}
	return best
}

// capitals is a name in the case of its pattern.
func capitals(name, pattern string) string {
	switch {
	case len(pattern) > 1 && pattern[0] >= 'A' && pattern[0] <= 'Z' && pattern[1] >= 'A' && pattern[1] <= 'Z':
		return strings.ToUpper(name)
	case pattern[0] >= 'A' && pattern[0] <= 'Z':
		return strings.ToUpper(name[:1]) + name[1:]
	}
	return name
}

// appendTimeFormat is to_char of a time.
func appendTimeFormat(dst []byte, s *stamp, format string) []byte {
	fill := true
	for i := 0; i < len(format); {
		rest := format[i:]
		switch {
		case strings.HasPrefix(rest, "FM") || strings.HasPrefix(rest, "fm"):
			fill = false
			i += 2
			continue
		case rest[0] == '"':
			for i++; i < len(format) && format[i] != '"'; i++ {
				if format[i] == '\\' && i+1 < len(format) {
					i++
				}
				dst = append(dst, format[i])
			}
			i++
			continue
		case strings.HasPrefix(rest, `\"`):
			i++
			dst = append(dst, '"')
			i++
			continue
		case strings.HasPrefix(rest, "TM") || strings.HasPrefix(rest, "tm"):
			fill = false // and names are English in any case
			i += 2
			continue
		}
		p := timePattern(rest)
		if p == "" {
			dst = append(dst, rest[0])
			i++
			continue
		}
		i += len(p)
		suffix := ""
		if strings.HasPrefix(format[i:], "TH") || strings.HasPrefix(format[i:], "th") {
			suffix = format[i : i+2]
			i += 2
		}
		start := len(dst)
		dst = s.append(dst, p, fill)
		if suffix != "" {
			dst = append(dst, ordinal(dst[start:], suffix)...)
		}
		fill = true
	}
	return dst
}

func ordinal(digits []byte, style string) string {
	th := "th"
	if n := len(digits); n > 0 && !(n > 1 && digits[n-2] == '1') {
		switch digits[n-1] {
		case '1':
			th = "st"
		case '2':
			th = "nd"
		case '3':
			th = "rd"
		}
	}
	if style == "TH" {
		return strings.ToUpper(th)
	}
	return th
}

// appendSpan writes a pattern that is another for intervals. Others are empty if they need a
// calendar.
func (s *stamp) appendSpan(dst []byte, p string, fill bool) ([]byte, bool) {
	// Signs stand before so many digits, but for days, where they are one of them.
	number := func(x int64, width int) ([]byte, bool) {
		if !fill {
			width = 0
		}
		if x < 0 {
			return appendPadded(append(dst, '-'), -x, width), true
		}
		return appendPadded(dst, x, width), true
	}
	short := func(x int64, width int) ([]byte, bool) {
		if x < 0 {
			width--
		}
		return number(x, width)
	}
	switch strings.ToUpper(p) {
	case "YYYY":
		return number(s.year, 4)
	case "YYY":
		return number(s.year%1000, 3)
	case "YY":
		return number(s.year%100, 2)
	case "Y":
		return number(s.year%10, 1)
	case "MM":
		return number(int64(s.month), 2)
	case "DDD":
		return short((s.year*12+int64(s.month))*30+int64(s.dom), 3)
	case "DD":
		return short(int64(s.dom), 2)
	case "HH12", "HH":
		hour := s.clock / microsHour % 12
		if hour == 0 {
			hour = 12
		}
		return number(hour, 2)
	case "MONTH", "MON", "DAY", "DY", "D", "ID", "IDDD", "WW", "IW", "IYYY", "IYY", "IY", "I", "J", "TZ", "OF", "TZH", "TZM", "BC", "AD", "B.C.", "A.D.", "RM", "Q", "CC", "W", "Y,YYY":
		return dst, true
	}
	return dst, false
}

func (s *stamp) append(dst []byte, p string, fill bool) []byte {
	if s.span {
		if out, ok := s.appendSpan(dst, p, fill); ok {
			return out
		}
	}
	number := func(x int64, width int) []byte {
		if !fill {
			width = 0
		}
		if x < 0 {
			return appendPadded(append(dst, '-'), -x, width)
		}
		return appendPadded(dst, x, width)
	}
	name := func(name string, width int) []byte {
		dst = append(dst, capitals(name, p)...)
		for n := len(name); fill && n < width; n++ {
			dst = append(dst, ' ')
		}
		return dst
	}
	year := s.year
	if year <= 0 {
		year = 1 - year
	}
	isoYear, isoWeekNumber := isoWeek(s.day)
	if isoYear <= 0 {
		isoYear = 1 - isoYear
	}
	hour := s.clock / microsHour
	hour12 := (hour+11)%12 + 1
	switch strings.ToUpper(p) {
	case "HH24":
		return number(hour, 2)
	case "HH12", "HH":
		return number(hour12, 2)
	case "MI":
		return number(s.clock/microsMinute%60, 2)
	case "SS":
		return number(s.clock/microsSecond%60, 2)
	case "SSSS", "SSSSS":
		return number(s.clock/microsSecond, 0)
	case "MS":
		return appendPadded(dst, s.clock%microsSecond/1000, 3)
	case "US":
		return appendPadded(dst, s.clock%microsSecond, 6)
	case "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		digits := int(p[2] - '0')
		return appendPadded(dst, s.clock%microsSecond/int64(math.Pow10(6-digits)), digits)
	case "AM", "PM":
		return append(dst, capitalsOf(map[bool]string{true: "am", false: "pm"}[hour < 12], p)...)
	case "A.M.", "P.M.":
		return append(dst, capitalsOf(map[bool]string{true: "a.m.", false: "p.m."}[hour < 12], p)...)
	case "YYYY":
		return number(year, 4)
	case "Y,YYY":
		return appendPadded(append(strconv.AppendInt(dst, year/1000, 10), ','), year%1000, 3)
	case "YYY":
		return number(year%1000, 3)
	case "YY":
		return number(year%100, 2)
	case "Y":
		return number(year%10, 1)
	case "IYYY":
		return number(isoYear, 4)
	case "IYY":
		return number(isoYear%1000, 3)
	case "IY":
		return number(isoYear%100, 2)
	case "I":
		return number(isoYear%10, 1)
	case "BC", "AD":
		return append(dst, capitalsOf(map[bool]string{true: "ad", false: "bc"}[s.year > 0], p)...)
	case "B.C.", "A.D.":
		return append(dst, capitalsOf(map[bool]string{true: "a.d.", false: "b.c."}[s.year > 0], p)...)
	case "RM":
		text := roman(int64(s.month))
		if p == "rm" {
			text = strings.ToLower(text)
		}
		dst = append(dst, text...)
		for n := len(text); fill && n < 4; n++ {
			dst = append(dst, ' ')
		}
		return dst
	case "MONTH":
		return name(monthNames[s.month-1], 9)
	case "MON":
		return name(monthNames[s.month-1][:3], 3)
	case "MM":
		return number(int64(s.month), 2)
	case "DAY":
		return name(dayNames[floorMod(s.day+4, 7)], 9)
	case "DY":
		return name(dayNames[floorMod(s.day+4, 7)][:3], 3)
	case "DDD":
		return number(s.day-dayOf(s.year, 1, 1)+1, 3)
	case "IDDD":
		return number(int64(isoWeekNumber-1)*7+floorMod(s.day+3, 7)+1, 3)
	case "DD":
		return number(int64(s.dom), 2)
	case "D":
		return number(floorMod(s.day+4, 7)+1, 1)
	case "ID":
		return number(floorMod(s.day+3, 7)+1, 1)
	case "W":
		return number(int64((s.dom-1)/7+1), 1)
	case "WW":
		return number((s.day-dayOf(s.year, 1, 1))/7+1, 2)
	case "IW":
		return number(int64(isoWeekNumber), 2)
	case "CC":
		if s.year <= 0 {
			return number(s.year/100-1, 2)
		}
		return number((s.year+99)/100, 2)
	case "J":
		return number(s.day+2440588, 0)
	case "Q":
		return number(int64((s.month-1)/3+1), 1)
	case "TZ":
		if p == "tz" {
			return append(dst, strings.ToLower(s.zone)...)
		}
		return append(dst, s.zone...)
	case "TZH":
		off := s.off / microsSecond
		if off < 0 {
			return appendPadded(append(dst, '-'), -off/3600, 2)
		}
		return appendPadded(append(dst, '+'), off/3600, 2)
	case "TZM":
		return appendPadded(dst, max(s.off, -s.off)/microsMinute%60, 2)
	case "OF":
		return appendOffset(dst, s.off/microsSecond)
	}
	return append(dst, p...)
}

func capitalsOf(word, p string) string {
	if p[0] >= 'A' && p[0] <= 'Z' {
		return strings.ToUpper(word)
	}
	return word
}

// readFields is what a text says of a time, by the patterns of a format. A field that no pattern
// reads is -1.
type readFields struct {
	year, month, dom, doy, week, monthWeek int64 // by the usual calendar; week counts sevens from 1 January
	isoYear, isoWeek, isoDay, isoDoy       int64 // by weeks from Monday on
	century, julian                        int64
	hour, minute, sec, frac, ofDay         int64
	zone                                   int64 // minutes east
	bc, pm, twelve, hasZone, west          bool
	dated, timed                           bool // there is a pattern of a date, or of a time of day
}

func newReadFields() *readFields {
	return &readFields{year: -1, month: -1, dom: -1, doy: -1, week: -1, monthWeek: -1, isoYear: -1, isoWeek: -1, isoDay: -1, isoDoy: -1, century: -1, julian: -1,
		hour: -1, minute: -1, sec: -1, frac: -1, ofDay: -1}
}

// numberFields are the patterns that read a number: into which field, and how many digits at most.
func (r *readFields) number(pattern string) (field *int64, width int) {
	switch pattern {
	case "YYYY", "Y,YYY":
		return &r.year, 4
	case "YYY":
		return &r.year, 3
	case "YY":
		return &r.year, 2
	case "Y":
		return &r.year, 1
	case "IYYY":
		return &r.isoYear, 4
	case "IYY":
		return &r.isoYear, 3
	case "IY":
		return &r.isoYear, 2
	case "I":
		return &r.isoYear, 1
	case "CC":
		return &r.century, 2
	case "MM":
		return &r.month, 2
	case "DD":
		return &r.dom, 2
	case "DDD":
		return &r.doy, 3
	case "IDDD":
		return &r.isoDoy, 3
	case "ID":
		return &r.isoDay, 1
	case "WW":
		return &r.week, 2
	case "W":
		return &r.monthWeek, 1
	case "IW":
		return &r.isoWeek, 2
	case "J":
		return &r.julian, 9
	case "HH24", "HH12", "HH":
		return &r.hour, 2
	case "MI":
		return &r.minute, 2
	case "SS":
		return &r.sec, 2
	case "SSSS", "SSSSS":
		return &r.ofDay, 5
	case "MS", "FF3":
		return &r.frac, 3
	case "US", "FF6":
		return &r.frac, 6
	case "FF1", "FF2", "FF4", "FF5":
		return &r.frac, int(pattern[2] - '0')
	case "D", "Q": // the day of a week and the quarter say nothing of a date
		return new(int64), 1
	}
	return nil, 0
}

// parseTimeFormat is to_timestamp and to_date of a text. It says whether a zone was read, of
// which the time is then UTC.
func parseTimeFormat(s, format string) (t int64, zoned bool, err error) {
	r := newReadFields()
	if err = r.read(s, format, false); err != nil {
		return 0, false, err
	}
	t, err = r.time(s)
	return t, r.hasZone, err
}

// read reads a text by a format. By the standard what stands between the patterns must be in the text too, and the
// text must end where the format does.
func (r *readFields) read(s, format string, standard bool) error {
	short := pgerr.New(pgerr.InvalidDatetimeFormat, "input string is too short for datetime format")
	fail := func(p string) error {
		return pgerr.New(pgerr.InvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", s, strings.ToUpper(p))
	}
	at := 0
	for i := 0; i < len(format); {
		rest := format[i:]
		if strings.HasPrefix(rest, "FM") || strings.HasPrefix(rest, "FX") || strings.HasPrefix(rest, "TM") {
			i += 2
			continue
		}
		if rest[0] == '"' { // text that stands for as much of the input
			for i++; i < len(format) && format[i] != '"'; i++ {
				switch {
				case standard && at == len(s):
					return short
				case standard && s[at] != format[i]:
					return pgerr.New(pgerr.InvalidDatetimeFormat, "unmatched format character \"%c\"", format[i])
				}
				at = min(at+1, len(s))
			}
			i++
			continue
		}
		p := timePattern(rest)
		switch {
		case standard && p == "" && !isSeparator(rest[0]):
			return pgerr.New(pgerr.InvalidDatetimeFormat, "invalid datetime format separator: \"%c\"", []rune(rest)[0])
		case standard && at == len(s):
			return short
		case standard && p == "":
			if i++; s[at] != rest[0] {
				return pgerr.New(pgerr.InvalidDatetimeFormat, "unmatched format separator \"%c\"", rest[0])
			}
			at++
			continue
		case p == "":
			i++
			if rest[0] != ' ' && at < len(s) && !(s[at] >= '0' && s[at] <= '9') || at < len(s) && s[at] == ' ' {
				at++
			}
			continue
		}
		i += len(p)
		for at < len(s) && s[at] == ' ' {
			at++
		}
		up := strings.ToUpper(p)
		ordinal := strings.HasPrefix(format[i:], "TH") || strings.HasPrefix(format[i:], "th")
		if ordinal {
			i += 2
		}
		word := func() string {
			from := at
			for at < len(s) && isNameByte(s[at]) && !(s[at] >= '0' && s[at] <= '9') {
				at++
			}
			return lower(s[from:at])
		}
		switch up {
		case "MONTH", "MON":
			if r.month, r.dated = int64(nameIndex(monthNames[:], word())), true; r.month == 0 {
				return fail(p)
			}
			continue
		case "RM":
			w := word()
			for month := int64(1); month <= 12; month++ {
				if strings.EqualFold(roman(month), w) {
					r.month = month
				}
			}
			if r.dated = true; r.month < 0 {
				return fail(p)
			}
			continue
		case "DAY", "DY":
			if r.dated = true; nameIndex(dayNames[:], word()) == 0 {
				return fail(p)
			}
			continue
		case "AM", "PM", "A.M.", "P.M.", "BC", "AD", "B.C.", "A.D.":
			if at+len(p) > len(s) {
				return fail(p)
			}
			if strings.HasSuffix(strings.ReplaceAll(up, ".", ""), "M") {
				r.timed = true
			} else {
				r.dated = true
			}
			switch strings.ReplaceAll(lower(s[at:at+len(p)]), ".", "") {
			case "am":
				r.twelve = true
			case "pm":
				r.pm, r.twelve = true, true
			case "bc":
				r.bc = true
			case "ad":
			default:
				return fail(p)
			}
			at += len(p)
			continue
		case "TZH", "TZM":
			from := at
			if at < len(s) && (s[at] == '+' || s[at] == '-') {
				at++
			}
			n, end := digitsAt(s, at, 2)
			if end == at {
				return fail(p)
			}
			at = end
			switch {
			case standard && up == "TZM" && n > 59:
				return fail(p)
			case up == "TZM" && r.west:
				r.zone -= n
			case up == "TZM":
				r.zone += n
			case s[from] == '-':
				r.zone, r.west = -n*60, true
			default:
				r.zone = n * 60
			}
			r.hasZone = true
			continue
		}
		field, width := r.number(up)
		if field == nil {
			return pgerr.Unsupported("the pattern \"" + p + "\" in to_timestamp")
		}
		switch field {
		case &r.hour, &r.minute, &r.sec, &r.frac, &r.ofDay:
			r.timed = true
		default:
			r.dated = true
		}
		most := width
		if next, _ := r.number(strings.ToUpper(timePattern(format[i:]))); standard && next == nil {
			most, width = width, 9
		}
		if up == "YYYY" && i < len(format) && timePattern(format[i:]) == "" {
			width = 9
		}
		negative := (up == "YYYY" || up == "CC") && at < len(s) && s[at] == '-'
		if negative {
			at++
		}
		n, end := digitsAt(s, at, width)
		if end == at {
			if at >= len(s) {
				break
			}
			return fail(p)
		}
		size := end - at
		at = end
		if ordinal {
			word()
		}
		switch up {
		case "Y,YYY":
			if at < len(s) && s[at] == ',' {
				thousands := n
				if n, end = digitsAt(s, at+1, 3); end == at+1 {
					return fail(p)
				}
				n, at = thousands*1000+n, end
			}
		case "YYY", "YY", "Y", "IYY", "IY", "I":
			n = nearYear(n, size)
		case "HH12", "HH":
			if r.twelve = true; n < 1 || n > 12 {
				return pgerr.New(pgerr.InvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", n).
					WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
			}
		case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
			if size > most {
				return fail(p)
			}
			for ; size < 6; size++ {
				n *= 10
			}
		}
		if *field = n; negative {
			r.bc = true
		}
	}
	if standard && strings.Trim(s[at:], blanks) != "" {
		return pgerr.New(pgerr.InvalidDatetimeFormat, "trailing characters remain in input string after datetime format")
	}
	return nil
}

// nearYear is a year of fewer than four digits as the one that is nearest to 2020.
func nearYear(n int64, size int) int64 {
	switch {
	case size == 3 && n < 520:
		return 2000 + n
	case size == 3:
		return 1000 + n
	case size < 3 && n < 70:
		return 2000 + n
	case size < 3:
		return 1900 + n
	}
	return n
}

// time puts the fields together.
func (r *readFields) time(s string) (int64, error) {
	bad := timeField.of("", s)
	or := func(x, otherwise int64) int64 {
		if x < 0 {
			return otherwise
		}
		return x
	}
	hour, minute, sec, frac := or(r.hour, 0), or(r.minute, 0), or(r.sec, 0), or(r.frac, 0)
	if r.ofDay >= 0 {
		hour, minute, sec = r.ofDay/3600, r.ofDay%3600/60, r.ofDay%60
	}
	if r.twelve {
		if hour %= 12; r.pm {
			hour += 12
		}
	}
	if hour > 23 || minute > 59 || sec > 59 || r.zone > 15*60+59 || r.zone < -(15*60+59) {
		return 0, bad
	}
	day, err := r.day(s, or)
	if err != nil {
		return 0, err
	}
	return day*microsDay + hour*microsHour + minute*microsMinute + sec*microsSecond + frac - r.zone*microsMinute, nil
}

// day is the date that the fields say.
func (r *readFields) day(s string, or func(x, otherwise int64) int64) (int64, error) {
	bad := timeField.of("", s)
	iso := r.isoYear >= 0 || r.isoWeek >= 0 || r.isoDay >= 0 || r.isoDoy >= 0
	usual := r.year >= 0 || r.month >= 0 || r.dom >= 0 || r.doy >= 0 || r.week >= 0 || r.monthWeek >= 0
	switch {
	case iso && usual:
		return 0, pgerr.New(pgerr.InvalidDatetimeFormat, "invalid combination of date conventions").
			WithHint("Do not mix Gregorian and ISO week date conventions in a formatting template.")
	case r.julian >= 0:
		return r.julian + minDay, nil
	case iso:
		if r.isoYear < 0 || r.isoYear > 294246 || r.isoWeek > 53 || r.isoDay > 7 || r.isoDoy > 371 {
			return 0, bad
		}
		first := dayOf(r.isoYear, 1, 4) // is always in the first week
		first -= floorMod(first+3, 7)   // its Monday
		if r.isoDoy > 0 {
			return first + r.isoDoy - 1, nil
		}
		return first + (or(r.isoWeek, 1)-1)*7 + or(r.isoDay, 1) - 1, nil
	}
	year := r.year
	switch {
	case year < 0 && r.century >= 0:
		if year = (r.century-1)*100 + 1; r.bc {
			year = r.century * 100
		}
	case year < 0:
		year = 0 // 1 BC, which a time without a date is in
	}
	if r.bc && year > 0 {
		year = 1 - year
	}
	month, dom := or(r.month, 1), or(r.dom, 1)
	if r.monthWeek > 0 {
		dom = (r.monthWeek-1)*7 + 1
	}
	if year < -4712 || year > 294246 || month < 1 || month > 12 || dom < 1 || dom > int64(monthDays(year, int(month))) || r.doy > 366 || r.doy == 0 || r.week > 53 {
		return 0, bad
	}
	switch {
	case r.doy > 0:
		return dayOf(year, 1, 1) + r.doy - 1, nil
	case r.week > 0:
		return dayOf(year, 1, 1) + (r.week-1)*7, nil
	}
	return dayOf(year, int(month), int(dom)), nil
}

// timeFormat computes a function of a time, which is the argument at, and of a format, which is the
// other one. It is NULL for infinity.
func timeFormat(t vec.Type, at int, write func(dst []byte, s *stamp, format string) ([]byte, error)) func(*frame) error {
	return func(f *frame) error {
		x, format := viewOf[int64](f, at), viewOf[string](f, 1-at)
		z := zoneOf(f.ctx)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			v := x.at(i)
			if isInfinite(v) {
				return dst, errNull
			}
			off, name := int64(0), ""
			switch t.Kind {
			case vec.Date:
				v *= microsDay
			case vec.TimestampTZ:
				off = z.offset(v)
				if strings.ContainsAny(format.at(i), "TtZ") {
					name, _ = time.UnixMicro(v).In(z.loc).Zone()
				}
			}
			s := stampOf(v+off, off, name)
			return write(dst, &s, format.at(i))
		})
	}
}

func formats() {
	for _, t := range []vec.Type{tTz, tTs, tDate} {
		define("to_char", tText, types(t, tText), timeFormat(t, 0, func(dst []byte, s *stamp, format string) ([]byte, error) {
			return appendTimeFormat(dst, s, format), nil
		}))
		define("strftime", tText, types(t, tText), timeFormat(t, 0, strftime))
		define("strftime", tText, types(tText, t), timeFormat(t, 1, strftime))
	}
	define("to_char", tText, types(tIvl, tText), text2(func(_ *Context, dst []byte, v vec.IntervalValue, format string) ([]byte, error) {
		s := stamp{year: int64(v.Months / 12), month: int(v.Months % 12), dom: int(v.Days), clock: v.Micros, span: true}
		return appendTimeFormat(dst, &s, format), nil
	}))
	define("to_char", tText, types(tNum, tText), text2(func(_ *Context, dst []byte, d vec.Decimal, format string) ([]byte, error) {
		return appendNumberFormat(dst, d, format)
	}))
	define("to_char", tText, types(tFloat8, tText), text2(func(_ *Context, dst []byte, x float64, format string) ([]byte, error) {
		return appendFloatFormat(dst, x, 15, format)
	}))
	define("to_char", tText, types(tFloat4, tText), text2(func(_ *Context, dst []byte, x float64, format string) ([]byte, error) {
		return appendFloatFormat(dst, x, 6, format)
	}))
	define("to_char", tText, types(tInt8, tText), text2(func(_ *Context, dst []byte, x int64, format string) ([]byte, error) {
		return appendNumberFormat(dst, vec.DecimalFromInt(x), format)
	}))
	define("to_timestamp", tTz, types(tText, tText), zoned(func(f *frame, z *zone) func(int) error {
		s, format := viewOf[string](f, 0), viewOf[string](f, 1)
		return func(i int) error {
			t, zoned, err := parseTimeFormat(s.at(i), format.at(i))
			if zoned {
				f.out.I64[i] = t
				return err
			}
			f.out.I64[i] = z.utc(t)
			return err
		}
	}))
	define("to_date", tDate, types(tText, tText), map2(func(_ *Context, s, format string) (int64, error) {
		t, _, err := parseTimeFormat(s, format)
		return vec.FloorDiv(t, microsDay), err
	}))
	define("to_number", tNum, types(tText, tText), map2(func(_ *Context, s, format string) (vec.Decimal, error) {
		if format == "" {
			return vec.Decimal{}, errNull
		}
		text := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r == '.' || r == '-' {
				return r
			}
			return -1
		}, s)
		switch {
		case strings.HasSuffix(text, "-"):
			text = "-" + text[:len(text)-1]
		case strings.Contains(s, "<") && strings.Contains(strings.ToUpper(format), "PR"):
			text = "-" + text
		}
		return parseNumeric(text)
	}))
}
