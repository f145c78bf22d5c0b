package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
)

// memory is a store that keeps what it is given.
type memory struct {
	parts   []int // sizes of what ImportPersons was given
	mu      sync.Mutex
	batches []*event.Batch
	persons []person.Edit
	types   []string // of groups
	groups  []group.Edit
	objects []object.Edit
	members []storage.MemberEdit
	err     error
}

func (m *memory) Ingest(_ context.Context, project uint32, b *event.Batch) (Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return Receipt{}, m.err
	}
	if project != 1 {
		return Receipt{}, fmt.Errorf("project %d", project)
	}
	m.batches = append(m.batches, b)
	return Receipt{Token: "v1.0:7", Stored: b.Rows}, nil
}

func (m *memory) NameGroups(_ context.Context, _ uint32, names []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		if !slices.Contains(m.types, name) && len(m.types) < 5 {
			m.types = append(m.types, name)
		}
	}
	return slices.Clone(m.types), m.err
}

func (m *memory) ImportPersons(_ context.Context, _ uint32, edits []person.Edit) (Receipt, error) {
	m.persons = append(m.persons, edits...)
	m.parts = append(m.parts, len(edits))
	return Receipt{Token: "v1.0:8"}, m.err
}

func (m *memory) ImportGroups(_ context.Context, _ uint32, edits []group.Edit) (Receipt, error) {
	m.groups = append(m.groups, edits...)
	return Receipt{Token: "v1.0:9"}, m.err
}

func (m *memory) Objects(uint32) *object.Table { return &object.Table{} }

func (m *memory) ImportObjects(_ context.Context, _ uint32, edits []object.Edit) (Receipt, error) {
	m.objects = append(m.objects, edits...)
	return Receipt{Token: "v1.0:9"}, m.err
}

func (m *memory) ImportMembers(_ context.Context, _ uint32, edit storage.MemberEdit) ([]string, Receipt, error) {
	m.members = append(m.members, edit)
	return nil, Receipt{Token: "v1.0:9"}, m.err
}

func (m *memory) rows() (n int) {
	for _, b := range m.batches {
		n += b.Rows
	}
	return n
}

func (m *memory) ByToken(token string) (uint32, bool) { return 1, token == "k" }

func handler(m *memory) http.Handler {
	return &Handler{Tokens: m, Ingest: m, Now: func() time.Time { return time.UnixMicro(testNow) }}
}

func zip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s)) //nolint:errcheck // a buffer
	z.Close()          //nolint:errcheck // a buffer
	return b.String()
}

