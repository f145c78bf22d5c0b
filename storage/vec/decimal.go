package vec

import (
	"cmp"
	"errors"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Decimal is a numeric value: Coef × 10^-Scale, with a coefficient of 128 bits in two's
// complement. The scale is kept as written, so 1.50 stays 1.50. Scale 255 marks what is no number
// with digits, which Hi tells apart: 0 is NaN, 1 infinity, -1 minus infinity.
type Decimal struct {
	Hi    int64
	Lo    uint64
	Scale uint8
}

// MaxDecimalDigits is how many digits a coefficient has at most: what 127 bits hold.
const MaxDecimalDigits = 38

const specialScale = 255

// The errors of decimal arithmetic.
var (
	ErrDecimalOverflow = errors.New("value overflows numeric format")
	ErrDivisionByZero  = errors.New("division by zero")
	ErrDecimalSyntax   = errors.New("invalid numeric syntax")
)

// The values that are not finite: the one that is not a number, and the two infinities.
var (
	DecimalNaN    = Decimal{Scale: specialScale}
	DecimalInf    = Decimal{Hi: 1, Scale: specialScale}
	DecimalNegInf = Decimal{Hi: -1, Scale: specialScale}
)

// DecimalFromInt is an integer as a decimal.
func DecimalFromInt(i int64) Decimal { return Decimal{Hi: i >> 63, Lo: uint64(i)} }

// uint128 is a magnitude.
type uint128 struct{ hi, lo uint64 }

// pow10 holds the powers of ten that fit a coefficient.
var pow10 = func() (p [MaxDecimalDigits + 1]uint128) {
	p[0] = uint128{0, 1}
	for i := 1; i < len(p); i++ {
		p[i], _ = p[i-1].mulSmall(10)
	}
	return p
}()

func (a uint128) cmp(b uint128) int {
	switch {
	case a.hi != b.hi:
		if a.hi < b.hi {
			return -1
		}
		return 1
	case a.lo < b.lo:
		return -1
	case a.lo > b.lo:
		return 1
	}
	return 0
}

func (a uint128) add(b uint128) (uint128, bool) {
	lo, c := bits.Add64(a.lo, b.lo, 0)
	hi, c := bits.Add64(a.hi, b.hi, c)
	return uint128{hi, lo}, c == 0
}

func (a uint128) sub(b uint128) uint128 {
	lo, c := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, c)
	return uint128{hi, lo}
}

func (a uint128) mulSmall(m uint64) (uint128, bool) {
	hi, lo := bits.Mul64(a.lo, m)
	h2, l2 := bits.Mul64(a.hi, m)
	l2, c := bits.Add64(l2, hi, 0)
	return uint128{l2, lo}, h2 == 0 && c == 0
}

func (a uint128) mul(b uint128) (uint128, bool) {
	switch {
	case b.hi == 0:
		return a.mulSmall(b.lo)
	case a.hi == 0:
		return b.mulSmall(a.lo)
	}
	return uint128{}, false
}

// quo divides, and answers the remainder too; b is not zero.
func (a uint128) quo(b uint128) (q, r uint128) {
	if b.hi == 0 {
		q.hi = a.hi / b.lo
		q.lo, r.lo = bits.Div64(a.hi%b.lo, a.lo, b.lo)
		return q, r
	}
	// The quotient fits 64 bits: divide by b's upper word, then correct.
	n := uint(bits.LeadingZeros64(b.hi))
	v1 := b.hi<<n | b.lo>>(64-n)&-(uint64(min(n, 1)))
	u := uint128{a.hi >> 1, a.hi<<63 | a.lo>>1}
	t, _ := bits.Div64(u.hi, u.lo, v1)
	t >>= 63 - n
	if t != 0 {
		t--
	}
	q.lo = t
	m, _ := b.mulSmall(t)
	r = a.sub(m)
	if r.cmp(b) >= 0 {
		q.lo++
		r = r.sub(b)
	}
	return q, r
}

func (a uint128) isZero() bool { return a.hi|a.lo == 0 }

