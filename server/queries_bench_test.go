package server

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/vfs"
)

const (
	shortQuery = "select count(*) from events where event = 'event 3' and timestamp < '2026-01-03'"
	smallWrite = "insert into events (distinct_id, event) values ('me', 'written')"
	longQuery  = "select properties.plan, count(distinct distinct_id), avg(properties.price) from events group by 1"
)

// manner is how a server runs queries.
type manner struct {
	name   string
	engine session.Engine
	spare  int // processors beyond those of queries
}

// startLoaded serves two million events, and gives two manners to run queries: by turns with
// a processor to spare, as the server does, and without either.
func startLoaded(b *testing.B) (s *running, turns, free manner) {
	b.Helper()
	processors := runtime.GOMAXPROCS(0)
	s = startNodeOn(b, Config{ProjectQueries: 16, Processors: processors}, cluster.Config{FS: vfs.NewMem(), Ballast: -1})
	load := dial(b, s)
	for i := range 10 {
		if _, err := load.Exec(b.Context(), fmt.Sprintf(`insert into events (distinct_id, event, timestamp, properties)
			select 'user ' || (n %% 50000), 'event ' || (n %% 5), '2026-01-01'::timestamptz + n * interval '10 s', jsonb_build_object('price', n %% 1000, 'plan', 'plan ' || (n %% 7))
			from generate_series(%d, %d) as g(n)`, i*200_000+1, (i+1)*200_000)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.node.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s, manner{"turns", s.engine, 1},
		manner{"free", session.NewEngine(s.node.Store(), statements{s.node, s.Server}, session.Limits{Threads: processors}), 0}
}

// use has a server run queries in a manner until the caller calls what it returns.
func (m manner) use(s *running) (end func()) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + m.spare)
	s.engine = m.engine
	return func() { runtime.GOMAXPROCS(before) }
}

// BenchmarkLong is long queries, four at once: the time of each, and what it takes of the
// processors.
func BenchmarkLong(b *testing.B) {
	s, turns, free := startLoaded(b)
	for _, m := range []manner{turns, free} {
		b.Run(m.name, func(b *testing.B) {
			defer m.use(s)()
			var running sync.WaitGroup
			var begun atomic.Int64
			used := processorTime()
			for range 4 {
				conn := dial(b, s)
				running.Go(func() {
					for begun.Add(1) <= int64(b.N) {
						if _, err := conn.Exec(b.Context(), longQuery); err != nil {
							b.Error(err)
						}
					}
				})
			}
			running.Wait()
			b.ReportMetric((processorTime()-used).Seconds()*1e3/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkBesideLong is a short query and a small write over the protocol, alone and while
// four long queries run all the time: the median and the 99th of a hundred of their latencies.
func BenchmarkBesideLong(b *testing.B) {
	s, turns, free := startLoaded(b)
	for _, c := range []struct {
		name string
		manner
		long int
	}{{"alone", turns, 0}, {"turns", turns, 4}, {"free", free, 4}} {
		b.Run(c.name, func(b *testing.B) {
			defer c.use(s)()
			ctx, stop := context.WithCancel(b.Context())
			var running sync.WaitGroup
			for range c.long {
				conn := dial(b, s)
				running.Go(func() {
					for ctx.Err() == nil {
						_, _ = conn.Exec(ctx, longQuery) // it ends with ctx
					}
				})
			}
			conn := dial(b, s)
			var reads, writes []time.Duration
			time.Sleep(time.Duration(c.long) * 100 * time.Millisecond) // until they all run
			for b.Loop() {
				for text, took := range map[string]*[]time.Duration{shortQuery: &reads, smallWrite: &writes} {
					one := time.Now()
					if _, err := conn.Exec(b.Context(), text); err != nil {
						b.Fatal(err)
					}
					*took = append(*took, time.Since(one))
				}
				if c.long > 0 {
					time.Sleep(20 * time.Millisecond) // a client that reads what it gets
				}
			}
			stop()
			running.Wait()
			for what, took := range map[string][]time.Duration{"read": reads, "write": writes} {
				slices.Sort(took)
				b.ReportMetric(took[len(took)/2].Seconds()*1e3, what+"-p50-ms")
				b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, what+"-p99-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func dial(b *testing.B, s *running) *pgx.Conn {
	b.Helper()
	c, err := pgx.Connect(b.Context(), "postgres://app@"+s.addr+"/prickle")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// processorTime is what the process has used of processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
