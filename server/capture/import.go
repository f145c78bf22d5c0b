package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
)

const (
	// maxImportBody bounds a typed import, unpacked: it is all or nothing, so its events
	// are held until the last line was read.
	maxImportBody = 1 << 30
	// changesAtOnce and changeBytesAtOnce bound the changes of persons, groups and objects that
	// go through the log in one piece, and membersAtOnce the members of a cohort.
	changesAtOnce     = 4096
	changeBytesAtOnce = 1 << 20
	membersAtOnce     = 20_000
)

// Importer stores what is imported. When a method returns without an error, what it was
// given is durable and visible to queries.
type Importer interface {
	Ingester
	ImportPersons(ctx context.Context, project uint32, edits []person.Edit) (Receipt, error)
	ImportGroups(ctx context.Context, project uint32, edits []group.Edit) (Receipt, error)
	// Objects are those that there are.
	Objects(project uint32) *object.Table
	ImportObjects(ctx context.Context, project uint32, edits []object.Edit) (Receipt, error)
	// ImportMembers says whom it does not know.
	ImportMembers(ctx context.Context, project uint32, edit storage.MemberEdit) (unknown []string, r Receipt, err error)
}

// ImportHandler answers POST /api/projects/{id}/import/. Who may ask, and that the
// project exists, is checked before. The body is lines of typed JSON, of type "event", "person",
// "group", "cohort", "action" or "property_definition". They are stored when all of them are
// right, and the first wrong one is named otherwise.
//
// The answer is {"events", "persons", "stored", "duplicates"}, and what there was of "groups",
// "objects" and "unknown_members".
type ImportHandler struct {
	Store  Importer
	Logger *slog.Logger
	Now    func() time.Time // time.Now if nil
	// Admit and Done are as in Handler.
	Admit func(project uint32, events int) error
	Done  func(project uint32, result string, events int, bytes int64)
}

// ImportAnswer is what an import is answered with.
type ImportAnswer struct {
	Events     int `json:"events"`  // that were sent
	Persons    int `json:"persons"` // that were sent
	Stored     int `json:"stored"`
	Duplicates int `json:"duplicates"` // events that were there already
	Groups     int `json:"groups,omitempty"`
	Objects    int `json:"objects,omitempty"`
	// Unknown are members of static cohorts that are no person with a profile.
	Unknown []string `json:"unknown_members,omitempty"`
}

// ServeHTTP answers one request.
func (h *ImportHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err != nil {
		answerRefusal(w, newRefusal(http.StatusNotFound, "invalid_request", "not_found", "there is no such project"))
		return
	}
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	answer, err := h.typed(r, uint32(id), now().UnixMicro())
	if h.Done != nil {
		h.Done(uint32(id), result(err), answer.Events, max(r.ContentLength, 0))
	}
	if answer.token != "" {
		w.Header().Set(TokenHeader, answer.token)
	}
	if err == nil {
		answerJSON(w, http.StatusOK, answer.ImportAnswer)
		return
	}
	var refused *refusal
	var limited *Refused
	var client *pgerr.Error
	switch {
	case errors.As(err, &limited):
		refused = limited.refusal()
	case errors.As(err, &refused):
	case errors.As(err, &client) && client.Code[:2] != "XX" && client.Code[:2] != "57" && client.Code[:2] != "53":
		refused = invalid("invalid_import", "%s", client.Message)
	default:
		if h.Logger != nil {
			h.Logger.Error("import not stored", "project", id, "error", err)
		}
		refused = unavailable()
	}
	answerRefusal(w, refused)
}

// importAnswer is an answer and the token of the last write.
type importAnswer struct {
	ImportAnswer
	token string
}

// ingest stores a batch of events.
func (h *ImportHandler) ingest(ctx context.Context, project uint32, b *event.Batch, answer *importAnswer) error {
	r, err := h.Store.Ingest(ctx, project, b)
	if err == nil {
		answer.Stored += r.Stored
		answer.Duplicates += r.Duplicates
		answer.token = r.Token
	}
	return err
}

func (h *ImportHandler) admit(project uint32, events int) error {
	if h.Admit == nil || events == 0 {
		return nil
	}
	return h.Admit(project, events)
}

