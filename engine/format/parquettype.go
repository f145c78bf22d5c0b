package format

import (
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"
	pf "github.com/parquet-go/parquet-go/format"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// parquetFill appends values [lo, hi) of a page to a vector. With an error it has appended those
// before the one that is wrong.
type parquetFill func(v *vec.Vector, x encoding.Values, lo, hi int) error

// parquetTypeIn chooses our type for values of a file.
func parquetTypeIn(t parquet.Type) (vec.Type, parquetFill) {
	wide := t.Kind() == parquet.Int64
	if l := t.LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *pf.TimestampType:
			kind := vec.Timestamp
			if l.IsAdjustedToUTC {
				kind = vec.TimestampTZ
			}
			return vec.T(kind), timesIn(wide, &l.Unit)
		case *pf.DateType:
			return vec.T(vec.Date), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
				for _, n := range x.Int32()[lo:hi] {
					v.I64 = append(v.I64, day64(int64(n)))
				}
				return nil
			}
		case *pf.TimeType:
			return vec.T(vec.Time), timesIn(wide, &l.Unit)
		case *pf.UUIDType:
			return vec.T(vec.UUID), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
				for ; lo < hi; lo++ {
					raw := bytesAt(&x, lo)
					if len(raw) != 16 {
						return badFormat("a uuid of %d bytes", len(raw))
					}
					v.UUIDs = append(v.UUIDs, vec.UUIDValue(raw))
				}
				return nil
			}
		case *pf.JsonType:
			return vec.T(vec.JSONB), inputIn(vec.T(vec.JSONB))
		case *pf.IntType:
			switch {
			case !l.IsSigned && l.BitWidth == 64:
				return vec.T(vec.Numeric), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
					for _, n := range x.Uint64()[lo:hi] {
						v.Dec = append(v.Dec, vec.Decimal{Lo: n})
					}
					return nil
				}
			case !l.IsSigned && l.BitWidth == 32:
				return vec.T(vec.Int8), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
					for _, n := range x.Uint32()[lo:hi] {
						v.I64 = append(v.I64, int64(n))
					}
					return nil
				}
			case l.BitWidth <= 16:
				if !l.IsSigned && l.BitWidth == 16 {
					return vec.T(vec.Int4), intsIn(wide)
				}
				return vec.T(vec.Int2), intsIn(wide)
			}
		case *pf.DecimalType:
			return decimalIn(t, int(l.Precision), int(l.Scale))
		case *pf.StringType, *pf.EnumType:
			return vec.T(vec.Text), textIn
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return vec.T(vec.Bool), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			bits := x.Boolean()
			for ; lo < hi; lo++ {
				v.Bools = append(v.Bools, bits[lo/8]>>(lo%8)&1 == 1)
			}
			return nil
		}
	case parquet.Int32:
		return vec.T(vec.Int4), intsIn(wide)
	case parquet.Int64:
		return vec.T(vec.Int8), intsIn(wide)
	case parquet.Float:
		return vec.T(vec.Float4), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			for _, n := range x.Float()[lo:hi] {
				v.F64 = append(v.F64, float64(n))
			}
			return nil
		}
	case parquet.Double:
		return vec.T(vec.Float8), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			v.F64 = append(v.F64, x.Double()[lo:hi]...)
			return nil
		}
	case parquet.Int96: // the old form of timestamps: nanoseconds of a Julian day
		return vec.T(vec.Timestamp), func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			for _, n := range x.Int96()[lo:hi] {
				nanos := int64(n[1])<<32 | int64(n[0])
				v.I64 = append(v.I64, (int64(n[2])-2_440_588)*86_400_000_000+nanos/1000)
			}
			return nil
		}
	}
	return vec.T(vec.Bytea), bytesIn
}

func bytesIn(v *vec.Vector, x encoding.Values, lo, hi int) error {
	for ; lo < hi; lo++ {
		v.Str.Append(bytesAt(&x, lo))
	}
	return nil
}

// raw is a column as Column.Raw wants it.
func (in *parquetIn) raw() *parquetIn {
	out := *in
	switch in.Type {
	case vec.T(vec.Text), vec.T(vec.JSONB):
		out.Type, out.fill = vec.T(vec.Bytea), bytesIn
	case vec.T(vec.Timestamp), vec.T(vec.TimestampTZ), vec.T(vec.Time):
		out.fill = func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			for ; lo < hi; lo++ {
				if in.fill(v, x, lo, lo+1) != nil {
					v.I64 = append(v.I64, vec.InfinityTime)
				}
			}
			return nil
		}
	}
	return &out
}

// width is about how many bytes a value takes besides its text.
func (in *parquetIn) width() int64 {
	switch in.Type.Payload() {
	case vec.PayloadDec:
		return 24
	case vec.PayloadUUIDs:
		return 16
	}
	return 8
}

func intsIn(wide bool) parquetFill {
	if wide {
		return func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			v.I64 = append(v.I64, x.Int64()[lo:hi]...)
			return nil
		}
	}
	return func(v *vec.Vector, x encoding.Values, lo, hi int) error {
		for _, n := range x.Int32()[lo:hi] {
			v.I64 = append(v.I64, int64(n))
		}
		return nil
	}
}

