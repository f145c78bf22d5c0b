package exec

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

const minute = int64(60_000_000)

// Positions among the conditions of a testRow.
const (
	pathStart = iota
	pathEnd
	pathSplit // the breakdown
	pathConds
)

// emptyName is the value of a testRow whose name is the empty text; "" is null.
const emptyName = "(empty)"

func randomPaths(r *rand.Rand) ([]testRow, *plan.Paths) {
	names := [][]string{{"", emptyName, "a", "b", "c", "..."}, {"a", "b", "c"}, {"", emptyName, "a"}}[r.Intn(3)]
	rows := make([]testRow, r.Intn(60))
	for i := range rows {
		row := testRow{actor: r.Intn(3), us: int64(r.Intn(40)) * 10 * minute, tie: i, conds: make([]bool, pathConds)}
		row.value = names[r.Intn(len(names))]
		row.conds[pathStart], row.conds[pathEnd], row.conds[pathSplit] = r.Intn(3) == 0, r.Intn(3) == 0, r.Intn(2) == 0
		rows[i] = row
	}
	src, cols := source(rows, pathConds)
	empty := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf("")}}
	for i := range rows {
		if rows[i].value == emptyName {
			src.Input.(*plan.Values).Rows[i][3] = empty
		}
	}
	src.Compatible = r.Intn(2) == 0
	n := &plan.Paths{Source: src, Node: cols[0], Depth: r.Intn(7), Gap: vec.IntervalValue{Micros: int64(1+r.Intn(4)) * 10 * minute},
		RepeatsKeep: r.Intn(4) == 0, Output: []plan.Output{plan.OutputDefault, plan.OutputActors, plan.OutputTransitions}[r.Intn(3)]}
	if r.Intn(2) == 0 {
		n.StartAt = cols[1+pathStart]
	}
	if r.Intn(2) == 0 {
		n.EndAt = cols[1+pathEnd]
	}
	if r.Intn(2) == 0 {
		n.From, n.To = timeConst(int64(r.Intn(10))*10*minute), timeConst(int64(10+r.Intn(30))*10*minute)
	}
	if r.Intn(3) == 0 {
		n.Breakdown = &plan.Breakdown{Exprs: []expr.Expr{cols[1+pathSplit]}, Names: []string{"v"}}
		if n.Breakdown.Top = r.Intn(3); n.Breakdown.Top > 0 {
			n.Breakdown.WithOther = r.Intn(2) == 0
		}
	}
	if r.Intn(2) == 0 {
		n.EdgesTop = 1 + r.Intn(6)
	}
	if r.Intn(4) == 0 {
		n.WeightFrom = 1 + r.Intn(3)
	}
	if r.Intn(4) == 0 {
		n.WeightTo = n.WeightFrom + r.Intn(3)
	}
	if n.Output != plan.OutputActors && r.Intn(2) == 0 { // the mean time, which is the last column
		n.Unread = make([]bool, len(n.Schema()))
		n.Unread[len(n.Unread)-1] = true
	}
	return rows, n
}

