package expr

import (
	"bytes"

	"github.com/prickledb/prickle/storage/vec"
)

// comparison is one of the six operators.
type comparison uint8

const (
	eq comparison = iota
	ne
	lt
	le
	gt
	ge
)

var comparisons = map[string]comparison{"=": eq, "<>": ne, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}

func init() {
	for name, op := range comparisons {
		shown := name
		if name == "!=" {
			shown = "<>"
		}
		choose(name, func(args []vec.Type) *Overload { return chooseComparison(shown, op, args) })
	}
}

// operand is the type in which two values meet, for comparisons; false if they never do.
func operand(a, b vec.Type) (vec.Type, bool) {
	au, bu := a.Kind == vec.Unknown && !a.Array, b.Kind == vec.Unknown && !b.Array
	switch {
	case au && bu:
		return tText, true
	case au:
		return b, true
	case bu:
		return a, true
	case a.Array || b.Array:
		return a, a.Array == b.Array && (a.Kind == b.Kind || a.Elem().Kind == b.Elem().Kind)
	case a.Kind == b.Kind:
		return vec.T(a.Kind), true
	case a.IsNumber() && b.IsNumber():
		if rank(a.Kind) >= rank(vec.Float4) || rank(b.Kind) >= rank(vec.Float4) {
			return tFloat8, true
		}
		return vec.T(max(a.Kind, b.Kind)), true
	case a.Kind == vec.Bpchar && b.Kind == vec.Varchar, a.Kind == vec.Varchar && b.Kind == vec.Bpchar:
		return vec.T(vec.Bpchar), true
	case a.IsText() && b.IsText():
		return tText, true
	case a.IsOID() && b.IsOID():
		return vec.T(vec.OID), true
	case CanImplicit(a, b):
		return vec.T(b.Kind), true
	case CanImplicit(b, a):
		return vec.T(a.Kind), true
	}
	return a, false
}

func chooseComparison(name string, op comparison, args []vec.Type) *Overload {
	if len(args) != 2 {
		return nil
	}
	t, ok := operand(args[0], args[1])
	if !ok || t.Kind == vec.Record || t.Kind == vec.Void {
		return nil
	}
	want := []vec.Type{t, t}
	for i, a := range args {
		// Integers of different width have the same payload: no conversion is needed.
		if t.IsInt() && a.IsInt() || a.Kind == t.Kind && a.Array == t.Array || t.Kind == vec.Float8 && a.Kind == vec.Float4 {
			want[i] = a
		}
	}
	return &Overload{Fn: compareFunctions[op][t.Payload()].named(name), Args: want, Result: tBool}
}

// named is the function under the name by which it was called.
func (fn *Function) named(name string) *Function {
	if fn.Name == name {
		return fn
	}
	c := *fn
	c.Name = name
	return &c
}

var compareFunctions = func() (out [6][vec.PayloadList + 1]*Function) {
	names := [...]string{"=", "<>", "<", "<=", ">", ">="}
	for op := eq; op <= ge; op++ {
		for p := range out[op] {
			fn := &Function{Name: names[op], dense: true}
			switch vec.Payload(p) {
			case vec.PayloadI64:
				fn.eval = func(f *frame) error { compareInts(f, op); return nil }
			case vec.PayloadF64:
				fn.eval = func(f *frame) error { compareFloats(f, op); return nil }
			case vec.PayloadDec:
				fn.dense = false
				fn.eval = func(f *frame) error { compareDecimals(f, op); return nil }
			case vec.PayloadStr:
				fn.dense = false
				fn.eval = func(f *frame) error { compareText(f, op); return nil }
			default:
				fn.dense = false
				fn.eval = func(f *frame) error { compareAny(f, op); return nil }
			}
			out[op][p] = fn
		}
	}
	return out
}()

func compareInts(f *frame, op comparison) {
	dst := f.out.Bools
	if f.args[1].Form == vec.Const {
		compareConst(dst, flat[int64](f, 0), f.args[1].I64[0], op)
		return
	}
	compareBoth(dst, flat[int64](f, 0), flat[int64](f, 1), op)
}

func compareBoth(dst []bool, a, b []int64, op comparison) {
	if op == gt || op == ge {
		a, b, op = b, a, op-2
	}
	a, b = a[:len(dst)], b[:len(dst)]
	switch op {
	case eq:
		for i := range dst {
			dst[i] = a[i] == b[i]
		}
	case ne:
		for i := range dst {
			dst[i] = a[i] != b[i]
		}
	case lt:
		for i := range dst {
			dst[i] = a[i] < b[i]
		}
	case le:
		for i := range dst {
			dst[i] = a[i] <= b[i]
		}
	}
}

