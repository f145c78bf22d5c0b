package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// loadBatches are rows as a bulk load brings them: in order of time, over three months, with
// twelve properties.
func loadBatches(rows, size int) []*event.Batch {
	r := rand.New(rand.NewPCG(1, 2))
	const start, span = 1_750_000_000_000_000, 90 * 86_400_000_000
	b := event.NewBuilder()
	var out []*event.Batch
	for i := range rows {
		var u vec.UUIDValue
		for k := range u {
			u[k] = byte(r.Uint32())
		}
		b.Begin(u, start+int64(i)*(span/int64(rows))+int64(r.IntN(1_000_000)))
		b.SetName(fmt.Appendf(nil, "event %d", min(r.IntN(20), r.IntN(20))))
		b.SetDistinctID(fmt.Appendf(nil, "user %d", r.IntN(50_000)))
		for k := range 8 {
			b.Property(fmt.Appendf(nil, "text %d", k), event.Text, fmt.Appendf(nil, "value %d", r.IntN(50<<k)))
		}
		for k := range 4 {
			b.Property(fmt.Appendf(nil, "number %d", k), event.Int, fmt.Appendf(nil, "%d", r.IntN(100_000)))
		}
		b.End()
		if b.Rows() == size {
			out = append(out, b.Finish())
		}
	}
	return out
}

// BenchmarkImages is what a query waits for that comes during a bulk load: the first one, when
// 500,000 rows are in the memtable, and then one every 50,000 rows.
func BenchmarkImages(b *testing.B) {
	batches := loadBatches(2_000_000, 10_000)
	var slowest time.Duration
	ask := func(s *Store) {
		began := time.Now()
		sn, err := s.Snapshot(1)
		if err != nil {
			b.Fatal(err)
		}
		sn.Release()
		slowest = max(slowest, time.Since(began))
	}
	for b.Loop() {
		b.StopTimer()
		s, err := Open(vfs.NewMem(), "d", Options{SealRows: 1 << 40, SealBytes: 1 << 40})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "a", Token: "a"}}); err != nil {
			b.Fatal(err)
		}
		add := func(batches []*event.Batch) {
			for _, batch := range batches {
				if _, err := s.ApplyEvents(s.AppliedIndex()+1, 1, 1, batch); err != nil {
					b.Fatal(err)
				}
			}
		}
		add(batches[:50])
		b.StartTimer()
		ask(s)
		b.StopTimer()
		for at := 50; at < len(batches); at += 5 {
			add(batches[at : at+5])
			b.StartTimer()
			ask(s)
			b.StopTimer()
		}
		s.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest")
}
