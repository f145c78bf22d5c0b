package exec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/exec/exectest"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// joinRow is a row of a joinModel's side: two keys, of which -1 is NULL, and a number.
type joinRow struct{ a, b, n int }

// joinCase is a join of random rows.
type joinCase struct {
	left, right []joinRow
	kind        plan.JoinKind
	keys        int    // how many of a and b must be equal
	on          bool   // n of both sides must compare by op
	op          string // <, and for ASOF joins any inequality
	safe        []bool
}

// equal says whether the i-th keys of two rows are equal.
func (c *joinCase) equal(i, l, r int) bool { return l == r && (l >= 0 || c.safe != nil && c.safe[i]) }

func (c *joinCase) matches(l, r joinRow) bool {
	return (c.keys < 1 || c.equal(0, l.a, r.a)) && (c.keys < 2 || c.equal(1, l.b, r.b)) && (!c.on || c.compares(l.n, r.n))
}

func (c *joinCase) compares(l, r int) bool {
	switch c.op {
	case "<":
		return l < r
	case "<=":
		return l <= r
	case ">":
		return l > r
	}
	return l >= r
}

// nearest is which row of the right side an ASOF join chooses for one of the left side: of
// equal ones the first; -1 for none.
func (c *joinCase) nearest(l joinRow) int {
	best := -1
	for i, r := range c.right {
		if c.matches(l, r) && (best < 0 || c.op[0] == '<' && r.n < c.right[best].n || c.op[0] == '>' && r.n > c.right[best].n) {
			best = i
		}
	}
	return best
}

// model is what the join should give, found by looking at every pair.
func (c *joinCase) model() []string {
	out := []string{}
	none := strings.Repeat(" NULL", 3)
	met := make([]bool, len(c.right))
	for _, l := range c.left {
		if c.kind.Asof() {
			if i := c.nearest(l); i >= 0 {
				out = append(out, l.text()+" "+c.right[i].text())
			} else if c.kind == plan.AsofLeftJoin {
				out = append(out, l.text()+none)
			}
			continue
		}
		found := false
		for i, r := range c.right {
			if c.matches(l, r) {
				found, met[i] = true, true
				if !c.kind.LeftOnly() {
					out = append(out, l.text()+" "+r.text())
				}
			}
		}
		switch c.kind {
		case plan.LeftJoin, plan.FullJoin:
			if !found {
				out = append(out, l.text()+none)
			}
		case plan.SemiJoin:
			if found {
				out = append(out, l.text())
			}
		case plan.AntiJoin:
			if !found {
				out = append(out, l.text())
			}
		case plan.NotInJoin:
			doubt := l.a < 0 && len(c.right) > 0 || slices.ContainsFunc(c.right, func(r joinRow) bool { return r.a < 0 })
			if !found && !doubt {
				out = append(out, l.text())
			}
		}
	}
	if c.kind == plan.RightJoin || c.kind == plan.FullJoin {
		for i, r := range c.right {
			if !met[i] {
				out = append(out, none[1:]+" "+r.text())
			}
		}
	}
	slices.Sort(out)
	return out
}

func (r joinRow) text() string {
	word := func(n int, form string) string {
		if n < 0 {
			return "NULL"
		}
		return fmt.Sprintf(form, n)
	}
	return word(r.a, "%d") + " " + word(r.b, "k%d") + " " + word(r.n, "%d")
}

var joinTypes = []vec.Type{int8Type, textType, int8Type}

