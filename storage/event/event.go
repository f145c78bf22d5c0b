package event

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/vec"
)

// Kind is the JSON type of a property value, with numbers split by how they are kept.
type Kind uint8

// The kinds. Their order is part of the segment format.
const (
	Null   Kind = iota // JSON null; no bytes
	Bool               // "true" or "false"
	Int                // a number whose text is what strconv.AppendInt makes of its int64
	Float              // a number whose text is what AppendFloat makes of its float64
	Number             // any other number: its digits as they were written
	Text               // a string, unescaped UTF-8
	JSON               // an array or object: canonical jsonb text
)

// Column is a dictionary-coded text column without missing values: row i is
// Values.At(Codes[i]). Values are in order of first appearance.
type Column struct {
	Codes  []uint32
	Values vec.Strings
}

// Prop is one property of the rows of a batch. The code of a row is 0 where it does not carry
// it, and otherwise one more than the position of the value in Kinds and Values. Values
// are distinct by (kind, bytes), in order of first appearance.
type Prop struct {
	Key    string
	Codes  Codes
	Kinds  []Kind
	Values vec.Strings
}

// Batch is events of one project. Props are sorted by Key, Ops and Groups by Row.
type Batch struct {
	Rows       int
	UUID       []vec.UUIDValue
	Time       []int64 // µs since 1970 UTC
	Name       Column  // event names
	DistinctID Column
	Props      []Prop
	// CreatedAt is when the server received the batch, in µs since 1970 UTC.
	CreatedAt int64
	// Request names the request that the batch came in, if it is all of it: the whole batch
	// is known if the request is. Zero names none. It is not part of the wire form.
	Request [16]byte
	// AsWritten says that no row is to be marked as late: what is stored is what was given. It
	// is not part of the wire form.
	AsWritten bool
	// Personless marks rows that give their distinct id no profile.
	Personless vec.Bitmap
	Ops        []PersonOp
	Groups     []GroupOp
	Copies     []Copy
}

// Find gives the position of a property in Props, or where it belongs.
func (b *Batch) Find(key string) (int, bool) {
	return slices.BinarySearchFunc(b.Props, key, func(p Prop, key string) int { return strings.Compare(p.Key, key) })
}

// Cells is how many codes of properties the batch keeps.
func (b *Batch) Cells() int {
	n := 0
	for i := range b.Props {
		n += b.Props[i].Codes.Kept()
	}
	return n
}

// Set sets a property of some rows to one value.
func (b *Batch) Set(key string, kind Kind, value string, rows []uint32) {
	if len(rows) == 0 {
		return
	}
	at, found := b.Find(key)
	if !found {
		b.Props = slices.Insert(b.Props, at, Prop{Key: key, Codes: NewCodes(b.Rows, 1)})
	}
	p := &b.Props[at]
	code := 0
	for code < len(p.Kinds) && (p.Kinds[code] != kind || p.Values.Str(code) != value) {
		code++
	}
	if code == len(p.Kinds) {
		p.Kinds = append(p.Kinds, kind)
		p.Values.AppendString(value)
	}
	for _, row := range rows {
		p.Codes.Set(int(row), uint32(code)+1)
	}
}

// OpKind is what an event does to persons beyond being theirs.
type OpKind uint8

// The operations, as in the rules for identify, alias and merge.
const (
	OpSet              OpKind = iota // only Set, SetOnce and Unset
	OpIdentify                       // merge Other into the row's distinct id, unless Other is identified
	OpAlias                          // the same, for $create_alias
	OpMergeDangerously               // the same, even if Other is identified
)

// PersonOp is the effect of one row on persons.
type PersonOp struct {
	Row     uint32
	Kind    OpKind
	Other   string // distinct id to merge; empty for OpSet
	Set     []byte // JSON object, or empty
	SetOnce []byte // JSON object, or empty
	Unset   []string
}

// Copy says that rows set properties of theirs on their persons: what such a row has of a
// property, even null, the person has from then on. What is not null becomes a second property of the
// person, named Initial, if there is none yet. An operation of the same row counts more:
// its SetOnce comes before, its Set and Unset after.
type Copy struct {
	Rows vec.Bitmap
	// Props are what is copied. Of several that a row has and that become one property, the
	// last counts; likewise of several that have one name for their first values, as $a and a.
	Props []CopiedProp
}

// CopiedProp is a property of a batch and what it is called on a person.
type CopiedProp struct{ From, To string }

// Initial is the property of a person that keeps the first value of a copied one.
func Initial(to string) string { return "$initial_" + strings.TrimPrefix(to, "$") }

// GroupOp is the effect of one row on a group, which is made if it is not there.
type GroupOp struct {
	Row     uint32
	Type    string // name of the type of groups
	Key     string
	Set     []byte // JSON object, or empty
	SetOnce []byte // JSON object, or empty
	Unset   []string
}
