package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/capture"
)

// The sizes of a soak.
const (
	soakProducers = 3
	soakWriters   = 2 // of tables
	soakAccounts  = 10
	soakUsers     = 8
	soakMemory    = 96 << 20 // the server's budget in bytes, small so that memtables are, and segments
	// soakPause is how long a client rests between two requests, so that what there is to
	// count at the end is some millions of events.
	soakPause = 5 * time.Millisecond
)

// counter is a producer of numbered events as the test knows it: sent is raised before the
// request and acked after its answer. One request is under way at a time, and is sent
// again, the same bytes, until it is answered: what is stored is always the first so many.
type counter struct{ sent, acked atomic.Int64 }

// soak is what the clients of one soak share.
type soak struct {
	t    *testing.T
	p    *place
	ctx  context.Context // ends the clients
	key  string
	args []string // of every start

	mu     sync.Mutex
	remote *remote
	up     chan struct{} // closed while a server takes requests
	failed atomic.Bool   // ends the soak too

	counters  [soakProducers]counter
	linked    counter      // events of the clients that identify
	transfers atomic.Int64 // transactions that are known to be committed
	erased    atomic.Int64 // persons, named doomed-0, doomed-1, …

	queries, retries, backups atomic.Int64
	refused                   atomic.Int64 // requests with events, since memory was short
	last                      backedUp
}

// backedUp is the last backup that was made, with what it must hold and may hold.
type backedUp struct {
	index           uint64
	atLeast, atMost [soakProducers]int64
}

