package ast

// Walk calls visit for n and, where it says true, for everything below in the
// order of the text. Subqueries and table expressions are walked too; a visitor
// that stays in one query says false to a Query. Aliases and names are not nodes
// of their own here. n may be nil.
func Walk(n Node, visit func(Node) bool) {
	w := walker{visit}
	switch n := n.(type) {
	case Expr:
		w.expr(n)
	case Query:
		w.query(n)
	case TableExpr:
		w.table(n)
	case CohortSet:
		w.cohort(n)
	case Stmt:
		w.stmt(n)
	}
}

type walker struct{ visit func(Node) bool }

func (w walker) stmt(s Stmt) {
	if q, ok := s.(Query); ok {
		w.query(q)
		return
	}
	if !w.visit(s) {
		return
	}
	switch s := s.(type) {
	case *Explain:
		w.stmt(s.Stmt)
	case *Prepare:
		w.stmt(s.Stmt)
	case *DeclareCursor:
		w.stmt(s.Query)
	case *Execute:
		w.exprs(s.Args)
	case *Set:
		w.exprs(s.Values)
	case *CreateCohort:
		w.query(s.Query)
		w.expr(s.Refresh)
	case *Shorthand:
		for _, step := range s.Steps {
			w.expr(step.Cond)
		}
		w.expr(s.Where)
		w.items(s.By)
	case *CreateTable:
		for i := range s.Columns {
			w.columnSpec(&s.Columns[i])
		}
		w.constraints(s.Constraints)
	case *CreateTableAs:
		w.query(s.Query)
	case *CreateView:
		w.query(s.Query)
	case *CreateSchema:
		for _, e := range s.Elements {
			w.stmt(e)
		}
	case *AlterTable:
		for _, a := range s.Actions {
			if a.Column != nil {
				w.columnSpec(a.Column)
			}
			w.expr(a.Default)
			w.expr(a.Using)
			if a.Constraint != nil {
				w.expr(a.Constraint.Expr)
			}
		}
	case *Copy:
		if s.Query != nil {
			w.query(s.Query)
		}
		w.expr(s.Where)
	case *Insert:
		w.with(s.With)
		if s.Query != nil {
			w.query(s.Query)
		}
		w.items(s.Returning)
	case *Update:
		w.with(s.With)
		for _, a := range s.Set {
			w.expr(a.Value)
		}
		for _, t := range s.From {
			w.table(t)
		}
		w.expr(s.Where)
		w.items(s.Returning)
	case *Delete:
		w.with(s.With)
		for _, t := range s.Using {
			w.table(t)
		}
		w.expr(s.Where)
		w.items(s.Returning)
	}
}

func (w walker) columnSpec(c *ColumnSpec) {
	w.expr(c.Default)
	w.constraints(c.Constraints)
}

func (w walker) constraints(list []Constraint) {
	for i := range list {
		w.expr(list[i].Expr)
	}
}

func (w walker) exprs(list []Expr) {
	for _, x := range list {
		w.expr(x)
	}
}

func (w walker) items(items []SelectItem) {
	for i := range items {
		w.expr(items[i].Expr)
	}
}

func (w walker) order(items []OrderItem) {
	for i := range items {
		w.expr(items[i].Expr)
	}
}

func (w walker) query(q Query) {
	if q == nil || !w.visit(q) {
		return
	}
	tail := q.Tail()
	w.with(tail.With)
	switch q := q.(type) {
	case *Select:
		w.exprs(q.DistinctOn)
		w.items(q.Items)
		for _, t := range q.From {
			w.table(t)
		}
		w.expr(q.Where)
		if q.GroupBy != nil {
			w.groups(q.GroupBy.Items)
		}
		w.expr(q.Having)
		for i := range q.Windows {
			w.window(q.Windows[i].Spec)
		}
		w.expr(q.Qualify)
	case *Values:
		for _, row := range q.Rows {
			w.exprs(row)
		}
	case *SetOp:
		w.query(q.Left)
		w.query(q.Right)
	}
	w.order(tail.OrderBy)
	w.expr(tail.Limit)
	w.expr(tail.Offset)
}

func (w walker) with(list *With) {
	if list != nil {
		for i := range list.CTEs {
			if c := list.CTEs[i].Change; c != nil {
				w.stmt(c)
			} else {
				w.query(list.CTEs[i].Query)
			}
		}
	}
}

func (w walker) groups(items []GroupItem) {
	for i := range items {
		w.expr(items[i].Expr)
		w.groups(items[i].Items)
	}
}

func (w walker) window(s *WindowSpec) {
	if s == nil {
		return
	}
	w.exprs(s.Partition)
	w.order(s.OrderBy)
	if s.Frame != nil {
		w.expr(s.Frame.Start.Offset)
		w.expr(s.Frame.End.Offset)
	}
}

func (w walker) cohort(c CohortSet) {
	if c == nil || !w.visit(c) {
		return
	}
	switch c := c.(type) {
	case *CohortName:
		if c.Param != nil {
			w.expr(c.Param)
		}
	case *CohortQuery:
		w.query(c.Query)
	case *CohortOp:
		w.cohort(c.Left)
		w.cohort(c.Right)
	}
}

