package capture

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
)

// savedLines is what typed lines say of groups and saved objects.
type savedLines struct {
	groups  []group.Edit
	objects []object.Edit
	members []storage.MemberEdit
}

// group reads a line of type group.
func (l *savedLines) group(line []byte) error {
	var in struct {
		Type       string          `json:"type"`
		Index      *int            `json:"group_type_index"`
		Key        json.RawMessage `json:"key"`
		Properties json.RawMessage `json:"properties"`
		CreatedAt  *string         `json:"created_at"`
	}
	if err := strictly(line, &in); err != nil {
		return err
	}
	s := scanner{src: in.Key}
	kind, text, ok := s.value()
	key := groupKey(value{kind, ok && len(in.Key) > 0, text})
	switch {
	case in.Index == nil || *in.Index < 0 || *in.Index >= group.Types:
		return invalid("invalid_line", `"group_type_index" is missing, or not 0 to %d`, group.Types-1)
	case len(key) == 0:
		return invalid("invalid_line", `there is no "key"`)
	case len(in.Properties) > 0 && in.Properties[0] != '{' && string(in.Properties) != "null":
		return invalid("invalid_line", `"properties" is not an object`)
	}
	edit := group.Edit{Index: *in.Index, Key: string(key), Properties: in.Properties}
	if in.CreatedAt != nil {
		if edit.CreatedAt, ok = parseTime([]byte(*in.CreatedAt)); !ok {
			return invalid("invalid_line", `"created_at" cannot be read as a time: %q`, clip([]byte(*in.CreatedAt)))
		}
	}
	l.groups = append(l.groups, edit)
	return nil
}

// strictly reads a line in which every member has a meaning.
func strictly(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return invalid("invalid_line", "%v", err)
	}
	return nil
}

// object reads a line of type action, cohort or property_definition.
func (l *savedLines) object(kind string, line []byte) error {
	var body saved.Body
	if err := json.Unmarshal(line, &body); err != nil {
		return invalid("invalid_line", "not valid JSON: %v", err)
	}
	edit := object.Edit{Kind: kind, Version: object.Any}
	var err error
	switch delete(body, "type"); kind {
	case object.PropertyDefinition:
		var inner saved.Body
		if json.Unmarshal(body["definition"], &inner) != nil || inner == nil {
			return invalid("invalid_line", `"definition" is not an object`)
		}
		body = inner
		edit.Key, err = saved.CheckPropertyDefinition(body)
	case object.Action:
		edit.ID, err = takeID(body)
		if err == nil {
			err = saved.CheckAction(body)
		}
	case object.Cohort:
		edit.ID, err = takeID(body)
		if err == nil {
			err = l.cohort(edit.ID, body)
		}
	}
	if err != nil {
		return invalid("invalid_line", "%v", err)
	}
	edit.Body = body.JSON()
	if err := edit.Check(); err != nil {
		return invalid("invalid_line", "%v", err)
	}
	l.objects = append(l.objects, edit)
	return nil
}

// takeID takes the number off a body.
func takeID(body saved.Body) (id int64, err error) {
	if json.Unmarshal(body["id"], &id) != nil || id <= 0 || id > object.MaxID {
		return 0, invalid("invalid_line", `"id" is missing, or not a number from 1 on`)
	}
	delete(body, "id")
	return id, nil
}

// cohort checks a cohort, and takes its members off it.
func (l *savedLines) cohort(id int64, body saved.Body) error {
	if err := saved.CheckCohort(body); err != nil {
		return err
	}
	if !body.Has("members") {
		return nil
	}
	var ids []string
	if err := json.Unmarshal(body["members"], &ids); err != nil {
		return invalid("invalid_line", `"members" is a list of distinct ids`)
	}
	if string(body["is_static"]) != "true" {
		return invalid("invalid_line", `only a cohort with "is_static" has "members"`)
	}
	delete(body, "members")
	l.members = append(l.members, storage.MemberEdit{Cohort: id, DistinctIDs: ids, Replace: true})
	return nil
}

// cycle says which cohort or action of the lines would depend on itself, beside the objects
// that there are.
func (l *savedLines) cycle(t *object.Table) error {
	bodies := map[saved.Ref]json.RawMessage{}
	for i := range l.objects {
		if e := &l.objects[i]; e.Kind == object.Cohort || e.Kind == object.Action {
			bodies[saved.Ref{Kind: e.Kind, ID: e.ID}] = e.Body
		}
	}
	if err := saved.Cycle(t, bodies); err != nil {
		return invalid("cohort_cycle", "%v", err)
	}
	return nil
}

// store writes what the lines say, in pieces that go through the log. Members come after
// persons.
func (l *savedLines) store(ctx context.Context, to Importer, project uint32, answer *importAnswer) error {
	answer.Groups, answer.Objects = len(l.groups), len(l.objects)
	wrote := func(r Receipt, err error) error {
		if err == nil {
			answer.token = r.Token
		}
		return err
	}
	err := Pieces(l.groups, func(e *group.Edit) int { return len(e.Key) + len(e.Properties) }, func(part []group.Edit) error {
		return wrote(to.ImportGroups(ctx, project, part))
	})
	if err == nil {
		err = Pieces(l.objects, func(e *object.Edit) int { return len(e.Body) }, func(part []object.Edit) error {
			return wrote(to.ImportObjects(ctx, project, part))
		})
	}
	for i := 0; i < len(l.members) && err == nil; i++ {
		m := &l.members[i]
		for replace := true; err == nil && (replace || len(m.DistinctIDs) > 0); replace = false {
			n := min(len(m.DistinctIDs), membersAtOnce)
			var unknown []string
			var r Receipt
			unknown, r, err = to.ImportMembers(ctx, project, storage.MemberEdit{Cohort: m.Cohort, DistinctIDs: m.DistinctIDs[:n], Replace: replace})
			err = wrote(r, err)
			m.DistinctIDs = m.DistinctIDs[n:]
			answer.Unknown = append(answer.Unknown, unknown...)
		}
	}
	return err
}

// Pieces hands out parts of a list of changes that are small enough for one entry of the log,
// in order, until one fails. size is about how many bytes an entry has of a change.
func Pieces[T any](list []T, size func(*T) int, store func([]T) error) error {
	for len(list) > 0 {
		n, bytes := 0, 0
		for n < len(list) && n < changesAtOnce && (n == 0 || bytes < changeBytesAtOnce) {
			bytes += size(&list[n])
			n++
		}
		if err := store(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}
