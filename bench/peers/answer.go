package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// answer is the rows of a form in words that do not depend on who gave them.
type answer [][]string

// instant is a day, or a time of day with what databases put behind it.
var instant = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)([ T]\d\d:\d\d:\d\d)?(\.\d+)?(\+00)?(:00)?$`)

// normalise takes the columns that are to be compared, and drops what only differs in form:
// midnights, zones that are UTC, zeros behind the point, blanks that fill up a char(n).
func normalise(rows [][]string, compare []int) answer {
	out := make(answer, len(rows))
	for i, r := range rows {
		if compare != nil {
			some := make([]string, 0, len(compare))
			for _, c := range compare {
				some = append(some, r[c])
			}
			r = some
		}
		out[i] = make([]string, len(r))
		for k, v := range r {
			out[i][k] = normal(v)
		}
	}
	return out
}

func normal(v string) string {
	v = strings.TrimRight(v, " ")
	switch v {
	case "t":
		return "true"
	case "f":
		return "false"
	}
	m := instant.FindStringSubmatch(v)
	if m == nil {
		return v
	}
	clock, fraction := m[2], strings.TrimRight(m[3], "0")
	if fraction == "." {
		fraction = ""
	}
	if fraction == "" && (clock == "" || clock[1:] == "00:00:00") {
		return m[1]
	}
	return m[1] + " " + clock[1:] + fraction
}

// near is by how much sums of floating point may differ that were added up in another order.
const near = 1e-9

// same reports whether two values are one, written in different ways.
func same(a, b string) bool {
	if a == b {
		return true
	}
	if _, err := strconv.ParseInt(a, 10, 64); err == nil {
		if _, err := strconv.ParseInt(b, 10, 64); err == nil {
			return false // whole numbers have one form
		}
	}
	x, err := strconv.ParseFloat(a, 64)
	if err != nil {
		return false
	}
	y, err := strconv.ParseFloat(b, 64)
	if err != nil {
		return false
	}
	return math.Abs(x-y) <= near*max(math.Abs(x), math.Abs(y))
}

// differs says in what b differs from a, or nothing if it does not. Whose answers they are is
// told for the message.
func (a answer) differs(b answer, whoseA, whoseB string) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a), i >= len(b):
			return fmt.Sprintf("%s gives %d rows, %s %d", whoseA, len(a), whoseB, len(b))
		case len(a[i]) != len(b[i]):
			return fmt.Sprintf("%s gives %d columns, %s %d", whoseA, len(a[i]), whoseB, len(b[i]))
		}
		for k := range a[i] {
			if !same(a[i][k], b[i][k]) {
				return fmt.Sprintf("row %d of %s is %q, of %s %q", i+1, whoseA, strings.Join(a[i], " | "), whoseB, strings.Join(b[i], " | "))
			}
		}
	}
	return ""
}
