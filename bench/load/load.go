package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/bench"
)

// Config says what load to make, and of which server.
type Config struct {
	Dial    func(context.Context) (net.Conn, error)       // for HTTP
	Connect func(context.Context) (*pgconn.PgConn, error) // for questions
	Host    string                                        // that requests name
	Token   string                                        // of the project

	Rate     float64 // events a second; 0: as many as the clients get answered
	Clients  int
	Batch    int // events a request
	Duration time.Duration

	Questions []bench.Question
	QueryRate float64 // questions a second; 0: none
	// ServerCPU, if not nil, gives the CPU time that the server has used.
	ServerCPU func(context.Context) (time.Duration, error)
	// Progress, if not nil, is told how many events were accepted so far. It is called
	// concurrently.
	Progress func(accepted int64)
}

const (
	// maxBatch keeps a body below the 20 MB that a server takes.
	maxBatch   = 20_000
	maxClients = 10_000
	// requestTimeout is when an answer is not waited for any longer.
	requestTimeout = 30 * time.Second
	// errorPause keeps clients that are refused at once from doing nothing else.
	errorPause = 10 * time.Millisecond
	// queryClients ask the questions: one that takes long does not hold up the next.
	queryClients = 4
)

// Validate says what is wrong with c, in words for the person who asked for it.
func (c *Config) Validate() error {
	switch {
	case c.Rate < 0 || c.QueryRate < 0:
		return errors.New("a rate is 0 or more")
	case c.Clients < 1 || c.Clients > maxClients:
		return fmt.Errorf("clients are 1 to %d", maxClients)
	case c.Batch < 1 || c.Batch > maxBatch:
		return fmt.Errorf("a batch has 1 to %d events", maxBatch)
	case c.Duration <= 0:
		return errors.New("the duration is more than 0")
	}
	return nil
}

// Report is what came of it.
type Report struct {
	Rate     float64 `json:"rate"` // as asked for; 0: closed loop
	Clients  int     `json:"clients"`
	Batch    int     `json:"batch"`
	Seconds  float64 `json:"seconds"` // until the last of the batches was answered
	Accepted int64   `json:"accepted_events"`
	// EventsPerSecond are accepted ones.
	EventsPerSecond float64 `json:"events_per_second"`
	// BytesPerEvent are of requests.
	BytesPerEvent float64          `json:"request_bytes_per_event"`
	Latency       Latency          `json:"latency"`
	Errors        map[string]int64 `json:"errors"` // requests by what became of them
	// Unsent counts requests that fell due while all clients were waiting, and never began.
	Unsent      int64            `json:"unsent_requests"`
	Queries     []QueryLatency   `json:"queries"`
	QueryErrors map[string]int64 `json:"query_errors"`
	// ClientCPU and ServerCPU are µs of CPU time for each accepted event, of this process and
	// of the server, what questions took included; 0 if not known.
	ClientCPU float64 `json:"client_cpu_us_per_event"`
	ServerCPU float64 `json:"server_cpu_us_per_event"`
}

// Latency is how long requests took, in milliseconds. In an open loop it counts from when
// they were due.
type Latency struct {
	Count  int64   `json:"count"`
	Median float64 `json:"p50_ms"`
	P90    float64 `json:"p90_ms"`
	P99    float64 `json:"p99_ms"`
	P999   float64 `json:"p99_9_ms"`
	Max    float64 `json:"max_ms"`
}

// QueryLatency is Latency of one question.
type QueryLatency struct {
	Name string `json:"name"`
	Latency
}

func (h *histogram) latency() Latency {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return Latency{h.n, ms(h.quantile(0.5)), ms(h.quantile(0.9)), ms(h.quantile(0.99)), ms(h.quantile(0.999)), ms(h.max)}
}

// schedule says when requests are due.
type schedule struct {
	start, end time.Time
	every      time.Duration // 0: at once
	taken      atomic.Int64
}

func newSchedule(start time.Time, d time.Duration, perSecond float64) *schedule {
	s := &schedule{start: start, end: start.Add(d)}
	if perSecond > 0 {
		s.every = time.Duration(float64(time.Second) / perSecond)
	}
	return s
}

