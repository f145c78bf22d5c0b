package expr

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func splitText(s, sep string) []string {
	if sep == "" {
		return []string{s}
	}
	return strings.Split(s, sep)
}

// likePattern is a LIKE pattern, ready to match. Most are a text with % at its ends.
type likePattern struct {
	parts  []string // between the %: each matched as a whole, _ as wild
	first  bool     // no % at the beginning
	last   bool     // no % at the end
	wild   bool     // some part has a _
	source string
	escape rune
	fold   bool
}

// wildRune stands for _ in a part: it occurs in no valid text.
const wildRune = '\x00'

func parseLike(pattern string, escape rune, fold bool) (*likePattern, error) {
	p := &likePattern{source: pattern, escape: escape, fold: fold, first: true}
	if fold {
		pattern, escape = foldCase(pattern), foldRune(escape)
	}
	var part []byte
	open := true
	for i := 0; i < len(pattern); {
		r, n := utf8.DecodeRuneInString(pattern[i:])
		switch {
		case escape != 0 && r == escape:
			i += n
			if i >= len(pattern) {
				return nil, pgerr.New(pgerr.BadEscape, "LIKE pattern must not end with escape character")
			}
			_, m := utf8.DecodeRuneInString(pattern[i:])
			part = append(part, pattern[i:i+m]...)
			i += m
			open = true
			continue
		case r == '%':
			if i == 0 {
				p.first = false
			}
			if len(part) > 0 {
				p.parts = append(p.parts, string(part))
				part = part[:0]
			}
			open = false
			i += n
			continue
		case r == '_':
			part = append(part, wildRune)
			p.wild = true
		default:
			part = append(part, pattern[i:i+n]...)
		}
		open = true
		i += n
	}
	p.last = open
	if len(part) > 0 {
		p.parts = append(p.parts, string(part))
	}
	return p, nil
}

// anywhere is the text that the pattern looks for in any place, if it does nothing else.
func (p *likePattern) anywhere() (word string, ok bool) {
	if p.first || p.last || p.wild || p.fold || len(p.parts) != 1 {
		return "", false
	}
	return p.parts[0], true
}

// markContaining sets where texts contain a word, which is not empty. They are searched as one: what is found
// across two of them does not count.
func markContaining(dst []bool, texts *vec.Strings, word string) {
	offs := texts.Offs[:len(dst)+1]
	row := 0
	for at := int(offs[0]); ; {
		i := indexOf(texts.Bytes[at:offs[len(dst)]], word)
		if i < 0 {
			return
		}
		at += i
		for int(offs[row+1]) <= at {
			row++
		}
		if end := int(offs[row+1]); at+len(word) <= end {
			dst[row] = true
			at = end
		} else {
			at++
		}
	}
}

func (p *likePattern) match(s string) bool {
	if p.fold {
		s = foldCase(s)
	}
	if len(p.parts) == 0 {
		return !p.first || s == "" // only %, or nothing
	}
	parts := p.parts
	if p.first && p.last && len(parts) == 1 {
		n, ok := p.prefix(s, parts[0])
		return ok && n == len(s)
	}
	if p.first {
		n, ok := p.prefix(s, parts[0])
		if !ok {
			return false
		}
		s, parts = s[n:], parts[1:]
	}
	end := len(parts)
	if p.last && end > 0 {
		end--
	}
	for _, part := range parts[:end] {
		n, ok := p.find(s, part)
		if !ok {
			return false
		}
		s = s[n:]
	}
	if end < len(parts) {
		return p.suffix(s, parts[end])
	}
	return true
}

// prefix matches a part at the beginning and answers how many bytes it took.
func (p *likePattern) prefix(s, part string) (int, bool) {
	if !p.wild {
		return len(part), strings.HasPrefix(s, part)
	}
	i := 0
	for k := 0; k < len(part); k++ {
		if i >= len(s) {
			return 0, false
		}
		if part[k] == wildRune {
			_, n := utf8.DecodeRuneInString(s[i:])
			i += n
			continue
		}
		if s[i] != part[k] {
			return 0, false
		}
		i++
	}
	return i, true
}

