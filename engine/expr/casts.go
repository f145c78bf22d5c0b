package expr

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// castFunction is how values of one type become another; a nil function with true means
// that the payload stays as it is.
func castFunction(from, to vec.Type) (*Function, bool) {
	if to.Array {
		return baseCast(from, to)
	}
	fn, ok := baseCast(from, vec.T(to.Kind))
	if to.Kind == vec.Interval && to.Mod != 0 && from.Kind == vec.Unknown {
		fn, ok = castToInterval(to.Modifier() >> 16)
	}
	if !ok || to.Mod == 0 || to.Mod == from.Mod && from.Kind == to.Kind {
		return fn, ok
	}
	limit := modifier(to)
	if limit == nil {
		return fn, ok
	}
	eval := limit
	if fn != nil {
		plain := vec.Type{Kind: to.Kind}
		base := fn.eval
		eval = func(f *frame) error {
			first := *f
			first.out = makeFlat(plain, f.n)
			first.out.Nulls = f.out.Nulls
			if err := base(&first); err != nil {
				return err
			}
			f.out.Nulls = first.out.Nulls
			if len(f.out.Nulls) > 0 {
				f.rows = without(f.rows, f.out.Nulls, f.n)
			}
			f.args = []*vec.Vector{first.out}
			return limit(f)
		}
	}
	return &Function{Name: "cast", eval: eval}, true
}

// modifier applies a type's modifier: varchar(n), char(n), numeric(p, s), timestamp(p).
func modifier(t vec.Type) func(*frame) error {
	switch t.Kind {
	case vec.Varchar, vec.Bpchar:
		limit := int(t.Mod) - 4
		pad := t.Kind == vec.Bpchar
		return text1(func(_ *Context, dst []byte, s string) ([]byte, error) {
			n, end := 0, 0
			for end < len(s) && n < limit {
				_, size := utf8.DecodeRuneInString(s[end:])
				end += size
				n++
			}
			dst = append(dst, s[:end]...)
			for ; pad && n < limit; n++ {
				dst = append(dst, ' ')
			}
			return dst, nil
		})
	case vec.Numeric:
		return map1(func(_ *Context, d vec.Decimal) (vec.Decimal, error) { return fitDecimal(d, t.Mod) })
	case vec.Timestamp, vec.TimestampTZ, vec.Time:
		return map1(func(_ *Context, x int64) (int64, error) { return fitTime(x, t.Modifier()), nil })
	case vec.Interval:
		return map1(func(_ *Context, v vec.IntervalValue) (vec.IntervalValue, error) {
			return fitInterval(v, t.Modifier()), nil
		})
	}
	return nil
}

