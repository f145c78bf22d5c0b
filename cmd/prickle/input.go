package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/prickledb/prickle/server/capture"
)

// input is a file that is being read: pieces of it one after the other, decoded by
// several workers.
type input struct {
	name        string // as the person wrote it
	format      string // "newline-delimited JSON"
	compression string // "gzip", "zstd" or ""
	columns     []capture.Sample
	mapping     capture.Mapping
	size        int64 // bytes of the file; 0: unknown
	read        *atomic.Int64
	plain       atomic.Int64 // bytes after decompression

	// next is called by one goroutine; io.EOF is the end.
	next func() (any, error)
	// worker makes a decoder of pieces, for one goroutine.
	worker func() func(any) (decoded, error)
	close  func()
}

// decoded is what became of one piece.
type decoded struct {
	batches []capture.FileBatch
	rejects []capture.Reject
	rows    int
}

// describe is the first line of what is said about a file.
func (s *input) describe() string {
	parts := []string{s.format}
	if s.compression != "" {
		parts = append(parts, s.compression)
	}
	return fmt.Sprintf("Looks like %s, %s.", strings.Join(parts, ", "), plural(capture.Columns(s.columns), "column", "columns"))
}

// counted counts the bytes that pass.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// sniffBytes is how much of a file is looked at to find out what it is.
const sniffBytes = 256 << 10

// openInput finds out what a file is by its content. The name "-" is standard input.
func openInput(name string, stdin io.Reader, given capture.Mapping) (*input, error) {
	s := &input{name: name, read: new(atomic.Int64), close: func() {}}
	var raw io.Reader = stdin
	var file *os.File
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", name, innermost(err)), Exit: exitFailed, Err: err}
		}
		info, err := f.Stat()
		if err != nil {
			f.Close() //nolint:errcheck // only read
			return nil, err
		}
		s.size, file, raw = info.Size(), f, f
		s.close = func() { f.Close() } //nolint:errcheck // only read
	}
	in := bufio.NewReaderSize(counted{raw, s.read}, 1<<20)
	head, err := in.Peek(4)
	if len(head) == 0 {
		s.close()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return nil, &problem{Code: "file_empty", What: fmt.Sprintf("%s is empty", s.title()), Exit: exitFailed}
	}
	if string(head) == "PAR1" {
		if file == nil {
			return nil, &problem{Code: "parquet_stdin", What: "a Parquet file cannot be read from standard input: its description is at its end", Exit: exitUsage,
				Try: []string{"prickle import <file>"}}
		}
		if err := s.openParquet(file, given); err != nil {
			s.close()
			return nil, err
		}
		return s, nil
	}
	var text io.Reader = in
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		s.compression = "gzip"
		z, err := gzip.NewReader(in)
		if err != nil {
			s.close()
			return nil, s.broken(err)
		}
		text = z
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		s.compression = "zstd"
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			s.close()
			return nil, s.broken(err)
		}
		inner := s.close
		s.close = func() { z.Close(); inner() }
		text = z
	}
	buffered := bufio.NewReaderSize(counted{text, &s.plain}, sniffBytes)
	if err := s.openText(buffered, given); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// title is the name for a person.
func (s *input) title() string {
	if s.name == "-" {
		return "standard input"
	}
	return s.name
}

// broken words an error of reading.
func (s *input) broken(err error) error {
	var own *problem
	switch {
	case errors.As(err, &own):
		return own
	case s.compression != "" && errors.Is(err, io.ErrUnexpectedEOF):
		return &problem{Code: "file_truncated", What: fmt.Sprintf("%s ends in the middle of its %s data", s.title(), s.compression), Exit: exitFailed, Err: err,
			Hint: "The file was probably not copied whole. Get it again and run the same command: what is stored is not stored twice."}
	case s.compression != "":
		return &problem{Code: "file_damaged", What: fmt.Sprintf("%s: its %s data are damaged: %v", s.title(), s.compression, err), Exit: exitFailed, Err: err}
	}
	return fmt.Errorf("%s: %w", s.title(), err)
}

