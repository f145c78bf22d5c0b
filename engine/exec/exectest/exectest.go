package exectest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// Case is rows, stated once, and a plan over them.
type Case struct {
	// Rows are the rows, as PostgreSQL writes values, columns apart by blanks; a word
	// NULL is one.
	Types []vec.Type
	Rows  []string
	// Plan is the plan over an input of these rows.
	Plan func(input plan.Node) plan.Node
	// Want is the rows that come out, written likewise; in any order unless Ordered.
	Want    []string
	Ordered bool
}

// Run runs a case in every shape, with all memory and with so little that everything is
// spilled.
func Run(t *testing.T, c Case) {
	t.Helper()
	rows := c.parse(t)
	dir, err := exec.OpenSpillDir(vfs.NewMem(), "tmp", math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	spilled := c // groups and distinct rows come in another order from there
	switch c.Plan(Input(c.Types, nil)).(type) {
	case *plan.Aggregate, *plan.Distinct:
		spilled.Ordered = false
	}
	for _, s := range shapes {
		c.check(t, s.name(), c.answer(t, s.batches(rows), nil), c.Want)
		spilled.check(t, s.name()+", spilled", c.answer(t, s.batches(rows), dir), c.Want)
	}
	for every := 1; every <= 3; every++ {
		holed := withNulls(rows, every)
		want := c.answer(t, shapes[0].batches(holed), nil)
		for _, s := range shapes {
			c.check(t, fmt.Sprintf("%s, nulls put into one of %d values", s.name(), every+1), c.answer(t, s.batches(holed), nil), want)
		}
	}
}

// Column is the i-th column of a case's input.
func (c *Case) Column(i int) expr.Expr { return &expr.Column{Index: i, T: c.Types[i]} }

func (c *Case) check(t *testing.T, where string, got, want []string) {
	t.Helper()
	want = slices.Clone(want)
	if !c.Ordered {
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: rows are\n\t%s\nwant\n\t%s", where, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func textContext() *expr.Context { return &expr.Context{Location: time.UTC} }

// parse makes the rows one flat batch.
func (c *Case) parse(t *testing.T) *vec.Batch {
	t.Helper()
	out := &vec.Batch{Rows: len(c.Rows)}
	columns := make([]*vec.Builder, len(c.Types))
	for i, typ := range c.Types {
		columns[i] = vec.NewBuilder(typ)
		out.Cols = append(out.Cols, columns[i].V)
	}
	for _, row := range c.Rows {
		words := strings.Fields(row)
		if len(words) != len(c.Types) {
			t.Fatalf("row %q has %d values, want %d", row, len(words), len(c.Types))
		}
		for i, w := range words {
			if w == "NULL" {
				columns[i].AppendNull()
				continue
			}
			text := &vec.Vector{Type: vec.T(vec.Unknown), Form: vec.Const, Str: vec.StringsOf(w)}
			cast, err := expr.NewCast(&expr.Const{Value: text}, c.Types[i], true, false)
			if err != nil {
				t.Fatal(err)
			}
			v, err := cast.Eval(textContext(), &vec.Batch{Rows: 1})
			if err != nil {
				t.Fatal(err)
			}
			columns[i].AppendFrom(v, 0)
		}
	}
	return out
}

// answer runs the plan over batches and writes the rows that come out.
func (c *Case) answer(t *testing.T, batches []*vec.Batch, spill *exec.SpillDir) []string {
	t.Helper()
	env := &exec.Env{Expr: textContext(), Threads: 1, Progress: &exec.Progress{}, Spill: spill, SpillAt: 1}
	out, err := Rows(t.Context(), c.Plan(Input(c.Types, batches)), env)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Rows runs a plan to its end, closes it, and writes the rows that come out.
func Rows(ctx context.Context, n plan.Node, env *exec.Env) (out []string, err error) {
	op, err := exec.Build(n, env)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := op.Close(); err == nil {
			err = closing
		}
	}()
	out = []string{}
	for {
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			return out, err
		}
		b = b.Compact()
		for r := range b.Rows {
			words := make([]string, len(b.Cols))
			for i, v := range b.Cols {
				words[i] = "NULL"
				if !v.IsNull(r) {
					words[i] = string(expr.AppendText(nil, v, r, env.Expr))
				}
			}
			out = append(out, strings.Join(words, " "))
		}
	}
}

// Input is a plan node that gives batches of columns c0, c1, …
func Input(types []vec.Type, batches []*vec.Batch) plan.Node {
	in := &input{batches: batches}
	for i, typ := range types {
		in.schema = append(in.schema, vec.Field{Name: fmt.Sprint("c", i), Type: typ})
	}
	return in
}

// input is a plan node that is given its batches.
type input struct {
	schema  vec.Schema
	batches []*vec.Batch
}

// reader is an input that runs.
type reader struct{ batches []*vec.Batch }

func (n *input) Schema() vec.Schema               { return n.schema }
func (n *input) Inputs() []plan.Node              { return nil }
func (n *input) WithInputs([]plan.Node) plan.Node { return n }
func (n *input) Describe(p *plan.Printer)         { p.Line("Rows") }
func (n *input) Open() (exec.Operator, error)     { return &reader{n.batches}, nil }

func (r *reader) Close() error { return nil }

func (r *reader) Next(ctx context.Context) (*vec.Batch, error) {
	if len(r.batches) == 0 {
		return nil, ctx.Err()
	}
	b := r.batches[0]
	r.batches = r.batches[1:]
	return b, ctx.Err()
}
