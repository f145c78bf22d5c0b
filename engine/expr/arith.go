package expr

import (
	"errors"
	"math"
	"math/bits"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// outOfRange is the error for a value that an integer or float type cannot hold.
func outOfRange(t vec.Type) error {
	switch t.Kind {
	case vec.Float4, vec.Float8:
		return pgerr.New(pgerr.NumericOutOfRange, "value out of range: overflow")
	case vec.Numeric:
		return pgerr.New(pgerr.NumericOutOfRange, "value overflows numeric format")
	case vec.Date, vec.Timestamp, vec.TimestampTZ:
		return pgerr.New(pgerr.DatetimeOverflow, "%s out of range", shortTime(t))
	case vec.Interval:
		return pgerr.New(pgerr.DatetimeOverflow, "interval out of range")
	}
	return pgerr.New(pgerr.NumericOutOfRange, "%s out of range", t)
}

func shortTime(t vec.Type) string {
	if t.Kind == vec.Date {
		return "date"
	}
	return "timestamp"
}

var errDivision = pgerr.New(pgerr.DivisionByZero, "division by zero")

// decimalError words an error of decimal arithmetic for the client.
func decimalError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vec.ErrDivisionByZero):
		return errDivision
	case errors.Is(err, vec.ErrDecimalOverflow):
		return outOfRange(tNum)
	}
	return err
}

// intRange is the least and greatest value of an integer type.
func intRange(k vec.Kind) (lo, hi int64) {
	switch k.Unnamed() {
	case vec.Int2:
		return math.MinInt16, math.MaxInt16
	case vec.Int4:
		return math.MinInt32, math.MaxInt32
	case vec.OID, vec.XID:
		return 0, math.MaxUint32
	}
	return math.MinInt64, math.MaxInt64
}

func init() {
	for _, op := range []byte("+-*/%") {
		choose(string(op), func(args []vec.Type) *Overload { return chooseArithmetic(op, args) })
	}
	choose("mod", func(args []vec.Type) *Overload { return chooseArithmetic('%', args) })
	choose("-", chooseNegate)
	choose("+", func(args []vec.Type) *Overload {
		if len(args) != 1 || !args[0].IsNumber() {
			return nil
		}
		return &Overload{Fn: &Function{Name: "+", lax: true, eval: copyValue}, Args: args, Result: vec.T(args[0].Kind)}
	})
}

// copyValue is the identity.
func copyValue(f *frame) error {
	*f.out = *f.args[0].Flatten(f.n)
	return nil
}

// chooseArithmetic is + - * / % on numbers. A literal takes its neighbour's type.
func chooseArithmetic(op byte, args []vec.Type) *Overload {
	if len(args) != 2 {
		return nil
	}
	a, b := args[0], args[1]
	if a.Kind == vec.Unknown && b.IsNumber() {
		a = b
	}
	if b.Kind == vec.Unknown && a.IsNumber() {
		b = a
	}
	if !a.IsNumber() || !b.IsNumber() {
		return nil
	}
	t := vec.T(max(a.Kind, b.Kind)) // the wider integer
	switch {
	case a.Kind == vec.Float4 && b.Kind == vec.Float4:
		t = tFloat4
	case isFloat(a) || isFloat(b):
		t = tFloat8
	case a.Kind == vec.Numeric || b.Kind == vec.Numeric:
		t = tNum
	}
	if op == '%' && isFloat(t) {
		return nil
	}
	want := []vec.Type{t, t}
	for i, x := range []vec.Type{a, b} {
		if t.IsInt() && x.IsInt() || t.Kind == vec.Float8 && x.Kind == vec.Float4 {
			want[i] = x
		}
	}
	fn := arithmetic[[2]int{int(op), int(t.Kind)}]
	if fn == nil {
		return nil
	}
	return &Overload{Fn: fn, Args: want, Result: t}
}

func isFloat(t vec.Type) bool { return !t.Array && (t.Kind == vec.Float4 || t.Kind == vec.Float8) }

