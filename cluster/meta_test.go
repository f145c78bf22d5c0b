package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/exec"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// envLists sets how many lists of operations TestMetamorphic makes.
const envLists = "PRICKLE_LISTS"

const (
	metaOps  = 40
	metaStep = 60_000_000 // µs between operations, by the times of entries
)

// metaOp is one operation of a list. What it does depends on itself and the answers before.
type metaOp struct {
	name string
	seed uint64
	at   int64 // µs
	do   func(m *metaRun, rng *rand.Rand) string
}

// metaRun is a list of operations under options of its own.
type metaRun struct {
	*rig
	extra      *rand.Rand // for what must not matter
	answers    []string
	sentBefore [][2]int // batches of events to project 1: first sequence number, count
	open       uint64   // plan of a merge that is not ended; 0: none
}

// metaOptions are what must not matter.
type metaOptions struct {
	sealRows, logFileBytes int64
	cores                  int
	plain                  bool // nothing is done between operations
}

func (o metaOptions) String() string {
	return fmt.Sprintf("%d rows a memtable, log files of %d bytes, %d cores, plain %v", o.sealRows, o.logFileBytes, o.cores, o.plain)
}

// answer is what an entry gave, as text.
func (m *metaRun) answer(raws ...[]byte) string {
	outcomes, ok := m.submit(raws...)
	if !ok {
		m.fatal("entries are not applied")
	}
	out := ""
	for i := range outcomes {
		o := &outcomes[i]
		out += fmt.Sprintf("%d stored, %d known, project %d, %v; ", o.receipt.Stored, o.receipt.Duplicates, o.project.ID, o.err)
	}
	return out
}

func metaUser(rng *rand.Rand) string { return fmt.Sprintf("u%d", rng.IntN(40)) }

// personOf is the person of a distinct id, or none.
func (m *metaRun) personOf(id string) vec.UUIDValue {
	sn, err := m.node.store.Snapshot(1)
	if err != nil {
		m.fatal("%v", err)
	}
	defer sn.Release()
	for name, o := range sn.Persons().DistinctIDs() {
		if name == id {
			return sn.Persons().UUID(sn.Identity().Root(o))
		}
	}
	return vec.UUIDValue{}
}

