package expr

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

var regexps memo[*textPattern]

// isDetached says whether an expression matches a text the same wherever it begins: it asks for
// nothing before its match.
func isDetached(re string) bool {
	tree, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		return false
	}
	var free func(r *syntax.Regexp) bool
	free = func(r *syntax.Regexp) bool {
		switch r.Op {
		case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
			return false
		}
		return !slices.ContainsFunc(r.Sub, func(s *syntax.Regexp) bool { return !free(s) })
	}
	return free(tree)
}

// matchesOf appends the places of the matches from a byte on, at most limit of them if that is not
// negative. As in PostgreSQL, nothing may match right behind a match. Patterns that look at what is
// before them cannot be asked so, and have the matches that Go finds.
func matchesOf(dst []int, re *textPattern, s string, from, limit int) []int {
	if !re.mayMatch(s) {
		return dst
	}
	if limit == 1 && from == 0 {
		return re.find(dst, s)
	}
	n := 0
	if !re.detached {
		for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
			if m[0] >= from && (limit < 0 || n < limit) {
				dst = append(dst, m...)
				n++
			}
		}
		return dst
	}
	for at := from; at <= len(s) && (limit < 0 || n < limit); n++ {
		first := len(dst)
		if dst = re.find(dst, s[at:]); len(dst) == first {
			break
		}
		m := dst[first:]
		for i := range m {
			if m[i] >= 0 {
				m[i] += at
			}
		}
		if at = m[1]; m[0] == m[1] {
			_, n := utf8.DecodeRuneInString(s[at:])
			at += max(n, 1)
		}
	}
	return dst
}

// regexpArgs are the arguments of one call in one row.
type regexpArgs struct {
	f *frame
	i int
}

func (a regexpArgs) text(k int) string { return textArg(a.f, k, a.i, "") }

func textArg(f *frame, k, i int, otherwise string) string {
	if k < 0 || k >= len(f.args) {
		return otherwise
	}
	v, at := f.args[k].At(i)
	return v.Str.Str(at)
}

// number is an argument that may be left out and must be at least so large.
func (a regexpArgs) number(k int, name string, otherwise, least int64) (int64, error) {
	if k < 0 || k >= len(a.f.args) {
		return otherwise, nil
	}
	v, at := a.f.args[k].At(a.i)
	if n := v.I64[at]; n >= least {
		return n, nil
	}
	return 0, pgerr.New(pgerr.InvalidParameterValue, "invalid value for parameter \"%s\": %d", name, v.I64[at])
}

// pattern is the compiled second argument, with the flags of argument k. One word is not
// allowed for functions that find one match.
func (a regexpArgs) pattern(name string, k int, global bool) (*textPattern, string, error) {
	flags := textArg(a.f, k, a.i, "")
	if !global && strings.Contains(flags, "g") {
		return nil, "", pgerr.New(pgerr.InvalidParameterValue, "%s() does not support the \"global\" option", name)
	}
	re, err := regexps.get(a.text(1), flags, compileRegexp)
	return re, flags, err
}

// nth finds the n-th match from a character on. Its result is nil if there is none.
func (a regexpArgs) nth(re *textPattern, startArg, nArg int) ([]int, error) {
	start, err := a.number(startArg, "start", 1, 1)
	if err != nil {
		return nil, err
	}
	n, err := a.number(nArg, "n", 1, 1)
	if err != nil {
		return nil, err
	}
	s := a.text(0)
	if start > runes(s)+1 {
		return nil, nil
	}
	list, each := matchesOf(nil, re, s, runeOffset(s, start-1), int(min(n, int64(len(s))+2))), re.places()
	if int64(len(list)/each) < n {
		return nil, nil
	}
	return list[each*int(n-1) : each*int(n)], nil
}

