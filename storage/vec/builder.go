package vec

// Builder appends values to a flat vector. V must be flat.
type Builder struct{ V *Vector }

// NewBuilder builds a vector of a type.
func NewBuilder(t Type) *Builder { return &Builder{V: &Vector{Type: t}} }

// appendZero adds the zero value of the type, and no null mark.
func (v *Vector) appendZero() {
	switch v.Type.Payload() {
	case PayloadBools:
		v.Bools = append(v.Bools, false)
	case PayloadI64:
		v.I64 = append(v.I64, 0)
	case PayloadF64:
		v.F64 = append(v.F64, 0)
	case PayloadDec:
		if len(v.I64) > 0 {
			v.I64 = append(v.I64, 0)
		} else {
			v.Dec = append(v.Dec, Decimal{})
		}
	case PayloadStr:
		v.Str.Append(nil)
	case PayloadIvl:
		v.Ivl = append(v.Ivl, IntervalValue{})
	case PayloadUUIDs:
		v.UUIDs = append(v.UUIDs, UUIDValue{})
	case PayloadList:
		if v.Elem == nil {
			v.Elem = &Vector{Type: v.Type.Elem()}
		}
		if len(v.Offs) == 0 {
			v.Offs = append(v.Offs, 0)
		}
		v.Offs = append(v.Offs, uint32(v.Elem.Len()))
	}
}

// AppendNull adds a null.
func (b *Builder) AppendNull() {
	n := b.V.Len()
	b.V.appendZero()
	b.V.Nulls = b.V.Nulls.Grow(n + 1)
	b.V.Nulls.Set(n)
}

// AppendRows copies the values of rows [lo, hi) of src, as AppendFrom does.
func (b *Builder) AppendRows(src *Vector, lo, hi int) {
	v := b.V
	if src.Form != Flat || src.Nulls.Any() {
		for row := lo; row < hi; row++ {
			b.AppendFrom(src, row)
		}
		return
	}
	switch v.Type.Payload() {
	case PayloadBools:
		v.Bools = append(v.Bools, src.Bools[lo:hi]...)
	case PayloadI64:
		v.I64 = append(v.I64, src.I64[lo:hi]...)
	case PayloadF64:
		v.F64 = append(v.F64, src.F64[lo:hi]...)
	case PayloadDec:
		if len(src.I64) > 0 {
			v.AppendScaled(src.Scale, src.I64[lo:hi]...)
		} else {
			v.widen()
			v.Dec = append(v.Dec, src.Dec[lo:hi]...)
		}
	case PayloadIvl:
		v.Ivl = append(v.Ivl, src.Ivl[lo:hi]...)
	case PayloadUUIDs:
		v.UUIDs = append(v.UUIDs, src.UUIDs[lo:hi]...)
	case PayloadStr:
		if lo < hi {
			v.Str.appendRange(&src.Str, lo, hi)
		}
	default:
		for row := lo; row < hi; row++ {
			b.AppendFrom(src, row)
		}
	}
}

// AppendFrom copies the value of a row of src, which has the same payload, in any form.
func (b *Builder) AppendFrom(src *Vector, row int) {
	if src.IsNull(row) {
		b.AppendNull()
		return
	}
	s, i := src.At(row)
	v := b.V
	switch v.Type.Payload() {
	case PayloadBools:
		v.Bools = append(v.Bools, s.Bools[i])
	case PayloadI64:
		v.I64 = append(v.I64, s.I64[i])
	case PayloadF64:
		v.F64 = append(v.F64, s.F64[i])
	case PayloadDec:
		if len(s.I64) > 0 && v.joins(s.Scale) {
			v.I64, v.Scale = append(v.I64, s.I64[i]), s.Scale
		} else {
			v.widen()
			v.Dec = append(v.Dec, s.Decimal(i))
		}
	case PayloadStr:
		v.Str.Append(s.Str.At(i))
	case PayloadIvl:
		v.Ivl = append(v.Ivl, s.Ivl[i])
	case PayloadUUIDs:
		v.UUIDs = append(v.UUIDs, s.UUIDs[i])
	case PayloadList:
		if v.Elem == nil {
			v.Elem = &Vector{Type: v.Type.Elem()}
		}
		if len(v.Offs) == 0 {
			v.Offs = append(v.Offs, 0)
		}
		e := Builder{V: v.Elem}
		for j := s.Offs[i]; j < s.Offs[i+1]; j++ {
			e.AppendFrom(s.Elem, int(j))
		}
		v.Offs = append(v.Offs, uint32(v.Elem.Len()))
	}
}
