package exec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/outside"
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

	mu      sync.Mutex
	closing []func()         // to be called when nothing is read any more
	readers []*format.Reader // all there were
	skipped int64            // rows that progress knows of
}

// decoded is what a piece has become.
type decoded struct {
	batches []*vec.Batch
	held    int64
	err     error
}

// job is a piece that is to be decoded.
type job struct {
	of    *format.Reader
	piece *format.Piece
	done  chan decoded
}

func newRead(n *plan.Read, env *Env) (Operator, error) { return &read{node: n, env: env}, nil }

// opened notes a file that is closed at the end.
func (x *read) opened(f *outside.File) { x.atEnd(func() { _ = f.Close() }) } // it was only read

func (x *read) atEnd(f func()) {
	x.mu.Lock()
	x.closing = append(x.closing, f)
	x.mu.Unlock()
}

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
			var of *format.Reader
			var d *format.Decoder
			for {
				j, ok := receive(ctx, jobs)
				if !ok {
					return
				}
				if j.of != of {
					of, d = j.of, j.of.Decoder()
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

// open begins to read: next gives pieces, and stop is called when it is not needed any more.
func (x *read) open(ctx context.Context) (next func(context.Context) (*format.Reader, *format.Piece, error), stop func(), err error) {
	if x.node.File != "" {
		names, err := x.env.Files.Match(ctx, x.node.File)
		if err != nil {
			return nil, nil, FileError(err)
		}
		s := &fileSource{x: x, names: names}
		return s.next, func() {}, nil
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
	stop = func() {
		if !unwatched() {
			<-woken // in is touched no more
		}
	}
	var r *format.Reader
	if x.node.Options.Kind == format.Parquet {
		r, err = x.spooled(ctx, &counting{in, x.env})
	} else {
		r, err = format.NewReader(&counting{in, x.env}, x.node.Options, x.node.Columns, x.node.Title, x.env.Expr)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return func(context.Context) (*format.Reader, *format.Piece, error) {
		p, err := r.Next()
		return r, p, err
	}, stop, nil
}

// cut gives the pieces of the stream to those that decode them.
func (x *read) cut(ctx context.Context, next func(context.Context) (*format.Reader, *format.Piece, error), jobs chan<- job) {
	for {
		r, piece, err := next(ctx)
		if errors.Is(err, io.EOF) {
			return
		}
		done := make(chan decoded, 1)
		if err == nil {
			if n := len(x.readers); n == 0 || x.readers[n-1] != r {
				x.readers = append(x.readers, r)
			}
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
		case jobs <- job{r, piece, done}:
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
			skipped := int64(0)
			for _, r := range x.readers {
				skipped += r.Skipped()
			}
			x.env.Progress.Skipped.Add(skipped - x.skipped)
			x.skipped = skipped
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
	for _, f := range x.closing {
		f()
	}
	x.closing = nil
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
// is at its end.
func (x *read) spooled(ctx context.Context, in io.Reader) (*format.Reader, error) {
	defer away(ctx)() // the client may be slow
	var at io.ReaderAt
	size := int64(0)
	buf := make([]byte, 1<<20)
	if x.env.Spill == nil {
		raw, err := io.ReadAll(io.LimitReader(in, spoolBytes+1))
		if err != nil {
			return nil, err
		}
		if size = int64(len(raw)); size > spoolBytes {
			return nil, pgerr.New(pgerr.ProgramLimitExceeded, "a Parquet file of more than %s from the client", sizeText(spoolBytes))
		}
		if err := x.env.hold(ctx, size); err != nil {
			return nil, err
		}
		x.atEnd(func() { x.env.release(size) })
		at = bytes.NewReader(raw)
	} else {
		spills := &spills{env: x.env, node: x.node}
		f, err := spills.create()
		if err != nil {
			return nil, err
		}
		x.atEnd(func() { _ = spills.close() }) // the file is of no use to anybody
		for {
			n, err := io.ReadFull(in, buf)
			if err := f.append(buf[:n]); err != nil {
				return nil, err
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				return nil, err
			}
		}
		at, size = f.file, f.size
	}
	p, err := format.OpenParquet(at, size)
	if err != nil {
		return nil, err
	}
	return p.Reader(x.node.Columns, nil, x.node.Title, x.env.Expr)
}
