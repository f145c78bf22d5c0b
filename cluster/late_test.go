package cluster

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// lateRows counts the rows of a project that are marked as late.
func lateRows(store *storage.Store, project uint32) (rows int, err error) {
	sn, err := store.Snapshot(project)
	if err != nil {
		return 0, err
	}
	defer sn.Release()
	for _, s := range sn.Segments() {
		for _, g := range s.Ranges() {
			v, err := g.Read(storage.LateProperty, event.ReadBool, nil, g.Lo, g.Hi)
			if err != nil {
				return 0, err
			}
			for i := range g.Hi - g.Lo {
				if !v.IsNull(i) {
					rows++
				}
			}
		}
	}
	return rows, nil
}

// Whether an event is late is decided by its entry: by the time in it, whether the rows are
// taken as written, and whether who wrote it knew of late events. It does not matter whether
// the batch was decoded from the log.
func TestLateIsDecidedByTheEntry(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	open := func() *Node { return openNode(t, Config{Dir: dir, Clock: func() time.Time { return at }}) }
	n := open()
	batch := func(k byte) *event.Batch {
		b := event.NewBuilder()
		for i := range byte(10) {
			made := uint64(at.Add(-49 * time.Hour).UnixMilli())
			if i%2 == 0 {
				made = uint64(at.UnixMilli())
			}
			u := vec.UUIDValue{6: 0x70, 8: 0x80, 14: k, 15: i}
			binary.BigEndian.PutUint32(u[:], uint32(made>>16))
			binary.BigEndian.PutUint16(u[4:], uint16(made))
			b.Begin(u, at.UnixMicro())
			b.SetName([]byte("e"))
			b.SetDistinctID([]byte("ann"))
			b.End()
		}
		return b.Finish()
	}
	want := func(when string, rows int) {
		t.Helper()
		if got, err := lateRows(n.Store(), 1); got != rows || err != nil {
			t.Errorf("%s: %d rows are marked, %v, want %d", when, got, err, rows)
		}
	}
	if _, err := n.Ingest(t.Context(), 1, batch(1)); err != nil {
		t.Fatal(err)
	}
	want("ten events, five of them late", 5)
	written := batch(2)
	written.AsWritten = true
	if _, err := n.Ingest(t.Context(), 1, written); err != nil {
		t.Fatal(err)
	}
	want("and ten as written", 5)
	id := newProposalID()
	raw, _, err := encodeEvents(id, 1, batch(3), nil)
	if err != nil {
		t.Fatal(err)
	}
	raw[entryPrefix+32] = lateLevel - 1
	if _, err := n.submit(t.Context(), &proposal{id: id, project: 1, raw: raw}); err != nil {
		t.Fatal(err)
	}
	want("and ten of an earlier release", 5)
	gone, cancel := context.WithCancel(t.Context())
	cancel() // no flush: all of it is replayed
	if err := n.Close(gone); err != nil {
		t.Fatal(err)
	}
	n = open()
	want("replayed", 5)
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("flushed", 5)
}
