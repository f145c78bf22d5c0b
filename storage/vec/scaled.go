package vec

// Scaled says whether the values of a flat or constant numeric vector are in I64, all with the
// scale Scale, and not in Dec: those of a column numeric(p,s) with p up to 18 are, unless one is
// NaN, and so are results computed of such. It takes a third of the memory, and sums and
// products are those of integers. What lies under a null is any number. A vector of another type
// is not scaled.
func (v *Vector) Scaled() bool { return len(v.I64) > 0 && v.Type.Payload() == PayloadDec }

// Decimal is the value at a position of a flat or constant numeric vector.
func (v *Vector) Decimal(i int) Decimal {
	if len(v.I64) > 0 {
		return scaled(v.I64[i], v.Scale)
	}
	return v.Dec[i]
}

func scaled(x int64, scale uint8) Decimal { return Decimal{Hi: x >> 63, Lo: uint64(x), Scale: scale} }

// Decimals is the values of a flat or constant numeric vector: its own if it is not scaled.
func (v *Vector) Decimals() []Decimal {
	if len(v.I64) == 0 {
		return v.Dec
	}
	out := make([]Decimal, len(v.I64))
	for i, x := range v.I64 {
		out[i] = scaled(x, v.Scale)
	}
	return out
}

// AppendScaled adds values of one scale to a flat numeric vector, which is scaled from then on if
// it has no others.
func (v *Vector) AppendScaled(scale uint8, values ...int64) {
	if v.joins(scale) {
		v.I64, v.Scale = append(v.I64, values...), scale
		return
	}
	v.widen()
	for _, x := range values {
		v.Dec = append(v.Dec, scaled(x, scale))
	}
}

// joins says whether values of a scale can be added to a vector that stays scaled.
func (v *Vector) joins(scale uint8) bool {
	return len(v.Dec) == 0 && (len(v.I64) == 0 || v.Scale == scale)
}

// widen puts the values into Dec.
func (v *Vector) widen() {
	if len(v.I64) > 0 {
		v.Dec, v.I64, v.Scale = v.Decimals(), nil, 0
	}
}

// Narrow gives the coefficients of decimals, and their scale, if all those that are not null have
// one scale and 64 bits.
func Narrow(values []Decimal, nulls Bitmap) (coefs []int64, scale uint8, ok bool) {
	first := 0
	for first < len(values) && nulls.Get(first) {
		first++
	}
	if first == len(values) || !values[first].IsFinite() {
		return nil, 0, false
	}
	scale = values[first].Scale
	coefs = make([]int64, len(values))
	for i, d := range values {
		if d.Scale == scale && d.short() {
			coefs[i] = int64(d.Lo)
		} else if !nulls.Get(i) {
			return nil, 0, false
		}
	}
	return coefs, scale, true
}

// Short is the coefficient of a decimal, if it has 64 bits.
func (d Decimal) Short() (coef int64, ok bool) { return int64(d.Lo), d.short() && d.IsFinite() }

// Rescaled is a coefficient with more digits behind the point; ok is false if it has 64 bits no
// more.
func Rescaled(coef int64, by int) (out int64, ok bool) {
	if by < 0 || by > 18 {
		return 0, false
	}
	hi, lo := mulInt64(coef, int64(pow10[by].lo))
	return int64(lo), hi == int64(lo)>>63
}

// MulScaled multiplies coefficients; ok is false if a product does not have 64 bits.
func MulScaled(dst, a, b []int64) (ok bool) {
	bad := int64(0)
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		hi, lo := mulInt64(a[i], b[i])
		bad |= hi ^ int64(lo)>>63
		dst[i] = int64(lo)
	}
	return bad == 0
}