// TestSoak is everything at the same time on one server, which is killed and stopped in
// between. What was acknowledged is there, once; what was not is there once or not at all;
// no read contradicts an earlier one. PRICKLE_SOAK is how long; `make soak` sets it.
func TestSoak(t *testing.T) {
	length := 3 * time.Second
	switch wanted := os.Getenv("PRICKLE_SOAK"); {
	case runtime.GOOS != "linux":
		t.Skip("it reads /proc")
	case wanted != "":
		var err error
		if length, err = time.ParseDuration(wanted); err != nil || length <= 0 {
			t.Fatalf("PRICKLE_SOAK is %q, want a duration as 10m", wanted)
		}
	case testing.Short():
		t.Skip("it takes seconds: make soak")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %v", seed, length)
	rng := rand.New(rand.NewPCG(seed, 2))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &soak{t: t, p: newPlace(t), ctx: ctx, up: make(chan struct{}),
		args: []string{"--listen", "127.0.0.1:0", "--ballast", "off", "--log-level", "warn", "--memory", fmt.Sprintf("%dMiB", soakMemory>>20)}}
	server, log := s.start()
	s.key = regexp.MustCompile(`phc_\w+`).FindString(log.String())
	s.schema()
	var clients sync.WaitGroup
	defer func() { // also after Fatal
		cancel()
		clients.Wait()
	}()
	for k := range soakProducers {
		random := rand.New(rand.NewPCG(seed, uint64(100+k)))
		clients.Go(func() { s.produce(k, random) })
	}
	for w := range soakWriters {
		random := rand.New(rand.NewPCG(seed, uint64(200+w)))
		clients.Go(func() { s.transfer(w, random) })
	}
	clients.Go(s.identify)
	clients.Go(s.eraseDoomed)
	clients.Go(s.read)
	clients.Go(func() {
		every := min(length/5, 5*time.Second)
		for s.pause(every); s.ctx.Err() == nil; s.pause(every) {
			s.backUp()
		}
	})

	// Lives of servers are short, and every fifth is long enough for memory to settle.
	kills, stops := 0, 0
	use := footprint{pools: map[string]float64{}}
	began := time.Now()
	for end := began.Add(length); ; {
		life := time.Duration(rng.Int64N(int64(min(length/2, 10*time.Second))))
		if (kills+stops)%5 == 4 {
			life += min(length/4, 40*time.Second)
		}
		use.watch(s, server, began, min(life, time.Until(end)))
		if s.failed.Load() || !time.Now().Before(end) {
			break
		}
		s.mu.Lock()
		s.up = make(chan struct{})
		s.mu.Unlock()
		if rng.IntN(3) > 0 {
			kills++
			server.Process.Kill()
			server.Wait()
		} else {
			stops++
			s.stop(server, log)
		}
		s.look(log)
		server, log = s.start()
	}
	cancel()
	clients.Wait()

	if s.failed.Load() {
		t.Fatal("the soak ended early")
	}
	// Whatever it had to refuse, a server that is left alone takes events again.
	alone, stopAlone := context.WithTimeout(t.Context(), 30*time.Second)
	defer stopAlone()
	s.ctx = alone
	if _, ok := s.events([]map[string]any{{"event": "the last", "distinct_id": "somebody"}}); !ok {
		t.Fatal("the server takes no events, and nobody else asks it for anything")
	}
	s.ctx = t.Context()
	s.check()
	if s.backups.Load() == 0 { // no server lived for so long
		s.backUp()
	}
	s.rest()
	s.stop(server, log)
	s.look(log)
	t.Logf("%d events acknowledged, %d transactions, %d persons erased, %d kills, %d stops, %d backups, %d queries, %d requests that were not answered well, %d of them for want of memory",
		s.acked(), s.transfers.Load(), s.erased.Load(), kills, stops, s.backups.Load(), s.queries.Load(), s.retries.Load(), s.refused.Load())
	slope, span := use.slope()
	t.Logf("peak %s of memory with a budget of %s, %d goroutines at most; after the first minute %+.2f MB a minute over %v",
		size(float64(use.peak)), size(soakMemory), use.goroutines, slope*60/1e6, span)
	for _, what := range slices.Sorted(maps.Keys(use.pools)) {
		t.Logf("%s at most %s", what, size(use.pools[what]))
	}
	// A budget is of what the server can count. These bounds are for what grows for ever.
	if use.peak > 3*soakMemory {
		t.Errorf("the server had %s of memory, its budget is %s", size(float64(use.peak)), size(soakMemory))
	}
	if grown := slope * span.Seconds(); grown > soakMemory {
		t.Errorf("memory grew by %s in %v", size(grown), span)
	}
	if s.acked() == 0 || s.transfers.Load() == 0 || s.erased.Load() == 0 || s.queries.Load() == 0 || s.backups.Load() == 0 || kills+stops == 0 {
		t.Fatal("a part of the soak did nothing")
	}
	offline, stopVerify := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stopVerify()
	if a := s.p.runWith(offline, "", false, "verify"); a.code != 0 {
		t.Errorf("verify: exit %d\n%s%s", a.code, a.out, a.err)
	}
	s.restore(offline)
}

// errorf fails the test and ends the soak.
func (s *soak) errorf(format string, args ...any) {
	s.t.Helper()
	s.failed.Store(true)
	s.t.Errorf(format, args...)
}

func (s *soak) acked() int64 {
	n := s.linked.acked.Load()
	for i := range s.counters {
		n += s.counters[i].acked.Load()
	}
	return n
}

// start starts a server and lets the clients go on. It is called by the test's goroutine.
func (s *soak) start() (*exec.Cmd, *lockedBuffer) {
	s.t.Helper()
	server, log := own(s.t, append([]string{"serve", "--data", s.p.dir}, s.args...)...)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), "Ctrl-C stops."); time.Sleep(2 * time.Millisecond) {
		if strings.HasPrefix(log.String(), "error: ") || time.Now().After(deadline) {
			s.t.Fatalf("serve does not begin:\n%s", log)
		}
	}
	info, ok := readInfo(s.p.dir)
	if !ok {
		s.t.Fatalf("the server is not there:\n%s", log)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remote = newRemote(info.Address)
	close(s.up)
	return server, log
}

// stop asks a server to stop, which ends well.
func (s *soak) stop(server *exec.Cmd, log *lockedBuffer) {
	s.t.Helper()
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		s.errorf("a server that was asked to stop: %v\n%s", err, log)
	}
}

var outcry = regexp.MustCompile(`^panic: |^fatal error: |"level":"ERROR"`)

