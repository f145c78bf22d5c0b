package pgcatalog

import "hash/fnv"

// The object ids of what is not a table of a user. Tables have theirs from catalog.Table; what
// belongs to a table has one that follows from the table's.
const (
	schemaCatalog     = 11
	schemaPublic      = 2200
	schemaInformation = 13000
	schemaPrickle     = 13001
	schemaSystem      = 13002
	schemaTemp        = 13003

	// owner is the role that owns what belongs to no other: see Reader.bootstrap.
	owner = 10

	tablespaceDefault = 1663
	tablespaceGlobal  = 1664
	amHeap            = 2
	amBtree           = 403
	languageInternal  = 12
	languageC         = 13
	languageSQL       = 14
	languagePlpgsql   = 13563
	handlerPlpgsql    = 13560
	collationDefault  = 100
	collationC        = 950
	collationPosix    = 951
	collationICU      = 12400 // the first of expr.Collations
	extensionPlpgsql  = 13500

	classType       = 1247
	classAttribute  = 1249
	classProc       = 1255
	classClass      = 1259
	classAttrdef    = 2604
	classConstraint = 2606
	classNamespace  = 2615
	classDatabase   = 1262
	classRewrite    = 2618
)

// A table's keys, defaults, sequences and row type are numbered in ranges of their own. Ranges do not meet
// before there are half a million tables.
func indexOID(table uint32, key int) uint32       { return 1<<26 + table<<6 + uint32(key) }
func constraintOID(table uint32, key int) uint32  { return 1<<27 + table<<6 + uint32(key) }
func checkOID(table uint32, check int) uint32     { return 3<<26 + table<<6 + uint32(check) }
func foreignOID(table uint32, key int) uint32     { return 7<<25 + table<<6 + uint32(key) }
func rowTypeOID(table uint32) uint32              { return 1<<28 + table<<1 }
func rowArrayOID(table uint32) uint32             { return 1<<28 + table<<1 + 1 }
func defaultOID(table uint32, column int) uint32  { return 1<<29 + table<<10 + uint32(column) }
func sequenceOID(table uint32, column int) uint32 { return 5<<28 + table<<10 + uint32(column) }
func roleOID(id int64) uint32                     { return 1<<21 + uint32(id) }
func ruleOID(table uint32) uint32                 { return 1<<30 + table }

// functionOID is that of a function which PostgreSQL does not have: its signature says it, so
// it does not depend on what other functions there are.
func functionOID(signature string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(signature)) //nolint:errcheck // it never fails
	return 1<<25 + h.Sum32()&(1<<24-1)
}
