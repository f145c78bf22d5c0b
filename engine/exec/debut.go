package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// debut restricts a condition to the rows that are the first of their person to satisfy
// another one, among all rows of the input. It is for actors that are not persons: where
// they are, the first row of a list is at hand.
type debut struct {
	cond             int // which condition is restricted
	of               expr.Expr
	person, time     expr.Expr
	tie              expr.Expr // or nil: the row that came first
	persons          *grouper
	best             []debutRow // by person's number
	ties             *vec.Builder
	winners          []uint32 // of the rows of the batch: number of the person whose first row so far it is, plus 1
	seen             int      // rows of batches before
	scratch, numbers []uint32
}

// debutRow is the first row of a person so far.
type debutRow struct {
	time int64
	seq  int // number of the row in the input
	tie  int // position in ties
	row  int // position among the rows that are kept, plus 1; 0: it is not
}

func newDebut(cond int, of, person, time, tie expr.Expr) *debut {
	d := &debut{cond: cond, of: of, person: person, time: time, tie: tie, persons: newGrouper([]vec.Type{person.Type()})}
	if tie != nil {
		d.ties = vec.NewBuilder(tie.Type())
	}
	return d
}

// note looks for first rows in a batch.
func (d *debut) note(ctx context.Context, env *Env, all *vec.Batch) error {
	d.winners = grow(d.winners, all.Rows)
	clear(d.winners)
	base := d.seen
	d.seen += all.Rows
	b, err := dropNull(env.Expr, all, d.person, d.time)
	if err != nil {
		return err
	}
	if b, err = keepTrue(env.Expr, d.of, b); err != nil || b.Live() == 0 {
		return err
	}
	exprs := []expr.Expr{d.person, d.time}
	if d.tie != nil {
		exprs = append(exprs, d.tie)
	}
	cols, err := evalAll(env.Expr, exprs, b)
	if err != nil {
		return err
	}
	live := b.Sel
	if live == nil {
		live = firstRows(&d.scratch, b.Rows)
	}
	d.numbers = grow(d.numbers, len(live))
	d.persons.assign(d.numbers, cols[:1], live)
	before := len(d.best)
	for i, r := range live {
		tv, ti := cols[1].At(int(r))
		next := debutRow{time: tv.I64[ti], seq: base + int(r)}
		p := int(d.numbers[i])
		if p == len(d.best) {
			d.best = append(d.best, debutRow{time: vec.InfinityTime, seq: -1})
		}
		if !d.earlier(&next, &d.best[p], cols, int(r)) {
			continue
		}
		if d.ties != nil {
			next.tie = d.ties.V.Len()
			d.ties.AppendFrom(cols[2], int(r))
		}
		d.best[p] = next
	}
	for i, r := range live {
		if p := d.numbers[i]; d.best[p].seq == base+int(r) {
			d.winners[r] = p + 1
		}
	}
	return env.hold(ctx, int64(len(d.best)-before)*64)
}

// earlier says whether a row, which is row r of cols, comes before the first one so far.
func (d *debut) earlier(a, b *debutRow, cols []*vec.Vector, r int) bool {
	if b.seq < 0 || a.time != b.time {
		return b.seq < 0 || a.time < b.time
	}
	if d.ties == nil {
		return false
	}
	v, i := cols[2].At(r)
	return vec.Compare(v, i, d.ties.V, b.tie) < 0
}

// kept says that row r of the batch is kept at a position.
func (d *debut) kept(r uint32, position int) {
	if p := d.winners[r]; p > 0 {
		d.best[p-1].row = position + 1
	}
}

// apply takes the condition from all rows that are nobody's first.
func (d *debut) apply(rows []inputRow) {
	first := vec.NewBitmap(len(rows))
	for i := range d.best {
		if r := d.best[i].row; r > 0 {
			first.Set(r - 1)
		}
	}
	for i := range rows {
		if !first.Get(int(rows[i].row)) {
			rows[i].conds.unset(d.cond)
		}
	}
}

// dropEmpty drops the rows where a text is empty.
func dropEmpty(ctx *expr.Context, b *vec.Batch, e expr.Expr) (*vec.Batch, error) {
	if !e.Type().IsText() || b.Live() == 0 {
		return b, nil
	}
	v, err := e.Eval(ctx, b)
	if err != nil {
		return nil, err
	}
	sel := make([]uint32, 0, b.Live())
	for i := range b.Live() {
		r := uint32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		if x, j := v.At(int(r)); len(x.Str.At(j)) > 0 {
			sel = append(sel, r)
		}
	}
	return &vec.Batch{Rows: b.Rows, Sel: sel, Cols: b.Cols}, nil
}
