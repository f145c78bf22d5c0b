package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/cohort"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Commit is what a transaction changes. All of it becomes visible together, or nothing.
type Commit struct {
	Tables  *table.WriteSet // never nil
	Objects []object.Edit
	Members []MemberEdit // carried out after those of objects
}

// commitHead is what a Commit has beside tables, on the wire.
type commitHead struct {
	Objects []object.Edit `json:"objects,omitempty"`
	Members []MemberEdit  `json:"members,omitempty"`
}

// AppendCommit adds the wire form of a commit: uvarint size of the edits of objects and members,
// these as JSON, and the write set.
func AppendCommit(dst []byte, c *Commit) ([]byte, error) {
	var head bytes.Buffer
	enc := json.NewEncoder(&head)
	enc.SetEscapeHTML(false) // bodies stay as they are
	if err := enc.Encode(commitHead{c.Objects, c.Members}); err != nil {
		return dst, err
	}
	dst = binary.AppendUvarint(dst, uint64(head.Len()))
	return table.AppendWriteSet(append(dst, head.Bytes()...), c.Tables), nil
}

// DecodeCommit reads what AppendCommit wrote, which must be all of src.
func DecodeCommit(src []byte) (*Commit, error) {
	size, n := binary.Uvarint(src)
	if n <= 0 || size > uint64(len(src)-n) {
		return nil, errors.New("commit: it is cut off")
	}
	src = src[n:]
	var head commitHead
	if err := json.Unmarshal(src[:size], &head); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	ws, err := table.DecodeWriteSet(src[size:])
	if err != nil {
		return nil, err
	}
	return &Commit{Tables: ws, Objects: head.Objects, Members: head.Members}, nil
}

// ApplyCommit changes tables, objects and static cohorts of a project, all of it or nothing. A
// [table.ConflictError] or an [object.ConflictError] says that it was computed on what is not there
// any more, an [object.LimitError] that there would be too much. The write set is the store's from
// now on.
func (s *Store) ApplyCommit(index uint64, at int64, id uint32, c *Commit) (table.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.enter(index, at, id)
	if p == nil {
		return table.Change{}, err
	}
	for i := range c.Members {
		if c.Members[i].Cohort <= 0 {
			return table.Change{}, fmt.Errorf("%w: members of cohort %d", ErrInvalidEdit, c.Members[i].Cohort)
		}
	}
	for i := range c.Tables.Ops {
		if e := c.Tables.Ops[i].Encoded; e != nil && s.opt.Memory != nil {
			e.Share(s.cache, s.active) // as shareTable: something bounds what is decoded
		}
	}
	before := p.tables
	next, change, err := p.tables.Apply(c.Tables, at, s.active.epoch)
	if err == nil && len(c.Objects) > 0 {
		if _, err = s.editObjects(p, at, c.Objects); err != nil { // the parts before this one are to be seen by nobody
			next, _, _ = before.Apply(&table.WriteSet{Stage: table.Abort, Txn: c.Tables.Txn}, at, s.active.epoch)
		}
	}
	p.tablesChanged = p.tablesChanged || next != before
	p.tables = next
	if err != nil {
		return table.Change{}, err
	}
	for _, m := range c.Members {
		s.editMembers(p, m)
	}
	s.active.rows += int64(change.Inserted - change.Loaded) // rows that are encoded are a matter of bytes alone
	s.active.hold(change.Bytes)
	s.effect(uint64(id), uint64(change.Inserted), uint64(change.Deleted), uint64(next.LastID()))
	return change, nil
}

