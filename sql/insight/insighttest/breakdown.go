package insighttest

import (
	"math"
	"strings"
)

const (
	nullLabel  = "$$_posthog_breakdown_null_$$"
	otherLabel = "$$_posthog_breakdown_other_$$"
)

// breakdown is one column of a breakdown.
type breakdown struct {
	source
	normalize bool
	bins      int
}

// breakdownsOf are the columns of a query's breakdown, none if it has none or goes by cohorts,
// and whether they were given as a list.
func breakdownsOf(query object) (columns []breakdown, multiple bool) {
	f := query["breakdownFilter"]
	for _, b := range listOf(f, "breakdowns") {
		columns = append(columns, breakdown{
			source{textOf(b, "type"), columnKey(textOf(b, "property")), intOf(b, 0, "group_type_index")},
			isTrue(b, "normalize_url"), intOf(b, 0, "histogram_bin_count")})
	}
	if len(columns) > 0 {
		return columns, true
	}
	kind := textOf(f, "breakdown_type")
	if kind == "cohort" || get(f, "breakdown") == nil {
		return nil, false
	}
	name, _ := asText(get(f, "breakdown"))
	return []breakdown{{source{kind, columnKey(name), intOf(f, 0, "breakdown_group_type_index")},
		isTrue(f, "breakdown_normalize_url"), intOf(f, 0, "breakdown_histogram_bin_count")}}, false
}

// columnKey drops the alias an expression may end with.
func columnKey(s string) string {
	before, _, _ := strings.Cut(s, " AS ")
	return before
}

// column is the text of a breakdown column for an event, the null label if it has none.
func (m *model) column(b breakdown, e *event) string {
	v := m.valueOf(b.source, e)
	if b.bins > 0 { // bins are of numbers
		f, ok := asNumber(v)
		if !ok {
			return nullLabel
		}
		v = f
	}
	s, ok := m.plain(v)
	if ok && b.normalize && s != "" {
		s = trimURL(s, "/?#")
	}
	if !ok || s == "" {
		return nullLabel
	}
	return s
}

func trimURL(s, cut string) string {
	if s = strings.TrimRight(s, cut); s == "" {
		return "/"
	}
	return s
}

// tuple is the values of all columns, joined for use as a key of maps.
const between = "\x00"

func (m *model) tuple(columns []breakdown, e *event) string {
	parts := make([]string, len(columns))
	for i, b := range columns {
		parts[i] = m.column(b, e)
	}
	return strings.Join(parts, between)
}

// isNull says whether an element of the tuple is the null label.
func isNull(tuple string) bool {
	for _, p := range strings.Split(tuple, between) {
		if p == nullLabel {
			return true
		}
	}
	return false
}

func isOther(tuple string) bool { return strings.HasPrefix(tuple, otherLabel) }

func otherOf(tuple string) string {
	parts := strings.Split(tuple, between)
	for i := range parts {
		parts[i] = otherLabel
	}
	return strings.Join(parts, between)
}

// binned replaces the numbers of binned columns by their bins. values are all tuples there are.
func binned(columns []breakdown, values []string) map[string]string {
	out := map[string]string{}
	split := map[string][]string{}
	for _, v := range values {
		split[v] = strings.Split(v, between)
	}
	for i, c := range columns {
		if c.bins <= 0 {
			continue
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, v := range values {
			if f, ok := asNumber(split[v][i]); ok {
				lo, hi = min(lo, f), max(hi, f)
			}
		}
		d := (hi - lo) / float64(c.bins)
		for _, v := range values {
			label := nullLabel
			if f, ok := asNumber(split[v][i]); ok {
				for x := c.bins - 1; x >= 0; x-- {
					a, b := d*float64(x)+lo, d*float64(x+1)+lo
					if x == c.bins-1 {
						b += 0.01
					}
					if a <= f && f < b {
						label = "[" + numberText(a) + "," + numberText(b) + "]"
					}
				}
			}
			split[v][i] = label
		}
	}
	for v, parts := range split {
		out[v] = strings.Join(parts, between)
	}
	return out
}
