package api

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/insight"
)

// insight answers an insight query and gives the envelope, and the token of what it read.
func (s *Server) insight(ctx context.Context, sess *session.Session, q *queryRequest, began time.Time) (body []byte, token string, err error) {
	a, err := ask.New(ctx, sess)
	if err != nil {
		return nil, "", err
	}
	a.Cache, a.Fresh = s.Answers, q.fresh()
	var answer *insight.Answer
	if q.old {
		err = insight.Missing(q.Query, a.Project())
	}
	if err == nil {
		answer, err = a.Ask(ctx, q.Query)
	}
	if err != nil {
		sess.Fail(err)
		return nil, "", err
	}
	cut, ok := sess.Cut()
	if !ok {
		cut = session.Cut{Index: s.Applied(), Taken: time.Now()}
	}
	env := s.envelope(q, cut, began)
	env.HasMore, env.Query = answer.HasMore, answer.Statements()
	env.RowsRead, env.BytesRead, env.IsCached = a.RowsRead, a.BytesRead, a.Ran == 0
	// The fields of the kind stand beside those of all kinds.
	raw, err := json.Marshal(env)
	if err != nil {
		return nil, "", err
	}
	all := map[string]any{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, "", err
	}
	maps.Copy(all, answer.Fields)
	all["results"] = answer.Results
	if body, err = json.Marshal(all); err != nil {
		return nil, "", err
	}
	return append(body, '\n'), cut.Token(), nil
}
