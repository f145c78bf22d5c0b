package expr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/storage/vec"
)

// errNull is what a kernel's element function answers to make the value null.
var errNull = errors.New("null")

// each calls do for every row to compute.
func each(f *frame, do func(i int)) {
	if f.rows != nil {
		for _, r := range f.rows {
			do(int(r))
		}
		return
	}
	for i := range f.n {
		do(i)
	}
}

// tryEach is each, ended by the first error that is not errNull.
func tryEach(f *frame, do func(i int) error) error {
	one := func(i int) error {
		err := do(i)
		if err == errNull {
			f.setNull(i)
			return nil
		}
		return err
	}
	if f.rows != nil {
		for _, r := range f.rows {
			if err := one(int(r)); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range f.n {
		if err := one(i); err != nil {
			return err
		}
	}
	return nil
}

// spareText is how many bytes there is room for before a text is appended: twice as much room at a time as there
// was copies less than append does.
const spareText = 64

// eachText computes a text result: do appends row i's value to dst.
func eachText(f *frame, do func(i int, dst []byte) ([]byte, error)) error {
	if f.coded && f.n >= codedLeast {
		if ok, err := eachCoded(f, do); ok || err != nil {
			return err
		}
	}
	s := &f.out.Str
	next := 0
	one := func(i int) error {
		if cap(s.Bytes)-len(s.Bytes) < spareText {
			s.Bytes = slices.Grow(s.Bytes, max(len(s.Bytes), f.n, spareText))
		}
		end := uint32(len(s.Bytes))
		for ; next < i; next++ {
			s.Offs = append(s.Offs, end)
		}
		out, err := do(i, s.Bytes)
		if err == errNull {
			f.setNull(i)
			out = s.Bytes[:end]
		} else if err != nil {
			return err
		}
		s.Bytes = out
		s.Offs = append(s.Offs, uint32(len(out)))
		next = i + 1
		return nil
	}
	if f.rows != nil {
		for _, r := range f.rows {
			if err := one(int(r)); err != nil {
				return err
			}
		}
	} else {
		for i := range f.n {
			if err := one(i); err != nil {
				return err
			}
		}
	}
	for ; next < f.n; next++ {
		s.Offs = append(s.Offs, uint32(len(s.Bytes)))
	}
	return nil
}

// codedLeast is from how many rows on a dictionary is tried, codedTry how many of them tell whether it is worth
// while: at most half of their values are new.
const (
	codedLeast = 1024
	codedTry   = 256
)

// errManyValues ends eachCoded.
var errManyValues = errors.New("many values")

// eachCoded is eachText with a dictionary as its result: values that came before are found again, most
// of them, and rows are grouped by their codes. It is false, and nothing is done, if the first rows have too many values.
func eachCoded(f *frame, do func(i int, dst []byte) ([]byte, error)) (bool, error) {
	var last [256]uint32 // by some bits of a value: the number of the last one that has them, plus one
	s := vec.MakeStrings(f.n/8, f.n)
	codes := make([]uint32, f.n)
	seen := 0
	err := tryEach(f, func(i int) error {
		if seen++; seen == codedTry && s.Len() > codedTry/2 {
			return errManyValues
		}
		start := len(s.Bytes)
		out, err := do(i, s.Bytes)
		if err != nil {
			return err
		}
		s.Bytes = out
		value := out[start:]
		n := &last[someBits(value)]
		if *n == 0 || !bytes.Equal(s.At(int(*n-1)), value) {
			s.Offs = append(s.Offs, uint32(len(out)))
			*n = uint32(s.Len())
		} else {
			s.Bytes = out[:start]
		}
		codes[i] = *n - 1
		return nil
	})
	if err == errManyValues {
		return false, nil
	}
	if s.Len() == 0 { // of rows that do not count
		s.AppendString("")
	}
	f.out.Form, f.out.Str, f.out.Codes = vec.Dict, vec.Strings{}, codes
	f.out.Dict = &vec.Vector{Type: f.out.Type, Str: s}
	return err == nil, err
}

// someBits tells values apart by their length, and their first and last bytes.
func someBits(value []byte) uint8 {
	x := uint64(len(value))
	if len(value) >= 8 {
		first, last := binary.LittleEndian.Uint64(value), binary.LittleEndian.Uint64(value[len(value)-8:])
		x ^= first ^ bits.RotateLeft64(last, 29)
	} else {
		for _, c := range value {
			x = x<<8 | uint64(c)
		}
	}
	return uint8(x * 0x9E3779B97F4A7C15 >> 56)
}

// eachList computes an array result: do appends row i's elements.
func eachList(f *frame, do func(i int, elems *vec.Builder) error) error {
	elems := &vec.Builder{V: f.out.Elem}
	offs := &f.out.Offs
	next := 0
	fill := func(i int) {
		for ; next < i; next++ {
			*offs = append(*offs, uint32(f.out.Elem.Len()))
		}
	}
	err := tryEach(f, func(i int) error {
		fill(i)
		err := do(i, elems)
		*offs = append(*offs, uint32(f.out.Elem.Len()))
		next = i + 1
		return err
	})
	fill(f.n)
	return err
}

// view reads values of any form.
type view[T any] struct {
	vals  []T
	codes []uint32
	one   bool
}

func (v *view[T]) at(i int) T {
	if v.codes != nil {
		return v.vals[v.codes[i]]
	}
	if v.one {
		return v.vals[0]
	}
	return v.vals[i]
}

// viewOf reads argument k.
func viewOf[T any](f *frame, k int) view[T] {
	v := f.args[k]
	if _, ok := any(*new(T)).(string); ok {
		t := textView(f, v)
		return any(t).(view[T])
	}
	switch v.Form {
	case vec.Const:
		return view[T]{vals: vec.Values[T](v), one: true}
	case vec.Dict:
		return view[T]{vals: vec.Values[T](v.Dict), codes: v.Codes}
	}
	return view[T]{vals: vec.Values[T](v)}
}

// textView reads text. The strings share memory with the vector.
func textView(f *frame, v *vec.Vector) view[string] {
	switch {
	case v.Form == vec.Const:
		return view[string]{vals: []string{v.Str.Str(0)}, one: true}
	case v.Form == vec.Dict && v.Dict.Len() <= f.n:
		out := make([]string, v.Dict.Len())
		for i := range out {
			out[i] = v.Dict.Str.Str(i)
		}
		return view[string]{vals: out, codes: v.Codes}
	}
	out := make([]string, f.n)
	if v.Form == vec.Dict {
		each(f, func(i int) { out[i] = v.Dict.Str.Str(int(v.Codes[i])) })
	} else {
		each(f, func(i int) { out[i] = v.Str.Str(i) })
	}
	return view[string]{vals: out}
}

// flat is argument k as one value a row, for the kernels that are loops over slices.
func flat[T any](f *frame, k int) []T {
	v := f.args[k]
	if v.Form == vec.Flat {
		return vec.Values[T](v)[:f.n]
	}
	out := make([]T, f.n)
	if v.Form == vec.Const {
		x := vec.Values[T](v)[0]
		for i := range out {
			out[i] = x
		}
		return out
	}
	src := vec.Values[T](v.Dict)
	for i, c := range v.Codes[:f.n] {
		out[i] = src[c]
	}
	return out
}

// The adapters make kernels of functions on single values, for what is not worth a loop of
// its own. Those with a dst append a text.

func map0[R any](fn func(*Context) (R, error)) func(*frame) error {
	return func(f *frame) error {
		out := vec.Values[R](f.out)
		return tryEach(f, func(i int) (err error) { out[i], err = fn(f.ctx); return err })
	}
}

func map1[A, R any](fn func(*Context, A) (R, error)) func(*frame) error {
	return func(f *frame) error {
		a, out := viewOf[A](f, 0), vec.Values[R](f.out)
		return tryEach(f, func(i int) (err error) { out[i], err = fn(f.ctx, a.at(i)); return err })
	}
}

func map2[A, B, R any](fn func(*Context, A, B) (R, error)) func(*frame) error {
	return func(f *frame) error {
		a, b, out := viewOf[A](f, 0), viewOf[B](f, 1), vec.Values[R](f.out)
		return tryEach(f, func(i int) (err error) { out[i], err = fn(f.ctx, a.at(i), b.at(i)); return err })
	}
}

func map3[A, B, C, R any](fn func(*Context, A, B, C) (R, error)) func(*frame) error {
	return func(f *frame) error {
		a, b, c, out := viewOf[A](f, 0), viewOf[B](f, 1), viewOf[C](f, 2), vec.Values[R](f.out)
		return tryEach(f, func(i int) (err error) { out[i], err = fn(f.ctx, a.at(i), b.at(i), c.at(i)); return err })
	}
}

func text0(fn func(*Context, []byte) ([]byte, error)) func(*frame) error {
	return func(f *frame) error {
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return fn(f.ctx, dst) })
	}
}