// fitDecimal rounds to what numeric(p, s) holds, or fails.
func fitDecimal(d vec.Decimal, mod int32) (vec.Decimal, error) {
	precision, scale := int(mod-4)>>16&0xffff, int(mod-4)&0x7ff
	if d.IsInf() {
		return d, pgerr.New(pgerr.NumericOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d cannot hold an infinite value.", precision, scale)
	}
	r, err := d.Round(scale)
	if err != nil || r.IsFinite() && r.Digits() > precision-scale {
		return r, pgerr.New(pgerr.NumericOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d must round to an absolute value less than 10^%d.", precision, scale, precision-scale)
	}
	return r, nil
}

// timeUnits are the units that times are rounded to, in µs, by how many decimals there are.
var timeUnits = [...]int64{1_000_000, 100_000, 10_000, 1000, 100, 10}

// fitTime rounds a time to so many decimals.
func fitTime(x int64, decimals int32) int64 {
	if isInfinite(x) || decimals < 0 || int(decimals) >= len(timeUnits) {
		return x
	}
	unit := timeUnits[decimals]
	return vec.FloorDiv(x+unit/2, unit) * unit
}

// The modifier of an interval is the fields it has, by their bits from the 16th on, and how many
// decimals of seconds; either may be all there are.
const (
	monthBit, yearBit, dayBit, hourBit, minuteBit, secondBit = 1 << 1, 1 << 2, 1 << 3, 1 << 10, 1 << 11, 1 << 12

	allFields, allDecimals = 0x7fff, 0xffff
)

// intervalFields are the fields that a type of intervals may be limited to.
var intervalFields = map[string]int32{
	"year": yearBit, "month": monthBit, "day": dayBit, "hour": hourBit, "minute": minuteBit, "second": secondBit,
	"year to month": yearBit | monthBit, "day to hour": dayBit | hourBit, "day to minute": dayBit | hourBit | minuteBit,
	"day to second": dayBit | hourBit | minuteBit | secondBit, "hour to minute": hourBit | minuteBit,
	"hour to second": hourBit | minuteBit | secondBit, "minute to second": minuteBit | secondBit,
}

// IntervalModifier is the modifier of a type of intervals that is limited to some fields, or to
// so many decimals of seconds; no fields means all, -1 all decimals. It is false for fields that
// no type can have.
func IntervalModifier(fields string, decimals int) (int32, bool) {
	mask, ok := intervalFields[fields]
	if fields == "" {
		mask, ok = allFields, true
	}
	if decimals < 0 {
		decimals = allDecimals
	}
	return mask<<16 | int32(decimals), ok
}

// intervalModifierName is the modifier in words.
func intervalModifierName(mod int64) string {
	out := ""
	for name, mask := range intervalFields {
		if int64(mask) == mod>>16 {
			out = " " + name
		}
	}
	if decimals := mod & 0xffff; decimals != allDecimals {
		out += "(" + strconv.FormatInt(decimals, 10) + ")"
	}
	return out
}

// fitInterval drops the fields that a modifier leaves out, and rounds the seconds.
func fitInterval(v vec.IntervalValue, mod int32) vec.IntervalValue {
	whole := func(unit int64) { v.Micros -= v.Micros % unit }
	switch last := mod >> 16; {
	case last == allFields:
	case last&secondBit != 0:
	case last&minuteBit != 0:
		whole(microsMinute)
	case last&hourBit != 0:
		whole(microsHour)
	default:
		v.Micros = 0
		if last&dayBit != 0 {
			break
		}
		if v.Days = 0; last&monthBit == 0 {
			v.Months -= v.Months % 12
		}
	}
	if v.Micros < 0 && v.Micros > math.MinInt64 {
		v.Micros = -fitTime(-v.Micros, mod&0xffff)
	} else {
		v.Micros = fitTime(v.Micros, mod&0xffff)
	}
	return v
}

func newCast(eval func(*frame) error) (*Function, bool) {
	return &Function{Name: "cast", eval: eval}, true
}

// baseCast converts without regard to modifiers.
func baseCast(from, to vec.Type) (*Function, bool) {
	switch {
	case from.Kind == vec.IntSet && to.Kind != vec.IntSet && !to.IsText(), to == vec.T(vec.IntSet) && (from == tBytea || from.Array):
		return castBitmap(from, to)
	case from.Array && to.Array:
		return castElements(from, to)
	case to.Array:
		if isTextual(from) {
			return castToArray(to)
		}
		return nil, false
	case from.Kind == to.Kind && !from.Array, to.Kind == vec.Unknown && from.IsText():
		return nil, true
	case to.Kind == vec.JSONB && (isTextual(from) || from.Kind == vec.JSON && !from.Array):
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) {
			return CanonicalJSON(dst, []byte(s))
		}))
	case to.Kind == vec.Bytea && isTextual(from):
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) { return parseBytea(dst, s) }))
	case to.Kind == vec.IntSet && isTextual(from):
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) { return parseIntSet(dst, s) }))
	case to == vec.T(vec.Char):
		return castToChar(from)
	case from == vec.T(vec.Char) && to.Kind == vec.Int4:
		return newCast(map1(func(_ *Context, s string) (int64, error) { return int64(int8(charByte(s))), nil }))
	case to.IsText():
		return castToText(from, to)
	case isTextual(from):
		return castFromText(to)
	case from.Kind == vec.JSONB:
		return castFromJSON(to)
	case from.Array:
		return nil, false
	}
	return castValue(from, to)
}

func isTextual(t vec.Type) bool { return !t.Array && (t.IsText() || t.Kind == vec.Unknown) }

