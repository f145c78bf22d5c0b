package pgwire

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/bind"
)

// copyFormats is the format of a COPY as a whole, and of each of its columns.
func copyFormats(c *bind.Copy) (byte, []uint16) {
	code := byte(0)
	if c.Options.Kind.Bytes() {
		code = 1
	}
	columns := make([]uint16, len(c.Schema))
	for i := range columns {
		columns[i] = uint16(code)
	}
	return code, columns
}

// copyIn is the rows that the client sends for a COPY: CopyData until CopyDone. One goroutine
// reads, while nobody else does.
type copyIn struct {
	c      *conn
	left   int // bytes of the message at hand
	done   bool
	closed atomic.Bool
}

// copyIn asks the client for rows.
func (c *conn) copyIn(b *bind.Copy) (io.ReadCloser, error) {
	c.unwatch()
	code, columns := copyFormats(b)
	c.notices()
	c.send(&pgproto3.CopyInResponse{OverallFormat: code, ColumnFormatCodes: columns})
	if err := c.flush(); err != nil {
		return nil, session.ErrGone
	}
	c.copying = &copyIn{c: c}
	return c.copying, nil
}

// endCopyIn gives the input back. What the client has yet to send of the rows is ignored, as
// messages; of one that was begun, here.
func (c *conn) endCopyIn() {
	in := c.copying
	if in == nil {
		return
	}
	c.copying = nil
	c.nc.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read will tell
	if _, err := c.in.Discard(in.left); err != nil {
		c.outErr = io.EOF
	}
}

// Close implements io.Closer.
func (in *copyIn) Close() error {
	in.closed.Store(true)
	return in.c.nc.SetReadDeadline(time.Unix(1, 0))
}

// Read implements io.Reader.
func (in *copyIn) Read(p []byte) (int, error) {
	for in.left == 0 {
		if in.done {
			return 0, io.EOF
		}
		if err := in.message(); err != nil {
			return 0, err
		}
	}
	n, err := in.c.in.Read(p[:min(len(p), in.left)])
	in.left -= n
	if n > 0 {
		return n, nil
	}
	return 0, in.failed(err)
}

// failed is why a read failed; nil if it is to be tried again.
func (in *copyIn) failed(err error) error {
	switch {
	case err == nil:
	case in.closed.Load():
		return err
	case errors.Is(err, os.ErrDeadlineExceeded): // drain: the statement may end
		in.c.nc.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read will tell
		if in.closed.Load() {                // it came between
			return err
		}
	default:
		return session.ErrGone
	}
	return nil
}

// message reads the head of the next message, and all of it if it brings no rows.
func (in *copyIn) message() error {
	c := in.c
	head, err := c.in.Peek(5)
	if err != nil {
		return in.failed(err)
	}
	limit := c.server.MaxMessage
	if limit == 0 {
		limit = DefaultMaxMessage
	}
	kind, size := head[0], int(binary.BigEndian.Uint32(head[1:]))-4
	if size < 0 {
		return fatal(pgerr.ProtocolViolation, "invalid message length")
	}
	switch kind {
	case 'd':
		c.in.Discard(5) //nolint:errcheck // it was seen
		in.left = size
		return nil
	case 'c', 'f', 'H', 'S':
	case 'X':
		return session.ErrGone
	default:
		return fatal(pgerr.ProtocolViolation, "unexpected message type 0x%02X during COPY from stdin", kind)
	}
	_, body, err := readMessage(c.in, nil, limit)
	if err != nil {
		return session.ErrGone
	}
	switch kind {
	case 'c':
		in.done = true
	case 'f':
		var m pgproto3.CopyFail
		if err := m.Decode(body); err != nil {
			return malformed(err)
		}
		in.done = true
		return pgerr.New(pgerr.QueryCanceled, "COPY from stdin failed: %s", m.Message)
	}
	return nil
}

// copyOut sends the rows of a COPY TO STDOUT.
func (c *conn) copyOut(p *session.Portal) error {
	code, columns := copyFormats(p.Copy)
	c.send(&pgproto3.CopyOutResponse{OverallFormat: code, ColumnFormatCodes: columns})
	w, err := format.NewWriter(copyData{c}, p.Copy.Options, p.Copy.Schema, c.s.Context())
	if err != nil {
		return err
	}
	n, err := p.WriteTo(w)
	if err != nil {
		return err
	}
	c.send(&pgproto3.CopyDone{})
	c.complete(p, n)
	return nil
}

// copyData sends each write as a CopyData message.
type copyData struct{ c *conn }

// Write implements io.Writer.
func (d copyData) Write(p []byte) (int, error) {
	c := d.c
	c.out = append(c.out, 'd')
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(len(p)+4))
	c.out = append(c.out, p...)
	if len(c.out) >= flushBytes {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
