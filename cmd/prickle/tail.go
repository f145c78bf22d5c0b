package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	tailEvery = 500 * time.Millisecond
	tailRows  = 1000 // of one look at most
)

func tailCommand(c *console) *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use: "tail", Short: "Live events", Args: noArgs,
		Long:    "Print the last events and those that come in, until Ctrl-C.",
		Example: "  prickle tail\n  prickle tail --event 'signed up' -n 0",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tail(cmd.Context(), cmd, c, o)
		},
	}
	cmd.Flags().StringVar(&o.event, "event", "", "only events with this `name`")
	cmd.Flags().StringVar(&o.person, "person", "", "only events of this distinct `id`")
	cmd.Flags().IntVarP(&o.last, "lines", "n", 10, "how many of the last events to begin with")
	cmd.Flags().StringVar(&o.project, "project", "prickle", "database `name` of the project")
	cmd.Flags().BoolVar(&o.once, "once", false, "print the last events and end")
	return cmd
}

type tailOptions struct {
	event, person, project string
	last                   int
	once                   bool
}

// tailEvent is one event as it is printed.
type tailEvent struct {
	Time       string          `json:"timestamp"`
	Event      string          `json:"event"`
	DistinctID string          `json:"distinct_id"`
	Properties json.RawMessage `json:"properties"`
	UUID       string          `json:"uuid"`
	created    string
}

// tail asks again and again for what came in since the last event it saw.
func tail(ctx context.Context, cmd *cobra.Command, c *console, o tailOptions) error {
	if o.last < 0 || o.last > tailRows {
		return usage("-n is between 0 and %d", tailRows)
	}
	r, err := needServer(ctx, cmd, c)
	if err != nil {
		return err
	}
	conn, err := r.connect(ctx, o.project)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to say
	// Live events are of the last day; the bound keeps a look from reading old segments.
	where := "timestamp > now() - interval '1 day'"
	var filters [][]byte
	for _, f := range []struct{ column, value string }{{"event", o.event}, {"distinct_id", o.person}} {
		if f.value != "" {
			filters = append(filters, []byte(f.value))
			where += fmt.Sprintf(" and %s = $%d", f.column, len(filters))
		}
	}
	ask := func(since string, order string, limit int) ([]tailEvent, error) {
		args, text := filters, where
		if since != "" {
			args = append(slices.Clone(filters), []byte(since))
			text += fmt.Sprintf(" and created_at >= $%d::timestamptz", len(args))
		}
		answer := conn.ExecParams(ctx, fmt.Sprintf("select timestamp, event, distinct_id, properties, uuid, created_at from events where %s order by created_at %s, timestamp %s, uuid %s limit %d",
			text, order, order, order, limit), args, nil, nil, nil).Read()
		if answer.Err != nil {
			return nil, answer.Err
		}
		out := make([]tailEvent, len(answer.Rows))
		for i, row := range answer.Rows {
			out[i] = tailEvent{string(row[0]), string(row[1]), string(row[2]), row[3], string(row[4]), string(row[5])}
		}
		return out, nil
	}
	since := ""
	seen := map[string]bool{} // of the events at exactly since
	show := func(events []tailEvent, quiet bool) error {
		for _, e := range events {
			if e.created != since {
				since = e.created
				clear(seen)
			}
			if seen[e.UUID] {
				continue
			}
			seen[e.UUID] = true
			if quiet {
				continue
			}
			if err := printTail(c, e); err != nil {
				return err
			}
		}
		return nil
	}
	if since, err = r.value(ctx, o.project, "select now()"); err != nil {
		return err
	}
	last, err := ask("", "desc", max(1, o.last))
	if err != nil {
		return err
	}
	slices.Reverse(last)
	if err := show(last, o.last == 0); err != nil || o.once {
		return err
	}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return silent(exitInterrupted)
		case <-tick.C:
		}
		for {
			more, err := ask(since, "asc", tailRows)
			if ctx.Err() != nil {
				return silent(exitInterrupted)
			}
			if err != nil {
				return err
			}
			before := len(seen)
			at := since
			if err := show(more, false); err != nil {
				return err
			}
			// A full look at one instant cannot move on; the rest of it is let go.
			if len(more) < tailRows || since == at && len(seen) == before {
				break
			}
		}
	}
}

// printTail prints an event: time, name, person, properties.
func printTail(c *console, e tailEvent) error {
	at, err := time.Parse("2006-01-02 15:04:05.999999-07", e.Time)
	if err != nil {
		at, err = time.Parse("2006-01-02 15:04:05.999999-07:00", e.Time)
	}
	if c.json {
		if err == nil {
			e.Time = at.UTC().Format(time.RFC3339Nano)
		}
		return printJSON(c.out, e)
	}
	clock := e.Time
	if err == nil {
		clock = at.Local().Format(time.TimeOnly)
	}
	if !c.outTTY {
		_, err := fmt.Fprintf(c.out, "%s\t%s\t%s\t%s\n", e.Time, tabSafe.Replace(e.Event), tabSafe.Replace(e.DistinctID), tabSafe.Replace(string(e.Properties)))
		return err
	}
	line := fmt.Sprintf("%s  %s  %s    %s", clock, padded(e.Event, 15), padded(e.DistinctID, 14), propertyText(e.Properties))
	_, err = fmt.Fprintln(c.out, fit(strings.TrimRight(line, " "), c.width))
	return err
}

// padded is a text in exactly so many columns.
func padded(s string, n int) string {
	s = fit(printable(s), n)
	return s + strings.Repeat(" ", max(0, n-columns(s)))
}

// propertyText is properties as key=value, those of the product before those of libraries.
func propertyText(raw []byte) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if x, y := strings.HasPrefix(a, "$"), strings.HasPrefix(b, "$"); x != y {
			return b2i(x) - b2i(y)
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, k := range keys {
		v := string(m[k])
		var text string
		if json.Unmarshal(m[k], &text) == nil {
			v = text
		}
		parts = append(parts, printable(k)+"="+printable(v))
	}
	return strings.Join(parts, "  ")
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
