package difftest

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed grammar.txt
var grammarText string

// form is one way to write something: words, with a name after each but the last.
type form struct {
	words []string
	names []string
	rough bool // right to some digits only
}

// grammar has the forms of each name.
var grammar = parseGrammar(grammarText)

// types are the names of the grammar that are types, and the types in SQL.
var types = map[string]string{
	"bool": "boolean", "int2": "int2", "int4": "int4", "int8": "int8", "num": "numeric", "float": "float8", "text": "text",
	"date": "date", "ts": "timestamp", "tz": "timestamptz", "ivl": "interval", "time": "time", "uuid": "uuid", "bytea": "bytea",
	"ints": "int4[]", "texts": "text[]", "json": "jsonb",
}

// typeNames are the types, the frequent ones several times.
var typeNames = strings.Fields(`bool int2 int4 int4 int4 int8 int8 num num float text text text date ts tz ivl time uuid
	bytea ints texts json`)

func parseGrammar(text string) map[string][]form {
	g := map[string][]form{}
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "== "):
			name = line[3:]
			continue
		case line == "" || name == "":
			continue
		}
		var f form
		line, f.rough = strings.CutPrefix(line, "~")
		for {
			before, rest, ok := strings.Cut(line, "{")
			// Braces are in literals, too.
			inside, after, closed := strings.Cut(rest, "}")
			if ok && (!closed || !isName(inside)) {
				i := len(before) + 1
				j := strings.IndexByte(line[i:], '{')
				for j >= 0 {
					i += j
					if in, _, closed := strings.Cut(line[i+1:], "}"); closed && isName(in) {
						break
					}
					i++
					j = strings.IndexByte(line[i:], '{')
				}
				if j < 0 {
					f.words = append(f.words, line)
					break
				}
				before, rest = line[:i], line[i+1:]
				inside, after, _ = strings.Cut(rest, "}")
			} else if !ok {
				f.words = append(f.words, line)
				break
			}
			f.words, f.names = append(f.words, before), append(f.names, inside)
			line = after
		}
		g[name] = append(g[name], f)
	}
	return g
}

// holes are the names that are no lists of forms.
var holes = map[string]bool{"any": true, "exists": true, "key": true, "ord": true, "frame": true, "keyframe": true}

// isName says whether the text between braces names something.
func isName(s string) bool {
	word, rest, two := strings.Cut(s, " ")
	if two {
		switch word {
		case "lit", "leaf", "sub", "rows", "rows1", "list", "agg", "win":
			return types[rest] != ""
		}
		return false
	}
	if types[s] != "" || holes[s] || s == "1" || s == "2" {
		return true
	}
	return strings.Contains(grammarText, fmt.Sprintf("\n== %s\n", s))
}
