package expr

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// TestDaysOf holds the days of many instants at once against those of each.
func TestDaysOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC).UnixMicro() // New York changes its clocks
	done, refused := 0, 0
	for range 500 {
		loc, err := time.LoadLocation([]string{"UTC", "America/New_York", "Asia/Kathmandu"}[rng.IntN(3)])
		if err != nil {
			t.Fatal(err)
		}
		spread := int64(1 + rng.IntN(5*24*3600))
		first := at + (rng.Int64N(20)-10)*microsDay/4
		times, days := make([]int64, rng.IntN(20)), make([]int64, 20)
		for i := range times {
			times[i] = first + rng.Int64N(spread)*microsSecond - rng.Int64N(2)
			switch rng.IntN(200) {
			case 0:
				times[i] = vec.InfinityTime
			case 1:
				times[i] -= 60 * 365 * microsDay // before 1970
			}
		}
		days = days[:len(times)]
		z := zone{loc: loc}
		if !daysOf(days, times, nil, &z) {
			refused++
			continue
		}
		done++
		for i, us := range times {
			z := zone{loc: loc}
			if want := vec.FloorDiv(z.local(us), microsDay); days[i] != want {
				t.Fatalf("%s: day of %d is %d, want %d", loc, us, days[i], want)
			}
		}
	}
	if done < 100 || refused < 50 {
		t.Errorf("%d were computed at once, %d were not", done, refused)
	}
}
