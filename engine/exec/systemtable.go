package exec

import (
	"fmt"
	"slices"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// openSystem makes the rows of a table of the catalog.
func (s *scanSource) openSystem() error {
	name := s.node.Table.System + "." + s.node.Table.Name
	if s.env.Expr.Objects == nil {
		return fmt.Errorf("the statement was given no catalog to read %s from", name)
	}
	columns := make([]string, len(s.node.Columns))
	for i, c := range s.node.Columns {
		columns[i] = c.Column
	}
	batches, err := s.env.Expr.Objects.Table(name, columns)
	if err != nil {
		return err
	}
	s.batches = append([]*vec.Batch{}, batches...)
	return nil
}

// withoutOID is a scan without the columns that give the object id of its table, and where
// they stood.
func withoutOID(n *plan.Scan) (*plan.Scan, []int) {
	var at []int
	for i, c := range n.Columns {
		if c.Column == plan.TableOID {
			at = append(at, i)
		}
	}
	if at == nil {
		return n, nil
	}
	out := *n
	out.Columns = slices.DeleteFunc(slices.Clone(n.Columns), func(c plan.ScanColumn) bool { return c.Column == plan.TableOID })
	return &out, at
}

// withOID puts the columns back that withoutOID took.
func (s *scanSource) withOID(b *vec.Batch) *vec.Batch {
	if len(s.oids) == 0 {
		return b
	}
	out := &vec.Batch{Rows: b.Rows, Sel: b.Sel, Cols: slices.Clone(b.Cols)}
	oid := &vec.Vector{Type: vec.T(vec.OID), Form: vec.Const, I64: []int64{int64(s.node.Table.OID)}}
	for _, i := range s.oids {
		out.Cols = slices.Insert(out.Cols, i, oid)
	}
	return out
}
