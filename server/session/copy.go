package session

import (
	"bufio"
	"io"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/sql/bind"
)

// copying prepares a COPY: where its rows come from, or that the client gets them as a stream.
func (p *Portal) copying(scope *Scope, c *bind.Copy) {
	switch {
	case c.File != "":
	case !c.From:
		p.Copy = c
	case p.Input != nil:
		scope.Input = func() (io.ReadCloser, error) {
			p.consumed = true
			return p.Input(c)
		}
	}
}

// copyBuffer is how many bytes are written to a file at once.
const copyBuffer = 1 << 20

// copyToFile carries out COPY TO a file. The file appears when all of it is written.
func (p *Portal) copyToFile(c *bind.Copy) (err error) {
	s := p.session
	file, err := s.config.Engine.Files().Create(p.ctx, c.File)
	if err != nil {
		return engine.FileError(err)
	}
	defer func() {
		if err != nil {
			file.Abort()
		}
	}()
	out := bufio.NewWriterSize(file, copyBuffer)
	w, err := format.NewWriter(out, c.Options, c.Schema, s.Context())
	if err != nil {
		return err
	}
	n, err := p.WriteTo(w)
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return engine.FileError(err)
	}
	if err := file.Commit(); err != nil {
		return engine.FileError(err)
	}
	p.tag = p.Tag(n)
	return nil
}

// WriteTo writes all rows that the portal gives, and says how many there were. It is called
// inside Run.
func (p *Portal) WriteTo(w format.Writer) (n int, err error) {
	for {
		b, lo, hi, err := p.Take(0)
		if err != nil {
			return n, err
		}
		if b == nil {
			return n, w.Close()
		}
		if err := w.Rows(b, lo, hi); err != nil {
			return n, err
		}
		n += hi - lo
	}
}