// castToText writes values as AppendText does, except booleans, which are words.
func castToText(from, to vec.Type) (*Function, bool) {
	switch {
	case to == vec.T(vec.Name) && isTextual(from):
		blanks := ""
		if from.Kind == vec.Bpchar {
			blanks = " "
		}
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) {
			return append(dst, strings.TrimRight(cutName(s), blanks)...), nil
		}))
	case from.Kind == vec.Bpchar && !from.Array:
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) {
			return append(dst, bytes.TrimRight([]byte(s), " ")...), nil
		}))
	case isTextual(from):
		return nil, true
	case from.Kind == vec.Bool && !from.Array:
		return newCast(text1(func(_ *Context, dst []byte, b bool) ([]byte, error) {
			if b {
				return append(dst, "true"...), nil
			}
			return append(dst, "false"...), nil
		}))
	case from.Kind == vec.Void:
		return nil, false
	}
	return newCast(func(f *frame) error {
		z := zoneOf(f.ctx)
		v := f.args[0]
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return appendText(dst, v, i, &z), nil })
	})
}

// cutName is as much of a text as a name holds: 63 bytes of whole characters.
func cutName(s string) string {
	end := min(len(s), 63)
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// castToChar makes one byte of "char" of a text, its first, or of an integer.
func castToChar(from vec.Type) (*Function, bool) {
	switch {
	case isTextual(from):
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) { return appendChar(dst, charByte(s)), nil }))
	case from.Kind == vec.Int4 && !from.Array:
		return newCast(text1(func(_ *Context, dst []byte, x int64) ([]byte, error) {
			if x < math.MinInt8 || x > math.MaxInt8 {
				return dst, outOfRange(vec.T(vec.Char))
			}
			return appendChar(dst, byte(x)), nil
		}))
	}
	return nil, false
}

// charByte is the byte that a text stands for as "char": its first, or one in octal behind a
// backslash; 0 is the empty text.
func charByte(s string) byte {
	if len(s) == len(`\101`) && s[0] == '\\' {
		if x, err := strconv.ParseUint(s[1:], 8, 8); err == nil {
			return byte(x)
		}
	}
	if s == "" {
		return 0
	}
	return s[0]
}

// appendChar adds a byte as "char" is written: one that is no character by itself in octal.
func appendChar(dst []byte, c byte) []byte {
	switch {
	case c == 0:
		return dst
	case c < utf8.RuneSelf:
		return append(dst, c)
	}
	return append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
}

func castFromText(to vec.Type) (*Function, bool) {
	if to.IsReg() {
		return newCast(map1(func(c *Context, s string) (int64, error) { return findObject(c, to.Kind, s) }))
	}
	switch to.Kind {
	case vec.Bool:
		return newCast(map1(func(_ *Context, s string) (bool, error) { return parseBool(s) }))
	case vec.Int2, vec.Int4, vec.Int8, vec.OID, vec.XID:
		return newCast(map1(func(_ *Context, s string) (int64, error) { return parseInt(s, to) }))
	case vec.Float4, vec.Float8:
		return newCast(map1(func(_ *Context, s string) (float64, error) { return parseFloat(s, to) }))
	case vec.Numeric:
		return newCast(map1(func(_ *Context, s string) (vec.Decimal, error) { return parseNumeric(s) }))
	case vec.Date:
		return newCast(map1(parseDay))
	case vec.Time:
		return newCast(map1(parseTimeOfDay))
	case vec.Timestamp:
		return newCast(map1(parseTimestamp))
	case vec.TimestampTZ:
		return newCast(map1(parseTimestampTZ))
	case vec.Interval:
		return castToInterval(allFields)
	case vec.UUID:
		return newCast(map1(func(_ *Context, s string) (vec.UUIDValue, error) { return parseUUID(s) }))
	}
	return nil, false
}

// castToInterval reads intervals of a type that has the given fields.
func castToInterval(fields int32) (*Function, bool) {
	return newCast(map1(func(_ *Context, s string) (vec.IntervalValue, error) { return parseInterval(s, fields) }))
}

