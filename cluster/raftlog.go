package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/types"

	"github.com/prickledb/prickle/storage/encoding"
)

// logStore is what a Raft log on disk must do for us: hold entries, and hold the term and
// the vote. raft-wal is the first one; raft.InmemStore serves tests in memory.
type logStore interface {
	raft.LogStore
	raft.StableStore
}

// diskLog is raft-wal with a checksum over every record. Its own codec has none, and it
// gave wrong bytes for every single-bit flip that was tried; it cannot open a log written
// by another codec. So the checksum travels as the last four bytes of the extensions.
type diskLog struct {
	*wal.WAL
	meta *metadb.BoltMetaDB // WAL does not close it
}

// openLog opens the log that lives in dir, which exists.
func openLog(dir string, logger *slog.Logger) (logStore, error) {
	meta := &metadb.BoltMetaDB{}
	w, err := wal.Open(dir,
		wal.WithMetaStore(meta),
		wal.WithSegmentSize(64<<20), // of disk: the spare file is allocated whole
		wal.WithLogger(raftLogger(logger)))
	if err != nil {
		meta.Close() // err says what matters
		return nil, fmt.Errorf("raft log %s: %w", dir, err)
	}
	return diskLog{w, meta}, nil
}

func (d diskLog) Close() error { return errors.Join(d.WAL.Close(), d.meta.Close()) }

func (d diskLog) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d diskLog) StoreLogs(logs []*raft.Log) error {
	sealed := make([]raft.Log, len(logs))
	list := make([]*raft.Log, len(logs))
	for i, l := range logs {
		sealed[i] = *l
		sealed[i].Extensions = binary.LittleEndian.AppendUint32(append([]byte(nil), l.Extensions...), recordSum(l))
		list[i] = &sealed[i]
	}
	return d.WAL.StoreLogs(list)
}

func (d diskLog) GetLog(index uint64, l *raft.Log) error {
	if err := d.WAL.GetLog(index, l); err != nil {
		if errors.Is(err, types.ErrNotFound) {
			return raft.ErrLogNotFound
		}
		return err
	}
	if l.Index != index {
		return fmt.Errorf("raft log: record %d says that it is %d", index, l.Index)
	}
	return openRecord(l)
}

// openRecord checks a record's sum and takes it off.
func openRecord(l *raft.Log) error {
	rest := len(l.Extensions) - 4
	if rest < 0 {
		return fmt.Errorf("raft log: record %d has no checksum", l.Index)
	}
	want := binary.LittleEndian.Uint32(l.Extensions[rest:])
	if l.Extensions = l.Extensions[:rest]; rest == 0 {
		l.Extensions = nil
	}
	if got := recordSum(l); got != want {
		return fmt.Errorf("raft log: record %d of %d bytes: checksum %08x, want %08x", l.Index, len(l.Data), got, want)
	}
	return nil
}

// recordSum covers all of a record that Raft decides by.
func recordSum(l *raft.Log) uint32 {
	var head [8 + 8 + 1 + 4]byte
	binary.LittleEndian.PutUint64(head[:], l.Index)
	binary.LittleEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	binary.LittleEndian.PutUint32(head[17:], uint32(len(l.Extensions)))
	sum := crc32.Update(crc32.Checksum(head[:], encoding.Table), encoding.Table, l.Extensions)
	return crc32.Update(sum, encoding.Table, l.Data)
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
