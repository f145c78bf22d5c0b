package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage/event"
)

func importCommand(c *console) *cobra.Command {
	var o importOptions
	var maps []string
	cmd := &cobra.Command{
		Use: "import <file…>", Short: "Bulk load of NDJSON, CSV, TSV and Parquet files", Args: someArgs(1, -1, "at least one file, or - for standard input"),
		Long: "Load events from files: newline-delimited JSON, CSV or TSV with a header, Parquet; plain, gzip or zstd.\n" +
			"What a file is, is found out from its content. Loading a file again adds nothing.",
		Example: "  prickle import events-2026-10.ndjson.gz\n" +
			"  zcat old/*.csv.gz | prickle import - --map time=created_at --map person=user.id",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, m := range maps {
				if err := o.mapColumn(m); err != nil {
					return err
				}
			}
			if o.onError != "" && o.onError != "skip" && o.onError != "stop" {
				return usage("--on-error is skip or stop, not %q", o.onError)
			}
			return importFiles(cmd.Context(), cmd, c, o, args)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&maps, "map", nil, "`field=column`; fields are time, person, event, id and properties")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be stored, and store nothing")
	f.StringVar(&o.onError, "on-error", "", "what a bad row does: `skip` or stop (default: skip up to 1 %, then stop)")
	f.StringVar(&o.project, "project", "prickle", "database `name` of the project")
	return cmd
}

type importOptions struct {
	mapping capture.Mapping
	dryRun  bool
	onError string
	project string
}

func (o *importOptions) mapColumn(text string) error {
	field, column, ok := strings.Cut(text, "=")
	fields := map[string]*string{"time": &o.mapping.Time, "person": &o.mapping.Person, "event": &o.mapping.Event,
		"id": &o.mapping.ID, "properties": &o.mapping.Properties}
	at := fields[strings.TrimSpace(field)]
	if !ok || at == nil || strings.TrimSpace(column) == "" {
		p := usage("--map %s: write field=column, where field is time, person, event, id or properties", text)
		if near := nearest(field, []string{"time", "person", "event", "id", "properties"}); ok && near != "" && column != "" {
			p.Try = []string{"--map " + near + "=" + column}
		}
		return p
	}
	*at = strings.TrimSpace(column)
	return nil
}

// target is where an import goes: a running server, or the data directory itself.
type target struct {
	open    func(context.Context) (sink, error)
	bytes   func() int64 // of segments
	persons func(context.Context) int64
	close   func(complete bool) error
}

// importFiles loads files one after the other.
func importFiles(ctx context.Context, cmd *cobra.Command, c *console, o importOptions, args []string) error {
	names, err := expand(args)
	if err != nil {
		return err
	}
	if o.dryRun {
		for _, name := range names {
			if err := dryRun(c, o, name); err != nil {
				return err
			}
		}
		return nil
	}
	// What is no file of events is found out before anything is opened for writing.
	if len(names) == 1 && names[0] != "-" {
		s, err := openInput(names[0], nil, o.mapping)
		if err != nil {
			return err
		}
		s.close()
	}
	to, err := importTarget(ctx, cmd, c, o.project)
	if err != nil {
		return err
	}
	var failed []error
	partly := false
	for _, name := range names {
		err := importFile(ctx, c, o, to, name)
		var code silent
		if errors.As(err, &code) && code == exitPartly {
			partly, err = true, nil
		}
		if err == nil {
			continue
		}
		failed = append(failed, err)
		if ctx.Err() != nil || len(names) == 1 || isFatal(err) {
			break
		}
		report(c, err) // the other files are still read
	}
	if err := to.close(len(failed) == 0); err != nil {
		failed = append(failed, err)
	}
	switch {
	case len(failed) == 0 && partly:
		return silent(exitPartly)
	case len(failed) == 0:
		return nil
	case len(names) == 1 || ctx.Err() != nil || isFatal(failed[len(failed)-1]):
		return failed[len(failed)-1]
	default:
		fmt.Fprintf(c.err, "%d of %d files were not imported whole.\n", len(failed), len(names))
		return silent(exitPartly)
	}
}

// isFatal says that the next file would meet the same.
func isFatal(err error) bool {
	var p *problem
	return errors.As(err, &p) && p.Exit == exitUnreachable
}