// metaKinds are the operations that a list is made of.
var metaKinds = []struct {
	name   string
	weight int
	do     func(m *metaRun, rng *rand.Rand) string
}{
	{"events", 12, func(m *metaRun, rng *rand.Rand) string {
		var raws [][]byte
		for range 1 + rng.IntN(3) {
			n := 1 + rng.IntN(25)
			project := 1 + uint32(rng.IntN(8)/7)
			raw, _, err := encodeEvents(newProposalID(), project, m.batch(m.next, n), nil)
			if err != nil {
				m.fatal("%v", err)
			}
			raws = append(raws, raw)
			if project == 1 {
				m.sentBefore = append(m.sentBefore, [2]int{m.next, n})
			}
			m.next += n
		}
		return m.answer(raws...)
	}},
	{"events again", 3, func(m *metaRun, rng *rand.Rand) string {
		if len(m.sentBefore) == 0 {
			return "none"
		}
		b := m.sentBefore[rng.IntN(len(m.sentBefore))]
		raw, _, err := encodeEvents(newProposalID(), 1, m.batch(b[0], b[1]), nil)
		if err != nil {
			m.fatal("%v", err)
		}
		return m.answer(raw)
	}},
	{"persons", 2, func(m *metaRun, rng *rand.Rand) string {
		edits := []person.Edit{{DistinctIDs: []string{metaUser(rng), metaUser(rng)}, Properties: fmt.Appendf(nil, `{"b":%d}`, rng.IntN(9))}}
		return m.answer(encodeEntry(kindPersons, header{proposal: newProposalID(), project: 1, rows: 1}, storage.AppendPersonEdits(nil, edits)))
	}},
	{"delete a person", 2, func(m *metaRun, rng *rand.Rand) string {
		d := storage.PersonDelete{Persons: []vec.UUIDValue{m.personOf(metaUser(rng))}, Events: rng.IntN(3) > 0}
		return m.answer(m.json(kindErase, header{project: 1}, d))
	}},
	{"split a person", 2, func(m *metaRun, rng *rand.Rand) string {
		split := storage.PersonSplit{Person: m.personOf(metaUser(rng)), DistinctIDs: []string{metaUser(rng)}, Forget: rng.IntN(2) == 0}
		return m.answer(m.json(kindSplit, header{project: 1}, split))
	}},
	{"update a person", 2, func(m *metaRun, rng *rand.Rand) string {
		u := []person.Update{{Person: m.personOf(metaUser(rng)), Set: fmt.Appendf(nil, `{"c":%d}`, rng.IntN(9)), Unset: []string{"b"}}}
		return m.answer(m.json(kindUpdate, header{project: 1}, u))
	}},
	{"delete rows", 2, func(m *metaRun, rng *rand.Rand) string {
		return m.deleteRows(rng)
	}},
	{"expire", 1, func(m *metaRun, rng *rand.Rand) string {
		day := int64(1_700_000_000_000_000)/86_400_000_000 + rng.Int64N(12)
		return m.answer(m.json(kindExpire, header{project: 1}, storage.Expiry{Before: day * 86_400_000_000}))
	}},
	{"table", 4, func(m *metaRun, rng *rand.Rand) string {
		ws := tableCreate()
		if t := m.node.store.Tables(1).Table(1); t != nil {
			ws = tableInsert(m.next, 1+rng.IntN(40))
			m.next += 100
			switch dead := roaring.BitmapOf(rng.Uint32N(t.Next + 1)); {
			case rng.IntN(3) > 0:
			case dead.Minimum() < t.Next:
				ws.Ops = append(ws.Ops, table.Op{Kind: table.OpDelete, Table: 1, Version: 1, Rows: dead})
			}
		}
		return m.answer(encodeEntry(kindTable, header{proposal: newProposalID(), project: 1}, table.AppendWriteSet(nil, ws)))
	}},
	{"projects", 1, func(m *metaRun, rng *rand.Rand) string {
		edit := storage.ProjectEdit{Create: &storage.ProjectSpec{Name: "p", Token: fmt.Sprint("phc_", rng.Uint64())}}
		if rng.IntN(3) == 0 {
			edit = storage.ProjectEdit{Delete: 2}
		}
		return m.answer(m.json(kindMeta, header{}, edit))
	}},
}

// deleteRows deletes the rows of some sequence numbers. Rows in the memtable have no number
// that a delete could name, so it is sealed before.
func (m *metaRun) deleteRows(rng *rand.Rand) string {
	m.flush()
	sn, err := m.node.store.Snapshot(1)
	if err != nil {
		m.fatal("%v", err)
	}
	defer sn.Release()
	rows, divisor := map[storage.SegmentID]*roaring.Bitmap{}, 2+rng.IntN(20)
	for _, seg := range sn.Segments() {
		ids := make([]vec.UUIDValue, seg.Rows())
		dead, err := seg.Dead()
		if err == nil {
			err = seg.UUIDs(ids, 0, len(ids))
		}
		if err != nil {
			m.fatal("%v", err)
		}
		set := roaring.New()
		for row, id := range ids {
			if (int(id[14])<<8|int(id[15]))%divisor == 0 && (dead == nil || !dead.Contains(uint32(row))) {
				set.Add(uint32(row))
			}
		}
		if !set.IsEmpty() {
			rows[seg.ID()] = set
		}
	}
	return m.answer(encodeEntry(kindDelete, header{proposal: newProposalID(), project: 1}, storage.AppendRowDelete(nil, rows)))
}

func (m *metaRun) flush() {
	if !m.seal() {
		m.fatal("no seal")
	}
	if err := m.node.store.WaitDurable(context.Background()); err != nil {
		m.fatal("flush: %v", err)
	}
}

