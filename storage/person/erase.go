package person

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// IDHash stands for a distinct id where the id itself must not be kept.
type IDHash [sha256.Size]byte

// HashID is the hash of a distinct id of a project.
func HashID(project uint32, id []byte) IDHash {
	return sha256.Sum256(append(strconv.AppendUint(nil, uint64(project), 10), ":"+string(id)...))
}

// Move says that rows of one distinct id belong to another ordinal than the one they
// hold: the id was split off its person.
type Move struct {
	ID   IDHash
	From *roaring.Bitmap // the ordinals of the person that it was split off; shared
	To   uint32
}

// Update is a change of the properties of one person.
type Update struct {
	Person vec.UUIDValue
	Set    []byte // JSON object, or empty
	Unset  []string
}

// Bytes is about how large the update is.
func (u *Update) Bytes() int {
	n := 64 + len(u.Set)
	for _, key := range u.Unset {
		n += len(key) + 4
	}
	return n
}

// ErrShared is returned for a distinct id that cannot be split off: it gave its person the
// uuid.
var ErrShared = errors.New("the person has its uuid from this distinct id; split off the others instead")

// ErrNotTheirs is returned for a distinct id of somebody else, or of nobody.
var ErrNotTheirs = errors.New("it is not one of this person")

// Find gives the ordinals of persons by uuid. Those that are not there, have become part
// of another or were deleted, are missing.
func (s *State) Find(persons []vec.UUIDValue) map[vec.UUIDValue]uint32 {
	wanted := make(map[vec.UUIDValue]bool, len(persons))
	begin := vec.NewBitmap(1 << 16) // their first bytes: nearly all others are passed over by them
	for _, u := range persons {
		wanted[u] = true
		begin.Set(int(u[0])<<8 | int(u[1]))
	}
	out := map[vec.UUIDValue]uint32{}
	for o := range s.table.uuids {
		u := &s.table.uuids[o]
		if begin.Get(int(u[0])<<8|int(u[1])) && wanted[*u] && s.identity.Root(uint32(o)) == uint32(o) && !s.identity.erased.Contains(uint32(o)) {
			out[*u] = uint32(o)
		}
	}
	return out
}

// HasProfile says whether the person of a root is listed.
func (s *State) HasProfile(root uint32) bool { return s.table.read(root).flags&hasProfile != 0 }

// Forget takes away the profile of a root. Its distinct ids stay, so that their rows do,
// and the next event that makes a profile makes a new one.
func (s *State) Forget(root uint32) { *s.change(root) = profile{} }

// Erase deletes persons, given by their roots, with everything that is known of them, and
// gives the distinct ids of each. From now on rows that hold one of their ordinals are
// dead. A distinct id that comes again gets a new ordinal.
func (s *State) Erase(roots []uint32) [][]string {
	set := roaring.New()
	at := make(map[uint32]int, len(roots))
	for i, root := range roots {
		set.Or(s.identity.all(root))
		at[root] = i
	}
	out := make([][]string, len(roots))
	s.erase(set.ToArray(), func(id string, o uint32) {
		i := at[s.identity.Root(o)]
		out[i] = append(out[i], id)
	})
	return out
}

// erase deletes ordinals, and shows the distinct ids that they had.
func (s *State) erase(ordinals []uint32, each func(id string, o uint32)) {
	if len(ordinals) == 0 {
		return
	}
	erased := s.identity.erased.Clone()
	erased.AddMany(ordinals)
	s.identity.erased = erased
	s.erased = append(s.erased, ordinals...)
	mark := vec.NewBitmap(len(s.table.uuids))
	for _, o := range ordinals {
		mark.Set(int(o))
		if p := s.table.read(o); p.flags != 0 || len(p.properties) > 0 {
			*s.change(o) = profile{}
		}
	}
	var gone []uint32
	for i := range s.table.ids.len() {
		o := s.table.ids.owner(i)
		if !mark.Get(int(o)) || s.table.gone.Contains(uint32(i)) {
			continue
		}
		id := s.table.ids.idText(i)
		gone = append(gone, uint32(i))
		s.table.ids.remove(id)
		each(id, o)
	}
	s.table.drop(gone)
	s.published = false
}

// Split makes each of the distinct ids a person of its own again, with all events that came
// under it. With forget, the person that they leave loses its properties. Nothing is done
// if one of them cannot be split off.
func (s *State) Split(root uint32, ids []string, forget bool, at int64) error {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		if o, seen := s.table.ids.get(id); !seen || s.identity.Root(o) != root {
			return fmt.Errorf("distinct id %q: %w", id, ErrNotTheirs)
		}
		if UUIDOf(s.project, id) == s.table.uuids[root] {
			return fmt.Errorf("distinct id %q: %w", id, ErrShared)
		}
	}
	// The person goes on under another ordinal. Were its rows and those of the ids that
	// left to share one, nothing could tell them apart when an id comes back.
	from := s.identity.all(root)
	stays, kept := s.table.add(s.table.uuids[root]), *s.table.read(root)
	s.merge(root, stays)
	*s.change(stays) = kept
	if forget {
		s.change(stays).properties = nil
	}
	for _, id := range ids {
		to := s.table.add(UUIDOf(s.project, id))
		s.release(id)
		s.attach(id, to)
		s.identity.move(Move{ID: HashID(s.project, []byte(id)), From: from, To: to})
		s.Touch(to, at)
	}
	s.published = false
	return nil
}

// move adds moves to those there are.
func (m *identity) move(moves ...Move) {
	for _, v := range moves {
		m.left.Or(v.From)
	}
	m.moves = append(m.moves, moves...)
}

// release takes a distinct id from its ordinal.
func (s *State) release(id string) {
	if i, found := s.table.ids.remove(id); found {
		s.table.drop([]uint32{uint32(i)})
	}
}

// Update changes the properties of a root as $set and $unset do.
func (s *State) Update(root uint32, u *Update) { s.update(root, u.Set, nil, u.Unset) }
