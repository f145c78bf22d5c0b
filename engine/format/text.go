package format

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// lineCutter cuts lines into pieces of whole rows.
type lineCutter struct {
	r    *Reader
	in   io.Reader
	end  func(raw []byte) int // where the last whole row ends; 0 for none
	rest []byte               // the row that was begun
	line int64
	done bool
}

func (c *lineCutter) next() (*Piece, error) {
	if c.done {
		return nil, io.EOF
	}
	buf := append(c.r.buffer(), c.rest...)
	whole := 0
	for whole == 0 {
		if len(buf) >= maxRow {
			return nil, c.r.at(pgerr.New(pgerr.ProgramLimitExceeded, "a row of more than %d MB", maxRow>>20), c.line, "", nil)
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
		n, err := io.ReadFull(c.in, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			c.done, whole = true, len(buf)
			if whole == 0 {
				return nil, io.EOF
			}
		case err != nil:
			return nil, c.r.at(err, c.line+int64(bytes.Count(buf, newline)), "", nil)
		default:
			whole = c.end(buf)
		}
	}
	if c.line == 1 && c.r.options.Kind != JSONL {
		c.r.ends = c.firstEnd(buf[:whole])
	}
	if at := c.terminator(buf[:whole]); at >= 0 {
		// What comes behind the end is read and means nothing.
		if _, err := io.Copy(io.Discard, c.in); err != nil {
			return nil, err
		}
		c.done, whole, buf = true, at, buf[:at]
	}
	c.rest = append(c.rest[:0], buf[whole:]...)
	p := &Piece{raw: buf[:whole], line: c.line}
	c.line += int64(bytes.Count(p.raw, newline))
	return p, nil
}

var newline = []byte{'\n'}

// firstEnd is the length of the first line end, which all others are like; 0 if that is not known.
func (c *lineCutter) firstEnd(raw []byte) int {
	const tries = 100 // lines that may be inside of a quoted field
	for k, from := 0, 0; k < tries; k++ {
		at := bytes.IndexByte(raw[from:], '\n')
		if at < 0 {
			break
		}
		from += at + 1
		if c.end(raw[:from]) < from {
			continue
		}
		if from > 1 && raw[from-2] == '\r' {
			return 2
		}
		return 1
	}
	return 0
}

// terminator finds the line \. that ends the rows; -1 for none.
func (c *lineCutter) terminator(raw []byte) int {
	if c.r.options.Kind == JSONL {
		return -1
	}
	for from := 0; ; {
		at := bytes.Index(raw[from:], []byte(`\.`))
		if at < 0 {
			return -1
		}
		at += from
		from = at + 2
		rest := raw[from:]
		if (at == 0 || raw[at-1] == '\n') && (len(rest) == 0 || rest[0] == '\n' || bytes.HasPrefix(rest, []byte("\r\n"))) && c.end(raw[:at]) == at {
			return at
		}
	}
}

// lastLine is where the last line ends; 0 for none.
func lastLine(raw []byte) int { return bytes.LastIndexByte(raw, '\n') + 1 }

// textEnd is where the last row of the text form ends: at a newline without a backslash
// before it.
func (c *lineCutter) textEnd(raw []byte) int {
	for end := len(raw); ; {
		at := bytes.LastIndexByte(raw[:end], '\n')
		if at < 0 {
			return 0
		}
		k := at
		for k > 0 && raw[k-1] == '\\' {
			k--
		}
		if (at-k)%2 == 0 {
			return at + 1
		}
		end = at
	}
}

// csvEnd is where the last row of CSV ends: at a newline outside of quotes. If a quote is
// escaped by itself, it is outside where an even number of them stands before it.
func (c *lineCutter) csvEnd(raw []byte) int {
	o := &c.r.options
	if o.Escape != o.Quote {
		return c.csvEndByByte(raw)
	}
	quote := []byte{o.Quote}
	inside := bytes.Count(raw, quote) & 1
	for end := len(raw); ; {
		at := bytes.LastIndexByte(raw[:end], '\n')
		if at < 0 {
			return 0
		}
		if inside ^= bytes.Count(raw[at:end], quote) & 1; inside == 0 {
			return at + 1
		}
		end = at
	}
}

func (c *lineCutter) csvEndByByte(raw []byte) int {
	o := &c.r.options
	inside, end := false, 0
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case inside && b == o.Escape && i+1 < len(raw) && (raw[i+1] == o.Escape || raw[i+1] == o.Quote):
			i++
		case b == o.Quote:
			inside = !inside
		case b == '\n' && !inside:
			end = i + 1
		}
	}
	return end
}