// newList chooses operations.
func newList(seed uint64) []metaOp {
	rng := rand.New(rand.NewPCG(seed, 17))
	total := 0
	for i := range metaKinds {
		total += metaKinds[i].weight
	}
	out := make([]metaOp, metaOps)
	for i := range out {
		n := rng.IntN(total)
		k := 0
		for ; n >= metaKinds[k].weight; k++ {
			n -= metaKinds[k].weight
		}
		out[i] = metaOp{metaKinds[k].name, rng.Uint64(), int64(i+1) * metaStep, metaKinds[k].do}
	}
	return out
}

// between does what must not matter: it seals, merges, takes Raft snapshots, and ends the
// process in both ways.
func (m *metaRun) between() {
	m.time += metaStep / 2
	m.rng = m.extra
	if m.open != 0 && m.extra.IntN(2) == 0 {
		m.endMerge()
	}
	for range m.extra.IntN(3) {
		switch n := m.extra.IntN(10); {
		case n < 2:
			if !m.seal() {
				m.fatal("no seal")
			}
		case n < 5:
			m.endMerge()
			m.beginMerge()
		case n < 7:
			if !m.snapshot() {
				m.fatal("no Raft snapshot")
			}
		default:
			if m.open = 0; n < 9 {
				m.end() // the disk goes on
			} else {
				m.stop()
			}
			if !m.start(0) || !m.begun() {
				m.fatal("no start")
			}
		}
	}
}

func (m *metaRun) beginMerge() {
	if err := m.node.store.WaitDurable(context.Background()); err != nil {
		m.fatal("flush: %v", err)
	}
	if plan, ok := m.node.store.PlanMergeAll(); ok {
		outcomes, ok := m.submit(m.json(kindPlan, header{}, plan))
		if !ok || outcomes[0].err != nil {
			m.fatal("no plan of a merge: %+v", outcomes)
		}
		m.open = outcomes[0].receipt.Index
	}
}

func (m *metaRun) endMerge() {
	if m.open == 0 {
		return
	}
	done, err := m.node.store.BuildMerge(context.Background(), m.open)
	if err != nil {
		done = storage.MergeDone{Plan: m.open, Failed: true}
	}
	m.open = 0
	if _, ok := m.submit(m.json(kindMerged, header{}, done)); !ok {
		m.fatal("no end of a merge")
	}
}

// queries are answers of the engine, as text.
func (m *metaRun) queries() []string {
	scan := &plan.Scan{Table: catalog.Builtin()[0], Columns: []plan.ScanColumn{
		{Column: "person_id", Type: vec.T(vec.UUID), Name: "person_id"},
		{Column: "timestamp", Type: vec.T(vec.TimestampTZ), Name: "timestamp"},
		{Column: "uuid", Type: vec.T(vec.UUID), Name: "uuid"},
		{Column: "event", Type: vec.T(vec.Text), Name: "event"}}}
	column := func(i int) expr.Expr {
		return &expr.Column{Index: i, T: scan.Columns[i].Type, Name: scan.Columns[i].Name}
	}
	is := func(name string) expr.Expr {
		e, err := expr.NewOperator("=", column(3), &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(name)}})
		if err != nil {
			m.fatal("%v", err)
		}
		return e
	}
	src := plan.Source{Input: scan, Actor: column(0), Time: column(1), Tie: column(2), Zone: "UTC"}
	week := vec.IntervalValue{Days: 7}
	var out []string
	for _, n := range []plan.Node{
		&plan.Aggregate{Input: scan, Keys: []expr.Expr{column(3)}, Names: []string{"event", "n"}, Aggs: []plan.AggCall{{Name: "count", T: vec.T(vec.Int8)}}},
		&plan.Funnel{Source: src, Output: plan.OutputActors, Within: &vec.IntervalValue{Days: 20},
			Steps: []plan.Step{{Name: "s1", Cond: is("e0")}, {Name: "s2", Cond: is("e1")}}},
		&plan.Retention{Source: src, Start: is("e0"), Return: is("e2"), Minimum: 1, Every: week, Periods: 5, Output: plan.OutputActors},
		&plan.Trends{Source: src, Every: &week, Series: []plan.Series{{Name: "who", Measure: plan.MeasureActors, Where: is("e1")}}},
	} {
		lines, err := m.query(n)
		if err != nil {
			m.fatal("%T: %v", n, err)
		}
		slices.Sort(lines)
		out = append(out, lines...)
	}
	return out
}

