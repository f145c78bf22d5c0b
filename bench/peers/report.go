package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is what one run measured.
type report struct {
	Commit   string            `json:"commit"`
	Time     time.Time         `json:"time"`
	Machine  string            `json:"machine"`
	Cores    int               `json:"cores"`
	Memory   int64             `json:"memory_bytes"`
	Versions map[string]string `json:"versions"`
	Runs     []*run            `json:"runs"`
}

// run is one suite on one number of threads.
type run struct {
	Suite   string           `json:"suite"`
	Title   string           `json:"title"`
	Rows    uint64           `json:"rows"`
	Threads int              `json:"threads"`
	Loads   []loaded         `json:"loads"`
	Results []*result        `json:"questions"`
	Scores  []score          `json:"families"`
	Memory  map[string]int64 `json:"peak_memory_bytes,omitempty"` // while questions are answered
}

// wrong counts the questions without a time.
func (r *report) wrong() (n int) {
	for _, run := range r.Runs {
		for _, q := range run.Results {
			if q.Wrong != "" {
				n++
			}
		}
	}
	return n
}

// write puts a report into a directory as report.md, report.json, and a picture for each suite
// and number of threads.
func (r *report) write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var text strings.Builder
	r.markdown(&text)
	errs := []error{os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "report.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "report.md"), []byte(text.String()), 0o644)}
	for _, run := range r.Runs {
		if len(run.Results) == 0 {
			continue
		}
		var picture strings.Builder
		run.svg(&picture)
		errs = append(errs, os.WriteFile(filepath.Join(dir, run.picture()), []byte(picture.String()), 0o644))
	}
	return errors.Join(errs...)
}

func (u *run) picture() string { return fmt.Sprintf("%s-%d.svg", u.Suite, u.Threads) }

func (r *report) markdown(w io.Writer) {
	fmt.Fprintf(w, "# prickle beside ClickHouse and DuckDB\n\nCommit %s, %s. %s, %d cores, %.0f GiB.", r.Commit, r.Time.UTC().Format("2006-01-02 15:04 MST"), r.Machine, r.Cores, float64(r.Memory)/(1<<30))
	for _, name := range []string{clickhouse, duckdb} {
		if v := r.Versions[name]; v != "" {
			fmt.Fprintf(w, " %s %s.", name, v)
		}
	}
	fmt.Fprintln(w, " Read the ratios rather than the milliseconds: all forms of a question ran in turn in one run (a b c a b c …).")
	if n := r.wrong(); n > 0 {
		fmt.Fprintf(w, "\n**%s WRONG, which is to say answered in different ways, without times.**\n", plural(n, "question"))
	}
	for _, u := range r.Runs {
		u.markdown(w)
	}
}

func (u *run) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n## %s; %s rows, %s\n", u.Title, grouped(u.Rows), plural(u.Threads, "thread"))
	u.loadTable(w)
	if len(u.Results) == 0 {
		return
	}
	if len(u.Scores) > 0 {
		fmt.Fprint(w, "\nTimes as fast as the best peer, geometric means:\n\n| family | questions | ratio | goal | stretch | | CPU ratio |\n|---|---|--:|--:|--:|---|--:|\n")
		for _, s := range u.Scores {
			verdict := reached(s.Ratio, s.Goal, s.Stretch)
			if len(s.Wrong) > 0 {
				verdict = "WRONG: " + strings.Join(s.Wrong, ", ")
			}
			questions := strings.Join(s.Questions, " ")
			if len(s.Questions) > 10 {
				questions = fmt.Sprintf("%d", len(s.Questions))
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", s.Name, questions, ratio(s.Ratio), ratio(s.Goal), ratio(s.Stretch), verdict, ratio(s.Work))
		}
	}
	u.questionTable(w)
	fmt.Fprintf(w, "\n![times](%s)\n", u.picture())
}

