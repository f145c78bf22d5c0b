package person

import (
	"slices"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
)

// namespace is what the uuids of persons are derived in: ours, and fixed for ever.
var namespace = uuid.MustParse("6b1c8e0a-52a4-4f0e-9b6e-70726b6c0001")

// UUIDOf is the uuid of the person that a distinct id gets at first sight.
func UUIDOf(project uint32, distinctID string) vec.UUIDValue {
	return vec.UUIDValue(uuid.NewSHA1(namespace, []byte(strconv.FormatUint(uint64(project), 10)+":"+distinctID)))
}

// Edit is one person as a typed import gives it.
type Edit struct {
	DistinctIDs []string
	Properties  []byte // JSON object, or empty
	CreatedAt   int64  // µs since 1970 UTC, if HasCreatedAt
	Identified  bool
	// HasCreatedAt says that CreatedAt is given; otherwise the time of the entry counts.
	HasCreatedAt bool
}

// Bytes is about how large the edit is.
func (e *Edit) Bytes() int {
	n := 64 + len(e.Properties)
	for _, id := range e.DistinctIDs {
		n += len(id) + 4
	}
	return n
}

// Warning is something about a person that was asked for and not done.
type Warning string

// The warnings.
const (
	WarnNone       Warning = ""
	WarnIllegal    Warning = "cannot_merge_with_illegal_distinct_id"
	WarnIdentified Warning = "cannot_merge_already_identified"
)

// State is the persons of a project as apply changes them. It is used by one goroutine at
// a time.
type State struct {
	project  uint32
	identity identity
	table    table
	objects  properties.Merger

	published      bool
	publishedMap   *Map
	publishedTable *Table

	// What changed since the last delta.
	firstOrdinal int
	firstID      int // position in table.ids
	changed      *roaring.Bitmap
	merges       [][2]uint32
	erased       []uint32
	firstMove    int
}

// NewState is a project without persons. What readers of it decode is kept in the cache; nil
// sets no bound.
func NewState(project uint32, cache *memory.Cache) *State {
	return &State{project: project, identity: newIdentity(),
		table: table{gone: roaring.New(), columns: &columns{cache: cache}}, changed: roaring.New()}
}

// Publish is the state as it is now, for readers.
func (s *State) Publish() (*Map, *Table) {
	if !s.published {
		s.publishedMap, s.publishedTable, s.published = s.identity.publish(), s.table.publish(), true
	}
	return s.publishedMap, s.publishedTable
}

// Seen is the ordinal of a distinct id, if it has one.
func (s *State) Seen(id string) (uint32, bool) { return s.table.ids.get(id) }

// SeenIn is the ordinal of a distinct id in a Table that the state gave out, if it has one there.
func (s *State) SeenIn(t *Table, id string) (uint32, bool) {
	i, ok := s.table.ids.position(id)
	switch {
	case ok && i < t.ids.len(): // positions that count do so from the beginning
		return t.ids.owner(i), true
	case s.table.gone == t.gone:
		return 0, false
	}
	for of, ord := range t.DistinctIDs() { // it had another position then
		if of == id {
			return ord, true
		}
	}
	return 0, false
}

// UUID is the uuid of an ordinal.
func (s *State) UUID(ord uint32) vec.UUIDValue { return s.table.uuids[ord] }

// Ordinal is the ordinal of a distinct id, which gets one at first sight.
func (s *State) Ordinal(id []byte) uint32 {
	text := lent(id)
	if o, ok := s.table.ids.get(text); ok {
		return o
	}
	return s.give(text)
}

// Known fills dst with one more than the ordinal of each of ids, 0 for one that has none.
// Others may read the state meanwhile.
func (s *State) Known(dst []uint32, ids *vec.Strings) {
	s.table.ids.known(dst, ids)
}

// give makes a person for a distinct id that has none.
func (s *State) give(id string) uint32 {
	o := s.table.add(UUIDOf(s.project, id))
	s.attach(id, o)
	return o
}

// attach makes a distinct id one of the person with ordinal o.
func (s *State) attach(id string, o uint32) {
	if s.identity.left.Contains(o) {
		o = s.identity.Root(o)
	}
	s.table.ids.add(id, o)
	s.published = false
}

func (s *State) change(root uint32) *profile {
	s.published = false
	s.changed.Add(root)
	return s.table.change(root)
}

// Touch gives the person of an ordinal a profile if there is none yet. It says whether it
// made one.
func (s *State) Touch(ord uint32, at int64) bool {
	root := s.identity.Root(ord)
	if s.table.read(root).flags&hasProfile != 0 {
		return false
	}
	p := s.change(root)
	p.flags |= hasProfile
	p.createdAt = at
	return true
}

// Set applies $set, $set_once and $unset to the person of an ordinal.
func (s *State) Set(ord uint32, op *event.PersonOp) {
	if len(op.Set) == 0 && len(op.SetOnce) == 0 && len(op.Unset) == 0 {
		return
	}
	root := s.identity.Root(ord)
	s.update(root, op.Set, op.SetOnce, op.Unset)
}

