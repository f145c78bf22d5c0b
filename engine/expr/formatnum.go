package expr

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// numberWords are the patterns of to_char for numbers, longest first where one begins another.
var numberWords = []string{"EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", ",", ".", "0", "9", "B", "C", "D", "G", "L", "S", "V"}

// numberFormat is a format of to_char for numbers, read once.
type numberFormat struct {
	parts []numberPart
	// How many digits stand before and behind the point, and are shifted by V.
	pre, post, shift int
	point            bool
	zero             bool // there is a 0 before the point
	zeroAt, zeroEnd  int  // the place of the first 0, and how many digits reach to the last
	fill             bool // FM: no blanks
	minus, plus      bool // MI, PL; both is SG
	bracket          bool // PR
	sign             bool // S
	signBehind       bool // S stands behind the digits
	signAt           int  // digits before S
	roman, small     bool
	scientific       bool
	multiplied       bool // V
}

// numberPart is a pattern, or a text that is copied.
type numberPart struct {
	word, text string
	lower      bool
}

func parseNumberFormat(format, _ string) (*numberFormat, error) {
	f := &numberFormat{}
	wrong := func(text string, args ...any) error { return pgerr.New(pgerr.SyntaxError, text, args...) }
	for i := 0; i < len(format); {
		if format[i] == '"' {
			end := strings.IndexByte(format[i+1:], '"')
			if end < 0 {
				end = len(format) - i - 1
			}
			f.parts = append(f.parts, numberPart{text: format[i+1 : i+1+end]})
			i += end + 2
			continue
		}
		word := ""
		for _, w := range numberWords {
			if len(format)-i >= len(w) && strings.EqualFold(format[i:i+len(w)], w) {
				word = w
				break
			}
		}
		if word == "" {
			_, n := utf8.DecodeRuneInString(format[i:])
			f.parts = append(f.parts, numberPart{text: format[i : i+n]})
			i += n
			continue
		}
		lower := format[i:i+len(word)] != word
		i += len(word)
		f.parts = append(f.parts, numberPart{word: word, lower: lower})
		if f.scientific && word != "FM" {
			return nil, wrong("\"EEEE\" must be the last pattern used")
		}
		switch word {
		case "9", "0":
			switch {
			case f.bracket:
				return nil, wrong("\"%s\" must be ahead of \"PR\"", word)
			case word == "0" && !f.zero && !f.point:
				f.zero, f.zeroAt = true, f.pre
			}
			switch {
			case f.multiplied && word == "9":
				f.shift++
			case f.point:
				f.post++
			default:
				f.pre++
			}
			if word == "0" {
				f.zeroEnd = f.pre + f.post
			}
		case ".", "D":
			switch {
			case f.point:
				return nil, wrong("multiple decimal points")
			case f.multiplied:
				return nil, wrong("cannot use \"V\" and decimal point together")
			}
			f.point = true
		case "V":
			if f.point {
				return nil, wrong("cannot use \"V\" and decimal point together")
			}
			f.multiplied = true
		case "FM":
			f.fill = true
		case "S":
			switch {
			case f.sign:
				return nil, wrong("cannot use \"S\" twice")
			case f.plus || f.minus || f.bracket:
				return nil, wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")
			}
			f.sign, f.signBehind, f.signAt = true, f.point, f.pre
		case "MI", "PL", "SG":
			if f.sign {
				return nil, wrong("cannot use \"S\" and \"%s\" together", word)
			}
			f.minus, f.plus = f.minus || word != "PL", f.plus || word != "MI"
		case "PR":
			if f.sign || f.plus || f.minus {
				return nil, wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together")
			}
			f.bracket = true
		case "RN":
			f.roman, f.small = true, lower
		case "EEEE":
			if f.fill || f.sign || f.bracket || f.minus || f.plus || f.roman || f.multiplied {
				return nil, pgerr.New(pgerr.SyntaxError, "\"EEEE\" is incompatible with other formats").
					WithDetail("\"EEEE\" may only be used together with digit and decimal point patterns.")
			}
			f.scientific = true
		}
	}
	// S behind all digits is like one behind the point.
	if f.sign && !f.signBehind && f.signAt == f.pre && !(f.plus || f.minus) {
		f.signBehind = true
	}
	return f, nil
}

var numberFormats memo[*numberFormat]