// digits is how many decimal digits a has; 0 has none.
func (a uint128) digits() int {
	if a.isZero() {
		return 0
	}
	n := bits.Len64(a.lo)
	if a.hi != 0 {
		n = 64 + bits.Len64(a.hi)
	}
	d := n * 1233 >> 12 // log10(2)
	if d > MaxDecimalDigits || a.cmp(pow10[d]) < 0 {
		return d
	}
	return d + 1
}

func (a uint128) big() *big.Int {
	return new(big.Int).Or(new(big.Int).Lsh(new(big.Int).SetUint64(a.hi), 64), new(big.Int).SetUint64(a.lo))
}

// IsNaN says whether d is not a number.
func (d Decimal) IsNaN() bool { return d.Scale == specialScale && d.Hi == 0 }

// IsFinite says whether d is neither NaN nor infinite.
func (d Decimal) IsFinite() bool { return d.Scale != specialScale }

// IsInf says whether d is infinite.
func (d Decimal) IsInf() bool { return d.Scale == specialScale && d.Hi != 0 }

// Valid says whether d has a scale that there is.
func (d Decimal) Valid() bool {
	return d.Scale <= MaxDecimalDigits || d == DecimalNaN || d == DecimalInf || d == DecimalNegInf
}

// infinite is the infinity of a sign, and NaN for 0.
func infinite(sign int) Decimal { return Decimal{Hi: int64(sign), Scale: specialScale} }

// IsZero says whether d is 0.
func (d Decimal) IsZero() bool { return d.Hi == 0 && d.Lo == 0 && d.Scale != specialScale }

// Sign is -1, 0 or 1; NaN counts as positive.
func (d Decimal) Sign() int {
	switch {
	case d.IsNaN():
		return 1
	case d.Hi < 0:
		return -1
	case d.Hi == 0 && d.Lo == 0:
		return 0
	}
	return 1
}

func (d Decimal) magnitude() (m uint128, neg bool) {
	m = uint128{uint64(d.Hi), d.Lo}
	if d.Hi < 0 {
		m = uint128{}.sub(m)
		return m, true
	}
	return m, false
}

func fromMagnitude(m uint128, neg bool, scale int) (Decimal, error) {
	if m.cmp(pow10[MaxDecimalDigits]) >= 0 || scale > MaxDecimalDigits {
		return Decimal{}, ErrDecimalOverflow
	}
	if neg {
		m = uint128{}.sub(m)
	}
	return Decimal{Hi: int64(m.hi), Lo: m.lo, Scale: uint8(scale)}, nil
}

// DecimalFrom128 is a coefficient in two's complement with a scale; it fails beyond 38 digits.
func DecimalFrom128(hi int64, lo uint64, scale int) (Decimal, error) {
	m, neg := Decimal{Hi: hi, Lo: lo}.magnitude()
	return fromMagnitude(m, neg, scale)
}

// DecimalFromBig is a coefficient of any size with a scale; it fails beyond 38 digits.
func DecimalFromBig(x *big.Int, scale int) (Decimal, error) {
	if x.BitLen() > 127 {
		return Decimal{}, ErrDecimalOverflow
	}
	abs := new(big.Int).Abs(x)
	m := uint128{new(big.Int).Rsh(abs, 64).Uint64(), new(big.Int).And(abs, new(big.Int).SetUint64(math.MaxUint64)).Uint64()}
	return fromMagnitude(m, x.Sign() < 0, scale)
}

// Big is the coefficient.
func (d Decimal) Big() *big.Int {
	m, neg := d.magnitude()
	b := m.big()
	if neg {
		b.Neg(b)
	}
	return b
}

// Neg is -d.
func (d Decimal) Neg() Decimal {
	m := uint128{}.sub(uint128{uint64(d.Hi), d.Lo})
	return Decimal{Hi: int64(m.hi), Lo: m.lo, Scale: d.Scale}
}

// Abs is d without its sign.
func (d Decimal) Abs() Decimal {
	if d.Hi < 0 {
		return d.Neg()
	}
	return d
}

// align brings both to the larger scale.
func align(a, b Decimal) (x, y uint128, xneg, yneg bool, scale int, ok bool) {
	x, xneg = a.magnitude()
	y, yneg = b.magnitude()
	ok = true
	switch {
	case a.Scale < b.Scale:
		x, ok = x.mul(pow10[b.Scale-a.Scale])
	case b.Scale < a.Scale:
		y, ok = y.mul(pow10[a.Scale-b.Scale])
	}
	return x, y, xneg, yneg, int(max(a.Scale, b.Scale)), ok
}

