package agg

import (
	"bytes"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	registry["min"] = func(args []vec.Type) *Spec { return resolveMinMax(args, false) }
	registry["max"] = func(args []vec.Type) *Spec { return resolveMinMax(args, true) }
	for name, greatest := range map[string]bool{"arg_min": false, "min_by": false, "arg_max": true, "max_by": true} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 2 {
				return nil
			}
			t := known(args)
			return &Spec{Args: t, Result: t[0], create: func([]OrderKey) State { return newArg(t[0], t[1], greatest) }}
		}
	}
	registry["any_value"] = func(args []vec.Type) *Spec {
		if len(args) != 1 {
			return nil
		}
		t := known(args)
		return &Spec{Args: t, Result: t[0], repeats: true, create: func([]OrderKey) State { return &pick{kept: newKeeper(t[0])} }}
	}
}

func resolveMinMax(args []vec.Type, greatest bool) *Spec {
	if len(args) != 1 || args[0].Kind == vec.Bool || args[0].Kind == vec.Record {
		return nil
	}
	t := known(args)
	if t[0] == vec.T(vec.Varchar) {
		t[0] = vec.T(vec.Text)
	}
	s := &Spec{Args: t, Result: t[0], repeats: true}
	s.create = func([]OrderKey) State {
		if t[0].Payload() == vec.PayloadI64 {
			return &extremeInt{t: t[0], greatest: greatest}
		}
		return &extreme{kept: newKeeper(t[0]), greatest: greatest}
	}
	return s
}

// extremeInt is min and max of what int64 holds.
type extremeInt struct {
	t        vec.Type
	greatest bool
	x        []int64
	seen     []bool
}

func (s *extremeInt) Grow(groups int) { s.x, s.seen = grow(s.x, groups), grow(s.seen, groups) }
func (s *extremeInt) Bytes() int64    { return int64(cap(s.x)) * 9 }

func (s *extremeInt) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	s.add(groups, dense[int64](args[0], rows))
	return nil
}

func (s *extremeInt) add(groups []uint32, x []int64) {
	if len(s.x) == 1 && len(x) > 0 {
		best := x[0]
		if s.greatest {
			for _, v := range x {
				best = max(best, v)
			}
		} else {
			for _, v := range x {
				best = min(best, v)
			}
		}
		groups, x = groups[:1], []int64{best}
	}
	for i, g := range groups {
		v := x[i]
		if !s.seen[g] || s.greatest && v > s.x[g] || !s.greatest && v < s.x[g] {
			s.x[g], s.seen[g] = v, true
		}
	}
}

func (s *extremeInt) Merge(from State, to []uint32) error {
	o := from.(*extremeInt)
	for i, ok := range o.seen {
		if ok {
			g, v := to[i], o.x[i]
			if !s.seen[g] || s.greatest && v > s.x[g] || !s.greatest && v < s.x[g] {
				s.x[g], s.seen[g] = v, true
			}
		}
	}
	return nil
}

func (s *extremeInt) Finish() (*vec.Vector, error) {
	return &vec.Vector{Type: s.t, I64: s.x, Nulls: unseen(s.seen)}, nil
}

// keeper holds one value of any type for each group.
type keeper struct {
	b  *vec.Builder
	at []int32 // position in b plus one; 0 is none
}

func newKeeper(t vec.Type) keeper { return keeper{b: vec.NewBuilder(t)} }

func (k *keeper) grow(groups int)   { k.at = grow(k.at, groups) }
func (k *keeper) has(g uint32) bool { return k.at[g] > 0 }
func (k *keeper) bytes() int64      { return int64(cap(k.at))*4 + k.b.V.Bytes() }

// set replaces a group's value, null included. Values left behind are dropped in bulk.
func (k *keeper) set(g uint32, v *vec.Vector, row int) {
	if n := k.b.V.Len(); n > 1024 && n > 2*len(k.at) {
		k.pack()
	}
	k.b.AppendFrom(v, row)
	k.at[g] = int32(k.b.V.Len())
}

func (k *keeper) pack() {
	b := vec.NewBuilder(k.b.V.Type)
	for g, at := range k.at {
		if at > 0 {
			b.AppendFrom(k.b.V, int(at-1))
			k.at[g] = int32(b.V.Len())
		}
	}
	k.b = b
}

