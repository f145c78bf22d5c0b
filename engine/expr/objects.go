package expr

import (
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Objects finds what the database is made of, by name and by object id. The types regclass
// and its like need it, the functions that describe objects, and scans of the catalog's own
// tables. It sees one state, and may be used by several goroutines.
type Objects interface {
	// Find is the object id of a name as SQL writes it, perhaps with a schema. The kind of
	// object follows from the type: RegClass, RegType and so on.
	Find(kind vec.Kind, name string) (uint32, error)
	// Name is how an object id is shown: with a schema, if the name alone would not find
	// it; false for no such object.
	Name(kind vec.Kind, oid uint32) (string, bool)
	// Visible says whether an object's name alone finds it; false for no such object.
	Visible(kind vec.Kind, oid uint32) (visible, ok bool)
	// Describe answers one of the functions that put an object into words, by their names:
	// pg_get_indexdef. Part is a column's number, or 0, or 1 for what
	// is to be pretty; false is NULL.
	Describe(function string, oid uint32, part int) (string, bool)
	// Column is the number of a relation's column by its name. There is none of a relation that is not there.
	Column(relation uint32, name string) (number int, err error)
	// HasColumn says whether a relation has a column of a number.
	HasColumn(relation uint32, number int) bool
	// May answers has_table_privilege and its like for a role, empty for the current one, an
	// object id and a list of rights; ok is false for no such object.
	May(function, who string, oid uint32, rights string) (may, ok bool, err error)
	// Schemas lists the schemas in which names are looked up, with implicit those included that
	// search_path does not list.
	Schemas(implicit bool) []string
	// Size is what a relation takes on disk, in bytes; false for no such relation.
	Size(oid uint32) (int64, bool)
	// Table gives the rows of a table of the catalog: of pg_class, say.
	Table(name string, columns []string) ([]*vec.Batch, error)
}

// findObject reads the text of a regclass or its like: a number or a name.
func findObject(ctx *Context, kind vec.Kind, s string) (int64, error) {
	if s == "-" && !isOperator(kind) {
		return 0, nil
	}
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		if n, err := strconv.ParseUint(s, 10, 32); err == nil {
			return int64(n), nil
		}
	}
	if ctx.Objects == nil {
		return 0, pgerr.New(pgerr.UndefinedObject, `%s "%s" does not exist`, vec.T(kind), s)
	}
	oid, err := ctx.Objects.Find(kind, s)
	return int64(oid), err
}

// isOperator says whether values are operators, which may be called -.
func isOperator(kind vec.Kind) bool { return kind == vec.RegOper || kind == vec.RegOperator }

// typeByOID is the types of values, whose names need no catalog.
var typeByOID = func() map[uint32]vec.Type {
	out := map[uint32]vec.Type{}
	for k := vec.Unknown; k <= vec.OIDVector; k++ {
		for _, t := range []vec.Type{vec.ArrayOf(k), vec.T(k)} {
			out[t.OID()] = t
		}
	}
	return out
}()

// appendObject writes an object id by its name, or as a number if it has none.
func appendObject(dst []byte, kind vec.Kind, oid int64, objects Objects) []byte {
	if oid == 0 && !isOperator(kind) {
		return append(dst, '-')
	}
	if objects != nil {
		if name, ok := objects.Name(kind, uint32(oid)); ok {
			return append(dst, name...)
		}
	}
	if t, ok := typeByOID[uint32(oid)]; ok && kind == vec.RegType {
		return append(dst, t.String()...)
	}
	return strconv.AppendInt(dst, oid, 10)
}
