package exec

import (
	"context"
	"sort"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// windowCall is one function of a window over some partitions.
type windowCall struct {
	env   *Env
	call  *plan.WindowCall
	order plan.SortKey // the first key
	rows  *windowRows
}

// values is the function's value for each row.
func (c *windowCall) values(ctx context.Context) (*vec.Vector, error) {
	switch c.call.Name {
	case "row_number", "rank", "dense_rank":
		return c.rank(), nil
	case "percent_rank", "cume_dist":
		return c.share(), nil
	case "ntile":
		return c.ntile()
	case "lag", "lead":
		return c.shifted()
	case "first_value", "last_value", "nth_value":
		return c.nth()
	case "session_start":
		return c.sessionStart(), nil
	}
	return c.aggregate(ctx)
}

func (c *windowCall) rank() *vec.Vector {
	r := c.rows
	v := &vec.Vector{Type: c.call.T, I64: make([]int64, r.count)}
	for p, first := range r.starts[:len(r.starts)-1] {
		rows := v.I64[first:r.starts[p+1]]
		switch c.call.Name {
		case "row_number":
			for i := range rows {
				rows[i] = int64(i) + 1
			}
		case "rank":
			for i := range rows {
				rows[i] = int64(r.peerAt[r.peer[int(first)+i]]-first) + 1
			}
		default:
			for i := range rows {
				rows[i] = int64(r.peer[int(first)+i]-r.peer[first]) + 1
			}
		}
	}
	return v
}

func (c *windowCall) share() *vec.Vector {
	r := c.rows
	v := &vec.Vector{Type: c.call.T, F64: make([]float64, r.count)}
	for i := range v.F64 {
		first, last := r.starts[r.part[i]], r.starts[r.part[i]+1]
		switch rows := float64(last - first); {
		case c.call.Name == "cume_dist":
			v.F64[i] = float64(r.peerAt[r.peer[i]+1]-first) / rows
		case rows > 1:
			v.F64[i] = float64(r.peerAt[r.peer[i]]-first) / (rows - 1)
		}
	}
	return v
}

// ntile divides the rows of a partition into so many parts, the first ones larger by one where
// they cannot be equal.
func (c *windowCall) ntile() (*vec.Vector, error) {
	r, arg := c.rows, c.column(c.call.Args[0])
	v := &vec.Vector{Type: c.call.T, I64: make([]int64, r.count)}
	for p := range r.starts[1:] {
		first, rows := int64(r.starts[p]), int64(r.starts[p+1]-r.starts[p])
		if arg.IsNull(int(first)) {
			v.Nulls = v.Nulls.Grow(r.count)
			for i := range rows {
				v.Nulls.Set(int(first + i))
			}
			continue
		}
		a, at := arg.At(int(first))
		n := a.I64[at]
		if n <= 0 {
			return nil, pgerr.New(pgerr.InvalidNtile, "argument of ntile must be greater than zero")
		}
		small, larger := rows/n, rows%n
		for i := range rows {
			if i < larger*(small+1) {
				v.I64[first+i] = i/(small+1) + 1
			} else {
				v.I64[first+i] = larger + (i-larger*(small+1))/small + 1
			}
		}
	}
	return v, nil
}

// sessionStart is the time of the first row of the session that a row is in: one begins where the
// time since the row before is longer than the gap. Rows without a time are in none.
func (c *windowCall) sessionStart() *vec.Vector {
	r, at, gap := c.rows, c.column(c.call.Args[0]), c.column(c.call.Args[1])
	v := &vec.Vector{Type: c.call.T, I64: make([]int64, r.count), Nulls: vec.NewBitmap(r.count)}
	part, begun := int32(-1), false
	var start, last int64
	for i := range v.I64 {
		if r.part[i] != part {
			part, begun = r.part[i], false
		}
		if at.IsNull(i) {
			v.Nulls.Set(i)
			continue
		}
		x, k := at.At(i)
		now := x.I64[k]
		over := false
		if begun && !gap.IsNull(i) {
			g, k := gap.At(i)
			end, ok := expr.AddInterval(last, g.Ivl[k])
			over = ok && now > end
		}
		if !begun || over {
			start, begun = now, true
		}
		v.I64[i], last = start, now
	}
	return v
}

// shifted is lag and lead.
func (c *windowCall) shifted() (*vec.Vector, error) {
	r, x := c.rows, c.column(c.call.Args[0])
	null := uint32(r.count)
	rows := make([]uint32, r.count)
	var outside []int // rows that get the default
	var whole notNull
	if c.call.IgnoreNulls {
		whole = newNotNull(x, r.count)
	}
	for i := range rows {
		by, ok := int64(1), true
		if len(c.call.Args) > 1 {
			if v := c.column(c.call.Args[1]); v.IsNull(i) {
				ok = false
			} else {
				v, at := v.At(i)
				by = v.I64[at]
			}
		}
		rows[i] = null
		if !ok {
			continue
		}
		if c.call.Name == "lag" {
			by = -by
		}
		first, last := int64(r.starts[r.part[i]]), int64(r.starts[r.part[i]+1])
		at := int64(i)
		switch {
		case by > int64(r.count) || by < -int64(r.count):
			at = -1
		case !c.call.IgnoreNulls:
			at += by
		case by != 0:
			at = whole.from(i, by)
		}
		if at >= first && at < last {
			rows[i] = uint32(at)
		} else {
			outside = append(outside, i)
		}
	}
	v := x.Take(rows)
	if len(c.call.Args) < 3 || len(outside) == 0 {
		return v, nil
	}
	out := vec.NewBuilder(c.call.T)
	def := c.column(c.call.Args[2])
	for i := range r.count {
		if len(outside) > 0 && outside[0] == i {
			out.AppendFrom(def, i)
			outside = outside[1:]
			continue
		}
		out.AppendFrom(v, i)
	}
	return out.V, nil
}

// notNull is where values are not NULL.
type notNull struct {
	rows   []int32
	before []int32 // how many of rows are before each row, and in all
}

func newNotNull(v *vec.Vector, count int) notNull {
	n := notNull{before: make([]int32, count+1)}
	for i := range count {
		if !v.IsNull(i) {
			n.rows = append(n.rows, int32(i))
		}
		n.before[i+1] = int32(len(n.rows))
	}
	return n
}

// from is the row of the by-th value that is not NULL after row i, or before it; -1 if there
// is none.
func (n *notNull) from(i int, by int64) int64 {
	at := int64(n.before[i]) + by
	if by > 0 {
		at = int64(n.before[i+1]) + by - 1
	}
	if at < 0 || at >= int64(len(n.rows)) {
		return -1
	}
	return int64(n.rows[at])
}

// nth is first_value, last_value and nth_value.
func (c *windowCall) nth() (*vec.Vector, error) {
	r, x := c.rows, c.column(c.call.Args[0])
	frames, err := c.frames()
	if err != nil {
		return nil, err
	}
	var whole notNull
	if c.call.IgnoreNulls {
		whole = newNotNull(x, r.count)
	}
	rows := make([]uint32, r.count)
	var spans []extent
	for i := range rows {
		rows[i] = uint32(r.count)
		n := int64(1)
		if c.call.Name == "nth_value" {
			v := c.column(c.call.Args[1])
			if v.IsNull(i) {
				continue
			}
			v, at := v.At(i)
			if n = v.I64[at]; n <= 0 {
				return nil, pgerr.New(pgerr.InvalidNthValue, "argument of nth_value must be greater than zero")
			}
		}
		spans = c.seen(frames[i], i, spans[:0])
		if c.call.Name == "last_value" {
			for k := len(spans) - 1; k >= 0; k-- {
				s := spans[k]
				if !c.call.IgnoreNulls {
					rows[i] = uint32(s.hi - 1)
					break
				}
				if at := whole.before[s.hi]; at > whole.before[s.lo] {
					rows[i] = uint32(whole.rows[at-1])
					break
				}
			}
			continue
		}
		for _, s := range spans {
			have := int64(s.hi - s.lo)
			if c.call.IgnoreNulls {
				have = int64(whole.before[s.hi] - whole.before[s.lo])
			}
			if n > have {
				n -= have
				continue
			}
			if c.call.IgnoreNulls {
				rows[i] = uint32(whole.rows[int64(whole.before[s.lo])+n-1])
			} else {
				rows[i] = uint32(int64(s.lo) + n - 1)
			}
			break
		}
	}
	return x.Take(rows), nil
}

// aggregate is an aggregate over what each row sees.
func (c *windowCall) aggregate(ctx context.Context) (*vec.Vector, error) {
	r := c.rows
	frames, err := c.frames()
	if err != nil {
		return nil, err
	}
	counted := make([]uint32, 0, r.count) // rows that pass the filter
	for i := range r.count {
		if c.call.Filter != nil {
			v := c.column(c.call.Filter)
			if v.IsNull(i) {
				continue
			}
			if v, at := v.At(i); !v.Bools[at] {
				continue
			}
		}
		counted = append(counted, uint32(i))
	}
	args := make([]*vec.Vector, len(c.call.Args))
	for i, a := range c.call.Args {
		args[i] = c.column(a)
	}
	whole := c.call.Frame.Exclude == plan.ExcludeNothing
	for i, f := range frames {
		whole = whole && f.lo == r.starts[r.part[i]] && f.hi == r.starts[r.part[i]+1]
	}
	if whole {
		st, err := c.state(len(r.starts) - 1)
		if err != nil {
			return nil, err
		}
		groups := make([]uint32, len(counted))
		for i, row := range counted {
			groups[i] = uint32(r.part[row])
		}
		if err := st.Update(c.env.Expr, groups, args, counted); err != nil {
			return nil, err
		}
		v, err := st.Finish()
		if err != nil {
			return nil, err
		}
		rows := make([]uint32, r.count)
		for i := range rows {
			rows[i] = uint32(r.part[i])
		}
		return v.Take(rows), nil
	}
	tree, err := c.newTree(ctx, args, counted)
	if err != nil {
		return nil, err
	}
	out := vec.NewBuilder(c.call.T)
	for lo := 0; lo < r.count; lo += vec.BatchRows {
		v, err := tree.answer(ctx, frames, lo, min(lo+vec.BatchRows, r.count))
		if err != nil {
			return nil, err
		}
		for i := range v.Len() {
			out.AppendFrom(v, i)
		}
	}
	return out.V, nil
}

// state is a state of the aggregate for so many groups.
func (c *windowCall) state(groups int) (agg.State, error) {
	st, err := newState(&plan.AggCall{Name: c.call.Name, Args: c.call.Args, T: c.call.T})
	if err != nil {
		return nil, err
	}
	st.Grow(groups)
	return st, nil
}

// windowTree is the partial states of stretches of rows: of 1 row, of 2, of 4 and so on, each
// beginning at a multiple of its length. Any frame is made of few of them.
type windowTree struct {
	of     *windowCall
	levels []treeLevel
}

// treeLevel is the stretches of one length, as the rows of partial states.
type treeLevel struct {
	cols   []*vec.Vector
	rows   []uint32 // by stretch; nil: row i is of stretch i
	starts []uint32 // where each stretch's rows begin in rows, and one more
}

// stretch is the rows of cols that belong to stretch i.
func (l *treeLevel) stretch(i int, to []uint32) []uint32 {
	if l.rows == nil {
		return append(to, uint32(i))
	}
	return append(to, l.rows[l.starts[i]:l.starts[i+1]]...)
}

// newTree adds up rows that count, of all partitions: what a frame is made of does not depend
// on these.
func (c *windowCall) newTree(ctx context.Context, args []*vec.Vector, counted []uint32) (*windowTree, error) {
	t := &windowTree{of: c}
	n := c.rows.count
	st, err := c.state(n)
	if err != nil {
		return nil, err
	}
	if err := st.Update(c.env.Expr, counted, args, counted); err != nil {
		return nil, err
	}
	for {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		l := newTreeLevel(st, n)
		t.levels = append(t.levels, l)
		if n <= 1 {
			return t, nil
		}
		if st, err = c.state((n + 1) / 2); err != nil {
			return nil, err
		}
		var rows, groups []uint32
		for i := range n {
			rows = l.stretch(i, rows)
			for len(groups) < len(rows) {
				groups = append(groups, uint32(i/2))
			}
		}
		if err := st.Absorb(c.env.Expr, groups, take(l.cols, rows).Cols); err != nil {
			return nil, err
		}
		n = (n + 1) / 2
	}
}

func newTreeLevel(st agg.State, n int) treeLevel {
	groups, cols := st.Partial()
	l := treeLevel{cols: cols}
	if groups == nil {
		return l
	}
	l.rows = make([]uint32, len(groups))
	for i := range l.rows {
		l.rows[i] = uint32(i)
	}
	sort.SliceStable(l.rows, func(a, b int) bool { return groups[l.rows[a]] < groups[l.rows[b]] })
	l.starts = make([]uint32, n+1)
	for _, g := range groups {
		l.starts[g+1]++
	}
	for i := range n {
		l.starts[i+1] += l.starts[i]
	}
	return l
}

// answer is the aggregate for rows [lo, hi).
func (t *windowTree) answer(ctx context.Context, frames []extent, lo, hi int) (*vec.Vector, error) {
	c := t.of
	st, err := c.state(hi - lo)
	if err != nil {
		return nil, err
	}
	// What is left of each row's frame, in order: one stretch of each is taken in at a time.
	left := make([][]extent, hi-lo)
	for i := range left {
		left[i] = c.seen(frames[lo+i], lo+i, nil)
	}
	rows := make([][]uint32, len(t.levels))
	groups := make([][]uint32, len(t.levels))
	for open := true; open; {
		if err := yield(ctx); err != nil {
			return nil, err
		}
		open = false
		for k := range rows {
			rows[k], groups[k] = rows[k][:0], groups[k][:0]
		}
		for i := range left {
			if len(left[i]) == 0 {
				continue
			}
			open = true
			s := &left[i][0]
			k := 0
			for s.lo&(1<<(k+1)-1) == 0 && s.lo+1<<(k+1) <= s.hi && k+1 < len(t.levels) {
				k++
			}
			rows[k] = t.levels[k].stretch(int(s.lo>>k), rows[k])
			for len(groups[k]) < len(rows[k]) {
				groups[k] = append(groups[k], uint32(i))
			}
			if s.lo += 1 << k; s.lo >= s.hi {
				left[i] = left[i][1:]
			}
		}
		for k := range rows {
			if len(rows[k]) == 0 {
				continue
			}
			if err := st.Absorb(c.env.Expr, groups[k], take(t.levels[k].cols, rows[k]).Cols); err != nil {
				return nil, err
			}
		}
	}
	return st.Finish()
}
