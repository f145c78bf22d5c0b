package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// BenchmarkSessions reads what is known of the sessions of half a million events in several
// segments: cold, from parts, and after an event came.
func BenchmarkSessions(b *testing.B) {
	s, err := Open(vfs.NewMem(), "d", Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "a", Token: "ta"}}); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	index := uint64(2)
	apply := func(rows int) {
		e := event.NewBuilder()
		for range rows {
			session := int(index)*1000 + r.IntN(1100) // a tenth goes on in the next batch
			at := 1_750_000_000_000_000 + int64(session)*100_000_000 + int64(r.IntN(1000))*1_000_000
			e.Begin(vec.UUIDValue{byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(index), byte(index >> 8)}, at)
			e.SetName([]byte([]string{"$pageview", "$autocapture", "a"}[r.IntN(3)]))
			e.SetDistinctID(fmt.Appendf(nil, "u%d", session/3))
			e.Property([]byte("$session_id"), event.Text, fmt.Appendf(nil, "0190a6f0-0000-7000-8000-%012d", session))
			e.Property([]byte("$current_url"), event.Text, fmt.Appendf(nil, "https://example.org/%d", r.IntN(500)))
			e.End()
		}
		if _, err := s.ApplyEvents(index, 1, 1, e.Finish()); err != nil {
			b.Fatal(err)
		}
		index++
	}
	for range 5 {
		for range 10 {
			apply(10_000)
		}
		if err := s.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	read := func(b *testing.B, what func(x *Sessions, seg *Segment) error) {
		sn, err := s.Snapshot(1)
		if err != nil {
			b.Fatal(err)
		}
		defer sn.Release()
		x, err := sn.Sessions(context.Background(), func(context.Context, int64) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		for _, seg := range sn.Segments() {
			if err := what(x, seg); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		do   func(x *Sessions, seg *Segment) error
	}{
		{"join", func(*Sessions, *Segment) error { return nil }},
		{"times", func(x *Sessions, seg *Segment) error { _, err := x.Times(context.Background(), seg); return err }},
		{"urls", func(x *Sessions, seg *Segment) error { _, err := x.URLs(context.Background(), seg); return err }},
		{"distinct", func(x *Sessions, seg *Segment) error { _, err := x.DistinctURLs(context.Background(), seg); return err }},
	} {
		b.Run(c.name+"/cold", func(b *testing.B) {
			for b.Loop() {
				for _, f := range s.segments {
					f.derived = derived{}
				}
				s.projects[1].sessions.joined.Store(nil)
				read(b, c.do)
			}
		})
		b.Run(c.name+"/warm", func(b *testing.B) {
			for b.Loop() {
				read(b, c.do)
			}
		})
		b.Run(c.name+"/ingest", func(b *testing.B) {
			for b.Loop() {
				apply(1)
				read(b, c.do)
			}
		})
	}
}
