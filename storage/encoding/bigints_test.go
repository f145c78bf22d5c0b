package encoding

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

// randomBigints is a set that holds runs, dense parts and single members, of a few upper halves.
func randomBigints(r *rand.Rand) *roaring64.Bitmap {
	set := roaring64.New()
	for range r.IntN(4) {
		start := uint64(r.IntN(3))<<62 + uint64(r.IntN(200_000))
		set.AddRange(start, start+uint64(r.IntN(100_000)))
	}
	for range r.IntN(3000) {
		set.Add(uint64(r.IntN(3))<<62 + uint64(r.IntN(100_000)))
	}
	return set
}

// Equal sets have equal bytes, whatever was done to make them.
func TestBigintsHaveOneForm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		a, b := randomBigints(r), randomBigints(r)
		one := roaring64.Or(a, b)
		two := roaring64.Xor(a, b)
		two.Or(roaring64.And(a, b))
		three := roaring64.New()
		members := one.ToArray()
		for _, i := range r.Perm(len(members)) {
			three.Add(members[i])
		}
		want := AppendBigints([]byte("before"), one)
		for i, set := range []*roaring64.Bitmap{two, three} {
			if got := AppendBigints([]byte("before"), set); !bytes.Equal(got, want) {
				t.Fatalf("way %d: %d bytes that differ from the %d of the first, for %d members", i, len(got), len(want), len(members))
			}
		}
		back, err := Bigints(want[len("before"):])
		if err != nil || !back.Equals(one) {
			t.Fatalf("Bigints: %v, want what was written", err)
		}
		if _, err := Bigints(append(want[len("before"):], 0)); err == nil {
			t.Fatal("a byte behind the set is no error")
		}
	}
}

func FuzzBigints(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3 {
		f.Add(AppendBigints(nil, randomBigints(r)))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := Bigints(raw)
		if err != nil {
			return
		}
		again, err := Bigints(AppendBigints(nil, set))
		if err != nil || !again.Equals(set) {
			t.Fatalf("what was read does not read back: %v", err)
		}
	})
}
