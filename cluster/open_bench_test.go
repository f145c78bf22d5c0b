package cluster

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// noFlush is a file system on which no segment is begun while gate is locked.
type noFlush struct {
	vfs.FS
	gate *sync.RWMutex
}

func (f noFlush) Create(name string) (vfs.File, error) {
	if strings.Contains(name, "segments/") {
		f.gate.RLock()
		defer f.gate.RUnlock()
	}
	return f.FS.Create(name)
}

// processorTime is what this process has used of all processors, which says more than time
// where others use them too.
func processorTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkOpenAfterKill opens a directory of 10,000 segments and 256 MB of log after a
// kill, on the machine's disk. The log has as much to replay as there can be: two memtables
// that were not flushed and a third, all full. It ends when the node leads and has applied
// everything.
func BenchmarkOpenAfterKill(b *testing.B) {
	const (
		segments  = 10_000
		batchRows = 4096
		memtables = 3
		noteBytes = 136 // of an event's only property: what makes the log so long
	)
	full := storage.Options{SealRows: 1 << 19}
	var gate sync.RWMutex
	dir := b.TempDir()
	n, err := Open(b.Context(), Config{FS: noFlush{vfs.OS(), &gate}, Dir: dir, NoMerger: true, Store: full})
	if err != nil {
		b.Fatal(err)
	}
	row := uint64(0)
	batch := func(rows int, month func(int) int, note int) *event.Batch {
		rng := rand.New(rand.NewPCG(row, 0))
		build := event.NewBuilder()
		for i := range rows {
			row++
			var id vec.UUIDValue
			binary.BigEndian.PutUint64(id[:], row*0x9e3779b97f4a7c15)
			build.Begin(id, time.Date(2020, time.Month(1+month(i)), 1+i%28, 0, 0, i%60, 0, time.UTC).UnixMicro())
			build.SetName([]byte("viewed page"))
			build.SetDistinctID(fmt.Appendf(nil, "user-%d", rng.IntN(100_000)))
			text := make([]byte, note)
			for k := range text {
				text[k] = byte('0' + rng.IntN(64))
			}
			build.Property([]byte("note"), event.Text, text)
			build.End()
		}
		return build.Finish()
	}
	for n.Store().Stats().Segments < segments {
		if _, err := n.Ingest(b.Context(), 1, batch(240, func(i int) int { return i % 80 }, 4)); err != nil {
			b.Fatal(err)
		}
		if err := n.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	gate.Lock() // nothing is flushed: what follows stays in the log
	written := n.wal.Stats().Bytes
	for range memtables * full.SealRows / batchRows {
		if _, err := n.Ingest(b.Context(), 1, batch(batchRows, func(int) int { return 80 }, noteBytes)); err != nil {
			b.Fatal(err)
		}
	}
	rows := n.store.Stats().MemtableRows
	written = n.wal.Stats().Bytes - written
	// What a kill leaves behind is what the files hold now.
	killed := filepath.Join(b.TempDir(), "killed")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	gate.Unlock()
	if err := n.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		again := filepath.Join(b.TempDir(), fmt.Sprint(i))
		if err := os.CopyFS(again, os.DirFS(killed)); err != nil {
			b.Fatal(err)
		}
		replay, before := &Replay{}, processorTime(b)
		b.StartTimer()
		n, err := Open(b.Context(), Config{FS: vfs.OS(), Dir: again, NoMerger: true, Store: full, Replay: replay})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if !n.Leads() || n.store.Stats().Events < rows {
			b.Fatalf("open, and leads: %v, with %d events; %d are in the log alone", n.Leads(), n.store.Stats().Events, rows)
		}
		b.ReportMetric((processorTime(b) - before).Seconds(), "cpu-s")
		b.ReportMetric(float64(replay.to.Load()-replay.from.Load()), "entries")
		if err := n.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(again); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(rows), "rows")
	b.ReportMetric(float64(written)/1e6, "log-MB")
}
