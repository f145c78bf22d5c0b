package vfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"testing"
	"time"
)

// toyLog is a log as small as one can be that survives crashes: files of records, of which
// the newest with a header counts. Each start begins a new file, in the blocks of the one
// that the newest replaces.
//
// A file is a header (crc, file number, records before) and records (length, crc, data). The
// checksums cover the file number, so that old records in a recycled file are not taken for
// new ones.
type toyLog struct {
	fs     FS
	broken string // the mistake it makes
	file   File
	number uint64
	end    int64
	count  uint64 // records ever
}

const (
	toyHeader = 20
	toyRecord = 8
	toyBytes  = 16 << 10
)

func toySum(number uint64, raw []byte) uint32 {
	sum := crc32.ChecksumIEEE(binary.LittleEndian.AppendUint64(nil, number))
	return crc32.Update(sum, crc32.IEEETable, raw)
}

func toyName(number uint64) string { return fmt.Sprintf("log/%08d", number) }

// openToy recovers the log and gives the records of the newest file and how many there
// were before them.
func openToy(fs FS, broken string) (l *toyLog, before uint64, records [][]byte, err error) {
	if err := fs.MkdirAll("log"); err != nil {
		return nil, 0, nil, err
	}
	names, err := fs.List("log")
	if err != nil {
		return nil, 0, nil, err
	}
	l = &toyLog{fs: fs, broken: broken}
	spare, highest := "", uint64(0)
	for i := len(names) - 1; i >= 0; i-- {
		number, err := strconv.ParseUint(names[i], 10, 64)
		if err != nil {
			return nil, 0, nil, err
		}
		highest = max(highest, number)
		raw, err := ReadFile(fs, path.Join("log", names[i]), 1<<20)
		if err != nil {
			return nil, 0, nil, err
		}
		if l.number > 0 || len(raw) < toyHeader || binary.LittleEndian.Uint64(raw[4:]) != number ||
			binary.LittleEndian.Uint32(raw) != toySum(number, raw[4:toyHeader]) {
			spare = path.Join("log", names[i])
			continue
		}
		l.number, before = number, binary.LittleEndian.Uint64(raw[12:])
		records = l.records(raw[toyHeader:])
	}
	l.count = before + uint64(len(records))
	l.number = highest
	return l, before, records, l.begin(spare)
}

func (l *toyLog) records(raw []byte) (out [][]byte) {
	for len(raw) >= toyRecord {
		n := binary.LittleEndian.Uint32(raw)
		if n == 0 || int(n) > len(raw)-toyRecord {
			break
		}
		data := raw[toyRecord : toyRecord+n]
		number := l.number
		if l.broken == "no file number in checksums" {
			number = 0
		}
		if binary.LittleEndian.Uint32(raw[4:]) != toySum(number, data) && l.broken != "no checksums" {
			break
		}
		out, raw = append(out, data), raw[toyRecord+n:]
	}
	return out
}

// begin starts a new file.
func (l *toyLog) begin(spare string) (err error) {
	l.number++
	if spare != "" {
		l.file, err = l.fs.ReuseForWrite(spare, toyName(l.number))
	} else if l.file, err = l.fs.Create(toyName(l.number)); err == nil {
		err = l.file.Preallocate(toyBytes)
	}
	if err != nil {
		return err
	}
	h := binary.LittleEndian.AppendUint64(make([]byte, 4), l.number)
	h = binary.LittleEndian.AppendUint64(h, l.count)
	binary.LittleEndian.PutUint32(h, toySum(l.number, h[4:]))
	if _, err := l.file.WriteAt(h, 0); err != nil {
		return err
	}
	l.end = toyHeader
	if err := l.file.SyncData(); err != nil || l.broken == "directory not synced" {
		return err
	}
	return l.fs.SyncDir("log")
}

// append makes records durable.
func (l *toyLog) append(records [][]byte) error {
	var bufs [][]byte
	size := 0
	for _, r := range records {
		number := l.number
		if l.broken == "no file number in checksums" {
			number = 0
		}
		h := binary.LittleEndian.AppendUint32(nil, uint32(len(r)))
		bufs = append(bufs, binary.LittleEndian.AppendUint32(h, toySum(number, r)), r)
		size += toyRecord + len(r)
	}
	if err := l.file.WriteVecAt(bufs, l.end); err != nil {
		return err
	}
	l.end += int64(size)
	l.count += uint64(len(records))
	if l.broken == "not synced" {
		return nil
	}
	return l.file.SyncData()
}

