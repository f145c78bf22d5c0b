package expr

import (
	"math"
	"math/big"

	"github.com/prickledb/prickle/storage/vec"
)

// exp, ln, log and power of numeric are computed in more digits than are shown: at least 16 that
// are significant, as PostgreSQL has them.

const (
	exactBits = 256 // of the numbers in between: 77 digits, for at most 38 that are shown
	minDigits = 16  // significant ones of a result
)

func exact(d vec.Decimal) *big.Float {
	x, _, err := big.ParseFloat(string(d.Append(nil)), 10, exactBits, big.ToNearestEven)
	if err != nil {
		return new(big.Float).SetPrec(exactBits) // NaN, which the callers have dealt with
	}
	return x
}

func exactInt(n int64) *big.Float { return new(big.Float).SetPrec(exactBits).SetInt64(n) }

// shownExact is a result with so many decimals, but at least those of the arguments, and no more
// digits than a numeric has.
func shownExact(x *big.Float, decimals int, args ...vec.Decimal) (vec.Decimal, error) {
	decimals = max(decimals, 0)
	for _, a := range args {
		decimals = max(decimals, int(a.Scale))
	}
	whole := 1
	if f, _ := x.Float64(); math.Abs(f) >= 1 {
		whole = int(math.Log10(math.Abs(f))) + 1
	}
	decimals = min(decimals, max(maxDigits-whole, 0))
	d, err := vec.ParseDecimal(x.Append(nil, 'f', decimals))
	return d, decimalError(err)
}

// maxDigits is how many digits a numeric has.
const maxDigits = 38

// expOf is e^x for |x| up to a few hundred.
func expOf(x *big.Float) *big.Float {
	halvings := max(x.MantExp(nil)+8, 0) // until it is less than 1/256
	r := new(big.Float).SetPrec(exactBits).SetMantExp(x, -halvings)
	sum, term := exactInt(1), exactInt(1)
	for n := int64(1); n < 64 && term.Sign() != 0 && term.MantExp(nil) > -exactBits; n++ {
		term.Mul(term, r)
		term.Quo(term, exactInt(n))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// lnOf is the logarithm of x, which is greater than 0.
func lnOf(x *big.Float) *big.Float {
	mantissa := new(big.Float)
	power := x.MantExp(mantissa)
	f, _ := mantissa.Float64()
	guess := math.Log(f) + float64(power)*math.Ln2
	y := new(big.Float).SetPrec(exactBits).SetFloat64(guess)
	for range 4 { // each triples the digits that are right
		e := expOf(y)
		step := new(big.Float).SetPrec(exactBits).Sub(x, e)
		step.Quo(step.Mul(step, exactInt(2)), e.Add(e, x))
		y.Add(y, step)
	}
	return y
}

// digitsOf is the power of ten of a number as PostgreSQL estimates it, towards zero.
func digitsOf(x float64) int {
	if x == 0 {
		return 0
	}
	return int(math.Log10(math.Abs(x)))
}

// lnDigits is the power of ten of a logarithm. Near 1 it is that of the difference from 1.
func lnDigits(d vec.Decimal) int {
	x := d.Float64()
	if x >= 0.9 && x <= 1.1 {
		diff, err := d.Sub(vec.DecimalFromInt(1))
		if err != nil || diff.Sign() == 0 {
			return 0
		}
		return int(math.Floor(math.Log10(math.Abs(diff.Float64()))))
	}
	return digitsOf(math.Log(x))
}

func expDecimal(d vec.Decimal) (vec.Decimal, error) {
	power := d.Float64() * math.Log10E
	switch {
	case power > maxDigits+1:
		return d, outOfRange(tNum)
	case power < -2*maxDigits:
		return shownExact(exactInt(0), maxDigits, d)
	}
	return shownExact(expOf(exact(d)), minDigits-int(power), d)
}

func lnDecimal(d vec.Decimal) (vec.Decimal, error) {
	return shownExact(lnOf(exact(d)), minDigits-lnDigits(d), d)
}

// logDecimal is the logarithm of x to a base.
func logDecimal(base, x vec.Decimal) (vec.Decimal, error) {
	under := lnOf(exact(base))
	if under.Sign() == 0 || base.Cmp(vec.DecimalFromInt(1)) == 0 {
		return x, errDivision
	}
	q := new(big.Float).SetPrec(exactBits).Quo(lnOf(exact(x)), under)
	return shownExact(q, minDigits-lnDigits(x)+lnDigits(base), base, x)
}

// powerDecimal is a^b for a that is not 0 and, unless b is an integer, greater than 0.
func powerDecimal(a, b vec.Decimal) (vec.Decimal, error) {
	power := b.Float64() * math.Log10(math.Abs(a.Float64()))
	switch {
	case power > maxDigits+1:
		return a, outOfRange(tNum)
	case power < -2*maxDigits:
		return shownExact(exactInt(0), minDigits, a, b)
	}
	n, ok := b.Int64()
	if ok = ok && b.Trim().Scale == 0; !ok {
		base := exact(a)
		ln := lnOf(new(big.Float).Abs(base))
		out := expOf(ln.Mul(ln, exact(b)))
		if whole, _ := exact(b).Int(nil); base.Sign() < 0 && whole.Bit(0) == 1 {
			out.Neg(out)
		}
		return shownExact(out, minDigits-int(power), a, b)
	}
	out, square := exactInt(1), exact(a)
	for k := uint64(max(n, -n)); k > 0; k >>= 1 {
		if k&1 == 1 {
			out.Mul(out, square)
		}
		square.Mul(square, square)
	}
	if n < 0 {
		out.Quo(exactInt(1), out)
	}
	return shownExact(out, minDigits, a)
}
