package exec

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// pipeline is a chain of filters, projections and joins over one leaf, as a recipe: copies of
// it can run side by side, sharing the leaf's morsels and what the joins look up. It is
// closed when no copy runs any more.
type pipeline struct {
	node   plan.Node // top of the chain
	leaf   plan.Node
	source *scanSource // nil: the leaf is not a scan that can be shared
	shared sharedLeaf  // nil: nor another leaf that can be
	joins  map[plan.Node]*joining
	env    *Env
}

// sharedLeaf is a leaf that is no scan: copies take one part of its rows after the other.
type sharedLeaf interface {
	// copies is how many goroutines may find something to do.
	copies() int
	// open starts one copy. Rows that do not pass the filters have no effect above.
	open(filters []*keyFilter) Operator
	// close is called when no copy runs any more.
	close() error
}

// newPipeline prepares the chain that ends in n, of which such columns are read; nil is all. Joins
// may give NULL for others.
func newPipeline(n plan.Node, env *Env, read columnSet) (*pipeline, error) {
	p := &pipeline{node: n, leaf: n, joins: map[plan.Node]*joining{}, env: env}
	if read == nil {
		read = slices.Repeat(columnSet{true}, len(n.Schema()))
	}
	var above *plan.Filter // right above the leaf, or nil
	shown := read          // what is read above that
	for {
		switch x := p.leaf.(type) {
		case *plan.Filter:
			above, shown = x, read
			p.leaf, read = x.Input, read.and(x.Cond)
			continue
		case *plan.Project:
			p.leaf, read = x.Input, make(columnSet, len(x.Input.Schema())).and(x.Exprs...)
			continue
		case *plan.Join:
			if x.Kind.Asof() {
				break // it reads both sides in order
			}
			j := newJoining(x, env, read)
			p.joins[x], p.leaf, read = j, j.probe, j.probeRead.and(j.keys...)
			continue
		case *plan.Scan:
			src, err := newScanSource(x, env)
			if err != nil {
				return nil, err
			}
			p.source = src
		case *plan.Funnel, *plan.Paths:
			if source := blockSourceOf(x, env); source != nil {
				p.shared = source
			}
		case *plan.Aggregate:
			if byActor(x, env) {
				p.leaf, read = x.Input, readBy(x)
				continue
			}
			if newRunCount(x, env) != nil {
				break // it is one operator
			}
			groups, err := newAggregating(x, env)
			if err != nil {
				return nil, err
			}
			p.shared = groups
		case *plan.Window:
			if above == nil || above.Input != p.leaf {
				above, shown = nil, read
			}
			numbers, err := newRowNumbers(x, env, shown, above)
			if err != nil {
				return nil, err
			}
			if numbers != nil {
				p.shared = numbers
			} else if divided(x, env) {
				window, err := newDividing(x, env, above)
				if err != nil {
					return nil, err
				}
				p.shared = window
			}
		}
		for _, j := range p.joins {
			j.active = p.copies()
		}
		return p, nil
	}
}

// columnSet says which columns of a node are read.
type columnSet []bool

// and is the set with those that expressions read.
func (s columnSet) and(exprs ...expr.Expr) columnSet {
	out := slices.Clone(s)
	for _, e := range exprs {
		expr.Walk(e, func(e expr.Expr) bool {
			if c, ok := e.(*expr.Column); ok {
				out[c.Index] = true
			}
			return true
		})
	}
	return out
}

// close gives back what copies have shared.
func (p *pipeline) close() error {
	var first error
	if p.shared != nil {
		first = p.shared.close()
	}
	for _, j := range p.joins {
		if err := j.close(); first == nil {
			first = err
		}
	}
	return first
}

