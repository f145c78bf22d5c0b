package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/server/session"
)

const (
	// topInterval is how often the screen is drawn again.
	topInterval = time.Second
	// topSlow is how many slow queries the screen has below those that run.
	topSlow = 10
)

func topCommand(c *console) *cobra.Command {
	var cancel uint64
	var slow bool
	cmd := &cobra.Command{
		Use: "top", Short: "What runs now and what was slow, and cancelling it", Args: noArgs,
		Long: "Show the queries that run now and the slowest of those that ended last, again every second on a terminal, or cancel one." +
			" There, the line  k 17  cancels query 17, and  q  ends the view. The table system.queries has the same for SQL.",
		Example: "  prickle top\n  prickle top --slow\n  prickle top --cancel 17",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			r, err := needServer(ctx, cmd, c)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("cancel") {
				if err := r.cancelQuery(ctx, cancel); err != nil {
					return err
				}
				return cancelled(c, cancel)
			}
			return top(ctx, r, c, slow)
		},
	}
	cmd.Flags().Uint64Var(&cancel, "cancel", 0, "end the query with this `number`")
	cmd.Flags().BoolVar(&slow, "slow", false, "show those that ended last, the slowest first")
	return cmd
}

// queryList is what the server tells of queries.
type queryList struct {
	Running []session.Query `json:"results"`
	Ended   []session.Query `json:"ended"`
}

// slowest is the queries that ended, those first that ran longest.
func (l *queryList) slowest() []session.Query {
	out := slices.Clone(l.Ended)
	slices.SortStableFunc(out, func(a, b session.Query) int { return cmp.Compare(b.RunMS, a.RunMS) })
	return out
}

// top prints what runs: once, or on a terminal until ctx ends.
func top(ctx context.Context, r *remote, c *console, slow bool) error {
	again := c.outTTY && !c.json && !c.quiet
	var orders <-chan string
	if again && c.inTTY {
		orders = typed(c.in)
	}
	said := ""
	for {
		list, err := r.queries(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		switch {
		case c.json:
			return printJSON(c.out, map[string]any{"queries": list.Running, "ended": list.slowest()})
		case again:
			fmt.Fprint(c.out, "\x1b[H\x1b[2J")
		}
		list.print(c.out, c.width, slow)
		if !again {
			return nil
		}
		if orders != nil {
			fmt.Fprintf(c.out, "\n%s\n%s", c.paint(styleDim, "k number: cancel one   q: end", c.outTTY), said)
		}
		select {
		case order, ok := <-orders:
			if order == "q" {
				return nil
			}
			if !ok {
				orders = nil
			}
			said = r.obey(ctx, order)
		case <-time.After(topInterval):
		case <-ctx.Done():
			return nil
		}
	}
}

// typed gives the lines of a terminal, until it ends.
func typed(in io.Reader) <-chan string {
	out := make(chan string)
	go func() { // it ends with the process, as the read does
		defer close(out)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			out <- strings.TrimSpace(scanner.Text())
		}
	}()
	return out
}

// obey does what a line says, and answers with one.
func (r *remote) obey(ctx context.Context, order string) string {
	if order == "" {
		return ""
	}
	number, ok := strings.CutPrefix(order, "k")
	id, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	if !ok || err != nil {
		return fmt.Sprintf("%q means nothing here\n", order)
	}
	if err := r.cancelQuery(ctx, id); err != nil {
		return err.Error() + "\n"
	}
	return fmt.Sprintf("query %d was cancelled\n", id)
}

// print prints the list; width 0 is for programs that cut columns.
func (l *queryList) print(w io.Writer, width int, slow bool) {
	if width == 0 {
		shown := l.Running
		if slow {
			shown = l.slowest()
		}
		for _, q := range shown {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%d\t%d\t%s\n", q.ID, q.Project, q.User, q.Kind, q.State, q.ElapsedMS, q.Rows, oneLine(q.Text))
		}
		return
	}
	if slow {
		printQueries(w, l.slowest(), width)
		return
	}
	waiting := 0
	for _, q := range l.Running {
		if q.State == session.StateWaiting {
			waiting++
		}
	}
	fmt.Fprint(w, plural(int64(len(l.Running)-waiting), "query runs", "queries run"))
	if waiting > 0 {
		fmt.Fprintf(w, ", %s", plural(int64(waiting), "waits for its place", "wait for their places"))
	}
	fmt.Fprint(w, "\n")
	if len(l.Running) > 0 {
		fmt.Fprint(w, "\n")
		printQueries(w, l.Running, width)
	}
	if ended := l.slowest(); len(ended) > 0 {
		fmt.Fprint(w, "\nThe slowest of those that ended last\n")
		printQueries(w, ended[:min(len(ended), topSlow)], width)
	}
}

// printQueries prints a table.
func printQueries(w io.Writer, queries []session.Query, width int) {
	const line = "%6s  %7s  %-10s  %-9s  %-8s  %8s  %8s  %8s  %14s  %4s  %8s  %s"
	fmt.Fprintln(w, fit(fmt.Sprintf(line, "number", "project", "user", "kind", "state", "waited", "ran", "cpu", "rows read", "", "memory", "query"), width))
	for _, q := range queries {
		share, state := "", q.State
		if q.TotalRows > 0 && q.Ended == nil {
			share = fmt.Sprintf("%d %%", min(100, q.Rows*100/q.TotalRows))
		}
		if q.Killed != "" {
			state = q.Killed
		}
		fmt.Fprintln(w, fit(fmt.Sprintf(line, strconv.FormatUint(q.ID, 10), strconv.Itoa(int(q.Project)), fit(q.User, 10), q.Kind, state,
			tookMS(q.WaitedMS), tookMS(q.RunMS), tookMS(q.CPUMS), grouped(q.Rows), share, size(float64(q.Memory)), oneLine(q.Text)), width))
	}
}

func tookMS(ms float64) string {
	if ms == 0 {
		return ""
	}
	return took(time.Duration(ms * float64(time.Millisecond)))
}

// oneLine puts a text on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (r *remote) queries(ctx context.Context) (*queryList, error) {
	raw, err := r.get(ctx, "/api/instance/queries/")
	if err != nil {
		return nil, err
	}
	var list queryList
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list of queries: %w", err)
	}
	return &list, nil
}

func (r *remote) cancelQuery(ctx context.Context, id uint64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, fmt.Sprintf("http://%s/api/instance/queries/%d/", r.host, id), nil)
	if err != nil {
		return err
	}
	_, err = r.do(req)
	return err
}

// cancelled says that a query was.
func cancelled(c *console, id uint64) error {
	switch {
	case c.json:
		return printJSON(c.out, map[string]any{"cancelled": id})
	case !c.quiet:
		fmt.Fprintf(c.out, "query %d was cancelled\n", id)
	}
	return nil
}
