package parse

import (
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// lexer cuts the text into tokens, all at once, so that the parser may look as
// far ahead as it likes.
type lexer struct {
	sql     string
	pos     int
	toks    []token
	notices []*pgerr.Error
}

// lex gives the tokens of sql, ending with a tokEOF.
func lex(sql string) ([]token, []*pgerr.Error, *pgerr.Error) {
	if len(sql) > maxTextBytes {
		return nil, nil, pgerr.New(pgerr.ProgramLimitExceeded,
			"statement is %d bytes long, the limit is %d", len(sql), maxTextBytes).
			WithHint("Use COPY or the capture endpoint for large loads.")
	}
	if !utf8.ValidString(sql) {
		at := firstInvalid(sql)
		return nil, nil, pgerr.New(pgerr.BadEncoding,
			"invalid byte sequence for encoding \"UTF8\": 0x%02x", sql[at]).At(ast.CharPosition(sql, ast.Pos(at)))
	}
	if zero := strings.IndexByte(sql, 0); zero >= 0 {
		return nil, nil, pgerr.New(pgerr.BadEncoding,
			"invalid byte sequence for encoding \"UTF8\": 0x00").At(ast.CharPosition(sql, ast.Pos(zero)))
	}
	l := &lexer{sql: sql, toks: make([]token, 0, len(sql)/5+2)}
	for {
		done, err := l.next()
		if err != nil {
			return nil, nil, err
		}
		if done {
			return l.toks, l.notices, nil
		}
		if len(l.toks) > maxTokens {
			return nil, nil, l.fail(pgerr.ProgramLimitExceeded, l.pos, "statement has more than %d words", maxTokens)
		}
	}
}

func firstInvalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return 0
}

func (l *lexer) fail(code string, pos int, format string, args ...any) *pgerr.Error {
	return pgerr.New(code, format, args...).At(ast.CharPosition(l.sql, ast.Pos(pos)))
}

func (l *lexer) near(message string, pos, end int) *pgerr.Error {
	return l.fail(pgerr.SyntaxError, pos, "%s at or near \"%s\"", message, shown(l.sql[pos:end]))
}