// look looks at what a server wrote that has ended.
func (s *soak) look(log *lockedBuffer) {
	s.t.Helper()
	for line := range strings.Lines(log.String()) {
		switch {
		case !outcry.MatchString(line), strings.Contains(line, "context canceled"): // the clients leave at the end, whatever they wait for
		case strings.Contains(line, "memory is used up"):
			s.refused.Add(1)
		default:
			s.errorf("the server's log has %sin\n%s", line, log)
			return
		}
	}
}

// server waits for a server that runs. It gives nil at the end of the soak.
func (s *soak) server() *remote {
	s.mu.Lock()
	r, up := s.remote, s.up
	s.mu.Unlock()
	select {
	case <-up:
		s.mu.Lock()
		r = s.remote
		s.mu.Unlock()
	case <-s.ctx.Done():
	}
	if s.ctx.Err() != nil || s.failed.Load() {
		return nil
	}
	return r
}

// pause is between two requests of a client.
func (s *soak) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// post sends a body and gives the answer. A refusal that is not the server's state is an
// error of the test: err is only what may be tried again.
func (s *soak) post(r *remote, path, token string, body []byte, into any) (newToken string, err error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, "http://"+r.host+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set(capture.TokenHeader, token)
	}
	resp, err := r.http.Do(req)
	if err == nil {
		defer resp.Body.Close() // it was read
		var raw []byte
		raw, err = io.ReadAll(resp.Body)
		switch {
		case err != nil:
		case resp.StatusCode/100 == 2:
			if into != nil {
				if err := json.Unmarshal(raw, into); err != nil {
					s.errorf("%s: %v: %s", path, err, raw)
				}
			}
			return resp.Header.Get(capture.TokenHeader), nil
		case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusConflict:
			err = fmt.Errorf("%s: %s", resp.Status, raw)
		default:
			s.errorf("%s: %s: %s", path, resp.Status, raw)
			err = errors.New(resp.Status)
		}
	}
	s.retries.Add(1)
	return "", err
}

// events sends events until they are acknowledged, and gives the token of that; false at the
// end of the soak.
func (s *soak) events(events []map[string]any) (token string, ok bool) {
	body, err := json.Marshal(map[string]any{"api_key": s.key, "batch": events})
	if err != nil {
		s.errorf("%v", err)
		return "", false
	}
	for r := s.server(); r != nil; r = s.server() {
		if token, err = s.post(r, "/batch/", "", body, nil); err == nil {
			return token, true
		}
		s.pause(soakPause)
	}
	return "", false
}

// query gives the rows of a statement as numbers; read at or after the state of token.
func (s *soak) query(r *remote, token, text string) ([][]int64, error) {
	body, _ := json.Marshal(map[string]any{"query": map[string]any{"kind": "SQLQuery", "query": text}}) // strings always marshal
	var answer struct{ Results [][]json.Number }
	if _, err := s.post(r, "/api/projects/1/query/", token, body, &answer); err != nil {
		return nil, err
	}
	s.queries.Add(1)
	out := make([][]int64, len(answer.Results))
	for i, row := range answer.Results {
		for _, v := range row {
			n, err := v.Int64()
			if err != nil {
				s.errorf("%s: %v", text, answer.Results)
			}
			out[i] = append(out[i], n)
		}
	}
	return out, nil
}

// soakTime is when the n-th event of a producer is: on one of twelve days in three months.
// A flush makes a segment of each day.
func soakTime(n int64) string {
	return time.Date(2026, time.Month(6+n%3), 1+int(n/3%4), int(n%24), int(n%60), int(n/60%60), 0, time.UTC).Format(time.RFC3339)
}

