package format

import (
	"errors"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/prickledb/prickle/storage/vec"
)

// parquetGroup is a row group that is read. Its pieces share a cursor in each column, so that no
// page is unpacked twice: while one piece reads a column, the next one reads those that the
// first has behind it.
type parquetGroup struct {
	mu      sync.Mutex
	moved   sync.Cond
	cursors []parquetCursor
	err     error // of a piece: those behind it cannot be read
}

func newParquetGroup(columns int) *parquetGroup {
	g := &parquetGroup{cursors: make([]parquetCursor, columns)}
	g.moved.L = &g.mu
	return g
}

// enter gives the cursor of a column once it has come to a row. It calls away, if that is not
// nil, before it waits, and what that gives afterwards.
func (g *parquetGroup) enter(column int, row int64, away func() (back func())) (*parquetCursor, error) {
	c := &g.cursors[column]
	g.mu.Lock()
	if away != nil && g.err == nil && c.row < row {
		g.mu.Unlock()
		defer away()()
		g.mu.Lock()
	}
	defer g.mu.Unlock()
	for g.err == nil && c.row < row {
		g.moved.Wait()
	}
	return c, g.err
}

// leave says up to which row a column was read.
func (g *parquetGroup) leave(column int, row int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cursors[column].row = row
	g.moved.Broadcast()
}

func (g *parquetGroup) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.moved.Broadcast()
}

// parquetCursor walks the pages of a column chunk.
type parquetCursor struct {
	in      *parquetIn
	row     int64 // under the group's mu
	pages   parquet.Pages
	convert func(*vec.Vector) (*vec.Vector, error) // values of the dictionary to the type that is wanted

	page    parquet.Page    // nil: the next one is to be read
	data    encoding.Values // its values that are there, or where they are in the dictionary
	levels  []byte          // definition levels; none if every value is there
	repeats []byte          // repetition levels, of lists
	length  int             // levels of the page
	at      int             // the next of them
	value   int             // the next of data

	dict    *vec.Vector // of the chunk
	final   *vec.Vector // dict in the type that is wanted; nil if a value does not fit
	dictErr error       // of reading it
}

// maxCoded is how many values a dictionary may have for a batch to keep it.
const maxCoded = vec.BatchRows / 2

// load makes sure that there is a page with something left; io.EOF is the end of the chunk.
func (c *parquetCursor) load() error {
	for c.page == nil || c.at == c.length {
		if c.page != nil {
			parquet.Release(c.page)
			c.page = nil
		}
		page, err := c.pages.ReadPage()
		if err != nil {
			return err
		}
		c.page, c.data, c.length = page, page.Data(), int(page.NumValues())
		c.levels, c.repeats, c.at, c.value = page.DefinitionLevels(), page.RepetitionLevels(), 0, 0
		if d := page.Dictionary(); d != nil && c.dict == nil && c.dictErr == nil {
			c.dict = &vec.Vector{Type: c.elem()}
			if c.dictErr = c.in.fill(c.dict, d.Page().Data(), 0, d.Len()); c.dictErr == nil && !c.in.list {
				if c.final, err = c.convert(c.dict); err != nil {
					c.final = nil // the row with the value will tell
				}
			}
		}
		if page.Dictionary() != nil && c.dictErr != nil {
			return c.dictErr
		}
	}
	return nil
}

// elem is the type of the values that pages hold.
func (c *parquetCursor) elem() vec.Type {
	if c.in.list {
		return c.in.Type.Elem()
	}
	return c.in.Type
}

// coded says whether the values of the page are places in the dictionary.
func (c *parquetCursor) coded() bool { return c.page.Dictionary() != nil }

func (c *parquetCursor) close() {
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
	c.pages.Close() //nolint:errcheck // only read
}

// place is the line of what went wrong, when so much was read of a batch that begins at one; 0 if
// it is not known.
func (c *parquetCursor) place(line int64, v *vec.Vector) int64 {
	if c.dictErr != nil || v == nil {
		return 0
	}
	return line + int64(v.Len())
}

