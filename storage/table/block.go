package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
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

var errShort = errors.New("ends too early")

var compressor = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
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

// appendBlock adds the block of a flat vector. What lies under a null must be the zero
// value, as vec.Builder leaves it, so that equal rows give equal bytes.
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
		for i, d := range v.Dec {
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
		dst = appendText(dst, &v.Str)
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
	codes := make(map[string]uint32)
	for i := 0; i < n && len(codes) <= n/2; i++ {
		codes[s.Str(i)] = 0
	}
	if len(codes) > n/2 || n == 0 {
		return appendList(append(dst, formList), s)
	}
	sorted := make([]string, 0, len(codes))
	for v := range codes {
		sorted = append(sorted, v)
	}
	slices.SortFunc(sorted, strings.Compare)
	for i, v := range sorted {
		codes[v] = uint32(i)
	}
	of := make([]uint32, n)
	for i := range of {
		of[i] = codes[s.Str(i)]
	}
	dst = binary.LittleEndian.AppendUint32(append(dst, formDict), uint32(len(sorted)))
	dst = appendSized(dst, func(dst []byte) []byte { return encoding.AppendColumn(dst, of) })
	values := vec.StringsOf(sorted...)
	return appendList(dst, &values)
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

// decodeBlock reads a block that takes up all of src.
func decodeBlock(src []byte, t vec.Type, rows int) (*vec.Vector, error) {
	if len(src) < blockHead {
		return nil, fmt.Errorf("block of %d bytes: %w", len(src), errShort)
	}
	if want, got := binary.LittleEndian.Uint32(src), crc32.Checksum(src[4:], encoding.Table); want != got {
		return nil, &encoding.DamageError{Block: -1, Want: want, Got: got}
	}
	d := decoder{src: src[blockHead:]}
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
	if d.err != nil {
		return nil, d.err
	}
	return v, nil
}

// decoder takes a block apart. After the first error it gives zero values.
type decoder struct {
	src []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.src = nil
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.src) {
		d.fail(errShort)
		return nil
	}
	out := d.src[:n]
	d.src = d.src[n:]
	return out
}

func (d *decoder) u32() int {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}

func (d *decoder) sized() []byte { return d.take(d.u32()) }

func (d *decoder) bits(n int, set func(int)) {
	b := d.take((n + 7) / 8)
	for i := range 8 * len(b) {
		if b[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if i >= n {
			d.fail(fmt.Errorf("bit %d of %d is set", i, n))
			return
		}
		set(i)
	}
}

func (d *decoder) wide(src []byte, rows int) []int64 {
	if d.err != nil {
		return nil
	}
	w, err := encoding.OpenWide(src, rows)
	if err != nil {
		d.fail(err)
		return nil
	}
	out := make([]int64, rows)
	if err := w.Read(out, 0); err != nil {
		d.fail(err)
		return nil
	}
	return out
}

func (d *decoder) column(src []byte, rows int) []uint32 {
	if d.err != nil {
		return nil
	}
	c, err := encoding.OpenColumn(src, rows)
	if err != nil {
		d.fail(err)
		return nil
	}
	out := make([]uint32, rows)
	if err := c.Read(out, 0); err != nil {
		d.fail(err)
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
		v.I64 = d.wide(d.src, rows)
		return
	case vec.PayloadF64:
		bits := d.wide(d.src, rows)
		v.F64 = make([]float64, len(bits))
		for i, b := range bits {
			v.F64[i] = math.Float64frombits(uint64(b))
		}
		return
	case vec.PayloadDec:
		low := d.wide(d.sized(), rows)
		high := d.wide(d.sized(), rows)
		scale := d.column(d.src, rows)
		if d.err != nil {
			return
		}
		v.Dec = make([]vec.Decimal, rows)
		for i := range v.Dec {
			if scale[i] > math.MaxUint8 {
				d.fail(fmt.Errorf("scale %d", scale[i]))
				return
			}
			v.Dec[i] = vec.Decimal{Hi: high[i], Lo: uint64(low[i]), Scale: uint8(scale[i])}
		}
		return
	case vec.PayloadIvl:
		days := d.wide(d.sized(), rows)
		micros := d.wide(d.src, rows)
		if d.err != nil {
			return
		}
		v.Ivl = make([]vec.IntervalValue, rows)
		for i := range v.Ivl {
			v.Ivl[i] = vec.IntervalValue{Months: int32(days[i] >> 32), Days: int32(uint32(days[i])), Micros: micros[i]}
		}
		return
	case vec.PayloadUUIDs:
		b := d.take(16 * rows)
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
	if len(d.src) > 0 {
		d.fail(fmt.Errorf("%d bytes too many", len(d.src)))
	}
}

func (d *decoder) text(v *vec.Vector, rows int) {
	form := d.take(1)
	switch {
	case d.err != nil:
	case form[0] == formList:
		v.Str = d.strings(rows)
	case form[0] == formDict:
		count := d.u32()
		if count > rows {
			d.fail(fmt.Errorf("%d distinct values in %d rows", count, rows))
			return
		}
		codes := d.column(d.sized(), rows)
		dict := &vec.Vector{Type: v.Type, Str: d.strings(count)}
		for _, c := range codes {
			if int(c) >= count {
				d.fail(fmt.Errorf("code %d of %d values", c, count))
				return
			}
		}
		v.Form, v.Codes, v.Dict = vec.Dict, codes, dict
	default:
		d.fail(fmt.Errorf("text of form %d", form[0]))
	}
}

// strings reads a list that takes up the rest.
func (d *decoder) strings(count int) vec.Strings {
	lengths := d.column(d.sized(), count)
	raw := d.u32()
	form := d.take(1)
	if d.err != nil {
		return vec.Strings{}
	}
	body := d.src
	d.src = nil
	switch {
	case form[0] == listRaw && len(body) == raw:
		body = slices.Clone(body)
	case form[0] == listZstd && raw <= maxBlockText:
		// No more is set aside than the frame may well hold; a larger text grows.
		text, err := decompressor().DecodeAll(body, make([]byte, 0, min(raw, 64*len(body))))
		if err != nil || len(text) != raw {
			d.fail(fmt.Errorf("text of %d bytes, want %d (%v)", len(text), raw, err))
			return vec.Strings{}
		}
		body = text
	default:
		d.fail(fmt.Errorf("text of form %d with %d bytes of %d", form[0], len(body), raw))
		return vec.Strings{}
	}
	out := vec.Strings{Offs: make([]uint32, count+1), Bytes: body}
	end := uint64(0)
	for i, n := range lengths {
		if end += uint64(n); end > uint64(len(body)) {
			break
		}
		out.Offs[i+1] = uint32(end)
	}
	if end != uint64(len(body)) {
		d.fail(fmt.Errorf("values of %d bytes, text of %d", end, len(body)))
		return vec.Strings{}
	}
	return out
}

func (d *decoder) list(v *vec.Vector, rows int) {
	count := d.u32()
	lengths := d.column(d.sized(), rows)
	if d.err != nil {
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
		d.fail(fmt.Errorf("arrays of %d elements, want %d", end, count))
		return
	}
	elem, err := decodeBlock(d.src, v.Type.Elem(), count)
	if err != nil {
		d.fail(err)
		return
	}
	v.Elem = elem.Flatten(count)
}
