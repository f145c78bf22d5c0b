package agg

import (
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// collected is rows kept as they came, with their groups.
type collected struct {
	cols   []*vec.Builder
	groups []uint32
	// single is the column of which one value is kept while all rows have the same, or -1; value
	// is that value as a constant.
	single int
	value  *vec.Vector
}

func newCollected(args []vec.Type, order []OrderKey) collected {
	c := collected{single: -1}
	for _, t := range args {
		c.cols = append(c.cols, vec.NewBuilder(t))
	}
	for _, k := range order {
		c.cols = append(c.cols, vec.NewBuilder(k.Type))
	}
	return c
}

func (c *collected) add(g uint32, args []*vec.Vector, row int) {
	c.groups = append(c.groups, g)
	for i, b := range c.cols {
		b.AppendFrom(args[i], row)
	}
}

func (c *collected) bytes() int64 {
	n := int64(cap(c.groups)) * 4
	for _, b := range c.cols {
		n += b.V.Bytes()
	}
	return n
}

func (c *collected) vectors() []*vec.Vector {
	out := make([]*vec.Vector, len(c.cols))
	for i, b := range c.cols {
		out[i] = b.V
	}
	if c.value != nil {
		out[c.single] = c.value
	}
	return out
}

// addAll adds rows; their groups are added afterwards.
func (c *collected) addAll(args []*vec.Vector, rows []uint32) {
	for i, b := range c.cols {
		if i != c.single || !c.keepSingle(args[i]) {
			appendRows(b, args[i], rows)
		}
	}
}

// keepSingle says whether rows to be added have the value that all have so far.
func (c *collected) keepSingle(v *vec.Vector) bool {
	if v.Form == vec.Const && !v.IsNull(0) {
		if c.value == nil && len(c.groups) == 0 {
			c.value = v
			return true
		}
		if c.value != nil && vec.Equal(c.value, 0, v, 0) {
			return true
		}
	}
	if c.value != nil {
		for range c.groups {
			c.cols[c.single].AppendFrom(c.value, 0)
		}
		c.value = nil
	}
	return false
}

// partial is the rows and their groups. No rows is not the same as one row for each group,
// which nil would say.
func (c *collected) partial() ([]uint32, []*vec.Vector) {
	if c.groups == nil {
		return []uint32{}, c.vectors()
	}
	return c.groups, c.vectors()
}

func (c *collected) all() []uint32 {
	out := make([]uint32, len(c.groups))
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

// collect is an aggregate that needs all its rows at the end.
type collect struct {
	rows   collected
	args   int
	order  []OrderKey
	groups int
	// skip is the argument whose nulls do not count, or -1.
	skip int
	// sortBy is the argument by which rows of a group are put in order, or -1; ORDER BY
	// counts otherwise.
	sortBy int
	// fractions of the values of argument sortBy are wanted, which is of type double precision: rows
	// of a group need no order.
	fractions bool
	result    vec.Type
	// finish appends one group's value; rows are positions in cols.
	finish finisher
	ctx    *expr.Context // of the session, nil until there are rows
	room   []uint32      // for Finish
	// starts is where the values of each group begin in values, and one more, after Arrange.
	starts []uint32
	values []float64
}

func (s *collect) Grow(groups int) { s.groups = groups }
func (s *collect) Bytes() int64    { return s.rows.bytes() + int64(8*cap(s.values)+4*cap(s.starts)) }

// Reuse implements Reusable.
func (s *collect) Reuse() bool {
	for _, b := range s.rows.cols {
		if b.V.Len() > 0 && (!s.fractions || b.V.Type.Payload() != vec.PayloadF64 || len(b.V.Nulls) > 0) {
			return false // the answer may share its memory
		}
	}
	for _, b := range s.rows.cols {
		b.V.F64 = b.V.F64[:0]
	}
	s.rows.groups, s.rows.value, s.groups = s.rows.groups[:0], nil, 0
	return true
}

func (s *collect) Update(ctx *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	if s.ctx == nil {
		s.ctx = ctx
	}
	if s.skip >= 0 {
		groups, rows = valid(args[s.skip], groups, rows)
	}
	s.rows.addAll(args, rows)
	s.rows.groups = append(double(s.rows.groups, len(groups)), groups...)
	return nil
}

// appendRows appends rows of a vector.
func appendRows(b *vec.Builder, v *vec.Vector, rows []uint32) {
	if !v.HasNulls() && len(b.V.Nulls) == 0 {
		switch v.Type.Payload() {
		case vec.PayloadI64:
			b.V.I64 = appendValues(b.V.I64, v, rows)
			return
		case vec.PayloadF64:
			b.V.F64 = appendValues(b.V.F64, v, rows)
			return
		}
	}
	for _, r := range rows {
		b.AppendFrom(v, int(r))
	}
}

// appendValues appends the values of rows. Memory doubles when it is used up: there may be
// many of them.
func appendValues[T any](to []T, v *vec.Vector, rows []uint32) []T {
	n := len(to)
	to = double(to, len(rows))[:n+len(rows)]
	switch v.Form {
	case vec.Dict:
		values, codes := vec.Values[T](v.Dict), v.Codes
		for i, r := range rows {
			to[n+i] = values[codes[r]]
		}
	case vec.Const:
		x := vec.Values[T](v)[0]
		for i := range rows {
			to[n+i] = x
		}
	default:
		values := vec.Values[T](v)
		for i, r := range rows {
			to[n+i] = values[r]
		}
	}
	return to
}

// double makes room for more values; if that takes new memory, for twice as many as there are.
func double[T any](s []T, more int) []T {
	if cap(s)-len(s) >= more {
		return s
	}
	return slices.Grow(s, max(len(s), more))
}

func (s *collect) Merge(from State, to []uint32) error {
	o := from.(*collect)
	if s.ctx == nil {
		s.ctx = o.ctx
	}
	s.rows.addAll(o.rows.vectors(), o.rows.all())
	s.rows.groups = double(s.rows.groups, len(o.rows.groups))
	for _, g := range o.rows.groups {
		s.rows.groups = append(s.rows.groups, to[g])
	}
	return nil
}

func (s *collect) Finish() (*vec.Vector, error) {
	if s.Joins(nil) {
		s.Arrange()
		return s.FinishJointly([]State{s}, [][]uint32{s.all()}, 0, s.groups)
	}
	// Counting sort by group keeps the order of arrival.
	starts := s.countGroups()
	at := slices.Clone(starts)
	s.room = grow(s.room[:0], len(s.rows.groups))
	rows := s.room
	for r, g := range s.rows.groups {
		rows[at[g]] = uint32(r)
		at[g]++
	}
	cols := s.rows.vectors()
	out := vec.NewBuilder(s.result)
	desc := len(s.order) > 0 && s.order[0].Desc
	for g := range s.groups {
		own := rows[starts[g]:starts[g+1]]
		if len(own) == 0 {
			out.AppendNull()
			continue
		}
		if s.fractions {
			// The finisher looks for the rows that it needs.
		} else if s.sortBy >= 0 {
			sortRows(own, cols[s.sortBy], desc)
		} else if len(s.order) > 0 {
			s.sort(own, cols)
		}
		if err := s.finish(s.ctx, out, cols[:s.args], own, desc); err != nil {
			return nil, err
		}
	}
	return out.V, nil
}

// countGroups is where the rows of each group begin if rows are put in the order of groups, and one more.
func (s *collect) countGroups() []uint32 {
	starts := make([]uint32, s.groups+1)
	for _, g := range s.rows.groups {
		starts[g+1]++
	}
	for g := range s.groups {
		starts[g+1] += starts[g]
	}
	return starts
}

// all is the numbers of all groups.
func (s *collect) all() []uint32 {
	s.room = grow(s.room[:0], s.groups)
	for g := range s.room {
		s.room[g] = uint32(g)
	}
	return s.room
}

// sortRows puts rows, which ascend, in order of their values, and those of one value in that of
// rows.
func sortRows(rows []uint32, v *vec.Vector, desc bool) {
	sign := 1
	if desc {
		sign = -1
	}
	switch v.Type.Payload() {
	case vec.PayloadF64:
		slices.SortFunc(rows, func(a, b uint32) int {
			if c := sign * vec.CompareFloat(v.F64[a], v.F64[b]); c != 0 {
				return c
			}
			return int(a) - int(b)
		})
	default:
		slices.SortStableFunc(rows, func(a, b uint32) int { return sign * vec.Compare(v, int(a), v, int(b)) })
	}
}

func (s *collect) sort(rows []uint32, cols []*vec.Vector) {
	slices.SortStableFunc(rows, func(a, b uint32) int {
		for k := range s.order {
			v := cols[s.args+k]
			if c := s.order[k].compare(v, int(a), v, int(b)); c != 0 {
				return c
			}
		}
		return 0
	})
}

type finisher func(ctx *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, desc bool) error

func collector(args []vec.Type, result vec.Type, skip, sortBy int, finish finisher) *Spec {
	return &Spec{Args: args, Result: result, create: func(order []OrderKey) State {
		return &collect{rows: newCollected(args, order), args: len(args), order: order, skip: skip, sortBy: sortBy, result: result, finish: finish}
	}}
}

func init() {
	registry["array_agg"] = func(args []vec.Type) *Spec {
		if len(args) != 1 || !args[0].HasArray() {
			return nil
		}
		t := known(args)
		return collector(t, vec.ArrayOf(t[0].Kind), -1, -1, finishArray)
	}
	registry["string_agg"] = func(args []vec.Type) *Spec {
		if len(args) != 2 || !fits(args[0], vec.Text) && args[0].Kind != vec.Bytea || !fits(args[1], vec.Text) && args[1].Kind != vec.Bytea {
			return nil
		}
		t := vec.T(vec.Text)
		if args[0].Kind == vec.Bytea {
			t = args[0]
		}
		return collector([]vec.Type{t, t}, t, 0, -1, finishString)
	}
	for _, name := range []string{"jsonb_agg", "json_agg"} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 1 {
				return nil
			}
			return collector(known(args), vec.T(vec.JSONB), -1, -1, finishJSON)
		}
	}
	for _, name := range []string{"jsonb_object_agg", "json_object_agg"} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 2 {
				return nil
			}
			return collector(known(args), vec.T(vec.JSONB), -1, -1, finishObject)
		}
	}
	for _, name := range []string{"first", "last"} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 1 {
				return nil
			}
			t := known(args)
			return collector(t, t[0], -1, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
				r := rows[0]
				if name == "last" {
					r = rows[len(rows)-1]
				}
				out.AppendFrom(cols[0], int(r))
				return nil
			})
		}
	}
	registry["mode"] = func(args []vec.Type) *Spec {
		if len(args) != 1 {
			return nil
		}
		t := known(args)
		return collector(t, t[0], 0, 0, finishMode)
	}
}

