package cluster

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vfs"
)

// snapshotStore keeps Raft snapshots as files of a directory. A Raft snapshot of ours is
// the manifest and the entries from there to its index, which stay where they are: the
// file names the two indexes.
//
//	+----------+-----------------+------+--------------+-----------+
//	| magic(8) | head length(u32)| head | durable(u64) | crc32c(4) |
//	+----------+-----------------+------+--------------+-----------+
//
// The head is JSON (snapshotHead), durable is the index that the manifest covered; the
// checksum covers all before it. A file is written under another name, synced and renamed, so that a file with the
// right name is whole.
type snapshotStore struct {
	fs     vfs.FS
	dir    string
	logger *slog.Logger
}

const (
	snapshotMagic    = "prkrsnp2"
	snapshotPrefix   = "snapshot-"
	keptSnapshots    = 3
	maxSnapshotBytes = 1 << 20 // a thousand members
)

type snapshotHead struct {
	Version            raft.SnapshotVersion `json:"version"`
	Index              uint64               `json:"index"`
	Term               uint64               `json:"term"`
	Configuration      []byte               `json:"configuration"`
	ConfigurationIndex uint64               `json:"configuration_index"`
}

// Create starts a snapshot; nothing is on disk before the sink is closed.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &snapshotSink{store: s, head: snapshotHead{
		Version: version, Index: index, Term: term,
		Configuration:      raft.EncodeConfiguration(configuration),
		ConfigurationIndex: configurationIndex,
	}}, nil
}

// names lists the snapshot files, newest first.
func (s *snapshotStore) names() ([]string, error) {
	all, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if strings.HasPrefix(name, snapshotPrefix) && !strings.HasSuffix(name, ".tmp") {
			names = append(names, name)
		}
	}
	slices.Sort(names) // indexes are written with leading zeros
	slices.Reverse(names)
	return names, nil
}

// List gives the snapshots that can be read, newest first. A damaged one is logged and
// left out: the log may reach back to the one before it.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	metas, _, err := s.list()
	return metas, err
}

// list is List, and says what is wrong with the newest of those that are left out.
func (s *snapshotStore) list() (metas []*raft.SnapshotMeta, damage, err error) {
	names, err := s.names()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		meta, _, err := s.read(name)
		if err != nil {
			s.logger.Error("raft snapshot cannot be read", "error", err)
			if damage == nil {
				damage = err
			}
			continue
		}
		metas = append(metas, meta)
	}
	return metas, damage, nil
}

// Open gives one snapshot's state.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, state, err := s.read(id)
	if err != nil {
		return nil, nil, err
	}
	return meta, io.NopCloser(bytes.NewReader(state)), nil
}

// durable is the index that the manifest covered when a snapshot was taken.
func (s *snapshotStore) durable(id string) (uint64, error) {
	_, raw, err := s.read(id)
	if err != nil {
		return 0, err
	}
	return decodeDurable(raw)
}

func encodeDurable(index uint64) []byte { return binary.LittleEndian.AppendUint64(nil, index) }

func decodeDurable(state []byte) (uint64, error) {
	if len(state) != 8 {
		return 0, fmt.Errorf("raft snapshot with a state of %d bytes, want 8", len(state))
	}
	return binary.LittleEndian.Uint64(state), nil
}

// raw gives the bytes of a snapshot's file.
func (s *snapshotStore) raw(name string) ([]byte, error) {
	return vfs.ReadFile(s.fs, path.Join(s.dir, name), maxSnapshotBytes)
}

func (s *snapshotStore) read(name string) (*raft.SnapshotMeta, []byte, error) {
	raw, err := s.raw(name)
	var head snapshotHead
	var state []byte
	if err == nil {
		head, state, err = decodeSnapshot(raw)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("raft snapshot %s: %w", name, err)
	}
	return &raft.SnapshotMeta{
		Version: head.Version, ID: name, Index: head.Index, Term: head.Term,
		Configuration:      raft.DecodeConfiguration(head.Configuration),
		ConfigurationIndex: head.ConfigurationIndex,
		Size:               int64(len(state)),
	}, state, nil
}

// decodeSnapshot checks a snapshot file and takes it apart.
func decodeSnapshot(raw []byte) (head snapshotHead, state []byte, err error) {
	const fixed = len(snapshotMagic) + 4
	if len(raw) < fixed+4 || string(raw[:len(snapshotMagic)]) != snapshotMagic {
		return head, nil, errors.New("not a raft snapshot of this release")
	}
	body := raw[:len(raw)-4]
	if got, want := crc32.Checksum(body, encoding.Table), binary.LittleEndian.Uint32(raw[len(body):]); got != want {
		return head, nil, fmt.Errorf("checksum %08x, want %08x", got, want)
	}
	size := uint64(binary.LittleEndian.Uint32(body[len(snapshotMagic):]))
	if size > uint64(len(body)-fixed) {
		return head, nil, fmt.Errorf("head of %d bytes in a file of %d", size, len(raw))
	}
	if err := json.Unmarshal(body[fixed:fixed+int(size)], &head); err != nil {
		return head, nil, fmt.Errorf("head: %w", err)
	}
	return head, body[fixed+int(size):], nil
}