// Add is a+b with the larger scale.
func (d Decimal) Add(b Decimal) (Decimal, error) {
	if sum, ok := d.AddQuick(b); ok {
		return sum, nil
	}
	switch {
	case d.IsFinite() && b.IsFinite():
	case d.IsNaN() || b.IsNaN() || d.IsInf() && b.IsInf() && d != b:
		return DecimalNaN, nil
	case d.IsInf():
		return d, nil
	default:
		return b, nil
	}
	x, y, xneg, yneg, scale, ok := align(d, b)
	if !ok {
		return bigAdd(d, b)
	}
	if xneg == yneg {
		s, ok := x.add(y)
		if !ok {
			return Decimal{}, ErrDecimalOverflow
		}
		return fromMagnitude(s, xneg, scale)
	}
	if x.cmp(y) >= 0 {
		return fromMagnitude(x.sub(y), xneg, scale)
	}
	return fromMagnitude(y.sub(x), yneg, scale)
}

// bigAdd is Add where aligning needs more than 128 bits: the sum may still fit.
func bigAdd(a, b Decimal) (Decimal, error) {
	scale := int(max(a.Scale, b.Scale))
	x, y := a.Big(), b.Big()
	x.Mul(x, pow10[scale-int(a.Scale)].big())
	y.Mul(y, pow10[scale-int(b.Scale)].big())
	return DecimalFromBig(x.Add(x, y), scale)
}

// Sub is d-b with the larger scale.
func (d Decimal) Sub(b Decimal) (Decimal, error) { return d.Add(b.Neg()) }

// AddQuick is Add for what almost all numbers are: far from the ends, and of scales that are
// near each other. It says whether these are.
func (d Decimal) AddQuick(b Decimal) (Decimal, bool) {
	if d.Scale != b.Scale {
		if d.Scale > b.Scale {
			d, b = b, d
		}
		by := b.Scale - d.Scale
		if b.Scale == specialScale || by > 18 || !d.short() {
			return Decimal{}, false
		}
		d.Hi, d.Lo = mulInt64(int64(d.Lo), int64(pow10[by].lo))
		d.Scale = b.Scale
	}
	const most = 1 << 61 // two such upper halves make less than 2^126, which is less than 10^38
	if d.Hi < -most || d.Hi >= most || b.Hi < -most || b.Hi >= most || d.Scale == specialScale {
		return Decimal{}, false
	}
	lo, carry := bits.Add64(d.Lo, b.Lo, 0)
	return Decimal{Hi: d.Hi + b.Hi + int64(carry), Lo: lo, Scale: d.Scale}, true
}

// MulQuick is Mul for coefficients of 64 bits. It says whether these are.
func (d Decimal) MulQuick(b Decimal) (Decimal, bool) {
	if !d.short() || !b.short() || d.Scale > MaxDecimalDigits/2 || b.Scale > MaxDecimalDigits/2 {
		return Decimal{}, false
	}
	hi, lo := mulInt64(int64(d.Lo), int64(b.Lo)) // less than 2^126
	return Decimal{Hi: hi, Lo: lo, Scale: d.Scale + b.Scale}, true
}

// short says whether the coefficient is one of 64 bits.
func (d Decimal) short() bool { return d.Hi == int64(d.Lo)>>63 }

// mulInt64 is the product of two integers, in 128 bits.
func mulInt64(a, b int64) (hi int64, lo uint64) {
	h, lo := bits.Mul64(uint64(a), uint64(b))
	return int64(h) - a&(b>>63) - b&(a>>63), lo
}

