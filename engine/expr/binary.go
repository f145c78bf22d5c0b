package expr

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// PostgreSQL counts from 2000-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 86_400_000_000
)

// byOID are the types whose values are read in the binary form.
var byOID = func() map[uint32]vec.Type {
	m := map[uint32]vec.Type{}
	for k := vec.Bool; k <= vec.OID; k++ {
		m[vec.T(k).OID()] = vec.T(k)
		m[vec.ArrayOf(k).OID()] = vec.ArrayOf(k)
	}
	for _, k := range append([]vec.Kind{vec.XID}, vec.RegKinds...) {
		m[vec.T(k).OID()], m[vec.ArrayOf(k).OID()] = vec.T(k), vec.ArrayOf(k)
	}
	m[vec.T(vec.IntSet).OID()] = vec.T(vec.IntSet)
	m[114], m[199] = vec.T(vec.JSONB), vec.ArrayOf(vec.JSONB) // json
	m[vec.T(vec.Unknown).OID()] = vec.Type{}
	return m
}()

// TypeOf is the type of an object identifier, as clients name it.
func TypeOf(oid uint32) (vec.Type, bool) {
	t, ok := byOID[oid]
	return t, ok
}

// AppendBinaryRow adds the values of a row, each behind its length in four bytes; a null is
// the length -1.
func AppendBinaryRow(dst []byte, b *vec.Batch, row int, ctx *Context) []byte {
	for _, col := range b.Cols {
		if col.IsNull(row) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = AppendBinary(dst, col, row, ctx)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// AppendBinary adds the form that a value has in PostgreSQL's binary protocol. The value is
// not null.
func AppendBinary(dst []byte, col *vec.Vector, row int, ctx *Context) []byte {
	v, i := col.At(row)
	if v.Type.Array {
		return appendBinaryArray(dst, v, i, ctx)
	}
	be := binary.BigEndian
	switch v.Type.Kind.Unnamed() {
	case vec.Bool:
		if v.Bools[i] {
			return append(dst, 1)
		}
		return append(dst, 0)
	case vec.Int2:
		return be.AppendUint16(dst, uint16(v.I64[i]))
	case vec.Int4, vec.OID, vec.XID:
		return be.AppendUint32(dst, uint32(v.I64[i]))
	case vec.Int8, vec.Time:
		return be.AppendUint64(dst, uint64(v.I64[i]))
	case vec.Float4:
		return be.AppendUint32(dst, math.Float32bits(float32(v.F64[i])))
	case vec.Float8:
		return be.AppendUint64(dst, math.Float64bits(v.F64[i]))
	case vec.Numeric:
		return appendBinaryNumeric(dst, v.Decimal(i))
	case vec.Date:
		return be.AppendUint32(dst, uint32(wireDate(v.I64[i])))
	case vec.Timestamp, vec.TimestampTZ:
		return be.AppendUint64(dst, uint64(wireTime(v.I64[i])))
	case vec.Interval:
		x := v.Ivl[i]
		dst = be.AppendUint64(dst, uint64(x.Micros))
		dst = be.AppendUint32(dst, uint32(x.Days))
		return be.AppendUint32(dst, uint32(x.Months))
	case vec.UUID:
		return append(dst, v.UUIDs[i][:]...)
	case vec.JSONB:
		return append(append(dst, 1), v.Str.At(i)...)
	case vec.Record:
		return appendRecord(dst, v.Str.At(i), v.Type, ctx)
	case vec.Void:
		return dst
	case vec.Inet:
		return appendBinaryInet(dst, v.Str.At(i))
	case vec.Bpchar: // padded to its length
		return AppendText(dst, col, row, ctx)
	default:
		return append(dst, v.Str.At(i)...)
	}
}

// appendBinaryInet adds an address: its family, the bits of its mask, that it is no network, and
// its bytes with their number before them.
func appendBinaryInet(dst, text []byte) []byte {
	a, err := netip.ParseAddr(string(text))
	if err != nil { // an address of the server's own has no other form
		return append(dst, text...)
	}
	a = a.Unmap().WithZone("")
	family := byte(2)
	if a.Is6() {
		family = 3
	}
	dst = append(dst, family, byte(a.BitLen()), 0, byte(a.BitLen()/8))
	return append(dst, a.AsSlice()...)
}

func wireDate(days int64) int32 {
	switch days {
	case vec.InfinityTime:
		return math.MaxInt32
	case vec.NegInfinityTime:
		return math.MinInt32
	}
	return int32(days - epochDays)
}

func wireTime(micros int64) int64 {
	if micros == vec.InfinityTime || micros < math.MinInt64+epochMicros {
		return micros
	}
	return micros - epochMicros
}

// appendBinaryArray adds an array of one dimension, or of none when it is empty.
func appendBinaryArray(dst []byte, v *vec.Vector, i int, ctx *Context) []byte {
	be := binary.BigEndian
	lo, hi := int(v.Offs[i]), int(v.Offs[i+1])
	elem := v.Type.Elem()
	if elem.Kind == vec.Unknown {
		elem.Kind = vec.Text
	}
	dims, nulls, first := uint32(1), uint32(0), uint32(1)
	if v.Type.IsVector() { // it begins at 0, and has a dimension also when it is empty
		first = 0
	} else if lo == hi {
		dims = 0
	}
	for j := lo; j < hi; j++ {
		if v.Elem.IsNull(j) {
			nulls = 1
		}
	}
	dst = be.AppendUint32(dst, dims)
	dst = be.AppendUint32(dst, nulls)
	dst = be.AppendUint32(dst, elem.OID())
	if dims == 0 {
		return dst
	}
	dst = be.AppendUint32(dst, uint32(hi-lo))
	dst = be.AppendUint32(dst, first)
	for j := lo; j < hi; j++ {
		if v.Elem.IsNull(j) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = AppendBinary(dst, v.Elem, j, ctx)
		be.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// appendBinaryNumeric adds digits of base 10000: how many, the weight of the first, the sign,
// the display scale, the digits.
func appendBinaryNumeric(dst []byte, d vec.Decimal) []byte {
	be := binary.BigEndian
	switch {
	case d.IsFinite():
	case d.IsNaN():
		return append(dst, 0, 0, 0, 0, 0xc0, 0, 0, 0)
	case d.Sign() > 0: // with a display scale that means nothing, as PostgreSQL sends it
		return append(dst, 0, 0, 0, 0, 0xd0, 0, 0, 0x20)
	default:
		return append(dst, 0, 0, 0, 0, 0xf0, 0, 0, 0x20)
	}
	digits, negative := decimalDigits(d) // decimal, least significant first
	scale := int(d.Scale)
	// Groups of four align with the decimal point, so the fraction is filled up on the
	// right: digit k of 10^(k-scale) falls into group floor((k-scale)/4).
	var groups [24]uint16
	const zero = 12 // position in groups of the group left of the point
	low, high := zero+1, -1
	pow := [4]uint16{1, 10, 100, 1000}
	for k, digit := range digits {
		if digit == 0 {
			continue
		}
		e := k - scale
		g := e >> 2
		at := g + zero
		if at < 0 || at >= len(groups) {
			continue // cannot be: 39 digits and a scale of 38 at most fit
		}
		groups[at] += uint16(digit) * pow[e-g*4]
		low, high = min(low, at), max(high, at)
	}
	sign := uint16(0)
	if negative {
		sign = 0x4000
	}
	if high < 0 { // zero
		dst = be.AppendUint16(dst, 0)
		dst = be.AppendUint16(dst, 0)
		dst = be.AppendUint16(dst, 0)
		return be.AppendUint16(dst, uint16(scale))
	}
	low = min(low, high)
	for groups[low] == 0 {
		low++
	}
	dst = be.AppendUint16(dst, uint16(high-low+1))
	dst = be.AppendUint16(dst, uint16(int16(high-zero)))
	dst = be.AppendUint16(dst, sign)
	dst = be.AppendUint16(dst, uint16(scale))
	for at := high; at >= low; at-- {
		dst = be.AppendUint16(dst, groups[at])
	}
	return dst
}

// decimalDigits is the digits of the coefficient, least significant first.
func decimalDigits(d vec.Decimal) (digits []byte, negative bool) {
	hi, lo := uint64(d.Hi), d.Lo
	if d.Hi < 0 {
		negative = true
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		hi = ^hi + carry
	}
	digits = make([]byte, 0, 39)
	for hi != 0 || lo != 0 {
		var r uint64
		hi, r = hi/10, hi%10
		lo, r = bits.Div64(r, lo, 10)
		digits = append(digits, byte(r))
	}
	return digits, negative
}

func badBinary(t vec.Type) error {
	return pgerr.New(pgerr.BadBinary, "incorrect binary data format for type %s", t)
}

// ReadBinary reads the binary form of a value as a constant.
func ReadBinary(ctx *Context, t vec.Type, b []byte) (*vec.Vector, error) {
	v := &vec.Vector{Type: t}
	if err := NewInput(t).Binary(ctx, v, b); err != nil {
		return nil, err
	}
	v.Form = vec.Const
	return v, nil
}

// Binary appends the value whose binary form is b to v, a flat vector of the type.
func (in *Input) Binary(ctx *Context, v *vec.Vector, b []byte) error {
	t := in.t
	if t.Array {
		return in.binaryArray(ctx, v, b)
	}
	be := binary.BigEndian
	if n := t.Size(); n > 0 && t.Kind != vec.Name && len(b) != int(n) {
		return badBinary(t)
	}
	switch t.Kind.Unnamed() {
	case vec.Bool:
		v.Bools = append(v.Bools, b[0] != 0)
	case vec.Int2:
		v.I64 = append(v.I64, int64(int16(be.Uint16(b))))
	case vec.Int4:
		v.I64 = append(v.I64, int64(int32(be.Uint32(b))))
	case vec.OID, vec.XID:
		v.I64 = append(v.I64, int64(be.Uint32(b)))
	case vec.Int8:
		v.I64 = append(v.I64, int64(be.Uint64(b)))
	case vec.Time:
		n := int64(be.Uint64(b))
		if n < 0 || n > microsDay {
			return pgerr.New(pgerr.DatetimeOverflow, "time out of range")
		}
		v.I64 = append(v.I64, n)
	case vec.Float4:
		v.F64 = append(v.F64, float64(math.Float32frombits(be.Uint32(b))))
	case vec.Float8:
		v.F64 = append(v.F64, math.Float64frombits(be.Uint64(b)))
	case vec.Date:
		n := int64(int32(be.Uint32(b)))
		switch n {
		case math.MaxInt32:
			n = vec.InfinityTime
		case math.MinInt32:
			n = vec.NegInfinityTime
		default:
			n += epochDays
		}
		v.I64 = append(v.I64, n)
	case vec.Timestamp, vec.TimestampTZ:
		n := int64(be.Uint64(b))
		switch {
		case n == math.MaxInt64 || n == math.MinInt64: // infinity
		case n > math.MaxInt64-epochMicros:
			return pgerr.New(pgerr.DatetimeOverflow, "timestamp out of range")
		default:
			n += epochMicros
		}
		v.I64 = append(v.I64, n)
	case vec.Interval:
		v.Ivl = append(v.Ivl, vec.IntervalValue{Micros: int64(be.Uint64(b)), Days: int32(be.Uint32(b[8:])), Months: int32(be.Uint32(b[12:]))})
	case vec.UUID:
		v.UUIDs = append(v.UUIDs, vec.UUIDValue(b))
	case vec.Numeric:
		text, ok := numericText(b)
		if !ok {
			return badBinary(t)
		}
		return in.Text(ctx, v, text)
	case vec.JSONB:
		if len(b) > 0 && b[0] == 1 { // jsonb's version; json has none
			b = b[1:]
		}
		if !utf8.Valid(b) {
			return badEncoding
		}
		return in.Text(ctx, v, b)
	case vec.Bytea:
		v.Str.Append(b)
	case vec.IntSet:
		set, err := Bitmap(b)
		if err != nil {
			return err
		}
		v.Str.Append(AppendBitmap(nil, set))
	case vec.Record, vec.Void:
		return pgerr.Unsupported("a value of type " + t.String() + " from outside")
	default:
		return in.Text(ctx, v, b)
	}
	return nil
}

// binaryArray appends an array of at most one dimension.
func (in *Input) binaryArray(ctx *Context, v *vec.Vector, b []byte) error {
	be, t := binary.BigEndian, in.t
	if len(b) < 12 {
		return badBinary(t)
	}
	dims, oid := be.Uint32(b), be.Uint32(b[8:])
	elem := t.Elem()
	sent, ok := TypeOf(oid)
	if !ok || sent.Payload() != elem.Payload() || sent.Size() != elem.Size() {
		return pgerr.New(pgerr.DatatypeMismatch, "wrong element type in a binary array of type %s", t)
	}
	b = b[12:]
	count := uint32(0)
	switch dims {
	case 0:
	case 1:
		if len(b) < 8 {
			return badBinary(t)
		}
		count = be.Uint32(b)
		b = b[8:]
		if uint64(count)*4 > uint64(len(b)) {
			return badBinary(t)
		}
	default:
		return pgerr.Unsupported("an array of more than one dimension")
	}
	each := NewInput(elem) // whatever text the client calls it
	values := vec.NewBuilder(elem)
	for range count {
		if len(b) < 4 {
			return badBinary(t)
		}
		size := int32(be.Uint32(b))
		b = b[4:]
		if size == -1 {
			values.AppendNull()
			continue
		}
		if size < 0 || int(size) > len(b) {
			return badBinary(t)
		}
		if err := each.Binary(ctx, values.V, b[:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	if len(b) != 0 {
		return badBinary(t)
	}
	one := &vec.Vector{Type: t, Elem: values.V, Offs: []uint32{0, uint32(values.V.Len())}}
	(&vec.Builder{V: v}).AppendFrom(one, 0)
	return nil
}

// maxNumericText bounds the digits that a binary numeric may stand for; values of more
// than 38 digits are refused later anyway, with the right words.
const maxNumericText = 200

// numericText is a binary numeric in decimal digits.
func numericText(b []byte) ([]byte, bool) {
	be := binary.BigEndian
	if len(b) < 8 {
		return nil, false
	}
	n, weight, sign, scale := int(be.Uint16(b)), int(int16(be.Uint16(b[2:]))), be.Uint16(b[4:]), int(be.Uint16(b[6:]))
	switch sign {
	case 0, 0x4000:
	case 0xc000:
		return []byte("NaN"), true
	case 0xd000:
		return []byte("Infinity"), true
	case 0xf000:
		return []byte("-Infinity"), true
	default:
		return nil, false
	}
	b = b[8:]
	if len(b) != 2*n || n > maxNumericText/4 || weight > maxNumericText/4 || weight < -maxNumericText/4 || scale > maxNumericText {
		return nil, false
	}
	group := func(w int) int { // the digit of weight 10000^w
		if k := weight - w; k >= 0 && k < n {
			return int(be.Uint16(b[2*k:]))
		}
		return 0
	}
	var out []byte
	if sign == 0x4000 {
		out = append(out, '-')
	}
	four := func(g int) {
		if g < 1000 {
			out = append(out, "000"[:3-len(strconv.Itoa(g))+1]...)
		}
		out = strconv.AppendInt(out, int64(g), 10)
	}
	for w := max(weight, 0); w >= 0; w-- {
		if group(w) > 9999 {
			return nil, false
		}
		four(group(w))
	}
	if scale > 0 {
		out = append(out, '.')
		at := len(out)
		for w := -1; len(out)-at < scale; w-- {
			if group(w) > 9999 {
				return nil, false
			}
			four(group(w))
		}
		out = out[:at+scale]
	}
	return out, true
}
