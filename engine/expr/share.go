package expr

import (
	"math"
	"math/big"
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// NumericOf is the numeric that a number with an exponent is. It is false if double precision comes
// closer, since there are more digits than numeric has, or they begin behind its last.
func NumericOf(text string) (vec.Decimal, bool) {
	d, err := vec.ParseDecimal([]byte(text))
	f, _ := strconv.ParseFloat(text, 64)
	return d, err == nil && d.Float64() == f
}

// AppendJSON writes a value as to_jsonb does: numbers and booleans as such, arrays as
// arrays, the rest as text. A null is null.
func AppendJSON(dst []byte, v *vec.Vector, row int, ctx *Context) []byte {
	if v.IsNull(row) {
		return append(dst, "null"...)
	}
	t := v.Type
	v, row = v.At(row)
	switch {
	case t.Array:
		dst = append(dst, '[')
		for j := v.Offs[row]; j < v.Offs[row+1]; j++ {
			if j > v.Offs[row] {
				dst = append(dst, ", "...)
			}
			dst = AppendJSON(dst, v.Elem, int(j), ctx)
		}
		return append(dst, ']')
	case t.Kind == vec.JSONB, t.Kind == vec.JSON:
		return append(dst, v.Str.At(row)...)
	case t.Kind == vec.Bool:
		if v.Bools[row] {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case isFloat(t):
		text := appendFloat(nil, v.F64[row], t.Kind)
		if f := v.F64[row]; math.IsNaN(f) || math.IsInf(f, 0) {
			return event.AppendJSONString(dst, text)
		}
		if d, ok := NumericOf(string(text)); ok {
			return d.Append(dst)
		}
		return append(dst, text...)
	case t.Kind == vec.Numeric && !v.Decimal(row).IsFinite():
		return event.AppendJSONString(dst, v.Decimal(row).Append(nil))
	case t.IsNumber():
		return AppendText(dst, v, row, ctx)
	}
	text := AppendText(nil, v, row, ctx)
	if t.Kind == vec.Timestamp || t.Kind == vec.TimestampTZ {
		for i, c := range text { // ISO 8601
			if c == ' ' {
				text[i] = 'T'
				break
			}
		}
		if n := len(text); t.Kind == vec.TimestampTZ && n > 3 && (text[n-3] == '+' || text[n-3] == '-') {
			text = append(text, ":00"...)
		}
	}
	return event.AppendJSONString(dst, text)
}

// AppendJSONKey adds a value, which is not null, as the key of a member of an object.
func AppendJSONKey(dst []byte, v *vec.Vector, row int, ctx *Context) ([]byte, error) {
	switch t := v.Type; {
	case t.Array, t.Kind == vec.JSONB, t.Kind == vec.JSON, t.Kind == vec.Record:
		return dst, pgerr.New(pgerr.InvalidParameterValue, "key value must be scalar, not array, composite, or json")
	case t.Kind == vec.Timestamp, t.Kind == vec.TimestampTZ:
		return AppendJSON(dst, v, row, ctx), nil
	case t.Kind == vec.Bool:
		return append(AppendJSON(append(dst, '"'), v, row, ctx), '"'), nil
	}
	return event.AppendJSONString(dst, AppendText(nil, v, row, ctx)), nil
}

// QuoBig is num × 10^-scale / den as a decimal with PostgreSQL's choice of decimals.
func QuoBig(num *big.Int, scale int, den *big.Int) (vec.Decimal, error) {
	a, errA := vec.DecimalFromBig(num, scale)
	b, errB := vec.DecimalFromBig(den, 0)
	if errA == nil && errB == nil {
		return a.Quo(b)
	}
	// Too large for a decimal: divide first, then keep as many decimals as fit.
	tens := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
	by := new(big.Int).Mul(den, tens(scale))
	rounded := func(decimals int) *big.Int {
		n := new(big.Int).Mul(new(big.Int).Abs(num), tens(decimals))
		n.Add(n, new(big.Int).Rsh(by, 1)).Quo(n, by)
		if num.Sign() < 0 {
			n.Neg(n)
		}
		return n
	}
	decimals := min(max(16, scale), vec.MaxDecimalDigits)
	n := rounded(decimals)
	if over := min(len(new(big.Int).Abs(n).Text(10))-vec.MaxDecimalDigits, decimals); over > 0 {
		decimals -= over
		n = rounded(decimals)
	}
	return vec.DecimalFromBig(n, decimals)
}

// SqrtBig is the square root of q, which QuoBig has made of num × 10^-scale / den, with as many digits
// behind the point as q has. What q has lost because num is too large is not lost to the root.
func SqrtBig(q vec.Decimal, num *big.Int, scale int, den *big.Int) (vec.Decimal, error) {
	decimals := int(q.Scale)
	if _, err := vec.DecimalFromBig(num, scale); err == nil {
		return SqrtScaled(q, decimals)
	}
	digits := len(q.Abs().Big().Text(10)) - decimals
	decimals = min(decimals, vec.MaxDecimalDigits-max(digits+1, 0)/2-2)
	tens := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
	x := new(big.Int).Mul(num, tens(2*(decimals+1)))
	x.Quo(x, new(big.Int).Mul(den, tens(scale)))
	r, err := vec.DecimalFromBig(x.Sqrt(x), decimals+1)
	if err != nil {
		return r, err
	}
	return r.Round(decimals)
}

// SqrtDecimal is the square root of a decimal that is not negative, with at least 16
// significant digits.
func SqrtDecimal(d vec.Decimal) (vec.Decimal, error) {
	if !d.IsFinite() {
		return d, nil
	}
	// PostgreSQL counts in groups of four digits; weight is the place of the first one.
	digits := len(d.Abs().Big().String()) - int(d.Scale)
	if d.IsZero() {
		digits = 1
	}
	weight := (digits - 1) >> 2
	scale := max(16-((weight+1)*2-1), int(d.Scale), 0)
	return SqrtScaled(d, scale)
}

// SqrtScaled is the square root with so many digits behind the point, rounded, or as many as fit.
func SqrtScaled(d vec.Decimal, scale int) (vec.Decimal, error) {
	digits := len(d.Abs().Big().Text(10)) - int(d.Scale)
	scale = min(scale, vec.MaxDecimalDigits-max(digits+1, 0)/2-2)
	// One digit more is computed and rounded away.
	x := d.Big()
	up := 2*(scale+1) - int(d.Scale)
	if up >= 0 {
		x.Mul(x, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(up)), nil))
	} else {
		x.Quo(x, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-up)), nil))
	}
	r, err := vec.DecimalFromBig(x.Sqrt(x), scale+1)
	if err != nil {
		return r, err
	}
	return r.Round(scale)
}

// EachMember calls do for the members of an object, which is valid JSON, until it answers
// false. The key is quoted. What is no object has no members.
func EachMember(s []byte, do func(key, value []byte) bool) { eachMember(s, do) }

// EachElement calls do for the elements of an array, which is valid JSON, until it answers
// false.
func EachElement(s []byte, do func(value []byte) bool) { eachElement(s, do) }

// AppendJSONText adds a valid JSON value as ->> gives it: strings without quotes, the rest as
// it is.
func AppendJSONText(dst, v []byte) []byte { return jsonText(dst, v) }

// AddInterval moves a time, which is not in a zone; false if it is out of range then.
func AddInterval(t int64, by vec.IntervalValue) (int64, bool) { return addInterval(t, by) }
