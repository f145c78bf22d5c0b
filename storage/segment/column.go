package segment

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

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
	carried []uint32 // which ranges of the group have it, by position in its members; nil if there is but one
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
	if err := b.findGroups(keys, refs); err != nil {
		return nil, nil, err
	}
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
		err := parallel(len(byGroup), func(g int) error { return follow(byGroup[g], b.dir.groups[g].rows) })
		if err != nil {
			return nil, nil, err
		}
	}
	for g, members := range b.members {
		if len(members) < 2 {
			continue
		}
		for _, m := range members {
			b.dir.ranges[m].carried = make([]byte, (len(byGroup[g])+7)/8)
		}
		for i := range byGroup[g] {
			for _, at := range byGroup[g][i].carried {
				b.dir.ranges[members[at]].carried[i/8] |= 1 << (i % 8)
			}
		}
	}
	return session, byGroup, nil
}

// findGroups decides which ranges share columns.
func (b *builder) findGroups(keys []string, refs map[string][]propRef) error {
	d := &b.dir
	shares := make([]bool, len(d.ranges))
	large := false
	for i := range d.ranges {
		shares[i] = d.ranges[i].rows < ownGroupRows
		large = large || !shares[i]
	}
	if large && len(keys) >= wideColumns {
		if err := b.findWide(shares, keys, refs); err != nil {
			return err
		}
	}
	shared := -1
	b.at = make([]int, len(d.ranges))
	for i := range d.ranges {
		e := &d.ranges[i]
		e.group = len(b.members)
		if shares[i] {
			if shared < 0 {
				shared = e.group
			}
			e.group = shared
		}
		if e.group == len(b.members) {
			b.members = append(b.members, nil)
			d.groups = append(d.groups, groupEntry{})
		}
		b.members[e.group] = append(b.members[e.group], i)
		b.at[i] = d.groups[e.group].rows
		d.groups[e.group].rows += e.rows
	}
	return nil
}

// findWide finds the ranges that have too few values in too many columns.
func (b *builder) findWide(shares []bool, keys []string, refs map[string][]propRef) error {
	rangeOf := make([]uint32, b.dir.rows)
	for i := range b.dir.ranges {
		for row := b.lo[i]; row < b.lo[i+1]; row++ {
			rangeOf[row] = uint32(i)
		}
	}
	columns, values := make([]atomic.Int64, len(shares)), make([]atomic.Int64, len(shares))
	err := parallel(len(keys), func(i int) error {
		scratch := columnScratches.Get().(*columnScratch)
		defer columnScratches.Put(scratch)
		counts := make([]int64, len(shares))
		if err := b.countValues(counts, rangeOf, refs[keys[i]], scratch); err != nil {
			return fmt.Errorf("property %q: %w", keys[i], err)
		}
		for g, n := range counts {
			if n > 0 {
				columns[g].Add(1)
				values[g].Add(n)
			}
		}
		return nil
	})
	for g := range shares {
		n := columns[g].Load()
		shares[g] = shares[g] || n >= wideColumns && values[g].Load() < n*wideValues
	}
	return err
}

// countValues adds to counts, by range, the rows that have a value of a property.
func (b *builder) countValues(counts []int64, rangeOf []uint32, refs []propRef, scratch *columnScratch) error {
	if few, err := b.few(refs, nil, scratch); few || err != nil {
		for _, c := range scratch.cells {
			counts[rangeOf[c.key]]++
		}
		return err
	}
	for _, ref := range refs {
		for k := range ref.prop.pieces {
			p := &ref.prop.pieces[k]
			codes, err := p.read(&scratch.source)
			if err != nil {
				return err
			}
			place := b.place[b.base[ref.source]+p.lo:]
			for r, c := range codes[:min(len(codes), len(place))] {
				if to := place[r]; to != dropped && (c != 0 || !p.nullable) {
					counts[rangeOf[to]]++
				}
			}
		}
	}
	return nil
}

