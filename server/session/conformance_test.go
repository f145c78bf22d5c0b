package session_test

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/pgerr"
)

// conformanceRecord is a query and what PostgreSQL answers. Records of a group share a
// schema.
type conformanceRecord struct {
	Group string
	N     int
	Setup []string
	SQL   string `json:"sql"`
	Types string
	State string      `json:"sqlstate"`
	Rows  [][]*string `json:"expect_rows"`
	Lines []string    `json:"expect_lines"`
	Hash  *struct {
		Values int
		MD5    string
	} `json:"expect_hash"`
	Error any `json:"expect_error"`
	Sort  string
}

// conformanceLeast is how many records of a file are known to be answered as PostgreSQL
// answers them. It may only grow. sql/logictest/DIFFERENCES.md lists those that are not.
var conformanceLeast = map[string]int{
	"datafusion-core.jsonl": 428, "duckdb-core.jsonl": 1515, "glaredb-core.jsonl": 429,
	"risingwave-core.jsonl": 418, "sqlite-core.jsonl": 5212,
}

// TestConformance runs the records of PostgreSQL's behaviour: those that fail must be the ones that
// DIFFERENCES.md lists with the reason. PRICKLE_CONFORMANCE is where
// they are, and PRICKLE_CONFORMANCE_SHOW a word of the failures to print.
func TestConformance(t *testing.T) {
	dir := os.Getenv("PRICKLE_CONFORMANCE")
	if dir == "" {
		t.Skip("PRICKLE_CONFORMANCE is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "sql", "*-core.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	listed := listedDifferences(t)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			failed, asked := conformance(t, file)
			good := len(asked) - len(failed)
			t.Logf("%d of %d", good, len(asked))
			suite := strings.TrimSuffix(name, "-core.jsonl") + "/"
			for r := range listed {
				if strings.HasPrefix(r, suite) && failed[r] == "" && (asked[r] || !testing.Short()) {
					t.Errorf("%s is listed in DIFFERENCES.md, but is answered as it should be, or is not there", r)
				}
			}
			for r, why := range failed {
				if !listed[r] {
					t.Errorf("%s is not listed in DIFFERENCES.md: %s", r, why)
				}
			}
			if least := conformanceLeast[name]; good < least && !testing.Short() {
				t.Errorf("%d records are answered as they should be, want %d at least", good, least)
			}
		})
	}
}

// listedDifferences is the records that sql/logictest/DIFFERENCES.md lists, as suite/file number.
// It names them as "suite: file 1, 2; file 4 to 7. suite: …" in the first column of its tables.
func listedDifferences(t *testing.T) map[string]bool {
	text, err := os.ReadFile("../../sql/logictest/DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	suites := regexp.MustCompile(`(?:^|\. )(duckdb|risingwave|datafusion|glaredb|sqlite): `)
	out := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cell := strings.TrimSpace(strings.Split(line, "|")[1])
		at := suites.FindAllStringSubmatchIndex(cell, -1)
		for i, m := range at {
			suite, end := cell[m[2]:m[3]], len(cell)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			for item := range strings.SplitSeq(cell[m[1]:end], "; ") {
				file, numbers, _ := strings.Cut(item, " ")
				for part := range strings.SplitSeq(numbers, ", ") {
					from, to, several := strings.Cut(part, " to ")
					if !several {
						to = from
					}
					first, err1 := strconv.Atoi(from)
					last, err2 := strconv.Atoi(to)
					if err1 != nil || err2 != nil || first > last {
						t.Fatalf("DIFFERENCES.md: %q in %q names no records", part, line)
					}
					for n := first; n <= last; n++ {
						out[fmt.Sprintf("%s/%s %d", suite, file, n)] = true
					}
				}
			}
		}
	}
	return out
}

// shortGroups is of how many groups of records a short run asks one.
const shortGroups = 8

// conformance runs a file, and says what it asked, and what is wrong with the records that fail, by group and number.
func conformance(t *testing.T, file string) (failed map[string]string, asked map[string]bool) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 64<<20)
	var c *client
	group, groups := "", 0
	failed, asked = map[string]string{}, map[string]bool{}
	reasons := map[string]int{}
	for in.Scan() {
		var r conformanceRecord
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		fresh := groups == 0 || r.Group != group
		if fresh {
			groups++
		}
		group = r.Group
		if testing.Short() && groups%shortGroups != 1 {
			continue
		}
		if fresh {
			c = newTables(t).client("main")
			// Rows that nobody has put in order come as they are stored.
			if _, err := c.run("SET max_parallel_workers_per_gather = 1"); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range r.Setup {
			if _, err := c.run(s); err != nil {
				reasons["setup: "+err.Error()]++
			}
		}
		record := fmt.Sprintf("%s %d", r.Group, r.N)
		asked[record] = true
		why := r.check(c)
		if why == "" {
			continue
		}
		failed[record] = why
		reasons[why]++
		if show := os.Getenv("PRICKLE_CONFORMANCE_SHOW"); show != "" && strings.Contains(why+r.SQL, show) {
			t.Logf("%s: %s\n\t%s", record, why, r.SQL)
		}
	}
	var list []string
	for why, n := range reasons {
		list = append(list, fmt.Sprintf("%5d %s", n, why))
	}
	slices.Sort(list)
	slices.Reverse(list)
	for _, line := range list[:min(len(list), 40)] {
		t.Log(line)
	}
	return failed, asked
}

