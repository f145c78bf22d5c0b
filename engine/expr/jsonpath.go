package expr

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// A jsonPathQuery is a path of SQL/JSON: lax $.items[*] ? (@.price > 10).name
type jsonPathQuery struct {
	strict bool
	root   *pathNode
}

// pathKind is what a node of a path does.
type pathKind uint8

const (
	pathRoot      pathKind = iota // $
	pathCurrent                   // @
	pathVar                       // $name
	pathLiteral                   // a number, a string, true, false, null
	pathMember                    // x.name
	pathMembers                   // x.*
	pathElements                  // x[*]
	pathSubscript                 // x[a, b to c]
	pathAnywhere                  // x.** with levels
	pathFilter                    // x ? (condition)
	pathMethod                    // x.name()
	pathUnary                     // -x
	pathBinary                    // x + y
	pathCompare                   // x == y, x starts with "y", x like_regex "y"
	pathAnd
	pathOr
	pathNot
	pathExists
	pathUnknown // (x) is unknown
)

// pathNode is one step or operator of a path.
type pathNode struct {
	kind   pathKind
	on     *pathNode // what a step is applied to, and the operand of unary operators
	left   *pathNode
	right  *pathNode
	op     string
	text   string
	json   []byte
	spans  [][2]*pathNode // subscripts; the second is nil for one place
	lo, hi int            // levels of .**; hi is -1 for all
	re     *regexp.Regexp
}

// maxPathDepth bounds how deep a path and a document may be nested in each other.
const maxPathDepth = 500

// pathParser reads a path.
type pathParser struct {
	s     string
	i     int
	depth int
	err   error
}

func parseJSONPath(s, _ string) (*jsonPathQuery, error) {
	p := &pathParser{s: s}
	q := &jsonPathQuery{}
	switch p.word() {
	case "strict":
		q.strict = true
	case "lax":
	default:
		p.i = 0
	}
	q.root = p.or()
	p.blanks()
	if p.err == nil && p.i < len(p.s) {
		p.fail()
	}
	return q, p.err
}

func (p *pathParser) fail() *pathNode {
	if p.err == nil {
		if p.i >= len(p.s) {
			p.err = pgerr.New(pgerr.SyntaxError, "syntax error at end of jsonpath input")
		} else {
			end := p.i
			for end < len(p.s) && isNameByte(p.s[end]) {
				end++
			}
			p.err = pgerr.New(pgerr.SyntaxError, "syntax error at or near \"%s\" of jsonpath input", p.s[p.i:max(end, p.i+1)])
		}
	}
	p.i = len(p.s)
	return &pathNode{kind: pathLiteral, json: []byte("null")}
}

func (p *pathParser) enter() bool {
	if p.depth++; p.depth > maxPathDepth && p.err == nil {
		p.err = pgerr.New(pgerr.StatementTooComplex, "the jsonpath is nested deeper than %d levels", maxPathDepth)
		p.i = len(p.s)
	}
	return p.err == nil
}

func (p *pathParser) blanks() {
	for p.i < len(p.s) {
		if strings.HasPrefix(p.s[p.i:], "/*") {
			if end := strings.Index(p.s[p.i+2:], "*/"); end >= 0 {
				p.i += end + 4
				continue
			}
		}
		if strings.IndexByte(" \t\n\r\f", p.s[p.i]) < 0 {
			return
		}
		p.i++
	}
}

// take reads one of some signs.
func (p *pathParser) take(signs ...string) string {
	p.blanks()
	for _, s := range signs {
		if strings.HasPrefix(p.s[p.i:], s) {
			p.i += len(s)
			return s
		}
	}
	return ""
}

func (p *pathParser) expect(sign string) {
	if p.take(sign) == "" {
		p.fail()
	}
}

// word reads a name without quotes, or nothing.
func (p *pathParser) word() string {
	p.blanks()
	start := p.i
	for p.i < len(p.s) {
		r, n := utf8.DecodeRuneInString(p.s[p.i:])
		if r != '_' && !unicode.IsLetter(r) && (p.i == start || !unicode.IsDigit(r) && r != '$') {
			break
		}
		p.i += n
	}
	return p.s[start:p.i]
}

