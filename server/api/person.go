package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
)

const (
	dayMicros = 86_400_000_000
	// maxRetentionDays is a century: beyond it, times no longer fit.
	maxRetentionDays = 36_525
	// maxBulkPersons is how many persons a request may delete.
	maxBulkPersons = 1000
)

// Persons changes persons; a cluster.Node is one.
type Persons interface {
	DeletePersons(ctx context.Context, project uint32, persons []vec.UUIDValue, events bool) (int, error)
	SplitPerson(ctx context.Context, project uint32, split storage.PersonSplit) error
}

// persons finds the project that a path names, and says whether persons can be changed.
func (s *Server) persons(r *http.Request) (storage.Project, error) {
	p, err := s.project(r)
	if err == nil && s.Persons == nil {
		err = pgerr.Unsupported("changing persons over HTTP")
	}
	return p, err
}

func personID(text, attr string) (vec.UUIDValue, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return vec.UUIDValue{}, invalid("invalid_input", attr, quoted(text)+" is not a uuid")
	}
	return vec.UUIDValue(id), nil
}

// deletePerson is DELETE /api/projects/:id/persons/:uuid/. With ?delete_events=true the
// person's events and distinct ids go too.
func (s *Server) deletePerson(w http.ResponseWriter, r *http.Request) {
	project, err := s.persons(r)
	if err != nil {
		WriteError(w, err)
		return
	}
	id, err := personID(r.PathValue("person"), "person")
	if err != nil {
		WriteError(w, err)
		return
	}
	events := false
	if text := r.URL.Query().Get("delete_events"); text != "" {
		if events, err = strconv.ParseBool(text); err != nil {
			WriteError(w, invalid("invalid_input", "delete_events", "delete_events is true or false"))
			return
		}
	}
	n, err := s.Persons.DeletePersons(r.Context(), project.ID, []vec.UUIDValue{id}, events)
	if err == nil && n == 0 {
		err = notFound("there is no person " + quoted(r.PathValue("person")))
	}
	if err != nil {
		s.log(err)
		WriteError(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// deletePersons is POST /api/projects/:id/persons/bulk_delete/.
func (s *Server) deletePersons(w http.ResponseWriter, r *http.Request) {
	project, err := s.persons(r)
	var in struct {
		IDs          []string `json:"ids"`
		DeleteEvents bool     `json:"delete_events"`
	}
	if err == nil {
		err = readBody(w, r, &in)
	}
	if err == nil && (len(in.IDs) == 0 || len(in.IDs) > maxBulkPersons) {
		err = invalid("invalid_input", "ids", "ids are 1 to "+strconv.Itoa(maxBulkPersons)+" uuids of persons")
	}
	if err != nil {
		WriteError(w, err)
		return
	}
	ids := make([]vec.UUIDValue, len(in.IDs))
	for i, text := range in.IDs {
		if ids[i], err = personID(text, "ids"); err != nil {
			WriteError(w, err)
			return
		}
	}
	n, err := s.Persons.DeletePersons(r.Context(), project.ID, ids, in.DeleteEvents)
	if err != nil {
		s.log(err)
		WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusAccepted, map[string]any{"persons_found": n, "persons_deleted": n})
}

// splitPerson is POST /api/projects/:id/persons/:uuid/split/: each of the distinct ids
// becomes a person of its own, with all of its events.
func (s *Server) splitPerson(w http.ResponseWriter, r *http.Request) {
	project, err := s.persons(r)
	var in struct {
		DistinctIDs    []string `json:"distinct_ids"`
		DropProperties bool     `json:"drop_properties"`
	}
	if err == nil {
		err = readBody(w, r, &in)
	}
	if err == nil && len(in.DistinctIDs) == 0 {
		err = invalid("required", "distinct_ids", "distinct_ids are those that become persons of their own")
	}
	var id vec.UUIDValue
	if err == nil {
		id, err = personID(r.PathValue("person"), "person")
	}
	if err == nil {
		err = s.Persons.SplitPerson(r.Context(), project.ID, storage.PersonSplit{Person: id, DistinctIDs: in.DistinctIDs, Forget: in.DropProperties})
	}
	switch {
	case errors.Is(err, storage.ErrNoPerson):
		err = notFound("there is no person " + quoted(r.PathValue("person")))
	case errors.Is(err, person.ErrShared) || errors.Is(err, person.ErrNotTheirs):
		err = invalid("invalid_input", "distinct_ids", err.Error())
	}
	if err != nil {
		s.log(err)
		WriteError(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// readBody reads a small JSON body. Members that it does not know are an error: a misspelt
// one would delete less, or more, than was meant.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxProjectBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is more behind it")
		}
	}
	var tooLarge *http.MaxBytesError
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}
	return invalid("invalid_json", "body", "the body is not the JSON that is expected: "+err.Error())
}
