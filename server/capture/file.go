package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

const (
	// batchRows and batchBytes end a batch: what goes through the log in one piece.
	batchRows  = 16384
	batchBytes = 1 << 20
	// MaxLineBytes is the longest line of a file, and so the largest event: it has to fit
	// into one entry of the log.
	MaxLineBytes = 4 << 20
	// ChunkBytes is a good size for what Decoder.Decode is given: a few full batches.
	ChunkBytes = 4 << 20
)

// Reject is a row of a file that is not stored.
type Reject struct {
	Line   int64  // counted from 1
	Kind   string // one of the Bad constants, worded to follow a count of rows
	Detail string // what is wrong with this row
	Raw    []byte // its bytes, or the first of them if it is very long
}

// FileBatch is rows of a file in their order. Before it is stored, the rows that came
// without an id are settled by an Occurrences.
type FileBatch struct {
	*event.Batch
	// Derived lists the rows whose uuid is made from their bytes alone so far.
	Derived []uint32
}

// Decoded is what became of one chunk.
type Decoded struct {
	Batches []FileBatch
	Rejects []Reject
	Rows    int // in the batches
	Lines   int // in the chunk, blank ones too
}

// Decoder decodes chunks of newline-delimited JSON. It is for one goroutine; several
// decoders may take the chunks of one file in turn.
type Decoder struct{ d *decoder }

// NewDecoder makes a decoder of rows whose columns mean what m says.
func NewDecoder(m Mapping) *Decoder { return &Decoder{fileDecoder(m)} }

func fileDecoder(m Mapping) *decoder {
	d := newDecoder(File)
	d.roles = make(map[string]role)
	for i, name := range personKeys {
		d.roles[string(name)] = roleSet + role(i)
	}
	for _, f := range []struct {
		column string
		role   role
	}{{m.Properties, roleProperties}, {m.Event, roleEvent}, {m.Person, roleDistinctID}, {m.Time, roleTime}, {m.ID, roleUUID}} {
		if f.column == "" {
			continue
		}
		parent, path, nested := strings.Cut(f.column, ".")
		if !nested || slices.Contains(m.literal, f.column) {
			d.roles[f.column] = f.role
			continue
		}
		if d.roles[parent] == roleProperties {
			parent = "properties"
		} else {
			d.roles[parent] = roleParent
		}
		d.mapped = append(d.mapped, mapped{parent, strings.Split(path, "."), f.role})
	}
	return d
}

// Decode decodes whole lines; the last may lack its end. The batches are the caller's; the
// rejects' bytes are part of chunk.
func (f *Decoder) Decode(chunk []byte, firstLine int64) Decoded {
	var out Decoded
	d := f.d
	for len(chunk) > 0 {
		size, valid := event.Line(chunk)
		line := chunk[:size]
		chunk = chunk[min(size+1, len(chunk)):]
		number := firstLine + int64(out.Lines)
		out.Lines++
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if reason := d.line(line, valid); reason.kind != "" {
			out.Rejects = append(out.Rejects, Reject{number, reason.kind, reason.detail, line})
			continue
		}
		out.Rows++
		if d.full() {
			out.Batches = append(out.Batches, d.finishBatch())
		}
	}
	if d.b.Rows() > 0 {
		out.Batches = append(out.Batches, d.finishBatch())
	}
	return out
}

// line reads one line into the builder, or says why not. It may be known to be valid UTF-8.
func (d *decoder) line(line []byte, valid bool) bad {
	s := &d.s
	if len(line) > MaxLineBytes {
		return bad{BadTooLarge, fmt.Sprintf("the line has %d bytes; the limit is %d", len(line), MaxLineBytes)}
	}
	s.reset(line)
	d.raw = bytes.TrimSuffix(line, []byte("\r"))
	if !valid && !s.valid() {
		return bad{BadJSON, s.err.Error()}
	}
	if s.next() != '{' {
		if _, ok := s.skip(0); !ok {
			return bad{BadJSON, s.err.Error()}
		}
		return bad{BadShape, "not a JSON object"}
	}
	d.begin()
	if !d.object() || !s.end() {
		d.b.Abort()
		return bad{BadJSON, s.err.Error()}
	}
	return d.finish()
}

func (d *decoder) full() bool {
	return d.b.Rows() >= batchRows || d.b.Bytes() >= batchBytes || d.b.Full()
}

func (d *decoder) finishBatch() FileBatch {
	out := FileBatch{d.b.Finish(), d.derived}
	d.derived = nil
	return out
}

// Rows takes rows as columns: of CSV, or Parquet, which are no JSON. It is for one goroutine.
//
// For each row: Begin, a Set method for each column that has a value, then End.
type Rows struct {
	d     *decoder
	names [][]byte
	roles []role
	line  int64
	raw   []byte // what the row consists of, for an id made from it
	err   string // what is wrong with the row's JSON
}

// NewRows makes a decoder of rows with these columns, which mean what m says.
func NewRows(m Mapping, columns []string) *Rows {
	m.literal = columns // a CSV column may have a dot in its name
	r := &Rows{d: fileDecoder(m)}
	for _, name := range columns {
		r.names = append(r.names, []byte(name))
		r.roles = append(r.roles, r.d.roles[name])
	}
	return r
}