// forms defines a function with each number of its last arguments left out, down to least.
func forms(name string, result vec.Type, args []vec.Type, least int, eval func(*frame) error) {
	for n := least; n <= len(args); n++ {
		define(name, result, args[:n:n], eval).repeats = result == tText
	}
}

// replacing is a call of regexp_replace, but for the text.
type replacing struct {
	re       *textPattern
	to       replacement
	start, n int64 // the character to begin at, and which match is replaced
	all      bool  // all of them are, whatever n is
	places   []int // scratch
}

// append adds a text in which matches are replaced.
func (r *replacing) append(dst []byte, s string) []byte {
	limit := int(r.n)
	if r.all {
		limit = -1
	}
	r.places = matchesOf(r.places[:0], r.re, s, runeOffset(s, r.start-1), limit)
	list, each := r.places, r.re.places()
	if !r.all && r.n > 1 {
		if int64(len(list)/each) < r.n {
			return append(dst, s...)
		}
		list = list[each*int(r.n-1):]
	}
	at := 0
	for ; len(list) > 0; list = list[each:] {
		dst = append(dst, s[at:list[0]]...)
		dst = r.to.append(dst, s, list[:each])
		at = list[1]
	}
	return append(dst, s[at:]...)
}

func init() {
	replace := func(startArg, nArg, flagsArg int) func(*frame) error {
		read := func(a regexpArgs) (r replacing, err error) {
			re, flags, err := a.pattern("regexp_replace", flagsArg, true)
			if err != nil {
				return r, err
			}
			if r.start, err = a.number(startArg, "start", 1, 1); err != nil {
				return r, err
			}
			if r.n, err = a.number(nArg, "n", 1, 0); err != nil {
				return r, err
			}
			given := nArg >= 0 && nArg < len(a.f.args)
			r.re, r.to, r.all = re, parseReplacement(a.text(2)), r.n == 0 || !given && strings.Contains(flags, "g")
			return r, nil
		}
		return func(f *frame) error {
			var r replacing
			known, same := false, !slices.ContainsFunc(f.args[1:], func(v *vec.Vector) bool { return v.Form != vec.Const })
			return eachText(f, func(i int, dst []byte) (_ []byte, err error) {
				a := regexpArgs{f, i}
				if !known {
					if r, err = read(a); err != nil {
						return dst, err
					}
					known = same
				}
				return r.append(dst, a.text(0)), nil
			})
		}
	}
	forms("regexp_replace", tText, types(tText, tText, tText, tText), 3, replace(-1, -1, 3))
	forms("regexp_replace", tText, types(tText, tText, tText, tInt4, tInt4, tText), 4, replace(3, 4, 5))
	forms("regexp_like", tBool, types(tText, tText, tText), 2, func(f *frame) error {
		return tryEach(f, func(i int) error {
			a := regexpArgs{f, i}
			re, _, err := a.pattern("regexp_like", 2, false)
			if err == nil {
				f.out.Bools[i] = re.matches(a.text(0))
			}
			return err
		})
	})
	forms("regexp_count", tInt4, types(tText, tText, tInt4, tText), 2, func(f *frame) error {
		return tryEach(f, func(i int) error {
			a := regexpArgs{f, i}
			re, _, err := a.pattern("regexp_count", 3, false)
			if err != nil {
				return err
			}
			start, err := a.number(2, "start", 1, 1)
			if err == nil {
				s := a.text(0)
				if start <= runes(s)+1 {
					f.out.I64[i] = int64(len(matchesOf(nil, re, s, runeOffset(s, start-1), -1)) / re.places())
				}
			}
			return err
		})
	})
	forms("regexp_instr", tInt4, types(tText, tText, tInt4, tInt4, tInt4, tText, tInt4), 2, func(f *frame) error {
		return tryEach(f, func(i int) error {
			a := regexpArgs{f, i}
			re, _, err := a.pattern("regexp_instr", 5, false)
			if err != nil {
				return err
			}
			m, err := a.nth(re, 2, 3)
			if err != nil {
				return err
			}
			end, err := a.number(4, "endoption", 0, 0)
			if err != nil {
				return err
			}
			if end > 1 {
				return pgerr.New(pgerr.InvalidParameterValue, "invalid value for parameter \"endoption\": %d", end)
			}
			group, err := a.number(6, "subexpr", 0, 0)
			if err != nil {
				return err
			}
			if k := 2*group + end; m != nil && k < int64(len(m)) && m[k] >= 0 {
				f.out.I64[i] = runes(a.text(0)[:m[k]]) + 1
			}
			return nil
		})
	})
	forms("regexp_substr", tText, types(tText, tText, tInt4, tInt4, tText, tInt4), 2, func(f *frame) error {
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			a := regexpArgs{f, i}
			re, _, err := a.pattern("regexp_substr", 4, false)
			if err != nil {
				return dst, err
			}
			m, err := a.nth(re, 2, 3)
			if err != nil {
				return dst, err
			}
			group, err := a.number(5, "subexpr", 0, 0)
			if err != nil {
				return dst, err
			}
			if m == nil || 2*group >= int64(len(m)) || m[2*group] < 0 {
				return dst, errNull
			}
			return append(dst, a.text(0)[m[2*group]:m[2*group+1]]...), nil
		})
	})
	group := func(dst []byte, s, p string, group int64) ([]byte, error) {
		re, err := regexps.get(p, "", compileRegexp)
		if err != nil {
			return dst, err
		}
		if group < 0 {
			group = int64(min(re.NumSubexp(), 1))
		}
		if group > int64(re.NumSubexp()) {
			return dst, pgerr.New(pgerr.InvalidParameterValue, "regular expression has no group %d", group)
		}
		var few [fewPlaces]int
		m := re.find(few[:0], s)
		if len(m) == 0 || m[2*group] < 0 {
			return dst, errNull
		}
		return append(dst, s[m[2*group]:m[2*group+1]]...), nil
	}
	define("regexp_extract", tText, types(tText, tText), text2(func(_ *Context, dst []byte, s, p string) ([]byte, error) {
		return group(dst, s, p, 0)
	})).repeats = true
	define("regexp_extract", tText, types(tText, tText, tInt4), text3(func(_ *Context, dst []byte, s, p string, g int64) ([]byte, error) {
		return group(dst, s, p, max(g, 0))
	})).repeats = true
	// substring(s, pattern) is the first group if there is one, else the match.
	define("substring", tText, types(tText, tText), text2(func(_ *Context, dst []byte, s, p string) ([]byte, error) {
		return group(dst, s, p, -1)
	})).repeats = true
	forms("regexp_match", tTexts, types(tText, tText, tText), 2, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			a := regexpArgs{f, i}
			re, _, err := a.pattern("regexp_match", 2, false)
			if err != nil {
				return err
			}
			var few [fewPlaces]int
			m := re.find(few[:0], a.text(0))
			if len(m) == 0 {
				return errNull
			}
			appendGroups(out, a.text(0), m)
			return nil
		})
	})
	forms("regexp_split_to_array", tTexts, types(tText, tText, tText), 2, func(f *frame) error {
		return eachList(f, func(i int, out *vec.Builder) error {
			a := regexpArgs{f, i}
			re, _, err := a.pattern("regexp_split_to_array", 2, false)
			if err != nil {
				return err
			}
			for _, part := range re.Split(a.text(0), -1) {
				out.V.Str.AppendString(part)
			}
			return nil
		})
	})
}

// appendGroups adds the groups of a match, or all of it if there are none.
func appendGroups(out *vec.Builder, s string, m []int) {
	if len(m) > 2 {
		m = m[2:]
	}
	for k := 0; k < len(m); k += 2 {
		if m[k] < 0 {
			out.AppendNull()
			continue
		}
		out.V.Str.AppendString(s[m[k]:m[k+1]])
	}
}
