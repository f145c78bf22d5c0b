package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// grouped writes a number with a comma every three digits.
func grouped[T int | int64 | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// amount writes a count in three digits where it is large: 12.6 M, 1.31 M, 2.4 G.
func amount(n float64) string {
	switch {
	case n >= 1e9:
		return three(n/1e9) + " G"
	case n >= 1e6:
		return three(n/1e6) + " M"
	case n >= 1000: // three digits count
		unit := math.Pow(10, math.Floor(math.Log10(n))-2)
		n = math.Round(n/unit) * unit
		if n >= 1e6 {
			return "1.00 M"
		}
		return grouped(int64(n))
	default:
		return strconv.FormatInt(int64(math.Round(n)), 10)
	}
}

func three(n float64) string {
	switch {
	case n < 9.995:
		return strconv.FormatFloat(n, 'f', 2, 64)
	case n < 99.95:
		return strconv.FormatFloat(n, 'f', 1, 64)
	default:
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
}

// size writes bytes: 61 MB, 5.1 MB, 873 MB, 6.2 GB.
func size(n float64) string {
	unit := "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if n < 999.5 {
			break
		}
		n /= 1000
		unit = next
	}
	if n < 9.95 && unit != "B" {
		return strconv.FormatFloat(n, 'f', 1, 64) + " " + unit
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " " + unit
}

// took writes how long something was: 41 ms, 1.9 s, 3m 41s.
func took(d time.Duration) string {
	switch {
	case d < 995*time.Microsecond:
		return fmt.Sprintf("%.2g ms", float64(d)/1e6)
	case d < 999500*time.Microsecond:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return strings.ReplaceAll(span(d), "  ", " ")
	}
}

// span writes a time between events in its two largest units: 3m 12s, 6d  2h.
func span(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm %2ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh %2dm", s/3600, s%3600/60)
	default:
		return fmt.Sprintf("%dd %2dh", s/86400, s%86400/3600)
	}
}

// left words an estimate.
func left(d time.Duration) string {
	s := d.Seconds()
	several := func(n float64, unit string, digits int) string {
		text := strconv.FormatFloat(n, 'f', digits, 64)
		if text != "1" {
			unit += "s"
		}
		return "~" + text + " " + unit + " left"
	}
	switch {
	case s < 1:
		return "<1 second left"
	case s < 90:
		return several(math.Round(s), "second", 0)
	case s < 90*60:
		return several(math.Round(s/60), "minute", 0)
	case s < 48*3600:
		return several(s/3600, "hour", 1)
	default:
		return several(s/86400, "day", 1)
	}
}

// plural writes a count and what is counted.
func plural[T int | int64 | uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
