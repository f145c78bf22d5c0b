package capture

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

const (
	second = int64(1_000_000) // in µs, as all times here
	day    = 86400 * second
	// The times that files may hold: 1970 to 9999.
	minFileTime = 0
	maxFileTime = 253402300800*second - 1
	// maxAhead is how far in the future a live event may lie before its clock is not believed.
	maxAhead = 23 * 3600 * second
	// The years that a live event may be of: 0 to 9999.
	minLiveTime = -62167219200 * second
)

// two is the number that two digits write, or more than 99.
func two(b []byte) int {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return 1000
	}
	return int(hi)*10 + int(lo)
}

var monthDays = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// civilDays is the days from 1970 to a date of the Gregorian calendar.
func civilDays(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// parseTime reads an instant in any of the accepted forms; without a zone it is UTC:
//
//	2026-01-02T03:04:05.678Z   2026-01-02 03:04:05+03   2026/01/02 03:04   2026-01-02
//	Fri, 02 Jan 2026 03:04:05 +0000   1767323045   1767323045.678   1767323045678
func parseTime(b []byte) (micros int64, ok bool) {
	if len(b) < 10 || b[4] != '-' && b[4] != '/' || b[7] != b[4] {
		return parseOddTime(b)
	}
	y, m, d := two(b)*100+two(b[2:]), two(b[5:]), two(b[8:])
	if y > 9999 || m < 1 || m > 12 || d < 1 || d > monthDays[m] {
		return parseOddTime(b)
	}
	if m == 2 && d == 29 && (y%4 != 0 || y%100 == 0 && y%400 != 0) {
		return 0, false
	}
	t := civilDays(y, m, d) * day
	rest := b[10:]
	if len(rest) == 0 {
		return t, true
	}
	if rest[0] != 'T' && rest[0] != ' ' && rest[0] != 't' || len(rest) < 6 || rest[3] != ':' {
		return parseOddTime(b)
	}
	hour, minute, sec := two(rest[1:]), two(rest[4:]), 0
	rest = rest[6:]
	if len(rest) >= 3 && rest[0] == ':' {
		sec = two(rest[1:])
		rest = rest[3:]
		if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') {
			frac, n := int64(0), 0
			for rest = rest[1:]; n < len(rest) && rest[n]-'0' <= 9; n++ {
				if n < 6 {
					frac = frac*10 + int64(rest[n]-'0')
				}
			}
			if n == 0 {
				return 0, false
			}
			for i := n; i < 6; i++ {
				frac *= 10
			}
			t += frac
			rest = rest[n:]
		}
	}
	if hour > 24 || minute > 59 || sec > 60 || hour == 24 && (minute > 0 || sec > 0) {
		return 0, false
	}
	t += int64(hour*3600+minute*60+sec) * second
	offset, ok := zone(rest)
	return t - offset, ok
}

// zone reads what may follow a time: nothing, Z, +03, +0330, +03:30, UTC.
func zone(b []byte) (offset int64, ok bool) {
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') || len(b) == 0 {
		return 0, true
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return 0, true
	}
	switch string(b) {
	case "Z", "z", "UTC", "GMT":
		return 0, true
	}
	sign := int64(1)
	switch b[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false
	}
	b = b[1:]
	hour, minute := 0, 0
	switch {
	case len(b) == 2:
		hour = two(b)
	case len(b) == 4:
		hour, minute = two(b), two(b[2:])
	case len(b) == 5 && b[2] == ':':
		hour, minute = two(b), two(b[3:])
	default:
		return 0, false
	}
	return sign * int64(hour*3600+minute*60) * second, hour <= 24 && minute < 60
}

// oddLayouts are tried one after the other for what is not written as above.
var oddLayouts = []string{
	"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST",
	"Mon Jan _2 15:04:05 2006", "2006-1-2T15:04:05Z07:00", "2006-1-2 15:04:05", "2006-1-2", "2006/1/2 15:04:05", "2006/1/2",
	"2006-01-02T15Z07:00", "20060102T150405Z",
}

func parseOddTime(b []byte) (int64, bool) {
	if trimmed := bytes.TrimSpace(b); len(trimmed) < len(b) {
		return parseTime(trimmed)
	}
	if len(b) == 0 || len(b) > 64 {
		return 0, false
	}
	if t, ok := parseEpoch(b); ok {
		return t, true
	}
	for _, layout := range oddLayouts {
		if t, err := time.Parse(layout, string(b)); err == nil {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}

// parseEpoch reads a number of seconds, milliseconds, microseconds or nanoseconds since
// 1970: which, its size tells.
func parseEpoch(b []byte) (int64, bool) {
	if v, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		switch a := max(v, -v); {
		case a < 0: // the one number without a positive
			return 0, false
		case a < 1e11: // seconds until the year 5138, milliseconds from March 1973
			return v * second, true
		case a < 1e14:
			return v * 1000, true
		case a < 1e17:
			return v, true
		}
		return v / 1000, true
	}
	if b[0] != '-' && b[0]-'0' > 9 { // not Inf, nor NaN
		return 0, false
	}
	f, err := strconv.ParseFloat(string(b), 64)
	switch a := math.Abs(f); {
	case err != nil || math.IsNaN(f) || a >= 1e18:
		return 0, false
	case a < 1e11:
		f *= 1e6
	case a < 1e14:
		f *= 1e3
	case a >= 1e17:
		f /= 1e3
	}
	return int64(math.Round(f)), true
}

// clock is what is known about the time of a request.
type clock struct {
	now        int64
	sentAt     int64
	sentAtSet  bool
	historical bool
}

// eventTime is when a live event happened: told by the client, corrected by what its
// clock is wrong.
func (c *clock) eventTime(told int64, toldSet bool, offset int64, offsetSet, ignoreSentAt bool) int64 {
	t := c.now
	if toldSet {
		if t = told; c.sentAtSet && !ignoreSentAt {
			t = told - (c.sentAt - c.now)
		}
	}
	if offsetSet {
		t = c.now - offset*1000
	}
	if !c.historical && t-c.now > maxAhead {
		t = c.now
	}
	if t < minLiveTime || t > maxFileTime {
		t = 0
	}
	return t
}
