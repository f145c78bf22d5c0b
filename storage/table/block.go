package table

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/wire"
)

// A block is one column in at most 8,192 rows:
//
//	+--------+----------+----------------+------+
//	| crc(4) | nulls(1) | mask, if nulls | body |     the checksum covers all behind it
//	|        |          |   is 1         |      |
//	+--------+----------+----------------+------+
//
// The mask has a bit a row, lowest first; a set bit is a null. The body follows from the
// type; a size is a u32 in front of what it is the size of, and is left out for the last:
//
//	booleans            a bit a row
//	integers, times     wide column
//	floats              wide column of the bits
//	numerics            size, wide column of low halves; size, wide column of high halves; column of scales
//	intervals           size, wide column of months·2³² + days; wide column of µs
//	uuids               16 bytes each
//	text, bytes, jsonb  form(1): 0 a list; 1 distinct values(4), size, column of codes, a list of the sorted values
//	arrays              elements(4), size, column of lengths, a block of the elements
//
// A list is size, column of lengths; raw size(4), form(1): 0 the bytes, 1 one zstd frame.
const (
	blockHead = 5
	listRaw   = 0
	listZstd  = 1
	formList  = 0
	formDict  = 1
	// zstdLeast is how many bytes are worth a frame.
	zstdLeast = 128
	// maxBlockText is the most text that a block is believed to hold: no statement can
	// bring more than an entry of the log may unpack to.
	maxBlockText = 1 << 30
	// maxBlockElems bounds the elements of the arrays of a block likewise.
	maxBlockElems = 1 << 27
)

// The fastest level makes tables of texts up to 3 % larger than the default one, and loading them
// a tenth faster.
var compressor = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	return w
})

var decompressor = sync.OnceValue(func() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlockText))
	if err != nil {
		panic(err) // the options are constants
	}
	return r
})

// appendBlock adds the block of a flat vector, or of texts with a dictionary that has no nulls.
// What lies under a null must be the zero value, as vec.Builder leaves it, so that equal rows
// give equal bytes.
func appendBlock(dst []byte, v *vec.Vector) []byte {
	start, rows := len(dst), v.Len()
	dst = append(dst, 0, 0, 0, 0, 0)
	if v.Nulls.Any() {
		dst[start+4] = 1
		dst = appendBits(dst, rows, v.Nulls.Get)
	}
	switch v.Type.Payload() {
	case vec.PayloadBools:
		dst = appendBits(dst, rows, func(i int) bool { return v.Bools[i] })
	case vec.PayloadI64:
		dst = encoding.AppendWide(dst, v.I64)
	case vec.PayloadF64:
		bits := make([]int64, rows)
		for i, x := range v.F64 {
			bits[i] = int64(math.Float64bits(x))
		}
		dst = encoding.AppendWide(dst, bits)
	case vec.PayloadDec:
		low, high, scale := make([]int64, rows), make([]int64, rows), make([]uint32, rows)
		for i := range rows {
			if v.Nulls.Get(i) {
				continue
			}
			d := v.Decimal(i)
			low[i], high[i], scale[i] = int64(d.Lo), d.Hi, uint32(d.Scale)
		}
		dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendWide(dst, low) })
		dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendWide(dst, high) })
		dst = encoding.AppendColumn(dst, scale)
	case vec.PayloadIvl:
		days, micros := make([]int64, rows), make([]int64, rows)
		for i, x := range v.Ivl {
			days[i], micros[i] = int64(x.Months)<<32|int64(uint32(x.Days)), x.Micros
		}
		dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendWide(dst, days) })
		dst = encoding.AppendWide(dst, micros)
	case vec.PayloadUUIDs:
		for i := range v.UUIDs {
			dst = append(dst, v.UUIDs[i][:]...)
		}
	case vec.PayloadStr:
		if v.Form == vec.Dict {
			dst = appendCoded(dst, v)
		} else {
			dst = appendText(dst, &v.Str)
		}
	case vec.PayloadList:
		elem := v.Elem
		if elem == nil {
			elem = &vec.Vector{Type: v.Type.Elem()}
		}
		lengths := make([]uint32, rows)
		for i := range lengths {
			lengths[i] = v.Offs[i+1] - v.Offs[i]
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(elem.Len()))
		dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendColumn(dst, lengths) })
		dst = appendBlock(dst, elem)
	}
	binary.LittleEndian.PutUint32(dst[start:], crc32.Checksum(dst[start+4:], encoding.Table))
	return dst
}

