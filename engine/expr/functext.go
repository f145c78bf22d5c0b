package expr

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/unicode/norm"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// maxTextBytes bounds what one function call may build.
const maxTextBytes = 64 << 20

var errTooLong = pgerr.New(pgerr.ProgramLimitExceeded, "requested length too large")

// runeOffset is the byte position of the n-th character, or the text's end.
func runeOffset(s string, n int64) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}

// runes counts characters. Text that is ASCII at its beginning, as nearly all is, is looked at eight
// bytes at once.
func runes(s string) int64 {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	n := vec.ASCIIWords(b)
	return int64(n + utf8.RuneCount(b[n:]))
}

// byteLengths is the bytes of texts that are flat.
func byteLengths(args []*vec.Vector, t vec.Type, n int) *vec.Vector {
	v := args[0]
	if v.Form != vec.Flat || n == 0 {
		return nil
	}
	out := &vec.Vector{Type: t, I64: make([]int64, n)}
	offs := v.Str.Offs[:n+1]
	for i := range out.I64 {
		out.I64[i] = int64(offs[i+1]) - int64(offs[i])
	}
	return out
}

// asciiLengths is the characters of texts that are flat and ASCII, all of them.
func asciiLengths(args []*vec.Vector, t vec.Type, n int) *vec.Vector {
	v := args[0]
	if v.Form != vec.Flat || n == 0 || !v.Str.ASCII && !vec.IsASCII(v.Str.Bytes[v.Str.Offs[0]:v.Str.Offs[n]]) {
		return nil
	}
	return byteLengths(args, t, n)
}

// substring counts from 1 and cuts what lies outside. Without a length n is negative.
func substring(dst []byte, s string, from, n int64, bounded bool) ([]byte, error) {
	end := int64(1) << 62
	if bounded {
		if n < 0 {
			return dst, pgerr.New("22011", "negative substring length not allowed")
		}
		if from < 1<<61 {
			end = from + n
		}
	}
	from = max(from, 1)
	if end <= from {
		return dst, nil
	}
	rest := s[runeOffset(s, from-1):]
	return append(dst, rest[:runeOffset(rest, end-from)]...), nil
}

func position(s, sub string) int64 {
	i := strings.Index(s, sub)
	if i < 0 {
		return 0
	}
	return runes(s[:i]) + 1
}

func pad(dst []byte, s string, n int64, fill string, left bool) ([]byte, error) {
	size := runes(s)
	if n <= 0 {
		return dst, nil
	}
	if n > maxTextBytes {
		return dst, errTooLong
	}
	if size >= n {
		return append(dst, s[:runeOffset(s, n)]...), nil
	}
	if fill == "" {
		return append(dst, s...), nil
	}
	if !left {
		dst = append(dst, s...)
	}
	need, chars := n-size, []rune(fill)
	for i := range need {
		dst = utf8.AppendRune(dst, chars[i%int64(len(chars))])
	}
	if left {
		dst = append(dst, s...)
	}
	return dst, nil
}

func splitPart(dst []byte, s, sep string, n int64) ([]byte, error) {
	if n == 0 {
		return dst, pgerr.New(pgerr.InvalidParameterValue, "field position must not be zero")
	}
	if sep == "" {
		if n == 1 || n == -1 {
			return append(dst, s...), nil
		}
		return dst, nil
	}
	if n < 0 {
		for ; n < -1; n++ {
			i := strings.LastIndex(s, sep)
			if i < 0 {
				return dst, nil
			}
			s = s[:i]
		}
		if i := strings.LastIndex(s, sep); i >= 0 {
			s = s[i+len(sep):]
		}
		return append(dst, s...), nil
	}
	for ; n > 1; n-- {
		_, rest, ok := strings.Cut(s, sep)
		if !ok {
			return dst, nil
		}
		s = rest
	}
	first, _, _ := strings.Cut(s, sep)
	return append(dst, first...), nil
}

