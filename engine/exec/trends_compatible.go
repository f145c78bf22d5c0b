package exec

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// nullLabel is the text by which the insights show the null value of a breakdown. Where
// null competes with other values, equal totals are ordered by it.
const nullLabel = "$$_posthog_breakdown_null_$$"

// labelled is the values of a breakdown as the insights see them: texts, of which several
// values may share one.
type labelled struct {
	groups *grouper
	cols   []*vec.Vector // the texts of each group
	ids    []uint32      // group of each value
	null   []bool        // per group: some element is null
}

// curve is one line of the answer.
type curve struct {
	group  uint32
	other  bool // several groups, added up
	points []float64
	total  float64
}

// compatible makes the answer by the rules of the insights.
func (t *trends) compatible(ctx context.Context) error {
	r := &t.series[0]
	buckets := t.line.count()
	if t.node.Breakdown == nil {
		if err := t.hold(ctx, int64(buckets)*8); err != nil {
			return err
		}
		c := curve{points: make([]float64, buckets)}
		for row, b := range r.buckets {
			c.points[b] += r.number(row)
		}
		return t.curves(ctx, []curve{c}, nil)
	}
	l, err := t.label(ctx, r)
	if err != nil {
		return err
	}
	totals, seen := make([]float64, l.groups.groups), make([]bool, l.groups.groups)
	for row, v := range r.values {
		g := l.ids[v]
		totals[g] += r.number(row)
		seen[g] = true
	}
	var ranked []uint32
	for g, ok := range seen {
		if ok {
			ranked = append(ranked, uint32(g))
		}
	}
	series := t.node.Every != nil
	slices.SortFunc(ranked, func(a, b uint32) int {
		if series && l.null[a] != l.null[b] {
			return boolCompare(l.null[a], l.null[b])
		}
		return cmp.Or(cmp.Compare(totals[b], totals[a]), l.compare(a, b))
	})
	return t.curves(ctx, t.limited(r, l, ranked), l)
}

// number is a row's value; nothing counts 0.
func (r *seriesResult) number(row int) float64 {
	if r.vector.IsNull(row) {
		return 0
	}
	return toFloat(r.vector, row)
}

// limited is the curves of the first values, and that of the rest if it is wanted.
func (t *trends) limited(r *seriesResult, l *labelled, ranked []uint32) []curve {
	by := t.node.Breakdown
	shown := len(ranked)
	if by.Top > 0 {
		shown = min(shown, by.Top)
	}
	out := make([]curve, shown)
	place := make([]int32, l.groups.groups)
	for g := range place {
		place[g] = -1
	}
	buckets := t.line.count()
	for i, g := range ranked[:shown] {
		out[i] = curve{group: g, points: make([]float64, buckets)}
		place[g] = int32(i)
	}
	if by.WithOther && shown < len(ranked) {
		for _, g := range ranked[shown:] {
			place[g] = int32(shown)
		}
		out = append(out, curve{other: true, points: make([]float64, buckets)})
	}
	for row, v := range r.values {
		if i := place[l.ids[v]]; i >= 0 {
			out[i].points[r.buckets[row]] += r.number(row)
		}
	}
	return out
}

// curves accumulates and smoothes the curves, puts them in order and makes the columns.
func (t *trends) curves(ctx context.Context, list []curve, l *labelled) error {
	buckets := t.line.count()
	for i := range list {
		c := &list[i]
		if t.node.Cumulative {
			accumulate(c.points)
		}
		if t.node.Smooth > 1 {
			c.points = smooth(c.points, t.node.Smooth)
		}
		for _, p := range c.points {
			c.total += p
		}
	}
	if l != nil {
		slices.SortFunc(list, func(a, b curve) int {
			if a.other || b.other {
				return boolCompare(a.other, b.other)
			}
			return cmp.Or(boolCompare(l.null[a.group], l.null[b.group]), cmp.Compare(b.total, a.total), l.compare(a.group, b.group))
		})
	}
	t.count = len(list) * buckets
	if err := t.hold(ctx, int64(t.count)*24); err != nil {
		return err
	}
	if l != nil {
		t.cols = l.columns(list, buckets)
		if t.node.Breakdown.WithOther {
			other := &vec.Vector{Type: vec.T(vec.Bool)}
			for _, c := range list {
				other.Bools = append(other.Bools, slices.Repeat([]bool{c.other}, buckets)...)
			}
			t.cols = append(t.cols, other)
		}
	}
	bucket := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	value := &vec.Vector{Type: vec.T(vec.Float8)}
	for _, c := range list {
		bucket.I64 = append(bucket.I64, t.line.starts[:buckets]...)
		value.F64 = append(value.F64, c.points...)
	}
	t.cols = append(t.cols, bucket, value)
	return nil
}

// accumulate makes every point the sum of those up to it.
func accumulate(points []float64) {
	for i := 1; i < len(points); i++ {
		points[i] += points[i-1]
	}
}

