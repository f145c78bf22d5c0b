package event

import (
	"bytes"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// ParseTime reads an instant in the forms of ISO 8601 that events carry: a date, with a
// time or without, with an offset or by the clocks of loc, where nil is UTC. The result is
// µs since 1970 UTC.
func ParseTime(text []byte, loc *time.Location) (int64, bool) {
	p := timeParser{rest: bytes.TrimSpace(text)}
	year, month, day := p.digits(4), p.after('-', 2), p.after('-', 2)
	if p.bad || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	micros := daysSince1970(year, month, day) * dayMicros
	if len(p.rest) == 0 {
		return byClock(micros, loc), true
	}
	if p.rest[0] != 'T' && p.rest[0] != 't' && p.rest[0] != ' ' {
		return 0, false
	}
	p.rest = p.rest[1:]
	hour, minute := p.digits(2), p.after(':', 2)
	second, fraction := int64(0), int64(0)
	if p.next(':') {
		second = p.digits(2)
		if p.next('.') || p.next(',') {
			fraction = p.fraction()
		}
	}
	if p.bad || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	micros += ((hour*60+minute)*60+second)*1e6 + fraction
	for p.next(' ') {
	}
	switch {
	case p.next('Z') || p.next('z'):
	case len(p.rest) > 0 && (p.rest[0] == '+' || p.rest[0] == '-'):
		sign := int64(44) - int64(p.rest[0]) // + is 43, - is 45
		p.rest = p.rest[1:]
		h, m := p.digits(2), int64(0)
		if p.next(':') || len(p.rest) > 0 {
			m = p.digits(2)
		}
		if h > 15 || m > 59 {
			return 0, false
		}
		micros -= sign * (h*60 + m) * 60 * 1e6
	default:
		micros = byClock(micros, loc)
	}
	return micros, !p.bad && len(p.rest) == 0
}

// byClock is the instant at which the clocks of a place show a time. One that they skip
// comes after the gap, as long after as it is after the gap's beginning; of two, the
// instant of standard time counts, which is the later one.
func byClock(micros int64, loc *time.Location) int64 {
	if loc == nil || loc == time.UTC {
		return micros
	}
	offsetAt := func(us int64) int64 {
		_, seconds := time.UnixMicro(us).In(loc).Zone()
		return int64(seconds) * 1e6
	}
	// The offset in force is that of a day before or of a day after, or both are the same.
	before, after := offsetAt(micros-dayMicros), offsetAt(micros+dayMicros)
	if late := micros - after; offsetAt(late) == after {
		return late
	}
	return micros - before
}

const dayMicros = 86_400_000_000

type timeParser struct {
	rest []byte
	bad  bool
}

func (p *timeParser) digits(n int) int64 {
	if len(p.rest) < n {
		p.bad = true
		return 0
	}
	v := int64(0)
	for _, c := range p.rest[:n] {
		if c < '0' || c > '9' {
			p.bad = true
		}
		v = v*10 + int64(c-'0')
	}
	p.rest = p.rest[n:]
	return v
}

func (p *timeParser) next(c byte) bool {
	if len(p.rest) > 0 && p.rest[0] == c {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

func (p *timeParser) after(c byte, n int) int64 {
	if !p.next(c) {
		p.bad = true
	}
	return p.digits(n)
}

// fraction reads the digits of a fraction of a second, in µs. What is finer is cut off.
func (p *timeParser) fraction() int64 {
	v, unit, any := int64(0), int64(100_000), false
	for len(p.rest) > 0 && p.rest[0] >= '0' && p.rest[0] <= '9' {
		v += int64(p.rest[0]-'0') * unit
		unit /= 10
		p.rest = p.rest[1:]
		any = true
	}
	p.bad = p.bad || !any
	return v
}

func daysIn(year, month int64) int64 {
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

// daysSince1970 counts in years that start in March, so that the odd day is the last.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	yearDays := 365*year + vec.FloorDiv(year, 4) - vec.FloorDiv(year, 100) + vec.FloorDiv(year, 400)
	return yearDays + (153*(month-3)+2)/5 + day - 1 - 719468
}
