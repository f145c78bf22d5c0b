package expr

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// subset is b with only the given rows counting.
func subset(b *vec.Batch, rows []uint32) *vec.Batch {
	if rows == nil {
		rows = []uint32{}
	}
	return &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols}
}

// liveRows is the rows that count, as a list of its own.
func liveRows(b *vec.Batch) []uint32 {
	out := make([]uint32, 0, b.Live())
	if b.Sel != nil {
		return append(out, b.Sel...)
	}
	for i := range b.Rows {
		out = append(out, uint32(i))
	}
	return out
}

// Eval implements Expr.
func (e *And) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	return evalLogic(ctx, b, e.Args, false)
}

// Eval implements Expr.
func (e *Or) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	return evalLogic(ctx, b, e.Args, true)
}

// evalLogic computes AND (or: OR). Each argument is evaluated for the rows that are still
// open: those where no earlier one was false (or: true). An argument's error is raised only
// if a row that is open causes it, which is what Eval of the argument promises.
func evalLogic(ctx *Context, b *vec.Batch, args []Expr, or bool) (*vec.Vector, error) {
	if b.Live() == 0 {
		return vec.NullConst(vec.T(vec.Bool)), nil
	}
	out := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, b.Rows)}
	if !or {
		for i := range out.Bools {
			out.Bools[i] = true
		}
	}
	open := b
	for i, a := range args {
		v, err := a.Eval(ctx, open)
		if err != nil {
			return nil, err
		}
		if v.Form == vec.Const {
			switch {
			case !v.Nulls.Get(0) && v.Bools[0] != or: // decides nothing
				continue
			case !v.Nulls.Get(0):
				if open == b {
					return v, nil
				}
				for _, r := range open.Sel {
					out.Bools[r] = or
					if len(out.Nulls) > 0 {
						out.Nulls.Clear(int(r))
					}
				}
				return out, nil
			}
			out.Nulls = out.Nulls.Grow(b.Rows)
			eachLive(open, func(r uint32) { out.Nulls.Set(int(r)) })
			continue
		}
		if v.Form == vec.Dict {
			v = v.Flatten(b.Rows)
		}
		if open.Sel == nil && len(v.Nulls) == 0 && i == 0 {
			copy(out.Bools, v.Bools[:b.Rows])
			if i+1 < len(args) {
				open = subset(b, rowsWhere(out.Bools, !or))
			}
		} else {
			rest := make([]uint32, 0, open.Live())
			nulls := len(v.Nulls) > 0
			if nulls {
				out.Nulls = out.Nulls.Grow(b.Rows)
			}
			decide := func(r uint32) {
				switch {
				case nulls && v.Nulls.Get(int(r)):
					out.Nulls.Set(int(r))
					rest = append(rest, r)
				case v.Bools[r] == or:
					out.Bools[r] = or
					if len(out.Nulls) > 0 {
						out.Nulls.Clear(int(r))
					}
				default:
					rest = append(rest, r)
				}
			}
			eachLive(open, decide)
			open = subset(b, rest)
		}
		if len(open.Sel) == 0 && open.Sel != nil {
			break
		}
	}
	return out, nil
}

// rowsWhere lists where values is want.
func rowsWhere(values []bool, want bool) []uint32 {
	out := make([]uint32, 0, len(values))
	for i, v := range values {
		if v == want {
			out = append(out, uint32(i))
		}
	}
	return out
}

func eachLive(b *vec.Batch, f func(uint32)) {
	if b.Sel != nil {
		for _, r := range b.Sel {
			f(r)
		}
		return
	}
	for i := range b.Rows {
		f(uint32(i))
	}
}

// Eval implements Expr.
func (e *Not) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.E.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	n := b.Rows
	if v.Form == vec.Const {
		n = 1
	} else if v.Form == vec.Dict {
		v = v.Flatten(n)
	}
	out := &vec.Vector{Type: v.Type, Form: v.Form, Nulls: v.Nulls, Bools: make([]bool, n)}
	for i, x := range v.Bools[:n] {
		out.Bools[i] = !x
	}
	return out, nil
}

