package expr

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
)

// TestFoldCase holds folding against the standard library's comparison.
func TestFoldCase(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var letters []rune
	for c := rune(1); c < 0x1F000; c++ {
		if unicode.SimpleFold(c) != c {
			letters = append(letters, c)
			if a, b := string(c), string(unicode.SimpleFold(c)); foldCase(a) != foldCase(b) {
				t.Errorf("foldCase(%q) = %q and foldCase(%q) = %q", a, foldCase(a), b, foldCase(b))
			}
		}
	}
	for range 20000 {
		a := string(letters[r.IntN(len(letters))]) + "x\xff"
		b := string(letters[r.IntN(len(letters))]) + "X\xff"
		if got, want := foldCase(a) == foldCase(b), strings.EqualFold(a, b); got != want {
			t.Errorf("%q and %q fold alike: %v, want %v", a, b, got, want)
		}
	}
}
