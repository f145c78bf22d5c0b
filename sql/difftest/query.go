package difftest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// table is a table that exists.
type table struct {
	name string
	cols []column // by name
}

// Generator makes tables and queries from a seed.
type Generator struct {
	rng    *rand.Rand
	tables []table
	names  int // given so far
	loose  bool
}

// Query is a question, and what of its answer is certain.
type Query struct {
	SQL     string
	Ordered bool // the rows have one order
	// Loose: of numerics that are equal but not the same (1.0 and 1.00) any may be shown.
	Loose bool
	// Strict: every expression is computed for every row, so that both fail or none does.
	Strict bool
	// Writes: it changes tables, which are to be compared, too, and put back.
	Writes bool
}

// New is a generator; the same seed gives the same.
func New(seed uint64) *Generator { return &Generator{rng: rand.New(rand.NewPCG(seed, 15))} }

// Setup gives the statements that make the tables anew, and the session's time zone.
func (g *Generator) Setup() []string {
	out := []string{"SET TimeZone = " + pick(g, []string{"'UTC'", "'UTC'", "'Europe/Berlin'", "'America/New_York'", "'Asia/Kolkata'"})}
	g.tables = nil
	for i := range 3 {
		t := table{name: fmt.Sprintf("t%d", i), cols: []column{{"k", "int4"}}}
		defs := []string{"k int4"}
		add := func(typ string) {
			name := fmt.Sprintf("c%d", len(t.cols))
			sql := types[typ]
			if typ == "num" {
				sql = pick(g, []string{"numeric(10,2)", "numeric(9,3)", "numeric(12,0)"})
			}
			if typ == "text" {
				sql = pick(g, []string{"text", "text", "varchar", "varchar(20)"})
			}
			defs = append(defs, name+" "+sql)
			t.cols = append(t.cols, column{name, typ})
		}
		add("int4")
		add("text")
		for range 3 + g.rng.IntN(6) {
			add(pick(g, typeNames))
		}
		out = append(out, "DROP TABLE IF EXISTS "+t.name, "CREATE TABLE "+t.name+" ("+strings.Join(defs, ", ")+")")
		var rows []string
		for k := range pick(g, []int{0, 1, 3, 6, 8, 12, 20}) {
			row := []string{fmt.Sprint(k + 1)}
			for _, c := range t.cols[1:] {
				if g.chance(18) {
					row = append(row, "NULL")
				} else {
					row = append(row, g.literal(c.typ))
				}
			}
			rows = append(rows, "("+strings.Join(row, ", ")+")")
		}
		if len(rows) > 0 {
			out = append(out, "INSERT INTO "+t.name+" VALUES "+strings.Join(rows, ", "))
		}
		g.tables = append(g.tables, t)
	}
	return out
}

// Query makes a query over the tables.
func (g *Generator) Query() Query {
	g.names, g.loose = 0, false
	var q Query
	switch n := g.rng.IntN(100); {
	case n < 25:
		q = g.plain()
	case n < 45:
		q = g.selected()
	case n < 65:
		q = g.grouped()
	case n < 80:
		q = g.windowed()
	case n < 88:
		q = g.united()
	case n < 92:
		q = g.changed()
	default:
		q = g.distinct()
	}
	q.Loose = g.loose
	return q
}