// Mul is d×b; the scales add up.
func (d Decimal) Mul(b Decimal) (Decimal, error) {
	if p, ok := d.MulQuick(b); ok {
		return p, nil
	}
	switch {
	case d.IsNaN() || b.IsNaN():
		return DecimalNaN, nil
	case d.IsInf() || b.IsInf():
		return infinite(d.Sign() * b.Sign()), nil
	}
	x, xneg := d.magnitude()
	y, yneg := b.magnitude()
	scale := int(d.Scale) + int(b.Scale)
	p, ok := x.mul(y)
	if ok && scale <= MaxDecimalDigits {
		return fromMagnitude(p, xneg != yneg, scale)
	}
	// A product with zeroes at its end may fit after all.
	z := new(big.Int).Mul(d.Big(), b.Big())
	if z.Sign() == 0 {
		return Decimal{Scale: uint8(min(scale, MaxDecimalDigits))}, nil
	}
	ten, rest := big.NewInt(10), new(big.Int)
	for (scale > MaxDecimalDigits || z.BitLen() > 127) && scale > 0 {
		q, r := new(big.Int).QuoRem(z, ten, rest)
		if r.Sign() != 0 {
			break
		}
		z, scale = q, scale-1
	}
	return DecimalFromBig(z, scale)
}

// Quo is d/b with PostgreSQL's choice of scale: at least 16 significant digits, and no
// fewer decimals than either operand has, as far as 38 digits allow.
func (d Decimal) Quo(b Decimal) (Decimal, error) {
	if d.IsNaN() || b.IsNaN() {
		return DecimalNaN, nil
	}
	switch {
	case b.IsZero():
		return Decimal{}, ErrDivisionByZero
	case d.IsInf() && b.IsInf():
		return DecimalNaN, nil
	case d.IsInf():
		return infinite(d.Sign() * b.Sign()), nil
	case b.IsInf():
		return Decimal{}, nil
	}
	if q, ok := quoWhole(d, b); ok {
		return q, nil
	}
	scale := quoScale(d, b)
	x, xneg := d.magnitude()
	y, yneg := b.magnitude()
	// digits before the point of the quotient, at most
	if whole := x.digits() - int(d.Scale) - (y.digits() - int(b.Scale)) + 1; whole+scale > MaxDecimalDigits {
		scale = max(MaxDecimalDigits-whole, int(max(d.Scale, b.Scale)), 0)
		scale = min(scale, MaxDecimalDigits)
	}
	shift := scale + int(b.Scale) - int(d.Scale)
	if shift >= 0 && shift <= MaxDecimalDigits {
		if n, ok := x.mul(pow10[shift]); ok {
			q, r := n.quo(y)
			if twice, ok := r.add(r); !ok || twice.cmp(y) >= 0 {
				q, _ = q.add(uint128{0, 1})
			}
			return fromMagnitude(q, xneg != yneg && !q.isZero(), scale)
		}
	}
	n, m := x.big(), y.big()
	if shift >= 0 {
		n.Mul(n, bigPow10(shift))
	} else {
		m.Mul(m, bigPow10(-shift))
	}
	q, r := new(big.Int).QuoRem(n, m, new(big.Int))
	if r.Lsh(r, 1).Cmp(m) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	if xneg != yneg {
		q.Neg(q)
	}
	return DecimalFromBig(q, scale)
}

func bigPow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// quoWhole is the quotient of whole numbers, which averages are, if it is computed in 64 bits.
func quoWhole(d, b Decimal) (Decimal, bool) {
	if d.Scale|b.Scale != 0 || d.Hi != int64(d.Lo)>>63 || b.Hi != int64(b.Lo)>>63 {
		return Decimal{}, false
	}
	x, y := uint64(max(int64(d.Lo), -int64(d.Lo))), uint64(max(int64(b.Lo), -int64(b.Lo)))
	w, first, by := 0, x, y // as in quoScale
	for ; first >= 10_000; first /= 10_000 {
		w++
	}
	for ; by >= 10_000; by /= 10_000 {
		w--
	}
	if first <= by {
		w--
	}
	scale := max(16-4*w, 0)
	if scale > 19 {
		return Decimal{}, false
	}
	hi, lo := bits.Mul64(x, pow10[scale].lo)
	if hi >= y {
		return Decimal{}, false
	}
	q, r := bits.Div64(hi, lo, y)
	if r >= y-r {
		if q++; q == 0 {
			return Decimal{}, false
		}
	}
	out := Decimal{Lo: q, Scale: uint8(scale)}
	if d.Hi != b.Hi && q != 0 {
		out.Hi, out.Lo = -1, -q
	}
	return out, true
}

