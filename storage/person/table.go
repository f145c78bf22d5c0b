package person

import (
	"iter"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
)

// tableChunk is how many persons a chunk of a Table covers.
const tableChunk = 1024

// The bits of a profile.
const (
	hasProfile = 1 << iota
	isIdentified
)

// profile is what is known of a person beyond the uuid.
type profile struct {
	flags      uint8
	createdAt  int64
	properties []byte // replaced, never changed
}

// chunk is some persons. Once given out to readers its rows do not change any more.
type chunk struct {
	rows [tableChunk]profile
	seen atomic.Pointer[properties.Seen] // of the rows; nil: nobody asked yet
}

// blank is a chunk of persons of whom nothing is known. Its rows are never written to.
var blank chunk

// Table is the persons of a project by ordinal. It is immutable.
type Table struct {
	uuids  *vec.Vector
	chunks []*chunk
	ids    idList          // distinct ids in order of first sight
	gone   *roaring.Bitmap // positions in ids that do not count any more
	// columns is shared by all Tables of a project.
	columns *columns
}

// Len is how many ordinals were given out.
func (t *Table) Len() int { return len(t.uuids.UUIDs) }

// UUID is the uuid of an ordinal, which never changes.
func (t *Table) UUID(ord uint32) vec.UUIDValue { return t.uuids.UUIDs[ord] }

// UUIDVector is the uuids by ordinal, flat: the dictionary of person_id columns. It is
// the same pointer as long as no ordinal is given out.
func (t *Table) UUIDVector() *vec.Vector { return t.uuids }

func (t *Table) profile(ord uint32) *profile { return &t.chunks[ord/tableChunk].rows[ord%tableChunk] }

// HasProfile says whether the person is listed in persons. Only roots have one.
func (t *Table) HasProfile(ord uint32) bool { return t.profile(ord).flags&hasProfile != 0 }

// CreatedAt is in µs since 1970 UTC.
func (t *Table) CreatedAt(ord uint32) int64 { return t.profile(ord).createdAt }

// Properties is jsonb text, empty for none. It must not be modified.
func (t *Table) Properties(ord uint32) []byte { return t.profile(ord).properties }

// IsIdentified says whether somebody has said who the person is.
func (t *Table) IsIdentified(ord uint32) bool { return t.profile(ord).flags&isIdentified != 0 }

// Kinds is the kinds of values that a property has among all persons.
func (t *Table) Kinds(name string) (out properties.Kinds) {
	for _, c := range t.chunks {
		out |= c.kinds()[name]
	}
	return out
}

// AllKinds is the kinds of values of every property that a person has.
func (t *Table) AllKinds() properties.Seen {
	out := properties.Seen{}
	for _, c := range t.chunks {
		out.Join(c.kinds())
	}
	return out
}

// kinds is the kinds of values of the properties in a chunk. It is found once.
func (c *chunk) kinds() properties.Seen {
	seen := c.seen.Load()
	if seen == nil {
		seen = &properties.Seen{}
		for i := range c.rows {
			seen.Add(c.rows[i].properties)
		}
		c.seen.Store(seen)
	}
	return *seen
}

// DistinctIDs gives every distinct id in order of first sight, with the ordinal that its
// events get; Map.Root leads from there to its person.
func (t *Table) DistinctIDs() iter.Seq2[string, uint32] {
	return func(yield func(string, uint32) bool) {
		for i := range t.ids.len() {
			if t.gone.Contains(uint32(i)) {
				continue
			}
			if !yield(t.ids.idText(i), t.ids.owner(i)) {
				return
			}
		}
	}
}

// table is the Table in the making. Lists only grow, so one that was given out keeps its
// prefix; chunks are copied before they change.
type table struct {
	uuids   []vec.UUIDValue
	chunks  []*chunk
	own     []bool
	ids     ids
	gone    *roaring.Bitmap // positions in ids; replaced, never changed
	vector  *vec.Vector     // of uuids, as given out last
	columns *columns
}

// change is the profile of an ordinal, to be written to.
func (t *table) change(ord uint32) *profile {
	c := ord / tableChunk
	if !t.own[c] {
		t.chunks[c], t.own[c] = &chunk{rows: t.chunks[c].rows}, true
	}
	return &t.chunks[c].rows[ord%tableChunk]
}

func (t *table) read(ord uint32) *profile { return &t.chunks[ord/tableChunk].rows[ord%tableChunk] }

// add gives out the next ordinal.
func (t *table) add(uuid vec.UUIDValue) uint32 {
	ord := uint32(len(t.uuids))
	if ord%tableChunk == 0 {
		t.chunks, t.own = append(t.chunks, &blank), append(t.own, false)
	}
	t.uuids = append(t.uuids, uuid)
	return ord
}

func (t *table) publish() *Table {
	clear(t.own)
	if t.vector == nil || len(t.vector.UUIDs) != len(t.uuids) {
		t.vector = &vec.Vector{Type: vec.T(vec.UUID), UUIDs: t.uuids[:len(t.uuids):len(t.uuids)]}
	}
	return &Table{uuids: t.vector, chunks: append([]*chunk(nil), t.chunks...),
		ids: t.ids.prefix(), gone: t.gone, columns: t.columns}
}

// drop takes out the distinct ids at some positions.
func (t *table) drop(positions []uint32) {
	if len(positions) > 0 {
		t.gone = t.gone.Clone()
		t.gone.AddMany(positions)
	}
}

// tidy makes the lists anew without what is gone.
func (t *table) tidy() {
	if t.gone.IsEmpty() {
		return
	}
	var kept ids
	for i := range t.ids.len() {
		if !t.gone.Contains(uint32(i)) {
			kept.add(t.ids.idText(i), t.ids.owner(i))
		}
	}
	t.ids, t.gone = kept, roaring.New()
}
