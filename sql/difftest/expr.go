package difftest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// column is something of a type that an expression may read.
type column struct{ text, typ string }

// scope is what an expression may read.
type scope struct {
	cols  []column
	keys  []string // what tells the rows apart, if something does
	outer *scope   // of the query around this one
	// A rough value, which is right to some digits only, may be written; else nothing may.
	rough bool
	flat  bool // no subqueries
}

func (s *scope) of(typ string) []column {
	var out []column
	for _, c := range s.cols {
		if c.typ == typ {
			out = append(out, c)
		}
	}
	return out
}

// reads says whether an expression has a column in it. PostgreSQL refuses most constants in
// GROUP BY and its like.
func (s *scope) reads(e string) bool {
	return slices.ContainsFunc(s.cols, func(c column) bool { return strings.Contains(e, c.text) })
}

func pick[T any](g *Generator, list []T) T { return list[g.rng.IntN(len(list))] }

// chance is true n times of a hundred.
func (g *Generator) chance(n int) bool { return g.rng.IntN(100) < n }

// leaf is a column or a literal of a type.
func (g *Generator) leaf(s *scope, typ string) string {
	cols := s.of(typ)
	if s.outer != nil && g.chance(25) {
		if outer := s.outer.of(typ); len(outer) > 0 {
			return pick(g, outer).text
		}
	}
	switch {
	case len(cols) > 0 && !g.chance(20):
		return pick(g, cols).text
	case g.chance(6):
		return "NULL::" + types[typ]
	}
	return g.literal(typ)
}

func (g *Generator) literal(typ string) string {
	return g.form(nil, pick(g, grammar["lit "+typ]), 0)
}

// expr is an expression of a type, of some depth.
func (g *Generator) expr(s *scope, typ string, depth int) string {
	rough := s.rough
	s.rough = false
	defer func() { s.rough = rough }()
	if depth <= 0 || g.chance(15) {
		return g.leaf(s, typ)
	}
	for {
		f := pick(g, grammar[typ])
		if f.rough && !rough || s.flat && g.subquery(f) {
			continue
		}
		return g.form(s, f, depth-1)
	}
}

// subquery says whether a form has a query in it.
func (g *Generator) subquery(f form) bool {
	if strings.Contains(f.words[0], "SELECT") {
		return true
	}
	for _, n := range f.names {
		word, _, _ := strings.Cut(n, " ")
		if word == "sub" || word == "rows" || word == "rows1" || word == "list" || word == "exists" {
			return true
		}
	}
	return false
}

func (g *Generator) form(s *scope, f form, depth int) string {
	var b strings.Builder
	var texts []string
	for i, w := range f.words {
		b.WriteString(w)
		if i == len(f.names) {
			break
		}
		if n, err := strconv.Atoi(f.names[i]); err == nil {
			texts = append(texts, texts[n-1])
		} else {
			texts = append(texts, g.hole(s, f.names[i], depth))
		}
		b.WriteString(texts[i])
	}
	return b.String()
}

func (g *Generator) hole(s *scope, name string, depth int) string {
	word, typ, two := strings.Cut(name, " ")
	switch {
	case two && word == "leaf":
		return g.leaf(s, typ)
	case two && word == "lit":
		return g.literal(typ)
	case two && (word == "sub" || word == "rows1"):
		return g.scalar(s, typ, depth)
	case two && (word == "rows" || word == "list"):
		return g.rows(s, typ, depth, word == "list")
	case name == "exists":
		return g.exists(s)
	case name == "any":
		typ := pick(g, typeNames)
		if typ == "text" { // what takes any type cannot tell what a literal is
			return g.expr(s, typ, depth) + "::text"
		}
		return g.expr(s, typ, depth)
	case types[name] != "":
		return g.expr(s, name, depth)
	case holes[name]:
		return g.window(s, name)
	}
	return g.form(s, pick(g, grammar[name]), depth)
}

// window is what stands in OVER.
func (g *Generator) window(s *scope, kind string) string {
	var parts []string
	if g.chance(60) {
		parts = append(parts, "PARTITION BY "+g.expr(s, pick(g, []string{"int4", "text", "bool", "int4"}), 1))
	}
	direction := func(e string) string {
		e += pick(g, []string{"", "", " DESC", " ASC"})
		return e + pick(g, []string{"", "", " NULLS FIRST", " NULLS LAST"})
	}
	order := func(unique bool) string {
		var list []string
		if !unique || g.chance(50) {
			e := g.expr(s, pick(g, []string{"int4", "text", "num", "date"}), 1)
			if !s.reads(e) {
				e = s.keys[0]
			}
			list = append(list, direction(e))
		}
		if unique {
			for _, k := range s.keys {
				list = append(list, direction(k))
			}
		}
		return "ORDER BY " + strings.Join(list, ", ")
	}
	bound := func(from bool) string {
		n := g.rng.IntN(4)
		list := []string{"CURRENT ROW", fmt.Sprintf("%d PRECEDING", n), fmt.Sprintf("%d FOLLOWING", n)}
		if from {
			return pick(g, append(list, "UNBOUNDED PRECEDING"))
		}
		return pick(g, append(list, "UNBOUNDED FOLLOWING"))
	}
	between := func() string {
		for {
			a, b := bound(true), bound(false)
			if strings.HasSuffix(a, "FOLLOWING") && !strings.HasSuffix(b, "FOLLOWING") || a == "CURRENT ROW" && strings.HasSuffix(b, "PRECEDING") {
				continue
			}
			return "BETWEEN " + a + " AND " + b
		}
	}
	exclude := func() string {
		return pick(g, []string{"", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS"})
	}
	switch kind {
	case "key":
		parts = append(parts, order(true))
	case "ord":
		parts = append(parts, order(g.chance(30)))
	case "keyframe":
		parts = append(parts, order(true))
		if g.chance(60) {
			parts = append(parts, pick(g, []string{"ROWS ", "GROUPS "})+between()+exclude())
		}
	case "frame":
		switch g.rng.IntN(5) {
		case 0:
			parts = append(parts, order(true), "ROWS "+between()+exclude())
		case 1:
			parts = append(parts, order(false), "GROUPS "+between()+exclude())
		case 2: // RANGE with an offset
			e := g.expr(s, pick(g, []string{"int4", "num", "float", "int8"}), 0)
			if !s.reads(e) {
				parts = append(parts, order(false), "RANGE CURRENT ROW"+exclude())
				break
			}
			parts = append(parts, "ORDER BY "+direction(e), "RANGE "+between()+exclude())
		case 3:
			parts = append(parts, order(false), "RANGE BETWEEN "+pick(g, []string{"UNBOUNDED PRECEDING AND CURRENT ROW", "CURRENT ROW AND UNBOUNDED FOLLOWING",
				"UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "CURRENT ROW AND CURRENT ROW"})+exclude())
		default:
			if g.chance(70) {
				parts = append(parts, order(false))
			}
		}
	}
	return strings.Join(parts, " ")
}