// Eval implements Expr.
func (e *IsNull) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.E.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	if v.Form == vec.Const || !v.HasNulls() {
		return constBool(v.Nulls.Get(0) != e.Not), nil
	}
	out := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, b.Rows)}
	for i := range out.Bools {
		out.Bools[i] = v.IsNull(i) != e.Not
	}
	return out, nil
}

func constBool(x bool) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.Bool), Form: vec.Const, Bools: []bool{x}}
}

// Eval implements Expr.
func (e *IsTruth) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.E.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	n := b.Rows
	if v.Form == vec.Const {
		n = 1
	} else if v.Form == vec.Dict {
		v = v.Flatten(n)
	}
	out := &vec.Vector{Type: vec.T(vec.Bool), Form: v.Form, Bools: make([]bool, n)}
	nulls := len(v.Nulls) > 0
	for i, x := range v.Bools[:n] {
		null := nulls && v.Nulls.Get(i)
		var is bool
		switch e.Want {
		case True:
			is = !null && x
		case False:
			is = !null && !x
		default:
			is = null
		}
		out.Bools[i] = is != e.Not
	}
	return out, nil
}

// Eval implements Expr.
func (e *IsDistinct) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	l, err := e.Left.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	r, err := e.Right.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	if l.Form == vec.Const && r.Form == vec.Const {
		return constBool(vec.Equal(l, 0, r, 0) == e.Not), nil
	}
	out := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, b.Rows)}
	eachLive(b, func(i uint32) { out.Bools[i] = vec.Equal(l, int(i), r, int(i)) == e.Not })
	return out, nil
}

// picks gathers, for every row, which of several vectors holds its value.
type picks struct {
	from []*vec.Vector
	row  []uint8 // position in from plus one; 0 is null
}

// finish copies the picked values together.
func (p *picks) finish(t vec.Type, n int) *vec.Vector {
	out := makeFlat(t, n)
	switch t.Payload() {
	case vec.PayloadBools:
		for i, k := range p.row {
			if v, j, ok := p.at(out, i, k, n); ok {
				out.Bools[i] = v.Bools[j]
			}
		}
	case vec.PayloadI64:
		for i, k := range p.row {
			if v, j, ok := p.at(out, i, k, n); ok {
				out.I64[i] = v.I64[j]
			}
		}
	case vec.PayloadF64:
		for i, k := range p.row {
			if v, j, ok := p.at(out, i, k, n); ok {
				out.F64[i] = v.F64[j]
			}
		}
	case vec.PayloadDec:
		for i, k := range p.row {
			if v, j, ok := p.at(out, i, k, n); ok {
				out.Dec[i] = v.Decimal(j)
			}
		}
	case vec.PayloadIvl:
		for i, k := range p.row {
			if v, j, ok := p.at(out, i, k, n); ok {
				out.Ivl[i] = v.Ivl[j]
			}
		}
	case vec.PayloadUUIDs:
		for i, k := range p.row {
			if v, j, ok := p.at(out, i, k, n); ok {
				out.UUIDs[i] = v.UUIDs[j]
			}
		}
	default:
		out = &vec.Vector{Type: t}
		b := vec.Builder{V: out}
		for i, k := range p.row {
			if k == 0 {
				b.AppendNull()
				continue
			}
			b.AppendFrom(p.from[k-1], i)
		}
	}
	return out
}

// at finds the picked value, or marks the row null.
func (p *picks) at(out *vec.Vector, i int, k uint8, n int) (*vec.Vector, int, bool) {
	if k == 0 || p.from[k-1].IsNull(i) {
		out.Nulls = out.Nulls.Grow(n)
		out.Nulls.Set(i)
		return nil, 0, false
	}
	v, j := p.from[k-1].At(i)
	return v, j, true
}

