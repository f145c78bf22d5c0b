package pgcatalog

import (
	"fmt"
	"strconv"

	"github.com/prickledb/prickle/storage/vec"
)

// table is the rows of a relation while they are made.
type table struct {
	rel  *relation
	cols []*vec.Builder
	rows int
}

func newTable(rel *relation) *table {
	t := &table{rel: rel}
	for _, c := range rel.Columns {
		t.cols = append(t.cols, vec.NewBuilder(c.Type))
	}
	return t
}

// add adds a row of pairs, a column's name and its value. Columns that are not named are null,
// or zero where they never are null. A value is nil, or a bool, an int, uint32, int64, float64, a
// string, or a list of them; a string does for a number as well.
func (t *table) add(pairs ...any) {
	set := make([]bool, len(t.cols))
	for i := 0; i < len(pairs); i += 2 {
		at, ok := t.rel.at[pairs[i].(string)]
		if !ok {
			panic(fmt.Sprintf("%s.%s has no column %v", t.rel.System, t.rel.Name, pairs[i]))
		}
		appendAny(t.cols[at], pairs[i+1])
		set[at] = true
	}
	for i, b := range t.cols {
		switch {
		case set[i]:
		case t.rel.notNull[i]:
			appendZero(b)
		default:
			b.AppendNull()
		}
	}
	t.rows++
}

// batch is the rows so far.
func (t *table) batch() *vec.Batch {
	b := &vec.Batch{Rows: t.rows}
	for _, c := range t.cols {
		b.Cols = append(b.Cols, c.V)
	}
	return b
}

func appendZero(b *vec.Builder) {
	switch b.V.Type.Payload() {
	case vec.PayloadStr:
		appendAny(b, "")
	case vec.PayloadBools:
		appendAny(b, false)
	case vec.PayloadList:
		appendAny(b, []string(nil))
	default:
		appendAny(b, 0)
	}
}

func appendAny(b *vec.Builder, x any) {
	v := b.V
	if x == nil {
		b.AppendNull()
		return
	}
	switch v.Type.Payload() {
	case vec.PayloadBools:
		switch x := x.(type) {
		case bool:
			v.Bools = append(v.Bools, x)
		default:
			v.Bools = append(v.Bools, x == "t")
		}
	case vec.PayloadI64:
		v.I64 = append(v.I64, integer(x))
	case vec.PayloadF64:
		if f, ok := x.(float64); ok {
			v.F64 = append(v.F64, f)
			return
		}
		v.F64 = append(v.F64, float64(integer(x)))
	case vec.PayloadStr:
		v.Str.AppendString(x.(string))
	case vec.PayloadIvl:
		v.Ivl = append(v.Ivl, x.(vec.IntervalValue))
	case vec.PayloadList:
		appendList(b, x)
	default:
		b.AppendNull()
	}
}

func appendList(b *vec.Builder, x any) {
	v := b.V
	if v.Elem == nil {
		v.Elem = &vec.Vector{Type: v.Type.Elem()}
	}
	if len(v.Offs) == 0 {
		v.Offs = append(v.Offs, 0)
	}
	elem := &vec.Builder{V: v.Elem}
	switch x := x.(type) {
	case []string:
		for _, e := range x {
			appendAny(elem, e)
		}
	case []uint32:
		for _, e := range x {
			appendAny(elem, e)
		}
	case []int:
		for _, e := range x {
			appendAny(elem, e)
		}
	}
	v.Offs = append(v.Offs, uint32(v.Elem.Len()))
}

func integer(x any) int64 {
	switch x := x.(type) {
	case int:
		return int64(x)
	case int64:
		return x
	case uint32:
		return int64(x)
	case string:
		if x == "" || x == "-" {
			return 0
		}
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			panic(err) // the data is part of the program
		}
		return n
	}
	panic(fmt.Sprintf("%T is no integer", x))
}
