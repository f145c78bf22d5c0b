package exec

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// The look-up table says of every instant what a search does, in zones that change clocks, too.
func TestTimelineBuckets(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	steps := []vec.IntervalValue{{Days: 1}, {Days: 7}, {Days: 3}, {Months: 1}, {Months: 3}, {Micros: 3_600_000_000}, {Micros: 6 * 3_600_000_000},
		{Micros: 60_000_000}, {Micros: 7_000_000}, {Micros: 1_500_000}}
	tables := 0
	for _, zone := range []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, every := range steps {
			from := time.Date(1971, 6, 1, 0, 0, 0, 0, time.UTC).UnixMicro() + r.Int64N(55*365*day)
			length := day*(int64(every.Days)+31*int64(every.Months)) + every.Micros
			line, err := newTimeline(from, from+r.Int64N(400*length)+1, every, loc, r.IntN(2) == 0)
			if err != nil {
				t.Fatal(err)
			}
			if line.lut != nil {
				tables++
			}
			first, end := line.starts[0], line.starts[len(line.starts)-1]
			check := func(us int64) {
				want := sort.Search(len(line.starts), func(i int) bool { return line.starts[i] > us }) - 1
				if us >= end {
					want = -1
				}
				if got := line.bucket(us); got != want {
					t.Fatalf("seed %d: %s, every %+v: %d is in bucket %d, want %d", seed, zone, every, us, got, want)
				}
			}
			for _, start := range line.starts {
				check(start - 1)
				check(start)
				check(start + 1)
			}
			for range 1000 {
				check(first - day + r.Int64N(end-first+2*day))
			}
		}
	}
	if tables == 0 {
		t.Errorf("no timeline has a look-up table")
	}
}
