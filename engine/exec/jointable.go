package exec

import (
	"context"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/intern"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// joinTable is the build side of a join: its rows, and which of them have which key.
type joinTable struct {
	of     *joining
	env    *Env
	schema vec.Schema
	stored bool // rows are kept, not only keys
	// outer says that rows without a match come out, too.
	outer    bool
	nullSafe []bool // per key, whether NULL is equal to NULL

	groups   *grouper
	keys     []*grouper // of single keys, for a keyFilter; nil for those that have none
	columns  []columnStore
	rows     int
	groupOf  []uint32 // of each row, while rows are read; noGroup if a key is NULL
	starts   []uint32 // rows of group g are list[starts[g]:starts[g+1]]
	list     []uint32
	unique   bool          // every group has one row, and list has its place
	filled   bool          // there were rows, also if they were spilled
	nullKeys bool          // a row had a key that is NULL
	out      []*vec.Vector // the columns, with a row of NULL behind the last one
	held     int64
	ids      []uint32
	scratch  []uint32
	live     []uint32
}

// maxJoinRows is how many rows a build side may have in memory: they are numbered with 32
// bits, of which two numbers have a meaning of their own.
const maxJoinRows = math.MaxUint32 - 2

func newJoinTable(s *joining) *joinTable {
	n := s.node
	t := &joinTable{of: s, env: s.env, schema: s.build.Schema(), nullSafe: n.NullSafe}
	t.outer = s.outer()
	t.stored = !n.Kind.LeftOnly() || n.On != nil || s.swapped
	t.reset()
	return t
}

// reset forgets all rows. What they held stays accounted for until the next call of hold.
func (t *joinTable) reset() {
	types := make([]vec.Type, len(t.of.buildKeys))
	for i, k := range t.of.buildKeys {
		types[i] = k.Type()
		if types[i].Payload() == vec.PayloadI64 && t.of.keys[i].Type() != types[i] {
			types[i] = vec.T(vec.Int8) // a key that is looked up may be too large for the other side's type
		}
	}
	t.groups, t.columns, t.rows, t.groupOf = newGrouper(types), nil, 0, nil
	if t.stored {
		for _, f := range t.schema {
			t.columns = append(t.columns, columnStore{typ: f.Type})
		}
	}
}

// add takes in the rows of a batch, which has the columns of the schema if rows are stored.
func (t *joinTable) add(ctx context.Context, keys []*vec.Vector, b *vec.Batch) error {
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&t.scratch, b.Rows)
	}
	if len(rows) == 0 {
		return nil
	}
	t.filled = true
	whole := withoutNulls(&t.live, keys, rows, t.nullSafe)
	t.nullKeys = t.nullKeys || len(whole) < len(rows)
	if cap(t.ids) < len(rows) {
		t.ids = make([]uint32, max(len(rows), vec.BatchRows))
	}
	ids := t.ids[:len(whole)]
	t.groups.assign(ids, keys, whole)
	switch {
	case !t.stored:
		t.rows += len(rows)
		return t.hold(ctx)
	case t.outer:
		next := 0
		for _, r := range rows {
			g := noGroup
			if next < len(whole) && whole[next] == r {
				g = ids[next]
				next++
			}
			t.groupOf = append(t.groupOf, g)
		}
	default:
		rows = whole
		t.groupOf = append(t.groupOf, ids...)
	}
	if t.rows += len(rows); t.rows > maxJoinRows {
		return pgerr.New(pgerr.OutOfMemory, "out of memory: one side of a join has more than %d rows", maxJoinRows)
	}
	for i := range t.columns {
		if err := t.columns[i].add(b.Cols[i], rows); err != nil {
			return err
		}
	}
	return t.hold(ctx)
}

// withoutNulls is the rows of which no key is NULL that must not be.
func withoutNulls(scratch *[]uint32, keys []*vec.Vector, rows []uint32, nullSafe []bool) []uint32 {
	var some []*vec.Vector
	for i, k := range keys {
		if k.HasNulls() && (nullSafe == nil || !nullSafe[i]) {
			some = append(some, k)
		}
	}
	if len(some) == 0 {
		return rows
	}
	out := (*scratch)[:0]
rows:
	for _, r := range rows {
		for _, k := range some {
			if k.IsNull(int(r)) {
				continue rows
			}
		}
		out = append(out, r)
	}
	*scratch = out
	return out
}

