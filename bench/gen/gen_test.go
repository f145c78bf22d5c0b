package gen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// The stream of seed 0 is what published figures are measured on. These hashes never change.
func TestGoldenStream(t *testing.T) {
	for _, c := range []struct {
		events, lines uint64
		want          string
	}{
		{20, 20, "2fb1b817db17489bcea4bc38b1c9b95662b5b242064eea80ea8277c22294443e"},
		{20_000, 20_000, "a2152d79f48a9a5734f1311510ac3c69fe9f28f7457b21ec9eccd46ca3c77fb4"},
		{200_000, 200_000, "27cca9fd256d67ed5e94d48b87db0568d20aba4f7c82c8a86dd4007e00ed31df"},
		{1_000_000, 20_000, "79cb2b557881ab751a2516a7ea0e6c127321cc80e0553bb89c852bd49fad660d"},
	} {
		hash := sha256.New()
		var line []byte
		lines := uint64(0)
		for e := range New(Config{Events: c.events}).All() {
			if lines == c.lines {
				break
			}
			line = e.AppendNDJSON(line[:0])
			hash.Write(line)
			lines++
		}
		if got := hex.EncodeToString(hash.Sum(nil)); lines != c.lines || got != c.want {
			t.Errorf("first %d of %d events: %d lines with hash %s, want %s", c.lines, c.events, lines, got, c.want)
		}
	}
}

func configs() []Config {
	return []Config{
		{Events: 12_000},
		{Events: 12_000, Merges: true},
		{Events: 12_000, Seed: 5, Days: 7, Start: time.Date(2025, 3, 9, 17, 30, 0, 0, time.UTC), Merges: true},
		Demo(time.Date(2026, 11, 24, 12, 4, 9, 0, time.UTC), 12_000),
		{Events: 1}, {Events: 63, Merges: true}, Demo(time.Unix(1_700_000_000, 0), 10),
		{Events: 5000, Days: 1, Names: Product},
	}
}

func ndjson(t *testing.T, c Config) []byte {
	t.Helper()
	var out bytes.Buffer
	last := uint64(0)
	if err := WriteNDJSON(t.Context(), &out, c, func(n uint64) { last = n }); err != nil {
		t.Fatal(err)
	}
	if last != c.Events {
		t.Errorf("%+v: progress ended at %d events", c, last)
	}
	return out.Bytes()
}

