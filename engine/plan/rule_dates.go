package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// datesAsDays compares a column of dates with a date where it is compared with a timestamp that no session decides, as
// date + interval is: a day begins before a timestamp if it lies before the day after, or before that of the timestamp if
// this is its beginning. Zones and blocks have days.
func datesAsDays(n Node) Node {
	return everywhere(n, func(n Node) Node {
		return mapExprs(n, func(e expr.Expr) expr.Expr { return expr.Map(e, asDays) })
	})
}

func asDays(e expr.Expr) expr.Expr {
	call, ok := e.(*expr.Call)
	if !ok || len(call.Args) != 2 {
		return e
	}
	op, l, r := call.Overload.Fn.Name, call.Args[0], call.Args[1]
	if _, ok := dateOf(l); !ok {
		l, r, op = r, l, mirrored[op]
	}
	date, ok := dateOf(l)
	if !ok {
		return e
	}
	time, ok := fixedTime(r)
	if !ok {
		return e
	}
	day := vec.FloorDiv(time, microsDay)
	begins := day*microsDay == time
	switch {
	case op == "<" && !begins:
		op = "<="
	case op == ">=" && !begins:
		op = ">"
	case op == "<" || op == "<=" || op == ">" || op == ">=" || op == "=" && begins:
	default:
		return e
	}
	out, err := expr.NewOperator(op, date, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Date), Form: vec.Const, I64: []int64{day}}})
	if err != nil {
		return e
	}
	return out
}

// microsDay is a day in microseconds.
const microsDay = 24 * 60 * 60 * 1_000_000

// dateOf is the column of dates that an expression makes a timestamp without zone of.
func dateOf(e expr.Expr) (*expr.Column, bool) {
	c, ok := e.(*expr.Cast)
	if !ok || c.Try || c.To.Array || c.To.Kind != vec.Timestamp {
		return nil, false
	}
	date, ok := c.E.(*expr.Column)
	return date, ok && !date.T.Array && date.T.Kind == vec.Date
}

// fixedTime is the instant that an expression of constants has in all sessions; false if it is none, or infinite, or
// no date.
func fixedTime(e expr.Expr) (int64, bool) {
	if e.Type().Array || e.Type().Kind != vec.Timestamp || !fixedTimes(e) {
		return 0, false
	}
	folded, err := expr.Fold(&expr.Context{}, e)
	if err != nil {
		return 0, false
	}
	c, ok := folded.(*expr.Const)
	if !ok || c.Value.IsNull(0) {
		return 0, false
	}
	v, at := c.Value.At(0)
	return v.I64[at], v.I64[at] != vec.InfinityTime && v.I64[at] != vec.NegInfinityTime
}

// fixedTimes says whether an expression is made of constants, sums and differences that are dates, intervals and
// timestamps without zone.
func fixedTimes(e expr.Expr) bool {
	switch e := e.(type) {
	case *expr.Const:
	case *expr.Call:
		if name := e.Overload.Fn.Name; name != "+" && name != "-" {
			return false
		}
		for _, a := range e.Args {
			if !fixedTimes(a) {
				return false
			}
		}
	case *expr.Cast:
		if !fixedTimes(e.E) {
			return false
		}
	default:
		return false
	}
	switch t := e.Type(); t.Kind {
	case vec.Date, vec.Timestamp, vec.Interval, vec.Int4:
		return !t.Array
	}
	return false
}
