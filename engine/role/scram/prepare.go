package scram

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// prepare is SASLprep (RFC 4013), by which a password that is typed in two ways is one. What
// it forbids is taken as it is, as PostgreSQL does.
func prepare(password string) string {
	plain := true
	for i := 0; i < len(password) && plain; i++ {
		plain = password[i] >= ' ' && password[i] < 0x7f
	}
	if plain || !utf8.ValidString(password) {
		return password
	}
	out := norm.NFKC.String(strings.Map(func(r rune) rune {
		switch {
		case nothing(r):
			return -1
		case r != ' ' && (unicode.Is(unicode.Zs, r) || r == '\u200b'):
			return ' '
		}
		return r
	}, password))
	if out == "" || strings.ContainsFunc(out, forbidden) || !oneDirection(out) {
		return password
	}
	return out
}

// nothing are the characters that do not count: table B.1 of RFC 3454.
func nothing(r rune) bool {
	switch r {
	case 0xad, 0x34f, 0x1806, 0x180b, 0x180c, 0x180d, 0x200c, 0x200d, 0x2060, 0xfeff:
		return true
	}
	return r >= 0xfe00 && r <= 0xfe0f
}

// forbidden are controls, characters of private use and the like: tables C.2 to C.9.
func forbidden(r rune) bool {
	switch {
	case r == 0x340, r == 0x341, r >= 0x200e && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f,
		r >= 0x2ff0 && r <= 0x2ffb, r >= 0xfff9 && r <= 0xfffd, r >= 0xe0000 && r <= 0xe007f, r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef,
		r == 0x6dd, r == 0x70f, r == 0x180e, r >= 0x2028 && r <= 0x2029, r >= 0x2061 && r <= 0x2063:
		return true
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Co, r)
}

// oneDirection is the rule of RFC 3454 section 6: a text with characters that run from right
// to left begins and ends with one, and has none that run from left to right.
func oneDirection(s string) bool {
	right := func(r rune) bool {
		p, _ := bidi.LookupRune(r)
		return p.Class() == bidi.R || p.Class() == bidi.AL
	}
	if !strings.ContainsFunc(s, right) {
		return true
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	left := func(r rune) bool {
		p, _ := bidi.LookupRune(r)
		return p.Class() == bidi.L
	}
	return right(first) && right(last) && !strings.ContainsFunc(s, left)
}
