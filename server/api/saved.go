package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
)

const (
	// defaultPage and maxPage are how many results a list has unless it says, and at most.
	defaultPage = 100
	maxPage     = 1000
	// maxSavedBody bounds the body of an object that is sent, and maxUpload a file of ids.
	maxSavedBody = 2 << 20
	maxUpload    = 64 << 20
	// countingTime is how long a list may take to count cohorts that were not counted before.
	countingTime = 2 * time.Second
	// maxTries is how often a change is made again that met another one.
	maxTries = 5
)

// Saved keeps the objects of projects.
type Saved interface {
	Objects(project uint32) *object.Table
	EditObjects(ctx context.Context, project uint32, edits []object.Edit) ([]*object.Object, cluster.Receipt, error)
	EditMembers(ctx context.Context, project uint32, edit storage.MemberEdit) (storage.MemberResult, cluster.Receipt, error)
	Snapshot(project uint32) (*storage.Snapshot, error)
}

// savedCall is one request about saved objects.
type savedCall struct {
	*http.Request
	w       http.ResponseWriter
	project storage.Project
	kind    *saved.Kind // or nil
	status  int         // of the answer
}

func (c *savedCall) param(name string) string { return c.URL.Query().Get(name) }

// isSet says whether a parameter is true.
func (c *savedCall) isSet(name string) bool {
	on, err := strconv.ParseBool(c.param(name))
	return err == nil && on
}

// savedHandler answers with what h gives as JSON, or with nothing.
func (s *Server) savedHandler(kind *saved.Kind, h func(*savedCall) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &savedCall{Request: r, w: w, kind: kind, status: http.StatusOK}
		var out any
		var err error
		if c.project, err = s.project(r); err == nil && s.Saved == nil {
			err = pgerr.Unsupported("saved objects without a store")
		}
		if err == nil {
			out, err = h(c)
		}
		if err != nil {
			s.log(err)
			WriteError(w, err)
			return
		}
		if r.Method != http.MethodGet {
			s.written(w)
		}
		if out == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		writeJSON(w, c.status, out)
	}
}

// savedRoutes are those of objects that have numbers.
func (s *Server) savedRoutes(both func(method, path string, h http.HandlerFunc)) {
	for _, k := range saved.Kinds {
		base := "/api/projects/{id}/" + k.Path
		both("GET", base, s.savedHandler(k, s.listSaved))
		both("POST", base, s.savedHandler(k, s.createSaved))
		both("GET", base+"/{object}", s.savedHandler(k, s.getSaved))
		both("PATCH", base+"/{object}", s.savedHandler(k, s.updateSaved))
		both("DELETE", base+"/{object}", s.savedHandler(k, s.deleteSaved))
	}
	for _, k := range []*saved.Kind{saved.Insights, saved.Dashboards} {
		sharing := "/api/projects/{id}/" + k.Path + "/{object}/sharing"
		both("GET", sharing, s.savedHandler(k, s.getSharing))
		both("PATCH", sharing, s.savedHandler(k, s.updateSharing))
		both("POST", sharing+"/refresh", s.savedHandler(k, s.refreshSharing))
	}
	cohort := "/api/projects/{id}/cohorts/{object}/"
	both("GET", cohort+"persons", s.savedHandler(saved.Cohorts, s.cohortPersons))
	for _, method := range []string{"POST", "PATCH"} {
		both(method, cohort+"add_persons_to_static_cohort", s.savedHandler(saved.Cohorts, func(c *savedCall) (any, error) { return s.editMembers(c, false) }))
		both(method, cohort+"remove_persons_from_static_cohort", s.savedHandler(saved.Cohorts, func(c *savedCall) (any, error) { return s.editMembers(c, true) }))
		both(method, cohort+"remove_person_from_static_cohort", s.savedHandler(saved.Cohorts, func(c *savedCall) (any, error) { return s.editMembers(c, true) }))
	}
}

