package vec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/prickledb/prickle/storage/wire"
)

// The wire form of a batch, for the log, spill files and the network: uncompressed and
// without a checksum, whoever stores it adds both. Numbers of the head are varints.
//
//	version (1 byte) | rows | columns | each column
//
//	column: kind (1 byte) | flags (1 byte) | modifier (zigzag; only with flag 8)
//	        | nulls: (rows+7)/8 bytes, lowest bit first (only with flag 16) | body
//	flags:  form (0 flat, 1 constant, 2 dictionary), 4 array, 8 modifier, 16 nulls
//
//	body of a flat column: its values, one a row
//	             constant: one value; its nulls are those of one row
//	             dictionary: count | values | codes
//
//	values, by payload:
//	  bools       bits, lowest first, to the next whole byte
//	  integers    least (zigzag) | width (1 byte: 1, 2, 4, 8) | offsets from it, little-endian
//	  floats      8 bytes each, little-endian
//	  numerics    integers: upper halves | integers: lower halves | integers: scales
//	  intervals   integers: months | integers: days | integers: microseconds
//	  uuids       16 bytes each
//	  texts       integers: lengths | bytes
//	  arrays      integers: lengths | column of all elements (flat, without kind and modifier)
//	  none        nothing
//	codes: offsets as above; their width is the least that the count needs
//
// No values means no bytes. A value takes at least a byte (a bool a bit), so a reader never
// allocates more than a small multiple of what it was sent. In a null row, texts and arrays
// are empty, and anything else is the first value that is not null: it makes no offset
// wider, and the bytes depend on nothing but what counts.
const wireVersion = 1

const (
	// MaxWireRows bounds the rows of a batch on the wire: constants take no bytes, so a
	// few bytes could otherwise claim any number of rows.
	MaxWireRows = 1 << 24
	// maxWireCols bounds the columns of a batch: PostgreSQL has 1,600, a merge of two
	// such tables twice that.
	maxWireCols = 4096
)

const (
	wireForm  = 3
	wireArray = 4
	wireMod   = 8
	wireNulls = 16
)

// AppendBatch adds the wire form of the rows of b that count. b has at most MaxWireRows rows.
// A dictionary is sent as far as it is used, if at least every other row repeats a value.
func AppendBatch(dst []byte, b *Batch) []byte {
	b = b.Compact()
	dst = append(dst, wireVersion)
	dst = binary.AppendUvarint(dst, uint64(b.Rows))
	dst = binary.AppendUvarint(dst, uint64(len(b.Cols)))
	for _, c := range b.Cols {
		dst = appendColumn(dst, c, b.Rows)
	}
	return dst
}

func appendColumn(dst []byte, v *Vector, rows int) []byte {
	var codes, used []uint32
	if v.Form == Dict {
		v, codes, used = pruneDict(v, rows)
	}
	n := rows
	if v.Form == Const {
		if n = 1; v.Nulls.Get(0) {
			v = NullConst(v.Type)
		}
	}
	nulls := firstBits(v.Nulls, n)
	flags := byte(v.Form)
	if v.Type.Array {
		flags |= wireArray
	}
	if v.Type.Mod != 0 {
		flags |= wireMod
	}
	if nulls != nil {
		flags |= wireNulls
	}
	dst = append(dst, byte(v.Type.Kind), flags)
	if v.Type.Mod != 0 {
		dst = binary.AppendVarint(dst, int64(v.Type.Mod))
	}
	dst = appendBits(dst, nulls, n)
	if v.Form != Dict {
		return appendValues(dst, v, n, nulls)
	}
	dst = binary.AppendUvarint(dst, uint64(len(used)))
	dst = appendValues(dst, v.Dict.Take(used), len(used), nil)
	return appendOffsets(dst, codes, 0, codeWidth(len(used)))
}

// pruneDict is what is sent of a dictionary column: v with the nulls of its dictionary as
// its own, new codes, and the positions in the dictionary that they stand for; or v in
// another form if the dictionary is not worth it.
func pruneDict(v *Vector, rows int) (out *Vector, codes, used []uint32) {
	nulls := NewBitmap(rows)
	for i := range rows {
		if v.IsNull(i) {
			nulls.Set(i)
		}
	}
	if v.Type.Payload() == PayloadNone {
		return &Vector{Type: v.Type, Nulls: nulls}, nil, nil
	}
	codes = make([]uint32, rows)
	place := newPlaces(v.Dict.Len(), rows)
	for i, c := range v.Codes[:rows] {
		if nulls.Get(i) {
			continue
		}
		at := place.get(c)
		if at == 0 {
			used = append(used, c)
			at = uint32(len(used))
			place.set(c, at)
		}
		codes[i] = at - 1
	}
	switch {
	case rows > 0 && len(used) == 0:
		return NullConst(v.Type), nil, nil
	case len(used) > rows/2:
		return v.Flatten(rows), nil, nil
	}
	return &Vector{Type: v.Type, Form: Dict, Nulls: nulls, Codes: codes, Dict: v.Dict}, codes, used
}