func TestAnswers(t *testing.T) {
	const one = `{"api_key":"k","event":"hi","distinct_id":"u","properties":{"x":"a b+c"}}`
	b64 := base64.StdEncoding.EncodeToString([]byte(one))
	form := "application/x-www-form-urlencoded"
	bomb := zip(strings.Repeat(" ", 60<<20))
	for _, c := range []struct {
		name, method, url, kind, encoding, body string
		status, rows                            int
		answer                                  string
	}{
		{"plain", "POST", "/capture/", "application/json", "", one, 200, 1, `{"status":"Ok"}`},
		{"curl", "POST", "/capture", form, "", one, 200, 1, `{"status":"Ok"}`},
		{"beacon", "POST", "/e/?beacon=1", "", "", one, 204, 1, ""},
		{"gzip unsaid", "POST", "/e/", "text/plain", "", zip(one), 200, 1, "Ok"},
		{"gzip said", "POST", "/batch", "", "gzip", zip(one), 200, 1, "Ok"},
		{"gzip-js", "POST", "/e/?compression=gzip-js", "", "", zip(one), 200, 1, "Ok"},
		{"gzip said wrongly", "POST", "/e/", "", "gzip", one, 200, 1, "Ok"},
		{"base64", "POST", "/e/", "", "", b64, 200, 1, "Ok"},
		{"form", "POST", "/e/", form + "; charset=UTF-8", "", "data=" + url.QueryEscape(b64), 200, 1, "Ok"},
		{"form, plus unescaped", "POST", "/e/", form, "", "data=" + b64, 200, 1, "Ok"},
		{"form, plain", "POST", "/e/", form, "", "data=" + url.QueryEscape(one), 200, 1, "Ok"},
		{"pixel", "GET", "/e/?data=" + url.QueryEscape(b64), "", "", "", 200, 1, "Ok"},
		{"array", "POST", "/track", "", "", "[" + one + "," + one + "]", 200, 2, "Ok"},
		{"batch", "POST", "/i/v0/e/", "", "", `{"batch":[{"event":"a","distinct_id":1}],"token":"k"}`, 200, 1, "Ok"},
		{"engage", "POST", "/engage/", "", "", `{"token":"k","distinct_id":"u","$set":{"a":1}}`, 200, 1, "Ok"},
		{"token in query", "POST", "/e/?token=k", "", "", `{"event":"a","distinct_id":"u"}`, 200, 1, "Ok"},
		{"some are bad", "POST", "/batch/", "", "", `{"api_key":"k","batch":[` + strings.Repeat(`{"event":"a","distinct_id":"u"},`, 99) + `{"event":""}]}`, 200, 99, "Ok"},
		{"empty", "POST", "/e/", "", "", " ", 400, 0, "empty_payload"},
		{"broken", "POST", "/e/", "", "", `{"event":`, 400, 0, "byte 10"},
		{"not UTF-8", "POST", "/e/", "", "", "{\"event\":\"\xff\"}", 400, 0, "UTF-8"},
		{"truncated gzip", "POST", "/e/", "", "", zip(one)[:40], 400, 0, "invalid_gzip"},
		{"no events", "POST", "/e/", "", "", `{"batch":[],"api_key":"k"}`, 400, 0, "empty_batch"},
		{"no name", "POST", "/e/", "", "", `{"api_key":"k","distinct_id":"u"}`, 400, 0, "missing_event_name"},
		{"no id", "POST", "/e/", "", "", `{"api_key":"k","event":"a","distinct_id":null}`, 400, 0, "missing_distinct_id"},
		{"no token", "POST", "/e/", "", "", `{"event":"a","distinct_id":"u"}`, 401, 0, "missing_token"},
		{"several tokens", "POST", "/e/", "", "", `[{"event":"a","distinct_id":"u","token":"k"},{"event":"a","distinct_id":"u","token":"l"}]`, 401, 0, "several_tokens"},
		{"unknown token", "POST", "/e/", "", "", `{"api_key":"other","event":"a","distinct_id":"u"}`, 401, 0, "unknown_token"},
		{"personal key", "POST", "/e/", "", "", `{"api_key":"phx_1","event":"a","distinct_id":"u"}`, 401, 0, "personal_key"},
		{"too large", "POST", "/e/", "", "", strings.Repeat(" ", maxBody+1), 413, 0, "request_too_large"},
		{"bomb", "POST", "/e/", "", "", bomb, 413, 0, "request_too_large"},
		{"lz64", "POST", "/e/", form, "", "data=xx&compression=lz64", 415, 0, "lz64"},
		{"method", "DELETE", "/e/", "", "", "", 405, 0, "method_not_allowed"},
	} {
		m := &memory{}
		r := httptest.NewRequest(c.method, c.url, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Content-Encoding", c.encoding)
		w := httptest.NewRecorder()
		handler(m).ServeHTTP(w, r)
		if w.Code != c.status || m.rows() != c.rows || !strings.Contains(w.Body.String(), c.answer) {
			t.Errorf("%s: %d %s, %d rows; want %d %s, %d rows", c.name, w.Code, w.Body, m.rows(), c.status, c.answer, c.rows)
		}
		if c.rows == 1 && strings.Contains(c.body+c.url, "hi") {
			if shown := show(m.batches[0], false); !strings.Contains(shown, `x text "a b+c"`) {
				t.Errorf("%s: stored %s", c.name, shown)
			}
		}
	}
}

func TestNotStored(t *testing.T) {
	w := httptest.NewRecorder()
	handler(&memory{err: errors.New("disk full")}).ServeHTTP(w, httptest.NewRequest("POST", "/e/", strings.NewReader(`{"api_key":"k","event":"a","distinct_id":"u"}`)))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("answer = %d %v %s, want 503 with Retry-After", w.Code, w.Header(), w.Body)
	}
}

