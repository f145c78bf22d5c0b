package plan

import (
	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Outside is where the numbers of columns begin that a plan does not find in the input of the
// node that reads them, but in what surrounds it: those of a correlated subquery. No such
// column is left when a plan runs.
const Outside = 1 << 20

// OutsideColumns visits the columns from outside that a plan reads.
func OutsideColumns(n Node, visit func(*expr.Column)) {
	eachExpr(n, func(e expr.Expr) { OutsideOf(e, visit) })
	for _, in := range n.Inputs() {
		OutsideColumns(in, visit)
	}
}

// OutsideOf visits the columns from outside that an expression reads.
func OutsideOf(e expr.Expr, visit func(*expr.Column)) {
	expr.Walk(e, func(x expr.Expr) bool {
		if c, ok := x.(*expr.Column); ok && c.Index >= Outside {
			visit(c)
		}
		return true
	})
}

// Dependent is a join whose right side reads columns of the left one, as a subquery for each
// row of the left side would.
type Dependent struct {
	Kind        JoinKind // not Right or Full
	Left, Right Node
	// On is over both sides; columns from outside in it are columns of the left side, too.
	On expr.Expr
	// Sparse says that the right side, an aggregate without keys, need not have the row of no
	// rows: who joins it knows what that has.
	Sparse bool
	// Place gives the column of the left side that a column from outside is, if it is one.
	Place func(*expr.Column) (int, bool)
}

// Unnest makes it an ordinary join. The right side is computed for all values at once that
// the left side has in the columns that it reads: it gets these as columns of its own, behind
// the others, and what it does is done for each of them. The schema is that of a Join, with
// these columns behind it unless the kind is one of the left side alone.
func (d *Dependent) Unnest() (Node, error) {
	on := d.inner(d.On)
	right := d.Right
	if d.Kind.LeftOnly() {
		var ok bool
		if right, on, ok = d.peel(right, on); ok {
			return &Join{Left: d.Left, Right: right, Kind: d.Kind, On: on}, nil
		}
		right, on = d.Right, d.inner(d.On)
	}
	if n := d.expanded(); n != nil {
		return n, nil
	}
	u := &unnesting{at: map[int]int{}}
	var of []int // the left side's columns
	OutsideColumns(right, func(c *expr.Column) {
		i, ok := d.Place(c)
		if _, seen := u.at[c.Index]; seen || !ok {
			return
		}
		u.at[c.Index] = len(u.cols)
		u.cols, of = append(u.cols, c), append(of, i)
	})
	if len(u.cols) == 0 {
		return &Join{Left: d.Left, Right: right, Kind: d.Kind, On: on}, nil
	}
	if Volatile(d.Left) {
		u.left = func() Node { u.fail("a correlated subquery beside a volatile function"); return nil }
	} else {
		u.left = func() Node {
			p := &Project{Input: d.Left}
			for i, c := range u.cols {
				p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: of[i], T: c.T, Name: c.Name}), append(p.Names, c.Name)
			}
			return &Distinct{Input: p}
		}
	}
	if d.Sparse {
		u.sparse = right
	}
	right = u.push(right)
	if u.err != nil {
		return nil, u.err
	}
	left, width := len(d.Left.Schema()), len(d.Left.Schema())+len(d.Right.Schema())
	conds := Conjuncts(on)
	for i, c := range u.cols {
		conds = append(conds, equal(&expr.Column{Index: of[i], T: c.T, Name: c.Name}, u.column(i, right, width-left, left)))
	}
	return &Join{Left: d.Left, Right: right, Kind: d.Kind, On: allOf(conds)}, nil
}

// expanded is an inner join with functions that give rows for each row of the left side, which they
// read: no join at all. Nil if the right side is anything else.
func (d *Dependent) expanded() Node {
	x, ok := d.Right.(*Expand)
	if !ok || d.Kind != InnerJoin || !d.reads(x) {
		return nil
	}
	if v, ok := x.Input.(*Values); !ok || len(v.Columns) > 0 || len(v.Rows) != 1 {
		return nil
	}
	out := x.mapExprs(d.inner)
	out.Input = d.Left
	if d.On == nil {
		return out
	}
	return &Filter{out, d.inner(d.On)}
}