// batches makes rows batches of random sizes and forms.
func joinBatches(rnd *rand.Rand, rows []joinRow, dict *vec.Vector) []*vec.Batch {
	var out []*vec.Batch
	for len(rows) > 0 {
		n := min(len(rows), 1+rnd.IntN(40)*rnd.IntN(2))
		cols := []*vec.Builder{vec.NewBuilder(joinTypes[0]), vec.NewBuilder(joinTypes[1]), vec.NewBuilder(joinTypes[2])}
		b := &vec.Batch{}
		for _, r := range rows[:n] {
			if rnd.IntN(4) == 0 { // a row that does not count
				for _, c := range cols {
					c.AppendNull()
				}
				b.Rows++
			}
			for i, x := range []int{r.a, r.b, r.n} {
				switch {
				case x < 0:
					cols[i].AppendNull()
				case i == 1:
					cols[i].V.Str.AppendString(fmt.Sprintf("k%d", x))
				default:
					cols[i].V.I64 = append(cols[i].V.I64, int64(x))
				}
			}
			b.Sel = append(b.Sel, uint32(b.Rows))
			b.Rows++
		}
		for _, c := range cols {
			b.Cols = append(b.Cols, c.V)
		}
		if dict != nil && rnd.IntN(2) == 0 {
			v := &vec.Vector{Type: textType, Form: vec.Dict, Dict: dict, Codes: make([]uint32, b.Rows), Nulls: vec.NewBitmap(b.Rows)}
			for i := range b.Rows {
				if b.Cols[1].IsNull(i) {
					v.Nulls.Set(i)
					continue
				}
				fmt.Sscanf(b.Cols[1].Str.Str(i), "k%d", &v.Codes[i])
			}
			b.Cols[1] = v
		}
		if rnd.IntN(2) == 0 {
			b = b.Compact()
		}
		// Rows that another join filled up with NULL have constant columns.
		for i, t := range joinTypes {
			if !slices.ContainsFunc(rows[:n], func(r joinRow) bool { return []int{r.a, r.b, r.n}[i] >= 0 }) {
				b.Cols[i] = vec.NullConst(t)
			}
		}
		out, rows = append(out, b), rows[n:]
	}
	return out
}

// TestJoinModel compares joins of random rows with their model: every kind, with either
// side read first, with keys of zero, one and two columns, in memory and from disk.
func TestJoinModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	dict := vec.NewBuilder(textType)
	for i := range 40 {
		dict.V.Str.AppendString(fmt.Sprintf("k%d", i))
	}
	dir, err := exec.OpenSpillDir(vfs.NewMem(), "tmp", math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	for range rounds {
		c := joinCase{kind: plan.JoinKind(rnd.IntN(9)), keys: rnd.IntN(3), on: rnd.IntN(2) == 0, op: "<"}
		if c.kind.Asof() {
			c.on, c.op = true, []string{"<", "<=", ">", ">="}[rnd.IntN(4)]
		}
		if c.kind == plan.NotInJoin {
			c.keys, c.on = 1, false
		} else if rnd.IntN(3) == 0 {
			c.safe = []bool{rnd.IntN(2) == 0, rnd.IntN(2) == 0}[:c.keys]
		}
		values := 1 + rnd.IntN(40)
		apart := []int{1, 1e13}[rnd.IntN(2)] // the values of the first key
		side := func() []joinRow {
			rows := make([]joinRow, rnd.IntN([]int{7, 70}[rnd.IntN(2)]))
			nulls := rnd.IntN(3)
			for i := range rows {
				rows[i] = joinRow{rnd.IntN(values) * apart, rnd.IntN(values), rnd.IntN(20)}
				if nulls > 0 && rnd.IntN(8) == 0 {
					rows[i].a = -1
				}
				if nulls > 1 && rnd.IntN(20) == 0 {
					rows[i].b = -1
				}
			}
			return rows
		}
		c.left, c.right = side(), side()
		column := func(i int) expr.Expr { return &expr.Column{Index: i, T: joinTypes[i%3]} }
		n := &plan.Join{Kind: c.kind, NullSafe: c.safe}
		for i := range c.keys {
			n.LeftKeys, n.RightKeys = append(n.LeftKeys, column(i)), append(n.RightKeys, column(i))
		}
		if c.on {
			n.On = operator(t, c.op, column(2), column(5))
		}
		n.Left = exectest.Input(joinTypes, joinBatches(rnd, c.left, dict.V))
		n.Right = exectest.Input(joinTypes, joinBatches(rnd, c.right, dict.V))
		if rnd.IntN(2) == 0 { // the left side seems to be the smaller one
			n.Left = &plan.Limit{Input: n.Left, Limit: number(400)}
		}
		env := &exec.Env{Expr: &expr.Context{}, Threads: 1, Progress: &exec.Progress{}}
		if rnd.IntN(2) == 0 {
			env.Spill, env.SpillAt = dir, 1
		}
		got, err := exectest.Rows(t.Context(), n, env)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		slices.Sort(got)
		if used := dir.Used(); used != 0 {
			t.Fatalf("seed %d: %d bytes of spill files are left", seed, used)
		}
		if want := c.model(); !slices.Equal(got, want) {
			t.Fatalf("seed %d: join of kind %d, %d keys, condition %v gives\n\t%s\nwant\n\t%s", seed, c.kind, c.keys, c.on,
				strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
}