// is reads a word if it is the next.
func (p *pathParser) is(word string) bool {
	at := p.i
	if p.word() == word {
		return true
	}
	p.i = at
	return false
}

// str reads a quoted text, as JSON.
func (p *pathParser) str() []byte {
	p.blanks()
	r := jsonReader{s: []byte(p.s[p.i:])}
	if p.i >= len(p.s) || p.s[p.i] != '"' {
		p.fail()
		return nil
	}
	out, ok := r.text(nil)
	if !ok {
		p.fail()
		return nil
	}
	p.i += r.i
	return out
}

func (p *pathParser) or() *pathNode {
	if !p.enter() {
		return p.fail()
	}
	defer func() { p.depth-- }()
	left := p.and()
	for p.take("||") != "" {
		left = &pathNode{kind: pathOr, left: left, right: p.and()}
	}
	return left
}

func (p *pathParser) and() *pathNode {
	left := p.not()
	for p.take("&&") != "" {
		left = &pathNode{kind: pathAnd, left: left, right: p.not()}
	}
	return left
}

func (p *pathParser) not() *pathNode {
	p.blanks()
	if strings.HasPrefix(p.s[p.i:], "!") && !strings.HasPrefix(p.s[p.i:], "!=") {
		p.i++
		if !p.enter() {
			return p.fail()
		}
		defer func() { p.depth-- }()
		return &pathNode{kind: pathNot, on: p.not()}
	}
	return p.comparison()
}

func (p *pathParser) comparison() *pathNode {
	left := p.sum()
	switch op := p.take("==", "!=", "<>", "<=", "<", ">=", ">"); op {
	case "":
	case "<>":
		return &pathNode{kind: pathCompare, op: "!=", left: left, right: p.sum()}
	default:
		return &pathNode{kind: pathCompare, op: op, left: left, right: p.sum()}
	}
	switch {
	case p.is("starts"):
		if !p.is("with") {
			return p.fail()
		}
		return &pathNode{kind: pathCompare, op: "starts", left: left, right: p.accessors()}
	case p.is("like_regex"):
		pattern := string(jsonText(nil, p.str()))
		flags := ""
		if p.is("flag") {
			flags = string(jsonText(nil, p.str()))
		}
		if p.err != nil {
			return p.fail()
		}
		if strings.Contains(flags, "q") {
			pattern, flags = regexp.QuoteMeta(pattern), strings.ReplaceAll(flags, "q", "")
		}
		re, err := compileRegexp(pattern, flags)
		if err != nil {
			p.err = err
			return p.fail()
		}
		return &pathNode{kind: pathCompare, op: "regex", left: left, re: re.Regexp}
	case p.is("is"):
		if !p.is("unknown") {
			return p.fail()
		}
		return &pathNode{kind: pathUnknown, on: left}
	}
	return left
}

func (p *pathParser) sum() *pathNode {
	left := p.product()
	for {
		op := p.take("+", "-")
		if op == "" {
			return left
		}
		left = &pathNode{kind: pathBinary, op: op, left: left, right: p.product()}
	}
}

func (p *pathParser) product() *pathNode {
	left := p.unary()
	for {
		op := p.take("*", "/", "%")
		if op == "" {
			return left
		}
		left = &pathNode{kind: pathBinary, op: op, left: left, right: p.unary()}
	}
}

func (p *pathParser) unary() *pathNode {
	if op := p.take("+", "-"); op != "" {
		if !p.enter() {
			return p.fail()
		}
		defer func() { p.depth-- }()
		return &pathNode{kind: pathUnary, op: op, on: p.unary()}
	}
	return p.accessors()
}