// inner is an expression over both sides without columns from outside that are the left one's.
func (d *Dependent) inner(e expr.Expr) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok && c.Index >= Outside {
			if i, ok := d.Place(c); ok {
				return &expr.Column{Index: i, T: c.T, Name: c.Name}
			}
		}
		return x
	})
}

// peel moves the conditions on top of the right side of a semi or anti join into the join's
// own. It says whether nothing that reads the left side is left behind.
func (d *Dependent) peel(n Node, on expr.Expr) (Node, expr.Expr, bool) {
	left := len(d.Left.Schema())
	over := func(e expr.Expr, outs []expr.Expr) expr.Expr {
		return expr.Map(e, func(x expr.Expr) expr.Expr {
			if c, ok := x.(*expr.Column); ok && c.Index < Outside && c.Index >= left {
				return outs[c.Index-left]
			}
			return x
		})
	}
	var conds []expr.Expr
	for d.reads(n) {
		switch x := n.(type) {
		case *Filter:
			if expr.Volatile(x.Cond) {
				return nil, nil, false
			}
			conds = append(conds, d.inner(shiftInner(x.Cond, left)))
			n = x.Input
		case *Project:
			next := make([]expr.Expr, len(x.Exprs))
			for i, e := range x.Exprs {
				if expr.Volatile(e) {
					return nil, nil, false
				}
				next[i] = d.inner(shiftInner(e, left))
			}
			on = over(on, next)
			for i := range conds {
				conds[i] = over(conds[i], next)
			}
			n = x.Input
		case *Sort:
			n = x.Input
		case *Distinct:
			if x.On > 0 {
				return nil, nil, false
			}
			n = x.Input
		default:
			return nil, nil, false
		}
	}
	if len(conds) == 0 {
		return n, on, true
	}
	if t, ok := on.(*expr.IsTruth); ok { // NOT IN: the comparison counts among rows that the conditions let pass
		return n, &expr.And{Args: append(conds, t)}, true
	}
	return n, allOf(append(conds, Conjuncts(on)...)), true
}

// shiftInner moves the columns of e that are not from outside.
func shiftInner(e expr.Expr, by int) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		if c, ok := x.(*expr.Column); ok && c.Index < Outside {
			return &expr.Column{Index: c.Index + by, T: c.T, Name: c.Name}
		}
		return x
	})
}

// reads says whether a plan reads columns of the left side.
func (d *Dependent) reads(n Node) bool {
	found := false
	OutsideColumns(n, func(c *expr.Column) {
		if _, ok := d.Place(c); ok {
			found = true
		}
	})
	return found
}

// equal is the condition that two values are the same, NULL like any other.
func equal(l, r expr.Expr) expr.Expr { return &expr.IsDistinct{Left: l, Right: r, Not: true} }

// unnesting is one right side being changed. Every node that it has changed has the columns
// from outside behind its own.
type unnesting struct {
	cols []*expr.Column
	at   map[int]int // which of cols a column is
	left func() Node // the distinct values of cols
	// sparse is an aggregate that need not have rows of no rows.
	sparse Node
	// slots are those of recursive queries whose rows have the columns from outside.
	slots map[int]bool
	err   error
}

func (u *unnesting) fail(what string) {
	if u.err == nil {
		u.err = pgerr.Unsupported(what)
	}
}

// column is the i-th column from outside over a changed node that had so many columns, moved
// by so many places.
func (u *unnesting) column(i int, n Node, width, by int) expr.Expr {
	f := n.Schema()[width+i]
	return &expr.Column{Index: width + i + by, T: f.Type, Name: f.Name}
}

// read says whether e reads columns from outside.
func (u *unnesting) read(e expr.Expr) bool {
	found := false
	OutsideOf(e, func(c *expr.Column) {
		if _, ok := u.at[c.Index]; ok {
			found = true
		}
	})
	return found
}

