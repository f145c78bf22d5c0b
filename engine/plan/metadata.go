package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// Metadata says whether blocks of a table can be counted without being read: all aggregates are
// known of a block whose rows all count, by what is kept beside it, and of each condition it can be
// told that it holds for all rows of a block. Scan is what is read of the other blocks, and conds
// are over its columns.
func (n *Aggregate) Metadata() (scan *Scan, conds []expr.Expr, ok bool) {
	if len(n.Keys) > 0 || len(n.Aggs) == 0 {
		return nil, nil, false
	}
	in := n.Input
	for {
		f, ok := in.(*Filter)
		if !ok {
			break
		}
		conds = append(conds, Conjuncts(f.Cond)...)
		in = f.Input
	}
	scan, ok = in.(*Scan)
	if !ok || !scan.Table.IsEvents() && scan.Table.Schema == nil {
		return nil, nil, false
	}
	for i := range n.Aggs {
		if !scan.counted(&n.Aggs[i]) {
			return nil, nil, false
		}
	}
	for _, c := range conds {
		if !scan.decided(c) {
			return nil, nil, false
		}
	}
	return scan, conds, true
}

// counted says whether an aggregate is known of a block that counts as a whole.
func (n *Scan) counted(a *AggCall) bool {
	if a.Distinct || a.Filter != nil || len(a.OrderBy) > 0 || len(a.Args) > 1 {
		return false
	}
	switch a.Name {
	case "count":
		return len(a.Args) == 0 || n.NeverNull(a.Args[0])
	case "min", "max":
		return len(a.Args) == 1 && n.bounded(a.Args[0])
	}
	return false
}

// column is the column of the table that an expression is; nil if it is none.
func (n *Scan) column(e expr.Expr) *ScanColumn {
	c, ok := e.(*expr.Column)
	if !ok || c.Index >= len(n.Columns) || len(n.Columns[c.Index].Path) > 0 {
		return nil
	}
	return &n.Columns[c.Index]
}

// NeverNull says whether an expression is a column that has no NULL.
func (n *Scan) NeverNull(e expr.Expr) bool {
	c := n.column(e)
	if c == nil {
		return false
	}
	if n.Table.Schema == nil {
		return c.Column == "event" || c.Column == "timestamp" || c.Column == "distinct_id" || c.Column == "uuid" || c.Column == "person_id"
	}
	of := n.Table.Schema.Column(c.Column)
	return of != nil && of.NotNull
}

// bounded says whether an expression is a column of which blocks know the least and the greatest
// value.
func (n *Scan) bounded(e expr.Expr) bool {
	c := n.column(e)
	if c == nil {
		return false
	}
	if n.Table.Schema == nil {
		return c.Column == "event" || c.Column == "timestamp"
	}
	return n.Table.Schema.Column(c.Column) != nil &&
		(c.Type.Payload() == vec.PayloadI64 || !c.Type.Array && (c.Type.Kind == vec.Text || c.Type.Kind == vec.Varchar))
}

// decided says whether it can be told of a condition that it holds for all rows of a block.
func (n *Scan) decided(cond expr.Expr) bool {
	if expr.Volatile(cond) {
		return false
	}
	if n.Table.Schema == nil && n.ByEvent(cond) {
		return true
	}
	column := Compared(cond)
	return column != nil && n.bounded(column) && n.NeverNull(column)
}

// ByEvent says whether a condition on events reads their names alone.
func (n *Scan) ByEvent(cond expr.Expr) bool {
	only := true
	expr.Walk(cond, func(e expr.Expr) bool {
		if c, ok := e.(*expr.Column); ok {
			only = only && n.Columns[c.Index].Column == "event"
		}
		return only
	})
	return only
}

// Compared is the column that a condition compares with a constant, so that it holds for all values
// between two for which it holds; nil if it is another.
func Compared(cond expr.Expr) *expr.Column {
	c, ok := cond.(*expr.Call)
	if !ok || len(c.Args) != 2 {
		return nil
	}
	switch c.Overload.Fn.Name {
	case "<", "<=", "=", ">=", ">":
		for i, a := range c.Args {
			if column, ok := a.(*expr.Column); ok && expr.IsConstant(c.Args[1-i]) {
				return column
			}
		}
	}
	return nil
}
