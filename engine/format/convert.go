package format

import (
	"fmt"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// converter makes columns of the types that are wanted of columns that bring types of their own.
type converter struct {
	r     *Reader
	casts []expr.Expr // by column; nil where nothing is to be done
}

// add notes the next column, and the type that it brings.
func (c *converter) add(from vec.Type) error {
	to := &c.r.columns[len(c.casts)]
	var cast expr.Expr
	if from != to.Type {
		column := &expr.Column{T: from, Name: to.Name}
		var err error
		if cast, err = expr.NewAssignment(column, to.Type); err != nil {
			cast, err = expr.NewCast(column, to.Type, true, false)
		}
		if err != nil {
			return pgerr.New(pgerr.DatatypeMismatch, `column "%s" is of type %s but the rows have %s`, to.Name, to.Type, from)
		}
	}
	c.casts = append(c.casts, cast)
	return nil
}

// convert gives column i of some rows, of which the first has a number, in the type that is
// wanted.
func (c *converter) convert(i int, v *vec.Vector, rows int, line int64) (*vec.Vector, error) {
	v, err := c.cast(i, v, rows, line)
	if err == nil {
		err = c.check(i, v, rows, line)
	}
	return v, err
}

// cast is convert of a column that may have nulls.
func (c *converter) cast(i int, v *vec.Vector, rows int, line int64) (*vec.Vector, error) {
	to := &c.r.columns[i]
	if cast := c.casts[i]; cast != nil {
		b := &vec.Batch{Rows: rows, Cols: []*vec.Vector{v}}
		out, err := cast.Eval(c.r.ctx, b)
		if err != nil {
			for row := range rows { // the first that fails
				one := &vec.Batch{Rows: rows, Cols: b.Cols, Sel: []uint32{uint32(row)}}
				if _, err := cast.Eval(c.r.ctx, one); err != nil {
					return nil, c.r.at(err, line+int64(row), to.Name, expr.AppendText(nil, v, row, c.r.ctx))
				}
			}
			return nil, err
		}
		if v = out; v.Form != vec.Dict || v.Dict.Len() > rows {
			v = out.Flatten(rows)
		}
	}
	return v, nil
}

// check says whether a column has nulls that it must not have.
func (c *converter) check(i int, v *vec.Vector, rows int, line int64) error {
	to := &c.r.columns[i]
	if to.NotNull && v.HasNulls() {
		for row := range rows {
			if v.IsNull(row) {
				return c.r.at(to.noNull(), line+int64(row), "", nil)
			}
		}
	}
	return nil
}

func (c *Column) noNull() error {
	return pgerr.New(pgerr.NotNullViolation, `null value in column "%s" of relation "%s" violates not-null constraint`, c.Name, c.Table)
}

// findColumn is the place of a name among others, or -1. Letters of the other case do where no
// name is the same and one alone differs in that: SQL folds names that have no quotes.
func findColumn(n int, nameOf func(int) string, name string) int {
	found, several := -1, false
	for i := range n {
		switch other := nameOf(i); {
		case other == name:
			return i
		case strings.EqualFold(other, name):
			several = found >= 0
			found = i
		}
	}
	if several {
		return -1
	}
	return found
}

// missingColumn is the error for a column that the rows do not bring; why says that they do,
// in a form that is not read.
func missingColumn(name, why string) error {
	if why != "" {
		return pgerr.Unsupported(fmt.Sprintf(`the column "%s", which is %s,`, name, why))
	}
	return badFormat(`the file has no column "%s"`, name)
}
