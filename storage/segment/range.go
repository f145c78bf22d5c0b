package segment

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/encoding"
)

// Runs is persons in ascending order and where the rows of each begin.
type Runs struct {
	Ordinals []uint32
	Starts   []uint32 // rows of the segment, one more than there are ordinals; nil for Persons
}

// Range is the rows of one event name, [Lo, Hi), sorted by (ordinal, time, uuid).
type Range struct {
	Event string
	Stretch
	*rangeParts

	entry *rangeEntry
}

// rangeParts is what is decoded of a range.
type rangeParts struct {
	runs                  lazy[Runs]
	masks, repeats        lazy[[]uint32]
	bitmaps               lazy[[]*roaring.Bitmap]
	idFirst, sessionFirst lazy[[]uint32] // by run
}

func (g *Range) section(what string) string { return fmt.Sprintf("event %q: %s", g.Event, what) }

// Runs is the run index: who did it, ascending, and where each person's rows start.
func (g *Range) Runs() (*Runs, error) {
	return g.runs.get(g.r, func() (*Runs, error) {
		ordinals, err := g.r.whole(g.section("run ordinals"), g.entry.ordinals, g.entry.runs)
		if err != nil {
			return nil, err
		}
		starts, err := g.r.whole(g.section("run starts"), g.entry.starts, g.entry.runs+1)
		if err != nil {
			return nil, err
		}
		s := *starts
		for i := range s {
			if i == 0 && s[0] != 0 || i > 0 && s[i] <= s[i-1] || int(s[i]) > g.entry.rows {
				return nil, g.r.bad(g.section("run starts"), g.entry.starts, "run %d starts at row %d", i, s[i])
			}
		}
		if int(s[len(s)-1]) != g.entry.rows {
			return nil, g.r.bad(g.section("run starts"), g.entry.starts, "runs end at row %d of %d", s[len(s)-1], g.entry.rows)
		}
		if !ascending(*ordinals) {
			return nil, g.r.bad(g.section("run ordinals"), g.entry.ordinals, "ordinals do not ascend")
		}
		for i := range s {
			s[i] += uint32(g.Lo)
		}
		return &Runs{Ordinals: *ordinals, Starts: s}, nil
	})
}

func ascending(v []uint32) bool {
	for i := 1; i < len(v); i++ {
		if v[i] <= v[i-1] {
			return false
		}
	}
	return true
}

// DayMasks is, for each run, on which days it has rows: bit d is FirstDay+d, UTC.
func (g *Range) DayMasks() ([]uint32, error) {
	masks, err := g.masks.get(g.r, func() (*[]uint32, error) {
		if g.entry.masks.size > 0 {
			return g.r.whole(g.section("day masks"), g.entry.masks, g.entry.runs)
		}
		once, _, err := g.findMasks()
		return &once, err
	})
	if err != nil {
		return nil, err
	}
	return *masks, nil
}

// RepeatMasks is, for each run, on which days it has more than one row: bit d is FirstDay+d,
// UTC.
func (g *Range) RepeatMasks() ([]uint32, error) {
	masks, err := g.repeats.get(g.r, func() (*[]uint32, error) {
		_, twice, err := g.findMasks()
		return &twice, err
	})
	if err != nil {
		return nil, err
	}
	return *masks, nil
}

// findMasks finds on which days each run has a row, and more than one, from the time codes.
func (g *Range) findMasks() (once, twice []uint32, err error) {
	runs, err := g.Runs()
	if err != nil {
		return nil, nil, err
	}
	once, twice = make([]uint32, len(runs.Ordinals)), make([]uint32, len(runs.Ordinals))
	space := encoding.GetScratch()
	defer space.Put()
	run := 0
	for lo := g.Lo; lo < g.Hi; {
		// A block at a time, since one of runs is decoded from its start.
		part := space[:min(encoding.BlockRows-lo%encoding.BlockRows, g.Hi-lo)]
		if err := g.r.TimeCodes(part, lo, lo+len(part)); err != nil {
			return nil, nil, err
		}
		for i, q := range part {
			for uint32(lo+i) >= runs.Starts[run+1] {
				run++
			}
			bit := uint32(1) << (q / quartersOfDay & 31)
			twice[run] |= once[run] & bit
			once[run] |= bit
		}
		lo += len(part)
	}
	return once, twice, nil
}