// add offers a vector for rows.
func (p *picks) add(v *vec.Vector, rows []uint32) {
	p.from = append(p.from, v)
	k := uint8(len(p.from))
	for _, r := range rows {
		p.row[r] = k
	}
}

// maxPicks is how many vectors one picks tells apart: a row holds its number in a byte.
const maxPicks = 250

// Eval implements Expr.
func (e *Case) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	p := picks{row: make([]uint8, b.Rows)}
	open := b
	for _, w := range e.Whens {
		if open.Live() == 0 {
			break
		}
		c, err := w.Cond.Eval(ctx, open)
		if err != nil {
			return nil, err
		}
		if c.Form == vec.Const {
			if c.Nulls.Get(0) || !c.Bools[0] {
				continue
			}
			v, err := w.Result.Eval(ctx, open)
			if err != nil {
				return nil, err
			}
			if open == b {
				return v, nil
			}
			p.add(v, open.Sel)
			return p.finish(e.T, b.Rows), nil
		}
		if c.Form == vec.Dict {
			c = c.Flatten(b.Rows)
		}
		var yes, no []uint32
		nulls := len(c.Nulls) > 0
		eachLive(open, func(r uint32) {
			if c.Bools[r] && !(nulls && c.Nulls.Get(int(r))) {
				yes = append(yes, r)
			} else {
				no = append(no, r)
			}
		})
		if len(yes) > 0 {
			v, err := w.Result.Eval(ctx, subset(b, yes))
			if err != nil {
				return nil, err
			}
			p.pick(v, yes, e.T, b.Rows)
		}
		open = subset(b, no)
	}
	if open.Live() > 0 && e.Else != nil {
		v, err := e.Else.Eval(ctx, open)
		if err != nil {
			return nil, err
		}
		if open == b {
			return v, nil
		}
		p.pick(v, liveRows(open), e.T, b.Rows)
	} else if open == b {
		return vec.NullConst(e.T), nil
	}
	return p.finish(e.T, b.Rows), nil
}

// pick is add; when too many vectors have gathered it copies them into one first.
func (p *picks) pick(v *vec.Vector, rows []uint32, t vec.Type, n int) {
	if len(p.from) == maxPicks {
		one := p.finish(t, n)
		for i, k := range p.row {
			if k > 0 {
				p.row[i] = 1
			}
		}
		p.from = append(p.from[:0:0], one)
	}
	p.add(v, rows)
}

// Eval implements Expr.
func (e *Coalesce) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	p := picks{row: make([]uint8, b.Rows)}
	open := b
	for _, a := range e.Args {
		if open.Live() == 0 {
			break
		}
		v, err := a.Eval(ctx, open)
		if err != nil {
			return nil, err
		}
		if v.Form == vec.Const && v.Nulls.Get(0) {
			continue
		}
		if open == b && !v.HasNulls() {
			return v, nil
		}
		var yes, no []uint32
		eachLive(open, func(r uint32) {
			if v.IsNull(int(r)) {
				no = append(no, r)
			} else {
				yes = append(yes, r)
			}
		})
		p.pick(v, yes, e.T, b.Rows)
		open = subset(b, no)
	}
	if open == b {
		return vec.NullConst(e.T), nil
	}
	return p.finish(e.T, b.Rows), nil
}

// Eval implements Expr.
func (e *OneRow) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	count, err := e.Count.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	for i := range b.Live() {
		if b.Sel != nil {
			i = int(b.Sel[i])
		}
		if v, at := count.At(i); !count.IsNull(i) && v.I64[at] > 1 {
			return nil, pgerr.New(pgerr.CardinalityViolation, "more than one row returned by a subquery used as an expression")
		}
	}
	return e.E.Eval(ctx, b)
}