// cell is where a field lies: in the piece, or in what was unescaped.
type cell struct{ lo, hi uint32 }

const (
	inSide   = 1 << 31
	nullCell = ^uint32(0)
)

// blockCells is how many fields are found before they are read, column by column: as many
// as stay in a near cache.
const blockCells = 1 << 14

// fields reads a piece of text or CSV.
func (d *Decoder) fields(p *Piece) error {
	o := &d.r.options
	record := d.textRecord
	if o.Kind == CSV {
		record = d.csvRecord
	}
	i, line := 0, uint32(0)
	if o.Header && p.line == 1 {
		next, lines, err := record(p.raw, 0, !o.Match)
		if err == nil && o.Match {
			err = d.matchHeader(p.raw)
		}
		if err != nil {
			return d.r.at(err, 1, "", nil)
		}
		i, line = next, lines
	}
	for i < len(p.raw) {
		d.cells, d.lines, d.side = d.cells[:0], d.lines[:0], d.side[:0]
		var broken error
		rows := min(max(1, blockCells/max(1, len(d.cols))), vec.BatchRows-d.rows)
		for len(d.lines) < rows && i < len(p.raw) && broken == nil {
			next, lines, err := record(p.raw, i, false)
			switch {
			case err == nil:
				d.lines = append(d.lines, line)
			case o.Skip && pgerr.Code(err) != pgerr.ProgramLimitExceeded:
				d.cells = d.cells[:len(d.lines)*len(d.cols)]
				d.r.skipped.Add(1)
			default:
				d.cells = d.cells[:len(d.lines)*len(d.cols)]
				row := p.raw[i:max(i, min(len(p.raw), next))]
				if isLineEnd(err) { // it is not known where the row ends
					row = nil
				}
				broken = d.r.at(err, p.line+int64(line), "", row)
			}
			i, line = next, line+lines
		}
		if err := d.block(p); err != nil {
			return err
		}
		if broken != nil {
			return broken
		}
	}
	return nil
}

// matchHeader holds the names that were found against the columns.
func (d *Decoder) matchHeader(raw []byte) error {
	for i, c := range d.r.columns {
		if x := d.cells[i]; x.lo == nullCell || string(d.bytes(raw, x)) != c.Name {
			found := "null"
			if x.lo != nullCell {
				found = `"` + string(d.bytes(raw, x)) + `"`
			}
			return badFormat(`column name mismatch in header line field %d: got %s, expected "%s"`, i+1, found, c.Name)
		}
	}
	return nil
}

func (d *Decoder) bytes(raw []byte, x cell) []byte {
	if x.lo&inSide != 0 {
		return d.side[x.lo&^inSide : x.hi]
	}
	return raw[x.lo:x.hi]
}

// block reads the fields that were found, column by column. Of several errors the first row
// counts.
func (d *Decoder) block(p *Piece) error {
	n, base := len(d.cols), d.rows
	for {
		rows := len(d.lines)
		limit := rows
		var failed error
		for c := range n {
			if d.r.columns[c].Unread {
				continue
			}
			in, v := d.inputs[c], d.cols[c].V
			for r, k := 0, c; r < limit; r, k = r+1, k+n {
				x := d.cells[k]
				if x.lo == nullCell {
					if err := d.null(c); err != nil {
						limit, failed = r, d.r.at(err, p.line+int64(d.lines[r]), "", nil)
					}
					continue
				}
				if err := in.Text(d.r.ctx, v, d.bytes(p.raw, x)); err != nil {
					limit, failed = r, d.r.at(err, p.line+int64(d.lines[r]), d.r.columns[c].Name, d.bytes(p.raw, x))
				}
			}
		}
		if failed == nil {
			if d.r.options.Lines {
				for _, line := range d.lines {
					d.at = append(d.at, p.line+int64(line))
				}
			}
			if d.rows = base + rows; d.rows == vec.BatchRows {
				d.flush()
			}
			return nil
		}
		if !d.r.options.Skip {
			return failed
		}
		d.truncate(base)
		d.r.skipped.Add(1)
		d.cells = slices.Delete(d.cells, limit*n, (limit+1)*n)
		d.lines = slices.Delete(d.lines, limit, limit+1)
	}
}