// DayBitmap is who has rows on day FirstDay+day, UTC; nil if nobody has.
func (g *Range) DayBitmap(day int) (*roaring.Bitmap, error) {
	if day < 0 || day >= g.r.dir.days {
		return nil, nil
	}
	all, err := g.bitmaps.get(g.r, g.dayBitmaps)
	if err != nil {
		return nil, err
	}
	return (*all)[day], nil
}

func (g *Range) dayBitmaps() (*[]*roaring.Bitmap, error) {
	days := g.r.dir.days
	out := make([]*roaring.Bitmap, days)
	if g.entry.bitmaps.size > 0 {
		if err := g.r.touch(func() error { return g.storedBitmaps(out) }); err != nil {
			return nil, err
		}
	}
	runs, err := g.Runs()
	if err != nil {
		return nil, err
	}
	masks, err := g.DayMasks()
	if err != nil {
		return nil, err
	}
	var set []uint32
	for day := range days {
		if out[day] != nil {
			continue
		}
		if set = appendDay(set[:0], runs.Ordinals, masks, day); len(set) > 0 {
			out[day] = roaring.New()
			out[day].AddMany(set)
		}
	}
	return &out, nil
}

// storedBitmaps reads those bitmaps that the file has.
func (g *Range) storedBitmaps(out []*roaring.Bitmap) error {
	name, s := g.section("day bitmaps"), g.entry.bitmaps
	raw, err := openBlob(g.r.bytes(s))
	if err != nil {
		return g.r.corrupt(name, s, err)
	}
	days := len(out)
	if len(raw) < 4*days {
		return g.r.bad(name, s, "%d bytes for %d days", len(raw), days)
	}
	rest := raw[4*days:]
	for day := range days {
		size := int(binary.LittleEndian.Uint32(raw[4*day:]))
		if size > len(rest) {
			return g.r.bad(name, s, "day %d: bitmap of %d bytes in %d", day, size, len(rest))
		}
		if size > 0 {
			if out[day], err = encoding.Bitmap(rest[:size]); err != nil {
				return g.r.bad(name, s, "day %d: %w", day, err)
			}
		}
		rest = rest[size:]
	}
	return nil
}

// firsts maps the first codes of persons to runs.
func (g *Range) firsts(sec int) (*[]uint32, error) {
	persons, err := g.r.Persons()
	if err != nil {
		return nil, err
	}
	cache := &g.r.idFirst
	if sec == secSessionFirst {
		cache = &g.r.sessionFirst
	}
	first, err := cache.get(g.r, func() (*[]uint32, error) {
		return g.r.whole(fixedNames[sec], g.r.dir.fixed[sec], g.r.dir.persons)
	})
	if err != nil {
		return nil, err
	}
	runs, err := g.Runs()
	if err != nil {
		return nil, err
	}
	out := make([]uint32, len(runs.Ordinals))
	at := 0
	for i, ordinal := range runs.Ordinals {
		if at < len(persons.Ordinals) {
			at = seek(persons.Ordinals, at, ordinal)
		}
		if at >= len(persons.Ordinals) || persons.Ordinals[at] != ordinal {
			return nil, g.r.bad(g.section("run ordinals"), g.entry.ordinals, "ordinal %d is not among the persons", ordinal)
		}
		out[i] = (*first)[at]
	}
	return &out, nil
}

func (g *Range) idFirsts() (*[]uint32, error) {
	return g.idFirst.get(g.r, func() (*[]uint32, error) { return g.firsts(secIDFirst) })
}

func (g *Range) sessionFirsts() (*[]uint32, error) {
	return g.sessionFirst.get(g.r, func() (*[]uint32, error) { return g.firsts(secSessionFirst) })
}

