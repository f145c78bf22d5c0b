package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/bench/load"
)

// Scale measures how what prickle takes grows with the data, and how it bears data of other shapes: prickle alone.

// scaleOptions are what its flags say.
type scaleOptions struct {
	sizes, clients string
	only           string
	shape          uint64
	projects       int
	reps           int
	seconds        time.Duration
	keep           bool
	place
}

func scale(ctx context.Context, args []string) error {
	o := scaleOptions{place: place{memory: machineMemory() / 3, threads: runtime.NumCPU()}}
	f := flag.NewFlagSet("scale", flag.ExitOnError)
	f.StringVar(&o.sizes, "sizes", "1000000,10000000", "sizes of the product suite's stream, in `events`, ascending; empty: none")
	f.StringVar(&o.only, "only", "", "`which` shapes beside the ordinary one, separated by commas: one person,10000 names (default: all)")
	f.Uint64Var(&o.shape, "shape", 1_000_000, "how many `events` each shape has")
	f.IntVar(&o.projects, "projects", 1000, "how `many` small projects of 10,000 events there are; 0: none")
	f.StringVar(&o.clients, "clients", "1,4,16,64", "how `many` clients ask while events come in; empty: none")
	f.DurationVar(&o.seconds, "time", 10*time.Second, "how long they do")
	f.IntVar(&o.reps, "reps", 7, "how often each question is timed")
	mebibytes := f.Int64("memory", o.memory>>20, "memory budget of a server, in `MiB`")
	f.StringVar(&o.dir, "dir", "", "`directory` for the data, which are removed (default: a temporary one)")
	f.BoolVar(&o.keep, "keep", false, "leave what is imported in -dir, and ask what is there of an earlier run")
	f.StringVar(&o.prickle, "prickle", "", "`binary` to measure (default: made by make build)")
	f.Parse(args) //nolint:errcheck // it exits
	o.memory = *mebibytes << 20
	sizes, err := numbers(o.sizes)
	if err != nil && o.sizes != "" {
		return fmt.Errorf("-sizes: %w", err)
	}
	clients, err := numbers(o.clients)
	if err != nil && o.clients != "" {
		return fmt.Errorf("-clients: %w", err)
	}
	if o.keep && o.dir == "" {
		return errors.New("-keep needs -dir, a directory that stays")
	}
	if !o.keep {
		if o.dir, err = os.MkdirTemp(o.dir, "prickle-scale-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.dir) //nolint:errcheck // the system cleans up as well
	}
	if o.prickle == "" {
		if o.prickle, err = makeBuild(ctx, "."); err != nil {
			return err
		}
	}
	if len(sizes) > 0 {
		if err := o.grow(ctx, sizes); err != nil {
			return err
		}
	}
	if err := o.shapes(ctx, clients); err != nil {
		return err
	}
	if o.projects > 0 {
		return o.manyProjects(ctx)
	}
	return nil
}

// timed asks a question once, and then reps times: the median in ms.
func timed(ctx context.Context, e database, sql string, reps int) (float64, [][]string, error) {
	rows, _, err := e.ask(ctx, sql)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s", err, sql)
	}
	times := make([]float64, max(1, reps))
	for i := range times {
		again, took, err := e.ask(ctx, sql)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %s", err, sql)
		}
		if len(again) != len(rows) {
			return 0, nil, fmt.Errorf("%d rows, and then %d: %s", len(rows), len(again), sql)
		}
		times[i] = milliseconds(took)
	}
	slices.Sort(times)
	return quantile(times, .5), rows, nil
}

// column is what one data set takes.
type column struct {
	name   string
	events uint64
	rate   float64   // events a second of the import
	bytes  int64     // on disk
	memory int64     // the peak of the server that answered
	times  []float64 // not a number: the question had no answer
}

// time times a question. One that the server refuses does not keep others from being asked.
func (c *column) time(ctx context.Context, e database, name, sql string, reps int) error {
	took, _, err := timed(ctx, e, sql, reps)
	if refused := new(pgconn.PgError); errors.As(err, &refused) {
		say("%s: %s: %v", c.name, name, err)
		took, err = math.NaN(), nil
	}
	c.times = append(c.times, took)
	return err
}