// toyWorld runs a toy log through crashes and knows what it must hold.
type toyWorld struct {
	rng     *rand.Rand
	disk    *Mem
	broken  string
	acked   uint64   // records that were acknowledged
	written [][]byte // records that may be there, from the first in the file
	first   uint64   // how many were before those
}

var errPower = errors.New("power")

// cycle starts the log, holds it against what was written, appends, and crashes at one of
// its operations.
func (w *toyWorld) cycle() error {
	l, before, records, err := openToy(w.disk, w.broken)
	if err != nil {
		return err
	}
	count := before + uint64(len(records))
	switch {
	case count < w.acked:
		return fmt.Errorf("%d records, %d were acknowledged", count, w.acked)
	case count > w.first+uint64(len(w.written)):
		return fmt.Errorf("%d records, %d were ever written", count, w.first+uint64(len(w.written)))
	}
	for i, r := range records {
		if n := before + uint64(i); n >= w.first && !bytes.Equal(r, w.written[n-w.first]) {
			return fmt.Errorf("record %d is not what was written", n)
		}
	}
	w.acked, w.first, w.written = count, count, w.written[:0]
	stop := w.rng.IntN(12) // operations until the power fails
	w.disk.Hook = func(op, name string) error {
		if stop--; stop < 0 {
			return errPower
		}
		return nil
	}
	for {
		batch := make([][]byte, 1+w.rng.IntN(4))
		for i := range batch {
			batch[i] = make([]byte, 1+w.rng.IntN(300))
			for j := range batch[i] {
				batch[i][j] = byte(w.rng.Uint32())
			}
		}
		w.written = append(w.written, batch...)
		if err := l.append(batch); err != nil {
			break
		}
		w.acked += uint64(len(batch))
	}
	if w.rng.IntN(4) == 0 { // in the middle of the next start
		w.disk = w.disk.Crash(w.rng)
		stop = w.rng.IntN(4)
		w.disk.Hook = func(op, name string) error {
			if stop--; stop < 0 {
				return errPower
			}
			return nil
		}
		openToy(w.disk, w.broken) // its error is the crash
	}
	w.disk = w.disk.Crash(w.rng)
	return nil
}

func newToyWorld(seed uint64, broken string) *toyWorld {
	return &toyWorld{rng: newRand(seed), disk: NewMem(), broken: broken}
}

// PRICKLE_CYCLES crashes of a small log, PRICKLE_SEED for another course: what was
// acknowledged is there, and nothing that never was.
func TestCrashCycles(t *testing.T) {
	cycles, seed := envNumber(t, "PRICKLE_CYCLES", 2000), envNumber(t, "PRICKLE_SEED", 1)
	start := time.Now()
	w := newToyWorld(uint64(seed), "")
	for i := range cycles {
		if err := w.cycle(); err != nil {
			t.Fatalf("PRICKLE_SEED=%d, cycle %d: %v", seed, i, err)
		}
	}
	t.Logf("%d cycles, %d records, %.0f cycles/s", cycles, w.acked, float64(cycles)/time.Since(start).Seconds())
}

// A log that makes a mistake is found out.
func TestCrashFindsMistakes(t *testing.T) {
	for _, broken := range []string{"not synced", "directory not synced", "no checksums", "no file number in checksums"} {
		w := newToyWorld(1, broken)
		caught := false
		for i := 0; i < 2000 && !caught; i++ {
			caught = w.cycle() != nil
		}
		if !caught {
			t.Errorf("%s: 2000 crashes do not notice", broken)
		}
	}
}

func BenchmarkCrashCycle(b *testing.B) {
	w := newToyWorld(1, "")
	for b.Loop() {
		must(b, w.cycle())
	}
}

func envNumber(t *testing.T, name string, otherwise int) int {
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q is not a number", name, text)
	}
	return n
}
