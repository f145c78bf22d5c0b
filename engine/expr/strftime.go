package expr

import (
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
)

// strftimeWords are patterns of strftime, by their letter, as patterns of to_char.
var strftimeWords = map[byte]string{
	'Y': "YYYY", 'y': "YY", 'm': "MM", 'd': "DD", 'H': "HH24", 'I': "HH12", 'M': "MI", 'S': "SS", 'f': "US", 'g': "MS", 'p': "AM",
	'j': "DDD", 'B': "FMMonth", 'b': "Mon", 'h': "Mon", 'A': "FMDay", 'a': "Dy", 'V': "IW", 'G': "IYYY", 'u': "ID", 'Z': "TZ", 'z': "OF", 'q': "Q",
	'F': "YYYY-MM-DD", 'x': "YYYY-MM-DD", 'T': "HH24:MI:SS", 'X': "HH24:MI:SS", 'R': "HH24:MI", 'D': "MM/DD/YY", 'e': "FMDD",
	'c': "YYYY-MM-DD HH24:MI:SS",
}

// strftime writes a time as a pattern of C says, with DuckDB's forms: dates and times of day are ISO,
// %g, %f and %n are parts of the second, and %- leaves out zeros in front.
func strftime(dst []byte, s *stamp, format string) ([]byte, error) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			dst = append(dst, format[i])
			continue
		}
		rest := format[i+1:]
		width, fill := 2, ""
		if len(rest) > 1 && rest[0] == '-' {
			rest, width, fill = rest[1:], 0, "FM"
			i++
		}
		i++
		if rest == "" {
			return dst, pgerr.New(pgerr.InvalidParameterValue, "the format %q of strftime ends with %%", format)
		}
		weekday := floorMod(s.day+4, 7) // since Sunday
		yearDay := s.day - dayOf(s.year, 1, 1)
		switch letter := rest[0]; letter {
		case '%':
			dst = append(dst, '%')
		case 'n':
			dst = appendPadded(dst, s.clock%microsSecond*1000, 9)
		case 'w':
			dst = appendPadded(dst, weekday, 0)
		case 'U':
			dst = appendPadded(dst, (yearDay+7-weekday)/7, width)
		case 'W':
			dst = appendPadded(dst, (yearDay+7-floorMod(weekday-1, 7))/7, width)
		default:
			word, ok := strftimeWords[letter]
			if !ok {
				_, size := utf8.DecodeRuneInString(rest)
				return dst, pgerr.New(pgerr.InvalidParameterValue, "strftime does not know %q", "%"+rest[:size])
			}
			dst = appendTimeFormat(dst, s, fill+word)
		}
	}
	return dst, nil
}