// expand turns directories and patterns into files.
func expand(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		if arg == "-" {
			out = append(out, arg)
			continue
		}
		info, err := os.Stat(arg)
		switch {
		case err == nil && info.IsDir():
			entries, err := os.ReadDir(arg)
			if err != nil {
				return nil, &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", arg, innermost(err)), Exit: exitFailed}
			}
			for _, e := range entries {
				if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), rejectsSuffix) {
					out = append(out, filepath.Join(arg, e.Name()))
				}
			}
		case err == nil:
			out = append(out, arg)
		default:
			matches, bad := filepath.Glob(arg)
			if bad != nil || len(matches) == 0 {
				return nil, &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", arg, innermost(err)), Exit: exitFailed, Err: err}
			}
			slices.Sort(matches)
			out = append(out, matches...)
		}
	}
	if len(out) == 0 {
		return nil, &problem{Code: "file_unreadable", What: "there is no file in " + strings.Join(args, ", "), Exit: exitFailed}
	}
	return out, nil
}

// importTarget finds the server, or opens the data directory if none runs.
func importTarget(ctx context.Context, cmd *cobra.Command, c *console, project string) (*target, error) {
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return nil, err
	}
	r, node, err := serverOrNode(ctx, cmd, c, func() (*cluster.Node, error) {
		cfg := nodeConfig(quietLogger(c), newBudget(conf))
		cfg.OpenBlob = blobOpener(conf)
		return openNode(ctx, conf.get("data"), cfg)
	})
	if err != nil {
		return nil, err
	}
	if r != nil {
		return remoteTarget(ctx, r, project)
	}
	p, err := projectOf(node.Store(), project)
	if err != nil {
		node.Close(ctx) //nolint:errcheck // nothing was written
		return nil, err
	}
	return &target{
		open:  func(context.Context) (sink, error) { return &nodeSink{node: node, project: p.ID}, nil },
		bytes: func() int64 { return node.Store().Stats().Bytes },
		persons: func(context.Context) int64 {
			n, _ := node.Store().PersonCount(p.ID) // the project was just there
			return n
		},
		close: func(complete bool) error {
			if complete {
				if err := mergeAll(ctx, c, node); err != nil && ctx.Err() == nil {
					node.Close(context.WithoutCancel(ctx)) //nolint:errcheck // err says what matters
					return err
				}
			}
			return node.Close(context.WithoutCancel(ctx))
		},
	}, nil
}

// mergeAll merges what an import has written, which takes about a quarter of its time, and
// says so where it takes long.
func mergeAll(ctx context.Context, c *console, node *cluster.Node) error {
	switch {
	case c.moves(): // there is no share of it to tell
		defer watch(c, "merging", "merge", func() state { return state{rows: node.Store().Stats().Events} }).finish()
	case !c.quiet && !c.json:
		said := time.AfterFunc(progressAfter, func() {
			fmt.Fprintln(c.err, "merging segments; all rows are stored, and a stop loses nothing")
		})
		defer said.Stop()
	}
	return node.MergeAll(ctx)
}

func remoteTarget(ctx context.Context, r *remote, project string) (*target, error) {
	p, err := r.project(ctx, project)
	if err != nil {
		return nil, err
	}
	return &target{
		open:  func(ctx context.Context) (sink, error) { return openStream(ctx, r, p.ID) },
		bytes: func() int64 { return int64(r.metric(ctx, "prickle_segment_bytes")) },
		persons: func(ctx context.Context) int64 {
			n, _ := r.count(ctx, project, "select count(distinct person_id) from events") // a number less in the summary
			return n
		},
		close: func(bool) error { return nil },
	}, nil
}

// summary is what an import of a file came to.
type summary struct {
	Type       string           `json:"type"`
	File       string           `json:"file"`
	Format     string           `json:"format"`
	Rows       int64            `json:"rows"`
	Stored     int64            `json:"stored"`
	Duplicates int64            `json:"duplicates"`
	Rejected   int64            `json:"rejected"`
	Kinds      map[string]int64 `json:"rejected_by_reason,omitempty"`
	Rejects    string           `json:"rejects_file,omitempty"`
	Persons    int64            `json:"persons,omitempty"`
	Bytes      int64            `json:"source_bytes"`
	First      string           `json:"first_time,omitempty"`
	Last       string           `json:"last_time,omitempty"`
	Elapsed    float64          `json:"elapsed_ms"`
	Complete   bool             `json:"complete"`
}

