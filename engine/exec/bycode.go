package exec

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// byCode remembers what expressions over one column of a range give for each value of the
// column's dictionary, as a number. It belongs to one goroutine.
type byCode struct {
	column int // -1: there is more than one, or it is not so that equal values give equal numbers
	most   int // entries of a dictionary that are worth it
	dict   *vec.Vector
	seen   []uint32 // by code: number+1, 0 for unknown; NULL comes last
	asked  []uint32 // rows
}

// mostCodes is how many entries of the dictionary of so many rows are worth to be remembered.
func mostCodes(rows int) int { return rows / 16 }

// newByCode is for expressions over a range of so many rows. The name of the event is the same
// in all of them.
func newByCode(sc *plan.Scan, rows int, exprs ...expr.Expr) *byCode {
	c := &byCode{column: -1, most: mostCodes(rows)}
	one := true
	for _, e := range exprs {
		one = one && !expr.Volatile(e)
		expr.Walk(e, func(e expr.Expr) bool {
			if e, ok := e.(*expr.Column); ok && sc.Columns[e.Index].Column != "event" {
				one = one && (c.column < 0 || c.column == e.Index)
				c.column = e.Index
			}
			return one
		})
	}
	if !one {
		c.column = -1
	}
	return c
}

// find writes the number of each of the rows to dst. It asks for those of rows whose values
// it has not seen.
func (c *byCode) find(dst []uint32, b *vec.Batch, rows []uint32, ask func(dst []uint32, b *vec.Batch, rows []uint32) error) error {
	if c.column < 0 || b.Cols[c.column].Form != vec.Dict || b.Cols[c.column].Dict.Len() > c.most {
		return ask(dst, b, rows)
	}
	v := b.Cols[c.column]
	if c.dict != v.Dict {
		c.dict, c.seen = v.Dict, make([]uint32, v.Dict.Len()+1)
	}
	if c.look(dst, v, rows); len(c.asked) == 0 {
		return nil
	}
	asked := c.asked
	numbers := make([]uint32, len(asked))
	if err := ask(numbers, &vec.Batch{Rows: b.Rows, Sel: asked, Cols: b.Cols}, asked); err != nil {
		return err
	}
	for i, r := range asked {
		c.seen[c.code(v, r)] = numbers[i] + 1
	}
	c.look(dst, v, rows)
	return nil
}

// look looks the rows up, and notes one for each value that is not known.
func (c *byCode) look(dst []uint32, v *vec.Vector, rows []uint32) {
	c.asked = c.asked[:0]
	if !v.HasNulls() {
		codes, seen, least := v.Codes, c.seen, ^uint32(0)
		for i, r := range rows {
			n := seen[codes[r]]
			dst[i], least = n-1, min(least, n)
		}
		if least > 0 {
			return
		}
	}
	for i, r := range rows {
		code := c.code(v, r)
		n := c.seen[code]
		if n == 0 {
			c.seen[code] = notFound // no other row with the value need be asked
			c.asked = append(c.asked, r)
		}
		dst[i] = n - 1
	}
}

func (c *byCode) code(v *vec.Vector, row uint32) uint32 {
	if v.Nulls.Get(int(row)) {
		return uint32(len(c.seen) - 1)
	}
	return v.Codes[row]
}
