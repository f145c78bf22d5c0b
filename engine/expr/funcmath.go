package expr

import (
	"math"
	"math/bits"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// float1 defines a function of one float. A result that is infinite from a finite argument
// is out of range.
func float1(name string, fn func(float64) float64, check func(float64) error) {
	define(name, tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) {
		if check != nil && x == x {
			if err := check(x); err != nil {
				return 0, err
			}
		}
		y := fn(x)
		if math.IsInf(y, 0) && !math.IsInf(x, 0) {
			return 0, outOfRange(tFloat8)
		}
		return y, nil
	}))
}

var (
	errLogZero     = pgerr.New(pgerr.InvalidLogArgument, "cannot take logarithm of zero")
	errLogNegative = pgerr.New(pgerr.InvalidLogArgument, "cannot take logarithm of a negative number")
	errSqrt        = pgerr.New(pgerr.InvalidPowerArgument, "cannot take square root of a negative number")
	errInput       = pgerr.New(pgerr.NumericOutOfRange, "input is out of range")
)

func checkLog(x float64) error {
	switch {
	case x == 0:
		return errLogZero
	case x < 0:
		return errLogNegative
	}
	return nil
}

func checkFinite(x float64) error {
	if math.IsInf(x, 0) {
		return errInput
	}
	return nil
}

func checkUnit(x float64) error {
	if x < -1 || x > 1 {
		return errInput
	}
	return nil
}

// power is a^b with PostgreSQL's errors.
func power(a, b float64) (float64, error) {
	switch {
	case a == 0 && b < 0:
		return 0, pgerr.New(pgerr.InvalidPowerArgument, "zero raised to a negative power is undefined")
	case a < 0 && b == b && b != math.Trunc(b):
		return 0, pgerr.New(pgerr.InvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result")
	}
	r := powFloat(a, b)
	if math.IsInf(r, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		return 0, outOfRange(tFloat8)
	}
	return r, nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	if a < 0 {
		a = -a
	}
	return a
}

// bucketOf is width_bucket among thresholds, which ascend: how many are not greater.
func bucketOf(f *frame) error {
	return tryEach(f, func(i int) error {
		elem, lo, hi := elements(f.args[1], i)
		first := lo
		for lo < hi {
			mid := lo + (hi-lo)/2
			if elem.IsNull(mid) {
				return pgerr.New(pgerr.NullNotAllowed, "thresholds array must not contain NULLs")
			}
			if vec.Compare(f.args[0], i, elem, mid) < 0 {
				hi = mid
			} else {
				lo = mid + 1
			}
		}
		f.out.I64[i] = int64(lo - first)
		return nil
	})
}

// gcdDecimal has the larger scale of the two.
func gcdDecimal(a, b vec.Decimal) (vec.Decimal, error) {
	if !a.IsFinite() || !b.IsFinite() {
		return vec.DecimalNaN, nil
	}
	scale := int(max(a.Scale, b.Scale))
	for !b.IsZero() {
		r, err := a.Rem(b)
		if err != nil {
			return a, err
		}
		a, b = b, r
	}
	return a.Abs().Round(scale)
}

func lcmDecimal(a, b vec.Decimal) (vec.Decimal, error) {
	if (a.IsZero() || b.IsZero()) && a.IsFinite() && b.IsFinite() {
		return vec.Decimal{Scale: max(a.Scale, b.Scale)}, nil
	}
	g, err := gcdDecimal(a, b)
	if err != nil || !g.IsFinite() {
		return g, err
	}
	q, err := a.QuoInt(g)
	if err != nil {
		return q, err
	}
	r, err := q.Mul(b)
	if err != nil {
		return r, err
	}
	return r.Abs().Round(int(max(a.Scale, b.Scale)))
}

// numbers1 defines a function that keeps its argument's type, for the three families.
func numbers1(name string, i func(int64) (int64, error), f func(float64) float64, d func(vec.Decimal) (vec.Decimal, error)) {
	if f != nil {
		define(name, tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) { return f(x), nil }))
	}
	if i != nil {
		for _, t := range []vec.Type{tInt2, tInt4, tInt8} {
			lo, hi := intRange(t.Kind)
			define(name, t, types(t), map1(func(_ *Context, x int64) (int64, error) {
				y, err := i(x)
				if err == nil && (y < lo || y > hi) {
					err = outOfRange(t)
				}
				return y, err
			}))
		}
		if f != nil {
			define(name, tFloat4, types(tFloat4), map1(func(_ *Context, x float64) (float64, error) { return f(x), nil }))
		}
	}
	define(name, tNum, types(tNum), map1(func(_ *Context, x vec.Decimal) (vec.Decimal, error) {
		y, err := d(x)
		return y, decimalError(err)
	}))
}

