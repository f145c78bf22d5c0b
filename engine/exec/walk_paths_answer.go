package exec

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unsafe"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// answer makes the rows of the answer, of lists of edges: one for each breakdown value, in order.
func (p *paths) answer(lists [][]pathCount) {
	var rows []pathCount
	for _, list := range lists {
		rows = append(rows, p.edges(list)...)
	}
	p.rows, p.cols = len(rows), p.columns(rows)
}

// chooseValues ranks the breakdown values by edges, and gives those that are to be told of, in order. Those
// beyond TOP are left out, or counted as one.
func (p *paths) chooseValues(walkers []pathWalker) []uint32 {
	by := p.node.Breakdown
	if by == nil {
		return []uint32{0}
	}
	all := make([]valueTotal, p.values.count())
	for i := range walkers {
		for v, t := range walkers[i].totals {
			all[v].edges += t.edges
			all[v].seen = all[v].seen || t.seen
		}
	}
	var ids []uint32
	for v, t := range all {
		if t.seen {
			ids = append(ids, uint32(v))
		}
	}
	rankValues(ids, func(v uint32) int64 { return all[v].edges }, p.values)
	if by.Top == 0 || len(ids) <= by.Top {
		return ids
	}
	rest := noValue
	if by.WithOther {
		rest = uint32(len(all))
	}
	p.chosen = slices.Repeat([]uint32{rest}, len(all)+1) // the rest is one of them
	ids = ids[:by.Top]
	for _, v := range ids {
		p.chosen[v] = v
	}
	if by.WithOther {
		ids = append(ids, rest)
	}
	return ids
}

// inOrderOfValues is what was kept of each breakdown value.
func (p *paths) inOrderOfValues(kept []edgeKeeper) [][]pathCount {
	out := make([][]pathCount, len(p.ids))
	for i, v := range p.ids {
		for _, k := range kept {
			if f := k.by[v]; f != nil {
				out[i] = append(out[i], f.best...)
			}
		}
	}
	return out
}

// edges puts the edges of one breakdown value in order and keeps those that were asked for.
func (p *paths) edges(list []pathCount) []pathCount {
	list = p.heaviest(list)
	if p.node.Compatible && p.node.Output == plan.OutputDefault {
		list = reachable(list)
	}
	return list
}

// heaviest is the edges of the wanted weights, in order and as many as are wanted.
func (p *paths) heaviest(list []pathCount) []pathCount {
	f := edgeFilter{p: p, best: list[:0]}
	f.add(list)
	return f.first()
}

// edgeFilter keeps the edges of the wanted weights that come first, as many as are wanted. It
// never has more than twice as many.
type edgeFilter struct {
	p      *paths
	best   []pathCount
	sorted bool // as many as are wanted, and what comes is worse than the last is not wanted
}

// least is how often an edge comes at least that can be wanted.
func (f *edgeFilter) least() int64 {
	if f.sorted {
		return f.best[f.p.node.EdgesTop-1].count
	}
	return int64(f.p.node.WeightFrom)
}

// add takes in edges. Where they are in the memory of best they are overwritten.
func (f *edgeFilter) add(list []pathCount) {
	n := f.p.node
	for i := range list {
		c := &list[i]
		if c.count < int64(n.WeightFrom) || n.WeightTo > 0 && c.count > int64(n.WeightTo) || f.sorted && f.p.compare(c, &f.best[n.EdgesTop-1]) > 0 {
			continue
		}
		if f.best = append(f.best, *c); n.EdgesTop > 0 && len(f.best) == 2*n.EdgesTop {
			f.best, f.sorted = f.first(), true
		}
	}
}

// grow is add that gives how many bytes it took.
func (f *edgeFilter) grow(list []pathCount) int64 {
	before := cap(f.best)
	f.add(list)
	return int64(cap(f.best)-before) * int64(unsafe.Sizeof(pathCount{}))
}