// smooth makes every point the mean of the n up to it, or of as many as there are, rounded
// down.
func smooth(points []float64, n int) []float64 {
	out := make([]float64, len(points))
	for i := range points {
		sum, first := 0.0, max(0, i-n+1)
		for _, p := range points[first : i+1] {
			sum += p
		}
		out[i] = math.Floor(sum / float64(i+1-first))
	}
	return out
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// label turns the values that a series has into texts, and numbers into bins.
func (t *trends) label(ctx context.Context, r *seriesResult) (*labelled, error) {
	cols := t.values.groups.values()
	n := t.values.count()
	seen := vec.NewBitmap(n)
	for _, v := range r.values {
		seen.Set(int(v))
	}
	types := make([]vec.Type, len(cols))
	texts := make([]*vec.Vector, len(cols))
	for i, c := range cols {
		var bins *binning
		if all := t.node.Breakdown.Bins; all != nil && all[i] > 0 {
			bins = newBinning(c, seen, all[i])
		}
		b := vec.NewBuilder(vec.T(vec.Text))
		for row := range n {
			text, ok := "", false
			if !c.IsNull(row) {
				text, ok = labelOf(c, row, bins, t.env.Expr)
			}
			if ok {
				b.V.Str.AppendString(text)
				continue
			}
			b.AppendNull()
		}
		types[i], texts[i] = vec.T(vec.Text), b.V
	}
	l := &labelled{groups: newGrouper(types), ids: make([]uint32, n)}
	var scratch []uint32
	l.groups.assign(l.ids, texts, firstRows(&scratch, n))
	l.cols = l.groups.values()
	l.null = make([]bool, l.groups.groups)
	for g := range l.null {
		for _, c := range l.cols {
			l.null[g] = l.null[g] || c.IsNull(g)
		}
	}
	return l, t.hold(ctx, l.groups.bytes()+int64(n)*4)
}

// labelOf is the text of a value; false for none.
func labelOf(v *vec.Vector, row int, bins *binning, ctx *expr.Context) (string, bool) {
	v, row = v.At(row)
	if bins != nil {
		return bins.label(v.F64[row])
	}
	switch v.Type.Payload() {
	case vec.PayloadF64, vec.PayloadDec:
		return floatText(toFloat(v, row)), true
	case vec.PayloadBools:
		return strconv.FormatBool(v.Bools[row]), true
	}
	return string(expr.AppendText(nil, v, row, ctx)), true
}

// floatText prints a number as the insights do: whole ones without a fraction, others with
// the digits that read back as the same, an exponent from 1e21 on.
func floatText(f float64) string {
	if math.Abs(f) >= 1e21 {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// compare orders two groups by their texts, as bytes.
func (l *labelled) compare(a, b uint32) int {
	for _, c := range l.cols {
		if d := bytes.Compare(labelBytes(c, int(a)), labelBytes(c, int(b))); d != 0 {
			return d
		}
	}
	return 0
}

func labelBytes(v *vec.Vector, row int) []byte {
	if v.IsNull(row) {
		return []byte(nullLabel)
	}
	v, row = v.At(row)
	return v.Str.At(row)
}

// columns are the texts of every curve, repeated for its buckets. The rest has none.
func (l *labelled) columns(list []curve, buckets int) []*vec.Vector {
	out := make([]*vec.Vector, len(l.cols))
	for i, c := range l.cols {
		b := vec.NewBuilder(c.Type)
		for _, line := range list {
			for range buckets {
				if line.other {
					b.AppendNull()
				} else {
					b.AppendFrom(c, int(line.group))
				}
			}
		}
		out[i] = b.V
	}
	return out
}

// binning cuts the numbers from lo to hi into bins of equal width. The last one is a little
// wider, so that it holds hi.
type binning struct {
	lo, width float64
	n         int
	empty     bool // there are no numbers
}

// lastBinExtra is how much wider the last bin is.
const lastBinExtra = 0.01

// newBinning makes the bins of the numbers in the rows of a column that count.
func newBinning(v *vec.Vector, rows vec.Bitmap, n int) *binning {
	b := &binning{n: n, empty: true}
	hi := 0.0
	for row := range v.Len() {
		if !rows.Get(row) || v.IsNull(row) {
			continue
		}
		f, at := v.At(row)
		x := f.F64[at]
		if b.empty {
			b.lo, hi, b.empty = x, x, false
		}
		b.lo, hi = min(b.lo, x), max(hi, x)
	}
	b.width = (hi - b.lo) / float64(n)
	return b
}

// edges are the ends of a bin; the upper one is outside.
func (b *binning) edges(x int) (float64, float64) {
	low, high := b.width*float64(x)+b.lo, b.width*float64(x+1)+b.lo
	if x == b.n-1 {
		high += lastBinExtra
	}
	return low, high
}

// label is the bin of a number; false if none holds it.
func (b *binning) label(f float64) (string, bool) {
	if b.empty {
		return "", false
	}
	x := sort.Search(b.n, func(x int) bool {
		_, high := b.edges(x)
		return f < high
	})
	if x == b.n {
		return "", false
	}
	low, high := b.edges(x)
	if low > f {
		return "", false
	}
	return "[" + floatText(low) + "," + floatText(high) + "]", true
}
