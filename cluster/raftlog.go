package cluster

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// logStore is what a Raft log on disk must do for us: hold entries, and hold the term and
// the vote. raft-wal is the first one; raft.InmemStore serves tests in memory.
type logStore interface {
	raft.LogStore
	raft.StableStore
}

// openLog opens the log that lives in dir, which exists.
func openLog(dir string, logger *slog.Logger) (logStore, error) {
	w, err := wal.Open(dir,
		wal.WithCodec(recordCodec{}),
		wal.WithSegmentSize(64<<20), // of disk: the spare file is allocated whole
		wal.WithLogger(raftLogger(logger)))
	if err != nil {
		return nil, fmt.Errorf("raft log %s: %w", dir, err)
	}
	return w, nil
}

// recordCodec writes a log record with a checksum over all of it. The stock codec has
// none, and gave wrong bytes for every single-bit flip that was tried.
//
//	index u64 | term u64 | type u8 | appended at, ns i64 | extension length u32 | extensions | data | crc32c u32
type recordCodec struct{}

const recordFixed = 8 + 8 + 1 + 8 + 4

func (recordCodec) ID() uint64 { return wal.FirstExternalCodecID + 1 }

func (recordCodec) Encode(l *raft.Log, w io.Writer) error {
	head := make([]byte, 0, recordFixed+len(l.Extensions))
	head = binary.LittleEndian.AppendUint64(head, l.Index)
	head = binary.LittleEndian.AppendUint64(head, l.Term)
	head = append(head, byte(l.Type))
	var at int64
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	head = binary.LittleEndian.AppendUint64(head, uint64(at))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(l.Extensions)))
	head = append(head, l.Extensions...)
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, l.Data)
	for _, part := range [][]byte{head, l.Data, binary.LittleEndian.AppendUint32(nil, sum)} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Decode copies what it keeps: src is used again by the log.
func (recordCodec) Decode(src []byte, l *raft.Log) error {
	if len(src) < recordFixed+4 {
		return fmt.Errorf("log record of %d bytes, the least is %d", len(src), recordFixed+4)
	}
	body := src[:len(src)-4]
	got, want := crc32.Checksum(body, castagnoli), binary.LittleEndian.Uint32(src[len(body):])
	if got != want {
		return fmt.Errorf("log record of %d bytes: checksum %08x, want %08x", len(src), got, want)
	}
	extensions := uint64(binary.LittleEndian.Uint32(body[25:]))
	if extensions > uint64(len(body)-recordFixed) {
		return fmt.Errorf("log record of %d bytes: %d bytes of extensions", len(src), extensions)
	}
	l.Index = binary.LittleEndian.Uint64(body)
	l.Term = binary.LittleEndian.Uint64(body[8:])
	l.Type = raft.LogType(body[16])
	l.AppendedAt = time.Time{}
	if at := int64(binary.LittleEndian.Uint64(body[17:])); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	rest := append([]byte(nil), body[recordFixed:]...)
	l.Extensions, l.Data = nil, rest[extensions:]
	if extensions > 0 {
		l.Extensions = rest[:extensions:extensions]
	}
	return nil
}

// guardedLog is the log as Raft sees it. It keeps what the manifest does not cover yet,
// and ends the process when a write fails: the library would only step down, win the next
// election and go on with a log of unknown content.
type guardedLog struct {
	logStore
	durable func() uint64 // index that segments and state files cover
	stop    func(error)   // does not return, but in tests
}

func (g *guardedLog) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

func (g *guardedLog) StoreLogs(logs []*raft.Log) error {
	err := g.logStore.StoreLogs(logs)
	if err != nil {
		g.stop(fmt.Errorf("raft log: write of entries %d to %d: %w", logs[0].Index, logs[len(logs)-1].Index, err))
	}
	return err
}

func (g *guardedLog) GetLog(index uint64, l *raft.Log) error {
	err := g.logStore.GetLog(index, l)
	if err == nil && l.Index != index {
		return fmt.Errorf("raft log: entry %d says that it is %d", index, l.Index)
	}
	return err
}

// DeleteRange deletes from the front no further than what is durable elsewhere. Deleting
// from the back is Raft's own business.
func (g *guardedLog) DeleteRange(low, high uint64) error {
	first, err := g.FirstIndex()
	if err != nil {
		return err
	}
	if low <= first {
		high = min(high, g.durable())
		if high < low {
			return nil
		}
	}
	if err := g.logStore.DeleteRange(low, high); err != nil {
		err = fmt.Errorf("raft log: deletion of entries %d to %d: %w", low, high, err)
		g.stop(err)
		return err
	}
	return nil
}

func (g *guardedLog) Set(key, value []byte) error {
	err := g.logStore.Set(key, value)
	if err != nil {
		g.stop(fmt.Errorf("raft log: write of %q: %w", key, err))
	}
	return err
}

func (g *guardedLog) SetUint64(key []byte, value uint64) error {
	err := g.logStore.SetUint64(key, value)
	if err != nil {
		g.stop(fmt.Errorf("raft log: write of %q: %w", key, err))
	}
	return err
}

// IsMonotonic tells Raft that the log has no gaps.
func (g *guardedLog) IsMonotonic() bool { return true }

var _ raft.MonotonicLogStore = (*guardedLog)(nil)

// raftLogger passes the library's errors on; what it warns of is ordinary with one voter.
func raftLogger(logger *slog.Logger) hclog.Logger {
	if logger == nil {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: "raft", Level: hclog.Error, DisableTime: true,
		Output: logWriter{logger},
	})
}

// logWriter makes a line of the library's log a line of ours.
type logWriter struct{ logger *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	text := string(line)
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	w.logger.Error(text)
	return len(line), nil
}
