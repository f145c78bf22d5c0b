package storage

import (
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/vec"
)

// MaxGroupTypes is how many types of groups a project may have.
const MaxGroupTypes = group.Types

// ErrInvalidEdit is wrapped by the error of an edit that makes no sense whatever there is.
var ErrInvalidEdit = errors.New("invalid edit")

// ApplyObjects makes, changes and deletes objects, all or none of them, and gives those
// that it made or changed; nil where it deleted one. The members of a static cohort go with
// it. An [object.ConflictError] says that they
// are not as the edits expect, an [object.LimitError] that there would be too much.
func (s *Store) ApplyObjects(index uint64, at int64, id uint32, edits []object.Edit) ([]*object.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return nil, err
	}
	return s.editObjects(p, at, edits)
}

// GroupEdit changes the groups of a project.
type GroupEdit struct {
	// Names are types of groups that are to have an index. Those for which none is left
	// stay without.
	Names  []string     `json:"names,omitempty"`
	Groups []group.Edit `json:"groups,omitempty"`
}

// ApplyGroups names types of groups and writes groups as a typed import gives them. It gives
// the names of all types by index.
func (s *Store) ApplyGroups(index uint64, at int64, id uint32, edit GroupEdit) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return nil, err
	}
	for i := range edit.Groups {
		if e := &edit.Groups[i]; e.Index < 0 || e.Index >= group.Types || e.Key == "" {
			return nil, fmt.Errorf("%w: group %q of type %d: it needs a key, and a type from 0 to %d", ErrInvalidEdit, e.Key, e.Index, group.Types-1)
		}
	}
	for _, name := range edit.Names {
		p.groups.Name(name)
	}
	for i := range edit.Groups {
		p.groups.Import(&edit.Groups[i])
	}
	names := p.groups.Names()
	s.effect(uint64(id), uint64(len(edit.Groups)), uint64(p.groups.Len()), xxh3.Hash(marshal(names)))
	return names, nil
}

// MemberEdit changes the members of a static cohort. Those of DistinctIDs and of Persons
// are added, or with Remove taken out; with Replace all others are.
type MemberEdit struct {
	Cohort      int64           `json:"cohort"`
	DistinctIDs []string        `json:"distinct_ids,omitempty"`
	Persons     []vec.UUIDValue `json:"persons,omitempty"`
	Replace     bool            `json:"replace,omitempty"`
	Remove      bool            `json:"remove,omitempty"`
}

// MemberResult is what became of a MemberEdit.
type MemberResult struct {
	Members int // that the cohort has now
	// Unknown are the distinct ids, and then the uuids, of no person with a profile.
	Unknown []string
}

// ApplyMembers changes the members of a static cohort. Only persons with a profile can be
// one.
func (s *Store) ApplyMembers(index uint64, at int64, id uint32, edit MemberEdit) (MemberResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return MemberResult{}, err
	}
	if edit.Cohort <= 0 {
		return MemberResult{}, fmt.Errorf("%w: members of cohort %d", ErrInvalidEdit, edit.Cohort)
	}
	return s.editMembers(p, edit), nil
}

// Objects is the objects of a project as they are now.
func (s *Store) Objects(id uint32) *object.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[id]; p != nil {
		return p.objects.Publish()
	}
	return &object.Table{}
}

// Groups is the groups of a project as they are now.
func (s *Store) Groups(id uint32) *group.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[id]; p != nil {
		return p.groups.Publish()
	}
	return group.NewState().Publish()
}

// GroupTypes gives the names of a project's types of groups by index; "" is one without.
func (s *Store) GroupTypes(id uint32) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[id]; p != nil {
		return p.groups.Names()
	}
	return nil
}

// Objects is the objects of the project.
func (sn *Snapshot) Objects() *object.Table { return sn.objects }

// Groups is the groups of the project.
func (sn *Snapshot) Groups() *group.Table { return sn.groups }

// StaticMembers is the persons in a static cohort, by their ordinals of today; nil for one
// that was never given any. Identity().Root leads from a row's ordinal to one of these.
func (sn *Snapshot) StaticMembers(cohort int64) *roaring.Bitmap {
	given := sn.cohorts.Members(cohort)
	if given == nil || !given.Intersects(sn.identity.Merged()) {
		return given
	}
	out := roaring.New()
	given.Iterate(func(o uint32) bool {
		out.Add(sn.identity.Root(o))
		return true
	})
	return out
}

// section is a part of a project's state that a state file has a delta of.
type section interface {
	Changed() bool
	Empty() bool
	Delta(dst []byte, full bool) []byte
	Load(src []byte) error
}

// sections are those that come last in a state file, in their order there.
func (p *project) sections() [3]section { return [3]section{p.groups, &p.objects, &p.cohorts} }

// sectionNames are what sections hold, for people.
var sectionNames = [3]string{"groups", "objects", "static cohorts"}
