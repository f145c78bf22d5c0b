package exec

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/prickledb/prickle/storage/vec"
)

// wordFile is a spill file of frames that are read in any order:
//
//	+--------+-----------------+-----+
//	| crc(4) | 4 for each word | ... |
//	+--------+-----------------+-----+
//
// The checksum, CRC32C, covers the words. Several goroutines may write.
type wordFile struct {
	file *spillFile

	mu   sync.Mutex
	next int64 // where the next frame is written
}

const frameHead = 4

// words makes a file of frames.
func (s *spills) words() (*wordFile, error) {
	file, err := s.create()
	return &wordFile{file: file}, err
}

// write adds a frame of lists of words, and gives its place. The frame's bytes are memory that is used again.
func (f *wordFile) write(frame *[]byte, lists ...[]uint32) (int64, error) {
	bytes := (*frame)[:0]
	bytes = binary.LittleEndian.AppendUint32(bytes, 0)
	for _, words := range lists {
		for _, x := range words {
			bytes = binary.LittleEndian.AppendUint32(bytes, x)
		}
	}
	binary.LittleEndian.PutUint32(bytes, crc32.Checksum(bytes[frameHead:], castagnoli))
	*frame = bytes
	f.mu.Lock()
	at := f.next
	f.next += int64(len(bytes))
	f.mu.Unlock()
	if err := f.file.writeAt(bytes, at); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.file.size += int64(len(bytes))
	return at, nil
}

// read reads the frame at a place into lists as long as those that were written.
func (f *wordFile) read(frame *[]byte, at int64, lists ...[]uint32) error {
	size := frameHead
	for _, words := range lists {
		size += 4 * len(words)
	}
	*frame = grow(*frame, size)
	bytes := *frame
	if n, err := f.file.file.ReadAt(bytes, at); n < size {
		return spillError(f.file.name, err)
	}
	rest := bytes[frameHead:]
	if sum, want := crc32.Checksum(rest, castagnoli), binary.LittleEndian.Uint32(bytes); sum != want {
		return spillError(f.file.name, fmt.Errorf("block at byte %d: checksum %08x, want %08x", at, sum, want))
	}
	for _, words := range lists {
		of := rest[:4*len(words)]
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(of[4*i:])
		}
		rest = rest[len(of):]
	}
	return nil
}

// filedValues is where the values of the rows of a stream are: for each batch of them the place of its
// frame plus one. 0 is no frame: no row of the batch matches, or it has not been written.
type filedValues struct {
	in     *wordFile
	places []int64
}

// fileValues has the values of streams go to a file, if an operator has room for one and those of so many
// bytes are much of what the query may hold. It gives how many bytes stay in memory. Streams that may be
// evaluated together with others stay there.
func (ix *indexed) fileValues(bytes int64) (int64, error) {
	spills := ix.need.spills
	if spills == nil || !ix.env.large(bytes) {
		return bytes, nil
	}
	in, err := spills.words()
	if err != nil {
		return 0, err
	}
	for _, list := range ix.streams {
		for _, s := range list {
			if n := s.rng.Hi - s.rng.Lo; n >= fewMorselRows {
				s.filed = &filedValues{in, make([]int64, (n+vec.BatchRows-1)/vec.BatchRows)}
				bytes -= 4*int64(n) - 8*int64(len(s.filed.places))
			}
		}
	}
	return bytes, nil
}

// write files the values of a batch of rows, in memory that may be used again.
func (v *filedValues) write(batch int, vals []uint32, frame *[]byte) error {
	at, err := v.in.write(frame, vals)
	v.places[batch] = at + 1
	return err
}

// frames is how many frames a goroutine keeps: those at the borders of blocks are asked for twice, and
// the rows of merged persons lie apart.
const frames = 16

// frameReader reads filed values of rows anywhere, for one goroutine.
type frameReader struct {
	kept  [frames]keptFrame
	frame []byte
	vals  []uint32 // of a window
}

type keptFrame struct {
	of    *stream
	batch int
	vals  []uint32
}

// of is the values of the batch of rows of a stream.
func (r *frameReader) of(s *stream, batch int) ([]uint32, error) {
	k := &r.kept[(int(s.list)+batch)%frames]
	if k.of == s && k.batch == batch {
		return k.vals, nil
	}
	if k.vals == nil {
		k.vals = make([]uint32, vec.BatchRows)
	}
	k.of = nil
	k.vals = k.vals[:min(vec.BatchRows, s.rng.Hi-s.rng.Lo-batch*vec.BatchRows)]
	if at := s.filed.places[batch] - 1; at < 0 {
		clear(k.vals)
	} else if err := s.filed.in.read(&r.frame, at, k.vals); err != nil {
		return nil, err
	}
	k.of, k.batch = s, batch
	return k.vals, nil
}

// copy fills dst with the values of rows from a row of the stream on.
func (r *frameReader) copy(dst []uint32, s *stream, row int) error {
	for at := row - s.rng.Lo; len(dst) > 0; {
		vals, err := r.of(s, at/vec.BatchRows)
		if err != nil {
			return err
		}
		n := copy(dst, vals[at%vec.BatchRows:])
		dst, at = dst[n:], at+n
	}
	return nil
}

func (r *frameReader) bytes() int64 {
	n := int64(4*cap(r.vals) + cap(r.frame))
	for i := range r.kept {
		n += int64(4 * cap(r.kept[i].vals))
	}
	return n
}

// valueWindow is breakdown values of rows of a segment, from a row on.
type valueWindow struct {
	vals  []uint32
	first int
}

// window is the values of the rows [from, to) of a stream at least, if it has values. It is valid until the
// next call.
func (r *frameReader) window(s *stream, from, to int) (valueWindow, error) {
	if s.filed == nil {
		return valueWindow{s.vals, s.rng.Lo}, nil
	}
	r.vals = grow(r.vals, to-from)
	return valueWindow{r.vals, from}, r.copy(r.vals, s, from)
}
