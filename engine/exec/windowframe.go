package exec

import (
	"math"
	"sort"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// extent is rows [lo, hi).
type extent struct{ lo, hi int32 }

// frames is the rows that each row sees, before exclusion.
func (c *windowCall) frames() ([]extent, error) {
	r, f := c.rows, &c.call.Frame
	out := make([]extent, r.count)
	lo, err := c.bound(&f.Start, false)
	if err != nil {
		return nil, err
	}
	hi, err := c.bound(&f.End, true)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = extent{lo[i], max(lo[i], hi[i])}
	}
	return out, nil
}

// bound is where each row's frame begins or, with end, ends.
func (c *windowCall) bound(b *plan.FrameBound, end bool) ([]int32, error) {
	r := c.rows
	out := make([]int32, r.count)
	first := func(i int) int32 { return r.starts[r.part[i]] }
	last := func(i int) int32 { return r.starts[r.part[i]+1] }
	if b.Unbounded {
		for i := range out {
			if end {
				out[i] = last(i)
			} else {
				out[i] = first(i)
			}
		}
		return out, nil
	}
	if c.call.Frame.Unit == plan.RangeFrame && b.Offset != nil {
		return out, c.rangeBound(out, b, end)
	}
	plus := int64(0)
	if end {
		plus = 1
	}
	for i := range out {
		n := int64(0)
		if b.Offset != nil {
			var err error
			if n, err = c.offset(b, i); err != nil {
				return nil, err
			}
			if n > math.MaxInt32 {
				n = math.MaxInt32
			}
			if !b.Following {
				n = -n
			}
		}
		if c.call.Frame.Unit == plan.RowsFrame {
			out[i] = int32(min(max(int64(i)+n+plus, int64(first(i))), int64(last(i))))
			continue
		}
		peer := int64(r.peer[i]) + n + plus
		switch {
		case peer < int64(r.peer[first(i)]):
			out[i] = first(i)
		case peer > int64(r.peer[last(i)-1]):
			out[i] = last(i)
		default:
			out[i] = r.peerAt[peer]
		}
	}
	return out, nil
}

// offset is by how much a bound is moved from row i.
func (c *windowCall) offset(b *plan.FrameBound, i int) (int64, error) {
	v := c.column(b.Offset)
	where := "starting"
	if b == &c.call.Frame.End {
		where = "ending"
	}
	if v.IsNull(i) {
		return 0, pgerr.New(pgerr.NullNotAllowed, "frame %s offset must not be null", where)
	}
	v, i = v.At(i)
	if v.I64[i] < 0 {
		return 0, pgerr.New(pgerr.InvalidFrameOffset, "frame %s offset must not be negative", where)
	}
	return v.I64[i], nil
}

// rangeBound finds where the order key passes the key at which a row's frame ends. A row whose
// key is NULL sees its peers.
func (c *windowCall) rangeBound(out []int32, b *plan.FrameBound, end bool) error {
	r := c.rows
	key, bounds := c.column(b.Key), c.column(b.Offset)
	order := c.order
	for i := range out {
		lo, hi := int(r.starts[r.part[i]]), int(r.starts[r.part[i]+1])
		if key.IsNull(i) {
			p := r.peer[i]
			if end {
				p++
			}
			out[i] = r.peerAt[p]
			continue
		}
		// NULLs are at one end of the partition, and are not seen.
		for lo < hi && key.IsNull(lo) {
			lo = int(r.peerAt[r.peer[lo]+1])
		}
		for lo < hi && key.IsNull(hi-1) {
			hi = int(r.peerAt[r.peer[hi-1]])
		}
		n := sort.Search(hi-lo, func(k int) bool {
			x := vec.Compare(key, lo+k, bounds, i)
			if order.Desc {
				x = -x
			}
			return x > 0 || x == 0 && !end
		})
		out[i] = int32(lo + n)
	}
	return nil
}

// column is the values of an argument.
func (c *windowCall) column(e expr.Expr) *vec.Vector { return c.rows.cols[e.(*expr.Column).Index] }

// seen is what a row sees of its frame: up to three stretches of rows.
func (c *windowCall) seen(f extent, i int, out []extent) []extent {
	r := c.rows
	cut := extent{int32(i), int32(i) + 1}
	switch c.call.Frame.Exclude {
	case plan.ExcludeNothing:
		if f.lo < f.hi {
			out = append(out, f)
		}
		return out
	case plan.ExcludeGroup, plan.ExcludeTies:
		cut = extent{r.peerAt[r.peer[i]], r.peerAt[r.peer[i]+1]}
	}
	if s := (extent{f.lo, min(f.hi, cut.lo)}); s.lo < s.hi {
		out = append(out, s)
	}
	if c.call.Frame.Exclude == plan.ExcludeTies && f.lo <= int32(i) && int32(i) < f.hi {
		out = append(out, extent{int32(i), int32(i) + 1})
	}
	if s := (extent{max(f.lo, cut.hi), f.hi}); s.lo < s.hi {
		out = append(out, s)
	}
	return out
}
