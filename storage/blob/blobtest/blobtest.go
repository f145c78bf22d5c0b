package blobtest

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeServer is as much of the S3 protocol as a store needs: PUT (whole and in parts), GET
// with a range, HEAD, DELETE and LIST version 2, on one bucket.
type fakeServer struct {
	mu      sync.Mutex
	objects map[string][]byte
	parts   map[string][][]byte
}

// S3 starts one and gives its endpoint.
func S3(t testing.TB) string {
	s := &fakeServer{objects: map[string][]byte{}, parts: map[string][][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(status int, code string) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		}
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=key/") {
		refuse(http.StatusForbidden, "AccessDenied")
		return
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/bucket/")
	if !ok {
		refuse(http.StatusNotFound, "NoSuchBucket")
		return
	}
	query := r.URL.Query()
	raw, there := s.objects[key]
	body := func() ([]byte, bool) {
		b, err := io.ReadAll(r.Body)
		if sum := md5.Sum(b); err != nil || r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
			refuse(http.StatusBadRequest, "BadDigest")
			return nil, false
		}
		return b, true
	}
	switch {
	case key == "" && query.Get("list-type") == "2":
		s.list(w, query.Get("prefix"), query.Get("delimiter"))
	case r.Method == http.MethodPost && query.Has("uploads"):
		s.parts[key] = nil
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPut && query.Has("partNumber"):
		n, _ := strconv.Atoi(query.Get("partNumber"))
		b, ok := body()
		if !ok {
			return
		}
		for len(s.parts[key]) < n {
			s.parts[key] = append(s.parts[key], nil)
		}
		s.parts[key][n-1] = b
		w.Header().Set("ETag", `"part"`)
	case r.Method == http.MethodPost && query.Has("uploadId"):
		if there && r.Header.Get("If-None-Match") == "*" {
			refuse(http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		s.objects[key] = slices.Concat(s.parts[key]...)
		fmt.Fprint(w, `<CompleteMultipartUploadResult><Bucket>bucket</Bucket><ETag>"whole"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodPut:
		if there && r.Header.Get("If-None-Match") == "*" {
			refuse(http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		if b, ok := body(); ok {
			s.objects[key] = b
			w.Header().Set("ETag", `"whole"`)
		}
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		refuse(http.StatusNotFound, "NoSuchKey")
	default: // GET and HEAD
		w.Header().Set("ETag", `"whole"`)
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader(string(raw)))
	}
}

func (s *fakeServer) list(w io.Writer, prefix, delimiter string) {
	type entry struct {
		Key  string
		Size int
	}
	type folder struct{ Prefix string }
	var answer struct {
		XMLName        xml.Name `xml:"ListBucketResult"`
		Contents       []entry
		CommonPrefixes []folder
	}
	for key, raw := range s.objects {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if name, _, deeper := strings.Cut(rest, "/"); deeper && delimiter == "/" {
			if f := (folder{prefix + name + "/"}); !slices.Contains(answer.CommonPrefixes, f) {
				answer.CommonPrefixes = append(answer.CommonPrefixes, f)
			}
			continue
		}
		answer.Contents = append(answer.Contents, entry{key, len(raw)})
	}
	xml.NewEncoder(w).Encode(answer)
}
