package exec

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Conditions on columns that are kept as bytes or words let the rows pass that they let pass on the columns themselves,
// in any order and beside others.
func TestSmallConditions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	types := []vec.Type{vec.T(vec.Int8), vec.T(vec.Date), vec.T(vec.Numeric), vec.T(vec.Numeric), vec.T(vec.Int8)}
	node := &plan.Scan{}
	for _, typ := range types {
		node.Columns = append(node.Columns, plan.ScanColumn{Type: typ})
	}
	for range 500 {
		rows := 1 + rnd.IntN(300)
		cols, small := make([]*vec.Vector, len(types)), make([]*table.Small, len(types))
		for i, typ := range types {
			v := &vec.Vector{Type: typ}
			for range rows {
				v.I64 = append(v.I64, rnd.Int64N(200)-50)
			}
			s := &table.Small{Least: -50}
			if typ.Kind == vec.Numeric {
				v.Scale, s.Scaled, s.Scale = 1, true, 1
			}
			for _, x := range v.I64 {
				if i%2 == 0 {
					s.Bytes = append(s.Bytes, uint8(x+50))
				} else {
					s.Words = append(s.Words, uint16(x+50))
				}
			}
			if cols[i] = v; i < len(types)-1 {
				small[i] = s
			}
		}
		var sel []uint32
		if rnd.IntN(2) == 0 {
			sel = []uint32{}
			part := 1 + rnd.IntN(20)
			for r := range rows {
				if rnd.IntN(part) == 0 {
					sel = append(sel, uint32(r))
				}
			}
		}
		var conds []expr.Expr
		for range 1 + rnd.IntN(5) {
			i := rnd.IntN(len(types))
			with := &vec.Vector{Type: types[i], Form: vec.Const}
			if types[i].Kind == vec.Numeric {
				with.Dec = []vec.Decimal{{Hi: 0, Lo: uint64(rnd.IntN(2000)), Scale: 2}}
			} else {
				with.I64 = []int64{rnd.Int64N(220) - 60}
			}
			op := []string{"<", "<=", ">", ">=", "<>"}[rnd.IntN(5)]
			c, err := expr.NewOperator(op, &expr.Column{Index: i, T: types[i]}, &expr.Const{Value: with})
			if err != nil {
				t.Fatal(err)
			}
			conds = append(conds, c)
		}
		var got [2][]uint32
		for way := range got {
			block := &rowBlock{rows: rows, sel: sel, column: func(i int) (*vec.Vector, error) { return cols[i], nil }}
			if way == 1 {
				block.small = func(i int) (*table.Small, error) { return small[i], nil }
			}
			s := &scan{source: &scanSource{node: node, env: &Env{Expr: &expr.Context{}, Progress: &Progress{}}}, conds: conds}
			b, err := s.read(block)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case b == nil:
			case b.Sel == nil:
				got[way] = firstRows(new([]uint32), rows)
			default:
				got[way] = b.Sel
			}
		}
		if !slices.Equal(got[0], got[1]) {
			t.Fatalf("seed %d: %d of %d rows pass, want %d", seed, len(got[1]), rows, len(got[0]))
		}
	}
}