func initcap(dst []byte, s string) []byte {
	inside := false
	for _, r := range s {
		if inside {
			r = unicode.ToLower(r)
		} else {
			r = unicode.ToUpper(r)
		}
		inside = unicode.IsLetter(r) || unicode.IsDigit(r)
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func translate(dst []byte, s, from, to string) []byte {
	f, t := []rune(from), []rune(to)
next:
	for _, r := range s {
		for i, x := range f {
			if x == r {
				if i < len(t) {
					dst = utf8.AppendRune(dst, t[i])
				}
				continue next
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func quoteIdent(dst []byte, s string) []byte {
	plain := s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] == '_')
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] == '_' || s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9'
	}
	if plain && !keywords[s] {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(s, `"`, `""`)...)
	return append(dst, '"')
}

// keywords are words of the grammar that quote_ident puts in quotes: all but those that may name
// anything.
var keywords = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(`all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
		current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc distinct do else end except false
		fetch for foreign from grant group having in initially intersect into lateral leading limit localtime localtimestamp not null offset on only or
		order placing primary references returning select session_user some symmetric table then to trailing true union unique user using variadic when where window with
		authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull join left like natural notnull outer overlaps
		right similar tablesample verbose between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout
		int integer interval least national nchar none normalize nullif numeric out overlay position precision real row setof smallint substring time
		timestamp treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
		xmltable`) {
		out[w] = true
	}
	return out
}()

func quoteLiteral(dst []byte, s string) []byte {
	if strings.Contains(s, `\`) {
		dst = append(dst, 'E')
		s = strings.ReplaceAll(s, `\`, `\\`)
	}
	dst = append(dst, '\'')
	dst = append(dst, strings.ReplaceAll(s, "'", "''")...)
	return append(dst, '\'')
}

// appendFloatText writes a number as the insights do: whole ones without a fraction, others
// as the shortest text that reads back as the same number, with an exponent from 1e21 on.
func appendFloatText(dst []byte, x float64) []byte {
	switch {
	case x == 0:
		return append(dst, '0') // also -0
	case math.IsInf(x, 0) || x != x:
		return appendFloat(dst, x, vec.Float8)
	case math.Abs(x) >= 1e21:
		return strconv.AppendFloat(dst, x, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, x, 'f', -1, 64)
}

func textFn(fn func(dst []byte, s string) []byte) func(*frame) error {
	return text1(func(_ *Context, dst []byte, s string) ([]byte, error) { return fn(dst, s), nil })
}

func appendLower(dst []byte, s string) []byte { return appendCase(dst, s, 'A', strings.ToLower) }

func appendUpper(dst []byte, s string) []byte { return appendCase(dst, s, 'a', strings.ToUpper) }

// appendCase adds a text with the 26 letters from a first one on in the other case, and all letters as change
// has them from the first byte on that is not ASCII.
func appendCase(dst []byte, s string, first byte, change func(string) string) []byte {
	start := len(dst)
	dst = append(dst, s...)
	for i, c := range dst[start:] {
		if c >= utf8.RuneSelf {
			return append(dst[:start+i], change(s[i:])...)
		}
		if c-first < 26 {
			dst[start+i] = c ^ ('a' - 'A')
		}
	}
	return dst
}

func defineTrim(name string, left, right bool) {
	trim := func(dst []byte, s, set string) []byte {
		if left {
			s = strings.TrimLeft(s, set)
		}
		if right {
			s = strings.TrimRight(s, set)
		}
		return append(dst, s...)
	}
	define(name, tText, types(tText), textFn(func(dst []byte, s string) []byte { return trim(dst, s, " ") }))
	define(name, tText, types(tText, tText), text2(func(_ *Context, dst []byte, s, set string) ([]byte, error) { return trim(dst, s, set), nil }))
}

func init() {
	length := map1(func(_ *Context, s string) (int64, error) { return runes(s), nil })
	size := map1(func(_ *Context, s string) (int64, error) { return int64(len(s)), nil })
	for _, name := range []string{"length", "char_length", "character_length"} {
		define(name, tInt4, types(tText), length).quick = asciiLengths
	}
	define("length", tInt4, types(tBytea), size).quick = byteLengths
	define("octet_length", tInt4, types(tText), size).quick = byteLengths
	define("octet_length", tInt4, types(tBytea), size).quick = byteLengths
	define("octet_length", tInt4, types(vec.T(vec.Bpchar)), size).quick = byteLengths
	define("strlen", tInt4, types(tText), size).quick = byteLengths
	bits := map1(func(_ *Context, s string) (int64, error) { return int64(len(s)) * 8, nil })
	define("bit_length", tInt4, types(tText), bits)
	define("bit_length", tInt4, types(tBytea), bits)
	define("float_text", tText, types(tFloat8), text1(func(_ *Context, dst []byte, x float64) ([]byte, error) { return appendFloatText(dst, x), nil }))
	define("lower", tText, types(tText), textFn(appendLower))
	define("upper", tText, types(tText), textFn(appendUpper))
	define("initcap", tText, types(tText), textFn(initcap))
	define("reverse", tText, types(tText), textFn(func(dst []byte, s string) []byte {
		for len(s) > 0 {
			_, n := utf8.DecodeLastRuneInString(s)
			dst = append(dst, s[len(s)-n:]...)
			s = s[:len(s)-n]
		}
		return dst
	}))
	for _, name := range []string{"substring", "substr"} {
		define(name, tText, types(tText, tInt4), text2(func(_ *Context, dst []byte, s string, from int64) ([]byte, error) {
			return substring(dst, s, from, 0, false)
		}))
		define(name, tText, types(tText, tInt4, tInt4), text3(func(_ *Context, dst []byte, s string, from, n int64) ([]byte, error) {
			return substring(dst, s, from, n, true)
		}))
	}
	define("left", tText, types(tText, tInt4), text2(func(_ *Context, dst []byte, s string, n int64) ([]byte, error) {
		if n < 0 {
			n = max(runes(s)+n, 0)
		}
		return append(dst, s[:runeOffset(s, n)]...), nil
	}))
	define("right", tText, types(tText, tInt4), text2(func(_ *Context, dst []byte, s string, n int64) ([]byte, error) {
		skip := -n
		if n >= 0 {
			skip = max(runes(s)-n, 0)
		}
		return append(dst, s[runeOffset(s, skip):]...), nil
	}))
	for _, name := range []string{"position", "strpos", "instr"} {
		define(name, tInt4, types(tText, tText), map2(func(_ *Context, s, sub string) (int64, error) { return position(s, sub), nil }))
	}
	define("replace", tText, types(tText, tText, tText), text3(func(_ *Context, dst []byte, s, from, to string) ([]byte, error) {
		if from == "" {
			return append(dst, s...), nil
		}
		for {
			before, after, ok := strings.Cut(s, from)
			dst = append(dst, before...)
			if !ok {
				return dst, nil
			}
			dst = append(dst, to...)
			s = after
		}
	}))
	define("translate", tText, types(tText, tText, tText), text3(func(_ *Context, dst []byte, s, from, to string) ([]byte, error) {
		return translate(dst, s, from, to), nil
	}))
	overlay := func(dst []byte, s, by string, from, n int64) ([]byte, error) {
		if from < 1 {
			return dst, pgerr.New("22011", "negative substring length not allowed")
		}
		dst = append(dst, s[:runeOffset(s, from-1)]...)
		dst = append(dst, by...)
		return append(dst, s[runeOffset(s, max(from-1+n, 0)):]...), nil
	}
	define("overlay", tText, types(tText, tText, tInt4), text3(func(_ *Context, dst []byte, s, by string, from int64) ([]byte, error) {
		return overlay(dst, s, by, from, runes(by))
	}))
	define("overlay", tText, types(tText, tText, tInt4, tInt4), func(f *frame) error {
		s, by, from, n := viewOf[string](f, 0), viewOf[string](f, 1), viewOf[int64](f, 2), viewOf[int64](f, 3)
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return overlay(dst, s.at(i), by.at(i), from.at(i), n.at(i)) })
	})
	defineTrim("btrim", true, true)
	defineTrim("trim", true, true)
	defineTrim("ltrim", true, false)
	defineTrim("rtrim", false, true)
	for name, left := range map[string]bool{"lpad": true, "rpad": false} {
		define(name, tText, types(tText, tInt4), text2(func(_ *Context, dst []byte, s string, n int64) ([]byte, error) { return pad(dst, s, n, " ", left) }))
		define(name, tText, types(tText, tInt4, tText), text3(func(_ *Context, dst []byte, s string, n int64, fill string) ([]byte, error) {
			return pad(dst, s, n, fill, left)
		}))
	}
	define("repeat", tText, types(tText, tInt4), text2(func(_ *Context, dst []byte, s string, n int64) ([]byte, error) {
		if n > 0 && int64(len(s)) > maxTextBytes/n {
			return dst, errTooLong
		}
		for range max(n, 0) {
			dst = append(dst, s...)
		}
		return dst, nil
	}))
	define("split_part", tText, types(tText, tText, tInt4), text3(func(_ *Context, dst []byte, s, sep string, n int64) ([]byte, error) {
		return splitPart(dst, s, sep, n)
	})).repeats = true
	define("starts_with", tBool, types(tText, tText), map2(func(_ *Context, s, p string) (bool, error) { return strings.HasPrefix(s, p), nil }))
	alias("^@", "starts_with")
	define("ends_with", tBool, types(tText, tText), map2(func(_ *Context, s, p string) (bool, error) { return strings.HasSuffix(s, p), nil }))
	define("contains", tBool, types(tText, tText), map2(func(_ *Context, s, p string) (bool, error) { return strings.Contains(s, p), nil }))
	define("quote_ident", tText, types(tText), textFn(quoteIdent))
	for name, null := range map[string]string{"quote_literal": "", "quote_nullable": "NULL"} {
		choose(name, func(args []vec.Type) *Overload { return chooseQuote(name, null, args) })
	}
	define("chr", tText, types(tInt4), text1(func(_ *Context, dst []byte, x int64) ([]byte, error) {
		switch {
		case x < 0:
			return dst, pgerr.New(pgerr.InvalidParameterValue, "character number must be positive")
		case x == 0:
			return dst, pgerr.New(pgerr.ProgramLimitExceeded, "null character not permitted")
		case x > utf8.MaxRune:
			return dst, pgerr.New(pgerr.ProgramLimitExceeded, "requested character too large for encoding: %d", x)
		case !utf8.ValidRune(rune(x)):
			return dst, pgerr.New(pgerr.ProgramLimitExceeded, "requested character not valid for encoding: %d", x)
		}
		return utf8.AppendRune(dst, rune(x)), nil
	}))
	define("ascii", tInt4, types(tText), map1(func(_ *Context, s string) (int64, error) {
		if s == "" {
			return 0, nil
		}
		r, _ := utf8.DecodeRuneInString(s)
		return int64(r), nil
	}))
	define("to_hex", tText, types(tInt4), text1(func(_ *Context, dst []byte, x int64) ([]byte, error) {
		return strconv.AppendUint(dst, uint64(uint32(x)), 16), nil
	}))
	define("to_hex", tText, types(tInt8), text1(func(_ *Context, dst []byte, x int64) ([]byte, error) {
		return strconv.AppendUint(dst, uint64(x), 16), nil
	}))
	md := textFn(func(dst []byte, s string) []byte {
		sum := md5.Sum([]byte(s))
		return hex.AppendEncode(dst, sum[:])
	})
	define("md5", tText, types(tText), md)
	define("md5", tText, types(tBytea), md)
	for name, sum := range map[string]func(string) []byte{
		"sha224": func(s string) []byte { x := sha256.Sum224([]byte(s)); return x[:] },
		"sha256": func(s string) []byte { x := sha256.Sum256([]byte(s)); return x[:] },
		"sha384": func(s string) []byte { x := sha512.Sum384([]byte(s)); return x[:] },
		"sha512": func(s string) []byte { x := sha512.Sum512([]byte(s)); return x[:] },
	} {
		define(name, tBytea, types(tBytea), textFn(func(dst []byte, s string) []byte { return append(dst, sum(s)...) }))
	}
	define("encode", tText, types(tBytea, tText), text2(encode))
	define("decode", tBytea, types(tText, tText), text2(decode))
	define("convert_from", tText, types(tBytea, tName), text2(func(_ *Context, dst []byte, s, name string) ([]byte, error) { return fromEncoding(dst, s, name) }))
	define("convert_to", tBytea, types(tText, tName), text2(func(_ *Context, dst []byte, s, name string) ([]byte, error) { return toEncoding(dst, s, name) }))
	define("convert", tBytea, types(tBytea, tName, tName), text3(func(_ *Context, dst []byte, s, from, to string) ([]byte, error) {
		text, err := fromEncoding(nil, s, from)
		if err != nil {
			return dst, err
		}
		return toEncoding(dst, string(text), to)
	}))
	define("length", tInt4, types(tBytea, tName), map2(func(_ *Context, s, name string) (int64, error) {
		text, err := fromEncoding(nil, s, name)
		return int64(utf8.RuneCount(text)), err
	}))
	define("unistr", tText, types(tText), text1(func(_ *Context, dst []byte, s string) ([]byte, error) { return unescapeUnicode(dst, s) }))
	define("normalize", tText, types(tText), textFn(func(dst []byte, s string) []byte { return norm.NFC.Append(dst, []byte(s)...) }))
	define("normalize", tText, types(tText, tText), text2(func(_ *Context, dst []byte, s, form string) ([]byte, error) {
		f, err := normalFormOf(form)
		if err != nil {
			return dst, err
		}
		return append(dst, f.String(s)...), nil
	}))
	define("is_normalized", tBool, types(tText), map1(func(_ *Context, s string) (bool, error) { return norm.NFC.IsNormalString(s), nil }))
	define("is_normalized", tBool, types(tText, tText), map2(func(_ *Context, s, form string) (bool, error) {
		f, err := normalFormOf(form)
		return err == nil && f.IsNormalString(s), err
	}))
	define("levenshtein", tInt4, types(tText, tText), map2(func(_ *Context, a, b string) (int64, error) { return levenshtein(a, b) }))
	concatenation()
	urls()
}

// unescapeUnicode is unistr: \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX are characters, \\ is \.
func unescapeUnicode(dst []byte, s string) ([]byte, error) {
	var high rune
	for len(s) > 0 {
		if s[0] != '\\' {
			if high != 0 {
				break
			}
			dst, s = append(dst, s[0]), s[1:]
			continue
		}
		digits, skip := 0, 1
		switch {
		case len(s) > 1 && s[1] == '\\' && high == 0:
			dst, s = append(dst, '\\'), s[2:]
			continue
		case len(s) > 1 && s[1] == '+':
			digits, skip = 6, 2
		case len(s) > 1 && s[1] == 'u':
			digits, skip = 4, 2
		case len(s) > 1 && s[1] == 'U':
			digits, skip = 8, 2
		default:
			digits = 4
		}
		if len(s) < skip+digits {
			return dst, errUnicodeEscape
		}
		x, err := strconv.ParseUint(s[skip:skip+digits], 16, 32)
		if err != nil {
			return dst, errUnicodeEscape
		}
		s = s[skip+digits:]
		r := rune(x)
		switch {
		case high != 0:
			if r = utf16.DecodeRune(high, r); r == utf8.RuneError {
				return dst, errUnicodePair
			}
			high = 0
		case x >= 0xD800 && x < 0xDC00:
			high = r
			continue
		case x == 0 || x > utf8.MaxRune:
			return dst, pgerr.New(pgerr.SyntaxError, "invalid Unicode code point: %04X", x)
		case !utf8.ValidRune(r):
			return dst, errUnicodePair
		}
		dst = utf8.AppendRune(dst, r)
	}
	if high != 0 {
		return dst, errUnicodePair
	}
	return dst, nil
}

var (
	errUnicodeEscape = pgerr.New(pgerr.SyntaxError, "invalid Unicode escape").WithHint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
	errUnicodePair   = pgerr.New(pgerr.SyntaxError, "invalid Unicode surrogate pair")
)

func encode(_ *Context, dst []byte, s, format string) ([]byte, error) {
	switch lower(format) {
	case "hex":
		return hex.AppendEncode(dst, []byte(s)), nil
	case "base64":
		text := base64.StdEncoding.EncodeToString([]byte(s))
		for len(text) > 76 {
			dst = append(append(dst, text[:76]...), '\n')
			text = text[76:]
		}
		return append(dst, text...), nil
	case "escape":
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == 0 || c >= 0x80:
				dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			case c == '\\':
				dst = append(dst, `\\`...)
			default:
				dst = append(dst, c)
			}
		}
		return dst, nil
	}
	return dst, pgerr.New(pgerr.InvalidParameterValue, "unrecognized encoding: \"%s\"", format)
}

func decode(_ *Context, dst []byte, s, format string) ([]byte, error) {
	switch lower(format) {
	case "hex":
		out, err := parseBytea(dst, `\x`+s)
		if err != nil {
			problem := *pgerr.From(err)
			problem.Code = pgerr.InvalidParameterValue
			err = &problem
		}
		return out, err
	case "base64":
		out, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
			if r < 128 && strings.IndexByte(blanks, byte(r)) >= 0 {
				return -1
			}
			return r
		}, s))
		if err != nil {
			return dst, pgerr.New(pgerr.InvalidParameterValue, "invalid base64 end sequence")
		}
		return append(dst, out...), nil
	case "escape":
		return parseBytea(dst, s)
	}
	return dst, pgerr.New(pgerr.InvalidParameterValue, "unrecognized encoding: \"%s\"", format)
}

func levenshtein(a, b string) (int64, error) {
	x, y := []rune(a), []rune(b)
	if len(x) > 255 || len(y) > 255 {
		return 0, pgerr.New(pgerr.InvalidParameterValue, "levenshtein argument exceeds maximum length of 255 characters")
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, d := range y {
			cost := 1
			if c == d {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return int64(row[len(y)]), nil
}

// concatenation defines ||, concat and concat_ws.
func concatenation() {
	choose("||", func(args []vec.Type) *Overload {
		if len(args) != 2 {
			return nil
		}
		a, b := args[0], args[1]
		switch {
		case a.Array || b.Array:
			return chooseArrayCat(a, b)
		case a.Kind == vec.JSONB && (b.Kind == vec.JSONB || b.Kind == vec.Unknown) || b.Kind == vec.JSONB && a.Kind == vec.Unknown:
			return &Overload{Fn: jsonConcat, Args: types(tJSON, tJSON), Result: tJSON}
		case a.Kind == vec.Bytea && (b.Kind == vec.Bytea || b.Kind == vec.Unknown) || b.Kind == vec.Bytea && a.Kind == vec.Unknown:
			return &Overload{Fn: catFunction, Args: types(tBytea, tBytea), Result: tBytea}
		case !isTextual(a) && !isTextual(b):
			return nil
		}
		// The side that is not text is written as text.
		want := []vec.Type{tText, tText}
		for i, t := range args {
			if !isTextual(t) {
				want[i] = t
			}
		}
		if isTextual(a) && isTextual(b) {
			return &Overload{Fn: catFunction, Args: want, Result: tText}
		}
		return &Overload{Fn: catAny, Args: want, Result: tText}
	})
	all := func(args []vec.Type) []vec.Type {
		out := append([]vec.Type{}, args...)
		for i := range out {
			if out[i].Kind == vec.Unknown {
				out[i] = tText
			}
		}
		return out
	}
	choose("concat", func(args []vec.Type) *Overload {
		if len(args) == 0 {
			return nil
		}
		return &Overload{Args: all(args), Result: tText, Fn: &Function{Name: "concat", lax: true, eval: func(f *frame) error {
			z := zoneOf(f.ctx)
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				for _, v := range f.args {
					if !v.IsNull(i) {
						dst = appendText(dst, v, i, &z)
					}
				}
				return dst, nil
			})
		}}}
	})
	choose("concat_ws", func(args []vec.Type) *Overload {
		if len(args) < 2 || !isTextual(args[0]) {
			return nil
		}
		return &Overload{Args: all(args), Result: tText, Fn: &Function{Name: "concat_ws", lax: true, eval: func(f *frame) error {
			z := zoneOf(f.ctx)
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				if f.args[0].IsNull(i) {
					return dst, errNull
				}
				first := true
				for _, v := range f.args[1:] {
					if v.IsNull(i) {
						continue
					}
					if !first {
						dst = appendText(dst, f.args[0], i, &z)
					}
					first = false
					dst = appendText(dst, v, i, &z)
				}
				return dst, nil
			})
		}}}
	})
	choose("format", func(args []vec.Type) *Overload {
		if len(args) == 0 || !isTextual(args[0]) {
			return nil
		}
		return &Overload{Args: all(args), Result: tText, Fn: &Function{Name: "format", lax: true, eval: func(f *frame) error {
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				if f.args[0].IsNull(i) {
					return dst, errNull
				}
				return formatText(f, i, dst)
			})
		}}}
	})
	for _, name := range []string{"num_nulls", "num_nonnulls"} {
		choose(name, func(args []vec.Type) *Overload {
			if len(args) == 0 {
				return nil
			}
			return &Overload{Args: all(args), Result: tInt4, Fn: &Function{Name: name, lax: true, eval: func(f *frame) error {
				each(f, func(i int) {
					for _, v := range f.args {
						if v.IsNull(i) == (name == "num_nulls") {
							f.out.I64[i]++
						}
					}
				})
				return nil
			}}}
		})
	}
}

var catFunction = &Function{Name: "||", eval: text2(func(_ *Context, dst []byte, a, b string) ([]byte, error) {
	return append(append(dst, a...), b...), nil
})}

var catAny = &Function{Name: "||", eval: func(f *frame) error {
	z := zoneOf(f.ctx)
	return eachText(f, func(i int, dst []byte) ([]byte, error) {
		return appendText(appendText(dst, f.args[0], i, &z), f.args[1], i, &z), nil
	})
}}

const percentHint = `For a single "%" use "%%".`

var errFormatEnd = pgerr.New(pgerr.InvalidParameterValue, "unterminated format() type specifier").WithHint(percentHint)

// formatText is format(): %[position$][-][width]type, of types s, I and L, and %%. A width of
// * or *n$ is an argument.
func formatText(f *frame, i int, dst []byte) ([]byte, error) {
	src, j := f.args[0].At(i)
	s := src.Str.Str(j)
	z := zoneOf(f.ctx)
	next := 1
	arg := func(at int) (*vec.Vector, error) {
		if at < 1 || at >= len(f.args) {
			return nil, pgerr.New(pgerr.InvalidParameterValue, "too few arguments for format()")
		}
		next = at + 1
		return f.args[at], nil
	}
	for k := 0; k < len(s); k++ {
		if s[k] != '%' {
			dst = append(dst, s[k])
			continue
		}
		k++
		if k < len(s) && s[k] == '%' {
			dst = append(dst, '%')
			continue
		}
		// A number before $ is a position, any other a width.
		position := func() (int, bool) {
			n, end := digitsAt(s, k, 9)
			if end > k && end < len(s) && s[end] == '$' {
				k = end + 1
				return int(n), true
			}
			return 0, false
		}
		at, given := position()
		if given && at == 0 {
			return dst, pgerr.New(pgerr.InvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")
		}
		left, width := false, int64(0)
		for k < len(s) && s[k] == '-' {
			left = true
			k++
		}
		if k < len(s) && s[k] == '*' {
			k++
			n, ok := position()
			if !ok {
				n = next
			}
			v, err := arg(n)
			if err != nil {
				return dst, err
			}
			if !v.IsNull(i) {
				n, err := strconv.ParseInt(string(appendText(nil, v, i, &z)), 10, 32)
				if err != nil {
					return dst, pgerr.New(pgerr.InvalidText, "invalid input syntax for type integer: \"%s\"", appendText(nil, v, i, &z))
				}
				if width = n; width < 0 {
					width, left = -width, true
				}
			}
		} else {
			n, end := digitsAt(s, k, 9)
			width, k = n, end
		}
		if k >= len(s) {
			return dst, errFormatEnd
		}
		if !given {
			at = next
		}
		if s[k] != 's' && s[k] != 'I' && s[k] != 'L' {
			return dst, pgerr.New(pgerr.InvalidParameterValue, "unrecognized format() type specifier \"%c\"", s[k]).
				WithHint(percentHint)
		}
		v, err := arg(at)
		if err != nil {
			return dst, err
		}
		null := v.IsNull(i)
		var text []byte
		if !null {
			text = appendText(nil, v, i, &z)
		}
		switch {
		case s[k] == 'I' && null:
			return dst, pgerr.New(pgerr.NullNotAllowed, "null values cannot be formatted as an SQL identifier")
		case s[k] == 'I':
			text = quoteIdent(nil, string(text))
		case s[k] == 'L' && null:
			text = append(text, "NULL"...)
		case s[k] == 'L':
			text = quoteLiteral(nil, string(text))
		}
		blank := max(width-runes(string(text)), 0)
		if blank > maxTextBytes {
			return dst, errTooLong
		}
		fill := bytes.Repeat([]byte(" "), int(blank))
		if left {
			dst = append(append(dst, text...), fill...)
		} else {
			dst = append(append(dst, fill...), text...)
		}
	}
	return dst, nil
}

// urls defines the functions that take URLs apart. They follow the text, not the standard:
// what is not a URL gives an empty host.
func urls() {
	define("url_host", tText, types(tText), textFn(func(dst []byte, s string) []byte { return append(dst, urlHost(s)...) })).repeats = true
	define("url_domain", tText, types(tText), textFn(func(dst []byte, s string) []byte {
		return append(dst, strings.TrimPrefix(urlHost(s), "www.")...)
	})).repeats = true
	define("url_path", tText, types(tText), textFn(func(dst []byte, s string) []byte {
		if _, rest, ok := strings.Cut(s, "://"); ok {
			s = rest
			i := strings.IndexAny(s, "/?#")
			if i < 0 {
				return dst
			}
			s = s[i:]
		}
		if i := strings.IndexAny(s, "?#"); i >= 0 {
			s = s[:i]
		}
		return append(dst, s...)
	}))
	define("url_query_param", tText, types(tText, tText), text2(func(_ *Context, dst []byte, s, name string) ([]byte, error) {
		s, _, _ = strings.Cut(s, "#")
		_, query, ok := strings.Cut(s, "?")
		for ok {
			var pair string
			pair, query, ok = strings.Cut(query, "&")
			if k, v, has := strings.Cut(pair, "="); has && string(unescapeURL(nil, k)) == name {
				return unescapeURL(dst, v), nil
			}
		}
		return dst, errNull
	}))
}

func urlHost(s string) string {
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		rest = rest[:i]
	}
	return rest
}

func unescapeURL(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			dst = append(dst, ' ')
		case s[i] == '%' && i+2 < len(s):
			x, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				dst = append(dst, '%')
				continue
			}
			dst = append(dst, byte(x))
			i += 2
		default:
			dst = append(dst, s[i])
		}
	}
	if !utf8.Valid(dst) {
		dst = bytes.ToValidUTF8(dst, []byte("\uFFFD"))
	}
	return dst
}

// chooseQuote is quote_literal and quote_nullable of a value of any type; null is what stands for
// null, which is null itself if it is empty.
func chooseQuote(name, null string, args []vec.Type) *Overload {
	if len(args) != 1 {
		return nil
	}
	want := texts(args)
	toText, ok := castFunction(want[0], tText)
	if !ok {
		return nil
	}
	return &Overload{Args: want, Result: tText, Fn: &Function{Name: name, Session: true, lax: true, eval: func(f *frame) error {
		v := f.args[0]
		if toText != nil {
			var err error
			if v, err = applyFlat(f.ctx, toText, f.args, tText, f.n, f.rows); err != nil {
				return err
			}
		}
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			switch {
			case !f.args[0].IsNull(i):
				s, j := v.At(i)
				return quoteLiteral(dst, s.Str.Str(j)), nil
			case null == "":
				return dst, errNull
			}
			return append(dst, null...), nil
		})
	}}}
}

// encodingOf is an encoding by its name: utf8, latin1 or sql_ascii; false for others.
func encodingOf(name string) (string, bool) {
	switch strings.NewReplacer("-", "", "_", "").Replace(lower(name)) {
	case "utf8", "unicode":
		return "utf8", true
	case "latin1", "iso88591":
		return "latin1", true
	case "sqlascii":
		return "sql_ascii", true
	}
	return "", false
}

// fromEncoding reads bytes in an encoding as text.
func fromEncoding(dst []byte, s, name string) ([]byte, error) {
	encoding, ok := encodingOf(name)
	switch {
	case !ok:
		return dst, pgerr.Unsupported("the encoding " + name)
	case strings.IndexByte(s, 0) >= 0:
		return dst, pgerr.New(pgerr.BadEncoding, "invalid byte sequence for encoding \"UTF8\": 0x00")
	case encoding == "latin1":
		for i := 0; i < len(s); i++ {
			dst = utf8.AppendRune(dst, rune(s[i]))
		}
		return dst, nil
	case !utf8.ValidString(s):
		return dst, pgerr.New(pgerr.BadEncoding, "invalid byte sequence for encoding \"UTF8\"")
	}
	return append(dst, s...), nil
}

// toEncoding writes text in an encoding.
func toEncoding(dst []byte, s, name string) ([]byte, error) {
	encoding, ok := encodingOf(name)
	switch {
	case !ok:
		return dst, pgerr.Unsupported("the encoding " + name)
	case encoding != "latin1":
		return append(dst, s...), nil
	}
	for _, r := range s {
		if r > 0xff {
			return dst, pgerr.New(pgerr.UntranslatableCharacter, "character %q has no equivalent in encoding \"LATIN1\"", r)
		}
		dst = append(dst, byte(r))
	}
	return dst, nil
}

// normalFormOf is a form of Unicode text by its name.
func normalFormOf(name string) (norm.Form, error) {
	f, ok := map[string]norm.Form{"nfc": norm.NFC, "nfd": norm.NFD, "nfkc": norm.NFKC, "nfkd": norm.NFKD}[lower(name)]
	if !ok {
		return f, pgerr.New(pgerr.InvalidParameterValue, "invalid normalization form: %s", name)
	}
	return f, nil
}
