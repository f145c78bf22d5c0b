package vec

import (
	"bytes"
	"testing"
)

// TestJSONNumbers holds the order of numbers and their keys against each other, also of those
// that numeric does not hold and that keep their exponent.
func TestJSONNumbers(t *testing.T) {
	ascending := [][]string{
		{"-1e401", "-10e400"}, {"-1.5e40", "-15000000000000000000000000000000000000000"}, {"-2"}, {"-1.5", "-1.50"},
		{"0", "0.00", "-0.0", "0e9"}, {"0.1", "0.10"}, {"0.12345678901234567890123456789012345678901"},
		{"0.12345678901234567890123456789012345678902"}, {"1", "1.0"}, {"9.5"}, {"10", "1e1", "1E+1"},
		{"1e39", "1000000000000000000000000000000000000000"}, {"1.50e40", "1.5e40"}, {"1e400", "10e399"}, {"1.50e400"}, {"1.50e4000"},
		{"1e99999999999"},
	}
	for i, as := range ascending {
		for j, bs := range ascending {
			for _, a := range as {
				for _, b := range bs {
					got := compareJSON([]byte(a), []byte(b))
					if want := min(max(i-j, -1), 1); got != want {
						t.Errorf("compare %s with %s: %d, want %d", a, b, got, want)
					}
					if same := bytes.Equal(appendJSONKey(nil, []byte(a)), appendJSONKey(nil, []byte(b))); same != (i == j) {
						t.Errorf("keys of %s and %s: the same is %v", a, b, same)
					}
				}
			}
		}
	}
}