// appendNumberFormat is to_char of a number.
func appendNumberFormat(dst []byte, d vec.Decimal, format string) ([]byte, error) {
	f, err := numberFormats.get(format, "", parseNumberFormat)
	if err != nil {
		return dst, err
	}
	switch {
	case f.roman:
		return f.appendRoman(dst, d)
	case f.scientific:
		return f.appendScientific(dst, d)
	}
	for range f.shift {
		if d, err = d.Mul(vec.DecimalFromInt(10)); err != nil {
			return dst, decimalError(err)
		}
	}
	r, err := d.Round(f.post)
	if err != nil {
		return dst, decimalError(err)
	}
	return f.appendDigits(dst, r.Abs().String(), r.Sign() < 0), nil
}

// appendFloatFormat is to_char of a float, of which so many digits are certain: it is rounded from
// what it is in binary.
func appendFloatFormat(dst []byte, x float64, digits int, format string) ([]byte, error) {
	f, err := numberFormats.get(format, "", parseNumberFormat)
	if err != nil {
		return dst, err
	}
	tooLarge := pgerr.New(pgerr.NumericOutOfRange, "value out of range for to_char")
	switch finite := x-x == 0; {
	case !finite, f.roman:
		if x = math.RoundToEven(x); f.roman && math.Abs(x) > math.MaxInt32 {
			x = 0 // which is shown as ### too, where an integer would be an error
		}
		d, err := vec.DecimalFromFloat(x, 15)
		if err != nil {
			return dst, tooLarge
		}
		return appendNumberFormat(dst, d, format)
	case f.scientific:
		d, err := vec.ParseDecimal(strconv.AppendFloat(nil, x, 'e', f.post, 64))
		if err != nil {
			return dst, tooLarge
		}
		return f.appendScientific(dst, d)
	}
	x *= math.Pow10(f.shift)
	whole := len(strconv.FormatFloat(math.Abs(x), 'f', 0, 64))
	number := strconv.FormatFloat(math.Abs(x), 'f', max(min(f.post, digits-whole), 0), 64)
	return f.appendDigits(dst, number, math.Signbit(x)), nil
}

// appendDigits adds a number whose digits are known.
func (f *numberFormat) appendDigits(dst []byte, number string, neg bool) []byte {
	pre := f.pre + f.shift
	whole, _, _ := strings.Cut(number, ".")
	w := &numberWriter{f: f, dst: dst, number: number, neg: neg, last: -1, blanks: max(pre-len(whole), 0)}
	if len(whole) > pre {
		w.number = strings.Repeat("#", pre) + "." + strings.Repeat("#", f.post)
	}
	return w.write(pre)
}

// numberWriter writes a number by a format.
type numberWriter struct {
	f      *numberFormat
	dst    []byte
	number string // digits without a sign, or #
	neg    bool
	at     int // in number
	place  int // how many digit patterns were done
	blanks int // digit patterns before the number begins
	last   int // the last digit that FM shows, -1: all
	signed bool
	inside bool // digits have begun, so separators are shown
	// bracket: PR shows signs; with FM only those of negative numbers.
	bracket bool
	end     int // the place of the last digit
}

func (w *numberWriter) write(pre int) []byte {
	f := w.f
	w.bracket = f.bracket
	switch {
	case f.plus || f.minus:
		w.signed = f.minus
	case !w.neg && f.fill:
		w.bracket = false
		w.signed = !f.sign
	}
	count := f.post + pre - 1
	if f.fill && f.point {
		if dot := strings.IndexByte(w.number, '.'); dot >= 0 {
			w.last = dot
			for i := dot + 1; i < len(w.number); i++ {
				if w.number[i] != '0' {
					w.last = i
				}
			}
			if f.zeroEnd > w.blanks {
				w.last = max(w.last, min(len(w.number)-1, f.zeroEnd-w.blanks))
			}
		}
	}
	if !w.signed && w.blanks == 0 {
		count++
	}
	w.end = count
	if w.blanks > 0 {
		w.end++
	}
	if f.point {
		w.end++
	}
	for _, p := range f.parts {
		w.part(p)
	}
	return w.dst
}

func (w *numberWriter) add(c byte) { w.dst = append(w.dst, c) }

func (w *numberWriter) blank() {
	if !w.f.fill {
		w.add(' ')
	}
}

func (w *numberWriter) part(p numberPart) {
	f := w.f
	switch p.word {
	case "":
		w.dst = append(w.dst, p.text...)
	case "9", "0", ".", "D":
		w.digit(p.word)
	case ",", "G":
		if w.inside {
			w.add(',')
		} else {
			w.blank()
		}
	case "L":
		w.add(' ') // there is no currency in the locale C
	case "TH":
		if w.number[:1] == "#" || w.neg || f.point {
			return
		}
		style := "TH"
		if p.lower {
			style = "th"
		}
		w.dst = append(w.dst, ordinal([]byte(w.number), style)...)
	case "MI":
		if w.neg {
			w.add('-')
		} else {
			w.blank()
		}
	case "PL":
		if !w.neg {
			w.add('+')
		} else {
			w.blank()
		}
	case "SG":
		w.add(w.plusMinus())
	}
}