// growing are the questions that are asked of streams of several sizes.
var growing = []string{"T1", "T2", "T4", "T5", "T6", "F1", "F2", "F6", "F7", "R1", "L1", "P1", "C1", "TP1", "Q1", "Q4", "Q5", "Q6"}

// grow asks the same of streams of several sizes.
func (o scaleOptions) grow(ctx context.Context, sizes []int) error {
	var questions []asked
	for _, q := range productQuestions {
		if slices.Contains(growing, q.name) {
			questions = append(questions, q)
		}
	}
	var out []column
	for _, n := range sizes {
		if uint64(n) < leastEvents {
			return fmt.Errorf("-sizes has %d, which is less than %d", n, leastEvents)
		}
		c, err := o.measure(ctx, fmt.Sprintf("%s events", grouped(uint64(n))), uint64(n), "events.parquet", productFiles(ctx, uint64(n), fileEvents),
			func(e database, c *column) error {
				for _, q := range questions {
					if err := c.time(ctx, e, q.name, q.forms[prickle].sql, o.reps); err != nil {
						return err
					}
				}
				return nil
			})
		if err != nil {
			return err
		}
		out = append(out, *c)
	}
	var names []string
	for _, q := range questions {
		names = append(names, q.name+" "+q.title)
	}
	scaleTable(os.Stdout, "The product suite's stream, ms", names, out)
	return nil
}

// fileEvents is how many events a file has at most: the files of a large stream are made, imported and
// removed one after the other, since all at once take more room than what is made of them.
const fileEvents = 100_000_000

// productFiles write the product suite's stream, each about so many events of it, in the order of time.
func productFiles(ctx context.Context, events, each uint64) []func(io.Writer) error {
	m := gen.New(productConfig(events))
	parts := (events + each - 1) / each
	out := make([]func(io.Writer) error, parts)
	for i := range out {
		from, to := m.Sessions()*uint64(i)/parts, m.Sessions()*uint64(i+1)/parts
		out[i] = func(w io.Writer) error { return m.WriteParquet(ctx, w, from, to, nil) }
	}
	return out
}