// readBy says whether a plan reads columns from outside, or rows that have them.
func (u *unnesting) readBy(n Node) bool {
	if s, ok := n.(*Spool); ok && u.slots[s.Slot] {
		return true
	}
	for _, in := range n.Inputs() {
		if u.readBy(in) {
			return true
		}
	}
	found := false
	eachExpr(n, func(e expr.Expr) { found = found || u.read(e) })
	return found
}

// over gives an expression its columns from outside, which are from place at on.
func (u *unnesting) over(at int) mapper {
	return func(e expr.Expr) expr.Expr {
		return expr.Map(e, func(x expr.Expr) expr.Expr {
			if c, ok := x.(*expr.Column); ok {
				if i, ok := u.at[c.Index]; ok {
					return &expr.Column{Index: at + i, T: c.T, Name: c.Name}
				}
			}
			return x
		})
	}
}

// push changes a node.
func (u *unnesting) push(n Node) Node {
	if u.err != nil {
		return n
	}
	width := len(n.Schema())
	if !u.readBy(n) {
		return u.crossed(n)
	}
	switch n := n.(type) {
	case *Filter:
		if in, ok := n.Input.(*Filter); ok && !expr.Volatile(n.Cond) && !expr.Volatile(in.Cond) {
			return u.push(&Filter{in.Input, and(in.Cond, n.Cond)})
		}
		if !u.readBy(n.Input) {
			if out := u.equated(n); out != nil {
				return out
			}
		}
		return &Filter{u.push(n.Input), u.over(width).one(n.Cond)}
	case *Project:
		in := u.push(n.Input)
		w := len(n.Input.Schema())
		return u.append(&Project{in, u.over(w).list(n.Exprs), append([]string(nil), n.Names...)}, w)
	case *Aggregate:
		return u.aggregate(n)
	case *Sort:
		return &Sort{u.push(n.Input), u.over(width).keys(n.Keys)}
	case *Limit:
		return u.limit(n)
	case *Distinct:
		return u.distinct(n, u.push(n.Input))
	case *Union:
		out := &Union{}
		for _, x := range n.Of {
			out.Of = append(out.Of, u.push(x))
		}
		return out
	case *Repeat:
		return &Repeat{u.push(n.Input), u.over(width).one(n.Times)}
	case *Join:
		return u.join(n)
	case *Window:
		return u.window(n)
	case *Expand:
		w := len(n.Input.Schema())
		out := n.mapExprs(u.over(w))
		out.Input = u.push(n.Input)
		return u.moved(n, out, w)
	case *Recursive:
		if u.slots == nil {
			u.slots = map[int]bool{}
		}
		c := *n
		c.Base = u.push(n.Base)
		u.slots[n.Slot] = true
		c.Step = u.push(n.Step)
		c.Columns = u.appended(n.Columns)
		return &c
	case *Spool:
		return &Spool{Slot: n.Slot, Name: n.Name, Columns: u.appended(n.Columns)}
	case *Values:
		out := &Union{}
		for _, row := range n.Rows {
			p := &Project{Input: u.left(), Exprs: u.over(0).list(row)}
			for _, f := range n.Columns {
				p.Names = append(p.Names, f.Name)
			}
			out.Of = append(out.Of, u.append(p, 0))
		}
		if len(out.Of) == 1 {
			return out.Of[0]
		}
		return out
	}
	u.fail("this correlated subquery")
	return n
}

// appended is a schema with the columns from outside behind it.
func (u *unnesting) appended(s vec.Schema) vec.Schema {
	out := s[:len(s):len(s)]
	for _, c := range u.cols {
		out = append(out, vec.Field{Name: c.Name, Type: c.T})
	}
	return out
}

// append adds the columns from outside to a projection, over whose input they begin at w.
func (u *unnesting) append(p *Project, w int) *Project {
	if u.err != nil {
		return p
	}
	for i := range u.cols {
		c := u.column(i, p.Input, w, 0)
		p.Exprs, p.Names = append(p.Exprs, c), append(p.Names, c.(*expr.Column).Name)
	}
	return p
}