func (u *run) loadTable(w io.Writer) {
	if len(u.Loads) == 0 {
		return
	}
	fmt.Fprint(w, "\nRows are stored when they are durable and queries see them; what follows arranges them: the merges of prickle import, OPTIMIZE FINAL, CHECKPOINT.\n\n| | stored in | merged in | CPU | rows/s stored | merged | bytes/row | peak memory while loading | while answering |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, l := range u.Loads {
		fmt.Fprintf(w, "| %s | %.1f s | %.1f s | %.1f s | %s | %s | %.1f | %s | %s |\n", l.Name, l.Seconds, l.Merged, l.CPU, grouped(uint64(l.Rate)), grouped(uint64(float64(u.Rows)/l.Merged)), l.Bytes, mebibytes(l.Memory), mebibytes(u.Memory[l.Name]))
	}
	for _, l := range u.Loads {
		switch {
		case l.Name == prickle && u.Suite == "product":
			verdict := "short"
			if l.Bytes <= stretchBytes {
				verdict = "stretch"
			} else if l.Bytes <= goalBytes {
				verdict = "goal"
			}
			fmt.Fprintf(w, "\nBytes per event: %.1f; goal %d, stretch %d: %s. Counted are segments, state and manifest, not the log and the uuids of two days.\n", l.Bytes, goalBytes, stretchBytes, verdict)
		case l.Name == prickle && u.Suite == "ingest":
			fmt.Fprintf(w, "\nImport of NDJSON: %s events/s till they are stored; goal %s, stretch %s: %s.\n", grouped(uint64(l.Rate)), grouped(goalImport), grouped(stretchImport), reached(l.Rate, goalImport, stretchImport))
		}
	}
}

// names are those that have times, in the order of reports.
func (u *run) names() []string {
	return slices.DeleteFunc(slices.Clone(peerOrder), func(name string) bool {
		return !slices.ContainsFunc(u.Results, func(r *result) bool { return r.Times[name] != nil })
	})
}

func (u *run) questionTable(w io.Writer) {
	names := u.names()
	cold, floor := false, false
	for _, r := range u.Results {
		cold = cold || r.Times[prickle] != nil && r.Times[prickle].Cold > 0
		floor = floor || u.Suite == "product" && u.Rows == floorEvents && floors[r.Name] > 0
	}
	fmt.Fprint(w, "\nMilliseconds, hot: median (lowest; quartiles). CPU is what all threads of a process work for a question, in the median; a busy machine hardly changes it.")
	if cold {
		fmt.Fprint(w, " Cold is the first run of a new process whose files have left memory.")
	}
	if floor {
		fmt.Fprint(w, " The floor was measured once, elsewhere: prototypes over decoded columns, 10 M events, 2 threads; it is no part of this run.")
	}
	fmt.Fprint(w, "\n\n| # | question |")
	rule := "|---|---|"
	for _, name := range names {
		fmt.Fprintf(w, " %s |", name)
		rule += "--:|"
	}
	fmt.Fprint(w, " best peer / prickle | CPU ms | least peer / prickle |")
	rule += "--:|--:|--:|"
	if cold {
		for _, name := range names {
			fmt.Fprintf(w, " %s cold |", name)
			rule += "--:|"
		}
	}
	if floor {
		fmt.Fprint(w, " floor | prickle / floor |")
		rule += "--:|--:|"
	}
	fmt.Fprintf(w, "\n%s\n", rule)
	for _, r := range u.Results {
		title := strings.ReplaceAll(r.Title, "|", `\|`)
		if r.Plain != "" {
			title += " ¹"
		}
		fmt.Fprintf(w, "| %s | %s |", r.Name, title)
		for _, name := range names {
			fmt.Fprintf(w, " %s |", r.cell(name))
		}
		fmt.Fprintf(w, " %s | %s | %s |", ratio(r.ratio(nil)), r.work(), ratio(r.workRatio(nil)))
		if cold {
			for _, name := range names {
				text := ""
				if t := r.Times[name]; t != nil && t.Cold > 0 {
					text = ms(t.Cold)
				}
				fmt.Fprintf(w, " %s |", text)
			}
		}
		if floor {
			if f, own := floors[r.Name], r.Times[prickle]; f > 0 && own != nil {
				fmt.Fprintf(w, " %s | %s |", ms(f), ratio(own.Median/f))
			} else {
				fmt.Fprint(w, " | |")
			}
		}
		fmt.Fprintln(w)
	}
	notes := false
	for _, r := range u.Results {
		if r.Wrong != "" {
			fmt.Fprintf(w, "\n- %s WRONG: %s\n", r.Name, r.Wrong)
		}
		notes = notes || r.Plain != ""
	}
	if notes {
		fmt.Fprint(w, "\n¹ prickle is asked in plain SQL:")
		for _, r := range u.Results {
			if r.Plain != "" {
				fmt.Fprintf(w, " %s (%s)", r.Name, r.Plain)
			}
		}
		fmt.Fprintln(w, ".")
	}
}

