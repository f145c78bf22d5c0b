package exec

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// livePerson and liveRow are what is stored, as a model sees it: rows in a slice, each with
// a pointer to whose it is.
type livePerson struct {
	name    int // distinct id that the uuid is of
	profile bool
}

type liveRow struct {
	uuid   vec.UUIDValue
	id     int
	person *livePerson
	us     int64
	event  string
	plan   string
}

// liveModel is a store with the model beside it, and the log that made both.
type liveModel struct {
	t      *testing.T
	r      *rand.Rand
	fs     vfs.FS
	st     *storage.Store
	index  uint64
	log    []func() error // what was applied at index 1, 2, …
	rows   []liveRow
	ids    map[int]*livePerson
	before int64
	// counted is how many answers came from run indexes where rows could be grouped, too.
	counted int
	// steady says that events of an id have the same plan for days.
	steady bool
}

const (
	liveIDs   = 5
	liveNames = "abcd"
)

var liveStart = time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC).UnixMicro()

func personUUID(name int) vec.UUIDValue { return person.UUIDOf(1, fmt.Sprint("u", name)) }

func newLiveModel(t *testing.T, seed int64) *liveModel {
	m := &liveModel{t: t, r: rand.New(rand.NewSource(seed)), fs: vfs.NewMem(), ids: map[int]*livePerson{}, before: -1 << 63}
	m.open()
	m.apply(func(index uint64) error {
		_, err := m.st.ApplyProject(index, 1, storage.ProjectEdit{Create: &storage.ProjectSpec{Name: "p", Token: "t"}})
		return err
	})
	return m
}

func (m *liveModel) fail(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *liveModel) open() {
	st, err := storage.Open(m.fs, "data", storage.Options{})
	m.fail(err)
	m.st = st
}

// apply appends an entry to the log and applies it.
func (m *liveModel) apply(f func(index uint64) error) {
	m.t.Helper()
	m.index++
	index := m.index
	m.log = append(m.log, func() error { return f(index) })
	m.fail(f(index))
}

// reopen ends the store as it is and applies the log again.
func (m *liveModel) reopen() {
	m.fail(m.st.Close())
	m.open()
	for _, f := range m.log {
		m.fail(f())
	}
	m.fail(m.st.RemoveUnused())
}

func (m *liveModel) see(id int) *livePerson {
	if m.ids[id] == nil {
		m.ids[id] = &livePerson{name: id}
	}
	return m.ids[id]
}

// merge is what $merge_dangerously does to persons that were there.
func (m *liveModel) merge(other, target int) {
	if other == target {
		return
	}
	from, to := m.ids[other], m.ids[target]
	switch {
	case from == nil && to == nil:
		to = m.see(target)
	case to == nil:
		to = from
	case from == nil || from == to:
	case from.profile && !to.profile:
		from, to = to, from
	}
	if from != nil && from != to {
		for id, p := range m.ids {
			if p == from {
				m.ids[id] = to
			}
		}
		for i := range m.rows {
			if m.rows[i].person == from {
				m.rows[i].person = to
			}
		}
	}
	m.ids[other], m.ids[target] = to, to
	to.profile = true
}

func (m *liveModel) events() { m.add(1+m.r.Intn(12), 12) }

