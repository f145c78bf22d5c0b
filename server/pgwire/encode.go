package pgwire

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/vec"
)

// PostgreSQL counts from 2000-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 86_400_000_000
)

// encoder writes the rows of one answer as DataRow messages.
type encoder struct {
	ctx    *expr.Context
	binary []bool // by column
}

func newEncoder(s *session.Session, p *session.Portal) (*encoder, error) {
	e := &encoder{ctx: s.Context(), binary: make([]bool, len(p.Schema))}
	for i := range p.Schema {
		format, err := formatOf(p.Formats, i)
		if err != nil {
			return nil, err
		}
		e.binary[i] = format == 1
	}
	return e, nil
}

// appendRow adds one DataRow message.
func (e *encoder) appendRow(dst []byte, b *vec.Batch, row int) []byte {
	start := len(dst)
	dst = append(dst, 'D', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b.Cols)))
	for i, col := range b.Cols {
		if col.IsNull(row) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		if i < len(e.binary) && e.binary[i] {
			dst = e.appendBinary(dst, col, row)
		} else {
			dst = expr.AppendText(dst, col, row, e.ctx)
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// appendBinary adds the binary form of a value that is not null.
func (e *encoder) appendBinary(dst []byte, col *vec.Vector, row int) []byte {
	v, i := col.At(row)
	if v.Type.Array {
		return e.appendArray(dst, v, i)
	}
	be := binary.BigEndian
	switch v.Type.Kind {
	case vec.Bool:
		if v.Bools[i] {
			return append(dst, 1)
		}
		return append(dst, 0)
	case vec.Int2:
		return be.AppendUint16(dst, uint16(v.I64[i]))
	case vec.Int4, vec.OID, vec.RegClass, vec.RegType, vec.RegProc, vec.RegNamespace, vec.RegRole, vec.XID:
		return be.AppendUint32(dst, uint32(v.I64[i]))
	case vec.Int8, vec.Time:
		return be.AppendUint64(dst, uint64(v.I64[i]))
	case vec.Float4:
		return be.AppendUint32(dst, math.Float32bits(float32(v.F64[i])))
	case vec.Float8:
		return be.AppendUint64(dst, math.Float64bits(v.F64[i]))
	case vec.Numeric:
		return appendNumeric(dst, v.Dec[i])
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
		return be.AppendUint32(dst, 0) // no fields
	case vec.Void:
		return dst
	case vec.Bpchar: // padded to its length
		return expr.AppendText(dst, col, row, e.ctx)
	default:
		return append(dst, v.Str.At(i)...)
	}
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

// appendArray adds an array of one dimension, or of none when it is empty.
func (e *encoder) appendArray(dst []byte, v *vec.Vector, i int) []byte {
	be := binary.BigEndian
	lo, hi := int(v.Offs[i]), int(v.Offs[i+1])
	elem := v.Type.Elem()
	if elem.Kind == vec.Unknown {
		elem.Kind = vec.Text
	}
	dims, nulls := uint32(1), uint32(0)
	if lo == hi {
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
	dst = be.AppendUint32(dst, 1)
	for j := lo; j < hi; j++ {
		if v.Elem.IsNull(j) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = e.appendBinary(dst, v.Elem, j)
		be.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// nanScale marks a numeric NaN in vec.Decimal.
const nanScale = 255

// appendNumeric adds digits of base 10000: how many, the weight of the first, the sign,
// the display scale, the digits.
func appendNumeric(dst []byte, d vec.Decimal) []byte {
	be := binary.BigEndian
	if d.Scale == nanScale {
		return append(dst, 0, 0, 0, 0, 0xc0, 0, 0, 0)
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
