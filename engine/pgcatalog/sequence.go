package pgcatalog

import (
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	usertable "github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// sequence is the sequence of a column, or a temporary one: its table is the sequence itself then.
type sequence struct {
	oid    uint32
	table  *catalog.Table
	column *usertable.Column
}

// owned says whether the sequence belongs to a column.
func (s *sequence) owned() bool { return s.table.Schema.Kind == usertable.Relation }

// listSequences lists the sequences of all columns, and the session's own.
func (r *Reader) listSequences() []sequence {
	var out []sequence
	for _, t := range append(slices.Clip(r.tables()), r.catalog.SequenceTables()...) {
		if t.Schema == nil {
			continue
		}
		for i := range t.Schema.Columns {
			if c := &t.Schema.Columns[i]; c.Sequence != "" {
				out = append(out, sequence{sequenceOID(t.OID, int(c.ID)), t, c})
			}
		}
	}
	return out
}

// sequenceNamed is how a sequence is shown that a default names: with its schema, if the name alone would
// not find it.
func (r *Reader) sequenceNamed(name string) string {
	parts, ok := expr.ParseIdent(name)
	var found []uint32
	for _, s := range r.sequences() {
		if ok && s.column.Sequence == parts[len(parts)-1] {
			found = append(found, s.oid)
		}
	}
	if len(found) == 1 {
		if shown, ok := r.Name(vec.RegClass, found[0]); ok {
			return shown
		}
	}
	return name
}

// sequenceColumns are those that a sequence has as a relation.
var sequenceColumns = []column{
	{number: 1, name: "last_value", t: vec.T(vec.Int8), notNull: true},
	{number: 2, name: "log_cnt", t: vec.T(vec.Int8), notNull: true},
	{number: 3, name: "is_called", t: vec.T(vec.Bool), notNull: true},
}

// sequences fills the tables about sequences alone.
func sequences() {
	dynamics["pg_catalog.pg_sequence"] = func(r *Reader, t *table) {
		for _, s := range r.sequences() {
			t.add("seqrelid", s.oid, "seqtypid", s.column.Type.OID(), "seqstart", s.column.First(), "seqincrement", 1, "seqmax", usertable.LastNumber(s.column.Type), "seqmin", 1, "seqcache", 1)
		}
	}
	dynamics["pg_catalog.pg_sequences"] = func(r *Reader, t *table) {
		for _, s := range r.sequences() {
			var given any
			if s.column.Next != s.column.First() {
				given = s.column.Next - 1
			}
			t.add("schemaname", s.table.Namespace(), "sequencename", s.column.Sequence, "sequenceowner", r.ownerName(s.table), "data_type", s.column.Type.OID(),
				"start_value", s.column.First(), "min_value", 1, "max_value", usertable.LastNumber(s.column.Type), "increment_by", 1, "cycle", false, "cache_size", 1, "last_value", given)
		}
	}
	dynamics["information_schema.sequences"] = func(r *Reader, t *table) {
		for _, s := range r.sequences() {
			if s.column.Identity != "" {
				continue // they are part of their columns
			}
			t.add("sequence_catalog", r.catalog.Database, "sequence_schema", s.table.Namespace(), "sequence_name", s.column.Sequence,
				"data_type", vec.Type{Kind: s.column.Type.Kind}.String(), "numeric_precision", 8*int(s.column.Type.Size()), "numeric_precision_radix", 2, "numeric_scale", 0,
				"start_value", strconv.FormatInt(s.column.First(), 10), "minimum_value", "1", "maximum_value", strconv.FormatInt(usertable.LastNumber(s.column.Type), 10), "increment", "1", "cycle_option", "NO")
		}
	}
}