// crossed is a node that reads nothing from outside, with all values from there.
func (u *unnesting) crossed(n Node) Node {
	left := u.left()
	if v, ok := n.(*Values); ok && len(v.Columns) == 0 && len(v.Rows) == 1 || left == nil {
		return left
	}
	return &Join{Left: n, Right: left}
}

// equated is a filter that says of every column from outside what it equals: that takes the
// place of the column. Nil if it does not.
func (u *unnesting) equated(n *Filter) Node {
	by := make([]expr.Expr, len(u.cols))
	var rest []expr.Expr
	for _, c := range Conjuncts(n.Cond) {
		i, e := u.equation(c)
		if e == nil || by[i] != nil {
			rest = append(rest, c)
			continue
		}
		by[i] = e
		rest = append(rest, &expr.IsNull{E: e, Not: true})
	}
	for _, e := range by {
		if e == nil {
			return nil
		}
	}
	for i, c := range rest {
		rest[i] = expr.Map(c, func(x expr.Expr) expr.Expr {
			if c, ok := x.(*expr.Column); ok {
				if k, ok := u.at[c.Index]; ok {
					return by[k]
				}
			}
			return x
		})
	}
	p := &Project{Input: &Filter{n.Input, allOf(rest)}}
	for i, f := range n.Input.Schema() {
		p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(p.Names, f.Name)
	}
	for i, c := range u.cols {
		p.Exprs, p.Names = append(p.Exprs, by[i]), append(p.Names, c.Name)
	}
	return p
}

// equation is the expression over the input that a condition says a column from outside
// equals; nil if it says no such thing.
func (u *unnesting) equation(cond expr.Expr) (int, expr.Expr) {
	c, ok := cond.(*expr.Call)
	if !ok || c.Overload.Fn.Name != "=" || len(c.Args) != 2 || expr.Volatile(cond) {
		return 0, nil
	}
	for k := range c.Args {
		col, ok := c.Args[k].(*expr.Column)
		if !ok {
			continue
		}
		i, ok := u.at[col.Index]
		e := c.Args[1-k]
		if ok && e.Type() == col.T && hashable(e.Type(), col.T) {
			outside := false
			OutsideOf(e, func(*expr.Column) { outside = true })
			if !outside {
				return i, e
			}
		}
	}
	return 0, nil
}

// aggregate groups by the columns from outside, too. Without other keys there is a group for
// each of their values, also for those without rows.
func (u *unnesting) aggregate(n *Aggregate) Node {
	w := len(n.Input.Schema())
	over := u.over(w)
	out := &Aggregate{Input: u.push(n.Input), Keys: over.list(n.Keys), Names: append([]string(nil), n.Names[:len(n.Keys)]...)}
	if u.err != nil {
		return n
	}
	for i := range u.cols {
		c := u.column(i, out.Input, w, 0)
		out.Keys, out.Names = append(out.Keys, c), append(out.Names, c.(*expr.Column).Name)
	}
	for _, a := range n.Aggs {
		out.Aggs = append(out.Aggs, over.call(a))
	}
	out.Names = append(out.Names, n.Names[len(n.Keys):]...)
	schema := out.Schema()
	column := func(i int) expr.Expr { return &expr.Column{Index: i, T: schema[i].Type, Name: schema[i].Name} }
	keys, cols := len(n.Keys), len(u.cols)
	p := &Project{Input: out}
	for i := range n.Names {
		at := i
		if i >= keys {
			at += cols
		}
		p.Exprs, p.Names = append(p.Exprs, column(at)), append(p.Names, n.Names[i])
	}
	if keys > 0 || u.sparse == n {
		for i := range cols {
			p.Exprs, p.Names = append(p.Exprs, column(keys+i)), append(p.Names, schema[keys+i].Name)
		}
		return p
	}
	left := u.left()
	if u.err != nil {
		return n
	}
	var conds []expr.Expr
	for i := range u.cols {
		conds = append(conds, equal(u.column(i, left, 0, 0), shift(column(i), cols)))
	}
	p.Input = &Join{Left: left, Right: out, Kind: LeftJoin, On: allOf(conds)}
	for i := range p.Exprs {
		p.Exprs[i] = OrEmpty(shift(p.Exprs[i], cols), &n.Aggs[i])
	}
	return u.append(p, 0)
}

