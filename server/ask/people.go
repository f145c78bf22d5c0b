package ask

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage/vec"
)

// Persons implements insight.Runner.
func (a *Asker) Persons(ctx context.Context, ids []vec.UUIDValue) ([]insight.Person, error) {
	persons, identity := a.snapshot.Persons(), a.snapshot.Identity()
	if len(ids) == 0 {
		return nil, nil
	}
	wanted := make(map[vec.UUIDValue]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	// There is no index by uuid: one pass finds all that are wanted.
	ordinals := make(map[vec.UUIDValue]uint32, len(ids))
	for o := range uint32(persons.Len()) {
		if u := persons.UUID(o); wanted[u] {
			ordinals[u] = o
		}
		if o%(1<<20) == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	roots := make(map[uint32][]string, len(ordinals))
	for _, o := range ordinals {
		roots[o] = nil
	}
	for id, o := range persons.DistinctIDs() {
		root := identity.Root(o)
		if list, ok := roots[root]; ok {
			roots[root] = append(list, id)
		}
	}
	out := make([]insight.Person, len(ids))
	for i, id := range ids {
		p := &out[i]
		p.ID, p.Properties, p.DistinctIDs = id, json.RawMessage("{}"), []string{}
		o, ok := ordinals[id]
		if !ok {
			continue
		}
		if list := roots[o]; list != nil {
			p.DistinctIDs = list
		}
		if raw := persons.Properties(o); len(raw) > 0 {
			p.Properties = json.RawMessage(raw)
		}
		if at := persons.CreatedAt(o); at != 0 {
			p.CreatedAt = time.UnixMicro(at).UTC()
		}
		p.Identified = persons.IsIdentified(o)
	}
	return out, nil
}