func appendBits(dst []byte, n int, bit func(int) bool) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, (n+7)/8)...)
	for i := range n {
		if bit(i) {
			dst[start+i/8] |= 1 << (i % 8)
		}
	}
	return dst
}

// appendSized adds what add adds, behind its size.
func appendSized(dst []byte, add func([]byte) []byte) []byte {
	start := len(dst)
	dst = add(append(dst, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// appendText adds texts, as a dictionary if at most half of them are distinct.
func appendText(dst []byte, s *vec.Strings) []byte {
	n := s.Len()
	codes, first := distinct(s, n/2)
	if first == nil {
		return appendList(append(dst, formList), s)
	}
	values := make([]string, len(first))
	for i, row := range first {
		values[i] = s.Str(int(row))
	}
	return appendDict(dst, codes, values)
}

// distinct gives every row the number of its value, and for each number the row where it came
// first; none if there are more than most.
func distinct(s *vec.Strings, most int) (codes, first []uint32) {
	n := s.Len()
	size := 16
	for size < 4*most {
		size *= 2
	}
	slots := make([]uint32, size) // number of a value plus 1; 0 is a free slot
	codes = make([]uint32, n)
	for i := range codes {
		v := s.Str(i)
		if i > 0 && v == s.Str(i-1) {
			codes[i] = codes[i-1]
			continue
		}
		at := int(xxh3.HashString(v)) & (size - 1)
		for ; slots[at] != 0 && s.Str(int(first[slots[at]-1])) != v; at = (at + 1) & (size - 1) {
		}
		if slots[at] == 0 {
			if len(first) == most {
				return nil, nil
			}
			first = append(first, uint32(i))
			slots[at] = uint32(len(first))
		}
		codes[i] = slots[at] - 1
	}
	return codes, first
}

// appendCoded is appendText for texts with a dictionary.
func appendCoded(dst []byte, v *vec.Vector) []byte {
	place := make([]uint32, v.Dict.Len()) // of a value plus 1; 0: not met yet
	codes := make([]uint32, len(v.Codes))
	var values []string
	none := uint32(0) // as place, of what lies under a null
	for i, c := range v.Codes {
		p := &place[c]
		if v.Nulls.Get(i) {
			p = &none
		}
		if *p == 0 {
			value := ""
			if p != &none {
				value = v.Dict.Str.Str(int(c))
			}
			values = append(values, value)
			*p = uint32(len(values))
		}
		codes[i] = *p - 1
	}
	if len(values) > len(codes)/2 {
		b := vec.NewBuilder(v.Type)
		b.AppendRows(v, 0, len(codes))
		return appendText(dst, &b.V.Str)
	}
	return appendDict(dst, codes, values)
}

// appendDict adds texts by the numbers of their values. A value may be there twice.
func appendDict(dst []byte, codes []uint32, values []string) []byte {
	order := make([]uint32, len(values))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(values[a], values[b]) })
	place := make([]uint32, len(values))
	sorted := vec.MakeStrings(len(values), 0)
	for i, k := range order {
		if i == 0 || values[k] != values[order[i-1]] {
			sorted.AppendString(values[k])
		}
		place[k] = uint32(sorted.Len() - 1)
	}
	for i, c := range codes {
		codes[i] = place[c]
	}
	dst = binary.LittleEndian.AppendUint32(append(dst, formDict), uint32(sorted.Len()))
	dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendColumn(dst, codes) })
	return appendList(dst, &sorted)
}

func appendList(dst []byte, s *vec.Strings) []byte {
	n := s.Len()
	lengths := make([]uint32, n)
	var text []byte
	for i := range lengths {
		lengths[i] = s.Offs[i+1] - s.Offs[i]
	}
	if n > 0 {
		text = s.Bytes[s.Offs[0]:s.Offs[n]]
	}
	dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendColumn(dst, lengths) })
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	if len(text) >= zstdLeast {
		if packed := compressor().EncodeAll(text, nil); len(packed) < len(text)-len(text)/16 {
			return append(append(dst, listZstd), packed...)
		}
	}
	return append(append(dst, listRaw), text...)
}

// checkBlock says whether the bytes of a block are those that were written.
func checkBlock(src []byte) error {
	if len(src) < blockHead {
		return fmt.Errorf("block of %d bytes: %w", len(src), wire.ErrShort)
	}
	if want, got := binary.LittleEndian.Uint32(src), crc32.Checksum(src[4:], encoding.Table); want != got {
		return &encoding.DamageError{Block: -1, Want: want, Got: got}
	}
	return nil
}