func finishArray(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
	v := out.V
	if v.Elem == nil {
		v.Elem = &vec.Vector{Type: v.Type.Elem()}
	}
	if len(v.Offs) == 0 {
		v.Offs = append(v.Offs, 0)
	}
	elems := &vec.Builder{V: v.Elem}
	for _, r := range rows {
		elems.AppendFrom(cols[0], int(r))
	}
	v.Offs = append(v.Offs, uint32(v.Elem.Len()))
	return nil
}

func finishString(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
	var text []byte
	for i, r := range rows {
		if i > 0 && !cols[1].IsNull(int(r)) {
			text = append(text, cols[1].Str.At(int(r))...)
		}
		text = append(text, cols[0].Str.At(int(r))...)
	}
	out.V.Str.Append(text)
	return nil
}

func finishJSON(ctx *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
	text := []byte{'['}
	for i, r := range rows {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = expr.AppendJSON(text, cols[0], int(r), ctx)
	}
	out.V.Str.Append(append(text, ']'))
	return nil
}

func finishObject(ctx *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
	text := []byte{'{'}
	for i, r := range rows {
		if i > 0 {
			text = append(text, ',')
		}
		if cols[0].IsNull(int(r)) {
			return pgerr.New(pgerr.InvalidParameterValue, "field name must not be null")
		}
		var err error
		if text, err = expr.AppendJSONKey(text, cols[0], int(r), ctx); err != nil {
			return err
		}
		text = append(text, ':')
		text = expr.AppendJSON(text, cols[1], int(r), ctx)
	}
	text, err := expr.CanonicalJSON(nil, append(text, '}'))
	if err != nil {
		return err
	}
	out.V.Str.Append(text)
	return nil
}

// finishMode takes the first of the longest runs of equal values.
func finishMode(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
	best, most := 0, 0
	for i := 0; i < len(rows); {
		j := i + 1
		for j < len(rows) && vec.Equal(cols[0], int(rows[i]), cols[0], int(rows[j])) {
			j++
		}
		if j-i > most {
			best, most = i, j-i
		}
		i = j
	}
	out.AppendFrom(cols[0], int(rows[best]))
	return nil
}