// find is the object that the path names, by its number or an insight's short id. Those that
// were deleted are not found unless deleted is true.
func (s *Server) find(c *savedCall, deleted bool) (*object.Object, error) {
	name := c.PathValue("object")
	t := s.Saved.Objects(c.project.ID)
	var o *object.Object
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		o = t.Get(c.kind.Name, id)
	} else if c.kind == saved.Insights {
		o = t.Find(c.kind.Name, name)
	}
	if o == nil || !deleted && saved.Read(o).Deleted() {
		return nil, notFound("there is no " + c.kind.Called + " " + quoted(name))
	}
	return o, nil
}

// readObject reads a body that is an object.
func readObject(c *savedCall) (saved.Body, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxSavedBody))
	if err != nil {
		return nil, err
	}
	var b saved.Body
	if err := json.Unmarshal(raw, &b); err != nil || b == nil {
		return nil, invalid("invalid_json", "body", "the body is not a JSON object")
	}
	return b, nil
}

// page is a part of a list in the shape of all lists.
type page struct {
	Count    int     `json:"count"`
	Next     *string `json:"next"`
	Previous *string `json:"previous"`
	Results  []any   `json:"results"`
}

// paging is which part of a list is asked for.
func (c *savedCall) paging() (limit, offset int, err error) {
	limit = defaultPage
	for _, p := range []struct {
		name     string
		n        *int
		min, max int
	}{{"limit", &limit, 1, maxPage}, {"offset", &offset, 0, 1 << 30}} {
		text := c.param(p.name)
		if text == "" {
			continue
		}
		if *p.n, err = strconv.Atoi(text); err != nil || *p.n < p.min {
			return 0, 0, invalid("invalid_input", p.name, p.name+" is a number from "+strconv.Itoa(p.min)+" on")
		}
		*p.n = min(*p.n, p.max)
	}
	return limit, offset, nil
}

// pageOf shapes a part of count results.
func (c *savedCall) pageOf(results []any, count, limit, offset int) *page {
	at := func(offset int) *string {
		values := url.Values{}
		for name, v := range c.URL.Query() {
			values[name] = v
		}
		values.Set("limit", strconv.Itoa(limit))
		values.Set("offset", strconv.Itoa(offset))
		text := "http://" + c.Host + c.URL.Path + "?" + values.Encode()
		return &text
	}
	p := &page{Count: count, Results: results}
	if offset+limit < count {
		p.Next = at(offset + limit)
	}
	if offset > 0 {
		p.Previous = at(max(offset-limit, 0))
	}
	return p
}

// cutPage is the part of a list that is asked for, as show shows it.
func cutPage[T any](c *savedCall, list []T, show func(T) (any, error)) (*page, error) {
	limit, offset, err := c.paging()
	if err != nil {
		return nil, err
	}
	results := []any{}
	for _, x := range list[min(offset, len(list)):min(offset+limit, len(list))] {
		out, err := show(x)
		if err != nil {
			return nil, err
		}
		results = append(results, out)
	}
	return c.pageOf(results, len(list), limit, offset), nil
}

// savedObject is an object with its body read.
type savedObject struct {
	*object.Object
	body saved.Body
}

// listSaved is GET of the objects of a kind. ?search= looks into their texts, ?tags= wants one
// of some tags, and ?order= sorts by a field, downwards with a "-" before it.
func (s *Server) listSaved(c *savedCall) (any, error) {
	var list []savedObject
	search, tags := strings.ToLower(c.param("search")), c.param("tags")
	wants, err := c.wants(s)
	if err != nil {
		return nil, err
	}
	for _, o := range s.Saved.Objects(c.project.ID).List(c.kind.Name) {
		b := saved.Read(o)
		if b.Deleted() || !wants(o, b) || tags != "" && !tagged(b, strings.Split(tags, ",")) {
			continue
		}
		if search != "" && !slices.ContainsFunc(c.kind.Search, func(f string) bool { return strings.Contains(strings.ToLower(b.Text(f)), search) }) {
			continue
		}
		list = append(list, savedObject{o, b})
	}
	if err := sortSaved(list, cmp.Or(c.param("order"), c.param("ordering"), "-id")); err != nil {
		return nil, err
	}
	onBoards, began := s.onDashboards(c.project.ID), time.Now()
	return cutPage(c, list, func(o savedObject) (any, error) {
		if c.kind == saved.Cohorts && !s.calculated.has(c.project.ID, o.ID) && time.Since(began) < countingTime {
			if _, err := s.calculate(c, o.ID, o.body); err != nil && c.Context().Err() != nil {
				return nil, err
			}
		}
		out := s.show(c, o.Object, o.body)
		if c.kind == saved.Insights {
			out["dashboards"] = onBoards.of(o.ID)
			if c.param("short_id") != "" {
				return out, s.addResult(c, out, o.body["query"])
			}
		}
		return out, nil
	})
}