// columnScratch is memory in which columns are made, one after the other.
type columnScratch struct {
	codes  []uint32 // of all rows of a segment
	source []uint32 // of a piece of a source
	group  []uint32 // of the rows of a group that several events share
	few    fewRows
	cells  []entry // rows of the segment that have a value, and their codes
	tmp    []entry
	shared []entry // those of the group that several events share
	values []uint32
	ends   []uint32
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
	few, err := b.few(refs, ids, scratch)
	if err != nil {
		return nil, nil, err
	}
	if few && len(scratch.cells) == 0 {
		return nil, nil, nil
	}
	if few && key != sessionKey {
		scratch.tmp = slices.Grow(scratch.tmp[:0], len(scratch.cells))[:len(scratch.cells)]
		sortEntries(scratch.cells, scratch.tmp)
		return newColumnEncoder(&u, !b.opt.Image, scratch).fewColumns(b, key), nil, nil
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
	e := newColumnEncoder(&u, !b.opt.Image, scratch)
	var out []columnOut
	for g, members := range b.members {
		rows := codes[b.lo[members[0]]:b.lo[members[0]+1]]
		var carried []uint32
		if len(members) > 1 {
			rows = scratch.group[:0]
			for i, m := range members {
				part := codes[b.lo[m]:b.lo[m+1]]
				rows = append(rows, part...)
				if slices.ContainsFunc(part, func(c uint32) bool { return c != 0 }) {
					carried = append(carried, uint32(i))
				}
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

// fewShare is how many rows a segment must have for each value of a property to be made from the values
// alone.
const fewShare = 8

// few fills scratch.cells with the rows that have a value of a property, and one more than the ids of these;
// ids are by piece, and nil if nobody asks for them. It says false, and leaves anything there, if they are not
// few or cannot be found without a look at every row.
func (b *builder) few(refs []propRef, ids [][]uint32, scratch *columnScratch) (bool, error) {
	scratch.cells = scratch.cells[:0]
	for _, ref := range refs {
		for i := range ref.prop.pieces {
			if ref.prop.pieces[i].few == nil {
				return false, nil
			}
		}
	}
	at := 0
	for _, ref := range refs {
		place := b.placeAll(ref.source)
		for i := range ref.prop.pieces {
			f := &scratch.few
			f.rows, f.codes, f.most = f.rows[:0], f.codes[:0], b.dir.rows/fewShare-len(scratch.cells)
			if ok, err := ref.prop.pieces[i].few(f); !ok || err != nil {
				return false, err
			}
			for k, row := range f.rows {
				to := place[row]
				if to == dropped {
					continue
				}
				c := entry{key: uint64(to)}
				if ids != nil {
					c.row = ids[at][f.codes[k]-1] + 1
				}
				scratch.cells = append(scratch.cells, c)
			}
			at++
		}
	}
	return true, nil
}

// fewColumns is the columns of a property that the rows in scratch.cells have.
func (e *columnEncoder) fewColumns(b *builder, key string) (out []columnOut) {
	cells := e.scratch.cells
	shared, sharedBy := e.scratch.shared[:0], []uint32(nil)
	add := func(group int, carried []uint32, cells []entry) {
		c := e.encodeFew(cells, b.dir.groups[group].rows)
		c.group, c.entry.key, c.carried = group, key, carried
		out = append(out, c)
	}
	sharedGroup := 0
	for len(cells) > 0 {
		g, found := slices.BinarySearch(b.lo, int(cells[0].key))
		if !found {
			g--
		}
		n := 1
		for n < len(cells) && int(cells[n].key) < b.lo[g+1] {
			n++
		}
		part := cells[:n]
		cells = cells[n:]
		for i := range part {
			part[i].key += uint64(b.at[g] - b.lo[g])
		}
		group := b.dir.ranges[g].group
		members := b.members[group]
		if len(members) == 1 {
			add(group, nil, part)
			continue
		}
		at, _ := slices.BinarySearch(members, g)
		shared, sharedBy, sharedGroup = append(shared, part...), append(sharedBy, uint32(at)), group
	}
	if len(shared) > 0 {
		add(sharedGroup, sharedBy, shared)
	}
	e.scratch.shared = shared
	return out
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

// newColumnEncoder is for a property with the values in u.
func newColumnEncoder(u *unifier, compress bool, scratch *columnScratch) *columnEncoder {
	e := &columnEncoder{u: u, order: u.order(), local: make([]uint32, u.len()+1), compress: compress, scratch: scratch}
	e.rank = make([]uint32, len(e.order)+1)
	for i, id := range e.order {
		e.rank[id+1] = uint32(i)
	}
	return e
}

// encode gives the column of a group, unless no row has a value. Rows holds ids plus one
// and is overwritten.
func (e *columnEncoder) encode(rows []uint32) (columnOut, bool) {
	e.used = e.used[:0]
	nullable := false
	for _, id := range rows {
		if id == 0 {
			nullable = true
		} else {
			e.use(id)
		}
	}
	if len(e.used) == 0 {
		return columnOut{}, false
	}
	out := e.start(nullable)
	if kind, ok := e.isPlain(&out.entry, len(rows)); ok {
		e.plain(&out, kind, rows)
	} else {
		for i, id := range rows {
			rows[i] = e.local[id] // 0 stays 0
		}
		e.dictionary(&out, encoding.AppendColumn(out.data, rows))
	}
	e.end(&out)
	return out, true
}

// encodeFew gives the column of a group of so many rows, of which few have a value: cells are these and
// ids plus one.
func (e *columnEncoder) encodeFew(cells []entry, rows int) columnOut {
	e.used = e.used[:0]
	for i := range cells {
		e.use(cells[i].row)
	}
	out := e.start(len(cells) < rows)
	if kind, ok := e.isPlain(&out.entry, rows); ok {
		ids := resize(e.scratch.group, rows)
		e.scratch.group = ids
		clear(ids)
		for i := range cells {
			ids[cells[i].key] = cells[i].row
		}
		e.plain(&out, kind, ids)
	} else {
		e.dictionary(&out, e.appendFew(out.data, cells, rows))
	}
	e.end(&out)
	return out
}

// appendFew adds the column of codes.
func (e *columnEncoder) appendFew(dst []byte, cells []entry, rows int) []byte {
	values, ends := e.scratch.values[:0], e.scratch.ends[:0]
	behind := uint32(0)
	for i := range cells {
		row, code := uint32(cells[i].key), e.local[cells[i].row]
		if row > behind {
			values, ends = append(values, 0), append(ends, row)
		}
		behind = row + 1
		if n := len(values); n > 0 && values[n-1] == code && ends[n-1] == row {
			ends[n-1] = behind
			continue
		}
		values, ends = append(values, code), append(ends, behind)
	}
	if int(behind) < rows {
		values, ends = append(values, 0), append(ends, uint32(rows))
	}
	e.scratch.values, e.scratch.ends = values, ends
	return encoding.AppendRunsColumn(dst, values, ends)
}

// use notes that a row of the group has a value, by its id plus one.
func (e *columnEncoder) use(id uint32) {
	if e.local[id] == 0 {
		e.local[id] = 1
		e.used = append(e.used, id)
	}
}

// start gives the values that are used their codes.
func (e *columnEncoder) start(nullable bool) (out columnOut) {
	c := &out.entry
	c.leader, c.nullable = noLeader, nullable
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
	return out
}

// isPlain says whether a column of so many rows has no dictionary.
func (e *columnEncoder) isPlain(c *columnEntry, rows int) (event.Kind, bool) {
	kind, n := e.u.kinds[e.used[0]-1], len(e.used)
	return kind, c.counts[kind] == n && (kind == event.Int || kind == event.Float) && (n > plainMany || n > plainLeast && n > rows/plainShare)
}

// end ends a group's column.
func (e *columnEncoder) end(out *columnOut) {
	e.scratch.data, out.data = out.data, bytes.Clone(out.data)
	for _, id := range e.used {
		e.local[id] = 0
	}
}

// plain writes whether a row has a value, and a number for every row.
func (e *columnEncoder) plain(out *columnOut, kind event.Kind, rows []uint32) {
	c := &out.entry
	c.plain = true
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

// dictionary writes the values of each kind behind the codes.
func (e *columnEncoder) dictionary(out *columnOut, codes []byte) {
	c := &out.entry
	out.data = codes
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
