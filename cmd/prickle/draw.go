package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// funnelColumns are those of a funnel's answer; its breakdowns stand before them.
var funnelColumns = []string{"step", "name", "count", "dropped", "conversion", "conversion_step", "median_time", "average_time"}

// funnelBar is how wide the bar of all persons is.
const funnelBar = 20

// drawFunnel draws an answer with the columns of a funnel. It returns false for any other.
func drawFunnel(w io.Writer, names []string, rows [][]string, nulls [][]bool, width int) bool {
	at := len(names) - len(funnelColumns)
	if at < 0 || !slices.Equal(names[at:], funnelColumns) || len(rows) == 0 {
		return false
	}
	none := "–"
	widths := make([]int, at)
	for i := range widths {
		widths[i] = columns(names[i])
		for _, row := range rows {
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	event, persons, step := columns("event"), columns("persons"), columns("step")
	count := make([]string, len(rows))
	for i, row := range rows {
		n, err := strconv.ParseInt(row[at+2], 10, 64)
		if err != nil {
			return false
		}
		count[i] = grouped(n)
		event, persons = max(event, columns(row[at+1])), max(persons, columns(count[i]))
	}
	left := func(s string, n int) string { return s + strings.Repeat(" ", max(0, n-columns(s))) }
	right := func(s string, n int) string { return strings.Repeat(" ", max(0, n-columns(s))) + s }
	head := "  "
	for i, n := range widths {
		head += left(names[i], n) + "   "
	}
	head += left("step", step) + "  " + left("event", event) + "  " + right("persons", persons) + "   of first   of previous   median time"
	fmt.Fprintln(w, fit(head, width))
	for i, row := range rows {
		line := "  "
		for j, n := range widths {
			line += left(row[j], n) + "   "
		}
		first, previous, median := none, none, none
		share := 0.0
		if f, err := strconv.ParseFloat(row[at+4], 64); err == nil && !nulls[i][at+4] {
			share, first = f, percent(f)
		}
		if row[at] != "1" {
			if f, err := strconv.ParseFloat(row[at+5], 64); err == nil && !nulls[i][at+5] {
				previous = percent(f)
			}
			if d, ok := parseInterval(row[at+6]); ok && !nulls[i][at+6] {
				median = span(d)
			}
		}
		line += left(row[at], step) + "  " + left(row[at+1], event) + "  " + right(count[i], persons) +
			"   " + right(first, 8) + "   " + right(previous, 12) + "   " + right(median, 11)
		full := int(math.Round(share * funnelBar))
		if full == 0 && share > 0 {
			full = 1
		}
		line = strings.TrimRight(line+"   "+strings.Repeat("█", min(full, funnelBar)), " ")
		fmt.Fprintln(w, fit(line, width))
	}
	return true
}

func percent(f float64) string { return strconv.FormatFloat(f*100, 'f', 1, 64) + " %" }

// parseInterval reads an interval as PostgreSQL prints it: 1 mon 6 days 02:00:00.
func parseInterval(s string) (time.Duration, bool) {
	var total time.Duration
	fields := strings.Fields(s)
	for i := 0; i < len(fields); i++ {
		if strings.Contains(fields[i], ":") {
			text := fields[i]
			negative := strings.HasPrefix(text, "-")
			parts := strings.Split(strings.TrimLeft(text, "+-"), ":")
			if len(parts) != 3 {
				return 0, false
			}
			h, err1 := strconv.Atoi(parts[0])
			m, err2 := strconv.Atoi(parts[1])
			sec, err3 := strconv.ParseFloat(parts[2], 64)
			if err1 != nil || err2 != nil || err3 != nil {
				return 0, false
			}
			d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec*float64(time.Second))
			if negative {
				d = -d
			}
			total += d
			continue
		}
		n, err := strconv.Atoi(fields[i])
		if err != nil || i+1 == len(fields) {
			return 0, false
		}
		i++
		day := 24 * time.Hour
		switch strings.TrimSuffix(fields[i], "s") {
		case "day":
			total += time.Duration(n) * day
		case "mon":
			total += time.Duration(n) * 30 * day
		case "year":
			total += time.Duration(n) * 365 * day
		default:
			return 0, false
		}
	}
	return total, len(fields) > 0
}
