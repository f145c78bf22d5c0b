package exec

import (
	"fmt"
	"slices"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// openSystem makes the rows of a table of the catalog.
func (s *scanSource) openSystem() error {
	if s.env.Expr.Objects == nil {
		return fmt.Errorf("the statement was given no catalog to read %s.%s from", s.node.Table.System, s.node.Table.Name)
	}
	var columns []string
	for _, c := range s.node.Columns {
		if c.Column != plan.TableOID {
			columns = append(columns, c.Column)
		}
	}
	batches, err := s.env.Expr.Objects.Table(s.node.Table.System+"."+s.node.Table.Name, columns)
	if err != nil {
		return err
	}
	s.batches = []*vec.Batch{}
	for _, b := range batches {
		for i, c := range s.node.Columns {
			if c.Column == plan.TableOID {
				b.Cols = slices.Insert(b.Cols, i, tableOID(s.node.Table))
			}
		}
		s.batches = append(s.batches, b)
		s.env.Progress.Rows.Add(int64(b.Rows))
	}
	return nil
}

// tableOID is the column of a scan that gives the object id of its table.
func tableOID(t *catalog.Table) *vec.Vector {
	return &vec.Vector{Type: vec.T(vec.OID), Form: vec.Const, I64: []int64{int64(t.OID)}}
}
