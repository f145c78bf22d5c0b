package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/spf13/cobra"
)

// formats are the forms of an answer. The empty one is table on a terminal and tab
// separated elsewhere.
var formats = []string{"table", "csv", "json", "ndjson", "markdown"}

func sqlCommand(c *console) *cobra.Command {
	o := sqlOptions{}
	cmd := &cobra.Command{
		Use: "sql [text]", Short: "One query, a file, standard input, or an interactive shell", Args: someArgs(0, 1, "one text; quote it"),
		Example: "  prickle sql \"select event, count(*) from events group by 1 order by 2 desc limit 5\"\n" +
			"  prickle sql -f report.sql --format csv > report.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.format != "" && !contains(formats, o.format) {
				p := usage("--format is one of %s, not %q", strings.Join(formats, ", "), o.format)
				if near := nearest(o.format, formats); near != "" {
					p.Try = []string{"--format " + near}
				}
				return p
			}
			if c.json && o.format == "" {
				o.format = "json"
			}
			return runSQL(cmd.Context(), cmd, c, o, args)
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "read statements from a `file`")
	cmd.Flags().StringVar(&o.format, "format", "", "`form` of the answer: table, csv, json, ndjson or markdown")
	cmd.Flags().StringVar(&o.project, "project", "prickle", "database `name` of the project")
	return cmd
}

type sqlOptions struct {
	file, format, project string
}

func runSQL(ctx context.Context, cmd *cobra.Command, c *console, o sqlOptions, args []string) error {
	r, err := needServer(ctx, cmd, c)
	if err != nil {
		return err
	}
	q := &client{console: c, remote: r, options: o}
	defer q.close()
	if err := q.open(ctx); err != nil {
		return err
	}
	switch {
	case len(args) == 1 && o.file != "":
		return usage("give a text or -f, not both")
	case len(args) == 1:
		return q.run(ctx, args[0])
	case o.file != "" && o.file != "-":
		raw, err := os.ReadFile(o.file)
		if err != nil {
			return &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", o.file, innermost(err)), Exit: exitFailed, Err: err}
		}
		return q.runAll(ctx, string(raw))
	case c.inTTY && o.file == "":
		return shell(ctx, q)
	}
	raw, err := io.ReadAll(io.LimitReader(c.in, maxScript+1))
	if err != nil {
		return err
	}
	if len(raw) > maxScript {
		return usage("standard input is longer than %s; give the statements in pieces", size(maxScript))
	}
	return q.runAll(ctx, string(raw))
}

// maxScript bounds statements from standard input.
const maxScript = 64 << 20

// client is a connection that runs statements and shows their answers.
type client struct {
	console  *console
	remote   *remote
	options  sqlOptions
	conn     *pgconn.PgConn
	read     readReport
	expanded bool // a line for each column
	silent   bool // no line of times
}

// readReport is what the server says it read for the last statement.
type readReport struct {
	Rows  int64 `json:"rows_read"`
	Bytes int64 `json:"bytes_read"`
	known bool
}

// reportSetting asks the server to say what a statement read.
const reportSetting = "prickle.report"

func (q *client) open(ctx context.Context) error {
	conn, err := q.remote.connectWith(ctx, q.options.project, map[string]string{reportSetting: "on"}, func(n *pgconn.Notice) {
		if n.Severity == "LOG" && n.Message == "report" {
			if json.Unmarshal([]byte(n.Detail), &q.read) == nil {
				q.read.known = true
			}
			return
		}
		if !q.console.quiet {
			fmt.Fprintf(q.console.err, "%s: %s\n", strings.ToLower(n.Severity), n.Message)
		}
	})
	if err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			return sqlProblem(pg, "")
		}
		return err
	}
	q.conn = conn
	return nil
}

func (q *client) close() {
	if q.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		q.conn.Close(ctx) //nolint:errcheck // nothing is left to say
	}
}

