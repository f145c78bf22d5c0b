package dedup

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// randomUUID is one of version 4, or, at a time in ms, one of version 7.
func randomUUID(r *rand.Rand, made int64) (u vec.UUIDValue) {
	binary.LittleEndian.PutUint64(u[:], r.Uint64())
	binary.LittleEndian.PutUint64(u[8:], r.Uint64())
	u[8] = u[8]&0x3F | 0x80
	if made == notV7 {
		u[6] = u[6]&0xF | 0x40
		return u
	}
	low := u[6:8]
	binary.BigEndian.PutUint64(u[:], uint64(made)<<16|0x7000|uint64(binary.BigEndian.Uint16(low)&0xFFF))
	return u
}

func randomUUIDs(r *rand.Rand, n int, made int64) []vec.UUIDValue {
	out := make([]vec.UUIDValue, n)
	for i := range out {
		out[i] = randomUUID(r, made)
	}
	return out
}

// addAll stores a batch, and gives what was seen.
func addAll(t testing.TB, x *Index, project uint32, at int64, uuids []vec.UUIDValue) []bool {
	t.Helper()
	q, err := x.Find(project, at, uuids)
	if err != nil {
		t.Fatal(err)
	}
	x.Add(q)
	return q.Seen
}

// counter gives 1, 2, 3, …
func counter() func() uint64 {
	n := uint64(0)
	return func() uint64 { n++; return n }
}

// BenchmarkApply is the step of apply that finds duplicates, for events that are new, with
// ten runs of 512 K keys whose filters must be asked, and for uuids of version 7, whose
// times say that they need not be.
func BenchmarkApply(b *testing.B) {
	const perRun, rows = 1 << 19, 1000
	for _, made := range []int64{notV7, 1_750_000_000_000} {
		for _, runs := range []int{0, 1, 10} {
			b.Run(fmt.Sprintf("v7=%v/runs=%d", made != notV7, runs), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				fs, dir := vfs.OS(), b.TempDir()
				if err := fs.MkdirAll(dir + "/" + Dir); err != nil {
					b.Fatal(err)
				}
				x, err := OpenIndex(fs, dir, &manifest.Manifest{})
				if err != nil {
					b.Fatal(err)
				}
				defer x.Close()
				next := counter()
				for range runs {
					addAll(b, x, 1, 0, randomUUIDs(r, perRun, made))
					if made != notV7 {
						made += 600_000
					}
					s := x.Seal()
					if _, err := s.Write(fs, dir, next); err != nil {
						b.Fatal(err)
					}
					x.Publish(s)
				}
				uuids := randomUUIDs(r, perRun, made)
				b.ResetTimer()
				b.ReportAllocs()
				for i := range b.N {
					lo := i % (perRun / rows) * rows
					if lo == 0 {
						b.StopTimer() // a new memtable
						x.sealed, x.active = nil, nil
						b.StartTimer()
					}
					addAll(b, x, 1, 0, uuids[lo:lo+rows])
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/event")
			})
		}
	}
}

// BenchmarkWrite is what a flush takes for its run, and BenchmarkMerge what eight runs take
// to be merged.
func BenchmarkWrite(b *testing.B) {
	const keys = 1 << 19
	r := rand.New(rand.NewPCG(1, 2))
	fs, dir := vfs.OS(), b.TempDir()
	if err := fs.MkdirAll(dir + "/" + Dir); err != nil {
		b.Fatal(err)
	}
	x, _ := OpenIndex(fs, dir, &manifest.Manifest{})
	addAll(b, x, 1, 0, randomUUIDs(r, keys, notV7))
	s := x.Seal()
	next := counter()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Write(fs, dir, next); err != nil {
			b.Fatal(err)
		}
		s.Discard()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}

func BenchmarkMerge(b *testing.B) {
	const keys = 1 << 18
	r := rand.New(rand.NewPCG(1, 2))
	fs, dir := vfs.OS(), b.TempDir()
	if err := fs.MkdirAll(dir + "/" + Dir); err != nil {
		b.Fatal(err)
	}
	x, _ := OpenIndex(fs, dir, &manifest.Manifest{})
	next := counter()
	var in []*Run
	for range 8 {
		addAll(b, x, 1, 0, randomUUIDs(r, keys, notV7))
		s := x.Seal()
		if _, err := s.Write(fs, dir, next); err != nil {
			b.Fatal(err)
		}
		in = append(in, s.runs...)
	}
	b.ReportAllocs()
	for b.Loop() {
		out, err := Merge(b.Context(), fs, dir, next(), 1, in)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Size)/float64(out.Keys), "bytes/key")
		Discard([]*Run{out})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(8*keys), "ns/key")
}
