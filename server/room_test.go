package server

import (
	"testing"
	"time"
)

// Queries have three quarters of the processors while writes wait, and for a second more.
func TestRoomForWrites(t *testing.T) {
	r := room{processors: 8}
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		after time.Duration
		lag   time.Duration
		want  int
	}{{0, 0, 8}, {100, 49, 8}, {200, 50, 6}, {300, 0, 6}, {1199, 0, 6}, {1200, 0, 8}, {1300, 2000, 6}} {
		if got := r.slots(c.lag*time.Millisecond, at.Add(c.after*time.Millisecond)); got != c.want {
			t.Errorf("step %d: %d slots, want %d", i, got, c.want)
		}
	}
	for processors, want := range map[int]int{1: 1, 2: 1, 3: 2, 4: 3} {
		if got := (&room{processors: processors}).slots(lagging, at); got != want {
			t.Errorf("of %d processors, queries have %d, want %d", processors, got, want)
		}
	}
}
