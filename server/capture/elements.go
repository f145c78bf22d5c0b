package capture

import (
	"strconv"
	"strings"

	"github.com/prickledb/prickle/storage/elements"
	"github.com/prickledb/prickle/storage/event"
)

// elementsChain is the text of a list of elements, from the clicked one outwards, as
// client libraries write it or as exports do.
func elementsChain(list value) []byte {
	if list.kind != event.JSON || list.text[0] != '[' {
		return nil
	}
	var chain []elements.Element
	s := scanner{src: list.text}
	for more := s.open(']'); more && len(chain) < elements.Max; {
		kind, text, ok := s.value()
		if !ok {
			break
		}
		var e elements.Element
		if kind == event.JSON && text[0] == '{' {
			e = readElement(text)
		}
		chain = append(chain, e)
		more, _ = s.more(']')
	}
	return []byte(elements.Format(chain))
}

func readElement(object []byte) (e elements.Element) {
	s := scanner{src: object}
	for more := s.open('}'); more; {
		key, _ := s.key()
		name := string(key)
		kind, text, ok := s.value()
		if !ok {
			break
		}
		switch {
		case kind == event.Null || name == "order":
		case (name == "classes" || name == "attr_class") && kind == event.JSON:
			e.Classes = append(e.Classes, texts(text)...)
		case name == "attributes" && kind == event.JSON:
			inner := scanner{src: text}
			for more := text[0] == '{' && inner.open('}'); more; {
				key, _ := inner.key()
				name := string(key)
				kind, text, ok := inner.value()
				if !ok {
					break
				}
				if kind != event.Null {
					addAttribute(&e, name, string(text))
				}
				more, _ = inner.more('}')
			}
		case kind == event.JSON:
		default:
			addAttribute(&e, name, string(text))
		}
		more, _ = s.more('}')
	}
	return e
}

// addAttribute gives one value of an element its place.
func addAttribute(e *elements.Element, name, text string) {
	switch name {
	case "tag_name":
		e.TagName = text
		return
	case "$el_text", "text":
		e.Text = text
		return
	case "href":
		e.Href = text
		return
	case "attr_id":
		e.AttrID = text
		return
	case "nth_child", "nth-child":
		e.NthChild, _ = strconv.Atoi(text) // 0 for what is no position
		return
	case "nth_of_type", "nth-of-type":
		e.NthOfType, _ = strconv.Atoi(text)
		return
	case "classes", "attr_class":
		e.Classes = append(e.Classes, strings.Fields(text)...)
		return
	case "attr__class":
		if e.Classes == nil {
			e.Classes = strings.Fields(text)
		}
	case "attr__href":
		if e.Href == "" {
			e.Href = text
		}
	case "attr__id":
		if e.AttrID == "" {
			e.AttrID = text
		}
	}
	e.Attributes = append(e.Attributes, elements.Attribute{Name: name, Value: text})
}

// texts is the strings of a JSON list; what is not one has none.
func texts(list []byte) (out []string) {
	s := scanner{src: list}
	for more := list[0] == '[' && s.open(']'); more; {
		_, text, ok := s.value()
		if !ok {
			break
		}
		out = append(out, string(text))
		more, _ = s.more(']')
	}
	return out
}