// check runs the query and says what is wrong with the answer.
func (r *conformanceRecord) check(c *client) string {
	got, err := c.run(r.SQL)
	if err != nil {
		var e *pgerr.Error
		if r.Error != nil && errors.As(err, &e) {
			if e.Code == r.State || r.State == "" {
				return ""
			}
			return fmt.Sprintf("error %s, want %s: %s", e.Code, r.State, e.Message)
		}
		return err.Error()
	}
	if r.Error != nil {
		return "no error, want " + r.State
	}
	if r.Hash == nil && r.Sort == "nosort" && !strings.Contains(strings.ToLower(r.SQL), "order by") {
		r.Sort = "rowsort" // nobody has said in which order the rows come
	}
	switch {
	case r.Hash != nil:
		values := r.values(got.Rows, r.hashed)
		h := md5.New()
		for _, v := range values {
			h.Write([]byte(v + "\n"))
		}
		if len(values) != r.Hash.Values || hex.EncodeToString(h.Sum(nil)) != r.Hash.MD5 {
			return "other rows, by their hash"
		}
		return ""
	case r.Lines != nil:
		var lines, want []string
		for _, row := range got.Rows {
			words := make([]string, len(row))
			for i, v := range row {
				if words[i] = shown(v); words[i] == "" {
					words[i] = "(empty)"
				}
			}
			lines = append(lines, strings.Join(words, " "))
		}
		for _, line := range r.Lines {
			if strings.Contains(line, "{") { // values with blanks in them cannot be told apart
				line = strings.ReplaceAll(line, `"`, "")
			}
			want = append(want, line)
		}
		if r.Sort != "nosort" {
			slices.Sort(lines)
			slices.Sort(want)
		}
		return differ(strings.Fields(strings.Join(lines, " ")), strings.Fields(strings.Join(want, " ")))
	}
	plain := func(v *string, _ int) string { return shown(v) }
	return differ(r.values(got.Rows, plain), r.values(r.Rows, plain))
}

// values is the values of rows, in the order that the record asks for.
func (r *conformanceRecord) values(rows [][]*string, text func(v *string, column int) string) []string {
	list := make([][]string, len(rows))
	for i, row := range rows {
		for k, v := range row {
			list[i] = append(list[i], text(v, k))
		}
	}
	if r.Sort == "rowsort" {
		slices.SortStableFunc(list, func(a, b []string) int {
			return strings.Compare(strings.Join(a, "\x00"), strings.Join(b, "\x00"))
		})
	}
	all := slices.Concat(list...)
	if r.Sort == "valuesort" {
		slices.Sort(all)
	}
	return all
}

// hashed is a value as it was written before hashing.
func (r *conformanceRecord) hashed(v *string, column int) string {
	if v == nil {
		return "NULL"
	}
	kind := byte('T')
	if column < len(r.Types) {
		kind = r.Types[column]
	}
	x, err := strconv.ParseFloat(*v, 64)
	switch {
	case kind == 'I' && err == nil:
		return strconv.FormatInt(int64(x), 10)
	case kind == 'I' && *v == "t":
		return "1"
	case kind == 'I' && *v == "f":
		return "0"
	case kind == 'R' && err == nil:
		return strconv.FormatFloat(x, 'f', 3, 64)
	case *v == "":
		return "(empty)"
	}
	return *v
}

func shown(v *string) string {
	if v == nil {
		return "NULL"
	}
	switch *v {
	case "t", "true", "True":
		return "true"
	case "f", "false", "False":
		return "false"
	case "Infinity":
		return "inf"
	case "-Infinity":
		return "-inf"
	case "NaN":
		return "nan"
	}
	s := *v
	if len(s) > 1 && (s[0] == '[' || s[0] == '{') {
		s = strings.NewReplacer("[", "{", "]", "}", ", ", ",", ": ", ":", "'", "", `"`, "").Replace(s)
	}
	return s
}

// differ says where two lists of values differ; empty if they do not.
func differ(got, want []string) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d values, want %d", len(got), len(want))
	}
	for i := range got {
		if g, w := shown(&got[i]), shown(&want[i]); !alike(g, w) {
			return fmt.Sprintf("value %q, want %q", g, w)
		}
	}
	return ""
}

// alike says whether two values are one, written in two ways.
func alike(got, want string) bool {
	if got == want || got == "true" && want == "1" || got == "false" && want == "0" {
		return true
	}
	g, err1 := strconv.ParseFloat(got, 64)
	w, err2 := strconv.ParseFloat(want, 64)
	if err1 != nil || err2 != nil {
		return strings.TrimSuffix(got, " 00:00:00") == strings.TrimSuffix(want, " 00:00:00") || strings.Replace(want, "T", " ", 1) == got
	}
	if g == w {
		return true
	}
	if !strings.ContainsAny(got+want, ".eE") {
		return false
	}
	digits := 0
	if _, after, ok := strings.Cut(want, "."); ok {
		digits = len(after)
	}
	return math.Abs(g-w) <= 1e-6*max(math.Abs(g), math.Abs(w)) || math.Abs(g-w) <= 0.51*math.Pow10(-digits)
}
