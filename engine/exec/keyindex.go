package exec

import (
	"context"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// keyIndex finds rows by their keys: the first row that has a key, and from there the next ones. It
// is built at once, by several goroutines, and may then be used by any number of them.
//
// Persons are keys by their ordinals, which are the codes of a dictionary that all tables with persons
// share. Keys of numbers are found in one of two ways. A single one of integers that lie close together is
// a bit in a [denseKeys], which takes no more memory than slots would, and of which what is asked
// for most often, whether a key is there, fits into the caches. Others are hashed, in partitions
// ([hashedKeys]). Everything else is numbered by a [grouper], by one goroutine.
type keyIndex struct {
	groups *grouper // how keys are packed; and the keys, if they are in neither of the others
	dense  *denseKeys
	hashed *hashedKeys
	// first is, by number of a key of groups or dense, the first row, plus one. It is nil where rows
	// are in the order of their keys, and where only the keys are wanted.
	first []uint32
	// next is, by row, the next one with the same key, plus one; 0 after the last one. It is nil if
	// every key has one row, or if only the keys are wanted.
	next     []uint32
	nullSafe []bool // per key, whether NULL is a value; nil: for none it is
	// persons says that keys are persons, and numbered by their ordinals.
	persons bool
}

// indexing is what a keyIndex is made of.
type indexing struct {
	env      *Env
	types    []vec.Type
	keys     []*vec.Vector
	nullSafe []bool   // per key, whether NULL is a value; nil: for none it is
	count    int      // rows there are
	all      []uint32 // of them
	rows     []uint32 // those that have a key
	// links says that rows are wanted, and not only which keys there are.
	links bool
	// persons says that the only key is a person, wherever it comes from.
	persons bool
}

// manyRows is from how many rows on several goroutines build an index.
const manyRows = 4 * vec.BatchRows

func newIndexing(env *Env, types []vec.Type, keys []*vec.Vector, nullSafe []bool, count int) *indexing {
	in := &indexing{env: env, types: types, keys: keys, nullSafe: nullSafe, count: count}
	in.all = firstRows(new([]uint32), count)
	in.rows = withoutNulls(new([]uint32), keys, in.all, nullSafe)
	return in
}

// build makes the index.
func (in *indexing) build(ctx context.Context) (*keyIndex, error) {
	x := &keyIndex{nullSafe: in.nullSafe}
	if k := in.keys[0]; in.persons && k.Form == vec.Dict && k.Dict == in.env.personUUIDs() { // else they were on disk
		x.persons = true
		in.types, in.keys = []vec.Type{vec.T(vec.Int8)}, []*vec.Vector{ordinalsOf(k, widen(k.Codes))}
	}
	x.groups = newGrouper(in.types)
	for k, c := range x.groups.cols {
		if c.texts != nil || in.nullSafe != nil && in.nullSafe[k] && in.keys[k].HasNulls() {
			return x, x.number(ctx, in)
		}
		in.keys[k] = in.keys[k].Flatten(in.count)
	}
	if len(in.keys) == 1 && in.types[0].Payload() == vec.PayloadI64 {
		dense, err := x.spread(ctx, in)
		if dense || err != nil {
			return x, err
		}
	}
	return x, x.hash(ctx, in)
}

// workers is how many goroutines are worth running.
func (in *indexing) workers() int {
	if len(in.rows) < manyRows {
		return 1
	}
	return max(1, in.env.Threads)
}

// number has the grouper number the keys.
func (x *keyIndex) number(ctx context.Context, in *indexing) error {
	ids := make([]uint32, len(in.rows))
	err := inSteps(ctx, len(ids), func(lo, hi int) { x.groups.assign(ids[lo:hi], in.keys, in.rows[lo:hi]) })
	x.groups.forgetCodes()
	if !in.links || err != nil {
		return err
	}
	x.first = make([]uint32, x.groups.groups)
	if len(ids) > x.groups.groups {
		x.next = make([]uint32, in.count)
	}
	for i := len(ids) - 1; i >= 0; i-- {
		x.put(ids[i], in.rows[i])
	}
	return nil
}

// put makes a row the first one of a key.
func (x *keyIndex) put(key, row uint32) {
	if x.next != nil {
		x.next[row] = x.first[key]
	}
	x.first[key] = row + 1
}

// denseKeys are integers that lie close together: one bit for each that there could be. The number
// of a key is how many there are before it.
type denseKeys struct {
	least  int64
	bits   []uint64
	before []uint32 // keys in the words before
}

// A denseKeys has up to denseSpread bits for a row: with what it counts, 12 bytes. A slot at half
// load takes 16. Of so many rows as slotRows the slots do not fit into the first cache, and
// denseLeast bits, which are 1.5 MB, are faster. Of fewer, denseFew bits are, which are 192 KB: where a
// look-up ends cannot be foreseen, and the other side may have millions of rows.
const (
	denseSpread = 64
	slotRows    = 1 << 9
	denseLeast  = 1 << 23
	denseFew    = 1 << 20
)

// spread makes the keys bits, if they lie close together.
func (x *keyIndex) spread(ctx context.Context, in *indexing) (bool, error) {
	if len(in.rows) == 0 {
		x.dense = &denseKeys{}
		return true, nil
	}
	workers, keys := in.workers(), in.keys[0].I64
	type bounds struct {
		least, most int64
		rising      bool // each key is greater than the one before
	}
	found := make([]bounds, workers)
	err := parallel(ctx, workers, func(ctx context.Context, w int) error {
		rows := in.rows[len(in.rows)*w/workers : len(in.rows)*(w+1)/workers]
		b := bounds{keys[rows[0]], keys[rows[0]], true}
		last := keys[rows[0]]
		err := inSteps(ctx, len(rows)-1, func(lo, hi int) {
			for _, r := range rows[1+lo : 1+hi] {
				k := keys[r]
				b.rising = b.rising && k > last
				b.least, b.most, last = min(b.least, k), max(b.most, k), k
			}
		})
		found[w] = b
		return err
	})
	if err != nil {
		return false, err
	}
	all := found[0]
	for _, b := range found[1:] {
		all.rising = all.rising && b.rising && b.least > all.most
		all.least, all.most = min(all.least, b.least), max(all.most, b.most)
	}
	most := max(denseFew, denseSpread*uint64(len(in.rows)))
	if len(in.rows) >= slotRows {
		most = max(most, denseLeast)
	}
	if uint64(all.most)-uint64(all.least) >= most {
		return false, nil
	}
	d := &denseKeys{least: all.least}
	words := int((uint64(all.most)-uint64(all.least))>>6) + 1
	d.bits, d.before = make([]uint64, words), make([]uint32, words)
	x.dense = d
	// Each worker has words of its own, and looks at all keys for those that are in them.
	share := func(w int) (from, n uint64) {
		lo, hi := words*w/workers, words*(w+1)/workers
		return uint64(lo), uint64(hi - lo)
	}
	err = parallel(ctx, workers, func(ctx context.Context, w int) error {
		from, n := share(w)
		return inSteps(ctx, len(in.rows), func(lo, hi int) {
			for _, r := range in.rows[lo:hi] {
				if k := uint64(keys[r]) - uint64(d.least); k>>6-from < n {
					d.bits[k>>6] |= 1 << (k & 63)
				}
			}
		})
	})
	if err != nil {
		return false, err
	}
	count := 0
	for i, b := range d.bits {
		d.before[i] = uint32(count)
		count += bits.OnesCount64(b)
	}
	if !in.links || all.rising && len(in.rows) == in.count {
		return true, nil
	}
	x.first = make([]uint32, count)
	if count < len(in.rows) {
		x.next = make([]uint32, in.count)
	}
	last := len(in.rows) - 1
	return true, parallel(ctx, workers, func(ctx context.Context, w int) error {
		from, n := share(w)
		return inSteps(ctx, len(in.rows), func(lo, hi int) {
			for i := range hi - lo {
				r := in.rows[last-lo-i]
				if k := uint64(keys[r]) - uint64(d.least); k>>6-from < n {
					x.put(d.number(k), r)
				}
			}
		})
	})
}

// number is that of a key that is there, counted from the least one.
func (d *denseKeys) number(k uint64) uint32 {
	return d.before[k>>6] + uint32(bits.OnesCount64(d.bits[k>>6]&(1<<(k&63)-1)))
}

// find writes the numbers of keys to dst, noGroup for those that are not there.
func (d *denseKeys) find(dst []uint32, keys []int64, rows []uint32) {
	dst = dst[:len(rows)]
	words, before := d.bits, d.before[:len(d.bits)]
	for i, r := range rows {
		k := uint64(keys[r]) - uint64(d.least)
		n := noGroup
		if at := k >> 6; at < uint64(len(words)) {
			if b := words[at]; b>>(k&63)&1 != 0 {
				n = before[at] + uint32(bits.OnesCount64(b&(1<<(k&63)-1)))
			}
		}
		dst[i] = n
	}
}

// keep writes those of the rows to dst whose keys are there, and says how many they are. It has no
// branch that depends on them: which rows match cannot be foreseen.
func (d *denseKeys) keep(dst []uint32, keys []int64, rows []uint32) int {
	dst = dst[:len(rows)]
	words, n := d.bits, 0
	for _, r := range rows {
		k := uint64(keys[r]) - uint64(d.least)
		bit := uint64(0)
		if at := k >> 6; at < uint64(len(words)) {
			bit = words[at] >> (k & 63) & 1
		}
		dst[n] = r
		n += int(bit)
	}
	return n
}

// hashedKeys finds keys of numbers by their hash. The first bits of a hash say in which partition
// its slot is, so that each can be filled by one goroutine, in the caches. A slot has the lower half
// of the hash in its upper half, and in its lower half the first row with the key, plus one; a free
// one is 0.
type hashedKeys struct {
	words int
	keys  []uint64 // packed, by row
	shift uint     // of a hash, to its partition
	parts []hashPart
}

type hashPart struct {
	slots []uint64 // at most half of them are used
	shift uint     // of a hash without the bits of the partition, to the place of its slot
}

// partBits are the bits of a hash that say which partition it belongs to, and fewPartBits those of
// few rows.
const (
	partBits    = 6
	fewPartBits = 1
)

// hash fills a hashedKeys.
func (x *keyIndex) hash(ctx context.Context, in *indexing) error {
	h := &hashedKeys{words: x.groups.words, keys: make([]uint64, in.count*x.groups.words), shift: 64 - partBits}
	x.hashed = h
	if len(in.rows) < manyRows {
		h.shift = 64 - fewPartBits
	}
	h.parts = make([]hashPart, 1<<(64-h.shift))
	workers := in.workers()
	// Each worker packs keys, and puts its rows in the order of their partitions.
	order := make([][]uint32, workers)
	ends := make([][1 << partBits]int, workers)
	err := parallel(ctx, workers, func(ctx context.Context, w int) error {
		lo, hi := in.count*w/workers, in.count*(w+1)/workers
		if err := inSteps(ctx, hi-lo, func(from, to int) { h.pack(x.groups.cols, in, lo+from, lo+to) }); err != nil {
			return err
		}
		rows := in.rows[lowerBound(in.rows, uint32(lo)):lowerBound(in.rows, uint32(hi))]
		parts := make([]uint8, len(rows))
		order[w] = make([]uint32, len(rows))
		err := inSteps(ctx, len(rows), func(lo, hi int) {
			for i, r := range rows[lo:hi] {
				p := uint8(h.hashOf(r) >> (h.shift & 63))
				parts[lo+i] = p
				ends[w][p]++
			}
		})
		at := 0
		for p, n := range ends[w] {
			ends[w][p] = at
			at += n
		}
		for i, r := range rows {
			at := &ends[w][parts[i]]
			order[w][*at] = r
			*at++
		}
		return err
	})
	if err != nil {
		return err
	}
	if in.links {
		x.next = make([]uint32, in.count)
	}
	several := make([]bool, workers)
	err = parallel(ctx, workers, func(ctx context.Context, w int) error {
		for p := w; p < len(h.parts); p += workers {
			var lists [][]uint32
			for w := range order {
				lo := 0
				if p > 0 {
					lo = ends[w][p-1]
				}
				lists = append(lists, order[w][lo:ends[w][p]])
			}
			found, err := h.fill(ctx, &h.parts[p], lists, x.next)
			if err != nil {
				return err
			}
			several[w] = several[w] || found
		}
		return nil
	})
	if !slices.Contains(several, true) {
		x.next = nil
	}
	return err
}

// pack packs the keys of some rows.
func (h *hashedKeys) pack(cols []keyColumn, in *indexing, lo, hi int) {
	for k := range cols {
		cols[k].pack(h.keys[lo*h.words:hi*h.words], h.words, in.keys[k], in.all[lo:hi], nil)
	}
}

// hashOf is the hash of a row's key.
func (h *hashedKeys) hashOf(row uint32) uint64 {
	if h.words == 1 {
		return mix(h.keys[row])
	}
	return hashWords(h.keys[int(row)*h.words:][:h.words])
}

// fill puts the rows of a partition into its slots, from the last one to the first, and links those
// with the same key, unless next is nil. It says whether there are such.
func (h *hashedKeys) fill(ctx context.Context, p *hashPart, lists [][]uint32, next []uint32) (several bool, err error) {
	count := 0
	for _, l := range lists {
		count += len(l)
	}
	size := 1 << bits.Len(uint(max(2, 2*count)-1))
	p.slots, p.shift = make([]uint64, size), uint(64-bits.TrailingZeros(uint(size)))
	partition := 64 - h.shift
	for i := len(lists) - 1; i >= 0; i-- {
		list := lists[i]
		err := inSteps(ctx, len(list), func(lo, hi int) {
			for i := range hi - lo {
				r := list[len(list)-1-lo-i]
				hash := h.hashOf(r)
				at := hash << (partition & 63) >> (p.shift & 63)
				for {
					s := p.slots[at]
					if s == 0 {
						p.slots[at] = hash<<32 | uint64(r+1)
						break
					}
					if uint32(s>>32) == uint32(hash) && h.same(uint32(s)-1, r) {
						several = true
						if next != nil {
							next[r] = uint32(s)
						}
						p.slots[at] = hash<<32 | uint64(r+1)
						break
					}
					at = (at + 1) & uint64(size-1)
				}
			}
		})
		if err != nil {
			return several, err
		}
	}
	return several, nil
}

// same says whether two rows have the same key.
func (h *hashedKeys) same(a, b uint32) bool {
	if h.words == 1 {
		return h.keys[a] == h.keys[b]
	}
	return slices.Equal(h.keys[int(a)*h.words:][:h.words], h.keys[int(b)*h.words:][:h.words])
}

// find writes the first row of each of the packed keys to dst, noGroup for those that are not
// there, but where it is noGroup already.
func (h *hashedKeys) find(dst []uint32, packed []uint64) {
	if h.words == 1 {
		h.find1(dst, packed)
		return
	}
	for i, d := range dst {
		if d == noGroup {
			continue
		}
		key := packed[i*h.words : (i+1)*h.words]
		hash := hashWords(key)
		p := &h.parts[hash>>(h.shift&63)]
		mask := uint64(len(p.slots) - 1)
		dst[i] = noGroup
		for at := hash << ((64 - h.shift) & 63) >> (p.shift & 63); p.slots[at] != 0; at = (at + 1) & mask {
			s := p.slots[at]
			if uint32(s>>32) == uint32(hash) && slices.Equal(h.keys[int(uint32(s)-1)*h.words:][:h.words], key) {
				dst[i] = uint32(s) - 1
				break
			}
		}
	}
}

func (h *hashedKeys) find1(dst []uint32, packed []uint64) {
	keys, shift := h.keys, h.shift
rows:
	for i, k := range packed[:len(dst)] {
		if dst[i] == noGroup {
			continue
		}
		hash := mix(k)
		p := &h.parts[hash>>(shift&63)]
		mask := uint64(len(p.slots) - 1)
		for at := hash << ((64 - shift) & 63) >> (p.shift & 63); ; at = (at + 1) & mask {
			s := p.slots[at]
			if s == 0 {
				dst[i] = noGroup
				continue rows
			}
			if uint32(s>>32) == uint32(hash) && keys[uint32(s)-1] == k {
				dst[i] = uint32(s) - 1
				continue rows
			}
		}
	}
}

// bytes is how much memory the index takes.
func (x *keyIndex) bytes() int64 {
	n := x.groups.bytes() + int64(4*(cap(x.first)+cap(x.next)))
	if d := x.dense; d != nil {
		n += int64(8*cap(d.bits) + 4*cap(d.before))
	}
	if h := x.hashed; h != nil {
		n += int64(8 * cap(h.keys))
		for _, p := range h.parts {
			n += int64(8 * cap(p.slots))
		}
	}
	return n
}

// unique says whether every key has one row.
func (x *keyIndex) unique() bool { return x.next == nil }

// find writes the first row with the key of each of the rows to dst, or any number if the index
// has only keys; noGroup for keys that are not there.
func (x *keyIndex) find(dst []uint32, f *finder, cols []*vec.Vector, rows []uint32) {
	dst = dst[:len(rows)]
	if x.persons {
		cols = []*vec.Vector{f.ordinals(cols[0])}
	}
	switch {
	case x.dense != nil:
		v := cols[0]
		keys, at := f.numbers(v, rows)
		x.dense.find(dst, keys, at)
		if v.HasNulls() {
			for i, r := range rows {
				if v.IsNull(int(r)) {
					dst[i] = noGroup
				}
			}
		}
	case x.hashed != nil:
		clear(dst)
		f.packed = grow(f.packed, len(rows)*x.groups.words)
		clear(f.packed)
		for k := range x.groups.cols {
			f.places = x.groups.cols[k].pack(f.packed, x.groups.words, cols[k], rows, f.places[:0])
			for _, i := range f.places {
				dst[i] = noGroup
			}
		}
		x.hashed.find(dst, f.packed)
	default:
		x.groups.find(dst, f, cols, rows, x.nullSafe)
	}
	if x.first != nil {
		for i, n := range dst {
			if n != noGroup {
				dst[i] = x.first[n] - 1
			}
		}
	}
}

// keep writes those of the rows to dst, of the same length, whose keys are there, and says how many
// they are.
func (x *keyIndex) keep(dst []uint32, f *finder, v *vec.Vector, rows []uint32) int {
	if x.persons && x.dense != nil && v.Form == vec.Dict && len(v.Nulls) == 0 {
		return x.dense.keep(dst, f.ordinals(v).I64, rows)
	}
	if x.dense != nil && v.Form == vec.Flat && len(v.Nulls) == 0 {
		return x.dense.keep(dst, v.I64, rows)
	}
	f.found = grow(f.found, len(rows))
	x.find(f.found, f, []*vec.Vector{v}, rows)
	n := 0
	for i, g := range f.found {
		if g != noGroup {
			dst[n] = rows[i]
			n++
		}
	}
	return n
}

// ordinals is persons as numbers, in memory that is used again.
func (f *finder) ordinals(v *vec.Vector) *vec.Vector {
	if v.Form != vec.Dict {
		panic("persons without their dictionary")
	}
	f.persons = grow(f.persons, len(v.Codes))
	for i, c := range v.Codes {
		f.persons[i] = int64(c)
	}
	return ordinalsOf(v, f.persons)
}

// ordinalsOf is persons as the numbers that they have.
func ordinalsOf(v *vec.Vector, numbers []int64) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.Int8), Nulls: v.Nulls, I64: numbers}
}