// quoScale is the number of decimals of a quotient. PostgreSQL counts in groups of four
// digits: the first group of each operand and its place decide.
func quoScale(a, b Decimal) int {
	wa, fa := firstGroup(a)
	wb, fb := firstGroup(b)
	w := wa - wb
	if fa <= fb {
		w--
	}
	return max(16-w*4, int(a.Scale), int(b.Scale), 0)
}

// firstGroup is the place of the first group of four digits that is not zero (0: the one
// before the point), and its value.
func firstGroup(d Decimal) (weight, first int) {
	m, _ := d.magnitude()
	if m.isZero() {
		return 0, 0
	}
	n := m.digits() - int(d.Scale) // digits before the point; may be negative
	weight = (n - 1) >> 2          // rounds down
	drop := int(d.Scale) + weight*4
	if drop >= 0 {
		q, _ := m.quo(pow10[drop])
		return weight, int(q.lo)
	}
	q, _ := m.mulSmall(pow10[-drop].lo)
	return weight, int(q.lo)
}

// QuoInt is d/b without decimals, towards zero.
func (d Decimal) QuoInt(b Decimal) (Decimal, error) {
	q, _, err := d.quoRem(b)
	return q, err
}

// Rem is what division towards zero leaves; it has d's sign and the larger scale.
func (d Decimal) Rem(b Decimal) (Decimal, error) {
	_, r, err := d.quoRem(b)
	return r, err
}

func (d Decimal) quoRem(b Decimal) (q, r Decimal, err error) {
	if d.IsNaN() || b.IsNaN() {
		return DecimalNaN, DecimalNaN, nil
	}
	switch {
	case b.IsZero():
		return q, r, ErrDivisionByZero
	case d.IsInf() && b.IsInf():
		return DecimalNaN, DecimalNaN, nil
	case d.IsInf():
		return infinite(d.Sign() * b.Sign()), DecimalNaN, nil
	case b.IsInf():
		return q, d, nil
	}
	x, y, xneg, yneg, scale, ok := align(d, b)
	if ok {
		qm, rm := x.quo(y)
		if q, err = fromMagnitude(qm, xneg != yneg, 0); err != nil {
			return q, r, err
		}
		r, err = fromMagnitude(rm, xneg, scale)
		return q, r, err
	}
	n, m := d.Big(), b.Big()
	n.Mul(n, bigPow10(scale-int(d.Scale)))
	m.Mul(m, bigPow10(scale-int(b.Scale)))
	qb, rb := new(big.Int).QuoRem(n, m, new(big.Int))
	if q, err = DecimalFromBig(qb, 0); err != nil {
		return q, r, err
	}
	r, err = DecimalFromBig(rb, scale)
	return q, r, err
}

// place orders what is not finite around the numbers, which are at 0.
func (d Decimal) place() int {
	switch {
	case d.IsFinite():
		return 0
	case d.IsNaN():
		return 2
	}
	return int(d.Hi)
}

// Cmp orders decimals by value; NaN is the greatest, even than infinity, and equal to itself.
func (d Decimal) Cmp(b Decimal) int {
	if !d.IsFinite() || !b.IsFinite() {
		return cmp.Compare(d.place(), b.place())
	}
	if d.Scale == b.Scale {
		if d.Hi != b.Hi {
			if d.Hi < b.Hi {
				return -1
			}
			return 1
		}
		return uint128{0, d.Lo}.cmp(uint128{0, b.Lo})
	}
	x, y, xneg, yneg, _, ok := align(d, b)
	if xneg != yneg {
		return compareBool(yneg, xneg)
	}
	c := 0
	if ok {
		c = x.cmp(y)
	} else { // the one whose alignment overflows is the greater
		scale := int(max(d.Scale, b.Scale))
		c = new(big.Int).Mul(d.Abs().Big(), bigPow10(scale-int(d.Scale))).Cmp(
			new(big.Int).Mul(b.Abs().Big(), bigPow10(scale-int(b.Scale))))
	}
	if xneg {
		return -c
	}
	return c
}

// Round is d with scale decimals, half away from zero; a negative scale rounds to tens,
// hundreds and so on. A larger scale adds zeroes.
func (d Decimal) Round(scale int) (Decimal, error) { return d.rescale(scale, true) }

// Trunc is d with no more than scale decimals, cut off.
func (d Decimal) Trunc(scale int) (Decimal, error) { return d.rescale(scale, false) }