// Persons is everybody who has rows in the segment. There are no Starts.
func (r *Reader) Persons() (*Runs, error) {
	return r.persons.get(r, func() (*Runs, error) {
		ordinals, err := r.whole(fixedNames[secPersons], r.dir.fixed[secPersons], r.dir.persons)
		if err != nil {
			return nil, err
		}
		if !ascending(*ordinals) {
			return nil, r.bad(fixedNames[secPersons], r.dir.fixed[secPersons], "ordinals do not ascend")
		}
		return &Runs{Ordinals: *ordinals}, nil
	})
}

// FirstTimes is, for each of Persons, the time of the first event, in µs since 1970 UTC.
func (r *Reader) FirstTimes() ([]int64, error) {
	times, err := r.firstTimes.get(r, func() (*[]int64, error) {
		persons, err := r.Persons()
		if err != nil {
			return nil, err
		}
		out := make([]int64, len(persons.Ordinals))
		for i := range out {
			out[i] = math.MaxInt64
		}
		var times [4096]int64
		for _, g := range r.ranges {
			runs, err := g.Runs()
			if err != nil {
				return nil, err
			}
			run, at := 0, 0 // the next run to start
			for lo := g.Lo; lo < g.Hi; lo += len(times) {
				part := times[:min(len(times), g.Hi-lo)]
				if err := r.Times(part, lo, lo+len(part)); err != nil {
					return nil, err
				}
				for ; run < len(runs.Ordinals) && int(runs.Starts[run]) < lo+len(part); run++ {
					at = seek(persons.Ordinals, at, runs.Ordinals[run])
					if at == len(persons.Ordinals) || persons.Ordinals[at] != runs.Ordinals[run] {
						return nil, r.bad(g.section("run ordinals"), g.entry.ordinals, "ordinal %d is not among the persons", runs.Ordinals[run])
					}
					out[at] = min(out[at], part[int(runs.Starts[run])-lo])
				}
			}
		}
		return &out, nil
	})
	if err != nil {
		return nil, err
	}
	return *times, nil
}

// AllDayMasks is, for each of Persons, the days with an event of any name.
func (r *Reader) AllDayMasks() ([]uint32, error) {
	masks, err := r.masks.get(r, func() (*[]uint32, error) {
		return r.whole(fixedNames[secMasks], r.dir.fixed[secMasks], r.dir.persons)
	})
	if err != nil {
		return nil, err
	}
	return *masks, nil
}

// PersonBitmap is Persons as a bitmap.
func (r *Reader) PersonBitmap() (*roaring.Bitmap, error) {
	return r.bitmap.get(r, func() (*roaring.Bitmap, error) {
		s := r.dir.fixed[secPersonBitmap]
		var set *roaring.Bitmap
		if s.size > 0 {
			err := r.touch(func() error {
				raw, err := openBlob(r.bytes(s))
				if err == nil {
					set, err = encoding.Bitmap(raw)
				}
				return err
			})
			if err != nil {
				return nil, r.corrupt(fixedNames[secPersonBitmap], s, err)
			}
		} else {
			persons, err := r.Persons()
			if err != nil {
				return nil, err
			}
			set = roaring.New()
			set.AddMany(persons.Ordinals)
		}
		return set, nil
	})
}

// Carries says whether any row of the range may have a property. If not, Read is a constant null.
func (g *Range) Carries(key string) bool {
	if key == sessionKey && g.r.HasSessions() {
		return true
	}
	i, found := g.group.find(key)
	return found && g.carries(i)
}

// Keys are the properties that rows of the range carry, ascending.
func (g *Range) Keys() []string {
	columns := g.group.columns
	keys := make([]string, 0, len(columns)+1)
	for i := range columns {
		if g.carries(i) {
			keys = append(keys, columns[i].entry.key)
		}
	}
	if g.r.HasSessions() {
		at, _ := slices.BinarySearch(keys, sessionKey)
		keys = slices.Insert(keys, at, sessionKey)
	}
	return keys
}
