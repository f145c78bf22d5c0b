package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server"
	"github.com/prickledb/prickle/storage/segment"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1   // the thing asked for did not work
	exitUsage       = 2   // flag, command, setting
	exitUnreachable = 3   // no server
	exitForbidden   = 4   // account, key
	exitPartly      = 5   // rows skipped, some files failed
	exitDamaged     = 6   // data problem found
	exitFailStop    = 74  // going on could have lost data
	exitTimeout     = 124 // of a query
	exitInterrupted = 130
)

// problem is an error with its three parts: what happened, where, and what to do next.
type problem struct {
	Code  string // stable, for programs
	What  string
	Where []string
	Try   []string // lines that can be pasted
	Hint  string   // advice that is not a line to paste
	Exit  int
	// Bare is printed as it is: a mistyped command needs no heading.
	Bare bool
	Err  error // what is underneath, if anything
}

func (p *problem) Error() string { return p.What }

func (p *problem) Unwrap() error { return p.Err }

// silent is an exit code whose words are printed already.
type silent int

func (s silent) Error() string { return fmt.Sprintf("exit %d", int(s)) }

func usage(format string, args ...any) *problem {
	return &problem{Code: "usage", What: fmt.Sprintf(format, args...), Exit: exitUsage}
}

// print writes an error for a person: a heading, where, and the lines to try.
func (p *problem) print(c *console) {
	if p.Bare {
		fmt.Fprintln(c.err, p.What)
		return
	}
	fmt.Fprintf(c.err, "%s %s\n", c.paint(styleRed, "error:", c.errTTY), p.What)
	for _, line := range p.Where {
		fmt.Fprintf(c.err, "       %s\n", line)
	}
	label := "Try:   "
	for _, line := range p.Try {
		fmt.Fprintf(c.err, "%s%s\n", label, line)
		label = "       "
	}
	if p.Hint != "" {
		fmt.Fprintf(c.err, "Hint:  %s\n", p.Hint)
	}
}

// printJSON writes the same for a program.
func (p *problem) printJSON(w io.Writer) {
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
		Docs    string `json:"docs"`
	}
	hint := p.Hint
	if hint == "" {
		hint = strings.Join(p.Try, "\n")
	}
	raw, _ := json.Marshal(map[string]body{"error": {p.Code, p.What, hint, "/docs/errors#" + p.Code}}) // strings always marshal
	fmt.Fprintf(w, "%s\n", raw)
}

// report prints an error and gives the exit code.
func report(c *console, err error) int {
	if err == nil {
		return exitDone
	}
	var code silent
	if errors.As(err, &code) {
		return int(code)
	}
	p := asProblem(err)
	if c.json {
		p.printJSON(c.out)
	} else {
		p.print(c)
	}
	return p.Exit
}

