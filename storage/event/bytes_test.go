package event

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"
)

// TestBytes compares both forms of what looks at many bytes together with plain loops.
func TestBytes(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 3))
	pieces := []string{"a", "plain text", "é", "\xff", "\xc3", "\n", `"`, `\`, "\x00", "\x1f", " ", "\x7f"}
	for range 5000 {
		var src []byte
		for range rng.IntN(30) {
			n := len(pieces)
			if rng.IntN(3) > 0 {
				n = 1
			}
			src = append(src, bytes.Repeat([]byte(pieces[rng.IntN(n)]), 1+rng.IntN(12))...)
		}
		p := rng.IntN(len(src) + 1)
		end := p
		for end < len(src) && src[end] != '"' && src[end] != '\\' && src[end] >= ' ' {
			end++
		}
		for name, plainEnd := range map[string]func([]byte, int) int{"built in": plainEnd, "portable": plainEndPortable} {
			if got := plainEnd(src, p); got != end {
				t.Fatalf("seed %d: %s: plainEnd(%q, %d) = %d, want %d", seed, name, src, p, got, end)
			}
		}
		first, _, _ := bytes.Cut(src, []byte("\n"))
		for name, line := range map[string]func([]byte) (int, bool){"built in": line, "portable": linePortable} {
			if size, valid := line(src); size != len(first) || valid != utf8.Valid(first) {
				t.Fatalf("seed %d: %s: line(%q) = %d, %v, want %d, %v", seed, name, src, size, valid, len(first), utf8.Valid(first))
			}
		}
		other := append(slices.Clone(src), src...)[:rng.IntN(2*len(src)+1)]
		same := min(len(src), len(other))
		if same > 0 && rng.IntN(4) > 0 {
			same = rng.IntN(same)
			other[same] ^= 1 << rng.IntN(8)
		}
		for name, commonPrefix := range map[string]func(_, _ []byte) int{"built in": commonPrefix, "portable": commonPrefixPortable} {
			if got := commonPrefix(src, other); got != same {
				t.Fatalf("seed %d: %s: commonPrefix(%q, %q) = %d, want %d", seed, name, src, other, got, same)
			}
		}
	}
}