// places maps codes of a dictionary to numbers: a slice, unless the dictionary is far
// larger than the batch.
type places struct {
	list []uint32
	some map[uint32]uint32
}

func newPlaces(size, rows int) places {
	if size > 16*rows {
		return places{some: make(map[uint32]uint32, rows)}
	}
	return places{list: make([]uint32, size)}
}

func (p *places) get(c uint32) uint32 {
	if p.some != nil {
		return p.some[c]
	}
	return p.list[c]
}

func (p *places) set(c, at uint32) {
	if p.some != nil {
		p.some[c] = at
		return
	}
	p.list[c] = at
}

// firstBits is the first n bits of b, or nil if none of them is set.
func firstBits(b Bitmap, n int) Bitmap {
	out := NewBitmap(n)
	copy(out, b)
	if tail := uint(n) & 63; tail != 0 {
		out[len(out)-1] &= 1<<tail - 1
	}
	if !out.Any() {
		return nil
	}
	return out
}

func appendBits(dst []byte, b Bitmap, n int) []byte {
	if b == nil {
		return dst
	}
	for i := range (n + 7) / 8 {
		dst = append(dst, byte(b[i>>3]>>(8*uint(i&7))))
	}
	return dst
}

// appendValues adds the first n values of a flat or constant vector.
func appendValues(dst []byte, v *Vector, n int, nulls Bitmap) []byte {
	if n == 0 {
		return dst
	}
	switch v.Type.Payload() {
	case PayloadBools:
		set := NewBitmap(n)
		for i, x := range settled(v.Bools[:n], nulls) {
			if x {
				set.Set(i)
			}
		}
		return appendBits(dst, set, n)
	case PayloadI64:
		return appendInts(dst, settled(v.I64[:n], nulls))
	case PayloadF64:
		for _, x := range settled(v.F64[:n], nulls) {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
		}
		return dst
	case PayloadDec:
		hi, lo, scale := make([]int64, n), make([]int64, n), make([]int64, n)
		for i, d := range settled(v.Decimals()[:n], nulls) {
			hi[i], lo[i], scale[i] = d.Hi, int64(d.Lo), int64(d.Scale)
		}
		return appendInts(appendInts(appendInts(dst, hi), lo), scale)
	case PayloadIvl:
		months, days, micros := make([]int64, n), make([]int64, n), make([]int64, n)
		for i, x := range settled(v.Ivl[:n], nulls) {
			months[i], days[i], micros[i] = int64(x.Months), int64(x.Days), x.Micros
		}
		return appendInts(appendInts(appendInts(dst, months), days), micros)
	case PayloadUUIDs:
		for _, x := range settled(v.UUIDs[:n], nulls) {
			dst = append(dst, x[:]...)
		}
		return dst
	case PayloadStr:
		dst = appendLengths(dst, v.Str.Offs, n, nulls)
		if nulls == nil {
			return append(dst, v.Str.Bytes[v.Str.Offs[0]:v.Str.Offs[n]]...)
		}
		for i := range n {
			if !nulls.Get(i) {
				dst = append(dst, v.Str.At(i)...)
			}
		}
		return dst
	case PayloadList:
		dst = appendLengths(dst, v.Offs, n, nulls)
		elems := Builder{V: &Vector{Type: v.Type.Elem()}}
		count := 0
		for i := range n {
			if nulls.Get(i) {
				continue
			}
			for j := v.Offs[i]; j < v.Offs[i+1]; j++ {
				elems.AppendFrom(v.Elem, int(j))
				count++
			}
		}
		set := firstBits(elems.V.Nulls, count)
		flags := byte(Flat)
		if set != nil {
			flags |= wireNulls
		}
		dst = appendBits(append(dst, flags), set, count)
		return appendValues(dst, elems.V, count, set)
	}
	return dst
}

// settled is the values with the first that is not null in all null rows.
func settled[T any](values []T, nulls Bitmap) []T {
	if nulls == nil {
		return values
	}
	out := slices.Clone(values)
	var first T
	for i, v := range values {
		if !nulls.Get(i) {
			first = v
			break
		}
	}
	for i := range out {
		if nulls.Get(i) {
			out[i] = first
		}
	}
	return out
}

