package exec

import (
	"context"
	"math/bits"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// funnelRow is one row of an actor as a funnel sees it.
type funnelRow struct {
	time  int64
	steps uint64 // bit s: satisfies step s
	bars  uint64 // bit x: satisfies exclusion x
	value uint32 // breakdown value
	hold  uint32 // value of what is held
}

// track is rows among which a chain is looked for: all of an actor's, or with HOLDING those
// of one held value. Rows that satisfy no step are left out, unless the mode is STRICT.
type track struct {
	rows  []funnelRow
	lists [][]int64 // times by step
	at    []int     // by step: where the last search in its list ended
}

// group is the end of the rows of the same time as row at.
func (t *track) group(at int) int {
	end := at + 1
	for end < len(t.rows) && t.rows[end].time == t.rows[at].time {
		end++
	}
	return end
}

// chains finds how far the attempt that begins at an entry comes.
type chains interface {
	// bound is a number that reached cannot be above. Entries come in order of time.
	bound(t *track, entry, limit int64) int
	// find does all steps of the attempt that begins at row e and ends at limit: of the
	// chains that reach furthest the one with the smallest times, and then the first rows,
	// from left to right.
	find(a *attempt, t *track, e int, limit int64, bound int)
}

func newChains(f *funnel) chains {
	switch f.node.Mode {
	case plan.Strict:
		return newStrictChains(f)
	case plan.Unordered:
		return newUnorderedChains(f)
	}
	for i := range f.node.Steps {
		if f.node.Steps[i].Optional || f.node.Steps[i].Within != nil {
			return newSearchChains(f)
		}
	}
	return &greedyChains{required: f.required}
}

// entryRow is a row that an attempt may begin at.
type entryRow struct{ track, row int }

// rowWalker walks the rows of actors, merged into one list.
type rowWalker struct {
	*walker
	merge   rowMerge
	chains  chains
	merged  []actorRow
	all     []funnelRow
	carry   []funnelRow // those of one breakdown value
	values  []uint32
	holds   map[uint32]int // track of each held value
	tracks  []track
	entries []entryRow
}

func newRowWalker(k *walker) *rowWalker {
	return &rowWalker{walker: k, merge: rowMerge{actors: k.f.actors, sparse: true}, chains: newChains(k.f), holds: map[uint32]int{}}
}

// walk finds the attempts of one actor.
func (k *rowWalker) walk(ctx context.Context, b *block, i int) error {
	if err := k.gather(b, i); err != nil || len(k.all) == 0 {
		return err
	}
	by := k.f.node.Breakdown
	if by == nil || by.Attribute != plan.AttributeEach {
		return k.evaluate(ctx, k.all, 0)
	}
	k.values = k.values[:0]
	for i := range k.all {
		if k.entry(&k.all[i]) {
			k.values = append(k.values, k.all[i].value)
		}
	}
	slices.Sort(k.values)
	k.values = slices.Compact(k.values)
	for _, v := range k.values {
		k.carry = k.carry[:0]
		for _, r := range k.all {
			if r.value == v {
				k.carry = append(k.carry, r)
			}
		}
		if err := k.evaluate(ctx, k.carry, v); err != nil {
			return err
		}
	}
	return nil
}

// entry says whether an attempt may begin at a row.
func (k *rowWalker) entry(r *funnelRow) bool {
	first := uint64(1)
	if k.f.node.Mode == plan.Unordered {
		first = ^uint64(0)
	}
	return r.steps&first != 0 && r.time < k.f.to
}

// gather lists the actor's rows from the start of DURING on.
func (k *rowWalker) gather(b *block, i int) error {
	f := k.f
	var err error
	if k.merged, err = k.merge.rows(k.merged[:0], b, i, f.lists, f.from, vec.InfinityTime); err != nil {
		return err
	}
	steps, bars := len(f.node.Steps), len(f.node.Exclude)
	k.all = k.all[:0]
	for m := range k.merged {
		r := &k.merged[m]
		row := funnelRow{time: r.time, value: r.value, steps: r.in.slice(0, steps)}
		if bars > 0 {
			row.bars = r.in.slice(steps, bars)
		}
		if f.joint != nil {
			j := f.joint[r.value]
			if row.value, row.hold = j.value, j.hold; j.hold == 0 {
				row.steps = 0
			}
		}
		k.all = append(k.all, row)
	}
	return nil
}

// spread lays rows out: tracks, entries in order, and the times of exclusions.
func (k *rowWalker) spread(rows []funnelRow) {
	n, strict := len(k.f.node.Steps), k.f.node.Mode == plan.Strict
	clear(k.holds)
	k.tracks, k.entries = k.tracks[:0], k.entries[:0]
	for x := range k.bars {
		k.bars[x] = k.bars[x][:0]
	}
	one := strict || len(k.f.node.Holding) == 0
	for i := range rows {
		r := &rows[i]
		for w := r.bars; w != 0; w &= w - 1 {
			x := bits.TrailingZeros64(w)
			k.bars[x] = append(k.bars[x], r.time)
		}
		if r.steps == 0 && !strict {
			continue
		}
		at, known := 0, one && len(k.tracks) > 0
		if !one {
			at, known = k.holds[r.hold]
		}
		if !known {
			at = len(k.tracks)
			k.tracks = slices.Grow(k.tracks, 1)[:at+1]
			k.tracks[at].reset(n)
			if !one {
				k.holds[r.hold] = at
			}
		}
		t := &k.tracks[at]
		if k.entry(r) {
			k.entries = append(k.entries, entryRow{at, len(t.rows)})
		}
		t.rows = append(t.rows, *r)
		for w := r.steps; w != 0; w &= w - 1 {
			s := bits.TrailingZeros64(w)
			t.lists[s] = append(t.lists[s], r.time)
		}
	}
}

// reset empties a track; what it held before is used again.
func (t *track) reset(steps int) {
	t.rows = t.rows[:0]
	if t.lists == nil {
		t.lists, t.at = make([][]int64, steps), make([]int, steps)
	}
	clear(t.at)
	for s := range t.lists {
		t.lists[s] = t.lists[s][:0]
	}
}

// evaluate takes the entries among rows. With ATTRIBUTE EACH all rows have the value v.
func (k *rowWalker) evaluate(ctx context.Context, rows []funnelRow, v uint32) error {
	k.spread(rows)
	n := k.f.node
	alike := n.Breakdown == nil || n.Breakdown.Attribute == plan.AttributeEach
	best, free, busy := 0, int64(0), false
	for i, e := range k.entries {
		if i&0xff == 0xff {
			if err := yield(ctx); err != nil {
				return err
			}
		}
		t := &k.tracks[e.track]
		time := t.rows[e.row].time
		if busy && time <= free {
			continue
		}
		limit := k.f.within.after(time)
		bound := k.chains.bound(t, time, limit)
		if n.Entry == plan.EntryBest && alike && bound <= best {
			continue
		}
		a := &k.try
		a.done, a.entered = 0, time
		k.chains.find(a, t, e.row, limit, bound)
		if n.Entry == plan.EntryEvery {
			// Done or not, an attempt is over at its end.
			if busy, free = true, limit; k.f.converted(a) {
				free = a.last()
			}
		}
		if k.judge(a) {
			k.f.measure(a)
			if a.value = v; !alike {
				k.inOrder(a)
				a.value = attributed(n.Breakdown, k.order, func(s int) uint32 { return t.rows[a.rows[s]].value })
			}
			a.value = k.name(a.value)
			if n.Entry == plan.EntryBest || n.Entry == plan.EntryFirst {
				k.offer(a)
			} else {
				k.add(a)
			}
			best = max(best, a.reached)
		}
		if n.Entry == plan.EntryFirst {
			break
		}
	}
	return nil
}

// judge applies the exclusions to an attempt, and says whether it is left.
func (k *walker) judge(a *attempt) bool {
	cut, last := vec.InfinityTime, int64(0)
	if len(k.bars) > 0 {
		last = a.last()
	}
	for x, list := range k.bars {
		ex := &k.f.node.Exclude[x]
		lo, hi := a.entered, last
		if ex.After > 0 {
			if a.done>>ex.After&1 == 0 {
				continue
			}
			lo = a.times[ex.After]
		}
		if ex.Before >= 0 {
			if a.done>>ex.Before&1 == 0 {
				continue
			}
			hi = a.times[ex.Before]
		}
		at := sort.Search(len(list), func(i int) bool { return list[i] > lo })
		if at == len(list) || list[at] >= hi {
			continue
		}
		if !ex.Drop {
			return false
		}
		cut = min(cut, list[at])
	}
	for w := a.done; w != 0 && cut < vec.InfinityTime; w &= w - 1 {
		if s := bits.TrailingZeros64(w); a.times[s] >= cut {
			a.done &^= 1 << s
		}
	}
	return true
}

// measure says how far an attempt has come.
func (f *funnel) measure(a *attempt) {
	if f.node.Mode == plan.Unordered {
		a.reached = bits.OnesCount64(a.done)
	} else {
		a.reached = bits.Len64(a.done)
	}
}

// converted says whether an attempt did all steps that are not optional.
func (f *funnel) converted(a *attempt) bool { return f.required&^a.done == 0 }

// inOrder lists the steps of an attempt in the order of their events.
func (k *walker) inOrder(a *attempt) {
	if k.straight != nil {
		k.order = k.straight[:a.reached]
		return
	}
	k.order = k.order[:0]
	for w := a.done; w != 0; w &= w - 1 {
		k.order = append(k.order, bits.TrailingZeros64(w))
	}
	if k.f.node.Mode == plan.Unordered {
		slices.SortStableFunc(k.order, func(x, y int) int {
			switch {
			case a.times[x] < a.times[y]:
				return -1
			case a.times[x] > a.times[y]:
				return 1
			}
			return int(a.rows[x]) - int(a.rows[y])
		})
	}
}
