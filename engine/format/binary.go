package format

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/prickledb/prickle/engine/pgerr"
)

// The binary form of COPY:
//
//	+---------------+----------+------------------+-----------+
//	| signature(11) | flags(4) | size of more (4) | more      |
//	+---------------+----------+------------------+-----------+
//	| fields(2) | size(4), -1: null | value | ...           | a row
//	+-----------+-------------------+-------+---------------+
//	| -1 (2)    |                                           end
//	+-----------+
const signature = "PGCOPY\n\xff\r\n\x00"

const headSize = len(signature) + 8

// tupleCutter cuts the binary form into pieces of whole rows.
type tupleCutter struct {
	r    *Reader
	in   io.Reader
	buf  *bufio.Reader
	row  int64
	done bool
}

var errShort = badFormat("unexpected EOF in COPY data")

// short is the error for a stream that ends too early; any other stays.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}

func (c *tupleCutter) head() error {
	c.buf = bufio.NewReaderSize(c.in, 256<<10)
	var head [headSize]byte
	if _, err := io.ReadFull(c.buf, head[:]); err != nil || string(head[:len(signature)]) != signature {
		if err != nil && short(err) != errShort {
			return err
		}
		return badFormat("COPY file signature not recognized")
	}
	flags, more := binary.BigEndian.Uint32(head[11:]), int32(binary.BigEndian.Uint32(head[15:]))
	switch {
	case flags&(1<<16) != 0:
		return badFormat("invalid COPY file header (WITH OIDS)")
	case flags>>16 != 0:
		return badFormat("unrecognized critical flags in COPY file header")
	case more < 0:
		return badFormat("invalid COPY file header (wrong length)")
	}
	_, err := io.CopyN(io.Discard, c.buf, int64(more))
	return short(err)
}

func (c *tupleCutter) next() (*Piece, error) {
	if c.buf == nil {
		if err := c.head(); err != nil {
			return nil, err
		}
	}
	p := &Piece{raw: c.r.buffer(), line: c.row}
	for !c.done && len(p.raw) < c.r.piece {
		var err error
		if p.raw, err = c.tuple(p.raw); err != nil {
			return nil, c.r.at(err, c.row, "", nil)
		}
		if !c.done {
			c.row++
		}
	}
	if len(p.raw) == 0 {
		// What comes behind the end is read and means nothing.
		_, err := io.Copy(io.Discard, c.buf)
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	return p, nil
}

// tuple adds one row.
func (c *tupleCutter) tuple(dst []byte) ([]byte, error) {
	var word [4]byte
	switch _, err := io.ReadFull(c.buf, word[:2]); {
	case errors.Is(err, io.EOF): // some clients do not send the end
		c.done = true
		return dst, nil
	case err != nil:
		return dst, short(err)
	}
	fields := int16(binary.BigEndian.Uint16(word[:2]))
	if fields == -1 {
		c.done = true
		return dst, nil
	}
	if int(fields) != len(c.r.columns) {
		return dst, badFormat("row field count is %d, expected %d", fields, len(c.r.columns))
	}
	start := len(dst)
	for range fields {
		if _, err := io.ReadFull(c.buf, word[:]); err != nil {
			return dst, short(err)
		}
		size := int32(binary.BigEndian.Uint32(word[:]))
		dst = append(dst, word[:]...)
		switch {
		case size == -1:
			continue
		case size < 0:
			return dst, badFormat("invalid field size")
		case len(dst)-start+int(size) > maxRow:
			return dst, pgerr.New(pgerr.ProgramLimitExceeded, "a row of more than %d MB", maxRow>>20)
		}
		for left := int(size); left > 0; { // no more memory than there are bytes
			n := min(left, pieceBytes)
			at := len(dst)
			dst = slices.Grow(dst, n)[:at+n]
			if _, err := io.ReadFull(c.buf, dst[at:]); err != nil {
				return dst, short(err)
			}
			left -= n
		}
	}
	return dst, nil
}

// tuples reads a piece of the binary form.
func (d *Decoder) tuples(p *Piece) error {
	row := p.line
	for raw := p.raw; len(raw) > 0; row++ {
		for c := range d.cols {
			size := int32(binary.BigEndian.Uint32(raw))
			raw = raw[4:]
			var err error
			if size < 0 {
				err = d.null(c)
			} else {
				err = d.inputs[c].Binary(d.r.ctx, d.cols[c].V, raw[:size])
				raw = raw[size:]
			}
			if err != nil {
				return d.r.at(err, row, d.r.columns[c].Name, nil)
			}
		}
		if len(d.cols) == 0 {
			return nil
		}
		d.row(row)
	}
	return nil
}
