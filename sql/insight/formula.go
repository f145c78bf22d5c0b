package insight

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// formula is arithmetic over the series of a query.
type formula struct {
	text string
	name *string
	root formulaNode
	// letters are the series that it names, from 0.
	letters []int
}

// formulaNode is a number, a series, or an operation.
type formulaNode struct {
	op     byte // 0: a number; 'x': a series; '+', '-', '*', '/', '%', '^', and '~' for a sign
	value  float64
	letter int
	args   []formulaNode
}

// maxFormulaDepth bounds parentheses.
const maxFormulaDepth = 200

// formulas are the formulas of a query, in their order.
func (t *trendsQuery) formulas() ([]formula, error) {
	var out []formula
	add := func(src string, name *string, attr string) error {
		f, err := readFormula(src, len(t.list), attr)
		if err == nil {
			f.name = name
			out = append(out, *f)
		}
		return err
	}
	f := &t.q.Trends
	switch {
	case len(f.Nodes) > 0:
		for _, n := range f.Nodes {
			if err := add(n.Formula, n.CustomName, "trendsFilter.formulaNodes"); err != nil {
				return nil, err
			}
		}
	case len(f.Formulas) > 0:
		for _, src := range f.Formulas {
			if err := add(src, nil, "trendsFilter.formulas"); err != nil {
				return nil, err
			}
		}
	case f.Formula != "":
		if err := add(f.Formula, nil, "trendsFilter.formula"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type formulaParser struct {
	src    string
	at     int
	depth  int
	series int
	f      *formula
	attr   string
	err    error
}

func readFormula(src string, series int, attr string) (*formula, error) {
	p := &formulaParser{src: src, series: series, f: &formula{text: src}, attr: attr}
	p.f.root = p.sum()
	if p.skip(); p.err == nil && p.at < len(p.src) {
		p.fail("there is an unexpected %q at position %d", p.src[p.at:p.at+1], p.at+1)
	}
	return p.f, p.err
}

func (p *formulaParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = refuse(p.attr, "the formula "+strconv.Quote(p.src)+" is not valid: "+format, args...)
		p.at = len(p.src)
	}
}

func (p *formulaParser) skip() {
	for p.at < len(p.src) && (p.src[p.at] == ' ' || p.src[p.at] == '\t') {
		p.at++
	}
}

func (p *formulaParser) peek() byte {
	p.skip()
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

func (p *formulaParser) sum() formulaNode {
	left := p.product()
	for op := p.peek(); op == '+' || op == '-'; op = p.peek() {
		p.at++
		left = formulaNode{op: op, args: []formulaNode{left, p.product()}}
	}
	return left
}

func (p *formulaParser) product() formulaNode {
	left := p.sign()
	for op := p.peek(); (op == '*' || op == '/' || op == '%') && !p.power(); op = p.peek() {
		p.at++
		left = formulaNode{op: op, args: []formulaNode{left, p.sign()}}
	}
	return left
}

func (p *formulaParser) power() bool { return strings.HasPrefix(p.src[p.at:], "**") }

// sign is a factor with signs; a power binds more tightly than a sign before it.
func (p *formulaParser) sign() formulaNode {
	switch p.peek() {
	case '+':
		p.at++
		return p.nested(p.sign)
	case '-':
		p.at++
		return formulaNode{op: '~', args: []formulaNode{p.nested(p.sign)}}
	}
	base := p.atom()
	if p.peek(); p.err == nil && p.at < len(p.src) && p.power() {
		p.at += 2
		return formulaNode{op: '^', args: []formulaNode{base, p.nested(p.sign)}}
	}
	return base
}

func (p *formulaParser) nested(f func() formulaNode) formulaNode {
	if p.depth++; p.depth > maxFormulaDepth {
		p.fail("it is nested too deeply")
		return formulaNode{}
	}
	defer func() { p.depth-- }()
	return f()
}

func (p *formulaParser) atom() formulaNode {
	ch := p.peek()
	switch {
	case ch == '(':
		p.at++
		n := p.nested(p.sum)
		if p.peek() != ')' {
			p.fail("a parenthesis is not closed")
			return n
		}
		p.at++
		return n
	case ch >= '0' && ch <= '9' || ch == '.':
		from := p.at
		for p.at < len(p.src) && (p.src[p.at] >= '0' && p.src[p.at] <= '9' || p.src[p.at] == '.') {
			p.at++
		}
		v, err := strconv.ParseFloat(p.src[from:p.at], 64)
		if err != nil {
			p.fail("%q is not a number", p.src[from:p.at])
		}
		return formulaNode{value: v}
	case unicode.IsLetter(rune(ch)) && ch < 0x80:
		from := p.at
		for p.at < len(p.src) && (p.src[p.at]|32 >= 'a' && p.src[p.at]|32 <= 'z' || p.src[p.at] == '_' || p.src[p.at] >= '0' && p.src[p.at] <= '9') {
			p.at++
		}
		word := p.src[from:p.at]
		letter := int(word[0] | 32 - 'a')
		if len(word) != 1 || letter >= p.series {
			p.fail("there is no series %s", word)
			return formulaNode{}
		}
		if !slices.Contains(p.f.letters, letter) {
			p.f.letters = append(p.f.letters, letter)
		}
		return formulaNode{op: 'x', letter: letter}
	case ch == 0:
		p.fail("it ends too early")
	default:
		p.fail("there is an unexpected %q at position %d", string(ch), p.at+1)
	}
	return formulaNode{}
}

// eval is the value for one point of each series. Division by zero is zero.
func (n *formulaNode) eval(point func(letter int) float64) float64 {
	switch n.op {
	case 0:
		return n.value
	case 'x':
		return point(n.letter)
	case '~':
		return -n.args[0].eval(point)
	}
	a, b := n.args[0].eval(point), n.args[1].eval(point)
	switch n.op {
	case '+':
		return a + b
	case '-':
		return a - b
	case '*':
		return a * b
	case '^':
		return finite(math.Pow(a, b))
	}
	if b == 0 {
		return 0
	}
	if n.op == '/' {
		return a / b
	}
	r := math.Mod(a, b) // of the sign of the divisor
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

// finite is what can be written as JSON.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// formulaInput are the series of one breakdown value, by letter.
type formulaInput struct {
	first  *lineSeries
	series map[int]*lineSeries
}

// formulaResults is a formula over the series of one period.
func (t *trendsQuery) formulaResults(f *formula, order int, list []*lineSeries) []map[string]any {
	inputs := t.formulaInputs(list)
	if t.by == nil {
		for _, l := range f.letters {
			if inputs[0].series[l] == nil {
				return nil // a series has gone with its action
			}
		}
	}
	type scored struct {
		out   *lineSeries
		count float64
	}
	var all []scored
	for _, in := range inputs {
		if in.first == nil {
			continue
		}
		n := len(in.first.data)
		out := *in.first
		out.order = order
		out.data = make([]float64, n)
		for i := range n {
			out.data[i] = finite(f.root.eval(func(letter int) float64 {
				if s := in.series[letter]; s != nil && i < len(s.data) {
					return s.data[i]
				}
				return 0
			}))
		}
		s := scored{out: &out}
		if !t.total {
			s.count = out.sum()
		}
		all = append(all, s)
	}
	if t.by != nil && !(t.by.isCohort && t.by.expanded()) {
		slices.SortStableFunc(all, func(a, b scored) int {
			if t.previous != nil {
				return cmp.Or(cmp.Compare(b.count, a.count), naturalCompare(t.valueKey(a.out), t.valueKey(b.out)))
			}
			return cmp.Or(cmp.Compare(t.valueRank(a.out), t.valueRank(b.out)), cmp.Compare(b.out.sum(), a.out.sum()),
				cmp.Compare(b.count, a.count), slices.Compare(b.out.data, a.out.data), strings.Compare(t.valueKey(b.out), t.valueKey(a.out)))
		})
	}
	var out []map[string]any
	for _, s := range all {
		if s.out.other && t.by.hide {
			continue
		}
		r := t.shape(s.out)
		r["label"], r["action"] = "Formula ("+f.text+")", nil
		if f.name != nil && *f.name != "" {
			r["label"] = *f.name
		}
		if t.by != nil {
			r["breakdown_value"] = t.breakdownJSON(s.out)
		}
		r["count"] = s.count
		if t.total {
			r["aggregated_value"], r["data"] = s.out.data[0], nil
		}
		out = append(out, r)
	}
	return out
}

// formulaInputs puts the series of one breakdown value together.
func (t *trendsQuery) formulaInputs(list []*lineSeries) []*formulaInput {
	if t.by == nil {
		in := &formulaInput{series: map[int]*lineSeries{}}
		for _, s := range list {
			in.series[s.order] = s
			if in.first == nil {
				in.first = s
			}
		}
		return []*formulaInput{in}
	}
	var out []*formulaInput
	at := map[string]*formulaInput{}
	for _, s := range list {
		key := t.valueKey(s)
		in := at[key]
		if in == nil {
			in = &formulaInput{first: s, series: map[int]*lineSeries{}}
			at[key] = in
			out = append(out, in)
		}
		in.series[s.order] = s
	}
	return out
}

// valueKey tells breakdown values apart, and orders them, lists one element after the other.
func (t *trendsQuery) valueKey(s *lineSeries) string {
	if s.cohort != nil {
		if s.cohort.all {
			return "all"
		}
		return strconv.FormatInt(s.cohort.id, 10)
	}
	return strings.Join(t.shown(s), "\x00")
}

// valueRank puts no value behind values, and the rest behind both. Lists of values all
// rank alike.
func (t *trendsQuery) valueRank(s *lineSeries) int {
	switch {
	case s.cohort != nil || t.by.multiple:
		return 0
	case s.other:
		return 2
	case s.values[0] == nil:
		return 1
	}
	return 0
}

// naturalCompare orders texts without regard to case, and numbers in them by value.
func naturalCompare(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if c := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); c != 0 {
				return c
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

// digits is how many digits a text begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
