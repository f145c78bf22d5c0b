package server

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// lockedBuffer is a log that may be read while others write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A stream of batches that is refused before its body ends leaves a connection that nobody
// uses again: net/http would panic.
func TestStreamEndsEarly(t *testing.T) {
	s := startNode(t)
	said := &lockedBuffer{}
	log.SetOutput(said)
	defer log.SetOutput(os.Stderr)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(text string) {
		t.Helper()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	send("POST /api/projects/1/batches/ HTTP/1.1\r\nHost: " + s.addr + "\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\xff\xff\xff\xff\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
		t.Fatalf("answer = %+v, %v, want one that ends the connection", resp, err)
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, "the limit is 32 MB") {
		t.Fatalf("line = %q, %v", line, err)
	}
	send("0\r\n\r\n")
	io.Copy(io.Discard, conn) //nolint:errcheck // until the server closes it
	s.stop()
	if strings.Contains(said.String(), "panic") {
		t.Errorf("the log has\n%s", said)
	}
}
