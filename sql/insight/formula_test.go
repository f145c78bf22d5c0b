package insight

import (
	"errors"
	"math"
	"testing"
)

// TestFormula evaluates formulas of the series 10, 4 and 0.
func TestFormula(t *testing.T) {
	point := func(l int) float64 { return []float64{10, 4, 0}[l] }
	for _, c := range []struct {
		src  string
		want float64
	}{
		{"A", 10}, {"a + b", 14}, {"A+2*B", 18}, {"(A+2)*B", 48}, {"A/B", 2.5}, {"A/C", 0}, {"A/C+1", 1}, {"A%C", 0}, {"A%B", 2}, {"-A%B", 2},
		{"A%-B", -2}, {"2**3**2", 512}, {"-2**2", -4}, {"A*-B", -40}, {"+A", 10}, {"1.5*A", 15}, {"A - B - 1", 5}, {"A/B/B", 0.625}, {"0**-1", 0},
	} {
		f, err := readFormula(c.src, 3, "formula")
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if got := finite(f.root.eval(point)); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s = %v, want %v", c.src, got, c.want)
		}
	}
	for _, src := range []string{"", "A+", "D", "AB", "A+(B", "A)", "A;B", "sum(A)", "1.2.3", "A B", "é"} {
		var r *Refused
		if _, err := readFormula(src, 3, "formula"); !errors.As(err, &r) {
			t.Errorf("%q is not refused: %v", src, err)
		}
	}
}

func TestNaturalCompare(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"a2", "a10", -1}, {"A", "b", -1}, {"x", "X", 0}, {"10", "9", 1}, {"007", "7", 0}, {"a", "ab", -1}} {
		if got := naturalCompare(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
