package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// console is where a command reads and writes, and what it may do there. Tests make their
// own.
type console struct {
	in                io.Reader
	out, err          io.Writer
	outTTY, errTTY    bool
	inTTY             bool
	colour            bool // of out and err, where they are terminals
	width             int  // columns of the terminal; 0 where there is none
	env               func(string) string
	json, quiet, more bool
}

// ownConsole is the console of the process.
func ownConsole() *console {
	c := &console{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv,
		inTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		outTTY: term.IsTerminal(int(os.Stdout.Fd())),
		errTTY: term.IsTerminal(int(os.Stderr.Fd())),
	}
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			c.width = w
			break
		}
	}
	if c.width == 0 && (c.outTTY || c.errTTY) {
		c.width = 80
		if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
			c.width = n
		}
	}
	c.colour = wantsColour(c.env, c.outTTY || c.errTTY)
	return c
}

// wantsColour follows NO_COLOR, CLICOLOR_FORCE and TERM.
func wantsColour(env func(string) string, terminal bool) bool {
	switch {
	case env("NO_COLOR") != "":
		return false
	case env("CLICOLOR_FORCE") != "" && env("CLICOLOR_FORCE") != "0":
		return true
	default:
		return terminal && env("TERM") != "dumb"
	}
}

// moves says whether the terminal understands what repaints a line.
func (c *console) moves() bool { return c.errTTY && c.env("TERM") != "dumb" }

const (
	styleRed  = "31"
	styleDim  = "2"
	styleBold = "1"
)

// paint styles a text that goes to a terminal.
func (c *console) paint(style, s string, terminal bool) string {
	if !c.colour || !terminal && c.env("CLICOLOR_FORCE") == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}
