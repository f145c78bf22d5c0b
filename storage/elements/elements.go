package elements

import (
	"slices"
	"strconv"
	"strings"
)

// Max bounds the elements of a chain: pages nest, but not without end.
const Max = 1000

// Element is one element of a page. What is empty or 0 is not there.
type Element struct {
	TagName   string
	Text      string // what can be read in it
	Href      string
	AttrID    string   // its id attribute
	Classes   []string // ascending, without repetition, when parsed
	NthChild  int      // position among its siblings, from 1
	NthOfType int      // and among those with its tag
	// Attributes are all others. The page's own are called attr__<name>. No two have the
	// same name, and they are in ascending order of it when parsed.
	Attributes []Attribute
}

// Attribute is a named value of an element.
type Attribute struct{ Name, Value string }

// The names of attributes that have a field of their own.
const (
	nameText      = "text"
	nameHref      = "href"
	nameID        = "attr_id"
	nameNthChild  = "nth-child"
	nameNthOfType = "nth-of-type"
)

// Attribute is the value of the attribute with a name, among Attributes, and whether it is there.
func (e *Element) Attribute(name string) (string, bool) {
	for i := range e.Attributes {
		if e.Attributes[i].Name == name {
			return e.Attributes[i].Value, true
		}
	}
	return "", false
}

// HasClass says whether a class is one of the element's.
func (e *Element) HasClass(name string) bool { return slices.Contains(e.Classes, name) }

// Format writes a chain. Characters that would end a tag, a class or a name are left out of
// these; of attributes with the same name the first counts. Elements beyond Max are left out.
func Format(chain []Element) string {
	var out []byte
	for i := range chain[:min(len(chain), Max)] {
		if i > 0 {
			out = append(out, ';')
		}
		out = chain[i].append(out)
	}
	return string(out)
}

func (e *Element) append(dst []byte) []byte {
	dst = appendWord(dst, e.TagName)
	classes := slices.Clone(e.Classes)
	slices.Sort(classes)
	for _, class := range slices.Compact(classes) {
		if class != "" {
			dst = appendWord(append(dst, '.'), class)
		}
	}
	list := slices.Clone(e.Attributes)
	add := func(name, value string) {
		if value != "" {
			list = append(list, Attribute{name, value})
		}
	}
	number := func(name string, n int) {
		if n != 0 {
			list = append(list, Attribute{name, strconv.Itoa(n)})
		}
	}
	add(nameText, e.Text)
	add(nameHref, e.Href)
	add(nameID, e.AttrID)
	number(nameNthChild, e.NthChild)
	number(nameNthOfType, e.NthOfType)
	slices.SortStableFunc(list, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	first := true
	for i, a := range list {
		name := appendName(nil, a.Name)
		if len(name) == 0 || i > 0 && list[i-1].Name == a.Name {
			continue
		}
		if first {
			dst, first = append(dst, ':'), false
		}
		dst = append(append(dst, name...), `="`...)
		for _, c := range []byte(a.Value) {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	}
	return dst
}

// appendWord writes a tag or a class, which are not quoted.
func appendWord(dst []byte, word string) []byte {
	for _, c := range []byte(word) {
		if c != '"' && c != ';' {
			dst = append(dst, c)
		}
	}
	return dst
}

func isNameByte(c byte) bool {
	return c|32 >= 'a' && c|32 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '$' || c == ':' || c == '.' || c == '@' || c >= 0x80
}

func appendName(dst []byte, name string) []byte {
	for _, c := range []byte(name) {
		if isNameByte(c) {
			dst = append(dst, c)
		}
	}
	return dst
}
