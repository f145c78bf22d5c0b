package vec

// BatchRows is the usual number of rows of a batch: large enough to pay for a call,
// small enough that a few columns stay in the second-level cache.
const BatchRows = 8192

// Batch is rows in flight: columns of equal length, and which rows still count.
type Batch struct {
	Rows int       // length of every flat or dictionary column
	Sel  []uint32  // rows that still count, ascending; nil means all
	Cols []*Vector // in the order of the schema
}

// Live is how many rows still count.
func (b *Batch) Live() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return b.Rows
}

// Compact is the batch with its selection applied: only rows that count, flat or
// dictionary columns of that length. A batch without a selection is returned as it is.
func (b *Batch) Compact() *Batch {
	if b.Sel == nil {
		return b
	}
	out := &Batch{Rows: len(b.Sel), Cols: make([]*Vector, len(b.Cols))}
	for i, c := range b.Cols {
		out.Cols[i] = c.Take(b.Sel)
	}
	return out
}

// Take is the vector of the given rows. Constants stay constant, and a dictionary is
// shared with v.
func (v *Vector) Take(rows []uint32) *Vector {
	if v.Form == Const {
		return v
	}
	out := &Vector{Type: v.Type, Form: v.Form}
	if len(v.Nulls) > 0 {
		out.Nulls = NewBitmap(len(rows))
		for i, r := range rows {
			if v.Nulls.Get(int(r)) {
				out.Nulls.Set(i)
			}
		}
	}
	if v.Form == Dict {
		out.Dict = v.Dict
		out.Codes = take(v.Codes, rows)
		return out
	}
	switch v.Type.Payload() {
	case PayloadBools:
		out.Bools = take(v.Bools, rows)
	case PayloadI64:
		out.I64 = take(v.I64, rows)
	case PayloadF64:
		out.F64 = take(v.F64, rows)
	case PayloadDec:
		if v.Scaled() {
			out.I64, out.Scale = take(v.I64, rows), v.Scale
		} else {
			out.Dec = take(v.Dec, rows)
		}
	case PayloadIvl:
		out.Ivl = take(v.Ivl, rows)
	case PayloadUUIDs:
		out.UUIDs = take(v.UUIDs, rows)
	case PayloadStr:
		size := 0
		for _, r := range rows {
			size += int(v.Str.Offs[r+1] - v.Str.Offs[r])
		}
		out.Str = MakeStrings(len(rows), size)
		for _, r := range rows {
			out.Str.Append(v.Str.At(int(r)))
		}
	case PayloadList:
		b := Builder{V: out}
		out.Nulls = nil
		for _, r := range rows {
			b.AppendFrom(v, int(r))
		}
	}
	return out
}

// Slice is the vector of rows [lo, hi), which shares its memory. Constants stay constant.
func (v *Vector) Slice(lo, hi int) *Vector {
	if v.Form == Const {
		return v
	}
	out := &Vector{Type: v.Type, Form: v.Form, Dict: v.Dict}
	if lo == hi {
		return out
	}
	if len(v.Nulls) > 0 {
		out.Nulls = v.Nulls.slice(lo, hi)
	}
	if v.Form == Dict {
		out.Codes = v.Codes[lo:hi:hi]
		return out
	}
	switch v.Type.Payload() {
	case PayloadBools:
		out.Bools = v.Bools[lo:hi:hi]
	case PayloadI64:
		out.I64 = v.I64[lo:hi:hi]
	case PayloadF64:
		out.F64 = v.F64[lo:hi:hi]
	case PayloadDec:
		if v.Scaled() {
			out.I64, out.Scale = v.I64[lo:hi:hi], v.Scale
		} else {
			out.Dec = v.Dec[lo:hi:hi]
		}
	case PayloadIvl:
		out.Ivl = v.Ivl[lo:hi:hi]
	case PayloadUUIDs:
		out.UUIDs = v.UUIDs[lo:hi:hi]
	case PayloadStr:
		from, to := v.Str.Offs[lo], v.Str.Offs[hi]
		out.Str = Strings{Offs: offsets(v.Str.Offs[lo:hi+1], from), Bytes: v.Str.Bytes[from:to:to], ASCII: v.Str.ASCII}
	case PayloadList:
		from, to := v.Offs[lo], v.Offs[hi]
		out.Offs = offsets(v.Offs[lo:hi+1], from)
		if v.Elem != nil {
			out.Elem = v.Elem.Slice(int(from), int(to))
		}
	}
	return out
}

// offsets counts from another one.
func offsets(offs []uint32, from uint32) []uint32 {
	out := make([]uint32, len(offs))
	for i, o := range offs {
		out[i] = o - from
	}
	return out
}

func take[T any](src []T, rows []uint32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = src[r]
	}
	return out
}
