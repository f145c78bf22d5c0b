package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
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
		b.AsWritten = count == 1
		raw, _, err := encodeEvents(id, 3, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		seal(raw, 42)
		e, err := decodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		want := header{proposal: id, time: 42, project: 3, rows: uint32(count), level: featureLevel, asWritten: b.AsWritten}
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

// FuzzSnapshot reads a Raft snapshot file of anything, beyond its checksum too.
func FuzzSnapshot(f *testing.F) {
	fs := vfs.NewMem()
	fs.MkdirAll("s")
	store := &snapshotStore{fs: fs, dir: "s"}
	if err := store.write(snapshotHead{Index: 7, Term: 2, Configuration: []byte("x")}, make([]byte, 8)); err != nil {
		f.Fatal(err)
	}
	names, err := store.names()
	if err != nil {
		f.Fatal(err)
	}
	raw, err := vfs.ReadFile(fs, "s/"+names[0], maxSnapshotBytes)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		DumpSnapshot(io.Discard, raw)
		if len(raw) >= len(snapshotMagic)+8 {
			raw = bytes.Clone(raw)
			copy(raw, snapshotMagic)
			body := raw[:len(raw)-4]
			binary.LittleEndian.PutUint32(raw[len(body):], crc32.Checksum(body, encoding.Table))
			DumpSnapshot(io.Discard, raw)
		}
	})
}

// FuzzState reads what the state machine keeps beside the store.
func FuzzState(f *testing.F) {
	m := fsm{lastTime: 5}
	m.proposals.add(proposalResult{id: uuid.UUID{1}, time: 4, receipt: Receipt{Index: 3, Stored: 2}})
	f.Add(m.state())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := decodeFSMState(raw); err == nil && len(raw) > 0 && s.encode() == nil {
			t.Error("a state without bytes")
		}
	})
}
