package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/bench/gen"
)

// Taken is what a server took in over HTTP.
type Taken struct {
	Events  int64
	Seconds float64
	P99     time.Duration // of the time from a request to its answer
}

const (
	// takeInBatch is how many events a request has.
	takeInBatch = 100
	// takeInBodies is how many different requests there are; they are sent again and again. Their
	// events have no uuid, so that none is a repeat.
	takeInBodies = 500
)

// TakeIn has clients send events to the capture API for a while, each a request after the other.
// An event counts when it is acknowledged, which is when it is durable.
func TakeIn(ctx context.Context, url, token string, clients int, d time.Duration) (Taken, error) {
	bodies := takeInRequests(token)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var (
		next  atomic.Int64
		mu    sync.Mutex
		times []time.Duration
		first error
		wait  sync.WaitGroup
	)
	start := time.Now()
	end := start.Add(d)
	for range clients {
		wait.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Now().Before(end) {
				sent := time.Now()
				err = send(ctx, client, url+"/batch/", bodies[next.Add(1)%int64(len(bodies))])
				own = append(own, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, own...)
			if first == nil {
				first = err
			}
		})
	}
	wait.Wait()
	if first != nil {
		return Taken{}, first
	}
	slices.Sort(times)
	return Taken{Events: int64(len(times)) * takeInBatch, Seconds: time.Since(start).Seconds(), P99: times[len(times)*99/100]}, nil
}

func send(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

func takeInRequests(token string) (bodies [][]byte) {
	var body []byte
	n := 0
	for e := range gen.New(gen.Config{Events: takeInBatch * takeInBodies}).All() {
		if n == 0 {
			body = fmt.Appendf(nil, `{"api_key":%q,"batch":[`, token)
		} else {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"event":%q,"distinct_id":%q,"timestamp":%q,"properties":`, e.Name, e.DistinctID, e.Time().Format(time.RFC3339Nano))
		body = append(e.AppendProperties(body), '}')
		if n++; n == takeInBatch {
			bodies, n = append(bodies, append(body, "]}"...)), 0
		}
	}
	return bodies
}
