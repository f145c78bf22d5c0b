package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/vec"
)

// membersAtOnce is how many members of a cohort go through the log in one piece.
const membersAtOnce = 20_000

// calculations remember how many persons cohorts had when they were last counted.
type calculations struct {
	mu   sync.Mutex
	last map[cohortKey]calculation
}

type cohortKey struct {
	project uint32
	id      int64
}

// calculation is the last count of a cohort.
type calculation struct {
	at     time.Time
	count  int64
	failed *Error // then there is no count
}

func (l *calculations) put(project uint32, id int64, c calculation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[cohortKey]calculation{}
	}
	l.last[cohortKey{project, id}] = c
}

func (l *calculations) has(project uint32, id int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, counted := l.last[cohortKey{project, id}]
	return counted
}

// show adds the last count of a cohort. One that was not counted yet has none.
func (l *calculations) show(out map[string]any, project uint32, id int64) {
	l.mu.Lock()
	c, counted := l.last[cohortKey{project, id}]
	l.mu.Unlock()
	out["is_calculating"], out["count"], out["last_calculation"], out["errors_calculating"] = false, nil, nil, 0
	if !counted {
		return
	}
	out["last_calculation"] = isoTime(c.at.UnixMicro())
	if c.failed != nil {
		out["errors_calculating"], out["error"] = 1, c.failed
	} else {
		out["count"] = c.count
	}
}

// asking opens a session for questions about a project.
func (s *Server) asking(c *savedCall, do func(*ask.Asker) error) error {
	sess, err := s.Open(c.Context(), c.project, nil, nil, "")
	if err != nil {
		return err
	}
	defer sess.Close()
	a, err := ask.New(c.Context(), sess)
	if err == nil {
		a.Cache = s.Answers
		err = do(a)
	}
	return err
}

// cohortOf is a cohort as queries know it.
func cohortOf(id int64, b saved.Body) *insight.Cohort {
	return &insight.Cohort{ID: id, Name: b.Text("name"), Static: string(b["is_static"]) == "true", Filters: b["filters"], Groups: b["groups"], Query: b["query"], SQL: b.Definition()}
}

// calculate counts the persons of a cohort, and remembers how many there are.
func (s *Server) calculate(c *savedCall, id int64, b saved.Body) (count int64, err error) {
	at := time.Now()
	err = s.asking(c, func(a *ask.Asker) (err error) {
		count, err = a.CountMembers(c.Context(), cohortOf(id, b))
		return err
	})
	switch {
	case err == nil:
		s.calculated.put(c.project.ID, id, calculation{at: at, count: count})
	case c.Context().Err() == nil:
		s.log(err)
		s.calculated.put(c.project.ID, id, calculation{at: at, failed: FromError(err)})
	}
	return count, err
}

// checkCohort refuses a cohort whose conditions cannot be asked.
func (s *Server) checkCohort(c *savedCall, id int64, b saved.Body) error {
	err := s.asking(c, func(a *ask.Asker) error {
		k := cohortOf(id, b)
		if !empty(k.Query) || k.SQL != "" {
			k.Static = false // its members will be those of the query
		}
		_, err := a.CountMembers(c.Context(), k)
		return err
	})
	var refused *insight.Refused
	if errors.As(err, &refused) || c.Context().Err() != nil {
		return err
	}
	return nil // it is saved, and says what is wrong when it is read
}

// membersToBe is the persons that a static cohort begins with: those of its query.
func (s *Server) membersToBe(c *savedCall, b saved.Body) (members []vec.UUIDValue, err error) {
	if c.kind != saved.Cohorts || string(b["is_static"]) != "true" || !b.Has("query") && !b.Has("sql") {
		return nil, nil
	}
	err = s.asking(c, func(a *ask.Asker) (err error) {
		k := cohortOf(0, b)
		k.Static = false
		members, err = a.Members(c.Context(), k)
		return err
	})
	return members, err
}