// isPerson says whether an expression over the rows of a node is a column of persons, as which scans give
// codes of the dictionary of all of them.
func isPerson(n plan.Node, e expr.Expr) bool {
	sc, at, ok := scanned(n, e)
	if !ok || sc.Table.Schema != nil || sc.Table.System != "" {
		return false
	}
	name := "person_id"
	if sc.Table.Name == "persons" {
		name = "id"
	}
	return sc.Columns[at].Column == name && sc.Columns[at].Type.Kind == vec.UUID
}

// numbers is integers of a vector, and where in them those of the rows are.
func (f *finder) numbers(v *vec.Vector, rows []uint32) ([]int64, []uint32) {
	if v.Form == vec.Flat {
		return v.I64, rows
	}
	f.values = grow(f.values, len(rows))
	for i, r := range rows {
		x, at := v.At(int(r))
		f.values[i] = x.I64[at]
	}
	return f.values, firstRows(&f.order, len(rows))
}

// stepRows is how many rows an index takes in between two moments at which it may be cancelled.
const stepRows = 8 * vec.BatchRows

// inSteps has f do n rows, a few at a time.
func inSteps(ctx context.Context, n int, f func(lo, hi int)) error {
	for lo := 0; lo < n; lo += stepRows {
		if err := yield(ctx); err != nil {
			return err
		}
		f(lo, min(lo+stepRows, n))
	}
	return nil
}
