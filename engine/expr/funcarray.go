package expr

import (
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// chooseArrayCat is || with an array on either side.
func chooseArrayCat(a, b vec.Type) *Overload {
	side := func(t vec.Type) vec.Type {
		if t.Array || t.Kind == vec.Unknown {
			return listType
		}
		return elemType
	}
	want := compatible(types(side(a), side(b)), types(a, b))
	if want == nil {
		return nil
	}
	list := want[0]
	if !list.Array {
		list = want[1]
	}
	fn := &Function{Name: "||", lax: true, eval: func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].Type.Array && f.args[1].Type.Array && f.args[0].IsNull(i) && f.args[1].IsNull(i) {
				return errNull
			}
			for _, v := range f.args {
				appendElements(out, v, i)
			}
			return nil
		})
	}}
	return &Overload{Fn: fn, Args: want, Result: list}
}

// appendElements adds an array's elements, or a single value.
func appendElements(out *vec.Builder, v *vec.Vector, i int) {
	if !v.Type.Array {
		out.AppendFrom(v, i)
		return
	}
	if v.IsNull(i) {
		return
	}
	l, j := v.At(i)
	for k := l.Offs[j]; k < l.Offs[j+1]; k++ {
		out.AppendFrom(l.Elem, int(k))
	}
}

// span of a row's elements.
func elements(v *vec.Vector, i int) (elem *vec.Vector, lo, hi int) {
	l, j := v.At(i)
	return l.Elem, int(l.Offs[j]), int(l.Offs[j+1])
}

// compatible is the types of the arguments of a function whose shape has arrays and elements of
// one type: the common one, or text if all are literals. Nil if they have none.
func compatible(shape, args []vec.Type) []vec.Type {
	if len(shape) != len(args) {
		return nil
	}
	var known []vec.Type
	for i, t := range args {
		own := shape[i] == listType || shape[i] == elemType
		switch {
		case t == vec.T(vec.Unknown):
		case own && t.Array != (shape[i] == listType), !own && !CanImplicit(t, shape[i]):
			return nil
		case own:
			known = append(known, vec.T(t.Kind))
		}
	}
	elem, err := CommonType(known)
	if err != nil || !elem.HasArray() {
		return nil
	}
	elem.Mod = 0
	want := make([]vec.Type, len(shape))
	for i, t := range shape {
		switch t {
		case listType:
			t = vec.ArrayOf(elem.Kind)
		case elemType:
			t = elem
		}
		want[i] = t
	}
	return want
}

// defineCompatible adds a function of arrays and elements that take their common type; list is
// the place of an array among the arguments.
func defineCompatible(name string, shape []vec.Type, list int, result func(list vec.Type) vec.Type, eval func(*frame) error) {
	choose(name, func(args []vec.Type) *Overload {
		want := compatible(shape, args)
		if want == nil {
			return nil
		}
		return &Overload{Fn: &Function{Name: name, lax: true, eval: eval}, Args: want, Result: result(want[list])}
	})
}

// arrayOf takes the array type that a polymorphic function works on: its first array
// argument's, with literals taken for text elements.
func arrayArg(args []vec.Type, at int) (vec.Type, bool) {
	if at < len(args) && args[at].Array {
		return args[at], true
	}
	return vec.Type{}, false
}

// defineArray adds a function whose first argument is an array; rest are the types of the
// others, elemType standing for the array's element.
func defineArray(name string, rest []vec.Type, result func(list vec.Type) vec.Type, lax bool, eval func(*frame) error) {
	ofArrays[name] = isNameByte(name[0])
	choose(name, func(args []vec.Type) *Overload {
		list, ok := arrayArg(args, 0)
		if !ok || len(args) != len(rest)+1 {
			return nil
		}
		list.Mod = 0
		want := []vec.Type{list}
		for i, t := range rest {
			switch t {
			case elemType:
				t = list.Elem()
			case listType:
				t = list
			}
			if !CanImplicit(args[i+1], t) {
				return nil
			}
			want = append(want, t)
		}
		return &Overload{Fn: &Function{Name: name, lax: lax, eval: eval}, Args: want, Result: result(list)}
	})
}

// elemType and listType stand for the element and the array type in defineArray and compatible.
var (
	elemType = vec.Type{Kind: vec.Void, Mod: 1}
	listType = vec.Type{Kind: vec.Void, Mod: 2}
)

func sameList(t vec.Type) vec.Type { return t }

func always(t vec.Type) func(vec.Type) vec.Type { return func(vec.Type) vec.Type { return t } }

