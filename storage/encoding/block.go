package encoding

import (
	"encoding/binary"
	"errors"
	"math"
)

// BlockRows is how many values a block holds, except for the last of a column. Decoding
// one leaves them in the second-level cache, and the checksum of a block costs little
// beside reading it.
const BlockRows = 8192

// The forms of a block. The numbers are part of the segment format.
//
//	constant  0 | value(4)
//	FOR       1 | base(4) width(1), a group | packed groups
//	RLE       2 | runs(2) | size of the values(4) | block of values | block of lengths less 1
//	delta     3 | first(4) least difference(4) width(1), a group | packed groups
//
// Every number is little-endian. How many values there are is known from outside. In a
// delta group a packed value is the difference to the value before it, less the least
// one, modulo 2^32; the first packed value of a group is 0 and not used.
const (
	formConstant = iota
	formFOR
	formRLE
	formDelta
)

const (
	groupsPerBlock = BlockRows / GroupRows
	shortRun       = 8
	forHead        = 5
	deltaHead      = 9
)

// ErrBlock is returned for bytes that are not a block.
var ErrBlock = errors.New("not a block of packed numbers")

// groupStats is what choosing a form needs to know of a group.
type groupStats struct {
	least, most         uint32
	leastDiff, mostDiff int64
}

// AppendBlock adds the shortest form of at most BlockRows values to dst.
func AppendBlock(dst []byte, v []uint32) []byte {
	return appendBlock(dst, v, true)
}

func appendBlock(dst []byte, v []uint32, mayRun bool) []byte {
	if len(v) == 0 {
		return binary.LittleEndian.AppendUint32(append(dst, formConstant), 0)
	}
	m := blockStats{least: v[0], most: v[0]}
	for lo := 0; lo < len(v); lo += GroupRows {
		group := v[lo:min(lo+GroupRows, len(v))]
		m.runs += m.add(group, len(group))
		if lo > 0 && group[0] != v[lo-1] {
			m.runs++
		}
	}
	m.runs++
	if m.least == m.most {
		return binary.LittleEndian.AppendUint32(append(dst, formConstant), m.least)
	}
	if mayRun && m.runs <= len(v)/2 {
		first, second := GetScratch(), GetScratch()
		defer first.Put()
		defer second.Put()
		values, lengths := first[:m.runs], second[:m.runs]
		if m.pays(findRuns(values, lengths, v)) {
			return appendRLE(dst, values, lengths)
		}
	}
	// A sum is dearer to undo than a shift, so differences must be worth it.
	if m.sizeDelta+m.sizeDelta/8 < m.sizeFOR {
		return appendDelta(dst, v, m.of[:m.groups])
	}
	return appendFOR(dst, v, m.of[:m.groups])
}

// appendBlockOfRuns adds what appendBlock adds for the rows values that runs are. Neighbours differ,
// and ends, behind each, count from the block's first value.
func appendBlockOfRuns(dst []byte, values, ends []uint32, rows int) []byte {
	first, second := GetScratch(), GetScratch()
	defer first.Put()
	defer second.Put()
	if len(values) <= rows/2 {
		m := blockStats{least: values[0], most: values[0], runs: len(values)}
		from, to := 0, 0
		for lo := 0; lo < rows; lo += GroupRows {
			hi := min(lo+GroupRows, rows)
			for to < len(ends)-1 && int(ends[to]) < hi {
				to++
			}
			m.add(values[from:to+1], hi-lo)
			if from = to; int(ends[to]) == hi {
				from++
			}
		}
		if m.least == m.most {
			return binary.LittleEndian.AppendUint32(append(dst, formConstant), m.least)
		}
		lengths, at, longest := first[:len(ends)], uint32(0), uint32(0)
		for i, end := range ends {
			lengths[i] = end - at - 1
			longest = max(longest, lengths[i])
			at = end
		}
		if m.pays(longest) {
			return appendRLE(dst, values, lengths)
		}
	}
	v, at := second[:rows], uint32(0)
	for i, end := range ends {
		fill(v[at:end], values[i])
		at = end
	}
	return appendBlock(dst, v, false)
}

// blockStats is what choosing a form needs to know of a block.
type blockStats struct {
	of                 [groupsPerBlock]groupStats
	groups, runs       int
	least, most        uint32
	sizeFOR, sizeDelta int
}

