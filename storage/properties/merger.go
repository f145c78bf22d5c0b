package properties

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/prickledb/prickle/storage/event"
)

// maxDepth bounds the nesting of JSON, which is read by recursion.
const maxDepth = 128

// MaxBytes bounds the properties of one thing: every change of one writes all of them
// again.
const MaxBytes = 1 << 20

// Member is one key of an object. Key, in quotes, and value are canonical jsonb text.
type Member struct{ Key, Value []byte }

// CompareKeys orders keys in quotes as jsonb does.
func CompareKeys(a, b []byte) int { return compareKeys(a, b) }

// compareKeys orders keys as jsonb does: by length, then bytes.
func compareKeys(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// Merger merges objects. It keeps its memory from one call to the next. The zero value is
// ready; it is for one goroutine.
type Merger struct {
	arena     []byte
	old       []Member
	set, once []Member
	next      []Member
	unset     [][]byte
}

// members reads an object that need not be canonical: any order, any spacing, the last of
// equal keys. What is not an object has no members.
func (o *Merger) members(dst []Member, text []byte) []Member {
	dst = dst[:0]
	if len(text) == 0 {
		return dst
	}
	r := reader{s: text}
	if !r.take('{') {
		return dst
	}
	if r.take('}') {
		return dst
	}
	sorted := true
	for {
		r.blanks()
		start := len(o.arena)
		var ok bool
		if o.arena, ok = r.text(o.arena); !ok || !r.take(':') {
			return dst[:0]
		}
		colon := len(o.arena)
		if o.arena, ok = r.value(o.arena, 0); !ok {
			return dst[:0]
		}
		m := Member{o.arena[start:colon:colon], o.arena[colon:len(o.arena):len(o.arena)]}
		sorted = sorted && (len(dst) == 0 || compareKeys(dst[len(dst)-1].Key, m.Key) < 0)
		dst = append(dst, m)
		if r.take('}') {
			break
		}
		if !r.take(',') {
			return dst[:0]
		}
	}
	if sorted {
		return dst
	}
	slices.SortStableFunc(dst, func(a, b Member) int { return compareKeys(a.Key, b.Key) })
	kept := dst[:0]
	for i, m := range dst {
		if i+1 == len(dst) || !bytes.Equal(m.Key, dst[i+1].Key) {
			kept = append(kept, m)
		}
	}
	return kept
}

// canonicalMembers reads an object that object wrote. It copies nothing.
func canonicalMembers(dst []Member, text []byte) []Member {
	dst = dst[:0]
	for i := 1; i < len(text) && text[i] == '"'; i += 2 {
		key := skip(text, i)
		value := skip(text, key+2)
		dst = append(dst, Member{text[i:key:key], text[key+2 : value : value]})
		i = value
	}
	return dst
}

// skip is the position after the canonical value at i.
func skip(s []byte, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i = event.PlainEnd(s, i+1); i < len(s) && s[i] != '"'; i = event.PlainEnd(s, min(i, len(s))) {
				if s[i] == '\\' {
					i++
				}
				i++
			}
			if depth == 0 {
				return min(i+1, len(s))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// Update gives the properties after $set, $set_once and $unset, and whether they differ
// from old. A $set_once of null makes no key, so that it does not stand in the way of a
// later value.
func (o *Merger) Update(old, set, once []byte, unset []string) ([]byte, bool) {
	o.arena = o.arena[:0]
	o.old = canonicalMembers(o.old, old)
	o.set = o.members(o.set, set)
	o.once = o.members(o.once, once)
	o.unset = o.unset[:0]
	for _, key := range unset {
		start := len(o.arena)
		o.arena = event.AppendJSONString(o.arena, []byte(key))
		o.unset = append(o.unset, o.arena[start:len(o.arena):len(o.arena)])
	}
	return o.merge(old, o.set, o.once)
}

// Apply is Update with members in the order of CompareKeys, each key once.
func (o *Merger) Apply(old []byte, set, once []Member) ([]byte, bool) {
	o.old = canonicalMembers(o.old, old)
	o.unset = o.unset[:0]
	return o.merge(old, set, once)
}

// merge merges the members of old, which were read into o.old, with others, without those of
// o.unset.
func (o *Merger) merge(old []byte, set, once []Member) ([]byte, bool) {
	changed := false
	o.next = o.next[:0]
	a, b, c := o.old, set, once
	for len(a)+len(b)+len(c) > 0 {
		// The least key of the three heads.
		var key []byte
		for _, l := range [...][]Member{a, b, c} {
			if len(l) > 0 && (key == nil || compareKeys(l[0].Key, key) < 0) {
				key = l[0].Key
			}
		}
		var value, before []byte
		if len(c) > 0 && bytes.Equal(c[0].Key, key) {
			if string(c[0].Value) != "null" {
				value = c[0].Value
			}
			c = c[1:]
		}
		if len(a) > 0 && bytes.Equal(a[0].Key, key) {
			before, value = a[0].Value, a[0].Value
			a = a[1:]
		}
		if len(b) > 0 && bytes.Equal(b[0].Key, key) {
			value = b[0].Value
			b = b[1:]
		}
		for _, u := range o.unset {
			if bytes.Equal(u, key) {
				value = nil
			}
		}
		changed = changed || !bytes.Equal(before, value)
		if value != nil {
			o.next = append(o.next, Member{key, value})
		}
	}
	if !changed {
		return old, false
	}
	return object(o.next), true
}

// Union is the members of both canonical objects; those of target win.
func (o *Merger) Union(source, target []byte) []byte {
	o.old = canonicalMembers(o.old, source)
	o.set = canonicalMembers(o.set, target)
	o.next = o.next[:0]
	a, b := o.old, o.set
	for len(a) > 0 && len(b) > 0 {
		switch c := compareKeys(a[0].Key, b[0].Key); {
		case c < 0:
			o.next = append(o.next, a[0])
			a = a[1:]
		case c > 0:
			o.next = append(o.next, b[0])
			b = b[1:]
		default:
			o.next = append(o.next, b[0])
			a, b = a[1:], b[1:]
		}
	}
	o.next = append(append(o.next, a...), b...)
	return object(o.next)
}

// object is the canonical text of an object, empty if it has no members.
func object(members []Member) []byte {
	if len(members) == 0 {
		return nil
	}
	size := 2
	for _, m := range members {
		size += len(m.Key) + len(m.Value) + 4
	}
	dst := append(make([]byte, 0, size), '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, m.Key...)
		dst = append(dst, ": "...)
		dst = append(dst, m.Value...)
	}
	return append(dst, '}')
}

// reader reads JSON and writes it as jsonb prints it: keys by length, then bytes, one
// blank after colon and comma, numbers with the digits they came with.
type reader struct {
	s []byte
	i int
}

func (r *reader) blanks() {
	for r.i < len(r.s) && (r.s[r.i] == ' ' || r.s[r.i] == '\n' || r.s[r.i] == '\t' || r.s[r.i] == '\r') {
		r.i++
	}
}

func (r *reader) take(c byte) bool {
	r.blanks()
	if r.i < len(r.s) && r.s[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *reader) value(dst []byte, depth int) ([]byte, bool) {
	r.blanks()
	if r.i >= len(r.s) || depth > maxDepth {
		return dst, false
	}
	switch c := r.s[r.i]; {
	case c == '{':
		return r.object(dst, depth)
	case c == '[':
		return r.array(dst, depth)
	case c == '"':
		return r.text(dst)
	case c == '-' || c >= '0' && c <= '9':
		start := r.i
		for r.i < len(r.s) && isNumberByte(r.s[r.i]) {
			r.i++
		}
		number := r.s[start:r.i]
		if _, err := strconv.ParseFloat(string(number), 64); err != nil && err.(*strconv.NumError).Err != strconv.ErrRange {
			return dst, false
		}
		return append(dst, number...), true
	}
	for _, w := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(r.s[r.i:], []byte(w)) {
			r.i += len(w)
			return append(dst, w...), true
		}
	}
	return dst, false
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c|32 == 'e'
}

func (r *reader) object(dst []byte, depth int) ([]byte, bool) {
	r.i++
	var members []Member
	if !r.take('}') {
		for {
			r.blanks()
			key, ok := r.text(nil)
			if !ok || !r.take(':') {
				return dst, false
			}
			value, ok := r.value(nil, depth+1)
			if !ok {
				return dst, false
			}
			members = append(members, Member{key, value})
			if r.take('}') {
				break
			}
			if !r.take(',') {
				return dst, false
			}
		}
	}
	slices.SortStableFunc(members, func(a, b Member) int { return compareKeys(a.Key, b.Key) })
	dst = append(dst, '{')
	first := true
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(m.Key, members[i+1].Key) {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(dst, m.Key...)
		dst = append(dst, ": "...)
		dst = append(dst, m.Value...)
	}
	return append(dst, '}'), true
}

func (r *reader) array(dst []byte, depth int) ([]byte, bool) {
	r.i++
	dst = append(dst, '[')
	if r.take(']') {
		return append(dst, ']'), true
	}
	for first := true; ; first = false {
		if !first {
			dst = append(dst, ", "...)
		}
		var ok bool
		if dst, ok = r.value(dst, depth+1); !ok {
			return dst, false
		}
		if r.take(']') {
			return append(dst, ']'), true
		}
		if !r.take(',') {
			return dst, false
		}
	}
}

// text reads a string and writes it with as few escapes as JSON allows. What is no
// character becomes U+FFFD.
func (r *reader) text(dst []byte) ([]byte, bool) {
	if r.i >= len(r.s) || r.s[r.i] != '"' {
		return dst, false
	}
	// Nearly every string needs no change.
	for i := r.i + 1; i < len(r.s); i++ {
		if c := r.s[i]; c == '"' {
			dst = append(dst, r.s[r.i:i+1]...)
			r.i = i + 1
			return dst, true
		} else if c == '\\' || c < ' ' {
			break
		}
	}
	var raw []byte
	i := r.i + 1
	for i < len(r.s) && r.s[i] != '"' {
		if r.s[i] != '\\' {
			if r.s[i] == 0 {
				raw = utf8.AppendRune(raw, utf8.RuneError) // text cannot hold it
			} else {
				raw = append(raw, r.s[i])
			}
			i++
			continue
		}
		if i+1 >= len(r.s) {
			return dst, false
		}
		i += 2
		switch c := r.s[i-1]; c {
		case '"', '\\', '/':
			raw = append(raw, c)
		case 'b':
			raw = append(raw, '\b')
		case 'f':
			raw = append(raw, '\f')
		case 'n':
			raw = append(raw, '\n')
		case 'r':
			raw = append(raw, '\r')
		case 't':
			raw = append(raw, '\t')
		case 'u':
			u, ok := hex4(r.s, i)
			if !ok {
				return dst, false
			}
			i += 4
			if u >= 0xd800 && u < 0xdc00 && i+6 <= len(r.s) && r.s[i] == '\\' && r.s[i+1] == 'u' {
				if low, ok := hex4(r.s, i+2); ok && low >= 0xdc00 && low < 0xe000 {
					u = 0x10000 + (u-0xd800)<<10 + low - 0xdc00
					i += 6
				}
			}
			if u == 0 {
				u = utf8.RuneError // text cannot hold it
			}
			raw = utf8.AppendRune(raw, u)
		default:
			return dst, false
		}
	}
	if i >= len(r.s) {
		return dst, false
	}
	r.i = i + 1
	return event.AppendJSONString(dst, raw), true
}

func hex4(s []byte, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	u, err := strconv.ParseUint(string(s[i:i+4]), 16, 16)
	return rune(u), err == nil
}