// produce sends numbered events, and asks now and then whether what was acknowledged is
// seen.
func (s *soak) produce(k int, rng *rand.Rand) {
	c := &s.counters[k]
	for round := 0; ; round++ {
		first, n := c.sent.Load(), 1+rng.Int64N(60)
		batch := make([]map[string]any, n)
		for i := range batch {
			sequence := first + int64(i)
			id := uuid.UUID{0: 1, 1: byte(k), 6: 0x80, 8: 0x80}
			for b := range 6 {
				id[15-b] = byte(sequence >> (8 * b))
			}
			batch[i] = map[string]any{"event": "counted", "uuid": id.String(), "distinct_id": fmt.Sprintf("producer-%d-%d", k, sequence%500),
				"timestamp": soakTime(sequence), "properties": map[string]any{"producer": k, "sequence": sequence, "note": strings.Repeat("x", int(sequence%40))}}
		}
		c.sent.Store(first + n)
		token, ok := s.events(batch)
		if !ok {
			return
		}
		c.acked.Store(first + n)
		if round%16 == 0 {
			if r := s.server(); r != nil {
				rows, err := s.query(r, token, fmt.Sprintf("select count(*) from events where event = 'counted' and properties.producer = %d", k))
				if err == nil && (len(rows) != 1 || rows[0][0] != first+n) {
					s.errorf("producer %d: with the token of %d events, %v are seen", k, first+n, rows)
				}
			}
		}
		s.pause(soakPause)
	}
}

// identify makes persons of two distinct ids: an event of an unknown one, and then one that
// says whose it is.
func (s *soak) identify() {
	for n := int64(0); ; n++ {
		user := n % soakUsers
		name, other := fmt.Sprintf("user-%d", user), fmt.Sprintf("user-%d-also-%d", user, n)
		link := map[string]any{"event": "$identify", "distinct_id": name, "properties": map[string]any{"$anon_distinct_id": other, "linked": user, "$set": map[string]any{"last": n}}}
		if n%3 == 2 {
			link = map[string]any{"event": "$create_alias", "distinct_id": name, "properties": map[string]any{"alias": other, "linked": user}}
		}
		batch := []map[string]any{{"event": "looked", "distinct_id": other, "properties": map[string]any{"linked": user}}, link}
		for i := range batch {
			batch[i]["uuid"] = uuid.UUID{0: 2, 6: 0x80, 8: 0x80, 12: byte(n >> 16), 13: byte(n >> 8), 14: byte(n), 15: byte(i)}.String()
			batch[i]["timestamp"] = soakTime(n)
		}
		s.linked.sent.Add(2)
		if _, ok := s.events(batch); !ok {
			return
		}
		s.linked.acked.Add(2)
		s.pause(20 * soakPause)
	}
}

// eraseDoomed makes a person and erases it, again and again.
func (s *soak) eraseDoomed() {
	for n := int64(0); ; n++ {
		name := fmt.Sprintf("doomed-%d", n)
		batch := make([]map[string]any, 20)
		for i := range batch {
			batch[i] = map[string]any{"event": "doomed", "distinct_id": name, "timestamp": soakTime(n + int64(i)), "properties": map[string]any{"doomed": n},
				"uuid": uuid.UUID{0: 3, 6: 0x80, 8: 0x80, 12: byte(n >> 16), 13: byte(n >> 8), 14: byte(n), 15: byte(i)}.String()}
		}
		if _, ok := s.events(batch); !ok {
			return
		}
		for person := ""; ; s.pause(soakPause) {
			r := s.server()
			if r == nil {
				return
			}
			if person == "" {
				var err error
				if person, err = r.value(s.ctx, "prickle", "select distinct person_id from events where distinct_id = '"+name+"'"); err != nil {
					s.tolerate("the person of "+name, err)
				}
				continue
			}
			var found struct {
				Persons int `json:"persons_deleted"`
			}
			body := fmt.Sprintf(`{"ids":[%q],"delete_events":true}`, person)
			if _, err := s.post(r, "/api/projects/1/persons/bulk_delete/", "", []byte(body), &found); err == nil {
				break
			}
		}
		s.erased.Store(n + 1)
		s.pause(20 * soakPause)
	}
}

// tolerate fails the test if an error is not one of a server that goes away, is short of
// something or met a conflict.
func (s *soak) tolerate(what string, err error) {
	s.retries.Add(1)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && !contains([]string{"08", "40", "53", "57"}, pg.Code[:2]) {
		s.errorf("%s: %s: %s", what, pg.Code, pg.Message)
	}
}

// schema makes the tables.
func (s *soak) schema() {
	s.t.Helper()
	conn, err := s.remote.connect(s.ctx, "prickle")
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.ctx) //nolint:errcheck // nothing is left to say
	text := "create table ledger (writer int, n bigint, amount bigint); create table accounts (id int, balance bigint)"
	for i := range soakAccounts {
		text += fmt.Sprintf("; insert into accounts values (%d, 1000)", i)
	}
	if _, err := conn.Exec(s.ctx, text).ReadAll(); err != nil {
		s.t.Fatal(err)
	}
}

