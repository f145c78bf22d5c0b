package main

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// A server that dies before it answers ends an import, which does not wait for it.
func TestStreamToDyingServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
		}
		conn.Close()
	}()
	ended := make(chan error, 1)
	go func() {
		_, err := openStream(t.Context(), newRemote(l.Addr().String()), 1)
		ended <- err
	}()
	select {
	case err := <-ended:
		var p *problem
		if !errors.As(err, &p) || p.Code != "unreachable" {
			t.Errorf("openStream: %v, want that the server cannot be reached", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for a server that is gone")
	}
}
