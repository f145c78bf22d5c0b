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
// batches it keeps its memory, and what it knows of names: the next batch, of whichever
// project, has mostly the same.
type copies struct {
	persons *person.State
	sets    []copySet
	names   [][]copiedName // what targets and firsts were made of, by copy of the batch
	targets []target       // what last values become, in the order of their keys
	firsts  []target       // what first values become, in the order of their keys
	slots   map[uint32]int
	roots   []uint32 // of the slots
	// first and last are the values that matter: of each slot, one for each of firsts and of
	// targets.
	first, last []cell
	arena       []byte
	set, init   []properties.Member
}

// copySet is an event.Copy whose names are found.
type copySet struct {
	rows  vec.Bitmap
	props []copyProp
}

// copiedName is an event.CopiedProp, and where in targets and firsts its values go.
type copiedName struct {
	event.CopiedProp
	target, first int
}

// copyProp is a property of the batch, and what is known of its name. From is where its codes go on.
type copyProp struct {
	prop *event.Prop
	from int
	*copiedName
}

// target is a property of persons, and its name in quotes.
type target struct {
	name string
	key  []byte
}

// cell is a value: of a row, counted from 1. Without a property it is none.
type cell struct {
	row  uint32
	prop *event.Prop
}

// begin is for the rows of another batch, which are given in their order.
func (c *copies) begin(persons *person.State, b *event.Batch) {
	c.persons = persons
	same := func(x event.Copy, y []copiedName) bool {
		return slices.EqualFunc(x.Props, y, func(p event.CopiedProp, n copiedName) bool { return p == n.CopiedProp })
	}
	if len(b.Copies) > 0 && !slices.EqualFunc(b.Copies, c.names, same) {
		c.learn(b)
	}
	c.sets = slices.Grow(c.sets, len(b.Copies))[:len(b.Copies)]
	for i := range b.Copies {
		set := &c.sets[i]
		set.rows, set.props = b.Copies[i].Rows, set.props[:0]
		for k := range c.names[i] {
			n := &c.names[i][k]
			if at, found := b.Find(n.From); found { // it may have been one property too many
				set.props = append(set.props, copyProp{&b.Props[at], 0, n})
			}
		}
	}
}

// learn finds out what the rows of a batch set. Two properties may have one name for their
// first values: $a and a.
func (c *copies) learn(b *event.Batch) {
	c.names, c.targets, c.firsts = nil, nil, nil
	if c.slots == nil {
		c.slots = map[uint32]int{}
	}
	for i := range b.Copies {
		var names []copiedName
		for _, p := range b.Copies[i].Props {
			p = event.CopiedProp{From: strings.Clone(p.From), To: strings.Clone(p.To)} // a batch's are part of its bytes
			names = append(names, copiedName{CopiedProp: p})
			c.targets, c.firsts = withTarget(c.targets, p.To), withTarget(c.firsts, event.Initial(p.To))
		}
		c.names = append(c.names, names)
	}
	for _, list := range [][]target{c.targets, c.firsts} {
		slices.SortFunc(list, func(x, y target) int { return properties.CompareKeys(x.key, y.key) })
	}
	for _, names := range c.names {
		for i := range names {
			n := &names[i]
			n.target, n.first = find(c.targets, n.To), find(c.firsts, event.Initial(n.To))
		}
	}
}

func find(list []target, name string) int {
	return slices.IndexFunc(list, func(t target) bool { return t.name == name })
}

func withTarget(list []target, name string) []target {
	if find(list, name) >= 0 {
		return list
	}
	return append(list, target{name, event.AppendJSONString(nil, []byte(name))})
}

// row takes what a row sets on the person of an ordinal.
func (c *copies) row(row int, ordinal uint32, ops []event.PersonOp) {
	copied := slices.ContainsFunc(c.sets, func(s copySet) bool { return s.rows.Get(row) })
	if !copied && len(ops) == 0 {
		return
	}
	if len(ops) == 0 {
		c.note(row, c.persons.Root(ordinal))
		return
	}
	c.flush()
	if !copied {
		for i := range ops {
			c.persons.Set(ordinal, &ops[i])
		}
		return
	}
	for i := range ops {
		c.persons.Set(ordinal, &event.PersonOp{SetOnce: ops[i].SetOnce})
	}
	c.note(row, c.persons.Root(ordinal))
	c.flush()
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
		c.first, c.last = grown(c.first, len(c.firsts)), grown(c.last, len(c.targets))
	}
	first, last := c.first[slot*len(c.firsts):], c.last[slot*len(c.targets):]
	now := uint32(row) + 1
	for i := range c.sets {
		if !c.sets[i].rows.Get(row) {
			continue
		}
		props := c.sets[i].props
		for k := range props {
			p := &props[k]
			code := p.prop.Codes.Next(row, &p.from)
			if code == 0 {
				continue
			}
			last[p.target] = cell{now, p.prop}
			// Of several that the row has for one first value, the last counts as well.
			if f := &first[p.first]; (f.prop == nil || f.row == now) && p.prop.Kinds[code-1] != event.Null {
				*f = cell{now, p.prop}
			}
		}
	}
}

// grown is cells with n more of them, which are none.
func grown(cells []cell, n int) []cell {
	end := len(cells)
	cells = slices.Grow(cells, n)[:end+n]
	clear(cells[end:])
	return cells
}

// flush writes what was noted. It must come before persons are merged.
func (c *copies) flush() {
	for slot, root := range c.roots {
		c.arena = c.arena[:0]
		c.set = c.members(c.set[:0], c.targets, c.last[slot*len(c.targets):])
		c.init = c.members(c.init[:0], c.firsts, c.first[slot*len(c.firsts):])
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

// members adds what a person gets of targets to dst.
func (c *copies) members(dst []properties.Member, targets []target, cells []cell) []properties.Member {
	for i := range targets {
		if v := cells[i]; v.prop != nil {
			dst = append(dst, properties.Member{Key: targets[i].key, Value: c.value(v)})
		}
	}
	return dst
}

// end writes what was noted, and lets go of the batch.
func (c *copies) end() {
	c.flush()
	c.persons = nil
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
	code := l.prop.Codes.At(int(l.row-1)) - 1
	start := len(c.arena)
	c.arena = event.AppendJSON(c.arena, l.prop.Kinds[code], l.prop.Values.At(int(code)))
	return c.arena[start:len(c.arena):len(c.arena)]
}