// wants is what a list of a kind can be narrowed by.
func (c *savedCall) wants(s *Server) (func(*object.Object, saved.Body) bool, error) {
	flag := func(name string) func(*object.Object, saved.Body) bool {
		want, err := strconv.ParseBool(c.param(name))
		return func(_ *object.Object, b saved.Body) bool { return err != nil || want == (string(b[name]) == "true") }
	}
	switch c.kind {
	case saved.Insights:
		short, favorited := c.param("short_id"), flag("favorited")
		return func(o *object.Object, b saved.Body) bool { return (short == "" || o.Key == short) && favorited(o, b) }, nil
	case saved.Dashboards:
		return flag("pinned"), nil
	case saved.Cohorts:
		return flag("is_static"), nil
	case saved.Annotations:
		return c.wantedAnnotations()
	}
	return func(*object.Object, saved.Body) bool { return true }, nil
}

// wantedAnnotations narrows annotations by scope, by what they are about, and by time.
func (c *savedCall) wantedAnnotations() (func(*object.Object, saved.Body) bool, error) {
	var from, to time.Time
	for name, at := range map[string]*time.Time{"date_from": &from, "date_to": &to} {
		if text := c.param(name); text != "" {
			var err error
			if *at, err = saved.Instant(text, name); err != nil {
				return nil, err
			}
		}
	}
	scope := c.param("scope")
	return func(_ *object.Object, b saved.Body) bool {
		at, err := saved.Instant(b.Text("date_marker"), "date_marker")
		if err == nil && (!from.IsZero() && at.Before(from) || !to.IsZero() && at.After(to)) {
			return false
		}
		for _, name := range []string{"dashboard_item", "dashboard_id"} {
			if want := c.param(name); want != "" && want != strconv.FormatInt(b.Number(name), 10) {
				return false
			}
		}
		return scope == "" || scope == cmp.Or(b.Text("scope"), "project")
	}, nil
}

// tagged says whether an object has one of some tags.
func tagged(b saved.Body, wanted []string) bool {
	var tags []string
	_ = json.Unmarshal(b["tags"], &tags) // none then
	return slices.ContainsFunc(tags, func(t string) bool { return slices.Contains(wanted, t) })
}

// sortSaved sorts by a field, downwards if a "-" is before it.
func sortSaved(list []savedObject, order string) error {
	field, down := strings.CutPrefix(order, "-")
	by, known := map[string]func(a, b savedObject) int{
		"id":         func(a, b savedObject) int { return cmp.Compare(a.ID, b.ID) },
		"created_at": func(a, b savedObject) int { return cmp.Compare(a.Created, b.Created) },
		"updated_at": func(a, b savedObject) int { return cmp.Compare(a.Updated, b.Updated) },
		"name": func(a, b savedObject) int {
			return cmp.Compare(strings.ToLower(a.body.Title()), strings.ToLower(b.body.Title()))
		},
		"date_marker": func(a, b savedObject) int { return cmp.Compare(a.body.Text("date_marker"), b.body.Text("date_marker")) },
	}[field]
	if !known {
		return invalid("invalid_input", "order", "order is id, name, created_at, updated_at or date_marker, perhaps with a - before it")
	}
	slices.SortStableFunc(list, func(a, b savedObject) int {
		n := cmp.Or(by(a, b), cmp.Compare(a.ID, b.ID))
		if down {
			return -n
		}
		return n
	})
	return nil
}

