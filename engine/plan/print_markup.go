package plan

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ExplainXML is a description as PostgreSQL's EXPLAIN (FORMAT XML) writes it: what ExplainJSON
// says, in elements that are named as the members there.
func ExplainXML(d *Description, o TextOptions) string {
	var b strings.Builder
	b.WriteString("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n")
	xmlMembers(&b, explained(d, o), 4)
	b.WriteString("  </Query>\n</explain>")
	return b.String()
}

// explained is what the formats for programs say of a plan.
func explained(d *Description, o TextOptions) map[string]any {
	out := map[string]any{"Plan": jsonNode(d, o)}
	if o.Elapsed > 0 {
		out["Execution Time"] = milliseconds(o.Elapsed)
	}
	return out
}

func xmlMembers(b *strings.Builder, m map[string]any, depth int) {
	pad := strings.Repeat(" ", depth)
	for _, label := range slices.Sorted(maps.Keys(m)) {
		tag := strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
				return r
			}
			return '-'
		}, label)
		fmt.Fprintf(b, "%s<%s>", pad, tag)
		switch v := m[label].(type) {
		case map[string]any:
			b.WriteByte('\n')
			xmlMembers(b, v, depth+2)
			b.WriteString(pad)
		case []map[string]any:
			b.WriteByte('\n')
			for _, x := range v {
				fmt.Fprintf(b, "%s  <Plan>\n", pad)
				xmlMembers(b, x, depth+4)
				fmt.Fprintf(b, "%s  </Plan>\n", pad)
			}
			b.WriteString(pad)
		default:
			xml.EscapeText(b, []byte(fmt.Sprint(v))) //nolint:errcheck // a builder takes everything
		}
		fmt.Fprintf(b, "</%s>\n", tag)
	}
}

// ExplainYAML is the same as EXPLAIN (FORMAT YAML) writes it.
func ExplainYAML(d *Description, o TextOptions) string {
	var b strings.Builder
	yamlMembers(&b, explained(d, o), "- ", "  ")
	return strings.TrimSuffix(b.String(), "\n")
}

// yamlMembers writes members, the first behind lead, the others behind pad.
func yamlMembers(b *strings.Builder, m map[string]any, lead, pad string) {
	for _, label := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(lead + label + ": ")
		lead = pad
		switch v := m[label].(type) {
		case map[string]any:
			b.WriteByte('\n')
			yamlMembers(b, v, pad+"  ", pad+"  ")
		case []map[string]any:
			b.WriteByte('\n')
			for _, x := range v {
				yamlMembers(b, x, pad+"  - ", pad+"    ")
			}
		case string:
			quoted, _ := json.Marshal(v) // a text always marshals, and YAML reads it
			b.Write(quoted)
			b.WriteByte('\n')
		default:
			fmt.Fprintln(b, v)
		}
	}
}
