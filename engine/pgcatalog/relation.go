package pgcatalog

import (
	"embed"
	"strconv"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/storage/vec"
)

//go:embed data/relations.txt data/pg_type.tsv data/pg_proc.tsv data/pg_cast.tsv data/pg_operator.tsv data/pg_range.tsv data/pg_aggregate.tsv data/keywords.tsv data/pg_opclass.tsv data/pg_opfamily.tsv
var data embed.FS

// relation is a table of the catalog.
type relation struct {
	*catalog.Table
	kind    string // relkind
	rowType uint32
	types   []string // of the columns, as the data has them
	notNull []bool
	at      map[string]int // columns by name

	once   sync.Once
	static *vec.Batch // of all columns
}

// columns lists the columns of the relation.
func (r *relation) columns() []column {
	out := make([]column, len(r.Columns))
	for i, c := range r.Columns {
		out[i] = column{number: i + 1, name: c.Name, t: c.Type, notNull: r.notNull[i]}
	}
	return out
}

// relations is all tables of the catalog, in the order of the data.
var relations = sync.OnceValue(func() []*relation {
	var out []*relation
	for line := range strings.Lines(file("relations.txt")) {
		if line[0] == '#' {
			continue
		}
		out = append(out, parseRelation(strings.Fields(line)))
	}
	return out
})

// byName finds a table of the catalog by its schema and name with a dot between.
var byName = sync.OnceValue(func() map[string]*relation {
	out := map[string]*relation{}
	for _, r := range relations() {
		out[r.System+"."+r.Name] = r
	}
	return out
})

// Find is a table of the catalog; nil if there is none of that name.
func Find(schema, name string) *catalog.Table {
	if r := byName()[schema+"."+name]; r != nil {
		return r.Table
	}
	return nil
}

// LookUp finds a table of a schema; without a schema, along the search path. Without temp, names
// mean no temporary tables.
func LookUp(c *catalog.Catalog, schema, name string, temp bool) *catalog.Table {
	if schema != "" {
		return in(c, schema, name)
	}
	for _, s := range c.Searched() {
		if t := in(c, s, name); t != nil && (temp || !t.Temp()) {
			return t
		}
	}
	return nil
}

// in finds a table of a schema.
func in(c *catalog.Catalog, schema, name string) *catalog.Table {
	if schema == "prickle" {
		return c.Builtin(name)
	}
	if t := c.In(schema, name); t != nil {
		return t
	}
	return Find(schema, name)
}

// Names lists the tables of a schema of the catalog.
func Names(schema string) []string {
	var out []string
	for _, r := range relations() {
		if r.System == schema {
			out = append(out, r.Name)
		}
	}
	return out
}

func file(name string) string {
	b, err := data.ReadFile("data/" + name)
	if err != nil {
		panic(err) // it was there when the program was built
	}
	return string(b)
}

func parseRelation(words []string) *relation {
	schema, name, _ := strings.Cut(words[0], ".")
	r := &relation{Table: &catalog.Table{OID: number(words[1]), Name: name, System: schema}, kind: words[2], rowType: number(words[3]), at: map[string]int{}}
	for i, w := range words[4:] {
		name, t, _ := strings.Cut(w, ":")
		t, notNull := strings.CutSuffix(t, "!")
		r.Columns = append(r.Columns, catalog.Column{Name: name, Type: typeOf(t)})
		r.types, r.notNull = append(r.types, t), append(r.notNull, notNull)
		r.at[name] = i
	}
	return r
}

// number reads a number of the data.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err) // the data is part of the program
	}
	return uint32(n)
}

// columnKinds are the types of the columns of catalogs. Those that are not here are text to us:
// nothing but null ever stands in such a column.
var columnKinds = map[string]vec.Kind{
	"bool": vec.Bool, "int2": vec.Int2, "int4": vec.Int4, "int8": vec.Int8, "float4": vec.Float4, "float8": vec.Float8,
	"numeric": vec.Numeric, "text": vec.Text, "varchar": vec.Varchar, "name": vec.Name, "char": vec.Char, "bytea": vec.Bytea,
	"timestamptz": vec.TimestampTZ, "interval": vec.Interval, "oid": vec.OID, "regproc": vec.RegProc, "regtype": vec.RegType,
	"xid": vec.XID, "aclitem": vec.ACLItem, "pg_node_tree": vec.NodeTree, "int2vector": vec.Int2Vector, "oidvector": vec.OIDVector, "anyarray": vec.AnyArray, "inet": vec.Inet,
}

func typeOf(word string) vec.Type {
	word, array := strings.CutSuffix(word, "[]")
	kind, ok := columnKinds[word]
	if !ok {
		return vec.T(vec.Text)
	}
	t := vec.Type{Kind: kind, Array: array}
	t.Array = t.Array || t.IsVector()
	return t
}

// rows reads a table of the data: a map from a column's name to its value for each row.
func rows(name string) []map[string]string {
	var header []string
	var out []map[string]string
	for line := range strings.Lines(file(name)) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if header == nil {
			header = words
			continue
		}
		row := make(map[string]string, len(header))
		for i, h := range header {
			row[h] = words[i]
		}
		out = append(out, row)
	}
	return out
}