// show is an object as every answer shows it.
func (s *Server) show(c *savedCall, o *object.Object, b saved.Body) map[string]any {
	out := map[string]any{"id": o.ID, "team_id": c.project.ID, "created_at": isoTime(o.Created), "updated_at": isoTime(o.Updated),
		"created_by": nil, "version": o.Version}
	for name, value := range c.kind.Show(b) {
		out[name] = value
	}
	switch c.kind {
	case saved.Insights:
		out["short_id"], out["result"], out["last_refresh"], out["saved"] = o.Key, nil, nil, true
	case saved.Dashboards:
		delete(out, "tiles") // of one dashboard, not of a list
	case saved.Cohorts:
		s.calculated.show(out, c.project.ID, o.ID)
	}
	return out
}

func isoTime(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000Z")
}

// showOne is show with what a list does not have.
func (s *Server) showOne(c *savedCall, o *object.Object, results bool) (any, error) {
	b := saved.Read(o)
	out := s.show(c, o, b)
	switch c.kind {
	case saved.Insights:
		out["dashboards"] = s.onDashboards(c.project.ID).of(o.ID)
		if results {
			query, err := s.overridden(c, b["query"])
			if err != nil {
				return nil, err
			}
			return out, s.addResult(c, out, query)
		}
	case saved.Dashboards:
		return out, s.addTiles(c, out, b, results)
	case saved.Cohorts:
		if results {
			if _, err := s.calculate(c, o.ID, b); err != nil && c.Context().Err() != nil {
				return nil, err
			}
			s.calculated.show(out, c.project.ID, o.ID)
		}
	}
	return out, nil
}

func (s *Server) getSaved(c *savedCall) (any, error) {
	o, err := s.find(c, false)
	if err != nil {
		return nil, err
	}
	return s.showOne(c, o, true)
}

func (s *Server) createSaved(c *savedCall) (any, error) {
	in, ids, err := s.readSaved(c)
	if err != nil {
		return nil, err
	}
	b := saved.Body{}
	if err := s.patch(c, 0, b, in); err != nil {
		return nil, err
	}
	members, err := s.membersToBe(c, b)
	if err != nil {
		return nil, err
	}
	edit := object.Edit{Kind: c.kind.Name, Body: b.JSON()}
	if c.kind == saved.Insights {
		edit.Key = secret(shortID)
	}
	done, err := s.store(c, edit, false)
	if err != nil {
		return nil, err
	}
	c.status = http.StatusCreated
	if err := s.follow(c, done, in); err != nil {
		return nil, err
	}
	return s.withMembers(c, done, ids, members)
}

// updateSaved is PATCH of one object: what the body names is changed. With "version", that
// must be the object's.
func (s *Server) updateSaved(c *savedCall) (any, error) {
	in, ids, err := s.readSaved(c)
	if err != nil {
		return nil, err
	}
	var done *object.Object
	for try := 0; ; try++ {
		o, err := s.find(c, true)
		if err != nil {
			return nil, err
		}
		b := saved.Read(o)
		if b.Deleted() && string(in["deleted"]) != "false" {
			return nil, notFound("there is no " + c.kind.Called + " " + quoted(c.PathValue("object")))
		}
		version := o.Version
		if in.Has("version") {
			version = in.Number("version")
		}
		if err := s.patch(c, o.ID, b, in); err != nil {
			return nil, err
		}
		done, err = s.store(c, object.Edit{Kind: c.kind.Name, ID: o.ID, Key: o.Key, Body: b.JSON(), Version: max(version, 1)}, b.Deleted())
		var conflict *object.ConflictError
		if errors.As(err, &conflict) && !in.Has("version") && try < maxTries {
			continue
		}
		if err != nil {
			return nil, err
		}
		break
	}
	if err := s.follow(c, done, in); err != nil {
		return nil, err
	}
	return s.withMembers(c, done, ids, nil)
}

// deleteSaved puts an object aside: a PATCH with {"deleted": false} brings it back.
func (s *Server) deleteSaved(c *savedCall) (any, error) {
	for try := 0; ; try++ {
		o, err := s.find(c, false)
		if err != nil {
			return nil, err
		}
		b := saved.Read(o)
		b["deleted"] = json.RawMessage("true")
		_, err = s.store(c, object.Edit{Kind: c.kind.Name, ID: o.ID, Key: o.Key, Body: b.JSON(), Version: o.Version}, true)
		var conflict *object.ConflictError
		if !errors.As(err, &conflict) || try == maxTries {
			return nil, err
		}
	}
}

