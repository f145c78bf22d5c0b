package cohort

import (
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

func TestDeltas(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var s, copied State
	for step := range 300 {
		id := 1 + r.Int64N(6)
		before, was := s.Publish(), s.Publish().Members(id)
		switch m := s.Publish().Members(id); {
		case m != nil && r.IntN(4) == 0:
			s.Set(id, nil)
		case m != nil:
			next := m.Clone()
			next.Add(r.Uint32N(1000))
			s.Set(id, next)
		default:
			s.Set(id, roaring.New())
		}
		if before.Members(id) != was {
			t.Fatal("what was read before has changed")
		}
		full := step%50 == 0
		if full {
			copied = State{}
		}
		if step%3 != 0 && !full {
			continue
		}
		if err := copied.Load(s.Delta(nil, full)); err != nil {
			t.Fatal(err)
		}
		for id := range int64(8) {
			got, want := copied.Publish().Members(id), s.Publish().Members(id)
			if (got == nil) != (want == nil) || got != nil && !got.Equals(want) {
				t.Fatalf("step %d: cohort %d is %v, want %v", step, id, got, want)
			}
		}
		if s.Changed() || copied.Changed() || copied.Empty() != s.Empty() {
			t.Fatal("something is left after a delta")
		}
	}
}

func FuzzWalk(f *testing.F) {
	var s State
	s.Set(5, roaring.BitmapOf(1, 2, 3, 70000))
	f.Add(s.Delta(nil, true))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = Walk(raw, func(_ int64, m *roaring.Bitmap) {
			if m != nil {
				m.GetCardinality()
			}
		})
	})
}
