package elements

import (
	"slices"
	"strconv"
	"strings"
)

// Parse reads a chain. Every text is one: what cannot be an attribute is passed over, and
// elements beyond Max are. The elements share memory with the text.
func Parse(chain string) []Element {
	var out []Element
	for len(chain) > 0 && len(out) < Max {
		end := endOfElement(chain)
		out = append(out, parseElement(chain[:end]))
		chain = chain[min(end+1, len(chain)):]
	}
	return out
}

// endOfElement is the position of the semicolon that ends the first element.
func endOfElement(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		case ';':
			if !quoted {
				return i
			}
		}
	}
	return len(s)
}

func parseElement(s string) Element {
	head, attributes := splitHead(s)
	var e Element
	tag, classes, _ := strings.Cut(head, ".")
	e.TagName = tag
	for class := range strings.SplitSeq(classes, ".") {
		if class != "" {
			e.Classes = append(e.Classes, class)
		}
	}
	slices.Sort(e.Classes)
	e.Classes = slices.Compact(e.Classes)
	for {
		name, value, rest, ok := nextAttribute(attributes)
		if !ok {
			break
		}
		attributes = rest
		e.take(name, value)
	}
	slices.SortStableFunc(e.Attributes, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	e.Attributes = slices.CompactFunc(e.Attributes, func(a, b Attribute) bool { return a.Name == b.Name })
	return e
}

func (e *Element) take(name, value string) {
	switch name {
	case nameText:
		e.Text = value
	case nameHref:
		e.Href = value
	case nameID:
		e.AttrID = value
	case nameNthChild:
		e.NthChild = position(value)
	case nameNthOfType:
		e.NthOfType = position(value)
	default:
		e.Attributes = append(e.Attributes, Attribute{name, value})
	}
}

func position(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// splitHead cuts tag and classes from the attributes. Classes and names may have colons: the
// one that counts is the first with the name of a usual attribute behind it, or the last
// with any.
func splitHead(s string) (head, attributes string) {
	last := -1
	for i := 0; i < len(s) && s[i] != '"'; i++ {
		if s[i] != ':' {
			continue
		}
		name, _, _, ok := nextAttribute(s[i+1:])
		if ok && isUsual(name) {
			return s[:i], s[i+1:]
		}
		if ok {
			last = i
		}
	}
	if last >= 0 {
		return s[:last], s[last+1:]
	}
	head, _, _ = strings.Cut(s, `"`)
	return strings.TrimSuffix(head, ":"), ""
}

func isUsual(name string) bool {
	switch name {
	case nameText, nameHref, nameID, nameNthChild, nameNthOfType:
		return true
	}
	return strings.HasPrefix(name, "attr__")
}

// nextAttribute takes name="value" off the beginning.
func nextAttribute(s string) (name, value, rest string, ok bool) {
	n := 0
	for n < len(s) && isNameByte(s[n]) {
		n++
	}
	if n == 0 || !strings.HasPrefix(s[n:], `="`) {
		return "", "", "", false
	}
	name, s = s[:n], s[n+2:]
	escaped := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			if value = s[:i]; escaped {
				value = unescape(value)
			}
			return name, value, s[i+1:], true
		}
	}
	return "", "", "", false
}

// unescape takes the backslash from quotes and backslashes. Before anything else it stands
// for itself: other programs escape only quotes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
