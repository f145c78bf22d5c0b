package capture

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/vec"
)

// group is what a $groupidentify does to a group: it makes no person.
func (d *decoder) group() {
	w := &d.row
	kind, key := idText(w.groupType), groupKey(w.groupKey)
	if len(kind) == 0 || len(key) == 0 {
		d.warn("invalid_group_identify")
		return
	}
	op := event.GroupOp{Type: string(kind), Key: string(key), Unset: d.unset(w.groupSets[2])}
	if v := d.objectOf(w.groupSets[0]); isObject(v) {
		op.Set = bytes.Clone(v.text)
	}
	if v := d.objectOf(w.groupSets[1]); isObject(v) {
		op.SetOnce = bytes.Clone(v.text)
	}
	d.b.Group(op)
}

// groupKey is the key of a group as text, cut to what is kept of one.
func groupKey(v value) []byte {
	if !v.set || v.kind == event.Null {
		return nil
	}
	text := v.text
	for at, n := 0, 0; at < len(text); n++ {
		if n == group.MaxKey {
			return text[:at]
		}
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return text
}

// groupsKey is the property in which an event names its groups by their types, and groupKeys
// are those that hold their keys by the index of the type.
const groupsKey = "$groups"

var groupKeys = [group.Types]string{"$group_0", "$group_1", "$group_2", "$group_3", "$group_4"}

// nameGroups gives the events of a batch the keys of the groups that $groups names. name
// gives types of groups an index, where they have none yet, and says which has which. Types
// for which no index is left are ignored, and given back.
func nameGroups(b *event.Batch, name func(types []string) ([]string, error)) (ignored []string, err error) {
	var types []string
	for i := range b.Groups {
		types = append(types, b.Groups[i].Type)
	}
	at, found := b.Find(groupsKey)
	var members [][]namedGroup
	if found {
		p := &b.Props[at]
		members = make([][]namedGroup, p.Values.Len())
		for v := range members {
			if p.Kinds[v] == event.JSON {
				members[v] = groupMembers(p.Values.At(v))
			}
			for _, m := range members[v] {
				types = append(types, m.kind)
			}
		}
	}
	if len(types) == 0 {
		return nil, nil
	}
	slices.Sort(types)
	types = slices.Compact(types)
	names, err := name(types)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if !slices.Contains(names, t) {
			ignored = append(ignored, t)
		}
	}
	if !found {
		return ignored, nil
	}
	codes := b.Props[at].Codes
	for i, t := range names[:min(len(names), group.Types)] {
		if t == "" {
			continue
		}
		keys := make([]string, len(members))
		some := false
		for v := range members {
			for _, m := range members[v] {
				if m.kind == t {
					keys[v], some = m.key, true
				}
			}
		}
		if some {
			setTexts(b, groupKeys[i], codes, keys)
		}
	}
	return ignored, nil
}

// NameGroups gives the events of a batch that was read from a file the keys of the groups that
// $groups names. name gives types of groups an index, where they have none yet and one is
// left, and gives the names of all by index.
func NameGroups(b *event.Batch, name func(types []string) ([]string, error)) error {
	_, err := nameGroups(b, name)
	return err
}

// namedGroup is a group that an event names: its type and its key.
type namedGroup struct{ kind, key string }

// groupMembers reads an object of $groups. Groups without a type or key are none.
func groupMembers(object []byte) (out []namedGroup) {
	if len(object) == 0 || object[0] != '{' {
		return nil
	}
	s := scanner{src: object}
	for more := s.open('}'); more; {
		name, ok := s.key()
		if !ok {
			break
		}
		kind := string(idText(value{event.Text, true, name}))
		k, text, ok := s.value()
		if !ok {
			break
		}
		if key := string(groupKey(value{k, true, text})); kind != "" && key != "" {
			out = append(out, namedGroup{kind, key})
		}
		more, _ = s.more('}')
	}
	return out
}

// setTexts sets a property of the rows of a batch to a text for each code of another: that
// of code c is texts[c-1]. Where it is empty, or the code is 0, the row stays as it is.
func setTexts(b *event.Batch, key string, codes event.Codes, texts []string) {
	at, found := b.Find(key)
	if !found {
		b.Props = slices.Insert(b.Props, at, event.Prop{Key: key, Codes: event.NewCodes(b.Rows, 1)})
	}
	p := &b.Props[at]
	known := map[string]uint32{}
	values, kinds := vec.Strings{}, slices.Clone(p.Kinds)
	for v := range p.Values.Len() {
		values.Append(p.Values.At(v))
		if kinds[v] == event.Text {
			known[p.Values.Str(v)] = uint32(v) + 1
		}
	}
	to := make([]uint32, len(texts)+1)
	for i, text := range texts {
		if text == "" {
			continue
		}
		if known[text] == 0 {
			values.AppendString(text)
			kinds = append(kinds, event.Text)
			known[text] = uint32(len(kinds))
		}
		to[i+1] = known[text]
	}
	p.Kinds, p.Values = kinds, values
	for row := range codes.Len() {
		if t := to[codes.At(row)]; t != 0 {
			p.Codes.Set(row, t)
		}
	}
}