// Eval implements Expr.
func (e *NullIf) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.Left.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	c, err := e.Equal.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	if c.Form == vec.Const {
		if c.Nulls.Get(0) || !c.Bools[0] {
			return v, nil
		}
		return vec.NullConst(v.Type), nil
	}
	if c.Form == vec.Dict {
		c = c.Flatten(b.Rows)
	}
	out := *v
	if v.Form == vec.Const {
		out = *v.Flatten(b.Rows)
	}
	nulls := vec.NewBitmap(b.Rows)
	copy(nulls, out.Nulls)
	eachLive(b, func(r uint32) {
		if c.Bools[r] && !c.Nulls.Get(int(r)) {
			nulls.Set(int(r))
		}
	})
	out.Nulls = nulls
	return &out, nil
}

// Eval implements Expr.
func (e *Greatest) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	p := picks{row: make([]uint8, b.Rows)}
	rows := liveRows(b)
	for i, a := range e.Args {
		v, err := a.Eval(ctx, b)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			p.add(v, rows)
			continue
		}
		var better []uint32
		for _, r := range rows {
			old := p.from[p.row[r]-1]
			switch {
			case v.IsNull(int(r)):
			case old.IsNull(int(r)):
				better = append(better, r)
			default:
				c := vec.Compare(v, int(r), old, int(r))
				if c > 0 && !e.Least || c < 0 && e.Least {
					better = append(better, r)
				}
			}
		}
		if len(better) > 0 {
			p.pick(v, better, e.T, b.Rows)
		}
	}
	return p.finish(e.T, b.Rows), nil
}

// Eval implements Expr.
func (e *ArrayOf) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	args := make([]*vec.Vector, len(e.Elems))
	constant := true
	for i, a := range e.Elems {
		v, err := a.Eval(ctx, b)
		if err != nil {
			return nil, err
		}
		args[i] = v
		constant = constant && v.Form == vec.Const
	}
	n := b.Rows
	if constant {
		n = 1
	}
	out := makeFlat(e.T, n)
	elems := vec.Builder{V: out.Elem}
	for i := range n {
		for _, a := range args {
			elems.AppendFrom(a, i)
		}
		out.Offs = append(out.Offs, uint32(out.Elem.Len()))
	}
	if constant {
		out.Form = vec.Const
	}
	return out, nil
}

// Eval implements Expr. The elements of all rows become one batch of pairs.
func (e *Quantified) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	x, err := e.X.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	list, err := e.Array.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	constant := x.Form == vec.Const && list.Form == vec.Const
	n := b.Rows
	rows := b.Sel
	if constant {
		n, rows = 1, nil
	}
	if rows == nil {
		rows = liveRows(&vec.Batch{Rows: n})
	}
	out := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, n), Nulls: vec.NewBitmap(n)}
	left := vec.NewBuilder(x.Type)
	right := vec.NewBuilder(list.Type.Elem())
	var owner []uint32
	for _, r := range rows {
		if list.IsNull(int(r)) {
			out.Nulls.Set(int(r))
			continue
		}
		out.Bools[r] = e.All
		l, i := list.At(int(r))
		for j := l.Offs[i]; j < l.Offs[i+1]; j++ {
			left.AppendFrom(x, int(r))
			right.AppendFrom(l.Elem, int(j))
			owner = append(owner, r)
		}
	}
	if len(owner) > 0 {
		v, err := e.Test.Eval(ctx, &vec.Batch{Rows: len(owner), Cols: []*vec.Vector{left.V, right.V}})
		if err != nil {
			return nil, err
		}
		decided := make([]bool, n)
		for k, r := range owner {
			switch {
			case decided[r]:
			case v.IsNull(k):
				out.Nulls.Set(int(r))
			default:
				if s, j := v.At(k); s.Bools[j] != e.All {
					out.Bools[r] = !e.All
					out.Nulls.Clear(int(r))
					decided[r] = true
				}
			}
		}
	}
	if constant {
		out.Form = vec.Const
	}
	return out, nil
}