// add stores so many events, and merges persons at one in so many of them.
func (m *liveModel) add(events, merges int) {
	b := event.NewBuilder()
	r := m.r
	for range events {
		row := liveRow{id: r.Intn(liveIDs), us: liveStart + int64(r.Intn(25*24))*3_600_000_000, event: string(liveNames[r.Intn(len(liveNames))])}
		if r.Intn(2) == 0 {
			row.us += int64(r.Intn(3_600_000)) * 1000
		}
		binary.BigEndian.PutUint64(row.uuid[:], r.Uint64())
		binary.BigEndian.PutUint64(row.uuid[8:], r.Uint64())
		b.Begin(row.uuid, row.us)
		b.SetName([]byte(row.event))
		b.SetDistinctID([]byte(fmt.Sprint("u", row.id)))
		if row.plan = []string{"", "x", "y", "z"}[(int(row.us/(5*day))+row.id)%4]; !m.steady {
			row.plan = []string{"", "x", "y", "z"}[r.Intn(4)]
		}
		if row.plan != "" {
			b.Property([]byte("plan"), event.Text, []byte(row.plan))
		}
		b.Property([]byte("n"), event.Int, []byte(fmt.Sprint(r.Intn(10))))
		if r.Intn(merges) == 0 {
			other := r.Intn(liveIDs)
			b.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: fmt.Sprint("u", other)})
			m.merge(other, row.id)
		}
		b.End()
		row.person = m.see(row.id)
		row.person.profile = true
		if row.us >= m.before {
			m.rows = append(m.rows, row)
		}
	}
	batch := b.Finish()
	m.apply(func(index uint64) error { _, err := m.st.ApplyEvents(index, 1, 1, batch); return err })
}

// drop deletes rows from the model.
func (m *liveModel) drop(is func(*liveRow) bool) (uuids map[vec.UUIDValue]bool) {
	uuids = map[vec.UUIDValue]bool{}
	m.rows = slices.DeleteFunc(m.rows, func(w liveRow) bool {
		if is(&w) {
			uuids[w.uuid] = true
		}
		return uuids[w.uuid]
	})
	return uuids
}

// deleteRows deletes by a condition, as the leader does.
// flush seals by an entry of the log, as a node does.
func (m *liveModel) flush() {
	m.apply(func(index uint64) error { return m.st.ApplySeal(index, 1, storage.Seal{}, nil) })
	m.fail(m.st.WaitDurable(context.Background()))
}

func (m *liveModel) deleteRows() {
	m.flush()
	id, name := m.r.Intn(liveIDs), string(liveNames[m.r.Intn(len(liveNames))])
	uuids := m.drop(func(w *liveRow) bool { return w.id == id && w.event == name })
	sn, err := m.st.Snapshot(1)
	m.fail(err)
	defer sn.Release()
	rows := map[storage.SegmentID]*roaring.Bitmap{}
	for _, seg := range sn.Segments() {
		all := make([]vec.UUIDValue, seg.Rows())
		m.fail(seg.UUIDs(all, 0, len(all)))
		for i, u := range all {
			if !uuids[u] {
				continue
			}
			if rows[seg.ID()] == nil {
				rows[seg.ID()] = roaring.New()
			}
			rows[seg.ID()].Add(uint32(i))
		}
	}
	first := true
	m.apply(func(index uint64) error {
		n, err := m.st.ApplyDelete(index, 1, 1, rows)
		if first && n != len(uuids) {
			m.t.Fatalf("%d rows were deleted, want %d", n, len(uuids))
		}
		first = false
		return err
	})
}

func (m *liveModel) person() *livePerson { return m.ids[m.r.Intn(liveIDs)] }

func (m *liveModel) deletePerson() {
	p := m.person()
	if p == nil {
		return
	}
	d := storage.PersonDelete{Persons: []vec.UUIDValue{personUUID(p.name)}, Events: m.r.Intn(3) > 0}
	m.apply(func(index uint64) error { _, err := m.st.ApplyPersonDelete(index, 1, 1, d); return err })
	p.profile = false
	if d.Events {
		m.drop(func(w *liveRow) bool { return w.person == p })
		for id, q := range m.ids {
			if q == p {
				delete(m.ids, id)
			}
		}
	}
}

func (m *liveModel) split() {
	id := m.r.Intn(liveIDs)
	p := m.ids[id]
	if p == nil || p.name == id {
		return
	}
	split := storage.PersonSplit{Person: personUUID(p.name), DistinctIDs: []string{fmt.Sprint("u", id)}}
	m.apply(func(index uint64) error { return m.st.ApplySplit(index, 1, 1, split) })
	q := &livePerson{name: id, profile: true}
	m.ids[id] = q
	for i := range m.rows {
		if m.rows[i].person == p && m.rows[i].id == id {
			m.rows[i].person = q
		}
	}
}

