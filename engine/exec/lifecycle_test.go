package exec

import (
	"cmp"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/plan"
)

// TestLifecycleBreakdown holds LIFECYCLE with a breakdown against the same question about
// the rows of each value alone, which TestLifecycleModel vouches for.
func TestLifecycleBreakdown(t *testing.T) {
	for seed := range tries(500) {
		r := rand.New(rand.NewSource(seed))
		unit := []string{"hour", "day", "week"}[r.Intn(3)]
		days := map[string]int{"hour": 2, "day": 12, "week": 50}[unit]
		rows := randomHistory(r, time.UTC, 1, days)
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		if len(rows) > 0 {
			at = rows[r.Intn(len(rows))].at
		}
		from := at.AddDate(0, 0, -r.Intn(days)/2)
		to := from.Add(time.Duration(1+r.Intn(days*20)) * time.Hour)
		created, output := r.Intn(2) == 0, plan.Output(r.Intn(2))
		ask := func(rows []insightRow, by *plan.Breakdown) []string {
			src, cols := insightSource(rows, 1, func(a int) time.Time { return at.Add(time.Duration(a) * time.Hour) })
			src.Where, src.From, src.To = cols[3], timeConst(from.UnixMicro()), timeConst(to.UnixMicro())
			n := &plan.Lifecycle{Source: src, Every: unitIntervals[unit], Output: output}
			if created {
				n.Created = cols[2]
			}
			if by != nil {
				by.Exprs, by.Names = cols[:1], []string{"v"}
				n.Breakdown = by
			}
			op, err := newLifecycle(n, testEnv(0))
			if err != nil {
				t.Fatal(err)
			}
			return rowsOf(t, op)
		}
		by := &plan.Breakdown{}
		if r.Intn(3) > 0 {
			by.Top, by.WithOther = 1+r.Intn(3), r.Intn(2) == 0
		}
		got := ask(rows, by)
		want := lifecycleByValue(rows, by, output, func(rows []insightRow) []string { return ask(rows, nil) })
		if output == plan.OutputActors {
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: by %s, %s to %s, created %v, %+v\nrows %v\ngot  %q\nwant %q", seed, unit, from, to, created, by, rows, got, want)
		}
	}
}

// lifecycleByValue puts together what ask says of the rows of each value: the values with
// the most active actors first, and what is not among the first TOP as one.
func lifecycleByValue(rows []insightRow, by *plan.Breakdown, output plan.Output, ask func([]insightRow) []string) []string {
	type part struct {
		value string
		lines []string // bucket, status, and a count or an actor
		size  int
	}
	var parts []part
	for _, v := range []string{"", "x", "y", "z"} {
		var own []insightRow
		for _, row := range rows {
			if row.value == v {
				own = append(own, row)
			}
		}
		p := part{value: v, lines: ask(own)}
		present := 0 // who is only dormant counts as a value, but not for its rank
		for _, l := range p.lines {
			n := 1
			if output == plan.OutputDefault {
				fmt.Sscan(strings.Fields(l)[2], &n)
			}
			present += n
			if !strings.Contains(l, " dormant ") {
				p.size += n
			}
		}
		if present > 0 {
			parts = append(parts, p)
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.size, a.size) })
	var out, rest []string
	for i, p := range parts {
		if by.Top > 0 && i >= by.Top {
			rest = append(rest, p.lines...)
			continue
		}
		for _, l := range p.lines {
			if by.WithOther {
				l = "false " + l
			}
			out = append(out, p.value+" "+l)
		}
	}
	if !by.WithOther || rest == nil {
		return out
	}
	if output == plan.OutputActors {
		slices.Sort(rest)
		rest = slices.Compact(rest)
	} else {
		rest = addedUp(rest)
	}
	for _, l := range rest {
		out = append(out, "- true "+l)
	}
	return out
}

// addedUp makes lines that are equal but for the number at their end one, with the sum.
func addedUp(lines []string) []string {
	sums := map[string]int{}
	var order []string
	for _, l := range lines {
		words := strings.Fields(l)
		key, n := words[0]+" "+words[1]+" ", 0
		fmt.Sscan(words[2], &n)
		if _, ok := sums[key]; !ok {
			order = append(order, key)
		}
		sums[key] += n
	}
	for i, key := range order {
		order[i] = key + fmt.Sprint(sums[key], " ")
	}
	return order
}