// accessors is a value and the steps behind it.
func (p *pathParser) accessors() *pathNode {
	n := p.primary()
	for p.err == nil {
		switch {
		case p.take(".**") != "":
			n = &pathNode{kind: pathAnywhere, on: n, hi: -1}
			if p.take("{") != "" {
				n.lo = p.level()
				n.hi = n.lo
				if p.is("to") {
					n.hi = p.level()
				}
				p.expect("}")
			}
		case p.take(".*") != "":
			n = &pathNode{kind: pathMembers, on: n}
		case p.take(".") != "":
			p.blanks()
			if p.i < len(p.s) && p.s[p.i] == '"' {
				n = &pathNode{kind: pathMember, on: n, text: string(jsonText(nil, p.str()))}
				continue
			}
			name := p.word()
			if name == "" {
				return p.fail()
			}
			if p.take("(") == "" {
				n = &pathNode{kind: pathMember, on: n, text: name}
				continue
			}
			method := &pathNode{kind: pathMethod, on: n, text: name}
			if p.blanks(); name == "datetime" && p.i < len(p.s) && p.s[p.i] == '"' {
				method.json = p.str()
			}
			p.expect(")")
			switch name {
			case "type", "size", "double", "ceiling", "floor", "abs", "datetime", "keyvalue":
				n = method
			default:
				p.err = pgerr.Unsupported("the jsonpath method " + name + "()")
			}
		case p.take("[") != "":
			if p.take("*") != "" {
				p.expect("]")
				n = &pathNode{kind: pathElements, on: n}
				continue
			}
			n = &pathNode{kind: pathSubscript, on: n}
			for {
				span := [2]*pathNode{p.or(), nil}
				if p.is("to") {
					span[1] = p.or()
				}
				n.spans = append(n.spans, span)
				if p.take(",") == "" {
					break
				}
			}
			p.expect("]")
		case p.take("?") != "":
			p.expect("(")
			n = &pathNode{kind: pathFilter, on: n, left: p.or()}
			p.expect(")")
		default:
			return n
		}
	}
	return p.fail()
}

// level is a number of .**{…}; last is -1.
func (p *pathParser) level() int {
	if p.is("last") {
		return -1
	}
	p.blanks()
	n, end := digitsAt(p.s, p.i, 9)
	if end == p.i {
		p.fail()
	}
	p.i = end
	return int(n)
}

func (p *pathParser) primary() *pathNode {
	p.blanks()
	if p.i >= len(p.s) {
		return p.fail()
	}
	switch c := p.s[p.i]; {
	case c == '(':
		p.i++
		n := p.or()
		p.expect(")")
		return n
	case c == '$':
		p.i++
		if p.i < len(p.s) && p.s[p.i] == '"' {
			return &pathNode{kind: pathVar, text: string(jsonText(nil, p.str()))}
		}
		at := p.i
		if name := p.word(); name != "" && p.s[at:at+1] != " " {
			return &pathNode{kind: pathVar, text: name}
		}
		p.i = at
		return &pathNode{kind: pathRoot}
	case c == '@':
		p.i++
		return &pathNode{kind: pathCurrent}
	case c == '"':
		return &pathNode{kind: pathLiteral, json: p.str()}
	case c >= '0' && c <= '9' || c == '.':
		end := p.i
		for end < len(p.s) && (isNameByte(p.s[end]) || p.s[end] == '.' && end+1 < len(p.s) && p.s[end+1] >= '0' && p.s[end+1] <= '9' ||
			(p.s[end] == '-' || p.s[end] == '+') && (p.s[end-1] == 'e' || p.s[end-1] == 'E')) {
			end++
		}
		d, err := parseNumeric(p.s[p.i:end])
		if err != nil {
			return p.fail()
		}
		p.i = end
		return &pathNode{kind: pathLiteral, json: []byte(d.String())}
	}
	at := p.i
	switch word := p.word(); word {
	case "true", "false", "null":
		return &pathNode{kind: pathLiteral, json: []byte(word)}
	case "last":
		return &pathNode{kind: pathVar, text: "\x00last"}
	case "exists":
		p.expect("(")
		n := &pathNode{kind: pathExists, on: p.or()}
		p.expect(")")
		return n
	}
	p.i = at
	return p.fail()
}

