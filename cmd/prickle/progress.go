package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	progressAfter = 400 * time.Millisecond // what is over sooner needs no line
	repaintEvery  = 100 * time.Millisecond
	plainEvery    = 10 * time.Second // where the line cannot be repainted
	jsonEvery     = time.Second
	barWidth      = 25
	smoothing     = 5 * time.Second // of the rate, exponentially
)

// state is how far something is.
type state struct {
	rows, totalRows   int64 // totalRows 0: unknown
	bytes, totalBytes int64
}

// share is the part that is done, or -1 where the total is unknown.
func (s state) share() float64 {
	switch {
	case s.totalBytes > 0:
		return math.Min(1, float64(s.bytes)/float64(s.totalBytes))
	case s.totalRows > 0:
		return math.Min(1, float64(s.rows)/float64(s.totalRows))
	default:
		return -1
	}
}

// progress paints one line on the error console while something runs.
type progress struct {
	console *console
	name    string // before the percentage; may be empty
	verb    string // first word of plain lines
	read    func() state

	mu      sync.Mutex
	started time.Time
	last    time.Time // of the rates below
	before  state
	rowRate float64
	byRate  float64
	percent int
	painted bool
	frame   int
	stop    chan struct{}
	done    sync.WaitGroup
}

// watch starts the line. Its end is finish.
func watch(c *console, name, verb string, read func() state) *progress {
	p := &progress{console: c, name: name, verb: verb, read: read, started: time.Now(), stop: make(chan struct{})}
	p.last = p.started
	if c.quiet {
		return p
	}
	p.done.Go(p.run)
	return p
}

func (p *progress) run() {
	every := plainEvery
	switch {
	case p.console.json:
		every = jsonEvery
	case p.console.moves():
		every = repaintEvery
		select {
		case <-p.stop:
			return
		case <-time.After(progressAfter):
			p.step(time.Now())
		}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.step(now)
		}
	}
}

// step reads how far it is, and shows it.
func (p *progress) step(now time.Time) {
	s := p.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(s, now)
	switch {
	case p.console.json:
		fmt.Fprintln(p.console.err, p.object(s))
	case p.console.moves():
		p.painted = true
		p.frame++
		// Return, clear to the end: the line never wraps, because it is cut.
		fmt.Fprintf(p.console.err, "\r\x1b[K%s", p.line(s))
	default:
		fmt.Fprintln(p.console.err, p.plain(s))
	}
}

// advance smooths the rates.
func (p *progress) advance(s state, now time.Time) {
	dt := now.Sub(p.last)
	if dt <= 0 {
		return
	}
	weight := 1 - math.Exp(-dt.Seconds()/smoothing.Seconds())
	if p.before == (state{}) {
		weight, dt = 1, now.Sub(p.started)
	}
	p.rowRate += weight * (float64(s.rows-p.before.rows)/dt.Seconds() - p.rowRate)
	p.byRate += weight * (float64(s.bytes-p.before.bytes)/dt.Seconds() - p.byRate)
	p.before, p.last = s, now
	if share := s.share(); share >= 0 {
		p.percent = max(p.percent, int(share*100)) // never backwards
	}
}

// eta is how long it will take, or -1 where nobody knows.
func (p *progress) eta(s state) time.Duration {
	var rest, rate float64
	switch {
	case s.totalBytes > 0:
		rest, rate = float64(s.totalBytes-s.bytes), p.byRate
	case s.totalRows > 0:
		rest, rate = float64(s.totalRows-s.rows), p.rowRate
	}
	if rate <= 0 {
		return -1
	}
	return time.Duration(math.Min(math.Max(0, rest)/rate, 1e8) * float64(time.Second))
}

// line is the painted form, cut to the terminal from the right.
func (p *progress) line(s state) string {
	var parts []string
	if s.share() >= 0 {
		head := fmt.Sprintf("%2d %% %s", p.percent, bar(float64(p.percent)/100))
		if p.name != "" {
			head = p.name + "   " + head
		} else {
			head = "  " + head
		}
		if s.totalRows == 0 && s.rows == 0 { // files, not rows
			parts = append(parts, head+"  "+size(float64(s.bytes))+" of "+size(float64(s.totalBytes)), size(p.byRate)+"/s")
			if eta := p.eta(s); eta >= 0 {
				parts = append(parts, left(eta))
			}
			return cut(strings.Join(parts, "   "), p.console.width)
		}
		rows := amount(float64(s.rows)) + " rows"
		if s.totalRows > 0 && s.totalBytes == 0 {
			rows = amount(float64(s.rows)) + " of " + amount(float64(s.totalRows)) + " rows"
		}
		parts = append(parts, head+"  "+rows)
	} else {
		spinner := string([]rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[p.frame%10])
		parts = append(parts, strings.TrimLeft(p.name+"   "+spinner+"  "+amount(float64(s.rows))+" rows", " "))
	}
	parts = append(parts, amount(p.rowRate)+" rows/s")
	if s.totalBytes > 0 || s.share() < 0 && s.bytes > 0 {
		parts = append(parts, size(p.byRate)+"/s")
	}
	if eta := p.eta(s); s.share() >= 0 && eta >= 0 {
		parts = append(parts, left(eta))
	}
	return cut(strings.Join(parts, "   "), p.console.width)
}

// bar draws a share.
func bar(share float64) string {
	full := min(barWidth, int(share*barWidth))
	if full == barWidth {
		return strings.Repeat("━", barWidth)
	}
	return strings.Repeat("━", full) + "╺" + strings.Repeat("━", barWidth-full-1)
}

// cut shortens a line to so many columns; 0 leaves it.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:width]), " ")
}

// plain is the form for a log.
func (p *progress) plain(s state) string {
	if s.rows == 0 && s.totalBytes > 0 { // files, not rows
		return fmt.Sprintf("%s %d bytes %d%% %.0f/s", p.verb, s.bytes, p.percent, p.byRate)
	}
	text := fmt.Sprintf("%s %d rows", p.verb, s.rows)
	if s.share() >= 0 {
		text += fmt.Sprintf(" %d%%", p.percent)
	}
	return fmt.Sprintf("%s %.0f/s", text, p.rowRate)
}

// object is the form for a program.
func (p *progress) object(s state) string {
	o := struct {
		Type      string `json:"type"`
		Rows      int64  `json:"rows"`
		TotalRows int64  `json:"total_rows,omitempty"`
		Bytes     int64  `json:"bytes"`
		Total     int64  `json:"total_bytes,omitempty"`
		ETA       *int64 `json:"eta_s,omitempty"`
	}{"progress", s.rows, s.totalRows, s.bytes, s.totalBytes, nil}
	if eta := p.eta(s); eta >= 0 {
		seconds := int64(eta.Seconds())
		o.ETA = &seconds
	}
	raw, _ := json.Marshal(o) // numbers always marshal
	return string(raw)
}

// finish takes the line away and says how long it was.
func (p *progress) finish() time.Duration {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.painted {
		fmt.Fprint(p.console.err, "\r\x1b[K")
		p.painted = false
	}
	return time.Since(p.started)
}
