package session

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// Rows is the rows of a segment that count, with their sessions.
type Rows struct {
	*segment.Reader
	IDs  *IDs
	Dead *roaring.Bitmap // rows that do not count; nil for none
}

// each calls visit for the rows of a range, some at a time. A row that is dead has no
// session.
func (s *Rows) each(ctx context.Context, g *segment.Range, visit func(lo, hi int, numbers []uint32) error) error {
	for lo := g.Lo; lo < g.Hi; lo += batchRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+batchRows, g.Hi)
		numbers, err := s.IDs.Numbers(&g.Stretch, lo, hi)
		if err != nil {
			return err
		}
		if s.Dead != nil && s.Dead.IntersectsWithInterval(uint64(lo), uint64(hi)) {
			for i := range numbers {
				if s.Dead.Contains(uint32(lo + i)) {
					numbers[i] = uint32(s.IDs.Len())
				}
			}
		}
		if err := visit(lo, hi, numbers); err != nil {
			return err
		}
	}
	return nil
}

// eachTimed is each with the times of the rows.
func (s *Rows) eachTimed(ctx context.Context, g *segment.Range, visit func(lo, hi int, numbers []uint32, times []int64) error) error {
	times := make([]int64, batchRows)
	return s.each(ctx, g, func(lo, hi int, numbers []uint32) error {
		if err := s.Times(times, lo, hi); err != nil {
			return err
		}
		return visit(lo, hi, numbers, times[:hi-lo])
	})
}

// Times is when sessions begin and end, in µs since 1970 UTC. One without rows that count
// begins after it ends.
type Times struct{ Start, End []int64 }