// first is the edges wanted, in order.
func (f *edgeFilter) first() []pathCount {
	slices.SortFunc(f.best, func(a, b pathCount) int { return f.p.compare(&a, &b) })
	if n := f.p.node.EdgesTop; n > 0 && len(f.best) > n {
		return f.best[:n]
	}
	return f.best
}

// reachable drops the edges whose source no path from a first node leads to.
func reachable(list []pathCount) []pathCount {
	order := make([]*pathCount, len(list))
	for i := range list {
		order[i] = &list[i]
	}
	slices.SortFunc(order, func(a, b *pathCount) int { return cmp.Compare(a.step, b.step) })
	type node struct{ step, name uint32 }
	reached := map[node]bool{}
	for _, c := range order {
		if c.step == 1 || reached[node{c.step, c.source}] {
			reached[node{c.step + 1, c.target}] = true
		}
	}
	return slices.DeleteFunc(list, func(c pathCount) bool { return c.step > 1 && !reached[node{c.step, c.source}] })
}

func (p *paths) compareNames(a, b uint32) int {
	if a == b {
		return 0
	}
	return bytes.Compare(p.names.Str.At(int(a)), p.names.Str.At(int(b)))
}

// compare orders edges: the most frequent first, then by step and by names. By the rules of the
// insights the names of nodes begin with their step: 10_x comes before 2_x.
func (p *paths) compare(a, b *pathCount) int {
	if a.count != b.count {
		return cmp.Compare(b.count, a.count)
	}
	if a.step != b.step {
		if p.node.Compatible {
			// The underline, which is greater than any digit, ends the shorter number.
			return cmp.Compare(strconv.Itoa(int(a.step))+"_", strconv.Itoa(int(b.step))+"_")
		}
		return cmp.Compare(a.step, b.step)
	}
	if c := p.compareNames(a.source, b.source); c != 0 {
		return c
	}
	return p.compareNames(a.target, b.target)
}

// columns makes the columns of the answer.
func (p *paths) columns(rows []pathCount) []*vec.Vector {
	n := p.node
	values, sources, targets := make([]uint32, len(rows)), make([]uint32, len(rows)), make([]uint32, len(rows))
	step, count := &vec.Vector{Type: vec.T(vec.Int4)}, &vec.Vector{Type: vec.T(vec.Int8)}
	for i := range rows {
		c := &rows[i]
		values[i], sources[i], targets[i] = c.value, c.source, c.target
		step.I64 = append(step.I64, int64(c.step))
		count.I64 = append(count.I64, c.count)
	}
	cols := p.split(values)
	if n.Output != plan.OutputTransitions {
		cols = append(cols, step)
	}
	return append(cols, p.names.Take(sources), p.names.Take(targets), count, p.average(rows))
}

// split is the columns of the breakdown for the given values.
func (p *paths) split(values []uint32) []*vec.Vector {
	if p.node.Breakdown == nil {
		return nil
	}
	return columnsOfValues(p.node.Breakdown, p.named, p.values.count(), values)
}

// average is the mean time of each edge: ms under the rules of the insights, else an
// interval.
func (p *paths) average(rows []pathCount) *vec.Vector {
	if p.node.Compatible {
		v := &vec.Vector{Type: vec.T(vec.Float8)}
		for i := range rows {
			sum := float64(rows[i].hi)*(1<<32)*(1<<32) + float64(rows[i].time)
			v.F64 = append(v.F64, sum/float64(rows[i].count)/1000)
		}
		return v
	}
	v := &vec.Vector{Type: vec.T(vec.Interval)}
	for i := range rows {
		mean := uint64(math.MaxInt64)
		if n := uint64(rows[i].count); rows[i].hi < n {
			mean, _ = bits.Div64(rows[i].hi, rows[i].time, n)
		}
		v.Ivl = append(v.Ivl, interval(int64(mean)))
	}
	return v
}
