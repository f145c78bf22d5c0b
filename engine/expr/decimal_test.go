package expr

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// decimals is n random numerics of one scale, as they are and scaled, and the numbers themselves.
func decimals(rng *rand.Rand, n int) (plain, scaled *vec.Vector, values []*big.Int) {
	scale := uint8(rng.IntN(5) * rng.IntN(5))
	plain = &vec.Vector{Type: tNum}
	scaled = &vec.Vector{Type: tNum, Scale: scale}
	size := rng.IntN(63)
	for range n {
		x := (rng.Int64() - rng.Int64()) >> size
		if rng.IntN(50) == 0 {
			x = []int64{math.MaxInt64, math.MinInt64, 0, 1, -1}[rng.IntN(5)]
		}
		scaled.I64 = append(scaled.I64, x)
		values = append(values, big.NewInt(x))
	}
	plain.Dec = scaled.Decimals()
	return plain, scaled, values
}

// aligned gives a number more digits behind the point.
func aligned(x *big.Int, by int) *big.Int {
	return new(big.Int).Mul(x, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(by)), nil))
}

// Arithmetic and comparisons of numerics that are scaled give what large integers give, to the
// scale, whatever the other side is, and where a result has more than 64 bits too.
func TestScaledArithmetic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	ctx := &Context{}
	fast := 0
	for range rounds {
		n := 1 + rng.IntN(9)
		plain, a, x := decimals(rng, n)
		other, b, y := decimals(rng, n)
		if rng.IntN(3) == 0 { // a constant on one side
			b = &vec.Vector{Type: tNum, Form: vec.Const, I64: b.I64[:1], Scale: b.Scale}
			other = &vec.Vector{Type: tNum, Form: vec.Const, Dec: other.Dec[:1]}
			for i := range y {
				y[i] = y[0]
			}
		}
		sa, sb := int(a.Scale), int(b.Scale)
		if rng.IntN(4) == 0 {
			a.Nulls = vec.NewBitmap(n)
			a.Nulls.Set(rng.IntN(n))
			plain.Nulls = a.Nulls
		}
		swapped := rng.IntN(2) == 0
		if swapped {
			plain, other, a, b, x, y, sa, sb = other, plain, b, a, y, x, sb, sa
		}
		var sel []uint32
		if rng.IntN(3) == 0 {
			sel = []uint32{uint32(rng.IntN(n))}
		}
		batch := &vec.Batch{Rows: n, Sel: sel}
		for _, name := range []string{"+", "-", "*", "=", "<>", "<", "<=", ">", ">="} {
			o, err := Resolve(name, []vec.Type{tNum, tNum})
			if err != nil {
				t.Fatal(err)
			}
			var results []string
			for _, args := range [][]*vec.Vector{{plain, other}, {a, b}, {plain, b}, {a, other}} {
				got, err := apply(ctx, o.Fn, args, o.Result, batch, nil)
				results = append(results, fmt.Sprint(textsOf(got, batch), err))
				if err == nil && got.Form == vec.Flat && got.Scaled() {
					fast++
				}
			}
			for i, r := range results {
				if r != results[0] {
					t.Fatalf("%s: form %d gives %s\nwant %s", name, i, r, results[0])
				}
			}
			got, err := apply(ctx, o.Fn, []*vec.Vector{a, b}, o.Result, batch, nil)
			if err != nil || got.Form == vec.Const {
				continue // more than 38 digits, as the plain form says too; or all null
			}
			eachLive(batch, func(row uint32) {
				i := int(row)
				if got.IsNull(i) {
					return
				}
				scale := max(sa, sb)
				p, q := aligned(x[i], scale-sa), aligned(y[i], scale-sb)
				want := new(big.Int)
				switch name {
				case "+":
					want.Add(p, q)
				case "-":
					want.Sub(p, q)
				case "*":
					if want.Mul(x[i], y[i]); sa+sb > vec.MaxDecimalDigits {
						return
					}
					scale = sa + sb
				default:
					c := p.Cmp(q)
					if got.Bools[i] != holds(c, comparisons[name]) {
						t.Fatalf("%v·10^-%d %s %v·10^-%d is %v", x[i], sa, name, y[i], sb, got.Bools[i])
					}
					return
				}
				if d := got.Decimal(i); d.Big().Cmp(want) != 0 || int(d.Scale) != scale {
					t.Fatalf("%v·10^-%d %s %v·10^-%d = %v of scale %d, want %v of scale %d", x[i], sa, name, y[i], sb, d.Big(), d.Scale, want, scale)
				}
			})
		}
	}
	if fast < rounds {
		t.Errorf("%d results are scaled", fast)
	}
}

// textsOf is the values of the rows that count.
func textsOf(v *vec.Vector, b *vec.Batch) (out []string) {
	if v == nil {
		return nil
	}
	eachLive(b, func(i uint32) {
		if v.IsNull(int(i)) {
			out = append(out, "null")
			return
		}
		out = append(out, string(AppendText(nil, v, int(i), nil)))
	})
	return out
}

// Texts that fit varchar(n) by their bytes are taken as they are, and all others looked at.
func TestAssignTexts(t *testing.T) {
	to := vec.Type{Kind: vec.Varchar, Mod: 3 + 4}
	e, err := NewAssignment(&Column{T: tText}, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in, out []string
		err     string
	}{
		{[]string{"", "abc", "é"}, []string{"", "abc", "é"}, ""},
		{[]string{"ééé", "ab    "}, []string{"ééé", "ab "}, ""},
		{[]string{"abc", "abcd"}, nil, "value too long for type character varying(3)"},
		{nil, nil, ""},
	} {
		v := &vec.Vector{Type: tText, Str: vec.StringsOf(c.in...)}
		b := &vec.Batch{Rows: len(c.in), Cols: []*vec.Vector{v}}
		got, err := e.Eval(&Context{}, b)
		if err != nil || c.err != "" {
			if pgerr.From(err).Message != c.err {
				t.Errorf("%q: %v, want %q", c.in, err, c.err)
			}
			continue
		}
		if texts := textsOf(got, b); got.Type != to || fmt.Sprint(texts) != fmt.Sprint(c.out) {
			t.Errorf("%q becomes %q of type %v", c.in, texts, got.Type)
		}
	}
}
