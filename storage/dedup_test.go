package storage

import (
	"encoding/binary"
	"math/rand"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestUUIDSetModel holds the set against a map, with uuids of few distinct values, the
// zero one among them.
func TestUUIDSetModel(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		var s uuidSet
		model := map[vec.UUIDValue]bool{}
		for range 20_000 {
			var u vec.UUIDValue
			switch r.Intn(3) {
			case 0: // sequential, as a bad generator makes them
				binary.BigEndian.PutUint64(u[8:], uint64(r.Intn(5000)))
			case 1: // version 7: the same time, random tails
				binary.BigEndian.PutUint64(u[:8], 0x0190_0000_0000_7000)
				binary.BigEndian.PutUint64(u[8:], uint64(r.Intn(5000))<<40)
			default:
				r.Read(u[:])
			}
			if got, want := s.has(&u), model[u]; got != want {
				t.Fatalf("seed %d: has(%x) = %v, want %v", seed, u, got, want)
			}
			if got, want := s.add(&u), !model[u]; got != want {
				t.Fatalf("seed %d: add(%x) = %v, want %v", seed, u, got, want)
			}
			model[u] = true
		}
		if s.len() != len(model) {
			t.Fatalf("seed %d: len() = %d, want %d", seed, s.len(), len(model))
		}
	}
}

func BenchmarkUUIDSetAdd(b *testing.B) {
	var s uuidSet
	r := rand.New(rand.NewSource(1))
	keys := make([]vec.UUIDValue, 1<<20)
	for i := range keys {
		r.Read(keys[i][:])
	}
	b.ResetTimer()
	for i := range b.N {
		s.add(&keys[i&(1<<20-1)])
	}
	b.ReportMetric(float64(s.bytes())/float64(s.len()), "bytes/uuid")
}
