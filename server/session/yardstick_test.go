package session_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/bench/hits"
	"github.com/prickledb/prickle/bench/tpch"
)

// answersOf reads what PostgreSQL 15 answered to the questions of a yardstick: for each the
// number of rows, a checksum, and the first of them.
func answersOf(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + "/answers")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n\n")
}

// answerLine is an answer in the words of these files.
func answerLine(question int, count int, rows []string, shown int) string {
	sum := fnv.New64a()
	sum.Write([]byte(strings.Join(rows, "\n")))
	lines := append([]string{fmt.Sprintf("question %d: %d rows, %016x", question, count, sum.Sum64())}, rows[:min(shown, len(rows))]...)
	return strings.Join(lines, "\n")
}

// TestTPCH asks the 22 questions of TPC-H over tables of a fiftieth of scale 1, and compares the
// answers, to the last digit, with what PostgreSQL 15 says of the same rows. Some rules of the
// optimiser are left out in turn.
func TestTPCH(t *testing.T) {
	answers := answersOf(t, "tpch")
	c := connectTo(t, serveStore(t))
	maker := tpch.New(0.02)
	for i, name := range tpch.Tables {
		if _, err := c.Exec(t.Context(), tpch.Schema[i]); err != nil {
			t.Fatal(err)
		}
		var rows bytes.Buffer
		if err := maker.Write(&rows, name); err != nil {
			t.Fatal(err)
		}
		if _, err := c.PgConn().CopyFrom(t.Context(), &rows, "COPY "+name+" FROM STDIN"); err != nil {
			t.Fatalf("table %s: %v", name, err)
		}
	}
	for _, without := range []string{"", "arrange_joins", "narrow_groups", "join_filters", "prune_columns"} {
		if without != "" && testing.Short() {
			break
		}
		if _, err := c.Exec(t.Context(), "SET disabled_rules = '"+without+"'"); err != nil {
			t.Fatal(err)
		}
		for i, question := range tpch.Questions {
			rows, err := askText(t, c.PgConn(), question, nil)
			if err != nil {
				t.Errorf("question %d: %v", i+1, err)
				continue
			}
			if got := answerLine(i+1, len(rows), rows, 10); got != answers[i] {
				t.Errorf("without %q, %s\nwant %s", without, got, answers[i])
			}
		}
	}
}

// TestHits asks 43 questions over page views. Where ties leave a choice of rows, the columns
// are compared of which there is none.
func TestHits(t *testing.T) {
	const count = 30_000
	answers := answersOf(t, "hits")
	c := connectTo(t, serveStore(t))
	if _, err := c.Exec(t.Context(), hits.Schema()); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := hits.WriteParquet(t.Context(), &file, 0, count, count); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PgConn().CopyFrom(t.Context(), &file, "COPY hits FROM STDIN (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	for _, without := range []string{"", "read_late", "dependent_keys"} {
		if without != "" && testing.Short() {
			break
		}
		if _, err := c.Exec(t.Context(), "SET disabled_rules = '"+without+"'"); err != nil {
			t.Fatal(err)
		}
		for i, q := range hits.Questions {
			columns := q.Compare
			if columns == nil && !q.Exact {
				columns = []int{}
			}
			rows, err := askText(t, c.PgConn(), q.SQL, columns)
			if err != nil {
				t.Errorf("question %d: %v", i, err)
				continue
			}
			shown := 3
			if len(columns) == 0 && !q.Exact {
				shown = 0
			}
			if got := answerLine(i, len(rows), rows, shown); got != answers[i] {
				t.Errorf("without %q, %s\nwant %s", without, got, answers[i])
			}
		}
	}
}

// askText gives the rows of a query as texts, with a bar between columns: those that are named,
// or all of them if columns is nil.
func askText(t *testing.T, c *pgconn.PgConn, query string, columns []int) ([]string, error) {
	results, err := c.Exec(t.Context(), query).ReadAll()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, row := range results[0].Rows {
		if columns != nil {
			var some [][]byte
			for _, i := range columns {
				some = append(some, row[i])
			}
			row = some
		}
		out = append(out, string(bytes.Join(row, []byte("|"))))
	}
	return out, nil
}
