package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage/object"
)

// result answers a query as POST …/query/ does, and gives the members of that answer, and its
// token. at, if not empty, is the token of the state to be read. The URL's ?refresh= is that
// of the query.
func (s *Server) result(c *savedCall, query json.RawMessage, at string, now time.Time) (map[string]json.RawMessage, string, error) {
	ctx, project := c.Context(), c.project
	q := &queryRequest{Query: query, At: at, Now: &now, Refresh: json.RawMessage(c.param("refresh"))}
	if err := q.prepare(); err != nil {
		return nil, "", err
	}
	body, token, err := s.answer(ctx, project, q, nil)
	if at != "" && errors.Is(err, session.ErrCutGone) {
		q.At = ""
		body, token, err = s.answer(ctx, project, q, nil)
	}
	if err != nil {
		return nil, "", err
	}
	var fields map[string]json.RawMessage
	return fields, token, json.Unmarshal(body, &fields)
}

// addResult puts the answer to an insight's query beside the insight.
func (s *Server) addResult(c *savedCall, out map[string]any, query json.RawMessage) error {
	_, err := s.addResultAt(c, out, query, "", time.Now())
	return err
}

// addResultAt is addResult of a state and an instant. It gives the token of the state. A
// query that cannot be answered is no error: the insight has "error" then.
func (s *Server) addResultAt(c *savedCall, out map[string]any, query json.RawMessage, at string, now time.Time) (token string, err error) {
	fields, token, err := s.result(c, query, at, now)
	if err != nil {
		if c.Context().Err() != nil {
			return "", err
		}
		s.log(err)
		out["error"] = FromError(err)
		return at, nil
	}
	for name, value := range fields {
		switch name {
		case "results":
			out["result"] = value
		case "query":
			out["sql"] = value
		default:
			if _, taken := out[name]; !taken {
				out[name] = value
			}
		}
	}
	out["last_refresh"] = isoTime(now.UnixMicro())
	return token, nil
}

// overridden is a query under the filters that the URL names: ?from_dashboard= for those of a
// dashboard, and ?filters_override= for a JSON object of its own.
func (s *Server) overridden(c *savedCall, query json.RawMessage) (json.RawMessage, error) {
	if name := c.param("from_dashboard"); name != "" {
		board := *c
		board.kind, board.Request = saved.Dashboards, c.Clone(c.Context())
		board.SetPathValue("object", name)
		o, err := s.find(&board, false)
		if err != nil {
			return nil, err
		}
		var filters saved.Body
		_ = json.Unmarshal(saved.Read(o)["filters"], &filters) // none then
		query = saved.Filter(query, filters)
	}
	over, err := c.filtersOverride()
	if err != nil || over == nil {
		return query, err
	}
	return saved.Filter(query, over), nil
}

// filtersOverride is the filters that the URL gives.
func (c *savedCall) filtersOverride() (saved.Body, error) {
	text := c.param("filters_override")
	if text == "" {
		return nil, nil
	}
	var over saved.Body
	if err := json.Unmarshal([]byte(text), &over); err != nil {
		return nil, invalid("invalid_input", "filters_override", "filters_override is a JSON object, such as {\"date_from\": \"-30d\"}")
	}
	return over, saved.CheckFilters(over, "filters_override")
}

// oldQuery is the query that the filters of an old insight are.
func oldQuery(filters json.RawMessage) (json.RawMessage, error) { return insight.Filters(filters) }

// dashboardsOf is the numbers of the dashboards that an insight is on, by its number.
type dashboardsOf map[int64][]int64

func (d dashboardsOf) of(id int64) []int64 {
	if list := d[id]; list != nil {
		return list
	}
	return []int64{}
}

func (s *Server) onDashboards(project uint32) dashboardsOf {
	out := dashboardsOf{}
	for _, o := range s.Saved.Objects(project).List(object.Dashboard) {
		b := saved.Read(o)
		if b.Deleted() {
			continue
		}
		for _, t := range b.Tiles() {
			if list := out[t.Insight]; t.Insight != 0 && (len(list) == 0 || list[len(list)-1] != o.ID) {
				out[t.Insight] = append(list, o.ID)
			}
		}
	}
	return out
}

// link is GET /insights/…?insight=…, a link to an insight as it once was: the query that it
// stands for and its answer. The project is ?project=, or the first.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	if !values.Has("insight") || !strings.Contains(r.Header.Get("Accept"), "application/json") {
		WriteError(w, notFound("there is nothing at "+r.Method+" "+r.URL.Path))
		return
	}
	out, err := s.followLink(r, values)
	if err != nil {
		s.log(err)
		WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) followLink(r *http.Request, values url.Values) (map[string]json.RawMessage, error) {
	name := values.Get("project")
	if name == "" {
		name = "@current"
	}
	project, err := s.projectNamed(name)
	if err != nil {
		return nil, err
	}
	query, err := insight.Link(values)
	if err != nil {
		return nil, err
	}
	q := &queryRequest{Query: query}
	if err := q.prepare(); err != nil {
		return nil, err
	}
	q.old = true
	body, _, err := s.answer(r.Context(), project, q, nil)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, err
	}
	out["sql"], out["query"] = out["query"], query
	return out, nil
}
