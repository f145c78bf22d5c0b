package exec

// reached is how far the actors of an interval can come, as their runs tell: without times.
type reached struct {
	// level is, for steps in order, how many of the first lists an actor has rows in. For steps in
	// any order it is 0 without rows, 1 + the list if they are in one alone, and several. It is 0
	// for those who are alone, too.
	level []uint8
	// sure is that a row of the first list, or with steps in any order of any, lies between
	// need.from and need.to.
	sure []bool
}

// several is the level of actors with rows in more than one list.
const several = 255

// findReached finds how far the actors [lo, hi) can come, and counts those who are alone.
func (fl *filler) findReached(ix *indexed, lo, hi uint32) {
	n, need := int(hi-lo), &ix.need
	fl.level, fl.sure = grow(fl.level, n), grow(fl.sure, n)
	clear(fl.level)
	clear(fl.sure)
	for i := range need.steps {
		c := &fl.block.conds[i]
		c.reset(n, 0)
		fl.findSpans(ix, i, true, lo, hi)
		for s := range fl.spans {
			sp := &fl.spans[s]
			within := sp.s.seg.MinTime() >= need.from && sp.s.seg.MaxTime() < need.to
			fl.reach(sp, c.off[1:], lo, uint8(i), need.inOrder, within && (i == 0 || !need.inOrder))
		}
	}
	fl.block.alone = 0
	if !need.alone {
		return
	}
	far := need.farLevel()
	for a, sure := range fl.sure {
		if sure && fl.level[a] < far {
			fl.level[a] = 0
			fl.block.alone++
		}
	}
}

// reach notes that actors have rows of a list, which are all between need.from and need.to if
// that is sure, and adds how many. Those that a sweep counts are left out.
func (fl *filler) reach(sp *span, count []uint32, base uint32, list uint8, inOrder, sure bool) {
	s := sp.s
	mark := func(actor uint32, from, to uint32, swept bool) {
		at := &fl.level[actor]
		if inOrder && *at < list {
			return
		}
		rows := to - from
		if s.match != nil {
			if rows = uint32(s.countRows(int(from), int(to))); rows == 0 {
				return
			}
		}
		if !swept {
			count[actor] += rows
		}
		switch {
		case inOrder || *at == 0:
			*at = list + 1
		case *at != list+1:
			*at = several
		}
		if sure {
			fl.sure[actor] = true
		}
	}
	ordinals, starts := s.runs.Ordinals[sp.lo:sp.hi], s.runs.Starts[sp.lo:]
	for r, o := range ordinals {
		if !s.skips(sp.lo + r) {
			mark(o-base, starts[r], starts[r+1], s.swept)
		}
	}
	for _, m := range sp.moved {
		mark(m.root-base, s.runs.Starts[m.run], s.runs.Starts[m.run+1], false)
	}
}

// farLevel is the least level of actors who may do more than one step.
func (n *need) farLevel() uint8 {
	if n.inOrder {
		return 2
	}
	return several
}

// wanted is whose rows a list is asked for: those of actors whose level is least or more. Without
// levels it is everybody's.
type wanted struct {
	level []uint8
	least uint8
}

func (w *wanted) has(actor uint32) bool { return w.level == nil || w.level[actor] >= w.least }

// wantedOf says whose rows a list has to have.
func (fl *filler) wantedOf(need *need, list int) wanted {
	w := wanted{level: fl.level, least: need.farLevel()}
	switch {
	case need.all:
		w.least = uint8(need.steps)
	case list == 0 || list == need.whole || !need.inOrder && list < need.steps: // where an attempt may begin
		w.least = 1
	case list < need.steps:
		w.least = uint8(list) + 1
	}
	return w
}
