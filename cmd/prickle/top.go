package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/server/session"
)

// topInterval is how often the screen is drawn again.
const topInterval = time.Second

func topCommand(c *console) *cobra.Command {
	var cancel uint64
	cmd := &cobra.Command{
		Use: "top", Short: "What runs now, and cancelling it", Args: noArgs,
		Long:    "Show the queries that run now, again every second on a terminal, or cancel one.",
		Example: "  prickle top\n  prickle top --cancel 17",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			r, err := needServer(ctx, cmd, c)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("cancel") {
				return cancelQuery(ctx, r, c, cancel)
			}
			return top(ctx, r, c)
		},
	}
	cmd.Flags().Uint64Var(&cancel, "cancel", 0, "end the query with this `number`")
	return cmd
}

// top prints what runs: once, or on a terminal until ctx ends.
func top(ctx context.Context, r *remote, c *console) error {
	again := c.outTTY && !c.json && !c.quiet
	for {
		queries, err := r.queries(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		switch {
		case c.json:
			return printJSON(c.out, map[string]any{"queries": queries})
		case again:
			fmt.Fprint(c.out, "\x1b[H\x1b[2J")
		}
		printQueries(c.out, queries, c.width)
		if !again {
			return nil
		}
		select {
		case <-time.After(topInterval):
		case <-ctx.Done():
			return nil
		}
	}
}

// printQueries prints the list; width 0 is for programs that cut columns.
func printQueries(w io.Writer, queries []session.Query, width int) {
	if width == 0 {
		for _, q := range queries {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%d\t%d\t%s\n", q.ID, q.Project, q.User, q.Kind, q.State, q.ElapsedMS, q.Rows, oneLine(q.Text))
		}
		return
	}
	fmt.Fprintf(w, "%s\n\n", plural(int64(len(queries)), "query runs", "queries run"))
	if len(queries) == 0 {
		return
	}
	fmt.Fprintln(w, fit(fmt.Sprintf("%6s  %7s  %-9s  %-8s  %8s  %14s  %4s  %s", "number", "project", "kind", "state", "for", "rows read", "", "query"), width))
	for _, q := range queries {
		share := ""
		if q.TotalRows > 0 {
			share = fmt.Sprintf("%d %%", min(100, q.Rows*100/q.TotalRows))
		}
		fmt.Fprintln(w, fit(fmt.Sprintf("%6d  %7d  %-9s  %-8s  %8s  %14s  %4s  %s", q.ID, q.Project, q.Kind, q.State,
			took(time.Duration(q.ElapsedMS)*time.Millisecond), grouped(q.Rows), share, oneLine(q.Text)), width))
	}
}

// oneLine puts a text on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (r *remote) queries(ctx context.Context) ([]session.Query, error) {
	raw, err := r.get(ctx, "/api/instance/queries/")
	if err != nil {
		return nil, err
	}
	var list struct{ Results []session.Query }
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list of queries: %w", err)
	}
	return list.Results, nil
}

func cancelQuery(ctx context.Context, r *remote, c *console, id uint64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, fmt.Sprintf("http://%s/api/instance/queries/%d/", r.host, id), nil)
	if err != nil {
		return err
	}
	if _, err := r.do(req); err != nil {
		return err
	}
	switch {
	case c.json:
		return printJSON(c.out, map[string]any{"cancelled": id})
	case !c.quiet:
		fmt.Fprintf(c.out, "query %d was cancelled\n", id)
	}
	return nil
}
