package logictest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// Result is what one statement gave. A nil value is NULL.
type Result struct {
	Columns []string
	Rows    [][]*string
	Tag     string
}

// Database runs statements in one session. Run may be given several statements, and
// answers for the last.
type Database interface {
	Run(t *testing.T, sql string) (*Result, error)
}

// Loader is a Database that takes events in the words of these files: each line is a
// distinct id, an event, a time and, perhaps, an object of properties.
type Loader interface {
	Load(t *testing.T, lines string) error
}

// Run runs the files below dir, each against a database of its own.
func Run(t *testing.T, dir string, open func(t *testing.T) Database) {
	datadriven.Walk(t, dir, func(t *testing.T, path string) {
		db := open(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return Case(t, db, d)
		})
	})
}

// Case runs one case and gives what belongs below its dashes.
func Case(t *testing.T, db Database, d *datadriven.TestData) string {
	if d.Cmd == "events" {
		loader, ok := db.(Loader)
		if !ok {
			d.Fatalf(t, "this database takes no events")
		}
		if err := loader.Load(t, d.Input); err != nil {
			return ErrorText(err)
		}
		return ""
	}
	r, err := db.Run(t, d.Input)
	if err != nil {
		return ErrorText(err)
	}
	switch {
	case d.Cmd == "exec":
		return r.Tag + "\n"
	case d.Cmd == "error" || d.Cmd == "query" && d.HasArg("error"):
		return "no error, " + r.Tag + "\n"
	case d.Cmd != "query":
		d.Fatalf(t, "unknown word %q: want events, exec, query or error", d.Cmd)
	}
	var lines []string
	for _, row := range r.Rows {
		words := make([]string, len(row))
		for i, v := range row {
			switch {
			case v == nil:
				words[i] = "NULL"
			case *v == "":
				words[i] = "''"
			default:
				words[i] = strings.ReplaceAll(*v, "\n", `\n`)
			}
		}
		lines = append(lines, strings.Join(words, "  "))
	}
	if d.HasArg("sorted") {
		slices.Sort(lines)
	}
	if d.HasArg("columns") {
		lines = append([]string{strings.Join(r.Columns, "  ")}, lines...)
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// ErrorText is an error on one line: SQLSTATE, position, message, hint.
func ErrorText(err error) string {
	e := pgerr.From(err)
	text := e.Code
	if e.Position > 0 {
		text += fmt.Sprintf(" at %d", e.Position)
	}
	text += ": " + e.Message
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return text + "\n"
}

// Events reads the lines of an events case into b: id, event, time and perhaps an object,
// which object is given. The uuid of an event is its number, which counts on from *last.
func Events(b *event.Builder, lines string, last *uint64, object func(string) error) error {
	for line := range strings.Lines(lines) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(words) < 3 {
			return fmt.Errorf("line %q: want id, event, time and perhaps an object", line)
		}
		at, err := time.Parse(time.RFC3339, words[2])
		if err != nil {
			return err
		}
		var uuid vec.UUIDValue
		*last++
		binary.BigEndian.PutUint64(uuid[8:], *last)
		b.Begin(uuid, at.UnixMicro())
		b.SetDistinctID([]byte(words[0]))
		b.SetName([]byte(words[1]))
		if len(words) > 3 {
			if err := object(words[3]); err != nil {
				return err
			}
		}
		b.End()
	}
	return nil
}
