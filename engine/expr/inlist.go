package expr

import (
	"sync/atomic"

	"github.com/prickledb/prickle/storage/vec"
)

// listCache keeps the set of a constant list for one statement, and what it answers for
// the entries of dictionaries.
type listCache struct {
	set   atomic.Pointer[listSet]
	dicts dictCache
}

// listSet is the values of a constant list.
type listSet struct {
	ctx   *Context
	ints  map[int64]struct{}
	keys  map[string]struct{}
	nulls bool
	fn    *Function
}

// Eval implements Expr.
func (e *InList) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.E.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	set := e.set.set.Load()
	if set == nil || set.ctx != ctx {
		for _, item := range e.List {
			if !IsConstant(item) {
				return e.evalVarying(ctx, b, v)
			}
		}
		if set, err = e.build(ctx); err != nil {
			return nil, err
		}
		e.set.set.Store(set)
	}
	return apply(ctx, set.fn, []*vec.Vector{v}, vec.T(vec.Bool), b, &e.set.dicts)
}

func (e *InList) build(ctx *Context) (*listSet, error) {
	set := &listSet{ctx: ctx}
	isInt := e.E.Type().Payload() == vec.PayloadI64
	if isInt {
		set.ints = map[int64]struct{}{}
	} else {
		set.keys = map[string]struct{}{}
	}
	one := &vec.Batch{Rows: 1}
	for _, item := range e.List {
		v, err := item.Eval(ctx, one)
		if err != nil {
			return nil, err
		}
		switch {
		case v.IsNull(0):
			set.nulls = true
		case isInt:
			s, i := v.At(0)
			set.ints[s.I64[i]] = struct{}{}
		default:
			set.keys[string(vec.AppendKey(nil, v, 0))] = struct{}{}
		}
	}
	set.fn = &Function{Name: "in", eval: func(f *frame) error {
		set.look(f, e.Not)
		return nil
	}}
	return set, nil
}

func (s *listSet) look(f *frame, not bool) {
	v := f.args[0]
	var key []byte
	each(f, func(i int) {
		var found bool
		if s.ints != nil {
			src, j := v.At(i)
			_, found = s.ints[src.I64[j]]
		} else {
			key = vec.AppendKey(key[:0], v, i)
			_, found = s.keys[string(key)]
		}
		if !found && s.nulls {
			f.setNull(i)
			return
		}
		f.out.Bools[i] = found != not
	})
}

// evalVarying compares with list items that differ from row to row.
func (e *InList) evalVarying(ctx *Context, b *vec.Batch, v *vec.Vector) (*vec.Vector, error) {
	out := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, b.Rows), Nulls: vec.NewBitmap(b.Rows)}
	var open []uint32
	eachLive(b, func(r uint32) {
		if v.IsNull(int(r)) {
			out.Nulls.Set(int(r))
		} else {
			open = append(open, r)
		}
		out.Bools[r] = e.Not
	})
	for _, item := range e.List {
		w, err := item.Eval(ctx, subset(b, open))
		if err != nil {
			return nil, err
		}
		rest := open[:0:0]
		for _, r := range open {
			switch {
			case w.IsNull(int(r)):
				out.Nulls.Set(int(r))
				rest = append(rest, r)
			case vec.Equal(v, int(r), w, int(r)):
				out.Bools[r] = !e.Not
				out.Nulls.Clear(int(r))
			default:
				rest = append(rest, r)
			}
		}
		open = rest
	}
	return out, nil
}
