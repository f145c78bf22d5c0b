package insighttest

import (
	"regexp"
	"strings"
)

// An expression is read and computed at once, from its words: the model knows literals, what an
// event has, comparisons, and, or, not, in, like, arithmetic, || and a few functions. Where a part
// is NULL that is nil.

var words = regexp.MustCompile(`\s*('(?:[^'])*'|\d+(?:\.\d+)?|[\w$]+(?:\.[\w$]+)*|==|!=|<=|>=|\|\||[-+*/()<>=,])`)

// calculation is an expression being computed for an event.
type calculation struct {
	m     *model
	e     *event
	words []string
}

// expression is the value of an expression for an event.
func (m *model) expression(text string, e *event) any {
	c := &calculation{m: m, e: e}
	text, _, _ = strings.Cut(text, " AS ") // names are ignored
	left := text
	for _, w := range words.FindAllStringSubmatch(text, -1) {
		c.words = append(c.words, w[1])
		left = strings.Replace(left, w[0], "", 1)
	}
	if strings.TrimSpace(left) != "" {
		unsupported("the expression %q", text)
	}
	v := c.or()
	if len(c.words) > 0 {
		unsupported("the expression %q at %q", text, c.words[0])
	}
	return v
}

// take takes the next word if it is one of some.
func (c *calculation) take(some ...string) string {
	for _, s := range some {
		if len(c.words) > 0 && strings.EqualFold(c.words[0], s) {
			c.words = c.words[1:]
			return s
		}
	}
	return ""
}

func isSo(v any) bool { b, _ := v.(bool); return b }

func (c *calculation) or() any {
	v := c.and()
	for c.take("or") != "" {
		w := c.and()
		v = isSo(v) || isSo(w)
	}
	return v
}

func (c *calculation) and() any {
	v := c.not()
	for c.take("and") != "" {
		w := c.not()
		v = isSo(v) && isSo(w)
	}
	return v
}

func (c *calculation) not() any {
	if c.take("not") == "" {
		return c.comparison()
	}
	b, ok := c.not().(bool)
	if !ok {
		return nil
	}
	return !b
}

func (c *calculation) comparison() any {
	v := c.sum()
	switch op := c.take("==", "=", "!=", "<=", ">=", "<", ">", "in", "like", "ilike"); op {
	case "":
		return v
	case "in":
		found := false
		for _, w := range c.list() {
			found = found || c.compare("exact", v, w)
		}
		return found
	case "like", "ilike":
		pattern, _ := c.sum().(string)
		text, ok := c.m.plain(v)
		expr := "^" + likePattern(pattern) + "$"
		if op == "ilike" {
			expr = "(?i)" + expr
		}
		return ok && search(expr, text)
	default:
		return c.compare(map[string]string{"==": "exact", "=": "exact", "!=": "is_not", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[op], v, c.sum())
	}
}

// compare is false of NULL, but NULL is unequal to everything.
func (c *calculation) compare(operator string, v, w any) bool {
	if v == nil || w == nil {
		return operator == "is_not"
	}
	kind := typeString
	if _, ok := v.(float64); ok {
		kind = typeNumeric
	}
	return c.m.compare(operator, v, w, kind)
}

func (c *calculation) sum() any {
	v := c.product()
	for {
		switch op := c.take("+", "-", "||"); op {
		case "":
			return v
		case "||":
			v = c.m.joined(v, c.product())
		default:
			v = arithmetic(op, v, c.product())
		}
	}
}

func (c *calculation) product() any {
	v := c.primary()
	for {
		op := c.take("*", "/")
		if op == "" {
			return v
		}
		v = arithmetic(op, v, c.primary())
	}
}

// arithmetic is NULL with NULL, and by zero.
func arithmetic(op string, v, w any) any {
	a, ok := v.(float64)
	b, fine := w.(float64)
	switch {
	case !ok || !fine || op == "/" && b == 0:
		return nil
	case op == "+":
		return a + b
	case op == "-":
		return a - b
	case op == "*":
		return a * b
	}
	return a / b
}

func (c *calculation) list() []any {
	if c.take("(") == "" {
		unsupported("the expression at %v", c.words)
	}
	var out []any
	for c.take(")") == "" {
		out = append(out, c.or())
		c.take(",")
	}
	return out
}

func (c *calculation) primary() any {
	if c.take("(") != "" {
		v := c.or()
		c.take(")")
		return v
	}
	if len(c.words) == 0 {
		unsupported("an expression that ends too early")
	}
	word := c.words[0]
	c.words = c.words[1:]
	if len(c.words) > 0 && c.words[0] == "(" {
		return c.m.function(strings.ToLower(word), c.list())
	}
	switch {
	case strings.HasPrefix(word, "'"):
		return strings.Trim(word, "'")
	case word == "true", word == "false":
		return word == "true"
	case word == "event":
		return c.e.name
	case word == "distinct_id":
		return c.e.distinctID
	case word == "person_id":
		return c.e.person.name()
	case word == "timestamp":
		return c.e.time
	}
	if n, ok := asNumber(word); ok {
		return n
	}
	parts := strings.Split(strings.TrimPrefix(word, "e."), ".")
	switch {
	case len(parts) == 2 && parts[0] == "properties":
		return c.m.valueOf(source{kind: "event", key: parts[1]}, c.e)
	case len(parts) == 2 && parts[0] == "session":
		return c.m.valueOf(source{kind: "session", key: parts[1]}, c.e)
	case len(parts) == 3 && parts[0] == "person" && parts[1] == "properties":
		return c.m.valueOf(source{kind: "person", key: parts[2]}, c.e)
	case len(parts) == 3 && strings.HasPrefix(parts[0], "group_") && parts[1] == "properties":
		return c.m.valueOf(source{kind: "group", key: parts[2], index: int(parts[0][6] - '0')}, c.e)
	}
	unsupported("the word %q of an expression", word)
	return nil
}

func (m *model) function(name string, args []any) any {
	text, ok := m.plain(args[0])
	switch name {
	case "concat":
		return m.joined(args...)
	case "if":
		if isSo(args[0]) {
			return args[1]
		}
		return args[2]
	case "ifnull":
		if args[0] == nil {
			return args[1]
		}
		return args[0]
	case "tofloat":
		if f, ok := asNumber(args[0]); ok {
			return f
		}
		return nil
	}
	switch {
	case !ok:
		return nil
	case name == "upper":
		return strings.ToUpper(text)
	case name == "lower":
		return strings.ToLower(text)
	case name == "tostring":
		return text
	}
	unsupported("the function %s", name)
	return nil
}

// joined is the texts one behind the other, NULL if one of them is.
func (m *model) joined(parts ...any) any {
	var out strings.Builder
	for _, p := range parts {
		s, ok := m.plain(p)
		if !ok {
			return nil
		}
		out.WriteString(s)
	}
	return out.String()
}
