package exec

import (
	"context"
	"fmt"
	"sort"
)

// sameDay tells whether an actor has a row before the last row of a list on a day, from the order
// that segments have of their rows: no times are read, and nobody else's rows.
type sameDay struct {
	parts []sameDayPart // their days ascend
}

// sameDayPart is a segment, all of whose rows are in one list.
type sameDayPart struct {
	w    *sweep
	days []uint32       // of each person with any row
	last []sameDayRange // of the other list
}

// sameDayRange is a range of a segment, its number, and the days of its runs.
type sameDayRange struct {
	*stream
	number uint32
	days   []uint32
}

// findSameDay is what tells of the rows of a list, all of which must be in list 0. It is nil where that
// has not all rows of segments that share no day, or runs are moved or passed over.
func (ix *indexed) findSameDay(ctx context.Context, list int) (*sameDay, error) {
	if err := ix.readTimes(ctx); err != nil || !ix.inSweeps(0) {
		return nil, err
	}
	out := &sameDay{}
	for i, w := range ix.sweeps[0] {
		if i > 0 && out.parts[i-1].end() > int64(w.seg.FirstDay()) {
			return nil, nil
		}
		for _, s := range w.streams {
			if s.skip != nil {
				return nil, nil
			}
		}
		days, err := w.seg.AllDayMasks()
		if err != nil {
			return nil, err
		}
		out.parts = append(out.parts, sameDayPart{w: w, days: days})
		p := &out.parts[i]
		ranges := w.seg.Ranges()
		for _, s := range ix.streams[list] {
			if s.seg != w.seg || s.match != nil || s.skip != nil {
				continue
			}
			days, err := s.rng.DayMasks()
			if err != nil {
				return nil, err
			}
			number := sort.Search(len(ranges), func(i int) bool { return ranges[i].Lo >= s.rng.Lo })
			p.last = append(p.last, sameDayRange{s, uint32(number), days})
		}
	}
	found := 0
	for _, p := range out.parts {
		found += len(p.last)
	}
	if found != len(ix.streams[list]) {
		return nil, nil
	}
	return out, nil
}

// end is the day after those of a part.
func (p *sameDayPart) end() int64 { return int64(p.w.seg.FirstDay()) + int64(p.w.seg.Days()) }

// before says whether an actor has a row before the last row of the list on a UTC day, on that day. The
// actor has one of the list. It gives scratch memory back.
func (s *sameDay) before(scratch []uint32, actor uint32, on int64) (bool, []uint32, error) {
	for i := range s.parts {
		if p := &s.parts[i]; on < p.end() {
			return p.before(scratch, actor, uint32(on-int64(p.w.seg.FirstDay())))
		}
	}
	return false, scratch, fmt.Errorf("day %d has no segment", on)
}

func (p *sameDayPart) before(scratch []uint32, actor, on uint32) (bool, []uint32, error) {
	w := p.w
	at := lowerBound(w.persons, actor)
	if at == len(w.persons) || w.persons[at] != actor {
		return false, scratch, p.damaged(actor)
	}
	first, end := int(w.order.Starts[at]), int(w.order.Starts[at+1])
	if p.days[at]&(1<<on-1) == 0 { // it is the actor's first day
		is, err := p.beforeAny(actor, on, first)
		return is, scratch, err
	}
	scratch = grow(scratch, end-first)
	events := scratch
	if err := w.order.Events(events, first); err != nil {
		return false, scratch, err
	}
	last := -1 // place among the actor's rows
	for i := range p.last {
		r := &p.last[i]
		from, row, err := r.lastOn(actor, on)
		if err != nil {
			return false, scratch, err
		}
		if row < from {
			continue
		}
		place := nth(events, r.number, row-from)
		if place < 0 {
			return false, scratch, p.damaged(actor)
		}
		last = max(last, place)
	}
	if last < 1 {
		return false, scratch, nil
	}
	number := events[last-1]
	of := w.streams[number]
	row, to := of.runOf(actor)
	for _, e := range events[:last-1] {
		if e == number {
			row++
		}
	}
	if row >= to {
		return false, scratch, p.damaged(actor)
	}
	day, err := of.dayOf(row)
	return day == on, scratch, err
}

// beforeAny is before for the actor's first day in the segment, where any row of the actor that comes
// before is on that day. Its first row is at a position of the order.
func (p *sameDayPart) beforeAny(actor, on uint32, position int) (bool, error) {
	for i := range p.last {
		r := &p.last[i]
		from, row, err := r.lastOn(actor, on)
		switch {
		case err != nil:
			return false, err
		case row < from:
			continue
		case row > from:
			return true, nil
		}
		var event [1]uint32
		if err := p.w.order.Events(event[:], position); err != nil || event[0] != r.number {
			return err == nil, err
		}
	}
	return false, nil
}

// lastOn is the last row of a person on a day, and the first of all; the last is before it if there is none.
func (r *sameDayRange) lastOn(person, on uint32) (from, row int, err error) {
	run := lowerBound(r.runs.Ordinals, person)
	if run == len(r.runs.Ordinals) || r.runs.Ordinals[run] != person || r.days[run]>>on&1 == 0 {
		return 0, -1, nil
	}
	from, row = int(r.runs.Starts[run]), int(r.runs.Starts[run+1])-1
	if r.days[run]>>on == 1 { // there is no later day
		return from, row, nil
	}
	for ; row >= from; row-- {
		if day, err := r.dayOf(row); day <= on || err != nil {
			return from, row, err
		}
	}
	return from, row, nil
}

func (p *sameDayPart) damaged(actor uint32) error {
	return fmt.Errorf("segment %d: the order of its rows differs from the runs of person %d; run prickle verify", p.w.seg.ID(), actor)
}

// runOf is the rows of a person, none if there are none.
func (s *stream) runOf(person uint32) (from, to int) {
	r := lowerBound(s.runs.Ordinals, person)
	if r == len(s.runs.Ordinals) || s.runs.Ordinals[r] != person {
		return 0, 0
	}
	return int(s.runs.Starts[r]), int(s.runs.Starts[r+1])
}

// dayOf is the UTC day of a row, counted from the segment's first.
func (s *stream) dayOf(row int) (uint32, error) {
	var code [1]uint32
	err := s.seg.TimeCodes(code[:], row, row+1)
	return code[0] / uint32(day/quarter), err
}

// nth is where a value is found after so many others of it; -1 if it is not.
func nth(in []uint32, value uint32, n int) int {
	for i, x := range in {
		if x != value {
			continue
		}
		if n == 0 {
			return i
		}
		n--
	}
	return -1
}