func init() {
	numbers1("abs", func(x int64) (int64, error) {
		if x == math.MinInt64 {
			return 0, outOfRange(tInt8)
		}
		return max(x, -x), nil
	}, math.Abs, func(d vec.Decimal) (vec.Decimal, error) { return d.Abs(), nil })
	alias("@", "abs")
	numbers1("ceil", nil, math.Ceil, vec.Decimal.Ceil)
	alias("ceiling", "ceil")
	numbers1("floor", nil, math.Floor, vec.Decimal.Floor)
	numbers1("round", nil, math.RoundToEven, func(d vec.Decimal) (vec.Decimal, error) { return d.Round(0) })
	numbers1("trunc", nil, math.Trunc, func(d vec.Decimal) (vec.Decimal, error) { return d.Trunc(0) })
	numbers1("sign", nil, func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		case x != x:
			return x
		}
		return 0 // also of -0
	}, func(d vec.Decimal) (vec.Decimal, error) {
		if d.IsNaN() {
			return d, nil
		}
		return vec.DecimalFromInt(int64(d.Sign())), nil
	})
	decimal := define("round", tNum, types(tNum, tInt4), map2(func(_ *Context, d vec.Decimal, n int64) (vec.Decimal, error) {
		if n < -vec.MaxDecimalDigits && d.IsFinite() {
			return vec.Decimal{}, nil // less than half of the unit
		}
		r, err := d.Round(int(min(n, vec.MaxDecimalDigits)))
		if err != nil && n > int64(d.Scale) {
			return d, nil // more zeroes than fit
		}
		return r, decimalError(err)
	}))
	// An extension: PostgreSQL has round(numeric, integer) only, which literals and integers take.
	define("round", tFloat8, types(tFloat8, tInt4), map2(func(_ *Context, x float64, n int64) (float64, error) {
		k := math.Pow10(int(max(min(n, 300), -300)))
		r := math.RoundToEven(x*k) / k
		if math.IsInf(x*k, 0) || r != r {
			return x, nil
		}
		return r, nil
	}))
	choose("round", func(args []vec.Type) *Overload {
		if len(args) != 2 || args[0].Array || !CanImplicit(args[1], tInt4) {
			return nil
		}
		switch args[0].Kind {
		case vec.Unknown, vec.Int2, vec.Int4, vec.Int8:
		default:
			return nil
		}
		return &Overload{Fn: decimal, Args: types(tNum, tInt4), Result: tNum}
	})
	define("trunc", tNum, types(tNum, tInt4), map2(func(_ *Context, d vec.Decimal, n int64) (vec.Decimal, error) {
		r, err := d.Trunc(int(max(min(n, 38), -38)))
		if err != nil && n > int64(d.Scale) {
			return d, nil
		}
		return r, decimalError(err)
	}))

	float1("sqrt", math.Sqrt, func(x float64) error {
		if x < 0 {
			return errSqrt
		}
		return nil
	})
	define("sqrt", tNum, types(tNum), map1(func(_ *Context, d vec.Decimal) (vec.Decimal, error) {
		if d.Sign() < 0 {
			return d, errSqrt
		}
		r, err := SqrtDecimal(d)
		return r, decimalError(err)
	}))
	alias("|/", "sqrt")
	float1("cbrt", math.Cbrt, nil)
	alias("||/", "cbrt")
	float1("exp", math.Exp, nil)
	float1("ln", math.Log, checkLog)
	float1("log10", log10Float, checkLog)
	float1("log", log10Float, checkLog)
	float1("log2", math.Log2, checkLog)
	ten := vec.DecimalFromInt(10)
	log10 := func(d vec.Decimal) (vec.Decimal, error) { return logDecimal(ten, d) }
	for name, fn := range map[string]func(vec.Decimal) (vec.Decimal, error){"exp": expDecimal, "ln": lnDecimal, "log": log10, "log10": log10} {
		define(name, tNum, types(tNum), map1(func(_ *Context, d vec.Decimal) (vec.Decimal, error) {
			if d.IsNaN() {
				return d, nil
			}
			if name != "exp" {
				if err := checkLog(d.Float64()); err != nil {
					return d, err
				}
			}
			switch {
			case d.IsFinite():
				return fn(d)
			case d.Sign() < 0: // of exp
				return vec.Decimal{}, nil
			}
			return d, nil
		}))
	}
	define("log", tNum, types(tNum, tNum), map2(func(_ *Context, b, x vec.Decimal) (vec.Decimal, error) {
		if b.IsNaN() || x.IsNaN() {
			return vec.DecimalNaN, nil
		}
		for _, d := range []vec.Decimal{b, x} {
			if err := checkLog(d.Float64()); err != nil {
				return d, err
			}
		}
		switch {
		case b.IsInf() && x.IsInf():
			return vec.DecimalNaN, nil
		case b.IsInf():
			return vec.Decimal{}, nil
		case x.IsInf():
			return x, nil
		}
		return logDecimal(b, x)
	}))
	define("power", tFloat8, types(tFloat8, tFloat8), map2(func(_ *Context, a, b float64) (float64, error) { return power(a, b) }))
	define("power", tNum, types(tNum, tNum), map2(func(_ *Context, a, b vec.Decimal) (vec.Decimal, error) {
		r, err := power(a.Float64(), b.Float64())
		switch {
		case err != nil && pgerr.Code(err) == pgerr.InvalidPowerArgument:
			return a, err
		case !a.IsFinite() || !b.IsFinite(): // 0, 1, infinite or NaN
			return vec.DecimalFromFloat(r, 1)
		case a.IsZero():
			return floatDecimal(r)
		}
		return powerDecimal(a, b)
	}))
	alias("pow", "power")
	alias("^", "power")
	define("div", tNum, types(tNum, tNum), map2(func(_ *Context, a, b vec.Decimal) (vec.Decimal, error) {
		r, err := a.QuoInt(b)
		return r, decimalError(err)
	}))
	define("gcd", tNum, types(tNum, tNum), map2(func(_ *Context, a, b vec.Decimal) (vec.Decimal, error) {
		r, err := gcdDecimal(a, b)
		return r, decimalError(err)
	}))
	define("lcm", tNum, types(tNum, tNum), map2(func(_ *Context, a, b vec.Decimal) (vec.Decimal, error) {
		r, err := lcmDecimal(a, b)
		return r, decimalError(err)
	}))
	for _, t := range []vec.Type{tInt4, tInt8} {
		_, hi := intRange(t.Kind)
		define("gcd", t, types(t, t), map2(func(_ *Context, a, b int64) (int64, error) {
			r := gcd(a, b)
			if r < 0 || r > hi { // of the least numbers
				return 0, outOfRange(t)
			}
			return r, nil
		}))
		define("lcm", t, types(t, t), map2(func(_ *Context, a, b int64) (int64, error) {
			if a == 0 || b == 0 {
				return 0, nil
			}
			r, ok := mulInt(a/gcd(a, b), b)
			if r < 0 {
				r = -r
			}
			if !ok || r < 0 || r > hi {
				return 0, outOfRange(t)
			}
			return r, nil
		}))
	}
	define("factorial", tNum, types(tInt8), map1(func(_ *Context, n int64) (vec.Decimal, error) {
		if n < 0 {
			return vec.Decimal{}, pgerr.New(pgerr.NumericOutOfRange, "factorial of a negative number is undefined")
		}
		r := vec.DecimalFromInt(1)
		for i := int64(2); i <= n; i++ {
			var err error
			if r, err = r.Mul(vec.DecimalFromInt(i)); err != nil {
				return r, decimalError(err)
			}
		}
		return r, nil
	}))
	define("pi", tFloat8, nil, map0(func(*Context) (float64, error) { return math.Pi, nil }))
	float1("degrees", func(x float64) float64 { return x / (math.Pi / 180) }, nil)
	float1("radians", func(x float64) float64 { return x * (math.Pi / 180) }, nil)
	for name, fn := range map[string]func(float64) float64{
		"sin": math.Sin, "cos": math.Cos, "tan": math.Tan,
	} {
		float1(name, fn, checkFinite)
	}
	for name, fn := range map[string]func(float64) float64{"atan": math.Atan, "tanh": math.Tanh, "asinh": math.Asinh} {
		float1(name, fn, nil)
	}
	// These may be infinite.
	define("sinh", tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) { return math.Sinh(x), nil }))
	define("cosh", tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) { return math.Cosh(x), nil }))
	define("cot", tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) { return 1 / math.Tan(x), checkFinite(x) }))
	define("atanh", tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) {
		if x == x {
			if err := checkUnit(x); err != nil {
				return 0, err
			}
		}
		return math.Atanh(x), nil
	}))
	float1("asin", math.Asin, checkUnit)
	float1("acos", math.Acos, checkUnit)
	float1("acosh", math.Acosh, func(x float64) error {
		if x < 1 {
			return errInput
		}
		return nil
	})
	define("atan2", tFloat8, types(tFloat8, tFloat8), map2(func(_ *Context, y, x float64) (float64, error) { return math.Atan2(y, x), nil }))
	define("isnan", tBool, types(tFloat8), map1(func(_ *Context, x float64) (bool, error) { return x != x, nil }))
	define("isnan", tBool, types(tNum), map1(func(_ *Context, d vec.Decimal) (bool, error) { return d.IsNaN(), nil }))
	define("isinf", tBool, types(tFloat8), map1(func(_ *Context, x float64) (bool, error) { return math.IsInf(x, 0), nil }))
	define("scale", tInt4, types(tNum), map1(func(_ *Context, d vec.Decimal) (int64, error) {
		if !d.IsFinite() {
			return 0, errNull
		}
		return int64(d.Scale), nil
	}))
	define("min_scale", tInt4, types(tNum), map1(func(_ *Context, d vec.Decimal) (int64, error) {
		if !d.IsFinite() {
			return 0, errNull
		}
		return int64(d.Trim().Scale), nil
	}))
	define("trim_scale", tNum, types(tNum), map1(func(_ *Context, d vec.Decimal) (vec.Decimal, error) { return d.Trim(), nil }))
	define("width_bucket", tInt4, types(tFloat8, tFloat8, tFloat8, tInt4), func(f *frame) error {
		x, lo, hi, n := viewOf[float64](f, 0), viewOf[float64](f, 1), viewOf[float64](f, 2), viewOf[int64](f, 3)
		out := f.out.I64
		return tryEach(f, func(i int) (err error) {
			out[i], err = widthBucket(x.at(i), lo.at(i), hi.at(i), n.at(i))
			return err
		})
	})
	choose("width_bucket", func(args []vec.Type) *Overload {
		if len(args) != 2 || !args[1].Array {
			return nil
		}
		t, err := CommonType([]vec.Type{args[1].Elem(), args[0]})
		if err != nil || t.Array || !CanImplicit(args[1], vec.ArrayOf(t.Kind)) && args[1].Kind != t.Kind {
			return nil
		}
		return &Overload{Args: types(vec.T(t.Kind), vec.ArrayOf(t.Kind)), Result: tInt4, Fn: &Function{Name: "width_bucket", eval: bucketOf}}
	})
	bitOperators()
	define("bit_count", tInt8, types(tBytea), map1(func(_ *Context, s string) (int64, error) {
		n := 0
		for i := 0; i < len(s); i++ {
			n += bits.OnesCount8(s[i])
		}
		return int64(n), nil
	}))
	choose("hash", func(args []vec.Type) *Overload {
		if len(args) == 0 {
			return nil
		}
		want := append([]vec.Type{}, args...)
		for i := range want {
			if want[i].Kind == vec.Unknown {
				want[i] = tText
			}
		}
		return &Overload{Args: want, Result: tInt8, Fn: &Function{Name: "hash", lax: true, eval: func(f *frame) error {
			rows := f.rows
			if rows == nil {
				rows = liveRows(&vec.Batch{Rows: f.n})
			}
			sums := make([]uint64, len(rows))
			vec.HashRows(sums, f.args, rows)
			for i, r := range rows {
				f.out.I64[r] = int64(sums[i])
			}
			return nil
		}}}
	})
}