// appendLengths adds the distances of offsets; a null has none.
func appendLengths(dst []byte, offs []uint32, n int, nulls Bitmap) []byte {
	lengths := make([]int64, n)
	for i := range lengths {
		if !nulls.Get(i) {
			lengths[i] = int64(offs[i+1] - offs[i])
		}
	}
	return appendInts(dst, lengths)
}

func appendInts(dst []byte, values []int64) []byte {
	if len(values) == 0 {
		return dst
	}
	least, most := slices.Min(values), slices.Max(values)
	width := byte(8)
	switch span := uint64(most) - uint64(least); {
	case span <= math.MaxUint8:
		width = 1
	case span <= math.MaxUint16:
		width = 2
	case span <= math.MaxUint32:
		width = 4
	}
	dst = binary.AppendVarint(dst, least)
	return appendOffsets(append(dst, width), values, least, width)
}

// appendOffsets adds values less the least, in width bytes each.
func appendOffsets[T int64 | uint32](dst []byte, values []T, least T, width byte) []byte {
	switch width {
	case 1:
		for _, v := range values {
			dst = append(dst, byte(v-least))
		}
	case 2:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(v-least))
		}
	case 4:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v-least))
		}
	default:
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v)-uint64(least))
		}
	}
	return dst
}

// codeWidth is the bytes of a code of a dictionary with this many values.
func codeWidth(count int) byte {
	switch {
	case count <= 1<<8:
		return 1
	case count <= 1<<16:
		return 2
	}
	return 4
}

// DecodeBatch reads a batch that takes up all of src. The batch has no selection and
// shares memory with src, which must not be written to again. Any bytes give a batch that
// is safe to use, or an error; that texts are UTF-8 and jsonb values JSON is not checked.
func DecodeBatch(src []byte) (*Batch, error) {
	d := wireReader{wire.Reader{Src: src}}
	if v := d.Byte(); d.Err == nil && v != wireVersion {
		return nil, fmt.Errorf("batch: version %d, want %d", v, wireVersion)
	}
	b := &Batch{Rows: d.Count("rows", MaxWireRows)}
	cols := d.Count("columns", min(maxWireCols, len(d.Src)/2)) // a column takes its kind and its flags at least
	for i := 0; i < cols && d.Err == nil; i++ {
		b.Cols = append(b.Cols, d.column(b.Rows))
		if d.Err != nil {
			return nil, fmt.Errorf("batch: column %d of %d: %w", i, cols, d.Err)
		}
	}
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	return b, nil
}

// wireReader takes vectors off its bytes.
type wireReader struct{ wire.Reader }

func (d *wireReader) column(rows int) *Vector {
	kind, flags := Kind(d.Byte()), d.Byte()
	v := &Vector{Type: Type{Kind: kind, Array: flags&wireArray != 0}, Form: Form(flags & wireForm)}
	if kind >= kindCount || v.Form > Dict || flags >= 2*wireNulls || v.Form == Dict && v.Type.Payload() == PayloadNone {
		d.Fail("kind %d with flags %d", kind, flags)
		return v
	}
	if flags&wireMod != 0 {
		mod := d.Varint()
		if v.Type.Mod = int32(mod); int64(v.Type.Mod) != mod {
			d.Fail("modifier %d", mod)
		}
	}
	n := rows
	if v.Form == Const {
		n = 1
	}
	if flags&wireNulls != 0 {
		v.Nulls = d.bits(n)
	}
	if v.Form != Dict {
		d.values(v, n)
		return v
	}
	used := d.Count("values of a dictionary", rows)
	if d.Err == nil && used == 0 && rows > 0 {
		d.Fail("dictionary without values")
	}
	v.Dict = &Vector{Type: v.Type}
	d.values(v.Dict, used)
	v.Codes = readOffsets[uint32](d, rows, 0, codeWidth(used))
	for _, c := range v.Codes {
		if int(c) >= used {
			d.Fail("code %d of a dictionary of %d", c, used)
			break
		}
	}
	return v
}

func (d *wireReader) bits(n int) Bitmap {
	raw := d.Take((n + 7) / 8)
	if d.Err != nil {
		return nil
	}
	out := NewBitmap(n)
	for i, b := range raw {
		out[i>>3] |= uint64(b) << (8 * uint(i&7))
	}
	if tail := uint(n) & 63; tail != 0 && out[len(out)-1]>>tail != 0 {
		d.Fail("bits of rows beyond the last")
	}
	return out
}

