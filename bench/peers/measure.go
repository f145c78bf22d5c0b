package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// timing is what a form takes, in milliseconds.
type timing struct {
	Median float64 `json:"median_ms"`
	Min    float64 `json:"min_ms"`
	Q1     float64 `json:"lower_quartile_ms"`
	Q3     float64 `json:"upper_quartile_ms"`
	Runs   int     `json:"runs"`
	// CPU is the median of what all threads of the process worked, in milliseconds; 0 where that is
	// unknown. Unlike the others it hardly depends on what else the machine does.
	CPU float64 `json:"cpu_ms,omitempty"`
	// Cold is the first run of a new process whose files are not in memory; 0 if it was not measured.
	Cold float64 `json:"cold_ms,omitempty"`
}

func timingOf(times, work []float64) *timing {
	slices.Sort(times)
	slices.Sort(work)
	return &timing{Median: quantile(times, .5), Min: times[0], Q1: quantile(times, .25), Q3: quantile(times, .75), Runs: len(times), CPU: quantile(work, .5)}
}

// quantile is one of sorted numbers, interpolated.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// slow is the time of a run beyond which a form is timed three times and no more.
const slow = 8 * time.Second

// result is what came of one question. Either Wrong says why there is no time, or there is one for
// every form.
type result struct {
	Name   string             `json:"name"`
	Title  string             `json:"title"`
	Plain  string             `json:"plain_sql,omitempty"`
	Wrong  string             `json:"wrong,omitempty"`
	Rows   int                `json:"rows"`
	Times  map[string]*timing `json:"times,omitempty"`
	answer answer
}

// measure asks every form of a question warm-up + reps times, in turn (a b c a b c …), so that a busy moment
// of the machine falls on all of them. All must answer alike, and every time as the first time.
func measure(ctx context.Context, q asked, engines map[string]database, warmup, reps int) (*result, error) {
	r := &result{Name: q.name, Title: q.title, Plain: q.plain}
	var order []string
	for _, name := range peerOrder {
		if _, ok := q.forms[name]; ok && engines[engineOf(name)] != nil {
			order = append(order, name)
		}
	}
	times, work := map[string][]float64{}, map[string][]float64{}
	for rep := range warmup + reps {
		for _, name := range order {
			if t := times[name]; len(t) >= 3 && t[0] > milliseconds(slow) {
				continue
			}
			e := engines[engineOf(name)]
			worked := cpuTime(e.pid())
			rows, took, err := e.ask(ctx, q.forms[name].sql)
			worked = cpuTime(e.pid()) - worked
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				return r.wrong(fmt.Sprintf("%s: %v", name, err)), nil
			}
			a := normalise(rows, q.compare)
			switch {
			case r.answer == nil:
				r.answer, r.Rows = a, len(a)
			default:
				if difference := r.answer.differs(a, order[0], name); difference != "" {
					return r.wrong(difference), nil
				}
			}
			if rep >= warmup {
				times[name] = append(times[name], milliseconds(took))
				work[name] = append(work[name], milliseconds(max(0, worked)))
			}
		}
	}
	r.Times = map[string]*timing{}
	for name, t := range times {
		r.Times[name] = timingOf(t, work[name])
	}
	return r, nil
}

// wrong takes the times away: a fast wrong answer is not a result.
func (r *result) wrong(why string) *result {
	r.Wrong, r.Times = why, nil
	return r
}

// measureCold asks every form once in a process of its own whose files have left memory.
func measureCold(ctx context.Context, p place, questions []asked, results []*result) error {
	for i, q := range questions {
		if results[i].Wrong != "" {
			continue
		}
		for _, name := range peerOrder {
			t := results[i].Times[name]
			if t == nil {
				continue
			}
			if err := forget(p.of(engineOf(name))); err != nil {
				return err
			}
			e, err := p.open(ctx, engineOf(name))
			if err != nil {
				return err
			}
			rows, took, err := e.ask(ctx, q.forms[name].sql)
			if closed := e.close(); err == nil {
				err = closed
			}
			if err != nil {
				return fmt.Errorf("%s: %s: %w", q.name, name, err)
			}
			if difference := results[i].answer.differs(normalise(rows, q.compare), "the hot run", name); difference != "" {
				results[i].wrong(difference)
				break
			}
			t.Cold = milliseconds(took)
		}
	}
	return nil
}

// forget has the system drop a directory's files from memory.
func forget(dir string) error {
	return filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // nothing was written
		_ = f.Sync()    // only clean pages can be dropped; some file systems refuse
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}

// peakMemory is the most memory that a process has held, in bytes; 0 where that is unknown.
func peakMemory(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64) // 0 is right where it is none
	return kib << 10
}

// cpuTime is what all threads of a process have worked, those that have ended too; 0 where that is unknown.
func cpuTime(pid int) time.Duration {
	const scheduled = 2 // which of the clocks of a process; its number is made of this and the process
	var t unix.Timespec
	if pid <= 0 || unix.ClockGettime(^int32(pid)<<3|scheduled, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// diskSize is the size of all files below a directory.
func diskSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// geometric is the geometric mean of positive numbers.
func geometric(numbers []float64) float64 {
	sum := 0.0
	for _, n := range numbers {
		sum += math.Log(n)
	}
	return math.Exp(sum / float64(len(numbers)))
}
