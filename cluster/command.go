package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/google/uuid"
	"github.com/klauspost/compress/s2"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
)

// An entry is one command in the Raft log. Everything that a clock, chance or a setting
// decides is in it, so that applying it depends on nothing else.
//
//	+---------+------+-------+---------------+--------+---------+--------+
//	| version | kind | flags | header length | header | payload | crc32c |
//	|   u8    |  u8  |  u16  |      u32      |        |         |  u32   |
//	+---------+------+-------+---------------+--------+---------+--------+
//
//	header: proposal id (16) | leader time, µs (i64) | project (u32) | rows (u32) |
//	        feature level (u32) | request (16; zero for none)
//
// Numbers are little-endian. The checksum covers all before it; it is checked whenever an
// entry is decoded: an entry travels, and is archived, without the log around it.
const (
	entryVersion  = 2
	entryPrefix   = 8
	headerSize    = 52
	entryMinSize  = entryPrefix + headerSize + 4
	flagS2        = 1 << 0 // the payload is one S2 block
	flagAsWritten = 1 << 1 // none of the events is to be marked as late
	knownFlags    = flagS2 | flagAsWritten
	compressAbove = 256 // bytes; below, S2 gains nothing
)

const (
	// maxEntryBytes bounds an encoded entry: Raft copies and syncs it as one piece.
	// Batches come at 256 KB to 1 MB; eight times that leaves room for a single event
	// of extreme size.
	maxEntryBytes = 8 << 20
	// maxPayloadBytes bounds what a compressed payload may claim to unpack to.
	maxPayloadBytes = 64 << 20
)

// kind says what an entry's payload is. The numbers are part of the log's format.
type kind uint8

const (
	kindEvents  kind = 1  // event.Append
	kindPersons kind = 2  // storage.AppendPersonEdits
	kindMeta    kind = 3  // a project edit, JSON
	kindPlan    kind = 4  // storage.MergePlan, JSON
	kindMerged  kind = 5  // storage.MergeDone, JSON
	kindSeal    kind = 6  // storage.Seal, JSON
	kindTick    kind = 7  // nothing: only the time counts
	kindAdopt   kind = 8  // storage.Adoption, JSON
	kindTable   kind = 10 // table.AppendWriteSet

	kindErase  kind = 20 // storage.PersonDelete, JSON
	kindDelete kind = 21 // storage.AppendRowDelete
	kindExpire kind = 22 // storage.Expiry, JSON
	kindSplit  kind = 23 // storage.PersonSplit, JSON
	kindUpdate kind = 24 // a list of person.Update, JSON
	kindErased kind = 25 // the index up to which erasures are complete, JSON

	kindObjects kind = 30 // a list of object.Edit, JSON
	kindGroups  kind = 31 // storage.GroupEdit, JSON
	kindMembers kind = 32 // storage.MemberEdit, JSON
	kindCommit  kind = 33 // storage.AppendCommit
)

// featureLevel is what this release may write into the log and do in apply. It grows with
// everything that changes what applying an entry means; an entry of a higher level than a
// node knows stops it, as an unknown kind does.
//
//   - 1: the first release.
//   - 2: objects, groups and static cohorts; batches of events say what becomes of groups;
//     projects have filters.
//   - 3: events that may be repeats of ones that are forgotten are marked as late; ticks; projects from backups.
//   - 4: schemas and notes among the tables that users make; alterations on the condition that nobody has inserted rows.
//     Batches of events say which of their properties are copied to persons.
//     Rows of tables may be encoded, and sequences may go on with another number.
//   - 5: batches of events say of a property that few rows have which these are. Columns may be identity columns, and
//     those of views rows.
//   - 6: a transaction may change tables and objects.
const featureLevel = 6

// lateLevel is the feature level from which on late events are marked.
const lateLevel = 3

// kinds are the known ones, with their names.
var kinds = map[kind]string{
	kindEvents: "events", kindPersons: "persons", kindMeta: "meta",
	kindPlan: "merge plan", kindMerged: "merge done", kindSeal: "seal", kindTick: "tick", kindAdopt: "adoption", kindTable: "table",
	kindErase: "erase", kindDelete: "delete", kindExpire: "expire", kindSplit: "split", kindUpdate: "update", kindErased: "erased",
	kindObjects: "objects", kindGroups: "groups", kindMembers: "members", kindCommit: "commit",
}