// add measures the next group of rows values, of which those that repeat the one before may be left
// out, and returns how often they change.
func (m *blockStats) add(v []uint32, rows int) (changes int) {
	if m.groups == 0 {
		m.sizeFOR, m.sizeDelta = 1, 1
	}
	s := &m.of[m.groups]
	m.groups++
	changes = s.measure(v, rows)
	m.least, m.most = min(m.least, s.least), max(m.most, s.most)
	m.sizeFOR += forHead + packedSize(rows, widthOf(s.most-s.least))
	m.sizeDelta += deltaHead + packedSize(rows, s.diffWidth())
	return changes
}

// pays says whether runs take less than any other form; longest is the length of the longest, less 1.
func (m *blockStats) pays(longest uint32) bool {
	size := 7 + 2*(1+forHead*((m.runs+GroupRows-1)/GroupRows)) +
		packedSize(m.runs, widthOf(m.most-m.least)) + packedSize(m.runs, widthOf(longest))
	return size < min(m.sizeFOR, m.sizeDelta)
}

// measure looks at the values of a group of so many rows and returns how often they change.
func (s *groupStats) measure(v []uint32, rows int) (changes int) {
	before := v[0]
	least, most := before, before
	leastDiff, mostDiff := int32(math.MaxInt32), int32(math.MinInt32)
	for _, x := range v[1:] {
		if x == before {
			continue
		}
		changes++
		d := int32(x - before) // modulo 2^32, so that any two fit 32 bits
		leastDiff, mostDiff = min(leastDiff, d), max(mostDiff, d)
		least, most = min(least, x), max(most, x)
		before = x
	}
	if changes < rows-1 {
		leastDiff, mostDiff = min(leastDiff, 0), max(mostDiff, 0)
	}
	s.least, s.most = least, most
	if rows > 1 {
		s.leastDiff, s.mostDiff = int64(leastDiff), int64(mostDiff)
	}
	return changes
}

// diffWidth is the bits of a difference.
func (s *groupStats) diffWidth() uint { return widthOf(uint32(s.mostDiff - s.leastDiff)) }

// findRuns fills values and lengths with the runs of v, lengths less 1, and gives the longest.
// There are as many of them as the two have room for.
func findRuns(values, lengths, v []uint32) (longest uint32) {
	lengths = lengths[:len(values)]
	at, start := 0, 0
	before := v[0]
	for i, x := range v {
		if x == before {
			continue
		}
		values[at], lengths[at] = before, uint32(i-start-1)
		longest = max(longest, lengths[at])
		at, start, before = at+1, i, x
	}
	values[at], lengths[at] = before, uint32(len(v)-start-1)
	return max(longest, lengths[at])
}

func appendFOR(dst []byte, v []uint32, stats []groupStats) []byte {
	dst = append(dst, formFOR)
	for i := range stats {
		s := &stats[i]
		dst = binary.LittleEndian.AppendUint32(dst, s.least)
		dst = append(dst, byte(widthOf(s.most-s.least)))
	}
	for i := range stats {
		s := &stats[i]
		group := v[i*GroupRows : min((i+1)*GroupRows, len(v))]
		dst = appendPacked(dst, group, s.least, widthOf(s.most-s.least))
	}
	return dst
}

func appendDelta(dst []byte, v []uint32, stats []groupStats) []byte {
	dst = append(dst, formDelta)
	for i := range stats {
		s := &stats[i]
		dst = binary.LittleEndian.AppendUint32(dst, v[i*GroupRows])
		dst = binary.LittleEndian.AppendUint32(dst, uint32(s.leastDiff))
		dst = append(dst, byte(s.diffWidth()))
	}
	var diffs [GroupRows]uint32
	for i := range stats {
		s := &stats[i]
		group := v[i*GroupRows : min((i+1)*GroupRows, len(v))]
		diffs[0] = 0
		for j := 1; j < len(group); j++ {
			diffs[j] = group[j] - group[j-1] - uint32(s.leastDiff)
		}
		dst = appendPacked(dst, diffs[:len(group)], 0, s.diffWidth())
	}
	return dst
}

func appendRLE(dst []byte, values, lengths []uint32) []byte {
	dst = append(dst, formRLE)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(values)))
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendBlock(dst, values, false)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return appendBlock(dst, lengths, false)
}

