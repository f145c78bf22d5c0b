package event

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/wire"
)

// The wire form of a batch, uncompressed and without a checksum: whoever stores it adds
// both. Numbers are varints unless a width is named; zigzag where they may be negative.
//
//	version (1 byte) | rows | created at (zigzag)
//	uuids: 16 bytes a row
//	times: least (zigzag) | bits (1 byte) | packed offsets from it
//	name, distinct id: dictionary | packed codes
//	properties: count | each: key length | key | dictionary | kinds | carriers | packed codes
//	personless: 0, or 1 and (rows+7)/8 bytes
//	operations: count | each: row | kind (1 byte) | other | set | set once | unset count | unset …
//	groups: count | each: row | type | key | set | set once | unset count | unset …
//	copies: count | each: (rows+7)/8 bytes | count | each: position among properties | key on the person, empty if it is the same
//
//	dictionary: count | lengths | bytes
//	kinds: one byte when all values share it, otherwise 0xff and one byte a value
//	carriers: 0 if there is a code for each row, 0 for nothing; otherwise count | each: rows without a code before it
//	packed: little-endian bits without gaps, to the next whole byte. The width of codes
//	is not stored: it is what the largest possible code needs.
//
// Version 1 ended before the groups, version 2 before the copies; up to version 3 all rows have a code of every property.
const wireVersion = 4

const (
	// MaxRows bounds the rows of a batch: more than an entry can hold at 16 bytes a uuid.
	MaxRows = 1 << 20
	// MaxCells bounds the codes of properties: those of a property with one code for all rows
	// take no bytes of wire, which could otherwise ask for any amount of memory. 128 MB of codes.
	MaxCells = 1 << 25
	// maxCopies bounds the copies of a batch: each goes over the rows.
	maxCopies = 8
	// mixedKinds says that one kind a value follows.
	mixedKinds = 0xff
)

// Append adds the wire form of b to dst. The batch must hold what its comments say.
func Append(dst []byte, b *Batch) []byte {
	dst = append(dst, wireVersion)
	dst = binary.AppendUvarint(dst, uint64(b.Rows))
	dst = binary.AppendVarint(dst, b.CreatedAt)
	for i := range b.UUID[:b.Rows] {
		dst = append(dst, b.UUID[i][:]...)
	}
	dst = appendTimes(dst, b.Time[:b.Rows])
	for _, c := range []*Column{&b.Name, &b.DistinctID} {
		dst = appendDict(dst, &c.Values)
		dst = appendPacked(dst, c.Codes[:b.Rows], columnWidth(c.Values.Len()))
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Props)))
	for i := range b.Props {
		p := &b.Props[i]
		dst = appendBytes(dst, p.Key)
		dst = appendDict(dst, &p.Values)
		dst = appendKinds(dst, p.Kinds)
		dst = appendCodes(dst, &p.Codes, b.Rows, bits.Len(uint(p.Values.Len())))
	}
	dst = appendFlags(dst, b.Personless, b.Rows)
	dst = binary.AppendUvarint(dst, uint64(len(b.Ops)))
	for i := range b.Ops {
		dst = appendOp(dst, &b.Ops[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Groups)))
	for i := range b.Groups {
		op := &b.Groups[i]
		dst = binary.AppendUvarint(dst, uint64(op.Row))
		dst = appendBytes(dst, op.Type)
		dst = appendBytes(dst, op.Key)
		dst = appendSets(dst, op.Set, op.SetOnce, op.Unset)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Copies)))
	for i := range b.Copies {
		dst = appendCopy(dst, b, &b.Copies[i])
	}
	return dst
}

// columnWidth is the bits of a code of a column with this many values.
func columnWidth(values int) int {
	if values == 0 {
		return 0
	}
	return bits.Len(uint(values - 1))
}

func appendBytes[T string | []byte](dst []byte, v T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	return append(dst, v...)
}

