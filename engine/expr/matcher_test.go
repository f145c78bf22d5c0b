package expr

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkMatcher compares a matcher with package regexp.
func checkMatcher(t *testing.T, pattern, s string) (quick bool) {
	t.Helper()
	want, err := regexp.Compile(pattern)
	if err != nil {
		return false
	}
	m := newMatcher(pattern)
	if m == nil {
		return false
	}
	places := make([]int, 2+2*want.NumSubexp())
	found, known := m.find(s, places)
	if !known {
		return true
	}
	var got []int
	if found {
		got = places
	}
	if expected := want.FindStringSubmatchIndex(s); !slices.Equal(got, expected) {
		t.Fatalf("%q in %q = %v, want %v", pattern, s, got, expected)
	}
	return true
}

func TestMatcher(t *testing.T) {
	texts := []string{"", "a", "é", "/", "http://www.mail.ru/a/b?c=d", "https://www./", "http://wwwx.y/z", "ftp://a/b", "http:///x", "aab aaab\nab", "a1_b22 c333",
		"\xff/\xc3", "x\xe2\x82", "2024-01-30", "-12.50e3", "anna@example.com, bob@b.org", strings.Repeat("a", 300), strings.Repeat("é/", 40)}
	for _, p := range []string{`^https?://(?:www\.)?([^/]+)/.*$`, `(?s)^https?://(?:www\.)?([^/]+)/.*$`, `[^/]+$`, `([^/]*)/([^/]*)`, `a*?b`, `(a+)(a*)b`, `(a*)(a|b)?$`, `(a|ab)(b*)`,
		`(\d{4})-(\d\d)-(\d\d)`, `^-?\d+(\.\d+)?(e\d+)?$`, `([\w.]+)@([\w.]+)`, `(?:a|b|)c??`, `.{2,3}`, `.{2,3}?`, `é(a|b)`, `^`, `$`, `x*`, `(x)?(y)?`, `a{0}b?`, `^(?:a*?)$`, `(.*)(.)`, `(.*)/(.*)`,
		`(?U)(.*)/(.*)`, `[a/]*?/`, `a.*b`, `(?s)a.*?b`} {
		if newMatcher(p) == nil {
			t.Errorf("%q is left to package regexp", p)
		}
		for _, s := range texts {
			checkMatcher(t, p, s)
		}
	}
	for _, p := range []string{`(ab)*`, `(?i)k`, `[а-я]`, `\bx`, `(?m)^a`, `(?:a*)+`, `[^é]`, `é*`} {
		if newMatcher(p) != nil {
			t.Errorf("%q has a matcher, which cannot match it", p)
		}
	}
}

// TestMatcherRandom puts patterns together at random, and texts of the same characters.
func TestMatcherRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var pattern func(depth int) string
	pattern = func(depth int) string {
		var sb strings.Builder
		for range 1 + random.IntN(4) {
			if depth > 0 && random.IntN(3) == 0 {
				sb.WriteString(pick("(", "(?:") + pattern(depth-1) + pick("", "|", "|"+pattern(depth-1)) + ")" + pick("", "", "?", "??"))
				continue
			}
			sb.WriteString(pick("a", "b", "é", ".", "[ab]", "[^a]", "[^/b]", `\w`, "/") + pick("", "", "*", "+", "?", "*?", "+?", "{1,2}", "{2}", "{1,2}?", "{2,}"))
		}
		return sb.String()
	}
	quick := 0
	for range 20_000 {
		p := pick("", "", "^") + pattern(2) + pick("", "", "$")
		if random.IntN(2) == 0 {
			p = "(?s)" + p
		}
		var s strings.Builder
		for range random.IntN(12) {
			s.WriteString(pick("a", "a", "b", "é", "/", "\n", "\xff", "\xc3"))
		}
		if checkMatcher(t, p, s.String()) {
			quick++
		}
	}
	if quick < 10_000 {
		t.Errorf("%d of 20000 patterns have a matcher", quick)
	}
}

// TestMatcherGivesUp has a pattern that needs the cube of the text's length.
func TestMatcherGivesUp(t *testing.T) {
	s := strings.Repeat("a", 5000)
	p, err := compileRegexp(`(a*)(a*)(a*)b`, "")
	if err != nil || p.quick == nil {
		t.Fatalf("compileRegexp = %v, %v", p, err)
	}
	if _, known := p.quick.find(s, make([]int, 8)); known {
		t.Error("the matcher tries everything")
	}
	if p.matches(s) {
		t.Error("there is no b")
	}
	if got := p.find(nil, s+"b"); !slices.Equal(got, []int{0, 5001, 0, 5000, 5000, 5000, 5000, 5000}) {
		t.Errorf("find = %v", got)
	}
}

// TestMatcherOptionalGroups has groups that may all be empty: the ways through them are more than can be counted.
func TestMatcherOptionalGroups(t *testing.T) {
	for _, p := range []string{strings.Repeat("(a*)?", 60), strings.Repeat("(a*)?", 60) + "b", strings.Repeat("(?:a*|c)", 60) + "$"} {
		checkMatcher(t, p, "aab")
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add(`^https?://(?:www\.)?([^/]+)/.*$`, "http://www.a.b/c")
	f.Add(`(a*?)(b|é+)?[^/]{1,3}$`, "aabé/x")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) < 100 && len(s) < 1000 {
			checkMatcher(t, pattern, s)
		}
	})
}

func BenchmarkRegexp(b *testing.B) {
	var texts []string
	size := 0
	for i := range 1000 {
		texts = append(texts, fmt.Sprintf("http://%ssite%d.example.com/catalog/page%d?cat_id=%d&state=%d", []string{"", "www."}[i%2], i%17, i*7919, i%5000, i*31%1_000_000))
		size += len(texts[i])
	}
	p, err := compileRegexp(`^https?://(?:www\.)?([^/]+)/.*$`, "")
	if err != nil {
		b.Fatal(err)
	}
	to := parseReplacement(`\1`)
	for _, form := range []struct {
		name string
		p    *textPattern
	}{{"matcher", p}, {"regexp", &textPattern{Regexp: p.Regexp}}} {
		b.Run(form.name, func(b *testing.B) {
			b.SetBytes(int64(size))
			var dst []byte
			r := replacing{re: form.p, to: to, start: 1, n: 1}
			for b.Loop() {
				for _, s := range texts {
					dst = r.append(dst[:0], s)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(texts)), "ns/text")
		})
	}
}