var arithmetic = func() map[[2]int]*Function {
	out := map[[2]int]*Function{}
	for _, op := range []byte("+-*/%") {
		for _, k := range []vec.Kind{vec.Int2, vec.Int4, vec.Int8} {
			lo, hi := intRange(k)
			fn := &Function{Name: string(op)}
			fn.eval = func(f *frame) error { return intArithmetic(f, op, lo, hi) }
			out[[2]int{int(op), int(k)}] = fn
		}
		for _, k := range []vec.Kind{vec.Float4, vec.Float8} {
			fn := &Function{Name: string(op)}
			fn.eval = func(f *frame) error { return floatArithmetic(f, op) }
			out[[2]int{int(op), int(k)}] = fn
		}
		fn := &Function{Name: string(op)}
		fn.eval = func(f *frame) error { return decimalArithmetic(f, op) }
		if op == '+' || op == '-' || op == '*' {
			fn.quick = func(args []*vec.Vector, t vec.Type, n int) *vec.Vector { return scaledArithmetic(args, t, n, op) }
		}
		out[[2]int{int(op), int(vec.Numeric)}] = fn
	}
	return out
}()

// intArithmetic computes every row, counted or not, and looks for the one to blame only
// if some row overflowed.
func intArithmetic(f *frame, op byte, lo, hi int64) error {
	dst := f.out.I64
	if k := f.args[1]; k.Form == vec.Const && (op == '+' || op == '-') {
		x := k.I64[0]
		if op == '-' {
			x = -x
		}
		// A constant far from the ends overflows only if the value is near one.
		if x > -1<<31 && x < 1<<31 && addConst(dst, flat[int64](f, 0), x, lo, hi) {
			return nil
		}
	}
	a, b := flat[int64](f, 0)[:len(dst)], flat[int64](f, 1)[:len(dst)]
	bad := false
	switch op {
	case '+':
		var over int64
		for i := range dst {
			r := a[i] + b[i]
			over |= (a[i] ^ r) & (b[i] ^ r)
			dst[i] = r
		}
		bad = over < 0
	case '-':
		var over int64
		for i := range dst {
			r := a[i] - b[i]
			over |= (a[i] ^ b[i]) & (a[i] ^ r)
			dst[i] = r
		}
		bad = over < 0
	case '*':
		if hi == math.MaxInt64 {
			for i := range dst {
				r, ok := mulInt(a[i], b[i])
				bad = bad || !ok
				dst[i] = r
			}
		} else {
			for i := range dst {
				dst[i] = a[i] * b[i]
			}
		}
	case '/':
		for i := range dst {
			if b[i] == 0 || b[i] == -1 {
				bad = bad || b[i] == 0 || a[i] == lo
				dst[i] = -a[i]
				continue
			}
			dst[i] = a[i] / b[i]
		}
	case '%':
		for i := range dst {
			if b[i] == 0 || b[i] == -1 {
				bad = bad || b[i] == 0
				dst[i] = 0
				continue
			}
			dst[i] = a[i] % b[i]
		}
	}
	if !bad && hi != math.MaxInt64 {
		for _, r := range dst {
			bad = bad || r < lo || r > hi
		}
	}
	if !bad {
		return nil
	}
	return tryEach(f, func(i int) error {
		x, y := a[i], b[i]
		r, ok := int64(0), true
		switch op {
		case '+':
			r = x + y
			ok = (x^r)&(y^r) >= 0
		case '-':
			r = x - y
			ok = (x^y)&(x^r) >= 0
		case '*':
			r, ok = mulInt(x, y)
		default:
			if y == 0 {
				return errDivision
			}
			if op == '/' {
				ok = !(x == lo && y == -1)
			}
		}
		if !ok || r < lo || r > hi {
			return outOfRange(f.out.Type)
		}
		return nil
	})
}

// addConst adds x to every value and answers whether all results are in range.
func addConst(dst, a []int64, x, lo, hi int64) bool {
	a = a[:len(dst)]
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range dst {
		v := a[i]
		least, most = min(least, v), max(most, v)
		dst[i] = v + x
	}
	if x < 0 {
		return len(dst) == 0 || least >= lo-x && most <= hi
	}
	return len(dst) == 0 || most <= hi-x && least >= lo
}

func mulInt(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if a < 0 {
		hi -= uint64(b)
	}
	if b < 0 {
		hi -= uint64(a)
	}
	return int64(lo), int64(hi) == int64(lo)>>63
}

