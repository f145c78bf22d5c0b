package plan

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// fact is one thing that the structured formats of EXPLAIN say of a node: its value is a
// text, a number, or the list of the node's inputs.
type fact struct {
	name  string
	value any
}

// facts is what is said of a node, in order.
func facts(d *Description, o TextOptions) []fact {
	out := []fact{{"Node Type", d.Title}}
	if s, ok := d.Node.(*Scan); ok {
		out = []fact{{"Node Type", "Seq Scan"}, {"Relation Name", s.Table.Name}}
	}
	if d.Known && !o.NoCosts {
		out = append(out, fact{"Startup Cost", 0.0}, fact{"Total Cost", math.Round(d.Cost*100) / 100},
			fact{"Plan Rows", math.Round(d.Rows)}, fact{"Plan Width", d.Width})
	}
	for _, x := range d.Details {
		out = append(out, fact{x.Label, x.Value})
	}
	if a := o.actual(d.Node); a != nil {
		for _, x := range a.Details {
			out = append(out, fact{x.Label, x.Value})
		}
		if !o.NoTiming {
			out = append(out, fact{"Actual Startup Time", 0.0}, fact{"Actual Total Time", milliseconds(a.Elapsed)})
		}
		out = append(out, fact{"Actual Rows", a.Rows}, fact{"Actual Loops", 1})
	}
	if len(d.Inputs) > 0 {
		out = append(out, fact{"Plans", d.Inputs})
	}
	return out
}

// ExplainJSON is a description as PostgreSQL's EXPLAIN (FORMAT JSON) writes it: an array
// of one object with the member Plan.
func ExplainJSON(d *Description, o TextOptions) ([]byte, error) {
	out := map[string]any{"Plan": jsonNode(d, o)}
	if o.Elapsed > 0 {
		out["Execution Time"] = milliseconds(o.Elapsed)
	}
	return json.MarshalIndent([]any{out}, "", "  ")
}

func jsonNode(d *Description, o TextOptions) map[string]any {
	m := map[string]any{}
	for _, p := range facts(d, o) {
		inputs, ok := p.value.([]*Description)
		if !ok {
			m[p.name] = p.value
			continue
		}
		plans := make([]map[string]any, len(inputs))
		for i, in := range inputs {
			plans[i] = jsonNode(in, o)
		}
		m[p.name] = plans
	}
	return m
}

// number is a value as YAML and XML write it; false for a text.
func number(v any) (string, bool) {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int, int64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// ExplainYAML is a description as PostgreSQL's EXPLAIN (FORMAT YAML) writes it.
func ExplainYAML(d *Description, o TextOptions) string {
	var out strings.Builder
	out.WriteString("- Plan:")
	yamlNode(&out, d, o, "\n    ", "\n    ")
	if o.Elapsed > 0 {
		fmt.Fprintf(&out, "\n  Execution Time: %.3f", milliseconds(o.Elapsed))
	}
	return out.String()
}

// yamlNode writes the facts of a node, of which the first begins with lead.
func yamlNode(out *strings.Builder, d *Description, o TextOptions, lead, indent string) {
	for _, p := range facts(d, o) {
		out.WriteString(lead + p.name + ":")
		lead = indent
		if inputs, ok := p.value.([]*Description); ok {
			for _, in := range inputs {
				yamlNode(out, in, o, indent+"  - ", indent+"    ")
			}
			continue
		}
		text, ok := number(p.value)
		if !ok {
			text = strconv.Quote(fmt.Sprint(p.value))
		}
		out.WriteString(" " + text)
	}
}

// ExplainXML is a description as PostgreSQL's EXPLAIN (FORMAT XML) writes it.
func ExplainXML(d *Description, o TextOptions) string {
	var out strings.Builder
	out.WriteString(`<explain xmlns="http://www.postgresql.org/2009/explain">` + "\n  <Query>\n")
	xmlNode(&out, d, o, "    ")
	if o.Elapsed > 0 {
		fmt.Fprintf(&out, "    <Execution-Time>%.3f</Execution-Time>\n", milliseconds(o.Elapsed))
	}
	out.WriteString("  </Query>\n</explain>")
	return out.String()
}

func xmlNode(out *strings.Builder, d *Description, o TextOptions, indent string) {
	out.WriteString(indent + "<Plan>\n")
	for _, p := range facts(d, o) {
		tag := xmlTag(p.name)
		out.WriteString(indent + "  <" + tag + ">")
		if inputs, ok := p.value.([]*Description); ok {
			out.WriteString("\n")
			for _, in := range inputs {
				xmlNode(out, in, o, indent+"    ")
			}
			out.WriteString(indent + "  ")
		} else if text, ok := number(p.value); ok {
			out.WriteString(text)
		} else {
			xml.EscapeText(out, []byte(fmt.Sprint(p.value))) //nolint:errcheck // a builder takes everything
		}
		out.WriteString("</" + tag + ">\n")
	}
	out.WriteString(indent + "</Plan>\n")
}

// xmlTag is a name as that of an element.
func xmlTag(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name)
}