// update changes the properties of a root, unless they would be too large: the event
// still carries what it set.
func (s *State) update(root uint32, set, once []byte, unset []string) {
	next, changed := s.objects.Update(s.table.read(root).properties, set, once, unset)
	s.keep(root, next, changed)
}

func (s *State) keep(root uint32, next []byte, changed bool) {
	if changed && len(next) <= properties.MaxBytes {
		s.change(root).properties = next
	}
}

// Root is the person that an ordinal belongs to.
func (s *State) Root(ord uint32) uint32 { return s.identity.Root(ord) }

// Copy sets members of a root, and those of once that it does not have. Both are in the order
// of properties.CompareKeys. The bytes are copied.
func (s *State) Copy(root uint32, set, once []properties.Member) {
	next, changed := s.objects.Apply(s.table.read(root).properties, set, once)
	s.keep(root, next, changed)
}

// Merge carries out identify, alias and merge for the event of a distinct id, in which other
// goes into target. It comes before the event's
// own distinct id is given an ordinal, so that "seen" means by an earlier event.
func (s *State) Merge(kind event.OpKind, other, target string, at int64) Warning {
	if other == target {
		return WarnNone
	}
	if illegal(other) || illegal(target) {
		return WarnIllegal
	}
	from, fromSeen := s.table.ids.get(other)
	to, toSeen := s.table.ids.get(target)
	switch {
	case !fromSeen && !toSeen:
		to = s.give(target)
		s.attach(other, to)
	case !toSeen:
		to = from
		s.attach(target, from)
	case !fromSeen:
		s.attach(other, to)
	default:
		if w := s.unite(kind, s.identity.Root(from), s.identity.Root(to)); w != WarnNone {
			return w
		}
	}
	s.Touch(to, at)
	s.change(s.identity.Root(to)).flags |= isIdentified
	return WarnNone
}

// unite makes two roots one person.
func (s *State) unite(kind event.OpKind, from, to uint32) Warning {
	if from == to {
		return WarnNone
	}
	source, target := *s.table.read(from), *s.table.read(to)
	switch {
	case source.flags&hasProfile == 0: // the target's person takes it in, or makes one
		s.merge(from, to)
	case target.flags&hasProfile == 0: // only the source is a person: it takes the target in
		s.merge(to, from)
	case source.flags&isIdentified != 0 && kind != event.OpMergeDangerously:
		return WarnIdentified
	default:
		s.merge(from, to)
		p := s.change(to)
		p.properties = s.objects.Union(source.properties, target.properties)
		p.createdAt = min(source.createdAt, target.createdAt)
	}
	return WarnNone
}

// merge makes old, a root, part of the person of root.
func (s *State) merge(old, root uint32) {
	*s.change(old) = profile{}
	s.identity.merge(old, root)
	s.merges = append(s.merges, [2]uint32{old, root})
}

// Import writes a person as a typed import gives it: its distinct ids become one person,
// and what is given replaces what is known.
func (s *State) Import(e *Edit, at int64) {
	if len(e.DistinctIDs) == 0 {
		return
	}
	root := s.identity.Root(s.Ordinal([]byte(e.DistinctIDs[0])))
	for _, id := range e.DistinctIDs[1:] {
		o, seen := s.table.ids.get(id)
		if !seen {
			s.attach(id, root)
			continue
		}
		if r := s.identity.Root(o); r != root {
			source, target := *s.table.read(r), *s.table.read(root)
			s.merge(r, root)
			if source.flags&hasProfile == 0 {
				continue
			}
			p := s.change(root)
			p.flags |= source.flags
			p.properties = s.objects.Union(source.properties, target.properties)
			if target.flags&hasProfile == 0 || source.createdAt < target.createdAt {
				p.createdAt = source.createdAt
			}
		}
	}
	created := at
	if e.HasCreatedAt {
		created = e.CreatedAt
	}
	fresh := s.Touch(root, created)
	p := s.change(root)
	if e.HasCreatedAt || fresh {
		p.createdAt = created
	}
	if e.Identified {
		p.flags |= isIdentified
	}
	s.update(root, e.Properties, nil, nil)
}

// illegal says whether a distinct id must not be merged: what SDKs send when an
// application passes on a variable that is not set, and the like.
func illegal(id string) bool {
	id = strings.TrimSpace(id)
	if n := len(id); n >= 2 && (id[0] == '"' && id[n-1] == '"' || id[0] == '\'' && id[n-1] == '\'') {
		id = id[1 : n-1]
	}
	return strings.TrimSpace(id) == "" || slices.Contains(illegalIDs, id) || slices.Contains(illegalFolded, strings.ToLower(id))
}

var (
	illegalIDs    = []string{"[object Object]", "NaN", "None", "none", "null", "0", "undefined"}
	illegalFolded = []string{"anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email", "undefined", "true", "false"}
)