func TestRangesMakeTheStream(t *testing.T) {
	for _, c := range configs() {
		want := ndjson(t, c)
		var got []byte
		for from, size := uint64(0), uint64(1); from < New(c).Sessions(); from, size = from+size, size*2 {
			m := New(c) // ranges need nothing from each other
			index := m.FirstEvent(from)
			err := m.Each(from, from+size, func(e *Event) error {
				if s := m.SessionOf(index); s != e.Session {
					t.Fatalf("%+v: SessionOf(%d) = %d, want %d", c, index, s, e.Session)
				}
				index++
				got = e.AppendNDJSON(got)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if next := m.FirstEvent(from + size); index != next {
				t.Fatalf("%+v: FirstEvent(%d) = %d, want %d", c, from+size, next, index)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%+v: ranges and the whole stream differ", c)
		}
	}
}

func TestOneModelServesSeveralReaders(t *testing.T) {
	c := Demo(time.Unix(1_700_000_000, 0), 12_000)
	m := New(c)
	const readers = 4
	var parts [readers][]byte
	var wait sync.WaitGroup
	for i := range uint64(readers) {
		wait.Go(func() {
			n := m.Sessions()
			// The function returns no error, so neither does Each.
			_ = m.Each(n*i/readers, n*(i+1)/readers, func(e *Event) error {
				parts[i] = e.AppendNDJSON(parts[i])
				return nil
			})
		})
	}
	wait.Wait()
	if !bytes.Equal(slices.Concat(parts[:]...), ndjson(t, c)) {
		t.Error("the parts of four readers are not the stream")
	}
}

// line is what a reader of the stream sees.
type line struct {
	UUID       string
	Event      string
	DistinctID string `json:"distinct_id"`
	Timestamp  time.Time
	Properties map[string]any
}

func lines(t *testing.T, c Config) []line {
	t.Helper()
	var all []line
	for text := range bytes.Lines(ndjson(t, c)) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, l)
	}
	return all
}

func TestEventsLieInTheirDays(t *testing.T) {
	for _, c := range configs() {
		m := New(c)
		seen := map[[16]byte]bool{}
		var session, last int64
		for e := range m.All() {
			if e.Time().Before(m.Config().Start) || !e.Time().Before(m.End()) {
				t.Fatalf("%+v: event at %v, outside %v to %v", c, e.Time(), m.Config().Start, m.End())
			}
			if int64(e.Session) == session && e.UnixMilli < last {
				t.Fatalf("%+v: session %d goes back in time", c, session)
			}
			session, last = int64(e.Session), e.UnixMilli
			if !slices.Contains(m.Names(), e.Name) {
				t.Fatalf("%+v: Names lacks %q", c, e.Name)
			}
			seen[e.UUID] = true
		}
		if uint64(len(seen)) != c.Events {
			t.Errorf("%+v: %d different ids, want %d", c, len(seen), c.Events)
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	a, b := lines(t, Config{Events: 500}), lines(t, Config{Events: 500, Seed: 1})
	if a[0].UUID == b[0].UUID || a[0].DistinctID == b[0].DistinctID && a[499].DistinctID == b[499].DistinctID {
		t.Errorf("seeds 0 and 1 start alike: %v, %v", a[0], b[0])
	}
}

// Whoever merges what the stream says is to be merged must arrive at the persons that the model knows.
func TestTruthAboutPersons(t *testing.T) {
	oneGoroutine(t)
	for _, c := range configs() {
		m := New(c)
		var number = map[string]uint64{}
		for p := range m.Persons() {
			person := m.Person(p)
			for _, id := range []string{person.AnonID, person.UserID} {
				if _, twice := number[id]; twice && id != "" {
					t.Fatalf("%+v: id %s belongs to two persons", c, id)
				}
				number[id] = p
			}
		}
		delete(number, "")
		merged := map[uint64]time.Time{}
		usedIDs, linkedIDs := map[string]bool{}, map[string]bool{}
		persons := map[uint64]bool{}
		for _, l := range lines(t, c) {
			p, ok := number[l.DistinctID]
			if !ok {
				t.Fatalf("%+v: id %s belongs to nobody", c, l.DistinctID)
			}
			usedIDs[l.DistinctID], linkedIDs[l.DistinctID], persons[p] = true, true, true
			anon, ok := l.Properties["$anon_distinct_id"].(string)
			if !ok {
				continue
			}
			if _, again := merged[p]; again || l.Event != "$identify" {
				t.Errorf("%+v: person %d merges again, or by %q", c, p, l.Event)
			}
			merged[p] = l.Timestamp
			linkedIDs[anon] = true
			if person := m.Person(p); person.AnonID != anon || person.UserID != l.DistinctID {
				t.Errorf("%+v: person %d merges %s into %s, want %+v", c, p, anon, l.DistinctID, person)
			}
		}
		if len(linkedIDs) != len(number) {
			t.Errorf("%+v: %d ids in the stream, want %d", c, len(linkedIDs), len(number))
		}
		if uint64(len(usedIDs)) != m.DistinctIDs() {
			t.Errorf("%+v: DistinctIDs() = %d, want %d", c, m.DistinctIDs(), len(usedIDs))
		}
		count := len(persons)
		if !m.Config().Merges {
			count = len(usedIDs)
		}
		if m.Seen() != uint64(count) {
			t.Errorf("%+v: Seen() = %d, want %d", c, m.Seen(), count)
		}
		for p := range m.Persons() {
			person := m.Person(p)
			at, ok := merged[p]
			if person.Merged != ok || !person.MergedAt.Equal(at) {
				t.Errorf("%+v: person %d merges at %v, want %v", c, p, person.MergedAt, at)
			}
		}
		if m.Config().Merges && c.Events > 10_000 && len(merged) < 10 {
			t.Errorf("%+v: only %d merges", c, len(merged))
		}
	}
}

func TestMergesChangeNothingElse(t *testing.T) {
	oneGoroutine(t)
	plain, merging := lines(t, Config{Events: 20_000}), lines(t, Config{Events: 20_000, Merges: true})
	for i, l := range merging {
		if _, ok := l.Properties["$anon_distinct_id"]; ok {
			delete(l.Properties, "$anon_distinct_id")
			delete(l.Properties, "$set")
			l.Event = plain[i].Event
		}
		if fmt.Sprint(l) != fmt.Sprint(plain[i]) {
			t.Fatalf("event %d is %v, want %v", i, l, plain[i])
		}
	}
}

func TestSkew(t *testing.T) {
	const events = 400_000
	m := New(Config{Events: events})
	names := map[string]int{}
	for e := range m.All() {
		names[e.Name]++
	}
	if len(names) != 48 {
		t.Errorf("%d names, want 48", len(names))
	}
	if share := float64(names["$pageview"]) / events; share < 0.432 || share > 0.442 {
		t.Errorf("share of $pageview is %.4f, want about 0.437", share)
	}

	// The share of the busiest person falls with the number of persons, so it takes ten million events.
	m = New(Config{Events: 10_000_000})
	if m.Persons() != 156_250 || m.Sessions() != 945_133 {
		t.Errorf("%d persons and %d sessions, want 156250 and 945133", m.Persons(), m.Sessions())
	}
	sessions := make([]int, m.Persons())
	for s := range m.Sessions() {
		sessions[m.personOf(s)]++
	}
	if share := float64(slices.Max(sessions)) / float64(m.Sessions()); share < 0.006 || share > 0.009 {
		t.Errorf("the busiest person has %.4f of the sessions, want about 0.0075", share)
	}
}

func TestParquetHoldsTheSameEvents(t *testing.T) {
	oneGoroutine(t)
	for _, c := range configs() {
		var file bytes.Buffer
		last := uint64(0)
		if err := WriteParquet(t.Context(), &file, c, func(n uint64) { last = n }); err != nil {
			t.Fatal(err)
		}
		rows, err := parquet.Read[row](bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, r := range rows {
			at := time.UnixMicro(r.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
			got = fmt.Appendf(got, `{"uuid":"%s","event":"%s","distinct_id":"%s","timestamp":"%s","properties":%s}`+"\n",
				r.UUID, r.Event, r.DistinctID, at, r.Properties)
		}
		if last != c.Events || !bytes.Equal(got, ndjson(t, c)) {
			t.Errorf("%+v: %d rows differ from the lines of NDJSON", c, len(rows))
		}
	}
}

func TestWritersStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := Config{Events: 50_000}
	if err := WriteNDJSON(ctx, io.Discard, c, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteNDJSON, cancelled: %v", err)
	}
	if err := WriteParquet(ctx, io.Discard, c, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteParquet, cancelled: %v", err)
	}
	for _, c := range []Config{{}, {Events: maxEvents + 1}, {Events: 1, Days: -1}, {Events: 1, Days: 5000}, {Events: 1, Names: 9}, {Events: maxEvents, EventsPerPerson: 1}} {
		if err := WriteNDJSON(t.Context(), io.Discard, c, nil); err == nil {
			t.Errorf("WriteNDJSON accepts %+v", c)
		}
	}
}

// The numbers are what a person who loads the sample data sees first, so they must make sense.
func TestDemoTellsAStory(t *testing.T) {
	oneGoroutine(t)
	now := time.Date(2026, 11, 24, 12, 4, 9, 0, time.UTC)
	m := New(Demo(now, DemoEvents))
	type visit struct {
		name string
		at   time.Time
	}
	since := now.AddDate(0, 0, -30)
	people := map[uint64][]visit{}
	names := map[string]int{}
	var last time.Time
	for e := range m.All() {
		names[e.Name]++
		if e.Time().After(last) {
			last = e.Time()
		}
		switch e.Name {
		case viewedPricing, signedUp, paid:
			people[e.Person] = append(people[e.Person], visit{e.Name, e.Time()})
		}
	}
	var reached [3]int
	for _, visits := range people {
		slices.SortStableFunc(visits, func(a, b visit) int { return a.at.Compare(b.at) })
		best := 0
		for i, first := range visits {
			if first.name != viewedPricing || first.at.Before(since) {
				continue
			}
			far := 1
			for _, v := range visits[i+1:] {
				if v.at.Sub(first.at) <= 14*24*time.Hour && far < 3 && v.name == [...]string{signedUp, paid}[far-1] {
					far++
				}
			}
			best = max(best, far)
		}
		for i := range best {
			reached[i]++
		}
	}
	t.Logf("%d persons, funnel %v, names %v, last event %v before now", m.Seen(), reached, names, now.Sub(last))
	if n := m.Seen(); n < 46_000 || n > 50_000 {
		t.Errorf("%d persons, want about 48,000", n)
	}
	if !last.Before(now) || now.Sub(last) > 2*time.Hour {
		t.Errorf("last event at %v, want shortly before %v", last, now)
	}
	second, third := float64(reached[1])/float64(reached[0]), float64(reached[2])/float64(reached[1])
	if reached[0] < 10_000 || second < 0.15 || second > 0.5 || third < 0.05 || third > 0.3 {
		t.Errorf("funnel of the last 30 days is %v, want fewer and fewer, but somebody", reached)
	}
}

func BenchmarkNDJSON(b *testing.B) {
	m := New(Config{Events: max(1, uint64(b.N))})
	var line []byte
	b.ResetTimer()
	for e := range m.All() {
		line = e.AppendNDJSON(line[:0])
		b.SetBytes(int64(len(line)))
	}
}

// oneGoroutine leaves a test out where the race detector, which has nothing to see in it, makes it long.
func oneGoroutine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs in one goroutine, and for long under the race detector")
	}
}
