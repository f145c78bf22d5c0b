package elements

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSelector(t *testing.T) {
	// A link in an item of a menu, in a page.
	const chain = `a.big.cta:attr__data-x="1 2"attr__id="docs"attr_id="docs"href="/docs"nth-child="2"nth-of-type="1"text="Docs";` +
		`li.item:nth-child="3";ul.menu.w-1/2.md:hidden:attr_id="nav";div;div:attr__class="x y"`
	for _, c := range []struct {
		selector string
		want     bool
	}{
		{"a", true}, {"b", false}, {"*", true}, {"A", false},
		{"#docs", true}, {"a#docs", true}, {"li#docs", false},
		{".cta", true}, {"a.cta.big", true}, {"a.cta.small", false}, {"li.cta", false},
		{`.md\:hidden`, true}, {`.w-1\/2`, true},
		{`[href="/docs"]`, true}, {`a[href='/docs']`, true}, {`[href="/"]`, false}, {"[data-x]", true}, {"[data-y]", false},
		{`[ data-x = "1 2" ]`, true}, {"[id=docs]", true}, {`[class="x y"]`, true}, {`[class="big cta"]`, true}, {`[text="Docs"]`, true},
		{"a:nth-child(2)", true}, {"a:nth-child(1)", false}, {":nth-of-type( 1 )", true},
		{"ul a", true}, {"ul > a", false}, {"li > a", true}, {"li>a", true}, {"a li", false}, {"a > li", false},
		{"ul li a", true}, {"ul > li > a", true}, {"div > ul a", true}, {"div div a", true}, {"div > div > li", false}, {"div div div", false},
		{"#nav .item > a.cta[href]:nth-child(2)", true}, {"  ul  >  li  ", true},
	} {
		s, err := ParseSelector(c.selector)
		if err != nil {
			t.Errorf("ParseSelector(%s): %v", c.selector, err)
			continue
		}
		if got := s.Match(Parse(chain)); got != c.want {
			t.Errorf("Match(%s) = %v, want %v", c.selector, got, c.want)
		}
	}
	if s, err := ParseSelector("*"); err != nil || s.Match(nil) {
		t.Errorf("an empty chain matches *, %v", err)
	}
}

func TestSelectorErrors(t *testing.T) {
	for _, c := range []struct{ selector, want string }{
		{"", "invalid selector at 1: expected a tag, #id, .class or [attribute], not the end"},
		{"  > a", `invalid selector at 3: expected a tag, #id, .class or [attribute], not ">"`},
		{"a >", "invalid selector at 4: expected a tag, #id, .class or [attribute], not the end"},
		{"größe#", "invalid selector at 7: expected an id, not the end"},
		{"a..b", `invalid selector at 3: expected a class, not "."`},
		{"a, b", `invalid selector at 2: "," is not supported`},
		{"a + b", `invalid selector at 3: expected a tag, #id, .class or [attribute], not "+"`},
		{"a:hover", "invalid selector at 3: :hover is not supported"},
		{"a:nth-child", "invalid selector at 12: expected (, not the end"},
		{"a:nth-child(0)", "invalid selector at 13: expected a number above 0"},
		{"a:nth-child(2n)", "invalid selector at 13: expected a number above 0"},
		{"a:nth-child(2", "invalid selector at 14: expected ), not the end"},
		{"[a", "invalid selector at 3: expected ], not the end"},
		{"[a^=b]", `invalid selector at 3: expected ], not "^"`},
		{`[a="b`, "invalid selector at 6: the value has no end"},
		{strings.Repeat("a ", 200), "invalid selector at 202: more than 100 elements"},
	} {
		if _, err := ParseSelector(c.selector); err == nil || err.Error() != c.want {
			t.Errorf("ParseSelector(%s) = %v, want %s", c.selector, err, c.want)
		}
	}
}

// TestSelectorModel holds Match against a search through all ways to place a selector.
func TestSelectorModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		chain := make([]Element, r.IntN(6))
		for i := range chain {
			chain[i].TagName = string(rune('a' + r.IntN(3)))
		}
		var tags []string
		var child []bool
		text := ""
		for k := range 1 + r.IntN(4) {
			tags, child = append(tags, string(rune('a'+r.IntN(3)))), append(child, k > 0 && r.IntN(2) == 0)
			if text += " "; child[k] {
				text += "> "
			}
			text += tags[k]
		}
		var place func(k, before int) bool
		place = func(k, before int) bool {
			if k == len(tags) {
				return true
			}
			for i := 0; i < before; i++ {
				if chain[i].TagName == tags[k] && (!child[k] || i == before-1) && place(k+1, i) {
					return true
				}
			}
			return false
		}
		s, err := ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.Match(chain), place(0, len(chain)); got != want {
			t.Fatalf("Match(%s) of %+v = %v, want %v", text, chain, got, want)
		}
	}
}

func FuzzSelector(f *testing.F) {
	f.Add(`ul > li:nth-child(2) a.b[c="d"]#e`)
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSelector(text); err == nil {
			s.Match(Parse(`a.b:text="x";div`))
		}
	})
}
