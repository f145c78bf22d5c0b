package expr

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/prickledb/prickle/storage/vec"
)

// Function computes values. A strict one is null where an argument is null and does not
// see such rows.
type Function struct {
	Name     string
	Volatile bool // differs from row to row: random()
	Session  bool // depends on the session: its time, its user, its catalog
	lax      bool // sees nulls
	dense    bool // cannot fail and is cheap: computes every row, counted or not
	repeats  bool // gives parts of texts, which are likely to be the same for many rows
	eval     func(*frame) error
	// quick computes all n rows, counted or not, where the arguments have a form for which there is
	// a faster way; nil says that they have not, or that it came to nothing, and eval is asked.
	quick func(args []*vec.Vector, t vec.Type, n int) *vec.Vector
}

// Strict says whether the function is NULL where an argument is.
func (fn *Function) Strict() bool { return !fn.lax }

// frame is one evaluation of a function: what it is given and where it writes.
type frame struct {
	ctx  *Context
	n    int           // values of out
	rows []uint32      // rows to compute, ascending; nil means all of n
	args []*vec.Vector // any form
	out  *vec.Vector   // flat; fixed-width payloads have n zeroes, the others are empty
	// coded says that texts may come as a dictionary, see eachCoded.
	coded bool
}

// argText is the text of an argument in a row.
func (f *frame) argText(k, i int) []byte {
	v, at := f.args[k].At(i)
	return v.Str.At(at)
}

// argBool is a boolean argument that may be left out.
func (f *frame) argBool(k, i int, otherwise bool) bool {
	if k >= len(f.args) {
		return otherwise
	}
	v, at := f.args[k].At(i)
	return v.Bools[at]
}

// setNull marks a row of the result as null.
func (f *frame) setNull(i int) {
	f.out.Nulls = f.out.Nulls.Grow(f.n)
	f.out.Nulls.Set(i)
}

// NewCall applies an overload to arguments of the types that it asks for.
func NewCall(o *Overload, args []Expr) Expr {
	varying := 0
	for _, a := range args {
		if !IsConstant(a) {
			varying++
		}
	}
	return &Call{Overload: o, Args: args, static: varying <= 1 && !o.Fn.Volatile}
}

// Eval implements Expr.
func (e *Call) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	if e.Overload.Fn.Session || e.Overload.Fn.Volatile {
		ctx.ask()
	}
	var few [3]*vec.Vector
	args := few[:0]
	for _, a := range e.Args {
		v, err := a.Eval(ctx, b)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	var cache *dictCache
	if e.static {
		cache = &e.cache
	}
	return apply(ctx, e.Overload.Fn, args, e.Overload.Result, b, cache)
}

// Eval implements Expr.
func (e *Cast) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	v, err := e.E.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	if e.fn == nil { // the same payload under another name
		return relabel(v, e.To), nil
	}
	return apply(ctx, e.fn, []*vec.Vector{v}, e.To, b, &e.cache)
}

// relabel is v with another type of the same payload. The values are shared.
func relabel(v *vec.Vector, t vec.Type) *vec.Vector {
	if v.Type == t {
		return v
	}
	out := *v
	out.Type = t
	if v.Form == vec.Dict {
		// The dictionary keeps its address, by which it is known.
		return &out
	}
	return &out
}

// apply settles constants, dictionaries and nulls, and calls the function for the rest.
func apply(ctx *Context, fn *Function, args []*vec.Vector, t vec.Type, b *vec.Batch, cache *dictCache) (*vec.Vector, error) {
	allConst, dict, varying := true, -1, 0
	for i, a := range args {
		if a.Form != vec.Const {
			allConst = false
			varying++
			if a.Form == vec.Dict {
				dict = i
			}
		} else if !fn.lax && a.Nulls.Get(0) {
			return vec.NullConst(t), nil
		}
	}
	switch {
	case allConst && !fn.Volatile:
		if b.Live() == 0 {
			return vec.NullConst(t), nil // nothing may fail where nothing counts
		}
		out, err := applyFlat(ctx, fn, args, t, 1, nil)
		if err != nil {
			return nil, err
		}
		out.Form = vec.Const
		return out, nil
	case varying == 1 && dict >= 0 && !fn.Volatile:
		if out := applyDict(ctx, fn, args, dict, t, b, cache); out != nil {
			return out, nil
		}
	}
	return fn.compute(&frame{ctx: ctx, n: b.Rows, rows: b.Sel, args: args, coded: fn.repeats}, t)
}

// applyFlat computes rows of flat, constant and dictionary arguments one by one. The answer is flat.
func applyFlat(ctx *Context, fn *Function, args []*vec.Vector, t vec.Type, n int, sel []uint32) (*vec.Vector, error) {
	return fn.compute(&frame{ctx: ctx, n: n, rows: sel, args: args}, t)
}

