package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// testBatch is count events of one producer, with uuids made from the producer and the
// sequence numbers first, first+1, …
func testBatch(producer byte, first, count int) *event.Batch {
	b := event.NewBuilder()
	for i := first; i < first+count; i++ {
		b.Begin(vec.UUIDValue{0: producer, 11: byte(i >> 32), 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)},
			1_750_000_000_000_000+int64(i)*1000)
		b.SetName([]byte("counted"))
		b.SetDistinctID(fmt.Appendf(nil, "user %d", i%50))
		b.Property([]byte("producer"), event.Int, fmt.Append(nil, producer))
		b.Property([]byte("sequence"), event.Int, fmt.Append(nil, i))
		b.End()
	}
	return b.Finish()
}

func TestEntryRoundTrip(t *testing.T) {
	for _, count := range []int{1, 3000} { // one payload below the bound of compression
		id := newProposalID()
		b := testBatch(7, 0, count)
		raw, _, err := encodeEvents(id, 3, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		seal(raw, 42)
		e, err := decodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		want := header{proposal: id, time: 42, project: 3, rows: uint32(count)}
		if e.kind != kindEvents || e.header != want {
			t.Errorf("decodeEntry = %v %+v, want %v %+v", e.kind, e.header, kindEvents, want)
		}
		if got := event.Append(nil, b); !bytes.Equal(e.payload, got) {
			t.Errorf("payload differs")
		}
	}
}

// Every single flipped bit of an entry is noticed.
func TestEntryFlips(t *testing.T) {
	raw, _, err := encodeEvents(newProposalID(), 1, testBatch(1, 0, 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	seal(raw, 1)
	for bit := range 8 * len(raw) {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeEntry(raw); err == nil {
			t.Fatalf("bit %d flipped: no error", bit)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
}

func TestEntryFromNewerRelease(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"version": func(raw []byte) { raw[0] = entryVersion + 1 },
		"level":   func(raw []byte) { raw[entryPrefix+32] = featureLevel + 1 },
		"kind":    func(raw []byte) { raw[1] = 99 },
		"flags":   func(raw []byte) { raw[3] = 0x80 },
	} {
		raw := encodeEntry(kindMeta, header{}, []byte("{}"))
		change(raw)
		seal(raw, 1)
		if _, err := decodeEntry(raw); !errors.Is(err, errNeedsUpgrade) || !strings.Contains(err.Error(), "needs upgrade") {
			t.Errorf("%s: decodeEntry: %v, want needs upgrade", name, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	raw, _, _ := encodeEvents(uuid.UUID{}, 1, testBatch(1, 0, 3), nil)
	f.Add(raw)
	f.Add(encodeEntry(kindMeta, header{}, []byte("{}")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= entryMinSize { // else no input would get beyond the checksum
			raw = bytes.Clone(raw)
			seal(raw, 1)
		}
		if e, err := decodeEntry(raw); err == nil && e.kind == kindEvents {
			event.Decode(e.payload)
		}
	})
}

// Records come back whole after the log is opened again, and a flipped bit is noticed.
func TestDiskLog(t *testing.T) {
	dir := t.TempDir()
	in := []*raft.Log{
		{Index: 1, Term: 2, Type: raft.LogCommand, Data: bytes.Repeat([]byte("data"), 100), Extensions: []byte("more")},
		{Index: 2, Term: 2, Type: raft.LogNoop},
	}
	for round := range 2 {
		log, err := openLog(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			if err := log.StoreLogs(in); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range in {
			var got raft.Log
			if err := log.GetLog(want.Index, &got); err != nil {
				t.Fatal(err)
			}
			if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type ||
				!bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Extensions, want.Extensions) {
				t.Errorf("GetLog(%d) = %+v, want %+v", want.Index, got, want)
			}
		}
		if err := log.GetLog(3, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("GetLog(3): %v, want %v", err, raft.ErrLogNotFound)
		}
		if err := log.(diskLog).Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Flipped beneath an open log: at its own start, raft-wal takes the end of its last
	// file for torn if it is damaged.
	log, err := openLog(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer log.(diskLog).Close()
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(files) == 0 {
		t.Fatalf("log files: %v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[bytes.Index(raw, []byte("datadata"))+57] ^= 4
	if err := os.WriteFile(files[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := log.GetLog(1, new(raft.Log)); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("GetLog of a flipped record: %v, want a checksum error", err)
	}
}

// Every single flipped bit of what Raft decides by is noticed.
func TestRecordSum(t *testing.T) {
	want := raft.Log{Index: 9, Term: 2, Type: raft.LogCommand, Data: []byte("data")}
	want.Extensions = binary.LittleEndian.AppendUint32(nil, recordSum(&want))
	for name, change := range map[string]func(*raft.Log){
		"index": func(l *raft.Log) { l.Index ^= 8 }, "term": func(l *raft.Log) { l.Term ^= 1 },
		"type": func(l *raft.Log) { l.Type ^= 1 }, "data": func(l *raft.Log) { l.Data = []byte("dat`") },
		"length": func(l *raft.Log) { l.Data = []byte("dat") }, "sum": func(l *raft.Log) { l.Extensions[0] ^= 1 },
		"nothing": func(l *raft.Log) {},
	} {
		l := want
		l.Extensions = bytes.Clone(want.Extensions)
		change(&l)
		if err := openRecord(&l); (err == nil) != (name == "nothing") {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// The log goes no further than the manifest, and a failed write ends the process.
func TestGuardedLog(t *testing.T) {
	inner := raft.NewInmemStore()
	var durable uint64
	var stopped error
	g := &guardedLog{logStore: inner, durable: func() uint64 { return durable }, stop: func(err error) { stopped = err }}
	for i := uint64(1); i <= 10; i++ {
		if err := g.StoreLog(&raft.Log{Index: i}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ durable, high, first uint64 }{{0, 8, 1}, {3, 8, 4}, {9, 6, 7}} {
		durable = c.durable
		first, _ := g.FirstIndex()
		if err := g.DeleteRange(first, c.high); err != nil {
			t.Fatal(err)
		}
		if got, _ := g.FirstIndex(); got != c.first {
			t.Errorf("durable %d, DeleteRange(%d, %d): FirstIndex() = %d, want %d", c.durable, first, c.high, got, c.first)
		}
	}
	if stopped != nil {
		t.Errorf("stopped: %v", stopped)
	}
	g.logStore = failingLog{inner}
	if err := g.StoreLog(&raft.Log{Index: 11}); err == nil || stopped == nil {
		t.Errorf("StoreLog on a failing disk: error %v, stopped %v, want both", err, stopped)
	}
}

type failingLog struct{ *raft.InmemStore }

func (failingLog) StoreLogs([]*raft.Log) error { return errors.New("input/output error") }
