package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/klauspost/compress/s2"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// A spill file is batches one after the other, and means nothing after a crash:
//
//	+---------+-------------+--------+-----------------------+-----+
//	| size(4) | raw size(4) | crc(4) | batch, as one S2 block| ... |
//	+---------+-------------+--------+-----------------------+-----+
//
// The checksum, CRC32C, covers the raw size and the block; size is that of the block.
const spillHead = 12

// maxSpillBlock bounds the raw size of a batch that is believed: rows of the largest
// values that there are.
const maxSpillBlock = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SpillDir is where the queries of a process put what they cannot hold: a directory of
// files that live as long as an operator. It may be used by many goroutines.
type SpillDir struct {
	fs    vfs.FS
	dir   string
	limit int64 // bytes of all files
	used  atomic.Int64
	next  atomic.Uint64
}

// OpenSpillDir makes the directory, and removes what a process before has left there. All
// files together take limit bytes at most.
func OpenSpillDir(fs vfs.FS, dir string, limit int64) (*SpillDir, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := fs.Remove(path.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return &SpillDir{fs: fs, dir: dir, limit: limit}, nil
}

// Used is how many bytes spill files take now.
func (d *SpillDir) Used() int64 {
	if d == nil {
		return 0
	}
	return d.used.Load()
}

// spills is the spill files of one operator.
type spills struct {
	env  *Env
	node plan.Node // whose statistics count the bytes

	mu    sync.Mutex
	files map[*spillFile]struct{}
}

// spillFile is batches that one goroutine writes and, after that, one reads.
type spillFile struct {
	of   *spills
	name string
	file vfs.File
	size int64
	at   int64 // what has been read
	buf  []byte
	wire []byte
}

func (s *spills) create() (*spillFile, error) {
	d := s.env.Spill
	name := path.Join(d.dir, fmt.Sprintf("%08d.spill", d.next.Add(1)))
	file, err := d.fs.Create(name)
	if err != nil {
		return nil, spillError(name, err)
	}
	f := &spillFile{of: s, name: name, file: file}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[*spillFile]struct{}{}
	}
	s.files[f] = struct{}{}
	return f, nil
}

// close removes the files that are left.
func (s *spills) close() error {
	s.mu.Lock()
	files := s.files
	s.files = nil
	s.mu.Unlock()
	var first error
	for f := range files {
		if err := f.remove(); first == nil {
			first = err
		}
	}
	return first
}

// write adds a batch.
func (f *spillFile) write(b *vec.Batch) error {
	f.wire = vec.AppendBatch(f.wire[:0], b)
	if len(f.wire) > maxSpillBlock {
		return spillError(f.name, fmt.Errorf("a batch of %d bytes, at most %d are possible", len(f.wire), maxSpillBlock))
	}
	if most := spillHead + s2.MaxEncodedLen(len(f.wire)); cap(f.buf) < most {
		f.buf = make([]byte, most)
	}
	block := s2.Encode(f.buf[spillHead:cap(f.buf)], f.wire)
	frame := f.buf[:spillHead+len(block)]
	binary.LittleEndian.PutUint32(frame, uint32(len(block)))
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(f.wire)))
	binary.LittleEndian.PutUint32(frame[8:], f.sum(frame[4:8], block))
	return f.append(frame)
}

// append adds bytes.
func (f *spillFile) append(frame []byte) error {
	if err := f.writeAt(frame, f.size); err != nil {
		return err
	}
	f.size += int64(len(frame))
	return nil
}

// writeAt writes bytes that are new at a place, and counts them but for the file's size.
func (f *spillFile) writeAt(frame []byte, at int64) error {
	size := int64(len(frame))
	d := f.of.env.Spill
	if used := d.used.Add(size); used > d.limit {
		d.used.Add(-size)
		return pgerr.New(pgerr.DiskFull, "spill files of all queries would take more than %s", sizeText(d.limit)).
			WithHint("Narrow the time range, group by fewer values, or raise the setting spill_limit.")
	}
	if _, err := f.file.WriteAt(frame, at); err != nil {
		d.used.Add(-size)
		return spillError(f.name, err)
	}
	if p := f.of.env.Progress; p != nil {
		p.Spilled.Add(size)
	}
	if st := f.of.env.Stats.Node(f.of.node); st != nil {
		st.Spilled.Add(size)
	}
	return nil
}