func compareConstPortable(dst []bool, a []int64, x int64, op comparison) {
	a = a[:len(dst)]
	switch op {
	case eq:
		for i := range dst {
			dst[i] = a[i] == x
		}
	case ne:
		for i := range dst {
			dst[i] = a[i] != x
		}
	case lt:
		for i := range dst {
			dst[i] = a[i] < x
		}
	case le:
		for i := range dst {
			dst[i] = a[i] <= x
		}
	case gt:
		for i := range dst {
			dst[i] = a[i] > x
		}
	case ge:
		for i := range dst {
			dst[i] = a[i] >= x
		}
	}
}

// compareFloats holds NaN equal to itself and above every number.
func compareFloats(f *frame, op comparison) {
	dst := f.out.Bools
	a, b := flat[float64](f, 0), flat[float64](f, 1)
	if op == gt || op == ge {
		a, b, op = b, a, op-2
	}
	a, b = a[:len(dst)], b[:len(dst)]
	switch op {
	case eq:
		for i := range dst {
			dst[i] = a[i] == b[i] || a[i] != a[i] && b[i] != b[i]
		}
	case ne:
		for i := range dst {
			dst[i] = a[i] != b[i] && (a[i] == a[i] || b[i] == b[i])
		}
	case lt:
		for i := range dst {
			dst[i] = a[i] < b[i] || b[i] != b[i] && a[i] == a[i]
		}
	case le:
		for i := range dst {
			dst[i] = a[i] <= b[i] || b[i] != b[i]
		}
	}
}

func compareText(f *frame, op comparison) {
	a, b := f.args[0], f.args[1]
	if !a.Type.EqualBytes() {
		compareAny(f, op)
		return
	}
	dst := f.out.Bools
	if a.Form == vec.Const && (op == eq || op == ne) {
		a, b = b, a
	}
	if a.Form == vec.Flat && b.Form == vec.Const && (op == eq || op == ne) {
		equalText(f, &a.Str, b.Str.At(0), op == eq)
		return
	}
	if op == eq || op == ne {
		each(f, func(i int) {
			x, j := a.At(i)
			y, k := b.At(i)
			dst[i] = bytes.Equal(x.Str.At(j), y.Str.At(k)) == (op == eq)
		})
		return
	}
	each(f, func(i int) {
		x, j := a.At(i)
		y, k := b.At(i)
		dst[i] = holds(bytes.Compare(x.Str.At(j), y.Str.At(k)), op)
	})
}

// equalText writes where texts are a value, or are not. Whether they are empty takes no look at them.
func equalText(f *frame, texts *vec.Strings, x []byte, equal bool) {
	dst := f.out.Bools
	if len(x) > 0 {
		each(f, func(i int) { dst[i] = bytes.Equal(texts.At(i), x) == equal })
		return
	}
	offs := texts.Offs[:len(dst)+1]
	for i := range dst {
		dst[i] = (offs[i] == offs[i+1]) == equal
	}
}

// compareDecimals compares numbers of 64 bits with one scale as integers, and others one by one.
func compareDecimals(f *frame, op comparison) {
	a, b, ok := scaledPair(f.args, f.n)
	if scale := max(a.scale, b.scale); ok && a.rescale(scale) && b.rescale(scale) {
		switch {
		case b.values == nil:
			compareConst(f.out.Bools, a.values, b.one, op)
		case a.values == nil:
			compareConst(f.out.Bools, b.values, a.one, turned[op])
		default:
			compareBoth(f.out.Bools, a.values, b.values, op)
		}
		return
	}
	compareAny(f, op)
}

// turned is a comparison of what stands on its other side.
var turned = [...]comparison{eq: eq, ne: ne, lt: gt, le: ge, gt: lt, ge: le}

func compareAny(f *frame, op comparison) {
	a, b, dst := f.args[0], f.args[1], f.out.Bools
	each(f, func(i int) { dst[i] = holds(vec.Compare(a, i, b, i), op) })
}

func holds(c int, op comparison) bool {
	switch op {
	case eq:
		return c == 0
	case ne:
		return c != 0
	case lt:
		return c < 0
	case le:
		return c <= 0
	case gt:
		return c > 0
	}
	return c >= 0
}
