package expr

import (
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	parse := func(f *frame) error {
		names := viewOf[string](f, 0)
		return eachList(f, func(i int, out *vec.Builder) error {
			parts, ok := ParseIdent(names.at(i))
			if !ok {
				return pgerr.New(pgerr.InvalidParameterValue, `string is not a valid identifier: "%s"`, names.at(i))
			}
			for _, p := range parts {
				out.V.Str.AppendString(p)
			}
			return nil
		})
	}
	define("parse_ident", tTexts, types(tText), parse)
	define("parse_ident", tTexts, types(tText, tBool), parse)
}

// ParseIdent splits a name as SQL writes it at its dots; what is not quoted becomes small.
func ParseIdent(name string) ([]string, bool) {
	var out []string
	for {
		name = strings.TrimLeft(name, " ")
		word := ""
		if strings.HasPrefix(name, `"`) {
			rest := name[1:]
			for {
				part, after, ok := strings.Cut(rest, `"`)
				if !ok {
					return nil, false
				}
				word += part
				if !strings.HasPrefix(after, `"`) {
					name = after
					break
				}
				word += `"`
				rest = after[1:]
			}
		} else {
			end := strings.IndexByte(name, '.')
			if end < 0 {
				end = len(name)
			}
			word = strings.ToLower(strings.TrimRight(name[:end], " "))
			name = name[end:]
		}
		if word == "" {
			return nil, false
		}
		out = append(out, word)
		name = strings.TrimLeft(name, " ")
		if name == "" {
			return out, true
		}
		if name[0] != '.' {
			return nil, false
		}
		name = name[1:]
	}
}
