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
	switch {
	case k.f.node.Breakdown != nil:
		k.byValue(i)
	case k.f.node.Entry == plan.EntryEach && len(k.bars) == 0:
		k.eachEntry()
	case k.f.node.Entry == plan.EntryEvery || k.f.node.Entry == plan.EntryEach:
		k.everyEntry()
	default:
		k.propose(0, k.furthest)
	}
}

// propose keeps the attempt that find finds for a breakdown value, if it finds one. It is made in
// place, as an attempt is large.
func (k *walker) propose(value uint32, find func(*attempt) bool) {
	n := len(k.best)
	k.best = slices.Grow(k.best, 1)[:n+1]
	a := &k.best[n]
	a.reached, a.value = 0, k.name(value)
	found := find(a)
	if k.best = k.best[:n]; !found {
		return
	}
	if k.other != nil && n > 0 { // another value may have the same name
		k.offer(a)
		return
	}
	k.best = k.best[:n+1]
}

// neighbours finds the attempt that reaches furthest in MODE STRICT, the earliest among equals.
func (k *walker) neighbours(i int, best *attempt) bool {
	f, n := k.f, len(k.steps)
	rows := &k.b.conds[f.lists-1]
	times, refs := rows.of(i), rows.refsOf(i)
	for e := skipTo(times, 0, f.from); e < len(times) && times[e] < f.to; e++ {
		if k.marks.stepsOf(refs[e], n)&1 == 0 {
			continue
		}
		limit, reached := f.within.after(times[e]), 1
		for r := e + 1; reached < n && r < len(times) && times[r] <= limit && k.marks.stepsOf(refs[r], n)>>reached&1 != 0; r++ {
			reached++
		}
		if reached > best.reached {
			best.reached = reached
			copy(best.times[:reached], times[e:])
		}
		if reached == n || f.node.Entry == plan.EntryFirst {
			break
		}
	}
	best.entered = best.times[0]
	best.done = ^uint64(0) >> (maxSteps - best.reached)
	return best.reached > 0
}

// everyEntry counts the attempts of ENTRY EVERY and EACH.
func (k *walker) everyEntry() {
	f, entries, a := k.f, k.steps[0], &k.try
	clear(k.at[:len(k.steps)])
	a.value = 0
	busy, free := false, int64(0)
	for i := skipTo(entries, 0, f.from); i < len(entries) && entries[i] < f.to; i++ {
		if busy && entries[i] <= free {
			continue
		}
		k.chain(a, i)
		if f.node.Entry == plan.EntryEvery {
			// Done or not, an attempt is over at its end.
			if busy, free = true, f.within.after(entries[i]); f.converted(a) {
				free = a.last()
			}
		}
		if k.judge(a) {
			f.measure(a)
			k.add(a)
		}
	}
}

// eachEntry counts the attempts of ENTRY EACH. All entries up to a row of the second step go on with it,
// and so with the same rows of the steps after: as far as their windows reach.
func (k *walker) eachEntry() {
	f, entries, a := k.f, k.steps[0], &k.try
	n := len(k.steps)
	clear(k.at[:n])
	a.value = 0
	listed := f.node.Output == plan.OutputActors
	far, seek := 1, true // how many steps there are rows of, if windows were endless
	for i := skipTo(entries, 0, f.from); i < len(entries) && entries[i] < f.to; i++ {
		entry := entries[i]
		if seek || far > 1 && entry > a.times[1] {
			seek, far = false, k.tail(a, entry)
		}
		limit, reached := f.within.after(entry), far
		for reached > 1 && a.times[reached-1] > limit {
			reached--
		}
		if reached < n && f.node.Converted {
			if far < n {
				return // nor do later entries
			}
			if f.within.fixed >= 0 {
				i = skipTo(entries, i+1, a.times[n-1]-f.within.fixed) - 1
			}
			continue
		}
		a.reached, a.entered, a.times[0] = reached, entry, entry
		a.done = ^uint64(0) >> (maxSteps - reached)
		if listed {
			k.list(k.tally(0), a, k.straight[:reached])
		} else {
			k.add(a)
		}
	}
}

// tail finds the earliest rows of the steps after an entry, and says how many steps there are with it.
// Entries come in order.
func (k *walker) tail(a *attempt, entry int64) int {
	for s := 1; s < len(k.steps); s++ {
		list := k.steps[s]
		at := skipTo(list, k.at[s], entry)
		if k.at[s] = at; at == len(list) {
			return s
		}
		entry = list[at]
		a.times[s] = entry
	}
	return len(k.steps)
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
		times := &k.try.times
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
		k.propose(first, k.furthest)
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
	n := len(k.steps)
	v, alike := entryVals[0], true
	for c := 0; c < n+len(k.bars) && alike; c++ {
		for _, x := range k.b.conds[c].valsOf(i) {
			alike = alike && x == v
		}
	}
	if alike { // the usual case
		k.propose(v, k.furthest)
		return
	}
	k.values = append(k.values[:0], entryVals...)
	k.values = distinctValues(k.values)
	if k.one == nil {
		k.one = make([][]int64, n+len(k.bars))
	}
	for _, v := range k.values {
		for c := range k.one {
			rows := &k.b.conds[c]
			k.one[c] = carrying(k.one[c][:0], rows.of(i), rows.valsOf(i), v)
		}
		copy(k.steps, k.one)
		copy(k.bars, k.one[n:])
		k.propose(v, k.furthest)
	}
}

// distinctValues puts values in order, each once.
func distinctValues(values []uint32) []uint32 {
	slices.Sort(values)
	return slices.Compact(values)
}

// carrying appends the times of the rows with a value.
func carrying(dst, times []int64, vals []uint32, v uint32) []int64 {
	for r, x := range vals {
		if x == v {
			dst = append(dst, times[r])
		}
	}
	return dst
}
