package session_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/bench/tpch"
)

// TestTPCH asks the 22 questions of TPC-H over tables of a fiftieth of scale 1, and compares the
// answers, to the last digit, with what PostgreSQL 15 says of the same rows: testdata/tpch has
// their number, a checksum and the first ten. Most rules of the optimiser can be left out in turn.
func TestTPCH(t *testing.T) {
	scale := 0.02
	raw, err := os.ReadFile("testdata/tpch/answers")
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n\n")
	c := connectTo(t, serveStore(t))
	maker := tpch.New(scale)
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
	for _, without := range []string{"", "arrange_joins", "join_filters", "prune_columns", "imply_conditions", "top_n"} {
		if without != "" && testing.Short() {
			break
		}
		if _, err := c.Exec(t.Context(), "SET disabled_rules = '"+without+"'"); err != nil {
			t.Fatal(err)
		}
		for i, question := range tpch.Questions {
			rows, err := askText(t, c.PgConn(), question)
			if err != nil {
				t.Errorf("question %d: %v", i+1, err)
				continue
			}
			sum := fnv.New64a()
			sum.Write([]byte(strings.Join(rows, "\n")))
			got := fmt.Sprintf("question %d: %d rows, %016x\n%s", i+1, len(rows), sum.Sum64(), strings.Join(rows[:min(10, len(rows))], "\n"))
			if got != answers[i] {
				t.Errorf("without %q, %s\nwant %s", without, got, answers[i])
			}
		}
	}
}

// askText gives the rows of a query as texts, with a bar between columns.
func askText(t *testing.T, c *pgconn.PgConn, query string) ([]string, error) {
	results, err := c.Exec(t.Context(), query).ReadAll()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, row := range results[0].Rows {
		out = append(out, string(bytes.Join(row, []byte("|"))))
	}
	return out, nil
}
