package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// inferRows is how many rows are looked at to find the types of columns.
const inferRows = 10_000

// Infer finds the columns of a stream of CSV or of lines of JSON by its first rows, and fills
// in what o leaves open: with a header that nobody asked for or forbade, whether there is one.
//
// A column has the first of these types that all its values have: bigint, double precision,
// boolean, date, timestamp, timestamp with time zone, text; for JSON bigint, double precision,
// boolean, text, and jsonb for what is nested or of several kinds.
func Infer(in io.Reader, o Options, headerGiven bool, ctx *expr.Context) (Options, []Column, error) {
	head, err := io.ReadAll(io.LimitReader(in, pieceBytes))
	if err != nil {
		return o, nil, err
	}
	whole := len(head) < pieceBytes
	if o.Kind == JSONL {
		o.Match = false
		columns, err := inferObjects(head, whole, ctx)
		return o, columns, err
	}
	return inferCSV(head, whole, o, headerGiven, ctx)
}

// candidates are the types that text may have, the narrowest first.
var candidates = []vec.Kind{vec.Int8, vec.Float8, vec.Bool, vec.Date, vec.Timestamp, vec.TimestampTZ}

// guess is what a column may still be.
type guess struct {
	left  []vec.Kind
	found bool // a value that is not null
}

func newGuess() guess { return guess{left: candidates} }

// see strikes out the types that a text does not have.
func (g *guess) see(s []byte, ctx *expr.Context) {
	g.found = true
	var left []vec.Kind
	for _, k := range g.left {
		if readsAs(k, s, ctx) {
			left = append(left, k)
		}
	}
	g.left = left
}

func readsAs(k vec.Kind, s []byte, ctx *expr.Context) bool {
	switch k {
	case vec.Bool: // not every word that could be one
		return bytes.EqualFold(s, []byte("true")) || bytes.EqualFold(s, []byte("false"))
	case vec.Date, vec.Timestamp, vec.TimestampTZ:
		if len(s) < 8 || len(s) > 40 || s[0] < '0' || s[0] > '9' || bytes.Count(s, []byte("-")) < 2 {
			return false
		}
		zoned := len(s) > 19 && (s[len(s)-1] == 'Z' || bytes.ContainsAny(s[19:], "+-"))
		if k == vec.Date && len(s) != 10 || k == vec.Timestamp && zoned {
			return false
		}
	}
	return expr.NewInput(vec.T(k)).Text(ctx, &vec.Vector{Type: vec.T(k)}, s) == nil
}

func (g *guess) kind() vec.Kind {
	if !g.found || len(g.left) == 0 {
		return vec.Text
	}
	return g.left[0]
}

func inferCSV(head []byte, whole bool, o Options, headerGiven bool, ctx *expr.Context) (Options, []Column, error) {
	if len(head) == 0 {
		return o, nil, badFormat("the file is empty, so it has no columns")
	}
	// Fields are found as in a table of one column for each field of the first row.
	d := &Decoder{r: &Reader{options: o, columns: make([]Column, maxColumns)}, cols: make([]vec.Builder, maxColumns)}
	at, _, err := d.csvRecord(head, 0, false)
	n := len(d.cells)
	if err != nil && n == 0 {
		return o, nil, err
	}
	names := make([]string, n)
	for i, c := range d.cells {
		if c.lo != nullCell {
			names[i] = string(d.bytes(head, c))
		}
	}
	first := make([]guess, n)
	for i := range first {
		first[i] = newGuess()
		if names[i] != "" {
			first[i].see([]byte(names[i]), ctx)
		}
	}
	d.cols = d.cols[:n]
	rest := make([]guess, n)
	for i := range rest {
		rest[i] = newGuess()
	}
	for row := 0; row < inferRows && at < len(head); row++ {
		d.cells, d.side = d.cells[:0], d.side[:0]
		next, _, err := d.csvRecord(head, at, false)
		if !whole && next >= len(head) {
			break // it may go on behind what was read
		}
		if err == nil {
			for i, c := range d.cells {
				if c.lo != nullCell {
					rest[i].see(d.bytes(head, c), ctx)
				}
			}
		}
		at = next
	}
	// A first row of texts above columns that hold none is a header, and so is one of names
	// above texts alone.
	if !headerGiven {
		texts, differ := true, false
		for i := range first {
			texts = texts && first[i].kind() == vec.Text && names[i] != ""
			differ = differ || rest[i].kind() != vec.Text
		}
		o.Header = texts && (differ || distinct(names))
	}
	columns := make([]Column, n)
	for i := range columns {
		g := rest[i]
		columns[i].Name = fmt.Sprintf("column%d", i)
		if o.Header {
			if names[i] != "" {
				columns[i].Name = names[i]
			}
		} else if first[i].found {
			g.found = true
			var both []vec.Kind
			for _, k := range g.left {
				for _, f := range first[i].left {
					if k == f {
						both = append(both, k)
					}
				}
			}
			g.left = both
		}
		columns[i].Type = vec.T(g.kind())
	}
	for i, name := range uniqueNames(schemaOfColumns(columns)) {
		columns[i].Name = name
	}
	return o, columns, nil
}

func distinct(names []string) bool {
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] || strings.ContainsAny(n, "\n") {
			return false
		}
		seen[n] = true
	}
	return true
}

func schemaOfColumns(columns []Column) vec.Schema {
	var s vec.Schema
	for _, c := range columns {
		s = append(s, vec.Field{Name: c.Name, Type: c.Type})
	}
	return s
}

// inferObjects finds the keys of lines of JSON, in the order in which they come.
func inferObjects(head []byte, whole bool, ctx *expr.Context) ([]Column, error) {
	var columns []Column
	at := map[string]int{}
	for row := 0; row < inferRows && len(head) > 0; row++ {
		line, rest, found := bytes.Cut(head, newline)
		if !found && !whole {
			break
		}
		head = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !json.Valid(line) || line[0] != '{' {
			return nil, pgerr.New(pgerr.InvalidText, "invalid input syntax for type json").WithDetail("A line must be a JSON object.").
				WithWhere("line %d", row+1)
		}
		expr.EachMember(line, func(key, value []byte) bool {
			name := string(expr.AppendJSONText(nil, key))
			i, known := at[name]
			if !known {
				i = len(columns)
				at[name] = i
				columns = append(columns, Column{Name: name})
			}
			t := &columns[i].Type
			*t = widerJSON(*t, value, ctx)
			return len(columns) < maxColumns
		})
	}
	for i := range columns {
		if columns[i].Type.Kind == vec.Unknown {
			columns[i].Type = vec.T(vec.Text)
		}
	}
	if len(columns) == 0 {
		return nil, badFormat("the file has no objects, so it has no columns")
	}
	return columns, nil
}

// widerJSON is the type that holds what t does and a value.
func widerJSON(t vec.Type, value []byte, ctx *expr.Context) vec.Type {
	var k vec.Kind
	switch c := value[0]; {
	case c == 'n':
		return t
	case c == 't' || c == 'f':
		k = vec.Bool
	case c == '"':
		k = vec.Text
	case c == '{' || c == '[':
		k = vec.JSONB
	case readsAs(vec.Int8, value, ctx):
		k = vec.Int8
	default:
		k = vec.Float8
	}
	switch {
	case t.Kind == vec.Unknown || t.Kind == k:
		return vec.T(k)
	case t.IsNumber() && (k == vec.Int8 || k == vec.Float8):
		return vec.T(vec.Float8)
	}
	return vec.T(vec.JSONB)
}
