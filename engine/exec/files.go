package exec

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/outside"
)

// FileError is what a client is told of a file outside that cannot be reached.
func FileError(err error) error {
	var client *pgerr.Error
	switch {
	case err == nil || errors.As(err, &client) || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, outside.ErrNoPlaces):
		return pgerr.New(pgerr.InsufficientPrivilege, "%v", err).
			WithHint(`Start the server with --copy-directory, or send the rows: COPY … FROM STDIN, \copy of psql.`)
	case errors.Is(err, outside.ErrRefused):
		return pgerr.New(pgerr.InsufficientPrivilege, "%v", err).WithHint("The setting copy_directory says which directories and buckets are allowed.")
	case errors.Is(err, outside.ErrNotFound):
		return pgerr.New(pgerr.UndefinedFile, "%v", err)
	}
	return pgerr.New(pgerr.IOError, "%v", err)
}

// maxWindow bounds the memory that a packed file can ask for.
const maxWindow = 128 << 20

// openStream reads a file from its beginning, unpacked if its name says that it is packed.
func openStream(f *outside.File, name string) (io.Reader, func(), error) {
	var in io.Reader = bufio.NewReaderSize(io.NewSectionReader(f, 0, f.Size), 1<<20)
	switch {
	case strings.HasSuffix(name, ".gz"):
		z, err := gzip.NewReader(in)
		return z, func() {}, err
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return in, func() {}, nil
}

// FileColumns finds the columns of the first of the files that a pattern names, and what o
// leaves open. headerGiven says that o.Header was asked for or forbidden.
func FileColumns(ctx context.Context, files *outside.Places, pattern string, o format.Options, headerGiven bool, values *expr.Context) (out format.Options, columns []format.Column, err error) {
	names, err := files.Match(ctx, pattern)
	if err != nil {
		return o, nil, FileError(err)
	}
	f, err := files.Open(ctx, names[0])
	if err != nil {
		return o, nil, FileError(err)
	}
	defer f.Close() //nolint:errcheck // only read
	if o.Kind == format.Parquet {
		p, err := format.OpenParquet(f, f.Size)
		if err != nil {
			return o, nil, inFile(err, names[0])
		}
		return o, p.Columns(), nil
	}
	in, done, err := openStream(f, names[0])
	if err != nil {
		return o, nil, inFile(err, names[0])
	}
	defer done()
	out, columns, err = format.Infer(in, o, headerGiven, values)
	return out, columns, inFile(err, names[0])
}

// inFile says in an error which file it is about.
func inFile(err error, name string) error {
	if err == nil {
		return nil
	}
	var client *pgerr.Error
	if !errors.As(err, &client) {
		return FileError(err)
	}
	if strings.Contains(client.Where+client.Message, name) {
		return err
	}
	e := *client
	e.Where = strings.TrimPrefix("file "+name+", "+e.Where, ", ")
	e.Where = strings.TrimSuffix(e.Where, ", ")
	return &e
}

// fileSource is the files of a Read, one after the other.
type fileSource struct {
	x     *read
	names []string
	at    *reading // nil: the next is not open
	name  string
}

// next gives the next piece, and the file that it is of.
func (s *fileSource) next(ctx context.Context) (*reading, *format.Piece, error) {
	for {
		if s.at == nil {
			if len(s.names) == 0 {
				return nil, nil, io.EOF
			}
			s.name, s.names = s.names[0], s.names[1:]
			var err error
			if s.at, err = s.open(ctx); err != nil {
				return nil, nil, inFile(err, s.name)
			}
		}
		p, err := s.at.Next()
		if err == nil {
			return s.at, p, nil
		}
		if !errors.Is(err, io.EOF) {
			return nil, nil, inFile(err, s.name)
		}
		s.stop()
	}
}

// stop leaves the file that is read.
func (s *fileSource) stop() {
	if s.at != nil {
		s.at.leave()
		s.at = nil
	}
}

func (s *fileSource) open(ctx context.Context) (*reading, error) {
	n, env := s.x.node, s.x.env
	f, err := env.Files.Open(ctx, s.name)
	if err != nil {
		return nil, FileError(err)
	}
	close := func() { _ = f.Close() } // it was only read
	title := n.Title + ", file " + s.name
	var r *format.Reader
	if n.Options.Kind == format.Parquet {
		var p *format.ParquetFile
		if p, err = format.OpenParquet(f, f.Size); err == nil {
			r, err = p.Reader(n.Columns, readRanges(n, env), title, env.Expr)
		}
	} else {
		in, done, failed := openStream(f, s.name)
		if err = failed; err == nil {
			close = func() {
				done()
				_ = f.Close() // as above
			}
			r, err = format.NewReader(&counting{in, env}, n.Options, n.Columns, title, env.Expr)
		}
	}
	if err != nil {
		close()
		return nil, err
	}
	return newReading(r, env, close), nil
}
