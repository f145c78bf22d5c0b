package expr

import (
	"errors"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	page "github.com/prickledb/prickle/storage/elements"
	"github.com/prickledb/prickle/storage/vec"
)

// elementTest is a condition on the elements of a chain.
type elementTest func(chain []page.Element) bool

// textTest is a condition on a text by the name of an operator of property filters, or of
// a way of matching of actions.
func textTest(operator, value string) (func(string) bool, error) {
	switch operator {
	case "exact":
		return func(s string) bool { return s == value }, nil
	case "contains":
		value = foldCase(value)
		return func(s string) bool { return strings.Contains(foldCase(s), value) }, nil
	case "icontains":
		p, err := parseLike("%"+value+"%", '\\', true)
		if err != nil {
			return nil, err
		}
		return p.match, nil
	case "regex":
		re, err := compileRegexp(value, "")
		if err != nil {
			return nil, err
		}
		return re.matches, nil
	}
	return nil, pgerr.New(pgerr.InvalidParameterValue, "elements_match has no operator %q", operator).
		WithHint("Operators are exact, contains, icontains and regex, and is_not, not_contains, not_icontains and not_regex.")
}

// elementTestOf is what elements_match asks. A negative operator asks for an element with
// another text, for the first href to be another, and for no element with that tag.
func elementTestOf(what, operator, value string) (elementTest, error) {
	base, not := strings.CutPrefix(operator, "not_")
	if operator == "is_not" {
		base, not = "exact", true
	}
	test, err := textTest(base, value)
	if err != nil {
		return nil, err
	}
	switch what {
	case "tag_name":
		return func(chain []page.Element) bool {
			for i := range chain {
				if test(chain[i].TagName) {
					return !not
				}
			}
			return not
		}, nil
	case "text":
		return func(chain []page.Element) bool {
			for i := range chain {
				if text := chain[i].Text; text != "" && test(text) != not {
					return true
				}
			}
			return false
		}, nil
	case "href":
		return func(chain []page.Element) bool {
			for i := range chain {
				if href := chain[i].Href; href != "" {
					return test(href) != not
				}
			}
			return test("") != not
		}, nil
	}
	return nil, pgerr.New(pgerr.InvalidParameterValue, "elements_match knows no %q", what).WithHint("It knows tag_name, text and href.")
}

// selectorTest is the condition that some element is one that a selector means.
func selectorTest(selector string) (elementTest, error) {
	s, err := page.ParseSelector(selector)
	if err != nil {
		var bad *page.SelectorError
		if errors.As(err, &bad) {
			return nil, pgerr.New(pgerr.InvalidParameterValue, "invalid selector %q at %d: %s", selector, bad.Position, bad.Reason).
				WithHint("Selectors have tags, #id, .class, [attribute=\"value\"], :nth-child(n), blanks and >.")
		}
		return nil, err
	}
	return s.Match, nil
}

// elementsFunction defines a function of a chain and constants. A chain that is null has no
// page.
func elementsFunction(name string, constants int, test func(args []string) (elementTest, error)) {
	args := types(tText)
	for range constants {
		args = append(args, tText)
	}
	var cache memo[elementTest]
	fn := define(name, tBool, args, func(f *frame) error {
		fixed := true
		for _, a := range f.args[1:] {
			fixed = fixed && a.Form == vec.Const
		}
		var ask elementTest
		given := make([]string, constants)
		return tryEach(f, func(i int) error {
			if ask == nil || !fixed {
				for k := range given {
					v, at := f.args[1+k].At(i)
					if v.IsNull(at) {
						return errNull
					}
					given[k] = strings.Clone(v.Str.Str(at))
				}
				var err error
				ask, err = cache.get(strings.Join(given, "\x00"), "", func(string, string) (elementTest, error) { return test(given) })
				if err != nil {
					return err
				}
			}
			var chain []page.Element
			if v, at := f.args[0].At(i); !v.IsNull(at) {
				chain = page.Parse(v.Str.Str(at))
			}
			f.out.Bools[i] = ask(chain)
			return nil
		})
	})
	fn.lax = true
}

func init() {
	elementsFunction("elements_match", 3, func(a []string) (elementTest, error) { return elementTestOf(a[0], a[1], a[2]) })
	elementsFunction("elements_selector", 1, func(a []string) (elementTest, error) { return selectorTest(a[0]) })
}