func floatArithmetic(f *frame, op byte) error {
	dst := f.out.F64
	a, b := flat[float64](f, 0)[:len(dst)], flat[float64](f, 1)[:len(dst)]
	switch op {
	case '+':
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	case '-':
		for i := range dst {
			dst[i] = a[i] - b[i]
		}
	case '*':
		for i := range dst {
			dst[i] = a[i] * b[i]
		}
	case '/':
		for i := range dst {
			dst[i] = a[i] / b[i]
		}
	}
	if f.out.Type.Kind == vec.Float4 {
		for i, x := range dst {
			dst[i] = float64(float32(x))
		}
	}
	bad := false
	for _, x := range dst {
		bad = bad || math.IsInf(x, 0) || x != x
	}
	if op == '/' {
		for _, x := range b {
			bad = bad || x == 0
		}
	}
	if !bad {
		return nil
	}
	return tryEach(f, func(i int) error {
		if op == '/' && b[i] == 0 && a[i] == a[i] {
			return errDivision
		}
		if math.IsInf(dst[i], 0) && !math.IsInf(a[i], 0) && !math.IsInf(b[i], 0) {
			return outOfRange(f.out.Type)
		}
		return nil
	})
}

// decimalArithmetic computes every row, counted or not, as long as the numbers are ordinary.
func decimalArithmetic(f *frame, op byte) error {
	a, b, dst := viewOf[vec.Decimal](f, 0), viewOf[vec.Decimal](f, 1), f.out.Dec
	if quickDecimals(dst, &a, &b, op) {
		return nil
	}
	return tryEach(f, func(i int) (err error) {
		x, y := a.at(i), b.at(i)
		switch op {
		case '+':
			dst[i], err = x.Add(y)
		case '-':
			dst[i], err = x.Sub(y)
		case '*':
			dst[i], err = x.Mul(y)
		case '/':
			dst[i], err = x.Quo(y)
		case '%':
			dst[i], err = x.Rem(y)
		}
		return decimalError(err)
	})
}

// quickDecimals says whether it could compute all rows.
func quickDecimals(dst []vec.Decimal, a, b *view[vec.Decimal], op byte) bool {
	ok := true
	switch op {
	case '+':
		for i := 0; i < len(dst) && ok; i++ {
			dst[i], ok = a.at(i).AddQuick(b.at(i))
		}
	case '-':
		for i := 0; i < len(dst) && ok; i++ {
			dst[i], ok = a.at(i).AddQuick(b.at(i).Neg())
		}
	case '*':
		for i := 0; i < len(dst) && ok; i++ {
			dst[i], ok = a.at(i).MulQuick(b.at(i))
		}
	default:
		return false
	}
	return ok
}

// scaledArg is an argument of which the values are coefficients of one scale, or one constant.
type scaledArg struct {
	values []int64 // nil for a constant
	one    int64
	scale  uint8
}

func scaledArgOf(v *vec.Vector, n int) (a scaledArg, ok bool) {
	switch {
	case v.Form == vec.Flat && v.Scaled():
		return scaledArg{values: v.I64[:n], scale: v.Scale}, true
	case v.Form == vec.Const:
		d := v.Decimal(0)
		a.one, ok = d.Short()
		a.scale = d.Scale
	}
	return a, ok
}

// rescale gives the argument more digits behind the point; it says whether all numbers have 64
// bits then.
func (a *scaledArg) rescale(scale uint8) bool {
	by := int(scale) - int(a.scale)
	if a.scale = scale; by == 0 {
		return true
	}
	factor, ok := vec.Rescaled(1, by)
	if !ok {
		return false
	}
	if a.values == nil {
		a.one, ok = vec.Rescaled(a.one, by)
		return ok
	}
	out, most := make([]int64, len(a.values)), math.MaxInt64/factor
	bad := false
	for i, x := range a.values {
		bad = bad || x > most || x < -most
		out[i] = x * factor
	}
	a.values = out
	return !bad
}

// scaledPair is two arguments, one of which at least is no constant.
func scaledPair(args []*vec.Vector, n int) (a, b scaledArg, ok bool) {
	if a, ok = scaledArgOf(args[0], n); ok {
		b, ok = scaledArgOf(args[1], n)
	}
	return a, b, ok && (a.values != nil || b.values != nil)
}