// truth is the value of a condition.
type truth uint8

const (
	truthFalse truth = iota
	truthTrue
	truthUnknown
)

func truthOf(b bool) truth {
	if b {
		return truthTrue
	}
	return truthFalse
}

// pathRun is a path being followed in a document.
type pathRun struct {
	q          *jsonPathQuery
	root, vars []byte
	last       int // of the array that a subscript is of
	depth      int
	// zone is that of the session if times with and without an offset may be compared, else nil; now is the time of the statement.
	zone *zone
	now  int64
	// hard is an error that is none of a path's own, and not unknown in a condition.
	hard error
	// documents are what objects may be in whose ids are asked for, and places where the objects of the first placed ones are.
	documents [][]byte
	places    map[*byte]int64
	placed    int
}

// query is the values that a path leads to.
func (r *pathRun) query() ([][]byte, error) {
	r.documents = [][]byte{r.root, r.vars}
	list, err := r.values(r.q.root, r.root, false)
	if r.hard != nil {
		return nil, r.hard
	}
	return trimTimes(list), err
}

// values follows a node from a current value. With unwrap, arrays among the results stand for
// their elements, unless the path is strict.
func (r *pathRun) values(n *pathNode, current []byte, unwrap bool) ([][]byte, error) {
	if r.depth++; r.depth > 4*maxPathDepth {
		return nil, pgerr.New(pgerr.StatementTooComplex, "the jsonpath is nested too deeply")
	}
	defer func() { r.depth-- }()
	out, err := r.steps(n, current)
	if err != nil || !unwrap || r.q.strict {
		return out, err
	}
	return unwrapped(out), nil
}

func unwrapped(list [][]byte) [][]byte {
	if !slices.ContainsFunc(list, func(v []byte) bool { return pathType(v) == "array" }) {
		return list
	}
	var out [][]byte
	for _, v := range list {
		if pathType(v) != "array" {
			out = append(out, v)
			continue
		}
		eachElement(v, func(e []byte) bool { out = append(out, e); return true })
	}
	return out
}

func (r *pathRun) steps(n *pathNode, current []byte) ([][]byte, error) {
	switch n.kind {
	case pathRoot:
		return [][]byte{r.root}, nil
	case pathCurrent:
		return [][]byte{current}, nil
	case pathLiteral:
		return [][]byte{n.json}, nil
	case pathVar:
		if n.text == "\x00last" {
			return [][]byte{strconv.AppendInt(nil, int64(r.last), 10)}, nil
		}
		if v := jsonField(r.vars, n.text); v != nil {
			return [][]byte{v}, nil
		}
		return nil, pgerr.New(pgerr.UndefinedObject, "could not find jsonpath variable \"%s\"", n.text)
	case pathUnary:
		list, err := r.values(n.on, current, true)
		if err != nil {
			return nil, err
		}
		out := make([][]byte, len(list))
		for i, v := range list {
			if pathType(v) != "number" {
				return nil, pgerr.New("2203B", "operand of unary jsonpath operator %s is not a numeric value", n.op)
			}
			d, err := parseNumeric(string(v))
			if err != nil {
				return nil, err
			}
			if n.op == "-" {
				d = d.Neg()
			}
			out[i] = []byte(d.String())
		}
		return out, nil
	case pathBinary:
		return r.arithmetic(n, current)
	case pathCompare, pathAnd, pathOr, pathNot, pathExists, pathUnknown:
		switch t, err := r.truth(n, current); {
		case err != nil:
			return nil, err
		case t == truthUnknown:
			return [][]byte{[]byte("null")}, nil
		default:
			return [][]byte{strconv.AppendBool(nil, t == truthTrue)}, nil
		}
	}
	on, err := r.values(n.on, current, false)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, v := range on {
		if out, err = r.step(n, v, out, true); err != nil {
			return nil, err
		}
		if len(out) > maxPathValues {
			return nil, pgerr.New(pgerr.ProgramLimitExceeded, "the jsonpath leads to more than %d values", maxPathValues)
		}
	}
	return out, nil
}