func (t *joinTable) hold(ctx context.Context) error {
	held := t.groups.bytes() + int64(4*(cap(t.groupOf)+cap(t.starts)+cap(t.list)+cap(t.ids)))
	for _, k := range t.keys {
		if k != nil && k != t.groups {
			held += k.bytes()
		}
	}
	for i := range t.columns {
		held += t.columns[i].bytes()
	}
	grown := held - t.held
	t.held = held
	return t.env.hold(ctx, grown)
}

// finish lists the rows of each group.
func (t *joinTable) finish(ctx context.Context) error {
	t.separateKeys()
	if !t.stored {
		return t.hold(ctx)
	}
	if len(t.groups.cols) == 0 {
		t.groups.groups = 1
	}
	n := t.groups.groups
	more := int64(4 * (n + 1 + len(t.groupOf)))
	if err := t.env.hold(ctx, more); err != nil {
		t.held += more
		return err
	}
	t.held += more
	t.starts = make([]uint32, n+1)
	kept := 0
	for _, g := range t.groupOf {
		if g != noGroup {
			t.starts[g+1]++
			kept++
		}
	}
	for g := range n {
		t.starts[g+1] += t.starts[g]
	}
	t.list = make([]uint32, kept)
	for r, g := range t.groupOf {
		if g != noGroup {
			t.list[t.starts[g]] = uint32(r)
			t.starts[g]++
		}
	}
	copy(t.starts[1:], t.starts[:n])
	t.starts[0] = 0
	t.unique = kept == n && len(t.groups.cols) > 0
	t.groupOf = nil
	for i := range t.columns {
		t.out = append(t.out, t.columns[i].finish())
	}
	return t.hold(ctx)
}

// separateKeys makes it possible to look up single keys.
func (t *joinTable) separateKeys() {
	t.keys = make([]*grouper, len(t.groups.cols))
	if len(t.keys) == 1 {
		t.keys[0] = t.groups
		return
	}
	var values []*vec.Vector
	for k := range t.keys {
		if !t.of.filters(k) {
			continue
		}
		if values == nil {
			values = t.groups.finish()
			t.ids = grow(t.ids, t.groups.groups)
		}
		t.keys[k] = newGrouper([]vec.Type{t.groups.cols[k].typ})
		t.keys[k].assign(t.ids, values[k:k+1], firstRows(&t.scratch, t.groups.groups))
	}
}

// find writes the group of each of the rows to dst, noGroup for those that have none.
func (t *joinTable) find(dst []uint32, f *finder, keys []*vec.Vector, rows []uint32) {
	if len(keys) == 0 {
		g := uint32(0)
		if t.rows == 0 {
			g = noGroup
		}
		for i := range dst {
			dst[i] = g
		}
		return
	}
	t.groups.find(dst, f, keys, rows, t.nullSafe)
}

// take is the columns of the given rows; one behind the last is all NULL. Values that are
// costly to copy stay where they are.
func (t *joinTable) take(rows []uint32) []*vec.Vector {
	out := make([]*vec.Vector, len(t.out))
	for i, c := range t.out {
		if c.Form == vec.Flat {
			switch c.Type.Payload() {
			case vec.PayloadStr, vec.PayloadList:
				out[i] = &vec.Vector{Type: c.Type, Form: vec.Dict, Codes: rows, Dict: c}
				continue
			}
		}
		out[i] = c.Take(rows)
	}
	return out
}

// finder looks up keys in a grouper that does not change any more, and belongs to one
// goroutine.
type finder struct {
	cols   []textFinder
	packed []uint64
	ids    []uint32
	places []uint32
}

// textFinder looks up values in an intern.Table. It remembers what it found for the last
// dictionary.
type textFinder struct {
	dict  *vec.Vector
	codes []uint32 // per code: what was found, plus one; 0 if not looked for
	key   []byte
}

