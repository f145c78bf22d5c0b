package exec

import (
	"math/bits"
	"slices"
	"sort"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// index counts a funnel for one actor whose rows satisfy one step or exclusion each.
func (k *walker) index(i int) {
	for s := range k.steps {
		k.steps[s] = k.b.conds[s].of(i)
	}
	for x := range k.bars {
		k.bars[x] = k.b.conds[len(k.steps)+x].of(i)
	}
	if k.f.node.Breakdown != nil {
		k.byValue(i)
		return
	}
	best := slices.Grow(k.best, 1)[:1] // made in place: an attempt is large
	best[0].reached, best[0].value = 0, 0
	if k.furthest(&best[0]) {
		k.best = best
	}
}

// furthest finds the attempt that reaches furthest, the earliest among equals, when no row
// satisfies two conditions. It says false if there is no attempt.
func (k *walker) furthest(best *attempt) bool {
	switch {
	case k.f.node.Mode == plan.Unordered:
		return k.anyOrder(best)
	case len(k.bars) > 0:
		return k.judged(best)
	}
	return k.simple(best)
}

// judged is furthest where exclusions apply: to whatever attempt is better than those before.
func (k *walker) judged(best *attempt) bool {
	f, entries := k.f, k.steps[0]
	clear(k.at[:len(k.steps)])
	for i := skipTo(entries, 0, f.from); i < len(entries) && entries[i] < f.to; i++ {
		k.chain(&k.try, i)
		if k.try.reached > best.reached && k.judge(&k.try) {
			if f.measure(&k.try); k.try.reached > best.reached {
				k.try.value = best.value
				*best = k.try
			}
		}
		if best.reached == len(k.steps) || f.node.Entry == plan.EntryFirst {
			break
		}
	}
	return best.reached > 0
}

// chain is the greedy chain of entry i. Entries come in order.
func (k *walker) chain(a *attempt, i int) {
	entry := k.steps[0][i]
	limit, last := k.f.within.after(entry), entry
	a.reached, a.entered = 1, entry
	a.times[0], a.rows[0] = entry, int32(i)
	for s := 1; s < len(k.steps); s++ {
		at := skipTo(k.steps[s], k.at[s], last)
		k.at[s] = at
		if at == len(k.steps[s]) || k.steps[s][at] > limit {
			break
		}
		last = k.steps[s][at]
		a.times[s], a.rows[s] = last, int32(at)
		a.reached++
	}
	a.done = ^uint64(0) >> (maxSteps - a.reached)
}

// anyOrder is furthest in MODE UNORDERED. The rows of all steps are entries, in order of time:
// each list stands at its first row that is not before the entry, so that it is the earliest
// that the step can have.
func (k *walker) anyOrder(best *attempt) bool {
	f := k.f
	most := 0 // steps that there are rows of
	for s, list := range k.steps {
		if k.at[s] = skipTo(list, 0, f.from); k.at[s] < len(list) {
			most++
		}
	}
	for best.reached < most {
		entry, next := f.to, -1
		for s, list := range k.steps {
			if at := k.at[s]; at < len(list) && list[at] < entry {
				entry, next = list[at], s
			}
		}
		if next < 0 {
			break
		}
		limit, done := f.within.after(entry), uint64(0)
		for s, list := range k.steps {
			if at := k.at[s]; at < len(list) && list[at] <= limit {
				done |= 1 << s
			}
		}
		if n := bits.OnesCount64(done); n > best.reached {
			best.reached, best.done, best.entered = n, done, entry
			for w := done; w != 0; w &= w - 1 {
				s := bits.TrailingZeros64(w)
				best.times[s], best.rows[s] = k.steps[s][k.at[s]], 0
			}
		}
		if f.node.Entry == plan.EntryFirst {
			break
		}
		k.at[next]++
	}
	return best.reached > 0
}

// simple finds the attempt that reaches furthest, the earliest among equals, when no row
// satisfies two steps. It says false if there is no attempt.
//
// For a fixed entry the greedy chain, which takes for every step the earliest event not
// before the last one, reaches as far as any chain and has the smallest times from left
// to right. A later entry never has an earlier event in its greedy chain, so each list
// is walked once for all entries of an actor.
func (k *walker) simple(best *attempt) bool {
	f, entries, n := k.f, k.steps[0], len(k.steps)
	clear(k.at[:n])
	i := skipTo(entries, 0, f.from)
	for i < len(entries) && entries[i] < f.to {
		entry := entries[i]
		i++
		limit := f.within.after(entry)
		last, reached := entry, 1
		var times [maxSteps]int64
		times[0] = entry
		blocked := vec.InfinityTime // time of the first event beyond the window
		for s := 1; s < n; s++ {
			list := k.steps[s]
			at := skipTo(list, k.at[s], last)
			k.at[s] = at
			if at == len(list) {
				break
			}
			last = list[at]
			if last > limit {
				blocked = last
				break
			}
			times[s] = last
			reached++
		}
		if reached > best.reached {
			best.reached = reached
			copy(best.times[:reached], times[:reached])
		}
		if reached == n || f.node.Entry == plan.EntryFirst {
			break
		}
		if blocked == vec.InfinityTime {
			break // no event of that step is left: later entries come no further
		}
		if f.within.fixed >= 0 {
			// A later entry gets past this step only if its window holds an event
			// that is not before the one that was out of reach.
			i = skipTo(entries, i, blocked-f.within.fixed)
		}
	}
	best.entered = best.times[0]
	best.done = ^uint64(0) >> (maxSteps - best.reached)
	return best.reached > 0
}

// skipTo is the first position from at on whose time is not before t: a few steps, then
// leaps that double, then a search.
func skipTo(list []int64, at int, t int64) int {
	for n := 0; at < len(list) && list[at] < t; n++ {
		if n < 8 {
			at++
			continue
		}
		leap := 8
		for at+leap < len(list) && list[at+leap] < t {
			at += leap
			leap *= 2
		}
		rest := list[at:min(at+leap, len(list))]
		return at + sort.Search(len(rest), func(i int) bool { return rest[i] >= t })
	}
	return at
}

// byValue finds the best attempt for each breakdown value, when no row satisfies two
// steps.
func (k *walker) byValue(i int) {
	f := k.f
	by := f.node.Breakdown
	entryVals := k.b.conds[0].valsOf(i)
	if by.Attribute == plan.AttributeEach {
		k.eachValue(i, entryVals)
		return
	}
	first := entryVals[0]
	same := by.Attribute == plan.AttributeFirst && first != 0 || by.Attribute == plan.AttributeStep && by.Step == 0
	for _, v := range entryVals {
		same = same && v == first
	}
	if same { // every attempt has this value
		a := attempt{value: k.name(first)}
		if k.furthest(&a) {
			k.best = append(k.best, a)
		}
		return
	}
	clear(k.at[:len(k.steps)])
	for e, entry := range k.steps[0] {
		if entry < f.from || entry >= f.to {
			continue
		}
		a := &k.try
		if k.chain(a, e); k.judge(a) {
			f.measure(a)
			k.inOrder(a)
			a.value = k.name(attributed(by, k.order, func(s int) uint32 { return k.b.conds[s].valsOf(i)[a.rows[s]] }))
			k.offer(a)
		}
		if f.node.Entry == plan.EntryFirst {
			return
		}
	}
}

// attributed is the breakdown value of an attempt that did the steps, which are in order of
// their events: 0 is the null value.
func attributed(by *plan.Breakdown, steps []int, value func(step int) uint32) uint32 {
	switch by.Attribute {
	case plan.AttributeStep:
		if slices.Contains(steps, by.Step) {
			return value(by.Step)
		}
	case plan.AttributeLast:
		for i := len(steps) - 1; i >= 0; i-- {
			if v := value(steps[i]); v != 0 {
				return v
			}
		}
	default:
		for _, s := range steps {
			if v := value(s); v != 0 {
				return v
			}
		}
	}
	return 0
}

// eachValue evaluates the attempts once per value, over the rows that carry it.
func (k *walker) eachValue(i int, entryVals []uint32) {
	steps, bars := slices.Clone(k.steps), slices.Clone(k.bars)
	distinct := slices.Clone(entryVals)
	slices.Sort(distinct)
	for _, v := range slices.Compact(distinct) {
		for s := range steps {
			k.steps[s] = carrying(steps[s], k.b.conds[s].valsOf(i), v)
		}
		for x := range bars {
			k.bars[x] = carrying(bars[x], k.b.conds[len(steps)+x].valsOf(i), v)
		}
		a := attempt{value: k.name(v)}
		if k.furthest(&a) {
			k.offer(&a)
		}
	}
}

// carrying is the times of the rows with a value.
func carrying(times []int64, vals []uint32, v uint32) []int64 {
	var out []int64
	for r, x := range vals {
		if x == v {
			out = append(out, times[r])
		}
	}
	return out
}
