package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/bench/gen"
)

// The guard compares prickle with an earlier prickle. What it takes is counted in instructions,
// which a busy machine does not change, and in ratios of times of two servers that are asked in turn.

// guardOptions are what its flags say.
type guardOptions struct {
	base, head         string
	events             uint64
	questions          string
	instructions, time float64 // by what part more is too much
	reps               int
}

// counted is how often a question is asked while instructions are counted: what the server does
// besides differs by some hundred thousand from one run to the next, and is shared out by it.
const counted = 20

// change is what one thing takes in two commits. A number is 0 where it was not measured.
type change struct {
	name                  string
	instructions, seconds [2]float64 // base, head
}

// grown is by what part a measure is more than it was.
func grown(v [2]float64) float64 {
	if v[0] <= 0 || v[1] <= 0 {
		return 0
	}
	return v[1]/v[0] - 1
}

// slower says in which measures a change is over the thresholds.
func (c change) slower(o guardOptions) string {
	var out []string
	if grown(c.instructions) > o.instructions {
		out = append(out, "instructions")
	}
	if grown(c.seconds) > o.time {
		out = append(out, "time")
	}
	return strings.Join(out, ", ")
}

func guard(ctx context.Context, args []string) error {
	var o guardOptions
	f := flag.NewFlagSet("guard", flag.ExitOnError)
	f.StringVar(&o.base, "base", "HEAD~1", "the earlier `commit`")
	f.StringVar(&o.head, "head", "HEAD", "the later `commit`")
	f.Uint64Var(&o.events, "events", 50_000, "how `many` events are asked about")
	f.StringVar(&o.questions, "questions", "T1,T2,T3,T5,F2,F3,F5,F6,F8,R1,L1,P1,C1,TP1,SD1,Q1,Q2,Q3,Q4,Q5,Q6", "`which` questions, separated by commas")
	f.Float64Var(&o.instructions, "instructions", 0.05, "how many more instructions are too many, as a `part`")
	f.Float64Var(&o.time, "time", 0.3, "how much more time is too much, as a `part`")
	f.IntVar(&o.reps, "reps", 31, "how often each question is timed")
	f.Parse(args) //nolint:errcheck // it exits
	dir, err := os.MkdirTemp("", "prickle-guard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system cleans up as well
	count, err := counterOf(ctx)
	if err != nil {
		return err
	}
	changes, err := o.compare(ctx, dir, count)
	if err != nil {
		return err
	}
	if n := guardTable(os.Stdout, changes, o); n > 0 {
		return fmt.Errorf("%s over a threshold", plural(n, "measurement"))
	}
	return nil
}

// compare builds both commits, and has them import and answer.
func (o guardOptions) compare(ctx context.Context, dir string, count counter) ([]change, error) {
	var questions []asked
	for _, name := range strings.Split(o.questions, ",") {
		i := slices.IndexFunc(productQuestions, func(q asked) bool { return q.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no question %q", name)
		}
		questions = append(questions, productQuestions[i])
	}
	file := filepath.Join(dir, "events.ndjson")
	if err := writeFile(file, func(w io.Writer) error { return gen.WriteNDJSON(ctx, w, productConfig(o.events), nil) }); err != nil {
		return nil, err
	}
	var places [2]place
	for i, commit := range []string{o.base, o.head} {
		p := place{dir: filepath.Join(dir, []string{"base", "head"}[i]), threads: 1, memory: machineMemory() / 8}
		if err := p.build(ctx, commit); err != nil {
			return nil, err
		}
		say("%s imports", commit)
		if _, err := p.importFile(ctx, file); err != nil {
			return nil, err
		}
		places[i] = p
	}
	changes := make([]change, len(questions)+1)
	changes[0].name = "import"
	for i, p := range places {
		say("counting %s of %s", count.unit, []string{o.base, o.head}[i])
		if err := p.count(ctx, count, file, questions, changes, i); err != nil {
			return nil, err
		}
	}
	return changes, o.times(ctx, places, questions, changes[1:])
}

// build makes the binary of a commit, in a tree of its own.
func (p *place) build(ctx context.Context, commit string) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	tree := filepath.Join(p.dir, "tree")
	if err := command(ctx, "git", "worktree", "add", "--detach", "--force", tree, commit); err != nil {
		return err
	}
	defer command(context.WithoutCancel(ctx), "git", "worktree", "remove", "--force", tree) //nolint:errcheck // `git worktree prune` does it as well
	built, err := makeBuild(ctx, tree)
	if err != nil {
		return err
	}
	p.prickle = filepath.Join(p.dir, "prickle-built")
	return os.Rename(built, p.prickle)
}

// count counts the instructions of an import and of each question. A question's are those of a
// server that was asked it, without those of one that was not.
func (p place) count(ctx context.Context, c counter, file string, questions []asked, changes []change, which int) error {
	p.under = c
	fresh := p
	fresh.dir = filepath.Join(p.dir, "fresh")
	if _, err := fresh.importFile(ctx, file); err != nil {
		return err
	}
	n, err := c.read(fresh.of("counts"))
	if err != nil {
		return err
	}
	changes[0].instructions[which] = n
	idle, err := p.countServer(ctx, "SELECT 1")
	if err != nil {
		return err
	}
	for i, q := range questions {
		n, err := p.countServer(ctx, q.forms[prickle].sql)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		changes[i+1].name = q.name
		changes[i+1].instructions[which] = (n - idle) / counted
	}
	return nil
}

func (p place) countServer(ctx context.Context, sql string) (float64, error) {
	e, err := p.open(ctx, prickle)
	if err != nil {
		return 0, err
	}
	for range counted {
		if _, _, err := e.ask(ctx, sql); err != nil {
			e.close() //nolint:errcheck // err says what matters
			return 0, err
		}
	}
	if err := e.close(); err != nil {
		return 0, err
	}
	return p.under.read(p.of("counts"))
}

// times asks both servers in turn. The shortest time stands for each: what disturbs makes slower.
func (o guardOptions) times(ctx context.Context, places [2]place, questions []asked, changes []change) error {
	say("timing")
	var servers [2]database
	for i, p := range places {
		e, err := p.open(ctx, prickle)
		if err != nil {
			return err
		}
		defer e.close() //nolint:errcheck // its answers are there
		servers[i] = e
	}
	for i, q := range questions {
		var times [2][]float64
		for rep := range o.reps + 3 {
			for which, e := range servers {
				_, took, err := e.ask(ctx, q.forms[prickle].sql)
				if err != nil {
					return fmt.Errorf("%s: %w", q.name, err)
				}
				if rep >= 3 {
					times[which] = append(times[which], took.Seconds())
				}
			}
		}
		for which := range times {
			changes[i].seconds[which] = slices.Min(times[which])
		}
	}
	return nil
}

// guardTable prints what changed, and gives how many measurements are over a threshold.
func guardTable(w io.Writer, changes []change, o guardOptions) (over int) {
	fmt.Fprintf(w, "%-8s %15s %15s %8s   %10s %10s %7s\n", "", "instructions of", "and of", "", "ms of", "and of", "")
	fmt.Fprintf(w, "%-8s %15.15s %15.15s %8s   %10.10s %10.10s %7s\n", "", o.base, o.head, "change", o.base, o.head, "change")
	for _, c := range changes {
		fmt.Fprintf(w, "%-8s %15s %15s %+7.1f%%", c.name, grouped(uint64(max(0, c.instructions[0]))), grouped(uint64(max(0, c.instructions[1]))), 100*grown(c.instructions))
		if c.seconds[0] > 0 {
			fmt.Fprintf(w, "   %10.3f %10.3f %+6.0f%%", 1000*c.seconds[0], 1000*c.seconds[1], 100*grown(c.seconds))
		}
		if s := c.slower(o); s != "" {
			over++
			fmt.Fprintf(w, "  OVER: %s", s)
		}
		fmt.Fprintln(w)
	}
	return over
}

// A counter is a program that counts the instructions of another.
type counter struct {
	unit    string
	command []string // what comes before the counted command; FILE stands for where it writes
	parse   *regexp.Regexp
}

var (
	perf = counter{"instructions (perf)", []string{"perf", "stat", "-x", ",", "-e", "instructions:u", "-o", "FILE"}, regexp.MustCompile(`(?m)^(\d+),,instructions`)}
	// It is a processor without the widest registers, and so counts the portable kernels in their place.
	valgrind = counter{"instructions (valgrind)", []string{"valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--log-file=FILE"}, regexp.MustCompile(`I\s+refs:\s+([\d,]+)`)}
)

// counterOf gives the one that works on this machine.
func counterOf(ctx context.Context) (counter, error) {
	out, err := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-e", "instructions:u", "true").CombinedOutput()
	if _, bad := perf.number(string(out)); err == nil && bad == nil {
		return perf, nil
	}
	if _, err := exec.LookPath("valgrind"); err != nil {
		return counter{}, errors.New("neither perf nor valgrind counts instructions here; install valgrind, or allow perf with kernel.perf_event_paranoid = 2")
	}
	return valgrind, nil
}

// before is the command that counts another, and writes to a file.
func (c counter) before(file string) []string {
	out := slices.Clone(c.command)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "FILE", file)
	}
	return out
}

func (c counter) read(file string) (float64, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return c.number(string(raw))
}

// number takes the count out of what the program says.
func (c counter) number(text string) (float64, error) {
	m := c.parse.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no count of instructions in %q", text)
	}
	return strconv.ParseFloat(strings.ReplaceAll(m[1], ",", ""), 64)
}