// find writes the group of each of the rows to dst, noGroup for those that have none. NULL is
// a value where nullSafe says so.
func (g *grouper) find(dst []uint32, f *finder, cols []*vec.Vector, rows []uint32, nullSafe []bool) {
	if len(rows) == 0 {
		return
	}
	if f.cols == nil {
		f.cols = make([]textFinder, len(g.cols))
	}
	if g.alone() {
		f.cols[0].find(dst, g.cols[0].texts, cols[0], rows, nullSafe != nil && nullSafe[0])
		return
	}
	dst = dst[:len(rows)]
	clear(dst)
	f.packed = grow(f.packed, len(rows)*g.words)
	clear(f.packed)
	for k := range g.cols {
		c := &g.cols[k]
		safe := nullSafe != nil && nullSafe[k]
		if c.texts == nil {
			f.places = c.pack(f.packed, g.words, cols[k], rows, f.places[:0])
			word, bit := g.nullBit(k)
			for _, i := range f.places {
				if safe && g.nulls {
					f.packed[int(i)*g.words+word] |= bit
				} else {
					dst[i] = noGroup
				}
			}
			continue
		}
		f.ids = grow(f.ids, len(rows))
		f.cols[k].find(f.ids, c.texts, cols[k], rows, safe)
		for i, id := range f.ids {
			if id == noGroup {
				dst[i] = noGroup
			}
		}
		c.packNumbers(f.packed, g.words, f.ids)
	}
	g.table.find(dst, f.packed)
}

// find writes the number of the value of each of the rows to dst, noGroup for values that are
// not there, and for NULL unless it is a value, too.
func (f *textFinder) find(dst []uint32, in *intern.Table, v *vec.Vector, rows []uint32, nullSafe bool) {
	null := noGroup
	if nullSafe {
		null = in.Null()
	}
	one := func(v *vec.Vector, row int) uint32 {
		if v.Nulls.Get(row) {
			return null
		}
		return in.Find(v, row, &f.key)
	}
	switch v.Form {
	case vec.Const:
		n := one(v, 0)
		for i := range rows {
			dst[i] = n
		}
	case vec.Dict:
		if f.dict != v.Dict {
			f.dict = v.Dict
			if n := v.Dict.Len(); cap(f.codes) < n {
				f.codes = make([]uint32, n)
			} else {
				f.codes = f.codes[:n]
				clear(f.codes)
			}
		}
		nulls := len(v.Nulls) > 0
		for i, r := range rows {
			if nulls && v.Nulls.Get(int(r)) {
				dst[i] = null
				continue
			}
			c := v.Codes[r]
			if f.codes[c] == 0 {
				f.codes[c] = min(one(v.Dict, int(c)), notThere) + 1
			}
			dst[i] = f.codes[c] - 1
			if dst[i] == notThere {
				dst[i] = noGroup
			}
		}
	default:
		for i, r := range rows {
			dst[i] = one(v, int(r))
		}
	}
}

// notThere stands for noGroup in what a finder remembers.
const notThere = noGroup - 1

// columnStore keeps the values of one column. What comes in dictionaries stays there.
type columnStore struct {
	typ vec.Type
	v   *vec.Vector
	// dict is the dictionary of v if it is of several, each of which begins at a place; or nil.
	// At most intern.MaxDicts places are remembered, since they keep the dictionaries alive.
	dict   *vec.Vector
	places map[*vec.Vector]uint32
}

func (s *columnStore) bytes() int64 { return s.v.Bytes() + s.dict.Bytes() }

// sparse is how many values a dictionary may have for each row that it comes with, to be kept.
const sparse = 4

// place is where a dictionary begins in that of v, which takes it in if it is not too large for
// so many rows. Uuids are in a dictionary once, which those of two of them may not be.
func (s *columnStore) place(dict *vec.Vector, rows int) (uint32, bool) {
	if dict == s.v.Dict || dict.Len() == 0 { // an empty one has nothing but NULL
		return 0, true
	}
	if at, ok := s.places[dict]; ok {
		return at, true
	}
	n := s.v.Dict.Len()
	if s.typ.Kind == vec.UUID || dict.Len() > sparse*rows || n > math.MaxUint32-dict.Len() ||
		int64(len(s.v.Dict.Str.Bytes))+int64(len(dict.Str.Bytes)) > maxTextBytes {
		return 0, false
	}
	if s.dict == nil {
		s.places = map[*vec.Vector]uint32{s.v.Dict: 0}
		s.dict = &vec.Vector{Type: s.typ}
		appendAll(s.dict, s.v.Dict)
		s.v.Dict = s.dict
	}
	if len(s.places) == intern.MaxDicts {
		clear(s.places)
	}
	s.places[dict] = uint32(n)
	appendAll(s.dict, dict)
	return uint32(n), true
}

