package segment

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// Order is the rows of a segment by (person, time, uuid), for what has to see all events of
// a person in turn. A row's place there is a position.
//
// Only the events of positions are kept, in six bits or so. They say which rows those are:
// the rows of a range have the same order, so the k-th position with an event is the k-th
// row of its range.
type Order struct {
	// Starts is the first position of each of Persons, and the end of the last.
	Starts []uint32

	r      *Reader
	events *encoding.Column
	owned  int // bytes of events, if they are not the file's
}

// Order reads the order of the rows, or finds it, until ctx ends: an image and a segment of
// version 1 do not have it stored.
func (r *Reader) Order(ctx context.Context) (*Order, error) {
	return r.order.get(r, func() (*Order, error) {
		if r.dir.fixed[secOrder].size == 0 {
			return r.findOrder(ctx)
		}
		starts, err := r.whole(fixedNames[secOrderFirst], r.dir.fixed[secOrderFirst], r.dir.persons+1)
		if err != nil {
			return nil, err
		}
		s := *starts
		if s[0] != 0 || int(s[len(s)-1]) != r.dir.rows || !ascending(s) {
			return nil, r.bad(fixedNames[secOrderFirst], r.dir.fixed[secOrderFirst], "positions do not ascend from 0 to %d", r.dir.rows)
		}
		events, err := r.fixed(secOrder)
		return &Order{Starts: s, r: r, events: events}, err
	})
}

// Events fills dst with the events of positions from lo on, as positions in Ranges.
func (o *Order) Events(dst []uint32, lo int) error {
	r, s := o.r, o.r.dir.fixed[secOrder]
	if err := r.rows(lo, lo+len(dst), len(dst)); err != nil {
		return err
	}
	if err := r.touch(func() error { return o.events.Read(dst, lo) }); err != nil {
		return r.corrupt(fixedNames[secOrder], s, err)
	}
	most := uint32(0)
	for _, e := range dst {
		most = max(most, e)
	}
	if len(dst) > 0 && int(most) >= len(r.ranges) {
		return r.bad(fixedNames[secOrder], s, "event %d of %d", most, len(r.ranges))
	}
	return nil
}

// findOrder sorts the rows.
func (r *Reader) findOrder(ctx context.Context) (*Order, error) {
	defer r.cache.Borrow(orderRowBytes * int64(r.dir.rows))()
	persons, err := r.Persons()
	if err != nil {
		return nil, err
	}
	s := orderer{persons: r.dir.persons, rows: r.dir.rows, least: r.dir.minTime, most: r.dir.maxTime, unit: r.dir.unit, times: r.Times, uuid: r.uuid}
	for _, g := range r.ranges {
		runs, err := g.Runs()
		if err != nil {
			return nil, err
		}
		of := make([]uint32, len(runs.Ordinals))
		at := 0
		for i, ordinal := range runs.Ordinals {
			if at < len(persons.Ordinals) {
				at = seek(persons.Ordinals, at, ordinal)
			}
			if at == len(persons.Ordinals) || persons.Ordinals[at] != ordinal {
				return nil, r.bad(g.section("run ordinals"), g.entry.ordinals, "ordinal %d is not among the persons", ordinal)
			}
			of[i] = uint32(at)
		}
		s.ranges = append(s.ranges, orderRuns{persons: of, starts: runs.Starts})
	}
	starts, events, err := s.sort(ctx)
	if err != nil {
		return nil, err
	}
	packed := encoding.AppendColumn(nil, events)
	column, err := encoding.OpenColumn(packed, len(events))
	return &Order{Starts: starts, r: r, events: column, owned: len(packed)}, err
}

// verifyOrder checks that the order stored, if there is one, is that of the rows.
func (r *Reader) verifyOrder() error {
	if r.dir.fixed[secOrder].size == 0 {
		return nil
	}
	stored, err := r.Order(context.Background())
	if err != nil {
		return err
	}
	found, err := r.findOrder(context.Background())
	if err != nil {
		return err
	}
	if !slices.Equal(stored.Starts, found.Starts) {
		return r.bad(fixedNames[secOrderFirst], r.dir.fixed[secOrderFirst], "not those of the rows")
	}
	var a, b [encoding.BlockRows]uint32
	for lo := 0; lo < r.dir.rows; lo += len(a) {
		n := min(len(a), r.dir.rows-lo)
		if err := stored.Events(a[:n], lo); err != nil {
			return err
		}
		if err := found.Events(b[:n], lo); err != nil {
			return err
		}
		if a != b {
			return r.bad(fixedNames[secOrder], r.dir.fixed[secOrder], "not that of the rows between positions %d and %d", lo, lo+n)
		}
	}
	return nil
}

func (r *Reader) uuid(row int) (vec.UUIDValue, error) {
	var u [1]vec.UUIDValue
	err := r.UUIDs(u[:], row, row+1)
	return u[0], err
}