// loading is an import of one file under way.
type loading struct {
	console  *console
	input    *input
	sink     sink
	options  importOptions
	rows     atomic.Int64 // decoded and put
	rejects  rejects
	again    capture.Occurrences
	min, max int64
}

func importFile(ctx context.Context, c *console, o importOptions, to *target, name string) error {
	s, err := openInput(name, c.in, o.mapping)
	if err != nil {
		return err
	}
	defer s.close()
	if !c.quiet && !c.json {
		fmt.Fprintf(c.out, "%s Read as:\n  %s\n", s.describe(), s.mapping.ReadAs(s.columns))
	}
	before := to.bytes()
	l := &loading{console: c, input: s, options: o, min: math.MaxInt64, max: math.MinInt64}
	l.rejects.source = s.name
	if l.sink, err = to.open(ctx); err != nil {
		return err
	}
	line := watch(c, filepath.Base(s.title()), "import", func() state {
		return state{rows: l.rows.Load(), bytes: s.read.Load(), totalBytes: s.size}
	})
	err = l.run(ctx)
	took := line.finish()
	closing := l.rejects.close()
	if ctx.Err() != nil {
		if !c.json {
			fmt.Fprintf(c.err, "Stopped. %s are stored; run the same command again to continue.\n",
				plural(l.sink.stored()+l.sink.duplicates(), "row", "rows"))
		} else if printing := printJSON(c.out, l.summary(took, 0, false)); printing != nil {
			return printing
		}
		return silent(exitInterrupted)
	}
	if err == nil {
		err = closing
	}
	if err != nil {
		p := asProblem(err)
		if n := l.sink.stored() + l.sink.duplicates(); n > 0 {
			p.Where = append(p.Where, fmt.Sprintf("%s before it %s stored.", plural(n, "row", "rows"), map[bool]string{true: "is", false: "are"}[n == 1]))
		}
		return p
	}
	persons := to.persons(ctx)
	if c.json {
		err = printJSON(c.out, l.summary(took, persons, true))
	} else if !c.quiet {
		l.print(took, max(0, to.bytes()-before), persons)
	}
	if err == nil && l.rejects.count > 0 {
		return silent(exitPartly)
	}
	return err
}

// run reads, decodes and stores the file.
func (l *loading) run(ctx context.Context) error {
	var ended error
	return first(ordered(ctx, l.sink,
		func() (any, bool) {
			piece, err := l.input.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					ended = err
				}
				return nil, false
			}
			return piece, true
		},
		l.input.worker,
		func(d decoded, put func(*event.Batch) error) error { return l.deliver(d, put) }), func() error { return ended })
}

// first is the error of something that ran, or else of what it read from.
func first(err error, also func() error) error {
	if err != nil {
		return err
	}
	return also()
}

// deliver stores what one piece gave, in the order of the file.
func (l *loading) deliver(d decoded, put func(*event.Batch) error) error {
	for _, b := range d.batches {
		l.again.Settle(b)
		for _, t := range b.Time {
			l.min, l.max = min(l.min, t), max(l.max, t)
		}
		rows := int64(b.Rows)
		if err := put(b.Batch); err != nil {
			return err
		}
		l.rows.Add(rows)
	}
	for _, r := range d.rejects {
		if err := l.rejects.add(r); err != nil {
			return err
		}
		if l.options.onError == "stop" {
			return &problem{Code: "bad_row", What: fmt.Sprintf("%s, line %s: %s", l.input.title(), grouped(r.Line), reasonOf(r)), Exit: exitFailed,
				Where: []string{fit(printable(string(r.Raw)), 160)}, Try: []string{fmt.Sprintf("prickle import %s --on-error skip", l.input.name)}}
		}
	}
	if all := l.rows.Load() + l.rejects.count; l.options.onError == "" && l.rejects.count > 100 && l.rejects.count*100 > all {
		return &problem{Code: "bad_rows_over_limit", What: fmt.Sprintf("%s of the first %s rows of %s cannot be stored: more than 1 %%", grouped(l.rejects.count), grouped(all), l.input.title()),
			Exit: exitFailed, Where: []string{l.rejects.text(), "They are in " + l.rejects.name + "."},
			Try: []string{fmt.Sprintf("prickle import %s --on-error skip", l.input.name)}}
	}
	return nil
}