func (w walker) expr(x Expr) {
	if x == nil || !w.visit(x) {
		return
	}
	switch x := x.(type) {
	case *Star:
		w.items(x.Replace)
	case *Unary:
		w.expr(x.X)
	case *Binary:
		w.expr(x.Left)
		w.expr(x.Right)
	case *Not:
		w.expr(x.X)
	case *Logic:
		w.exprs(x.Args)
	case *Is:
		w.expr(x.X)
	case *IsDistinct:
		w.expr(x.Left)
		w.expr(x.Right)
	case *Between:
		w.expr(x.X)
		w.expr(x.Low)
		w.expr(x.High)
	case *In:
		w.expr(x.X)
		w.exprs(x.List)
		w.query(x.Query)
	case *InCohort:
		w.expr(x.X)
		w.cohort(x.Set)
	case *Like:
		w.expr(x.X)
		w.expr(x.Pattern)
		w.expr(x.Escape)
	case *Quantified:
		w.expr(x.X)
		w.expr(x.Array)
		w.query(x.Query)
	case *Case:
		w.expr(x.Operand)
		for _, c := range x.Whens {
			w.expr(c.Cond)
			w.expr(c.Result)
		}
		w.expr(x.Else)
	case *Cast:
		w.expr(x.X)
	case *Call:
		for i := range x.Args {
			w.expr(x.Args[i].Value)
		}
		w.order(x.OrderBy)
		w.order(x.WithinGroup)
		w.expr(x.Filter)
		w.window(x.Over)
	case *Index:
		w.expr(x.X)
		w.expr(x.I)
	case *Slice:
		w.expr(x.X)
		w.expr(x.Low)
		w.expr(x.High)
	case *Field:
		w.expr(x.X)
	case *Array:
		w.exprs(x.Elems)
	case *ArrayQuery:
		w.query(x.Query)
	case *Row:
		w.exprs(x.Elems)
	case *Exists:
		w.query(x.Query)
	case *Subquery:
		w.query(x.Query)
	case *AtTimeZone:
		w.expr(x.X)
		w.expr(x.Zone)
	case *Collate:
		w.expr(x.X)
	case *Extract:
		w.expr(x.X)
	}
}

func (w walker) table(t TableExpr) {
	if t == nil || !w.visit(t) {
		return
	}
	switch t := t.(type) {
	case *TableName:
		if t.Sample != nil {
			w.expr(t.Sample.Percent)
			w.expr(t.Sample.Seed)
		}
	case *Derived:
		w.query(t.Query)
	case *Join:
		w.table(t.Left)
		w.table(t.Right)
		w.expr(t.On)
	case *FuncTable:
		for i := range t.Calls {
			w.expr(t.Calls[i].Call)
		}
	case *Pivot:
		w.table(t.Input)
		w.items(t.Aggs)
		w.exprs(t.For)
		w.items(t.In)
		w.exprs(t.GroupBy)
	case *Unpivot:
		w.table(t.Input)
		w.items(t.Columns)
	case *CohortTable:
		w.cohort(&t.Cohort)
	case *Funnel:
		w.common(&t.Common)
		for i := range t.Steps {
			w.expr(t.Steps[i].Cond)
			w.expr(t.Steps[i].FirstOf)
			w.expr(t.Steps[i].Within)
		}
		w.expr(t.Within)
		w.exprs(t.Holding)
		for i := range t.Exclude {
			w.expr(t.Exclude[i].Cond)
		}
		w.expr(t.TrendBucket)
	case *Retention:
		w.common(&t.Common)
		w.expr(t.Start)
		w.expr(t.FirstOf)
		w.expr(t.Return)
		w.expr(t.Every)
		if t.Measure != nil {
			w.expr(t.Measure.Expr)
		}
	case *Trends:
		w.common(&t.Common)
		for i := range t.Series {
			w.expr(t.Series[i].Measure.Agg)
			w.expr(t.Series[i].Measure.Inner)
			w.expr(t.Series[i].Measure.Window)
			w.expr(t.Series[i].Measure.First)
			w.expr(t.Series[i].Measure.Valued)
			w.expr(t.Series[i].Where)
		}
		for i := range t.Formulas {
			w.expr(t.Formulas[i].Expr)
		}
		w.expr(t.Every)
		w.expr(t.CompareBy)
		w.expr(t.Fill)
	case *Paths:
		w.common(&t.Common)
		w.expr(t.Node)
		w.expr(t.StartAt)
		w.expr(t.EndAt)
		w.expr(t.SessionGap)
	case *Lifecycle:
		w.common(&t.Common)
		w.expr(t.Created)
		w.expr(t.Every)
	case *Stickiness:
		w.common(&t.Common)
		for i := range t.Series {
			w.expr(t.Series[i].Cond)
		}
		w.expr(t.Every)
		w.expr(t.AlignTo)
	}
}

func (w walker) common(c *Common) {
	w.table(c.Source)
	w.expr(c.Where)
	w.expr(c.Actor)
	w.expr(c.Time)
	if c.Breakdown != nil {
		w.items(c.Breakdown.Items)
	}
	if c.During != nil {
		w.expr(c.During.From)
		w.expr(c.During.To)
	}
	w.expr(c.Zone)
}