// openText looks at the beginning of a text.
func (s *input) openText(in *bufio.Reader, given capture.Mapping) error {
	// A short read is not the end: decompressors give what they have.
	head, err := in.Peek(sniffBytes)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) && len(head) == 0 {
		return s.broken(err)
	}
	start := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	switch {
	case len(start) == 0:
		return &problem{Code: "file_empty", What: fmt.Sprintf("%s is empty", s.title()), Exit: exitFailed}
	case start[0] == '{':
		s.format = "newline-delimited JSON"
		return s.openJSON(in, head, given)
	case start[0] == '[':
		return &problem{Code: "format_unknown", What: fmt.Sprintf("%s is one JSON array; import reads one object a line", s.title()), Exit: exitFailed,
			Try: []string{fmt.Sprintf("jq -c '.[]' %s | prickle import -", s.name)}}
	}
	return s.openCSV(in, head, given)
}

func (s *input) openJSON(in io.Reader, head []byte, given capture.Mapping) error {
	s.columns = capture.SampleJSON(head)
	if s.columns == nil {
		return &problem{Code: "format_unknown", What: fmt.Sprintf("%s looks like JSON, but its first lines are not objects", s.title()), Exit: exitFailed,
			Where: []string{fit(printable(firstLine(head)), 100)}}
	}
	if err := s.detect(given); err != nil {
		return err
	}
	lines := capture.NewLines(in)
	s.next = func() (any, error) {
		chunk, err := lines.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			err = s.broken(err)
		}
		return chunk, err
	}
	s.worker = func() func(any) (decoded, error) {
		d := capture.NewDecoder(s.mapping)
		return func(piece any) (decoded, error) {
			chunk := piece.(capture.Chunk)
			out := d.Decode(chunk.Data, chunk.FirstLine)
			if len(out.Rejects) == 0 { // they are part of the chunk
				chunk.Free()
			}
			return decoded{out.Batches, append(chunk.Rejects, out.Rejects...), out.Rows}, nil
		}
	}
	return nil
}

func firstLine(head []byte) string {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return string(line)
}

// detect settles what the columns are.
func (s *input) detect(given capture.Mapping) error {
	m, err := capture.Detect(s.columns, given)
	s.mapping = m
	var missing *capture.MappingError
	var unknown *capture.UnknownColumnError
	switch {
	case errors.As(err, &missing):
		return &problem{Code: "mapping_missing", What: missing.Error(), Exit: exitFailed, Err: err, Try: []string{s.mapExample(missing.Columns)}}
	case errors.As(err, &unknown):
		p := &problem{Code: "mapping_unknown", What: unknown.Error(), Exit: exitUsage, Err: err}
		if near := nearest(unknown.Column, unknown.Columns); near != "" {
			p.Try = []string{fmt.Sprintf("prickle import %s --map %s=%s", s.name, unknown.Field, near)}
		}
		return p
	}
	return err
}

// mapExample is a command with a mapping that might be the right one.
func (s *input) mapExample(columns []string) string {
	used := map[string]bool{}
	guess := func(words ...string) string {
		for _, w := range words {
			for _, c := range columns {
				if !used[c] && strings.Contains(strings.ToLower(c), w) {
					used[c] = true
					return c
				}
			}
		}
		for _, c := range columns {
			if !used[c] && c != "id" && c != "uuid" && c != "properties" {
				used[c] = true
				return c
			}
		}
		return "<column>"
	}
	time := guess("time", "date", "day", "when", "at")
	person := guess("user", "person", "customer", "account", "visitor", "distinct")
	name := guess("event", "action", "name", "type")
	return fmt.Sprintf("prickle import %s --map time=%s --map person=%s --map event=%s", s.name, time, person, name)
}

const (
	csvRows   = 8192 // of a piece
	csvFields = 4096 // columns at most
)

// csvPiece is rows of a CSV file with the lines they start on.
type csvPiece struct {
	rows  [][]string
	lines []int64
	bad   []capture.Reject
}

