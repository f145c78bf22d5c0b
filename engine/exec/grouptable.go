package exec

import (
	"fmt"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/vec"
)

// groupColumn is a column of the table of groups: by type, and then in order of first sight.
func groupColumn(c plan.ScanColumn, groups *group.Table, rows int, env *Env) (*vec.Vector, error) {
	var v *vec.Vector
	each := func(visit func(index int, ord uint32)) {
		for i := range group.Types {
			for o := range uint32(groups.Len(i)) {
				visit(i, o)
			}
		}
	}
	switch c.Column {
	case "group_type_index":
		v = &vec.Vector{Type: vec.T(vec.Int4), I64: make([]int64, 0, rows)}
		each(func(index int, _ uint32) { v.I64 = append(v.I64, int64(index)) })
	case "key":
		v = &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(rows, 0)}
		each(func(index int, o uint32) { v.Str.AppendString(groups.Key(index, o)) })
	case "created_at":
		v = &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: make([]int64, 0, rows)}
		each(func(index int, o uint32) { v.I64 = append(v.I64, groups.CreatedAt(index, o)) })
	case "properties":
		v = &vec.Vector{Type: vec.T(vec.JSONB), Str: vec.MakeStrings(rows, 0)}
		each(func(index int, o uint32) {
			if p := groups.Properties(index, o); len(p) > 0 {
				v.Str.Append(p)
			} else {
				v.Str.AppendString("{}")
			}
		})
		if len(c.Path) == 0 {
			return v, nil
		}
		e, err := jsonPath(&expr.Column{Index: 0, T: v.Type}, c.Path, c)
		if err != nil {
			return nil, err
		}
		return e.Eval(env.Expr, &vec.Batch{Rows: rows, Cols: []*vec.Vector{v}})
	default:
		return nil, fmt.Errorf("groups has no column %q", c.Column)
	}
	return v, nil
}
