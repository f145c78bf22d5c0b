package insight

import (
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/vec"
)

// at is a value's vector and position.
func (r *Rows) at(row, col int) (*vec.Vector, int) { return r.Cols[col].At(row) }

// IsNull says whether a value is NULL.
func (r *Rows) IsNull(row, col int) bool { return r.Cols[col].IsNull(row) }

// Column finds a column by its name, -1 for none.
func (r *Rows) Column(name string) int {
	for i := range r.Schema {
		if r.Schema[i].Name == name {
			return i
		}
	}
	return -1
}

// Time is a timestamp.
func (r *Rows) Time(row, col int) time.Time {
	v, i := r.at(row, col)
	return time.UnixMicro(v.I64[i]).UTC()
}

// Float is a number; NULL is 0.
func (r *Rows) Float(row, col int) float64 {
	if r.IsNull(row, col) {
		return 0
	}
	v, i := r.at(row, col)
	switch v.Type.Kind {
	case vec.Float8, vec.Float4:
		return v.F64[i]
	}
	return float64(v.I64[i])
}

// Int is a whole number; NULL is 0.
func (r *Rows) Int(row, col int) int64 {
	if r.IsNull(row, col) {
		return 0
	}
	v, i := r.at(row, col)
	return v.I64[i]
}

// Text is a text; NULL is empty.
func (r *Rows) Text(row, col int) string {
	if r.IsNull(row, col) {
		return ""
	}
	v, i := r.at(row, col)
	return string(v.Str.At(i))
}

// roundEven rounds to a whole number, halves to the even one.
func roundEven(f float64) float64 { return math.RoundToEven(f) }

func (r *Rows) bool(row, col int) bool {
	if r.IsNull(row, col) {
		return false
	}
	v, i := r.at(row, col)
	return v.Bools[i]
}

// float is a number, or nil for NULL.
func (r *Rows) float(row, col int) *float64 {
	if r.IsNull(row, col) {
		return nil
	}
	f := r.Float(row, col)
	return &f
}

func uuidText(id vec.UUIDValue) string { return uuid.UUID(id).String() }
