package session

import (
	"io"

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
