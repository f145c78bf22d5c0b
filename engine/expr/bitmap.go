package expr

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// A bitmap is a set of bigint. A negative member stands in the roaring bitmap as the unsigned
// number of the same bits, and so behind those that are not negative.

// maxShownMembers is how many members a bitmap may have to be written out as text.
const maxShownMembers = 1000

// Bitmap is the members of a bitmap as a vector holds it.
func Bitmap(raw []byte) (*roaring64.Bitmap, error) {
	set, err := encoding.Bigints(raw)
	if err != nil {
		return nil, pgerr.New("22P03", "invalid bitmap: it is not in the portable roaring format of 64 bits")
	}
	return set, nil
}

// AppendBitmap adds a set as a vector holds it.
func AppendBitmap(dst []byte, set *roaring64.Bitmap) []byte { return encoding.AppendBigints(dst, set) }

// eachInt calls do for the members, ascending as signed numbers, until it answers false.
func eachInt(set *roaring64.Bitmap, do func(int64) bool) {
	negative := set.Iterator()
	negative.AdvanceIfNeeded(1 << 63)
	for negative.HasNext() {
		if !do(int64(negative.Next())) {
			return
		}
	}
	for it := set.Iterator(); it.HasNext(); {
		x := it.Next()
		if x >= 1<<63 || !do(int64(x)) {
			return
		}
	}
}

// appendIntSet writes {1,2,3}, or how many members there are.
func appendIntSet(dst, raw []byte) []byte {
	set, err := Bitmap(raw)
	if err != nil { // nothing that a vector holds
		return append(dst, "bitmap(?)"...)
	}
	if n := set.GetCardinality(); n > maxShownMembers {
		dst = append(dst, "bitmap("...)
		return append(strconv.AppendUint(dst, n, 10), ')')
	}
	dst = append(dst, '{')
	start := len(dst)
	eachInt(set, func(x int64) bool {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, x, 10)
		return true
	})
	return append(dst, '}')
}

// parseIntSet reads {1,2,3}.
func parseIntSet(dst []byte, s string) ([]byte, error) {
	bad := badText("bitmap", s)
	inner := strings.Trim(s, blanks)
	if len(inner) < 2 || inner[0] != '{' || inner[len(inner)-1] != '}' {
		return dst, bad
	}
	inner = strings.Trim(inner[1:len(inner)-1], blanks)
	set := roaring64.New()
	for inner != "" {
		word, rest, more := strings.Cut(inner, ",")
		x, err := parseInt(word, tInt8)
		if err != nil {
			if pgerr.Code(err) == pgerr.NumericOutOfRange {
				return dst, err
			}
			return dst, bad
		}
		set.Add(uint64(x))
		if inner = rest; more && strings.Trim(rest, blanks) == "" {
			return dst, bad
		}
	}
	return AppendBitmap(dst, set), nil
}

// setView reads bitmaps of any form; one that many rows share is decoded once.
type setView struct {
	raw  view[string]
	last string
	set  *roaring64.Bitmap
}

func setsOf(f *frame, k int) *setView { return &setView{raw: viewOf[string](f, k)} }

// at is a row's bitmap, which must not be changed.
func (v *setView) at(i int) (*roaring64.Bitmap, error) {
	raw := v.raw.at(i)
	if v.set != nil && raw == v.last {
		return v.set, nil
	}
	set, err := Bitmap([]byte(raw))
	v.last, v.set = raw, set
	return set, err
}

// castBitmap converts between bitmaps, their bytes and arrays of bigint.
func castBitmap(from, to vec.Type) (*Function, bool) {
	integers := func(t vec.Type) bool { return t.Array && t.Elem().IsInt() }
	switch {
	case from.Kind == vec.IntSet && to == tBytea:
		return nil, true
	case from == tBytea:
		return newCast(text1(func(_ *Context, dst []byte, s string) ([]byte, error) {
			set, err := Bitmap([]byte(s))
			if err != nil {
				return dst, err
			}
			return AppendBitmap(dst, set), nil
		}))
	case from.Kind == vec.IntSet && to == vec.ArrayOf(vec.Int8):
		return newCast(bitmapToArray)
	case integers(from):
		return newCast(bitmapFromArray)
	}
	return nil, false
}

