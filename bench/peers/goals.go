package main

// floors are what the machine allows for 10 million events on two threads, in milliseconds:
// prototypes over decoded columns in memory, without parsing, planning, open segments or merges of
// persons. They were measured once, on another day and a quieter machine than a report may be of, and
// are no part of any run.
var floors = map[string]float64{
	"T1": 1.3, "T2": 1.3, "T3": 3.4, "T4": 4.1, "T5": 4.8, "T6": 0.3, "T7": 1.4,
	"F1": 2.6, "F2": 2.4, "F3": 12.2, "F4": 3.0, "F5": 8.2, "F6": 13, "F7": 5.4, "F8": 3.4, "F9": 0.6,
	"R1": 3.6, "R2": 3.4, "R3": 2.2, "S1": 2.4, "L1": 3.8,
	"P1": 30, "C1": 0.5, "PF1": 0.9, "TP1": 8.9, "SD1": 5.6,
	"Q1": 10, "Q2": 10, "Q3": 0.5, "Q4": 28, "Q5": 18, "Q6": 1.1,
}

// floorEvents is how many events the floors are for.
const floorEvents = 10_000_000

// A family is questions with one goal: how many times as fast as the best peer, in the geometric mean.
type family struct {
	name      string
	suite     string
	questions []string // none: all of the suite
	goal      float64
	stretch   float64
	against   []string // peers; none: the best without bitmaps
}

var families = []family{
	{name: "trends", suite: "product", questions: []string{"T1", "T2", "T3", "T4", "T5", "T6", "T7"}, goal: 8, stretch: 20},
	{name: "ordered funnels", suite: "product", questions: []string{"F1", "F2", "F3"}, goal: 12, stretch: 25},
	{name: "filtered, breakdown, unordered, time-to-convert and exclusion funnels", suite: "product", questions: []string{"F4", "F5", "F7", "F8", "F9"}, goal: 8, stretch: 20},
	{name: "strict funnel", suite: "product", questions: []string{"F6"}, goal: 20, stretch: 50},
	{name: "retention, stickiness, lifecycle", suite: "product", questions: []string{"R1", "R2", "R3", "S1", "L1"}, goal: 8, stretch: 20},
	{name: "the same and trends against a bitmap table", suite: "product", questions: []string{"T2", "T3", "T4", "R1", "S1", "L1"}, goal: 3, stretch: 8, against: []string{bitmaps}},
	{name: "paths", suite: "product", questions: []string{"P1"}, goal: 10, stretch: 25},
	{name: "cohort, person filter, top pages, sessions", suite: "product", questions: []string{"C1", "PF1", "TP1", "SD1"}, goal: 8, stretch: 20},
	{name: "plain SQL", suite: "product", questions: []string{"Q1", "Q2", "Q3", "Q4", "Q5", "Q6"}, goal: 1.5, stretch: 3},
	{name: "page views", suite: "hits", goal: 1, stretch: 1.5},
	{name: "TPC-H against DuckDB", suite: "tpch", goal: 0.7, stretch: 1, against: []string{duckdb}},
}

// What is not a ratio: bytes for each event at most, and events a second at least.
const (
	goalBytes, stretchBytes   = 36, 28
	goalImport, stretchImport = 600_000, 1_000_000
)

// score is how a family did.
type score struct {
	Name      string   `json:"name"`
	Questions []string `json:"questions"`
	Ratio     float64  `json:"ratio"`     // geometric mean of time of the peer / time of prickle
	Work      float64  `json:"cpu_ratio"` // the same of the work of all threads
	Goal      float64  `json:"goal"`
	Stretch   float64  `json:"stretch"`
	Wrong     []string `json:"wrong,omitempty"` // questions without a time
}

// reached says which goal a number meets that is to be large.
func reached(x, goal, stretch float64) string {
	switch {
	case x >= stretch:
		return "stretch"
	case x >= goal:
		return "goal"
	}
	return "short"
}

// ratio is how many times as fast as the best peer prickle is; 0 if one of them has no time. The
// peers are those that are named, or all without bitmaps.
func (r *result) ratio(against []string) float64 {
	return r.ratioOf(against, func(t *timing) float64 { return t.Median })
}

// workRatio is how many times as much the peer that works least works.
func (r *result) workRatio(against []string) float64 {
	return r.ratioOf(against, func(t *timing) float64 { return t.CPU })
}

func (r *result) ratioOf(against []string, measure func(*timing) float64) float64 {
	own := r.Times[prickle]
	if len(against) == 0 {
		against = []string{clickhouse, duckdb}
	}
	best := 0.0
	for _, peer := range against {
		if t := r.Times[peer]; t != nil && (best == 0 || measure(t) < best) {
			best = measure(t)
		}
	}
	if own == nil || measure(own) == 0 {
		return 0
	}
	return best / measure(own)
}

// scores are those of the families that have questions among the results.
func scores(suite string, results []*result) (out []score) {
	for _, f := range families {
		if f.suite != suite {
			continue
		}
		s := score{Name: f.name, Goal: f.goal, Stretch: f.stretch}
		named := map[string]bool{}
		for _, q := range f.questions {
			named[q] = true
		}
		var ratios, works []float64
		for _, r := range results {
			if len(f.questions) > 0 && !named[r.Name] {
				continue
			}
			s.Questions = append(s.Questions, r.Name)
			if x := r.ratio(f.against); x > 0 {
				ratios = append(ratios, x)
				works = append(works, r.workRatio(f.against))
			} else {
				s.Wrong = append(s.Wrong, r.Name)
			}
		}
		if len(ratios) > 0 {
			s.Ratio, s.Work = geometric(ratios), geometric(works)
		}
		if len(s.Questions) > 0 {
			out = append(out, s)
		}
	}
	return out
}