// DecodeBlock fills dst with the values from position lo on of a block of rows values,
// which takes up all of src.
func DecodeBlock(dst []uint32, src []byte, rows, lo int) error {
	if lo < 0 || rows > BlockRows || lo+len(dst) > rows || len(src) < 1 {
		return ErrBlock
	}
	if len(dst) == 0 {
		return nil
	}
	form, src := src[0], src[1:]
	switch form {
	case formConstant:
		if len(src) != 4 {
			return ErrBlock
		}
		fill(dst, binary.LittleEndian.Uint32(src))
		return nil
	case formFOR:
		return decodeFOR(dst, src, rows, lo)
	case formRLE:
		return decodeRLE(dst, src, rows, lo)
	case formDelta:
		return decodeDelta(dst, src, rows, lo)
	}
	return ErrBlock
}

func fill(dst []uint32, v uint32) {
	for i := range dst {
		dst[i] = v
	}
}

func decodeFOR(dst []uint32, src []byte, rows, lo int) error {
	groups := (rows + GroupRows - 1) / GroupRows
	if len(src) < forHead*groups {
		return ErrBlock
	}
	heads, src := src[:forHead*groups], src[forHead*groups:]
	hi := lo + len(dst)
	var whole [GroupRows]uint32
	for g := range groups {
		start := g * GroupRows
		if start >= hi {
			break
		}
		head := heads[forHead*g:][:forHead]
		base, width := binary.LittleEndian.Uint32(head), uint(head[4])
		n := min(GroupRows, rows-start)
		size := packedSize(n, width)
		if width > 32 || size > len(src) {
			return ErrBlock
		}
		packed := src[:size]
		src = src[size:]
		if start+n <= lo {
			continue
		}
		from, to := max(lo, start), min(hi, start+n)
		out := dst[from-lo : to-lo]
		switch {
		case width == 0:
			fill(out, base)
		case n < GroupRows:
			unpackHorizontal(out, packed, from-start, base, width)
		case len(out) == GroupRows:
			unpack((*[GroupRows]uint32)(out), packed, base, width)
		case len(out) <= fewValues:
			unpackFew(out, packed, from-start, base, width)
		default:
			unpack(&whole, packed, base, width)
			copy(out, whole[from-start:])
		}
	}
	return nil
}

func decodeDelta(dst []uint32, src []byte, rows, lo int) error {
	groups := (rows + GroupRows - 1) / GroupRows
	if len(src) < deltaHead*groups {
		return ErrBlock
	}
	heads, src := src[:deltaHead*groups], src[deltaHead*groups:]
	hi := lo + len(dst)
	var whole [GroupRows]uint32
	for g := range groups {
		start := g * GroupRows
		if start >= hi {
			break
		}
		head := heads[deltaHead*g:][:deltaHead]
		first, least, width := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:]), uint(head[8])
		n := min(GroupRows, rows-start)
		size := packedSize(n, width)
		if width > 32 || size > len(src) {
			return ErrBlock
		}
		packed := src[:size]
		src = src[size:]
		if start+n <= lo {
			continue
		}
		from, to := max(lo, start), min(hi, start+n)
		out := dst[from-lo : to-lo]
		switch {
		case n < GroupRows:
			unpackHorizontal(whole[:n], packed, 0, least, width)
			whole[0] = first
			sumUp(whole[:n])
			copy(out, whole[from-start:])
		case len(out) == GroupRows:
			unpackSums((*[GroupRows]uint32)(out), packed, first, least, width)
		default:
			unpackSums(&whole, packed, first, least, width)
			copy(out, whole[from-start:])
		}
	}
	return nil
}

func decodeRLE(dst []uint32, src []byte, rows, lo int) error {
	first, second := GetScratch(), GetScratch()
	defer first.Put()
	defer second.Put()
	values, lengths, err := decodeRuns(first, second, src, rows)
	if err != nil {
		return err
	}
	if !expandRuns(dst, values, lengths, rows, lo) {
		return ErrBlock
	}
	return nil
}

// expandRunsPortable fills dst with the values from position lo on of a block of rows values, which are runs;
// lengths are less 1. It is false if they are more than rows, or fewer than were asked for.
func expandRunsPortable(dst, values, lengths []uint32, rows, lo int) bool {
	at := -lo // where the run begins in dst
	for i, v := range values {
		length := int(lengths[i]) + 1
		if length > rows-lo-at {
			return false
		}
		from := max(at, 0)
		if at += length; at <= 0 {
			continue
		}
		if at >= len(dst) {
			fill(dst[from:], v)
			return true
		}
		if from+shortRun > len(dst) || length > shortRun {
			fill(dst[from:at], v)
			continue
		}
		// The runs to come overwrite what is too much of a short one: that costs less than a
		// loop whose end cannot be foreseen.
		short := (*[shortRun]uint32)(dst[from:])
		short[0], short[1], short[2], short[3] = v, v, v, v
		short[4], short[5], short[6], short[7] = v, v, v, v
	}
	return false
}