// openCSV reads a header and what follows it.
func (s *input) openCSV(in *bufio.Reader, head []byte, given capture.Mapping) error {
	line := strings.TrimPrefix(firstLine(head), "\ufeff")
	comma := ','
	s.format = "CSV"
	if tabs := strings.Count(line, "\t"); tabs > strings.Count(line, ",") {
		comma, s.format = '\t', "TSV"
	} else if strings.Count(line, ";") > strings.Count(line, ",") {
		comma, s.format = ';', "CSV with semicolons"
	}
	if bytes.IndexByte(head, 0) >= 0 || !strings.ContainsRune(line, comma) {
		return &problem{Code: "format_unknown", What: fmt.Sprintf("%s is none of the formats that import reads", s.title()), Exit: exitFailed,
			Where: []string{"It reads newline-delimited JSON, CSV and TSV with a header, and Parquet; plain, gzip or zstd."}}
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		in.Discard(3) //nolint:errcheck // they were just seen
	}
	r := csv.NewReader(&boundedLines{in: in})
	r.Comma, r.FieldsPerRecord = comma, -1
	header, err := r.Read()
	if err != nil {
		return s.broken(err)
	}
	if len(header) > csvFields {
		return &problem{Code: "format_unknown", What: fmt.Sprintf("%s has %d columns; the limit is %d", s.title(), len(header), csvFields), Exit: exitFailed}
	}
	s.columns = make([]capture.Sample, len(header))
	for i, name := range header {
		s.columns[i].Name = strings.TrimSpace(name)
	}
	// The first rows say what the columns look like.
	var first csvPiece
	done := s.readCSV(r, &first, 100)
	for _, row := range first.rows {
		for i := range min(len(row), len(header)) {
			if c := &s.columns[i]; c.Text == nil && row[i] != "" {
				c.Text = []byte(row[i])
				c.Kind = capture.Classify(c.Text)
			}
		}
	}
	if err := s.detect(given); err != nil {
		return err
	}
	s.next = func() (any, error) {
		if first.lines != nil || first.bad != nil {
			p := first
			first = csvPiece{}
			return p, nil
		}
		if done != nil {
			return nil, done
		}
		var p csvPiece
		done = s.readCSV(r, &p, csvRows)
		if len(p.lines) == 0 && len(p.bad) == 0 {
			return nil, done
		}
		return p, nil
	}
	names := make([]string, len(s.columns))
	for i := range names {
		names[i] = s.columns[i].Name
	}
	s.worker = func() func(any) (decoded, error) {
		rows := capture.NewRows(s.mapping, names)
		return func(piece any) (decoded, error) { return decodeCSV(rows, names, piece.(csvPiece)), nil }
	}
	return nil
}

// readCSV reads rows. It returns the error that ended the file, if it did.
func (s *input) readCSV(r *csv.Reader, into *csvPiece, limit int) error {
	for range limit {
		row, err := r.Read()
		var bad *csv.ParseError
		switch {
		case err == nil:
			line, _ := r.FieldPos(0)
			into.rows, into.lines = append(into.rows, row), append(into.lines, int64(line))
		case errors.As(err, &bad):
			into.bad = append(into.bad, capture.Reject{Line: int64(bad.StartLine), Kind: capture.BadShape, Detail: bad.Err.Error(), Raw: []byte(strings.Join(row, ","))})
		case errors.Is(err, io.EOF):
			return io.EOF
		default:
			return s.broken(err)
		}
	}
	return nil
}

// boundedLines refuses a line that no event can be, before a reader collects it.
type boundedLines struct {
	in   io.Reader
	line int
}

func (b *boundedLines) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	rest := p[:n]
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			b.line += len(rest)
			break
		}
		b.line, rest = 0, rest[end+1:]
	}
	if b.line > capture.MaxLineBytes {
		return 0, &problem{Code: "line_too_long", What: fmt.Sprintf("a line has more than %s; the limit is %s", size(float64(b.line)), size(capture.MaxLineBytes)), Exit: exitFailed,
			Hint: "A quote that is opened and not closed makes the rest of the file one line."}
	}
	return n, err
}

func decodeCSV(rows *capture.Rows, names []string, p csvPiece) decoded {
	out := decoded{rejects: p.bad}
	var text []byte
	for i, row := range p.rows {
		reject := func(r capture.Reject) {
			r.Raw = []byte(strings.Join(row, ","))
			out.rejects = append(out.rejects, r)
		}
		if len(row) != len(names) {
			reject(capture.Reject{Line: p.lines[i], Kind: capture.BadShape, Detail: fmt.Sprintf("the row has %d columns, the header %d", len(row), len(names))})
			continue
		}
		rows.Begin(p.lines[i])
		text = text[:0] // the fields of a row stand one after the other: they are lent to its end
		for c, field := range row {
			if field != "" {
				at := len(text)
				text = append(text, field...)
				rows.Set(c, capture.Classify(text[at:]), text[at:])
			}
		}
		r, ok := rows.End()
		if !ok {
			reject(r)
			continue
		}
		out.rows++
		if rows.Full() {
			out.batches = append(out.batches, rows.Take())
		}
	}
	if rows.Len() > 0 {
		out.batches = append(out.batches, rows.Take())
	}
	return out
}
