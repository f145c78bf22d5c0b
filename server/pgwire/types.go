package pgwire

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/vec"
)

// byOID are the types that a parameter may have.
var byOID = func() map[uint32]vec.Type {
	m := map[uint32]vec.Type{}
	for k := vec.Bool; k <= vec.OID; k++ {
		m[vec.T(k).OID()] = vec.T(k)
		m[vec.ArrayOf(k).OID()] = vec.ArrayOf(k)
	}
	for _, k := range []vec.Kind{vec.RegClass, vec.RegType, vec.RegProc, vec.RegNamespace, vec.RegRole, vec.XID} {
		m[vec.T(k).OID()], m[vec.ArrayOf(k).OID()] = vec.T(k), vec.ArrayOf(k)
	}
	m[114], m[199] = vec.T(vec.JSONB), vec.ArrayOf(vec.JSONB) // json
	m[vec.T(vec.Unknown).OID()] = vec.Type{}
	return m
}()

func typeOf(oid uint32) (vec.Type, bool) {
	t, ok := byOID[oid]
	return t, ok
}

func badBinary(t vec.Type) error {
	return pgerr.New("22P03", "incorrect binary data format for a parameter of type %s", t)
}

// readBinary reads the binary form of a value as a constant.
func readBinary(ctx *expr.Context, t vec.Type, b []byte) (*vec.Vector, error) {
	if t.Array {
		return readArray(ctx, t, b)
	}
	be := binary.BigEndian
	v := &vec.Vector{Type: t, Form: vec.Const}
	if n := t.Size(); n > 0 && t.Kind != vec.Name && len(b) != int(n) {
		return nil, badBinary(t)
	}
	switch t.Kind {
	case vec.Bool:
		v.Bools = []bool{b[0] != 0}
	case vec.Int2:
		v.I64 = []int64{int64(int16(be.Uint16(b)))}
	case vec.Int4:
		v.I64 = []int64{int64(int32(be.Uint32(b)))}
	case vec.OID, vec.RegClass, vec.RegType, vec.RegProc, vec.RegNamespace, vec.RegRole, vec.XID:
		v.I64 = []int64{int64(be.Uint32(b))}
	case vec.Int8:
		v.I64 = []int64{int64(be.Uint64(b))}
	case vec.Time:
		n := int64(be.Uint64(b))
		if n < 0 || n > 86_400_000_000 {
			return nil, pgerr.New(pgerr.DatetimeOverflow, "time out of range")
		}
		v.I64 = []int64{n}
	case vec.Float4:
		v.F64 = []float64{float64(math.Float32frombits(be.Uint32(b)))}
	case vec.Float8:
		v.F64 = []float64{math.Float64frombits(be.Uint64(b))}
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
		v.I64 = []int64{n}
	case vec.Timestamp, vec.TimestampTZ:
		n := int64(be.Uint64(b))
		switch {
		case n == math.MaxInt64 || n == math.MinInt64: // infinity
		case n > math.MaxInt64-epochMicros:
			return nil, pgerr.New(pgerr.DatetimeOverflow, "timestamp out of range")
		default:
			n += epochMicros
		}
		v.I64 = []int64{n}
	case vec.Interval:
		v.Ivl = []vec.IntervalValue{{Micros: int64(be.Uint64(b)), Days: int32(be.Uint32(b[8:])), Months: int32(be.Uint32(b[12:]))}}
	case vec.UUID:
		v.UUIDs = []vec.UUIDValue{vec.UUIDValue(b)}
	case vec.Numeric:
		text, ok := numericText(b)
		if !ok {
			return nil, badBinary(t)
		}
		return session.ParseValue(ctx, t, text)
	case vec.JSONB:
		if len(b) > 0 && b[0] == 1 { // jsonb's version; json has none
			b = b[1:]
		}
		return session.ParseValue(ctx, t, b)
	case vec.Bytea:
		v.Str.Append(b)
	case vec.Record, vec.Void:
		return nil, pgerr.Unsupported("a parameter of type " + t.String())
	default:
		if !utf8.Valid(b) {
			return nil, pgerr.New(pgerr.BadEncoding, "invalid byte sequence for encoding \"UTF8\" in a parameter")
		}
		v.Str.Append(b)
	}
	return v, nil
}

// readArray reads an array of at most one dimension.
func readArray(ctx *expr.Context, t vec.Type, b []byte) (*vec.Vector, error) {
	be := binary.BigEndian
	if len(b) < 12 {
		return nil, badBinary(t)
	}
	dims, oid := be.Uint32(b), be.Uint32(b[8:])
	elem := t.Elem()
	if sent, ok := typeOf(oid); ok && sent.Payload() == elem.Payload() && sent.Size() == elem.Size() {
		elem = vec.Type{Kind: sent.Kind, Mod: elem.Mod}
	} else {
		return nil, pgerr.New(pgerr.DatatypeMismatch, "wrong element type in an array parameter of type %s", t)
	}
	values := vec.NewBuilder(t.Elem())
	b = b[12:]
	count := uint32(0)
	switch dims {
	case 0:
	case 1:
		if len(b) < 8 {
			return nil, badBinary(t)
		}
		count = be.Uint32(b)
		b = b[8:]
		if uint64(count)*4 > uint64(len(b)) {
			return nil, badBinary(t)
		}
	default:
		return nil, pgerr.Unsupported("an array of more than one dimension")
	}
	for range count {
		if len(b) < 4 {
			return nil, badBinary(t)
		}
		size := int32(be.Uint32(b))
		b = b[4:]
		if size == -1 {
			values.AppendNull()
			continue
		}
		if size < 0 || int(size) > len(b) {
			return nil, badBinary(t)
		}
		x, err := readBinary(ctx, elem, b[:size])
		if err != nil {
			return nil, err
		}
		values.AppendFrom(x, 0)
		b = b[size:]
	}
	if len(b) != 0 {
		return nil, badBinary(t)
	}
	return &vec.Vector{Type: t, Form: vec.Const, Elem: values.V, Offs: []uint32{0, uint32(values.V.Len())}}, nil
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