// castFromJSON takes numbers and booleans out of jsonb.
func castFromJSON(to vec.Type) (*Function, bool) {
	cannot := func(v string) error {
		return pgerr.New(pgerr.InvalidParameterValue, "cannot cast jsonb %s to type %s", jsonType([]byte(v)), to)
	}
	number := func(v string) (vec.Decimal, error) {
		if jsonType([]byte(v)) != "number" {
			return vec.Decimal{}, cannot(v)
		}
		return parseNumeric(v)
	}
	switch to.Kind {
	case vec.Bool:
		return newCast(map1(func(_ *Context, v string) (bool, error) {
			if v != "true" && v != "false" {
				return false, cannot(v)
			}
			return v == "true", nil
		}))
	case vec.Int2, vec.Int4, vec.Int8:
		return newCast(map1(func(_ *Context, v string) (int64, error) {
			d, err := number(v)
			if err != nil {
				return 0, err
			}
			return decimalToInt(d, to)
		}))
	case vec.Float4, vec.Float8:
		return newCast(map1(func(_ *Context, v string) (float64, error) {
			if jsonType([]byte(v)) != "number" {
				return 0, cannot(v)
			}
			return parseFloat(v, to)
		}))
	case vec.Numeric:
		return newCast(map1(func(_ *Context, v string) (vec.Decimal, error) { return number(v) }))
	}
	return nil, false
}

func decimalToInt(d vec.Decimal, to vec.Type) (int64, error) {
	switch {
	case d.IsNaN():
		return 0, pgerr.New(pgerr.FeatureNotSupported, "cannot convert NaN to %s", to)
	case d.IsInf():
		return 0, pgerr.New(pgerr.FeatureNotSupported, "cannot convert infinity to %s", to)
	}
	lo, hi := intRange(to.Kind)
	i, ok := d.Int64()
	if !ok || i < lo || i > hi {
		return 0, outOfRange(to)
	}
	return i, nil
}

// castValue converts between numbers, between times, and bool with integer.
func castValue(from, to vec.Type) (*Function, bool) {
	switch {
	case (from.IsInt() || from.IsOID()) && (to.IsInt() || to.IsOID()):
		lo, hi := intRange(to.Kind)
		flo, fhi := intRange(from.Kind)
		if flo >= lo && fhi <= hi {
			return nil, true
		}
		return newCast(map1(func(_ *Context, x int64) (int64, error) {
			if x < lo || x > hi {
				return 0, outOfRange(to)
			}
			return x, nil
		}))
	case from.IsInt() && isFloat(to):
		fn := &Function{Name: "cast", dense: true, eval: func(f *frame) error {
			src, dst := flat[int64](f, 0), f.out.F64
			for i := range dst {
				dst[i] = float64(src[i])
			}
			if to.Kind == vec.Float4 {
				for i := range dst {
					dst[i] = float64(float32(src[i]))
				}
			}
			return nil
		}}
		return fn, true
	case from.IsInt() && to.Kind == vec.Numeric:
		fn := &Function{Name: "cast", dense: true, eval: func(f *frame) error {
			src, dst := flat[int64](f, 0), f.out.Dec
			for i := range dst {
				dst[i] = vec.DecimalFromInt(src[i])
			}
			return nil
		}}
		fn.quick = func(args []*vec.Vector, t vec.Type, n int) *vec.Vector {
			if args[0].Form != vec.Flat {
				return nil
			}
			return &vec.Vector{Type: t, I64: args[0].I64[:n:n]}
		}
		return fn, true
	case isFloat(from) && to.IsInt():
		lo, hi := intRange(to.Kind)
		return newCast(map1(func(_ *Context, x float64) (int64, error) {
			r := math.RoundToEven(x)
			if !(r >= float64(lo) && r < -float64(lo)) || int64(r) > hi {
				return 0, outOfRange(to)
			}
			return int64(r), nil
		}))
	case isFloat(from) && isFloat(to):
		if to.Kind == vec.Float8 {
			return nil, true
		}
		return newCast(map1(func(_ *Context, x float64) (float64, error) {
			r := float64(float32(x))
			if math.IsInf(r, 0) && !math.IsInf(x, 0) {
				return 0, outOfRange(to)
			}
			return r, nil
		}))
	case isFloat(from) && to.Kind == vec.Numeric:
		digits := 15
		if from.Kind == vec.Float4 {
			digits = 6
		}
		return newCast(map1(func(_ *Context, x float64) (vec.Decimal, error) {
			d, err := vec.DecimalFromFloat(x, digits)
			return d, decimalError(err)
		}))
	case from.Kind == vec.Numeric && to.IsInt():
		return newCast(map1(func(_ *Context, d vec.Decimal) (int64, error) { return decimalToInt(d, to) }))
	case from.Kind == vec.Numeric && isFloat(to):
		return newCast(map1(func(_ *Context, d vec.Decimal) (float64, error) {
			if to.Kind == vec.Float4 {
				return float64(float32(d.Float64())), nil
			}
			return d.Float64(), nil
		}))
	case from.Kind == vec.Bool && to.IsInt():
		return newCast(map1(func(_ *Context, b bool) (int64, error) {
			if b {
				return 1, nil
			}
			return 0, nil
		}))
	case from.IsInt() && to.Kind == vec.Bool:
		return newCast(map1(func(_ *Context, x int64) (bool, error) { return x != 0, nil }))
	case from.IsNumber() || to.IsNumber():
		return nil, false
	}
	return castTime(from, to)
}

