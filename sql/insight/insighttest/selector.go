package insighttest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A selector is written like one of CSS: compounds of a tag, #id, .class, [name="value"] and
// :nth-child(n), with a blank or > between what lies outside and what lies inside.

var (
	compoundPart = regexp.MustCompile(`^(?:(\*|[a-z][a-z0-9]*)|#([\w-]+)|\.([\w-]+)|\[([\w-]+)(?:="([^"]*)")?\]|:(nth-child|nth-of-type)\((\d+)\))`)
	combinator   = regexp.MustCompile(`\s*>\s*|\s+`)
)

// selects says whether some element of a chain, innermost first, is one that a selector means.
func selects(selector string, chain []object) bool {
	for i := range chain {
		if selectsFrom(selector, chain[i:]) {
			return true
		}
	}
	return false
}

// selectsFrom says it for the innermost element of a chain.
func selectsFrom(selector string, chain []object) bool {
	last := selector
	between := combinator.FindAllStringIndex(selector, -1)
	if n := len(between); n > 0 {
		last = selector[between[n-1][1]:]
	}
	if len(chain) == 0 || !isElement(last, chain[0]) {
		return false
	}
	if len(between) == 0 {
		return true
	}
	cut := between[len(between)-1]
	outer := selector[:cut[0]]
	if strings.Contains(selector[cut[0]:cut[1]], ">") {
		return selectsFrom(outer, chain[1:])
	}
	return selects(outer, chain[1:])
}

// isElement says whether an element is what one compound asks for.
func isElement(compound string, el object) bool {
	for compound != "" {
		p := compoundPart.FindStringSubmatch(compound)
		if p == nil {
			unsupported("the selector %q", compound)
		}
		ok := true
		switch {
		case p[1] != "":
			ok = p[1] == "*" || textOf(el, "tag_name") == p[1]
		case p[2] != "":
			ok = textOf(el, "attr_id") == p[2]
		case p[3] != "":
			ok = slices.Contains(listOf(el, "attr_class"), any(p[3]))
		case p[4] != "":
			v, has := attribute(el, p[4])
			ok = has && (!strings.Contains(p[0], "=") || v == p[5])
		default:
			n, _ := strconv.Atoi(p[7])
			ok = intOf(el, 0, strings.ReplaceAll(p[6], "-", "_")) == n
		}
		if !ok {
			return false
		}
		compound = compound[len(p[0]):]
	}
	return true
}

// attribute is an attribute of an element by the name that the page gave it.
func attribute(el object, name string) (string, bool) {
	if name == "href" && el["href"] != nil {
		return textOf(el, "href"), true
	}
	s, ok := get(el, "attributes", "attr__"+name).(string)
	return s, ok
}
