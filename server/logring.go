package server

import (
	"context"
	"io"
	"sync"
)

// Bounds of a LogWriter: what may wait for a reader that is slow. A line of the log is a few
// hundred bytes.
const (
	logLines = 4096
	logBytes = 1 << 20
)

// LogWriter is where a logger writes its lines without ever waiting: a pipe that nobody
// reads must not hold up reads and writes. Lines wait in a bounded ring for a goroutine that
// writes them; what does not fit is dropped and counted. It may be used by many goroutines.
type LogWriter struct {
	w io.Writer

	mu      sync.Mutex
	moved   *sync.Cond // lines came or went, or the end
	lines   [][]byte   // oldest first
	bytes   int
	writing bool
	dropped int64
	closed  bool
	done    chan struct{}
}

// NewLogWriter starts a writer to w. The caller closes it.
func NewLogWriter(w io.Writer) *LogWriter {
	l := &LogWriter{w: w, done: make(chan struct{})}
	l.moved = sync.NewCond(&l.mu)
	go l.run()
	return l
}

// Write takes a copy of one line. It never waits and never fails.
func (l *LogWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.lines) >= logLines || l.bytes+len(line) > logBytes {
		l.dropped++
		return len(line), nil
	}
	l.lines = append(l.lines, append([]byte(nil), line...))
	l.bytes += len(line)
	l.moved.Broadcast()
	return len(line), nil
}

// Dropped is how many lines there was no room for.
func (l *LogWriter) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

func (l *LogWriter) run() {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.lines) == 0 && !l.closed {
			l.moved.Wait()
		}
		if len(l.lines) == 0 {
			return
		}
		line := l.lines[0]
		l.lines[0] = nil
		l.lines = l.lines[1:]
		l.bytes -= len(line)
		l.writing = true
		l.mu.Unlock()
		_, err := l.w.Write(line)
		l.mu.Lock()
		l.writing = false
		if err != nil { // there is nowhere to tell it
			l.dropped++
		}
		l.moved.Broadcast()
	}
}

// Flush returns when everything is written that was taken before, or when ctx ends.
func (l *LogWriter) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.moved.Broadcast()
	})()
	l.mu.Lock()
	defer l.mu.Unlock()
	for (len(l.lines) > 0 || l.writing) && ctx.Err() == nil {
		l.moved.Wait()
	}
	return ctx.Err()
}

// Close flushes as long as ctx allows, and ends the writer. A write that is stuck is left
// behind.
func (l *LogWriter) Close(ctx context.Context) error {
	err := l.Flush(ctx)
	l.mu.Lock()
	l.closed = true
	if err != nil {
		l.lines = nil
	}
	l.moved.Broadcast()
	l.mu.Unlock()
	if err == nil {
		<-l.done
	}
	return err
}
