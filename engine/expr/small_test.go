package expr

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestSmall compares bytes and words as what they stand for is compared, with the kernel that is built
// in and with the portable one, at every length.
func TestSmall(t *testing.T) {
	testSmall(t, (*IntComparison).Bytes, maskBytes)
	testSmall(t, (*IntComparison).Words, maskWords)
}

func testSmall[T uint8 | uint16](t *testing.T, compare func(*IntComparison, vec.Bitmap, []T, int64), kernel func(vec.Bitmap, []T, T, bool)) {
	most := ^T(0)
	for n := range 200 {
		values := make([]T, n)
		for i := range values {
			values[i] = []T{0, 1, 7, most - 1, most, T(rand.Uint32())}[rand.IntN(6)]
		}
		mask, want := vec.NewBitmap(n), vec.NewBitmap(n)
		for _, least := range []int64{0, -7, math.MinInt64, math.MaxInt64 - int64(most), 1 << 40} {
			a := make([]int64, n)
			for i, v := range values {
				a[i] = least + int64(v)
			}
			for _, with := range []int64{least, least + 7, least + int64(most), least - 1, least + int64(most) + 1, 0, 1, math.MinInt64, math.MaxInt64} {
				for op := eq; op <= ge; op++ {
					truths := make([]bool, n)
					compareConstPortable(truths, a, with, op)
					clear(want)
					c := IntComparison{op: op, with: with}
					for i, ok := range truths {
						if ok {
							want.Set(i)
						}
						if c.Holds(a[i]) != ok {
							t.Fatalf("comparison %d of %d with %d is %v", op, a[i], with, !ok)
						}
					}
					if compare(&c, mask, values, least); !slices.Equal(mask, want) {
						t.Fatalf("comparison %d of %v with %d = %x, want %x", op, a, with, mask, want)
					}
				}
			}
		}
		for _, x := range []T{0, 7, most} {
			for _, equal := range []bool{true, false} {
				kernel(mask, values, x, equal)
				if maskPortable(want, values, x, equal); !slices.Equal(mask, want) {
					t.Fatalf("%v, %d, %v = %x, want %x", values, x, equal, mask, want)
				}
			}
		}
	}
}

func TestIntComparisonOf(t *testing.T) {
	column := &Column{Index: 3, T: tInt4, Name: "n"}
	number := &Const{Value: &vec.Vector{Type: tInt4, Form: vec.Const, I64: []int64{5}}}
	null := &Const{Value: vec.NullConst(tInt4)}
	for _, c := range []struct {
		name string
		a, b Expr
		want IntComparison
		ok   bool
	}{
		{"<", column, number, IntComparison{Column: 3, op: lt, with: 5}, true},
		{"<", number, column, IntComparison{Column: 3, op: gt, with: 5}, true},
		{"<>", number, column, IntComparison{Column: 3, op: ne, with: 5}, true},
		{"=", column, null, IntComparison{}, false},
		{"=", column, column, IntComparison{}, false},
		{"+", column, number, IntComparison{}, false},
	} {
		e, err := NewOperator(c.name, c.a, c.b)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := IntComparisonOf(e); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %+v, %v, want %+v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// TestScaledComparison compares numerics of one scale as integers, with numerics of others.
func TestScaledComparison(t *testing.T) {
	decimal := func(text string) vec.Decimal {
		d, err := vec.ParseDecimal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, with := range []string{"0", "0.05", "-0.05", "0.055", "-0.055", "0.0500", "7", "-7.001", "7.999", "1e20", "-1e20", "NaN", "Infinity"} {
		d := decimal(with)
		for op := eq; op <= ge; op++ {
			c, ok := IntComparison{op: op, numeric: true, decimal: d}.Scaled(2)
			if !ok {
				if near := d.IsFinite() && !strings.Contains(with, "e"); near && op != eq && op != ne {
					t.Errorf("comparison %d with %s is none of integers", op, with)
				}
				continue
			}
			for _, x := range []int64{-801, -701, -700, -699, -6, -5, -4, 0, 4, 5, 6, 699, 700, 701, 799, 800} {
				side := (vec.Decimal{Hi: x >> 63, Lo: uint64(x), Scale: 2}).Cmp(d)
				if want := []bool{side == 0, side != 0, side < 0, side <= 0, side > 0, side >= 0}[op-eq]; c.Holds(x) != want {
					t.Errorf("comparison %d of %d hundredths with %s is %v", op, x, with, !want)
				}
			}
		}
	}
}
