package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Printer collects what one node says of itself.
type Printer struct {
	Title   string
	Details []Detail
}

// Detail is one line below a node: "Filter: (a > 1)".
type Detail struct{ Label, Value string }

// Line sets the node's own line.
func (p *Printer) Line(format string, args ...any) { p.Title = fmt.Sprintf(format, args...) }

// Detail adds a line below the node's own.
func (p *Printer) Detail(label, format string, args ...any) {
	p.Details = append(p.Details, Detail{label, fmt.Sprintf(format, args...)})
}

// Description is a node and its inputs in words, which EXPLAIN prints as text or JSON.
type Description struct {
	Node    Node
	Title   string
	Details []Detail
	// Rows, Width and Cost are guesses, if Known: how many rows of how many bytes come out, and
	// what they cost in units of a hundred rows read.
	Rows, Width, Cost float64
	Known             bool
	Inputs            []*Description
}

// Deeper says whether a plan has more than so many levels.
func Deeper(n Node, levels int) bool {
	return levels == 0 || slices.ContainsFunc(n.Inputs(), func(in Node) bool { return Deeper(in, levels-1) })
}

// Describe puts a plan into words. Without statistics it has no costs.
func Describe(n Node, s Statistics) *Description {
	var p Printer
	n.Describe(&p)
	d := &Description{Node: n, Title: p.Title, Details: p.Details}
	for _, in := range n.Inputs() {
		d.Inputs = append(d.Inputs, Describe(in, s))
	}
	if s != nil {
		d.estimate(s)
	}
	return d
}

// estimate sets the guesses of a node whose inputs have theirs.
func (d *Description) estimate(s Statistics) {
	d.Known, d.Rows = true, max(1, s.Rows(d.Node))
	read := 0.0
	for _, in := range d.Inputs {
		d.Cost, read = d.Cost+in.Cost, read+in.Rows
	}
	switch n := d.Node.(type) {
	case *Scan, *Cohort:
		d.Cost += d.Rows * 0.01
	case *Filter, *Project:
		d.Cost += read * 0.0025
	case *Aggregate, *Distinct, *TopN:
		d.Cost += read * 0.01
	case *Sort, Native:
		d.Cost += read * 0.02
	case *Fetch:
		d.Cost += read * 0.1
	case *Join:
		left, right := d.Inputs[0].Rows, d.Inputs[1].Rows
		d.Cost += left*0.005 + right*0.01
		if len(n.LeftKeys) == 0 && !n.Kind.LeftOnly() {
			d.Cost += left * right * 0.0025
		}
	}
	for _, f := range d.Node.Schema() {
		if size := f.Type.Size(); size > 0 {
			d.Width += float64(size)
		} else {
			d.Width += 32
		}
	}
}

// TextOptions say what a printed plan holds.
type TextOptions struct {
	NoCosts, NoTiming bool
	// Actual gives what a node did, or nil. A nil Actual is a plan that has not run.
	Actual func(Node) *Actual
	// Elapsed is how long the statement took; 0 leaves it out.
	Elapsed time.Duration
}

// Actual is what a node did when the plan ran.
type Actual struct {
	Rows    int64
	Elapsed time.Duration // with the nodes below it, summed over goroutines
	Details []Detail
}

func (o *TextOptions) actual(n Node) *Actual {
	if o.Actual == nil {
		return nil
	}
	return o.Actual(n)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Explain is the plan as EXPLAIN prints it, one line an element.
func Explain(n Node) []string { return ExplainText(Describe(n, nil), TextOptions{}) }

// ExplainText is a description as text, one line an element.
func ExplainText(d *Description, o TextOptions) []string {
	out := appendText(nil, d, o, 0)
	if o.Elapsed > 0 {
		out = append(out, fmt.Sprintf("Execution Time: %.3f ms", milliseconds(o.Elapsed)))
	}
	return out
}

func appendText(out []string, d *Description, o TextOptions, depth int) []string {
	lead, below := "", "  "
	if depth > 0 {
		lead = strings.Repeat(" ", 2+6*(depth-1)) + "->  "
		below = strings.Repeat(" ", 2+6*depth)
	}
	line := lead + d.Title
	if d.Known && !o.NoCosts {
		line += fmt.Sprintf("  (cost=0.00..%.2f rows=%.0f width=%.0f)", d.Cost, d.Rows, d.Width)
	}
	var more []Detail
	if a := o.actual(d.Node); a != nil {
		more = a.Details
		if o.NoTiming {
			line += fmt.Sprintf(" (actual rows=%d loops=1)", a.Rows)
		} else {
			line += fmt.Sprintf(" (actual time=0.000..%.3f rows=%d loops=1)", milliseconds(a.Elapsed), a.Rows)
		}
	}
	out = append(out, line)
	for _, list := range [][]Detail{d.Details, more} {
		for _, x := range list {
			out = append(out, below+x.Label+": "+x.Value)
		}
	}
	for _, in := range d.Inputs {
		out = appendText(out, in, o, depth+1)
	}
	return out
}

func exprText(e expr.Expr) string {
	if e == nil {
		return "none"
	}
	return expr.String(e)
}

func exprTexts(list []expr.Expr) string {
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = exprText(e)
	}
	return strings.Join(words, ", ")
}

