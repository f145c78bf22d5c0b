package insighttest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filters says whether an event passes a list of filters or a group of them.
func (m *model) filters(f any, e *event) bool {
	switch f := f.(type) {
	case nil:
		return true
	case []any:
		for _, one := range f {
			if !m.filter(one, e) {
				return false
			}
		}
		return true
	default:
		return m.filter(f, e)
	}
}

func (m *model) filter(f any, e *event) bool {
	if kind := textOf(f, "type"); kind == "AND" || kind == "OR" {
		values := listOf(f, "values")
		if len(values) == 0 {
			return true
		}
		found := 0
		for _, v := range values {
			if m.filter(v, e) {
				found++
			}
		}
		return found == len(values) || kind == "OR" && found > 0
	}
	o, ok := f.(object)
	if !ok || len(o) == 0 {
		return true
	}
	return m.leaf(o, e)
}

func (m *model) leaf(f object, e *event) bool {
	kind, key := textOf(f, "type"), textOf(f, "key")
	operator := textOf(f, "operator")
	if operator == "" {
		operator = "exact"
	}
	switch kind {
	case "flag", "empty":
		return true
	case "hogql":
		b, _ := m.expression(key, e).(bool)
		return b
	case "cohort", "static-cohort", "precalculated-cohort":
		id, ok := asNumber(f["value"])
		if !ok {
			return true
		}
		in := m.inCohort(int(id), e.person, nil)
		return in != (operator == "not_in" || isTrue(f, "negation"))
	case "element":
		return m.elementFilter(key, operator, f["value"], e)
	case "", "event", "feature", "person", "group", "session", "event_metadata":
	default:
		refuse("filters of type %q are not known", kind)
	}
	if key == "" {
		return true
	}
	if kind == "person" && key == "distinct_id" {
		for _, id := range e.person.ids {
			if m.compare(operator, id, f["value"], typeString) {
				return true
			}
		}
		return false
	}
	s := source{kind, key, intOf(f, 0, "group_type_index")}
	v := m.valueOf(s, e)
	if id, _ := asText(e.props["$session_id"]); key == "$session_duration" && kind == "session" && id != "" {
		v = elapsed(m.ofSession(id)) // comparisons see the fraction of a second
	}
	return m.compare(operator, v, f["value"], m.typeOf(s))
}

func (m *model) typeOf(s source) string {
	switch s.kind {
	case "", "event", "feature":
		return m.propertyType("event", 0, s.key)
	case "person":
		return m.propertyType("person", 0, s.key)
	case "group":
		return m.propertyType("group", s.index, s.key)
	case "session":
		if s.key == "$start_timestamp" || s.key == "$end_timestamp" {
			return typeDateTime
		}
		if strings.Contains(s.key, "url") || strings.Contains(s.key, "pathname") {
			return typeString
		}
		return typeNumeric
	}
	if s.key == "timestamp" {
		return typeDateTime
	}
	return typeString
}

