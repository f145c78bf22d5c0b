package storage

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
)

// copies does what the rows of a batch set on persons. What rows copy ([event.Copy]) waits
// until flush: of all rows of a person only the first and the last value of a property
// matter, and writing a person's properties costs more than looking at many rows. Between
// batches it keeps its memory, and what it knows of names: the next batch has mostly the same.
type copies struct {
	persons *person.State
	sets    []copySet
	names   [][]event.CopiedProp // that targets were made of, by copy of the batch
	targets []target             // in the order of their keys
	once    []int                // targets in the order of their keys for first values
	slots   map[uint32]int
	roots   []uint32 // of the slots
	// first and last are, for each slot and target, the values that matter.
	first, last []cell
	arena       []byte
	set, init   []properties.Member
}

// copySet is an event.Copy whose names are found.
type copySet struct {
	rows  vec.Bitmap
	props []copyProp
}

type copyProp struct {
	prop   *event.Prop
	target int
}

// target is a property of persons, as a key in quotes, and as the key of its first value.
type target struct {
	name         string
	key, initial []byte
}

// cell is a value: of a row, counted from 1. Without a property it is none.
type cell struct {
	row  uint32
	prop *event.Prop
}

// begin is for the rows of another batch, which are given in their order.
func (c *copies) begin(persons *person.State, b *event.Batch) {
	c.persons = persons
	if !slices.EqualFunc(b.Copies, c.names, func(x event.Copy, y []event.CopiedProp) bool { return slices.Equal(x.Props, y) }) {
		c.learn(b)
	}
	c.sets = slices.Grow(c.sets, len(b.Copies))[:len(b.Copies)]
	for i := range b.Copies {
		set := &c.sets[i]
		set.rows, set.props = b.Copies[i].Rows, set.props[:0]
		for _, p := range b.Copies[i].Props {
			if at, found := b.Find(p.From); found { // it may have been one property too many
				t := slices.IndexFunc(c.targets, func(t target) bool { return t.name == p.To })
				set.props = append(set.props, copyProp{&b.Props[at], t})
			}
		}
	}
}

// learn makes the targets of a batch.
func (c *copies) learn(b *event.Batch) {
	c.names, c.targets, c.once = nil, nil, nil
	if c.slots == nil {
		c.slots = map[uint32]int{}
	}
	for i := range b.Copies {
		var names []event.CopiedProp
		for _, p := range b.Copies[i].Props {
			p = event.CopiedProp{From: strings.Clone(p.From), To: strings.Clone(p.To)} // a batch's are part of its bytes
			names = append(names, p)
			if !slices.ContainsFunc(c.targets, func(t target) bool { return t.name == p.To }) {
				quote := func(key string) []byte { return event.AppendJSONString(nil, []byte(key)) }
				c.targets = append(c.targets, target{p.To, quote(p.To), quote(event.Initial(p.To))})
			}
		}
		c.names = append(c.names, names)
	}
	slices.SortFunc(c.targets, func(x, y target) int { return properties.CompareKeys(x.key, y.key) })
	for i := range c.targets {
		c.once = append(c.once, i)
	}
	slices.SortFunc(c.once, func(x, y int) int { return properties.CompareKeys(c.targets[x].initial, c.targets[y].initial) })
}

// row takes what a row sets on the person of an ordinal.
func (c *copies) row(row int, ordinal uint32, ops []event.PersonOp) {
	copied := slices.ContainsFunc(c.sets, func(s copySet) bool { return s.rows.Get(row) })
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
		end := len(c.roots) * len(c.targets)
		c.first, c.last = slices.Grow(c.first, len(c.targets))[:end], slices.Grow(c.last, len(c.targets))[:end]
		clear(c.first[end-len(c.targets):])
		clear(c.last[end-len(c.targets):])
	}
	from := slot * len(c.targets)
	first, last := c.first[from:from+len(c.targets)], c.last[from:from+len(c.targets)]
	now := uint32(row) + 1
	for i := range c.sets {
		if !c.sets[i].rows.Get(row) {
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
	if len(c.roots) == 0 {
		return
	}
	clear(c.slots)
	clear(c.first)
	clear(c.last)
	c.roots, c.first, c.last = c.roots[:0], c.first[:0], c.last[:0]
}

// end writes what was noted, and lets go of the batch.
func (c *copies) end() {
	c.flush()
	if cap(c.first) > keptCells {
		c.first, c.last, c.slots = nil, nil, map[uint32]int{}
	}
	for i := range c.sets {
		clear(c.sets[i].props)
		c.sets[i].rows = nil
	}
}

// keptCells bounds the memory that is kept between batches: a MB.
const keptCells = 1 << 15

// value is the value of a cell as canonical text.
func (c *copies) value(l cell) []byte {
	code := l.prop.Codes[l.row-1] - 1
	start := len(c.arena)
	c.arena = event.AppendJSON(c.arena, l.prop.Kinds[code], l.prop.Values.At(int(code)))
	return c.arena[start:len(c.arena):len(c.arena)]
}