func sortText(keys []SortKey) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = exprText(k.Expr)
		if k.Desc {
			words[i] += " DESC"
		}
		// Only the unusual place of nulls is printed, as PostgreSQL does.
		if k.NullsFirst && !k.Desc {
			words[i] += " NULLS FIRST"
		} else if !k.NullsFirst && k.Desc {
			words[i] += " NULLS LAST"
		}
	}
	return strings.Join(words, ", ")
}

// String is the call as EXPLAIN prints it.
func (a *AggCall) String() string {
	var b strings.Builder
	b.WriteString(a.Name)
	b.WriteByte('(')
	if a.Distinct {
		b.WriteString("DISTINCT ")
	}
	if len(a.Args) == 0 {
		b.WriteByte('*')
	}
	b.WriteString(exprTexts(a.Args))
	if len(a.OrderBy) > 0 {
		b.WriteString(" ORDER BY " + sortText(a.OrderBy))
	}
	b.WriteByte(')')
	if a.Filter != nil {
		b.WriteString(" FILTER (WHERE " + exprText(a.Filter) + ")")
	}
	return b.String()
}

// Label is how EXPLAIN names the column.
func (c *ScanColumn) Label() string {
	if len(c.Path) == 0 {
		return c.Column
	}
	s := c.Column + "." + strings.Join(c.Path, ".")
	if c.Digits {
		s = c.Column + " ->> " + strings.Join(c.Path, " ->> ")
	}
	switch {
	case c.Type.Kind == vec.Text:
		return s
	case c.Digits:
		s = "(" + s + ")"
	}
	return s + "::" + c.Type.String()
}

// Describe implements Node.
func (n *Scan) Describe(p *Printer) {
	p.Line("Seq Scan on %s", n.Table.Name)
	describeColumns(p, n.Columns)
	if n.Events != nil {
		words := make([]string, len(n.Events))
		for i, e := range n.Events {
			words[i] = quoteText(e)
		}
		p.Detail("Events", "%s", strings.Join(words, ", "))
	}
	if n.From != nil || n.To != nil {
		from, to := "", ""
		if n.From != nil {
			from = exprText(n.From)
		}
		if n.To != nil {
			to = exprText(n.To)
		}
		p.Detail("Time", "[%s, %s)", from, to)
	}
	if w := n.Whose; w != nil {
		words := make([]string, min(len(w.Values), maxShownValues))
		for i := range words {
			words[i] = exprText(w.Values[i])
		}
		if len(words) < len(w.Values) {
			words = append(words, fmt.Sprintf("… (%d)", len(w.Values)))
		}
		p.Detail("Persons", "%s = %s", w.Column, strings.Join(words, ", "))
	}
	describeRanges(p, n.Ranges)
}

// maxShownValues is how many values of a list a plan shows.
const maxShownValues = 10

func describeColumns(p *Printer, columns []ScanColumn) {
	if len(columns) == 0 {
		return
	}
	words := make([]string, len(columns))
	for i := range columns {
		words[i] = columns[i].Label()
	}
	p.Detail("Columns", "%s", strings.Join(words, ", "))
}

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func describeRanges(p *Printer, list []Range) {
	for _, r := range list {
		switch {
		case r.Low != nil && r.High != nil:
			p.Detail("Zone", "%s = %s", r.Column, exprText(r.Low))
		case r.Low != nil:
			p.Detail("Zone", "%s >= %s", r.Column, exprText(r.Low))
		case r.High != nil:
			p.Detail("Zone", "%s <= %s", r.Column, exprText(r.High))
		}
	}
}

// Describe implements Node.
func (n *Filter) Describe(p *Printer) {
	p.Line("Filter")
	p.Detail("Filter", "%s", exprText(n.Cond))
}

// Describe implements Node.
func (n *Project) Describe(p *Printer) {
	p.Line("Project")
	p.Detail("Output", "%s", exprTexts(n.Exprs))
}

