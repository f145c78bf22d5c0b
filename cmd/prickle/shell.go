package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/term"
)

const shellHelp = `  \d            tables and their columns        \dt   tables
  \d <table>    columns of one                  \x     a line for each column, or not
  \timing       times below answers, or not     \q     quit (also Ctrl-D)
  A statement ends with a semicolon and may have several lines. Ctrl-C drops it, or cancels the query that runs.
`

// shell reads statements from a terminal until it ends.
func shell(ctx context.Context, q *client) error {
	c := q.console
	stdin, ok := c.in.(*os.File)
	if !ok {
		return errors.New("the shell needs a terminal")
	}
	events := ""
	if n, err := q.remote.count(ctx, q.options.project, "select count(*) from events"); err == nil {
		events = " · " + plural(n, "event", "events")
	}
	fmt.Fprintf(c.out, "prickle %s · %s%s · \\? help, Ctrl-C cancels\n", version, q.remote.host, events)
	keys := &keyReader{in: stdin}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, c.out}, "prickle> ")
	history := openHistory(c.env)
	for _, line := range history.lines {
		t.History.Add(line)
	}
	if w, h, err := term.GetSize(int(stdin.Fd())); err == nil && w > 0 && h > 0 {
		t.SetSize(w, h) //nolint:errcheck // it only redraws
	}
	pending := ""
	for {
		state, err := term.MakeRaw(int(stdin.Fd()))
		if err != nil {
			return err
		}
		prompt := "prickle> "
		if pending != "" {
			prompt = "      -> "
		}
		t.SetPrompt(prompt)
		line, err := t.ReadLine()
		term.Restore(int(stdin.Fd()), state) //nolint:errcheck // nothing else can be done
		if keys.interrupted.Swap(false) {
			pending = ""
			continue
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			fmt.Fprintln(c.out)
			return nil
		}
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			return err
		}
		if pending == "" && strings.HasPrefix(strings.TrimSpace(line), `\`) {
			history.add(line)
			if q.meta(ctx, strings.TrimSpace(line)) {
				return nil
			}
			continue
		}
		if pending += line + "\n"; strings.TrimSpace(pending) == "" {
			pending = ""
			continue
		}
		if !complete(pending) {
			continue
		}
		history.add(strings.ReplaceAll(strings.TrimSpace(pending), "\n", " "))
		q.once(ctx, pending)
		pending = ""
		if q.conn.IsClosed() {
			if err := q.open(ctx); err != nil {
				return err
			}
		}
	}
}

// once runs statements that Ctrl-C cancels; the shell lives on.
func (q *client) once(ctx context.Context, text string) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	go func() {
		select {
		case <-interrupts:
			stop()
		case <-running.Done():
		}
	}()
	for _, one := range splitStatements(text) {
		if err := q.run(running, one); err != nil {
			asProblem(err).print(q.console)
			return
		}
		fmt.Fprintln(q.console.out)
	}
}

// meta carries out a line that begins with a backslash. It returns true for the end.
func (q *client) meta(ctx context.Context, line string) bool {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.Trim(strings.TrimSpace(rest), ";'\"")
	switch word {
	case `\q`:
		return true
	case `\?`, `\h`:
		fmt.Fprint(q.console.out, shellHelp)
	case `\x`:
		q.expanded = !q.expanded
		fmt.Fprintln(q.console.out, map[bool]string{true: "One line for each column.", false: "One line for each row."}[q.expanded])
	case `\timing`:
		q.silent = !q.silent
		fmt.Fprintln(q.console.out, map[bool]string{true: "Times are off.", false: "Times are on."}[q.silent])
	case `\d`, `\dt`:
		if word == `\dt` || rest == "" {
			fmt.Fprintln(q.console.out, "  events\n  persons\n  person_distinct_ids\n  groups")
			return false
		}
		q.describe(ctx, rest)
	default:
		fmt.Fprintf(q.console.out, "There is no %s here; \\? lists what there is.\n", word)
	}
	return false
}

// describe prints the columns of a table, as an empty answer has them.
func (q *client) describe(ctx context.Context, name string) {
	prepared, err := q.conn.Prepare(ctx, "", "select * from "+quoteName(name), nil)
	if err != nil {
		asProblem(q.word(err, "")).print(q.console)
		return
	}
	t := &table{}
	for _, f := range prepared.Fields {
		t.rows = append(t.rows, []string{f.Name, typeName(f.DataTypeOID)})
	}
	t.print(q.console.out, q.console.width)
}

var types = pgtype.NewMap()

// typeName is the name of a type, or its number.
func typeName(oid uint32) string {
	if t, ok := types.TypeForOID(oid); ok {
		return t.Name
	}
	return fmt.Sprint("type ", oid)
}

// quoteName makes any word a name.
func quoteName(s string) string {
	parts := strings.Split(s, ".")
	for i := range parts {
		parts[i] = `"` + strings.ReplaceAll(parts[i], `"`, `""`) + `"`
	}
	return strings.Join(parts, ".")
}

// keyReader turns Ctrl-C into the end of a line that is dropped: the terminal is raw, so
// no signal comes.
type keyReader struct {
	in          io.Reader
	interrupted atomic.Bool
}

func (k *keyReader) Read(p []byte) (int, error) {
	n, err := k.in.Read(p)
	for i := range n {
		if p[i] == 3 { // Ctrl-C
			k.interrupted.Store(true)
			p[i] = '\r'
			return i + 1, err
		}
	}
	return n, err
}

// history is the file with what was typed before.
type history struct {
	name  string
	lines []string
}

const (
	historyLines = 1000
	historyBytes = 4 << 20
)

func openHistory(env func(string) string) *history {
	h := &history{}
	dir := env("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return h
		}
		dir = filepath.Join(home, ".local", "state")
	}
	h.name = filepath.Join(dir, "prickle", "history")
	f, err := os.Open(h.name)
	if err != nil {
		return h
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(io.LimitReader(f, historyBytes))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		h.lines = append(h.lines, lines.Text())
	}
	h.lines = h.lines[max(0, len(h.lines)-historyLines):]
	return h
}

// add writes a line at the end. A history that cannot be written is not worth an error.
func (h *history) add(line string) {
	if h.name == "" || strings.TrimSpace(line) == "" {
		return
	}
	if os.MkdirAll(filepath.Dir(h.name), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(h.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	fmt.Fprintln(f, line)
	f.Close() //nolint:errcheck // as above
}
