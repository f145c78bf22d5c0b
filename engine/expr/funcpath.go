package expr

import (
	"encoding/json"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// cleaning is one rule of clean_path.
type cleaning struct {
	re *textPattern
	to replacement
}

// parseCleanings reads rules: a list of {"regex": …, "alias": …}.
func parseCleanings(text string) ([]cleaning, error) {
	var rules []struct{ Regex, Alias string }
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		return nil, pgerr.New(pgerr.InvalidParameterValue, "clean_path: the rules are not a list of texts regex and alias").
			WithHint(`Write, for example, clean_path(path, '[{"regex": "/[0-9]+", "alias": "/<id>"}]').`)
	}
	var out []cleaning
	for _, r := range rules {
		if r.Regex == "" {
			continue // a rule that is being written
		}
		re, err := compileRegexp(r.Regex, "")
		if err != nil {
			return nil, err
		}
		out = append(out, cleaning{re, parseReplacement(r.Alias)})
	}
	return out, nil
}

// clean applies rules one after the other, each to all places that it matches.
func clean(s string, rules []cleaning) string {
	for _, r := range rules {
		if !r.re.mayMatch(s) {
			continue
		}
		found := r.re.FindAllStringSubmatchIndex(s, -1)
		if found == nil {
			continue
		}
		var dst []byte
		at := 0
		for _, m := range found {
			dst = append(dst, s[at:m[0]]...)
			dst = r.to.append(dst, s, m)
			at = m[1]
		}
		s = string(append(dst, s[at:]...))
	}
	return s
}

// grouping is a pattern of path_group: what stands between its stars.
type grouping struct {
	pattern string
	parts   []string
}

func parseGroupings(patterns *vec.Vector, at int) []grouping {
	v, at := patterns.At(at)
	var out []grouping
	for e := v.Offs[at]; e < v.Offs[at+1]; e++ {
		if v.Elem.IsNull(int(e)) {
			continue
		}
		elem, i := v.Elem.At(int(e))
		if p := elem.Str.Str(i); p != "" {
			out = append(out, grouping{p, strings.Split(p, "*")})
		}
	}
	return out
}

// end is where the pattern's match ends that ends first, -1 if there is none. Taking each
// part at its first place gives it.
func (g *grouping) end(s string) int {
	at := 0
	for _, part := range g.parts {
		i := strings.Index(s[at:], part)
		if i < 0 {
			return -1
		}
		at += i + len(part)
	}
	return at
}

// group is the pattern that matches anywhere in a path: of several the one whose match ends
// first, and then the first. It is the path itself if none does.
func group(s string, patterns []grouping) string {
	out, first := s, -1
	for i := range patterns {
		if end := patterns[i].end(s); end >= 0 && (first < 0 || end < first) {
			out, first = patterns[i].pattern, end
		}
	}
	return out
}

// normalizeURL cuts trailing characters of a set. Nothing left is "/".
func normalizeURL(s, set string) string {
	if s = strings.TrimRight(s, set); s == "" {
		return "/"
	}
	return s
}

func init() {
	var rules memo[[]cleaning]
	define("clean_path", tText, types(tText, tJSON), text2(func(_ *Context, dst []byte, path, list string) ([]byte, error) {
		r, err := rules.get(list, "", func(list, _ string) ([]cleaning, error) { return parseCleanings(list) })
		if err != nil {
			return dst, err
		}
		return append(dst, clean(path, r)...), nil
	}))
	define("path_group", tText, types(tText, tTexts), func(f *frame) error {
		paths, constant := viewOf[string](f, 0), f.args[1].Form == vec.Const
		var patterns []grouping
		if constant {
			patterns = parseGroupings(f.args[1], 0)
		}
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			if !constant {
				patterns = parseGroupings(f.args[1], i)
			}
			return append(dst, group(paths.at(i), patterns)...), nil
		})
	})
	define("normalize_url", tText, types(tText), textFn(func(dst []byte, s string) []byte { return append(dst, normalizeURL(s, "/?#")...) }))
	define("normalize_url", tText, types(tText, tText), text2(func(_ *Context, dst []byte, s, set string) ([]byte, error) {
		return append(dst, normalizeURL(s, set)...), nil
	}))
}