// drain runs copies of the pipeline side by side. Each gives its batches to what begin
// makes for it, which keeps nothing of them, and then calls end. Rows that do not pass the filters
// may be left out.
func (p *pipeline) drain(ctx context.Context, filters []*keyFilter, begin func(ctx context.Context, worker int) (func(*vec.Batch) error, error), end func(ctx context.Context, worker int) error) error {
	return parallel(ctx, p.copies(), func(ctx context.Context, w int) error {
		add, err := begin(ctx, w)
		if err != nil {
			return err
		}
		op, err := p.openNode(p.node, again(filters))
		if err != nil {
			return err
		}
		lend(op)
		if err := drain(ctx, op, add); err != nil {
			op.Close() // the first error is the one that matters
			return err
		}
		if err := op.Close(); err != nil {
			return err
		}
		return end(ctx, w)
	})
}

// lend has the scan that an operator reads from make its batches of the same memory again and again. Who
// takes batches of the operator is done with one when it asks for the next.
func lend(op Operator) {
	switch op := op.(type) {
	case *scan:
		op.arena = &vec.Arena{}
	case *filter:
		lend(op.input)
	case *project:
		lend(op.input)
	case *analyzed:
		lend(op.Operator)
	}
}

// copies is how many copies of the pipeline are worth running.
func (p *pipeline) copies() int {
	switch {
	case p.shared != nil:
		return p.shared.copies()
	case p.source != nil:
		return p.source.copies()
	}
	return 1
}

// open starts one copy.
func (p *pipeline) open() (Operator, error) { return p.openNode(p.node, nil) }

// openBare is open for a chain that is an operator of its own, whose rows Build counts.
func (p *pipeline) openBare() (Operator, error) {
	op, err := p.open()
	if a, ok := op.(*analyzed); ok {
		op = a.Operator
	}
	return op, err
}

// openNode opens a part of the chain. Rows that do not pass the filters have no effect above.
func (p *pipeline) openNode(n plan.Node, filters []*keyFilter) (op Operator, err error) {
	switch {
	case n != p.leaf:
		op, err = p.openAbove(n, filters)
	case p.source != nil:
		op = newScan(p.source, filters)
	case p.shared != nil:
		op = p.shared.open(filters)
	default:
		return Build(n, p.env)
	}
	if st := p.env.Stats.Node(n); st != nil && err == nil {
		op = &analyzed{op, st, len(n.Schema())}
	}
	return op, err
}

// openAbove opens the part of the chain that ends in a node above the leaf.
func (p *pipeline) openAbove(n plan.Node, filters []*keyFilter) (Operator, error) {
	switch x := n.(type) {
	case *plan.Filter:
		if x.Input == p.leaf {
			if op, err := p.openFiltered(x, filters); op != nil || err != nil {
				return op, err
			}
		}
		in, err := p.openNode(x.Input, filters)
		if err != nil {
			return nil, err
		}
		return &filter{input: in, cond: x.Cond, env: p.env}, nil
	case *plan.Project:
		in, err := p.openNode(x.Input, throughProject(x, filters))
		if err != nil {
			return nil, err
		}
		return &project{input: in, exprs: x.Exprs, columns: len(x.Input.Schema()), env: p.env}, nil
	case *plan.Join:
		j := p.joins[x]
		if !slices.Contains(p.env.Disabled, plan.JoinFilters) {
			filters = j.keyFilters(filters)
		}
		in, err := p.openNode(j.probe, filters)
		if err != nil {
			return nil, err
		}
		return &join{joining: j, input: in}, nil
	case *plan.Aggregate: // by actor
		in, err := p.openNode(x.Input, nil)
		if err != nil {
			return nil, err
		}
		return &actorGroups{input: in, node: x, env: p.env}, nil
	}
	return nil, fmt.Errorf("%T cannot stand above the leaf of a pipeline", n)
}

