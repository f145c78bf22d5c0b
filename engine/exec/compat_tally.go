package exec

import (
	"slices"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// compatTally is what actors of one breakdown value add up to.
type compatTally struct {
	counts    []int64   // actors that did each step
	durations [][]int64 // by position: µs since the time before, where above 0
	// With OUTPUT ACTORS and TREND ACTORS: who, and what of them.
	actors []uint32
	steps  []uint64
	offs   []uint32 // of times
	times  []int64
	// With OUTPUT TREND: by period.
	entered, converted []int64
	entries            []trendEntry // with TREND ACTORS, along with actors
}

func (k *compatWalker) tally(value uint32) *compatTally {
	t := k.out[value]
	if t == nil {
		n := k.f.rules.steps
		t = &compatTally{counts: make([]int64, n), durations: make([][]int64, n), offs: []uint32{0}}
		k.grown += int64(n) * 32
		if k.trend != nil {
			buckets := k.f.line.count()
			t.entered, t.converted = make([]int64, buckets), make([]int64, buckets)
			k.grown += int64(buckets) * 16
		}
		k.out[value] = t
	}
	return t
}

func (k *compatWalker) add(value, actor uint32, steps uint64, times []int64) {
	t := k.tally(value)
	eachBit(steps, func(s int) { t.counts[s]++ })
	for i := 1; i < len(times); i++ {
		if d := times[i] - times[i-1]; d > 0 {
			t.durations[i] = append(t.durations[i], d)
			k.grown += 8
		}
	}
	if k.f.node.Output == plan.OutputActors {
		t.actors = append(t.actors, actor)
		t.steps = append(t.steps, steps)
		t.times = append(t.times, times...)
		t.offs = append(t.offs, uint32(len(t.times)))
		k.grown += int64(16 + 8*len(times))
	}
}

func (k *compatWalker) addTrend(value, actor uint32) {
	t := k.tally(value)
	for _, e := range k.entries {
		t.entered[e.period]++
		if e.converted {
			t.converted[e.period]++
		}
		if k.f.node.Trend.Actors {
			t.actors = append(t.actors, actor)
			t.entries = append(t.entries, e)
			k.grown += 20
		}
	}
}

func (t *compatTally) merge(o *compatTally) {
	for i := range t.counts {
		t.counts[i] += o.counts[i]
		t.durations[i] = append(t.durations[i], o.durations[i]...)
	}
	for i := range t.entered {
		t.entered[i] += o.entered[i]
		t.converted[i] += o.converted[i]
	}
	t.actors = append(t.actors, o.actors...)
	t.steps = append(t.steps, o.steps...)
	t.entries = append(t.entries, o.entries...)
	base := uint32(len(t.times))
	t.times = append(t.times, o.times...)
	for _, end := range o.offs[1:] {
		t.offs = append(t.offs, base+end)
	}
}

// rank orders the breakdown values: by the count of the last step, then of the one before
// and so on, each descending, and equal ones by value. Beyond TOP n they are merged into
// one, which takes its place among them; without WITH OTHER they are left out. An actor that
// has several of the values merged counts once for each.
func (f *compatFunnel) rank(tallies []*compatTally) ([]*compatTally, []uint32) {
	var ids []uint32
	keys := make([][]int64, len(tallies), len(tallies)+1)
	for v, t := range tallies {
		if t != nil {
			ids = append(ids, uint32(v))
			keys[v] = t.rank()
		}
	}
	by := f.node.Breakdown
	if by == nil {
		return tallies, ids
	}
	rankValues(ids, func(uint32) int64 { return 0 }, f.actors.breakdown())
	descending := func(a, b uint32) int { return slices.Compare(keys[b], keys[a]) }
	slices.SortStableFunc(ids, descending)
	if by.Top == 0 || len(ids) <= by.Top {
		return tallies, ids
	}
	rest := ids[by.Top:]
	ids = ids[:by.Top:by.Top]
	if by.WithOther {
		other := tallies[rest[0]]
		for _, v := range rest[1:] {
			other.merge(tallies[v])
		}
		ids = append(ids, uint32(len(tallies)))
		tallies, keys = append(tallies, other), append(keys, other.rank())
		slices.SortStableFunc(ids, descending)
	}
	return tallies, ids
}

// rank is what tallies are compared by.
func (t *compatTally) rank() []int64 {
	if t.entered != nil {
		return []int64{addUp(t.converted), addUp(t.entered)}
	}
	out := slices.Clone(t.counts)
	slices.Reverse(out)
	return out
}

func addUp(list []int64) int64 {
	n := int64(0)
	for _, x := range list {
		n += x
	}
	return n
}

// answer makes the rows of the answer.
func (f *compatFunnel) answer(tallies []*compatTally, values []uint32) {
	var ids []uint32
	var cols []*vec.Vector
	switch {
	case f.node.Output == plan.OutputActors:
		ids, cols = f.actorRows(tallies, values)
	case f.node.Output != plan.OutputTrend:
		ids, cols = f.stepRows(tallies, values)
	case f.node.Trend.Actors:
		ids, cols = f.trendActorRows(tallies, values)
	default:
		ids, cols = f.trendRows(tallies, values)
	}
	f.rows = len(ids)
	f.cols = append(breakdownColumns(f.node.Breakdown, f.actors.breakdown(), ids), cols...)
}

// stepRows makes the rows of OUTPUT STEPS, and the breakdown value of each. There are none if
// nobody is in the funnel.
func (f *compatFunnel) stepRows(tallies []*compatTally, values []uint32) ([]uint32, []*vec.Vector) {
	step, name := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(0, 0)}
	count := &vec.Vector{Type: vec.T(vec.Int8)}
	average, median := vec.NewBuilder(vec.T(vec.Float8)), vec.NewBuilder(vec.T(vec.Float8))
	var ids []uint32
	for _, v := range values {
		t := tallies[v]
		for s := range f.node.Steps {
			ids = append(ids, v)
			step.I64 = append(step.I64, int64(s+1))
			name.Str.AppendString(f.node.Steps[s].Name)
			count.I64 = append(count.I64, t.counts[s])
			appendSeconds(average, median, t.durations[s])
		}
	}
	return ids, []*vec.Vector{step, name, count, average.V, median.V}
}