func appendTimes(dst []byte, times []int64) []byte {
	if len(times) == 0 {
		return dst
	}
	least, most := slices.Min(times), slices.Max(times)
	width := bits.Len64(uint64(most) - uint64(least))
	dst = binary.AppendVarint(dst, least)
	dst = append(dst, byte(width))
	if width > 56 { // plain: an offset may straddle nine bytes
		for _, t := range times {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(t)-uint64(least))
		}
		return dst
	}
	var acc uint64
	n := 0
	for _, t := range times {
		acc |= (uint64(t) - uint64(least)) << n
		for n += width; n >= 8; n -= 8 {
			dst = append(dst, byte(acc))
			acc >>= 8
		}
	}
	if n > 0 {
		dst = append(dst, byte(acc))
	}
	return dst
}

func appendDict(dst []byte, values *vec.Strings) []byte {
	count := values.Len()
	dst = binary.AppendUvarint(dst, uint64(count))
	for i := range count {
		dst = binary.AppendUvarint(dst, uint64(values.Offs[i+1]-values.Offs[i]))
	}
	if count == 0 {
		return dst
	}
	return append(dst, values.Bytes[values.Offs[0]:values.Offs[count]]...)
}

func appendKinds(dst []byte, kinds []Kind) []byte {
	if len(kinds) == 0 {
		return append(dst, byte(Null))
	}
	for _, k := range kinds {
		if k != kinds[0] {
			dst = append(dst, mixedKinds)
			for _, k := range kinds {
				dst = append(dst, byte(k))
			}
			return dst
		}
	}
	return append(dst, byte(kinds[0]))
}

// appendCodes writes which rows have codes, 0 for all of them, and the codes.
func appendCodes(dst []byte, c *Codes, rows, width int) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.some)))
	if c.some != nil {
		next := uint32(0)
		for _, row := range c.some {
			dst = binary.AppendUvarint(dst, uint64(row-next))
			next = row + 1
		}
		rows = len(c.some)
	}
	switch {
	case c.narrow != nil:
		return appendPacked(dst, c.narrow[:rows], width)
	case c.middle != nil:
		return appendPacked(dst, c.middle[:rows], width)
	}
	return appendPacked(dst, c.wide[:rows], width)
}