// next waits until the next request is due, and says when that is. It says false when there
// is none.
func (s *schedule) next(ctx context.Context) (due time.Time, ok bool) {
	n := s.taken.Add(1) - 1
	now := time.Now()
	if s.every == 0 {
		return now, ctx.Err() == nil && now.Before(s.end)
	}
	due = s.start.Add(time.Duration(n) * s.every)
	if !due.Before(s.end) || !now.Before(s.end) { // what is late then stays unsent
		s.taken.Add(-1)
		return due, false
	}
	return due, sleep(ctx, time.Until(due))
}

// unsent is how many requests were due and were not taken.
func (s *schedule) unsent(until time.Time) int64 {
	if s.every == 0 {
		return 0
	}
	if until.After(s.end) {
		until = s.end
	}
	due := int64((until.Sub(s.start) + s.every - 1) / s.every)
	return max(0, due-s.taken.Load())
}

// sleep says false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tally is what one goroutine counts.
type tally struct {
	latency  histogram
	events   int64
	bytes    int64
	errors   map[string]int64
	question []histogram
}

// fail counts an error that ended a request.
func (t *tally) fail(kind string) {
	if t.errors == nil {
		t.errors = map[string]int64{}
	}
	t.errors[kind]++
}

// Run makes the load until its time is over, or ctx ends. What servers answer is part of the
// report and no error.
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	different := maxEvents
	if c.Rate > 0 {
		different = int(min(c.Rate*c.Duration.Seconds()+1, maxEvents))
	}
	bodies, err := prepare(c.Host, c.Token, c.Batch, different)
	if err != nil {
		return nil, err
	}
	var serverBefore time.Duration
	if c.ServerCPU != nil {
		if serverBefore, err = c.ServerCPU(ctx); err != nil {
			return nil, err
		}
	}
	clientBefore := ownCPU()
	start := time.Now()
	events := newSchedule(start, c.Duration, c.Rate/float64(c.Batch))
	var sending, asking sync.WaitGroup
	var accepted atomic.Int64
	tallies := make([]tally, c.Clients)
	own := rand.Uint64N(1<<24 - maxClients)
	for i := range tallies {
		cl := &client{config: &c, bodies: bodies, at: i * len(bodies) / c.Clients, ids: idSource{own: own + uint64(i)}, tally: &tallies[i], accepted: &accepted}
		sending.Go(func() { cl.run(ctx, events) })
	}
	var asked []tally
	if c.QueryRate > 0 && len(c.Questions) > 0 {
		asked = make([]tally, queryClients)
		questions := newSchedule(start, c.Duration, c.QueryRate)
		turn := &atomic.Int64{}
		for i := range asked {
			asked[i].question = make([]histogram, len(c.Questions))
			asking.Go(func() { ask(ctx, &c, questions, turn, &asked[i]) })
		}
	}
	sending.Wait()
	took := time.Since(start) // a question may take longer, and events come in no more slowly for it
	asking.Wait()

	r := &Report{Rate: c.Rate, Clients: c.Clients, Batch: c.Batch, Seconds: took.Seconds(), Errors: map[string]int64{}, QueryErrors: map[string]int64{},
		Unsent: events.unsent(time.Now()), Queries: []QueryLatency{}}
	var all histogram
	var bytes int64
	for i := range tallies {
		t := &tallies[i]
		all.merge(&t.latency)
		r.Accepted += t.events
		bytes += t.bytes
		addAll(r.Errors, t.errors)
	}
	r.Latency = all.latency()
	r.EventsPerSecond = float64(r.Accepted) / took.Seconds()
	for i, q := range c.Questions {
		var h histogram
		for k := range asked {
			h.merge(&asked[k].question[i])
		}
		if h.n > 0 {
			r.Queries = append(r.Queries, QueryLatency{q.Name, h.latency()})
		}
	}
	for k := range asked {
		addAll(r.QueryErrors, asked[k].errors)
	}
	if r.Accepted > 0 {
		r.BytesPerEvent = float64(bytes) / float64(r.Accepted)
		r.ClientCPU = perEvent(ownCPU()-clientBefore, r.Accepted)
		if c.ServerCPU != nil {
			after, err := c.ServerCPU(context.WithoutCancel(ctx))
			if err != nil {
				return nil, err
			}
			r.ServerCPU = perEvent(after-serverBefore, r.Accepted)
		}
	}
	return r, nil
}