func TestPreflight(t *testing.T) {
	r := httptest.NewRequest("OPTIONS", "/e/", nil)
	r.Header.Set("Origin", "https://foo.example")
	r.Header.Set("Access-Control-Request-Headers", "x-odd, content-type")
	w := httptest.NewRecorder()
	handler(&memory{}).ServeHTTP(w, r)
	h := w.Header()
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://foo.example", "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
		"Access-Control-Allow-Headers": "x-odd, content-type", "Access-Control-Allow-Methods": "GET, POST, OPTIONS", "Access-Control-Max-Age": "86400",
	} {
		if h.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, h.Get(name), want)
		}
	}
	if w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("preflight = %d %q, want 200 and nothing", w.Code, w.Body)
	}
}

// post imports a body.
func post(m *memory, kind, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api/projects/1/import/", strings.NewReader(body))
	r.SetPathValue("id", "1")
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	(&ImportHandler{Store: m}).ServeHTTP(w, r)
	return w
}

func TestImport(t *testing.T) {
	const ann = `{"type":"person","distinct_ids":["ann"],"properties":{}}` + "\n"
	const open = `{"type":"event","event":"open","distinct_id":"ann","timestamp":"2026-01-01T00:00:00Z","properties":{}}` + "\n"
	m := &memory{}
	if w := post(m, "application/x-ndjson", ann+open+open); w.Code != 200 || w.Body.String() != `{"events":2,"persons":1,"stored":2,"duplicates":0}` {
		t.Errorf("import = %d %s", w.Code, w.Body)
	}
	if len(m.persons) != 1 || m.rows() != 2 || m.batches[0].UUID[0] == m.batches[0].UUID[1] {
		t.Errorf("stored %d persons, %d rows", len(m.persons), m.rows())
	}
	m = &memory{}
	if w := post(m, "application/x-ndjson", ann+open+"{\n"); w.Code != 400 || !strings.Contains(w.Body.String(), "line 3") || m.rows()+len(m.persons) > 0 {
		t.Errorf("import of a broken line = %d %s, %d rows stored", w.Code, w.Body, m.rows())
	}
}

// Persons go through the log in parts that fit, whether their properties or their distinct ids
// are what is large.
func TestImportOfManyIDs(t *testing.T) {
	var lines strings.Builder
	const persons = 250
	for i := range persons {
		lines.WriteString(`{"type":"person","distinct_ids":[`)
		for k := range 100 {
			if k > 0 {
				lines.WriteByte(',')
			}
			fmt.Fprintf(&lines, `"%d %d %s"`, i, k, strings.Repeat("x", 90))
		}
		lines.WriteString("]}\n")
	}
	m := &memory{}
	if w := post(m, "application/x-ndjson", lines.String()); w.Code != 200 || len(m.persons) != persons {
		t.Fatalf("import = %d %s, %d persons", w.Code, w.Body, len(m.persons))
	}
	if len(m.parts) != 3 {
		t.Errorf("parts of %d persons, want 3 parts of about a megabyte", m.parts)
	}
}

// TestLines checks that chunks are the stream, whatever the sizes, less what is too long.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", 3*MaxLineBytes)
	in := "one\n" + long + "\ntwo\n\n" + strings.Repeat("some line\n", 1_000_000) + "end"
	for _, tail := range []string{"", "\n", "\n" + long} {
		l := NewLines(io.MultiReader(strings.NewReader(in), strings.NewReader(tail)))
		var got strings.Builder
		rejects, read, next := 0, int64(0), int64(1)
		for {
			c, err := l.Next()
			read += c.Bytes
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range c.Rejects {
				if rejects++; r.Line != next || !strings.Contains(r.Detail, fmt.Sprint(len(long))) {
					t.Fatalf("reject of line %d: %s, want line %d", r.Line, r.Detail, next)
				}
				next++
			}
			if len(c.Data) > 0 && c.FirstLine != next {
				t.Fatalf("chunk starts at line %d, want %d", c.FirstLine, next)
			}
			next += int64(bytes.Count(c.Data, []byte("\n")))
			got.Write(c.Data)
			c.Free() // its memory is that of a later one
		}
		want := 1
		if strings.HasSuffix(tail, long) {
			want = 2
		}
		text := strings.ReplaceAll(in+tail, long+"\n", "")
		text = strings.TrimSuffix(text, long)
		if got.String() != text || rejects != want || read != int64(len(in)+len(tail)) {
			t.Fatalf("lines are %d bytes, want %d; %d rejects, want %d; %d bytes read, want %d", got.Len(), len(text), rejects, want, read, len(in)+len(tail))
		}
	}
}

