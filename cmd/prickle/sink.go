package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage/event"
)

// sink takes the batches of a file in order. Put returns when the batch has its place;
// what became of it is added to stored and duplicates later. finish waits for all.
type sink interface {
	put(ctx context.Context, b *event.Batch) error
	finish(ctx context.Context) error
	stored() int64
	duplicates() int64
}

type tally struct{ s, d atomic.Int64 }

func (t *tally) stored() int64     { return t.s.Load() }
func (t *tally) duplicates() int64 { return t.d.Load() }

// nodeSink puts batches into a node of this process.
type nodeSink struct {
	tally
	node    *cluster.Node
	project uint32
	flying  sync.WaitGroup
	once    sync.Once
	room    chan struct{}
	mu      sync.Mutex
	err     error
}

// flyingBatches are under way at once: while one sync of the log takes some of them, others
// apply, and others wait for the next sync. With 16, ten million events took twice as long.
const flyingBatches = 64

func (s *nodeSink) put(ctx context.Context, b *event.Batch) error {
	s.once.Do(func() { s.room = make(chan struct{}, flyingBatches) })
	if err := s.failed(); err != nil {
		return err
	}
	select {
	case s.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.CreatedAt = time.Now().UnixMicro()
	if err := capture.NameGroups(b, func(types []string) ([]string, error) { return s.node.NameGroups(ctx, s.project, types) }); err != nil {
		<-s.room
		return err
	}
	pending, err := s.node.Start(ctx, s.project, b)
	if err != nil {
		<-s.room
		return err
	}
	s.flying.Go(func() {
		// It is in the log whatever becomes of ctx, so its outcome is waited for.
		receipt, err := pending.Wait(context.WithoutCancel(ctx))
		<-s.room
		if err != nil {
			s.mu.Lock()
			s.err = errors.Join(s.err, err)
			s.mu.Unlock()
			return
		}
		s.s.Add(int64(receipt.Stored))
		s.d.Add(int64(receipt.Duplicates))
	})
	return nil
}

func (s *nodeSink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *nodeSink) finish(context.Context) error {
	s.flying.Wait()
	return s.failed()
}

// streamSink sends batches to a running server over one connection: the body of a request
// grows while its answer is read.
type streamSink struct {
	tally
	body    *io.PipeWriter
	out     *bufio.Writer
	scratch []byte
	done    chan struct{}
	err     error // set before done is closed
	cancel  context.CancelFunc
	sent    int64
	acked   atomic.Int64
	room    chan struct{}
}

// openStream starts the request. Ending ctx breaks the connection; what was sent may or
// may not be stored then.
func openStream(ctx context.Context, r *remote, project uint32) (*streamSink, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	read, write := io.Pipe()
	s := &streamSink{body: write, out: bufio.NewWriterSize(write, 1<<20), done: make(chan struct{}), cancel: cancel,
		room: make(chan struct{}, flyingBatches)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/api/projects/%d/batches/", r.host, project), read)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-prickle-batches")
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := r.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bodyConn{conn, read}, nil
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, IdleConnTimeout: time.Second}}
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, &problem{Code: "unreachable", What: fmt.Sprintf("the server at %s cannot be reached: %s", r.address, innermost(err)), Exit: exitUnreachable, Err: err}
	}
	if resp.StatusCode != http.StatusOK {
		defer cancel()
		defer resp.Body.Close()                                //nolint:errcheck // only read
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the status says enough
		return nil, answerProblem(resp, raw)
	}
	go s.listen(resp.Body)
	return s, nil
}

// bodyConn is a connection whose end is the end of the body that is sent over it. Without that, a
// request whose server dies waits for the writer of its body for ever, which waits for the pipe.
type bodyConn struct {
	net.Conn
	body *io.PipeReader
}

func (c *bodyConn) Close() error {
	c.body.Close() //nolint:errcheck // it cannot fail
	return c.Conn.Close()
}