func reasonOf(r capture.Reject) string {
	if r.Detail == "" {
		return "row " + r.Kind
	}
	return r.Detail
}

func (l *loading) summary(took time.Duration, persons int64, complete bool) summary {
	s := summary{Type: "import", File: l.input.name, Format: l.input.format, Rows: l.rows.Load(), Stored: l.sink.stored(), Duplicates: l.sink.duplicates(),
		Rejected: l.rejects.count, Rejects: l.rejects.name, Persons: persons, Bytes: l.input.plain.Load(), Elapsed: milliseconds(took), Complete: complete}
	if l.rejects.count > 0 {
		s.Kinds = map[string]int64{}
		for _, k := range l.rejects.kinds {
			s.Kinds[k.kind] = k.count
		}
	}
	if l.max >= l.min {
		s.First = time.UnixMicro(l.min).UTC().Format(time.RFC3339Nano)
		s.Last = time.UnixMicro(l.max).UTC().Format(time.RFC3339Nano)
	}
	return s
}

// print writes the lines that replace the progress line.
func (l *loading) print(elapsed time.Duration, bytes, persons int64) {
	out := l.console.out
	rows := l.rows.Load()
	rate := float64(rows) / max(elapsed.Seconds(), 1e-3)
	fmt.Fprintf(out, "%s   done   %s in %s   %s rows/s\n", filepath.Base(l.input.title()), plural(rows, "row", "rows"), took(elapsed), amount(rate))
	var parts []string
	source := "source " + size(float64(l.input.plain.Load()))
	if l.input.size > 0 && l.input.compression == "" {
		source = "source " + size(float64(l.input.size))
	}
	if bytes > 0 {
		parts = append(parts, fmt.Sprintf("stored %s (%s)", size(float64(bytes)), source))
	} else {
		parts = append(parts, source)
	}
	if persons > 0 {
		parts = append(parts, "persons "+grouped(persons))
	}
	if l.max >= l.min {
		day := func(t int64) string { return time.UnixMicro(t).UTC().Format(time.DateOnly) }
		if from, to := day(l.min), day(l.max); from == to {
			parts = append(parts, from)
		} else {
			parts = append(parts, from+" … "+to)
		}
	}
	fmt.Fprintf(out, "  %s\n", strings.Join(parts, "   "))
	if n := l.sink.duplicates(); n > 0 && n == rows {
		fmt.Fprintf(out, "  nothing is new: %s stored before\n", were(n))
	} else if n > 0 {
		fmt.Fprintf(out, "  %s new, %s were stored before\n", plural(l.sink.stored(), "row is", "rows are"), grouped(n))
	}
	if l.rejects.count > 0 {
		fmt.Fprintf(out, "  skipped %s: %s   → %s\n", plural(l.rejects.count, "row", "rows"), l.rejects.text(), l.rejects.name)
	}
}

const rejectsSuffix = ".rejects.ndjson"

// rejects are the rows of a file that are not stored, written to a file beside it.
type rejects struct {
	source string
	name   string // of the file, once there is one
	file   *os.File
	count  int64
	kinds  []rejectKind
}

type rejectKind struct {
	kind  string
	count int64
	first int64 // line
}

// maxRejectedRaw is how much of a row is kept in the rejects file.
const maxRejectedRaw = 64 << 10

func (x *rejects) add(r capture.Reject) error {
	if x.file == nil {
		if err := x.create(); err != nil {
			return err
		}
	}
	x.count++
	at := slices.IndexFunc(x.kinds, func(k rejectKind) bool { return k.kind == r.Kind })
	if at < 0 {
		at = len(x.kinds)
		x.kinds = append(x.kinds, rejectKind{kind: r.Kind, first: r.Line})
	}
	x.kinds[at].count++
	line, err := json.Marshal(struct {
		Line   int64  `json:"line"`
		Reason string `json:"reason"`
		Row    string `json:"row"`
	}{r.Line, reasonOf(r), strings.ToValidUTF8(string(r.Raw[:min(len(r.Raw), maxRejectedRaw)]), "\ufffd")})
	if err != nil {
		return err
	}
	_, err = x.file.Write(append(line, '\n'))
	return err
}

