package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
)

// applyObjects applies an entry about objects, groups or static cohorts. err is that of an
// entry that cannot be understood.
func applyObjects(s *storage.Store, index uint64, e *entry, result *applyResult) (err error) {
	switch e.kind {
	case kindObjects:
		var edits []object.Edit
		if err = json.Unmarshal(e.payload, &edits); err == nil {
			result.objects, result.err = s.ApplyObjects(index, e.time, e.project, edits)
			result.receipt.Stored = len(result.objects)
		}
	case kindGroups:
		var edit storage.GroupEdit
		if err = json.Unmarshal(e.payload, &edit); err == nil {
			result.groups, result.err = s.ApplyGroups(index, e.time, e.project, edit)
		}
	case kindMembers:
		var edit storage.MemberEdit
		if err = json.Unmarshal(e.payload, &edit); err == nil {
			result.members, result.err = s.ApplyMembers(index, e.time, e.project, edit)
		}
	}
	return err
}

// EditObjects makes, changes and deletes objects of a project, all or none of them. It gives
// those that it made or changed; nil where it deleted one. An [object.ConflictError] says that
// they are not as the edits expect, an [object.LimitError] that there would be too much.
func (n *Node) EditObjects(ctx context.Context, project uint32, edits []object.Edit) ([]*object.Object, Receipt, error) {
	for i := range edits {
		if err := edits[i].Check(); err != nil {
			return nil, Receipt{}, err
		}
	}
	adds := slices.ContainsFunc(edits, func(e object.Edit) bool { return !e.Delete })
	result, err := n.submitEdit(ctx, kindObjects, project, len(edits), edits, adds)
	return result.objects, result.receipt, err
}

// EditGroups names types of groups and writes groups as given, all or none of them. It gives
// the names of all types by index.
func (n *Node) EditGroups(ctx context.Context, project uint32, edit storage.GroupEdit) ([]string, Receipt, error) {
	result, err := n.submitEdit(ctx, kindGroups, project, len(edit.Groups), edit, false)
	return result.groups, result.receipt, err
}

// NameGroups gives types of groups an index, where they have none yet and one is left, and
// gives the names of all types by index.
func (n *Node) NameGroups(ctx context.Context, project uint32, names []string) ([]string, error) {
	known := n.store.GroupTypes(project)
	var fresh []string
	for _, name := range names {
		if !slices.Contains(known, name) && !slices.Contains(fresh, name) && name != "" {
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 || len(known) == storage.MaxGroupTypes && !slices.Contains(known, "") {
		return known, nil
	}
	known, _, err := n.EditGroups(ctx, project, storage.GroupEdit{Names: fresh})
	return known, err
}

// EditMembers changes the members of a static cohort, and says whom it does not know.
func (n *Node) EditMembers(ctx context.Context, project uint32, edit storage.MemberEdit) (storage.MemberResult, Receipt, error) {
	result, err := n.submitEdit(ctx, kindMembers, project, len(edit.DistinctIDs)+len(edit.Persons), edit, !edit.Remove)
	return result.members, result.receipt, err
}

// submitEdit proposes an edit in its JSON form. One that adds to what has no bound of its own
// is refused when the disk is nearly full; refusedFrom is for the others.
func (n *Node) submitEdit(ctx context.Context, k kind, project uint32, count int, edit any, adds bool) (applyResult, error) {
	if adds {
		if err := n.disk.admit(DiskReadOnly); err != nil {
			return applyResult{}, err
		}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // bodies stay as they are
	if err := enc.Encode(edit); err != nil {
		return applyResult{}, fmt.Errorf("%v entry: %w", k, err)
	}
	return n.submitPayload(ctx, k, header{project: project, rows: uint32(count)}, text.Bytes())
}
