package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/limit"
	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage/object"
)

// Error is every HTTP error's body.
type Error struct {
	Status   int     `json:"-"`
	Type     string  `json:"type"`
	Code     string  `json:"code"`
	Detail   string  `json:"detail"`
	Attr     *string `json:"attr"`
	Hint     string  `json:"hint,omitempty"`
	SQLState string  `json:"sqlstate,omitempty"`
	Position int     `json:"position,omitempty"`

	// UsedBy is what stands in the way of a deletion.
	UsedBy []saved.User `json:"used_by,omitempty"`

	RetryAfter time.Duration `json:"-"` // 0: no such header
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// invalid is what a wrong request is answered with; attr names the part that is wrong.
func invalid(code, attr, detail string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "validation_error", Code: code, Detail: detail, Attr: &attr}
}

func notFound(detail string) *Error {
	return &Error{Status: http.StatusNotFound, Type: "invalid_request", Code: "not_found", Detail: detail}
}

// FromError gives the HTTP shape of any error.
func FromError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if e = known(err); e != nil {
		return e
	}
	var problem *saved.Problem
	if errors.As(err, &problem) {
		return invalid(problem.Code, problem.Attr, problem.Detail)
	}
	var refused *insight.Refused
	if errors.As(err, &refused) {
		e = &Error{Status: http.StatusBadRequest, Type: "validation_error", Code: cmp.Or(refused.Code, "invalid_input"), Detail: refused.Detail}
		if refused.Attr != "" {
			e.Attr = &refused.Attr
		}
		return e
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &Error{Status: http.StatusRequestEntityTooLarge, Type: "validation_error", Code: "request_too_large",
			Detail: "request body is too large"}
	}
	p := pgerr.From(err)
	e = &Error{Status: http.StatusBadRequest, Type: "validation_error", Code: "invalid_query",
		Detail: p.Message, Hint: p.Hint, SQLState: p.Code, Position: p.Position}
	if p.Detail != "" {
		e.Detail += "\n" + p.Detail
	}
	switch {
	case p.Code == pgerr.SyntaxError:
		e.Code = "parse_error"
	case p.Code == pgerr.QueryCanceled:
		e.Status, e.Type, e.Code = http.StatusGatewayTimeout, "server_error", "query_canceled"
	case p.Code == pgerr.FeatureNotSupported:
		e.Code = "not_supported"
	case p.Code[:2] == "53":
		e.Status, e.Type, e.Code = http.StatusServiceUnavailable, "server_error", "out_of_resources"
	case p.Code[:2] == "57":
		e.Status, e.Type, e.Code = http.StatusServiceUnavailable, "server_error", "unavailable"
	case p.Code[:2] == "XX":
		e.Status, e.Type, e.Code = http.StatusInternalServerError, "server_error", "internal_error"
	}
	return e
}

// known gives the shape of errors that say what can be done about them.
func known(err error) *Error {
	unavailable := func(code string, retry time.Duration) *Error {
		return &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: code, Detail: err.Error(), RetryAfter: retry}
	}
	var exceeded *limit.Exceeded
	var conflict *object.ConflictError
	var large *object.LimitError
	switch {
	case errors.As(err, &conflict):
		return &Error{Status: http.StatusConflict, Type: "invalid_request", Code: "conflict", Detail: conflict.Error()}
	case errors.As(err, &large):
		return &Error{Status: http.StatusBadRequest, Type: "validation_error", Code: "too_large", Detail: large.Detail}
	case errors.Is(err, cluster.ErrDiskFull):
		return unavailable("disk_full", 30*time.Second)
	case errors.Is(err, cluster.ErrReadOnly):
		return unavailable("read_only", 30*time.Second)
	case errors.Is(err, cluster.ErrBehind):
		return unavailable("behind", time.Second)
	case errors.Is(err, cluster.ErrBadToken):
		return invalid("invalid_token", "token", err.Error())
	case errors.Is(err, session.ErrCutGone):
		return &Error{Status: http.StatusGone, Type: "invalid_request", Code: "cut_gone", Detail: err.Error()}
	case errors.As(err, &exceeded):
		e := &Error{Status: http.StatusTooManyRequests, Type: "limit_exceeded", Code: string(exceeded.Reason), Detail: exceeded.Detail, RetryAfter: exceeded.RetryAfter}
		if exceeded.Quota() {
			e.Status = http.StatusPaymentRequired
		}
		return e
	}
	return nil
}

// WriteError answers a request with an error.
func WriteError(w http.ResponseWriter, err error) {
	e := FromError(err)
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	writeJSON(w, e.Status, e)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // our own types always marshal
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header(w, status, "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that has gone needs no answer
}

func header(w http.ResponseWriter, status int, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
}
