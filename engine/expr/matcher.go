package expr

import (
	"math"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// matcher finds what a regular expression matches by trying its ways one after the other. It is for
// expressions in which only characters are repeated, and each set of characters has all that are not
// ASCII or none: most that people write. It gives what package regexp gives, in a seventh of the
// time (BenchmarkRegexp), because a run of characters is one step. How often it may go back is bounded; beyond that the
// text is left to package regexp, which needs no more than linear time for any.
type matcher struct {
	steps []matchStep
	// begins says that all matches begin where the text does; prefix is what each begins with, and
	// first the bytes that it may begin with, nil if it may be empty.
	begins bool
	prefix string
	first  *byteSet
}

// byteSet is a set of characters, by their first byte. Those that are not ASCII are all in it, or none.
type byteSet [256]bool

func (b *byteSet) meets(other *byteSet) bool {
	for c, in := range b {
		if in && other[c] {
			return true
		}
	}
	return false
}

type stepKind uint8

const (
	stepLiteral stepKind = iota // text
	stepRun                     // least to most characters of set
	stepMark                    // here is place number to
	stepFork                    // first the way at to, then the one at or
	stepJump                    // on at to
	stepBegin                   // of the text
	stepEnd                     // of the text
	stepMatch
)

// matchStep is followed by the next one, but for forks and jumps.
type matchStep struct {
	kind        stepKind
	text        string
	set         *byteSet // of a fork: what the first way goes on with, if the text does not end there; nil: not known
	others      *byteSet // of a fork: likewise, of the other way
	least, most int
	stop        int  // of a run that only one byte ends: that byte; noStop or manyStops for others
	lazy        bool // of a run: as few as can be, rather than as many
	// sure says that what comes after a run can begin with none of its characters, so it gives
	// nothing back.
	sure bool
	// fixed says of a mark that no match is without it, so a way that leads nowhere may leave its place behind.
	fixed  bool
	to, or int
}

// How many bytes end a run, if not one.
const (
	noStop    = -1
	manyStops = -2
)

// newMatcher is nil if the expression is one for package regexp.
func newMatcher(re string) *matcher {
	tree, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		return nil
	}
	m := &matcher{}
	if !m.add(tree, true) {
		return nil
	}
	m.step(matchStep{kind: stepMatch})
	for i := range m.steps {
		switch s := &m.steps[i]; s.kind {
		case stepRun:
			next, open := m.after(i + 1)
			s.sure = next != nil && !next.meets(s.set) && !(s.lazy && open)
		case stepFork:
			s.set, s.others = m.only(s.to), m.only(s.or)
		}
	}
	m.findStart()
	return m
}

func (m *matcher) step(s matchStep) int {
	m.steps = append(m.steps, s)
	return len(m.steps) - 1
}