// runAll runs the statements of a text one after the other, so that each error points into
// its own.
func (q *client) runAll(ctx context.Context, text string) error {
	for _, one := range splitStatements(text) {
		if err := q.run(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// run runs one text and shows its answers. When ctx ends the statement is cancelled and the
// connection lives on.
func (q *client) run(ctx context.Context, text string) error {
	done := make(chan struct{})
	defer close(done)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	stop := context.AfterFunc(ctx, func() {
		cancelling, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		q.conn.CancelRequest(cancelling) //nolint:errcheck // the statement then ends by itself
	})
	defer stop()
	start := time.Now()
	q.read = readReport{}
	answers := q.conn.Exec(context.WithoutCancel(ctx), text)
	for answers.NextResult() {
		if err := q.show(answers.ResultReader(), start); err != nil {
			answers.Close() //nolint:errcheck // err says what matters
			return q.word(err, text)
		}
	}
	return q.word(answers.Close(), text)
}

// word words an error of a statement.
func (q *client) word(err error, text string) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pg):
		return sqlProblem(pg, text)
	case q.conn.IsClosed():
		return &problem{Code: "unreachable", What: "the server went away during the query", Exit: exitUnreachable, Err: err, Try: []string{"prickle status"}}
	}
	return err
}

// numeric types are aligned at the right, and are numbers in JSON.
var numeric = map[uint32]bool{pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true, pgtype.Float4OID: true,
	pgtype.Float8OID: true, pgtype.NumericOID: true, pgtype.OIDOID: true}

// maxTableRows is how many rows are aligned: their widths must be known before the first
// is printed. More are printed in pieces.
const maxTableRows = 10_000