func (m *metaRun) query(n plan.Node) ([]string, error) {
	sn, err := m.node.store.Snapshot(1)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	env := &exec.Env{Snapshot: sn, Threads: 2, Progress: &exec.Progress{}, Expr: &expr.Context{Now: 1_710_000_000_000_000, Location: time.UTC}}
	op, err := exec.Build(n, env)
	if err != nil {
		return nil, err
	}
	defer op.Close() // read to the end, or err says what matters
	var out []string
	for {
		b, err := op.Next(context.Background())
		if err != nil || b == nil {
			return out, err
		}
		b = b.Compact()
		for row := range b.Rows {
			line := fmt.Sprintf("%T", n)
			for _, c := range b.Cols {
				line += " " + cell(c, row)
			}
			out = append(out, line)
		}
	}
}

// runList does a list of operations under options, and gives all answers: those of the
// operations, what is stored in the end, and what the engine makes of it.
func runList(t *testing.T, seed, run uint64, list []metaOp, opt metaOptions) []string {
	m := &metaRun{rig: newRig(t, seed), extra: rand.New(rand.NewPCG(seed, 100+run))}
	m.name = fmt.Sprintf("%s=%d: run %d: %v", envSeed, seed, run, opt)
	defer watch(m.name)()
	m.sealRows, m.logFileBytes = opt.sealRows, opt.logFileBytes
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(opt.cores))
	if !m.start(0) || !m.begun() {
		m.fatal("no start")
	}
	for i, op := range list {
		m.rng, m.time = rand.New(rand.NewPCG(op.seed, 1)), op.at
		m.answers = append(m.answers, fmt.Sprintf("operation %d, %s: %s", i, op.name, op.do(m, rand.New(rand.NewPCG(op.seed, 2)))))
		if !opt.plain {
			m.between()
		}
	}
	for range 2 {
		lines, err := dump(m.node.store)
		if err != nil {
			m.fatal("%v", err)
		}
		m.answers = append(append(m.answers, lines...), m.queries()...)
		m.end()
		if !m.start(0) {
			m.fatal("no start")
		}
	}
	m.end()
	return m.answers
}

// TestMetamorphic does the same operations several times: in one go, and with memtables and
// log files of other sizes, other numbers of cores, merges, Raft snapshots, restarts and
// crashes between them. All answers are the same.
func TestMetamorphic(t *testing.T) {
	count, seed := sized(t, envLists, 12)
	began := time.Now()
	const runs = 3
	for s := seed; s < seed+uint64(count); s++ {
		list := newList(s)
		rng := rand.New(rand.NewPCG(s, 19))
		want := runList(t, s, 0, list, metaOptions{100_000, 1 << 20, 2, true})
		for run := uint64(1); run < runs; run++ {
			opt := metaOptions{[]int64{7, 60, 500}[rng.IntN(3)], 32 << 10 << rng.IntN(3), 1 + rng.IntN(4), false}
			got := runList(t, s, run, list, opt)
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("%s=%d: run %d, %v:\n%s\nwant, in one go:\n%s", envSeed, s, run, opt, strings.Join(got[i:min(i+3, len(got))], "\n"),
						strings.Join(want[i:min(i+3, len(want))], "\n"))
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%s=%d: run %d, %v: %d answers, want %d", envSeed, s, run, opt, len(got), len(want))
			}
		}
	}
	t.Logf("%d lists of %d operations, %d runs each, %s=%d to %d, %.1f lists a second", count, metaOps, runs, envSeed, seed, seed+uint64(count)-1,
		float64(count)/time.Since(began).Seconds())
}