// decodeBlock reads a block that takes up all of src.
func decodeBlock(src []byte, t vec.Type, rows int) (*vec.Vector, error) {
	if err := checkBlock(src); err != nil {
		return nil, err
	}
	d := decoder{wire.Reader{Src: src[blockHead:]}}
	v := &vec.Vector{Type: t}
	switch src[4] {
	case 0:
	case 1:
		v.Nulls = vec.NewBitmap(rows)
		d.bits(rows, func(i int) { v.Nulls.Set(i) })
	default:
		return nil, fmt.Errorf("nulls of form %d", src[4])
	}
	d.body(v, rows)
	if d.Err != nil {
		return nil, d.Err
	}
	return v, nil
}

// decoder takes a block apart.
type decoder struct{ wire.Reader }

func (d *decoder) sized() []byte { return d.Take(int(d.Uint32())) }

func (d *decoder) bits(n int, set func(int)) {
	b := d.Take((n + 7) / 8)
	for i := range 8 * len(b) {
		if b[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if i >= n {
			d.Fail("bit %d of %d is set", i, n)
			return
		}
		set(i)
	}
}

func (d *decoder) wide(src []byte, rows int) []int64 {
	if d.Err != nil {
		return nil
	}
	w, err := encoding.OpenWide(src, rows)
	if err != nil {
		d.Fail("%w", err)
		return nil
	}
	out := make([]int64, rows)
	if err := w.Read(out, 0); err != nil {
		d.Fail("%w", err)
		return nil
	}
	return out
}

func (d *decoder) column(src []byte, rows int) []uint32 {
	if d.Err != nil {
		return nil
	}
	c, err := encoding.OpenColumn(src, rows)
	if err != nil {
		d.Fail("%w", err)
		return nil
	}
	out := make([]uint32, rows)
	if err := c.Read(out, 0); err != nil {
		d.Fail("%w", err)
		return nil
	}
	return out
}

func (d *decoder) body(v *vec.Vector, rows int) {
	switch v.Type.Payload() {
	case vec.PayloadBools:
		v.Bools = make([]bool, rows)
		d.bits(rows, func(i int) { v.Bools[i] = true })
	case vec.PayloadI64:
		v.I64 = d.wide(d.Src, rows)
		return
	case vec.PayloadF64:
		bits := d.wide(d.Src, rows)
		v.F64 = make([]float64, len(bits))
		for i, b := range bits {
			v.F64[i] = math.Float64frombits(uint64(b))
		}
		return
	case vec.PayloadDec:
		low := d.wide(d.sized(), rows)
		rest := d.sized()
		if scale, ok := d.positive(low, rest); ok {
			v.I64, v.Scale = low, scale
			return
		}
		high := d.wide(rest, rows)
		scale := d.column(d.Src, rows)
		if d.Err != nil {
			return
		}
		if scaledBlock(low, high, scale, v.Nulls) {
			v.I64, v.Scale = low, uint8(slices.Max(scale))
			return
		}
		v.Dec = make([]vec.Decimal, rows)
		for i := range v.Dec {
			v.Dec[i] = vec.Decimal{Hi: high[i], Lo: uint64(low[i]), Scale: uint8(scale[i])}
			if scale[i] > math.MaxUint8 || !v.Dec[i].Valid() {
				d.Fail("scale %d", scale[i])
				return
			}
		}
		return
	case vec.PayloadIvl:
		days := d.wide(d.sized(), rows)
		micros := d.wide(d.Src, rows)
		if d.Err != nil {
			return
		}
		v.Ivl = make([]vec.IntervalValue, rows)
		for i := range v.Ivl {
			v.Ivl[i] = vec.IntervalValue{Months: int32(days[i] >> 32), Days: int32(uint32(days[i])), Micros: micros[i]}
		}
		return
	case vec.PayloadUUIDs:
		b := d.Take(16 * rows)
		v.UUIDs = make([]vec.UUIDValue, len(b)/16)
		for i := range v.UUIDs {
			copy(v.UUIDs[i][:], b[16*i:])
		}
	case vec.PayloadStr:
		d.text(v, rows)
		return
	case vec.PayloadList:
		d.list(v, rows)
		return
	}
	if len(d.Src) > 0 {
		d.Fail("%d bytes too many", len(d.Src))
	}
}

// positive says whether the numerics of low halves have nothing in high halves, but all one scale:
// what most columns are is seen without unpacking the rest.
func (d *decoder) positive(low []int64, high []byte) (scale uint8, ok bool) {
	if d.Err != nil || len(low) == 0 {
		return 0, false
	}
	w, err := encoding.OpenWide(high, len(low))
	if err != nil {
		return 0, false // whoever unpacks it will tell
	}
	c, err := encoding.OpenColumn(d.Src, len(low))
	if err != nil {
		return 0, false // likewise
	}
	if zero, err := w.Zero(); !zero || err != nil {
		return 0, false
	}
	most, ok, err := c.Constant()
	sign := int64(0)
	for _, x := range low {
		sign |= x
	}
	return uint8(most), ok && err == nil && most <= vec.MaxDecimalDigits && sign >= 0
}

// scaledBlock says whether numerics all have one scale, and 64 bits.
func scaledBlock(low, high []int64, scale []uint32, nulls vec.Bitmap) bool {
	if len(low) == 0 {
		return false
	}
	most := slices.Max(scale) // nulls have none
	if most > vec.MaxDecimalDigits {
		return false
	}
	wide, other := int64(0), false
	for i, x := range low {
		wide |= high[i] ^ x>>63
		other = other || scale[i] != most && !nulls.Get(i)
	}
	return wide == 0 && !other
}

func (d *decoder) text(v *vec.Vector, rows int) {
	form := d.Byte()
	switch {
	case d.Err != nil:
	case form == formList:
		v.Str = d.strings(rows)
	case form == formDict:
		count := int(d.Uint32())
		if count > rows {
			d.Fail("%d distinct values in %d rows", count, rows)
			return
		}
		codes := d.column(d.sized(), rows)
		dict := &vec.Vector{Type: v.Type, Str: d.strings(count)}
		for _, c := range codes {
			if int(c) >= count {
				d.Fail("code %d of %d values", c, count)
				return
			}
		}
		dict.Str.Ascending = dict.Str.IsAscending()
		v.Form, v.Codes, v.Dict = vec.Dict, codes, dict
	default:
		d.Fail("text of form %d", form)
	}
}

// strings reads a list that takes up the rest.
func (d *decoder) strings(count int) vec.Strings {
	lengths := d.column(d.sized(), count)
	raw := int(d.Uint32())
	form := d.Byte()
	if d.Err != nil {
		return vec.Strings{}
	}
	body := d.Src
	d.Src = nil
	switch {
	case form == listRaw && len(body) == raw:
		body = slices.Clone(body)
	case form == listZstd && raw <= maxBlockText:
		// No more is set aside than the frame may well hold; a larger text grows.
		text, err := decompressor().DecodeAll(body, make([]byte, 0, min(raw, 64*len(body))))
		if err != nil || len(text) != raw {
			d.Fail("text of %d bytes, want %d (%v)", len(text), raw, err)
			return vec.Strings{}
		}
		body = text
	default:
		d.Fail("text of form %d with %d bytes of %d", form, len(body), raw)
		return vec.Strings{}
	}
	out := vec.Strings{Offs: make([]uint32, count+1), Bytes: body, ASCII: vec.IsASCII(body)}
	end := uint64(0)
	for i, n := range lengths {
		if end += uint64(n); end > uint64(len(body)) {
			break
		}
		out.Offs[i+1] = uint32(end)
	}
	if end != uint64(len(body)) {
		d.Fail("values of %d bytes, text of %d", end, len(body))
		return vec.Strings{}
	}
	return out
}

func (d *decoder) list(v *vec.Vector, rows int) {
	count := int(d.Uint32())
	lengths := d.column(d.sized(), rows)
	if d.Err != nil {
		return
	}
	v.Offs = make([]uint32, rows+1)
	end := uint64(0)
	for i, n := range lengths {
		if end += uint64(n); end > uint64(count) {
			break
		}
		v.Offs[i+1] = uint32(end)
	}
	if end != uint64(count) || count > maxBlockElems {
		d.Fail("arrays of %d elements, want %d", end, count)
		return
	}
	elem, err := decodeBlock(d.Src, v.Type.Elem(), count)
	if err != nil {
		d.Fail("%w", err)
		return
	}
	v.Elem = elem.Flatten(count)
}