// openFiltered opens the leaf with the filter above it, if it takes that in; else it is nil.
func (p *pipeline) openFiltered(f *plan.Filter, filters []*keyFilter) (Operator, error) {
	if p.source != nil {
		if s := newScan(p.source, filters); s.takes(f.Cond) {
			return s, nil
		}
		return nil, nil
	}
	if numbers, ok := p.shared.(*rowNumbers); ok {
		return numbers.filtered(filters), nil
	}
	if a, ok := p.leaf.(*plan.Aggregate); ok && p.shared == nil {
		c := newRunCount(a, p.env)
		if c == nil {
			return nil, nil
		}
		if taken, err := c.takes(f); taken || err != nil {
			return c, err
		}
	}
	return nil, nil
}

// buildPipeline runs a chain as an operator: one copy in the caller's goroutine, or
// several behind an exchange. The order of rows is not kept.
func buildPipeline(n plan.Node, env *Env) (Operator, error) {
	p, err := newPipeline(n, env, nil)
	if err != nil {
		return nil, err
	}
	return p.operator()
}

// operator is the pipeline as an operator.
func (p *pipeline) operator() (Operator, error) {
	if p.copies() == 1 {
		op, err := p.openBare()
		if (len(p.joins) > 0 || p.source == nil) && err == nil {
			op = &alone{op, p}
		}
		return op, err
	}
	return &exchange{pipe: p}, nil
}

// alone is the only copy of a pipeline.
type alone struct {
	Operator
	pipe *pipeline
}

func (a *alone) Close() error {
	err := a.Operator.Close()
	if closing := a.pipe.close(); err == nil {
		err = closing
	}
	return err
}

// exchange runs copies of a pipeline on goroutines of its own and hands out their batches
// as they come.
type exchange struct {
	pipe    *pipeline
	batches chan *vec.Batch
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	err     error // of the first copy that failed; read after batches is closed
	once    sync.Once
}

func (x *exchange) start(ctx context.Context) {
	ctx, x.cancel = context.WithCancel(ctx)
	n := x.pipe.copies()
	x.batches = make(chan *vec.Batch, n)
	for range n {
		x.wait.Add(1)
		go func() {
			defer x.wait.Done()
			ctx, turn := begin(ctx)
			defer turn.Pause()
			if err := x.copy(ctx); err != nil {
				x.once.Do(func() { x.err = err })
				x.cancel()
			}
		}()
	}
	go func() {
		x.wait.Wait()
		close(x.batches)
	}()
}

func (x *exchange) copy(ctx context.Context) error {
	op, err := x.pipe.openBare()
	if err != nil {
		return err
	}
	for {
		b, err := op.Next(ctx)
		if b == nil || err != nil {
			if cerr := op.Close(); err == nil {
				err = cerr
			}
			return err
		}
		if !x.send(ctx, b) {
			return op.Close() // the reader has gone, or another copy failed
		}
	}
}

func (x *exchange) send(ctx context.Context, b *vec.Batch) bool {
	select {
	case x.batches <- b:
		return true
	default:
	}
	defer away(ctx)()
	select {
	case x.batches <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

func (x *exchange) Next(ctx context.Context) (*vec.Batch, error) {
	if x.batches == nil {
		x.start(ctx)
	}
	if b, ok := receive(ctx, x.batches); ok {
		return b, nil
	}
	if x.err != nil {
		return nil, x.err
	}
	return nil, ctx.Err()
}

func (x *exchange) Close() error {
	if x.batches != nil {
		x.cancel()
		for range x.batches {
		}
	}
	return x.pipe.close()
}

// parallel runs f(worker) n times side by side, once in the caller's goroutine, and waits for
// all. The first error cancels the context that the others see.
func parallel(ctx context.Context, n int, f func(ctx context.Context, worker int) error) error {
	if n <= 1 {
		return f(ctx, 0)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	var once sync.Once
	var first error
	run := func(ctx context.Context, w int) {
		if err := f(ctx, w); err != nil {
			once.Do(func() { first = err })
			cancel()
		}
	}
	for w := 1; w < n; w++ {
		wait.Go(func() {
			ctx, turn := begin(inner)
			defer turn.Pause()
			run(ctx, w)
		})
	}
	run(inner, 0)
	back := away(ctx)
	wait.Wait()
	back()
	return first
}
