package expr

import "github.com/prickledb/prickle/storage/vec"

// AppendText adds PostgreSQL's text form of a value. The value is not null. ctx gives the
// zone in which timestamptz is shown; nil or no zone means UTC.
func AppendText(dst []byte, v *vec.Vector, row int, ctx *Context) []byte {
	v, row = v.At(row)
	if v.Type.Payload() == vec.PayloadStr {
		return append(dst, v.Str.At(row)...)
	}
	return dst
}
