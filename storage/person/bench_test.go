package person

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// BenchmarkPersons gives a million persons their ordinals, looks them up in batches, and says
// what a person takes and how long a collection of garbage lasts while they are kept.
func BenchmarkPersons(b *testing.B) {
	const persons = 1_000_000
	texts := make([]string, persons)
	for i := range texts {
		u := UUIDOf(1, fmt.Sprint(i))
		texts[i] = fmt.Sprintf("%x-%x", u[:6], u[6:])
	}
	ids := vec.StringsOf(texts...)
	heap := func() (bytes uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		s := NewState(1, nil)
		start := time.Now()
		for i := range persons {
			s.Ordinal(ids.At(i))
		}
		given := time.Since(start)
		kept := heap() - before
		start = time.Now()
		runtime.GC()
		collected := time.Since(start)
		start = time.Now()
		dst := make([]uint32, persons)
		s.Known(dst, &ids)
		b.ReportMetric(float64(given.Nanoseconds())/persons, "ns/new")
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/persons, "ns/found")
		b.ReportMetric(float64(kept)/persons, "B/person")
		b.ReportMetric(float64(collected.Microseconds()), "µs/GC")
		if dst[persons-1] != persons {
			b.Fatal("not all are found")
		}
	}
}