// maxPathValues is how many values a path may lead to: with every .** there are as many as the
// document has, for each of those before it.
const maxPathValues = 1 << 22

// step adds what one step leads to from a value.
func (r *pathRun) step(n *pathNode, v []byte, out [][]byte, unwrap bool) ([][]byte, error) {
	kind := pathType(v)
	// In lax mode a step that wants something else takes the elements of an array.
	each := func() ([][]byte, error) {
		var err error
		eachElement(v, func(e []byte) bool {
			out, err = r.step(n, e, out, false)
			return err == nil
		})
		return out, err
	}
	lax := !r.q.strict
	switch n.kind {
	case pathMember:
		switch {
		case kind == "object":
			if m := jsonField(v, n.text); m != nil {
				return append(out, m), nil
			}
			if lax {
				return out, nil
			}
			return nil, pgerr.New("2203A", "JSON object does not contain key \"%s\"", n.text)
		case kind == "array" && lax && unwrap:
			return each()
		case lax:
			return out, nil
		}
		return nil, pgerr.New("2203A", "jsonpath member accessor can only be applied to an object")
	case pathMembers:
		switch {
		case kind == "object":
			eachMember(v, func(_, m []byte) bool { out = append(out, m); return true })
			return out, nil
		case kind == "array" && lax && unwrap:
			return each()
		case lax:
			return out, nil
		}
		return nil, pgerr.New("2203C", "jsonpath wildcard member accessor can only be applied to an object")
	case pathElements:
		switch {
		case kind == "array":
			eachElement(v, func(e []byte) bool { out = append(out, e); return true })
			return out, nil
		case lax:
			return append(out, v), nil
		}
		return nil, pgerr.New("22039", "jsonpath wildcard array accessor can only be applied to an array")
	case pathSubscript:
		return r.subscript(n, v, out)
	case pathAnywhere:
		return r.anywhere(n, v, out, 0), nil
	case pathFilter:
		if kind == "array" && lax && unwrap {
			return each()
		}
		t, err := r.truth(n.left, v)
		if err != nil {
			return nil, err
		}
		if t == truthTrue {
			out = append(out, v)
		}
		return out, nil
	}
	return r.method(n, v, out, each, unwrap)
}

