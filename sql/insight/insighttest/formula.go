package insighttest

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// formula is one formula of a query.
type formula struct {
	text, name string
}

func formulasOf(query object) []formula {
	f := query["trendsFilter"]
	var out []formula
	for _, n := range listOf(f, "formulaNodes") {
		out = append(out, formula{textOf(n, "formula"), textOf(n, "custom_name")})
	}
	if out == nil {
		for _, n := range listOf(f, "formulas") {
			s, _ := n.(string)
			out = append(out, formula{text: s})
		}
	}
	if s := textOf(f, "formula"); out == nil && s != "" {
		out = append(out, formula{text: s})
	}
	return out
}

func checkFormulas(formulas []formula, series int) {
	zeros := make([]float64, series)
	for _, f := range formulas {
		calculate(f.text, zeros)
	}
}

// calculate is the value of a formula for one value of each series.
func calculate(text string, series []float64) float64 {
	c := &calculator{text: text, series: series}
	v := c.sum()
	c.space()
	if c.text != "" {
		refuse("the formula %q is not valid at %q", text, c.text)
	}
	return v
}

type calculator struct {
	text   string
	series []float64
}

func (c *calculator) space() { c.text = strings.TrimLeft(c.text, " \t\n") }

func (c *calculator) take(s string) bool {
	c.space()
	if !strings.HasPrefix(c.text, s) || s == "*" && strings.HasPrefix(c.text, "**") {
		return false
	}
	c.text = c.text[len(s):]
	return true
}

func (c *calculator) sum() float64 {
	v := c.product()
	for {
		switch {
		case c.take("+"):
			v += c.product()
		case c.take("-"):
			v -= c.product()
		default:
			return v
		}
	}
}

func (c *calculator) product() float64 {
	v := c.signed()
	for {
		switch {
		case c.take("*"):
			v *= c.signed()
		case c.take("/"):
			if by := c.signed(); by == 0 {
				v = 0
			} else {
				v /= by
			}
		case c.take("%"):
			if by := c.signed(); by == 0 {
				v = 0
			} else {
				v -= by * math.Floor(v/by)
			}
		default:
			return v
		}
	}
}

func (c *calculator) signed() float64 {
	switch {
	case c.take("-"):
		return -c.signed()
	case c.take("+"):
		return c.signed()
	}
	v := c.primary()
	if c.take("**") {
		v = math.Pow(v, c.signed())
	}
	return v
}

func (c *calculator) primary() float64 {
	c.space()
	if c.take("(") {
		v := c.sum()
		if !c.take(")") {
			refuse("a parenthesis of the formula is not closed")
		}
		return v
	}
	n := 0
	for n < len(c.text) && (c.text[n] >= '0' && c.text[n] <= '9' || c.text[n] == '.') {
		n++
	}
	if n > 0 {
		f, err := strconv.ParseFloat(c.text[:n], 64)
		if err != nil {
			refuse("%q is not a number", c.text[:n])
		}
		c.text = c.text[n:]
		return f
	}
	if c.text != "" && unicode.IsLetter(rune(c.text[0])) {
		i := int(unicode.ToUpper(rune(c.text[0])) - 'A')
		if i >= len(c.series) {
			refuse("there is no series %c", c.text[0])
		}
		c.text = c.text[1:]
		return c.series[i]
	}
	refuse("the formula is not valid at %q", c.text)
	return 0
}

// formulas replaces the results of a query by those of its formulas.
func (m *model) formulas(t *question, series []*expanded, results []*result, formulas []formula) []*result {
	nodes := len(nodesOf(t.query))
	var out []*result
	for i, f := range formulas {
		for _, previous := range []bool{false, true} {
			var period []*result
			for _, r := range results {
				if r.series.previous == previous {
					period = append(period, r)
				}
			}
			for n, node := range nodesOf(t.query) {
				if isAction(node) && m.actionOf(node) == nil {
					unsupported("a formula over the series %d, which vanished", n)
				}
			}
			out = append(out, formulaResults(t, f, i, nodes, period, series)...)
		}
	}
	return out
}

func formulaResults(t *question, f formula, order, nodes int, period []*result, series []*expanded) []*result {
	if len(period) == 0 {
		return nil
	}
	if !period[0].breakdown {
		return []*result{applied(t, f, order, nodes, period)}
	}
	byValue := map[string][]*result{}
	var values []string
	for _, r := range period {
		if byValue[r.tuple] == nil {
			values = append(values, r.tuple)
		}
		byValue[r.tuple] = append(byValue[r.tuple], r)
	}
	var out []*result
	for _, v := range values {
		out = append(out, applied(t, f, order, nodes, byValue[v]))
	}
	perCohort := slices.ContainsFunc(series, func(s *expanded) bool { return s.cohort == "all" })
	switch {
	case perCohort: // in the order of the request, as they are
	case isTrue(t.query, "compareFilter", "compare"):
		slices.SortStableFunc(out, func(a, b *result) int {
			if c := cmp.Compare(countOf(b), countOf(a)); c != 0 {
				return c
			}
			return natural(a.tuple, b.tuple)
		})
	default:
		rank := func(r *result) int {
			switch {
			case t.multiple:
				return 0
			case r.other:
				return 2
			case r.null:
				return 1
			}
			return 0
		}
		slices.SortStableFunc(out, func(a, b *result) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(sum(b.data), sum(a.data)),
				cmp.Compare(countOf(b), countOf(a)), slices.Compare(b.data, a.data), compareValues(b, a))
		})
	}
	return out
}

func compareValues(a, b *result) int {
	x, ok := a.value.(float64)
	y, fine := b.value.(float64)
	if ok && fine {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a.tuple, b.tuple)
}

func sum(v []float64) float64 { return curve{points: v}.total() }

func countOf(r *result) float64 {
	n, _ := r.object["count"].(float64)
	return n
}

// applied is the formula over the results of one breakdown value.
func applied(t *question, f formula, order, nodes int, inputs []*result) *result {
	r := *inputs[0]
	r.object = object{}
	for k, v := range inputs[0].object {
		r.object[k] = v
	}
	r.data = make([]float64, len(inputs[0].data))
	for i := range r.data {
		values := make([]float64, nodes)
		for _, in := range inputs {
			values[in.series.order] = in.data[i]
		}
		r.data[i] = calculate(f.text, values)
	}
	label := f.name
	if label == "" {
		label = "Formula (" + f.text + ")"
	}
	o := r.object
	o["label"], o["action"], o["order"] = label, nil, order
	if t.totals {
		o["data"], o["count"], o["aggregated_value"] = nil, 0.0, r.data[0]
	} else {
		o["data"], o["count"] = r.data, sum(r.data)
	}
	return &r
}

// natural compares texts ignoring case, and runs of digits in them as numbers.
func natural(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, _ := strconv.Atoi(a[:x])
			n, _ := strconv.Atoi(b[:y])
			if m != n {
				return cmp.Compare(m, n)
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
