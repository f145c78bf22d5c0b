package person

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/event"
)

// SeenIn says of each Table that was given out what that one lists, whatever the state has become.
func TestSeenIn(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	s := NewState(1, nil)
	id := func() string { return fmt.Sprint("id ", r.IntN(40)) }
	type given struct {
		table *Table
		ids   map[string]uint32
	}
	var all []given
	splits := 0
	for step := range 400 {
		switch r.IntN(6) {
		case 0:
			if o, ok := s.Seen(id()); ok {
				s.Erase([]uint32{s.Root(o)})
			}
		case 1:
			x := id()
			if o, ok := s.Seen(x); ok && s.Split(s.Root(o), []string{x}, false, 1) == nil {
				splits++
			}
		case 2:
			s.Merge(event.OpMergeDangerously, id(), id(), 1)
		default:
			s.Ordinal([]byte(id()))
		}
		if step%7 == 0 {
			_, table := s.Publish()
			g := given{table, map[string]uint32{}}
			for x, o := range table.DistinctIDs() {
				g.ids[x] = o
			}
			all = append(all, g)
		}
		g := all[r.IntN(len(all))]
		x := id()
		got, ok := s.SeenIn(g.table, x)
		if want, there := g.ids[x]; ok != there || got != want {
			t.Fatalf("seed %d, step %d: %q is %d (%v) there, want %d (%v)", seed, step, x, got, ok, want, there)
		}
	}
	if splits == 0 {
		t.Errorf("seed %d: nobody was split off", seed)
	}
}