// create makes the file beside the source, or here if that cannot be written to.
func (x *rejects) create() error {
	name := "stdin"
	dir := "."
	if x.source != "-" {
		dir, name = filepath.Split(x.source)
	}
	for _, ext := range []string{".gz", ".zst", ".zstd", ".gzip"} {
		name = strings.TrimSuffix(name, ext)
	}
	for _, ext := range []string{".ndjson", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt"} {
		name = strings.TrimSuffix(name, ext)
	}
	for _, at := range []string{dir, "."} {
		file, err := os.Create(filepath.Join(at, name+rejectsSuffix))
		if err == nil {
			x.file, x.name = file, filepath.Join(at, name+rejectsSuffix)
			return nil
		}
	}
	return &problem{Code: "rejects_not_writable", What: fmt.Sprintf("the file %s for rows that cannot be stored cannot be written", name+rejectsSuffix), Exit: exitFailed}
}

func (x *rejects) close() error {
	if x.file == nil {
		return nil
	}
	err := x.file.Close()
	x.file = nil
	return err
}

// text counts the rows by reason, the most frequent first.
func (x *rejects) text() string {
	kinds := slices.Clone(x.kinds)
	slices.SortStableFunc(kinds, func(a, b rejectKind) int { return cmp.Compare(b.count, a.count) })
	var parts []string
	for i, k := range kinds {
		text := fmt.Sprintf("%s %s", grouped(k.count), k.kind)
		if i == 0 {
			text += fmt.Sprintf(" (first: line %s)", grouped(k.first))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// dryRun prints the mapping, the first rows as they would be stored, and an estimate.
func dryRun(c *console, o importOptions, name string) error {
	s, err := openInput(name, c.in, o.mapping)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintf(c.out, "%s Read as:\n  %s\n", s.describe(), s.mapping.ReadAs(s.columns))
	piece, err := s.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err != nil {
		fmt.Fprintln(c.out, "The file has no rows.")
		return nil
	}
	d, err := s.worker()(piece)
	if err != nil {
		return err
	}
	shown := 0
	for _, b := range d.batches {
		for row := 0; row < b.Rows && shown < 3; row++ {
			fmt.Fprintf(c.out, "  %s\n", fit(rowText(b.Batch, row), c.width))
			shown++
		}
	}
	for i, r := range d.rejects {
		if i == 3 {
			break
		}
		fmt.Fprintf(c.out, "  line %s would be skipped: %s\n", grouped(r.Line), reasonOf(r))
	}
	if read := s.plain.Load(); s.size > 0 && d.rows > 0 && read > 0 {
		total := float64(d.rows)
		if done := s.read.Load(); done < s.size && done > 0 {
			total *= float64(s.size) / float64(done)
		}
		fmt.Fprintf(c.out, "About %s rows. Nothing was stored.\n", amount(total))
	} else {
		fmt.Fprintln(c.out, "Nothing was stored.")
	}
	return nil
}

// rowText is a row as it would be stored.
func rowText(b *event.Batch, row int) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s  %s  %s  id %s", time.UnixMicro(b.Time[row]).UTC().Format("2006-01-02 15:04:05.000Z"),
		printable(b.Name.Values.Str(int(b.Name.Codes[row]))), printable(b.DistinctID.Values.Str(int(b.DistinctID.Codes[row]))), uuid.UUID(b.UUID[row]))
	for i := range b.Props {
		p := &b.Props[i]
		if code := p.Codes.At(row); code > 0 {
			fmt.Fprintf(&t, "  %s=%s", printable(p.Key), printable(p.Values.Str(int(code-1))))
		}
	}
	return t.String()
}

func were(n int64) string {
	if n == 1 {
		return "the row was"
	}
	return "all " + grouped(n) + " rows were"
}
