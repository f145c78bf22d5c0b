package vec

// Form is how a vector's values are laid out.
type Form uint8

// The forms.
const (
	Flat  Form = iota // one value a row
	Const             // one value, at position 0, for all rows
	Dict              // Codes[i] is the row's position in Dict, a flat vector
)

// UUIDValue is a uuid's 16 bytes, in the order in which it is written.
type UUIDValue = [16]byte

// IntervalValue is an SQL interval: its three fields do not carry into each other.
type IntervalValue struct {
	Months, Days int32
	Micros       int64
}

// Vector is one column of a batch.
//
// A flat vector has exactly one payload in use, chosen by Type.Payload. A constant one
// has a payload of one value, and is null throughout when bit 0 of Nulls is set. A
// dictionary vector has Codes and Dict and no payload of its own; a null row is marked
// in Nulls and has code 0. Dict may hold nulls as well, and is shared between batches:
// nobody writes to it. Of uuids, Dict holds each once; other values may repeat.
type Vector struct {
	Type  Type
	Form  Form
	Nulls Bitmap

	Bools []bool
	I64   []int64
	F64   []float64
	Dec   []Decimal // or I64, see Scaled
	Scale uint8     // of the values in I64, if Scaled
	Str   Strings
	Ivl   []IntervalValue
	UUIDs []UUIDValue

	Offs []uint32 // arrays: elements of row i are Elem[Offs[i]:Offs[i+1]]
	Elem *Vector  // arrays: all elements, flat

	Codes []uint32 // Form == Dict
	Dict  *Vector  // Form == Dict
}

// Len is the number of values that the vector holds: 1 for a constant.
func (v *Vector) Len() int {
	if v.Form == Dict {
		return len(v.Codes)
	}
	switch v.Type.Payload() {
	case PayloadBools:
		return len(v.Bools)
	case PayloadI64:
		return len(v.I64)
	case PayloadF64:
		return len(v.F64)
	case PayloadDec:
		return max(len(v.Dec), len(v.I64))
	case PayloadStr:
		return v.Str.Len()
	case PayloadIvl:
		return len(v.Ivl)
	case PayloadUUIDs:
		return len(v.UUIDs)
	case PayloadList:
		return max(len(v.Offs)-1, 0)
	}
	return 0
}

// At resolves a row to the vector and position that hold its value.
func (v *Vector) At(row int) (*Vector, int) {
	switch v.Form {
	case Const:
		return v, 0
	case Dict:
		return v.Dict, int(v.Codes[row])
	}
	return v, row
}

// IsNull says whether a row is null.
func (v *Vector) IsNull(row int) bool {
	switch v.Form {
	case Const:
		return v.Nulls.Get(0)
	case Dict:
		return v.Nulls.Get(row) || v.Dict.Nulls.Get(int(v.Codes[row]))
	}
	return v.Nulls.Get(row)
}

// HasNulls says whether any row may be null.
func (v *Vector) HasNulls() bool {
	return v.Nulls.Any() || v.Form == Dict && v.Dict.Nulls.Any()
}

// NullConst is a constant null of a type.
func NullConst(t Type) *Vector {
	v := &Vector{Type: t}
	v.appendZero()
	v.Form = Const
	v.Nulls = Bitmap{1}
	return v
}

// Flatten is the vector with rows values in flat form. A flat vector is returned as it
// is; otherwise the values are copied.
func (v *Vector) Flatten(rows int) *Vector {
	if v.Form == Flat {
		return v
	}
	if p := v.Type.Payload(); v.Form == Dict && (p == PayloadUUIDs || p == PayloadStr) && !v.HasNulls() {
		out := v.Dict.Take(v.Codes[:rows])
		out.Type = v.Type
		return out
	}
	out := &Vector{Type: v.Type}
	b := Builder{V: out}
	for i := range rows {
		b.AppendFrom(v, i)
	}
	return out
}

// Bytes is about how much memory the vector takes, its dictionary not counted: that is
// shared.
func (v *Vector) Bytes() int64 {
	if v == nil {
		return 0
	}
	return int64(cap(v.Bools)+8*cap(v.I64)+8*cap(v.F64)+24*cap(v.Dec)+16*cap(v.Ivl)+16*cap(v.UUIDs)+
		4*cap(v.Str.Offs)+cap(v.Str.Bytes)+4*cap(v.Offs)+8*cap(v.Nulls)+4*cap(v.Codes)) + v.Elem.Bytes()
}

// Values is the fixed-width values of a flat or constant vector, which are of type T. Those of a
// scaled one are a copy.
func Values[T any](v *Vector) []T {
	var p any
	switch any(*new(T)).(type) {
	case bool:
		p = v.Bools
	case int64:
		p = v.I64
	case float64:
		p = v.F64
	case Decimal:
		p = v.Decimals()
	case IntervalValue:
		p = v.Ivl
	case UUIDValue:
		p = v.UUIDs
	}
	return p.([]T)
}