// compute is the values of a frame that has no out yet.
func (fn *Function) compute(f *frame, t vec.Type) (*vec.Vector, error) {
	if fn.quick != nil {
		if out := fn.quick(f.args, t, f.n); out != nil {
			out.Nulls = nullsOf(f.args, f.n)
			return out, nil
		}
	}
	f.out = makeFlat(t, f.n)
	if !fn.lax {
		f.out.Nulls = nullsOf(f.args, f.n)
		if len(f.out.Nulls) > 0 && !fn.dense {
			f.rows = without(f.rows, f.out.Nulls, f.n)
		}
	}
	if fn.dense {
		f.rows = nil
	}
	if err := fn.eval(f); err != nil {
		return nil, err
	}
	return f.out, nil
}

// makeFlat is a flat vector with n zero values; text and arrays start empty.
func makeFlat(t vec.Type, n int) *vec.Vector {
	v := &vec.Vector{Type: t}
	switch t.Payload() {
	case vec.PayloadBools:
		v.Bools = make([]bool, n)
	case vec.PayloadI64:
		v.I64 = make([]int64, n)
	case vec.PayloadF64:
		v.F64 = make([]float64, n)
	case vec.PayloadDec:
		v.Dec = make([]vec.Decimal, n)
	case vec.PayloadIvl:
		v.Ivl = make([]vec.IntervalValue, n)
	case vec.PayloadUUIDs:
		v.UUIDs = make([]vec.UUIDValue, n)
	case vec.PayloadStr:
		v.Str.Offs = append(make([]uint32, 0, n+1), 0)
	case vec.PayloadList:
		v.Offs = append(make([]uint32, 0, n+1), 0)
		v.Elem = &vec.Vector{Type: t.Elem()}
	}
	return v
}

// nullsOf is the rows where one of the vectors is null, in memory of its own; empty if
// there are none. No constant is null.
func nullsOf(args []*vec.Vector, n int) vec.Bitmap {
	var out vec.Bitmap
	for _, a := range args {
		if a.Form == vec.Const || !a.HasNulls() {
			continue
		}
		if out == nil {
			out = vec.NewBitmap(n)
		}
		for w := range out {
			if w < len(a.Nulls) {
				out[w] |= a.Nulls[w]
			}
		}
		if a.Form == vec.Dict && a.Dict.Nulls.Any() {
			for i, c := range a.Codes[:n] {
				if a.Dict.Nulls.Get(int(c)) {
					out.Set(i)
				}
			}
		}
	}
	return out
}

// without is the rows of sel (nil: all of n) that are not in nulls.
func without(sel []uint32, nulls vec.Bitmap, n int) []uint32 {
	if sel == nil {
		out := make([]uint32, 0, n)
		for i := range n {
			if !nulls.Get(i) {
				out = append(out, uint32(i))
			}
		}
		return out
	}
	out := make([]uint32, 0, len(sel))
	for _, i := range sel {
		if !nulls.Get(int(i)) {
			out = append(out, i)
		}
	}
	return out
}

// dictCache keeps, for a few dictionaries, what a function gives for their entries. It is
// found by the dictionary's address, and needs no lock: a slot is replaced as a whole.
type dictCache struct {
	slots [8]atomic.Pointer[dictEntry]
}

// dictEntry is one dictionary's answer for one statement.
type dictEntry struct {
	dict *vec.Vector
	ctx  *Context     // parameters and settings are part of what was asked
	seen atomic.Int64 // rows that were answered one by one so far

	mu     sync.Mutex
	done   bool
	failed bool        // an entry fails; rows must be asked one by one
	out    *vec.Vector // per entry; for a dictionary result, the distinct values
	codes  []uint32    // per entry its position in out; nil if that is the same
}

func (c *dictCache) entry(ctx *Context, dict *vec.Vector) *dictEntry {
	slot := &c.slots[(uintptr(unsafe.Pointer(dict))>>6^uintptr(unsafe.Pointer(dict))>>12)&7]
	if e := slot.Load(); e != nil && e.dict == dict && e.ctx == ctx {
		return e
	}
	e := &dictEntry{dict: dict, ctx: ctx}
	slot.Store(e)
	return e
}

