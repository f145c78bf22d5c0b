package properties

import (
	"bytes"
	"encoding/json"

	"github.com/prickledb/prickle/storage/event"
)

// Kinds is a set of kinds of values that a property has. A value that is null is of none:
// it is as if it were not there.
type Kinds uint8

// The kinds.
const (
	Bool Kinds = 1 << iota
	Number
	Text
	JSON // an array or object
)

// OfEvent is the set of one kind of value of an event.
func OfEvent(k event.Kind) Kinds {
	switch k {
	case event.Bool:
		return Bool
	case event.Int, event.Float, event.Number:
		return Number
	case event.Text:
		return Text
	case event.JSON:
		return JSON
	}
	return 0
}

// kindOf is the set of the kind of a value, given as canonical text.
func kindOf(value []byte) Kinds {
	switch value[0] {
	case '"':
		return Text
	case '{', '[':
		return JSON
	case 't', 'f':
		return Bool
	case 'n':
		return 0
	}
	return Number
}

// Seen is the kinds of values by the name of the property.
type Seen map[string]Kinds

// Add notes the values of an object, given as canonical text.
func (s Seen) Add(object []byte) {
	each(object, func(key, value []byte) bool {
		name, k := unquote(key), kindOf(value)
		if had, known := s[string(name)]; !known || had|k != had {
			s[string(name)] = had | k
		}
		return true
	})
}

// Join adds what another has seen.
func (s Seen) Join(other Seen) {
	for name, k := range other {
		s[name] |= k
	}
}

// Value is the value of a property as canonical text, from an object that is canonical
// text itself, and whether there is one. It copies nothing.
func Value(object, name []byte) (value []byte, ok bool) {
	each(object, func(key, v []byte) bool {
		if bytes.Equal(unquote(key), name) {
			value, ok = v, true
		}
		return !ok
	})
	return value, ok
}

// each visits the members of an object that is canonical text, until visit says no.
func each(object []byte, visit func(key, value []byte) bool) {
	for i := 1; i < len(object) && object[i] == '"'; i += 2 {
		key := skip(object, i)
		if key+2 >= len(object) {
			return
		}
		end := skip(object, key+2)
		if end == key+2 || !visit(object[i:key], object[key+2:end]) {
			return
		}
		i = end
	}
}

// unquote is the text of a canonical string.
func unquote(quoted []byte) []byte {
	inside := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return inside // it is not canonical
	}
	return []byte(text)
}
