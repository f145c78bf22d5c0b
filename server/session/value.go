package session

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// ParseValue reads the text form of a value, as a parameter gives it, into a constant.
func ParseValue(ctx *expr.Context, t vec.Type, text []byte) (*vec.Vector, error) {
	v := &vec.Vector{Type: vec.T(vec.Unknown), Form: vec.Const}
	v.Str.Append(text)
	if t.Kind == vec.Unknown || !t.Array && t.Kind == vec.Text {
		v.Type = t
		return v, nil
	}
	x, err := expr.NewCast(&expr.Const{Value: v}, t, true, false)
	if err != nil {
		return nil, err
	}
	out, err := x.Eval(ctx, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, err
	}
	c := *out.Flatten(1)
	c.Form = vec.Const
	return &c, nil
}