// readSaved reads the body of an object. That of a cohort may be a form with a file of ids.
func (s *Server) readSaved(c *savedCall) (in saved.Body, ids []string, err error) {
	kind, _, _ := strings.Cut(c.Header.Get("Content-Type"), ";")
	if c.kind != saved.Cohorts || strings.TrimSpace(kind) != "multipart/form-data" {
		in, err = readObject(c)
		return in, nil, err
	}
	in, ids, err = readForm(c)
	if err == nil && len(ids) > 0 && c.Method == http.MethodPost && string(in["is_static"]) != "true" {
		err = invalid("invalid_input", "is_static", "only a cohort with is_static takes a file of ids")
	}
	return in, ids, err
}

// readForm reads a form: the file "csv" holds ids, other parts are fields.
func readForm(c *savedCall) (saved.Body, []string, error) {
	c.Body = http.MaxBytesReader(c.w, c.Body, maxUpload)
	form, err := c.MultipartReader()
	if err != nil {
		return nil, nil, invalid("invalid_input", "body", "the form cannot be read: "+err.Error())
	}
	in := saved.Body{}
	var ids []string
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return in, ids, nil
		}
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return nil, nil, err
		case err != nil:
			return nil, nil, invalid("invalid_input", "body", "the form cannot be read: "+err.Error())
		}
		if name := part.FormName(); name == "csv" || name == "file" {
			more, err := saved.ReadIDs(part)
			if err != nil {
				return nil, nil, err
			}
			ids = append(ids, more...)
			continue
		}
		raw, err := io.ReadAll(io.LimitReader(part, maxSavedBody))
		if err != nil {
			return nil, nil, err
		}
		in[part.FormName()] = formValue(raw)
	}
}

// formValue is a field of a form as JSON: what is JSON itself, but for numbers, is taken as it is.
func formValue(raw []byte) json.RawMessage {
	text := strings.TrimSpace(string(raw))
	switch strings.ToLower(text) {
	case "true", "false", "null":
		return json.RawMessage(strings.ToLower(text))
	}
	if text != "" && strings.ContainsAny(text[:1], `{["`) && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(`""`) // texts always marshal
	}
	return quoted
}

// withMembers adds the first members of a cohort that was written, and shows it; other
// objects it just shows.
func (s *Server) withMembers(c *savedCall, o *object.Object, ids []string, members []vec.UUIDValue) (any, error) {
	var report *memberReport
	if len(ids) > 0 || len(members) > 0 {
		if string(saved.Read(o)["is_static"]) != "true" {
			return nil, invalid("invalid_input", "is_static", "only a cohort with is_static takes a file of ids")
		}
		var err error
		if report, err = s.addMembers(c, o.ID, ids, members, false); err != nil {
			return nil, err
		}
	}
	shown, err := s.showOne(c, o, c.kind == saved.Cohorts)
	if err == nil && report != nil {
		out := shown.(map[string]any)
		out["unknown"] = report.Unknown
	}
	return shown, err
}

// memberReport is what became of a change of members.
type memberReport struct {
	Count   int      `json:"count"`   // of the cohort, now
	Unknown []string `json:"unknown"` // ids of no person with a profile
}

// addMembers adds persons to a static cohort, or takes them out. An id that is none of a
// person may be the person's uuid.
func (s *Server) addMembers(c *savedCall, cohort int64, ids []string, persons []vec.UUIDValue, remove bool) (*memberReport, error) {
	report := &memberReport{Unknown: []string{}}
	edit := func(ids []string, persons []vec.UUIDValue) ([]string, error) {
		done, _, err := s.Saved.EditMembers(c.Context(), c.project.ID, storage.MemberEdit{Cohort: cohort, DistinctIDs: ids, Persons: persons, Remove: remove})
		report.Count = done.Members
		return done.Unknown, err
	}
	first := true
	for ; first || len(ids) > 0; first = false {
		n := min(len(ids), membersAtOnce)
		unknown, err := edit(ids[:n], nil)
		if err != nil {
			return nil, err
		}
		for _, id := range unknown {
			if u, err := uuid.Parse(id); err == nil && len(id) == 36 {
				persons = append(persons, vec.UUIDValue(u))
			} else {
				report.Unknown = append(report.Unknown, id)
			}
		}
		ids = ids[n:]
	}
	for len(persons) > 0 {
		n := min(len(persons), membersAtOnce)
		unknown, err := edit(nil, persons[:n])
		if err != nil {
			return nil, err
		}
		report.Unknown = append(report.Unknown, unknown...)
		persons = persons[n:]
	}
	s.calculated.put(c.project.ID, cohort, calculation{at: time.Now(), count: int64(report.Count)})
	return report, nil
}