// castTime converts between dates, times and intervals.
func castTime(from, to vec.Type) (*Function, bool) {
	toTime := func(do func(z *zone, t int64) (int64, error)) (*Function, bool) {
		return newCast(func(f *frame) error {
			z := zoneOf(f.ctx)
			return map1(func(_ *Context, t int64) (int64, error) {
				if isInfinite(t) {
					if to.Kind == vec.Time {
						return 0, errNull
					}
					return t, nil
				}
				return do(&z, t)
			})(f)
		})
	}
	inRange := func(day int64) (int64, error) {
		if day < minDay || day > maxTime/microsDay-1 {
			return 0, outOfRange(to)
		}
		return day * microsDay, nil
	}
	switch [2]vec.Kind{from.Kind, to.Kind} {
	case [2]vec.Kind{vec.Date, vec.Timestamp}:
		one, _ := toTime(func(_ *zone, t int64) (int64, error) { return inRange(t) })
		return newCast(func(f *frame) error {
			if v := f.args[0]; v.Form == vec.Flat && startsOfDays(f.out.I64, v.I64, f.rows) {
				return nil
			}
			return one.eval(f)
		})
	case [2]vec.Kind{vec.Date, vec.TimestampTZ}:
		return toTime(func(z *zone, t int64) (int64, error) {
			t, err := inRange(t)
			if err != nil {
				return 0, err
			}
			return z.utc(t), nil
		})
	case [2]vec.Kind{vec.Timestamp, vec.TimestampTZ}:
		return toTime(func(z *zone, t int64) (int64, error) { return z.utc(t), nil })
	case [2]vec.Kind{vec.TimestampTZ, vec.Timestamp}:
		return toTime(func(z *zone, t int64) (int64, error) { return z.local(t), nil })
	case [2]vec.Kind{vec.Timestamp, vec.Date}:
		return toTime(func(_ *zone, t int64) (int64, error) { return vec.FloorDiv(t, microsDay), nil })
	case [2]vec.Kind{vec.TimestampTZ, vec.Date}:
		one, _ := toTime(func(z *zone, t int64) (int64, error) { return vec.FloorDiv(z.local(t), microsDay), nil })
		return newCast(func(f *frame) error {
			if v, z := f.args[0], zoneOf(f.ctx); v.Form == vec.Flat && daysOf(f.out.I64, v.I64, f.rows, &z) {
				return nil
			}
			return one.eval(f)
		})
	case [2]vec.Kind{vec.Timestamp, vec.Time}:
		return toTime(func(_ *zone, t int64) (int64, error) { return floorMod(t, microsDay), nil })
	case [2]vec.Kind{vec.TimestampTZ, vec.Time}:
		return toTime(func(z *zone, t int64) (int64, error) { return floorMod(z.local(t), microsDay), nil })
	case [2]vec.Kind{vec.Time, vec.Interval}:
		return newCast(map1(func(_ *Context, t int64) (vec.IntervalValue, error) {
			return vec.IntervalValue{Micros: t}, nil
		}))
	case [2]vec.Kind{vec.Interval, vec.Time}:
		return newCast(map1(func(_ *Context, v vec.IntervalValue) (int64, error) {
			return floorMod(v.Micros, microsDay), nil
		}))
	}
	return nil, false
}

// daysOf sets the days of all instants; false if only some rows count, if clocks are changed between them, or if
// one is infinite.
func daysOf(dst, times []int64, rows []uint32, z *zone) bool {
	times = times[:len(dst)]
	if len(times) == 0 || rows != nil {
		return false
	}
	low, high := times[0], times[0]
	for _, t := range times {
		low, high = min(low, t), max(high, t)
	}
	if isInfinite(low) || isInfinite(high) {
		return false
	}
	ahead := z.offset(low)
	if vec.FloorDiv(high, microsSecond) >= z.hi {
		return false
	}
	for i, t := range times {
		dst[i] = vec.FloorDiv(t+ahead, microsDay)
	}
	return true
}