func (m *liveModel) expire() {
	before := liveStart + int64(m.r.Intn(4))*day
	m.before = max(m.before, before)
	m.apply(func(index uint64) error { return m.st.ApplyExpire(index, 1, 1, storage.Expiry{Before: before}) })
	m.drop(func(w *liveRow) bool { return w.us < m.before })
}

func (m *liveModel) mergeSegments() {
	next := []func() (storage.MergePlan, bool){m.st.PlanMerge, m.st.PlanErasure, m.st.PlanMergeAll}[m.r.Intn(3)]
	for n := 1 + m.r.Intn(4); n > 0; n-- {
		p, ok := next()
		if !ok {
			return
		}
		m.apply(func(index uint64) error { return m.st.ApplyMergePlan(index, 1, p) })
		plan := m.index
		done, err := m.st.BuildMerge(context.Background(), plan)
		m.fail(err)
		switch m.r.Intn(8) { // something comes between, which the output knows nothing of
		case 0:
			m.deletePerson()
		case 1:
			m.split()
		case 2:
			m.deleteRows()
		}
		m.apply(func(index uint64) error {
			if err := m.st.ApplyMergeDone(index, 1, done); !errors.Is(err, storage.ErrMergeVoid) {
				return err
			}
			return nil // rows of an input were deleted
		})
	}
}

func (m *liveModel) step() string {
	ops := []struct {
		name string
		do   func()
	}{{"events", m.events}, {"events", m.events}, {"delete rows", m.deleteRows}, {"delete person", m.deletePerson}, {"split", m.split},
		{"expire", m.expire}, {"flush", m.flush}, {"merge", m.mergeSegments}, {"reopen", m.reopen}}
	op := ops[m.r.Intn(len(ops))]
	if len(m.rows) > 45 {
		op = ops[2+m.r.Intn(4)]
	}
	op.do()
	return op.name
}

// road answers a plan without some rules. With plain, native operators see rows and no index.
func (m *liveModel) road(n plan.Node, threads int, plain bool, without ...string) []string {
	m.t.Helper()
	sn, err := m.st.Snapshot(1)
	m.fail(err)
	defer sn.Release()
	env := testEnv(liveStart + 60*day)
	if m.r.Intn(2) == 0 {
		without = append(without, plan.JoinedRanges)
	}
	env.Threads, env.Snapshot, env.Disabled, env.GroupsAt = threads, sn, without, 2
	if plain {
		n = n.WithInputs([]plan.Node{&plan.Limit{Input: n.Inputs()[0]}})
	}
	op, err := Build(n, env)
	m.fail(err)
	rows := rowsOf(m.t, op)
	if c, ok := op.(*runCount); ok && c.plain == nil {
		m.counted++
	}
	for i := range rows {
		for id := range liveIDs {
			rows[i] = strings.ReplaceAll(rows[i], fmt.Sprintf("%x", personUUID(id)), fmt.Sprint(id))
		}
	}
	sort.Strings(rows)
	return rows
}

// table is the rows of the model for native operators; condition i is on events of a name.
// Rows of one time are in the order of their uuids.
func (m *liveModel) table(names ...string) []testRow {
	var out []testRow
	rows := slices.Clone(m.rows)
	slices.SortFunc(rows, func(a, b liveRow) int { return bytes.Compare(a.uuid[:], b.uuid[:]) })
	for i, w := range rows {
		row := testRow{actor: w.person.name, us: w.us, tie: i, value: w.plan}
		for _, n := range names {
			row.conds = append(row.conds, w.event == n)
		}
		out = append(out, row)
	}
	return out
}

