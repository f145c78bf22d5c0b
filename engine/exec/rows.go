package exec

import (
	"context"
	"sort"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// rowActors is actors read as rows from any input: the general form, and the reference
// that tests hold the indexed one against.
type rowActors struct {
	all    block
	actor  *grouper
	values *values32
	lo, hi int64
	ties   *vec.Vector // of all rows; nil: in order of arrival
}

// inputRow is one row of the input, as far as the lists need it.
type inputRow struct {
	actor, val, row uint32
	time, num       int64
	conds           condSet
}

// openRows reads the whole input of a native operator.
func openRows(ctx context.Context, n plan.Node, src *plan.Source, conds []expr.Expr, env *Env) (*rowActors, error) {
	return openRowsWith(ctx, n, src, conds, alongside{}, env)
}

// alongside is what else an operator wants of the rows that are read for it.
type alongside struct {
	debuts []*debut      // conditions that hold only for first rows
	number expr.Expr     // csr.nums, or nil
	values *measuredRows // or nil
}

// openRowsWith is openRows with more than times.
func openRowsWith(ctx context.Context, n plan.Node, src *plan.Source, conds []expr.Expr, more alongside, env *Env) (*rowActors, error) {
	ra := &rowActors{actor: newGrouper([]vec.Type{src.Actor.Type()}), lo: vec.InfinityTime, hi: vec.NegInfinityTime}
	if src.Breakdown != nil {
		ra.values = newValues32(src.Breakdown.Exprs)
	}
	var ties *vec.Builder
	if src.Tie != nil {
		ties = vec.NewBuilder(src.Tie.Type())
	}
	input, err := Build(src.Input, env)
	if err != nil {
		return nil, err
	}
	defer input.Close() // what it could say, drain has said
	env.usedIndex(n, "none: rows grouped and sorted")
	var rows []inputRow
	var all []uint32
	err = drain(ctx, input, func(b *vec.Batch) error {
		if src.Where != nil {
			if b, err = keepTrue(env.Expr, src.Where, b); err != nil {
				return err
			}
		}
		for _, d := range more.debuts {
			if err := d.note(ctx, env, b); err != nil {
				return err
			}
		}
		if b, err = dropNull(env.Expr, b, src.Actor, src.Time); err != nil {
			return err
		}
		if src.Compatible {
			b, err = dropEmpty(env.Expr, b, src.Actor)
		}
		if err != nil || b.Live() == 0 {
			return err
		}
		live := b.Sel
		if live == nil {
			live = firstRows(&all, b.Rows)
		}
		masks := make([]condSet, b.Rows)
		for i, c := range conds {
			kept := b
			if c != nil {
				if kept, err = keepTrue(env.Expr, c, b); err != nil {
					return err
				}
			}
			sel := kept.Sel
			if sel == nil {
				sel = live
			}
			for _, r := range sel {
				masks[r].set(i)
			}
		}
		cols, err := evalAll(env.Expr, []expr.Expr{src.Actor, src.Time}, b)
		if err != nil {
			return err
		}
		ids, vals := make([]uint32, len(live)), make([]uint32, len(live))
		ra.actor.assign(ids, cols[:1], live)
		if src.Breakdown != nil {
			by, err := evalAll(env.Expr, src.Breakdown.Exprs, b)
			if err != nil {
				return err
			}
			ra.values.assign(vals, by, live)
		}
		var tie *vec.Vector
		if ties != nil {
			if tie, err = src.Tie.Eval(env.Expr, b); err != nil {
				return err
			}
		}
		var nums *vec.Vector
		if more.number != nil {
			if nums, err = more.number.Eval(env.Expr, b); err != nil {
				return err
			}
		}
		grown := int64(0)
		if more.values != nil {
			if grown, err = more.values.read(env.Expr, b, live, masks); err != nil {
				return err
			}
		}
		before := len(rows)
		for i, r := range live {
			if masks[r].none() {
				continue
			}
			for _, d := range more.debuts {
				d.kept(r, len(rows))
			}
			tv, ti := cols[1].At(int(r))
			row := inputRow{actor: ids[i], val: vals[i], row: uint32(len(rows)), time: tv.I64[ti], conds: masks[r]}
			if nums != nil {
				row.num = numberOf(nums, int(r))
			}
			rows = append(rows, row)
			if ties != nil {
				ties.AppendFrom(tie, int(r))
			}
		}
		return env.hold(ctx, int64(len(rows)-before)*80+grown)
	})
	if err != nil {
		return nil, err
	}
	if ties != nil {
		ra.ties = ties.V
	}
	for _, d := range more.debuts {
		d.apply(rows)
	}
	sort.SliceStable(rows, func(i, j int) bool {
		a, b := &rows[i], &rows[j]
		if a.actor != b.actor {
			return a.actor < b.actor
		}
		if a.time != b.time || ra.ties == nil {
			return a.time < b.time
		}
		return vec.Compare(ra.ties, int(a.row), ra.ties, int(b.row)) < 0
	})
	ra.lists(rows, len(conds), more.number != nil)
	return ra, nil
}

// dropNull drops the rows where one of the expressions is null.
func dropNull(ctx *expr.Context, b *vec.Batch, exprs ...expr.Expr) (*vec.Batch, error) {
	for _, e := range exprs {
		v, err := e.Eval(ctx, b)
		if err != nil {
			return nil, err
		}
		if !v.HasNulls() {
			continue
		}
		sel := make([]uint32, 0, b.Live())
		for i := range b.Live() {
			r := uint32(i)
			if b.Sel != nil {
				r = b.Sel[i]
			}
			if !v.IsNull(int(r)) {
				sel = append(sel, r)
			}
		}
		b = &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}
	}
	return b, nil
}