// take gives the next rows, and whether they are in the type that is wanted already. With an
// error it gives those before.
func (c *parquetCursor) take(rows int) (v *vec.Vector, final bool, err error) {
	if c.in.list {
		v, err = c.lists(rows)
		return v, false, err
	}
	b := vec.Builder{V: &vec.Vector{Type: c.in.Type}}
	var coded *vec.Vector // while all values are of the dictionary
	for n := 0; n < rows; {
		if err := c.load(); err != nil {
			if coded != nil {
				return coded, false, err
			}
			return b.V, false, err
		}
		if n == 0 && c.coded() && c.in.Type.Payload() == vec.PayloadStr && c.dict.Len() <= maxCoded {
			coded = &vec.Vector{Type: c.in.Type, Form: vec.Dict, Dict: c.dict, Codes: make([]uint32, 0, rows)}
			if final = c.final != nil; final {
				coded.Type, coded.Dict = c.final.Type, c.final
			}
		}
		if coded != nil && !c.coded() { // the writer gave its dictionary up
			coded.Type, coded.Dict = c.in.Type, c.dict
			b.AppendRows(coded, 0, n)
			coded, final = nil, false
		}
		if coded == nil {
			reserve(b.V, rows)
		}
		k := min(rows-n, c.length-c.at)
		for end := c.at + k; c.at < end; {
			from, there := c.at, c.there(c.at)
			for c.at++; c.at < end && c.there(c.at) == there; c.at++ {
			}
			count := c.at - from
			switch {
			case !there && coded != nil:
				coded.Nulls = coded.Nulls.Grow(rows)
				for range count {
					coded.Nulls.Set(len(coded.Codes))
					coded.Codes = append(coded.Codes, 0)
				}
				continue
			case !there:
				for range count {
					b.AppendNull()
				}
				continue
			case coded != nil:
				for _, code := range c.data.Int32()[c.value : c.value+count] {
					if uint(code) >= uint(c.dict.Len()) {
						return coded, false, errCode(code, c.dict)
					}
					coded.Codes = append(coded.Codes, uint32(code))
				}
			default:
				if err := c.values(b.V, count); err != nil {
					return b.V, false, err
				}
			}
			c.value += count
		}
		n += k
	}
	if coded != nil {
		return coded, final, nil
	}
	return b.V, false, nil
}

func errCode(code int32, dict *vec.Vector) error {
	return badFormat("value %d of a dictionary of %d", code, dict.Len())
}

// there says whether a level of the page has a value.
func (c *parquetCursor) there(at int) bool { return len(c.levels) == 0 || c.levels[at] == c.in.max }

// values appends the next values of the page.
func (c *parquetCursor) values(v *vec.Vector, count int) error {
	if !c.coded() {
		return c.in.fill(v, c.data, c.value, c.value+count)
	}
	codes := c.data.Int32()[c.value : c.value+count]
	switch v.Type.Payload() {
	case vec.PayloadI64:
		return gather(&v.I64, c.dict.I64, codes, c.dict)
	case vec.PayloadF64:
		return gather(&v.F64, c.dict.F64, codes, c.dict)
	}
	b := vec.Builder{V: v}
	for _, code := range codes {
		if uint(code) >= uint(c.dict.Len()) {
			return errCode(code, c.dict)
		}
		b.AppendFrom(c.dict, int(code))
	}
	return nil
}

func gather[T any](dst *[]T, values []T, codes []int32, dict *vec.Vector) error {
	out := *dst
	for _, code := range codes {
		if uint(code) >= uint(len(values)) {
			return errCode(code, dict)
		}
		out = append(out, values[code])
	}
	*dst = out
	return nil
}

// reserve makes room for values of a fixed size.
func reserve(v *vec.Vector, rows int) {
	switch p := v.Type.Payload(); {
	case p == vec.PayloadI64 && v.I64 == nil:
		v.I64 = make([]int64, 0, rows)
	case p == vec.PayloadF64 && v.F64 == nil:
		v.F64 = make([]float64, 0, rows)
	case p == vec.PayloadDec && v.Len() == 0 && v.I64 == nil:
		v.I64 = make([]int64, 0, rows) // scaled, most likely
	}
}

// lists is take of lists.
func (c *parquetCursor) lists(rows int) (*vec.Vector, error) {
	v := &vec.Vector{Type: c.in.Type, Offs: make([]uint32, 1, rows+1), Elem: &vec.Vector{Type: c.in.Type.Elem()}}
	elems := vec.Builder{V: v.Elem}
	open, null := false, false
	end := func() {
		if open = false; null {
			(&vec.Builder{V: v}).AppendNull()
		} else {
			v.Offs = append(v.Offs, uint32(v.Elem.Len()))
		}
	}
	for {
		err := c.load()
		if open && (errors.Is(err, io.EOF) || err == nil && c.repeats[c.at] == 0) {
			end()
		}
		if v.Len() == rows {
			return v, nil
		}
		if err != nil {
			return v, err
		}
		level := c.levels[c.at]
		if c.at++; !open {
			open, null = true, level+1 < c.in.outer
		}
		switch {
		case level < c.in.outer:
		case level < c.in.max:
			elems.AppendNull()
		default:
			if err := c.values(v.Elem, 1); err != nil {
				return v, err
			}
			c.value++
		}
	}
}
