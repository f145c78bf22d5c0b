package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/bench/hits"
	"github.com/prickledb/prickle/bench/tpch"
)

// A suite is data, how each database takes them in, and what is asked.
type suite struct {
	name  string
	title string
	// rows is how many rows its main table has.
	rows      uint64
	questions []asked
	// files makes the files that are loaded, in the directory files.
	files func(context.Context, place) error
	// imports are files for `prickle import`; setup are statements for a database that has
	// nothing yet, by its name, or that of one of several ways to load it. What they take is the
	// time of loading, see loaded.
	imports []string
	setup   map[string][]string
	// main is the table whose size is told.
	main string
	// extra are statements after that, which the time and the size of loading leave out.
	extra map[string][]string
}

// loaded is what taking in the data took.
type loaded struct {
	Name string `json:"name"`
	// Seconds is until all rows are durable and queries see them, start included, and Rate is
	// the rows of one of these. Merged is until the merges are done that follow: those of
	// prickle import, OPTIMIZE FINAL, and CHECKPOINT.
	Seconds float64 `json:"seconds"`
	Merged  float64 `json:"merged_seconds"`
	Rate    float64 `json:"rows_per_second"`
	Bytes   float64 `json:"bytes_per_row,omitempty"`
	Memory  int64   `json:"peak_memory_bytes,omitempty"`
	CPU     float64 `json:"cpu_seconds,omitempty"` // what all threads worked
}

