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
	s := stamp{day: floorDiv(local, microsDay), off: off, zone: zone}
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

// parseTimeFormat is to_timestamp and to_date of a text.
func parseTimeFormat(s, format string) (int64, error) {
	var year, month, dom, hour, minute, sec, frac, doy int64 = 1, 1, 1, 0, 0, 0, 0, 0
	pm, twelve := false, false
	fail := func(p string) error {
		return pgerr.New(pgerr.InvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", s, strings.ToUpper(p))
	}
	at := 0
	for i := 0; i < len(format); {
		rest := format[i:]
		if strings.HasPrefix(rest, "FM") {
			i += 2
			continue
		}
		p := timePattern(rest)
		if p == "" {
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
		width := map[string]int{"YYYY": 4, "YYY": 3, "YY": 2, "Y": 1, "MS": 3, "US": 6, "DDD": 3, "FF3": 3, "FF6": 6, "FF1": 1}[up]
		if width == 0 {
			width = 2
		}
		if up == "YYYY" && i < len(format) && timePattern(format[i:]) == "" {
			width = 9
		}
		switch up {
		case "MONTH", "MON":
			end := at
			for end < len(s) && isNameByte(s[end]) && !(s[end] >= '0' && s[end] <= '9') {
				end++
			}
			if month = int64(nameIndex(monthNames[:], lower(s[at:end]))); month == 0 {
				return 0, fail(p)
			}
			at = end
			continue
		case "DAY", "DY":
			for at < len(s) && isNameByte(s[at]) {
				at++
			}
			continue
		case "AM", "PM", "A.M.", "P.M.":
			if at >= len(s) {
				return 0, fail(p)
			}
			pm, twelve = s[at]|32 == 'p', true
			at = min(at+len(p), len(s))
			continue
		}
		n, end := digitsAt(s, at, width)
		if end == at {
			if at >= len(s) {
				break
			}
			return 0, fail(p)
		}
		size := end - at
		at = end
		switch up {
		case "YYYY":
			year = n
		case "YY":
			year = century(n)
		case "MM":
			month = n
		case "DD":
			dom = n
		case "DDD":
			doy = n
		case "HH24":
			hour = n
		case "HH12", "HH":
			hour, twelve = n, true
		case "MI":
			minute = n
		case "SS":
			sec = n
		case "MS", "US", "FF1", "FF3", "FF6":
			for ; size < 6; size++ {
				n *= 10
			}
			frac = n
		default:
			return 0, pgerr.Unsupported("the pattern \"" + p + "\" in to_timestamp")
		}
	}
	if twelve {
		hour %= 12
		if pm {
			hour += 12
		}
	}
	if year < 1 || year > 294246 || month < 1 || month > 12 || dom < 1 || dom > int64(monthDays(year, int(month))) || hour > 23 || minute > 59 || sec > 59 || doy > 366 {
		return 0, timeField.of("", s)
	}
	day := dayOf(year, int(month), int(dom))
	if doy > 0 {
		day = dayOf(year, 1, 1) + doy - 1
	}
	return day*microsDay + hour*microsHour + minute*microsMinute + sec*microsSecond + frac, nil
}

// strftime patterns, by their letter, as patterns of to_char.
var strftimeWords = map[byte]string{
	'Y': "YYYY", 'y': "YY", 'm': "MM", 'd': "DD", 'H': "HH24", 'I': "HH12", 'M': "MI", 'S': "SS", 'f': "US", 'p': "AM",
	'j': "DDD", 'B': "FMMonth", 'b': "Mon", 'A': "FMDay", 'a': "Dy", 'V': "IW", 'G': "IYYY", 'u': "ID", 'Z': "TZ", 'q': "Q",
	'F': "YYYY-MM-DD", 'T': "HH24:MI:SS", 'R': "HH24:MI", 'D': "MM/DD/YY", 'e': "FMDD", 'z': "OF",
}

func formats() {
	timeFormat := func(t vec.Type, write func(dst []byte, s *stamp, format string) []byte) func(*frame) error {
		return func(f *frame) error {
			x, format := viewOf[int64](f, 0), viewOf[string](f, 1)
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
				return write(dst, &s, format.at(i)), nil
			})
		}
	}
	strftime := func(dst []byte, s *stamp, format string) []byte {
		for i := 0; i < len(format); i++ {
			if format[i] != '%' || i+1 == len(format) {
				dst = append(dst, format[i])
				continue
			}
			i++
			if p, ok := strftimeWords[format[i]]; ok {
				dst = appendTimeFormat(dst, s, p)
			} else {
				dst = append(dst, format[i])
			}
		}
		return dst
	}
	for _, t := range []vec.Type{tTz, tTs, tDate} {
		define("to_char", tText, types(t, tText), timeFormat(t, appendTimeFormat))
		define("strftime", tText, types(t, tText), timeFormat(t, strftime))
	}
	define("to_char", tText, types(tIvl, tText), text2(func(_ *Context, dst []byte, v vec.IntervalValue, format string) ([]byte, error) {
		s := stamp{year: int64(v.Months / 12), month: int(v.Months % 12), dom: int(v.Days), clock: v.Micros, span: true}
		return appendTimeFormat(dst, &s, format), nil
	}))
	define("to_char", tText, types(tNum, tText), text2(func(_ *Context, dst []byte, d vec.Decimal, format string) ([]byte, error) {
		return appendNumberFormat(dst, d, format)
	}))
	define("to_char", tText, types(tFloat8, tText), text2(func(_ *Context, dst []byte, x float64, format string) ([]byte, error) {
		d, err := vec.DecimalFromFloat(x, 15)
		if err != nil || math.IsNaN(x) {
			return dst, pgerr.New(pgerr.NumericOutOfRange, "value out of range for to_char")
		}
		return appendNumberFormat(dst, d, format)
	}))
	define("to_char", tText, types(tInt8, tText), text2(func(_ *Context, dst []byte, x int64, format string) ([]byte, error) {
		return appendNumberFormat(dst, vec.DecimalFromInt(x), format)
	}))
	define("to_timestamp", tTz, types(tText, tText), zoned(func(f *frame, z *zone) func(int) error {
		s, format := viewOf[string](f, 0), viewOf[string](f, 1)
		return func(i int) error {
			t, err := parseTimeFormat(s.at(i), format.at(i))
			f.out.I64[i] = z.utc(t)
			return err
		}
	}))
	define("to_date", tDate, types(tText, tText), map2(func(_ *Context, s, format string) (int64, error) {
		t, err := parseTimeFormat(s, format)
		return floorDiv(t, microsDay), err
	}))
	define("to_number", tNum, types(tText, tText), map2(func(_ *Context, s, _ string) (vec.Decimal, error) {
		text := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r == '.' || r == '-' {
				return r
			}
			return -1
		}, s)
		if strings.HasSuffix(text, "-") {
			text = "-" + text[:len(text)-1]
		}
		return parseNumeric(text)
	}))
}
