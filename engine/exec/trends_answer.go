package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// cells finds the rows of a series' results by position: row rows[i*buckets+b]-1 is that of
// the i-th value shown and bucket b, and 0 means that it has none.
type cells struct {
	rows   []int32
	result *seriesResult
}

// answer makes the rows: a value and a bucket each. If DURING is open, empty buckets at
// both ends are left out.
func (t *trends) answer(ctx context.Context, open bool) error {
	buckets := t.line.count()
	values := []uint32{0}
	if by := t.node.Breakdown; by != nil {
		values = t.ranked()
		if by.Top > 0 && len(values) > by.Top {
			values = values[:by.Top]
		}
	}
	if err := t.hold(ctx, int64(len(values)*buckets)*(12+12*int64(len(t.series)))); err != nil {
		return err
	}
	place := make(map[uint32]int, len(values))
	for i, v := range values {
		place[v] = i
	}
	series := make([]cells, len(t.series))
	first, last := buckets, -1
	for k := range t.series {
		r := &t.series[k]
		series[k] = cells{make([]int32, len(values)*buckets), r}
		for row, b := range r.buckets {
			if i, ok := place[r.values[row]]; ok {
				series[k].rows[i*buckets+int(b)] = int32(row) + 1
				first, last = min(first, int(b)), max(last, int(b))
			}
		}
	}
	if !open {
		first, last = 0, buckets-1
	}
	var ids []uint32
	bucket := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	var at []int
	for i, v := range values {
		for b := first; b <= last; b++ {
			ids = append(ids, v)
			bucket.I64 = append(bucket.I64, t.line.starts[b])
			at = append(at, i*buckets+b)
		}
	}
	if t.node.Output == plan.OutputLong {
		t.long(ids, bucket, at, series)
		return nil
	}
	t.count = len(ids)
	t.cols = append(breakdownColumns(t.node.Breakdown, t.values, ids), bucket)
	for i := range series {
		b := vec.NewBuilder(series[i].result.vector.Type)
		for _, cell := range at {
			series[i].append(b, cell)
		}
		t.cols = append(t.cols, b.V)
	}
	return nil
}

// append adds the value of a cell to a column.
func (c *cells) append(b *vec.Builder, cell int) {
	switch row := c.rows[cell] - 1; {
	case row >= 0:
		b.AppendFrom(c.result.vector, int(row))
	case c.result.zero:
		b.V.I64 = append(b.V.I64, 0)
	default:
		b.AppendNull()
	}
}

// ranked is the breakdown values that occur, by the sum of the first series.
func (t *trends) ranked() []uint32 {
	sums := make([]float64, t.values.count())
	seen := make([]bool, len(sums))
	for i := range t.series {
		r := &t.series[i]
		for row, v := range r.values {
			seen[v] = true
			if i == 0 && !r.vector.IsNull(row) {
				sums[v] += toFloat(r.vector, row)
			}
		}
	}
	var ids []uint32
	for v, ok := range seen {
		if ok {
			ids = append(ids, uint32(v))
		}
	}
	rankValues(ids, func(v uint32) float64 { return sums[v] }, t.values)
	return ids
}

// long makes the rows of OUTPUT LONG: a series each.
func (t *trends) long(ids []uint32, bucket *vec.Vector, at []int, series []cells) {
	var values []uint32
	starts := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	name := &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(0, 0)}
	value, previous := vec.NewBuilder(vec.T(vec.Float8)), vec.NewBuilder(vec.T(vec.Float8))
	for i, cell := range at {
		for k := range series {
			r := series[k].result
			values = append(values, ids[i])
			starts.I64 = append(starts.I64, bucket.I64[i])
			name.Str.AppendString(t.node.Series[k].Name)
			row := int(series[k].rows[cell]) - 1
			switch {
			case row < 0 && r.zero:
				value.V.F64 = append(value.V.F64, 0)
			case row < 0 || r.vector.IsNull(row):
				value.AppendNull()
			default:
				value.V.F64 = append(value.V.F64, toFloat(r.vector, row))
			}
			previous.AppendNull()
		}
	}
	t.count = len(values)
	t.cols = append(breakdownColumns(t.node.Breakdown, t.values, values), starts, name, value.V, previous.V)
}

// toFloat is a number of any type as a double.
func toFloat(v *vec.Vector, row int) float64 {
	v, row = v.At(row)
	switch v.Type.Payload() {
	case vec.PayloadI64:
		return float64(v.I64[row])
	case vec.PayloadF64:
		return v.F64[row]
	case vec.PayloadDec:
		return v.Dec[row].Float64()
	}
	return 0
}
