package exec

import (
	"context"
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// recursive runs the base of a recursive query, and then its step over and over, each time
// over the rows that the run before has given.
type recursive struct {
	node  *plan.Recursive
	env   *Env
	limit int64 // rows

	inner *Env     // of the step
	op    Operator // of the run that is under way; nil between two
	begun bool
	given int64
	seen  *distinct // rows given so far; nil if they may come again
	// fresh is the rows of this run, which the next one reads, and bytes what they take; old
	// is what those take that this run reads.
	fresh      *spooled
	bytes, old int64
}

// maxRecursiveRows is the limit where no session sets one.
const maxRecursiveRows = 1_000_000

func newRecursive(n *plan.Recursive, env *Env) *recursive {
	r := &recursive{node: n, env: env, limit: maxRecursiveRows, fresh: &spooled{}}
	if env.Expr != nil && env.Expr.Setting != nil {
		if text, ok := env.Expr.Setting("max_recursive_rows"); ok {
			if limit, err := strconv.ParseInt(text, 10, 64); err == nil {
				r.limit = limit
			}
		}
	}
	if !n.All {
		types := make([]vec.Type, len(n.Columns))
		for i, c := range n.Columns {
			types[i] = c.Type
		}
		r.seen = &distinct{on: len(types), types: types, groups: newGrouper(types), env: env}
	}
	return r
}

func (r *recursive) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r.op == nil {
			if r.begun && len(r.fresh.batches) == 0 {
				return nil, nil
			}
			if err := r.begin(); err != nil {
				return nil, err
			}
		}
		b, err := r.op.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b == nil {
			err := r.op.Close()
			r.op = nil
			if err != nil {
				return nil, err
			}
			continue
		}
		if b, err = r.keep(ctx, b); b != nil || err != nil {
			return b, err
		}
	}
}

// begin opens the next run.
func (r *recursive) begin() (err error) {
	if !r.begun {
		r.begun = true
		r.op, err = Build(r.node.Base, r.env)
		return err
	}
	r.env.release(r.old)
	r.old, r.bytes = r.bytes, 0
	if r.inner == nil {
		r.inner = r.env.within()
		if r.inner.spooled == nil {
			r.inner.spooled = map[int]*spooled{}
		}
	}
	r.inner.spooled[r.node.Slot] = r.fresh // nobody reads it: the run before is closed
	r.fresh = &spooled{}
	r.op, err = Build(r.node.Step, r.inner)
	return err
}

// keep gives the rows of a batch that count, for the client and for the next run; nil for
// none.
func (r *recursive) keep(ctx context.Context, b *vec.Batch) (*vec.Batch, error) {
	if r.seen != nil {
		b = &vec.Batch{Rows: b.Rows, Sel: r.seen.fresh(b), Cols: b.Cols}
		if b.Sel == nil {
			return nil, nil
		}
		if err := r.seen.hold(ctx); err != nil {
			return nil, err
		}
	}
	if b = b.Compact(); b.Rows == 0 {
		return nil, nil
	}
	if r.given += int64(b.Rows); r.given > r.limit {
		return nil, pgerr.New(pgerr.ConfigurationLimit, "recursive query %q has made more than %d rows", r.node.Name, r.limit).
			WithHint("Give it a condition to end by, or raise max_recursive_rows.")
	}
	size := int64(0)
	cols := slices.Clone(b.Cols)
	for i, c := range cols {
		if c.Form == vec.Dict && c.Dict.Len() > b.Rows { // it may be one of all persons
			cols[i] = c.Flatten(b.Rows)
		}
		size += cols[i].Bytes() + cols[i].Dict.Bytes()
	}
	b = &vec.Batch{Rows: b.Rows, Cols: cols}
	r.bytes += size
	r.fresh.batches = append(r.fresh.batches, b)
	return b, r.env.hold(ctx, size)
}

func (r *recursive) Close() error {
	r.env.release(r.old + r.bytes)
	r.old, r.bytes = 0, 0
	if r.seen != nil {
		r.env.release(r.seen.held)
		r.seen.held = 0
	}
	if r.op == nil {
		return nil
	}
	return r.op.Close()
}
