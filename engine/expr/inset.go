package expr

import (
	"fmt"

	"github.com/prickledb/prickle/storage/vec"
)

// InSet is E [NOT] IN COHORT: whether a value is a member of the set in a slot. It is null
// where E is.
type InSet struct {
	E    Expr
	Slot int // in Context.Slots
	Not  bool

	cache dictCache
}

// Type implements Expr.
func (*InSet) Type() vec.Type { return vec.T(vec.Bool) }

// Children implements Parent.
func (e *InSet) Children() []Expr { return []Expr{e.E} }

// WithChildren implements Parent.
func (e *InSet) WithChildren(c []Expr) Expr { return &InSet{E: c[0], Slot: e.Slot, Not: e.Not} }

// Eval implements Expr.
func (e *InSet) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	set, err := ctx.set(e.Slot)
	if err != nil {
		if b.Live() == 0 {
			return vec.NullConst(e.Type()), nil
		}
		return nil, err
	}
	v, err := e.E.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	if v.Form == vec.Dict && v.Dict == set.dict {
		out := &vec.Vector{Type: e.Type(), Bools: make([]bool, b.Rows), Nulls: v.Nulls}
		for i, c := range v.Codes[:b.Rows] {
			out.Bools[i] = set.persons.Get(int(c)) != e.Not
		}
		return out, nil
	}
	fn := set.in
	if e.Not {
		fn = set.notIn
	}
	return apply(ctx, fn, []*vec.Vector{v}, e.Type(), b, &e.cache)
}

// set is the set in a slot.
func (ctx *Context) set(slot int) (*Set, error) {
	if slot >= len(ctx.Slots) {
		return nil, fmt.Errorf("slot %d has no set: its subquery has not run", slot)
	}
	s := ctx.Slots[slot]
	if s.Err == nil && s.Set == nil {
		return nil, fmt.Errorf("slot %d holds no set", slot)
	}
	return s.Set, s.Err
}

// look answers for rows that are not null.
func (s *Set) look(f *frame, not bool) error {
	v := f.args[0]
	switch {
	case s.ints != nil:
		each(f, func(i int) {
			src, j := v.At(i)
			_, found := s.ints[src.I64[j]]
			f.out.Bools[i] = found != not
		})
	case s.uuids != nil:
		members, err := s.loose()
		if err != nil {
			return err
		}
		each(f, func(i int) {
			src, j := v.At(i)
			_, found := members[src.UUIDs[j]]
			f.out.Bools[i] = found != not
		})
	default:
		var key []byte
		each(f, func(i int) {
			key = vec.AppendKey(key[:0], v, i)
			_, found := s.texts[string(key)]
			f.out.Bools[i] = found != not
		})
	}
	return nil
}
