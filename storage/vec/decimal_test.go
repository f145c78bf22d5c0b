package vec

import (
	"cmp"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func randomDecimal(r *rand.Rand) Decimal {
	m, _ := uint128{r.Uint64(), r.Uint64()}.quo(pow10[r.IntN(38)+1])
	d, err := fromMagnitude(m, r.IntN(2) == 0 && !m.isZero(), r.IntN(20))
	if err != nil {
		return Decimal{}
	}
	return d
}

func rat(d Decimal) *big.Rat {
	return new(big.Rat).SetFrac(d.Big(), bigPow10(int(d.Scale)))
}

// TestDecimalModel checks arithmetic against math/big.
func TestDecimalModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a, b := randomDecimal(r), randomDecimal(r)
		check := func(op string, got Decimal, err error, want *big.Rat) {
			t.Helper()
			if err != nil {
				if !errors.Is(err, ErrDecimalOverflow) {
					t.Fatalf("%s %s %s: %v", a, op, b, err)
				}
				return
			}
			if rat(got).Cmp(want) != 0 {
				t.Fatalf("%s %s %s = %s, want %s", a, op, b, got, want.RatString())
			}
		}
		s, err := a.Add(b)
		check("+", s, err, new(big.Rat).Add(rat(a), rat(b)))
		s, err = a.Sub(b)
		check("-", s, err, new(big.Rat).Sub(rat(a), rat(b)))
		s, err = a.Mul(b)
		check("*", s, err, new(big.Rat).Mul(rat(a), rat(b)))
		if got, want := a.Cmp(b), rat(a).Cmp(rat(b)); got != want {
			t.Fatalf("Cmp(%s, %s) = %d, want %d", a, b, got, want)
		}
		back, err := ParseDecimal(a.Append(nil))
		if err != nil || back != a {
			t.Fatalf("ParseDecimal(%s) = %s, %v", a, back, err)
		}
		if !b.IsZero() {
			q, err := a.Quo(b)
			if err != nil {
				if !errors.Is(err, ErrDecimalOverflow) {
					t.Fatalf("%s / %s: %v", a, b, err)
				}
			} else {
				diff := new(big.Rat).Sub(rat(q), new(big.Rat).Quo(rat(a), rat(b)))
				half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), bigPow10(int(q.Scale))))
				if diff.Abs(diff).Cmp(half) > 0 {
					t.Fatalf("%s / %s = %s, too far away", a, b, q)
				}
			}
			qi, err1 := a.QuoInt(b)
			m, err2 := a.Rem(b)
			if err1 == nil && err2 == nil {
				back := new(big.Rat).Add(new(big.Rat).Mul(rat(qi), rat(b)), rat(m))
				if back.Cmp(rat(a)) != 0 || m.Abs().Cmp(b.Abs()) >= 0 {
					t.Fatalf("%s = %s × %s + %s does not hold", a, qi, b, m)
				}
			}
		}
	}
}

func TestDecimalScale(t *testing.T) {
	for _, c := range []struct{ a, op, b, want string }{
		{"1", "/", "3", "0.33333333333333333333"},
		{"10", "/", "3", "3.3333333333333333"},
		{"100.00", "/", "7", "14.2857142857142857"},
		{"1", "/", "8", "0.12500000000000000000"},
		{"2", "/", "1", "2.0000000000000000"},
		{"22", "/", "7", "3.1428571428571429"},
		{"1.5", "*", "1.50", "2.250"},
		{"1.5", "+", "1.25", "2.75"},
		{"-7.5", "%", "2", "-1.5"},
		{"0", "/", "5", "0.00000000000000000000"},
		{"10000", "/", "0.3", "33333.333333333333"},
	} {
		a, _ := ParseDecimal([]byte(c.a))
		b, _ := ParseDecimal([]byte(c.b))
		var got Decimal
		var err error
		switch c.op {
		case "/":
			got, err = a.Quo(b)
		case "*":
			got, err = a.Mul(b)
		case "+":
			got, err = a.Add(b)
		case "%":
			got, err = a.Rem(b)
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%s %s %s = %s, %v, want %s", c.a, c.op, c.b, got, err, c.want)
		}
	}
	for _, c := range []struct {
		in    string
		scale int
		want  string
	}{{"2.5", 0, "3"}, {"-2.5", 0, "-3"}, {"1234.567", 2, "1234.57"}, {"1250", -2, "1300"}, {"0.004", 2, "0.00"}, {"1", 3, "1.000"}} {
		d, _ := ParseDecimal([]byte(c.in))
		if got, err := d.Round(c.scale); err != nil || got.String() != c.want {
			t.Errorf("Round(%s, %d) = %s, %v, want %s", c.in, c.scale, got, err, c.want)
		}
	}
	for in, want := range map[string]string{"1e3": "1000", "1.5e-3": "0.0015", ".5": "0.5", "5.": "5", "+7": "7", "NaN": "NaN", "iNf": "Infinity", "+infinity": "Infinity", "-INF": "-Infinity",
		"99999999999999999999999999999999999999": "99999999999999999999999999999999999999"} {
		if d, err := ParseDecimal([]byte(in)); err != nil || d.String() != want {
			t.Errorf("ParseDecimal(%s) = %s, %v, want %s", in, d, err, want)
		}
	}
	for _, in := range []string{"", ".", "e5", "1e", "1x", "--1", "+nan", "-", "infin", "infinityx", "--inf", "1inf", "1e999", "999999999999999999999999999999999999999"} {
		if d, err := ParseDecimal([]byte(in)); err == nil {
			t.Errorf("ParseDecimal(%q) = %s, want an error", in, d)
		}
	}
}