// compare holds a typed value against the value of a filter.
func (m *model) compare(operator string, v, w any, kind string) bool {
	switch operator {
	case "is_set":
		return v != nil
	case "is_not_set":
		return v == nil
	}
	if w == nil {
		return true // a stub that was saved without its value
	}
	list, isList := w.([]any)
	if isList && len(list) == 0 {
		return true
	}
	switch operator {
	case "between", "not_between":
		if len(list) != 2 {
			refuse("%s needs two numbers", operator)
		}
		lo, ok := asNumber(list[0])
		hi, fine := asNumber(list[1])
		if !ok || !fine || lo > hi {
			refuse("%s needs two numbers in order", operator)
		}
		n, ok := asNumber(v)
		if !ok {
			return false
		}
		return (lo <= n && n <= hi) == (operator == "between")
	case "icontains_multi", "not_icontains_multi":
		if !isList {
			list = []any{w}
		}
	}
	if isList && len(list) == 1 {
		w, isList = list[0], false
	}
	all := list
	if !isList && (len(all) != 1 || all[0] != w) {
		all = []any{w}
	}
	anyOf := func(test func(w any) bool) bool { return slices.ContainsFunc(all, test) }
	text, isText := m.plain(v)
	contains := func(w any) bool {
		s, _ := asText(w)
		return strings.Contains(strings.ToLower(text), strings.ToLower(s))
	}
	switch operator {
	case "exact", "in":
		return v != nil && anyOf(func(w any) bool { return m.equal(v, w, kind) })
	case "is_not", "not_in":
		return v == nil || !anyOf(func(w any) bool { return m.equal(v, w, kind) })
	case "icontains", "not_icontains":
		if v == nil {
			return operator == "not_icontains"
		}
		if len(all) == 1 {
			s, _ := asText(all[0])
			return like(text, s) == (operator == "icontains")
		}
		return anyOf(contains) == (operator == "icontains")
	case "icontains_multi":
		return isText && anyOf(contains)
	case "not_icontains_multi":
		return !isText || !anyOf(contains)
	case "regex":
		return isText && anyOf(func(w any) bool { s, _ := asText(w); return search(s, text) })
	case "not_regex":
		return !isText || !anyOf(func(w any) bool { s, _ := asText(w); return search(s, text) })
	case "gt", "gte", "lt", "lte", "min", "max":
		return v != nil && anyOf(func(w any) bool { return m.ordered(operator, v, w, kind) })
	case "is_date_exact", "is_date_before", "is_date_after":
		at, ok := v.(time.Time)
		if !ok {
			if at, ok = absolute(text, m.zone); !ok {
				return false
			}
		}
		at = at.Truncate(time.Second)
		return anyOf(func(w any) bool {
			s, _ := asText(w)
			c := at.Compare(m.readDate(s).at.Truncate(time.Second))
			return c == 0 && operator == "is_date_exact" || c < 0 && operator == "is_date_before" || c > 0 && operator == "is_date_after"
		})
	case "is_cleaned_path_exact":
		return isText && anyOf(func(w any) bool { s, _ := asText(w); return m.cleaned(s) == m.cleaned(text) })
	}
	if strings.HasPrefix(operator, "semver_") {
		if v == nil {
			return operator == "semver_neq"
		}
		return anyOf(func(w any) bool { s, _ := asText(w); return semver(operator, text, s) })
	}
	unsupported("the operator %q", operator)
	return false
}

func (m *model) equal(v, w any, kind string) bool {
	if kind == typeDateTime {
		s, _ := asText(w)
		t, ok := absolute(s, m.zone)
		return ok && v.(time.Time).Equal(t)
	}
	_, number := w.(float64)
	if kind == typeNumeric || number && kind == typeString {
		a, ok := asNumber(v)
		b, fine := asNumber(w)
		return ok && fine && a == b
	}
	a, _ := asText(v)
	b, _ := asText(w)
	return a == b
}

func (m *model) ordered(operator string, v, w any, kind string) bool {
	c := 0
	_, number := w.(float64)
	switch {
	case kind == typeDateTime:
		s, _ := asText(w)
		c = v.(time.Time).Compare(m.readDate(s).at)
	case kind == typeNumeric || number && kind == typeString:
		a, ok := asNumber(v)
		b, fine := asNumber(w)
		if !ok || !fine {
			return false
		}
		switch {
		case a < b:
			c = -1
		case a > b:
			c = 1
		}
	default:
		a, _ := asText(v)
		b, _ := asText(w)
		c = strings.Compare(a, b)
	}
	switch operator {
	case "gt":
		return c > 0
	case "gte", "min":
		return c >= 0
	case "lt":
		return c < 0
	default:
		return c <= 0
	}
}

func search(pattern, text string) bool {
	r, err := regexp.Compile(pattern)
	if err != nil {
		refuse("the regular expression %q is not valid", pattern)
	}
	return r.MatchString(text)
}