// DumpSnapshot prints a Raft snapshot file as text.
func DumpSnapshot(w io.Writer, raw []byte) error {
	head, body, err := decodeSnapshot(raw)
	if err != nil {
		return err
	}
	durable, err := decodeDurable(body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "raft snapshot: index %d, term %d, configuration of entry %d\nthe manifest covered entry %d\n",
		head.Index, head.Term, head.ConfigurationIndex, durable)
	return err
}

// write makes the file of a snapshot durable and removes the oldest ones.
func (s *snapshotStore) write(head snapshotHead, state []byte) error {
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	raw := append([]byte(snapshotMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(raw[len(snapshotMagic):], uint32(len(text)))
	raw = append(raw, text...)
	raw = append(raw, state...)
	raw = binary.LittleEndian.AppendUint32(raw, crc32.Checksum(raw, encoding.Table))

	name := path.Join(s.dir, fmt.Sprintf("%s%020d", snapshotPrefix, head.Index))
	if err := vfs.WriteFile(s.fs, name, raw); err != nil {
		return err
	}
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, old := range names[min(keptSnapshots, len(names)):] {
		if err := s.fs.Remove(path.Join(s.dir, old)); err != nil {
			return err
		}
	}
	return nil
}

// snapshotSink collects a snapshot's state in memory.
type snapshotSink struct {
	store *snapshotStore
	head  snapshotHead
	state []byte
	done  bool
}

func (s *snapshotSink) ID() string { return fmt.Sprintf("%s%020d", snapshotPrefix, s.head.Index) }

func (s *snapshotSink) Write(p []byte) (int, error) {
	s.state = append(s.state, p...)
	return len(p), nil
}

func (s *snapshotSink) Close() error {
	if s.done {
		return nil
	}
	s.done = true
	if err := s.store.write(s.head, s.state); err != nil {
		return fmt.Errorf("raft snapshot %s: %w", s.ID(), err)
	}
	return nil
}

func (s *snapshotSink) Cancel() error {
	s.done = true
	return nil
}

// fsmState is what the state machine keeps beside the store. The store keeps it with the
// state at each index that the manifest covers.
type fsmState struct {
	LastTime  int64 // time of the last entry
	Proposals []proposalResult
	Requests  *dedup.Window
}

// proposalResult is the outcome of one proposal, for those who propose it again.
type proposalResult struct {
	id      uuid.UUID
	time    int64
	receipt Receipt
}

const (
	fsmStateVersion = 3
	proposalSize    = 16 + 8 + 8 + 4 + 4
)

// version u8 | last time i64 | count u32 | each: id 16 | time i64 | index u64 | stored u32 | duplicates u32
// | a dedup.Window
func (s *fsmState) encode() []byte {
	out := make([]byte, 0, 13+proposalSize*len(s.Proposals))
	out = append(out, fsmStateVersion)
	out = binary.LittleEndian.AppendUint64(out, uint64(s.LastTime))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(s.Proposals)))
	for i := range s.Proposals {
		p := &s.Proposals[i]
		out = append(out, p.id[:]...)
		out = binary.LittleEndian.AppendUint64(out, uint64(p.time))
		out = binary.LittleEndian.AppendUint64(out, p.receipt.Index)
		out = binary.LittleEndian.AppendUint32(out, uint32(p.receipt.Stored))
		out = binary.LittleEndian.AppendUint32(out, uint32(p.receipt.Duplicates))
	}
	return s.Requests.Append(out)
}

// decodeFSMState reads what encode wrote; nothing is the state before the first entry.
func decodeFSMState(raw []byte) (fsmState, error) {
	if len(raw) == 0 {
		return fsmState{Requests: &dedup.Window{}}, nil
	}
	if len(raw) < 13 {
		return fsmState{}, errors.New("state of the log ends too early")
	}
	if raw[0] != fsmStateVersion {
		return fsmState{}, fmt.Errorf("state of the log of version %d, this release knows %d: %w", raw[0], fsmStateVersion, errNeedsUpgrade)
	}
	s := fsmState{LastTime: int64(binary.LittleEndian.Uint64(raw[1:]))}
	count := uint64(binary.LittleEndian.Uint32(raw[9:]))
	raw = raw[13:]
	if uint64(len(raw)) < count*proposalSize {
		return fsmState{}, fmt.Errorf("state of the log: %d proposals in %d bytes", count, len(raw))
	}
	s.Proposals = make([]proposalResult, count)
	for i := range s.Proposals {
		p, at := &s.Proposals[i], raw[i*proposalSize:]
		copy(p.id[:], at)
		p.time = int64(binary.LittleEndian.Uint64(at[16:]))
		p.receipt.Index = binary.LittleEndian.Uint64(at[24:])
		p.receipt.Stored = int(binary.LittleEndian.Uint32(at[32:]))
		p.receipt.Duplicates = int(binary.LittleEndian.Uint32(at[36:]))
	}
	var err error
	if s.Requests, err = dedup.DecodeWindow(raw[count*proposalSize:]); err != nil {
		return fsmState{}, fmt.Errorf("state of the log: %w", err)
	}
	return s, nil
}