func (w *numberWriter) plusMinus() byte {
	if w.neg {
		return '-'
	}
	return '+'
}

// hidden says whether the zero before the point, which is to come, is not shown: 0.5 is .5
func (w *numberWriter) hidden() bool {
	return !w.f.zero && w.at == 0 && w.number[0] == '0' && w.f.post != 0
}

// bare says whether FM leaves nothing behind the point.
func (w *numberWriter) bare() bool { return w.last >= 0 && w.number[w.last] == '.' }

// digit writes what stands for a 9, a 0 or a point, and the sign before the first digit.
func (w *numberWriter) digit(word string) {
	f := w.f
	w.inside = false
	zeroes := f.zero && f.zeroAt <= w.place
	begins := w.place >= w.blanks || f.zero && f.zeroAt == w.place
	if !w.signed && begins && (!w.hidden() || w.bare()) {
		w.openSign()
	}
	switch {
	case w.place < w.blanks && !zeroes:
		w.blank()
	case w.place < w.blanks:
		w.add('0')
		w.inside = true
	default:
		w.show(word)
		if w.at < len(w.number) {
			w.at++
		}
	}
	end := w.end
	if w.last >= 0 && w.last == w.at {
		end = w.place
	}
	if w.place+1 == end {
		switch {
		case w.signed && w.bracket:
			w.add(map[bool]byte{true: '>', false: ' '}[w.neg])
		case f.sign && f.signBehind:
			w.add(w.plusMinus())
		}
	}
	w.place++
}

func (w *numberWriter) openSign() {
	switch {
	case w.f.sign:
		if w.f.signBehind {
			return
		}
		w.add(w.plusMinus())
	case w.bracket:
		w.add(map[bool]byte{true: '<', false: ' '}[w.neg])
	case w.neg:
		w.add('-')
	default:
		w.blank()
	}
	w.signed = true
}

// show writes the next character of the number.
func (w *numberWriter) show(word string) {
	if w.at >= len(w.number) {
		return
	}
	switch c := w.number[w.at]; {
	case c == '.':
		w.add('.')
	case w.last >= 0 && w.at > w.last && word != "0":
	case w.hidden():
		if !w.f.fill {
			w.add(' ')
		} else if w.bare() {
			w.add('0')
		}
	default:
		w.add(c)
		w.inside = true
	}
}

// appendRoman is RN: numbers from 1 to 3999. Others are shown as ###, if they are an integer at all.
func (f *numberFormat) appendRoman(dst []byte, d vec.Decimal) ([]byte, error) {
	n, err := decimalToInt(d, vec.T(vec.Int4))
	if err != nil {
		return dst, err
	}
	text := strings.Repeat("#", 15)
	if n >= 1 && n <= 3999 {
		text = roman(n)
	}
	if f.small {
		text = strings.ToLower(text)
	}
	for n := len(text); n < 15 && !f.fill; n++ {
		dst = append(dst, ' ')
	}
	return append(dst, text...), nil
}

// roman writes a number between 1 and 3999.
func roman(n int64) string {
	var b strings.Builder
	for _, step := range []struct {
		value int64
		text  string
	}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
		for ; n >= step.value; n -= step.value {
			b.WriteString(step.text)
		}
	}
	return b.String()
}

// appendScientific is EEEE: one digit before the point, and an exponent.
func (f *numberFormat) appendScientific(dst []byte, d vec.Decimal) ([]byte, error) {
	if !d.IsFinite() {
		dst = append(dst, ' ')
		dst = append(dst, strings.Repeat("#", max(f.pre, 1))...)
		if f.point {
			dst = append(append(dst, '.'), strings.Repeat("#", f.post)...)
		}
		return append(dst, "####"...), nil
	}
	// 99.99 with two digits is 10.00e+01, as PostgreSQL has it.
	exponent, one := 0, d
	if !d.IsZero() {
		digits := len(d.Abs().Big().String())
		exponent, one.Scale = digits-int(d.Scale)-1, uint8(digits-1)
	}
	r, err := one.Round(f.post)
	if err != nil {
		return dst, decimalError(err)
	}
	text := r.Abs().String()
	if d.Sign() < 0 {
		dst = append(dst, '-')
	} else {
		dst = append(dst, ' ')
	}
	dst = append(append(dst, text...), 'e')
	if exponent < 0 {
		dst, exponent = append(dst, '-'), -exponent
	} else {
		dst = append(dst, '+')
	}
	if exponent < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(exponent), 10), nil
}