// transfer moves amounts between accounts, and writes down both sides, in transactions that
// meet those of the other writers. Whether one was committed whose end was not heard of is
// looked up: a server that was asked has ended, or rolled it back.
func (s *soak) transfer(writer int, rng *rand.Rand) {
	var conn *pgconn.PgConn
	var on *remote
	leave := func() {
		if conn != nil {
			conn.Close(s.ctx) //nolint:errcheck // the server may be gone
		}
		conn = nil
	}
	defer leave()
	ledger := func(n int64) string {
		return fmt.Sprintf("select count(*) from ledger where writer = %d and n = %d", writer, n)
	}
	for n := int64(0); ; {
		r := s.server()
		if r == nil {
			return
		}
		if conn == nil || on != r {
			leave()
			var err error
			if conn, err = r.connect(s.ctx, "prickle"); err != nil {
				s.tolerate("connect", err)
				s.pause(soakPause)
				continue
			}
			on = r
		}
		// What an earlier attempt did is seen first.
		answer, err := conn.Exec(s.ctx, ledger(n)).ReadAll()
		if err == nil {
			switch got := string(answer[0].Rows[0][0]); got {
			case "2":
				n++
				s.transfers.Add(1)
			case "0":
			default:
				s.errorf("transaction %d of writer %d is there in part: %s rows of 2", n, writer, got)
				return
			}
			amount, from := rng.Int64N(100), rng.IntN(soakAccounts)
			to := (from + 1 + rng.IntN(soakAccounts-1)) % soakAccounts
			_, err = conn.Exec(s.ctx, fmt.Sprintf("begin; insert into ledger values (%d, %d, %d); update accounts set balance = balance - %d where id = %d; "+
				"update accounts set balance = balance + %d where id = %d; insert into ledger values (%d, %d, -%d); commit",
				writer, n, amount, amount, from, amount, to, writer, n, amount)).ReadAll()
		}
		if err != nil && s.ctx.Err() == nil {
			s.tolerate("transaction", err)
			leave() // and with it a transaction that failed
		}
		s.pause(4 * soakPause)
	}
}

// read compares what is counted with what was acknowledged before and sent after, and with
// what was counted the last time.
func (s *soak) read() {
	var last [soakProducers]int64
	for ; ; s.pause(20 * soakPause) {
		r := s.server()
		if r == nil {
			return
		}
		atLeast := last
		for k := range s.counters {
			atLeast[k] = max(atLeast[k], s.counters[k].acked.Load())
		}
		erased, transfers := s.erased.Load(), s.transfers.Load()
		rows, err := s.query(r, "", "select properties.producer::bigint, count(*), max(properties.sequence::bigint) from events where event = 'counted' group by 1")
		if err != nil {
			continue
		}
		var counts [soakProducers]int64
		for _, row := range rows {
			counts[row[0]] = row[1]
			if row[2] != row[1]-1 {
				s.errorf("producer %d: %d events, the last is number %d", row[0], row[1], row[2])
			}
		}
		for k, n := range counts {
			if sent := s.counters[k].sent.Load(); n < atLeast[k] || n > sent {
				s.errorf("producer %d: %d events, %d were there or acknowledged before, and %d were sent", k, n, atLeast[k], sent)
			}
		}
		last = counts
		s.checkRows(r, "accounts", "select count(*), sum(balance)::bigint from accounts", soakAccounts, soakAccounts*1000)
		s.checkRows(r, "erased persons", fmt.Sprintf("select count(*) from events where event = 'doomed' and properties.doomed::bigint < %d", erased), 0)
		s.checkRows(r, "persons of users", "select coalesce(max(n), 1) from (select count(distinct person_id) as n from events where properties.linked is not null group by properties.linked) as users", 1)
		if rows, err := s.query(r, "", "select count(*), coalesce(sum(amount), 0)::bigint from ledger"); err == nil && (rows[0][0] < 2*transfers || rows[0][0]%2 != 0 || rows[0][1] != 0) {
			s.errorf("ledger: %d rows with the sum %d, %d transactions were committed", rows[0][0], rows[0][1], transfers)
		}
	}
}

