package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// A reader that is stuck costs lines, and nothing else.
func TestLogWriterNeverWaits(t *testing.T) {
	r, w := io.Pipe() // a write waits for a read
	l := NewLogWriter(w)
	logger := slog.New(slog.NewTextHandler(l, nil))
	for i := range 2 * logLines {
		logger.Info("line", "n", i)
	}
	if n := l.Dropped(); n < logLines-1 {
		t.Errorf("%d lines dropped, want at least %d", n, logLines-1)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Flush(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush to a stuck reader = %v", err)
	}
	got := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		got <- string(all)
	}()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	text := <-got
	if n := strings.Count(text, "\n"); int64(n)+l.Dropped() != 2*logLines {
		t.Errorf("%d lines written and %d dropped, want %d together", n, l.Dropped(), 2*logLines)
	}
	if !strings.Contains(text, " n=0\n") || strings.Contains(text, " n=8000\n") {
		t.Error("the lines that stayed are not the first ones")
	}
}

func TestLogWriterOrder(t *testing.T) {
	var out bytes.Buffer
	l := NewLogWriter(&out)
	want := ""
	for range 100 {
		for _, s := range []string{"a\n", "b\n"} {
			io.WriteString(l, s)
			want += s
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != want || l.Dropped() != 0 {
		t.Errorf("%d bytes written, want %d, in order", out.Len(), len(want))
	}
	io.WriteString(l, "late\n")
	if l.Dropped() != 1 {
		t.Error("a line after the end is not counted")
	}
}

func TestLogWriterBytes(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	l := NewLogWriter(w)
	line := bytes.Repeat([]byte("x"), logBytes/4)
	for range 10 {
		l.Write(line)
	}
	if n := l.Dropped(); n < 5 {
		t.Errorf("%d of 10 lines of a quarter of the ring dropped", n)
	}
	r.CloseWithError(io.EOF) // the writer's goroutine may go on
	l.Close(t.Context())
}
