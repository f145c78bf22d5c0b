package pgcatalog

import (
	"math"
	"strconv"

	"github.com/prickledb/prickle/engine/catalog"
	usertable "github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// sequence is the sequence of a column.
type sequence struct {
	oid    uint32
	table  *catalog.Table
	column *usertable.Column
}

// listSequences lists the sequences of all columns.
func (r *Reader) listSequences() []sequence {
	var out []sequence
	for _, t := range r.tables() {
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

// last is the greatest number that the sequence gives.
func (s *sequence) last() int64 {
	switch s.column.Type.Kind {
	case vec.Int2:
		return math.MaxInt16
	case vec.Int4:
		return math.MaxInt32
	}
	return math.MaxInt64
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
			t.add("seqrelid", s.oid, "seqtypid", s.column.Type.OID(), "seqstart", 1, "seqincrement", 1, "seqmax", s.last(), "seqmin", 1, "seqcache", 1)
		}
	}
	dynamics["pg_catalog.pg_sequences"] = func(r *Reader, t *table) {
		for _, s := range r.sequences() {
			var given any
			if s.column.Next > 1 {
				given = s.column.Next - 1
			}
			t.add("schemaname", s.table.Namespace(), "sequencename", s.column.Sequence, "sequenceowner", r.ownerName(s.table), "data_type", s.column.Type.OID(),
				"start_value", 1, "min_value", 1, "max_value", s.last(), "increment_by", 1, "cycle", false, "cache_size", 1, "last_value", given)
		}
	}
	dynamics["information_schema.sequences"] = func(r *Reader, t *table) {
		for _, s := range r.sequences() {
			t.add("sequence_catalog", r.catalog.Database, "sequence_schema", s.table.Namespace(), "sequence_name", s.column.Sequence,
				"data_type", vec.Type{Kind: s.column.Type.Kind}.String(), "numeric_precision", 8*int(s.column.Type.Size()), "numeric_precision_radix", 2, "numeric_scale", 0,
				"start_value", "1", "minimum_value", "1", "maximum_value", strconv.FormatInt(s.last(), 10), "increment", "1", "cycle_option", "NO")
		}
	}
}
