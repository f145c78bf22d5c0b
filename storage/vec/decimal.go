package vec

// Decimal is a numeric value: Coef × 10^-Scale, with a coefficient of 128 bits in two's
// complement. The scale is kept as written, so 1.50 stays 1.50. NaN has Scale 255.
type Decimal struct {
	Hi    int64
	Lo    uint64
	Scale uint8
}

// DecimalFromInt is an integer as a decimal.
func DecimalFromInt(i int64) Decimal { return Decimal{Hi: i >> 63, Lo: uint64(i)} }
