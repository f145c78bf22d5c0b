package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	parse := func(f *frame) error {
		names := viewOf[string](f, 0)
		return eachList(f, func(i int, out *vec.Builder) error {
			parts, err := identParts(names.at(i), f.argBool(1, i, true))
			if err != nil {
				return err
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

// identParts splits a name of SQL at its dots. Something else may follow it only if it is not strict.
func identParts(name string, strict bool) ([]string, error) {
	invalid := func() *pgerr.Error {
		return pgerr.New(pgerr.InvalidParameterValue, `string is not a valid identifier: "%s"`, name)
	}
	var out []string
	for rest, after := strings.TrimLeft(name, blanks), false; ; after = true {
		switch end := identEnd(rest); {
		case strings.HasPrefix(rest, `"`):
			part, behind, ok := quotedPart(rest[1:])
			if !ok {
				return nil, invalid().WithDetail("String has unclosed double quotes.")
			}
			if part == "" {
				return nil, invalid().WithDetail("Quoted identifier must not be empty.")
			}
			out, rest = append(out, part), behind
		case end > 0:
			out, rest = append(out, lower(rest[:end])), rest[end:]
		case strings.HasPrefix(rest, "."):
			return nil, invalid().WithDetail(`No valid identifier before ".".`)
		case after:
			return nil, invalid().WithDetail(`No valid identifier after ".".`)
		default:
			return nil, invalid()
		}
		rest = strings.TrimLeft(rest, blanks)
		if !strings.HasPrefix(rest, ".") {
			if strict && rest != "" {
				return nil, invalid()
			}
			return out, nil
		}
		rest = strings.TrimLeft(rest[1:], blanks)
	}
}

// identEnd is how many bytes the identifier has that a text begins with; 0 if it begins with none.
func identEnd(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= utf8.RuneSelf:
		case i > 0 && (c >= '0' && c <= '9' || c == '$'):
		default:
			return i
		}
	}
	return len(s)
}

// quotedPart is a name up to the quote that ends it, two quotes standing for one, and what follows.
func quotedPart(s string) (part, rest string, ok bool) {
	for {
		text, after, ok := strings.Cut(s, `"`)
		if !ok {
			return "", "", false
		}
		part += text
		if !strings.HasPrefix(after, `"`) {
			return part, after, true
		}
		part, s = part+`"`, after[1:]
	}
}

// ParseIdent splits a name as SQL writes it at its dots; what is not quoted becomes small.
func ParseIdent(name string) ([]string, bool) {
	var out []string
	for {
		name = strings.TrimLeft(name, " ")
		word := ""
		if strings.HasPrefix(name, `"`) {
			var ok bool
			if word, name, ok = quotedPart(name[1:]); !ok {
				return nil, false
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
