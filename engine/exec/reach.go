package exec

// reached is how far the actors of an interval can come, as their runs tell: without times.
type reached struct {
	// level is, for steps in order, how many of the first lists an actor has rows in. For steps in
	// any order it is 0 without rows, 1 + the list if they are in one alone, and several.
	level []uint8
	sure  []bool // a row of the first list, or with steps in any order of any, is in need.from and need.to
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
		fl.findSpans(ix, i, true, lo, hi)
		for s := range fl.spans {
			sp := &fl.spans[s]
			within := sp.s.seg.MinTime() >= need.from && sp.s.seg.MaxTime() < need.to
			fl.reach(sp, lo, uint8(i), need.inOrder, within && (i == 0 || !need.inOrder))
		}
	}
	fl.block.alone = 0
	if need.alone {
		far := need.farLevel()
		for a, sure := range fl.sure {
			if sure && fl.level[a] < far {
				fl.block.alone++
			}
		}
	}
}

// reach notes that actors have rows of a list, which are all between need.from and need.to if
// that is sure.
func (fl *filler) reach(sp *span, base uint32, list uint8, inOrder, sure bool) {
	s := sp.s
	mark := func(actor uint32, from, to uint32) {
		at := &fl.level[actor]
		if inOrder && *at < list || s.match != nil && s.countRows(int(from), int(to)) == 0 {
			return
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
	starts := s.runs.Starts
	for r := sp.lo; r < sp.hi; r++ {
		if !s.skips(r) {
			mark(s.runs.Ordinals[r]-base, starts[r], starts[r+1])
		}
	}
	for _, m := range sp.moved {
		mark(m.root-base, starts[m.run], starts[m.run+1])
	}
}

// farLevel is the least level of actors who may do more than one step.
func (n *need) farLevel() uint8 {
	if n.inOrder {
		return 2
	}
	return several
}

// wantedOf says whose rows a list has to have; nil means everybody's.
func (fl *filler) wantedOf(ix *indexed, list int) []bool {
	need := &ix.need
	level, least := fl.level, need.farLevel()
	wanted := grow(fl.wanted, len(level))
	fl.wanted = wanted
	entries := list == 0 || list == need.whole || !need.inOrder && list < need.steps
	switch {
	case need.all:
		least = uint8(need.steps)
	case entries && need.alone:
		for a, l := range level {
			wanted[a] = l >= least || l > 0 && !fl.sure[a]
		}
		return wanted
	case entries && list != need.whole:
		return nil
	case entries:
		least = 1
	case list < need.steps:
		least = uint8(list) + 1
	}
	for a, l := range level {
		wanted[a] = l >= least
	}
	return wanted
}
