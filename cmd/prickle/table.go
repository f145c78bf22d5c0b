package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is rows of text under headings. Right columns are numbers; both
// may be missing.
type table struct {
	head  []string
	right []bool
	rows  [][]string
}

// print aligns the columns for people: two spaces before each line, three between columns.
func (t *table) print(w io.Writer, width int) {
	n := len(t.head)
	if n == 0 && len(t.rows) > 0 {
		n = len(t.rows[0])
	}
	widths := make([]int, n)
	for i, h := range t.head {
		widths[i] = columns(h)
	}
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	line := func(cells []string) {
		var b strings.Builder
		b.WriteString("  ")
		for i, cell := range cells {
			if i > 0 {
				b.WriteString("   ")
			}
			pad := strings.Repeat(" ", widths[i]-columns(cell))
			if i < len(t.right) && t.right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		fmt.Fprintln(w, fit(strings.TrimRight(b.String(), " "), width))
	}
	if len(t.head) > 0 {
		line(t.head)
	}
	for _, row := range t.rows {
		line(row)
	}
}

// fit shortens a line to the terminal, with a mark where something is missing.
func fit(s string, width int) string {
	if width <= 0 || columns(s) <= width {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns knows the wide scripts; combining marks take no room.
func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.Is(unicode.Mn, r), r == 0x200d:
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff,
		r >= 0x20000 && r <= 0x3fffd:
		return 2
	default:
		return 1
	}
}

// printable makes a value safe for a terminal: what would move its cursor is shown
// instead.
func printable(s string) string {
	safe := true
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || r >= 0x80 && r < 0xa0 {
			safe = false
			break
		}
	}
	if safe {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString("↵")
		case r == '\t':
			b.WriteString(" ")
		case r < ' ' || r == 0x7f || r == utf8.RuneError || r >= 0x80 && r < 0xa0:
			b.WriteString("·")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