// startsOfDays sets the beginnings of days, of some rows or, with nil, of all; false if one of
// them is no instant, or infinite.
func startsOfDays(dst, days []int64, rows []uint32) bool {
	days = days[:len(dst)]
	low, high := int64(0), int64(0)
	if rows == nil {
		for i, d := range days {
			low, high = min(low, d), max(high, d)
			dst[i] = d * microsDay
		}
	}
	for _, i := range rows {
		d := days[i]
		low, high = min(low, d), max(high, d)
		dst[i] = d * microsDay
	}
	return low >= minDay && high <= maxTime/microsDay-1
}

// castElements converts arrays element by element.
func castElements(from, to vec.Type) (*Function, bool) {
	if from.Kind == to.Kind && (to.Mod == 0 || to.Mod == from.Mod) {
		return nil, true
	}
	fn, ok := castFunction(from.Elem(), to.Elem())
	if !ok {
		return nil, false
	}
	return newCast(func(f *frame) error {
		src := vec.NewBuilder(from)
		next := 0
		each(f, func(i int) {
			for ; next < i; next++ {
				src.AppendNull()
			}
			src.AppendFrom(f.args[0], i)
			next = i + 1
		})
		for ; next < f.n; next++ {
			src.AppendNull()
		}
		elems := src.V.Elem
		if elems == nil {
			elems = &vec.Vector{Type: from.Elem()}
		}
		if fn != nil {
			var err error
			if elems, err = applyFlat(f.ctx, fn, []*vec.Vector{elems}, to.Elem(), elems.Len(), nil); err != nil {
				return err
			}
		} else {
			elems = relabel(elems, to.Elem())
		}
		f.out.Offs, f.out.Elem = src.V.Offs, elems
		if len(f.out.Offs) == 0 {
			f.out.Offs = []uint32{0}
		}
		return nil
	})
}

// castToArray reads array literals.
func castToArray(to vec.Type) (*Function, bool) {
	fn, ok := castFunction(tText, to.Elem())
	if !ok {
		return nil, false
	}
	return newCast(func(f *frame) error {
		a := viewOf[string](f, 0)
		return eachList(f, func(i int, out *vec.Builder) error {
			elems, null, err := splitList(to, a.at(i))
			if err != nil {
				return err
			}
			text := vec.NewBuilder(tText)
			for k, s := range elems {
				if null[k] {
					text.AppendNull()
					continue
				}
				text.V.Str.AppendString(s)
			}
			v := text.V
			if fn != nil && len(elems) > 0 {
				if v, err = applyFlat(f.ctx, fn, []*vec.Vector{text.V}, to.Elem(), len(elems), nil); err != nil {
					return err
				}
			}
			for k := range elems {
				out.AppendFrom(v, k)
			}
			return nil
		})
	})
}

// splitList cuts the text of an array into its elements.
func splitList(t vec.Type, s string) (elems []string, null []bool, err error) {
	if t.IsVector() {
		elems = strings.Fields(s)
		return elems, make([]bool, len(elems)), nil
	}
	return splitArray(s)
}

// tryFunction is fn with NULL for values that it refuses: each such row is asked by itself.
func tryFunction(fn *Function) *Function {
	return &Function{Name: "try_cast", eval: func(f *frame) error {
		whole := *f
		whole.out = makeFlat(f.out.Type, f.n)
		whole.out.Nulls = append(vec.Bitmap{}, f.out.Nulls...)
		if err := fn.eval(&whole); err == nil {
			*f.out = *whole.out
			return nil
		}
		out := vec.NewBuilder(f.out.Type)
		next := 0
		fill := func(i int) {
			for ; next < i; next++ {
				out.AppendNull()
			}
		}
		each(f, func(i int) {
			fill(i)
			next = i + 1
			one := vec.NewBuilder(f.args[0].Type)
			one.AppendFrom(f.args[0], i)
			v, err := applyFlat(f.ctx, fn, []*vec.Vector{one.V}, f.out.Type, 1, nil)
			if err != nil {
				out.AppendNull()
				return
			}
			out.AppendFrom(v, 0)
		})
		fill(f.n)
		*f.out = *out.V
		return nil
	}}
}
