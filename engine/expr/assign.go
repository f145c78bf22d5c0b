package expr

import (
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// NewAssignment converts e to the type of a column that is to hold it. It allows more than
// an implicit conversion does, also narrowing numbers; a text that is too long for
// varchar(n) or char(n) is an error rather than cut.
func NewAssignment(e Expr, to vec.Type) (Expr, error) {
	from := e.Type()
	if from == to {
		return e, nil
	}
	if !CanImplicit(from, to) && !canAssign(from, to) {
		return nil, pgerr.New(pgerr.DatatypeMismatch, "expression of type %s cannot become %s", from, to)
	}
	if to.Array || to.Mod == 0 || to.Kind != vec.Varchar && to.Kind != vec.Bpchar {
		return NewCast(e, to, true, false)
	}
	plain, err := NewCast(e, vec.T(to.Kind), true, false)
	if err != nil {
		return nil, err
	}
	fits := func(_ *Context, dst []byte, s string) ([]byte, error) { return appendFitting(dst, s, to) }
	fn := &Function{Name: "cast", eval: text1(fits)}
	if to.Kind == vec.Varchar {
		fn.quick = func(args []*vec.Vector, t vec.Type, n int) *vec.Vector { return allFit(args[0], t, n) }
	}
	return &Cast{E: plain, To: to, fn: fn}, nil
}

// allFit is a vector as varchar(n), if no text has more bytes than that.
func allFit(v *vec.Vector, to vec.Type, n int) *vec.Vector {
	if v.Form != vec.Flat || n == 0 {
		return nil
	}
	limit := uint32(to.Mod - 4)
	for i, end := range v.Str.Offs[1 : n+1] {
		if end-v.Str.Offs[i] > limit {
			return nil
		}
	}
	return &vec.Vector{Type: to, Str: v.Str}
}

// appendFitting adds a text if it fits varchar(n) or char(n), which is filled up with blanks.
func appendFitting(dst []byte, s string, to vec.Type) ([]byte, error) {
	limit := int(to.Mod) - 4
	n := utf8.RuneCountInString(s)
	for n > limit && s[len(s)-1] == ' ' { // blanks at the end do not count
		s = s[:len(s)-1]
		n--
	}
	if n > limit {
		return dst, pgerr.New(pgerr.StringTooLong, "value too long for type %s(%d)", to, limit)
	}
	dst = append(dst, s...)
	for ; to.Kind == vec.Bpchar && n < limit; n++ {
		dst = append(dst, ' ')
	}
	return dst, nil
}

// canAssign says which conversions an assignment makes beyond implicit ones.
func canAssign(from, to vec.Type) bool {
	if from.Array != to.Array {
		return !to.Array && to.IsText()
	}
	a, b := from.Elem(), to.Elem()
	switch {
	case a.IsNumber() && b.IsNumber():
		return true
	case b.IsText():
		return true
	case a.Kind == vec.Timestamp || a.Kind == vec.TimestampTZ:
		return b.IsTime() || b.Kind == vec.Time
	case a.Kind == vec.Interval:
		return b.Kind == vec.Time
	case a.Kind == vec.OID:
		return b.IsInt()
	}
	return false
}
