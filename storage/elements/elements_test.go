package elements

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		chain []Element
		want  string
	}{
		{nil, ""},
		{[]Element{{}}, ""},
		{[]Element{{TagName: "button", Text: "Pay now"}}, `button:text="Pay now"`},
		{[]Element{{TagName: "a", Text: "Docs", Href: "/docs"}, {TagName: "div"}}, `a:href="/docs"text="Docs";div`},
		{[]Element{{TagName: "a", Classes: []string{"cta", "big", "cta"}, AttrID: "x", NthChild: 1, NthOfType: 2,
			Attributes: []Attribute{{"attr__data-x", "y"}, {"attr__id", "x"}}}},
			`a.big.cta:attr__data-x="y"attr__id="x"attr_id="x"nth-child="1"nth-of-type="2"`},
		{[]Element{{TagName: "a", Text: `say "hi" \o/`}}, `a:text="say \"hi\" \\o/"`},
		{[]Element{{TagName: `a";b`, Classes: []string{`c";`, ""}, Attributes: []Attribute{{`"= `, "gone"}, {"k", "1"}, {"k", "2"}}}}, `ab.c:k="1"`},
	} {
		if got := Format(c.chain); got != c.want {
			t.Errorf("Format(%+v) = %s, want %s", c.chain, got, c.want)
		}
	}
	if got := strings.Count(Format(make([]Element, Max+5)), ";"); got != Max-1 {
		t.Errorf("a chain without end has %d separators, want %d", got, Max-1)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		chain string
		want  []Element
	}{
		{"", nil},
		{"div", []Element{{TagName: "div"}}},
		{"div:;span:", []Element{{TagName: "div"}, {TagName: "span"}}},
		{`a.x.b:text="T;a"nth-of-type="2"nth-child="1"attr_id="i"href="/h"attr__z="1"attr__a="\"q\""`, []Element{{TagName: "a",
			Classes: []string{"b", "x"}, Text: "T;a", NthOfType: 2, NthChild: 1, AttrID: "i", Href: "/h",
			Attributes: []Attribute{{"attr__a", `"q"`}, {"attr__z", "1"}}}}},
		{`a.md:hidden.w-1/2:attr__class="md:hidden w-1/2"`, []Element{{TagName: "a", Classes: []string{"md:hidden", "w-1/2"},
			Attributes: []Attribute{{"attr__class", "md:hidden w-1/2"}}}}},
		{`use:attr__xlink:href="#i"`, []Element{{TagName: "use", Attributes: []Attribute{{"attr__xlink:href", "#i"}}}}},
		{`a.p:q:$el_text="x"`, []Element{{TagName: "a", Classes: []string{"p:q"}, Attributes: []Attribute{{"$el_text", "x"}}}}},
		{`a:text="C:\dir"`, []Element{{TagName: "a", Text: `C:\dir`}}},
		{`a:text="no end`, []Element{{TagName: "a:text="}}},
		{`a:nth-child="many"`, []Element{{TagName: "a"}}},
	} {
		if got := Parse(c.chain); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%s) =\n%+v, want\n%+v", c.chain, got, c.want)
		}
	}
}

func TestLookUp(t *testing.T) {
	e := Parse(`a.x:attr__b="c"`)[0]
	if v, ok := e.Attribute("attr__b"); v != "c" || !ok {
		t.Errorf("Attribute = %q, %v", v, ok)
	}
	if _, ok := e.Attribute("attr__z"); ok || !e.HasClass("x") || e.HasClass("y") {
		t.Errorf("what is not there was found in %+v", e)
	}
}

// TestRoundTrip makes chains of awkward values and reads them back.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(set string, n int) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteByte(set[r.IntN(len(set))])
		}
		return b.String()
	}
	const values = `ab";:.=\ ` + "\n"
	for range 5000 {
		chain := make([]Element, 1+r.IntN(3))
		for i := range chain {
			e := &chain[i]
			e.TagName = "t" + word("abc-", 4)
			for j := range r.IntN(3) {
				e.Classes = append(e.Classes, fmt.Sprintf("c%d%s", j, word("ab-_:/[", 4)))
			}
			e.Text, e.Href, e.AttrID = word(values, 8), word(values, 8), word(values, 8)
			e.NthChild, e.NthOfType = r.IntN(3), r.IntN(3)
			for j := range r.IntN(3) {
				e.Attributes = append(e.Attributes, Attribute{fmt.Sprintf("attr__%d%s", j, word("ab:-", 4)), word(values, 8)})
			}
		}
		text := Format(chain)
		if got := Parse(text); !reflect.DeepEqual(got, chain) {
			t.Fatalf("Parse(%s) =\n%+v, want\n%+v", text, got, chain)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`a.b:text="x\"";div:nth-child="1"`)
	f.Fuzz(func(t *testing.T, chain string) {
		if n := len(Parse(chain)); n > min(Max, strings.Count(chain, ";")+1) {
			t.Errorf("%q has %d elements", chain, n)
		}
	})
}
