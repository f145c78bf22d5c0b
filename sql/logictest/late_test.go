package logictest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// generated is a database of so many generated events, half of them in segments.
func generated(t testing.TB, events int, merged bool) *database {
	d := open(t, false)
	b := event.NewBuilder()
	store := func() {
		d.index++
		if _, err := d.store.ApplyEvents(d.index, now.UnixMicro(), 1, b.Finish()); err != nil {
			t.Fatal(err)
		}
	}
	flush := func() {
		if err := d.store.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	stored := 0
	for e := range gen.New(gen.Config{Events: uint64(events)}).All() {
		b.Begin(e.UUID, e.UnixMilli*1000)
		b.SetName([]byte(e.Name))
		b.SetDistinctID([]byte(e.DistinctID))
		if err := properties(b, string(e.AppendProperties(nil))); err != nil {
			t.Fatal(err)
		}
		b.End()
		if stored++; stored == events/2 {
			store()
			if !merged {
				flush()
			}
		} else if b.Full() {
			store()
		}
	}
	store()
	if merged {
		flush()
	}
	for merged {
		plan, ok := d.store.PlanMergeAll()
		if !ok {
			break
		}
		d.index += 2
		if err := d.store.Merge(context.Background(), d.index-1, 0, plan); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestLateReading holds statements that read late against the whole table, sorted.
func TestLateReading(t *testing.T) {
	events := 2_000
	if testing.Short() {
		events = 400
	}
	for _, merged := range []bool{false, true} {
		d := generated(t, events, merged)
		for _, order := range []string{"timestamp DESC, uuid", "timestamp, uuid", "event, uuid", "properties.$geoip_country_code NULLS FIRST, uuid DESC", "distinct_id DESC, uuid"} {
			for _, where := range []string{"true", "event <> '$pageview'", "properties.$geoip_country_code = 'DE'", "timestamp < '2026-02-01'", "false"} {
				all, err := d.Run(t, fmt.Sprintf(`SELECT * FROM events WHERE %s ORDER BY %s`, where, order))
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range [][2]int{{20, 0}, {1, 0}, {0, 0}, {300, 30}, {2_000, 10}} {
					text := fmt.Sprintf(`SELECT * FROM events WHERE %s ORDER BY %s LIMIT %d OFFSET %d`, where, order, n[0], n[1])
					got, err := d.Run(t, text)
					if err != nil {
						t.Fatal(err)
					}
					lo := min(n[1], len(all.Rows))
					want := all.Rows[lo:min(lo+n[0], len(all.Rows))]
					if g, w := lines(got.Rows), lines(want); g != w {
						t.Fatalf("%s =\n%.500s\nwant\n%.500s", text, g, w)
					}
				}
			}
		}
	}
}

func lines(rows [][]*string) string {
	var b strings.Builder
	for _, row := range rows {
		for _, v := range row {
			if v == nil {
				b.WriteString("NULL  ")
			} else {
				b.WriteString(*v + "  ")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestLimitStopsReading reads the start of a table, and must neither read the rest nor
// leave goroutines behind.
func TestLimitStopsReading(t *testing.T) {
	d := generated(t, 30_000, true)
	before := runtime.NumGoroutine()
	d.progress = &engine.Progress{}
	r, err := d.Run(t, `SELECT * FROM events WHERE properties.$geoip_country_code IS NOT NULL LIMIT 5`)
	if err != nil || len(r.Rows) != 5 {
		t.Fatalf("%d rows, %v; want 5", len(r.Rows), err)
	}
	if n := d.progress.Rows.Load(); n > 2*vec.BatchRows {
		t.Errorf("LIMIT 5 read %d rows", n)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, want %d", runtime.NumGoroutine(), before)
		}
	}
}

// TestScansReadLess asks for a column that is wanted of few rows: of those that a condition
// leaves, and of those whose key is in the other side of a join.
func TestScansReadLess(t *testing.T) {
	d := generated(t, 20_000, true)
	d.threads = 2
	bytes := func(text string) int64 {
		d.progress = &engine.Progress{}
		if _, err := d.Run(t, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return d.progress.Bytes.Load()
	}
	one := bytes(`SELECT count(*) FROM events WHERE uuid < '00000000-0000-0000-0000-000000000000'`)
	if none := bytes(`SELECT properties FROM events WHERE uuid < '00000000-0000-0000-0000-000000000000'`); none != one {
		t.Errorf("a condition that nothing passes: %d bytes are read, want the %d of its column", none, one)
	}
	const join = `SELECT e.properties, e.uuid FROM events e JOIN (VALUES ('nobody')) v(id) ON e.distinct_id = v.id`
	with := bytes(join)
	if _, err := d.settings.Set("disabled_rules", "join_filters", false); err != nil {
		t.Fatal(err)
	}
	if without := bytes(join); without != 3*with {
		t.Errorf("a join that nothing matches reads %d bytes, and %d without join_filters: want the key alone of three columns", with, without)
	}
	const groups = `SELECT (SELECT max(e.uuid::text) FROM events e WHERE e.distinct_id = v.id) FROM (VALUES ('nobody')) v(id)`
	for _, c := range []struct {
		disabled string
		columns  int64
	}{{"", 1}, {"narrow_groups", 2}} {
		if _, err := d.settings.Set("disabled_rules", c.disabled, false); err != nil {
			t.Fatal(err)
		}
		if got := bytes(groups); got != c.columns*with {
			t.Errorf("without %q, groups that nobody asks for: %d bytes are read, want those of %d columns, %d", c.disabled, got, c.columns, c.columns*with)
		}
	}
}

func BenchmarkTail(b *testing.B) {
	for _, merged := range []bool{false, true} {
		d := generated(b, 1_000_000, merged)
		for _, q := range []string{
			`SELECT * FROM events ORDER BY timestamp DESC LIMIT 20`,
			`SELECT * FROM events WHERE event = 'purchase' ORDER BY timestamp DESC LIMIT 20`,
			`SELECT * FROM events WHERE properties.$geoip_country_code = 'DE' ORDER BY timestamp LIMIT 100`,
			`SELECT * FROM events ORDER BY distinct_id LIMIT 20`,
			`SELECT * FROM events LIMIT 20`,
		} {
			b.Run(fmt.Sprintf("merged=%v/%s", merged, q), func(b *testing.B) {
				for range b.N {
					if _, err := d.Run(nil, q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestCancel cancels statements half-way. They must end within a batch, so with little more
// work. The work is the processor time of the process, which a machine with other things to
// do does not make longer as it does the time on the wall; what collects garbage counts, so
// there are three attempts.
func TestCancel(t *testing.T) {
	d := generated(t, 60_000, true)
	delays := []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond}
	if testing.Short() {
		delays = delays[2:3]
	}
	for _, q := range []string{
		`SELECT * FROM events ORDER BY properties, uuid`,
		`SELECT DISTINCT properties, uuid FROM events`,
		`SELECT count(*) FROM events WHERE properties::text ~ '(a|b|c)*d.*e.*f.*g.*h'`,
		`SELECT uuid, count(*), array_agg(properties) FROM events GROUP BY uuid`,
		`SELECT * FROM events WHERE properties::text ~ 'x.*y.*z.*0.*1.*q' LIMIT 3`,
		`SELECT properties FROM events`,
		`SELECT * FROM FUNNEL(STEPS (a: properties.$current_url ~ 'a.*p.*p', b: event = 'purchase') WITHIN INTERVAL '14 days')`,
		`SELECT * FROM RETENTION(START properties.$current_url ~ 'a.*p.*p' RETURN event = 'purchase' EVERY INTERVAL '1 day')`,
		`SELECT * FROM TRENDS(SERIES (a: count(DISTINCT uuid)) EVERY INTERVAL '1 day' BREAKDOWN BY properties.$current_url)`,
	} {
		for _, after := range delays {
			least := time.Duration(math.MaxInt64)
			for range 3 {
				ctx, cancel := context.WithCancel(context.Background())
				var at time.Duration
				timer := time.AfterFunc(after, func() { at = work(t); cancel() })
				d.ctx = ctx
				_, err := d.Run(t, q)
				if timer.Stop() { // it was done before
					cancel()
					least = 0
					break
				}
				<-ctx.Done()
				more := work(t) - at
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Fatalf("%s, cancelled after %v: %v", q, after, err)
				}
				least = min(least, more)
				if least < promptly {
					break
				}
			}
			if least >= promptly {
				t.Errorf("%s, cancelled after %v, worked for %v more", q, after, least)
			}
		}
	}
}

// work is how long processors have worked for this process.
func work(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Error(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMemory gives statements less memory than they need.
func TestMemory(t *testing.T) {
	d := generated(t, 20_000, true)
	d.memory = 1 << 19
	for _, q := range []string{
		`SELECT properties FROM events ORDER BY uuid`,
		`SELECT DISTINCT uuid, properties FROM events`,
		`SELECT uuid, max(timestamp) FROM events GROUP BY uuid`,
		`SELECT array_agg(properties) FROM events`,
		`SELECT string_agg(distinct_id, ',' ORDER BY uuid) FROM events`,
		`SELECT count(DISTINCT uuid) FROM events`,
		`SELECT * FROM events ORDER BY properties, uuid LIMIT 10000`,
	} {
		if _, err := d.Run(t, q); err == nil || pgerr.Code(err) != "53200" {
			t.Errorf("%s = %v, want 53200", q, err)
		}
	}
	for _, q := range []string{
		`SELECT properties FROM events`,
		`SELECT count(*), max(timestamp) FROM events`,
		`SELECT * FROM events ORDER BY timestamp LIMIT 20`,
	} {
		if _, err := d.Run(t, q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
}