// measure makes files of events, imports them and has what they hold asked.
func (o scaleOptions) measure(ctx context.Context, name string, events uint64, file string, files []func(io.Writer) error, ask func(database, *column) error) (*column, error) {
	p := o.place
	p.dir = filepath.Join(o.dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	if !o.keep {
		defer os.RemoveAll(p.dir) //nolint:errcheck // the next needs the room, and the whole is removed at the end
	}
	took, err := p.importAll(ctx, name, filepath.Join(p.dir, file), files)
	if err != nil {
		return nil, err
	}
	c := &column{name: name, events: events, rate: float64(events) / took.Seconds()}
	if c.bytes, err = diskSize(filepath.Join(p.of(prickle), "data", "segments")); err != nil {
		return nil, err
	}
	say("%s: asking", name)
	e, err := p.openServer(ctx)
	if err != nil {
		return nil, err
	}
	err = errors.Join(stored(ctx, e, events), ask(e, c))
	c.memory = peakMemory(e.pid())
	return c, errors.Join(err, e.close())
}

// importAll makes and imports files one after the other, and says how long their imports took until all
// rows were stored. Files that an earlier run has imported are not imported again.
func (p place) importAll(ctx context.Context, name, file string, files []func(io.Writer) error) (time.Duration, error) {
	var done []time.Duration // of each file that is imported
	note := filepath.Join(p.dir, "imported.json")
	if said, err := os.ReadFile(note); err == nil {
		if err := json.Unmarshal(said, &done); err != nil {
			return 0, fmt.Errorf("%s: %w", note, err)
		}
	}
	for i := len(done); i < len(files); i++ {
		say("%s: making data, %d of %d", name, i+1, len(files))
		if err := writeFile(file, files[i]); err != nil {
			return 0, err
		}
		say("%s: importing, %d of %d", name, i+1, len(files))
		used, err := p.importFile(ctx, file)
		if err != nil {
			return 0, err
		}
		done = append(done, used.stored)
		said, err := json.Marshal(done)
		if err == nil {
			err = os.WriteFile(note, said, 0o644)
		}
		if err = errors.Join(err, os.Remove(file)); err != nil {
			return 0, err
		}
	}
	took := time.Duration(0)
	for _, d := range done {
		took += d
	}
	return took, nil
}

// stored is an error if there are not so many events.
func stored(ctx context.Context, e database, events uint64) error {
	rows, _, err := e.ask(ctx, "SELECT count(*) FROM events")
	if err == nil && rows[0][0] != strconv.FormatUint(events, 10) {
		err = fmt.Errorf("%s events are stored of %d", rows[0][0], events)
	}
	return err
}

func scaleTable(w io.Writer, title string, questions []string, columns []column) {
	row := func(name string, value func(column) string) {
		fmt.Fprintf(w, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(w, " %s |", value(c))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "## %s\n\n", title)
	row("", func(c column) string { return c.name })
	fmt.Fprintln(w, "|---|"+strings.Repeat("--:|", len(columns)))
	for i, q := range questions {
		row(q, func(c column) string {
			text := fmt.Sprintf("%.3g", c.times[i])
			if math.IsNaN(c.times[i]) {
				return "refused"
			}
			if first := columns[0]; c.name != first.name {
				text += fmt.Sprintf(" (%.2f an event)", c.times[i]/first.times[i]*float64(first.events)/float64(c.events))
			}
			return text
		})
	}
	row("import, events/s", func(c column) string { return grouped(uint64(c.rate)) })
	row("bytes an event, segments", func(c column) string { return fmt.Sprintf("%.1f", float64(c.bytes)/float64(c.events)) })
	row("peak memory, MiB", func(c column) string { return strconv.FormatInt(c.memory>>20, 10) })
	fmt.Fprintln(w)
}

// A shape is a stream that is unlike others in one thing.
type shape struct {
	name       string
	names      uint64 // of events
	persons    uint64
	properties uint64 // names of properties, of which an event has five
	days       uint64
	late       bool // times come in no order
}

var ordinary = shape{name: "ordinary", names: 50, persons: 15_000, properties: 5, days: 90}

// otherShapes are ordinary but for one thing.
func otherShapes(events uint64) []shape {
	with := func(name string, change func(*shape)) shape {
		s := ordinary
		s.name = name
		change(&s)
		return s
	}
	return []shape{ordinary,
		with("10000 names", func(s *shape) { s.names = 10_000 }),
		with("2000 properties", func(s *shape) { s.properties = 2_000 }),
		with("a person an event", func(s *shape) { s.persons = events }),
		with("one person", func(s *shape) { s.persons = 1 }),
		with("a year in order", func(s *shape) { s.days = 365 }),
		with("a year of late hours", func(s *shape) { s.days, s.late = 365, true }),
	}
}

// write makes the events as NDJSON.
func (s shape) write(ctx context.Context, w io.Writer, events uint64) error {
	const hours = 3_600_000
	b := bufio.NewWriterSize(w, 1<<20)
	span := s.days * 24
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range events {
		h := gen.Mix(i + 1)
		at := i * span * hours / events
		if s.late {
			// Batches of a thousand lie in one hour, each in another.
			at = gen.Mix(i/1000+77)%span*hours + i%1000*3600
		}
		person := gen.Mix(h) % s.persons
		if s.persons == events {
			person = i
		}
		name := min(gen.Mix(h+3)%s.names, gen.Mix(h+4)%s.names) // the first names are more frequent
		fmt.Fprintf(b, `{"uuid":"%08x-0000-4000-8000-%012x","event":"event %d","distinct_id":"p%d","timestamp":"%s","properties":{`,
			uint32(h), i, name, person, start.Add(time.Duration(at)*time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
		first := h % s.properties / 5 * 5
		for k := range uint64(5) {
			if k > 0 {
				b.WriteByte(',') //nolint:errcheck // Flush says it
			}
			fmt.Fprintf(b, `"property %d":"value %d"`, first+k, gen.Mix(h+k)%20)
		}
		if _, err := b.WriteString("}}\n"); err != nil {
			return err
		}
		if i%100_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return b.Flush()
}

// shapeQuestions are asked of each shape.
var shapeQuestions = [][2]string{
	{"events per day", `SELECT date_trunc('day', timestamp), count(*) FROM events GROUP BY 1 ORDER BY 1`},
	{"persons per day of a name", `SELECT * FROM TRENDS(SERIES (a: ACTORS() WHERE event = 'event 0') EVERY INTERVAL '1 day' DURING ('2026-01-01', '2027-01-01'))`},
	{"funnel of two steps", `SELECT * FROM FUNNEL(STEPS (a: event = 'event 0', b: event = 'event 1') WITHIN INTERVAL '14 days')`},
	{"retention by week", `SELECT * FROM RETENTION(START event = 'event 0' RETURN event = 'event 1' EVERY INTERVAL '1 week' FOR 8 PERIODS)`},
	{"events and persons by name", `SELECT event, count(*), count(DISTINCT person_id) FROM events GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20`},
	{"by a property", `SELECT properties."property 1", count(*) FROM events GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20`},
	{"one person's events", `SELECT event, timestamp FROM events WHERE distinct_id = 'p0' ORDER BY timestamp DESC LIMIT 100`},
	{"the last events", `SELECT event, distinct_id, timestamp FROM events ORDER BY timestamp DESC LIMIT 100`},
}

func (o scaleOptions) shapes(ctx context.Context, clients []int) error {
	if o.shape == 0 {
		return nil
	}
	var out []column
	for _, s := range otherShapes(o.shape) {
		if o.only != "" && s.name != ordinary.name && !slices.Contains(strings.Split(o.only, ","), s.name) {
			continue
		}
		c, err := o.measure(ctx, s.name, o.shape, "events.ndjson", []func(io.Writer) error{func(w io.Writer) error { return s.write(ctx, w, o.shape) }},
			func(e database, c *column) error {
				for _, q := range shapeQuestions {
					if err := c.time(ctx, e, q[0], q[1], o.reps); err != nil {
						return err
					}
				}
				if s.name != ordinary.name {
					return nil
				}
				for _, n := range clients {
					if err := o.together(ctx, e.(*instance), n); err != nil {
						return err
					}
				}
				return nil
			})
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		out = append(out, *c)
	}
	var names []string
	for _, q := range shapeQuestions {
		names = append(names, q[0])
	}
	scaleTable(os.Stdout, fmt.Sprintf("Shapes of %s events, ms", grouped(o.shape)), names, out)
	return nil
}

// ingestRate is how many events a second come in while clients ask.
const ingestRate = 20_000

// refusedPause is how long a client waits that was refused, as one that tries again would.
const refusedPause = 10 * time.Millisecond

// isRefused says whether a server did not take a query because as many wait as may.
func isRefused(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "53000"
}

// together has clients ask while events come in, and prints what they had.
func (o scaleOptions) together(ctx context.Context, s *instance, clients int) error {
	ctx, cancel := context.WithTimeout(ctx, o.seconds+time.Minute)
	defer cancel()
	token, err := s.token(ctx)
	if err != nil {
		return err
	}
	end := time.Now().Add(o.seconds)
	times := make([][]float64, clients)
	errs := make([]error, clients+1)
	var report *load.Report
	var refusals atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		report, errs[clients] = load.Run(ctx, load.Config{
			Dial:    func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", s.address) },
			Connect: s.connect, Host: s.address, Token: token, Rate: ingestRate, Clients: 8, Batch: 100, Duration: o.seconds})
	})
	for i := range clients {
		wg.Go(func() {
			conn, err := s.connect(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close(context.Background()) //nolint:errcheck // its answers are there
			one := &instance{conn: conn}
			for k := i; time.Now().Before(end) && errs[i] == nil; k++ {
				_, took, err := one.ask(ctx, shapeQuestions[k%len(shapeQuestions)][1])
				switch {
				case isRefused(err):
					refusals.Add(1)
					time.Sleep(refusedPause)
				case err != nil:
					errs[i] = err
				default:
					times[i] = append(times[i], milliseconds(took))
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	fmt.Printf("%d clients ask while %s events/s come in: %.0f answers/s, %d refused as too many, median %.1f ms, 99 of 100 in %.1f ms; events acknowledged: %s/s, median %.1f ms, 99 of 100 in %.1f ms, %d errors\n",
		clients, grouped(ingestRate), float64(len(all))/o.seconds.Seconds(), refusals.Load(), quantile(all, .5), quantile(all, .99),
		grouped(uint64(report.EventsPerSecond)), report.Latency.Median, report.Latency.P99, len(report.Errors))
	return nil
}

func (s *instance) connect(ctx context.Context) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, "postgres://prickle@"+s.address+"/prickle?sslmode=disable")
}

// token is that of the first project.
func (s *instance) token(ctx context.Context) (string, error) {
	var p projectInfo
	err := s.http(ctx, "GET", "/api/projects/@current/", nil, &p)
	return p.Token, err
}

type projectInfo struct {
	Token    string `json:"api_token"`
	Database string `json:"database"`
}

// http asks the server for what fits into answer.
func (s *instance) http(ctx context.Context, method, path string, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close() //nolint:errcheck // it was read
	if raw, err = io.ReadAll(got.Body); err != nil {
		return err
	}
	if got.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, got.Status, raw)
	}
	return json.Unmarshal(raw, answer)
}

// smallProject is how many events each of many projects has.
const smallProject = 10_000

// manyProjects fills many small projects in one server, and asks each.
func (o scaleOptions) manyProjects(ctx context.Context) error {
	p := o.place
	p.dir = filepath.Join(o.dir, "projects")
	if err := os.MkdirAll(p.of(prickle), 0o755); err != nil {
		return err
	}
	d, err := p.openServer(ctx)
	if err != nil {
		return err
	}
	s := d.(*instance)
	err = o.askProjects(ctx, s)
	return errors.Join(err, s.close())
}

func (o scaleOptions) askProjects(ctx context.Context, s *instance) error {
	var lines bytes.Buffer
	if err := ordinary.write(ctx, &lines, smallProject); err != nil {
		return err
	}
	events := bytes.Split(bytes.TrimSpace(lines.Bytes()), []byte("\n"))
	say("%d projects: filling", o.projects)
	projects := make([]projectInfo, o.projects)
	start := time.Now()
	for i := range projects {
		if err := s.http(ctx, "POST", "/api/projects/", map[string]string{"name": fmt.Sprintf("Project %d", i)}, &projects[i]); err != nil {
			return err
		}
		for batch := range slices.Chunk(events, 1000) {
			list := make([]json.RawMessage, len(batch))
			for k, e := range batch {
				list[k] = e
			}
			var said any
			if err := s.http(ctx, "POST", "/batch/", map[string]any{"api_key": projects[i].Token, "batch": list}, &said); err != nil {
				return err
			}
		}
	}
	filled := time.Since(start)
	say("%d projects: asking", o.projects)
	times := make([][]float64, len(shapeQuestions))
	for _, p := range projects {
		conn, err := pgconn.Connect(ctx, "postgres://prickle@"+s.address+"/"+p.Database+"?sslmode=disable")
		if err != nil {
			return err
		}
		one := &instance{conn: conn}
		err = stored(ctx, one, smallProject)
		for i, q := range shapeQuestions {
			if err != nil {
				break
			}
			var took time.Duration
			_, took, err = one.ask(ctx, q[1])
			times[i] = append(times[i], milliseconds(took))
		}
		conn.Close(ctx) //nolint:errcheck // its answers are there
		if err != nil {
			return fmt.Errorf("%s: %w", p.Database, err)
		}
	}
	fmt.Printf("## %d projects of %s events\n\nfilled over HTTP, one request at a time, with %s events/s; peak memory %d MiB\n\n| | median ms | 99 of 100 |\n|---|--:|--:|\n",
		o.projects, grouped(smallProject), grouped(uint64(float64(o.projects*smallProject)/filled.Seconds())), peakMemory(s.pid())>>20)
	for i, q := range shapeQuestions {
		slices.Sort(times[i])
		fmt.Printf("| %s | %.2f | %.2f |\n", q[0], quantile(times[i], .5), quantile(times[i], .99))
	}
	return nil
}
