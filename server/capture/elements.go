package capture

import (
	"bytes"
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/event"
)

// maxElements bounds the elements of a chain: pages nest, but not without end.
const maxElements = 1000

// elementsChain writes a list of elements, from the clicked one outwards, in the form
// that filters read:
//
//	a.cta.big:attr__href="/docs"href="/docs"nth-child="1"text="Docs";div
func elementsChain(list value) []byte {
	if list.kind != event.JSON || list.text[0] != '[' {
		return nil
	}
	var out []byte
	s := scanner{src: list.text}
	n := 0
	for more := s.open(']'); more && n < maxElements; n++ {
		kind, text, ok := s.value()
		if !ok {
			break
		}
		if n > 0 {
			out = append(out, ';')
		}
		if kind == event.JSON && text[0] == '{' {
			out = appendElement(out, text)
		}
		more, _ = s.more(']')
	}
	return out
}

func appendElement(dst, object []byte) []byte {
	type attribute struct{ name, value string }
	var tag string
	var classes []string
	var attributes []attribute
	add := func(name string, kind event.Kind, text []byte) {
		if kind != event.Null {
			attributes = append(attributes, attribute{name, string(text)})
		}
	}
	s := scanner{src: object}
	for more := s.open('}'); more; {
		key, _ := s.key()
		name := string(key)
		kind, text, ok := s.value()
		if !ok {
			break
		}
		switch name {
		case "tag_name":
			tag = string(text)
		case "classes", "attr_class":
			if kind == event.JSON && text[0] == '[' {
				list := scanner{src: text}
				for inner := list.open(']'); inner; {
					_, class, ok := list.value()
					if !ok {
						break
					}
					classes = append(classes, string(class))
					inner, _ = list.more(']')
				}
			} else if kind == event.Text {
				classes = append(classes, strings.Fields(string(text))...)
			}
		case "$el_text", "text":
			add("text", kind, text)
		case "nth_child":
			add("nth-child", kind, text)
		case "nth_of_type":
			add("nth-of-type", kind, text)
		case "attr__class":
			if classes == nil {
				classes = strings.Fields(string(text))
			}
			add(name, kind, text)
		case "attr__href":
			add(name, kind, text)
			add("href", kind, text)
		case "attr__id":
			add(name, kind, text)
			add("attr_id", kind, text)
		case "attributes":
			if kind == event.JSON && text[0] == '{' {
				inner := scanner{src: text}
				for more := inner.open('}'); more; {
					key, _ := inner.key()
					kind, text, ok := inner.value()
					if !ok {
						break
					}
					add(string(key), kind, text)
					more, _ = inner.more('}')
				}
			}
		case "order":
		default:
			if kind != event.JSON {
				add(name, kind, text)
			}
		}
		more, _ = s.more('}')
	}
	dst = append(dst, tag...)
	slices.Sort(classes)
	for _, class := range slices.Compact(classes) {
		dst = append(dst, '.')
		dst = append(dst, class...)
	}
	slices.SortStableFunc(attributes, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	for i, a := range attributes {
		if i > 0 && attributes[i-1].name == a.name {
			continue
		}
		if i == 0 {
			dst = append(dst, ':')
		}
		dst = append(append(dst, a.name...), `="`...)
		dst = append(dst, bytes.ReplaceAll([]byte(a.value), []byte(`"`), []byte(`\"`))...)
		dst = append(dst, '"')
	}
	return dst
}