func perEvent(d time.Duration, events int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(events)
}

func addAll(into, from map[string]int64) {
	for kind, n := range maps.All(from) {
		into[kind] += n
	}
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// client sends batches over one connection, one after the other.
type client struct {
	config   *Config
	bodies   []body
	at       int // of the next body
	ids      idSource
	tally    *tally
	accepted *atomic.Int64

	conn   net.Conn
	reader *bufio.Reader
	buf    []byte
}

func (c *client) run(ctx context.Context, s *schedule) {
	defer c.close()
	for {
		due, ok := s.next(ctx)
		if !ok {
			return
		}
		kind := c.send(ctx)
		if kind != "" {
			if ctx.Err() != nil {
				return // it was not the server
			}
			c.tally.fail(kind)
			if s.every == 0 && !sleep(ctx, errorPause) {
				return
			}
			continue
		}
		c.tally.latency.add(time.Since(due))
		c.tally.events += int64(c.config.Batch)
		c.tally.bytes += int64(len(c.buf))
		if n := c.accepted.Add(int64(c.config.Batch)); c.config.Progress != nil {
			c.config.Progress(n)
		}
	}
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close() //nolint:errcheck // nothing is left to say
		c.conn = nil
	}
}

// send sends one batch and reads the answer. It gives the kind of what went wrong.
func (c *client) send(ctx context.Context) (kind string) {
	if c.conn == nil {
		conn, err := c.config.Dial(ctx)
		if err != nil {
			return kindOf(err)
		}
		c.conn = conn
		if c.reader == nil {
			c.reader = bufio.NewReader(conn)
		} else {
			c.reader.Reset(conn)
		}
	}
	now := time.Now()
	c.buf = c.bodies[c.at].stamp(c.buf, &c.ids, now)
	c.at = (c.at + 1) % len(c.bodies)
	conn := c.conn
	if err := conn.SetDeadline(now.Add(requestTimeout)); err != nil {
		return c.broken(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // a call that waits ends
	defer stop()
	if _, err := conn.Write(c.buf); err != nil {
		return c.broken(err)
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return c.broken(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if resp.StatusCode == http.StatusOK {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return c.broken(err)
		}
	} else {
		var e struct{ Code string }
		raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return c.broken(err)
		}
		kind = fmt.Sprint(resp.StatusCode)
		if json.Unmarshal(raw, &e) == nil && e.Code != "" {
			kind += " " + e.Code
		}
	}
	if resp.Close {
		c.close()
	}
	return kind
}

// broken ends the connection. It gives the kind of what went wrong.
func (c *client) broken(err error) string {
	c.close()
	return kindOf(err)
}

func kindOf(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection closed"
	}
	return err.Error()
}

// ask asks the questions in turn, as they fall due.
func ask(ctx context.Context, c *Config, s *schedule, turn *atomic.Int64, t *tally) {
	var conn *pgconn.PgConn
	defer func() {
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to say
		}
	}()
	for {
		due, ok := s.next(ctx)
		if !ok {
			return
		}
		at := int(turn.Add(1)-1) % len(c.Questions)
		err := func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			if conn == nil || conn.IsClosed() {
				if conn, err = c.Connect(ctx); err != nil {
					return err
				}
			}
			return conn.ExecParams(ctx, c.Questions[at].SQL, nil, nil, nil, nil).Read().Err
		}()
		switch {
		case err == nil:
			t.question[at].add(time.Since(due))
		case ctx.Err() != nil:
			return
		default:
			var refused *pgconn.PgError
			if kind := kindOf(err); errors.As(err, &refused) {
				t.fail(refused.Code + " " + refused.Message)
			} else {
				t.fail(kind)
			}
		}
	}
}
