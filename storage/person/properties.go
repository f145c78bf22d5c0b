package person

import (
	"bytes"
	"sort"
)

// member is one key of a JSON object and its value, both as they are written.
type member struct{ key, value []byte }

// members splits a JSON object. Text that is not an object has none: what cannot be read
// counts as {}.
func members(object []byte) []member {
	s := bytes.TrimSpace(object)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil
	}
	s = s[1 : len(s)-1]
	var out []member
	for {
		s = bytes.TrimLeft(s, " \t\r\n,")
		if len(s) == 0 {
			return out
		}
		k := valueEnd(s)
		if k < 0 || s[0] != '"' {
			return nil
		}
		m := member{key: s[:k]}
		s = bytes.TrimLeft(s[k:], " \t\r\n")
		if len(s) == 0 || s[0] != ':' {
			return nil
		}
		s = bytes.TrimLeft(s[1:], " \t\r\n")
		v := valueEnd(s)
		if v <= 0 {
			return nil
		}
		m.value = s[:v]
		s = s[v:]
		out = append(out, m)
	}
}

// valueEnd is where the JSON value at the start of s ends, or -1.
func valueEnd(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			if i >= len(s) {
				return -1
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			} else if depth < 0 {
				return i
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	if depth == 0 {
		return len(s)
	}
	return -1
}

// object writes members as jsonb text: keys by length and then by bytes.
func object(list []member) []byte {
	if len(list) == 0 {
		return nil
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i].key, list[j].key
		if len(a) != len(b) {
			return len(a) < len(b)
		}
		return bytes.Compare(a, b) < 0
	})
	out := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(append(append(out, m.key...), ": "...), m.value...)
	}
	return append(out, '}')
}

// union is the members of two objects; those of b win.
func union(a, b []byte) []byte {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	return update(a, b, nil, nil)
}

// update applies $set, $set_once and $unset to properties, in the order: keys of once that
// are missing, then all of set, then unset. A null in once does not create its key.
func update(properties, set, once []byte, unset []string) []byte {
	list := members(properties)
	at := make(map[string]int, len(list))
	for i, m := range list {
		at[string(m.key)] = i
	}
	put := func(m member) {
		if i, ok := at[string(m.key)]; ok {
			list[i].value = m.value
			return
		}
		at[string(m.key)] = len(list)
		list = append(list, m)
	}
	for _, m := range members(once) {
		if _, ok := at[string(m.key)]; !ok && string(m.value) != "null" {
			put(m)
		}
	}
	for _, m := range members(set) {
		put(m)
	}
	if len(unset) > 0 {
		drop := make(map[string]bool, len(unset))
		for _, k := range unset {
			drop[string(quoteKey(k))] = true
		}
		kept := list[:0]
		for _, m := range list {
			if !drop[string(m.key)] {
				kept = append(kept, m)
			}
		}
		list = kept
	}
	return object(list)
}

// quoteKey is a key as jsonb text writes it.
func quoteKey(k string) []byte {
	const hex = "0123456789abcdef"
	out := []byte{'"'}
	for i := range len(k) {
		switch c := k[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c == '\b':
			out = append(out, `\b`...)
		case c == '\f':
			out = append(out, `\f`...)
		case c < 0x20:
			out = append(out, `\u00`...)
			out = append(out, hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
