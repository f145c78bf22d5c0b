package logictest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// windowRow is a row of a windowModel: a partition, an order key and a value, of which -1 is
// NULL, and the row's number.
type windowRow struct{ g, k, v, n int }

// windowModel is a window over random rows.
type windowModel struct {
	rows []windowRow
	unit string // ROWS, RANGE, GROUPS
	// from and to are offsets, negative ones before the current row; 99 is without a bound,
	// as is -99.
	from, to int
	exclude  string
	desc     bool
}

// before says whether a is before b in order.
func (m *windowModel) compare(a, b windowRow) int {
	switch {
	case a.k == b.k && m.unit == "ROWS":
		return a.n - b.n
	case a.k == b.k:
		return 0
	case a.k < 0 || b.k < 0: // NULL counts as the greatest
		if (a.k < 0) != m.desc {
			return 1
		}
		return -1
	case m.desc:
		return b.k - a.k
	}
	return a.k - b.k
}

// seen is the rows in the frame of row r, in order.
func (m *windowModel) seen(r windowRow) []windowRow {
	var part []windowRow
	for _, o := range m.rows {
		if o.g == r.g {
			part = append(part, o)
		}
	}
	slices.SortStableFunc(part, m.compare)
	group := func(x windowRow) int {
		n := 0
		for i, o := range part {
			if i > 0 && m.compare(part[i-1], o) != 0 {
				n++
			}
			if o == x {
				return n
			}
		}
		return -1
	}
	var out []windowRow
	for i, o := range part {
		at := slices.Index(part, r)
		var by int // from the current row to o
		switch m.unit {
		case "ROWS":
			by = i - at
		case "GROUPS":
			by = group(o) - group(r)
		default:
			switch {
			case o.k == r.k:
				by = 0
			default:
				if by = o.k - r.k; m.desc {
					by = -by
				}
			}
			if (o.k < 0) != (r.k < 0) {
				// Only the end of the partition reaches from NULL to others.
				by = 98
				if m.compare(o, r) < 0 {
					by = -98
				}
			}
		}
		from, to := m.from, m.to
		if m.unit == "RANGE" && r.k < 0 { // from NULL, an offset leads to its peers
			from, to = from/99*99, to/99*99
		}
		if by < from || by > to {
			continue
		}
		peers := m.compare(o, r) == 0
		switch m.exclude {
		case "CURRENT ROW":
			if o == r {
				continue
			}
		case "GROUP":
			if peers {
				continue
			}
		case "TIES":
			if peers && o != r {
				continue
			}
		}
		out = append(out, o)
	}
	return out
}

