package agg

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	for name, and := range map[string]bool{"bool_and": true, "every": true, "bool_or": false} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 1 || !fits(args[0], vec.Bool) {
				return nil
			}
			t := vec.T(vec.Bool)
			return &Spec{Args: []vec.Type{t}, Result: t, repeats: true, create: func([]OrderKey) State { return &boolean{and: and} }}
		}
	}
	for name, op := range map[string]byte{"bit_and": '&', "bit_or": '|', "bit_xor": '#'} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 1 || !args[0].IsInt() {
				return nil
			}
			t := args[0]
			return &Spec{Args: args, Result: t, repeats: op != '#', create: func([]OrderKey) State { return &bitwise{t: t, op: op} }}
		}
	}
}

// boolean is bool_and and bool_or.
type boolean struct {
	and     bool
	x, seen []bool
}

func (s *boolean) Grow(groups int) { s.x, s.seen = grow(s.x, groups), grow(s.seen, groups) }
func (s *boolean) Bytes() int64    { return int64(cap(s.x)) * 2 }

func (s *boolean) add(g uint32, x bool) {
	switch {
	case !s.seen[g]:
		s.x[g], s.seen[g] = x, true
	case s.and:
		s.x[g] = s.x[g] && x
	default:
		s.x[g] = s.x[g] || x
	}
}

func (s *boolean) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	for i, x := range dense[bool](args[0], rows) {
		s.add(groups[i], x)
	}
	return nil
}

func (s *boolean) Merge(from State, to []uint32) error {
	o := from.(*boolean)
	for i, ok := range o.seen {
		if ok {
			s.add(to[i], o.x[i])
		}
	}
	return nil
}

func (s *boolean) Finish() (*vec.Vector, error) {
	return &vec.Vector{Type: vec.T(vec.Bool), Bools: s.x, Nulls: unseen(s.seen)}, nil
}

// bitwise is bit_and, bit_or and bit_xor.
type bitwise struct {
	t    vec.Type
	op   byte
	x    []int64
	seen []bool
}

func (s *bitwise) Grow(groups int) { s.x, s.seen = grow(s.x, groups), grow(s.seen, groups) }
func (s *bitwise) Bytes() int64    { return int64(cap(s.x)) * 9 }

func (s *bitwise) add(g uint32, x int64) {
	switch {
	case !s.seen[g]:
		s.x[g], s.seen[g] = x, true
	case s.op == '&':
		s.x[g] &= x
	case s.op == '|':
		s.x[g] |= x
	default:
		s.x[g] ^= x
	}
}

func (s *bitwise) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	for i, x := range dense[int64](args[0], rows) {
		s.add(groups[i], x)
	}
	return nil
}

func (s *bitwise) Merge(from State, to []uint32) error {
	o := from.(*bitwise)
	for i, ok := range o.seen {
		if ok {
			s.add(to[i], o.x[i])
		}
	}
	return nil
}

func (s *bitwise) Finish() (*vec.Vector, error) {
	return &vec.Vector{Type: s.t, I64: s.x, Nulls: unseen(s.seen)}, nil
}