func (d *Decoder) missing(found int) error {
	return badFormat(`missing data for column "%s"`, d.r.columns[found].Name)
}

var (
	errExtra     = badFormat("extra data after last expected column")
	errLiteralCR = badFormat("literal carriage return found in data").WithHint(`Use "\r" to represent carriage return.`)
	errLiteralLF = badFormat("literal newline found in data").WithHint(`Use "\n" to represent newline.`)
	errOpenQuote = badFormat("unterminated CSV quoted field")
	errPlainCR   = badFormat("unquoted carriage return found in data").WithHint("Use quoted CSV field to represent carriage return.")
	errPlainLF   = badFormat("unquoted newline found in data").WithHint("Use quoted CSV field to represent newline.")
)

// isLineEnd says whether an error is one of a line end, behind which no line is known.
func isLineEnd(err error) bool {
	return err == errLiteralCR || err == errLiteralLF || err == errPlainCR || err == errPlainLF
}

// unlike is what is wrong with the line end at i, if it is not like the first.
func (d *Decoder) unlike(raw []byte, i int, cr, lf *pgerr.Error) error {
	switch end := endOfRow(raw, i); {
	case d.r.ends == 0, end == d.r.ends && raw[i] == '\n' == (end == 1):
		return nil
	case raw[i] == '\r':
		return cr
	}
	return lf
}

// endOfRow is the length of the line end at i; 0 if there is none.
func endOfRow(raw []byte, i int) int {
	switch {
	case i >= len(raw):
		return 0
	case raw[i] == '\n':
		return 1
	case raw[i] == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
		return 2
	case raw[i] == '\r' && i+1 == len(raw):
		return 1
	}
	return 0
}

// textRecord finds the fields of a row of the text form that begins at i, and gives where
// the next one begins and how many lines that is. With skip, nothing is kept.
func (d *Decoder) textRecord(raw []byte, i int, skip bool) (next int, lines uint32, err error) {
	o := &d.r.options
	delimiter, n := o.Delimiter, len(d.cols)
	for found := 0; ; found++ {
		start, escaped := i, false
	field:
		for ; i < len(raw); i++ {
			switch c := raw[i]; {
			case c == delimiter, c == '\n':
				break field
			case c == '\\':
				escaped = true
				if i++; i < len(raw) && raw[i] == '\n' {
					lines++
				}
			case c == '\r':
				if endOfRow(raw, i) > 0 {
					break field
				}
				err = errLiteralCR
			}
		}
		i = min(i, len(raw)) // behind a backslash at the end
		last := i == len(raw) || raw[i] != delimiter || endOfRow(raw, i) > 0
		switch text := raw[start:i]; {
		case skip || err != nil:
		case found >= n:
			if n > 0 || len(text) > 0 || !last {
				err = errExtra
			}
		case string(text) == o.Null && !flag(o.ForceNotNull, found):
			d.cells = append(d.cells, cell{lo: nullCell})
		case escaped:
			at := uint32(len(d.side))
			d.side = appendUnescaped(d.side, text)
			d.cells = append(d.cells, cell{at | inSide, uint32(len(d.side))})
		default:
			d.cells = append(d.cells, cell{uint32(start), uint32(i)})
		}
		if last {
			if end := endOfRow(raw, i); end > 0 {
				if err == nil {
					err = d.unlike(raw, i, errLiteralCR, errLiteralLF)
				}
				i, lines = i+end, lines+1
			}
			if err == nil && !skip && found+1 < n {
				err = d.missing(found + 1)
			}
			return i, lines, err
		}
		i++
	}
}

