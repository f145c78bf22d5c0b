package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestFirstFiveMinutes types the first five minutes of a new user and compares what they
// see. Numbers are masked; where they stand next to each other is not.
func TestFirstFiveMinutes(t *testing.T) {
	p := newPlace(t)
	start := time.Now()
	screen, stop := p.serve("--demo", "--demo-events", "30000")
	info, ok := readInfo(p.dir)
	if !ok {
		t.Fatal("no server runs")
	}
	key := regexp.MustCompile(`phc_\w+`).FindString(screen.String())
	p.events("events-2026-10.ndjson", 5000)
	p.file("events-2026-10.ndjson.gz", gzipped(t, string(readFile(t, p.work+"/events-2026-10.ndjson"))))
	// A demo event may be younger than what comes in now, and others may share its
	// instant: what is looked at is the event that was just sent.
	datadriven.RunTest(t, "testdata/first-five-minutes", func(t *testing.T, d *datadriven.TestData) string {
		words := split(d.Input)
		for i := range words {
			words[i] = strings.NewReplacer("$KEY", key, "localhost:7742", info.Address, "$FILES", p.work).Replace(words[i])
		}
		switch d.Cmd {
		case "screen":
			return mask(screen.String(), p, info.Address)
		case "curl":
			resp, err := http.Post("http://"+words[3], "application/x-www-form-urlencoded", strings.NewReader(words[2]))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(body)) + "\n"
		case "psql":
			path, err := exec.LookPath("psql")
			if err != nil {
				t.Log("psql is not installed: its step is left out")
				return d.Expected
			}
			cmd := exec.Command(path, words[1:]...)
			cmd.Env = []string{"PGSSLMODE=disable", "LC_ALL=C"}
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Sprintf("%v\n%s", err, out)
			}
			return mask(string(out), p, info.Address)
		case "prickle":
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			a := p.runWith(ctx, "", !d.HasArg("piped"), words[1:]...)
			out := a.out + a.err
			if a.code != 0 {
				out += fmt.Sprintf("exit %d\n", a.code)
			}
			return mask(out, p, info.Address)
		}
		t.Fatalf("unknown directive %s", d.Cmd)
		return ""
	})
	if code := stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the five minutes took %v", took)
	}
}

// split cuts a command line at spaces outside of quotes.
func split(line string) []string {
	var out []string
	word, open, started := strings.Builder{}, rune(0), false
	for _, r := range strings.TrimSpace(line) {
		switch {
		case open != 0 && r == open:
			open = 0
		case open == 0 && (r == '\'' || r == '"'):
			open, started = r, true
		case open == 0 && (r == ' ' || r == '\n'):
			if started {
				out = append(out, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out
}

var (
	maskNumber = regexp.MustCompile(`\d[\d,]*(\.\d+)?`)
	maskUnit   = regexp.MustCompile(`# ?(ms|s|kB|MB|GB|TB|B|M|G)\b`)
	maskSpan   = regexp.MustCompile(` *#[dhm] +#[hms]| +#s\b`)
	maskSpaces = regexp.MustCompile(` *# *`)
	maskMargin = regexp.MustCompile(`healthy +http://`)
	maskBars   = regexp.MustCompile(` *█+`)
	maskRule   = regexp.MustCompile(`-{3,}`)
	maskBlanks = regexp.MustCompile(`(?m) +$`)
)

// mask takes out what differs from run to run: numbers with the spaces around them, keys,
// ports, directories.
func mask(s string, p *place, address string) string {
	port := address[strings.LastIndexByte(address, ':')+1:]
	s = strings.NewReplacer(p.dir, "./prickle-data", p.work+"/", "", ":"+port, ":PORT", " (low)", "", "127.0.0.1", "LOOPBACK", "prickle 0.1.0", "prickle VERSION").Replace(s)
	s = regexp.MustCompile(`phc_\w+`).ReplaceAllString(s, "phc_KEY")
	s = maskNumber.ReplaceAllString(s, "#")
	s = maskSpan.ReplaceAllString(s, " #")
	s = maskUnit.ReplaceAllString(s, "#")
	s = maskSpaces.ReplaceAllString(s, " # ")
	s = maskMargin.ReplaceAllString(s, "healthy   http://") // the gap is as wide as the uptime leaves it
	s = maskBars.ReplaceAllString(s, " ▇")
	s = maskRule.ReplaceAllString(s, "---")
	return maskBlanks.ReplaceAllString(s, "")
}
