package cluster

import (
	"fmt"
	"sync"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// BenchmarkIngest builds and writes batches of 4,096 events of 25 properties, eight at a
// time.
func BenchmarkIngest(b *testing.B) {
	n, err := Open(b.Context(), Config{FS: vfs.OS(), Dir: b.TempDir(), NoMerger: true})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close(b.Context())
	const rows, writers = 4096, 8
	batches := make(chan *event.Batch, 64)
	var wg sync.WaitGroup
	var size int
	for range writers {
		wg.Go(func() {
			for batch := range batches {
				if _, err := n.Ingest(b.Context(), 1, batch); err != nil {
					b.Error(err)
				}
			}
		})
	}
	build := event.NewBuilder()
	b.ResetTimer()
	for i := range b.N {
		for r := range rows {
			at := uint64(i*rows + r)
			at *= 0x9e3779b97f4a7c15
			build.Begin(vec.UUIDValue{byte(at >> 56), byte(at >> 48), byte(at >> 40), byte(at >> 32), byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at), 1}, 1_750_000_000_000_000+int64(r)*1e6)
			build.SetName([]byte("viewed page"))
			build.SetDistinctID(fmt.Append(nil, "user-", at%10007))
			for k := range 25 {
				build.Property(fmt.Append(nil, "$property_", k), event.Text, fmt.Append(nil, "value ", at>>20%uint64(1+k*k)))
			}
			build.End()
		}
		size += build.Bytes()
		batches <- build.Finish()
	}
	close(batches)
	wg.Wait()
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(size)/float64(b.N), "bytes/batch")
}