// shown cuts a long piece of text for a message.
func shown(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func (l *lexer) add(k kind, start int, text string) {
	l.toks = append(l.toks, token{kind: k, pos: int32(start), end: int32(l.pos), text: text})
}

// peek is the byte n after the current one, 0 beyond the end.
func (l *lexer) peek(n int) byte {
	if l.pos+n < len(l.sql) {
		return l.sql[l.pos+n]
	}
	return 0
}

func (l *lexer) next() (done bool, err *pgerr.Error) {
	if err := l.space(); err != nil {
		return false, err
	}
	start := l.pos
	if start >= len(l.sql) {
		l.add(tokEOF, start, "")
		return true, nil
	}
	c := l.sql[start]
	switch {
	case c == '\'':
		return false, l.quotedString(start, start, false)
	case c == '"':
		return false, l.quotedName(start, start)
	case (c == 'e' || c == 'E') && l.peek(1) == '\'':
		return false, l.quotedString(start, start+1, true)
	case (c == 'n' || c == 'N') && l.peek(1) == '\'':
		return false, l.quotedString(start, start+1, false)
	case (c == 'x' || c == 'X') && l.peek(1) == '\'':
		return false, l.hexString(start)
	case (c == 'b' || c == 'B') && l.peek(1) == '\'':
		return false, l.fail(pgerr.FeatureNotSupported, start, "bit string literal is not supported").
			WithHint("Write integers in binary as 0b101.")
	case (c == 'u' || c == 'U') && l.peek(1) == '&' && l.peek(2) == '\'':
		return false, l.unicodeString(start)
	case (c == 'u' || c == 'U') && l.peek(1) == '&' && l.peek(2) == '"':
		return false, l.unicodeName(start)
	case c == '$':
		return false, l.dollar(start)
	case isDigit(c) || c == '.' && isDigit(l.peek(1)) && !l.afterName():
		return false, l.number(start)
	case isIdentStart(l.sql[start:]):
		l.ident(start)
		return false, nil
	case c == ':' && l.peek(1) == ':':
		l.pos += 2
		if l.peek(0) == '?' {
			l.pos++
		}
		l.add(tokOp, start, l.sql[start:l.pos])
		return false, nil
	case c == ':' && l.peek(1) == '=':
		l.pos += 2
		l.add(tokOp, start, ":=")
		return false, nil
	case strings.IndexByte("()[],;.:", c) >= 0:
		l.pos++
		l.add(tokPunct, start, l.sql[start:l.pos])
		return false, nil
	case isOperator(c):
		l.operator(start)
		return false, nil
	}
	_, n := utf8.DecodeRuneInString(l.sql[start:])
	return false, l.near("syntax error", start, start+n)
}

// afterName says whether the last token directly before is a name, so that a
// point cannot begin a number.
func (l *lexer) afterName() bool {
	if len(l.toks) == 0 {
		return false
	}
	t := l.toks[len(l.toks)-1]
	return int(t.end) == l.pos && (t.kind == tokIdent || t.kind == tokQuoted)
}

// space skips blanks and comments.
func (l *lexer) space() *pgerr.Error {
	for l.pos < len(l.sql) {
		c := l.sql[l.pos]
		switch {
		case isSpace(c):
			l.pos++
		case c == '-' && l.peek(1) == '-':
			for l.pos < len(l.sql) && l.sql[l.pos] != '\n' && l.sql[l.pos] != '\r' {
				l.pos++
			}
		case c == '/' && l.peek(1) == '*':
			if err := l.comment(); err != nil {
				return err
			}
		case strings.HasPrefix(l.sql[l.pos:], "\ufeff") && l.pos == 0:
			l.pos += len("\ufeff") // editors leave a byte order mark in files
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) comment() *pgerr.Error {
	start, depth := l.pos, 0
	for l.pos < len(l.sql) {
		switch {
		case l.sql[l.pos] == '/' && l.peek(1) == '*':
			depth++
			l.pos += 2
		case l.sql[l.pos] == '*' && l.peek(1) == '/':
			depth--
			l.pos += 2
			if depth == 0 {
				return nil
			}
		default:
			l.pos++
		}
	}
	return l.near("unterminated /* comment", start, len(l.sql))
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isIdentStart(s string) bool {
	c := s[0]
	if c < utf8.RuneSelf {
		return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	r, _ := utf8.DecodeRuneInString(s)
	return !unicode.IsSpace(r) && !unicode.IsControl(r)
}

func isIdentPart(s string) bool {
	return isDigit(s[0]) || s[0] == '$' || isIdentStart(s)
}

// ident reads an unquoted name. Only ASCII letters fold, as in PostgreSQL.
func (l *lexer) ident(start int) {
	for l.pos < len(l.sql) && isIdentPart(l.sql[l.pos:]) {
		_, n := utf8.DecodeRuneInString(l.sql[l.pos:])
		l.pos += n
	}
	l.add(tokIdent, start, l.cut(foldASCII(l.sql[start:l.pos]), start))
}

func foldASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// cut shortens a name to what PostgreSQL keeps, and says so.
func (l *lexer) cut(name string, start int) string {
	if len(name) <= maxNameBytes {
		return name
	}
	n := maxNameBytes
	for !utf8.RuneStart(name[n]) {
		n--
	}
	notice := l.fail(pgerr.NameTooLong, start, "identifier \"%s\" will be truncated to \"%s\"", shown(name), name[:n])
	notice.Severity = "NOTICE"
	if len(l.notices) < 100 {
		l.notices = append(l.notices, notice)
	}
	return name[:n]
}

// quotedName reads "…", whose quote is at open.
func (l *lexer) quotedName(start, open int) *pgerr.Error {
	name, ok := l.quoted(open, '"')
	if !ok {
		return l.near("unterminated quoted identifier", start, len(l.sql))
	}
	if name == "" {
		return l.near("zero-length delimited identifier", start, l.pos)
	}
	l.add(tokQuoted, start, l.cut(name, start))
	return nil
}

// quoted reads to the closing quote; two quotes stand for one.
func (l *lexer) quoted(open int, quote byte) (string, bool) {
	l.pos = open + 1
	from := l.pos
	var b []byte
	for {
		i := strings.IndexByte(l.sql[l.pos:], quote)
		if i < 0 {
			return "", false
		}
		l.pos += i + 1
		if l.peek(0) != quote {
			if b == nil {
				return l.sql[from : l.pos-1], true
			}
			return string(append(b, l.sql[from:l.pos-1]...)), true
		}
		b = append(b, l.sql[from:l.pos]...)
		l.pos++
		from = l.pos
	}
}

// quotedString reads '…' and what the standard joins to it: further literals
// after a line break.
func (l *lexer) quotedString(start, open int, escapes bool) *pgerr.Error {
	var parts []string
	for {
		var part string
		var ok bool
		if escapes {
			var err *pgerr.Error
			if part, ok, err = l.escaped(open); err != nil {
				return err
			}
		} else {
			part, ok = l.quoted(open, '\'')
		}
		if !ok {
			return l.near("unterminated quoted string", start, len(l.sql))
		}
		parts = append(parts, part)
		if open, ok = l.continued(); !ok {
			l.add(tokString, start, strings.Join(parts, ""))
			return nil
		}
	}
}

// continued finds the quote of a continuing literal.
func (l *lexer) continued() (open int, ok bool) {
	line := false
	i := l.pos
	for i < len(l.sql) {
		switch c := l.sql[i]; {
		case isSpace(c):
			line = line || c == '\n' || c == '\r'
			i++
			continue
		case c == '-' && i+1 < len(l.sql) && l.sql[i+1] == '-':
			for i < len(l.sql) && l.sql[i] != '\n' && l.sql[i] != '\r' {
				i++
			}
			continue
		}
		break
	}
	return i, line && i < len(l.sql) && l.sql[i] == '\''
}

// escaped reads the inside of E'…'.
func (l *lexer) escaped(open int) (string, bool, *pgerr.Error) {
	l.pos = open + 1
	var b []byte
	for l.pos < len(l.sql) {
		c := l.sql[l.pos]
		switch {
		case c == '\'' && l.peek(1) == '\'':
			b = append(b, '\'')
			l.pos += 2
		case c == '\'':
			l.pos++
			if !utf8.Valid(b) || strings.IndexByte(string(b), 0) >= 0 {
				return "", false, l.fail(pgerr.BadEncoding, open, "invalid byte sequence for encoding \"UTF8\" in the literal")
			}
			return string(b), true, nil
		case c == '\\' && l.pos+1 < len(l.sql):
			var err *pgerr.Error
			if b, err = l.escape(b); err != nil {
				return "", false, err
			}
		default:
			b = append(b, c)
			l.pos++
		}
	}
	return "", false, nil
}

// escape reads one backslash escape and appends what it stands for.
func (l *lexer) escape(b []byte) ([]byte, *pgerr.Error) {
	start := l.pos
	c := l.sql[l.pos+1]
	l.pos += 2
	switch c {
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case 'n':
		return append(b, '\n'), nil
	case 'r':
		return append(b, '\r'), nil
	case 't':
		return append(b, '\t'), nil
	case 'x':
		n, v := l.digits(2, 16)
		if n == 0 {
			return append(b, 'x'), nil
		}
		return append(b, byte(v)), nil
	case 'u', 'U':
		want := 4
		if c == 'U' {
			want = 8
		}
		n, v := l.digits(want, 16)
		if n != want {
			return nil, l.fail(pgerr.BadEscape, start, "invalid Unicode escape").
				WithHint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
		}
		r, err := l.surrogate(start, v, func() (uint32, bool) {
			if l.peek(0) != '\\' || l.peek(1) != 'u' {
				return 0, false
			}
			l.pos += 2
			n, v := l.digits(4, 16)
			return v, n == 4
		})
		if err != nil {
			return nil, err
		}
		return utf8.AppendRune(b, r), nil
	}
	if c >= '0' && c <= '7' {
		l.pos--
		_, v := l.digits(3, 8)
		return append(b, byte(v)), nil
	}
	return append(b, c), nil // the next bytes of a longer character follow by themselves
}

// digits reads up to most digits of the base.
func (l *lexer) digits(most int, base uint32) (n int, v uint32) {
	for n < most && l.pos < len(l.sql) {
		d := digitValue(l.sql[l.pos])
		if d >= base {
			break
		}
		v = v*base + d
		l.pos++
		n++
	}
	return n, v
}

func digitValue(c byte) uint32 {
	switch {
	case c >= '0' && c <= '9':
		return uint32(c - '0')
	case c >= 'a' && c <= 'f':
		return uint32(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return uint32(c-'A') + 10
	}
	return 255
}

// surrogate makes a character of a code point, reading the second half of a pair.
func (l *lexer) surrogate(start int, v uint32, second func() (uint32, bool)) (rune, *pgerr.Error) {
	if v >= 0xD800 && v < 0xDC00 {
		low, ok := second()
		if !ok || low < 0xDC00 || low > 0xDFFF {
			return 0, l.near("invalid Unicode surrogate pair", start, l.pos)
		}
		return rune(0x10000 + (v-0xD800)<<10 + (low - 0xDC00)), nil
	}
	if v == 0 || v > 0x10FFFF || v >= 0xDC00 && v <= 0xDFFF {
		return 0, l.near("invalid Unicode escape value", start, l.pos)
	}
	return rune(v), nil
}

func (l *lexer) hexString(start int) *pgerr.Error {
	text, ok := l.quoted(start+1, '\'')
	if !ok {
		return l.near("unterminated hexadecimal string literal", start, len(l.sql))
	}
	if len(text)%2 != 0 {
		return l.fail(pgerr.InvalidText, start, "invalid hexadecimal data: odd number of digits")
	}
	b := make([]byte, 0, len(text)/2)
	for i := 0; i < len(text); i += 2 {
		hi, lo := digitValue(text[i]), digitValue(text[i+1])
		if hi > 15 || lo > 15 {
			return l.fail(pgerr.InvalidText, start, "invalid hexadecimal digit in \"%s\"", shown(text))
		}
		b = append(b, byte(hi<<4|lo))
	}
	l.add(tokBytes, start, string(b))
	return nil
}

func (l *lexer) unicodeString(start int) *pgerr.Error {
	text, ok := l.quoted(start+2, '\'')
	if !ok {
		return l.near("unterminated quoted string", start, len(l.sql))
	}
	value, err := l.unicodeText(start, text)
	if err != nil {
		return err
	}
	l.add(tokString, start, value)
	return nil
}

func (l *lexer) unicodeName(start int) *pgerr.Error {
	text, ok := l.quoted(start+2, '"')
	if !ok {
		return l.near("unterminated quoted identifier", start, len(l.sql))
	}
	value, err := l.unicodeText(start, text)
	if err != nil {
		return err
	}
	if value == "" {
		return l.near("zero-length delimited identifier", start, l.pos)
	}
	l.add(tokQuoted, start, l.cut(value, start))
	return nil
}

// unicodeText replaces the escapes of a U& literal, and reads its UESCAPE.
func (l *lexer) unicodeText(start int, text string) (string, *pgerr.Error) {
	esc := byte('\\')
	end := l.pos
	if err := l.space(); err != nil {
		return "", err
	}
	if len(l.sql)-l.pos >= 7 && strings.EqualFold(l.sql[l.pos:l.pos+7], "uescape") {
		l.pos += 7
		if err := l.space(); err != nil {
			return "", err
		}
		at := l.pos
		if l.peek(0) != '\'' || l.peek(2) != '\'' || digitValue(l.peek(1)) < 16 ||
			strings.IndexByte("+'\"", l.peek(1)) >= 0 || isSpace(l.peek(1)) || l.peek(1) >= utf8.RuneSelf {
			return "", l.fail(pgerr.SyntaxError, at, "invalid Unicode escape character")
		}
		esc = l.peek(1)
		l.pos += 3
		end = l.pos
	}
	l.pos = end
	// The escapes are read by a second lexer over the literal, for its digits.
	in := &lexer{sql: text}
	one := func() (uint32, bool) {
		if in.peek(0) == '+' {
			in.pos++
			n, v := in.digits(6, 16)
			return v, n == 6
		}
		n, v := in.digits(4, 16)
		return v, n == 4
	}
	var b []byte
	for in.pos < len(text) {
		c := text[in.pos]
		if c != esc {
			b = append(b, c)
			in.pos++
			continue
		}
		if in.peek(1) == esc {
			b = append(b, esc)
			in.pos += 2
			continue
		}
		in.pos++
		v, ok := one()
		if !ok {
			return "", l.fail(pgerr.BadEscape, start, "invalid Unicode escape").
				WithHint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
		}
		r, err := in.surrogate(0, v, func() (uint32, bool) {
			if in.peek(0) != esc {
				return 0, false
			}
			in.pos++
			return one()
		})
		if err != nil {
			return "", l.near("invalid Unicode escape value", start, l.pos)
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), nil
}

// dollar reads $1, $tag$…$tag$, or a name with $ after a point.
func (l *lexer) dollar(start int) *pgerr.Error {
	if n := len(l.toks); n > 0 && l.toks[n-1].is(".") && l.peek(1) != 0 && isIdentStart(l.sql[start+1:]) {
		l.pos++
		l.ident(start)
		return nil
	}
	if isDigit(l.peek(1)) {
		l.pos++
		for isDigit(l.peek(0)) {
			l.pos++
		}
		if l.pos < len(l.sql) && isIdentStart(l.sql[l.pos:]) {
			return l.near("trailing junk after parameter", start, l.pos+1)
		}
		l.add(tokParam, start, l.sql[start+1:l.pos])
		return nil
	}
	end := start + 1
	for end < len(l.sql) && l.sql[end] != '$' {
		if end == start+1 && !isIdentStart(l.sql[end:]) || !isIdentPart(l.sql[end:]) {
			return l.near("syntax error", start, start+1)
		}
		_, n := utf8.DecodeRuneInString(l.sql[end:])
		end += n
	}
	if end >= len(l.sql) {
		return l.near("syntax error", start, start+1)
	}
	tag := l.sql[start : end+1]
	body := l.sql[end+1:]
	i := strings.Index(body, tag)
	if i < 0 {
		return l.near("unterminated dollar-quoted string", start, len(l.sql))
	}
	l.pos = end + 1 + i + len(tag)
	l.add(tokString, start, body[:i])
	return nil
}

// number reads a numeric literal and leaves it decimal, without underscores.
func (l *lexer) number(start int) *pgerr.Error {
	if l.sql[start] == '0' {
		base := 0
		switch l.peek(1) {
		case 'x', 'X':
			base = 16
		case 'o', 'O':
			base = 8
		case 'b', 'B':
			base = 2
		}
		if base != 0 && digitValue(l.peek(2)) < uint32(base) {
			return l.based(start, base)
		}
	}
	l.decimals()
	if l.peek(0) == '.' && l.peek(1) != '.' {
		l.pos++
		l.decimals()
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		n := 1
		if c := l.peek(1); c == '+' || c == '-' {
			n = 2
		}
		if isDigit(l.peek(n)) {
			l.pos += n
			l.decimals()
		}
	}
	if err := l.junk(start); err != nil {
		return err
	}
	text := strings.ReplaceAll(l.sql[start:l.pos], "_", "")
	l.add(tokNumber, start, strings.ToLower(text))
	return nil
}

func (l *lexer) decimals() {
	for isDigit(l.peek(0)) || l.peek(0) == '_' && isDigit(l.peek(1)) {
		l.pos++
	}
}

func (l *lexer) junk(start int) *pgerr.Error {
	if l.pos < len(l.sql) && isIdentStart(l.sql[l.pos:]) {
		_, n := utf8.DecodeRuneInString(l.sql[l.pos:])
		return l.near("trailing junk after numeric literal", start, l.pos+n)
	}
	return nil
}

// based reads 0x, 0o and 0b integers. 64 digits are more than numeric holds.
func (l *lexer) based(start, base int) *pgerr.Error {
	l.pos += 2
	from := l.pos
	for digitValue(l.peek(0)) < uint32(base) || l.peek(0) == '_' && digitValue(l.peek(1)) < uint32(base) {
		l.pos++
	}
	if err := l.junk(start); err != nil {
		return err
	}
	digits := strings.ReplaceAll(l.sql[from:l.pos], "_", "")
	v, ok := new(big.Int), len(digits) <= 256
	if ok {
		v, ok = v.SetString(digits, base)
	}
	if !ok {
		return l.fail(pgerr.NumericOutOfRange, start, "value \"%s\" is out of range for type numeric", shown(l.sql[start:l.pos]))
	}
	l.add(tokNumber, start, v.String())
	return nil
}

func isOperator(c byte) bool { return strings.IndexByte("+-*/<>=~!@#%^&|?`", c) >= 0 }

// operator reads the longest run, cut as PostgreSQL does: before a comment, and
// a trailing sign only belongs to it beside an unusual character.
func (l *lexer) operator(start int) {
	end := start
	for end < len(l.sql) && isOperator(l.sql[end]) {
		if end+1 < len(l.sql) && end > start && (l.sql[end:end+2] == "--" || l.sql[end:end+2] == "/*") {
			break
		}
		end++
	}
	run := l.sql[start:end]
	if len(run) > 1 && (run[len(run)-1] == '+' || run[len(run)-1] == '-') && !strings.ContainsAny(run, "~!@#%^&|`?") {
		run = strings.TrimRight(run, "+-")
		if run == "" {
			run = l.sql[start : start+1]
		}
	}
	l.pos = start + len(run)
	if run == "!=" {
		run = "<>"
	}
	l.add(tokOp, start, run)
}