func (f *spillFile) sum(rawSize, block []byte) uint32 {
	return crc32.Update(crc32.Checksum(rawSize, castagnoli), castagnoli, block)
}

// read gives the next batch, which is the caller's, or nil at the end; size is about what
// it takes in memory.
func (f *spillFile) read() (b *vec.Batch, size int64, err error) {
	if f.at == f.size {
		return nil, 0, nil
	}
	var head [spillHead]byte
	if n, err := f.file.ReadAt(head[:], f.at); n < len(head) {
		return nil, 0, spillError(f.name, err)
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	raw := int64(binary.LittleEndian.Uint32(head[4:]))
	if length > f.size-f.at-spillHead || raw > maxSpillBlock {
		return nil, 0, spillError(f.name, fmt.Errorf("block at byte %d: sizes %d and %d", f.at, length, raw))
	}
	if int64(cap(f.buf)) < length {
		f.buf = make([]byte, length)
	}
	block := f.buf[:length]
	if n, err := f.file.ReadAt(block, f.at+spillHead); n < len(block) {
		return nil, 0, spillError(f.name, err)
	}
	if sum, want := f.sum(head[4:8], block), binary.LittleEndian.Uint32(head[8:]); sum != want {
		return nil, 0, spillError(f.name, fmt.Errorf("block at byte %d: checksum %08x, want %08x", f.at, sum, want))
	}
	wire, err := s2.Decode(make([]byte, raw), block)
	if err == nil {
		b, err = vec.DecodeBatch(wire)
	}
	if err != nil {
		return nil, 0, spillError(f.name, fmt.Errorf("block at byte %d: %w", f.at, err))
	}
	f.at += spillHead + length
	return b, bytesOf(b.Cols) + raw, nil
}

// bytesOf is about how much memory columns take.
func bytesOf(cols []*vec.Vector) int64 {
	n := int64(0)
	for _, c := range cols {
		n += c.Bytes()
		if c.Form == vec.Dict {
			n += c.Dict.Bytes()
		}
	}
	return n
}

// done removes a file that was read.
func (f *spillFile) done() error {
	f.of.mu.Lock()
	delete(f.of.files, f)
	f.of.mu.Unlock()
	return f.remove()
}

func (f *spillFile) remove() error {
	d := f.of.env.Spill
	d.used.Add(-f.size)
	err := f.file.Close()
	if removing := d.fs.Remove(f.name); err == nil {
		err = removing
	}
	if err != nil {
		return spillError(f.name, err)
	}
	return nil
}

// spillError is what a client is told of a file that cannot be written or read.
func spillError(name string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return pgerr.New(pgerr.DiskFull, "the disk is full: spill file %s: %v", path.Base(name), err).
			WithHint("Narrow the time range, group by fewer values, or make room on the disk.")
	}
	return pgerr.New(pgerr.IOError, "spill file %s: %v", path.Base(name), err)
}

const (
	// maxBlockBytes is the size of the batches in spill files: large enough for the disk and
	// for compression. A merge holds one of each of its runs, so with little memory they
	// are smaller, down to minBlockBytes.
	maxBlockBytes = 256 << 10
	minBlockBytes = 4 << 10
	// fanIn is how many runs are merged at once, and fanOut into how many parts groups are
	// divided: with blocks of a 128th of the share, 16 of them take an eighth.
	fanIn      = 16
	fanOut     = 16
	blockShare = 128
)

// blockRows is how many rows to write as one batch, of so many that take so many bytes.
func (env *Env) blockRows(bytes int64, rows int) int {
	size := min(max(env.share()/blockShare, minBlockBytes), maxBlockBytes)
	each := max(1, bytes/int64(max(1, rows)))
	return int(min(max(1, size/each), vec.BatchRows))
}

// take is the given rows of columns, in that order.
func take(cols []*vec.Vector, rows []uint32) *vec.Batch {
	b := &vec.Batch{Rows: len(rows), Cols: make([]*vec.Vector, len(cols))}
	for i, c := range cols {
		b.Cols[i] = c.Take(rows)
	}
	return b
}