// TestWindowModel compares windows over random rows with a model that looks at every row.
func TestWindowModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	d := open(t, false)
	rounds := 150
	if testing.Short() {
		rounds = 40
	}
	for range rounds {
		m := &windowModel{unit: []string{"ROWS", "RANGE", "GROUPS"}[r.IntN(3)], desc: r.IntN(2) == 0,
			exclude: []string{"NO OTHERS", "CURRENT ROW", "GROUP", "TIES"}[r.IntN(4)]}
		cell := func(n int) int {
			if r.IntN(8) == 0 {
				return -1
			}
			return r.IntN(n)
		}
		var values []string
		word := func(n int) string {
			if n < 0 {
				return "NULL::int"
			}
			return fmt.Sprint(n)
		}
		groups := 1 + r.IntN(4)
		for i := range 1 + r.IntN(30) {
			row := windowRow{r.IntN(groups), cell(8), cell(50), i}
			m.rows = append(m.rows, row)
			values = append(values, fmt.Sprintf("(%d, %s, %s, %d)", row.g, word(row.k), word(row.v), row.n))
		}
		bound := func(n int) string {
			switch {
			case n == 99:
				return "UNBOUNDED FOLLOWING"
			case n == -99:
				return "UNBOUNDED PRECEDING"
			case n == 0:
				return "CURRENT ROW"
			case n < 0:
				return fmt.Sprint(-n, " PRECEDING")
			}
			return fmt.Sprint(n, " FOLLOWING")
		}
		m.from = []int{-99, -2, -1, 0, 1}[r.IntN(5)]
		m.to = []int{-1, 0, 1, 3, 99}[r.IntN(5)]
		if m.from > m.to {
			m.to = m.from + 1
		}
		order := "k"
		if m.desc {
			order += " DESC"
		}
		if m.unit == "ROWS" {
			order += ", n"
		}
		q := fmt.Sprintf(`SELECT n, count(v) OVER w, sum(v) OVER w, max(v) FILTER (WHERE v > 9) OVER w, first_value(v) OVER w, nth_value(v, 2) OVER w, last_value(v) IGNORE NULLS OVER w, array_agg(n) OVER w
			FROM (VALUES %s) t(g, k, v, n) WINDOW w AS (PARTITION BY g ORDER BY %s %s BETWEEN %s AND %s EXCLUDE %s) ORDER BY n`,
			strings.Join(values, ", "), order, m.unit, bound(m.from), bound(m.to), m.exclude)
		res, err := d.Run(t, q)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, q, err)
		}
		for i, row := range m.rows {
			null := func(n int, ok bool) string {
				if !ok || n < 0 {
					return "NULL"
				}
				return fmt.Sprint(n)
			}
			seen := m.seen(row)
			count, sum, most := 0, 0, -1
			last := -1
			var numbers []string
			for _, o := range seen {
				numbers = append(numbers, fmt.Sprint(o.n))
				if o.v >= 0 {
					count++
					sum += o.v
					last = o.v
				}
				if o.v > 9 {
					most = max(most, o.v)
				}
			}
			at := func(i int) string {
				if m.unit != "ROWS" { // peers come in any order
					return "any"
				}
				if i >= len(seen) {
					return "NULL"
				}
				return null(seen[i].v, true)
			}
			lastText := null(last, true)
			array := "{" + strings.Join(numbers, ",") + "}"
			if len(numbers) == 0 {
				array = "NULL"
			}
			if m.unit != "ROWS" {
				lastText, array = "any", fmt.Sprint(len(numbers))
			}
			want := []string{fmt.Sprint(i), fmt.Sprint(count), null(sum, count > 0), null(most, true), at(0), at(1), lastText, array}
			var got []string
			for c, v := range res.Rows[i] {
				s := "NULL"
				if v != nil {
					s = *v
				}
				if want[c] == "any" {
					s = "any"
				} else if c == 7 && m.unit != "ROWS" {
					s = fmt.Sprint(len(strings.FieldsFunc(strings.Replace(s, "NULL", "", 1), func(r rune) bool { return strings.ContainsRune("{},", r) })))
				}
				got = append(got, s)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s\nrow %d is %v, want %v", seed, q, i, got, want)
			}
		}
	}
}

// TestWideWindows has partitions that are larger than batches, and very many.
func TestWideWindows(t *testing.T) {
	d := generated(t, 20_000, true)
	for _, q := range [][2]string{
		{`SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY timestamp, uuid) AS n, count(*) OVER (ORDER BY timestamp, uuid) AS m FROM events) q WHERE n <> m`, "0"},
		{`SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY person_id ORDER BY timestamp, uuid) AS n, count(*) OVER (PARTITION BY person_id) AS m FROM events) q WHERE n = m`, ""},
	} {
		want := q[1]
		if want == "" {
			r, err := d.Run(t, `SELECT count(DISTINCT person_id) FROM events`)
			if err != nil {
				t.Fatal(err)
			}
			want = *r.Rows[0][0]
		}
		r, err := d.Run(t, q[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := *r.Rows[0][0]; got != want {
			t.Errorf("%s = %s, want %s", q[0], got, want)
		}
	}
}
