package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/bench"
)

func TestHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h, other histogram
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		if i < 200 {
			d = time.Duration(i)
		}
		all = append(all, d)
		if i%3 == 0 {
			other.add(d)
		} else {
			h.add(d)
		}
	}
	h.merge(&other)
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(q*float64(len(all))+0.999999), 1)-1]
		if got := h.quantile(q); got < want || got > want+want/64 {
			t.Errorf("quantile(%v) = %d ns, want %d or little more", q, got, want)
		}
	}
	if h.n != 10_000 || h.max != all[len(all)-1] || new(histogram).quantile(0.5) != 0 {
		t.Errorf("histogram of %d values up to %v", h.n, h.max)
	}
}

// TestBodies stamps a body twice: it is JSON, and no id comes twice.
func TestBodies(t *testing.T) {
	bodies, err := prepare("localhost:1", `a "token"`, 7, 1000)
	if err != nil || len(bodies) < 100 {
		t.Fatalf("prepare = %d bodies, %v", len(bodies), err)
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
	seen := map[uuid.UUID]bool{}
	var buf []byte
	sources := []idSource{{own: 1}, {own: 2}}
	for i := range 20 {
		buf = bodies[i%2].stamp(buf, &sources[i%len(sources)], now)
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(buf)))
		if err != nil {
			t.Fatal(err)
		}
		var b struct {
			Key    string `json:"api_key"`
			SentAt string `json:"sent_at"`
			Batch  []struct {
				UUID      uuid.UUID
				Timestamp time.Time
				Event     string
			}
		}
		raw, err := io.ReadAll(req.Body)
		if err != nil || json.Unmarshal(raw, &b) != nil {
			t.Fatalf("body %v: %s", err, raw)
		}
		if b.Key != `a "token"` || b.SentAt != "2026-03-04T05:06:07.890Z" || len(b.Batch) != 7 {
			t.Fatalf("body = %s", raw)
		}
		for _, e := range b.Batch {
			if seen[e.UUID] || e.UUID.Version() != 7 || e.UUID.Variant() != uuid.RFC4122 || e.Event == "" {
				t.Errorf("event %+v", e)
			}
			seen[e.UUID] = true
			if d := now.Sub(e.Timestamp); d < 0 || d > 2*time.Second {
				t.Errorf("an event of %v is %v old", e.Timestamp, d)
			}
		}
	}
}

// stub answers requests over pipes: the answer to the n-th, from 0 on, is what answer gives.
func stub(answer func(n int) (status int, body string)) func(context.Context) (net.Conn, error) {
	n := 0 // one client at a time
	return func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			in := bufio.NewReader(server)
			for {
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return
				}
				status, body := answer(n)
				n++
				if status == 0 {
					return
				}
				fmt.Fprintf(server, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
			}
		}()
		return client, nil
	}
}

// TestOpenLoop has a server that stands still for half a second: the requests that fell due
// meanwhile were late, although the only client could not send them.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(t.Context(), Config{Rate: 1000, Batch: 10, Clients: 1, Duration: time.Second, Dial: stub(func(n int) (int, string) {
			if n == 20 {
				time.Sleep(500 * time.Millisecond)
			}
			return 200, "{}"
		})})
		if err != nil {
			t.Fatal(err)
		}
		// 50 of 100 requests waited 500, 490, … 10 ms, all others no time.
		l := r.Latency
		if l.Count != 100 || r.Accepted != 1000 || l.Max != 500 || l.Median < 0 || l.Median > 11 || l.P90 < 400 || l.P90 > 410 || l.P99 < 490 {
			t.Errorf("latency = %+v of %d events, want half of them late", l, r.Accepted)
		}
		if r.Unsent != 0 || len(r.Errors) != 0 || r.Seconds < 0.99 || r.Seconds > 1.01 {
			t.Errorf("report = %+v", r)
		}
	})
}

// TestFailures counts what is refused by its kind, and what could not be sent.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(t.Context(), Config{Rate: 100, Batch: 1, Clients: 1, Duration: time.Second, Dial: stub(func(n int) (int, string) {
			switch n {
			case 3, 4:
				return 503, `{"code":"overloaded"}`
			case 5:
				return 500, "?"
			case 6:
				return 0, ""
			case 20:
				time.Sleep(time.Minute)
			}
			return 200, "{}"
		})})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"503 overloaded": 2, "500": 1, "connection closed": 1, "no answer in time": 1}
		if fmt.Sprint(r.Errors) != fmt.Sprint(want) || r.Accepted != 16 || r.Unsent != 79 {
			t.Errorf("report = %+v, want errors %v, 16 accepted, 79 unsent", r, want)
		}
		time.Sleep(time.Minute) // the server ends
	})
}

// TestQuestionsInTime has questions that are not answered: what became of them is told in the words of requests, and
// the rate of events is of the time in which they were sent.
func TestQuestionsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(t.Context(), Config{Rate: 1, Batch: 1, Clients: 1, Duration: time.Second, Questions: bench.Questions[:1], QueryRate: 2,
			Dial: stub(func(int) (int, string) { return 200, "{}" }),
			Connect: func(ctx context.Context) (*pgconn.PgConn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		if err != nil || r.QueryErrors["no answer in time"] != 2 || len(r.QueryErrors) != 1 || len(r.Queries) != 0 || r.Accepted != 1 || r.Seconds > 1.1 || r.EventsPerSecond < 0.9 {
			t.Errorf("Run = %+v, %v, want 2 questions without an answer, and an event in a second", r, err)
		}
	})
}

// TestClosedLoop sends the next batch when the one before is answered.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(t.Context(), Config{Batch: 10, Clients: 1, Duration: time.Second, Dial: stub(func(int) (int, string) {
			time.Sleep(20 * time.Millisecond)
			return 200, "{}"
		})})
		if err != nil || r.Accepted != 500 || r.Latency.Max != 20 {
			t.Errorf("Run = %+v, %v, want 500 events at 20 ms", r, err)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, c := range []Config{{Rate: -1}, {Clients: 0}, {Clients: 1, Batch: 0}, {Clients: 1, Batch: maxBatch + 1}, {Clients: 1, Batch: 1}} {
		if _, err := Run(t.Context(), c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
