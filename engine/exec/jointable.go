package exec

import (
	"context"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/intern"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// joinShare is rows of the build side of a join that one goroutine has read.
type joinShare struct {
	of       *joining
	columns  []columnStore // those that are stored, and then the keys that are none of them
	rows     int
	filled   bool // there were rows, also if they were spilled
	nullKeys bool // a row had a key that is NULL
	held     int64
	live     []uint32
	scratch  []uint32
}

// indexBytes is about what a keyIndex takes for each row. It is accounted for as rows come.
const indexBytes = 48

// maxJoinRows is how many rows a build side may have in memory: they are numbered with 32
// bits, of which two numbers have a meaning of their own.
const maxJoinRows = math.MaxUint32 - 2

func newJoinShare(of *joining) *joinShare {
	s := &joinShare{of: of}
	s.forget()
	return s
}

// forget forgets all rows. What they held stays accounted for until the next call of hold.
func (s *joinShare) forget() {
	s.columns, s.rows = nil, 0
	for _, at := range s.of.stored {
		s.columns = append(s.columns, columnStore{typ: s.of.buildNulls[at].Type})
	}
	for i, k := range s.of.buildKeys {
		if s.of.keyAt[i] >= len(s.of.stored) {
			s.columns = append(s.columns, columnStore{typ: k.Type()})
		}
	}
}

// add takes in the rows of a batch, which has the columns that are stored.
func (s *joinShare) add(ctx context.Context, keys []*vec.Vector, b *vec.Batch) error {
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&s.scratch, b.Rows)
	}
	if len(rows) == 0 {
		return nil
	}
	s.filled = true
	whole := withoutNulls(&s.live, keys, rows, s.of.node.NullSafe)
	s.nullKeys = s.nullKeys || len(whole) < len(rows)
	if !s.of.outer() {
		rows = whole // others have no match, and do not come out
	}
	if s.rows += len(rows); s.rows > maxJoinRows {
		return tooManyRows()
	}
	for i := range s.of.stored {
		if err := s.columns[i].add(b.Cols[i], rows); err != nil {
			return err
		}
	}
	for i, at := range s.of.keyAt {
		if at >= len(s.of.stored) {
			if err := s.columns[at].add(keys[i], rows); err != nil {
				return err
			}
		}
	}
	return s.hold(ctx)
}

func tooManyRows() error {
	return pgerr.New(pgerr.OutOfMemory, "out of memory: one side of a join has more than %d rows", maxJoinRows)
}

func (s *joinShare) hold(ctx context.Context) error {
	held := int64(4 * (cap(s.live) + cap(s.scratch)))
	if len(s.of.keyAt) > 0 {
		held += indexBytes * int64(s.rows)
	}
	for i := range s.columns {
		held += s.columns[i].bytes()
	}
	grown := held - s.held
	s.held = held
	return s.of.env.hold(ctx, grown)
}

// keys is the keys of the rows.
func (s *joinShare) keys() []*vec.Vector {
	out := make([]*vec.Vector, len(s.of.keyAt))
	for i, at := range s.of.keyAt {
		out[i] = s.columns[at].v
	}
	return out
}

// withoutRepeats drops rows that have the keys of others.
func (s *joinShare) withoutRepeats(ctx context.Context) error {
	in := s.of.indexing(s.keys(), s.rows)
	in.links = true
	x := &keyIndex{groups: newGrouper(in.types)}
	if err := x.number(ctx, in); err != nil {
		return err
	}
	for i := range x.first {
		x.first[i]--
	}
	for i := range s.columns {
		s.columns[i].keep(x.first)
	}
	s.rows = len(x.first)
	return s.hold(ctx)
}

// joinTable is the build side of a join: its rows, and which of them have which key.
type joinTable struct {
	of    *joining
	env   *Env
	index *keyIndex     // nil if there are no keys
	keys  []*keyIndex   // of single keys, for a keyFilter; nil for those that have none
	rows  int           // all of them
	out   []*vec.Vector // the columns that are stored, with a row of NULL behind the last one
	held  int64
}

