package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// readLate has a Limit or TopN over the events, or a table of a user, read the columns that only its result
// shows after it has chosen the rows. What comes below
//
//	Project (what is shown)
//	  Fetch (columns that choose nothing)
//	    TopN or Limit
//	      Filter
//	        Scan (columns that choose, and where the row is)
//
// reads two columns of a million rows and all columns of twenty.
func readLate(n Node) Node {
	late := everywhere(n, func(n Node) Node {
		var keys []SortKey
		switch x := n.(type) {
		case *TopN:
			keys = x.Keys
		case *Limit:
			if x.Limit == nil || !small(x.Limit) {
				return n
			}
		default:
			return n
		}
		shown, below := shownOver(n.Inputs()[0])
		filter, filtered := below.(*Filter)
		if filtered {
			below = filter.Input
		}
		scan, ok := below.(*Scan)
		if !ok || scan.Table.Schema == nil && !scan.Table.IsEvents() || anyVolatile(shown.Exprs) {
			return n
		}
		sorted := make([]SortKey, len(keys))
		for i, k := range keys {
			k.Expr = substitute(k.Expr, shown.Exprs)
			sorted[i] = k
		}
		early := make([]bool, len(scan.Columns))
		for _, k := range sorted {
			markColumns(k.Expr, early)
		}
		if filtered {
			markColumns(filter.Cond, early)
		}
		first := *scan
		first.Columns = nil
		fetch := &Fetch{Table: scan.Table}
		at := make([]int, len(scan.Columns))
		for i, c := range scan.Columns {
			early[i] = early[i] || c.Column == TableOID // which costs nothing
			if early[i] {
				at[i] = len(first.Columns)
				first.Columns = append(first.Columns, c)
			}
		}
		fetch.Row = len(first.Columns)
		first.Columns = append(first.Columns, rowPlace)
		for i, c := range scan.Columns {
			if !early[i] {
				at[i] = len(first.Columns) + len(fetch.Columns)
				fetch.Columns = append(fetch.Columns, c)
			}
		}
		if len(fetch.Columns) == 0 {
			return n
		}
		var chosen Node = &first
		if filtered {
			chosen = moveColumns(&Filter{chosen, filter.Cond}, at)
		}
		switch x := n.(type) {
		case *TopN:
			// Equal rows come in the order in which they are stored, whoever reads them.
			top := moveColumns(&TopN{chosen, sorted, x.Limit, x.Offset}, at).(*TopN)
			top.Keys = append(top.Keys, SortKey{Expr: &expr.Column{Index: fetch.Row, T: rowPlace.Type, Name: rowPlace.Name}})
			fetch.Input = top
		case *Limit:
			fetch.Input = &Limit{chosen, x.Limit, x.Offset}
		}
		return moveColumns(&Project{fetch, shown.Exprs, shown.Names}, at)
	})
	return mergeProjects(late)
}

// rowPlace is the column of a Scan that says where in the snapshot a row is: the number
// of its segment, and below that, in 32 bits, its row there; of a user's table, its place (see table.Piece).
var rowPlace = ScanColumn{Column: RowPlace, Type: vec.T(vec.Int8), Name: RowPlace}

// shownOver is the Project at n and what lies below it; if there is none, one that shows
// everything.
func shownOver(n Node) (*Project, Node) {
	if p, ok := n.(*Project); ok {
		return p, p.Input
	}
	p := &Project{Input: n}
	for i, f := range n.Schema() {
		p.Exprs = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name})
		p.Names = append(p.Names, f.Name)
	}
	return p, n
}
