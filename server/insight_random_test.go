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
	project string
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
	a.project = fmt.Sprintf("/api/projects/%d/", created.ID)
	lines := d.Lines()
	if cut := rng.IntN(4 * len(lines)); cut < len(lines) {
		a.importLines(t, lines[:cut])
		a.flush(t)
		lines = lines[cut:]
	}
	a.importLines(t, lines)
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
// compactions, restarts and merges of persons.
func TestRandomInsights(t *testing.T) {
	pairs := insightPairs(t, 300)
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
		for after := "the import"; after != ""; {
			for i, q := range queries {
				if says := a.check(t, d, q); says != "" && !wrong[i] {
					t.Errorf("seed %d, question %d, after %s: %s", seed, i, after, says)
					wrong[i] = true
					failed++
				}
			}
			if after != "the import" {
				break
			}
			after = a.disturb(t, rng, d)
		}
		tried += len(queries)
		a.drop(t)
		if failed > 20 {
			t.Fatal("enough of it")
		}
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

// Every number has its actors: of random cells of random answers they are listed, and there are
// as many of them, or of their events, as the number says.
func TestRandomCells(t *testing.T) {
	pairs := insightPairs(t, 300)
	a := newAsked(t)
	tried, drawn, failed := 0, map[string]int{}, 0
	for seed := firstSeed(t); tried < pairs; seed++ {
		rng := rand.New(rand.NewPCG(seed, 8))
		d := insighttest.Random(rng)
		a.load(t, rng, d)
		for i := range questionsPerProject {
			tried++
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
	for _, kind := range []string{"TrendsQuery", "StickinessQuery", "LifecycleQuery", "FunnelsQuery", "RetentionQuery", "PathsQuery"} {
		if drawn[kind]*20 < pairs {
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
	if n := cell.Counted(rows); math.Abs(n-cell.Number) > 1e-9*max(1, cell.Number) {
		list, _ := json.Marshal(rows)
		return fmt.Sprintf("the actors %s at %s in %s make %v, want the number %v: %s", raw, d.Now, d.Timezone, n, cell.Number, list[:min(500, len(list))])
	}
	return ""
}
