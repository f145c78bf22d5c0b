package expr

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// posixZone is a zone as POSIX writes it: the name and the offset of standard time, west of
// Greenwich, then perhaps those of summer time and when it begins and ends.
var posixZone = regexp.MustCompile(`^(<[^<>]*>|[^<>\d,+-]*)([+-]?)(\d{1,3}(?::\d{1,2}){0,2})` +
	`(?:(<[^<>]*>|[^<>\d,+:-][^<>\d,+-]*)([+-]?\d{1,3}(?::\d{1,2}){0,2})?(` + posixRule + posixRule + `)?)?$`)

// posixRule is a day of the year on which clocks change, and when.
const posixRule = `,(?:J?\d{1,3}|M\d{1,2}\.\d\.\d)(?:/[+-]?\d{1,3}(?::\d{1,2}){0,2})?`

// usualRules are the days of summer time where a zone has one and does not say when.
const usualRules = ",M3.2.0,M11.1.0"

// PosixZone reads a zone in the form of POSIX, UTC+3 or EST5EDT,M3.2.0,M11.1.0, and gives the name
// that it is shown by; nil if it is none.
func PosixZone(name string) (*time.Location, string) {
	name = strings.ToUpper(name)
	m := posixZone.FindStringSubmatch(name)
	if m == nil || len(name) > 255 {
		return nil, ""
	}
	east := 0 // s
	for i, part := range strings.Split(m[3], ":") {
		n, _ := strconv.Atoi(part)
		if n > [...]int{167, 59, 60}[i] {
			return nil, ""
		}
		east -= n * [...]int{3600, 60, 1}[i]
	}
	if m[2] == "-" {
		east = -east
	}
	quoted := func(name string) string { return "<" + strings.Trim(name, "<>") + ">" }
	rule := quoted(m[1]) + m[2] + m[3]
	if m[4] != "" {
		rule += quoted(m[4]) + m[5]
		if m[6] == "" {
			m[6] = usualRules
		}
		rule += m[6]
	}
	loc, err := time.LoadLocationFromTZData(name, zoneFile(strings.Trim(m[1], "<>"), east, rule))
	if err != nil {
		return nil, ""
	}
	return loc, name
}

// zoneFile is a file of the tz database without any change of clocks, where a rule of POSIX says
// all.
func zoneFile(standard string, east int, rule string) []byte {
	header := func(types, chars int) []byte {
		out := append([]byte("TZif2"), make([]byte, 15)...)
		for _, n := range []int{0, 0, 0, 0, types, chars} {
			out = binary.BigEndian.AppendUint32(out, uint32(n))
		}
		return out
	}
	out := append(header(0, 0), header(1, len(standard)+1)...) // the first part is that of 32 bits
	out = binary.BigEndian.AppendUint32(out, uint32(int32(east)))
	out = append(out, 0, 0) // no summer time, the first name
	out = append(append(out, standard...), 0)
	return append(append(append(out, '\n'), rule...), '\n')
}
