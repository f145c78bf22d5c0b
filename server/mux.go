package server

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/prickledb/prickle/server/pgwire"
)

// notOurs is what a client gets that speaks neither protocol.
const notOurs = "This port speaks HTTP and the PostgreSQL protocol. Try http:// or postgres:// with this address.\n"

// dispatch reads the first byte of a connection and hands it to whom it is for. Until
// then the connection ends with accepting, afterwards with hard.
func (s *Server) dispatch(accepting, hard context.Context, nc net.Conn) {
	stop := context.AfterFunc(accepting, func() { nc.Close() }) //nolint:errcheck // the server ends, the client sees it
	defer stop()
	nc.SetReadDeadline(time.Now().Add(firstByteTimeout)) //nolint:errcheck // the read tells
	var first [1]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil {
		nc.Close() //nolint:errcheck // it said nothing
		return
	}
	nc.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read tells
	stop()
	c := &peeked{Conn: nc, first: first[0], unread: true}
	switch {
	case first[0] == 0:
		s.pg.Serve(hard, c)
	case first[0] == tlsHandshake && s.config.TLS != nil:
		s.secured(accepting, hard, c)
	case first[0] >= 'A' && first[0] <= 'Z':
		s.web.give(c)
	default:
		s.metrics.strangers.Add(1)
		nc.SetDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the write tells
		_, _ = io.WriteString(nc, notOurs)          // a client that has gone needs no explanation
		if t, ok := nc.(interface{ CloseWrite() error }); ok {
			// Closing with input unread would throw the explanation away.
			t.CloseWrite()                                  //nolint:errcheck // as above
			io.Copy(io.Discard, io.LimitReader(nc, 64<<10)) //nolint:errcheck // as above
		}
		nc.Close() //nolint:errcheck // as above
	}
}

// tlsHandshake is the first byte of a client that begins with TLS.
const tlsHandshake = 0x16

// secured makes the handshake of a client that begins with TLS, and hands it to whom it is
// for: ALPN says so for PostgreSQL, which must come with it, and everything else is HTTP.
func (s *Server) secured(accepting, hard context.Context, nc net.Conn) {
	ctx, cancel := context.WithTimeout(accepting, firstByteTimeout)
	defer cancel()
	tc, err := pgwire.Secure(ctx, nc, s.config.TLS, pgwire.ALPN, "http/1.1")
	switch {
	case err != nil:
		s.metrics.strangers.Add(1)
		nc.Close() //nolint:errcheck // the handshake has told the client
	case tc.Protocol() == pgwire.ALPN:
		s.pg.Serve(hard, tc)
	default:
		s.web.give(tc)
	}
}

// peeked is a connection whose first byte was read ahead.
type peeked struct {
	net.Conn
	first  byte
	unread bool
}

func (c *peeked) Read(p []byte) (int, error) {
	if c.unread && len(p) > 0 {
		c.unread = false
		p[0] = c.first
		return 1, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite lets the other side know that nothing more will come.
func (c *peeked) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return errors.ErrUnsupported
}

// handOver is the listener of the HTTP server: what dispatch gives, it accepts.
type handOver struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandOver(addr net.Addr) *handOver {
	return &handOver{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handOver) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close() //nolint:errcheck // the server ends, the client sees it
	}
}

// Accept implements net.Listener.
func (h *handOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handOver) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handOver) Addr() net.Addr { return h.addr }
