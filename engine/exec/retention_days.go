package exec

import (
	"context"
	"math/bits"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// dayReturner counts actors in the periods of the calendar by the days on which they have rows, 64 at a
// time: bit a of a word is actor at+a of the block. Where the first start of a period and the last
// return in it are on one day, their order tells whether there is a return after the start.
type dayReturner struct {
	returner
	line *dayLine
	// open marks, by ordinal, whom days do not tell of, since rows have to be read. They are not counted.
	open   vec.Bitmap
	at     int      // place of the first actor in the block
	events []uint32 // scratch
	// By day: who has a row of START, one of RETURN, and several.
	starts, returns, repeats []uint64
	// By period: who starts in it, who of them returns in it after that, and who returns in it.
	begun, again, visits []uint64
	came                 []uint64 // by column: who returns in it, of those who start in one period
	turned               []uint64 // visits by actor, a bit a period; empty until they are asked for
}

// days is how to read on which days actors have rows, if that is all there is to know.
func (r *retention) days() (*indexed, *dayLine, bool) {
	n := r.node
	ix, ok := r.actors.(*indexed)
	if !ok || n.ByActor || n.FirstOf != nil || n.Minimum > 1 {
		return nil, nil, false
	}
	days, ok := ix.dayLine(r.line, r.from, r.to)
	return ix, days, ok
}

// countDays counts all actors of whom days tell, and gives the others.
func (r *retention) countDays(ctx context.Context, ix *indexed, line *dayLine, parts [][]*matrix) (open vec.Bitmap, err error) {
	if !r.same {
		if r.sameDay, err = ix.findSameDay(ctx, 1); err != nil {
			return nil, err
		}
	}
	open = vec.NewBitmap(ix.total)
	walkers := make([]*dayReturner, len(parts))
	err = ix.dayBlocks(ctx, line.first, len(line.buckets), r.same, func(ctx context.Context, w int, b *dayBlock) error {
		if walkers[w] == nil {
			parts[w] = make([]*matrix, 1)
			walkers[w] = &dayReturner{returner: returner{r: r, out: parts[w]}, line: line, open: open}
		}
		k := walkers[w]
		k.base, k.ctx = b.base, ctx
		for k.at = 0; k.at < b.count; k.at += planeActors {
			if err := k.count64(b); err != nil {
				return err
			}
			if err := k.holdMuch(); err != nil {
				return err
			}
		}
		return k.hold()
	})
	return open, err
}

// count64 counts the actors of a block from k.at on.
func (k *dayReturner) count64(b *dayBlock) error {
	k.starts = b.planes(k.starts, b.conds[0], k.at)
	if k.r.same {
		k.repeats = b.planes(k.repeats, b.repeats[0], k.at)
	} else {
		k.returns = b.planes(k.returns, b.conds[1], k.at)
	}
	if err := k.findPeriods(); err != nil {
		return err
	}
	k.turned = k.turned[:0]
	for p, begun := range k.begun {
		if begun != 0 {
			k.countStarts(p, begun)
		}
	}
	return nil
}

// findPeriods finds in which periods actors start and return.
func (k *dayReturner) findPeriods() error {
	n, days := k.r.line.count(), k.line.buckets
	k.begun, k.again, k.visits = grow(k.begun, n), grow(k.again, n), grow(k.visits, n)
	clear(k.begun)
	clear(k.again)
	clear(k.visits)
	once, ever := k.r.node.Rule != plan.EveryTime, k.r.node.Rule == plan.FirstEver
	returns := k.returns
	if k.r.same {
		returns = k.starts
	}
	done, open := uint64(0), uint64(0) // who starts no more, and of whom days do not tell
	for d := 0; d < len(days); {
		p, first := int(days[d]), d
		begun, again, tied, visits := uint64(0), uint64(0), uint64(0), uint64(0)
		for ; d < len(days) && int(days[d]) == p; d++ {
			starts, came := k.starts[d], returns[d]
			visits |= came
			again |= begun & came
			switch {
			case k.line.inside[d]:
				fresh := starts &^ (begun | done)
				begun |= fresh
				if k.r.same {
					again |= fresh & k.repeats[d]
				} else {
					tied |= fresh & came
				}
			case ever:
				done |= starts
			}
		}
		if p < 0 {
			continue
		}
		if once {
			done |= begun
		}
		if tied &^= again; tied != 0 {
			after, unknown, err := k.untie(tied, first)
			if err != nil {
				return err
			}
			again, open = again|after, open|unknown
		}
		k.begun[p], k.again[p], k.visits[p] = begun, again, visits
	}
	if open != 0 {
		for p := range k.begun {
			k.begun[p] &^= open
		}
		k.open[(int(k.base)+k.at)/planeActors] |= open // nobody else has actors of the same word
	}
	return nil
}

// untie says who of the actors, whose start in the period that begins on a day is on the day of their last
// return in it, returns after it, and of whom that is not known.
func (k *dayReturner) untie(tied uint64, first int) (after, unknown uint64, err error) {
	if k.r.sameDay == nil {
		return 0, tied, nil
	}
	for rest := tied; rest != 0; rest &= rest - 1 {
		d, bit := first, rest&-rest
		for !k.line.inside[d] || k.starts[d]&bit == 0 {
			d++
		}
		actor := k.base + uint32(k.at+bits.TrailingZeros64(bit))
		var is bool
		if is, k.events, err = k.r.sameDay.before(k.events, actor, k.line.first+int64(d)); err != nil {
			return 0, 0, err
		}
		if is {
			after |= bit
		}
	}
	return after, 0, nil
}

// planeColumns is how many columns there must be for each who starts in a period before those are counted
// one by one, and not column by column.
const planeColumns = 8

// countStarts counts those who start in a period.
func (k *dayReturner) countStarts(p int, begun uint64) {
	n, size := k.r.node, bits.OnesCount64(begun)
	m, row := k.cohort(p, 0, size)
	if n.Brackets == nil && !n.OrAfter && n.Output != plan.OutputActors && size*planeColumns < len(row) {
		row[0] += int64(bits.OnesCount64(begun & k.again[p]))
		k.turnVisits()
		for ; begun != 0; begun &= begun - 1 {
			k.countReturns(row, p, bits.TrailingZeros64(begun))
		}
		return
	}
	columns := k.columns(p, len(row))
	for c, came := range columns {
		row[c] += int64(bits.OnesCount64(begun & came))
	}
	for ; n.Output == plan.OutputActors && begun != 0; begun &= begun - 1 {
		k.list(m, p, bits.TrailingZeros64(begun), columns)
	}
}

// columns is who returns in each of so many columns of those who start in a period.
func (k *dayReturner) columns(p, n int) []uint64 {
	r := k.r
	if r.node.Brackets == nil && !r.node.OrAfter {
		k.came = append(k.came[:0], k.visits[p:p+n]...)
		k.came[0] = k.again[p]
		return k.came
	}
	k.came = grow(k.came, n+1) // and in those beyond
	clear(k.came)
	for v := p; v < len(k.visits); v++ {
		came := k.visits[v]
		if v == p {
			came = k.again[p]
		}
		if c := r.column(v - p); c >= 0 {
			k.came[min(c, n)] |= came
		}
	}
	for c := n; r.node.OrAfter && c > 0; c-- {
		k.came[c-1] |= k.came[c]
	}
	return k.came[:n]
}

// list notes an actor who starts in a period, and the columns in which it returns.
func (k *dayReturner) list(m *matrix, p, actor int, columns []uint64) {
	kept := k.kept[:0]
	for c, came := range columns {
		if came>>actor&1 != 0 {
			kept = append(kept, c)
		}
	}
	k.kept = kept
	k.note(m, k.at+actor, p)
}

// turnVisits turns visits round, unless that is done.
func (k *dayReturner) turnVisits() {
	if len(k.turned) > 0 {
		return
	}
	words := (len(k.visits) + planeActors - 1) / planeActors
	k.turned = grow(k.turned, words*planeActors)
	for w := range words {
		turnRound(k.turned[w*planeActors:], k.visits[w*planeActors:min((w+1)*planeActors, len(k.visits))], 1)
	}
}

// countReturns counts an actor who starts in a period in the columns of the later ones in which it returns.
func (k *dayReturner) countReturns(row []int64, p, actor int) {
	lo, hi := p+1, p+len(row)
	for first := lo &^ (planeActors - 1); first < hi; first += planeActors {
		x := k.turned[first+actor]
		if first < lo {
			x &= ^uint64(0) << (lo - first)
		}
		if hi-first < planeActors {
			x &= 1<<(hi-first) - 1
		}
		for ; x != 0; x &= x - 1 {
			row[first+bits.TrailingZeros64(x)-p]++
		}
	}
}