// asProblem finds the words for any error.
func asProblem(err error) *problem {
	var (
		p       *problem
		port    *server.PortError
		pg      *pgconn.PgError
		own     *pgerr.Error
		corrupt *segment.CorruptError
		connect *pgconn.ConnectError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &port):
		return portProblem(port)
	case errors.As(err, &pg):
		return sqlProblem(pg, "")
	case errors.As(err, &own):
		return sqlProblem(&pgconn.PgError{Code: own.Code, Message: own.Message, Hint: own.Hint}, "")
	case errors.As(err, &corrupt):
		return &problem{Code: "data_damaged", What: corrupt.Error(), Exit: exitDamaged, Err: err,
			Hint: "Restore this file from a copy. What else is in the directory is not touched by it."}
	case errors.Is(err, context.Canceled):
		return &problem{Code: "interrupted", What: "interrupted", Exit: exitInterrupted, Err: err}
	case errors.As(err, &connect):
		return &problem{Code: "unreachable", What: "the server cannot be reached: " + lastLine(connect.Error()), Exit: exitUnreachable, Err: err,
			Try: []string{"prickle serve"}}
	default:
		return &problem{Code: "failed", What: err.Error(), Exit: exitFailed, Err: err}
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

func portProblem(e *server.PortError) *problem {
	p := &problem{Code: "port_in_use", What: e.Error(), Exit: exitFailed, Err: e}
	other := "prickle serve --listen :7750 --data ./other"
	if e.Data != "" {
		p.Where = []string{"It uses the data directory " + e.Data + "."}
	}
	if strings.HasPrefix(e.Command, "prickle") {
		p.Try = []string{fmt.Sprintf("%-25s (look at the one that runs)", "prickle status"), other}
	} else {
		p.Try = []string{other}
	}
	return p
}

var (
	noColumn  = regexp.MustCompile(`^column "?([^"]+)"? does not exist$`)
	noTable   = regexp.MustCompile(`^relation "([^"]+)" does not exist$`)
	oneTable  = regexp.MustCompile(`(?i)\bfrom\s+([a-z_][a-z0-9_.]*)`)
	perhaps   = regexp.MustCompile(`(?i)^perhaps you meant (?:to reference )?(?:the )?(?:column |event |table |function )?"?([^"]+?)"?\.?$`)
	noDB      = regexp.MustCompile(`^database "([^"]+)" does not exist$`)
	drawnWide = 200 // characters of a statement's line that are shown
)

// sqlProblem words what the server said of a statement, and draws the place.
func sqlProblem(e *pgconn.PgError, statement string) *problem {
	p := &problem{Code: "sql_" + strings.ToLower(e.Code), What: e.Message, Exit: exitFailed, Err: e}
	switch {
	case e.Code == pgerr.QueryCanceled && strings.Contains(e.Message, "timeout"):
		p.Code, p.Exit = "query_timeout", exitTimeout
	case e.Code == pgerr.QueryCanceled:
		p.Code, p.Exit = "cancelled", exitInterrupted
	case strings.HasPrefix(e.Code, "28"), e.Code == pgerr.InsufficientPrivilege:
		p.Code, p.Exit = "not_permitted", exitForbidden
	}
	if m := noColumn.FindStringSubmatch(e.Message); m != nil {
		p.Code, p.What = "unknown_column", fmt.Sprintf("there is no column %q", m[1])
		if tables := oneTable.FindAllStringSubmatch(statement, -1); len(tables) == 1 && !strings.Contains(m[1], ".") {
			p.What += " in " + tables[0][1]
		}
	} else if m := noTable.FindStringSubmatch(e.Message); m != nil {
		p.Code, p.What = "unknown_table", fmt.Sprintf("there is no table %q", m[1])
	} else if m := noDB.FindStringSubmatch(e.Message); m != nil {
		p.Code, p.What = "unknown_project", fmt.Sprintf("there is no project %q", m[1])
	}
	if e.Detail != "" {
		p.Where = append(p.Where, strings.Split(e.Detail, "\n")...)
	}
	if e.Position > 0 && statement != "" {
		p.Where = append(p.Where, pointAt(statement, int(e.Position))...)
	}
	if m := perhaps.FindStringSubmatch(e.Hint); m != nil {
		p.Try = []string{m[1]}
	} else {
		p.Hint = e.Hint
	}
	return p
}

// pointAt draws the line of a statement that holds its position-th character, counted
// from 1, and carets below the word there.
func pointAt(statement string, position int) []string {
	text := []rune(statement)
	at := min(position-1, len(text))
	lo, hi := at, at
	for lo > 0 && text[lo-1] != '\n' {
		lo--
	}
	for hi < len(text) && text[hi] != '\n' {
		hi++
	}
	end := wordEnd(text, at, hi)
	for end > at+1 && at-lo > drawnWide/2 { // a long line is shown around its place
		lo = at - drawnWide/2
	}
	if at-lo > drawnWide/2 {
		lo = at - drawnWide/2
	}
	if hi-lo > drawnWide {
		hi = max(lo+drawnWide, at)
	}
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, string(text[lo:hi]))
	return []string{clean, strings.Repeat(" ", at-lo) + strings.Repeat("^", max(1, min(end, hi)-at))}
}

// wordEnd is where the word, string or quoted name that starts at a place ends.
func wordEnd(text []rune, at, limit int) int {
	if at >= limit {
		return at + 1
	}
	if q := text[at]; q == '\'' || q == '"' {
		for i := at + 1; i < limit; i++ {
			if text[i] == q {
				return i + 1
			}
		}
		return limit
	}
	i := at
	for i < limit && (text[i] == '_' || text[i] == '.' || text[i] == '$' || text[i] >= '0' && text[i] <= '9' ||
		text[i] >= 'a' && text[i] <= 'z' || text[i] >= 'A' && text[i] <= 'Z' || text[i] > 127) {
		i++
	}
	return max(i, at+1)
}
