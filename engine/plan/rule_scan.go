package plan

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// hintScans tells scans which events and which times can pass the filter, or the native
// operator, right above them. The filter stays, so a hint may let too much pass but never
// too little.
func hintScans(n Node) Node {
	return everywhere(n, func(n Node) Node {
		switch n := n.(type) {
		case *Filter:
			switch in := n.Input.(type) {
			case *Scan:
				return &Filter{hinted(in, n.Cond), n.Cond}
			case *Read:
				c := *in
				schema := in.Schema()
				c.Ranges = rangesOf(n.Cond, func(i int) string { return schema[i].Name })
				return &Filter{&c, n.Cond}
			}
		case Native:
			return n.hints().under(n, n.time())
		}
		return n
	})
}

func oneOf(list []expr.Expr) expr.Expr {
	if len(list) == 1 {
		return list[0]
	}
	return &expr.Or{Args: list}
}

// hints are what a native operator knows of the rows it needs.
type hints struct {
	conds    []expr.Expr // all hold, nil ones are none
	from, to expr.Expr
}

// under gives the hints to the scan below an operator, perhaps below a filter.
func (h hints) under(n Node, time expr.Expr) Node {
	var rest []expr.Expr
	for _, c := range h.conds {
		if c != nil {
			rest = append(rest, c)
		}
	}
	apply := func(s *Scan) *Scan {
		out := hinted(s, &expr.And{Args: rest})
		if c, ok := time.(*expr.Column); ok && isColumn(s, c, s.Table.Time) {
			out.From, out.To = later(out.From, h.from), earlier(out.To, h.to)
		}
		return out
	}
	switch in := n.Inputs()[0].(type) {
	case *Scan:
		return n.WithInputs([]Node{apply(in)})
	case *Filter:
		if s, ok := in.Input.(*Scan); ok {
			return n.WithInputs([]Node{&Filter{apply(s), in.Cond}})
		}
	}
	return n
}

// hinted is the scan with what a condition says of events and times.
func hinted(s *Scan, cond expr.Expr) *Scan {
	out := *s
	if events, ok := eventsOf(s, cond); ok {
		if out.Events != nil {
			events = slices.DeleteFunc(events, func(e string) bool { return !slices.Contains(out.Events, e) })
		}
		slices.Sort(events)
		out.Events = slices.Compact(events)
		if out.Events == nil {
			out.Events = []string{}
		}
	}
	from, to := timesOf(s, cond)
	out.From, out.To = later(out.From, from), earlier(out.To, to)
	if s.Table.Schema == nil && s.Table.System == "" && out.Whose == nil {
		out.Whose = whoseOf(s, cond)
	}
	if s.Table.Schema != nil {
		out.Ranges = append(out.Ranges[:len(out.Ranges):len(out.Ranges)], rangesOf(cond, s.plainName)...)
	}
	return &out
}

// whoseColumns are the columns that say whose a row is, of the tables that every project has.
var whoseColumns = map[string][]string{
	"events": {"person_id", "distinct_id"}, "persons": {"id"}, "person_distinct_ids": {"distinct_id", "person_id"},
}

// whoseOf is the persons, of whom rows may pass a condition; nil for all. Of several conditions one is
// enough.
func whoseOf(s *Scan, cond expr.Expr) *Whose {
	of := func(e expr.Expr, values ...expr.Expr) *Whose {
		c, ok := e.(*expr.Column)
		if !ok || !slices.Contains(whoseColumns[s.Table.Name], s.plainName(c.Index)) {
			return nil
		}
		for _, v := range values {
			if v.Type().Kind != c.T.Kind || !expr.IsConstant(v) {
				return nil
			}
		}
		return &Whose{s.plainName(c.Index), values}
	}
	switch e := cond.(type) {
	case *expr.And:
		for _, a := range e.Args {
			if w := whoseOf(s, a); w != nil {
				return w
			}
		}
	case *expr.Call:
		if e.Overload.Fn.Name == "=" && len(e.Args) == 2 {
			if w := of(e.Args[0], e.Args[1]); w != nil {
				return w
			}
			return of(e.Args[1], e.Args[0])
		}
	case *expr.InList:
		if !e.Not {
			return of(e.E, e.List...)
		}
	case *expr.Quantified:
		if !e.All && e.Op == "=" {
			return of(e.X, e.Array)
		}
	}
	return nil
}

