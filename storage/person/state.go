package person

import (
	"iter"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// Edit is one person as a typed import gives it.
type Edit struct {
	DistinctIDs []string
	Properties  []byte // JSON object, or empty
	CreatedAt   int64  // µs since 1970 UTC, if HasCreatedAt
	Identified  bool
	// HasCreatedAt says that CreatedAt is given; otherwise the time of the entry counts.
	HasCreatedAt bool
}

// Map leads from ordinals to the persons they belong to now. It is immutable.
type Map struct{}

// Root is the ordinal of the person that ord belongs to.
func (m *Map) Root(ord uint32) uint32 { return ord }

// Merged is the ordinals that are not their own root. It is shared: do not modify it.
func (m *Map) Merged() *roaring.Bitmap { return roaring.New() }

// Len is how many ordinals are not their own root.
func (m *Map) Len() int { return 0 }

// Table is the persons of a project by ordinal. It is immutable.
type Table struct{}

// Len is how many ordinals were given out.
func (t *Table) Len() int { return 0 }

func (t *Table) UUID(ord uint32) vec.UUIDValue { return vec.UUIDValue{} }

// UUIDVector is the uuids by ordinal, flat: the dictionary of person_id columns. It is
// the same pointer as long as no ordinal is given out.
func (t *Table) UUIDVector() *vec.Vector { return &vec.Vector{Type: vec.T(vec.UUID)} }

// HasProfile says whether the person is listed in persons. Only roots have one.
func (t *Table) HasProfile(ord uint32) bool { return false }

// CreatedAt is in µs since 1970 UTC.
func (t *Table) CreatedAt(ord uint32) int64 { return 0 }

// Properties is jsonb text, empty for none. It must not be modified.
func (t *Table) Properties(ord uint32) []byte { return nil }

func (t *Table) IsIdentified(ord uint32) bool { return false }

// DistinctIDs gives every distinct id in order of first sight, with the ordinal it was
// given; Map.Root leads from there to its person.
func (t *Table) DistinctIDs() iter.Seq2[string, uint32] {
	return func(yield func(string, uint32) bool) {}
}
