package expr

import (
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/prickledb/prickle/engine/pgerr"
)

func init() {
	// collation_key(text, collation) is bytes that are in the order in which the collation has
	// the texts; what it holds equal is in the order of its bytes.
	define("collation_key", tBytea, types(tText, tText), func(f *frame) error {
		text, names := viewOf[string](f, 0), viewOf[string](f, 1)
		var c *collate.Collator
		var buf collate.Buffer
		have := ""
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			if name := names.at(i); c == nil || name != have {
				tag, err := ParseCollation(name)
				if err != nil {
					return dst, err
				}
				c, have = collate.New(tag, collate.OptionsFromTag(tag)), name
			}
			s := text.at(i)
			dst = append(dst, c.KeyFromString(&buf, s)...)
			buf.Reset()
			return append(append(dst, 0), s...), nil
		})
	})
}

// ParseCollation reads the name of a collation of ICU (de-DE-x-icu, und-x-icu) or of an operating
// system (de_DE, de_DE.utf8).
func ParseCollation(name string) (language.Tag, error) {
	locale, ok := strings.CutSuffix(name, "-x-icu")
	if !ok {
		var encoding string
		locale, encoding, ok = strings.Cut(name, ".")
		utf8 := !ok || strings.EqualFold(strings.ReplaceAll(encoding, "-", ""), "utf8")
		ok = utf8 && len(locale) == 5 && locale[2] == '_'
	}
	if ok {
		if tag, err := language.Parse(locale); err == nil {
			return tag, nil
		}
	}
	return language.Und, pgerr.New(pgerr.UndefinedObject, `collation "%s" for encoding "UTF8" does not exist`, name)
}

// Collations are the languages that have an order of their own, as their tags. Other languages have
// that of und, and may be named too.
var Collations = sync.OnceValue(func() []string {
	var out []string
	for _, tag := range collate.Supported() {
		out = append(out, tag.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
})
