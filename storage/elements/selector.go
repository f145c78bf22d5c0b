package elements

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxCompounds bounds what a selector asks of one chain.
const maxCompounds = 100

// Selector says which elements are meant, in the words of CSS: tag, *, #id, .class, [name],
// [name="value"], :nth-child(n) and :nth-of-type(n), one behind the other for one element,
// with a blank before what lies somewhere inside and > before what lies directly inside.
type Selector struct{ compounds []compound }

// compound is what a selector asks of one element.
type compound struct {
	child      bool // directly inside of what the compound before it means
	tag        string
	id         string
	classes    []string
	attributes []wanted
	nthChild   int
	nthOfType  int
}

// wanted is an attribute that must be there, with a value if one is given.
type wanted struct {
	name, value string
	any         bool
}

// SelectorError is a selector that cannot be read. Position counts characters from 1.
type SelectorError struct {
	Position int
	Reason   string
}

func (e *SelectorError) Error() string {
	return fmt.Sprintf("invalid selector at %d: %s", e.Position, e.Reason)
}

// ParseSelector reads a selector. Its error is a *SelectorError.
func ParseSelector(text string) (*Selector, error) {
	p := selectorParser{s: text}
	out := &Selector{}
	p.blanks()
	child := false
	for {
		c := compound{child: child}
		p.compound(&c)
		if p.err != nil {
			return nil, p.err
		}
		if out.compounds = append(out.compounds, c); len(out.compounds) > maxCompounds {
			p.fail("more than %d elements", maxCompounds)
			return nil, p.err
		}
		apart := p.blanks()
		if p.i == len(p.s) {
			return out, nil
		}
		if child = p.s[p.i] == '>'; child {
			p.i++
			p.blanks()
		} else if !apart {
			p.fail("%s is not supported", p.next())
			return nil, p.err
		}
	}
}

// Match says whether an element of the chain, which lies in the others behind it, is one
// that the selector means.
func (s *Selector) Match(chain []Element) bool {
	// fits[i] says whether element i can be the one that the compounds so far end at.
	var fits []bool
	for k := range s.compounds {
		c := &s.compounds[k]
		next := make([]bool, len(chain))
		inside := false // some element further out fits
		found := false
		for i := len(chain) - 1; i >= 0; i-- {
			if k > 0 && i+1 < len(chain) {
				inside = inside || fits[i+1]
			}
			placed := k == 0 || inside
			if c.child {
				placed = i+1 < len(chain) && fits[i+1]
			}
			next[i] = placed && c.match(&chain[i])
			found = found || next[i]
		}
		if !found {
			return false
		}
		fits = next
	}
	return true
}

func (c *compound) match(e *Element) bool {
	if c.tag != "" && c.tag != e.TagName || c.id != "" && c.id != e.id() ||
		c.nthChild != 0 && c.nthChild != e.NthChild || c.nthOfType != 0 && c.nthOfType != e.NthOfType {
		return false
	}
	for _, class := range c.classes {
		if !e.HasClass(class) {
			return false
		}
	}
	for _, w := range c.attributes {
		if value, ok := e.named(w.name); !ok || !w.any && value != w.value {
			return false
		}
	}
	return true
}

func (e *Element) id() string {
	if e.AttrID != "" {
		return e.AttrID
	}
	id, _ := e.Attribute("attr__id")
	return id
}

// named is the attribute that a page calls by a name.
func (e *Element) named(name string) (string, bool) {
	if value, ok := e.Attribute("attr__" + name); ok {
		return value, true
	}
	switch name {
	case "id":
		return e.AttrID, e.AttrID != ""
	case nameHref:
		return e.Href, e.Href != ""
	case nameText:
		return e.Text, e.Text != ""
	case "class":
		return strings.Join(e.Classes, " "), len(e.Classes) > 0
	}
	return e.Attribute(name)
}

type selectorParser struct {
	s   string
	i   int
	err error
}

func (p *selectorParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &SelectorError{len([]rune(p.s[:p.i])) + 1, fmt.Sprintf(format, args...)}
	}
}

// blanks passes over blanks and says whether there were any.
func (p *selectorParser) blanks() bool {
	from := p.i
	for p.i < len(p.s) && strings.IndexByte(" \t\n\r\f", p.s[p.i]) >= 0 {
		p.i++
	}
	return p.i > from
}

// next is what stands ahead, for an error.
func (p *selectorParser) next() string {
	for _, r := range p.s[p.i:] {
		return strconv.Quote(string(r))
	}
	return "the end"
}

func (p *selectorParser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// compound reads what is asked of one element.
func (p *selectorParser) compound(c *compound) {
	from := p.i
	if !p.take('*') && p.i < len(p.s) && isWordByte(p.s[p.i]) {
		c.tag = p.word("a tag")
	}
	for p.err == nil {
		switch {
		case p.take('#'):
			c.id = p.word("an id")
		case p.take('.'):
			c.classes = append(c.classes, p.word("a class"))
		case p.take('['):
			c.attributes = append(c.attributes, p.attribute())
		case p.take(':'):
			p.position(c)
		default:
			if p.i == from {
				p.fail("expected a tag, #id, .class or [attribute], not %s", p.next())
			}
			return
		}
	}
}

// isWordByte says whether a byte may stand in a name; a backslash lets the next one.
func isWordByte(c byte) bool {
	return c|32 >= 'a' && c|32 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '\\' || c >= 0x80
}

func (p *selectorParser) word(what string) string {
	var out []byte
	for p.i < len(p.s) && isWordByte(p.s[p.i]) {
		if p.s[p.i] == '\\' {
			if p.i++; p.i == len(p.s) {
				break
			}
		}
		out = append(out, p.s[p.i])
		p.i++
	}
	if len(out) == 0 {
		p.fail("expected %s, not %s", what, p.next())
	}
	return string(out)
}

// attribute reads name] or name="value"] or name=value].
func (p *selectorParser) attribute() wanted {
	p.blanks()
	w := wanted{name: p.word("an attribute"), any: true}
	p.blanks()
	if p.take('=') {
		p.blanks()
		w.any = false
		switch {
		case p.take('"'):
			w.value = p.quoted('"')
		case p.take('\''):
			w.value = p.quoted('\'')
		default:
			w.value = p.word("a value")
		}
		p.blanks()
	}
	if !p.take(']') {
		p.fail("expected ], not %s", p.next())
	}
	return w
}

func (p *selectorParser) quoted(quote byte) string {
	var out []byte
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		if c == quote {
			return string(out)
		}
		if c == '\\' && p.i < len(p.s) {
			c = p.s[p.i]
			p.i++
		}
		out = append(out, c)
	}
	p.fail("the value has no end")
	return ""
}

// position reads nth-child(n) or nth-of-type(n).
func (p *selectorParser) position(c *compound) {
	at := p.i
	name := p.word("nth-child or nth-of-type")
	if p.err == nil && !slices.Contains([]string{nameNthChild, nameNthOfType}, name) {
		p.i = at
		p.fail(":%s is not supported", name)
	}
	if !p.take('(') {
		p.fail("expected (, not %s", p.next())
	}
	p.blanks()
	at = p.i
	n, err := strconv.Atoi(p.word("a number"))
	if p.err == nil && (err != nil || n < 1) {
		p.i = at
		p.fail("expected a number above 0")
	}
	p.blanks()
	if !p.take(')') {
		p.fail("expected ), not %s", p.next())
	}
	if name == nameNthChild {
		c.nthChild = n
	} else {
		c.nthOfType = n
	}
}