// limit is LIMIT for each of the values from outside.
func (u *unnesting) limit(n *Limit) Node {
	if c, ok := n.Limit.(*expr.Const); ok && n.Offset == nil && !c.Value.IsNull(0) && c.Value.I64[0] == 1 {
		return u.distinct(&Distinct{Input: n.Input, On: -1}, u.push(n.Input))
	}
	in, w := u.push(n.Input), len(n.Input.Schema())
	if u.err != nil {
		return n
	}
	bigint := vec.T(vec.Int8)
	number := &Window{Input: in, Calls: []WindowCall{{Name: "row_number", T: bigint}}, Names: []string{"row_number"}}
	for i := range u.cols {
		number.Partition = append(number.Partition, u.column(i, in, w, 0))
	}
	if s, ok := in.(*Sort); ok {
		number.Input, number.Order = s.Input, s.Keys
	}
	var conds []expr.Expr
	add := func(op string, to expr.Expr) {
		var at expr.Expr = &expr.Column{Index: w + len(u.cols), T: bigint, Name: "row_number"}
		cond, err := expr.NewOperator(op, at, to)
		if err != nil {
			panic("bigint cannot be compared: " + err.Error())
		}
		conds = append(conds, cond)
	}
	last := n.Limit
	if n.Offset != nil {
		add(">", n.Offset)
		if last != nil {
			var err error
			if last, err = expr.NewOperator("+", last, n.Offset); err != nil {
				panic("bigint cannot be added: " + err.Error())
			}
		}
	}
	if last != nil {
		add("<=", last)
	}
	p := &Project{Input: &Filter{number, allOf(conds)}}
	for i, f := range n.Schema() {
		p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(p.Names, f.Name)
	}
	return u.append(p, w)
}

// distinct is Distinct for each of the values from outside; On is -1 for one row of each.
func (u *unnesting) distinct(n *Distinct, in Node) Node {
	if n.On == 0 || u.err != nil {
		return &Distinct{Input: in}
	}
	w := len(n.Input.Schema())
	schema := in.Schema()
	column := func(i, at int) expr.Expr { return &expr.Column{Index: at, T: schema[i].Type, Name: schema[i].Name} }
	// Rows that are alike must follow each other, so those of one value do.
	sorted := &Sort{Input: in}
	for i := range u.cols {
		sorted.Keys = append(sorted.Keys, SortKey{Expr: column(w+i, w+i)})
	}
	inner := in
	if s, ok := inner.(*Sort); ok {
		sorted.Input, sorted.Keys = s.Input, append(sorted.Keys, s.Keys...)
	}
	front := &Project{Input: sorted}
	back := &Project{}
	for i := range u.cols {
		front.Exprs, front.Names = append(front.Exprs, column(w+i, w+i)), append(front.Names, schema[w+i].Name)
	}
	for i := range w {
		front.Exprs, front.Names = append(front.Exprs, column(i, i)), append(front.Names, schema[i].Name)
		back.Exprs, back.Names = append(back.Exprs, column(i, len(u.cols)+i)), append(back.Names, schema[i].Name)
	}
	for i := range u.cols {
		back.Exprs, back.Names = append(back.Exprs, column(w+i, i)), append(back.Names, schema[w+i].Name)
	}
	back.Input = &Distinct{Input: front, On: len(u.cols) + max(n.On, 0)}
	return back
}