// values reads n values into an empty flat or constant vector.
func (d *wireReader) values(v *Vector, n int) {
	if v.Type.Payload() == PayloadList {
		v.Offs, v.Elem = make([]uint32, 1), &Vector{Type: v.Type.Elem()}
	}
	if n == 0 || d.Err != nil {
		return
	}
	switch v.Type.Payload() {
	case PayloadBools:
		set := d.bits(n)
		if d.Err != nil {
			return
		}
		v.Bools = make([]bool, n)
		for i := range v.Bools {
			v.Bools[i] = set.Get(i)
		}
	case PayloadI64:
		v.I64 = d.ints(n)
	case PayloadF64:
		if raw := d.Take(8 * n); raw != nil {
			v.F64 = make([]float64, n)
			for i := range v.F64 {
				v.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
			}
		}
	case PayloadDec:
		d.decimals(v, n)
	case PayloadIvl:
		months, days, micros := d.ints(n), d.ints(n), d.ints(n)
		if d.Err != nil {
			return
		}
		v.Ivl = make([]IntervalValue, n)
		for i := range v.Ivl {
			v.Ivl[i] = IntervalValue{int32(months[i]), int32(days[i]), micros[i]}
			if int64(v.Ivl[i].Months) != months[i] || int64(v.Ivl[i].Days) != days[i] {
				d.Fail("interval of %d months and %d days", months[i], days[i])
				return
			}
		}
	case PayloadUUIDs:
		if raw := d.Take(16 * n); raw != nil {
			v.UUIDs = make([]UUIDValue, n)
			for i := range v.UUIDs {
				copy(v.UUIDs[i][:], raw[16*i:])
			}
		}
	case PayloadStr:
		v.Str.Offs = d.lengths("bytes of text", n, 1)
		if d.Err == nil {
			v.Str.Bytes = d.Take(int(v.Str.Offs[n]))
		}
	case PayloadList:
		v.Offs = d.lengths("elements", n, 8) // a bool takes a bit
		if d.Err != nil {
			return
		}
		count := int(v.Offs[n])
		switch flags := d.Byte(); flags {
		case 0:
		case wireNulls:
			v.Elem.Nulls = d.bits(count)
		default:
			d.Fail("elements with flags %d", flags)
		}
		d.values(v.Elem, count)
	}
}

func (d *wireReader) decimals(v *Vector, n int) {
	hi, lo, scale := d.ints(n), d.ints(n), d.ints(n)
	if d.Err != nil {
		return
	}
	v.Dec = make([]Decimal, n)
	for i := range v.Dec {
		v.Dec[i] = Decimal{Hi: hi[i], Lo: uint64(lo[i]), Scale: uint8(scale[i])}
		if int64(v.Dec[i].Scale) != scale[i] || !v.Dec[i].Valid() {
			d.Fail("numeric of scale %d", scale[i])
			return
		}
		if !v.Dec[i].IsFinite() {
			continue
		}
		x, err := DecimalFrom128(hi[i], uint64(lo[i]), int(scale[i]))
		if err != nil {
			d.Fail("numeric with a coefficient of more than %d digits", MaxDecimalDigits)
			return
		}
		v.Dec[i] = x
	}
	if coefs, scale, ok := Narrow(v.Dec, v.Nulls); ok {
		v.Dec, v.I64, v.Scale = nil, coefs, scale
	}
}

func (d *wireReader) ints(n int) []int64 {
	if n == 0 || d.Err != nil {
		return nil
	}
	least, width := d.Varint(), d.Byte()
	if d.Err == nil && width != 1 && width != 2 && width != 4 && width != 8 {
		d.Fail("numbers of %d bytes", width)
	}
	return readOffsets(d, n, least, width)
}

// readOffsets reads n values of width bytes, less the least.
func readOffsets[T int64 | uint32](d *wireReader, n int, least T, width byte) []T {
	raw := d.Take(n * int(width))
	if raw == nil {
		return nil
	}
	out := make([]T, n)
	switch width {
	case 1:
		for i := range out {
			out[i] = least + T(raw[i])
		}
	case 2:
		for i := range out {
			out[i] = least + T(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	case 4:
		for i := range out {
			out[i] = least + T(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	default:
		for i := range out {
			out[i] = least + T(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	}
	return out
}

// lengths reads n lengths and makes them offsets. Of what they count, at most perByte fit
// a byte.
func (d *wireReader) lengths(what string, n, perByte int) []uint32 {
	lengths := d.ints(n)
	if d.Err != nil {
		return nil
	}
	limit := min(int64(len(d.Src))*int64(perByte), math.MaxUint32)
	offs := make([]uint32, n+1)
	sum := int64(0)
	for i, l := range lengths {
		if l < 0 || l > limit-sum {
			d.Fail("%d %s of row %d, at most %d are possible here", l, what, i, limit-sum)
			return nil
		}
		sum += l
		offs[i+1] = uint32(sum)
	}
	return offs
}
