package api

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// rowsBuffer is how many bytes of rows are sent at once.
const rowsBuffer = 64 << 10

// queryID names a query, in the request and in the answer.
const queryID = "X-Query-Id"

// The trailers of an answer that is streamed.
const (
	rowsTrailer    = "X-Rows"
	elapsedTrailer = "X-Elapsed-Ms"
)

// statement is POST /query: the body is one statement, and its rows are the answer, streamed as
// ?format= or Accept say. Its parameters are ?p1=, ?p2=; settings ?set.TimeZone=; the project
// ?database=, by default the first. With X-Query-Id the client names the query, and DELETE
// /query/{id} ends it by that name before its first row is there, too.
func (s *Server) statement(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBody))
	if err != nil {
		WriteError(w, err)
		return
	}
	url := r.URL.Query()
	project, err := s.projectNamed("@current")
	if name := url.Get("database"); name != "" {
		err = pgerr.New(pgerr.UndefinedDatabase, `database "%s" does not exist`, name)
		for _, p := range s.Projects() {
			if p.Database == name {
				project, err = p, nil
			}
		}
	}
	var as rowsForm
	if err == nil {
		as, err = formOf(url.Get("format"), r.Header.Get("Accept"))
	}
	if err != nil {
		WriteError(w, err)
		return
	}
	q := &queryRequest{}
	q.from(r)
	settings := q.settings()
	var params []string
	for name, values := range url {
		if setting, ok := strings.CutPrefix(name, "set."); ok {
			settings[setting] = values[0]
		}
	}
	for n := 1; url.Has("p" + strconv.Itoa(n)); n++ {
		params = append(params, url.Get("p"+strconv.Itoa(n)))
	}
	s.rows(w, r, project, string(body), settings, params, as)
}

// rowsForm is a form of rows over HTTP.
type rowsForm struct {
	json    bool // one object: {"columns": […], "rows": [[…]]}
	options format.Options
}

// formOf chooses the form of an answer. An Accept that names none of them is not looked at.
func formOf(name, accept string) (rowsForm, error) {
	if name == "" {
		for _, k := range []format.Kind{format.Arrow, format.Parquet, format.JSONL, format.CSV} {
			kind, _, _ := strings.Cut(k.ContentType(), ";")
			if strings.Contains(accept, kind) {
				name = k.String()
				break
			}
		}
	}
	kind, ok := format.KindOf(name)
	switch {
	case name == "" || name == "json":
		return rowsForm{json: true}, nil
	case !ok || kind == format.Text || kind == format.Binary:
		return rowsForm{}, invalid("invalid_input", "format", fmt.Sprintf("format %q is none of json, jsonl, csv, arrow and parquet", name))
	}
	o := format.Defaults(kind)
	o.Header = true
	return rowsForm{options: o}, nil
}

// rows runs a statement and streams its rows. Until the first of them are there, an error is
// answered as such; after that the answer breaks off.
func (s *Server) rows(w http.ResponseWriter, r *http.Request, project storage.Project, text string, settings map[string]string, params []string, as rowsForm) {
	began := time.Now()
	sess, err := s.Open(r.Context(), project, settings, nil, r.Header.Get(queryID))
	if err != nil {
		WriteError(w, err)
		return
	}
	defer sess.Close()
	if name := r.Header.Get(queryID); name != "" {
		w.Header().Set(queryID, name)
	}
	out := &lateWriter{w: w, contentType: "application/json"}
	if !as.json {
		out.contentType = as.options.Kind.ContentType()
	}
	n, err := s.writeRows(sess, text, params, as, out)
	if err == nil {
		err = sess.Sync()
	}
	switch {
	case err == nil:
	case out.buf == nil:
		s.log(err)
		WriteError(w, err)
		return
	default:
		s.log(err)
		panic(http.ErrAbortHandler) // what was sent must not look whole
	}
	out.begin()
	// A short answer would be sent with its length, and without trailers.
	if out.buf.Flush() != nil || http.NewResponseController(w).Flush() != nil {
		return // the client has gone
	}
	w.Header().Set(http.TrailerPrefix+rowsTrailer, strconv.Itoa(n))
	w.Header().Set(http.TrailerPrefix+elapsedTrailer, strconv.FormatInt(time.Since(began).Milliseconds(), 10))
}

