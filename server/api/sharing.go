package api

import (
	"crypto/rand"
	"encoding/json"
	"net/http"

	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/storage/object"
)

const (
	// shareToken is how long the secret of a shared object is, and shortID the name of an
	// insight in links.
	shareToken = 32
	shortID    = 8
)

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// secret is a random text of letters: it is never a number.
func secret(length int) string {
	out := make([]byte, 0, length)
	var raw [64]byte
	for len(out) < length {
		_, _ = rand.Read(raw[:]) // it never fails
		for _, b := range raw {
			// 256 is no multiple of 52: what is beyond would favour the first letters.
			if int(b) < 256/len(letters)*len(letters) && len(out) < length {
				out = append(out, letters[int(b)%len(letters)])
			}
		}
	}
	return string(out)
}

// shared is what the body of a sharing says.
type shared struct {
	Kind    string `json:"kind"`
	ID      int64  `json:"id"`
	Enabled bool   `json:"enabled"`
}

func readShared(o *object.Object) (sh shared) {
	_ = json.Unmarshal(o.Body, &sh) // one that cannot be read is not enabled
	return sh
}

// sharingOf is the sharing of the object that the path names, nil if it has none.
func (s *Server) sharingOf(c *savedCall) (of *object.Object, sharing *object.Object, err error) {
	if of, err = s.find(c, false); err != nil {
		return nil, nil, err
	}
	for _, o := range s.Saved.Objects(c.project.ID).List(object.Sharing) {
		if sh := readShared(o); sh.Kind == of.Kind && sh.ID == of.ID {
			return of, o, nil
		}
	}
	return of, nil, nil
}

func showSharing(o *object.Object) map[string]any {
	out := map[string]any{"enabled": false, "access_token": nil, "created_at": nil, "url": nil}
	if o != nil {
		out["enabled"], out["access_token"], out["created_at"], out["url"] = readShared(o).Enabled, o.Key, isoTime(o.Created), "/shared/"+o.Key
	}
	return out
}

func (s *Server) getSharing(c *savedCall) (any, error) {
	_, o, err := s.sharingOf(c)
	return showSharing(o), err
}

// updateSharing is PATCH with {"enabled": …}: an object that is shared for the first time gets
// a token, which it keeps.
func (s *Server) updateSharing(c *savedCall) (any, error) {
	in, err := readObject(c)
	if err != nil {
		return nil, err
	}
	var enabled *bool
	if json.Unmarshal(in["enabled"], &enabled) != nil || enabled == nil {
		return nil, invalid("required", "enabled", "enabled is true or false")
	}
	return s.putSharing(c, func(o *object.Object) (string, bool) {
		if o == nil {
			return secret(shareToken), *enabled
		}
		return o.Key, *enabled
	})
}

// refreshSharing gives a new token. The old one opens nothing any more.
func (s *Server) refreshSharing(c *savedCall) (any, error) {
	return s.putSharing(c, func(o *object.Object) (string, bool) { return secret(shareToken), o != nil && readShared(o).Enabled })
}

// putSharing writes the sharing of an object; next says its token, and whether it is enabled.
func (s *Server) putSharing(c *savedCall, next func(*object.Object) (string, bool)) (any, error) {
	s.Saving.Lock() // so that an object has one sharing
	defer s.Saving.Unlock()
	of, o, err := s.sharingOf(c)
	if err != nil {
		return nil, err
	}
	token, enabled := next(o)
	body, err := json.Marshal(shared{of.Kind, of.ID, enabled})
	if err != nil {
		return nil, err
	}
	edit := object.Edit{Kind: object.Sharing, Key: token, Body: body}
	if o != nil {
		edit.ID, edit.Version = o.ID, o.Version
	}
	done, _, err := s.Saved.EditObjects(c.Context(), c.project.ID, []object.Edit{edit})
	if err != nil {
		return nil, err
	}
	return showSharing(done[0]), nil
}

// Shared answers GET /shared/{token}, for everyone who knows the token: the dashboard or the
// insight that it opens, as it is now, and nothing else.
func (s *Server) Shared() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := s.openShared(w, r)
		if err != nil {
			s.log(err)
			WriteError(w, err)
			return
		}
		w.Header().Set("Referrer-Policy", "no-referrer") // the address is a secret
		writeJSON(w, http.StatusOK, out)
	})
}

func (s *Server) openShared(w http.ResponseWriter, r *http.Request) (any, error) {
	nothing := notFound("nothing is shared here")
	token := r.PathValue("token")
	if s.Saved == nil || len(token) != shareToken {
		return nil, nothing
	}
	for _, p := range s.Projects() {
		t := s.Saved.Objects(p.ID)
		o := t.Find(object.Sharing, token)
		if o == nil {
			continue
		}
		sh := readShared(o)
		of := t.Get(sh.Kind, sh.ID)
		if !sh.Enabled || of == nil || saved.Read(of).Deleted() {
			return nil, nothing
		}
		// Nothing that the request says beside the token counts.
		bare := r.Clone(r.Context())
		bare.URL.RawQuery = ""
		c := &savedCall{Request: bare, w: w, project: p, kind: saved.Insights}
		if sh.Kind == object.Dashboard {
			c.kind = saved.Dashboards
		}
		shown, err := s.showOne(c, of, true)
		if err != nil {
			return nil, err
		}
		out := map[string]any{"type": sh.Kind, "timezone": p.Timezone}
		if sh.Kind == object.Dashboard {
			out["dashboard"] = publicDashboard(shown.(map[string]any))
		} else {
			out["insight"] = public(shown.(map[string]any), publicInsight)
		}
		return out, nil
	}
	return nil, nothing
}

// publicInsight is what others may see of an insight.
var publicInsight = []string{"name", "derived_name", "description", "query", "result", "columns", "types", "hasMore", "error", "last_refresh"}

// public is some members of what is shown.
func public(shown map[string]any, names []string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if value, ok := shown[name]; ok {
			out[name] = value
		}
	}
	return out
}

func publicDashboard(shown map[string]any) map[string]any {
	out := public(shown, []string{"name", "description", "filters"})
	tiles := []any{}
	for _, t := range shown["tiles"].([]any) {
		tile := t.(map[string]any)
		if one, ok := tile["insight"].(map[string]any); ok {
			tile["insight"] = public(one, publicInsight)
		}
		tiles = append(tiles, tile)
	}
	out["tiles"] = tiles
	return out
}