// plainName is the name of a column of the table; empty if the scan's column is none of them.
func (s *Scan) plainName(i int) string {
	if c := s.Columns[i]; len(c.Path) == 0 && c.Column != RowNumber {
		return c.Column
	}
	return ""
}

// rangesOf is what a condition says of columns. name is that of a column, empty for one that
// does not matter.
func rangesOf(cond expr.Expr, name func(i int) string) []Range {
	switch e := cond.(type) {
	case *expr.And:
		var out []Range
		for _, a := range e.Args {
			out = append(out, rangesOf(a, name)...)
		}
		return out
	case *expr.Call:
		i, op, value, ok := Comparison(e)
		if !ok {
			return nil
		}
		column := name(i)
		if column == "" {
			return nil
		}
		switch op {
		case "=":
			return []Range{{column, value, value}}
		case "<", "<=":
			return []Range{{column, nil, value}}
		case ">", ">=":
			return []Range{{column, value, nil}}
		}
	}
	return nil
}

// Comparison is a condition that compares a column with a constant of its type, by =, <, <=, > or
// >=, the column on the left side.
func Comparison(cond expr.Expr) (column int, op string, value expr.Expr, ok bool) {
	c, op, value, ok := comparison(cond)
	if !ok || value.Type().Kind != c.T.Kind || value.Type().Array || c.T.Array || c.T.Kind == vec.JSONB {
		return 0, "", nil, false
	}
	return c.Index, op, value, true
}

// IntegerComparison is Comparison of a column of integers with one of any width.
func IntegerComparison(cond expr.Expr) (column int, op string, value expr.Expr, ok bool) {
	c, op, value, ok := comparison(cond)
	if !ok || !c.T.IsInt() || !value.Type().IsInt() {
		return 0, "", nil, false
	}
	return c.Index, op, value, true
}

func comparison(cond expr.Expr) (column *expr.Column, op string, value expr.Expr, ok bool) {
	e, ok := cond.(*expr.Call)
	if !ok || len(e.Args) != 2 {
		return nil, "", nil, false
	}
	op, l, r := e.Overload.Fn.Name, e.Args[0], e.Args[1]
	if _, ok := r.(*expr.Column); ok {
		l, r = r, l
		op = mirrored[op]
	}
	c, ok := l.(*expr.Column)
	if !ok || !expr.IsConstant(r) {
		return nil, "", nil, false
	}
	switch op {
	case "=", "<", "<=", ">", ">=":
		return c, op, r, true
	}
	return nil, "", nil, false
}

// mirrored is a comparison with its sides exchanged.
var mirrored = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}

func isColumn(s *Scan, c *expr.Column, name string) bool {
	if name == "" || c.Index >= len(s.Columns) {
		return false
	}
	sc := &s.Columns[c.Index]
	return sc.Column == name && len(sc.Path) == 0
}