// like says whether text contains the LIKE pattern, ignoring case.
func like(text, pattern string) bool { return search("(?i)"+likePattern(pattern), text) }

// likePattern is the LIKE pattern as a regular expression.
func likePattern(pattern string) string {
	var expr strings.Builder
	expr.WriteString("(?s)")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '%':
			expr.WriteString(".*")
		case c == '_':
			expr.WriteString(".")
		case c == '\\' && i+1 < len(pattern):
			i++
			expr.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c < 0x80:
			expr.WriteString(regexp.QuoteMeta(string(c)))
		default:
			expr.WriteByte(c)
		}
	}
	return expr.String()
}

// version is the numeric parts of a dotted version, without what follows a hyphen or a plus.
func version(s string) ([3]int, int, bool) {
	var out [3]int
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
	s, _, _ = strings.Cut(s, "+")
	parts := strings.Split(s, ".")
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || i > 2 {
			return out, 0, false
		}
		out[i] = n
	}
	return out, len(parts), true
}

func semver(operator, text, w string) bool {
	v, _, ok := version(text)
	if operator == "semver_wildcard" {
		w = strings.TrimSuffix(strings.TrimSuffix(w, "*"), ".")
	}
	lo, parts, fine := version(w)
	if !ok || !fine {
		return operator == "semver_neq"
	}
	c := slices.Compare(v[:], lo[:])
	hi := [3]int{}
	up := 0 // the part that grows
	switch operator {
	case "semver_eq":
		return c == 0
	case "semver_neq":
		return c != 0
	case "semver_gt":
		return c > 0
	case "semver_gte":
		return c >= 0
	case "semver_lt":
		return c < 0
	case "semver_lte":
		return c <= 0
	case "semver_tilde":
		up = min(parts-1, 1)
	case "semver_wildcard":
		up = parts - 1
	case "semver_caret":
		for up < 2 && lo[up] == 0 {
			up++
		}
	default:
		unsupported("the operator %q", operator)
	}
	copy(hi[:], lo[:up+1])
	hi[up]++
	return c >= 0 && slices.Compare(v[:], hi[:]) < 0
}

func (m *model) elementFilter(key, operator string, w any, e *event) bool {
	if w == nil {
		return true
	}
	if list, ok := w.([]any); ok {
		found := 0
		for _, one := range list {
			if m.elementFilter(key, operator, one, e) {
				found++
			}
		}
		negative := operator == "is_not" || strings.HasPrefix(operator, "not_")
		return found == len(list) || found > 0 && !negative
	}
	var values []any
	for _, el := range e.elements {
		if v, ok := el[key]; ok && v != nil {
			values = append(values, v)
		}
	}
	switch key {
	case "tag_name":
		found := slices.ContainsFunc(values, func(v any) bool { return m.compare("exact", v, w, typeString) })
		return found == (operator != "is_not")
	case "text":
		return slices.ContainsFunc(values, func(v any) bool { return m.compare(operator, v, w, typeString) })
	case "href":
		first := any("")
		if len(values) > 0 {
			first = values[0]
		}
		return m.compare(operator, first, w, typeString)
	case "selector":
		s, _ := asText(w)
		return selects(s, e.elements) == (operator != "is_not")
	}
	unsupported("elements by %s", key)
	return false
}

// cleaned is a path after the project's cleaning rules.
func (m *model) cleaned(s string) string {
	for _, rule := range m.data.Cleaning {
		s = clean(s, rule)
	}
	return s
}

var backReference = regexp.MustCompile(`\\(\d)`)

func clean(s string, rule any) string {
	r, err := regexp.Compile(textOf(rule, "regex"))
	if err != nil {
		refuse("the regular expression %q is not valid", textOf(rule, "regex"))
	}
	alias := strings.ReplaceAll(textOf(rule, "alias"), "$", "$$")
	return r.ReplaceAllString(s, backReference.ReplaceAllString(alias, "$${$1}"))
}
