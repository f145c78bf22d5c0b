package session

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
)

// change carries out a statement that changes events or persons. It does so at once: such a
// change is not part of a transaction, and so cannot be in one.
func (p *Portal) change(scope *Scope, st *sql.Statement) error {
	if err := p.alone(st.Tag, st.Tag+" of events or persons"); err != nil {
		return err
	}
	s := p.session
	n, index, err := s.config.Engine.Change(p.ctx, scope, st, s.config.Project)
	if err != nil {
		return clusterError(err)
	}
	s.wrote(index)
	p.tag, p.done = st.Tag+" "+strconv.Itoa(n), true
	return nil
}

// alone says whether a statement may run that changes at once what it changes, and so is no
// part of a transaction. what is the statement in a sentence.
func (p *Portal) alone(tag, what string) error {
	if p.session.gathers() {
		return pgerr.New(pgerr.ActiveTransaction, "%s cannot run inside a transaction block", what)
	}
	return p.session.mayWrite(tag)
}

// mayWrite refuses a statement that writes where the session only reads.
func (s *Session) mayWrite(tag string) error {
	switch {
	case s.Settings.On("transaction_read_only"):
		return pgerr.New(pgerr.ReadOnlyTransaction, "cannot execute %s in a read-only transaction", tag)
	case s.value(AtSetting) != "":
		return pgerr.New(pgerr.ReadOnlyTransaction, "cannot execute %s at a state that was read before", tag).
			WithHint("RESET %s first.", AtSetting)
	}
	return nil
}

// Change implements Engine.
func (e *storeEngine) Change(ctx context.Context, scope *Scope, st *sql.Statement, project uint32) (n int, index uint64, err error) {
	n, err = e.change(ctx, scope, st, project)
	return n, e.store.AppliedIndex(), err
}

func (e *storeEngine) change(ctx context.Context, scope *Scope, st *sql.Statement, project uint32) (int, error) {
	if st.Change == sql.DeleteEvents {
		return e.writer.DeleteRows(ctx, project, func(sn *storage.Snapshot) (map[storage.SegmentID]*roaring.Bitmap, error) {
			rows := map[storage.SegmentID]*roaring.Bitmap{}
			segments := sn.Segments()
			err := e.find(ctx, scope, st, sn, func(b *vec.Batch) error {
				for _, place := range b.Cols[0].Flatten(b.Rows).I64 {
					id := segments[place>>32].ID()
					if id == 0 {
						continue // it came while the statement began
					}
					if rows[id] == nil {
						rows[id] = roaring.New()
					}
					rows[id].Add(uint32(place & math.MaxUint32))
				}
				return nil
			})
			return rows, err
		})
	}
	sn, err := e.store.Snapshot(project)
	if err != nil {
		return 0, err
	}
	defer sn.Release()
	var persons []vec.UUIDValue
	var updates []person.Update
	err = e.find(ctx, scope, st, sn, func(b *vec.Batch) error {
		for i := range b.Rows {
			v, at := b.Cols[0].At(i)
			if st.Change == sql.DeletePersons {
				persons = append(persons, v.UUIDs[at])
				continue
			}
			u, err := update(b, i)
			if err != nil {
				return err
			}
			u.Person = v.UUIDs[at]
			updates = append(updates, u)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	n := 0
	count := func(k int, err error) error {
		n += k
		return err
	}
	if st.Change == sql.DeletePersons {
		const bytes = 64 // of a person, in JSON
		err = capture.Pieces(persons, func(*vec.UUIDValue) int { return bytes }, func(part []vec.UUIDValue) error {
			return count(e.writer.DeletePersons(ctx, project, part, false))
		})
		return n, err
	}
	err = capture.Pieces(updates, (*person.Update).Bytes, func(part []person.Update) error {
		return count(e.writer.UpdatePersons(ctx, project, part))
	})
	return n, err
}

// find runs the query of a change, and shows each batch of the answer.
func (e *storeEngine) find(ctx context.Context, scope *Scope, st *sql.Statement, sn *storage.Snapshot, each func(*vec.Batch) error) error {
	rows, err := e.Run(ctx, scope, st, sn)
	if err != nil {
		return err
	}
	defer rows.Close() // Next says what there is to say
	for {
		b, err := rows.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		if err := each(b.Compact()); err != nil {
			return err
		}
	}
}

// update is the difference between two columns of properties, so that what others change
// meanwhile stays changed.
func update(b *vec.Batch, row int) (u person.Update, err error) {
	var sides [2]map[string]json.RawMessage
	for i := range sides {
		c := b.Cols[1+i]
		if !c.IsNull(row) {
			v, at := c.At(row)
			err = json.Unmarshal(v.Str.At(at), &sides[i])
		}
		if err != nil || sides[i] == nil {
			return u, pgerr.New(pgerr.InvalidParameterValue, "properties of a person must be a JSON object")
		}
	}
	old, next := sides[0], sides[1]
	for key, value := range next {
		if was, ok := old[key]; ok && bytes.Equal(was, value) {
			delete(next, key)
		}
		delete(old, key)
	}
	for key := range old {
		u.Unset = append(u.Unset, key)
	}
	slices.Sort(u.Unset)
	if len(next) > 0 {
		u.Set, err = json.Marshal(next)
	}
	return u, err
}
