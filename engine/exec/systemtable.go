package exec

import (
	"fmt"

	"github.com/prickledb/prickle/storage/vec"
)

// openSystem makes the rows of a table of the catalog.
func (s *scanSource) openSystem() error {
	if s.env.Expr.Objects == nil {
		return fmt.Errorf("the statement was given no catalog to read %s.%s from", s.node.Table.System, s.node.Table.Name)
	}
	columns := make([]string, len(s.node.Columns))
	for i, c := range s.node.Columns {
		columns[i] = c.Column
	}
	batches, err := s.env.Expr.Objects.Table(s.node.Table.System+"."+s.node.Table.Name, columns)
	if err != nil {
		return err
	}
	s.batches = []*vec.Batch{}
	for _, b := range batches {
		s.batches = append(s.batches, b)
		s.env.Progress.Rows.Add(int64(b.Rows))
	}
	return nil
}
