package insight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/elements"
)

// filter is one property filter, or a group of them.
type filter struct {
	Type     string            `json:"type"`
	Key      flexText          `json:"key"`
	Operator *string           `json:"operator"`
	Value    json.RawMessage   `json:"value"`
	Group    *int              `json:"group_type_index"`
	Negation bool              `json:"negation"`
	Values   []json.RawMessage `json:"values"`

	behavioral
}

// maxFilterDepth bounds the nesting of property groups.
const maxFilterDepth = 50

// filters compiles "properties" of a query or a node: a list, a group, or nothing.
func (c *compiler) filters(raw json.RawMessage, attr string) (ast.Expr, error) {
	return c.filterTree(raw, attr, 0)
}

func (c *compiler) filterTree(raw json.RawMessage, attr string, depth int) (ast.Expr, error) {
	if isNone(raw) {
		return nil, nil
	}
	if depth > maxFilterDepth {
		return nil, refuse(attr, "property groups are nested more than %d deep", maxFilterDepth)
	}
	raw = bytes.TrimSpace(raw)
	if raw[0] == '[' {
		var list []json.RawMessage
		if err := decode(raw, &list); err != nil {
			return nil, err
		}
		return c.filterList(list, false, attr, depth)
	}
	var f filter
	if err := decode(raw, &f); err != nil {
		return nil, err
	}
	if kind := strings.ToUpper(f.Type); kind == "AND" || kind == "OR" {
		return c.filterList(f.Values, kind == "OR", attr, depth)
	}
	if f.Type == "" && f.Values != nil {
		return c.filterList(f.Values, false, attr, depth)
	}
	return c.filter(&f, attr)
}

func (c *compiler) filterList(list []json.RawMessage, isOr bool, attr string, depth int) (ast.Expr, error) {
	var conds []ast.Expr
	for i, raw := range list {
		if isNone(raw) {
			continue
		}
		e, err := c.filterTree(raw, fmt.Sprintf("%s[%d]", attr, i), depth+1)
		if err != nil {
			return nil, err
		}
		conds = append(conds, e)
	}
	if len(conds) == 0 {
		return nil, nil
	}
	return logic(isOr, conds), nil
}

// operand is the left side of a filter: its forms by the type that the operator wants.
type operand struct {
	e    ast.Expr
	kind PropertyType
}

// filter compiles one filter; nil if it says nothing.
func (c *compiler) filter(f *filter, attr string) (ast.Expr, error) {
	op := "exact"
	if f.Operator != nil && *f.Operator != "" {
		op = *f.Operator
	}
	switch f.Type {
	case "cohort", "static-cohort", "precalculated-cohort":
		return c.cohortFilter(f, op, attr)
	case "hogql":
		if f.Key == "" {
			return nil, nil
		}
		return c.condition(string(f.Key), attr)
	case "flag", "empty":
		return nil, nil
	}
	if f.Key == "" || isNone(f.Value) && op != "is_set" && op != "is_not_set" {
		return nil, nil // saved dashboards have such stubs
	}
	if f.Type == "element" {
		return c.elementFilter(f, op, attr)
	}
	if f.Type == "person" && f.Key == "distinct_id" {
		return c.distinctIDFilter(f, op, attr)
	}
	left, err := c.property(f.Type, string(f.Key), f.Group, attr)
	if err != nil {
		return nil, err
	}
	return c.compare(left, op, f.Value, attr)
}

// property is the value that a filter or a breakdown names.
func (c *compiler) property(kind, key string, group *int, attr string) (operand, error) {
	switch kind {
	case "", "event", "feature":
		return operand{c.row("properties", key), c.project.PropertyType(EventScope, 0, key)}, nil
	case "person":
		return operand{c.person(key), c.project.PropertyType(PersonScope, 0, key)}, nil
	case "group":
		if group == nil || *group < 0 || *group > 4 {
			return operand{}, refuse(attr, "a filter by group needs a group_type_index from 0 to 4")
		}
		return operand{c.row("group_"+strconv.Itoa(*group), "properties", key), c.project.PropertyType(GroupScope, *group, key)}, nil
	case "session":
		return c.session(key, attr)
	case "event_metadata":
		switch key {
		case "event", "distinct_id":
			return operand{c.row(key), String}, nil
		case "person_id", "uuid":
			return operand{cast(c.row(key), "text"), String}, nil
		case "timestamp":
			return operand{c.row(key), DateTime}, nil
		case "$group_0", "$group_1", "$group_2", "$group_3", "$group_4":
			return operand{c.row(key[1:]), String}, nil
		}
		return operand{}, refuse(attr, "events have no column %q", key)
	}
	return operand{}, refuse(attr, "filters of the type %q are not supported", kind)
}