// newJoinTable makes a table of the rows of shares, which are empty after that.
func newJoinTable(ctx context.Context, s *joining, shares []*joinShare) (_ *joinTable, err error) {
	t := &joinTable{of: s, env: s.env}
	all := shares[0]
	for _, share := range shares {
		t.rows += share.rows
		t.held += share.held
		share.held = 0
		if share.rows > all.rows {
			all = share
		}
	}
	defer func() {
		if err != nil {
			t.env.release(t.held)
		}
	}()
	if t.rows > maxJoinRows {
		return nil, tooManyRows()
	}
	jobs := make([]func() error, len(all.columns))
	for i := range jobs {
		jobs[i] = func() error {
			for _, share := range shares {
				if share != all && share.rows > 0 {
					if err := all.columns[i].absorb(&share.columns[i]); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	if t.rows > all.rows {
		if err := runJobs(ctx, t.env, jobs); err != nil {
			return nil, err
		}
	}
	all.rows = t.rows
	if err := t.indexKeys(ctx, s, all.keys()); err != nil {
		return nil, err
	}
	held := int64(0)
	for i := range s.stored {
		t.out = append(t.out, all.columns[i].finish())
		held += all.columns[i].bytes()
	}
	if t.index != nil {
		held += t.index.bytes()
	}
	for _, x := range t.keys {
		if x != nil && x != t.index {
			held += x.bytes()
		}
	}
	grown := held - t.held
	t.held = held
	return t, t.env.hold(ctx, grown)
}

// indexKeys makes it possible to look up keys, together and, for a keyFilter, one alone.
func (t *joinTable) indexKeys(ctx context.Context, s *joining, keys []*vec.Vector) (err error) {
	if len(keys) == 0 {
		return nil
	}
	for i, k := range keys {
		if k == nil { // there are no rows
			keys[i] = &vec.Vector{Type: s.keyTypes[i]}
		}
	}
	all := s.indexing(keys, t.rows)
	all.links = s.keepsRows()
	if t.index, err = all.build(ctx); err != nil {
		return err
	}
	t.keys = make([]*keyIndex, len(keys))
	if len(keys) == 1 {
		t.keys[0] = t.index
		return nil
	}
	for i := range keys {
		if s.filters(i) {
			var nullSafe []bool
			if s.node.NullSafe != nil {
				nullSafe = s.node.NullSafe[i : i+1]
			}
			one := newIndexing(s.env, s.keyTypes[i:i+1], keys[i:i+1], nullSafe, t.rows)
			if t.keys[i], err = one.build(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// unique says whether there is one row at most for each key.
func (t *joinTable) unique() bool { return t.index != nil && t.index.unique() }

// find writes the first row with the keys of each of the rows to dst, noGroup for those that have
// none.
func (t *joinTable) find(dst []uint32, f *finder, keys []*vec.Vector, rows []uint32) {
	if t.index != nil {
		t.index.find(dst, f, keys, rows)
		return
	}
	first := uint32(0)
	if t.rows == 0 {
		first = noGroup
	}
	for i := range dst {
		dst[i] = first
	}
}

// after is the row after another one that has the same key, noGroup for none.
func (t *joinTable) after(row uint32) uint32 {
	switch {
	case t.index == nil && int(row)+1 < t.rows:
		return row + 1
	case t.index == nil || t.index.next == nil:
		return noGroup
	}
	return t.index.next[row] - 1 // noGroup, if that is 0
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

// take is the columns of the given rows; one behind the last is all NULL. Values that are
// costly to copy stay where they are.
func (t *joinTable) take(rows []uint32) []*vec.Vector {
	out := slices.Clone(t.of.buildNulls)
	for i, c := range t.out {
		at := t.of.stored[i]
		if c.Form == vec.Flat {
			switch c.Type.Payload() {
			case vec.PayloadStr, vec.PayloadList:
				out[at] = &vec.Vector{Type: c.Type, Form: vec.Dict, Codes: rows, Dict: c}
				continue
			}
		}
		out[at] = c.Take(rows)
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
	found  []uint32
	values []int64
	order  []uint32
	// persons is the ordinals of keys that are persons.
	persons []int64
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

// absorb takes in the values of another store, which is empty after that.
func (s *columnStore) absorb(from *columnStore) error {
	v := from.v
	*from = columnStore{typ: from.typ}
	if s.v != nil && s.v.Form == vec.Flat && v.Form == vec.Flat && len(s.v.Nulls) == 0 && len(v.Nulls) == 0 &&
		(v.Type.Payload() == vec.PayloadI64 || s.takesScaled(v)) {
		s.v.I64, s.v.Scale = append(s.v.I64, v.I64...), v.Scale
		return nil
	}
	return s.add(v, firstRows(new([]uint32), v.Len()))
}

// takesScaled says whether v is decimals that can be appended as the integers that they are.
func (s *columnStore) takesScaled(v *vec.Vector) bool {
	return v.Scaled() && len(s.v.Dec) == 0 && (len(s.v.I64) == 0 || s.v.Scale == v.Scale)
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
				s.v.Codes = appendSome(s.v.Codes, v.Codes, rows)
				if at > 0 {
					for i := range rows {
						s.v.Codes[n+i] += at
					}
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
			if plain = s.takesScaled(src); plain {
				s.v.I64, s.v.Scale = appendSome(s.v.I64, src.I64, rows), src.Scale
			}
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

// empty forgets all values, and keeps the memory of numbers.
func (s *columnStore) empty() {
	v := s.v
	*s = columnStore{typ: s.typ}
	if v != nil && v.Form == vec.Flat {
		s.v = &vec.Vector{Type: s.typ, Bools: v.Bools[:0], I64: v.I64[:0], F64: v.F64[:0], Dec: v.Dec[:0]}
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

// appendSome appends the values of some rows. Memory is doubled, since to move what is there costs
// more than to copy what comes.
func appendSome[T any](dst, src []T, rows []uint32) []T {
	n := len(dst)
	if n+len(rows) > cap(dst) {
		dst = slices.Grow(dst, max(n, len(rows)))
	}
	dst = dst[:n+len(rows)]
	for i, r := range rows {
		dst[n+i] = src[r]
	}
	return dst
}