// show prints one answer.
func (q *client) show(r *pgconn.ResultReader, start time.Time) error {
	fields := r.FieldDescriptions()
	if len(fields) == 0 {
		tag, err := r.Close()
		if err == nil && !q.console.quiet && q.plain() {
			fmt.Fprintln(q.console.out, tag.String())
		}
		return err
	}
	out := bufio.NewWriterSize(q.console.out, 64<<10)
	w := newWriter(q, out, fields)
	n := 0
	for r.NextRow() {
		if err := w.row(r.Values()); err != nil {
			return err
		}
		n++
	}
	_, err := r.Close()
	if err != nil {
		out.Flush() //nolint:errcheck // err says what matters
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	q.footer(n, time.Since(start))
	return nil
}

// plain says that people read the answer.
func (q *client) plain() bool {
	return q.options.format == "table" || q.options.format == "" && q.console.outTTY
}

// footer is the line below an answer.
func (q *client) footer(rows int, elapsed time.Duration) {
	if q.console.quiet || q.silent || !q.plain() {
		return
	}
	text := fmt.Sprintf("%s in %s", plural(rows, "row", "rows"), took(elapsed))
	if q.read.known && q.read.Rows > 0 {
		text += fmt.Sprintf(" · %s scanned (%s/s)", plural(q.read.Rows, "event", "events"), amount(float64(q.read.Rows)/max(elapsed.Seconds(), 1e-6)))
	}
	if q.read.known && q.read.Bytes > 0 {
		text += fmt.Sprintf(" · %s read", size(float64(q.read.Bytes)))
	}
	fmt.Fprintf(q.console.out, "\n%s\n", text)
}

// writer prints the rows of an answer in one form.
type writer struct {
	q      *client
	out    *bufio.Writer
	fields []pgconn.FieldDescription
	names  []string
	rows   [][]string // of tables
	nulls  [][]bool
	n      int
	csv    *csv.Writer
}

func newWriter(q *client, out *bufio.Writer, fields []pgconn.FieldDescription) *writer {
	w := &writer{q: q, out: out, fields: fields}
	for _, f := range fields {
		w.names = append(w.names, f.Name)
	}
	return w
}

func (w *writer) format() string {
	if w.q.options.format == "" && !w.q.console.outTTY {
		return "tabs"
	}
	if w.q.options.format == "" {
		return "table"
	}
	return w.q.options.format
}

func (w *writer) row(values [][]byte) error {
	w.n++
	switch w.format() {
	case "csv":
		if w.csv == nil {
			w.csv = csv.NewWriter(w.out)
			w.csv.Write(w.names) //nolint:errcheck // Flush tells
		}
		cells := make([]string, len(values))
		for i, v := range values {
			cells[i] = string(v)
		}
		return w.csv.Write(cells)
	case "json", "ndjson":
		if w.format() == "json" {
			lead := ",\n"
			if w.n == 1 {
				lead = "[\n"
			}
			w.out.WriteString(lead) //nolint:errcheck // Flush tells
		}
		w.object(values)
		if w.format() == "ndjson" {
			w.out.WriteByte('\n') //nolint:errcheck // Flush tells
		}
		return nil
	case "markdown":
		if w.n == 1 {
			w.markdownHead()
		}
		w.markdownRow(values)
		return nil
	case "tabs":
		if w.n == 1 {
			w.tabs(w.names)
		}
		cells := make([]string, len(values))
		for i, v := range values {
			cells[i] = string(v)
		}
		w.tabs(cells)
		return nil
	}
	cells, nulls := make([]string, len(values)), make([]bool, len(values))
	for i, v := range values {
		cells[i], nulls[i] = printable(string(v)), v == nil
	}
	w.rows, w.nulls = append(w.rows, cells), append(w.nulls, nulls)
	if len(w.rows) == maxTableRows {
		w.table()
		w.rows, w.nulls = nil, nil
	}
	return nil
}

func (w *writer) tabs(cells []string) {
	for i, cell := range cells {
		if i > 0 {
			w.out.WriteByte('\t') //nolint:errcheck // Flush tells
		}
		w.out.WriteString(tabSafe.Replace(cell)) //nolint:errcheck // Flush tells
	}
	w.out.WriteByte('\n') //nolint:errcheck // Flush tells
}

var tabSafe = strings.NewReplacer("\t", `\t`, "\n", `\n`, "\r", `\r`, `\`, `\\`)

// object writes a row as JSON.
func (w *writer) object(values [][]byte) {
	w.out.WriteByte('{') //nolint:errcheck // Flush tells
	for i, v := range values {
		if i > 0 {
			w.out.WriteByte(',') //nolint:errcheck // Flush tells
		}
		name, _ := json.Marshal(w.names[i])                // strings always marshal
		w.out.Write(name)                                  //nolint:errcheck // Flush tells
		w.out.WriteByte(':')                               //nolint:errcheck // Flush tells
		w.out.Write(jsonValue(w.fields[i].DataTypeOID, v)) //nolint:errcheck // Flush tells
	}
	w.out.WriteByte('}') //nolint:errcheck // Flush tells
}

func jsonValue(oid uint32, v []byte) []byte {
	switch {
	case v == nil:
		return []byte("null")
	case oid == pgtype.BoolOID:
		return strconv.AppendBool(nil, string(v) == "t")
	case numeric[oid], oid == pgtype.JSONOID, oid == pgtype.JSONBOID:
		if json.Valid(v) {
			return v
		}
	}
	raw, _ := json.Marshal(string(v)) // strings always marshal
	return raw
}

var markdownSafe = strings.NewReplacer("|", `\|`, "\n", "<br>", "\r", "")

func (w *writer) markdownHead() {
	for _, name := range w.names {
		fmt.Fprintf(w.out, "| %s ", markdownSafe.Replace(name)) //nolint:errcheck // Flush tells
	}
	fmt.Fprint(w.out, "|\n") //nolint:errcheck // Flush tells
	for _, f := range w.fields {
		if numeric[f.DataTypeOID] {
			fmt.Fprint(w.out, "|---:") //nolint:errcheck // Flush tells
		} else {
			fmt.Fprint(w.out, "|---") //nolint:errcheck // Flush tells
		}
	}
	fmt.Fprint(w.out, "|\n") //nolint:errcheck // Flush tells
}

func (w *writer) markdownRow(values [][]byte) {
	for _, v := range values {
		fmt.Fprintf(w.out, "| %s ", markdownSafe.Replace(string(v))) //nolint:errcheck // Flush tells
	}
	fmt.Fprint(w.out, "|\n") //nolint:errcheck // Flush tells
}

// end writes what follows the last row.
func (w *writer) end() error {
	switch w.format() {
	case "csv":
		if w.csv == nil {
			w.csv = csv.NewWriter(w.out)
			w.csv.Write(w.names) //nolint:errcheck // Flush tells
		}
		w.csv.Flush()
		return w.csv.Error()
	case "json":
		if w.n == 0 {
			w.out.WriteString("[") //nolint:errcheck // Flush tells
		}
		_, err := w.out.WriteString("\n]\n")
		return err
	case "markdown":
		if w.n == 0 {
			w.markdownHead()
		}
	case "tabs":
		if w.n == 0 {
			w.tabs(w.names)
		}
	case "table":
		if len(w.rows) > 0 || w.n == 0 {
			w.table()
		}
	}
	return nil
}

// table aligns what was kept, or draws it if it is a funnel.
func (w *writer) table() {
	width := w.q.console.width
	if !w.q.console.outTTY {
		width = 0
	}
	if w.q.expanded {
		for i, row := range w.rows {
			fmt.Fprintf(w.out, "-- row %d\n", w.n-len(w.rows)+i+1) //nolint:errcheck // Flush tells
			t := &table{}
			for j, cell := range row {
				t.rows = append(t.rows, []string{w.names[j], cell})
			}
			t.print(w.out, width)
		}
		return
	}
	if drawFunnel(w.out, w.names, w.rows, w.nulls, width) {
		return
	}
	t := &table{head: w.names, rows: w.rows}
	for _, f := range w.fields {
		t.right = append(t.right, numeric[f.DataTypeOID])
	}
	t.print(w.out, width)
}

// splitStatements cuts a text at the semicolons that end statements: not those in strings,
// quoted names, comments and dollar quotes.
func splitStatements(text string) []string {
	var out []string
	start, i := 0, 0
	add := func(end int) {
		if s := strings.TrimSpace(text[start:end]); s != "" {
			out = append(out, s)
		}
	}
	for i < len(text) {
		if text[i] == ';' {
			add(i)
			i++
			start = i
			continue
		}
		i = skipToken(text, i)
	}
	add(len(text))
	return out
}

// complete says whether a text ends with a semicolon that ends a statement.
func complete(text string) bool {
	last := false
	for i := 0; i < len(text); {
		switch {
		case text[i] == ';':
			last = true
			i++
		case text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r':
			i++
		default:
			next := skipToken(text, i)
			last = last && strings.HasPrefix(text[i:], "--")
			i = next
		}
	}
	return last
}

// skipToken is where the string, comment or character at i ends.
func skipToken(text string, i int) int {
	to := func(end string, from int) int {
		if at := strings.Index(text[from:], end); at >= 0 {
			return from + at + len(end)
		}
		return len(text)
	}
	switch c := text[i]; {
	case c == '\'' || c == '"':
		backslash := c == '\'' && i > 0 && (text[i-1] == 'e' || text[i-1] == 'E')
		for i++; i < len(text); i++ {
			if text[i] == '\\' && backslash {
				i++
			} else if text[i] == c {
				return i + 1
			}
		}
		return len(text)
	case c == '-' && strings.HasPrefix(text[i:], "--"):
		return to("\n", i)
	case c == '/' && strings.HasPrefix(text[i:], "/*"):
		depth := 0
		for ; i < len(text); i++ {
			if strings.HasPrefix(text[i:], "/*") {
				depth++
				i++
			} else if strings.HasPrefix(text[i:], "*/") {
				depth--
				i++
				if depth == 0 {
					return i + 1
				}
			}
		}
		return len(text)
	case c == '$':
		end := strings.IndexByte(text[i+1:], '$')
		if end < 0 {
			return i + 1
		}
		tag := text[i : i+end+2]
		for _, r := range tag[1 : len(tag)-1] {
			if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return i + 1
			}
		}
		return to(tag, i+len(tag))
	}
	return i + 1
}
