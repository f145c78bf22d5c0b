package expr

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// rank orders the numeric types: each converts implicitly to those after it.
func rank(k vec.Kind) int {
	switch k {
	case vec.Int2:
		return 1
	case vec.Int4:
		return 2
	case vec.Int8:
		return 3
	case vec.Numeric:
		return 4
	case vec.Float4:
		return 5
	case vec.Float8:
		return 6
	}
	return 0
}

// CanImplicit says whether values of one type become another without being asked.
func CanImplicit(from, to vec.Type) bool {
	if from.Kind == to.Kind && from.Array == to.Array || from.Kind == vec.Unknown && !from.Array {
		return true
	}
	if from.Array != to.Array {
		return false
	}
	a, b := from.Elem(), to.Elem()
	switch {
	case from.Array && a.Kind == b.Kind: // int2vector is int2[]
		return true
	case rank(a.Kind) > 0 && rank(b.Kind) > 0:
		return rank(a.Kind) <= rank(b.Kind)
	case a.IsText() && b.IsText():
		return b.Kind != vec.Char // which has one byte
	case a.Kind == vec.Date:
		return b.Kind == vec.Timestamp || b.Kind == vec.TimestampTZ
	case a.Kind == vec.Timestamp:
		return b.Kind == vec.TimestampTZ
	case a.IsInt() && b.IsOID(), a.Kind == vec.OID && b.IsReg(), a.IsReg() && b.Kind == vec.OID, a.IsText() && b.Kind == vec.RegClass && !from.Array, a.Kind == vec.Time && b.Kind == vec.Interval, a.Kind == vec.JSON && b.Kind == vec.JSONB:
		return true
	}
	return false
}

// category groups types as PostgreSQL does for common types.
func category(t vec.Type) int {
	switch {
	case t.Array:
		return 100 + category(t.Elem())
	case t.IsNumber() || t.IsOID():
		return 1
	case t.IsText():
		return 2
	case t.IsTime():
		return 3
	case t.Kind == vec.Unknown:
		return 0
	}
	return 10 + int(t.Kind)
}

// CommonType is the type for the branches of CASE, the columns of UNION and their like:
// the first type that is not unknown, or a later one of its category that it converts to.
// Unknowns alone are text.
func CommonType(types []vec.Type) (vec.Type, error) {
	var out vec.Type
	found := false
	for _, t := range types {
		switch {
		case t.Kind == vec.Unknown && !t.Array:
		case !found:
			out, found = t, true
		case t.Kind == out.Kind && t.Array == out.Array:
			if t.Mod != out.Mod {
				out.Mod = 0
			}
		case category(t) != category(out):
			return out, pgerr.New(pgerr.DatatypeMismatch, "types %s and %s cannot be matched", out, t)
		case !preferred(out) && CanImplicit(out, t) && !CanImplicit(t, out):
			out = t
			out.Mod = 0
		default:
			if !CanImplicit(t, out) {
				return out, pgerr.New(pgerr.DatatypeMismatch, "types %s and %s cannot be matched", out, t)
			}
			out.Mod = 0
		}
	}
	if !found {
		return vec.T(vec.Text), nil
	}
	return out, nil
}

// NewCast converts e to a type. Without explicit, only conversions that PostgreSQL makes
// unasked are allowed. With try, a value that does not convert gives NULL.
func NewCast(e Expr, to vec.Type, explicit, try bool) (Expr, error) {
	from := e.Type()
	if from == to {
		return e, nil
	}
	if !explicit && !CanImplicit(from, to) {
		return nil, pgerr.New(pgerr.CannotCoerce, "cannot cast type %s to %s", from, to)
	}
	fn, ok := castFunction(from, to)
	if !ok {
		return nil, pgerr.New(pgerr.CannotCoerce, "cannot cast type %s to %s", from, to)
	}
	if c, ok := e.(*Const); ok {
		if c.Value.Nulls.Get(0) {
			return &Const{Value: vec.NullConst(to)}, nil
		}
		if from.Kind == vec.Unknown && !from.Array {
			return castLiteral(c, to, try)
		}
	}
	if try && fn != nil {
		fn = tryFunction(fn)
	}
	return &Cast{E: e, To: to, Try: try, fn: fn}, nil
}

// castLiteral reads a literal at once, so that its error has the literal's position, unless
// its meaning depends on the session.
func castLiteral(c *Const, to vec.Type, try bool) (Expr, error) {
	fn, ok := castFunction(c.Value.Type, to)
	if !ok {
		return nil, pgerr.New(pgerr.CannotCoerce, "cannot cast type %s to %s", c.Value.Type, to)
	}
	if fn == nil {
		return &Const{Value: relabel(c.Value, to)}, nil
	}
	if try {
		fn = tryFunction(fn)
	}
	cast := &Cast{E: c, To: to, Try: try, fn: fn}
	if to.Elem().IsReg() { // the session's catalog knows it
		return cast, nil
	}
	v, err := cast.Eval(&Context{}, &vec.Batch{Rows: 1})
	if err != nil && (to.IsTime() || to.Array) && pgerr.Code(err) == pgerr.DatetimeOverflow {
		for _, order := range []DateOrder{DMY, YMD} { // 31/12/2026 may be a date in this session
			if _, again := cast.Eval(&Context{Style: Style{Order: order}}, &vec.Batch{Rows: 1}); again == nil {
				return cast, nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if to.IsTime() || to.Kind == vec.Time {
		return cast, nil
	}
	return &Const{Value: v}, nil
}
