package plan

import (
	"slices"

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
		if !ok {
			return x
		}
		want := ScanColumn{Type: c.Type()}
		switch c.Overload.Fn.Name {
		case "->>":
			want.Digits = true
		case "property_text", "property_number", "property_boolean", "property_time":
			if c, ok = c.Args[0].(*expr.Call); !ok || c.Overload.Fn.Name != "->" {
				return x
			}
		default:
			return x
		}
		if want.Column, want.Path, ok = p.path(c); !ok {
			return x
		}
		want.Name = want.Label()
		return &expr.Column{Index: p.find(want), T: want.Type, Name: want.Name}
	})
}

// path is the jsonb column and the keys that a call of an arrow operator leads along.
func (p *properties) path(c *expr.Call) (string, []string, bool) {
	if len(c.Args) != 2 {
		return "", nil, false
	}
	key, ok := c.Args[1].(*expr.Const)
	if !ok || !key.Type().IsText() || key.Value.IsNull(0) {
		return "", nil, false
	}
	v, i := key.Value.At(0)
	keys := []string{string(v.Str.At(i))}
	switch from := c.Args[0].(type) {
	case *expr.Column:
		if from.Index >= len(p.scan.Columns) {
			return "", nil, false
		}
		column := p.scan.Columns[from.Index]
		return column.Column, append(slices.Clone(column.Path), keys...), column.Type.Kind == vec.JSONB && !column.Type.Array
	case *expr.Call:
		if from.Overload.Fn.Name != "->" {
			return "", nil, false
		}
		column, path, ok := p.path(from)
		return column, append(path, keys...), ok
	}
	return "", nil, false
}

func (p *properties) find(want ScanColumn) int {
	for i, c := range append(append([]ScanColumn(nil), p.scan.Columns...), p.added...) {
		if c.Column == want.Column && slices.Equal(c.Path, want.Path) && c.Type == want.Type && c.Digits == want.Digits {
			return i
		}
	}
	p.added = append(p.added, want)
	return len(p.scan.Columns) + len(p.added) - 1
}
