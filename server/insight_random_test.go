package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/sql/insight/insighttest"
	"github.com/prickledb/prickle/storage/vfs"
)

// questionsPerProject is how many questions are asked about one set of data.
const questionsPerProject = 5

// insightPairs is how many pairs of data and question are tried: PRICKLE_INSIGHTS of them.
func insightPairs(t *testing.T, otherwise int) int {
	t.Helper()
	if s := os.Getenv("PRICKLE_INSIGHTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("PRICKLE_INSIGHTS is a number of pairs: %v", err)
		}
		return n
	}
	return otherwise
}

// firstSeed is where the seeds begin: PRICKLE_SEED, to repeat one.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("PRICKLE_SEED"), 10, 64)
	if err != nil {
		return 1
	}
	return n
}

// asked is a running node, which may be restarted, and its project of the moment.
type asked struct {
	*running
	fs      vfs.FS
	id      uint32 // of the project
	project string // its path
}

func newAsked(t *testing.T) *asked {
	a := &asked{fs: vfs.NewMem()}
	a.start(t)
	return a
}

func (a *asked) start(t *testing.T) {
	t.Helper()
	a.running = startNodeOn(t, Config{}, cluster.Config{FS: a.fs, Ballast: -1, NoMerger: true})
}

// load makes a project of the data, with a flush somewhere in the middle now and then.
func (a *asked) load(t *testing.T, rng *rand.Rand, d *insighttest.Data) {
	t.Helper()
	settings, err := json.Marshal(d.Settings("random"))
	if err != nil {
		t.Fatal(err)
	}
	status, body := a.do(t, "POST", "/api/projects/", string(settings))
	var created struct{ ID int }
	if err := json.Unmarshal([]byte(body), &created); status != 201 || err != nil {
		t.Fatalf("create = %d %s, %v", status, body, err)
	}
	a.id, a.project = uint32(created.ID), fmt.Sprintf("/api/projects/%d/", created.ID)
	lines := d.Lines()
	if cut := rng.IntN(4 * len(lines)); cut < len(lines) {
		a.importLines(t, lines[:cut])
		a.flush(t)
		lines = lines[cut:]
	}
	a.importLines(t, lines)
	d.Sampled = a.sampled(t)
}

// sampled says which distinct ids a sample reads. The hash is the engine's own, so it is asked:
// a small sample must lie in a larger one, but whether the ids are the right ones nobody else knows.
func (a *asked) sampled(t *testing.T) func(float64, string) bool {
	in := map[float64]map[string]bool{}
	return func(factor float64, id string) bool {
		if in[factor] == nil {
			in[factor] = map[string]bool{}
			answer, refused := a.ask(t, "2024-06-01T00:00:00Z", map[string]any{"kind": "TrendsQuery", "samplingFactor": factor,
				"series":          []any{map[string]any{"kind": "EventsNode", "event": nil}},
				"dateRange":       map[string]any{"date_from": "2020-01-01", "date_to": "2030-01-01"},
				"trendsFilter":    map[string]any{"display": "ActionsTable"},
				"breakdownFilter": map[string]any{"breakdown_type": "event_metadata", "breakdown": "distinct_id", "breakdown_limit": 1000}})
			if refused != "" {
				t.Fatal(refused)
			}
			for _, r := range answer["results"].([]any) {
				in[factor][r.(map[string]any)["breakdown_value"].(string)] = true
			}
			for other := range in {
				less, more := min(other, factor), max(other, factor)
				for id := range in[less] {
					if !in[more][id] {
						t.Errorf("the sample %v has %s, and %v does not", less, id, more)
					}
				}
			}
		}
		return in[factor][id]
	}
}

func (a *asked) importLines(t *testing.T, lines []string) {
	t.Helper()
	if len(lines) == 0 {
		return
	}
	status, body := a.do(t, "POST", a.project+"import/", strings.Join(lines, "\n")+"\n", "Content-Type", "application/x-ndjson")
	if status != 200 {
		t.Fatalf("import = %d %s", status, body)
	}
}