// timesIn reads times of a unit.
func timesIn(wide bool, u *pf.TimeUnit) parquetFill {
	unit := int64(1)
	if u.Value != nil {
		unit = int64(u.Value.Duration())
	}
	if wide {
		return func(v *vec.Vector, x encoding.Values, lo, hi int) error { return timesOf(v, x.Int64()[lo:hi], unit) }
	}
	return func(v *vec.Vector, x encoding.Values, lo, hi int) error { return timesOf(v, x.Int32()[lo:hi], unit) }
}

func timesOf[T int32 | int64](v *vec.Vector, values []T, unit int64) error {
	for _, n := range values {
		if err := appendTime(v, int64(n), unit); err != nil {
			return err
		}
	}
	return nil
}

// bytesAt is a value of bytes, of a fixed length or not.
func bytesAt(x *encoding.Values, i int) []byte {
	if x.Kind() == encoding.FixedLenByteArray {
		data, size := x.FixedLenByteArray()
		return data[i*size : (i+1)*size]
	}
	data, offsets := x.ByteArray()
	return data[offsets[i]:offsets[i+1]]
}

// inputIn reads the text forms of a type.
func inputIn(t vec.Type) parquetFill {
	in := expr.NewInput(t)
	return func(v *vec.Vector, x encoding.Values, lo, hi int) error {
		for ; lo < hi; lo++ {
			if err := in.Text(nil, v, bytesAt(&x, lo)); err != nil {
				return err
			}
		}
		return nil
	}
}

var eachText = inputIn(vec.T(vec.Text))

// textIn reads texts, all at once if they are in order.
func textIn(v *vec.Vector, x encoding.Values, lo, hi int) error {
	if x.Kind() != encoding.ByteArray || lo == hi {
		return eachText(v, x, lo, hi)
	}
	data, offsets := x.ByteArray()
	from := offsets[lo]
	text := data[from:offsets[hi]]
	// What is valid as a whole is so in parts that begin with whole characters.
	if !utf8.Valid(text) || slices.ContainsFunc(offsets[lo:hi], func(at uint32) bool {
		return int(at-from) < len(text) && !utf8.RuneStart(text[at-from])
	}) {
		return eachText(v, x, lo, hi)
	}
	if len(v.Str.Offs) == 0 {
		v.Str.Offs = append(make([]uint32, 0, hi-lo+1), 0)
	}
	shift := uint32(len(v.Str.Bytes)) - from
	v.Str.Bytes = append(v.Str.Bytes, text...)
	for _, end := range offsets[lo+1 : hi+1] {
		v.Str.Offs = append(v.Str.Offs, end+shift)
	}
	return nil
}

func decimalIn(t parquet.Type, precision, scale int) (vec.Type, parquetFill) {
	out := vec.T(vec.Numeric)
	if precision > 0 && precision <= vec.MaxDecimalDigits && scale >= 0 && scale <= precision {
		out.Mod = int32(precision<<16|scale) + 4
	}
	switch {
	case scale < 0 || scale > vec.MaxDecimalDigits:
	case t.Kind() == parquet.Int32:
		return out, func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			return decimalsOf(v, x.Int32()[lo:hi], scale)
		}
	case t.Kind() == parquet.Int64:
		return out, func(v *vec.Vector, x encoding.Values, lo, hi int) error {
			return decimalsOf(v, x.Int64()[lo:hi], scale)
		}
	}
	return out, func(v *vec.Vector, x encoding.Values, lo, hi int) error {
		for ; lo < hi; lo++ {
			var n *big.Int
			switch t.Kind() {
			case parquet.Int32:
				n = big.NewInt(int64(x.Int32()[lo]))
			case parquet.Int64:
				n = big.NewInt(x.Int64()[lo])
			default:
				raw := bytesAt(&x, lo)
				n = new(big.Int).SetBytes(raw)
				if len(raw) > 0 && raw[0] >= 0x80 {
					n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
				}
			}
			d, err := vec.DecimalFromBig(n, scale)
			if err != nil {
				return pgerr.New(pgerr.NumericOutOfRange, "value overflows numeric format")
			}
			v.Dec = append(v.Dec, d)
		}
		return nil
	}
}

func decimalsOf[T int32 | int64](v *vec.Vector, values []T, scale int) error {
	for _, n := range values {
		v.AppendScaled(uint8(scale), int64(n))
	}
	return nil
}

// valuesOf is a single value as a page has it.
func valuesOf(x parquet.Value) encoding.Values {
	switch x.Kind() {
	case parquet.Boolean:
		b := byte(0)
		if x.Boolean() {
			b = 1
		}
		return encoding.BooleanValues([]byte{b})
	case parquet.Int32:
		return encoding.Int32Values([]int32{x.Int32()})
	case parquet.Int64:
		return encoding.Int64Values([]int64{x.Int64()})
	case parquet.Int96:
		return encoding.Int96Values([]deprecated.Int96{x.Int96()})
	case parquet.Float:
		return encoding.FloatValues([]float32{x.Float()})
	case parquet.Double:
		return encoding.DoubleValues([]float64{x.Double()})
	}
	raw := x.ByteArray()
	if x.Kind() == parquet.FixedLenByteArray {
		return encoding.FixedLenByteArrayValues(raw, len(raw))
	}
	return encoding.ByteArrayValues(raw, []uint32{0, uint32(len(raw))})
}
