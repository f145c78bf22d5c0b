package storage

import (
	"slices"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/properties"
)

// copies does what the rows of a batch set on persons. What rows copy ([event.Copy]) waits
// until flush: of all rows of a person only the first and the last value of a property
// matter, and writing a person's properties costs more than looking at many rows.
type copies struct {
	persons *person.State
	batch   *event.Batch
	sets    []copySet
	targets []target // in the order of their keys, as are all lists below
	once    []int    // targets in the order of their keys for first values
	slots   map[uint32]int
	roots   []uint32 // of the slots
	// first and last hold, for each slot and target, one more than the row of the value, and
	// where among the properties of its set it is. 0 is none.
	first, last []cell
	arena       []byte
	set, init   []properties.Member
}

// copySet is an event.Copy whose names are found.
type copySet struct {
	*event.Copy
	props []copyProp
}

type copyProp struct {
	prop   *event.Prop
	target int
}

// target is a property of persons, as a key in quotes, and as the key of its first value.
type target struct{ key, initial []byte }

type cell struct {
	row  uint32
	prop *event.Prop
}

// newCopies is for the rows of a batch, which are given in their order.
func newCopies(persons *person.State, b *event.Batch) *copies {
	c := &copies{persons: persons, batch: b}
	quote := func(key string) []byte { return event.AppendJSONString(nil, []byte(key)) }
	names := map[string]int{}
	for i := range b.Copies {
		for _, p := range b.Copies[i].Props {
			if _, known := names[p.To]; !known {
				names[p.To] = 0
				c.targets = append(c.targets, target{quote(p.To), quote(event.Initial(p.To))})
			}
		}
	}
	if len(c.targets) == 0 {
		return c
	}
	c.slots = map[uint32]int{}
	slices.SortFunc(c.targets, func(x, y target) int { return properties.CompareKeys(x.key, y.key) })
	for i, t := range c.targets {
		c.once = append(c.once, i)
		names[string(t.key)] = i
	}
	slices.SortFunc(c.once, func(x, y int) int { return properties.CompareKeys(c.targets[x].initial, c.targets[y].initial) })
	for i := range b.Copies {
		set := copySet{Copy: &b.Copies[i]}
		for _, p := range set.Props {
			if at, found := b.Find(p.From); found { // it may have been one property too many
				set.props = append(set.props, copyProp{&b.Props[at], names[string(quote(p.To))]})
			}
		}
		c.sets = append(c.sets, set)
	}
	return c
}

// row takes what a row sets on the person of an ordinal.
func (c *copies) row(row int, ordinal uint32, ops []event.PersonOp) {
	copied := slices.ContainsFunc(c.sets, func(s copySet) bool { return s.Rows.Get(row) })
	if !copied && len(ops) == 0 {
		return
	}
	if len(ops) > 0 {
		c.flush()
	}
	for i := range ops {
		c.persons.Set(ordinal, &event.PersonOp{SetOnce: ops[i].SetOnce})
	}
	if copied {
		c.note(row, c.persons.Root(ordinal))
	}
	if len(ops) > 0 {
		c.flush()
	}
	for i := range ops {
		c.persons.Set(ordinal, &event.PersonOp{Set: ops[i].Set, Unset: ops[i].Unset})
	}
}

// note remembers what a row copies to a person.
func (c *copies) note(row int, root uint32) {
	slot, known := c.slots[root]
	if !known {
		slot = len(c.roots)
		c.slots[root] = slot
		c.roots = append(c.roots, root)
		c.first = append(c.first, make([]cell, len(c.targets))...)
		c.last = append(c.last, make([]cell, len(c.targets))...)
	}
	from := slot * len(c.targets)
	first, last := c.first[from:from+len(c.targets)], c.last[from:from+len(c.targets)]
	now := uint32(row) + 1
	for i := range c.sets {
		if !c.sets[i].Rows.Get(row) {
			continue
		}
		for _, p := range c.sets[i].props {
			code := p.prop.Codes[row]
			if code == 0 {
				continue
			}
			last[p.target] = cell{now, p.prop}
			if f := &first[p.target]; (f.prop == nil || f.row == now) && p.prop.Kinds[code-1] != event.Null {
				*f = cell{now, p.prop}
			}
		}
	}
}

// flush writes what was noted. It must come before persons are merged.
func (c *copies) flush() {
	for slot, root := range c.roots {
		c.arena, c.set, c.init = c.arena[:0], c.set[:0], c.init[:0]
		from := slot * len(c.targets)
		for i := range c.targets {
			if l := c.last[from+i]; l.prop != nil {
				c.set = append(c.set, properties.Member{Key: c.targets[i].key, Value: c.value(l)})
			}
		}
		for _, i := range c.once {
			// Two properties may have one name for their first values: $a and a.
			twice := len(c.init) > 0 && string(c.init[len(c.init)-1].Key) == string(c.targets[i].initial)
			if f := c.first[from+i]; f.prop != nil && !twice {
				c.init = append(c.init, properties.Member{Key: c.targets[i].initial, Value: c.value(f)})
			}
		}
		c.persons.Copy(root, c.set, c.init)
	}
	if len(c.roots) > 0 {
		clear(c.slots)
		c.roots, c.first, c.last = c.roots[:0], c.first[:0], c.last[:0]
	}
}

// value is the value of a cell as canonical text.
func (c *copies) value(l cell) []byte {
	code := l.prop.Codes[l.row-1] - 1
	start := len(c.arena)
	c.arena = event.AppendJSON(c.arena, l.prop.Kinds[code], l.prop.Values.At(int(code)))
	return c.arena[start:len(c.arena):len(c.arena)]
}