// listen reads a line of answer for each batch.
func (s *streamSink) listen(body io.ReadCloser) {
	defer close(s.done)
	defer body.Close() //nolint:errcheck // only read
	lines := json.NewDecoder(body)
	for {
		var line struct {
			Stored     int64 `json:"stored"`
			Duplicates int64 `json:"duplicates"`
			Error      *struct{ Code, Detail, Hint string }
		}
		if err := lines.Decode(&line); err != nil {
			if !errors.Is(err, io.EOF) {
				s.err = &problem{Code: "unreachable", What: "the server went away during the import", Exit: exitUnreachable, Err: err,
					Try: []string{"prickle status", "run the same command again to continue: what is stored is not stored twice"}}
			}
			s.body.CloseWithError(io.ErrClosedPipe) //nolint:errcheck // it cannot fail
			return
		}
		if line.Error != nil {
			s.err = &problem{Code: line.Error.Code, What: line.Error.Detail, Hint: line.Error.Hint, Exit: exitFailed}
			s.body.CloseWithError(io.ErrClosedPipe) //nolint:errcheck // as above
			return
		}
		s.s.Add(line.Stored)
		s.d.Add(line.Duplicates)
		s.acked.Add(1)
		<-s.room
	}
}

func (s *streamSink) put(ctx context.Context, b *event.Batch) error {
	select {
	case s.room <- struct{}{}:
	case <-s.done:
		return s.broken()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.scratch = event.Append(append(s.scratch[:0], 0, 0, 0, 0), b)
	binary.LittleEndian.PutUint32(s.scratch, uint32(len(s.scratch)-4))
	_, err := s.out.Write(s.scratch)
	if err == nil {
		err = s.out.Flush()
	}
	if err != nil {
		<-s.done
		return s.broken()
	}
	s.sent++
	return nil
}

func (s *streamSink) broken() error {
	if s.err != nil {
		return s.err
	}
	return &problem{Code: "unreachable", What: "the server ended the import before the file did", Exit: exitUnreachable, Try: []string{"prickle status"}}
}

// finish sends the end and waits for what is under way, for some seconds if ctx is over.
func (s *streamSink) finish(ctx context.Context) error {
	s.body.Close() //nolint:errcheck // it cannot fail
	defer s.cancel()
	timeout := make(<-chan time.Time)
	if ctx.Err() != nil {
		timeout = time.After(flushTimeout)
	}
	select {
	case <-s.done:
	case <-timeout:
		return ctx.Err()
	}
	if s.err == nil && s.acked.Load() != s.sent {
		return s.broken()
	}
	return s.err
}

// ordered runs produce one at a time, work on all processors, and deliver in the order of
// produce. It ends with the first error. At most two pieces a worker are held.
func ordered[P, R any](ctx context.Context, to sink, produce func() (P, bool), worker func() func(P) (R, error),
	deliver func(R, func(*event.Batch) error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type slot struct {
		piece  P
		result R
		err    error
		done   chan struct{}
	}
	workers := max(2, runtime.GOMAXPROCS(0))
	work, queue := make(chan *slot), make(chan *slot, workers)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(work)
		defer close(queue)
		for {
			p, ok := produce()
			if !ok || ctx.Err() != nil {
				return
			}
			s := &slot{piece: p, done: make(chan struct{})}
			select {
			case queue <- s:
			case <-ctx.Done():
				return
			}
			select {
			case work <- s:
			case <-ctx.Done():
				close(s.done)
				return
			}
		}
	})
	for range workers {
		running.Go(func() {
			do := worker()
			for s := range work {
				s.result, s.err = do(s.piece)
				close(s.done)
			}
		})
	}
	var err error
	for s := range queue {
		<-s.done
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.err
		}
		if err == nil {
			err = deliver(s.result, func(b *event.Batch) error { return to.put(ctx, b) })
		}
		if err != nil {
			cancel()
		}
	}
	running.Wait()
	if finishing := to.finish(ctx); err == nil {
		err = finishing
	}
	return err
}