// What is not finite is around the numbers in order, and each has a key and a hash of its own.
func TestDecimalsInOrder(t *testing.T) {
	v := &Vector{Type: T(Numeric)}
	for _, text := range []string{"-inf", "-99999999999999999999999999999999999999", "-1", "0", "0.1", "1e37", "inf", "nan"} {
		d, err := ParseDecimal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v.Dec = append(v.Dec, d)
	}
	keys, sums := map[string]bool{}, make([]uint64, len(v.Dec))
	HashRows(sums, []*Vector{v}, []uint32{0, 1, 2, 3, 4, 5, 6, 7})
	hashes := map[uint64]bool{}
	for i, a := range v.Dec {
		keys[string(AppendKey(nil, v, i))], hashes[sums[i]] = true, true
		for j, b := range v.Dec {
			if got, want := Compare(v, i, v, j), cmp.Compare(i, j); got != want || b.Cmp(a) != -want {
				t.Errorf("%s is compared with %s as %d, want %d", a, b, got, want)
			}
		}
	}
	if len(keys) != len(v.Dec) || len(hashes) != len(v.Dec) {
		t.Errorf("%d keys and %d hashes of %d values", len(keys), len(hashes), len(v.Dec))
	}
}

func FuzzParseDecimal(f *testing.F) {
	f.Add([]byte("-Infinity"))
	f.Add([]byte("1.5e3"))
	f.Add([]byte("-0.000000000000000000000000000000000000000000001"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := ParseDecimal(in)
		if err != nil {
			return
		}
		if back, err := ParseDecimal(d.Append(nil)); err != nil || back != d {
			t.Fatalf("%q gives %s, which reads as %s, %v", in, d, back, err)
		}
	})
}

// TestQuoWhole divides whole numbers, as averages do, and holds the quotients against those of large integers.
func TestQuoWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	number := func() int64 {
		x := random.Int64() >> random.IntN(64)
		switch random.IntN(12) {
		case 0:
			return math.MinInt64
		case 1:
			return math.MaxInt64
		}
		return x * (1 - 2*random.Int64N(2))
	}
	short := 0
	for range 100_000 {
		x, y := number(), number()
		if y == 0 {
			continue
		}
		a, b := DecimalFromInt(x), DecimalFromInt(y)
		got, err := a.Quo(b)
		if err != nil {
			t.Fatalf("%d / %d: %v", x, y, err)
		}
		if _, ok := quoWhole(a, b); ok {
			short++
		}
		scale := quoScale(a, b)
		n := new(big.Int).Mul(new(big.Int).Abs(big.NewInt(x)), bigPow10(scale))
		m := new(big.Int).Abs(big.NewInt(y))
		q, r := n.QuoRem(n, m, new(big.Int))
		if r.Lsh(r, 1).Cmp(m) >= 0 {
			q.Add(q, big.NewInt(1))
		}
		if (x < 0) != (y < 0) {
			q.Neg(q)
		}
		want, err := DecimalFromBig(q, scale)
		if err != nil || got != want {
			t.Fatalf("%d / %d = %s, want %s (%v)", x, y, got.Append(nil), want.Append(nil), err)
		}
	}
	if short < 10_000 {
		t.Errorf("%d quotients were computed in 64 bits", short)
	}
}
