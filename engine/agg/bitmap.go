package agg

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	for name, op := range map[string]byte{"bitmap_agg": '+', "bitmap_or_agg": '|', "bitmap_and_agg": '&'} {
		registry[name] = func(args []vec.Type) *Spec {
			t := vec.T(vec.IntSet)
			if op == '+' {
				t = vec.T(vec.Int8)
			}
			if len(args) != 1 || !fits(args[0], t.Kind) || args[0].Array {
				return nil
			}
			return &Spec{Args: []vec.Type{t}, Result: vec.T(vec.IntSet), repeats: true, create: func([]OrderKey) State { return &bitmaps{op: op} }}
		}
	}
}

// setBytes is what an empty bitmap takes beside what it says of its members.
const setBytes = 256

// bitmaps is bitmap_agg, which adds numbers, and bitmap_or_agg and bitmap_and_agg, which
// combine bitmaps.
type bitmaps struct {
	op    byte                // + for numbers, | and & for bitmaps
	sets  []*roaring64.Bitmap // by group; nil for one that has seen no value
	sizes []int64             // of the sets, as bytes counts them
	bytes int64               // of all sets

	changed []uint32 // the groups whose sizes are to be taken again
}

func (s *bitmaps) Grow(groups int) { s.sets, s.sizes = grow(s.sets, groups), grow(s.sizes, groups) }
func (s *bitmaps) Bytes() int64    { return s.bytes + int64(cap(s.sets)+cap(s.sizes)+cap(s.changed)/2)*8 }

// measure takes the sizes of the groups that changed, of each once: it takes as long as a set has
// containers.
func (s *bitmaps) measure() {
	slices.Sort(s.changed)
	s.changed = slices.Compact(s.changed)
	for _, g := range s.changed {
		n := setBytes + int64(s.sets[g].GetSizeInBytes())
		s.bytes += n - s.sizes[g]
		s.sizes[g] = n
	}
	s.changed = s.changed[:0]
}

// combine adds a set, which is the state's from now on, to a group.
func (s *bitmaps) combine(op byte, g uint32, set *roaring64.Bitmap) {
	switch own := s.sets[g]; {
	case own == nil:
		s.sets[g] = set
	case op == '&':
		own.And(set)
	default:
		own.Or(set)
	}
	s.changed = append(s.changed, g)
}

func (s *bitmaps) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	defer s.measure()
	groups, rows = valid(args[0], groups, rows)
	if s.op != '+' {
		for i, r := range rows {
			v, at := args[0].At(int(r))
			set, err := expr.Bitmap(v.Str.At(at))
			if err != nil {
				return err
			}
			s.combine(s.op, groups[i], set)
		}
		return nil
	}
	// A run of rows of one group is added at once.
	members := make([]uint64, 0, len(rows))
	for i, x := range dense[int64](args[0], rows) {
		members = append(members, uint64(x))
		if g := groups[i]; i+1 == len(rows) || groups[i+1] != g {
			if s.sets[g] == nil {
				s.sets[g] = roaring64.New()
			}
			s.sets[g].AddMany(members)
			s.changed = append(s.changed, g)
			members = members[:0]
		}
	}
	return nil
}

// between is how two states of a group become one.
func (s *bitmaps) between() byte {
	if s.op == '&' {
		return '&'
	}
	return '|'
}

func (s *bitmaps) Merge(from State, to []uint32) error {
	defer s.measure()
	for g, set := range from.(*bitmaps).sets {
		if set != nil {
			s.combine(s.between(), to[g], set)
		}
	}
	return nil
}

func (s *bitmaps) Partial() ([]uint32, []*vec.Vector) {
	v, _ := s.Finish() // it never fails
	return nil, vectors(v)
}

func (s *bitmaps) Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error {
	o := &bitmaps{op: s.between()}
	o.Grow(len(groups))
	if err := o.Update(ctx, first(len(groups)), cols, first(len(groups))); err != nil {
		return err
	}
	return s.Merge(o, groups)
}

func (s *bitmaps) Finish() (*vec.Vector, error) {
	out := vec.NewBuilder(vec.T(vec.IntSet))
	var raw []byte
	for _, set := range s.sets {
		if set == nil {
			out.AppendNull()
			continue
		}
		raw = expr.AppendBitmap(raw[:0], set)
		out.V.Str.Append(raw)
	}
	return out.V, nil
}