// ReadTimes reads the times of a segment's sessions.
func ReadTimes(ctx context.Context, s *Rows) (*Times, error) {
	if s.Dead == nil && s.HasSessions() {
		table, err := s.Sessions()
		if err != nil {
			return nil, err
		}
		return &Times{table.Start, table.End}, nil
	}
	t := &Times{make([]int64, s.IDs.Len()), make([]int64, s.IDs.Len())}
	for i := range t.Start {
		t.Start[i], t.End[i] = math.MaxInt64, math.MinInt64
	}
	for _, g := range s.Ranges() {
		err := s.eachTimed(ctx, g, func(_, _ int, numbers []uint32, times []int64) error {
			for i, n := range numbers {
				if int(n) < len(t.Start) {
					t.Start[n], t.End[n] = min(t.Start[n], times[i]), max(t.End[n], times[i])
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Bytes is how much memory the times take.
func (t *Times) Bytes() int64 { return 16 * int64(len(t.Start)) }

// The events that are counted, by their place in Counts.
const (
	Pageviews = iota
	Autocaptures
	Screens
	counted
)

var countedEvents = [counted]string{"$pageview", "$autocapture", "$screen"}

// Counts is how many events of some names sessions have.
type Counts [counted][]uint32

// ReadCounts counts the events of a segment's sessions.
func ReadCounts(ctx context.Context, s *Rows) (*Counts, error) {
	c := &Counts{}
	for what, name := range countedEvents {
		c[what] = make([]uint32, s.IDs.Len())
		g := s.Range(name)
		if g == nil {
			continue
		}
		err := s.each(ctx, g, func(_, _ int, numbers []uint32) error {
			for _, n := range numbers {
				if int(n) < len(c[what]) {
					c[what][n]++
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Bytes is how much memory the counts take.
func (c *Counts) Bytes() int64 { return counted * 4 * int64(len(c[0])) }

// NoText is the text of an edge where no event of the session has one.
const NoText = math.MaxUint32

// Edge is the first or the last event of a session that has a text in some property.
type Edge struct {
	Time int64 // µs since 1970 UTC
	Row  uint32
	Text uint32 // position in Edges.Texts; NoText for none
}

// Edges is the edges of sessions.
type Edges struct {
	First, Last []Edge
	Texts       vec.Strings
}

// ReadEdges reads the edges of a segment's sessions by a property. An empty text is none.
func ReadEdges(ctx context.Context, s *Rows, property string) (*Edges, error) {
	e := &Edges{First: make([]Edge, s.IDs.Len()), Last: make([]Edge, s.IDs.Len())}
	for i := range e.First {
		e.First[i].Text, e.Last[i].Text = NoText, NoText
	}
	in := newInterner(&e.Texts)
	for _, g := range s.Ranges() {
		err := s.eachTimed(ctx, g, func(lo, hi int, numbers []uint32, times []int64) error {
			texts, err := in.read(g, property, lo, hi)
			if texts == nil || err != nil {
				return err
			}
			for i, n := range numbers {
				if int(n) >= len(e.First) || texts.none(i) {
					continue
				}
				at := Edge{Time: times[i], Row: uint32(lo + i)}
				first, last := true, true
				if e.First[n].Text != NoText {
					if first, err = Before(at, s.Reader, e.First[n], s.Reader); err != nil {
						return err
					}
					if last, err = Before(e.Last[n], s.Reader, at, s.Reader); err != nil {
						return err
					}
				}
				if !first && !last {
					continue
				}
				if at.Text, err = in.number(texts, i); err != nil {
					return err
				}
				if first {
					e.First[n] = at
				}
				if last {
					e.Last[n] = at
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Before says whether the event of one edge comes before that of another: by time, then by
// uuid.
func Before(a Edge, of *segment.Reader, b Edge, than *segment.Reader) (bool, error) {
	if a.Time != b.Time {
		return a.Time < b.Time, nil
	}
	var x, y [1]vec.UUIDValue
	if err := of.UUIDs(x[:], int(a.Row), int(a.Row)+1); err != nil {
		return false, err
	}
	if err := than.UUIDs(y[:], int(b.Row), int(b.Row)+1); err != nil {
		return false, err
	}
	return bytes.Compare(x[0][:], y[0][:]) < 0, nil
}

// Bytes is how much memory the edges take.
func (e *Edges) Bytes() int64 {
	return 16*int64(len(e.First)+len(e.Last)) + textBytes(&e.Texts)
}

func textBytes(s *vec.Strings) int64 { return int64(cap(s.Bytes)) + 4*int64(cap(s.Offs)) }

// Owners is whose sessions are: who sent their first event.
type Owners struct {
	First    []Edge // Text is the code of the distinct id in the segment; NoText without rows that count
	Ordinals []uint32
}

// ReadOwners reads whose a segment's sessions are. Ordinals reads the persons of rows.
func ReadOwners(ctx context.Context, s *Rows, ordinals func(dst []uint32, lo, hi int) error) (*Owners, error) {
	o := &Owners{First: make([]Edge, s.IDs.Len()), Ordinals: make([]uint32, s.IDs.Len())}
	for i := range o.First {
		o.First[i].Text = NoText
	}
	persons := make([]uint32, batchRows)
	for _, g := range s.Ranges() {
		err := s.eachTimed(ctx, g, func(lo, hi int, numbers []uint32, times []int64) error {
			ids, err := s.DistinctIDs(lo, hi)
			if err != nil {
				return err
			}
			if err := ordinals(persons, lo, hi); err != nil {
				return err
			}
			for i, n := range numbers {
				if int(n) >= len(o.First) {
					continue
				}
				at := Edge{Time: times[i], Row: uint32(lo + i), Text: ids.Codes[i]}
				if o.First[n].Text != NoText {
					if first, err := Before(at, s.Reader, o.First[n], s.Reader); !first || err != nil {
						if err != nil {
							return err
						}
						continue
					}
				}
				o.First[n], o.Ordinals[n] = at, persons[i]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Bytes is how much memory the owners take.
func (o *Owners) Bytes() int64 { return 20 * int64(len(o.First)) }

// Distinct is the different texts that the events of sessions have in some property.
type Distinct struct {
	starts []uint32 // by session, into codes; one more than there are sessions
	codes  []uint32 // ascending within a session
	texts  vec.Strings
}

// ReadDistinct reads the different texts of a segment's sessions. An empty one is none.
func ReadDistinct(ctx context.Context, s *Rows, property string) (*Distinct, error) {
	d := &Distinct{}
	in := newInterner(&d.texts)
	var pairs []uint64 // session, code
	for _, g := range s.Ranges() {
		err := s.each(ctx, g, func(lo, hi int, numbers []uint32) error {
			texts, err := in.read(g, property, lo, hi)
			if texts == nil || err != nil {
				return err
			}
			for i, n := range numbers {
				if int(n) >= s.IDs.Len() || texts.none(i) {
					continue
				}
				code, err := in.number(texts, i)
				if err != nil {
					return err
				}
				pair := uint64(n)<<32 | uint64(code)
				if len(pairs) == 0 || pairs[len(pairs)-1] != pair {
					pairs = append(pairs, pair)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	// Each session's together, and then each once.
	next := make([]uint32, s.IDs.Len()+1)
	for _, p := range pairs {
		next[p>>32+1]++
	}
	for n := range s.IDs.Len() {
		next[n+1] += next[n]
	}
	codes := make([]uint32, len(pairs))
	for _, p := range pairs {
		codes[next[p>>32]] = uint32(p)
		next[p>>32]++
	}
	d.starts = make([]uint32, s.IDs.Len()+1)
	at := uint32(0)
	for n := range s.IDs.Len() {
		if n%batchRows == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		own := codes[at:next[n]]
		at = next[n]
		slices.Sort(own)
		d.codes = append(d.codes, slices.Compact(own)...)
		d.starts[n+1] = uint32(len(d.codes))
	}
	return d, nil
}

// Count is how many texts a session has.
func (d *Distinct) Count(number uint32) int { return int(d.starts[number+1] - d.starts[number]) }

// Each visits the texts of a session.
func (d *Distinct) Each(number uint32, visit func(text []byte)) {
	for _, c := range d.codes[d.starts[number]:d.starts[number+1]] {
		visit(d.texts.At(int(c)))
	}
}

// Bytes is how much memory the texts take.
func (d *Distinct) Bytes() int64 { return 4*int64(len(d.starts)+len(d.codes)) + textBytes(&d.texts) }

// interner numbers texts of any ranges, each once.
type interner struct {
	out    *vec.Strings
	byText map[string]uint32
	dict   *vec.Vector // that remap is of
	remap  []uint32    // by code of dict: one more than the number; 0 if it was not asked for
}

func newInterner(out *vec.Strings) *interner { return &interner{out: out, byText: map[string]uint32{}} }

// column is the texts of some rows.
type column struct {
	*vec.Vector
	at func(i int) []byte
}

// read reads a property as text; nil if none of the rows has it.
func (in *interner) read(g *segment.Range, property string, lo, hi int) (*column, error) {
	v, err := g.Read(property, event.ReadText, nil, lo, hi)
	if err != nil {
		return nil, err
	}
	switch v.Form {
	case vec.Const:
		return nil, nil // it is the null of a property that no row carries
	case vec.Dict:
		if in.dict != v.Dict {
			in.dict, in.remap = v.Dict, make([]uint32, v.Dict.Len())
		}
		return &column{v, func(i int) []byte { return v.Dict.Str.At(int(v.Codes[i])) }}, nil
	}
	return &column{v, v.Str.At}, nil
}

// none says whether a row has no text.
func (c *column) none(i int) bool { return c.IsNull(i) || len(c.at(i)) == 0 }

// number is the number of a row's text.
func (in *interner) number(c *column, i int) (uint32, error) {
	if c.Form != vec.Dict {
		return in.intern(c.at(i))
	}
	known := &in.remap[c.Codes[i]]
	if *known == 0 {
		n, err := in.intern(c.at(i))
		if err != nil {
			return 0, err
		}
		*known = n + 1
	}
	return *known - 1, nil
}

func (in *interner) intern(text []byte) (uint32, error) {
	if n, ok := in.byText[string(text)]; ok {
		return n, nil
	}
	if len(in.out.Bytes)+len(text) > math.MaxUint32 {
		return 0, fmt.Errorf("the texts of a segment's sessions take more than %d bytes", uint32(math.MaxUint32))
	}
	n := uint32(in.out.Len())
	in.byText[string(text)] = n
	in.out.Append(text)
	return n, nil
}