func (d Decimal) rescale(scale int, round bool) (Decimal, error) {
	if !d.IsFinite() {
		return d, nil
	}
	m, neg := d.magnitude()
	drop := int(d.Scale) - scale
	switch {
	case drop == 0:
		return d, nil
	case drop < 0:
		if -drop > MaxDecimalDigits || scale > MaxDecimalDigits {
			if m.isZero() {
				return Decimal{Scale: uint8(min(scale, MaxDecimalDigits))}, nil
			}
			return d, ErrDecimalOverflow
		}
		x, ok := m.mul(pow10[-drop])
		if !ok {
			return d, ErrDecimalOverflow
		}
		return fromMagnitude(x, neg, scale)
	case drop > MaxDecimalDigits:
		return Decimal{Scale: uint8(max(scale, 0))}, nil
	}
	q, r := m.quo(pow10[drop])
	if round {
		if twice, ok := r.add(r); !ok || twice.cmp(pow10[drop]) >= 0 {
			q, _ = q.add(uint128{0, 1})
		}
	}
	if scale < 0 {
		x, ok := q.mul(pow10[min(-scale, MaxDecimalDigits)])
		if !ok {
			return d, ErrDecimalOverflow
		}
		return fromMagnitude(x, neg, 0)
	}
	return fromMagnitude(q, neg, scale)
}

// Floor is the greatest integer that is not above d.
func (d Decimal) Floor() (Decimal, error) {
	t, err := d.Trunc(0)
	if err == nil && d.Sign() < 0 && t.Cmp(d) != 0 {
		return t.Sub(DecimalFromInt(1))
	}
	return t, err
}

// Ceil is the least integer that is not below d.
func (d Decimal) Ceil() (Decimal, error) {
	t, err := d.Trunc(0)
	if err == nil && d.Sign() > 0 && t.Cmp(d) != 0 {
		return t.Add(DecimalFromInt(1))
	}
	return t, err
}

// Trim is d without zeroes at its end: equal values give equal results.
func (d Decimal) Trim() Decimal {
	if !d.IsFinite() || d.Scale == 0 {
		return d
	}
	m, neg := d.magnitude()
	scale := int(d.Scale)
	if m.isZero() {
		return Decimal{}
	}
	for scale > 0 {
		q, r := m.quo(pow10[1])
		if !r.isZero() {
			break
		}
		m, scale = q, scale-1
	}
	out, _ := fromMagnitude(m, neg, scale) // cannot grow
	return out
}

// Int64 is d rounded to an integer, half away from zero; false if it does not fit.
func (d Decimal) Int64() (int64, bool) {
	if !d.IsFinite() {
		return 0, false
	}
	r, err := d.Round(0)
	if err != nil {
		return 0, false
	}
	i := int64(r.Lo)
	return i, r.Hi == i>>63
}

// exactPow10 holds the powers of ten that a float64 holds exactly.
var exactPow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// Float64 is the float nearest to d.
func (d Decimal) Float64() float64 {
	switch {
	case d.IsNaN():
		return math.NaN()
	case d.IsInf():
		return math.Inf(d.Sign())
	}
	m, neg := d.magnitude()
	if m.hi == 0 && m.lo < 1<<53 && int(d.Scale) < len(exactPow10) {
		f := float64(m.lo) / exactPow10[d.Scale] // both exact, so the quotient is the nearest
		if neg {
			f = -f
		}
		return f
	}
	f, _ := strconv.ParseFloat(d.String(), 64) // always a valid literal in range
	return f
}

// DecimalFromFloat is f with 15 significant digits, as PostgreSQL converts; real
// numbers pass 6.
func DecimalFromFloat(f float64, digits int) (Decimal, error) {
	if f != f {
		return DecimalNaN, nil
	}
	if math.IsInf(f, 0) {
		return infinite(int(math.Copysign(1, f))), nil
	}
	var buf [40]byte
	return ParseDecimal(strconv.AppendFloat(buf[:0], f, 'g', digits, 64))
}

