package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/storage/blob"
)

// progressEvery is how often a long task of the instance says how far it is.
const progressEvery = 200 * time.Millisecond

// maxInstanceBody bounds what is asked of the instance: a URL.
const maxInstanceBody = 64 << 10

// backupInstance answers POST /api/instance/backup/ with {"url": …}: lines of JSON,
// {"type":"progress","bytes","total_bytes"} every now and then, and at the end the backup
// ("type":"done") or {"error": …}. The server opens the URL with its own settings.
func (s *Server) backupInstance(w http.ResponseWriter, r *http.Request) {
	var ask struct{ URL string }
	store, err := s.askedTarget(w, r, &ask, &ask.URL, "this server makes no backups")
	if err != nil {
		api.WriteError(w, err)
		return
	}
	longTask(w, r, func(ctx context.Context, report func(backup.Progress)) (any, error) {
		return s.node.Backup(ctx, store, report)
	})
}

// askedTarget reads the body into ask, and opens the URL that is part of it then. unable is what
// a server says that has nothing to open it with.
func (s *Server) askedTarget(w http.ResponseWriter, r *http.Request, ask any, url *string, unable string) (blob.Store, error) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxInstanceBody)).Decode(ask); err != nil {
		return nil, pgerr.New(pgerr.ProtocolViolation, "the body is %v; send {\"url\": …}", err)
	}
	if s.node == nil || s.config.OpenBlob == nil {
		return nil, pgerr.New(pgerr.FeatureNotSupported, "%s", unable)
	}
	store, err := s.config.OpenBlob(*url)
	if err != nil {
		return nil, pgerr.New(pgerr.InvalidParameterValue, "%v", err)
	}
	return store, nil
}

// restoreInstance answers POST /api/instance/restore/ in the same way: it makes a new project of
// one in a backup. "index" or "time" names the state, "cluster" and "project" what of the target
// it is, where it has several, and "name" what the project is called here.
func (s *Server) restoreInstance(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		URL, Cluster, Project, Name string
		Index                       uint64
		Time                        time.Time
	}
	store, err := s.askedTarget(w, r, &ask, &ask.URL, "this server restores nothing")
	if err != nil {
		api.WriteError(w, err)
		return
	}
	longTask(w, r, func(ctx context.Context, report func(backup.Progress)) (any, error) {
		return s.node.RestoreInto(ctx, store, cluster.IntoOptions{Project: ask.Project, Name: ask.Name,
			RestoreOptions: cluster.RestoreOptions{Cluster: ask.Cluster, Index: ask.Index, Time: ask.Time, Report: report}})
	})
}

// verifyInstance answers POST /api/instance/verify/ in the same way.
func (s *Server) verifyInstance(w http.ResponseWriter, r *http.Request) {
	if s.node == nil {
		api.WriteError(w, pgerr.New(pgerr.FeatureNotSupported, "this server has nothing to verify"))
		return
	}
	longTask(w, r, func(ctx context.Context, report func(backup.Progress)) (any, error) {
		return s.node.Verify(ctx, report)
	})
}

// longTask answers with lines of JSON while a task runs. The task ends with the request.
func longTask(w http.ResponseWriter, r *http.Request, run func(context.Context, func(backup.Progress)) (any, error)) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	var mu sync.Mutex
	var last time.Time
	control, out := http.NewResponseController(w), json.NewEncoder(w)
	result, err := run(r.Context(), func(p backup.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		_ = out.Encode(map[string]any{"type": "progress", "bytes": p.Bytes, "total_bytes": p.TotalBytes}) // the request's context says when the client is gone
		_ = control.Flush()                                                                               // as above
	})
	if err != nil {
		code := "failed"
		if errors.As(err, new(*backup.TargetError)) {
			code = "backup_target"
		}
		if errors.Is(err, cluster.ErrWhichProject) {
			code = "unknown_project"
		}
		_ = out.Encode(map[string]any{"error": map[string]string{"code": code, "detail": err.Error()}}) // as above
		return
	}
	_ = out.Encode(map[string]any{"type": "done", "result": result}) // as above
}