// appendUnescaped adds a field of the text form without its backslashes.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			dst = append(dst, c)
			continue
		}
		i++
		switch c = s[i]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'v':
			c = '\v'
		case '0', '1', '2', '3', '4', '5', '6', '7':
			x := 0
			k := i
			for ; k < len(s) && k < i+3 && s[k] >= '0' && s[k] <= '7'; k++ {
				x = x<<3 | int(s[k]-'0')
			}
			i, c = k-1, byte(x)
		case 'x':
			x := 0
			k := i + 1
			for ; k < len(s) && k < i+3 && hexDigit(s[k]) >= 0; k++ {
				x = x<<4 | hexDigit(s[k])
			}
			if k > i+1 {
				i, c = k-1, byte(x)
			}
		}
		dst = append(dst, c)
	}
	return dst
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|32 >= 'a' && c|32 <= 'f':
		return int(c|32-'a') + 10
	}
	return -1
}

// csvRecord is textRecord for CSV.
func (d *Decoder) csvRecord(raw []byte, i int, skip bool) (next int, lines uint32, err error) {
	o := &d.r.options
	delimiter, quote, n := o.Delimiter, o.Quote, len(d.cols)
	for found := 0; ; found++ {
		x := cell{lo: uint32(i)}
		quoted := i < len(raw) && raw[i] == quote
		if !quoted {
		field:
			for ; i < len(raw); i++ {
				switch c := raw[i]; {
				case c == delimiter, c == '\n':
					break field
				case c == quote:
					quoted = true
					break field
				case c == '\r':
					if endOfRow(raw, i) > 0 {
						break field
					}
					err = errPlainCR
				}
			}
			x.hi = uint32(i)
		}
		if quoted {
			var more uint32
			var open bool
			if x, i, more, open = d.quotedField(raw, int(x.lo)); open && err == nil {
				err = errOpenQuote
			}
			lines += more
		}
		last := i == len(raw) || raw[i] != delimiter
		switch {
		case skip || err != nil:
		case found >= n:
			if n > 0 || x.hi != x.lo&^inSide || !last {
				err = errExtra
			}
		case (quoted && flag(o.ForceNull, found) || !quoted && !flag(o.ForceNotNull, found)) && string(d.bytes(raw, x)) == o.Null:
			d.cells = append(d.cells, cell{lo: nullCell})
		default:
			d.cells = append(d.cells, x)
		}
		if last {
			if end := endOfRow(raw, i); end > 0 {
				if err == nil {
					err = d.unlike(raw, i, errPlainCR, errPlainLF)
				}
				i, lines = i+end, lines+1
			}
			if err == nil && !skip && found+1 < n {
				err = d.missing(found + 1)
			}
			return i, lines, err
		}
		i++
	}
}

// quotedField finds a field that begins at i and has quotes, and where it ends. open says
// that the last quote is missing.
func (d *Decoder) quotedField(raw []byte, i int) (x cell, end int, lines uint32, open bool) {
	o := &d.r.options
	if raw[i] == o.Quote { // most are one quoted text without a quote in it
		if size := bytes.IndexByte(raw[i+1:], o.Quote); size >= 0 {
			text := raw[i+1 : i+1+size]
			k := i + size + 2
			if (k == len(raw) || raw[k] == o.Delimiter || endOfRow(raw, k) > 0) && (o.Escape == o.Quote || bytes.IndexByte(text, o.Escape) < 0) {
				return cell{uint32(i + 1), uint32(k - 1)}, k, uint32(bytes.Count(text, newline)), false
			}
		}
	}
	x.lo = uint32(len(d.side)) | inSide
	inside := false
	for ; i < len(raw); i++ {
		c := raw[i]
		switch {
		case inside && c == o.Escape && i+1 < len(raw) && (raw[i+1] == o.Quote || raw[i+1] == o.Escape):
			i++
			d.side = append(d.side, raw[i])
			continue
		case c == o.Quote:
			inside = !inside
			continue
		case !inside && (c == o.Delimiter || endOfRow(raw, i) > 0):
			x.hi = uint32(len(d.side))
			return x, i, lines, false
		case c == '\n':
			lines++
		}
		d.side = append(d.side, c)
	}
	x.hi = uint32(len(d.side))
	return x, i, lines, inside
}