// patch changes a body by what was sent, and checks it.
func (s *Server) patch(c *savedCall, id int64, b, in saved.Body) error {
	t := s.Saved.Objects(c.project.ID)
	switch c.kind {
	case saved.Insights:
		if !in.Has("query") && in.Has("filters") && string(in["filters"]) != "{}" {
			query, err := oldQuery(in["filters"])
			if err != nil {
				return err
			}
			in["query"] = query
		}
		if _, err := dashboardsIn(t, in); err != nil {
			return err
		}
	case saved.Dashboards:
		if in.Has("tiles") {
			tiles, err := saved.PatchTiles(b.Tiles(), in["tiles"], func(insight int64) bool {
				o := t.Get(object.Insight, insight)
				return o != nil && !saved.Read(o).Deleted()
			})
			if err != nil {
				return err
			}
			rest := saved.Body{}
			for name, value := range in {
				if name != "tiles" {
					rest[name] = value
				}
			}
			b.SetTiles(tiles)
			in = rest
		}
	case saved.Annotations:
		if id == 0 && !in.Has("date_marker") {
			b["date_marker"] = json.RawMessage(strconv.Quote(isoTime(time.Now().UnixMicro())))
		}
	}
	c.kind.Patch(b, in)
	if err := c.kind.Check(b); err != nil {
		return err
	}
	switch c.kind {
	case saved.Annotations:
		return s.checkAbout(t, b)
	case saved.Cohorts:
		changed := in.Has("filters") || in.Has("groups") || in.Has("query") || in.Has("sql") || in.Has("is_static")
		if !changed {
			return nil
		}
		if b.Has("sql") {
			query, err := saved.ByNumber(t, b.Definition())
			if err != nil {
				return err
			}
			b.SetText("sql", query)
		}
		if err := saved.Cycle(t, map[saved.Ref]json.RawMessage{{Kind: object.Cohort, ID: id}: b.JSON()}); err != nil {
			return err
		}
		return s.checkCohort(c, id, b)
	}
	return nil
}

// checkAbout checks that there is what an annotation is about.
func (s *Server) checkAbout(t *object.Table, b saved.Body) error {
	for name, kind := range map[string]string{"dashboard_item": object.Insight, "dashboard_id": object.Dashboard} {
		if id := b.Number(name); id != 0 && t.Get(kind, id) == nil {
			return invalid("invalid_input", name, "there is no "+kind+" "+strconv.FormatInt(id, 10))
		}
	}
	return nil
}

// store writes an object, unless that makes a cycle, or deletes what others need.
func (s *Server) store(c *savedCall, edit object.Edit, deletes bool) (*object.Object, error) {
	if c.kind == saved.Actions || c.kind == saved.Cohorts {
		s.Saving.Lock()
		defer s.Saving.Unlock()
		t := s.Saved.Objects(c.project.ID)
		ref := saved.Ref{Kind: c.kind.Name, ID: edit.ID}
		if deletes && !c.isSet("force") {
			if users := saved.Users(t, c.project, ref); len(users) > 0 {
				return nil, &Error{Status: http.StatusConflict, Type: "invalid_request", Code: "in_use", UsedBy: users,
					Detail: "the " + c.kind.Called + " is used by " + saved.ListUsers(users),
					Hint:   "Take it out there first, or delete it nevertheless with ?force=true."}
			}
		}
		if !deletes && edit.ID != 0 {
			if err := saved.Cycle(t, map[saved.Ref]json.RawMessage{ref: edit.Body}); err != nil {
				return nil, err
			}
		}
	}
	done, _, err := s.Saved.EditObjects(c.Context(), c.project.ID, []object.Edit{edit})
	if err != nil {
		return nil, err
	}
	return done[0], nil
}

// follow changes what else an object's body says: an insight's dashboards.
func (s *Server) follow(c *savedCall, o *object.Object, in saved.Body) error {
	if c.kind != saved.Insights || !in.Has("dashboards") {
		return nil
	}
	want, err := dashboardsIn(s.Saved.Objects(c.project.ID), in)
	if err != nil {
		return err
	}
	return s.putOnDashboards(c, o.ID, want)
}