// scaledArithmetic is decimalArithmetic of numbers of 64 bits with one scale.
func scaledArithmetic(args []*vec.Vector, t vec.Type, n int, op byte) *vec.Vector {
	a, b, ok := scaledPair(args, n)
	if !ok {
		return nil
	}
	out := &vec.Vector{Type: t, I64: make([]int64, n)}
	if op == '*' {
		if a.scale > vec.MaxDecimalDigits/2 || b.scale > vec.MaxDecimalDigits/2 {
			return nil
		}
		out.Scale = a.scale + b.scale
		if a.values == nil {
			a, b = b, a
		}
		if b.values == nil {
			ok = mulConst(out.I64, a.values, b.one)
		} else {
			ok = vec.MulScaled(out.I64, a.values, b.values)
		}
	} else {
		out.Scale = max(a.scale, b.scale)
		if !a.rescale(out.Scale) || !b.rescale(out.Scale) {
			return nil
		}
		ok = addScaled(out.I64, &a, &b, op == '-')
	}
	if !ok {
		return nil
	}
	return out
}

// mulConst says whether all products have 64 bits.
func mulConst(dst, a []int64, x int64) bool {
	if x == math.MinInt64 {
		return false
	}
	most := int64(math.MaxInt64)
	if x != 0 {
		most /= max(x, -x)
	}
	bad := false
	for i, v := range a {
		bad = bad || v > most || v < -most
		dst[i] = v * x
	}
	return !bad
}

// addScaled says whether all sums, or differences, have 64 bits.
func addScaled(dst []int64, a, b *scaledArg, minus bool) bool {
	over := int64(0)
	switch {
	case a.values == nil && minus:
		for i, y := range b.values {
			r := a.one - y
			over |= (a.one ^ y) & (a.one ^ r)
			dst[i] = r
		}
	case a.values == nil:
		for i, y := range b.values {
			r := a.one + y
			over |= (a.one ^ r) & (y ^ r)
			dst[i] = r
		}
	case b.values == nil && minus:
		for i, x := range a.values {
			r := x - b.one
			over |= (x ^ b.one) & (x ^ r)
			dst[i] = r
		}
	case b.values == nil:
		for i, x := range a.values {
			r := x + b.one
			over |= (x ^ r) & (b.one ^ r)
			dst[i] = r
		}
	case minus:
		for i, x := range a.values {
			r := x - b.values[i]
			over |= (x ^ b.values[i]) & (x ^ r)
			dst[i] = r
		}
	default:
		for i, x := range a.values {
			r := x + b.values[i]
			over |= (x ^ r) & (b.values[i] ^ r)
			dst[i] = r
		}
	}
	return over >= 0
}

func negateScaled(args []*vec.Vector, t vec.Type, n int) *vec.Vector {
	a, ok := scaledArgOf(args[0], n)
	if !ok || a.values == nil {
		return nil
	}
	out := &vec.Vector{Type: t, I64: make([]int64, n), Scale: a.scale}
	if !mulConst(out.I64, a.values, -1) {
		return nil
	}
	return out
}

func chooseNegate(args []vec.Type) *Overload {
	if len(args) != 1 {
		return nil
	}
	t := vec.T(args[0].Kind)
	if t.Kind == vec.Unknown {
		t = tFloat8
	}
	fn := &Function{Name: "-"}
	switch {
	case t.Array:
		return nil
	case t.IsInt():
		lo, _ := intRange(t.Kind)
		fn.eval = map1(func(_ *Context, a int64) (int64, error) {
			if a == lo {
				return 0, outOfRange(t)
			}
			return -a, nil
		})
	case isFloat(t):
		fn.eval = map1(func(_ *Context, a float64) (float64, error) { return -a, nil })
	case t.Kind == vec.Numeric:
		fn.eval = map1(func(_ *Context, a vec.Decimal) (vec.Decimal, error) { return a.Neg(), nil })
		fn.quick = negateScaled
	case t.Kind == vec.Interval:
		fn.eval = map1(func(_ *Context, a vec.IntervalValue) (vec.IntervalValue, error) { return negInterval(a) })
	default:
		return nil
	}
	return &Overload{Fn: fn, Args: types(t), Result: t}
}

func negInterval(a vec.IntervalValue) (vec.IntervalValue, error) {
	if a.Months == math.MinInt32 || a.Days == math.MinInt32 || a.Micros == math.MinInt64 {
		return a, outOfRange(tIvl)
	}
	return vec.IntervalValue{Months: -a.Months, Days: -a.Days, Micros: -a.Micros}, nil
}
