package metric

import (
	"fmt"
	"strings"
	"testing"
)

func written(t *testing.T, families ...family) string {
	t.Helper()
	var r Registry
	r.Add(families...)
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	c := NewCounter("prickle_a_total", "a", "who", "how")
	c.Add(2, "x", `say "hi"`)
	c.Add(1, "x", `say "hi"`)
	c.Add(1, "b", "n\nl")
	h := NewHistogram("prickle_h_seconds", "h", "kind", []float64{.5, 2})
	for _, v := range []float64{.5, 1, 9} {
		h.Observe(v, "sql")
	}
	got := written(t, c, h,
		NewHistogram("prickle_unused", "never observed", "", Seconds),
		NewCounts("prickle_c_seconds", "c", []float64{1}, func() ([]uint64, float64) { return []uint64{2, 1}, 4.5 }),
		NewValue("prickle_g", "gauge", "g", func() float64 { return 1.5 }),
		NewFunc("prickle_none", "gauge", "no value", func(func(string, float64)) {}))
	want := `# HELP prickle_a_total a
# TYPE prickle_a_total counter
prickle_a_total{who="b",how="n\nl"} 1
prickle_a_total{who="x",how="say \"hi\""} 3
# HELP prickle_h_seconds h
# TYPE prickle_h_seconds histogram
prickle_h_seconds_bucket{kind="sql",le="0.5"} 1
prickle_h_seconds_bucket{kind="sql",le="2"} 2
prickle_h_seconds_bucket{kind="sql",le="+Inf"} 3
prickle_h_seconds_sum{kind="sql"} 10.5
prickle_h_seconds_count{kind="sql"} 3
# HELP prickle_c_seconds c
# TYPE prickle_c_seconds histogram
prickle_c_seconds_bucket{le="1"} 2
prickle_c_seconds_bucket{le="+Inf"} 3
prickle_c_seconds_sum 4.5
prickle_c_seconds_count 3
# HELP prickle_g g
# TYPE prickle_g gauge
prickle_g 1.5
`
	if got != want {
		t.Errorf("Write:\n%s\nwant\n%s", got, want)
	}
}

// The busiest projects have lines of their own; what the others count is not lost.
func TestProjects(t *testing.T) {
	p := NewProjects("prickle_events_total", "events", "result")
	for id := range uint32(150) {
		p.Add(int64(id), id, "stored")
	}
	out := written(t, p)
	if n := strings.Count(out, "\nprickle_events_total{"); n != Shown+1 {
		t.Errorf("%d lines, want %d and one for the others", n, Shown)
	}
	for _, want := range []string{`{project="149",result="stored"} 149`, `{project="50",result="stored"} 50`,
		fmt.Sprintf(`{project="other",result="stored"} %d`, 49*50/2)} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, `project="49"`) {
		t.Error("project 49 is shown")
	}
}

func TestCounterBound(t *testing.T) {
	c := NewCounter("c", "c", "l")
	for i := range 2 * maxSets {
		c.Add(1, fmt.Sprint(i))
	}
	if out := written(t, c); !strings.Contains(out, fmt.Sprintf(`{l="other"} %d`, maxSets)) {
		t.Errorf("values beyond %d are not under other", maxSets)
	}
}
