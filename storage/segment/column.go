package segment

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

const (
	// A column of numbers has no dictionary when it has more distinct values than
	// plainLeast and than a share of its rows, or very many: then codes are about as
	// wide as the values, and the dictionary comes on top.
	plainLeast = 256
	plainShare = 4
	plainMany  = 1 << 16
)

// columnOut is a property of a group, encoded.
type columnOut struct {
	group   int
	entry   columnEntry
	data    []byte
	carried []bool // by range of the group
}

// propRef is where a source has a property.
type propRef struct {
	source int
	prop   *prop
}

// columns encodes the properties. If all session ids are text, they are not among the
// columns but returned as the only element of session.
func (b *builder) columns() (session []owned, byGroup [][]columnOut, err error) {
	refs := map[string][]propRef{}
	var keys []string
	for i := range b.sources {
		props := b.sources[i].props
		for j := range props {
			p := &props[j]
			if refs[p.key] == nil {
				if len(p.key) > maxKey {
					return nil, nil, fmt.Errorf("a property key of %d bytes, at most %d are possible", len(p.key), maxKey)
				}
				keys = append(keys, p.key)
			}
			refs[p.key] = append(refs[p.key], propRef{i, p})
		}
	}
	slices.Sort(keys)
	columns := make([][]columnOut, len(keys))
	sessions := make([][]owned, len(keys))
	err = parallel(len(keys), func(i int) error {
		var err error
		columns[i], sessions[i], err = b.property(keys[i], refs[keys[i]])
		if err != nil {
			return fmt.Errorf("property %q: %w", keys[i], err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	byGroup = make([][]columnOut, len(b.members))
	for i := range columns {
		for j := range columns[i] {
			g := columns[i][j].group
			byGroup[g] = append(byGroup[g], columns[i][j])
		}
		session = append(session, sessions[i]...)
	}
	if !b.opt.Image {
		err := parallel(len(byGroup), func(g int) error {
			rows := 0
			for _, m := range b.members[g] {
				rows += b.lo[m+1] - b.lo[m]
			}
			return follow(byGroup[g], rows)
		})
		if err != nil {
			return nil, nil, err
		}
	}
	for g, members := range b.members {
		if len(members) < 2 {
			continue
		}
		for at, m := range members {
			marks := make([]byte, (len(byGroup[g])+7)/8)
			for i := range byGroup[g] {
				if byGroup[g][i].carried[at] {
					marks[i/8] |= 1 << (i % 8)
				}
			}
			b.dir.ranges[m].carried = marks
		}
	}
	return session, byGroup, nil
}

// columnScratch is memory in which columns are made, one after the other.
type columnScratch struct {
	codes  []uint32 // of all rows of a segment
	source []uint32 // of a piece of a source
	group  []uint32 // of the rows of a group that several events share
	data   []byte
}

var columnScratches = sync.Pool{New: func() any { return new(columnScratch) }}

// property encodes one property for every group that has it.
func (b *builder) property(key string, refs []propRef) ([]columnOut, []owned, error) {
	scratch := columnScratches.Get().(*columnScratch)
	defer columnScratches.Put(scratch)
	var u unifier
	ids := make([][]uint32, 0, len(refs))
	for _, ref := range refs {
		for i := range ref.prop.pieces {
			of, err := ref.prop.pieces[i].add(&u)
			if err != nil {
				return nil, nil, err
			}
			ids = append(ids, of)
		}
	}
	scratch.codes = resize(scratch.codes, b.dir.rows)
	codes := scratch.codes // one more than the id, 0 for nothing
	clear(codes)
	at, any := 0, false
	for _, ref := range refs {
		for i := range ref.prop.pieces {
			some, err := b.scatter(codes, ref.source, &ref.prop.pieces[i], ids[at], 1, &scratch.source)
			if err != nil {
				return nil, nil, err
			}
			ids[at] = nil
			at++
			any = any || some
		}
	}
	if !any {
		return nil, nil, nil
	}
	if key == sessionKey && onlyText(&u, codes) {
		for i := range codes {
			codes[i]-- // to dropped, if there is none
		}
		scratch.codes = nil // they are kept
		return nil, []owned{b.own(&u, codes, true)}, nil
	}
	e := columnEncoder{u: &u, order: u.order(), local: make([]uint32, u.len()+1), compress: !b.opt.Image, scratch: scratch}
	e.rank = make([]uint32, len(e.order)+1)
	for i, id := range e.order {
		e.rank[id+1] = uint32(i)
	}
	var out []columnOut
	for g, members := range b.members {
		rows := codes[b.lo[members[0]]:b.lo[members[0]+1]]
		carried := []bool{true}
		if len(members) > 1 {
			rows, carried = scratch.group[:0], make([]bool, 0, len(members))
			for _, m := range members {
				part := codes[b.lo[m]:b.lo[m+1]]
				rows = append(rows, part...)
				carried = append(carried, slices.ContainsFunc(part, func(c uint32) bool { return c != 0 }))
			}
			scratch.group = rows
		}
		if c, ok := e.encode(rows); ok {
			c.group, c.entry.key, c.carried = g, key, carried
			out = append(out, c)
		}
	}
	return out, nil, nil
}

func onlyText(u *unifier, codes []uint32) bool {
	for _, k := range u.kinds {
		if k != event.Text {
			// A value of another kind may belong to a row that is not kept.
			for _, c := range codes {
				if c != 0 && u.kinds[c-1] != event.Text {
					return false
				}
			}
			return true
		}
	}
	return true
}

// columnEncoder encodes one property of group after group.
type columnEncoder struct {
	u        *unifier
	order    []uint32 // ids as sorted
	rank     []uint32 // by id plus one: position in order
	local    []uint32 // by id plus one: code in the group; 0 between groups
	used     []uint32 // ids plus one of the group, sorted
	compress bool
	scratch  *columnScratch
}

// encode gives the column of a group, unless no row has a value. Rows holds ids plus one
// and is overwritten.
func (e *columnEncoder) encode(rows []uint32) (columnOut, bool) {
	e.used = e.used[:0]
	var out columnOut
	c := &out.entry
	c.leader = noLeader
	for _, id := range rows {
		if id == 0 {
			c.nullable = true
		} else if e.local[id] == 0 {
			e.local[id] = 1
			e.used = append(e.used, id)
		}
	}
	if len(e.used) == 0 {
		return out, false
	}
	if len(e.used)*8 > len(e.order) {
		e.used = e.used[:0]
		for _, id := range e.order {
			if e.local[id+1] != 0 {
				e.used = append(e.used, id+1)
			}
		}
	} else {
		slices.SortFunc(e.used, func(x, y uint32) int { return cmp.Compare(e.rank[x], e.rank[y]) })
	}
	first := uint32(0)
	if c.nullable {
		first = 1
	}
	for i, id := range e.used {
		e.local[id] = uint32(i) + first
		c.counts[e.u.kinds[id-1]]++
	}
	out.data = e.scratch.data[:0]
	n := len(e.used)
	if kind := e.u.kinds[e.used[0]-1]; c.counts[kind] == n && (kind == event.Int || kind == event.Float) &&
		(n > plainMany || n > plainLeast && n > len(rows)/plainShare) {
		c.plain = true
		e.plain(&out, kind, rows)
	} else {
		e.dictionary(&out, rows)
	}
	e.scratch.data, out.data = out.data, bytes.Clone(out.data)
	for _, id := range e.used {
		e.local[id] = 0
	}
	return out, true
}

// plain writes whether a row has a value, and a number for every row.
func (e *columnEncoder) plain(out *columnOut, kind event.Kind, rows []uint32) {
	c := &out.entry
	values := make([]int64, len(rows))
	before := e.u.num[e.used[0]-1] // a row without a value repeats the one before
	for i, id := range rows {
		if id != 0 {
			before = e.u.num[id-1]
			rows[i] = 1
			if !c.nullable {
				rows[i] = 0
			}
		}
		values[i] = before
	}
	if kind == event.Float {
		c.decimals = packFloats(values)
	}
	out.data = encoding.AppendColumn(out.data, rows)
	c.codes.size = len(out.data)
	out.data = encoding.AppendWide(out.data, values)
	c.values[kind].size = len(out.data) - c.codes.size
}

// dictionary writes a code a row and the values of each kind.
func (e *columnEncoder) dictionary(out *columnOut, rows []uint32) {
	c := &out.entry
	for i, id := range rows {
		rows[i] = e.local[id] // 0 stays 0
	}
	out.data = encoding.AppendColumn(out.data, rows)
	c.codes.size = len(out.data)
	used := e.used
	for kind := range event.JSON + 1 {
		part := used[:c.counts[kind]]
		used = used[c.counts[kind]:]
		start := len(out.data)
		if len(part) == 0 {
			continue
		}
		switch kind {
		case event.Null:
		case event.Bool, event.Int, event.Float:
			values := make([]int64, len(part))
			for i, id := range part {
				values[i] = e.u.num[id-1]
			}
			if kind == event.Float {
				c.decimals = packFloats(values)
			}
			out.data = encoding.AppendWide(out.data, values)
		default:
			size := 0
			for _, id := range part {
				size += len(e.u.at(id - 1))
			}
			values := vec.MakeStrings(len(part), size)
			for _, id := range part {
				values.Append(e.u.at(id - 1))
			}
			out.data = appendStrings(out.data, &values, e.compress)
		}
		c.values[kind].size = len(out.data) - start
	}
}

var powers = [maxDecimals + 1]float64{1, 10, 100, 1000, 10000}

// packFloats turns the bits of floats into small integers: the values times 10^decimals
// if that is exact for all of them, or integers that sort alike.
func packFloats(v []int64) (decimals uint8) {
	for e, p := range powers {
		if scaleFloats(v, p, nil) {
			scaleFloats(v, p, v)
			return uint8(e)
		}
	}
	for i := range v {
		v[i] = floatKey(v[i])
	}
	return rawFloats
}

func scaleFloats(v []int64, power float64, dst []int64) bool {
	for i, b := range v {
		scaled := math.Round(math.Float64frombits(uint64(b)) * power)
		if !(math.Abs(scaled) < 1<<53) {
			return false
		}
		n := int64(scaled)
		if math.Float64bits(float64(n)/power) != uint64(b) {
			return false
		}
		if dst != nil {
			dst[i] = n
		}
	}
	return true
}

func unpackFloat(v int64, decimals uint8) float64 {
	if decimals == rawFloats {
		return math.Float64frombits(uint64(floatKey(v)))
	}
	return float64(v) / powers[decimals]
}

// floatBits is the bits of a float that was packed.
func floatBits(v int64, decimals uint8) int64 {
	return int64(math.Float64bits(unpackFloat(v, decimals)))
}

// column writes an encoded column and says in the directory where it lies.
func (b *builder) column(group int, c *columnOut) {
	at := len(b.out)
	b.out = append(b.out, c.data...)
	c.data = nil
	c.entry.codes.off = at
	at += c.entry.codes.size
	for k := range c.entry.values {
		c.entry.values[k].off = at
		at += c.entry.values[k].size
	}
	g := &b.dir.groups[group]
	g.columns = append(g.columns, c.entry)
}
