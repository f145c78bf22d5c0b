package insighttest

import (
	"regexp"
	"strings"
)

// The expressions of the cases and of random queries are few; the model knows these forms:
// a property, a comparison of one with a literal, and what the cases join with "and", "||",
// concat and upper.

var (
	propertyName = regexp.MustCompile(`^(?:e\.)?(person\.properties|group_(\d)\.properties|properties|session)\.(\$?\w+)$`)
	comparison   = regexp.MustCompile(`^(\S+) (==|=|!=|<=|>=|<|>) (\S+|'[^']*')$`)
	call         = regexp.MustCompile(`^(concat|upper|lower)\((.*)\)$`)
)

// expression is the value of an expression for an event.
func (m *model) expression(text string, e *event) any {
	text = strings.TrimSpace(text)
	if parts := strings.Split(text, " and "); len(parts) > 1 {
		for _, p := range parts {
			if b, _ := m.expression(p, e).(bool); !b {
				return false
			}
		}
		return true
	}
	if c := call.FindStringSubmatch(text); c != nil {
		args := strings.Split(c[2], ", ")
		if c[1] == "concat" {
			return m.joined(args, e)
		}
		s, ok := m.plain(m.expression(c[2], e))
		switch {
		case !ok:
			return nil
		case c[1] == "upper":
			return strings.ToUpper(s)
		default:
			return strings.ToLower(s)
		}
	}
	if parts := strings.Split(text, " || "); len(parts) > 1 {
		return m.joined(parts, e)
	}
	if c := comparison.FindStringSubmatch(text); c != nil {
		v := m.expression(c[1], e)
		if v == nil {
			return c[2] == "!="
		}
		operator := map[string]string{"==": "exact", "=": "exact", "!=": "is_not", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[c[2]]
		kind := typeString
		if _, ok := v.(float64); ok {
			kind = typeNumeric
		}
		return m.compare(operator, v, m.expression(c[3], e), kind)
	}
	if p := propertyName.FindStringSubmatch(text); p != nil {
		switch {
		case p[1] == "properties":
			return m.valueOf(source{kind: "event", key: p[3]}, e)
		case p[1] == "session":
			return m.valueOf(source{kind: "session", key: p[3]}, e)
		case p[2] != "":
			return m.valueOf(source{kind: "group", key: p[3], index: int(p[2][0] - '0')}, e)
		}
		return m.valueOf(source{kind: "person", key: p[3]}, e)
	}
	if strings.HasPrefix(text, "'") && strings.HasSuffix(text, "'") && len(text) > 1 {
		return text[1 : len(text)-1]
	}
	if n, ok := asNumber(text); ok {
		return n
	}
	switch text {
	case "event":
		return e.name
	case "distinct_id":
		return e.distinctID
	case "person_id":
		return e.person.name()
	}
	unsupported("the expression %q", text)
	return nil
}

func (m *model) joined(parts []string, e *event) any {
	var out strings.Builder
	for _, p := range parts {
		s, ok := m.plain(m.expression(p, e))
		if !ok {
			return nil
		}
		out.WriteString(s)
	}
	return out.String()
}