// check compares every kind of answer with the model's.
func (m *liveModel) check(what string) {
	m.t.Helper()
	same := func(kind string, got, want []string) {
		m.t.Helper()
		if !slices.Equal(got, want) {
			m.t.Fatalf("%s: %s\ngot  %d %q\nwant %d %q", what, kind, len(got), got, len(want), want)
		}
	}
	var want []string
	for _, w := range m.rows {
		p := w.plan
		if p == "" {
			p = "-"
		}
		want = append(want, fmt.Sprintf("%d %d %x %s %s ", w.person.name, w.us, w.uuid, w.event, p))
	}
	sort.Strings(want)
	scan := eventsScan()
	scan.Columns = scan.Columns[:5]
	same("rows", m.road(scan, 2, false), want)
	same("count", m.road(&plan.Aggregate{Input: scan, Names: []string{"n"}, Aggs: []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}}}, 1, false),
		[]string{fmt.Sprint(len(m.rows), " ")})

	m.askWhose(scan, same)
	m.askOfPersons(same)

	var ids, persons []string
	listed := map[*livePerson]bool{}
	for id, p := range m.ids {
		if p.profile {
			ids = append(ids, fmt.Sprintf("u%d %d ", id, p.name))
			listed[p] = true
		}
	}
	for p := range listed {
		persons = append(persons, fmt.Sprint(p.name, " "))
	}
	sort.Strings(ids)
	sort.Strings(persons)
	same("persons", m.road(m.tableScan("persons", "id"), 1, false), persons)
	same("distinct ids", m.road(m.tableScan("person_distinct_ids", "distinct_id", "person_id"), 1, false), ids)

	// What the models know.
	r := m.r
	name := func() (string, expr.Expr) {
		s := string(liveNames[r.Intn(len(liveNames))])
		return s, equals(m.t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(s)})
	}
	src := plan.Source{Input: eventsScan(), Actor: scanColumn(colPerson), Time: scanColumn(colTime), Tie: scanColumn(colUUID), Zone: "UTC"}
	f := &plan.Funnel{Source: src, Output: plan.OutputActors, Within: &vec.IntervalValue{Days: int32(1 + r.Intn(20))}}
	var names []string
	for s := range 1 + r.Intn(3) {
		n, cond := name()
		names = append(names, n)
		f.Steps = append(f.Steps, plan.Step{Name: fmt.Sprint("s", s+1), Cond: cond})
	}
	want = modelFunnel(m.table(names...), len(names), vec.NegInfinityTime, vec.InfinityTime, int64(f.Within.Days)*day, false)
	for _, plain := range []bool{false, true} {
		got := m.road(f, 2, plain)
		for i, l := range got {
			got[i] = l[:len(l)-len("s1 ")]
		}
		same("funnel", got, want)
	}
	n1, start := name()
	n2, back := name()
	ret := &plan.Retention{Source: src, Start: start, Return: back, Rule: plan.StartRule(r.Intn(3)), Minimum: 1,
		Every: vec.IntervalValue{Days: int32(1 + r.Intn(2)*6)}, Periods: 1 + r.Intn(6), Output: plan.OutputActors}
	want = modelRetention(m.table(n1, n2), ret, vec.NegInfinityTime, vec.InfinityTime, 1)
	for _, plain := range []bool{false, true} {
		same("retention", m.road(ret, 2, plain), want)
	}
	tr := &plan.Trends{Source: src, Every: &vec.IntervalValue{Days: 1}, Series: []plan.Series{
		{Name: "who", Measure: plan.MeasureActors, Where: start},
		{Name: "rolling", Measure: plan.MeasureRolling, Rolling: vec.IntervalValue{Days: int32(1 + r.Intn(4))}, Where: start}}}
	from := liveStart + int64(r.Intn(5))*day
	to := from + int64(1+r.Intn(20))*day
	tr.From, tr.To = timeConst(from), timeConst(to)
	want = modelTrends(m.table(n1), tr, from, to)
	for _, plain := range []bool{false, true} {
		if got := m.road(tr, 2, plain); len(m.rows) > 0 {
			same("trends", got, want)
		}
	}
	// What only the roads know.
	for range 4 {
		n, _ := randomNode(m.t, r)
		same(fmt.Sprintf("%T %+v", n, n), m.road(n, 1+r.Intn(3), false), m.road(n, 1, true))
	}
	for range 4 {
		n := m.having(m.counts())
		same(fmt.Sprintf("counts %+v", n), m.road(n, 1+r.Intn(3), false), m.road(n, 1, false, plan.CountRuns))
	}
	for range 4 {
		n, w := randomNumbers(m.t, r, colPerson)
		same(fmt.Sprintf("numbers %+v %+v", n, w), m.road(n, 1+r.Intn(3), false), m.road(n, 1, false, plan.NumberRuns))
	}
}