func (k *keeper) compare(g uint32, v *vec.Vector, row int) int {
	return vec.Compare(v, row, k.b.V, int(k.at[g]-1))
}

func (k *keeper) finish() *vec.Vector {
	b := vec.NewBuilder(k.b.V.Type)
	for _, at := range k.at {
		if at == 0 {
			b.AppendNull()
			continue
		}
		b.AppendFrom(k.b.V, int(at-1))
	}
	return b.V
}

// extreme is min and max of any type.
type extreme struct {
	kept     keeper
	greatest bool
}

func (s *extreme) Grow(groups int)              { s.kept.grow(groups) }
func (s *extreme) Bytes() int64                 { return s.kept.bytes() }
func (s *extreme) Finish() (*vec.Vector, error) { return s.kept.finish(), nil }

func (s *extreme) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	v := args[0]
	groups, rows = valid(v, groups, rows)
	if v.Form == vec.Flat && v.Type.Payload() == vec.PayloadStr && v.Type.EqualBytes() {
		s.offerTexts(groups, v, rows)
		return nil
	}
	for i, g := range groups {
		s.offer(g, v, int(rows[i]))
	}
	return nil
}

// offerTexts is offer for texts that compare as their bytes.
func (s *extreme) offerTexts(groups []uint32, v *vec.Vector, rows []uint32) {
	for i, g := range groups {
		row := int(rows[i])
		if at := s.kept.at[g]; at > 0 {
			if c := bytes.Compare(v.Str.At(row), s.kept.b.V.Str.At(int(at-1))); c == 0 || c > 0 != s.greatest {
				continue
			}
		}
		s.kept.set(g, v, row)
	}
}

func (s *extreme) offer(g uint32, v *vec.Vector, row int) {
	if s.kept.has(g) {
		if c := s.kept.compare(g, v, row); c == 0 || c > 0 != s.greatest {
			return
		}
	}
	s.kept.set(g, v, row)
}

func (s *extreme) Merge(from State, to []uint32) error {
	o := from.(*extreme)
	for i, at := range o.kept.at {
		if at > 0 {
			s.offer(to[i], o.kept.b.V, int(at-1))
		}
	}
	return nil
}

// arg is arg_min and arg_max: the first argument where the second is extreme. Rows whose
// second is null do not count.
type arg struct {
	x, by    keeper
	greatest bool
}

func newArg(x, by vec.Type, greatest bool) State {
	return &arg{x: newKeeper(x), by: newKeeper(by), greatest: greatest}
}

func (s *arg) Grow(groups int)              { s.x.grow(groups); s.by.grow(groups) }
func (s *arg) Bytes() int64                 { return s.x.bytes() + s.by.bytes() }
func (s *arg) Finish() (*vec.Vector, error) { return s.x.finish(), nil }

func (s *arg) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[1], groups, rows)
	for i, g := range groups {
		s.offer(g, args[0], int(rows[i]), args[1], int(rows[i]))
	}
	return nil
}

func (s *arg) offer(g uint32, x *vec.Vector, i int, by *vec.Vector, j int) {
	if s.by.has(g) {
		if c := s.by.compare(g, by, j); c == 0 || c > 0 != s.greatest {
			return
		}
	}
	s.by.set(g, by, j)
	s.x.set(g, x, i)
}

func (s *arg) Merge(from State, to []uint32) error {
	o := from.(*arg)
	for i, at := range o.by.at {
		if at > 0 {
			s.offer(to[i], o.x.b.V, int(o.x.at[i]-1), o.by.b.V, int(at-1))
		}
	}
	return nil
}

// pick is any_value: the first value that is not null.
type pick struct{ kept keeper }

func (s *pick) Grow(groups int)              { s.kept.grow(groups) }
func (s *pick) Bytes() int64                 { return s.kept.bytes() }
func (s *pick) Finish() (*vec.Vector, error) { return s.kept.finish(), nil }

func (s *pick) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	for i, g := range groups {
		if !s.kept.has(g) {
			s.kept.set(g, args[0], int(rows[i]))
		}
	}
	return nil
}

func (s *pick) Merge(from State, to []uint32) error {
	o := from.(*pick)
	for i, at := range o.kept.at {
		if at > 0 && !s.kept.has(to[i]) {
			s.kept.set(to[i], o.kept.b.V, int(at-1))
		}
	}
	return nil
}