// find matches a part at its first place and answers where it ends.
func (p *likePattern) find(s, part string) (int, bool) {
	if !p.wild {
		i := strings.Index(s, part)
		return i + len(part), i >= 0
	}
	for i := 0; i <= len(s); {
		if n, ok := p.prefix(s[i:], part); ok {
			return i + n, true
		}
		if i == len(s) {
			break
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
	}
	return 0, false
}

// suffix matches a part at the end.
func (p *likePattern) suffix(s, part string) bool {
	if !p.wild {
		return strings.HasSuffix(s, part)
	}
	i := len(s)
	for n := utf8.RuneCountInString(part); n > 0; n-- { // a wild rune is one byte, and one rune
		if i == 0 {
			return false
		}
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	n, ok := p.prefix(s[i:], part)
	return ok && i+n == len(s)
}

// memo keeps what a function made of its last pattern. Patterns are constants almost always; those
// that are not share memory with a batch, which what is kept may not.
type memo[T any] struct {
	last atomic.Pointer[memoEntry[T]]
}

type memoEntry[T any] struct {
	a, b  string
	value T
}

func (m *memo[T]) get(a, b string, build func(a, b string) (T, error)) (T, error) {
	if e := m.last.Load(); e != nil && e.a == a && e.b == b {
		return e.value, nil
	}
	a, b = strings.Clone(a), strings.Clone(b)
	value, err := build(a, b)
	if err == nil {
		m.last.Store(&memoEntry[T]{a, b, value})
	}
	return value, err
}

// textPattern is a regular expression, ready to match.
type textPattern struct {
	*regexp.Regexp
	quick *matcher // finds the same; nil if the expression is not one for it
	tail  string   // what a text must end with, or else nothing in it matches
	// detached: a match does not depend on what stands before it.
	detached bool
}

// find appends where the first match and its groups are to places: two numbers for each, -1 for groups that
// are not in it. It appends nothing if there is none.
func (p *textPattern) find(places []int, s string) []int {
	if p.quick == nil {
		return append(places, p.FindStringSubmatchIndex(s)...)
	}
	at, n := len(places), p.places()
	places = slices.Grow(places, n)[:at+n]
	found, known := p.quick.find(s, places[at:])
	switch {
	case found:
		return places
	case known:
		return places[:at]
	}
	return append(places[:at], p.FindStringSubmatchIndex(s)...)
}

// places is how many numbers find gives.
func (p *textPattern) places() int { return 2 + 2*p.NumSubexp() }

// matches says whether there is a match.
func (p *textPattern) matches(s string) bool {
	if !p.mayMatch(s) {
		return false
	}
	if p.quick == nil {
		return p.MatchString(s)
	}
	var few [fewPlaces]int
	return len(p.find(few[:0], s)) > 0
}

// fewPlaces is how many places a pattern has that has seven groups: more take memory of their own.
const fewPlaces = 16

// mayMatch is false only if nothing in s matches. It is much faster than matching.
func (p *textPattern) mayMatch(s string) bool { return strings.HasSuffix(s, p.tail) }

// tailOf is the literal that an expression ends with before the end of the text; empty if
// there is none.
func tailOf(re string) string {
	tree, err := syntax.Parse(re, syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat {
		return ""
	}
	last := len(tree.Sub) - 1
	end, tail := tree.Sub[last], tree.Sub[last-1]
	if end.Op != syntax.OpEndText || tail.Op != syntax.OpLiteral || tail.Flags&syntax.FoldCase != 0 || slices.Contains(tail.Rune, utf8.RuneError) {
		return ""
	}
	return string(tail.Rune)
}

// compileRegexp compiles a pattern in PostgreSQL's flavour with flags.
func compileRegexp(pattern, flags string) (*textPattern, error) {
	mode := "s" // a dot matches a newline, as in PostgreSQL
	for _, c := range flags {
		switch c {
		case 'i':
			mode += "i"
		case 'c', 'g', 't':
		case 'n', 'm':
			mode = strings.ReplaceAll(mode, "s", "") + "m"
		case 's':
			if !strings.Contains(mode, "s") {
				mode += "s"
			}
		case 'p':
			mode = strings.ReplaceAll(mode, "s", "")
		case 'w':
			mode += "m"
		case 'x':
			pattern = stripExtended(pattern)
		default:
			return nil, pgerr.New(pgerr.InvalidParameterValue, "invalid regular expression option: \"%c\"", c)
		}
	}
	re := wordBoundaries(pattern)
	if mode != "" {
		re = "(?" + mode + ")" + re
	}
	out, err := regexp.Compile(re)
	if err != nil {
		text := err.Error()
		if e, ok := err.(*syntax.Error); ok {
			text = e.Code.String() + ": " + strings.TrimPrefix(e.Expr, "(?"+mode+")")
			if e.Code == syntax.ErrInvalidPerlOp || e.Code == syntax.ErrInvalidEscape {
				return nil, pgerr.New(pgerr.InvalidRegexp, "invalid regular expression: %s", text).
					WithHint("Regular expressions are RE2: look-around and back-references are not available.")
			}
		}
		return nil, pgerr.New(pgerr.InvalidRegexp, "invalid regular expression: %s", text)
	}
	return &textPattern{out, newMatcher(re), tailOf(re), isDetached(re)}, nil
}

// wordBoundaries rewrites \m, \M and \y.
func wordBoundaries(p string) string {
	if !strings.Contains(p, `\`) {
		return p
	}
	var sb strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '\\' || i+1 == len(p) {
			sb.WriteByte(p[i])
			continue
		}
		i++
		switch p[i] {
		case 'm', 'M', 'y':
			sb.WriteString(`\b`)
		case 'Y':
			sb.WriteString(`\B`)
		case 'Z':
			sb.WriteString(`\z`)
		default:
			sb.WriteByte('\\')
			sb.WriteByte(p[i])
		}
	}
	return sb.String()
}

// stripExtended drops blanks and comments of the expanded syntax.
func stripExtended(p string) string {
	var sb strings.Builder
	class := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			sb.WriteByte(c)
			i++
			sb.WriteByte(p[i])
			continue
		case c == '[':
			class = true
		case c == ']':
			class = false
		case !class && strings.IndexByte(blanks, c) >= 0:
			continue
		case !class && c == '#':
			for i < len(p) && p[i] != '\n' {
				i++
			}
			continue
		}
		sb.WriteByte(c)
	}
	return sb.String()
}

// replacement is what stands in place of a match: texts, and groups of the match.
type replacement []replacementPart

// replacementPart is a text, or a group where that is empty.
type replacementPart struct {
	text  string
	group int
}

// parseReplacement reads \1 to \9 and \&.
func parseReplacement(s string) (r replacement) {
	var sb strings.Builder
	text := func() {
		if sb.Len() > 0 {
			r = append(r, replacementPart{text: sb.String()})
			sb.Reset()
		}
	}
	group := func(n int) {
		text()
		r = append(r, replacementPart{group: n})
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] >= '1' && s[i+1] <= '9':
			i++
			group(int(s[i] - '0'))
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '&':
			i++
			group(0)
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '\\':
			i++
			sb.WriteByte('\\')
		default:
			sb.WriteByte(s[i])
		}
	}
	text()
	return r
}

// append adds what stands in place of a match in s. A group that the pattern has not, or the match, is
// empty.
func (r replacement) append(dst []byte, s string, match []int) []byte {
	for _, p := range r {
		switch {
		case p.text != "":
			dst = append(dst, p.text...)
		case 2*p.group < len(match) && match[2*p.group] >= 0:
			dst = append(dst, s[match[2*p.group]:match[2*p.group+1]]...)
		}
	}
	return dst
}

// definePattern defines a function whose first argument is matched against the others. The blanks
// that char(n) is padded with are part of what is matched.
func definePattern(name string, args int, eval func(*frame) error) {
	for _, t := range []vec.Type{tText, vec.T(vec.Bpchar)} {
		define(name, tBool, append(types(t), types(tText, tText)[:args-1]...), eval)
	}
}

// onePattern says whether some flat texts are matched against one pattern.
func onePattern(f *frame) bool {
	return f.args[1].Form == vec.Const && f.args[0].Form == vec.Flat && (f.rows == nil || len(f.rows) > 0)
}

func init() {
	for name, fold := range map[string]bool{"like": false, "ilike": true} {
		var cache memo[*likePattern]
		compile := func(pattern, escape string) (*likePattern, error) {
			return cache.get(pattern, escape, func(pattern, escape string) (*likePattern, error) {
				r, n := utf8.DecodeRuneInString(escape)
				if n != len(escape) {
					return nil, pgerr.New(pgerr.BadEscape, "invalid escape string").WithHint("Escape string must be empty or one character.")
				}
				if escape == "" {
					r = 0
				}
				return parseLike(pattern, r, fold)
			})
		}
		match := func(s, pattern, escape string) (bool, error) {
			p, err := compile(pattern, escape)
			if err != nil {
				return false, err
			}
			return p.match(s), nil
		}
		each2 := map2(func(_ *Context, s, p string) (bool, error) { return match(s, p, `\`) })
		definePattern(name, 2, func(f *frame) error {
			v := f.args[0]
			if !onePattern(f) {
				return each2(f)
			}
			p, err := compile(f.args[1].Str.Str(0), `\`)
			if err != nil {
				return err
			}
			if word, ok := p.anywhere(); ok && (f.rows == nil || len(f.rows) > f.n/2) {
				markContaining(f.out.Bools, &v.Str, word)
				return nil
			}
			each(f, func(i int) { f.out.Bools[i] = p.match(v.Str.Str(i)) })
			return nil
		})
		definePattern(name, 3, map3(func(_ *Context, s, p, e string) (bool, error) { return match(s, p, e) }))
	}
	signatures["~~"], signatures["~~*"] = signatures["like"], signatures["ilike"]
	for name, op := range map[string]struct{ not, fold bool }{"!~~": {true, false}, "!~~*": {true, true}} {
		of := "like"
		if op.fold {
			of = "ilike"
		}
		base := signatures[of][0].fn.eval
		definePattern(name, 2, func(f *frame) error {
			if err := base(f); err != nil {
				return err
			}
			for i, b := range f.out.Bools {
				f.out.Bools[i] = !b
			}
			return nil
		})
	}
	for name, op := range map[string]struct {
		flags string
		not   bool
	}{"~": {"", false}, "~*": {"i", false}, "!~": {"", true}, "!~*": {"i", true}} {
		var cache memo[*textPattern]
		each2 := map2(func(_ *Context, s, p string) (bool, error) {
			re, err := cache.get(p, op.flags, compileRegexp)
			if err != nil {
				return false, err
			}
			return re.matches(s) != op.not, nil
		})
		definePattern(name, 2, func(f *frame) error {
			v := f.args[0]
			if !onePattern(f) {
				return each2(f)
			}
			re, err := cache.get(f.args[1].Str.Str(0), op.flags, compileRegexp)
			if err != nil {
				return err
			}
			each(f, func(i int) { f.out.Bools[i] = re.matches(v.Str.Str(i)) != op.not })
			return nil
		})
	}
	var similar memo[*textPattern]
	matchSimilar := func(s, p, e string) (bool, error) {
		re, err := similar.get(p, e, compileSimilar)
		if err != nil {
			return false, err
		}
		return re.matches(s), nil
	}
	define("substring", tText, types(tText, tText, tText), text3(func(_ *Context, dst []byte, s, p, e string) ([]byte, error) {
		re, err := similar.get(p, e, compileSimilar)
		if err != nil {
			return dst, err
		}
		var few [fewPlaces]int
		m := re.find(few[:0], s)
		switch {
		case len(m) == 0:
			return dst, errNull
		case len(m) > 2: // the part between the escaped quotes
			m = m[2:]
		}
		return append(dst, s[m[0]:m[1]]...), nil
	}))
	definePattern("similar", 2, map2(func(_ *Context, s, p string) (bool, error) { return matchSimilar(s, p, `\`) }))
	definePattern("similar", 3, map3(func(_ *Context, s, p, e string) (bool, error) { return matchSimilar(s, p, e) }))
}

// compileSimilar compiles a SIMILAR TO pattern.
func compileSimilar(p, escape string) (*textPattern, error) {
	if utf8.RuneCountInString(escape) > 1 {
		return nil, pgerr.New(pgerr.BadEscape, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	re, ok := similarPattern(p, escape)
	if !ok {
		return nil, pgerr.New("2200C", "SQL regular expression may not contain more than two escape-double-quote separators")
	}
	return compileRegexp(re, "")
}

// similarPattern writes a SIMILAR TO pattern as a regular expression. An escaped quote parts it:
// what stands between two of them is the group of the expression. It is false for a pattern with
// more than two.
func similarPattern(p, escape string) (string, bool) {
	var sb strings.Builder
	sb.WriteString("^(?:")
	if escape != "" && strings.Contains(p, escape+`"`) {
		sb.Reset()
		sb.WriteString("^(?U:") // as little as can be stands before the group
	}
	quotes, bracket := 0, false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case escape != "" && strings.HasPrefix(p[i:], escape) && i+len(escape) < len(p):
			i += len(escape)
			if p[i] == '"' && !bracket {
				sb.WriteString([...]string{")(", ")(?:", ")"}[min(quotes, 2)])
				quotes++
				continue
			}
			sb.WriteString(regexp.QuoteMeta(string(p[i])))
		case bracket:
			if c == '\\' {
				sb.WriteByte('\\')
			}
			sb.WriteByte(c)
			bracket = c != ']'
		case c == '[':
			sb.WriteByte(c)
			bracket = true
		case c == '%':
			sb.WriteString(".*")
		case c == '_':
			sb.WriteByte('.')
		case c == '.' || c == '^' || c == '$' || c == '\\':
			sb.WriteByte('\\')
			sb.WriteByte(c)
		case c == '(':
			sb.WriteString("(?:")
		default:
			sb.WriteByte(c)
		}
	}
	sb.WriteString(")$")
	return sb.String(), quotes <= 2
}