// TestTruncated checks that a stream that breaks off gives its whole lines and then says so.
func TestTruncated(t *testing.T) {
	packed := zip(strings.Repeat("line\n", 100_000))
	z, err := gzip.NewReader(strings.NewReader(packed[:len(packed)-20]))
	if err != nil {
		t.Fatal(err)
	}
	l := NewLines(z)
	for {
		c, err := l.Next()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err != nil || len(c.Data) > 0 && c.Data[len(c.Data)-1] != '\n' {
			t.Fatalf("Next = %d bytes, %v", len(c.Data), err)
		}
	}
}

// TestRows checks that columns give the rows that JSON gives.
func TestRows(t *testing.T) {
	r := NewRows(Mapping{Event: "event", Time: "timestamp", Person: "distinct_id", ID: "uuid", Properties: "properties"},
		[]string{"uuid", "event", "distinct_id", "timestamp", "properties", "amount", "$set"})
	line := []byte(`{"uuid":"e4673ce4-9765-47f3-baf4-7992098170ae","event":"a","distinct_id":"u","timestamp":"2026-01-01T00:00:00Z","properties":{"x":"\u00e9"},"amount":1.5,"$set":{"p":1}}`)
	want := NewDecoder(Mapping{Event: "event", Time: "timestamp", Person: "distinct_id", ID: "uuid", Properties: "properties"}).Decode(line, 1)
	id, _ := parseUUID([]byte("e4673ce4-9765-47f3-baf4-7992098170ae"))
	r.Begin(1)
	r.SetUUID(0, id)
	r.Set(1, event.Text, []byte("a"))
	r.Set(2, event.Text, []byte("u"))
	r.SetTime(3, 1767225600_000_000)
	r.Set(4, event.Text, []byte(`{"x":"\u00e9"}`))
	r.Set(5, Classify([]byte("1.5")), []byte("1.5"))
	r.Set(6, event.JSON, []byte(`{"p":1}`))
	if reject, ok := r.End(); !ok {
		t.Fatal(reject)
	}
	r.Begin(2)
	r.Set(1, event.Text, []byte("a"))
	r.Set(4, event.JSON, []byte(`{"x"`))
	if reject, ok := r.End(); ok || reject.Kind != BadJSON || reject.Line != 2 {
		t.Errorf("End = %+v, %v", reject, ok)
	}
	if got, want := show(r.Take().Batch, true), show(want.Batches[0].Batch, true); got != want {
		t.Errorf("columns give\n%s, JSON gives\n%s", got, want)
	}
}

// A request has a key if the client names it, or names all its events.
func TestRequestKey(t *testing.T) {
	const named = `{"api_key":"k","event":"e","distinct_id":"u","uuid":"018f6f9e-0000-7000-8000-000000000001"}`
	const unnamed = `{"api_key":"k","event":"e","distinct_id":"u"}`
	m := &memory{}
	h := handler(m)
	send := func(body, id string) [16]byte {
		t.Helper()
		r := httptest.NewRequest("POST", "/capture/", strings.NewReader(body))
		if id != "" {
			r.Header.Set("PostHog-Request-Id", id)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", body, w.Code, w.Body)
		}
		return m.batches[len(m.batches)-1].Request
	}
	none := [16]byte{}
	if key := send(unnamed, ""); key != none {
		t.Errorf("events without uuids have the key %x", key)
	}
	first := send(named, "")
	if first == none || send(named, "") != first || send(strings.Replace(named, `"u"`, `"v"`, 1), "") == first {
		t.Error("a request whose events have uuids is not named by its bytes")
	}
	one := send(unnamed, "request 1")
	if one == none || send(unnamed, "request 1") != one || send(unnamed, "request 2") == one {
		t.Error("a request is not named by its id")
	}
	if send(unnamed, "") != none {
		t.Error("the key of a request stays for the next one")
	}
}