// eventsOf is which event names can make a condition true; false if any may.
func eventsOf(s *Scan, cond expr.Expr) ([]string, bool) {
	switch e := cond.(type) {
	case *expr.And:
		var out []string
		found := false
		for _, a := range e.Args {
			events, ok := eventsOf(s, a)
			if !ok {
				continue
			}
			if found {
				out = slices.DeleteFunc(out, func(x string) bool { return !slices.Contains(events, x) })
			} else {
				out, found = events, true
			}
		}
		return out, found
	case *expr.Or:
		var out []string
		for _, a := range e.Args {
			events, ok := eventsOf(s, a)
			if !ok {
				return nil, false
			}
			out = append(out, events...)
		}
		return out, true
	case *expr.Const:
		// A condition that is never true lets no event pass.
		return nil, e.Value.IsNull(0) || !e.Value.Bools[0]
	case *expr.Call:
		if len(e.Args) != 2 || e.Overload.Fn.Name != "=" {
			return nil, false
		}
		l, r := e.Args[0], e.Args[1]
		if _, ok := l.(*expr.Const); ok {
			l, r = r, l
		}
		if c, ok := l.(*expr.Column); ok && isColumn(s, c, s.Table.Event) {
			return names([]expr.Expr{r})
		}
	case *expr.InList:
		if c, ok := e.E.(*expr.Column); ok && !e.Not && isColumn(s, c, s.Table.Event) {
			return names(e.List)
		}
	}
	return nil, false
}

func names(list []expr.Expr) ([]string, bool) {
	out := []string{}
	for _, e := range list {
		c, ok := e.(*expr.Const)
		if !ok || !c.Type().IsText() {
			return nil, false
		}
		if !c.Value.IsNull(0) {
			v, i := c.Value.At(0)
			out = append(out, string(v.Str.At(i)))
		}
	}
	return out, true
}

// timesOf is the half-open bounds that a condition puts on the table's time.
func timesOf(s *Scan, cond expr.Expr) (from, to expr.Expr) {
	switch e := cond.(type) {
	case *expr.And:
		for _, a := range e.Args {
			f, t := timesOf(s, a)
			from, to = later(from, f), earlier(to, t)
		}
	case *expr.Call:
		if len(e.Args) != 2 {
			return nil, nil
		}
		op, l, r := e.Overload.Fn.Name, e.Args[0], e.Args[1]
		if _, ok := r.(*expr.Column); ok {
			l, r = r, l
			op = mirrored[op]
		}
		c, ok := l.(*expr.Column)
		if !ok || !isColumn(s, c, s.Table.Time) || !expr.IsConstant(r) || r.Type() != vec.T(vec.TimestampTZ) {
			return nil, nil
		}
		switch op {
		case "<":
			return nil, r
		case "<=":
			return nil, plus(r, vec.IntervalValue{Micros: 1})
		case ">", ">=":
			return r, nil
		case "=":
			return r, plus(r, vec.IntervalValue{Micros: 1})
		}
	}
	return from, to
}

// plus is a time and an interval; nil, which is no bound, if that cannot be said.
func plus(e expr.Expr, by vec.IntervalValue) expr.Expr {
	if c, ok := e.(*expr.Const); ok && !c.Value.IsNull(0) && by.Months == 0 && by.Days == 0 {
		at := c.Value.I64[0]
		if at > vec.InfinityTime-by.Micros {
			return nil
		}
		return timeConst(at + by.Micros)
	}
	i := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Interval), Form: vec.Const, Ivl: []vec.IntervalValue{by}}}
	sum, err := expr.NewOperator("+", e, i)
	if err != nil {
		return nil
	}
	return sum
}

func timeConst(at int64) expr.Expr {
	return &expr.Const{Value: &vec.Vector{Type: vec.T(vec.TimestampTZ), Form: vec.Const, I64: []int64{at}}}
}

// later is the greater of two bounds, either of which may be none.
func later(a, b expr.Expr) expr.Expr { return bound(a, b, false) }

// earlier is the lesser of two bounds.
func earlier(a, b expr.Expr) expr.Expr { return bound(a, b, true) }

func bound(a, b expr.Expr, least bool) expr.Expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	ca, ok1 := a.(*expr.Const)
	cb, ok2 := b.(*expr.Const)
	if ok1 && ok2 && !ca.Value.IsNull(0) && !cb.Value.IsNull(0) {
		if ca.Value.I64[0] < cb.Value.I64[0] == least {
			return a
		}
		return b
	}
	return &expr.Greatest{Args: []expr.Expr{a, b}, T: vec.T(vec.TimestampTZ), Least: least}
}