// lateWriter sends the header of an answer with its first bytes.
type lateWriter struct {
	w           http.ResponseWriter
	contentType string
	buf         *bufio.Writer // nil: nothing is sent
}

func (l *lateWriter) begin() {
	if l.buf == nil {
		header(l.w, http.StatusOK, l.contentType)
		l.buf = bufio.NewWriterSize(l.w, rowsBuffer)
	}
}

// Write implements io.Writer.
func (l *lateWriter) Write(p []byte) (int, error) {
	l.begin()
	return l.buf.Write(p)
}

func (s *Server) writeRows(sess *session.Session, text string, params []string, as rowsForm, out *lateWriter) (n int, err error) {
	prepared, err := sess.Prepare("", text, nil)
	if err != nil {
		return 0, err
	}
	if prepared.Stmt == nil {
		return 0, invalid("required", "body", "the body must be a statement")
	}
	if len(params) != len(prepared.Params) {
		return 0, invalid("invalid_input", "p"+strconv.Itoa(min(len(params), len(prepared.Params))+1),
			fmt.Sprintf("the statement has %d parameters, the request %d", len(prepared.Params), len(params)))
	}
	values := make([]*vec.Vector, len(params))
	for i, p := range params {
		if values[i], err = expr.ParseValue(sess.Context(), prepared.Params[i], []byte(p)); err != nil {
			return 0, err
		}
	}
	p, err := sess.Bind("", prepared, values)
	if err != nil {
		return 0, err
	}
	err = p.Run(func() error {
		if id := p.QueryID(); id > 0 && out.w.Header().Get(queryID) == "" {
			out.w.Header().Set(queryID, strconv.FormatUint(id, 10))
		}
		schema, options := p.Schema, as.options
		if p.Copy != nil { // it says itself in what form
			schema, options, as.json = p.Copy.Schema, p.Copy.Options, false
			out.contentType = options.Kind.ContentType()
		}
		// The first rows, or that there are none, before anything is sent.
		first, lo, hi, err := p.Take(0)
		if err != nil {
			return err
		}
		var rows format.Writer
		if as.json {
			rows, err = newJSONRows(out, schema, sess.Context())
		} else {
			rows, err = format.NewWriter(out, options, schema, sess.Context())
		}
		if err != nil {
			return err
		}
		if first != nil {
			if err := rows.Rows(first, lo, hi); err != nil {
				return err
			}
			n = hi - lo
		}
		rest, err := p.WriteTo(rows)
		n += rest
		return err
	})
	if err != nil {
		sess.Fail(err)
	}
	return n, err
}

// jsonRows writes rows as one object.
type jsonRows struct {
	out io.Writer
	ctx *expr.Context
	buf []byte
	n   int
}

func newJSONRows(out io.Writer, schema vec.Schema, ctx *expr.Context) (format.Writer, error) {
	j := &jsonRows{out: out, ctx: ctx, buf: []byte(`{"columns":[`)}
	for i, f := range schema {
		if i > 0 {
			j.buf = append(j.buf, ',')
		}
		j.buf = append(appendString(append(j.buf, `{"name":`...), f.Name), `,"type":`...)
		j.buf = append(appendString(j.buf, typeName(f.Type)), '}')
	}
	_, err := out.Write(append(j.buf, `],"rows":[`...))
	return j, err
}

// Rows implements format.Writer.
func (j *jsonRows) Rows(b *vec.Batch, lo, hi int) error {
	for ; lo < hi; lo++ {
		row := lo
		if b.Sel != nil {
			row = int(b.Sel[lo])
		}
		j.buf = appendRow(j.buf[:0], b, row, j.n > 0, j.ctx)
		j.n++
		if _, err := j.out.Write(j.buf); err != nil {
			return err
		}
	}
	return nil
}

// Close implements format.Writer.
func (j *jsonRows) Close() error {
	_, err := io.WriteString(j.out, "]}\n")
	return err
}

// appendRow adds a row as a JSON array, behind a comma if there is another before it.
func appendRow(dst []byte, b *vec.Batch, row int, more bool, ctx *expr.Context) []byte {
	if more {
		dst = append(dst, ',')
	}
	dst = append(dst, '[')
	for i, col := range b.Cols {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, col, row, ctx)
	}
	return append(dst, ']')
}

// typeName is what answers call a type.
func typeName(t vec.Type) string {
	if t.Kind == vec.Unknown {
		return "text"
	}
	return t.String()
}
