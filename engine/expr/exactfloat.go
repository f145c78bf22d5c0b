package expr

import "math"

// A wide is a number as the sum of two floats that do not overlap: about 106 bits. What is computed of
// it and rounded once at the end is the nearest float, or as good as.
type wide struct{ hi, lo float64 }

// normal is the wide of a large float and a small one.
func normal(hi, lo float64) wide {
	s := hi + lo
	return wide{s, lo - (s - hi)}
}

func (a wide) add(b wide) wide {
	s := a.hi + b.hi
	t := s - a.hi
	return normal(s, (a.hi-(s-t))+(b.hi-t)+a.lo+b.lo)
}

func (a wide) mul(b wide) wide {
	p := a.hi * b.hi
	return normal(p, math.FMA(a.hi, b.hi, -p)+(a.hi*b.lo+a.lo*b.hi))
}

func (a wide) over(n float64) wide {
	q := a.hi / n
	return normal(q, (math.FMA(-q, n, a.hi)+a.lo)/n)
}

// wideLn2 is the natural logarithm of 2.
var wideLn2 = wide{math.Ln2, 2.3190468138462996e-17}

// exp is e^a as v × 2^exponent.
func (a wide) exp() (v wide, exponent int) {
	const halvings = 9
	k := math.Round(a.hi / math.Ln2)
	r := a.add(wideLn2.mul(wide{hi: -k}))
	r = wide{math.Ldexp(r.hi, -halvings), math.Ldexp(r.lo, -halvings)}
	// e^r - 1 by its series, and then of twice as much, until it is that of the whole.
	one, sum := wide{hi: 1}, wide{hi: 1}
	for n := 9.0; n > 1; n-- {
		sum = one.add(r.mul(sum).over(n))
	}
	sum = sum.mul(r)
	for range halvings {
		sum = sum.mul(sum.add(wide{hi: 2}))
	}
	return sum.add(one), int(k)
}

// wideLn is the natural logarithm of a positive number.
func wideLn(x float64) wide {
	m, e := math.Frexp(x)
	y := math.Log(m)
	v, k := wide{hi: -y}.exp()
	v = v.mul(wide{hi: m})
	// What the first guess lacks is small.
	v = wide{math.Ldexp(v.hi, k), math.Ldexp(v.lo, k)}.add(wide{hi: -1})
	return wide{hi: y}.add(v).add(wideLn2.mul(wide{hi: float64(e)}))
}

// powFloat is a^b, rounded once.
func powFloat(a, b float64) float64 {
	if math.IsInf(a, 0) || math.IsInf(b, 0) || a != a || b != b || a == 0 || b == 0 {
		return math.Pow(a, b)
	}
	p := wideLn(math.Abs(a)).mul(wide{hi: b})
	const most = 800 // e to the power of that is infinite
	if math.Abs(p.hi) > most || p.hi != p.hi {
		return math.Pow(a, b)
	}
	v, k := p.exp()
	r := math.Ldexp(v.hi, k)
	if a < 0 && math.Mod(b, 2) != 0 {
		return -r
	}
	return r
}

// log10Float is the decimal logarithm of a number greater than 0, rounded once.
func log10Float(x float64) float64 {
	if math.IsInf(x, 0) || x != x {
		return x
	}
	return wideLn(x).mul(wideLog10e).hi
}

// wideLog10e is 1 / ln 10.
var wideLog10e = wide{math.Log10E, 1.098319650216765e-17}