// editObjects carries out edits of objects. The caller holds mu.
func (s *Store) editObjects(p *project, at int64, edits []object.Edit) ([]*object.Object, error) {
	done, err := p.objects.Apply(edits, at)
	if err != nil {
		return nil, err
	}
	s.effect(uint64(p.ID), uint64(len(done)), uint64(p.objects.Publish().Len()))
	for i, o := range done {
		if o == nil {
			if e := &edits[i]; e.Kind == object.Cohort && p.cohorts.Publish().Members(e.ID) != nil {
				p.cohorts.Set(e.ID, nil)
			}
			continue
		}
		s.effect(uint64(o.ID), uint64(o.Version), xxh3.Hash(o.Body))
	}
	return done, nil
}

// editMembers carries out an edit of the members of a cohort. The caller holds mu.
func (s *Store) editMembers(p *project, edit MemberEdit) MemberResult {
	identity, persons := p.persons.Publish()
	var out MemberResult
	named := roaring.New()
	add := func(o uint32, known bool, name string) {
		if known {
			o = identity.Root(o)
		}
		if known && persons.HasProfile(o) {
			named.Add(o)
		} else {
			out.Unknown = append(out.Unknown, name)
		}
	}
	for _, name := range edit.DistinctIDs {
		o, known := p.persons.Seen(name)
		add(o, known, name)
	}
	if len(edit.Persons) > 0 {
		found := p.persons.Find(edit.Persons)
		for _, u := range edit.Persons {
			o, known := found[u]
			add(o, known, uuid.UUID(u).String())
		}
	}
	members := edited(p.cohorts.Publish(), identity, &edit, named)
	p.cohorts.Set(edit.Cohort, members)
	out.Members = int(members.GetCardinality())
	s.effect(uint64(p.ID), uint64(edit.Cohort), members.GetCardinality(), uint64(len(out.Unknown)))
	return out
}

// edited is the members of a cohort after an edit that names some persons.
func edited(cohorts *cohort.Table, identity *person.Map, edit *MemberEdit, named *roaring.Bitmap) *roaring.Bitmap {
	members := roaring.New()
	if old := cohorts.Members(edit.Cohort); old != nil && !edit.Replace {
		// Members of long ago become the persons of today.
		old.Iterate(func(o uint32) bool {
			members.Add(identity.Root(o))
			return true
		})
	}
	if edit.Remove {
		members.AndNot(named)
	} else {
		members.Or(named)
	}
	return members
}

// Overlay gives what a reader sees who has changed something and not yet committed it, and who has
// temporary tables, if temp is not nil: the snapshot with other tables, objects and cohorts. It pins
// nothing of its own. Members are named by the uuids of persons.
func (sn *Snapshot) Overlay(c *Commit, temp *table.Tables) (*Snapshot, error) {
	tables, _, err := sn.tables.Apply(c.Tables, 0, sn.epoch)
	if err != nil {
		return nil, err
	}
	if temp != nil {
		tables = tables.Beside(temp)
	}
	out := &Snapshot{store: sn.store, project: sn.project, index: sn.index, identity: sn.identity, persons: sn.persons,
		groups: sn.groups, objects: sn.objects, cohorts: sn.cohorts, tables: tables, epoch: sn.epoch, rules: sn.rules, segments: sn.segments, first: sn.first,
		sessions: sn.sessions, list: sn.list}
	if out.objects, err = sn.objects.After(c.Objects); err != nil {
		return nil, err
	}
	for i := range c.Members {
		m := &c.Members[i]
		out.cohorts = out.cohorts.With(m.Cohort, edited(out.cohorts, sn.identity, m, sn.ordinals(m.Persons)))
	}
	return out, nil
}

// ordinals is the persons with some uuids who have a profile.
func (sn *Snapshot) ordinals(persons []vec.UUIDValue) *roaring.Bitmap {
	out := roaring.New()
	wanted := make(map[vec.UUIDValue]bool, len(persons))
	for _, u := range persons {
		wanted[u] = true
	}
	for o := range sn.persons.Len() {
		if wanted[sn.persons.UUID(uint32(o))] {
			if o := sn.identity.Root(uint32(o)); sn.persons.HasProfile(o) {
				out.Add(o)
			}
		}
	}
	return out
}