// checkRows asks for one row, if the server answers.
func (s *soak) checkRows(r *remote, what, text string, wanted ...int64) {
	s.t.Helper()
	rows, err := s.query(r, "", text)
	if err == nil && (len(rows) != 1 || fmt.Sprint(rows[0]) != fmt.Sprint(wanted)) {
		s.errorf("%s: %v, want %v", what, rows, wanted)
	}
}

// backUp makes a backup, if the server lives for so long.
func (s *soak) backUp() {
	r := s.server()
	if r == nil {
		return
	}
	var b backedUp
	for k := range s.counters {
		b.atLeast[k] = s.counters[k].acked.Load()
	}
	var made cluster.LastBackup
	var m meter
	if err := r.longTask(s.ctx, "/api/instance/backup/", map[string]string{"url": s.target()}, &m, &made); err != nil {
		s.retries.Add(1)
		if p := (*problem)(nil); s.ctx.Err() == nil && errors.As(err, &p) && p.Code == "backup_target" {
			s.errorf("backup: %v", err)
		}
		return
	}
	for k := range s.counters {
		b.atMost[k] = s.counters[k].sent.Load()
	}
	b.index = made.Index
	s.last = b
	s.backups.Add(1)
}

func (s *soak) target() string { return filepath.Join(s.p.work, "backups") }

// must asks for rows that have to come.
func (s *soak) must(text string) [][]int64 {
	s.t.Helper()
	rows, err := s.query(s.server(), "", text)
	if err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return rows
}

// check compares everything when the clients have ended.
func (s *soak) check() {
	s.t.Helper()
	for k := range s.counters {
		acked, sent := s.counters[k].acked.Load(), s.counters[k].sent.Load()
		row := s.must(fmt.Sprintf("select count(*), count(distinct uuid), coalesce(max(properties.sequence::bigint) + 1, 0) from events where event = 'counted' and properties.producer = %d", k))[0]
		if row[0] < acked || row[0] > sent || row[1] != row[0] || row[2] != row[0] {
			s.errorf("producer %d: %d events with %d uuids, numbered to %d; %d were acknowledged, %d sent", k, row[0], row[1], row[2], acked, sent)
		}
	}
	row := s.must("select count(*), count(distinct uuid) from events where properties.linked is not null")[0]
	if row[0] < s.linked.acked.Load() || row[0] > s.linked.sent.Load() || row[0] != row[1] {
		s.errorf("%d events of users with %d uuids, %d were acknowledged, %d sent", row[0], row[1], s.linked.acked.Load(), s.linked.sent.Load())
	}
	doomed := s.must(fmt.Sprintf("select count(*), count(distinct uuid) from events where event = 'doomed' and properties.doomed::bigint >= %d", s.erased.Load()))[0]
	if doomed[0] > 20 || doomed[0] != doomed[1] {
		s.errorf("%d events with %d uuids of a person that was not erased yet, want at most 20", doomed[0], doomed[1])
	}
	// A writer may have committed one that it did not hear of.
	ledger := s.must("select count(*), sum(amount)::bigint, count(distinct writer * 1000000000000 + n) from ledger")[0]
	if n := s.transfers.Load(); ledger[0] < 2*n || ledger[0] > 2*(n+soakWriters) || ledger[0] != 2*ledger[2] || ledger[1] != 0 {
		s.errorf("ledger: %d rows of %d transactions with the sum %d, %d were committed", ledger[0], ledger[2], ledger[1], n)
	}
	r := s.server()
	s.checkRows(r, "accounts", "select count(*), sum(balance)::bigint from accounts", soakAccounts, soakAccounts*1000)
	s.checkRows(r, "accounts and ledger", "select count(*) from (select id from accounts group by id having count(*) > 1) as twice", 0)
}