// floatDecimal is a float function's result as numeric, with 16 significant digits.
func floatDecimal(x float64) (vec.Decimal, error) {
	d, err := vec.DecimalFromFloat(x, 17)
	if err != nil {
		return d, decimalError(err)
	}
	if !d.IsFinite() {
		return d, nil
	}
	r, err := d.Round(max(16-max(d.Digits()-1, 0), 0))
	return r, decimalError(err)
}

func widthBucket(x, lo, hi float64, n int64) (int64, error) {
	switch {
	case n <= 0:
		return 0, pgerr.New("2201G", "count must be greater than zero")
	case x != x || lo != lo || hi != hi:
		return 0, pgerr.New("2201G", "operand, lower bound, and upper bound cannot be NaN")
	case math.IsInf(lo, 0) || math.IsInf(hi, 0):
		return 0, pgerr.New("2201G", "lower and upper bounds must be finite")
	case lo == hi:
		return 0, pgerr.New("2201G", "lower bound cannot equal upper bound")
	}
	if lo > hi {
		x, lo, hi = -x, -lo, -hi
	}
	switch {
	case x < lo:
		return 0, nil
	case x >= hi:
		return n + 1, nil
	}
	return min(int64((x-lo)/(hi-lo)*float64(n)), n-1) + 1, nil
}

func bitOperators() {
	for _, t := range []vec.Type{tInt2, tInt4, tInt8} {
		width := map[vec.Kind]uint{vec.Int2: 16, vec.Int4: 32, vec.Int8: 64}[t.Kind]
		wrap := func(x int64) int64 { return x << (64 - width) >> (64 - width) }
		counts := uint64(max(width, 32) - 1) // smallint is shifted as integer
		define("&", t, types(t, t), map2(func(_ *Context, a, b int64) (int64, error) { return a & b, nil }))
		define("|", t, types(t, t), map2(func(_ *Context, a, b int64) (int64, error) { return a | b, nil }))
		define("#", t, types(t, t), map2(func(_ *Context, a, b int64) (int64, error) { return a ^ b, nil }))
		define("~", t, types(t), map1(func(_ *Context, a int64) (int64, error) { return ^a, nil }))
		define("<<", t, types(t, tInt4), map2(func(_ *Context, a, b int64) (int64, error) { return wrap(a << (uint64(b) & counts)), nil }))
		define(">>", t, types(t, tInt4), map2(func(_ *Context, a, b int64) (int64, error) { return a >> (uint64(b) & counts), nil }))
	}
}
