package exec

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// read reads rows from outside. One goroutine cuts the stream into pieces, others make
// batches of them, and Next gives those in the order of the stream: so the first error of the
// stream is the one that is told.
type read struct {
	node   *plan.Read
	env    *Env
	order  chan chan decoded
	cancel context.CancelFunc
	wait   sync.WaitGroup
	at     decoded // what is handed out
	source *format.Reader

	skipped int64 // rows that progress knows of
}

// decoded is what a piece has become.
type decoded struct {
	batches []*vec.Batch
	held    int64
	err     error
}

// job is a piece that is to be decoded.
type job struct {
	piece *format.Piece
	done  chan decoded
}

func newRead(n *plan.Read, env *Env) (Operator, error) { return &read{node: n, env: env}, nil }

func (x *read) start(ctx context.Context) error {
	if x.env.Input == nil {
		return pgerr.Unsupported("COPY FROM STDIN here").WithHint("Send the rows by the PostgreSQL protocol.")
	}
	in, err := x.env.Input()
	if err != nil {
		return err
	}
	ctx, x.cancel = context.WithCancel(ctx)
	// A read that waits for the client ends with the statement.
	woken := make(chan struct{})
	unwatched := context.AfterFunc(ctx, func() {
		in.Close() //nolint:errcheck // the read tells
		close(woken)
	})
	stop := func() {
		if !unwatched() {
			<-woken // in is touched no more
		}
	}
	if x.source, err = format.NewReader(&counting{in, x.env}, x.node.Options, x.node.Columns, x.node.Title, x.env.Expr); err != nil {
		stop()
		return err
	}
	workers := max(1, x.env.Threads)
	x.order = make(chan chan decoded, 2*workers)
	jobs := make(chan job)
	x.wait.Add(1 + workers)
	go func() {
		defer x.wait.Done()
		defer close(x.order)
		defer close(jobs)
		defer stop()
		x.cut(aside(ctx), jobs)
	}()
	for range workers {
		go func() {
			defer x.wait.Done()
			ctx, turn := begin(ctx)
			defer turn.Pause()
			d := x.source.Decoder()
			for {
				j, ok := receive(ctx, jobs)
				if !ok {
					return
				}
				out := decoded{held: j.piece.Bytes()}
				out.batches, out.err = d.Decode(j.piece)
				j.done <- out
				_ = yield(ctx) // of what is cut already, all is decoded
			}
		}()
	}
	return nil
}

// cut gives the pieces of the stream to those that decode them.
func (x *read) cut(ctx context.Context, jobs chan<- job) {
	for {
		piece, err := x.source.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		done := make(chan decoded, 1)
		if err == nil {
			err = x.env.hold(ctx, piece.Bytes())
		}
		select {
		case x.order <- done:
		case <-ctx.Done():
			return
		}
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			done <- decoded{err: err}
			return
		}
		select {
		case jobs <- job{piece, done}:
		case <-ctx.Done():
			done <- decoded{err: context.Cause(ctx)}
			return
		}
	}
}

func (x *read) Next(ctx context.Context) (*vec.Batch, error) {
	if x.order == nil {
		if err := x.start(ctx); err != nil {
			return nil, err
		}
	}
	for len(x.at.batches) == 0 {
		x.env.release(x.at.held)
		x.at = decoded{}
		done, ok := receive(ctx, x.order)
		if !ok {
			x.env.Progress.Skipped.Add(x.source.Skipped() - x.skipped)
			x.skipped = x.source.Skipped()
			return nil, ctx.Err()
		}
		if x.at, _ = receive(ctx, done); x.at.err != nil {
			return nil, x.at.err
		}
	}
	b := x.at.batches[0]
	x.at.batches = x.at.batches[1:]
	x.env.Progress.Rows.Add(int64(b.Rows))
	return b, nil
}

func (x *read) Close() error {
	if x.cancel != nil {
		x.cancel()
		x.wait.Wait()
	}
	return nil
}

// counting counts the bytes that are read.
type counting struct {
	io.Reader
	env *Env
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.env.Progress.Bytes.Add(int64(n))
	return n, err
}
