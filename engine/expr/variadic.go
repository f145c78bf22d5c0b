package expr

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// spread are the functions whose last argument may be an array that stands for several:
// f(VARIADIC x).
var spread = map[string]bool{
	"concat": true, "concat_ws": true, "format": true, "num_nulls": true, "num_nonnulls": true,
	"jsonb_build_array": true, "jsonb_build_object": true, "json_build_array": true, "json_build_object": true,
	"jsonb_extract_path": true, "jsonb_extract_path_text": true, "json_extract_path": true, "json_extract_path_text": true,
}

// NewSpread is a call whose last argument is an array, the elements of which are arguments: as
// many as there are in a row. It is null where the array is.
func NewSpread(name string, args []Expr) (Expr, error) {
	types := make([]vec.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	if !spread[name] || len(args) == 0 {
		return nil, noFunction(name, types)
	}
	last := len(args) - 1
	if types[last] == vec.T(vec.Unknown) && strings.Contains(name, "extract_path") { // which takes text alone
		types[last] = tTexts
	}
	if !types[last].Array {
		return nil, pgerr.New(pgerr.DatatypeMismatch, "VARIADIC argument must be an array")
	}
	s := &spreadCall{name: name, fixed: types[:last], elem: types[last].Elem()}
	one, err := s.overload(2) // an even number, which every one of the functions takes
	if err != nil {
		return nil, err
	}
	copy(types[:last], one.Args) // literals take what the function wants
	fn := &Function{Name: name, lax: true, Session: one.Fn.Session, eval: s.eval}
	out := make([]Expr, len(args))
	for i, a := range args {
		if out[i], err = NewCast(a, types[i], false, false); err != nil {
			return nil, err
		}
	}
	return NewCall(&Overload{Fn: fn, Args: types, Result: one.Result}, out), nil
}

// spreadCall is a function for arrays of any size.
type spreadCall struct {
	name  string
	fixed []vec.Type // of the arguments before the array
	elem  vec.Type
}

// overload is the function for so many elements.
func (s *spreadCall) overload(n int) (*Overload, error) {
	return Resolve(s.name, slices.Concat(s.fixed, slices.Repeat([]vec.Type{s.elem}, n)))
}

func (s *spreadCall) eval(f *frame) error {
	known := map[int]*Overload{}
	out := vec.NewBuilder(f.out.Type)
	next := 0
	fill := func(i int) {
		for ; next < i; next++ {
			out.AppendNull()
		}
	}
	last := len(f.args) - 1
	var failed error
	each(f, func(i int) {
		if failed != nil || f.args[last].IsNull(i) {
			return
		}
		fill(i)
		elem, lo, hi := elements(f.args[last], i)
		o := known[hi-lo]
		if o == nil {
			if o, failed = s.overload(max(hi-lo, 1)); failed != nil {
				if hi-lo == 1 || hi-lo > 2 { // as it fits two
					failed = pgerr.New(pgerr.InvalidParameterValue, "argument list must have even number of elements")
				}
				return
			}
			known[hi-lo] = o
		}
		var v *vec.Vector
		if v, failed = s.row(f, o, i, elem, lo, hi); failed == nil {
			out.AppendFrom(v, 0)
			next = i + 1
		}
	})
	fill(f.n)
	*f.out = *out.V
	return failed
}

// row calls an overload for one row.
func (s *spreadCall) row(f *frame, o *Overload, i int, elem *vec.Vector, lo, hi int) (*vec.Vector, error) {
	args := make([]*vec.Vector, 0, len(s.fixed)+hi-lo)
	add := func(v *vec.Vector, row int, want vec.Type) error {
		b := vec.NewBuilder(v.Type)
		b.AppendFrom(v, row)
		fn, ok := castFunction(v.Type, want)
		switch {
		case !ok:
			return noFunction(s.name, o.Args)
		case fn != nil:
			cast, err := applyFlat(f.ctx, fn, []*vec.Vector{b.V}, want, 1, nil)
			args = append(args, cast)
			return err
		}
		args = append(args, relabel(b.V, want))
		return nil
	}
	for k := range s.fixed {
		if err := add(f.args[k], i, o.Args[k]); err != nil {
			return nil, err
		}
	}
	for k := lo; k < hi; k++ {
		if err := add(elem, k, o.Args[len(s.fixed)+k-lo]); err != nil {
			return nil, err
		}
	}
	return applyFlat(f.ctx, o.Fn, args, o.Result, 1, nil)
}
