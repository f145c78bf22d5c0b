package bind

import (
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// typeNames are the names a type may be written with. A jsonpath is kept as the text that it is
// written as.
var typeNames = map[string]vec.Kind{
	"boolean": vec.Bool, "bool": vec.Bool,
	"smallint": vec.Int2, "int2": vec.Int2, "tinyint": vec.Int2,
	"integer": vec.Int4, "int": vec.Int4, "int4": vec.Int4, "int32": vec.Int4,
	"bigint": vec.Int8, "int8": vec.Int8, "int64": vec.Int8,
	"real": vec.Float4, "float4": vec.Float4,
	"double precision": vec.Float8, "float8": vec.Float8, "float": vec.Float8, "double": vec.Float8, "float64": vec.Float8,
	"numeric": vec.Numeric, "decimal": vec.Numeric, "dec": vec.Numeric,
	"text": vec.Text, "string": vec.Text,
	"varchar": vec.Varchar, "character varying": vec.Varchar,
	"char": vec.Bpchar, "character": vec.Bpchar, "bpchar": vec.Bpchar,
	"name": vec.Name, "bytea": vec.Bytea, "bitmap": vec.IntSet, "date": vec.Date,
	"time": vec.Time, "time without time zone": vec.Time,
	"timestamp": vec.Timestamp, "timestamp without time zone": vec.Timestamp, "datetime": vec.Timestamp,
	"timestamptz": vec.TimestampTZ, "timestamp with time zone": vec.TimestampTZ,
	"interval": vec.Interval, "uuid": vec.UUID,
	"jsonb": vec.JSONB, "json": vec.JSONB, "jsonpath": vec.Text, "oid": vec.OID,
	"regclass": vec.RegClass, "regtype": vec.RegType, "regproc": vec.RegProc, "regprocedure": vec.RegProcedure,
	"regnamespace": vec.RegNamespace, "regrole": vec.RegRole, "regoper": vec.RegOper, "regoperator": vec.RegOperator, "xid": vec.XID, "aclitem": vec.ACLItem, "pg_node_tree": vec.NodeTree,
	"int2vector": vec.Int2Vector, "oidvector": vec.OIDVector,
}

// knownTypes exist in PostgreSQL, and perhaps here later.
var knownTypes = map[string]bool{
	"timetz": true, "time with time zone": true, "bit": true, "varbit": true, "money": true, "xml": true,
	"inet": true, "cidr": true, "macaddr": true, "point": true, "tsvector": true, "tsquery": true, "record": true,
	"void": true, "unknown": true, "anyelement": true, "anyarray": true,
}

// maxPrecision is how many digits a numeric may have.
const maxPrecision = 38

// maxDecimals is how many decimals the seconds of a time have. PostgreSQL takes a greater number
// as this one, too.
const maxDecimals = 6

// typeOf is the type that a name in a statement means.
func (b *binder) typeOf(n *ast.TypeName) vec.Type {
	name := n.Name
	kind, ok := typeNames[name]
	if n.Quoted && name == "char" {
		kind, ok = vec.Char, true
	}
	if n.Schema != "" && n.Schema != "pg_catalog" {
		ok = false
	}
	if !ok {
		if knownTypes[name] {
			b.fail(pgerr.Unsupported("the type "+name), n.Pos())
		} else {
			e := pgerr.New(pgerr.UndefinedObject, `type "%s" does not exist`, n.Name)
			if near := nearest(name, mapKeys(typeNames)); near != "" {
				e.WithHint(`Perhaps you meant "%s".`, near)
			}
			b.fail(e, n.Pos())
		}
		return vec.T(vec.Text)
	}
	if n.Array > 1 {
		b.unsupported("an array of more than one dimension", n.Pos())
	}
	t := vec.Type{Kind: kind, Array: n.Array > 0}
	if t.Array && !vec.T(kind).HasArray() {
		b.unsupported("an array of "+name, n.Pos())
	}
	if t.IsVector() {
		if t.Array {
			b.unsupported("an array of "+name, n.Pos())
		}
		t.Array = true
	}
	t.Mod = b.typeMod(n, kind)
	return t
}

// typeMod is the modifier as PostgreSQL sends it.
func (b *binder) typeMod(n *ast.TypeName, kind vec.Kind) int32 {
	bad := func(format string, args ...any) int32 {
		b.fail(pgerr.New(pgerr.InvalidParameterValue, format, args...), n.Pos())
		return 0
	}
	switch kind {
	case vec.Varchar, vec.Bpchar:
		if len(n.Mods) == 0 {
			if kind == vec.Bpchar && n.Name != "bpchar" {
				return 5 // char is char(1)
			}
			return 0
		}
		if len(n.Mods) > 1 || n.Mods[0] < 1 {
			return bad("length for type %s must be at least 1", map[vec.Kind]string{vec.Varchar: "varchar", vec.Bpchar: "char"}[kind])
		}
		if n.Mods[0] > 10485760 {
			return bad("length for type %s cannot exceed 10485760", n.Name)
		}
		return int32(n.Mods[0]) + 4
	case vec.Numeric:
		if len(n.Mods) == 0 {
			return 0
		}
		p, s := n.Mods[0], 0
		if len(n.Mods) > 1 {
			s = n.Mods[1]
		}
		if p < 1 || p > maxPrecision {
			return bad("NUMERIC precision %d must be between 1 and %d", p, maxPrecision)
		}
		if s < 0 || s > p || len(n.Mods) > 2 {
			return bad("NUMERIC scale %d must be between 0 and precision %d", s, p)
		}
		return int32(p<<16|s) + 4
	}
	switch kind {
	case vec.Time, vec.Timestamp, vec.TimestampTZ, vec.Interval:
		if len(n.Mods) == 0 && n.Fields == "" {
			return 0
		}
		decimals := -1
		if len(n.Mods) > 1 {
			b.fail(pgerr.New(pgerr.SyntaxError, "invalid type modifier"), n.Pos())
		} else if len(n.Mods) == 1 {
			decimals = min(n.Mods[0], maxDecimals)
		}
		if kind != vec.Interval {
			return int32(decimals) + 1
		}
		mod, ok := expr.IntervalModifier(n.Fields, decimals)
		if !ok {
			b.fail(pgerr.New(pgerr.SyntaxError, `an interval cannot be %s`, n.Fields), n.Pos())
		}
		return mod + 1
	}
	// float(24) is the smaller float.
	if n.Name == "float" && len(n.Mods) == 1 && n.Mods[0] > 53 {
		return bad("precision for type float must be less than 54 bits")
	}
	if len(n.Mods) > 0 && n.Name != "float" {
		b.fail(pgerr.New(pgerr.SyntaxError, `type modifier is not allowed for type "%s"`, n.Name), n.Pos())
	}
	return 0
}

// catalogName is the name of a type inside PostgreSQL, which names the column of a cast.
func catalogName(t vec.Type) string {
	name := map[vec.Kind]string{
		vec.Bool: "bool", vec.Int2: "int2", vec.Int4: "int4", vec.Int8: "int8", vec.Float4: "float4", vec.Float8: "float8",
		vec.Numeric: "numeric", vec.Text: "text", vec.Varchar: "varchar", vec.Bpchar: "bpchar", vec.Name: "name", vec.Char: "char",
		vec.Bytea: "bytea", vec.Date: "date", vec.Time: "time", vec.Timestamp: "timestamp", vec.TimestampTZ: "timestamptz",
		vec.Interval: "interval", vec.UUID: "uuid", vec.JSONB: "jsonb", vec.OID: "oid",
		vec.RegClass: "regclass", vec.RegType: "regtype", vec.RegProc: "regproc", vec.RegNamespace: "regnamespace", vec.RegRole: "regrole", vec.RegOper: "regoper", vec.RegOperator: "regoperator", vec.RegProcedure: "regprocedure",
		vec.XID: "xid", vec.ACLItem: "aclitem", vec.NodeTree: "pg_node_tree", vec.Int2Vector: "int2vector", vec.OIDVector: "oidvector",
		vec.JSON: "json", vec.XML: "xml", vec.AnyArray: "anyarray", vec.Inet: "inet", vec.IntSet: "bitmap",
	}[t.Kind]
	if name == "" {
		return "type" + strconv.Itoa(int(t.Kind))
	}
	return name
}