func (a *asked) drop(t *testing.T) {
	t.Helper()
	if status, body := a.do(t, "DELETE", a.project, ""); status != 204 {
		t.Fatalf("delete = %d %s", status, body)
	}
}

func (a *asked) node() *cluster.Node { return a.backend.(nodeBackend).Node }

func (a *asked) flush(t *testing.T) {
	t.Helper()
	if err := a.node().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// disturb does something after which answers must be what the data say: mostly the same.
func (a *asked) disturb(t *testing.T, rng *rand.Rand, d *insighttest.Data) string {
	t.Helper()
	switch n := rng.IntN(40); {
	case n == 0:
		a.stop()
		a.start(t)
		return "a restart"
	case n < 8:
		a.flush(t)
		return "a flush"
	case n < 16:
		if err := a.node().MergeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		return "a compaction"
	case n < 36:
		line := d.Merge(rng)
		a.importLines(t, []string{line})
		return "a merge by " + line
	default:
		return "nothing"
	}
}

// ask gives the answer to a query, or what it was refused with.
func (a *asked) ask(t *testing.T, now string, query any) (answer map[string]any, refused string) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": query, "now": now})
	if err != nil {
		t.Fatal(err)
	}
	status, body := a.do(t, "POST", a.project+"query/", string(raw))
	switch {
	case status >= 400 && status < 500:
		return nil, body
	case status != 200:
		t.Errorf("query %s = %d %s", raw, status, body)
		return nil, body
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer, ""
}

// Random questions about random data have the answers a slow model gives, also after flushes,
// compactions, restarts and merges of persons, and so have the statements they are shown as.
func TestRandomInsights(t *testing.T) {
	pairs := insightPairs(t, 200)
	a := newAsked(t)
	tried, failed := 0, 0
	for seed := firstSeed(t); tried < pairs; seed++ {
		rng := rand.New(rand.NewPCG(seed, 7))
		d := insighttest.Random(rng)
		a.load(t, rng, d)
		var queries []map[string]any
		for range questionsPerProject {
			queries = append(queries, insighttest.RandomQuery(rng, d))
		}
		wrong := map[int]bool{}
		after := "the import"
		for turn := 2 + rng.IntN(2); turn > 0; turn-- {
			for i, q := range queries {
				if says := a.check(t, d, q); says != "" && !wrong[i] {
					t.Errorf("seed %d, question %d, after %s: %s", seed, i, after, says)
					wrong[i] = true
					failed++
				}
			}
			a.askSQL(t, seed, d, queries[rng.IntN(len(queries))])
			if turn > 1 {
				after += ", " + a.disturb(t, rng, d)
			}
		}
		tried += len(queries)
		a.drop(t)
		if failed > 20 {
			t.Fatal("enough of it")
		}
	}
}

// askSQL asks the node, and answers the same from what the printed statements give.
func (a *asked) askSQL(t *testing.T, seed uint64, d *insighttest.Data, q map[string]any) {
	t.Helper()
	raw, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	answer, refused := a.ask(t, d.Now, q)
	if refused != "" {
		return // it compiles to no SQL
	}
	failed := t.Failed()
	c := &insightCase{Now: d.Now, Query: raw}
	c.askSQL(t, a.running, a.id, answer["results"])
	if t.Failed() && !failed {
		t.Errorf("seed %d: %s at %s in %s", seed, raw, d.Now, d.Timezone)
	}
}

// check asks the node and the model, and says where they differ.
func (a *asked) check(t *testing.T, d *insighttest.Data, q map[string]any) string {
	t.Helper()
	want, err := insighttest.Answer(d, q)
	var beyond insighttest.Unsupported
	if errors.As(err, &beyond) {
		return ""
	}
	got, refused := a.ask(t, d.Now, q)
	raw, _ := json.Marshal(q)
	switch {
	case err != nil && refused == "":
		return fmt.Sprintf("%s at %s in %s was answered, want it refused: %v", raw, d.Now, d.Timezone, err)
	case err != nil:
		return ""
	case refused != "":
		return fmt.Sprintf("%s at %s in %s was refused: %s", raw, d.Now, d.Timezone, refused)
	}
	diffs := insighttest.Differences(q, want, got)
	if len(diffs) == 0 {
		return ""
	}
	return fmt.Sprintf("%s at %s in %s, weeks from %d:\n    %s", raw, d.Now, d.Timezone, d.WeekStart, strings.Join(diffs[:min(6, len(diffs))], "\n    "))
}

// Every number has its actors: of random cells of random answers they are listed. They are those
// of the model, and as many of them, or of their events, as the number says.
func TestRandomCells(t *testing.T) {
	pairs := insightPairs(t, 200)
	a := newAsked(t)
	tried, drawn, failed := 0, map[string]int{}, 0
	for seed := firstSeed(t); tried < pairs; seed++ {
		rng := rand.New(rand.NewPCG(seed, 8))
		d := insighttest.Random(rng)
		a.load(t, rng, d)
		for i := range questionsPerProject {
			tried++
			if rng.IntN(3) == 0 {
				a.disturb(t, rng, d)
			}
			q := insighttest.RandomQuery(rng, d)
			answer, refused := a.ask(t, d.Now, q)
			if refused != "" {
				continue
			}
			for range 3 {
				cell := insighttest.RandomCell(rng, q, answer)
				if cell == nil {
					continue
				}
				drawn[q["kind"].(string)]++
				if says := a.checkCell(t, d, cell); says != "" {
					t.Errorf("seed %d, question %d: %s", seed, i, says)
					failed++
					break
				}
			}
		}
		a.drop(t)
		if failed > 20 {
			t.Fatal("enough of it")
		}
	}
	t.Logf("cells drawn: %v", drawn)
	for _, kind := range []string{"TrendsQuery", "StickinessQuery", "LifecycleQuery", "FunnelsQuery", "RetentionQuery", "PathsQuery", "FunnelCorrelationQuery"} {
		if pairs >= 200 && drawn[kind]*40 < pairs {
			t.Errorf("%d cells of answers to a %s were drawn for %d questions, want more", drawn[kind], kind, pairs)
		}
	}
}

// checkCell lists the actors of a cell and says where they are not the number.
func (a *asked) checkCell(t *testing.T, d *insighttest.Data, cell *insighttest.Cell) string {
	t.Helper()
	raw, _ := json.Marshal(cell.Actors)
	answer, refused := a.ask(t, d.Now, map[string]any{"kind": "ActorsQuery", "source": cell.Actors, "select": cell.Select, "limit": 1000})
	if refused != "" {
		return fmt.Sprintf("the actors %s at %s in %s were refused: %s", raw, d.Now, d.Timezone, refused)
	}
	rows, _ := answer["results"].([]any)
	want, err := insighttest.Actors(d, cell.Actors)
	var beyond insighttest.Unsupported
	switch {
	case errors.As(err, &beyond):
		return ""
	case err != nil:
		return fmt.Sprintf("the actors %s at %s in %s were listed, want them refused: %v", raw, d.Now, d.Timezone, err)
	}
	if says := insighttest.ListDifferences(d, want, rows); says != "" {
		return fmt.Sprintf("the actors %s at %s in %s: %s", raw, d.Now, d.Timezone, says)
	}
	if n, ok := cell.Counted(rows); ok && math.Abs(n-cell.Number) > 1e-9*max(1, cell.Number) {
		list, _ := json.Marshal(rows)
		return fmt.Sprintf("the actors %s at %s in %s make %v, want the number %v: %s", raw, d.Now, d.Timezone, n, cell.Number, list[:min(500, len(list))])
	}
	return ""
}
