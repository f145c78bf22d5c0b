package pgcatalog

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// procsNamed lists the functions of a name, in a schema if there is one.
func (r *Reader) procsNamed(schema, name string) []*proc {
	var out []*proc
	for _, p := range procsByName()[name] {
		if schema == "" || r.catalog.SchemaName(p.schema) == schema {
			out = append(out, p)
		}
	}
	return out
}

// findProcedure finds a function by its name and the types of its arguments: abs(integer).
func (r *Reader) findProcedure(written string) (uint32, error) {
	name, types, err := cutTypes(written)
	if err != nil {
		return 0, err
	}
	var of []uint32
	for _, w := range words(types) {
		t, err := r.findType(w)
		if err != nil {
			return 0, err
		}
		of = append(of, t)
	}
	parts, ok := expr.ParseIdent(name)
	if !ok || len(parts) > 3 {
		return 0, pgerr.New("42602", "invalid name syntax: \"%s\"", written)
	}
	schema := ""
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	for _, p := range r.procsNamed(schema, parts[len(parts)-1]) {
		if slices.Equal(p.args, of) {
			return p.oid, nil
		}
	}
	return 0, pgerr.New(pgerr.UndefinedFunction, `function "%s" does not exist`, written)
}

// words are the types of a list, in which numeric(5,2) is one.
func words(list string) []string {
	var out []string
	if strings.TrimSpace(list) == "" {
		return nil
	}
	depth, from := 0, 0
	for i := range list {
		switch list[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out, from = append(out, list[from:i]), i+1
			}
		}
	}
	return append(out, list[from:])
}

// procName is how a function is shown: as a regproc, with its schema if others have its name, or as a
// regprocedure.
func (r *Reader) procName(kind vec.Kind, p *proc) string {
	name := quoteName(p.name)
	if kind == vec.RegProc {
		if len(procsByName()[p.name]) > 1 {
			return quoteName(r.catalog.SchemaName(p.schema)) + "." + name
		}
		return name
	}
	types := make([]string, len(p.args))
	for i, t := range p.args {
		types[i], _ = r.typeName(t)
	}
	return name + "(" + strings.Join(types, ",") + ")"
}

// functionDefinition is the statement that would make a function.
func (r *Reader) functionDefinition(p *proc) string {
	text := "CREATE OR REPLACE FUNCTION " + quoteName(r.catalog.SchemaName(p.schema)) + "." + quoteName(p.name) + "(" + r.arguments(p) + ")\n" +
		" RETURNS " + r.result(p) + "\n LANGUAGE internal\n"
	words := map[string]string{"i": " IMMUTABLE", "s": " STABLE"}[p.volatile]
	if p.kind == "w" {
		words = " WINDOW" + words
	}
	words += " PARALLEL SAFE"
	if p.strict {
		words += " STRICT"
	}
	return text + words + "\nAS $function$" + p.source + "$function$\n"
}