// fillArray is array_fill: one value, so many times.
func fillArray(f *frame) error {
	one := func(v *vec.Vector, i int) (int64, error) {
		if v.IsNull(i) {
			return 0, pgerr.New(pgerr.NullNotAllowed, "dimension array or low bound array cannot be null")
		}
		elem, lo, hi := elements(v, i)
		switch {
		case lo == hi:
			return 0, errNull
		case hi-lo > 1:
			return 0, pgerr.Unsupported("an array of more than one dimension")
		case elem.IsNull(lo):
			return 0, pgerr.New(pgerr.NullNotAllowed, "dimension values cannot be null")
		}
		return elem.I64[lo], nil
	}
	return eachList(f, func(i int, out *vec.Builder) error {
		n, err := one(f.args[1], i)
		if err == errNull {
			return nil
		}
		if err != nil {
			return err
		}
		if len(f.args) == 3 {
			first, err := one(f.args[2], i)
			if err != nil {
				return err
			}
			if first != 1 {
				return pgerr.Unsupported("an array whose first position is not 1")
			}
		}
		if n < 0 || n > maxTextBytes/16 {
			return pgerr.New(pgerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", maxTextBytes/16)
		}
		for range n {
			out.AppendFrom(f.args[0], i)
		}
		return nil
	})
}

// elementOfEach takes the element at position k of every list, also of those that are not asked for.
func elementOfEach(f *frame, list *vec.Vector, k int64) {
	out, elems, offs := f.out.I64[:f.n], list.Elem.I64, list.Offs[:f.n+1]
	for i := range out {
		if lo, hi := int64(offs[i]), int64(offs[i+1]); k >= 0 && k < hi-lo {
			out[i] = elems[lo+k]
		} else {
			f.setNull(i)
		}
	}
}

func init() {
	defineArray("[]", types(tInt4), vec.Type.Elem, false, func(f *frame) error {
		list, at := f.args[0], viewOf[int64](f, 1)
		first := int64(1)
		if list.Type.IsVector() {
			first = 0
		}
		if f.out.Type.Payload() == vec.PayloadI64 {
			if at.one && list.Form == vec.Flat && list.Elem.Form == vec.Flat && !list.Elem.HasNulls() {
				elementOfEach(f, list, at.vals[0]-first)
				return nil
			}
			return tryEach(f, func(i int) error {
				elem, lo, hi := elements(list, i)
				k := at.at(i) - first
				if k < 0 || k >= int64(hi-lo) || elem.IsNull(lo+int(k)) {
					return errNull
				}
				v, j := elem.At(lo + int(k))
				f.out.I64[i] = v.I64[j]
				return nil
			})
		}
		b := vec.NewBuilder(f.out.Type)
		next := 0
		each(f, func(i int) {
			for ; next < i; next++ {
				b.AppendNull()
			}
			next++
			elem, lo, hi := elements(list, i)
			if k := at.at(i) - first; k >= 0 && k < int64(hi-lo) {
				b.AppendFrom(elem, lo+int(k))
				return
			}
			b.AppendNull()
		})
		for ; next < f.n; next++ {
			b.AppendNull()
		}
		*f.out = *b.V
		return nil
	})
	defineArray("[:]", types(tInt4, tInt4), sameList, true, func(f *frame) error {
		first, last := viewOf[int64](f, 1), viewOf[int64](f, 2)
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].IsNull(i) || f.args[1].IsNull(i) || f.args[2].IsNull(i) {
				return errNull
			}
			elem, lo, hi := elements(f.args[0], i)
			for k := max(first.at(i), 1); k <= min(last.at(i), int64(hi-lo)); k++ {
				out.AppendFrom(elem, lo+int(k)-1)
			}
			return nil
		})
	})
	size := func(f *frame) error {
		return tryEach(f, func(i int) error {
			_, lo, hi := elements(f.args[0], i)
			f.out.I64[i] = int64(hi - lo)
			return nil
		})
	}
	defineArray("cardinality", nil, always(tInt4), false, size)
	dimension := func(value func(first, n int64) int64) func(*frame) error {
		return func(f *frame) error {
			d := viewOf[int64](f, 1)
			return tryEach(f, func(i int) error {
				_, lo, hi := elements(f.args[0], i)
				if d.at(i) != 1 || lo == hi {
					return errNull
				}
				first := int64(1)
				if f.args[0].Type.IsVector() {
					first = 0
				}
				f.out.I64[i] = value(first, int64(hi-lo))
				return nil
			})
		}
	}
	defineArray("array_length", types(tInt4), always(tInt4), false, dimension(func(_, n int64) int64 { return n }))
	defineArray("array_upper", types(tInt4), always(tInt4), false, dimension(func(first, n int64) int64 { return first + n - 1 }))
	defineArray("array_lower", types(tInt4), always(tInt4), false, dimension(func(first, _ int64) int64 { return first }))
	defineArray("array_ndims", nil, always(tInt4), false, func(f *frame) error {
		return tryEach(f, func(i int) error {
			if _, lo, hi := elements(f.args[0], i); lo == hi {
				return errNull
			}
			f.out.I64[i] = 1
			return nil
		})
	})
	defineArray("array_dims", nil, always(tText), false, func(f *frame) error {
		first := int64(1)
		if f.args[0].Type.IsVector() {
			first = 0
		}
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			_, lo, hi := elements(f.args[0], i)
			if lo == hi {
				return dst, errNull
			}
			dst = append(strconv.AppendInt(append(dst, '['), first, 10), ':')
			return append(strconv.AppendInt(dst, first+int64(hi-lo)-1, 10), ']'), nil
		})
	})
	cat := func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			for _, v := range f.args {
				appendElements(out, v, i)
			}
			return nil
		})
	}
	defineCompatible("array_append", types(listType, elemType), 0, sameList, cat)
	defineCompatible("array_prepend", types(elemType, listType), 1, sameList, cat)
	defineCompatible("array_cat", types(listType, listType), 0, sameList, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].IsNull(i) && f.args[1].IsNull(i) {
				return errNull
			}
			appendElements(out, f.args[0], i)
			appendElements(out, f.args[1], i)
			return nil
		})
	})
	defineCompatible("array_remove", types(listType, elemType), 0, sameList, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].IsNull(i) {
				return errNull
			}
			elem, lo, hi := elements(f.args[0], i)
			for ; lo < hi; lo++ {
				if !vec.Equal(elem, lo, f.args[1], i) {
					out.AppendFrom(elem, lo)
				}
			}
			return nil
		})
	})
	position := func(f *frame) error {
		return tryEach(f, func(i int) error {
			if f.args[0].IsNull(i) {
				return errNull
			}
			elem, lo, hi := elements(f.args[0], i)
			from := lo
			if len(f.args) == 3 {
				if f.args[2].IsNull(i) {
					return pgerr.New(pgerr.NullNotAllowed, "initial position must not be null")
				}
				v, at := f.args[2].At(i)
				from += int(max(v.I64[at]-1, 0))
			}
			for k := from; k < hi; k++ {
				if vec.Equal(elem, k, f.args[1], i) {
					f.out.I64[i] = int64(k-lo) + 1
					return nil
				}
			}
			return errNull
		})
	}
	defineCompatible("array_position", types(listType, elemType), 0, always(tInt4), position)
	defineCompatible("array_position", types(listType, elemType, tInt4), 0, always(tInt4), position)
	defineCompatible("array_positions", types(listType, elemType), 0, always(vec.ArrayOf(vec.Int4)), func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].IsNull(i) {
				return errNull
			}
			elem, lo, hi := elements(f.args[0], i)
			for k := lo; k < hi; k++ {
				if vec.Equal(elem, k, f.args[1], i) {
					out.V.I64 = append(out.V.I64, int64(k-lo)+1)
				}
			}
			return nil
		})
	})
	defineCompatible("array_replace", types(listType, elemType, elemType), 0, sameList, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].IsNull(i) {
				return errNull
			}
			elem, lo, hi := elements(f.args[0], i)
			for ; lo < hi; lo++ {
				if vec.Equal(elem, lo, f.args[1], i) {
					out.AppendFrom(f.args[2], i)
				} else {
					out.AppendFrom(elem, lo)
				}
			}
			return nil
		})
	})
	defineArray("array_sort", nil, sameList, false, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			elem, lo, hi := elements(f.args[0], i)
			order := make([]int, 0, hi-lo)
			for ; lo < hi; lo++ {
				order = append(order, lo)
			}
			slices.SortStableFunc(order, func(a, b int) int {
				switch an, bn := elem.IsNull(a), elem.IsNull(b); {
				case an && bn:
					return 0
				case an:
					return 1
				case bn:
					return -1
				}
				return vec.Compare(elem, a, elem, b)
			})
			for _, k := range order {
				out.AppendFrom(elem, k)
			}
			return nil
		})
	})
	choose("array_fill", func(args []vec.Type) *Overload {
		ints := vec.ArrayOf(vec.Int4)
		if len(args) < 2 || len(args) > 3 || !args[0].HasArray() || args[0].Kind == vec.Unknown || !CanImplicit(args[1], ints) ||
			len(args) == 3 && !CanImplicit(args[2], ints) {
			return nil
		}
		want := types(args[0], ints, ints)[:len(args)]
		return &Overload{Fn: &Function{Name: "array_fill", lax: true, eval: fillArray}, Args: want, Result: vec.ArrayOf(args[0].Kind)}
	})
	defineArray("array_distinct", nil, sameList, false, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			elem, lo, hi := elements(f.args[0], i)
			seen := map[string]bool{}
			for ; lo < hi; lo++ {
				key := string(vec.AppendKey(nil, elem, lo))
				if !seen[key] {
					seen[key] = true
					out.AppendFrom(elem, lo)
				}
			}
			return nil
		})
	})
	has := func(v *vec.Vector, i int, x *vec.Vector, j int) bool {
		elem, lo, hi := elements(v, i)
		for ; lo < hi; lo++ {
			if !x.IsNull(j) && vec.Equal(elem, lo, x, j) {
				return true
			}
		}
		return false
	}
	defineArray("array_contains", types(elemType), always(tBool), false, func(f *frame) error {
		each(f, func(i int) { f.out.Bools[i] = has(f.args[0], i, f.args[1], i) })
		return nil
	})
	// every: all elements of the second are in the first; any: one is.
	compare := func(first, second int, all bool) func(*frame) error {
		return func(f *frame) error {
			each(f, func(i int) {
				elem, lo, hi := elements(f.args[second], i)
				ok := all
				for ; lo < hi; lo++ {
					if has(f.args[first], i, elem, lo) != all {
						ok = !all
						break
					}
				}
				f.out.Bools[i] = ok
			})
			return nil
		}
	}
	defineArray("@>", types(listType), always(tBool), false, compare(0, 1, true))
	defineArray("<@", types(listType), always(tBool), false, compare(1, 0, true))
	defineArray("&&", types(listType), always(tBool), false, compare(0, 1, false))
	defineArray("array_has_any", types(listType), always(tBool), false, compare(0, 1, false))
	join := func(f *frame) error {
		z := zoneOf(f.ctx)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			if f.args[0].IsNull(i) || f.args[1].IsNull(i) {
				return dst, errNull
			}
			elem, lo, hi := elements(f.args[0], i)
			first := true
			for ; lo < hi; lo++ {
				null := elem.IsNull(lo)
				if null && (len(f.args) < 3 || f.args[2].IsNull(i)) {
					continue
				}
				if !first {
					dst = appendText(dst, f.args[1], i, &z)
				}
				first = false
				if null {
					dst = appendText(dst, f.args[2], i, &z)
				} else {
					dst = appendText(dst, elem, lo, &z)
				}
			}
			return dst, nil
		})
	}
	defineArray("array_to_string", types(tText), always(tText), true, join)
	defineArray("array_to_string", types(tText, tText), always(tText), true, join)
	split := func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			if f.args[0].IsNull(i) {
				return errNull
			}
			v, j := f.args[0].At(i)
			s := v.Str.Str(j)
			null, hasNull := "", len(f.args) > 2 && !f.args[2].IsNull(i)
			if hasNull {
				v, j := f.args[2].At(i)
				null = v.Str.Str(j)
			}
			add := func(part string) {
				if hasNull && part == null {
					out.AppendNull()
					return
				}
				out.V.Str.AppendString(part)
			}
			if s == "" {
				return nil
			}
			if f.args[1].IsNull(i) {
				for _, r := range s {
					add(string(r))
				}
				return nil
			}
			d, k := f.args[1].At(i)
			for _, part := range splitText(s, d.Str.Str(k)) {
				add(part)
			}
			return nil
		})
	}
	define("string_to_array", tTexts, types(tText, tText), split).lax = true
	define("string_to_array", tTexts, types(tText, tText, tText), split).lax = true
	defineArray("trim_array", types(tInt4), sameList, false, func(f *frame) error {
		n := viewOf[int64](f, 1)
		return eachList(f, func(i int, out *vec.Builder) error {
			elem, lo, hi := elements(f.args[0], i)
			if n.at(i) < 0 || n.at(i) > int64(hi-lo) {
				return pgerr.New("2202E", "number of elements to trim must be between 0 and %d", hi-lo)
			}
			for ; lo < hi-int(n.at(i)); lo++ {
				out.AppendFrom(elem, lo)
			}
			return nil
		})
	})
}