// session is a property of the event's session.
func (c *compiler) session(key, attr string) (operand, error) {
	switch key {
	case "$session_duration", "$pageview_count", "$autocapture_count", "$screen_count", "$num_uniq_urls":
		return operand{c.row("session", key), Numeric}, nil
	case "$start_timestamp", "$end_timestamp":
		return operand{c.row("session", key), DateTime}, nil
	case "$entry_current_url", "$end_current_url", "$entry_pathname", "$end_pathname":
		return operand{c.row("session", key), String}, nil
	}
	return operand{}, refuse(attr, "sessions have no property %q", key)
}

// values are the elements of a filter's value; one that is not a list has itself.
func values(raw json.RawMessage) ([]any, bool, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, false, err
	}
	if list, ok := v.([]any); ok {
		return list, true, nil
	}
	return []any{v}, false, nil
}

// textOf is a filter value as text, the way property values are written.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return FloatText(f)
		}
		return v.String()
	case nil:
		return ""
	}
	raw, _ := json.Marshal(v) // it came from JSON
	return string(raw)
}

// FloatText is a number as property values are written: whole ones without a fraction,
// others as the shortest text that reads back, with an exponent from 1e21 on.
func FloatText(f float64) string {
	if a := math.Abs(f); a >= 1e21 || a != 0 && a < 1e-6 {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// numberOf is a filter value as a number.
func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return 0, false
}

// compare is a condition on a value.
func (c *compiler) compare(left operand, op string, raw json.RawMessage, attr string) (ast.Expr, error) {
	switch op {
	case "is_set":
		return isNotNull(left.typed()), nil
	case "is_not_set":
		return isNull(left.typed()), nil
	}
	list, isList, err := values(raw)
	if err != nil {
		return nil, refuse(attr, "the value is not valid JSON: %v", err)
	}
	if len(list) == 0 {
		return nil, nil // an empty list matches everything
	}
	switch op {
	case "exact", "in":
		return c.oneOf(left, list), nil
	case "is_not", "not_in":
		return keepsNull(&ast.Not{X: c.oneOf(left, list)}), nil
	case "icontains", "not_icontains", "icontains_multi", "not_icontains_multi":
		cond := c.contains(left, list, isList && len(list) > 1 || strings.HasSuffix(op, "_multi"))
		if strings.HasPrefix(op, "not_") {
			return keepsNull(&ast.Not{X: cond}), nil
		}
		return cond, nil
	case "between", "not_between":
		return between(left, op, list, attr)
	}
	var conds []ast.Expr
	for _, v := range list {
		cond, err := c.compareOne(left, op, v, attr)
		if err != nil {
			return nil, err
		}
		conds = append(conds, cond)
	}
	return logic(op != "not_regex", conds), nil
}

// typed is the value as its type sees it.
func (o operand) typed() ast.Expr {
	switch o.kind {
	case Numeric:
		return o.float()
	case DateTime:
		return o.time()
	case Boolean:
		return &ast.Case{Whens: []ast.When{{Cond: in(o.e, []ast.Expr{text("true"), text("false")}), Result: o.e}}}
	}
	return o.e
}

// text is the value as text.
func (o operand) text() ast.Expr {
	if o.kind == Numeric {
		return call("float_text", o.float())
	}
	return o.typed()
}

func (o operand) float() ast.Expr { return cast(o.e, "float8") }
func (o operand) time() ast.Expr  { return cast(o.e, "timestamptz") }

// oneOf is whether the value equals one of a list.
func (c *compiler) oneOf(left operand, list []any) ast.Expr {
	if left.kind == Numeric {
		var nums []ast.Expr
		for _, v := range list {
			if f, ok := numberOf(v); ok {
				nums = append(nums, number(f))
			}
		}
		if len(nums) == 0 { // nothing that a number could equal
			return binary("<>", left.float(), left.float())
		}
		return in(left.float(), nums)
	}
	if left.kind == DateTime {
		return c.sameInstant(left, list)
	}
	var texts, nums []ast.Expr
	for _, v := range list {
		texts = append(texts, text(textOf(v)))
		if n, ok := v.(json.Number); ok { // it equals what reads as the same number
			if f, err := n.Float64(); err == nil {
				nums = append(nums, number(f))
			}
		}
	}
	if len(nums) > 0 {
		return or(in(left.e, texts), in(left.float(), nums))
	}
	return in(left.e, texts)
}

// sameInstant compares times of a DateTime property, and its text where the value is none.
func (c *compiler) sameInstant(left operand, list []any) ast.Expr {
	var conds []ast.Expr
	for _, v := range list {
		if t, ok := c.absolute(textOf(v)); ok {
			conds = append(conds, equal(left.time(), instant(t)))
		} else {
			conds = append(conds, equal(cast(left.e, "text"), text(textOf(v))))
		}
	}
	return or(conds...)
}

// contains is whether the text contains a pattern, or one of several plain texts.
func (c *compiler) contains(left operand, list []any, plain bool) ast.Expr {
	var conds []ast.Expr
	for _, v := range list {
		s := textOf(v)
		if plain {
			conds = append(conds, binary(">", call("strpos", call("casefold", left.text()), call("casefold", text(s))), integer(0)))
			continue
		}
		conds = append(conds, &ast.Like{X: left.text(), Pattern: text("%" + s + "%"), Kind: ast.LikeNoCase})
	}
	return or(conds...)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

func between(left operand, op string, list []any, attr string) (ast.Expr, error) {
	if len(list) == 2 {
		lo, ok1 := numberOf(list[0])
		hi, ok2 := numberOf(list[1])
		if ok1 && ok2 && lo <= hi {
			return &ast.Between{X: left.float(), Low: number(lo), High: number(hi), Not: op == "not_between"}, nil
		}
	}
	return nil, refuse(attr, "%s needs two numbers, the smaller one first", op)
}

// compareOne is an operator with one value.
func (c *compiler) compareOne(left operand, op string, v any, attr string) (ast.Expr, error) {
	s := textOf(v)
	switch op {
	case "regex", "not_regex":
		if err := checkRegex(s, attr); err != nil {
			return nil, err
		}
		if op == "regex" {
			return binary("~", left.text(), text(s)), nil
		}
		return keepsNull(binary("!~", left.text(), text(s))), nil
	case "gt", "gte", "lt", "lte", "min", "max":
		sign := map[string]string{"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "min": ">=", "max": "<="}[op]
		// A number as text is one beside a number; beside text it is text.
		_, written := v.(json.Number)
		if f, ok := numberOf(v); ok && (written || left.kind == Numeric) {
			return binary(sign, left.float(), number(f)), nil
		}
		if left.kind == DateTime {
			return binary(sign, left.time(), instant(c.readDate(s, c.now).t)), nil
		}
		if left.kind == Numeric {
			return nil, refuse(attr, "%s of a number needs a number, not %q", op, s)
		}
		return binary(sign, left.text(), text(s)), nil
	case "is_date_exact", "is_date_before", "is_date_after":
		t := c.readDate(s, c.now).t.Truncate(time.Second)
		sign := map[string]string{"is_date_exact": "=", "is_date_before": "<", "is_date_after": ">"}[op]
		return binary(sign, call("date_trunc", text("second"), left.time()), instant(t)), nil
	case "is_cleaned_path_exact":
		return equal(c.cleanPath(left.text()), c.cleanPath(text(s))), nil
	}
	if kind, ok := strings.CutPrefix(op, "semver_"); ok {
		return semver(left.text(), kind, s, attr)
	}
	return nil, refuse(attr, "unknown operator %q", op)
}

// cleanPath applies the project's rules of cleaning paths.
func (c *compiler) cleanPath(e ast.Expr) ast.Expr {
	if isNone(c.project.PathCleaning()) {
		return e
	}
	return call("clean_path", e, &ast.Cast{X: text(string(c.project.PathCleaning())), Type: ast.TypeName{Name: "jsonb"}})
}

// semver compares versions: their numeric parts, missing ones are 0.
func semver(left ast.Expr, kind, s, attr string) (ast.Expr, error) {
	versus := func(op, v string) ast.Expr { return binary(op, call("semver_compare", left, text(v)), integer(0)) }
	parts, err := versionParts(s, kind == "wildcard")
	if err != nil {
		return nil, refuse(attr, "%q is not a version", s)
	}
	text := func(p []int) string {
		words := make([]string, len(p))
		for i, n := range p {
			words[i] = strconv.Itoa(n)
		}
		return strings.Join(words, ".")
	}
	// next is the first version beyond all that agree in the parts up to i.
	next := func(i int) string {
		up := append([]int(nil), parts[:i+1]...)
		up[i]++
		return text(up)
	}
	within := func(i int) ast.Expr { return and(versus(">=", text(parts)), versus("<", next(i))) }
	switch kind {
	case "eq":
		return versus("=", s), nil
	case "neq":
		return keepsNull(versus("<>", s)), nil
	case "gt":
		return versus(">", s), nil
	case "gte":
		return versus(">=", s), nil
	case "lt":
		return versus("<", s), nil
	case "lte":
		return versus("<=", s), nil
	case "tilde":
		return within(min(1, len(parts)-1)), nil
	case "caret":
		for i, n := range parts {
			if n != 0 || i == len(parts)-1 {
				return within(i), nil
			}
		}
	case "wildcard":
		if len(parts) == 0 {
			return versus(">=", "0"), nil
		}
		return within(len(parts) - 1), nil
	}
	return nil, refuse(attr, "unknown operator %q", "semver_"+kind)
}

// versionParts are the numbers of a version; with wild, those before a star.
func versionParts(s string, wild bool) ([]int, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "v")
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	var out []int
	for _, p := range strings.Split(s, ".") {
		if wild && (p == "*" || p == "x") {
			return out, nil
		}
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("part %q", p)
		}
		out = append(out, n)
	}
	return out, nil
}

// selected is whether some element of an autocaptured event is one that a selector means.
func (c *compiler) selected(selector, attr string) (ast.Expr, error) {
	if _, err := elements.ParseSelector(selector); err != nil {
		return nil, refuse(attr, "%q is an %v", selector, err)
	}
	return orElse(call("elements_selector", c.row("elements_chain"), text(selector)), boolean(false)), nil
}

// elementFilter is a filter by the elements of an autocaptured event.
func (c *compiler) elementFilter(f *filter, op, attr string) (ast.Expr, error) {
	list, _, err := values(f.Value)
	if err != nil {
		return nil, refuse(attr, "the value is not valid JSON: %v", err)
	}
	key := string(f.Key)
	negative := strings.HasPrefix(op, "not_") || op == "is_not" || op == "not_in"
	switch key {
	case "tag_name", "selector":
		if op != "exact" && op != "is_not" && op != "in" && op != "not_in" {
			return nil, refuse(attr, "elements are compared by %s only with exact and is_not", key)
		}
	case "text", "href":
	default:
		return nil, refuse(attr, "elements have no %q; there are tag_name, text, href and selector", key)
	}
	var conds []ast.Expr
	for _, v := range list {
		s := textOf(v)
		if op == "regex" || op == "not_regex" {
			if err := checkRegex(s, attr); err != nil {
				return nil, err
			}
		}
		var cond ast.Expr
		switch key {
		case "selector":
			if cond, err = c.selected(s, attr); err != nil {
				return nil, err
			}
			if negative {
				cond = &ast.Not{X: cond}
			}
		case "tag_name":
			cond = orElse(call("elements_match", c.row("elements_chain"), text(key), text("exact"), text(s)), boolean(false))
			if negative {
				cond = &ast.Not{X: cond}
			}
		default: // the function knows the negative operators
			cond = orElse(call("elements_match", c.row("elements_chain"), text(key), text(op), text(s)), boolean(false))
		}
		conds = append(conds, cond)
	}
	if len(conds) == 0 {
		return nil, nil
	}
	return logic(!negative, conds), nil
}

// distinctIDFilter is a filter by any id of the person.
func (c *compiler) distinctIDFilter(f *filter, op, attr string) (ast.Expr, error) {
	positive, negative := positiveOf[op]
	if !negative {
		positive = op
	}
	one := operand{column("distinct_id"), String}
	cond, err := c.compare(one, positive, f.Value, attr)
	if err != nil || cond == nil {
		return nil, err
	}
	ids := &ast.Select{Items: []ast.SelectItem{item(column("person_id"), "")}, From: []ast.TableExpr{table("person_distinct_ids")}, Where: cond}
	// A person without a profile has just the id of its events.
	any := or(inCohort(c.personID(), &ast.CohortQuery{Query: ids}), cond)
	if negative {
		return not(any), nil
	}
	return any, nil
}

// positiveOf are the operators that negate another one.
var positiveOf = map[string]string{"is_not": "exact", "not_in": "in", "not_icontains": "icontains", "not_icontains_multi": "icontains_multi",
	"not_regex": "regex", "is_not_set": "is_set"}