// decodeRuns gives the values of the runs of a block, and their lengths less 1.
func decodeRuns(first, second *Scratch, src []byte, rows int) (values, lengths []uint32, err error) {
	if len(src) < 6 {
		return nil, nil, ErrBlock
	}
	runs, size := int(binary.LittleEndian.Uint16(src)), int(binary.LittleEndian.Uint32(src[2:]))
	src = src[6:]
	if runs == 0 || runs > rows || size < 1 || size >= len(src) || src[0] == formRLE || src[size] == formRLE {
		return nil, nil, ErrBlock
	}
	values, lengths = first[:runs], second[:runs]
	if err := DecodeBlock(values, src[:size], runs, 0); err != nil {
		return nil, nil, err
	}
	return values, lengths, DecodeBlock(lengths, src[size:], runs, 0)
}

// CountBlock counts the values in positions [lo, hi) of a block of rows values, which takes up
// all of src: counts has a place for each value that there may be. Runs are not made rows.
func CountBlock(counts []uint32, src []byte, rows, lo, hi int) error {
	if lo < 0 || lo > hi || hi > rows || rows > BlockRows || len(src) < 1 {
		return ErrBlock
	}
	first, second := GetScratch(), GetScratch()
	defer first.Put()
	defer second.Put()
	if src[0] != formRLE {
		values := first[:hi-lo]
		if err := DecodeBlock(values, src, rows, lo); err != nil {
			return err
		}
		for _, v := range values {
			if int(v) >= len(counts) {
				return ErrBlock
			}
			counts[v]++
		}
		return nil
	}
	values, ends, err := blockRuns(first, second, src, rows, lo, hi)
	if err != nil {
		return err
	}
	at := uint32(0)
	for i, v := range values {
		if int(v) >= len(counts) {
			return ErrBlock
		}
		counts[v] += ends[i] - at
		at = ends[i]
	}
	return nil
}

// blockRuns gives the values of the runs that positions [lo, hi) of a block of rows values are kept
// as, and the position behind each, counted from lo.
func blockRuns(first, second *Scratch, src []byte, rows, lo, hi int) (values, ends []uint32, err error) {
	values, lengths, err := decodeRuns(first, second, src[1:], rows)
	if err != nil || lo == hi {
		return nil, nil, err
	}
	at, n := 0, 0
	for i, v := range values {
		if at += int(lengths[i]) + 1; at > rows {
			break
		}
		if at <= lo {
			continue
		}
		// Those before are done with, so there is room for it.
		values[n], lengths[n] = v, uint32(min(at, hi)-lo)
		if n++; at >= hi {
			return values[:n], lengths[:n], nil
		}
	}
	return nil, nil, ErrBlock // fewer values than were asked for, or more than there are
}

// AppendBlockRuns adds the values in positions [lo, hi) of a block of rows values, which takes up all
// of src, to values as runs, and to ends the position behind each, counted from lo and increased by
// base. It says false, and adds nothing, where the block is not kept as runs.
func AppendBlockRuns(values, ends []uint32, src []byte, rows, lo, hi int, base uint32) (v, e []uint32, ok bool, err error) {
	if lo < 0 || lo > hi || hi > rows || rows > BlockRows || len(src) < 1 {
		return values, ends, false, ErrBlock
	}
	switch {
	case src[0] == formConstant && len(src) == 5 && lo < hi:
		return append(values, binary.LittleEndian.Uint32(src[1:])), append(ends, base+uint32(hi-lo)), true, nil
	case src[0] != formRLE:
		return values, ends, false, nil
	}
	first, second := GetScratch(), GetScratch()
	defer first.Put()
	defer second.Put()
	runs, behind, err := blockRuns(first, second, src, rows, lo, hi)
	if err != nil {
		return values, ends, false, err
	}
	values = append(values, runs...)
	n := len(ends)
	ends = append(ends, behind...)
	if base > 0 {
		for i := range ends[n:] {
			ends[n+i] += base
		}
	}
	return values, ends, true, nil
}
