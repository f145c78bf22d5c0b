package format

import (
	"bytes"
	"encoding/json"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// objects reads a piece of lines of JSON.
func (d *Decoder) objects(p *Piece) error {
	line := p.line
	for raw := p.raw; len(raw) > 0; line++ {
		var row []byte
		row, raw, _ = bytes.Cut(raw, newline)
		if row = bytes.TrimSpace(row); len(row) == 0 {
			continue
		}
		if err := d.object(row, line); err != nil {
			if d.r.options.Skip {
				d.truncate(d.rows)
				d.r.skipped.Add(1)
				continue
			}
			return err
		}
		d.row(line)
	}
	return nil
}

func (d *Decoder) object(row []byte, line int64) error {
	if !json.Valid(row) || row[0] != '{' {
		return d.r.at(pgerr.New(pgerr.InvalidText, "invalid input syntax for type json").WithDetail("A line must be a JSON object."), line, "", row)
	}
	var failed error
	expr.EachMember(row, func(key, value []byte) bool {
		d.side = expr.AppendJSONText(d.side[:0], key)
		c, ok := d.byKey[string(d.side)]
		if !ok {
			if !d.r.options.Match {
				return true
			}
			failed = d.r.at(badFormat(`there is no column "%s"`, d.side), line, "", row)
			return false
		}
		if d.cols[c].V.Len() > d.rows { // of equal keys the last counts
			truncate(d.cols[c].V, d.rows)
		}
		if err := d.jsonValue(d.cols[c].V, d.inputs[c], value); err != nil {
			failed = d.r.at(err, line, d.r.columns[c].Name, expr.AppendJSONText(nil, value))
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	for c := range d.cols {
		v := d.cols[c].V
		if v.Len() == d.rows {
			d.cols[c].AppendNull()
		}
		if d.r.columns[c].NotNull && v.Nulls.Get(d.rows) {
			truncate(v, d.rows)
			return d.r.at(d.null(c), line, "", nil)
		}
	}
	return nil
}

// jsonValue appends a value: strings by their text, the rest by how it is written.
func (d *Decoder) jsonValue(v *vec.Vector, in *expr.Input, value []byte) error {
	switch {
	case value[0] == 'n':
		(&vec.Builder{V: v}).AppendNull()
		return nil
	case v.Type.Array && value[0] == '[':
		list := vec.NewBuilder(v.Type)
		each, elem := expr.NewInput(v.Type.Elem()), &vec.Vector{Type: v.Type.Elem()}
		var failed error
		expr.EachElement(value, func(e []byte) bool {
			failed = d.jsonValue(elem, each, e)
			return failed == nil
		})
		list.V.Elem, list.V.Offs = elem, []uint32{0, uint32(elem.Len())}
		if failed == nil {
			(&vec.Builder{V: v}).AppendFrom(list.V, 0)
		}
		return failed
	case value[0] == '"' && v.Type.Kind != vec.JSONB:
		d.side = expr.AppendJSONText(d.side[:0], value)
		return in.Text(d.r.ctx, v, d.side)
	}
	return in.Text(d.r.ctx, v, value)
}
