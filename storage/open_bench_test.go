package storage

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// BenchmarkOpen opens a store of 10,000 segments on the machine's disk.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(vfs.OS(), dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "p", Token: "t"}}); err != nil {
		b.Fatal(err)
	}
	index, row := uint64(1), uint64(0)
	for s.Stats().Segments < 10_000 {
		batch := event.NewBuilder()
		for day := range 60 {
			for range 4 {
				row++
				var u vec.UUIDValue
				binary.BigEndian.PutUint64(u[:], row)
				batch.Begin(u, int64(20_000+day)*dayMicros+int64(row%1000))
				batch.SetName([]byte("e"))
				batch.SetDistinctID(fmt.Appendf(nil, "u%d", row%500))
				batch.Property([]byte("plan"), event.Text, []byte("pro"))
				batch.End()
			}
		}
		index++
		if _, err := s.ApplyEvents(index, 1, 1, batch.Finish()); err != nil {
			b.Fatal(err)
		}
		if err := s.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		s, err := Open(vfs.OS(), dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