func appendAll(dst, src *vec.Vector) {
	b := vec.Builder{V: dst}
	for i := range src.Len() {
		b.AppendFrom(src, i)
	}
}

// keep keeps the given rows alone, in their order.
func (s *columnStore) keep(rows []uint32) {
	s.v = s.v.Take(rows)
	if s.dict != nil && s.dict.Len() > sparse*len(rows) {
		s.flatten()
	}
}

func (s *columnStore) flatten() {
	s.v = s.v.Flatten(len(s.v.Codes))
	s.dict, s.places = nil, nil
}

// maxTextBytes is how much text one vector holds: it is addressed with 32 bits.
const maxTextBytes = math.MaxUint32

// add takes in the values of the given rows.
func (s *columnStore) add(v *vec.Vector, rows []uint32) error {
	if v.Form == vec.Const && v.Type.Payload() == vec.PayloadStr && len(rows) > 0 && (s.v == nil || s.v.Form == vec.Dict) {
		one := *v // a dictionary of one value
		one.Form = vec.Flat
		v = &vec.Vector{Type: v.Type, Form: vec.Dict, Dict: &one, Codes: make([]uint32, 1+slices.Max(rows))}
	}
	if s.v == nil {
		s.v = &vec.Vector{Type: s.typ}
		if v.Form == vec.Dict {
			s.v.Form, s.v.Dict = vec.Dict, v.Dict
		}
	}
	if s.v.Form == vec.Dict {
		if v.Form == vec.Dict {
			if at, ok := s.place(v.Dict, len(rows)); ok {
				n := len(s.v.Codes)
				for _, r := range rows {
					s.v.Codes = append(s.v.Codes, at+v.Codes[r])
				}
				s.nulls(v, rows, n)
				return nil
			}
		}
		s.flatten()
	}
	n := s.v.Len()
	src, plain := v, v.Form == vec.Flat
	if plain {
		switch v.Type.Payload() {
		case vec.PayloadI64:
			s.v.I64 = appendSome(s.v.I64, src.I64, rows)
		case vec.PayloadF64:
			s.v.F64 = appendSome(s.v.F64, src.F64, rows)
		case vec.PayloadUUIDs:
			s.v.UUIDs = appendSome(s.v.UUIDs, src.UUIDs, rows)
		case vec.PayloadBools:
			s.v.Bools = appendSome(s.v.Bools, src.Bools, rows)
		default:
			plain = false
		}
	}
	if plain {
		s.nulls(v, rows, n)
		return nil
	}
	b := vec.Builder{V: s.v}
	for _, r := range rows {
		if v.Type.Payload() == vec.PayloadStr {
			if x, i := v.At(int(r)); !v.IsNull(int(r)) && int64(len(s.v.Str.Bytes)+len(x.Str.At(i))) > maxTextBytes {
				return pgerr.New(pgerr.OutOfMemory, "out of memory: a column that is joined or sorted has more than 4 GB of text").
					WithHint("Narrow the time range, or read fewer columns.")
			}
		}
		b.AppendFrom(v, int(r))
	}
	return nil
}

// nulls marks the rows that are NULL, which became those from n on.
func (s *columnStore) nulls(v *vec.Vector, rows []uint32, n int) {
	if len(v.Nulls) == 0 {
		return
	}
	s.v.Nulls = s.v.Nulls.Grow(n + len(rows))
	for i, r := range rows {
		if v.Nulls.Get(int(r)) {
			s.v.Nulls.Set(n + i)
		}
	}
}

// finish is all values and, behind the last one, a NULL.
func (s *columnStore) finish() *vec.Vector {
	if s.v == nil {
		s.v = &vec.Vector{Type: s.typ}
	}
	v := *s.v
	if v.Form == vec.Dict {
		n := len(v.Codes)
		v.Codes = append(v.Codes, 0)
		v.Nulls = v.Nulls.Grow(n + 1)
		v.Nulls.Set(n)
	} else {
		b := vec.Builder{V: &v}
		b.AppendNull()
	}
	s.v = &v
	return s.v
}

func appendSome[T any](dst, src []T, rows []uint32) []T {
	for _, r := range rows {
		dst = append(dst, src[r])
	}
	return dst
}
