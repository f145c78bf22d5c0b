package exec

import (
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// rowOrder orders rows by keys. Keys are compared as words: 64 bits of a value, unsigned, whose
// order is that of the values as far as they tell. Rows are sorted by one word after the other,
// most significant word first. Values without words are compared one with another.
type rowOrder struct {
	keys []plan.SortKey
	cols []*vec.Vector // flat, one per key
	// first is the first word of the first key, by row; nil if it has none.
	first []uint64
	tmp   []wordRow // for radix
	pairs []wordRow
}

// wordRow is a row and a word of its key.
type wordRow struct {
	word uint64
	row  uint32
}

// sortRun is how many rows are sorted before the context is asked again.
const sortRun = 1 << 16

// radixRows is from how many rows on a radix sort pays.
const radixRows = 96

// insertionRows is up to how many rows are put in their place one by one.
const insertionRows = 16

// textWords is how many words of a text are looked at before texts are compared as a whole.
const textWords = 4

// sortScratch is the bytes that sorting n rows needs.
func sortScratch(n int) int64 { return int64(n)*(4+4+8) + int64(min(n, sortRun))*2*16 }

func newRowOrder(keys []plan.SortKey, cols []*vec.Vector, n int) *rowOrder {
	o := &rowOrder{keys: keys, cols: cols}
	if v := cols[0]; wordsOf(v.Type) > 0 {
		o.first = make([]uint64, n)
		for lo := 0; lo < n; lo += sortRun {
			pairs := o.scratch(min(sortRun, n-lo))
			for i := range pairs {
				pairs[i].row = uint32(lo + i)
			}
			o.words(pairs, 0, 0)
			for i, p := range pairs {
				o.first[lo+i] = p.word
			}
		}
		if v.HasNulls() {
			null := ^uint64(0) // beyond or equal to all others
			if keys[0].NullsFirst {
				null = 0
			}
			for i := range n {
				if v.IsNull(i) {
					o.first[i] = null
				}
			}
		}
	}
	return o
}

func (o *rowOrder) scratch(n int) []wordRow {
	if cap(o.pairs) < n {
		o.pairs, o.tmp = make([]wordRow, n), make([]wordRow, n)
	}
	return o.pairs[:n]
}

// compare orders two rows.
func (o *rowOrder) compare(a, b uint32) int {
	if o.first != nil {
		switch x, y := o.first[a], o.first[b]; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
	}
	return o.compareFrom(0, a, b)
}

// compareFrom orders two rows that are equal in the keys before one.
func (o *rowOrder) compareFrom(key int, a, b uint32) int {
	for i := key; i < len(o.keys); i++ {
		if c := compareKey(o.cols[i], int(a), int(b), o.keys[i].Desc, o.keys[i].NullsFirst); c != 0 {
			return c
		}
	}
	return 0
}

// wordsOf is how many words a value of a type has; 0 if it has none.
func wordsOf(t vec.Type) int {
	switch t.Payload() {
	case vec.PayloadBools, vec.PayloadI64, vec.PayloadF64:
		return 1
	case vec.PayloadUUIDs:
		return 2
	case vec.PayloadStr:
		if t.Kind != vec.Bpchar && t.Kind != vec.JSONB {
			return textWords
		}
	}
	return 0
}

// words sets a word of a key of each row, whose values are not NULL.
func (o *rowOrder) words(rows []wordRow, key, word int) {
	v := o.cols[key]
	flip := uint64(0)
	if o.keys[key].Desc {
		flip = ^flip
	}
	switch v.Type.Payload() {
	case vec.PayloadBools:
		for i := range rows {
			x := uint64(0)
			if v.Bools[rows[i].row] {
				x = 1
			}
			rows[i].word = x ^ flip
		}
	case vec.PayloadI64:
		flip ^= 1 << 63
		for i := range rows {
			rows[i].word = uint64(v.I64[rows[i].row]) ^ flip
		}
	case vec.PayloadF64:
		for i := range rows {
			rows[i].word = floatWord(v.F64[rows[i].row]) ^ flip
		}
	case vec.PayloadUUIDs:
		for i := range rows {
			rows[i].word = binary.BigEndian.Uint64(v.UUIDs[rows[i].row][8*word:]) ^ flip
		}
	case vec.PayloadStr:
		for i := range rows {
			rows[i].word = textWord(v.Str.At(int(rows[i].row)), 8*word) ^ flip
		}
	}
}

// floatWord is a number in the order of vec.CompareFloat.
func floatWord(f float64) uint64 {
	switch {
	case f != f:
		return math.MaxUint64
	case f == 0:
		return 1 << 63
	}
	x := math.Float64bits(f)
	if x>>63 != 0 {
		return ^x
	}
	return x | 1<<63
}

// textWord is eight bytes of a text from a place on, filled up with zeros.
func textWord(s []byte, at int) uint64 {
	if len(s) >= at+8 {
		return binary.BigEndian.Uint64(s[at:])
	}
	var w [8]byte
	if at < len(s) {
		copy(w[:], s[at:])
	}
	return binary.BigEndian.Uint64(w[:])
}

// sortFew orders rows of which there are not many, as a rule.
func (o *rowOrder) sortFew(rows []uint32) {
	if len(rows) > insertionRows {
		o.sort(rows, 0, 0)
		return
	}
	for i := 1; i < len(rows); i++ {
		row, at := rows[i], i
		for ; at > 0 && o.compare(rows[at-1], row) > 0; at-- {
			rows[at] = rows[at-1]
		}
		rows[at] = row
	}
}

// firstFew puts the first n rows in order, to the front. Which rows come after them is not said.
func (o *rowOrder) firstFew(rows []uint32, n int) {
	if len(rows) <= n || n > insertionRows {
		o.sortFew(rows)
		return
	}
	o.sortFew(rows[:n])
	for _, row := range rows[n:] {
		at := n
		for ; at > 0 && o.compare(rows[at-1], row) > 0; at-- {
			if at < n {
				rows[at] = rows[at-1]
			}
		}
		if at < n {
			rows[at] = row
		}
	}
}

// sort orders rows that are equal in the keys before one, and in its words before one.
// Rows that are equal in all stay in the order in which they are.
func (o *rowOrder) sort(rows []uint32, key, word int) {
	for {
		if len(rows) < 2 || key == len(o.keys) {
			return
		}
		v := o.cols[key]
		if word == 0 && v.HasNulls() {
			rows = o.setNullsApart(rows, key)
			if len(rows) == 0 {
				return
			}
		}
		total := wordsOf(v.Type)
		if word == total {
			slices.SortStableFunc(rows, func(a, b uint32) int { return o.compareFrom(key, a, b) })
			return
		}
		pairs := o.scratch(len(rows))
		for i, r := range rows {
			pairs[i].row = r
		}
		o.words(pairs, key, word)
		if sortWords(pairs, o.tmp) {
			break
		}
		// All are equal in this word.
		if o.exact(rows, key, word) {
			key, word = key+1, 0
		} else {
			word++
		}
	}
	// The scratch is used again for rows that are equal in this word.
	type group struct{ lo, hi int }
	var groups []group
	lo := 0
	for i, p := range o.pairs[:len(rows)] {
		rows[i] = p.row
		if next := i + 1; next == len(rows) || o.pairs[next].word != p.word {
			if next-lo > 1 {
				groups = append(groups, group{lo, next})
			}
			lo = next
		}
	}
	for _, g := range groups {
		if same := rows[g.lo:g.hi]; o.exact(same, key, word) {
			o.sort(same, key+1, 0)
		} else {
			o.sort(same, key, word+1)
		}
	}
}

// exact says whether rows that are equal in the words of a key up to one are surely equal in
// the key.
func (o *rowOrder) exact(rows []uint32, key, word int) bool {
	v := o.cols[key]
	if v.Type.Payload() != vec.PayloadStr {
		return word+1 == wordsOf(v.Type)
	}
	size := len(v.Str.At(int(rows[0])))
	if size > 8*(word+1) {
		return false
	}
	for _, r := range rows[1:] {
		if len(v.Str.At(int(r))) != size { // one of them has bytes that are zero at its end
			return false
		}
	}
	return true
}

// setNullsApart puts the rows whose key is NULL in front or at the end, in order, and gives the
// others.
func (o *rowOrder) setNullsApart(rows []uint32, key int) []uint32 {
	v := o.cols[key]
	var null []uint32
	n := 0
	for _, r := range rows {
		if v.IsNull(int(r)) {
			null = append(null, r)
		} else {
			rows[n] = r
			n++
		}
	}
	if len(null) == 0 {
		return rows
	}
	nulls, rest := rows[n:], rows[:n]
	if o.keys[key].NullsFirst {
		copy(rows[len(null):], rows[:n])
		nulls, rest = rows[:len(null)], rows[len(null):]
	}
	copy(nulls, null)
	o.sort(nulls, key+1, 0)
	return rest
}

// sortWords sorts pairs by their words, equal ones as they are: few by insertion, and many by
// radix, a byte at a time from the least one on, bytes in which all are equal left out. It says
// whether any two differ.
func sortWords(pairs, tmp []wordRow) bool {
	differ := uint64(0)
	for _, p := range pairs[1:] {
		differ |= p.word ^ pairs[0].word
	}
	if differ == 0 {
		return false
	}
	if len(pairs) < radixRows {
		for i, p := range pairs[1:] {
			for ; i >= 0 && pairs[i].word > p.word; i-- {
				pairs[i+1] = pairs[i]
			}
			pairs[i+1] = p
		}
		return true
	}
	from, to := pairs, tmp[:len(pairs)]
	for shift := 0; shift < 64; shift += 8 {
		if byte(differ>>shift) == 0 {
			continue
		}
		var at [256]uint32
		for i := range from {
			at[byte(from[i].word>>shift)]++
		}
		sum := uint32(0)
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, p := range from {
			b := byte(p.word >> shift)
			to[at[b]] = p
			at[b]++
		}
		from, to = to, from
	}
	if &from[0] != &pairs[0] {
		copy(pairs, from)
	}
	return true
}

// sortRows gives the order of n rows, equal ones as they are. The stretches that end at parts are
// sorted already, the rest is not. It sorts runs and merges them in pairs, so that it can stop
// between any two.
func sortRows(ctx context.Context, n int, parts []int, o *rowOrder) ([]uint32, error) {
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	ends := slices.Clone(parts)
	for lo := append([]int{0}, parts...)[len(parts)]; lo < n; lo += sortRun {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		hi := min(lo+sortRun, n)
		o.sort(order[lo:hi], 0, 0)
		ends = append(ends, hi)
	}
	other := make([]uint32, n)
	for len(ends) > 1 {
		var merged []int
		lo := 0
		for i := 0; i < len(ends); i += 2 {
			mid, hi := ends[i], ends[i]
			if i+1 < len(ends) {
				hi = ends[i+1]
			}
			if err := mergeRuns(ctx, other[lo:hi], order[lo:mid], order[mid:hi], o); err != nil {
				return nil, err
			}
			merged = append(merged, hi)
			lo = hi
		}
		order, other, ends = other, order, merged
	}
	return order, nil
}

// mergeRuns merges two sorted runs; of equal rows, a's come first.
func mergeRuns(ctx context.Context, dst, a, b []uint32, o *rowOrder) error {
	for i := range dst {
		if i%sortRun == 0 {
			if err := yield(ctx); err != nil {
				return err
			}
		}
		if len(b) == 0 || len(a) > 0 && o.compare(a[0], b[0]) <= 0 {
			dst[i], a = a[0], a[1:]
		} else {
			dst[i], b = b[0], b[1:]
		}
	}
	return nil
}
