package table

import (
	"maps"

	"github.com/RoaringBitmap/roaring/v2"
)

// TempBase is where the numbers of temporary tables begin, those of one session. Fresh is
// behind them.
const TempBase = 1 << 30

// NewTemp is the temporary tables of a session that has none.
func NewTemp() *Tables { return &Tables{lastID: TempBase} }

// IsTemp says whether a number is that of a temporary table.
func IsTemp(id uint32) bool { return id >= TempBase && id < Fresh }

// Beside is the tables, and the temporary ones of a session beside them. It is for reading.
func (t *Tables) Beside(temp *Tables) *Tables {
	if len(temp.byID) == 0 {
		return t
	}
	out := *t
	out.byID = maps.Clone(t.byID)
	if out.byID == nil {
		out.byID = map[uint32]*Version{}
	}
	maps.Copy(out.byID, temp.byID)
	return &out
}

// Committed is temporary tables after the end of a transaction.
func (t *Tables) Committed() *Tables {
	out := t
	for _, v := range t.All() {
		switch v.Schema.OnCommit {
		case PreserveRows:
			continue
		case DropTable:
			if out == t {
				out = t.clone()
			}
			delete(out.byID, v.Schema.Table)
		case DeleteRows:
			if out == t {
				out = t.clone()
			}
			out.byID[v.Schema.Table] = v.emptied()
		}
	}
	return out
}

// emptied is a table that no file holds without its rows.
func (v *Version) emptied() *Version {
	c := *v
	c.Batches, c.Dead = nil, roaring.New()
	c.Dead.AddRange(0, uint64(v.Next))
	return &c
}

// Trimmed is temporary tables without the rows of those of which all rows are dead.
func (t *Tables) Trimmed() *Tables {
	out := t
	for _, v := range t.All() {
		if len(v.Batches) > 0 && v.Live() == 0 {
			if out == t {
				out = t.clone()
			}
			out.byID[v.Schema.Table] = v.emptied()
		}
	}
	return out
}

// Bytes is about how much memory the rows take that no file holds.
func (t *Tables) Bytes() int64 {
	n := int64(0)
	for _, v := range t.byID {
		for _, r := range v.Batches {
			n += r.Bytes()
		}
	}
	return n
}