// window adds the columns from outside to the partition.
func (u *unnesting) window(n *Window) Node {
	w := len(n.Input.Schema())
	out := n.mapExprs(u.over(w))
	out.Input = u.push(n.Input)
	if u.err != nil {
		return n
	}
	for i := range u.cols {
		out.Partition = append(out.Partition, u.column(i, out.Input, w, 0))
	}
	return u.moved(n, out, w)
}

// moved is a changed node that passes its input's columns on, in front of its own, with the
// columns from outside behind all.
func (u *unnesting) moved(n, out Node, w int) Node {
	p := &Project{Input: out}
	for i, f := range n.Schema() {
		at := i
		if i >= w {
			at += len(u.cols)
		}
		p.Exprs, p.Names = append(p.Exprs, &expr.Column{Index: at, T: f.Type, Name: f.Name}), append(p.Names, f.Name)
	}
	return u.append(p, w)
}

// join changes the sides of a join that read columns from outside, and one at least.
func (u *unnesting) join(n *Join) Node {
	l, r := len(n.Left.Schema()), len(n.Right.Schema())
	left, right := u.readBy(n.Left), u.readBy(n.Right)
	switch n.Kind {
	case InnerJoin:
		left = left || !right
	case RightJoin:
		right = true
	case FullJoin:
		left, right = true, true
	default:
		left = true
	}
	out := &Join{Left: n.Left, Right: n.Right, Kind: n.Kind}
	cols := len(u.cols)
	// Where the columns of both sides, and those from outside, begin in the pairs.
	atRight, atOutside := l, l
	if left {
		out.Left = u.push(n.Left)
		atRight += cols
	}
	if right {
		out.Right = u.push(n.Right)
	}
	if u.err != nil {
		return n
	}
	if !left || n.Kind == RightJoin {
		atOutside = atRight + r
	}
	schema := append(append(vec.Schema(nil), out.Left.Schema()...), out.Right.Schema()...)
	column := func(i int) expr.Expr { return &expr.Column{Index: i, T: schema[i].Type, Name: schema[i].Name} }
	conds := Conjuncts(expr.Map(n.On, func(x expr.Expr) expr.Expr {
		c, ok := x.(*expr.Column)
		if !ok {
			return x
		}
		if i, ok := u.at[c.Index]; ok {
			return &expr.Column{Index: atOutside + i, T: c.T, Name: c.Name}
		}
		if c.Index >= l && c.Index < Outside {
			return &expr.Column{Index: c.Index - l + atRight, T: c.T, Name: c.Name}
		}
		return x
	}))
	if left && right {
		for i := range cols {
			conds = append(conds, equal(column(l+i), column(atRight+r+i)))
		}
	}
	out.On = allOf(conds)
	if n.Kind.LeftOnly() {
		return out
	}
	p := &Project{Input: out}
	add := func(i int) { p.Exprs, p.Names = append(p.Exprs, column(i)), append(p.Names, schema[i].Name) }
	for i := range l {
		add(i)
	}
	for i := range r {
		add(atRight + i)
	}
	for i := range cols {
		add(atOutside + i)
		if n.Kind == FullJoin {
			last := len(p.Exprs) - 1
			p.Exprs[last] = &expr.Coalesce{Args: []expr.Expr{column(l + i), column(atRight + r + i)}, T: schema[l+i].Type}
		}
	}
	return p
}

// OrEmpty is e, the result of an aggregate, with what the aggregate gives of no rows where it
// is NULL because there is no group.
func OrEmpty(e expr.Expr, call *AggCall) expr.Expr {
	types := make([]vec.Type, len(call.Args))
	for i, a := range call.Args {
		types[i] = a.Type()
	}
	spec, err := agg.Resolve(call.Name, types)
	if err != nil {
		return e // the aggregate says what is wrong
	}
	st := spec.New(false, nil)
	st.Grow(1)
	v, err := st.Finish()
	if err != nil || v.IsNull(0) {
		return e
	}
	value := *v.Flatten(1)
	value.Form = vec.Const
	return &expr.Coalesce{Args: []expr.Expr{e, &expr.Const{Value: &value}}, T: call.T}
}