// counts is an aggregate that counts rows and persons.
func (m *liveModel) counts() *plan.Aggregate {
	r := m.r
	is := func(name int) expr.Expr {
		return equals(m.t, colEvent, &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(string(liveNames[name]))})
	}
	after := func() expr.Expr {
		e, err := expr.NewOperator([]string{"<", "<=", ">", ">="}[r.Intn(4)], scanColumn(colTime), timeConst(liveStart+int64(r.Intn(40))*day/2))
		m.fail(err)
		return e
	}
	n := &plan.Aggregate{Input: eventsScan()}
	switch r.Intn(4) {
	case 0:
		n.Input = &plan.Filter{Input: n.Input, Cond: is(r.Intn(len(liveNames)))}
	case 1:
		n.Input = &plan.Filter{Input: n.Input, Cond: after()}
	case 2:
		n.Input = &plan.Filter{Input: n.Input, Cond: &expr.And{Args: []expr.Expr{after(), &expr.Or{Args: []expr.Expr{is(0), after()}}}}}
	}
	n.Aggs = []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}, {Name: "count", Args: []expr.Expr{scanColumn(colPerson)}, Distinct: true, T: vec.T(vec.Int8)}}
	for i := range n.Aggs {
		if r.Intn(3) == 0 {
			n.Aggs[i].Filter = is(r.Intn(len(liveNames)))
		}
	}
	n.Keys = [][]expr.Expr{nil, {scanColumn(colPlan)}, {scanColumn(colPerson)}, {scanColumn(colEvent)}, {scanColumn(colEvent), scanColumn(colPlan)}}[r.Intn(5)]
	n.Names = make([]string, len(n.Keys)+len(n.Aggs))
	if newRunCount(n, testEnv(0)) == nil {
		m.t.Fatalf("%+v is not counted from run indexes", n)
	}
	return n
}

// having is a count, perhaps with bounds on what it counts.
func (m *liveModel) having(n *plan.Aggregate) plan.Node {
	if m.r.Intn(2) == 0 {
		return n
	}
	var counts []expr.Expr
	for i, a := range n.Aggs {
		counts = append(counts, &expr.Column{Index: len(n.Keys) + i, T: a.T, Name: "n"})
	}
	return &plan.Filter{Input: n, Cond: &expr.And{Args: randomBounds(m.t, m.r, counts...)}}
}

func (m *liveModel) tableScan(name string, columns ...string) *plan.Scan {
	sc := &plan.Scan{Table: eventsScan().Table}
	table := *sc.Table
	table.Name = name
	sc.Table = &table
	for _, c := range columns {
		t := vec.T(vec.UUID)
		if c == "distinct_id" {
			t = vec.T(vec.Text)
		}
		sc.Columns = append(sc.Columns, plan.ScanColumn{Column: c, Type: t, Name: c})
	}
	return sc
}

// TestDeletesModel does at random what changes and deletes rows and persons, and what must
// not matter: flushes, merges, a new start. After each step every answer, through indexes
// and through rows, is that of a model that deletes from a slice. PRICKLE_DELETES sets how
// many logs there are (8).
func TestDeletesModel(t *testing.T) {
	seeds, steps := 8, 40
	if testing.Short() {
		seeds = 2
	}
	if text := os.Getenv("PRICKLE_DELETES"); text != "" {
		var err error
		if seeds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range int64(seeds) {
		m := newLiveModel(t, seed)
		for step := range steps {
			m.check(fmt.Sprintf("seed %d step %d: %s", seed, step, m.step()))
		}
		m.fail(m.st.Close())
		if m.counted == 0 {
			t.Errorf("seed %d: nothing was counted from run indexes", seed)
		}
	}
}