func text1[A any](fn func(*Context, []byte, A) ([]byte, error)) func(*frame) error {
	return func(f *frame) error {
		a := viewOf[A](f, 0)
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return fn(f.ctx, dst, a.at(i)) })
	}
}

func text2[A, B any](fn func(*Context, []byte, A, B) ([]byte, error)) func(*frame) error {
	return func(f *frame) error {
		a, b := viewOf[A](f, 0), viewOf[B](f, 1)
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return fn(f.ctx, dst, a.at(i), b.at(i)) })
	}
}

func text3[A, B, C any](fn func(*Context, []byte, A, B, C) ([]byte, error)) func(*frame) error {
	return func(f *frame) error {
		a, b, c := viewOf[A](f, 0), viewOf[B](f, 1), viewOf[C](f, 2)
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return fn(f.ctx, dst, a.at(i), b.at(i), c.at(i)) })
	}
}

// The registry's shorthand.

var (
	tBool   = vec.T(vec.Bool)
	tInt2   = vec.T(vec.Int2)
	tInt4   = vec.T(vec.Int4)
	tInt8   = vec.T(vec.Int8)
	tFloat4 = vec.T(vec.Float4)
	tFloat8 = vec.T(vec.Float8)
	tNum    = vec.T(vec.Numeric)
	tText   = vec.T(vec.Text)
	tName   = vec.T(vec.Name)
	tBytea  = vec.T(vec.Bytea)
	tDate   = vec.T(vec.Date)
	tTime   = vec.T(vec.Time)
	tTs     = vec.T(vec.Timestamp)
	tTz     = vec.T(vec.TimestampTZ)
	tIvl    = vec.T(vec.Interval)
	tUUID   = vec.T(vec.UUID)
	tJSON   = vec.T(vec.JSONB)
	tTexts  = vec.ArrayOf(vec.Text)
)

func types(t ...vec.Type) []vec.Type { return t }

// define adds a function to the registry.
func define(name string, result vec.Type, args []vec.Type, eval func(*frame) error) *Function {
	fn := &Function{Name: name, eval: eval}
	signatures[name] = append(signatures[name], signature{args: args, result: result, fn: fn})
	return fn
}

// defineVariadic adds a function whose last argument repeats.
func defineVariadic(name string, result vec.Type, args []vec.Type, eval func(*frame) error) *Function {
	fn := &Function{Name: name, eval: eval}
	signatures[name] = append(signatures[name], signature{args: args, variadic: true, result: result, fn: fn})
	return fn
}

// choose adds a function that decides by itself what it fits.
func choose(name string, c chooser) { choosers[name] = append(choosers[name], c) }

func alias(name, of string) {
	signatures[name] = signatures[of]
	choosers[name] = choosers[of]
}