func (r *pathRun) method(n *pathNode, v []byte, out [][]byte, each func() ([][]byte, error), unwrap bool) ([][]byte, error) {
	kind := pathType(v)
	switch n.text {
	case "type":
		if isPathTime(v) {
			kind = pathTimes[v[1]].name
		}
		return append(out, event.AppendJSONString(nil, []byte(kind))), nil
	case "size":
		switch {
		case kind == "array":
			return append(out, strconv.AppendInt(nil, int64(jsonLength(v)), 10)), nil
		case !r.q.strict:
			return append(out, []byte("1")), nil
		}
		return nil, pgerr.New("22039", "jsonpath item method .size() can only be applied to an array")
	}
	if kind == "array" && !r.q.strict && unwrap {
		return each()
	}
	switch n.text {
	case "keyvalue":
		if kind != "object" {
			return nil, pgerr.New("2203C", "jsonpath item method .keyvalue() can only be applied to an object")
		}
		return r.keyValues(v, out), nil
	case "datetime":
		if kind != "string" {
			return nil, pgerr.New("22031", "jsonpath item method .datetime() can only be applied to a string")
		}
		m, err := readPathTime(string(jsonText(nil, v)), n)
		if err != nil {
			return nil, err
		}
		return append(out, m.value()), nil
	case "double":
		text := string(jsonText(nil, v))
		if kind != "number" && kind != "string" {
			return nil, pgerr.New("22036", "jsonpath item method .double() can only be applied to a string or numeric value")
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || x != x || x-x != 0 {
			return nil, pgerr.New("22036", "%s argument of jsonpath item method .double() is not a valid representation of a double precision number", kind)
		}
		if kind == "number" {
			return append(out, v), nil
		}
		d, err := vec.DecimalFromFloat(x, 15)
		if err != nil {
			return nil, decimalError(err)
		}
		return append(out, []byte(d.String())), nil
	}
	if kind != "number" {
		return nil, pgerr.New("22036", "jsonpath item method .%s() can only be applied to a numeric value", n.text)
	}
	d, err := parseNumeric(string(v))
	if err == nil {
		switch n.text {
		case "abs":
			d = d.Abs()
		case "floor":
			d, err = d.Floor()
		case "ceiling":
			d, err = d.Ceil()
		}
	}
	if err != nil {
		return nil, decimalError(err)
	}
	return append(out, []byte(d.String())), nil
}

func (r *pathRun) subscript(n *pathNode, v []byte, out [][]byte) ([][]byte, error) {
	list := [][]byte{v}
	if pathType(v) == "array" {
		list = list[:0]
		eachElement(v, func(e []byte) bool { list = append(list, e); return true })
	} else if r.q.strict {
		return nil, pgerr.New("22039", "jsonpath array accessor can only be applied to an array")
	}
	before := r.last
	r.last = len(list) - 1
	defer func() { r.last = before }()
	place := func(n *pathNode) (int, error) {
		at, err := r.values(n, v, false)
		if err != nil {
			return 0, err
		}
		if len(at) != 1 || pathType(at[0]) != "number" {
			return 0, pgerr.New("22033", "jsonpath array subscript is not a single numeric value")
		}
		d, err := parseNumeric(string(at[0]))
		if err == nil {
			d, err = d.Trunc(0)
		}
		i, ok := int64(0), err == nil
		if ok {
			i, ok = d.Int64()
		}
		if !ok || i > 1<<31-1 || i < -1<<31 {
			return 0, pgerr.New("22033", "jsonpath array subscript is out of integer range")
		}
		return int(i), nil
	}
	for _, span := range n.spans {
		lo, err := place(span[0])
		if err != nil {
			return nil, err
		}
		hi := lo
		if span[1] != nil {
			if hi, err = place(span[1]); err != nil {
				return nil, err
			}
		}
		if r.q.strict && (lo < 0 || lo > hi || hi >= len(list)) {
			return nil, pgerr.New("22033", "jsonpath array subscript is out of bounds")
		}
		for i := max(lo, 0); i <= min(hi, len(list)-1); i++ {
			out = append(out, list[i])
		}
	}
	return out, nil
}

// anywhere adds a value and all that is in it, as far as the levels say.
func (r *pathRun) anywhere(n *pathNode, v []byte, out [][]byte, level int) [][]byte {
	kind := pathType(v)
	leaf := kind != "object" && kind != "array"
	if level >= n.lo && n.lo >= 0 && (n.hi < 0 || level <= n.hi) || n.lo < 0 && leaf {
		out = append(out, v)
	}
	if leaf || n.hi >= 0 && level >= n.hi {
		return out
	}
	eachMember(v, func(_, m []byte) bool { out = r.anywhere(n, m, out, level+1); return true })
	eachElement(v, func(e []byte) bool { out = r.anywhere(n, e, out, level+1); return true })
	return out
}

func (r *pathRun) arithmetic(n *pathNode, current []byte) ([][]byte, error) {
	var x [2]vec.Decimal
	for i, side := range []*pathNode{n.left, n.right} {
		list, err := r.values(side, current, true)
		if err != nil {
			return nil, err
		}
		if len(list) != 1 || pathType(list[0]) != "number" {
			return nil, pgerr.New("22038", "%s operand of jsonpath operator %s is not a single numeric value", [...]string{"left", "right"}[i], n.op)
		}
		if x[i], err = parseNumeric(string(list[0])); err != nil {
			return nil, err
		}
	}
	var d vec.Decimal
	var err error
	switch n.op {
	case "+":
		d, err = x[0].Add(x[1])
	case "-":
		d, err = x[0].Sub(x[1])
	case "*":
		d, err = x[0].Mul(x[1])
	case "/":
		d, err = x[0].Quo(x[1])
	default:
		d, err = x[0].Rem(x[1])
	}
	if err != nil {
		return nil, decimalError(err)
	}
	return [][]byte{[]byte(d.String())}, nil
}

// truth is a condition for a value. What fails inside is unknown.
func (r *pathRun) truth(n *pathNode, current []byte) (truth, error) {
	if r.depth++; r.depth > 4*maxPathDepth {
		return truthUnknown, pgerr.New(pgerr.StatementTooComplex, "the jsonpath is nested too deeply")
	}
	defer func() { r.depth-- }()
	switch n.kind {
	case pathAnd, pathOr:
		decides := truthOf(n.kind == pathOr)
		a, err := r.truth(n.left, current)
		if err != nil || a == decides {
			return a, err
		}
		b, err := r.truth(n.right, current)
		if err != nil || b == decides || a != truthUnknown {
			return b, err
		}
		return a, nil
	case pathNot:
		t, err := r.truth(n.on, current)
		if err != nil || t == truthUnknown {
			return t, err
		}
		return truthOf(t == truthFalse), nil
	case pathUnknown:
		t, err := r.truth(n.on, current)
		return truthOf(t == truthUnknown), err
	case pathExists:
		list, err := r.values(n.on, current, false)
		if err != nil {
			return truthUnknown, nil
		}
		return truthOf(len(list) > 0), nil
	case pathCompare:
		return r.compare(n, current), nil
	}
	return truthUnknown, pgerr.New(pgerr.SyntaxError, "a jsonpath condition is no predicate")
}

// compare holds the values of both sides against each other: one pair suffices.
func (r *pathRun) compare(n *pathNode, current []byte) truth {
	left, err := r.values(n.left, current, true)
	if err != nil {
		return truthUnknown
	}
	right := [][]byte{nil}
	if n.re == nil {
		if right, err = r.values(n.right, current, n.op != "starts"); err != nil {
			return truthUnknown
		}
	}
	found, unknown := false, false
	for _, a := range left {
		for _, b := range right {
			switch r.comparePair(n, a, b) {
			case truthTrue:
				if !r.q.strict {
					return truthTrue
				}
				found = true
			case truthUnknown:
				if r.q.strict {
					return truthUnknown
				}
				unknown = true
			}
		}
	}
	switch {
	case found:
		return truthTrue
	case unknown:
		return truthUnknown
	}
	return truthFalse
}

func (r *pathRun) comparePair(n *pathNode, a, b []byte) truth {
	ta, tb := pathType(a), pathType(b)
	switch {
	case n.re != nil:
		if ta != "string" {
			return truthUnknown
		}
		return truthOf(n.re.Match(jsonText(nil, a)))
	case n.op == "starts":
		if ta != "string" || tb != "string" {
			return truthUnknown
		}
		return truthOf(strings.HasPrefix(string(jsonText(nil, a)), string(jsonText(nil, b))))
	case ta != tb && (ta == "null" || tb == "null"):
		return truthOf(n.op == "!=")
	case ta != tb || ta == "object" || ta == "array":
		return truthUnknown
	}
	c := 0
	switch ta {
	case "boolean":
		c = len(b) - len(a) // false is longer, and before true
	case "number":
		x, err1 := parseNumeric(string(a))
		y, err2 := parseNumeric(string(b))
		if err1 != nil || err2 != nil {
			return truthUnknown
		}
		c = x.Cmp(y)
	case "string":
		c = strings.Compare(string(jsonText(nil, a)), string(jsonText(nil, b)))
	case "datetime":
		ordered := false
		if c, ordered = r.compareTimes(momentOf(a), momentOf(b)); !ordered {
			return truthUnknown
		}
	}
	switch n.op {
	case "==":
		return truthOf(c == 0)
	case "!=":
		return truthOf(c != 0)
	case "<":
		return truthOf(c < 0)
	case "<=":
		return truthOf(c <= 0)
	case ">":
		return truthOf(c > 0)
	}
	return truthOf(c >= 0)
}

// match is the answer of jsonb_path_match: the one boolean that a path leads to, or NULL.
func matchJSONPath(list [][]byte) (value, null bool, err error) {
	if len(list) == 1 {
		switch string(list[0]) {
		case "true", "false":
			return list[0][0] == 't', false, nil
		case "null":
			return false, true, nil
		}
	}
	return false, true, pgerr.New("22038", "single boolean result is expected")
}

var jsonPaths memo[*jsonPathQuery]

// queryJSONPath runs a path on a row: arguments are the document, the path and, perhaps,
// variables and whether errors are no results, which silent says otherwise. It answers errNull
// for a silent error. A zone is that of times without an offset, nil if nothing may depend on it.
func queryJSONPath(f *frame, i int, silent bool, zone *zone) ([][]byte, error) {
	q, err := jsonPaths.get(textArg(f, 1, i, ""), "", parseJSONPath)
	if err != nil {
		return nil, err
	}
	vars := []byte("{}")
	if len(f.args) > 2 {
		if vars = f.argText(2, i); jsonType(vars) != "object" {
			return nil, pgerr.New(pgerr.InvalidParameterValue, "\"vars\" argument is not an object").
				WithDetail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.")
		}
	}
	r := &pathRun{q: q, root: f.argText(0, i), vars: vars, zone: zone, now: f.ctx.Moment()}
	list, err := r.query()
	if err != nil && r.hard == nil && f.argBool(3, i, silent) && pgerr.Code(err) != pgerr.UndefinedObject && pgerr.Code(err) != pgerr.StatementTooComplex {
		return nil, errNull
	}
	return list, err
}

func init() {
	full := types(tJSON, tText, tJSON, tBool)
	for n := 2; n <= len(full); n++ {
		for _, tz := range []string{"", "_tz"} {
			definePaths(full[:n], tz)
		}
	}
	define("@?", tBool, types(tJSON, tText), func(f *frame) error {
		return tryEach(f, func(i int) error {
			list, err := queryJSONPath(f, i, true, nil)
			f.out.Bools[i] = len(list) > 0
			return err
		})
	})
	define("@@", tBool, types(tJSON, tText), func(f *frame) error { return matchPath(f, true, nil) })
}

// definePaths adds the functions that follow a path, of which those in _tz compare times with the session's zone.
func definePaths(args []vec.Type, tz string) {
	zone := func(f *frame) *zone {
		if tz == "" {
			return nil
		}
		z := zoneOf(f.ctx)
		return &z
	}
	define("jsonb_path_exists"+tz, tBool, args, func(f *frame) error {
		z := zone(f)
		return tryEach(f, func(i int) error {
			list, err := queryJSONPath(f, i, false, z)
			f.out.Bools[i] = len(list) > 0
			return err
		})
	})
	define("jsonb_path_match"+tz, tBool, args, func(f *frame) error { return matchPath(f, false, zone(f)) })
	define("jsonb_path_query_array"+tz, tJSON, args, func(f *frame) error {
		z := zone(f)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			list, err := queryJSONPath(f, i, false, z)
			if err != nil && err != errNull {
				return dst, err
			}
			return appendJSONList(dst, list), nil
		})
	})
	define("jsonb_path_query_first"+tz, tJSON, args, func(f *frame) error {
		z := zone(f)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			list, err := queryJSONPath(f, i, false, z)
			if err == nil && len(list) == 0 {
				err = errNull
			}
			if err != nil {
				return dst, err
			}
			return append(dst, list[0]...), nil
		})
	})
}

func matchPath(f *frame, silent bool, zone *zone) error {
	return tryEach(f, func(i int) error {
		list, err := queryJSONPath(f, i, silent, zone)
		if err != nil {
			return err
		}
		value, null, err := matchJSONPath(list)
		switch {
		case err != nil && f.argBool(3, i, silent), err == nil && null:
			return errNull
		}
		f.out.Bools[i] = value
		return err
	})
}

// appendJSONList writes an array of values.
func appendJSONList(dst []byte, list [][]byte) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, v...)
	}
	return append(dst, ']')
}
