package pgcatalog

import (
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/agg"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// proc is a row of pg_proc.
type proc struct {
	oid      uint32
	name     string
	schema   uint32
	kind     string // f, a, w or p
	set      bool   // gives rows
	volatile string // i, s or v
	strict   bool
	variadic uint32
	result   uint32
	args     []uint32
	all      []uint32 // with those that it gives back; nil if there are none
	modes    []string
	names    []string
	source   string
}

// procs lists the functions there are: those of PostgreSQL that statements may call, those that
// other tables of the catalog name, and then ours.
var procs = sync.OnceValue(func() []*proc {
	named := map[string]bool{} // by tables of the catalog
	for _, d := range rows("pg_type.tsv") {
		for _, c := range []string{"typinput", "typoutput", "typreceive", "typsend"} {
			named[d[c]] = true
		}
	}
	for _, d := range rows("pg_range.tsv") {
		named[d["rngcanonical"]], named[d["rngsubdiff"]] = true, true
	}
	for _, d := range rows("pg_cast.tsv") {
		named[d["castfunc"]] = true
	}
	for _, d := range rows("pg_operator.tsv") {
		named[d["oprcode"]] = true
	}
	for _, name := range []string{"heap_tableam_handler", "bthandler", "record_in", "record_out", "record_recv", "record_send", "iso8859_1_to_utf8"} {
		named[name] = true
	}
	out := []*proc{{oid: handlerPlpgsql, name: "plpgsql_call_handler", schema: schemaCatalog, kind: "f", volatile: "v", result: 2280, source: "plpgsql_call_handler"}}
	ofPostgres := map[string]bool{}
	for _, d := range rows("pg_proc.tsv") {
		name := d["proname"]
		ofPostgres[name] = true
		if !named[name] && !named[d["oid"]] && !(callable(name) && ours(d)) {
			continue
		}
		p := &proc{oid: number(d["oid"]), name: name, schema: schemaCatalog, kind: d["prokind"], set: d["proretset"] == "t", volatile: d["provolatile"],
			strict: d["proisstrict"] == "t", variadic: number(d["provariadic"]), result: number(d["prorettype"]), args: numbers(d["proargtypes"]),
			all: numbers(d["proallargtypes"]), modes: list(d["proargmodes"]), names: list(d["proargnames"]), source: d["prosrc"]}
		if p.source == "" {
			p.source = name
		}
		out = append(out, p)
	}
	for _, s := range expr.Signatures() {
		if ofPostgres[s.Name] {
			continue
		}
		p := &proc{name: s.Name, schema: schemaPrickle, kind: "f", volatile: "i", result: s.Result.OID(), source: s.Name}
		if s.Volatile {
			p.volatile = "v"
		}
		signature := s.Name
		for _, a := range s.Args {
			p.args = append(p.args, a.OID())
			signature += " " + a.String()
		}
		p.oid = functionOID(signature)
		out = append(out, p)
	}
	return append(out, generalProcs()...)
})

// generalProcs makes the rows of general.
func generalProcs() []*proc {
	types := map[string]uint32{}
	for _, t := range builtinTypes() {
		types[t.shown] = t.oid
	}
	var out []*proc
	for _, g := range general {
		p := &proc{oid: functionOID(strings.Join(g, " ")), name: g[0], schema: schemaPrickle, kind: "f", volatile: "i", result: types[g[1]], source: g[0]}
		if agg.IsAggregate(p.name) {
			p.kind, p.source = "a", "aggregate_dummy"
		}
		for _, a := range g[2:] {
			a, variadic := strings.CutPrefix(a, "VARIADIC ")
			t := types[a]
			p.args, p.modes = append(p.args, t), append(p.modes, "i")
			if variadic {
				p.modes[len(p.modes)-1] = "v"
				if p.variadic = t; typesByOID()[t].elem != 0 {
					p.variadic = typesByOID()[t].elem
				}
			}
		}
		if p.variadic == 0 {
			p.modes = nil
		} else {
			p.all = p.args
		}
		out = append(out, p)
	}
	return out
}

// callable says whether a statement may call a function of that name.
func callable(name string) bool {
	return expr.IsFunction(name) || expr.IsTableFunction(name) || agg.IsAggregate(name)
}

// general is those of our functions that take arguments of more than one type: name, result, and the
// arguments. The first of them are aggregates.
var general = [][]string{
	{"any_value", "anyelement", "anyelement"},
	{"approx_count_distinct", "bigint", `"any"`},
	{"approx_quantile", "double precision", "double precision", "double precision"},
	{"approx_top_k", "anyarray", "anyelement", "integer"},
	{"arg_max", "anyelement", "anyelement", `"any"`},
	{"arg_min", "anyelement", "anyelement", `"any"`},
	{"bitmap_agg", "bitmap", "bigint"},
	{"bitmap_and_agg", "bitmap", "bitmap"},
	{"bitmap_or_agg", "bitmap", "bitmap"},
	{"count_if", "bigint", "boolean"},
	{"entropy", "double precision", `"any"`},
	{"first", "anyelement", "anyelement"},
	{"geomean", "double precision", "double precision"},
	{"histogram", "jsonb", `"any"`},
	{"kurtosis", "double precision", "double precision"},
	{"last", "anyelement", "anyelement"},
	{"max_by", "anyelement", "anyelement", `"any"`},
	{"median", "double precision", "double precision"},
	{"min_by", "anyelement", "anyelement", `"any"`},
	{"product", "double precision", "double precision"},
	{"quantile", "double precision", "double precision", "double precision"},
	{"retention", "boolean[]", "VARIADIC boolean[]"},
	{"sequence_count", "bigint", "text", "timestamp with time zone", "VARIADIC boolean[]"},
	{"sequence_match", "boolean", "text", "timestamp with time zone", "VARIADIC boolean[]"},
	{"skewness", "double precision", "double precision"},
	{"window_funnel", "integer", "interval", "timestamp with time zone", "VARIADIC boolean[]"},
	{"array_contains", "boolean", "anyarray", "anyelement"},
	{"array_distinct", "anyarray", "anyarray"},
	{"array_has_any", "boolean", "anyarray", "anyarray"},
	{"array_sort", "anyarray", "anyarray"},
	{"hash", "bigint", `VARIADIC "any"`},
	{"if", "anyelement", "boolean", "anyelement", "anyelement"},
	{"ifnull", "anyelement", "anyelement", "anyelement"},
	{"nvl", "anyelement", "anyelement", "anyelement"},
}

// ours says whether we know the types of a function of PostgreSQL: it has many more.
func ours(d map[string]string) bool {
	if d["proargtypes"] == "" && d["prorettype"] == "869" { // inet: the addresses of a connection
		return true
	}
	return allOurs(append(strings.Fields(d["proargtypes"]), d["prorettype"])...)
}

// allOurs says whether we know types; 0 is none.
func allOurs(types ...string) bool {
	for _, t := range types {
		if t != "0" && !ourTypes()[number(t)] {
			return false
		}
	}
	return true
}

// ourTypes is the types that values have here, and those that stand for any of them.
var ourTypes = sync.OnceValue(func() map[uint32]bool {
	out := map[uint32]bool{}
	kinds := append([]vec.Kind(nil), vec.RegKinds...)
	for k := vec.Bool; k <= vec.OIDVector; k++ {
		kinds = append(kinds, k)
	}
	for _, k := range kinds {
		out[vec.T(k).OID()], out[vec.ArrayOf(k).OID()] = true, true
	}
	for _, t := range builtinTypes() {
		switch t.name {
		case "json", "_json", "jsonpath", "void", "any", "anyelement", "anyarray", "anynonarray", "anycompatible", "anycompatiblearray", "anycompatiblenonarray", "cstring":
			out[t.oid] = true
		}
	}
	return out
})

// numbers reads "23 25", or "{23,25}".
func numbers(s string) []uint32 {
	var out []uint32
	for _, w := range list(s) {
		out = append(out, number(w))
	}
	return out
}

// list reads "{a,b}"; it is nil for nothing.
func list(s string) []string {
	if strings.Trim(s, "{}") == "" {
		return nil
	}
	return strings.FieldsFunc(strings.Trim(s, "{}"), func(r rune) bool { return r == ' ' || r == ',' })
}

var procsByOID = sync.OnceValue(func() map[uint32]*proc {
	out := map[uint32]*proc{}
	for _, p := range procs() {
		out[p.oid] = p
	}
	return out
})

// procsByName finds the functions of a name.
var procsByName = sync.OnceValue(func() map[string][]*proc {
	out := map[string][]*proc{}
	for _, p := range procs() {
		out[p.name] = append(out[p.name], p)
	}
	return out
})

// procOID is the object id of a function of the catalog; 0 for "-".
func procOID(name string) uint32 {
	if list := procsByName()[name]; list != nil {
		return list[0].oid
	}
	return 0
}

// arguments is pg_get_function_arguments.
func (r *Reader) arguments(p *proc) string {
	types, modes := p.args, p.modes
	if p.all != nil {
		types = p.all
	}
	var out []string
	for i, t := range types {
		word := ""
		if i < len(modes) {
			switch modes[i] {
			case "o":
				word = "OUT "
			case "b":
				word = "INOUT "
			case "v":
				word = "VARIADIC "
			case "t":
				continue
			}
		}
		if i < len(p.names) && p.names[i] != `""` {
			word += quoteName(p.names[i]) + " "
		}
		name, _ := r.typeName(t)
		out = append(out, word+name)
	}
	return strings.Join(out, ", ")
}

// result is pg_get_function_result.
func (r *Reader) result(p *proc) string {
	var columns []string
	for i, m := range p.modes {
		if m == "t" && i < len(p.all) {
			name, _ := r.typeName(p.all[i])
			columns = append(columns, quoteName(p.names[i])+" "+name)
		}
	}
	if columns != nil {
		return "TABLE(" + strings.Join(columns, ", ") + ")"
	}
	name, _ := r.typeName(p.result)
	if p.set {
		return "SETOF " + name
	}
	return name
}

// functions fills pg_proc and what hangs on it.
func functions() {
	statics["pg_catalog.pg_proc"] = func(t *table) {
		for _, p := range procs() {
			language, rows := languageInternal, 0
			if p.set {
				rows = 1000
			}
			pairs := []any{"oid", p.oid, "proname", p.name, "pronamespace", p.schema, "proowner", owner, "prolang", language, "procost", 1, "prorows", rows,
				"provariadic", p.variadic, "prokind", p.kind, "proisstrict", p.strict, "proretset", p.set, "provolatile", p.volatile, "proparallel", "s",
				"pronargs", len(p.args), "prorettype", p.result, "proargtypes", p.args, "prosrc", p.source}
			if p.all != nil {
				pairs = append(pairs, "proallargtypes", p.all)
			}
			if p.modes != nil {
				pairs = append(pairs, "proargmodes", p.modes)
			}
			if p.names != nil {
				names := make([]string, len(p.names))
				for i, n := range p.names {
					names[i] = strings.Trim(n, `"`)
				}
				pairs = append(pairs, "proargnames", names)
			}
			t.add(pairs...)
		}
	}
	statics["pg_catalog.pg_aggregate"] = func(t *table) {
		for _, d := range rows("pg_aggregate.tsv") {
			if procsByOID()[number(d["aggfnoid"])] != nil {
				t.add("aggfnoid", d["aggfnoid"], "aggkind", d["aggkind"], "aggnumdirectargs", d["aggnumdirectargs"])
			}
		}
		for _, p := range procs() {
			if p.kind == "a" && p.schema == schemaPrickle {
				t.add("aggfnoid", p.oid, "aggkind", "n", "aggnumdirectargs", 0)
			}
		}
	}
}