// appendSeconds appends the average and the median of durations in µs, as seconds: the
// median of an even number is the mean of the middle two. Both are null if there are none.
func appendSeconds(average, median *vec.Builder, durations []int64) {
	n := len(durations)
	if n == 0 {
		average.AppendNull()
		median.AppendNull()
		return
	}
	mid := selectNth(durations, n/2)
	twice := 2 * mid
	if n%2 == 0 {
		twice = mid + slices.Max(durations[:n/2])
	}
	total := 0.0
	for _, d := range durations {
		total += float64(d)
	}
	average.V.F64 = append(average.V.F64, total/float64(n)/1e6)
	median.V.F64 = append(median.V.F64, float64(twice)/2e6)
}

// actorRows makes the rows of OUTPUT ACTORS, and the breakdown value of each.
func (f *compatFunnel) actorRows(tallies []*compatTally, values []uint32) ([]uint32, []*vec.Vector) {
	reached, steps := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Int8)}
	times := &vec.Vector{Type: vec.ArrayOf(vec.TimestampTZ), Offs: []uint32{0}, Elem: &vec.Vector{Type: vec.T(vec.TimestampTZ)}}
	entered := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	var ids, who []uint32
	for _, v := range values {
		t := tallies[v]
		for i := range t.actors {
			chain := t.times[t.offs[i]:t.offs[i+1]]
			ids, who = append(ids, v), append(who, t.actors[i])
			reached.I64 = append(reached.I64, int64(len(chain)))
			steps.I64 = append(steps.I64, int64(t.steps[i]))
			times.Elem.I64 = append(times.Elem.I64, chain...)
			times.Offs = append(times.Offs, uint32(len(times.Elem.I64)))
			entered.I64 = append(entered.I64, chain[0])
		}
	}
	return ids, []*vec.Vector{f.actors.vector(who), reached, steps, times, entered}
}

// trendRows makes the rows of OUTPUT TREND, and the breakdown value of each. Without a
// breakdown every period has one: of DURING, or where that is open from the first and to
// the last that somebody entered. With a breakdown only those have one that somebody entered.
func (f *compatFunnel) trendRows(tallies []*compatTally, values []uint32) ([]uint32, []*vec.Vector) {
	bucket := &vec.Vector{Type: vec.T(vec.TimestampTZ)}
	entered, converted := &vec.Vector{Type: vec.T(vec.Int8)}, &vec.Vector{Type: vec.T(vec.Int8)}
	var ids []uint32
	if f.node.Breakdown == nil && f.line != nil && len(values) == 0 {
		zeros := make([]int64, f.line.count())
		values, tallies = []uint32{0}, []*compatTally{{entered: zeros, converted: zeros}}
	}
	for _, v := range values {
		t := tallies[v]
		first, last := 0, len(t.entered)-1
		for first <= last && t.entered[first] == 0 && f.from == vec.NegInfinityTime {
			first++
		}
		for last >= first && t.entered[last] == 0 && f.to == vec.InfinityTime {
			last--
		}
		for p := first; p <= last; p++ {
			if t.entered[p] == 0 && f.node.Breakdown != nil {
				continue
			}
			ids = append(ids, v)
			bucket.I64 = append(bucket.I64, f.line.starts[p])
			entered.I64 = append(entered.I64, t.entered[p])
			converted.I64 = append(converted.I64, t.converted[p])
		}
	}
	return ids, []*vec.Vector{bucket, entered, converted}
}

// trendActorRows makes the rows of OUTPUT TREND ACTORS, and the breakdown value of each.
func (f *compatFunnel) trendActorRows(tallies []*compatTally, values []uint32) ([]uint32, []*vec.Vector) {
	bucket, converted := &vec.Vector{Type: vec.T(vec.TimestampTZ)}, &vec.Vector{Type: vec.T(vec.Bool)}
	var ids, who []uint32
	for _, v := range values {
		t := tallies[v]
		for i, e := range t.entries {
			ids, who = append(ids, v), append(who, t.actors[i])
			bucket.I64 = append(bucket.I64, f.line.starts[e.period])
			converted.Bools = append(converted.Bools, e.converted)
		}
	}
	return ids, []*vec.Vector{bucket, f.actors.vector(who), converted}
}