// lists makes the rows, which are sorted, into one block.
func (ra *rowActors) lists(rows []inputRow, conds int, numbered bool) {
	actors := ra.actor.groups
	ra.all = block{count: actors, conds: make([]csr, conds)}
	for c := range ra.all.conds {
		l := &ra.all.conds[c]
		l.reset(actors, len(rows))
		for i := range rows {
			r := &rows[i]
			ra.lo, ra.hi = min(ra.lo, r.time), max(ra.hi, r.time)
			if !r.conds.has(c) {
				continue
			}
			l.off[r.actor+1]++
			l.times = append(l.times, r.time)
			if ra.values != nil {
				l.vals = append(l.vals, r.val)
			}
			if numbered {
				l.nums = append(l.nums, r.num)
			}
			l.refs = append(l.refs, rowRef{row: r.row})
		}
		for a := range actors {
			l.off[a+1] += l.off[a]
		}
	}
}

func (ra *rowActors) marked(dst []actorRow, _ *block, _ int, _, _ int64, _ bool) ([]actorRow, bool) {
	return dst, false
}

func (ra *rowActors) disjoint() bool         { return false }
func (ra *rowActors) bounds() (int64, int64) { return ra.lo, ra.hi }
func (ra *rowActors) breakdown() *values32   { return ra.values }

func (ra *rowActors) vector(ids []uint32) *vec.Vector { return ra.actor.values()[0].Take(ids) }

func (ra *rowActors) before(a, b rowRef) (int, error) {
	if a.row == b.row {
		return 0, nil
	}
	if ra.ties != nil {
		if c := vec.Compare(ra.ties, int(a.row), ra.ties, int(b.row)); c != 0 {
			return c, nil
		}
	}
	return int(a.row) - int(b.row), nil
}

func (ra *rowActors) divide(context.Context) (int, error) { return min(ra.all.count, 1), nil }

func (ra *rowActors) block(context.Context, *filler, int) (*block, error) { return &ra.all, nil }

func (ra *rowActors) blocks(ctx context.Context, f func(context.Context, int, *block) error) error {
	if ra.all.count == 0 {
		return nil
	}
	return f(ctx, 0, &ra.all)
}
