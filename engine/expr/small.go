package expr

import (
	"math"

	"github.com/prickledb/prickle/storage/vec"
)

// IntComparison is a comparison of a column of integers, or times, with one that is not NULL; or of numerics,
// see Scaled.
type IntComparison struct {
	Column  int
	op      comparison
	with    int64
	numeric bool
	decimal vec.Decimal // what numerics are compared with
}

// IntComparisonOf is an expression as a comparison; false if it is none.
func IntComparisonOf(e Expr) (c IntComparison, ok bool) {
	call, ok := e.(*Call)
	if !ok || len(call.Args) != 2 {
		return c, false
	}
	if c.op, ok = comparisons[call.Overload.Fn.Name]; !ok {
		return c, false
	}
	a, b := call.Args[0], call.Args[1]
	if _, ok := a.(*Const); ok {
		a, b, c.op = b, a, turned[c.op]
	}
	column, ok := a.(*Column)
	if !ok {
		return c, false
	}
	with, ok := b.(*Const)
	if !ok || with.Value.IsNull(0) || with.Value.Type.Payload() != column.T.Payload() {
		return c, false
	}
	v, row := with.Value.At(0)
	c.Column = column.Index
	switch column.T.Payload() {
	case vec.PayloadI64:
		c.with = v.I64[row]
	case vec.PayloadDec:
		c.numeric, c.decimal = true, v.Decimal(row)
	default:
		return c, false
	}
	return c, true
}

// Scaled is the comparison of the integers that numerics are when they all have one scale; false if there is none.
func (c IntComparison) Scaled(scale uint8) (IntComparison, bool) {
	if !c.numeric || !c.decimal.IsFinite() {
		return c, false
	}
	whole, err := c.decimal.Trunc(int(scale))
	if err != nil || whole.Scale != scale || whole.Hi != int64(whole.Lo)>>63 {
		return c, false
	}
	c.with = int64(whole.Lo)
	if side := c.decimal.Cmp(whole); side != 0 { // it lies between two of them
		switch c.op {
		case eq, ne:
			return c, false
		case lt, le: // at most the one below
			if c.op = le; side < 0 {
				c.op = lt
			}
		case gt, ge:
			if c.op = gt; side < 0 {
				c.op = ge
			}
		}
	}
	c.numeric, c.decimal = false, vec.Decimal{}
	return c, true
}

// Numeric says whether numerics are compared, which only Scaled makes integers of.
func (c *IntComparison) Numeric() bool { return c.numeric }

// Holds says whether the comparison is true for an integer.
func (c *IntComparison) Holds(x int64) bool {
	switch c.op {
	case eq:
		return x == c.with
	case ne:
		return x != c.with
	case lt:
		return x < c.with
	case le:
		return x <= c.with
	case gt:
		return x > c.with
	}
	return x >= c.with
}

// Bytes writes to mask which integers it holds for, a bit each; they are given as bytes above the least.
func (c *IntComparison) Bytes(mask vec.Bitmap, values []uint8, least int64) {
	maskNarrow(c, mask, values, least, maskBytes)
}

// Words is Bytes of integers that are given as words of 16 bits.
func (c *IntComparison) Words(mask vec.Bitmap, values []uint16, least int64) {
	maskNarrow(c, mask, values, least, maskWords)
}

// maskNarrow leaves to the kernel which values are equal to x, or else at most x.
func maskNarrow[T uint8 | uint16](c *IntComparison, mask vec.Bitmap, values []T, least int64, kernel func(mask vec.Bitmap, values []T, x T, equal bool)) {
	// What is left to do are two comparisons and their contraries.
	op, with, not := c.op, c.with, false
	switch op {
	case ne:
		op, not = eq, true
	case gt:
		op, not = le, true
	case lt, ge: // less than is at most the one before
		op, not = le, op == ge
		if with--; c.with == math.MinInt64 {
			fillMask(mask, len(values), not)
			return
		}
	}
	switch {
	case with < least:
		fillMask(mask, len(values), not)
		return
	case uint64(with)-uint64(least) > uint64(^T(0)):
		fillMask(mask, len(values), not != (op == le))
		return
	}
	kernel(mask, values, T(with-least), op == eq)
	if not {
		for i := range mask {
			mask[i] = ^mask[i]
		}
	}
	clearTail(mask, len(values))
}

// fillMask makes all of n bits the same.
func fillMask(mask vec.Bitmap, n int, set bool) {
	word := uint64(0)
	if set {
		word = ^word
	}
	for i := range mask {
		mask[i] = word
	}
	clearTail(mask, n)
}

// clearTail clears the bits behind n of a mask that has no word more than they need.
func clearTail(mask vec.Bitmap, n int) {
	if n%64 != 0 {
		mask[n/64] &= 1<<(n%64) - 1
	}
}

// maskPortable says which values are equal to x, or else at most x.
func maskPortable[T uint8 | uint16](mask vec.Bitmap, values []T, x T, equal bool) {
	for i := range mask {
		word := uint64(0)
		for bit, v := range values[64*i : min(64*i+64, len(values))] {
			holds := uint64(0)
			if v == x || !equal && v < x {
				holds = 1
			}
			word |= holds << bit
		}
		mask[i] = word
	}
}