// ParseDecimal reads a decimal: sign, digits with a point, exponent; or NaN, or inf or infinity with
// or without a sign. More decimals than 38 are rounded off; more digits before the point fail.
func ParseDecimal(s []byte) (Decimal, error) {
	i, neg := 0, false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		neg = s[i] == '-'
		i++
	}
	if i < len(s) && s[i] > '9' {
		switch word := strings.ToLower(string(s[i:min(len(s), i+len("infinity")+1)])); {
		case word == "nan" && i == 0:
			return DecimalNaN, nil
		case word == "inf" || word == "infinity":
			if neg {
				return DecimalNegInf, nil
			}
			return DecimalInf, nil
		}
	}
	var m uint128
	scale, digits, extra := 0, 0, 0 // extra: digits before the point that no longer fit
	point, full := false, false
	roundUp := false
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c == '_' && digits > 0 && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' && s[i-1] != '.' {
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		if full {
			if !point {
				extra++
			}
			continue
		}
		if m.cmp(pow10[MaxDecimalDigits-1]) >= 0 || point && scale >= MaxDecimalDigits*2 {
			full = true
			roundUp = c >= '5'
			if !point {
				extra++
			}
			continue
		}
		m, _ = m.mulSmall(10)
		m, _ = m.add(uint128{0, uint64(c - '0')})
		if point {
			scale++
		}
	}
	if digits == 0 {
		return Decimal{}, ErrDecimalSyntax
	}
	exp := 0
	if i < len(s) && s[i]|32 == 'e' {
		i++
		eneg := false
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			eneg = s[i] == '-'
			i++
		}
		start := i
		for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			if exp < 100000 {
				exp = exp*10 + int(s[i]-'0')
			}
		}
		if i == start {
			return Decimal{}, ErrDecimalSyntax
		}
		if eneg {
			exp = -exp
		}
	}
	if i != len(s) {
		return Decimal{}, ErrDecimalSyntax
	}
	if roundUp {
		m, _ = m.add(uint128{0, 1})
	}
	scale -= exp + extra
	switch {
	case m.isZero():
		return Decimal{Scale: uint8(min(max(scale, 0), MaxDecimalDigits))}, nil
	case scale < 0:
		if -scale > MaxDecimalDigits {
			return Decimal{}, ErrDecimalOverflow
		}
		x, ok := m.mul(pow10[-scale])
		if !ok {
			return Decimal{}, ErrDecimalOverflow
		}
		return fromMagnitude(x, neg, 0)
	case scale > MaxDecimalDigits:
		drop := scale - MaxDecimalDigits
		if drop > MaxDecimalDigits {
			return Decimal{Scale: MaxDecimalDigits}, nil
		}
		q, r := m.quo(pow10[drop])
		if twice, ok := r.add(r); !ok || twice.cmp(pow10[drop]) >= 0 {
			q, _ = q.add(uint128{0, 1})
		}
		return fromMagnitude(q, neg, MaxDecimalDigits)
	}
	return fromMagnitude(m, neg, scale)
}

// Append writes d in plain digits, with as many decimals as its scale says.
func (d Decimal) Append(dst []byte) []byte {
	switch {
	case d.IsFinite():
	case d.IsNaN():
		return append(dst, "NaN"...)
	case d.Hi < 0:
		return append(dst, "-Infinity"...)
	default:
		return append(dst, "Infinity"...)
	}
	m, neg := d.magnitude()
	if neg {
		dst = append(dst, '-')
	}
	var buf [48]byte
	at := len(buf)
	for m.hi != 0 {
		q, r := m.quo(uint128{0, 1e19})
		for range 19 {
			at--
			buf[at] = byte('0' + r.lo%10)
			r.lo /= 10
		}
		m = q
	}
	for m.lo != 0 {
		at--
		buf[at] = byte('0' + m.lo%10)
		m.lo /= 10
	}
	for len(buf)-at <= int(d.Scale) {
		at--
		buf[at] = '0'
	}
	point := len(buf) - int(d.Scale)
	dst = append(dst, buf[at:point]...)
	if d.Scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, buf[point:]...)
	}
	return dst
}

// String is d in plain digits.
func (d Decimal) String() string { return string(d.Append(nil)) }

// Digits is how many digits stand before the point; 0 for values below 1.
func (d Decimal) Digits() int {
	m, _ := d.magnitude()
	return max(m.digits()-int(d.Scale), 0)
}