// Begin starts a row; line is for what is said about it.
func (r *Rows) Begin(line int64) {
	r.line, r.err, r.raw = line, "", r.raw[:0]
	r.d.s.reset(nil)
	r.d.begin()
}

// Set gives the row's value of a column. The bytes are lent until End. Columns that hold
// an object (properties, "$set", …) may be given as JSON or as text; values of kind JSON
// are made canonical.
func (r *Rows) Set(column int, kind event.Kind, text []byte) {
	d := r.d
	r.raw = binary.AppendUvarint(r.raw, uint64(column))
	r.raw = binary.AppendUvarint(append(r.raw, byte(kind)), uint64(len(text)))
	r.raw = append(r.raw, text...)
	v := value{kind, true, text}
	at := r.roles[column]
	parse := kind == event.JSON
	if kind == event.Text && (at == roleProperties || at == roleParent || at >= roleSet && at <= roleUnset) {
		trimmed := bytes.TrimSpace(text)
		if len(trimmed) == 0 {
			return
		}
		parse = trimmed[0] == '{' || trimmed[0] == '['
	}
	if parse {
		// The buffers stay: they hold what earlier columns gave.
		d.s.src, d.s.pos, d.s.err = text, 0, nil
		var ok bool
		if ok = d.s.valid(); ok && at == roleProperties && d.s.next() == '{' {
			if ok = d.properties() && d.s.end(); ok {
				return
			}
		} else if ok {
			v.kind, v.text, ok = d.s.value()
			ok = ok && d.s.end()
		}
		if !ok {
			if r.err == "" {
				r.err = fmt.Sprintf("column %q: %s", r.names[column], d.s.err.Error())
			}
			return
		}
	} else if kind == event.Text {
		if d.s.src, d.s.err = text, nil; !d.s.valid() && r.err == "" {
			r.err = fmt.Sprintf("column %q: %s", r.names[column], d.s.err.Error())
			return
		}
	}
	d.take(at, r.names[column], v)
}

// SetTime gives the row's value of a column that is a time, in µs since 1970 UTC.
func (r *Rows) SetTime(column int, micros int64) {
	if r.roles[column] != roleTime {
		r.Set(column, event.Text, appendTime(nil, micros))
		return
	}
	r.raw = binary.LittleEndian.AppendUint64(binary.AppendUvarint(r.raw, uint64(column)), uint64(micros))
	r.d.row.micros, r.d.row.microsSet = micros, true
}

// SetUUID gives the row's value of a column that is a uuid.
func (r *Rows) SetUUID(column int, id vec.UUIDValue) {
	if r.roles[column] != roleUUID {
		r.Set(column, event.Text, []byte(uuid.UUID(id).String()))
		return
	}
	r.d.row.id, r.d.row.idSet = id, true
}

// End completes the row. If it is refused, ok is false, and the Reject lacks its bytes.
func (r *Rows) End() (reject Reject, ok bool) {
	r.d.raw = r.raw
	if r.err != "" {
		r.d.b.Abort()
		return Reject{Line: r.line, Kind: BadJSON, Detail: r.err}, false
	}
	reason := r.d.finish()
	return Reject{Line: r.line, Kind: reason.kind, Detail: reason.detail}, reason.kind == ""
}

// Full says that it is time to Take.
func (r *Rows) Full() bool { return r.d.full() }

// Len is how many rows Take would give.
func (r *Rows) Len() int { return r.d.b.Rows() }

// Take gives the rows so far, which are the caller's.
func (r *Rows) Take() FileBatch { return r.d.finishBatch() }

// Classify is the kind of a value that was written as text, as in CSV.
func Classify(text []byte) event.Kind {
	switch {
	case len(text) == 0:
		return event.Null
	case string(text) == "true" || string(text) == "false":
		return event.Bool
	case text[0]-'0' <= 9 || text[0] == '-' && len(text) > 1:
		s := scanner{src: text}
		if kind, _, ok := s.number(); ok && s.pos == len(text) {
			return kind
		}
	}
	return event.Text
}

// Occurrences counts how often the same row came before in a file, so that rows without
// an id get one that is the same whenever the file is read again, and rows that are
// written twice stay two. It remembers 64 bits a row that came without an id.
type Occurrences struct {
	seen  map[uint64]struct{}
	again map[uint64]uint32
}

// Settle gives the derived rows of b their ids. Batches are to be settled in the order of
// their rows in the file.
func (o *Occurrences) Settle(b FileBatch) {
	if len(b.Derived) > 0 && o.seen == nil {
		o.seen, o.again = make(map[uint64]struct{}), make(map[uint64]uint32)
	}
	for _, row := range b.Derived {
		id := &b.UUID[row]
		key := binary.LittleEndian.Uint64(id[8:])
		if _, found := o.seen[key]; !found {
			o.seen[key] = struct{}{}
			continue
		}
		o.again[key]++
		var text [20]byte
		copy(text[:], id[:])
		binary.LittleEndian.PutUint32(text[16:], o.again[key])
		*id = hashUUID(xxh3.Hash128Seed(text[:], 2))
	}
}
