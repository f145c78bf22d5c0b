package expr

import (
	"encoding/binary"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// Among the values of a path that is being followed, a time is not the JSON text that it becomes at the end. It
// begins with a byte that no JSON begins with:
//
//	1 (1) | what it is, an index of pathTimes (1) | local time (8, µs) | offset (4, minutes east) | JSON text
const (
	pathTimeMark = 1
	pathTimeHead = 14
)

// pathTimes are what a time in a path is: by the name that type() gives, and that of the type in errors.
var pathTimes = [...]struct{ name, sql string }{
	pathDate:        {"date", "date"},
	pathTime:        {"time without time zone", "time"},
	pathTimeTZ:      {"time with time zone", "timetz"},
	pathTimestamp:   {"timestamp without time zone", "timestamp"},
	pathTimestampTZ: {"timestamp with time zone", "timestamptz"},
}

const (
	pathDate = iota
	pathTime
	pathTimeTZ
	pathTimestamp
	pathTimestampTZ
)

// pathMoment is a time in a path, read.
type pathMoment struct {
	kind  int
	local int64 // µs; of a time of day since midnight
	east  int64 // minutes
}

func isPathTime(v []byte) bool { return len(v) > 0 && v[0] == pathTimeMark }

// pathType is jsonType of a value in a path.
func pathType(v []byte) string {
	if isPathTime(v) {
		return "datetime"
	}
	return jsonType(v)
}

func (m pathMoment) zoned() bool { return m.kind == pathTimeTZ || m.kind == pathTimestampTZ }

// clock says whether it is a time of day.
func (m pathMoment) clock() bool { return m.kind == pathTime || m.kind == pathTimeTZ }

// utc is the time without its offset.
func (m pathMoment) utc() int64 { return m.local - m.east*microsMinute }

// value is the time as a value in a path.
func (m pathMoment) value() []byte {
	day := vec.FloorDiv(m.local, microsDay)
	var text []byte
	bc := false
	if !m.clock() {
		text, bc = appendDate(text, day)
	}
	if m.kind == pathTimestamp || m.kind == pathTimestampTZ {
		text = append(text, 'T')
	}
	if m.kind != pathDate {
		text = appendClock(text, m.local-day*microsDay)
	}
	if m.zoned() {
		sign, east := byte('+'), m.east
		if east < 0 {
			sign, east = '-', -east
		}
		text = appendPadded(append(text, sign), east/60, 2)
		text = appendPadded(append(text, ':'), east%60, 2)
	}
	if bc {
		text = append(text, " BC"...)
	}
	out := []byte{pathTimeMark, byte(m.kind)}
	out = binary.LittleEndian.AppendUint64(out, uint64(m.local))
	out = binary.LittleEndian.AppendUint32(out, uint32(m.east))
	return event.AppendJSONString(out, text)
}

func momentOf(v []byte) pathMoment {
	return pathMoment{int(v[1]), int64(binary.LittleEndian.Uint64(v[2:])), int64(int32(binary.LittleEndian.Uint32(v[10:])))}
}

// standardTimes are the formats of datetime() without one.
var standardTimes = func() []string {
	var clocks []string
	for _, sec := range []string{"HH24:MI:SS.US", "HH24:MI:SS"} {
		for _, zone := range []string{"TZH:TZM", "TZH", ""} {
			clocks = append(clocks, sec+zone)
		}
	}
	out := append([]string{"YYYY-MM-DD"}, clocks...)
	for _, between := range []string{" ", `"T"`} {
		for _, c := range clocks {
			out = append(out, "YYYY-MM-DD"+between+c)
		}
	}
	return out
}()

// readPathTime is datetime() of a text: in the format, or in any of the standard's if there is none.
func readPathTime(s string, n *pathNode) (pathMoment, error) {
	if n.json != nil {
		return readStandardTime(s, string(jsonText(nil, n.json)))
	}
	for _, format := range standardTimes {
		if m, err := readStandardTime(s, format); err == nil {
			return m, nil
		}
	}
	return pathMoment{}, pgerr.New("22031", "datetime format is not recognized: \"%s\"", s).
		WithHint("Use a datetime template argument to specify the input data format.")
}

func readStandardTime(s, format string) (m pathMoment, err error) {
	r := newReadFields()
	if format != "" {
		if err := r.read(s, format, true); err != nil {
			return m, err
		}
	}
	switch {
	case r.dated && r.timed && r.hasZone:
		m.kind = pathTimestampTZ
	case r.dated && r.timed:
		m.kind = pathTimestamp
	case r.dated && r.hasZone:
		return m, pgerr.New(pgerr.InvalidDatetimeFormat, "datetime format is zoned but not timed")
	case r.dated:
		m.kind = pathDate
	case r.timed && r.hasZone:
		m.kind = pathTimeTZ
	case r.timed:
		m.kind = pathTime
	default:
		return m, pgerr.New(pgerr.InvalidDatetimeFormat, "datetime format is not dated and not timed")
	}
	t, err := r.time(s)
	if m.local, m.east = t+r.zone*microsMinute, r.zone; m.clock() {
		m.local = floorMod(m.local, microsDay)
	}
	return m, err
}

// compareTimes orders two times. Times of which one has an offset can be compared with the help of the session's zone
// alone, which only functions in _tz may use: for others that is an error that nothing silences. A date and a
// time of day are in no order.
func (r *pathRun) compareTimes(a, b pathMoment) (c int, ok bool) {
	if a.clock() != b.clock() {
		return 0, false
	}
	if a.zoned() == b.zoned() {
		switch x, y := a.utc(), b.utc(); {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		case a.clock() && a.east != b.east: // the one further east is less
			return int(min(max(b.east-a.east, -1), 1)), true
		}
		return 0, true
	}
	plain, zoned := &a, &b
	if a.zoned() {
		plain, zoned = &b, &a
	}
	if r.zone == nil {
		if r.hard == nil {
			r.hard = pgerr.New(pgerr.FeatureNotSupported, "cannot convert value from %s to %s without time zone usage", pathTimes[plain.kind].sql, pathTimes[zoned.kind].sql).
				WithHint("Use *_tz() function for time zone support.")
		}
		return 0, false
	}
	at := r.now
	if !plain.clock() {
		at = r.zone.utc(plain.local)
	}
	plain.kind, plain.east = zoned.kind, r.zone.offset(at)/microsMinute
	return r.compareTimes(a, b)
}

// trimTimes has times among the values be JSON.
func trimTimes(list [][]byte) [][]byte {
	for i, v := range list {
		if isPathTime(v) {
			list[i] = v[pathTimeHead:]
		}
	}
	return list
}

// isSeparator says whether a byte of a standard's format stands for itself.
func isSeparator(c byte) bool { return strings.IndexByte("-./,':; ", c) >= 0 }
