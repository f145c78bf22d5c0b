package plan

import (
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// readProperties turns properties ->> 'key' right above a scan into a column of the scan,
// so that the scan need not put the whole object together. The binder does this for plain
// tables; here it is done for what came out of derived tables.
func readProperties(n Node) Node {
	return everywhere(n, func(n Node) Node {
		in := n.Inputs()
		if len(in) != 1 || !above(n) {
			return n
		}
		filter, filtered := in[0].(*Filter)
		below := in[0]
		if filtered {
			below = filter.Input
		}
		scan, ok := below.(*Scan)
		if !ok {
			return n
		}
		p := properties{scan: scan}
		changed := mapExprs(n, p.rewrite)
		if filtered {
			filter = mapExprs(filter, p.rewrite).(*Filter)
		}
		if p.added == nil {
			return n
		}
		below = p.scanned()
		if filtered {
			below = &Filter{below, filter.Cond}
		}
		return changed.WithInputs([]Node{below})
	})
}

// above says whether a node makes columns of its own. One that passes its input's on must
// not add any.
func above(n Node) bool {
	switch n.(type) {
	case *Project, *Aggregate, Native:
		return true
	}
	return false
}

type properties struct {
	scan  *Scan
	added []ScanColumn
}

func (p *properties) scanned() *Scan {
	s := *p.scan
	s.Columns = append(append([]ScanColumn(nil), s.Columns...), p.added...)
	return &s
}

func (p *properties) rewrite(e expr.Expr) expr.Expr {
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		c, ok := x.(*expr.Call)
		if !ok || len(c.Args) != 2 || c.Overload.Fn.Name != "->>" {
			return x
		}
		col, ok := c.Args[0].(*expr.Column)
		key, ok2 := c.Args[1].(*expr.Const)
		if !ok || !ok2 || !key.Type().IsText() || key.Value.IsNull(0) || col.Index >= len(p.scan.Columns) {
			return x
		}
		from := p.scan.Columns[col.Index]
		if len(from.Path) > 0 || from.Type.Kind != vec.JSONB {
			return x
		}
		v, i := key.Value.At(0)
		want := ScanColumn{Column: from.Column, Path: []string{string(v.Str.At(i))}, Type: vec.T(vec.Text)}
		want.Name = want.Label()
		return &expr.Column{Index: p.find(want), T: want.Type, Name: want.Name}
	})
}

func (p *properties) find(want ScanColumn) int {
	for i, c := range append(append([]ScanColumn(nil), p.scan.Columns...), p.added...) {
		if c.Column == want.Column && len(c.Path) == 1 && c.Path[0] == want.Path[0] && c.Type == want.Type {
			return i
		}
	}
	p.added = append(p.added, want)
	return len(p.scan.Columns) + len(p.added) - 1
}