// restore makes a directory of the last backup, and counts.
func (s *soak) restore(ctx context.Context) {
	s.t.Helper()
	to := newPlace(s.t)
	if a := to.runWith(ctx, "", false, "restore", s.target(), "--at", fmt.Sprint(s.last.index)); a.code != 0 {
		s.t.Fatalf("restore: exit %d\n%s%s", a.code, a.out, a.err)
	}
	other := &soak{t: s.t, p: to, ctx: s.ctx, args: s.args, up: make(chan struct{})}
	server, log := other.start()
	for k := range s.counters {
		row := other.must(fmt.Sprintf("select count(*), count(distinct uuid), coalesce(max(properties.sequence::bigint) + 1, 0) from events where event = 'counted' and properties.producer = %d", k))[0]
		if row[0] < s.last.atLeast[k] || row[0] > s.last.atMost[k] || row[1] != row[0] || row[2] != row[0] {
			s.errorf("producer %d in the last backup: %d events with %d uuids, numbered to %d; %d were acknowledged before it, %d sent before its end", k, row[0], row[1], row[2], s.last.atLeast[k], s.last.atMost[k])
		}
	}
	other.checkRows(other.server(), "accounts in the last backup", "select count(*), sum(balance)::bigint from accounts", soakAccounts, soakAccounts*1000)
	other.checkRows(other.server(), "ledger in the last backup", "select count(*) % 2, coalesce(sum(amount), 0)::bigint from ledger", 0, 0)
	other.stop(server, log)
	other.look(log)
}

// footprint is what servers take of the machine.
type footprint struct {
	peak       int64              // bytes
	goroutines int                // at most
	pools      map[string]float64 // most bytes by what for, as published
	at, bytes  []float64
}

// watch looks at a server every now and then, for as long as d.
func (u *footprint) watch(s *soak, server *exec.Cmd, began time.Time, d time.Duration) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	end := time.After(d)
	for !s.failed.Load() {
		if resident, peak := residentOf(server.Process.Pid); resident > 0 {
			u.peak = max(u.peak, peak)
			u.at, u.bytes = append(u.at, time.Since(began).Seconds()), append(u.bytes, float64(resident))
		} else {
			s.errorf("the server ended by itself")
		}
		if m, err := s.remote.metrics(s.ctx); err == nil {
			u.goroutines = max(u.goroutines, int(m["prickle_goroutines"]))
			for name, bytes := range m {
				if strings.HasPrefix(name, "prickle_memory_bytes{") {
					u.pools[name] = max(u.pools[name], bytes)
				}
			}
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// residentOf is the resident memory of a process in bytes, now and at most.
func residentOf(pid int) (now, peak int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kB, err := strconv.ParseInt(f[1], 10, 64)
		switch {
		case err != nil:
		case f[0] == "VmRSS:":
			now = kB << 10
		case f[0] == "VmHWM:":
			peak = kB << 10
		}
	}
	return now, peak
}

// slope is how fast resident memory grows after the first minute, in bytes a second by least
// squares, and over how long. A shorter soak has none.
func (u *footprint) slope() (perSecond float64, span time.Duration) {
	var n, x, y, xx, xy float64
	first := 0.0
	for i, at := range u.at {
		if at < 60 {
			continue
		}
		if n == 0 {
			first = at
		}
		n, x, y, xx, xy = n+1, x+at, y+u.bytes[i], xx+at*at, xy+at*u.bytes[i]
		span = time.Duration((at - first) * float64(time.Second)).Round(time.Second)
	}
	if d := n*xx - x*x; n > 10 && d > 0 {
		perSecond = (n*xy - x*y) / d
	}
	return perSecond, span
}

// rest waits until the goroutines of the clients' requests have ended on the server.
func (s *soak) rest() {
	s.t.Helper()
	// An idle server has some dozens; each request and connection of the clients had several.
	const idle = 100
	r := s.server()
	now := 0
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r.http.CloseIdleConnections()
		if m, err := r.metrics(s.ctx); err == nil {
			now = int(m["prickle_goroutines"])
		}
		if now > 0 && now <= idle {
			s.t.Logf("%d goroutines without clients", now)
			return
		}
		if time.Now().After(deadline) {
			s.errorf("%d goroutines without clients, want at most %d", now, idle)
			return
		}
	}
}