// Describe implements Node.
func (n *Aggregate) Describe(p *Printer) {
	if len(n.Keys) == 0 {
		p.Line("Aggregate")
	} else {
		p.Line("HashAggregate")
		p.Detail("Group Key", "%s", exprTexts(n.Keys))
	}
	if len(n.Aggs) > 0 {
		words := make([]string, len(n.Aggs))
		for i := range n.Aggs {
			words[i] = n.Aggs[i].String()
		}
		p.Detail("Aggregates", "%s", strings.Join(words, ", "))
	}
	if _, _, ok := n.Metadata(); ok {
		p.Detail("Metadata", "of blocks whose rows all count")
	}
}

// Describe implements Node.
func (n *Sort) Describe(p *Printer) {
	p.Line("Sort")
	p.Detail("Sort Key", "%s", sortText(n.Keys))
}

// Describe implements Node.
func (n *TopN) Describe(p *Printer) {
	p.Line("Top-N Sort")
	p.Detail("Sort Key", "%s", sortText(n.Keys))
	describeLimit(p, n.Limit, n.Offset)
}

// Describe implements Node.
func (n *Limit) Describe(p *Printer) {
	p.Line("Limit")
	describeLimit(p, n.Limit, n.Offset)
}

func describeLimit(p *Printer, limit, offset expr.Expr) {
	if limit != nil {
		p.Detail("Limit", "%s", exprText(limit))
	}
	if offset != nil {
		p.Detail("Offset", "%s", exprText(offset))
	}
}

// Describe implements Node.
func (n *Fetch) Describe(p *Printer) {
	p.Line("Fetch from %s", n.Table.Name)
	describeColumns(p, n.Columns)
}

// Describe implements Node.
func (n *Modify) Describe(p *Printer) { p.Line("%s on %s", n.What, n.Table) }

// Describe implements Node.
func (n *Distinct) Describe(p *Printer) {
	p.Line("Unique")
	if n.On > 0 {
		p.Detail("On", "the first %d columns", n.On)
	}
}

// Describe implements Node.
func (n *Values) Describe(p *Printer) {
	if len(n.Columns) == 0 {
		p.Line("Result")
		return
	}
	p.Line("Values Scan")
}

func (s *Source) describe(p *Printer) {
	p.Detail("Actor", "%s", exprText(s.Actor))
	p.Detail("Time", "%s", exprText(s.Time))
	if s.Where != nil {
		p.Detail("Where", "%s", exprText(s.Where))
	}
	if s.From != nil || s.To != nil {
		p.Detail("During", "%s, %s", exprText(s.From), exprText(s.To))
	}
	if s.Zone != "" {
		p.Detail("Time Zone", "%s", s.Zone)
	}
	if s.Sunday {
		p.Detail("Week Starts", "Sunday")
	}
	if s.Compatible {
		p.Detail("Compatible", "true")
	}
	if b := s.Breakdown; b != nil {
		words := make([]string, len(b.Exprs))
		for i, e := range b.Exprs {
			words[i] = exprText(e) + " AS " + b.Names[i]
			if b.Bins != nil && b.Bins[i] > 0 {
				words[i] += " BINS " + strconv.Itoa(b.Bins[i])
			}
		}
		text := strings.Join(words, ", ")
		switch b.Attribute {
		case AttributeFirst:
		case AttributeLast:
			text += " ATTRIBUTE LAST"
		case AttributeEach:
			text += " ATTRIBUTE EACH"
		case AttributeStep:
			text += " ATTRIBUTE STEP " + strconv.Itoa(b.Step+1)
		}
		if b.Top > 0 {
			text += " TOP " + strconv.Itoa(b.Top)
		}
		if b.WithOther {
			text += " WITH OTHER"
		}
		p.Detail("Breakdown", "%s", text)
	}
}

var outputNames = [...]string{"", "ACTORS", "TREND", "CURVE", "LONG", "TRANSITIONS"}

func describeOutput(p *Printer, o Output) {
	if o != OutputDefault {
		p.Detail("Output", "%s", outputNames[o])
	}
}

// IntervalText is an interval as EXPLAIN prints it.
func IntervalText(v vec.IntervalValue) string {
	var words []string
	unit := func(n int64, name string) {
		if n == 0 {
			return
		}
		if n != 1 {
			name += "s"
		}
		words = append(words, strconv.FormatInt(n, 10)+" "+name)
	}
	unit(int64(v.Months/12), "year")
	unit(int64(v.Months%12), "month")
	unit(int64(v.Days), "day")
	unit(v.Micros/3600e6, "hour")
	unit(v.Micros/60e6%60, "minute")
	if rest := v.Micros % 60e6; rest != 0 {
		words = append(words, strconv.FormatFloat(float64(rest)/1e6, 'f', -1, 64)+" seconds")
	}
	if len(words) == 0 {
		return "0"
	}
	return strings.Join(words, " ")
}