// add appends the steps of an expression, which is fixed if every match goes through it; false if there are
// none for it.
func (m *matcher) add(re *syntax.Regexp, fixed bool) bool {
	switch re.Op {
	case syntax.OpEmptyMatch:
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 || strings.ContainsRune(string(re.Rune), utf8.RuneError) {
			return false
		}
		m.step(matchStep{kind: stepLiteral, text: string(re.Rune)})
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return m.addRun(re, 1, 1, false)
	case syntax.OpBeginText:
		m.step(matchStep{kind: stepBegin})
	case syntax.OpEndText:
		m.step(matchStep{kind: stepEnd})
	case syntax.OpCapture:
		m.step(matchStep{kind: stepMark, to: 2 * re.Cap, fixed: fixed})
		if !m.add(re.Sub[0], fixed) {
			return false
		}
		m.step(matchStep{kind: stepMark, to: 2*re.Cap + 1, fixed: fixed})
	case syntax.OpConcat:
		for _, s := range re.Sub {
			if !m.add(s, fixed) {
				return false
			}
		}
	case syntax.OpAlternate:
		var ends []int
		for i, s := range re.Sub {
			fork := -1
			if i+1 < len(re.Sub) {
				fork = m.step(matchStep{kind: stepFork, to: len(m.steps) + 1})
			}
			if !m.add(s, false) {
				return false
			}
			if fork >= 0 {
				ends = append(ends, m.step(matchStep{kind: stepJump}))
				m.steps[fork].or = len(m.steps)
			}
		}
		for _, at := range ends {
			m.steps[at].to = len(m.steps)
		}
	case syntax.OpStar:
		return m.addRun(re.Sub[0], 0, math.MaxInt, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpPlus:
		return m.addRun(re.Sub[0], 1, math.MaxInt, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 {
			most = math.MaxInt
		}
		return m.addRun(re.Sub[0], re.Min, most, re.Flags&syntax.NonGreedy != 0)
	case syntax.OpQuest:
		fork := m.step(matchStep{kind: stepFork, to: len(m.steps) + 1})
		if !m.add(re.Sub[0], false) {
			return false
		}
		s := &m.steps[fork]
		if s.or = len(m.steps); re.Flags&syntax.NonGreedy != 0 {
			s.to, s.or = s.or, s.to
		}
	default:
		return false
	}
	return true
}

// addRun appends the step of characters that are repeated.
func (m *matcher) addRun(re *syntax.Regexp, least, most int, lazy bool) bool {
	set := setOf(re)
	if set == nil {
		return false
	}
	stop := noStop
	for c, in := range set {
		switch {
		case in:
		case stop == noStop:
			stop = c
		default:
			stop = manyStops
		}
	}
	m.step(matchStep{kind: stepRun, set: set, least: least, most: most, stop: stop, lazy: lazy})
	return true
}

// setOf is the characters that an expression for one stands for; nil if it is another one, or if
// it has some that are not ASCII and not all.
func setOf(re *syntax.Regexp) *byteSet {
	set := &byteSet{}
	add := func(lo, hi rune) bool {
		for c := lo; c <= min(hi, utf8.RuneSelf-1); c++ {
			set[c] = true
		}
		if hi < utf8.RuneSelf {
			return true
		}
		for c := utf8.RuneSelf; c < len(set); c++ {
			set[c] = true
		}
		return lo <= utf8.RuneSelf && hi == utf8.MaxRune
	}
	ok := true
	switch re.Op {
	case syntax.OpAnyChar:
		add(0, utf8.MaxRune)
	case syntax.OpAnyCharNotNL:
		add(0, '\n'-1)
		add('\n'+1, utf8.MaxRune)
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			ok = ok && add(re.Rune[i], re.Rune[i+1])
		}
	case syntax.OpLiteral:
		ok = len(re.Rune) == 1 && re.Flags&syntax.FoldCase == 0 && add(re.Rune[0], re.Rune[0])
	default:
		ok = false
	}
	if !ok {
		return nil
	}
	return set
}

// after is the bytes that a match may go on with at a step; open says that it may end there too.
// It is nil if that depends on more than the next byte.
func (m *matcher) after(at int) (set *byteSet, open bool) {
	set = &byteSet{}
	fits := m.visit(at, make([]bool, len(m.steps)), func(s *matchStep) bool {
		switch s.kind {
		case stepLiteral:
			set[s.text[0]] = true
		case stepRun:
			for c, in := range s.set {
				set[c] = set[c] || in
			}
		case stepMatch:
			open = true
		case stepBegin:
			return false
		}
		return true
	})
	if !fits {
		return nil, true
	}
	return set, open
}

// mayBeEmpty says whether a match may go on from a step without a byte.
func (m *matcher) mayBeEmpty(at int) bool {
	empty := false
	m.visit(at, make([]bool, len(m.steps)), func(s *matchStep) bool {
		empty = empty || s.kind == stepMatch || s.kind == stepEnd
		return true
	})
	return empty
}

// visit shows the steps that a match may go on with before it has taken a byte, each once. It is false, and
// ends, where show is.
func (m *matcher) visit(at int, seen []bool, show func(*matchStep) bool) bool {
	for !seen[at] {
		seen[at] = true
		s := &m.steps[at]
		at++
		if !show(s) {
			return false
		}
		switch s.kind {
		case stepLiteral, stepEnd, stepMatch:
			return true
		case stepRun:
			if s.least > 0 {
				return true
			}
		case stepFork:
			if !m.visit(s.to, seen, show) {
				return false
			}
			at = s.or
		case stepJump:
			at = s.to
		}
	}
	return true
}

// only is the bytes one of which comes next if a match goes on at a step before the text ends; nil if there need
// be none.
func (m *matcher) only(at int) *byteSet {
	set, open := m.after(at)
	if open {
		return nil
	}
	return set
}

// findStart finds what all matches begin with.
func (m *matcher) findStart() {
	at := 0
	for m.steps[at].kind == stepMark {
		at++
	}
	switch s := &m.steps[at]; s.kind {
	case stepBegin:
		m.begins = true
	case stepLiteral:
		m.prefix = s.text
	default:
		if !m.mayBeEmpty(at) {
			m.first, _ = m.after(at)
		}
	}
}

// matching is one text being matched.
type matching struct {
	steps  []matchStep
	s      string
	places []int
	left   int // how much more may be tried, in bytes and ways; negative: it was too much
}

// triesPerByte and triesAtLeast bound what is tried of a text: about what package regexp takes for it.
const (
	triesPerByte = 16
	triesAtLeast = 256
)

// find writes where the first match and its groups are to places, -1 for groups that are not in it.
// It says whether there is one, and, if not known, whether that could be found out.
func (m *matcher) find(s string, places []int) (found, known bool) {
	for i := range places {
		places[i] = -1
	}
	r := matching{m.steps, s, places, triesAtLeast + triesPerByte*len(s)}
	for at := 0; ; {
		if m.prefix != "" {
			i := strings.Index(s[at:], m.prefix)
			if i < 0 {
				return false, true
			}
			at += i
		} else if m.first != nil {
			from := at
			for at < len(s) && !m.first[s[at]] {
				at++
			}
			r.left -= (at - from) / 8
			if at == len(s) {
				return false, true
			}
		}
		if end := r.run(0, at); end >= 0 {
			places[0], places[1] = at, end
			return true, true
		}
		if r.left < 0 {
			return false, false
		}
		if m.begins || at == len(s) {
			return false, true
		}
		at = nextChar(s, at)
	}
}

func nextChar(s string, at int) int {
	if s[at] < utf8.RuneSelf {
		return at + 1
	}
	_, n := utf8.DecodeRuneInString(s[at:])
	return at + n
}

func charBefore(s string, at int) int {
	if s[at-1] < utf8.RuneSelf {
		return at - 1
	}
	_, n := utf8.DecodeLastRuneInString(s[:at])
	return at - n
}

// run goes on at a step and a byte of the text, and gives where the match ends; -1 if there is none
// that way.
func (r *matching) run(pc, at int) int {
	s, steps := r.s, r.steps
	if r.left--; r.left < 0 {
		return -1
	}
	for {
		step := &steps[pc]
		pc++
		switch step.kind {
		case stepLiteral:
			if len(s)-at < len(step.text) || s[at:at+len(step.text)] != step.text {
				return -1
			}
			at += len(step.text)
		case stepRun:
			least, most := step.extent(s, at)
			if least < 0 {
				return -1
			}
			r.left -= (most - at) / 8 // bytes of a run take less than steps
			switch {
			case step.sure:
				at = most
			case step.lazy:
				for ; ; least = nextChar(s, least) {
					if end := r.run(pc, least); end >= 0 || least >= most || r.left < 0 {
						return end
					}
				}
			default:
				for ; ; most = charBefore(s, most) {
					if end := r.run(pc, most); end >= 0 || most <= least || r.left < 0 {
						return end
					}
				}
			}
		case stepMark:
			old := r.places[step.to]
			r.places[step.to] = at
			if step.fixed {
				continue
			}
			end := r.run(pc, at)
			if end < 0 {
				r.places[step.to] = old
			}
			return end
		case stepFork:
			if at < len(s) {
				if step.set != nil && !step.set[s[at]] {
					pc = step.or
					continue
				}
				if step.others != nil && !step.others[s[at]] {
					pc = step.to
					continue
				}
			}
			if end := r.run(step.to, at); end >= 0 || r.left < 0 {
				return end
			}
			pc = step.or
		case stepJump:
			pc = step.to
		case stepBegin:
			if at > 0 {
				return -1
			}
		case stepEnd:
			if at < len(s) {
				return -1
			}
		case stepMatch:
			return at
		}
	}
}

// extent is where a run from a byte on may end: at the earliest, or -1 if it is too short, and at the
// latest.
func (p *matchStep) extent(s string, at int) (least, most int) {
	for range p.least {
		if at == len(s) || !p.set[s[at]] {
			return -1, -1
		}
		at = nextChar(s, at)
	}
	least = at
	switch {
	case p.most < math.MaxInt:
		for n := p.least; n < p.most && at < len(s) && p.set[s[at]]; n++ {
			at = nextChar(s, at)
		}
	case p.stop >= 0:
		if i := strings.IndexByte(s[at:], byte(p.stop)); i >= 0 {
			return least, at + i
		}
		at = len(s)
	case p.stop == noStop:
		at = len(s)
	default:
		for at < len(s) && p.set[s[at]] {
			at++
		}
	}
	return least, at
}
