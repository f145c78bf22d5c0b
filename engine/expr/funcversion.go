package expr

import (
	"cmp"
	"strings"
)

// compareVersions compares versions by the numbers between their points. A v before them
// does not count, nor what follows a hyphen or a plus; missing numbers are 0. It answers
// false if one is no version.
func compareVersions(a, b string) (int, bool) {
	a, ok1 := versionNumbers(a)
	b, ok2 := versionNumbers(b)
	if !ok1 || !ok2 {
		return 0, false
	}
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c, true
		}
	}
	return 0, true
}

// versionNumbers is a version's numbers and the points between them.
func versionNumbers(s string) (string, bool) {
	if s != "" && s[0]|32 == 'v' {
		s = s[1:]
	}
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	point := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			point = false
		case c == '.' && !point:
			point = true
		default:
			return "", false
		}
	}
	return s, !point
}

func init() {
	define("semver_compare", tInt4, types(tText, tText), map2(func(_ *Context, a, b string) (int64, error) {
		c, ok := compareVersions(a, b)
		if !ok {
			return 0, errNull
		}
		return int64(c), nil
	}))
}