func (g *Generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// item is an output column.
type item struct{ text, typ, name string }

func list(items []item) string {
	out := make([]string, len(items))
	for i, it := range items {
		out[i] = it.text + " AS " + it.name
	}
	return strings.Join(out, ", ")
}

// items makes n output columns.
func (g *Generator) items(s *scope, n, depth int, rough bool, typ ...string) []item {
	var out []item
	for range n {
		t := pick(g, typeNames)
		if len(typ) > 0 {
			t = pick(g, typ)
		}
		s.rough = rough
		out = append(out, item{g.expr(s, t, depth), t, g.name("x")})
		s.rough = false
	}
	return out
}

// plain computes expressions over one table.
func (g *Generator) plain() Query {
	t := pick(g, g.tables)
	s := &scope{flat: true}
	for _, c := range t.cols {
		s.cols = append(s.cols, column{c.text, c.typ})
	}
	return Query{SQL: "SELECT k, " + list(g.items(s, 1+g.rng.IntN(2), 2, true)) + " FROM " + t.name + " ORDER BY k", Ordered: true, Strict: true}
}

// from makes what stands after FROM, perhaps with a WITH that goes before all.
func (g *Generator) from(outer *scope, depth int) (with, text string, s *scope) {
	s = &scope{outer: outer}
	add := func(alias string, cols []column, keys []string) {
		for _, c := range cols {
			s.cols = append(s.cols, column{alias + "." + c.text, c.typ})
		}
		for _, k := range keys {
			s.keys = append(s.keys, alias+"."+k)
		}
	}
	source := func(lateral *scope) string {
		alias := g.name("s")
		switch n := g.rng.IntN(12); {
		case n < 7 || depth <= 0:
			t := pick(g, g.tables)
			add(alias, t.cols, []string{"k"})
			return t.name + " AS " + alias
		case n == 7:
			add(alias, []column{{"v", "int4"}}, []string{"v"})
			return fmt.Sprintf("generate_series(%d, %d) AS %s(v)", g.rng.IntN(3), g.rng.IntN(6), alias)
		case n == 8:
			a, b := pick(g, typeNames), pick(g, typeNames)
			var rows []string
			for i := range 1 + g.rng.IntN(4) {
				rows = append(rows, fmt.Sprintf("(%d, %s, %s)", i, g.literal(a), g.literal(b)))
			}
			if a == "num" || b == "num" {
				g.loose = true
			}
			add(alias, []column{{"k", "int4"}, {"a", a}, {"b", b}}, []string{"k"})
			return "(VALUES " + strings.Join(rows, ", ") + ") AS " + alias + "(k, a, b)"
		case n == 9:
			add(alias, []column{{"e", "text"}, {"o", "int8"}}, []string{"o"})
			return "unnest(" + g.literal("texts") + ") WITH ORDINALITY AS " + alias + "(e, o)"
		default:
			// A query with one row for each of its keys.
			var inner string
			var cols []column
			if lateral != nil && g.chance(50) {
				inner, cols = g.derived(lateral, depth-1)
				inner = "LATERAL " + inner
			} else {
				inner, cols = g.derived(outer, depth-1)
			}
			add(alias, cols, []string{cols[0].text})
			return inner + " AS " + alias
		}
	}
	if g.chance(12) && depth > 0 && outer == nil {
		alias := g.name("w")
		inner, cols := g.derived(nil, depth-1)
		with = "WITH " + alias + " AS " + pick(g, []string{"", "MATERIALIZED ", "NOT MATERIALIZED "}) + inner + " "
		text = alias
		add(alias, cols, []string{cols[0].text})
		if g.chance(40) {
			again := g.name("s")
			add(again, cols, []string{cols[0].text})
			text += ", " + alias + " AS " + again
			return with, text, s
		}
	} else {
		text = source(nil)
	}
	for range pick(g, []int{0, 0, 1, 1, 2}) {
		before := &scope{cols: slices.Clone(s.cols), outer: outer}
		kind := pick(g, []string{"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ",", "LEFT JOIN", "JOIN"})
		lateral := before
		if kind == "RIGHT JOIN" || kind == "FULL JOIN" || kind == "," {
			lateral = nil
		}
		right := source(lateral)
		if kind == "CROSS JOIN" || kind == "," {
			text += " " + kind + " " + right
			if kind == "," { // what follows may not read what is before the comma
				return with, text, s
			}
			continue
		}
		text += " " + kind + " " + right + " ON " + g.condition(s, len(before.cols), kind, depth)
	}
	return with, text, s
}

// condition joins what is before at with what is after it.
func (g *Generator) condition(s *scope, at int, kind string, depth int) string {
	left := &scope{cols: s.cols[:at]}
	right := &scope{cols: s.cols[at:]}
	var keys []string
	for _, c := range left.cols {
		for _, d := range right.of(c.typ) {
			if c.typ != "json" {
				keys = append(keys, c.text+" = "+d.text)
			}
		}
	}
	cond := "true"
	if len(keys) > 0 {
		cond = pick(g, keys)
	}
	if kind == "FULL JOIN" { // PostgreSQL joins fully by hash or merge only
		if len(keys) > 1 && g.chance(30) {
			cond += " AND " + pick(g, keys)
		}
		return cond
	}
	both := &scope{cols: s.cols, flat: true}
	if g.chance(30) { // a subquery may read one side, of any join
		one := pick(g, []*scope{left, right})
		return cond + " AND " + g.expr(one, "bool", 1)
	}
	switch g.rng.IntN(4) {
	case 0:
		cond += " AND " + g.expr(both, "bool", 1)
	case 1:
		cond = g.expr(both, "bool", 2)
	case 2:
		both.flat = depth <= 0 || kind != "JOIN" // a subquery that reads both sides
		cond = g.expr(both, "bool", 1)
	}
	return cond
}

// derived is a query in parentheses whose rows its first column tells apart.
func (g *Generator) derived(outer *scope, depth int) (string, []column) {
	if g.chance(40) { // grouped by one key
		with, from, s := g.from(outer, depth-1)
		key := g.leafOf(s, pick(g, []string{"int4", "text", "int4"}))
		names := []column{{"k", key.typ}}
		text := key.text + " AS k"
		for range 1 + g.rng.IntN(2) {
			a := g.aggregate(s, false, 1)
			n := g.name("a")
			text += ", " + a.text + " AS " + n
			names = append(names, column{n, a.typ})
		}
		return "(" + with + "SELECT " + text + " FROM " + from + g.where(s, depth-1) + " GROUP BY " + key.text + ")", names
	}
	if g.chance(15) { // of two tables
		a, b := g.rows3(outer, 0), g.rows3(outer, 1000)
		return "(" + a + pick(g, []string{" UNION ALL ", " UNION ALL ", " UNION "}) + b + ")", []column{{"k", "int4"}, {"u", "int4"}, {"v", "text"}}
	}
	t := pick(g, g.tables)
	alias := g.name("s")
	s := &scope{outer: outer, keys: []string{alias + ".k"}}
	for _, c := range t.cols {
		s.cols = append(s.cols, column{alias + "." + c.text, c.typ})
	}
	if g.chance(12) { // the first row of each value
		e := g.expr(s, "text", 1)
		return fmt.Sprintf("(SELECT DISTINCT ON (%s.c1) %s.c1 AS k, %s.k AS first, %s AS e FROM %s AS %s%s ORDER BY %s.c1, %s.k%s)", alias, alias, alias, e, t.name, alias,
			g.where(s, depth-1), alias, alias, pick(g, []string{"", " DESC"})), []column{{"k", "int4"}, {"first", "int4"}, {"e", "text"}}
	}
	its := append([]item{{alias + ".k", "int4", "k"}}, g.items(s, 1+g.rng.IntN(3), 1, false)...)
	if g.chance(30) {
		typ := pick(g, []string{"int8", "int4", "text", "bool", "date"})
		flat := &scope{cols: s.cols, keys: s.keys, flat: true}
		its = append(its, item{g.form(flat, pick(g, grammar["win "+typ]), 1), typ, g.name("w")})
	}
	cols := make([]column, len(its))
	for i, it := range its {
		cols[i] = column{it.name, it.typ}
		if it.typ == "num" {
			g.loose = true
		}
	}
	text := "(SELECT " + list(its) + " FROM " + t.name + " AS " + alias + g.where(s, depth-1)
	if g.chance(20) {
		text += fmt.Sprintf(" ORDER BY %s.k LIMIT %d", alias, g.rng.IntN(6))
	}
	return text + ")", cols
}

// rows3 is a query of the columns k, u and v, with k moved.
func (g *Generator) rows3(outer *scope, by int) string {
	t := pick(g, g.tables)
	alias := g.name("s")
	s := &scope{outer: outer}
	for _, c := range t.cols {
		s.cols = append(s.cols, column{alias + "." + c.text, c.typ})
	}
	return fmt.Sprintf("SELECT %s.k + %d AS k, %s AS u, %s AS v FROM %s AS %s%s", alias, by, g.expr(s, "int4", 1), g.expr(s, "text", 1), t.name, alias, g.where(s, 1))
}

// leafOf is a column of a type, or else the first column.
func (g *Generator) leafOf(s *scope, typ string) column {
	if cols := s.of(typ); len(cols) > 0 {
		return pick(g, cols)
	}
	return s.cols[0]
}

func (g *Generator) where(s *scope, depth int) string {
	if !g.chance(55) {
		return ""
	}
	return " WHERE " + g.expr(s, "bool", max(depth, 1))
}

// tail orders by all columns, in some order, and perhaps takes a part.
func (g *Generator) tail(columns int) (string, bool) {
	if !g.chance(40) {
		return "", false
	}
	order := g.rng.Perm(columns)
	words := make([]string, columns)
	for i, n := range order {
		words[i] = fmt.Sprint(n+1) + pick(g, []string{"", "", " DESC", " ASC"}) + pick(g, []string{"", "", " NULLS FIRST", " NULLS LAST"})
	}
	text := " ORDER BY " + strings.Join(words, ", ")
	switch g.rng.IntN(8) {
	case 0:
		text += fmt.Sprintf(" LIMIT %d", g.rng.IntN(6))
	case 1:
		text += fmt.Sprintf(" LIMIT %d OFFSET %d", g.rng.IntN(6), g.rng.IntN(4))
	case 2:
		text += fmt.Sprintf(" OFFSET %d", g.rng.IntN(4))
	case 3:
		text += fmt.Sprintf(" FETCH FIRST %d ROWS WITH TIES", 1+g.rng.IntN(3))
	}
	return text, true
}

// selected is a query with joins and conditions.
func (g *Generator) selected() Query {
	with, from, s := g.from(nil, 2)
	items := g.items(s, 1+g.rng.IntN(3), 2, false)
	tail, ordered := g.tail(len(items))
	if ordered {
		g.loose = true
	}
	return Query{SQL: with + "SELECT " + list(items) + " FROM " + from + g.where(s, 2) + tail, Ordered: ordered}
}

// aggregate is an aggregate call of a type that there is.
func (g *Generator) aggregate(s *scope, rough bool, depth int) column {
	typ := pick(g, []string{"int8", "int8", "int8", "int4", "int4", "num", "num", "float", "bool", "text", "date", "ts", "tz", "ivl", "ints", "texts", "json"})
	inner := &scope{cols: s.cols, keys: s.keys, flat: true}
	for {
		f := pick(g, grammar["agg "+typ])
		if f.rough && !rough {
			continue
		}
		if typ == "num" || typ == "ivl" {
			g.loose = true
		}
		return column{g.form(inner, f, depth), typ}
	}
}

// grouped is a query with GROUP BY, or aggregates without.
func (g *Generator) grouped() Query {
	with, from, s := g.from(nil, 1)
	g.loose = true
	var keys []column
	for range g.rng.IntN(3) {
		typ := pick(g, []string{"int4", "text", "bool", "date", "int8", "int4", "text", "num", "ts", "uuid", "ints", "time", "json"})
		inner := &scope{cols: s.cols, flat: true}
		k := column{g.expr(inner, typ, g.rng.IntN(2)), typ}
		if !s.reads(k.text) {
			k = g.leafOf(s, typ)
		}
		keys = append(keys, k)
	}
	above := &scope{flat: true} // an aggregate in a subquery would be one of the query around it
	above.cols = append(above.cols, keys...)
	group := ""
	if len(keys) > 0 {
		words := make([]string, len(keys))
		for i, k := range keys {
			words[i] = k.text
		}
		all := strings.Join(words, ", ")
		sets := ""
		switch g.rng.IntN(10) {
		case 0:
			sets = "ROLLUP (" + all + ")"
		case 1:
			sets = "CUBE (" + all + ")"
		case 2:
			sets = "GROUPING SETS ((" + all + "), (" + words[0] + "), ())"
		}
		if sets != "" && !slices.ContainsFunc(keys, func(k column) bool { return strings.ContainsAny(k.text, "( ") }) {
			// PostgreSQL 15 folds constants in keys, and forgets that a set leaves them out.
			above.cols = append(above.cols, column{"grouping(" + all + ")", "int4"})
			all = sets
		}
		group = " GROUP BY " + all
	}
	var items []item
	for range 1 + g.rng.IntN(2) {
		a := g.aggregate(s, true, 1)
		items = append(items, item{a.text, a.typ, g.name("a")})
	}
	for _, k := range keys {
		items = append(items, item{k.text, k.typ, g.name("k")})
	}
	for range 2 {
		above.cols = append(above.cols, g.aggregate(s, false, 0))
	}
	items = append(items, g.items(above, g.rng.IntN(2), 2, false)...)
	if g.chance(25) {
		items = append(items, g.overGroups(s, keys))
	}
	text := with + "SELECT " + list(items) + " FROM " + from + g.where(s, 1) + group
	if (len(keys) > 0 || g.chance(20)) && g.chance(25) {
		text += " HAVING " + g.expr(above, "bool", 2)
	}
	tail, ordered := g.tail(len(items))
	if strings.Contains(group, "((") || strings.Contains(group, "ROLLUP") || strings.Contains(group, "CUBE") {
		// PostgreSQL 15 does not sort by a key that WHERE makes a constant, though sets make it NULL.
		tail, ordered = "", false
	}
	if strings.Contains(text, "~") || strings.Contains(text, "regr_") || strings.Contains(text, "stddev") || strings.Contains(text, "corr(") || strings.Contains(text, "covar") || strings.Contains(text, "var_pop") {
		tail, ordered = "", false // rough values have no sure order
	}
	return Query{SQL: text + tail, Ordered: ordered}
}

// overGroups is a subquery that reads groups: keys that are columns, and aggregates of columns.
func (g *Generator) overGroups(s *scope, keys []column) item {
	groups := &scope{}
	for _, k := range keys {
		if !strings.ContainsAny(k.text, "( ") {
			groups.cols = append(groups.cols, k)
		}
	}
	for range 2 {
		if a := g.aggregate(s, false, 0); s.reads(a.text) {
			groups.cols = append(groups.cols, a)
		}
	}
	typ := pick(g, []string{"int8", "int4", "bool", "text", "date"})
	if len(groups.cols) == 0 {
		return item{g.literal(typ), typ, g.name("o")}
	}
	if g.chance(30) {
		c := pick(g, groups.cols)
		return item{"(SELECT " + c.text + ")", c.typ, g.name("o")}
	}
	return item{g.scalar(groups, typ, 1), typ, g.name("o")}
}

// changed is a query with INSERT, UPDATE and DELETE in its WITH, each of a table of its own.
func (g *Generator) changed() Query {
	var parts []string
	order := g.rng.Perm(len(g.tables))
	change := func(t table) string {
		s := &scope{}
		for _, c := range t.cols {
			s.cols = append(s.cols, column{"a." + c.text, c.typ})
		}
		where := g.where(s, 1)
		if n := len(parts); n > 0 && g.chance(50) {
			where = fmt.Sprintf(" WHERE a.k IN (SELECT k FROM m%d)", 1+g.rng.IntN(n))
		}
		shown := &scope{flat: true, cols: s.cols}
		text := ""
		switch g.rng.IntN(3) {
		case 0:
			text = "DELETE FROM " + t.name + " AS a" + where
		case 1:
			c := pick(g, t.cols)
			text = "UPDATE " + t.name + " AS a SET " + c.text + " = " + g.expr(s, c.typ, 1) + where
		default:
			text = "INSERT INTO " + t.name + " AS a (k, c1) SELECT a.k + 100, " + g.expr(s, "int4", 1) + " FROM " + t.name + " AS a" + where
		}
		return text + " RETURNING a.k, " + g.expr(shown, "int4", 1) + " AS r, " + g.expr(shown, "text", 1) + " AS s"
	}
	for i := range 1 + g.rng.IntN(2) {
		parts = append(parts, fmt.Sprintf("m%d AS (%s)", i+1, change(g.tables[order[i]])))
	}
	n := len(parts)
	body := fmt.Sprintf("SELECT * FROM m%d", 1+g.rng.IntN(n))
	switch g.rng.IntN(4) {
	case 0:
		body = "SELECT count(*) FROM " + g.tables[order[0]].name
	case 1:
		body = change(g.tables[order[2]])
	case 2:
		body = fmt.Sprintf("SELECT a.k, a.r, b.s FROM m1 AS a LEFT JOIN m%d AS b ON a.k = b.k", n)
	}
	return Query{SQL: "WITH " + strings.Join(parts, ", ") + " " + body, Writes: true}
}

// Tables are queries for all rows of the tables.
func (g *Generator) Tables() []string {
	var out []string
	for _, t := range g.tables {
		out = append(out, "SELECT * FROM "+t.name)
	}
	return out
}

// windowed is a query with window functions.
func (g *Generator) windowed() Query {
	with, from, s := g.from(nil, 1)
	s.flat = true
	above := &scope{cols: slices.Clone(s.cols), flat: true}
	var items []item
	for range 1 + g.rng.IntN(2) {
		typ := pick(g, []string{"int8", "int8", "int4", "int4", "num", "float", "text", "bool", "date", "ivl", "ints"})
		w := g.form(s, pick(g, grammar["win "+typ]), 1)
		items = append(items, item{w, typ, g.name("w")})
		above.cols = append(above.cols, column{w, typ})
	}
	items = append(items, g.items(above, g.rng.IntN(2), 1, false)...)
	for _, k := range s.keys {
		items = append(items, item{k, "int4", g.name("k")})
	}
	tail, ordered := g.tail(len(items))
	g.loose = true
	return Query{SQL: with + "SELECT " + list(items) + " FROM " + from + g.where(s, 1) + tail, Ordered: ordered}
}

// united puts queries of the same columns together.
func (g *Generator) united() Query {
	g.loose = true
	n := 1 + g.rng.IntN(2)
	kinds := make([]string, n)
	for i := range kinds {
		kinds[i] = pick(g, []string{"int4", "text", "num", "date", "ts", "bool", "int8", "float", "json", "ints", "uuid"})
	}
	part := func() string {
		with, from, s := g.from(nil, 1)
		var items []item
		for i, k := range kinds {
			if k == "num" && g.chance(30) {
				k = "int4"
			}
			items = append(items, item{g.expr(s, k, 1), k, fmt.Sprintf("u%d", i)})
		}
		text := with + "SELECT " + list(items) + " FROM " + from + g.where(s, 1)
		if with != "" {
			return "(" + text + ")"
		}
		return text
	}
	op := func() string {
		return " " + pick(g, []string{"UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"}) + " "
	}
	text := part() + op() + part()
	if g.chance(30) {
		if g.chance(50) {
			text += op() + part()
		} else {
			text = "(" + text + ")" + op() + part()
		}
	}
	tail, ordered := g.tail(n)
	return Query{SQL: text + tail, Ordered: ordered}
}

// distinct is a query with DISTINCT, or DISTINCT ON its first columns.
func (g *Generator) distinct() Query {
	g.loose = true
	with, from, s := g.from(nil, 1)
	s.flat = true
	items := g.items(s, 1+g.rng.IntN(3), 1, false, "int4", "text", "bool", "num", "date", "json", "uuid", "ints", "tz")
	where := g.where(s, 1)
	if g.chance(50) {
		tail, ordered := g.tail(len(items))
		return Query{SQL: with + "SELECT DISTINCT " + list(items) + " FROM " + from + where + tail, Ordered: ordered}
	}
	on := items[0].text
	if !s.reads(on) {
		items[0] = item{s.keys[0], "int4", "x0"}
		on = items[0].text
	}
	words := make([]string, len(items))
	for i := range items {
		words[i] = fmt.Sprint(i+1) + pick(g, []string{"", " DESC"})
	}
	return Query{SQL: with + "SELECT DISTINCT ON (" + on + ") " + list(items) + " FROM " + from + where + " ORDER BY " + strings.Join(words, ", "), Ordered: true}
}

// inner makes the FROM and WHERE of a subquery that may read s.
func (g *Generator) inner(s *scope) (string, *scope) {
	t := pick(g, g.tables)
	alias := g.name("q")
	outer := &scope{cols: slices.Clone(s.cols)}
	if s.outer != nil {
		outer.cols = append(outer.cols, s.outer.cols...)
	}
	in := &scope{outer: outer}
	for _, c := range t.cols {
		in.cols = append(in.cols, column{alias + "." + c.text, c.typ})
	}
	text := " FROM " + t.name + " AS " + alias
	if g.chance(15) {
		u := pick(g, g.tables)
		other := g.name("q")
		text += " " + pick(g, []string{"JOIN", "LEFT JOIN"}) + " " + u.name + " AS " + other + " ON " + alias + ".k = " + other + ".k"
		for _, c := range u.cols {
			in.cols = append(in.cols, column{other + "." + c.text, c.typ})
		}
	}
	switch g.rng.IntN(4) {
	case 0:
	case 1: // an equality with what is around
		c := pick(g, in.cols)
		if o := outer.of(c.typ); len(o) > 0 && c.typ != "json" {
			text += " WHERE " + c.text + " = " + pick(g, o).text
			break
		}
		fallthrough
	default:
		in.flat = g.chance(70)
		text += " WHERE " + g.expr(in, "bool", 1)
	}
	return text, in
}

// scalar is a subquery of at most one row.
func (g *Generator) scalar(s *scope, typ string, depth int) string {
	from, in := g.inner(s)
	in.flat = true
	if forms := grammar["agg "+typ]; len(forms) > 0 && g.chance(60) {
		for {
			f := pick(g, forms)
			if !f.rough {
				// What is around is left out of arguments: an aggregate of such alone would be one of the
				// query around.
				return "(SELECT " + g.form(&scope{cols: in.cols, flat: true}, f, min(depth, 1)) + from + ")"
			}
		}
	}
	if typ == "json" {
		return "(SELECT to_jsonb(count(*))" + from + ")"
	}
	return "(SELECT " + g.expr(in, typ, min(depth, 1)) + from + " ORDER BY 1" + pick(g, []string{"", " DESC", " NULLS FIRST"}) + " LIMIT 1)"
}

// rows is a subquery of one column.
func (g *Generator) rows(s *scope, typ string, depth int, ordered bool) string {
	from, in := g.inner(s)
	in.flat = true
	text := "(SELECT " + g.expr(in, typ, min(depth, 1)) + from
	if ordered {
		text += " ORDER BY 1"
	}
	return text + ")"
}

func (g *Generator) exists(s *scope) string {
	from, _ := g.inner(s)
	return pick(g, []string{"", "NOT "}) + "EXISTS (SELECT 1" + from + ")"
}
