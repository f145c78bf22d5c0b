package segment

import (
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// Part is an input of a merge.
type Part struct {
	*Reader
	// Dead is the rows that are left out, with every value that only they have; nil
	// leaves out none.
	Dead *roaring.Bitmap
	// Moved is the rows whose ordinal is not the one that the segment holds, and theirs.
	Moved map[uint32]uint32
}

// Merge makes one segment of the rows of several, with each person's ordinal replaced by
// what root says; a nil root keeps them. Of rows with the same uuid it keeps one. The bytes
// are those that Build would make of the same rows. A row outside the given days is an error. Readers keep the dictionaries that
// were read: a merge of large segments better opens readers of its own.
func Merge(in []Part, root func(uint32) uint32, firstDay int32, days int) ([]byte, error) {
	if days < 1 || days > MaxDays {
		return nil, fmt.Errorf("a segment of %d days, 1 to %d are possible", days, MaxDays)
	}
	start := int64(firstDay) * dayMicros
	for _, r := range in {
		if r.dir.rows > 0 && (r.dir.minTime < start || r.dir.maxTime >= start+int64(days)*dayMicros) {
			return nil, fmt.Errorf("segment %s: events outside the %d days from day %d, into which it is to be merged", r.name, days, firstDay)
		}
	}
	var out []byte
	// The uuids are read where they lie, in the files.
	err := guard(func() error {
		sources := make([]source, len(in))
		err := parallel(len(in), func(i int) error {
			var err error
			sources[i], err = in[i].source(root)
			return err
		})
		if err == nil {
			err = dropRepeats(in, sources)
		}
		if err == nil {
			out, err = build(sources, firstDay, days, Options{})
		}
		return err
	})
	return out, whose(in, err)
}

// whose finds the file in which a fault was.
func whose(in []Part, err error) error {
	var fault *faultError
	if !errors.As(err, &fault) {
		return err
	}
	for _, r := range in {
		if r.holds(fault.address) {
			return r.located(err)
		}
	}
	panic(fault.panic)
}

// source is the rows of the segment as something to build from.
func (r *Part) source(root func(uint32) uint32) (source, error) {
	n := r.dir.rows
	s := source{
		rows:     n,
		dead:     r.Dead,
		time:     make([]int64, n),
		uuids:    make([]vec.UUIDValue, n),
		ordinals: make([]uint32, n),
	}
	if err := r.Times(s.time, 0, n); err != nil {
		return s, err
	}
	if err := r.UUIDs(s.uuids, 0, n); err != nil {
		return s, err
	}
	for _, g := range r.ranges {
		runs, err := g.Runs()
		if err != nil {
			return s, err
		}
		for i, ordinal := range runs.Ordinals {
			if root != nil {
				ordinal = root(ordinal)
			}
			for row := runs.Starts[i]; row < runs.Starts[i+1]; row++ {
				s.ordinals[row] = ordinal
			}
		}
	}
	for row, ordinal := range r.Moved {
		if root != nil {
			ordinal = root(ordinal)
		}
		s.ordinals[row] = ordinal
	}
	s.names = piece{
		add: func(u *unifier) ([]uint32, error) {
			ids := make([]uint32, len(r.ranges))
			for i, g := range r.ranges {
				id, err := u.addText(event.Text, []byte(g.Event))
				if err != nil {
					return nil, err
				}
				ids[i] = id
			}
			return ids, nil
		},
		codes: func(buf []uint32) ([]uint32, error) {
			buf = resize(buf, n)
			for i, g := range r.ranges {
				for row := g.Lo; row < g.Hi; row++ {
					buf[row] = uint32(i)
				}
			}
			return buf, nil
		},
	}
	texts := func(dict func() (*vec.Vector, error)) func(u *unifier) ([]uint32, error) {
		return func(u *unifier) ([]uint32, error) {
			v, err := dict()
			if err != nil {
				return nil, err
			}
			return u.addBatch(nil, &v.Str, nil)
		}
	}
	s.ids = piece{
		add: texts(r.idDict),
		codes: func(buf []uint32) ([]uint32, error) {
			buf = resize(buf, n)
			return buf, r.idCodes(buf, 0)
		},
	}
	s.created = piece{
		add: func(u *unifier) ([]uint32, error) {
			values, err := r.createdValues()
			if err != nil {
				return nil, err
			}
			ids := make([]uint32, len(values))
			for i, v := range values {
				ids[i] = u.addNum(event.Int, v)
			}
			return ids, nil
		},
		codes: func(buf []uint32) ([]uint32, error) {
			buf = resize(buf, n)
			return buf, r.createdCodes(buf, 0)
		},
	}
	at := map[string]int{}
	add := func(key string, p piece) {
		i, found := at[key]
		if !found {
			i = len(s.props)
			at[key] = i
			s.props = append(s.props, prop{key: key})
		}
		s.props[i].pieces = append(s.props[i].pieces, p)
	}
	members := make(map[*group][]*Range, len(r.groups))
	for _, g := range r.ranges {
		members[g.group] = append(members[g.group], g)
	}
	for _, g := range r.groups {
		for _, c := range g.columns {
			for _, p := range c.pieces(members[g]) {
				add(c.entry.key, p)
			}
		}
	}
	if r.HasSessions() {
		add(sessionKey, piece{
			add: texts(r.sessionDict),
			codes: func(buf []uint32) ([]uint32, error) {
				buf = resize(buf, n)
				return buf, r.sessionCodes(buf, 0)
			},
			nullable: true,
		})
	}
	return s, nil
}

// pieces is the column's rows, a piece for each range of its group. All but the first
// take their ids from the first, which also finds the rows that have a value if these are few.
func (c *column) pieces(ranges []*Range) []piece {
	var ids []uint32
	var plain []uint32 // codes of all rows of a column without a dictionary
	var out []piece
	for _, rg := range ranges {
		first := len(out) == 0
		p := piece{
			lo: rg.Lo,
			add: func(u *unifier) (_ []uint32, err error) {
				if first {
					if c.entry.plain {
						ids, plain, err = c.unifyPlain(u)
					} else {
						ids, err = c.unify(u)
					}
				}
				return ids, err
			},
			codes: func(buf []uint32) ([]uint32, error) {
				if plain != nil { // before add, the codes say who has a value
					return plain[rg.at : rg.at+rg.Hi-rg.Lo], nil
				}
				buf = resize(buf, rg.Hi-rg.Lo)
				return buf, c.readCodes(buf, rg.at)
			},
			nullable: c.entry.nullable,
			lent:     c.entry.plain,
		}
		if c.entry.nullable && !c.entry.plain {
			p.few = func(f *fewRows) (bool, error) {
				if !first {
					return true, nil
				}
				return c.few(f, ranges)
			}
		}
		out = append(out, p)
	}
	return out
}

// few adds the rows of the segment that have a value to f, unless they are too many or the codes are not kept as runs.
func (c *column) few(f *fewRows, ranges []*Range) (ok bool, err error) {
	f.runs, f.ends, ok, err = c.readRuns(f.runs[:0], f.ends[:0], 0, c.rows)
	if !ok || err != nil {
		return false, err
	}
	row := uint32(0) // of the group
	for i, code := range f.runs {
		if code == 0 {
			row = f.ends[i]
			continue
		}
		if int(f.ends[i]-row) > f.most-len(f.rows) {
			return false, nil
		}
		for ; row < f.ends[i]; row++ {
			for int(row) >= ranges[0].at+ranges[0].Hi-ranges[0].Lo {
				ranges = ranges[1:]
			}
			f.rows, f.codes = append(f.rows, uint32(ranges[0].Lo-ranges[0].at)+row), append(f.codes, code)
		}
	}
	return true, nil
}

// unify brings the dictionary into u and returns ids by position in it.
func (c *column) unify(u *unifier) ([]uint32, error) {
	vals, err := c.load()
	if err != nil {
		return nil, err
	}
	ids := make([]uint32, 0, c.total())
	for k := range event.JSON + 1 {
		switch {
		case k == event.Null:
			for range c.entry.counts[k] {
				ids = append(ids, u.addNum(k, 0))
			}
		case k < event.Number:
			for _, v := range vals.nums[k] {
				if k == event.Float {
					v = floatBits(v, c.entry.decimals)
				}
				ids = append(ids, u.addNum(k, v))
			}
		default:
			texts := &vals.texts[k]
			for i := range texts.Len() {
				id, err := u.addText(k, texts.At(i))
				if err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// unifyPlain makes codes of the numbers of a column that has none.
func (c *column) unifyPlain(u *unifier) (ids, codes []uint32, err error) {
	codes = make([]uint32, c.rows)
	if err := c.readCodes(codes, 0); err != nil {
		return nil, nil, err
	}
	nums := make([]int64, c.rows)
	if err := c.numbers(nums, 0); err != nil {
		return nil, nil, err
	}
	kind := c.plainKind()
	least, plus := uint32(0), uint32(0)
	if c.entry.nullable {
		least, plus = 1, 1
	}
	at := map[uint32]uint32{} // position in ids by id
	for i, v := range nums {
		if codes[i] < least {
			continue
		}
		if kind == event.Float {
			v = floatBits(v, c.entry.decimals)
		}
		id := u.addNum(kind, v)
		pos, found := at[id]
		if !found {
			pos = uint32(len(ids))
			at[id] = pos
			ids = append(ids, id)
		}
		codes[i] = pos + plus
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("property %q: no row has a number", c.entry.key)
	}
	return ids, codes, nil
}