// editMembers adds persons to a static cohort, or takes them out: by "distinct_ids", by
// "person_ids", which are uuids, or from a file of either.
func (s *Server) editMembers(c *savedCall, remove bool) (any, error) {
	o, err := s.find(c, false)
	if err != nil {
		return nil, err
	}
	if string(saved.Read(o)["is_static"]) != "true" {
		return nil, invalid("invalid_input", "is_static", "cohort "+strconv.FormatInt(o.ID, 10)+" is not static: its members are those that its conditions find")
	}
	ids, persons, err := readMembers(c)
	if err != nil {
		return nil, err
	}
	return s.addMembers(c, o.ID, ids, persons, remove)
}

func readMembers(c *savedCall) (ids []string, persons []vec.UUIDValue, err error) {
	kind, _, _ := strings.Cut(c.Header.Get("Content-Type"), ";")
	switch strings.TrimSpace(kind) {
	case "text/csv":
		ids, err = saved.ReadIDs(http.MaxBytesReader(c.w, c.Body, maxUpload))
		return ids, nil, err
	case "multipart/form-data":
		_, ids, err = readForm(c)
		return ids, nil, err
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxUpload))
	if err != nil {
		return nil, nil, err
	}
	var in struct {
		IDs     []string `json:"distinct_ids"`
		Persons []string `json:"person_ids"`
		Person  string   `json:"person_id"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, nil, invalid("invalid_json", "body", "the body is not the JSON that is expected: "+err.Error())
	}
	if in.Person != "" {
		in.Persons = append(in.Persons, in.Person)
	}
	for _, text := range in.Persons {
		id, err := personID(text, "person_ids")
		if err != nil {
			return nil, nil, err
		}
		persons = append(persons, id)
	}
	if len(in.IDs)+len(persons) == 0 {
		return nil, nil, invalid("required", "distinct_ids", "the body names persons by distinct_ids, or by person_ids")
	}
	return in.IDs, persons, nil
}

// cohortPersons is a list of a cohort's persons; ?search= looks into their ids, names and
// addresses.
func (s *Server) cohortPersons(c *savedCall) (any, error) {
	o, err := s.find(c, false)
	if err != nil {
		return nil, err
	}
	limit, offset, err := c.paging()
	if err != nil {
		return nil, err
	}
	query, err := json.Marshal(map[string]any{"kind": "ActorsQuery", "select": []string{"actor"}, "limit": limit, "offset": offset, "search": c.param("search"),
		"properties": []any{map[string]any{"type": "cohort", "key": "id", "value": o.ID}}})
	if err != nil {
		return nil, err
	}
	count := 0
	var answer *insight.Answer
	err = s.asking(c, func(a *ask.Asker) (err error) {
		if answer, err = a.Ask(c.Context(), query); err != nil {
			return err
		}
		n, err := a.CountMembers(c.Context(), cohortOf(o.ID, saved.Read(o)))
		count = int(n)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, ok := answer.Results.([][]any)
	if !ok {
		return nil, fmt.Errorf("cohort %d: persons are %T", o.ID, answer.Results)
	}
	results := []any{}
	for _, row := range rows {
		results = append(results, row[0])
	}
	if c.param("search") != "" { // how many more there are is not counted
		count = offset + len(results)
		if answer.HasMore != nil && *answer.HasMore {
			count++
		}
	}
	return c.pageOf(results, count, limit, offset), nil
}
