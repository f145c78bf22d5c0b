package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// numbered is a segment with some of few sessions, whose hashes are often the same.
func numbered(r *rand.Rand) Numbered {
	x := &IDs{texts: &vec.Strings{}}
	for _, id := range r.Perm(40)[:r.IntN(20)] {
		x.texts.AppendString(fmt.Sprint(id))
		x.hashes = append(x.hashes, uint64(id%7)<<40)
	}
	x.empty = uint32(len(x.hashes))
	if r.IntN(3) == 0 {
		x.texts.AppendString("")
		x.hashes = append(x.hashes, 0)
	}
	return Numbered{new(segment.Reader), x}
}

// However segments come and go, what is joined is what has the same text, and what was held
// is given back.
func TestJoin(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var list []Numbered
		var was *Joined
		for range 20 {
			for len(list) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(list))
				list = slices.Delete(list, i, i+1)
			}
			for r.IntN(3) > 0 {
				list = slices.Insert(list, r.IntN(len(list)+1), numbered(r))
			}
			held := int64(0)
			j, err := Join(t.Context(), list, was, func(_ context.Context, bytes int64) error {
				held += bytes
				return nil
			})
			if err != nil || held != 0 {
				t.Fatalf("seed %d: %v, %d bytes are held", seed, err, held)
			}
			want := map[string][]string{}
			for i, s := range list {
				for n := range s.IDs.Len() {
					if id := s.IDs.texts.Str(n); id != "" {
						want[id] = append(want[id], fmt.Sprintf("%d.%d", i, n))
					}
				}
			}
			for i, s := range list {
				for n := range s.IDs.Len() {
					var got []string
					if joint, ok := j.Of(i)[uint32(n)]; ok {
						for _, m := range j.Sessions()[joint] {
							got = append(got, fmt.Sprintf("%d.%d", m.Segment, m.Number))
						}
					}
					slices.Sort(got)
					members := slices.Sorted(slices.Values(want[s.IDs.texts.Str(n)]))
					if len(members) < 2 {
						members = nil
					}
					if !slices.Equal(got, members) {
						t.Fatalf("seed %d: session %q of segment %d is joined to %v, want %v", seed, s.IDs.texts.Str(n), i, got, members)
					}
				}
			}
			was = j
		}
	}
}