func TestPathsModel(t *testing.T) {
	outputs := map[plan.Output]bool{} // of those that have spilled
	for seed := range tries(4000) {
		r := rand.New(rand.NewSource(seed))
		rows, n := randomPaths(r)
		op, err := newPaths(n, testEnv(0))
		if err != nil {
			t.Fatal(err)
		}
		got, want := rowsOf(t, op), modelPaths(rows, n)
		if n.Unread != nil {
			withoutLast(got)
			withoutLast(want)
		}
		if n.Output == plan.OutputActors { // actors come in the order of their numbers
			sort.Strings(got)
			sort.Strings(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, rows %+v\n%+v\ngot  %q\nwant %q", seed, rows, n, got, want)
		}
		if seed%4 > 0 {
			continue
		}
		env, dir := spillingEnv(t, n)
		spilled, bytes := spilledAnswer(t, n, env, dir)
		if n.Unread != nil {
			withoutLast(spilled)
		}
		sort.Strings(spilled)
		sort.Strings(want)
		if !slices.Equal(spilled, want) {
			t.Fatalf("seed %d, rows %+v\n%+v\nspilling %q\nwant     %q", seed, rows, n, spilled, want)
		}
		if bytes > 0 {
			outputs[n.Output] = true
		}
	}
	if !outputs[plan.OutputDefault] || !outputs[plan.OutputTransitions] {
		t.Errorf("only outputs %v have spilled", outputs)
	}
}

// Edges that do not fit into memory are counted part by part, and sorted where all of them are wanted.
func TestPathsBeyondMemory(t *testing.T) {
	m := newLiveModel(t, 37)
	m.addNamed(2, 60_000, func() string { // few pages are where most edges begin
		if m.r.Intn(4) > 0 {
			return fmt.Sprint("page ", m.r.Intn(3))
		}
		return fmt.Sprint("page ", m.r.Intn(5_000))
	})
	sn, err := m.st.Snapshot(1)
	m.fail(err)
	defer sn.Release()
	by := &plan.Breakdown{Exprs: []expr.Expr{scanColumn(colEvent)}, Names: []string{"v"}}
	rooms, wantRooms := 0, 0 // questions that had some in files
	for i, n := range []*plan.Paths{
		{Source: plan.Source{Breakdown: by}},
		{Source: plan.Source{Breakdown: by}, EdgesTop: 10, Depth: 20},
		{Source: plan.Source{Breakdown: by}, Output: plan.OutputTransitions},
		{Output: plan.OutputTransitions, EdgesTop: 50, Unread: []bool{false, false, false, true}},
		{Output: plan.OutputTransitions, Unread: []bool{false, false, false, true}},
		{Source: plan.Source{Breakdown: by}, Output: plan.OutputActors},
	} {
		if testing.Short() && i%3 > 0 {
			continue
		}
		if n.Unread != nil {
			wantRooms++
		}
		src := liveEvents()
		src.Breakdown = n.Breakdown
		n.Source, n.Node, n.Gap = src, scanColumn(colPlan), vec.IntervalValue{Days: 20}
		open := func(env *Env) Operator {
			if n.Output == plan.OutputActors {
				op, err := Build(n, env)
				m.fail(err)
				return op
			}
			return pathsOf(n, env)
		}
		env := testEnv(0)
		env.Snapshot = sn
		op := open(env)
		want := rowsOf(t, op)
		m.fail(op.Close())
		const memory = 6 << 20
		env, dir := spillingEnv(t, n)
		env.Snapshot, env.SpillAt, env.Memory = sn, 0, memory
		op = open(env)
		got := rowsOf(t, op)
		if p, ok := op.(*paths); ok && p.files.rooms != nil {
			rooms++
		}
		m.fail(op.Close())
		if n.Output == plan.OutputActors { // goroutines have actors of their own
			sort.Strings(got)
			sort.Strings(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("question %d: %d rows are not the %d in memory", i, len(got), len(want))
		}
		if dir.Used() != 0 {
			t.Errorf("question %d: spill files of %d bytes are left behind", i, dir.Used())
		}
		if n.Output != plan.OutputActors && env.Stats.Node(n).Spilled.Load() == 0 {
			t.Errorf("question %d: nothing was spilled", i)
		}
		if i > 0 {
			continue
		}
		env = testEnv(0)
		env.Snapshot, env.Memory = sn, memory
		op = open(env)
		if _, err = op.Next(t.Context()); err == nil || pgerr.Code(err) != pgerr.OutOfMemory {
			t.Errorf("question %d without a place to spill: %v, want %s", i, err, pgerr.OutOfMemory)
		}
		m.fail(op.Close())
	}
	if rooms != wantRooms {
		t.Errorf("%d questions have filed short edges, want %d", rooms, wantRooms)
	}
}

// withoutLast leaves the last column of rows out.
func withoutLast(rows []string) {
	for i, row := range rows {
		row = strings.TrimSuffix(row, " ")
		rows[i] = row[:strings.LastIndexByte(row, ' ')]
	}
}

// The times of edges are not kept for whoever asks how many there are.
func TestPathsWithoutTimes(t *testing.T) {
	src, cols := source(nil, pathConds)
	edges := &plan.Paths{Source: src, Node: cols[0], Gap: vec.IntervalValue{Micros: minute}, Output: plan.OutputTransitions}
	var all []expr.Expr
	var names []string
	for i, f := range edges.Schema() {
		all, names = append(all, &expr.Column{Index: i, T: f.Type, Name: f.Name}), append(names, f.Name)
	}
	for columns, timed := range map[int]bool{len(all) - 1: false, len(all): true} {
		n := plan.Rewrite(&plan.Project{Input: edges, Exprs: all[:columns], Names: names[:columns]})
		found, ok := n.(*plan.Paths)
		for ; !ok; found, ok = n.(*plan.Paths) {
			n = n.Inputs()[0]
		}
		if got := (&paths{node: found}).readsTime(); got != timed {
			t.Errorf("with %d columns, times are kept: %v, want %v", columns, got, timed)
		}
	}
}

// modelItem is a node of a path.
type modelItem struct {
	testRow
	name string
}

// modelSessions is the paths of all actors, straight from the definition.
func modelSessions(rows []testRow, n *plan.Paths) [][]modelItem {
	from, to := vec.NegInfinityTime, vec.InfinityTime
	if n.From != nil {
		from, to = n.From.(*expr.Const).Value.I64[0], n.To.(*expr.Const).Value.I64[0]
	}
	var out [][]modelItem
	for actor := range 3 {
		var mine []testRow
		for _, r := range rows {
			if r.actor == actor && r.us >= from && r.us < to {
				mine = append(mine, r)
			}
		}
		sort.SliceStable(mine, func(i, j int) bool { return mine[i].us < mine[j].us })
		var session []testRow
		for i, r := range mine {
			session = append(session, r)
			if i+1 < len(mine) {
				gap := mine[i+1].us - r.us
				if gap < n.Gap.Micros || gap == n.Gap.Micros && !n.Compatible {
					continue
				}
			}
			if n.Compatible {
				out = append(out, modelCompatible(session, n))
			} else {
				out = append(out, modelPlain(session, n))
			}
			session = nil
		}
	}
	return out
}

func indexOf(items []modelItem, from, cond int) int {
	for i := from; i < len(items); i++ {
		if items[i].conds[cond] {
			return i
		}
	}
	return -1
}

func modelPlain(session []testRow, n *plan.Paths) []modelItem {
	var items []modelItem
	for _, r := range session {
		switch r.value {
		case "":
		case emptyName:
			items = append(items, modelItem{r, ""})
		default:
			items = append(items, modelItem{r, r.value})
		}
	}
	first, last := 0, len(items)-1
	if n.StartAt != nil {
		if first = indexOf(items, 0, pathStart); first < 0 {
			return nil
		}
	}
	if n.EndAt != nil {
		if last = indexOf(items, first, pathEnd); last < 0 {
			return nil
		}
	}
	var out []modelItem
	for i := first; i <= last; i++ {
		if n.RepeatsKeep || len(out) == 0 || out[len(out)-1].name != items[i].name {
			out = append(out, items[i])
		}
	}
	if n.Depth > 0 {
		if n.EndAt != nil && n.StartAt == nil {
			out = out[max(0, len(out)-n.Depth):]
		}
		out = out[:min(len(out), n.Depth)]
	}
	return out
}

func modelCompatible(session []testRow, n *plan.Paths) []modelItem {
	var items []modelItem
	for i, r := range session {
		name := strings.TrimSuffix(r.value, emptyName)
		it := modelItem{r, name}
		it.conds = slices.Clone(r.conds)
		if i > 0 && !n.RepeatsKeep && items[len(items)-1].name == name {
			before := items[len(items)-1].conds
			for _, c := range []int{pathStart, pathEnd} {
				it.conds[c] = it.conds[c] || before[c]
			}
			items[len(items)-1] = it
			continue
		}
		items = append(items, it)
	}
	for len(items) > 0 && items[len(items)-1].name == "" {
		items = items[:len(items)-1]
	}
	first, last := 0, len(items)-1
	if n.StartAt != nil {
		if first = indexOf(items, 0, pathStart); first < 0 {
			return nil
		}
	}
	if n.EndAt != nil {
		if last = indexOf(items, first, pathEnd); last < 0 {
			return nil
		}
	}
	items = items[first : last+1]
	if n.Depth == 0 || len(items) <= n.Depth {
		return items
	}
	var out []modelItem
	for i, it := range items {
		half := n.Depth / 2
		switch {
		case n.StartAt != nil && n.EndAt != nil:
			if i == half {
				it.name = "..."
			}
			if i <= half || i >= len(items)-half {
				out = append(out, it)
			}
		case n.EndAt != nil:
			if i >= len(items)-n.Depth {
				out = append(out, it)
			}
		case i < n.Depth:
			out = append(out, it)
		}
	}
	return out
}

// modelEdge is one row of an answer before it is printed.
type modelEdge struct {
	value          string
	actor, step    int
	source, target string
	last           bool
	count, sum     int64
}

func modelPaths(rows []testRow, n *plan.Paths) []string {
	counts := map[modelEdge]*modelEdge{}
	totals := map[string]int64{}
	for _, path := range modelSessions(rows, n) {
		value := ""
		if n.Breakdown != nil && len(path) > 0 {
			value = fmt.Sprint(path[0].conds[pathSplit])
		}
		for i, it := range path {
			e := modelEdge{value: value, target: it.name}
			time := int64(0)
			if i > 0 {
				e.source, time = path[i-1].name, it.us-path[i-1].us
				totals[value]++
			} else {
				totals[value] += 0
			}
			switch {
			case n.Output == plan.OutputActors:
				e.actor, e.step, e.last = it.actor, i+1, i+1 == len(path)
			case i == 0:
				continue
			case n.Output == plan.OutputDefault:
				e.step = i
			}
			if counts[e] == nil {
				counts[e] = &modelEdge{}
				*counts[e] = e
			}
			counts[e].count++
			counts[e].sum += time
		}
	}
	var values []string
	for v := range totals {
		values = append(values, v)
	}
	sort.Slice(values, func(i, j int) bool {
		a, b := values[i], values[j]
		return totals[a] > totals[b] || totals[a] == totals[b] && a < b
	})
	other := ""
	if by := n.Breakdown; by != nil && by.Top > 0 && len(values) > by.Top {
		for _, v := range values[by.Top:] {
			if by.WithOther {
				other = v // there are two values at most, so this is all of the rest
			}
		}
		values = values[:by.Top]
		if other != "" {
			values = append(values, other)
		}
	}
	var out []string
	for _, v := range values {
		var list []*modelEdge
		for _, e := range counts {
			if e.value == v {
				list = append(list, e)
			}
		}
		for _, e := range modelOrder(list, n) {
			out = append(out, e.line(n, other))
		}
	}
	return out
}

// modelOrder puts edges in order and drops those that were not asked for.
func modelOrder(list []*modelEdge, n *plan.Paths) []*modelEdge {
	key := func(e *modelEdge) string {
		switch {
		case n.Output == plan.OutputActors:
			return fmt.Sprintf("%d %d %s\x00%s\x00%v", e.actor, e.step, e.source, e.target, e.last)
		case n.Compatible && n.Output == plan.OutputDefault:
			return fmt.Sprintf("%03d %d_%s\x00%d_%s", 999-e.count, e.step, e.source, e.step+1, e.target)
		}
		return fmt.Sprintf("%03d %03d %s\x00%s", 999-e.count, e.step, e.source, e.target)
	}
	sort.Slice(list, func(i, j int) bool { return key(list[i]) < key(list[j]) })
	if n.Output == plan.OutputActors {
		return list
	}
	var kept []*modelEdge
	for _, e := range list {
		if e.count >= int64(n.WeightFrom) && (n.WeightTo == 0 || e.count <= int64(n.WeightTo)) && (n.EdgesTop == 0 || len(kept) < n.EdgesTop) {
			kept = append(kept, e)
		}
	}
	if !n.Compatible || n.Output == plan.OutputTransitions {
		return kept
	}
	reached := map[string]bool{}
	for range kept {
		for _, e := range kept {
			if e.step == 1 || reached[fmt.Sprint(e.step, e.source)] {
				reached[fmt.Sprint(e.step+1, e.target)] = true
			}
		}
	}
	return slices.DeleteFunc(kept, func(e *modelEdge) bool { return e.step > 1 && !reached[fmt.Sprint(e.step, e.source)] })
}

func (e *modelEdge) line(n *plan.Paths, other string) string {
	line := ""
	if n.Breakdown != nil {
		line = e.value + " "
		if e.value == other {
			line = "- "
		}
		if n.Breakdown.WithOther {
			line += fmt.Sprint(e.value == other, " ")
		}
	}
	if n.Output == plan.OutputActors {
		source := e.source
		if e.step == 1 {
			source = "-"
		}
		return line + fmt.Sprint(e.actor, " ", e.step, " ", source, " ", e.target, " ", e.last, " ", e.count, " ")
	}
	if n.Output == plan.OutputDefault {
		line += fmt.Sprint(e.step, " ")
	}
	line += fmt.Sprint(e.source, " ", e.target, " ", e.count, " ")
	if n.Compatible {
		return line + fmt.Sprintf("%.9g ", float64(e.sum)/float64(e.count)/1000)
	}
	return line + fmt.Sprint(e.sum/e.count/1000, " ")
}