// cell is what a table says of a form. Who answered in another way than others has no time.
func (r *result) cell(name string) string {
	t := r.Times[name]
	switch {
	case r.Wrong != "":
		return "WRONG"
	case t == nil:
		return ""
	}
	return fmt.Sprintf("**%s** (%s; %s–%s)", ms(t.Median), ms(t.Min), ms(t.Q1), ms(t.Q3))
}

// work is the CPU time of prickle, in words.
func (r *result) work() string {
	if t := r.Times[prickle]; t != nil && t.CPU > 0 {
		return ms(t.CPU)
	}
	return ""
}

// colours of bars.
var colours = map[string]string{prickle: "#7a3fc1", clickhouse: "#e0a800", bitmaps: "#f2dc8d", duckdb: "#3d7ea6"}

// svg draws the medians as bars on a logarithmic scale.
func (u *run) svg(w io.Writer) {
	const left, width, top, bar, gap = 60, 700, 42, 10, 8
	least, most := math.Inf(1), 0.0
	height := top + 10
	for _, r := range u.Results {
		height += gap + bar*max(1, len(r.Times))
		for _, t := range r.Times {
			least, most = min(least, t.Median), max(most, t.Median)
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	// The scale begins well below the least, whose bar would be too short to see next to a power of ten.
	low, high := math.Floor(math.Log10(least/1.5)), math.Ceil(math.Log10(most))
	x := func(v float64) float64 { return left + (math.Log10(v)-low)/(high-low)*width }
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="10">`+"\n", left+width+70, height)
	fmt.Fprintf(w, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	for at := low; at <= high; at++ {
		v := math.Pow(10, at)
		fmt.Fprintf(w, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%g ms</text>`+"\n", x(v), x(v), top-6, height-10, x(v), top-10, v)
	}
	at := left
	for _, name := range u.names() {
		fmt.Fprintf(w, `<rect x="%d" y="4" width="8" height="8" fill="%s"/><text x="%d" y="12">%s</text>`+"\n", at, colours[name], at+11, name)
		at += 30 + 6*len(name)
	}
	fmt.Fprintf(w, `<text x="%d" y="12" text-anchor="end" fill="#666">medians; the scale is logarithmic</text>`+"\n", left+width)
	y := top
	for _, r := range u.Results {
		fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-5, y+bar, r.Name)
		if r.Wrong != "" {
			fmt.Fprintf(w, `<text x="%d" y="%d" fill="#c00">WRONG</text>`+"\n", left+3, y+bar)
			y += bar
		}
		for _, name := range peerOrder {
			t := r.Times[name]
			if t == nil {
				continue
			}
			fmt.Fprintf(w, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
				left, y, x(t.Median)-left, bar-1, colours[name], x(t.Median)+3, y+bar-2, ms(t.Median))
			y += bar
		}
		y += gap
	}
	fmt.Fprintln(w, "</svg>")
}

// ms is a number of milliseconds with as many digits as tell something.
func ms(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func ratio(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 10:
		return fmt.Sprintf("%.2g×", v)
	}
	return fmt.Sprintf("%.0f×", v)
}

func mebibytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// grouped puts commas between thousands.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