func appendPacked[T code](dst []byte, codes []T, width int) []byte {
	if width == 0 {
		return dst
	}
	var acc uint64
	n := 0
	for _, c := range codes {
		acc |= uint64(c) << n
		n += width
		if n >= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(acc))
			acc >>= 32
			n -= 32
		}
	}
	for ; n > 0; n -= 8 {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

func appendFlags(dst []byte, flags vec.Bitmap, rows int) []byte {
	if !flags.Any() {
		return append(dst, 0)
	}
	return appendBits(append(dst, 1), flags, rows)
}

func appendBits(dst []byte, flags vec.Bitmap, rows int) []byte {
	for i := range (rows + 7) / 8 {
		var w uint64
		if i>>3 < len(flags) {
			w = flags[i>>3]
		}
		dst = append(dst, byte(w>>(8*uint(i&7))))
	}
	return dst
}

func appendOp(dst []byte, op *PersonOp) []byte {
	dst = binary.AppendUvarint(dst, uint64(op.Row))
	dst = append(dst, byte(op.Kind))
	dst = appendBytes(dst, op.Other)
	return appendSets(dst, op.Set, op.SetOnce, op.Unset)
}

// appendCopy leaves out properties that the batch does not have, or no longer.
func appendCopy(dst []byte, b *Batch, c *Copy) []byte {
	dst = appendBits(dst, c.Rows, b.Rows)
	count := 0
	for _, p := range c.Props {
		if _, found := b.Find(p.From); found {
			count++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(count))
	for _, p := range c.Props {
		at, found := b.Find(p.From)
		if !found {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(at))
		to := p.To
		if to == p.From {
			to = ""
		}
		dst = appendBytes(dst, to)
	}
	return dst
}

func appendSets(dst, set, setOnce []byte, unset []string) []byte {
	dst = appendBytes(dst, set)
	dst = appendBytes(dst, setOnce)
	dst = binary.AppendUvarint(dst, uint64(len(unset)))
	for _, key := range unset {
		dst = appendBytes(dst, key)
	}
	return dst
}

// Decode reads a batch that takes up all of src. The batch shares memory with src, which
// must not be written to again. Any bytes give a batch that is safe to use or an error;
// that dictionary values are distinct is not checked.
func Decode(src []byte) (*Batch, error) {
	d := wireReader{wire.Reader{Src: src}}
	version := d.Byte()
	if d.Err == nil && (version < 1 || version > wireVersion) {
		return nil, fmt.Errorf("event batch: version %d, want 1 to %d", version, wireVersion)
	}
	// A row takes at least its uuid, so rows cannot ask for more than src is long.
	rows := d.Count("rows", min(MaxRows, len(src)/16))
	b := &Batch{Rows: rows, CreatedAt: d.Varint()}
	if raw := d.Take(16 * rows); d.Err == nil {
		b.UUID = make([]vec.UUIDValue, rows)
		for i := range b.UUID {
			copy(b.UUID[i][:], raw[16*i:])
		}
	}
	b.Time = d.times(rows)
	for _, c := range []*Column{&b.Name, &b.DistinctID} {
		c.Values = d.dict()
		values := c.Values.Len()
		if values == 0 && rows > 0 {
			d.Fail("column without values")
		}
		c.Codes = packed[uint32](&d, rows, columnWidth(values), uint32(max(values, 1)-1))
	}
	d.props(b, version)
	b.Personless = d.flags(rows)
	d.ops(b)
	if version > 1 {
		d.groups(b)
	}
	if version > 2 {
		d.copies(b)
	}
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("event batch: %w", err)
	}
	return b, nil
}

// wireReader takes columns off its bytes.
type wireReader struct{ wire.Reader }

func (d *wireReader) bytes(what string) []byte {
	return d.Take(d.Count("bytes of "+what, len(d.Src)))
}

// str shares memory with src.
func (d *wireReader) str(what string) string {
	b := d.bytes(what)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func (d *wireReader) times(rows int) []int64 {
	if rows == 0 || d.Err != nil {
		return nil
	}
	least := d.Varint()
	width := int(d.Byte())
	if width > 64 {
		d.Fail("times of %d bits", width)
		return nil
	}
	if width > 56 {
		raw := d.Take(8 * rows)
		if d.Err != nil {
			return nil
		}
		out := make([]int64, rows)
		for i := range out {
			out[i] = int64(uint64(least) + binary.LittleEndian.Uint64(raw[8*i:]))
		}
		return out
	}
	raw := d.Take((rows*width + 7) / 8)
	if d.Err != nil {
		return nil
	}
	out := make([]int64, rows)
	var acc uint64
	n, at := 0, 0
	mask := uint64(1)<<width - 1
	for i := range out {
		for ; n < width; n += 8 {
			acc |= uint64(raw[at]) << n
			at++
		}
		out[i] = int64(uint64(least) + acc&mask)
		acc >>= width
		n -= width
	}
	return out
}

func (d *wireReader) dict() vec.Strings {
	count := d.Count("values", len(d.Src))
	offs := make([]uint32, 1, count+1)
	var end uint64
	for range count {
		size := d.Uvarint()
		if size > uint64(len(d.Src)) { // also keeps the sum from running over
			d.Fail("a value of %d bytes, %d are left", size, len(d.Src))
			return vec.Strings{}
		}
		end += size
		if end > uint64(len(d.Src)) {
			d.Fail("values of more than the %d bytes left", len(d.Src))
			return vec.Strings{}
		}
		offs = append(offs, uint32(end))
	}
	return vec.Strings{Offs: offs, Bytes: d.Take(int(end))}
}

// codes reads a code a row, none above most. Few is whether it is said which rows have one, and limit
// is how many codes there may be.
func (d *wireReader) codes(rows int, most uint32, few bool, limit int) (out Codes) {
	if few {
		if n := d.Count("rows with a property", min(rows, len(d.Src))); n > 0 {
			out.some, out.rows = d.rows(n, rows), rows
			rows = n
		}
	}
	if rows > limit {
		d.Fail("more than %d codes of properties", MaxCells)
	}
	width := bits.Len32(most)
	switch CodeBytes(most) {
	case 1:
		out.narrow = packed[uint8](d, rows, width, most)
	case 2:
		out.middle = packed[uint16](d, rows, width, most)
	default:
		out.wide = packed[uint32](d, rows, width, most)
	}
	if out.some != nil && d.Err == nil {
		for i := range out.some {
			if out.kept(i) == 0 {
				d.Fail("row %d has a property and no value", out.some[i])
				break
			}
		}
	}
	return out
}

// rows reads n of so many rows, as ascending numbers.
func (d *wireReader) rows(n, rows int) []uint32 {
	out := make([]uint32, n)
	next := 0
	for i := range out {
		gap := d.Count("rows without a property", rows-next-1)
		if next += gap + 1; d.Err != nil {
			return nil
		}
		out[i] = uint32(next - 1)
	}
	return out
}

// packed reads a code a row, none above most, of which T has room for all that the width has.
func packed[T code](d *wireReader, rows, width int, most uint32) []T {
	raw := d.Take((rows*width + 7) / 8)
	if d.Err != nil {
		return nil
	}
	out := make([]T, rows)
	if width == 0 {
		return out
	}
	var acc uint64
	n := 0
	mask := uint64(1)<<width - 1
	var seen uint32
	for i := range out {
		if n < width {
			if len(raw) >= 4 {
				acc |= uint64(binary.LittleEndian.Uint32(raw)) << n
				raw = raw[4:]
				n += 32
			} else {
				for ; n < width; n += 8 {
					acc |= uint64(raw[0]) << n
					raw = raw[1:]
				}
			}
		}
		c := uint32(acc & mask)
		seen = max(seen, c)
		out[i] = T(c)
		acc >>= width
		n -= width
	}
	if seen > most {
		d.Fail("code %d, the last is %d", seen, most)
		return nil
	}
	return out
}

func (d *wireReader) kinds(count int) []Kind {
	first := d.Byte()
	if d.Err != nil {
		return nil
	}
	out := make([]Kind, count)
	if first == mixedKinds {
		raw := d.Take(count)
		for i, k := range raw {
			out[i] = Kind(k)
		}
	} else {
		for i := range out {
			out[i] = Kind(first)
		}
	}
	for _, k := range out {
		if k > JSON {
			d.Fail("kind %d of a value", k)
			return nil
		}
	}
	return out
}

func (d *wireReader) props(b *Batch, version byte) {
	count := d.Count("properties", len(d.Src)/3)
	if d.Err != nil || count == 0 {
		return
	}
	b.Props = make([]Prop, 0, count)
	cells := 0
	for i := range count {
		key := d.str("key")
		if i > 0 && d.Err == nil && key <= b.Props[i-1].Key {
			d.Fail("property %q after %q", key, b.Props[i-1].Key)
		}
		values := d.dict()
		n := values.Len()
		kinds := d.kinds(n)
		if d.Err == nil {
			d.checkValues(key, kinds, &values)
		}
		codes := d.codes(b.Rows, uint32(n), version > 3, MaxCells-cells)
		if d.Err != nil {
			return
		}
		cells += codes.Kept()
		b.Props = append(b.Props, Prop{Key: key, Codes: codes, Kinds: kinds, Values: values})
	}
}

// checkValues checks the kinds whose readers do not look at the bytes again.
func (d *wireReader) checkValues(key string, kinds []Kind, values *vec.Strings) {
	for i, k := range kinds {
		switch v := values.Str(i); {
		case k == Null && v != "", k == Bool && v != "true" && v != "false":
			d.Fail("property %q: value %q of kind %d", key, v, k)
			return
		}
	}
}

func (d *wireReader) flags(rows int) vec.Bitmap {
	switch set := d.Byte(); {
	case d.Err != nil || set == 0:
		return nil
	case set != 1:
		d.Fail("personless flags of form %d", set)
		return nil
	}
	return d.bits(rows)
}

func (d *wireReader) bits(rows int) vec.Bitmap {
	raw := d.Take((rows + 7) / 8)
	if d.Err != nil || rows == 0 {
		return nil
	}
	out := vec.NewBitmap(rows)
	for i, v := range raw {
		out[i>>3] |= uint64(v) << (8 * uint(i&7))
	}
	if tail := uint(rows) & 63; tail != 0 && out[len(out)-1]>>tail != 0 {
		d.Fail("flags of rows beyond the last")
		return nil
	}
	return out
}

func (d *wireReader) ops(b *Batch) {
	count := d.Count("operations", len(d.Src)/6)
	if d.Err != nil || count == 0 {
		return
	}
	b.Ops = make([]PersonOp, count)
	for i := range b.Ops {
		op := &b.Ops[i]
		op.Row = uint32(d.Count("as row of an operation", max(b.Rows, 1)-1))
		if op.Kind = OpKind(d.Byte()); op.Kind > OpMergeDangerously {
			d.Fail("operation of kind %d", op.Kind)
		}
		op.Other = d.str("other id")
		op.Set, op.SetOnce, op.Unset = d.sets()
		if b.Rows == 0 || i > 0 && op.Row < b.Ops[i-1].Row {
			d.Fail("operation %d out of order", i)
		}
		if d.Err != nil {
			return
		}
	}
}

func (d *wireReader) groups(b *Batch) {
	count := d.Count("operations on groups", len(d.Src)/6)
	if d.Err != nil || count == 0 {
		return
	}
	b.Groups = make([]GroupOp, count)
	for i := range b.Groups {
		op := &b.Groups[i]
		op.Row = uint32(d.Count("as row of a group", max(b.Rows, 1)-1))
		op.Type, op.Key = d.str("type of groups"), d.str("key of a group")
		op.Set, op.SetOnce, op.Unset = d.sets()
		if b.Rows == 0 || i > 0 && op.Row < b.Groups[i-1].Row {
			d.Fail("group %d out of order", i)
		}
		if d.Err != nil {
			return
		}
	}
}

func (d *wireReader) copies(b *Batch) {
	count := d.Count("copies", maxCopies)
	if d.Err != nil || count == 0 {
		return
	}
	b.Copies = make([]Copy, count)
	for i := range b.Copies {
		c := &b.Copies[i]
		c.Rows = d.bits(b.Rows)
		n := d.Count("copied properties", len(b.Props))
		if d.Err != nil {
			return
		}
		c.Props = make([]CopiedProp, n)
		for k := range c.Props {
			at := d.Count("as position of a copied property", max(len(b.Props), 1)-1)
			to := d.str("copied property")
			if d.Err != nil {
				return
			}
			c.Props[k] = CopiedProp{b.Props[at].Key, to}
			if to == "" {
				c.Props[k].To = c.Props[k].From
			}
		}
	}
}

// sets reads what is set, set once and unset.
func (d *wireReader) sets() (set, once []byte, unset []string) {
	set, once = d.bytes("set"), d.bytes("set once")
	n := d.Count("keys to unset", len(d.Src))
	if d.Err != nil {
		return nil, nil, nil
	}
	if len(set) == 0 {
		set = nil
	}
	if len(once) == 0 {
		once = nil
	}
	if n > 0 {
		unset = make([]string, n)
		for i := range unset {
			unset[i] = d.str("key to unset")
		}
	}
	return set, once, unset
}