// appendOrder writes the order of the rows.
func (b *builder) appendOrder(save func(int, []uint32)) error {
	d := &b.dir
	s := orderer{persons: d.persons, rows: d.rows, least: d.minTime, most: d.maxTime, unit: d.unit}
	s.times = func(dst []int64, lo, hi int) error {
		copy(dst, b.time[lo:hi])
		return nil
	}
	s.uuid = func(row int) (vec.UUIDValue, error) {
		of, at := b.row(b.origin[row])
		return of.uuids[at], nil
	}
	for g, starts := range b.runs {
		of, lo := make([]uint32, len(starts)-1), uint32(b.lo[g])
		from := make([]uint32, len(starts))
		for i, start := range starts {
			from[i] = lo + start
			if i < len(of) {
				of[i] = b.person[from[i]]
			}
		}
		s.ranges = append(s.ranges, orderRuns{of, from})
	}
	starts, events, err := s.sort(context.Background())
	if err != nil {
		return err
	}
	save(secOrderFirst, starts)
	save(secOrder, events)
	return nil
}

// orderRuns is the runs of a range.
type orderRuns struct {
	persons []uint32 // a run, ascending: position among the persons
	starts  []uint32 // a run: first row; and the end
}

// orderRows is about how many rows are sorted at a time: they stay in the cache.
const orderRows = 1 << 15

// orderRowBytes is about how much memory finding the order takes for each row: its event, at
// most a person of its run, and the packed events.
const orderRowBytes = 10

// orderer sorts the rows of ranges by (person, time, uuid).
type orderer struct {
	persons, rows     int
	least, most, unit int64 // times are between the first two, and whole units apart
	ranges            []orderRuns
	times             func(dst []int64, lo, hi int) error
	uuid              func(row int) (vec.UUIDValue, error)
}

// sort gives the first position of each person, and the end, and the range of each position.
func (s *orderer) sort(ctx context.Context) (starts, events []uint32, err error) {
	starts, events = make([]uint32, s.persons+1), make([]uint32, s.rows)
	for i := range s.ranges {
		g := &s.ranges[i]
		for run, p := range g.persons {
			starts[p+1] += g.starts[run+1] - g.starts[run]
		}
	}
	cuts := []int{0} // first persons of what is sorted together
	for p := range s.persons {
		if starts[p+1] += starts[p]; starts[p+1]-starts[cuts[len(cuts)-1]] >= orderRows {
			cuts = append(cuts, p+1)
		}
	}
	if cuts[len(cuts)-1] < s.persons {
		cuts = append(cuts, s.persons)
	}
	err = parallel(len(cuts)-1, func(i int) error {
		if ctx.Err() != nil {
			return nil
		}
		lo, hi := cuts[i], cuts[i+1]
		return s.some(uint32(lo), uint32(hi), events[starts[lo]:starts[hi]])
	})
	return starts, events, errors.Join(err, ctx.Err())
}

// some sorts the rows of the persons [lo, hi).
func (s *orderer) some(lo, hi uint32, events []uint32) error {
	n := len(events)
	entries, of, times := make([]entry, 0, n), make([]uint32, 0, n), make([]int64, n)
	rowOf := make([]int, len(s.ranges)) // what leads from an entry's number to the row, by range
	shift := bits.Len64(uint64(s.most-s.least) / uint64(s.unit))
	for e := range s.ranges {
		g := &s.ranges[e]
		run, _ := slices.BinarySearch(g.persons, lo)
		end, _ := slices.BinarySearch(g.persons, hi)
		from := int(g.starts[run])
		part := times[:int(g.starts[end])-from]
		if err := s.times(part, from, from+len(part)); err != nil {
			return err
		}
		rowOf[e] = from - len(entries)
		for ; run < end; run++ {
			person := uint64(g.persons[run]-lo) << shift
			for row := int(g.starts[run]); row < int(g.starts[run+1]); row++ {
				key := person | uint64(part[row-from]-s.least)/uint64(s.unit)
				entries = append(entries, entry{key, uint32(len(entries))})
				of = append(of, uint32(e))
			}
		}
	}
	if len(entries) != n {
		return fmt.Errorf("%d rows of persons who have %d", len(entries), n)
	}
	sortEntries(entries, nil)
	for lo := 0; lo < n; {
		hi := lo + 1
		for hi < n && entries[hi].key == entries[lo].key {
			hi++
		}
		// Rows of one range are in order.
		if hi-lo > 1 && of[entries[lo].row] != of[entries[hi-1].row] {
			if err := s.sortEqual(entries[lo:hi], of, rowOf); err != nil {
				return err
			}
		}
		lo = hi
	}
	for i := range entries {
		events[i] = of[entries[i].row]
	}
	return nil
}

// sortEqual orders rows of one person and one time by uuid.
func (s *orderer) sortEqual(entries []entry, of []uint32, rowOf []int) error {
	type tied struct {
		entry
		uuid vec.UUIDValue
	}
	list := make([]tied, len(entries))
	for i, e := range entries {
		u, err := s.uuid(rowOf[of[e.row]] + int(e.row))
		if err != nil {
			return err
		}
		list[i] = tied{e, u}
	}
	slices.SortFunc(list, func(a, b tied) int { return slices.Compare(a.uuid[:], b.uuid[:]) })
	for i := range list {
		entries[i] = list[i].entry
	}
	return nil
}
