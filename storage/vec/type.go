package vec

// Kind is what the values of a vector mean. The payload slice in use follows from it. The
// numbers are on disk, in user tables and batches: a new kind goes to the end.
type Kind uint8

// The kinds, with the payload each one uses.
const (
	Unknown     Kind = iota // an untyped literal or NULL: Str
	Bool                    // Bools
	Int2                    // I64
	Int4                    // I64
	Int8                    // I64
	Float4                  // F64
	Float8                  // F64
	Numeric                 // Dec
	Text                    // Str
	Varchar                 // Str
	Bpchar                  // Str
	Name                    // Str
	Char                    // Str: PostgreSQL's one-byte "char"
	Bytea                   // Str
	Date                    // I64: days since 1970-01-01
	Time                    // I64: µs since midnight
	Timestamp               // I64: µs since 1970-01-01, no zone
	TimestampTZ             // I64: µs since 1970-01-01 UTC
	Interval                // Ivl
	UUID                    // UUIDs
	JSONB                   // Str: canonical text
	OID                     // I64
	Record                  // Str: a row as the text that PostgreSQL writes for it
	Void                    // no payload
	// The kinds below, but IntSet, are those of catalogs. No table of a user has a column of them.
	RegClass     // I64: the object id of a relation, shown by its name
	RegType      // I64: of a type
	RegProc      // I64: of a function
	RegNamespace // I64: of a schema
	RegRole      // I64: of a role
	XID          // I64: the number of a transaction
	ACLItem      // Str
	NodeTree     // Str: an expression in a catalog
	Int2Vector   // always an array: of Int2, from 0 on, shown as 1 2 3
	OIDVector    // always an array: of OID, likewise
	JSON         // Str: text as it was made; what a user calls json is JSONB
	XML          // Str
	AnyArray     // Str: a column of catalogs, where nothing but null stands
	Inet         // Str: an address
	IntSet       // Str: a set of bigint as a portable roaring bitmap, which SQL calls bitmap
	RegOper      // I64: the object id of an operator, shown by its name
	RegOperator  // I64: likewise, shown with the types of its operands
	RegProcedure // I64: the object id of a function, shown with the types of its arguments
	kindCount
)

// InfinityTime and NegInfinityTime are 'infinity' and '-infinity' of dates and timestamps.
const (
	InfinityTime    = int64(1<<63 - 1)
	NegInfinityTime = int64(-1 << 63)
)

// Type is the SQL type of a vector: a kind, whether it is an array of it, and the
// type modifier, where 0 means none: as PostgreSQL sends it, but for times and intervals,
// which have a modifier 0, one more.
type Type struct {
	Kind  Kind
	Array bool
	Mod   int32
}

// Modifier is the type modifier as PostgreSQL sends it; -1 means none.
func (t Type) Modifier() int32 {
	switch {
	case t.Mod == 0 || t.Kind == Record: // which is the binder's
		return -1
	case t.Kind >= Time && t.Kind <= Interval:
		return t.Mod - 1
	}
	return t.Mod
}

// T is the plain type of a kind.
func T(k Kind) Type { return Type{Kind: k} }

// ArrayOf is the one-dimensional array type of a kind.
func ArrayOf(k Kind) Type { return Type{Kind: k, Array: true} }

// HasArray says whether there is a type of arrays of it.
func (t Type) HasArray() bool { return !t.Array && types[t.Kind].aoid != 0 }

// Elem is the element type of an array type.
func (t Type) Elem() Type {
	switch t.Kind {
	case Int2Vector:
		return T(Int2)
	case OIDVector:
		return T(OID)
	}
	return Type{Kind: t.Kind, Mod: t.Mod}
}

// Payload says which slice of a Vector holds the values of a kind.
type Payload uint8

// The payloads.
const (
	PayloadNone Payload = iota
	PayloadBools
	PayloadI64
	PayloadF64
	PayloadDec
	PayloadStr
	PayloadIvl
	PayloadUUIDs
	PayloadList
)

// Payload says which slice of a flat vector of this type is in use.
func (t Type) Payload() Payload {
	if t.Array {
		return PayloadList
	}
	switch t.Kind {
	case Bool:
		return PayloadBools
	case Int2, Int4, Int8, Date, Time, Timestamp, TimestampTZ, OID, RegClass, RegType, RegProc, RegNamespace, RegRole, RegOper, RegOperator, RegProcedure, XID:
		return PayloadI64
	case Float4, Float8:
		return PayloadF64
	case Numeric:
		return PayloadDec
	case Interval:
		return PayloadIvl
	case UUID:
		return PayloadUUIDs
	case Void:
		return PayloadNone
	default:
		return PayloadStr
	}
}

// EqualBytes says whether values whose payload is text are equal only if their bytes are. The
// blanks at the end of a character(n) do not count, nor do zeroes at the end of jsonb numbers.
func (t Type) EqualBytes() bool { return t.Array || t.Kind != Bpchar && t.Kind != JSONB }

type typeInfo struct {
	name      string
	oid, aoid uint32
	size      int16 // typlen on the wire; -1 is variable
}