func invalidBody(err error) error {
	var refused *refusal
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &limit):
		return newRefusal(http.StatusRequestEntityTooLarge, "validation_error", "request_too_large",
			fmt.Sprintf("the body is larger than %d bytes", limit.Limit))
	case errors.Is(err, errUnpackedTooLarge):
		return newRefusal(http.StatusRequestEntityTooLarge, "validation_error", "request_too_large", err.Error())
	}
	return invalid("unreadable_body", "the body cannot be read to its end: %v", err)
}

var errUnpackedTooLarge = fmt.Errorf("the unpacked body is larger than %d bytes", maxImportBody)

// bounded reads at most left bytes, and then fails.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errUnpackedTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// typed stores typed lines, if all are right.
func (h *ImportHandler) typed(r *http.Request, project uint32, now int64) (answer importAnswer, err error) {
	var body io.Reader = http.MaxBytesReader(nil, r.Body, maxImportBody)
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(body)
		if err != nil {
			return answer, invalid("invalid_gzip", "the body is not gzip: %v", err)
		}
		body = &bounded{z, maxImportBody}
	}
	t := typed{d: newDecoder(Typed)}
	lines := NewLines(body)
	for {
		chunk, err := lines.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return answer, invalidBody(err)
		}
		if len(chunk.Rejects) > 0 {
			return answer, invalid("invalid_line", "line %d: %s", chunk.Rejects[0].Line, chunk.Rejects[0].Detail)
		}
		if err := t.chunk(chunk); err != nil {
			return answer, err
		}
	}
	if t.d.b.Rows() > 0 {
		t.flush()
	}
	events := 0
	for _, b := range t.batches {
		events += b.Rows
	}
	if err := h.admit(project, events); err != nil {
		return answer, err
	}
	if err := t.saved.cycle(h.Store.Objects(project)); err != nil {
		return answer, err
	}
	t.bornWithFirstEvent()
	err = Pieces(t.persons, (*person.Edit).Bytes, func(part []person.Edit) error {
		receipt, err := h.Store.ImportPersons(r.Context(), project, part)
		if err == nil {
			answer.token = receipt.Token
			answer.Persons += len(part)
		}
		return err
	})
	if err == nil {
		err = t.saved.store(r.Context(), h.Store, project, &answer)
	}
	if err != nil {
		return answer, err
	}
	for _, b := range t.batches {
		b.CreatedAt, b.AsWritten = now, true
		answer.Events += b.Rows
		if err := h.ingest(r.Context(), project, b, &answer); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// typed is a typed import while its lines are read.
type typed struct {
	d       *decoder
	seen    Occurrences
	batches []*event.Batch
	persons []person.Edit
	saved   savedLines
}

// bornWithFirstEvent gives persons whose lines do not say when they were made the time of
// their first event, if there is one in the import.
func (t *typed) bornWithFirstEvent() {
	first := map[string]int64{}
	for i := range t.persons {
		if e := &t.persons[i]; !e.HasCreatedAt {
			for _, id := range e.DistinctIDs {
				first[id] = math.MaxInt64
			}
		}
	}
	if len(first) == 0 {
		return
	}
	for _, b := range t.batches {
		ids := &b.DistinctID.Values
		times := make([]int64, ids.Len())
		for code := range times {
			times[code] = math.MaxInt64
		}
		for row, code := range b.DistinctID.Codes {
			times[code] = min(times[code], b.Time[row])
		}
		for code, at := range times {
			if old, wanted := first[ids.Str(code)]; wanted && at < old {
				first[ids.Str(code)] = at
			}
		}
	}
	for i := range t.persons {
		e := &t.persons[i]
		if e.HasCreatedAt {
			continue
		}
		at := int64(math.MaxInt64)
		for _, id := range e.DistinctIDs {
			at = min(at, first[id])
		}
		if at < math.MaxInt64 {
			e.CreatedAt, e.HasCreatedAt = at, true
		}
	}
}

func (t *typed) flush() {
	b := t.d.finishBatch()
	t.seen.Settle(b)
	t.batches = append(t.batches, b.Batch)
}

func (t *typed) chunk(c Chunk) error {
	number, data := c.FirstLine, c.Data
	for ; len(data) > 0; number++ {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := t.line(line); err != nil {
			err.detail = fmt.Sprintf("line %d: %s", number, err.detail)
			return err
		}
	}
	return nil
}

// line reads one line.
func (t *typed) line(line []byte) *refusal {
	d := t.d
	kind, what, err := t.kind(line)
	if err != nil {
		return err
	}
	switch kind {
	case "event":
		if reason := d.line(line, false); reason.kind != "" {
			return invalid("invalid_line", "%s", reason.detail)
		}
		if d.full() {
			t.flush()
		}
		return nil
	case "person":
		return t.person(line)
	case "group":
		return asRefusal(t.saved.group(line))
	case object.Cohort, object.Action, object.PropertyDefinition:
		return asRefusal(t.saved.object(kind, line))
	case "":
		return invalid("invalid_line", `%s`, what)
	}
	return invalid("invalid_line", `unknown type %q; there are "event", "person", "group", "cohort", "action" and "property_definition"`, kind)
}

// asRefusal gives the refusal that an error is; nil for none.
func asRefusal(err error) *refusal {
	var r *refusal
	if err != nil && !errors.As(err, &r) {
		return invalid("invalid_line", "%v", err)
	}
	return r
}

// kind finds the type of a line.
func (t *typed) kind(line []byte) (kind, what string, err *refusal) {
	const fast = `{"type":"event",`
	if len(line) > len(fast) && string(line[:len(fast)]) == fast {
		return "event", "", nil
	}
	s := &t.d.s
	s.reset(line)
	broken := func() *refusal { return invalid("invalid_line", "not valid JSON: %v", s.err) }
	if !s.valid() {
		return "", "", broken()
	}
	if s.next() != '{' {
		return "", "", invalid("invalid_line", "not a JSON object")
	}
	what = `there is no "type"`
	for more := s.open('}'); more; {
		key, ok := s.key()
		if ok && string(key) == "type" {
			var v value
			if v.kind, v.text, ok = s.value(); v.kind == event.Text {
				kind = string(v.text)
			} else {
				what = `"type" is not a string`
			}
		} else if ok {
			_, ok = s.skip(0)
		}
		if ok {
			more, ok = s.more('}')
		}
		if !ok {
			return "", "", broken()
		}
	}
	if !s.end() {
		return "", "", broken()
	}
	return kind, what, nil
}

// person reads a line of type person, which is known to be an object.
func (t *typed) person(line []byte) *refusal {
	s := &t.d.s
	s.reset(line)
	s.next()
	var edit person.Edit
	for more := s.open('}'); more; {
		key, ok := s.key()
		if !ok {
			break
		}
		name := string(key)
		kind, text, ok := s.value()
		if !ok {
			break
		}
		v := value{kind, true, text}
		switch {
		case name == "type":
		case name == "distinct_ids" && kind == event.JSON && text[0] == '[':
			list := scanner{src: text}
			for inner := list.open(']'); inner; {
				kind, text, ok := list.value()
				if !ok || kind == event.Null || len(text) == 0 {
					return invalid("invalid_line", "a distinct id is empty")
				}
				edit.DistinctIDs = append(edit.DistinctIDs, string(idText(value{kind, true, text})))
				inner, _ = list.more(']')
			}
		case name == "distinct_id" && kind != event.Null && len(text) > 0:
			edit.DistinctIDs = append(edit.DistinctIDs, string(idText(v)))
		case name == "properties" && (isObject(v) || kind == event.Null):
			edit.Properties = bytes.Clone(text)
		case name == "created_at" && kind == event.Null:
		case name == "created_at":
			if edit.CreatedAt, edit.HasCreatedAt = parseTime(text); !edit.HasCreatedAt {
				return invalid("invalid_line", `"created_at" cannot be read as a time: %q`, clip(text))
			}
		case name == "is_identified" && kind == event.Bool:
			edit.Identified = text[0] == 't'
		default:
			return invalid("invalid_line", "member %q has no meaning in a person line, or not this value", name)
		}
		more, _ = s.more('}')
	}
	if len(edit.DistinctIDs) == 0 {
		return invalid("invalid_line", `there is no distinct id in "distinct_ids"`)
	}
	t.persons = append(t.persons, edit)
	return nil
}