func (k kind) String() string {
	if name, ok := kinds[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// header is the fixed part of every entry.
type header struct {
	proposal uuid.UUID
	time     int64 // µs since 1970 UTC; grows from entry to entry
	project  uint32
	rows     uint32
	level    uint32 // feature level of who wrote it
	request  dedup.RequestKey
	// asWritten is flagAsWritten.
	asWritten bool
}

// entry is a decoded command. The payload is unpacked, and shares memory with the log's
// bytes if it was not compressed.
type entry struct {
	kind kind
	header
	payload []byte
}

func newProposalID() uuid.UUID {
	var id uuid.UUID
	rand.Read(id[:]) // never fails
	return id
}

// errNeedsUpgrade is wrapped by the error of an entry that a newer release wrote. Such an
// entry is never skipped: the node applies nothing more.
var errNeedsUpgrade = errors.New("needs upgrade")

// encodeEntry makes an entry without time and checksum, which seal adds.
func encodeEntry(k kind, h header, payload []byte) []byte {
	compress := len(payload) > compressAbove
	size := entryPrefix + headerSize + len(payload) + 4
	var flags uint16
	if h.asWritten {
		flags |= flagAsWritten
	}
	if compress {
		flags |= flagS2
		size = entryPrefix + headerSize + s2.MaxEncodedLen(len(payload)) + 4
	}
	out := make([]byte, entryPrefix+headerSize, size)
	out[0] = entryVersion
	out[1] = byte(k)
	binary.LittleEndian.PutUint16(out[2:], flags)
	binary.LittleEndian.PutUint32(out[4:], headerSize)
	head := out[entryPrefix:]
	copy(head, h.proposal[:])
	binary.LittleEndian.PutUint32(head[24:], h.project)
	binary.LittleEndian.PutUint32(head[28:], h.rows)
	binary.LittleEndian.PutUint32(head[32:], featureLevel)
	copy(head[36:], h.request[:])
	if !compress {
		out = append(out, payload...)
	} else {
		packed := s2.Encode(out[len(out):cap(out)], payload)
		out = append(out, packed...)
	}
	return append(out, 0, 0, 0, 0)
}

// seal writes the leader's time and the checksum into an encoded entry.
func seal(raw []byte, at int64) {
	binary.LittleEndian.PutUint64(raw[entryPrefix+16:], uint64(at))
	body := raw[:len(raw)-4]
	binary.LittleEndian.PutUint32(raw[len(body):], crc32.Checksum(body, encoding.Table))
}

// decodeHeader checks an entry and reads all but its payload.
func decodeHeader(raw []byte) (e entry, packed []byte, flags uint16, err error) {
	if len(raw) < entryMinSize {
		return e, nil, 0, fmt.Errorf("entry of %d bytes, the least is %d", len(raw), entryMinSize)
	}
	body := raw[:len(raw)-4]
	got, want := crc32.Checksum(body, encoding.Table), binary.LittleEndian.Uint32(raw[len(body):])
	if got != want {
		return e, nil, 0, fmt.Errorf("entry of %d bytes: checksum %08x, want %08x", len(raw), got, want)
	}
	flags = binary.LittleEndian.Uint16(raw[2:])
	if raw[0] != entryVersion {
		return e, nil, 0, fmt.Errorf("entry of version %d, this release knows %d: %w", raw[0], entryVersion, errNeedsUpgrade)
	}
	e.kind = kind(raw[1])
	if _, known := kinds[e.kind]; !known {
		return e, nil, 0, fmt.Errorf("entry of %v: %w", e.kind, errNeedsUpgrade)
	}
	if flags&^knownFlags != 0 {
		return e, nil, 0, fmt.Errorf("entry with flags %04x: %w", flags, errNeedsUpgrade)
	}
	if size := binary.LittleEndian.Uint32(raw[4:]); size != headerSize {
		return e, nil, 0, fmt.Errorf("entry with a header of %d bytes, want %d", size, headerSize)
	}
	head := raw[entryPrefix : entryPrefix+headerSize]
	copy(e.proposal[:], head)
	e.time = int64(binary.LittleEndian.Uint64(head[16:]))
	e.project = binary.LittleEndian.Uint32(head[24:])
	e.rows = binary.LittleEndian.Uint32(head[28:])
	if e.level = binary.LittleEndian.Uint32(head[32:]); e.level > featureLevel {
		return e, nil, 0, fmt.Errorf("entry of feature level %d, this release knows %d: %w", e.level, featureLevel, errNeedsUpgrade)
	}
	e.asWritten = flags&flagAsWritten != 0
	copy(e.request[:], head[36:])
	return e, body[entryPrefix+headerSize:], flags, nil
}

// decodeEntry checks and unpacks an entry.
func decodeEntry(raw []byte) (entry, error) {
	e, packed, flags, err := decodeHeader(raw)
	if err != nil {
		return entry{}, err
	}
	return unpack(e, packed, flags)
}

// unpack ends what decodeHeader began.
func unpack(e entry, packed []byte, flags uint16) (entry, error) {
	if flags&flagS2 == 0 {
		e.payload = packed
		return e, nil
	}
	size, err := s2.DecodedLen(packed)
	if err != nil || size > maxPayloadBytes {
		return entry{}, fmt.Errorf("%v entry: payload of %d bytes unpacked, at most %d are allowed (%v)", e.kind, size, maxPayloadBytes, err)
	}
	if e.payload, err = s2.Decode(nil, packed); err != nil {
		return entry{}, fmt.Errorf("%v entry: payload: %w", e.kind, err)
	}
	return e, nil
}

// encodeEvents makes the entry of a batch, or says that it is too large.
func encodeEvents(id uuid.UUID, project uint32, b *event.Batch, scratch []byte) (raw, wire []byte, err error) {
	if b.Rows > event.MaxRows || b.Cells() > event.MaxCells {
		return nil, scratch, fmt.Errorf("batch of %d events and %d properties: at most %d events and %d values fit in one; send smaller batches",
			b.Rows, len(b.Props), event.MaxRows, event.MaxCells)
	}
	wire = event.Append(scratch[:0], b)
	if len(wire) > maxPayloadBytes {
		return nil, wire, fmt.Errorf("batch of %d events is %d MB: at most %d MB fit in one; send smaller batches", b.Rows, len(wire)>>20, maxPayloadBytes>>20)
	}
	raw = encodeEntry(kindEvents, header{proposal: id, project: project, rows: uint32(b.Rows), request: b.Request, asWritten: b.AsWritten}, wire)
	if len(raw) > maxEntryBytes {
		return nil, wire, fmt.Errorf("batch of %d events is %d MB compressed: at most %d MB fit in one; send smaller batches", b.Rows, len(raw)>>20, maxEntryBytes>>20)
	}
	return raw, wire, nil
}

// Describe gives an entry of the log as text, for people who look at a log: its kind,
// time, project and size, or what is wrong with it.
func Describe(raw []byte) string {
	e, err := decodeEntry(raw)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%v project %d rows %d time %d proposal %s payload %d bytes", e.kind, e.project, e.rows, e.time, e.proposal, len(e.payload))
}