var types = [kindCount]typeInfo{
	Unknown:     {"unknown", 705, 1009, -2},
	Bool:        {"boolean", 16, 1000, 1},
	Int2:        {"smallint", 21, 1005, 2},
	Int4:        {"integer", 23, 1007, 4},
	Int8:        {"bigint", 20, 1016, 8},
	Float4:      {"real", 700, 1021, 4},
	Float8:      {"double precision", 701, 1022, 8},
	Numeric:     {"numeric", 1700, 1231, -1},
	Text:        {"text", 25, 1009, -1},
	Varchar:     {"character varying", 1043, 1015, -1},
	Bpchar:      {"character", 1042, 1014, -1},
	Name:        {"name", 19, 1003, 64},
	Char:        {"\"char\"", 18, 1002, 1},
	Bytea:       {"bytea", 17, 1001, -1},
	Date:        {"date", 1082, 1182, 4},
	Time:        {"time without time zone", 1083, 1183, 8},
	Timestamp:   {"timestamp without time zone", 1114, 1115, 8},
	TimestampTZ: {"timestamp with time zone", 1184, 1185, 8},
	Interval:    {"interval", 1186, 1187, 16},
	UUID:        {"uuid", 2950, 2951, 16},
	JSONB:       {"jsonb", 3802, 3807, -1},
	OID:         {"oid", 26, 1028, 4},
	Record:      {"record", 2249, 2287, -1},
	Void:        {"void", 2278, 2278, 4},

	RegClass:     {"regclass", 2205, 2210, 4},
	RegType:      {"regtype", 2206, 2211, 4},
	RegProc:      {"regproc", 24, 1008, 4},
	RegNamespace: {"regnamespace", 4089, 4090, 4},
	RegRole:      {"regrole", 4096, 4097, 4},
	XID:          {"xid", 28, 1011, 4},
	ACLItem:      {"aclitem", 1033, 1034, 12},
	NodeTree:     {"pg_node_tree", 194, 194, -1},
	Int2Vector:   {"int2vector", 22, 22, -1},
	OIDVector:    {"oidvector", 30, 30, -1},
	JSON:         {"json", 114, 199, -1},
	XML:          {"xml", 142, 143, -1},
	AnyArray:     {"anyarray", 2277, 2277, -1},
	Inet:         {"inet", 869, 1041, -1},
	IntSet:       {"bitmap", 9000, 0, -1}, // there is no type of arrays of it
	RegOper:      {"regoper", 2203, 2208, 4},
	RegOperator:  {"regoperator", 2204, 2209, 4},
	RegProcedure: {"regprocedure", 2202, 2207, 4},
}

// OID is PostgreSQL's object identifier of the type.
func (t Type) OID() uint32 {
	if t.Array {
		return types[t.Kind].aoid
	}
	return types[t.Kind].oid
}

// Size is the type's length on the wire in bytes; -1 and -2 mean variable.
func (t Type) Size() int16 {
	if t.Array {
		return -1
	}
	return types[t.Kind].size
}

// String is the type's name as PostgreSQL words it in messages.
func (t Type) String() string {
	if t.Array && !t.IsVector() {
		return types[t.Kind].name + "[]"
	}
	return types[t.Kind].name
}

// IsVector says whether the type is one of the array types that count from 0.
func (t Type) IsVector() bool { return t.Kind == Int2Vector || t.Kind == OIDVector }

// RegKinds are the types of object ids that are shown by name.
var RegKinds = []Kind{RegClass, RegType, RegProc, RegNamespace, RegRole, RegOper, RegOperator, RegProcedure}

// Unnamed is OID for the types of RegKinds, and every other type itself.
func (k Kind) Unnamed() Kind {
	if k >= RegClass && k <= RegRole || k >= RegOper && k <= RegProcedure {
		return OID
	}
	return k
}

// IsReg says whether values of the type are object ids that are shown by name.
func (t Type) IsReg() bool { return !t.Array && t.Kind != OID && t.Kind.Unnamed() == OID }

// IsOID says whether values of the type are object ids, shown by name or not.
func (t Type) IsOID() bool { return !t.Array && t.Kind == OID || t.IsReg() }

// IsNumber says whether values of the type can be calculated with.
func (t Type) IsNumber() bool { return !t.Array && t.Kind >= Int2 && t.Kind <= Numeric }

// IsInt says whether the type is one of the integers.
func (t Type) IsInt() bool { return !t.Array && t.Kind >= Int2 && t.Kind <= Int8 }

// IsText says whether the type is text or one of its relatives.
func (t Type) IsText() bool { return !t.Array && t.Kind >= Text && t.Kind <= Char }

// IsTime says whether the type is a date or a timestamp.
func (t Type) IsTime() bool {
	return !t.Array && (t.Kind == Date || t.Kind == Timestamp || t.Kind == TimestampTZ)
}

// Field is the name and the type of one column.
type Field struct {
	Name string
	Type Type
}

// Schema is the columns of a batch, in order. It is kept beside batches, not in them.
type Schema []Field

// Index finds a column by name, or answers -1.
func (s Schema) Index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}
