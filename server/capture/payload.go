package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// maxBody is how large a body may be, as it comes and unpacked.
const maxBody = 20 << 20

// refusal is an answer other than success.
type refusal struct {
	status     int
	kind, code string
	detail     string
	retry      int // seconds for Retry-After; 0: none
}

func newRefusal(status int, kind, code, detail string) *refusal {
	return &refusal{status: status, kind: kind, code: code, detail: detail}
}

// Error implements error.
func (r *refusal) Error() string { return r.detail }

func invalid(code, format string, args ...any) *refusal {
	return newRefusal(http.StatusBadRequest, "validation_error", code, fmt.Sprintf(format, args...))
}

func unauthorized(code, detail string) *refusal {
	return newRefusal(http.StatusUnauthorized, "authentication_error", code, detail)
}

func tooLarge(what string) *refusal {
	return newRefusal(http.StatusRequestEntityTooLarge, "validation_error", "request_too_large",
		fmt.Sprintf("%s is larger than %d bytes", what, maxBody))
}

// readAll reads a body that may not be longer than limit into a buffer.
func readAll(out *bytes.Buffer, r io.Reader, hint int64, limit int, what string) ([]byte, error) {
	out.Grow(int(min(max(hint, 512), int64(limit))) + 512)
	n, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if n > int64(limit) {
		return nil, tooLarge(what)
	}
	return out.Bytes(), err
}

// bodies holds *bytes.Buffer for bodies as they come.
var bodies sync.Pool

// keptBody is the largest buffer that is used again.
const keptBody = 1 << 20

// payload finds the JSON of a request. It lies in the buffer, or elsewhere.
func payload(r *http.Request, body *bytes.Buffer) ([]byte, error) {
	query := r.URL.Query()
	compression := query.Get("compression")
	data := []byte(query.Get("data"))
	if len(data) == 0 {
		if r.ContentLength > maxBody {
			return nil, tooLarge("the body")
		}
		var err error
		if data, err = readAll(body, r.Body, r.ContentLength, maxBody, "the body"); err != nil {
			var refused *refusal
			if errors.As(err, &refused) {
				return nil, refused
			}
			return nil, invalid("unreadable_body", "the body ends too early: %v", err)
		}
	} else {
		data = bytes.ReplaceAll(data, []byte(" "), []byte("+"))
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, invalid("empty_payload", "empty payload")
	}
	if looksLikeForm(data) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			kind = ""
		}
		if kind == "application/x-www-form-urlencoded" || kind == "" {
			if fields, err := url.ParseQuery(string(data)); err == nil && fields.Get("data") != "" {
				data = []byte(strings.ReplaceAll(fields.Get("data"), " ", "+"))
				if compression == "" {
					compression = fields.Get("compression")
				}
				if data[0] == '{' || data[0] == '[' { // not base64, so its blanks are blanks
					data = []byte(fields.Get("data"))
				}
			}
		}
	} else {
		data = unbase64(data)
	}
	if compression == "" {
		compression = r.Header.Get("Content-Encoding")
	}
	switch strings.ToLower(strings.TrimSpace(compression)) {
	case "lz64", "lz-string":
		return nil, newRefusal(http.StatusUnsupportedMediaType, "validation_error", "unsupported_compression",
			"lz64 bodies are not read; set up the library to send gzip")
	case "br", "zstd", "deflate":
		if first := bytes.TrimLeft(data, " \r\n\t"); first[0] != '{' && first[0] != '[' {
			return nil, newRefusal(http.StatusUnsupportedMediaType, "validation_error", "unsupported_compression",
				compression+" bodies are not read; send gzip, or no compression")
		}
	case "base64", "b64":
		data = unbase64(data)
	}
	// The bytes are believed, not the hint: libraries send gzip without saying so, and
	// proxies unpack it and leave the hint.
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b, 8}) {
		var err error
		if data, err = gunzip(data); err != nil {
			return nil, err
		}
	}
	data = unbase64(data)
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b, 8}) {
		var err error
		if data, err = gunzip(data); err != nil {
			return nil, err
		}
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}

// looksLikeForm says whether the first bytes have a field of the forms that libraries post.
func looksLikeForm(data []byte) bool {
	head := data[:min(len(data), 128)]
	if start := bytes.TrimLeft(head, " \r\n\t"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return false
	}
	for _, field := range []string{"data=", "_=", "ip=", "compression="} {
		if at := bytes.Index(head, []byte(field)); at == 0 || at > 0 && bytes.Contains(head, []byte("&"+field)) {
			return true
		}
	}
	return false
}

// unbase64 decodes what looks like base64 all over; other bytes stay as they are.
func unbase64(data []byte) []byte {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) < 4 || len(trimmed)%4 != 0 {
		return data
	}
	for _, c := range trimmed[:min(len(trimmed), 128)] {
		if (c|0x20)-'a' > 25 && c-'0' > 9 && c != '+' && c != '/' && c != '=' {
			return data
		}
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(trimmed)))
	n, err := base64.StdEncoding.Decode(out, trimmed)
	if err != nil {
		return data
	}
	return out[:n]
}

func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, invalid("invalid_gzip", "the body is not gzip: %v", err)
	}
	out, err := readAll(new(bytes.Buffer), z, 4*int64(len(data)), maxBody, "the unpacked body")
	var refused *refusal
	if errors.As(err, &refused) {
		return nil, refused
	}
	if err != nil {
		return nil, invalid("invalid_gzip", "the gzip data is damaged or ends too early: %v", err)
	}
	return out, nil
}
