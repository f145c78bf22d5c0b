package capture

import (
	"testing"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/storage/event"
)

// generated is n events of the generator, a line each.
func generated(tb testing.TB, n uint64) []byte {
	m := gen.New(gen.Config{Events: n, Merges: true})
	var out []byte
	if err := m.Each(0, m.Sessions(), func(e *gen.Event) error {
		out = e.AppendNDJSON(out)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return out
}

func BenchmarkDecode(b *testing.B) {
	lines := generated(b, 6000)
	m, err := Detect(SampleJSON(lines), Mapping{})
	if err != nil {
		b.Fatal(err)
	}
	d := NewDecoder(m)
	b.SetBytes(int64(len(lines)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		out := d.Decode(lines, 1)
		if len(out.Rejects) > 0 {
			b.Fatal(out.Rejects[0])
		}
		rows += out.Rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkScan(b *testing.B) {
	lines := generated(b, 6000)
	b.SetBytes(int64(len(lines)))
	var s scanner
	for b.Loop() {
		s.reset(lines)
		if !s.valid() {
			b.Fatal(s.err)
		}
		for s.next() != 0 {
			if _, ok := s.skip(0); !ok {
				b.Fatal(s.err)
			}
		}
	}
	b.ReportMetric(6000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkWire(b *testing.B) {
	lines := generated(b, 6000)
	m, _ := Detect(SampleJSON(lines), Mapping{})
	batch := NewDecoder(m).Decode(lines, 1).Batches[0]
	var wire []byte
	for b.Loop() {
		wire = event.Append(wire[:0], batch.Batch)
	}
	b.ReportMetric(float64(len(wire))/float64(batch.Rows), "bytes/event")
}