// contestants are the databases that a suite is for, in the order of reports.
func (s *suite) contestants() (list []string) {
	for name := range s.setup {
		if name != prickle {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return append([]string{prickle}, list...)
}

// eventFiles is how many events a file with columns holds.
const eventFiles = 1_000_000

// product is 90 days of a shop. Everybody gets the same rows: prickle as they are sent, with
// properties as JSON, anonymous ids and what makes them persons; the peers in columns, with the persons' numbers.
func product(events uint64) *suite {
	s := &suite{name: "product", title: "Product analytics, 32 questions", rows: events, questions: productQuestions, main: "ev"}
	s.files = func(ctx context.Context, p place) error { return writeProduct(ctx, p.of("files"), events) }
	s.imports = []string{"events.parquet"}
	s.setup = map[string][]string{
		clickhouse: {
			`CREATE TABLE ev (event LowCardinality(String), pid UInt32, ts DateTime64(3, 'UTC') CODEC(Delta(8), LZ4), uuid UUID, distinct_id String,
				browser LowCardinality(String), browser_version LowCardinality(String), os LowCardinality(String), device_type LowCardinality(String), current_url String, pathname LowCardinality(String),
				referrer LowCardinality(String), referring_domain LowCardinality(String), utm_source LowCardinality(String), utm_medium LowCardinality(String), utm_campaign LowCardinality(String), plan LowCardinality(String),
				price Float64, quantity UInt16, product_id LowCardinality(String), session_id UUID, variant LowCardinality(String), screen_width UInt16, screen_height UInt16, country LowCardinality(String), city LowCardinality(String),
				lib LowCardinality(String), search_query String, is_logged_in UInt8)
				ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (event, pid, ts)`,
			`CREATE TABLE persons (pid UInt32, plan LowCardinality(String), country LowCardinality(String), company_size Int32) ENGINE = MergeTree ORDER BY pid`,
			`INSERT INTO persons SELECT pid, plan, country, company_size FROM file('{files}/persons.parquet', Parquet)`,
			`INSERT INTO ev SELECT event, pid, ts, uuid, distinct_id, browser, browser_version, os, device_type, current_url, pathname, referrer, referring_domain, utm_source, utm_medium, utm_campaign, plan, price, quantity,
				product_id, session_id, variant, screen_width, screen_height, country, city, lib, search_query, is_logged_in FROM file('{files}/columns-*.parquet', Parquet)`,
			`OPTIMIZE TABLE ev FINAL`,
		},
		duckdb: duckdbProduct(),
	}
	s.extra = map[string][]string{clickhouse: {
		`CREATE TABLE days (event LowCardinality(String), d Date, b AggregateFunction(groupBitmap, UInt32)) ENGINE = AggregatingMergeTree ORDER BY (event, d)`,
		`INSERT INTO days SELECT event, toDate(ts) AS d, groupBitmapState(pid) FROM ev GROUP BY event, d`,
		`OPTIMIZE TABLE days FINAL`,
		`ALTER TABLE ev ADD PROJECTION by_person (SELECT pid, ts, event ORDER BY pid, ts)`,
		`ALTER TABLE ev MATERIALIZE PROJECTION by_person SETTINGS mutations_sync = 2`,
	}}
	return s
}

func duckdbProduct() []string {
	columns := `event, pid, ts::TIMESTAMP AS ts, uuid::UUID AS uuid, distinct_id, browser, browser_version, os, device_type, current_url, pathname, referrer, referring_domain, utm_source, utm_medium, utm_campaign, plan, price,
		quantity::USMALLINT AS quantity, product_id, session_id::UUID AS session_id, variant, screen_width::USMALLINT AS screen_width, screen_height::USMALLINT AS screen_height, country, city, lib, search_query, is_logged_in`
	var out []string
	for _, name := range []string{"event", "browser", "browser_version", "os", "device_type", "utm_source", "utm_medium", "utm_campaign", "plan", "variant", "country", "lib"} {
		out = append(out, fmt.Sprintf(`CREATE TYPE %s_t AS ENUM (SELECT DISTINCT %s FROM read_parquet('{files}/columns-*.parquet') ORDER BY 1)`, name, name))
		columns = regexp.MustCompile(`(^|, )`+name+`,`).ReplaceAllString(columns, "${1}"+fmt.Sprintf("%s::%s_t AS %s,", name, name, name))
	}
	return append(out,
		`CREATE TABLE ev AS SELECT `+columns+` FROM read_parquet('{files}/columns-*.parquet') ORDER BY event, pid, ts`,
		`CREATE TABLE persons AS SELECT pid, plan::plan_t AS plan, country, company_size FROM read_parquet('{files}/persons.parquet') ORDER BY pid`,
		`CHECKPOINT`)
}

// productConfig is the stream of the product suite.
func productConfig(events uint64) gen.Config {
	return gen.Config{Events: events, Merges: true, Profiles: true}
}

func writeProduct(ctx context.Context, dir string, events uint64) error {
	config := productConfig(events)
	m := gen.New(config)
	jobs := []func() error{
		func() error {
			return writeFile(filepath.Join(dir, "events.parquet"), func(w io.Writer) error { return gen.WriteParquet(ctx, w, config, nil) })
		},
		func() error { return writeFile(filepath.Join(dir, "persons.parquet"), m.WritePersons) },
	}
	for from, n := uint64(0), 0; from < m.Sessions(); n++ {
		to := m.Sessions()
		if next := m.FirstEvent(from) + eventFiles; next < m.Events() {
			to = m.SessionOf(next) + 1
		}
		first, name := from, filepath.Join(dir, fmt.Sprintf("columns-%04d.parquet", n))
		jobs = append(jobs, func() error {
			return writeFile(name, func(w io.Writer) error { return m.WriteColumns(ctx, w, first, to) })
		})
		from = to
	}
	return inParallel(jobs)
}

// inParallel runs jobs, two at a time, and gives their errors.
func inParallel(jobs []func() error) error {
	errs := make([]error, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range next {
				errs[i] = jobs[i]()
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// writeFile writes a file that is not there yet; a half-written one has another name.
func writeFile(name string, write func(io.Writer) error) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}

// hitsSuite is a table of page views, asked as ClickBench asks its own.
func hitsSuite(rows uint64) *suite {
	s := &suite{name: "hits", title: "Page views, 43 questions", rows: rows, main: "hits"}
	// ClickHouse has escapes in strings, adds up 64-bit numbers in 64 bits, and writes a large
	// floating-point number like a whole one, which it would be taken for.
	dialect := strings.NewReplacer(`\`, `\\`, `avg(UserID)`, `concat(toString(avg(toFloat64(UserID)) / 1e18), 'e18')`)
	for i, q := range hits.Questions {
		a := asked{name: fmt.Sprintf("H%d", i), title: shorten(q.SQL), compare: q.Compare, forms: map[string]form{
			prickle: {q.SQL}, duckdb: {q.SQL}, clickhouse: {dialect.Replace(q.SQL)}}}
		if q.Compare == nil && !q.Exact {
			a.compare = []int{}
		}
		s.questions = append(s.questions, a)
	}
	const group = 250_000 // a file is loaded by one statement, which holds its rows in memory
	s.files = func(ctx context.Context, p place) error {
		for from := uint64(0); from < rows; from += group {
			name := filepath.Join(p.of("files"), fmt.Sprintf("hits-%04d.parquet", from/group))
			if err := writeFile(name, func(w io.Writer) error { return hits.WriteParquet(ctx, w, from, min(from+group, rows), rows) }); err != nil {
				return err
			}
		}
		return nil
	}
	var copies []string
	for from := uint64(0); from < rows; from += group {
		copies = append(copies, fmt.Sprintf(`COPY hits FROM '{files}/hits-%04d.parquet' (FORMAT parquet)`, from/group))
	}
	// The columns of a table in ClickHouse are not NULL unless they say so.
	types := strings.NewReplacer(" smallint NOT NULL", " Int16", " integer NOT NULL", " Int32", " bigint NOT NULL", " Int64", " text NOT NULL", " String", " date NOT NULL", " Date", " timestamp NOT NULL", " DateTime('UTC')")
	s.setup = map[string][]string{
		prickle: append([]string{hits.Schema() + ` WITH (order_by = '` + hits.Order + `')`}, copies...),
		clickhouse: {types.Replace(hits.Schema()) + ` ENGINE = MergeTree ORDER BY (` + hits.Order + `)`,
			`INSERT INTO hits ({columns}) SELECT {columns} FROM file('{files}/hits-*.parquet', Parquet)`, `OPTIMIZE TABLE hits FINAL`},
		duckdb: {hits.Schema(), `INSERT INTO hits BY NAME SELECT * FROM read_parquet('{files}/hits-*.parquet') ORDER BY ` + hits.Order, `CHECKPOINT`},
	}
	columns := strings.Join(columnNames(hits.Schema()), ", ")
	for i, sql := range s.setup[clickhouse] {
		s.setup[clickhouse][i] = strings.ReplaceAll(sql, "{columns}", columns)
	}
	return s
}

// columnNames are the names of a statement CREATE TABLE.
func columnNames(create string) (names []string) {
	_, list, _ := strings.Cut(strings.TrimSuffix(create, ")"), "(")
	for _, c := range strings.Split(list, ", ") {
		name, _, _ := strings.Cut(c, " ")
		names = append(names, name)
	}
	return names
}

func shorten(sql string) string {
	words := []rune(strings.Join(strings.Fields(sql), " "))
	if len(words) > 90 {
		words = append(words[:89], '…')
	}
	return string(words)
}

// tpchSuite is asked of prickle and DuckDB.
func tpchSuite(scale float64) *suite {
	s := &suite{name: "tpch", title: fmt.Sprintf("TPC-H at scale %g, 22 questions", scale), rows: uint64(scale * 6_000_000), main: "lineitem", setup: map[string][]string{}}
	for i, sql := range tpch.Questions {
		s.questions = append(s.questions, asked{name: fmt.Sprintf("D%d", i+1), title: shorten(sql), forms: map[string]form{prickle: {sql}, duckdb: {sql}}})
	}
	s.files = func(ctx context.Context, p place) error {
		maker := tpch.New(scale)
		for _, table := range tpch.Tables {
			if err := writeFile(filepath.Join(p.of("files"), table+".tsv"), func(w io.Writer) error { return maker.Write(w, table) }); err != nil {
				return err
			}
		}
		return toParquet(ctx, p)
	}
	for i, table := range tpch.Tables {
		file := fmt.Sprintf("{files}/%s.parquet", table)
		s.setup[prickle] = append(s.setup[prickle], tpch.Schema[i], fmt.Sprintf(`COPY %s FROM '%s' (FORMAT parquet)`, table, file))
		s.setup[duckdb] = append(s.setup[duckdb], tpch.Schema[i], fmt.Sprintf(`INSERT INTO %s SELECT * FROM read_parquet('%s')`, table, file))
	}
	s.setup[duckdb] = append(s.setup[duckdb], `CHECKPOINT`)
	return s
}

// ingest has no questions. It takes in events as they are sent, a line of JSON each; the peers in
// several ways: properties as text, which is read at every question, or as columns, which is what prickle makes
// of them.
func ingest(events uint64) *suite {
	s := &suite{name: "ingest", title: "NDJSON", rows: events, main: "t", imports: []string{"events.ndjson"}}
	s.files = func(ctx context.Context, p place) error {
		return writeFile(filepath.Join(p.of("files"), "events.ndjson"), func(w io.Writer) error { return gen.WriteNDJSON(ctx, w, productConfig(events), nil) })
	}
	lines := `file('{files}/events.ndjson', JSONEachRow, 'uuid UUID, event String, distinct_id String, timestamp DateTime64(6, \'UTC\'), properties %s')`
	columns := `uuid, event, properties, timestamp, distinct_id`
	read := `CREATE TABLE t AS SELECT * FROM read_json('{files}/events.ndjson', format = 'newline_delimited', %s)`
	s.setup = map[string][]string{
		"clickhouse, properties as text": {`SET date_time_input_format = 'best_effort'`, `SET input_format_json_read_objects_as_strings = 1`,
			`CREATE TABLE t (uuid UUID, event String, properties String CODEC(ZSTD(3)), timestamp DateTime64(6, 'UTC'), distinct_id String) ENGINE = MergeTree ORDER BY (toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))`,
			`INSERT INTO t (` + columns + `) SELECT ` + columns + ` FROM ` + fmt.Sprintf(lines, "String"), `OPTIMIZE TABLE t FINAL`},
		"clickhouse, properties as columns": {`SET date_time_input_format = 'best_effort'`,
			`CREATE TABLE t (uuid UUID, event LowCardinality(String), properties JSON, timestamp DateTime64(3, 'UTC'), distinct_id String) ENGINE = MergeTree ORDER BY (event, distinct_id, timestamp)`,
			`INSERT INTO t (` + columns + `) SELECT ` + columns + ` FROM ` + fmt.Sprintf(lines, "JSON"), `OPTIMIZE TABLE t FINAL`},
		"duckdb, properties as text":    {fmt.Sprintf(read, `columns = {uuid: 'UUID', event: 'VARCHAR', distinct_id: 'VARCHAR', timestamp: 'TIMESTAMP', properties: 'JSON'}`), `CHECKPOINT`},
		"duckdb, properties as columns": {fmt.Sprintf(read, `sample_size = 100000`), `CHECKPOINT`},
	}
	return s
}

// toParquet has DuckDB make Parquet files of the tables of TPC-H, so that both load the same.
func toParquet(ctx context.Context, p place) error {
	scratch := "duckdb for files"
	if err := os.RemoveAll(p.of(scratch)); err != nil {
		return err
	}
	defer os.RemoveAll(p.of(scratch)) //nolint:errcheck // it is in nobody's way
	n, err := p.openNode(ctx, scratch)
	if err != nil {
		return err
	}
	for i, table := range tpch.Tables {
		file := filepath.Join(p.of("files"), table)
		for _, sql := range []string{tpch.Schema[i], fmt.Sprintf(`COPY %s FROM '%s.tsv' (DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')`, table, file), fmt.Sprintf(`COPY %s TO '%s.parquet' (FORMAT parquet)`, table, file)} {
			if _, _, err := n.ask(ctx, sql); err != nil {
				n.close() //nolint:errcheck // err says what matters
				return fmt.Errorf("%s: %w", table, err)
			}
		}
	}
	return n.close()
}

// load fills the databases of a suite and says what it took.
func (s *suite) load(ctx context.Context, p place) ([]loaded, error) {
	var out []loaded
	for _, name := range s.contestants() {
		l, err := s.loadOne(ctx, p, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, l)
	}
	return out, nil
}

func (s *suite) loadOne(ctx context.Context, p place, name string) (loaded, error) {
	l := loaded{Name: name}
	if err := os.RemoveAll(p.of(name)); err != nil {
		return l, err
	}
	say("%s: loading %s", s.name, name)
	if name == prickle {
		for _, file := range s.imports {
			used, err := p.importFile(ctx, filepath.Join(p.of("files"), file))
			if err != nil {
				return l, err
			}
			l.Seconds += used.stored.Seconds()
			l.Merged += used.merged.Seconds()
			l.Memory = max(l.Memory, used.memory)
			l.CPU += used.cpu.Seconds()
		}
	}
	e, err := p.open(ctx, name)
	if err != nil {
		return l, err
	}
	if err := s.fill(ctx, p, e, &l); err != nil {
		e.close() //nolint:errcheck // err says what matters
		return l, err
	}
	l.Rate = float64(s.rows) / l.Seconds
	size, err := s.size(ctx, p, e, name)
	l.Bytes = float64(size) / float64(s.rows)
	return l, err
}

// fill has a database run the statements that load it, and adds what they took.
func (s *suite) fill(ctx context.Context, p place, e database, l *loaded) error {
	worked := cpuTime(e.pid())
	for _, sql := range s.setup[l.Name] {
		_, took, err := e.ask(ctx, strings.ReplaceAll(sql, "{files}", p.of("files")))
		if err != nil {
			return fmt.Errorf("%s: %w", shorten(sql), err)
		}
		l.Merged += took.Seconds()
		if !merges(sql) {
			l.Seconds += took.Seconds()
		}
	}
	l.CPU += (cpuTime(e.pid()) - worked).Seconds()
	l.Memory = max(l.Memory, peakMemory(e.pid()))
	for _, sql := range s.extra[l.Name] {
		if _, _, err := e.ask(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", shorten(sql), err)
		}
	}
	return nil
}

// merges says whether a statement only arranges rows that are stored already.
func merges(sql string) bool {
	return strings.HasPrefix(sql, "OPTIMIZE ") || sql == "CHECKPOINT"
}

// size ends a database, and gives what its data take on disk. Of prickle that is segments, the
// state of persons and tables, and the manifest: not the log, and not the uuids of events that
// came in within two days, which are kept aside to find repeats and go then.
func (s *suite) size(ctx context.Context, p place, e database, name string) (size int64, err error) {
	if engineOf(name) == clickhouse {
		const bytes = `(SELECT sum(bytes_on_disk) FROM system.%s WHERE active AND table = '%s')`
		rows, _, err := e.ask(ctx, `SELECT `+fmt.Sprintf(bytes, "parts", s.main)+` - `+fmt.Sprintf(bytes, "projection_parts", s.main))
		if err != nil {
			return 0, err
		}
		if size, err = strconv.ParseInt(rows[0][0], 10, 64); err != nil {
			return 0, err
		}
	}
	if err := e.close(); err != nil {
		return 0, err
	}
	switch engineOf(name) {
	case prickle:
		data := filepath.Join(p.of(name), "data")
		all, err := diskSize(data)
		if err != nil {
			return 0, err
		}
		uuids, err := diskSize(filepath.Join(data, "dedup"))
		return all - uuids, err
	case duckdb:
		return diskSize(p.of(name))
	}
	return size, nil
}

// used is what an import needed.
type used struct {
	stored time.Duration // from its start until it said that all rows are durable and visible
	merged time.Duration // until it ended
	memory int64
	cpu    time.Duration
}

// importFile runs `prickle import` on a directory.
func (p place) importFile(ctx context.Context, file string) (used, error) {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return used{}, err
	}
	cmd := p.command(ctx, "import", "--json", "--data", p.of(prickle), file)
	var said, wrong strings.Builder
	cmd.Stderr = &wrong
	out, err := cmd.StdoutPipe()
	if err != nil {
		return used{}, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return used{}, err
	}
	u := used{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.Write(append(lines.Bytes(), '\n'))
		var l struct {
			Type     string
			Complete bool
		}
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Type == "import" && l.Complete {
			u.stored = time.Since(start)
		}
	}
	err = cmd.Wait()
	u.merged = time.Since(start)
	if err == nil && u.stored == 0 {
		err = errors.New("it did not say that the rows are stored")
	}
	if err != nil {
		return used{}, fmt.Errorf("prickle import: %w: %s", err, said.String()+wrong.String())
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.memory = r.Maxrss << 10
	}
	return u, nil
}