func bitmapToArray(f *frame) error {
	sets := setsOf(f, 0)
	return eachList(f, func(i int, out *vec.Builder) error {
		set, err := sets.at(i)
		if err != nil {
			return err
		}
		if n := set.GetCardinality(); n > maxTextBytes/8 {
			return pgerr.New(pgerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", maxTextBytes/8)
		}
		eachInt(set, func(x int64) bool { out.V.I64 = append(out.V.I64, x); return true })
		return nil
	})
}

// bitmapFromArray leaves nulls out.
func bitmapFromArray(f *frame) error {
	return eachText(f, func(i int, dst []byte) ([]byte, error) {
		elem, lo, hi := elements(f.args[0], i)
		members := make([]uint64, 0, hi-lo)
		for k := lo; k < hi; k++ {
			if !elem.IsNull(k) {
				v, at := elem.At(k)
				members = append(members, uint64(v.I64[at]))
			}
		}
		slices.Sort(members)
		return AppendBitmap(dst, roaring64.BitmapOf(members...)), nil
	})
}

func init() {
	tSet := vec.T(vec.IntSet)
	for name, op := range map[string]struct {
		symbol  string
		combine func(a, b *roaring64.Bitmap) *roaring64.Bitmap
	}{
		"bitmap_and": {"&", roaring64.And}, "bitmap_or": {"|", roaring64.Or},
		"bitmap_xor": {"#", roaring64.Xor}, "bitmap_andnot": {"-", roaring64.AndNot},
	} {
		eval := func(f *frame) error {
			a, b := setsOf(f, 0), setsOf(f, 1)
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				x, err := a.at(i)
				if err != nil {
					return dst, err
				}
				y, err := b.at(i)
				if err != nil {
					return dst, err
				}
				return AppendBitmap(dst, op.combine(x, y)), nil
			})
		}
		define(name, tSet, types(tSet, tSet), eval)
		define(op.symbol, tSet, types(tSet, tSet), eval)
	}
	number := func(name string, of func(*roaring64.Bitmap) (int64, error)) {
		define(name, tInt8, types(tSet), func(f *frame) error {
			sets := setsOf(f, 0)
			return tryEach(f, func(i int) error {
				set, err := sets.at(i)
				if err == nil {
					f.out.I64[i], err = of(set)
				}
				return err
			})
		})
	}
	number("bitmap_count", func(set *roaring64.Bitmap) (int64, error) {
		return int64(min(set.GetCardinality(), math.MaxInt64)), nil
	})
	number("bitmap_min", func(set *roaring64.Bitmap) (least int64, err error) {
		err = errNull
		eachInt(set, func(x int64) bool { least, err = x, nil; return false })
		return least, err
	})
	number("bitmap_max", func(set *roaring64.Bitmap) (int64, error) {
		if set.IsEmpty() {
			return 0, errNull
		}
		if n := set.Rank(math.MaxInt64); n > 0 { // those that are not negative
			most, err := set.Select(n - 1)
			return int64(most), err
		}
		return int64(set.Maximum()), nil
	})
	define("bitmap_contains", tBool, types(tSet, tInt8), func(f *frame) error {
		sets, xs := setsOf(f, 0), viewOf[int64](f, 1)
		return tryEach(f, func(i int) error {
			set, err := sets.at(i)
			if err == nil {
				f.out.Bools[i] = set.Contains(uint64(xs.at(i)))
			}
			return err
		})
	})
	define("bitmap_to_array", vec.ArrayOf(vec.Int8), types(tSet), bitmapToArray)
	define("bitmap_from_array", tSet, types(vec.ArrayOf(vec.Int8)), bitmapFromArray)
}
