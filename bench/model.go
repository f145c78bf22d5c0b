package bench

import (
	"fmt"
	"sort"
	"time"

	"github.com/prickledb/prickle/bench/gen"
)

// Model answers the questions from plain rows: sorted slices and loops, no index and no
// cleverness. It is what every other way to an answer is held against.
type Model struct {
	persons map[string]string // distinct id → representative, as merges left it
	rows    map[string][]modelRow
	answers map[int][]string // computed since the last change
}

type modelRow struct {
	ms      int64
	event   string
	country string
}

// NewModel reads a stream of events, merges included.
func NewModel(m *gen.Model) *Model {
	x := &Model{persons: map[string]string{}, rows: map[string][]modelRow{}, answers: map[int][]string{}}
	byID := map[string][]modelRow{}
	for e := range m.All() {
		byID[e.DistinctID] = append(byID[e.DistinctID], modelRow{e.UnixMilli, e.Name, e.Country})
		if e.AnonID != "" {
			x.Merge(e.AnonID, e.DistinctID)
		}
	}
	for id, rows := range byID {
		root := x.find(id)
		x.rows[root] = append(x.rows[root], rows...)
	}
	for _, rows := range x.rows {
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].ms < rows[j].ms })
	}
	return x
}

// Merge makes two distinct ids one person. It is for use before rows are read.
func (x *Model) Merge(a, b string) { x.persons[x.find(a)] = x.find(b) }

func (x *Model) find(id string) string {
	for x.persons[id] != "" && x.persons[id] != id {
		id = x.persons[id]
	}
	return id
}

// Unite merges persons after the rows were read.
func (x *Model) Unite(a, b string) {
	a, b = x.find(a), x.find(b)
	if a == b {
		return
	}
	x.persons[a] = b
	clear(x.answers)
	rows := append(x.rows[b], x.rows[a]...)
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].ms < rows[j].ms })
	x.rows[b] = rows
	delete(x.rows, a)
}

// Persons is how many persons have events.
func (x *Model) Persons() int { return len(x.rows) }

const dayMs = 24 * 3600 * 1000

// Answer is the rows of question i, as text.
func (x *Model) Answer(i int) []string {
	if x.answers[i] == nil {
		x.answers[i] = x.answer(i)
	}
	return x.answers[i]
}

func (x *Model) answer(i int) []string {
	switch i {
	case 0:
		return x.days(func(r modelRow, day int64) bool { return r.ms/dayMs == day }, false)
	case 1:
		return x.days(func(r modelRow, day int64) bool { return r.ms/dayMs == day }, true)
	case 2:
		return x.days(func(r modelRow, day int64) bool { return r.ms/dayMs <= day && r.ms/dayMs > day-7 }, true)
	case 3:
		return x.countries()
	case 4:
		return x.funnel("view", "$pageview", "signup", "signup")
	case 5:
		return x.funnel("product", "product_viewed", "cart", "added_to_cart", "purchase", "purchase")
	case 6:
		return x.funnel("view", "$pageview", "product", "product_viewed", "cart", "added_to_cart",
			"checkout", "checkout_started", "purchase", "purchase")
	}
	return x.retention(12)
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05+00") }

// days counts page views, or persons with one, for every day from the first to the last.
func (x *Model) days(counts func(modelRow, int64) bool, persons bool) []string {
	var out []string
	first, last := int64(1<<62), int64(0)
	for _, rows := range x.rows {
		for _, r := range rows {
			if r.event == "$pageview" {
				first, last = min(first, r.ms/dayMs), max(last, r.ms/dayMs)
			}
		}
	}
	for day := first; day <= last; day++ {
		n := 0
		for _, rows := range x.rows {
			for _, r := range rows {
				if r.event == "$pageview" && counts(r, day) {
					n++
					if persons {
						break
					}
				}
			}
		}
		out = append(out, fmt.Sprint(stamp(day*dayMs), " ", n))
	}
	return out
}

func (x *Model) countries() []string {
	who := map[string]map[string]bool{}
	for person, rows := range x.rows {
		for _, r := range rows {
			if r.event != "$pageview" {
				continue
			}
			if who[r.country] == nil {
				who[r.country] = map[string]bool{}
			}
			who[r.country][person] = true
		}
	}
	var names []string
	for c := range who {
		names = append(names, c)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := len(who[names[i]]), len(who[names[j]])
		return a > b || a == b && names[i] < names[j]
	})
	var out []string
	for _, c := range names {
		out = append(out, fmt.Sprint(c, " ", len(who[c])))
	}
	return out
}

// funnel takes names and events in turn. Every entry of every person is tried: each step
// takes the earliest row that is not before the last one, whatever the order of rows of
// equal time. All steps have different events, so no row is taken twice.
func (x *Model) funnel(steps ...string) []string {
	n := len(steps) / 2
	counts := make([]int, n)
	for _, rows := range x.rows {
		best := 0
		for e, entry := range rows {
			if entry.event != steps[1] {
				continue
			}
			reached, at := 1, e
			for reached < n {
				for at > 0 && rows[at-1].ms == rows[at].ms {
					at--
				}
				for at < len(rows) && rows[at].event != steps[2*reached+1] {
					at++
				}
				if at == len(rows) || rows[at].ms-entry.ms > 14*dayMs {
					break
				}
				reached++
			}
			best = max(best, reached)
		}
		for s := range best {
			counts[s]++
		}
	}
	var out []string
	for s := range n {
		out = append(out, fmt.Sprint(s+1, " ", steps[2*s], " ", counts[s]))
	}
	return out
}

// retention is weekly, by the first page view.
func (x *Model) retention(periods int64) []string {
	week := func(ms int64) int64 { return (ms/dayMs + 3) / 7 }
	size := map[int64]int{}
	back := map[int64]map[int64]int{}
	for _, rows := range x.rows {
		var views []int64
		for _, r := range rows {
			if r.event == "$pageview" {
				views = append(views, r.ms)
			}
		}
		if len(views) == 0 {
			continue
		}
		c := week(views[0])
		size[c]++
		if back[c] == nil {
			back[c] = map[int64]int{}
		}
		seen := map[int64]bool{}
		for _, ms := range views[1:] {
			seen[week(ms)-c] = true
		}
		for p := range seen {
			back[c][p]++
		}
	}
	var cohorts []int64
	for c := range size {
		cohorts = append(cohorts, c)
	}
	sort.Slice(cohorts, func(i, j int) bool { return cohorts[i] < cohorts[j] })
	var out []string
	for _, c := range cohorts {
		for p := range periods {
			out = append(out, fmt.Sprint(stamp((c*7-3)*dayMs), " ", p, " ", size[c], " ", back[c][p]))
		}
	}
	return out
}
