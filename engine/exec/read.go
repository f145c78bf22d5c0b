package exec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

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
}

// reading is a stream or a file that is read. It is closed when all of it is decoded: there may
// be more files than can be open.
type reading struct {
	*format.Reader
	env   *Env
	close func()
	users atomic.Int64 // who cuts it, and pieces that are not decoded
}

func newReading(r *format.Reader, env *Env, close func()) *reading {
	s := &reading{Reader: r, env: env, close: close}
	s.users.Add(1)
	return s
}

// leave is called by each user when it is done.
func (s *reading) leave() {
	if s.users.Add(-1) == 0 {
		s.env.Progress.Skipped.Add(s.Skipped())
		s.close()
	}
}

// decoded is what a piece has become.
type decoded struct {
	batches []*vec.Batch
	held    int64
	err     error
}

// job is a piece that is to be decoded.
type job struct {
	of    *reading
	piece *format.Piece
	done  chan decoded
}

func newRead(n *plan.Read, env *Env) (Operator, error) { return &read{node: n, env: env}, nil }

func (x *read) start(ctx context.Context) error {
	ctx, x.cancel = context.WithCancel(ctx)
	next, stop, err := x.open(ctx)
	if err != nil {
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
		x.cut(aside(ctx), next, jobs)
	}()
	for range workers {
		go func() {
			defer x.wait.Done()
			ctx, turn := begin(ctx)
			defer turn.Pause()
			var of *reading
			var d *format.Decoder
			for {
				j, ok := receive(ctx, jobs)
				if !ok {
					return
				}
				if j.of != of {
					of, d = j.of, j.of.Decoder()
					d.Away = func() func() { return away(ctx) }
				}
				out := decoded{held: j.piece.Bytes()}
				out.batches, out.err = d.Decode(j.piece)
				j.of.leave()
				j.done <- out
				_ = yield(ctx) // of what is cut already, all is decoded
			}
		}()
	}
	return nil
}

// open begins to read: next gives pieces, and stop is called when it is not needed any more.
func (x *read) open(ctx context.Context) (next func(context.Context) (*reading, *format.Piece, error), stop func(), err error) {
	if x.node.File != "" {
		names, err := x.env.Files.Match(ctx, x.node.File)
		if err != nil {
			return nil, nil, FileError(err)
		}
		s := &fileSource{x: x, names: names}
		return s.next, s.stop, nil
	}
	if x.env.Input == nil {
		return nil, nil, pgerr.Unsupported("COPY FROM STDIN here").WithHint("Send the rows by the PostgreSQL protocol.")
	}
	in, err := x.env.Input()
	if err != nil {
		return nil, nil, err
	}
	// A read that waits for the client ends with the statement.
	woken := make(chan struct{})
	unwatched := context.AfterFunc(ctx, func() {
		in.Close() //nolint:errcheck // the read tells
		close(woken)
	})
	unwatch := func() {
		if !unwatched() {
			<-woken // in is touched no more
		}
	}
	var r *format.Reader
	end := func() {}
	if x.node.Options.Kind == format.Parquet {
		r, end, err = x.spooled(ctx, &counting{in, x.env})
	} else {
		r, err = format.NewReader(&counting{in, x.env}, x.node.Options, x.node.Columns, x.node.Title, x.env.Expr)
	}
	if err != nil {
		unwatch()
		return nil, nil, err
	}
	of := newReading(r, x.env, end)
	next = func(context.Context) (*reading, *format.Piece, error) {
		p, err := r.Next()
		return of, p, err
	}
	return next, func() { unwatch(); of.leave() }, nil
}

// cut gives the pieces of the stream to those that decode them.
func (x *read) cut(ctx context.Context, next func(context.Context) (*reading, *format.Piece, error), jobs chan<- job) {
	for {
		of, piece, err := next(ctx)
		if errors.Is(err, io.EOF) {
			return
		}
		done, out := make(chan decoded, 1), decoded{err: err}
		if err == nil {
			out.held = piece.Bytes()
			out.err = x.env.hold(ctx, out.held)
		}
		select {
		case x.order <- done:
		case <-ctx.Done():
			x.env.release(out.held)
			return
		}
		if out.err != nil {
			if cause := context.Cause(ctx); cause != nil {
				out.err = cause
			}
			done <- out
			return
		}
		of.users.Add(1)
		select {
		case jobs <- job{of, piece, done}:
		case <-ctx.Done():
			of.leave()
			out.err = context.Cause(ctx)
			done <- out
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
	if x.order != nil {
		for done := range x.order { // what nobody has taken
			x.env.release((<-done).held)
		}
	}
	x.env.release(x.at.held)
	x.at = decoded{}
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

// readRanges is the bounds that a filter puts on the columns, as values.
func readRanges(n *plan.Read, env *Env) []format.Range {
	var out []format.Range
	for _, r := range n.Ranges {
		b := format.Range{Column: r.Column}
		b.Low, b.High = rangeValues(r, env)
		out = append(out, b)
	}
	return out
}

// spoolBytes bounds a file from the client that is held where nothing can be spilled.
const spoolBytes = 64 << 20

// spooled puts a file that the client sends where it can be read in any order: its description
// is at its end. end lets go of it.
func (x *read) spooled(ctx context.Context, in io.Reader) (r *format.Reader, end func(), err error) {
	defer away(ctx)() // the client may be slow
	defer func() {
		if err != nil && end != nil {
			end()
		}
	}()
	var at io.ReaderAt
	size := int64(0)
	if x.env.Spill == nil {
		raw, err := io.ReadAll(io.LimitReader(in, spoolBytes+1))
		if err != nil {
			return nil, nil, err
		}
		if size = int64(len(raw)); size > spoolBytes {
			return nil, nil, pgerr.New(pgerr.ProgramLimitExceeded, "a Parquet file of more than %s from the client", sizeText(spoolBytes))
		}
		end = func() { x.env.release(size) }
		if err := x.env.hold(ctx, size); err != nil {
			return nil, end, err
		}
		at = bytes.NewReader(raw)
	} else {
		spills := &spills{env: x.env, node: x.node}
		f, err := spills.create()
		if err != nil {
			return nil, nil, err
		}
		end = func() { _ = spills.close() } // the file is of no use to anybody
		buf := make([]byte, 1<<20)
		for {
			n, err := io.ReadFull(in, buf)
			if err := f.append(buf[:n]); err != nil {
				return nil, end, err
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				return nil, end, err
			}
		}
		at, size = f.file, f.size
	}
	p, err := format.OpenParquet(at, size)
	if err != nil {
		return nil, end, err
	}
	r, err = p.Reader(x.node.Columns, nil, x.node.Title, x.env.Expr)
	return r, end, err
}
