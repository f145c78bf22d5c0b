package capture

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// Lines cuts a stream into chunks of whole lines. A line beyond the limit is passed over
// without being held.
type Lines struct {
	r    io.Reader
	rest []byte // of a line whose end is not read yet
	line int64  // number of the line that rest starts
	err  error
	max  int // bytes of a line
}

// Chunk is whole lines of a stream; the last line of all may lack its end.
type Chunk struct {
	Data      []byte // the caller's, until Free
	FirstLine int64
	Bytes     int64    // read from the stream for it
	Rejects   []Reject // lines that are too long
}

// chunks holds *[]byte of chunks that were given back.
var chunks sync.Pool

// Free gives the memory of a chunk back, of which nothing may be used any more.
func (c *Chunk) Free() {
	if data := c.Data; cap(data) <= 2*ChunkBytes {
		c.Data = nil
		chunks.Put(&data)
	}
}

// newChunk is room for a chunk, with what was read of it already.
func newChunk(start []byte) []byte {
	if b, _ := chunks.Get().(*[]byte); b != nil && cap(*b)-len(start) >= ChunkBytes/2 {
		return append((*b)[:0], start...)
	}
	return append(make([]byte, 0, len(start)+ChunkBytes), start...)
}

// NewLines cuts r.
func NewLines(r io.Reader) *Lines { return &Lines{r: r, line: 1, max: MaxLineBytes} }

// Next is the next chunk. At the end of the stream it is io.EOF.
func (l *Lines) Next() (Chunk, error) {
	out := Chunk{FirstLine: l.line}
	if l.err != nil {
		return out, l.err
	}
	data := newChunk(l.rest)
	l.rest = nil
	for {
		for len(data) < cap(data) && l.err == nil {
			var n int
			n, l.err = l.r.Read(data[len(data):cap(data)])
			data = data[:len(data)+n]
			out.Bytes += int64(n)
		}
		if l.err == io.EOF {
			break
		}
		if end := bytes.LastIndexByte(data, '\n'); end >= 0 {
			l.rest = bytes.Clone(data[end+1:])
			data = data[:end+1]
			break
		}
		if l.err != nil { // what was read of the last line is not a line
			data = data[:0]
			break
		}
		if len(data) > l.max {
			// Only whole lines go before it, so the long line stands alone.
			reject, tail, read := l.pass(data)
			out.Bytes += read
			out.Rejects = append(out.Rejects, reject)
			out.FirstLine++
			data = newChunk(tail)
			continue
		}
		grown := make([]byte, len(data), 2*cap(data))
		copy(grown, data)
		data = grown
	}
	out.Data = data
	l.line = out.FirstLine + int64(bytes.Count(data, []byte("\n")))
	if len(data) > 0 || len(out.Rejects) > 0 || l.err == nil {
		return out, nil
	}
	return out, l.err
}

// pass reads to the end of a line that is too long, of which head was read.
func (l *Lines) pass(head []byte) (reject Reject, tail []byte, read int64) {
	size := int64(len(head))
	buffer := make([]byte, 64<<10)
	number := l.line
	for l.err == nil {
		var n int
		n, l.err = l.r.Read(buffer)
		read += int64(n)
		if end := bytes.IndexByte(buffer[:n], '\n'); end >= 0 {
			size += int64(end)
			tail = buffer[end+1 : n]
			break
		}
		size += int64(n)
	}
	l.line++
	return Reject{number, BadTooLarge, fmt.Sprintf("the line has %d bytes; the limit is %d", size, l.max),
		bytes.Clone(head[:min(len(head), 1000)])}, tail, read
}