// applyDict answers for the dictionary's entries and looks rows up by code. It answers nil
// when rows should be computed one by one: the dictionary is far larger than the rows that
// were seen, or an entry that no row may use fails.
func applyDict(ctx *Context, fn *Function, args []*vec.Vector, at int, t vec.Type, b *vec.Batch, cache *dictCache) *vec.Vector {
	v := args[at]
	size := v.Dict.Len()
	if size == 0 {
		return nil
	}
	var e *dictEntry
	if cache != nil {
		e = cache.entry(ctx, v.Dict)
		if seen := e.seen.Add(int64(b.Live())); seen < int64(size)/4 {
			return nil
		}
	} else {
		if b.Live() < size {
			return nil
		}
		e = &dictEntry{dict: v.Dict, ctx: ctx}
	}
	e.fill(fn, args, at, t, size)
	if e.failed {
		return nil
	}
	return e.lookup(v, t, b.Rows, fn.lax)
}

// fill computes the entry once.
func (e *dictEntry) fill(fn *Function, args []*vec.Vector, at int, t vec.Type, size int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done {
		return
	}
	e.done = true
	entries := append([]*vec.Vector{}, args...)
	entries[at] = relabel(e.dict, args[at].Type)
	n := size
	if fn.lax {
		// One entry more stands for the rows that are null.
		b := vec.NewBuilder(args[at].Type)
		for i := range size {
			b.AppendFrom(e.dict, i)
		}
		b.AppendNull()
		entries[at], n = b.V, size+1
	}
	out, err := applyFlat(e.ctx, fn, entries, t, n, nil)
	if err != nil {
		e.failed = true
		return
	}
	e.out = out
	if t.Payload() == vec.PayloadStr {
		e.unique()
	}
}

// unique drops repeated values of out, so that the codes of a result tell its values apart.
func (e *dictEntry) unique() {
	n := e.out.Len()
	found := make(map[string]uint32, n)
	codes := make([]uint32, n)
	b := vec.NewBuilder(e.out.Type)
	null := -1
	for i := range n {
		if e.out.Nulls.Get(i) {
			if null < 0 {
				null = b.V.Len()
				b.AppendNull()
			}
			codes[i] = uint32(null)
			continue
		}
		s := e.out.Str.Str(i)
		c, ok := found[s]
		if !ok {
			c = uint32(b.V.Len())
			found[s] = c
			b.V.Str.AppendString(s)
		}
		codes[i] = c
	}
	if b.V.Len() < n {
		e.out, e.codes = b.V, codes
	}
}

// fewEntries is how many rows there are at least for each entry of a dictionary of integers that
// stays one: rows are grouped by its codes, and what is computed of it is computed once.
const fewEntries = 64

// lookup is the answer for the rows of v.
func (e *dictEntry) lookup(v *vec.Vector, t vec.Type, n int, lax bool) *vec.Vector {
	codes := v.Codes[:n]
	nulls := v.Nulls
	if lax && v.Nulls.Any() {
		last := uint32(e.dict.Len())
		own := append([]uint32{}, codes...)
		for i := range own {
			if v.Nulls.Get(i) {
				own[i] = last
			}
		}
		codes, nulls = own, nil
	}
	if t.Payload() == vec.PayloadStr {
		if e.codes != nil {
			own := make([]uint32, n)
			for i, c := range codes {
				own[i] = e.codes[c]
			}
			codes = own
		}
		return &vec.Vector{Type: t, Form: vec.Dict, Nulls: nulls, Codes: codes, Dict: e.out}
	}
	if t.Payload() == vec.PayloadI64 && e.out.Len() <= n/fewEntries {
		return &vec.Vector{Type: t, Form: vec.Dict, Nulls: nulls, Codes: codes, Dict: e.out}
	}
	out := &vec.Vector{Type: t}
	switch t.Payload() {
	case vec.PayloadBools:
		out.Bools = gather(e.out.Bools, codes)
	case vec.PayloadI64:
		out.I64 = gather(e.out.I64, codes)
	case vec.PayloadF64:
		out.F64 = gather(e.out.F64, codes)
	case vec.PayloadDec:
		if e.out.Scaled() {
			out.I64, out.Scale = gather(e.out.I64, codes), e.out.Scale
		} else {
			out.Dec = gather(e.out.Dec, codes)
		}
	case vec.PayloadIvl:
		out.Ivl = gather(e.out.Ivl, codes)
	case vec.PayloadUUIDs:
		out.UUIDs = gather(e.out.UUIDs, codes)
	default:
		return &vec.Vector{Type: t, Form: vec.Dict, Nulls: nulls, Codes: codes, Dict: e.out}
	}
	out.Nulls = nulls
	if e.out.Nulls.Any() {
		out.Nulls = vec.NewBitmap(n)
		copy(out.Nulls, nulls)
		for i, c := range codes {
			if e.out.Nulls.Get(int(c)) {
				out.Nulls.Set(i)
			}
		}
	}
	return out
}

func gather[T any](src []T, codes []uint32) []T {
	out := make([]T, len(codes))
	for i, c := range codes {
		out[i] = src[c]
	}
	return out
}
